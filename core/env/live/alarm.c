/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/base.h"

static void alarm_ready(uv_poll_t *poll, int status, int events)
{
	struct live_alarm *alarm = poll->data;
	uint64_t expirations;

	(void)status;
	(void)events;
	/* Nothing to read only if it was set anew meanwhile. */
	if (read(alarm->fd, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations))
		return;
	alarm->armed_ns = LIVE_ALARM_NEVER;
	if (alarm->fire != NULL)
		alarm->fire(alarm);
}

int live_alarm_open(
	struct live_alarm *alarm, uv_loop_t *loop, void (*fire)(struct live_alarm *alarm))
{
	int rc;

	alarm->armed_ns = LIVE_ALARM_NEVER;
	alarm->fire = fire;
	alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (alarm->fd < 0)
		return uv_translate_sys_error(errno);
	rc = uv_poll_init(loop, &alarm->poll, alarm->fd);
	lab_assert(rc == 0);
	alarm->poll.data = alarm;
	rc = uv_poll_start(&alarm->poll, UV_READABLE, alarm_ready);
	lab_assert(rc == 0);
	return 0;
}

void live_alarm_set(struct live_alarm *alarm, uint64_t at_ns)
{
	struct itimerspec spec = { 0 };

	if (at_ns >= alarm->armed_ns)
		return;
	/* All zero would disarm it. */
	at_ns = LAB_MAX(at_ns, 1);
	spec.it_value.tv_sec = (time_t)(at_ns / LAB_SEC);
	spec.it_value.tv_nsec = (long)(at_ns % LAB_SEC);
	lab_assert(timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
	alarm->armed_ns = at_ns;
}

void live_alarm_close(struct live_alarm *alarm)
{
	uv_close((uv_handle_t *)&alarm->poll, NULL);
	close(alarm->fd);
	alarm->fd = -1;
}
