/* SPDX-License-Identifier: Apache-2.0
 *
 * fiber-row.c - one switch between stacks, beside one call of a function by its address and back.
 */
#include "scenarios/bench/bench-private.h"

#include "core/base/fiber.h"

#define STACK_BYTES ((size_t)64 << 10)
#define FIBERS 16 /* more than one, as no scheduler has only one */
#define BATCH 100000

struct switches {
	struct lab_fiber *fibers[FIBERS];
	bool is_over;
};

static void switch_back(void *arg)
{
	const struct switches *s = arg;

	while (!s->is_over)
		lab_fiber_suspend();
}

/* A resume and a suspend are two switches. */
static int sample_switches(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct switches *s = ctx;
	uint64_t start = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID), count = 0, ns;

	(void)err;
	do {
		for (unsigned i = 0; i < BATCH; i++)
			(void)lab_fiber_resume(s->fibers[i % FIBERS]);
		count += 2 * BATCH;
		ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	} while (ns < slice_ns);
	*ret = (int64_t)(ns * 1000 / count);
	return 0;
}

static __attribute__((noinline)) void callee(void *arg)
{
	__asm__ volatile("" : : "r"(arg) : "memory");
}

/* There and back, by an address that the compiler cannot know. */
static int sample_calls(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	void (*volatile fn)(void *) = callee;
	uint64_t start = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID), count = 0, ns;

	(void)err;
	do {
		for (unsigned i = 0; i < BATCH; i++)
			fn(ctx);
		count += BATCH;
		ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	} while (ns < slice_ns);
	*ret = (int64_t)(ns * 1000 / count);
	return 0;
}

int bench_fiber_switch(struct bench_result *ret, struct lab_error *err)
{
	struct lab_fiber_pool *pool = lab_fiber_pool_new(STACK_BYTES, FIBERS, NULL);
	struct lab_fiber_group *group = lab_fiber_group_new(pool);
	struct switches switches = { .is_over = false };
	int result;

	for (unsigned i = 0; i < FIBERS; i++) {
		switches.fibers[i] = lab_fiber_new(group, switch_back, &switches);
		if (switches.fibers[i] == NULL)
			return lab_fail(err, LAB_LIMIT, "no more fibers");
	}
	result = bench_take_turns(sample_switches, sample_calls, &switches, true, ret, err);
	switches.is_over = true;
	for (unsigned i = 0; i < FIBERS; i++)
		(void)lab_fiber_resume(switches.fibers[i]);
	lab_fiber_group_free(&group);
	lab_fiber_pool_free(&pool);
	return result;
}
