/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shrunk.h"

#include "cli/scenario-file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RUNS_DEFAULT 3000

/* ---- what is shrunk ---- */

/* SEED SCN, or a scenario that has a seed of its own. */
static int read_arguments(struct shrunk *s, const char **ret_path, struct lab_error *err)
{
	const struct options *o = &s->options;

	if (o->argument_count == 1) {
		*ret_path = o->arguments[0];
		return 0;
	}
	if (o->argument_count != 2)
		return lab_fail(err, LAB_INVALID,
			"this needs a seed and a scenario, or a scenario that has a seed");
	if (lab_view_to_u64(lab_view_cstr(o->arguments[0]), &s->run.seed) < 0)
		return lab_fail(err, LAB_INVALID, "\"%s\" is not a seed", o->arguments[0]);
	*ret_path = o->arguments[1];
	return 0;
}

static int load(struct shrunk *s, struct lab_error *err)
{
	const char *path = NULL;

	if (read_arguments(s, &path, err) < 0 || cli_injects(&s->options, s->episodes, err) < 0 ||
		cli_scenario(&s->options, path, s->arena, &s->run.scenario, err) < 0)
		return -1;
	if (s->options.argument_count == 1)
		s->run.seed = s->run.scenario->seed;
	if (s->run.seed == 0)
		return lab_fail(err, LAB_INVALID, "%s has no seed of its own: say one", path);
	s->run.episodes = s->episodes;
	s->run.episode_count = s->options.inject_count;
	s->run.defects = s->options.defects;
	return 0;
}

static void on_progress(void *ctx, const char *part, uint64_t runs, size_t steps, size_t faults)
{
	const struct shrunk *s = ctx;

	if (!s->options.quiet)
		fprintf(stderr, "%5" PRIu64 " runs: %5zu operations, %4zu faults  (%s)\n", runs,
			steps, faults, part);
}

int shrunk_begin(struct shrunk *s, struct lab_error *err)
{
	struct shrink_settings settings = { .options = &s->run,
		.workers = s->options.workers != 0 ? s->options.workers : cli_cores(),
		.runs_max = s->options.runs != 0 ? s->options.runs : RUNS_DEFAULT,
		.time_limit_ns = s->options.time_limit_ns,
		.on_progress = on_progress,
		.ctx = s };

	s->arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	settings.arena = s->arena;
	if (load(s, err) < 0)
		return -1;
	s->run.pool = cli_pool();
	s->run.fibers = run_fibers_new(s->run.scenario);
	return shrink_run(&settings, &s->result, &s->verdict, err);
}

void shrunk_end(struct shrunk *s)
{
	lab_fiber_pool_free(&s->run.fibers);
	lab_pool_free(&s->run.pool);
	lab_arena_free(&s->arena);
}

/* ---- its files ---- */

int shrunk_write(const struct shrunk *s, const char *path, struct lab_error *err)
{
	struct scenario_file file = { .scenario = s->result.scenario,
		.from = s->run.scenario,
		.arena = s->arena,
		.about = lab_arena_printf(s->arena,
			"What is left of seed %" PRIu64 " of %s\n# by oboxlab shrink. It fails: %s",
			s->run.seed, s->run.scenario->path, s->result.signature) };

	return scenario_file_write(&file, path, err);
}

static int run_file(struct shrunk *s, const struct scenario *scenario, struct run_result *ret,
	struct lab_error *err)
{
	struct run_options o = s->run;

	o.scenario = scenario;
	o.defects = LAB_NO_DEFECTS;
	o.episode_count = 0;
	if (run_simulated(&o, ret, err) < 0)
		return -1;
	return ret->verdict == RUN_FAIL && strcmp(ret->signature, s->result.signature) == 0
		       ? 0
		       : lab_fail(err, LAB_INVALID, "%s: what was written does not fail so: %s %s",
				 scenario->path, run_verdict_name(ret->verdict), ret->signature);
}

int shrunk_verify(struct shrunk *s, const char *path, struct lab_error *err)
{
	static const struct options none;
	struct run_result *results = calloc(2, sizeof(*results));
	const struct scenario *scenario;
	int result;

	lab_assert(results != NULL);
	result = cli_scenario(&none, path, s->arena, &scenario, err);
	for (int i = 0; i < 2 && result == 0; i++)
		result = run_file(s, scenario, &results[i], err);
	if (result == 0 && results[0].trace_hash != results[1].trace_hash)
		result = lab_fail(err, LAB_INVALID, "%s: two runs have two traces", path);
	free(results);
	return result;
}
