/* SPDX-License-Identifier: Apache-2.0
 *
 * validate.c - are these bytes a value of the type? As Cassandra's marshallers check and word it.
 */
#include "sim/cql-emulator/type-private.h"

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

size_t type_size(uint16_t id)
{
	return id < LAB_COUNT_OF(fixed_types) ? fixed_types[id].size : 0;
}

static int check_length(uint16_t id, size_t len, struct lab_error *err)
{
	size_t size = type_size(id);
	if (size == 0 || len == size || (len == 0 && fixed_types[id].may_be_empty))
		return 0;
	return cqle_fail(err, CQL_E_INVALID, "%s (%zu)", fixed_types[id].text, len);
}

static int validate(const struct cql_type *type, struct lab_view value, struct lab_error *err);

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
		if (validate(&type->params[type->param_count == 2 ? i % 2 : 0], item, err) < 0)
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

bool type_next_field(struct cql_reader *reader, struct lab_view *ret)
{
	if (reader->rest.len == 0 || reader->error != NULL)
		return false;
	*ret = cql_read_bytes(reader);
	return reader->error == NULL;
}

/* " street" of a user type's field. */
static struct lab_view field_name(const struct cql_type *type, size_t i)
{
	return type->id == CQL_TYPE_UDT ? type->field_names[i] : lab_view_of("", 0);
}

/* Fewer fields than the type has are fine: it may have been altered. */
static int validate_composite(
	const struct cql_type *type, struct lab_view value, struct lab_error *err)
{
	bool user = type->id == CQL_TYPE_UDT;
	const char *what = user ? "field " : "component";
	struct lab_view rest = value;
	for (size_t i = 0; i < type->param_count && rest.len > 0; i++) {
		int64_t size = 0;
		struct lab_view name = field_name(type, i);
		if (cql_value_to_i64(CQL_TYPE_INT, lab_view_sub(rest, 0, 4), &size) < 0)
			return cqle_fail(err, CQL_E_INVALID,
				"Not enough bytes to read size of %zuth %s%.*s", i, what,
				LAB_VIEW_ARG(name));
		rest = lab_view_skip(rest, 4);
		if (size < 0)
			continue;
		if ((uint64_t)size > rest.len)
			return cqle_fail(err, CQL_E_INVALID,
				"Not enough bytes to read %zuth %s%.*s", i, what,
				LAB_VIEW_ARG(name));
		struct lab_error inner;
		if (validate(&type->params[i], lab_view_sub(rest, 0, (size_t)size), &inner) < 0)
			return user ? cqle_fail(err, CQL_E_INVALID,
					      "Failure validating the %zuth field %.*s; %s", i,
					      LAB_VIEW_ARG(name), inner.message)
				    : cqle_fail(err, CQL_E_INVALID, "%s", inner.message);
		rest = lab_view_skip(rest, (size_t)size);
	}
	return rest.len == 0 ? 0
			     : cqle_fail(err, CQL_E_INVALID,
				       "Invalid remaining data after end of %s value",
				       user ? "UDT" : "tuple");
}

static int validate(const struct cql_type *type, struct lab_view value, struct lab_error *err)
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
	} else if (type->id == CQL_TYPE_DURATION) {
		return cqle_duration_validate(value, err);
	} else if (type_is_composite(type->id)) {
		return validate_composite(type, value, err);
	} else if (type_is_collection(type->id)) {
		return validate_collection(type, value, err);
	} else if (type->id == CQL_TYPE_TIMEUUID && value.len == 16 && value.ptr[6] >> 4 != 1) {
		return cqle_fail(err, CQL_E_INVALID, "Invalid version for TimeUUID type.");
	}
	return check_length(type->id, value.len, err);
}

int cqle_value_validate(const struct cql_type *type, struct lab_view value, struct lab_error *err)
{
	struct lab_error inner;
	if (type->id != CQL_TYPE_UDT)
		return validate(type, value, err);
	/* Cassandra does not expect bad bytes here, and says so. */
	return validate(type, value, &inner) == 0
		       ? 0
		       : cqle_fail(err, CQL_E_SERVER_ERROR,
				 "org.apache.cassandra.serializers.MarshalException: %s",
				 inner.message);
}
