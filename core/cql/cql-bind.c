/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of a statement: bound by the type of their column, or written into the text.
 */
#include "core/cql/cql-client-private.h"

#define LITERALS_MAX_BYTES (16u << 20)

static bool is_one_of(uint16_t id, const uint16_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* 0, or -1 if the column does not take this kind of value; numbers have rules of their own. */
static int check_kind(const struct cql_arg *arg, uint16_t id)
{
	static const uint16_t texts[] = { CQL_TYPE_TEXT, CQL_TYPE_ASCII };
	static const uint16_t blobs[] = { CQL_TYPE_BLOB, CQL_TYPE_VARINT, CQL_TYPE_CUSTOM };
	static const uint16_t uuids[] = { CQL_TYPE_UUID, CQL_TYPE_TIMEUUID };
	bool ok = true;
	if (arg->kind == CQL_ARG_TEXT)
		ok = is_one_of(id, texts, LAB_COUNT_OF(texts));
	else if (arg->kind == CQL_ARG_BLOB)
		ok = is_one_of(id, blobs, LAB_COUNT_OF(blobs));
	else if (arg->kind == CQL_ARG_UUID)
		ok = is_one_of(id, uuids, LAB_COUNT_OF(uuids)) && arg->bytes.len == CQL_UUID_BYTES;
	return ok ? 0 : -1;
}

/* The number in the column's width; NULL bytes if it does not fit, or the column is no number. */
static struct lab_view number_value(uint16_t id, int64_t n, struct lab_arena *arena)
{
	switch (id) {
	case CQL_TYPE_INT:
		if (n >= INT32_MIN && n <= INT32_MAX)
			return cql_value_int(arena, (int32_t)n);
		break;
	case CQL_TYPE_SMALLINT:
		if (n >= INT16_MIN && n <= INT16_MAX)
			return cql_value_smallint(arena, (int16_t)n);
		break;
	case CQL_TYPE_TINYINT:
		if (n >= INT8_MIN && n <= INT8_MAX)
			return cql_value_tinyint(arena, (int8_t)n);
		break;
	case CQL_TYPE_BIGINT:
	case CQL_TYPE_TIMESTAMP:
	case CQL_TYPE_COUNTER:
		return cql_value_bigint(arena, n);
	default:
		break;
	}
	return (struct lab_view){ NULL, 0 };
}

static int bind_arg(
	const struct cql_arg *arg, uint16_t id, struct lab_arena *arena, struct cql_bind *ret)
{
	*ret = (struct cql_bind){ .kind = CQL_VALUE_BYTES, .bytes = arg->bytes };
	if (arg->kind == CQL_ARG_NULL) {
		ret->kind = CQL_VALUE_NULL;
		return 0;
	}
	if (arg->kind != CQL_ARG_INT)
		return check_kind(arg, id);
	ret->bytes = number_value(id, arg->number, arena);
	return ret->bytes.ptr == NULL ? -1 : 0;
}

int cql_bind_args(const struct cql_statement *statement, const struct cql_metadata *columns,
	struct lab_arena *arena, struct cql_bind **ret, struct lab_error *err)
{
	if (columns->column_count != statement->arg_count) {
		return lab_fail(err, LAB_INVALID,
			"Statement '%.*s': Failed to bind: %zu values for %zu markers",
			LAB_VIEW_ARG(statement->query), statement->arg_count,
			columns->column_count);
	}
	*ret = lab_arena_array(arena, struct cql_bind, statement->arg_count);
	for (size_t i = 0; i < statement->arg_count; i++) {
		uint16_t id = columns->columns[i].type.id;
		if (bind_arg(&statement->args[i], id, arena, &(*ret)[i]) < 0) {
			return lab_fail(err, LAB_INVALID,
				"Statement '%.*s': Failed to bind column %zu: Invalid value for "
				"type %s",
				LAB_VIEW_ARG(statement->query), i, cql_type_name(id));
		}
	}
	return 0;
}

/* ---- literals ---- */

static void put_literal(struct lab_buf *out, const struct cql_arg *arg)
{
	char uuid[CQL_UUID_TEXT_MAX];
	switch (arg->kind) {
	case CQL_ARG_NULL:
		lab_buf_append_cstr(out, "null");
		break;
	case CQL_ARG_TEXT:
		lab_buf_append_byte(out, '\'');
		for (size_t i = 0; i < arg->bytes.len; i++) {
			if (arg->bytes.ptr[i] == '\'')
				lab_buf_append_byte(out, '\'');
			lab_buf_append_byte(out, arg->bytes.ptr[i]);
		}
		lab_buf_append_byte(out, '\'');
		break;
	case CQL_ARG_BLOB:
		lab_buf_append_cstr(out, "0x");
		lab_buf_append_hex(out, arg->bytes);
		break;
	case CQL_ARG_INT:
		lab_buf_printf(out, "%" PRId64, arg->number);
		break;
	case CQL_ARG_UUID:
		lab_assert(arg->bytes.len == CQL_UUID_BYTES);
		cql_uuid_format(arg->bytes.ptr, uuid);
		lab_buf_append_cstr(out, uuid);
		break;
	}
}

static size_t put_literals(struct lab_buf *out, const struct cql_statement *statement)
{
	size_t used = 0;
	for (size_t i = 0; i < statement->query.len; i++) {
		uint8_t c = statement->query.ptr[i];
		if (c != '?')
			lab_buf_append_byte(out, c);
		else if (used++ < statement->arg_count)
			put_literal(out, &statement->args[used - 1]);
	}
	return used;
}

int cql_bind_literals(struct lab_heap *heap, const struct cql_statement *statement,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct lab_buf text;
	int result = 0;
	lab_buf_init(&text, heap, LITERALS_MAX_BYTES);
	if (put_literals(&text, statement) != statement->arg_count) {
		result = lab_fail(err, LAB_INVALID,
			"Statement '%.*s': %zu values do not fit its markers",
			LAB_VIEW_ARG(statement->query), statement->arg_count);
	} else if (text.overflow) {
		result = lab_fail(err, LAB_LIMIT, "Statement '%.*s' is too long",
			LAB_VIEW_ARG(statement->query));
	} else {
		*ret = lab_arena_copy(arena, lab_buf_view(&text));
	}
	lab_buf_done(&text);
	return result;
}
