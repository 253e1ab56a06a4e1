/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-sweep.c - oboxlab sweep: every request of one run fails in every way.
 */
#include "cli/options.h"

#include "scenarios/campaign/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CASE_TIMEOUT_S 300
#define ALLOWED \
	(OPTION_SEED | OPTION_FAULT | OPTION_WORKERS | OPTION_TIME | OPTION_DEFECT | OPTION_SET | \
		OPTION_CONF | OPTION_MBOX | OPTION_JSON | OPTION_FIRST | OPTION_QUIET)

static int prepare(const struct options *o, struct lab_arena *arena, struct sweep_settings *ret,
	struct lab_error *err)
{
	struct campaign_settings *c = &ret->campaign;
	struct mail_source *mails;

	if (o->argument_count != 1)
		return lab_fail(err, LAB_INVALID, "sweep needs one scenario");
	if (cli_scenario(o, o->arguments[0], arena, &c->scenario, err) < 0 ||
		cli_mails(o, arena, &mails, err) < 0)
		return -1;
	c->mails = mails;
	c->defects = o->defects;
	c->arguments = options_repeat(o, arena);
	c->first_seed = o->seed;
	c->workers = o->workers != 0 ? o->workers : cli_cores();
	c->seed_timeout_s = CASE_TIMEOUT_S;
	c->time_limit_ns = o->time_limit_ns;
	c->guard = OPTIONS_GUARD;
	c->is_confined = true;
	c->stop_at_first = o->stop_at_first;
	ret->then = o->then;
	for (size_t i = 0; i < o->pattern_count; i++)
		ret->patterns[ret->pattern_count++] = o->patterns[i];
	return 0;
}

static void print(const struct options *o, const struct sweep_result *result)
{
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), 64u * 1024 * 1024);
	if (o->json)
		sweep_print_json(result, o->arguments[0], &out);
	else
		sweep_print(result, o->arguments[0], &out);
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	lab_buf_done(&out);
}

static void on_progress(void *ctx, uint64_t done, uint64_t findings, uint64_t wall_ns)
{
	const struct options *o = ctx;

	if (!o->quiet && isatty(STDERR_FILENO) == 1)
		fprintf(stderr, "\r%" PRIu64 " cases, %" PRIu64 " findings, %" PRIu64 " s   ", done,
			findings, wall_ns / LAB_SEC);
}

static int cmd_sweep(int argc, char **argv)
{
	_Static_assert(OPTIONS_FAULTS_MAX <= SWEEP_PATTERNS_MAX, "every --fault has its place");
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	struct sweep_settings settings = { 0 };
	struct sweep_result *result = calloc(1, sizeof(*result));
	struct lab_error err;
	struct options o;
	int status;

	lab_assert(result != NULL);
	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0 ||
		prepare(&o, arena, &settings, &err) < 0)
		return cli_usage(&err);
	settings.campaign.on_progress = on_progress;
	settings.campaign.ctx = &o;
	if (sweep_run(&settings, cli_heap(), result, &err) < 0)
		return cli_usage(&err);
	print(&o, result);
	status = sweep_exit_status(result);
	free(result);
	return status;
}

const struct command command_sweep = { .name = "sweep",
	.arguments = "SCN",
	.doc = "every request of a run fails in every way",
	.examples = "sweep scenarios/051-sweep-mails.scn\n"
		    "sweep scenarios/051-sweep-mails.scn --fault 'cql.write:write_*' --then "
		    "overloaded\n",
	.options = ALLOWED,
	.run = cmd_sweep };
