/* SPDX-License-Identifier: Apache-2.0
 *
 * Campaigns that explore: real runs, and what is kept of them.
 */
#include "scenarios/campaign/explore.h"
#include "scenarios/format/testing-scenario.h"

#define RUNS 48
#define FILE_MAX (1u << 20)
#define WARMUP (2 * LAB_SEC)
#define STORM_END (12 * LAB_SEC)

/* Two users on two backends for ten seconds. */
#define SMALL \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 2 s\n  duration = 10 s\n  settle = 20 s\n  marks = " \
	"delivery_retried\n}\n" \
	"site az1 {\n  backends = 1\n}\nsite az2 {\n  backends = 1\n}\n" \
	"store s3 {\n  latency_read = 2ms..5ms\n  latency_write = 3ms..9ms\n}\n" \
	"user busy {\n  count = 2\n  mail_inbox_delivery_interval = 500ms..2s\n" \
	"  mail_session_interval = 1s..2s\n  mail_session_length = 1200 ms\n" \
	"  mail_action_delay = 250 ms\n  folders = 1\n  mail_inbox_store_percentage = 20%\n" \
	"  mail_inbox_delete_percentage = 30%\n  mail_delivery_retries = 3\n" \
	"  mail_delivery_retry_delay = 1 s\n}\n" \
	"fault crashes {\n  kinds = crash\n  target = backend\n  episodes = 0..2\n" \
	"  length = 500ms..2s\n  disk = keep | wipe\n}\n" \
	"fault s3 {\n  kinds = slow_down | lose_reply\n  points = s3.*\n  target = backend\n" \
	"  episodes = 0..2\n  length = 1s..3s\n  rate = 1/10..1/2\n}\n" \
	"fault nodes {\n  kinds = node_down\n  target = node\n  episodes = 0..1\n" \
	"  length = 1s..2s\n}\n"

struct told {
	enum explore_why why;
	uint64_t seed;
	const char *path, *text;
	size_t episodes;
	uint64_t trace_hash; /* of the scenario as it was told of */
};

static struct test {
	struct testing_loader loader;
	struct explore_settings settings;
	struct campaign_result result; /* large */
	struct explore_result explored;
	struct told told[2 * RUNS];
	size_t told_count, turns;
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	bool runs_them; /* plans that are told of */
	struct run_result run;
	struct lab_error err;
} test;

static const char *text_of(const struct scenario *scenario)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, FILE_MAX);
	if (scenario_print(scenario, &out, &test.err) < 0)
		fail_msg("%s", test.err.message);
	return lab_arena_cstr(test.loader.arena, lab_buf_view(&out));
}

static uint64_t run_once(const struct scenario *scenario, uint64_t seed, struct run_result *ret)
{
	struct run_options options = {
		.scenario = scenario, .seed = seed, .pool = test.pool, .fibers = test.fibers
	};

	if (run_simulated(&options, ret, &test.err) < 0)
		fail_msg("%s", test.err.message);
	return ret->trace_hash;
}

static bool is_in_phase(const struct fault_episode *e)
{
	return e->start_ns >= WARMUP && e->start_ns < STORM_END &&
	       e->length_ns <= STORM_END - e->start_ns;
}

/* What it can be is what the scenario says. */
static void check_episode(const struct fault_episode *e)
{
	assert_true(is_in_phase(e));
	switch ((int)e->kind) {
	case FAULT_crash:
		assert_true(
			strcmp(e->target, "backend-1") == 0 || strcmp(e->target, "backend-2") == 0);
		assert_true(e->disk != FAULT_DISK_LOSE_UNSYNCED);
		assert_true(e->length_ns <= 2 * LAB_SEC);
		break;
	case FAULT_slow_down:
	case FAULT_lose_reply:
		assert_int_equal(e->scope, FAULT_PEER);
		assert_int_equal(e->points & ~FAULT_S3, 0);
		assert_true(e->length_ns <= 3 * LAB_SEC);
		break;
	default:
		assert_int_equal(e->kind, FAULT_node_down);
		assert_true(strncmp(e->target, "cassandra-", 10) == 0);
		break;
	}
}

static int on_plan(
	void *ctx, enum explore_why why, const struct scenario *scenario, struct lab_error *err)
{
	struct told *told = &test.told[test.told_count++];

	(void)ctx, (void)err;
	assert_true(test.told_count <= LAB_COUNT_OF(test.told));
	*told = (struct told){ .why = why,
		.seed = scenario->seed,
		.path = lab_arena_cstr(test.loader.arena, lab_view_cstr(scenario->path)),
		.text = text_of(scenario),
		.episodes = scenario->exact_count };
	if (test.runs_them)
		told->trace_hash = run_once(scenario, scenario->seed, &test.run);
	for (size_t i = 0; i < scenario->exact_count; i++)
		check_episode(&scenario->exact[i]);
	return 0;
}

static void on_turn(void *ctx, uint64_t runs, uint64_t failed, uint64_t kept)
{
	(void)ctx, (void)failed, (void)kept;
	assert_true(runs <= test.settings.runs);
	test.turns++;
}

static void begin(void)
{
	memset(&test, 0, sizeof(test));
	testing_loader_init(&test.loader);
	testing_load_ok(&test.loader, SMALL);
	test.pool = lab_pool_new((size_t)4 << 30);
	test.fibers = lab_fiber_pool_new(65536, 4096, NULL);
	test.settings = (struct explore_settings){
		.campaign = { .scenario = test.loader.scenario,
			.first_seed = 7,
			.workers = 2,
			.seed_timeout_s = 60 },
		.runs = RUNS,
		.drawn_first = EXPLORE_TURN,
		.directory = "plans",
		.on_plan = on_plan,
		.on_turn = on_turn,
	};
}

static void end(void)
{
	lab_fiber_pool_free(&test.fibers);
	lab_pool_free(&test.pool);
}

static void explore(void)
{
	test.told_count = test.turns = 0;
	if (explore_run(&test.settings, &test.result, &test.explored, &test.err) < 0)
		fail_msg("%s", test.err.message);
}

static void half_of_the_runs_are_changed_plans(void **state)
{
	const struct explore_result *r = &test.explored;

	(void)state;
	begin();
	explore();
	assert_int_equal(test.result.seeds, RUNS);
	assert_int_equal(test.result.passed, RUNS);
	assert_int_equal(r->drawn + r->changed, RUNS);
	assert_true(r->drawn >= EXPLORE_TURN);
	assert_true(r->changed >= RUNS / 8);
	/* The first one at least, and nothing twice. */
	assert_true(r->kept_drawn > 0 && r->kept_changed > 0);
	assert_int_equal(test.told_count, r->kept_drawn + r->kept_changed);
	assert_true(r->features > 100 && r->features_changed > 0);
	assert_int_equal(test.turns, RUNS / EXPLORE_TURN);
	assert_ptr_equal(test.result.explored, r);
	/* What the scenario demands of its campaign holds for this one. */
	assert_true(test.result.total.marks[LAB_MARK_delivery_retried] > 0);
	assert_int_equal(test.result.missed_marks, 0);
	end();
}

static void the_workers_make_no_difference(void **state)
{
	struct told *told;
	uint64_t hash;
	size_t count;

	(void)state;
	begin();
	test.settings.campaign.workers = 1;
	explore();
	hash = test.result.total.trace_hash;
	count = test.told_count;
	told = lab_new_array(testing_heap, struct told, count);
	memcpy(told, test.told, count * sizeof(*told));
	test.settings.campaign.workers = 3;
	explore();
	assert_int_equal(test.result.total.trace_hash, hash);
	assert_int_equal(test.told_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(test.told[i].path, told[i].path);
		assert_string_equal(test.told[i].text, told[i].text);
	}
	/* Another first seed is another campaign. */
	test.settings.campaign.first_seed = 1000;
	explore();
	assert_int_not_equal(test.result.total.trace_hash, hash);
	end();
}

/* As another program would read it. */
static void load_plan(struct testing_loader *loader, const struct told *told)
{
	testing_loader_init(loader);
	/* The dict's file lies beside it. */
	testing_file_set(loader, "scenarios/dovecot-dict-cql.conf.ext",
		testing_disk_file(TESTING_DICT, loader->arena));
	testing_load_ok(loader, told->text);
}

static void a_plan_runs_alone_as_it_ran(void **state)
{
	(void)state;
	begin();
	test.runs_them = true;
	explore();
	assert_true(test.told_count > 6);
	for (size_t i = 0; i < test.told_count; i++) {
		const struct told *told = &test.told[i];
		struct testing_loader loader;

		load_plan(&loader, told);
		assert_int_equal(loader.scenario->seed, told->seed);
		assert_int_equal(loader.scenario->exact_count, told->episodes);
		assert_int_equal(loader.scenario->fault_count, 0);
		assert_int_equal(
			run_once(loader.scenario, told->seed, &test.run), told->trace_hash);
		assert_int_equal(test.run.verdict, RUN_PASS);
	}
	end();
}

static void what_a_seed_draws_goes_as_it_would(void **state)
{
	struct run_result *plan, *drawn;
	struct testing_loader loader;

	(void)state;
	begin();
	plan = lab_new(testing_heap, struct run_result);
	drawn = lab_new(testing_heap, struct run_result);
	test.settings.runs = 1;
	explore();
	assert_int_equal(test.told_count, 1);
	assert_int_equal(test.told[0].seed, 7);
	assert_string_equal(test.told[0].path, "plans/000001.scn");
	(void)run_once(test.loader.scenario, 7, drawn);
	load_plan(&loader, &test.told[0]);
	(void)run_once(loader.scenario, 7, plan);
	/* Names and rates that say nothing are in the one's events and not in the other's. */
	assert_int_equal(plan->events, drawn->events);
	assert_int_equal(plan->virtual_ns, drawn->virtual_ns);
	assert_memory_equal(plan->operations, drawn->operations, sizeof(plan->operations));
	assert_memory_equal(plan->faults, drawn->faults, sizeof(plan->faults));
	end();
}

/* In a way that the campaign has seen. */
static void fails_alone(const struct told *told)
{
	struct run_result *result = lab_new(testing_heap, struct run_result);
	struct testing_loader loader;
	bool is_known = false;

	load_plan(&loader, told);
	(void)run_once(loader.scenario, told->seed, result);
	assert_int_equal(result->verdict, RUN_FAIL);
	for (size_t i = 0; i < test.result.signature_count; i++)
		is_known =
			is_known || strcmp(result->signature, test.result.signatures[i].text) == 0;
	assert_true(is_known);
}

static void changed_plans_that_fail_are_told_of(void **state)
{
	size_t failed = 0;

	(void)state;
	begin();
	test.settings.campaign.defects = LAB_DEFECT(NO_RETRY_503);
	lab_defects_add(&test.settings.campaign.defects, LAB_DEFECT_ACK_BEFORE_PUT);
	test.settings.runs = 2 * RUNS;
	explore();
	for (size_t i = 0; i < test.told_count; i++) {
		if (test.told[i].why == EXPLORE_KEPT)
			continue;
		if (failed++ == 0)
			fails_alone(&test.told[i]);
	}
	assert_true(failed > 0);
	assert_int_equal(failed, test.explored.failed_changed);
	assert_int_equal(
		test.result.failed, test.explored.failed_drawn + test.explored.failed_changed);
	assert_true(test.result.signature_count > 0);
	assert_true(test.result.signatures[0].count > 0);
	end();
}

static void it_ends_at_the_same_failure(void **state)
{
	uint64_t runs;

	(void)state;
	begin();
	test.settings.campaign.defects = LAB_DEFECT(NO_RETRY_503);
	test.settings.campaign.stop_at_first = true;
	test.settings.campaign.workers = 1;
	explore();
	runs = test.result.seeds_until_failure;
	assert_in_range(runs, 1, RUNS);
	assert_int_equal(test.result.first_failed_seed, runs);
	assert_true(test.turns < RUNS / EXPLORE_TURN || runs > RUNS - EXPLORE_TURN);
	test.settings.campaign.workers = 3;
	explore();
	assert_int_equal(test.result.seeds_until_failure, runs);
	end();
}

static void the_summary_says_what_only_changed_plans_have_hit(void **state)
{
	struct explore_result r = { .drawn = 3,
		.changed = 4,
		.failed_changed = 1,
		.kept_drawn = 2,
		.kept_changed = 1,
		.features = 9,
		.features_changed = 5,
		.marks = 1,
		.marks_changed = 3 };
	struct lab_buf out;
	struct lab_json json;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	explore_print(&r, &out);
	lab_json_init(&json, &out, false);
	lab_json_object(&json);
	explore_json(&r, &json);
	lab_json_end(&json);
	lab_buf_append_byte(&out, '\0');
	assert_string_equal((const char *)out.data,
		"  explored          3 seeds as they are drawn, 4 changed plans; kept 2 and 1, "
		"failed 0 and 1\n"
		"  features          9, 5 of them first seen in changed plans\n"
		"  marks             hit only by changed plans: max_bucket_lowered\n"
		"{\"explored\":{\"drawn\":3,\"changed\":4,\"failed_drawn\":0,\"failed_changed\":1,"
		"\"kept_drawn\":2,\"kept_changed\":1,\"features\":9,\"features_changed\":5,"
		"\"marks_changed\":[\"max_bucket_lowered\"]}}");
	lab_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)
		TEST(half_of_the_runs_are_changed_plans),
		TEST(the_workers_make_no_difference),
		TEST(a_plan_runs_alone_as_it_ran),
		TEST(what_a_seed_draws_goes_as_it_would),
		TEST(changed_plans_that_fail_are_told_of),
		TEST(it_ends_at_the_same_failure),
		TEST(the_summary_says_what_only_changed_plans_have_hit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
