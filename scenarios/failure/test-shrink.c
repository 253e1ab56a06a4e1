/* SPDX-License-Identifier: Apache-2.0
 *
 * A run that fails is made small, and what is written of it fails in the same way.
 */
#include "scenarios/failure/shrink.h"
#include "scenarios/format/testing-scenario.h"

#include "scenarios/format/inject.h"

#define ARENA_MAX ((size_t)1 << 28)
#define FILE_MAX (1u << 20)

/* One user on two backends for ten seconds, and nothing that fails by itself. */
#define QUIET \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 1 s\n  duration = 10 s\n  settle = 20 s\n}\n" \
	"site az1 {\n  backends = 1\n}\nsite az2 {\n  backends = 1\n}\n" \
	"store s3 {\n  latency_read = 2 ms\n  latency_write = 3 ms\n}\n" \
	"user busy {\n  count = 3\n  mail_inbox_delivery_interval = 700 ms\n" \
	"  mail_session_interval = 1300 ms\n  mail_session_length = 1200 ms\n" \
	"  mail_action_delay = 250 ms\n  folders = 1\n  mail_inbox_store_percentage = 20%\n" \
	"  mail_inbox_delete_percentage = 30%\n}\n"

static struct test {
	struct testing_loader loader;
	struct run_options options;
	struct fault_episode episodes[4];
	struct shrink_settings settings;
	struct shrink_result result;
	enum run_verdict verdict;
	size_t parts; /* of progress */
	struct lab_error err;
} test;

static void on_progress(void *ctx, const char *part, uint64_t runs, size_t steps, size_t faults)
{
	(void)part, (void)runs, (void)steps, (void)faults;
	((struct test *)ctx)->parts++;
}

static void begin(const char *text, struct lab_defects defects)
{
	memset(&test, 0, sizeof(test));
	testing_loader_init(&test.loader);
	testing_load_ok(&test.loader, text);
	test.options = (struct run_options){ .scenario = test.loader.scenario,
		.seed = 1,
		.defects = defects,
		.episodes = test.episodes,
		.pool = lab_pool_new((size_t)4 << 30),
		.fibers = lab_fiber_pool_new(65536, 4096, NULL) };
	test.settings = (struct shrink_settings){ .options = &test.options,
		.arena = lab_arena_new(testing_heap, ARENA_MAX),
		.workers = 2,
		.runs_max = 2000,
		.on_progress = on_progress,
		.ctx = &test };
}

static void end(void)
{
	lab_fiber_pool_free(&test.options.fibers);
	lab_pool_free(&test.options.pool);
}

static void inject(const char *text)
{
	struct fault_episode *e = &test.episodes[test.options.episode_count++];

	if (inject_parse(lab_view_cstr(text), e, &test.err) < 0)
		fail_msg("%s", test.err.message);
}

static int shrink(void)
{
	int result = shrink_run(&test.settings, &test.result, &test.verdict, &test.err);

	if (result < 0)
		fail_msg("%s", test.err.message);
	return result;
}

/* The file alone, as another program would run it. */
static const char *written(void)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, FILE_MAX);
	if (scenario_print(test.result.scenario, &out, &test.err) < 0)
		fail_msg("%s", test.err.message);
	return lab_buf_cstr(&out);
}

static void run_file(const char *text, struct lab_defects off, struct run_result *ret)
{
	struct run_options o = test.options;

	/* The dict's file lies beside it. */
	testing_file_set(&test.loader, "scenarios/dovecot-dict-cql.conf.ext",
		testing_disk_file(TESTING_DICT, test.loader.arena));
	testing_load_ok(&test.loader, text);
	for (size_t i = 0; i < LAB_DEFECT_WORDS; i++)
		test.loader.scenario->defects.words[i] &= ~off.words[i];
	o.scenario = test.loader.scenario;
	o.defects = LAB_NO_DEFECTS;
	o.episode_count = 0;
	if (run_simulated(&o, ret, &test.err) < 0)
		fail_msg("%s", test.err.message);
}

static void check_file(struct lab_defects defects)
{
	struct run_result *r = lab_new_array(testing_heap, struct run_result, 3);
	const char *text = written();

	run_file(text, LAB_NO_DEFECTS, &r[0]);
	if (r[0].verdict != RUN_FAIL || strcmp(r[0].signature, test.result.signature) != 0)
		fail_msg("%s, not %s:\n%s", r[0].signature, test.result.signature, text);
	run_file(text, LAB_NO_DEFECTS, &r[1]);
	assert_int_equal(r[0].trace_hash, r[1].trace_hash);
	run_file(text, defects, &r[2]);
	if (r[2].verdict == RUN_FAIL)
		fail_msg("fails without the defect, too:\n%s", text);
}

static void a_lost_mail_takes_one_delivery_and_one_fault(void **state)
{
	struct lab_defects defect = LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN);

	(void)state;
	begin(QUIET, defect);
	inject("cql.write:write_timeout_all:20");
	assert_int_equal(shrink(), 0);
	assert_true(test.result.is_told);
	assert_true(test.result.steps_before > 20);
	assert_int_equal(test.result.steps_after, 1);
	assert_true(test.result.faults_after <= 2);
	assert_int_equal(test.result.users_after, 1);
	assert_int_equal(test.result.scenario->site_count, 1);
	assert_true(test.parts >= 5);
	check_file(defect);
	end();
}

static void the_number_of_workers_does_not_matter(void **state)
{
	const char *first;

	(void)state;
	for (unsigned workers = 1; workers <= 3; workers += 2) {
		begin(QUIET, LAB_DEFECT(NO_RETRY_503));
		inject("s3.put:slow_down:7+2s");
		test.settings.workers = workers;
		assert_int_equal(shrink(), 0);
		if (workers == 1)
			first = written();
		else
			assert_string_equal(first, written());
		end();
	}
}

static void what_passes_is_not_made_smaller(void **state)
{
	(void)state;
	begin(QUIET, LAB_NO_DEFECTS);
	assert_int_equal(shrink(), 1);
	assert_int_equal(test.verdict, RUN_PASS);
	end();
}

static void it_stops_when_its_runs_are_used_up(void **state)
{
	struct lab_defects defect = LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN);

	(void)state;
	begin(QUIET, defect);
	inject("cql.write:write_timeout_all:20");
	test.settings.runs_max = 10;
	assert_int_equal(shrink(), 0);
	assert_true(test.result.is_used_up);
	assert_true(test.result.steps_after > 1);
	check_file(defect);
	end();
}

/* What a tour costs is judged of tours only: its users stay clients. */
static void a_run_that_needs_its_clients_keeps_them(void **state)
{
	struct lab_defects defect = LAB_DEFECT(OBJECT_BEFORE_ROWS);

	(void)state;
	begin(TESTING_INCLUDE "scenario {\n  warmup = 1 s\n  duration = 40 s\n  settle = 20 s\n}\n"
			      "site az1 {\n  backends = 2\n}\n"
			      "user t {\n  count = 2\n  folders = 1\n  tour = yes\n  mails = 30\n"
			      "  mail_session_interval = 1 s\n  mail_action_delay = 400 ms\n}\n",
		defect);
	assert_int_equal(shrink(), 0);
	assert_string_equal(test.result.signature, "I36 other requests than the table's");
	assert_false(test.result.is_told);
	assert_int_equal(test.result.users_after, 1);
	check_file(defect);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_lost_mail_takes_one_delivery_and_one_fault),
		testing_test(the_number_of_workers_does_not_matter),
		testing_test(what_passes_is_not_made_smaller),
		testing_test(it_stops_when_its_runs_are_used_up),
		testing_test(a_run_that_needs_its_clients_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
