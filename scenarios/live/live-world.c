/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-world.h"

#include "scenarios/runner/peers.h"

#include <stdio.h>

#define FIBERS_MAX 65536
#define SERVICE_BYTES_MAX ((size_t)SCENE_MEMORY_MAX)
#define CQL_POINTS \
	(FAULT_CQL | FAULT_BIT(cql_connect) | FAULT_BIT(cql_prepare) | FAULT_BIT(cql_tls) | \
		FAULT_BIT(cql_node_down))
/* Kinds that only the simulated world can do. */
#define MISSING_POINTS \
	(FAULT_DISK | FAULT_BIT(world_partition) | FAULT_BIT(world_clock) | \
		FAULT_BIT(world_hang) | FAULT_BIT(world_zone))

/* ---- hosts ---- */

static struct live_host_place *place_of(struct live_world *w, const struct node *node)
{
	return &w->places[node - w->scene.nodes];
}

static void on_boot(struct env *env, void *arg)
{
	(void)env;
	node_main(arg);
}

static void boot(struct live_world *w, struct node *node)
{
	struct lab_error err;

	if (live_start(place_of(w, node)->host, "main", on_boot, node, &err) < 0)
		lab_bug("there are more fibers than a live run may have");
}

/* The clients' fibers are started later. */
static void lab_main(struct env *env, void *arg)
{
	(void)env;
	(void)arg;
}

static int new_lab(struct live_world *w, struct lab_error *err)
{
	struct live_host_settings settings = {
		.hostname = "lab", .root = w->root, .heap_max_bytes = (size_t)SCENE_MEMORY_MAX
	};

	if (live_host_new(w->live, &settings, &w->lab_host, err) < 0)
		return -1;
	w->lab = live_host_env(w->lab_host);
	return live_start(w->lab_host, "main", lab_main, NULL, err);
}

static int new_host(struct live_world *w, struct node *node, struct lab_error *err)
{
	struct live_host_place *place = place_of(w, node);
	size_t number = (size_t)(node - w->scene.nodes) + 1;
	struct live_host_settings settings = { .hostname = node->name,
		.zone = node->zone,
		.root = place->root,
		.source_address = place->source,
		.heap_max_bytes = scene_memory_max(&w->scene, node),
		.wall_offset_us = scene_clock_offset(&w->scene, node) };

	snprintf(place->source, sizeof(place->source), "127.0.1.%zu", number);
	if (number > 254)
		return lab_fail(err, LAB_LIMIT, "more than 253 backends in the live world");
	if (live_directory_add(w->root, node->name, place->root, err) < 0)
		return -1;
	place->world = w;
	return live_host_new(w->live, &settings, &place->host, err);
}

static int new_hosts(struct live_world *w, struct lab_error *err)
{
	for (size_t i = 0; i <= w->scene.node_count; i++) {
		if (new_host(w, &w->scene.nodes[i], err) < 0)
			return -1;
	}
	return 0;
}

static void follow_hosts(void *ctx, const struct lab_event *event)
{
	struct live_world *w = ctx;

	if (w->is_closing || (event->id != LAB_EV_host_crashed && event->id != LAB_EV_host_started))
		return;
	for (size_t i = 0; i <= w->scene.node_count; i++) {
		struct env *env = live_host_env(w->places[i].host);

		if (env->host != event->host)
			continue;
		if (event->id == LAB_EV_host_started) {
			node_booted(&w->scene.nodes[i], env);
		} else {
			w->crashes++;
			node_crashed(&w->scene.nodes[i], w->lab);
		}
	}
}

/* ---- services behind sockets ---- */

struct peers {
	struct front_end_peer items[SCENE_NODES_MAX];
	size_t count;
};

static void list_peers(struct live_world *w, struct peers *ret)
{
	ret->count = w->scene.node_count + 1;
	for (size_t i = 0; i < ret->count; i++)
		ret->items[i] = (struct front_end_peer){ .address = w->places[i].source,
			.name = w->scene.nodes[i].name,
			.zone = w->scene.nodes[i].zone };
}

static int new_services(struct live_world *w, struct lab_error *err)
{
	struct scene *scene = &w->scene;
	const struct scenario *scenario = w->options->scenario;
	struct sim_hooks hooks, none = { 0 }; /* mirrors have none */

	live_tap_hooks(w->tap, &hooks);
	w->s3_pool = lab_pool_new(SERVICE_BYTES_MAX);
	w->imds_pool = lab_pool_new(SERVICE_BYTES_MAX);
	w->cql_pool = lab_pool_new(SERVICE_BYTES_MAX);
	if (scene_new_storage(scene, w->s3_pool, scenario->is_foreign_s3 ? &none : &hooks, err) <
			0 ||
		scene_new_imds(scene, w->imds_pool, &hooks, serve_publish, &w->publisher, err) < 0)
		return -1;
	return scene_new_cql(scene, w->cql_pool, scenario->is_foreign_cql ? &none : &hooks, err);
}

static int serve_all(struct live_world *w, struct lab_error *err)
{
	struct scene *scene = &w->scene;
	struct peers *peers = lab_new(w->heap, struct peers);
	struct sim_connection_life life = scene_s3_life(scene);
	struct serve_socket socket = { .start_ns = live_start_ns(w->live), .peers = peers->items };
	const char *names[SCENE_CQL_NODES_MAX];

	list_peers(w, peers);
	socket.peer_count = peers->count;
	socket.life = &life;
	socket.life_seed = w->options->seed;
	if (!w->options->scenario->is_foreign_s3 &&
		serve_http(scene_storage_service(scene), &socket, scene_storage_name(scene), &w->s3,
			err) < 0)
		return -1;
	w->publisher = (struct serve_publisher){ .s3 = scene->s3, .front_end = w->s3 };
	socket.life = NULL;
	if (scene->imds != NULL && serve_imds(scene->imds, &socket, &w->imds, err) < 0)
		return -1;
	if (w->options->scenario->is_foreign_cql || scene->cql == NULL)
		return 0;
	for (size_t i = 0; i < scene->cql_count; i++)
		names[i] = scene->cql_names[i];
	socket.address = LIVE_CQL_ADDRESS;
	return serve_cql(scene->cql, names, scene->cql_count, &socket, &w->cql, err);
}

/* ---- where the settings' names lead ---- */

/* "host:port", with the port spelled out. */
static struct lab_view with_port(struct live_world *w, struct lab_view authority, uint16_t port)
{
	size_t colon = lab_view_find_byte(authority, ':');
	bool has_port = colon != SIZE_MAX && authority.ptr[authority.len - 1] != ']';
	size_t size = authority.len + 8;
	char *text = lab_heap_alloc(w->heap, size);

	if (has_port)
		snprintf(text, size, "%.*s", LAB_VIEW_ARG(authority));
	else
		snprintf(text, size, "%.*s:%u", LAB_VIEW_ARG(authority), port);
	return lab_view_cstr(text);
}

static int map(struct live_world *w, struct lab_view authority, uint16_t default_port,
	const char *address, uint16_t port, bool strip_tls, struct lab_error *err)
{
	/* It ends with a NUL. */
	struct lab_view pattern = with_port(w, authority, default_port);

	return live_map(w->live, (const char *)pattern.ptr, address, port, strip_tls, err);
}

static int map_names(struct live_world *w, struct lab_error *err)
{
	const struct scenario_endpoints *e = &w->options->scenario->endpoints;
	const struct dict_cql_connect *connect = scene_connect(&w->scene);

	if (w->s3 != NULL && map(w, e->s3_authority, e->s3.tls ? 443 : 80, "127.0.0.1",
				     w->s3_tls != NULL ? tls_front_end_port(w->s3_tls)
						       : http_front_end_port(w->s3),
				     e->s3.tls && w->s3_tls == NULL, err) < 0)
		return -1;
	if (w->imds != NULL && map(w, e->s3.auth_host, 80, "127.0.0.1",
				       http_front_end_port(w->imds), false, err) < 0)
		return -1;
	for (size_t i = 0; w->cql != NULL && i < w->scene.cql_count; i++) {
		char address[SERVE_ADDRESS_MAX];

		if (serve_node_address(LIVE_CQL_ADDRESS, i, address, err) < 0 ||
			map(w, connect->hosts[i], connect->port, address,
				w->cql_tls != NULL ? tls_front_end_port(w->cql_tls)
						   : stream_front_end_port(w->cql),
				false, err) < 0)
			return -1;
	}
	return 0;
}

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

/* A dead node refuses connections, and those it had are reset. */
static void switch_node(struct live_world *w, size_t node, bool is_up)
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

struct episode_run {
	struct live_world *world;
	const struct fault_episode *episode;
	bool is_on;
	struct node *crashed; /* to be started again */
	uint32_t crashed_boots;
};

static struct node *target_backend(struct live_world *w, const struct fault_episode *episode)
{
	for (size_t i = 0; i < w->scene.node_count; i++) {
		if (strcmp(w->scene.nodes[i].name, episode->target) == 0)
			return &w->scene.nodes[i];
	}
	lab_bug("a crash has a backend as its target");
}

static size_t target_cql_node(struct live_world *w, const struct fault_episode *episode)
{
	for (size_t i = 0; i < w->scene.cql_count; i++) {
		if (strcmp(w->scene.cql_names[i], episode->target) == 0)
			return i;
	}
	lab_bug("node_down has a Cassandra node as its target");
}

static void begin_crash(struct episode_run *run)
{
	struct live_world *w = run->world;
	struct node *node = target_backend(w, run->episode);
	struct live_host_place *place = place_of(w, node);

	if (!live_host_up(place->host))
		return;
	run->crashed = node;
	run->crashed_boots = node->boots;
	live_crash(place->host);
	if (run->episode->disk == FAULT_DISK_WIPE && live_directory_empty(place->root) < 0)
		fprintf(stderr, "live: %s: some files are left\n", place->root);
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
	const struct fault_episode *episode = run->episode;

	if (run->is_on && episode->kind == FAULT_node_down)
		switch_node(w, target_cql_node(w, episode), true);
	/* Unless somebody else started it meanwhile. */
	if (run->crashed != NULL && !run->crashed->is_up &&
		run->crashed->boots == run->crashed_boots)
		boot(w, run->crashed);
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
		run->is_on = true;
		if (episode->kind == FAULT_crash)
			begin_crash(run);
		else
			switch_node(w, target_cql_node(w, episode), false);
	}
	at(w, episode->start_ns + episode->length_ns, on_episode_end, run);
}

static void on_episode(void *ctx, const struct fault_episode *episode)
{
	struct live_world *w = ctx;
	struct episode_run *run = lab_new(w->heap, struct episode_run);

	*run = (struct episode_run){ .world = w, .episode = episode };
	if (!episode->is_disabled)
		at(w, episode->start_ns, on_episode_begin, run);
}

/* Where nothing of ours is asked for faults. */
static uint64_t missing_points(const struct live_world *w)
{
	const struct scenario *s = w->options->scenario;

	return MISSING_POINTS | (s->is_foreign_s3 ? FAULT_S3 : 0) |
	       (s->is_foreign_cql ? CQL_POINTS : 0);
}

static void on_skipped(void *ctx, const struct scenario_fault *fault)
{
	const struct live_world *w = ctx;
	const struct scenario *s = w->options->scenario;

	fprintf(stderr, "live: fault %.*s is left out: it is for the simulated world%s%s only\n",
		LAB_VIEW_ARG(fault->name), s->is_foreign_s3 ? " or for the emulated S3" : "",
		s->is_foreign_cql ? " or for the emulated Cassandra" : "");
}

static void on_fault(void *ctx, const struct fault_record *record)
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

static void on_access(void *ctx, const struct sim_access *access)
{
	struct live_world *w = ctx;

	w->access(w->access_ctx, access);
}

void live_world_drain(struct live_world *w)
{
	struct live_tap_sink sink = { w, on_access, on_fault };

	if (!w->is_closing)
		live_tap_drain(w->tap, &sink);
}

static enum dict_hop_fault dict_hop(void *ctx, struct env *env, struct lab_view key)
{
	struct live_world *w = ctx;
	struct sim_hooks hooks;

	live_tap_hooks(w->tap, &hooks);
	return scene_dict_hop(env, key, hooks.fault, hooks.ctx);
}

static struct sim_fault decide_pull(void *ctx, const struct sim_fault_query *query)
{
	struct live_world *w = ctx;
	struct sim_hooks hooks;

	live_tap_hooks(w->tap, &hooks);
	return hooks.fault(hooks.ctx, query);
}

/* ---- the whole world ---- */

/* The services' wall clock is the machine's. */
static int new_scene(struct live_world *w, struct lab_error *err)
{
	uint64_t epoch_us = env_wall_us(w->lab) - live_now(w->live) / LAB_USEC;

	if (scene_init(&w->scene, w->options, epoch_us, err) < 0)
		return -1;
	w->scene.is_live = true;
	w->tap = live_tap_new(&w->scene);
	return scene_new_faults(
		&w->scene, live_tap_heap(w->tap), missing_points(w), on_skipped, w, err);
}

int live_world_build(struct live_world *w, const struct run_options *options, void *ctx,
	void (*access)(void *ctx, const struct sim_access *access), struct lab_error *err)
{
	struct live_settings settings = { .seed = options->seed,
		.memory_max_bytes = (size_t)SCENE_MEMORY_MAX * 2,
		.fibers_max = FIBERS_MAX,
		.callbacks_max = FAULT_EPISODES_MAX + 64 };

	*w = (struct live_world){ .options = options, .access_ctx = ctx, .access = access };
	w->pool = lab_pool_new(SERVICE_BYTES_MAX);
	w->heap = lab_heap_new(w->pool, SERVICE_BYTES_MAX);
	if (live_directory_new(w->root, err) < 0 || live_encrypted_prepare(w, &settings, err) < 0 ||
		live_new(&settings, &w->live, err) < 0 || new_lab(w, err) < 0 ||
		new_scene(w, err) < 0 || new_hosts(w, err) < 0 || new_services(w, err) < 0 ||
		serve_all(w, err) < 0 || live_encrypted_serve(w, err) < 0 ||
		map_names(w, err) < 0 || live_world_claim(w, err) < 0)
		return -1;
	live_add_sink(w->live, follow_hosts, w);
	live_tap_observe(w->tap, w->scene.plan, on_episode, w);
	(void)peers_new(&(struct peers_settings){ .lab = w->lab,
		.nodes = w->scene.nodes,
		.node_count = w->scene.node_count,
		.decide = decide_pull,
		.ctx = w });
	for (size_t i = 0; i < w->scene.node_count; i++) {
		w->scene.nodes[i].settings.dict_hop = dict_hop;
		w->scene.nodes[i].settings.dict_hop_ctx = w;
		boot(w, &w->scene.nodes[i]);
	}
	return 0;
}

void live_world_stop(struct live_world *w)
{
	tls_front_end_free(&w->s3_tls);
	tls_front_end_free(&w->cql_tls);
	/* IMDS first: it calls S3. */
	http_front_end_free(&w->imds);
	http_front_end_free(&w->s3);
	stream_front_end_free(&w->cql);
	if (w->tap != NULL)
		live_world_drain(w);
}

void live_world_free(struct live_world *w)
{
	/* The end of the hosts is not a crash that anybody should hear of. */
	w->is_closing = true;
	live_world_stop(w);
	live_free(&w->live);
	scene_free(&w->scene);
	live_tap_free(&w->tap);
	lab_pool_free(&w->cql_pool);
	lab_pool_free(&w->imds_pool);
	lab_pool_free(&w->s3_pool);
	if (w->root[0] != '\0' && live_directory_remove(w->root) < 0)
		fprintf(stderr, "live: %s cannot be removed\n", w->root);
	lab_heap_drop(&w->heap);
	lab_pool_free(&w->pool);
}

void live_world_heal(struct live_world *w)
{
	for (size_t i = 0; w->cql != NULL && i < w->scene.cql_count; i++)
		switch_node(w, i, true);
	for (size_t i = 0; i < w->scene.node_count; i++) {
		if (!w->scene.nodes[i].is_up)
			boot(w, &w->scene.nodes[i]);
	}
}

struct node *live_world_auditor(struct live_world *w)
{
	struct node *auditor = &w->scene.nodes[w->scene.node_count];

	boot(w, auditor);
	return auditor;
}
