/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h - the simulated world: virtual time, hosts, links, disks, zones, crashes.
 *
 * Purpose    One run. It implements env.h for each of its hosts, carries requests and bytes to
 *            the emulators (sim/service.h), gives the emulators their hooks, carries out the
 *            fault plan, and folds every event into the trace hash.
 * Time       Starts at 0 and jumps to the next event. All times are virtual nanoseconds.
 * Order      Total: (time, tie, sequence). Who comes first of those that are due at one time is
 *            the schedule's: see enum world_schedule.
 * Draws      Keyed by (seed, purpose, who, ordinal), see hash.h: unrelated traffic changes
 *            nothing.
 * Names      Hosts and services share one name space, used for partitions, faults, latencies
 *            and events. Where a "side" is asked for: a name, "zone:NAME", or "*".
 * Ownership  Strings are copied. Services stay the caller's. They end before the world: what
 *            they still answer then is dropped. Plans may live in world_heap().
 * Threads    One. The shared pools (lab_pool, lab_fiber_pool) must belong to the same thread.
 * Limits     See world_settings and world_host_settings; beyond them world_run_until() fails.
 * Phases     world_new, add hosts and services, world_start(), world_run_until() as often as
 *            wanted, inspection, world_free.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "core/base/fiber.h"
#include "core/env/env.h"
#include "sim/faults/faults.h"
#include "sim/service.h"

struct world;
struct world_host;

/* Log-normal between the 5 % and the 95 % quantile (hash.h). Equal: fixed. low >= 1, or both 0. */
struct world_latency {
	uint64_t low_ns, high_ns;
};

enum world_schedule {
	WORLD_FIFO,    /* first come, first served */
	WORLD_SHUFFLE, /* by a keyed hash: finds code that depends on the order */
	/* By priorities of fibers, which are drawn; now and then the fiber that runs on a backend
	 * becomes the last of all, and slow: whenever it is woken by another fiber, it lags behind
	 * by up to 20 ms (simulation 3.4). Finds what needs one fiber to be late all the time. */
	WORLD_PRIORITY
};

struct world_settings {
	uint64_t seed;
	struct lab_pool *pool;         /* shared between runs: keeps the memory warm */
	struct lab_fiber_pool *fibers; /* likewise */
	enum world_schedule schedule;
	uint64_t wall_start_us;  /* 0: 2024-01-01 00:00:00 UTC */
	size_t memory_max_bytes; /* of the world itself, disks included; 0: 8 GiB */
	uint32_t events_max;     /* pending at a time; 0: 4,000,000 */
	/* So many events without time advancing are a livelock; 0: 10,000,000. */
	uint64_t livelock_events;
	/* One way, unless set for a pair of zones or for a service. 0,0: the defaults
	 * 50..150 us in a zone, 300 us..1 ms between zones. */
	struct world_latency same_zone, other_zone;
	/* Of one connection; 0: not limited. */
	uint64_t bytes_per_second;
	/* Chance that a stream read or a delivery to a service is cut in two at a drawn point. */
	uint32_t stream_split_ppm;
	uint64_t stream_dead_ns; /* a stream that cannot deliver for so long is reset; 0: 60 s */
};

/* Never NULL. */
struct world *world_new(const struct world_settings *settings);
/* Not inside world_run_until(). Ends every fiber without running it. NULLs; accepts NULL. */
void world_free(struct world **world);

uint64_t world_now(const struct world *world);
uint64_t world_seed(const struct world *world);
/* Memory of the run itself: for the runner's own data. */
struct lab_heap *world_heap(struct world *world);

/* ---- running ---- */

typedef bool (*world_done_fn)(void *ctx);
/* Not inside a fiber. Handles events until time `until_ns` is reached (0; events of that very time
 * are handled), until done(ctx) is true after an event (1; `done` may be NULL), or, with
 * ENV_FOREVER, until nothing is left to happen (0). -1: LAB_INTERNAL for a livelock, LAB_LIMIT for
 * too many pending events; the world can then only be inspected and freed. */
int world_run_until(struct world *world, uint64_t until_ns, world_done_fn done, void *ctx,
	struct lab_error *err);

/* Runs fn(ctx) once at `time_ns` (at once if that is over), outside fibers: it must not block.
 * For the scenario's and the faults' time lines. */
typedef void (*world_action_fn)(void *ctx);
void world_at(struct world *world, uint64_t time_ns, world_action_fn fn, void *ctx);

/* ---- hosts ---- */

enum world_host_kind {
	WORLD_BACKEND, /* memory, disk, crashes */
	WORLD_LAB      /* the laboratory's own: clients, checkers. No disk; world_crash() asserts */
};

struct world_host_settings {
	const char *name;
	const char *zone; /* NULL: "" */
	enum world_host_kind kind;
	size_t memory_max_bytes; /* more is a crash (LAB: an assertion); 0: 1 GiB */
	/* Wall clock: true time + offset + drift. */
	int64_t clock_offset_us;
	int32_t clock_drift_ppb;
	/* Disk. */
	uint64_t disk_max_bytes;        /* 0: 16 GiB; file contents only are counted */
	struct world_latency disk_sync; /* how long a sync takes; 0,0: at once */
	/* What is not synced for so long is written back by itself; 0: 30 s. */
	uint64_t disk_writeback_ns;
	bool disk_unsynced_is_kept; /* do not track what is unsynced: faster; lose_unsynced = keep
				     */
	/* HTTP client. */
	unsigned http_idle_max; /* kept-alive connections for each authority; 0: 64 */
	unsigned hops;          /* IP hops to services, for IMDS; 0: 1 */
};

/* Asserts that the name is new. Starts down: see world_start(). */
struct world_host *world_host_new(struct world *world, const struct world_host_settings *settings);
struct world_host *world_host_find(struct world *world, struct lab_view name); /* or NULL */
/* The same pointer over all incarnations; its heap and pid change with each start. */
struct env *world_env(struct world_host *host);
bool world_is_up(const struct world_host *host);
/* 1 for the first boot; 0 before. */
uint32_t world_boots(const struct world_host *host);
/* Fibers alive on this host. */
size_t world_fibers(const struct world_host *host);

/* Boots a host that is down: new pid, empty memory, the disk as the crash left it; main_fn(arg) is
 * its first fiber. When main_fn returns, the host stays up. */
void world_start(struct world_host *host, env_fiber_fn main_fn, void *arg);
/* Boots it with what the last world_start() was given. */
void world_restart(struct world_host *host);
/* O(1), from anywhere; called by a fiber of this very host it does not return. No effect on a host
 * that is down. Its streams are reset at their peers after a latency. HTTP requests that it had
 * already sent still reach their service; nobody hears the reply. */
void world_crash(struct world_host *host, enum fault_disk disk);

/* Stands still, as after SIGSTOP, until it goes on as often as it was told to: none of its fibers
 * runs, what happens to them waits, and timers that come due fire at once afterwards. Its clocks go
 * on, its sockets stay open and take what arrives, what it had sent is on its way. Outside fibers;
 * no effect on a host that is down, and a crash ends it. */
void world_hang(struct world_host *host);
void world_go_on(struct world_host *host);
bool world_is_hung(const struct world_host *host);

/* The wall clock's offset, from now on; and a step on top of it. */
void world_clock_offset(struct world_host *host, int64_t offset_us);
void world_clock_step(struct world_host *host, int64_t step_us);

/* Bytes in files; bytes that the disk may hold from now on. */
uint64_t world_disk_used(const struct world_host *host);
void world_disk_limit(struct world_host *host, uint64_t max_bytes);

/* ---- services ---- */

/* TLS of a stream service: who trusts it, and what it wants (env_connect_tls()). Without TLS a
 * client that speaks it is not understood, with it one that does not is reset. */
struct world_tls {
	bool on;
	const char *ca;         /* the ca_file that trusts its certificate; NULL: any does */
	const char *name;       /* that its certificate is for; NULL: whatever it is called */
	bool wants_certificate; /* clients without a cert_file are refused */
};

struct world_service_settings {
	const char *name; /* instance: "s3", "cassandra-1" */
	const char *zone; /* NULL or "": regional, as far from everybody as another zone */
	/* HTTP: "host", "host:port", "*.host", "*.host:port" or "*". Without a port: 80, or 443
	 * with tls. Streams: "host:port". The first match, in order of registration, gets the
	 * request. */
	const char *authority;
	/* One way, instead of the zones' latencies. */
	struct world_latency latency;
	struct sim_connection_life life; /* HTTP: the server's side of keep-alive (s3 2.6) */
	/* The close that follows the last answer arrives up to so much later than the answer: a
	 * request sent in between is lost. 0: 2 ms */
	uint64_t close_race_ns;
	struct world_tls tls; /* streams; its texts must live as long as the world */
};

/* Several endpoints may share one `service`. The name must be new. */
void world_http_service(struct world *world, const struct world_service_settings *settings,
	const struct sim_http_service *service);
void world_stream_service(struct world *world, const struct world_service_settings *settings,
	const struct sim_stream_service *service);

/* For an emulator's creation; `hooks` are valid as long as the world. They are live at once: faults
 * come from world_set_faults(), reachable() and latency() from partitions, zones and nodes that are
 * down, access() goes to the access sinks. */
void world_hooks(struct world *world, struct sim_hooks *ret);

/* A service's node stops (its connections are reset, new ones are refused, other nodes do not reach
 * it), and comes back. */
void world_node_down(struct world *world, struct lab_view name);
void world_node_up(struct world *world, struct lab_view name);
/* Called after each change, e.g. to drop what the node had in memory. */
typedef void (*world_node_fn)(void *ctx, struct lab_view name, bool is_up);
void world_on_node(struct world *world, world_node_fn fn, void *ctx);

/* ---- the network ---- */

/* One way between two zones, in both directions. */
void world_zone_latency(
	struct world *world, const char *zone_a, const char *zone_b, struct world_latency latency);

/* Nothing from `a` reaches `b`; nor the other way unless one_way. What is on its way is lost, too
 * (streams try again, see stream_dead_ns). Returns a number for world_heal(). */
uint32_t world_partition(struct world *world, const char *a, const char *b, bool one_way);
void world_heal(struct world *world, uint32_t partition);
void world_heal_all(struct world *world);
bool world_reachable(struct world *world, struct lab_view from, struct lab_view to);

/* ---- faults ---- */

/* Binds a plan to the world, once: its episodes are put on the time line (episode_started,
 * episode_finished), its world-level faults are carried out, the hooks ask it, and each injected
 * fault becomes a fault_injected event. */
void world_set_faults(struct world *world, struct fault_plan *plan);
struct fault_plan *world_faults(struct world *world); /* or NULL */

/* ---- what happened ---- */

/* An event of the laboratory itself (host 0). For a host's: env_event(). */
void world_event(
	struct world *world, enum lab_event_id id, const struct lab_field *fields, size_t count);
#define WORLD_EVENT(world, id, ...) \
	world_event((world), (id), (const struct lab_field[]){ __VA_ARGS__ }, \
		sizeof((const struct lab_field[]){ __VA_ARGS__ }) / sizeof(struct lab_field))

/* At most WORLD_SINKS_MAX of each sort. A sink must not block. */
#define WORLD_SINKS_MAX 8
void world_add_sink(struct world *world, lab_event_sink_fn fn, void *ctx);
typedef void (*world_access_fn)(void *ctx, const struct sim_access *access);
void world_add_access_sink(struct world *world, world_access_fn fn, void *ctx);

uint64_t world_trace_hash(const struct world *world);
uint64_t world_event_count(const struct world *world);
/* "b1" for host 1 of an event; "lab" for 0. */
const char *world_host_name(const struct world *world, uint32_t host);

struct world_counters {
	uint64_t steps;          /* events of the scheduler, fiber switches included */
	uint64_t http_requests;  /* that reached a service */
	uint64_t http_uncertain; /* that ended LAB_UNCERTAIN */
	uint64_t http_connects;
	uint64_t stream_connects;
	uint64_t stream_chunks; /* delivered, both directions */
	uint64_t crashes, hangs;
	uint64_t dropped;     /* messages lost to partitions */
	uint64_t demotions;   /* fibers that became the last of all */
	uint64_t torn_writes; /* at crashes */
	uint64_t lost_writes;
};
struct world_counters world_counters(const struct world *world);

#endif
