/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void *number(uint64_t n)
{
	return (void *)(uintptr_t)n;
}

static struct lab_view key_of(uint64_t n, char text[32])
{
	return lab_view_of(text, (size_t)snprintf(text, 32, "key-%" PRIu64, n));
}

static void put(struct lab_map *map, const char *key, uint64_t value)
{
	void **slot = lab_map_slot(map, lab_view_cstr(key));

	assert_non_null(slot);
	*slot = number(value);
}

static void expect_order(const struct lab_map *map, const char *expected)
{
	struct lab_map_iter iter = lab_map_iterate(map);
	char got[256] = "";
	size_t used = 0;
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		used += (size_t)snprintf(got + used, sizeof(got) - used, "%.*s=%u ",
			LAB_VIEW_ARG(key), (unsigned)(uintptr_t)value);
	assert_string_equal(got, expected);
}

static void finds_what_was_put(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 10);

	(void)state;
	assert_null(lab_map_get(map, LAB_VIEW("a")));
	assert_null(lab_map_remove(map, LAB_VIEW("a")));
	void **slot = lab_map_slot(map, LAB_VIEW("a"));
	assert_null(*slot);
	put(map, "a", 1);
	put(map, "", 2);
	*lab_map_slot(map, LAB_VIEW("a\0b")) = number(3);
	put(map, "a", 4);
	assert_int_equal(lab_map_count(map), 3);
	assert_ptr_equal(lab_map_get(map, LAB_VIEW("a")), number(4));
	assert_ptr_equal(lab_map_get(map, (struct lab_view){ 0 }), number(2));
	assert_ptr_equal(lab_map_get(map, LAB_VIEW("a\0b")), number(3));
	assert_ptr_equal(lab_map_remove(map, LAB_VIEW("")), number(2));
	assert_null(lab_map_get(map, LAB_VIEW("")));
	lab_map_free(&map);
	assert_null(map);
	lab_map_free(&map);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static void keys_are_copied(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 10);
	char key[] = "abc";

	(void)state;
	*lab_map_slot(map, lab_view_cstr(key)) = number(1);
	key[0] = 'x';
	assert_ptr_equal(lab_map_get(map, LAB_VIEW("abc")), number(1));
	assert_null(lab_map_get(map, LAB_VIEW("xbc")));
	lab_map_free(&map);
}

static void iterates_in_order_of_insertion(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 10);

	(void)state;
	expect_order(map, "");
	put(map, "z", 1);
	put(map, "a", 2);
	put(map, "m", 3);
	put(map, "z", 4); /* keeps its place */
	expect_order(map, "z=4 a=2 m=3 ");
	(void)lab_map_remove(map, LAB_VIEW("z"));
	expect_order(map, "a=2 m=3 ");
	put(map, "z", 5); /* goes to the end */
	expect_order(map, "a=2 m=3 z=5 ");
	lab_map_clear(map);
	expect_order(map, "");
	assert_int_equal(lab_map_count(map), 0);
	put(map, "m", 6);
	expect_order(map, "m=6 ");
	lab_map_free(&map);
}

static void order_survives_growth_and_sweeps(void **state)
{
	enum {
		KEYS = 5000
	};
	struct lab_map *map = lab_map_new(testing_heap, KEYS);
	struct lab_map_iter iter;
	struct lab_view key;
	char text[32];
	void *value;

	(void)state;
	for (uint64_t i = 0; i < KEYS; i++) {
		*lab_map_slot(map, key_of(i, text)) = number(i + 1);
		if (i >= 100 && i % 10 != 0)
			assert_row(i, lab_map_remove(map, key_of(i - 100, text)) != NULL ||
					      (i - 100) % 10 == 9);
	}
	uint64_t last = 0, seen = 0;
	for (iter = lab_map_iterate(map); lab_map_next(&iter, &key, &value); seen++) {
		assert_row(seen, (uintptr_t)value > last);
		last = (uintptr_t)value;
		assert_row(seen, lab_view_eq(key, key_of(last - 1, text)));
		assert_row(seen, lab_map_get(map, key) == value);
	}
	assert_int_equal(seen, lab_map_count(map));
	lab_map_free(&map);
}

static void maximum_refuses_new_keys_only(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 3);

	(void)state;
	put(map, "a", 1);
	put(map, "b", 2);
	put(map, "c", 3);
	assert_null(lab_map_slot(map, LAB_VIEW("d")));
	put(map, "b", 4);
	(void)lab_map_remove(map, LAB_VIEW("a"));
	put(map, "d", 5);
	assert_null(lab_map_slot(map, LAB_VIEW("a")));
	expect_order(map, "b=4 c=3 d=5 ");
	lab_map_free(&map);
}

static void returned_entry_may_be_removed(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 1000);
	struct lab_view key;
	char text[32];
	void *value;
	unsigned seen = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		*lab_map_slot(map, key_of(i, text)) = number(i + 1);
	struct lab_map_iter iter = lab_map_iterate(map);
	for (; lab_map_next(&iter, &key, &value); seen++) {
		assert_row(seen, value == number(seen + 1));
		if (seen % 3 != 0)
			assert_ptr_equal(lab_map_remove(map, key), value);
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(lab_map_count(map), 334);
	lab_map_free(&map);
}

static void steady_turnover_does_not_grow(void **state)
{
	struct lab_map *map = lab_map_new(testing_heap, 1000);
	size_t used = 0;
	char text[32];

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		*lab_map_slot(map, key_of(i % 7919, text)) = number(1);
		if (i >= 50)
			(void)lab_map_remove(map, key_of((i - 50) % 7919, text));
		if (i == 1000)
			used = lab_heap_used(testing_heap);
	}
	assert_true(lab_heap_used(testing_heap) <= used + 100);
	lab_map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(finds_what_was_put),
		testing_test(keys_are_copied),
		testing_test(iterates_in_order_of_insertion),
		testing_test(order_survives_growth_and_sweeps),
		testing_test(maximum_refuses_new_keys_only),
		testing_test(returned_entry_may_be_removed),
		testing_test(steady_turnover_does_not_grow),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
