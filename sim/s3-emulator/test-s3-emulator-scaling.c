/* SPDX-License-Identifier: Apache-2.0
 *
 * Key ranges that are split and merged by themselves; writes to one key.
 */
#include "sim/s3-emulator/testing-s3.h"

static void start(void)
{
	t.options.verify_signatures = false;
	t.options.hash_bodies = false;
	t.options.rates.writes_per_s = t.options.rates.reads_per_s = 4;
	t.options.rates.burst_ns = LAB_SEC;
	t.options.scaling.split_after_ns = S3EMU_SPLIT_AFTER_NS;
	t.options.scaling.partitions_max = 8;
	t.sign = T_UNSIGNED;
	t_start();
}

static size_t partitions(void)
{
	return s3emu_partition_count(t.s3, LAB_VIEW(T_BUCKET));
}

static struct s3emu_partition_info partition_at(size_t index)
{
	struct s3emu_partition_info info;

	assert_true(s3emu_partition_at(t.s3, LAB_VIEW(T_BUCKET), index, &info));
	return info;
}

/* GETs of keys "0".."f" in turns, behind a prefix; how many were not refused. */
static size_t offer(const char *prefix, size_t per_s, size_t seconds)
{
	size_t admitted = 0;

	for (size_t i = 0; i < seconds * per_s; i++) {
		const char *target =
			lab_arena_printf(t.arena, "/mail/%s%zx/abcdefgh", prefix, i * 7 % 16);

		if (i % per_s == 0)
			t_advance(LAB_SEC);
		admitted += t_get(target) == 404;
		lab_arena_reset(t.arena);
	}
	return admitted;
}

static void a_range_is_split_after_half_an_hour(void **state)
{
	(void)state;

	start();
	(void)offer("", 8, 29 * 60);
	assert_int_equal(partitions(), 1);
	(void)offer("", 8, 2 * 60);
	assert_int_equal(partitions(), 2);
	assert_int_equal(s3emu_counters(t.s3)->splits, 1);
	/* In the middle of what is asked for, give or take a sampling error. */
	assert_int_equal(partition_at(1).start.len, 1);
	assert_in_range(partition_at(1).start.ptr[0], '6', 'a');
	assert_true(partition_at(1).is_split);
	assert_in_range(partition_at(1).since_ns, 1800 * LAB_SEC, 1860 * LAB_SEC);
	assert_false(partition_at(0).is_split);
	/* Now almost all passes. */
	assert_in_range(offer("", 8, 60), 400, 480);
}

static void what_is_overloaded_goes_on_being_split(void **state)
{
	(void)state;

	start();
	(void)offer("", 40, 5 * 1800);
	assert_int_equal(partitions(), 8);
	for (size_t i = 1; i < partitions(); i++)
		assert_true(lab_view_cmp(partition_at(i - 1).start, partition_at(i).start) < 0);
	/* Not beyond its bound; each part carries the rate of one. */
	(void)offer("", 40, 3 * 1800);
	assert_int_equal(partitions(), 8);
	assert_in_range(offer("", 40, 100), 2900, 3200);
}

static void overload_has_to_last(void **state)
{
	(void)state;

	start();
	for (int i = 0; i < 5; i++) {
		(void)offer("", 8, 20 * 60);
		(void)offer("", 1, 3 * 60);
	}
	assert_int_equal(partitions(), 1);
	/* Silence ends it, too. */
	(void)offer("", 8, 20 * 60);
	t_advance(600 * LAB_SEC);
	(void)offer("", 8, 20 * 60);
	assert_int_equal(partitions(), 1);
}

static void one_key_cannot_be_split(void **state)
{
	(void)state;

	start();
	for (size_t i = 0; i < 8 * 7200; i++) {
		if (i % 8 == 0)
			t_advance(LAB_SEC);
		(void)t_get("/mail/hot");
		lab_arena_reset(t.arena);
	}
	assert_int_equal(partitions(), 1);
	assert_int_equal(s3emu_counters(t.s3)->splits, 0);
}

static void keys_may_be_as_different_as_can_be(void **state)
{
	(void)state;

	/* Nine tenths go to one key: the split is beside it. */
	start();
	for (size_t i = 0; i < 8 * 3600 && partitions() == 1; i++) {
		if (i % 8 == 0)
			t_advance(LAB_SEC);
		(void)t_get(i % 10 == 0 ? "/mail/a" : "/mail/hot");
		lab_arena_reset(t.arena);
	}
	assert_int_equal(partitions(), 2);
	assert_true(lab_view_eq_cstr(partition_at(1).start, "h"));
}

static void it_is_never_split_where_that_is_off(void **state)
{
	(void)state;

	start();
	t.options.scaling.split_after_ns = 0;
	t_start();
	(void)offer("", 8, 7200);
	assert_int_equal(partitions(), 1);
}

static void halves_grow_into_their_rates(void **state)
{
	size_t first, last;
	(void)state;

	t.options.scaling.ramp_ns = 600 * LAB_SEC;
	start();
	while (partitions() == 1)
		(void)offer("", 16, 1);
	first = offer("", 16, 60);
	t_advance(600 * LAB_SEC);
	(void)offer("", 16, 1);
	last = offer("", 16, 60);
	/* Two halves at a half and a bit, then two at the whole. */
	assert_in_range(first, 240, 280);
	assert_in_range(last, 470, 484);
}

static void cold_ranges_are_merged(void **state)
{
	(void)state;

	t.options.scaling.merge_after_ns = 3600 * LAB_SEC;
	start();
	(void)offer("", 8, 31 * 60);
	assert_int_equal(partitions(), 2);
	/* Busy: it stays. */
	(void)offer("", 5, 3 * 3600);
	assert_int_equal(partitions(), 2);
	(void)offer("", 1, 3 * 3600);
	assert_int_equal(partitions(), 1);
	assert_int_equal(s3emu_counters(t.s3)->merges, 1);
	/* And must be split again. */
	(void)offer("", 8, 31 * 60);
	assert_int_equal(partitions(), 2);
	assert_int_equal(s3emu_counters(t.s3)->splits, 2);
}

/* GETs of one key; it is in the lower half. */
static void offer_low(size_t per_s, size_t seconds)
{
	for (size_t i = 0; i < per_s * seconds; i++) {
		if (i % per_s == 0)
			t_advance(LAB_SEC);
		(void)t_get("/mail/0/abc");
		lab_arena_reset(t.arena);
	}
}

static void a_cold_range_stays_beside_a_busy_one(void **state)
{
	(void)state;

	t.options.scaling.merge_after_ns = 3600 * LAB_SEC;
	start();
	(void)offer("", 8, 31 * 60);
	assert_int_equal(partitions(), 2);
	offer_low(3, 3 * 3600);
	assert_int_equal(partitions(), 2);
	offer_low(1, 3 * 3600);
	assert_int_equal(partitions(), 1);
}

static void given_ranges_are_not_merged(void **state)
{
	struct s3emu_partitions given = { .hex_layers = 1 };
	(void)state;

	t.options.scaling.merge_after_ns = 600 * LAB_SEC;
	start();
	assert_int_equal(s3emu_bucket_partition(t.s3, LAB_VIEW(T_BUCKET), &given, NULL, NULL), 0);
	(void)offer("", 1, 3600);
	assert_int_equal(partitions(), 16);
}

static void what_ranges_did_is_counted(void **state)
{
	struct s3emu_partitions given = { .hex_layers = 1 };
	(void)state;

	start();
	assert_int_equal(s3emu_bucket_partition(t.s3, LAB_VIEW(T_BUCKET), &given, NULL, NULL), 0);
	for (int i = 0; i < 15; i++)
		(void)t_put("/mail/7x", "x");
	for (int i = 0; i < 4; i++)
		(void)t_get("/mail/7x");
	assert_int_equal(partition_at(7).accepted_writes, 4);
	assert_int_equal(partition_at(7).accepted_reads, 4);
	assert_int_equal(partition_at(7).refused, 11);
	assert_int_equal(partition_at(6).accepted_reads, 0);
	assert_true(lab_view_eq_cstr(partition_at(7).start, "7"));
	assert_int_equal(s3emu_partition_count(t.s3, LAB_VIEW("none")), 0);
}

static void a_bulk_delete_may_split(void **state)
{
	static const char body[] = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key>"
				   "</Object><Object><Key>c</Key></Object></Delete>";
	(void)state;

	start();
	for (size_t i = 0; i < 31 * 60 * 2; i++) {
		if (i % 2 == 0)
			t_advance(LAB_SEC);
		t_content_md5(lab_view_cstr(body));
		(void)t_send("POST", "/mail?delete", lab_view_cstr(body));
		lab_arena_reset(t.arena);
	}
	assert_int_equal(partitions(), 2);
	/* Counted key by key: a full bucket holds four, so that of two requests a second, of three
	 * keys each, one passes. */
	assert_in_range(partition_at(0).refused, 30 * 60 * 3, 31 * 60 * 3);
	assert_in_range(partition_at(0).accepted_writes, 30 * 60 * 3, 31 * 60 * 3);
}

static void the_same_requests_split_alike(void **state)
{
	char starts[2][256];
	(void)state;

	for (size_t run = 0; run < 2; run++) {
		size_t used = 0;

		t.now = 0;
		start();
		(void)offer("", 40, 3 * 1800);
		for (size_t i = 1; i < partitions(); i++)
			used += (size_t)snprintf(starts[run] + used, sizeof(starts[run]) - used,
				"%.*s ", LAB_VIEW_ARG(partition_at(i).start));
	}
	assert_string_equal(starts[0], starts[1]);
}

/* ---- one key ---- */

static void writes_to_one_key_may_be_too_fast(void **state)
{
	(void)state;

	t.options.scaling.key_write_interval_ns = 100 * LAB_MSEC;
	t_start();
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_code(t_put("/mail/k", "y"), 503, "SlowDown");
	assert_int_equal(t_put("/mail/other", "y"), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	t_advance(99 * LAB_MSEC);
	assert_int_equal(t_put("/mail/k", "y"), 503);
	t_advance(LAB_MSEC);
	assert_int_equal(t_put("/mail/k", "y"), 200);
	assert_int_equal(t_delete("/mail/k"), 204);
	assert_int_equal(s3emu_counters(t.s3)->throttled, 2);
	t.options.scaling.key_write_interval_ns = 0;
	t_start();
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_put("/mail/k", "x"), 200);
}

static void options_have_bounds(void **state)
{
	struct lab_error err;
	struct s3emu *s3;
	(void)state;

	t.options.scaling.partitions_max = S3EMU_PARTITIONS_MAX + 1;
	assert_int_equal(s3emu_new(testing_pool, &t.options, &s3, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	t.options.scaling.partitions_max = 0;
	t.options.scaling.key_write_interval_ns = 61 * LAB_MINUTE;
	assert_int_equal(s3emu_new(testing_pool, &t.options, &s3, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(a_range_is_split_after_half_an_hour),
		t_test(what_is_overloaded_goes_on_being_split),
		t_test(overload_has_to_last),
		t_test(one_key_cannot_be_split),
		t_test(keys_may_be_as_different_as_can_be),
		t_test(it_is_never_split_where_that_is_off),
		t_test(halves_grow_into_their_rates),
		t_test(cold_ranges_are_merged),
		t_test(a_cold_range_stays_beside_a_busy_one),
		t_test(given_ranges_are_not_merged),
		t_test(what_ranges_did_is_counted),
		t_test(a_bulk_delete_may_split),
		t_test(the_same_requests_split_alike),
		t_test(writes_to_one_key_may_be_too_fast),
		t_test(options_have_bounds),
	};

	return cmocka_run_group_tests_name("s3-emulator scaling", tests, NULL, NULL);
}
