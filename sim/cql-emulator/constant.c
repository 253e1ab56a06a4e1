/* SPDX-License-Identifier: Apache-2.0
 *
 * constant.c - constants as written to bytes.
 */
#include "sim/cql-emulator/type-private.h"

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
		[TERM_DURATION] = "DURATION",
		[TERM_TUPLE] = "tuple",
		[TERM_USER] = "user type" };
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
	size_t size = type_size(type->id);
	if (type->id == CQL_TYPE_DURATION)
		return cqle_duration_parse(arena, term->text, ret, err);
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
		const struct cql_type *item_type = &type->params[map ? i % 2 : 0];
		struct lab_view text = type_is_composite(item_type->id)
					       ? cqle_type_text_frozen(arena, item_type)
					       : type_text;
		if (cqle_constant(arena, &term->items[i], column, item_type, text, &items[i], err) <
			0)
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
	       id == CQL_TYPE_TIME || id == CQL_TYPE_DATE || id == CQL_TYPE_DECIMAL ||
	       id == CQL_TYPE_DURATION;
}

static bool takes_string(uint16_t id)
{
	return id == CQL_TYPE_TEXT || id == CQL_TYPE_ASCII || id == CQL_TYPE_TIMESTAMP ||
	       id == CQL_TYPE_DATE || id == CQL_TYPE_TIME || id == CQL_TYPE_INET;
}

static bool fits_value(const struct term *term, const struct cql_type *type)
{
	bool known_later = term->kind == TERM_NULL || term->kind == TERM_MARKER ||
			   term->kind == TERM_CALL || term->kind == TERM_HINT ||
			   term->kind == TERM_OPERATION;
	return known_later || cqle_term_fits(term, type);
}

static bool takes_collection(const struct term *term, const struct cql_type *type)
{
	uint16_t id = type->id;
	bool fits =
		(term->kind == TERM_LIST && id == CQL_TYPE_LIST) ||
		(term->kind == TERM_SET && id == CQL_TYPE_SET) ||
		(id == CQL_TYPE_MAP && (term->kind == TERM_MAP ||
					       (term->kind == TERM_SET && term->item_count == 0)));
	for (size_t i = 0; fits && i < term->item_count; i++)
		fits = fits_value(&term->items[i], &type->params[i % type->param_count]);
	return fits;
}

static bool is_fraction_of(const struct term *term, uint16_t id)
{
	return term->kind == TERM_FLOAT && (is_floating(id) || id == CQL_TYPE_DECIMAL);
}

static bool is_uuid_of(const struct term *term, uint16_t id)
{
	return term->kind == TERM_UUID && (id == CQL_TYPE_UUID || id == CQL_TYPE_TIMEUUID);
}

/* The shape is right: what the items are is looked at, and complained about, one by one. */
static bool is_collection_of(const struct term *term, uint16_t id)
{
	return (term->kind == TERM_LIST && id == CQL_TYPE_LIST) ||
	       (term->kind == TERM_SET && id == CQL_TYPE_SET) ||
	       (id == CQL_TYPE_MAP && (term->kind == TERM_MAP ||
					      (term->kind == TERM_SET && term->item_count == 0)));
}

static const struct term *field_of(const struct term *term, struct lab_view name)
{
	const struct term *found = NULL;
	for (size_t i = 0; i + 1 < term->item_count; i += 2) {
		if (lab_view_eq(term->items[i].text, name))
			found = &term->items[i + 1]; /* the last one counts */
	}
	return found;
}

static bool takes_fields(const struct term *term, const struct cql_type *type)
{
	bool user = term->kind == TERM_USER, tuple = term->kind == TERM_TUPLE;
	if ((!user || type->id != CQL_TYPE_UDT) && (!tuple || !type_is_composite(type->id)))
		return false;
	if (tuple && term->item_count > type->param_count)
		return false;
	for (size_t i = 0; i < type->param_count; i++) {
		const struct term *field = user ? field_of(term, type->field_names[i])
					   : i < term->item_count ? &term->items[i]
								  : NULL;
		if (field != NULL && !fits_value(field, &type->params[i]))
			return false;
	}
	return true;
}

static bool fits_constant(const struct term *term, uint16_t id)
{
	switch ((int)term->kind) {
	case TERM_INTEGER:
		return takes_integer(id);
	case TERM_STRING:
		return takes_string(id);
	case TERM_HEX:
		return id == CQL_TYPE_BLOB;
	case TERM_DURATION:
		return id == CQL_TYPE_DURATION;
	case TERM_BOOLEAN:
		return id == CQL_TYPE_BOOLEAN;
	default:
		return is_uuid_of(term, id) || is_fraction_of(term, id);
	}
}

/* Could the term be a value of the type at all? */
bool cqle_term_fits(const struct term *term, const struct cql_type *type)
{
	bool constant = term->kind >= TERM_STRING && term->kind <= TERM_UUID;
	if (constant && type->id == CQL_TYPE_TUPLE) /* its first field */
		return term->kind != TERM_HEX;
	return constant ? fits_constant(term, type->id)
			: takes_collection(term, type) || takes_fields(term, type);
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
		if (fits_value(item, wanted))
			continue;
		struct lab_view text = cqle_term_text(arena, item);
		struct lab_view type_text = cqle_type_text_frozen(arena, wanted);
		return cqle_fail(err, CQL_E_INVALID,
			"Invalid %s literal for %.*s: %s %.*s is not of type %.*s",
			cql_type_name(type->id), LAB_VIEW_ARG(column),
			map && i % 2 == 0 ? "key" : "value", LAB_VIEW_ARG(text),
			LAB_VIEW_ARG(type_text));
	}
	return 0;
}

static bool has_field(const struct cql_type *type, struct lab_view name)
{
	for (size_t i = 0; i < type->param_count; i++) {
		if (lab_view_eq(type->field_names[i], name))
			return true;
	}
	return false;
}

static int check_user(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err)
{
	for (size_t i = 0; i < type->param_count; i++) {
		const struct term *field = field_of(term, type->field_names[i]);
		struct lab_view text = cqle_type_text_frozen(arena, &type->params[i]);
		if (field != NULL && !fits_value(field, &type->params[i]))
			return cqle_fail(err, CQL_E_INVALID,
				"Invalid user type literal for %.*s: field %.*s is not of type "
				"%.*s",
				LAB_VIEW_ARG(column), LAB_VIEW_ARG(type->field_names[i]),
				LAB_VIEW_ARG(text));
	}
	for (size_t i = 0; i < term->item_count; i += 2) {
		if (!has_field(type, term->items[i].text))
			return cqle_fail(err, CQL_E_INVALID,
				"Unknown field '%.*s' in value of user defined type %.*s",
				LAB_VIEW_ARG(term->items[i].text), LAB_VIEW_ARG(type->name));
	}
	return 0;
}

static int check_tuple(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err)
{
	for (size_t i = 0; i < term->item_count; i++) {
		if (i >= type->param_count) {
			struct lab_view text = cqle_type_text(arena, type);
			return cqle_fail(err, CQL_E_INVALID,
				"Invalid tuple literal for %.*s: too many elements. Type %.*s "
				"expects %zu but got %zu",
				LAB_VIEW_ARG(column), LAB_VIEW_ARG(text), type->param_count,
				term->item_count);
		}
		if (fits_value(&term->items[i], &type->params[i]))
			continue;
		struct lab_view text = cqle_type_text_frozen(arena, &type->params[i]);
		return cqle_fail(err, CQL_E_INVALID,
			"Invalid tuple literal for %.*s: component %zu is not of type %.*s",
			LAB_VIEW_ARG(column), i, LAB_VIEW_ARG(text));
	}
	return 0;
}

/* "a.zip", "t[0]": how messages and markers call a part. */
struct lab_view cqle_field_label(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view label, size_t i)
{
	return lab_view_cstr(
		type->id == CQL_TYPE_UDT
			? lab_arena_printf(arena, "%.*s.%.*s", LAB_VIEW_ARG(label),
				  LAB_VIEW_ARG(type->field_names[i]))
			: lab_arena_printf(arena, "%.*s[%zu]", LAB_VIEW_ARG(label), i));
}

int cqle_composite_check(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err)
{
	if (term->kind == TERM_USER)
		return check_user(arena, term, column, type, err);
	if (type->id == CQL_TYPE_UDT)
		return cqle_fail(err, CQL_E_SERVER_ERROR,
			"java.lang.ClassCastException: class "
			"org.apache.cassandra.cql3.Tuples$Value cannot be cast to class "
			"org.apache.cassandra.cql3.UserTypes$Value "
			"(org.apache.cassandra.cql3.Tuples$Value and "
			"org.apache.cassandra.cql3.UserTypes$Value are in unnamed module of loader "
			"'app')");
	return check_tuple(arena, term, column, type, err);
}

/* The term of a field; NULL: it is not written. */
const struct term *cqle_composite_term(
	const struct term *term, const struct cql_type *type, size_t i)
{
	if (term->kind == TERM_USER)
		return field_of(term, type->field_names[i]);
	return i < term->item_count ? &term->items[i] : NULL;
}

bool cqle_is_composite_literal(const struct term *term, const struct cql_type *type)
{
	return (term->kind == TERM_USER && type->id == CQL_TYPE_UDT) ||
	       (term->kind == TERM_TUPLE && type_is_composite(type->id));
}

static int constant_composite(struct lab_arena *arena, const struct term *term,
	struct lab_view column, const struct cql_type *type, struct lab_view *ret,
	struct lab_error *err)
{
	size_t count = term->kind == TERM_USER ? type->param_count : term->item_count;
	struct lab_view *fields = lab_arena_array(arena, struct lab_view, count + 1);
	if (cqle_composite_check(arena, term, column, type, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct term *field = cqle_composite_term(term, type, i);
		if (field == NULL || field->kind == TERM_NULL)
			continue;
		struct lab_view label = cqle_field_label(arena, type, column, i);
		struct lab_view text = cqle_type_text_frozen(arena, &type->params[i]);
		if (cqle_constant(arena, field, label, &type->params[i], text, &fields[i], err) < 0)
			return -1;
	}
	*ret = cqle_composite_of(arena, fields, count);
	return 0;
}

struct lab_view cqle_composite_of(
	struct lab_arena *arena, const struct lab_view *fields, size_t count)
{
	struct lab_buf out;
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += 4 + fields[i].len;
	lab_buf_init_arena(&out, arena, bytes + 1);
	for (size_t i = 0; i < count; i++)
		cql_put_bytes(&out, fields[i]);
	return lab_buf_view(&out);
}

/* A constant for a tuple is its first field, as text. */
static int constant_field(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	struct term field = *term;
	struct lab_view value;
	if (takes_integer(type->params[0].id))
		field.kind = TERM_INTEGER;
	struct lab_view text = cqle_type_text_frozen(arena, &type->params[0]);
	if (cqle_constant(arena, &field, column, &type->params[0], text, &value, err) < 0)
		return -1;
	*ret = cqle_composite_of(arena, &value, 1);
	return 0;
}

/* It fits. */
static int simple_constant(struct lab_arena *arena, const struct term *term,
	const struct cql_type *type, struct lab_view *ret, struct lab_error *err)
{
	switch ((int)term->kind) {
	case TERM_INTEGER:
		return constant_integer(arena, term, type, ret, err);
	case TERM_STRING:
		return constant_string(arena, term, type, ret, err);
	case TERM_HEX:
		return constant_hex(arena, term, ret, err);
	case TERM_DURATION:
		return cqle_duration_parse(arena, term->text, ret, err);
	case TERM_UUID:
		return constant_uuid(arena, term, type, ret, err);
	case TERM_BOOLEAN:
		*ret = cql_value_boolean(arena, lab_view_eq_cstr(term->text, "true"));
		return 0;
	default:
		return constant_number(arena, term, type, ret, err);
	}
}

int cqle_constant(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_view type_text, struct lab_view *ret,
	struct lab_error *err)
{
	if (fits_constant(term, type->id))
		return simple_constant(arena, term, type, ret, err);
	if (is_collection_of(term, type->id))
		return check_items(arena, term, column, type, err) < 0
			       ? -1
			       : constant_collection(
					 arena, term, column, type, type_text, ret, err);
	if (cqle_is_composite_literal(term, type))
		return constant_composite(arena, term, column, type, ret, err);
	if (type->id == CQL_TYPE_TUPLE && cqle_term_fits(term, type))
		return constant_field(arena, term, column, type, ret, err);
	return constant_mismatch(term, column, type_text, err);
}
