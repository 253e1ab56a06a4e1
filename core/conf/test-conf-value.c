/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf-value.h"
#include "core/conf/test-support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HOUR (60 * LAB_MINUTE)

static void times_have_dovecots_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bare, ns; /* ns 1: an error */
	} rows[] = {
		{ "10 min", 0, 10 * LAB_MINUTE },
		{ "3s", 0, 3 * LAB_SEC },
		{ "250ms", 0, 250 * LAB_MSEC },
		{ "250 msecs", 0, 250 * LAB_MSEC },
		{ "1h", 0, HOUR },
		{ "2 days", 0, 48 * HOUR },
		{ "1w", 0, 168 * HOUR },
		{ "7us", 0, 7000 },
		{ "1.5s", 0, 1500 * LAB_MSEC },
		{ ".25 S", 0, 250 * LAB_MSEC },
		{ "0", 0, 0 },
		{ "30", LAB_SEC, 30 * LAB_SEC },
		{ "30", LAB_MSEC, 30 * LAB_MSEC },
		{ "30s", LAB_MSEC, 30 * LAB_SEC },
		{ "unlimited", 0, UINT64_MAX },
		{ "30", 0, 1 },
		{ "", LAB_SEC, 1 },
		{ "s", LAB_SEC, 1 },
		{ "3 parsecs", LAB_SEC, 1 },
		{ "1.2.3s", LAB_SEC, 1 },
		{ "1.s", LAB_SEC, 1 },
		{ ".", LAB_SEC, 1 },
		{ "-3s", LAB_SEC, 1 },
		{ "99999999999999999999s", LAB_SEC, 1 },
		{ "201 years", LAB_SEC, 1 },
		{ "20000w", LAB_SEC, 1 },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_error err = { .code = LAB_OK };
		uint64_t ns = 1;
		int result = conf_value_time(lab_view_cstr(rows[i].text), rows[i].bare, &ns, &err);
		if (ns != rows[i].ns || (result < 0) != (rows[i].ns == 1))
			fail_msg("row %zu: '%s' gives %" PRIu64, i, rows[i].text, ns);
		if (result < 0 && strstr(err.message, rows[i].text) == NULL)
			fail_msg("row %zu: the value is not named: %s", i, err.message);
	}
}

static void sizes_count_in_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 1: an error */
	} rows[] = {
		{ "0", 0 },
		{ "17", 17 },
		{ "512M", 512u << 20 },
		{ "2G", UINT64_C(2) << 30 },
		{ "100kB", 102400 },
		{ "3 KiB", 3072 },
		{ "4T", UINT64_C(4) << 40 },
		{ "18446744073709551615 B", UINT64_MAX },
		{ "unlimited", UINT64_MAX },
		{ "", 1 },
		{ "M", 1 },
		{ "5X", 1 },
		{ "5Bx", 1 },
		{ "5Mx", 1 },
		{ "1.5M", 1 },
		{ "99999999999T", 1 },
		{ "-5", 1 },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		uint64_t bytes = 1;
		int result = conf_value_size(lab_view_cstr(rows[i].text), &bytes, NULL);
		if (bytes != rows[i].bytes || (result < 0) != (rows[i].bytes == 1))
			fail_msg("row %zu: '%s' gives %" PRIu64, i, rows[i].text, bytes);
	}
}

static void fractions_are_ppm(void **state)
{
	static const struct {
		const char *text;
		uint32_t ppm; /* 7: an error */
	} rows[] = {
		{ "1/500", 2000 },
		{ "1/3", 333333 },
		{ "2 / 3", 666667 },
		{ "60%", 600000 },
		{ "12.5 %", 125000 },
		{ "0.25", 250000 },
		{ "1", 1000000 },
		{ "0", 0 },
		{ "0%", 0 },
		{ "100%", 1000000 },
		{ "1/4000000000", 1 },
		{ "0.0000001", 1 },
		{ "2", 7 },
		{ "101%", 7 },
		{ "3/2", 7 },
		{ "1/0", 7 },
		{ "1/", 7 },
		{ "/2", 7 },
		{ "x", 7 },
		{ "%", 7 },
		{ "", 7 },
		{ "1/99999999999", 7 },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		uint32_t ppm = 7;
		int result = conf_value_fraction(lab_view_cstr(rows[i].text), &ppm, NULL);
		if (ppm != rows[i].ppm || (result < 0) != (rows[i].ppm == 7))
			fail_msg("row %zu: '%s' gives %u", i, rows[i].text, ppm);
	}
}

static void booleans_numbers_modes_and_words(void **state)
{
	static const char *const words[] = { "warn-read", "read", "stat" };
	struct lab_error err;
	uint64_t number = 0;
	uint32_t mode = 0;
	size_t word = 9;
	bool flag = false;
	(void)state;

	assert_int_equal(conf_value_bool(LAB_VIEW("Yes"), &flag, NULL), 0);
	assert_true(flag);
	assert_int_equal(conf_value_bool(LAB_VIEW("no"), &flag, NULL), 0);
	assert_false(flag);
	assert_int_equal(conf_value_bool(LAB_VIEW("maybe"), &flag, &err), -1);
	assert_string_equal(err.message, "'maybe' is not a boolean (yes or no)");
	assert_int_equal(conf_value_uint(LAB_VIEW("10"), 10, &number, NULL), 0);
	assert_int_equal(number, 10);
	assert_int_equal(conf_value_uint(LAB_VIEW("11"), 10, &number, &err), -1);
	assert_string_equal(err.message, "'11' is above the maximum of 10");
	assert_int_equal(conf_value_uint(LAB_VIEW("ten"), 10, &number, &err), -1);
	assert_int_equal(conf_value_octal(LAB_VIEW("0640"), &mode, NULL), 0);
	assert_int_equal(mode, 0640);
	assert_int_equal(conf_value_octal(LAB_VIEW("0698"), &mode, NULL), -1);
	assert_int_equal(conf_value_octal(LAB_VIEW(""), &mode, NULL), -1);
	assert_int_equal(conf_value_octal(LAB_VIEW("77777"), &mode, NULL), -1);
	assert_int_equal(conf_value_word(LAB_VIEW("stat"), words, 3, &word, NULL), 0);
	assert_int_equal(word, 2);
	assert_int_equal(conf_value_word(LAB_VIEW("raed"), words, 3, &word, &err), -1);
	assert_string_equal(
		err.message, "'raed' is not one of warn-read, read, stat (did you mean read?)");
}

static void ranges_have_four_forms(void **state)
{
	static const struct {
		const char *text;
		enum conf_unit unit;
		struct conf_range range;
	} rows[] = {
		{ "7", CONF_UNIT_COUNT, { CONF_RANGE_FIXED, 7, 7 } },
		{ "2..5", CONF_UNIT_COUNT, { CONF_RANGE_UNIFORM, 2, 5 } },
		{ " 2 .. 5 ", CONF_UNIT_COUNT, { CONF_RANGE_UNIFORM, 2, 5 } },
		{ "..12", CONF_UNIT_COUNT, { CONF_RANGE_UNIFORM, 0, 12 } },
		{ "3..", CONF_UNIT_COUNT, { CONF_RANGE_UNIFORM, 3, UINT64_MAX } },
		{ "qlog 1s..90s", CONF_UNIT_TIME, { CONF_RANGE_QLOG, LAB_SEC, 90 * LAB_SEC } },
		{ "lognormal 12ms..80ms", CONF_UNIT_TIME,
			{ CONF_RANGE_LOGNORMAL, 12 * LAB_MSEC, 80 * LAB_MSEC } },
		{ "5s..3min", CONF_UNIT_TIME, { CONF_RANGE_UNIFORM, 5 * LAB_SEC, 3 * LAB_MINUTE } },
		{ "1..5 min", CONF_UNIT_TIME, { CONF_RANGE_UNIFORM, LAB_MINUTE, 5 * LAB_MINUTE } },
		{ "10..20", CONF_UNIT_MSECS, { CONF_RANGE_UNIFORM, 10 * LAB_MSEC, 20 * LAB_MSEC } },
		{ "10..20", CONF_UNIT_SECONDS, { CONF_RANGE_UNIFORM, 10 * LAB_SEC, 20 * LAB_SEC } },
		{ "0..60%", CONF_UNIT_FRACTION, { CONF_RANGE_UNIFORM, 0, 600000 } },
		{ "qlog 1/500..1/3", CONF_UNIT_FRACTION, { CONF_RANGE_QLOG, 2000, 333333 } },
		{ "1..4k", CONF_UNIT_SIZE, { CONF_RANGE_UNIFORM, 1024, 4096 } },
	};
	static const char *const wrong[] = { "", "..", "5..2", "qlog 5", "qlog 0..5", "qlog 1..",
		"2..x", "x..2", "lognormal", "1...5", "logn 1..2" };
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_error err;
		struct conf_range range;
		if (conf_value_range(lab_view_cstr(rows[i].text), rows[i].unit, &range, &err) < 0)
			fail_msg("row %zu: %s", i, err.message);
		if (range.kind != rows[i].range.kind || range.low != rows[i].range.low ||
			range.high != rows[i].range.high)
			fail_msg("row %zu: %d %" PRIu64 "..%" PRIu64, i, (int)range.kind, range.low,
				range.high);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		struct conf_range range;
		if (conf_value_range(lab_view_cstr(wrong[i]), CONF_UNIT_COUNT, &range, NULL) == 0)
			fail_msg("'%s' is taken", wrong[i]);
	}
}

static void a_range_is_picked_from_within(void **state)
{
	static const struct conf_range ranges[] = { { CONF_RANGE_FIXED, 7, 7 },
		{ CONF_RANGE_UNIFORM, 2, 5 }, { CONF_RANGE_QLOG, 10, 1000 } };
	struct conf_range lognormal = { CONF_RANGE_LOGNORMAL, 100, 1000 };
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(ranges); i++) {
		uint64_t lowest = UINT64_MAX, highest = 0;
		for (uint64_t n = 0; n < 500; n++) {
			uint64_t value = conf_range_pick(&ranges[i], lab_draw(1, "test", i, n));
			assert_in_range(value, ranges[i].low, ranges[i].high);
			lowest = LAB_MIN(lowest, value);
			highest = LAB_MAX(highest, value);
		}
		assert_true(i == 0 || lowest < highest);
	}
	assert_in_range(conf_range_pick(&lognormal, lab_draw(1, "test", 9, 9)), 25, 16000);
}

static void ranges_are_printed_as_they_are_written(void **state)
{
	static const char *const texts[] = { "7", "2..5", "3..", "qlog 1..90", "lognormal 12..80" };
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		struct conf_range range;
		struct lab_buf out;
		lab_buf_init(&out, world.heap, 100);
		assert_int_equal(
			conf_value_range(lab_view_cstr(texts[i]), CONF_UNIT_COUNT, &range, NULL),
			0);
		conf_range_print(&range, &out);
		assert_string_equal(lab_buf_cstr(&out), texts[i]);
		lab_buf_done(&out);
	}
	test_world_done(&world);
}

static void choices_are_split_at_bars(void **state)
{
	struct conf_choices choices;
	char many[2 * CONF_CHOICES_MAX + 2];
	(void)state;

	assert_int_equal(
		conf_value_choices(LAB_VIEW("slow_down | error before|x"), &choices, NULL), 0);
	assert_int_equal(choices.count, 3);
	assert_true(lab_view_eq_cstr(choices.items[1], "error before"));
	assert_true(conf_choices_pick(&choices, lab_draw(3, "test", 0, 0)).len > 0);
	assert_int_equal(conf_value_choices(LAB_VIEW("a"), &choices, NULL), 0);
	assert_int_equal(choices.count, 1);
	assert_int_equal(conf_value_choices(LAB_VIEW(""), &choices, NULL), -1);
	assert_int_equal(conf_value_choices(LAB_VIEW("a||b"), &choices, NULL), -1);
	assert_int_equal(conf_value_choices(LAB_VIEW("a|"), &choices, NULL), -1);
	memset(many, '|', sizeof(many));
	for (size_t i = 0; i <= CONF_CHOICES_MAX; i++)
		many[2 * i] = 'a';
	assert_int_equal(
		conf_value_choices(lab_view_of(many, 2 * CONF_CHOICES_MAX + 1), &choices, NULL),
		-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_dovecots_units),
		cmocka_unit_test(sizes_count_in_1024),
		cmocka_unit_test(fractions_are_ppm),
		cmocka_unit_test(booleans_numbers_modes_and_words),
		cmocka_unit_test(ranges_have_four_forms),
		cmocka_unit_test(a_range_is_picked_from_within),
		cmocka_unit_test(ranges_are_printed_as_they_are_written),
		cmocka_unit_test(choices_are_split_at_bars),
	};
	return cmocka_run_group_tests_name("conf-value", tests, NULL, NULL);
}
