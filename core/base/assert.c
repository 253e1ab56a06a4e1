/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place of core/base that writes to a file descriptor: the process is about to die, and
 * nothing that allocates can be trusted any more. */
#include "core/base/assert.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static __thread lab_assert_context_fn context_describe;
static __thread void *context_ctx;
static __thread lab_assert_hook_fn failure_hook;

static void write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

void lab_assert_failed(const char *what, const char *file, int line, const char *function)
{
	lab_assert_context_fn describe = context_describe;
	char text[512];

	if (failure_hook != NULL)
		failure_hook(what, file, line);
	int n = snprintf(text, sizeof(text), "%s:%d: %s: assertion failed: %s\n", file, line,
		function, what);
	if (n > 0)
		write_all(2, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	/* Taken away first, in case that describing fails an assertion itself. */
	context_describe = NULL;
	if (describe != NULL)
		describe(context_ctx, 2);
	abort();
}

void lab_assert_context(lab_assert_context_fn describe, void *ctx)
{
	context_describe = describe;
	context_ctx = ctx;
}

void lab_assert_set_hook(lab_assert_hook_fn hook)
{
	failure_hook = hook;
}
