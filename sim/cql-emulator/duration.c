/* SPDX-License-Identifier: Apache-2.0
 *
 * duration.c - months, days and nanoseconds, each as a zigzag vint on the wire.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define SECOND INT64_C(1000000000)
#define VALUE_BYTES_MAX 27

enum part {
	MONTHS,
	DAYS,
	NANOS
};

/* In the order in which they are written. Of symbols that begin alike the longer one first. */
static const struct unit {
	const char *symbol, *name;
	enum part part;
	uint8_t order;
	int64_t size;
} units[] = { { "y", "years", MONTHS, 1, 12 }, { "mo", "months", MONTHS, 2, 1 },
	{ "w", "weeks", DAYS, 3, 7 }, { "d", "days", DAYS, 4, 1 },
	{ "h", "hours", NANOS, 5, 3600 * SECOND }, { "ms", "milliseconds", NANOS, 8, 1000000 },
	{ "m", "minutes", NANOS, 6, 60 * SECOND }, { "s", "seconds", NANOS, 7, SECOND },
	{ "us", "microseconds", NANOS, 9, 1000 }, { "\xc2\xb5s", "microseconds", NANOS, 9, 1000 },
	{ "ns", "nanoseconds", NANOS, 10, 1 } };

struct builder {
	int64_t parts[3];
	const struct unit *last;
	struct lab_error *err;
};

static int add(struct builder *b, int64_t number, const struct unit *unit)
{
	static const struct {
		int64_t max;
		const char *name;
	} limits[] = { { INT32_MAX, "months" }, { INT32_MAX, "days" },
		{ INT64_MAX, "nanoseconds" } };
	int64_t room = (limits[unit->part].max - b->parts[unit->part]) / unit->size;
	if (b->last != NULL && b->last->order == unit->order)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid duration. The %s are specified multiple times", unit->name);
	if (b->last != NULL && b->last->order > unit->order)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid duration. The %s should be after %s", b->last->name, unit->name);
	if (number > room)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid duration. The total number of %s must be less or equal to "
			"2147483647",
			limits[unit->part].name);
	b->parts[unit->part] += number * unit->size;
	b->last = unit;
	return 0;
}

static const struct unit *take_unit(struct lab_view *rest)
{
	for (size_t i = 0; i < LAB_COUNT_OF(units); i++) {
		size_t len = strlen(units[i].symbol);
		struct lab_view start = lab_view_sub(*rest, 0, len);
		if (start.len == len && lab_view_eq_nocase(start, lab_view_cstr(units[i].symbol))) {
			*rest = lab_view_skip(*rest, len);
			return &units[i];
		}
	}
	return NULL;
}

static int take_digits(struct lab_view *rest, int64_t *ret)
{
	size_t n = 0;
	while (n < rest->len && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
		n++;
	struct lab_view digits = lab_view_sub(*rest, 0, n);
	*rest = lab_view_skip(*rest, n);
	return n == 0 ? -1 : lab_view_to_i64(digits, ret);
}

/* 1y2mo: 0, -1 with the error set, or 1 if it is none. */
static int parse_standard(struct lab_view rest, struct builder *b)
{
	do {
		int64_t number;
		const struct unit *unit;
		if (take_digits(&rest, &number) < 0 || (unit = take_unit(&rest)) == NULL)
			return 1;
		if (add(b, number, unit) < 0)
			return -1;
	} while (rest.len > 0);
	return 0;
}

/* Behind the P: numbers before or behind the letters that say what they are; T begins the time. */
static int parse_iso(struct lab_view rest, struct builder *b)
{
	bool time = false;
	if (rest.len == 0)
		return 1;
	while (rest.len > 0) {
		int64_t number;
		if (!time && rest.ptr[0] == 'T') {
			time = true;
			rest = lab_view_skip(rest, 1);
		}
		if (take_digits(&rest, &number) < 0 || rest.len == 0)
			return 1;
		uint8_t letter = rest.ptr[0];
		struct lab_view symbol =
			letter == 'M' && !time ? LAB_VIEW("mo") : lab_view_of(&letter, 1);
		const char *allowed = time ? "HMS" : "YMWD";
		if (strchr(allowed, letter) == NULL || letter == 0)
			return 1;
		rest = lab_view_skip(rest, 1);
		if (add(b, number, take_unit(&symbol)) < 0)
			return -1;
	}
	return 0;
}

/* Behind the P: 0001-02-03T04:05:06 */
static int parse_alternative(struct lab_view rest, struct builder *b)
{
	static const char separators[] = "--T::", *const symbols[] = { "y", "mo", "d", "h", "m",
		"s" };
	for (size_t i = 0; i < LAB_COUNT_OF(symbols); i++) {
		int64_t number;
		size_t before = rest.len;
		struct lab_view symbol = lab_view_cstr(symbols[i]);
		if (take_digits(&rest, &number) < 0 || before - rest.len != (i == 0 ? 4 : 2))
			return 1;
		if (i + 1 < LAB_COUNT_OF(symbols)) {
			if (rest.len == 0 || rest.ptr[0] != (uint8_t)separators[i])
				return 1;
			rest = lab_view_skip(rest, 1);
		}
		if (add(b, number, take_unit(&symbol)) < 0)
			return -1;
	}
	return rest.len > 0;
}

static void put_signed(struct lab_buf *out, int64_t value)
{
	cqle_vint_put(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

struct lab_view cqle_duration_of(struct lab_arena *arena, const struct cqle_duration *duration)
{
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, VALUE_BYTES_MAX);
	put_signed(&out, duration->months);
	put_signed(&out, duration->days);
	put_signed(&out, duration->nanos);
	return lab_buf_view(&out);
}

int cqle_duration_parse(
	struct lab_arena *arena, struct lab_view text, struct lab_view *ret, struct lab_error *err)
{
	struct builder b = { .err = err };
	bool negative = text.len > 0 && text.ptr[0] == '-';
	struct lab_view rest = lab_view_skip(text, negative);
	bool iso = rest.len > 0 && rest.ptr[0] == 'P';
	bool alternative = iso && lab_view_find_byte(rest, '-') != SIZE_MAX;
	int result = alternative ? parse_alternative(lab_view_skip(rest, 1), &b)
		     : iso       ? parse_iso(lab_view_skip(rest, 1), &b)
				 : parse_standard(rest, &b);
	if (result > 0)
		return cqle_fail(err, CQL_E_INVALID, "Unable to convert '%.*s' to a duration",
			LAB_VIEW_ARG(rest));
	int64_t sign = negative ? -1 : 1;
	struct cqle_duration duration = { sign * b.parts[MONTHS], sign * b.parts[DAYS],
		sign * b.parts[NANOS] };
	if (result == 0)
		*ret = cqle_duration_of(arena, &duration);
	return result;
}

static int take_signed(struct lab_view *rest, int64_t *ret)
{
	uint64_t bits;
	if (cqle_vint_take(rest, &bits) < 0)
		return -1;
	*ret = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
	return 0;
}

static int read_parts(struct lab_view value, struct cqle_duration *ret)
{
	return take_signed(&value, &ret->months) < 0 || take_signed(&value, &ret->days) < 0 ||
			       take_signed(&value, &ret->nanos) < 0
		       ? -1
		       : 0;
}

void cqle_duration_read(struct lab_view value, struct cqle_duration *ret)
{
	*ret = (struct cqle_duration){ 0, 0, 0 };
	(void)read_parts(value, ret);
}

int cqle_duration_validate(struct lab_view value, struct lab_error *err)
{
	struct cqle_duration d;
	if (value.len < 3 || read_parts(value, &d) < 0)
		return cqle_fail(err, CQL_E_INVALID,
			"Expected at least 3 bytes for a duration (%zu)", value.len);
	bool months = d.months == (int32_t)d.months;
	if (!months || d.days != (int32_t)d.days)
		return cqle_fail(err, CQL_E_INVALID,
			"The duration %s must be a 32 bits integer but was: %" PRId64,
			months ? "days" : "months", months ? d.days : d.months);
	if ((d.months < 0 || d.days < 0 || d.nanos < 0) &&
		(d.months > 0 || d.days > 0 || d.nanos > 0))
		return cqle_fail(err, CQL_E_INVALID,
			"The duration months, days and nanoseconds must be all of the same sign "
			"(%" PRId64 ", %" PRId64 ", %" PRId64 ")",
			d.months, d.days, d.nanos);
	return 0;
}

const char *cqle_duration_text(struct lab_arena *arena, struct lab_view value)
{
	static const struct {
		enum part part;
		uint64_t size;
		const char *symbol;
	} shown[] = { { MONTHS, 12, "y" }, { MONTHS, 1, "mo" }, { DAYS, 1, "d" },
		{ NANOS, 3600 * (uint64_t)SECOND, "h" }, { NANOS, 60 * (uint64_t)SECOND, "m" },
		{ NANOS, (uint64_t)SECOND, "s" }, { NANOS, 1000000, "ms" }, { NANOS, 1000, "us" },
		{ NANOS, 1, "ns" } };
	struct cqle_duration d;
	cqle_duration_read(value, &d);
	bool negative = d.months < 0 || d.days < 0 || d.nanos < 0;
	uint64_t parts[3] = { (uint64_t)d.months, (uint64_t)d.days, (uint64_t)d.nanos };
	const char *text = negative ? "-" : "";
	for (size_t i = 0; i < 3 && negative; i++)
		parts[i] = 0 - parts[i];
	for (size_t i = 0; i < LAB_COUNT_OF(shown); i++) {
		uint64_t number = parts[shown[i].part] / shown[i].size;
		parts[shown[i].part] %= shown[i].size;
		if (number > 0)
			text = lab_arena_printf(
				arena, "%s%" PRIu64 "%s", text, number, shown[i].symbol);
	}
	return text;
}
