/* SPDX-License-Identifier: Apache-2.0
 *
 * result.c - merged rows to the cells of an answer, filters, and where a page ended.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* A live row with what is around it, decoded as far as it is asked for. */
struct row_view {
	struct lab_arena *arena;
	const struct cqle_table *table;
	const struct cqle_part *part;
	const struct cqle_row *row; /* NULL: only statics */
	uint32_t now_s;
	struct lab_view clustering[CQLEMU_COLUMNS_MAX];
	bool clustering_known;
};

static struct lab_view key_part(
	const struct cqle_table *table, struct lab_view key, size_t position)
{
	if (table->pk_count == 1)
		return key;
	for (size_t i = 0;; i++) {
		size_t len = (size_t)key.ptr[0] << 8 | key.ptr[1];
		if (i == position)
			return lab_view_sub(key, 2, len);
		key = lab_view_skip(key, len + 3);
	}
}

static void decode_clustering(struct lab_arena *arena, const struct cqle_table *table,
	struct lab_view row, struct lab_view *ret)
{
	for (size_t i = 0; i < table->ck_count; i++) {
		const struct cqle_column *c = cqle_ck(table, i);
		struct lab_buf buf;
		lab_buf_init_arena(&buf, arena, cqle_decoded_max(&c->type, row.len));
		size_t used = cqle_comparable_take(row, &c->type, c->descending, &buf);
		ret[i] = lab_buf_view(&buf);
		row = lab_view_skip(row, used);
	}
}

struct lab_view cqle_key_value(
	struct lab_arena *arena, const struct cqle_key_view *keys, const struct cqle_column *column)
{
	struct lab_view clustering[CQLEMU_COLUMNS_MAX];
	if (column->kind == CQLE_PARTITION_KEY)
		return key_part(keys->table, keys->key, column->position);
	if (keys->row.ptr == NULL)
		return lab_view_of(NULL, 0);
	decode_clustering(arena, keys->table, keys->row, clustering);
	return clustering[column->position];
}

static const struct cqle_cell *cell_of(const struct row_view *v, const struct cqle_column *c)
{
	const struct cqle_row *row = c->kind == CQLE_STATIC ? v->part->static_row : v->row;
	if (row == NULL || !cqle_cell_is_live(&row->cells[c->position], v->now_s))
		return NULL;
	return &row->cells[c->position];
}

/* ptr NULL is null. Borrows from the row or the arena. */
static struct lab_view column_of(struct row_view *v, const struct cqle_column *c)
{
	if (c->kind == CQLE_PARTITION_KEY)
		return key_part(v->table, cqle_bytes_view(v->part->key), c->position);
	if (c->kind == CQLE_CLUSTERING) {
		if (v->row == NULL)
			return lab_view_of(NULL, 0);
		if (!v->clustering_known)
			decode_clustering(v->arena, v->table, cqle_row_key(v->row), v->clustering);
		v->clustering_known = true;
		return v->clustering[c->position];
	}
	const struct cqle_cell *cell = cell_of(v, c);
	return cell == NULL ? lab_view_of(NULL, 0) : cqle_cell_value(v->arena, c, cell, v->now_s);
}

static struct lab_view source_value(void *ctx, const struct cqle_column *column)
{
	return column_of(ctx, column);
}

static const struct cqle_cell *source_cell(void *ctx, const struct cqle_column *column)
{
	return cell_of(ctx, column);
}

/* ---- filters ---- */

bool cqle_order_matches(enum operator op, int order)
{
	switch (op) {
	case OP_EQ:
	case OP_IN:
		return order == 0;
	case OP_LT:
		return order < 0;
	case OP_LE:
		return order <= 0;
	case OP_GT:
		return order > 0;
	case OP_GE:
		return order >= 0;
	case OP_NE:
		return order != 0;
	case OP_LIKE:
	case OP_CONTAINS:
	case OP_CONTAINS_KEY:
		break;
	}
	return false;
}

/* (a, b) > (1, 2): the first column that differs decides. */
static bool tuple_matches(struct row_view *v, const struct cqle_filter *f)
{
	for (size_t i = 0; i + f->tuple <= f->value_count; i += f->tuple) {
		int order = 0;
		for (size_t j = 0; j < f->tuple && order == 0; j++) {
			const struct cqle_column *c = cqle_ck(v->table, f->column->position + j);
			struct lab_view value = column_of(v, c);
			if (value.ptr == NULL)
				return false;
			order = cqle_value_compare(v->arena, &c->type, value, f->values[i + j]);
		}
		if (cqle_order_matches(f->op, order))
			return true;
	}
	return false;
}

static bool filter_matches(struct row_view *v, const struct cqle_filter *f)
{
	if (f->tuple > 0)
		return tuple_matches(v, f);
	struct lab_view value = column_of(v, f->column);
	bool keys = f->op == OP_CONTAINS_KEY;
	if (value.ptr != NULL && (f->op == OP_CONTAINS || keys))
		return cqle_collection_has(&f->column->type, value, keys, f->values[0]);
	if (value.ptr != NULL && f->key.ptr != NULL)
		value = cqle_collection_at(&f->column->type, value, f->key);
	for (size_t i = 0; value.ptr != NULL && i < f->value_count; i++) {
		if (cqle_order_matches(
			    f->op, cqle_value_compare(v->arena, f->type, value, f->values[i])))
			return true;
	}
	return false;
}

static bool passes(struct row_view *v, const struct cqle_select *select)
{
	for (size_t i = 0; i < select->filter_count; i++) {
		if (!filter_matches(v, &select->filters[i]))
			return false;
	}
	return true;
}

/* ---- adding ---- */

struct adder {
	struct cqlemu *emu;
	struct cqle_op *op;
	size_t room;
	size_t in_part; /* rows, or groups, of this partition so far */
	size_t limit;   /* of them */
};

static struct lab_view *new_row(struct cqle_op *op)
{
	struct cqle_result *result = op->result;
	size_t width = op->plan->result_column_count;
	if (result->row_count == result->capacity) {
		size_t wanted = result->capacity == 0 ? 4 : result->capacity * 2;
		struct lab_view *cells =
			lab_arena_array(op->arena, struct lab_view, wanted * width);
		if (result->row_count > 0)
			memcpy(cells, result->cells, result->row_count * width * sizeof(*cells));
		result->cells = cells;
		result->capacity = wanted;
	}
	return &result->cells[result->row_count++ * width];
}

static struct cqle_eval eval_of(struct cqlemu *emu, struct cqle_op *op, struct lab_arena *arena)
{
	return (struct cqle_eval){
		.emu = emu, .arena = arena, .values = op->select.values, .err = &op->result->err
	};
}

/* The expressions of a row, or of a group at its end, as copies: rows go before the answer is
 * encoded. */
static void put_cells(struct cqle_op *op, const struct cqle_eval *e)
{
	const struct cqle_plan *plan = op->plan;
	struct cqle_result *r = op->result;
	struct lab_view *row = new_row(op), *cells = row;
	if (plan->json_names != NULL)
		cells = lab_arena_array(e->emu->scratch, struct lab_view, plan->item_count + 1);
	for (size_t i = 0; i < plan->item_count; i++) {
		cells[i] = lab_view_of(NULL, 0);
		if (cqle_eval(e, &plan->items[i], &cells[i]) < 0)
			r->failed = true;
		else if (cells[i].ptr != NULL && cells == row)
			cells[i] = lab_arena_copy(op->arena, cells[i]);
	}
	if (cells != row && !r->failed)
		r->failed = cqle_json_row(e->emu, op->arena, plan, cells, row, &r->err) < 0;
}

/* The group in hand becomes a row of the answer. */
static void end_group(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_result *result = op->result;
	struct cqle_eval e = eval_of(emu, op, op->arena);
	e.finished = result->states;
	put_cells(op, &e);
	memset(result->states, 0, op->plan->slot_count * sizeof(*result->states));
	result->in_group = false;
}

/* The first clustering columns: of a group, or to sort by. */
static struct lab_view clustering_prefix(struct row_view *v, size_t columns)
{
	struct lab_view row = v->row == NULL ? lab_view_of("", 0) : cqle_row_key(v->row);
	struct lab_view rest = row;
	for (size_t i = 0; i < columns && rest.len > 0; i++) {
		const struct cqle_column *c = cqle_ck(v->table, i);
		struct lab_buf ignored;
		lab_buf_init_arena(&ignored, v->arena, cqle_decoded_max(&c->type, rest.len));
		rest = lab_view_skip(
			rest, cqle_comparable_take(rest, &c->type, c->descending, &ignored));
	}
	return lab_view_sub(row, 0, row.len - rest.len);
}

enum added {
	ADDED,
	ADDED_FULL,  /* the page is full behind this row */
	REFUSED,     /* no more of this partition */
	REFUSED_FULL /* the page was full before this row */
};

/* Does the row begin another group, and is there room for one? */
static enum added begin_group(struct adder *a, struct row_view *v)
{
	struct cqle_op *op = a->op;
	struct cqle_result *r = op->result;
	struct lab_view key = cqle_bytes_view(v->part->key);
	struct lab_view row = clustering_prefix(v, op->plan->group_clustering);
	if (r->in_group && (!op->plan->grouping || (lab_view_eq(key, r->group_key) &&
							   lab_view_eq(row, r->group_row))))
		return ADDED;
	if (op->plan->grouping && a->in_part >= a->limit)
		return REFUSED;
	if (op->plan->grouping && r->live >= LAB_MIN(op->wanted, op->remaining))
		return REFUSED_FULL;
	if (r->in_group)
		end_group(a->emu, op);
	a->in_part++;
	r->live++;
	r->in_group = true;
	r->group_key = lab_arena_copy(op->arena, key);
	r->group_row = lab_arena_copy(op->arena, row);
	return ADDED;
}

static void note_end(struct adder *a, const struct cqle_part *part, const struct cqle_row *row);

static enum added add_to_group(struct adder *a, struct row_view *v, const struct cqle_eval *e)
{
	const struct cqle_plan *plan = a->op->plan;
	enum added added = begin_group(a, v);
	if (added != ADDED)
		return added;
	for (size_t i = 0; i < plan->item_count; i++) {
		if (cqle_aggregate_add(e, a->op->arena, &plan->items[i], a->op->result->states) < 0)
			a->op->result->failed = true;
	}
	if (plan->grouping && a->op->wanted != SIZE_MAX)
		note_end(a, v->part, v->row);
	return ADDED;
}

static enum added add_row(struct adder *a, struct row_view *v)
{
	struct lab_arena_mark mark = lab_arena_mark(v->arena);
	enum added added = ADDED;
	struct cqle_row_source source = { source_value, source_cell, v, v->now_s };
	struct cqle_eval e = eval_of(a->emu, a->op, v->arena);
	e.row = &source;
	v->clustering_known = false;
	if (passes(v, &a->op->select)) {
		if (a->op->plan->aggregating) {
			added = add_to_group(a, v, &e);
		} else {
			a->in_part++;
			put_cells(a->op, &e);
			if (a->op->plan->sorted > 0)
				cqle_result_note_order(
					a->op, clustering_prefix(v, a->op->plan->sorted));
			a->op->result->live++;
			added = --a->room > 0 ? ADDED : ADDED_FULL;
		}
	}
	lab_arena_rewind(v->arena, mark);
	return a->op->result->failed ? REFUSED_FULL : added;
}

static void note_end(struct adder *a, const struct cqle_part *part, const struct cqle_row *row)
{
	struct cqle_result *result = a->op->result;
	result->last_key = lab_arena_copy(a->op->arena, cqle_bytes_view(part->key));
	result->last_row = row == NULL ? lab_view_of(NULL, 0)
				       : lab_arena_copy(a->op->arena, cqle_row_key(row));
	result->partition_remaining = a->limit == SIZE_MAX ? SIZE_MAX : a->limit - a->in_part;
}

static bool is_resumed(const struct cqle_op *op, const struct cqle_part *part)
{
	return op->read.resume_row.ptr != NULL &&
	       lab_view_eq(op->read.resume_key, cqle_bytes_view(part->key));
}

static size_t partition_limit(const struct cqle_op *op, const struct cqle_part *part)
{
	size_t limit = op->plan->distinct ? 1 : op->select.partition_limit;
	return limit != SIZE_MAX && is_resumed(op, part) ? op->resume_at->partition_remaining
							 : limit;
}

static bool add_part(
	struct adder *a, const struct cqle_answer *answer, const struct cqle_part *part)
{
	struct row_view v = { .arena = a->emu->scratch,
		.table = a->op->plan->table,
		.part = part,
		.now_s = a->op->read.now_s };
	bool any = false;
	enum added added = ADDED;
	a->in_part = 0;
	a->limit = partition_limit(a->op, part);
	for (size_t i = part->row_begin; i < part->row_end && added == ADDED; i++) {
		v.row = answer->rows[i];
		if (!cqle_row_is_live(v.row, v.now_s))
			continue;
		any = true;
		if (a->in_part >= a->limit && !a->op->plan->grouping)
			return true;
		added = add_row(a, &v);
	}
	bool statics = !any && !is_resumed(a->op, part) && a->op->plan->wants_statics &&
		       part->static_row != NULL && cqle_row_is_live(part->static_row, v.now_s);
	if (statics) {
		v.row = NULL;
		added = add_row(a, &v);
	}
	if (added == ADDED_FULL)
		note_end(a, part, v.row);
	return added == ADDED || added == REFUSED;
}

void cqle_result_add(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer, size_t room)
{
	struct adder a = { .emu = emu, .op = op, .room = room };
	for (size_t i = 0; i < answer->part_count && (a.room > 0 || op->plan->aggregating); i++) {
		if (!add_part(&a, answer, &answer->parts[i])) {
			op->result->more = true;
			return;
		}
	}
}

/* ---- the answer ---- */

/* A full page always says that there is more, unless LIMIT has been reached (cql-imds 0.11). */
static struct lab_view paging_state(struct cqle_op *op)
{
	const struct cqle_result *r = op->result;
	bool single = !op->select.scan && op->select.keys.count == 1;
	if (!r->more || r->live < op->wanted || op->remaining <= r->live)
		return lab_view_of(NULL, 0);
	size_t remaining = op->remaining == SIZE_MAX ? INT32_MAX : op->remaining;
	size_t in_partition =
		r->partition_remaining == SIZE_MAX ? remaining - r->live : r->partition_remaining;
	return cqle_paging_write(op->arena, op->plan->table,
		single ? lab_view_of("", 0) : r->last_key, r->last_row, remaining - r->live,
		in_partition);
}

/* Cassandra's advice. */
static void warn_aggregation(struct cqle_op *op)
{
	const struct cqle_plan *plan = op->plan;
	if (!plan->aggregating || plan->table->keyspace->local)
		return;
	if (plan->where.pk == NULL && !plan->where.token_used)
		cqle_op_warn(op, "Aggregation query used without partition key");
	for (size_t i = 0; plan->where.pk != NULL && i < plan->table->pk_count; i++) {
		if (plan->where.pk[i].op != OP_IN)
			continue;
		cqle_op_warn(
			op, "Aggregation query used on multiple partition keys (IN restriction)");
		return;
	}
}

/* A client of version 5 that knows other columns is told of it, whatever it asked for. */
static void note_changed_columns(
	struct cqlemu *emu, struct cqle_op *op, struct cql_metadata *metadata)
{
	if (op->version < CQL_VERSION_SEGMENTS || op->prepared_id.ptr == NULL)
		return;
	struct lab_view id = cqle_plan_result_id(emu, op->plan);
	if (lab_view_eq(id, op->result_id))
		return;
	metadata->changed_id = id;
	metadata->no_metadata = false;
}

void cqle_result_finish(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqle_plan *plan = op->plan;
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	struct cql_metadata *metadata = &response.rows.metadata;
	metadata->columns = plan->result_columns;
	metadata->column_count = plan->result_column_count;
	metadata->no_metadata = (op->params.flags & CQL_PARAM_SKIP_METADATA) != 0;
	note_changed_columns(emu, op, metadata);
	if (plan->aggregating && (op->result->in_group || !plan->grouping))
		end_group(emu, op);
	if (op->result->failed) {
		cqle_op_fail(emu, op, &op->result->err);
		return;
	}
	warn_aggregation(op);
	if (plan->sorted > 0)
		cqle_result_sort(op);
	response.rows.cells = op->result->cells;
	response.rows.row_count = op->result->row_count;
	if (!plan->aggregating || plan->grouping)
		metadata->paging_state = paging_state(op);
	cqle_op_answer(emu, op, &response);
}

/* ---- paging state ---- */

void cqle_vint_put(struct lab_buf *out, uint64_t value)
{
	unsigned extra = 0;
	while (extra < 8 && value >> (7 * (extra + 1)) != 0 && extra + 1 < 9)
		extra++;
	if (extra >= 8) {
		lab_buf_append_byte(out, 0xff);
		lab_buf_append_u64(out, value);
		return;
	}
	uint8_t ones = (uint8_t)(0xff00u >> extra);
	lab_buf_append_byte(out, (uint8_t)(ones | (uint8_t)(value >> (8 * extra))));
	for (unsigned i = extra; i > 0; i--)
		lab_buf_append_byte(out, (uint8_t)(value >> (8 * (i - 1))));
}

int cqle_vint_take(struct lab_view *rest, uint64_t *ret)
{
	if (rest->len == 0)
		return -1;
	uint8_t first = rest->ptr[0];
	unsigned extra = 0;
	while (extra < 8 && (first & (0x80u >> extra)) != 0)
		extra++;
	if (rest->len < 1 + extra)
		return -1;
	uint64_t value = extra >= 8 ? 0 : first & (0x7fu >> extra);
	for (unsigned i = 0; i < extra; i++)
		value = value << 8 | rest->ptr[1 + i];
	*rest = lab_view_skip(*rest, 1 + extra);
	*ret = value;
	return 0;
}

static int take_bytes(struct lab_view *rest, struct lab_view *ret)
{
	uint64_t len;
	if (cqle_vint_take(rest, &len) < 0 || len > rest->len)
		return -1;
	*ret = lab_view_sub(*rest, 0, (size_t)len);
	*rest = lab_view_skip(*rest, (size_t)len);
	return 0;
}

/* Cassandra's clustering: for 32 columns at a time, which are empty, then the others. */
#define MARK_COLUMNS 32

struct lab_view cqle_paging_write(struct lab_arena *arena, const struct cqle_table *table,
	struct lab_view key, struct lab_view row, size_t remaining, size_t partition_remaining)
{
	struct lab_buf out, mark;
	struct lab_view values[CQLEMU_COLUMNS_MAX];
	size_t room = 64, columns = row.ptr == NULL ? 0 : table->ck_count;
	if (columns > 0)
		decode_clustering(arena, table, row, values);
	for (size_t i = 0; i < columns; i++)
		room += values[i].len + 20;
	lab_buf_init_arena(&out, arena, key.len + room + 64);
	lab_buf_init_arena(&mark, arena, room);
	for (size_t i = 0; i < columns; i++) {
		uint64_t empty = 0;
		for (size_t j = i; i % MARK_COLUMNS == 0 && j < columns && j < i + MARK_COLUMNS;
			j++)
			empty |= values[j].len == 0 ? UINT64_C(1) << (2 * (j - i)) : 0;
		if (i % MARK_COLUMNS == 0)
			cqle_vint_put(&mark, empty);
		if (values[i].len > 0)
			cqle_vint_put(&mark, values[i].len);
		lab_buf_append_view(&mark, values[i]);
	}
	cqle_vint_put(&out, key.len);
	lab_buf_append_view(&out, key);
	cqle_vint_put(&out, mark.len);
	lab_buf_append_view(&out, lab_buf_view(&mark));
	cqle_vint_put(&out, LAB_MIN(remaining, (size_t)INT32_MAX));
	cqle_vint_put(&out, LAB_MIN(partition_remaining, (size_t)INT32_MAX));
	return lab_buf_view(&out);
}

static int read_mark(struct lab_arena *arena, const struct cqle_table *table, struct lab_view mark,
	struct lab_view *ret)
{
	struct lab_buf out;
	struct lab_error ignored;
	uint64_t empty = 0;
	*ret = lab_view_of(NULL, 0);
	if (mark.len == 0)
		return 0;
	lab_buf_init_arena(&out, arena, 2 * mark.len + 40 * table->ck_count + 8);
	for (size_t i = 0; i < table->ck_count; i++) {
		const struct cqle_column *c = cqle_ck(table, i);
		struct lab_view value = lab_view_of("", 0);
		if (i % MARK_COLUMNS == 0 && cqle_vint_take(&mark, &empty) < 0)
			return -1;
		bool is_empty = (empty >> (2 * (i % MARK_COLUMNS)) & 1) != 0;
		if ((!is_empty && take_bytes(&mark, &value) < 0) ||
			cqle_value_validate(&c->type, value, &ignored) < 0)
			return -1;
		cqle_comparable_put(&out, &c->type, c->descending, value);
	}
	*ret = lab_buf_view(&out);
	return mark.len > 0 ? -1 : 0;
}

int cqle_paging_read(struct lab_arena *arena, const struct cqle_table *table, struct lab_view state,
	struct cqle_paging *ret)
{
	struct lab_view key, mark;
	uint64_t remaining, partition_remaining;
	if (take_bytes(&state, &key) < 0 || take_bytes(&state, &mark) < 0 ||
		cqle_vint_take(&state, &remaining) < 0 ||
		cqle_vint_take(&state, &partition_remaining) < 0 || state.len > 0 ||
		remaining > INT32_MAX || partition_remaining > INT32_MAX ||
		read_mark(arena, table, mark, &ret->row) < 0)
		return -1;
	ret->key = key.len == 0 ? lab_view_of(NULL, 0) : key;
	ret->remaining = (size_t)remaining;
	ret->partition_remaining = (size_t)partition_remaining;
	return 0;
}
