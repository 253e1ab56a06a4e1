/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - nodes that stop, die, freeze, come back, and lose what they had.
 */
#include "sim/cql-emulator/cluster-private.h"

void cqle_node_drop_deferred(struct cqlemu *emu, struct cqle_node *node)
{
	while (node->deferred != NULL) {
		struct cqle_event *event = node->deferred;
		node->deferred = event->next;
		if (event->kind == CQLE_EV_MESSAGE) {
			cqle_lost(emu, event);
			cqle_event_free(emu, event);
		} else if (event->kind == CQLE_EV_EXPIRE) {
			cqle_event_free(emu, event);
		} else {
			/* The operation's own; it goes with it. */
			event->next = NULL;
		}
	}
	node->deferred_last = NULL;
	node->deferred_count = 0;
}

static void drop_ops_of(struct cqlemu *emu, size_t node)
{
	struct cqle_op *next;
	for (struct cqle_op *op = emu->active_ops; op != NULL; op = next) {
		next = op->next;
		if (op->node == node)
			cqle_op_forget(emu, op);
	}
}

static void node_go_down(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	struct cqle_session *next;
	if (emu->gossip == NULL)
		emu->gossip_idle = true;
	node->state = CQLEMU_NODE_DOWN;
	cqle_node_drop_deferred(emu, node);
	drop_ops_of(emu, index);
	for (struct cqle_session *s = emu->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->node == index)
			cqle_session_reset(emu, s);
	}
	cqle_node_prepared_drop(emu, node);
	cqle_gossip_wake(emu, emu->now_ns);
}

void cqle_node_die(struct cqlemu *emu, size_t index)
{
	if (emu->nodes[index].state != CQLEMU_NODE_DOWN)
		node_go_down(emu, index);
}

void cqlemu_node_kill(struct cqlemu *emu, size_t index, uint64_t now_ns)
{
	lab_assert(index < emu->node_count);
	cqle_enter(emu, now_ns);
	if (emu->nodes[index].state != CQLEMU_NODE_DOWN) {
		node_go_down(emu, index);
		cqle_journal_recover(emu, index);
	}
	cqle_leave(emu);
}

static void node_stop(struct cqlemu *emu, size_t index)
{
	uint64_t heard = 0;
	for (size_t i = 0; i < emu->node_count; i++) {
		if (i != index && emu->nodes[i].state == CQLEMU_NODE_UP &&
			cqle_hears(emu, i, index))
			heard |= cqle_bit(i);
	}
	node_go_down(emu, index);
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((heard & cqle_bit(i)) != 0)
			cqle_see_down(emu, i, index);
	}
}

void cqlemu_node_stop(struct cqlemu *emu, size_t index, uint64_t now_ns)
{
	lab_assert(index < emu->node_count);
	cqle_enter(emu, now_ns);
	if (emu->nodes[index].state != CQLEMU_NODE_DOWN)
		node_stop(emu, index);
	cqle_leave(emu);
}

static void own_view(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	for (size_t i = 0; i < emu->node_count; i++) {
		node->views[i].heard_ns = emu->now_ns;
		if (i != index && node->state == CQLEMU_NODE_UP)
			cqle_hints_schedule(emu, index, i, emu->options.hint_retry_ns);
	}
}

static void node_start(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	node->state = CQLEMU_NODE_UP;
	node->incarnation++;
	emu->metadata_version++;
	for (size_t i = 0; i < emu->node_count; i++) {
		struct cqle_view *view = &node->views[i];
		view->up = i == index || cqle_hears(emu, index, i);
		view->down_since_ns = view->up ? view->down_since_ns : emu->now_ns;
		view->incarnation = emu->nodes[i].incarnation;
	}
	own_view(emu, index);
	cqle_schema_node_starts(emu, index);
	cqle_gossip_wake(emu, emu->now_ns + emu->options.recognition_ns);
}

void cqlemu_node_start(struct cqlemu *emu, size_t index, uint64_t now_ns)
{
	lab_assert(index < emu->node_count);
	cqle_enter(emu, now_ns);
	if (emu->nodes[index].state == CQLEMU_NODE_DOWN)
		node_start(emu, index);
	cqle_leave(emu);
}

void cqlemu_node_freeze(struct cqlemu *emu, size_t index, uint64_t now_ns)
{
	lab_assert(index < emu->node_count);
	cqle_enter(emu, now_ns);
	if (emu->nodes[index].state == CQLEMU_NODE_UP) {
		if (emu->gossip == NULL)
			emu->gossip_idle = true;
		emu->nodes[index].state = CQLEMU_NODE_FROZEN;
		cqle_gossip_wake(emu, emu->now_ns);
	}
	cqle_leave(emu);
}

/* First what the other nodes had sent, then what the clients had. */
static void node_thaw(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	struct cqle_event *backlog = node->deferred;
	struct cqle_session *next;
	node->state = CQLEMU_NODE_UP;
	own_view(emu, index);
	node->deferred = node->deferred_last = NULL;
	node->deferred_count = 0;
	while (backlog != NULL) {
		struct cqle_event *event = backlog;
		backlog = event->next;
		cqle_schedule(emu, event, emu->now_ns);
	}
	cqle_events_run(emu);
	for (struct cqle_session *s = emu->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->node == index)
			cqle_session_run(emu, s);
	}
	cqle_gossip_wake(emu, emu->now_ns + emu->options.recognition_ns);
}

void cqlemu_node_thaw(struct cqlemu *emu, size_t index, uint64_t now_ns)
{
	lab_assert(index < emu->node_count);
	cqle_enter(emu, now_ns);
	if (emu->nodes[index].state == CQLEMU_NODE_FROZEN)
		node_thaw(emu, index);
	cqle_leave(emu);
}

void cqlemu_node_busy(struct cqlemu *emu, size_t index, uint64_t ns)
{
	lab_assert(index < emu->node_count);
	emu->nodes[index].busy_ns = ns;
}

enum cqlemu_node_state cqlemu_node_state(const struct cqlemu *emu, size_t node)
{
	lab_assert(node < emu->node_count);
	return emu->nodes[node].state;
}

bool cqlemu_node_seen_up(const struct cqlemu *emu, size_t observer, size_t node)
{
	lab_assert(observer < emu->node_count && node < emu->node_count);
	return observer == node || emu->nodes[observer].views[node].up;
}

int cqlemu_node_find(const struct cqlemu *emu, struct lab_view name)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		if (lab_view_eq(emu->nodes[i].name, name))
			return (int)i;
	}
	return -1;
}

size_t cqlemu_node_count(const struct cqlemu *emu)
{
	return emu->node_count;
}

void cqlemu_node_forget_prepared(struct cqlemu *emu, size_t node)
{
	lab_assert(node < emu->node_count);
	cqle_node_prepared_drop(emu, &emu->nodes[node]);
}
