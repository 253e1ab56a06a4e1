/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

static int ran, restarted;
static uint64_t drawn[2];
static uint32_t pids[2];

static int setup(void **state)
{
	ran = restarted = 0;
	return test_setup(state);
}

static void ticker(void *arg)
{
	struct test_world *test = arg;

	for (;;) {
		env_sleep(test->env, LAB_SEC);
		ran++;
	}
}

static void many_tickers(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < 9; i++)
		assert_int_equal(env_spawn(test->env, "t", ticker, test, NULL), 0);
	ticker(test);
}

static void crash_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_crash(test->b1, FAULT_DISK_KEEP);
}

static void no_code_of_a_host_runs_after_its_crash(void **state)
{
	struct test_world *test = *state;

	world_start(test->b1, many_tickers, test);
	world_at(test->world, 2 * LAB_SEC + 1, crash_b1, test);
	test_run(test, LAB_MINUTE);

	assert_int_equal(ran, 20);
	assert_false(world_is_up(test->b1));
	assert_null(test->env->heap);
	assert_int_equal(world_fibers(test->b1), 0);
	assert_int_equal(lab_fiber_pool_alive(test->fibers), 0);
	assert_int_equal(world_counters(test->world).crashes, 1);
}

static void crash_myself(void *arg)
{
	struct test_world *test = arg;

	(void)lab_heap_alloc(test->env->heap, 100000);
	ran++;
	world_crash(test->b1, FAULT_DISK_KEEP);
	ran++;
}

static void a_fiber_that_crashes_its_own_host_does_not_go_on(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, crash_myself);

	assert_int_equal(ran, 1);
	assert_false(world_is_up(test->b1));
}

static void eat_memory(void *arg)
{
	struct test_world *test = arg;

	for (;;) {
		(void)lab_heap_alloc(test->env->heap, 1 << 20);
		ran++;
	}
}

static void a_host_out_of_memory_crashes(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	test->world = world_new(&settings);
	test->b1 = world_host_new(test->world,
		&(struct world_host_settings){ .name = "b1", .memory_max_bytes = 10 << 20 });
	test->env = world_env(test->b1);
	test_on_b1(test, eat_memory);

	assert_in_range(ran, 5, 10);
	assert_false(world_is_up(test->b1));
	assert_int_equal(world_counters(test->world).crashes, 1);
}

static void boot(void *arg)
{
	struct test_world *test = arg;

	pids[restarted] = test->env->pid;
	drawn[restarted] = env_draw(test->env, "test", 7);
	assert_int_equal(lab_heap_used(test->env->heap), 0);
	(void)lab_heap_alloc(test->env->heap, 1000);
	restarted++;
	env_sleep(test->env, LAB_MINUTE);
}

static void restart_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_restart(test->b1);
}

static void a_restarted_host_has_a_new_pid_and_empty_memory(void **state)
{
	struct test_world *test = *state;

	world_start(test->b1, boot, test);
	world_at(test->world, LAB_SEC, crash_b1, test);
	world_at(test->world, 2 * LAB_SEC, restart_b1, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(restarted, 2);
	assert_int_equal(world_boots(test->b1), 2);
	assert_int_not_equal(pids[0], pids[1]);
	assert_true(drawn[0] != drawn[1]);
	assert_int_equal(world_now(test->world), 62 * LAB_SEC);
}

static void crash_from_lab(void *arg)
{
	struct test_world *test = arg;

	env_sleep(world_env(test->lab), LAB_SEC);
	world_crash(test->b1, FAULT_DISK_KEEP);
	/* Again: no effect. */
	world_crash(test->b1, FAULT_DISK_KEEP);
	ran += 100;
}

static void another_hosts_fiber_goes_on_after_the_crash(void **state)
{
	struct test_world *test = *state;

	world_start(test->lab, crash_from_lab, test);
	world_start(test->b1, ticker, test);
	test_run(test, LAB_MINUTE);

	assert_int_equal(ran, 100);
	assert_int_equal(world_counters(test->world).crashes, 1);
}

/* ---- a fiber of one host waits for another's ---- */

static struct env_cond done;

static void wait_in_lab(void *arg)
{
	struct test_world *test = arg;

	ran = env_cond_wait(world_env(test->lab), &done, 5 * LAB_SEC) == 0 ? 1 : 2;
}

static void signal_from_b1(void *arg)
{
	struct test_world *test = arg;

	env_sleep(test->env, LAB_SEC);
	env_cond_signal(world_env(test->lab), &done);
	env_sleep(test->env, LAB_SEC);
}

static void a_fiber_may_wait_for_one_of_another_host(void **state)
{
	struct test_world *test = *state;

	done = (struct env_cond){ 0 };
	world_start(test->lab, wait_in_lab, test);
	world_start(test->b1, signal_from_b1, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(ran, 1);
}

/* ---- the laboratory's host ---- */

static void open_on_lab(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;
	struct lab_error err;

	assert_int_equal(
		env_file_open(world_env(test->lab), "/x", ENV_OPEN_WRITE, &file, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
	ran++;
}

static void the_laboratorys_host_has_no_disk(void **state)
{
	struct test_world *test = *state;

	world_start(test->lab, open_on_lab, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(ran, 1);
}

static jmp_buf assertion;

static void jump(const char *what, const char *file, int line)
{
	(void)what, (void)file, (void)line;
	longjmp(assertion, 1);
}

static void crashing_the_laboratorys_host_asserts(void **state)
{
	struct test_world *test = *state;
	volatile bool asserted = false;

	lab_assert_set_hook(jump);
	if (setjmp(assertion) == 0)
		world_crash(test->lab, FAULT_DISK_KEEP);
	else
		asserted = true;
	lab_assert_set_hook(NULL);

	assert_true(asserted);
}

/* ---- clocks ---- */

static void read_clocks(void *arg)
{
	struct test_world *test = arg;
	uint64_t true_us, start_us = env_wall_us(test->env);

	env_sleep(test->env, 1000 * LAB_SEC);
	/* 100 ppm fast. */
	true_us = start_us + UINT64_C(1000000000);
	assert_int_equal(env_wall_us(test->env), true_us + 100000);
	world_clock_step(test->b1, -3600000000);
	assert_int_equal(env_wall_us(test->env), true_us + 100000 - UINT64_C(3600000000));
	world_clock_offset(test->b1, INT64_MIN / 2);
	assert_int_equal(env_wall_us(test->env), 0);
	world_clock_offset(test->b1, 0);
	assert_int_equal(env_wall_us(test->env), true_us + 100000 - 250000);
	ran++;
}

static void wall_clocks_drift_and_step(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	test->world = world_new(&settings);
	test->b1 = world_host_new(test->world,
		&(struct world_host_settings){
			.name = "b1", .clock_offset_us = 250000, .clock_drift_ppb = 100000 });
	test->env = world_env(test->b1);
	assert_int_equal(env_wall_us(test->env), UINT64_C(1704067200250000));
	test_on_b1(test, read_clocks);

	assert_int_equal(ran, 1);
}

/* ---- events ---- */

struct seen {
	enum lab_event_id ids[16];
	uint32_t hosts[16];
	uint64_t sequences[16], fibers[16];
	size_t count;
};

static void see(void *ctx, const struct lab_event *event)
{
	struct seen *seen = ctx;

	assert_true(seen->count < 16);
	seen->ids[seen->count] = event->id;
	seen->hosts[seen->count] = event->host;
	seen->sequences[seen->count] = event->sequence;
	seen->fibers[seen->count++] = event->fiber;
}

static void tell(void *arg)
{
	struct test_world *test = arg;

	ENV_EVENT(test->env, LAB_EV_log_message, LAB_F_CSTR("message", "hello"));
	world_crash(test->b1, FAULT_DISK_WIPE);
}

static void sinks_see_every_event_in_order(void **state)
{
	struct test_world *test = *state;
	struct seen seen = { 0 };

	world_add_sink(test->world, see, &seen);
	WORLD_EVENT(test->world, LAB_EV_phase_started, LAB_F_CSTR("phase", "storm"));
	test_on_b1(test, tell);

	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.ids[0], LAB_EV_phase_started);
	assert_int_equal(seen.ids[1], LAB_EV_host_started);
	assert_int_equal(seen.ids[2], LAB_EV_log_message);
	assert_int_equal(seen.ids[3], LAB_EV_host_crashed);
	assert_int_equal(seen.hosts[0], 0);
	assert_int_equal(seen.hosts[2], 1);
	assert_int_equal(seen.fibers[2], 1);
	assert_int_equal(seen.sequences[3], 4);
	assert_int_equal(world_event_count(test->world), 4);
	assert_string_equal(world_host_name(test->world, 1), "b1");
	assert_string_equal(world_host_name(test->world, 0), "lab");
}

static void hosts_are_found_by_name(void **state)
{
	struct test_world *test = *state;

	assert_ptr_equal(world_host_find(test->world, LAB_VIEW("b2")), test->b2);
	assert_null(world_host_find(test->world, LAB_VIEW("b3")));
	assert_string_equal(world_env(test->b2)->zone, "az2");
	assert_int_equal(world_env(test->b2)->host, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(no_code_of_a_host_runs_after_its_crash),
		T(a_fiber_that_crashes_its_own_host_does_not_go_on),
		T(a_host_out_of_memory_crashes),
		T(a_restarted_host_has_a_new_pid_and_empty_memory),
		T(another_hosts_fiber_goes_on_after_the_crash),
		T(a_fiber_may_wait_for_one_of_another_host),
		T(the_laboratorys_host_has_no_disk),
		T(crashing_the_laboratorys_host_asserts),
		T(wall_clocks_drift_and_step),
		T(sinks_see_every_event_in_order),
		T(hosts_are_found_by_name),
	};

	return cmocka_run_group_tests_name("world-crash", tests, NULL, NULL);
}
