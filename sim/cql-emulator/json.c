/* SPDX-License-Identifier: Apache-2.0
 *
 * json.c - SELECT JSON: a row as Cassandra writes it, which is not quite as everybody would.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define DOCUMENT_MAX ((size_t)16 << 20)
#define NANOS INT64_C(1000000000)

static void put_escaped(struct lab_buf *out, struct lab_view text)
{
	static const char shorts[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
	for (size_t i = 0; i < text.len; i++) {
		const char *at = text.ptr[i] == 0 ? NULL : strchr(shorts, text.ptr[i]);
		if (at != NULL)
			lab_buf_printf(out, "\\%c", letters[at - shorts]);
		else if (text.ptr[i] < 0x20)
			lab_buf_printf(out, "\\u%04X", text.ptr[i]);
		else
			lab_buf_append_byte(out, text.ptr[i]);
	}
}

static void put_quoted(struct lab_buf *out, struct lab_view text)
{
	lab_buf_append_byte(out, '"');
	put_escaped(out, text);
	lab_buf_append_byte(out, '"');
}

static int put_inet(struct lab_buf *out, struct lab_view value)
{
	lab_buf_append_byte(out, '"');
	for (size_t i = 0; i + 1 < value.len && value.len == 16; i += 2)
		lab_buf_printf(out, "%s%x", i == 0 ? "" : ":",
			(unsigned)value.ptr[i] << 8 | value.ptr[i + 1]);
	for (size_t i = 0; i < value.len && value.len == 4; i++)
		lab_buf_printf(out, "%s%u", i == 0 ? "" : ".", value.ptr[i]);
	lab_buf_append_byte(out, '"');
	return 0;
}

static int put_time(struct lab_buf *out, struct lab_view value)
{
	int64_t nanos = 0;
	(void)cql_value_to_i64(CQL_TYPE_TIME, value, &nanos);
	int64_t seconds = nanos / NANOS;
	lab_buf_printf(out, "\"%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%09" PRId64 "\"",
		seconds / 3600, seconds / 60 % 60, seconds % 60, nanos % NANOS);
	return 0;
}

static bool is_bare(uint16_t id)
{
	return id == CQL_TYPE_TINYINT || id == CQL_TYPE_SMALLINT || id == CQL_TYPE_INT ||
	       id == CQL_TYPE_BIGINT || id == CQL_TYPE_COUNTER || id == CQL_TYPE_VARINT ||
	       id == CQL_TYPE_DECIMAL || id == CQL_TYPE_BOOLEAN || id == CQL_TYPE_DOUBLE ||
	       id == CQL_TYPE_FLOAT;
}

/* Types that have a text of their own. */
static int put_text(
	struct lab_arena *arena, struct lab_buf *out, uint16_t id, struct lab_view value)
{
	const char *text = cqle_value_text(arena, id, value);
	bool floating = id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
	if (text == NULL)
		return -1;
	size_t len = strlen(text);
	if (floating && (text[len - 1] == 'y' || text[len - 1] == 'N')) {
		lab_buf_append_cstr(out, "null"); /* Infinity, NaN */
	} else if (is_bare(id)) {
		lab_buf_append_cstr(out, text);
	} else if (id == CQL_TYPE_TIMESTAMP) { /* a space for the T */
		const char *t = strchr(text, 'T');
		lab_buf_printf(out, "\"%.*s %s\"", (int)(t - text), text, t + 1);
	} else {
		put_quoted(out, lab_view_cstr(text));
	}
	return 0;
}

static int put_value(struct lab_arena *arena, struct lab_buf *out, const struct cql_type *type,
	struct lab_view value);

/* Keys of maps are strings, whatever they are. */
static int put_key(struct lab_arena *arena, struct lab_buf *out, const struct cql_type *type,
	struct lab_view value)
{
	struct lab_buf key;
	lab_buf_init(&key, out->heap, DOCUMENT_MAX);
	int result = put_value(arena, &key, type, value);
	struct lab_view text = lab_buf_view(&key);
	if (text.len > 0 && text.ptr[0] == '"')
		lab_buf_append_view(out, text);
	else
		put_quoted(out, text);
	lab_buf_done(&key);
	return result;
}

static int put_collection(struct lab_arena *arena, struct lab_buf *out, const struct cql_type *type,
	struct lab_view value)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	bool map = type->id == CQL_TYPE_MAP;
	int result = 0;
	lab_buf_append_byte(out, map ? '{' : '[');
	for (int32_t i = 0; i < count && reader.error == NULL && result == 0; i++) {
		lab_buf_append_cstr(out, i == 0 ? "" : ", ");
		if (map) {
			result = put_key(arena, out, &type->params[0], cql_read_bytes(&reader));
			lab_buf_append_cstr(out, ": ");
		}
		if (result == 0)
			result = put_value(arena, out, &type->params[type->param_count - 1],
				cql_read_bytes(&reader));
	}
	lab_buf_append_byte(out, map ? '}' : ']');
	return result;
}

static void put_name(struct lab_buf *out, struct lab_view name);

/* A user type is a map of its fields, a tuple a list. */
static int put_composite(struct lab_arena *arena, struct lab_buf *out, const struct cql_type *type,
	struct lab_view value)
{
	bool user = type->id == CQL_TYPE_UDT;
	int result = 0;
	lab_buf_append_byte(out, user ? '{' : '[');
	for (size_t i = 0; i < type->param_count && result == 0; i++) {
		struct lab_view field = cqle_field_at(value, i);
		lab_buf_append_cstr(out, i == 0 ? "" : ", ");
		if (user)
			put_name(out, type->field_names[i]);
		if (field.ptr == NULL)
			lab_buf_append_cstr(out, "null");
		else
			result = put_value(arena, out, &type->params[i], field);
	}
	lab_buf_append_byte(out, user ? '}' : ']');
	return result;
}

static int put_value(struct lab_arena *arena, struct lab_buf *out, const struct cql_type *type,
	struct lab_view value)
{
	uint16_t id = type->id;
	if (id == CQL_TYPE_TEXT || id == CQL_TYPE_ASCII) {
		put_quoted(out, value);
		return 0;
	}
	if (id == CQL_TYPE_BLOB) {
		lab_buf_append_cstr(out, "\"0x");
		lab_buf_append_hex(out, value);
		lab_buf_append_byte(out, '"');
		return 0;
	}
	if (id == CQL_TYPE_TUPLE || id == CQL_TYPE_UDT)
		return put_composite(arena, out, type, value);
	if (value.len == 0) {
		lab_buf_append_cstr(out, "\"\"");
		return 0;
	}
	if (id == CQL_TYPE_DURATION) {
		put_quoted(out, lab_view_cstr(cqle_duration_text(arena, value)));
		return 0;
	}
	if (id == CQL_TYPE_INET)
		return put_inet(out, value);
	if (id == CQL_TYPE_TIME)
		return put_time(out, value);
	return id == CQL_TYPE_LIST || id == CQL_TYPE_SET || id == CQL_TYPE_MAP
		       ? put_collection(arena, out, type, value)
		       : put_text(arena, out, id, value);
}

/* A name with capitals keeps its quotes. */
static void put_name(struct lab_buf *out, struct lab_view name)
{
	bool capitals = false;
	for (size_t i = 0; i < name.len; i++)
		capitals = capitals || (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z');
	lab_buf_append_cstr(out, capitals ? "\"\\\"" : "\"");
	put_escaped(out, name);
	lab_buf_append_cstr(out, capitals ? "\\\"\": " : "\": ");
}

int cqle_to_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view value,
	struct lab_view *ret)
{
	struct lab_buf out;
	int result = 0;
	lab_buf_init(&out, e->emu->heap, DOCUMENT_MAX);
	if (value.ptr == NULL)
		lab_buf_append_cstr(&out, "null");
	else
		result = put_value(e->arena, &out, type, value);
	if (result < 0 || out.overflow)
		result = cqle_fail(
			e->err, CQL_E_INVALID, "This value as JSON is not supported here");
	else
		*ret = lab_arena_copy(e->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return result;
}

int cqle_json_row(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct lab_view *cells, struct lab_view *ret, struct lab_error *err)
{
	struct lab_buf out;
	int result = 0;
	lab_buf_init(&out, emu->heap, DOCUMENT_MAX);
	lab_buf_append_byte(&out, '{');
	for (size_t i = 0; i < plan->item_count && result == 0; i++) {
		lab_buf_append_cstr(&out, i == 0 ? "" : ", ");
		put_name(&out, plan->json_names[i]);
		if (cells[i].ptr == NULL)
			lab_buf_append_cstr(&out, "null");
		else
			result = put_value(emu->scratch, &out, &plan->items[i].type, cells[i]);
	}
	lab_buf_append_byte(&out, '}');
	if (result < 0 || out.overflow)
		result = cqle_fail(err, CQL_E_INVALID, "This value as JSON is not supported here");
	else
		*ret = lab_arena_copy(arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return result;
}
