/* SPDX-License-Identifier: Apache-2.0
 *
 * Types and values (cql-imds 1.6).
 */
#include "core/cql/cql-codec-private.h"

/* `bytes` is the length of a value if it is a number that cql_value_to_i64() reads, else 0. */
static const struct {
	uint16_t id;
	uint8_t bytes;
	const char *name;
} types[] = {
	{ CQL_TYPE_CUSTOM, 0, "custom" },
	{ CQL_TYPE_ASCII, 0, "ascii" },
	{ CQL_TYPE_BIGINT, 8, "bigint" },
	{ CQL_TYPE_BLOB, 0, "blob" },
	{ CQL_TYPE_BOOLEAN, 1, "boolean" },
	{ CQL_TYPE_COUNTER, 8, "counter" },
	{ CQL_TYPE_DECIMAL, 0, "decimal" },
	{ CQL_TYPE_DOUBLE, 0, "double" },
	{ CQL_TYPE_FLOAT, 0, "float" },
	{ CQL_TYPE_INT, 4, "int" },
	{ CQL_TYPE_TIMESTAMP, 8, "timestamp" },
	{ CQL_TYPE_UUID, 0, "uuid" },
	{ CQL_TYPE_TEXT, 0, "text" },
	{ CQL_TYPE_VARINT, 0, "varint" },
	{ CQL_TYPE_TIMEUUID, 0, "timeuuid" },
	{ CQL_TYPE_INET, 0, "inet" },
	{ CQL_TYPE_DATE, 4, "date" },
	{ CQL_TYPE_TIME, 8, "time" },
	{ CQL_TYPE_SMALLINT, 2, "smallint" },
	{ CQL_TYPE_TINYINT, 1, "tinyint" },
	{ CQL_TYPE_DURATION, 0, "duration" },
	{ CQL_TYPE_LIST, 0, "list" },
	{ CQL_TYPE_MAP, 0, "map" },
	{ CQL_TYPE_SET, 0, "set" },
	{ CQL_TYPE_UDT, 0, "udt" },
	{ CQL_TYPE_TUPLE, 0, "tuple" },
};

/* The row of `id`, or the table's length. */
static size_t type_row(uint16_t id)
{
	size_t row = 0;
	while (row < LAB_COUNT_OF(types) && types[row].id != id)
		row++;
	return row;
}

const char *cql_type_name(uint16_t id)
{
	size_t row = type_row(id);
	return row < LAB_COUNT_OF(types) ? types[row].name : "custom";
}

static struct lab_view big_endian(struct lab_arena *arena, uint64_t value, size_t size)
{
	uint8_t *p = lab_arena_alloc(arena, size);
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	return lab_view_of(p, size);
}

struct lab_view cql_value_tinyint(struct lab_arena *arena, int8_t value)
{
	return big_endian(arena, (uint64_t)value, 1);
}

struct lab_view cql_value_smallint(struct lab_arena *arena, int16_t value)
{
	return big_endian(arena, (uint64_t)value, 2);
}

struct lab_view cql_value_int(struct lab_arena *arena, int32_t value)
{
	return big_endian(arena, (uint64_t)value, 4);
}

struct lab_view cql_value_bigint(struct lab_arena *arena, int64_t value)
{
	return big_endian(arena, (uint64_t)value, 8);
}

struct lab_view cql_value_boolean(struct lab_arena *arena, bool value)
{
	return big_endian(arena, value, 1);
}

int cql_value_to_i64(uint16_t type_id, struct lab_view value, int64_t *ret)
{
	size_t row = type_row(type_id);
	size_t size = row < LAB_COUNT_OF(types) ? types[row].bytes : 0;
	if (size == 0 || value.len != size)
		return -1;
	bool is_signed = type_id != CQL_TYPE_BOOLEAN && type_id != CQL_TYPE_DATE;
	uint64_t bits = is_signed && (value.ptr[0] & 0x80) != 0 ? UINT64_MAX : 0;
	for (size_t i = 0; i < size; i++)
		bits = bits << 8 | value.ptr[i];
	*ret = (int64_t)bits;
	return 0;
}

/* ---- type options ---- */

#define DURATION_CLASS "org.apache.cassandra.db.marshal.DurationType"

static void put_params(struct lab_buf *out, const struct cql_type *type, size_t count)
{
	lab_assert(type->param_count == count);
	for (size_t i = 0; i < count; i++)
		cql_put_type(out, &type->params[i]);
}

static void put_udt(struct lab_buf *out, const struct cql_type *type)
{
	cql_put_string(out, type->keyspace);
	cql_put_string(out, type->name);
	cql_put_count(out, type->param_count);
	for (size_t i = 0; i < type->param_count; i++) {
		cql_put_string(out, type->field_names[i]);
		cql_put_type(out, &type->params[i]);
	}
}

void cql_put_type(struct lab_buf *out, const struct cql_type *type)
{
	bool duration = type->id == CQL_TYPE_DURATION;
	lab_buf_append_u16(out, duration ? (uint16_t)CQL_TYPE_CUSTOM : type->id);
	if (duration) {
		cql_put_string(out, LAB_VIEW(DURATION_CLASS));
	} else if (type->id == CQL_TYPE_CUSTOM) {
		cql_put_string(out, type->name);
	} else if (type->id == CQL_TYPE_LIST || type->id == CQL_TYPE_SET) {
		put_params(out, type, 1);
	} else if (type->id == CQL_TYPE_MAP) {
		put_params(out, type, 2);
	} else if (type->id == CQL_TYPE_TUPLE) {
		cql_put_count(out, type->param_count);
		put_params(out, type, type->param_count);
	} else if (type->id == CQL_TYPE_UDT) {
		put_udt(out, type);
	}
}

static void read_params(struct cql_reader *r, struct lab_arena *arena, unsigned depth,
	struct cql_type *ret, size_t count)
{
	struct cql_type *params = lab_arena_array(arena, struct cql_type, count);
	for (size_t i = 0; i < count; i++)
		cql_read_type(r, arena, depth + 1, &params[i]);
	ret->params = params;
	ret->param_count = count;
}

static void read_udt(
	struct cql_reader *r, struct lab_arena *arena, unsigned depth, struct cql_type *ret)
{
	ret->keyspace = cql_read_string(r);
	ret->name = cql_read_string(r);
	size_t count = cql_read_count(r, 4);
	struct cql_type *params = lab_arena_array(arena, struct cql_type, count);
	struct lab_view *names = lab_arena_array(arena, struct lab_view, count);
	for (size_t i = 0; i < count; i++) {
		names[i] = cql_read_string(r);
		cql_read_type(r, arena, depth + 1, &params[i]);
	}
	ret->params = params;
	ret->field_names = names;
	ret->param_count = count;
}

static void read_custom(struct cql_reader *r, struct cql_type *ret)
{
	ret->name = cql_read_string(r);
	if (lab_view_eq_cstr(ret->name, DURATION_CLASS))
		*ret = (struct cql_type){ .id = CQL_TYPE_DURATION };
}

void cql_read_type(
	struct cql_reader *r, struct lab_arena *arena, unsigned depth, struct cql_type *ret)
{
	*ret = (struct cql_type){ .id = cql_read_short(r) };
	if (depth > CQL_TYPE_DEPTH_MAX)
		cql_reader_fail(r, "Types are nested too deep");
	else if (type_row(ret->id) == LAB_COUNT_OF(types))
		cql_reader_fail(r, "Unknown type");
	if (r->error != NULL)
		return;
	if (ret->id == CQL_TYPE_CUSTOM)
		read_custom(r, ret);
	else if (ret->id == CQL_TYPE_LIST || ret->id == CQL_TYPE_SET)
		read_params(r, arena, depth, ret, 1);
	else if (ret->id == CQL_TYPE_MAP)
		read_params(r, arena, depth, ret, 2);
	else if (ret->id == CQL_TYPE_TUPLE)
		read_params(r, arena, depth, ret, cql_read_count(r, 2));
	else if (ret->id == CQL_TYPE_UDT)
		read_udt(r, arena, depth, ret);
}

/* ---- text forms ---- */

void cql_uuid_format(const uint8_t uuid[CQL_UUID_BYTES], char out[CQL_UUID_TEXT_MAX])
{
	char hex[2 * CQL_UUID_BYTES + 1];
	size_t o = 0;
	lab_hex(uuid, CQL_UUID_BYTES, hex);
	for (size_t i = 0; i < 2 * CQL_UUID_BYTES; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[o++] = '-';
		out[o++] = hex[i];
	}
	out[o] = '\0';
}

int cql_uuid_parse(struct lab_view text, uint8_t ret[CQL_UUID_BYTES])
{
	uint8_t hex[2 * CQL_UUID_BYTES];
	uint8_t bytes[CQL_UUID_BYTES];
	size_t n = 0;
	if (text.len != CQL_UUID_TEXT_MAX - 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (is_dash != (text.ptr[i] == '-'))
			return -1;
		if (!is_dash)
			hex[n++] = text.ptr[i];
	}
	if (lab_unhex(lab_view_of(hex, n), bytes, sizeof(bytes)) < 0)
		return -1;
	memcpy(ret, bytes, sizeof(bytes));
	return 0;
}

int cql_inet_parse(struct lab_view text, uint8_t ret[4])
{
	uint8_t address[4];
	struct lab_view part;
	size_t n = 0;
	while (lab_view_split(&text, '.', &part)) {
		uint64_t number;
		if (n == 4 || part.len > 3 || lab_view_to_u64(part, &number) < 0 || number > 255)
			return -1;
		address[n++] = (uint8_t)number;
	}
	if (n != 4)
		return -1;
	memcpy(ret, address, sizeof(address));
	return 0;
}
