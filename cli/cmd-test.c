/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-test.c - oboxlab test: many seeds of one or more scenarios.
 */
#include "cli/explore.h"
#include "cli/shrunk.h"

#include "scenarios/campaign/campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEED_TIMEOUT_S 300
#define ALLOWED \
	(OPTION_SEEDS | OPTION_TIME | OPTION_WORKERS | OPTION_DEFECT | OPTION_SET | OPTION_CONF | \
		OPTION_MBOX | OPTION_JSON | OPTION_FIRST | OPTION_QUIET | OPTION_GUARD | \
		OPTION_SHRINK | OPTION_OUTPUT | OPTION_INJECT)

/* The tests of one command. */
struct tests {
	const struct options *options;
	const char *scenario;
	struct fault_episode episodes[OPTIONS_FAULTS_MAX];
	uint64_t seeds;
	bool is_terminal;
	uint64_t printed_ns;
};

static void inject(void *ctx, uint64_t number, struct run_options *run)
{
	const struct tests *tests = ctx;

	(void)number;
	run->episodes = tests->episodes;
	run->episode_count = tests->options->inject_count;
}

static void on_progress(void *ctx, uint64_t done, uint64_t findings, uint64_t wall_ns)
{
	struct tests *p = ctx;
	uint64_t tenths = done * 10 * LAB_SEC / LAB_MAX(wall_ns, 1);

	if (p->options->quiet || (!p->is_terminal && wall_ns - p->printed_ns < 10 * LAB_SEC))
		return;
	p->printed_ns = wall_ns;
	fprintf(stderr,
		"%s%s: %" PRIu64 "/%" PRIu64 " seeds, %" PRIu64 ".%" PRIu64 " seeds/s, %" PRIu64
		" findings%s",
		p->is_terminal ? "\r" : "", p->scenario, done, p->seeds, tenths / 10, tenths % 10,
		findings, p->is_terminal ? "   " : "\n");
}

static void show(struct lab_buf *out)
{
	fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
	lab_buf_done(out);
}

static void print(const struct options *o, const struct campaign_result *result, const char *path)
{
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), 64u * 1024 * 1024);
	if (o->json)
		campaign_print_json(result, path, &out);
	else
		campaign_print(result, path, &out);
	show(&out);
}

static void print_total(const struct campaign_total *total)
{
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), 64u * 1024 * 1024);
	campaign_total_print(total, &out);
	show(&out);
}

unsigned cli_cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > CAMPAIGN_WORKERS_MAX ? CAMPAIGN_WORKERS_MAX : (unsigned)n;
}

/* A scenario that is about one seed is tested with that one. */
static void use_own_seed(struct options *o, const struct scenario *scenario)
{
	if (scenario->seed != 0 && !o->has_seeds && o->time_limit_ns == 0)
		o->first_seed = o->last_seed = scenario->seed;
}

/* Exit status; -1 if it could not be tested. */
static int test_one(const struct options *o, const struct scenario *scenario,
	const struct mail_source *mails, const char *repeat, struct campaign_total *total,
	struct lab_error *err)
{
	struct tests tests = { .options = o,
		.scenario = scenario->path,
		.seeds = o->last_seed - o->first_seed + 1,
		.is_terminal = isatty(STDERR_FILENO) == 1 };
	struct campaign_settings settings = { .scenario = scenario,
		.mails = mails,
		.defects = o->defects,
		.arguments = repeat,
		.first_seed = o->first_seed,
		.last_seed = o->last_seed,
		.workers = o->workers != 0 ? o->workers : cli_cores(),
		.seed_timeout_s = SEED_TIMEOUT_S,
		.time_limit_ns = o->time_limit_ns,
		.guard = o->guard,
		.is_confined = true,
		.stop_at_first = o->stop_at_first,
		/* What is injected everywhere keeps runs from what they are meant to reach. */
		.prepare = o->inject_count > 0 ? inject : NULL,
		.on_progress = on_progress,
		.ctx = &tests };
	struct campaign_result *result = calloc(1, sizeof(*result));
	struct explore_result explored;
	int status;

	lab_assert(result != NULL);
	status = cli_injects(o, tests.episodes, err);
	if (status == 0)
		status = o->is_exploring ? cli_explore(o, &settings, result, &explored, err)
					 : campaign_run(&settings, result, err);
	if (tests.is_terminal && !o->quiet)
		fprintf(stderr, "\n");
	if (status == 0) {
		print(o, result, scenario->path);
		campaign_total_add(total, result, scenario->path);
		status = campaign_exit_status(result);
	}
	free(result);
	return status;
}

/* One after the other, and what all of them say together; with --first no more after one that does
 * not pass. */
static int test_all(const struct options *o, const struct scenario *const *scenarios,
	const struct mail_source *mails, const char *repeat)
{
	struct campaign_total *total = calloc(1, sizeof(*total));
	struct lab_error err;
	int status = CLI_PASS;

	lab_assert(total != NULL);
	lab_buf_init(&total->not_passed, cli_heap(), 1024u * 1024);
	for (size_t i = 0; i < o->argument_count && status >= 0; i++) {
		struct options own = *o;

		use_own_seed(&own, scenarios[i]);
		status = test_one(&own, scenarios[i], mails, repeat, total, &err);
		if (status != CLI_PASS && o->stop_at_first)
			break;
	}
	if (status >= 0 && total->scenarios > 1 && !o->json)
		print_total(total);
	status = status < 0 ? cli_usage(&err) : total->status;
	lab_buf_done(&total->not_passed);
	free(total);
	return status;
}

static int cmd_test(int argc, char **argv)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	const struct scenario *scenarios[OPTIONS_SCENARIOS_MAX];
	struct mail_source *mails;
	struct lab_error err;
	struct options o;

	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0)
		return cli_usage(&err);
	if (o.argument_count == 0) {
		lab_fail(&err, LAB_INVALID, "test needs a scenario");
		return cli_usage(&err);
	}
	if (!o.is_exploring ? o.runs != 0 || o.output != NULL : o.time_limit_ns != 0) {
		lab_fail(&err, LAB_INVALID,
			"--runs and -o are for --explore, whose runs are counted, and -t is not");
		return cli_usage(&err);
	}
	if (o.is_exploring && o.inject_count > 0) {
		lab_fail(&err, LAB_INVALID, "--inject is not for --explore, which changes faults");
		return cli_usage(&err);
	}
	if (o.time_limit_ns != 0)
		o.last_seed = LAB_MAX(o.last_seed, o.first_seed + 10000000);
	/* All of them are checked before any of them runs. */
	for (size_t i = 0; i < o.argument_count; i++) {
		if (cli_scenario(&o, o.arguments[i], arena, &scenarios[i], &err) < 0)
			return cli_usage(&err);
	}
	if (cli_mails(&o, arena, &mails, &err) < 0)
		return cli_usage(&err);
	return test_all(&o, scenarios, mails, options_repeat(&o, arena));
}

const struct command command_test = { .name = "test",
	.arguments = "SCN...",
	.doc = "many seeds on all cores, and a verdict",
	.examples = "test scenarios/001-standard-storm.scn --seeds 1..1000\n"
		    "test scenarios/001-standard-storm.scn --conf /etc/dovecot/dovecot.conf\n"
		    "test scenarios/001-standard-storm.scn --set user.count=200 --set "
		    "'fault.rate=1/2'\n"
		    "test scenarios/001-standard-storm.scn --inject 's3.put:slow_down:7+2s'\n",
	.options = ALLOWED,
	.run = cmd_test };
