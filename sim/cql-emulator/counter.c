/* SPDX-License-Identifier: Apache-2.0
 *
 * counter.c - increments. One replica leads each: it reads its own shard, adds, and sends the new
 * shard to the others, so that replicas merge and never add. What is under way to it is a delta. A
 * client that repeats an increment counts twice; that is what counters are (cql-imds 3.6, 4.2).
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define CLOCK_AT CQL_UUID_BYTES
#define COUNT_AT (CQL_UUID_BYTES + 8)

static uint64_t number_at(const uint8_t *bytes)
{
	struct cql_reader reader = cql_reader_of(lab_view_of(bytes, 8));
	return (uint64_t)cql_read_long(&reader);
}

static void put_number(uint8_t *bytes, uint64_t number)
{
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

int64_t cqle_counter_value(const struct cqle_bytes *shards)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < shards->len; i += CQLE_SHARD_BYTES)
		sum += number_at(shards->data + i + COUNT_AT);
	return (int64_t)sum;
}

struct cqle_bytes *cqle_counter_delta(struct lab_heap *heap, uint64_t delta)
{
	uint8_t bytes[CQLE_DELTA_BYTES];
	put_number(bytes, delta);
	return cqle_bytes_new(heap, lab_view_of(bytes, sizeof(bytes)));
}

static struct cqle_bytes *add_deltas(
	struct lab_heap *heap, const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	return cqle_counter_delta(heap, number_at(a->data) + number_at(b->data));
}

/* Of each shard the one with the higher clock; shards are in the order of their ids. */
static struct cqle_bytes *merge_shards(
	struct lab_heap *heap, const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	struct cqle_bytes *merged = lab_heap_alloc(heap, sizeof(*merged) + (size_t)a->len + b->len);
	size_t ia = 0, ib = 0;
	merged->refs = 1;
	while (ia < a->len || ib < b->len) {
		const uint8_t *x = ia < a->len ? a->data + ia : NULL;
		const uint8_t *y = ib < b->len ? b->data + ib : NULL;
		int order = x == NULL ? 1 : y == NULL ? -1 : memcmp(x, y, CQL_UUID_BYTES);
		bool take_x = order < 0 || (order == 0 && memcmp(x, y, CQLE_SHARD_BYTES) >= 0);
		memcpy(merged->data + merged->len, take_x ? x : y, CQLE_SHARD_BYTES);
		merged->len += CQLE_SHARD_BYTES;
		ia += order <= 0 ? CQLE_SHARD_BYTES : 0;
		ib += order >= 0 ? CQLE_SHARD_BYTES : 0;
	}
	return merged;
}

struct cqle_bytes *cqle_counter_merge(
	struct lab_heap *heap, const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	return a->len == CQLE_DELTA_BYTES ? add_deltas(heap, a, b) : merge_shards(heap, a, b);
}

/* ---- the leader ---- */

static const uint8_t *own_shard(const struct cqle_bytes *shards, const uint8_t *host_id)
{
	for (size_t i = 0; shards != NULL && i < shards->len; i += CQLE_SHARD_BYTES) {
		if (memcmp(shards->data + i, host_id, CQL_UUID_BYTES) == 0)
			return shards->data + i;
	}
	return NULL;
}

/* The leader's shard after the increment. */
static struct cqle_bytes *advance(struct lab_heap *heap, const uint8_t *host_id,
	const struct cqle_cell *present, const struct cqle_bytes *delta)
{
	uint8_t shard[CQLE_SHARD_BYTES] = { 0 };
	const uint8_t *old = own_shard(present == NULL ? NULL : present->value, host_id);
	uint64_t clock = old == NULL ? 0 : number_at(old + CLOCK_AT);
	uint64_t count = old == NULL ? 0 : number_at(old + COUNT_AT);
	memcpy(shard, host_id, CQL_UUID_BYTES);
	put_number(shard + CLOCK_AT, clock + 1);
	put_number(shard + COUNT_AT, count + number_at(delta->data));
	return cqle_bytes_new(heap, lab_view_of(shard, sizeof(shard)));
}

/* The row with shards in place of deltas. */
static struct cqle_row *resolve_row(struct lab_heap *heap, const uint8_t *host_id,
	struct cqle_row *change, const struct cqle_row *present)
{
	struct cqle_row *row = cqle_row_new(heap, cqle_row_key(change), change->cell_count);
	row->deletion = change->deletion;
	for (size_t i = 0; i < change->cell_count; i++) {
		const struct cqle_cell *cell = &change->cells[i];
		row->cells[i] = *cell;
		if (cell->value != NULL)
			row->cells[i].value = advance(heap, host_id,
				present == NULL ? NULL : &present->cells[i], cell->value);
	}
	return row;
}

static struct cqle_mutation *resolve(struct cqlemu *emu, size_t node, const struct cqle_mutation *m)
{
	struct lab_heap *heap = emu->heap;
	struct lab_view key = cqle_bytes_view(m->key);
	const uint8_t *id = emu->nodes[node].host_id;
	const struct cqle_partition *p = cqle_store_find(m->table->stores[node], m->token, key);
	struct cqle_mutation *resolved = cqle_mutation_new(heap, m->table, key, m->token);
	resolved->deletion = m->deletion;
	if (m->static_row != NULL)
		resolved->static_row =
			resolve_row(heap, id, m->static_row, p == NULL ? NULL : p->static_row);
	for (size_t i = 0; i < m->row_count; i++) {
		const struct cqle_row *present =
			p == NULL ? NULL : cqle_row_find(p, cqle_row_key(m->rows[i]));
		cqle_mutation_add_row(heap, resolved, resolve_row(heap, id, m->rows[i], present));
	}
	for (size_t i = 0; i < m->range_count; i++)
		cqle_mutation_add_range(heap, resolved, cqle_bytes_view(m->ranges[i].start),
			m->ranges[i].end == NULL ? lab_view_of(NULL, 0)
						 : cqle_bytes_view(m->ranges[i].end),
			m->ranges[i].deletion);
	return resolved;
}

struct cqle_mutation *cqle_counter_resolve(struct cqlemu *emu, size_t node, struct cqle_mutation *m)
{
	struct cqle_mutation *current = cqle_mutation_current(emu->heap, m);
	if (current == NULL)
		return cqle_mutation_ref(m); /* nobody will apply it */
	struct cqle_mutation *resolved = resolve(emu, node, current);
	cqle_mutation_unref(emu->heap, current);
	return resolved;
}

/* Any one of the coordinator's data centre (StorageProxy.findSuitableReplica), else the first. */
size_t cqle_counter_leader(
	const struct cqlemu *emu, const struct cqle_op *op, uint32_t slot, uint64_t live)
{
	uint64_t local = live & emu->dc_nodes[emu->nodes[op->node].dc];
	if (local == 0)
		return (size_t)__builtin_ctzll(live);
	uint64_t draw = lab_draw(emu->options.seed, "cql.leader", op->serial, slot);
	for (uint64_t skip = lab_pick(draw, (uint64_t)__builtin_popcountll(local)); skip > 0;
		skip--)
		local &= local - 1;
	return (size_t)__builtin_ctzll(local);
}

/* ---- who has it, by the leader's count ---- */

static void tell_coordinator(struct cqlemu *emu, struct cqle_op *op, uint32_t slot, size_t leader)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_COUNTER_DONE,
		.from = (uint8_t)leader,
		.to = (uint8_t)op->node,
		.op = op,
		.op_serial = op->serial,
		.slot = slot };
	(void)cqle_send(emu, &message);
}

void cqle_counter_ack(struct cqlemu *emu, const struct cqle_event *message)
{
	struct cqle_op *op = message->op;
	struct cqle_write *w = &op->writes[message->slot];
	const struct cqle_keyspace *ks = w->mutation->table->keyspace;
	unsigned required = cqle_block_for(emu, ks, op->consistency, w->leader);
	bool before = cqle_received(emu, ks, op->consistency, w->leader, w->acked) >= required;
	cqle_op_hold(op);
	w->acked |= cqle_bit(message->from);
	if (!before && cqle_received(emu, ks, op->consistency, w->leader, w->acked) >= required)
		tell_coordinator(emu, op, message->slot, w->leader);
	else
		cqle_write_ack(emu, op, message->slot, message->from);
	cqle_op_release(emu, op);
}

/* What a leader sent is given up after the time-out of ordinary writes, not that of counters. If
 * too few are left for the consistency level, a leader that is the coordinator says who failed; any
 * other one says that all is well (its handler's callback does not ask why it was called). */
void cqle_counter_expire(struct cqlemu *emu, const struct cqle_event *event)
{
	struct cqle_op *op = event->op;
	struct cqle_write *w = &op->writes[event->slot];
	const struct cqle_keyspace *ks = w->mutation->table->keyspace;
	uint64_t candidates = cqle_eligible(emu, op->consistency, w->leader, w->replicas);
	uint64_t failed = candidates & w->sent & ~w->acked;
	unsigned required = cqle_block_for(emu, ks, op->consistency, w->leader);
	unsigned left = (unsigned)__builtin_popcountll(candidates & ~failed);
	if (w->led || left >= required)
		return;
	cqle_op_hold(op);
	if (w->leader != op->node)
		tell_coordinator(emu, op, event->slot, w->leader);
	else if (!op->answered)
		cqle_counter_answer_failure(emu, op, w, failed);
	cqle_op_release(emu, op);
}

static void expire_later(struct cqlemu *emu, const struct cqle_event *message, size_t leader)
{
	struct cqle_event *event = cqle_event_new(emu, CQLE_EV_EXPIRE);
	event->from = (uint8_t)leader;
	event->op = message->op;
	event->op_serial = message->op_serial;
	event->slot = message->slot;
	cqle_schedule(emu, event,
		cqle_expiry_ns(emu, leader, emu->now_ns, emu->options.write_timeout_ns));
}

/* The leader tells the others; they answer it. */
void cqle_counter_lead(struct cqlemu *emu, const struct cqle_event *message, bool current)
{
	size_t leader = message->to;
	struct cqle_mutation *m = cqle_counter_resolve(emu, leader, message->mutation);
	const struct cqle_replicas *replicas = cqle_replicas_of(emu, m->table->keyspace, m->token);
	uint64_t live = cqle_live_view(emu, leader), sent = cqle_bit(leader);
	struct cqle_event copy = *message;
	cqle_apply_at(emu, leader, m);
	copy.message = CQLE_MSG_WRITE;
	copy.from = (uint8_t)leader;
	copy.reply_to = (uint8_t)leader;
	copy.mutation = m;
	for (size_t i = 0; i < replicas->count; i++) {
		size_t node = replicas->nodes[i];
		bool chosen = node != leader && (message->forward & cqle_bit(node)) != 0;
		if (chosen && (live & cqle_bit(node)) == 0)
			cqle_hint(emu, leader, node, m);
		else if (chosen)
			sent |= cqle_bit(node);
	}
	if (current) {
		struct cqle_write *w = &message->op->writes[message->slot];
		cqle_mutation_unref(emu->heap, w->mutation);
		w->mutation = cqle_mutation_ref(m);
		w->resolved = true;
		w->leader = leader;
		w->sent |= sent;
		expire_later(emu, message, leader);
	}
	copy.forward = 0;
	for (uint64_t rest = sent & ~cqle_bit(leader); rest != 0; rest &= rest - 1) {
		copy.to = (uint8_t)__builtin_ctzll(rest);
		(void)cqle_send(emu, &copy);
	}
	cqle_mutation_unref(emu->heap, m);
}
