/* SPDX-License-Identifier: Apache-2.0
 *
 * json-input.c - INSERT JSON and fromJson(): JSON to values of CQL's types.
 */
#include "sim/cql-emulator/json-reader.h"
#include "sim/cql-emulator/type-private.h"

/* ---- how messages call a value: as Java does ---- */

static const char *class_of(const struct json_node *n)
{
	static const char *const names[] = { [JSON_TRUE] = "Boolean",
		[JSON_FALSE] = "Boolean",
		[JSON_FLOAT] = "Double",
		[JSON_STRING] = "String",
		[JSON_LIST] = "ArrayList",
		[JSON_MAP] = "LinkedHashMap" };
	int64_t number;
	if (n->kind != JSON_INTEGER)
		return names[n->kind];
	if (lab_view_to_i64(n->text, &number) < 0)
		return "BigInteger";
	return number == (int32_t)number ? "Integer" : "Long";
}

static const char *not_a_string(struct lab_arena *arena, const struct json_node *n)
{
	const char *package = n->kind == JSON_LIST || n->kind == JSON_MAP ? "util" : "lang";
	const char *class = class_of(n);
	if (strcmp(class, "BigInteger") == 0)
		package = "math";
	return lab_arena_printf(arena,
		"class java.%s.%s cannot be cast to class java.lang.String (java.%s.%s and "
		"java.lang.String are in module java.base of loader 'bootstrap')",
		package, class, package, class);
}

static const char *text_of(struct lab_arena *arena, const struct json_node *n);

static const char *items_text(struct lab_arena *arena, const struct json_node *n)
{
	bool map = n->kind == JSON_MAP;
	const char *text = map ? "{" : "[";
	for (size_t i = 0; i < n->count; i++)
		text = lab_arena_printf(arena, "%s%s%s", text,
			i == 0              ? ""
			: map && i % 2 == 1 ? "="
					    : ", ",
			text_of(arena, &n->items[i]));
	return lab_arena_printf(arena, "%s%s", text, map ? "}" : "]");
}

static const char *text_of(struct lab_arena *arena, const struct json_node *n)
{
	double number;
	if (n->kind == JSON_LIST || n->kind == JSON_MAP)
		return items_text(arena, n);
	if (n->kind == JSON_FLOAT && cqle_double_parse(n->text, false, &number) == 0)
		return cqle_double_text(
			arena, CQL_TYPE_DOUBLE, cqle_double_value(arena, CQL_TYPE_DOUBLE, number));
	return lab_arena_cstr(arena, n->text);
}

struct converter {
	struct lab_arena *arena;
	struct lab_error *err;
};

/* "Expected an int value, but got a Boolean: true" */
static int expected(const struct converter *c, const char *what, const struct json_node *n)
{
	return cqle_fail(c->err, CQL_E_INVALID, "Expected %s, but got a %s: %s", what, class_of(n),
		text_of(c->arena, n));
}

/* ---- simple types ---- */

/* Whole numbers of a fixed size, as numbers or strings. */
static int integer(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	bool small = type->id == CQL_TYPE_TINYINT || type->id == CQL_TYPE_SMALLINT;
	bool is_int = type->id == CQL_TYPE_INT;
	size_t size = type_size(type->id);
	int64_t number = 0, limit = size == 8 ? INT64_MAX : (INT64_C(1) << (8 * size - 1)) - 1;
	const char *text = text_of(c->arena, n);
	bool fits = (n->kind == JSON_INTEGER || n->kind == JSON_STRING) &&
		    lab_view_to_i64(lab_view_cstr(text), &number) == 0 && number <= limit &&
		    number >= -limit - 1;
	if (!fits && !small && n->kind != JSON_STRING)
		return expected(c, is_int ? "an int value" : "a bigint value", n);
	if (!fits)
		return cqle_fail(c->err, CQL_E_INVALID, "Unable to make %s from '%s'",
			type->id == CQL_TYPE_TINYINT    ? "byte"
			: type->id == CQL_TYPE_SMALLINT ? "short"
			: is_int                        ? "int"
							: "long",
			text);
	*ret = cqle_big_endian(c->arena, (uint64_t)number, size);
	return 0;
}

static int any_number(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	struct lab_view text = lab_view_cstr(text_of(c->arena, n));
	bool decimal = type->id == CQL_TYPE_DECIMAL;
	if ((decimal ? cqle_decimal_parse(c->arena, text, ret)
		     : cqle_varint_parse(c->arena, text, ret)) == 0)
		return 0;
	return cqle_fail(c->err, CQL_E_INVALID,
		"Value '%.*s' is not a valid representation of a %s value", LAB_VIEW_ARG(text),
		cql_type_name(type->id));
}

static int floating(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	bool single = type->id == CQL_TYPE_FLOAT;
	double number;
	if (n->kind != JSON_INTEGER && n->kind != JSON_FLOAT && n->kind != JSON_STRING)
		return expected(c, single ? "a float value" : "a double value", n);
	if (cqle_double_parse(n->text, single, &number) < 0)
		return cqle_fail(c->err, CQL_E_INVALID, "Unable to make %s from '%.*s'",
			cql_type_name(type->id), LAB_VIEW_ARG(n->text));
	*ret = cqle_double_value(c->arena, type->id, number);
	return 0;
}

static int boolean(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	(void)type;
	bool yes = n->kind == JSON_TRUE, no = n->kind == JSON_FALSE;
	if (n->kind == JSON_STRING) {
		yes = lab_view_eq_nocase(n->text, LAB_VIEW("true"));
		no = lab_view_eq_nocase(n->text, LAB_VIEW("false"));
		if (!yes && !no)
			return cqle_fail(c->err, CQL_E_INVALID,
				"Unable to make boolean from '%.*s'", LAB_VIEW_ARG(n->text));
	}
	if (!yes && !no)
		return expected(c, "a boolean value", n);
	*ret = cql_value_boolean(c->arena, yes);
	return 0;
}

static int bad_blob(const struct converter *c, const struct json_node *n, const char *why)
{
	return cqle_fail(c->err, CQL_E_INVALID, "Value '%s' is not a valid blob representation: %s",
		text_of(c->arena, n), why);
}

static int blob(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	struct lab_view digits = lab_view_skip(n->text, 2);
	(void)type;
	if (n->kind != JSON_STRING)
		return bad_blob(c, n, not_a_string(c->arena, n));
	if (!lab_view_starts_with(n->text, LAB_VIEW("0x")))
		return bad_blob(c, n,
			lab_arena_printf(c->arena,
				"String representation of blob is missing 0x prefix: %.*s",
				LAB_VIEW_ARG(n->text)));
	uint8_t *bytes = lab_arena_alloc(c->arena, digits.len / 2 + 1);
	if (digits.len % 2 != 0 || lab_unhex(digits, bytes, digits.len / 2) < 0)
		return bad_blob(c, n,
			lab_arena_printf(c->arena, "cannot parse '%.*s' as hex bytes",
				LAB_VIEW_ARG(digits)));
	*ret = lab_view_of(bytes, digits.len / 2);
	return 0;
}

static int text(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	struct lab_error ignored;
	bool ascii = type->id == CQL_TYPE_ASCII;
	if (n->kind != JSON_STRING)
		return expected(c, ascii ? "an ascii string" : "a UTF-8 string", n);
	if (cqle_value_validate(type, n->text, &ignored) < 0)
		return ascii ? cqle_fail(c->err, CQL_E_INVALID,
				       "Invalid ASCII character in string literal: "
				       "java.nio.charset.UnmappableCharacterException: Input "
				       "length "
				       "= 1")
			     : cqle_fail(c->err, CQL_E_INVALID, "String didn't validate.");
	*ret = n->text;
	return 0;
}

static int uuid(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	bool timed = type->id == CQL_TYPE_TIMEUUID;
	uint8_t *bytes = lab_arena_alloc(c->arena, CQL_UUID_BYTES);
	if (n->kind != JSON_STRING)
		return expected(c,
			timed ? "a string representation of a timeuuid"
			      : "a string representation of a uuid",
			n);
	if (cql_uuid_parse(n->text, bytes) < 0)
		return cqle_fail(c->err, CQL_E_INVALID,
			timed ? "Unknown timeuuid representation: %.*s"
			      : "Unable to make UUID from '%.*s'",
			LAB_VIEW_ARG(n->text));
	if (timed && bytes[6] >> 4 != 1)
		return cqle_fail(c->err, CQL_E_INVALID, "TimeUUID supports only version 1 UUIDs");
	*ret = lab_view_of(bytes, CQL_UUID_BYTES);
	return 0;
}

/* What is written as a string. */
static int written(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	static const struct {
		uint16_t id;
		const char *what;
	} types[] = { { CQL_TYPE_INET, "a string representation of an inet value" },
		{ CQL_TYPE_DATE, "a string representation of a date value" },
		{ CQL_TYPE_TIME, "a string representation of a time value" },
		{ CQL_TYPE_DURATION, "a string representation of a duration" },
		{ CQL_TYPE_TIMESTAMP,
			"a long or a datestring representation of a timestamp value" } };
	int64_t ms;
	size_t i = 0;
	while (types[i].id != type->id)
		lab_assert(++i < LAB_COUNT_OF(types));
	if (type->id == CQL_TYPE_TIMESTAMP && n->kind == JSON_INTEGER &&
		lab_view_to_i64(n->text, &ms) == 0 && ms != (int32_t)ms) {
		*ret = cql_value_bigint(c->arena, ms);
		return 0;
	}
	if (n->kind != JSON_STRING)
		return expected(c, types[i].what, n);
	return type->id == CQL_TYPE_DURATION
		       ? cqle_duration_parse(c->arena, n->text, ret, c->err)
		       : cqle_literal(c->arena, type->id, n->text, ret, c->err);
}

/* ---- collections, tuples, user types ---- */

static int convert(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret);

static int list(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	bool set = type->id == CQL_TYPE_SET;
	struct lab_view *items = lab_arena_array(c->arena, struct lab_view, n->count + 1);
	if (n->kind != JSON_LIST)
		return expected(c, set ? "a list (representing a set)" : "a list", n);
	for (size_t i = 0; i < n->count; i++) {
		if (n->items[i].kind == JSON_NULL)
			return cqle_fail(c->err, CQL_E_INVALID, "Invalid null element in %s",
				set ? "set" : "list");
		if (convert(c, &n->items[i], &type->params[0], &items[i]) < 0)
			return -1;
	}
	*ret = cqle_collection_of(c->arena, type, items, n->count);
	return 0;
}

static int map(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	struct lab_view *items = lab_arena_array(c->arena, struct lab_view, n->count + 1);
	if (n->kind != JSON_MAP)
		return expected(c, "a map", n);
	for (size_t i = 0; i < n->count; i++) {
		if (n->items[i].kind == JSON_NULL)
			return cqle_fail(c->err, CQL_E_INVALID, "Invalid null value in map");
		if (convert(c, &n->items[i], &type->params[i % 2], &items[i]) < 0)
			return -1;
	}
	*ret = cqle_collection_of(c->arena, type, items, n->count);
	return 0;
}

static int tuple(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	struct lab_view *fields = lab_arena_array(c->arena, struct lab_view, type->param_count + 1);
	if (n->kind != JSON_LIST)
		return expected(c, "a list representation of a tuple", n);
	if (n->count != type->param_count)
		return cqle_fail(c->err, CQL_E_INVALID, "Tuple %s items (expected %zu): %s",
			n->count > type->param_count ? "contains extra" : "is missing",
			type->param_count, text_of(c->arena, n));
	for (size_t i = 0; i < n->count; i++) {
		if (n->items[i].kind != JSON_NULL &&
			convert(c, &n->items[i], &type->params[i], &fields[i]) < 0)
			return -1;
	}
	*ret = cqle_composite_of(c->arena, fields, type->param_count);
	return 0;
}

/* Names are in lower case unless they have quotes of their own. */
static struct lab_view plain_name(struct lab_arena *arena, struct lab_view name)
{
	if (name.len > 1 && name.ptr[0] == '"' && name.ptr[name.len - 1] == '"')
		return lab_view_sub(name, 1, name.len - 2);
	uint8_t *lower = lab_arena_alloc(arena, name.len + 1);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		lower[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
	}
	return lab_view_of(lower, name.len);
}

static int user(const struct converter *c, const struct json_node *n, const struct cql_type *type,
	struct lab_view *ret)
{
	struct lab_view *fields = lab_arena_array(c->arena, struct lab_view, type->param_count + 1);
	if (n->kind != JSON_MAP)
		return expected(c, "a map", n);
	for (size_t i = 0; i < n->count; i += 2) {
		struct lab_view name = plain_name(c->arena, n->items[i].text);
		size_t field = 0;
		while (field < type->param_count && !lab_view_eq(type->field_names[field], name))
			field++;
		if (field == type->param_count)
			return cqle_fail(c->err, CQL_E_INVALID,
				"Unknown field '%.*s' in value of user defined type %.*s",
				LAB_VIEW_ARG(name), LAB_VIEW_ARG(type->name));
		fields[field] = lab_view_of(NULL, 0);
		if (n->items[i + 1].kind != JSON_NULL &&
			convert(c, &n->items[i + 1], &type->params[field], &fields[field]) < 0)
			return -1;
	}
	*ret = cqle_composite_of(c->arena, fields, type->param_count);
	return 0;
}

static const struct {
	uint16_t id;
	int (*convert)(const struct converter *c, const struct json_node *n,
		const struct cql_type *type, struct lab_view *ret);
} conversions[] = { { CQL_TYPE_MAP, map }, { CQL_TYPE_LIST, list }, { CQL_TYPE_SET, list },
	{ CQL_TYPE_UDT, user }, { CQL_TYPE_TUPLE, tuple }, { CQL_TYPE_TEXT, text },
	{ CQL_TYPE_ASCII, text }, { CQL_TYPE_BLOB, blob }, { CQL_TYPE_BOOLEAN, boolean },
	{ CQL_TYPE_UUID, uuid }, { CQL_TYPE_TIMEUUID, uuid }, { CQL_TYPE_VARINT, any_number },
	{ CQL_TYPE_DECIMAL, any_number }, { CQL_TYPE_DOUBLE, floating },
	{ CQL_TYPE_FLOAT, floating }, { CQL_TYPE_INT, integer }, { CQL_TYPE_BIGINT, integer },
	{ CQL_TYPE_SMALLINT, integer }, { CQL_TYPE_TINYINT, integer },
	{ CQL_TYPE_COUNTER, integer } };

/* It is not null. */
static int convert(const struct converter *c, const struct json_node *n,
	const struct cql_type *type, struct lab_view *ret)
{
	struct json_node inner;
	bool nested = type_is_collection(type->id) || type_is_composite(type->id);
	if (nested && n->kind == JSON_STRING && json_read(c->arena, n->text, &inner) == 0)
		n = &inner;
	for (size_t i = 0; i < LAB_COUNT_OF(conversions); i++) {
		if (conversions[i].id == type->id)
			return conversions[i].convert(c, n, type, ret);
	}
	return written(c, n, type, ret);
}

/* ---- INSERT JSON ---- */

static int read_document(
	const struct cqle_eval *e, const struct cqle_json_source *source, struct json_node *ret)
{
	struct lab_view bytes;
	enum cqle_got got = cqle_value_get(e, source->document, &bytes);
	if (got == CQLE_GOT_ERROR)
		return -1;
	if (got == CQLE_GOT_UNSET)
		bytes = lab_view_of("", 0);
	if (got == CQLE_GOT_NULL)
		return cqle_fail(e->err, CQL_E_INVALID, "Got null for INSERT JSON values");
	if (json_read(e->arena, bytes, ret) < 0 ||
		(ret->kind != JSON_MAP && ret->kind != JSON_NULL))
		return cqle_fail(e->err, CQL_E_INVALID,
			"Could not decode JSON string as a map: (String was: %.*s)",
			LAB_VIEW_ARG(bytes));
	if (ret->kind == JSON_NULL)
		return cqle_fail(e->err, CQL_E_INVALID, "Got null for INSERT JSON values");
	for (size_t i = 0; i < ret->count; i += 2) {
		ret->items[i].text = plain_name(e->arena, ret->items[i].text);
		if (cqle_column_find(source->table, ret->items[i].text) == NULL)
			return cqle_fail(e->err, CQL_E_INVALID,
				"JSON values map contains unrecognized column: %.*s",
				LAB_VIEW_ARG(ret->items[i].text));
	}
	return 0;
}

enum cqle_got cqle_json_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret)
{
	struct json_node document;
	struct lab_error inner;
	struct converter c = { e->arena, &inner };
	if (read_document(e, value->json, &document) < 0)
		return CQLE_GOT_ERROR;
	const struct json_node *n = json_get(&document, value->column->name);
	if (n == NULL || n->kind == JSON_NULL)
		return n == NULL && value->json->unset ? CQLE_GOT_UNSET : CQLE_GOT_NULL;
	if (convert(&c, n, &value->type, ret) == 0)
		return CQLE_GOT_VALUE;
	bool bare = value->type.id == CQL_TYPE_DURATION && n->kind == JSON_STRING;
	(void)cqle_fail(e->err, CQL_E_INVALID,
		bare ? "%.*s%s" : "Error decoding JSON value for %.*s: %s",
		LAB_VIEW_ARG(bare ? lab_view_of("", 0) : value->column->name), inner.message);
	return CQLE_GOT_ERROR;
}

/* ---- fromJson() ---- */

int cqle_from_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view arg,
	struct lab_view *ret)
{
	struct json_node n;
	struct lab_error inner;
	struct converter c = { e->arena, &inner };
	*ret = lab_view_of(NULL, 0);
	if (arg.ptr == NULL)
		return 0;
	struct lab_view text_type = LAB_VIEW("text");
	if (json_read(e->arena, arg, &n) < 0)
		return cqle_function_fail(e, "fromjson", &text_type, 1,
			lab_arena_printf(e->arena,
				"execution of 'system.fromjson[text]' failed: Could not decode "
				"JSON "
				"string '%.*s'",
				LAB_VIEW_ARG(arg)));
	if (n.kind == JSON_NULL)
		return 0;
	if (convert(&c, &n, type, ret) == 0)
		return 0;
	return cqle_function_fail(e, "fromjson", &text_type, 1,
		lab_arena_printf(e->arena, "org.apache.cassandra.serializers.MarshalException: %s",
			inner.message));
}
