/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include <stdlib.h>

enum {
	DRAWS = 200000
};

static uint64_t draw_number(unsigned i)
{
	return lab_draw(42, "test", 0, i);
}

/* Saved seeds and trace hashes mean the same on every machine and for ever: these values are part
 * of the contract. */
static void hashes_are_the_same_everywhere(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
		{ 0, UINT64_C(0xb147db07d90291bb) },
		{ 1, UINT64_C(0xddb5943c4dd58236) },
		{ 3, UINT64_C(0xbf664d9909fc2c4d) },
		{ 7, UINT64_C(0x2265bf640557904f) },
		{ 8, UINT64_C(0xde58e4c6fed9e2fe) },
		{ 13, UINT64_C(0x8a23d0df982ab898) },
		{ 31, UINT64_C(0x6b28e0ad4f7859e1) },
		{ 32, UINT64_C(0xa4583aa468f49a0a) },
		{ 100, UINT64_C(0x613324667fbf8220) },
	};
	uint8_t data[100];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, lab_hash_bytes(5, data, rows[i].len) == rows[i].hash);
	assert_true(lab_mix64(0) == UINT64_C(0x4e17cf67001b3979));
	assert_true(lab_hash_fold(1, 2) == UINT64_C(0x6c5842f5f2ccbadf));
	assert_true(lab_draw(1, "s3.put.fault", 2, 3) == UINT64_C(0x79a6e0e9ef751c2d));
}

static int compare_u64(const void *_a, const void *_b)
{
	const uint64_t *a = _a, *b = _b;

	return *a < *b ? -1 : (*a > *b ? 1 : 0);
}

static void hash_depends_on_every_byte_and_the_length(void **state)
{
	static uint64_t hashes[70 * 71];
	uint8_t data[70] = { 0 };
	size_t count = 0;

	(void)state;
	for (size_t len = 0; len <= sizeof(data); len++) {
		hashes[count++] = lab_hash_bytes(1, data, len);
		for (size_t at = 0; at < len && count < LAB_COUNT_OF(hashes); at++) {
			data[at] = 1;
			hashes[count++] = lab_hash_bytes(1, data, len);
			data[at] = 0;
		}
	}
	qsort(hashes, count, sizeof(hashes[0]), compare_u64);
	for (size_t i = 1; i < count; i++)
		assert_row(i, hashes[i] != hashes[i - 1]);
	assert_true(lab_hash_bytes(1, "a", 1) != lab_hash_bytes(2, "a", 1));
	assert_true(lab_hash_view(3, LAB_VIEW("ab")) == lab_hash_bytes(3, "ab", 2));
}

static void hash_reads_unaligned_bytes(void **state)
{
	uint8_t data[120];

	(void)state;
	for (size_t shift = 0; shift < 16; shift++) {
		for (size_t i = 0; i < 100; i++)
			data[shift + i] = (uint8_t)i;
		assert_row(shift, lab_hash_bytes(9, data + shift, 100) ==
					  lab_hash_bytes(9, memmove(data, data + shift, 100), 100));
	}
}

static void one_bit_changes_half_of_the_hash(void **state)
{
	uint64_t flipped = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t value = draw_number(i), other = value ^ (UINT64_C(1) << (i % 64));

		flipped += (uint64_t)__builtin_popcountll(lab_mix64(value) ^ lab_mix64(other));
		flipped += (uint64_t)__builtin_popcountll(
			lab_hash_bytes(0, &value, 8) ^ lab_hash_bytes(0, &other, 8));
		flipped += (uint64_t)__builtin_popcountll(
			lab_draw(value, "x", 0, 0) ^ lab_draw(other, "x", 0, 0));
	}
	assert_in_range(flipped, 3000 * 31, 3000 * 33);
}

static void order_of_folding_matters(void **state)
{
	(void)state;
	assert_true(lab_hash_fold(lab_hash_fold(0, 1), 2) != lab_hash_fold(lab_hash_fold(0, 2), 1));
	assert_true(lab_hash_fold(0, 0) != lab_hash_fold(lab_hash_fold(0, 0), 1));
}

static void draw_depends_on_all_of_its_key(void **state)
{
	uint64_t base = lab_draw(1, "a.b", 2, 3);

	(void)state;
	assert_true(base == lab_draw(1, "a.b", 2, 3));
	assert_true(base != lab_draw(2, "a.b", 2, 3));
	assert_true(base != lab_draw(1, "a.c", 2, 3));
	assert_true(base != lab_draw(1, "a.b", 3, 3));
	assert_true(base != lab_draw(1, "a.b", 2, 4));
	assert_true(base != lab_draw(1, "a.b", 3, 2));
}

static void picks_are_uniform_and_in_range(void **state)
{
	unsigned counts[10] = { 0 };

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t value = lab_pick_range(draw_number(i), 5, 14);

		assert_row(i, value >= 5 && value <= 14);
		counts[value - 5]++;
	}
	for (size_t i = 0; i < 10; i++)
		assert_row(
			i, counts[i] > DRAWS / 10 * 97 / 100 && counts[i] < DRAWS / 10 * 103 / 100);
	assert_int_equal(lab_pick(UINT64_MAX, 7), 6);
	assert_int_equal(lab_pick(0, 7), 0);
	assert_int_equal(lab_pick(UINT64_MAX, 1), 0);
	assert_true(lab_pick_range(77, 0, UINT64_MAX) == 77);
	assert_int_equal(lab_pick_range(draw_number(1), 3, 3), 3);
	assert_asserts((void)lab_pick(1, 0));
	assert_asserts((void)lab_pick_range(1, 3, 2));
}

static void chances_happen_as_often_as_stated(void **state)
{
	static const uint32_t rates[] = { 0, 1000, 10000, 250000, 500000, 999000, 1000000,
		2000000 };

	(void)state;
	for (size_t r = 0; r < LAB_COUNT_OF(rates); r++) {
		uint64_t happened = 0, rate = LAB_MIN(rates[r], 1000000u);

		for (unsigned i = 0; i < DRAWS; i++)
			happened += lab_chance(lab_draw(3, "chance", r, i), rates[r]);
		/* Within five standard deviations; exactly at the ends. */
		int64_t off = (int64_t)happened - (int64_t)(rate * DRAWS / 1000000);
		uint64_t variance = rate * (1000000 - rate) / 1000000 * DRAWS / 1000000;
		assert_row(r, (uint64_t)(off * off) <= 25 * variance);
	}
}

/* Records DRAWS picks; the histogram is 0.8 % exact. */
static const struct lab_histogram *measure(
	uint64_t (*pick)(uint64_t draw, uint64_t low, uint64_t high), uint64_t low, uint64_t high)
{
	static struct lab_histogram histogram;

	lab_histogram_init(&histogram);
	for (unsigned i = 0; i < DRAWS; i++)
		lab_histogram_record(&histogram, pick(draw_number(i), low, high));
	return &histogram;
}

static bool is_near(uint64_t value, uint64_t expected, uint64_t percent)
{
	return value >= expected - expected * percent / 100 &&
	       value <= expected + expected * percent / 100;
}

static void qlog_spreads_evenly_over_the_magnitudes(void **state)
{
	const struct lab_histogram *h = measure(lab_pick_qlog, 1000, 1000000000);

	(void)state;
	assert_true(h->min >= 1000 && h->max <= 1000000000);
	assert_true(is_near(lab_histogram_quantile(h, 166667), 10000, 3));
	assert_true(is_near(lab_histogram_quantile(h, 500000), 1000000, 4));
	assert_true(is_near(lab_histogram_quantile(h, 833333), 100000000, 3));
}

static void qlog_reaches_both_ends(void **state)
{
	const struct lab_histogram *h = measure(lab_pick_qlog, 1, 3);

	(void)state;
	/* floor of [1, 4) in even logarithms: a half, then 29 %, then 21 %. */
	assert_true(is_near(h->counters[1], DRAWS / 2, 2));
	assert_true(is_near(h->counters[2], DRAWS * 292 / 1000, 3));
	assert_true(is_near(h->counters[3], DRAWS * 208 / 1000, 3));
	assert_int_equal(lab_pick_qlog(0, 1, 1), 1);
	assert_int_equal(lab_pick_qlog(UINT64_MAX, 1, 1), 1);
	assert_int_equal(lab_pick_qlog(0, 90, 90), 90);
	assert_true(lab_pick_qlog(UINT64_MAX, 1, UINT64_MAX) > UINT64_MAX / 1000 * 999);
	assert_int_equal(lab_pick_qlog(0, 1, UINT64_MAX), 1);
	assert_asserts((void)lab_pick_qlog(1, 0, 1));
}

static void lognormal_has_the_stated_quantiles(void **state)
{
	static const struct {
		uint64_t low, high, median;
	} rows[] = { { 12000000, 80000000, 30983867 }, { 1000000, 4000000, 2000000 },
		{ 100000, 100000, 100000 }, { 50, 5000, 500 } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const struct lab_histogram *h =
			measure(lab_pick_lognormal, rows[i].low, rows[i].high);

		assert_row(i, is_near(lab_histogram_quantile(h, 50000), rows[i].low, 3));
		assert_row(i, is_near(lab_histogram_quantile(h, 500000), rows[i].median, 3));
		assert_row(i, is_near(lab_histogram_quantile(h, 950000), rows[i].high, 3));
		assert_row(i, h->min >= rows[i].low / 4 && h->max <= rows[i].high * 16);
	}
	/* 2.326 / 1.645 of the way from the median, in logarithms: 2000000 * 2^1.4143. */
	const struct lab_histogram *h = measure(lab_pick_lognormal, 1000000, 4000000);
	assert_true(is_near(lab_histogram_quantile(h, 990000), 5330000, 4));
}

static void lognormal_is_clamped_at_its_ends(void **state)
{
	/* The draws of the longest tails, and one that is the median. */
	(void)state;
	assert_int_equal(lab_pick_lognormal(0, 1000, 1000000), 16000000);
	assert_int_equal(lab_pick_lognormal(UINT64_C(1) << 63, 1000, 1000000), 250);
	assert_int_equal(lab_pick_lognormal(UINT64_C(1) << 63, 1, 1000000), 1);
	assert_true(is_near(lab_pick_lognormal(UINT64_MAX, 1000, 100000), 10000, 1));
	assert_true(is_near(lab_pick_lognormal(INT64_MAX, 1000, 100000), 10000, 1));
	assert_true(lab_pick_lognormal(0, 1, UINT64_MAX) == UINT64_MAX);
	assert_asserts((void)lab_pick_lognormal(1, 0, 1));
	assert_asserts((void)lab_pick_lognormal(1, 2, 1));
}

static uint64_t pick_exponential(uint64_t draw, uint64_t low, uint64_t mean)
{
	(void)low;
	return lab_pick_exponential(draw, mean);
}

static void exponential_has_the_stated_mean(void **state)
{
	const struct lab_histogram *h = measure(pick_exponential, 0, 1000000);

	(void)state;
	assert_true(is_near(lab_histogram_mean(h), 1000000, 1));
	assert_true(is_near(lab_histogram_quantile(h, 500000), 693147, 2));
	assert_true(is_near(lab_histogram_quantile(h, 900000), 2302585, 2));
	assert_int_equal(lab_pick_exponential(0, 1000), 20000);
	assert_int_equal(lab_pick_exponential(UINT64_MAX, 1000), 0);
	assert_int_equal(lab_pick_exponential(12345, 0), 0);
	assert_true(lab_pick_exponential(0, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_the_same_everywhere),
		cmocka_unit_test(hash_depends_on_every_byte_and_the_length),
		cmocka_unit_test(hash_reads_unaligned_bytes),
		cmocka_unit_test(one_bit_changes_half_of_the_hash),
		cmocka_unit_test(order_of_folding_matters),
		cmocka_unit_test(draw_depends_on_all_of_its_key),
		cmocka_unit_test(picks_are_uniform_and_in_range),
		cmocka_unit_test(chances_happen_as_often_as_stated),
		cmocka_unit_test(qlog_spreads_evenly_over_the_magnitudes),
		cmocka_unit_test(qlog_reaches_both_ends),
		cmocka_unit_test(lognormal_has_the_stated_quantiles),
		cmocka_unit_test(lognormal_is_clamped_at_its_ends),
		cmocka_unit_test(exponential_has_the_stated_mean),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
