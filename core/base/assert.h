/* SPDX-License-Identifier: Apache-2.0
 *
 * assert.h - programmer's errors. Always on: a capacity report from a corrupted run is worse than
 * a crash. A failed assertion prints where it happened and what the run was (seed, scenario,
 * virtual time, replay command: whatever lab_assert_context() was given), then aborts.
 */
#ifndef LAB_BASE_ASSERT_H
#define LAB_BASE_ASSERT_H

#include <stdbool.h>

#define lab_assert(condition) \
	do { \
		if (__builtin_expect(!(condition), 0)) \
			lab_assert_failed(#condition, __FILE__, __LINE__, __func__); \
	} while (0)

/* Control never gets here; `why` says why we thought so. */
#define lab_bug(why) lab_assert_failed("bug: " why, __FILE__, __LINE__, __func__)

_Noreturn void lab_assert_failed(
	const char *what, const char *file, int line, const char *function);

/* What to print beside a failed assertion. `describe` writes one or more lines to the file
 * descriptor it is given, and must not allocate. NULL removes it. Per thread. */
typedef void (*lab_assert_context_fn)(void *ctx, int fd);
void lab_assert_context(lab_assert_context_fn describe, void *ctx);

/* Tests only: instead of aborting, a failed assertion calls `hook`, which must not return
 * (it may longjmp). NULL restores the abort. Per thread. */
typedef void (*lab_assert_hook_fn)(const char *what, const char *file, int line);
void lab_assert_set_hook(lab_assert_hook_fn hook);

/* Objects with an identity start with `uint32_t magic`; this catches use after free. */
#define lab_check(object, MAGIC) lab_assert((object) != NULL && (object)->magic == (MAGIC))

#endif
