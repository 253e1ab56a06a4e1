/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend on a host of the simulated world, and clients on the laboratory's host.
 */
#include "scenarios/runner/node.h"

#include "scenarios/format/testing-scenario.h"
#include "sim/world/world.h"

struct asked {
	uint64_t takes_ns;
	enum node_answer answer;
	uint64_t answered_ns;
	bool ran, is_back, was_right;
};

static struct test {
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct world_host *lab, *backend;
	struct node node;
	struct testing_loader loader;
} test;

static void run_until(uint64_t ns)
{
	if (world_run_until(test.world, ns, NULL, NULL, &test.loader.err) < 0)
		fail_msg("%s", test.loader.err.message);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* As the runner's worlds tell. */
static void follow(void *ctx, const struct lab_event *event)
{
	(void)ctx;
	if (strcmp(world_host_name(test.world, event->host), "backend-1") != 0)
		return;
	if (event->id == LAB_EV_host_crashed)
		node_crashed(&test.node, world_env(test.lab));
	else if (event->id == LAB_EV_host_started)
		node_booted(&test.node, world_env(test.backend));
}

static int setup(void **state)
{
	struct world_settings settings = { .seed = 1 };

	(void)testing_setup(state);
	memset(&test, 0, sizeof(test));
	testing_loader_init(&test.loader);
	testing_load_ok(&test.loader, TESTING_LEAST);
	settings.pool = testing_pool;
	settings.fibers = test.fibers = lab_fiber_pool_new(64 << 10, 1000, NULL);
	test.world = world_new(&settings);
	test.lab = world_host_new(
		test.world, &(struct world_host_settings){ .name = "lab", .kind = WORLD_LAB });
	test.backend =
		world_host_new(test.world, &(struct world_host_settings){ .name = "backend-1" });
	world_add_sink(test.world, follow, NULL);
	test.node.settings = (struct backend_settings){ .conf = &test.loader.scenario->conf,
		.dicts = test.loader.scenario->dicts,
		.dict_count = test.loader.scenario->dict_count };
	world_start(test.lab, nothing, NULL);
	run_until(0);
	return 0;
}

static int teardown(void **state)
{
	world_free(&test.world);
	lab_fiber_pool_free(&test.fibers);
	return testing_teardown(state);
}

static void boot(void)
{
	world_start(test.backend, node_main, &test.node);
	run_until(world_now(test.world));
}

static void in_backend(struct backend *backend, void *arg)
{
	struct asked *asked = arg;

	asked->ran = true;
	asked->was_right =
		backend == test.node.backend && backend_env(backend) == world_env(test.backend);
	env_sleep(backend_env(backend), asked->takes_ns);
	asked->is_back = true;
}

static void client(void *arg)
{
	struct asked *asked = arg;

	asked->answer = node_call(&test.node, world_env(test.lab), in_backend, asked);
	asked->answered_ns = env_now(world_env(test.lab));
}

static void ask(struct asked *asked, uint64_t takes_ns)
{
	struct lab_error err;

	*asked = (struct asked){ .takes_ns = takes_ns, .answered_ns = UINT64_MAX };
	assert_int_equal(env_spawn(world_env(test.lab), "client", client, asked, &err), 0);
	run_until(world_now(test.world));
}

static void a_backend_that_never_started_refuses(void **state)
{
	struct asked asked;

	(void)state;
	ask(&asked, LAB_SEC);

	assert_int_equal(asked.answer, NODE_REFUSED);
	assert_int_equal(asked.answered_ns, 0);
	assert_false(asked.ran);
	assert_int_equal(test.node.calls.total, 0);
}

static void a_backend_that_is_up_answers_when_it_is_ready(void **state)
{
	struct asked asked;

	(void)state;
	boot();
	assert_true(test.node.is_up);
	assert_int_equal(test.node.boots, 1);
	ask(&asked, 3 * LAB_SEC);
	assert_true(asked.ran && asked.was_right);
	assert_int_equal(asked.answered_ns, UINT64_MAX);
	run_until(10 * LAB_SEC);

	assert_int_equal(asked.answer, NODE_ANSWERED);
	assert_int_equal(asked.answered_ns, 3 * LAB_SEC);
	assert_true(asked.is_back);
	assert_int_equal(test.node.calls.total, 1);
	assert_int_equal(test.node.calls.lost, 0);
	assert_null(test.node.calls.first);
}

static void answers_come_in_the_order_in_which_they_are_ready(void **state)
{
	static const uint64_t takes[] = { 3, 1, 2 };
	struct asked asked[3];

	(void)state;
	boot();
	for (size_t i = 0; i < 3; i++)
		ask(&asked[i], takes[i] * LAB_SEC);
	run_until(10 * LAB_SEC);

	for (size_t i = 0; i < 3; i++) {
		assert_row(i, asked[i].answer == NODE_ANSWERED);
		assert_row(i, asked[i].answered_ns == takes[i] * LAB_SEC);
	}
	assert_null(test.node.calls.first);
}

static void a_crash_loses_every_request_at_once(void **state)
{
	struct asked asked[3];

	(void)state;
	boot();
	for (size_t i = 0; i < 3; i++)
		ask(&asked[i], (i + 1) * 2 * LAB_SEC);
	run_until(3 * LAB_SEC);
	world_crash(test.backend, FAULT_DISK_KEEP);
	run_until(20 * LAB_SEC);

	assert_int_equal(asked[0].answer, NODE_ANSWERED);
	for (size_t i = 1; i < 3; i++) {
		assert_row(i, asked[i].answer == NODE_LOST);
		assert_row(i, asked[i].ran && !asked[i].is_back);
		assert_row(i, asked[i].answered_ns == 3 * LAB_SEC);
	}
	assert_int_equal(test.node.calls.lost, 2);
	assert_false(test.node.is_up);
	assert_null(test.node.calls.first);
}

static void after_a_crash_it_refuses_until_it_is_up_again(void **state)
{
	struct asked while_down, after;

	(void)state;
	boot();
	world_crash(test.backend, FAULT_DISK_KEEP);
	run_until(LAB_SEC);
	ask(&while_down, 1);
	world_restart(test.backend);
	run_until(2 * LAB_SEC);
	ask(&after, LAB_SEC);
	run_until(4 * LAB_SEC);

	assert_int_equal(while_down.answer, NODE_REFUSED);
	assert_false(while_down.ran);
	assert_int_equal(after.answer, NODE_ANSWERED);
	assert_true(after.was_right);
	assert_int_equal(test.node.boots, 2);
}

/* The crash comes from inside a request, as it does when memory runs out. */
static void crash_inside(struct backend *backend, void *arg)
{
	(void)backend;
	(void)arg;
	world_crash(test.backend, FAULT_DISK_LOSE_UNSYNCED);
}

static void client_of_crash(void *arg)
{
	struct asked *asked = arg;

	asked->answer = node_call(&test.node, world_env(test.lab), crash_inside, asked);
}

static void a_request_that_kills_its_backend_is_lost(void **state)
{
	struct asked asked = { .answer = NODE_ANSWERED }, other;
	struct lab_error err;

	(void)state;
	boot();
	ask(&other, LAB_SEC);
	assert_int_equal(
		env_spawn(world_env(test.lab), "client", client_of_crash, &asked, &err), 0);
	run_until(5 * LAB_SEC);

	assert_int_equal(asked.answer, NODE_LOST);
	assert_int_equal(other.answer, NODE_LOST);
	assert_int_equal(test.node.calls.lost, 2);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_backend_that_never_started_refuses),
		test(a_backend_that_is_up_answers_when_it_is_ready),
		test(answers_come_in_the_order_in_which_they_are_ready),
		test(a_crash_loses_every_request_at_once),
		test(after_a_crash_it_refuses_until_it_is_up_again),
		test(a_request_that_kills_its_backend_is_lost),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
