/* SPDX-License-Identifier: Apache-2.0
 *
 * env.h - the seam. The core never touches the operating system: everything with an effect goes
 * through one `struct env`, which is one host: its clocks, its randomness, its network, its disk,
 * its fibers, its memory (DESIGN 2).
 *
 * Two implementations: sim/world (virtual time, emulators behind simulated links, a disk with
 * fsync semantics) and core/env/live (libuv, libcurl, POSIX files). The same core objects are
 * linked to both.
 *
 * Blocking   Functions marked "blocks" suspend the calling fiber; others of the same host run
 *            meanwhile. They may only be called inside a fiber of this host. Nothing else blocks,
 *            and there are no threads, so between two blocking calls a fiber has its host alone.
 * Crash      A crash of the host ends every fiber inside its current blocking call, without
 *            running any more code of theirs, and drops the host's heap. So: everything that a
 *            host allocates comes from env->heap, and no memory or handle of a library is held
 *            across a blocking call.
 * Time       Nanoseconds since the run's start (now), or microseconds since 1970 (wall): the wall
 *            clock is the host's own and may be skewed or step. Deadlines are absolute, on the
 *            now clock; ENV_FOREVER is none.
 * Errors     lab_error codes; LAB_UNCERTAIN only where said.
 */
#ifndef LAB_ENV_H
#define LAB_ENV_H

#include "core/base/base.h"

#define ENV_FOREVER UINT64_MAX

struct env;
struct env_ops;

struct env {
	const struct env_ops *ops;
	struct lab_heap *heap; /* the host's memory */
	const char *hostname;  /* unique in its run: GUIDs and diff rows depend on it */
	uint32_t host;         /* number of the host in events, from 1 */
	uint32_t pid;     /* of the Dovecot process that this stands for; new after a restart */
	const char *zone; /* availability zone, "" if there is none */
	struct {
		int64_t seconds;
		uint32_t nanos;
	} last_guid; /* of env_guid128_generate(), zero at boot */
};

/* ---- time and randomness ---- */

/* Monotonic nanoseconds since the run's start. Advances only in blocking calls (sim). */
uint64_t env_now(struct env *env);
/* The host's own wall clock, microseconds since 1970. */
uint64_t env_wall_us(struct env *env);
static inline int64_t env_wall_seconds(struct env *env)
{
	return (int64_t)(env_wall_us(env) / 1000000);
}
/* Blocks. */
void env_sleep(struct env *env, uint64_t ns);
/* A keyed decision: seed and host are added by the world (hash.h). In the live world from the
 * seed too, so that both worlds agree. */
uint64_t env_draw(struct env *env, const char *purpose, uint64_t ordinal);

/* A GUID-128 as lib/guid.c makes it (obox 4.1): nanoseconds, seconds and pid little-endian, then
 * the last four bytes of SHA-1(hostname). Unique for one process; unique for all while hostnames
 * are, and it sorts by creation only after decoding. */
#define ENV_GUID128_SIZE 16
void env_guid128_generate(struct env *env, uint8_t guid[ENV_GUID128_SIZE]);
/* The time that the next one of this host would have at least, as env_guid128_time() tells it. */
uint64_t env_guid128_next_time(struct env *env);
/* When it was made, nanoseconds since 1970. */
uint64_t env_guid128_time(const uint8_t guid[ENV_GUID128_SIZE]);

/* ---- fibers and waiting ---- */

typedef void (*env_fiber_fn)(void *arg);
/* Starts a fiber of this host; it runs when the caller next blocks. `name` is a literal for traces.
 * -1 LAB_LIMIT when the world has no more. */
int env_spawn(struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err);

/* A queue of waiting fibers. Zero-initialised is empty. Lives in the host's memory. */
struct env_waiter;
struct env_cond {
	struct env_waiter *head, *tail;
};
/* Blocks until signalled (0) or until the deadline (1). Waiters wake in the order they came. */
int env_cond_wait(struct env *env, struct env_cond *cond, uint64_t deadline_ns);
/* Wakes the longest waiting fiber, if any: it becomes runnable, nothing is switched. */
void env_cond_signal(struct env *env, struct env_cond *cond);
void env_cond_broadcast(struct env *env, struct env_cond *cond);

/* A counting semaphore: at most `free` holders at a time, first come first served. */
struct env_semaphore {
	unsigned free;
	struct env_cond cond;
};
/* Blocks. 0, or -1 LAB_TIMEOUT. */
int env_semaphore_take(struct env *env, struct env_semaphore *semaphore, uint64_t deadline_ns,
	struct lab_error *err);
void env_semaphore_give(struct env *env, struct env_semaphore *semaphore);

/* Runs fn(ctx, i) for i in [0, count), at most `parallel` at a time, each in a fiber of its own,
 * and returns when all are done. parallel 1 runs in the calling fiber. Blocks. */
typedef void (*env_each_fn)(void *ctx, size_t index);
void env_for_each(struct env *env, size_t count, unsigned parallel, env_each_fn fn, void *ctx);

/* ---- HTTP: one exchange, no retries, no redirects ---- */

struct env_http_limits {
	uint64_t connect_timeout_ns;  /* until connected */
	uint64_t response_timeout_ns; /* from the request sent to the last byte of the response */
	size_t response_max_bytes;    /* a longer body is LAB_LIMIT */
	bool fresh_connection;        /* do not reuse a kept-alive one (after a failure) */
	uint64_t deadline_ns;         /* absolute, for the whole exchange; 0: none */
};

struct env_http_stats {
	uint64_t connect_ns, send_ns, response_ns;
	bool request_sent; /* at least one byte left: a failed write is then uncertain */
	bool reused;       /* went over a kept-alive connection */
};

/* Blocks. 0 with any complete response, whatever its status. -1:
 *   LAB_REFUSED, LAB_TIMEOUT   no connection: certainly not received
 *   LAB_UNCERTAIN              reset, closed or timed out after the request was sent, in whole or
 * in part; err->retryable is set, the message says which of them LAB_LIMIT, LAB_CORRUPT     the
 * response is too long, or is not HTTP: also after sending The response borrows from `arena`; its
 * headers are those of the wire, so that the answer to a HEAD has its Content-Length. *ret_stats
 * (may be NULL) is filled in either case. */
int env_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err);

/* ---- byte streams ---- */

struct env_stream;

/* Blocks. -1: LAB_REFUSED, LAB_TIMEOUT, LAB_NOT_FOUND (no such host). */
int env_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err);
/* TLS below a stream. Paths are of the machine, not of the host's disk: they are settings as an
 * operator writes them. The simulated world looks at no file: there a CA file is the CA's name. */
enum env_tls_verify {
	ENV_TLS_VERIFY_NAME, /* somebody whom ca_file trusts says that it is `host` */
	ENV_TLS_VERIFY_IP,   /* ... that it has the address which was connected to */
	ENV_TLS_VERIFY_CERT, /* ... that it is somebody */
	ENV_TLS_VERIFY_NONE
};
struct env_tls {
	enum env_tls_verify verify;
	const char *ca_file;      /* PEM; NULL: nobody is trusted, so only VERIFY_NONE succeeds */
	const char *cert_file;    /* PEM chain of this side's own certificate, NULL: it has none */
	const char *key_file;     /* NULL: in cert_file */
	const char *key_password; /* NULL: none. A secret */
};
/* As env_connect(), and TLS 1.2 or 1.3 is agreed on before it returns, within the same deadline;
 * the stream then reads and writes what is inside, and an end without TLS's own goodbye is
 * LAB_RESET. `tls` is borrowed during the call. -1 also: LAB_DENIED (a certificate was not
 * accepted, by this side or, as far as it says so, by the other), LAB_CORRUPT (the peer speaks no
 * TLS, or no version of it that is accepted), LAB_RESET (closed during the handshake), LAB_INVALID
 * (a file that cannot be used: nothing retryable). No message has anything of a key or a password.
 */
int env_connect_tls(struct env *env, const char *host, uint16_t port, const struct env_tls *tls,
	uint64_t deadline_ns, struct env_stream **ret, struct lab_error *err);
/* Blocks until at least one byte is there. *ret_n 0 is the peer's orderly end. -1: LAB_RESET,
 * LAB_TIMEOUT (the stream stays usable). */
int env_stream_read(struct env_stream *stream, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err);
/* Takes all of it or fails; what was taken may still be lost. Blocks while the peer's window is
 * full. -1 LAB_RESET. */
int env_stream_write(struct env_stream *stream, struct lab_view data, struct lab_error *err);
/* Never blocks; a fiber that reads it gets LAB_RESET. NULLs the pointer; accepts NULL. */
void env_stream_close(struct env_stream **stream);

/* ---- disk: files of this host ---- */

/* Paths are absolute, at most ENV_PATH_MAX bytes, without "." and ".." parts. What was not
 * synced may be lost, in whole or in part, in a crash of the machine (not of a process). */
#define ENV_PATH_MAX 1024

enum env_open_mode {
	ENV_OPEN_READ,    /* LAB_NOT_FOUND if missing */
	ENV_OPEN_WRITE,   /* read and write, created if missing */
	ENV_OPEN_CREATE,  /* as WRITE, but LAB_EXISTS if present */
	ENV_OPEN_TRUNCATE /* as WRITE, emptied */
};
struct env_file;

struct env_stat {
	uint64_t size;
	int64_t mtime; /* unix seconds, of the host's wall clock */
	bool is_directory;
};

/* The parent directory must exist, except that missing parents are made for the modes that
 * create. -1: LAB_NOT_FOUND, LAB_EXISTS, LAB_NO_SPACE, LAB_IO. */
int env_file_open(struct env *env, const char *path, enum env_open_mode mode, struct env_file **ret,
	struct lab_error *err);
/* Does not sync. NULLs the pointer; accepts NULL. */
void env_file_close(struct env_file **file);
/* *ret_n is short only at the end of the file. */
int env_file_read(struct env_file *file, uint64_t offset, void *data, size_t size, size_t *ret_n,
	struct lab_error *err);
/* Extends the file as needed. -1: LAB_NO_SPACE, LAB_IO: the bytes may be there in part. */
int env_file_write(
	struct env_file *file, uint64_t offset, struct lab_view data, struct lab_error *err);
int env_file_truncate(struct env_file *file, uint64_t size, struct lab_error *err);
/* Blocks for as long as the disk takes. */
int env_file_sync(struct env_file *file, struct lab_error *err);
uint64_t env_file_size(struct env_file *file);

/* The whole file into the arena; -1 LAB_LIMIT if it is longer than max_bytes. */
int env_file_load(struct env *env, const char *path, size_t max_bytes, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);
/* Writes <path>.tmp, syncs it if `sync`, renames it over `path`. */
int env_file_replace(
	struct env *env, const char *path, struct lab_view data, bool sync, struct lab_error *err);

/* -1 LAB_NOT_FOUND if missing. A directory must be empty (LAB_EXISTS). */
int env_unlink(struct env *env, const char *path, struct lab_error *err);
/* Atomic, replaces `to`. Its parents are made. */
int env_rename(struct env *env, const char *from, const char *to, struct lab_error *err);
int env_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err);
/* Names in a directory in byte order, at most max_entries (then -1 LAB_LIMIT); none if there is no
 * such directory. */
int env_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err);

/* ---- events ---- */

/* Folded into the trace hash and handed to the world's sinks. */
void env_event(struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count);
#define ENV_EVENT(env, id, ...) \
	env_event((env), (id), (const struct lab_field[]){ __VA_ARGS__ }, \
		sizeof((const struct lab_field[]){ __VA_ARGS__ }) / sizeof(struct lab_field))

#endif
