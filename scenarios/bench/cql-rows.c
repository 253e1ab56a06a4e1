/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-rows.c - the CQL emulator over sockets, beside a server that sends back what it gets.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-load.h"
#include "scenarios/bench/echo.h"

struct cql_rows {
	struct emulators emulators;
	struct echo *echo;
	struct cql_load value, limit;
};

struct setup {
	unsigned nodes;
	enum cql_load_kind kind;
	bool on_disk;
};

static int open_rows(struct cql_rows *rows, const struct setup *setup, struct lab_error *err)
{
	struct emulators *e = &rows->emulators;
	struct cql_target target = { .host = NULL };

	emulators_init(e);
	e->cql_on_disk = setup->on_disk;
	if (emulators_cql(e, setup->nodes, err) < 0 || emulators_cql_serve(e, err) < 0 ||
		echo_start(e->heap, &rows->echo, err) < 0)
		return -1;
	target.port = stream_front_end_port(e->cql_front);
	if (cql_load_make(e, &target, setup->kind, &rows->value, err) < 0)
		return -1;
	rows->limit = rows->value;
	rows->limit.target.port = echo_port(rows->echo);
	return 0;
}

static int sample_emulator(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return cql_load_sample(&((struct cql_rows *)ctx)->value, slice_ns, ret, err);
}

static int sample_echo(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return cql_load_sample(&((struct cql_rows *)ctx)->limit, slice_ns, ret, err);
}

static int measure(const struct setup *setup, struct bench_result *ret, struct lab_error *err)
{
	struct cql_rows rows = { .echo = NULL };
	int result = open_rows(&rows, setup, err);

	if (result == 0)
		result = bench_take_turns(sample_emulator, sample_echo, &rows, false, ret, err);
	echo_stop(rows.echo);
	emulators_free(&rows.emulators);
	return result;
}

#define ROW(name, ...) \
	int name(struct bench_result *ret, struct lab_error *err) \
	{ \
		static const struct setup setup = { __VA_ARGS__ }; \
\
		return measure(&setup, ret, err); \
	}
ROW(bench_live_cql, 1, CQL_LOAD_BOTH, false)
ROW(bench_live_cql_quorum, 3, CQL_LOAD_BOTH, false)
ROW(bench_cql_reads, 3, CQL_LOAD_READS, false)
ROW(bench_cql_writes, 3, CQL_LOAD_WRITES, false)
ROW(bench_cql_sqlite_reads, 3, CQL_LOAD_READS, true)
ROW(bench_cql_sqlite_writes, 3, CQL_LOAD_WRITES, true)
