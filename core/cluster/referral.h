/* SPDX-License-Identifier: Apache-2.0
 *
 * referral.h - "not here, but there": what a backend or a remote proxy says in each protocol, and
 * what keeps proxies from going in circles (palomar 2.2, L10 and L11).
 *
 * Purpose    Writing and reading referrals; counting hops.
 * Errors     A line that is no referral is not an error. One that is and says nothing that can be
 *            used (no host, a port that is none, an IPv6 address without brackets) is LAB_CORRUPT:
 *            it must not be followed.
 * Effects    None: pure functions.
 */
#ifndef LAB_CLUSTER_REFERRAL_H
#define LAB_CLUSTER_REFERRAL_H

#include "core/base/base.h"

/* X(id, name, default port, is a login proxy) */
#define CLUSTER_PROTOCOLS(X) \
	X(IMAP, "imap", 143, true) \
	X(POP3, "pop3", 110, true) \
	X(SUBMISSION, "submission", 587, true) \
	X(LMTP, "lmtp", 24, false) \
	X(DOVEADM, "doveadm", 24245, false)
enum cluster_protocol {
#define X(id, name, port, is_login) CLUSTER_##id,
	CLUSTER_PROTOCOLS(X)
#undef X
	CLUSTER_PROTOCOL_COUNT
};
const char *cluster_protocol_name(enum cluster_protocol protocol);
uint16_t cluster_protocol_port(enum cluster_protocol protocol);

#define CLUSTER_HOST_MAX 255
struct cluster_referral {
	struct lab_view user;
	struct lab_view host; /* without brackets */
	uint16_t port;
};

/* One line, without its end:
 *   imap               NO [REFERRAL imap://USER;AUTH=PLAIN@HOST:PORT/] Try this server.
 *   pop3               -ERR [REFERRAL/USER@HOST:PORT] Referral     (no port if it is the default)
 *   lmtp, submission   550 5.2.900 USER@HOST:PORT Referral
 *   doveadm            -REFERRAL USER@HOST:PORT
 * USER is percent-encoded for imap and as it is for the others. 0, or -1 LAB_INVALID: a user's name
 * that the line cannot carry, or a host that is none. */
int cluster_referral_write(enum cluster_protocol protocol, const struct cluster_referral *referral,
	struct lab_buf *out, struct lab_error *err);
/* 1 it is a referral, 0 it is some other line, -1 LAB_CORRUPT. Texts borrow from the line or from
 * the arena. */
int cluster_referral_read(enum cluster_protocol protocol, struct lab_view line,
	struct lab_arena *arena, struct cluster_referral *ret, struct lab_error *err);

/* ---- loops ---- */

#define CLUSTER_TTL 7 /* of a client's connection; handed from proxy to proxy */

/* One login (or delivery) on one proxy: where it has been. */
struct cluster_hops {
	unsigned ttl;
	size_t count;
	struct {
		char host[CLUSTER_HOST_MAX + 1];
		uint16_t port;
		unsigned visits;
	} seen[CLUSTER_TTL];
};
void cluster_hops_init(struct cluster_hops *hops, unsigned ttl);
/* About to connect there. 0; -1 LAB_LIMIT: not again. Login proxies stop at a TTL of 1, and go to
 * no address a third time: one reversal is legitimate (palomar 4.4, 30). LMTP and doveadm stop at 0
 * and go nowhere twice. Nobody connects to itself. Names are compared without regard to case; the
 * caller gives the name that it would resolve, never a name here and an address there (29). */
int cluster_hops_go(struct cluster_hops *hops, enum cluster_protocol protocol, struct lab_view host,
	uint16_t port, struct lab_view self_host, uint16_t self_port, struct lab_error *err);
bool cluster_hops_was_there(const struct cluster_hops *hops, struct lab_view host, uint16_t port);

#endif
