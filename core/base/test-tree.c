/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void *number(uint64_t n)
{
	return (void *)(uintptr_t)n;
}

static void put(struct lab_tree *tree, const char *key)
{
	void **slot = lab_tree_slot(tree, lab_view_cstr(key));

	assert_non_null(slot);
	*slot = number(1);
}

static void expect_from(const struct lab_tree *tree, const char *from, const char *expected)
{
	struct lab_tree_iter iter = lab_tree_iterate(tree, lab_view_cstr(from));
	char got[256] = "";
	size_t used = 0;
	struct lab_view key;
	void *value;

	while (lab_tree_next(&iter, &key, &value))
		used += (size_t)snprintf(
			got + used, sizeof(got) - used, "<%.*s>", LAB_VIEW_ARG(key));
	assert_string_equal(got, expected);
}

static void finds_what_was_put(void **state)
{
	struct lab_tree *tree = lab_tree_new(testing_heap, 10);
	char key[] = "abc";

	(void)state;
	assert_null(lab_tree_get(tree, LAB_VIEW("a")));
	assert_null(lab_tree_remove(tree, LAB_VIEW("a")));
	void **slot = lab_tree_slot(tree, lab_view_cstr(key));
	assert_null(*slot);
	*slot = number(7);
	key[0] = 'x'; /* keys are copied */
	*lab_tree_slot(tree, LAB_VIEW("abc\0")) = number(8);
	*lab_tree_slot(tree, LAB_VIEW("")) = number(9);
	assert_ptr_equal(lab_tree_get(tree, LAB_VIEW("abc")), number(7));
	assert_ptr_equal(lab_tree_get(tree, LAB_VIEW("abc\0")), number(8));
	assert_ptr_equal(lab_tree_get(tree, (struct lab_view){ 0 }), number(9));
	assert_int_equal(lab_tree_count(tree), 3);
	assert_ptr_equal(lab_tree_remove(tree, LAB_VIEW("abc")), number(7));
	assert_null(lab_tree_get(tree, LAB_VIEW("abc")));
	assert_int_equal(lab_tree_count(tree), 2);
	lab_tree_free(&tree);
	assert_null(tree);
	lab_tree_free(&tree);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static void iterates_in_byte_order_from_any_point(void **state)
{
	struct lab_tree *tree = lab_tree_new(testing_heap, 100);

	(void)state;
	expect_from(tree, "", "");
	put(tree, "b");
	put(tree, "user/10");
	put(tree, "user/1");
	put(tree, "user/longer-than-a-prefix-2");
	put(tree, "user/longer-than-a-prefix-1");
	put(tree, "\xff");
	put(tree, "");
	expect_from(tree, "",
		"<><b><user/1><user/10><user/longer-than-a-prefix-1><user/"
		"longer-than-a-prefix-2><\xff>");
	expect_from(tree, "b",
		"<b><user/1><user/10><user/longer-than-a-prefix-1>"
		"<user/longer-than-a-prefix-2><\xff>");
	expect_from(tree, "user/11",
		"<user/longer-than-a-prefix-1><user/longer-than-a-prefix-2><\xff>");
	expect_from(tree, "user/longer-than-a-prefix-1x", "<user/longer-than-a-prefix-2><\xff>");
	expect_from(tree, "\xff\x01", "");
	lab_tree_clear(tree);
	expect_from(tree, "", "");
	assert_int_equal(lab_tree_count(tree), 0);
	put(tree, "x");
	expect_from(tree, "", "<x>");
	lab_tree_free(&tree);
}

static void maximum_refuses_new_keys_only(void **state)
{
	struct lab_tree *tree = lab_tree_new(testing_heap, 2);

	(void)state;
	put(tree, "a");
	put(tree, "b");
	assert_null(lab_tree_slot(tree, LAB_VIEW("c")));
	put(tree, "a");
	(void)lab_tree_remove(tree, LAB_VIEW("a"));
	put(tree, "c");
	expect_from(tree, "", "<b><c>");
	lab_tree_free(&tree);
}

static void returned_entry_may_be_removed(void **state)
{
	struct lab_tree *tree = lab_tree_new(testing_heap, 1000);
	struct lab_view key;
	char text[32];
	void *value;
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text), "%04u", i);
		*lab_tree_slot(tree, lab_view_cstr(text)) = number(i + 1);
	}
	struct lab_tree_iter iter = lab_tree_iterate(tree, (struct lab_view){ 0 });
	for (; lab_tree_next(&iter, &key, &value); seen++) {
		assert_row(seen, value == number(seen + 1));
		if (seen % 3 != 0)
			assert_ptr_equal(lab_tree_remove(tree, key), value);
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(lab_tree_count(tree), 334);
	lab_tree_free(&tree);
}

/* Against an array of flags: random puts and removes, then the whole order. */
static void agrees_with_a_simple_model(void **state)
{
	enum {
		KEYS = 2000,
		STEPS = 100000
	};
	static bool present[KEYS];
	struct lab_tree *tree = lab_tree_new(testing_heap, KEYS);
	size_t count = 0;
	char text[16];

	(void)state;
	memset(present, 0, sizeof(present));
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t draw = lab_draw(5, "tree", 0, step);
		size_t at = lab_pick(draw, KEYS);

		(void)snprintf(text, sizeof(text), "%04zu", at);
		struct lab_view key = lab_view_cstr(text);
		assert_row(step, (lab_tree_get(tree, key) != NULL) == present[at]);
		if (lab_chance(lab_mix64(draw), 500000)) {
			*lab_tree_slot(tree, key) = number(at + 1);
			count += present[at] ? 0 : 1;
			present[at] = true;
		} else {
			assert_row(step, (lab_tree_remove(tree, key) != NULL) == present[at]);
			count -= present[at] ? 1 : 0;
			present[at] = false;
		}
		assert_row(step, lab_tree_count(tree) == count);
	}
	struct lab_tree_iter iter = lab_tree_iterate(tree, (struct lab_view){ 0 });
	struct lab_view key;
	void *value;
	for (size_t at = 0; at < KEYS; at++) {
		if (present[at]) {
			assert_row(at, lab_tree_next(&iter, &key, &value));
			assert_row(at, value == number(at + 1));
		}
	}
	assert_false(lab_tree_next(&iter, &key, &value));
	lab_tree_free(&tree);
	assert_int_equal(lab_heap_used(testing_heap), 0);
}

static void sorted_input_stays_fast(void **state)
{
	enum {
		KEYS = 200000
	};
	struct lab_tree *tree = lab_tree_new(testing_heap, KEYS);
	char text[16];

	(void)state;
	/* A list instead of a tree would take 20 thousand million steps here. */
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(text, sizeof(text), "%08u", i);
		*lab_tree_slot(tree, lab_view_cstr(text)) = number(1);
	}
	assert_int_equal(lab_tree_count(tree), KEYS);
	lab_tree_clear(tree);
	lab_tree_free(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(finds_what_was_put),
		testing_test(iterates_in_byte_order_from_any_point),
		testing_test(maximum_refuses_new_keys_only),
		testing_test(returned_entry_may_be_removed),
		testing_test(agrees_with_a_simple_model),
		testing_test(sorted_input_stays_fast),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
