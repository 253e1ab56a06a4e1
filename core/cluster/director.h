/* SPDX-License-Identifier: Apache-2.0
 *
 * director.h - the predecessor's routing: the hash ring of the 2.3 director (palomar 2.9).
 *
 * Purpose    A second routing mode that needs no database, and an oracle: who a user's backend is
 *            follows from the list of backends alone, until the list changes; then users stay where
 *            they are until their mapping expires or they are moved.
 * Hash       The first 32 bits of MD5 of the user's name in lower case (%Lu); of its first 256
 *            bytes, should it be longer.
 * Ring       Each backend that is up has vhost_count points: the first 32 bits of MD5(ip "-" i).
 *            A user belongs to the first point that is not below its hash, the lowest point after
 *            the highest. Equal points: the lower address comes first. Each tag has its own ring.
 * Addresses  IPv4.
 * Effects    None: pure functions and one value that is built once.
 */
#ifndef LAB_CLUSTER_DIRECTOR_H
#define LAB_CLUSTER_DIRECTOR_H

#include "core/base/base.h"

#define DIRECTOR_VHOSTS_DEFAULT 100
#define DIRECTOR_VHOSTS_MAX 1000
#define DIRECTOR_HOSTS_MAX 1024

#define DIRECTOR_USER_EXPIRE_NS (15 * LAB_MINUTE)
#define DIRECTOR_REQUEST_TIMEOUT_NS (30 * LAB_SEC) /* a login that waits for the ring */
#define DIRECTOR_MOVE_TIMEOUT_NS (30 * LAB_SEC)
#define DIRECTOR_KICK_DELAY_NS (2 * LAB_SEC) /* between "killed everywhere" and new logins */
#define DIRECTOR_MOVES_PARALLEL 100

struct director_host {
	struct lab_view ip; /* "10.0.0.1" */
	struct lab_view tag;
	unsigned vhost_count; /* 0: nobody new is sent there */
	bool is_down;
};

struct director_ring;

/* `hosts` are borrowed for the ring's life. -1 LAB_INVALID: an address that is none, or twice;
 * LAB_LIMIT. */
int director_ring_new(struct lab_heap *heap, const struct director_host *hosts, size_t count,
	struct director_ring **ret, struct lab_error *err);
/* NULLs the pointer; accepts NULL. */
void director_ring_free(struct director_ring **ring);

uint32_t director_user_hash(struct lab_view username);
/* The host for users with this hash and tag; NULL: no host of the tag is up. */
const struct director_host *director_ring_lookup(
	const struct director_ring *ring, uint32_t hash, struct lab_view tag);

/* Two directors say different hosts for one user: the numerically lower address wins, whoever says
 * so, and sessions on the other one are kicked. The same on every director, so that one of them
 * alone is enough to end a conflict. 0, or -1 if one of them is no address. */
int director_conflict_winner(struct lab_view ip_a, struct lab_view ip_b, struct lab_view *ret);

/* How sure a director may be that a mapping it has is everybody's. Two directors may disagree about
 * one second; so near the end of its life a user is weak: it is confirmed around the ring before a
 * login is let in, and not before. */
enum director_age {
	DIRECTOR_FRESH,
	DIRECTOR_WEAK,   /* within the last tenth of expire, that is, 3 s to 30 s */
	DIRECTOR_EXPIRED /* from last_use + expire on */
};
enum director_age director_user_age(uint64_t last_use_ns, uint64_t now_ns, uint64_t expire_ns);

#endif
