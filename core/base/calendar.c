/* SPDX-License-Identifier: Apache-2.0
 *
 * The proleptic Gregorian calendar in eras of 400 years that start on 1 March, so that the leap
 * day is the last of a year. */
#include "core/base/calendar.h"

#include "core/base/assert.h"

#define DAY_SECONDS 86400
#define ERA_DAYS 146097
#define SECONDS_MAX INT64_C(253402300799) /* the end of 9999 */
#define DAYS_TO_1970 719468               /* from 0000-03-01 */

static const char day_names[7][10] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
	"Friday", "Saturday" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec" };

void lab_date_from_unix(int64_t seconds, struct lab_date *ret)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;

	int days = (int)(seconds / DAY_SECONDS), second = (int)(seconds % DAY_SECONDS);
	int era_day = (days + DAYS_TO_1970) % ERA_DAYS;
	int era = (days + DAYS_TO_1970) / ERA_DAYS;
	int era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	int year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	int march_month = (5 * year_day + 2) / 153;
	int month = march_month < 10 ? march_month + 3 : march_month - 9;

	*ret = (struct lab_date){
		.year = era_year + era * 400 + (month <= 2 ? 1 : 0),
		.month = month,
		.day = year_day - (153 * march_month + 2) / 5 + 1,
		.hour = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
		.weekday = (4 + days) % 7, /* 1970 began on a Thursday */
	};
}

int64_t lab_date_to_unix(const struct lab_date *date)
{
	lab_assert(date->year >= 1970 && date->year <= 9999);
	lab_assert(date->month >= 1 && date->month <= 12);

	int year = date->year - (date->month <= 2 ? 1 : 0);
	int era = year / 400, era_year = year % 400;
	int march_month = date->month > 2 ? date->month - 3 : date->month + 9;
	int year_day = (153 * march_month + 2) / 5 + date->day - 1;
	int era_day = era_year * 365 + era_year / 4 - era_year / 100 + year_day;
	int64_t days = (int64_t)era * ERA_DAYS + era_day - DAYS_TO_1970;

	return days * DAY_SECONDS + date->hour * 3600 + date->minute * 60 + date->second;
}

/* ---- writing ---- */

static char *put_digits(char *to, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + digits;
}

static char *put_text(char *to, const char *text)
{
	while (*text != '\0')
		*to++ = *text++;
	return to;
}

static char *put_clock(char *to, const struct lab_date *date, const char *separator)
{
	to = put_digits(to, date->hour, 2);
	to = put_text(to, separator);
	to = put_digits(to, date->minute, 2);
	to = put_text(to, separator);
	return put_digits(to, date->second, 2);
}

static char *put_day_month_year(char *to, const struct lab_date *date, const char *separator)
{
	to = put_digits(to, date->day, 2);
	to = put_text(to, separator);
	to = put_text(to, month_names[date->month - 1]);
	to = put_text(to, separator);
	return put_digits(to, date->year, 4);
}

static char *put_iso_date(char *to, const struct lab_date *date, const char *separator)
{
	to = put_digits(to, date->year, 4);
	to = put_text(to, separator);
	to = put_digits(to, date->month, 2);
	to = put_text(to, separator);
	return put_digits(to, date->day, 2);
}

void lab_date_http(int64_t seconds, char out[LAB_DATE_TEXT_MAX])
{
	struct lab_date date;
	char *to = out;

	lab_date_from_unix(seconds, &date);
	for (int i = 0; i < 3; i++)
		*to++ = day_names[date.weekday][i];
	to = put_text(to, ", ");
	to = put_day_month_year(to, &date, " ");
	*to++ = ' ';
	to = put_clock(to, &date, ":");
	*put_text(to, " GMT") = '\0';
}

void lab_date_iso_basic(int64_t seconds, char out[LAB_DATE_TEXT_MAX])
{
	struct lab_date date;

	lab_date_from_unix(seconds, &date);
	char *to = put_iso_date(out, &date, "");
	*to++ = 'T';
	to = put_clock(to, &date, "");
	*put_text(to, "Z") = '\0';
}

void lab_date_iso_extended(int64_t millis, char out[LAB_DATE_TEXT_MAX])
{
	struct lab_date date;

	if (millis < 0)
		millis = 0;
	lab_date_from_unix(millis / 1000, &date);
	char *to = put_iso_date(out, &date, "-");
	*to++ = 'T';
	to = put_clock(to, &date, ":");
	*to++ = '.';
	to = put_digits(to, (int)(millis % 1000), 3);
	*put_text(to, "Z") = '\0';
}

void lab_date_imap(int64_t seconds, char out[LAB_DATE_TEXT_MAX])
{
	struct lab_date date;

	lab_date_from_unix(seconds, &date);
	char *to = put_day_month_year(out, &date, "-");
	*to++ = ' ';
	to = put_clock(to, &date, ":");
	*put_text(to, " +0000") = '\0';
}

/* ---- parsing: each take_ function takes its part off the front, or says no ---- */

static bool take_digits(struct lab_view *in, size_t digits, int *ret)
{
	uint64_t value;

	if (in->len < digits || lab_view_to_u64(lab_view_sub(*in, 0, digits), &value) < 0)
		return false;
	*ret = (int)value; /* at most four digits */
	*in = lab_view_skip(*in, digits);
	return true;
}

static bool take_text(struct lab_view *in, const char *text)
{
	struct lab_view want = lab_view_cstr(text);

	if (!lab_view_starts_with(*in, want))
		return false;
	*in = lab_view_skip(*in, want.len);
	return true;
}

static bool take_month(struct lab_view *in, int *ret)
{
	for (int i = 0; i < 12; i++) {
		if (take_text(in, month_names[i])) {
			*ret = i + 1;
			return true;
		}
	}
	return false;
}

/* The name is not compared with the date: real clients have been seen to get it wrong. */
static bool take_day_name(struct lab_view *in, bool in_full)
{
	for (int i = 0; i < 7; i++) {
		struct lab_view name = lab_view_cstr(day_names[i]);

		if (!in_full)
			name.len = 3;
		if (lab_view_starts_with(*in, name)) {
			*in = lab_view_skip(*in, name.len);
			return true;
		}
	}
	return false;
}

static bool take_clock(struct lab_view *in, const char *separator, struct lab_date *date)
{
	return take_digits(in, 2, &date->hour) && take_text(in, separator) &&
	       take_digits(in, 2, &date->minute) && take_text(in, separator) &&
	       take_digits(in, 2, &date->second);
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_valid(const struct lab_date *date)
{
	static const int month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int days;

	if (date->year < 1970 || date->month < 1 || date->month > 12 || date->day < 1)
		return false;
	days = month_days[date->month - 1] + (date->month == 2 && is_leap(date->year) ? 1 : 0);
	/* 60 is a leap second, which unix time counts as the next one. */
	return date->day <= days && date->hour <= 23 && date->minute <= 59 && date->second <= 60;
}

/* " GMT", or as S3's SigV2 examples have it, " +0000", or as Go's clients sign, " UTC". */
static bool take_zone(struct lab_view *in, int *ret_minutes)
{
	bool west;
	int hours, minutes;

	*ret_minutes = 0;
	if (take_text(in, "GMT") || take_text(in, "UTC"))
		return true;
	west = take_text(in, "-");
	if (!west && !take_text(in, "+"))
		return false;
	if (!take_digits(in, 2, &hours) || !take_digits(in, 2, &minutes))
		return false;
	if (hours > 23 || minutes > 59)
		return false;
	*ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
	return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_rfc1123(struct lab_view in, struct lab_date *date, int *zone)
{
	return take_day_name(&in, false) && take_text(&in, ", ") &&
	       take_digits(&in, 2, &date->day) && take_text(&in, " ") &&
	       take_month(&in, &date->month) && take_text(&in, " ") &&
	       take_digits(&in, 4, &date->year) && take_text(&in, " ") &&
	       take_clock(&in, ":", date) && take_text(&in, " ") && take_zone(&in, zone) &&
	       in.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT". Without a clock, the century comes from a fixed window. */
static bool parse_rfc850(struct lab_view in, struct lab_date *date)
{
	bool ok = take_day_name(&in, true) && take_text(&in, ", ") &&
		  take_digits(&in, 2, &date->day) && take_text(&in, "-") &&
		  take_month(&in, &date->month) && take_text(&in, "-") &&
		  take_digits(&in, 2, &date->year) && take_text(&in, " ") &&
		  take_clock(&in, ":", date) && take_text(&in, " GMT") && in.len == 0;

	date->year += date->year < 70 ? 2000 : 1900;
	return ok;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime(struct lab_view in, struct lab_date *date)
{
	if (!take_day_name(&in, false) || !take_text(&in, " ") || !take_month(&in, &date->month) ||
		!take_text(&in, " "))
		return false;
	if (!take_digits(&in, take_text(&in, " ") ? 1 : 2, &date->day))
		return false;
	return take_text(&in, " ") && take_clock(&in, ":", date) && take_text(&in, " ") &&
	       take_digits(&in, 4, &date->year) && in.len == 0;
}

int lab_date_parse_http(struct lab_view text, int64_t *ret_seconds)
{
	struct lab_date date = { 0 };
	int zone = 0;

	if (!parse_rfc1123(text, &date, &zone)) {
		zone = 0;
		if (!parse_rfc850(text, &date) && !parse_asctime(text, &date))
			return -1;
	}
	if (!is_valid(&date))
		return -1;
	int64_t seconds = lab_date_to_unix(&date) - (int64_t)zone * 60;
	if (seconds < 0 || seconds > SECONDS_MAX)
		return -1;
	*ret_seconds = seconds;
	return 0;
}

static bool take_iso_date(struct lab_view *in, const char *separator, struct lab_date *date)
{
	return take_digits(in, 4, &date->year) && take_text(in, separator) &&
	       take_digits(in, 2, &date->month) && take_text(in, separator) &&
	       take_digits(in, 2, &date->day);
}

static bool parse_iso(struct lab_view in, const char *date_separator, const char *separator,
	struct lab_date *date)
{
	int digit;

	if (!take_iso_date(&in, date_separator, date) || !take_text(&in, "T") ||
		!take_clock(&in, separator, date))
		return false;
	if (separator[0] != '\0' && take_text(&in, ".")) {
		if (!take_digits(&in, 1, &digit))
			return false;
		while (take_digits(&in, 1, &digit))
			;
	}
	return take_text(&in, "Z") && in.len == 0;
}

int lab_date_parse_iso(struct lab_view text, int64_t *ret_seconds)
{
	struct lab_date date = { 0 };

	if (!parse_iso(text, "", "", &date) && !parse_iso(text, "-", ":", &date))
		return -1;
	if (!is_valid(&date))
		return -1;
	*ret_seconds = lab_date_to_unix(&date);
	return 0;
}
