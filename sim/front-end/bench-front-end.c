/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-front-end.c - what the adapters cost beside the bare libraries, each over loopback in this
 * one process:
 *
 *   http.server    4 KiB GETs and PUTs a second and server CPU for each, front end and bare
 * libmicrohttpd http.client    client CPU of one 4 KiB GET, env_http and bare libcurl, 1 and 32 at
 * a time stream.server  100-byte echoes a second, 32 connections with 16 under way on each start
 * time until a front end listens
 *
 * Prints one line for each: name, value, unit, the bare figure, ratio. SECONDS as first
 * argument, 2.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "core/env/live/live.h"
#include "sim/front-end/http-front-end.h"
#include "sim/front-end/stream-front-end.h"

#define BODY_BYTES 4096
#define CLIENTS 32
#define ECHO_BYTES 100
#define ECHO_DEPTH 16

static uint64_t seconds = 2;
static char body[BODY_BYTES];

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	lab_assert(clock_gettime(clock, &now) == 0);
	return (uint64_t)now.tv_sec * LAB_SEC + (uint64_t)now.tv_nsec;
}

struct figure {
	double per_s;
	double server_us, client_us; /* CPU for each */
};

struct stopwatch {
	uint64_t wall, process, thread;
};

static struct stopwatch stopwatch_now(void)
{
	return (struct stopwatch){ clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		clock_ns(CLOCK_THREAD_CPUTIME_ID) };
}

/* The client is the calling thread; the rest of the process is the server. */
static struct figure stopwatch_figure(struct stopwatch from, uint64_t count)
{
	struct stopwatch now = stopwatch_now();
	double wall = (double)(now.wall - from.wall), n = (double)LAB_MAX(count, 1);
	double thread = (double)(now.thread - from.thread);
	double process = (double)(now.process - from.process);

	return (struct figure){ n / wall * 1e9, (process - thread) / n / 1e3, thread / n / 1e3 };
}

static void print_figure(const char *name, double value, const char *unit, double bare)
{
	printf("%-32s %12.1f %-6s bare %12.1f  ratio %.2f\n", name, value, unit, bare,
		bare > 0 ? value / bare : 0);
}

/* ---- a client of raw sockets, so that the client costs little ---- */

struct raw_client {
	int fd;
	size_t left; /* bytes of answers that are still to come */
};

static int raw_dial(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	lab_assert(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	lab_assert(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	return fd;
}

/* How long one answer is: the first tells. */
static size_t raw_answer_size(int fd, const char *request, size_t len)
{
	char in[16384];
	size_t have = 0, total = SIZE_MAX;

	lab_assert(send(fd, request, len, 0) == (ssize_t)len);
	while (have < total) {
		ssize_t n = recv(fd, in + have, sizeof(in) - 1 - have, 0);
		char *end;

		lab_assert(n > 0);
		have += (size_t)n;
		in[have] = '\0';
		end = strstr(in, "\r\n\r\n");
		if (end != NULL && total == SIZE_MAX) {
			char *length = strstr(in, "Content-Length: ");

			lab_assert(length != NULL);
			total = (size_t)(end + 4 - in) + (size_t)strtoull(length + 16, NULL, 10);
		}
	}
	return total;
}

/* Keeps every connection busy with `depth` requests for the time. */
static struct figure raw_load(
	uint16_t port, const char *request, size_t len, size_t answer, unsigned depth)
{
	static char sink[1 << 16];
	struct raw_client clients[CLIENTS];
	struct epoll_event events[CLIENTS];
	struct stopwatch start;
	int epoll = epoll_create1(0);
	uint64_t count = 0, until;

	for (size_t i = 0; i < CLIENTS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &clients[i] };

		clients[i].fd = raw_dial(port);
		clients[i].left = answer * depth;
		lab_assert(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) == 0);
		lab_assert(send(clients[i].fd, request, len, 0) == (ssize_t)len);
	}
	start = stopwatch_now();
	until = start.wall + seconds * LAB_SEC;
	while (clock_ns(CLOCK_MONOTONIC) < until) {
		int ready = epoll_wait(epoll, events, CLIENTS, 1000);

		for (int i = 0; i < ready; i++) {
			struct raw_client *client = events[i].data.ptr;
			ssize_t n = recv(client->fd, sink, LAB_MIN(client->left, sizeof(sink)), 0);

			lab_assert(n > 0);
			client->left -= (size_t)n;
			if (client->left > 0)
				continue;
			count += depth;
			client->left = answer * depth;
			lab_assert(send(client->fd, request, len, 0) == (ssize_t)len);
		}
	}
	for (size_t i = 0; i < CLIENTS; i++)
		(void)close(clients[i].fd);
	(void)close(epoll);
	return stopwatch_figure(start, count);
}

static struct figure raw_http(uint16_t port, const char *method)
{
	static char request[8192];
	bool put = strcmp(method, "PUT") == 0;
	size_t len = (size_t)snprintf(request, sizeof(request),
		"%s /bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", method,
		put ? BODY_BYTES : 0);
	int fd = raw_dial(port);
	size_t answer;

	if (put) {
		memcpy(request + len, body, BODY_BYTES);
		len += BODY_BYTES;
	}
	answer = raw_answer_size(fd, request, len);
	(void)close(fd);
	return raw_load(port, request, len, answer, 1);
}

/* ---- the servers ---- */

static void service_submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *ctx)
{
	struct sim_http_reply answer = { .wire = SIM_WIRE_ANSWER };

	(void)service;
	(void)peer;
	(void)now_ns;
	answer.response.status = 200;
	if (lab_view_eq_cstr(request->method, "GET"))
		answer.response.body = lab_view_of(body, BODY_BYTES);
	reply(ctx, &answer);
}

static void service_advance(void *service, uint64_t now_ns)
{
	(void)service;
	(void)now_ns;
}

static uint64_t service_next(void *service)
{
	(void)service;
	return UINT64_MAX;
}

static const struct sim_http_ops http_ops = {
	.submit = service_submit, .advance = service_advance, .next_deadline = service_next
};

static struct http_front_end *front_end_start(void)
{
	const struct http_front_end_settings settings = { .service = { &http_ops, NULL } };
	struct http_front_end *front_end;
	struct lab_error err;

	if (http_front_end_new(&settings, &front_end, &err) < 0)
		lab_bug("the front end does not start");
	return front_end;
}

static enum MHD_Result bare_request(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **request_ctx)
{
	static int seen;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)ctx;
	(void)url;
	(void)version;
	(void)upload;
	if (*request_ctx == NULL) {
		*request_ctx = &seen;
		return MHD_YES;
	}
	if (*upload_size > 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(
		strcmp(method, "GET") == 0 ? BODY_BYTES : 0, body, MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static void bench_http_server(void)
{
	static const char *const methods[] = { "GET", "PUT" };

	for (size_t i = 0; i < LAB_COUNT_OF(methods); i++) {
		struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL,
			NULL, bare_request, NULL, MHD_OPTION_END);
		struct http_front_end *front_end = front_end_start();
		struct figure bare = raw_http(
			MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port, methods[i]);
		struct figure ours = raw_http(http_front_end_port(front_end), methods[i]);
		char name[64];

		(void)snprintf(name, sizeof(name), "http.server.%s_4k_per_s", methods[i]);
		print_figure(name, ours.per_s, "1/s", bare.per_s);
		(void)snprintf(name, sizeof(name), "http.server.%s_4k_cpu_us", methods[i]);
		print_figure(name, ours.server_us, "us", bare.server_us);
		MHD_stop_daemon(daemon);
		http_front_end_free(&front_end);
	}
}

/* ---- the client ---- */

struct client {
	struct env *env;
	uint64_t until_ns, count;
	unsigned parallel;
};

static void client_loop(void *ctx, size_t index)
{
	const struct env_http_limits limits = { .connect_timeout_ns = LAB_SEC,
		.response_timeout_ns = 5 * LAB_SEC,
		.response_max_bytes = 1 << 20 };
	const struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW("bench"),
		.target = LAB_VIEW("/bucket/key") };
	struct client *client = ctx;
	struct lab_arena *arena = lab_arena_new(client->env->heap, 1 << 20);
	struct lab_http_response response;

	(void)index;
	while (env_now(client->env) < client->until_ns) {
		lab_assert(env_http(client->env, &request, &limits, arena, &response, NULL, NULL) ==
			   0);
		lab_arena_reset(arena);
		client->count++;
	}
	lab_arena_free(&arena);
}

static void client_main(struct env *env, void *arg)
{
	struct client *client = arg;

	client->env = env;
	client->until_ns = env_now(env) + seconds * LAB_SEC;
	env_for_each(env, client->parallel, client->parallel, client_loop, client);
}

static struct figure live_client(uint16_t port, unsigned parallel)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host_settings = { .hostname = "b1", .root = "/tmp" };
	struct client client = { .parallel = parallel };
	struct stopwatch start;
	struct figure figure;
	struct live_host *host;
	struct live *live;

	lab_assert(live_new(&settings, &live, NULL) == 0);
	lab_assert(live_map(live, "bench:80", "127.0.0.1", port, false, NULL) == 0);
	lab_assert(live_host_new(live, &host_settings, &host, NULL) == 0);
	lab_assert(live_start(host, "bench", client_main, &client, NULL) == 0);
	start = stopwatch_now();
	lab_assert(live_run(live, ENV_FOREVER, NULL, NULL) == 0);
	figure = stopwatch_figure(start, client.count);
	live_free(&live);
	return figure;
}

static size_t bare_sink(char *data, size_t size, size_t count, void *ctx)
{
	(void)data;
	(void)ctx;
	return size * count;
}

static CURL *bare_easy(uint16_t port)
{
	CURL *easy = curl_easy_init();
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/bucket/key", port);
	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, bare_sink);
	return easy;
}

static struct figure bare_client(uint16_t port, unsigned parallel)
{
	CURLM *multi = curl_multi_init();
	CURL *easies[CLIENTS];
	struct stopwatch start = stopwatch_now();
	uint64_t until = start.wall + seconds * LAB_SEC, count = 0;
	struct figure figure;

	for (unsigned i = 0; i < parallel; i++) {
		easies[i] = bare_easy(port);
		(void)curl_multi_add_handle(multi, easies[i]);
	}
	while (clock_ns(CLOCK_MONOTONIC) < until) {
		CURLMsg *message;
		int running, left;

		(void)curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL) {
			CURL *easy = message->easy_handle;

			lab_assert(message->data.result == CURLE_OK);
			count++;
			(void)curl_multi_remove_handle(multi, easy);
			(void)curl_multi_add_handle(multi, easy);
		}
		(void)curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	figure = stopwatch_figure(start, count);
	for (unsigned i = 0; i < parallel; i++) {
		(void)curl_multi_remove_handle(multi, easies[i]);
		curl_easy_cleanup(easies[i]);
	}
	(void)curl_multi_cleanup(multi);
	return figure;
}

static void bench_http_client(void)
{
	static const unsigned parallels[] = { 1, CLIENTS };
	struct http_front_end *front_end = front_end_start();
	uint16_t port = http_front_end_port(front_end);

	for (size_t i = 0; i < LAB_COUNT_OF(parallels); i++) {
		struct figure bare = bare_client(port, parallels[i]);
		struct figure ours = live_client(port, parallels[i]);
		char name[64];

		(void)snprintf(name, sizeof(name), "http.client.%u.cpu_us", parallels[i]);
		print_figure(name, ours.client_us, "us", bare.client_us);
		(void)snprintf(name, sizeof(name), "http.client.%u.per_s", parallels[i]);
		print_figure(name, ours.per_s, "1/s", bare.per_s);
	}
	http_front_end_free(&front_end);
}

/* ---- streams ---- */

struct echo_stream {
	sim_stream_output_fn output;
	void *ctx;
};

static void *echo_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *ctx)
{
	struct echo_stream *stream = malloc(sizeof(*stream));

	(void)service;
	(void)instance;
	(void)peer;
	(void)now_ns;
	lab_assert(stream != NULL);
	*stream = (struct echo_stream){ output, ctx };
	return stream;
}

/* An output for each message, as a service would make them. */
static void echo_input(void *connection, struct lab_view data, uint64_t now_ns)
{
	struct echo_stream *stream = connection;

	(void)now_ns;
	for (size_t at = 0; at < data.len; at += ECHO_BYTES)
		stream->output(stream->ctx, lab_view_sub(data, at, ECHO_BYTES), SIM_WIRE_ANSWER);
}

static void echo_closed(void *connection, uint64_t now_ns)
{
	(void)now_ns;
	free(connection);
}

static const struct sim_stream_ops stream_ops = { .accept = echo_accept,
	.input = echo_input,
	.closed = echo_closed,
	.advance = service_advance,
	.next_deadline = service_next };

static void bench_stream_server(void)
{
	static char request[ECHO_BYTES * ECHO_DEPTH];
	const struct stream_front_end_node node = { "n1", "127.0.0.1" };
	const struct stream_front_end_settings settings = {
		.service = { &stream_ops, NULL }, .nodes = &node, .node_count = 1
	};
	struct stream_front_end *front_end;
	struct figure figure;

	lab_assert(stream_front_end_new(&settings, &front_end, NULL) == 0);
	figure = raw_load(
		stream_front_end_port(front_end), request, sizeof(request), ECHO_BYTES, ECHO_DEPTH);
	print_figure("stream.server.echo_per_s", figure.per_s, "1/s", 0);
	print_figure("stream.server.echo_cpu_us", figure.server_us, "us", 0);
	stream_front_end_free(&front_end);
}

static void bench_start(void)
{
	uint64_t before = clock_ns(CLOCK_MONOTONIC), took;
	struct http_front_end *front_end = front_end_start();

	took = clock_ns(CLOCK_MONOTONIC) - before;
	print_figure("start.http_us", (double)took / 1e3, "us", 0);
	http_front_end_free(&front_end);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds = LAB_MAX(strtoull(argv[1], NULL, 10), 1);
	memset(body, 'b', sizeof(body));
	bench_start();
	bench_http_server();
	bench_http_client();
	bench_stream_server();
	return 0;
}
