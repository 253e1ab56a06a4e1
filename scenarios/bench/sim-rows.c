/* SPDX-License-Identifier: Apache-2.0
 *
 * sim-rows.c - the standard storm in the simulated world, one worker, in CPU time of one core.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/emulators.h"
#include "scenarios/runner/run.h"

#include <stdio.h>

#define STORM "scenarios/001-standard-storm.scn"
#define POOL_MAX ((size_t)16 << 30)
#define ARENA_MAX ((size_t)256 << 20)
#define STACK_BYTES ((size_t)64 << 10)
#define FIBERS_MAX 16384
#define SAMPLE_NS (1500 * LAB_MSEC)
#define LIMIT_NS (150 * LAB_MSEC)

/* ---- the scenario, out of the binary ---- */

extern const char storm_scn[], storm_scn_end[], storm_conf[], storm_conf_end[], storm_dict[],
	storm_dict_end[];

static const struct {
	const char *path, *begin, *end;
} files[] = {
	{ STORM, storm_scn, storm_scn_end },
	{ "scenarios/configs/aws-s3-dictmap.conf", storm_conf, storm_conf_end },
	{ "scenarios/configs/dovecot-dict-cql.conf.ext", storm_dict, storm_dict_end },
};

static int read_file(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	(void)ctx, (void)arena;
	for (size_t i = 0; i < LAB_COUNT_OF(files); i++) {
		if (lab_view_eq_cstr(path, files[i].path)) {
			*ret = lab_view_of(files[i].begin, (size_t)(files[i].end - files[i].begin));
			return 0;
		}
	}
	return lab_fail(err, LAB_NOT_FOUND, "%.*s: not in the binary", LAB_VIEW_ARG(path));
}

struct sim_rows {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_pool *run_pool;
	struct lab_fiber_pool *fibers;
	struct scenario *scenario;
	uint64_t next_seed;
	/* Sums over all runs. */
	uint64_t runs, not_passed, cpu_ns, requests, s3, cql, imds;
	char first_trouble[48];
};

static int load_storm(struct sim_rows *rows, bool with_faults, struct lab_error *err)
{
	static const struct conf_reader reader = { .read_file = read_file };
	static const char *const sets[] = { "fault.episodes=0" };
	struct scenario_overrides overrides = { .sets = sets, .set_count = with_faults ? 0 : 1 };
	struct conf_problems problems;

	conf_problems_init(&problems, rows->arena);
	return scenario_load(
		STORM, &reader, &overrides, rows->arena, &problems, &rows->scenario, err);
}

static int open_rows(struct sim_rows *rows, bool with_faults, struct lab_error *err)
{
	memset(rows, 0, sizeof(*rows));
	rows->pool = lab_pool_new(POOL_MAX);
	rows->heap = lab_heap_new(rows->pool, ARENA_MAX);
	rows->arena = lab_arena_new(rows->heap, ARENA_MAX);
	rows->run_pool = lab_pool_new(POOL_MAX);
	rows->fibers = lab_fiber_pool_new(STACK_BYTES, FIBERS_MAX, NULL);
	rows->next_seed = 1;
	return load_storm(rows, with_faults, err);
}

static void close_rows(struct sim_rows *rows)
{
	lab_fiber_pool_free(&rows->fibers);
	lab_pool_free(&rows->run_pool);
	lab_arena_free(&rows->arena);
	lab_heap_drop(&rows->heap);
	lab_pool_free(&rows->pool);
}

/* ---- runs ---- */

static int run_seed(struct sim_rows *rows, struct lab_error *err)
{
	struct run_options options = { .scenario = rows->scenario,
		.seed = rows->next_seed++,
		.pool = rows->run_pool,
		.fibers = rows->fibers };
	struct run_result *r = lab_new(rows->heap, struct run_result);
	uint64_t start = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int result = run_simulated(&options, r, err);

	if (result == 0) {
		rows->cpu_ns += bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		rows->runs++;
		rows->requests += r->storage_requests;
		rows->s3 += r->s3_requests;
		rows->cql += r->cql_requests;
		rows->imds += r->imds_requests;
		if (r->verdict != RUN_PASS && rows->not_passed++ == 0)
			snprintf(rows->first_trouble, sizeof(rows->first_trouble),
				"seed %" PRIu64 " ended %s", r->seed, run_verdict_name(r->verdict));
	}
	lab_heap_free(rows->heap, r);
	return result;
}

/* The first seed warms the pools and does not count. */
static int run_seeds(struct sim_rows *rows, struct lab_error *err)
{
	uint64_t start;

	if (run_seed(rows, err) < 0)
		return -1;
	rows->runs = rows->cpu_ns = rows->requests = rows->s3 = rows->cql = rows->imds = 0;
	start = bench_clock_ns(CLOCK_MONOTONIC);
	do {
		if (run_seed(rows, err) < 0)
			return -1;
	} while (bench_clock_ns(CLOCK_MONOTONIC) - start < SAMPLE_NS);
	return 0;
}

static void add_note(const struct sim_rows *rows, struct bench_result *ret)
{
	uint64_t ms = rows->cpu_ns / LAB_MSEC;

	snprintf(ret->note, sizeof(ret->note),
		"%" PRIu64 " seeds, %" PRIu64 " requests (%" PRIu64 " S3, %" PRIu64 " CQL, %" PRIu64
		" IMDS), %" PRIu64 " ms%s%s",
		rows->runs, rows->requests, rows->s3, rows->cql, rows->imds, ms,
		rows->not_passed > 0 ? "; " : "", rows->first_trouble);
}

/* ---- the limit: the emulators alone, asked for the same mix ---- */

struct direct_cql {
	struct sim_stream_service service;
	void *connection;
	struct lab_buf answer;
	bool keeps; /* what comes; else it is only counted */
	uint64_t answers;
};

static void on_output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct direct_cql *cql = ctx;

	lab_assert(wire == SIM_WIRE_ANSWER);
	cql->answers++;
	if (cql->keeps)
		lab_buf_append_view(&cql->answer, data);
}

static int ask_directly(
	void *ctx, struct lab_view frame, struct lab_view *ret, struct lab_error *err)
{
	struct direct_cql *cql = ctx;

	lab_buf_reset(&cql->answer);
	cql->service.ops->input(cql->connection, frame, 0);
	*ret = lab_buf_view(&cql->answer);
	return ret->len > 0 ? 0 : lab_fail(err, LAB_TIMEOUT, "the emulator does not answer");
}

/* Nanoseconds of one CQL request. */
static int cost_of_cql(struct emulators *e, uint64_t *ret_ns, struct lab_error *err)
{
	struct sim_peer peer = { .name = LAB_VIEW("bench"), .hops = 1 };
	struct direct_cql cql = { .service = cqlemu_service(e->cql), .keeps = true };
	struct lab_view *frames, ready;
	uint64_t start, count = 0;

	lab_buf_init(&cql.answer, e->heap, 1 << 20);
	cql.connection = cql.service.ops->accept(
		cql.service.service, LAB_VIEW("cassandra-1"), &peer, 0, on_output, &cql);
	if (cql.connection == NULL)
		return lab_fail(err, LAB_REFUSED, "the node takes no connection");
	if (ask_directly(&cql, bench_cql_startup(e), &ready, err) < 0 ||
		bench_cql_frames(e, ask_directly, &cql, &frames, err) < 0)
		return -1;
	cql.keeps = false;
	cql.answers = 0;
	start = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	do {
		for (size_t i = 0; i < BENCH_CQL_FRAMES; i++)
			cql.service.ops->input(cql.connection, frames[i], 0);
		count += BENCH_CQL_FRAMES;
		*ret_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	} while (*ret_ns < LIMIT_NS);
	*ret_ns /= count;
	return cql.answers == count ? 0 : lab_fail(err, LAB_CORRUPT, "answers are missing");
}

/* Nanoseconds of one S3 request, half of them PUT and half GET. */
static int cost_of_s3(struct emulators *e, uint64_t *ret_ns, struct lab_error *err)
{
	struct sim_http_service service = s3emu_service(e->s3);
	struct lab_http_request *puts, *gets;
	uint64_t start, count = 0;

	if (bench_s3_requests(e, "PUT", &puts, err) < 0 ||
		bench_s3_requests(e, "GET", &gets, err) < 0)
		return -1;
	start = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	do {
		for (size_t i = 0; i < BENCH_OBJECTS; i++) {
			if (bench_submit(&service, &puts[i], err) < 0 ||
				bench_submit(&service, &gets[i], err) < 0)
				return -1;
		}
		count += 2 * BENCH_OBJECTS;
		*ret_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	} while (*ret_ns < LIMIT_NS);
	*ret_ns /= count;
	return 0;
}

/* IMDS is asked a few times a run: it does not weigh. */
static int limit_of_mix(const struct sim_rows *rows, int64_t *ret, struct lab_error *err)
{
	struct emulators e;
	uint64_t s3_ns = 0, cql_ns = 0, ns;
	int result;

	emulators_init(&e);
	result = emulators_s3(&e, err);
	if (result == 0)
		result = emulators_cql(&e, BENCH_CQL_NODES_MAX, err);
	if (result == 0)
		result = cost_of_s3(&e, &s3_ns, err);
	if (result == 0)
		result = cost_of_cql(&e, &cql_ns, err);
	emulators_free(&e);
	ns = rows->s3 * s3_ns + rows->cql * cql_ns;
	*ret = bench_per_second(rows->s3 + rows->cql, ns);
	return result;
}

/* ---- the rows ---- */

int bench_sim_requests(struct bench_result *ret, struct lab_error *err)
{
	struct sim_rows rows;
	int result;

	memset(ret, 0, sizeof(*ret));
	result = open_rows(&rows, false, err);
	if (result == 0)
		result = run_seeds(&rows, err);
	if (result == 0)
		result = limit_of_mix(&rows, &ret->limit, err);
	if (result == 0) {
		ret->value = bench_per_second(rows.requests, rows.cpu_ns);
		add_note(&rows, ret);
	}
	close_rows(&rows);
	return result;
}

int bench_sim_seeds(struct bench_result *ret, struct lab_error *err)
{
	struct sim_rows rows;
	int result;

	memset(ret, 0, sizeof(*ret));
	result = open_rows(&rows, true, err);
	if (result == 0)
		result = run_seeds(&rows, err);
	if (result == 0) {
		ret->value = bench_per_second(rows.runs, rows.cpu_ns);
		add_note(&rows, ret);
	}
	close_rows(&rows);
	return result;
}
