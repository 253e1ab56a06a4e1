/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/bench/sockets.h"

#include "scenarios/bench/bench-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int bench_dial_to(const struct cql_target *target, int *ret_fd, struct lab_error *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(target->port) };
	struct timeval patience = { .tv_sec = BENCH_SOCKET_TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return lab_fail(err, LAB_LIMIT, "no socket");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (target->host != NULL && inet_pton(AF_INET, target->host, &address.sin_addr) != 1) {
		close(fd);
		return lab_fail(err, LAB_INVALID, "%s is not an address", target->host);
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return lab_fail(err, LAB_REFUSED, "port %u: cannot connect", target->port);
	}
	*ret_fd = fd;
	return 0;
}

int bench_dial(uint16_t port, int *ret_fd, struct lab_error *err)
{
	struct cql_target target = { .host = NULL, .port = port };

	return bench_dial_to(&target, ret_fd, err);
}

int bench_send(int fd, struct lab_view data, struct lab_error *err)
{
	while (data.len > 0) {
		ssize_t n = send(fd, data.ptr, data.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return lab_fail(err, LAB_RESET, "the server does not take the request");
		data = lab_view_skip(data, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int watch(const int *fds, unsigned count, int *ret_epoll, struct lab_error *err)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return lab_fail(err, LAB_LIMIT, "no epoll");
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0) {
			close(epoll);
			return lab_fail(err, LAB_LIMIT, "no room in epoll");
		}
	}
	*ret_epoll = epoll;
	return 0;
}

static int await(
	int epoll, unsigned *ret_indexes, unsigned max, unsigned *ret_count, struct lab_error *err)
{
	struct epoll_event events[BENCH_CONNECTIONS_MAX];
	int n = epoll_wait(epoll, events, (int)LAB_MIN(max, BENCH_CONNECTIONS_MAX),
		BENCH_SOCKET_TIMEOUT_S * 1000);

	if (n == 0)
		return lab_fail(err, LAB_TIMEOUT, "no answer for %d s", BENCH_SOCKET_TIMEOUT_S);
	if (n < 0 && errno != EINTR)
		return lab_fail(err, LAB_IO, "epoll failed");
	for (int i = 0; i < n; i++)
		ret_indexes[i] = events[i].data.u32;
	*ret_count = n < 0 ? 0 : (unsigned)n;
	return 0;
}

static int loop(struct bench_clients *clients, int epoll, uint64_t slice_ns, struct lab_error *err)
{
	uint64_t start = bench_clock_ns(CLOCK_MONOTONIC);
	unsigned ready[BENCH_CONNECTIONS_MAX], count;

	for (unsigned i = 0; i < clients->open; i++) {
		if (clients->begin(clients, i, err) < 0)
			return -1;
	}
	while (bench_clock_ns(CLOCK_MONOTONIC) - start < slice_ns) {
		if (await(epoll, ready, clients->open, &count, err) < 0)
			return -1;
		for (unsigned i = 0; i < count; i++) {
			if (clients->go_on(clients, ready[i], err) < 0)
				return -1;
		}
	}
	return 0;
}

void bench_clients_close(struct bench_clients *clients)
{
	while (clients->open > 0)
		close(clients->fds[--clients->open]);
}

int bench_clients_run(struct bench_clients *clients, uint64_t slice_ns,
	struct bench_load_result *ret, struct lab_error *err)
{
	int epoll, result = watch(clients->fds, clients->open, &epoll, err);

	if (result == 0) {
		uint64_t start = bench_clock_ns(CLOCK_MONOTONIC);

		result = loop(clients, epoll, slice_ns, err);
		*ret = (struct bench_load_result){ clients->answers,
			bench_clock_ns(CLOCK_MONOTONIC) - start };
		close(epoll);
	}
	bench_clients_close(clients);
	return result;
}
