/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static struct lab_buf out;
static struct lab_json json;

static int setup(void **state)
{
	(void)testing_setup(state);
	lab_buf_init(&out, testing_heap, 10000);
	lab_json_init(&json, &out, false);
	return 0;
}

#define json_test(function) cmocka_unit_test_setup_teardown(function, setup, testing_teardown)

static void write_sample(void)
{
	lab_json_object(&json);
	lab_json_put_cstr(&json, "name", "storm");
	lab_json_put_u64(&json, "seeds", UINT64_MAX);
	lab_json_put_bool(&json, "ok", true);
	lab_json_key(&json, "list");
	lab_json_array(&json);
	lab_json_i64(&json, INT64_MIN);
	lab_json_bool(&json, false);
	lab_json_cstr(&json, NULL);
	lab_json_object(&json);
	lab_json_end(&json);
	lab_json_array(&json);
	lab_json_end(&json);
	lab_json_end(&json);
	lab_json_key(&json, "view");
	lab_json_view(&json, LAB_VIEW("v"));
	lab_json_end(&json);
}

static void one_line(void **state)
{
	(void)state;
	write_sample();
	assert_string_equal(lab_buf_cstr(&out),
		"{\"name\":\"storm\",\"seeds\":18446744073709551615,\"ok\":true,\"list\":"
		"[-9223372036854775808,false,null,{},[]],\"view\":\"v\"}");
}

static void pretty(void **state)
{
	(void)state;
	lab_json_init(&json, &out, true);
	write_sample();
	assert_string_equal(lab_buf_cstr(&out),
		"{\n  \"name\": \"storm\",\n  \"seeds\": 18446744073709551615,\n  \"ok\": true,\n"
		"  \"list\": [\n    -9223372036854775808,\n    false,\n    null,\n    {},\n    "
		"[]\n  ],\n"
		"  \"view\": \"v\"\n}");
}

static void strings_are_escaped_and_valid_utf8(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "", "\"\"" },
		{ "\"\\/\b\f\n\r\t", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
		{ "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z",
			"\"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\"" },
		/* A lone byte, a cut sequence, overlong forms, a surrogate, beyond Unicode. */
		{ "a\xffz", "\"a\xef\xbf\xbdz\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe0\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
		{ "\xc3\"", "\"\xef\xbf\xbd\\\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_buf_reset(&out);
		lab_json_init(&json, &out, false);
		lab_json_cstr(&json, rows[i].text);
		assert_row(i, strcmp(lab_buf_cstr(&out), rows[i].json) == 0);
	}
	lab_buf_reset(&out);
	lab_json_view(&json, lab_view_of("a\0b", 3));
	assert_string_equal(lab_buf_cstr(&out), "\"a\\u0000b\"");
}

static void decimals_are_exact(void **state)
{
	static const struct {
		int64_t value;
		unsigned decimals;
		const char *json;
	} rows[] = { { 1234, 2, "12.34" }, { 5, 3, "0.005" }, { -5, 3, "-0.005" }, { 0, 2, "0.00" },
		{ 7, 0, "7" }, { -1234, 2, "-12.34" }, { INT64_MIN, 18, "-9.223372036854775808" },
		{ INT64_MAX, 0, "9223372036854775807" } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_buf_reset(&out);
		lab_json_decimal(&json, rows[i].value, rows[i].decimals);
		assert_row(i, strcmp(lab_buf_cstr(&out), rows[i].json) == 0);
	}
	assert_asserts(lab_json_decimal(&json, 1, 19));
}

static void wrong_nesting_asserts(void **state)
{
	(void)state;
	assert_asserts(lab_json_end(&json));
	assert_asserts(lab_json_key(&json, "k"));
	lab_json_object(&json);
	assert_asserts(lab_json_u64(&json, 1));
	lab_json_key(&json, "k");
	assert_asserts(lab_json_key(&json, "l"));
	assert_asserts(lab_json_end(&json));
	lab_json_array(&json);
	assert_asserts(lab_json_key(&json, "k"));
	for (unsigned depth = 2; depth < LAB_JSON_DEPTH_MAX; depth++)
		lab_json_array(&json);
	assert_asserts(lab_json_array(&json));
}

static void overflow_is_the_buffers(void **state)
{
	struct lab_buf small;

	(void)state;
	lab_buf_init(&small, testing_heap, 20);
	lab_json_init(&json, &small, false);
	write_sample();
	assert_true(small.overflow);
	assert_true(small.len <= 20);
	lab_buf_done(&small);
}

static void nesting_is_counted_outside_strings(void **state)
{
	(void)state;
	assert_true(lab_json_is_shallow(LAB_VIEW(""), 0));
	assert_true(lab_json_is_shallow(LAB_VIEW("[{}]"), 2));
	assert_false(lab_json_is_shallow(LAB_VIEW("[{}]"), 1));
	assert_true(lab_json_is_shallow(LAB_VIEW("[],[],{}"), 1));
	assert_true(lab_json_is_shallow(LAB_VIEW("[\"[[[\\\"[[\"]"), 1));
	assert_false(lab_json_is_shallow(LAB_VIEW("[\"\\\\\"[[]]]"), 2));
	assert_true(lab_json_is_shallow(LAB_VIEW("]]]["), 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		json_test(one_line),
		json_test(pretty),
		json_test(strings_are_escaped_and_valid_utf8),
		json_test(decimals_are_exact),
		json_test(wrong_nesting_asserts),
		json_test(overflow_is_the_buffers),
		json_test(nesting_is_counted_outside_strings),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
