/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/testing-scenario.h"

#include "scenarios/runner/judge.h"

static struct run_result result;

static void judge_with(enum run_verdict verdict, uint64_t failed)
{
	struct testing_loader l;
	struct run_options options = { .seed = 7 };
	struct judge_case c = { .options = &options, .heap = testing_heap };

	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST);
	options.scenario = l.scenario;
	result = (struct run_result){ .seed = 7, .verdict = verdict, .signature = "I1 lost mail" };
	result.always.checked[LAB_ALWAYS_uid_is_new] = 9;
	result.always.failed[LAB_ALWAYS_uid_is_new] = failed;
	judge_always(&c, &result);
}

static void what_is_not_so_as_always_fails_the_run(void **state)
{
	(void)state;
	judge_with(RUN_PASS, 0);
	assert_int_equal(result.verdict, RUN_PASS);
	assert_int_equal(result.findings, 0);
	judge_with(RUN_PASS, 2);
	assert_int_equal(result.verdict, RUN_FAIL);
	assert_int_equal(result.findings, 2);
	assert_string_equal(result.signature, "always uid_is_new");
	assert_non_null(
		strstr(result.report, "FAIL  scenarios/test.scn  seed 7  always uid_is_new"));
	assert_non_null(strstr(result.report, "Not so 2 times of 9: A mail that is added"));
	assert_non_null(strstr(result.report, "oboxlab replay 7"));
}

static void what_the_oracle_found_comes_first(void **state)
{
	(void)state;
	judge_with(RUN_FAIL, 1);
	assert_string_equal(result.signature, "I1 lost mail");
	assert_int_equal(result.findings, 1);
	judge_with(RUN_BROKEN, 1);
	assert_int_equal(result.verdict, RUN_BROKEN);
	judge_with(RUN_INCONCLUSIVE, 1);
	assert_int_equal(result.verdict, RUN_FAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(what_is_not_so_as_always_fails_the_run),
		testing_test(what_the_oracle_found_comes_first),
	};

	return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
