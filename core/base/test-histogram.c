/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static struct lab_histogram h, other;

static void counters_cover_every_value_within_the_stated_error(void **state)
{
	(void)state;
	assert_int_equal(lab_histogram_index(0), 0);
	assert_int_equal(lab_histogram_index(UINT64_MAX), LAB_HISTOGRAM_COUNTERS - 1);
	assert_true(lab_histogram_upper(LAB_HISTOGRAM_COUNTERS - 1) == UINT64_MAX);
	for (unsigned i = 0; i < LAB_HISTOGRAM_COUNTERS; i++) {
		uint64_t upper = lab_histogram_upper(i);
		uint64_t lower = i == 0 ? 0 : lab_histogram_upper(i - 1) + 1;

		assert_row(i, lab_histogram_index(upper) == i);
		assert_row(i, lab_histogram_index(lower) == i);
		/* 1 / 128 is below 0.8 %. */
		assert_row(i, upper - lower <= lower / 128);
	}
	assert_asserts((void)lab_histogram_upper(LAB_HISTOGRAM_COUNTERS));
}

static void empty_histogram_is_zero(void **state)
{
	(void)state;
	lab_histogram_init(&h);
	assert_true(h.min == UINT64_MAX);
	assert_int_equal(lab_histogram_quantile(&h, 500000), 0);
	assert_int_equal(lab_histogram_mean(&h), 0);
}

static void quantiles_are_those_of_the_values(void **state)
{
	(void)state;
	lab_histogram_init(&h);
	for (uint64_t value = 1; value <= 100; value++)
		lab_histogram_record(&h, value);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100);
	assert_int_equal(h.sum, 5050);
	assert_int_equal(lab_histogram_mean(&h), 50);
	assert_int_equal(lab_histogram_quantile(&h, 0), 1);
	assert_int_equal(lab_histogram_quantile(&h, 1), 1);
	assert_int_equal(lab_histogram_quantile(&h, 10000), 1);
	assert_int_equal(lab_histogram_quantile(&h, 10001), 2);
	assert_int_equal(lab_histogram_quantile(&h, 500000), 50);
	assert_int_equal(lab_histogram_quantile(&h, 990000), 99);
	assert_int_equal(lab_histogram_quantile(&h, 1000000), 100);
	assert_int_equal(lab_histogram_quantile(&h, 2000000), 100);
}

static void quantile_never_exceeds_the_maximum(void **state)
{
	(void)state;
	lab_histogram_init(&h);
	lab_histogram_record(&h, 1000001);
	assert_int_equal(lab_histogram_quantile(&h, 500000), 1000001);
	lab_histogram_record(&h, 5000000);
	uint64_t low = lab_histogram_quantile(&h, 500000);
	assert_true(low >= 1000001 && low <= 1000001 + 1000001 / 128);
}

static void merge_is_exact(void **state)
{
	static struct lab_histogram whole;

	(void)state;
	lab_histogram_init(&h);
	lab_histogram_init(&other);
	lab_histogram_init(&whole);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t value = lab_pick_qlog(lab_draw(1, "merge", 0, i), 1, UINT64_C(1) << 40);

		lab_histogram_record(i % 3 == 0 ? &h : &other, value);
		lab_histogram_record(&whole, value);
	}
	lab_histogram_merge(&h, &other);
	assert_memory_equal(&h, &whole, sizeof(h));
	lab_histogram_init(&other);
	lab_histogram_merge(&h, &other);
	assert_memory_equal(&h, &whole, sizeof(h));
}

static void sum_saturates(void **state)
{
	(void)state;
	lab_histogram_init(&h);
	lab_histogram_record(&h, UINT64_MAX);
	lab_histogram_record(&h, 1);
	assert_true(h.sum == UINT64_MAX);
	lab_histogram_init(&other);
	lab_histogram_record(&other, 5);
	lab_histogram_merge(&other, &h);
	assert_true(other.sum == UINT64_MAX);
	assert_int_equal(other.count, 3);
	assert_int_equal(other.min, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_cover_every_value_within_the_stated_error),
		cmocka_unit_test(empty_histogram_is_zero),
		cmocka_unit_test(quantiles_are_those_of_the_values),
		cmocka_unit_test(quantile_never_exceeds_the_maximum),
		cmocka_unit_test(merge_is_exact),
		cmocka_unit_test(sum_saturates),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
