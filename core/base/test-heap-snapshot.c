/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/base-private.h"

#define BLOCKS 4000

/* A world of its own: a snapshot's heap is alone in its pool. */
struct saved {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_heap_snapshot *snapshot;
	uint8_t *small, *large, *freed;
	size_t used, bytes;
};

static void save(struct saved *s)
{
	if (lab_memory_on_valgrind)
		skip();
	s->pool = lab_pool_new((size_t)1 << 30);
	s->heap = lab_heap_new(s->pool, (size_t)1 << 29);
	s->small = lab_heap_alloc(s->heap, 100);
	s->large = lab_heap_alloc(s->heap, 100000);
	s->freed = lab_heap_alloc(s->heap, 500);
	memset(s->small, 1, 100);
	memset(s->large, 2, 100000);
	lab_heap_free(s->heap, s->freed);
	/* More than a segment. */
	for (size_t i = 0; i < BLOCKS; i++)
		memset(lab_heap_alloc(s->heap, 400), 3, 400);
	s->snapshot = lab_heap_save(s->heap);
	s->used = lab_heap_used(s->heap);
	s->bytes = lab_pool_bytes(s->pool);
}

static void end(struct saved *s)
{
	lab_heap_snapshot_free(&s->snapshot);
	assert_null(s->snapshot);
	lab_heap_drop(&s->heap);
	lab_pool_free(&s->pool);
}

static bool is_poisoned(const void *ptr)
{
#if LAB_ASAN
	return __asan_address_is_poisoned(ptr);
#else
	(void)ptr;
	return LAB_ASAN;
#endif
}

static void check(const struct saved *s)
{
	assert_int_equal(lab_heap_used(s->heap), s->used);
	assert_int_equal(lab_pool_bytes(s->pool), s->bytes);
	assert_false(is_poisoned(s->small) || is_poisoned(s->small + 99));
	assert_false(is_poisoned(s->large) || is_poisoned(s->large + 99999));
	assert_true(is_poisoned(s->small + 100) == LAB_ASAN);
	assert_true(is_poisoned(s->large + 100000) == LAB_ASAN);
	assert_true(is_poisoned(s->freed) == LAB_ASAN);
	for (size_t i = 0; i < 100; i++)
		assert_row(i, s->small[i] == 1);
	for (size_t i = 0; i < 100000; i++)
		assert_row(i, s->large[i] == 2);
}

static void what_was_freed_and_written_is_back(void **state)
{
	struct saved s;
	(void)state;
	save(&s);
	for (unsigned round = 0; round < 3; round++) {
		uint8_t *again = lab_heap_alloc(s.heap, 500);
		assert_ptr_equal(again, s.freed); /* as every round */
		memset(again, 9, 500);
		memset(s.large, 9, 100000);
		memset(s.small, 9, 100);
		lab_heap_free(s.heap, s.small);
		lab_heap_free(s.heap, s.large);
		assert_true(is_poisoned(s.small) == LAB_ASAN);
		lab_heap_restore(s.snapshot);
		check(&s);
	}
	end(&s);
}

/* Some of it freed, some not. */
static void what_was_mapped_since_is_gone(void **state)
{
	struct saved s;
	(void)state;
	save(&s);
	for (unsigned round = 0; round < 3; round++) {
		uint8_t *kept = lab_heap_alloc(s.heap, 3000000);
		uint8_t *freed = lab_heap_alloc(s.heap, 200000);
		for (size_t i = 0; i < 2 * BLOCKS; i++)
			memset(lab_heap_alloc(s.heap, 1000), 7, 1000);
		memset(kept, 8, 3000000);
		(void)lab_heap_realloc(s.heap, s.large, 900000); /* moves it */
		lab_heap_free(s.heap, freed);
		assert_true(lab_pool_bytes(s.pool) > s.bytes);
		lab_heap_restore(s.snapshot);
		check(&s);
	}
	end(&s);
}

static void a_heap_works_on_behind_it(void **state)
{
	struct saved s;
	(void)state;
	save(&s);
	lab_heap_restore(s.snapshot);
	lab_heap_snapshot_free(&s.snapshot);
	uint8_t *block = lab_heap_alloc(s.heap, 100000);
	for (size_t i = 0; i < 100000; i++)
		assert_row(i, block[i] == 0);
	lab_heap_free(s.heap, block);
	assert_int_equal(lab_heap_used(s.heap), s.used);
	lab_heap_free(s.heap, s.large);
	lab_heap_free(s.heap, s.small);
	end(&s);
}

static void only_a_heap_that_is_alone_is_saved(void **state)
{
	struct lab_heap *other = lab_heap_new(testing_pool, 1 << 20);
	(void)state;
	assert_asserts((void)lab_heap_save(testing_heap));
	lab_heap_drop(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(what_was_freed_and_written_is_back),
		testing_test(what_was_mapped_since_is_gone),
		testing_test(a_heap_works_on_behind_it),
		testing_test(only_a_heap_that_is_alone_is_saved),
	};

	return cmocka_run_group_tests_name("heap-snapshot", tests, NULL, NULL);
}
