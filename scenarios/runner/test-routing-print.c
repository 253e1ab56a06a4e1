/* SPDX-License-Identifier: Apache-2.0
 *
 * Distributions of many runs beside their bounds.
 */
#include "core/base/testing.h"

#include "scenarios/runner/routing-print.h"

static void sums_and_quantiles(void **state)
{
	struct oracle_routing total = { 0 },
			      run = { .failed_logins = 2, .login_max_ns = 60 * LAB_SEC };
	struct lab_buf out;

	(void)state;
	run.logins = (struct oracle_measure){ .count = 100, .max_ns = 700 * LAB_MSEC };
	run.logins.counts[0] = 60;
	run.logins.counts[3] = 38;
	run.logins.counts[8] = 1;
	run.logins.counts[9] = 1;
	routing_add(&total, &run);
	routing_add(&total, &run);
	assert_int_equal(total.logins.count, 200);
	assert_int_equal(total.failed_logins, 4);
	assert_int_equal(routing_quantile(&total.logins, 50), LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 98), 10 * LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 99), 500 * LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 100), 700 * LAB_MSEC);
	lab_buf_init(&out, testing_heap, 4096);
	routing_print(&total, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "4 logins failed"));
	assert_non_null(strstr(
		lab_buf_cstr(&out), "p50 <= 1 ms, p99 <= 500 ms, max 700 ms; bound 60000 ms"));
	assert_null(strstr(lab_buf_cstr(&out), "T1"));
	lab_buf_done(&out);
}

static void without_proxies_nothing_is_printed(void **state)
{
	struct oracle_routing none = { 0 };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	routing_print(&none, &out);
	assert_int_equal(lab_buf_view(&out).len, 0);
	lab_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(sums_and_quantiles),
		testing_test(without_proxies_nothing_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
