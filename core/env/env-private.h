/* SPDX-License-Identifier: Apache-2.0
 *
 * env-private.h - what a world implements. The contracts are those of env.h; a world embeds
 * `struct env` in its host.
 */
#ifndef LAB_ENV_PRIVATE_H
#define LAB_ENV_PRIVATE_H

#include "core/env/env.h"

/* A fiber in env_cond_wait(). On the waiting fiber's stack. */
struct env_waiter {
	struct env_waiter *next, *prev;
	struct env_cond *cond; /* NULL once signalled */
	void *parked;          /* the world's token for the fiber */
};

struct env_ops {
	uint64_t (*now)(struct env *env);
	uint64_t (*wall_us)(struct env *env);
	uint64_t (*draw)(struct env *env, const char *purpose, uint64_t ordinal);
	void (*event)(struct env *env, enum lab_event_id id, const struct lab_field *fields,
		size_t count);

	int (*spawn)(struct env *env, const char *name, env_fiber_fn fn, void *arg,
		struct lab_error *err);
	/* The running fiber's token, for unpark(). */
	void *(*self)(struct env *env);
	/* Suspends the running fiber until unpark() (0) or the deadline (1). */
	int (*park)(struct env *env, uint64_t deadline_ns);
	/* Makes a parked fiber runnable. Called at most once for each park(). */
	void (*unpark)(struct env *env, void *token);

	int (*http)(struct env *env, const struct lab_http_request *request,
		const struct env_http_limits *limits, struct lab_arena *arena,
		struct lab_http_response *ret, struct env_http_stats *ret_stats,
		struct lab_error *err);

	int (*connect)(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
		struct env_stream **ret, struct lab_error *err);
	int (*connect_tls)(struct env *env, const char *host, uint16_t port,
		const struct env_tls *tls, uint64_t deadline_ns, struct env_stream **ret,
		struct lab_error *err);

	int (*file_open)(struct env *env, const char *path, enum env_open_mode mode,
		struct env_file **ret, struct lab_error *err);
	int (*unlink)(struct env *env, const char *path, struct lab_error *err);
	int (*rename)(struct env *env, const char *from, const char *to, struct lab_error *err);
	int (*stat)(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err);
	int (*list)(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
		struct lab_view **ret_names, size_t *ret_count, struct lab_error *err);
};

struct env_stream_ops {
	int (*read)(struct env_stream *stream, void *data, size_t size, uint64_t deadline_ns,
		size_t *ret_n, struct lab_error *err);
	int (*write)(struct env_stream *stream, struct lab_view data, struct lab_error *err);
	void (*close)(struct env_stream *stream);
};

struct env_stream {
	const struct env_stream_ops *ops;
	struct env *env;
};

struct env_file_ops {
	int (*read)(struct env_file *file, uint64_t offset, void *data, size_t size, size_t *ret_n,
		struct lab_error *err);
	int (*write)(struct env_file *file, uint64_t offset, struct lab_view data,
		struct lab_error *err);
	int (*truncate)(struct env_file *file, uint64_t size, struct lab_error *err);
	int (*sync)(struct env_file *file, struct lab_error *err);
	uint64_t (*size)(struct env_file *file);
	void (*close)(struct env_file *file);
};

struct env_file {
	const struct env_file_ops *ops;
	struct env *env;
};

#endif
