/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker processes, with runs that do what the test wants (they take the place of run.c).
 */
#include "scenarios/campaign/campaign.h"

#include "core/base/testing.h"
#include "scenarios/runner/report.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Seeds on which something else happens than a pass. */
static struct fake {
	uint64_t crash, exit, hang, fail, fail_otherwise, broken, unknown, invalid, marks;
	unsigned takes_ms;
} fake;

static struct scenario scenario = { .path = "fake.scn" };
static struct campaign_result result; /* large */

static void pause_ms(unsigned ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&time, NULL);
}

/* ---- in place of run.c and report.c ---- */

void report_write(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			_exit(9);
		text += n;
		len -= (size_t)n;
	}
}

static void find(struct run_result *ret, enum run_verdict verdict, const char *signature)
{
	ret->verdict = verdict;
	snprintf(ret->signature, sizeof(ret->signature), "%s", signature);
	snprintf(ret->report, sizeof(ret->report), "REPORT of seed %" PRIu64 "\n", ret->seed);
}

int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	uint64_t seed = options->seed;

	*ret = (struct run_result){ .seed = seed,
		.trace_hash = lab_mix64(seed),
		.events = 10,
		.virtual_ns = LAB_SEC,
		.users = 3,
		.excused = 1,
		.storage_requests = 6,
		.s3_requests = 3,
		.cql_requests = 2,
		.imds_requests = 1 };
	ret->operations[HISTORY_DELIVER][HISTORY_OK] = 4;
	ret->operations[HISTORY_MOVE][HISTORY_PENDING] = 1;
	ret->faults[FAULT_crash] = 2;
	if (seed == fake.marks)
		ret->marks[LAB_MARK_fallback_used]++;
	pause_ms(fake.takes_ms);
	if (seed == fake.crash)
		abort();
	if (seed == fake.exit)
		_exit(7);
	if (seed == fake.hang)
		pause_ms(60000);
	if (seed == fake.invalid)
		return lab_fail(err, LAB_INVALID, "fake.scn:1:1: it cannot be run");
	if (seed == fake.fail)
		find(ret, RUN_FAIL, "I1 one");
	if (seed == fake.fail_otherwise)
		find(ret, RUN_FAIL, "I2 other");
	if (seed == fake.broken)
		find(ret, RUN_BROKEN, "laboratory");
	if (seed == fake.unknown)
		find(ret, RUN_INCONCLUSIVE, "unknown");
	return 0;
}

/* ---- campaigns ---- */

static struct campaign_settings settings(uint64_t first, uint64_t last, unsigned workers)
{
	return (struct campaign_settings){ .scenario = &scenario,
		.first_seed = first,
		.last_seed = last,
		.workers = workers,
		.seed_timeout_s = 60 };
}

static void run(const struct campaign_settings *s)
{
	struct lab_error err;

	if (campaign_run(s, &result, &err) < 0)
		fail_msg("%s", err.message);
	/* No worker is left behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	return testing_setup(state);
}

static const struct campaign_signature *signature(const char *text)
{
	for (size_t i = 0; i < result.signature_count; i++) {
		if (strcmp(result.signatures[i].text, text) == 0)
			return &result.signatures[i];
	}
	fail_msg("there is no signature %s", text);
	return NULL;
}

static void every_seed_runs_once_and_is_added_up(void **state)
{
	struct campaign_settings s = settings(5, 24, 3);

	(void)state;
	run(&s);

	assert_int_equal(result.seeds, 20);
	assert_int_equal(result.passed, 20);
	assert_int_equal(result.excused, 20);
	assert_int_equal(result.total.events, 200);
	assert_int_equal(result.total.virtual_ns, 20 * LAB_SEC);
	assert_int_equal(result.total.storage_requests, 120);
	assert_int_equal(result.total.users, 60);
	assert_int_equal(result.total.operations[HISTORY_DELIVER][HISTORY_OK], 80);
	assert_int_equal(result.total.faults[FAULT_crash], 40);
	assert_int_equal(result.signature_count, 0);
	assert_int_equal(campaign_exit_status(&result), 0);
}

static void the_trace_hash_does_not_depend_on_the_workers(void **state)
{
	static const unsigned workers[] = { 1, 2, 3, 7 };
	uint64_t hash = 0;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(workers); i++) {
		struct campaign_settings s = settings(1, 10, workers[i]);

		run(&s);
		if (i == 0)
			hash = result.total.trace_hash;
		assert_row(i, result.total.trace_hash == hash);
	}
	run(&(struct campaign_settings){
		.scenario = &scenario, .first_seed = 1, .last_seed = 9, .workers = 1 });
	assert_true(result.total.trace_hash != hash);
}

static void more_workers_than_seeds_are_not_needed(void **state)
{
	struct campaign_settings s = settings(3, 4, 8);

	(void)state;
	run(&s);

	assert_int_equal(result.passed, 2);
}

static void failures_are_grouped_by_signature_with_the_first_seed_s_report(void **state)
{
	struct campaign_settings s = settings(1, 30, 3);

	(void)state;
	fake.fail = 20;
	fake.fail_otherwise = 9;
	fake.unknown = 4;
	run(&s);

	assert_int_equal(result.seeds, 30);
	assert_int_equal(result.failed, 2);
	assert_int_equal(result.inconclusive, 1);
	assert_int_equal(result.first_failed_seed, 9);
	assert_int_equal(result.seeds_until_failure, 9);
	assert_int_equal(result.signature_count, 3);
	assert_int_equal(signature("I1 one")->count, 1);
	assert_int_equal(signature("I1 one")->first_seed, 20);
	assert_string_equal(signature("I2 other")->report, "REPORT of seed 9\n");
	assert_int_equal(campaign_exit_status(&result), 1);
}

static void a_worker_that_dies_names_its_seed_and_the_campaign_goes_on(void **state)
{
	struct campaign_settings s = settings(1, 20, 2);
	const struct campaign_signature *found;

	(void)state;
	fake.crash = 7;
	fake.exit = 12;
	run(&s);

	assert_int_equal(result.seeds, 20);
	assert_int_equal(result.passed, 18);
	assert_int_equal(result.broken, 2);
	found = signature("laboratory: crashed the laboratory");
	assert_int_equal(found->count, 2);
	assert_int_equal(found->first_seed, 7);
	assert_non_null(strstr(found->report, "seed 7  crashed the laboratory (signal 6)"));
	assert_non_null(strstr(found->report, "oboxlab replay 7 fake.scn"));
	assert_int_equal(campaign_exit_status(&result), 3);
}

static void the_last_seed_may_crash(void **state)
{
	struct campaign_settings s = settings(1, 4, 2);

	(void)state;
	fake.exit = 4;
	run(&s);

	assert_int_equal(result.passed, 3);
	assert_int_equal(result.broken, 1);
	assert_non_null(strstr(result.signatures[0].report, "(exit status 7)"));
}

static void a_seed_that_hangs_is_ended(void **state)
{
	struct campaign_settings s = settings(1, 6, 2);

	(void)state;
	fake.hang = 3;
	s.seed_timeout_s = 1;
	run(&s);

	assert_int_equal(result.passed, 5);
	assert_int_equal(result.broken, 1);
	assert_int_equal(signature("laboratory: took too long")->first_seed, 3);
	assert_true(result.wall_ns < 20 * LAB_SEC);
}

static void the_time_limit_ends_it_without_blame(void **state)
{
	struct campaign_settings s = settings(1, 100000, 2);

	(void)state;
	fake.takes_ms = 50;
	s.time_limit_ns = LAB_SEC;
	run(&s);

	assert_in_range(result.seeds, 1, 99999);
	assert_int_equal(result.passed, result.seeds);
	assert_int_equal(result.broken, 0);
	assert_true(result.wall_ns < 10 * LAB_SEC);
	assert_int_equal(campaign_exit_status(&result), 0);
}

static void it_stops_at_the_first_failure_if_asked(void **state)
{
	struct campaign_settings s = settings(1, 100000, 2);

	(void)state;
	fake.takes_ms = 5;
	fake.fail = 5;
	s.stop_at_first = true;
	run(&s);

	assert_int_equal(result.failed, 1);
	assert_true(result.seeds < 1000);
	assert_int_equal(result.broken, 0);
	assert_int_equal(result.seeds_until_failure, 5);
}

static void a_scenario_that_cannot_run_is_an_error(void **state)
{
	struct campaign_settings s = settings(1, 100000, 2);
	struct lab_error err;

	(void)state;
	fake.invalid = 3;
	assert_int_equal(campaign_run(&s, &result, &err), -1);

	assert_int_equal(err.code, LAB_INVALID);
	assert_string_equal(err.message, "fake.scn:1:1: it cannot be run");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

struct told {
	uint64_t results, sum;
};

static void on_result(void *ctx, const struct run_result *run)
{
	struct told *told = ctx;

	told->results++;
	told->sum += run->seed;
}

static void each_result_is_told(void **state)
{
	struct campaign_settings s = settings(1, 10, 3);
	struct told told = { 0, 0 };

	(void)state;
	fake.crash = 5;
	s.on_result = on_result;
	s.ctx = &told;
	run(&s);

	assert_int_equal(told.results, 10);
	assert_int_equal(told.sum, 55);
}

/* ---- summaries ---- */

static void the_exit_status_is_the_worst_verdict(void **state)
{
	static const struct {
		struct campaign_result result;
		int status;
	} rows[] = { { { .seeds = 1, .passed = 1 }, 0 }, { { .seeds = 0 }, 4 },
		{ { .seeds = 2, .inconclusive = 1 }, 4 },
		{ { .seeds = 3, .inconclusive = 1, .broken = 1 }, 3 },
		{ { .seeds = 4, .inconclusive = 1, .broken = 1, .failed = 1 }, 1 } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, campaign_exit_status(&rows[i].result) == rows[i].status);
}

static const char *printed(bool json)
{
	static struct lab_buf out;

	lab_buf_init(&out, testing_heap, 1u << 20);
	(json ? campaign_print_json : campaign_print)(&result, "fake.scn", &out);
	return lab_buf_cstr(&out);
}

static void not_here(void *ctx, uint64_t number, struct run_options *run)
{
	(void)ctx, (void)number, (void)run;
}

static void what_must_be_reached_and_never_was_is_no_pass(void **state)
{
	struct campaign_settings s = settings(1, 6, 2);

	(void)state;
	scenario.marks = UINT64_C(1) << LAB_MARK_fallback_used | UINT64_C(1) << LAB_MARK_page_read;
	fake.marks = 4;
	run(&s);
	assert_int_equal(result.passed, 6);
	assert_true(result.missed_marks == UINT64_C(1) << LAB_MARK_page_read);
	assert_int_equal(campaign_exit_status(&result), 4);
	assert_non_null(strstr(printed(true), "\"marks_missed\":[\"page_read\"]"));
	assert_non_null(strstr(printed(true), "\"fallback_used\":1"));
	assert_non_null(strstr(printed(true), "\"verdict\":\"inconclusive\""));
	assert_non_null(strstr(printed(false), "MISSED            page_read: "));
	assert_null(strstr(printed(false), " fallback_used"));

	/* A failure is worse, and cases of a sweep need not reach anything. */
	fake.fail = 2;
	run(&s);
	assert_int_equal(campaign_exit_status(&result), 1);
	fake.fail = 0;
	s.prepare = not_here;
	run(&s);
	assert_int_equal(campaign_exit_status(&result), 0);
	scenario.marks = 0;
}

static void add(struct campaign_total *total, const struct campaign_settings *s, const char *path)
{
	run(s);
	campaign_total_add(total, &result, path);
}

static void several_scenarios_have_one_verdict(void **state)
{
	static const char *const parts[] = { "all 4 scenarios: 24 seeds, 72 users",
		"\n  not passed\n"
		"  b.scn: inconclusive: 6 passed, 0 failed, 0 broken, 0 inconclusive, 6 excused "
		"findings\n"
		"  MISSED            page_read: the scenario is meant to reach it\n"
		"  c.scn: fail: 5 passed, 1 failed, 0 broken, 0 inconclusive, 6 excused findings\n",
		"\nVERDICT of all 4 scenarios: fail: 23 passed, 1 failed, 0 broken, 0 "
		"inconclusive, 24 excused findings\n" };
	static struct campaign_total total;
	struct campaign_settings s = settings(1, 6, 2);
	struct lab_buf out;

	(void)state;
	lab_buf_init(&total.not_passed, testing_heap, 4096);
	lab_buf_init(&out, testing_heap, 1u << 16);
	add(&total, &s, "a.scn");
	assert_int_equal(total.status, 0);
	scenario.marks = UINT64_C(1) << LAB_MARK_page_read;
	add(&total, &s, "b.scn");
	assert_int_equal(total.status, 4);
	scenario.marks = 0;
	fake.fail = 2;
	add(&total, &s, "c.scn");
	assert_int_equal(total.status, 1);
	fake.fail = 0;
	add(&total, &s, "d.scn");
	assert_int_equal(total.status, 1);
	campaign_total_print(&total, &out);
	for (size_t i = 0; i < LAB_COUNT_OF(parts); i++) {
		if (strstr(lab_buf_cstr(&out), parts[i]) == NULL)
			fail_msg("%s is not in %s", parts[i], lab_buf_cstr(&out));
	}
	assert_null(strstr(lab_buf_cstr(&out), "a.scn"));
	lab_buf_done(&out);
	lab_buf_done(&total.not_passed);
}

static void the_json_has_what_a_pipeline_needs(void **state)
{
	static const char *const parts[] = { "\"scenario\":\"fake.scn\"", "\"verdict\":\"fail\"",
		"\"seeds\":6", "\"failed\":1", "\"broken\":0", "\"unknown\":0", "\"excused\":6",
		"\"crash\":12", "\"deliver\":{\"ok\":24,\"fail\":0,\"uncertain\":0}",
		"\"move\":{\"ok\":0,\"fail\":0,\"uncertain\":6}", "\"marks\":{",
		"\"signature\":\"I1 one\"", "\"first_seed\":2",
		"\"seeds_per_s\":", "\"speedup\":", "\"requests_per_s\":", "\"trace_hash\":\"" };
	struct campaign_settings s = settings(1, 6, 2);
	const char *json;

	(void)state;
	fake.fail = 2;
	run(&s);
	json = printed(true);

	for (size_t i = 0; i < LAB_COUNT_OF(parts); i++) {
		if (strstr(json, parts[i]) == NULL)
			fail_msg("%s is not in %s", parts[i], json);
	}
	assert_int_equal(json[strlen(json) - 1], '\n');
	assert_ptr_equal(strchr(json, '\n'), json + strlen(json) - 1);
}

static void the_summary_says_the_verdict_and_the_first_failure(void **state)
{
	static const char *const parts[] = { "REPORT of seed 2\n", "(1 of 6 seeds)",
		"fake.scn: 6 seeds, 18 users", "deliver ", "crash ",
		"VERDICT fail: 5 passed, 1 failed, 0 broken, 0 inconclusive, 6 excused findings",
		"first failure after 2 seeds" };
	struct campaign_settings s = settings(1, 6, 2);
	const char *text;

	(void)state;
	fake.fail = 2;
	run(&s);
	text = printed(false);

	for (size_t i = 0; i < LAB_COUNT_OF(parts); i++) {
		if (strstr(text, parts[i]) == NULL)
			fail_msg("%s is not in %s", parts[i], text);
	}
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_seed_runs_once_and_is_added_up),
		test(the_trace_hash_does_not_depend_on_the_workers),
		test(more_workers_than_seeds_are_not_needed),
		test(failures_are_grouped_by_signature_with_the_first_seed_s_report),
		test(a_worker_that_dies_names_its_seed_and_the_campaign_goes_on),
		test(the_last_seed_may_crash),
		test(a_seed_that_hangs_is_ended),
		test(the_time_limit_ends_it_without_blame),
		test(it_stops_at_the_first_failure_if_asked),
		test(a_scenario_that_cannot_run_is_an_error),
		test(each_result_is_told),
		test(the_exit_status_is_the_worst_verdict),
		test(what_must_be_reached_and_never_was_is_no_pass),
		test(several_scenarios_have_one_verdict),
		test(the_json_has_what_a_pipeline_needs),
		test(the_summary_says_the_verdict_and_the_first_failure),
	};

	return cmocka_run_group_tests_name("campaign", tests, NULL, NULL);
}
