/* SPDX-License-Identifier: Apache-2.0
 *
 * change.c - INSERT, UPDATE, DELETE and BATCH: statements and values to mutations. A change that
 * depends on what is there (of lists, by index or by value) reads its rows first, at the request's
 * consistency level, as Cassandra does.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define BATCH_PARTITIONS_MAX 10000
#define UNLOGGED_PARTITIONS_WARN 10

/* ---- consistency levels that make no sense ---- */

const char *cqle_refused_consistency(const struct cqle_op *op, bool write)
{
	bool serial = op->consistency == CQL_SERIAL || op->consistency == CQL_LOCAL_SERIAL;
	if (op->consistency == CQL_NODE_LOCAL)
		return "NODE_LOCAL consistency level is highly dangerous and should be used only "
		       "for "
		       "debugging purposes";
	if (!write && op->consistency == CQL_ANY)
		return "ANY ConsistencyLevel is only supported for writes";
	if (write && serial)
		return "You must use conditional updates for serializable writes";
	return NULL;
}

/* ---- mutations ---- */

static int64_t default_timestamp(struct cqlemu *emu, const struct cqle_op *op)
{
	/* A service that keeps its own time takes no notice of the driver's. */
	if ((op->params.flags & CQL_PARAM_TIMESTAMP) != 0 && !emu->profile->no_timestamps)
		return op->params.timestamp_us;
	emu->last_timestamp_us = LAB_MAX(emu->last_timestamp_us + 1, cqle_wall_us(emu));
	return emu->last_timestamp_us;
}

const struct cqle_row *cqle_change_row(const struct cqle_change *change,
	const struct cqle_table *table, struct lab_view key, const struct lab_view *row)
{
	for (size_t i = 0; i < change->known_count; i++) {
		const struct cqle_known *k = &change->known[i];
		if (k->table == table && k->is_static == (row == NULL) &&
			lab_view_eq(cqle_bytes_view(k->key), key) &&
			(row == NULL || lab_view_eq(cqle_row_key(k->row), *row)))
			return k->row;
	}
	return NULL;
}

static int collect(struct cqlemu *emu, struct cqle_op *op, const struct cqle_change_item *item,
	int64_t timestamp, struct cqle_mutations *m, struct lab_error *err)
{
	int64_t by_default = timestamp;
	if (cqle_bind_change(emu, op->arena, item, &op->change, &timestamp, m, err) < 0)
		return -1;
	/* The access log has the client's only. */
	if ((op->params.flags & CQL_PARAM_TIMESTAMP) != 0 || timestamp != by_default)
		op->timestamp_us = timestamp;
	if (m->count > BATCH_PARTITIONS_MAX)
		return cqle_fail(err, CQL_E_INVALID, "Batch too large");
	return 0;
}

/* USING TIMESTAMP of a batch written as text. */
static int batch_timestamp(const struct cqle_op *op, const struct cqle_plan *batch,
	int64_t *timestamp, struct lab_error *err)
{
	if (batch == NULL || batch->kind != STATEMENT_BATCH || !batch->has_timestamp)
		return 0;
	struct lab_view bytes = batch->timestamp.is_marker
					? op->change.values[batch->timestamp.marker].bytes
					: batch->timestamp.bytes;
	if (cql_value_to_i64(CQL_TYPE_BIGINT, bytes, timestamp) < 0)
		return cqle_fail(err, CQL_E_INVALID, "Invalid value of timestamp");
	return 0;
}

static int check_batch_size(struct cqlemu *emu, struct cqle_op *op, const struct cqle_mutations *c,
	struct lab_error *err)
{
	uint64_t bytes = 0;
	const char *table =
		c->count == 0 ? "" : lab_arena_cstr(op->arena, c->items[0]->table->full_name);
	for (size_t i = 0; i < c->count; i++)
		bytes += c->items[i]->bytes;
	if (c->count < 2)
		return 0;
	if (bytes > emu->options.batch_fail_bytes)
		return cqle_fail(err, CQL_E_INVALID, "Batch too large");
	if (bytes > emu->options.batch_warn_bytes)
		cqle_op_warn(op, lab_arena_printf(op->arena,
					 "Batch for [%s] is of size %" PRIu64
					 ", exceeding specified threshold of %u by %" PRIu64 ".",
					 table, bytes, emu->options.batch_warn_bytes,
					 bytes - emu->options.batch_warn_bytes));
	else if (op->change.batch_type == CQL_BATCH_UNLOGGED && c->count > UNLOGGED_PARTITIONS_WARN)
		cqle_op_warn(op, lab_arena_printf(op->arena,
					 "Unlogged batch covering %zu partitions detected against "
					 "table [%s]. You "
					 "should use a logged batch for atomicity, or asynchronous "
					 "writes for "
					 "performance.",
					 c->count, table));
	return 0;
}

static void drop_collected(struct cqlemu *emu, struct cqle_mutations *c)
{
	for (size_t i = 0; i < c->count; i++)
		cqle_mutation_unref(emu->heap, c->items[i]);
	c->count = 0;
}

static int collect_all(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_mutations *m, struct lab_error *err)
{
	int64_t timestamp =
		op->paxos != NULL ? cqle_paxos_timestamp(op) : default_timestamp(emu, op);
	if (batch_timestamp(op, op->plan, &timestamp, err) < 0)
		return -1;
	for (size_t i = 0; i < op->change.count; i++) {
		if (collect(emu, op, &op->change.items[i], timestamp, m, err) < 0)
			return -1;
	}
	return op->change.is_batch ? check_batch_size(emu, op, m, err) : 0;
}

/* A hash of the first value, so that an oracle can tell two writes apart. */
static void note_value(struct cqle_op *op, const struct cqle_mutation *m)
{
	const struct cqle_row *row = m->row_count > 0 ? m->rows[0] : m->static_row;
	for (size_t i = 0; row != NULL && i < row->cell_count; i++) {
		if (row->cells[i].kind != CQLE_CELL_SIMPLE || row->cells[i].value == NULL)
			continue;
		op->body_hash = lab_hash_view(0, cqle_bytes_view(row->cells[i].value));
		return;
	}
}

static void write_begin(struct cqlemu *emu, struct cqle_op *op, const struct cqle_mutations *c,
	const char *write_type, const char *point)
{
	op->kind = CQLE_OP_WRITE;
	op->write_type = write_type;
	op->writes = lab_arena_array(op->arena, struct cqle_write, c->count);
	op->write_count = c->count;
	for (size_t i = 0; i < c->count; i++) {
		op->writes[i].mutation = c->items[i];
		op->bytes += c->items[i]->bytes;
	}
	if (c->count == 0) { /* an empty batch is legal */
		struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_VOID };
		cqle_op_answer(emu, op, &response);
		cqle_op_finish(emu, op);
		return;
	}
	if (emu->hooks.access != NULL)
		note_value(op, c->items[0]);
	cqle_request_begin(emu, op, point);
}

static const char *batch_write_type(enum cql_batch_type type, size_t partitions)
{
	if (partitions < 2)
		return "SIMPLE";
	return type == CQL_BATCH_LOGGED ? "BATCH" : "UNLOGGED_BATCH";
}

static void write_changes(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_mutations m = { NULL, 0, 0 };
	struct lab_error err;
	if (collect_all(emu, op, &m, &err) < 0) {
		drop_collected(emu, &m);
		cqle_op_fail(emu, op, &err);
		return;
	}
	bool delete = !op->change.is_batch && op->plan->kind == STATEMENT_DELETE;
	op->counter = m.count > 0 && cqle_table_is_counter(m.items[0]->table);
	write_begin(emu, op, &m,
		op->counter           ? "COUNTER"
		: op->change.is_batch ? batch_write_type(op->change.batch_type, m.count)
				      : "SIMPLE",
		delete ? "cql.delete" : "cql.write");
}

/* ---- IF ---- */

/* The rows have been read: are the conditions met, and if so, what is proposed? */
static void propose_changes(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_mutations m = { NULL, 0, 0 };
	struct lab_error err;
	op->kind = CQLE_OP_WRITE;
	op->consistency = op->paxos->commit_consistency;
	int result = cqle_conditions_hold(emu, op, &err);
	if (result > 0 && collect_all(emu, op, &m, &err) < 0)
		result = -1;
	if (result > 0)
		cqle_paxos_propose(emu, op, m.items[0]);
	else if (result == 0) /* also that nothing happens is agreed on; then they refuse */
		cqle_paxos_propose(emu, op, NULL);
	else
		cqle_op_fail(emu, op, &err);
	drop_collected(emu, &m);
}

void cqle_change_commit(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation)
{
	op->write_type = "SIMPLE";
	op->writes = lab_arena_array(op->arena, struct cqle_write, 1);
	op->write_count = 1;
	op->writes[0].mutation = cqle_mutation_ref(mutation);
	op->bytes = mutation->bytes;
	cqle_write_start(emu, op);
}

/* Statements about one row must ask for the same. */
static int check_mixed(const struct cqle_change *c, size_t at, struct lab_error *err)
{
	enum cqle_condition_kind kind = c->items[at].plan->condition;
	for (size_t i = 0; i < at; i++) {
		enum cqle_condition_kind other = c->items[i].plan->condition;
		if (other == CQLE_UNCONDITIONAL || other == kind ||
			!lab_view_eq(c->items[i].row, c->items[at].row))
			continue;
		return cqle_fail(err, CQL_E_INVALID,
			"Cannot mix IF conditions and IF NOT EXISTS for the same row");
	}
	return 0;
}

/* All statements must be about one partition. */
static int bind_partition(
	struct cqlemu *emu, struct cqle_op *op, struct lab_view *ret_key, struct lab_error *err)
{
	struct cqle_change *c = &op->change;
	for (size_t i = 0; i < c->count; i++) {
		struct cqle_change_item *item = &c->items[i];
		struct cqle_select select;
		if (cqle_bind_select(emu, op->arena, item->plan, item->values, &select, err) < 0)
			return -1;
		if (item->plan->table != c->items[0].plan->table)
			return cqle_fail(err, CQL_E_INVALID,
				"Batch with conditions cannot span multiple tables");
		if (select.keys.count != 1 ||
			(i > 0 && !lab_view_eq(*ret_key, select.keys.keys[0])))
			return cqle_fail(err, CQL_E_INVALID,
				"Batch with conditions cannot span multiple partitions");
		*ret_key = select.keys.keys[0];
		item->row = select.slices[0].start;
		if (item->plan->condition != CQLE_UNCONDITIONAL && check_mixed(c, i, err) < 0)
			return -1;
	}
	return 0;
}

static const char *refused_conditional(const struct cqle_op *op, enum cql_consistency serial)
{
	if (op->consistency == CQL_SERIAL || op->consistency == CQL_LOCAL_SERIAL)
		return op->consistency == CQL_SERIAL
			       ? "SERIAL is not supported as conditional update commit "
				 "consistency. "
				 "Use ANY if you mean \"make sure it is accepted but I don't care "
				 "how "
				 "many replicas commit it for non-SERIAL reads\""
			       : "LOCAL_SERIAL is not supported as conditional update commit "
				 "consistency. Use ANY if you mean \"make sure it is accepted but "
				 "I "
				 "don't care how many replicas commit it for non-SERIAL reads\"";
	if (serial != CQL_SERIAL && serial != CQL_LOCAL_SERIAL)
		return "Invalid consistency for conditional update. Must be one of SERIAL or "
		       "LOCAL_SERIAL";
	return NULL;
}

static void conditional_start(struct cqlemu *emu, struct cqle_op *op)
{
	struct lab_view key;
	struct lab_error err;
	bool given = (op->params.flags & CQL_PARAM_SERIAL) != 0;
	enum cql_consistency serial = given ? op->params.serial_consistency : CQL_SERIAL;
	const char *refused = refused_conditional(op, serial);
	if (refused != NULL) {
		cqle_op_refuse(emu, op, CQL_E_INVALID, refused);
		return;
	}
	if (bind_partition(emu, op, &key, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	(void)cqle_paxos_new(emu, op, op->change.items[0].plan->table, key, serial);
	op->kind = CQLE_OP_WRITE;
	op->write_type = "CAS";
	cqle_request_begin(emu, op, "cql.write");
}

/* ---- rows that have to be known ---- */

static void add_known(struct cqlemu *emu, struct cqle_op *op, const struct cqle_part *part,
	struct cqle_row *row, bool is_static)
{
	struct cqle_change *c = &op->change;
	if (c->known_count == c->known_capacity) {
		size_t wanted = c->known_capacity == 0 ? 4 : c->known_capacity * 2;
		struct cqle_known *larger = lab_arena_array(op->arena, struct cqle_known, wanted);
		if (c->known_count > 0)
			memcpy(larger, c->known, c->known_count * sizeof(*larger));
		c->known = larger;
		c->known_capacity = wanted;
	}
	(void)emu;
	c->known[c->known_count++] = (struct cqle_known){ op->reading->table,
		cqle_bytes_ref(part->key), cqle_row_ref(row), is_static };
}

static void forget_known(struct cqlemu *emu, struct cqle_op *op)
{
	for (size_t i = 0; i < op->change.known_count; i++) {
		cqle_bytes_unref(emu->heap, op->change.known[i].key);
		cqle_row_unref(emu->heap, op->change.known[i].row);
	}
	op->change.known_count = 0;
}

void cqle_change_known(struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer)
{
	for (size_t i = 0; i < answer->part_count; i++) {
		const struct cqle_part *part = &answer->parts[i];
		if (part->static_row != NULL)
			add_known(emu, op, part, part->static_row, true);
		for (size_t j = part->row_begin; j < part->row_end; j++)
			add_known(emu, op, part, answer->rows[j], false);
	}
}

/* Reads for the next statement that needs it; false if none is left. */
static bool read_next(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_change *c = &op->change;
	struct lab_error err;
	while (c->next < c->count && !c->items[c->next].plan->needs_read &&
		c->items[c->next].plan->condition == CQLE_UNCONDITIONAL)
		c->next++;
	if (c->next == c->count)
		return false;
	const struct cqle_change_item *item = &c->items[c->next++];
	if (cqle_bind_select(emu, op->arena, item->plan, item->values, &op->select, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return true;
	}
	op->reading = item->plan;
	cqle_read_prepare(emu, op);
	cqle_read_start(emu, op);
	return true;
}

void cqle_change_read_done(struct cqlemu *emu, struct cqle_op *op)
{
	if (read_next(emu, op))
		return;
	op->change.reading = false;
	cqle_op_disarm(emu, &op->timer);
	if (op->paxos != NULL)
		propose_changes(emu, op);
	else
		write_changes(emu, op);
}

void cqle_change_read(struct cqlemu *emu, struct cqle_op *op)
{
	op->change.reading = true;
	op->change.next = 0;
	forget_known(emu, op);
	(void)read_next(emu, op);
}

/* ---- from outside ---- */

void cqle_change_add(struct cqle_op *op, struct cqle_plan *plan, const struct cql_bind *values)
{
	op->change.items[op->change.count++] = (struct cqle_change_item){ .plan = plan,
		.values = values,
		.has_now = (op->params.flags & CQL_PARAM_NOW) != 0,
		.now_s = op->params.now_s };
	op->change.conditional = op->change.conditional || plan->condition != CQLE_UNCONDITIONAL;
	op->change.reading = op->change.reading || plan->needs_read;
	if (plan->arena != NULL)
		plan->refs++;
}

/* Of an increment; NULL if it may be. */
static const char *refused_counter(const struct cqle_op *op)
{
	const struct cqle_plan *plan = op->change.count > 0 ? op->change.items[0].plan : NULL;
	if (plan == NULL || !cqle_table_is_counter(plan->table))
		return NULL;
	if (op->consistency == CQL_ANY)
		return lab_arena_printf(op->arena,
			"Consistency level ANY is not yet supported for counter table %.*s",
			LAB_VIEW_ARG(plan->table->name));
	return op->consistency == CQL_SERIAL || op->consistency == CQL_LOCAL_SERIAL
		       ? "Counter operations are inherently non-serializable"
		       : NULL;
}

void cqle_change_start(struct cqlemu *emu, struct cqle_op *op)
{
	const char *refused = NULL;
	if (op->change.conditional) {
		op->change.reading = false;
		conditional_start(emu, op);
		return;
	}
	refused = refused_counter(op);
	if (refused == NULL)
		refused = cqle_refused_consistency(op, true);
	if (refused == NULL && op->change.reading)
		refused = cqle_refused_consistency(op, false);
	if (refused != NULL)
		cqle_op_refuse(emu, op, CQL_E_INVALID, refused);
	else if (op->change.reading)
		(void)read_next(emu, op);
	else
		write_changes(emu, op);
}

static void add_all(struct cqle_op *op, struct cqle_plan *plan, const struct cql_bind *values)
{
	size_t count = plan->kind == STATEMENT_BATCH ? plan->batch_count : 1;
	op->change.values = values;
	op->change.is_batch = plan->kind == STATEMENT_BATCH;
	op->change.batch_type = plan->batch_type;
	op->change.items = lab_arena_array(op->arena, struct cqle_change_item, count + 1);
	for (size_t i = 0; i < count; i++)
		cqle_change_add(op, op->change.is_batch ? plan->batch[i] : plan, values);
}

void cqle_do_change(struct cqlemu *emu, struct cqle_op *op, const struct cql_bind *values)
{
	struct cqle_plan *plan = op->plan;
	emu->counters.deletes += plan->kind == STATEMENT_DELETE;
	emu->counters.batches += plan->kind == STATEMENT_BATCH;
	emu->counters.writes += plan->kind == STATEMENT_INSERT || plan->kind == STATEMENT_UPDATE;
	add_all(op, plan, values);
	cqle_change_start(emu, op);
}

void cqle_change_release(struct cqlemu *emu, struct cqle_op *op)
{
	for (size_t i = 0; i < op->change.count; i++)
		cqle_plan_unref(emu, op->change.items[i].plan);
	forget_known(emu, op);
}

/* ---- set-up ---- */

static void apply_everywhere(struct cqlemu *emu, struct cqle_mutations *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct cqle_mutation *change = m->items[i];
		const struct cqle_replicas *r =
			cqle_replicas_of(emu, change->table->keyspace, change->token);
		if (cqle_table_is_counter(change->table) && r->count > 0) {
			m->items[i] = cqle_counter_resolve(emu, r->nodes[0], change);
			cqle_mutation_unref(emu->heap, change);
			change = m->items[i];
		}
		for (size_t j = 0; j < r->count; j++)
			cqle_apply_at(emu, r->nodes[j], change);
	}
}

int cqle_change_setup(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_plan *plan, struct lab_error *err)
{
	struct cqle_mutations m = { NULL, 0, 0 };
	add_all(op, plan, NULL);
	if (op->change.reading || op->change.conditional)
		return cqle_fail(err, CQL_E_INVALID,
			"A change that depends on what is there cannot be made in set-up");
	op->plan = plan->arena == NULL ? plan : op->plan;
	int result = collect_all(emu, op, &m, err);
	if (result == 0)
		apply_everywhere(emu, &m);
	drop_collected(emu, &m);
	return result;
}
