/* SPDX-License-Identifier: Apache-2.0
 *
 * host.c - hosts: how they boot and crash, their clocks, their fibers.
 *
 * A crash is O(1): it drops the host's heap and its fibers, and `boots` and `is_up` make every
 * event of the incarnation stale. Nothing that a crash must find again is in the host's heap.
 */
#include "sim/world/world-private.h"

#define POOLS_MAX 4096

/* ---- making ---- */

static void set_host_defaults(struct world_host_settings *settings)
{
	if (settings->memory_max_bytes == 0)
		settings->memory_max_bytes = (size_t)1 << 30;
	if (settings->disk_max_bytes == 0)
		settings->disk_max_bytes = (uint64_t)16 << 30;
	if (settings->disk_writeback_ns == 0)
		settings->disk_writeback_ns = 30 * LAB_SEC;
	if (settings->http_idle_max == 0)
		settings->http_idle_max = 64;
	if (settings->hops == 0)
		settings->hops = 1;
}

struct world_host *world_host_new(struct world *world, const struct world_host_settings *settings)
{
	struct world_host *host = lab_new(world->heap, struct world_host);

	host->world = world;
	host->settings = *settings;
	set_host_defaults(&host->settings);
	world_add_node(world, &host->node, settings->name, settings->zone);
	host->node.host = host;
	host->settings.name = (const char *)host->node.name.ptr;
	host->settings.zone = world_zone_name(world, host->node.zone);
	host->clock_offset_us = settings->clock_offset_us;
	host->group = lab_fiber_group_new(world->settings.fibers);
	host->http_pools = lab_map_new(world->heap, POOLS_MAX);
	world->hosts = world_grow(world, world->hosts, sizeof(struct world_host *),
		world->host_count, &world->host_capacity);
	world->hosts[world->host_count++] = host;
	host->env = (struct env){
		.ops = &world_env_ops,
		.hostname = host->settings.name,
		.host = world->host_count,
		.zone = host->settings.zone,
	};
	if (settings->kind == WORLD_BACKEND)
		host->disk = world_disk_new(host);
	return host;
}

void world_host_free(struct world_host *host)
{
	host->is_up = false;
	lab_fiber_drop_all(host->group);
	lab_fiber_group_free(&host->group);
	lab_heap_drop(&host->env.heap);
}

struct world_host *world_host_find(struct world *world, struct lab_view name)
{
	struct world_node *node = world_find_node(world, name);

	return node == NULL ? NULL : node->host;
}

struct env *world_env(struct world_host *host)
{
	return &host->env;
}

bool world_is_up(const struct world_host *host)
{
	return host->is_up;
}

uint32_t world_boots(const struct world_host *host)
{
	return host->boots;
}

size_t world_fibers(const struct world_host *host)
{
	return host->fiber_count;
}

/* ---- booting and crashing ---- */

static void crash(struct world_host *host, enum fault_disk disk, const char *reason);

static void on_exhausted(void *ctx, size_t wanted)
{
	struct world_host *host = ctx;
	struct world *world = host->world;

	/* Only the host's own fibers allocate from its heap, so the crash ends the one that runs.
	 */
	lab_assert(world->running != NULL && world->running->host == host);
	world_trace(world, host->env.host, world->running->id, LAB_EV_log_message,
		(const struct lab_field[]){
			LAB_F_CSTR("message", "out of memory"), LAB_F_U64("wanted", wanted) },
		2);
	crash(host, FAULT_DISK_KEEP, "out_of_memory");
	lab_bug("a crashed fiber does not go on");
}

void world_start(struct world_host *host, env_fiber_fn main_fn, void *arg)
{
	struct world *world = host->world;
	struct lab_error err;

	lab_assert(!host->is_up);
	host->boots++;
	host->is_up = true;
	host->main_fn = main_fn;
	host->main_arg = arg;
	host->env.pid = 1000 * host->env.host + host->boots;
	memset(&host->env.last_guid, 0, sizeof(host->env.last_guid));
	host->env.heap = lab_heap_new(world->settings.pool, host->settings.memory_max_bytes);
	if (host->settings.kind == WORLD_BACKEND)
		lab_heap_on_exhausted(host->env.heap, on_exhausted, host);
	if (host->disk != NULL)
		world_disk_recover(host->disk);
	world_trace(world, host->env.host, 0, LAB_EV_host_started,
		(const struct lab_field[]){ LAB_F_CSTR("host", host->env.hostname),
			LAB_F_U64("boot", host->boots), LAB_F_U64("pid", host->env.pid) },
		3);
	if (env_spawn(&host->env, "main", main_fn, arg, &err) < 0)
		lab_bug("no fiber left for a host's main");
}

void world_restart(struct world_host *host)
{
	lab_assert(host->main_fn != NULL);
	world_start(host, host->main_fn, host->main_arg);
}

struct crashed {
	struct world_host *host;
	uint32_t boots;
};

static void on_crash_noticed(void *ctx)
{
	struct crashed *crashed = ctx;
	struct world *world = crashed->host->world;

	world_streams_crashed(world, crashed->host, crashed->boots);
	lab_heap_free(world->heap, crashed);
}

static void give_fibers_back(struct world_host *host)
{
	struct world *world = host->world;

	if (host->fibers == NULL)
		return;
	host->fibers_tail->next = world->free_fibers;
	world->free_fibers = host->fibers;
	host->fibers = host->fibers_tail = NULL;
	host->fiber_count = 0;
}

static void crash(struct world_host *host, enum fault_disk disk, const char *reason)
{
	static const char *const disks[] = { "lose_unsynced", "keep", "wipe" };
	struct world *world = host->world;
	struct crashed *crashed;

	lab_assert(host->settings.kind == WORLD_BACKEND);
	if (!host->is_up)
		return;
	world->counters.crashes++;
	world_trace(world, host->env.host, 0, LAB_EV_host_crashed,
		(const struct lab_field[]){ LAB_F_CSTR("host", host->env.hostname),
			LAB_F_CSTR("reason", reason), LAB_F_CSTR("disk", disks[disk]) },
		3);
	host->is_up = false;
	/* In an event of its own, because it costs as much as there are streams. */
	crashed = lab_new(world->heap, struct crashed);
	*crashed = (struct crashed){ host, host->boots };
	(void)world_post(world, NULL, world->now_ns, on_crash_noticed, crashed);
	world_disk_crash(host->disk, disk);
	world_forget_hangs(host);
	give_fibers_back(host);
	lab_heap_drop(&host->env.heap);
	/* The last step: called by one of the host's fibers, it does not return. */
	lab_fiber_drop_all(host->group);
}

void world_crash(struct world_host *host, enum fault_disk disk)
{
	crash(host, disk, "killed");
}

/* ---- fibers ---- */

struct world_fiber *world_self(struct world_host *host)
{
	struct world_fiber *fiber = host->world->running;

	lab_assert(fiber != NULL && fiber->host == host);
	return fiber;
}

void world_resume(struct world_fiber *fiber)
{
	struct world *world = fiber->host->world;

	if (fiber->host->hangs > 0) {
		world_keep_fiber(fiber);
		return;
	}
	fiber->state = FIBER_RUNNING;
	if (world->settings.schedule == WORLD_PRIORITY)
		world_change_priority(fiber);
	world->running = fiber;
	(void)lab_fiber_resume(fiber->fiber);
	world->running = NULL;
}

static void fiber_main(void *arg)
{
	struct world_fiber *fiber = arg;
	struct world_host *host = fiber->host;

	fiber->fn(fiber->arg);
	if (fiber->prev == NULL)
		host->fibers = fiber->next;
	else
		fiber->prev->next = fiber->next;
	if (fiber->next == NULL)
		host->fibers_tail = fiber->prev;
	else
		fiber->next->prev = fiber->prev;
	host->fiber_count--;
	fiber->next = host->world->free_fibers;
	host->world->free_fibers = fiber;
}

static struct world_fiber *take_fiber(struct world *world)
{
	struct world_fiber *fiber = world->free_fibers;

	if (fiber == NULL)
		return lab_new(world->heap, struct world_fiber);
	world->free_fibers = fiber->next;
	memset(fiber, 0, sizeof(*fiber));
	return fiber;
}

static void link_fiber(struct world_host *host, struct world_fiber *fiber)
{
	fiber->prev = host->fibers_tail;
	if (host->fibers_tail == NULL)
		host->fibers = fiber;
	else
		host->fibers_tail->next = fiber;
	host->fibers_tail = fiber;
	host->fiber_count++;
}

static int host_spawn(
	struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	struct world_host *host = world_host_of(env);
	struct world *world = host->world;
	struct world_fiber *fiber;

	if (!host->is_up)
		return lab_fail(
			err, LAB_UNAVAILABLE, "%s is down: no fiber %s", env->hostname, name);
	fiber = take_fiber(world);
	fiber->fiber = lab_fiber_new(host->group, fiber_main, fiber);
	if (fiber->fiber == NULL) {
		fiber->next = world->free_fibers;
		world->free_fibers = fiber;
		return lab_fail(err, LAB_LIMIT, "too many fibers: no fiber %s", name);
	}
	fiber->host = host;
	fiber->id = ++world->last_fiber;
	fiber->fn = fn;
	fiber->arg = arg;
	link_fiber(host, fiber);
	if (world->settings.schedule == WORLD_PRIORITY)
		world_draw_priority(fiber);
	world_ready(fiber);
	return 0;
}

/* ---- waiting ---- */

static void on_deadline(void *ctx)
{
	struct world_fiber *fiber = ctx;

	fiber->timer = 0;
	fiber->is_timed_out = true;
	world_resume(fiber);
}

int world_park(struct world_fiber *fiber, uint64_t deadline_ns)
{
	struct world_host *host = fiber->host;
	struct world *world = host->world;

	fiber->is_timed_out = false;
	if (deadline_ns <= world->now_ns) {
		world_ready(fiber);
		fiber->is_timed_out = true;
	} else {
		fiber->state = FIBER_PARKED;
		if (deadline_ns != ENV_FOREVER)
			fiber->timer = world_post(world, host, deadline_ns, on_deadline, fiber);
	}
	lab_fiber_suspend();
	return fiber->is_timed_out ? 1 : 0;
}

/* A fiber whose deadline is over, but that had no turn yet, was woken in time. */
static bool is_in_time(struct world_fiber *fiber)
{
	if (fiber->state == FIBER_PARKED)
		return false;
	lab_assert(fiber->state == FIBER_READY && fiber->is_timed_out);
	fiber->is_timed_out = false;
	return true;
}

void world_unpark(struct world_fiber *fiber)
{
	if (is_in_time(fiber))
		return;
	world_cancel(fiber->host->world, &fiber->timer);
	world_ready(fiber);
}

void world_wake(struct world_fiber *fiber)
{
	if (is_in_time(fiber))
		return;
	world_cancel(fiber->host->world, &fiber->timer);
	world_resume(fiber);
}

static void *host_self(struct env *env)
{
	return world_self(world_host_of(env));
}

static int host_park(struct env *env, uint64_t deadline_ns)
{
	return world_park(world_self(world_host_of(env)), deadline_ns);
}

static void host_unpark(struct env *env, void *token)
{
	(void)env;
	world_unpark(token);
}

/* ---- clocks, draws, events ---- */

static uint64_t host_now(struct env *env)
{
	return world_host_of(env)->world->now_ns;
}

static uint64_t host_wall_us(struct env *env)
{
	const struct world_host *host = world_host_of(env);
	int64_t elapsed_us = (int64_t)(host->world->now_ns / 1000);
	int64_t drift_us = elapsed_us / 1000 * host->settings.clock_drift_ppb / 1000000;
	int64_t wall_us = (int64_t)host->world->settings.wall_start_us + elapsed_us + drift_us +
			  host->clock_offset_us;

	return wall_us < 0 ? 0 : (uint64_t)wall_us;
}

void world_clock_offset(struct world_host *host, int64_t offset_us)
{
	host->clock_offset_us = offset_us;
}

void world_clock_step(struct world_host *host, int64_t step_us)
{
	host->clock_offset_us += step_us;
}

static uint64_t host_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	const struct world_host *host = world_host_of(env);
	uint64_t actor = host->node.key;

	/* After a reboot a host counts from the start again, but does not draw the same. */
	if (host->boots > 1)
		actor = lab_hash_fold(actor, host->boots);
	return lab_draw(host->world->settings.seed, purpose, actor, ordinal);
}

static void host_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	struct world *world = world_host_of(env)->world;
	struct world_fiber *running = world->running;

	world_trace(world, env->host,
		running != NULL && &running->host->env == env ? running->id : 0, id, fields, count);
}

const struct env_ops world_env_ops = {
	.now = host_now,
	.wall_us = host_wall_us,
	.draw = host_draw,
	.event = host_event,
	.spawn = host_spawn,
	.self = host_self,
	.park = host_park,
	.unpark = host_unpark,
	.http = world_http,
	.connect = world_connect,
	.connect_tls = world_connect_tls,
	.file_open = world_file_open,
	.unlink = world_unlink,
	.rename = world_rename,
	.stat = world_stat,
	.list = world_list,
};

uint64_t world_disk_used(const struct world_host *host)
{
	return host->disk == NULL ? 0 : world_disk_bytes(host->disk);
}

void world_disk_limit(struct world_host *host, uint64_t max_bytes)
{
	host->settings.disk_max_bytes = max_bytes;
}
