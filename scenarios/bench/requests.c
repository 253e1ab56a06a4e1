/* SPDX-License-Identifier: Apache-2.0
 *
 * requests.c - signed S3 requests and EXECUTE frames, made once and sent many times.
 */
#include "scenarios/bench/emulators.h"

#include "core/aws/sigv4.h"
#include "core/cql/cql-codec.h"

#include <stdio.h>

#define WIRE_MAX ((size_t)80 << 10)
#define ROWS_IN_PARTITION 32

/* ---- S3 ---- */

static struct lab_view object_body(struct emulators *e, size_t number)
{
	uint8_t *bytes = lab_arena_alloc(e->arena, BENCH_OBJECT_BYTES);

	for (size_t i = 0; i < BENCH_OBJECT_BYTES; i++)
		bytes[i] = (uint8_t)(lab_draw(1, "bench.object", number, i / 8) >> (8 * (i % 8)));
	return lab_view_of(bytes, BENCH_OBJECT_BYTES);
}

int bench_s3_request(struct emulators *e, const char *method, size_t number,
	struct lab_http_request *ret, struct lab_error *err)
{
	struct sigv4_signer signer = { .credentials = &bench_credentials,
		.region = LAB_VIEW(BENCH_S3_REGION),
		.service = LAB_VIEW("s3"),
		.now_unix = e->start_unix,
		.heap = e->heap };

	ret->method = lab_view_cstr(method);
	ret->authority = LAB_VIEW(BENCH_S3_AUTHORITY);
	ret->target = lab_view_cstr(lab_arena_printf(
		e->arena, "/user%zu@example.com/mails/%032zx", number % 50, number));
	ret->headers.count = 0;
	ret->body = strcmp(method, "PUT") == 0 ? object_body(e, number) : LAB_VIEW("");
	return sigv4_sign_headers(ret, &signer, e->arena, err);
}

int bench_s3_requests(struct emulators *e, const char *method, struct lab_http_request **ret,
	struct lab_error *err)
{
	struct lab_http_request *requests =
		lab_arena_array(e->arena, struct lab_http_request, BENCH_OBJECTS);

	for (size_t i = 0; i < BENCH_OBJECTS; i++) {
		if (bench_s3_request(e, method, i, &requests[i], err) < 0)
			return -1;
	}
	*ret = requests;
	return 0;
}

struct lab_view bench_http_wire(struct emulators *e, const struct lab_http_request *request)
{
	struct lab_view result;
	struct lab_buf out;

	lab_buf_init(&out, e->heap, WIRE_MAX);
	lab_buf_printf(&out, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", LAB_VIEW_ARG(request->method),
		LAB_VIEW_ARG(request->target), LAB_VIEW_ARG(request->authority));
	for (size_t i = 0; i < request->headers.count; i++)
		lab_buf_printf(&out, "%.*s: %.*s\r\n", LAB_VIEW_ARG(request->headers.items[i].name),
			LAB_VIEW_ARG(request->headers.items[i].value));
	if (request->body.len > 0)
		lab_buf_printf(&out, "Content-Length: %zu\r\n", request->body.len);
	lab_buf_append_cstr(&out, "\r\n");
	lab_buf_append_view(&out, request->body);
	lab_assert(!out.overflow);
	result = lab_arena_copy(e->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return result;
}

static void keep_status(void *ctx, const struct sim_http_reply *reply)
{
	*(unsigned *)ctx = reply->response.status;
}

int bench_submit(const struct sim_http_service *service, const struct lab_http_request *request,
	struct lab_error *err)
{
	static const struct sim_peer peer = { .name = { (const uint8_t *)"bench", 5 }, .hops = 1 };
	unsigned status = 0;

	service->ops->submit(service->service, request, &peer, 0, keep_status, &status);
	if (status / 100 == 2)
		return 0;
	return lab_fail(err, LAB_CORRUPT, "%.*s %.*s answered %u", LAB_VIEW_ARG(request->method),
		LAB_VIEW_ARG(request->target), status);
}

int bench_s3_fill(struct emulators *e, struct lab_error *err)
{
	struct sim_http_service service = s3emu_service(e->s3);
	struct lab_http_request *puts;

	if (bench_s3_requests(e, "PUT", &puts, err) < 0)
		return -1;
	for (size_t i = 0; i < BENCH_OBJECTS; i++) {
		if (bench_submit(&service, &puts[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- CQL ---- */

static struct lab_view encode(struct emulators *e, const struct cql_request *request)
{
	struct lab_view result;
	struct lab_buf out;

	lab_buf_init(&out, e->heap, WIRE_MAX);
	cql_request_encode(&out, CQL_VERSION, 0, request);
	lab_assert(!out.overflow);
	result = lab_arena_copy(e->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return result;
}

struct lab_view bench_cql_startup(struct emulators *e)
{
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request request = { .opcode = CQL_STARTUP, .options = { &version, 1 } };

	return encode(e, &request);
}

static int prepare(struct emulators *e, const char *query, bench_cql_ask_fn ask, void *ctx,
	struct lab_view *ret_id, struct lab_error *err)
{
	struct cql_request request = { .opcode = CQL_PREPARE, .query = lab_view_cstr(query) };
	struct cql_response response;
	struct cql_frame frame;
	struct lab_view answer;
	size_t used;

	if (ask(ctx, encode(e, &request), &answer, err) < 0 ||
		cql_frame_next(answer, WIRE_MAX, &frame, &used, err) != 1 ||
		cql_response_decode(&frame, e->arena, &response, err) < 0)
		return -1;
	if (response.opcode != CQL_RESULT || response.kind != CQL_RESULT_PREPARED)
		return lab_fail(err, LAB_CORRUPT, "PREPARE is not answered with an id");
	*ret_id = lab_arena_copy(e->arena, response.prepared.id);
	return 0;
}

static struct lab_view row_bytes(struct emulators *e, size_t number, size_t len)
{
	uint8_t *bytes = lab_arena_alloc(e->arena, len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(lab_draw(1, "bench.row", number, i / 8) >> (8 * (i % 8)));
	return lab_view_of(bytes, len);
}

/* u, g, b, n and, for INSERT, i. */
static struct lab_view execute(
	struct emulators *e, struct lab_view id, struct lab_view user, size_t row, bool is_insert)
{
	size_t partition = row / ROWS_IN_PARTITION;
	struct cql_bind values[5] = {
		{ .bytes = user },
		{ .bytes = row_bytes(e, partition, 16) },
		{ .bytes = cql_value_int(e->arena, 0) },
		{ .bytes = row_bytes(e, row, 16) },
		{ .bytes = row_bytes(e, row, 40) },
	};
	struct cql_request request = { .opcode = CQL_EXECUTE,
		.query = id,
		.params = { .consistency = CQL_LOCAL_QUORUM,
			.flags = CQL_PARAM_VALUES |
				 (is_insert ? CQL_PARAM_TIMESTAMP : CQL_PARAM_SKIP_METADATA),
			.values = values,
			.value_count = is_insert ? 5 : 4,
			.timestamp_us = e->start_unix * 1000000 } };

	return encode(e, &request);
}

static int prepare_insert(struct emulators *e, bench_cql_ask_fn ask, void *ctx,
	struct lab_view *ret, struct lab_error *err)
{
	const char *query = lab_arena_printf(e->arena,
		"INSERT INTO %s.user_mailbox_objects (u,g,b,n,i) VALUES (?,?,?,?,?)",
		e->cql_keyspace);

	return prepare(e, query, ask, ctx, ret, err);
}

int bench_cql_insert(struct emulators *e, bench_cql_ask_fn ask, void *ctx, struct lab_view user,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view insert;

	if (prepare_insert(e, ask, ctx, &insert, err) < 0)
		return -1;
	*ret = execute(e, insert, user, 0, true);
	return 0;
}

int bench_cql_frames(struct emulators *e, bench_cql_ask_fn ask, void *ctx, struct lab_view **ret,
	struct lab_error *err)
{
	struct lab_view *frames = lab_arena_array(e->arena, struct lab_view, BENCH_CQL_FRAMES);
	struct lab_view insert, select;

	if (prepare_insert(e, ask, ctx, &insert, err) < 0 ||
		prepare(e,
			lab_arena_printf(e->arena,
				"SELECT i FROM %s.user_mailbox_objects WHERE u=? AND g=? AND b=? "
				"AND n=?",
				e->cql_keyspace),
			ask, ctx, &select, err) < 0)
		return -1;
	for (size_t i = 0; i < BENCH_CQL_FRAMES; i++) {
		bool is_insert = i % 2 == 0;

		frames[i] = execute(e, is_insert ? insert : select,
			lab_view_cstr(lab_arena_printf(
				e->arena, "user%zu@example.com", i / 2 / ROWS_IN_PARTITION)),
			i / 2, is_insert);
	}
	*ret = frames;
	return 0;
}
