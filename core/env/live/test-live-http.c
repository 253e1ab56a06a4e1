/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-server.h"

#define BUCKET "bucket.s3.eu-central-1.amazonaws.com"

struct exchange {
	struct lab_http_request request;
	struct env_http_limits limits;
	struct lab_arena *arena;
	struct lab_http_response response;
	struct env_http_stats stats;
	struct lab_error err;
	int result;
};

static struct server the_server;

static void exchange_init(
	struct bed *bed, struct exchange *exchange, const char *method, const char *target)
{
	memset(exchange, 0, sizeof(*exchange));
	exchange->request.method = lab_view_cstr(method);
	exchange->request.tls = true;
	exchange->request.authority = LAB_VIEW(BUCKET);
	exchange->request.target = lab_view_cstr(target);
	exchange->limits = (struct env_http_limits){ .connect_timeout_ns = 5 * LAB_SEC,
		.response_timeout_ns = 5 * LAB_SEC,
		.response_max_bytes = 4 << 20 };
	exchange->arena = lab_arena_new(bed->env->heap, 16 << 20);
}

static void exchange_run(struct bed *bed, struct exchange *exchange)
{
	exchange->err = (struct lab_error){ 0 };
	exchange->result = env_http(bed->env, &exchange->request, &exchange->limits,
		exchange->arena, &exchange->response, &exchange->stats, &exchange->err);
}

static void exchange_do(struct bed *bed, struct exchange *exchange, const char *target)
{
	exchange_init(bed, exchange, "GET", target);
	exchange_run(bed, exchange);
}

static void assert_uncertain(const struct exchange *exchange)
{
	assert_int_equal(exchange->result, -1);
	assert_int_equal(exchange->err.code, LAB_UNCERTAIN);
	assert_true(exchange->err.retryable);
	assert_true(exchange->stats.request_sent);
}

/* Starts the server, and leads the bucket's name to it. */
static void run_with_server(void (*body)(struct bed *bed))
{
	struct bed bed;

	server_start(&the_server);
	bed_open(&bed);
	assert_int_equal(live_map(bed.live, "*.s3.eu-central-1.amazonaws.com:443", "127.0.0.1",
				 the_server.port, true, NULL),
		0);
	bed_run(&bed, body);
	bed_close(&bed);
	server_stop(&the_server);
}

/* ---- what goes over the wire ---- */

static void get_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	assert_int_equal(exchange.response.status, 200);
	assert_true(lab_view_eq_cstr(exchange.response.reason, "OK"));
	assert_true(lab_view_eq_cstr(exchange.response.body, "ok"));
	assert_int_equal(exchange.response.headers.count, 4);
	assert_true(lab_view_eq_cstr(exchange.response.headers.items[1].value, "1"));
	assert_true(lab_view_eq_cstr(exchange.response.headers.items[2].value, "2"));
	assert_true(lab_view_eq_cstr(exchange.response.headers.items[3].name, "X-Empty"));
	assert_int_equal(exchange.response.headers.items[3].value.len, 0);
	assert_true(exchange.stats.request_sent);
	assert_false(exchange.stats.reused);
	assert_string_equal(the_server.last, "GET /ok HTTP/1.1\r\nHost: " BUCKET "\r\n\r\n");
}

static void a_response_comes_back(void **state)
{
	(void)state;
	run_with_server(get_body);
}

static void raw_target_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_init(bed, &exchange, "PUT", "/a%20b/../c//%2f?x=1&delete&y=a+b%zz#f");
	exchange.request.authority = LAB_VIEW("bucket.s3.eu-central-1.amazonaws.com:443");
	exchange.request.body = LAB_VIEW("hello");
	assert_int_equal(lab_http_header_add(&exchange.request.headers, LAB_VIEW("x-amz-meta-a"),
				 LAB_VIEW("1 2")),
		0);
	assert_int_equal(lab_http_header_add(
				 &exchange.request.headers, LAB_VIEW("x-amz-empty"), LAB_VIEW("")),
		0);
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_string_equal(the_server.last,
		"PUT /a%20b/../c//%2f?x=1&delete&y=a+b%zz#f HTTP/1.1\r\n"
		"Host: bucket.s3.eu-central-1.amazonaws.com:443\r\n"
		"x-amz-meta-a: 1 2\r\nx-amz-empty:\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(the_server.last_body_len, 5);
}

static void the_request_goes_out_byte_for_byte(void **state)
{
	(void)state;
	run_with_server(raw_target_body);
}

static void methods_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_init(bed, &exchange, "PUT", "/x");
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_string_equal(the_server.last,
		"PUT /x HTTP/1.1\r\nHost: " BUCKET "\r\nContent-Length: 0\r\n\r\n");

	exchange_init(bed, &exchange, "HEAD", "/x");
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_int_equal(exchange.response.body.len, 0);
	assert_true(lab_view_eq_cstr(
		lab_http_header_get(&exchange.response.headers, "content-length"), "12345"));
	assert_string_equal(the_server.last, "HEAD /x HTTP/1.1\r\nHost: " BUCKET "\r\n\r\n");

	exchange_init(bed, &exchange, "DELETE", "/x");
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_true(lab_view_eq_cstr(exchange.response.body, "ok"));
	assert_string_equal(the_server.last, "DELETE /x HTTP/1.1\r\nHost: " BUCKET "\r\n\r\n");

	exchange_init(bed, &exchange, "GET", "/x");
	assert_int_equal(lab_http_header_add(&exchange.request.headers, LAB_VIEW("Accept"),
				 LAB_VIEW("text/xml")),
		0);
	exchange_run(bed, &exchange);
	assert_string_equal(
		the_server.last, "GET /x HTTP/1.1\r\nHost: " BUCKET "\r\nAccept: text/xml\r\n\r\n");
	/* All of it over the connection of the first. */
	assert_int_equal(server_connections(&the_server), 1);
	assert_true(exchange.stats.reused);
}

static void every_method_uses_the_kept_alive_connection(void **state)
{
	(void)state;
	run_with_server(methods_body);
}

static void responses_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/chunked");
	assert_int_equal(exchange.result, 0);
	assert_true(lab_view_eq_cstr(exchange.response.body, "abcdefg"));
	assert_null(lab_http_header_get(&exchange.response.headers, "X-Trailer").ptr);

	exchange_do(bed, &exchange, "/continue");
	assert_int_equal(exchange.result, 0);
	assert_int_equal(exchange.response.status, 503);
	assert_true(lab_view_eq_cstr(exchange.response.reason, "Slow Down"));
	assert_null(lab_http_header_get(&exchange.response.headers, "X-No").ptr);

	exchange_do(bed, &exchange, "/redirect");
	assert_int_equal(exchange.result, 0);
	assert_int_equal(exchange.response.status, 307);
	assert_int_equal(server_requests(&the_server), 3);

	exchange_do(bed, &exchange, "/big");
	assert_int_equal(exchange.result, 0);
	assert_int_equal(exchange.response.body.len, 1 << 20);
	assert_int_equal(exchange.response.body.ptr[(1 << 20) - 1], 'x');
}

static void chunks_continues_and_redirects_are_plain_responses(void **state)
{
	(void)state;
	run_with_server(responses_body);
}

static void big_put(struct bed *bed, size_t size, const char *target)
{
	struct exchange exchange;
	uint8_t *body;

	exchange_init(bed, &exchange, "PUT", target);
	body = lab_arena_alloc(exchange.arena, size);
	body[0] = 'f';
	body[size - 1] = 'l';
	exchange.request.body = lab_view_of(body, size);
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_int_equal(the_server.last_body_len, size);
	assert_int_equal(the_server.last_body_first, 'f');
	assert_int_equal(the_server.last_body_last, 'l');
	lab_arena_free(&exchange.arena);
}

static void big_put_body(struct bed *bed)
{
	static const size_t sizes[] = { 2, 16383, 65535, 65536, 65537, 1 << 20, 3 << 20 };

	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++)
		big_put(bed, sizes[i], "/put");
	assert_false(server_has(the_server.last, "Expect"));
	assert_int_equal(server_connections(&the_server), 1);
}

static void bodies_of_all_sizes_arrive(void **state)
{
	(void)state;
	run_with_server(big_put_body);
}

static void slow_reader_body(struct bed *bed)
{
	struct exchange exchange;

	/* The server takes a break of 500 ms in the middle. */
	exchange_init(bed, &exchange, "PUT", "/slow-read");
	exchange.request.body = lab_view_of(lab_arena_alloc(exchange.arena, 3 << 20), 3 << 20);
	exchange.limits.response_timeout_ns = 100 * LAB_MSEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, -1);
	assert_int_equal(exchange.err.code, LAB_UNCERTAIN);
	exchange.limits.response_timeout_ns = 2 * LAB_SEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_true(exchange.stats.response_ns + exchange.stats.send_ns > 400 * LAB_MSEC);
}

static void a_server_that_stops_reading_times_out(void **state)
{
	(void)state;
	run_with_server(slow_reader_body);
}

static void invalid_body(struct bed *bed)
{
	static const struct {
		const char *method, *authority, *target, *name, *value;
	} bad[] = {
		{ "GET", BUCKET, "/a b", NULL, NULL },
		{ "GET", BUCKET, "/a\r\nX: y", NULL, NULL },
		{ "GET", BUCKET, "", NULL, NULL },
		{ "GE T", BUCKET, "/", NULL, NULL },
		{ "", BUCKET, "/", NULL, NULL },
		{ "GET", "user@host", "/", NULL, NULL },
		{ "GET", "a/b", "/", NULL, NULL },
		{ "GET", "", "/", NULL, NULL },
		{ "GET", "host:0", "/", NULL, NULL },
		{ "GET", "host:65536", "/", NULL, NULL },
		{ "GET", "[::1", "/", NULL, NULL },
		{ "GET", "[::1]x", "/", NULL, NULL },
		{ "GET", "[x]", "/", NULL, NULL },
		{ "GET", BUCKET, "/", "A", "b\r\nC: d" },
		{ "GET", BUCKET, "/", "A b", "c" },
		{ "GET", BUCKET, "/", "A:b", "c" },
		{ "GET", BUCKET, "/", "host", "c" },
		{ "GET", BUCKET, "/", "content-length", "0" },
		{ "GET", BUCKET, "/", "Transfer-Encoding", "chunked" },
	};
	struct exchange exchange;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		exchange_init(bed, &exchange, bad[i].method, bad[i].target);
		exchange.request.authority = lab_view_cstr(bad[i].authority);
		if (bad[i].name != NULL)
			assert_int_equal(
				lab_http_header_add(&exchange.request.headers,
					lab_view_cstr(bad[i].name), lab_view_cstr(bad[i].value)),
				0);
		exchange_run(bed, &exchange);
		if (exchange.result != -1 || exchange.err.code != LAB_INVALID)
			fail_msg("row %zu: %d %s", i, exchange.result, exchange.err.message);
		assert_false(exchange.stats.request_sent);
	}
	assert_int_equal(server_connections(&the_server), 0);
}

static void what_could_split_a_request_is_not_sent(void **state)
{
	(void)state;
	run_with_server(invalid_body);
}

static void long_headers_body(struct bed *bed)
{
	struct exchange exchange;
	struct lab_view value;

	exchange_init(bed, &exchange, "GET", "/x");
	value = lab_view_of(
		memset(lab_arena_alloc(exchange.arena, 300 << 10), 'v', 300 << 10), 300 << 10);
	assert_int_equal(lab_http_header_add(&exchange.request.headers, LAB_VIEW("A"), value), 0);
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.err.code, LAB_LIMIT);
	assert_false(exchange.stats.request_sent);
}

static void request_headers_are_limited(void **state)
{
	(void)state;
	run_with_server(long_headers_body);
}

/* ---- outcomes ---- */

static void outcomes_body(struct bed *bed)
{
	static const struct {
		const char *target;
		enum lab_code code;
		const char *message;
	} rows[] = {
		{ "/reset ", LAB_UNCERTAIN, "connection reset before the response" },
		{ "/close ", LAB_UNCERTAIN, "connection closed without a response" },
		{ "/partial", LAB_UNCERTAIN, "closed in the middle of the response" },
		{ "/partial-reset", LAB_UNCERTAIN, "reset in the middle of the response" },
		{ "/garbage", LAB_CORRUPT, "not HTTP" },
		{ "/bad-header", LAB_CORRUPT, "without colon" },
		{ "/folded", LAB_CORRUPT, "bad header" },
		{ "/many-headers", LAB_LIMIT, "too many headers" },
	};
	struct exchange exchange;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		exchange_init(bed, &exchange, i % 2 == 0 ? "GET" : "PUT", rows[i].target);
		exchange.request.target = lab_view_trim(exchange.request.target);
		exchange.limits.fresh_connection = true; /* the last one is just being closed */
		exchange_run(bed, &exchange);
		if (exchange.result != -1 || exchange.err.code != rows[i].code ||
			strstr(exchange.err.message, rows[i].message) == NULL ||
			!exchange.stats.request_sent ||
			exchange.err.retryable != (rows[i].code == LAB_UNCERTAIN))
			fail_msg(
				"%s: %d %s", rows[i].target, exchange.result, exchange.err.message);
	}
}

static void failures_after_sending_are_uncertain(void **state)
{
	(void)state;
	run_with_server(outcomes_body);
}

static void silence_body(struct bed *bed)
{
	struct exchange exchange;
	uint64_t before = env_now(bed->env);

	exchange_init(bed, &exchange, "PUT", "/silence");
	exchange.limits.response_timeout_ns = 60 * LAB_MSEC;
	exchange_run(bed, &exchange);
	assert_uncertain(&exchange);
	assert_string_equal(exchange.err.message, "no complete response within 60 ms");
	assert_in_range(env_now(bed->env) - before, 60 * LAB_MSEC, 2 * LAB_SEC);
	assert_true(exchange.stats.response_ns >= 60 * LAB_MSEC);
	/* The connection is not used again: its answer may still come. */
	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	assert_false(exchange.stats.reused);
}

/* The caller's own end, whatever the timeouts say: while connecting, waiting, and while a body
 * trickles. */
static void deadline_body(struct bed *bed)
{
	static const char *const targets[] = { "/silence", "/trickle" };
	struct exchange exchange;
	uint64_t before;

	for (size_t i = 0; i < LAB_COUNT_OF(targets); i++) {
		before = env_now(bed->env);
		exchange_init(bed, &exchange, "PUT", targets[i]);
		exchange.limits.deadline_ns = before + 60 * LAB_MSEC;
		exchange_run(bed, &exchange);
		assert_uncertain(&exchange);
		assert_in_range(env_now(bed->env) - before, 60 * LAB_MSEC, 2 * LAB_SEC);
	}
	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.limits.deadline_ns = env_now(bed->env) + 5 * LAB_SEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
}

static void a_deadline_ends_an_exchange(void **state)
{
	(void)state;
	run_with_server(deadline_body);
}

static void two_addresses_body(struct bed *bed)
{
	struct exchange exchange;

	/* The first refuses; whoever tries again gets the second, and those after him too. */
	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.err.code, LAB_REFUSED);
	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.limits.fresh_connection = true;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_int_equal(server_requests(&the_server), 2);
}

/* Two gateways behind one name, and one of them is down. */
static void another_address_is_tried_after_a_refusal(void **state)
{
	struct bed bed;

	(void)state;
	server_start(&the_server);
	bed_open(&bed);
	assert_int_equal(live_map(bed.live, BUCKET ":443", "127.0.0.2", 1, true, NULL), 0);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", the_server.port, true, NULL), 0);
	bed_run(&bed, two_addresses_body);
	bed_close(&bed);
	server_stop(&the_server);
}

static void silence_is_an_uncertain_timeout(void **state)
{
	(void)state;
	run_with_server(silence_body);
}

static void too_long_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_init(bed, &exchange, "GET", "/big");
	exchange.limits.response_max_bytes = (1 << 20) - 1;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.err.code, LAB_LIMIT);
	assert_true(exchange.stats.request_sent);
	exchange.limits.response_max_bytes = 1 << 20;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
}

static void a_long_response_is_a_limit(void **state)
{
	(void)state;
	run_with_server(too_long_body);
}

static void buffers_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/big");
	assert_int_equal(exchange.err.code, LAB_LIMIT);
	/* What the failed one had taken is free again. */
	for (unsigned i = 0; i < 10; i++) {
		exchange_do(bed, &exchange, "/ok");
		assert_int_equal(exchange.result, 0);
	}
}

static void responses_share_a_limited_memory(void **state)
{
	const struct live_settings settings = { .buffers_max_bytes = 512 << 10 };
	const struct live_host_settings host = { .hostname = "b1" };
	struct bed bed;

	(void)state;
	server_start(&the_server);
	bed_open_with(&bed, &settings, &host);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", the_server.port, true, NULL), 0);
	bed_run(&bed, buffers_body);
	bed_close(&bed);
	server_stop(&the_server);
}

static void refused_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.request.authority = LAB_VIEW("127.0.0.1:1");
	exchange.request.tls = false;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, -1);
	assert_int_equal(exchange.err.code, LAB_REFUSED);
	assert_true(exchange.err.retryable);
	assert_false(exchange.stats.request_sent);
	/* TLS with somebody who does not speak it: nothing was sent, either. */
	exchange.request.authority = LAB_VIEW("localhost:1");
	exchange.request.tls = true;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.err.code, LAB_REFUSED);
}

static void a_closed_port_refuses(void **state)
{
	(void)state;
	bed_run_once(refused_body);
}

static void connect_timeout_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.limits.connect_timeout_ns = 50 * LAB_MSEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, -1);
	assert_int_equal(exchange.err.code, LAB_TIMEOUT);
	assert_string_equal(exchange.err.message, "not connected within 50 ms");
	assert_true(exchange.err.retryable);
	assert_false(exchange.stats.request_sent);
	assert_true(exchange.stats.connect_ns >= 50 * LAB_MSEC);
}

/* A listener whose backlog is full does not answer on loopback. */
static void no_answer_to_connect_is_a_timeout(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fillers[8];
	struct bed bed;

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	for (size_t i = 0; i < LAB_COUNT_OF(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
	}
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", ntohs(address.sin_port), true, NULL),
		0);
	bed_run(&bed, connect_timeout_body);
	bed_close(&bed);
	for (size_t i = 0; i < LAB_COUNT_OF(fillers); i++)
		(void)close(fillers[i]);
	(void)close(listener);
}

static void not_tls_body(struct bed *bed)
{
	struct exchange exchange;

	/* The server waits for a request line, and the client for its half of the handshake. */
	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.limits.connect_timeout_ns = 100 * LAB_MSEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, -1);
	assert_int_equal(exchange.err.code, LAB_TIMEOUT);
	assert_false(exchange.stats.request_sent);
	assert_int_equal(server_connections(&the_server), 1);
	assert_int_equal(server_requests(&the_server), 0);
}

static void tls_is_spoken_unless_it_is_stripped(void **state)
{
	struct bed bed;

	(void)state;
	server_start(&the_server);
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", the_server.port, false, NULL), 0);
	bed_run(&bed, not_tls_body);
	bed_close(&bed);
	server_stop(&the_server);
}

/* ---- one attempt ---- */

/* libcurl alone sends the request again on a new connection when a kept-alive one ends without an
 * answer. The server counts. */
static void one_attempt(struct bed *bed, const char *method, const char *target)
{
	struct exchange exchange;
	unsigned before = server_requests(&the_server);

	exchange_init(bed, &exchange, method, target);
	exchange.request.body = strcmp(method, "PUT") == 0 ? LAB_VIEW("data") : LAB_VIEW("");
	exchange.limits.fresh_connection = true;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	exchange.limits.fresh_connection = false;
	exchange_run(bed, &exchange);
	assert_uncertain(&exchange);
	test_wait_ms(20);
	assert_int_equal(server_requests(&the_server) - before, 2);
}

static void one_attempt_body(struct bed *bed)
{
	one_attempt(bed, "PUT", "/close-second");
	one_attempt(bed, "PUT", "/reset-second");
	one_attempt(bed, "GET", "/close-second");
	one_attempt(bed, "DELETE", "/reset-second");
	one_attempt(bed, "POST", "/close-second");
	one_attempt(bed, "HEAD", "/close-second");
}

static void a_request_is_sent_once_even_if_the_connection_was_dead(void **state)
{
	(void)state;
	run_with_server(one_attempt_body);
}

static void idle_close_body(struct bed *bed)
{
	struct exchange exchange;

	/* Closed while idle, and we had the time to notice: a new one is made. */
	for (unsigned i = 0; i < 3; i++) {
		exchange_init(bed, &exchange, "PUT", "/then-close");
		exchange_run(bed, &exchange);
		assert_int_equal(exchange.result, 0);
		assert_false(exchange.stats.reused);
		env_sleep(bed->env, 20 * LAB_MSEC);
	}
	assert_int_equal(server_requests(&the_server), 3);
}

static void a_connection_closed_while_idle_is_not_used(void **state)
{
	(void)state;
	run_with_server(idle_close_body);
}

static void race_body(struct bed *bed)
{
	struct exchange exchange;
	unsigned ok = 0, lost = 0;

	/* Closed at about the time of the next request: whatever happens, what we count as
	 * received at most once was. */
	for (unsigned i = 0; i < 300; i++) {
		exchange_init(bed, &exchange, "PUT", "/then-close");
		exchange_run(bed, &exchange);
		ok += exchange.result == 0 ? 1 : 0;
		lost += exchange.result != 0 && exchange.stats.request_sent ? 1 : 0;
		if (exchange.result != 0)
			assert_true(exchange.err.code == LAB_UNCERTAIN ||
				    exchange.err.code == LAB_REFUSED);
		lab_arena_free(&exchange.arena);
	}
	assert_true(ok > 0);
	assert_in_range(server_requests(&the_server), ok, ok + lost);
}

static void requests_racing_with_a_close_are_never_doubled(void **state)
{
	(void)state;
	run_with_server(race_body);
}

static void fresh_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/ok");
	exchange_init(bed, &exchange, "GET", "/ok");
	exchange.limits.fresh_connection = true;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, 0);
	assert_false(exchange.stats.reused);
	assert_int_equal(server_connections(&the_server), 2);
}

static void a_fresh_connection_can_be_asked_for(void **state)
{
	(void)state;
	run_with_server(fresh_body);
}

/* ---- many at once ---- */

static void parallel_get(void *ctx, size_t index)
{
	struct bed *bed = ctx;
	struct exchange exchange;

	exchange_init(bed, &exchange, index % 2 == 0 ? "GET" : "PUT", "/ok");
	exchange.request.body = index % 2 == 0 ? LAB_VIEW("") : LAB_VIEW("some data");
	exchange_run(bed, &exchange);
	if (exchange.result != 0)
		fail_msg("%zu: %s", index, exchange.err.message);
	lab_arena_free(&exchange.arena);
}

static void parallel_body(struct bed *bed)
{
	env_for_each(bed->env, 3000, 20, parallel_get, bed);
	assert_int_equal(server_requests(&the_server), 3000);
	assert_in_range(server_connections(&the_server), 1, 20);
}

static void thousands_of_requests_share_the_kept_alive_connections(void **state)
{
	(void)state;
	run_with_server(parallel_body);
}

/* ---- hosts ---- */

static void second_host_main(struct env *env, void *arg)
{
	struct bed bed = { .env = env };
	struct exchange exchange;

	(void)arg;
	exchange_do(&bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	assert_false(exchange.stats.reused);
}

static void first_host_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	assert_int_equal(ntohl(the_server.last_peer.sin_addr.s_addr), 0x7f000105);
}

static void hosts_have_connections_and_addresses_of_their_own(void **state)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings first = { .hostname = "b1", .source_address = "127.0.1.5" };
	const struct live_host_settings second = {
		.hostname = "b2", .root = "/tmp", .source_address = "127.0.1.6"
	};
	struct live_host *other;
	struct bed bed;

	(void)state;
	server_start(&the_server);
	bed_open_with(&bed, &settings, &first);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", the_server.port, true, NULL), 0);
	assert_int_equal(live_host_new(bed.live, &second, &other, NULL), 0);
	bed_run(&bed, first_host_body);
	assert_int_equal(live_start(other, "main", second_host_main, NULL, NULL), 0);
	assert_int_equal(live_run(bed.live, ENV_FOREVER, NULL, NULL), 0);
	assert_int_equal(ntohl(the_server.last_peer.sin_addr.s_addr), 0x7f000106);
	assert_int_equal(server_connections(&the_server), 2);
	bed_close(&bed);
	server_stop(&the_server);
}

static void hanging_get(struct env *env, void *arg)
{
	struct bed bed = { .env = env };
	struct exchange exchange;

	exchange_do(&bed, &exchange, "/silence");
	*(bool *)arg = true;
}

static bool server_has_request(void *ctx)
{
	return server_requests(ctx) > 0;
}

static void poll_again(void *ctx)
{
	struct bed *bed = ctx;

	(void)live_at(bed->live, live_now(bed->live) + LAB_MSEC, poll_again, bed, NULL);
}

static void again_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/ok");
	assert_int_equal(exchange.result, 0);
	assert_false(exchange.stats.reused);
}

static void a_crash_resets_connections_and_the_host_can_start_again(void **state)
{
	bool returned = false;
	struct bed bed;

	(void)state;
	server_start(&the_server);
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, BUCKET ":443", "127.0.0.1", the_server.port, true, NULL), 0);
	assert_int_equal(live_start(bed.host, "main", hanging_get, &returned, NULL), 0);
	poll_again(&bed);
	assert_int_equal(live_run(bed.live, live_now(bed.live) + 10 * LAB_SEC, server_has_request,
				 &the_server),
		0);
	live_crash(bed.host);
	for (unsigned i = 0; server_open(&the_server) > 0; i++) {
		assert_true(i < 5000);
		test_wait_ms(1);
	}
	assert_false(returned);
	bed_run(&bed, again_body);
	bed_close(&bed);
	server_stop(&the_server);
}

/* ---- the guard ---- */

static void guard_body(struct bed *bed)
{
	static const char *const names[] = { "192.0.2.1", "example.com", "169.254.169.254",
		"[2001:db8::1]", "127.0.0.1.example.com", "0.0.0.0", "[::ffff:192.0.2.1]" };
	struct exchange exchange;

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		exchange_init(bed, &exchange, "GET", "/");
		exchange.request.tls = false;
		exchange.request.authority = lab_view_cstr(names[i]);
		exchange_run(bed, &exchange);
		if (exchange.result != -1 || exchange.err.code != LAB_DENIED)
			fail_msg("%s: %s", names[i], exchange.err.message);
		assert_false(exchange.stats.request_sent);
	}
}

static void only_loopback_is_connected_to(void **state)
{
	(void)state;
	bed_run_once(guard_body);
}

static void map_to_remote_body(struct bed *bed)
{
	struct exchange exchange;

	exchange_do(bed, &exchange, "/");
	assert_int_equal(exchange.err.code, LAB_DENIED);
}

static void a_map_does_not_get_around_the_guard(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed);
	assert_int_equal(live_map(bed.live, BUCKET ":443", "192.0.2.1", 80, true, NULL), 0);
	bed_run(&bed, map_to_remote_body);
	bed_close(&bed);
}

static void allowed_body(struct bed *bed)
{
	struct exchange exchange;

	/* A name that nobody has: looked up, and not found. */
	exchange_init(bed, &exchange, "GET", "/");
	exchange.request.authority = LAB_VIEW("nobody.invalid");
	exchange.limits.connect_timeout_ns = 15 * LAB_SEC;
	exchange_run(bed, &exchange);
	assert_int_equal(exchange.result, -1);
	assert_true(exchange.err.code == LAB_REFUSED || exchange.err.code == LAB_TIMEOUT);
	assert_false(exchange.stats.request_sent);
}

static void remote_hosts_can_be_allowed(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed);
	live_allow_remote(bed.live);
	bed_run(&bed, allowed_body);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_response_comes_back),
		cmocka_unit_test(the_request_goes_out_byte_for_byte),
		cmocka_unit_test(every_method_uses_the_kept_alive_connection),
		cmocka_unit_test(chunks_continues_and_redirects_are_plain_responses),
		cmocka_unit_test(bodies_of_all_sizes_arrive),
		cmocka_unit_test(a_server_that_stops_reading_times_out),
		cmocka_unit_test(what_could_split_a_request_is_not_sent),
		cmocka_unit_test(request_headers_are_limited),
		cmocka_unit_test(failures_after_sending_are_uncertain),
		cmocka_unit_test(silence_is_an_uncertain_timeout),
		cmocka_unit_test(a_deadline_ends_an_exchange),
		cmocka_unit_test(another_address_is_tried_after_a_refusal),
		cmocka_unit_test(a_long_response_is_a_limit),
		cmocka_unit_test(responses_share_a_limited_memory),
		cmocka_unit_test(a_closed_port_refuses),
		cmocka_unit_test(no_answer_to_connect_is_a_timeout),
		cmocka_unit_test(tls_is_spoken_unless_it_is_stripped),
		cmocka_unit_test(a_request_is_sent_once_even_if_the_connection_was_dead),
		cmocka_unit_test(a_connection_closed_while_idle_is_not_used),
		cmocka_unit_test(requests_racing_with_a_close_are_never_doubled),
		cmocka_unit_test(a_fresh_connection_can_be_asked_for),
		cmocka_unit_test(thousands_of_requests_share_the_kept_alive_connections),
		cmocka_unit_test(hosts_have_connections_and_addresses_of_their_own),
		cmocka_unit_test(a_crash_resets_connections_and_the_host_can_start_again),
		cmocka_unit_test(only_loopback_is_connected_to),
		cmocka_unit_test(a_map_does_not_get_around_the_guard),
		cmocka_unit_test(remote_hosts_can_be_allowed),
	};

	return cmocka_run_group_tests_name("live-http", tests, NULL, NULL);
}
