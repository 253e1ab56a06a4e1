/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs that end cleanly or not, and what is believed of what they wrote.
 */
#include "core/fs/testing/rig-test.h"
#include "core/obox/reboots.h"

static struct lab_view stamp_of(struct rig *rig, const struct reboots *reboots)
{
	struct lab_buf out;
	struct lab_view ret;

	lab_buf_init(&out, rig->hosts[0].env->heap, 64);
	reboots_stamp(reboots, &out);
	ret = lab_arena_copy(rig->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return ret;
}

static bool believes(const struct reboots *reboots, struct lab_view stamp)
{
	struct lab_reader reader = { .rest = stamp };

	return reboots_check(reboots, &reader);
}

/* A process that is gone: its memory is, too. */
static void be_killed(struct rig *rig, struct reboots *reboots)
{
	lab_heap_free(rig->hosts[0].env->heap, reboots);
}

static struct lab_view run_cleanly(struct rig *rig)
{
	struct reboots *reboots = reboots_start(rig->hosts[0].env);
	struct lab_view stamp = stamp_of(rig, reboots);

	assert_true(believes(reboots, stamp));
	reboots_stop(&reboots);
	assert_null(reboots);
	return stamp;
}

static bool is_believed_now(struct rig *rig, struct lab_view stamp)
{
	struct reboots *reboots = reboots_start(rig->hosts[0].env);
	bool ret = believes(reboots, stamp);

	reboots_stop(&reboots);
	return ret;
}

RIG_TEST(after_clean_stops_what_was_written_is_believed)
{
	struct lab_view first = run_cleanly(rig), second = run_cleanly(rig);

	assert_true(is_believed_now(rig, first));
	assert_true(is_believed_now(rig, second));
	assert_false(lab_view_eq(first, second));
}

RIG_TEST(nothing_is_believed_that_was_written_before_a_run_that_ended_uncleanly)
{
	struct lab_view before = run_cleanly(rig), during, after;
	struct reboots *killed = reboots_start(rig->hosts[0].env);

	during = stamp_of(rig, killed);
	be_killed(rig, killed);
	assert_false(is_believed_now(rig, before));
	assert_false(is_believed_now(rig, during));
	after = run_cleanly(rig);
	assert_true(is_believed_now(rig, after));
	assert_false(is_believed_now(rig, before));
}

RIG_TEST(stamps_of_another_disk_are_not_believed)
{
	struct lab_view stamp = run_cleanly(rig);
	struct lab_error err;

	OK(env_unlink(rig->hosts[0].env, REBOOTS_PATH, &err));
	assert_false(is_believed_now(rig, stamp));
	/* The same number, but not the same run. */
	(void)run_cleanly(rig);
	assert_false(is_believed_now(rig, stamp));
	assert_false(is_believed_now(rig, LAB_VIEW("short")));
}

RIG_TEST(a_file_that_makes_no_sense_is_begun_anew)
{
	static const char *const bad[] = { "1 2", "1 2 open", "x 2 open\n", "1 x open\n",
		"1 2 closed\n", "1 2 open 3\n", "1 2 open\n3 4 open\n", "\n1 2 open\n" };
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		struct lab_view stamp = run_cleanly(rig);

		OK(env_file_replace(
			rig->hosts[0].env, REBOOTS_PATH, lab_view_cstr(bad[i]), true, &err));
		assert_row(i, !is_believed_now(rig, stamp));
		stamp = run_cleanly(rig);
		assert_row(i, is_believed_now(rig, stamp));
	}
}

RIG_TEST(only_the_last_runs_are_kept)
{
	struct lab_view first = run_cleanly(rig), recent = { NULL, 0 };

	for (unsigned i = 0; i < REBOOTS_MAX; i++) {
		struct lab_view stamp = run_cleanly(rig);

		if (i == 10)
			recent = stamp;
	}
	assert_false(is_believed_now(rig, first));
	assert_true(is_believed_now(rig, recent));
}

RIG_TEST(without_a_disk_nothing_is_believed)
{
	struct lab_view stamp = run_cleanly(rig);
	struct reboots *reboots;

	world_disk_limit(rig->hosts[0].host, 1);
	reboots = reboots_start(rig->hosts[0].env);
	assert_false(believes(reboots, stamp));
	assert_false(believes(reboots, stamp_of(rig, reboots)));
	reboots_stop(&reboots);
	world_disk_limit(rig->hosts[0].host, 1 << 20);
	/* It left no trace, and wrote nothing that would be believed. */
	assert_true(is_believed_now(rig, stamp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(after_clean_stops_what_was_written_is_believed),
		RIG_UNIT_TEST(
			nothing_is_believed_that_was_written_before_a_run_that_ended_uncleanly),
		RIG_UNIT_TEST(stamps_of_another_disk_are_not_believed),
		RIG_UNIT_TEST(a_file_that_makes_no_sense_is_begun_anew),
		RIG_UNIT_TEST(only_the_last_runs_are_kept),
		RIG_UNIT_TEST(without_a_disk_nothing_is_believed),
	};

	return cmocka_run_group_tests_name("reboots", tests, NULL, NULL);
}
