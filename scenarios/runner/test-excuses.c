/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/excuses.h"

#include "core/base/testing.h"

#include <stdio.h>

static void reasons_are_counted_in_the_order_of_their_texts(void **state)
{
	struct excuses excuses = { 0 }, more = { 0 };

	(void)state;
	excuses_add(&excuses, "I12 dangling row: a race", 2);
	excuses_add(&excuses, "I1 lost mail: clocks", 1);
	excuses_add(&more, "I12 dangling row: a race", 3);
	excuses_add(&more, "I11 lost folder: clocks", 7);
	excuses_add_all(&excuses, &more);
	assert_int_equal(excuses.count, 3);
	assert_string_equal(excuses.items[0].text, "I1 lost mail: clocks");
	assert_int_equal(excuses.items[0].count, 1);
	assert_string_equal(excuses.items[1].text, "I11 lost folder: clocks");
	assert_int_equal(excuses.items[1].count, 7);
	assert_string_equal(excuses.items[2].text, "I12 dangling row: a race");
	assert_int_equal(excuses.items[2].count, 5);
}

static void a_long_reason_stays_one(void **state)
{
	char text[2 * EXCUSE_TEXT_MAX];
	struct excuses excuses = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	excuses_add(&excuses, text, 1);
	excuses_add(&excuses, text, 1);
	assert_int_equal(excuses.count, 1);
	assert_int_equal(excuses.items[0].count, 2);
	assert_int_equal(strlen(excuses.items[0].text), EXCUSE_TEXT_MAX - 1);
}

static void what_has_no_place_is_still_counted(void **state)
{
	struct excuses excuses = { 0 };
	struct lab_buf out;

	(void)state;
	for (unsigned i = 0; i < EXCUSES_MAX + 3; i++) {
		char reason[16];

		snprintf(reason, sizeof(reason), "reason %u", i);
		excuses_add(&excuses, reason, i < EXCUSES_MAX ? 1 : 10);
	}
	assert_int_equal(excuses.count, EXCUSES_MAX);
	assert_int_equal(excuses.others, 30);
	lab_buf_init(&out, testing_heap, 65536);
	excuses_print(&excuses, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "30  for other reasons"));
	lab_buf_done(&out);
}

static void without_excuses_nothing_is_said(void **state)
{
	struct excuses excuses = { 0 };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	excuses_print(&excuses, &out);
	assert_int_equal(out.len, 0);
	lab_buf_done(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)
	const struct CMUnitTest tests[] = {
		T(reasons_are_counted_in_the_order_of_their_texts),
		T(a_long_reason_stays_one),
		T(what_has_no_place_is_still_counted),
		T(without_excuses_nothing_is_said),
	};

	return cmocka_run_group_tests_name("excuses", tests, NULL, NULL);
}
