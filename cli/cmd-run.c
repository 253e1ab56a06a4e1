/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-run.c - oboxlab run and oboxlab replay: one seed.
 */
#include "cli/shrunk.h"

#include "scenarios/campaign/campaign.h"
#include "scenarios/format/inject.h"
#include "scenarios/live/live-run.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_OPTIONS \
	(OPTION_SEED | OPTION_DEFECT | OPTION_SET | OPTION_CONF | OPTION_MBOX | OPTION_WORLD | \
		OPTION_JSON | OPTION_HISTORY | OPTION_S3 | OPTION_CQL | OPTION_INJECT)
#define REPLAY_OPTIONS \
	(OPTION_UNTIL | OPTION_QUIET | OPTION_DEFECT | OPTION_SET | OPTION_CONF | OPTION_MBOX | \
		OPTION_JSON | OPTION_INJECT)

struct single {
	struct options options;
	struct fault_episode episodes[OPTIONS_FAULTS_MAX];
	struct run_options run;
	struct oracle_times times;
	struct lab_arena *arena;
	struct run_result *result;
};

int cli_injects(const struct options *o, struct fault_episode episodes[OPTIONS_FAULTS_MAX],
	struct lab_error *err)
{
	for (size_t i = 0; i < o->inject_count; i++) {
		if (inject_parse(lab_view_cstr(o->injects[i]), &episodes[i], err) < 0)
			return lab_error_wrap(err, "--inject");
		if (episodes[i].after != 0 && i == 0)
			return lab_fail(err, LAB_INVALID,
				"--inject: \"%s\" comes after another one, but is the first",
				o->injects[i]);
		if (episodes[i].after != 0)
			episodes[i].after = (uint32_t)i;
	}
	return 0;
}

static uint64_t machine_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * LAB_SEC + (uint64_t)now.tv_nsec;
}

static int read_injects(struct single *s, struct lab_error *err)
{
	const struct options *o = &s->options;

	if (cli_injects(o, s->episodes, err) < 0)
		return -1;
	if (o->inject_count > 0 && o->is_live)
		return lab_fail(err, LAB_INVALID, "--inject is for the simulated world");
	s->run.episodes = s->episodes;
	s->run.episode_count = o->inject_count;
	return 0;
}

static int prepare(struct single *s, const char *path, struct lab_error *err)
{
	struct mail_source *mails;

	if (read_injects(s, err) < 0 ||
		cli_scenario(&s->options, path, s->arena, &s->run.scenario, err) < 0 ||
		cli_mails(&s->options, s->arena, &mails, err) < 0)
		return -1;
	s->run.mails = mails;
	if (!s->options.has_seed && s->run.scenario->seed != 0)
		s->options.seed = s->run.scenario->seed;
	s->run.seed = s->options.seed;
	s->times.clock_ns = machine_ns;
	s->run.times = s->options.profile_checks ? &s->times : NULL;
	s->run.defects = s->options.defects;
	s->run.arguments = options_repeat(&s->options, s->arena);
	s->run.pool = cli_pool();
	s->run.fibers = run_fibers_new(s->run.scenario);
	s->result = calloc(1, sizeof(*s->result));
	lab_assert(s->result != NULL);
	return 0;
}

static void finish(struct single *s)
{
	lab_fiber_pool_free(&s->run.fibers);
	lab_pool_free(&s->run.pool);
	free(s->result);
}

/* One run is a campaign of one: the same summary, the same JSON. */
static int summarise(const struct single *s, uint64_t wall_ns)
{
	struct campaign_result *campaign = calloc(1, sizeof(*campaign));
	const struct run_result *r = s->result;
	struct lab_buf out;
	int status;

	lab_assert(campaign != NULL);
	campaign->seeds = 1;
	campaign->workers = 1;
	campaign->wall_ns = wall_ns;
	campaign->passed = r->verdict == RUN_PASS;
	campaign->failed = r->verdict == RUN_FAIL;
	campaign->broken = r->verdict == RUN_BROKEN;
	campaign->inconclusive = r->verdict == RUN_INCONCLUSIVE;
	campaign->excused = r->excused;
	campaign->total = *r;
	if (r->verdict != RUN_PASS) {
		campaign->signature_count = campaign->signatures[0].count = 1;
		campaign->signatures[0].first_seed = r->seed;
		memcpy(campaign->signatures[0].text, r->signature, sizeof(r->signature));
		memcpy(campaign->signatures[0].report, r->report, sizeof(r->report));
	}
	lab_buf_init(&out, cli_heap(), 64u * 1024 * 1024);
	if (s->options.json)
		campaign_print_json(campaign, s->run.scenario->path, &out);
	else
		campaign_print(campaign, s->run.scenario->path, &out);
	fwrite(out.data, 1, out.len, stdout);
	lab_buf_done(&out);
	status = campaign_exit_status(campaign);
	free(campaign);
	return status;
}

static void print_times(const struct oracle_times *times, uint64_t wall_ns)
{
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), 65536);
	oracle_times_print(times, wall_ns, &out);
	fwrite(out.data, 1, out.len, stderr);
	lab_buf_done(&out);
}

static int run_timed(const struct run_options *options, struct run_result *ret,
	uint64_t *ret_wall_ns, struct lab_error *err)
{
	uint64_t before_ns = machine_ns();
	int result = run_simulated(options, ret, err);

	*ret_wall_ns = machine_ns() - before_ns;
	if (result == 0 && options->times != NULL)
		print_times(options->times, *ret_wall_ns);
	return result;
}

/* `path` may be NULL: it was not asked for. */
static int write_history(const char *path, const struct lab_buf *text, struct lab_error *err)
{
	FILE *file = path == NULL ? NULL : fopen(path, "we");
	bool ok;

	if (path == NULL)
		return 0;
	if (file == NULL)
		return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	ok = fwrite(text->data, 1, text->len, file) == text->len;
	ok = fclose(file) == 0 && ok;
	return ok ? 0 : lab_fail(err, LAB_IO, "%s: cannot be written", path);
}

static int not_run(const struct lab_error *err)
{
	(void)cli_usage(err);
	switch ((int)err->code) {
	case LAB_DENIED:
		return CLI_REFUSED;
	case LAB_REFUSED:
	case LAB_TIMEOUT:
	case LAB_UNAVAILABLE:
	case LAB_UNCERTAIN:
		return CLI_UNREACHABLE;
	default:
		return CLI_USAGE;
	}
}

static int check_arguments(const struct options *o, struct lab_error *err)
{
	if (o->argument_count != 1)
		return lab_fail(err, LAB_INVALID, "run needs one scenario");
	if ((o->s3 != NULL || o->cql != NULL) && !o->is_live)
		return lab_fail(err, LAB_INVALID,
			"%s is a server on a socket: it needs --world live",
			o->s3 != NULL ? "--s3" : "--cql");
	if (o->profile_checks && o->is_live)
		return lab_fail(err, LAB_INVALID, "--profile-checks is for the simulated world");
	return 0;
}

static int cmd_run(int argc, char **argv)
{
	struct single s = { .arena = lab_arena_new(cli_heap(), SIZE_MAX / 8) };
	struct lab_error err;
	uint64_t wall_ns = 0;
	struct lab_buf history, elle;
	int status;

	if (options_parse(argc, argv, RUN_OPTIONS, &s.options, &err) < 0 ||
		check_arguments(&s.options, &err) < 0)
		return cli_usage(&err);
	if (prepare(&s, s.options.arguments[0], &err) < 0)
		return cli_usage(&err);
	lab_buf_init(&history, cli_heap(), 1024u * 1024 * 1024);
	lab_buf_init(&elle, cli_heap(), 1024u * 1024 * 1024);
	if (s.options.history != NULL)
		s.run.canonical = &history;
	if (s.options.history_elle != NULL)
		s.run.elle = &elle;
	status = (s.options.is_live ? run_live : run_timed)(&s.run, s.result, &wall_ns, &err);
	if (status < 0)
		return not_run(&err);
	status = summarise(&s, wall_ns);
	if (s.result->is_left && status == CLI_PASS)
		status = CLI_LEFT;
	if (write_history(s.options.history, &history, &err) < 0 ||
		write_history(s.options.history_elle, &elle, &err) < 0)
		status = cli_usage(&err);
	lab_buf_done(&history);
	lab_buf_done(&elle);
	finish(&s);
	return status;
}

const struct command command_run = { .name = "run",
	.arguments = "SCN",
	.doc = "one run, with its report",
	.examples = "run scenarios/001-standard-storm.scn --seed 4711\n"
		    "run scenarios/001-standard-storm.scn --world live\n",
	.options = RUN_OPTIONS,
	.run = cmd_run };

/* ---- replay ---- */

static void print_event(void *ctx, const struct lab_event *event, const char *host)
{
	struct lab_buf *line = ctx;

	lab_buf_reset(line);
	lab_event_format(line, event, host);
	printf("#%-8" PRIu64 " %s\n", event->sequence, lab_buf_cstr(line));
}

static int replay_arguments(struct single *s, const char **ret_path, struct lab_error *err)
{
	struct options *o = &s->options;

	if (o->argument_count != 2)
		return lab_fail(err, LAB_INVALID, "replay needs a seed and a scenario");
	if (lab_view_to_u64(lab_view_cstr(o->arguments[0]), &o->seed) < 0)
		return lab_fail(err, LAB_INVALID, "\"%s\" is not a seed", o->arguments[0]);
	o->has_seed = true;
	*ret_path = o->arguments[1];
	return 0;
}

static int cmd_replay(int argc, char **argv)
{
	struct single s = { .arena = lab_arena_new(cli_heap(), SIZE_MAX / 8) };
	struct lab_error err;
	struct lab_buf line;
	const char *path = NULL;
	int status;

	if (options_parse(argc, argv, REPLAY_OPTIONS, &s.options, &err) < 0 ||
		replay_arguments(&s, &path, &err) < 0 || prepare(&s, path, &err) < 0)
		return cli_usage(&err);
	lab_buf_init(&line, cli_heap(), 1024u * 1024);
	if (!s.options.quiet && !s.options.json) {
		s.run.on_event = print_event;
		s.run.on_event_ctx = &line;
	}
	s.run.until_ns = s.options.until_ns;
	s.run.until_event = s.options.until_event;
	if (run_simulated(&s.run, s.result, &err) < 0)
		return cli_usage(&err);
	printf("%strace hash %016" PRIx64 ", %" PRIu64 " events, verdict %s\n", s.result->report,
		s.result->trace_hash, s.result->events, run_verdict_name(s.result->verdict));
	status = s.result->verdict == RUN_PASS     ? CLI_PASS
		 : s.result->verdict == RUN_FAIL   ? CLI_FAIL
		 : s.result->verdict == RUN_BROKEN ? CLI_BROKEN
						   : CLI_INCONCLUSIVE;
	lab_buf_done(&line);
	finish(&s);
	return status;
}

const struct command command_replay = { .name = "replay",
	.arguments = "SEED SCN",
	.doc = "one run again, event by event",
	.examples = "replay 4711 scenarios/001-standard-storm.scn --until 90s\n",
	.options = REPLAY_OPTIONS,
	.run = cmd_replay };
