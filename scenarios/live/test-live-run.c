/* SPDX-License-Identifier: Apache-2.0
 *
 * Short runs over real sockets. They take seconds each, so there are few.
 */
#include "scenarios/live/live-run.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/defect.h"
#include "scenarios/live/live-directory.h"
#include "scenarios/format/testing-scenario.h"

#define USERS \
	"site az1 {\n  backends = 1\n}\nsite az2 {\n  backends = 1\n}\n" \
	"store s3 {\n  latency_read = 2 ms\n  latency_write = 2 ms\n  latency_list = 2 ms\n}\n" \
	"user u {\n  count = 4\n  mail_inbox_delivery_interval = 400 ms\n" \
	"  mail_session_interval = 600 ms\n  mail_session_length = 1 min\n" \
	"  mail_action_delay = 400 ms\n  mail_size = 1 k\n  folders = 1\n" \
	"  mail_delivery_retry_delay = 200 ms\n}\n"
#define PHASES(duration) \
	"scenario {\n  warmup = 0\n  duration = " duration "\n  settle = 500 ms\n}\n"

static struct testing_loader loader;
static struct run_result result; /* large */
static struct lab_error err;
static char directory[LIVE_DIRECTORY_MAX];

static int setup(void **state)
{
	/* Margins between operations are a quarter of a second: the hosts' files had better be in
	 * memory. */
	if (access("/dev/shm", W_OK) == 0)
		assert_int_equal(setenv("TMPDIR", "/dev/shm", 1), 0);
	else
		assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_int_equal(live_directory_new(directory, &err), 0);
	assert_int_equal(setenv("TMPDIR", directory, 1), 0);
	testing_setup(state);
	testing_loader_init(&loader);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(rmdir(directory), 0); /* nothing is left in it */
	return testing_teardown(state);
}

static uint64_t run(const char *scenario)
{
	struct run_options options = { .seed = 1 };
	uint64_t wall_ns = 0;

	testing_load_ok(&loader, scenario);
	options.scenario = loader.scenario;
	if (run_live(&options, &result, &wall_ns, &err) < 0)
		fail_msg("%s", err.message);
	return wall_ns;
}

static void assert_verdict(enum run_verdict verdict)
{
	if (result.verdict != verdict)
		fail_msg("%s\n%s", run_verdict_name(result.verdict), result.report);
}

static size_t entries_of(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	assert_int_equal(closedir(dir), 0);
	return count;
}

/* ---- tests ---- */

static void a_storm_is_survived_and_leaves_nothing_behind(void **state)
{
	static const char storm[] = TESTING_INCLUDE PHASES("2 s") USERS
		"fault throttled {\n  kinds = slow_down\n  episodes = 1\n  length = 1500 ms\n"
		"  rate = 1/4\n}\n"
		"fault wiped {\n  kinds = crash\n  target = backend\n  episodes = 1\n"
		"  length = 500 ms\n  disk = wipe\n}\n"
		"fault node {\n  kinds = node_down\n  target = node\n  episodes = 1\n"
		"  length = 500 ms\n}\n"
		"fault apart {\n  kinds = partition\n  target = zone\n  other = node\n"
		"  episodes = 1\n  length = 500 ms\n}\n";
	size_t descriptors, threads;
	(void)state;
	/* libuv's own threads stay; they are there now. */
	run(TESTING_INCLUDE PHASES("1 s") USERS);
	descriptors = entries_of("/proc/self/fd");
	threads = entries_of("/proc/self/task");

	run(storm);

	assert_verdict(RUN_PASS);
	assert_int_equal(result.users, 4);
	assert_int_equal(result.crashes, 1);
	assert_int_equal(result.faults[FAULT_crash], 1);
	assert_int_equal(result.faults[FAULT_node_down], 1);
	assert_int_equal(result.faults[FAULT_partition], 0);
	assert_true(result.faults[FAULT_slow_down] > 0);
	assert_true(result.operations[HISTORY_DELIVER][HISTORY_OK] > 0);
	assert_true(result.operations[HISTORY_FETCH][HISTORY_OK] > 0);
	assert_true(result.s3_requests > 0 && result.cql_requests > 0 && result.imds_requests > 0);
	assert_int_equal(entries_of("/proc/self/fd"), descriptors);
	assert_int_equal(entries_of("/proc/self/task"), threads);
}

static void a_defect_is_found_in_real_time_too(void **state)
{
	struct run_options options = { .seed = 1, .defects = LAB_DEFECT(ACK_BEFORE_PUT) };
	uint64_t wall_ns;
	(void)state;
	/* Folders are made, and the host's marks uploaded, before PUTs fail. */
	testing_load_ok(&loader, TESTING_INCLUDE
		"scenario {\n  warmup = 1500 ms\n  duration = 1500 ms\n  settle = 500 ms\n}\n" USERS
		"fault lost {\n  kinds = internal_error\n  points = s3.put\n  episodes = 1\n"
		"  length = 1400 ms\n  rate = 1\n}\n");
	options.scenario = loader.scenario;

	assert_int_equal(run_live(&options, &result, &wall_ns, &err), 0);

	assert_verdict(RUN_FAIL);
	assert_memory_equal(result.report, "FAIL  ", 6);
}

static void the_hop_to_dict_async_fails_here_too(void **state)
{
	(void)state;

	run(TESTING_INCLUDE PHASES("2 s") USERS
		"fault hop {\n  kinds = dict_lose_reply\n  target = backend\n  episodes = 2\n"
		"  length = 1500 ms\n  rate = 1/4\n}\n");

	assert_verdict(RUN_PASS);
	assert_true(result.faults[FAULT_dict_lose_reply] > 0);
}

static void who_waits_for_cassandra_gets_a_reset(void **state)
{
	uint64_t wall_ns;
	(void)state;

	wall_ns = run(TESTING_INCLUDE PHASES("1500 ms") USERS
		"fault hang {\n  kinds = stall\n  points = cql.write\n  episodes = 1\n"
		"  length = 1400 ms\n  rate = 1\n}\n");

	assert_verdict(RUN_PASS);
	assert_true(result.faults[FAULT_stall] > 0);
	assert_true(result.operations[HISTORY_DELIVER][HISTORY_UNCERTAIN] +
			    result.operations[HISTORY_DELIVER][HISTORY_FAIL] >
		    0);
	/* Not the settings' request_timeout of a minute. */
	assert_true(wall_ns < LAB_MINUTE);
}

static void *press_ctrl_c(void *arg)
{
	struct timespec time = { 1, 0 };
	(void)arg;

	(void)nanosleep(&time, NULL);
	(void)kill(getpid(), SIGINT);
	return NULL;
}

static void ctrl_c_ends_it_without_a_verdict(void **state)
{
	pthread_t thread;
	uint64_t wall_ns;
	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, press_ctrl_c, NULL), 0);

	wall_ns = run(TESTING_INCLUDE PHASES("1 min") USERS);

	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_verdict(RUN_INCONCLUSIVE);
	assert_non_null(strstr(result.report, "interrupted"));
	assert_true(wall_ns < LAB_MINUTE);
}

static void what_cannot_begin_is_an_error(void **state)
{
	struct run_options options = { .seed = 1 };
	uint64_t wall_ns;
	(void)state;
	testing_load_ok(&loader, TESTING_INCLUDE PHASES("1 s") USERS);
	options.scenario = loader.scenario;
	assert_int_equal(setenv("TMPDIR", "/nonexistent/oboxlab", 1), 0);

	assert_int_equal(run_live(&options, &result, &wall_ns, &err), -1);

	assert_int_equal(err.code, LAB_IO);
}

static void both_worlds_have_the_same_history(void **state)
{
	struct run_options options = { .seed = 1 };
	struct lab_buf live, simulated;
	uint64_t wall_ns;
	(void)state;
	testing_load_ok(&loader, TESTING_INCLUDE PHASES("1590 ms") USERS);
	options.scenario = loader.scenario;
	lab_buf_init(&live, testing_heap, 1u << 20);
	lab_buf_init(&simulated, testing_heap, 1u << 20);

	options.canonical = &live;
	assert_int_equal(run_live(&options, &result, &wall_ns, &err), 0);
	assert_verdict(RUN_PASS);
	options.canonical = &simulated;
	options.pool = testing_pool;
	options.fibers = lab_fiber_pool_new(65536, 4096, NULL);
	assert_int_equal(run_simulated(&options, &result, &err), 0);
	assert_verdict(RUN_PASS);
	lab_fiber_pool_free(&options.fibers);

	assert_true(live.len > 0);
	assert_string_equal(lab_buf_cstr(&live), lab_buf_cstr(&simulated));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_storm_is_survived_and_leaves_nothing_behind),
		TEST(a_defect_is_found_in_real_time_too),
		TEST(the_hop_to_dict_async_fails_here_too),
		TEST(who_waits_for_cassandra_gets_a_reset),
		TEST(ctrl_c_ends_it_without_a_verdict),
		TEST(what_cannot_begin_is_an_error),
		TEST(both_worlds_have_the_same_history),
	};

	return cmocka_run_group_tests_name("live-run", tests, NULL, NULL);
}
