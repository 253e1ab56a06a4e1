/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/sim-world.h"

#include "scenarios/runner/palomar.h"
#include "scenarios/runner/peers.h"

#include <stdio.h>

/* A latency stays a distribution: only its shape is the scenario's. */
static struct world_latency link_latency(const struct conf_range *range)
{
	return (struct world_latency){ LAB_MAX(range->low, 1), LAB_MAX(range->high, 1) };
}

/* ---- the world and its hosts ---- */

/* The clients' fibers are started later. */
static void lab_main(void *arg)
{
	(void)arg;
}

static void build_world(struct sim_world *w)
{
	const struct scenario_network *n = &w->options->scenario->network;
	struct world_settings settings = { .seed = w->options->seed,
		.pool = w->options->pool,
		.fibers = w->options->fibers,
		.schedule = (enum world_schedule)scenario_schedule(
			w->options->scenario, w->options->seed),
		.wall_start_us = SIM_WALL_START_US,
		.same_zone = link_latency(&n->same_zone),
		.other_zone = link_latency(&n->other_zone),
		.stream_split_ppm =
			(uint32_t)scene_knob(&w->scene, &n->stream_split, "network.split", 0) };
	struct world_host_settings lab = {
		.name = "lab", .kind = WORLD_LAB, .memory_max_bytes = SCENE_MEMORY_MAX
	};

	w->world = world_new(&settings);
	w->lab_host = world_host_new(w->world, &lab);
	world_start(w->lab_host, lab_main, NULL);
	w->lab = world_env(w->lab_host);
}

static void add_host(struct sim_world *w, const struct node *node)
{
	const struct scenario *s = w->options->scenario;
	struct world_host_settings settings = { .name = node->name,
		.zone = node->zone,
		.kind = WORLD_BACKEND,
		.memory_max_bytes = scene_memory_max(&w->scene, node),
		.clock_offset_us = scene_clock_offset(&w->scene, node),
		.disk_sync = { s->hosts.disk_sync.low, s->hosts.disk_sync.high } };

	(void)world_host_new(w->world, &settings);
}

/* ---- services ---- */

static int build_services(struct sim_world *w, struct lab_error *err)
{
	struct lab_pool *pool = w->options->pool;
	struct sim_hooks hooks;

	world_hooks(w->world, &hooks);
	if (scene_new_storage(&w->scene, pool, &hooks, err) < 0 ||
		scene_new_imds(&w->scene, pool, &hooks, s3emu_credentials_sink, w->scene.s3, err) <
			0)
		return -1;
	return scene_new_cql(&w->scene, pool, &hooks, err);
}

/* ---- what is reached under which name ---- */

static void register_http(struct sim_world *w)
{
	const struct scenario_endpoints *e = &w->options->scenario->endpoints;
	struct lab_heap *heap = world_heap(w->world);
	struct sim_http_service storage = scene_storage_service(&w->scene);
	struct world_service_settings settings = { .name = scene_storage_name(&w->scene),
		.life = scene_s3_life(&w->scene) };
	char *authority = lab_heap_alloc(heap, e->s3_authority.len + 8);

	snprintf(authority, e->s3_authority.len + 8, "%.*s%s", LAB_VIEW_ARG(e->s3_authority),
		e->s3.port_given || !e->s3.tls ? "" : ":443");
	settings.authority = authority;
	world_http_service(w->world, &settings, &storage);
	if (w->scene.imds != NULL) {
		struct sim_http_service imds = imdsemu_service(w->scene.imds);
		char *host = lab_heap_alloc(heap, e->s3.auth_host.len + 1);

		memcpy(host, e->s3.auth_host.ptr, e->s3.auth_host.len);
		/* IMDS is on the host's own hypervisor. */
		settings = (struct world_service_settings){ .name = "imds",
			.authority = host,
			.latency = { 100 * LAB_USEC, 400 * LAB_USEC } };
		world_http_service(w->world, &settings, &imds);
	}
}

static void register_cql(struct sim_world *w)
{
	const struct dict_cql_connect *connect = scene_connect(&w->scene);
	struct sim_stream_service cql;

	if (w->scene.cql == NULL)
		return;
	cql = cqlemu_service(w->scene.cql);
	for (size_t i = 0; i < w->scene.cql_count; i++) {
		char zone[64], authority[300];
		struct world_service_settings settings = { .name = w->scene.cql_names[i],
			.zone = zone,
			.authority = authority,
			/* The cluster is as well equipped as the settings expect. */
			.tls = { .on = connect->use_tls } };

		snprintf(zone, sizeof(zone), "%.*s", LAB_VIEW_ARG(scene_cql_zone(&w->scene, i)));
		snprintf(authority, sizeof(authority), "%.*s:%u", LAB_VIEW_ARG(connect->hosts[i]),
			connect->port);
		world_stream_service(w->world, &settings, &cql);
	}
}

static void on_node(void *ctx, struct lab_view name, bool is_up)
{
	struct sim_world *w = ctx;
	int node = w->scene.cql == NULL ? -1 : cqlemu_node_find(w->scene.cql, name);

	if (node < 0)
		return;
	if (is_up)
		cqlemu_node_start(w->scene.cql, (size_t)node, world_now(w->world));
	else
		cqlemu_node_kill(w->scene.cql, (size_t)node, world_now(w->world));
}

/* ---- boot, crash, restart ---- */

static void follow_proxy(struct sim_world *w, const struct lab_event *event, const char *name)
{
	struct palomar_host *proxy =
		w->palomar == NULL ? NULL : palomar_find(w->palomar, lab_view_cstr(name));

	if (proxy == NULL)
		return;
	if (event->id == LAB_EV_host_crashed)
		palomar_crashed(proxy);
	else
		palomar_booted(proxy, world_env(world_host_find(w->world, lab_view_cstr(name))));
}

/* The host comes up by itself after a crash (its episode ends): its processes start again. */
static void follow_hosts(void *ctx, const struct lab_event *event)
{
	struct sim_world *w = ctx;
	const char *name;

	if (event->id != LAB_EV_host_crashed && event->id != LAB_EV_host_started)
		return;
	name = world_host_name(w->world, event->host);
	follow_proxy(w, event, name);
	for (size_t i = 0; i <= w->scene.node_count; i++) {
		struct node *node = &w->scene.nodes[i];

		if (strcmp(node->name, name) != 0)
			continue;
		if (event->id == LAB_EV_host_crashed)
			node_crashed(node, w->lab);
		else
			node_booted(
				node, world_env(world_host_find(w->world, lab_view_cstr(name))));
	}
}

static void boot(struct sim_world *w, struct node *node)
{
	world_start(world_host_find(w->world, lab_view_cstr(node->name)), node_main, node);
}

static struct sim_fault decide(void *ctx, const struct sim_fault_query *query)
{
	struct sim_world *w = ctx;

	return fault_decide(w->scene.plan, query);
}

static enum dict_hop_fault dict_hop(void *ctx, struct env *env, struct lab_view key)
{
	return scene_dict_hop(env, key, decide, ctx);
}

static bool reachable(void *ctx, struct lab_view from, struct lab_view to)
{
	struct sim_world *w = ctx;

	return world_reachable(w->world, from, to) && world_reachable(w->world, to, from);
}

static bool is_hung(struct sim_world *w, struct lab_view name)
{
	const struct world_host *host = world_host_find(w->world, name);

	return host != NULL && world_is_hung(host);
}

/* Who stands still neither hears nor answers. */
static bool world_reaches(void *ctx, struct lab_view from, struct lab_view to)
{
	struct sim_world *w = ctx;

	return world_reachable(w->world, from, to) && !is_hung(w, from) && !is_hung(w, to);
}

static int build_faults(struct sim_world *w, struct lab_error *err)
{
	if (scene_new_faults(&w->scene, world_heap(w->world), 0, NULL, NULL, err) < 0)
		return -1;
	world_set_faults(w->world, w->scene.plan);
	for (size_t i = 0; i < w->scene.node_count; i++) {
		w->scene.nodes[i].settings.dict_hop = dict_hop;
		w->scene.nodes[i].settings.dict_hop_ctx = w;
	}
	(void)peers_new(&(struct peers_settings){ .lab = w->lab,
		.nodes = w->scene.nodes,
		.node_count = w->scene.node_count,
		.decide = decide,
		.reachable = reachable,
		.ctx = w });
	return 0;
}

/* ---- Palomar ---- */

static void add_proxy(struct sim_world *w, const struct palomar_host *proxy)
{
	struct world_host_settings settings = {
		.name = proxy->name, .zone = proxy->zone, .kind = WORLD_BACKEND
	};

	(void)world_host_new(w->world, &settings);
}

static int build_palomar(struct sim_world *w, struct lab_error *err)
{
	const struct palomar_settings settings = { .scene = &w->scene,
		.lab = w->lab,
		.end_ns = w->scene.storm_end,
		.decide = decide,
		.reachable = world_reaches,
		.ctx = w };

	if (!palomar_is_wanted(w->options->scenario))
		return 0;
	if (palomar_new(&settings, &w->palomar, err) < 0)
		return -1;
	for (size_t i = 0; palomar_host_at(w->palomar, i) != NULL; i++)
		add_proxy(w, palomar_host_at(w->palomar, i));
	return 0;
}

static void boot_proxies(struct sim_world *w)
{
	for (size_t i = 0; w->palomar != NULL && palomar_host_at(w->palomar, i) != NULL; i++) {
		struct palomar_host *proxy = palomar_host_at(w->palomar, i);

		world_start(world_host_find(w->world, lab_view_cstr(proxy->name)),
			palomar_host_main, proxy);
	}
}

int sim_world_build(struct sim_world *w, const struct run_options *options, struct lab_error *err)
{
	struct scene *scene = &w->scene;

	w->options = options;
	w->world = NULL;
	w->palomar = NULL;
	if (scene_init(scene, options, SIM_WALL_START_US, err) < 0)
		return -1;
	build_world(w);
	for (size_t i = 0; i < scene->node_count; i++)
		add_host(w, &scene->nodes[i]);
	if (build_services(w, err) < 0)
		return -1;
	register_cql(w);
	register_http(w);
	add_host(w, &scene->nodes[scene->node_count]);
	world_on_node(w->world, on_node, w);
	world_add_sink(w->world, follow_hosts, w);
	if (build_palomar(w, err) < 0 || build_faults(w, err) < 0)
		return -1;
	for (size_t i = 0; i < scene->node_count; i++)
		boot(w, &scene->nodes[i]);
	boot_proxies(w);
	return 0;
}

void sim_world_free(struct sim_world *w)
{
	/* It is in the world's heap. */
	fault_plan_free(&w->scene.plan);
	world_free(&w->world);
	scene_free(&w->scene);
}

void sim_world_heal(struct sim_world *w)
{
	world_heal_all(w->world);
	for (size_t i = 0; i < w->scene.cql_count; i++)
		world_node_up(w->world, lab_view_cstr(w->scene.cql_names[i]));
	for (size_t i = 0; i < w->scene.node_count; i++) {
		struct world_host *host =
			world_host_find(w->world, lab_view_cstr(w->scene.nodes[i].name));

		if (!world_is_up(host))
			world_restart(host);
	}
	for (size_t i = 0; w->palomar != NULL && palomar_host_at(w->palomar, i) != NULL; i++) {
		struct world_host *host = world_host_find(
			w->world, lab_view_cstr(palomar_host_at(w->palomar, i)->name));

		if (!world_is_up(host))
			world_restart(host);
	}
}

struct node *sim_world_auditor(struct sim_world *w)
{
	struct node *auditor = &w->scene.nodes[w->scene.node_count];

	boot(w, auditor);
	return auditor;
}
