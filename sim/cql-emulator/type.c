/* SPDX-License-Identifier: Apache-2.0
 *
 * type.c - CQL's types: names, constants, validation, order.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* ---- names ---- */

static const struct {
	const char *name;
	uint16_t id;
	uint8_t params;
} type_names[] = { { "ascii", CQL_TYPE_ASCII, 0 }, { "bigint", CQL_TYPE_BIGINT, 0 },
	{ "blob", CQL_TYPE_BLOB, 0 }, { "boolean", CQL_TYPE_BOOLEAN, 0 },
	{ "counter", CQL_TYPE_COUNTER, 0 }, { "date", CQL_TYPE_DATE, 0 },
	{ "decimal", CQL_TYPE_DECIMAL, 0 }, { "double", CQL_TYPE_DOUBLE, 0 },
	{ "float", CQL_TYPE_FLOAT, 0 }, { "inet", CQL_TYPE_INET, 0 }, { "int", CQL_TYPE_INT, 0 },
	{ "list", CQL_TYPE_LIST, 1 }, { "map", CQL_TYPE_MAP, 2 }, { "set", CQL_TYPE_SET, 1 },
	{ "smallint", CQL_TYPE_SMALLINT, 0 }, { "text", CQL_TYPE_TEXT, 0 },
	{ "time", CQL_TYPE_TIME, 0 }, { "timestamp", CQL_TYPE_TIMESTAMP, 0 },
	{ "timeuuid", CQL_TYPE_TIMEUUID, 0 }, { "tinyint", CQL_TYPE_TINYINT, 0 },
	{ "uuid", CQL_TYPE_UUID, 0 }, { "varchar", CQL_TYPE_TEXT, 0 },
	{ "varint", CQL_TYPE_VARINT, 0 } };

static bool is_collection(uint16_t id)
{
	return id == CQL_TYPE_LIST || id == CQL_TYPE_SET || id == CQL_TYPE_MAP;
}

static int find_type(const struct type_name *name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(type_names); i++) {
		if (lab_view_eq_cstr(name->name, type_names[i].name))
			return (int)i;
	}
	return -1;
}

static int resolve_params(struct lab_arena *arena, struct lab_view keyspace,
	const struct type_name *name, const char *base, struct cql_type *ret,
	struct lab_view *ret_text, struct lab_error *err)
{
	struct cql_type *params = lab_arena_array(arena, struct cql_type, name->param_count);
	const char *text = base;
	bool nested = false;
	for (size_t i = 0; i < name->param_count; i++) {
		struct lab_view param_text;
		bool multicell;
		if (cqle_type_resolve(arena, keyspace, &name->params[i], &params[i], &param_text,
			    &multicell, err) < 0)
			return -1;
		nested = nested || multicell;
		text = lab_arena_printf(
			arena, "%s%s%.*s", text, i == 0 ? "<" : ", ", LAB_VIEW_ARG(param_text));
	}
	ret->params = params;
	ret->param_count = name->param_count;
	*ret_text = lab_view_cstr(lab_arena_printf(arena, "%s>", text));
	if (nested)
		return cqle_fail(err, CQL_E_INVALID,
			"Non-frozen collections are not allowed inside collections: %.*s",
			LAB_VIEW_ARG(*ret_text));
	return 0;
}

int cqle_type_resolve(struct lab_arena *arena, struct lab_view keyspace,
	const struct type_name *name, struct cql_type *ret, struct lab_view *ret_text,
	bool *ret_multicell, struct lab_error *err)
{
	*ret_multicell = false;
	if (lab_view_eq_cstr(name->name, "frozen") && name->param_count == 1) {
		struct lab_view inner;
		if (cqle_type_resolve(
			    arena, keyspace, &name->params[0], ret, &inner, ret_multicell, err) < 0)
			return -1;
		*ret_multicell = false;
		*ret_text = is_collection(ret->id) ? lab_view_cstr(lab_arena_printf(arena,
							     "frozen<%.*s>", LAB_VIEW_ARG(inner)))
						   : inner;
		return 0;
	}
	int index = find_type(name);
	if (index < 0 || type_names[index].params != name->param_count)
		return cqle_fail(err, CQL_E_INVALID, "Unknown type %.*s.%.*s",
			LAB_VIEW_ARG(keyspace), LAB_VIEW_ARG(name->name));
	*ret = (struct cql_type){ .id = type_names[index].id };
	*ret_multicell = is_collection(ret->id);
	*ret_text = lab_view_cstr(cql_type_name(ret->id));
	if (name->param_count == 0)
		return 0;
	return resolve_params(arena, keyspace, name, type_names[index].name, ret, ret_text, err);
}

struct lab_view cqle_type_text(struct lab_arena *arena, const struct cql_type *type)
{
	const char *text = cql_type_name(type->id);
	for (size_t i = 0; i < type->param_count; i++) {
		struct lab_view inner = cqle_type_text(arena, &type->params[i]);
		bool frozen = is_collection(type->params[i].id);
		text = lab_arena_printf(arena, frozen ? "%s%sfrozen<%.*s>" : "%s%s%.*s", text,
			i == 0 ? "<" : ", ", LAB_VIEW_ARG(inner));
	}
	return lab_view_cstr(type->param_count == 0 ? text : lab_arena_printf(arena, "%s>", text));
}

/* ---- validation ---- */

/* Well-formed sequences by their first byte: how long, and what the second byte may be (Unicode,
 * table 3-7). */
static const struct utf8_lead {
	uint8_t first, last, length, second_low, second_high;
} utf8_leads[] = {
	{ 0x00, 0x7f, 1, 0x00, 0x00 },
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static const struct utf8_lead *utf8_lead_of(uint8_t byte)
{
	for (size_t i = 0; i < LAB_COUNT_OF(utf8_leads); i++) {
		if (byte >= utf8_leads[i].first && byte <= utf8_leads[i].last)
			return &utf8_leads[i];
	}
	return NULL;
}

/* Of the sequence at `at`; 0 if it is not one. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
	const struct utf8_lead *lead = utf8_lead_of(at[0]);

	if (lead == NULL || lead->length > left)
		return 0;
	if (lead->length > 1 && (at[1] < lead->second_low || at[1] > lead->second_high))
		return 0;
	for (size_t i = 2; i < lead->length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return lead->length;
}

static bool is_utf8(struct lab_view v)
{
	size_t ascii = 0;
	while (ascii < v.len && v.ptr[ascii] < 0x80)
		ascii++;
	for (size_t i = ascii; i < v.len;) {
		size_t n = utf8_length(v.ptr + i, v.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* Types of a fixed size, and how Cassandra words a wrong length: by type id. */
struct fixed {
	uint8_t size; /* 0: any */
	bool may_be_empty;
	const char *text;
};
static const struct fixed fixed_types[] = { [CQL_TYPE_INT] = { 4, true,
						    "Expected 4 or 0 byte int" },
	[CQL_TYPE_BIGINT] = { 8, true, "Expected 8 or 0 byte long" },
	[CQL_TYPE_COUNTER] = { 8, true, "Expected 8 or 0 byte long" },
	[CQL_TYPE_BOOLEAN] = { 1, true, "Expected 1 or 0 byte value" },
	[CQL_TYPE_DOUBLE] = { 8, true, "Expected 8 or 0 byte value for a double" },
	[CQL_TYPE_FLOAT] = { 4, true, "Expected 4 or 0 byte value for a float" },
	[CQL_TYPE_TIMESTAMP] = { 8, true, "Expected 8 or 0 byte long for date" },
	[CQL_TYPE_UUID] = { 16, true, "UUID should be 16 or 0 bytes" },
	[CQL_TYPE_TIMEUUID] = { 16, true, "UUID should be 16 or 0 bytes" },
	[CQL_TYPE_DATE] = { 4, false, "Expected 4 byte long for date" },
	[CQL_TYPE_TIME] = { 8, false, "Expected 8 byte long for time" },
	[CQL_TYPE_SMALLINT] = { 2, false, "Expected 2 bytes for a smallint" },
	[CQL_TYPE_TINYINT] = { 1, false, "Expected 1 byte for a tinyint" } };

static size_t fixed_size(uint16_t id)
{
	return id < LAB_COUNT_OF(fixed_types) ? fixed_types[id].size : 0;
}

static int check_length(uint16_t id, size_t len, struct lab_error *err)
{
	size_t size = fixed_size(id);
	if (size == 0 || len == size || (len == 0 && fixed_types[id].may_be_empty))
		return 0;
	return cqle_fail(err, CQL_E_INVALID, "%s (%zu)", fixed_types[id].text, len);
}

static int validate_collection(
	const struct cql_type *type, struct lab_view value, struct lab_error *err)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	int64_t items = (int64_t)count * (type->id == CQL_TYPE_MAP ? 2 : 1);
	if (count < 0 || reader.error != NULL)
		return cqle_fail(err, CQL_E_INVALID, "Not enough bytes to read a %s",
			cql_type_name(type->id));
	for (int64_t i = 0; i < items; i++) {
		struct lab_view item = cql_read_bytes(&reader);
		if (reader.error != NULL || item.ptr == NULL)
			return cqle_fail(err, CQL_E_INVALID, "Not enough bytes to read a %s",
				cql_type_name(type->id));
		if (cqle_value_validate(
			    &type->params[type->param_count == 2 ? i % 2 : 0], item, err) < 0)
			return -1;
	}
	if (reader.rest.len > 0)
		return cqle_fail(err, CQL_E_INVALID, "Unexpected extraneous bytes after %s value",
			cql_type_name(type->id));
	return 0;
}

static int validate_ascii(struct lab_view value, struct lab_error *err)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] >= 0x80)
			return cqle_fail(err, CQL_E_INVALID, "Invalid byte for ascii: %d",
				(int)(int8_t)value.ptr[i]);
	}
	return 0;
}

static int validate_decimal(struct lab_view value, struct lab_error *err)
{
	if (value.len > 0 && value.len < 5)
		return cqle_fail(err, CQL_E_INVALID, "Expected 0 or at least 4 bytes");
	if (value.len > CQLE_DECIMAL_BYTES_MAX)
		return cqle_fail(err, CQL_E_INVALID, "A decimal of %zu bytes is not supported here",
			value.len);
	return 0;
}

int cqle_value_validate(const struct cql_type *type, struct lab_view value, struct lab_error *err)
{
	if (type->id == CQL_TYPE_TEXT) {
		if (!is_utf8(value))
			return cqle_fail(err, CQL_E_INVALID, "String didn't validate.");
	} else if (type->id == CQL_TYPE_ASCII) {
		return validate_ascii(value, err);
	} else if (type->id == CQL_TYPE_INET) {
		if (value.len != 0 && value.len != 4 && value.len != 16)
			return cqle_fail(err, CQL_E_INVALID,
				"Expected 4 or 16 byte inetaddress; got %zu", value.len);
	} else if (type->id == CQL_TYPE_DECIMAL) {
		return validate_decimal(value, err);
	} else if (is_collection(type->id)) {
		return validate_collection(type, value, err);
	} else if (type->id == CQL_TYPE_TIMEUUID && value.len == 16 && value.ptr[6] >> 4 != 1) {
		return cqle_fail(err, CQL_E_INVALID, "Invalid version for TimeUUID type.");
	}
	return check_length(type->id, value.len, err);
}

/* ---- constants ---- */

static int constant_mismatch(const struct term *term, struct lab_view column,
	struct lab_view type_text, struct lab_error *err)
{
	static const char *const names[] = { [TERM_STRING] = "STRING",
		[TERM_INTEGER] = "INTEGER",
		[TERM_FLOAT] = "FLOAT",
		[TERM_BOOLEAN] = "BOOLEAN",
		[TERM_HEX] = "HEX",
		[TERM_UUID] = "UUID",
		[TERM_LIST] = "list",
		[TERM_SET] = "set",
		[TERM_MAP] = "map",
		[TERM_TUPLE] = "tuple" };
	const char *name = term->kind < LAB_COUNT_OF(names) ? names[term->kind] : NULL;
	if (term->kind == TERM_CALL)
		return cqle_fail(
			err, CQL_E_INVALID, "Unknown function '%.*s'", LAB_VIEW_ARG(term->text));
	if (term->kind >= TERM_LIST)
		return cqle_fail(err, CQL_E_INVALID, "Invalid %s literal for %.*s of type %.*s",
			name == NULL ? "term" : name, LAB_VIEW_ARG(column),
			LAB_VIEW_ARG(type_text));
	return cqle_fail(err, CQL_E_INVALID, "Invalid %s constant (%.*s) for \"%.*s\" of type %.*s",
		name == NULL ? "term" : name, LAB_VIEW_ARG(term->text), LAB_VIEW_ARG(column),
		LAB_VIEW_ARG(type_text));
}

static bool is_floating(uint16_t id)
{
	return id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
}

/* Of any length, or with a fraction. */
static int constant_number(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	double number = 0;
	int result = type->id == CQL_TYPE_VARINT ? cqle_varint_parse(arena, term->text, ret)
		     : type->id == CQL_TYPE_DECIMAL
			     ? cqle_decimal_parse(arena, term->text, ret)
			     : cqle_double_parse(term->text, type->id == CQL_TYPE_FLOAT, &number);
	/* What is beyond the largest number stops Cassandra's parser. */
	bool word = lab_view_ends_with(term->text, LAB_VIEW("infinity"));
	if (result == 0 && is_floating(type->id) && !word && number - number != 0 &&
		number == number)
		result = -1;
	if (result < 0)
		return cqle_fail(err, CQL_E_INVALID, "Unable to make %s from '%.*s'",
			type->id == CQL_TYPE_DECIMAL ? "BigDecimal" : cql_type_name(type->id),
			LAB_VIEW_ARG(term->text));
	if (is_floating(type->id))
		*ret = cqle_double_value(arena, type->id, number);
	return 0;
}

/* Days of a date are unsigned, the nanoseconds of a time those of a day. */
static int constant_day_part(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	int64_t value;
	bool date = type->id == CQL_TYPE_DATE;
	if (lab_view_to_i64(term->text, &value) < 0 || value < 0 ||
		value > (date ? (int64_t)UINT32_MAX : INT64_C(86399999999999)))
		return cqle_fail(err, CQL_E_INVALID, "Unable to make %s from: '%.*s'",
			date ? "unsigned int (for date)" : "long (for time)",
			LAB_VIEW_ARG(term->text));
	*ret = cqle_big_endian(arena, (uint64_t)value, date ? 4 : 8);
	return 0;
}

static int constant_integer(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	int64_t value;
	size_t size = fixed_size(type->id);
	if (type->id == CQL_TYPE_DATE || type->id == CQL_TYPE_TIME)
		return constant_day_part(arena, term, type, ret, err);
	if (size == 0 || is_floating(type->id))
		return constant_number(arena, term, type, ret, err);
	int64_t limit = size == 8 ? INT64_MAX : (INT64_C(1) << (8 * size - 1)) - 1;
	if (lab_view_to_i64(term->text, &value) < 0 || value > limit || value < -limit - 1)
		return cqle_fail(err, CQL_E_INVALID, "Unable to make %s from '%.*s'",
			type->id == CQL_TYPE_BIGINT ? "long" : cql_type_name(type->id),
			LAB_VIEW_ARG(term->text));
	*ret = cqle_big_endian(arena, (uint64_t)value, size);
	return 0;
}

static int constant_string(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	if (type->id == CQL_TYPE_TEXT || type->id == CQL_TYPE_ASCII) {
		*ret = term->text;
		return cqle_value_validate(type, *ret, err);
	}
	return cqle_literal(arena, type->id, term->text, ret, err);
}

static int constant_hex(struct lab_arena *arena, const struct term *term, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_view digits = lab_view_skip(term->text, 2);
	uint8_t *bytes = lab_arena_alloc(arena, digits.len / 2 + 1);
	if (digits.len % 2 != 0 || lab_unhex(digits, bytes, digits.len / 2) < 0)
		return cqle_fail(err, CQL_E_INVALID,
			"An hex string representing bytes must have an even length");
	*ret = lab_view_of(bytes, digits.len / 2);
	return 0;
}

static int constant_uuid(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	uint8_t *bytes = lab_arena_alloc(arena, CQL_UUID_BYTES);
	if (cql_uuid_parse(term->text, bytes) < 0)
		return cqle_fail(err, CQL_E_INVALID, "Unable to make UUID from '%.*s'",
			LAB_VIEW_ARG(term->text));
	*ret = lab_view_of(bytes, CQL_UUID_BYTES);
	return cqle_value_validate(type, *ret, err);
}

/* Sets and maps are kept in the order of their elements, each once; of equal ones the last. */
static size_t sort_items(struct lab_arena *arena, const struct cql_type *type,
	struct lab_view *items, size_t count, size_t stride)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i += stride) {
		size_t at = kept;
		int order = 1;
		while (at > 0 && (order = cqle_value_compare(arena, &type->params[0],
					  items[at - stride], items[i])) > 0)
			at -= stride;
		bool same = at > 0 && order == 0;
		struct lab_view moved[2] = { items[i], stride == 2 ? items[i + 1] : items[i] };
		if (same)
			at -= stride;
		else
			memmove(&items[at + stride], &items[at], (kept - at) * sizeof(*items));
		memcpy(&items[at], moved, stride * sizeof(*items));
		kept += same ? 0 : stride;
	}
	return kept;
}

struct lab_view cqle_collection_of(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view *items, size_t count)
{
	size_t stride = type->id == CQL_TYPE_MAP ? 2 : 1, bytes = 4;
	struct lab_buf out;
	if (type->id != CQL_TYPE_LIST)
		count = sort_items(arena, type, items, count, stride);
	for (size_t i = 0; i < count; i++)
		bytes += 4 + items[i].len;
	lab_buf_init_arena(&out, arena, bytes);
	lab_buf_append_u32(&out, (uint32_t)(count / stride));
	for (size_t i = 0; i < count; i++)
		cql_put_bytes(&out, items[i].len == 0 ? lab_view_of("", 0) : items[i]);
	return lab_buf_view(&out);
}

static int constant_collection(struct lab_arena *arena, const struct term *term,
	struct lab_view column, const struct cql_type *type, struct lab_view type_text,
	struct lab_view *ret, struct lab_error *err)
{
	bool map = type->id == CQL_TYPE_MAP;
	size_t count = term->item_count;
	struct lab_view *items = lab_arena_array(arena, struct lab_view, count + 1);
	for (size_t i = 0; i < count; i++) {
		if (cqle_constant(arena, &term->items[i], column, &type->params[map ? i % 2 : 0],
			    type_text, &items[i], err) < 0)
			return -1;
	}
	*ret = cqle_collection_of(arena, type, items, count);
	return 0;
}

static bool takes_integer(uint16_t id)
{
	return id == CQL_TYPE_INT || id == CQL_TYPE_BIGINT || id == CQL_TYPE_SMALLINT ||
	       id == CQL_TYPE_TINYINT || id == CQL_TYPE_VARINT || id == CQL_TYPE_TIMESTAMP ||
	       id == CQL_TYPE_COUNTER || id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT ||
	       id == CQL_TYPE_TIME || id == CQL_TYPE_DATE || id == CQL_TYPE_DECIMAL;
}

static bool takes_string(uint16_t id)
{
	return id == CQL_TYPE_TEXT || id == CQL_TYPE_ASCII || id == CQL_TYPE_TIMESTAMP ||
	       id == CQL_TYPE_DATE || id == CQL_TYPE_TIME || id == CQL_TYPE_INET;
}

static bool takes_collection(const struct term *term, uint16_t id)
{
	return (term->kind == TERM_LIST && id == CQL_TYPE_LIST) ||
	       (term->kind == TERM_SET && id == CQL_TYPE_SET) ||
	       (id == CQL_TYPE_MAP && (term->kind == TERM_MAP ||
					      (term->kind == TERM_SET && term->item_count == 0)));
}

static bool is_fraction_of(const struct term *term, uint16_t id)
{
	return term->kind == TERM_FLOAT && (is_floating(id) || id == CQL_TYPE_DECIMAL);
}

static bool is_uuid_of(const struct term *term, uint16_t id)
{
	return term->kind == TERM_UUID && (id == CQL_TYPE_UUID || id == CQL_TYPE_TIMEUUID);
}

/* Could the term be a value of the type at all? */
bool cqle_term_fits(const struct term *term, const struct cql_type *type)
{
	uint16_t id = type->id;
	return (term->kind == TERM_INTEGER && takes_integer(id)) ||
	       (term->kind == TERM_STRING && takes_string(id)) ||
	       (term->kind == TERM_HEX && id == CQL_TYPE_BLOB) ||
	       (term->kind == TERM_BOOLEAN && id == CQL_TYPE_BOOLEAN) || is_uuid_of(term, id) ||
	       is_fraction_of(term, id) || takes_collection(term, id);
}

/* The items of a collection constant. */
static int check_items(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err)
{
	bool map = type->id == CQL_TYPE_MAP;
	for (size_t i = 0; i < term->item_count; i++) {
		const struct term *item = &term->items[i];
		const struct cql_type *wanted = &type->params[map ? i % 2 : 0];
		if (item->kind == TERM_NULL)
			return cqle_fail(
				err, CQL_E_INVALID, "null is not supported inside collections");
		if (cqle_term_fits(item, wanted))
			continue;
		struct lab_view text = cqle_term_text(arena, item);
		struct lab_view type_text = cqle_type_text(arena, wanted);
		return cqle_fail(err, CQL_E_INVALID,
			"Invalid %s literal for %.*s: %s %.*s is not of type %.*s",
			cql_type_name(type->id), LAB_VIEW_ARG(column),
			map && i % 2 == 0 ? "key" : "value", LAB_VIEW_ARG(text),
			LAB_VIEW_ARG(type_text));
	}
	return 0;
}

int cqle_constant(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_view type_text, struct lab_view *ret,
	struct lab_error *err)
{
	uint16_t id = type->id;
	if (term->kind == TERM_INTEGER && takes_integer(id))
		return constant_integer(arena, term, type, ret, err);
	if (term->kind == TERM_STRING && takes_string(id))
		return constant_string(arena, term, type, ret, err);
	if (term->kind == TERM_HEX && id == CQL_TYPE_BLOB)
		return constant_hex(arena, term, ret, err);
	if (is_uuid_of(term, id))
		return constant_uuid(arena, term, type, ret, err);
	if (takes_collection(term, id))
		return check_items(arena, term, column, type, err) < 0
			       ? -1
			       : constant_collection(
					 arena, term, column, type, type_text, ret, err);
	if (term->kind == TERM_BOOLEAN && id == CQL_TYPE_BOOLEAN) {
		*ret = cql_value_boolean(arena, lab_view_eq_cstr(term->text, "true"));
		return 0;
	}
	if (is_fraction_of(term, id))
		return constant_number(arena, term, type, ret, err);
	return constant_mismatch(term, column, type_text, err);
}

/* ---- order ---- */

#define TEXT_ESCAPE 0x00 /* 00 is written 00 ff, the end is 00 00 */
#define TEXT_ESCAPED_ZERO 0xff

static bool is_signed(uint16_t id)
{
	return id == CQL_TYPE_INT || id == CQL_TYPE_BIGINT || id == CQL_TYPE_SMALLINT ||
	       id == CQL_TYPE_TINYINT || id == CQL_TYPE_TIMESTAMP || id == CQL_TYPE_TIME ||
	       id == CQL_TYPE_COUNTER;
}

static void put(struct lab_buf *out, uint8_t flip, uint8_t byte)
{
	lab_buf_append_byte(out, byte ^ flip);
}

static void put_text(struct lab_buf *out, uint8_t flip, struct lab_view value)
{
	if (flip == 0 && lab_view_find_byte(value, TEXT_ESCAPE) == SIZE_MAX) { /* mostly */
		lab_buf_append_view(out, value);
		value.len = 0;
	}
	for (size_t i = 0; i < value.len; i++) {
		put(out, flip, value.ptr[i]);
		if (value.ptr[i] == TEXT_ESCAPE)
			put(out, flip, TEXT_ESCAPED_ZERO);
	}
	put(out, flip, 0);
	put(out, flip, 0);
}

/* Version, for time-based ones the time with its highest bits first, then the bytes themselves:
 * UUIDType's order. TimeUUIDType compares the last eight bytes as signed ones. */
static void put_uuid(struct lab_buf *out, uint8_t flip, uint16_t id, const uint8_t *b)
{
	static const uint8_t time_order[] = { 6, 7, 4, 5, 0, 1, 2, 3 };
	unsigned version = b[6] >> 4;
	put(out, flip, (uint8_t)version);
	if (version == 1) {
		for (size_t i = 0; i < sizeof(time_order); i++)
			put(out, flip, b[time_order[i]]);
	}
	if (id == CQL_TYPE_TIMEUUID) {
		for (size_t i = 8; i < 16; i++)
			put(out, flip, b[i] ^ 0x80);
	}
	for (size_t i = 0; i < 16; i++)
		put(out, flip, b[i]);
}

static void put_fixed(struct lab_buf *out, uint8_t flip, uint16_t id, struct lab_view value)
{
	bool floating = id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
	bool negative = floating && (value.ptr[0] & 0x80) != 0;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t byte = value.ptr[i];
		if (i == 0 && (is_signed(id) || (floating && !negative)))
			byte ^= 0x80;
		if (negative)
			byte ^= 0xff;
		put(out, flip, byte);
	}
}

/* What is empty, then negative, then positive; by length; two's complement as short as it can be.
 */
static void put_varint(struct lab_buf *out, uint8_t flip, struct lab_view v)
{
	bool negative = v.len > 0 && (v.ptr[0] & 0x80) != 0;
	while (v.len > 1 && v.ptr[0] == (negative ? 0xff : 0) &&
		((v.ptr[1] & 0x80) != 0) == negative)
		v = lab_view_skip(v, 1);
	uint8_t kind = v.len == 0 ? 0 : negative ? 1 : 2, sign = negative ? 0xff : 0;
	put(out, flip, kind);
	for (unsigned shift = 32; v.len > 0 && shift > 0; shift -= 8)
		put(out, flip, (uint8_t)(v.len >> (shift - 8)) ^ sign);
	for (size_t i = 0; i < v.len; i++)
		put(out, flip, v.ptr[i]);
}

static size_t take_varint(struct lab_view bytes, uint8_t flip, struct lab_buf *out)
{
	size_t len = 0;
	uint8_t kind = bytes.len < 5 ? 0 : bytes.ptr[0] ^ flip;
	if (kind == 0)
		return LAB_MIN(bytes.len, (size_t)1);
	for (size_t i = 1; i < 5; i++)
		len = len << 8 | (uint8_t)(bytes.ptr[i] ^ flip ^ (kind == 1 ? 0xff : 0));
	struct lab_view v = lab_view_sub(bytes, 5, len);
	for (size_t i = 0; i < v.len; i++)
		lab_buf_append_byte(out, v.ptr[i] ^ flip);
	return 5 + v.len;
}

void cqle_comparable_put(
	struct lab_buf *out, const struct cql_type *type, bool descending, struct lab_view value)
{
	uint8_t flip = descending ? 0xff : 0;
	bool uuid = type->id == CQL_TYPE_UUID || type->id == CQL_TYPE_TIMEUUID;
	if (type->id == CQL_TYPE_VARINT) {
		put_varint(out, flip, value);
		return;
	}
	if (fixed_size(type->id) == 0) {
		put_text(out, flip, value);
		return;
	}
	put(out, flip, value.len > 0);
	if (value.len == 0)
		return;
	if (uuid)
		put_uuid(out, flip, type->id, value.ptr);
	else
		put_fixed(out, flip, type->id, value);
}

static size_t take_text(struct lab_view bytes, uint8_t flip, struct lab_buf *out)
{
	size_t i = 0;
	while (i + 1 < bytes.len) {
		uint8_t byte = bytes.ptr[i++] ^ flip;
		if (byte == TEXT_ESCAPE && (bytes.ptr[i++] ^ flip) == 0)
			return i;
		lab_buf_append_byte(out, byte);
	}
	return bytes.len;
}

static void take_fixed(struct lab_view bytes, uint8_t flip, uint16_t id, struct lab_buf *out)
{
	bool floating = id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
	bool negative = floating && ((bytes.ptr[0] ^ flip) & 0x80) == 0;
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t byte = bytes.ptr[i] ^ flip;
		if (i == 0 && (is_signed(id) || (floating && !negative)))
			byte ^= 0x80;
		lab_buf_append_byte(out, negative ? byte ^ 0xff : byte);
	}
}

size_t cqle_comparable_take(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out)
{
	uint8_t flip = descending ? 0xff : 0;
	size_t size = fixed_size(type->id), skipped = 1;
	if (type->id == CQL_TYPE_VARINT)
		return take_varint(bytes, flip, out);
	if (size == 0)
		return take_text(bytes, flip, out);
	if (bytes.len == 0 || (bytes.ptr[0] ^ flip) == 0)
		return LAB_MIN(bytes.len, (size_t)1);
	if (type->id == CQL_TYPE_UUID || type->id == CQL_TYPE_TIMEUUID) {
		bool timed = bytes.len > 1 && (bytes.ptr[1] ^ flip) == 1;
		skipped += 1 + (timed ? 8u : 0u) + (type->id == CQL_TYPE_TIMEUUID ? 8u : 0u);
		for (size_t i = 0; i < size && skipped + i < bytes.len; i++)
			lab_buf_append_byte(out, bytes.ptr[skipped + i] ^ flip);
		return LAB_MIN(skipped + size, bytes.len);
	}
	take_fixed(lab_view_sub(bytes, 1, size), flip, type->id, out);
	return LAB_MIN(1 + size, bytes.len);
}

static struct lab_view comparable(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view value)
{
	/* Collections and numbers of any length: bytes are good enough to tell them apart. */
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, 2 * value.len + 40);
	cqle_comparable_put(&out, type, false, value);
	return lab_buf_view(&out);
}

int cqle_value_compare(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view a, struct lab_view b)
{
	if (type->id == CQL_TYPE_DECIMAL)
		return cqle_decimal_compare(a, b);
	return lab_view_cmp(comparable(arena, type, a), comparable(arena, type, b));
}
