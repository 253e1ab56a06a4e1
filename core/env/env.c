/* SPDX-License-Identifier: Apache-2.0
 *
 * env.c - the half of the seam that is the same in every world: waiting, for-each, whole files,
 * the check of paths. The rest goes to the world.
 */
#include "core/env/env-private.h"

/* ---- time, randomness, events ---- */

uint64_t env_now(struct env *env)
{
	return env->ops->now(env);
}

uint64_t env_wall_us(struct env *env)
{
	return env->ops->wall_us(env);
}

void env_sleep(struct env *env, uint64_t ns)
{
	uint64_t now = env_now(env);

	(void)env->ops->park(env, ns > ENV_FOREVER - now ? ENV_FOREVER : now + ns);
}

uint64_t env_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	return env->ops->draw(env, purpose, ordinal);
}

void env_event(struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	env->ops->event(env, id, fields, count);
}

/* ---- fibers and waiting ---- */

int env_spawn(struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	return env->ops->spawn(env, name, fn, arg, err);
}

static void cond_append(struct env_cond *cond, struct env_waiter *waiter)
{
	waiter->cond = cond;
	waiter->prev = cond->tail;
	if (cond->tail == NULL)
		cond->head = waiter;
	else
		cond->tail->next = waiter;
	cond->tail = waiter;
}

static void cond_remove(struct env_waiter *waiter)
{
	struct env_cond *cond = waiter->cond;

	if (waiter->prev == NULL)
		cond->head = waiter->next;
	else
		waiter->prev->next = waiter->next;
	if (waiter->next == NULL)
		cond->tail = waiter->prev;
	else
		waiter->next->prev = waiter->prev;
	waiter->cond = NULL;
}

int env_cond_wait(struct env *env, struct env_cond *cond, uint64_t deadline_ns)
{
	struct env_waiter waiter = { .parked = env->ops->self(env) };

	cond_append(cond, &waiter);
	(void)env->ops->park(env, deadline_ns);
	/* Not what park() says: a signal that comes between the deadline and this fiber's turn
	 * has been consumed by us, so it counts. */
	if (waiter.cond == NULL)
		return 0;
	cond_remove(&waiter);
	return 1;
}

void env_cond_signal(struct env *env, struct env_cond *cond)
{
	struct env_waiter *waiter = cond->head;

	if (waiter == NULL)
		return;
	cond_remove(waiter);
	env->ops->unpark(env, waiter->parked);
}

void env_cond_broadcast(struct env *env, struct env_cond *cond)
{
	while (cond->head != NULL)
		env_cond_signal(env, cond);
}

int env_semaphore_take(struct env *env, struct env_semaphore *semaphore, uint64_t deadline_ns,
	struct lab_error *err)
{
	if (semaphore->free > 0) { /* then nobody waits */
		semaphore->free--;
		return 0;
	}
	if (env_cond_wait(env, &semaphore->cond, deadline_ns) != 0)
		return lab_fail(err, LAB_TIMEOUT, "waited too long for a free slot");
	/* env_semaphore_give() handed its slot to us without putting it back first, so that
	 * nobody can overtake. */
	return 0;
}

void env_semaphore_give(struct env *env, struct env_semaphore *semaphore)
{
	if (semaphore->cond.head != NULL)
		env_cond_signal(env, &semaphore->cond);
	else
		semaphore->free++;
}

/* ---- env_for_each ---- */

struct each_run {
	struct env *env;
	env_each_fn fn;
	void *ctx;
	size_t next, count;
	unsigned helpers; /* fibers still running beside the caller's */
	struct env_cond done;
};

static void each_work(struct each_run *run)
{
	while (run->next < run->count)
		run->fn(run->ctx, run->next++);
}

static void each_helper(void *arg)
{
	struct each_run *run = arg;

	each_work(run);
	if (--run->helpers == 0)
		env_cond_signal(run->env, &run->done);
}

void env_for_each(struct env *env, size_t count, unsigned parallel, env_each_fn fn, void *ctx)
{
	struct each_run run = { .env = env, .fn = fn, .ctx = ctx, .count = count };

	lab_assert(parallel > 0);
	/* The calling fiber is one of them. When the world has no more fibers, fewer do it. */
	while (run.helpers + 1 < parallel && run.helpers + 1 < count &&
		env_spawn(env, "for-each", each_helper, &run, NULL) == 0)
		run.helpers++;
	each_work(&run);
	while (run.helpers > 0)
		(void)env_cond_wait(env, &run.done, ENV_FOREVER);
}

/* ---- network ---- */

int env_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err)
{
	struct env_http_stats unused;

	return env->ops->http(
		env, request, limits, arena, ret, ret_stats == NULL ? &unused : ret_stats, err);
}

int env_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err)
{
	return env->ops->connect(env, host, port, deadline_ns, ret, err);
}

int env_connect_tls(struct env *env, const char *host, uint16_t port, const struct env_tls *tls,
	uint64_t deadline_ns, struct env_stream **ret, struct lab_error *err)
{
	return env->ops->connect_tls(env, host, port, tls, deadline_ns, ret, err);
}

int env_stream_read(struct env_stream *stream, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	lab_assert(size > 0);
	return stream->ops->read(stream, data, size, deadline_ns, ret_n, err);
}

int env_stream_write(struct env_stream *stream, struct lab_view data, struct lab_error *err)
{
	return stream->ops->write(stream, data, err);
}

void env_stream_close(struct env_stream **stream)
{
	struct env_stream *closing = *stream;

	if (closing == NULL)
		return;
	*stream = NULL;
	closing->ops->close(closing);
}

/* ---- paths ---- */

/* One part of a path, up to the next slash. */
static int path_part_check(struct lab_view part, const char *path, struct lab_error *err)
{
	if (lab_view_eq_cstr(part, ".") || lab_view_eq_cstr(part, ".."))
		return lab_fail(err, LAB_INVALID, "path %.200s has a \".\" or \"..\" part", path);
	return 0;
}

/* Worlds see absolute paths without empty parts and without a slash at the end, except "/". */
static int path_clean(const char *path, char out[ENV_PATH_MAX + 1], struct lab_error *err)
{
	struct lab_view rest = lab_view_cstr(path), part;
	size_t len = 0;

	if (rest.len == 0 || path[0] != '/')
		return lab_fail(err, LAB_INVALID, "path \"%.200s\" is not absolute", path);
	if (rest.len > ENV_PATH_MAX)
		return lab_fail(err, LAB_INVALID, "path %.100s... is longer than %d bytes", path,
			ENV_PATH_MAX);
	while (lab_view_split(&rest, '/', &part)) {
		if (part.len == 0)
			continue;
		if (path_part_check(part, path, err) < 0)
			return -1;
		out[len++] = '/';
		memcpy(out + len, part.ptr, part.len);
		len += part.len;
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return 0;
}

/* ---- disk ---- */

int env_file_open(struct env *env, const char *path, enum env_open_mode mode, struct env_file **ret,
	struct lab_error *err)
{
	char clean[ENV_PATH_MAX + 1];

	if (path_clean(path, clean, err) < 0)
		return -1;
	return env->ops->file_open(env, clean, mode, ret, err);
}

void env_file_close(struct env_file **file)
{
	struct env_file *closing = *file;

	if (closing == NULL)
		return;
	*file = NULL;
	closing->ops->close(closing);
}

int env_file_read(struct env_file *file, uint64_t offset, void *data, size_t size, size_t *ret_n,
	struct lab_error *err)
{
	return file->ops->read(file, offset, data, size, ret_n, err);
}

int env_file_write(
	struct env_file *file, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	return file->ops->write(file, offset, data, err);
}

int env_file_truncate(struct env_file *file, uint64_t size, struct lab_error *err)
{
	return file->ops->truncate(file, size, err);
}

int env_file_sync(struct env_file *file, struct lab_error *err)
{
	return file->ops->sync(file, err);
}

uint64_t env_file_size(struct env_file *file)
{
	return file->ops->size(file);
}

static int load_open_file(struct env_file *file, size_t max_bytes, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	uint64_t size = env_file_size(file);
	uint8_t *data;
	size_t n;

	if (size > max_bytes)
		return lab_fail(err, LAB_LIMIT, "file has %" PRIu64 " bytes, more than %zu", size,
			max_bytes);
	data = lab_arena_alloc(arena, (size_t)size);
	if (env_file_read(file, 0, data, (size_t)size, &n, err) < 0)
		return -1;
	*ret = lab_view_of(data, n);
	return 0;
}

int env_file_load(struct env *env, const char *path, size_t max_bytes, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct env_file *file;
	int result;

	if (env_file_open(env, path, ENV_OPEN_READ, &file, err) < 0)
		return -1;
	result = load_open_file(file, max_bytes, arena, ret, err);
	env_file_close(&file);
	return result < 0 ? lab_error_wrap(err, "load %.120s", path) : 0;
}

static int replace_write(struct env *env, const char *temporary, struct lab_view data, bool sync,
	struct lab_error *err)
{
	struct env_file *file;
	int result;

	if (env_file_open(env, temporary, ENV_OPEN_TRUNCATE, &file, err) < 0)
		return -1;
	result = env_file_write(file, 0, data, err);
	if (result == 0 && sync)
		result = env_file_sync(file, err);
	env_file_close(&file);
	return result;
}

int env_file_replace(
	struct env *env, const char *path, struct lab_view data, bool sync, struct lab_error *err)
{
	static const char suffix[] = ".tmp";
	char temporary[ENV_PATH_MAX + sizeof(suffix)];

	if (path_clean(path, temporary, err) < 0)
		return -1;
	memcpy(temporary + strlen(temporary), suffix, sizeof(suffix));
	if (replace_write(env, temporary, data, sync, err) < 0 ||
		env_rename(env, temporary, path, err) < 0) {
		(void)env_unlink(env, temporary, NULL);
		return lab_error_wrap(err, "replace %.120s", path);
	}
	return 0;
}

int env_unlink(struct env *env, const char *path, struct lab_error *err)
{
	char clean[ENV_PATH_MAX + 1];

	if (path_clean(path, clean, err) < 0)
		return -1;
	return env->ops->unlink(env, clean, err);
}

int env_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	char clean_from[ENV_PATH_MAX + 1], clean_to[ENV_PATH_MAX + 1];

	if (path_clean(from, clean_from, err) < 0 || path_clean(to, clean_to, err) < 0)
		return -1;
	return env->ops->rename(env, clean_from, clean_to, err);
}

int env_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err)
{
	char clean[ENV_PATH_MAX + 1];

	if (path_clean(path, clean, err) < 0)
		return -1;
	return env->ops->stat(env, clean, ret, err);
}

int env_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err)
{
	char clean[ENV_PATH_MAX + 1];

	if (path_clean(path, clean, err) < 0)
		return -1;
	return env->ops->list(env, clean, max_entries, arena, ret_names, ret_count, err);
}
