/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs that are not deterministic, each in its own way (they take the place of run.c): the guard
 * finds them, and names the event.
 */
#include "scenarios/campaign/guard.h"

#include "core/base/testing.h"
#include "scenarios/campaign/campaign.h"
#include "sim/world/world.h"

#include <stdlib.h>
#include <unistd.h>

#define EVENTS 20
#define LEAK_AT 12

static enum leak {
	LEAK_NOTHING,
	LEAK_ENVIRONMENT,
	LEAK_DIRECTORY,
	LEAK_ADDRESS,
	LEAK_PROCESS,
	LEAK_MORE_EVENTS,
	LEAK_FEWER_EVENTS,
	LEAK_VERDICT,
	LEAK_REPORT,
	LEAK_CRASH,
	LEAK_INVALID
} leak;
static uint64_t failing_seed;
static unsigned runs; /* in this process */

static bool is_elsewhere(void)
{
	char name[4096];

	return getcwd(name, sizeof(name)) != NULL && strcmp(name, "/") == 0;
}

/* What a run must not know. */
static uint64_t leaked(struct lab_heap *heap)
{
	const char *zone = getenv("TZ");

	switch ((int)leak) {
	case LEAK_ENVIRONMENT:
		return zone == NULL ? 0 : lab_hash_view(0, lab_view_cstr(zone));
	case LEAK_DIRECTORY:
		return is_elsewhere();
	case LEAK_ADDRESS:
		return (uint64_t)(uintptr_t)lab_heap_alloc(heap, 16);
	case LEAK_PROCESS:
		return (uint64_t)getpid();
	default:
		return 0;
	}
}

static unsigned events_wanted(void)
{
	if (leak == LEAK_MORE_EVENTS && is_elsewhere())
		return EVENTS + 1;
	return leak == LEAK_FEWER_EVENTS && is_elsewhere() ? LEAK_AT : EVENTS;
}

struct listening {
	const struct run_options *options;
	struct world *world;
};

static void on_event(void *ctx, const struct lab_event *event)
{
	struct listening *l = ctx;

	if (l->options->record != NULL)
		run_record_note(l->options->record, event, world_host_name(l->world, event->host),
			world_trace_hash(l->world));
}

/* In place of run.c: a world, in which something is said. */
int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	struct world_settings settings = {
		.seed = options->seed, .pool = options->pool, .fibers = options->fibers
	};
	struct world *world = world_new(&settings);
	struct listening listening = { options, world };
	bool fails = options->seed == failing_seed || (leak == LEAK_VERDICT && is_elsewhere());

	runs++;
	*ret = (struct run_result){ .seed = options->seed };
	world_add_sink(world, on_event, &listening);
	for (uint64_t i = 1; i <= events_wanted(); i++)
		WORLD_EVENT(world, LAB_EV_log_message, LAB_F_U64("n", i),
			LAB_F_U64("said", i == LEAK_AT ? leaked(world_heap(world)) : 0));
	ret->trace_hash = world_trace_hash(world);
	ret->events = world_event_count(world);
	ret->verdict = fails ? RUN_FAIL : RUN_PASS;
	if (fails)
		(void)snprintf(ret->signature, sizeof(ret->signature), "I1 lost mail");
	if (leak == LEAK_REPORT && is_elsewhere())
		(void)snprintf(ret->report, sizeof(ret->report), "otherwise");
	world_free(&world);
	if (leak == LEAK_CRASH && is_elsewhere())
		_exit(9);
	if (leak == LEAK_INVALID && is_elsewhere())
		return lab_fail(err, LAB_INVALID, "no such directory");
	return 0;
}

static struct scenario scenario = { .path = "fake.scn" };

/* ---- one seed ---- */

static struct run_result *twice(enum leak what)
{
	struct run_result *result = lab_new(testing_heap, struct run_result);
	struct run_record record;
	struct run_options options = { .scenario = &scenario,
		.seed = 7,
		.arguments = " --set 'a.b=c'",
		.record = &record,
		.pool = lab_pool_new((size_t)1 << 40),
		.fibers = lab_fiber_pool_new(65536, 100, NULL) };
	struct lab_error err;

	leak = what;
	failing_seed = 0;
	assert_int_equal(run_record_init(&record, &err), 0);
	assert_int_equal(run_simulated(&options, result, &err), 0);
	if (guard_again(&options, result, &err) < 0)
		fail_msg("%s", err.message);
	run_record_done(&record);
	lab_fiber_pool_free(&options.fibers);
	lab_pool_free(&options.pool);
	leak = LEAK_NOTHING;
	return result;
}

static void what_is_the_same_stays_as_it_is(void **state)
{
	struct run_result *r = twice(LEAK_NOTHING);

	(void)state;
	assert_int_equal(r->verdict, RUN_PASS);
	assert_int_equal(r->events, EVENTS);
	assert_string_equal(r->report, "");
}

static void says(const struct run_result *r, const char *text)
{
	assert_int_equal(r->verdict, RUN_BROKEN);
	assert_string_equal(r->signature, "laboratory: not deterministic");
	if (strstr(r->report, text) == NULL)
		fail_msg("expected: %s\nin:\n%s", text, r->report);
}

static void a_leak_is_found_and_its_event_named(void **state)
{
	static const enum leak leaks[] = { LEAK_ENVIRONMENT, LEAK_DIRECTORY, LEAK_ADDRESS };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(leaks); i++) {
		struct run_result *r = twice(leaks[i]);

		if (r->verdict == RUN_PASS)
			fail_msg("row %zu was not found", i);
		says(r, "BROKEN  fake.scn  seed 7  not deterministic: a second run is another one");
		says(r, "First difference: event #12\n");
		/* The first run's words come from a third one. */
		if (leaks[i] == LEAK_ENVIRONMENT || leaks[i] == LEAK_DIRECTORY)
			says(r, "  first run    0.000s lab log_message n=12 said=0\n");
		says(r, "  second run   0.000s lab log_message n=12 said=");
		says(r, "Verdicts: first pass, second pass\n");
		says(r, "Replay    oboxlab replay 7 fake.scn --set 'a.b=c'\n");
	}
	says(twice(LEAK_DIRECTORY), "second run   0.000s lab log_message n=12 said=1\n");
}

static void no_two_runs_need_be_the_same(void **state)
{
	(void)state;
	says(twice(LEAK_PROCESS),
		"  first run    is not known: a third one differs from it at event "
		"12, and has here\n               0.000s lab log_message n=12");
}

static void one_ends_before_the_other(void **state)
{
	struct run_result *r = twice(LEAK_MORE_EVENTS);

	(void)state;
	says(r, "First difference: event #21\n  first run    had ended before it\n");
	says(r, "  second run   0.000s lab log_message n=21 said=0\n");
	r = twice(LEAK_FEWER_EVENTS);
	says(r, "  first run    0.000s lab log_message n=13 said=0\n");
	says(r, "  second run   had ended before it\n");
}

static void the_same_events_have_the_same_end(void **state)
{
	struct run_result *r = twice(LEAK_VERDICT);

	(void)state;
	says(r, "a second run ended in another way");
	says(r, "All 20 events are the same.\n");
	says(r, "Verdicts: first pass, second fail I1 lost mail\n");
	says(twice(LEAK_REPORT), "Verdicts: first pass, second pass, another report\n");
	says(twice(LEAK_CRASH), "a second run crashed\n\nThe second run: exit status 9\n");
	says(twice(LEAK_INVALID),
		"a second run could not begin\n\nThe second run: no such directory\n");
}

/* ---- campaigns ---- */

static struct campaign_result result; /* large */

static void campaign(uint64_t first, uint64_t last, uint64_t guard)
{
	struct campaign_settings settings = { .scenario = &scenario,
		.first_seed = first,
		.last_seed = last,
		.workers = 2,
		.seed_timeout_s = 60,
		.guard = guard };
	struct lab_error err;

	if (campaign_run(&settings, &result, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_share_and_every_failure_run_twice(void **state)
{
	(void)state;
	leak = LEAK_NOTHING;
	failing_seed = 5;
	campaign(3, 12, 4);
	/* 3, 7, 11, and the one that fails. */
	assert_int_equal(result.guarded, 4);
	assert_int_equal(result.failed, 1);
	assert_string_equal(result.signatures[0].text, "I1 lost mail");
	campaign(3, 12, 0);
	assert_int_equal(result.guarded, 0);
	assert_int_equal(campaign_exit_status(&result), 1);
}

static void what_is_not_deterministic_is_no_failure(void **state)
{
	(void)state;
	leak = LEAK_DIRECTORY;
	failing_seed = 6;
	campaign(5, 8, 100);
	assert_int_equal(result.guarded, 2);
	assert_int_equal(result.failed, 0);
	assert_int_equal(result.broken, 2);
	assert_int_equal(result.passed, 2);
	assert_int_equal(campaign_exit_status(&result), 3);
	assert_string_equal(result.signatures[0].text, "laboratory: not deterministic");
	assert_non_null(strstr(result.signatures[0].report, "First difference: event #12\n"));
	/* In the worker they ran in, and nowhere else. */
	runs = 0;
	campaign(1, 1, 1);
	assert_int_equal(runs, 0);
	leak = LEAK_NOTHING;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(what_is_the_same_stays_as_it_is),
		testing_test(a_leak_is_found_and_its_event_named),
		testing_test(no_two_runs_need_be_the_same),
		testing_test(one_ends_before_the_other),
		testing_test(the_same_events_have_the_same_end),
		testing_test(a_share_and_every_failure_run_twice),
		testing_test(what_is_not_deterministic_is_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
