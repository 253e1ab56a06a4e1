/* SPDX-License-Identifier: Apache-2.0
 *
 * peers.h - the way from one backend to another: what doveadm asks there (metacache pull), with
 * everything that may happen on the way. Works in both worlds.
 *
 * Faults     The point "metacache.pull" is asked twice: as the backend that asks, when its request
 *            leaves, and as the one that answers, when it has arrived. A reset or a stall there is
 *            a request that is never served; of a reply, one that is served and never answered.
 * Crash      Of either side: the asking one learns that the connection broke; the answering one
 *            goes on if it lives.
 * Ownership  Calls live in the laboratory's heap, which never crashes.
 */
#ifndef SCENARIOS_PEERS_H
#define SCENARIOS_PEERS_H

#include "core/obox/metacache-pull.h"
#include "sim/service.h"

struct node;
struct peers;

struct peers_settings {
	struct env *lab;
	struct node *nodes;
	size_t node_count;
	struct sim_fault (*decide)(void *ctx, const struct sim_fault_query *query); /* NULL: none */
	/* Whether one host hears the other now; NULL: always. */
	bool (*reachable)(void *ctx, struct lab_view from, struct lab_view to);
	void *ctx;
};
/* In the laboratory's heap; the nodes' backends ask through it from their next start on. */
struct peers *peers_new(const struct peers_settings *settings);

/* backend_settings.peer. */
int peers_ask(void *ctx, struct env *env, struct lab_view host, struct lab_view request,
	struct lab_buf *answer, struct lab_error *err);
/* node_crashed() tells. */
void peers_crashed(struct peers *peers, const struct node *node);

#endif
