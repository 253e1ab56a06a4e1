/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3: what the parameters of the URL do.
 */
#include "core/base/defect.h"
#include "core/fs/testing/s3-probe.h"

static void timeouts_of_the_url_are_used(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?timeout=4000";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_int_equal(probe->world->requests[0].limits.connect_timeout_ns, 4 * LAB_SEC);
	assert_int_equal(probe->world->requests[0].limits.response_timeout_ns, 4 * LAB_SEC);
	fs_deinit(&probe->fs);

	probe->uri =
		"s3:" HOST
		"?connect_timeout=1000&read_timeout=2000&write_timeout=3000&delete_timeout=5000";
	for (int i = 0; i < 3; i++)
		fake_status(probe->world, 200);
	run(probe, step_read);
	run(probe, step_write);
	run(probe, step_delete);
	assert_int_equal(probe->world->requests[1].limits.connect_timeout_ns, LAB_SEC);
	assert_int_equal(probe->world->requests[1].limits.response_timeout_ns, 2 * LAB_SEC);
	assert_int_equal(probe->world->requests[2].limits.response_timeout_ns, 3 * LAB_SEC);
	assert_int_equal(probe->world->requests[3].limits.response_timeout_ns, 5 * LAB_SEC);
}

static size_t attempts(
	struct s3_probe *probe, const char *uri, env_fiber_fn step, enum lab_code failure)
{
	size_t before = probe->world->request_count;

	fs_deinit(&probe->fs);
	probe->uri = uri;
	probe->world->script_count = probe->world->script_next = 0;
	for (int i = 0; i < 10; i++)
		fake_fail(probe->world, failure, 0);
	run(probe, step);
	assert_int_equal(probe->result, -1);
	return probe->world->request_count - before;
}

static void retries_of_the_url_are_used(void **state)
{
	static const char each[] =
		"s3:" HOST "?read_max_retries=0&write_max_retries=1&delete_max_retries=3";
	struct s3_probe *probe = *state;

	assert_int_equal(attempts(probe, "s3:" HOST, step_read, LAB_UNCERTAIN), 5);
	assert_int_equal(attempts(probe, "s3:" HOST "?max_retries=2", step_read, LAB_UNCERTAIN), 3);
	assert_int_equal(attempts(probe, each, step_read, LAB_UNCERTAIN), 1);
	assert_int_equal(attempts(probe, each, step_write, LAB_UNCERTAIN), 2);
	assert_int_equal(attempts(probe, each, step_delete, LAB_UNCERTAIN), 4);
	assert_int_equal(attempts(probe, "s3:" HOST, step_read, LAB_REFUSED), 3);
	assert_int_equal(
		attempts(probe, "s3:" HOST "?max_connect_retries=0", step_read, LAB_REFUSED), 1);
	assert_int_equal(
		attempts(probe, "s3:" HOST "?absolute_timeout=100", step_read, LAB_UNCERTAIN), 2);
}

static void headers_of_the_url_are_used(void **state)
{
	struct s3_probe *probe = *state;
	const char *text;

	probe->uri = "s3:" HOST "?addhdr=X-One:1&addhdr=X-Two:2&loghdr=x-amz-request-id";
	fake_body(probe->world, 200, "x-amz-request-id: R1", "");
	run(probe, step_read);
	assert_view(fake_header(probe->world, 0, "X-One"), "1");
	assert_view(fake_header(probe->world, 0, "X-Two"), "2");
	fake_events(probe->world, LAB_EV_http_request_finished, &text);
	assert_non_null(strstr(text, "http_hdr_x-amz-request-id=R1"));
}

static void aws_s3_logs_both_ids_of_aws(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "aws-s3:" HOST "?region=r";
	fake_reply(probe->world, (struct fake_reply){ .status = 404,
					 .reason = "Not Found",
					 .headers = "x-amz-request-id: R1\nx-amz-id-2: I2=" });
	run(probe, step_read);
	assert_error(probe, LAB_NOT_FOUND);
	assert_non_null(strstr(probe->err.message, "(x-amz-request-id:R1, x-amz-id-2:I2=)"));
}

static void trace_headers_follow_the_url(void **state)
{
	struct s3_probe *probe = *state;

	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Username"), "user@example.com");
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Session-Id"), "session1");
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST "?no_trace_headers=1";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Username").ptr);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Session-Id").ptr);
}

static void step_reason(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	fs_set_reason(probe->fs, "mailbox rescan");
	fs_file_close(&file);
	step_read(probe);
	fs_set_reason(probe->fs, NULL);
}

static void the_reason_is_sent_up_to_its_length(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?reason_header_max_length=7";
	fake_status(probe->world, 200);
	run(probe, step_reason);
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Reason"), "mailbox");
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Reason").ptr);
	fs_deinit(&probe->fs);

	probe->uri = V4;
	fake_status(probe->world, 200);
	run(probe, step_reason);
	assert_null(fake_header(probe->world, 2, "X-Dovecot-Reason").ptr);
}

static void slow_requests_are_warned_about_as_the_url_says(void **state)
{
	struct s3_probe *probe = *state;
	const char *text;

	probe->uri = "s3:" HOST "?slow_warn=100";
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 101 * LAB_MSEC });
	run(probe, step_read);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 1);
}

static void the_defect_reaches_the_client(void **state)
{
	struct s3_probe *probe = *state;

	lab_defects_on = LAB_DEFECT(NO_RETRY_503);
	error_body(probe, 503, "SlowDown");
	run(probe, step_write);
	assert_error(probe, LAB_THROTTLED);
	assert_int_equal(probe->world->request_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timeouts_of_the_url_are_used),
		TEST(retries_of_the_url_are_used),
		TEST(headers_of_the_url_are_used),
		TEST(aws_s3_logs_both_ids_of_aws),
		TEST(trace_headers_follow_the_url),
		TEST(the_reason_is_sent_up_to_its_length),
		TEST(slow_requests_are_warned_about_as_the_url_says),
		TEST(the_defect_reaches_the_client),
	};

	return cmocka_run_group_tests_name("fs-s3-url", tests, NULL, NULL);
}
