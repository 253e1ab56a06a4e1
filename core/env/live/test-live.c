/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <pthread.h>
#include <signal.h>

/* ---- time ---- */

static void sleep_body(struct bed *bed)
{
	static const uint64_t lengths[] = { 0, 50 * LAB_USEC, 3 * LAB_MSEC, 40 * LAB_MSEC };

	for (size_t i = 0; i < LAB_COUNT_OF(lengths); i++) {
		uint64_t before = env_now(bed->env), took;

		env_sleep(bed->env, lengths[i]);
		took = env_now(bed->env) - before;
		assert_true(took >= lengths[i]);
		assert_true(took < lengths[i] + 5 * LAB_SEC);
	}
}

static void sleep_lasts_as_long_as_asked(void **state)
{
	(void)state;
	bed_run_once(sleep_body);
}

static void short_sleeps_body(struct bed *bed)
{
	uint64_t shortest = UINT64_MAX;

	for (unsigned i = 0; i < 100; i++) {
		uint64_t before = env_now(bed->env);

		env_sleep(bed->env, 100 * LAB_USEC);
		shortest = LAB_MIN(shortest, env_now(bed->env) - before);
	}
	/* libuv's timers would take a millisecond at least. */
	assert_in_range(shortest, 100 * LAB_USEC, 900 * LAB_USEC);
}

static void short_sleeps_are_not_rounded_to_milliseconds(void **state)
{
	(void)state;
	bed_run_once(short_sleeps_body);
}

static void wall_clock_is_the_machines_plus_an_offset(void **state)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host = { .hostname = "b1",
		.wall_offset_us = 3600 * INT64_C(1000000) };
	struct timespec real;
	struct bed bed;
	int64_t ahead;

	(void)state;
	bed_open_with(&bed, &settings, &host);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &real), 0);
	ahead = env_wall_seconds(bed.env) - (int64_t)real.tv_sec;
	assert_in_range(ahead, 3600, 3602);
	live_host_set_wall_offset(bed.host, -10 * INT64_C(1000000));
	ahead = (int64_t)real.tv_sec - env_wall_seconds(bed.env);
	assert_in_range(ahead, 8, 10);
	bed_close(&bed);
}

static void draws_depend_on_seed_and_hostname_only(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed);
	assert_true(
		env_draw(bed.env, "x", 3) == lab_draw(7, "x", lab_hash_view(0, LAB_VIEW("b1")), 3));
	assert_true(env_draw(bed.env, "x", 3) != env_draw(bed.env, "x", 4));
	bed_close(&bed);
}

/* ---- fibers ---- */

struct order {
	struct env *env;
	char text[64];
	struct env_cond cond;
	struct env_semaphore semaphore;
};

static void order_note(struct order *order, char c)
{
	char text[2] = { c, '\0' };

	assert_true(strlen(order->text) + 1 < sizeof(order->text));
	memcpy(order->text + strlen(order->text), text, 2);
}

static void order_fiber(void *arg)
{
	struct order *order = arg;

	order_note(order, 'a');
	assert_int_equal(env_cond_wait(order->env, &order->cond, ENV_FOREVER), 0);
	order_note(order, 'b');
}

static void order_body(struct bed *bed)
{
	struct order order = { .env = bed->env };

	assert_int_equal(env_spawn(bed->env, "one", order_fiber, &order, NULL), 0);
	assert_int_equal(env_spawn(bed->env, "two", order_fiber, &order, NULL), 0);
	order_note(&order, '1');
	env_sleep(bed->env, 0);
	order_note(&order, '2');
	env_cond_broadcast(bed->env, &order.cond);
	order_note(&order, '3');
	env_sleep(bed->env, LAB_MSEC);
	assert_string_equal(order.text, "1aa23bb");
}

static void fibers_run_when_others_wait(void **state)
{
	(void)state;
	bed_run_once(order_body);
}

static void cond_body(struct bed *bed)
{
	struct env_cond cond = { 0 };
	uint64_t before = env_now(bed->env);

	assert_int_equal(env_cond_wait(bed->env, &cond, before + 5 * LAB_MSEC), 1);
	assert_true(env_now(bed->env) >= before + 5 * LAB_MSEC);
	/* A deadline that is over. */
	assert_int_equal(env_cond_wait(bed->env, &cond, before), 1);
}

static void waiting_ends_at_the_deadline(void **state)
{
	(void)state;
	bed_run_once(cond_body);
}

static void each_sleep(void *ctx, size_t index)
{
	struct bed *bed = ctx;

	(void)index;
	env_sleep(bed->env, 20 * LAB_MSEC);
}

static void each_body(struct bed *bed)
{
	uint64_t before = env_now(bed->env);

	env_for_each(bed->env, 40, 20, each_sleep, bed);
	assert_in_range(env_now(bed->env) - before, 40 * LAB_MSEC, 780 * LAB_MSEC);
}

static void for_each_runs_in_parallel(void **state)
{
	(void)state;
	bed_run_once(each_body);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void many_fibers_body(struct bed *bed)
{
	struct lab_error err;
	unsigned i = 0;

	while (env_spawn(bed->env, "many", nothing, NULL, &err) == 0)
		assert_true(++i < 100);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(i, 15); /* and this one */
	env_sleep(bed->env, LAB_MSEC);
	assert_int_equal(env_spawn(bed->env, "again", nothing, NULL, &err), 0);
}

static void fibers_are_limited_in_number(void **state)
{
	const struct live_settings settings = { .fibers_max = 16 };
	const struct live_host_settings host = { .hostname = "b1" };
	struct bed bed;

	(void)state;
	bed_open_with(&bed, &settings, &host);
	bed_run(&bed, many_fibers_body);
	bed_close(&bed);
}

static void yielding_fiber(void *arg)
{
	struct bed *bed = arg;

	while (!bed->done)
		env_sleep(bed->env, 0);
}

static void yields_body(struct bed *bed)
{
	assert_int_equal(env_spawn(bed->env, "yields", yielding_fiber, bed, NULL), 0);
	env_sleep(bed->env, 10 * LAB_MSEC);
}

static void a_fiber_that_only_yields_does_not_stop_the_clock(void **state)
{
	(void)state;
	bed_run_once(yields_body);
}

/* ---- running ---- */

struct count {
	struct live *live;
	unsigned n;
	uint64_t at;
};

static void count_up(void *ctx)
{
	struct count *count = ctx;

	count->n++;
	count->at = live_now(count->live);
}

static bool count_is_two(void *ctx)
{
	return ((struct count *)ctx)->n == 2;
}

static void callbacks_come_at_their_time(void **state)
{
	struct count count = { 0 };
	struct bed bed;
	uint64_t now;

	(void)state;
	bed_open(&bed);
	count.live = bed.live;
	now = live_now(bed.live);
	assert_int_equal(live_at(bed.live, now + 20 * LAB_MSEC, count_up, &count, NULL), 0);
	assert_int_equal(live_at(bed.live, now + 5 * LAB_MSEC, count_up, &count, NULL), 0);
	assert_int_equal(live_run(bed.live, now + 10 * LAB_SEC, count_is_two, &count), 0);
	assert_in_range(count.at, now + 20 * LAB_MSEC, now + 5 * LAB_SEC);
	bed_close(&bed);
}

static void callbacks_are_limited_in_number(void **state)
{
	const struct live_settings settings = { .callbacks_max = 2 };
	const struct live_host_settings host = { .hostname = "b1" };
	struct count count = { 0 };
	struct lab_error err;
	struct bed bed;

	(void)state;
	bed_open_with(&bed, &settings, &host);
	count.live = bed.live;
	assert_int_equal(live_at(bed.live, 0, count_up, &count, &err), 0);
	assert_int_equal(live_at(bed.live, ENV_FOREVER, count_up, &count, &err), 0);
	assert_int_equal(live_at(bed.live, 0, count_up, &count, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(live_run(bed.live, live_now(bed.live) + LAB_MSEC, NULL, NULL), 0);
	bed_close(&bed);
}

static void run_ends_at_its_deadline(void **state)
{
	struct count count = { 0 };
	struct bed bed;
	uint64_t until;

	(void)state;
	bed_open(&bed);
	until = live_now(bed.live) + 15 * LAB_MSEC;
	assert_int_equal(live_run(bed.live, until, count_is_two, &count), 1);
	assert_true(live_now(bed.live) >= until);
	/* Nothing to run: it does not wait. */
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	bed_close(&bed);
}

static bool flag_is_set(void *ctx)
{
	return __atomic_load_n((bool *)ctx, __ATOMIC_ACQUIRE);
}

struct waker {
	struct live *live;
	bool flag;
};

static void *wake_from_a_thread(void *arg)
{
	struct waker *waker = arg;

	test_wait_ms(10);
	__atomic_store_n(&waker->flag, true, __ATOMIC_RELEASE);
	live_wake(waker->live);
	return NULL;
}

static void another_thread_can_wake_the_loop(void **state)
{
	struct waker waker = { 0 };
	pthread_t thread;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	waker.live = bed.live;
	assert_int_equal(pthread_create(&thread, NULL, wake_from_a_thread, &waker), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, flag_is_set, &waker.flag), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	bed_close(&bed);
}

static void interrupt_is_called_back(void **state)
{
	struct count count = { .n = 1 };
	struct bed bed;

	(void)state;
	bed_open(&bed);
	count.live = bed.live;
	assert_int_equal(live_on_interrupt(bed.live, nothing, NULL, NULL), 0);
	assert_int_equal(live_on_interrupt(bed.live, count_up, &count, NULL), 0);
	assert_int_equal(raise(SIGINT), 0);
	assert_int_equal(live_run(bed.live, 10 * LAB_SEC, count_is_two, &count), 0);
	bed_close(&bed);
}

/* ---- hosts ---- */

static void hosts_have_names_and_numbers(void **state)
{
	struct live_host_settings settings = { .hostname = "b2", .zone = "z2", .root = "/tmp" };
	struct live_host *host;
	struct lab_error err;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	assert_int_equal(live_host_new(bed.live, &settings, &host, &err), 0);
	assert_int_equal(live_host_env(host)->host, 2);
	assert_string_equal(live_host_env(host)->hostname, "b2");
	assert_string_equal(live_host_env(host)->zone, "z2");
	assert_string_equal(live_hostname(bed.live, 1), "b1");
	assert_string_equal(live_hostname(bed.live, 2), "b2");
	assert_null(live_hostname(bed.live, 3));
	assert_int_equal(live_host_new(bed.live, &settings, &host, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	settings.hostname = "";
	assert_int_equal(live_host_new(bed.live, &settings, &host, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	settings.hostname = "b3";
	settings.root = "/tmp/there/is/no/such/directory";
	assert_int_equal(live_host_new(bed.live, &settings, &host, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	settings.root = "/tmp";
	settings.source_address = "localhost";
	assert_int_equal(live_host_new(bed.live, &settings, &host, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	bed_close(&bed);
}

struct crash_log {
	struct bed *bed;
	unsigned started, after_wait, after_crash;
	uint32_t first_pid;
};

static void sleeper(void *arg)
{
	struct crash_log *log = ((struct bed *)arg)->extra;

	log->started++;
	env_sleep(log->bed->env, 20 * LAB_MSEC);
	log->after_wait++;
}

static void crash_self(void *arg)
{
	struct crash_log *log = ((struct bed *)arg)->extra;

	live_crash(log->bed->host);
	log->after_crash++;
}

static void crash_main(struct env *env, void *arg)
{
	struct bed *bed = arg;
	struct crash_log *log = bed->extra;

	log->first_pid = env->pid;
	assert_non_null(lab_heap_alloc(env->heap, 1000));
	assert_int_equal(env_spawn(env, "sleeper", sleeper, arg, NULL), 0);
	assert_int_equal(env_spawn(env, "sleeper", sleeper, arg, NULL), 0);
	env_sleep(env, 2 * LAB_MSEC);
	assert_int_equal(env_spawn(env, "runnable", sleeper, arg, NULL), 0);
	crash_self(arg);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void crash_drops_fibers_and_heap_without_running_them(void **state)
{
	struct crash_log log = { 0 };
	struct bed bed;

	(void)state;
	bed_open(&bed);
	log.bed = &bed;
	bed.extra = &log;
	assert_false(live_host_up(bed.host));
	assert_null(bed.env->heap);
	assert_int_equal(live_start(bed.host, "main", crash_main, &bed, NULL), 0);
	assert_true(live_host_up(bed.host));
	assert_int_equal(live_run(bed.live, live_now(bed.live) + 60 * LAB_MSEC, never, NULL), 1);
	assert_int_equal(log.started, 2);
	assert_int_equal(log.after_wait, 0);
	assert_int_equal(log.after_crash, 0);
	assert_false(live_host_up(bed.host));
	assert_null(bed.env->heap);
	assert_int_equal(live_fibers_alive(bed.live), 0);
	bed_close(&bed);
}

static void quick_main(struct env *env, void *arg)
{
	uint32_t *pid = arg;

	*pid = env->pid;
	assert_int_equal(lab_heap_used(env->heap), 0);
}

static void a_restarted_host_has_a_new_pid_and_an_empty_heap(void **state)
{
	uint32_t pid[3] = { 0 };
	struct bed bed;

	(void)state;
	bed_open(&bed);
	assert_int_equal(live_start(bed.host, "main", quick_main, &pid[0], NULL), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	assert_non_null(lab_heap_alloc(bed.env->heap, 12345));
	live_crash(bed.host);
	live_crash(bed.host); /* it is down already */
	assert_int_equal(live_start(bed.host, "main", quick_main, &pid[1], NULL), 0);
	assert_int_equal(live_start(bed.host, "main", quick_main, &pid[2], NULL), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	assert_int_not_equal(pid[0], 0);
	assert_int_not_equal(pid[0], pid[1]);
	assert_int_equal(pid[1], pid[2]);
	bed_close(&bed);
}

struct neighbour {
	struct live_host *victim;
	bool done;
};

static void neighbour_main(struct env *env, void *arg)
{
	struct neighbour *neighbour = arg;

	env_sleep(env, 2 * LAB_MSEC);
	live_crash(neighbour->victim);
	env_sleep(env, LAB_MSEC);
	neighbour->done = true;
}

static void forever_main(struct env *env, void *arg)
{
	(void)arg;
	env_sleep(env, ENV_FOREVER);
}

static void a_crash_leaves_other_hosts_alone(void **state)
{
	const struct live_host_settings settings = { .hostname = "b2", .root = "/tmp" };
	struct neighbour neighbour = { 0 };
	struct live_host *other;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	neighbour.victim = bed.host;
	assert_int_equal(live_host_new(bed.live, &settings, &other, NULL), 0);
	assert_int_equal(live_start(bed.host, "main", forever_main, NULL, NULL), 0);
	assert_int_equal(live_start(other, "main", neighbour_main, &neighbour, NULL), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	assert_true(neighbour.done);
	assert_false(live_host_up(bed.host));
	assert_true(live_host_up(other));
	bed_close(&bed);
}

static void greedy_main(struct env *env, void *arg)
{
	bool *survived = arg;

	for (unsigned i = 0; i < 100; i++)
		(void)lab_heap_alloc(env->heap, 100000);
	*survived = true;
}

static void running_out_of_memory_crashes_the_host(void **state)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host = { .hostname = "b1", .heap_max_bytes = 1 << 20 };
	bool survived = false;
	struct bed bed;

	(void)state;
	bed_open_with(&bed, &settings, &host);
	assert_int_equal(live_start(bed.host, "main", greedy_main, &survived, NULL), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	assert_false(survived);
	assert_false(live_host_up(bed.host));
	bed_close(&bed);
}

static void freeing_the_world_ends_waiting_fibers(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed);
	assert_int_equal(live_start(bed.host, "main", forever_main, NULL, NULL), 0);
	assert_int_equal(live_run(bed.live, live_now(bed.live) + LAB_MSEC, never, NULL), 1);
	assert_int_equal(live_fibers_alive(bed.live), 1);
	bed_close(&bed);
	live_free(&bed.live); /* of nothing */
}

/* ---- events ---- */

struct seen {
	unsigned count;
	struct lab_event last;
	uint64_t number;
};

static void seen_sink(void *ctx, const struct lab_event *event)
{
	struct seen *seen = ctx;

	seen->count++;
	seen->last = *event;
	seen->number = event->field_count > 0 ? event->fields[0].number : 0;
}

static void event_body(struct bed *bed)
{
	ENV_EVENT(bed->env, LAB_EV_log_message, LAB_F_U64("n", 42));
}

static void events_reach_sinks_and_the_trace_hash(void **state)
{
	struct seen seen = { 0 };
	struct bed bed;
	uint64_t before;

	(void)state;
	bed_open(&bed);
	live_add_sink(bed.live, seen_sink, &seen);
	before = live_trace_hash(bed.live);
	bed_run(&bed, event_body);
	assert_int_equal(seen.count, 2); /* host_started, too */
	assert_int_equal(seen.last.id, LAB_EV_log_message);
	assert_int_equal(seen.last.host, 1);
	assert_int_equal(seen.last.sequence, 2);
	assert_int_not_equal(seen.last.fiber, 0);
	assert_int_equal(seen.number, 42);
	assert_int_equal(live_event_count(bed.live), 2);
	assert_true(live_trace_hash(bed.live) != before);
	live_crash(bed.host);
	assert_int_equal(seen.last.id, LAB_EV_host_crashed);
	assert_int_equal(seen.last.fiber, 0);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleep_lasts_as_long_as_asked),
		cmocka_unit_test(short_sleeps_are_not_rounded_to_milliseconds),
		cmocka_unit_test(wall_clock_is_the_machines_plus_an_offset),
		cmocka_unit_test(draws_depend_on_seed_and_hostname_only),
		cmocka_unit_test(fibers_run_when_others_wait),
		cmocka_unit_test(waiting_ends_at_the_deadline),
		cmocka_unit_test(for_each_runs_in_parallel),
		cmocka_unit_test(fibers_are_limited_in_number),
		cmocka_unit_test(a_fiber_that_only_yields_does_not_stop_the_clock),
		cmocka_unit_test(callbacks_come_at_their_time),
		cmocka_unit_test(callbacks_are_limited_in_number),
		cmocka_unit_test(run_ends_at_its_deadline),
		cmocka_unit_test(another_thread_can_wake_the_loop),
		cmocka_unit_test(interrupt_is_called_back),
		cmocka_unit_test(hosts_have_names_and_numbers),
		cmocka_unit_test(crash_drops_fibers_and_heap_without_running_them),
		cmocka_unit_test(a_restarted_host_has_a_new_pid_and_an_empty_heap),
		cmocka_unit_test(a_crash_leaves_other_hosts_alone),
		cmocka_unit_test(running_out_of_memory_crashes_the_host),
		cmocka_unit_test(freeing_the_world_ends_waiting_fibers),
		cmocka_unit_test(events_reach_sinks_and_the_trace_hash),
	};

	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
