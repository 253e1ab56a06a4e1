/* SPDX-License-Identifier: Apache-2.0
 *
 * world-private.h - the world's parts, as its own files see them:
 *
 *   hang.c      hosts that stand still
 *   queue.c     events in their total order, and fibers that are ready to run
 *   world.c     the run: loop, trace, sinks, counters
 *   host.c      hosts: boot, crash, clocks, fibers, their struct env
 *   network.c   names, zones, latencies, partitions, the emulators' hooks
 *   service.c   endpoints: who answers to which authority, and their deadlines
 *   http.c      one HTTP exchange
 *   stream.c    byte streams
 *   tls.c       who trusts whom below them
 *   disk.c      files; journal.c what of them survives a crash
 *   episodes.c  the fault plan on the time line
 */
#ifndef SIM_WORLD_PRIVATE_H
#define SIM_WORLD_PRIVATE_H

#include "core/env/env-private.h"
#include "sim/world/world.h"

/* ---- queue.c ---- */

/* A pending event; 0 is none. The number is used again after the event, so whoever keeps one
 * forgets it when the event happens. */
typedef uint32_t world_timer;

struct queue_entry {
	uint64_t time_ns, tie, sequence;
	uint32_t slot;
};
struct queue_slot {
	world_action_fn fn;
	void *ctx;
	struct world_host *host; /* NULL: happens whatever becomes of hosts */
	uint32_t boots;          /* of the host: an event of a former incarnation is skipped */
	uint32_t index;          /* in entries; of a free slot: the next free one */
};
struct ready_fiber {
	struct world_fiber *fiber; /* may be stale: look at boots first */
	struct world_host *host;
	uint32_t boots;
	uint64_t sequence;
};
struct queue {
	struct queue_entry *entries; /* binary heap */
	struct queue_slot *slots;
	uint32_t count, slot_count, capacity, max;
	uint32_t free_slot; /* UINT32_MAX: none */
	uint64_t sequence;
	/* Fibers ready to run now, in order (a ring): the same order that the heap would give. */
	struct ready_fiber *ready;
	uint32_t ready_head, ready_count, ready_capacity;
};

/* Events of a host are skipped if it crashed meanwhile; then `ctx` is not touched. */
world_timer world_post(struct world *world, struct world_host *host, uint64_t time_ns,
	world_action_fn fn, void *ctx);
/* Forgets the event and *timer; accepts 0. */
void world_cancel(struct world *world, world_timer *timer);
/* The fiber gets its turn at the current time, behind what is due already. */
void world_ready(struct world_fiber *fiber);
/* A fiber was made; it is about to run. With WORLD_PRIORITY only. */
void world_draw_priority(struct world_fiber *fiber);
void world_change_priority(struct world_fiber *fiber);
/* Handles the next event if it is due by `until_ns`; false if there is none. */
bool world_step(struct world *world, uint64_t until_ns);

/* ---- host.c ---- */

enum fiber_state {
	FIBER_RUNNING,
	FIBER_PARKED,
	FIBER_READY
};

struct world_fiber {
	struct world_host *host;
	struct lab_fiber *fiber;
	struct world_fiber *next, *prev; /* of the host, or of the free ones */
	uint64_t id;                     /* 1, 2, 3... in this world */
	env_fiber_fn fn;
	void *arg;
	enum fiber_state state;
	bool is_timed_out; /* why it is ready */
	uint64_t priority; /* the lower, the sooner */
	uint64_t lag_ns;
	world_timer timer;
	struct http_exchange *exchange; /* that it waits for, see http.c */
};

/* A name in the network: host or endpoint. */
struct world_node {
	struct lab_view name;
	uint64_t key; /* hash of the name, for draws */
	uint32_t zone;
	unsigned down_count; /* endpoints: how many reasons there are to be down */
	struct world_latency latency;
	struct world_host *host;
	struct world_endpoint *endpoint;
};

struct world_host {
	struct env env;
	struct world *world;
	struct world_node node;
	struct world_host_settings settings;
	bool is_up;
	uint32_t boots;
	env_fiber_fn main_fn;
	void *main_arg;
	struct lab_fiber_group *group;
	struct world_fiber *fibers, *fibers_tail;
	size_t fiber_count;
	int64_t clock_offset_us;
	uint64_t ties;                      /* ordinal of shuffled events */
	uint64_t spawned, resumed, demoted; /* fibers, for the draws of priorities */
	struct lab_map *http_pools;
	uint64_t stream_ordinal;
	struct world_disk *disk;
	unsigned hangs;            /* reasons to stand still */
	struct world_fiber **kept; /* until it goes on */
	uint32_t kept_count, kept_capacity;
};

extern const struct env_ops world_env_ops;
/* Of a struct env that is ours. */
static inline struct world_host *world_host_of(struct env *env)
{
	return (struct world_host *)(void *)env;
}
/* The running fiber, which must be one of `host`. */
struct world_fiber *world_self(struct world_host *host);
/* Switches to the fiber now, from outside fibers. */
void world_resume(struct world_fiber *fiber);
/* env_ops.park() and unpark(). */
int world_park(struct world_fiber *fiber, uint64_t deadline_ns);
void world_unpark(struct world_fiber *fiber);
/* A parked fiber stops waiting and runs at once, from outside fibers. */
void world_wake(struct world_fiber *fiber);
void world_host_free(struct world_host *host);

/* ---- hang.c ---- */

/* Instead of its turn: the fiber's host stands still. */
void world_keep_fiber(struct world_fiber *fiber);
/* The host crashed. */
void world_forget_hangs(struct world_host *host);

/* ---- network.c ---- */

#define ZONES_MAX 64

struct world_side {
	bool is_zone, is_all;
	uint32_t zone;
	struct lab_view name;
};
struct world_partition_rule {
	uint32_t id;
	bool one_way;
	struct world_side a, b;
};

void world_add_node(
	struct world *world, struct world_node *node, const char *name, const char *zone);
/* NULL if there is none. */
struct world_node *world_find_node(struct world *world, struct lab_view name);
const char *world_zone_name(const struct world *world, uint32_t zone);
/* zone.c: everything in it that is up goes; what did, comes back. */
struct world_lost_zone;
struct world_lost_zone *world_lose_zone(
	struct world *world, const char *zone, enum fault_disk disk);
void world_return_zone(struct world *world, struct world_lost_zone **lost);
/* Is a message between these two lost now? Counts it if it is. */
bool world_is_cut(struct world *world, const struct world_node *from, const struct world_node *to);
/* One way, for a message of `bytes`. */
uint64_t world_delay(struct world *world, const struct world_node *from,
	const struct world_node *to, uint64_t ordinal, size_t bytes);

/* ---- service.c ---- */

/* One emulator; several endpoints may share it. */
struct world_backend {
	struct world *world;
	void *service;
	void (*advance)(void *service, uint64_t now_ns);
	uint64_t (*next_deadline)(void *service);
	world_timer timer;
	uint64_t armed_ns; /* what the timer stands for */
};
struct world_endpoint {
	struct world_node node;
	struct world *world;
	struct world_service_settings settings;
	struct lab_view host; /* of the authority, without "*" */
	bool is_wildcard;
	uint16_t port; /* 0: the default one */
	const struct sim_http_ops *http_ops;
	const struct sim_stream_ops *stream_ops;
	struct world_backend *backend;
};
/* NULL if nobody answers to it. `authority` as in lab_http_request. */
struct world_endpoint *world_http_endpoint(
	struct world *world, struct lab_view authority, bool tls);
/* *ret_host_known: somebody has that name, on another port. */
struct world_endpoint *world_stream_endpoint(
	struct world *world, const char *host, uint16_t port, bool *ret_host_known);
/* After the service was called: when does it want to be advanced? */
void world_rearm(struct world_backend *backend);

/* ---- http.c, stream.c, tls.c ---- */

int world_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err);
int world_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err);
int world_connect_tls(struct env *env, const char *host, uint16_t port, const struct env_tls *tls,
	uint64_t deadline_ns, struct env_stream **ret, struct lab_error *err);
/* What a message of so many bytes and its answer take. */
uint64_t world_stream_round_trip(struct env_stream *stream, size_t up_bytes, size_t down_bytes);
bool world_stream_is_reset(const struct env_stream *stream);
void world_stream_begin_tls(struct env_stream *stream);
/* The streams of a host that crashed, or of an endpoint that went down. */
void world_streams_crashed(struct world *world, struct world_host *host, uint32_t boots);
void world_streams_node_down(struct world *world, struct world_endpoint *endpoint);
/* Waits between attempts to send over a broken path: 200 ms, doubled, at most 5 s. */
uint64_t world_resend_after(unsigned attempt);

/* ---- disk.c, journal.c ---- */

struct world_disk *world_disk_new(struct world_host *host);
void world_disk_crash(struct world_disk *disk, enum fault_disk mode);
/* Settles what the crash decided; before anybody looks. */
void world_disk_recover(struct world_disk *disk);
uint64_t world_disk_bytes(const struct world_disk *disk);
int world_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err);
int world_unlink(struct env *env, const char *path, struct lab_error *err);
int world_rename(struct env *env, const char *from, const char *to, struct lab_error *err);
int world_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err);
int world_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err);

/* ---- world.c ---- */

struct world_sink {
	lab_event_sink_fn fn;
	void *ctx;
};
struct world_access_sink {
	world_access_fn fn;
	void *ctx;
};
struct world_node_sink {
	world_node_fn fn;
	void *ctx;
};

struct world {
	struct world_settings settings;
	struct lab_heap *heap;
	uint64_t now_ns;
	struct queue queue;
	bool is_overflown;   /* more events than events_max */
	bool is_broken;      /* a run failed: only inspection is left */
	uint64_t idle_steps; /* since time advanced */

	struct world_fiber *running;
	struct world_fiber *free_fibers;
	uint64_t last_fiber;

	struct world_host **hosts; /* number n at n - 1 */
	uint32_t host_count, host_capacity;
	struct lab_map *nodes;
	const char *zones[ZONES_MAX];
	uint32_t zone_count;
	struct world_latency zone_latency[ZONES_MAX][ZONES_MAX];
	struct world_partition_rule *partitions;
	uint32_t partition_count, partition_capacity, last_partition;
	unsigned down_nodes;

	struct world_endpoint **endpoints;
	uint32_t endpoint_count, endpoint_capacity;
	struct world_backend **backends;
	uint32_t backend_count, backend_capacity;
	struct http_exchange *free_exchanges;
	struct world_stream *streams;
	uint64_t last_connection;

	struct fault_plan *faults;
	struct world_sink sinks[WORLD_SINKS_MAX];
	struct world_access_sink access_sinks[WORLD_SINKS_MAX];
	struct world_node_sink node_sinks[WORLD_SINKS_MAX];
	size_t sink_count, access_sink_count, node_sink_count;
	uint64_t trace_hash, event_count;
	struct world_counters counters;
};

void world_trace(struct world *world, uint32_t host, uint64_t fiber, enum lab_event_id id,
	const struct lab_field *fields, size_t count);
/* Room for one more pointer-sized item in an array of the world. */
void *world_grow(
	struct world *world, void *items, size_t item_size, uint32_t count, uint32_t *capacity);

#endif
