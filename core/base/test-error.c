/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static int fail_with(struct lab_error *err, const char *text)
{
	return lab_fail(err, LAB_IO, "%s", text);
}

static void fail_fills_every_field(void **state)
{
	struct lab_error err = { .retryable = true, .fault_id = 7, .status = 503 };

	(void)state;
	int line = __LINE__ + 1;
	assert_int_equal(lab_fail(&err, LAB_NOT_FOUND, "no %s at %d", "object", 42), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_string_equal(err.message, "no object at 42");
	assert_int_equal(err.line, line);
	assert_non_null(strstr(err.file, "test-error.c"));
	assert_false(err.retryable);
	assert_int_equal(err.fault_id, 0);
	assert_int_equal(err.status, 0);
}

static void fail_without_error_still_fails(void **state)
{
	(void)state;
	assert_int_equal(fail_with(NULL, "x"), -1);
	assert_int_equal(lab_error_wrap(NULL, "x"), -1);
}

static void fail_may_quote_the_error_it_replaces(void **state)
{
	struct lab_error err;

	(void)state;
	(void)fail_with(&err, "inner");
	(void)lab_fail(&err, LAB_CORRUPT, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
}

static void message_stays_on_one_line(void **state)
{
	struct lab_error err;

	(void)state;
	(void)fail_with(&err, "a\r\nb\tc\x7f");
	assert_string_equal(err.message, "a  b c ");
}

static void wrap_puts_context_in_front_and_keeps_the_rest(void **state)
{
	struct lab_error err;

	(void)state;
	(void)fail_with(&err, "503 Slow Down");
	err.retryable = true;
	err.status = 503;
	assert_int_equal(lab_error_wrap(&err, "PUT %s", "/b/o"), -1);
	assert_int_equal(lab_error_wrap(&err, "save"), -1);
	assert_string_equal(err.message, "save: PUT /b/o: 503 Slow Down");
	assert_int_equal(err.code, LAB_IO);
	assert_int_equal(err.status, 503);
	assert_true(err.retryable);
}

static void wrap_cuts_the_tail(void **state)
{
	char longest[400], context[400];
	struct lab_error err;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)fail_with(&err, longest);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	/* Every length of context: always terminated, always starting with it. */
	for (size_t len = 0; len < sizeof(context) - 1; len++) {
		memset(context, 'c', len);
		context[len] = '\0';
		(void)fail_with(&err, longest);
		(void)lab_error_wrap(&err, "%s", context);
		size_t got = strlen(err.message);
		assert_row(len, got < sizeof(err.message));
		assert_row(len, strncmp(err.message, context, LAB_MIN(len, got)) == 0);
		assert_row(len, len + 2 > got || memcmp(err.message + len, ": ", 2) == 0);
	}
}

static void every_code_has_name_and_text(void **state)
{
	(void)state;
	for (unsigned code = 0; code < LAB_CODE_COUNT; code++) {
		assert_row(code, strlen(lab_code_name((enum lab_code)code)) > 0);
		assert_row(code, strlen(lab_code_text((enum lab_code)code)) > 0);
	}
	assert_string_equal(lab_code_name(LAB_NOT_FOUND), "NOT_FOUND");
	assert_string_equal(lab_code_text(LAB_NOT_FOUND), "not found");
	assert_string_equal(lab_code_name(LAB_CODE_COUNT), "UNKNOWN");
	assert_string_equal(lab_code_text(LAB_CODE_COUNT), "unknown error");
}

static void ok_is_not_an_error(void **state)
{
	struct lab_error err;

	(void)state;
	assert_asserts((void)lab_fail(&err, LAB_OK, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_fills_every_field),
		cmocka_unit_test(fail_without_error_still_fails),
		cmocka_unit_test(fail_may_quote_the_error_it_replaces),
		cmocka_unit_test(message_stays_on_one_line),
		cmocka_unit_test(wrap_puts_context_in_front_and_keeps_the_rest),
		cmocka_unit_test(wrap_cuts_the_tail),
		cmocka_unit_test(every_code_has_name_and_text),
		cmocka_unit_test(ok_is_not_an_error),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
