/* SPDX-License-Identifier: Apache-2.0
 *
 * live-faults.c - the fault plan on a live world's time line: hosts whose processes are killed,
 * Cassandra nodes that do not listen any more, zones in which all of that happens at once.
 */
#include "scenarios/live/live-world-private.h"

#include <stdio.h>

#define CQL_POINTS \
	(FAULT_CQL | FAULT_BIT(cql_connect) | FAULT_BIT(cql_prepare) | FAULT_BIT(cql_tls) | \
		FAULT_BIT(cql_node_down))
/* Kinds that only the simulated world can do. */
#define MISSING_POINTS \
	(FAULT_DISK | FAULT_BIT(world_partition) | FAULT_BIT(world_clock) | FAULT_BIT(world_hang))

/* ---- Cassandra nodes ---- */

struct node_switch {
	struct live_world *world;
	size_t node;
	bool is_up;
};

static void node_switch_run(void *ctx)
{
	struct node_switch *s = ctx;
	struct live_world *w = s->world;
	uint64_t now_ns = live_now(w->live);

	if (s->is_up)
		cqlemu_node_start(w->scene.cql, s->node, now_ns);
	else
		cqlemu_node_kill(w->scene.cql, s->node, now_ns);
}

void live_switch_node(struct live_world *w, size_t node, bool is_up)
{
	struct node_switch s = { w, node, is_up };
	struct lab_error err;

	if (!is_up)
		(void)stream_front_end_listen(w->cql, w->scene.cql_names[node], false, &err);
	stream_front_end_call(w->cql, node_switch_run, &s);
	if (is_up && stream_front_end_listen(w->cql, w->scene.cql_names[node], true, &err) < 0)
		fprintf(stderr, "live: %s stays down: %s\n", w->scene.cql_names[node], err.message);
}

/* ---- the fault plan's time line ---- */

struct killed {
	struct live_host_place *place;
	uint32_t pid;
};

struct episode_run {
	struct live_world *world;
	const struct fault_episode *episode;
	/* To be started again. */
	struct killed *killed;
	size_t killed_count;
	uint64_t nodes; /* Cassandra's that this episode has switched off */
};

static bool is_named(const struct live_host_place *place, const char *target)
{
	return strcmp(live_host_env(place->host)->hostname, target) == 0;
}

/* The process is killed: the system resets its connections. */
static void kill_host(struct episode_run *run, struct live_host_place *place)
{
	struct live_world *w = run->world;

	if (!live_host_up(place->host))
		return;
	if (run->killed == NULL)
		run->killed = lab_new_array(w->heap, struct killed, w->place_count);
	run->killed[run->killed_count++] =
		(struct killed){ place, live_host_env(place->host)->pid };
	live_crash(place->host);
	if (run->episode->disk == FAULT_DISK_WIPE && live_directory_empty(place->root) < 0)
		fprintf(stderr, "live: %s: some files are left\n", place->root);
}

static void kill_node(struct episode_run *run, size_t node)
{
	run->nodes |= UINT64_C(1) << node;
	live_switch_node(run->world, node, false);
}

static void begin_crash(struct episode_run *run)
{
	struct live_world *w = run->world;

	for (size_t i = 0; i < w->place_count; i++) {
		if (is_named(&w->places[i], run->episode->target))
			kill_host(run, &w->places[i]);
	}
}

static void begin_node_down(struct episode_run *run)
{
	struct live_world *w = run->world;

	for (size_t i = 0; i < w->scene.cql_count; i++) {
		if (strcmp(w->scene.cql_names[i], run->episode->target) == 0)
			kill_node(run, i);
	}
}

/* Its hosts and Cassandra nodes; what is regional stays (palomar 5). The target is "zone:NAME". */
static void begin_zone_lost(struct episode_run *run)
{
	struct live_world *w = run->world;
	const char *zone = strchr(run->episode->target, ':') + 1;

	for (size_t i = 0; i < w->place_count; i++) {
		if (strcmp(live_host_env(w->places[i].host)->zone, zone) == 0)
			kill_host(run, &w->places[i]);
	}
	for (size_t i = 0; w->cql != NULL && i < w->scene.cql_count; i++) {
		if (lab_view_eq_cstr(scene_cql_zone(&w->scene, i), zone))
			kill_node(run, i);
	}
}

/* Unless somebody else started it meanwhile. */
static void restart(const struct killed *killed)
{
	if (!live_host_up(killed->place->host) &&
		live_host_env(killed->place->host)->pid == killed->pid)
		live_world_boot(killed->place);
}

static void trace_episode(struct episode_run *run, enum lab_event_id id)
{
	const struct fault_episode *episode = run->episode;

	LIVE_WORLD_EVENT(run->world, id, LAB_F_U64("episode", episode->id),
		LAB_F_CSTR("kind", fault_kind_name(episode->kind)),
		LAB_F_CSTR("target", episode->target), LAB_F_U64("rate_ppm", episode->rate_ppm),
		LAB_F_U64("length_ns", episode->length_ns));
}

static void on_episode_end(void *ctx)
{
	struct episode_run *run = ctx;
	struct live_world *w = run->world;

	for (size_t i = 0; i < w->scene.cql_count; i++) {
		if ((run->nodes >> i & 1) != 0)
			live_switch_node(w, i, true);
	}
	for (size_t i = 0; i < run->killed_count; i++)
		restart(&run->killed[i]);
	trace_episode(run, LAB_EV_episode_finished);
}

static void at(struct live_world *w, uint64_t time_ns, void (*fn)(void *ctx), void *ctx)
{
	struct lab_error err;

	if (live_at(w->live, time_ns, fn, ctx, &err) < 0)
		lab_bug("there is a callback for each episode");
}

static void on_episode_begin(void *ctx)
{
	struct episode_run *run = ctx;
	struct live_world *w = run->world;
	const struct fault_episode *episode = run->episode;

	trace_episode(run, LAB_EV_episode_started);
	if (fault_kind_is_world(episode->kind) &&
		live_tap_fire(w->tap, episode->id, live_now(w->live))) {
		if (episode->kind == FAULT_crash)
			begin_crash(run);
		else if (episode->kind == FAULT_zone_lost)
			begin_zone_lost(run);
		else
			begin_node_down(run);
	}
	at(w, episode->start_ns + episode->length_ns, on_episode_end, run);
}

void live_on_episode(void *ctx, const struct fault_episode *episode)
{
	struct live_world *w = ctx;
	struct episode_run *run = lab_new(w->heap, struct episode_run);

	*run = (struct episode_run){ .world = w, .episode = episode };
	if (!episode->is_disabled)
		at(w, episode->start_ns, on_episode_begin, run);
}

/* Where nothing of ours is asked for faults. */
uint64_t live_missing_points(const struct live_world *w)
{
	const struct scenario *s = w->options->scenario;

	return MISSING_POINTS | (s->is_foreign_s3 ? FAULT_S3 : 0) |
	       (s->is_foreign_cql ? CQL_POINTS : 0);
}

void live_on_skipped(void *ctx, const struct scenario_fault *fault)
{
	const struct live_world *w = ctx;
	const struct scenario *s = w->options->scenario;

	fprintf(stderr, "live: fault %.*s is left out: it is for the simulated world%s%s only\n",
		LAB_VIEW_ARG(fault->name), s->is_foreign_s3 ? " or for the emulated S3" : "",
		s->is_foreign_cql ? " or for the emulated Cassandra" : "");
}

void live_on_fault(void *ctx, const struct fault_record *record)
{
	struct live_world *w = ctx;

	w->told_ns = record->time_ns;
	LIVE_WORLD_EVENT(w, LAB_EV_fault_injected, LAB_F_U64("fault", record->id),
		LAB_F_CSTR("point", fault_point_name(record->point)),
		LAB_F_CSTR("kind", fault_kind_name(record->kind)),
		LAB_F_U64("episode", record->episode), LAB_F_CSTR("instance", record->instance),
		LAB_F_CSTR("peer", record->peer), LAB_F_CSTR("subject", record->subject));
	w->told_ns = 0;
}
