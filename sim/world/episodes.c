/* SPDX-License-Identifier: Apache-2.0
 *
 * episodes.c - the fault plan on the world's time line: when episodes begin and end, and what the
 * world itself does in them.
 */
#include "sim/world/world-private.h"

struct episode_run {
	struct world *world;
	uint32_t id;
	bool is_on;
	struct world_host *crashed; /* to be started again */
	struct world_host *hung;    /* to go on */
	uint32_t boots;             /* of either */
	uint32_t partition;
	struct world_lost_zone *zone;
};

static const struct fault_episode *episode_of(const struct episode_run *run)
{
	size_t count;
	const struct fault_episode *episodes = fault_plan_episodes(run->world->faults, &count);

	return &episodes[run->id - 1];
}

static void trace_episode(
	struct world *world, enum lab_event_id id, const struct fault_episode *episode)
{
	WORLD_EVENT(world, id, LAB_F_U64("episode", episode->id),
		LAB_F_CSTR("kind", fault_kind_name(episode->kind)),
		LAB_F_CSTR("target", episode->target), LAB_F_CSTR("other", episode->other),
		LAB_F_U64("rate_ppm", episode->rate_ppm),
		LAB_F_U64("length_ns", episode->length_ns));
}

static struct world_host *target_host(struct world *world, const struct fault_episode *episode)
{
	struct world_host *host = world_host_find(world, lab_view_cstr(episode->target));

	lab_assert(host != NULL);
	return host;
}

static void begin_crash(struct episode_run *run, const struct fault_episode *episode)
{
	struct world_host *host = target_host(run->world, episode);

	if (!host->is_up)
		return;
	run->crashed = host;
	run->boots = host->boots;
	world_crash(host, episode->disk);
}

static void begin_hang(struct episode_run *run, const struct fault_episode *episode)
{
	run->hung = target_host(run->world, episode);
	run->boots = run->hung->boots;
	world_hang(run->hung);
}

/* Unless it crashed meanwhile, or was down: what was started since does not stand still. */
static void end_hang(struct episode_run *run)
{
	if (run->hung->boots == run->boots)
		world_go_on(run->hung);
}

/* "zone:az1", as for partitions. */
static const char *zone_of_target(const struct fault_episode *episode)
{
	static const char prefix[] = "zone:";

	return strncmp(episode->target, prefix, sizeof(prefix) - 1) == 0
		       ? episode->target + sizeof(prefix) - 1
		       : episode->target;
}

static void begin_world_fault(struct episode_run *run, const struct fault_episode *episode)
{
	struct world *world = run->world;
	enum fault_kind kind = episode->kind;

	if (kind == FAULT_crash)
		begin_crash(run, episode);
	else if (kind == FAULT_hang)
		begin_hang(run, episode);
	else if (kind == FAULT_node_down)
		world_node_down(world, lab_view_cstr(episode->target));
	else if (kind == FAULT_zone_lost)
		run->zone = world_lose_zone(world, zone_of_target(episode), episode->disk);
	else if (kind == FAULT_partition || kind == FAULT_partition_one_way)
		run->partition = world_partition(
			world, episode->target, episode->other, kind == FAULT_partition_one_way);
	else
		world_clock_step(target_host(world, episode), episode->clock_us);
}

static void end_world_fault(struct episode_run *run, const struct fault_episode *episode)
{
	struct world *world = run->world;
	enum fault_kind kind = episode->kind;

	if (run->hung != NULL)
		end_hang(run);
	else if (run->zone != NULL)
		world_return_zone(world, &run->zone);
	else if (kind == FAULT_node_down)
		world_node_up(world, lab_view_cstr(episode->target));
	else if (run->partition != 0)
		world_heal(world, run->partition);
	else if (kind == FAULT_clock_skew)
		world_clock_step(target_host(world, episode), -episode->clock_us);
	/* Unless somebody else started it meanwhile. */
	if (run->crashed != NULL && !run->crashed->is_up && run->crashed->boots == run->boots)
		world_restart(run->crashed);
}

static void on_end(void *ctx)
{
	struct episode_run *run = ctx;
	const struct fault_episode *episode = episode_of(run);

	if (run->is_on)
		end_world_fault(run, episode);
	trace_episode(run->world, LAB_EV_episode_finished, episode);
	lab_heap_free(run->world->heap, run);
}

static void on_begin(void *ctx)
{
	struct episode_run *run = ctx;
	const struct fault_episode *episode = episode_of(run);
	struct world *world = run->world;

	if (episode->is_disabled) {
		lab_heap_free(world->heap, run);
		return;
	}
	trace_episode(world, LAB_EV_episode_started, episode);
	if (fault_kind_is_world(episode->kind)) {
		run->is_on = fault_world_fire(world->faults, run->id, world->now_ns) != 0;
		if (run->is_on)
			begin_world_fault(run, episode);
	}
	(void)world_post(world, NULL, episode->start_ns + episode->length_ns, on_end, run);
}

/* ---- what the plan tells ---- */

static const char *zone_of(void *ctx, struct lab_view peer)
{
	struct world *world = ctx;
	const struct world_node *node = world_find_node(world, peer);

	return node == NULL ? "" : world_zone_name(world, node->zone);
}

/* ---- a host that crashes in the middle of a request ---- */

struct peer_crash {
	struct world_host *host;
	uint32_t boots;
	enum fault_disk disk;
	uint64_t down_ns;
};

static void on_peer_restart(void *ctx)
{
	struct peer_crash *crash = ctx;

	if (!crash->host->is_up && crash->host->boots == crash->boots)
		world_restart(crash->host);
	lab_heap_free(crash->host->world->heap, crash);
}

static void on_peer_crash(void *ctx)
{
	struct peer_crash *crash = ctx;
	struct world *world = crash->host->world;

	if (!crash->host->is_up || crash->host->boots != crash->boots) {
		lab_heap_free(world->heap, crash);
		return;
	}
	world_crash(crash->host, crash->disk);
	(void)world_post(world, NULL, world->now_ns + crash->down_ns, on_peer_restart, crash);
}

/* Not at once: whoever asked is still in the middle of its request. */
static void crash_peer(struct world *world, const struct fault_record *record)
{
	size_t count;
	const struct fault_episode *episode =
		&fault_plan_episodes(world->faults, &count)[record->episode - 1];
	struct world_host *host = world_host_find(world, lab_view_cstr(record->peer));
	struct peer_crash *crash;

	if (!episode->crashes_peer || host == NULL || host->settings.kind != WORLD_BACKEND)
		return;
	crash = lab_new(world->heap, struct peer_crash);
	*crash = (struct peer_crash){ .host = host,
		.boots = host->boots,
		.disk = episode->disk,
		.down_ns = episode->down_ns };
	(void)world_post(world, NULL, world->now_ns, on_peer_crash, crash);
}

static void on_fired(void *ctx, const struct fault_record *record)
{
	struct world *world = ctx;

	WORLD_EVENT(world, LAB_EV_fault_injected, LAB_F_U64("fault", record->id),
		LAB_F_CSTR("point", fault_point_name(record->point)),
		LAB_F_CSTR("kind", fault_kind_name(record->kind)),
		LAB_F_U64("episode", record->episode), LAB_F_CSTR("instance", record->instance),
		LAB_F_CSTR("peer", record->peer), LAB_F_CSTR("subject", record->subject));
	crash_peer(world, record);
}

static void on_episode(void *ctx, const struct fault_episode *episode)
{
	struct world *world = ctx;
	struct episode_run *run = lab_new(world->heap, struct episode_run);

	*run = (struct episode_run){ .world = world, .id = episode->id };
	(void)world_post(world, NULL, episode->start_ns, on_begin, run);
}

void world_set_faults(struct world *world, struct fault_plan *plan)
{
	struct fault_observer observer = {
		.ctx = world, .zone_of = zone_of, .fired = on_fired, .episode = on_episode
	};

	lab_assert(world->faults == NULL);
	world->faults = plan;
	fault_plan_observe(plan, &observer);
}

struct fault_plan *world_faults(struct world *world)
{
	return world->faults;
}
