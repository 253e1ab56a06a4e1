/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-tap.h"

#include <pthread.h>

#include "core/base/testing.h"

#define THREADS 4
#define EACH 500

static struct test {
	struct scene scene;
	struct live_tap *tap;
	struct fault_plan *plan;
	struct sim_hooks hooks;
	/* What came out. */
	uint64_t accesses, faults, episodes;
	uint64_t last[THREADS];
	bool is_in_order;
	char texts[512];
} test;

static int setup(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	snprintf(test.scene.nodes[0].name, sizeof(test.scene.nodes[0].name), "backend-1");
	snprintf(test.scene.nodes[0].zone, sizeof(test.scene.nodes[0].zone), "az1");
	snprintf(test.scene.nodes[1].name, sizeof(test.scene.nodes[1].name), SCENE_AUDITOR);
	snprintf(test.scene.nodes[1].zone, sizeof(test.scene.nodes[1].zone), "az2");
	test.scene.node_count = 1;
	test.is_in_order = true;
	test.tap = live_tap_new(&test.scene);
	live_tap_hooks(test.tap, &test.hooks);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fault_plan_free(&test.plan);
	live_tap_free(&test.tap);
	return 0;
}

static void on_episode(void *ctx, const struct fault_episode *episode)
{
	assert_ptr_equal(ctx, &test);
	assert_true(episode->id > 0);
	test.episodes++;
}

static void plan_with(enum fault_kind kind, enum fault_scope scope, const char *target)
{
	struct fault_episode episode = {
		.kind = kind, .scope = scope, .length_ns = LAB_SEC, .rate_ppm = 1000000
	};
	struct lab_error err;

	snprintf(episode.target, sizeof(episode.target), "%s", target);
	test.plan = fault_plan_new(live_tap_heap(test.tap), 1, 3);
	if (fault_plan_add_episode(test.plan, &episode, NULL, &err) < 0)
		fail_msg("%s", err.message);
	live_tap_observe(test.tap, test.plan, on_episode, &test);
}

static struct sim_fault ask(const char *peer)
{
	struct sim_fault_query query = { .point = "s3.put",
		.service = "s3",
		.instance = LAB_VIEW("s3"),
		.peer = lab_view_cstr(peer),
		.subject = LAB_VIEW("bucket/key") };

	return test.hooks.fault(test.hooks.ctx, &query);
}

static void on_access(void *ctx, const struct sim_access *a)
{
	size_t from = a->status;
	(void)ctx;

	test.accesses++;
	if (a->received_ns < test.last[from])
		test.is_in_order = false;
	test.last[from] = a->received_ns;
	snprintf(test.texts, sizeof(test.texts), "%s %.*s %.*s %.*s %.*s %.*s %.*s", a->service,
		LAB_VIEW_ARG(a->instance), LAB_VIEW_ARG(a->peer), LAB_VIEW_ARG(a->operation),
		LAB_VIEW_ARG(a->subject), LAB_VIEW_ARG(a->request), LAB_VIEW_ARG(a->user));
	for (size_t i = 0; i < a->key_count; i++)
		snprintf(test.texts + strlen(test.texts), sizeof(test.texts) - strlen(test.texts),
			" [%.*s]", LAB_VIEW_ARG(a->keys[i]));
}

static void on_fault(void *ctx, const struct fault_record *record)
{
	(void)ctx;
	test.faults++;
	snprintf(test.texts, sizeof(test.texts), "%s of %s", record->subject, record->peer);
}

static void drain(void)
{
	struct live_tap_sink sink = { NULL, on_access, on_fault };

	live_tap_drain(test.tap, &sink);
}

/* ---- tests ---- */

static void what_is_logged_outlives_the_call(void **state)
{
	char key[] = "one", user[] = "u@example.com";
	struct lab_view keys[] = { lab_view_cstr(key), LAB_VIEW("two"), LAB_VIEW("") };
	struct sim_access access = { .service = "s3",
		.instance = LAB_VIEW("s3"),
		.peer = LAB_VIEW("backend-1"),
		.operation = LAB_VIEW("POST-DELETE"),
		.subject = LAB_VIEW("bucket/"),
		.request = LAB_VIEW("/?delete"),
		.user = lab_view_cstr(user),
		.keys = keys,
		.key_count = 3 };
	(void)state;

	test.hooks.access(test.hooks.ctx, &access);
	memset(key, 'x', sizeof(key) - 1);
	memset(user, 'x', sizeof(user) - 1);
	keys[1] = LAB_VIEW("gone");
	drain();

	assert_int_equal(test.accesses, 1);
	assert_string_equal(test.texts,
		"s3 s3 backend-1 POST-DELETE bucket/ /?delete u@example.com [one] [two] []");
}

static void nothing_is_handed_over_twice(void **state)
{
	struct sim_access access = { .service = "cql" };
	(void)state;

	drain();
	assert_int_equal(test.accesses, 0);
	test.hooks.access(test.hooks.ctx, &access);
	drain();
	drain();

	assert_int_equal(test.accesses, 1);
}

static void drain_again(void *ctx, const struct sim_access *access)
{
	on_access(ctx, access);
	drain();
}

static void draining_from_inside_does_nothing(void **state)
{
	struct sim_access first = { .service = "s3", .received_ns = 1 };
	struct sim_access second = { .service = "s3", .received_ns = 2 };
	struct live_tap_sink sink = { NULL, drain_again, on_fault };
	(void)state;
	test.hooks.access(test.hooks.ctx, &first);
	test.hooks.access(test.hooks.ctx, &second);

	live_tap_drain(test.tap, &sink);

	assert_int_equal(test.accesses, 2);
	assert_true(test.is_in_order);
}

static void there_are_no_faults_without_a_plan(void **state)
{
	(void)state;

	assert_int_equal(ask("backend-1").kind, SIM_FAULT_NONE);
}

static void a_fault_that_fires_is_told(void **state)
{
	(void)state;
	plan_with(FAULT_slow_down, FAULT_EVERYWHERE, "");
	assert_int_equal(test.episodes, 1);

	assert_int_equal(ask("backend-1").kind, SIM_FAULT_REFUSE);
	drain();

	assert_int_equal(test.faults, 1);
	assert_string_equal(test.texts, "bucket/key of backend-1");
}

static void zones_are_those_of_the_backends(void **state)
{
	(void)state;
	plan_with(FAULT_slow_down, FAULT_PEER_ZONE, "az2");

	assert_int_equal(ask("backend-1").kind, SIM_FAULT_NONE);
	assert_int_equal(ask("127.0.0.1:12345").kind, SIM_FAULT_NONE);
	assert_int_equal(ask(SCENE_AUDITOR).kind, SIM_FAULT_REFUSE);
}

static void a_world_fault_is_counted_and_told(void **state)
{
	(void)state;
	plan_with(FAULT_crash, FAULT_EVERYWHERE, "backend-1");

	assert_true(live_tap_fire(test.tap, 1, LAB_SEC));
	drain();

	assert_int_equal(test.faults, 1);
	assert_int_equal(fault_fired_kind(test.plan, FAULT_crash), 1);
}

static void *service(void *arg)
{
	struct sim_access access = { .service = "s3", .status = *(unsigned *)arg };

	for (uint64_t i = 1; i <= EACH; i++) {
		(void)ask("backend-1");
		access.received_ns = i;
		test.hooks.access(test.hooks.ctx, &access);
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];
	(void)state;
	plan_with(FAULT_slow_down, FAULT_EVERYWHERE, "");

	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, service, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < 100; i++)
		drain();
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	drain();

	assert_int_equal(test.accesses, THREADS * EACH);
	assert_int_equal(test.faults, THREADS * EACH);
	assert_true(test.is_in_order);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_logged_outlives_the_call),
		TEST(nothing_is_handed_over_twice),
		TEST(draining_from_inside_does_nothing),
		TEST(there_are_no_faults_without_a_plan),
		TEST(a_fault_that_fires_is_told),
		TEST(zones_are_those_of_the_backends),
		TEST(a_world_fault_is_counted_and_told),
		TEST(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests_name("live-tap", tests, NULL, NULL);
}
