/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates of requests around the loss of a host.
 */
#include "core/base/testing.h"

#include "scenarios/runner/rates.h"

static struct rates_log *flog;

static void asked(uint64_t second, const char *service, unsigned status, unsigned times)
{
	const struct sim_access access = {
		.service = service, .received_ns = second * LAB_SEC, .status = status
	};

	for (unsigned i = 0; i < times; i++)
		rates_log_access(flog, &access);
}

static void told(uint64_t second, enum lab_event_id id)
{
	const struct lab_event event = { .id = id, .time_ns = second * LAB_SEC };

	rates_log_event(flog, &event);
}

/* Two requests a second; at 100 s a host is lost, from 120 s to 140 s there are ten times as many.
 */
static void storm(struct rates *ret)
{
	flog = rates_log_new(testing_heap);
	for (uint64_t s = 0; s < 300; s++) {
		asked(s, "s3", 200, s >= 120 && s < 140 ? 20 : 2);
		asked(s, "cql", s == 125 ? 0x1100 : 0, 4);
		asked(s, "imds", 200, 1);
	}
	asked(121, "s3", 503, 3);
	told(100, LAB_EV_host_crashed);
	told(130, LAB_EV_host_crashed);
	told(131, LAB_EV_proxy_session_established);
	rates_log_end(flog, 250 * LAB_SEC, ret);
	lab_heap_free(testing_heap, flog);
}

static void the_storm_is_seen_and_its_end(void **state)
{
	struct rates r;
	struct rates_summary s;

	(void)state;
	storm(&r);
	assert_int_equal(r.runs, 1);
	assert_int_equal(rates_tenths(&r, RATES_BEFORE - 1, RATES_S3), 20);
	assert_int_equal(rates_tenths(&r, RATES_BEFORE + 2, RATES_S3), 203);
	assert_int_equal(rates_tenths(&r, RATES_BEFORE + 2, RATES_REFUSED), 7);
	assert_int_equal(rates_tenths(&r, RATES_BEFORE + 3, RATES_LOGINS), 1);
	assert_int_equal(r.seen[RATES_BEFORE + 14], 1);
	assert_int_equal(r.seen[RATES_BEFORE + 15], 0);
	rates_sum_up(&r, RATES_S3, &s);
	assert_int_equal(s.normal, 20);
	assert_int_equal(s.peak, 203);
	assert_int_equal(s.peak_at, RATES_BEFORE + 2);
	assert_int_equal(s.back_at, RATES_BEFORE + 4);
	rates_sum_up(&r, RATES_CQL, &s);
	assert_int_equal(s.back_at, RATES_BEFORE);
}

static void runs_add_up_to_means(void **state)
{
	struct rates r, total = { 0 };
	struct lab_buf out;

	(void)state;
	storm(&r);
	rates_add(&total, &r);
	rates_add(&total, &r);
	assert_int_equal(rates_tenths(&total, RATES_BEFORE + 2, RATES_S3), 203);
	lab_buf_init(&out, testing_heap, 65536);
	rates_print(&total, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "mean of 2 runs"));
	assert_non_null(strstr(lab_buf_cstr(&out),
		"s3   before 2.0/s, peak 20.3/s at +20 s, back to that at +40 s"));
	lab_buf_done(&out);
}

static void what_does_not_end_is_said(void **state)
{
	struct rates r;
	struct lab_buf out;

	(void)state;
	flog = rates_log_new(testing_heap);
	for (uint64_t s = 0; s < 300; s++)
		asked(s, "s3", 200, s < 100 ? 1 : 5);
	told(100, LAB_EV_host_crashed);
	rates_log_end(flog, 300 * LAB_SEC, &r);
	lab_heap_free(testing_heap, flog);
	lab_buf_init(&out, testing_heap, 65536);
	rates_print(&r, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "not back to that before the storm ended"));
	lab_buf_done(&out);
}

static void without_a_loss_nothing_is_printed(void **state)
{
	struct rates r;
	struct lab_buf out;
	struct lab_json json;

	(void)state;
	flog = rates_log_new(testing_heap);
	asked(RATES_SECONDS + 1, "s3", 200, 1);
	rates_log_end(flog, LAB_SEC, &r);
	lab_heap_free(testing_heap, flog);
	lab_buf_init(&out, testing_heap, 65536);
	rates_print(&r, &out);
	assert_int_equal(lab_buf_view(&out).len, 0);
	storm(&r);
	lab_json_init(&json, &out, false);
	lab_json_object(&json);
	rates_json(&r, &json);
	lab_json_end(&json);
	assert_non_null(strstr(lab_buf_cstr(&out), "\"peak_s\":20"));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"back_s\":40"));
	lab_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(the_storm_is_seen_and_its_end),
		testing_test(runs_add_up_to_means),
		testing_test(what_does_not_end_is_said),
		testing_test(without_a_loss_nothing_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
