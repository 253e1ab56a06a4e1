/* SPDX-License-Identifier: Apache-2.0
 *
 * Hunts, with runs that fail where the test wants (they take the place of run.c).
 */
#include "scenarios/campaign/hunt.h"

#include "core/base/testing.h"
#include "scenarios/runner/report.h"

#include <time.h>
#include <unistd.h>

#define DEFECT LAB_DEFECT_ACK_BEFORE_PUT
#define SCENARIOS 3

static struct scenario scenarios[SCENARIOS] = { { .path = "scenarios/1-one.scn" },
	{ .path = "scenarios/2-two.scn" }, { .path = "3-three" } };
static const struct scenario *const list[SCENARIOS] = { &scenarios[0], &scenarios[1],
	&scenarios[2] };

/* What happens in which run: the scenario and its seed. */
static struct fake {
	const struct scenario *scenario;
	uint64_t seed;
	enum run_verdict verdict;
	const char *signature;
	unsigned after_ms;
} fakes[4];
static bool crashes_at_two, is_invalid;

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

static void wait_ms(unsigned ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&time, NULL);
}

int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	*ret = (struct run_result){ .seed = options->seed };
	/* Only this one is on. */
	if (memcmp(&options->defects, &LAB_DEFECT(ACK_BEFORE_PUT), sizeof(options->defects)) != 0)
		_exit(8);
	if (is_invalid)
		return lab_fail(err, LAB_INVALID, "it cannot be run");
	if (crashes_at_two && options->seed == 2)
		_exit(7);
	for (size_t i = 0; i < LAB_COUNT_OF(fakes); i++) {
		const struct fake *fake = &fakes[i];

		if (fake->scenario != options->scenario || fake->seed != options->seed)
			continue;
		wait_ms(fake->after_ms);
		ret->verdict = fake->verdict;
		snprintf(ret->signature, sizeof(ret->signature), "%s", fake->signature);
		snprintf(ret->signatures[0], sizeof(ret->signatures[0]), "%s", fake->signature);
		snprintf(ret->signatures[1], sizeof(ret->signatures[1]), "I5 of run %" PRIu64,
			options->seed);
		ret->signature_count = 2;
	}
	return 0;
}

static int setup(void **state)
{
	memset(fakes, 0, sizeof(fakes));
	crashes_at_two = is_invalid = false;
	return testing_setup(state);
}

static struct hunt_result hunt(uint64_t seeds, unsigned workers)
{
	struct hunt_settings settings = { .scenarios = list,
		.scenario_count = SCENARIOS,
		.seeds = seeds,
		.workers = workers,
		.seed_timeout_s = 60 };
	struct hunt_result result;
	struct lab_error err;

	if (hunt_one(&settings, DEFECT, &result, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(result.defect, DEFECT);
	return result;
}

static void scenarios_take_turns(void **state)
{
	struct hunt_result result;

	(void)state;
	/* Runs 1 to 3 have seed 1, 4 to 6 seed 2. */
	fakes[0] = (struct fake){ &scenarios[1], 2, RUN_FAIL, "I1 lost mail", 0 };
	result = hunt(100, 1);
	assert_true(result.found);
	assert_int_equal(result.seeds, 5);
	assert_ptr_equal(result.scenario, &scenarios[1]);
	assert_int_equal(result.seed, 2);
	assert_string_equal(result.signature, "I1 lost mail");
}

static void the_lowest_run_counts_however_many_workers_there_are(void **state)
{
	(void)state;
	fakes[0] = (struct fake){ &scenarios[0], 2, RUN_FAIL, "I2 early", 300 };
	fakes[1] = (struct fake){ &scenarios[1], 2, RUN_FAIL, "I3 later", 0 };
	fakes[2] = (struct fake){ &scenarios[2], 2, RUN_FAIL, "I4 last", 0 };
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct hunt_result result = hunt(1000, workers);

		assert_int_equal(result.seeds, 4);
		assert_string_equal(result.signature, "I2 early");
		assert_int_equal(result.signature_count, 2);
		assert_string_equal(result.signatures[0], "I2 early");
		assert_string_equal(result.signatures[1], "I5 of run 2");
	}
}

static void what_is_no_failure_finds_nothing(void **state)
{
	struct hunt_result result;

	(void)state;
	fakes[0] = (struct fake){ &scenarios[0], 1, RUN_BROKEN, "laboratory", 0 };
	fakes[1] = (struct fake){ &scenarios[1], 1, RUN_INCONCLUSIVE, "unknown", 0 };
	crashes_at_two = true;
	result = hunt(8, 2);
	assert_false(result.found);
	assert_int_equal(result.seeds, 8);
	assert_null(result.scenario);
	assert_int_equal(result.broken, 4);
	assert_int_equal(result.inconclusive, 1);
	fakes[2] = (struct fake){ &scenarios[1], 3, RUN_FAIL, "I1 lost mail", 0 };
	result = hunt(9, 1);
	assert_int_equal(result.seeds, 8);
	assert_int_equal(result.seed, 3);
}

static void a_scenario_that_cannot_run_is_an_error(void **state)
{
	struct hunt_settings settings = { .scenarios = list,
		.scenario_count = SCENARIOS,
		.seeds = 3,
		.workers = 1,
		.seed_timeout_s = 60 };
	struct hunt_result result;
	struct lab_error err;

	(void)state;
	is_invalid = true;
	assert_int_equal(hunt_one(&settings, DEFECT, &result, &err), -1);
	assert_string_equal(err.message, "it cannot be run");
}

static struct hunt_result found(uint64_t seeds)
{
	return (struct hunt_result){ .defect = DEFECT,
		.found = seeds != 0,
		.seeds = seeds == 0 ? 1000 : seeds,
		.scenario = seeds == 0 ? NULL : &scenarios[0],
		.seed = 2,
		.signature = "I1 lost mail",
		.signatures = { "I1 lost mail", "I15 object leaked" },
		.signature_count = seeds == 0 ? 0 : 2,
		.wall_ns = 1260 * LAB_MSEC };
}

static void the_median_is_of_those_that_were_found(void **state)
{
	struct hunt_result results[] = { found(9), found(0), found(1), found(300), found(7) };

	(void)state;
	assert_int_equal(hunt_median(results, 5, testing_heap), 9);
	assert_int_equal(hunt_median(results, 3, testing_heap), 9);
	assert_int_equal(hunt_median(results, 1, testing_heap), 9);
	assert_int_equal(hunt_median(&results[1], 1, testing_heap), 0);
}

static void the_table_says_what_was_found(void **state)
{
	struct hunt_result results[] = { found(4), found(0) };
	struct lab_buf out;

	(void)state;
	results[1].broken = 2;
	results[1].inconclusive = 3;
	lab_buf_init(&out, testing_heap, 65536);
	hunt_print_head(&out);
	hunt_print(&results[0], &out);
	hunt_print(&results[1], &out);
	hunt_print_sum(results, 2, testing_heap, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "seeds  invariant"));
	assert_non_null(strstr(lab_buf_cstr(&out), "ack-before-put "));
	assert_non_null(strstr(lab_buf_cstr(&out), " 1-one "));
	assert_non_null(strstr(lab_buf_cstr(&out), "  4  I1 lost mail"));
	assert_non_null(strstr(lab_buf_cstr(&out), "1.2\n"));
	assert_non_null(strstr(lab_buf_cstr(&out), "NOT FOUND"));
	assert_non_null(strstr(lab_buf_cstr(&out), "1000  - "));
	assert_non_null(strstr(lab_buf_cstr(&out), "(2 runs broken)  (3 runs inconclusive)\n"));
	assert_non_null(
		strstr(lab_buf_cstr(&out), "VERDICT fail: 1 of 2 defects found, median 4 seeds\n"));
	lab_buf_reset(&out);
	hunt_print_sum(results, 1, testing_heap, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "VERDICT pass: 1 of 1 defects found"));
	lab_buf_done(&out);
}

static void json_has_the_same(void **state)
{
	struct hunt_result results[] = { found(4), found(0) };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 65536);
	hunt_print_json(results, 2, testing_heap, &out);
	assert_non_null(strstr(lab_buf_cstr(&out), "\"scenario\": \"scenarios/1-one.scn\""));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"median_seeds\": 4"));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"signature\": \"I1 lost mail\""));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"signatures\": ["));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"I15 object leaked\""));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"found\": false"));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"wall_ms\": 1260"));
	assert_non_null(strstr(lab_buf_cstr(&out), "\"verdict\": \"fail\""));
	lab_buf_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scenarios_take_turns),
		TEST(the_lowest_run_counts_however_many_workers_there_are),
		TEST(what_is_no_failure_finds_nothing),
		TEST(a_scenario_that_cannot_run_is_an_error),
		TEST(the_median_is_of_those_that_were_found),
		TEST(the_table_says_what_was_found),
		TEST(json_has_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
