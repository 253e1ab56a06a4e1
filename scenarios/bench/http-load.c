/* SPDX-License-Identifier: Apache-2.0
 *
 * http-load.c - a closed loop of HTTP requests over kept-alive connections.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)80 << 10)

struct connection {
	int fd;
	size_t have, need; /* need 0: not known yet */
	uint8_t answer[ANSWER_MAX];
};

struct run {
	struct bench_clients clients; /* first */
	const struct http_load *load;
	size_t next;
	struct connection *connections;
};

static struct run *run_of(struct bench_clients *clients)
{
	return (struct run *)(void *)clients;
}

static int send_next(struct run *run, struct connection *c, struct lab_error *err)
{
	struct lab_view request = run->load->requests[run->next];

	run->next = run->next + 1 == run->load->request_count ? 0 : run->next + 1;
	c->have = c->need = 0;
	return bench_send(c->fd, request, err);
}

/* Without the blank line; empty: it has not all come. */
static struct lab_view head_of(const struct connection *c)
{
	struct lab_view all = lab_view_of(c->answer, c->have);
	size_t end = lab_view_find(all, LAB_VIEW("\r\n\r\n"));

	return end == SIZE_MAX ? LAB_VIEW("") : lab_view_sub(all, 0, end);
}

static int content_length(struct lab_view head, uint64_t *ret)
{
	struct lab_view line;

	while (lab_view_split(&head, '\n', &line)) {
		size_t colon = lab_view_find_byte(line, ':');

		if (colon != SIZE_MAX && lab_view_eq_nocase(lab_view_sub(line, 0, colon),
						 LAB_VIEW("Content-Length")))
			return lab_view_to_u64(lab_view_trim(lab_view_skip(line, colon + 1)), ret);
	}
	return -1;
}

/* Learns how long the answer is, once its head is there. */
static int measure(struct connection *c, struct lab_error *err)
{
	struct lab_view head = head_of(c);
	uint64_t length;

	if (head.len == 0)
		return c->have < sizeof(c->answer)
			       ? 0
			       : lab_fail(err, LAB_CORRUPT, "an answer without an end");
	if (!lab_view_starts_with(head, LAB_VIEW("HTTP/1.1 2")) ||
		content_length(head, &length) < 0 || length > sizeof(c->answer) - head.len - 4)
		return lab_fail(err, LAB_CORRUPT, "answered %.*s",
			LAB_VIEW_ARG(lab_view_sub(lab_view_of(c->answer, c->have), 9, 120)));
	c->need = head.len + 4 + (size_t)length;
	return 0;
}

/* 1: the answer is complete. */
static int receive(struct connection *c, struct lab_error *err)
{
	ssize_t n = recv(c->fd, c->answer + c->have, sizeof(c->answer) - c->have, 0);

	if (n == 0 || (n < 0 && errno != EINTR))
		return lab_fail(err, LAB_RESET, "the server closed a connection");
	c->have += n > 0 ? (size_t)n : 0;
	if (c->need == 0 && measure(c, err) < 0)
		return -1;
	return c->need != 0 && c->have >= c->need;
}

static int begin(struct bench_clients *clients, unsigned index, struct lab_error *err)
{
	struct run *run = run_of(clients);

	return send_next(run, &run->connections[index], err);
}

static int go_on(struct bench_clients *clients, unsigned index, struct lab_error *err)
{
	struct run *run = run_of(clients);
	struct connection *c = &run->connections[index];
	int done = receive(c, err);

	if (done < 0 || (done == 1 && send_next(run, c, err) < 0))
		return -1;
	clients->answers += (unsigned)done;
	return 0;
}

static int open_connections(struct run *run, struct lab_error *err)
{
	lab_assert(run->load->connections <= BENCH_CONNECTIONS_MAX);
	for (; run->clients.open < run->load->connections; run->clients.open++) {
		if (bench_dial(run->load->port, &run->clients.fds[run->clients.open], err) < 0)
			return -1;
		run->connections[run->clients.open].fd = run->clients.fds[run->clients.open];
	}
	return 0;
}

int http_load_run(const struct http_load *load, uint64_t slice_ns, struct bench_load_result *ret,
	struct lab_error *err)
{
	struct run run = { .clients = { .begin = begin, .go_on = go_on }, .load = load };
	int result;

	run.connections = calloc(load->connections, sizeof(*run.connections));
	lab_assert(run.connections != NULL);
	result = open_connections(&run, err);
	if (result == 0)
		result = bench_clients_run(&run.clients, slice_ns, ret, err);
	bench_clients_close(&run.clients);
	free(run.connections);
	return result;
}

int http_load_once(uint16_t port, struct lab_view request, struct lab_error *err)
{
	struct connection *c = calloc(1, sizeof(*c));
	int result;

	lab_assert(c != NULL);
	result = bench_dial(port, &c->fd, err);
	if (result == 0) {
		result = bench_send(c->fd, request, err);
		while (result == 0)
			result = receive(c, err);
		close(c->fd);
	}
	free(c);
	return result < 0 ? -1 : 0;
}
