/* SPDX-License-Identifier: Apache-2.0
 *
 * world.c - the run: its loop, its trace, its counters.
 */
#include "sim/world/world-private.h"

#define WALL_START_US UINT64_C(1704067200000000) /* 2024-01-01 00:00:00 UTC */
#define NODES_MAX 65536

static void set_default(uint64_t *setting, uint64_t value)
{
	if (*setting == 0)
		*setting = value;
}

static void set_default_latency(struct world_latency *setting, uint64_t low, uint64_t high)
{
	if (setting->high_ns == 0)
		*setting = (struct world_latency){ low, high };
}

static void set_defaults(struct world_settings *settings)
{
	if (settings->memory_max_bytes == 0)
		settings->memory_max_bytes = (size_t)8 << 30;
	if (settings->events_max == 0)
		settings->events_max = 4000000;
	set_default(&settings->wall_start_us, WALL_START_US);
	set_default(&settings->livelock_events, 10000000);
	set_default(&settings->stream_dead_ns, LAB_MINUTE);
	set_default_latency(&settings->same_zone, 50 * LAB_USEC, 150 * LAB_USEC);
	set_default_latency(&settings->other_zone, 300 * LAB_USEC, LAB_MSEC);
}

struct world *world_new(const struct world_settings *settings)
{
	struct world_settings effective = *settings;
	struct lab_heap *heap;
	struct world *world;

	set_defaults(&effective);
	heap = lab_heap_new(settings->pool, effective.memory_max_bytes);
	world = lab_new(heap, struct world);
	world->heap = heap;
	world->settings = effective;
	world->queue.max = effective.events_max;
	world->nodes = lab_map_new(heap, NODES_MAX);
	world->zones[0] = "";
	world->zone_count = 1;
	return world;
}

void world_free(struct world **world)
{
	struct world *freed = *world;
	struct lab_heap *heap;

	if (freed == NULL)
		return;
	*world = NULL;
	lab_assert(freed->running == NULL);
	for (uint32_t i = 0; i < freed->host_count; i++)
		world_host_free(freed->hosts[i]);
	heap = freed->heap;
	lab_heap_drop(&heap);
}

uint64_t world_now(const struct world *world)
{
	return world->now_ns;
}

uint64_t world_seed(const struct world *world)
{
	return world->settings.seed;
}

struct lab_heap *world_heap(struct world *world)
{
	return world->heap;
}

void *world_grow(
	struct world *world, void *items, size_t item_size, uint32_t count, uint32_t *capacity)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity == 0 ? 8 : *capacity * 2;
	return lab_heap_realloc(world->heap, items, *capacity * item_size);
}

/* ---- running ---- */

static int check_health(struct world *world, struct lab_error *err)
{
	if (world->is_overflown) {
		world->is_broken = true;
		return lab_fail(err, LAB_LIMIT, "more than %" PRIu32 " pending events",
			world->settings.events_max);
	}
	if (world->idle_steps > world->settings.livelock_events) {
		world->is_broken = true;
		return lab_fail(err, LAB_INTERNAL, "livelock: %" PRIu64 " events at %" PRIu64 " ns",
			world->idle_steps, world->now_ns);
	}
	return 0;
}

int world_run_until(struct world *world, uint64_t until_ns, world_done_fn done, void *ctx,
	struct lab_error *err)
{
	lab_assert(lab_fiber_self() == NULL && !world->is_broken);
	while (world_step(world, until_ns)) {
		world->counters.steps++;
		if (check_health(world, err) < 0)
			return -1;
		if (done != NULL && done(ctx))
			return 1;
	}
	if (until_ns != ENV_FOREVER && until_ns > world->now_ns)
		world->now_ns = until_ns;
	return 0;
}

void world_at(struct world *world, uint64_t time_ns, world_action_fn fn, void *ctx)
{
	(void)world_post(world, NULL, time_ns, fn, ctx);
}

/* ---- what happened ---- */

void world_trace(struct world *world, uint32_t host, uint64_t fiber, enum lab_event_id id,
	const struct lab_field *fields, size_t count)
{
	struct lab_event event = {
		.id = id,
		.time_ns = world->now_ns,
		.host = host,
		.fiber = fiber,
		.sequence = ++world->event_count,
		.fields = fields,
		.field_count = count,
	};

	world->trace_hash = lab_event_fold(world->trace_hash, &event);
	for (size_t i = 0; i < world->sink_count; i++)
		world->sinks[i].fn(world->sinks[i].ctx, &event);
}

void world_event(
	struct world *world, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	world_trace(world, 0, 0, id, fields, count);
}

void world_add_sink(struct world *world, lab_event_sink_fn fn, void *ctx)
{
	lab_assert(world->sink_count < WORLD_SINKS_MAX);
	world->sinks[world->sink_count++] = (struct world_sink){ fn, ctx };
}

void world_add_access_sink(struct world *world, world_access_fn fn, void *ctx)
{
	lab_assert(world->access_sink_count < WORLD_SINKS_MAX);
	world->access_sinks[world->access_sink_count++] = (struct world_access_sink){ fn, ctx };
}

void world_on_node(struct world *world, world_node_fn fn, void *ctx)
{
	lab_assert(world->node_sink_count < WORLD_SINKS_MAX);
	world->node_sinks[world->node_sink_count++] = (struct world_node_sink){ fn, ctx };
}

uint64_t world_trace_hash(const struct world *world)
{
	return world->trace_hash;
}

uint64_t world_event_count(const struct world *world)
{
	return world->event_count;
}

const char *world_host_name(const struct world *world, uint32_t host)
{
	lab_assert(host <= world->host_count);
	return host == 0 ? "lab" : world->hosts[host - 1]->env.hostname;
}

struct world_counters world_counters(const struct world *world)
{
	return world->counters;
}
