/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a growing byte buffer that knows its maximum from the start.
 *
 * Overflow is sticky: a chain of appends needs one check of `overflow` at its end. After overflow
 * the contents are what fitted before the first append that did not.
 */
#ifndef LAB_BASE_BUF_H
#define LAB_BASE_BUF_H

#include "core/base/heap.h"
#include "core/base/view.h"

struct lab_arena;

struct lab_buf {
	struct lab_heap *heap;
	uint8_t *data; /* NULL while nothing was appended */
	size_t len;
	size_t capacity;
	size_t max_bytes;
	bool overflow;
};

void lab_buf_init(struct lab_buf *buf, struct lab_heap *heap, size_t max_bytes);
/* Of exactly that size, in the arena's memory: nothing to be freed, overflow when it is full. */
void lab_buf_init_arena(struct lab_buf *buf, struct lab_arena *arena, size_t bytes);
/* Frees the contents; the buffer may be used again. */
void lab_buf_done(struct lab_buf *buf);
/* Empties it and clears `overflow`, keeping the memory. */
void lab_buf_reset(struct lab_buf *buf);

/* Borrowed until the next change. */
static inline struct lab_view lab_buf_view(const struct lab_buf *buf)
{
	return (struct lab_view){ buf->data, buf->len };
}
/* The contents with a NUL behind them (not counted in len). Borrowed until the next change. */
const char *lab_buf_cstr(struct lab_buf *buf);

/* Only where there is no room yet, or nothing to append: for the two inline functions below. */
void lab_buf_append_slowly(struct lab_buf *buf, const void *data, size_t len);
static inline void lab_buf_append(struct lab_buf *buf, const void *data, size_t len)
{
	/* A length of 0 wraps around: `data` may be NULL then, and so may buf->data. */
	if (__builtin_expect(len - 1 < buf->capacity - buf->len && !buf->overflow, 1)) {
		memcpy(buf->data + buf->len, data, len);
		buf->len += len;
	} else {
		lab_buf_append_slowly(buf, data, len);
	}
}
void lab_buf_append_view(struct lab_buf *buf, struct lab_view v);
void lab_buf_append_cstr(struct lab_buf *buf, const char *text);
static inline void lab_buf_append_byte(struct lab_buf *buf, uint8_t byte)
{
	if (__builtin_expect(buf->len < buf->capacity && !buf->overflow, 1))
		buf->data[buf->len++] = byte;
	else
		lab_buf_append_slowly(buf, &byte, 1);
}
void lab_buf_printf(struct lab_buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Big-endian integers, as CQL and our own files want them. */
void lab_buf_append_u16(struct lab_buf *buf, uint16_t value);
void lab_buf_append_u32(struct lab_buf *buf, uint32_t value);
void lab_buf_append_u64(struct lab_buf *buf, uint64_t value);
/* Makes room for `len` more bytes and returns where they go, or NULL (overflow set). The caller
 * writes them and calls lab_buf_commit() with how many it wrote. */
void *lab_buf_reserve(struct lab_buf *buf, size_t len);
void lab_buf_commit(struct lab_buf *buf, size_t len);
/* Removes the first `len` bytes. */
void lab_buf_consume(struct lab_buf *buf, size_t len);

#endif
