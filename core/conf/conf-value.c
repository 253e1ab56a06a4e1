/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf-value.h"

#include "core/conf/conf-private.h"

#define PPM UINT64_C(1000000)
#define TIME_MAX_NS (UINT64_C(200) * 366 * 86400 * LAB_SEC)

static int value_fail(struct lab_error *err, struct lab_view text, const char *expected)
{
	char shown[CONF_SHOW_MAX + 4];

	return lab_fail(err, LAB_INVALID, "'%s' is not %s", conf_show(text, shown), expected);
}

int conf_value_bool(struct lab_view text, bool *ret, struct lab_error *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = { { "yes", true }, { "true", true }, { "y", true }, { "on", true },
		{ "1", true }, { "no", false }, { "false", false }, { "n", false },
		{ "off", false }, { "0", false } };

	for (size_t i = 0; i < LAB_COUNT_OF(words); i++) {
		if (lab_view_eq_nocase(text, lab_view_cstr(words[i].word))) {
			*ret = words[i].value;
			return 0;
		}
	}
	return value_fail(err, text, "a boolean (yes or no)");
}

int conf_value_uint(struct lab_view text, uint64_t max, uint64_t *ret, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	uint64_t value;

	if (lab_view_to_u64(text, &value) < 0)
		return value_fail(err, text, "a number");
	if (value > max)
		return lab_fail(err, LAB_INVALID, "'%s' is above the maximum of %" PRIu64,
			conf_show(text, shown), max);
	*ret = value;
	return 0;
}

/* Digits and what follows them, which may stand behind white space. */
static bool split_unit(struct lab_view text, struct lab_view *ret_number, struct lab_view *ret_unit)
{
	size_t len = 0;

	while (len < text.len && (conf_is_digit(text.ptr[len]) || text.ptr[len] == '.'))
		len++;
	*ret_number = lab_view_sub(text, 0, len);
	*ret_unit = lab_view_trim(lab_view_skip(text, len));
	return len > 0;
}

int conf_value_size(struct lab_view text, uint64_t *ret, struct lab_error *err)
{
	static const char letters[] = "bkmgt";
	struct lab_view number, unit;
	uint64_t value, factor = 1;
	size_t power = 0;

	if (lab_view_eq_nocase(text, LAB_VIEW("unlimited"))) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (!split_unit(text, &number, &unit) || lab_view_to_u64(number, &value) < 0)
		return value_fail(err, text, "a size such as 512M");
	if (unit.len > 0) {
		const char *letter = strchr(letters, unit.ptr[0] | 0x20);
		struct lab_view tail = lab_view_skip(unit, 1);
		if (letter == NULL || *letter == '\0')
			return value_fail(err, text, "a size such as 512M");
		power = (size_t)(letter - letters);
		if (tail.len > 0 &&
			(power == 0 || (!lab_view_eq_nocase(tail, LAB_VIEW("b")) &&
					       !lab_view_eq_nocase(tail, LAB_VIEW("ib")))))
			return value_fail(err, text, "a size such as 512M");
	}
	for (; power > 0; power--)
		factor *= 1024;
	if (__builtin_mul_overflow(value, factor, &value))
		return value_fail(err, text, "a size that fits into 64 bits");
	*ret = value;
	return 0;
}

static const struct {
	const char *name;
	uint64_t ns;
} time_units[] = {
	{ "us", LAB_USEC },
	{ "usec", LAB_USEC },
	{ "usecs", LAB_USEC },
	{ "microseconds", LAB_USEC },
	{ "ms", LAB_MSEC },
	{ "msec", LAB_MSEC },
	{ "msecs", LAB_MSEC },
	{ "milliseconds", LAB_MSEC },
	{ "s", LAB_SEC },
	{ "sec", LAB_SEC },
	{ "secs", LAB_SEC },
	{ "second", LAB_SEC },
	{ "seconds", LAB_SEC },
	{ "m", LAB_MINUTE },
	{ "min", LAB_MINUTE },
	{ "mins", LAB_MINUTE },
	{ "minute", LAB_MINUTE },
	{ "minutes", LAB_MINUTE },
	{ "h", 60 * LAB_MINUTE },
	{ "hour", 60 * LAB_MINUTE },
	{ "hours", 60 * LAB_MINUTE },
	{ "d", 1440 * LAB_MINUTE },
	{ "day", 1440 * LAB_MINUTE },
	{ "days", 1440 * LAB_MINUTE },
	{ "w", 10080 * LAB_MINUTE },
	{ "week", 10080 * LAB_MINUTE },
	{ "weeks", 10080 * LAB_MINUTE },
};

static uint64_t time_unit(struct lab_view unit)
{
	for (size_t i = 0; i < LAB_COUNT_OF(time_units); i++) {
		if (lab_view_eq_nocase(unit, lab_view_cstr(time_units[i].name)))
			return time_units[i].ns;
	}
	return 0;
}

/* number * scale for "12", "1.5", ".5"; digits beyond what the scale can hold are cut off. */
static int decimal_times(struct lab_view number, uint64_t scale, uint64_t *ret)
{
	struct lab_view rest = number, whole;
	uint64_t value = 0;

	if (!lab_view_split(&rest, '.', &whole) || (whole.len == 0 && rest.len == 0))
		return -1;
	if (whole.len > 0 && lab_view_to_u64(whole, &value) < 0)
		return -1;
	if (__builtin_mul_overflow(value, scale, &value))
		return -1;
	if (rest.ptr != NULL && rest.len == 0)
		return -1;
	for (size_t i = 0; i < rest.len; i++) {
		if (!conf_is_digit(rest.ptr[i]))
			return -1;
		scale /= 10;
		if (__builtin_add_overflow(value, scale * (uint64_t)(rest.ptr[i] - '0'), &value))
			return -1;
	}
	*ret = value;
	return 0;
}

int conf_value_time(
	struct lab_view text, uint64_t bare_unit_ns, uint64_t *ret_ns, struct lab_error *err)
{
	static const char expected[] = "a time such as 250ms, 3s, 10 min or 2 days";
	struct lab_view number, unit;
	uint64_t value, scale;

	if (lab_view_eq_nocase(text, LAB_VIEW("unlimited")) ||
		lab_view_eq_nocase(text, LAB_VIEW("infinite"))) {
		*ret_ns = UINT64_MAX;
		return 0;
	}
	if (!split_unit(text, &number, &unit))
		return value_fail(err, text, expected);
	if (lab_view_eq_cstr(text, "0")) {
		*ret_ns = 0;
		return 0;
	}
	scale = unit.len == 0 ? bare_unit_ns : time_unit(unit);
	if (scale == 0)
		return value_fail(err, text, unit.len == 0 ? "a time: it has no unit" : expected);
	if (decimal_times(number, scale, &value) < 0)
		return value_fail(err, text, expected);
	if (value > TIME_MAX_NS)
		return value_fail(err, text, "a time below 200 years");
	*ret_ns = value;
	return 0;
}

/* "1/500" in billionths; anything that is not 0 is at least 1. */
static int ratio_billionths(struct lab_view text, uint64_t *ret)
{
	struct lab_view rest = text, part;
	uint64_t value, divisor;

	lab_view_split(&rest, '/', &part);
	if (lab_view_to_u64(lab_view_trim(part), &value) < 0 ||
		lab_view_to_u64(lab_view_trim(rest), &divisor) < 0)
		return -1;
	if (divisor == 0 || value > divisor || divisor > UINT32_MAX)
		return -1;
	*ret = value == 0 ? 0 : LAB_MAX(value * 1000 * PPM / divisor, UINT64_C(1));
	return 0;
}

int conf_value_fraction(struct lab_view text, uint32_t *ret_ppm, struct lab_error *err)
{
	uint64_t value;
	int result;

	if (text.len > 0 && text.ptr[text.len - 1] == '%')
		result = decimal_times(
			lab_view_trim(lab_view_sub(text, 0, text.len - 1)), 10 * PPM, &value);
	else if (lab_view_find_byte(text, '/') != SIZE_MAX)
		result = ratio_billionths(text, &value);
	else
		result = decimal_times(text, 1000 * PPM, &value);
	if (result < 0)
		return value_fail(err, text, "a probability such as 60%, 1/500 or 0.25");
	if (value > 1000 * PPM)
		return value_fail(err, text, "a probability: it is above 1");
	if (value > 0 && value < 1000)
		value = 1000;
	*ret_ppm = (uint32_t)((value + 500) / 1000);
	return 0;
}

int conf_value_octal(struct lab_view text, uint32_t *ret, struct lab_error *err)
{
	uint32_t value = 0;

	if (text.len == 0 || text.len > 6)
		return value_fail(err, text, "a file mode such as 0600");
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7')
			return value_fail(err, text, "a file mode such as 0600");
		value = value * 8 + (uint32_t)(text.ptr[i] - '0');
	}
	if (value > 07777)
		return value_fail(err, text, "a file mode such as 0600");
	*ret = value;
	return 0;
}

int conf_value_word(struct lab_view text, const char *const *words, size_t count, size_t *ret,
	struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX], list[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(text, words[i])) {
			*ret = i;
			return 0;
		}
		size_t len = strlen(words[i]);
		if (used + len + 3 < sizeof(list)) {
			if (used > 0) {
				memcpy(list + used, ", ", 2);
				used += 2;
			}
			memcpy(list + used, words[i], len + 1);
			used += len;
		}
	}
	return lab_fail(err, LAB_INVALID, "'%s' is not one of %s%s", conf_show(text, shown), list,
		conf_hint(conf_suggest_of(text, words, count), hint));
}

/* ---- ranges and choices ---- */

static int unit_parse(
	struct lab_view text, enum conf_unit unit, uint64_t *ret, struct lab_error *err)
{
	uint32_t ppm;

	switch (unit) {
	case CONF_UNIT_COUNT:
		return conf_value_uint(text, UINT64_MAX, ret, err);
	case CONF_UNIT_SIZE:
		return conf_value_size(text, ret, err);
	case CONF_UNIT_TIME:
		return conf_value_time(text, 0, ret, err);
	case CONF_UNIT_SECONDS:
		return conf_value_time(text, LAB_SEC, ret, err);
	case CONF_UNIT_MSECS:
		return conf_value_time(text, LAB_MSEC, ret, err);
	case CONF_UNIT_FRACTION:
		if (conf_value_fraction(text, &ppm, err) < 0)
			return -1;
		*ret = ppm;
		return 0;
	}
	lab_bug("unknown unit");
}

/* What stands before "..": if it is a number alone and the other end has a unit, with that unit. */
static int range_low(struct lab_view low, struct lab_view high, enum conf_unit unit, uint64_t *ret,
	struct lab_error *err)
{
	struct lab_view number, low_unit, high_unit;
	char joined[64];
	bool takes_unit = unit != CONF_UNIT_COUNT && split_unit(high, &number, &high_unit) &&
			  split_unit(low, &number, &low_unit) && low_unit.len == 0 &&
			  high_unit.len > 0 && high_unit.ptr[0] != '/';

	if (!takes_unit || number.len + high_unit.len >= sizeof(joined))
		return unit_parse(low, unit, ret, err);
	memcpy(joined, number.ptr, number.len);
	memcpy(joined + number.len, high_unit.ptr, high_unit.len);
	return unit_parse(lab_view_of(joined, number.len + high_unit.len), unit, ret, err);
}

static bool take_word(struct lab_view *text, struct lab_view word)
{
	if (!lab_view_starts_with(*text, word) || text->len == word.len ||
		!conf_is_white(text->ptr[word.len]))
		return false;
	*text = lab_view_trim(lab_view_skip(*text, word.len));
	return true;
}

/* "LOW..HIGH" around the dots at `dots`; a missing end is 0 or UINT64_MAX. */
static int range_ends(struct lab_view text, size_t dots, enum conf_unit unit,
	struct conf_range *range, struct lab_error *err)
{
	struct lab_view low = lab_view_trim(lab_view_sub(text, 0, dots));
	struct lab_view high = lab_view_trim(lab_view_skip(text, dots + 2));

	range->low = 0;
	range->high = UINT64_MAX;
	if (low.len == 0 && high.len == 0)
		return value_fail(err, text, "a range: both ends are missing");
	if (low.len > 0 && range_low(low, high, unit, &range->low, err) < 0)
		return -1;
	if (high.len > 0 && unit_parse(high, unit, &range->high, err) < 0)
		return -1;
	if (range->low > range->high)
		return value_fail(err, text, "a range: its low end is above its high end");
	return 0;
}

int conf_value_range(
	struct lab_view text, enum conf_unit unit, struct conf_range *ret, struct lab_error *err)
{
	struct conf_range range = { .kind = CONF_RANGE_UNIFORM };
	struct lab_view rest = lab_view_trim(text);
	size_t dots;

	if (take_word(&rest, LAB_VIEW("qlog")))
		range.kind = CONF_RANGE_QLOG;
	else if (take_word(&rest, LAB_VIEW("lognormal")))
		range.kind = CONF_RANGE_LOGNORMAL;
	dots = lab_view_find(rest, LAB_VIEW(".."));
	if (dots == SIZE_MAX && range.kind != CONF_RANGE_UNIFORM)
		return value_fail(err, text, "a range LOW..HIGH");
	if (dots == SIZE_MAX) {
		if (unit_parse(rest, unit, &range.low, err) < 0)
			return -1;
		*ret = conf_range_fixed(range.low);
		return 0;
	}
	if (range_ends(rest, dots, unit, &range, err) < 0)
		return -1;
	if (range.kind != CONF_RANGE_UNIFORM && (range.low == 0 || range.high == UINT64_MAX))
		return value_fail(
			err, text, "a qlog or lognormal range: both ends must be given, above 0");
	*ret = range;
	return 0;
}

uint64_t conf_range_pick(const struct conf_range *range, uint64_t draw)
{
	switch (range->kind) {
	case CONF_RANGE_FIXED:
		return range->low;
	case CONF_RANGE_UNIFORM:
		return lab_pick_range(draw, range->low, range->high);
	case CONF_RANGE_QLOG:
		return lab_pick_qlog(draw, range->low, range->high);
	case CONF_RANGE_LOGNORMAL:
		return lab_pick_lognormal(draw, range->low, range->high);
	}
	lab_bug("unknown kind of range");
}

void conf_range_print(const struct conf_range *range, struct lab_buf *out)
{
	if (range->kind == CONF_RANGE_FIXED) {
		lab_buf_printf(out, "%" PRIu64, range->low);
		return;
	}
	if (range->kind != CONF_RANGE_UNIFORM)
		lab_buf_append_cstr(out, range->kind == CONF_RANGE_QLOG ? "qlog " : "lognormal ");
	lab_buf_printf(out, "%" PRIu64 "..", range->low);
	if (range->high != UINT64_MAX)
		lab_buf_printf(out, "%" PRIu64, range->high);
}

int conf_value_choices(struct lab_view text, struct conf_choices *ret, struct lab_error *err)
{
	struct conf_choices choices = { .count = 0 };
	struct lab_view rest = text, part;

	if (lab_view_trim(text).len == 0)
		return value_fail(err, text, "a choice: it is empty");
	while (lab_view_split(&rest, '|', &part)) {
		part = lab_view_trim(part);
		if (part.len == 0)
			return value_fail(err, text, "a choice: one alternative is empty");
		if (choices.count == CONF_CHOICES_MAX)
			return value_fail(err, text, "a choice: it has more than 32 alternatives");
		choices.items[choices.count++] = part;
	}
	*ret = choices;
	return 0;
}

bool conf_value_next_word(struct lab_view *rest, struct lab_view *ret_word)
{
	struct lab_view text = lab_view_trim(*rest);
	size_t len = 0;

	while (len < text.len && !conf_is_white(text.ptr[len]) && text.ptr[len] != '\n')
		len++;
	*ret_word = lab_view_sub(text, 0, len);
	*rest = lab_view_skip(text, len);
	return len > 0;
}
