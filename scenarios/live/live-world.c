/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-world-private.h"

#include "scenarios/runner/palomar.h"
#include "scenarios/runner/peers.h"

#include <stdio.h>

#define FIBERS_MAX 65536
#define HOSTS_MAX 254 /* addresses of a range */
#define SERVICE_BYTES_MAX ((size_t)SCENE_MEMORY_MAX)

/* ---- hosts ---- */

static void on_boot(struct env *env, void *arg)
{
	const struct live_host_place *place = arg;

	(void)env;
	place->main(place->arg);
}

void live_world_boot(struct live_host_place *place)
{
	struct lab_error err;

	if (live_start(place->host, "main", on_boot, place, &err) < 0)
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

static int new_host(struct live_world *w, struct live_host_place *place,
	struct live_host_settings *settings, struct lab_error *err)
{
	if (live_directory_add(w->root, settings->hostname, place->root, err) < 0)
		return -1;
	settings->root = place->root;
	settings->source_address = place->source;
	return live_host_new(w->live, settings, &place->host, err);
}

static int new_backend(struct live_world *w, size_t number, struct lab_error *err)
{
	struct live_host_place *place = &w->places[number];
	struct node *node = &w->scene.nodes[number];
	struct live_host_settings settings = { .hostname = node->name,
		.zone = node->zone,
		.heap_max_bytes = scene_memory_max(&w->scene, node),
		.wall_offset_us = scene_clock_offset(&w->scene, node) };

	*place = (struct live_host_place){ .node = node, .main = node_main, .arg = node };
	snprintf(place->source, sizeof(place->source), "127.0.1.%zu", number + 1);
	if (number >= HOSTS_MAX)
		return lab_fail(
			err, LAB_LIMIT, "more than %d backends in the live world", HOSTS_MAX - 1);
	return new_host(w, place, &settings, err);
}

/* Proxies and controllers. */
static int new_palomar_host(struct live_world *w, size_t number, struct lab_error *err)
{
	struct live_host_place *place = &w->places[w->scene.node_count + 1 + number];
	struct palomar_host *palomar = palomar_host_at(w->palomar, number);
	struct live_host_settings settings = { .hostname = palomar->name, .zone = palomar->zone };

	*place = (struct live_host_place){
		.palomar = palomar, .main = palomar_host_main, .arg = palomar
	};
	snprintf(place->source, sizeof(place->source), "127.0.3.%zu", number + 1);
	if (number >= HOSTS_MAX)
		return lab_fail(err, LAB_LIMIT,
			"more than %d proxies and controllers in the live world", HOSTS_MAX);
	return new_host(w, place, &settings, err);
}

static size_t palomar_count(const struct live_world *w)
{
	size_t count = 0;

	while (w->palomar != NULL && palomar_host_at(w->palomar, count) != NULL)
		count++;
	return count;
}

static int new_hosts(struct live_world *w, struct lab_error *err)
{
	size_t others = palomar_count(w);

	w->places =
		lab_new_array(w->heap, struct live_host_place, w->scene.node_count + 1 + others);
	for (size_t i = 0; i <= w->scene.node_count; i++) {
		if (new_backend(w, i, err) < 0)
			return -1;
		w->place_count++;
	}
	for (size_t i = 0; i < others; i++) {
		if (new_palomar_host(w, i, err) < 0)
			return -1;
		w->place_count++;
	}
	return 0;
}

static void host_started(const struct live_host_place *place)
{
	struct env *env = live_host_env(place->host);

	if (place->node != NULL)
		node_booted(place->node, env);
	else
		palomar_booted(place->palomar, env);
}

static void host_crashed(struct live_world *w, const struct live_host_place *place)
{
	w->crashes++;
	if (place->node != NULL)
		node_crashed(place->node, w->lab);
	else
		palomar_crashed(place->palomar);
}

static void follow_hosts(void *ctx, const struct lab_event *event)
{
	struct live_world *w = ctx;

	if (w->is_closing || (event->id != LAB_EV_host_crashed && event->id != LAB_EV_host_started))
		return;
	for (size_t i = 0; i < w->place_count; i++) {
		if (live_host_env(w->places[i].host)->host != event->host)
			continue;
		if (event->id == LAB_EV_host_started)
			host_started(&w->places[i]);
		else
			host_crashed(w, &w->places[i]);
	}
}

/* ---- services behind sockets ---- */

/* Who speaks from which address. */
static struct front_end_peer *list_peers(struct live_world *w)
{
	struct front_end_peer *peers =
		lab_new_array(w->heap, struct front_end_peer, w->place_count);

	for (size_t i = 0; i < w->place_count; i++) {
		const struct env *env = live_host_env(w->places[i].host);

		peers[i] = (struct front_end_peer){
			.address = w->places[i].source, .name = env->hostname, .zone = env->zone
		};
	}
	return peers;
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
	struct sim_connection_life life = scene_s3_life(scene);
	struct serve_socket socket = { .start_ns = live_start_ns(w->live),
		.peers = list_peers(w),
		.peer_count = w->place_count };
	const char *names[SCENE_CQL_NODES_MAX];

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

static void on_access(void *ctx, const struct sim_access *access)
{
	struct live_world *w = ctx;

	w->access(w->access_ctx, access);
}

void live_world_drain(struct live_world *w)
{
	struct live_tap_sink sink = { w, on_access, live_on_fault };

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

static struct sim_fault decide(void *ctx, const struct sim_fault_query *query)
{
	struct live_world *w = ctx;
	struct sim_hooks hooks;

	live_tap_hooks(w->tap, &hooks);
	return hooks.fault(hooks.ctx, query);
}

/* ---- Palomar ---- */

/* Loopback has no partitions: who is up is heard. */
static bool everybody_hears(void *ctx, struct lab_view from, struct lab_view to)
{
	(void)ctx;
	(void)from;
	(void)to;
	return true;
}

/* Before the services have threads of their own: it writes GeoDB's first rows. */
static int new_palomar(struct live_world *w, struct lab_error *err)
{
	const struct palomar_settings settings = { .scene = &w->scene,
		.lab = w->lab,
		.end_ns = w->scene.storm_end,
		.decide = decide,
		.reachable = everybody_hears,
		.ctx = w };

	if (!palomar_is_wanted(w->options->scenario))
		return 0;
	return palomar_new(&settings, &w->palomar, err);
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
		&w->scene, live_tap_heap(w->tap), live_missing_points(w), live_on_skipped, w, err);
}

static struct live_host_place *auditor_place(struct live_world *w)
{
	return &w->places[w->scene.node_count];
}

/* Whoever is down, but for the auditor. */
static void boot_all(struct live_world *w)
{
	for (size_t i = 0; i < w->place_count; i++) {
		struct live_host_place *place = &w->places[i];

		if (place != auditor_place(w) && !live_host_up(place->host))
			live_world_boot(place);
	}
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
		new_scene(w, err) < 0 || new_services(w, err) < 0 || new_palomar(w, err) < 0 ||
		new_hosts(w, err) < 0 || serve_all(w, err) < 0 ||
		live_encrypted_serve(w, err) < 0 || map_names(w, err) < 0 ||
		live_world_claim(w, err) < 0)
		return -1;
	live_add_sink(w->live, follow_hosts, w);
	live_tap_observe(w->tap, w->scene.plan, live_on_episode, w);
	(void)peers_new(&(struct peers_settings){ .lab = w->lab,
		.nodes = w->scene.nodes,
		.node_count = w->scene.node_count,
		.decide = decide,
		.ctx = w });
	for (size_t i = 0; i < w->scene.node_count; i++) {
		w->scene.nodes[i].settings.dict_hop = dict_hop;
		w->scene.nodes[i].settings.dict_hop_ctx = w;
	}
	boot_all(w);
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
		live_switch_node(w, i, true);
	boot_all(w);
}

struct node *live_world_auditor(struct live_world *w)
{
	struct node *auditor = &w->scene.nodes[w->scene.node_count];

	live_world_boot(auditor_place(w));
	return auditor;
}
