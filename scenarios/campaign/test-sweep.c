/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sweep runs, with runs that only write down what they were asked to do (they take the place
 * of run.c).
 */
#include "scenarios/campaign/sweep.h"

#include "core/base/testing.h"
#include "scenarios/format/inject.h"
#include "scenarios/runner/report.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CASES_MAX 4096

/* How often each point is asked in the fake run, and what happens in its cases. Shared with the
 * workers. */
static struct fake {
	uint64_t asked[FAULT_POINT_COUNT];
	char fails[INJECT_TEXT_MAX];  /* the case that fails */
	char misses[INJECT_TEXT_MAX]; /* the case whose fault does not fire */
	bool first_fails;
	size_t count;
	char texts[CASES_MAX][INJECT_TEXT_MAX];
	char arguments[CASES_MAX][2 * INJECT_TEXT_MAX];
} * fake;

static struct scenario scenario = { .path = "fake.scn" };

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

static void run_first(const struct run_options *options, struct run_result *ret)
{
	for (size_t i = 0; i < options->episode_count; i++) {
		unsigned point = (unsigned)__builtin_ctzll(options->episodes[i].points);

		ret->episode_asked[i] = fake->asked[point];
	}
	if (fake->first_fails) {
		ret->verdict = RUN_FAIL;
		snprintf(ret->signature, sizeof(ret->signature), "I1 lost mail");
	}
}

int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	char text[INJECT_TEXT_MAX];

	(void)err;
	*ret = (struct run_result){ .seed = options->seed };
	if (options->seed != 7)
		_exit(9);
	if (options->episode_count == FAULT_POINT_COUNT) {
		run_first(options, ret);
		return 0;
	}
	ret->episode_fired[1] = options->episode_count > 1;
	inject_print(&options->episodes[0], text);
	/* One worker at a time. */
	snprintf(
		fake->arguments[fake->count], sizeof(fake->arguments[0]), "%s", options->arguments);
	memcpy(fake->texts[fake->count++], text, sizeof(text));
	ret->episode_fired[0] = strcmp(text, fake->misses) != 0;
	if (strcmp(text, fake->fails) == 0) {
		ret->verdict = RUN_FAIL;
		snprintf(ret->signature, sizeof(ret->signature), "I1 lost mail");
		snprintf(ret->report, sizeof(ret->report), "REPORT of %s\n", text);
	}
	return 0;
}

/* ---- sweeps ---- */

static struct sweep_result result; /* large */

static int setup(void **state)
{
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(fake, MAP_FAILED);
	return testing_setup(state);
}

static int teardown(void **state)
{
	lab_heap_free(testing_heap, result.rows);
	result.rows = NULL;
	munmap(fake, sizeof(*fake));
	return testing_teardown(state);
}

static int sweep_then(const char *pattern, const char *then, struct lab_error *err)
{
	struct sweep_settings settings = { .then = then,
		.campaign = { .scenario = &scenario,
			.arguments = " --set a=b",
			.first_seed = 7,
			.workers = 1,
			.seed_timeout_s = 60 } };

	if (pattern != NULL)
		settings.patterns[settings.pattern_count++] = pattern;
	lab_heap_free(testing_heap, result.rows);
	fake->count = 0;
	return sweep_run(&settings, testing_heap, &result, err);
}

static int sweep(const char *pattern, struct lab_error *err)
{
	return sweep_then(pattern, NULL, err);
}

static void sweep_ok(const char *pattern)
{
	struct lab_error err;

	if (sweep(pattern, &err) < 0)
		fail_msg("%s", err.message);
}

static size_t times_run(const char *text)
{
	size_t count = 0;

	for (size_t i = 0; i < fake->count; i++)
		count += strcmp(fake->texts[i], text) == 0;
	return count;
}

static void every_request_fails_once_and_from_then_on(void **state)
{
	(void)state;
	fake->asked[FAULT_POINT_s3_put] = 3;
	sweep_ok("s3.put:reset");
	assert_int_equal(fake->count, 6);
	assert_int_equal(times_run("s3.put:reset:1"), 1);
	assert_int_equal(times_run("s3.put:reset:1+"), 1);
	assert_int_equal(times_run("s3.put:reset:3"), 1);
	assert_int_equal(times_run("s3.put:reset:3+"), 1);
	assert_string_equal(fake->arguments[1], " --set a=b --inject 's3.put:reset:1+'");
	assert_int_equal(result.cases.passed, 6);
	assert_int_equal(sweep_exit_status(&result), 0);
}

static void backends_crash_before_and_after(void **state)
{
	static const char *const expected[] = { "cql.write:stall:1:keep,1000ms",
		"cql.write:stall:1:lose_unsynced,3600000ms", "cql.write:stall:1:wipe,3600000ms",
		"cql.write:stall_reply:2:keep,1000ms",
		"cql.write:stall_reply:2:lose_unsynced,3600000ms",
		"cql.write:stall_reply:2:wipe,3600000ms" };

	(void)state;
	fake->asked[FAULT_POINT_cql_write] = 2;
	sweep_ok("crash");
	assert_int_equal(fake->count, 12);
	for (size_t i = 0; i < LAB_COUNT_OF(expected); i++)
		assert_int_equal(times_run(expected[i]), 1);
}

static void the_next_request_may_fail_too(void **state)
{
	struct lab_error err;

	(void)state;
	fake->asked[FAULT_POINT_cql_write] = 2;
	fake->asked[FAULT_POINT_s3_put] = 2;
	assert_int_equal(sweep_then("*:reset", "overloaded", &err), 0);
	/* OVERLOADED is nothing that S3 says. */
	assert_int_equal(fake->count, 2);
	assert_string_equal(fake->arguments[1], " --set a=b --inject 'cql.write:reset:2' --inject "
						"'>cql.write:overloaded:1+1000ms'");
	assert_int_equal(result.rows[0].followed, 2);
	assert_int_equal(sweep_then("crash", "overloaded", &err), -1);
	assert_int_equal(sweep_then(NULL, "crash", &err), -1);
	assert_string_equal(err.message, "no request fails by \"crash\"");
}

/* All kinds that can happen at the points that were asked, except those that must be named. */
static void without_a_pattern_everything_is_run(void **state)
{
	uint64_t kinds = 0;

	(void)state;
	fake->asked[FAULT_POINT_s3_put] = 1;
	fake->asked[FAULT_POINT_disk_write] = 1;
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		uint64_t points = fault_kind_points((enum fault_kind)k);

		kinds += (points & FAULT_BIT(s3_put)) != 0;
		kinds += (points & FAULT_BIT(disk_write)) != 0;
	}
	sweep_ok(NULL);
	/* "duplicate" is left out; crashes: before and after a PUT, before a write, three each. */
	assert_int_equal(fake->count, 2 * (kinds - 1) + 9);
	assert_int_equal(times_run("s3.put:duplicate:1"), 0);
	sweep_ok("s3.*:duplicate");
	assert_int_equal(fake->count, 2);
	assert_int_equal(times_run("s3.put:duplicate:1"), 1);
}

static void what_fails_is_counted_where_it_failed(void **state)
{
	struct lab_buf out;

	(void)state;
	fake->asked[FAULT_POINT_s3_put] = 2;
	snprintf(fake->fails, sizeof(fake->fails), "s3.put:lose_reply:2+");
	sweep_ok("s3.put");
	assert_int_equal(sweep_exit_status(&result), 1);
	assert_int_equal(result.cases.failed, 1);
	for (size_t i = 0; i < result.row_count; i++) {
		const struct sweep_row *row = &result.rows[i];
		bool is_it = row->kind == FAULT_lose_reply && !row->crashes;

		assert_int_equal(row->failed, is_it);
		assert_int_equal(row->passed, row->cases - (is_it ? 1 : 0));
	}
	lab_buf_init(&out, testing_heap, 1u << 20);
	sweep_print(&result, "fake.scn", &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "REPORT of s3.put:lose_reply:2+"));
	assert_non_null(strstr(lab_buf_cstr(&out), "VERDICT fail"));
	lab_buf_done(&out);
}

/* A case whose fault never came would pass for nothing. */
static void a_fault_that_does_not_fire_is_the_laboratory_s(void **state)
{
	struct lab_buf out;

	(void)state;
	fake->asked[FAULT_POINT_s3_put] = 2;
	snprintf(fake->misses, sizeof(fake->misses), "s3.put:reset:2");
	sweep_ok("s3.put:reset");
	assert_int_equal(result.unfired, 1);
	assert_int_equal(result.rows[0].passed, 3);
	assert_int_equal(result.rows[0].unfired, 1);
	assert_int_equal(sweep_exit_status(&result), 3);
	lab_buf_init(&out, testing_heap, 1u << 20);
	sweep_print_json(&result, "fake.scn", &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "\"unfired\":1"));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"verdict\":\"fail\""));
	lab_buf_done(&out);
}

static void what_cannot_be_swept_is_refused(void **state)
{
	struct lab_error err;

	(void)state;
	assert_int_equal(sweep("s3.put", &err), -1);
	assert_string_equal(err.message, "no request of the run can fail in that way");
	fake->asked[FAULT_POINT_s3_put] = 1;
	assert_int_equal(sweep("s3.put:write_timeout", &err), -1);
	fake->first_fails = true;
	assert_int_equal(sweep(NULL, &err), -1);
	assert_string_equal(
		err.message, "fake.scn does not pass without the sweep's faults: I1 lost mail");
	assert_int_equal(err.code, LAB_INVALID);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_request_fails_once_and_from_then_on),
		T(backends_crash_before_and_after),
		T(the_next_request_may_fail_too),
		T(without_a_pattern_everything_is_run),
		T(what_fails_is_counted_where_it_failed),
		T(a_fault_that_does_not_fire_is_the_laboratory_s),
		T(what_cannot_be_swept_is_refused),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
