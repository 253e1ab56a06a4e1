/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

static struct fake_http fake;

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	return test_setup(state);
}

static void add_service(struct test_world *test)
{
	struct sim_http_service service = { &fake_http_ops, &fake };

	world_http_service(test->world,
		&(struct world_service_settings){
			.name = "s3", .zone = "az2", .authority = "s3.example.com" },
		&service);
}

static struct fault_plan *make_plan(struct test_world *test)
{
	return fault_plan_new(world_heap(test->world), world_seed(test->world), 3);
}

static void add_episode(struct fault_plan *plan, enum fault_kind kind, const char *target,
	const char *other, int64_t clock_us)
{
	struct fault_episode episode = { .kind = kind,
		.start_ns = 10 * LAB_SEC,
		.length_ns = 20 * LAB_SEC,
		.rate_ppm = 1000000,
		.clock_us = clock_us };

	(void)lab_view_to_cstr(lab_view_cstr(target), episode.target, sizeof(episode.target));
	(void)lab_view_to_cstr(lab_view_cstr(other), episode.other, sizeof(episode.other));
	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
}

static void idle(void *arg)
{
	(void)arg;
}

static int64_t offset_us(struct test_world *test)
{
	return (int64_t)(env_wall_us(test->env) - UINT64_C(1704067200000000) -
			 world_now(test->world) / 1000);
}

static void the_world_carries_out_its_episodes(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);
	struct lab_view b1 = LAB_VIEW("b1"), b2 = LAB_VIEW("b2"), s3 = LAB_VIEW("s3");

	add_service(test);
	add_episode(plan, FAULT_crash, "b1", "", 0);
	add_episode(plan, FAULT_node_down, "s3", "", 0);
	add_episode(plan, FAULT_partition_one_way, "b2", "zone:az1", 0);
	add_episode(plan, FAULT_clock_skew, "b1", "", 3000);
	add_episode(plan, FAULT_clock_step, "b1", "", -7);
	world_set_faults(test->world, plan);
	assert_ptr_equal(world_faults(test->world), plan);
	world_start(test->b1, idle, NULL);

	test_run(test, 10 * LAB_SEC - 1);
	assert_true(world_is_up(test->b1));
	assert_true(world_reachable(test->world, b2, b1));
	test_run(test, 10 * LAB_SEC);
	assert_false(world_is_up(test->b1));
	assert_false(world_reachable(test->world, b2, b1));
	assert_true(world_reachable(test->world, b1, b2));
	assert_false(world_reachable(test->world, b2, s3));
	assert_int_equal(offset_us(test), 2993);
	test_run(test, 30 * LAB_SEC);
	assert_true(world_is_up(test->b1));
	assert_int_equal(world_boots(test->b1), 2);
	assert_true(world_reachable(test->world, b2, b1));
	assert_true(world_reachable(test->world, b2, s3));
	assert_int_equal(offset_us(test), -7);
	assert_int_equal(fault_fired_total(plan), 5);
}

static void start_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_start(test->b1, idle, NULL);
}

static void a_zone_is_lost_and_returns_as_a_whole(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);
	struct lab_view b1 = LAB_VIEW("b1"), b2 = LAB_VIEW("b2"), s3 = LAB_VIEW("s3");

	add_service(test);
	/* b1 is in az1, b2 and the service are in az2. */
	add_episode(plan, FAULT_zone_lost, "zone:az2", "", 0);
	world_set_faults(test->world, plan);
	world_start(test->b1, idle, NULL);
	world_start(test->b2, idle, NULL);
	test_run(test, 10 * LAB_SEC - 1);
	assert_true(world_is_up(test->b2));
	test_run(test, 10 * LAB_SEC);
	assert_true(world_is_up(test->b1));
	assert_false(world_is_up(test->b2));
	assert_false(world_reachable(test->world, b1, s3));
	test_run(test, 30 * LAB_SEC);
	assert_true(world_is_up(test->b2));
	assert_int_equal(world_boots(test->b1), 1);
	assert_int_equal(world_boots(test->b2), 2);
	assert_true(world_reachable(test->world, b2, s3));
	assert_int_equal(fault_fired_total(plan), 1);
}

static void a_host_that_somebody_else_started_is_left_alone(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);

	add_episode(plan, FAULT_crash, "b1", "", 0);
	/* Down already: not crashed, and not started. */
	add_episode(plan, FAULT_crash, "b2", "", 0);
	world_set_faults(test->world, plan);
	world_start(test->b1, idle, NULL);
	world_at(test->world, 20 * LAB_SEC, start_b1, test);
	test_run(test, LAB_MINUTE);

	assert_int_equal(world_boots(test->b1), 2);
	assert_int_equal(world_boots(test->b2), 0);
}

static struct sim_fault ask_hook(struct test_world *test, const char *point)
{
	struct sim_hooks hooks;
	struct sim_fault_query query = { .point = point,
		.service = "s3",
		.instance = LAB_VIEW("s3"),
		.peer = LAB_VIEW("b1"),
		.now_ns = world_now(test->world) };

	world_hooks(test->world, &hooks);
	return hooks.fault(hooks.ctx, &query);
}

static void a_host_may_crash_in_its_request(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);
	struct fault_episode episode = { .kind = FAULT_stall_reply,
		.points = FAULT_BIT(s3_put),
		.length_ns = LAB_MINUTE,
		.nth = 2,
		.crashes_peer = true,
		.disk = FAULT_DISK_WIPE,
		.down_ns = 5 * LAB_SEC };

	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
	world_set_faults(test->world, plan);
	world_start(test->b1, idle, NULL);
	world_start(test->b2, idle, NULL);
	test_run(test, LAB_SEC);
	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_NONE);
	test_run(test, 2 * LAB_SEC);
	assert_true(world_is_up(test->b1));
	/* Not before its request is over. */
	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_STALL_REPLY);
	assert_true(world_is_up(test->b1));
	test_run(test, 7 * LAB_SEC - 1);
	assert_false(world_is_up(test->b1));
	assert_true(world_is_up(test->b2));
	test_run(test, 7 * LAB_SEC);
	assert_true(world_is_up(test->b1));
	assert_int_equal(world_boots(test->b1), 2);
	assert_int_equal(world_counters(test->world).crashes, 1);
}

struct seen {
	unsigned started, finished, injected;
	uint64_t fault;
};

static void see(void *ctx, const struct lab_event *event)
{
	struct seen *seen = ctx;

	seen->started += event->id == LAB_EV_episode_started;
	seen->finished += event->id == LAB_EV_episode_finished;
	if (event->id != LAB_EV_fault_injected)
		return;
	seen->injected++;
	seen->fault = event->fields[0].number;
}

static void hooks_ask_the_plan_and_faults_become_events(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);
	struct seen seen = { 0 };

	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_NONE);
	world_add_sink(test->world, see, &seen);
	add_episode(plan, FAULT_slow_down, "", "", 0);
	add_episode(plan, FAULT_stall, "", "", 0);
	assert_int_equal(fault_plan_disable_episode(plan, 2, NULL), 0);
	world_set_faults(test->world, plan);
	/* One more while it runs; it has begun already. */
	test_run(test, 15 * LAB_SEC);
	add_episode(plan, FAULT_read_timeout, "", "", 0);

	assert_int_equal(ask_hook(test, "s3.put").status, 503);
	assert_int_equal(ask_hook(test, "cql.read").status, 0x1200);
	test_run(test, LAB_MINUTE);
	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_NONE);
	assert_int_equal(seen.started, 2);
	assert_int_equal(seen.finished, 2);
	assert_int_equal(seen.injected, 2);
	assert_int_equal(seen.fault, 2);
}

static void zones_scope_faults(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = make_plan(test);
	struct fault_episode episode = { .kind = FAULT_reset,
		.length_ns = LAB_SEC,
		.rate_ppm = 1000000,
		.scope = FAULT_PEER_ZONE,
		.target = "az2" };

	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
	world_set_faults(test->world, plan);
	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_NONE);
	memcpy(episode.target, "az1", 4);
	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
	assert_int_equal(ask_hook(test, "s3.put").kind, SIM_FAULT_RESET);
}

/* ---- latency, reachability, access ---- */

static void latencies_are_drawn_between_their_bounds(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);
	struct sim_hooks hooks;
	struct lab_view b1 = LAB_VIEW("b1"), b2 = LAB_VIEW("b2"), s3 = LAB_VIEW("s3");
	unsigned inside = 0;

	world_free(&test->world);
	settings.same_zone = (struct world_latency){ 0 };
	test_make_world(test, &settings);
	add_service(test);
	world_zone_latency(
		test->world, "az1", "az2", (struct world_latency){ LAB_MSEC, 2 * LAB_MSEC });
	world_hooks(test->world, &hooks);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t latency = hooks.latency(hooks.ctx, b1, b2, i);

		inside += latency >= LAB_MSEC && latency <= 2 * LAB_MSEC;
		assert_in_range(latency, LAB_MSEC / 4, 32 * LAB_MSEC);
		assert_int_equal(latency, hooks.latency(hooks.ctx, b1, b2, i));
		/* In a zone: the default. */
		assert_in_range(hooks.latency(hooks.ctx, b2, s3, i), 50 * LAB_USEC / 4,
			150 * LAB_USEC * 16);
	}
	/* 90 %, within five standard deviations. */
	assert_in_range(inside, 852, 948);
	assert_int_equal(hooks.latency(hooks.ctx, b1, LAB_VIEW("unknown"), 1), 10 * LAB_MSEC);
}

static void count_access(void *ctx, const struct sim_access *access)
{
	*(uint64_t *)ctx += access->bytes;
}

static void partitions_are_between_sides(void **state)
{
	static const struct {
		const char *a, *b;
		bool one_way;
		bool b1_b2, b2_b1, b1_s3, s3_b2;
	} rows[] = {
		{ "b1", "b2", false, false, false, true, true },
		{ "b1", "b2", true, false, true, true, true },
		{ "b1", "*", false, false, false, false, true },
		{ "zone:az2", "b1", false, false, false, false, true },
		{ "zone:az2", "zone:az2", false, true, true, true, false },
		{ "nobody", "b1", false, true, true, true, true },
	};
	struct test_world *test = *state;
	struct lab_view b1 = LAB_VIEW("b1"), b2 = LAB_VIEW("b2"), s3 = LAB_VIEW("s3");
	struct sim_hooks hooks;
	uint32_t first, second;

	add_service(test);
	world_hooks(test->world, &hooks);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		uint32_t id = world_partition(test->world, rows[i].a, rows[i].b, rows[i].one_way);

		assert_int_equal(hooks.reachable(hooks.ctx, b1, b2, 0), rows[i].b1_b2);
		assert_int_equal(hooks.reachable(hooks.ctx, b2, b1, 0), rows[i].b2_b1);
		assert_int_equal(hooks.reachable(hooks.ctx, b1, s3, 0), rows[i].b1_s3);
		assert_int_equal(hooks.reachable(hooks.ctx, s3, b2, 0), rows[i].s3_b2);
		assert_true(hooks.reachable(hooks.ctx, b1, b1, 0));
		world_heal(test->world, id);
		assert_true(hooks.reachable(hooks.ctx, b1, b2, 0));
	}
	first = world_partition(test->world, "b1", "b2", false);
	second = world_partition(test->world, "b1", "b2", false);
	world_heal(test->world, first);
	world_heal(test->world, first);
	assert_false(world_reachable(test->world, b1, b2));
	world_heal(test->world, second);
	assert_true(world_reachable(test->world, b1, b2));
}

static void access_lines_go_to_every_sink(void **state)
{
	struct test_world *test = *state;
	struct sim_hooks hooks;
	struct sim_access access = { .bytes = 5 };
	uint64_t one = 0, two = 0;

	world_add_access_sink(test->world, count_access, &one);
	world_add_access_sink(test->world, count_access, &two);
	world_hooks(test->world, &hooks);
	hooks.access(hooks.ctx, &access);

	assert_int_equal(one, 5);
	assert_int_equal(two, 5);
}

/* ---- a run is a function of its seed ---- */

struct storm {
	struct test_world *test;
	struct world_host *host;
};

static void client(void *arg)
{
	struct storm *storm = arg;
	struct env *env = world_env(storm->host);
	struct lab_arena *arena = lab_arena_new(env->heap, 1 << 20);
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("s3.example.com"),
		.target = LAB_VIEW("/x") };
	struct env_http_limits limits = { LAB_SEC, LAB_SEC, 1000, false, 0 };
	struct lab_http_response response;
	struct lab_error err;

	for (uint64_t i = 0;; i++) {
		int result = env_http(env, &request, &limits, arena, &response, NULL, &err);

		ENV_EVENT(env, LAB_EV_operation_finished, LAB_F_U64("i", i),
			LAB_F_CODE("code", result == 0 ? LAB_OK : err.code));
		(void)env_file_replace(env, "/state", LAB_VIEW("state"), i % 2 == 0, NULL);
		env_sleep(env, lab_pick(env_draw(env, "think", i), LAB_SEC));
		lab_arena_reset(arena);
	}
}

static void clients(void *arg)
{
	struct storm *storm = arg;

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			env_spawn(world_env(storm->host), "client", client, storm, NULL), 0);
}

static uint64_t run_storm(struct test_world *test, uint64_t seed, bool shuffle, uint8_t fill)
{
	static const char *const hosts[] = { "b1", "b2" };
	static const char *const others[] = { "s3", "zone:az1" };
	struct world_settings settings = test_settings(test);
	struct fault_spec spec = { .name = "storm",
		.kinds = FAULT_KIND(crash) | FAULT_KIND(partition) | FAULT_KIND(clock_skew),
		.episodes = { FAULT_UNIFORM, 10, 20 },
		.window_end_ns = 4 * LAB_MINUTE,
		.length_ns = { FAULT_QLOG, LAB_SEC, LAB_MINUTE },
		.targets = hosts,
		.target_count = 2,
		.others = others,
		.other_count = 2 };
	struct storm storms[2];
	struct fault_plan *plan;
	uint64_t hash;

	world_free(&test->world);
	lab_pool_set_fill(test->pool, fill);
	memset(&fake, 0, sizeof(fake));
	fake.delay_ns = 5 * LAB_MSEC;
	settings.seed = seed;
	settings.schedule = shuffle ? WORLD_SHUFFLE : WORLD_FIFO;
	settings.same_zone = settings.other_zone = (struct world_latency){ 0 };
	test_make_world(test, &settings);
	add_service(test);
	plan = make_plan(test);
	assert_int_equal(fault_plan_add(plan, &spec, &test->err), 0);
	world_set_faults(test->world, plan);
	storms[0] = (struct storm){ test, test->b1 };
	storms[1] = (struct storm){ test, test->b2 };
	world_start(test->b1, clients, &storms[0]);
	world_start(test->b2, clients, &storms[1]);
	test_run(test, 5 * LAB_MINUTE);
	hash = lab_hash_fold(world_trace_hash(test->world), world_event_count(test->world));
	assert_true(world_event_count(test->world) > 500);
	world_free(&test->world);
	test_make_world(test, &settings);
	return hash;
}

static void the_same_seed_gives_the_same_trace(void **state)
{
	struct test_world *test = *state;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		bool shuffle = seed % 2 == 0;
		uint64_t hash = run_storm(test, seed, shuffle, 0x55);
		/* Moves what comes after it, too. */
		struct lab_heap *pad = lab_heap_new(test->pool, 1 << 20);

		(void)lab_heap_alloc(pad, 4096 * (seed % 7 + 1));
		assert_true(hash == run_storm(test, seed, shuffle, 0xa3));
		assert_true(hash != run_storm(test, seed + 100, shuffle, 0x55));
		lab_heap_drop(&pad);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(the_world_carries_out_its_episodes),
		T(a_zone_is_lost_and_returns_as_a_whole),
		T(a_host_that_somebody_else_started_is_left_alone),
		T(a_host_may_crash_in_its_request),
		T(hooks_ask_the_plan_and_faults_become_events),
		T(zones_scope_faults),
		T(latencies_are_drawn_between_their_bounds),
		T(partitions_are_between_sides),
		T(access_lines_go_to_every_sink),
		T(the_same_seed_gives_the_same_trace),
	};

	return cmocka_run_group_tests_name("world-faults", tests, NULL, NULL);
}
