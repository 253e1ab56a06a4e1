/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/live-private.h"

static void fiber_make_runnable(struct live_fiber *fiber)
{
	struct live *live = fiber->host->live;

	lab_assert(!fiber->runnable);
	fiber->runnable = true;
	fiber->next_runnable = NULL;
	if (live->runnable_last == NULL)
		live->runnable = fiber;
	else
		live->runnable_last->next_runnable = fiber;
	live->runnable_last = fiber;
}

static void fiber_deadline(struct live_timer *timer)
{
	struct live_fiber *fiber =
		(struct live_fiber *)((char *)timer - offsetof(struct live_fiber, timer));

	fiber->parked = false;
	fiber->timed_out = true;
	fiber_make_runnable(fiber);
}

/* The first code of every fiber. What ends here was never crashed: it cleans up after itself. */
static void fiber_main(void *arg)
{
	struct live_fiber *fiber = arg;
	struct live_host *host = fiber->host;

	if (fiber->main != NULL)
		fiber->main(&host->env, fiber->arg);
	else
		fiber->fn(fiber->arg);
	LIVE_LIST_REMOVE(host->fibers, fiber);
	lab_heap_free(host->live->heap, fiber);
}

int live_fiber_new(struct live_host *host, const char *name, env_fiber_fn fn, live_main_fn main,
	void *arg, struct lab_error *err)
{
	struct live_fiber *fiber = lab_new(host->live->heap, struct live_fiber);

	fiber->host = host;
	fiber->name = name;
	fiber->fn = fn;
	fiber->main = main;
	fiber->arg = arg;
	fiber->timer.fire = fiber_deadline;
	fiber->fiber = lab_fiber_new(host->group, fiber_main, fiber);
	if (fiber->fiber == NULL) {
		lab_heap_free(host->live->heap, fiber);
		return lab_fail(err, LAB_LIMIT, "no fiber left for %s", name);
	}
	lab_fiber_set_owner(fiber->fiber, fiber);
	LIVE_LIST_ADD(host->fibers, fiber);
	fiber_make_runnable(fiber);
	return 0;
}

struct live_fiber *live_fiber_self(void)
{
	struct lab_fiber *self = lab_fiber_self();

	lab_assert(self != NULL);
	return lab_fiber_owner(self);
}

int live_fiber_park(struct live_fiber *fiber, uint64_t deadline_ns)
{
	lab_assert(fiber == live_fiber_self());
	fiber->parked = true;
	fiber->timed_out = false;
	live_timer_set(&fiber->host->live->timers, &fiber->timer, deadline_ns);
	lab_fiber_suspend();
	return fiber->timed_out ? 1 : 0;
}

void live_fiber_unpark(struct live_fiber *fiber)
{
	/* The deadline may have come first in this very turn: then it stays a timeout. */
	if (!fiber->parked)
		return;
	fiber->parked = false;
	live_timer_set(&fiber->host->live->timers, &fiber->timer, ENV_FOREVER);
	fiber_make_runnable(fiber);
}

void live_fiber_set_deadline(struct live_fiber *fiber, uint64_t deadline_ns)
{
	if (fiber->parked)
		live_timer_set(&fiber->host->live->timers, &fiber->timer, deadline_ns);
}

static struct live_fiber *fibers_take(struct live *live)
{
	struct live_fiber *fiber = live->runnable;

	if (fiber == NULL)
		return NULL;
	live->runnable = fiber->next_runnable;
	if (live->runnable == NULL)
		live->runnable_last = NULL;
	fiber->runnable = false;
	return fiber;
}

void live_fibers_run(struct live *live)
{
	/* Each at most once, so that fibers that only yield do not keep the loop from its sockets.
	 */
	size_t limit = lab_fiber_pool_alive(live->fibers);

	while (limit-- > 0) {
		struct live_fiber *fiber = fibers_take(live);

		if (fiber == NULL)
			return;
		/* Afterwards the pointer may be invalid: the fiber ended or was dropped. */
		(void)lab_fiber_resume(fiber->fiber);
	}
}

static void fibers_unqueue(struct live *live, const struct live_host *host)
{
	struct live_fiber *fiber = live->runnable;

	live->runnable = live->runnable_last = NULL;
	while (fiber != NULL) {
		struct live_fiber *next = fiber->next_runnable;

		fiber->runnable = false;
		if (fiber->host != host)
			fiber_make_runnable(fiber);
		fiber = next;
	}
}

void live_fibers_drop(struct live_host *host)
{
	struct live *live = host->live;

	fibers_unqueue(live, host);
	while (host->fibers != NULL) {
		struct live_fiber *fiber = host->fibers;

		live_timer_set(&live->timers, &fiber->timer, ENV_FOREVER);
		LIVE_LIST_REMOVE(host->fibers, fiber);
		lab_heap_free(live->heap, fiber);
	}
	lab_fiber_drop_all(host->group);
}
