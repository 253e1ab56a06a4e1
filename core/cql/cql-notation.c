/* SPDX-License-Identifier: Apache-2.0
 *
 * The notations of the protocol (cql-imds 1.3): reading with a sticky error, writing with the
 * buffer's sticky overflow.
 */
#include "core/cql/cql-codec-private.h"

/* Compared by address, since its text needs the number. */
static const char bad_length[] = "Invalid ByteBuf length";

void cql_reader_fail(struct cql_reader *r, const char *error)
{
	if (r->error == NULL)
		r->error = error;
	r->rest = (struct lab_view){ NULL, 0 };
}

int cql_reader_check(const struct cql_reader *r, struct lab_error *err)
{
	if (r->error == NULL)
		return 0;
	if (r->error == bad_length)
		return lab_fail(err, LAB_CORRUPT, "%s %" PRId32, r->error, r->bad_length);
	return lab_fail(err, LAB_CORRUPT, "%s", r->error);
}

/* The next `size` bytes, or NULL. */
static const uint8_t *take(struct cql_reader *r, size_t size, const char *error)
{
	const uint8_t *p = r->rest.ptr;
	if (r->error != NULL || r->rest.len < size) {
		cql_reader_fail(r, error);
		return NULL;
	}
	r->rest.ptr += size;
	r->rest.len -= size;
	return p;
}

static struct lab_view take_view(struct cql_reader *r, size_t size, const char *error)
{
	const uint8_t *p = take(r, size, error);
	return p == NULL ? (struct lab_view){ NULL, 0 } : lab_view_of(p, size);
}

static uint64_t take_number(struct cql_reader *r, size_t size)
{
	const uint8_t *p = take(r, size, "Not enough bytes to read a number");
	uint64_t value = 0;
	for (size_t i = 0; p != NULL && i < size; i++)
		value = value << 8 | p[i];
	return value;
}

uint8_t cql_read_byte(struct cql_reader *r)
{
	return (uint8_t)take_number(r, 1);
}

uint16_t cql_read_short(struct cql_reader *r)
{
	return (uint16_t)take_number(r, 2);
}

int32_t cql_read_int(struct cql_reader *r)
{
	return (int32_t)(uint32_t)take_number(r, 4);
}

int64_t cql_read_long(struct cql_reader *r)
{
	return (int64_t)take_number(r, 8);
}

struct lab_view cql_read_string(struct cql_reader *r)
{
	static const char error[] =
		"Not enough bytes to read an UTF8 serialized string preceded by its 2 bytes length";
	const uint8_t *p = take(r, 2, error);
	if (p == NULL)
		return (struct lab_view){ NULL, 0 };
	return take_view(r, (size_t)p[0] << 8 | p[1], error);
}

struct lab_view cql_read_long_string(struct cql_reader *r)
{
	static const char error[] =
		"Not enough bytes to read an UTF8 serialized string preceded by its 4 bytes length";
	int32_t size = r->rest.len < 4 ? -1 : cql_read_int(r);
	if (size < 0) {
		cql_reader_fail(r, error);
		return (struct lab_view){ NULL, 0 };
	}
	return take_view(r, (size_t)size, error);
}

struct lab_view cql_read_bytes(struct cql_reader *r)
{
	static const char error[] =
		"Not enough bytes to read a byte array preceded by its 4 bytes length";
	if (r->rest.len < 4) {
		cql_reader_fail(r, error);
		return (struct lab_view){ NULL, 0 };
	}
	int32_t size = cql_read_int(r);
	return size < 0 ? (struct lab_view){ NULL, 0 } : take_view(r, (size_t)size, error);
}

struct lab_view cql_read_short_bytes(struct cql_reader *r)
{
	static const char error[] =
		"Not enough bytes to read a byte array preceded by its 2 bytes length";
	const uint8_t *p = take(r, 2, error);
	if (p == NULL)
		return (struct lab_view){ NULL, 0 };
	return take_view(r, (size_t)p[0] << 8 | p[1], error);
}

static size_t read_count(struct cql_reader *r, size_t min_bytes, const char *error)
{
	size_t count = cql_read_short(r);
	if (count * min_bytes <= r->rest.len)
		return count;
	cql_reader_fail(r, error);
	return 0;
}

size_t cql_read_count(struct cql_reader *r, size_t min_bytes)
{
	return read_count(
		r, min_bytes, "Not enough bytes to read a list preceded by its 2 bytes length");
}

/* One of the strings would be found to be too short. */
static size_t read_string_count(struct cql_reader *r, size_t min_bytes)
{
	return read_count(r, min_bytes,
		"Not enough bytes to read an UTF8 serialized string preceded by its 2 bytes "
		"length");
}

void cql_read_bind(struct cql_reader *r, bool named, bool may_be_unset, struct cql_bind *ret)
{
	*ret = (struct cql_bind){ .kind = CQL_VALUE_NULL };
	if (named)
		ret->name = cql_read_string(r);
	int32_t size = cql_read_int(r);
	if (size >= 0) {
		ret->kind = CQL_VALUE_BYTES;
		ret->bytes = take_view(r, (size_t)size,
			"Not enough bytes to read a value preceded by its 4 bytes length");
	} else if (size == -2 && may_be_unset) {
		ret->kind = CQL_VALUE_UNSET;
	} else if (size < -2 && may_be_unset) {
		r->bad_length = size;
		cql_reader_fail(r, bad_length);
	}
}

struct cql_inet cql_read_address(struct cql_reader *r)
{
	struct cql_inet inet = { .size = cql_read_byte(r) };
	if (inet.size != 4 && inet.size != 16) {
		cql_reader_fail(r, "Invalid size of an inet address");
		return (struct cql_inet){ .size = 0 };
	}
	const uint8_t *p = take(r, inet.size, "Not enough bytes to read an inet address");
	if (p != NULL)
		memcpy(inet.address, p, inet.size);
	return inet;
}

struct cql_inet cql_read_inet(struct cql_reader *r)
{
	struct cql_inet inet = cql_read_address(r);
	inet.port = cql_read_int(r);
	return inet;
}

struct cql_strings cql_read_strings(struct cql_reader *r, struct lab_arena *arena)
{
	struct cql_strings strings = { .count = read_string_count(r, 2) };
	strings.items = lab_arena_array(arena, struct lab_view, strings.count);
	for (size_t i = 0; i < strings.count; i++)
		strings.items[i] = cql_read_string(r);
	return strings;
}

struct cql_map cql_read_map(struct cql_reader *r, struct lab_arena *arena)
{
	struct cql_map map = { .count = read_string_count(r, 4) };
	map.items = lab_arena_array(arena, struct cql_pair, map.count);
	for (size_t i = 0; i < map.count; i++) {
		map.items[i].key = cql_read_string(r);
		map.items[i].value = cql_read_string(r);
	}
	return map;
}

struct cql_map cql_read_bytes_map(struct cql_reader *r, struct lab_arena *arena)
{
	struct cql_map map = { .count = read_string_count(r, 6) };
	map.items = lab_arena_array(arena, struct cql_pair, map.count);
	for (size_t i = 0; i < map.count; i++) {
		map.items[i].key = cql_read_string(r);
		map.items[i].value = cql_read_bytes(r);
	}
	return map;
}

struct lab_view cql_map_get(const struct cql_map *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++) {
		if (lab_view_eq_cstr(map->items[i].key, key))
			return map->items[i].value;
	}
	return (struct lab_view){ NULL, 0 };
}

void cql_put_count(struct lab_buf *out, size_t count)
{
	if (count > UINT16_MAX)
		out->overflow = true;
	else
		lab_buf_append_u16(out, (uint16_t)count);
}

void cql_put_string(struct lab_buf *out, struct lab_view text)
{
	cql_put_count(out, text.len);
	lab_buf_append_view(out, text);
}

void cql_put_short_bytes(struct lab_buf *out, struct lab_view bytes)
{
	cql_put_string(out, bytes);
}

void cql_put_long_string(struct lab_buf *out, struct lab_view text)
{
	if (text.len > INT32_MAX)
		out->overflow = true;
	lab_buf_append_u32(out, (uint32_t)text.len);
	lab_buf_append_view(out, text);
}

void cql_put_bytes(struct lab_buf *out, struct lab_view bytes)
{
	if (bytes.ptr == NULL)
		lab_buf_append_u32(out, UINT32_MAX);
	else
		cql_put_long_string(out, bytes);
}

void cql_put_inet(struct lab_buf *out, const struct cql_inet *inet)
{
	lab_assert(inet->size == 4 || inet->size == 16);
	lab_buf_append_byte(out, inet->size);
	lab_buf_append(out, inet->address, inet->size);
	lab_buf_append_u32(out, (uint32_t)inet->port);
}

void cql_put_strings(struct lab_buf *out, const struct cql_strings *strings)
{
	cql_put_count(out, strings->count);
	for (size_t i = 0; i < strings->count; i++)
		cql_put_string(out, strings->items[i]);
}

void cql_put_map(struct lab_buf *out, const struct cql_map *map)
{
	cql_put_count(out, map->count);
	for (size_t i = 0; i < map->count; i++) {
		cql_put_string(out, map->items[i].key);
		cql_put_string(out, map->items[i].value);
	}
}

void cql_put_bytes_map(struct lab_buf *out, const struct cql_map *map)
{
	cql_put_count(out, map->count);
	for (size_t i = 0; i < map->count; i++) {
		cql_put_string(out, map->items[i].key);
		cql_put_bytes(out, map->items[i].value);
	}
}
