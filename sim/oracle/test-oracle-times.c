/* SPDX-License-Identifier: Apache-2.0
 *
 * Laps by a clock of the test's.
 */
#include "core/base/testing.h"
#include "sim/oracle/times.h"

static uint64_t now_ns;

static uint64_t clock_ns(void)
{
	return now_ns;
}

static void laps_add_up(void **state)
{
	struct oracle_times times = { .clock_ns = clock_ns };
	struct lab_buf out;

	(void)state;
	now_ns = 5 * LAB_MSEC;
	oracle_times_begin(&times);
	now_ns += 2 * LAB_MSEC;
	oracle_times_lap(&times, ORACLE_TIME_MODEL);
	now_ns += 1500 * LAB_USEC;
	oracle_times_lap(&times, ORACLE_TIME_FLAGS);
	now_ns += 90 * LAB_MSEC;
	oracle_times_begin(&times);
	now_ns += LAB_MSEC;
	oracle_times_lap(&times, ORACLE_TIME_MODEL);
	assert_int_equal(times.ns[ORACLE_TIME_MODEL], 3 * LAB_MSEC);
	assert_int_equal(times.laps[ORACLE_TIME_MODEL], 2);
	lab_buf_init(&out, testing_heap, 1 << 16);
	oracle_times_print(&times, 100 * LAB_MSEC, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "model of the history                          "
						   "3.000 ms    3.0 %          2 times\n"));
	assert_non_null(strstr(lab_buf_cstr(&out), "     1.500 ms    1.5 %          1 times\n"));
	assert_non_null(strstr(lab_buf_cstr(&out), "all of them                                   "
						   "4.500 ms    4.5 %          3 times\n"));
	/* A run that took no time is no division by zero. */
	oracle_times_print(&times, 0, &out);
}

static void without_times_nothing_is_asked(void **state)
{
	(void)state;
	oracle_times_begin(NULL);
	oracle_times_lap(NULL, ORACLE_TIME_FLAGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(laps_add_up),
		testing_test(without_times_nothing_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
