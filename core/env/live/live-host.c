/* SPDX-License-Identifier: Apache-2.0
 *
 * live-host.c - one host: its birth, boot and crash, and the small half of its struct env.
 */
#include "core/env/live/live-private.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define HEAP_DEFAULT ((size_t)1 << 30)
#define IDLE_CONNECTIONS_DEFAULT 64

/* ---- struct env ---- */

static uint64_t host_now(struct env *env)
{
	return live_now(live_host_of(env)->live);
}

static uint64_t host_wall_us(struct env *env)
{
	struct timespec now;

	lab_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
	return (uint64_t)((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 +
			  live_host_of(env)->wall_offset_us);
}

static uint64_t host_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	struct live_host *host = live_host_of(env);

	return lab_draw(host->live->seed, purpose, host->actor, ordinal);
}

static void host_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	live_event(live_host_of(env), id, fields, count);
}

static int host_spawn(
	struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	return live_fiber_new(live_host_of(env), name, fn, NULL, arg, err);
}

static void *host_self(struct env *env)
{
	(void)env;
	return live_fiber_self();
}

static int host_park(struct env *env, uint64_t deadline_ns)
{
	struct live_fiber *fiber = live_fiber_self();

	lab_assert(fiber->host == live_host_of(env));
	return live_fiber_park(fiber, deadline_ns);
}

static void host_unpark(struct env *env, void *token)
{
	(void)env;
	live_fiber_unpark(token);
}

static const struct env_ops host_ops = {
	.now = host_now,
	.wall_us = host_wall_us,
	.draw = host_draw,
	.event = host_event,
	.spawn = host_spawn,
	.self = host_self,
	.park = host_park,
	.unpark = host_unpark,
	.http = live_http,
	.connect = live_connect,
	.connect_tls = live_connect_tls,
	.file_open = live_file_open,
	.unlink = live_unlink,
	.rename = live_rename,
	.stat = live_stat,
	.list = live_list,
};

/* ---- birth ---- */

static int host_check(
	struct live *live, const struct live_host_settings *settings, struct lab_error *err)
{
	if (settings->hostname == NULL || settings->hostname[0] == '\0')
		return lab_fail(err, LAB_INVALID, "a host needs a name");
	for (struct live_host *host = live->hosts; host != NULL; host = host->next) {
		if (strcmp(host->hostname, settings->hostname) == 0)
			return lab_fail(err, LAB_EXISTS, "host %s exists", settings->hostname);
	}
	return 0;
}

static int host_open(
	struct live_host *host, const struct live_host_settings *settings, struct lab_error *err)
{
	if (settings->source_address != NULL &&
		uv_ip4_addr(settings->source_address, 0, &host->source) != 0)
		return lab_fail(err, LAB_INVALID, "source address %s of host %s is not IPv4",
			settings->source_address, settings->hostname);
	host->root_fd = open(settings->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (host->root_fd < 0)
		return lab_fail(err, LAB_NOT_FOUND, "root directory %s of host %s cannot be opened",
			settings->root, settings->hostname);
	return 0;
}

static void host_append(struct live *live, struct live_host *host)
{
	if (live->hosts_last == NULL)
		live->hosts = host;
	else
		live->hosts_last->next = host;
	live->hosts_last = host;
	host->env.host = ++live->host_count;
}

int live_host_new(struct live *live, const struct live_host_settings *settings,
	struct live_host **ret, struct lab_error *err)
{
	struct live_host *host;

	if (host_check(live, settings, err) < 0)
		return -1;
	host = lab_new(live->heap, struct live_host);
	if (host_open(host, settings, err) < 0) {
		lab_heap_free(live->heap, host);
		return -1;
	}
	host->live = live;
	host->hostname = lab_heap_strdup(live->heap, settings->hostname);
	host->zone = lab_heap_strdup(live->heap, settings->zone == NULL ? "" : settings->zone);
	host->actor = lab_hash_view(0, lab_view_cstr(host->hostname));
	host->heap_max_bytes =
		settings->heap_max_bytes != 0 ? settings->heap_max_bytes : HEAP_DEFAULT;
	host->idle_connections_max = settings->idle_connections_max != 0
					     ? settings->idle_connections_max
					     : IDLE_CONNECTIONS_DEFAULT;
	host->wall_offset_us = settings->wall_offset_us;
	host->group = lab_fiber_group_new(live->fibers);
	host->env =
		(struct env){ .ops = &host_ops, .hostname = host->hostname, .zone = host->zone };
	host_append(live, host);
	*ret = host;
	return 0;
}

struct env *live_host_env(struct live_host *host)
{
	return &host->env;
}

bool live_host_up(const struct live_host *host)
{
	return host->up;
}

void live_host_set_wall_offset(struct live_host *host, int64_t offset_us)
{
	host->wall_offset_us = offset_us;
}

/* ---- boot and crash ---- */

/* What the OOM killer does. Only the host's own fibers can survive not returning from here. */
static void host_out_of_memory(void *ctx, size_t wanted)
{
	struct live_host *host = ctx;

	ENV_EVENT(&host->env, LAB_EV_log_message, LAB_F_CSTR("message", "out of memory"),
		LAB_F_VOLATILE_U64("wanted", wanted));
	lab_assert(lab_fiber_self() != NULL && live_fiber_self()->host == host);
	live_crash(host);
	lab_bug("a crashed fiber goes on");
}

static void host_boot(struct live_host *host)
{
	struct live *live = host->live;
	struct env fresh = { .ops = &host_ops,
		.hostname = host->hostname,
		.host = host->env.host,
		.zone = host->zone };

	fresh.pid = live->next_pid++;
	fresh.heap = lab_heap_new(live->pool, host->heap_max_bytes);
	lab_heap_on_exhausted(fresh.heap, host_out_of_memory, host);
	host->env = fresh;
	host->up = true;
	ENV_EVENT(&host->env, LAB_EV_host_started, LAB_F_CSTR("hostname", host->hostname),
		LAB_F_U64("pid", host->env.pid));
}

int live_start(
	struct live_host *host, const char *name, live_main_fn fn, void *arg, struct lab_error *err)
{
	if (!host->up)
		host_boot(host);
	return live_fiber_new(host, name, NULL, fn, arg, err);
}

void live_crash(struct live_host *host)
{
	if (!host->up)
		return;
	ENV_EVENT(&host->env, LAB_EV_host_crashed, LAB_F_CSTR("hostname", host->hostname),
		LAB_F_U64("pid", host->env.pid));
	host->up = false;
	live_http_drop(host);
	live_tls_streams_drop(host);
	live_streams_drop(host);
	live_files_drop(host);
	live_jobs_drop(host);
	lab_heap_drop(&host->env.heap);
	/* Last: it does not return if a fiber of this host is running. */
	live_fibers_drop(host);
}

void live_host_done(struct live_host *host)
{
	live_crash(host);
	lab_fiber_group_free(&host->group);
	close(host->root_fd);
	host->root_fd = -1;
}
