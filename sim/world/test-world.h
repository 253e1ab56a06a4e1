/* SPDX-License-Identifier: Apache-2.0
 *
 * test-world.h - what the world's tests share: a world of two zones, and two small services whose
 * answers a test can choose.
 */
#ifndef SIM_TEST_WORLD_H
#define SIM_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/world/world.h"

/* ---- a world ---- */

struct test_world {
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct world_host *b1, *b2, *lab;
	struct env *env; /* of b1 */
	struct lab_error err;
};

static inline struct world_settings test_settings(struct test_world *test)
{
	if (test->pool == NULL) {
		test->pool = lab_pool_new((size_t)1 << 32);
		test->fibers = lab_fiber_pool_new(64 << 10, 1000, NULL);
	}
	return (struct world_settings){ .seed = 1,
		.pool = test->pool,
		.fibers = test->fibers,
		.same_zone = { LAB_MSEC, LAB_MSEC },
		.other_zone = { 10 * LAB_MSEC, 10 * LAB_MSEC } };
}

static inline void test_make_world(struct test_world *test, const struct world_settings *settings)
{
	test->world = world_new(settings);
	test->b1 = world_host_new(
		test->world, &(struct world_host_settings){ .name = "b1", .zone = "az1" });
	test->b2 = world_host_new(
		test->world, &(struct world_host_settings){ .name = "b2", .zone = "az2" });
	test->lab = world_host_new(
		test->world, &(struct world_host_settings){ .name = "clients", .kind = WORLD_LAB });
	test->env = world_env(test->b1);
}

static inline int test_setup(void **state)
{
	struct test_world *test = test_calloc(1, sizeof(*test));
	struct world_settings settings = test_settings(test);

	test_make_world(test, &settings);
	*state = test;
	return 0;
}

static inline int test_teardown(void **state)
{
	struct test_world *test = *state;

	world_free(&test->world);
	assert_int_equal(lab_fiber_pool_alive(test->fibers), 0);
	lab_fiber_pool_free(&test->fibers);
	lab_pool_free(&test->pool);
	test_free(test);
	return 0;
}

static inline void test_run(struct test_world *test, uint64_t until_ns)
{
	if (world_run_until(test->world, until_ns, NULL, NULL, &test->err) != 0)
		fail_msg("%s", test->err.message);
}

/* Runs fn(test) as the first fiber of b1, until nothing is left to do. */
static inline void test_on_b1(struct test_world *test, env_fiber_fn fn)
{
	world_start(test->b1, fn, test);
	test_run(test, ENV_FOREVER);
}

static inline struct lab_arena *test_arena(struct test_world *test)
{
	return lab_arena_new(test->env->heap, 64 << 20);
}

/* ---- an HTTP service ---- */

#define FAKE_PENDING_MAX 4096

struct fake_http {
	enum sim_wire wire;
	unsigned status;
	uint64_t delay_ns; /* between request and reply */
	struct lab_view body;
	bool head;
	uint64_t bytes_per_s;
	size_t cut_at;
	/* What came. */
	unsigned submits;
	char target[64], body_seen[64], peer[32];
	uint64_t connections[64], last_submit_ns;
	unsigned hops;
	struct {
		uint64_t due_ns;
		sim_http_reply_fn reply;
		void *ctx;
	} pending[FAKE_PENDING_MAX];
	size_t pending_count;
};

static inline void fake_http_answer(struct fake_http *fake, sim_http_reply_fn reply, void *ctx)
{
	struct sim_http_reply answer = { .wire = fake->wire,
		.head = fake->head,
		.bytes_per_s = fake->bytes_per_s,
		.cut_at = fake->cut_at };

	answer.response.status = fake->status == 0 ? 200 : fake->status;
	answer.response.reason = LAB_VIEW("OK");
	answer.response.body = fake->body;
	(void)lab_http_header_add(&answer.response.headers, LAB_VIEW("x-fake"), LAB_VIEW("yes"));
	reply(ctx, &answer);
}

static inline void fake_http_submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct fake_http *fake = service;

	fake->last_submit_ns = now_ns;
	fake->hops = peer->hops;
	(void)lab_view_to_cstr(request->target, fake->target, sizeof(fake->target));
	(void)lab_view_to_cstr(request->body, fake->body_seen, sizeof(fake->body_seen));
	(void)lab_view_to_cstr(peer->name, fake->peer, sizeof(fake->peer));
	fake->connections[fake->submits++ % 64] = peer->connection;
	if (fake->delay_ns == 0) {
		fake_http_answer(fake, reply, reply_ctx);
		return;
	}
	assert_true(fake->pending_count < FAKE_PENDING_MAX);
	fake->pending[fake->pending_count].due_ns = now_ns + fake->delay_ns;
	fake->pending[fake->pending_count].reply = reply;
	fake->pending[fake->pending_count++].ctx = reply_ctx;
}

static inline void fake_http_advance(void *service, uint64_t now_ns)
{
	struct fake_http *fake = service;

	while (fake->pending_count > 0 && fake->pending[0].due_ns <= now_ns) {
		sim_http_reply_fn reply = fake->pending[0].reply;
		void *ctx = fake->pending[0].ctx;

		fake->pending_count--;
		memmove(&fake->pending[0], &fake->pending[1],
			fake->pending_count * sizeof(fake->pending[0]));
		fake_http_answer(fake, reply, ctx);
	}
}

static inline uint64_t fake_http_next_deadline(void *service)
{
	struct fake_http *fake = service;

	return fake->pending_count == 0 ? UINT64_MAX : fake->pending[0].due_ns;
}

static const struct sim_http_ops fake_http_ops = {
	.submit = fake_http_submit,
	.advance = fake_http_advance,
	.next_deadline = fake_http_next_deadline,
};

#endif
