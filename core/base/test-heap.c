/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/base-private.h"

static bool is_all(const uint8_t *bytes, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != value)
			return false;
	}
	return true;
}

/* Sizes around every border of the allocator. */
static const size_t sizes[] = { 0, 1, 8, 9, 24, 25, 248, 249, 312, 313, 4000, 32743, 32744, 32760,
	32761, 65536, 1000000, 5000000 };

static void blocks_are_aligned_zeroed_and_apart(void **state)
{
	uint8_t *blocks[LAB_COUNT_OF(sizes)];

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
		blocks[i] = lab_heap_alloc(testing_heap, sizes[i]);
		assert_row(i, blocks[i] != NULL && (uintptr_t)blocks[i] % 16 == 0);
		assert_row(i, is_all(blocks[i], sizes[i], 0));
		memset(blocks[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
		assert_row(i, is_all(blocks[i], sizes[i], (uint8_t)(i + 1)));
		lab_heap_free(testing_heap, blocks[i]);
	}
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static void recycled_blocks_are_zero_again(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
			uint8_t *block = lab_heap_alloc(testing_heap, sizes[i]);

			assert_row(i, is_all(block, sizes[i], 0));
			memset(block, 0xee, sizes[i]);
			lab_heap_free(testing_heap, block);
		}
		struct lab_heap *other = lab_heap_new(testing_pool, 1 << 24);
		memset(lab_heap_alloc(other, 100000), 0xee, 100000);
		memset(lab_heap_alloc(other, 100), 0xee, 100);
		lab_heap_drop(&other);
		assert_null(other);
	}
}

static void freed_memory_is_used_again(void **state)
{
	(void)state;
	void *first = lab_heap_alloc(testing_heap, 100);
	lab_heap_free(testing_heap, first);
	assert_ptr_equal(lab_heap_alloc(testing_heap, 97), first);

	size_t bytes = 0;
	for (unsigned i = 0; i < 100; i++) {
		void *large = lab_heap_alloc(testing_heap, 1000000);

		lab_heap_free(testing_heap, large);
		if (i == 0)
			bytes = lab_pool_bytes(testing_pool);
	}
	assert_int_equal(lab_pool_bytes(testing_pool), bytes);
}

static void what_is_kept_for_later_can_be_given_back(void **state)
{
	void *stays = lab_heap_alloc(testing_heap, 300000);
	void *large = lab_heap_alloc(testing_heap, 1000000);
	size_t bytes = lab_pool_bytes(testing_pool);

	(void)state;
	memset(stays, 7, 300000);
	lab_heap_free(testing_heap, large);
	assert_int_equal(lab_pool_bytes(testing_pool), bytes);
	lab_pool_trim(testing_pool);
	assert_true(lab_pool_bytes(testing_pool) <= bytes - 1000000);
	assert_int_equal(((uint8_t *)stays)[299999], 7);
	large = lab_heap_alloc(testing_heap, 1000000);
	assert_int_equal(((uint8_t *)large)[999999], 0);
	lab_heap_free(testing_heap, large);
	lab_heap_free(testing_heap, stays);
}

static void dropping_gives_everything_back_to_the_pool(void **state)
{
	size_t bytes = 0;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		struct lab_heap *heap = lab_heap_new(testing_pool, 1 << 28);

		for (unsigned i = 0; i < 5000; i++)
			(void)lab_heap_alloc(heap, i % 700);
		for (unsigned i = 0; i < 20; i++)
			(void)lab_heap_alloc(heap, 50000 + i * 10000);
		lab_heap_drop(&heap);
		if (round == 0)
			bytes = lab_pool_bytes(testing_pool);
		assert_row(round, lab_pool_bytes(testing_pool) == bytes);
	}
	lab_heap_drop(&(struct lab_heap *){ NULL });
	lab_pool_free(&(struct lab_pool *){ NULL });
}

static void realloc_keeps_contents_and_zeroes_the_rest(void **state)
{
	uint8_t *block = NULL;
	size_t size = 0;

	(void)state;
	/* A keyed walk over all borders, up and down. */
	for (unsigned step = 0; step < 2000; step++) {
		size_t next = lab_pick_qlog(lab_draw(1, "step", 0, step), 1, 200000);

		block = lab_heap_realloc(testing_heap, block, next);
		assert_row(step, is_all(block, LAB_MIN(size, next), 0xab));
		if (next > size)
			assert_row(step, is_all(block + size, next - size, 0));
		memset(block, 0xab, next);
		size = next;
	}
	lab_heap_free(testing_heap, block);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static void used_counts_whole_blocks(void **state)
{
	(void)state;
	void *a = lab_heap_alloc(testing_heap, 24);
	assert_int_equal(lab_heap_used(testing_heap), 32);
	void *b = lab_heap_alloc(testing_heap, 100000);
	assert_int_equal(lab_heap_used(testing_heap), 32 + 100016);
	a = lab_heap_realloc(testing_heap, a, 25);
	assert_int_equal(lab_heap_used(testing_heap), 48 + 100016);
	lab_heap_free(testing_heap, b);
	lab_heap_free(testing_heap, a);
	lab_heap_free(testing_heap, NULL);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static size_t exhausted_wanted;

static void on_exhausted(void *ctx, size_t wanted)
{
	exhausted_wanted = wanted;
	longjmp(*(jmp_buf *)ctx, 1);
}

static void exhausting_a_heap_calls_its_owner(void **state)
{
	struct lab_heap *heap = lab_heap_new(testing_pool, 10000);
	static jmp_buf jump;

	(void)state;
	void *block = lab_heap_alloc(heap, 9000);
	lab_heap_on_exhausted(heap, on_exhausted, &jump);
	if (setjmp(jump) == 0) {
		(void)lab_heap_alloc(heap, 2000);
		fail();
	}
	assert_int_equal(exhausted_wanted, 2000);
	if (setjmp(jump) == 0) {
		(void)lab_heap_realloc(heap, block, SIZE_MAX - 4);
		fail();
	}
	if (setjmp(jump) == 0) {
		(void)lab_heap_alloc_array(heap, SIZE_MAX / 2, 3);
		fail();
	}
	/* It can go on: nothing was half done. */
	lab_heap_free(heap, block);
	assert_int_equal(lab_heap_used(heap), 0);
	memset(lab_heap_alloc(heap, 9000), 1, 9000);
	lab_heap_drop(&heap);
}

static void exhausting_without_an_owner_asserts(void **state)
{
	struct lab_heap *heap = lab_heap_new(testing_pool, 100);

	(void)state;
	assert_asserts((void)lab_heap_alloc(heap, 101));
	assert_asserts((void)lab_heap_alloc(heap, SIZE_MAX));
	lab_heap_drop(&heap);
}

static void pool_bounds_all_its_heaps(void **state)
{
	struct lab_pool *pool = lab_pool_new(256 * 1024);
	struct lab_heap *a = lab_heap_new(pool, SIZE_MAX), *b = lab_heap_new(pool, SIZE_MAX);

	(void)state;
	assert_true(lab_pool_bytes(pool) <= 256 * 1024);
	assert_asserts((void)lab_heap_alloc(a, 300000));
	assert_asserts(for (;;)(void) lab_heap_alloc(b, 1000));
	assert_true(lab_heap_used(b) > 100000);
	assert_true(lab_pool_bytes(pool) <= 256 * 1024);
	lab_heap_drop(&b);
	for (unsigned i = 0; i < 100; i++)
		(void)lab_heap_alloc(a, 1000);
	assert_asserts(lab_pool_free(&(struct lab_pool *){ pool }));
	lab_heap_drop(&a);
	lab_pool_free(&pool);
	assert_null(pool);
}

static void pool_gives_kept_large_blocks_up_for_others(void **state)
{
	struct lab_pool *pool = lab_pool_new(8 * 1024 * 1024);
	struct lab_heap *heap = lab_heap_new(pool, SIZE_MAX);

	(void)state;
	/* Sizes of different classes: none of these can be used for the next. */
	for (size_t i = 1; i <= 5; i++) {
		void *block = lab_heap_alloc(heap, i * 1200000);

		lab_heap_free(heap, block);
	}
	assert_true(lab_pool_bytes(pool) <= 8 * 1024 * 1024);
	for (unsigned i = 0; i < 6000; i++)
		(void)lab_heap_alloc(heap, 1000);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static void misuse_is_caught(void **state)
{
	struct lab_heap *other = lab_heap_new(testing_pool, 1 << 20);
	void *block = lab_heap_alloc(testing_heap, 10);
	void *large = lab_heap_alloc(testing_heap, 100000);

	(void)state;
	assert_asserts(lab_heap_free(other, block));
	assert_asserts(lab_heap_free(other, large));
	lab_heap_free(testing_heap, block);
	assert_asserts(lab_heap_free(testing_heap, block));
	lab_heap_free(testing_heap, large);
	assert_asserts(lab_heap_free(testing_heap, large));
	lab_heap_drop(&other);
}

static void strdup_and_arrays(void **state)
{
	(void)state;
	char *copy = lab_heap_strdup(testing_heap, "INBOX");
	assert_string_equal(copy, "INBOX");
	uint64_t *numbers = lab_new_array(testing_heap, uint64_t, 100);
	assert_true(is_all((uint8_t *)numbers, 800, 0));
	assert_non_null(lab_new_array(testing_heap, uint64_t, 0));
}

static void fill_pattern_marks_freed_bytes_but_not_new_ones(void **state)
{
	(void)state;
	lab_pool_set_fill(testing_pool, 0x5a);
	uint8_t *block = lab_heap_alloc(testing_heap, 200);
	memset(block, 1, 200);
	lab_heap_free(testing_heap, block);
#if !LAB_ASAN
	/* The first bytes link the free list. */
	if (!lab_memory_watched())
		assert_true(is_all(block + 8, 192, 0x5a));
#endif
	assert_ptr_equal(lab_heap_alloc_dirty(testing_heap, 200), block);
#if !LAB_ASAN
	if (!lab_memory_watched())
		assert_true(is_all(block + 8, 192, 0x5a));
#endif
	lab_heap_free(testing_heap, block);
	assert_true(is_all(lab_heap_alloc(testing_heap, 200), 200, 0));

	struct lab_heap *other = lab_heap_new(testing_pool, 1 << 24);
	memset(lab_heap_alloc(other, 100000), 1, 100000);
	lab_heap_drop(&other);
	other = lab_heap_new(testing_pool, 1 << 24);
	assert_true(is_all(lab_heap_alloc(other, 100000), 100000, 0));
	assert_true(is_all(lab_heap_alloc(other, 1000), 1000, 0));
	lab_heap_drop(&other);
}

static void poison_covers_what_is_not_allocated(void **state)
{
	(void)state;
#if LAB_ASAN
	for (size_t i = 1; i < LAB_COUNT_OF(sizes); i++) {
		uint8_t *block = lab_heap_alloc(testing_heap, sizes[i]);

		assert_row(i, __asan_region_is_poisoned(block, sizes[i]) == NULL);
		assert_row(i, __asan_address_is_poisoned(block + sizes[i]));
		lab_heap_free(testing_heap, block);
		assert_row(i, __asan_address_is_poisoned(block));
		assert_row(i, __asan_address_is_poisoned(block + sizes[i] - 1));
	}
	struct lab_heap *other = lab_heap_new(testing_pool, 1 << 24);
	uint8_t *small = lab_heap_alloc(other, 10), *large = lab_heap_alloc(other, 100000);
	lab_heap_drop(&other);
	assert_true(__asan_address_is_poisoned(small));
	assert_true(__asan_address_is_poisoned(large));
#else
	assert_false(LAB_ASAN);
#endif
}

static void blocks_survive_a_long_random_life(void **state)
{
	enum {
		SLOTS = 500,
		STEPS = 50000
	};
	static struct {
		uint8_t *ptr;
		size_t size;
		uint8_t mark;
	} slots[SLOTS];

	(void)state;
	memset(slots, 0, sizeof(slots));
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t draw = lab_draw(7, "heap", 0, step);
		size_t at = lab_pick(draw, SLOTS);

		if (slots[at].ptr != NULL) {
			assert_row(step, is_all(slots[at].ptr, slots[at].size, slots[at].mark));
			lab_heap_free(testing_heap, slots[at].ptr);
		}
		slots[at].size = lab_pick_qlog(lab_mix64(draw), 1, 50000);
		slots[at].mark = (uint8_t)draw;
		slots[at].ptr = lab_heap_alloc(testing_heap, slots[at].size);
		memset(slots[at].ptr, slots[at].mark, slots[at].size);
	}
	for (size_t at = 0; at < SLOTS; at++)
		lab_heap_free(testing_heap, slots[at].ptr);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(blocks_are_aligned_zeroed_and_apart),
		testing_test(recycled_blocks_are_zero_again),
		testing_test(freed_memory_is_used_again),
		testing_test(what_is_kept_for_later_can_be_given_back),
		testing_test(dropping_gives_everything_back_to_the_pool),
		testing_test(realloc_keeps_contents_and_zeroes_the_rest),
		testing_test(used_counts_whole_blocks),
		testing_test(exhausting_a_heap_calls_its_owner),
		testing_test(exhausting_without_an_owner_asserts),
		testing_test(pool_bounds_all_its_heaps),
		testing_test(pool_gives_kept_large_blocks_up_for_others),
		testing_test(misuse_is_caught),
		testing_test(strdup_and_arrays),
		testing_test(fill_pattern_marks_freed_bytes_but_not_new_ones),
		testing_test(poison_covers_what_is_not_allocated),
		testing_test(blocks_survive_a_long_random_life),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
