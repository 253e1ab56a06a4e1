/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void describe_run(void *ctx, int fd)
{
	const char *text = ctx;

	lab_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void describe_and_fail(void *ctx, int fd)
{
	describe_run(ctx, fd);
	lab_bug("describing failed");
}

/* Runs it in a child; what the child wrote to its standard error. */
static int run_and_die(void (*die)(void), char *text, size_t size)
{
	int fds[2], status;
	size_t used = 0;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(fds[1], 2);
		(void)signal(SIGABRT, SIG_DFL);
		die();
		_exit(0);
	}
	(void)close(fds[1]);
	for (;;) {
		ssize_t n = read(fds[0], text + used, size - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	text[used] = '\0';
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void die_plain(void)
{
	volatile int one = 1;

	lab_assert(one == 2);
}

static void die_with_context(void)
{
	static char text[] = "replay: oboxlab replay 42 storm\n";

	lab_assert_context(describe_run, text);
	lab_bug("cannot be");
}

static void die_while_describing(void)
{
	static char text[] = "context once\n";

	lab_assert_context(describe_and_fail, text);
	lab_bug("first");
}

static void failure_says_where_and_aborts(void **state)
{
	char text[2048];

	(void)state;
	int status = run_and_die(die_plain, text, sizeof(text));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "test-assert.c:"));
	assert_non_null(strstr(text, "die_plain: assertion failed: one == 2\n"));
}

static void failure_prints_the_context(void **state)
{
	char text[2048];

	(void)state;
	int status = run_and_die(die_with_context, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	const char *what = strstr(text, "assertion failed: bug: cannot be\n");
	assert_non_null(what);
	assert_non_null(strstr(what, "replay: oboxlab replay 42 storm\n"));
}

static void failure_inside_the_context_does_not_loop(void **state)
{
	char text[2048];

	(void)state;
	int status = run_and_die(die_while_describing, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	const char *first = strstr(text, "context once\n");
	assert_non_null(first);
	assert_null(strstr(first + 1, "context once\n"));
	assert_non_null(strstr(text, "bug: describing failed"));
}

static void hook_replaces_the_abort(void **state)
{
	struct {
		uint32_t magic;
	} object = { 7 }, *none = NULL;

	(void)state;
	lab_assert(1 + 1 == 2);
	lab_check(&object, 7);
	assert_asserts(lab_assert(1 + 1 == 3));
	assert_asserts(lab_check(&object, 8));
	assert_asserts(lab_check(none, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure_says_where_and_aborts),
		cmocka_unit_test(failure_prints_the_context),
		cmocka_unit_test(failure_inside_the_context_does_not_loop),
		cmocka_unit_test(hook_replaces_the_abort),
	};

	return cmocka_run_group_tests_name("assert", tests, NULL, NULL);
}
