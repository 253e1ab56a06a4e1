/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-rows.c - the CQL emulator over sockets, beside a server that sends back what it gets.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/emulators.h"
#include "scenarios/bench/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 4
#define STREAMS 128
#define ANSWER_MAX 65536
#define ECHO_BYTES ((size_t)256 << 10)

/* ---- the echo server ---- */

struct echo {
	int listener, epoll, stop[2];
	uint16_t port;
	pthread_t thread;
	bool runs;
	char bytes[ECHO_BYTES];
};

static int echo_watch(struct echo *echo, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(echo->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void echo_accept(struct echo *echo)
{
	int fd = accept(echo->listener, NULL, NULL), on = 1;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (echo_watch(echo, fd) < 0)
		close(fd);
}

static void echo_back(struct echo *echo, int fd)
{
	ssize_t n = recv(fd, echo->bytes, sizeof(echo->bytes), 0);

	if (n <= 0 || bench_send(fd, lab_view_of(echo->bytes, (size_t)n), NULL) < 0)
		close(fd);
}

static void *echo_main(void *arg)
{
	struct echo *echo = arg;
	struct epoll_event events[BENCH_CONNECTIONS_MAX];

	for (;;) {
		int n = epoll_wait(echo->epoll, events, BENCH_CONNECTIONS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == echo->stop[0])
				return NULL;
			if (events[i].data.fd == echo->listener)
				echo_accept(echo);
			else
				echo_back(echo, events[i].data.fd);
		}
	}
}

static int echo_listen(struct echo *echo)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (echo->listener < 0 ||
		bind(echo->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(echo->listener, BENCH_CONNECTIONS_MAX) < 0 ||
		getsockname(echo->listener, (struct sockaddr *)&address, &size) < 0)
		return -1;
	echo->port = ntohs(address.sin_port);
	return 0;
}

static int echo_start(struct echo *echo, struct lab_error *err)
{
	echo->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (echo->epoll < 0 || pipe(echo->stop) < 0 || echo_listen(echo) < 0 ||
		echo_watch(echo, echo->listener) < 0 || echo_watch(echo, echo->stop[0]) < 0 ||
		pthread_create(&echo->thread, NULL, echo_main, echo) != 0)
		return lab_fail(err, LAB_LIMIT, "the echo server does not start");
	echo->runs = true;
	return 0;
}

/* Its sockets end with the row's process. */
static void echo_stop(struct echo *echo)
{
	if (!echo->runs)
		return;
	lab_assert(write(echo->stop[1], "", 1) == 1);
	lab_assert(pthread_join(echo->thread, NULL) == 0);
}

/* ---- the rows ---- */

struct cql_rows {
	struct emulators emulators;
	struct echo *echo;
	struct cql_load value, limit;
};

struct asker {
	int fd;
	uint8_t answer[ANSWER_MAX];
};

static int ask(void *ctx, struct lab_view frame, struct lab_view *ret, struct lab_error *err)
{
	struct asker *asker = ctx;

	return cql_load_ask(asker->fd, frame, asker->answer, sizeof(asker->answer), ret, err);
}

static int make_frames(
	struct cql_rows *rows, uint16_t port, struct lab_view **ret, struct lab_error *err)
{
	struct emulators *e = &rows->emulators;
	struct asker *asker = lab_new(e->heap, struct asker);
	struct lab_view ready;
	int result;

	if (bench_dial(port, &asker->fd, err) < 0)
		return -1;
	result = ask(asker, bench_cql_startup(e), &ready, err);
	if (result == 0)
		result = bench_cql_frames(e, ask, asker, ret, err);
	close(asker->fd);
	return result;
}

static int open_rows(struct cql_rows *rows, unsigned nodes, struct lab_error *err)
{
	struct emulators *e = &rows->emulators;
	struct lab_view *frames;
	uint16_t port;

	emulators_init(e);
	if (emulators_cql(e, nodes, err) < 0 || emulators_cql_serve(e, err) < 0)
		return -1;
	port = stream_front_end_port(e->cql_front);
	rows->echo = lab_new(e->heap, struct echo);
	if (make_frames(rows, port, &frames, err) < 0 || echo_start(rows->echo, err) < 0)
		return -1;
	rows->value = (struct cql_load){ .port = port,
		.hello = bench_cql_startup(e),
		.frames = frames,
		.frame_count = BENCH_CQL_FRAMES,
		.connections = CONNECTIONS,
		.streams = STREAMS };
	rows->limit = rows->value;
	rows->limit.port = rows->echo->port;
	return 0;
}

static int sample(
	const struct cql_load *load, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct bench_load_result result;

	if (cql_load_run(load, slice_ns, &result, err) < 0)
		return -1;
	*ret = bench_per_second(result.answers, result.ns);
	return 0;
}

static int sample_emulator(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return sample(&((struct cql_rows *)ctx)->value, slice_ns, ret, err);
}

static int sample_echo(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return sample(&((struct cql_rows *)ctx)->limit, slice_ns, ret, err);
}

static int measure(unsigned nodes, struct bench_result *ret, struct lab_error *err)
{
	struct cql_rows rows = { .echo = NULL };
	int result = open_rows(&rows, nodes, err);

	if (result == 0)
		result = bench_take_turns(sample_emulator, sample_echo, &rows, false, ret, err);
	if (rows.echo != NULL)
		echo_stop(rows.echo);
	emulators_free(&rows.emulators);
	return result;
}

int bench_live_cql(struct bench_result *ret, struct lab_error *err)
{
	return measure(1, ret, err);
}

int bench_live_cql_quorum(struct bench_result *ret, struct lab_error *err)
{
	return measure(3, ret, err);
}
