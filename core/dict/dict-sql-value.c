/* SPDX-License-Identifier: Apache-2.0
 *
 * Values between keys, statements and rows (obox 3.6).
 */
#include "core/dict/dict-sql-private.h"

#define PART_MAX 65536

static int bad_value(const struct dict_cql_map *map, struct lab_view column, const char *what,
	struct lab_view value, struct lab_error *err)
{
	return lab_fail(err, LAB_INVALID, "%.*s field's value isn't %s: %.*s (in pattern: %.*s)",
		LAB_VIEW_ARG(column), what, LAB_VIEW_ARG(value), LAB_VIEW_ARG(map->pattern));
}

int dict_sql_arg(const struct dict_cql_map *map, struct lab_view column, enum dict_cql_type type,
	struct lab_view value, struct lab_arena *arena, struct cql_arg *ret, struct lab_error *err)
{
	uint64_t number;
	uint8_t *bytes;
	switch (type) {
	case DICT_CQL_STRING:
		*ret = (struct cql_arg){ .kind = CQL_ARG_TEXT, .bytes = value };
		return 0;
	case DICT_CQL_INT:
		*ret = (struct cql_arg){ .kind = CQL_ARG_INT };
		return lab_view_to_i64(value, &ret->number) == 0
			       ? 0
			       : bad_value(map, column, "64bit signed integer", value, err);
	case DICT_CQL_UINT:
		if (lab_view_to_u64(value, &number) < 0 || number > INT64_MAX)
			return bad_value(map, column, "64bit unsigned integer", value, err);
		*ret = (struct cql_arg){ .kind = CQL_ARG_INT, .number = (int64_t)number };
		return 0;
	case DICT_CQL_HEXBLOB:
		bytes = lab_arena_alloc(arena, value.len / 2 + 1);
		if (value.len % 2 != 0 || lab_unhex(value, bytes, value.len / 2) < 0)
			return bad_value(map, column, "hexblob", value, err);
		*ret = (struct cql_arg){ .kind = CQL_ARG_BLOB,
			.bytes = lab_view_of(bytes, value.len / 2) };
		return 0;
	}
	lab_bug("no such type of a dict field");
}

static int unescape(struct env *env, struct lab_view part, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_buf text;
	*ret = part;
	if (lab_view_find_byte(part, '\\') == SIZE_MAX)
		return 0;
	lab_buf_init(&text, env->heap, PART_MAX);
	int result = dict_unescape(&text, part);
	*ret = lab_arena_copy(arena, lab_buf_view(&text));
	if (result < 0 || text.overflow)
		result = lab_fail(
			err, LAB_INVALID, "Invalid escape in key: %.*s", LAB_VIEW_ARG(part));
	lab_buf_done(&text);
	return result;
}

int dict_sql_args(const struct dict_sql_match *match, struct env *env, struct lab_arena *arena,
	struct cql_arg *ret, struct lab_error *err)
{
	for (size_t i = 0; i < match->count; i++) {
		const struct dict_cql_field *field = &match->map->fields[i];
		struct lab_view value;
		if (unescape(env, match->parts[i], arena, &value, err) < 0 ||
			dict_sql_arg(match->map, field->column, field->type, value, arena, &ret[i],
				err) < 0)
			return -1;
	}
	return 0;
}

/* As driver-cassandra gives a column to lib-sql. */
static struct lab_view column_text(
	const struct cql_column *column, struct lab_view cell, struct lab_arena *arena)
{
	uint16_t id = column->type.id;
	bool is_number = id == CQL_TYPE_INT || id == CQL_TYPE_BIGINT || id == CQL_TYPE_TIMESTAMP;
	int64_t number;
	if (is_number && cql_value_to_i64(id, cell, &number) == 0)
		return lab_view_cstr(lab_arena_printf(arena, "%" PRId64, number));
	if ((id == CQL_TYPE_UUID || id == CQL_TYPE_TIMEUUID) && cell.len == CQL_UUID_BYTES) {
		char *text = lab_arena_alloc(arena, CQL_UUID_TEXT_MAX);
		cql_uuid_format(cell.ptr, text);
		return lab_view_cstr(text);
	}
	return cell;
}

struct lab_view dict_sql_text(const struct cql_column *column, enum dict_cql_type type,
	struct lab_view cell, struct lab_arena *arena)
{
	if (cell.ptr == NULL)
		return LAB_VIEW("");
	if (type != DICT_CQL_HEXBLOB)
		return column_text(column, cell, arena);
	char *hex = lab_arena_alloc(arena, 2 * cell.len + 1);
	lab_hex(cell.ptr, cell.len, hex);
	return lab_view_of(hex, 2 * cell.len);
}
