/* SPDX-License-Identifier: Apache-2.0
 *
 * heap-snapshot.c - a heap's memory, put back as it was: contents, free lists and, under ASan,
 * which bytes are poisoned.
 *
 * A snapshot keeps a copy of every chunk and every large block. To restore it, what the pool has
 * mapped since goes back to the operating system and the copies over the rest. What was mapped
 * before stays mapped meanwhile (pool->pinned).
 */
#include "core/base/heap-private.h"

#include <string.h>

#include "core/base/assert.h"

struct part {
	uint8_t *at, *copy, *shadow; /* shadow: of `at`, by ASan; one byte for eight */
	size_t bytes;
};

struct lab_heap_snapshot {
	struct lab_heap *heap;
	struct lab_pool pool;
	size_t mapped; /* this one and the copies behind it */
	size_t count;
	struct part parts[];
};

/* ---- poison ---- */

#if LAB_ASAN
static uint8_t *shadow_of(const void *ptr)
{
	size_t scale, offset;

	__asan_get_shadow_mapping(&scale, &offset);
	return (uint8_t *)(((uintptr_t)ptr >> scale) + offset);
}

/* No memcpy(): ASan looks at what that is given. */
__attribute__((no_sanitize("address"))) static void copy_shadow(
	volatile uint8_t *to, const volatile uint8_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8)
		*(volatile uint64_t *)(volatile void *)(to + i) =
			*(const volatile uint64_t *)(const volatile void *)(from + i);
}
#endif

static void save_part(struct part *part)
{
#if LAB_ASAN
	copy_shadow(part->shadow, shadow_of(part->at), part->bytes / 8);
	lab_memory_reveal(part->at, part->bytes);
#endif
	memcpy(part->copy, part->at, part->bytes);
#if LAB_ASAN
	copy_shadow(shadow_of(part->at), part->shadow, part->bytes / 8);
#endif
}

static void restore_part(const struct part *part)
{
	lab_memory_open(part->at, part->bytes);
	memcpy(part->at, part->copy, part->bytes);
#if LAB_ASAN
	copy_shadow(shadow_of(part->at), part->shadow, part->bytes / 8);
#endif
}

/* ---- save ---- */

static size_t segment_used(const struct lab_pool *pool, const struct chunk *segment)
{
	if (segment == pool->segments)
		return (size_t)(pool->segment_at - (const uint8_t *)segment);
	return segment->segment_bytes;
}

/* Adds a part, or with `parts` NULL only counts. */
static void add_part(struct lab_heap_snapshot *s, struct part *parts, void *at, size_t bytes)
{
	if (parts != NULL)
		parts[s->count] = (struct part){ .at = at, .bytes = bytes };
	s->count++;
	s->mapped += sizeof(struct part) + bytes + bytes / 8;
}

/* Pages are multiples of 64 bytes, and so are chunks: so is the shadow of each in eights. */
static void list_parts(struct lab_heap_snapshot *s, struct part *parts)
{
	struct lab_pool *pool = s->heap->pool;

	s->count = 0;
	s->mapped = sizeof(*s);
	for (struct chunk *c = pool->segments; c != NULL; c = c->next_segment)
		add_part(s, parts, c, segment_used(pool, c));
	for (struct large *l = s->heap->large.next; l != &s->heap->large; l = l->next)
		add_part(s, parts, l, l->bytes);
}

struct lab_heap_snapshot *lab_heap_save(struct lab_heap *heap)
{
	struct lab_heap_snapshot count = { .heap = heap }, *s;

	lab_check(heap, HEAP_MAGIC);
	lab_assert(heap->pool->heap_count == 1 && !heap->pool->pinned);
	lab_assert(!lab_memory_on_valgrind);
	lab_pool_release_large(heap->pool);
	heap->pool->pinned = true;
	list_parts(&count, NULL);
	s = lab_memory_map(count.mapped);
	lab_assert(s != NULL);
	s->heap = heap;
	s->pool = *heap->pool;
	list_parts(s, s->parts);
	uint8_t *at = (uint8_t *)&s->parts[s->count];
	for (size_t i = 0; i < s->count; i++) {
		struct part *part = &s->parts[i];
		lab_assert(part->bytes % 64 == 0);
		part->copy = at;
		part->shadow = at + part->bytes;
		at += part->bytes + part->bytes / 8;
		save_part(part);
	}
	return s;
}

/* ---- restore ---- */

static bool is_saved(const struct lab_heap_snapshot *s, const void *at)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->parts[i].at == at)
			return true;
	}
	return false;
}

/* Returns the next one. */
static struct large *drop_new_large(const struct lab_heap_snapshot *s, struct large *large)
{
	struct large *next = large->next;

	if (!is_saved(s, large))
		lab_memory_unmap(large, large->bytes, large->bytes);
	return next;
}

static void drop_new(const struct lab_heap_snapshot *s)
{
	struct lab_pool *pool = s->heap->pool;
	struct large *large;

	for (large = s->heap->large.next; large != &s->heap->large;)
		large = drop_new_large(s, large);
	for (large = pool->dropped; large != NULL;)
		large = drop_new_large(s, large);
	for (unsigned bin = 0; bin < BINS; bin++) {
		for (large = pool->free_large[bin]; large != NULL;)
			large = drop_new_large(s, large);
	}
	while (pool->segments != s->pool.segments) {
		struct chunk *segment = pool->segments;

		pool->segments = segment->next_segment;
		lab_memory_unmap(segment, segment->segment_bytes, segment->segment_bytes);
	}
}

void lab_heap_restore(const struct lab_heap_snapshot *s)
{
	lab_check(s->heap, HEAP_MAGIC);
	lab_assert(s->heap->pool->heap_count == 1);
	drop_new(s);
	*s->heap->pool = s->pool;
	for (size_t i = 0; i < s->count; i++)
		restore_part(&s->parts[i]);
}

void lab_heap_snapshot_free(struct lab_heap_snapshot **_s)
{
	struct lab_heap_snapshot *s = *_s;

	if (s == NULL)
		return;
	*_s = NULL;
	s->heap->pool->pinned = false;
	lab_memory_unmap(s, s->mapped, 0);
}
