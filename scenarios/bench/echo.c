/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/bench/echo.h"

#include "scenarios/bench/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_BYTES ((size_t)256 << 10)

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

static int start(struct echo *echo, struct lab_error *err)
{
	echo->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (echo->epoll < 0 || pipe(echo->stop) < 0 || echo_listen(echo) < 0 ||
		echo_watch(echo, echo->listener) < 0 || echo_watch(echo, echo->stop[0]) < 0 ||
		pthread_create(&echo->thread, NULL, echo_main, echo) != 0)
		return lab_fail(err, LAB_LIMIT, "the echo server does not start");
	echo->runs = true;
	return 0;
}

int echo_start(struct lab_heap *heap, struct echo **ret, struct lab_error *err)
{
	*ret = lab_new(heap, struct echo);
	return start(*ret, err);
}

uint16_t echo_port(const struct echo *echo)
{
	return echo->port;
}

void echo_stop(struct echo *echo)
{
	if (echo == NULL || !echo->runs)
		return;
	lab_assert(write(echo->stop[1], "", 1) == 1);
	lab_assert(pthread_join(echo->thread, NULL) == 0);
}
