/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-load.c - a closed loop of CQL requests, many in flight on each connection.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/sockets.h"

#include "core/cql/cql-codec.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)256 << 10)
#define OUTPUT_MAX ((size_t)CQL_LOAD_STREAMS_MAX * CQL_LOAD_FRAME_MAX)

struct connection {
	int fd;
	size_t have, queued;
	uint8_t input[INPUT_MAX];
	uint8_t output[OUTPUT_MAX];
};

struct run {
	struct bench_clients clients; /* first */
	const struct cql_load *load;
	size_t next;
	struct connection *connections;
};

static struct run *run_of(struct bench_clients *clients)
{
	return (struct run *)(void *)clients;
}

static void queue_next(struct run *run, struct connection *c, uint8_t high, uint8_t low)
{
	struct lab_view frame = run->load->frames[run->next];
	uint8_t *to = c->output + c->queued;

	run->next = run->next + 1 == run->load->frame_count ? 0 : run->next + 1;
	lab_assert(frame.len <= CQL_LOAD_FRAME_MAX && c->queued + frame.len <= sizeof(c->output));
	memcpy(to, frame.ptr, frame.len);
	to[2] = high;
	to[3] = low;
	c->queued += frame.len;
}

static int flush(struct connection *c, struct lab_error *err)
{
	size_t queued = c->queued;

	c->queued = 0;
	return bench_send(c->fd, lab_view_of(c->output, queued), err);
}

static int failed(struct lab_view frame, struct lab_error *err)
{
	struct lab_view message = lab_view_skip(frame, CQL_HEADER_BYTES + 6);

	return lab_fail(err, LAB_CORRUPT, "answered ERROR: %.*s", LAB_VIEW_ARG(message));
}

/* Length of the first frame, or 0 if it has not all come. */
static size_t frame_length(struct lab_view input)
{
	size_t length;

	if (input.len < CQL_HEADER_BYTES)
		return 0;
	length = CQL_HEADER_BYTES + ((size_t)input.ptr[5] << 24 | (size_t)input.ptr[6] << 16 |
					    (size_t)input.ptr[7] << 8 | input.ptr[8]);
	return length <= input.len ? length : 0;
}

static int receive(struct run *run, struct connection *c, struct lab_error *err)
{
	ssize_t n = recv(c->fd, c->input + c->have, sizeof(c->input) - c->have, 0);
	struct lab_view rest;
	size_t length;

	if (n == 0 || (n < 0 && errno != EINTR))
		return lab_fail(err, LAB_RESET, "the server closed a connection");
	c->have += n > 0 ? (size_t)n : 0;
	rest = lab_view_of(c->input, c->have);
	while ((length = frame_length(rest)) != 0) {
		if (rest.ptr[CQL_ANSWER_OPCODE_AT] == CQL_ERROR)
			return failed(rest, err);
		run->clients.answers++;
		queue_next(run, c, rest.ptr[2], rest.ptr[3]);
		rest = lab_view_skip(rest, length);
	}
	if (rest.len == sizeof(c->input))
		return lab_fail(err, LAB_CORRUPT, "a frame of more than %zu bytes", rest.len);
	memmove(c->input, rest.ptr, rest.len);
	c->have = rest.len;
	return flush(c, err);
}

static int begin(struct bench_clients *clients, unsigned index, struct lab_error *err)
{
	struct run *run = run_of(clients);
	struct connection *c = &run->connections[index];

	for (unsigned stream = 0; stream < run->load->streams; stream++)
		queue_next(run, c, (uint8_t)(stream >> 8), (uint8_t)stream);
	return flush(c, err);
}

static int go_on(struct bench_clients *clients, unsigned index, struct lab_error *err)
{
	struct run *run = run_of(clients);

	return receive(run, &run->connections[index], err);
}

int cql_load_ask(int fd, struct lab_view frame, uint8_t *answer, size_t answer_max,
	struct lab_view *ret, struct lab_error *err)
{
	size_t have = 0;

	if (bench_send(fd, frame, err) < 0)
		return -1;
	while (frame_length(lab_view_of(answer, have)) == 0) {
		ssize_t n = recv(fd, answer + have, answer_max - have, 0);

		if (n == 0 || (n < 0 && errno != EINTR))
			return lab_fail(err, LAB_RESET, "no answer to a frame");
		have += n > 0 ? (size_t)n : 0;
	}
	*ret = lab_view_of(answer, have);
	return answer[CQL_ANSWER_OPCODE_AT] == CQL_ERROR ? failed(*ret, err) : 0;
}

static int open_connections(struct run *run, struct lab_error *err)
{
	lab_assert(run->load->connections <= BENCH_CONNECTIONS_MAX &&
		   run->load->streams <= CQL_LOAD_STREAMS_MAX);
	for (; run->clients.open < run->load->connections; run->clients.open++) {
		struct connection *c = &run->connections[run->clients.open];
		struct lab_view answer;

		if (bench_dial_to(&run->load->target, &c->fd, err) < 0)
			return -1;
		run->clients.fds[run->clients.open] = c->fd;
		if (cql_load_ask(c->fd, run->load->hello, c->input, sizeof(c->input), &answer,
			    err) < 0) {
			close(c->fd);
			return -1;
		}
	}
	return 0;
}

int cql_load_run(const struct cql_load *load, uint64_t slice_ns, struct bench_load_result *ret,
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
