/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - timers; a cluster's beginning, what is due in it, and its end.
 */
#include "sim/cql-emulator/cluster-private.h"

#define PAXOS_MAX 262144 /* partitions that a node remembers agreements of */
#define HEAP_EVENTS_MAX ((size_t)1 << 26)

/* ---- timers: a binary heap of (time, sequence) ---- */

static bool earlier(const struct cqle_event *a, const struct cqle_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void heap_put(struct cqlemu *emu, size_t i, struct cqle_event *event)
{
	emu->heap_events[i] = event;
	event->heap_index = i;
}

static void heap_up(struct cqlemu *emu, size_t i)
{
	struct cqle_event *event = emu->heap_events[i];
	while (i > 0 && earlier(event, emu->heap_events[(i - 1) / 2])) {
		heap_put(emu, i, emu->heap_events[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(emu, i, event);
}

static void heap_down(struct cqlemu *emu, size_t i)
{
	struct cqle_event *event = emu->heap_events[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= emu->event_count)
			break;
		if (child + 1 < emu->event_count &&
			earlier(emu->heap_events[child + 1], emu->heap_events[child]))
			child++;
		if (!earlier(emu->heap_events[child], event))
			break;
		heap_put(emu, i, emu->heap_events[child]);
		i = child;
	}
	heap_put(emu, i, event);
}

void cqle_schedule(struct cqlemu *emu, struct cqle_event *event, uint64_t at_ns)
{
	lab_assert(event->heap_index == SIZE_MAX && emu->event_count < HEAP_EVENTS_MAX);
	event->at_ns = at_ns;
	event->sequence = ++emu->event_sequence;
	if (emu->event_count == emu->event_capacity) {
		emu->event_capacity = emu->event_capacity == 0 ? 64 : emu->event_capacity * 2;
		emu->heap_events = lab_heap_realloc(emu->heap, emu->heap_events,
			emu->event_capacity * sizeof(struct cqle_event *));
	}
	heap_put(emu, emu->event_count++, event);
	heap_up(emu, event->heap_index);
}

void cqle_unschedule(struct cqlemu *emu, struct cqle_event *event)
{
	size_t i = event->heap_index;
	if (i == SIZE_MAX)
		return;
	event->heap_index = SIZE_MAX;
	struct cqle_event *last = emu->heap_events[--emu->event_count];
	if (last == event)
		return;
	heap_put(emu, i, last);
	heap_up(emu, i);
	heap_down(emu, last->heap_index);
}

struct cqle_event *cqle_event_new(struct cqlemu *emu, enum cqle_event_kind kind)
{
	struct cqle_event *event = emu->free_events;
	if (event != NULL)
		emu->free_events = event->next;
	else
		event = lab_new(emu->heap, struct cqle_event);
	*event = (struct cqle_event){ .kind = kind, .heap_index = SIZE_MAX };
	return event;
}

void cqle_event_free(struct cqlemu *emu, struct cqle_event *event)
{
	cqle_unschedule(emu, event);
	cqle_mutation_unref(emu->heap, event->mutation);
	cqle_answer_unref(emu->heap, event->answer);
	cqle_bytes_unref(emu->heap, event->paxos_key);
	cqle_promise_unref(emu, event->promise);
	event->mutation = NULL;
	event->answer = NULL;
	event->paxos_key = NULL;
	event->promise = NULL;
	event->next = emu->free_events;
	emu->free_events = event;
}

/* ---- creation ---- */

static int node_dc(struct cqlemu *emu, struct cqle_node *node, struct lab_error *err)
{
	for (size_t i = 0; i < emu->dc_count; i++) {
		if (lab_view_eq(emu->dc_names[i], node->dc_name)) {
			node->dc = (unsigned)i;
			return 0;
		}
	}
	if (emu->dc_count == CQLE_DCS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d data centres", CQLE_DCS_MAX);
	node->dc = (unsigned)emu->dc_count;
	emu->dc_names[emu->dc_count++] = node->dc_name;
	return 0;
}

static void node_host_id(const struct cqlemu *emu, struct cqle_node *node)
{
	uint64_t id[2];
	for (uint64_t i = 0; i < 2; i++)
		id[i] = lab_draw(emu->options.seed, "cql.host_id", lab_hash_view(0, node->name), i);
	memcpy(node->host_id, id, sizeof(node->host_id));
	node->host_id[6] = (uint8_t)((node->host_id[6] & 0x0f) | 0x40);
	node->host_id[8] = (uint8_t)((node->host_id[8] & 0x3f) | 0x80);
}

static struct lab_view copy_or(struct cqlemu *emu, struct lab_view v, const char *otherwise)
{
	return lab_arena_copy(emu->permanent, v.len > 0 ? v : lab_view_cstr(otherwise));
}

static int node_init(
	struct cqlemu *emu, size_t n, const struct cqlemu_node_options *o, struct lab_error *err)
{
	struct cqle_node *node = &emu->nodes[n];
	for (size_t i = 0; i < n; i++) {
		if (lab_view_eq(emu->nodes[i].name, o->name) ||
			lab_view_eq_cstr(o->address, emu->nodes[i].address_text))
			return lab_fail(err, LAB_INVALID,
				"two nodes are called %.*s or have address %.*s",
				LAB_VIEW_ARG(o->name), LAB_VIEW_ARG(o->address));
	}
	if (o->name.len == 0 || cql_inet_parse(o->address, node->address) < 0 ||
		lab_view_to_cstr(o->address, node->address_text, sizeof(node->address_text)) < 0)
		return lab_fail(err, LAB_INVALID,
			"node '%.*s' needs a name and an IPv4 address, not '%.*s'",
			LAB_VIEW_ARG(o->name), LAB_VIEW_ARG(o->address));
	node->name = lab_arena_copy(emu->permanent, o->name);
	node->dc_name = copy_or(emu, o->dc, "dc1");
	node->rack_name = copy_or(emu, o->rack, "r1");
	node->zone = lab_arena_copy(emu->permanent, o->zone);
	if (node_dc(emu, node, err) < 0)
		return -1;
	emu->dc_nodes[node->dc] |= cqle_bit(n);
	node_host_id(emu, node);
	node->incarnation = 1;
	node->ordinals = lab_new_array(emu->heap, uint64_t, emu->node_count);
	node->prepared = lab_map_new(emu->heap, emu->options.prepared_max + 1);
	node->paxos = lab_map_new(emu->heap, PAXOS_MAX);
	for (size_t i = 0; i < emu->node_count; i++)
		node->views[i] = (struct cqle_view){ .up = true, .incarnation = 1 };
	return 0;
}

int cqle_cluster_init(
	struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err)
{
	if (options->node_count == 0 || options->node_count > CQLEMU_NODES_MAX)
		return lab_fail(err, LAB_INVALID, "a cluster has 1 to %d nodes", CQLEMU_NODES_MAX);
	emu->node_count = options->node_count;
	emu->nodes = lab_new_array(emu->heap, struct cqle_node, emu->node_count);
	emu->hints =
		lab_new_array(emu->heap, struct cqle_hint_list, emu->node_count * emu->node_count);
	for (size_t i = 0; i < emu->node_count; i++) {
		if (node_init(emu, i, &options->nodes[i], err) < 0)
			return -1;
	}
	cqle_snitch_init(emu);
	return cqle_ring_init(emu, options, err);
}

/* ---- running what is due ---- */

static void op_timeout(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->paxos != NULL && op->paxos->phase != CQLE_PAXOS_NONE)
		cqle_paxos_timeout(emu, op);
	else if (op->kind == CQLE_OP_READ)
		cqle_read_timeout(emu, op);
	else
		cqle_write_timeout(emu, op);
}

static void run_op_event(struct cqlemu *emu, struct cqle_event *event)
{
	struct cqle_op *op = event->op;
	struct cqle_event **slot = event->kind == CQLE_EV_TIMEOUT  ? &op->timer
				   : event->kind == CQLE_EV_RESUME ? &op->resume
								   : &op->speculation;
	lab_assert(*slot == event);
	*slot = NULL;
	if (event->kind == CQLE_EV_SPECULATE) {
		cqle_read_speculate(emu, op);
	} else if (event->kind == CQLE_EV_BACKOFF) {
		cqle_paxos_again(emu, op);
	} else if (event->kind == CQLE_EV_TIMEOUT) {
		op_timeout(emu, op);
	} else {
		if (op->prepared_to_answer)
			cqle_fault_answer(emu, op);
		else
			cqle_request_run(emu, op);
		cqle_op_release(emu, op);
	}
	cqle_event_free(emu, event);
}

static void run_message(struct cqlemu *emu, struct cqle_event *event)
{
	enum cqlemu_node_state state = emu->nodes[event->to].state;
	if (state == CQLEMU_NODE_FROZEN) {
		cqle_defer(emu, event->to, event);
		return;
	}
	if (state == CQLEMU_NODE_DOWN)
		cqle_lost(emu, event);
	else
		cqle_deliver(emu, event);
	cqle_event_free(emu, event);
}

static void event_run(struct cqlemu *emu, struct cqle_event *event)
{
	switch (event->kind) {
	case CQLE_EV_MESSAGE:
		run_message(emu, event);
		break;
	case CQLE_EV_TIMEOUT:
	case CQLE_EV_SPECULATE:
	case CQLE_EV_BACKOFF:
	case CQLE_EV_RESUME:
		if (emu->nodes[event->op->node].state == CQLEMU_NODE_FROZEN)
			cqle_defer(emu, event->op->node, event);
		else
			run_op_event(emu, event);
		break;
	case CQLE_EV_GOSSIP:
		emu->gossip = NULL;
		cqle_event_free(emu, event);
		cqle_gossip_tick(emu);
		break;
	case CQLE_EV_EXPIRE:
		if (emu->nodes[event->from].state == CQLEMU_NODE_FROZEN) {
			cqle_defer(emu, event->from, event);
			break;
		}
		if (emu->nodes[event->from].state == CQLEMU_NODE_UP && cqle_op_is_current(event))
			cqle_counter_expire(emu, event);
		cqle_event_free(emu, event);
		break;
	case CQLE_EV_SILENCE:
		cqle_snitch_silence(emu, event);
		cqle_event_free(emu, event);
		break;
	case CQLE_EV_HINTS: {
		size_t from = event->from, to = event->to;
		cqle_hint_list_of(emu, from, to)->event = NULL;
		cqle_event_free(emu, event);
		cqle_hints_replay(emu, from, to);
		break;
	}
	}
}

void cqle_events_run(struct cqlemu *emu)
{
	while (emu->event_count > 0 && emu->heap_events[0]->at_ns <= emu->now_ns) {
		struct cqle_event *event = emu->heap_events[0];
		cqle_unschedule(emu, event);
		event_run(emu, event);
	}
}

/* ---- the end ---- */

static void free_node(struct cqlemu *emu, struct cqle_node *node)
{
	cqle_node_prepared_drop(emu, node);
	lab_map_free(&node->prepared);
	cqle_paxos_clear(emu, node);
	lab_map_free(&node->paxos);
	lab_heap_free(emu->heap, node->ordinals);
	cqle_journal_drop(emu, node);
	lab_heap_free(emu->heap, node->latencies);
}

static void free_hints(struct cqlemu *emu)
{
	size_t lists = emu->hints == NULL ? 0 : emu->node_count * emu->node_count;
	for (size_t i = 0; i < lists; i++) {
		struct cqle_hint *hint;
		while ((hint = cqle_hint_pop(emu, &emu->hints[i])) != NULL) {
			cqle_mutation_unref(emu->heap, hint->mutation);
			lab_heap_free(emu->heap, hint);
		}
	}
	lab_heap_free(emu->heap, emu->hints);
}

/* Operations, events, hints, nodes. Also of a cluster that was only half made. */
void cqle_cluster_done(struct cqlemu *emu)
{
	emu->options.hinted_handoff = false;
	for (size_t i = 0; i < emu->node_count; i++)
		cqle_node_drop_deferred(emu, &emu->nodes[i]);
	while (emu->active_ops != NULL) {
		emu->active_ops->fault.kind = SIM_FAULT_NONE;
		cqle_op_forget(emu, emu->active_ops);
	}
	while (emu->event_count > 0)
		cqle_event_free(emu, emu->heap_events[0]);
	free_hints(emu);
	cqle_schema_done(emu);
	for (size_t i = 0; i < emu->node_count; i++)
		free_node(emu, &emu->nodes[i]);
	lab_heap_free(emu->heap, emu->nodes);
	lab_heap_free(emu->heap, emu->ring);
}
