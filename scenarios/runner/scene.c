/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/scene.h"

#include "sim/serve/fault-text.h"
#include "sim/serve/schema.h"

#include <stdio.h>

#define ACCOUNT "123456789012"
#define DDL_MAX 65536
#define ADDRESS_MAX 40

uint64_t scene_knob(
	const struct scene *scene, const struct conf_range *range, const char *what, uint64_t actor)
{
	return scenario_pick(range, scene->options->seed, what, actor, 0);
}

static const struct scenario *scenario_of(const struct scene *scene)
{
	return scene->options->scenario;
}

const struct dict_cql_connect *scene_connect(const struct scene *scene)
{
	const struct scenario *s = scenario_of(scene);

	return s->dict_count == 0 ? NULL : &s->dicts[0].config->connect;
}

struct lab_view scene_cql_zone(const struct scene *scene, size_t node)
{
	const struct scenario *s = scenario_of(scene);

	return s->sites[node % s->site_count].name;
}

/* ---- phases and backends ---- */

static void set_phases(struct scene *scene)
{
	const struct scenario *s = scenario_of(scene);

	scene->warmup_end = scene_knob(scene, &s->warmup, "phase.warmup", 0);
	scene->storm_end = scene->warmup_end + scene_knob(scene, &s->storm, "phase.storm", 0);
	scene->settle_end = scene->storm_end + scene_knob(scene, &s->settle, "phase.settle", 0);
}

static uint64_t number_of(const struct scene *scene, const struct node *node)
{
	return (uint64_t)(node - scene->nodes);
}

int64_t scene_clock_offset(const struct scene *scene, const struct node *node)
{
	const struct scenario_hosts *h = &scenario_of(scene)->hosts;
	uint64_t number = number_of(scene, node);
	int64_t offset_us =
		(int64_t)(scene_knob(scene, &h->clock_offset, "host.clock", number) / 1000);

	return lab_draw(scene->options->seed, "host.clock.sign", number, 0) & 1 ? -offset_us
										: offset_us;
}

size_t scene_memory_max(const struct scene *scene, const struct node *node)
{
	return (size_t)scene_knob(
		scene, &scenario_of(scene)->hosts.memory, "host.memory", number_of(scene, node));
}

static void name_node(struct scene *scene, size_t number, struct lab_view zone, const char *name)
{
	const struct scenario *s = scenario_of(scene);
	struct node *node = &scene->nodes[number];

	snprintf(node->name, sizeof(node->name), "%s", name);
	snprintf(node->zone, sizeof(node->zone), "%.*s", LAB_VIEW_ARG(zone));
	node->settings =
		(struct backend_settings){ .conf = s->migrated_from.len > 0 ? &s->conf_before
									    : &s->conf,
			.dicts = s->dicts,
			.dict_count = s->dict_count,
			.self_bundle_max = (size_t)scene_knob(
				scene, &s->hosts.self_bundle_max, "host.self_bundle_max", number),
			.dict_streams = (unsigned)scene_knob(
				scene, &s->hosts.dict_streams, "host.dict_streams", number) };
}

/* `own` may be NULL. */
static void use_own_settings(struct node *node, const struct scenario *own)
{
	if (own == NULL)
		return;
	node->settings.conf = &own->conf;
	node->settings.dicts = own->dicts;
	node->settings.dict_count = own->dict_count;
}

/* With a data centre for each zone. */
static void use_own_nodes(struct node *node, const struct scenario_site *site)
{
	if (site->dicts != NULL)
		node->settings.dicts = site->dicts;
}

const struct dict_cql_connect *scene_connect_of(const struct scene *scene, size_t site)
{
	const struct scenario *s = scenario_of(scene);

	return s->sites[site].dicts == NULL ? scene_connect(scene)
					    : &s->sites[site].dicts[0].config->connect;
}

size_t scene_site_backends(const struct scene *scene, size_t site)
{
	return (size_t)scene_knob(
		scene, &scenario_of(scene)->sites[site].backends, "site.backends", site);
}

static int name_nodes(struct scene *scene, struct lab_error *err)
{
	const struct scenario *s = scenario_of(scene);

	for (size_t i = 0; i < s->site_count; i++) {
		size_t count = scene_site_backends(scene, i);

		for (size_t n = 0; n < count; n++) {
			char name[32];

			if (scene->node_count + 1 >= SCENE_NODES_MAX)
				return lab_fail(err, LAB_LIMIT, "more than %d backends",
					SCENE_NODES_MAX - 1);
			snprintf(name, sizeof(name), "backend-%zu", scene->node_count + 1);
			name_node(scene, scene->node_count, s->sites[i].name, name);
			use_own_settings(&scene->nodes[scene->node_count], s->sites[i].own);
			use_own_nodes(&scene->nodes[scene->node_count++], &s->sites[i]);
		}
	}
	if (scene->node_count == 0)
		return lab_fail(err, LAB_INVALID, "there are no backends");
	name_node(scene, scene->node_count, s->sites[0].name, SCENE_AUDITOR);
	scene->auditor_conf = s->conf;
	scene->auditor_conf.metacache_max_space = 0;
	scene->nodes[scene->node_count].settings.conf = &scene->auditor_conf;
	scene->nodes[scene->node_count].settings.dict_streams = 0;
	use_own_nodes(&scene->nodes[scene->node_count], &s->sites[0]);
	return 0;
}

static void name_proxies(struct scene *scene)
{
	const struct scenario *s = scenario_of(scene);
	size_t each = (size_t)scene_knob(scene, &s->cluster.proxies, "cluster.proxies", 0);

	for (size_t i = 0; each > 0 && i < s->site_count; i++) {
		snprintf(scene->controller_names[i], sizeof(scene->controller_names[i]),
			"controller-%.*s", LAB_VIEW_ARG(s->sites[i].name));
		for (size_t n = 0; n < each; n++, scene->proxy_count++) {
			scene->proxy_sites[scene->proxy_count] = i;
			snprintf(scene->proxy_names[scene->proxy_count],
				sizeof(scene->proxy_names[0]), "proxy-%zu", scene->proxy_count + 1);
		}
	}
}

static int name_cql_nodes(struct scene *scene, struct lab_error *err)
{
	const struct dict_cql_connect *connect = scene_connect(scene);
	size_t count = (size_t)scene_knob(scene, &scenario_of(scene)->cql.nodes, "cql.nodes", 0);

	if (connect == NULL)
		return 0;
	if (count > SCENE_CQL_NODES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d nodes", SCENE_CQL_NODES_MAX);
	if (connect->host_count < count)
		return lab_fail(err, LAB_INVALID,
			"store cql has %zu nodes, but the connect string names only %zu hosts",
			count, connect->host_count);
	for (size_t i = 0; i < count; i++)
		snprintf(scene->cql_names[i], sizeof(scene->cql_names[i]), "cassandra-%zu", i + 1);
	scene->cql_count = count;
	return 0;
}

int scene_init(struct scene *scene, const struct run_options *options, uint64_t epoch_us,
	struct lab_error *err)
{
	*scene = (struct scene){ .options = options, .epoch_us = epoch_us };
	set_phases(scene);
	name_proxies(scene);
	return name_nodes(scene, err) < 0 ? -1 : name_cql_nodes(scene, err);
}

void scene_free(struct scene *scene)
{
	fault_plan_free(&scene->plan);
	cqlemu_free(&scene->cql);
	imdsemu_free(&scene->imds);
	scalemu_free(&scene->ring);
	s3emu_free(&scene->s3);
	lab_heap_drop(&scene->cql_heap);
}

/* ---- services ---- */

static int new_s3(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err)
{
	const struct scenario *s = scenario_of(scene);
	const struct scenario_endpoints *e = &s->endpoints;
	struct s3emu_bucket_options bucket = { .name = e->bucket,
		.refuse_sigv2 = s->s3.refuse_sigv2 };
	uint64_t partitions = scene_knob(scene, &s->s3.partitions, "s3.partitions", 0);
	struct s3emu_options o;

	scene_s3_options(scene, hooks, &o);
	bucket.partitions.hex_layers = partitions >= 256 ? 2 : partitions >= 16 ? 1 : 0;
	if (s3emu_new(pool, &o, &scene->s3, err) < 0 ||
		s3emu_bucket_add(scene->s3, &bucket, err) < 0)
		return -1;
	if (e->s3.user.ptr != NULL) {
		struct sim_credentials fixed = { .account = LAB_VIEW(ACCOUNT),
			.access_key_id = e->s3.user,
			.secret_access_key = e->s3.password };

		return s3emu_credentials_add(scene->s3, &fixed, err);
	}
	return 0;
}

int scene_new_storage(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err)
{
	return scenario_is_scality(&scenario_of(scene)->endpoints)
		       ? scene_new_ring(scene, pool, hooks, err)
		       : new_s3(scene, pool, hooks, err);
}

const char *scene_storage_name(const struct scene *scene)
{
	const struct scenario_endpoints *e = &scenario_of(scene)->endpoints;

	if (!scenario_is_scality(e))
		return "s3";
	return e->flavour == FS_URI_HTTP_SPROXYD ? "sproxyd" : "cdmi";
}

struct sim_http_service scene_storage_service(const struct scene *scene)
{
	return scene->ring != NULL ? scalemu_service(scene->ring) : s3emu_service(scene->s3);
}

int scene_new_imds(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	sim_credentials_fn publish, void *publish_ctx, struct lab_error *err)
{
	const struct scenario *s = scenario_of(scene);
	struct imdsemu_options o;

	if (s->endpoints.s3.auth_role.ptr == NULL)
		return 0;
	imdsemu_options_init(&o);
	o.seed = scene->options->seed;
	o.epoch_unix_us = scene->epoch_us;
	o.region = scene_region(scene);
	o.account = LAB_VIEW(ACCOUNT);
	o.lifetime_s =
		(uint32_t)(scene_knob(scene, &s->imds.lifetime, "imds.lifetime", 0) / LAB_SEC);
	o.rotate_every_s =
		(uint32_t)(scene_knob(scene, &s->imds.rotate, "imds.rotate", 0) / LAB_SEC);
	o.publish = publish;
	o.publish_ctx = publish_ctx;
	o.hooks = *hooks;
	if (imdsemu_new(pool, &o, &scene->imds, err) < 0)
		return -1;
	return imdsemu_role_attach(scene->imds, s->endpoints.s3.auth_role, IMDSEMU_ROLE_OK, err);
}

unsigned scene_replication_factor(const struct scene *scene)
{
	uint64_t rf = scene_knob(scene, &scenario_of(scene)->cql.replication_factor, "cql.rf", 0);

	return (unsigned)LAB_MIN(rf, scene->cql_count);
}

static size_t nodes_of_site(const struct scene *scene, size_t site)
{
	size_t count = scenario_of(scene)->site_count;

	return scene->cql_count / count + (scene->cql_count % count > site);
}

void scene_replication(const struct scene *scene, struct lab_buf *out)
{
	const struct scenario *s = scenario_of(scene);
	unsigned replicas = scene_replication_factor(scene);

	lab_buf_append_cstr(out, "'class': 'NetworkTopologyStrategy'");
	if (!s->cql.data_center_per_zone)
		lab_buf_printf(out, ", 'dc1': %u", replicas);
	for (size_t i = 0; s->cql.data_center_per_zone && i < s->site_count; i++)
		lab_buf_printf(out, ", '%.*s': %zu", LAB_VIEW_ARG(s->sites[i].name),
			LAB_MIN(replicas, nodes_of_site(scene, i)));
}

static void print_schema(struct scene *scene, struct lab_buf *ddl)
{
	struct lab_view keyspace = scene_connect(scene)->keyspace;
	struct lab_buf replication;

	if (!scenario_of(scene)->cql.data_center_per_zone) {
		schema_print(keyspace, scene_replication_factor(scene), ddl);
		return;
	}
	lab_buf_init(&replication, scene->cql_heap, DDL_MAX);
	scene_replication(scene, &replication);
	schema_print_replicated(keyspace, lab_buf_cstr(&replication), ddl);
	lab_buf_done(&replication);
}

static int create_schema(struct scene *scene, struct lab_error *err)
{
	struct lab_buf ddl;
	int result;

	lab_buf_init(&ddl, scene->cql_heap, DDL_MAX);
	print_schema(scene, &ddl);
	result = cqlemu_execute(scene->cql, lab_buf_view(&ddl), err);
	lab_buf_done(&ddl);
	return result;
}

int scene_new_cql(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err)
{
	const struct dict_cql_connect *connect = scene_connect(scene);
	struct cqlemu_node_options nodes[SCENE_CQL_NODES_MAX];
	char addresses[SCENE_CQL_NODES_MAX][ADDRESS_MAX];
	struct cqlemu_options o;

	if (connect == NULL)
		return 0;
	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < scene->cql_count; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "10.1.%u.1", (unsigned)(i + 1) & 255u);
		nodes[i].name = lab_view_cstr(scene->cql_names[i]);
		nodes[i].address = lab_view_cstr(addresses[i]);
		nodes[i].zone = scene_cql_zone(scene, i);
		nodes[i].rack = nodes[i].zone;
		if (scenario_of(scene)->cql.data_center_per_zone)
			nodes[i].dc = nodes[i].zone;
	}
	scene->cql_heap = lab_heap_new(pool, (size_t)SCENE_MEMORY_MAX);
	cqlemu_options_init(&o);
	o.heap = scene->cql_heap;
	o.seed = scene->options->seed;
	o.hooks = hooks;
	o.nodes = nodes;
	o.node_count = scene->cql_count;
	o.epoch_us = (int64_t)scene->epoch_us;
	cqlemu_options_profile(&o, scenario_of(scene)->cql.profile);
	o.native_port = connect->port;
	o.conviction_ns =
		scene_knob(scene, &scenario_of(scene)->cql.conviction, "cql.conviction", 0);
	o.user = connect->user;
	o.password = connect->password;
	if (cqlemu_new(&o, &scene->cql, err) < 0)
		return -1;
	return create_schema(scene, err);
}

/* ---- faults ---- */

#define NAMES_MAX (SCENE_NODES_MAX + SCENE_CQL_NODES_MAX + SCENE_PROXIES_MAX)

struct names {
	const char *items[NAMES_MAX];
	size_t count;
	char zones[SCENARIO_SITES_MAX][40];
};

static void add_name(struct names *names, struct lab_view only, const char *name)
{
	if (only.len == 0 || lab_view_eq_cstr(only, name))
		names->items[names->count++] = name;
}

static void add_palomar_names(struct scene *scene, const struct scenario_fault *f,
	enum scenario_target target, struct names *ret)
{
	for (size_t i = 0; target == SCENARIO_TARGET_PROXY && i < scene->proxy_count; i++)
		add_name(ret, f->only, scene->proxy_names[i]);
	for (size_t i = 0;
		target == SCENARIO_TARGET_CONTROLLER && i < scenario_of(scene)->site_count; i++)
		add_name(ret, f->only, scene->controller_names[i]);
}

static void target_names(struct scene *scene, const struct scenario_fault *f,
	enum scenario_target target, bool is_world, struct names *ret)
{
	const struct scenario *s = scenario_of(scene);

	ret->count = 0;
	for (size_t i = 0; target == SCENARIO_TARGET_BACKEND && i < scene->node_count; i++)
		add_name(ret, f->only, scene->nodes[i].name);
	for (size_t i = 0; target == SCENARIO_TARGET_NODE && i < scene->cql_count; i++)
		add_name(ret, f->only, scene->cql_names[i]);
	for (size_t i = 0; target == SCENARIO_TARGET_ZONE && i < s->site_count; i++) {
		snprintf(ret->zones[i], sizeof(ret->zones[i]), "%s%.*s", is_world ? "zone:" : "",
			LAB_VIEW_ARG(s->sites[i].name));
		if (f->only.len == 0 || lab_view_eq(f->only, s->sites[i].name))
			add_name(ret, LAB_VIEW(""), ret->zones[i]);
	}
	add_palomar_names(scene, f, target, ret);
	if (target == SCENARIO_TARGET_S3)
		add_name(ret, LAB_VIEW(""), scene_storage_name(scene));
	if (target == SCENARIO_TARGET_IMDS)
		add_name(ret, LAB_VIEW(""), "imds");
	if (target == SCENARIO_TARGET_ANY && is_world)
		add_name(ret, LAB_VIEW(""), "*");
}

static enum fault_scope scope_of(enum scenario_target target)
{
	switch (target) {
	case SCENARIO_TARGET_BACKEND:
	case SCENARIO_TARGET_PROXY:
	case SCENARIO_TARGET_CONTROLLER:
		return FAULT_PEER;
	case SCENARIO_TARGET_ZONE:
		return FAULT_PEER_ZONE;
	case SCENARIO_TARGET_NODE:
	case SCENARIO_TARGET_S3:
	case SCENARIO_TARGET_IMDS:
		return FAULT_INSTANCE;
	case SCENARIO_TARGET_ANY:
		break;
	}
	return FAULT_EVERYWHERE;
}

static bool is_world_fault(fault_kind_set kinds)
{
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((kinds & FAULT_KIND_BIT(k)) != 0)
			return fault_kind_is_world((enum fault_kind)k);
	}
	return false;
}

/* Of world-level kinds only the clocks have one, and fault_spec counts theirs in microseconds. */
static struct fault_range amount_of(const struct scenario_fault *f, bool is_world)
{
	struct fault_range amount = fault_text_range(&f->amount);

	if (is_world) {
		amount.low = (amount.low + 999) / 1000;
		amount.high = (amount.high + 999) / 1000;
	}
	return amount;
}

static int add_fault(struct scene *scene, struct lab_heap *heap, const struct scenario_fault *f,
	fault_kind_set kinds, struct lab_error *err)
{
	bool is_world = is_world_fault(kinds);
	struct names *targets = lab_new(heap, struct names);
	struct names *others = lab_new(heap, struct names);
	char name[64], keyspace[FAULT_NAME_MAX];
	struct fault_spec spec = { .name = name,
		.kinds = kinds,
		.points = f->points,
		.scope = scope_of(f->target),
		.episodes = fault_text_range(&f->episodes),
		.window_start_ns = f->in_warmup ? 0 : scene->warmup_end,
		.window_end_ns = f->in_storm ? scene->storm_end : scene->warmup_end,
		.length_ns = fault_text_range(&f->length),
		.rate_ppm = fault_text_range(&f->rate),
		.amount = amount_of(f, is_world),
		.disks = f->disks };

	snprintf(name, sizeof(name), "%.*s", LAB_VIEW_ARG(f->name));
	target_names(scene, f, f->target, is_world, targets);
	target_names(scene, f, f->other, true, others);
	spec.targets = targets->items;
	spec.target_count = targets->count;
	spec.others = others->items;
	spec.other_count = others->count;
	(void)snprintf(keyspace, sizeof(keyspace), "%.*s", LAB_VIEW_ARG(f->keyspace));
	spec.keyspace = f->keyspace.len > 0 ? keyspace : NULL;
	if (fault_plan_add(scene->plan, &spec, err) < 0)
		return lab_error_wrap(err, "%s:%u: fault %s", f->where.file, f->where.line, name);
	lab_heap_free(heap, targets);
	lab_heap_free(heap, others);
	return 0;
}

enum dict_hop_fault scene_dict_hop(struct env *env, struct lab_view key,
	struct sim_fault (*decide)(void *ctx, const struct sim_fault_query *query), void *ctx)
{
	struct sim_fault_query query = { .point = "dict.hop",
		.service = "dict",
		.instance = lab_view_cstr(env->hostname),
		.peer = lab_view_cstr(env->hostname),
		.subject = key,
		.now_ns = env_now(env) };
	enum sim_fault_kind kind = decide(ctx, &query).kind;

	return kind == SIM_FAULT_RESET         ? DICT_HOP_LOSE_REQUEST
	       : kind == SIM_FAULT_LOSE_REPLY  ? DICT_HOP_LOSE_REPLY
	       : kind == SIM_FAULT_STALL       ? DICT_HOP_STALL
	       : kind == SIM_FAULT_STALL_REPLY ? DICT_HOP_STALL_REPLY
					       : DICT_HOP_OK;
}

/* What of a fault happens in a world without these points. */
static fault_kind_set kinds_left(const struct scenario_fault *f, uint64_t missing_points)
{
	fault_kind_set kinds = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		uint64_t points = fault_kind_points((enum fault_kind)k);

		if (f->points != 0)
			points &= f->points;
		if ((points & ~missing_points) != 0)
			kinds |= f->kinds & FAULT_KIND_BIT(k);
	}
	return kinds;
}

/* Exact ones, behind those that are drawn; `after` counts them from 1. Whatever they say, they end
 * with the storm. */
static int add_exact(struct scene *scene, const struct fault_episode *episodes, size_t count,
	struct lab_error *err)
{
	size_t own;

	(void)fault_plan_episodes(scene->plan, &own);
	for (size_t i = 0; i < count; i++) {
		struct fault_episode episode = episodes[i];
		uint64_t most = scene->storm_end - LAB_MIN(episode.start_ns, scene->storm_end);

		if (episode.length_ns == 0 || episode.length_ns > most)
			episode.length_ns = most;
		if (episode.after != 0)
			episode.after += (uint32_t)own;
		if (fault_plan_add_episode(scene->plan, &episode, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int scene_new_faults(struct scene *scene, struct lab_heap *heap, uint64_t missing_points,
	void (*skipped)(void *ctx, const struct scenario_fault *fault), void *ctx,
	struct lab_error *err)
{
	const struct scenario *s = scenario_of(scene);

	/* Without Cassandra nothing asks for a share of its replicas. */
	scene->plan = fault_plan_new(
		heap, scene->options->seed, LAB_MAX(scene_replication_factor(scene), 1U));
	for (size_t i = 0; i < s->fault_count; i++) {
		const struct scenario_fault *f = &s->faults[i];
		fault_kind_set kinds = kinds_left(f, missing_points);

		if (kinds == 0) {
			if (skipped != NULL)
				skipped(ctx, f);
		} else if (add_fault(scene, heap, f, kinds, err) < 0) {
			return -1;
		}
	}
	lab_assert(scene->options->episode_count <= RUN_EPISODES_MAX);
	if (add_exact(scene, s->exact, s->exact_count, err) < 0)
		return -1;
	(void)fault_plan_episodes(scene->plan, &scene->first_episode);
	return add_exact(scene, scene->options->episodes, scene->options->episode_count, err);
}
