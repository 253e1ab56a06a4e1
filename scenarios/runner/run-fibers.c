/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/run.h"

#define FIBER_STACK_BYTES (64 * 1024)
#define FIBERS_MIN 16384
#define FIBERS_MAX 1000000

/* Of each user: deliveries, sessions, and what their requests do on a proxy and on a backend. */
struct lab_fiber_pool *run_fibers_new(const struct scenario *scenario)
{
	uint64_t users = 0;

	for (size_t i = 0; i < scenario->group_count; i++)
		users += scenario->groups[i].count.high *
			 (1 + scenario->groups[i].backends_at_once.high);
	return lab_fiber_pool_new(FIBER_STACK_BYTES,
		(size_t)LAB_MIN(FIBERS_MIN + 2 * users, (uint64_t)FIBERS_MAX), NULL);
}
