/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/live-private.h"

static bool timer_before(const struct live_timer *a, const struct live_timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void timers_put(struct live_timers *timers, size_t position, struct live_timer *timer)
{
	timers->items[position] = timer;
	timer->position = position;
}

static void timers_sift_up(struct live_timers *timers, size_t position, struct live_timer *timer)
{
	while (position > 1 && timer_before(timer, timers->items[position / 2])) {
		timers_put(timers, position, timers->items[position / 2]);
		position /= 2;
	}
	timers_put(timers, position, timer);
}

static void timers_sift_down(struct live_timers *timers, size_t position, struct live_timer *timer)
{
	for (;;) {
		size_t child = position * 2;

		if (child > timers->count)
			break;
		if (child < timers->count &&
			timer_before(timers->items[child + 1], timers->items[child]))
			child++;
		if (!timer_before(timers->items[child], timer))
			break;
		timers_put(timers, position, timers->items[child]);
		position = child;
	}
	timers_put(timers, position, timer);
}

static void timers_remove(struct live_timers *timers, struct live_timer *timer)
{
	size_t position = timer->position;
	struct live_timer *last = timers->items[timers->count];

	timer->position = 0;
	timers->count--;
	if (last == timer)
		return;
	if (position > 1 && timer_before(last, timers->items[position / 2]))
		timers_sift_up(timers, position, last);
	else
		timers_sift_down(timers, position, last);
}

void live_timer_set(struct live_timers *timers, struct live_timer *timer, uint64_t at_ns)
{
	if (timer->position != 0)
		timers_remove(timers, timer);
	if (at_ns == ENV_FOREVER)
		return;
	if (timers->count + 1 >= timers->capacity) {
		timers->capacity = LAB_MAX(timers->capacity * 2, 64);
		timers->items = lab_heap_realloc(timers->heap, timers->items,
			timers->capacity * sizeof(struct live_timer *));
	}
	timer->at_ns = at_ns;
	timer->sequence = ++timers->sequence;
	timers->count++;
	timers_sift_up(timers, timers->count, timer);
}

void live_timers_fire(struct live_timers *timers, uint64_t now_ns)
{
	uint64_t last = timers->sequence;

	while (timers->count > 0 && timers->items[1]->at_ns <= now_ns &&
		timers->items[1]->sequence <= last) {
		struct live_timer *timer = timers->items[1];

		timers_remove(timers, timer);
		timer->fire(timer);
	}
}
