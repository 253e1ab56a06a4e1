/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h - memory for the length of one activity (a request, a delivery): allocate, never free,
 * drop everything at once. Blocks come from a heap, so a crash of the heap's owner takes the arena
 * with it. Dropped bytes are poisoned.
 */
#ifndef LAB_BASE_ARENA_H
#define LAB_BASE_ARENA_H

#include "core/base/heap.h"
#include "core/base/view.h"

#include <stdarg.h>

struct lab_arena;

/* `max_bytes` bounds it; exceeding it is an exhausted heap (heap.h). */
struct lab_arena *lab_arena_new(struct lab_heap *heap, size_t max_bytes);
/* NULLs the pointer; accepts NULL. */
void lab_arena_free(struct lab_arena **arena);
/* Drops the contents, keeps the first block. */
void lab_arena_reset(struct lab_arena *arena);

/* A point to come back to: everything allocated after the mark is dropped by the rewind. */
struct lab_arena_mark {
	void *block;
	size_t used;
};
struct lab_arena_mark lab_arena_mark(const struct lab_arena *arena);
void lab_arena_rewind(struct lab_arena *arena, struct lab_arena_mark mark);

/* Zeroed, aligned to 16. */
void *lab_arena_alloc(struct lab_arena *arena, size_t size);
#define lab_arena_new_of(arena, type) ((type *)lab_arena_alloc((arena), sizeof(type)))
#define lab_arena_array(arena, type, n) ((type *)lab_arena_alloc_array((arena), sizeof(type), (n)))
void *lab_arena_alloc_array(struct lab_arena *arena, size_t size, size_t count);

/* Copies; the result lives as long as the arena's contents. copy() is also NUL-terminated behind
 * its length. */
struct lab_view lab_arena_copy(struct lab_arena *arena, struct lab_view v);
char *lab_arena_cstr(struct lab_arena *arena, struct lab_view v);
char *lab_arena_printf(struct lab_arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
char *lab_arena_vprintf(struct lab_arena *arena, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

#endif
