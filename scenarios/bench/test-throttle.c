/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "scenarios/bench/throttle.h"

#define WRITES 3500
#define READS 5500
#define PER_S(count, options) ((count)*LAB_SEC / (options)->window_ns)

static struct throttle_result ask(const struct throttle_options *options)
{
	struct throttle_result result;
	struct lab_error err;

	if (throttle_run(options, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

/* Within 1 %. */
static void assert_rate(uint64_t got, uint64_t expected)
{
	assert_in_range(got, expected - expected / 100, expected + expected / 100);
}

/* Both budgets are asked for more than they have, at the same time. */
static void assert_limits(const struct throttle_options *options, uint64_t partitions)
{
	struct throttle_result r = ask(options);

	assert_rate(PER_S(r.writes.accepted, options), partitions * WRITES);
	assert_rate(PER_S(r.reads.accepted, options), partitions * READS);
	/* More was offered; else it would not be the limit that was measured. */
	assert_true(r.writes.refused > r.writes.accepted / 10);
	assert_true(r.reads.refused > r.reads.accepted / 10);
}

static const struct throttle_options one = { .seed = 1,
	.burst_ns = LAB_SEC,
	.warmup_ns = 4 * LAB_SEC,
	.window_ns = LAB_SEC,
	.writers = 3,
	.readers = 4 };

static void one_partition_lets_pass_what_aws_says(void **state)
{
	(void)state;
	assert_limits(&one, 1);
}

static void sixteen_partitions_let_pass_16_times_as_much(void **state)
{
	struct throttle_options o = one;

	(void)state;
	o.hex_layers = 1;
	o.burst_ns = 20 * LAB_MSEC;
	o.warmup_ns = 100 * LAB_MSEC;
	o.window_ns = 200 * LAB_MSEC;
	assert_limits(&o, 16);
}

static void partitions_256_let_pass_256_times_as_much(void **state)
{
	struct throttle_options o = one;

	(void)state;
	o.hex_layers = 2;
	o.burst_ns = 5 * LAB_MSEC;
	o.warmup_ns = 20 * LAB_MSEC;
	o.window_ns = 20 * LAB_MSEC;
	assert_limits(&o, 256);
}

static void a_shared_budget_is_used_by_both(void **state)
{
	struct throttle_options o = one;
	struct throttle_result r;
	uint64_t parts;

	(void)state;
	o.shared_budget = true;
	r = ask(&o);
	/* Millionths of the one budget. A read, which costs less, is the first to have enough. */
	parts = r.writes.accepted * 1000000 / WRITES + r.reads.accepted * 1000000 / READS;
	assert_rate(parts, 1000000);
	assert_true(r.writes.accepted < WRITES * 9 / 10);
	assert_true(r.reads.refused > 0 && r.writes.refused > 0);
}

static void too_few_clients_are_not_limited(void **state)
{
	struct throttle_options o = one;
	struct throttle_result r;

	(void)state;
	o.writers = o.readers = 1;
	r = ask(&o);
	/* Answered every 500 us. */
	assert_rate(r.writes.accepted, 2000);
	assert_rate(r.reads.accepted, 2000);
	assert_int_equal(r.writes.refused + r.reads.refused, 0);
}

static void the_same_seed_gives_the_same_counts(void **state)
{
	struct throttle_options o = one;
	struct throttle_result a, b;

	(void)state;
	o.warmup_ns = o.window_ns = LAB_SEC / 2;
	a = ask(&o);
	b = ask(&o);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void options_without_sense_are_refused(void **state)
{
	struct throttle_options o = one;
	struct throttle_result r;
	struct lab_error err;

	(void)state;
	o.writers = o.readers = 0;
	assert_int_equal(throttle_run(&o, &r, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	o = one;
	o.hex_layers = 3;
	assert_int_equal(throttle_run(&o, &r, &err), -1);
	o = one;
	o.window_ns = 0;
	assert_int_equal(throttle_run(&o, &r, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_partition_lets_pass_what_aws_says),
		cmocka_unit_test(sixteen_partitions_let_pass_16_times_as_much),
		cmocka_unit_test(partitions_256_let_pass_256_times_as_much),
		cmocka_unit_test(a_shared_budget_is_used_by_both),
		cmocka_unit_test(too_few_clients_are_not_limited),
		cmocka_unit_test(the_same_seed_gives_the_same_counts),
		cmocka_unit_test(options_without_sense_are_refused),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
