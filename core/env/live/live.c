/* SPDX-License-Identifier: Apache-2.0
 *
 * live.c - the world: its loop, its time, its events. See README.md.
 */
#include "core/env/live/live-private.h"

#include <signal.h>
#include <stdlib.h>

#include <curl/curl.h>

#define OR_DEFAULT(value, otherwise) ((value) != 0 ? (value) : (otherwise))
#define MEMORY_DEFAULT ((size_t)4 << 30)
#define BUFFERS_DEFAULT ((size_t)256 << 20)
#define STACK_DEFAULT ((size_t)256 << 10)
#define FIBERS_DEFAULT 4096
#define CALLBACKS_DEFAULT 4096
/* What the world needs besides buffers: fibers, exchanges, streams, copies of settings. */
#define OWN_BYTES ((size_t)1 << 30)

static void live_woken(uv_async_t *wake)
{
	/* That the loop turns is all that is wanted. */
	(void)wake;
}

static void live_init_memory(struct live *live, const struct live_settings *settings)
{
	live->buffers_max_bytes = OR_DEFAULT(settings->buffers_max_bytes, BUFFERS_DEFAULT);
	live->own_pool = lab_pool_new(OWN_BYTES + 2 * live->buffers_max_bytes);
	live->heap = lab_heap_new(live->own_pool, OWN_BYTES + 2 * live->buffers_max_bytes);
	live->pool = lab_pool_new(OR_DEFAULT(settings->memory_max_bytes, MEMORY_DEFAULT));
	live->fibers = lab_fiber_pool_new(OR_DEFAULT(settings->stack_bytes, STACK_DEFAULT),
		OR_DEFAULT(settings->fibers_max, FIBERS_DEFAULT), NULL);
	live->timers.heap = live->heap;
}

static void live_done_memory(struct live *live)
{
	lab_fiber_pool_free(&live->fibers);
	lab_pool_free(&live->pool);
	lab_heap_drop(&live->heap);
	lab_pool_free(&live->own_pool);
	free(live);
}

static int live_init_loop(struct live *live, struct lab_error *err)
{
	int rc = uv_loop_init(&live->loop);

	if (rc < 0)
		return lab_fail(err, LAB_IO, "event loop: %s", uv_err_name(rc));
	live->loop.data = live;
	rc = live_alarm_open(&live->alarm, &live->loop, NULL);
	if (rc < 0) {
		lab_assert(uv_loop_close(&live->loop) == 0);
		return lab_fail(err, LAB_LIMIT, "timer: %s", uv_err_name(rc));
	}
	rc = uv_async_init(&live->loop, &live->wake, live_woken);
	if (rc < 0) {
		live_alarm_close(&live->alarm);
		(void)uv_run(&live->loop, UV_RUN_DEFAULT);
		lab_assert(uv_loop_close(&live->loop) == 0);
		return lab_fail(err, LAB_LIMIT, "event loop: %s", uv_err_name(rc));
	}
	return 0;
}

/* A peer that is gone is an error code to us, not a signal. */
static void live_ignore_sigpipe(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	lab_assert(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

int live_new(const struct live_settings *settings, struct live **ret, struct lab_error *err)
{
	struct live *live;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return lab_fail(err, LAB_IO, "libcurl does not start");
	/* The root of all else here: there is no heap yet that it could come from. */
	live = calloc(1, sizeof(*live));
	lab_assert(live != NULL);
	live->seed = settings->seed;
	live->no_sync = settings->no_sync;
	live->callbacks_max = OR_DEFAULT(settings->callbacks_max, CALLBACKS_DEFAULT);
	live->next_pid = 1;
	live_init_memory(live, settings);
	if (live_init_loop(live, err) < 0) {
		live_done_memory(live);
		return -1;
	}
	if (settings->ca_file != NULL)
		live->ca_file = lab_heap_strdup(live->heap, settings->ca_file);
	if (settings->stream_ca_file != NULL)
		live->stream_ca_file = lab_heap_strdup(live->heap, settings->stream_ca_file);
	live_ignore_sigpipe();
	live->start_ns = uv_hrtime();
	*ret = live;
	return 0;
}

void live_free(struct live **live_p)
{
	struct live *live = *live_p;

	if (live == NULL)
		return;
	lab_assert(lab_fiber_self() == NULL);
	for (struct live_host *host = live->hosts; host != NULL; host = host->next)
		live_host_done(host);
	live_sockets_done(live);
	if (live->has_interrupt)
		uv_close((uv_handle_t *)&live->interrupt, NULL);
	uv_close((uv_handle_t *)&live->wake, NULL);
	live_alarm_close(&live->alarm);
	/* Closing callbacks, and jobs that are still in the thread pool. */
	(void)uv_run(&live->loop, UV_RUN_DEFAULT);
	lab_assert(uv_loop_close(&live->loop) == 0);
	*live_p = NULL;
	live_done_memory(live);
	curl_global_cleanup();
}

void live_allow_remote(struct live *live)
{
	live->allow_remote = true;
}

bool live_was_guarded(const struct live *live)
{
	return live->was_guarded;
}

/* ---- running ---- */

/* One turn: the sockets, then the time, then the fibers that can run. Fibers come last, so that
 * what they did is looked at before the loop waits again. */
static void live_turn(struct live *live)
{
	uint64_t next_ns = live_timers_next(&live->timers);

	if (live->runnable != NULL || next_ns <= live_now(live)) {
		(void)uv_run(&live->loop, UV_RUN_NOWAIT);
	} else {
		if (next_ns != ENV_FOREVER)
			live_alarm_set(&live->alarm, live_deadline_after(live->start_ns, next_ns));
		(void)uv_run(&live->loop, UV_RUN_ONCE);
	}
	live_timers_fire(&live->timers, live_now(live));
	live_fibers_run(live);
}

static void live_deadline_passed(struct live_timer *timer)
{
	/* It is in the heap only so that the loop wakes up. */
	(void)timer;
}

int live_run(struct live *live, uint64_t deadline_ns, bool (*done)(void *ctx), void *ctx)
{
	struct live_timer deadline = { .fire = live_deadline_passed };
	int result = 0;

	lab_assert(lab_fiber_self() == NULL);
	live_timer_set(&live->timers, &deadline, deadline_ns);
	while (done == NULL ? live_fibers_alive(live) > 0 : !done(ctx)) {
		if (live_now(live) >= deadline_ns) {
			result = 1;
			break;
		}
		live_turn(live);
	}
	live_timer_set(&live->timers, &deadline, ENV_FOREVER);
	return result;
}

struct live_callback {
	struct live_timer timer;
	struct live *live;
	void (*fn)(void *ctx);
	void *ctx;
};

static void live_call_back(struct live_timer *timer)
{
	struct live_callback *callback = (struct live_callback *)timer;
	struct live_callback copy = *callback;

	lab_heap_free(copy.live->heap, callback);
	copy.live->callbacks--;
	copy.fn(copy.ctx);
}

int live_at(
	struct live *live, uint64_t at_ns, void (*fn)(void *ctx), void *ctx, struct lab_error *err)
{
	struct live_callback *callback;

	if (live->callbacks >= live->callbacks_max)
		return lab_fail(err, LAB_LIMIT, "%zu callbacks are pending", live->callbacks);
	live->callbacks++;
	callback = lab_new(live->heap, struct live_callback);
	callback->timer.fire = live_call_back;
	callback->live = live;
	callback->fn = fn;
	callback->ctx = ctx;
	/* ENV_FOREVER would not be set at all. */
	live_timer_set(&live->timers, &callback->timer, LAB_MIN(at_ns, ENV_FOREVER - 1));
	return 0;
}

static void live_interrupted(uv_signal_t *handle, int signal_number)
{
	struct live *live = handle->loop->data;

	(void)signal_number;
	live->on_interrupt(live->on_interrupt_ctx);
}

int live_on_interrupt(struct live *live, void (*fn)(void *ctx), void *ctx, struct lab_error *err)
{
	int rc;

	live->on_interrupt = fn;
	live->on_interrupt_ctx = ctx;
	if (live->has_interrupt)
		return 0;
	rc = uv_signal_init(&live->loop, &live->interrupt);
	if (rc == 0) {
		live->has_interrupt = true;
		rc = uv_signal_start(&live->interrupt, live_interrupted, SIGINT);
	}
	return rc == 0 ? 0 : lab_fail(err, LAB_IO, "SIGINT: %s", uv_err_name(rc));
}

void live_wake(struct live *live)
{
	(void)uv_async_send(&live->wake);
}

uint64_t live_now(const struct live *live)
{
	return uv_hrtime() - live->start_ns;
}

uint64_t live_start_ns(const struct live *live)
{
	return live->start_ns;
}

size_t live_fibers_alive(const struct live *live)
{
	return lab_fiber_pool_alive(live->fibers);
}

/* ---- events ---- */

void live_add_sink(struct live *live, lab_event_sink_fn sink, void *ctx)
{
	lab_assert(live->sink_count < LIVE_SINKS_MAX);
	live->sinks[live->sink_count++] = (struct live_sink){ sink, ctx };
}

void live_event(
	struct live_host *host, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	struct live *live = host->live;
	struct lab_fiber *fiber = lab_fiber_self();
	struct lab_event event = {
		.id = id,
		.time_ns = live_now(live),
		.host = host->env.host,
		.fiber = fiber == NULL ? 0 : lab_fiber_id(fiber),
		.sequence = ++live->event_count,
		.fields = fields,
		.field_count = count,
	};

	live->trace_hash = lab_event_fold(live->trace_hash, &event);
	for (size_t i = 0; i < live->sink_count; i++)
		live->sinks[i].fn(live->sinks[i].ctx, &event);
}

uint64_t live_event_count(const struct live *live)
{
	return live->event_count;
}

uint64_t live_trace_hash(const struct live *live)
{
	return live->trace_hash;
}

const char *live_hostname(const struct live *live, uint32_t number)
{
	for (const struct live_host *host = live->hosts; host != NULL; host = host->next) {
		if (host->env.host == number)
			return host->hostname;
	}
	return NULL;
}
