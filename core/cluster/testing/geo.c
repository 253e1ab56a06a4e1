/* SPDX-License-Identifier: Apache-2.0
 *
 * geo.c - hosts with a GeoDB, for tests.
 */
#include "core/cluster/testing/geo.h"

#define SCHEMA_FILE "core/cluster/geodb.cql"

/* ---- Cassandra ---- */

static bool is_meant(const struct geo_fault *fault, const struct sim_fault_query *query)
{
	return (fault->left > 0 || fault->at_last.kind != SIM_FAULT_NONE) && fault->point != NULL &&
	       strcmp(fault->point, query->point) == 0 &&
	       (fault->table == NULL ||
		       lab_view_ends_with(query->subject, lab_view_cstr(fault->table))) &&
	       (fault->peer == NULL || lab_view_eq_cstr(query->peer, fault->peer));
}

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct geo *geo = ctx;
	struct sim_fault fault = geo->fault.fault;

	if (!is_meant(&geo->fault, query))
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	geo->fault.asked++;
	if (geo->fault.skip > 0) {
		geo->fault.skip--;
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	}
	if (geo->fault.left == 0)
		fault = geo->fault.at_last;
	else
		geo->fault.left--;
	fault.id = ++geo->fault.fired;
	if (geo->fault.crash != NULL)
		world_crash(geo->fault.crash, FAULT_DISK_KEEP);
	return fault;
}

static bool on_reachable(void *ctx, struct lab_view from, struct lab_view to, uint64_t now_ns)
{
	const struct sim_hooks *inner = &((struct geo *)ctx)->hooks;

	return inner->reachable(inner->ctx, from, to, now_ns);
}

static uint64_t on_latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t ordinal)
{
	const struct sim_hooks *inner = &((struct geo *)ctx)->hooks;

	return inner->latency(inner->ctx, from, to, ordinal);
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct geo *geo = ctx;

	if (lab_view_starts_with(access->subject, LAB_VIEW("geodb.")) &&
		!lab_view_eq_cstr(access->operation, "PREPARE"))
		geo->statements++;
}

void geo_cql(struct geo *geo, const char *cql)
{
	struct lab_error err;

	if (cqlemu_execute(geo->emu, lab_view_cstr(cql), &err) < 0)
		fail_msg("%s", err.message);
}

static void load_schema(struct geo *geo)
{
	char *text = lab_heap_alloc(geo->heap, 65536);
	FILE *file = fopen(SCHEMA_FILE, "r");
	size_t len;

	if (file == NULL)
		fail_msg("%s: cannot be opened from here", SCHEMA_FILE);
	len = fread(text, 1, 65535, file);
	(void)fclose(file);
	text[len] = '\0';
	geo_cql(geo, text);
	lab_heap_free(geo->heap, text);
}

static void make_cluster(struct geo *geo)
{
	struct cqlemu_node_options nodes[GEO_NODES] = { 0 };
	const struct sim_hooks hooks = { geo, on_fault, on_reachable, on_latency, on_access };
	static const char *const names[] = { "cassandra-1", "cassandra-2", "cassandra-3" };
	static const char *const addresses[] = { "127.0.0.21", "127.0.0.22", "127.0.0.23" };
	static const char *const zones[] = { "az1", "az2", "az3" };
	struct cqlemu_options options;

	cqlemu_options_init(&options);
	for (size_t i = 0; i < GEO_NODES; i++) {
		nodes[i].name = lab_view_cstr(names[i]);
		nodes[i].address = lab_view_cstr(addresses[i]);
		nodes[i].dc = LAB_VIEW("dc1");
		nodes[i].rack = nodes[i].zone = lab_view_cstr(zones[i]);
	}
	options.heap = geo->heap;
	options.hooks = &hooks;
	options.nodes = nodes;
	options.node_count = GEO_NODES;
	options.epoch_us = 1704067200000000;
	assert_int_equal(cqlemu_new(&options, &geo->emu, NULL), 0);
	load_schema(geo);
	for (size_t i = 0; i < GEO_NODES; i++) {
		struct sim_stream_service service = cqlemu_service(geo->emu);
		char authority[32];

		(void)snprintf(authority, sizeof(authority), "%s:9042", addresses[i]);
		world_stream_service(geo->world,
			&(struct world_service_settings){
				.name = names[i], .zone = zones[i], .authority = authority },
			&service);
	}
}

/* ---- hosts ---- */

static void open_geodb(struct geo_host *host)
{
	struct cql_settings settings;
	struct geodb_settings geodb;
	struct lab_error err;

	cql_settings_defaults(&settings);
	settings.hosts[0] = "127.0.0.21";
	settings.hosts[1] = "127.0.0.22";
	settings.hosts[2] = "127.0.0.23";
	settings.host_count = GEO_NODES;
	settings.keyspace = "geodb";
	settings.request_timeout_ns = 5 * LAB_SEC;
	settings.log_level = CQL_LOG_CRITICAL;
	geo_must(&err, cql_client_open(host->env, &settings, &host->client, &err), 0);
	geodb_settings_defaults(&geodb);
	host->geodb = geodb_new(host->env, host->client, &geodb);
	host->arena = lab_arena_new(host->env->heap, 256u << 20);
}

static void host_main(void *arg)
{
	struct geo_host *host = arg;

	open_geodb(host);
	if (host != host->geo->hosts || host->geo->done)
		return;
	/* The others have booted, too. */
	env_sleep(host->env, LAB_SEC);
	host->geo->body(host);
	host->geo->done = true;
}

static bool is_done(void *ctx)
{
	return ((struct geo *)ctx)->done;
}

static void count_event(void *ctx, const struct lab_event *event)
{
	((struct geo *)ctx)->events[event->id]++;
}

static void run(struct geo *geo)
{
	struct lab_error err;

	for (size_t i = 0; i < geo->host_count; i++)
		world_start(geo->hosts[i].host, host_main, &geo->hosts[i]);
	if (world_run_until(geo->world, 6 * 60 * LAB_MINUTE, is_done, geo, &err) < 0)
		fail_msg("%s", err.message);
	if (!geo->done)
		fail_msg("the test's body waits for something that never comes");
	world_free(&geo->world);
	cqlemu_free(&geo->emu);
	lab_fiber_pool_free(&geo->fibers);
	lab_heap_drop(&geo->heap);
	lab_pool_free(&geo->pool);
}

void geo_run(const struct geo_place *places, size_t count, void (*body)(struct geo_host *first))
{
	static struct geo geo;
	struct world_settings settings = { .seed = 1 };

	assert_true(count <= GEO_HOSTS_MAX);
	memset(&geo, 0, sizeof(geo));
	geo.body = body;
	geo.pool = lab_pool_new((size_t)4 << 30);
	geo.heap = lab_heap_new(geo.pool, (size_t)1 << 30);
	settings.pool = geo.pool;
	settings.fibers = geo.fibers = lab_fiber_pool_new(256 << 10, 4000, NULL);
	geo.world = world_new(&settings);
	world_hooks(geo.world, &geo.hooks);
	world_add_sink(geo.world, count_event, &geo);
	make_cluster(&geo);
	geo.host_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct world_host_settings host = { .name = places[i].name,
			.zone = places[i].zone };

		geo.hosts[i] = (struct geo_host){
			.geo = &geo, .name = places[i].name, .zone = places[i].zone
		};
		geo.hosts[i].host = world_host_new(geo.world, &host);
		geo.hosts[i].env = world_env(geo.hosts[i].host);
	}
	run(&geo);
}

/* ---- from the body ---- */

void geo_on(struct geo_host *host, env_fiber_fn fn, void *arg)
{
	assert_int_equal(env_spawn(host->env, "test", fn, arg, NULL), 0);
}

struct call {
	env_fiber_fn fn;
	void *arg;
	bool done;
};

static void call_main(void *arg)
{
	struct call *call = arg;

	call->fn(call->arg);
	call->done = true;
}

bool geo_call(struct geo_host *here, struct geo_host *there, env_fiber_fn fn, void *arg)
{
	struct call call = { fn, arg, false };
	uint64_t deadline = env_now(here->env) + 10 * LAB_MINUTE;
	uint32_t boots = world_boots(there->host);

	if (!world_is_up(there->host))
		return false;
	geo_on(there, call_main, &call);
	while (!call.done && world_is_up(there->host) && world_boots(there->host) == boots) {
		if (env_now(here->env) >= deadline)
			fail_msg("%s does not answer", there->name);
		env_sleep(here->env, LAB_MSEC);
	}
	return call.done;
}

void geo_must(const struct lab_error *err, int result, int expected)
{
	if (result != expected)
		fail_msg("%d instead of %d: %s", result, expected,
			result < 0 ? err->message : "no error");
}

void geo_wait(struct geo_host *host, const bool *flag, uint64_t ns)
{
	uint64_t deadline = env_now(host->env) + ns;

	while (!*flag && env_now(host->env) < deadline)
		env_sleep(host->env, 10 * LAB_MSEC);
	assert_true(*flag);
}
