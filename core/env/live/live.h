/* SPDX-License-Identifier: Apache-2.0
 *
 * live.h - the seam's second world: real time, real sockets, real files.
 *
 * Purpose    Runs the same core as sim/world, over libuv, libcurl and POSIX files. One process may
 *            hold many hosts; each is a struct env with a disk (a directory), a heap, a group of
 *            fibers, a pool of kept-alive HTTP connections and clocks of its own.
 * Use        live_new -> live_map... -> live_host_new... -> live_start... -> live_run -> live_free.
 * Threads    Everything of one world belongs to the thread that made it, except the two functions
 *            that say otherwise. libuv's thread pool syncs files and looks up names.
 *            live_new() makes the process ignore SIGPIPE.
 * Safety     Nothing but loopback addresses is ever connected to, until live_allow_remote() is
 *            called; every other connection fails with LAB_DENIED. The check is made on the address
 *            of the socket, after all mapping and name look-up. Certificates of TLS servers are
 *            always verified.
 * HTTP       HTTP/1.1, one request sent at most once. libcurl's silent second attempt on a
 *            kept-alive connection that turns out to be dead is forbidden: it would hide a
 *            duplicate write. The caller sees LAB_UNCERTAIN instead, and decides itself. No
 *            redirects, no Expect, no Accept-Encoding, no proxy from the environment; the target
 *            goes on the wire byte for byte. While a long body is being sent, every part that
 * leaves starts response_timeout_ns again. A request with a control character in it, or a space in
 * target or authority, is LAB_INVALID and not sent. Beyond env.h, env_http and env_connect fail
 * with LAB_DENIED (not loopback) and LAB_LIMIT (out of buffers or of descriptors; before anything
 * was sent if stats.request_sent is false). Disk       An absolute path of a host is looked up
 * under its root directory, part by part and without following symbolic links, so it cannot leave
 * the root. env_file_sync and the directory syncs of env_rename block only the calling fiber. What
 * is not synced survives live_crash(), which is the crash of a process, not of a machine. Limits
 * Taken in the settings; 0 chooses the default that stands beside each.
 */
#ifndef LAB_ENV_LIVE_H
#define LAB_ENV_LIVE_H

#include "core/env/env.h"

struct live;
struct live_host;

struct live_settings {
	uint64_t seed;            /* of env_draw() */
	size_t memory_max_bytes;  /* of all hosts' heaps together; 4 GiB */
	size_t buffers_max_bytes; /* responses being received and stream buffers; 256 MiB */
	size_t stack_bytes;       /* of a fiber; 256 KiB */
	size_t fibers_max;        /* alive at a time; 4096 */
	size_t callbacks_max;     /* of live_at(), pending at a time; 4096 */
	bool no_sync;             /* syncs do nothing: for tests on slow disks */
	const char *ca_file; /* PEM file to trust instead of the system's certificates, or NULL */
	/* Streams with TLS trust this one in place of what env_tls names, and show no certificate
	 * of their own: for servers that stand in for those of the settings. NULL: as env_tls says
	 */
	const char *stream_ca_file;
};

/* Copies the settings. -1 LAB_IO, LAB_LIMIT if the system has no loop for us. */
int live_new(const struct live_settings *settings, struct live **ret, struct lab_error *err);
/* Crashes and frees all hosts. NULLs the pointer; accepts NULL. Not from a fiber. */
void live_free(struct live **live);

/* ---- where names lead ---- */

/* Connections to `pattern`, "host:port" as in a URL with the port spelled out, go to
 * address:port (an IP literal). The first part of the host may be "*", for one or more parts:
 * "*.s3.eu-central-1.amazonaws.com:443". The first matching pattern in the order of the calls
 * counts. The same pattern once more adds an address, as a name with two has: when one cannot be
 * connected to, the next connection goes to another. What the request says (Host header, TLS server
 * name) stays as it is. With `strip_tls` plain HTTP is spoken where the URL says https. -1
 * LAB_INVALID (pattern, address), LAB_LIMIT (LIVE_MAPS_MAX). */
#define LIVE_MAPS_MAX 256
int live_map(struct live *live, const char *pattern, const char *address, uint16_t port,
	bool strip_tls, struct lab_error *err);

/* Lifts the ban on addresses that are not loopback, for all hosts of this world. Only for
 * callers that enforce budgets of their own. Cannot be undone. */
void live_allow_remote(struct live *live);
/* Whether the ban has kept any connection from being made. */
bool live_was_guarded(const struct live *live);

/* ---- hosts ---- */

struct live_host_settings {
	const char *hostname; /* unique in the world */
	const char *zone;     /* NULL: none */
	const char *root;     /* existing directory that holds the host's files */
	/* IPv4 literal that its connections come from, NULL: any. On Linux all of 127.0.0.0/8 will
	 * do: servers can tell hosts apart. */
	const char *source_address;
	size_t heap_max_bytes;         /* 1 GiB; exceeding it crashes the host */
	int64_t wall_offset_us;        /* its wall clock is this far ahead of the machine's */
	unsigned idle_connections_max; /* kept-alive HTTP connections; 64 */
};

/* Hosts are numbered from 1 in the order of the calls. Copies the settings. A new host is down:
 * it has no pid, and no fibers until live_start().
 * -1 LAB_EXISTS (hostname), LAB_NOT_FOUND (root), LAB_INVALID, LAB_IO. */
int live_host_new(struct live *live, const struct live_host_settings *settings,
	struct live_host **ret, struct lab_error *err);
/* Valid as long as the world; env->heap is NULL while the host is down. */
struct env *live_host_env(struct live_host *host);
bool live_host_up(const struct live_host *host);
/* Steps the host's wall clock. */
void live_host_set_wall_offset(struct live_host *host, int64_t offset_us);

/* Boots a host that is down: a new heap, a new pid, and a fiber that runs fn(env, arg). Starting a
 * host that is up adds a fiber to it. `name` is a literal. The host stays up when fn returns.
 * -1 LAB_LIMIT. */
typedef void (*live_main_fn)(struct env *env, void *arg);
int live_start(struct live_host *host, const char *name, live_main_fn fn, void *arg,
	struct lab_error *err);

/* The host's process is killed: its fibers never run again, its heap is gone, its connections are
 * reset (RST), its files stay as they are. Nothing happens if it is down. Called by one of its own
 * fibers it does not return. Handles and memory of the host are invalid afterwards. */
void live_crash(struct live_host *host);

/* ---- running ---- */

/* Runs fibers and callbacks until done(ctx) is true (0) or env_now() reaches deadline_ns (1).
 * done is asked after each turn, also before the first; NULL means until no fiber of any host is
 * alive. Not from a fiber. */
int live_run(struct live *live, uint64_t deadline_ns, bool (*done)(void *ctx), void *ctx);

/* Calls fn(ctx) from live_run(), outside every fiber, when env_now() has reached at_ns. It must
 * not block; it may start, crash and signal. -1 LAB_LIMIT. */
int live_at(
	struct live *live, uint64_t at_ns, void (*fn)(void *ctx), void *ctx, struct lab_error *err);

/* Calls fn(ctx) from live_run() when the process gets SIGINT; until now that killed it. */
int live_on_interrupt(struct live *live, void (*fn)(void *ctx), void *ctx, struct lab_error *err);

/* May be called from any thread, also from a signal handler: makes live_run() take a turn, and so
 * ask done() again. */
void live_wake(struct live *live);

/* env_now() of every host. From any thread. */
uint64_t live_now(const struct live *live);
/* CLOCK_MONOTONIC nanoseconds that are 0 on the now clock: front ends take it, so that services
 * count time alike. */
uint64_t live_start_ns(const struct live *live);
/* Fibers of all hosts that have not ended. */
size_t live_fibers_alive(const struct live *live);

/* ---- events ---- */

/* At most LIVE_SINKS_MAX; more is a programmer's error. They run inside env_event(). */
#define LIVE_SINKS_MAX 8
void live_add_sink(struct live *live, lab_event_sink_fn sink, void *ctx);
uint64_t live_event_count(const struct live *live);
/* Made as in the simulated world, but of real times: says only whether anything happened. */
uint64_t live_trace_hash(const struct live *live);
/* By number; NULL if there is no such host. For sinks. */
const char *live_hostname(const struct live *live, uint32_t host);

#endif
