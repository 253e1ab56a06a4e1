/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of runs that fail, from scenarios as `oboxlab shrink` writes them.
 */
#include "scenarios/failure/explain.h"
#include "scenarios/format/testing-scenario.h"

#include <stdlib.h>

#define ARENA_MAX ((size_t)1 << 28)
#define TEXT_MAX (1u << 20)

#define HEAD \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 0\n  duration = 6 s\n  settle = 1 s\n  clients = no\n}\n" \
	"site az1 {\n  backends = 1\n}\nuser u {\n  count = 1\n}\n"

static struct test {
	struct testing_loader loader;
	struct run_options options;
	struct shrink_result result;
	struct lab_error err;
	int status;
} test;

static void done(struct lab_buf *out)
{
	lab_fiber_pool_free(&test.options.fibers);
	lab_pool_free(&test.options.pool);
	(void)out;
}

/* Shrinks first, as the command does. */
static const char *explain(const char *text, struct lab_defects defects)
{
	struct lab_buf out;
	struct shrink_settings settings = { .workers = 2, .runs_max = 500 };
	enum run_verdict verdict;
	const char *ret;

	memset(&test, 0, sizeof(test));
	testing_loader_init(&test.loader);
	testing_load_ok(&test.loader, text);
	test.options = (struct run_options){ .scenario = test.loader.scenario,
		.seed = 2,
		.defects = defects,
		.pool = lab_pool_new((size_t)4 << 30),
		.fibers = lab_fiber_pool_new(65536, 4096, NULL) };
	settings.options = &test.options;
	settings.arena = lab_arena_new(testing_heap, ARENA_MAX);
	if (shrink_run(&settings, &test.result, &verdict, &test.err) != 0)
		fail_msg("%s: %s", run_verdict_name(verdict), test.err.message);
	lab_buf_init(&out, testing_heap, TEXT_MAX);
	test.status = explain_run(&test.options, &test.result, testing_heap, &out, &test.err);
	ret = lab_arena_cstr(test.loader.arena, lab_buf_view(&out));
	done(&out);
	return ret;
}

static void check_has(const char *text, const char *expected)
{
	if (strstr(text, expected) == NULL)
		fail_msg("not there: %s\n%s", expected, text);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* A number behind these words. */
static uint64_t number_behind(const char *text, const char *words)
{
	const char *at = strstr(text, words);

	assert_non_null(at);
	return strtoull(at + strlen(words), NULL, 10);
}

#define LOST \
	HEAD "episode 1 { kind=stall points=cql.delete at=3s target=backend-1 nth=1 }\n" \
	     "episode 2 { kind=delay points=s3.get at=5s nth=1 amount=1ms }\n" \
	     "step 1 { at=1s do=deliver user=1 backend=backend-1 mails=1 }\n" \
	     "step 2 { at=2s do=deliver user=1 backend=backend-1 mails=2 }\n" \
	     "step 3 { at=3s do=expunge user=1 session=1 backend=backend-1 mails=1 }\n" \
	     "step 4 { at=4s do=move user=1 session=2 backend=backend-1 target=Folder1 mails=1 " \
	     "}\n"

static void it_says_what_it_takes_and_why(void **state)
{
	const char *text = explain(LOST, LAB_DEFECT(OBJECT_BEFORE_ROWS));

	(void)state;
	assert_int_equal(test.status, 0);
	check_has(text, "FAIL  " TESTING_SCN "  seed 2  I1 lost mail");
	check_has(text, "Why this is wrong\n");
	check_has(text, "What it takes (3 operations of ");
	check_has(text, "expunge mail 1 in INBOX -> uncertain, event #");
	check_has(text, "the first cql.delete of backend-1 from 3.000s on: stall, event #");
	check_has(text, "Needed: without it the run passes.");
	check_has(text, "defect object-before-rows: ");
	check_has(text, "  - the rule (no-lost-mail): A mail that was acknowledged ");
	check_has(text, "Point of no return: 4.000s after the start.");
	check_has(text, "operation_invoked");
	check_has(text, "Without fault 1: pass");
	check_has(text, "first other outcome: expunge INBOX, here uncertain (#");
	check_has(text, "Without the defect: pass. The first event that differs");
	assert_null(strstr(text, "What became of the indexes"));
	assert_true(count_lines(text) <= EXPLAIN_LINES_MAX);
	/* What differs comes after what makes it differ. */
	assert_true(number_behind(text, "stall, event #") < number_behind(text, "here  #"));
}

/* Nobody sees it happen but who reads both indexes in the end. */
static void of_a_flag_it_tells_what_became_of_the_indexes(void **state)
{
	const char *text = explain(TESTING_INCLUDE
		"scenario {\n  warmup = 0\n  duration = 271 s\n  settle = 1 min\n  clients = "
		"no\n}\n"
		"site az1 {\n}\nuser u {\n  count = 1\n}\n"
		"step 1 { at=1s do=deliver user=1 backend=backend-1 mails=1 }\n"
		"step 2 { at=3s do=store user=1 backend=backend-1 mails=1 flag=NonJunk }\n"
		"step 3 { at=4s do=deliver user=1 backend=backend-2 mails=2 flag=Other }\n",
		LAB_DEFECT(MERGE_TAKES_REMOTE));

	(void)state;
	assert_int_equal(test.status, 0);
	check_has(text, "the flag NonJunk was set with OK and is not there");
	check_has(text, "  (forward row: this mail is in that folder; ");
	check_has(text, "What became of the indexes");
	check_has(text, "s  backend-1 puts its index of the folder into storage  #");
	check_has(text, "s  auditor puts what it has and what it got together  #");
	/* Not when the run would be too short for an upload. */
	check_has(text, "Point of no return: 4.000s after the start.");
	check_has(text, "Without the defect: pass. All that happens is the same, but ");
	assert_true(count_lines(text) <= EXPLAIN_LINES_MAX);
}

static void it_needs_no_fault_if_there_is_none(void **state)
{
	const char *text = explain(HEAD "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
					"step 2 { at=2s do=copy session=1 backend=backend-1 "
					"target=Folder1 mails=1 }\n"
					"step 3 { at=3s do=expunge session=1 "
					"backend=backend-1 mails=1 }\n",
		LAB_DEFECT(ONE_REFERENCE_TOO_FEW));

	(void)state;
	assert_int_equal(test.status, 0);
	check_has(text, "0 faults");
	check_has(text, "Without the defect: pass");
	assert_null(strstr(text, "Without fault"));
	assert_true(count_lines(text) <= EXPLAIN_LINES_MAX);
}

static void what_does_not_fail_so_is_an_error(void **state)
{
	struct lab_buf out;

	(void)state;
	(void)explain(LOST, LAB_DEFECT(OBJECT_BEFORE_ROWS));
	test.options.pool = lab_pool_new((size_t)4 << 30);
	test.options.fibers = lab_fiber_pool_new(65536, 4096, NULL);
	test.result.scenario->defects = LAB_NO_DEFECTS;
	test.options.defects = LAB_NO_DEFECTS;
	lab_buf_init(&out, testing_heap, TEXT_MAX);
	assert_int_equal(
		explain_run(&test.options, &test.result, testing_heap, &out, &test.err), -1);
	assert_non_null(strstr(test.err.message, "does not fail as it did: pass"));
	lab_buf_done(&out);
	done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(it_says_what_it_takes_and_why),
		testing_test(it_needs_no_fault_if_there_is_none),
		testing_test(of_a_flag_it_tells_what_became_of_the_indexes),
		testing_test(what_does_not_fail_so_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
