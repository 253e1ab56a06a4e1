/* SPDX-License-Identifier: Apache-2.0
 *
 * cast.c - CAST(x AS type): Cassandra's conversions and their limits.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define DATE_ZERO INT64_C(2147483648)

static bool is_integer(uint16_t id)
{
	return id == CQL_TYPE_TINYINT || id == CQL_TYPE_SMALLINT || id == CQL_TYPE_INT ||
	       id == CQL_TYPE_BIGINT || id == CQL_TYPE_COUNTER || id == CQL_TYPE_VARINT;
}

static bool is_floating(uint16_t id)
{
	return id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
}

static bool is_text(uint16_t id)
{
	return id == CQL_TYPE_TEXT || id == CQL_TYPE_ASCII;
}

static bool is_time(uint16_t id)
{
	return id == CQL_TYPE_TIMESTAMP || id == CQL_TYPE_DATE;
}

static bool has_text(uint16_t id)
{
	return is_integer(id) || is_floating(id) || is_time(id) || id == CQL_TYPE_DECIMAL ||
	       id == CQL_TYPE_BOOLEAN || id == CQL_TYPE_UUID || id == CQL_TYPE_TIMEUUID ||
	       id == CQL_TYPE_ASCII;
}

static bool is_number(uint16_t id)
{
	return is_integer(id) || is_floating(id) || id == CQL_TYPE_DECIMAL;
}

bool cqle_cast_is_possible(const struct cql_type *from, uint16_t to)
{
	if (is_text(to))
		return has_text(from->id);
	if (is_time(to))
		return from->id == CQL_TYPE_TIMEUUID || (is_time(from->id) && from->id != to) ||
		       (from->id == CQL_TYPE_INT && to == CQL_TYPE_TIMESTAMP);
	return to != CQL_TYPE_COUNTER && is_number(to) && is_number(from->id);
}

/* Every signature of castAs...; Cassandra's list is in no order. */
const char *cqle_cast_refused(struct lab_arena *arena, const char *what, uint16_t to)
{
	static const uint16_t ids[] = { CQL_TYPE_TINYINT, CQL_TYPE_SMALLINT, CQL_TYPE_INT,
		CQL_TYPE_BIGINT, CQL_TYPE_COUNTER, CQL_TYPE_VARINT, CQL_TYPE_DECIMAL,
		CQL_TYPE_DOUBLE, CQL_TYPE_FLOAT, CQL_TYPE_ASCII, CQL_TYPE_BOOLEAN, CQL_TYPE_DATE,
		CQL_TYPE_INET, CQL_TYPE_TIME, CQL_TYPE_TIMESTAMP, CQL_TYPE_TIMEUUID,
		CQL_TYPE_UUID };
	const char *name = cql_type_name(to), *list = "";
	char *title = lab_arena_cstr(arena, lab_view_cstr(name));
	title[0] = (char)(title[0] - 'a' + 'A');
	for (size_t i = 0; i < LAB_COUNT_OF(ids); i++) {
		bool number = is_number(ids[i]) && is_number(to) && to != CQL_TYPE_COUNTER;
		bool time = is_time(to) && (is_time(ids[i]) || ids[i] == CQL_TYPE_TIMEUUID);
		if ((number || time || is_text(to)) && ids[i] != to)
			list = lab_arena_printf(arena, "%s%ssystem.\"castAs%s\" : (%s) -> %s", list,
				list[0] == 0 ? "" : ", ", title, cql_type_name(ids[i]), name);
	}
	if (list[0] == 0)
		return lab_arena_printf(arena, "%s cannot be cast to %s", what, name);
	return lab_arena_printf(arena,
		"Invalid call to function system.castAs%s, none of its type signatures match "
		"(known type signatures: %s)",
		title, list);
}

/* Java's narrowing: of integers the low bits, of floating-point numbers the nearest end. */
static int64_t narrowed(double number, uint16_t to)
{
	bool wide = to == CQL_TYPE_BIGINT || to == CQL_TYPE_VARINT;
	double limit = wide ? 9223372036854775808.0 : 2147483648.0;
	if (number != number)
		return 0;
	if (number >= limit)
		return wide ? INT64_MAX : INT32_MAX;
	if (number <= -limit)
		return wide ? INT64_MIN : INT32_MIN;
	return (int64_t)number;
}

static struct lab_view integer_of(struct lab_arena *arena, int64_t number, uint16_t to)
{
	size_t size = to == CQL_TYPE_TINYINT    ? 1
		      : to == CQL_TYPE_SMALLINT ? 2
		      : to == CQL_TYPE_INT      ? 4
						: 8;
	return to == CQL_TYPE_VARINT ? cqle_varint_of(arena, number)
				     : cqle_big_endian(arena, (uint64_t)number, size);
}

/* Integers, varint and decimal. */
static int from_exact(struct lab_arena *arena, uint16_t from, struct lab_view value, uint16_t to,
	struct lab_view *ret)
{
	double floating;
	int64_t number;
	if (to == CQL_TYPE_DECIMAL)
		return cqle_exact_to_decimal(arena, value, ret);
	if (is_floating(to)) {
		if (cqle_exact_to_double(arena, from, value, to == CQL_TYPE_FLOAT, &floating) < 0)
			return -1;
		*ret = cqle_double_value(arena, to, floating);
		return 0;
	}
	if (cqle_exact_to_i64(from, value, &number) < 0)
		return -1;
	*ret = integer_of(arena, number, to);
	return 0;
}

/* What Java makes of the number's text. */
static int to_decimal(struct lab_arena *arena, uint16_t from, struct lab_view value,
	struct lab_view *ret, struct lab_error *err)
{
	const char *text = cqle_double_text(arena, from, value);
	char wrong = text[text[0] == '-'];
	if (wrong == 'N' || wrong == 'I')
		return cqle_fail(err, CQL_E_SERVER_ERROR,
			"java.lang.NumberFormatException: Character %c is neither a decimal digit "
			"number, decimal point, nor \"e\" notation exponential mark.",
			wrong);
	return cqle_decimal_parse(arena, lab_view_cstr(text), ret);
}

static struct lab_view to_time(
	struct lab_arena *arena, uint16_t from, struct lab_view value, uint16_t to)
{
	int64_t ms = 0;
	if (from == CQL_TYPE_TIMEUUID) {
		ms = cqle_timeuuid_ms(value);
	} else if (from == CQL_TYPE_TIMESTAMP) {
		(void)cql_value_to_i64(from, value, &ms);
	} else { /* an int is taken as it were a date */
		(void)cql_value_to_i64(CQL_TYPE_DATE, value, &ms);
		ms = (ms - DATE_ZERO) * DAY_MS;
	}
	if (to == CQL_TYPE_TIMESTAMP)
		return cql_value_bigint(arena, ms);
	int64_t day = ms / DAY_MS - (ms % DAY_MS < 0 ? 1 : 0);
	return cqle_big_endian(arena, (uint64_t)(day + DATE_ZERO), 4);
}

/* Days since 1970 as a day of the proleptic calendar; `era`: years before the first are those of
 * the era before, as Java's old formatter writes them. */
static const char *day_text(struct lab_arena *arena, int64_t days, bool era)
{
	int64_t shifted = days + 719468,
		cycle = (shifted < 0 ? shifted - 146096 : shifted) / 146097;
	int64_t of_cycle = shifted - cycle * 146097;
	int64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	int64_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;
	month += month < 10 ? 3 : -9;
	year += cycle * 400 + (month <= 2);
	if (era && year <= 0)
		year = 1 - year;
	return lab_arena_printf(arena, "%s%04" PRId64 "-%02" PRId64 "-%02" PRId64,
		year > 9999 ? "+"
		: year < 0  ? "-"
			    : "",
		year < 0 ? -year : year, month, day);
}

static const char *time_text(struct lab_arena *arena, uint16_t from, struct lab_view value)
{
	int64_t number;
	(void)cql_value_to_i64(from, value, &number);
	if (from == CQL_TYPE_DATE)
		return day_text(arena, number - DATE_ZERO, false);
	int64_t days = number / DAY_MS - (number % DAY_MS < 0 ? 1 : 0);
	int64_t ms = number - days * DAY_MS;
	return lab_arena_printf(arena, "%sT%02d:%02d:%02d.%03dZ", day_text(arena, days, true),
		(int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
		(int)(ms % 1000));
}

static const char *text_of(struct lab_arena *arena, uint16_t from, struct lab_view value)
{
	int64_t number;
	if (from == CQL_TYPE_ASCII)
		return lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(value));
	if (from == CQL_TYPE_BOOLEAN)
		return value.ptr[0] != 0 ? "true" : "false";
	if (from == CQL_TYPE_UUID || from == CQL_TYPE_TIMEUUID) {
		char *text = lab_arena_alloc(arena, CQL_UUID_TEXT_MAX);
		cql_uuid_format(value.ptr, text);
		return text;
	}
	if (is_floating(from))
		return cqle_double_text(arena, from, value);
	if (is_time(from))
		return time_text(arena, from, value);
	if (from == CQL_TYPE_VARINT)
		return cqle_varint_text(arena, value);
	if (from == CQL_TYPE_DECIMAL)
		return cqle_decimal_text(arena, value);
	return cql_value_to_i64(from, value, &number) < 0
		       ? NULL
		       : lab_arena_printf(arena, "%" PRId64, number);
}

const char *cqle_value_text(struct lab_arena *arena, uint16_t type, struct lab_view value)
{
	return value.len == 0 ? NULL : text_of(arena, type, value);
}

int cqle_cast(struct lab_arena *arena, uint16_t from, struct lab_view value, uint16_t to,
	struct lab_view *ret, struct lab_error *err)
{
	int result = 0;
	if (value.len == 0 && !is_text(from)) {
		*ret = lab_view_of(NULL, 0);
		return 0;
	}
	if (is_text(to)) {
		const char *text = from == CQL_TYPE_ASCII && value.len == 0
					   ? ""
					   : cqle_value_text(arena, from, value);
		*ret = lab_view_cstr(text);
		result = text == NULL ? -1 : 0;
	} else if (is_time(to)) {
		*ret = to_time(arena, from, value, to);
	} else if (is_floating(from) && to == CQL_TYPE_DECIMAL) {
		return to_decimal(arena, from, value, ret, err);
	} else if (is_floating(from)) {
		double number = cqle_double_of(from, value);
		*ret = is_floating(to) ? cqle_double_value(arena, to, number)
				       : integer_of(arena, narrowed(number, to), to);
	} else {
		result = from_exact(arena, from, value, to, ret);
	}
	return result == 0 ? 0
			   : cqle_fail(err, CQL_E_INVALID,
				     "CAST of so large a %s is not supported here",
				     cql_type_name(from));
}
