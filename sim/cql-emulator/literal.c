/* SPDX-License-Identifier: Apache-2.0
 *
 * literal.c - dates, times and addresses as constants: 'yyyy-mm-dd', 'hh:mm:ss.fffffffff',
 * timestamps with a zone, IPv4 and IPv6. Times without a zone are UTC.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define DATE_ZERO INT64_C(2147483648)

/* Digits at the start of `rest`, at least `min` and at most `max` of them. */
static int take_number(struct lab_view *rest, size_t min, size_t max, int64_t *ret)
{
	size_t n = 0;
	*ret = 0;
	while (n < rest->len && n < max && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
		*ret = *ret * 10 + (rest->ptr[n++] - '0');
	*rest = lab_view_skip(*rest, n);
	return n < min ? -1 : 0;
}

static bool take_byte(struct lab_view *rest, uint8_t byte)
{
	bool there = rest->len > 0 && rest->ptr[0] == byte;
	if (there)
		*rest = lab_view_skip(*rest, 1);
	return there;
}

/* Since 1970, in the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t century = y / 100, shifted = (month + 9) % 12;
	return 365 * y + y / 4 - century + century / 4 + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

static int64_t days_in(int64_t year, int64_t month)
{
	return days_of(month == 12 ? year + 1 : year, month % 12 + 1, 1) - days_of(year, month, 1);
}

static int take_date(struct lab_view *rest, size_t digits, bool strict, int64_t *ret_days)
{
	int64_t year, month, day;
	if (take_number(rest, 4, 4, &year) < 0 || !take_byte(rest, '-') ||
		take_number(rest, digits, 2, &month) < 0 || !take_byte(rest, '-') ||
		take_number(rest, digits, 2, &day) < 0)
		return -1;
	if (month < 1 || month > 12 || day < 1 || day > (strict ? days_in(year, month) : 31))
		return -1;
	*ret_days = days_of(year, month, day);
	return 0;
}

static bool is_integer(struct lab_view text)
{
	int64_t ignored;
	struct lab_view rest = text;
	return take_number(&rest, 1, 18, &ignored) == 0 && rest.len == 0;
}

static int parse_date(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	int64_t days;
	struct lab_view rest = text;
	if (is_integer(text)) {
		if (lab_view_to_i64(text, &days) < 0 || days > UINT32_MAX)
			return -1;
	} else {
		if (take_date(&rest, 2, true, &days) < 0 || rest.len > 0)
			return -1;
		days += DATE_ZERO;
	}
	*ret = cqle_big_endian(arena, (uint64_t)days, 4);
	return 0;
}

/* hh:mm and, unless `ret_seconds` may be missing, :ss */
static int take_clock(struct lab_view *rest, bool seconds_needed, int64_t *ret)
{
	int64_t hour, minute, second = 0;
	if (take_number(rest, 1, 2, &hour) < 0 || !take_byte(rest, ':') ||
		take_number(rest, 1, 2, &minute) < 0)
		return -1;
	if (take_byte(rest, ':')) {
		if (take_number(rest, 1, 2, &second) < 0)
			return -1;
	} else if (seconds_needed) {
		return -1;
	}
	*ret = hour * 3600 + minute * 60 + second;
	return hour > 23 || minute > 59 || second > 59 ? -1 : 0;
}

/* .fff as so many digits, cut or filled up. */
static int take_fraction(struct lab_view *rest, size_t digits, int64_t *ret)
{
	*ret = 0;
	if (!take_byte(rest, '.'))
		return 0;
	size_t before = rest->len;
	if (take_number(rest, 1, 9, ret) < 0)
		return -1;
	for (size_t n = before - rest->len; n < digits; n++)
		*ret *= 10;
	for (size_t n = before - rest->len; n > digits; n--)
		*ret /= 10;
	return 0;
}

static int parse_time(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	int64_t seconds, nanos;
	struct lab_view rest = text;
	if (take_clock(&rest, true, &seconds) < 0 || take_fraction(&rest, 9, &nanos) < 0 ||
		rest.len > 0)
		return -1;
	*ret = cql_value_bigint(arena, seconds * INT64_C(1000000000) + nanos);
	return 0;
}

/* Z, +hh, +hhmm, +hh:mm, maybe behind a space; nothing is UTC. */
static int take_zone(struct lab_view *rest, int64_t *ret_seconds)
{
	int64_t hours, minutes = 0;
	*ret_seconds = 0;
	(void)take_byte(rest, ' ');
	if (take_byte(rest, 'Z') || rest->len == 0)
		return 0;
	bool west = rest->ptr[0] == '-';
	if ((!take_byte(rest, '+') && !take_byte(rest, '-')) || take_number(rest, 2, 2, &hours) < 0)
		return -1;
	(void)take_byte(rest, ':');
	if (rest->len > 0 && take_number(rest, 2, 2, &minutes) < 0)
		return -1;
	*ret_seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
	return hours > 18 || minutes > 59 ? -1 : 0;
}

static int parse_timestamp(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	int64_t ms = 0, days, seconds = 0, zone;
	struct lab_view rest = text;
	if (is_integer(text)) {
		(void)lab_view_to_i64(text, &ms);
		*ret = cql_value_bigint(arena, ms);
		return 0;
	}
	if (take_date(&rest, 1, false, &days) < 0)
		return -1;
	bool clock = rest.len > 1 &&
		     (rest.ptr[0] == 'T' ||
			     (rest.ptr[0] == ' ' && rest.ptr[1] >= '0' && rest.ptr[1] <= '9'));
	if (clock) {
		rest = lab_view_skip(rest, 1);
		if (take_clock(&rest, false, &seconds) < 0 || take_fraction(&rest, 3, &ms) < 0)
			return -1;
	}
	if (take_zone(&rest, &zone) < 0 || rest.len > 0)
		return -1;
	*ret = cql_value_bigint(arena, (days * 86400 + seconds - zone) * 1000 + ms);
	return 0;
}

/* ---- addresses ---- */

struct v6 {
	uint8_t bytes[16];
	size_t count, gap; /* gap: where "::" is, SIZE_MAX: nowhere */
};

static int take_group(struct lab_view *rest, struct v6 *ret)
{
	unsigned value = 0, digits = 0;
	for (; rest->len > 0 && digits < 5; digits++) {
		uint8_t nibble[1], pair[2] = { '0', rest->ptr[0] };
		if (lab_unhex(lab_view_of(pair, 2), nibble, 1) < 0)
			break;
		value = value << 4 | nibble[0];
		*rest = lab_view_skip(*rest, 1);
	}
	if (digits == 0 || digits > 4 || ret->count > 14)
		return -1;
	ret->bytes[ret->count++] = (uint8_t)(value >> 8);
	ret->bytes[ret->count++] = (uint8_t)value;
	return 0;
}

/* An IPv4 address at the end. */
static int take_v4(struct lab_view *rest, struct v6 *ret)
{
	if (ret->count > 12 || cql_inet_parse(*rest, ret->bytes + ret->count) < 0)
		return -1;
	ret->count += 4;
	*rest = lab_view_of(NULL, 0);
	return 0;
}

/* "::" or one group with the ':' before it. */
static int take_next(struct lab_view *rest, struct v6 *ret)
{
	if (lab_view_starts_with(*rest, LAB_VIEW("::"))) {
		if (ret->gap != SIZE_MAX)
			return -1;
		ret->gap = ret->count;
		*rest = lab_view_skip(*rest, 2);
		return 0;
	}
	bool first = ret->count == 0 || ret->gap == ret->count;
	if (first == take_byte(rest, ':'))
		return -1;
	bool v4 = lab_view_find_byte(*rest, ':') == SIZE_MAX &&
		  lab_view_find_byte(*rest, '.') != SIZE_MAX;
	return v4 ? take_v4(rest, ret) : take_group(rest, ret);
}

static int parse_inet(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct v6 v6 = { .gap = SIZE_MAX };
	struct lab_view rest = text;
	if (cql_inet_parse(text, v6.bytes) == 0) {
		*ret = lab_arena_copy(arena, lab_view_of(v6.bytes, 4));
		return 0;
	}
	while (rest.len > 0) {
		if (take_next(&rest, &v6) < 0)
			return -1;
	}
	if (v6.gap == SIZE_MAX ? v6.count != 16 : v6.count > 14)
		return -1;
	if (v6.gap != SIZE_MAX) {
		size_t behind = v6.count - v6.gap, at = 16 - behind;
		memmove(v6.bytes + at, v6.bytes + v6.gap, behind);
		memset(v6.bytes + v6.gap, 0, at - v6.gap);
	}
	/* Java makes an IPv4 address of one that is mapped. */
	bool v4 = memcmp(v6.bytes, mapped, sizeof(mapped)) == 0;
	*ret = lab_arena_copy(arena, lab_view_of(v6.bytes + (v4 ? 12 : 0), v4 ? 4 : 16));
	return 0;
}

int cqle_literal(struct lab_arena *arena, uint16_t type, struct lab_view text, struct lab_view *ret,
	struct lab_error *err)
{
	static const struct {
		uint16_t type;
		int (*parse)(struct lab_arena *arena, struct lab_view text, struct lab_view *ret);
		const char *before, *behind;
	} types[] = { { CQL_TYPE_TIMESTAMP, parse_timestamp, "Unable to parse a date/time from '",
			      "'" },
		{ CQL_TYPE_DATE, parse_date, "Unable to coerce '", "' to a formatted date (long)" },
		{ CQL_TYPE_TIME, parse_time, "(TimeType) Unable to coerce '",
			"' to a formatted time (long)" },
		{ CQL_TYPE_INET, parse_inet, "Unable to make inet address from '", "'" } };
	size_t i = 0;
	while (types[i].type != type)
		lab_assert(++i < LAB_COUNT_OF(types));
	return types[i].parse(arena, text, ret) == 0
		       ? 0
		       : cqle_fail(err, CQL_E_INVALID, "%s%.*s%s", types[i].before,
				 LAB_VIEW_ARG(text), types[i].behind);
}
