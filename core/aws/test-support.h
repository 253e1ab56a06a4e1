/* SPDX-License-Identifier: Apache-2.0
 *
 * test-support.h - for the tests of this folder: requests written as text.
 */
#ifndef LAB_AWS_TEST_SUPPORT_H
#define LAB_AWS_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base/base.h"

struct fixture {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
};

static inline int fixture_setup(void **state)
{
	static struct fixture fixture;

	fixture.pool = lab_pool_new((size_t)256 << 20);
	fixture.heap = lab_heap_new(fixture.pool, (size_t)256 << 20);
	fixture.arena = lab_arena_new(fixture.heap, (size_t)64 << 20);
	*state = &fixture;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	lab_arena_free(&fixture->arena);
	/* Nothing may be left behind: scratch memory has gone back. */
	lab_assert(lab_heap_used(fixture->heap) == 0);
	lab_heap_drop(&fixture->heap);
	lab_pool_free(&fixture->pool);
	return 0;
}

/* "GET /path\nname: value\n..."; "host" becomes the authority. The text must live on. */
static inline struct lab_http_request request_of(const char *text)
{
	struct lab_http_request request = { .body = LAB_VIEW("") };
	struct lab_view rest = lab_view_cstr(text), line;
	size_t space;

	lab_view_split(&rest, '\n', &line);
	space = lab_view_find_byte(line, ' ');
	request.method = lab_view_sub(line, 0, space);
	request.target = lab_view_skip(line, space + 1);
	while (lab_view_split(&rest, '\n', &line)) {
		size_t colon = lab_view_find_byte(line, ':');
		struct lab_view name, value;

		if (colon == SIZE_MAX)
			continue;
		name = lab_view_sub(line, 0, colon);
		value = lab_view_skip(line, colon + 1);
		if (lab_view_eq_nocase(name, LAB_VIEW("host")))
			request.authority = lab_view_trim(value);
		else
			assert_int_equal(lab_http_header_add(&request.headers, name, value), 0);
	}
	return request;
}

static inline void assert_view(struct lab_view got, const char *expected)
{
	if (!lab_view_eq_cstr(got, expected))
		fail_msg("got \"%.*s\", expected \"%s\"", LAB_VIEW_ARG(got), expected);
}

#endif
