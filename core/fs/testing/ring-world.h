/* SPDX-License-Identifier: Apache-2.0
 *
 * ring-world.h - for test-*.c: a fake world whose HTTP peer is a Scality emulator, with a fault at
 * will, and the steps that tests take in it. Include it behind cmocka.h.
 */
#ifndef LAB_FS_TESTING_RING_WORLD_H
#define LAB_FS_TESTING_RING_WORLD_H

#include "core/fs/fs-api-private.h"
#include "core/fs/fs-shared.h"
#include "core/http/testing/fake-world.h"
#include "sim/scality-emulator/scality-emulator.h"

#include <stdio.h>

struct ring_world {
	struct fake_world *world;
	struct lab_pool *pool;
	struct scalemu *ring;
	struct scalemu_options options;
	struct fs_services services;
	struct fs_settings settings;
	struct fs *fs;
	const char *uri;
	/* From the n-th request on, so many times; `point` NULL: all. */
	struct sim_fault fault;
	const char *point;
	unsigned skip, times, fired;
	char operations[64][16];
	size_t operation_count;
	void (*step)(struct ring_world *w);
	struct lab_error err;
	int result;
};

static inline struct sim_fault ring_fault(void *ctx, const struct sim_fault_query *query)
{
	struct ring_world *w = ctx;
	struct sim_fault none = { .kind = SIM_FAULT_NONE };

	if (w->times == 0 || (w->point != NULL && strcmp(w->point, query->point) != 0))
		return none;
	if (w->skip > 0) {
		w->skip--;
		return none;
	}
	w->times--;
	w->fired++;
	return w->fault;
}

static inline void ring_access(void *ctx, const struct sim_access *access)
{
	struct ring_world *w = ctx;

	if (w->operation_count < LAB_COUNT_OF(w->operations))
		(void)snprintf(w->operations[w->operation_count++], 16, "%.*s",
			LAB_VIEW_ARG(access->operation));
}

struct ring_answer {
	struct fake_world *world;
	struct fake_reply *reply;
};

static inline void ring_on_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct ring_answer *answer = ctx;
	struct lab_arena *arena = answer->world->arena;
	char *headers = lab_arena_printf(arena, "Content-Length: %zu\n", reply->response.body.len);

	if (reply->wire != SIM_WIRE_ANSWER) {
		*answer->reply = (struct fake_reply){ .failure = LAB_UNCERTAIN,
			.delay_ns = reply->wire == SIM_WIRE_SILENCE ? 10 * LAB_SEC : 0 };
		return;
	}
	for (size_t i = 0; i < reply->response.headers.count; i++)
		headers = lab_arena_printf(arena, "%s%.*s: %.*s\n", headers,
			LAB_VIEW_ARG(reply->response.headers.items[i].name),
			LAB_VIEW_ARG(reply->response.headers.items[i].value));
	*answer->reply = (struct fake_reply){ .status = reply->response.status,
		.headers = headers,
		.body = reply->head ? LAB_VIEW("") : lab_arena_copy(arena, reply->response.body) };
}

static inline void ring_handle(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	struct ring_world *w = world->handler_ctx;
	struct sim_http_service service = scalemu_service(w->ring);
	struct sim_peer peer = { .name = LAB_VIEW("backend-1") };
	struct ring_answer answer = { world, ret };

	service.ops->submit(service.service, request, &peer, world->now_ns, ring_on_reply, &answer);
}

/* `options` and `uri` may still be changed by the test, before the first ring_run(). */
static inline void ring_world_init(struct ring_world *w, enum scalemu_protocol protocol)
{
	memset(w, 0, sizeof(*w));
	w->world = fake_world_new();
	w->pool = lab_pool_new((size_t)8 << 30);
	scalemu_options_init(&w->options, protocol);
	w->options.hooks.ctx = w;
	w->options.hooks.fault = ring_fault;
	w->options.hooks.access = ring_access;
	w->world->handler = ring_handle;
	w->world->handler_ctx = w;
	w->settings = (struct fs_settings){ .env = &w->world->env,
		.username = "user@example.com",
		.session_id = "session1",
		.max_parallel_deletes = 100,
		.services = &w->services };
}

static inline void ring_step(void *ctx)
{
	struct ring_world *w = ctx;

	if (w->fs == NULL && fs_init(lab_view_cstr(w->uri), &w->settings, &w->fs, &w->err) < 0) {
		w->result = -1;
		return;
	}
	w->step(w);
}

static inline void ring_run(struct ring_world *w, void (*step)(struct ring_world *w))
{
	struct lab_error err;

	if (w->ring == NULL && scalemu_new(w->pool, &w->options, &w->ring, &err) < 0)
		lab_bug("a test's emulator is refused");
	w->step = step;
	w->result = 0;
	memset(&w->err, 0, sizeof(w->err));
	fake_run(w->world, ring_step, w);
}

static inline void ring_world_done(struct ring_world *w)
{
	fs_deinit(&w->fs);
	scalemu_free(&w->ring);
	fake_world_free(&w->world);
	lab_pool_free(&w->pool);
}

static inline int ring_put(
	struct ring_world *w, const char *path, enum fs_open_mode mode, const char *contents)
{
	struct fs_file *file = fs_file_open(w->fs, lab_view_cstr(path), mode);
	int result;

	fs_set_metadata(file, "guid", LAB_VIEW("abc"));
	fs_set_metadata(file, FS_METADATA_ORIG_PATH,
		LAB_VIEW("user@example.com/mailboxes/00000000000000000000000000000001/"
			 "00000000000000000000000000000002"));
	result = fs_write(file, lab_view_cstr(contents), &w->err);
	fs_file_close(&file);
	return result;
}

/* The contents, or ptr NULL; with the metadata "guid". */
static inline struct lab_view ring_get(struct ring_world *w, const char *path)
{
	struct fs_file *file = fs_file_open(w->fs, lab_view_cstr(path), FS_OPEN_READONLY);
	struct lab_view contents = { NULL, 0 }, guid;

	w->result = fs_read(file, w->world->arena, 1 << 20, &contents, &w->err);
	if (w->result == 0)
		assert_int_equal(fs_get_metadata(file, "guid", w->world->arena, &guid, &w->err), 1);
	fs_file_close(&file);
	return contents;
}

static inline int ring_delete(struct ring_world *w, const char *path)
{
	struct fs_file *file = fs_file_open(w->fs, lab_view_cstr(path), FS_OPEN_READONLY);
	int result = fs_delete(file, &w->err);

	fs_file_close(&file);
	return result;
}

static inline bool ring_was(const struct ring_world *w, const char *const *operations)
{
	size_t count = 0;

	while (operations[count] != NULL)
		count++;
	if (count != w->operation_count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(operations[i], w->operations[i]) != 0)
			return false;
	}
	return true;
}
#define RING_WAS(w, ...) ring_was((w), (const char *const[]){ __VA_ARGS__, NULL })

#endif
