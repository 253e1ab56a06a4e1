/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/bench/cql-cassandra.h"

#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-load.h"
#include "sim/serve/schema.h"

#include <stdio.h>

#define KEYSPACE "oboxlab_bench"
#define DDL_MAX 65536
#define HOST_MAX 64

static char server_host[HOST_MAX];
static struct cql_target server;

struct comparison {
	struct emulators emulators;
	struct cql_asker *asker;
	struct cql_load value, limit;
	unsigned nodes;
};

/* Statements of a script, one by one. */
static int run_script(struct comparison *c, struct lab_view script, struct lab_error *err)
{
	struct lab_view statement;
	size_t rows;

	while (lab_view_split(&script, ';', &statement)) {
		if (lab_view_find_byte(statement, ' ') == SIZE_MAX)
			continue;
		if (cql_ask_query(&c->emulators, c->asker, statement, &rows, err) < 0)
			return -1;
	}
	return 0;
}

static int make_schema(struct comparison *c, struct lab_error *err)
{
	size_t peers;
	struct lab_buf ddl;
	int result;

	if (cql_ask_query(&c->emulators, c->asker, LAB_VIEW("SELECT peer FROM system.peers"),
		    &peers, err) < 0)
		return -1;
	c->nodes = (unsigned)LAB_MIN(peers + 1, (size_t)BENCH_CQL_NODES_MAX);
	lab_buf_init(&ddl, c->emulators.heap, DDL_MAX);
	lab_buf_append_cstr(&ddl, "drop keyspace if exists " KEYSPACE ";\n");
	schema_print(LAB_VIEW(KEYSPACE), c->nodes, &ddl);
	result = run_script(c, lab_buf_view(&ddl), err);
	lab_buf_done(&ddl);
	return result;
}

static int open_comparison(struct comparison *c, enum cql_load_kind kind, struct lab_error *err)
{
	struct emulators *e = &c->emulators;
	struct cql_target ours = { .host = NULL };

	emulators_init(e);
	e->cql_keyspace = KEYSPACE;
	if (cql_asker_open(e, &server, &c->asker, err) < 0 || make_schema(c, err) < 0 ||
		cql_load_make(e, &server, kind, &c->value, err) < 0)
		return lab_error_wrap(err, "Cassandra");
	if (emulators_cql(e, c->nodes, err) < 0 || emulators_cql_serve(e, err) < 0)
		return -1;
	ours.port = stream_front_end_port(e->cql_front);
	return cql_load_make(e, &ours, kind, &c->limit, err);
}

static int sample_cassandra(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	/* Its caches and its compiler take longer to warm up than the others'. */
	return cql_load_sample(&((struct comparison *)ctx)->value, 5 * slice_ns, ret, err);
}

static int sample_emulator(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return cql_load_sample(&((struct comparison *)ctx)->limit, slice_ns, ret, err);
}

static int measure(enum cql_load_kind kind, struct bench_result *ret, struct lab_error *err)
{
	struct comparison c = { .asker = NULL };
	int result = open_comparison(&c, kind, err);

	if (result == 0)
		result = bench_take_turns(sample_cassandra, sample_emulator, &c, false, ret, err);
	if (result == 0)
		snprintf(ret->note, sizeof(ret->note),
			"%u node%s with as many replicas; the limit is the emulator", c.nodes,
			c.nodes == 1 ? "" : "s");
	if (result == 0)
		result = run_script(&c, LAB_VIEW("drop keyspace " KEYSPACE), err);
	cql_asker_close(c.asker);
	emulators_free(&c.emulators);
	return result;
}

static int reads(struct bench_result *ret, struct lab_error *err)
{
	return measure(CQL_LOAD_READS, ret, err);
}

static int writes(struct bench_result *ret, struct lab_error *err)
{
	return measure(CQL_LOAD_WRITES, ret, err);
}

static const struct bench_row rows_of_cassandra[BENCH_CASSANDRA_ROWS] = {
	{ .name = "cassandra.reads_per_s", .unit = "1/s", .run = reads },
	{ .name = "cassandra.writes_per_s", .unit = "1/s", .run = writes },
};

int bench_cassandra_rows(
	const char *address, const struct bench_row **rows, size_t *count, struct lab_error *err)
{
	struct lab_view port = lab_view_cstr(address), host;
	uint64_t number;

	if (!lab_view_split(&port, ':', &host) ||
		lab_view_to_cstr(host, server_host, sizeof(server_host)) < 0 ||
		lab_view_to_u64(port, &number) < 0 || number == 0 || number > UINT16_MAX)
		return lab_fail(err, LAB_INVALID, "--cassandra %s: it takes HOST:PORT", address);
	if (!lab_view_starts_with(host, LAB_VIEW("127.")))
		return lab_fail(err, LAB_DENIED,
			"--cassandra %s: only servers on loopback are measured", address);
	server = (struct cql_target){ .host = server_host, .port = (uint16_t)number };
	for (size_t i = 0; i < BENCH_CASSANDRA_ROWS; i++)
		rows[(*count)++] = &rows_of_cassandra[i];
	return 0;
}
