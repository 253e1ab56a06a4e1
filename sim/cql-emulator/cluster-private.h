/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-private.h - what the parts of the cluster know of each other: cluster.c, ring.c,
 * messages.c, hints.c, failure-detector.c, commit-log.c, node.c.
 */
#ifndef SIM_CQL_EMULATOR_CLUSTER_PRIVATE_H
#define SIM_CQL_EMULATOR_CLUSTER_PRIVATE_H

#include "sim/cql-emulator/tracing.h"

/* ring.c */
int cqle_ring_init(struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err);

/* ---- messages.c ---- */

/* Whether the link is whole, whatever state the nodes are in. */
bool cqle_reachable(const struct cqlemu *emu, size_t from, size_t to);
/* Whether the operation that a message or timer is about still runs. */
bool cqle_op_is_current(const struct cqle_event *event);
/* At its receiver, which is up. */
void cqle_deliver(struct cqlemu *emu, const struct cqle_event *message);
/* Counts it; a hint is kept again. */
void cqle_lost(struct cqlemu *emu, const struct cqle_event *message);
/* Takes the event: the node is frozen and gets to it when it thaws. Messages beyond deferred_max
 * are lost. */
void cqle_defer(struct cqlemu *emu, size_t index, struct cqle_event *event);

/* ---- hints.c ---- */

struct cqle_hint {
	struct cqle_hint *next;
	struct cqle_mutation *mutation;
};
struct cqle_hint_list {
	struct cqle_hint *first, *last;
	struct cqle_event *event; /* scheduled replay */
};

struct cqle_hint_list *cqle_hint_list_of(struct cqlemu *emu, size_t from, size_t to);
/* The oldest one, or NULL; the caller frees it. */
struct cqle_hint *cqle_hint_pop(struct cqlemu *emu, struct cqle_hint_list *list);
void cqle_hints_schedule(struct cqlemu *emu, size_t from, size_t to, uint64_t delay_ns);
void cqle_hints_replay(struct cqlemu *emu, size_t from, size_t to);

/* ---- failure-detector.c ---- */

/* `observer` takes `node` for dead from now on. */
void cqle_see_down(struct cqlemu *emu, size_t observer, size_t node);
void cqle_gossip_tick(struct cqlemu *emu);

/* node.c: what was held back for a node that was frozen. */
void cqle_node_drop_deferred(struct cqlemu *emu, struct cqle_node *node);

/* commit-log.c: what was written but not yet synced when the node died is gone; the rest is applied
 * again. */
void cqle_journal_recover(struct cqlemu *emu, size_t index);

#endif
