/* SPDX-License-Identifier: Apache-2.0
 *
 * A stack of blocks that grow geometrically. Bytes behind `used` are poisoned and dirty; they are
 * zeroed when they are handed out. */
#include "core/base/arena.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/base-private.h"

#define ARENA_MAGIC 0x4c415245u
#define FIRST_BLOCK_BYTES ((size_t)2048 - 96)
#define BLOCK_BYTES_MAX ((size_t)256 * 1024)
#define PRINTF_GUESS 256

struct block {
	struct block *previous;
	size_t capacity, used; /* of data */
	size_t before;         /* bytes used in all previous blocks */
};
_Static_assert(sizeof(struct block) == 32, "data behind it is aligned to 16");

struct lab_arena {
	uint32_t magic;
	struct lab_heap *heap;
	struct block *block; /* the newest */
	size_t max_bytes;
	struct block first; /* most arenas never need another: one allocation is enough */
};

static inline uint8_t *block_data(struct block *block)
{
	return (uint8_t *)(block + 1);
}

static struct block *arena_add_block(struct lab_arena *arena, size_t capacity)
{
	struct block *block = lab_heap_alloc_dirty(arena->heap, sizeof(*block) + capacity);

	*block = (struct block){ .previous = arena->block,
		.capacity = capacity,
		.before = arena->block->before + arena->block->used };
	lab_memory_poison(block_data(block), capacity);
	arena->block = block;
	return block;
}

struct lab_arena *lab_arena_new(struct lab_heap *heap, size_t max_bytes)
{
	struct lab_arena *arena = lab_heap_alloc_dirty(heap, sizeof(*arena) + FIRST_BLOCK_BYTES);

	*arena = (struct lab_arena){ .magic = ARENA_MAGIC,
		.heap = heap,
		.block = &arena->first,
		.max_bytes = max_bytes,
		.first = { .capacity = FIRST_BLOCK_BYTES } };
	lab_memory_poison(block_data(&arena->first), FIRST_BLOCK_BYTES);
	return arena;
}

static void arena_pop_block(struct lab_arena *arena)
{
	struct block *block = arena->block;

	arena->block = block->previous;
	lab_heap_free(arena->heap, block);
}

void lab_arena_free(struct lab_arena **_arena)
{
	struct lab_arena *arena = *_arena;

	if (arena == NULL)
		return;
	*_arena = NULL;
	lab_check(arena, ARENA_MAGIC);
	while (arena->block != &arena->first)
		arena_pop_block(arena);
	arena->magic = 0;
	lab_heap_free(arena->heap, arena);
}

static void arena_cut(struct block *block, size_t used)
{
	lab_assert(used <= block->used);
	lab_memory_poison(block_data(block) + used, block->used - used);
	block->used = used;
}

void lab_arena_reset(struct lab_arena *arena)
{
	lab_check(arena, ARENA_MAGIC);
	while (arena->block->previous != NULL)
		arena_pop_block(arena);
	arena_cut(arena->block, 0);
}

struct lab_arena_mark lab_arena_mark(const struct lab_arena *arena)
{
	lab_check(arena, ARENA_MAGIC);
	return (struct lab_arena_mark){ arena->block, arena->block->used };
}

void lab_arena_rewind(struct lab_arena *arena, struct lab_arena_mark mark)
{
	lab_check(arena, ARENA_MAGIC);
	while (arena->block != mark.block) {
		lab_assert(arena->block->previous != NULL);
		arena_pop_block(arena);
	}
	arena_cut(arena->block, mark.used);
}

static struct block *arena_grow(struct lab_arena *arena, size_t size)
{
	size_t capacity = arena->block->capacity * 2;

	if (capacity > BLOCK_BYTES_MAX)
		capacity = BLOCK_BYTES_MAX;
	if (capacity < size)
		capacity = size;
	return arena_add_block(arena, capacity);
}

void *lab_arena_alloc_dirty(struct lab_arena *arena, size_t size)
{
	struct block *block;

	lab_check(arena, ARENA_MAGIC);
	block = arena->block;
	size_t rounded = (size + 15) & ~(size_t)15;
	size_t room = arena->max_bytes - (block->before + block->used);
	/* Rounding a size near SIZE_MAX wraps around, so both are compared. */
	if (size > room || rounded > ((room + 15) & ~(size_t)15))
		lab_heap_exhausted(arena->heap, size);
	if (rounded > block->capacity - block->used)
		block = arena_grow(arena, rounded);
	uint8_t *ptr = block_data(block) + block->used;
	block->used += rounded;
	lab_memory_open(ptr, size);
	return ptr;
}

void *lab_arena_alloc(struct lab_arena *arena, size_t size)
{
	return memset(lab_arena_alloc_dirty(arena, size), 0, size);
}

void *lab_arena_alloc_array(struct lab_arena *arena, size_t size, size_t count)
{
	size_t bytes;

	if (__builtin_mul_overflow(size, count, &bytes))
		lab_heap_exhausted(arena->heap, SIZE_MAX);
	return lab_arena_alloc(arena, bytes);
}

char *lab_arena_cstr(struct lab_arena *arena, struct lab_view v)
{
	char *copy = lab_arena_alloc_dirty(arena, v.len + 1);

	if (v.len > 0)
		memcpy(copy, v.ptr, v.len);
	copy[v.len] = '\0';
	return copy;
}

struct lab_view lab_arena_copy(struct lab_arena *arena, struct lab_view v)
{
	if (v.ptr == NULL)
		return v; /* absent stays absent */
	return lab_view_of(lab_arena_cstr(arena, v), v.len);
}

char *lab_arena_printf(struct lab_arena *arena, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	char *text = lab_arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

char *lab_arena_vprintf(struct lab_arena *arena, const char *format, va_list args)
{
	char guess[PRINTF_GUESS];
	va_list again;

	va_copy(again, args);
	size_t len = lab_format(guess, sizeof(guess), format, args);
	char *text = lab_arena_alloc_dirty(arena, len + 1);
	if (len < sizeof(guess))
		memcpy(text, guess, len + 1);
	else
		(void)lab_format(text, len + 1, format, again);
	va_end(again);
	return text;
}
