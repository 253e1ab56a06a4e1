/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static struct lab_buf buf;

static int setup(void **state)
{
	(void)testing_setup(state);
	lab_buf_init(&buf, testing_heap, 10000);
	return 0;
}

#define text_test(function) cmocka_unit_test_setup_teardown(function, setup, testing_teardown)

static void hex_both_ways(void **state)
{
	uint8_t out[4] = { 0 };
	char text[9];

	(void)state;
	lab_hex("\x00\x7f\xab\xff", 4, text);
	assert_string_equal(text, "007fabff");
	lab_buf_append_hex(&buf, LAB_VIEW("\x01\xef"));
	assert_string_equal(lab_buf_cstr(&buf), "01ef");
	assert_int_equal(lab_unhex(LAB_VIEW("007FabFf"), out, 4), 0);
	assert_memory_equal(out, "\x00\x7f\xab\xff", 4);
	assert_int_equal(lab_unhex(LAB_VIEW(""), out, 0), 0);
}

static void unhex_is_strict(void **state)
{
	static const char *const wrong[] = { "", "0", "000", "0g00", "00 0", "0x00", "00000",
		"000000", "00:0", "@000", "G000", "`000" };
	uint8_t out[2];

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++)
		assert_row(i, lab_unhex(lab_view_cstr(wrong[i]), out, 2) == -1);
}

/* RFC 4648, section 10. */
static void base64_both_ways(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_buf_reset(&buf);
		lab_buf_append_base64(&buf, lab_view_cstr(rows[i].bytes));
		assert_row(i, strcmp(lab_buf_cstr(&buf), rows[i].text) == 0);
		lab_buf_reset(&buf);
		assert_row(i, lab_buf_append_unbase64(&buf, lab_view_cstr(rows[i].text)) == 0);
		assert_row(i, strcmp(lab_buf_cstr(&buf), rows[i].bytes) == 0);
	}
}

static void unbase64_is_strict(void **state)
{
	static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zg===", "=",
		"====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "Zg=a",
		"Zm9vZ=9v", "A=BC" };

	(void)state;
	lab_buf_append_cstr(&buf, "before");
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_row(i, lab_buf_append_unbase64(&buf, lab_view_cstr(wrong[i])) == -1);
		assert_row(i, strcmp(lab_buf_cstr(&buf), "before") == 0);
	}
}

static void percent_both_ways(void **state)
{
	static const struct {
		const char *plain;
		bool keep_slash;
		const char *text;
	} rows[] = {
		{ "AZaz09-._~", false, "AZaz09-._~" },
		{ "/a b", true, "/a%20b" },
		{ "/a b", false, "%2Fa%20b" },
		{ "+&=\xc3\xa4%", true, "%2B%26%3D%C3%A4%25" },
		{ "\x01\x7f\xff", true, "%01%7F%FF" },
		{ "", true, "" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_buf_reset(&buf);
		lab_buf_append_percent(&buf, lab_view_cstr(rows[i].plain), rows[i].keep_slash);
		assert_row(i, strcmp(lab_buf_cstr(&buf), rows[i].text) == 0);
		lab_buf_reset(&buf);
		assert_row(i, lab_buf_append_unpercent(&buf, lab_view_cstr(rows[i].text)) == 0);
		assert_row(i, strcmp(lab_buf_cstr(&buf), rows[i].plain) == 0);
	}
}

static void unpercent_keeps_plus_and_refuses_half_escapes(void **state)
{
	static const char *const wrong[] = { "%", "%2", "a%", "%zz", "%2g", "%g2", "%%20" };

	(void)state;
	assert_int_equal(lab_buf_append_unpercent(&buf, LAB_VIEW("a+b%2fc")), 0);
	assert_string_equal(lab_buf_cstr(&buf), "a+b/c");
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_row(i, lab_buf_append_unpercent(&buf, lab_view_cstr(wrong[i])) == -1);
		assert_row(i, strcmp(lab_buf_cstr(&buf), "a+b/c") == 0);
	}
}

static void xml_escapes_markup_and_controls(void **state)
{
	(void)state;
	lab_buf_append_xml(&buf, LAB_VIEW("<a b=\"c\" d='e'>&\t\r\n\x01\x1f\xc3\xa4 z"));
	assert_string_equal(lab_buf_cstr(&buf),
		"&lt;a b=&quot;c&quot; "
		"d=&apos;e&apos;&gt;&amp;&#x9;&#xD;&#xA;&#x1;&#x1F;\xc3\xa4 z");
}

static void overflow_appends_nothing_of_a_text(void **state)
{
	(void)state;
	for (size_t max = 0; max < 12; max++) {
		struct lab_buf small;

		lab_buf_init(&small, testing_heap, max);
		lab_buf_append_percent(&small, LAB_VIEW("ab cd%"), false); /* 10 bytes */
		assert_row(max, small.len == (max < 10 ? 0 : 10));
		assert_row(max, small.overflow == (max < 10));
		lab_buf_done(&small);
		lab_buf_append_hex(&small, LAB_VIEW("12345"));
		assert_row(max, small.len == (max < 10 ? 0 : 10));
		lab_buf_done(&small);
		lab_buf_append_base64(&small, LAB_VIEW("123456")); /* 8 bytes */
		assert_row(max, small.len == (max < 8 ? 0 : 8));
		lab_buf_done(&small);
		lab_buf_append_xml(&small, LAB_VIEW("a<&b")); /* 11 bytes */
		assert_row(max, small.len == (max < 11 ? 0 : 11));
		lab_buf_done(&small);
		assert_int_equal(lab_buf_append_unbase64(&small, LAB_VIEW("Zm9vYmFy")), 0);
		assert_row(max, small.len == (max < 6 ? 0 : 6) && small.overflow == (max < 6));
		lab_buf_done(&small);
		assert_int_equal(lab_buf_append_unpercent(&small, LAB_VIEW("a%20%20")), 0);
		assert_row(max, small.len == (max < 3 ? 0 : 3) && small.overflow == (max < 3));
		lab_buf_done(&small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		text_test(hex_both_ways),
		text_test(unhex_is_strict),
		text_test(base64_both_ways),
		text_test(unbase64_is_strict),
		text_test(percent_both_ways),
		text_test(unpercent_keeps_plus_and_refuses_half_escapes),
		text_test(xml_escapes_markup_and_controls),
		text_test(overflow_appends_nothing_of_a_text),
	};

	return cmocka_run_group_tests_name("text-forms", tests, NULL, NULL);
}
