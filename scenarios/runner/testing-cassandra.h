/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-cassandra.h - for tests only: a host with a dict, and the Cassandra emulator behind it,
 * in either world. Test bodies run in a fiber of the host and do not know which world it is.
 *
 * Four nodes, 127.0.0.21 to 24: three of dc1, each in a rack of its own, one of dc2.
 */
#ifndef SCENARIOS_TESTING_CASSANDRA_H
#define SCENARIOS_TESTING_CASSANDRA_H

#include "core/env/live/test-support.h"

#include "core/dict/dict-proxy.h"
#include "core/dict/dict-sql.h"
#include "core/base/defect.h"
#include "sim/cql-emulator/cql-emulator.h"
#include "sim/front-end/stream-front-end.h"
#include "sim/world/world.h"

#define C_NODES 4
#define C_LINES_MAX 4096
#define C_SCRIPTS_MAX 4

/* What goes wrong: the next `left` times that somebody asks at this point, after `skip` times at
 * which it does not. */
struct c_script {
	const char *point;    /* NULL: any */
	const char *instance; /* NULL: any */
	struct sim_fault fault;
	unsigned skip, left, fired;
};

/* A request that a node answered. */
struct c_line {
	unsigned node; /* from 1 */
	char operation[16], table[64];
	unsigned status;
};

struct c_bed {
	bool is_live;
	const char *config; /* of the dict; the port is added */
	void (*body)(struct c_bed *bed);
	/* The core's side. */
	struct env *env;
	struct lab_arena *arena;
	struct dict_cql_config *parsed;
	struct cql_client *client;
	struct dict *dict;
	struct lab_error err;
	struct dict_values values;
	struct dict_row *rows;
	size_t row_count;
	/* The cluster. On its own thread in the live world. */
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct cqlemu *emu;
	struct sim_hooks world_hooks;
	struct c_script scripts[C_SCRIPTS_MAX];
	uint32_t fault_id;
	struct c_line lines[C_LINES_MAX];
	size_t line_count;
	/* Worlds. */
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct bed live;
	struct stream_front_end *front;
	uint16_t port;
};

static size_t c_mark; /* lines before it are forgotten */
/* Changes the options of the clusters that are made from now on; NULL: nothing does. */
__attribute__((unused)) static void (*c_adjust)(struct cqlemu_options *options);

/* ---- hooks ---- */

static struct sim_fault c_fault(void *ctx, const struct sim_fault_query *query)
{
	struct c_bed *bed = ctx;

	for (size_t i = 0; i < C_SCRIPTS_MAX; i++) {
		struct c_script *s = &bed->scripts[i];
		struct sim_fault fault = s->fault;

		if (s->left == 0 || (s->point != NULL && strcmp(s->point, query->point) != 0) ||
			(s->instance != NULL && !lab_view_eq_cstr(query->instance, s->instance)))
			continue;
		if (s->skip > 0) {
			s->skip--;
			continue;
		}
		s->left--;
		s->fired++;
		fault.id = ++bed->fault_id;
		return fault;
	}
	return (struct sim_fault){ .kind = SIM_FAULT_NONE };
}

static bool c_reachable(void *ctx, struct lab_view from, struct lab_view to, uint64_t now_ns)
{
	const struct sim_hooks *inner = &((struct c_bed *)ctx)->world_hooks;

	return inner->reachable == NULL || inner->reachable(inner->ctx, from, to, now_ns);
}

static uint64_t c_latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t ordinal)
{
	const struct sim_hooks *inner = &((struct c_bed *)ctx)->world_hooks;

	return inner->latency == NULL ? 0 : inner->latency(inner->ctx, from, to, ordinal);
}

static void c_access(void *ctx, const struct sim_access *access)
{
	struct c_bed *bed = ctx;
	struct c_line *line = &bed->lines[bed->line_count];

	if (bed->line_count == C_LINES_MAX || lab_view_eq_cstr(access->operation, "PREPARE"))
		return;
	bed->line_count++;
	line->node = (unsigned)(access->instance.ptr[access->instance.len - 1] - '0');
	(void)lab_view_to_cstr(access->operation, line->operation, sizeof(line->operation));
	(void)lab_view_to_cstr(access->subject, line->table, sizeof(line->table));
	line->status = access->status;
}

/* ---- the cluster ---- */

#define C_KEYSPACE(name, dc1) \
	"CREATE KEYSPACE " name " WITH replication = {'class': 'NetworkTopologyStrategy', " dc1 "};"

static void c_make_cluster(struct c_bed *bed)
{
	static const char *const names[] = { "node-1", "node-2", "node-3", "node-4" };
	static const char *const addresses[] = { "127.0.0.21", "127.0.0.22", "127.0.0.23",
		"127.0.0.24" };
	static const char *const racks[] = { "r1", "r2", "r3", "r1" };
	struct cqlemu_node_options nodes[C_NODES] = { 0 };
	struct sim_hooks hooks = { .ctx = bed,
		.fault = c_fault,
		.reachable = c_reachable,
		.latency = c_latency,
		.access = c_access };
	struct cqlemu_options o;

	for (size_t i = 0; i < C_NODES; i++) {
		nodes[i].name = lab_view_cstr(names[i]);
		nodes[i].address = lab_view_cstr(addresses[i]);
		nodes[i].dc = i < 3 ? LAB_VIEW("dc1") : LAB_VIEW("dc2");
		nodes[i].rack = lab_view_cstr(racks[i]);
	}
	bed->pool = lab_pool_new((size_t)2 << 30);
	bed->heap = lab_heap_new(bed->pool, (size_t)1 << 30);
	cqlemu_options_init(&o);
	o.heap = bed->heap;
	o.hooks = &hooks;
	o.nodes = nodes;
	o.node_count = C_NODES;
	o.write_timeout_ns = o.read_timeout_ns = 200 * LAB_MSEC;
	o.conviction_ns = 300 * LAB_MSEC;
	o.conviction_jitter_ns = LAB_MSEC;
	if (c_adjust != NULL)
		c_adjust(&o);
	assert_int_equal(cqlemu_new(&o, &bed->emu, NULL), 0);
	if (cqlemu_execute(bed->emu,
		    LAB_VIEW(C_KEYSPACE("mails", "'dc1': 3, 'dc2': 1") C_KEYSPACE("single",
			    "'dc1': 1") "CREATE TABLE mails.usage (u text PRIMARY KEY, bytes "
					"bigint, count bigint);"
					"CREATE TABLE mails.hits (u text PRIMARY KEY, n counter);"
					"CREATE TABLE mails.login (u text, h text, v text, e "
					"bigint, "
					"PRIMARY KEY (u, h));"
					"CREATE TABLE mails.list (u text, n text, v text, PRIMARY "
					"KEY (u, n));"
					"CREATE TABLE single.list (u text, n text, v text, PRIMARY "
					"KEY (u, n))"),
		    &bed->err) < 0)
		fail_msg("%s", bed->err.message);
}

/* Runs fn(bed) where the cluster lives, and now. */
static inline void c_call(struct c_bed *bed, void (*fn)(void *bed))
{
	if (bed->is_live)
		stream_front_end_call(bed->front, fn, bed);
	else
		fn(bed);
}

/* ---- the dict ---- */

static inline void c_open_dict(struct c_bed *bed)
{
	struct conf_section *root;

	if (conf_parse_text("d.ext", lab_view_cstr(bed->config), NULL, CONF_PARSE_LITERAL,
		    bed->arena, NULL, &root, &bed->err) < 0 ||
		dict_cql_from_tree(root, bed->arena, &bed->parsed, &bed->err) < 0)
		fail_msg("%s", bed->err.message);
	bed->parsed->connect.port = bed->port;
	if (dict_sql_connect(bed->env, &bed->parsed->connect, 0, &bed->client, &bed->err) < 0 ||
		dict_sql_open(bed->env, bed->parsed, bed->client, &bed->dict, &bed->err) < 0)
		fail_msg("%s", bed->err.message);
	/* Connected, and the ring is known. */
	env_sleep(bed->env, 100 * LAB_MSEC);
}

static inline void c_run_body(struct c_bed *bed)
{
	bed->arena = lab_arena_new(bed->env->heap, 64u << 20);
	c_open_dict(bed);
	bed->body(bed);
	dict_close(&bed->dict);
	cql_client_close(&bed->client);
	lab_arena_free(&bed->arena);
}

/* ---- worlds ---- */

static void c_sim_main(void *arg)
{
	c_run_body(arg);
}

static inline void c_run_sim(struct c_bed *bed)
{
	const struct world_host_settings host = { .name = "b1", .zone = "az1" };
	struct world_settings settings = {
		.seed = 1, .same_zone = { LAB_MSEC, LAB_MSEC }, .other_zone = { LAB_MSEC, LAB_MSEC }
	};
	struct world_host *b1;
	struct lab_error err;

	bed->port = 9042;
	settings.pool = lab_pool_new((size_t)1 << 32);
	settings.fibers = bed->fibers = lab_fiber_pool_new(256 << 10, 1000, NULL);
	bed->world = world_new(&settings);
	world_hooks(bed->world, &bed->world_hooks);
	c_make_cluster(bed);
	b1 = world_host_new(bed->world, &host);
	bed->env = world_env(b1);
	for (size_t i = 0; i < C_NODES; i++) {
		struct sim_stream_service service = cqlemu_service(bed->emu);
		char name[16], authority[32];

		(void)snprintf(name, sizeof(name), "node-%zu", i + 1);
		(void)snprintf(authority, sizeof(authority), "127.0.0.%zu:9042", 21 + i);
		world_stream_service(bed->world,
			&(struct world_service_settings){
				.name = name, .zone = "az1", .authority = authority },
			&service);
	}
	world_start(b1, c_sim_main, bed);
	if (world_run_until(bed->world, 60 * LAB_MINUTE, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
	world_free(&bed->world);
	assert_int_equal(lab_fiber_pool_alive(bed->fibers), 0);
	lab_fiber_pool_free(&bed->fibers);
	lab_pool_free(&settings.pool);
}

static void c_live_main(struct bed *live)
{
	struct c_bed *bed = live->extra;

	bed->env = live->env;
	c_run_body(bed);
}

static inline void c_run_live(struct c_bed *bed)
{
	static const struct stream_front_end_node nodes[] = { { "node-1", "127.0.0.21" },
		{ "node-2", "127.0.0.22" }, { "node-3", "127.0.0.23" },
		{ "node-4", "127.0.0.24" } };
	struct stream_front_end_settings settings = { .nodes = nodes, .node_count = C_NODES };

	bed->is_live = true;
	c_make_cluster(bed);
	bed_open(&bed->live);
	bed->live.extra = bed;
	settings.service = cqlemu_service(bed->emu);
	settings.start_ns = live_start_ns(bed->live.live);
	assert_int_equal(stream_front_end_new(&settings, &bed->front, NULL), 0);
	bed->port = stream_front_end_port(bed->front);
	bed_run(&bed->live, c_live_main);
	bed_close(&bed->live);
	stream_front_end_free(&bed->front);
}

static inline void c_run(
	bool live, const char *config, struct lab_defects defects, void (*body)(struct c_bed *))
{
	static struct c_bed bed;

	memset(&bed, 0, sizeof(bed));
	c_mark = 0;
	bed.config = config;
	lab_defects_on = defects;
	bed.body = body;
	if (live)
		c_run_live(&bed);
	else
		c_run_sim(&bed);
	cqlemu_free(&bed.emu);
	lab_heap_drop(&bed.heap);
	lab_pool_free(&bed.pool);
}

/* In the simulated world, with a fault from the beginning on. */
__attribute__((unused)) static inline void c_run_faulty(const char *config,
	struct lab_defects defects, const struct c_script *script, void (*body)(struct c_bed *))
{
	static struct c_bed bed;

	memset(&bed, 0, sizeof(bed));
	c_mark = 0;
	bed.config = config;
	lab_defects_on = defects;
	bed.body = body;
	bed.scripts[0] = *script;
	c_run_sim(&bed);
	cqlemu_free(&bed.emu);
	lab_heap_drop(&bed.heap);
	lab_pool_free(&bed.pool);
}

/* ---- steering and looking, from the body ---- */

static struct c_script c_new_scripts[C_SCRIPTS_MAX];

static void c_take_scripts(void *arg)
{
	memcpy(((struct c_bed *)arg)->scripts, c_new_scripts, sizeof(c_new_scripts));
}

/* In place of all that were there. */
static inline void c_faults(struct c_bed *bed, const struct c_script *scripts, size_t count)
{
	memset(c_new_scripts, 0, sizeof(c_new_scripts));
	if (count > 0)
		memcpy(c_new_scripts, scripts, count * sizeof(*scripts));
	c_call(bed, c_take_scripts);
}

static inline void c_fail(
	struct c_bed *bed, const char *point, struct sim_fault fault, unsigned times)
{
	c_faults(bed, &(struct c_script){ .point = point, .fault = fault, .left = times }, 1);
}

static unsigned c_fired_count;
static void c_count_fired(void *arg)
{
	c_fired_count = 0;
	for (size_t i = 0; i < C_SCRIPTS_MAX; i++)
		c_fired_count += ((struct c_bed *)arg)->scripts[i].fired;
}

/* How often the present faults have fired. */
static inline unsigned c_fired(struct c_bed *bed)
{
	c_call(bed, c_count_fired);
	return c_fired_count;
}

/* Live rows of a table, all replicas together; and a column of the last one as text. */
static struct {
	const char *table, *column;
	size_t rows;
	unsigned replicas;
	char value[64];
	size_t value_len;
	int64_t timestamp_us[2]; /* of the first two */
} c_look;

static void c_see(void *ctx, const struct cqlemu_entry *entry)
{
	(void)ctx;
	if (entry->kind != CQLEMU_ROW || !entry->live)
		return;
	if (c_look.rows < 2)
		c_look.timestamp_us[c_look.rows] = entry->marker_us;
	c_look.rows++;
	c_look.replicas = entry->replicas;
	if (c_look.column == NULL)
		return;
	struct lab_view value = cqlemu_entry_value(entry, c_look.column);
	c_look.value_len = LAB_MIN(value.len, sizeof(c_look.value) - 1);
	if (c_look.value_len > 0)
		memcpy(c_look.value, value.ptr, c_look.value_len);
	c_look.value[c_look.value_len] = '\0';
}

static void c_do_look(void *arg)
{
	struct c_bed *bed = arg;

	c_look.rows = 0;
	c_look.value_len = 0;
	assert_int_equal(cqlemu_snapshot(bed->emu, lab_view_cstr(c_look.table), CQLEMU_MERGED,
				 c_see, NULL, NULL),
		0);
}

static inline size_t c_rows(struct c_bed *bed, const char *table, const char *column)
{
	c_look.table = table;
	c_look.column = column;
	c_call(bed, c_do_look);
	return c_look.rows;
}

static struct {
	void (*fn)(struct cqlemu *emu, size_t node, uint64_t now_ns);
	size_t node;
} c_node_call;

static void c_do_node(void *arg)
{
	struct c_bed *bed = arg;

	c_node_call.fn(bed->emu, c_node_call.node,
		bed->is_live ? live_now(bed->live.live) : world_now(bed->world));
}

/* cqlemu_node_stop() and its like; nodes from 1. */
static inline void c_node(struct c_bed *bed, unsigned node,
	void (*fn)(struct cqlemu *emu, size_t node, uint64_t now_ns))
{
	c_node_call.fn = fn;
	c_node_call.node = node - 1;
	c_call(bed, c_do_node);
}

static void c_do_mark(void *arg)
{
	c_mark = ((struct c_bed *)arg)->line_count;
}

static unsigned c_asked_count[C_NODES + 1];
static const char *c_asked_operation;
static void c_do_asked(void *arg)
{
	struct c_bed *bed = arg;

	memset(c_asked_count, 0, sizeof(c_asked_count));
	for (size_t i = c_mark; i < bed->line_count; i++) {
		if (strcmp(bed->lines[i].operation, c_asked_operation) == 0 &&
			strncmp(bed->lines[i].table, "system", 6) != 0)
			c_asked_count[bed->lines[i].node]++;
	}
}

/* How many requests of this kind each node was asked since c_forget(): ret[1..4]. */
static inline const unsigned *c_asked(struct c_bed *bed, const char *operation)
{
	c_asked_operation = operation;
	c_call(bed, c_do_asked);
	return c_asked_count;
}

static inline void c_forget(struct c_bed *bed)
{
	c_call(bed, c_do_mark);
}

#endif
