/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

#include "core/env/env-private.h"

/* What happened, as a text: one letter for each step. */
static char steps[256];

static void note(const char *step)
{
	assert_true(strlen(steps) + strlen(step) < sizeof(steps));
	memcpy(steps + strlen(steps), step, strlen(step) + 1);
}

static int setup(void **state)
{
	steps[0] = '\0';
	return test_setup(state);
}

static void note_action(void *ctx)
{
	note(ctx);
}

static void note_at(struct test_world *test, uint64_t time_ns, const char *step)
{
	world_at(test->world, time_ns, note_action, (void *)(uintptr_t)step);
}

static void events_happen_in_the_order_of_their_times(void **state)
{
	struct test_world *test = *state;

	note_at(test, 30, "c");
	note_at(test, 10, "a");
	note_at(test, 20, "b");
	note_at(test, 10, "A");
	note_at(test, 20, "B");

	test_run(test, 20);

	assert_string_equal(steps, "aAbB");
	assert_int_equal(world_now(test->world), 20);
	test_run(test, ENV_FOREVER);
	assert_string_equal(steps, "aAbBc");
	assert_int_equal(world_now(test->world), 30);
}

static void time_jumps_to_the_end_when_nothing_happens(void **state)
{
	struct test_world *test = *state;

	test_run(test, 5 * LAB_MINUTE);

	assert_int_equal(world_now(test->world), 5 * LAB_MINUTE);
	assert_int_equal(world_counters(test->world).steps, 0);
}

static void sleeper(void *arg)
{
	struct test_world *test = arg;

	note("s");
	env_sleep(test->env, LAB_SEC);
	assert_int_equal(env_now(test->env), LAB_SEC);
	note("w");
	env_sleep(test->env, 0);
	assert_int_equal(env_now(test->env), LAB_SEC);
	note("e");
}

static void sleeping_takes_virtual_time_only(void **state)
{
	struct test_world *test = *state;

	note_at(test, LAB_SEC / 2, "-");
	test_on_b1(test, sleeper);

	assert_string_equal(steps, "s-we");
	assert_int_equal(world_fibers(test->b1), 0);
	assert_true(world_is_up(test->b1));
}

static void yielder(void *arg)
{
	struct test_world *test = arg;

	note("y");
	env_sleep(test->env, 0);
	note("Y");
}

static void spawner(void *arg)
{
	struct test_world *test = arg;

	assert_int_equal(env_spawn(test->env, "y", yielder, test, NULL), 0);
	assert_int_equal(env_spawn(test->env, "y", yielder, test, NULL), 0);
	note("m");
	env_sleep(test->env, 0);
	note("M");
	env_sleep(test->env, 0);
	note(".");
}

static void a_spawned_fiber_runs_when_its_parent_blocks(void **state)
{
	test_on_b1(*state, spawner);

	assert_string_equal(steps, "myyMYY.");
}

/* ---- conditions over the world's park ---- */

static struct env_cond cond;
static int wait_result;

static void waiter(void *arg)
{
	struct test_world *test = arg;

	wait_result = env_cond_wait(test->env, &cond, 2 * LAB_SEC);
	note(wait_result == 0 ? "0" : "1");
	assert_null(cond.head);
}

static void signal_cond(void *ctx)
{
	struct test_world *test = ctx;

	env_cond_signal(test->env, &cond);
}

static void a_signal_wakes_before_the_deadline(void **state)
{
	struct test_world *test = *state;

	cond = (struct env_cond){ 0 };
	world_at(test->world, LAB_SEC, signal_cond, test);
	test_on_b1(test, waiter);

	assert_string_equal(steps, "0");
	assert_int_equal(world_now(test->world), LAB_SEC);
}

static void a_woken_fiber_runs_after_what_was_due_before(void **state)
{
	struct test_world *test = *state;

	cond = (struct env_cond){ 0 };
	world_at(test->world, LAB_SEC, signal_cond, test);
	note_at(test, LAB_SEC, "-");
	test_on_b1(test, waiter);

	assert_string_equal(steps, "-0");
}

static void a_deadline_ends_a_wait(void **state)
{
	struct test_world *test = *state;

	cond = (struct env_cond){ 0 };
	test_on_b1(test, waiter);

	assert_string_equal(steps, "1");
	assert_int_equal(world_now(test->world), 2 * LAB_SEC);
}

static void late_waiter(void *arg)
{
	struct test_world *test = arg;

	/* The deadline is over already: the fiber is ready at once, but signalled before its turn.
	 */
	wait_result = env_cond_wait(test->env, &cond, env_now(test->env));
}

static void late_main(void *arg)
{
	struct test_world *test = arg;

	assert_int_equal(env_spawn(test->env, "w", late_waiter, test, NULL), 0);
	assert_int_equal(env_spawn(test->env, "s", signal_cond, test, NULL), 0);
	env_sleep(test->env, 1);
}

static void a_signal_between_deadline_and_turn_counts(void **state)
{
	cond = (struct env_cond){ 0 };
	wait_result = -1;
	test_on_b1(*state, late_main);

	assert_int_equal(wait_result, 0);
}

/* ---- running ---- */

static bool has_two(void *ctx)
{
	(void)ctx;
	return strlen(steps) == 2;
}

static void a_run_ends_when_the_condition_is_true(void **state)
{
	struct test_world *test = *state;

	note_at(test, 1, "a");
	note_at(test, 2, "b");
	note_at(test, 3, "c");

	assert_int_equal(world_run_until(test->world, 100, has_two, NULL, &test->err), 1);
	assert_string_equal(steps, "ab");
	assert_int_equal(world_now(test->world), 2);
}

static void spinner(void *arg)
{
	struct test_world *test = arg;

	for (;;)
		env_sleep(test->env, 0);
}

static void a_livelock_is_an_error(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	settings.livelock_events = 1000;
	test_make_world(test, &settings);
	world_start(test->b1, spinner, test);

	assert_int_equal(world_run_until(test->world, LAB_SEC, NULL, NULL, &test->err), -1);
	assert_int_equal(test->err.code, LAB_INTERNAL);
}

static void too_many_events_are_an_error(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	settings.events_max = 300;
	test_make_world(test, &settings);
	for (int i = 0; i < 301; i++)
		note_at(test, 5, "");

	assert_int_equal(world_run_until(test->world, LAB_SEC, NULL, NULL, &test->err), -1);
	assert_int_equal(test->err.code, LAB_LIMIT);
}

/* ---- order of ties ---- */

static void tie_fiber(void *arg)
{
	struct test_world *test = arg;

	env_sleep(test->env, 10);
	note("f");
}

static void run_ties(
	struct test_world *test, uint64_t seed, enum world_schedule schedule, char out[256])
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "g", "h", "i" };
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	settings.seed = seed;
	settings.schedule = schedule;
	test_make_world(test, &settings);
	steps[0] = '\0';
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++)
		note_at(test, 10, names[i]);
	world_start(test->b1, tie_fiber, test);
	test_run(test, ENV_FOREVER);
	memcpy(out, steps, 256);
}

static void ties_are_shuffled_by_seed_when_asked_for(void **state)
{
	struct test_world *test = *state;
	char fifo[256], one[256], again[256], two[256];

	run_ties(test, 1, WORLD_FIFO, fifo);
	run_ties(test, 1, WORLD_SHUFFLE, one);
	run_ties(test, 1, WORLD_SHUFFLE, again);
	run_ties(test, 2, WORLD_SHUFFLE, two);

	assert_string_equal(fifo, "abcdeghif");
	assert_string_not_equal(one, fifo);
	assert_string_equal(one, again);
	assert_string_not_equal(one, two);
	assert_int_equal(strlen(two), strlen(fifo));
}

/* ---- priorities ---- */

static struct env_cond all_wake;

static void one_of_many(void *arg)
{
	struct test_world *test = arg;

	for (unsigned i = 0; i < 400; i++) {
		uint64_t begin = env_now(test->env);

		(void)env_cond_wait(test->env, &all_wake, ENV_FOREVER);
		if (env_now(test->env) % LAB_SEC != 0)
			assert_in_range(env_now(test->env) - begin, 1, LAB_SEC + 20 * LAB_MSEC);
	}
}

static void waker(void *arg)
{
	struct test_world *test = arg;

	for (unsigned i = 0; i < 1000; i++) {
		env_sleep(test->env, LAB_SEC);
		env_cond_broadcast(test->env, &all_wake);
	}
}

static void many_main(void *arg)
{
	struct test_world *test = arg;
	struct lab_error err;

	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(env_spawn(test->env, "one_of_many", one_of_many, arg, &err), 0);
	assert_int_equal(env_spawn(test->env, "waker", waker, arg, &err), 0);
}

static uint64_t run_many(struct test_world *test, uint64_t seed, enum world_schedule schedule)
{
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	memset(&all_wake, 0, sizeof(all_wake));
	settings.seed = seed;
	settings.schedule = schedule;
	test_make_world(test, &settings);
	world_start(test->b1, many_main, test);
	test_run(test, ENV_FOREVER);
	return world_counters(test->world).demotions;
}

static void some_fibers_are_late_with_priorities(void **state)
{
	struct test_world *test = *state;
	uint64_t one = run_many(test, 1, WORLD_PRIORITY);

	/* One of a thousand of some nine thousand turns. */
	assert_in_range(one, 2, 30);
	assert_true(run_many(test, 1, WORLD_PRIORITY) == one);
	assert_int_equal(run_many(test, 1, WORLD_SHUFFLE), 0);
	assert_int_equal(run_many(test, 1, WORLD_FIFO), 0);
}

/* ---- many timers, some cancelled, against a simple model ---- */

#define MODEL_FIBERS 200

static uint64_t model_last_ns;

static void model_fiber(void *arg)
{
	struct test_world *test = arg;
	static struct env_cond never;

	for (uint64_t i = 0; i < 50; i++) {
		uint64_t draw = env_draw(test->env, "model", world_counters(test->world).steps);
		uint64_t deadline = env_now(test->env) + lab_pick(draw, 1000);

		if (lab_chance(lab_mix64(draw), 300000)) {
			(void)env_cond_wait(test->env, &never, deadline);
		} else {
			env_cond_signal(test->env, &never);
			env_sleep(test->env, deadline - env_now(test->env));
			assert_int_equal(env_now(test->env), deadline);
		}
		assert_true(env_now(test->env) >= model_last_ns);
		assert_true(env_now(test->env) <= deadline);
		model_last_ns = env_now(test->env);
	}
}

static void model_main(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < MODEL_FIBERS; i++)
		assert_int_equal(env_spawn(test->env, "m", model_fiber, test, NULL), 0);
}

static void time_never_goes_back_with_many_timers(void **state)
{
	struct test_world *test = *state;

	model_last_ns = 0;
	test_on_b1(test, model_main);

	assert_int_equal(world_fibers(test->b1), 0);
	assert_true(world_counters(test->world).steps >= MODEL_FIBERS * 50);
}

static void spawn_many(void *arg)
{
	struct test_world *test = arg;
	struct lab_error err;
	int n = 0;

	while (env_spawn(test->env, "y", yielder, test, &err) == 0)
		n++;
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(n, 999);
	world_crash(test->b1, FAULT_DISK_KEEP);
}

static void fibers_have_a_limit(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, spawn_many);

	assert_int_equal(lab_fiber_pool_alive(test->fibers), 0);
	assert_int_equal(env_spawn(test->env, "y", yielder, test, &test->err), -1);
	assert_int_equal(test->err.code, LAB_UNAVAILABLE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(events_happen_in_the_order_of_their_times),
		T(time_jumps_to_the_end_when_nothing_happens),
		T(sleeping_takes_virtual_time_only),
		T(a_spawned_fiber_runs_when_its_parent_blocks),
		T(a_signal_wakes_before_the_deadline),
		T(a_woken_fiber_runs_after_what_was_due_before),
		T(a_deadline_ends_a_wait),
		T(a_signal_between_deadline_and_turn_counts),
		T(a_run_ends_when_the_condition_is_true),
		T(a_livelock_is_an_error),
		T(too_many_events_are_an_error),
		T(ties_are_shuffled_by_seed_when_asked_for),
		T(some_fibers_are_late_with_priorities),
		T(time_never_goes_back_with_many_timers),
		T(fibers_have_a_limit),
	};

	return cmocka_run_group_tests_name("world-time", tests, NULL, NULL);
}
