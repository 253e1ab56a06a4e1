/* SPDX-License-Identifier: Apache-2.0
 *
 * order.c - values as bytes that memcmp() orders as their types do.
 */
#include "sim/cql-emulator/type-private.h"

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

/* ---- collections and tuples: each part behind a mark that says that there is one ---- */

enum mark {
	MARK_END,
	MARK_NULL, /* of a field that others follow */
	MARK_VALUE
};

static void put_items(
	struct lab_buf *out, const struct cql_type *type, bool descending, struct lab_view value)
{
	uint8_t flip = descending ? 0xff : 0;
	struct cql_reader reader = cql_reader_of(value);
	int64_t items = cql_read_int(&reader) * (int64_t)type->param_count;
	for (int64_t i = 0; i < items && reader.error == NULL; i++) {
		put(out, flip, MARK_VALUE);
		cqle_comparable_put(out, &type->params[i % (int64_t)type->param_count], descending,
			cql_read_bytes(&reader));
	}
	put(out, flip, MARK_END);
}

/* A field that is missing at the end is null: values from before ALTER TYPE are equal to those
 * from behind it. */
static void put_fields(
	struct lab_buf *out, const struct cql_type *type, bool descending, struct lab_view value)
{
	uint8_t flip = descending ? 0xff : 0;
	struct cql_reader reader = cql_reader_of(value);
	struct lab_view field;
	size_t used = 0;
	for (size_t i = 0; type_next_field(&reader, &field); i++)
		used = field.ptr != NULL ? i + 1 : used;
	reader = cql_reader_of(value);
	for (size_t i = 0; i < used && type_next_field(&reader, &field); i++) {
		put(out, flip, field.ptr == NULL ? MARK_NULL : MARK_VALUE);
		if (field.ptr != NULL)
			cqle_comparable_put(out, &type->params[i], descending, field);
	}
	put(out, flip, MARK_END);
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
	if (type_is_collection(type->id)) {
		put_items(out, type, descending, value);
		return;
	}
	if (type_is_composite(type->id)) {
		put_fields(out, type, descending, value);
		return;
	}
	if (type_size(type->id) == 0) {
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

static void patch_int(struct lab_buf *out, size_t at, size_t value)
{
	for (unsigned i = 0; i < 4; i++)
		out->data[at + i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A part as [bytes]; how many bytes it used. */
static size_t take_part(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out)
{
	size_t at = out->len;
	lab_buf_append_u32(out, 0);
	size_t used = cqle_comparable_take(bytes, type, descending, out);
	patch_int(out, at, out->len - at - 4);
	return used;
}

static uint8_t mark_at(struct lab_view bytes, size_t at, bool descending)
{
	return at < bytes.len ? bytes.ptr[at] ^ (descending ? 0xff : 0) : MARK_END;
}

static size_t take_items(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out)
{
	size_t at = out->len, count = 0, used = 0;
	lab_buf_append_u32(out, 0);
	for (; mark_at(bytes, used, descending) != MARK_END; count++)
		used += 1 + take_part(lab_view_skip(bytes, used + 1),
				    &type->params[count % type->param_count], descending, out);
	patch_int(out, at, count / type->param_count);
	return used + 1;
}

static size_t take_fields(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out)
{
	size_t i = 0, used = 0;
	uint8_t mark;
	for (; i < type->param_count; i++, used++) {
		mark = mark_at(bytes, used, descending);
		if (mark == MARK_END)
			break;
		if (mark == MARK_NULL)
			lab_buf_append_u32(out, UINT32_MAX);
		else
			used += take_part(
				lab_view_skip(bytes, used + 1), &type->params[i], descending, out);
	}
	for (; i < type->param_count; i++)
		lab_buf_append_u32(out, UINT32_MAX);
	return used + 1;
}

size_t cqle_comparable_take(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out)
{
	uint8_t flip = descending ? 0xff : 0;
	size_t size = type_size(type->id), skipped = 1;
	if (type->id == CQL_TYPE_VARINT)
		return take_varint(bytes, flip, out);
	if (type_is_collection(type->id))
		return take_items(bytes, type, descending, out);
	if (type_is_composite(type->id))
		return take_fields(bytes, type, descending, out);
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

/* Marks are shorter than the lengths that they stand for, and null fields shorter still. */
size_t cqle_decoded_max(const struct cql_type *type, size_t len)
{
	size_t fields = 1;
	if (!type_is_collection(type->id) && !type_is_composite(type->id))
		return len + 1;
	for (size_t i = 0; i < type->param_count; i++)
		fields += cqle_decoded_max(&type->params[i], 0) / 4 + 1;
	return 4 * (len + 1) * (fields + 1);
}
