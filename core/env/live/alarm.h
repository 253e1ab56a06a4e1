/* SPDX-License-Identifier: Apache-2.0
 *
 * alarm.h - one point in time on a libuv loop, to the microsecond. libuv's own timers count whole
 * milliseconds, which is longer than most replies of an emulator take. Linux (timerfd).
 *
 * Used by core/env/live and by sim/front-end, on the loop's thread.
 */
#ifndef LAB_ENV_LIVE_ALARM_H
#define LAB_ENV_LIVE_ALARM_H

#include <stdint.h>
#include <uv.h>

#define LIVE_ALARM_NEVER UINT64_MAX

struct live_alarm {
	uv_poll_t poll;
	int fd;
	uint64_t armed_ns; /* what the descriptor is set to */
	void (*fire)(struct live_alarm *alarm);
};

/* `fire` may be NULL: the loop is woken, nothing else. 0 or a negative libuv error. */
int live_alarm_open(
	struct live_alarm *alarm, uv_loop_t *loop, void (*fire)(struct live_alarm *alarm));
/* Fires at `at_ns` of CLOCK_MONOTONIC at the latest, LIVE_ALARM_NEVER for not at all. It may fire
 * earlier, at a time that was set before: setting a later time costs nothing. */
void live_alarm_set(struct live_alarm *alarm, uint64_t at_ns);
/* The struct may go once the loop has run its closing callbacks. */
void live_alarm_close(struct live_alarm *alarm);

#endif
