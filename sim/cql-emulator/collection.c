/* SPDX-License-Identifier: Apache-2.0
 *
 * collection.c - collections that are not frozen: a change of one to elements, and elements back to
 * a value.
 *
 * Elements of a list lie at places that grow with time behind the middle, and sink before it for
 * what is put in front, as Cassandra's time UUIDs do (Lists.java). Places are given by the whole
 * emulator, so no two are equal.
 */
#include "sim/cql-emulator/type-private.h"

#include <stdlib.h>

#define PLACE_MIDDLE (UINT64_C(1) << 63)

struct piece {
	struct lab_view path, value;
	size_t index;
};

/* Of a user type's field. */
static struct lab_view field_path(struct lab_arena *arena, size_t field)
{
	return cql_value_smallint(arena, (int16_t)field);
}

static struct lab_view path_of(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view value)
{
	struct lab_buf buf;
	lab_buf_init_arena(&buf, arena, 2 * value.len + 40);
	cqle_comparable_put(&buf, type, false, value);
	return lab_buf_view(&buf);
}

static int piece_order(const void *_a, const void *_b)
{
	const struct piece *a = _a, *b = _b;
	int order = lab_view_cmp(a->path, b->path);
	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* In order, of equal paths the last. */
static size_t sort_pieces(struct piece *pieces, size_t count)
{
	size_t kept = 0;
	if (count > 1)
		qsort(pieces, count, sizeof(*pieces), piece_order);
	for (size_t i = 0; i < count; i++) {
		if (i + 1 < count && lab_view_eq(pieces[i].path, pieces[i + 1].path))
			continue;
		pieces[kept++] = pieces[i];
	}
	return kept;
}

static struct cqle_cell simple_cell(
	struct lab_heap *heap, const struct cqle_stamp *change, struct lab_view value)
{
	struct cqle_cell cell = { .timestamp = change->timestamp, .local_s = change->now_s };
	if (value.ptr == NULL)
		return cell;
	cell.value = cqle_bytes_new(heap, value);
	if (change->ttl_s > 0) {
		cell.ttl_s = change->ttl_s & CQLE_TTL_MASK;
		cell.local_s = change->now_s + change->ttl_s;
	}
	return cell;
}

static struct cqle_elements *make_elements(
	struct lab_heap *heap, const struct cqle_stamp *change, struct piece *pieces, size_t count)
{
	count = sort_pieces(pieces, count);
	if (count == 0)
		return NULL;
	struct cqle_elements *elements = cqle_elements_new(heap, count);
	for (size_t i = 0; i < count; i++)
		elements->items[i] = (struct cqle_element){ cqle_bytes_new(heap, pieces[i].path),
			simple_cell(heap, change, pieces[i].value) };
	return elements;
}

/* `count` places in a row, behind or in front of all there are; the first one is returned. */
static uint64_t take_places(struct cqlemu *emu, size_t count, bool front)
{
	uint64_t now = (uint64_t)cqle_wall_us(emu) * 10;
	uint64_t first = LAB_MAX(emu->list_place + 1, now);
	emu->list_place = first + count;
	return front ? PLACE_MIDDLE - (first + count) : PLACE_MIDDLE + first;
}

static struct lab_view place_bytes(struct lab_arena *arena, uint64_t place)
{
	return cql_value_bigint(arena, (int64_t)place);
}

/* The items of a serialized collection, which has been validated. */
static size_t split_items(
	struct lab_arena *arena, struct lab_view value, bool map, struct lab_view **ret)
{
	struct cql_reader reader = cql_reader_of(value);
	size_t count = (size_t)cql_read_int(&reader) * (map ? 2 : 1);
	*ret = lab_arena_array(arena, struct lab_view, count + 1);
	for (size_t i = 0; i < count; i++)
		(*ret)[i] = cql_read_bytes(&reader);
	return count;
}

static bool has_composite(const struct cql_type *type)
{
	bool has = type_is_composite(type->id);
	for (size_t i = 0; i < type->param_count && !has; i++)
		has = has_composite(&type->params[i]);
	return has;
}

/* A path has all fields of a tuple; how many of them were written is kept in the cell. */
static struct lab_view set_value(const struct cql_type *type, struct lab_view item)
{
	return has_composite(type) ? item : lab_view_of("", 0);
}

/* The value's items as elements. */
static struct cqle_elements *value_elements(const struct cqle_collect *c, bool front)
{
	const struct cql_type *type = &c->set->column->type;
	bool map = type->id == CQL_TYPE_MAP, list = type->id == CQL_TYPE_LIST;
	struct lab_view *items;
	size_t count = split_items(c->arena, c->value, map, &items), stride = map ? 2 : 1;
	struct piece *pieces = lab_arena_array(c->arena, struct piece, count / stride + 1);
	uint64_t place = list ? take_places(c->emu, count, front) : 0;
	for (size_t i = 0; i < count / stride; i++) {
		struct lab_view item = items[i * stride];
		pieces[i].index = type->id == CQL_TYPE_SET ? count - i : i; /* a set's first */
		pieces[i].path = list ? place_bytes(c->arena, place + i)
				      : path_of(c->arena, &type->params[0], item);
		pieces[i].value = map    ? items[i * stride + 1]
				  : list ? item
					 : set_value(&type->params[0], item);
	}
	return make_elements(c->emu->heap, c->change, pieces, count / stride);
}

/* A user type's fields that are not null. */
static struct cqle_elements *field_elements(const struct cqle_collect *c)
{
	size_t count = c->set->column->type.param_count, kept = 0;
	struct piece *pieces = lab_arena_array(c->arena, struct piece, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct lab_view value = cqle_field_at(c->value, i);
		if (value.ptr != NULL)
			pieces[kept++] = (struct piece){ field_path(c->arena, i), value, i };
	}
	return make_elements(c->emu->heap, c->change, pieces, kept);
}

/* Tombstones for elements that the value names: keys of a map, elements of a set. */
static struct cqle_elements *removed_keys(const struct cqle_collect *c)
{
	struct lab_view *items;
	size_t count = split_items(c->arena, c->value, false, &items);
	struct piece *pieces = lab_arena_array(c->arena, struct piece, count + 1);
	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct piece){
			.index = i,
			.path = path_of(c->arena, &c->set->column->type.params[0], items[i]),
		};
	return make_elements(c->emu->heap, c->change, pieces, count);
}

/* ---- lists: by value and by index ---- */

static bool is_named(struct lab_view value, const struct lab_view *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq(value, items[i]))
			return true;
	}
	return false;
}

static const struct cqle_elements *before(const struct cqle_collect *c)
{
	return c->before == NULL ? NULL : c->before->elements;
}

static struct cqle_elements *removed_values(const struct cqle_collect *c)
{
	const struct cqle_elements *present = before(c);
	struct lab_view *items;
	size_t count = split_items(c->arena, c->value, false, &items), found = 0;
	size_t present_count = present == NULL ? 0 : present->count;
	struct piece *pieces = lab_arena_array(c->arena, struct piece, present_count + 1);
	for (size_t i = 0; i < present_count; i++) {
		const struct cqle_element *e = &present->items[i];
		if (cqle_cell_is_live(&e->cell, c->change->now_s) &&
			is_named(cqle_bytes_view(e->cell.value), items, count))
			pieces[found++] = (struct piece){ .path = cqle_bytes_view(e->path) };
	}
	return make_elements(c->emu->heap, c->change, pieces, found);
}

/* The n-th live element of a list; -1 if it has not so many. */
static int find_index(const struct cqle_collect *c, int64_t index, struct lab_view *ret_path)
{
	const struct cqle_elements *present = before(c);
	int64_t live = 0;
	for (size_t i = 0; present != NULL && i < present->count; i++) {
		if (!cqle_cell_is_live(&present->items[i].cell, c->change->now_s))
			continue;
		if (live++ == index)
			*ret_path = cqle_bytes_view(present->items[i].path);
	}
	if (live == 0)
		return cqle_fail(c->err, CQL_E_INVALID,
			c->set->kind == CQLE_SET_ELEMENT
				? "Attempted to set an element on a list which is null"
				: "Attempted to delete an element from a list which is null");
	if (index < 0 || index >= live)
		return cqle_fail(c->err, CQL_E_INVALID,
			"List index %" PRId64 " out of bound, list has size %" PRId64, index, live);
	return 0;
}

static int one_element(const struct cqle_collect *c, struct cqle_elements **ret)
{
	const struct cql_type *type = &c->set->column->type;
	struct piece piece = { .value = c->value };
	int64_t index = 0;
	if (c->set->kind == CQLE_SET_DELETE_ELEMENT)
		piece.value = lab_view_of(NULL, 0);
	if (type->id == CQL_TYPE_UDT) {
		piece.path = field_path(c->arena, c->set->field);
	} else if (type->id != CQL_TYPE_LIST) {
		piece.path = path_of(c->arena, &type->params[0], c->key);
	} else if (cql_value_to_i64(CQL_TYPE_INT, c->key, &index) < 0 ||
		   find_index(c, index, &piece.path) < 0) {
		return -1;
	}
	*ret = make_elements(c->emu->heap, c->change, &piece, 1);
	return 0;
}

/* ---- both ways ---- */

static int change_elements(const struct cqle_collect *c, struct cqle_elements **ret)
{
	switch (c->set->kind) {
	case CQLE_SET_VALUE:
	case CQLE_SET_ADD:
		*ret = c->value.ptr == NULL                      ? NULL
		       : c->set->column->type.id == CQL_TYPE_UDT ? field_elements(c)
								 : value_elements(c, false);
		return 0;
	case CQLE_SET_PREPEND:
		*ret = c->value.ptr == NULL ? NULL : value_elements(c, true);
		return 0;
	case CQLE_SET_REMOVE:
		*ret = c->value.ptr == NULL                       ? NULL
		       : c->set->column->type.id == CQL_TYPE_LIST ? removed_values(c)
								  : removed_keys(c);
		return 0;
	case CQLE_SET_ELEMENT:
	case CQLE_SET_DELETE_ELEMENT:
		break;
	}
	return one_element(c, ret);
}

int cqle_collection_change(const struct cqle_collect *c, struct cqle_cell *cell)
{
	struct cqle_cell change = { .kind = CQLE_CELL_COLLECTION, .timestamp = CQLE_NO_TIMESTAMP };
	if (c->set->kind == CQLE_SET_VALUE) {
		/* What is set in place of the old one must outlive its deletion. */
		change.timestamp = c->change->timestamp - (c->value.ptr != NULL);
		change.local_s = c->change->now_s;
	}
	if (change_elements(c, &change.elements) < 0)
		return -1;
	struct cqle_cell both = cqle_cell_merge(c->emu->heap, cell, &change, CQLE_NO_TIMESTAMP);
	cqle_cell_unref(c->emu->heap, cell);
	cqle_cell_unref(c->emu->heap, &change);
	*cell = both;
	return 0;
}

static size_t value_bytes(const struct cql_type *type, const struct cqle_elements *elements)
{
	size_t bytes = 4;
	for (size_t i = 0; i < elements->count; i++) {
		const struct cqle_element *e = &elements->items[i];
		bytes += 8 + cqle_decoded_max(&type->params[0], e->path->len) +
			 (e->cell.value == NULL ? 0 : e->cell.value->len);
	}
	return bytes;
}

static void put_path(struct lab_buf *out, const struct cql_type *type, struct lab_view path)
{
	size_t at = out->len;
	lab_buf_append_u32(out, 0);
	(void)cqle_comparable_take(path, type, false, out);
	uint32_t len = (uint32_t)(out->len - at - 4);
	for (unsigned i = 0; i < 4; i++)
		out->data[at + i] = (uint8_t)(len >> (24 - 8 * i));
}

static struct lab_view user_value(struct lab_arena *arena, const struct cql_type *type,
	const struct cqle_elements *elements, uint32_t now_s)
{
	struct lab_view *fields = lab_arena_array(arena, struct lab_view, type->param_count + 1);
	for (size_t i = 0; i < elements->count; i++) {
		const struct cqle_element *e = &elements->items[i];
		size_t field = (size_t)e->path->data[0] << 8 | e->path->data[1];
		if (cqle_cell_is_live(&e->cell, now_s) && field < type->param_count)
			fields[field] = cqle_bytes_view(e->cell.value);
	}
	return cqle_composite_of(arena, fields, type->param_count);
}

struct lab_view cqle_collection_value(struct lab_arena *arena, const struct cql_type *type,
	const struct cqle_cell *cell, uint32_t now_s)
{
	struct lab_buf out;
	uint32_t count = 0;
	if (!cqle_cell_is_live(cell, now_s))
		return lab_view_of(NULL, 0);
	if (type->id == CQL_TYPE_UDT)
		return user_value(arena, type, cell->elements, now_s);
	lab_buf_init_arena(&out, arena, value_bytes(type, cell->elements));
	lab_buf_append_u32(&out, 0);
	for (size_t i = 0; i < cell->elements->count; i++) {
		const struct cqle_element *e = &cell->elements->items[i];
		if (!cqle_cell_is_live(&e->cell, now_s))
			continue;
		count++;
		bool as_written = type->id != CQL_TYPE_MAP && e->cell.value->len > 0;
		if (type->id != CQL_TYPE_LIST && !as_written)
			put_path(&out, &type->params[0], cqle_bytes_view(e->path));
		if (type->id != CQL_TYPE_SET || as_written)
			cql_put_bytes(&out, cqle_bytes_view(e->cell.value));
	}
	for (unsigned i = 0; i < 4; i++)
		out.data[i] = (uint8_t)(count >> (24 - 8 * i));
	return lab_buf_view(&out);
}

struct lab_view cqle_collection_at(
	const struct cql_type *type, struct lab_view value, struct lab_view key)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	bool map = type->id == CQL_TYPE_MAP;
	for (int32_t i = 0; i < count && reader.error == NULL; i++) {
		struct lab_view item = cql_read_bytes(&reader);
		struct lab_view at = map ? cql_read_bytes(&reader) : item;
		if (lab_view_eq(item, key))
			return at;
	}
	return lab_view_of(NULL, 0);
}

struct lab_view cqle_field_at(struct lab_view value, size_t index)
{
	struct cql_reader reader = cql_reader_of(value);
	struct lab_view field = { NULL, 0 };
	for (size_t i = 0; i <= index; i++) {
		if (!type_next_field(&reader, &field))
			return lab_view_of(NULL, 0);
	}
	return field;
}

struct lab_view cqle_list_at(struct lab_view value, int64_t index)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	struct lab_view item = { NULL, 0 };
	for (int64_t i = 0; index >= 0 && index < count && i <= index; i++)
		item = cql_read_bytes(&reader);
	return item;
}

bool cqle_collection_has(
	const struct cql_type *type, struct lab_view value, bool keys, struct lab_view item)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	bool map = type->id == CQL_TYPE_MAP;
	for (int32_t i = 0; i < count && reader.error == NULL; i++) {
		struct lab_view first = cql_read_bytes(&reader);
		struct lab_view second = map ? cql_read_bytes(&reader) : first;
		if (lab_view_eq(map && !keys ? second : first, item))
			return true;
	}
	return false;
}

struct lab_view cqle_cell_value(struct lab_arena *arena, const struct cqle_column *column,
	const struct cqle_cell *cell, uint32_t now_s)
{
	if (!cqle_cell_is_live(cell, now_s))
		return lab_view_of(NULL, 0);
	if (cell->kind == CQLE_CELL_COLLECTION)
		return cqle_collection_value(arena, &column->type, cell, now_s);
	if (cell->kind == CQLE_CELL_COUNTER)
		return cql_value_bigint(arena, cqle_counter_value(cell->value));
	return cqle_bytes_view(cell->value);
}
