/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run did, done again by steps: the same is found.
 */
#include "scenarios/failure/record.h"
#include "scenarios/format/testing-scenario.h"

#define ARENA_MAX ((size_t)1 << 28)

struct twice {
	struct run_options options;
	struct run_result first, second;
	struct recorded recorded, again;
	struct scenario scenario;
};

static const struct scenario *load_text(const char *text)
{
	struct testing_loader *l = lab_new(testing_heap, struct testing_loader);

	testing_loader_init(l);
	testing_load_ok(l, text);
	return l->scenario;
}

static const struct scenario *load_file(const char *path)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, ARENA_MAX);

	return load_text(lab_arena_cstr(arena, testing_disk_file(path, arena)));
}

static struct twice *run_twice(
	const struct scenario *scenario, uint64_t seed, struct lab_defects defects)
{
	struct twice *t = lab_new(testing_heap, struct twice);
	struct lab_arena *arena = lab_arena_new(testing_heap, ARENA_MAX);
	struct lab_error err;

	t->options = (struct run_options){ .scenario = scenario,
		.seed = seed,
		.defects = defects,
		.pool = lab_pool_new((size_t)4 << 30),
		.fibers = lab_fiber_pool_new(65536, 16384, NULL) };
	if (record_run(&t->options, arena, &t->recorded, &t->first, &err) < 0)
		fail_msg("%s", err.message);
	record_scenario(scenario, &t->recorded, &t->scenario);
	t->options.scenario = &t->scenario;
	if (record_run(&t->options, arena, &t->again, &t->second, &err) < 0)
		fail_msg("%s", err.message);
	lab_fiber_pool_free(&t->options.fibers);
	lab_pool_free(&t->options.pool);
	return t;
}

static void fail_difference(const struct twice *t)
{
	size_t steps = LAB_MIN(t->recorded.step_count, t->again.step_count);

	for (size_t i = 0; i < steps; i++) {
		const struct scenario_step *a = &t->recorded.steps[i], *b = &t->again.steps[i];

		if (a->at_ns == b->at_ns && a->what == b->what && lab_view_eq(a->mails, b->mails))
			continue;
		print_message("step %zu: %" PRIu64 " %s %.*s user %" PRIu64 "; then %" PRIu64
			      " %s %.*s user %" PRIu64 "\n",
			i, a->at_ns, history_kind_name(a->what), LAB_VIEW_ARG(a->mails), a->user,
			b->at_ns, history_kind_name(b->what), LAB_VIEW_ARG(b->mails), b->user);
		break;
	}
	fail_msg("%s, then %s; %zu steps, then %zu; %zu faults, then %zu", t->first.signature,
		t->second.signature, t->recorded.step_count, t->again.step_count,
		t->recorded.record_count, t->again.record_count);
}

static void the_standard_storm_is_done_again(void **state)
{
	static const struct {
		uint64_t seed;
		struct lab_defects defects;
	} cases[] = {
		{ 1, LAB_DEFECT(FORWARD_BEFORE_REVERSE) },
		{ 2, LAB_DEFECT(OBJECT_BEFORE_ROWS) },
		{ 1, LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN) },
		{ 1, LAB_DEFECT(NO_RETRY_503) },
		{ 1, LAB_DEFECT(ACK_BEFORE_PUT) },
	};
	const struct scenario *scenario = load_file("scenarios/001-standard-storm.scn");

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct twice *t = run_twice(scenario, cases[i].seed, cases[i].defects);

		assert_row(i, t->first.verdict == RUN_FAIL);
		if (strcmp(t->first.signature, t->second.signature) != 0 ||
			t->recorded.record_count != t->again.record_count)
			fail_difference(t);
	}
}

/* Hosts that a seed drew: steps and episodes name them, whatever else is taken away later. */
static void as_many_backends_as_there_were(void **state)
{
	const struct scenario *scenario = load_text(TESTING_INCLUDE
		"scenario {\n  warmup = 1 s\n  duration = 10 s\n  settle = 20 s\n}\n"
		"site az1 {\n  backends = 1..2\n}\nsite az2 {\n  backends = 1\n}\n"
		"store s3 {\n  latency_read = 2 ms\n  latency_write = 3 ms\n}\n"
		"user busy {\n  count = 6\n  mail_inbox_delivery_interval = 700 ms\n}\n");
	bool has_had[4] = { false };

	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct twice *t = run_twice(scenario, seed, LAB_NO_DEFECTS);
		size_t count = 0;

		assert_int_equal(t->first.verdict, RUN_PASS);
		for (size_t i = 0; i < t->scenario.site_count; i++) {
			assert_int_equal(t->scenario.sites[i].backends.kind, CONF_RANGE_FIXED);
			count += (size_t)t->scenario.sites[i].backends.low;
		}
		assert_in_range(count, 2, 3);
		for (size_t i = 0; i < t->recorded.step_count; i++)
			has_had[count] |= lab_view_eq(t->recorded.steps[i].backend,
				count == 3 ? LAB_VIEW("backend-3") : LAB_VIEW("backend-2"));
		assert_int_equal(t->recorded.step_count, t->again.step_count);
	}
	assert_true(has_had[2] && has_had[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(the_standard_storm_is_done_again),
		testing_test(as_many_backends_as_there_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
