/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/base-private.h"

static void allocations_are_aligned_zeroed_and_apart(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 24);
	uint8_t *previous = NULL;

	(void)state;
	for (size_t size = 0; size < 3000; size += 7) {
		uint8_t *ptr = lab_arena_alloc(arena, size);

		assert_row(size, (uintptr_t)ptr % 16 == 0);
		for (size_t i = 0; i < size; i++)
			assert_row(size, ptr[i] == 0);
		memset(ptr, 0xff, size);
		if (previous != NULL)
			assert_row(size, previous[0] == 0xff);
		previous = size > 0 ? ptr : NULL;
	}
	lab_arena_free(&arena);
	assert_null(arena);
	assert_int_equal(lab_heap_used(testing_heap), 0);
	lab_arena_free(&arena);
}

static void reset_keeps_the_first_block_only(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 24);
	size_t used = lab_heap_used(testing_heap);

	(void)state;
	void *first = lab_arena_alloc(arena, 100);
	memset(first, 0xff, 100);
	(void)lab_arena_alloc(arena, 1000000);
	assert_true(lab_heap_used(testing_heap) > used);
	lab_arena_reset(arena);
	assert_int_equal(lab_heap_used(testing_heap), used);
	uint8_t *again = lab_arena_alloc(arena, 100);
	assert_ptr_equal(again, first);
	assert_int_equal(again[0] | again[99], 0);
	lab_arena_free(&arena);
}

static void rewind_drops_what_came_after_the_mark(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 24);
	struct lab_view kept = lab_arena_copy(arena, LAB_VIEW("kept"));
	struct lab_arena_mark mark = lab_arena_mark(arena);
	size_t used = lab_heap_used(testing_heap);

	(void)state;
	void *after = lab_arena_alloc(arena, 32);
	lab_arena_rewind(arena, mark);
	assert_ptr_equal(lab_arena_alloc(arena, 32), after);
	lab_arena_rewind(arena, mark);
	for (unsigned i = 0; i < 50; i++)
		(void)lab_arena_alloc(arena, 5000);
	lab_arena_rewind(arena, mark);
	assert_int_equal(lab_heap_used(testing_heap), used);
	assert_true(lab_view_eq_cstr(kept, "kept"));
	lab_arena_free(&arena);
}

static void rewinding_forward_asserts(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 24);

	(void)state;
	(void)lab_arena_alloc(arena, 100);
	struct lab_arena_mark later = lab_arena_mark(arena);
	lab_arena_reset(arena);
	assert_asserts(lab_arena_rewind(arena, later));
	lab_arena_free(&arena);
}

static void maximum_bounds_the_contents(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 10000);

	(void)state;
	(void)lab_arena_alloc(arena, 6000);
	assert_asserts((void)lab_arena_alloc(arena, 6000));
	assert_asserts((void)lab_arena_alloc(arena, SIZE_MAX));
	assert_asserts((void)lab_arena_alloc_array(arena, SIZE_MAX / 2, 3));
	(void)lab_arena_alloc(arena, 4000);
	lab_arena_reset(arena);
	(void)lab_arena_alloc(arena, 10000);
	lab_arena_free(&arena);
}

static void maximum_counts_all_blocks(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 100000);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		(void)lab_arena_alloc(arena, 992);
	struct lab_arena_mark mark = lab_arena_mark(arena);
	(void)lab_arena_alloc(arena, 800);
	assert_asserts((void)lab_arena_alloc(arena, 1));
	lab_arena_rewind(arena, mark);
	(void)lab_arena_alloc(arena, 800);
	lab_arena_free(&arena);
}

static void copies_end_in_nul_and_absent_stays_absent(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);

	(void)state;
	struct lab_view copy = lab_arena_copy(arena, lab_view_of("abcdef", 3));
	assert_true(lab_view_eq_cstr(copy, "abc"));
	assert_int_equal(copy.ptr[3], 0);
	assert_null(lab_arena_copy(arena, (struct lab_view){ 0 }).ptr);
	assert_non_null(lab_arena_copy(arena, LAB_VIEW("")).ptr);
	assert_string_equal(lab_arena_cstr(arena, (struct lab_view){ 0 }), "");
	lab_arena_free(&arena);
}

static void printf_of_any_length(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);

	(void)state;
	assert_string_equal(lab_arena_printf(arena, "%s-%d", "user", 7), "user-7");
	/* Around the length at which the first guess is too short. */
	for (int width = 250; width < 262; width++) {
		char *text = lab_arena_printf(arena, "%*d", width, 7);

		assert_row(width, strlen(text) == (size_t)width && text[width - 1] == '7');
	}
	lab_arena_free(&arena);
}

static void poison_covers_what_is_not_allocated(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	uint8_t *ptr = lab_arena_alloc(arena, 20);

	(void)state;
#if LAB_ASAN
	assert_true(__asan_address_is_poisoned(ptr + 20));
	lab_arena_reset(arena);
	assert_true(__asan_address_is_poisoned(ptr));
#else
	assert_int_equal(ptr[19], 0);
#endif
	lab_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(allocations_are_aligned_zeroed_and_apart),
		testing_test(reset_keeps_the_first_block_only),
		testing_test(rewind_drops_what_came_after_the_mark),
		testing_test(rewinding_forward_asserts),
		testing_test(maximum_bounds_the_contents),
		testing_test(maximum_counts_all_blocks),
		testing_test(copies_end_in_nul_and_absent_stays_absent),
		testing_test(printf_of_any_length),
		testing_test(poison_covers_what_is_not_allocated),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
