/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - nodes and their ring, messages and timers, failure detectors, hints.
 */
#include "sim/cql-emulator/tracing.h"

#include <stdlib.h>

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

/* ---- the ring ---- */

static int token_order(const void *a, const void *b)
{
	const struct cqle_token *x = a, *y = b;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* The i-th of a node's evenly spread tokens, moved a little by the seed. */
static int64_t spread_token(const struct cqlemu *emu, size_t node, size_t i, unsigned per_node)
{
	uint64_t slots = (uint64_t)emu->node_count * per_node;
	uint64_t width = UINT64_MAX / slots;
	uint64_t slot = (uint64_t)i * emu->node_count + node;
	uint64_t draw = lab_draw(
		emu->options.seed, "cql.token", lab_hash_view(0, emu->nodes[node].name), i);
	return (int64_t)(UINT64_C(0x8000000000000000) + slot * width + width / 2 +
			 lab_pick(draw, width / 4));
}

static int ring_init(
	struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err)
{
	size_t capacity = emu->node_count * CQLEMU_TOKENS_MAX;
	emu->ring = lab_new_array(emu->heap, struct cqle_token, capacity);
	for (size_t n = 0; n < emu->node_count; n++) {
		const struct cqlemu_node_options *o = &options->nodes[n];
		size_t count = o->tokens != NULL ? o->token_count : options->tokens_per_node;
		if (count == 0 || count > CQLEMU_TOKENS_MAX)
			return lab_fail(
				err, LAB_LIMIT, "a node has 1 to %d tokens", CQLEMU_TOKENS_MAX);
		for (size_t i = 0; i < count; i++) {
			int64_t token = o->tokens != NULL
						? o->tokens[i]
						: spread_token(emu, n, i, options->tokens_per_node);
			emu->ring[emu->ring_count++] = (struct cqle_token){ token, n };
		}
	}
	qsort(emu->ring, emu->ring_count, sizeof(*emu->ring), token_order);
	for (size_t i = 1; i < emu->ring_count; i++) {
		if (emu->ring[i].token == emu->ring[i - 1].token)
			return lab_fail(err, LAB_INVALID, "two nodes have the same token");
	}
	return 0;
}

size_t cqle_ring_index(const struct cqlemu *emu, int64_t token)
{
	size_t low = 0, high = emu->ring_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (emu->ring[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return low == emu->ring_count ? 0 : low;
}

static bool has_node(const struct cqle_replicas *r, size_t node)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->nodes[i] == node)
			return true;
	}
	return false;
}

static void place_simple(const struct cqlemu *emu, const struct cqle_keyspace *ks, size_t from,
	struct cqle_replicas *ret)
{
	for (size_t i = 0; i < emu->ring_count && ret->count < ks->total; i++) {
		size_t node = emu->ring[(from + i) % emu->ring_count].node;
		if (!has_node(ret, node))
			ret->nodes[ret->count++] = (uint8_t)node;
	}
}

static size_t racks_in_dc(const struct cqlemu *emu, size_t dc)
{
	size_t count = 0;
	for (size_t i = 0; i < emu->node_count; i++) {
		bool seen = emu->nodes[i].dc != dc;
		for (size_t j = 0; j < i && !seen; j++)
			seen = emu->nodes[j].dc == dc &&
			       lab_view_eq(emu->nodes[j].rack_name, emu->nodes[i].rack_name);
		count += !seen;
	}
	return count;
}

struct dc_placement {
	uint64_t skipped_racks; /* nodes passed over because their rack has a replica */
	size_t taken, racks_taken, racks;
	uint8_t skipped[CQLEMU_NODES_MAX];
	size_t skipped_count;
};

static bool rack_is_taken(const struct cqlemu *emu, const struct cqle_replicas *r, size_t node)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct cqle_node *other = &emu->nodes[r->nodes[i]];
		if (other->dc == emu->nodes[node].dc &&
			lab_view_eq(other->rack_name, emu->nodes[node].rack_name))
			return true;
	}
	return false;
}

static void place_take(struct dc_placement *dc, struct cqle_replicas *ret, size_t node)
{
	ret->nodes[ret->count++] = (uint8_t)node;
	dc->taken++;
}

/* Clockwise; in each DC new racks first, and nodes passed over once all racks have one. */
static void place_topology(const struct cqlemu *emu, const struct cqle_keyspace *ks, size_t from,
	struct cqle_replicas *ret)
{
	struct dc_placement dcs[CQLE_DCS_MAX] = { { 0 } };
	for (size_t dc = 0; dc < emu->dc_count; dc++)
		dcs[dc].racks = racks_in_dc(emu, dc);
	for (size_t i = 0; i < emu->ring_count; i++) {
		size_t node = emu->ring[(from + i) % emu->ring_count].node;
		struct dc_placement *dc = &dcs[emu->nodes[node].dc];
		if (dc->taken >= ks->per_dc[emu->nodes[node].dc] || has_node(ret, node) ||
			(dc->skipped_racks & cqle_bit(node)) != 0)
			continue;
		if (dc->racks_taken < dc->racks && rack_is_taken(emu, ret, node)) {
			dc->skipped_racks |= cqle_bit(node);
			dc->skipped[dc->skipped_count++] = (uint8_t)node;
			continue;
		}
		dc->racks_taken += !rack_is_taken(emu, ret, node);
		place_take(dc, ret, node);
		for (size_t j = 0; dc->racks_taken == dc->racks && j < dc->skipped_count; j++) {
			if (dc->taken < ks->per_dc[emu->nodes[node].dc])
				place_take(dc, ret, dc->skipped[j]);
		}
		if (dc->racks_taken == dc->racks)
			dc->skipped_count = 0;
	}
}

const struct cqle_replicas *cqle_placement(
	struct cqlemu *emu, struct cqle_keyspace *ks, size_t ring_index)
{
	if (!ks->placed) {
		if (ks->placement == NULL)
			ks->placement = lab_arena_array(
				emu->permanent, struct cqle_replicas, emu->ring_count);
		memset(ks->placement, 0, emu->ring_count * sizeof(*ks->placement));
		ks->placed = true;
		for (size_t i = 0; i < emu->ring_count; i++) {
			if (ks->simple)
				place_simple(emu, ks, i, &ks->placement[i]);
			else
				place_topology(emu, ks, i, &ks->placement[i]);
		}
	}
	return &ks->placement[ring_index];
}

const struct cqle_replicas *cqle_replicas_of(
	struct cqlemu *emu, struct cqle_keyspace *ks, int64_t token)
{
	return cqle_placement(emu, ks, cqle_ring_index(emu, token));
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

struct cqle_hint {
	struct cqle_hint *next;
	struct cqle_mutation *mutation;
};
struct cqle_hint_list {
	struct cqle_hint *first, *last;
	struct cqle_event *event; /* scheduled replay */
};

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
	return ring_init(emu, options, err);
}

/* ---- the commit log ---- */

struct cqle_journal {
	struct cqle_journal *next;
	uint64_t at_ns;
	struct cqle_mutation *mutation;
};

/* What was written before the last sync is on disk. */
static void journal_sync(struct cqlemu *emu, struct cqle_node *node, size_t index)
{
	uint64_t period = emu->options.commitlog_sync_ns;
	uint64_t synced = emu->now_ns - emu->now_ns % period;
	while (node->journal != NULL && node->journal->at_ns < synced) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		struct cqle_mutation *m = cqle_mutation_current(emu->heap, entry->mutation);
		if (m != NULL) {
			cqle_store_apply(m->table->durable[index], m);
			cqle_mutation_unref(emu->heap, m);
		}
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	if (node->journal == NULL)
		node->journal_last = NULL;
}

static void journal_add(struct cqlemu *emu, size_t index, struct cqle_mutation *mutation)
{
	struct cqle_node *node = &emu->nodes[index];
	struct cqle_journal *entry = lab_new(emu->heap, struct cqle_journal);
	journal_sync(emu, node, index);
	entry->at_ns = emu->now_ns;
	entry->mutation = cqle_mutation_ref(mutation);
	if (node->journal_last != NULL)
		node->journal_last->next = entry;
	else
		node->journal = entry;
	node->journal_last = entry;
}

/* After a kill: only what was synced is there. */
void cqle_journal_drop(struct cqlemu *emu, struct cqle_node *node)
{
	while (node->journal != NULL) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	node->journal_last = NULL;
}

static void journal_recover(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	if (emu->options.commitlog_sync_ns == 0)
		return;
	journal_sync(emu, node, index);
	while (node->journal != NULL) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	node->journal_last = NULL;
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (t->durable == NULL)
			continue;
		cqle_store_clear(t->stores[index]);
		cqle_store_copy(t->stores[index], t->durable[index]);
	}
}

void cqle_apply_at(struct cqlemu *emu, size_t node, struct cqle_mutation *mutation)
{
	struct cqle_mutation *m = cqle_mutation_current(emu->heap, mutation);
	if (m == NULL)
		return;
	cqle_store_apply(m->table->stores[node], m);
	if (m->table->durable != NULL && m->table->durable[node] != NULL)
		journal_add(emu, node, m);
	cqle_mutation_unref(emu->heap, m);
}

/* ---- messages ---- */

static bool reachable(const struct cqlemu *emu, size_t from, size_t to)
{
	if (from == to || emu->hooks.reachable == NULL)
		return true;
	return emu->hooks.reachable(
		emu->hooks.ctx, emu->nodes[from].name, emu->nodes[to].name, emu->now_ns);
}

static uint64_t latency(struct cqlemu *emu, size_t from, size_t to)
{
	if (from == to || emu->hooks.latency == NULL)
		return 0;
	return emu->hooks.latency(emu->hooks.ctx, emu->nodes[from].name, emu->nodes[to].name,
		emu->nodes[from].ordinals[to]++);
}

static bool op_is_current(const struct cqle_event *event)
{
	return event->op != NULL && event->op->serial == event->op_serial && !event->op->finished;
}

static void reply(struct cqlemu *emu, const struct cqle_event *request, size_t to,
	enum cqle_message_kind kind, struct cqle_answer *answer)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = kind,
		.from = request->to,
		.to = (uint8_t)to,
		.op = request->op,
		.op_serial = request->op_serial,
		.slot = request->slot,
		.sent_ns = request->sent_ns,
		.answer = answer };
	(void)cqle_send(emu, &message);
}

/* Passes a write on to the other replicas of this data centre; they answer the coordinator. */
static void forward(struct cqlemu *emu, const struct cqle_event *message)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((message->forward & cqle_bit(i)) == 0)
			continue;
		struct cqle_event copy = *message;
		copy.from = message->to;
		copy.to = (uint8_t)i;
		copy.forward = 0;
		(void)cqle_send(emu, &copy);
	}
}

/* A replica that has not heard of the table cannot even read the message. */
static bool refuse_write(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->mutation == NULL || cqle_knows(message->to, message->mutation->table))
		return false;
	reply(emu, message, message->reply_to, CQLE_MSG_WRITE_REFUSED, NULL);
	return true;
}

static void deliver_write(struct cqlemu *emu, const struct cqle_event *message)
{
	if (refuse_write(emu, message))
		return;
	if (message->mutation != NULL)
		cqle_apply_at(emu, message->to, message->mutation);
	if (message->mutation != NULL && message->ballot != 0)
		cqle_paxos_learn(emu, message->to, message->mutation, message->ballot);
	if (message->forward != 0)
		forward(emu, message);
	reply(emu, message, message->reply_to, CQLE_MSG_WRITE_ACK, NULL);
}

static void deliver_read(struct cqlemu *emu, const struct cqle_event *message)
{
	if (!op_is_current(message) || message->op->round != message->slot)
		return;
	struct cqle_answer *answer = cqle_read_at(emu, message->op, message->to);
	reply(emu, message, message->from, CQLE_MSG_READ_ANSWER, answer);
	cqle_answer_unref(emu->heap, answer);
}

static void deliver_ack(struct cqlemu *emu, const struct cqle_event *message)
{
	if (!op_is_current(message))
		return;
	if (message->slot == CQLE_SLOT_REPAIR)
		cqle_repair_ack(emu, message->op);
	else if (message->op->counter)
		cqle_counter_ack(emu, message);
	else
		cqle_write_ack(emu, message->op, message->slot, message->from);
}

static void deliver_paxos(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->paxos_table->dropped || !cqle_knows(message->to, message->paxos_table))
		return;
	struct cqle_event answer = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_PAXOS_ANSWER,
		.from = message->to,
		.to = message->from,
		.op = message->op,
		.op_serial = message->op_serial,
		.slot = message->slot,
		.promise = cqle_paxos_serve(emu, message) };
	if (answer.promise != NULL && message->op != NULL)
		(void)cqle_send(emu, &answer);
	cqle_promise_unref(emu, answer.promise);
}

static void deliver(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->op != NULL && message->op->tracing)
		cqle_trace_message(emu, message, true);
	switch (message->message) {
	case CQLE_MSG_WRITE:
		deliver_write(emu, message);
		break;
	case CQLE_MSG_COUNTER:
		if (!cqle_knows(message->to, message->mutation->table))
			break; /* and the coordinator waits in vain */
		cqle_counter_lead(emu, message, op_is_current(message));
		reply(emu, message, message->to, CQLE_MSG_WRITE_ACK, NULL);
		break;
	case CQLE_MSG_SCHEMA:
		cqle_schema_heard(emu, message->to, message->ballot);
		break;
	case CQLE_MSG_WRITE_REFUSED:
		if (op_is_current(message))
			cqle_write_refused(emu, message->op, message->slot, message->from);
		break;
	case CQLE_MSG_COUNTER_DONE:
		if (op_is_current(message))
			cqle_write_led(emu, message->op, message->slot);
		break;
	case CQLE_MSG_WRITE_ACK:
		deliver_ack(emu, message);
		break;
	case CQLE_MSG_READ:
		deliver_read(emu, message);
		break;
	case CQLE_MSG_READ_ANSWER:
		cqle_snitch_heard(emu, message->to, message->from, message->sent_ns);
		if (op_is_current(message))
			cqle_read_answer(
				emu, message->op, message->slot, message->from, message->answer);
		break;
	case CQLE_MSG_HINT:
		cqle_apply_at(emu, message->to, message->mutation);
		break;
	case CQLE_MSG_PAXOS:
		deliver_paxos(emu, message);
		break;
	case CQLE_MSG_PAXOS_ANSWER:
		if (op_is_current(message))
			cqle_paxos_answer(
				emu, message->op, message->slot, message->from, message->promise);
		break;
	}
}

static void lost(struct cqlemu *emu, const struct cqle_event *message)
{
	emu->counters.messages_lost++;
	if (message->message == CQLE_MSG_HINT)
		cqle_hint(emu, message->from, message->to, message->mutation);
}

static void defer(struct cqlemu *emu, size_t index, struct cqle_event *event)
{
	struct cqle_node *node = &emu->nodes[index];
	if (node->deferred_count == emu->options.deferred_max && event->kind == CQLE_EV_MESSAGE) {
		lost(emu, event);
		cqle_event_free(emu, event);
		return;
	}
	event->next = NULL;
	if (node->deferred_last != NULL)
		node->deferred_last->next = event;
	else
		node->deferred = event;
	node->deferred_last = event;
	node->deferred_count++;
}

static struct cqle_event *copy_message(struct cqlemu *emu, const struct cqle_event *message)
{
	struct cqle_event *copy = cqle_event_new(emu, CQLE_EV_MESSAGE);
	*copy = *message;
	copy->heap_index = SIZE_MAX;
	if (copy->mutation != NULL)
		copy->mutation->refs++;
	if (copy->answer != NULL)
		copy->answer->refs++;
	(void)cqle_bytes_ref(copy->paxos_key);
	(void)cqle_promise_ref(copy->promise);
	return copy;
}

bool cqle_send(struct cqlemu *emu, const struct cqle_event *message)
{
	emu->counters.messages++;
	if (message->op != NULL && message->op->tracing)
		cqle_trace_message(emu, message, false);
	if (!reachable(emu, message->from, message->to) ||
		emu->nodes[message->to].state == CQLEMU_NODE_DOWN) {
		lost(emu, message);
		return false;
	}
	uint64_t delay = latency(emu, message->from, message->to);
	if (delay > 0)
		cqle_schedule(emu, copy_message(emu, message), emu->now_ns + delay);
	else if (emu->nodes[message->to].state == CQLEMU_NODE_FROZEN)
		defer(emu, message->to, copy_message(emu, message));
	else
		deliver(emu, message);
	return true;
}

/* ---- hints ---- */

static struct cqle_hint_list *hint_list(struct cqlemu *emu, size_t from, size_t to)
{
	return &emu->hints[from * emu->node_count + to];
}

static void hints_schedule(struct cqlemu *emu, size_t from, size_t to, uint64_t delay_ns)
{
	struct cqle_hint_list *list = hint_list(emu, from, to);
	if (list->first == NULL ||
		(list->event != NULL && list->event->at_ns <= emu->now_ns + delay_ns))
		return;
	if (list->event != NULL)
		cqle_event_free(emu, list->event);
	list->event = cqle_event_new(emu, CQLE_EV_HINTS);
	list->event->from = (uint8_t)from;
	list->event->to = (uint8_t)to;
	cqle_schedule(emu, list->event, emu->now_ns + delay_ns);
}

void cqle_hint(struct cqlemu *emu, size_t from, size_t to, struct cqle_mutation *mutation)
{
	const struct cqle_view *view = &emu->nodes[from].views[to];
	struct cqle_hint_list *list = hint_list(emu, from, to);
	bool too_old = !view->up && emu->now_ns - view->down_since_ns > emu->options.hint_window_ns;
	if (!emu->options.hinted_handoff || too_old || emu->hint_count >= emu->options.hints_max) {
		emu->counters.hints_dropped++;
		return;
	}
	struct cqle_hint *hint = lab_new(emu->heap, struct cqle_hint);
	hint->mutation = cqle_mutation_ref(mutation);
	if (list->last != NULL)
		list->last->next = hint;
	else
		list->first = hint;
	list->last = hint;
	emu->hint_count++;
	emu->counters.hints_stored++;
	if (view->up)
		hints_schedule(emu, from, to, emu->options.hint_retry_ns);
	cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
}

static struct cqle_hint *hint_pop(struct cqlemu *emu, struct cqle_hint_list *list)
{
	struct cqle_hint *hint = list->first;
	if (hint == NULL)
		return NULL;
	list->first = hint->next;
	if (list->first == NULL)
		list->last = NULL;
	emu->hint_count--;
	return hint;
}

static void hints_replay(struct cqlemu *emu, size_t from, size_t to)
{
	struct cqle_hint_list *list = hint_list(emu, from, to);
	struct cqle_hint *hint, *last = list->last;
	bool through = emu->nodes[to].state == CQLEMU_NODE_UP && reachable(emu, from, to);
	if (emu->nodes[from].state != CQLEMU_NODE_UP || !emu->nodes[from].views[to].up)
		return; /* again when it starts, thaws or sees the node */
	if (!through) {
		hints_schedule(emu, from, to, emu->options.hint_retry_ns);
		return;
	}
	while ((hint = hint_pop(emu, list)) != NULL) {
		struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
			.message = CQLE_MSG_HINT,
			.from = (uint8_t)from,
			.to = (uint8_t)to,
			.mutation = hint->mutation };
		emu->counters.hints_replayed++;
		(void)cqle_send(emu, &message);
		cqle_mutation_unref(emu->heap, hint->mutation);
		bool done = hint == last;
		lab_heap_free(emu->heap, hint);
		if (done)
			break;
	}
	hints_schedule(emu, from, to, emu->options.hint_retry_ns);
}

void cqle_hints_drop_of(struct cqlemu *emu, size_t from)
{
	struct cqle_hint *hint;

	for (size_t to = 0; to < emu->node_count; to++) {
		while ((hint = hint_pop(emu, hint_list(emu, from, to))) != NULL) {
			cqle_mutation_unref(emu->heap, hint->mutation);
			lab_heap_free(emu->heap, hint);
		}
	}
}

void cqle_hints_drop(struct cqlemu *emu)
{
	for (size_t i = 0; i < emu->node_count; i++)
		cqle_hints_drop_of(emu, i);
}

/* ---- failure detectors ---- */

bool cqle_hears(const struct cqlemu *emu, size_t observer, size_t node)
{
	return emu->nodes[node].state == CQLEMU_NODE_UP && reachable(emu, node, observer) &&
	       reachable(emu, observer, node);
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
	hints_schedule(emu, observer, node, emu->options.hint_replay_ns);
}

static void see_down(struct cqlemu *emu, size_t observer, size_t node)
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
		see_down(emu, observer, node);
	return !view->up;
}

static void gossip_tick(struct cqlemu *emu)
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
		defer(emu, event->to, event);
		return;
	}
	if (state == CQLEMU_NODE_DOWN)
		lost(emu, event);
	else
		deliver(emu, event);
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
			defer(emu, event->op->node, event);
		else
			run_op_event(emu, event);
		break;
	case CQLE_EV_GOSSIP:
		emu->gossip = NULL;
		cqle_event_free(emu, event);
		gossip_tick(emu);
		break;
	case CQLE_EV_EXPIRE:
		if (emu->nodes[event->from].state == CQLEMU_NODE_FROZEN) {
			defer(emu, event->from, event);
			break;
		}
		if (emu->nodes[event->from].state == CQLEMU_NODE_UP && op_is_current(event))
			cqle_counter_expire(emu, event);
		cqle_event_free(emu, event);
		break;
	case CQLE_EV_SILENCE:
		cqle_snitch_silence(emu, event);
		cqle_event_free(emu, event);
		break;
	case CQLE_EV_HINTS: {
		size_t from = event->from, to = event->to;
		hint_list(emu, from, to)->event = NULL;
		cqle_event_free(emu, event);
		hints_replay(emu, from, to);
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

/* ---- node control ---- */

static void node_drop_deferred(struct cqlemu *emu, struct cqle_node *node)
{
	while (node->deferred != NULL) {
		struct cqle_event *event = node->deferred;
		node->deferred = event->next;
		if (event->kind == CQLE_EV_MESSAGE) {
			lost(emu, event);
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
	node_drop_deferred(emu, node);
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
		journal_recover(emu, index);
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
			see_down(emu, i, index);
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
			hints_schedule(emu, index, i, emu->options.hint_retry_ns);
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
		while ((hint = hint_pop(emu, &emu->hints[i])) != NULL) {
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
		node_drop_deferred(emu, &emu->nodes[i]);
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
