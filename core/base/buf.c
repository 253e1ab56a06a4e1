/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/buf.h"

#include <stdarg.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/assert.h"
#include "core/base/base-private.h"

/* Most are keys, names and headers; with the NUL and the heap's header it fills a size class. */
#define FIRST_BYTES (256 - 8 - 1)

void lab_buf_init(struct lab_buf *buf, struct lab_heap *heap, size_t max_bytes)
{
	lab_assert(max_bytes < SIZE_MAX);
	*buf = (struct lab_buf){ .heap = heap, .max_bytes = max_bytes };
}

void lab_buf_init_arena(struct lab_buf *buf, struct lab_arena *arena, size_t bytes)
{
	lab_buf_init(buf, NULL, bytes);
	buf->data = lab_arena_alloc_dirty(arena, bytes + 1);
	buf->capacity = bytes;
}

void lab_buf_done(struct lab_buf *buf)
{
	lab_heap_free(buf->heap, buf->data);
	buf->data = NULL;
	buf->len = buf->capacity = 0;
	buf->overflow = false;
}

void lab_buf_reset(struct lab_buf *buf)
{
	buf->len = 0;
	buf->overflow = false;
}

/* One byte more than the capacity is allocated: the NUL of lab_buf_cstr() always fits. */
static void buf_grow(struct lab_buf *buf, size_t needed)
{
	size_t capacity = buf->capacity < FIRST_BYTES ? FIRST_BYTES : buf->capacity * 2;

	if (capacity < needed)
		capacity = needed;
	if (capacity > buf->max_bytes)
		capacity = buf->max_bytes;
	buf->data = lab_heap_realloc_dirty(buf->heap, buf->data, capacity + 1);
	buf->capacity = capacity;
}

void *lab_buf_reserve(struct lab_buf *buf, size_t len)
{
	if (buf->overflow || len > buf->max_bytes - buf->len) {
		buf->overflow = true;
		return NULL;
	}
	if (len > buf->capacity - buf->len || buf->data == NULL)
		buf_grow(buf, buf->len + len);
	return buf->data + buf->len;
}

void lab_buf_commit(struct lab_buf *buf, size_t len)
{
	lab_assert(len <= buf->capacity - buf->len);
	buf->len += len;
}

const char *lab_buf_cstr(struct lab_buf *buf)
{
	if (buf->data == NULL)
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

void lab_buf_append_slowly(struct lab_buf *buf, const void *data, size_t len)
{
	void *to;

	if (len == 0)
		return;
	to = lab_buf_reserve(buf, len);
	if (to == NULL)
		return;
	memcpy(to, data, len);
	buf->len += len;
}

void lab_buf_append_view(struct lab_buf *buf, struct lab_view v)
{
	lab_buf_append(buf, v.ptr, v.len);
}

void lab_buf_append_cstr(struct lab_buf *buf, const char *text)
{
	lab_buf_append(buf, text, strlen(text));
}

void lab_buf_printf(struct lab_buf *buf, const char *format, ...)
{
	char *to = (char *)buf->data;
	size_t room = to == NULL ? 0 : buf->capacity - buf->len + 1;
	va_list args, again;

	if (buf->overflow)
		return;
	va_start(args, format);
	va_copy(again, args);
	size_t n = lab_format(room == 0 ? NULL : to + buf->len, room, format, args);
	va_end(args);
	if (n >= room) {
		to = lab_buf_reserve(buf, n);
		if (to != NULL)
			(void)lab_format(to, n + 1, format, again);
	}
	va_end(again);
	if (!buf->overflow)
		buf->len += n;
}

static void buf_append_big_endian(struct lab_buf *buf, uint64_t value, unsigned bytes)
{
	uint8_t out[8];

	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	lab_buf_append(buf, out, bytes);
}

void lab_buf_append_u16(struct lab_buf *buf, uint16_t value)
{
	buf_append_big_endian(buf, value, 2);
}

void lab_buf_append_u32(struct lab_buf *buf, uint32_t value)
{
	buf_append_big_endian(buf, value, 4);
}

void lab_buf_append_u64(struct lab_buf *buf, uint64_t value)
{
	buf_append_big_endian(buf, value, 8);
}

void lab_buf_consume(struct lab_buf *buf, size_t len)
{
	lab_assert(len <= buf->len);
	if (len == 0)
		return;
	memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
}
