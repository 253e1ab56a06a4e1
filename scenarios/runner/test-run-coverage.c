/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a run has been: it is the same run, and a fault at one of its moments is seen there.
 */
#include "scenarios/format/testing-scenario.h"
#include "scenarios/runner/run.h"

#define QUIET \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 2 s\n  duration = 10 s\n  settle = 20 s\n}\n" \
	"site az1 {\n  backends = 1\n}\nsite az2 {\n  backends = 1\n}\n" \
	"user busy {\n  count = 2\n  mail_inbox_delivery_interval = 700 ms\n" \
	"  mail_session_interval = 1300 ms\n  mail_session_length = 1200 ms\n" \
	"  mail_action_delay = 250 ms\n  folders = 1\n  mail_inbox_delete_percentage = 30%\n}\n"

static struct testing_loader loader;

static struct run_result *run(bool has_coverage, const struct fault_episode *episode)
{
	struct run_result *result = lab_new(testing_heap, struct run_result);
	struct run_options options = { .scenario = loader.scenario,
		.seed = 3,
		.has_coverage = has_coverage,
		.episodes = episode,
		.episode_count = episode == NULL ? 0 : 1,
		.pool = lab_pool_new((size_t)4 << 30),
		.fibers = lab_fiber_pool_new(65536, 4096, NULL) };
	struct lab_error err;

	if (run_simulated(&options, result, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(result->verdict, RUN_PASS);
	assert_null(env_hold_watcher);
	lab_fiber_pool_free(&options.fibers);
	lab_pool_free(&options.pool);
	return result;
}

static int setup(void **state)
{
	int result = testing_setup(state);

	testing_loader_init(&loader);
	testing_load_ok(&loader, QUIET);
	return result;
}

/* Features of the one that the other has not. */
static size_t more(const struct run_result *a, const struct run_result *b)
{
	size_t count = 0;

	for (size_t f = 0; f < RUN_FEATURES; f++)
		count += run_covers(&a->coverage, f) && !run_covers(&b->coverage, f);
	return count;
}

static void looking_changes_nothing(void **state)
{
	const struct run_result *without = run(false, NULL), *with = run(true, NULL);
	const struct run_result none = { 0 };

	(void)state;
	assert_int_equal(with->trace_hash, without->trace_hash);
	assert_int_equal(more(without, &none), 0);
	assert_true(more(with, &none) > 20);
	assert_int_equal(more(run(true, NULL), with), 0);
}

static const struct run_moment *moment_of(const struct run_result *result, enum env_hold hold)
{
	const struct run_moment *moment = &result->coverage.moments[hold * RUN_MOMENTS_EACH];

	for (size_t i = 0; i < RUN_MOMENTS_EACH; i++) {
		if (moment[i].host[0] != '\0' && moment[i].time_ns > 2 * LAB_SEC &&
			moment[i].time_ns < 12 * LAB_SEC)
			return &moment[i];
	}
	fail_msg("%s was not passed", env_hold_name(hold));
	return NULL;
}

/* Each is seen by the moment's own host, in its own place. */
static void a_fault_at_a_moment_is_a_feature_of_its_own(void **state)
{
	static const enum env_hold holds[] = { ENV_HOLD_object_stored,
		ENV_HOLD_reverse_row_inserted, ENV_HOLD_save_before_index,
		ENV_HOLD_expunge_before_rows };
	const struct run_result *quiet = run(true, NULL);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(holds); i++) {
		const struct run_moment *moment = moment_of(quiet, holds[i]);
		struct fault_episode crash = { .kind = FAULT_crash,
			.start_ns = moment->time_ns + LAB_USEC,
			.length_ns = LAB_SEC,
			.disk = FAULT_DISK_KEEP };
		struct fault_episode hang = crash;
		const struct run_result *crashed, *hung;

		memcpy(crash.target, moment->host, sizeof(moment->host));
		memcpy(hang.target, moment->host, sizeof(moment->host));
		hang.kind = FAULT_hang;
		crashed = run(true, &crash);
		hung = run(true, &hang);
		assert_int_equal(crashed->faults[FAULT_crash], 1);
		assert_int_equal(hung->faults[FAULT_hang], 1);
		/* Within 1, 10 and 100 ms, and the kind itself. */
		assert_true(more(crashed, quiet) >= 4);
		assert_true(more(hung, quiet) >= 4);
		assert_true(more(hung, crashed) >= 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looking_changes_nothing, setup, testing_teardown),
		cmocka_unit_test_setup_teardown(
			a_fault_at_a_moment_is_a_feature_of_its_own, setup, testing_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
