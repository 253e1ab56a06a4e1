/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-s3.h - for test-*.c only: an emulator, a client that signs with core/aws (an
 * implementation of its own, so that each proves the other), and what was answered and logged.
 */
#ifndef LAB_TESTING_S3_H
#define LAB_TESTING_S3_H

#include "core/aws/sigv2.h"
#include "core/aws/sigv4.h"
#include "core/base/testing.h"
#include "sim/s3-emulator/s3-emulator.h"
#ifdef TESTING_S3_SQLITE
/* sim/s3-sqlite builds all tests a second time. */
#include "sim/s3-sqlite/s3-sqlite.h"
static struct s3sqlite *testing_s3_engine;
static struct s3sqlite_settings testing_s3_settings = { .path = ":memory:" };
#define T_STORES_IN_MEMORY 0
#else
#define T_STORES_IN_MEMORY 1
#endif

#define T_KEY "AKIAIOSFODNN7EXAMPLE"
#define T_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define T_EPOCH INT64_C(1767225600) /* 2026-01-01 */
#define T_HOST "s3.amazonaws.com"
#define T_BUCKET "mail"

enum t_sign {
	T_V4,
	T_V2,
	T_UNSIGNED
};

struct t_access {
	char operation[24], subject[80], user[32];
	unsigned status;
	bool applied, answered;
	uint32_t fault_id;
	size_t key_count;
	uint64_t bytes, body_hash, received_ns, answered_ns;
};

static struct t {
	struct s3emu_options options;
	struct s3emu *s3;
	struct sim_http_service service;
	struct lab_arena *arena;
	uint64_t now;
	int64_t client_skew; /* seconds */
	enum t_sign sign;
	struct aws_credentials credentials;
	const char *region;
	/* the next request's */
	struct lab_http_headers headers;
	/* the last answer */
	struct sim_http_reply reply;
	size_t replies;
	/* injected into every request at `fault_point` (NULL: everywhere) */
	struct sim_fault fault;
	const char *fault_point;
	char asked_point[32], asked_subject[80];
	struct t_access log[64];
	size_t log_count;
} t;

static inline void t_on_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	t.reply.wire = reply->wire;
	t.reply.head = reply->head;
	t.reply.cut_at = reply->cut_at;
	t.reply.bytes_per_s = reply->bytes_per_s;
	lab_http_response_copy(t.arena, &reply->response, &t.reply.response);
	t.replies++;
}

static inline struct sim_fault t_on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct sim_fault none = { .kind = SIM_FAULT_NONE };

	(void)ctx;
	(void)snprintf(t.asked_point, sizeof(t.asked_point), "%s", query->point);
	(void)snprintf(
		t.asked_subject, sizeof(t.asked_subject), "%.*s", LAB_VIEW_ARG(query->subject));
	if (t.fault_point != NULL && strcmp(t.fault_point, query->point) != 0)
		return none;
	return t.fault;
}

static inline void t_on_access(void *ctx, const struct sim_access *access)
{
	struct t_access *line = &t.log[t.log_count++ % LAB_COUNT_OF(t.log)];

	(void)ctx;
	(void)snprintf(
		line->operation, sizeof(line->operation), "%.*s", LAB_VIEW_ARG(access->operation));
	(void)snprintf(line->subject, sizeof(line->subject), "%.*s", LAB_VIEW_ARG(access->subject));
	(void)snprintf(line->user, sizeof(line->user), "%.*s", LAB_VIEW_ARG(access->user));
	line->status = access->status;
	line->applied = access->applied;
	line->answered = access->answered;
	line->fault_id = access->fault_id;
	line->key_count = access->key_count;
	line->bytes = access->bytes;
	line->body_hash = access->body_hash;
	line->received_ns = access->received_ns;
	line->answered_ns = access->answered_ns;
}

static inline const struct t_access *t_logged(void)
{
	assert_true(t.log_count > 0);
	return &t.log[(t.log_count - 1) % LAB_COUNT_OF(t.log)];
}

static inline void t_bucket(const char *name)
{
	struct s3emu_bucket_options bucket = { .name = lab_view_cstr(name) };
	struct lab_error err;

	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), 0);
}

static inline void t_credentials(
	const char *id, const char *account, const char *token, int64_t expires)
{
	struct sim_credentials credentials = {
		.account = lab_view_cstr(account),
		.access_key_id = lab_view_cstr(id),
		.secret_access_key = LAB_VIEW(T_SECRET),
		.token = lab_view_cstr(token),
		.expires_unix = expires,
	};
	struct lab_error err;

	assert_int_equal(s3emu_credentials_add(t.s3, &credentials, &err), 0);
}

static inline void t_stop(void)
{
	s3emu_free(&t.s3);
#ifdef TESTING_S3_SQLITE
	s3sqlite_close(&testing_s3_engine);
#endif
}

/* Makes the emulator from t.options, with the bucket and a key. */
static inline void t_start(void)
{
	struct lab_error err;

	t_stop();
#ifdef TESTING_S3_SQLITE
	if (s3sqlite_open(testing_heap, &testing_s3_settings, &testing_s3_engine, &err) < 0)
		fail_msg("%s", err.message);
	t.options.engine_ops = &s3sqlite_ops;
	t.options.engine = testing_s3_engine;
#endif
	assert_int_equal(s3emu_new(testing_pool, &t.options, &t.s3, &err), 0);
	t.service = s3emu_service(t.s3);
	t_bucket(T_BUCKET);
	t_credentials(T_KEY, "111111111111", NULL, 0);
}

static inline int t_setup(void **state)
{
	(void)testing_setup(state);
	memset(&t, 0, sizeof(t));
	t.arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	t.credentials.access_key_id = LAB_VIEW(T_KEY);
	t.credentials.secret_access_key = LAB_VIEW(T_SECRET);
	t.region = "us-east-1";
	s3emu_options_init(&t.options);
	t.options.seed = 7;
	t.options.limits.stored_bytes_max = (uint64_t)1 << 28;
	t.options.limits.object_bytes_max = (uint64_t)1 << 26;
	t.options.hooks.fault = t_on_fault;
	t.options.hooks.access = t_on_access;
	t_start();
	return 0;
}

static inline int t_teardown(void **state)
{
	t_stop();
	return testing_teardown(state);
}

#define t_test(function) cmocka_unit_test_setup_teardown(function, t_setup, t_teardown)

/* A header of the next request. */
static inline void t_header(const char *name, const char *value)
{
	assert_int_equal(
		lab_http_header_add(&t.headers, lab_view_cstr(name), lab_view_cstr(value)), 0);
}

static inline void t_content_md5(struct lab_view body)
{
	struct lab_buf buf;
	uint8_t md5[16];

	lab_digest(LAB_MD5, body, md5);
	lab_buf_init(&buf, testing_heap, 64);
	lab_buf_append_base64(&buf, lab_view_of(md5, 16));
	t_header("Content-MD5", lab_arena_cstr(t.arena, lab_buf_view(&buf)));
	lab_buf_done(&buf);
}

static inline struct lab_view t_host_bucket(struct lab_view authority)
{
	size_t at = lab_view_find(authority, LAB_VIEW("." T_HOST));

	return at == SIZE_MAX ? lab_view_of(NULL, 0) : lab_view_sub(authority, 0, at);
}

static inline void t_sign_request(struct lab_http_request *request)
{
	int64_t now = T_EPOCH + (int64_t)(t.now / LAB_SEC) + t.client_skew;
	struct sigv4_signer signer = { .credentials = &t.credentials,
		.region = lab_view_cstr(t.region),
		.service = LAB_VIEW("s3"),
		.now_unix = now,
		.heap = testing_heap };
	struct lab_error err;

	if (t.sign == T_UNSIGNED)
		return;
	if (t.credentials.token.ptr != NULL)
		(void)lab_http_header_add(
			&request->headers, LAB_VIEW("x-amz-security-token"), t.credentials.token);
	if (t.sign == T_V4)
		assert_int_equal(sigv4_sign_headers(request, &signer, t.arena, &err), 0);
	else
		assert_int_equal(sigv2_sign_headers(request, t_host_bucket(request->authority),
					 &t.credentials, now, testing_heap, t.arena, &err),
			0);
}

static inline void t_submit(const struct lab_http_request *request, const char *peer_name)
{
	struct sim_peer peer = { .name = lab_view_cstr(peer_name), .zone = LAB_VIEW("a") };

	t.service.ops->submit(t.service.service, request, &peer, t.now, t_on_reply, NULL);
}

/* Sends it; the status, or 0 if no answer has come (yet). Forgets t.headers. */
static inline unsigned t_send_to(
	const char *host, const char *method, const char *target, struct lab_view body)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = lab_view_cstr(host),
		.target = lab_view_cstr(target),
		.headers = t.headers,
		.body = body };
	size_t before = t.replies;

	t_sign_request(&request);
	t.headers.count = 0;
	t_submit(&request, "backend-1");
	assert_true(t.replies <= before + 1);
	return t.replies == before ? 0 : t.reply.response.status;
}

static inline unsigned t_send(const char *method, const char *target, struct lab_view body)
{
	return t_send_to(T_HOST, method, target, body);
}

static inline unsigned t_get(const char *target)
{
	return t_send("GET", target, lab_view_of(NULL, 0));
}

static inline unsigned t_put(const char *target, const char *body)
{
	return t_send("PUT", target, lab_view_cstr(body));
}

static inline unsigned t_delete(const char *target)
{
	return t_send("DELETE", target, lab_view_of(NULL, 0));
}

static inline void t_advance(uint64_t ns)
{
	t.now += ns;
	t.service.ops->advance(t.service.service, t.now);
}

static inline bool t_stored(const char *key)
{
	struct s3emu_object_info info;

	return s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), lab_view_cstr(key), &info) == 1;
}

static inline const char *t_reply_header(const char *name)
{
	struct lab_view value = lab_http_header_get(&t.reply.response.headers, name);

	return value.ptr == NULL ? NULL : lab_arena_cstr(t.arena, value);
}

static inline bool t_body_has(const char *text)
{
	return lab_view_find(t.reply.response.body, lab_view_cstr(text)) != SIZE_MAX;
}

static inline bool t_body_is(const char *text)
{
	return lab_view_eq_cstr(t.reply.response.body, text);
}

/* The text of the first element of that name; "" if there is none. */
static inline const char *t_xml(const char *name)
{
	const char *open = lab_arena_printf(t.arena, "<%s>", name);
	const char *close = lab_arena_printf(t.arena, "</%s>", name);
	struct lab_view body = t.reply.response.body;
	size_t at = lab_view_find(body, lab_view_cstr(open)), end;

	if (at == SIZE_MAX)
		return "";
	body = lab_view_skip(body, at + strlen(open));
	end = lab_view_find(body, lab_view_cstr(close));
	return end == SIZE_MAX ? "" : lab_arena_cstr(t.arena, lab_view_sub(body, 0, end));
}

#define assert_code(expected_status, status, code) \
	do { \
		assert_int_equal((expected_status), (status)); \
		assert_string_equal(t_xml("Code"), (code)); \
	} while (0)

#endif
