/* SPDX-License-Identifier: Apache-2.0
 *
 * Bugs that lib-http has had under load and in retries, tried on this client
 * (scenarios/CATALOGUE.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/http/http-client.h"
#include "core/http/testing/fake-world.h"

#define CROWD 60

struct asker {
	struct fake_world *world;
	struct http_client *client;
	unsigned attempts;
	int result;
	struct lab_error err;
};

static struct asker askers[CROWD];

static void ask(void *ctx, size_t i)
{
	struct asker *asker = (struct asker *)ctx + i;
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW("bucket.s3.example.com"),
		.target = lab_view_cstr(lab_arena_printf(asker->world->arena, "/%zu", i)) };
	struct http_call call = {
		.action = HTTP_READ, .request = &request, .response_max_bytes = 1024
	};
	struct lab_http_response response;

	asker->result = http_client_request(
		asker->client, &call, asker->world->arena, &response, &asker->err);
}

static void ask_all(void *ctx)
{
	(void)ctx;
	env_for_each(&askers[0].world->env, CROWD, CROWD, ask, askers);
}

static void new_crowd(struct fake_world *world, unsigned connections)
{
	struct http_policy policy;
	struct http_client *client;

	http_policy_init(&policy);
	policy.max_parallel_connections = connections;
	assert_int_equal(http_client_new(&world->env, &policy, &client, NULL), 0);
	for (size_t i = 0; i < CROWD; i++)
		askers[i] = (struct asker){ .world = world, .client = client };
}

static struct asker *asker_of(const struct lab_http_request *request)
{
	uint64_t i;

	assert_int_equal(lab_view_to_u64(lab_view_skip(request->target, 1), &i), 0);
	return &askers[i];
}

/* ---- connects that are refused under load (C-27, C-32) ---- */

/* The i-th is refused i % 4 times, of which three are one too many. */
static void refuse_some(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	struct asker *asker = asker_of(request);
	bool refuses = asker->attempts++ < (unsigned)(asker - askers) % 4;

	(void)world;
	*ret = refuses ? (struct fake_reply){ .failure = LAB_REFUSED }
		       : (struct fake_reply){ .status = 200, .delay_ns = 50 * LAB_MSEC };
}

static void refused_connects_fail_nobody_but_those_who_were_refused_thrice(void **state)
{
	struct fake_world *world = fake_world_new();

	(void)state;
	new_crowd(world, 4);
	world->handler = refuse_some;
	fake_run(world, ask_all, NULL);
	assert_in_range(world->in_flight_max, 3, 4);
	for (size_t i = 0; i < CROWD; i++) {
		bool is_lost = i % 4 == 3;

		assert_int_equal(askers[i].attempts, is_lost ? 3 : i % 4 + 1);
		assert_int_equal(askers[i].result, is_lost ? -1 : 0);
		if (is_lost)
			assert_int_equal(askers[i].err.code, LAB_REFUSED);
	}
	http_client_free(&askers[0].client);
	fake_world_free(&world);
}

/* ---- more requests than places, each of which fails at first (C-32) ---- */

static void fail_at_first(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	(void)world;
	*ret = (struct fake_reply){ .delay_ns = 50 * LAB_MSEC };
	ret->status = asker_of(request)->attempts++ == 0 ? 500 : 200;
}

/* Whoever waits for its retry holds no place: sixty waits of 50 ms are not one behind the other. */
static void a_crowd_in_front_of_one_connection_comes_through(void **state)
{
	struct fake_world *world = fake_world_new();

	(void)state;
	new_crowd(world, 1);
	world->handler = fail_at_first;
	fake_run(world, ask_all, NULL);
	assert_int_equal(world->in_flight_max, 1);
	for (size_t i = 0; i < CROWD; i++) {
		assert_int_equal(askers[i].result, 0);
		assert_int_equal(askers[i].attempts, 2);
	}
	assert_true(world->now_ns < (2 * CROWD + 2) * 50 * LAB_MSEC);
	http_client_free(&askers[0].client);
	fake_world_free(&world);
}

/* ---- the body of a retry (C-24, C-26) ---- */

#define BODY_BYTES 100000

static void put_body(void *ctx)
{
	struct asker *asker = ctx;
	uint8_t *body = lab_arena_alloc(asker->world->arena, BODY_BYTES);
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("bucket.s3.example.com"),
		.target = LAB_VIEW("/0"),
		.body = { body, BODY_BYTES } };
	struct http_call call = {
		.action = HTTP_WRITE, .request = &request, .response_max_bytes = 1024
	};
	struct lab_http_response response;

	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (uint8_t)(i % 251);
	asker->result = http_client_request(
		asker->client, &call, asker->world->arena, &response, &asker->err);
}

static bool is_whole(struct lab_view body)
{
	for (size_t i = 0; i < body.len; i++) {
		if (body.ptr[i] != i % 251)
			return false;
	}
	return body.len == BODY_BYTES;
}

static void every_attempt_has_the_whole_body(void **state)
{
	struct fake_world *world = fake_world_new();

	(void)state;
	new_crowd(world, 1);
	fake_fail(world, LAB_UNCERTAIN, 10 * LAB_MSEC);
	fake_status(world, 503);
	fake_fail(world, LAB_UNCERTAIN, 0);
	fake_status(world, 500);
	fake_status(world, 200);
	fake_run(world, put_body, askers);
	assert_int_equal(askers[0].result, 0);
	assert_int_equal(world->request_count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_true(is_whole(world->requests[i].request.body));
		assert_int_equal(world->requests[i].request.headers.count,
			world->requests[0].request.headers.count);
	}
	http_client_free(&askers[0].client);
	fake_world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_connects_fail_nobody_but_those_who_were_refused_thrice),
		cmocka_unit_test(a_crowd_in_front_of_one_connection_comes_through),
		cmocka_unit_test(every_attempt_has_the_whole_body),
	};

	return cmocka_run_group_tests_name("http-hazards", tests, NULL, NULL);
}
