/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/http/http-client.h"

struct expectation {
	unsigned status;
	const char *code;
	enum lab_code error;
	enum http_retry retry;
	bool maybe_applied, retryable, renew;
};

static const struct expectation expectations[] = {
	/* No answer after the request was sent: reset, timeout. */
	{ 0, "", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 200, "", LAB_OK, HTTP_RETRY_NEVER, false, false, false },
	{ 204, "", LAB_OK, HTTP_RETRY_NEVER, false, false, false },
	{ 299, "", LAB_OK, HTTP_RETRY_NEVER, false, false, false },
	{ 307, "TemporaryRedirect", LAB_UNSUPPORTED, HTTP_RETRY_NEVER, false, false, false },
	{ 400, "InvalidArgument", LAB_INVALID, HTTP_RETRY_NEVER, false, false, false },
	{ 400, "", LAB_INVALID, HTTP_RETRY_NEVER, false, false, true },
	{ 400, "ExpiredToken", LAB_DENIED, HTTP_RETRY_NEVER, false, true, true },
	{ 400, "InvalidToken", LAB_DENIED, HTTP_RETRY_NEVER, false, true, true },
	{ 400, "RequestTimeout", LAB_TIMEOUT, HTTP_RETRY_NEVER, false, true, false },
	{ 401, "", LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 403, "AccessDenied", LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 403, "InvalidAccessKeyId", LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 403, "", LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 403, "RequestTimeTooSkewed", LAB_DENIED, HTTP_RETRY_NEVER, false, true, false },
	{ 404, "NoSuchKey", LAB_NOT_FOUND, HTTP_RETRY_NEVER, false, false, false },
	{ 404, "", LAB_NOT_FOUND, HTTP_RETRY_NEVER, false, false, false },
	/* Nothing is known about the object. */
	{ 404, "NoSuchBucket", LAB_UNAVAILABLE, HTTP_RETRY_NEVER, false, false, false },
	{ 405, "", LAB_UNSUPPORTED, HTTP_RETRY_NEVER, false, false, false },
	{ 408, "", LAB_TIMEOUT, HTTP_RETRY_LADDER, true, true, false },
	{ 409, "OperationAborted", LAB_UNAVAILABLE, HTTP_RETRY_LISTED, false, true, false },
	{ 411, "", LAB_INVALID, HTTP_RETRY_NEVER, false, false, false },
	{ 412, "", LAB_EXISTS, HTTP_RETRY_NEVER, false, false, false },
	{ 413, "", LAB_LIMIT, HTTP_RETRY_NEVER, false, false, false },
	{ 423, "", LAB_UNAVAILABLE, HTTP_RETRY_LISTED, false, true, false },
	{ 429, "", LAB_THROTTLED, HTTP_RETRY_LISTED, false, true, false },
	{ 500, "InternalError", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 501, "", LAB_UNSUPPORTED, HTTP_RETRY_LADDER, false, false, false },
	{ 502, "", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 503, "SlowDown", LAB_THROTTLED, HTTP_RETRY_LADDER, false, true, false },
	{ 503, "ServiceUnavailable", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, false, true, false },
	/* Not S3's own: something in between. */
	{ 503, "", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 504, "", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 507, "", LAB_NO_SPACE, HTTP_RETRY_LADDER, true, true, false },
	{ HTTP_STATUS_ALTERED, "", LAB_CORRUPT, HTTP_RETRY_LADDER, true, true, false },
	{ 100, "", LAB_IO, HTTP_RETRY_LADDER, true, true, false },
	{ 777, "", LAB_IO, HTTP_RETRY_LADDER, true, true, false },
	{ 100000, "", LAB_IO, HTTP_RETRY_LADDER, true, true, false },
};

static void each_status_has_the_documented_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(expectations); i++) {
		const struct expectation *want = &expectations[i];
		const struct http_class *got =
			http_classify(want->status, lab_view_cstr(want->code));

		if (got->error != want->error || got->retry != want->retry ||
			got->maybe_applied != want->maybe_applied ||
			got->retryable != want->retryable || got->renew != want->renew)
			fail_msg("row %zu: %u %s", i, want->status, want->code);
	}
}

/* Whatever comes, there is a row; and what may have been applied is never taken for a success. */
static void every_status_has_a_class(void **state)
{
	(void)state;
	for (unsigned status = 0; status < 70000; status++) {
		const struct http_class *row = http_classify(status, LAB_VIEW("Other"));

		assert_non_null(row);
		assert_int_equal(row->error == LAB_OK, status >= 200 && status <= 299);
		assert_false(row->error == LAB_OK && row->maybe_applied);
	}
}

static void waits_grow_tenfold_up_to_ten_seconds(void **state)
{
	static const uint64_t waits_ms[] = { 50, 500, 5000, 10000, 10000, 10000 };

	(void)state;
	for (unsigned i = 0; i < LAB_COUNT_OF(waits_ms); i++)
		assert_int_equal(http_retry_wait_ns(i), waits_ms[i] * LAB_MSEC);
	assert_int_equal(http_retry_wait_ns(UINT32_MAX), 10 * LAB_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_status_has_the_documented_class),
		cmocka_unit_test(every_status_has_a_class),
		cmocka_unit_test(waits_grow_tenfold_up_to_ten_seconds),
	};

	return cmocka_run_group_tests_name("http-classify", tests, NULL, NULL);
}
