/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-trace.c - oboxlab trace: one run as a file for ui.perfetto.dev.
 */
#include "cli/options.h"

#include "scenarios/failure/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ALLOWED \
	(OPTION_DEFECT | OPTION_SET | OPTION_CONF | OPTION_MBOX | OPTION_UNTIL | OPTION_OUTPUT | \
		OPTION_QUIET)

static int write_line(void *ctx, struct lab_view line, struct lab_error *err)
{
	FILE *file = ctx;

	if (fwrite(line.ptr, 1, line.len, file) == line.len)
		return 0;
	return lab_fail(err, LAB_IO, "the trace cannot be written: errno %d", errno);
}

static int trace_run(const struct options *o, struct run_options *run, struct run_result *result,
	FILE *file, struct lab_error *err)
{
	struct trace *trace = trace_new(cli_heap(), write_line, file);
	int status;

	run->seed = o->seed;
	run->defects = o->defects;
	run->until_ns = o->until_ns;
	run->until_event = o->until_event;
	run->pool = cli_pool();
	run->fibers = run_fibers_new(run->scenario);
	trace_attach(trace, run);
	status = run_simulated(run, result, err);
	lab_fiber_pool_free(&run->fibers);
	lab_pool_free(&run->pool);
	if (status == 0)
		status = trace_finish(trace, err);
	trace_free(&trace);
	return status;
}

static int arguments(struct options *o, struct lab_error *err)
{
	if (o->argument_count != 2)
		return lab_fail(err, LAB_INVALID, "trace needs a seed and a scenario");
	if (lab_view_to_u64(lab_view_cstr(o->arguments[0]), &o->seed) < 0)
		return lab_fail(err, LAB_INVALID, "\"%s\" is not a seed", o->arguments[0]);
	if (o->output == NULL)
		return lab_fail(err, LAB_INVALID, "trace needs a file to write to: -o FILE");
	return 0;
}

static int to_file(const struct options *o, struct run_options *run, struct lab_error *err)
{
	struct run_result *result = calloc(1, sizeof(*result));
	FILE *file = fopen(o->output, "we");
	int status;

	lab_assert(result != NULL);
	if (file == NULL) {
		free(result);
		return lab_fail(err, LAB_IO, "%s: cannot be written: errno %d", o->output, errno);
	}
	status = trace_run(o, run, result, file, err);
	if (fclose(file) != 0 && status == 0)
		status = lab_fail(err, LAB_IO, "%s: cannot be written: errno %d", o->output, errno);
	if (status == 0 && !o->quiet)
		printf("%s: seed %" PRIu64 ", %" PRIu64 " events, %" PRIu64
		       " storage requests, verdict %s; open it in ui.perfetto.dev\n",
			o->output, o->seed, result->events, result->storage_requests,
			run_verdict_name(result->verdict));
	free(result);
	return status;
}

static int cmd_trace(int argc, char **argv)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	struct run_options run = { .scenario = NULL };
	struct mail_source *mails;
	struct lab_error err;
	struct options o;

	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0 || arguments(&o, &err) < 0 ||
		cli_scenario(&o, o.arguments[1], arena, &run.scenario, &err) < 0 ||
		cli_mails(&o, arena, &mails, &err) < 0)
		return cli_usage(&err);
	run.mails = mails;
	return to_file(&o, &run, &err) < 0 ? cli_usage(&err) : CLI_PASS;
}

const struct command command_trace = { .name = "trace",
	.arguments = "SEED SCN -o FILE.json",
	.doc = "one run for ui.perfetto.dev, on its own time line",
	.examples = "trace 4711 scenarios/001-standard-storm.scn -o t.json\n",
	.options = ALLOWED,
	.run = cmd_trace };
