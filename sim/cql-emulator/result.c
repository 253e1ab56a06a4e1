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
		lab_buf_init_arena(&buf, arena, row.len);
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

/* A copy: rows go before the answer is encoded. */
static struct lab_view copied(struct row_view *v, struct lab_view value)
{
	return value.ptr == NULL ? value : lab_arena_copy(v->arena, value);
}

static struct lab_view item_of(
	struct row_view *v, const struct cqle_item *item, const struct lab_view *key)
{
	const struct cqle_cell *cell;
	switch (item->kind) {
	case CQLE_ITEM_COLUMN:
		return copied(v, column_of(v, item->column));
	case CQLE_ITEM_ELEMENT: {
		struct lab_view value = column_of(v, item->column);
		return value.ptr == NULL
			       ? value
			       : copied(v, cqle_collection_at(&item->column->type, value, *key));
	}
	case CQLE_ITEM_WRITETIME:
		cell = cell_of(v, item->column);
		return cell == NULL ? lab_view_of(NULL, 0)
				    : cql_value_bigint(v->arena, cell->timestamp);
	case CQLE_ITEM_TTL:
		cell = cell_of(v, item->column);
		return cell == NULL || cell->ttl_s == 0
			       ? lab_view_of(NULL, 0)
			       : cql_value_int(v->arena, (int32_t)(cell->local_s - v->now_s));
	case CQLE_ITEM_TOKEN:
		return cql_value_bigint(v->arena, v->part->token);
	case CQLE_ITEM_COUNT:
		break;
	}
	return lab_view_of(NULL, 0);
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

static bool filter_matches(struct row_view *v, const struct cqle_filter *f)
{
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
	size_t in_part; /* rows of this partition so far */
	size_t limit;   /* of them */
};

/* False: the page is full. */
static bool add_row(struct adder *a, struct row_view *v)
{
	const struct cqle_plan *plan = a->op->plan;
	struct cqle_result *result = a->op->result;
	struct lab_arena_mark mark = lab_arena_mark(a->op->arena);
	if (!passes(v, &a->op->select)) {
		lab_arena_rewind(a->op->arena, mark);
		return true;
	}
	a->in_part++;
	if (plan->counting) {
		for (size_t i = 0; i < plan->item_count; i++) {
			const struct cqle_column *c = plan->items[i].column;
			if (c == NULL || column_of(v, c).ptr != NULL)
				result->counts[i]++;
		}
		lab_arena_rewind(a->op->arena, mark);
		return true;
	}
	if (result->row_count == result->capacity) {
		size_t wanted = result->capacity == 0 ? 4 : result->capacity * 2;
		struct lab_view *cells =
			lab_arena_array(a->op->arena, struct lab_view, wanted * plan->item_count);
		if (result->row_count > 0)
			memcpy(cells, result->cells,
				result->row_count * plan->item_count * sizeof(*cells));
		result->cells = cells;
		result->capacity = wanted;
	}
	struct lab_view *cells = &result->cells[result->row_count++ * plan->item_count];
	for (size_t i = 0; i < plan->item_count; i++)
		cells[i] = item_of(
			v, &plan->items[i], plan->elements ? &a->op->select.item_keys[i] : NULL);
	result->live++;
	return --a->room > 0;
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
	struct row_view v = { .arena = a->op->arena,
		.table = a->op->plan->table,
		.part = part,
		.now_s = a->op->read.now_s };
	bool any = false;
	a->in_part = 0;
	a->limit = partition_limit(a->op, part);
	for (size_t i = part->row_begin; i < part->row_end; i++) {
		v.row = answer->rows[i];
		if (!cqle_row_is_live(v.row, v.now_s))
			continue;
		any = true;
		v.clustering_known = false;
		if (a->in_part >= a->limit)
			return true;
		if (!add_row(a, &v)) {
			note_end(a, part, v.row);
			return false;
		}
	}
	if (any || is_resumed(a->op, part) || !a->op->plan->wants_statics ||
		part->static_row == NULL || !cqle_row_is_live(part->static_row, v.now_s))
		return true;
	v.row = NULL;
	if (add_row(a, &v))
		return true;
	note_end(a, part, NULL);
	return false;
}

void cqle_result_add(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer, size_t room)
{
	struct adder a = { .emu = emu, .op = op, .room = room };
	for (size_t i = 0; i < answer->part_count && a.room > 0; i++) {
		if (!add_part(&a, answer, &answer->parts[i])) {
			op->result->more = true;
			return;
		}
	}
}

/* ---- the answer ---- */

static struct lab_view *count_cells(struct cqle_op *op)
{
	struct lab_view *cells = lab_arena_array(op->arena, struct lab_view, op->plan->item_count);
	for (size_t i = 0; i < op->plan->item_count; i++)
		cells[i] = cql_value_bigint(op->arena, (int64_t)op->result->counts[i]);
	return cells;
}

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

void cqle_result_finish(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqle_plan *plan = op->plan;
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	struct cql_metadata *metadata = &response.rows.metadata;
	metadata->columns = plan->result_columns;
	metadata->column_count = plan->item_count;
	metadata->no_metadata = (op->params.flags & CQL_PARAM_SKIP_METADATA) != 0;
	if (plan->counting) {
		response.rows.cells = count_cells(op);
		response.rows.row_count = 1;
		if (plan->where.pk == NULL && !plan->table->keyspace->local)
			cqle_op_warn(op, "Aggregation query used without partition key");
	} else {
		response.rows.cells = op->result->cells;
		response.rows.row_count = op->result->row_count;
		metadata->paging_state = paging_state(op);
	}
	cqle_op_answer(emu, op, &response);
}

/* ---- paging state ---- */

/* Cassandra's unsigned vint: the number of leading ones says how many bytes follow. */
static void put_vint(struct lab_buf *out, uint64_t value)
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

static int take_vint(struct lab_view *rest, uint64_t *ret)
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
	if (take_vint(rest, &len) < 0 || len > rest->len)
		return -1;
	*ret = lab_view_sub(*rest, 0, (size_t)len);
	*rest = lab_view_skip(*rest, (size_t)len);
	return 0;
}

struct lab_view cqle_paging_write(struct lab_arena *arena, const struct cqle_table *table,
	struct lab_view key, struct lab_view row, size_t remaining, size_t partition_remaining)
{
	struct lab_buf out, mark, value;
	lab_buf_init_arena(&out, arena, key.len + 4 * row.len + 64);
	lab_buf_init_arena(&mark, arena, 4 * row.len + 8);
	for (size_t i = 0; row.ptr != NULL && i < table->ck_count; i++) {
		const struct cqle_column *c = cqle_ck(table, i);
		lab_buf_init_arena(&value, arena, row.len + 1);
		row = lab_view_skip(
			row, cqle_comparable_take(row, &c->type, c->descending, &value));
		cql_put_short_bytes(&mark, lab_buf_view(&value));
	}
	put_vint(&out, key.len);
	lab_buf_append_view(&out, key);
	put_vint(&out, mark.len);
	lab_buf_append_view(&out, lab_buf_view(&mark));
	put_vint(&out, LAB_MIN(remaining, (size_t)INT32_MAX));
	put_vint(&out, LAB_MIN(partition_remaining, (size_t)INT32_MAX));
	return lab_buf_view(&out);
}

static int read_mark(struct lab_arena *arena, const struct cqle_table *table, struct lab_view mark,
	struct lab_view *ret)
{
	struct lab_buf out;
	struct cql_reader reader = cql_reader_of(mark);
	struct lab_error ignored;
	*ret = lab_view_of(NULL, 0);
	if (mark.len == 0)
		return 0;
	lab_buf_init_arena(&out, arena, 2 * mark.len + 40 * table->ck_count + 8);
	for (size_t i = 0; i < table->ck_count; i++) {
		const struct cqle_column *c = cqle_ck(table, i);
		struct lab_view value = cql_read_short_bytes(&reader);
		if (reader.error != NULL || cqle_value_validate(&c->type, value, &ignored) < 0)
			return -1;
		cqle_comparable_put(&out, &c->type, c->descending, value);
	}
	*ret = lab_buf_view(&out);
	return reader.rest.len > 0 ? -1 : 0;
}

int cqle_paging_read(struct lab_arena *arena, const struct cqle_table *table, struct lab_view state,
	struct cqle_paging *ret)
{
	struct lab_view key, mark;
	uint64_t remaining, partition_remaining;
	if (take_bytes(&state, &key) < 0 || take_bytes(&state, &mark) < 0 ||
		take_vint(&state, &remaining) < 0 || take_vint(&state, &partition_remaining) < 0 ||
		state.len > 0 || remaining > INT32_MAX || partition_remaining > INT32_MAX ||
		read_mark(arena, table, mark, &ret->row) < 0)
		return -1;
	ret->key = key.len == 0 ? lab_view_of(NULL, 0) : key;
	ret->remaining = (size_t)remaining;
	ret->partition_remaining = (size_t)partition_remaining;
	return 0;
}
