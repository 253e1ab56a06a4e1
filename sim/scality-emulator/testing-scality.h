/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-scality.h - for test-*.c only: an emulator, what it answered and what it logged.
 */
#ifndef LAB_TESTING_SCALITY_H
#define LAB_TESTING_SCALITY_H

#include "core/base/testing.h"
#include "sim/scality-emulator/scality-emulator.h"

#include <stdio.h>

static struct t {
	struct scalemu_options options;
	struct scalemu *ring;
	struct lab_arena *arena;
	uint64_t now;
	struct lab_http_headers headers; /* the next request's */
	struct sim_http_reply reply;
	size_t replies, asked, lines;
	struct sim_fault fault;
	char point[32], operation[24], subject[128];
	bool applied, answered;
	unsigned logged_status;
	size_t key_count;
} t;

static inline void t_on_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	t.reply = *reply;
	lab_http_response_copy(t.arena, &reply->response, &t.reply.response);
	t.replies++;
}

static inline struct sim_fault t_on_fault(void *ctx, const struct sim_fault_query *query)
{
	(void)ctx;
	t.asked++;
	(void)snprintf(t.point, sizeof(t.point), "%s", query->point);
	return t.fault;
}

static inline void t_on_access(void *ctx, const struct sim_access *access)
{
	(void)ctx;
	t.lines++;
	(void)snprintf(t.operation, sizeof(t.operation), "%.*s", LAB_VIEW_ARG(access->operation));
	(void)snprintf(t.subject, sizeof(t.subject), "%.*s", LAB_VIEW_ARG(access->subject));
	t.applied = access->applied;
	t.answered = access->answered;
	t.logged_status = access->status;
	t.key_count = access->key_count;
}

static inline void t_init(enum scalemu_protocol protocol)
{
	memset(&t, 0, sizeof(t));
	scalemu_options_init(&t.options, protocol);
	t.options.hooks.fault = t_on_fault;
	t.options.hooks.access = t_on_access;
	t.arena = lab_arena_new(testing_heap, 1 << 26);
}

static inline void t_done(void)
{
	scalemu_free(&t.ring);
	lab_arena_free(&t.arena);
}

static inline void t_header(const char *name, const char *value)
{
	assert_int_equal(
		lab_http_header_add(&t.headers, lab_view_cstr(name), lab_view_cstr(value)), 0);
}

/* The status; 0 if there is no answer yet. */
static inline unsigned t_ask(const char *method, const char *target, const char *body)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.target = lab_view_cstr(target),
		.headers = t.headers,
		.body = lab_view_cstr(body) };
	struct sim_peer peer = { .name = LAB_VIEW("backend-1") };
	size_t before = t.replies, lines = t.lines;
	struct sim_http_service service;
	struct lab_error err;

	if (t.ring == NULL)
		assert_int_equal(scalemu_new(testing_pool, &t.options, &t.ring, &err), 0);
	service = scalemu_service(t.ring);
	service.ops->submit(service.service, &request, &peer, t.now, t_on_reply, NULL);
	t.headers.count = 0;
	assert_int_equal(t.lines, lines + 1);
	return t.replies == before ? 0 : t.reply.response.status;
}

static inline bool t_body_has(const char *text)
{
	return lab_view_find(t.reply.response.body, lab_view_cstr(text)) != SIZE_MAX;
}

#endif
