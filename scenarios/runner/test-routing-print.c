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
	run.zone_recoveries = (struct oracle_measure){ .count = 1, .max_ns = 70 * LAB_SEC };
	run.zone_recovery_max_ns = 255 * LAB_SEC;
	run.referred_logins = 3;
	run.overlap_max_ns = 160 * LAB_SEC;
	run.logins = (struct oracle_measure){ .count = 100, .max_ns = 700 * LAB_MSEC };
	run.logins.counts[0] = 60;
	run.logins.counts[12] = 38;
	run.logins.counts[32] = 1;
	run.logins.counts[36] = 1;
	routing_add(&total, &run);
	routing_add(&total, &run);
	assert_int_equal(total.logins.count, 200);
	assert_int_equal(total.failed_logins, 4);
	assert_int_equal(routing_quantile(&total.logins, 50), LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 98), 10 * LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 99), 470 * LAB_MSEC);
	assert_int_equal(routing_quantile(&total.logins, 100), 700 * LAB_MSEC);
	lab_buf_init(&out, testing_heap, 4096);
	routing_print(&total, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "4 logins failed"));
	assert_non_null(strstr(
		lab_buf_cstr(&out), "p50 <= 1 ms, p99 <= 470 ms, max 700 ms; bound 60000 ms"));
	assert_null(strstr(lab_buf_cstr(&out), "T1"));
	assert_non_null(strstr(
		lab_buf_cstr(&out), "on two backends (R2)           0  never; bound 160000"));
	assert_non_null(strstr(lab_buf_cstr(&out), "6 came to the wrong backend first"));
	assert_non_null(strstr(lab_buf_cstr(&out), "zone lost (T2)                 2"));
	assert_non_null(strstr(lab_buf_cstr(&out), "max 70000 ms; bound 255000 ms"));
	lab_buf_done(&out);
}

static void how_long_users_were_on_two_backends(void **state)
{
	struct oracle_routing total = { 0 }, run = { .overlap_max_ns = 160 * LAB_SEC };
	struct lab_buf out;

	(void)state;
	run.logins.count = 1;
	run.overlaps = (struct oracle_measure){ .count = 1, .max_ns = 2 * LAB_SEC };
	run.overlaps.counts[36] = 1;
	routing_add(&total, &run);
	lab_buf_init(&out, testing_heap, 4096);
	routing_print(&total, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "max 2000 ms; bound 160000 ms"));
	assert_null(strstr(lab_buf_cstr(&out), "never"));
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
		testing_test(how_long_users_were_on_two_backends),
		testing_test(without_proxies_nothing_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
