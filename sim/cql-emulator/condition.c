/* SPDX-License-Identifier: Apache-2.0
 *
 * condition.c - IF: does it hold for the rows that were read, and what is answered.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* A statement of a conditional change with the row that it is about. */
struct subject {
	const struct cqle_plan *plan;
	const struct cqle_row *row, *statics; /* NULL: not there, or not live */
	struct lab_view key;
};

static const struct cqle_row *live_row(const struct cqlemu *emu, const struct cqle_row *row)
{
	return row != NULL && cqle_row_is_live(row, cqle_wall_s(emu)) ? row : NULL;
}

/* The row of the statement; of one that names no row, the first that there is. */
static struct subject subject_of(
	struct cqlemu *emu, const struct cqle_op *op, const struct cqle_change_item *item)
{
	const struct cqle_change *c = &op->change;
	struct lab_view key = cqle_bytes_view(op->paxos->key);
	struct subject s = { .plan = item->plan, .key = key };
	s.statics = live_row(emu, cqle_change_row(c, item->plan->table, key, NULL));
	for (size_t i = 0; i < c->known_count && s.row == NULL; i++) {
		const struct cqle_known *k = &c->known[i];
		bool ours = item->plan->static_only || lab_view_eq(cqle_row_key(k->row), item->row);
		if (!k->is_static && k->table == item->plan->table && ours)
			s.row = live_row(emu, k->row);
	}
	return s;
}

static struct lab_view value_of(struct cqlemu *emu, struct lab_arena *arena,
	const struct subject *s, const struct cqle_column *c)
{
	const struct cqle_row *row = c->kind == CQLE_STATIC ? s->statics : s->row;
	/* A statement about statics does not read the rows' columns. */
	if (row == NULL || (s->plan->static_only && c->kind != CQLE_STATIC))
		return lab_view_of(NULL, 0);
	return cqle_cell_value(arena, c, &row->cells[c->position], cqle_wall_s(emu));
}

static bool value_matches(struct lab_arena *arena, const struct cqle_condition *c,
	struct lab_view value, struct lab_view wanted)
{
	bool equal = value.ptr == NULL || wanted.ptr == NULL
			     ? value.ptr == wanted.ptr
			     : cqle_value_compare(arena, c->type, value, wanted) == 0;
	if (c->op == OP_EQ || c->op == OP_IN)
		return equal;
	if (c->op == OP_NE)
		return !equal;
	return value.ptr != NULL &&
	       cqle_order_matches(c->op, cqle_value_compare(arena, c->type, value, wanted));
}

static bool condition_holds(struct cqlemu *emu, struct lab_arena *arena, const struct subject *s,
	const struct cqle_condition *c)
{
	struct lab_view value = value_of(emu, arena, s, c->column);
	int64_t index;
	if (c->field > 0 && value.ptr != NULL)
		value = cqle_field_at(value, c->field - 1);
	if (c->has_key && value.ptr != NULL && c->column->type.id != CQL_TYPE_LIST)
		value = cqle_collection_at(&c->column->type, value, c->key);
	else if (c->has_key && value.ptr != NULL)
		value = cql_value_to_i64(CQL_TYPE_INT, c->key, &index) < 0
				? lab_view_of(NULL, 0)
				: cqle_list_at(value, index);
	for (size_t i = 0; i < c->value_count; i++) {
		if (value_matches(arena, c, value, c->values[i]))
			return true;
	}
	return false;
}

static bool is_there(const struct subject *s)
{
	return s->row != NULL || (s->plan->static_only && s->statics != NULL);
}

/* 1, 0, or -1. */
static int holds(struct cqlemu *emu, struct cqle_op *op, const struct cqle_change_item *item,
	const struct subject *s, struct lab_error *err)
{
	struct cqle_condition *conditions;
	if (s->plan->condition == CQLE_IF_NOT_EXISTS)
		return !is_there(s);
	if (s->plan->condition == CQLE_IF_EXISTS)
		return is_there(s);
	if (cqle_bind_conditions(emu, op->arena, s->plan, item->values, &conditions, err) < 0)
		return -1;
	for (size_t i = 0; i < s->plan->condition_count; i++) {
		if (!condition_holds(emu, op->arena, s, &conditions[i]))
			return 0;
	}
	return 1;
}

int cqle_conditions_hold(struct cqlemu *emu, struct cqle_op *op, struct lab_error *err)
{
	for (size_t i = 0; i < op->change.count; i++) {
		const struct cqle_change_item *item = &op->change.items[i];
		if (item->plan->condition == CQLE_UNCONDITIONAL)
			continue;
		struct subject s = subject_of(emu, op, item);
		int result = holds(emu, op, item, &s, err);
		if (result != 1)
			return result;
	}
	return 1;
}

/* ---- the answer ---- */

struct shown {
	const struct cqle_column *columns[CQLEMU_COLUMNS_MAX];
	size_t count;
};

static void show(struct shown *shown, const struct cqle_column *column)
{
	for (size_t i = 0; i < shown->count; i++) {
		if (shown->columns[i] == column)
			return;
	}
	shown->columns[shown->count++] = column;
}

/* Of a refused INSERT everything, else what the conditions were about; of a batch with its keys. */
static void show_columns(const struct cqle_op *op, struct shown *shown)
{
	const struct cqle_table *t = op->paxos->table;
	bool everything = false, columns = false;
	for (size_t i = 0; i < op->change.count; i++) {
		everything =
			everything || op->change.items[i].plan->condition == CQLE_IF_NOT_EXISTS;
		columns = columns || op->change.items[i].plan->condition_count > 0;
	}
	size_t keys = op->change.is_batch && columns ? t->pk_count + t->ck_count : 0;
	for (size_t i = 0; i < (everything ? t->column_count : keys); i++)
		show(shown, &t->columns[i]);
	for (size_t i = 0; !everything && i < op->change.count; i++) {
		const struct cqle_plan *plan = op->change.items[i].plan;
		for (size_t j = 0; j < plan->condition_count; j++)
			show(shown, plan->conditions[j].column);
	}
}

static void put_metadata(struct cqle_op *op, const struct shown *shown, struct cql_rows *rows)
{
	const struct cqle_table *t = op->paxos->table;
	struct cql_column *columns =
		lab_arena_array(op->arena, struct cql_column, shown->count + 1);
	columns[0] = (struct cql_column){ .name = LAB_VIEW("[applied]"),
		.type = { .id = CQL_TYPE_BOOLEAN } };
	for (size_t i = 0; i < shown->count; i++) {
		columns[i + 1].name = shown->columns[i]->name;
		columns[i + 1].type = shown->columns[i]->type;
	}
	for (size_t i = 0; i <= shown->count; i++) {
		columns[i].keyspace = t->keyspace->name;
		columns[i].table = t->name;
	}
	rows->metadata.columns = columns;
	rows->metadata.column_count = shown->count + 1;
}

static void put_row(struct cqlemu *emu, struct cqle_op *op, const struct subject *s,
	const struct shown *shown, struct lab_view *cells)
{
	struct cqle_key_view keys = { .table = op->paxos->table,
		.key = s->key,
		.row = s->row == NULL ? lab_view_of(NULL, 0) : cqle_row_key(s->row) };
	cells[0] = cql_value_boolean(op->arena, false);
	for (size_t i = 0; i < shown->count; i++) {
		const struct cqle_column *c = shown->columns[i];
		struct lab_view value = c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING
						? cqle_key_value(op->arena, &keys, c)
						: value_of(emu, op->arena, s, c);
		cells[1 + i] = value.ptr == NULL ? value : lab_arena_copy(op->arena, value);
	}
}

static bool same_row(const struct subject *a, const struct subject *b)
{
	return a->row == b->row;
}

/* Rows that the conditions were about and that are there, each once. */
static size_t present_rows(struct cqlemu *emu, struct cqle_op *op, struct subject *ret)
{
	size_t count = 0;
	for (size_t i = 0; i < op->change.count; i++) {
		const struct cqle_change_item *item = &op->change.items[i];
		if (item->plan->condition == CQLE_UNCONDITIONAL)
			continue;
		ret[count] = subject_of(emu, op, item);
		bool here = ret[count].row != NULL ||
			    (ret[count].statics != NULL && item->plan->static_only);
		for (size_t j = 0; here && j < count; j++)
			here = !same_row(&ret[j], &ret[count]);
		count += here;
	}
	return count;
}

void cqle_conditions_refuse(struct cqlemu *emu, struct cqle_op *op)
{
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	struct subject *rows = lab_arena_array(op->arena, struct subject, op->change.count + 1);
	size_t count = present_rows(emu, op, rows);
	struct shown shown = { .count = 0 };
	if (count > 0)
		show_columns(op, &shown);
	if (shown.count == 0)
		count = LAB_MIN(count, (size_t)1);
	size_t width = shown.count + 1;
	response.rows.row_count = LAB_MAX(count, (size_t)1);
	response.rows.cells =
		lab_arena_array(op->arena, struct lab_view, width * response.rows.row_count);
	response.rows.cells[0] = cql_value_boolean(op->arena, false);
	for (size_t i = 0; i < count; i++)
		put_row(emu, op, &rows[i], &shown, &response.rows.cells[i * width]);
	put_metadata(op, &shown, &response.rows);
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

void cqle_conditions_applied(struct cqlemu *emu, struct cqle_op *op)
{
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	struct shown none = { .count = 0 };
	struct lab_view *cell = lab_arena_new_of(op->arena, struct lab_view);
	*cell = cql_value_boolean(op->arena, true);
	response.rows.cells = cell;
	response.rows.row_count = 1;
	put_metadata(op, &none, &response.rows);
	cqle_op_answer(emu, op, &response);
}
