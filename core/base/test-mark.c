/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/mark.h"

static unsigned asked;

static bool ask(bool answer)
{
	asked++;
	return answer;
}

static void marks_are_counted_where_somebody_does(void **state)
{
	uint64_t hits[LAB_MARK_COUNT] = { 0 };

	(void)state;
	LAB_MARK(page_read);
	lab_mark_hits = hits;
	LAB_MARK(page_read);
	LAB_REACHABLE(page_read);
	LAB_SOMETIMES(object_lost, ask(false));
	LAB_SOMETIMES(object_lost, ask(true));
	lab_mark_hits = NULL;
	LAB_SOMETIMES(object_lost, ask(true));
	assert_int_equal(hits[LAB_MARK_page_read], 2);
	assert_int_equal(hits[LAB_MARK_object_lost], 1);
	assert_int_equal(hits[LAB_MARK_row_cleaned_up], 0);
	assert_string_equal(lab_mark_name(LAB_MARK_page_read), "page_read");
	assert_true(strlen(lab_mark_doc(LAB_MARK_page_read)) > 10);
	assert_asserts((void)lab_mark_doc(LAB_MARK_COUNT));
}

static void what_is_always_so_is_checked_where_somebody_counts(void **state)
{
	struct lab_always_counts counts = { { 0 }, { 0 } };

	(void)state;
	asked = 0;
	LAB_ALWAYS(uid_is_new, ask(false));
	assert_int_equal(asked, 0);
	lab_always_counts = &counts;
	LAB_ALWAYS(uid_is_new, ask(true));
	LAB_ALWAYS(uid_is_new, ask(false));
	LAB_ALWAYS(floor_is_given, ask(true));
	lab_always_counts = NULL;
	assert_int_equal(counts.checked[LAB_ALWAYS_uid_is_new], 2);
	assert_int_equal(counts.failed[LAB_ALWAYS_uid_is_new], 1);
	assert_int_equal(counts.checked[LAB_ALWAYS_floor_is_given], 1);
	assert_int_equal(counts.failed[LAB_ALWAYS_floor_is_given], 0);
	for (unsigned i = 0; i < LAB_ALWAYS_COUNT; i++) {
		assert_row(i, strlen(lab_always_name((enum lab_always)i)) > 5);
		assert_row(i, strlen(lab_always_doc((enum lab_always)i)) > 20);
	}
	assert_asserts((void)lab_always_name(LAB_ALWAYS_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_counted_where_somebody_does),
		cmocka_unit_test(what_is_always_so_is_checked_where_somebody_counts),
	};

	return cmocka_run_group_tests_name("mark", tests, NULL, NULL);
}
