/* SPDX-License-Identifier: Apache-2.0
 *
 * workload.h - the clients of a run: MTAs that deliver, and mail programs that read, copy, move and
 * expunge. Works in both worlds.
 *
 * Draws      Everything a client does is keyed by (seed, what, user, ordinal).
 * Routing    A user's connections go to one backend at a time: to its home backend, or to the next
 *            one that is up while that is down. They move only when none is open, as a director
 *            sees to it. In a Palomar cluster its proxies say where (palomar.h).
 * Ownership  A workload lives in the heap of the laboratory's host and goes with it.
 */
#ifndef SCENARIOS_WORKLOAD_H
#define SCENARIOS_WORKLOAD_H

#include "scenarios/format/mail-source.h"
#include "scenarios/runner/node.h"
#include "scenarios/format/scenario.h"
#include "sim/oracle/history.h"

struct workload;
struct user;
struct palomar;

struct workload_settings {
	const struct scenario *scenario;
	uint64_t seed;
	struct env *lab; /* host of the clients */
	struct node *nodes;
	size_t node_count;
	struct palomar *palomar; /* users come by its proxies; NULL: straight to backends */
	struct history *history;
	const struct mail_source *mails; /* NULL: generated */
	uint64_t begin_ns;               /* of the storm: operators count from here */
	uint64_t end_ns;                 /* nothing new begins after this */
	/* Sequence number of the run's latest event, for reports. */
	uint64_t (*event_sequence)(void *ctx);
	void *event_ctx;
};

/* Starts one delivering and one reading fiber for each user. -1 LAB_LIMIT. */
int workload_start(
	const struct workload_settings *settings, struct workload **ret, struct lab_error *err);
/* Every client has ended what it began. */
bool workload_is_idle(const struct workload *workload);
size_t workload_users(const struct workload *workload);
struct user *workload_user(struct workload *workload, size_t index);
/* For requests of whoever else acts for these users. */
struct client_context;
struct client_context *workload_client(struct workload *workload);
/* How many mails a user's INBOX has before the run begins. */
uint64_t workload_mails_before(const struct workload *workload, const struct user *user);
/* Of the next mail to a user. */
uint64_t workload_next_token(struct user *user);
/* The mail of a token: what was, or is going to be, delivered. */
struct lab_view workload_mail(struct workload *workload, const struct user *user, uint64_t token,
	struct lab_arena *arena);
/* How long the MTA that has that mail waits for an answer; 0: as long as it takes. */
uint64_t workload_patience(struct workload *workload, const struct user *user, uint64_t token);
const char *workload_user_name(const struct workload *workload, size_t index);

/* Before the audit: every backend that serves a user, if there are several, looks at all its
 * folders and uploads what it has, twice around; then each shows what it sees (invariant 22). As
 * the audit; nothing if no user is served by several. */
int workload_converge(struct workload *workload, struct lab_error *err);
/* The audit: fresh opens of every folder of every user on `node`, a SELECT each, and a FETCH of
 * every mail. Runs in fibers of the laboratory's host; workload_is_idle() tells when it is over. */
int workload_audit(struct workload *workload, struct node *node, struct lab_error *err);

#endif
