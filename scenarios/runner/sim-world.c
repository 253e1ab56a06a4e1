/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/sim-world.h"

#include "scenarios/runner/schema.h"

#include <stdio.h>

#define ACCOUNT "123456789012"
#define DDL_MAX 65536

static uint64_t knob(
	struct sim_world *w, const struct conf_range *range, const char *what, uint64_t actor)
{
	return scenario_pick(range, w->options->seed, what, actor, 0);
}

/* A latency stays a distribution: only its shape is the scenario's. */
static struct world_latency link_latency(const struct conf_range *range)
{
	return (struct world_latency){ LAB_MAX(range->low, 1), LAB_MAX(range->high, 1) };
}

/* ---- phases ---- */

static void set_phases(struct sim_world *w)
{
	const struct scenario *s = w->options->scenario;

	w->warmup_end = knob(w, &s->warmup, "phase.warmup", 0);
	w->storm_end = w->warmup_end + knob(w, &s->storm, "phase.storm", 0);
	w->settle_end = w->storm_end + knob(w, &s->settle, "phase.settle", 0);
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
		.wall_start_us = SIM_WALL_START_US,
		.same_zone = link_latency(&n->same_zone),
		.other_zone = link_latency(&n->other_zone),
		.stream_split_ppm = (uint32_t)knob(w, &n->stream_split, "network.split", 0) };
	struct world_host_settings lab = {
		.name = "lab", .kind = WORLD_LAB, .memory_max_bytes = SIM_MEMORY_MAX
	};

	w->world = world_new(&settings);
	w->lab_host = world_host_new(w->world, &lab);
	world_start(w->lab_host, lab_main, NULL);
	w->lab = world_env(w->lab_host);
}

static int64_t clock_offset(struct sim_world *w, uint64_t host)
{
	const struct scenario_hosts *h = &w->options->scenario->hosts;
	int64_t offset_us = (int64_t)(knob(w, &h->clock_offset, "host.clock", host) / 1000);

	return lab_draw(w->options->seed, "host.clock.sign", host, 0) & 1 ? -offset_us : offset_us;
}

static void add_host(struct sim_world *w, struct node *node, struct lab_view zone, const char *name)
{
	const struct scenario *s = w->options->scenario;
	uint64_t number = (uint64_t)(node - w->nodes);
	struct world_host_settings settings = { .name = node->name,
		.zone = node->zone,
		.kind = WORLD_BACKEND,
		.memory_max_bytes = (size_t)knob(w, &s->hosts.memory, "host.memory", number),
		.clock_offset_us = clock_offset(w, number),
		.disk_sync = { s->hosts.disk_sync.low, s->hosts.disk_sync.high } };

	snprintf(node->name, sizeof(node->name), "%s", name);
	snprintf(node->zone, sizeof(node->zone), "%.*s", LAB_VIEW_ARG(zone));
	node->settings = (struct backend_settings){ .conf = &s->conf,
		.dicts = s->dicts,
		.dict_count = s->dict_count,
		.defects = w->options->defects };
	(void)world_host_new(w->world, &settings);
}

static int add_hosts(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;

	for (size_t i = 0; i < s->site_count; i++) {
		size_t count = (size_t)knob(w, &s->sites[i].backends, "site.backends", i);

		for (size_t n = 0; n < count; n++) {
			char name[32];

			if (w->node_count + 1 >= SIM_NODES_MAX)
				return lab_fail(
					err, LAB_LIMIT, "more than %d backends", SIM_NODES_MAX - 1);
			snprintf(name, sizeof(name), "backend-%zu", w->node_count + 1);
			add_host(w, &w->nodes[w->node_count++], s->sites[i].name, name);
		}
	}
	return w->node_count > 0 ? 0 : lab_fail(err, LAB_INVALID, "there are no backends");
}

/* ---- emulators ---- */

static int build_s3(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;
	const struct scenario_endpoints *e = &s->endpoints;
	struct s3emu_bucket_options bucket = { .name = e->bucket,
		.refuse_sigv2 = s->s3.refuse_sigv2 };
	struct s3emu_options o;
	uint64_t partitions = knob(w, &s->s3.partitions, "s3.partitions", 0);

	s3emu_options_init(&o);
	o.seed = w->options->seed;
	o.instance = LAB_VIEW("s3");
	o.epoch_unix_us = SIM_WALL_START_US;
	o.region = e->s3.region.len > 0 ? e->s3.region : LAB_VIEW("us-east-1");
	o.endpoints = &e->s3_endpoint;
	o.endpoint_count = 1;
	o.remember_deleted = true;
	o.rates.writes_per_s = (uint32_t)knob(w, &s->s3.write_rate, "s3.write_rate", 0);
	o.rates.reads_per_s = (uint32_t)knob(w, &s->s3.read_rate, "s3.read_rate", 0);
	for (size_t c = 0; c < S3EMU_CLASS_COUNT; c++) {
		const struct conf_range *r = c == S3EMU_LIST ? &s->s3.latency_list
					     : c == S3EMU_GET || c == S3EMU_HEAD
						     ? &s->s3.latency_read
						     : &s->s3.latency_write;

		o.latency[c] = (struct s3emu_latency){ .low_ns = r->low, .high_ns = r->high };
	}
	world_hooks(w->world, &o.hooks);
	bucket.partitions.hex_layers = partitions >= 256 ? 2 : partitions >= 16 ? 1 : 0;
	if (s3emu_new(w->options->pool, &o, &w->s3, err) < 0 ||
		s3emu_bucket_add(w->s3, &bucket, err) < 0)
		return -1;
	if (e->s3.user.ptr != NULL) {
		struct sim_credentials fixed = { .account = LAB_VIEW(ACCOUNT),
			.access_key_id = e->s3.user,
			.secret_access_key = e->s3.password };

		return s3emu_credentials_add(w->s3, &fixed, err);
	}
	return 0;
}

static int build_imds(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;
	struct imdsemu_options o;

	if (s->endpoints.s3.auth_role.ptr == NULL)
		return 0;
	imdsemu_options_init(&o);
	o.seed = w->options->seed;
	o.epoch_unix_us = SIM_WALL_START_US;
	o.region = s->endpoints.s3.region.len > 0 ? s->endpoints.s3.region : LAB_VIEW("us-east-1");
	o.account = LAB_VIEW(ACCOUNT);
	o.lifetime_s = (uint32_t)(knob(w, &s->imds.lifetime, "imds.lifetime", 0) / LAB_SEC);
	o.rotate_every_s = (uint32_t)(knob(w, &s->imds.rotate, "imds.rotate", 0) / LAB_SEC);
	o.publish = s3emu_credentials_sink;
	o.publish_ctx = w->s3;
	world_hooks(w->world, &o.hooks);
	if (imdsemu_new(w->options->pool, &o, &w->imds, err) < 0)
		return -1;
	return imdsemu_role_attach(w->imds, s->endpoints.s3.auth_role, IMDSEMU_ROLE_OK, err);
}

static const struct dict_cql_connect *connect_of(const struct sim_world *w)
{
	return &w->options->scenario->dicts[0].config->connect;
}

static int create_schema(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;
	uint64_t rf = knob(w, &s->cql.replication_factor, "cql.rf", 0);
	struct lab_buf ddl;
	int result;

	lab_buf_init(&ddl, w->cql_heap, DDL_MAX);
	schema_print(connect_of(w)->keyspace, (unsigned)LAB_MIN(rf, w->cql_count), &ddl);
	result = cqlemu_execute(w->cql, lab_buf_view(&ddl), err);
	lab_buf_done(&ddl);
	return result;
}

static int build_cql(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;
	const struct dict_cql_connect *connect = connect_of(w);
	struct cqlemu_node_options nodes[SIM_CQL_NODES_MAX];
	char addresses[SIM_CQL_NODES_MAX][16];
	struct sim_hooks hooks;
	struct cqlemu_options o;
	size_t count = (size_t)knob(w, &s->cql.nodes, "cql.nodes", 0);

	if (count > SIM_CQL_NODES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d nodes", SIM_CQL_NODES_MAX);
	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < count; i++) {
		snprintf(w->cql_names[i], sizeof(w->cql_names[i]), "cassandra-%zu", i + 1);
		snprintf(addresses[i], sizeof(addresses[i]), "10.1.%zu.1", i + 1);
		nodes[i].name = lab_view_cstr(w->cql_names[i]);
		nodes[i].address = lab_view_cstr(addresses[i]);
		nodes[i].zone = s->sites[i % s->site_count].name;
		nodes[i].rack = nodes[i].zone;
	}
	w->cql_count = count;
	world_hooks(w->world, &hooks);
	w->cql_heap = lab_heap_new(w->options->pool, (size_t)SIM_MEMORY_MAX);
	cqlemu_options_init(&o);
	o.heap = w->cql_heap;
	o.seed = w->options->seed;
	o.hooks = &hooks;
	o.nodes = nodes;
	o.node_count = count;
	o.epoch_us = (int64_t)SIM_WALL_START_US;
	o.native_port = connect->port;
	o.conviction_ns = knob(w, &s->cql.conviction, "cql.conviction", 0);
	o.user = connect->user;
	o.password = connect->password;
	if (cqlemu_new(&o, &w->cql, err) < 0)
		return -1;
	return create_schema(w, err);
}

/* ---- what is reached under which name ---- */

static void register_http(struct sim_world *w)
{
	const struct scenario_endpoints *e = &w->options->scenario->endpoints;
	struct lab_heap *heap = world_heap(w->world);
	struct sim_http_service s3 = s3emu_service(w->s3);
	struct world_service_settings settings = { .name = "s3" };
	char *authority = lab_heap_alloc(heap, e->s3_authority.len + 8);

	snprintf(authority, e->s3_authority.len + 8, "%.*s%s", LAB_VIEW_ARG(e->s3_authority),
		e->s3.port_given || !e->s3.tls ? "" : ":443");
	settings.authority = authority;
	world_http_service(w->world, &settings, &s3);
	if (w->imds != NULL) {
		struct sim_http_service imds = imdsemu_service(w->imds);
		char *host = lab_heap_alloc(heap, e->s3.auth_host.len + 1);

		memcpy(host, e->s3.auth_host.ptr, e->s3.auth_host.len);
		/* IMDS is on the host's own hypervisor. */
		settings = (struct world_service_settings){ .name = "imds",
			.authority = host,
			.latency = { 100 * LAB_USEC, 400 * LAB_USEC } };
		world_http_service(w->world, &settings, &imds);
	}
}

/* The settings' hosts are the nodes, in their order. */
static int register_cql(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;
	const struct dict_cql_connect *connect = connect_of(w);
	struct sim_stream_service cql = cqlemu_service(w->cql);

	if (connect->host_count < w->cql_count)
		return lab_fail(err, LAB_INVALID,
			"store cql has %zu nodes, but the connect string names only %zu hosts",
			w->cql_count, connect->host_count);
	for (size_t i = 0; i < w->cql_count; i++) {
		char zone[64], authority[300];
		struct world_service_settings settings = {
			.name = w->cql_names[i], .zone = zone, .authority = authority
		};

		snprintf(
			zone, sizeof(zone), "%.*s", LAB_VIEW_ARG(s->sites[i % s->site_count].name));
		snprintf(authority, sizeof(authority), "%.*s:%u", LAB_VIEW_ARG(connect->hosts[i]),
			connect->port);
		world_stream_service(w->world, &settings, &cql);
	}
	return 0;
}

static void on_node(void *ctx, struct lab_view name, bool is_up)
{
	struct sim_world *w = ctx;
	int node = cqlemu_node_find(w->cql, name);

	if (node < 0)
		return;
	if (is_up)
		cqlemu_node_start(w->cql, (size_t)node, world_now(w->world));
	else
		cqlemu_node_kill(w->cql, (size_t)node, world_now(w->world));
}

/* ---- faults ---- */

#define NAMES_MAX (SIM_NODES_MAX + SIM_CQL_NODES_MAX)

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

static void target_names(struct sim_world *w, const struct scenario_fault *f,
	enum scenario_target target, bool is_world, struct names *ret)
{
	const struct scenario *s = w->options->scenario;

	ret->count = 0;
	for (size_t i = 0; target == SCENARIO_TARGET_BACKEND && i < w->node_count; i++)
		add_name(ret, f->only, w->nodes[i].name);
	for (size_t i = 0; target == SCENARIO_TARGET_NODE && i < w->cql_count; i++)
		add_name(ret, f->only, w->cql_names[i]);
	for (size_t i = 0; target == SCENARIO_TARGET_ZONE && i < s->site_count; i++) {
		snprintf(ret->zones[i], sizeof(ret->zones[i]), "%s%.*s", is_world ? "zone:" : "",
			LAB_VIEW_ARG(s->sites[i].name));
		add_name(ret, LAB_VIEW(""), ret->zones[i]);
	}
	if (target == SCENARIO_TARGET_S3)
		add_name(ret, LAB_VIEW(""), "s3");
	if (target == SCENARIO_TARGET_IMDS)
		add_name(ret, LAB_VIEW(""), "imds");
	if (target == SCENARIO_TARGET_ANY && is_world)
		add_name(ret, LAB_VIEW(""), "*");
}

static enum fault_scope scope_of(enum scenario_target target)
{
	switch (target) {
	case SCENARIO_TARGET_BACKEND:
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

static struct fault_range range_of(const struct conf_range *range)
{
	static const enum fault_shape shapes[] = { [CONF_RANGE_FIXED] = FAULT_UNIFORM,
		[CONF_RANGE_UNIFORM] = FAULT_UNIFORM,
		[CONF_RANGE_QLOG] = FAULT_QLOG,
		[CONF_RANGE_LOGNORMAL] = FAULT_LOGNORMAL };

	return (struct fault_range){ shapes[range->kind], range->low, range->high };
}

static bool is_world_fault(const struct scenario_fault *f)
{
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((f->kinds & (UINT64_C(1) << k)) != 0)
			return fault_kind_is_world((enum fault_kind)k);
	}
	return false;
}

static int add_fault(struct sim_world *w, const struct scenario_fault *f, struct lab_error *err)
{
	bool is_world = is_world_fault(f);
	struct names *targets = lab_new(world_heap(w->world), struct names);
	struct names *others = lab_new(world_heap(w->world), struct names);
	char name[64];
	struct fault_spec spec = { .name = name,
		.kinds = f->kinds,
		.points = f->points,
		.scope = scope_of(f->target),
		.episodes = range_of(&f->episodes),
		.window_start_ns = f->in_warmup ? 0 : w->warmup_end,
		.window_end_ns = f->in_storm ? w->storm_end : w->warmup_end,
		.length_ns = range_of(&f->length),
		.rate_ppm = range_of(&f->rate),
		.amount = range_of(&f->amount),
		.disks = f->disks };

	snprintf(name, sizeof(name), "%.*s", LAB_VIEW_ARG(f->name));
	target_names(w, f, f->target, is_world, targets);
	target_names(w, f, f->other, true, others);
	spec.targets = targets->items;
	spec.target_count = targets->count;
	spec.others = others->items;
	spec.other_count = others->count;
	if (fault_plan_add(w->plan, &spec, err) < 0)
		return lab_error_wrap(err, "%s:%u: fault %s", f->where.file, f->where.line, name);
	return 0;
}

static int build_faults(struct sim_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;

	w->plan = fault_plan_new(world_heap(w->world), w->options->seed,
		(unsigned)knob(w, &s->cql.replication_factor, "cql.rf", 0));
	for (size_t i = 0; i < s->fault_count; i++) {
		if (add_fault(w, &s->faults[i], err) < 0)
			return -1;
	}
	world_set_faults(w->world, w->plan);
	return 0;
}

/* ---- boot, crash, restart ---- */

/* The host comes up by itself after a crash (its episode ends): its processes start again. */
static void follow_hosts(void *ctx, const struct lab_event *event)
{
	struct sim_world *w = ctx;
	const char *name;

	if (event->id != LAB_EV_host_crashed && event->id != LAB_EV_host_started)
		return;
	name = world_host_name(w->world, event->host);
	for (size_t i = 0; i <= w->node_count; i++) {
		struct node *node = &w->nodes[i];

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

int sim_world_build(struct sim_world *w, const struct run_options *options, struct lab_error *err)
{
	const struct scenario *s = options->scenario;

	*w = (struct sim_world){ .options = options };
	set_phases(w);
	build_world(w);
	if (add_hosts(w, err) < 0 || build_s3(w, err) < 0 || build_imds(w, err) < 0 ||
		build_cql(w, err) < 0 || register_cql(w, err) < 0)
		return -1;
	register_http(w);
	add_host(w, &w->nodes[w->node_count], s->sites[0].name, SIM_AUDITOR);
	world_on_node(w->world, on_node, w);
	world_add_sink(w->world, follow_hosts, w);
	if (build_faults(w, err) < 0)
		return -1;
	for (size_t i = 0; i < w->node_count; i++)
		boot(w, &w->nodes[i]);
	return 0;
}

void sim_world_free(struct sim_world *w)
{
	fault_plan_free(&w->plan);
	world_free(&w->world);
	cqlemu_free(&w->cql);
	imdsemu_free(&w->imds);
	s3emu_free(&w->s3);
	lab_heap_drop(&w->cql_heap);
}

void sim_world_heal(struct sim_world *w)
{
	world_heal_all(w->world);
	for (size_t i = 0; i < w->cql_count; i++)
		world_node_up(w->world, lab_view_cstr(w->cql_names[i]));
	for (size_t i = 0; i < w->node_count; i++) {
		struct world_host *host =
			world_host_find(w->world, lab_view_cstr(w->nodes[i].name));

		if (!world_is_up(host))
			world_restart(host);
	}
}

struct node *sim_world_auditor(struct sim_world *w)
{
	struct node *auditor = &w->nodes[w->node_count];

	boot(w, auditor);
	return auditor;
}
