/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/fiber.h"
#include "core/env/env-private.h"

/* ---- a tiny world: fibers, time, and a disk of three files ---- */

#define SLOTS 64
#define FILES 3

struct fake_fiber {
	struct lab_fiber *fiber;
	env_fiber_fn fn;
	void *arg;
	bool is_used, is_parked, is_ready, is_timed_out;
	uint64_t deadline_ns;
	uint64_t order;
};
struct fake_file {
	char path[ENV_PATH_MAX + 16];
	char data[64];
	size_t len;
};
struct fake {
	struct env env;
	uint64_t now_ns, orders;
	struct fake_fiber fibers[SLOTS], *running;
	size_t spawns_left;
	struct lab_pool *pool;
	struct lab_fiber_pool *fiber_pool;
	struct lab_fiber_group *group;
	struct fake_file files[FILES];
	enum lab_code fail_sync, fail_rename;
	char log[512];
	int events;
	bool stats_given;
};

static struct fake *fake_of(struct env *env)
{
	return (struct fake *)(void *)env;
}

static void note(struct fake *fake, const char *text)
{
	size_t len = strlen(fake->log);

	assert_true(len + strlen(text) < sizeof(fake->log));
	memcpy(fake->log + len, text, strlen(text) + 1);
}

static uint64_t fake_now(struct env *env)
{
	return fake_of(env)->now_ns;
}

static uint64_t fake_wall_us(struct env *env)
{
	return 5000000 + fake_of(env)->now_ns / 1000;
}

static uint64_t fake_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	(void)env;
	return lab_draw(1, purpose, 2, ordinal);
}

static void fake_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	assert_int_equal(id, LAB_EV_log_message);
	assert_string_equal(fields[0].name, "message");
	assert_int_equal(count, 2);
	fake_of(env)->events++;
}

static void fake_main(void *arg)
{
	struct fake_fiber *fiber = arg;

	fiber->fn(fiber->arg);
	fiber->is_used = false;
}

static void make_ready(struct fake *fake, struct fake_fiber *fiber)
{
	fiber->is_parked = false;
	fiber->is_ready = true;
	fiber->order = ++fake->orders;
}

static int fake_spawn(
	struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	struct fake *fake = fake_of(env);

	for (size_t i = 0; i < SLOTS && fake->spawns_left > 0; i++) {
		struct fake_fiber *fiber = &fake->fibers[i];

		if (fiber->is_used)
			continue;
		*fiber = (struct fake_fiber){ .fn = fn, .arg = arg, .is_used = true };
		fiber->fiber = lab_fiber_new(fake->group, fake_main, fiber);
		make_ready(fake, fiber);
		fake->spawns_left--;
		return 0;
	}
	return lab_fail(err, LAB_LIMIT, "no fiber %s", name);
}

static void *fake_self(struct env *env)
{
	return fake_of(env)->running;
}

static int fake_park(struct env *env, uint64_t deadline_ns)
{
	struct fake_fiber *self = fake_of(env)->running;

	self->is_parked = true;
	self->is_timed_out = false;
	self->deadline_ns = deadline_ns;
	lab_fiber_suspend();
	return self->is_timed_out ? 1 : 0;
}

static void fake_unpark(struct env *env, void *token)
{
	struct fake_fiber *fiber = token;

	assert_true(fiber->is_used && fiber->is_parked);
	make_ready(fake_of(env), fiber);
}

static struct fake_fiber *next_ready(struct fake *fake)
{
	struct fake_fiber *next = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		struct fake_fiber *fiber = &fake->fibers[i];

		if (fiber->is_used && fiber->is_ready &&
			(next == NULL || fiber->order < next->order))
			next = fiber;
	}
	return next;
}

static struct fake_fiber *next_deadline(struct fake *fake)
{
	struct fake_fiber *next = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		struct fake_fiber *fiber = &fake->fibers[i];

		if (fiber->is_used && fiber->is_parked && fiber->deadline_ns != ENV_FOREVER &&
			(next == NULL || fiber->deadline_ns < next->deadline_ns))
			next = fiber;
	}
	return next;
}

static void run(struct fake *fake)
{
	for (;;) {
		struct fake_fiber *next = next_ready(fake);

		if (next == NULL) {
			next = next_deadline(fake);
			if (next == NULL)
				return;
			fake->now_ns = LAB_MAX(fake->now_ns, next->deadline_ns);
			next->is_timed_out = true;
			next->is_parked = false;
		}
		next->is_ready = false;
		fake->running = next;
		(void)lab_fiber_resume(next->fiber);
		fake->running = NULL;
	}
}

/* ---- its disk ---- */

struct fake_handle {
	struct env_file base;
	struct fake_file *file;
};
static struct fake_handle handle;

static int handle_read(struct env_file *base, uint64_t offset, void *data, size_t size,
	size_t *ret_n, struct lab_error *err)
{
	struct fake_file *file = ((struct fake_handle *)(void *)base)->file;

	if (file->data[0] == 'E')
		return lab_fail(err, LAB_IO, "read failed");
	*ret_n = LAB_MIN(size, file->len - (size_t)offset);
	memcpy(data, file->data + offset, *ret_n);
	return 0;
}

static int handle_write(
	struct env_file *base, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	struct fake_file *file = ((struct fake_handle *)(void *)base)->file;

	if (offset + data.len > sizeof(file->data))
		return lab_fail(err, LAB_NO_SPACE, "write failed");
	memcpy(file->data + offset, data.ptr, data.len);
	file->len = (size_t)offset + data.len;
	note(fake_of(base->env), "write ");
	return 0;
}

static int handle_truncate(struct env_file *base, uint64_t size, struct lab_error *err)
{
	(void)err;
	((struct fake_handle *)(void *)base)->file->len = (size_t)size;
	return 0;
}

static int handle_sync(struct env_file *base, struct lab_error *err)
{
	struct fake *fake = fake_of(base->env);

	note(fake, "sync ");
	return fake->fail_sync == LAB_OK ? 0 : lab_fail(err, fake->fail_sync, "sync failed");
}

static uint64_t handle_size(struct env_file *base)
{
	return ((struct fake_handle *)(void *)base)->file->len;
}

static void handle_close(struct env_file *base)
{
	note(fake_of(base->env), "close ");
}

static const struct env_file_ops handle_ops = {
	.read = handle_read,
	.write = handle_write,
	.truncate = handle_truncate,
	.sync = handle_sync,
	.size = handle_size,
	.close = handle_close,
};

static struct fake_file *find_file(struct fake *fake, const char *path)
{
	for (size_t i = 0; i < FILES; i++) {
		if (strcmp(fake->files[i].path, path) == 0)
			return &fake->files[i];
	}
	return NULL;
}

static int fake_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err)
{
	struct fake *fake = fake_of(env);
	struct fake_file *file = find_file(fake, path);

	if (file == NULL && mode == ENV_OPEN_READ)
		return lab_fail(err, LAB_NOT_FOUND, "open failed");
	if (file == NULL) {
		file = find_file(fake, "");
		assert_non_null(file);
		memcpy(file->path, path, strlen(path) + 1);
	}
	if (mode == ENV_OPEN_TRUNCATE)
		file->len = 0;
	handle = (struct fake_handle){ { &handle_ops, env }, file };
	*ret = &handle.base;
	return 0;
}

static int fake_unlink(struct env *env, const char *path, struct lab_error *err)
{
	struct fake_file *file = find_file(fake_of(env), path);

	if (file == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "unlink failed");
	note(fake_of(env), "unlink ");
	file->path[0] = '\0';
	return 0;
}

static int fake_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	struct fake *fake = fake_of(env);
	struct fake_file *file = find_file(fake, from), *old = find_file(fake, to);

	if (fake->fail_rename != LAB_OK)
		return lab_fail(err, fake->fail_rename, "rename failed");
	assert_non_null(file);
	if (old != NULL)
		old->path[0] = '\0';
	memcpy(file->path, to, strlen(to) + 1);
	note(fake, "rename ");
	return 0;
}

static int fake_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err)
{
	(void)err;
	note(fake_of(env), path);
	*ret = (struct env_stat){ .size = 7 };
	return 0;
}

static int fake_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err)
{
	(void)max_entries, (void)arena, (void)ret_names, (void)err;
	note(fake_of(env), path);
	*ret_count = 0;
	return 0;
}

static int fake_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *stats, struct lab_error *err)
{
	(void)request, (void)limits, (void)arena, (void)ret;
	assert_non_null(stats);
	stats->reused = true;
	fake_of(env)->stats_given = true;
	return lab_fail(err, LAB_REFUSED, "nobody there");
}

/* ---- its streams ---- */

static int stream_read(struct env_stream *stream, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	(void)stream, (void)deadline_ns, (void)err;
	memset(data, 'x', size);
	*ret_n = size;
	return 0;
}

static int stream_write(struct env_stream *stream, struct lab_view data, struct lab_error *err)
{
	(void)stream, (void)err;
	return data.len == 3 ? 0 : -1;
}

static void stream_close(struct env_stream *stream)
{
	note(fake_of(stream->env), "closed ");
}

static const struct env_stream_ops stream_ops = { stream_read, stream_write, stream_close };
static struct env_stream the_stream;

static int fake_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err)
{
	(void)deadline_ns;
	if (strcmp(host, "there") != 0 || port != 9042)
		return lab_fail(err, LAB_NOT_FOUND, "no such host");
	the_stream = (struct env_stream){ &stream_ops, env };
	*ret = &the_stream;
	return 0;
}

static const struct env_ops fake_ops = {
	.now = fake_now,
	.wall_us = fake_wall_us,
	.draw = fake_draw,
	.event = fake_event,
	.spawn = fake_spawn,
	.self = fake_self,
	.park = fake_park,
	.unpark = fake_unpark,
	.http = fake_http,
	.connect = fake_connect,
	.file_open = fake_open,
	.unlink = fake_unlink,
	.rename = fake_rename,
	.stat = fake_stat,
	.list = fake_list,
};

static int setup(void **state)
{
	struct fake *fake = test_calloc(1, sizeof(*fake));

	fake->env.ops = &fake_ops;
	fake->pool = lab_pool_new((size_t)64 << 20);
	fake->env.heap = lab_heap_new(fake->pool, (size_t)64 << 20);
	fake->fiber_pool = lab_fiber_pool_new(64 << 10, SLOTS, NULL);
	fake->group = lab_fiber_group_new(fake->fiber_pool);
	fake->spawns_left = 1000;
	*state = fake;
	return 0;
}

static int teardown(void **state)
{
	struct fake *fake = *state;

	lab_fiber_drop_all(fake->group);
	lab_fiber_group_free(&fake->group);
	lab_fiber_pool_free(&fake->fiber_pool);
	lab_heap_drop(&fake->env.heap);
	lab_pool_free(&fake->pool);
	test_free(fake);
	return 0;
}

static void spawn(struct fake *fake, env_fiber_fn fn)
{
	assert_int_equal(env_spawn(&fake->env, "test", fn, fake, NULL), 0);
}

/* ---- time ---- */

static void sleep_twice(void *arg)
{
	struct fake *fake = arg;

	env_sleep(&fake->env, 5);
	env_sleep(&fake->env, 7);
	assert_int_equal(env_now(&fake->env), 12);
	fake->now_ns = ENV_FOREVER - 3;
	/* Longer than there is time: for ever, not a moment. */
	env_sleep(&fake->env, 10);
	fail();
}

static void sleeping_adds_up_and_does_not_wrap(void **state)
{
	struct fake *fake = *state;

	spawn(fake, sleep_twice);
	run(fake);

	assert_int_equal(fake->now_ns, ENV_FOREVER - 3);
	assert_int_equal(env_wall_us(&fake->env), 5000000 + (ENV_FOREVER - 3) / 1000);
	assert_int_equal(
		env_wall_seconds(&fake->env), (5000000 + (ENV_FOREVER - 3) / 1000) / 1000000);
	assert_true(env_draw(&fake->env, "a", 1) == lab_draw(1, "a", 2, 1));
}

static void events_carry_their_fields(void **state)
{
	struct fake *fake = *state;

	ENV_EVENT(&fake->env, LAB_EV_log_message, LAB_F_CSTR("message", "hello"),
		LAB_F_U64("number", 1));

	assert_int_equal(fake->events, 1);
}

/* ---- conditions ---- */

static struct env_cond cond;

static void wait_a(void *arg)
{
	struct fake *fake = arg;

	note(fake, env_cond_wait(&fake->env, &cond, 100) == 0 ? "A" : "a");
}

static void wait_b(void *arg)
{
	struct fake *fake = arg;

	note(fake, env_cond_wait(&fake->env, &cond, 50) == 0 ? "B" : "b");
}

static void wait_c(void *arg)
{
	struct fake *fake = arg;

	note(fake, env_cond_wait(&fake->env, &cond, ENV_FOREVER) == 0 ? "C" : "c");
}

static void signal_two(void *arg)
{
	struct fake *fake = arg;

	env_cond_signal(&fake->env, &cond);
	note(fake, "1");
	env_cond_signal(&fake->env, &cond);
	note(fake, "2");
}

static void broadcast_at_70(void *arg)
{
	struct fake *fake = arg;

	env_sleep(&fake->env, 70);
	env_cond_broadcast(&fake->env, &cond);
	note(fake, "!");
}

static void spawn_waiters(struct fake *fake)
{
	cond = (struct env_cond){ 0 };
	spawn(fake, wait_a);
	spawn(fake, wait_b);
	spawn(fake, wait_c);
}

static void waiters_wake_in_the_order_they_came(void **state)
{
	struct fake *fake = *state;

	spawn_waiters(fake);
	spawn(fake, signal_two);
	run(fake);

	assert_string_equal(fake->log, "12AB");
	assert_non_null(cond.head);
	assert_ptr_equal(cond.head, cond.tail);
}

static void a_waiter_that_timed_out_leaves_the_queue(void **state)
{
	struct fake *fake = *state;

	spawn_waiters(fake);
	spawn(fake, broadcast_at_70);
	run(fake);

	assert_string_equal(fake->log, "b!AC");
	assert_null(cond.head);
	assert_null(cond.tail);
	assert_int_equal(fake->now_ns, 70);
	/* Nobody waits: nothing happens. */
	env_cond_signal(&fake->env, &cond);
	env_cond_broadcast(&fake->env, &cond);
}

static void wait_in_turn(void *arg)
{
	struct fake *fake = arg;

	for (int i = 0; i < 3; i++)
		note(fake,
			env_cond_wait(&fake->env, &cond, env_now(&fake->env) + 1) == 0 ? "s" : "t");
}

static void every_waiter_may_time_out(void **state)
{
	struct fake *fake = *state;

	cond = (struct env_cond){ 0 };
	/* First, middle and last of the queue go at various times. */
	for (int i = 0; i < 3; i++)
		spawn(fake, wait_in_turn);
	run(fake);

	assert_string_equal(fake->log, "ttttttttt");
	assert_null(cond.head);
	assert_null(cond.tail);
}

/* ---- semaphores ---- */

static struct env_semaphore semaphore;

static void hold(struct fake *fake, const char *name, uint64_t deadline_ns)
{
	struct lab_error err;

	if (env_semaphore_take(&fake->env, &semaphore, deadline_ns, &err) < 0) {
		assert_int_equal(err.code, LAB_TIMEOUT);
		note(fake, "-");
		note(fake, name);
		return;
	}
	note(fake, name);
	env_sleep(&fake->env, 10);
	env_semaphore_give(&fake->env, &semaphore);
}

static void hold_a(void *arg)
{
	hold(arg, "a", ENV_FOREVER);
	/* It comes back at once, but behind those that wait. */
	hold(arg, "A", ENV_FOREVER);
}

static void hold_b(void *arg)
{
	hold(arg, "b", ENV_FOREVER);
}

static void hold_c(void *arg)
{
	hold(arg, "c", 15);
}

static void hold_d(void *arg)
{
	hold(arg, "d", ENV_FOREVER);
}

static void a_semaphore_is_first_come_first_served(void **state)
{
	struct fake *fake = *state;

	semaphore = (struct env_semaphore){ .free = 1 };
	spawn(fake, hold_a);
	spawn(fake, hold_b);
	spawn(fake, hold_c);
	spawn(fake, hold_d);
	run(fake);

	assert_string_equal(fake->log, "ab-cdA");
	assert_int_equal(semaphore.free, 1);
	assert_int_equal(fake->now_ns, 40);
}

/* ---- for each ---- */

struct each {
	struct fake *fake;
	unsigned parallel, running, most;
	size_t count;
	uint8_t done[40];
};

static void each_one(void *ctx, size_t index)
{
	struct each *each = ctx;

	each->running++;
	each->most = LAB_MAX(each->most, each->running);
	env_sleep(&each->fake->env, 10 + index % 3);
	each->done[index]++;
	each->running--;
}

static void each_main(void *arg)
{
	struct each *each = arg;

	env_for_each(&each->fake->env, each->count, each->parallel, each_one, each);
	for (size_t i = 0; i < sizeof(each->done); i++)
		assert_int_equal(each->done[i], i < each->count);
	note(each->fake, "done ");
}

static void for_each_runs_so_many_at_a_time(void **state)
{
	static const struct {
		unsigned parallel;
		size_t count, spawns;
		unsigned most;
	} rows[] = { { 1, 20, 0, 1 }, { 4, 20, 3, 4 }, { 4, 2, 1, 2 }, { 8, 0, 0, 0 },
		{ 40, 40, 39, 40 }, { 1, 1, 0, 1 } };
	struct fake *fake = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct each each = {
			.fake = fake, .parallel = rows[i].parallel, .count = rows[i].count
		};

		fake->spawns_left = 1000;
		fake->log[0] = '\0';
		assert_int_equal(env_spawn(&fake->env, "main", each_main, &each, NULL), 0);
		run(fake);
		assert_string_equal(fake->log, "done ");
		assert_int_equal(each.most, rows[i].most);
		assert_int_equal(1000 - fake->spawns_left, 1 + rows[i].spawns);
	}
}

static void for_each_does_with_fewer_fibers_if_there_are_no_more(void **state)
{
	struct fake *fake = *state;
	struct each each = { .fake = fake, .parallel = 10, .count = 20 };

	fake->spawns_left = 3;
	assert_int_equal(env_spawn(&fake->env, "main", each_main, &each, NULL), 0);
	run(fake);

	assert_string_equal(fake->log, "done ");
	assert_int_equal(each.most, 3);
}

/* ---- files ---- */

static void paths_are_checked_and_cleaned(void **state)
{
	static const char *const bad[] = { "", "a", "./a", "/.", "/..", "/a/../b", "/a/.", "/./a" };
	static const char *const good[][2] = { { "/", "/" }, { "//", "/" }, { "/a", "/a" },
		{ "/a/", "/a" }, { "//a///b//", "/a/b" }, { "/.a/..b/c.", "/.a/..b/c." } };
	struct fake *fake = *state;
	struct lab_error err;
	struct env_stat stat;
	struct env_file *file;
	struct lab_view *names;
	size_t count;
	char longest[ENV_PATH_MAX + 2];

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		assert_int_equal(env_stat(&fake->env, bad[i], &stat, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
		assert_int_equal(
			env_file_open(&fake->env, bad[i], ENV_OPEN_WRITE, &file, &err), -1);
		assert_int_equal(env_unlink(&fake->env, bad[i], &err), -1);
		assert_int_equal(env_rename(&fake->env, "/a", bad[i], &err), -1);
		assert_int_equal(env_rename(&fake->env, bad[i], "/a", &err), -1);
		assert_int_equal(env_list(&fake->env, bad[i], 1, NULL, &names, &count, &err), -1);
		assert_int_equal(
			env_file_replace(&fake->env, bad[i], LAB_VIEW("x"), false, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(good); i++) {
		fake->log[0] = '\0';
		assert_int_equal(env_stat(&fake->env, good[i][0], &stat, &err), 0);
		assert_string_equal(fake->log, good[i][1]);
	}
	fake->log[0] = '\0';
	assert_int_equal(env_list(&fake->env, "/d/", 1, NULL, &names, &count, &err), 0);
	assert_string_equal(fake->log, "/d");

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[ENV_PATH_MAX + 1] = '\0';
	assert_int_equal(env_unlink(&fake->env, longest, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	longest[ENV_PATH_MAX] = '\0';
	assert_int_equal(env_unlink(&fake->env, longest, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	/* No room for ".tmp". */
	assert_int_equal(env_file_replace(&fake->env, longest, LAB_VIEW("x"), false, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
}

static void replacing_writes_syncs_and_renames(void **state)
{
	struct fake *fake = *state;
	struct lab_arena *arena = lab_arena_new(fake->env.heap, 1000);
	struct lab_view data;
	struct lab_error err;

	assert_int_equal(env_file_replace(&fake->env, "/f", LAB_VIEW("one"), true, &err), 0);
	assert_string_equal(fake->log, "write sync close rename ");
	fake->log[0] = '\0';
	assert_int_equal(env_file_replace(&fake->env, "//f", LAB_VIEW("two"), false, &err), 0);
	assert_string_equal(fake->log, "write close rename ");
	assert_int_equal(env_file_load(&fake->env, "/f", 3, arena, &data, &err), 0);
	assert_true(lab_view_eq_cstr(data, "two"));
	assert_int_equal(env_file_load(&fake->env, "/f", 2, arena, &data, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(env_file_load(&fake->env, "/g", 2, arena, &data, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	find_file(fake, "/f")->data[0] = 'E';
	assert_int_equal(env_file_load(&fake->env, "/f", 3, arena, &data, &err), -1);
	assert_int_equal(err.code, LAB_IO);
	assert_non_null(strstr(err.message, "load /f"));
}

static void a_failed_replacement_leaves_the_old_file_alone(void **state)
{
	struct fake *fake = *state;
	struct lab_error err;
	static const uint8_t big[100];

	assert_int_equal(env_file_replace(&fake->env, "/f", LAB_VIEW("one"), true, &err), 0);
	for (int i = 0; i < 3; i++) {
		fake->fail_sync = i == 0 ? LAB_IO : LAB_OK;
		fake->fail_rename = i == 1 ? LAB_IO : LAB_OK;
		assert_int_equal(env_file_replace(&fake->env, "/f",
					 lab_view_of(big, i == 2 ? 100 : 5), true, &err),
			-1);
		assert_int_equal(err.code, i == 2 ? LAB_NO_SPACE : LAB_IO);
		assert_null(find_file(fake, "/f.tmp"));
		assert_memory_equal(find_file(fake, "/f")->data, "one", 3);
	}
}

static void handles_pass_calls_on(void **state)
{
	struct fake *fake = *state;
	struct env_file *file = NULL;
	char bytes[8];
	size_t n;

	assert_int_equal(env_file_open(&fake->env, "/h", ENV_OPEN_WRITE, &file, NULL), 0);
	assert_int_equal(env_file_write(file, 0, LAB_VIEW("hello"), NULL), 0);
	assert_int_equal(env_file_truncate(file, 4, NULL), 0);
	assert_int_equal(env_file_size(file), 4);
	assert_int_equal(env_file_read(file, 1, bytes, 8, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(env_file_sync(file, NULL), 0);
	env_file_close(&file);
	assert_null(file);
	env_file_close(&file);
	assert_string_equal(fake->log, "write sync close ");
}

/* ---- network ---- */

static void streams_and_exchanges_pass_calls_on(void **state)
{
	struct fake *fake = *state;
	struct env_stream *stream = NULL;
	struct lab_error err;
	char bytes[3];
	size_t n;

	assert_int_equal(env_connect(&fake->env, "x", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_int_equal(env_connect(&fake->env, "there", 9042, ENV_FOREVER, &stream, &err), 0);
	assert_int_equal(env_stream_read(stream, bytes, 3, ENV_FOREVER, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("abc"), &err), 0);
	env_stream_close(&stream);
	assert_null(stream);
	env_stream_close(&stream);
	assert_string_equal(fake->log, "closed ");

	/* The statistics are filled even if nobody asked for them. */
	assert_int_equal(env_http(&fake->env, NULL, NULL, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_true(fake->stats_given);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sleeping_adds_up_and_does_not_wrap),
		T(events_carry_their_fields),
		T(waiters_wake_in_the_order_they_came),
		T(a_waiter_that_timed_out_leaves_the_queue),
		T(every_waiter_may_time_out),
		T(a_semaphore_is_first_come_first_served),
		T(for_each_runs_so_many_at_a_time),
		T(for_each_does_with_fewer_fibers_if_there_are_no_more),
		T(paths_are_checked_and_cleaned),
		T(replacing_writes_syncs_and_renames),
		T(a_failed_replacement_leaves_the_old_file_alone),
		T(handles_pass_calls_on),
		T(streams_and_exchanges_pass_calls_on),
	};

	return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
