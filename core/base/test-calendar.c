/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void known_moments_have_their_texts(void **state)
{
	static const struct {
		int64_t seconds;
		const char *http, *basic, *extended, *imap;
	} rows[] = {
		{ 0, "Thu, 01 Jan 1970 00:00:00 GMT", "19700101T000000Z",
			"1970-01-01T00:00:00.007Z", "01-Jan-1970 00:00:00 +0000" },
		{ 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "19941106T084937Z",
			"1994-11-06T08:49:37.007Z", "06-Nov-1994 08:49:37 +0000" },
		{ 951782399, "Mon, 28 Feb 2000 23:59:59 GMT", "20000228T235959Z",
			"2000-02-28T23:59:59.007Z", "28-Feb-2000 23:59:59 +0000" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "20000229T000000Z",
			"2000-02-29T00:00:00.007Z", "29-Feb-2000 00:00:00 +0000" },
		{ 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT", "21000228T235959Z",
			"2100-02-28T23:59:59.007Z", "28-Feb-2100 23:59:59 +0000" },
		{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "21000301T000000Z",
			"2100-03-01T00:00:00.007Z", "01-Mar-2100 00:00:00 +0000" },
		{ INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT", "99991231T235959Z",
			"9999-12-31T23:59:59.007Z", "31-Dec-9999 23:59:59 +0000" },
	};
	char text[LAB_DATE_TEXT_MAX];
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_date_http(rows[i].seconds, text);
		assert_row(i, strcmp(text, rows[i].http) == 0);
		assert_row(i, lab_date_parse_http(lab_view_cstr(text), &seconds) == 0);
		assert_row(i, seconds == rows[i].seconds);
		lab_date_iso_basic(rows[i].seconds, text);
		assert_row(i, strcmp(text, rows[i].basic) == 0);
		assert_row(i, lab_date_parse_iso(lab_view_cstr(text), &seconds) == 0);
		assert_row(i, seconds == rows[i].seconds);
		lab_date_iso_extended(rows[i].seconds * 1000 + 7, text);
		assert_row(i, strcmp(text, rows[i].extended) == 0);
		assert_row(i, lab_date_parse_iso(lab_view_cstr(text), &seconds) == 0);
		assert_row(i, seconds == rows[i].seconds);
		lab_date_imap(rows[i].seconds, text);
		assert_row(i, strcmp(text, rows[i].imap) == 0);
	}
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Counts through every day from 1970 to 9999 and compares. */
static void every_day_is_right_both_ways(void **state)
{
	int64_t seconds = 12 * 3600 + 34 * 60 + 56;
	int weekday = 4;

	(void)state;
	for (int year = 1970; year <= 9999; year++) {
		for (int month = 1; month <= 12; month++) {
			for (int day = 1; day <= days_in(year, month); day++) {
				struct lab_date date;

				lab_date_from_unix(seconds, &date);
				bool same = date.year == year && date.month == month &&
					    date.day == day && date.weekday == weekday &&
					    date.hour == 12 && date.minute == 34 &&
					    date.second == 56;
				assert_row(seconds, same);
				assert_row(seconds, lab_date_to_unix(&date) == seconds);
				seconds += 86400;
				weekday = (weekday + 1) % 7;
			}
		}
	}
}

static void moments_outside_are_clamped(void **state)
{
	char text[LAB_DATE_TEXT_MAX];

	(void)state;
	lab_date_iso_basic(-1, text);
	assert_string_equal(text, "19700101T000000Z");
	lab_date_iso_basic(INT64_MAX, text);
	assert_string_equal(text, "99991231T235959Z");
	lab_date_iso_extended(-1, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	assert_asserts((void)lab_date_to_unix(&(struct lab_date){ .year = 1969, .month = 1 }));
	assert_asserts((void)lab_date_to_unix(&(struct lab_date){ .year = 2000, .month = 13 }));
}

static void http_takes_all_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 784111777 },
		{ "Wed Nov 16 08:49:37 1994", 784975777 },
		{ "Tue, 27 Mar 2007 19:36:42 +0000", 1175024202 },
		{ "Tue, 27 Mar 2007 19:36:42 UTC", 1175024202 },
		{ "Tue, 27 Mar 2007 21:36:42 +0200", 1175024202 },
		{ "Tue, 27 Mar 2007 14:06:42 -0530", 1175024202 },
		{ "Thursday, 01-Jan-70 00:00:00 GMT", 0 },
		{ "Tuesday, 01-Jan-69 00:00:00 GMT", 3124224000 },
		{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		int64_t seconds = -1;

		assert_row(i, lab_date_parse_http(lab_view_cstr(rows[i].text), &seconds) == 0);
		assert_row(i, seconds == rows[i].seconds);
	}
}

static void http_refuses_everything_else(void **state)
{
	static const char *const wrong[] = { "", "Sun", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:37 CET",
		"sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Tue, 29 Feb 2100 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1969 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +2400",
		"Sun, 06 Nov 1994 08:49:37 +0060", "Sun, 06 Nov 1994 08:49:37 0000",
		"Sun, 06 Nov 1994 08:49:37 +00", "Sun, -6 Nov 1994 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994", "Sun Nov  16 08:49:37 1994",
		"Thu, 01 Jan 1970 00:00:00 +0100", "Fri, 31 Dec 9999 23:59:59 -0100",
		"Xyz, 06 Nov 1994 08:49:37 GMT" };
	int64_t seconds = 4242;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++)
		assert_row(i, lab_date_parse_http(lab_view_cstr(wrong[i]), &seconds) == -1);
	assert_int_equal(lab_date_parse_http((struct lab_view){ 0 }, &seconds), -1);
	assert_int_equal(seconds, 4242);
}

static void iso_takes_two_forms_only(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: refused */
	} rows[] = {
		{ "19941106T084937Z", 784111777 },
		{ "1994-11-06T08:49:37Z", 784111777 },
		{ "1994-11-06T08:49:37.5Z", 784111777 },
		{ "1994-11-06T08:49:37.123456789Z", 784111777 },
		{ "1994-11-06T08:49:37.Z", -1 },
		{ "19941106T084937.000Z", -1 },
		{ "1994-11-06T08:49:37", -1 },
		{ "1994-11-06 08:49:37Z", -1 },
		{ "1994-1106T08:49:37Z", -1 },
		{ "1994-11-06T084937Z", -1 },
		{ "1994-13-06T08:49:37Z", -1 },
		{ "1994-00-06T08:49:37Z", -1 },
		{ "19941106T084937ZZ", -1 },
		{ "19941106", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		int64_t seconds = 4242;
		int r = lab_date_parse_iso(lab_view_cstr(rows[i].text), &seconds);

		assert_row(i, r == (rows[i].seconds < 0 ? -1 : 0));
		assert_row(i, seconds == (rows[i].seconds < 0 ? 4242 : rows[i].seconds));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_moments_have_their_texts),
		cmocka_unit_test(every_day_is_right_both_ways),
		cmocka_unit_test(moments_outside_are_clamped),
		cmocka_unit_test(http_takes_all_forms),
		cmocka_unit_test(http_refuses_everything_else),
		cmocka_unit_test(iso_takes_two_forms_only),
	};

	return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
