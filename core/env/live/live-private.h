/* SPDX-License-Identifier: Apache-2.0
 *
 * live-private.h - what the files of the live world share.
 *
 * Everything that libuv or libcurl may still touch after a crash of a host lives in live->heap,
 * never in the host's. Callbacks of libraries never run a fiber: they make it runnable.
 */
#ifndef LAB_ENV_LIVE_PRIVATE_H
#define LAB_ENV_LIVE_PRIVATE_H

#include <sys/socket.h>
#include <uv.h>

#include "core/base/fiber.h"
#include "core/env/env-private.h"
#include "core/env/live/alarm.h"
#include "core/env/live/live.h"

/* ---- timers: one heap, ordered by (time, sequence) ---- */

struct live_timer {
	uint64_t at_ns;
	uint64_t sequence;
	size_t position; /* in the heap, from 1; 0: not set */
	void (*fire)(struct live_timer *timer);
};

struct live_timers {
	struct lab_heap *heap;
	struct live_timer **items; /* items[1..count] */
	size_t count, capacity;
	uint64_t sequence;
};

/* Sets or moves; ENV_FOREVER removes. */
void live_timer_set(struct live_timers *timers, struct live_timer *timer, uint64_t at_ns);
/* Fires all that are due, earliest first; those that they set in turn wait for the next call. */
void live_timers_fire(struct live_timers *timers, uint64_t now_ns);
static inline uint64_t live_timers_next(const struct live_timers *timers)
{
	return timers->count == 0 ? ENV_FOREVER : timers->items[1]->at_ns;
}

/* ---- the world ---- */

struct live_map_entry {
	struct lab_view host; /* without "*." */
	bool wildcard;
	uint16_t port;
	struct sockaddr_in6 address; /* or sockaddr_in: see the family */
	bool strip_tls;
	uint64_t failed_ns; /* when it last could not be connected to; 0: never */
};

struct live_sink {
	lab_event_sink_fn fn;
	void *ctx;
};

struct live_fiber;

struct live {
	uint64_t seed;
	uint64_t start_ns;
	bool no_sync, allow_remote, was_guarded;
	char *ca_file, *stream_ca_file;
	uint32_t next_pid;

	struct lab_pool *pool; /* of the hosts' heaps */
	struct lab_pool *own_pool;
	struct lab_heap *heap;
	size_t buffered, buffers_max_bytes;

	uv_loop_t loop;
	struct live_alarm alarm;
	uv_async_t wake;
	uv_signal_t interrupt;
	bool has_interrupt;
	void (*on_interrupt)(void *ctx);
	void *on_interrupt_ctx;

	struct live_timers timers;
	size_t callbacks, callbacks_max;
	struct lab_fiber_pool *fibers;
	struct live_fiber *runnable, *runnable_last;

	struct live_host *hosts, *hosts_last;
	uint32_t host_count;
	struct live_map_entry maps[LIVE_MAPS_MAX];
	size_t map_count;
	struct live_socket **sockets; /* libcurl's, by descriptor */
	size_t sockets_size;

	struct live_sink sinks[LIVE_SINKS_MAX];
	size_t sink_count;
	uint64_t event_count, trace_hash;
};

struct live_host {
	struct env env;
	struct live *live;
	struct live_host *next;
	bool up;
	uint64_t actor; /* in draws */
	char *hostname, *zone;
	size_t heap_max_bytes;
	int64_t wall_offset_us;
	unsigned idle_connections_max;
	struct sockaddr_in source; /* family 0: any */
	int root_fd;
	struct lab_fiber_group *group;
	struct live_fiber *fibers;
	struct live_http *http; /* made with the first exchange */
	struct live_stream *streams;
	struct live_tls_stream *tls_streams;
	struct live_file *files;
	struct live_job *jobs; /* in libuv's thread pool */
};

void live_host_done(struct live_host *host);
void live_event(
	struct live_host *host, enum lab_event_id id, const struct lab_field *fields, size_t count);

static inline struct live_host *live_host_of(struct env *env)
{
	return (struct live_host *)env;
}

/* ---- fibers (live-fiber.c) ---- */

struct live_fiber {
	struct live_host *host;
	struct lab_fiber *fiber;
	const char *name;
	env_fiber_fn fn; /* or main, of the host's first */
	live_main_fn main;
	void *arg;
	struct live_fiber *prev, *next;
	struct live_fiber *next_runnable;
	struct live_timer timer; /* its deadline while it is parked */
	bool runnable, parked, timed_out;
};

int live_fiber_new(struct live_host *host, const char *name, env_fiber_fn fn, live_main_fn main,
	void *arg, struct lab_error *err);
/* The running one; only in a fiber. */
struct live_fiber *live_fiber_self(void);
int live_fiber_park(struct live_fiber *fiber, uint64_t deadline_ns);
void live_fiber_unpark(struct live_fiber *fiber);
/* Moves the deadline of a parked fiber. */
void live_fiber_set_deadline(struct live_fiber *fiber, uint64_t deadline_ns);
/* Runs those that are runnable now, each until it waits. */
void live_fibers_run(struct live *live);
/* Forgets all of the host; does not return if one of them is running. */
void live_fibers_drop(struct live_host *host);

/* ---- addresses (live-address.c) ---- */

struct live_route {
	bool known; /* the address; otherwise the name must be looked up */
	struct sockaddr_in6 address;
	bool strip_tls;
	struct live_map_entry *entry; /* or NULL */
};
/* Nobody is there: the next one that asks gets another of its addresses, if there is one. */
void live_route_failed(struct live *live, const struct live_route *route);
/* -1 LAB_DENIED: not mapped, not loopback, and remote ones are not allowed. */
int live_route_find(struct live *live, struct lab_view host, uint16_t port, struct live_route *ret,
	struct lab_error *err);
bool live_address_is_loopback(const struct sockaddr *address);
bool live_address_is_literal(struct lab_view host);
/* "127.0.0.1" or "[::1]"; `size` at least 64. */
void live_address_format(const struct sockaddr_in6 *address, char *text, size_t size);
uint16_t live_address_port(const struct sockaddr_in6 *address);
/* "host", "host:port", "[v6]:port" taken apart. -1 if it is none of them. */
int live_authority_split(struct lab_view authority, uint16_t default_port,
	struct lab_view *ret_host, uint16_t *ret_port);
/* Blocks. LAB_DENIED, LAB_NOT_FOUND, LAB_TIMEOUT. */
int live_resolve(struct live_host *host, struct lab_view name, uint16_t port, uint64_t deadline_ns,
	struct sockaddr_in6 *ret, struct lab_error *err);

/* ---- work in libuv's thread pool, for one waiting fiber (live-job.c) ---- */

struct live_job {
	struct live *live;
	struct live_fiber *waiter; /* NULL once it gave up or is gone */
	struct live_job *prev, *next;
	struct live_host *host; /* NULL likewise */
	int fd;
	int result;
	bool done;
	union {
		uv_fs_t fs;
		uv_getaddrinfo_t lookup;
	} request;
	struct sockaddr_in6 address;
};
/* Blocks until the descriptor is synced. 0 or a negative libuv error. */
int live_job_sync(struct live_host *host, int fd);
/* Blocks until the name is looked up. 0, a negative libuv error, or 1 at the deadline. */
int live_job_lookup(
	struct live_host *host, const char *name, uint64_t deadline_ns, struct sockaddr_in6 *ret);
void live_jobs_drop(struct live_host *host);

/* ---- the rest of a host's handles ---- */

int live_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err);
void live_http_drop(struct live_host *host);
void live_sockets_done(struct live *live);

int live_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err);
void live_streams_drop(struct live_host *host);
/* Who is at the other end. */
int live_stream_peer(struct env_stream *stream, struct sockaddr_in6 *ret, struct lab_error *err);
int live_connect_tls(struct env *env, const char *host, uint16_t port, const struct env_tls *tls,
	uint64_t deadline_ns, struct env_stream **ret, struct lab_error *err);
/* Before live_streams_drop(): those are below. */
void live_tls_streams_drop(struct live_host *host);

int live_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err);
int live_unlink(struct env *env, const char *path, struct lab_error *err);
int live_rename(struct env *env, const char *from, const char *to, struct lab_error *err);
int live_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err);
int live_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err);
void live_files_drop(struct live_host *host);

static inline uint64_t live_deadline_after(uint64_t from_ns, uint64_t timeout_ns)
{
	return timeout_ns > ENV_FOREVER - from_ns ? ENV_FOREVER : from_ns + timeout_ns;
}

/* Doubly linked lists through `prev` and `next`. */
#define LIVE_LIST_ADD(head, item) \
	do { \
		(item)->prev = NULL; \
		(item)->next = (head); \
		if ((head) != NULL) \
			(head)->prev = (item); \
		(head) = (item); \
	} while (0)
#define LIVE_LIST_REMOVE(head, item) \
	do { \
		if ((item)->prev != NULL) \
			(item)->prev->next = (item)->next; \
		else \
			(head) = (item)->next; \
		if ((item)->next != NULL) \
			(item)->next->prev = (item)->prev; \
	} while (0)

#endif
