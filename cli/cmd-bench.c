/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-bench.c - oboxlab bench: how fast this build is on this machine, beside the raw limits. A
 * missed budget is marked, and is not a failure.
 */
#include "cli/options.h"

#include "scenarios/bench/bench.h"

#include <stdio.h>

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

int cmd_bench(int argc, char **argv)
{
	const struct bench_row *rows[BENCH_ROWS_MAX];
	struct bench_result results[BENCH_ROWS_MAX];
	struct lab_error err;
	struct options o;
	size_t count;

	if (options_parse(argc, argv, OPTION_JSON, &o, &err) < 0 ||
		bench_select(o.arguments, o.argument_count, rows, &count, &err) < 0)
		return cli_usage(&err);
#ifndef __OPTIMIZE__
	fprintf(stderr, "oboxlab: not an optimised build: these numbers say little\n");
#endif
	return measure_all(rows, results, count, o.json) == count ? CLI_PASS : CLI_BROKEN;
}
