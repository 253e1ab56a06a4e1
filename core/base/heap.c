/* SPDX-License-Identifier: Apache-2.0
 *
 * Small blocks are cut from 64 KiB chunks and kept in free lists by size class; large blocks are
 * mappings of their own in a ring. Dropping a heap hands both lists to the pool, whole.
 */
#include "core/base/heap-private.h"

#include <string.h>
#include <sys/mman.h>

#include "core/base/assert.h"
#include "core/base/watched.h"

#define SMALL_BYTES_MAX ((size_t)32 * 1024)
#define BIN_LARGE 0xff
#define BLOCK_FREE 0x46
#define BLOCK_LIVE 0x4c
/* Between blocks, so that an overrun meets poison before it meets the next header. */
#define REDZONE_BYTES ((size_t)(LAB_ASAN ? 16 : 0))

/* In a block that is free. */
struct free_block {
	struct free_block *next;
};

bool lab_memory_on_valgrind;

#if LAB_VALGRIND
__attribute__((constructor)) static void memory_ask_valgrind(void)
{
	lab_memory_on_valgrind = RUNNING_ON_VALGRIND > 0;
}
#endif

void *lab_memory_map(size_t bytes)
{
	void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ptr == MAP_FAILED)
		return NULL;
#if LAB_ASAN
	__lsan_register_root_region(ptr, bytes);
#endif
	return ptr;
}

void lab_memory_unmap(void *ptr, size_t bytes, size_t used)
{
	(void)used;
#if LAB_ASAN
	__lsan_unregister_root_region(ptr, bytes);
	__asan_unpoison_memory_region(ptr, used);
#endif
	lab_assert(munmap(ptr, bytes) == 0);
}

/* ---- size classes: 16 steps of 16 bytes, then four steps an octave ---- */

static inline unsigned bin_of(size_t bytes)
{
	if (bytes <= 256)
		return (unsigned)((bytes + 15) / 16 - 1);
	unsigned octave = 63 - (unsigned)__builtin_clzl(bytes - 1);
	return 16 + (octave - 8) * 4 + (unsigned)((bytes - 1) >> (octave - 2)) - 4;
}

static inline size_t bin_bytes(unsigned bin)
{
	if (bin < 16)
		return (bin + 1) * (size_t)16;
	return (size_t)(5 + (bin - 16) % 4) << (6 + (bin - 16) / 4);
}

/* ---- pool ---- */

struct lab_pool *lab_pool_new(size_t max_bytes)
{
	struct lab_pool *pool = lab_memory_map(sizeof(*pool));

	lab_assert(pool != NULL);
	pool->magic = POOL_MAGIC;
	pool->max_bytes = max_bytes;
	return pool;
}

static void pool_sort_dropped(struct lab_pool *pool)
{
	while (pool->dropped != NULL) {
		struct large *large = pool->dropped;
		unsigned bin = bin_of(large->bytes);

		pool->dropped = large->next;
		large->next = pool->free_large[bin];
		pool->free_large[bin] = large;
	}
}

void lab_pool_release_large(struct lab_pool *pool)
{
	if (pool->pinned)
		return;
	pool_sort_dropped(pool);
	for (unsigned bin = 0; bin < BINS; bin++) {
		while (pool->free_large[bin] != NULL) {
			struct large *large = pool->free_large[bin];

			pool->free_large[bin] = large->next;
			pool->bytes -= large->bytes;
			lab_memory_unmap(large, large->bytes, large->bytes);
		}
	}
}

void lab_pool_free(struct lab_pool **_pool)
{
	struct lab_pool *pool = *_pool;

	if (pool == NULL)
		return;
	*_pool = NULL;
	lab_check(pool, POOL_MAGIC);
	lab_assert(pool->heap_count == 0 && !pool->pinned);
	lab_pool_release_large(pool);
	while (pool->segments != NULL) {
		struct chunk *segment = pool->segments;

		pool->segments = segment->next_segment;
		lab_memory_unmap(segment, segment->segment_bytes, segment->segment_bytes);
	}
	pool->magic = 0;
	lab_memory_unmap(pool, sizeof(*pool), sizeof(*pool));
}

void lab_pool_trim(struct lab_pool *pool)
{
	lab_check(pool, POOL_MAGIC);
	lab_pool_release_large(pool);
}

size_t lab_pool_bytes(const struct lab_pool *pool)
{
	lab_check(pool, POOL_MAGIC);
	return pool->bytes;
}

bool lab_is_watched(void)
{
	return lab_memory_watched() || LAB_TSAN;
}

void lab_pool_set_fill(struct lab_pool *pool, uint8_t pattern)
{
	lab_check(pool, POOL_MAGIC);
	pool->has_fill = true;
	pool->fill = pattern;
}

/* Whether `bytes` more may be mapped, if need be after giving back what is only kept for later. */
static bool pool_has_room(struct lab_pool *pool, size_t bytes)
{
	if (pool->max_bytes - pool->bytes >= bytes)
		return true;
	lab_pool_release_large(pool);
	return pool->max_bytes - pool->bytes >= bytes;
}

static bool pool_add_segment(struct lab_pool *pool)
{
	size_t bytes = SEGMENT_BYTES;

	if (!pool_has_room(pool, bytes)) {
		bytes = (pool->max_bytes - pool->bytes) & ~(CHUNK_BYTES - 1);
		if (bytes == 0)
			return false;
	}
	struct chunk *segment = lab_memory_map(bytes);
	if (segment == NULL)
		return false;
	segment->segment_bytes = bytes;
	segment->next_segment = pool->segments;
	pool->segments = segment;
	pool->segment_at = (uint8_t *)segment;
	pool->segment_left = bytes;
	pool->bytes += bytes;
	return true;
}

/* NULL if the pool or the machine is full. All but the chunk's header is poisoned. */
static struct chunk *pool_take_chunk(struct lab_pool *pool)
{
	struct chunk *chunk = pool->chunks;

	if (chunk != NULL) {
		pool->chunks = chunk->next;
		return chunk;
	}
	if (pool->segment_left == 0 && !pool_add_segment(pool))
		return NULL;
	chunk = (struct chunk *)(void *)pool->segment_at;
	pool->segment_at += CHUNK_BYTES;
	pool->segment_left -= CHUNK_BYTES;
	lab_memory_poison(chunk + 1, CHUNK_BYTES - sizeof(*chunk));
	return chunk;
}

/* NULL if the pool or the machine is full. *ret_fresh: it is known to be zero. */
static struct large *pool_take_large(struct lab_pool *pool, size_t bytes, bool *ret_fresh)
{
	unsigned bin = bin_of(bytes);
	struct large *large;

	pool_sort_dropped(pool);
	large = pool->free_large[bin];
	*ret_fresh = large == NULL;
	if (large != NULL) {
		pool->free_large[bin] = large->next;
		return large;
	}
	bytes = bin_bytes(bin);
	if (!pool_has_room(pool, bytes))
		return NULL;
	large = lab_memory_map(bytes);
	if (large == NULL)
		return NULL;
	pool->bytes += bytes;
	large->bytes = bytes;
	lab_memory_poison(large + 1, bytes - sizeof(*large));
	return large;
}

/* Free bytes get the pattern, if there is one, and are poisoned. */
static void pool_scrub(const struct lab_pool *pool, void *ptr, size_t bytes)
{
	if (pool->has_fill) {
		lab_memory_open(ptr, bytes);
		memset(ptr, pool->fill, bytes);
	}
	lab_memory_poison(ptr, bytes);
}

/* ---- heap ---- */

static void heap_add_chunk(struct lab_heap *heap, struct chunk *chunk)
{
	chunk->next = heap->chunk_first;
	heap->chunk_first = chunk;
	heap->bump = (uint8_t *)(chunk + 1);
	/* The last 8 bytes of a chunk are unused: blocks come in multiples of 16. */
	heap->bump_left = CHUNK_BYTES - sizeof(*chunk) - 8;
}

struct lab_heap *lab_heap_new(struct lab_pool *pool, size_t max_bytes)
{
	/* The heap lives in its own first chunk, and so needs no memory of anybody else. */
	const size_t own_bytes = (sizeof(struct lab_heap) + 15) & ~(size_t)15;
	struct chunk *chunk;
	struct lab_heap *heap;

	lab_check(pool, POOL_MAGIC);
	chunk = pool_take_chunk(pool);
	if (chunk == NULL)
		lab_bug("out of memory: no room in the pool for another heap");
	heap = (struct lab_heap *)(void *)((uint8_t *)(chunk + 1) + 8);
	lab_memory_open(heap, own_bytes);
	memset(heap, 0, own_bytes);
	heap->magic = HEAP_MAGIC;
	heap->tag = ++pool->next_tag;
	heap->pool = pool;
	heap->max_bytes = max_bytes;
	heap->large.next = heap->large.prev = &heap->large;
	heap->chunk_last = chunk;
	heap_add_chunk(heap, chunk);
	heap->bump += own_bytes + 16;
	heap->bump_left -= own_bytes + 16;
	pool->heap_count++;
	return heap;
}

void lab_heap_on_exhausted(struct lab_heap *heap, lab_heap_exhausted_fn fn, void *ctx)
{
	lab_check(heap, HEAP_MAGIC);
	heap->on_exhausted = fn;
	heap->exhausted_ctx = ctx;
}

/* For the checkers and the fill pattern only; a plain drop does not look at what it drops. */
static void heap_drop_scrub(struct lab_pool *pool, struct chunk *first, const struct chunk *behind,
	struct large *dropped, const struct large *behind_dropped)
{
	for (; dropped != behind_dropped; dropped = dropped->next)
		pool_scrub(pool, dropped + 1, dropped->bytes - sizeof(*dropped));
	for (; first != behind; first = first->next)
		pool_scrub(pool, first + 1, CHUNK_BYTES - sizeof(*first));
}

void lab_heap_drop(struct lab_heap **_heap)
{
	struct lab_heap *heap = *_heap;

	if (heap == NULL)
		return;
	*_heap = NULL;
	lab_check(heap, HEAP_MAGIC);
	heap->magic = 0;

	struct lab_pool *pool = heap->pool;
	struct chunk *chunk = heap->chunk_first, *behind = pool->chunks;
	struct large *dropped = pool->dropped;
	heap->chunk_last->next = pool->chunks;
	pool->chunks = chunk;
	if (heap->large.next != &heap->large) {
		heap->large.prev->next = pool->dropped;
		pool->dropped = heap->large.next;
	}
	pool->heap_count--;
	if (lab_memory_watched() || pool->has_fill)
		heap_drop_scrub(pool, chunk, behind, pool->dropped, dropped);
}

void lab_heap_exhausted(struct lab_heap *heap, size_t wanted)
{
	if (heap->on_exhausted != NULL)
		heap->on_exhausted(heap->exhausted_ctx, wanted);
	lab_bug("heap exhausted: its maximum or its pool's");
}

/* What a block of `size` costs of the heap's maximum: the same on every build. */
static inline size_t heap_cost(size_t size)
{
	return (size + sizeof(struct block) + 15) & ~(size_t)15;
}

static inline void heap_charge(struct lab_heap *heap, size_t size)
{
	size_t room = heap->max_bytes - heap->used;

	/* Two comparisons: the cost of a size near SIZE_MAX wraps around. */
	if (__builtin_expect(size > room || heap_cost(size) > room, 0))
		lab_heap_exhausted(heap, size);
	heap->used += heap_cost(size);
}

static void heap_put_free(struct lab_heap *heap, struct block *block)
{
	struct free_block *entry = (struct free_block *)(void *)(block + 1);
	size_t bytes = bin_bytes(block->bin) - sizeof(*block);

	block->state = BLOCK_FREE;
	if (__builtin_expect(heap->pool->has_fill, 0))
		pool_scrub(heap->pool, entry, bytes);
	lab_memory_open(entry, sizeof(*entry));
	entry->next = heap->free[block->bin];
	heap->free[block->bin] = entry;
	lab_memory_poison(entry, bytes);
}

/* Cuts what is left of the current chunk into free blocks: the next one will not fit into it. */
static void heap_use_rest(struct lab_heap *heap)
{
	while (heap->bump_left >= 16) {
		size_t bytes =
			heap->bump_left < SMALL_BYTES_MAX ? heap->bump_left : SMALL_BYTES_MAX;
		unsigned bin = bin_of(bytes);
		struct block *block = (struct block *)(void *)heap->bump;

		if (bin_bytes(bin) > bytes)
			bin--;
		lab_memory_open(block, sizeof(*block));
		block->bin = (uint8_t)bin;
		block->owner = heap->tag;
		heap->bump += bin_bytes(bin);
		heap->bump_left -= bin_bytes(bin);
		heap_put_free(heap, block);
	}
}

static struct block *heap_cut_block(struct lab_heap *heap, unsigned bin)
{
	size_t bytes = bin_bytes(bin);

	if (__builtin_expect(heap->bump_left < bytes, 0)) {
		heap_use_rest(heap);
		struct chunk *chunk = pool_take_chunk(heap->pool);

		if (chunk == NULL)
			return NULL;
		heap_add_chunk(heap, chunk);
	}
	struct block *block = (struct block *)(void *)heap->bump;
	lab_memory_open(block, sizeof(*block));
	heap->bump += bytes;
	heap->bump_left -= bytes;
	return block;
}

static inline void *heap_alloc_small(struct lab_heap *heap, size_t size)
{
	unsigned bin = bin_of(size + sizeof(struct block) + REDZONE_BYTES);
	struct free_block *entry = heap->free[bin];
	struct block *block;

	if (__builtin_expect(entry != NULL, 1)) {
		lab_memory_reveal(entry, sizeof(*entry));
		heap->free[bin] = entry->next;
		lab_memory_poison(entry, sizeof(*entry));
		block = (struct block *)(void *)entry - 1;
	} else {
		block = heap_cut_block(heap, bin);
		if (block == NULL)
			return NULL;
	}
	*block = (struct block){ (uint32_t)size, (uint8_t)bin, BLOCK_LIVE, heap->tag };
	lab_memory_open(block + 1, size);
	return block + 1;
}

static void *heap_alloc_large(struct lab_heap *heap, size_t size, bool *ret_fresh)
{
	struct large *large =
		pool_take_large(heap->pool, size + sizeof(*large) + REDZONE_BYTES, ret_fresh);

	if (large == NULL)
		return NULL;
	large->size = size;
	large->heap = heap;
	large->block = (struct block){ 0, BIN_LARGE, BLOCK_LIVE, heap->tag };
	large->prev = &heap->large;
	large->next = heap->large.next;
	large->next->prev = large;
	heap->large.next = large;
	lab_memory_open(large + 1, size);
	return large + 1;
}

static inline bool is_small(size_t size)
{
	return size <= SMALL_BYTES_MAX - sizeof(struct block) - REDZONE_BYTES;
}

static inline void *heap_alloc(struct lab_heap *heap, size_t size, bool zeroed)
{
	bool fresh = false;
	void *ptr;

	lab_check(heap, HEAP_MAGIC);
	heap_charge(heap, size);
	if (__builtin_expect(is_small(size), 1))
		ptr = heap_alloc_small(heap, size);
	else
		ptr = heap_alloc_large(heap, size, &fresh);
	if (__builtin_expect(ptr == NULL, 0)) {
		heap->used -= heap_cost(size);
		lab_heap_exhausted(heap, size);
	}
	if (zeroed && !fresh)
		memset(ptr, 0, size);
#if LAB_VALGRIND
	else if (zeroed)
		lab_memory_reveal(ptr, size);
#endif
	return ptr;
}

void *lab_heap_alloc(struct lab_heap *heap, size_t size)
{
	return heap_alloc(heap, size, true);
}

void *lab_heap_alloc_dirty(struct lab_heap *heap, size_t size)
{
	return heap_alloc(heap, size, false);
}

static struct block *heap_block_of(const struct lab_heap *heap, void *ptr)
{
	struct block *block = (struct block *)ptr - 1;

	lab_check(heap, HEAP_MAGIC);
	lab_assert(block->state == BLOCK_LIVE);
	lab_assert(block->owner == heap->tag);
	return block;
}

static struct large *large_of(struct block *block)
{
	return (struct large *)(void *)((uint8_t *)(block + 1) - sizeof(struct large));
}

static size_t block_size(struct block *block)
{
	return block->bin == BIN_LARGE ? large_of(block)->size : block->size;
}

/* How many bytes the block could hold without moving. */
static size_t block_room(struct block *block)
{
	if (block->bin == BIN_LARGE)
		return large_of(block)->bytes - sizeof(struct large) - REDZONE_BYTES;
	return bin_bytes(block->bin) - sizeof(*block) - REDZONE_BYTES;
}

static void heap_resize_in_place(
	struct lab_heap *heap, struct block *block, size_t size, bool zeroed)
{
	uint8_t *ptr = (uint8_t *)(block + 1);
	size_t old_size = block_size(block);

	if (size > old_size) {
		lab_memory_open(ptr + old_size, size - old_size);
		if (zeroed)
			memset(ptr + old_size, 0, size - old_size);
	} else if (size < old_size) {
		pool_scrub(heap->pool, ptr + size, old_size - size);
	}
	if (block->bin == BIN_LARGE)
		large_of(block)->size = size;
	else
		block->size = (uint32_t)size;
}

static inline void *heap_realloc(struct lab_heap *heap, void *ptr, size_t size, bool zeroed)
{
	if (ptr == NULL)
		return heap_alloc(heap, size, zeroed);

	struct block *block = heap_block_of(heap, ptr);
	size_t old_size = block_size(block), room = block_room(block);
	/* A block that would be more than half empty is worth a copy. */
	if (size <= room && (size > room / 2 || size >= old_size)) {
		size_t used = heap->used;

		heap->used -= heap_cost(old_size);
		if (size > heap->max_bytes - heap->used ||
			heap_cost(size) > heap->max_bytes - heap->used) {
			heap->used = used;
			lab_heap_exhausted(heap, size);
		}
		heap->used += heap_cost(size);
		heap_resize_in_place(heap, block, size, zeroed);
		return ptr;
	}
	uint8_t *moved = heap_alloc(heap, size, false);
	memcpy(moved, ptr, size < old_size ? size : old_size);
	if (zeroed && size > old_size)
		memset(moved + old_size, 0, size - old_size);
	lab_heap_free(heap, ptr);
	return moved;
}

void *lab_heap_realloc(struct lab_heap *heap, void *ptr, size_t size)
{
	return heap_realloc(heap, ptr, size, true);
}

void *lab_heap_realloc_dirty(struct lab_heap *heap, void *ptr, size_t size)
{
	return heap_realloc(heap, ptr, size, false);
}

void lab_heap_free(struct lab_heap *heap, void *ptr)
{
	if (ptr == NULL)
		return;
	struct block *block = heap_block_of(heap, ptr);

	heap->used -= heap_cost(block_size(block));
	if (__builtin_expect(block->bin != BIN_LARGE, 1)) {
		heap_put_free(heap, block);
		return;
	}
	struct large *large = large_of(block);
	lab_assert(large->heap == heap);
	block->state = BLOCK_FREE;
	large->prev->next = large->next;
	large->next->prev = large->prev;
	if (lab_memory_watched() || heap->pool->has_fill)
		pool_scrub(heap->pool, large + 1, large->bytes - sizeof(*large));
	large->next = heap->pool->dropped;
	heap->pool->dropped = large;
}

size_t lab_heap_used(const struct lab_heap *heap)
{
	lab_check(heap, HEAP_MAGIC);
	return heap->used;
}

void *lab_heap_alloc_array(struct lab_heap *heap, size_t size, size_t count)
{
	size_t bytes;

	if (__builtin_mul_overflow(size, count, &bytes))
		lab_heap_exhausted(heap, SIZE_MAX);
	return lab_heap_alloc(heap, bytes);
}

char *lab_heap_strdup(struct lab_heap *heap, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = lab_heap_alloc_dirty(heap, size);

	memcpy(copy, text, size);
	return copy;
}
