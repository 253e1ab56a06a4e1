/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.c - what an engine keeps (storage-engine.h): stores, the statements that made the schema;
 * and answers, which wait until what they tell of is kept.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define HELD_FLUSH_BYTES ((size_t)1 << 20)
#define STORE_NAME_BYTES (CQL_UUID_BYTES + 2)

/* ---- stores ---- */

static struct lab_view store_name(
	const struct cqle_table *table, size_t node, bool durable, uint8_t buf[STORE_NAME_BYTES])
{
	memcpy(buf, table->id, CQL_UUID_BYTES);
	buf[CQL_UUID_BYTES] = (uint8_t)node;
	buf[CQL_UUID_BYTES + 1] = durable;
	return lab_view_of(buf, STORE_NAME_BYTES);
}

struct cqle_store **cqle_stores_new(
	struct cqlemu *emu, const struct cqle_table *table, bool durable)
{
	struct cqle_store **stores = lab_new_array(emu->heap, struct cqle_store *, emu->node_count);
	const struct cqlemu_engine_ops *ops = emu->options.engine_ops;
	uint8_t name[STORE_NAME_BYTES];
	for (size_t i = 0; i < emu->node_count; i++)
		stores[i] = ops == NULL || table->keyspace->local
				    ? cqle_store_new(emu->heap)
				    : cqle_store_open(emu->heap, ops, emu->options.engine,
					      store_name(table, i, durable, name));
	return stores;
}

/* ---- the schema ---- */

void cqle_keep_statement(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	const struct cql_schema_change *change)
{
	const struct cqlemu_engine_ops *ops = emu->options.engine_ops;
	bool of_table = lab_view_eq_cstr(change->target, "TABLE");
	struct lab_view table = of_table ? change->name : lab_view_of("", 0);
	if (ops == NULL || emu->restoring || !emu->system_ready)
		return;
	if (s->kind == STATEMENT_DROP_TABLE || s->kind == STATEMENT_DROP_KEYSPACE) {
		ops->statements_drop(emu->options.engine, change->keyspace, table);
		return;
	}
	/* What another side of a partition made under this name is replaced. */
	const struct cqle_keyspace *ks = cqle_keyspace_find(emu, change->keyspace);
	if (s->kind == STATEMENT_CREATE_TABLE)
		ops->statements_drop(emu->options.engine, change->keyspace, table);
	else if (s->kind == STATEMENT_CREATE_KEYSPACE && (ks == NULL || ks->adopted))
		return;
	struct cqlemu_engine_statement statement = { .schema_version = emu->schema_version,
		.keyspace = change->keyspace,
		.table = table,
		.current = current,
		.text = s->text };
	ops->statement_add(emu->options.engine, &statement);
}

/* Nodes, their places and their tokens: data that were spread over others make no sense. */
static struct lab_view describe_cluster(struct cqlemu *emu)
{
	struct lab_buf out;
	lab_buf_init(&out, emu->heap, (size_t)1 << 20);
	lab_buf_printf(&out, "%.*s, seed %" PRIu64 "\n", LAB_VIEW_ARG(emu->options.cluster_name),
		emu->options.seed);
	for (size_t i = 0; i < emu->node_count; i++)
		lab_buf_printf(&out, "%.*s %.*s %.*s\n", LAB_VIEW_ARG(emu->nodes[i].name),
			LAB_VIEW_ARG(emu->nodes[i].dc_name), LAB_VIEW_ARG(emu->nodes[i].rack_name));
	for (size_t i = 0; i < emu->ring_count; i++)
		lab_buf_printf(&out, "%" PRId64 " %zu\n", emu->ring[i].token, emu->ring[i].node);
	struct lab_view text = lab_arena_copy(emu->scratch, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

static int make_again(
	struct cqlemu *emu, const struct cqlemu_engine_statement *statement, struct lab_error *err)
{
	struct lab_view text = lab_arena_copy(emu->scratch, statement->text);
	const struct cqle_keyspace *current = cqle_keyspace_find(emu, statement->current);
	emu->setup_keyspace = current == NULL ? lab_view_of(NULL, 0) : current->name;
	emu->schema_version = statement->schema_version;
	if (cqle_setup(emu, text, err) == 0)
		return 0;
	return lab_error_wrap(err, "the schema that was kept cannot be made again");
}

/* What was not yet synced when the program ended is there all the same. */
static void restore_durable(struct cqlemu *emu)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		const struct cqle_table *t = emu->tables[i];
		for (size_t n = 0; t->durable != NULL && n < emu->node_count; n++) {
			cqle_store_clear(t->durable[n]);
			cqle_store_copy(t->durable[n], t->stores[n]);
		}
	}
}

int cqle_keep_restore(struct cqlemu *emu, struct lab_error *err)
{
	const struct cqlemu_engine_ops *ops = emu->options.engine_ops;
	struct cqlemu_engine_statement statement = { .number = INT64_MIN };
	int result = 0;
	if (ops == NULL)
		return 0;
	if (ops->identify(emu->options.engine, describe_cluster(emu), err) < 0)
		return -1;
	emu->restoring = true;
	while (result == 0 &&
		ops->statement_next(emu->options.engine, statement.number, &statement))
		result = make_again(emu, &statement, err);
	emu->restoring = false;
	emu->setup_keyspace = lab_view_of(NULL, 0);
	if (result < 0)
		return -1;
	/* What now() and uuid() gave in an earlier life does not come again. */
	if (statement.number != INT64_MIN)
		emu->uuid_count = (uint64_t)emu->options.epoch_us;
	restore_durable(emu);
	if (ops->commit(emu->options.engine) < 0)
		return lab_fail(err, LAB_IO, "Cassandra's data cannot be read");
	return 0;
}

/* ---- answers ---- */

static void flush_session(struct cqle_session *s)
{
	enum sim_wire wire = s->held_wire;
	struct lab_buf out = s->held;
	s->holding = false;
	s->held_wire = SIM_WIRE_ANSWER;
	lab_buf_init(&s->held, out.heap, out.max_bytes);
	if (!s->close_pending && (out.len > 0 || wire == SIM_WIRE_ANSWER_CLOSE))
		s->output(s->output_ctx, lab_buf_view(&out),
			wire == SIM_WIRE_RESET ? SIM_WIRE_ANSWER : wire);
	if (!s->close_pending && wire == SIM_WIRE_RESET)
		s->output(s->output_ctx, lab_view_of("", 0), SIM_WIRE_RESET);
	lab_buf_done(&out);
}

static void flush(struct cqlemu *emu)
{
	while (emu->holding != NULL) {
		struct cqle_session *s = emu->holding;
		emu->holding = s->next_holding;
		flush_session(s);
	}
}

void cqle_output(
	struct cqlemu *emu, struct cqle_session *s, struct lab_view data, enum sim_wire wire)
{
	if (emu->options.engine_ops == NULL) {
		s->output(s->output_ctx, data, wire);
		return;
	}
	if (!s->holding) {
		s->holding = true;
		s->next_holding = emu->holding;
		emu->holding = s;
	}
	lab_buf_append_view(&s->held, data);
	if (wire != SIM_WIRE_ANSWER)
		s->held_wire = wire;
	emu->held_bytes += data.len;
	if (emu->held_bytes >= HELD_FLUSH_BYTES)
		cqle_keep(emu, false);
}

/* Nobody is told what is not true. */
static void forget_answers(struct cqlemu *emu)
{
	for (struct cqle_session *s = emu->holding; s != NULL; s = s->next_holding)
		lab_buf_reset(&s->held);
}

/* What the stores remember of themselves is not true, either. */
static void nodes_die(struct cqlemu *emu)
{
	uint8_t name[STORE_NAME_BYTES];
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		for (size_t n = 0; !t->keyspace->local && n < emu->node_count; n++) {
			cqle_store_reopen(t->stores[n], store_name(t, n, false, name));
			if (t->durable != NULL)
				cqle_store_reopen(t->durable[n], store_name(t, n, true, name));
		}
	}
	for (size_t i = 0; i < emu->node_count; i++)
		cqle_node_die(emu, i);
}

void cqle_keep(struct cqlemu *emu, bool at_end)
{
	const struct cqlemu_engine_ops *ops = emu->options.engine_ops;
	if (ops == NULL || emu->keeping)
		return;
	emu->keeping = true;
	emu->held_bytes = 0;
	if (ops->commit(emu->options.engine) < 0)
		emu->keep_failed = true;
	if (emu->keep_failed)
		forget_answers(emu);
	if (emu->keep_failed && at_end) {
		emu->keep_failed = false;
		nodes_die(emu);
	}
	flush(emu);
	emu->keeping = false;
}
