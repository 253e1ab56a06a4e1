/* SPDX-License-Identifier: Apache-2.0
 *
 * sockets.h - closed-loop clients over loopback sockets that cost as little as the kernel lets
 * them, so that what they measure is the server.
 *
 * Each run connects anew, works for its slice, and closes. All of it happens in the calling thread.
 */
#ifndef SCENARIOS_BENCH_SOCKETS_H
#define SCENARIOS_BENCH_SOCKETS_H

#include "core/base/base.h"

#define BENCH_CONNECTIONS_MAX 64
#define BENCH_SOCKET_TIMEOUT_S 10

struct bench_load_result {
	uint64_t answers, ns;
};

/* Where a server is; host NULL: 127.0.0.1. Only loopback, "127.0.0.2". */
struct cql_target {
	const char *host;
	uint16_t port;
};
int bench_dial_to(const struct cql_target *target, int *ret_fd, struct lab_error *err);
/* A blocking TCP connection to 127.0.0.1, with TCP_NODELAY and a time limit on every call. */
int bench_dial(uint16_t port, int *ret_fd, struct lab_error *err);
int bench_send(int fd, struct lab_view data, struct lab_error *err);
/* Clients of one server, in one thread: each connection begins, and goes on whenever it can be
 * read. */
struct bench_clients {
	int fds[BENCH_CONNECTIONS_MAX];
	unsigned open; /* so many are connected */
	uint64_t answers;
	int (*begin)(struct bench_clients *clients, unsigned index, struct lab_error *err);
	int (*go_on)(struct bench_clients *clients, unsigned index, struct lab_error *err);
};
/* For `slice_ns`; then all connections are closed. -1 LAB_TIMEOUT: nothing came for
 * BENCH_SOCKET_TIMEOUT_S; or what the two functions said. */
int bench_clients_run(struct bench_clients *clients, uint64_t slice_ns,
	struct bench_load_result *ret, struct lab_error *err);
/* Without a run: only closes them. */
void bench_clients_close(struct bench_clients *clients);

/* HTTP: one request at a time on each connection, each answered before the next. */
struct http_load {
	uint16_t port;
	const struct lab_view *requests; /* whole, as on the wire; sent in turn */
	size_t request_count;
	unsigned connections;
};
/* -1 LAB_CORRUPT: an answer that is not 2xx with a Content-Length; LAB_RESET, LAB_TIMEOUT. */
int http_load_run(const struct http_load *load, uint64_t slice_ns, struct bench_load_result *ret,
	struct lab_error *err);
/* One request, one answer. */
int http_load_once(uint16_t port, struct lab_view request, struct lab_error *err);

/* CQL: `streams` requests in flight on each connection, each answer is followed by a request. */
struct cql_load {
	struct cql_target target;
	struct lab_view hello; /* the first frame of each connection, answered by one frame */
	const struct lab_view *frames; /* requests; the stream id in them is written over */
	size_t frame_count;
	unsigned connections, streams;
};
#define CQL_ANSWER_OPCODE_AT 4 /* in a frame; 0: ERROR */
#define CQL_LOAD_STREAMS_MAX 256
#define CQL_LOAD_FRAME_MAX 1024 /* of requests */
/* -1 LAB_CORRUPT: an ERROR came. */
int cql_load_run(const struct cql_load *load, uint64_t slice_ns, struct bench_load_result *ret,
	struct lab_error *err);
/* Sends a frame and waits for one: *ret is in `answer`. */
int cql_load_ask(int fd, struct lab_view frame, uint8_t *answer, size_t answer_max,
	struct lab_view *ret, struct lab_error *err);

#endif
