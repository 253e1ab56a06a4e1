/* SPDX-License-Identifier: Apache-2.0
 *
 * front-end-private.h - a thread with a libuv loop that one service lives on, and the table of
 * peers. Both front ends are made of these.
 */
#ifndef SIM_FRONT_END_PRIVATE_H
#define SIM_FRONT_END_PRIVATE_H

#include <netinet/in.h>
#include <pthread.h>
#include <uv.h>

#include "core/env/live/alarm.h"
#include "sim/front-end/front-end.h"

#define OR_DEFAULT(value, otherwise) ((value) != 0 ? (value) : (otherwise))

/* ---- the thread ---- */

struct front_end_call;

struct front_end_thread {
	uv_loop_t loop;
	struct live_alarm alarm;
	uv_async_t wake;
	uv_prepare_t before_wait;
	pthread_t thread;
	uint64_t start_ns;
	void *owner;
	/* On the thread. Runs before the loop waits: does what is left to do and returns until
	 * when, on the service's clock (UINT64_MAX: no limit), the loop may wait. */
	uint64_t (*turn)(void *owner);
	/* On the thread, once, at its end: closes the owner's handles on the loop. */
	void (*stop)(void *owner);

	pthread_mutex_t mutex; /* of the fields below */
	pthread_cond_t called;
	struct front_end_call *calls, *calls_last;
	bool stopping;
};

/* The loop is there for the owner to put handles on, nothing runs yet. `start_ns` 0: now. */
int front_end_thread_init(struct front_end_thread *thread, uint64_t start_ns, void *owner,
	uint64_t (*turn)(void *owner), void (*stop)(void *owner), struct lab_error *err);
int front_end_thread_start(struct front_end_thread *thread, struct lab_error *err);
/* Also of a thread that did not start: then `stop` runs here. */
void front_end_thread_done(struct front_end_thread *thread, bool started);
void front_end_thread_call(struct front_end_thread *thread, void (*fn)(void *ctx), void *ctx);
/* The service's clock. */
uint64_t front_end_now(const struct front_end_thread *thread);

/* ---- peers ---- */

struct front_end_peers {
	struct lab_heap *heap;
	struct front_end_known *known;
	size_t count;
};
struct front_end_known {
	struct in6_addr address; /* IPv4 mapped */
	struct sim_peer peer;
};

int front_end_peers_init(struct front_end_peers *peers, struct lab_heap *heap,
	const struct front_end_peer *table, size_t count, struct lab_error *err);
/* Who that is; `text` keeps the name of somebody unknown, "address:port". */
#define FRONT_END_NAME_MAX 64
struct sim_peer front_end_peers_find(const struct front_end_peers *peers,
	const struct sockaddr *address, uint64_t connection, char text[FRONT_END_NAME_MAX]);

/* ---- sockets ---- */

int front_end_address(
	const char *text, uint16_t port, struct sockaddr_in6 *ret, struct lab_error *err);
/* A listening socket. -1 LAB_EXISTS if the address is in use. */
int front_end_listen(
	const struct sockaddr_in6 *address, unsigned backlog, int *ret_fd, struct lab_error *err);
int front_end_bound_port(int fd, uint16_t *ret, struct lab_error *err);

#endif
