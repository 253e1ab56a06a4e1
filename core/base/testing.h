/* SPDX-License-Identifier: Apache-2.0
 *
 * testing.h - for test-*.c only: cmocka, a heap, table tests that name the row, and assertions
 * that are expected to fail.
 */
#ifndef LAB_TESTING_H
#define LAB_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"

/* In a loop over a table: says which row failed. */
#define assert_row(index, condition) \
	do { \
		if (!(condition)) \
			fail_msg("row %zu: %s", (size_t)(index), #condition); \
	} while (0)

static jmp_buf testing_jump;

__attribute__((unused)) static void testing_hook(const char *what, const char *file, int line)
{
	(void)what, (void)file, (void)line;
	longjmp(testing_jump, 1);
}

/* The statement must fail a lab_assert(). What it had begun stays half done. */
#define assert_asserts(statement) \
	do { \
		if (setjmp(testing_jump) == 0) { \
			lab_assert_set_hook(testing_hook); \
			statement; \
			lab_assert_set_hook(NULL); \
			fail_msg("did not assert: %s", #statement); \
		} \
		lab_assert_set_hook(NULL); \
	} while (0)

static struct lab_pool *testing_pool;
static struct lab_heap *testing_heap;

/* For cmocka_unit_test_setup_teardown(): a pool and a heap for each test. */
__attribute__((unused)) static int testing_setup(void **state)
{
	(void)state;
	testing_pool = lab_pool_new((size_t)1 << 30);
	testing_heap = lab_heap_new(testing_pool, (size_t)1 << 29);
	return 0;
}

__attribute__((unused)) static int testing_teardown(void **state)
{
	(void)state;
	lab_heap_drop(&testing_heap);
	lab_pool_free(&testing_pool);
	return 0;
}

#define testing_test(function) \
	cmocka_unit_test_setup_teardown(function, testing_setup, testing_teardown)

#endif
