/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints how fast the world is (DESIGN 9); what it asserts is that the work was done. A budget is a
 * benchmark with a history, not an assertion: see `oboxlab bench`.
 */
#include "sim/world/test-world.h"

#include <time.h>

#define SWITCHES 2000000
#define SLEEPS 300000
#define EXCHANGES 300000
#define CLIENTS 50

static struct fake_http fake;
static unsigned done;

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	done = 0;
	return test_setup(state);
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * LAB_SEC + (uint64_t)now.tv_nsec;
}

static void report(const char *what, uint64_t started, uint64_t count)
{
	uint64_t took = wall_ns() - started;

	print_message("%-28s %8" PRIu64 " ns each, %" PRIu64 " a second\n", what, took / count,
		count * LAB_SEC / took);
}

static void yielder(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < SWITCHES / 2; i++)
		env_sleep(test->env, 0);
	done++;
}

static void two_yielders(void *arg)
{
	struct test_world *test = arg;

	assert_int_equal(env_spawn(test->env, "y", yielder, test, NULL), 0);
	yielder(test);
}

static void fibers_switch(void **state)
{
	struct test_world *test = *state;
	uint64_t started = wall_ns();

	test_on_b1(test, two_yielders);

	report("fiber switch", started, SWITCHES);
	assert_int_equal(done, 2);
}

static void sleeper(void *arg)
{
	struct test_world *test = arg;

	for (uint64_t i = 0; i < SLEEPS / CLIENTS; i++)
		env_sleep(test->env, 1000 + lab_pick(lab_mix64(i + done), 1000000));
	done++;
}

static void many_sleepers(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(env_spawn(test->env, "s", sleeper, test, NULL), 0);
}

static void timers_fire(void **state)
{
	struct test_world *test = *state;
	uint64_t started = wall_ns();

	test_on_b1(test, many_sleepers);

	report("timer", started, SLEEPS);
	assert_int_equal(done, CLIENTS);
}

static void exchanger(void *arg)
{
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct env_http_limits limits = { LAB_SEC, 5 * LAB_SEC, 1 << 20, false, 0 };
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("bucket.s3.eu-central-1.amazonaws.com"),
		.target = LAB_VIEW("/user/hash/mailboxes/guid/object"),
		.body = LAB_VIEW("a small body, as a benchmark has it") };
	struct lab_http_response response;

	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("Date"), LAB_VIEW("Mon, 01 Jan 2024 00:00:00 GMT"));
	(void)lab_http_header_add(&request.headers, LAB_VIEW("Authorization"),
		LAB_VIEW("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240101/eu-central-1/s3/"
			 "aws4_request, SignedHeaders=host, Signature=0123456789abcdef"));
	for (int i = 0; i < EXCHANGES / CLIENTS; i++) {
		struct lab_error err;

		if (env_http(test->env, &request, &limits, arena, &response, NULL, &err) < 0)
			assert_int_equal(err.code, LAB_UNCERTAIN);
		lab_arena_reset(arena);
	}
	done++;
}

static void many_exchangers(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(env_spawn(test->env, "x", exchanger, test, NULL), 0);
}

static void exchanges_are_carried(void **state)
{
	struct test_world *test = *state;
	struct sim_http_service service = { &fake_http_ops, &fake };
	struct world_settings settings = test_settings(test);
	uint64_t started;

	world_free(&test->world);
	settings.other_zone = (struct world_latency){ 300 * LAB_USEC, LAB_MSEC };
	test_make_world(test, &settings);
	fake.body = LAB_VIEW("an answer");
	world_http_service(test->world,
		&(struct world_service_settings){
			.name = "s3", .authority = "*.s3.eu-central-1.amazonaws.com" },
		&service);
	started = wall_ns();
	test_on_b1(test, many_exchangers);

	report("HTTP exchange", started, EXCHANGES);
	assert_int_equal(done, CLIENTS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(fibers_switch),
		T(timers_fire),
		T(exchanges_are_carried),
	};

	return cmocka_run_group_tests_name("world-speed", tests, NULL, NULL);
}
