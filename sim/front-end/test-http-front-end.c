/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "core/env/live/live.h"
#include "sim/front-end/http-front-end.h"

static void test_wait_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* ---- a service that answers as the target says ---- */

#define DELAYED_MAX 512

struct delayed {
	uint64_t due_ns;
	sim_http_reply_fn reply;
	void *ctx;
	enum sim_wire wire;
};

struct echo {
	struct delayed delayed[DELAYED_MAX];
	size_t delayed_count;
	unsigned submits, advances;
	uint64_t last_ns;
	bool went_back;   /* time did */
	bool late_submit; /* a submit came while something was due */
	pthread_t thread;
	bool wrong_thread;
	/* Of the last request. */
	char target[256], method[16], authority[64], peer[64], zone[16];
	unsigned hops;
	uint64_t connection, first_connection;
	size_t headers, body_len;
	uint64_t body_hash;
	char last_header[64];
	char text[1 << 16];
	uint8_t *big;
	unsigned refused, refusals[SIM_REFUSE_COUNT];
	uint64_t bytes_per_s; /* of a trickle */
	size_t cut_at;        /* of a truncated body */
};

static void echo_copy(char *out, size_t size, struct lab_view text)
{
	(void)snprintf(out, size, "%.*s", LAB_VIEW_ARG(text));
}

static void echo_check(struct echo *echo, uint64_t now_ns)
{
	if (echo->submits + echo->advances == 0)
		echo->thread = pthread_self();
	echo->wrong_thread |= !pthread_equal(echo->thread, pthread_self());
	echo->went_back |= now_ns < echo->last_ns;
	echo->last_ns = now_ns;
}

static void echo_note(
	struct echo *echo, const struct lab_http_request *request, const struct sim_peer *peer)
{
	echo_copy(echo->target, sizeof(echo->target), request->target);
	echo_copy(echo->method, sizeof(echo->method), request->method);
	echo_copy(echo->authority, sizeof(echo->authority), request->authority);
	echo_copy(echo->peer, sizeof(echo->peer), peer->name);
	echo_copy(echo->zone, sizeof(echo->zone), peer->zone);
	echo->hops = peer->hops;
	echo->connection = peer->connection;
	if (echo->first_connection == 0)
		echo->first_connection = peer->connection;
	echo->headers = request->headers.count;
	if (request->headers.count > 0)
		echo_copy(echo->last_header, sizeof(echo->last_header),
			request->headers.items[request->headers.count - 1].value);
	echo->body_len = request->body.len;
	echo->body_hash = lab_hash_view(1, request->body);
}

static uint64_t echo_number(const struct lab_http_request *request)
{
	size_t slash = request->target.len;
	uint64_t number = 0;

	while (slash > 0 && request->target.ptr[slash - 1] != '/')
		slash--;
	(void)lab_view_to_u64(lab_view_skip(request->target, slash), &number);
	return number;
}

static void echo_answer(struct echo *echo, enum sim_wire wire, struct lab_view body, bool head,
	sim_http_reply_fn fn, void *ctx)
{
	struct sim_http_reply reply = {
		.wire = wire, .head = head, .bytes_per_s = echo->bytes_per_s, .cut_at = echo->cut_at
	};

	reply.response.status = 200;
	reply.response.body = body;
	(void)lab_http_header_add(
		&reply.response.headers, LAB_VIEW("Server"), LAB_VIEW("AmazonS3"));
	(void)lab_http_header_add(&reply.response.headers, LAB_VIEW("x-amz-a"), LAB_VIEW("1"));
	(void)lab_http_header_add(&reply.response.headers, LAB_VIEW("x-amz-a"), LAB_VIEW("2"));
	(void)lab_http_header_add(
		&reply.response.headers, LAB_VIEW("Content-Length"), LAB_VIEW("7"));
	fn(ctx, &reply);
}

/* As S3 throttles (s3 2.2), and an empty header. */
static void echo_slow_down(sim_http_reply_fn fn, void *ctx)
{
	static const char *const headers[][2] = { { "x-amz-request-id", "R" },
		{ "content-type", "application/xml" }, { "transfer-encoding", "chunked" },
		{ "date", "now" }, { "connection", "close" }, { "x-empty", "" },
		{ "x-broken", "a\r\nb" } };
	struct sim_http_reply reply = { .wire = SIM_WIRE_ANSWER_CLOSE };

	reply.response.status = 503;
	reply.response.reason = LAB_VIEW("Slow Down");
	reply.response.body = LAB_VIEW("<Error/>");
	for (size_t i = 0; i < LAB_COUNT_OF(headers); i++)
		(void)lab_http_header_add(&reply.response.headers, lab_view_cstr(headers[i][0]),
			lab_view_cstr(headers[i][1]));
	fn(ctx, &reply);
}

static void echo_submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *ctx)
{
	struct echo *echo = service;
	struct lab_view target = request->target;
	bool head = lab_view_eq_cstr(request->method, "HEAD");
	uint64_t number = echo_number(request);

	echo_check(echo, now_ns);
	for (size_t i = 0; i < echo->delayed_count; i++)
		echo->late_submit |= echo->delayed[i].due_ns <= now_ns;
	echo->submits++;
	echo_note(echo, request, peer);
	if (lab_view_starts_with(target, LAB_VIEW("/delay/")) ||
		lab_view_starts_with(target, LAB_VIEW("/wire-later/"))) {
		bool wire = lab_view_starts_with(target, LAB_VIEW("/wire"));

		lab_assert(echo->delayed_count < DELAYED_MAX);
		echo->delayed[echo->delayed_count++] =
			(struct delayed){ .due_ns = now_ns + (wire ? 5 : number) * LAB_MSEC,
				.reply = reply,
				.ctx = ctx,
				.wire = wire ? (enum sim_wire)number : SIM_WIRE_ANSWER };
		return;
	}
	if (lab_view_starts_with(target, LAB_VIEW("/slow-down/")))
		echo_slow_down(reply, ctx);
	else if (lab_view_starts_with(target, LAB_VIEW("/wire/")))
		echo_answer(echo, (enum sim_wire)number, lab_view_of(echo->text, 10000), head,
			reply, ctx);
	else if (lab_view_starts_with(target, LAB_VIEW("/empty/")))
		echo_answer(echo, (enum sim_wire)number, LAB_VIEW(""), head, reply, ctx);
	else if (lab_view_starts_with(target, LAB_VIEW("/big/")))
		echo_answer(echo, SIM_WIRE_ANSWER, lab_view_of(echo->big, (size_t)number), head,
			reply, ctx);
	else
		echo_answer(echo, SIM_WIRE_ANSWER, LAB_VIEW("hello"), head, reply, ctx);
}

static void echo_advance(void *service, uint64_t now_ns)
{
	struct echo *echo = service;

	echo_check(echo, now_ns);
	echo->advances++;
	for (size_t i = 0; i < echo->delayed_count;) {
		struct delayed delayed = echo->delayed[i];

		if (delayed.due_ns > now_ns) {
			i++;
			continue;
		}
		echo->delayed[i] = echo->delayed[--echo->delayed_count];
		echo_answer(echo, delayed.wire, lab_view_of(echo->text, 10000), false,
			delayed.reply, delayed.ctx);
	}
}

static uint64_t echo_next(void *service)
{
	struct echo *echo = service;
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < echo->delayed_count; i++)
		next_ns = LAB_MIN(next_ns, echo->delayed[i].due_ns);
	return next_ns;
}

/* Says in XML why; the n-th refusal of all. */
static void echo_refuse(void *service, enum sim_http_refusal why,
	const struct lab_http_request *request, const struct sim_peer *peer, uint64_t now_ns,
	sim_http_reply_fn reply, void *ctx)
{
	struct sim_http_reply answer = { .wire = SIM_WIRE_ANSWER };
	struct echo *echo = service;
	char id[32], text[256];

	echo_check(echo, now_ns);
	lab_assert(peer->name.len > 0);
	echo->refusals[why]++;
	(void)snprintf(id, sizeof(id), "R%u", ++echo->refused);
	(void)snprintf(text, sizeof(text), "<Error>%u %.*s</Error>", why,
		LAB_VIEW_ARG(lab_view_sub(request->target, 0, 100)));
	answer.response.status = 400;
	answer.response.body = lab_view_cstr(text);
	answer.head = lab_view_eq_cstr(request->method, "HEAD");
	(void)lab_http_header_add(
		&answer.response.headers, LAB_VIEW("x-amz-request-id"), lab_view_cstr(id));
	reply(ctx, &answer);
}

static const struct sim_http_ops echo_ops = { .submit = echo_submit,
	.advance = echo_advance,
	.next_deadline = echo_next,
	.refuse = echo_refuse };
/* One that leaves refusing to the front end. */
static const struct sim_http_ops mute_ops = { .submit = echo_submit,
	.advance = echo_advance,
	.next_deadline = echo_next,
	.length_required = true };

#define BIG_BYTES ((size_t)8 << 20)

static struct echo *echo_new(void)
{
	struct echo *echo = calloc(1, sizeof(*echo));

	memset(echo->text, 't', sizeof(echo->text));
	echo->big = malloc(BIG_BYTES);
	memset(echo->big, 'b', BIG_BYTES);
	return echo;
}

static void echo_free(struct echo *echo)
{
	assert_false(echo->wrong_thread);
	assert_false(echo->went_back);
	assert_false(echo->late_submit);
	free(echo->big);
	free(echo);
}

/* ---- the bench ---- */

struct bench {
	struct echo *echo;
	struct http_front_end *front_end;
	CURL *curl;
	char error[CURL_ERROR_SIZE];
	size_t got;
	char head[4096];
};

static struct bench *open_bench;

static void sync_nothing(void *ctx)
{
	(void)ctx;
}

/* Afterwards this thread may look at what the service's thread has done. */
static void sync_with_service(void)
{
	if (open_bench != NULL)
		http_front_end_call(open_bench->front_end, sync_nothing, NULL);
}

static void bench_open_with(struct bench *bench, struct http_front_end_settings settings)
{
	struct lab_error err;

	memset(bench, 0, sizeof(*bench));
	bench->echo = echo_new();
	settings.service.service = bench->echo;
	if (settings.service.ops == NULL)
		settings.service.ops = &echo_ops;
	if (http_front_end_new(&settings, &bench->front_end, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_not_equal(http_front_end_port(bench->front_end), 0);
	bench->curl = curl_easy_init();
	open_bench = bench;
}

static void bench_open(struct bench *bench)
{
	bench_open_with(bench, (struct http_front_end_settings){ 0 });
}

static void bench_close(struct bench *bench)
{
	if (bench->curl != NULL)
		curl_easy_cleanup(bench->curl);
	open_bench = NULL;
	http_front_end_free(&bench->front_end);
	assert_null(bench->front_end);
	http_front_end_free(&bench->front_end);
	echo_free(bench->echo);
}

static size_t bench_body(char *data, size_t size, size_t count, void *ctx)
{
	(void)data;
	((struct bench *)ctx)->got += size * count;
	return size * count;
}

static size_t bench_head(char *data, size_t size, size_t count, void *ctx)
{
	struct bench *bench = ctx;
	size_t have = strlen(bench->head);

	(void)snprintf(
		bench->head + have, sizeof(bench->head) - have, "%.*s", (int)(size * count), data);
	return size * count;
}

/* What curl sees. */
static CURLcode bench_get(struct bench *bench, const char *method, const char *target,
	const void *body, size_t body_len, long *ret_status)
{
	CURL *curl = bench->curl;
	char url[512];
	CURLcode result;

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
		http_front_end_port(bench->front_end), target);
	bench->got = 0;
	bench->head[0] = '\0';
	curl_easy_reset(curl);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 3000L);
	(void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, bench->error);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, bench_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, bench);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, bench_head);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, bench);
	if (body != NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	} else if (strcmp(method, "HEAD") == 0) {
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else {
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
	result = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	sync_with_service();
	return result;
}

static void assert_get(struct bench *bench, const char *target)
{
	long status;
	CURLcode result = bench_get(bench, "GET", target, NULL, 0, &status);

	if (result != CURLE_OK || status != 200)
		fail_msg("%s: %d %s, %ld", target, result, bench->error, status);
}

/* ---- requests and answers ---- */

static void the_service_sees_the_request_as_it_was_sent(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	assert_int_equal(
		bench_get(&bench, "PUT", "/a%20b/../c//x?y=a+b&delete&z=%2f", "data", 4, &status),
		CURLE_OK);
	assert_int_equal(status, 200);
	assert_string_equal(bench.echo->target, "/a%20b/../c//x?y=a+b&delete&z=%2f");
	assert_string_equal(bench.echo->method, "PUT");
	assert_int_equal(strncmp(bench.echo->authority, "127.0.0.1:", 10), 0);
	assert_int_equal(strncmp(bench.echo->peer, "127.0.0.1:", 10), 0);
	assert_int_equal(bench.echo->hops, 1);
	assert_int_equal(bench.echo->headers, 2); /* Accept, Content-Type */
	assert_string_equal(bench.echo->last_header, "application/x-www-form-urlencoded");
	assert_int_equal(bench.echo->body_len, 4);
	assert_true(bench.echo->body_hash == lab_hash_view(1, LAB_VIEW("data")));
	bench_close(&bench);
}

static void the_client_sees_the_answer_as_it_was_given(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	assert_get(&bench, "/");
	assert_int_equal(bench.got, 5);
	assert_non_null(strstr(bench.head, "Server: AmazonS3\r\n"));
	assert_non_null(strstr(bench.head, "x-amz-a: 1\r\n"));
	assert_non_null(strstr(bench.head, "x-amz-a: 2\r\n"));
	assert_non_null(strstr(bench.head, "Content-Length: 5\r\n"));
	assert_non_null(strstr(bench.head, "Date: "));
	bench_close(&bench);
}

static void head_tells_the_length_without_a_body(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	assert_int_equal(bench_get(&bench, "HEAD", "/", NULL, 0, &status), CURLE_OK);
	assert_int_equal(bench.got, 0);
	/* The service's own word counts. */
	assert_non_null(strstr(bench.head, "Content-Length: 7\r\n"));
	/* The connection is still in step. */
	assert_get(&bench, "/");
	assert_int_equal(bench.echo->connection, bench.echo->first_connection);
	bench_close(&bench);
}

static void keep_alive_lasts_for_thousands_of_requests(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	for (unsigned i = 0; i < 4000; i++) {
		if (i % 2 == 0)
			assert_get(&bench, "/");
		else
			assert_int_equal(
				bench_get(&bench, "PUT", "/x", "data", 4, &status), CURLE_OK);
	}
	assert_int_equal(bench.echo->submits, 4000);
	assert_int_equal(bench.echo->connection, bench.echo->first_connection);
	assert_int_equal(http_front_end_stats(bench.front_end).connections, 1);
	assert_int_equal(http_front_end_stats(bench.front_end).requests, 4000);
	bench_close(&bench);
}

static void big_bodies_go_both_ways(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	assert_get(&bench, "/big/8388608");
	assert_int_equal(bench.got, 8388608);
	assert_int_equal(
		bench_get(&bench, "PUT", "/x", bench.echo->big, BIG_BYTES, &status), CURLE_OK);
	assert_int_equal(status, 200);
	assert_int_equal(bench.echo->body_len, BIG_BYTES);
	assert_true(
		bench.echo->body_hash == lab_hash_view(1, lab_view_of(bench.echo->big, BIG_BYTES)));
	bench_close(&bench);
}

/* ---- wire actions, by curl's exit code (s3 6.2) ---- */

static void wire_actions(const char *prefix, bool later)
{
	const struct {
		enum sim_wire wire;
		CURLcode result;
		size_t got;
	} rows[] = {
		{ SIM_WIRE_ANSWER, CURLE_OK, 10000 },
		{ SIM_WIRE_ANSWER_CLOSE, CURLE_OK, 10000 },
		{ SIM_WIRE_RESET, CURLE_RECV_ERROR, 0 },
		{ SIM_WIRE_TRUNCATE, CURLE_RECV_ERROR, 5000 },
	};
	struct bench bench;
	char target[64];

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		long status;
		CURLcode result;

		/* On a connection of its own: a reset would make curl try again. */
		bench_open(&bench);
		(void)snprintf(target, sizeof(target), "%s%d", prefix, (int)rows[i].wire);
		result = bench_get(&bench, "GET", target, NULL, 0, &status);
		if (result != rows[i].result || bench.got != rows[i].got)
			fail_msg("row %zu: %d %s, %zu bytes", i, result, bench.error, bench.got);
		assert_get(&bench, "/");
		assert_int_equal(http_front_end_stats(bench.front_end).connections, i == 0 ? 1 : 2);
		assert_int_equal(bench.echo->advances > 0, later);
		bench_close(&bench);
	}
}

static void wire_actions_look_like_the_real_faults(void **state)
{
	(void)state;
	wire_actions("/wire/", false);
}

static void delayed_wire_actions_look_the_same(void **state)
{
	(void)state;
	wire_actions("/wire-later/", true);
}

static void a_truncated_empty_body_breaks_off(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	assert_int_not_equal(bench_get(&bench, "GET", "/empty/3", NULL, 0, &status), CURLE_OK);
	bench_close(&bench);
}

static void silence(const char *target)
{
	struct bench bench;
	long status;

	bench_open(&bench);
	bench.error[0] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(bench_get(&bench, "GET", target, NULL, 0, &status),
			CURLE_OPERATION_TIMEDOUT);
	}
	/* Those who gave up are forgotten. */
	for (unsigned i = 0; http_front_end_stats(bench.front_end).silenced > 0; i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	assert_get(&bench, "/");
	bench_close(&bench);
}

static void silence_lasts_until_the_client_gives_up(void **state)
{
	(void)state;
	silence("/wire/4");
}

static void delays_are_kept_to_the_millisecond(void **state)
{
	struct bench bench;
	double took;

	(void)state;
	bench_open(&bench);
	assert_get(&bench, "/");
	assert_get(&bench, "/delay/30");
	(void)curl_easy_getinfo(bench.curl, CURLINFO_TOTAL_TIME, &took);
	assert_true(took >= 0.030 && took < 2.5);
	bench_close(&bench);
}

/* ---- raw sockets ---- */

static int dial(const struct bench *bench, const char *from)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (from != NULL) {
		assert_int_equal(inet_pton(AF_INET, from, &address.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(http_front_end_port(bench->front_end));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Everything until the connection ends or `wanted` bytes came. Returns the text. */
static const char *hear(int fd, size_t wanted)
{
	static char text[65536];
	size_t have = 0;
	ssize_t n;

	while (have < wanted && have < sizeof(text) - 1 &&
		(n = recv(fd, text + have, sizeof(text) - 1 - have, 0)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	sync_with_service();
	return text;
}

static const char *ask(const struct bench *bench, const char *request)
{
	int fd = dial(bench, NULL);
	const char *answer;

	say(fd, request);
	answer = hear(fd, SIZE_MAX);
	(void)close(fd);
	return answer;
}

static void slow_clients_are_waited_for(void **state)
{
	static const char request[] = "PUT /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
				      "X-Dovecot-Username: u1\r\nConnection: close\r\n\r\nabc";
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench, NULL);
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(send(fd, request + i, 1, 0), 1);
		if (i % 16 == 0)
			test_wait_ms(1);
	}
	assert_non_null(strstr(hear(fd, SIZE_MAX), "200 OK"));
	(void)close(fd);
	assert_string_equal(bench.echo->target, "/slow");
	assert_int_equal(bench.echo->body_len, 3);
	assert_int_equal(bench.echo->headers, 2);
	bench_close(&bench);
}

static void chunked_bodies_are_joined(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	assert_non_null(strstr(ask(&bench, "PUT /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
					   "Transfer-Encoding: chunked\r\n\r\n"
					   "2\r\nda\r\n2\r\nta\r\n0\r\n\r\n"),
		"200 OK"));
	assert_true(bench.echo->body_hash == lab_hash_view(1, LAB_VIEW("data")));
	bench_close(&bench);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct bench bench;
	const char *answer;

	(void)state;
	bench_open(&bench);
	answer = ask(&bench, "GET /delay/20 HTTP/1.1\r\nHost: h\r\n\r\n"
			     "GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(answer, "ttt"));
	assert_non_null(strstr(strstr(answer, "ttt"), "hello"));
	bench_close(&bench);
}

static void known_peers_have_their_names(void **state)
{
	static const struct front_end_peer peers[] = {
		{ .address = "127.0.1.3", .name = "b1", .zone = "z1", .hops = 2 },
		{ .address = "127.0.1.4", .name = "b2" },
	};
	struct bench bench;
	int fd;

	(void)state;
	bench_open_with(
		&bench, (struct http_front_end_settings){ .peers = peers, .peer_count = 2 });
	fd = dial(&bench, "127.0.1.3");
	say(fd, "GET / HTTP/1.0\r\n\r\n");
	(void)hear(fd, SIZE_MAX);
	(void)close(fd);
	assert_string_equal(bench.echo->peer, "b1");
	assert_string_equal(bench.echo->zone, "z1");
	assert_int_equal(bench.echo->hops, 2);
	fd = dial(&bench, "127.0.1.4");
	say(fd, "GET / HTTP/1.0\r\n\r\n");
	(void)hear(fd, SIZE_MAX);
	(void)close(fd);
	assert_string_equal(bench.echo->peer, "b2");
	assert_string_equal(bench.echo->zone, "");
	assert_int_equal(bench.echo->hops, 1);
	assert_int_not_equal(bench.echo->connection, bench.echo->first_connection);
	bench_close(&bench);
}

/* ---- limits ---- */

static void too_much_is_refused_in_the_services_own_words(void **state)
{
	static const char too_long[] = "PUT /l HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n";
	static const char chunked[] = "PUT /k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
				      "\r\n3e9\r\n%01001d\r\n0\r\n\r\n";
	struct bench bench;
	char text[8192], value[3000];

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){
					.header_max_bytes = 2048, .body_max_bytes = 1000 });
	assert_non_null(strstr(ask(&bench, too_long), "<Error>8 /l</Error>"));
	(void)snprintf(text, sizeof(text), chunked, 0);
	assert_non_null(strstr(ask(&bench, text), "<Error>8 /k</Error>"));
	assert_int_equal(bench.echo->refusals[SIM_REFUSE_BODY], 2);
	memset(value, 'v', sizeof(value));
	value[2100] = '\0';
	(void)snprintf(text, sizeof(text), "GET /h HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n", value);
	assert_non_null(strstr(ask(&bench, text), "x-amz-request-id: R3\r\n"));
	(void)snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: h\r\n\r\n", value);
	assert_non_null(strstr(ask(&bench, text), "x-amz-request-id: R4\r\n"));
	assert_int_equal(bench.echo->refusals[SIM_REFUSE_HEADERS], 2);
	assert_int_equal(bench.echo->submits, 0);
	assert_int_equal(http_front_end_stats(bench.front_end).refused, 4);
	assert_get(&bench, "/");
	bench_close(&bench);
}

static void too_many_headers_are_refused(void **state)
{
	const struct http_front_end_settings settings = { .service = { .ops = &mute_ops } };
	struct bench bench;
	char text[8192] = "GET /h HTTP/1.1\r\nHost: h\r\n";
	size_t len = strlen(text);

	(void)state;
	bench_open_with(&bench, settings);
	for (unsigned i = 0; i < LAB_HTTP_HEADERS_MAX + 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "A%u: v\r\n", i);
	(void)snprintf(text + len, sizeof(text) - len, "\r\n");
	assert_non_null(strstr(ask(&bench, text), "The request's headers are too large."));
	assert_int_equal(bench.echo->submits, 0);
	bench_close(&bench);
}

static void bodies_share_a_limited_memory(void **state)
{
	static const char head[] = "PUT /l HTTP/1.1\r\nHost: h\r\nContent-Length: 600\r\n\r\n";
	struct bench bench;
	char part[500];
	int fd;

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .memory_max_bytes = 1000 });
	fd = dial(&bench, NULL);
	say(fd, head);
	memset(part, 'p', sizeof(part));
	assert_int_equal(send(fd, part, sizeof(part), 0), sizeof(part));
	test_wait_ms(50);
	assert_non_null(strstr(ask(&bench, head), "<Error>10 /l</Error>"));
	(void)close(fd);
	test_wait_ms(50);
	/* What the first one held is free again. */
	fd = dial(&bench, NULL);
	say(fd, "PUT /l HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 600\r\n\r\n");
	assert_int_equal(send(fd, part, sizeof(part), 0), sizeof(part));
	assert_int_equal(send(fd, part, 100, 0), 100);
	assert_non_null(strstr(hear(fd, SIZE_MAX), "200 OK"));
	(void)close(fd);
	bench_close(&bench);
}

static void what_is_no_request_is_refused_by_the_service(void **state)
{
#define LINE "GET / HTTP/1.1\r\nHost: h\r\n"
#define PUT_HEAD "PUT /p HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED PUT_HEAD "Transfer-Encoding: chunked\r\n\r\n"
	static const struct {
		const char *text;
		enum sim_http_refusal why;
	} rows[] = {
		{ "GARBAGE\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET /\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "\x16\x03\x01\x02\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\nHost: h\n\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/3.1\r\n\r\n", SIM_REFUSE_VERSION },
		{ "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ LINE "Host: h\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ LINE "A: b\r\n c\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ PUT_HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", SIM_REFUSE_LENGTH },
		{ PUT_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			SIM_REFUSE_MALFORMED },
		{ PUT_HEAD "Transfer-Encoding: gzip\r\n\r\n", SIM_REFUSE_CODING },
		{ CHUNKED "ZZ\r\nab\r\n0\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ CHUNKED "2\r\nabcd\r\n0\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ CHUNKED "0\r\nHost: x\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ CHUNKED "ffffffffff\r\na", SIM_REFUSE_COUNT }, /* no end: the client gives up */
		{ PUT_HEAD "Content-Length: 99999999999\r\n\r\nab", SIM_REFUSE_BODY },
		{ PUT_HEAD "Content-Length: 10\r\n\r\nabc", SIM_REFUSE_SHORT },
		{ PUT_HEAD "Conten", SIM_REFUSE_MALFORMED },
	};
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		enum sim_http_refusal why = rows[i].why;
		unsigned before = bench.echo->refusals[LAB_MIN(why, SIM_REFUSE_COUNT - 1)];
		int fd = dial(&bench, NULL);
		char id[32], shape[16];
		const char *answer;

		(void)snprintf(id, sizeof(id), "x-amz-request-id: R%zu\r\n", i + 1);
		(void)snprintf(shape, sizeof(shape), "<Error>%u", why);
		say(fd, rows[i].text);
		(void)shutdown(fd, SHUT_WR);
		answer = hear(fd, SIZE_MAX);
		(void)close(fd);
		if (why == SIM_REFUSE_COUNT) {
			assert_non_null(strstr(answer, "<Error>7")); /* short */
			continue;
		}
		if (strstr(answer, id) == NULL || strstr(answer, shape) == NULL ||
			strncmp(answer, "HTTP/1.1 400 ", 13) != 0 ||
			strstr(answer, "Connection: close\r\n") == NULL ||
			bench.echo->refusals[why] != before + 1)
			fail_msg("row %zu: %s", i, answer);
	}
	assert_int_equal(bench.echo->submits, 0);
	assert_get(&bench, "/");
	bench_close(&bench);
}

static void a_refusal_reaches_those_who_go_on_sending(void **state)
{
	static char much[1 << 20];
	struct bench bench;
	ssize_t n = 0;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench, NULL);
	say(fd, "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
	memset(much, 'm', sizeof(much));
	for (unsigned i = 0; i < 8 && n >= 0; i++)
		n = send(fd, much, sizeof(much), MSG_NOSIGNAL);
	assert_true(n > 0);
	assert_non_null(strstr(hear(fd, SIZE_MAX), "<Error>8 /p</Error>"));
	(void)close(fd);
	bench_close(&bench);
}

static void lengths_are_asked_for_where_the_service_needs_them(void **state)
{
	const struct http_front_end_settings settings = { .service = { .ops = &mute_ops } };
	struct bench bench;

	(void)state;
	bench_open_with(&bench, settings);
	assert_non_null(strstr(ask(&bench, "PUT /p HTTP/1.1\r\nHost: h\r\n\r\n"),
		"HTTP/1.1 411 Length Required\r\n"));
	assert_non_null(strstr(
		ask(&bench, "GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "200 OK"));
	bench_close(&bench);
}

static void slow_heads_and_bodies_time_out(void **state)
{
	static const char *const starts[] = { "GET / HTTP/1.1\r\nHost: ",
		"PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc",
		"PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc" };
	struct bench bench;

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .head_timeout_ns = 300 * LAB_MSEC,
					.body_timeout_ns = 300 * LAB_MSEC });
	for (unsigned i = 0; i < LAB_COUNT_OF(starts); i++) {
		int fd = dial(&bench, NULL);
		const char *answer;

		say(fd, starts[i]);
		/* A byte now and then does not help. */
		for (unsigned j = 0; j < 20; j++) {
			test_wait_ms(20);
			say(fd, "x");
		}
		answer = hear(fd, SIZE_MAX);
		if (strstr(answer, "<Error>9 ") == NULL)
			fail_msg("row %u: %s", i, answer);
		(void)close(fd);
	}
	assert_int_equal(bench.echo->refusals[SIM_REFUSE_TIMEOUT], LAB_COUNT_OF(starts));
	assert_int_equal(bench.echo->submits, 0);
	bench_close(&bench);
}

static void a_body_that_goes_on_coming_is_waited_for(void **state)
{
	static char part[5000];
	struct bench bench;
	int fd;

	(void)state;
	bench_open_with(
		&bench, (struct http_front_end_settings){ .body_timeout_ns = 400 * LAB_MSEC });
	fd = dial(&bench, NULL);
	say(fd, "PUT /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n");
	for (unsigned i = 0; i < 6; i++) {
		test_wait_ms(100);
		assert_int_equal(send(fd, part, sizeof(part), MSG_NOSIGNAL), sizeof(part));
	}
	assert_non_null(strstr(hear(fd, SIZE_MAX), "200 OK"));
	(void)close(fd);
	assert_int_equal(bench.echo->body_len, 30000);
	bench_close(&bench);
}

static void continue_is_said_if_the_head_is_acceptable(void **state)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench, NULL);
	say(fd, "PUT /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
		"Content-Length: 4\r\n\r\n");
	assert_string_equal(hear(fd, strlen(go_on)), go_on);
	say(fd, "data");
	assert_memory_equal(hear(fd, SIZE_MAX), "HTTP/1.1 200 OK\r\n", 17);
	(void)close(fd);
	assert_memory_equal(ask(&bench, "PUT /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
					"Content-Length: 99999999999\r\n\r\n"),
		"HTTP/1.1 400 ", 13);
	/* Who does not wait is not kept waiting. */
	assert_memory_equal(ask(&bench, "PUT /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
					"Connection: close\r\nContent-Length: 4\r\n\r\ndata"),
		"HTTP/1.1 200 ", 13);
	bench_close(&bench);
}

static void older_and_odder_requests_are_understood(void **state)
{
	struct bench bench;
	const char *answer;

	(void)state;
	bench_open(&bench);
	answer = ask(&bench, "\r\n\r\nGET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
			     "GET /two HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(answer, "Connection: keep-alive\r\n"));
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	assert_int_equal(bench.echo->submits, 2);
	answer = ask(&bench, "get http://h/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(answer, "200 OK"));
	assert_string_equal(bench.echo->method, "get");
	assert_string_equal(bench.echo->target, "http://h/x");
	answer = ask(&bench, "HEAD /h HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
			     "GET /g HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	assert_int_equal(bench.echo->submits, 5);
	assert_string_equal(bench.echo->target, "/g");
	assert_non_null(strstr(answer, "\r\n\r\nhello"));
	bench_close(&bench);
}

static void trailers_follow_the_headers(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	assert_non_null(
		strstr(ask(&bench, "PUT /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"
				   "4\r\ndata\r\n0\r\nx-amz-checksum-crc32: rfP4rQ==\r\n\r\n"),
			"200 OK"));
	assert_int_equal(bench.echo->headers, 3);
	assert_string_equal(bench.echo->last_header, "rfP4rQ==");
	bench_close(&bench);
}

#define PIPELINED 3000

/* More than is kept, and more than one read takes: the rest waits in the socket. */
static void many_pipelined_requests_are_all_answered(void **state)
{
	static const char one[] = "GET /delay/0 HTTP/1.1\r\nHost: h\r\nA: 0123456789\r\n\r\n";
	size_t total = PIPELINED * (sizeof(one) - 1), sent = 0, heard = 0;
	char *text = malloc(total + 1), in[65536];
	struct bench bench;
	unsigned waits = 0;
	int fd;

	(void)state;
	for (size_t i = 0; i < PIPELINED; i++)
		memcpy(text + i * (sizeof(one) - 1), one, sizeof(one));
	bench_open(&bench);
	fd = dial(&bench, NULL);
	for (;;) {
		ssize_t out = sent == total ? -1
					    : send(fd, text + sent, total - sent,
						      MSG_NOSIGNAL | MSG_DONTWAIT);
		ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

		sent += (size_t)LAB_MAX(out, 0);
		if (out > 0 && sent == total)
			(void)shutdown(fd, SHUT_WR);
		if (n == 0)
			break;
		heard += (size_t)LAB_MAX(n, 0);
		if (n > 0 || out > 0)
			continue;
		assert_true(++waits < 20000);
		test_wait_ms(1);
	}
	(void)close(fd);
	free(text);
	sync_with_service();
	assert_int_equal(bench.echo->submits, PIPELINED);
	assert_true(heard > PIPELINED * (size_t)10000);
	bench_close(&bench);
}

static void answers_leave_exactly_as_the_service_says(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	assert_string_equal(ask(&bench, "GET /slow-down/ HTTP/1.1\r\nHost: h\r\n\r\n"),
		"HTTP/1.1 503 Slow Down\r\nx-amz-request-id: R\r\n"
		"content-type: application/xml\r\ntransfer-encoding: chunked\r\ndate: now\r\n"
		"connection: close\r\nx-empty: \r\n\r\n8\r\n<Error/>\r\n0\r\n\r\n");
	bench_close(&bench);
}

static void bodies_are_cut_where_the_service_says(void **state)
{
	struct bench bench;
	long status;

	(void)state;
	bench_open(&bench);
	bench.echo->cut_at = 123;
	assert_int_equal(bench_get(&bench, "GET", "/wire/3", NULL, 0, &status), CURLE_RECV_ERROR);
	assert_int_equal(bench.got, 123);
	bench_close(&bench);
}

static void a_trickle_takes_its_time(void **state)
{
	struct bench bench;
	double took;

	(void)state;
	bench_open(&bench);
	bench.echo->bytes_per_s = 20000;
	assert_get(&bench, "/wire/6");
	(void)curl_easy_getinfo(bench.curl, CURLINFO_TOTAL_TIME, &took);
	assert_true(took >= 0.45 && took < 2.5);
	assert_int_equal(bench.got, 10000);
	assert_get(&bench, "/"); /* on the same connection */
	assert_int_equal(bench.echo->connection, bench.echo->first_connection);
	bench_close(&bench);
}

static void a_trickle_ends_when_the_client_goes(void **state)
{
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	bench.echo->bytes_per_s = 2;
	fd = dial(&bench, NULL);
	say(fd, "GET /wire/6 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_memory_equal(hear(fd, 20), "HTTP/1.1 200 OK\r\n", 17);
	(void)close(fd);
	for (unsigned i = 0; http_front_end_stats(bench.front_end).open > 0; i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	bench_close(&bench);
}

static void dropped_connections_end_without_notice(void **state)
{
	const struct sim_connection_life life = { 3, 3, UINT64_MAX, false };
	struct bench bench;
	const char *answer;

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .life = &life });
	answer = ask(&bench, "GET /wire/5 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_non_null(strstr(answer, "200 OK"));
	assert_null(strstr(answer, "onnection:"));
	/* The same after the third answer. */
	answer =
		ask(&bench, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_null(strstr(answer, "onnection:"));
	assert_string_equal(bench.echo->target, "/3");
	bench_close(&bench);
}

static void too_many_connections_are_told_so(void **state)
{
	struct bench bench;
	int fds[3];

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .connections_max = 3 });
	for (unsigned i = 0; i < 3; i++)
		fds[i] = dial(&bench, NULL);
	assert_non_null(strstr(ask(&bench, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "<Error>11 "));
	assert_int_equal(bench.echo->submits, 0);
	for (unsigned i = 0; i < 3; i++)
		(void)close(fds[i]);
	for (unsigned i = 0; http_front_end_stats(bench.front_end).open > 0; i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	assert_get(&bench, "/");
	bench_close(&bench);
}

#define CROWD 2500

static void thousands_of_idle_connections_do_not_hinder(void **state)
{
	struct rlimit limit;
	struct bench bench;
	int *fds;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = LAB_MIN(limit.rlim_max, 2 * CROWD + 200);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2 * CROWD + 200)
		skip();
	fds = calloc(CROWD, sizeof(*fds));
	bench_open(&bench);
	for (unsigned i = 0; i < CROWD; i++) {
		fds[i] = dial(&bench, NULL);
		/* Every second one has asked once, with a body; every third is in a head. */
		if (i % 2 == 0)
			say(fds[i], "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ndata");
		if (i % 3 == 0)
			say(fds[i], "GET / HTTP/1.1\r\nHo");
	}
	for (unsigned i = 0; i < 200; i++)
		assert_get(&bench, "/");
	assert_int_equal(bench.echo->submits, CROWD / 2 + 200);
	assert_int_equal(http_front_end_stats(bench.front_end).open, CROWD + 1);
	assert_true(http_front_end_stats(bench.front_end).memory_bytes < (size_t)CROWD * 2048);
	for (unsigned i = 0; i < CROWD; i++)
		(void)close(fds[i]);
	free(fds);
	bench_close(&bench);
}

#define DEAF 8

static void answers_that_nobody_reads_are_limited(void **state)
{
	struct bench bench;
	int fds[DEAF];

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .memory_max_bytes = 12 << 20 });
	for (unsigned i = 0; i < DEAF; i++) {
		int small = 4096;

		fds[i] = dial(&bench, NULL);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		say(fds[i], "GET /big/8388608 HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	/* Few of them fit, beside what sockets hold; the others are reset. */
	for (unsigned i = 0; http_front_end_stats(bench.front_end).open > DEAF / 2; i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	assert_true(http_front_end_stats(bench.front_end).memory_bytes < (size_t)28 << 20);
	for (unsigned i = 0; i < DEAF; i++)
		(void)close(fds[i]);
	/* And the memory comes back. */
	for (unsigned i = 0; http_front_end_stats(bench.front_end).open > 0; i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	assert_true(http_front_end_stats(bench.front_end).memory_bytes < (size_t)1 << 20);
	assert_get(&bench, "/big/8388608");
	assert_int_equal(bench.got, 8388608);
	bench_close(&bench);
}

static void silenced_connections_are_limited_in_number(void **state)
{
	struct bench bench;
	char byte;
	int fds[3];

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .silenced_max = 2 });
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = dial(&bench, NULL);
		say(fds[i], "GET /wire/4 HTTP/1.1\r\nHost: h\r\n\r\n");
		test_wait_ms(20);
	}
	/* The first is reset, the others wait. */
	assert_int_equal(recv(fds[0], &byte, 1, 0), -1);
	assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(http_front_end_stats(bench.front_end).silenced, 2);
	for (unsigned i = 0; i < 3; i++)
		(void)close(fds[i]);
	bench_close(&bench);
}

static void connections_are_closed_after_their_share_of_requests(void **state)
{
	struct sim_connection_life life;
	struct bench bench;

	(void)state;
	life = (struct sim_connection_life){ 10, 10, UINT64_MAX, true };
	bench_open_with(&bench, (struct http_front_end_settings){ .life = &life });
	for (unsigned i = 0; i < 30; i++)
		assert_get(&bench, "/");
	assert_int_equal(http_front_end_stats(bench.front_end).connections, 3);
	bench_close(&bench);
}

static void idle_connections_are_closed(void **state)
{
	const struct sim_connection_life life = { UINT32_MAX, UINT32_MAX, 50 * LAB_MSEC, false };
	struct bench bench;
	int fd;

	(void)state;
	bench_open_with(&bench, (struct http_front_end_settings){ .life = &life });
	fd = dial(&bench, NULL);
	assert_string_equal(hear(fd, 1), "");
	(void)close(fd);
	bench_close(&bench);
}

/* ---- life ---- */

static void an_address_in_use_is_an_error(void **state)
{
	struct http_front_end_settings settings = { 0 };
	struct http_front_end *second;
	struct lab_error err;
	struct bench bench;

	(void)state;
	bench_open(&bench);
	settings.service = (struct sim_http_service){ &echo_ops, bench.echo };
	settings.port = http_front_end_port(bench.front_end);
	assert_int_equal(http_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	settings.address = "localhost";
	assert_int_equal(http_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	settings.address = "192.0.2.1";
	assert_int_equal(http_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_IO);
	bench_close(&bench);
}

static void freeing_closes_what_is_under_way(void **state)
{
	struct bench bench;
	int fds[3];

	(void)state;
	bench_open(&bench);
	fds[0] = dial(&bench, NULL);
	say(fds[0], "GET /delay/60000 HTTP/1.1\r\nHost: h\r\n\r\n");
	fds[1] = dial(&bench, NULL);
	say(fds[1], "GET /wire/4 HTTP/1.1\r\nHost: h\r\n\r\n");
	fds[2] = dial(&bench, NULL);
	say(fds[2], "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
	for (unsigned i = 0; http_front_end_stats(bench.front_end).pending == 0 ||
			     http_front_end_stats(bench.front_end).silenced == 0;
		i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	bench_close(&bench);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(hear(fds[i], SIZE_MAX), "");
		(void)close(fds[i]);
	}
}

static void answers_to_those_who_left_go_nowhere(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (unsigned i = 0; i < 20; i++) {
		int fd = dial(&bench, NULL);

		say(fd, "GET /delay/100 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: "
			"h\r\n\r\n");
		for (unsigned j = 0; http_front_end_stats(bench.front_end).requests <= i; j++) {
			assert_true(j < 3000);
			test_wait_ms(1);
		}
		/* With an RST, or with a FIN that may mean that it still listens. */
		if (i % 2 == 0)
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		(void)close(fd);
	}
	assert_true(http_front_end_stats(bench.front_end).pending > 0);
	for (unsigned i = 0; http_front_end_stats(bench.front_end).pending > 0 ||
			     http_front_end_stats(bench.front_end).open > 0;
		i++) {
		assert_true(i < 3000);
		test_wait_ms(1);
	}
	assert_get(&bench, "/");
	bench_close(&bench);
}

struct call {
	struct bench *bench;
	pthread_t thread;
	unsigned submits;
	bool nested;
};

static void call_nested(void *ctx)
{
	((struct call *)ctx)->nested = true;
}

static void call_look(void *ctx)
{
	struct call *call = ctx;

	call->thread = pthread_self();
	call->submits = call->bench->echo->submits;
	http_front_end_call(call->bench->front_end, call_nested, call);
}

static void calls_run_on_the_services_thread(void **state)
{
	struct bench bench;
	struct call call = { .bench = &bench };

	(void)state;
	bench_open(&bench);
	assert_get(&bench, "/");
	http_front_end_call(bench.front_end, call_look, &call);
	assert_true(pthread_equal(call.thread, bench.echo->thread));
	assert_false(pthread_equal(call.thread, pthread_self()));
	assert_int_equal(call.submits, 1);
	assert_true(call.nested);
	bench_close(&bench);
}

static void the_services_clock_starts_where_the_caller_says(void **state)
{
	struct timespec now;
	struct bench bench;

	(void)state;
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	bench_open_with(&bench, (struct http_front_end_settings){
					.start_ns = (uint64_t)now.tv_sec * LAB_SEC +
						    (uint64_t)now.tv_nsec - 100 * LAB_SEC });
	assert_get(&bench, "/");
	assert_in_range(bench.echo->last_ns, 100 * LAB_SEC, 110 * LAB_SEC);
	bench_close(&bench);
}

/* ---- the live world as a client ---- */

struct client {
	struct env *env;
	struct lab_arena *arena;
	struct lab_http_response response;
	struct env_http_stats stats;
	struct lab_error err;
	int result;
	uint64_t timeout_ns;
};

static void client_ask(struct client *client, const char *method, const char *target)
{
	const struct env_http_limits limits = { .connect_timeout_ns = 2 * LAB_SEC,
		.response_timeout_ns = client->timeout_ns,
		.response_max_bytes = 1 << 20 };
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.tls = true,
		.authority = LAB_VIEW("b.s3.amazonaws.com"),
		.target = lab_view_cstr(target) };

	client->result = env_http(client->env, &request, &limits, client->arena, &client->response,
		&client->stats, &client->err);
}

static void client_expect(struct client *client, const char *target, enum lab_code code)
{
	client_ask(client, "PUT", target);
	if (code == LAB_OK ? client->result != 0 : client->result != -1 || client->err.code != code)
		fail_msg("%s: %d %s", target, client->result, client->err.message);
}

static void client_main(struct env *env, void *arg)
{
	struct client client = { .env = env,
		.arena = lab_arena_new(env->heap, 16 << 20),
		.timeout_ns = 300 * LAB_MSEC };

	for (unsigned i = 0; i < 2; i++) {
		const char *prefix = i == 0 ? "/wire/" : "/wire-later/";
		char target[32];

		for (unsigned wire = 0; wire <= SIM_WIRE_SILENCE; wire++) {
			(void)snprintf(target, sizeof(target), "%s%u", prefix, wire);
			client_expect(&client, target,
				wire <= SIM_WIRE_ANSWER_CLOSE ? LAB_OK : LAB_UNCERTAIN);
		}
	}
	client_ask(&client, "HEAD", "/wire/0");
	assert_int_equal(client.result, 0);
	assert_true(lab_view_eq_cstr(
		lab_http_header_get(&client.response.headers, "Content-Length"), "7"));
	*(bool *)arg = true;
}

static void delayed_get(void *ctx, size_t index)
{
	struct client *client = ctx;
	struct client mine = { .env = client->env, .timeout_ns = 20 * LAB_SEC };
	char target[32];

	mine.arena = lab_arena_new(client->env->heap, 1 << 20);
	(void)snprintf(target, sizeof(target), "/delay/%zu", index % 20);
	client_expect(&mine, target, LAB_OK);
	lab_arena_free(&mine.arena);
}

static void crowd_main(struct env *env, void *arg)
{
	struct client client = { .env = env };

	env_for_each(env, 3000, 200, delayed_get, &client);
	*(bool *)arg = true;
}

static void run_live(live_main_fn main_fn)
{
	static const struct front_end_peer peers[] = { { .address = "127.0.2.1", .name = "b1" } };
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host_settings = {
		.hostname = "b1", .root = "/tmp", .source_address = "127.0.2.1"
	};
	struct live_host *host;
	bool done = false;
	struct bench bench;
	struct live *live;

	assert_int_equal(live_new(&settings, &live, NULL), 0);
	assert_int_equal(live_host_new(live, &host_settings, &host, NULL), 0);
	bench_open_with(
		&bench, (struct http_front_end_settings){
				.start_ns = live_start_ns(live), .peers = peers, .peer_count = 1 });
	assert_int_equal(live_map(live, "*.s3.amazonaws.com:443", "127.0.0.1",
				 http_front_end_port(bench.front_end), true, NULL),
		0);
	assert_int_equal(live_start(host, "main", main_fn, &done, NULL), 0);
	assert_int_equal(live_run(live, 60 * LAB_SEC, NULL, NULL), 0);
	assert_true(done);
	sync_with_service();
	assert_string_equal(bench.echo->peer, "b1");
	live_free(&live);
	bench_close(&bench);
}

static void the_live_world_classifies_every_wire_action(void **state)
{
	(void)state;
	run_live(client_main);
}

static void hundreds_of_delayed_replies_wait_at_a_time(void **state)
{
	(void)state;
	run_live(crowd_main);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_service_sees_the_request_as_it_was_sent),
		cmocka_unit_test(the_client_sees_the_answer_as_it_was_given),
		cmocka_unit_test(head_tells_the_length_without_a_body),
		cmocka_unit_test(keep_alive_lasts_for_thousands_of_requests),
		cmocka_unit_test(big_bodies_go_both_ways),
		cmocka_unit_test(wire_actions_look_like_the_real_faults),
		cmocka_unit_test(delayed_wire_actions_look_the_same),
		cmocka_unit_test(a_truncated_empty_body_breaks_off),
		cmocka_unit_test(silence_lasts_until_the_client_gives_up),
		cmocka_unit_test(delays_are_kept_to_the_millisecond),
		cmocka_unit_test(slow_clients_are_waited_for),
		cmocka_unit_test(chunked_bodies_are_joined),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(known_peers_have_their_names),
		cmocka_unit_test(too_much_is_refused_in_the_services_own_words),
		cmocka_unit_test(too_many_headers_are_refused),
		cmocka_unit_test(bodies_share_a_limited_memory),
		cmocka_unit_test(what_is_no_request_is_refused_by_the_service),
		cmocka_unit_test(a_refusal_reaches_those_who_go_on_sending),
		cmocka_unit_test(lengths_are_asked_for_where_the_service_needs_them),
		cmocka_unit_test(slow_heads_and_bodies_time_out),
		cmocka_unit_test(a_body_that_goes_on_coming_is_waited_for),
		cmocka_unit_test(continue_is_said_if_the_head_is_acceptable),
		cmocka_unit_test(older_and_odder_requests_are_understood),
		cmocka_unit_test(trailers_follow_the_headers),
		cmocka_unit_test(many_pipelined_requests_are_all_answered),
		cmocka_unit_test(answers_leave_exactly_as_the_service_says),
		cmocka_unit_test(bodies_are_cut_where_the_service_says),
		cmocka_unit_test(a_trickle_takes_its_time),
		cmocka_unit_test(a_trickle_ends_when_the_client_goes),
		cmocka_unit_test(dropped_connections_end_without_notice),
		cmocka_unit_test(too_many_connections_are_told_so),
		cmocka_unit_test(thousands_of_idle_connections_do_not_hinder),
		cmocka_unit_test(answers_that_nobody_reads_are_limited),
		cmocka_unit_test(silenced_connections_are_limited_in_number),
		cmocka_unit_test(connections_are_closed_after_their_share_of_requests),
		cmocka_unit_test(idle_connections_are_closed),
		cmocka_unit_test(an_address_in_use_is_an_error),
		cmocka_unit_test(freeing_closes_what_is_under_way),
		cmocka_unit_test(answers_to_those_who_left_go_nowhere),
		cmocka_unit_test(calls_run_on_the_services_thread),
		cmocka_unit_test(the_services_clock_starts_where_the_caller_says),
		cmocka_unit_test(the_live_world_classifies_every_wire_action),
		cmocka_unit_test(hundreds_of_delayed_replies_wait_at_a_time),
	};

	return cmocka_run_group_tests_name("http-front-end", tests, NULL, NULL);
}
