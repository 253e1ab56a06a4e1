/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-bench.c - oboxlab bench: how fast this build is on this machine, beside the raw limits. A
 * missed budget is marked, and is not a failure.
 */
#include "cli/options.h"

#include "scenarios/bench/bench.h"
#include "scenarios/bench/cql-cassandra.h"
#include "scenarios/bench/servers.h"

#include <stdio.h>

#define ALLOWED (OPTION_JSON | OPTION_SERVER)
#define OUTPUT_MAX ((size_t)1 << 20)

static void flush_out(struct lab_buf *out)
{
	fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
	lab_buf_reset(out);
}

/* A row that cannot be measured does not keep the others from it. Returns how many were. */
static size_t measure_all(
	const struct bench_row **rows, struct bench_result *results, size_t count, bool json)
{
	struct lab_error err;
	struct lab_buf out;
	size_t done = 0;

	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	if (!json)
		bench_print_head(&out);
	for (size_t i = 0; i < count; i++) {
		if (!json)
			flush_out(&out);
		if (bench_measure(rows[i], &results[done], &err) < 0) {
			fprintf(stderr, "oboxlab: %s: %s\n", rows[i]->name, err.message);
			continue;
		}
		rows[done] = rows[i];
		if (!json)
			bench_print_row(rows[done], &results[done], &out);
		done++;
	}
	if (json)
		bench_print_json(rows, results, done, &out);
	flush_out(&out);
	lab_buf_done(&out);
	return done;
}

/* bench s3 --server ...: servers that run already. */
static int bench_servers(const struct options *o, struct lab_error *err)
{
	struct bench_row rows[BENCH_SERVERS_MAX * BENCH_SERVER_FIGURES];
	struct bench_result results[LAB_COUNT_OF(rows)];
	const struct bench_row *chosen[LAB_COUNT_OF(rows)];
	struct bench_server servers[BENCH_SERVERS_MAX];
	struct lab_arena *arena = lab_arena_new(cli_heap(), OUTPUT_MAX);
	size_t count = o->server_count * BENCH_SERVER_FIGURES;
	struct lab_buf out;

	if (o->server_count > BENCH_SERVERS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d servers", BENCH_SERVERS_MAX);
	for (size_t i = 0; i < o->server_count; i++) {
		if (bench_server_parse(o->servers[i], arena, &servers[i], err) < 0)
			return -1;
	}
	if (bench_servers_measure(servers, o->server_count, arena, rows, results, err) < 0)
		return -1;
	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	if (!o->json)
		bench_print_head(&out);
	for (size_t i = 0; i < count; i++) {
		chosen[i] = &rows[i];
		if (!o->json)
			bench_print_row(&rows[i], &results[i], &out);
	}
	if (o->json)
		bench_print_json(chosen, results, count, &out);
	flush_out(&out);
	lab_buf_done(&out);
	return 0;
}

static int cmd_bench_servers(const struct options *o)
{
	struct lab_error err;

	if (o->server_count == 0) {
		lab_fail(&err, LAB_INVALID, "bench s3 needs --server, once for each server");
		return cli_usage(&err);
	}
	if (bench_servers(o, &err) == 0)
		return CLI_PASS;
	if (err.code == LAB_DENIED)
		return cli_refused(&err);
	(void)cli_usage(&err);
	return err.code == LAB_INVALID || err.code == LAB_LIMIT ? CLI_USAGE : CLI_BROKEN;
}

static int cmd_bench(int argc, char **argv)
{
	const struct bench_row *rows[BENCH_ROWS_MAX + BENCH_CASSANDRA_ROWS];
	struct bench_result results[LAB_COUNT_OF(rows)];
	struct lab_error err;
	struct options o;
	size_t count;

	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0)
		return cli_usage(&err);
	if (o.server_count > 0 || (o.argument_count == 1 && strcmp(o.arguments[0], "s3") == 0))
		return cmd_bench_servers(&o);
	if (bench_select(o.arguments, o.argument_count, rows, &count, &err) < 0)
		return cli_usage(&err);
	if (o.cassandra != NULL && bench_cassandra_rows(o.cassandra, rows, &count, &err) < 0)
		return err.code == LAB_DENIED ? cli_refused(&err) : cli_usage(&err);
#ifndef __OPTIMIZE__
	fprintf(stderr, "oboxlab: not an optimised build: these numbers say little\n");
#endif
	return measure_all(rows, results, count, o.json) == count ? CLI_PASS : CLI_BROKEN;
}

const struct command command_bench = { .name = "bench",
	.arguments = "[NAME...] | s3 --server ...",
	.doc = "speed, beside the raw limits of this machine",
	.examples = "bench\n"
		    "bench sim --json\n"
		    "bench cql --cassandra 127.0.0.1:9042\n",
	.options = ALLOWED,
	.run = cmd_bench };
