/* SPDX-License-Identifier: Apache-2.0
 *
 * Children that are confined and ask the machine: they die, and say of what. What a worker needs
 * goes on to work. Where the kernel or a checker of memory forbids it, nothing is tested.
 */
#include "scenarios/runner/confine.h"

#include "core/base/base.h"
#include "core/base/fiber.h"
#include "core/base/testing.h"
#include "core/base/watched.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct confinement possible;

/* What a child wrote to standard error, and how it ended. */
struct ended {
	char text[8192];
	int status;
};

static void ended_of(void (*act)(void), struct ended *ret)
{
	int fds[2];
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct confinement ignored;

		(void)dup2(fds[1], 2);
		confine_enter(&ignored);
		act();
		_exit(3);
	}
	close(fds[1]);
	while ((n = read(fds[0], ret->text + got, sizeof(ret->text) - 1 - got)) > 0)
		got += (size_t)n;
	ret->text[got] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &ret->status, 0), pid);
}

/* ---- what a run must not do ---- */

static void do_random(void)
{
	uint8_t byte;

	(void)getrandom(&byte, 1, 0);
}

static void do_open(void)
{
	(void)open("/dev/urandom", O_RDONLY | O_CLOEXEC);
}

static void do_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void do_sleep(void)
{
	struct timespec time = { 0, 1 };

	(void)nanosleep(&time, NULL);
}

static void do_monotonic(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
}

static void do_coarse(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
}

static void do_time(void)
{
	(void)time(NULL);
}

static void do_gettimeofday(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
}

static void do_counter(void)
{
#if defined(__x86_64__)
	(void)__builtin_ia32_rdtsc();
#endif
}

static void fiber_main(void *arg)
{
	(void)arg;
	do_random();
}

/* On the small stack of a fiber, as the core does it. */
static void do_random_in_fiber(void)
{
	struct lab_fiber_pool *pool = lab_fiber_pool_new(65536, 4, NULL);
	struct lab_fiber_group *group = lab_fiber_group_new(pool);

	lab_fiber_resume(lab_fiber_new(group, fiber_main, NULL));
}

static void do_closed_again(void)
{
	confine_open_clocks();
	do_time();
	confine_close_clocks();
	do_time();
}

static void who_asks_the_machine_dies(void **state)
{
	const struct {
		void (*act)(void);
		bool possible;
		const char *text;
	} rows[] = { { do_random, possible.system_calls, "a run asked the machine: getrandom()" },
		{ do_random_in_fiber, possible.system_calls,
			"a run asked the machine: getrandom()" },
		{ do_open, possible.system_calls, "a run asked the machine: open()" },
		{ do_socket, possible.system_calls, "a run asked the machine: socket()" },
		{ do_sleep, possible.system_calls, "nanosleep()" },
		{ do_monotonic, possible.clocks, "a run asked the machine: a clock" },
		{ do_coarse, possible.clocks, "a run asked the machine: a clock" },
		{ do_time, possible.clocks, "a run asked the machine: a clock" },
		{ do_gettimeofday, possible.clocks, "a run asked the machine: a clock" },
		{ do_closed_again, possible.clocks, "a run asked the machine: a clock" },
		{ do_counter, possible.counter,
			"a run asked the machine: the time stamp counter" } };
	struct ended ended;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (!rows[i].possible)
			continue;
		ended_of(rows[i].act, &ended);
		assert_row(i, WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGABRT);
		if (strstr(ended.text, rows[i].text) == NULL)
			fail_msg("row %zu: %s", i, ended.text);
		/* The backtrace before it: of this program. */
		assert_row(i, strstr(ended.text, "test-confine") != NULL);
	}
}

/* ---- what it may ---- */

static void do_work(void)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 40);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 30);
	uint8_t digest[LAB_DIGEST_MAX];
	int status = 0;
	void *block;
	pid_t pid;

	memset(lab_heap_alloc(heap, 100 << 20), 1, 100 << 20);
	block = malloc(10 << 20);
	if (block == NULL)
		_exit(4);
	memset(block, 1, 10 << 20);
	free(block);
	lab_digest(LAB_SHA256, LAB_VIEW("x"), digest);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	confine_open_clocks();
	do_time();
	confine_close_clocks();
	pid = fork();
	if (pid == 0)
		_exit(5);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 5)
		_exit(6);
	(void)!write(2, "done\n", 5);
}

static void what_a_worker_needs_works(void **state)
{
	struct ended ended;

	(void)state;
	ended_of(do_work, &ended);
	assert_string_equal(ended.text, "done\n");
	assert_true(WIFEXITED(ended.status));
	assert_int_equal(WEXITSTATUS(ended.status), 3);
}

static void do_crash(void)
{
	*(volatile int *)(uintptr_t)16 = 1;
}

static void a_crash_is_a_crash(void **state)
{
	struct ended ended;

	(void)state;
	if (lab_is_watched())
		skip();
	ended_of(do_crash, &ended);
	assert_true(WIFSIGNALED(ended.status));
	assert_int_equal(WTERMSIG(ended.status), SIGSEGV);
	assert_string_equal(ended.text, "");
}

static int probe(void **state)
{
	(void)state;
	confine_probe(&possible);
	print_message("trapped: system calls %d, clocks %d, counter %d\n", possible.system_calls,
		possible.clocks, possible.counter);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(who_asks_the_machine_dies),
		testing_test(what_a_worker_needs_works),
		testing_test(a_crash_is_a_crash),
	};

	return cmocka_run_group_tests(tests, probe, NULL);
}
