/* SPDX-License-Identifier: Apache-2.0
 *
 * stream-front-end.h - a stream service (sim/service.h) on real sockets, by libuv.
 *
 * Purpose    Lets CQL drivers and core/env/live talk to the Cassandra emulator. Each node of the
 *            cluster listens on an address of its own, all on one port, as drivers expect:
 *            127.0.0.1:9042, 127.0.0.2:9042...
 * Threads    Each front end has one thread. The service, and the hooks it calls, run on that thread
 *            only, from stream_front_end_new() until stream_front_end_free() has returned. Whoever
 *            needs to touch the service meanwhile uses stream_front_end_call(). The other functions
 *            here may be called from any thread; from the front end's own they act at once.
 * Ownership  The service is borrowed. stream_front_end_free() calls closed() for each connection.
 * Wire       Outputs of one loop turn leave in one write. A connection that the service resets, or
 *            does not accept, gets an RST. After SIM_WIRE_ANSWER_CLOSE nothing more is
 *            read; the service gets its closed() once everything was sent.
 * Limits     Taken in the settings; 0 chooses the default that stands beside each. A client that
 * does not read its answers is reset when output_max_bytes are waiting for it.
 */
#ifndef SIM_FRONT_END_STREAM_H
#define SIM_FRONT_END_STREAM_H

#include "sim/front-end/front-end.h"

struct stream_front_end;

struct stream_front_end_node {
	const char *instance; /* node name, as the service knows it: "cassandra-1" */
	const char *address;  /* "127.0.0.1"; no two alike */
};
#define STREAM_FRONT_END_NODES_MAX 256

struct stream_front_end_settings {
	struct sim_stream_service service;
	const struct stream_front_end_node *nodes; /* borrowed during the call */
	size_t node_count;
	uint16_t port; /* of all nodes; 0: any that is free on all addresses */
	uint64_t
		start_ns; /* CLOCK_MONOTONIC that is 0 for the service; 0: the moment of the call */
	size_t output_max_bytes;            /* waiting for one client; 16 MiB */
	unsigned connections_max;           /* of all nodes; more are reset; 2000 */
	unsigned backlog;                   /* 1024 */
	const struct front_end_peer *peers; /* borrowed during the call */
	size_t peer_count;
};

/* Listens, and serves from now on. -1 LAB_EXISTS (address in use), LAB_INVALID, LAB_IO. */
int stream_front_end_new(const struct stream_front_end_settings *settings,
	struct stream_front_end **ret, struct lab_error *err);
/* Closes all connections, waits for the thread's end. NULLs the pointer; accepts NULL. */
void stream_front_end_free(struct stream_front_end **front_end);

uint16_t stream_front_end_port(const struct stream_front_end *front_end);
/* Runs fn(ctx) on the service's thread, between two inputs, and returns when it is done. On that
 * thread itself (from a hook) it is an ordinary call. */
void stream_front_end_call(struct stream_front_end *front_end, void (*fn)(void *ctx), void *ctx);
/* A node that does not listen refuses connections, as a dead one does; those it has are the
 * service's to reset. Nodes listen from the start. -1 LAB_NOT_FOUND (instance), LAB_EXISTS (the
 * port was taken meanwhile). */
int stream_front_end_listen(struct stream_front_end *front_end, const char *instance, bool listen,
	struct lab_error *err);

/* Resets every connection there is, as a switch does that loses its tables; whoever waits for an
 * answer that will never come learns of it. Clients may connect again at once. */
void stream_front_end_reset(struct stream_front_end *front_end);

struct stream_front_end_stats {
	uint64_t connections; /* accepted */
	uint64_t open;        /* now */
	uint64_t overflowed;  /* reset because the client did not read */
	uint64_t bytes_in, bytes_out;
	uint64_t writes; /* system calls that sent bytes_out */
};
struct stream_front_end_stats stream_front_end_stats(struct stream_front_end *front_end);

#endif
