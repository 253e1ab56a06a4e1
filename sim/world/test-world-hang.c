/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

#include <stdio.h>

/* What happened when, in seconds: "1 2 30". */
static char steps[512];
static struct fake_http fake;

static void note_time(const struct test_world *test)
{
	size_t used = strlen(steps);
	uint64_t now = world_now(test->world);

	(void)snprintf(steps + used, sizeof(steps) - used, "%s%" PRIu64, used == 0 ? "" : " ",
		now / LAB_SEC);
}

static int setup(void **state)
{
	steps[0] = '\0';
	memset(&fake, 0, sizeof(fake));
	return test_setup(state);
}

static void add_hang(struct fault_plan *plan, uint64_t start_s, uint64_t length_s)
{
	struct fault_episode episode = { .kind = FAULT_hang,
		.start_ns = start_s * LAB_SEC,
		.length_ns = length_s * LAB_SEC,
		.target = "b1" };

	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
}

/* b1 hangs from the first second to the sum of both. */
static struct fault_plan *hang(struct test_world *test, uint64_t start_s, uint64_t length_s)
{
	struct fault_plan *plan = fault_plan_new(world_heap(test->world), 1, 3);

	add_hang(plan, start_s, length_s);
	world_set_faults(test->world, plan);
	return plan;
}

static void ticker(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < 6; i++) {
		env_sleep(test->env, 4 * LAB_SEC);
		note_time(test);
	}
}

static void timers_that_came_due_fire_at_once_afterwards(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = hang(test, 10, 20);

	test_on_b1(test, ticker);

	assert_string_equal(steps, "4 8 30 34 38 42");
	assert_int_equal(fault_fired_kind(plan, FAULT_hang), 1);
	assert_int_equal(world_counters(test->world).hangs, 1);
	assert_int_equal(world_boots(test->b1), 1);
}

static void other_hosts_and_clocks_go_on(void **state)
{
	struct test_world *test = *state;

	(void)hang(test, 10, 20);
	world_start(test->b1, ticker, test);
	test_run(test, 20 * LAB_SEC);

	assert_true(world_is_hung(test->b1));
	assert_false(world_is_hung(test->b2));
	assert_true(world_is_up(test->b1));
	assert_int_equal(env_now(test->env), 20 * LAB_SEC);
	assert_int_equal(
		env_wall_us(test->env), UINT64_C(1704067200000000) + 20 * LAB_SEC / LAB_USEC);
	test_run(test, 30 * LAB_SEC);
	assert_false(world_is_hung(test->b1));
}

/* ---- what comes meanwhile ---- */

static const struct env_http_limits limits = { .connect_timeout_ns = 2 * LAB_SEC,
	.response_timeout_ns = 8 * LAB_SEC,
	.response_max_bytes = 1000 };
static enum lab_code outcome;

static void put(void *arg)
{
	struct test_world *test = arg;
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("s3.example.com"),
		.target = LAB_VIEW("/a") };
	struct lab_arena *arena = test_arena(test);
	struct lab_http_response response;
	struct env_http_stats stats;
	struct lab_error err = { 0 };

	env_sleep(test->env, 5 * LAB_SEC);
	outcome = env_http(test->env, &request, &limits, arena, &response, &stats, &err) == 0
			  ? LAB_OK
			  : err.code;
	note_time(test);
	lab_arena_free(&arena);
}

static void put_with(struct test_world *test, uint64_t delay_s, enum sim_wire wire)
{
	struct sim_http_service service = { &fake_http_ops, &fake };

	fake.delay_ns = delay_s * LAB_SEC;
	fake.wire = wire;
	world_http_service(test->world,
		&(struct world_service_settings){ .name = "s3", .authority = "s3.example.com" },
		&service);
	(void)hang(test, 7, 53);
	test_on_b1(test, put);
}

static void an_answer_that_came_meanwhile_is_one(void **state)
{
	put_with(*state, 4, SIM_WIRE_ANSWER);

	assert_int_equal(outcome, LAB_OK);
	assert_string_equal(steps, "60");
}

/* It is in the socket when the host looks, whatever its timer says. */
static void so_is_one_that_came_after_its_time(void **state)
{
	put_with(*state, 30, SIM_WIRE_ANSWER);

	assert_int_equal(outcome, LAB_OK);
	assert_string_equal(steps, "60");
}

static void without_one_time_is_up_when_it_goes_on(void **state)
{
	put_with(*state, 1, SIM_WIRE_SILENCE);

	assert_int_equal(outcome, LAB_UNCERTAIN);
	assert_string_equal(steps, "60");
}

/* Which of them was asked, and when it came to it. */
struct question {
	struct test_world *test;
	const char *name;
};

static void answer(void *arg)
{
	const struct question *q = arg;

	(void)snprintf(steps + strlen(steps), sizeof(steps) - strlen(steps), "%s", q->name);
	note_time(q->test);
}

static void ask_b1(void *ctx)
{
	const struct question *q = ctx;

	assert_int_equal(env_spawn(q->test->env, "asked", answer, ctx, NULL), 0);
}

static void what_it_is_asked_for_waits_in_order(void **state)
{
	struct test_world *test = *state;
	struct question before = { test, " a" }, first = { test, " b" }, second = { test, " c" };

	(void)hang(test, 10, 20);
	world_start(test->b1, ticker, test);
	world_at(test->world, 9 * LAB_SEC, ask_b1, &before);
	world_at(test->world, 11 * LAB_SEC, ask_b1, &first);
	world_at(test->world, 13 * LAB_SEC, ask_b1, &second);
	test_run(test, 29 * LAB_SEC);
	assert_string_equal(steps, "4 8 a 9");
	test_run(test, 30 * LAB_SEC);
	assert_string_equal(steps, "4 8 a 9 b 30 30 c 30");
}

/* ---- more than one thing ---- */

static void it_hangs_until_the_last_of_several_is_over(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = hang(test, 10, 20);

	add_hang(plan, 15, 5);
	add_hang(plan, 29, 11);
	test_on_b1(test, ticker);

	assert_string_equal(steps, "4 8 40 44 48 52");
	assert_int_equal(world_counters(test->world).hangs, 1);
}

static void crash_b1(void *ctx)
{
	world_crash(((struct test_world *)ctx)->b1, FAULT_DISK_KEEP);
}

static void restart_b1(void *ctx)
{
	world_restart(((struct test_world *)ctx)->b1);
}

static void a_crash_ends_it(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = hang(test, 10, 20);

	/* One that begins and ends in the second life. */
	add_hang(plan, 22, 18);
	world_at(test->world, 15 * LAB_SEC, crash_b1, test);
	world_at(test->world, 17 * LAB_SEC, restart_b1, test);
	world_start(test->b1, ticker, test);
	test_run(test, 16 * LAB_SEC);
	assert_false(world_is_hung(test->b1));
	test_run(test, ENV_FOREVER);

	/* The end of the first one, at 30, is nothing to who was started at 17. */
	assert_string_equal(steps, "4 8 21 40 44 48 52 56");
	assert_int_equal(world_boots(test->b1), 2);
	assert_int_equal(world_fibers(test->b1), 0);
}

static void a_host_that_is_down_does_not_hang(void **state)
{
	struct test_world *test = *state;

	(void)hang(test, 10, 20);
	world_at(test->world, 5 * LAB_SEC, crash_b1, test);
	world_at(test->world, 11 * LAB_SEC, restart_b1, test);
	world_start(test->b1, ticker, test);
	test_run(test, ENV_FOREVER);

	assert_string_equal(steps, "4 15 19 23 27 31 35");
	assert_int_equal(world_counters(test->world).hangs, 0);
}

static void it_is_so_in_every_schedule(void **state)
{
	static const enum world_schedule schedules[] = { WORLD_SHUFFLE, WORLD_PRIORITY };
	struct test_world *test = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(schedules); i++) {
		struct world_settings settings = test_settings(test);

		settings.schedule = schedules[i];
		world_free(&test->world);
		test_make_world(test, &settings);
		steps[0] = '\0';
		(void)hang(test, 10, 20);
		test_on_b1(test, ticker);
		assert_string_equal(steps, "4 8 30 34 38 42");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
		TEST(timers_that_came_due_fire_at_once_afterwards),
		TEST(other_hosts_and_clocks_go_on),
		TEST(an_answer_that_came_meanwhile_is_one),
		TEST(so_is_one_that_came_after_its_time),
		TEST(without_one_time_is_up_when_it_goes_on),
		TEST(what_it_is_asked_for_waits_in_order),
		TEST(it_hangs_until_the_last_of_several_is_over),
		TEST(a_crash_ends_it),
		TEST(a_host_that_is_down_does_not_hang),
		TEST(it_is_so_in_every_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
