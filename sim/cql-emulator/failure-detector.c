/* SPDX-License-Identifier: Apache-2.0
 *
 * failure-detector.c - who takes whom for dead.
 */
#include "sim/cql-emulator/cluster-private.h"

bool cqle_hears(const struct cqlemu *emu, size_t observer, size_t node)
{
	return emu->nodes[node].state == CQLEMU_NODE_UP && cqle_reachable(emu, node, observer) &&
	       cqle_reachable(emu, observer, node);
}

static void see_up(struct cqlemu *emu, size_t observer, size_t node)
{
	struct cqle_view *view = &emu->nodes[observer].views[node];
	bool restarted = view->incarnation != emu->nodes[node].incarnation;
	view->heard_ns = emu->now_ns;
	view->incarnation = emu->nodes[node].incarnation;
	if (view->up && !restarted)
		return;
	if (view->up)
		cqle_event_status(emu, observer, node, false);
	view->up = true;
	emu->metadata_version++;
	cqle_event_status(emu, observer, node, true);
	cqle_hints_schedule(emu, observer, node, emu->options.hint_replay_ns);
}

void cqle_see_down(struct cqlemu *emu, size_t observer, size_t node)
{
	struct cqle_view *view = &emu->nodes[observer].views[node];
	if (!view->up)
		return;
	view->up = false;
	view->schema_digest = emu->nodes[node].schema_digest;
	view->down_since_ns = emu->now_ns;
	cqle_event_status(emu, observer, node, false);
}

static uint64_t conviction_ns(const struct cqlemu *emu, size_t observer, size_t node)
{
	uint64_t draw = lab_draw(emu->options.seed, "cql.conviction",
		observer * CQLEMU_NODES_MAX + node, emu->nodes[node].incarnation);
	return emu->options.conviction_ns +
	       (emu->options.conviction_jitter_ns > 0
			       ? lab_pick(draw, emu->options.conviction_jitter_ns)
			       : 0);
}

/* True if the view is what is the case. */
static bool look(struct cqlemu *emu, size_t observer, size_t node)
{
	struct cqle_view *view = &emu->nodes[observer].views[node];
	if (cqle_hears(emu, observer, node)) {
		see_up(emu, observer, node);
		return true;
	}
	if (emu->gossip_idle)
		view->heard_ns = emu->now_ns; /* it was heard until just now */
	if (view->up && emu->now_ns - view->heard_ns >= conviction_ns(emu, observer, node))
		cqle_see_down(emu, observer, node);
	return !view->up;
}

void cqle_gossip_tick(struct cqlemu *emu)
{
	bool settled = true;
	for (size_t i = 0; i < emu->node_count; i++) {
		for (size_t j = 0; j < emu->node_count; j++) {
			if (i != j && emu->nodes[i].state == CQLEMU_NODE_UP)
				settled = look(emu, i, j) && settled;
		}
	}
	emu->gossip_idle = false;
	settled = !cqle_schema_gossip(emu) && settled;
	bool watched =
		emu->hooks.reachable != NULL && (emu->session_count > 0 || emu->hint_count > 0);
	if (!settled || watched)
		cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
	else
		emu->gossip_idle = true;
}

void cqle_gossip_wake(struct cqlemu *emu, uint64_t at_ns)
{
	if (emu->gossip == NULL)
		emu->gossip = cqle_event_new(emu, CQLE_EV_GOSSIP);
	else if (emu->gossip->at_ns <= at_ns)
		return;
	cqle_unschedule(emu, emu->gossip);
	cqle_schedule(emu, emu->gossip, at_ns);
}
