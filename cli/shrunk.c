/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shrunk.h"

#include "core/conf/conf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIBER_STACK_BYTES (64 * 1024)
#define FIBERS_MAX 16384
#define RUNS_DEFAULT 3000
#define FILE_MAX (64u << 20)

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
	s->run.fibers = lab_fiber_pool_new(FIBER_STACK_BYTES, FIBERS_MAX, NULL);
	return shrink_run(&settings, &s->result, &s->verdict, err);
}

void shrunk_end(struct shrunk *s)
{
	lab_fiber_pool_free(&s->run.fibers);
	lab_pool_free(&s->run.pool);
	lab_arena_free(&s->arena);
}

/* ---- its files ---- */

static int write_file(const char *path, struct lab_view text, struct lab_error *err)
{
	FILE *file = fopen(path, "we");
	bool ok;

	if (file == NULL)
		return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	ok = fwrite(text.ptr, 1, text.len, file) == text.len;
	ok = fclose(file) == 0 && ok;
	return ok ? 0 : lab_fail(err, LAB_IO, "%s: cannot be written", path);
}

/* A file of another scenario may lie there. */
static int write_beside(const struct shrunk *s, const char *path, struct lab_view name,
	struct lab_view text, struct lab_error *err)
{
	struct lab_view beside = conf_resolve_path(s->arena, path, name), there;
	const char *to = lab_arena_cstr(s->arena, beside);

	if (access(to, F_OK) != 0)
		return write_file(to, text, err);
	if (cli_input(to, FILE_MAX, s->arena, &there, err) < 0)
		return -1;
	return lab_view_eq(there, text)
		       ? 0
		       : lab_fail(err, LAB_EXISTS,
				 "%s is there already, and not what this scenario needs", to);
}

static int write_dicts(const struct shrunk *s, const struct conf_settings *conf, const char *path,
	struct lab_error *err)
{
	for (size_t i = 0; i < conf->dict_count; i++) {
		struct lab_view from = conf->dicts[i].path, text;

		if (cli_input(lab_arena_cstr(s->arena, from), FILE_MAX, s->arena, &text, err) < 0 ||
			write_beside(s, path, scenario_file_name(from), text, err) < 0)
			return -1;
	}
	return 0;
}

static int write_before(const struct shrunk *s, const char *path, struct lab_error *err)
{
	const struct scenario *scenario = s->result.scenario;
	struct lab_buf text;
	int result;

	if (scenario->migrated_from.len == 0)
		return 0;
	lab_buf_init(&text, cli_heap(), FILE_MAX);
	result = scenario_print_settings(scenario->settings_before, &text, err);
	if (result == 0)
		result = write_beside(s, path, scenario_file_name(scenario->migrated_from),
			lab_buf_view(&text), err);
	lab_buf_done(&text);
	return result;
}

static int write_scripts(const struct shrunk *s, const char *path, struct lab_error *err)
{
	const struct scenario *scenario = s->result.scenario;

	for (size_t i = 0; i < scenario->script_count; i++) {
		const struct scenario_script *script = &scenario->scripts[i];

		if (write_beside(s, path, scenario_file_name(script->file), script->text, err) < 0)
			return -1;
	}
	return 0;
}

int shrunk_write(const struct shrunk *s, const char *path, struct lab_error *err)
{
	struct lab_buf text;
	int result;

	lab_buf_init(&text, cli_heap(), FILE_MAX);
	lab_buf_printf(&text,
		"# What is left of seed %" PRIu64 " of %s\n# by oboxlab shrink. It fails: %s\n",
		s->run.seed, s->run.scenario->path, s->result.signature);
	result = scenario_print(s->result.scenario, &text, err);
	if (result == 0 && text.overflow)
		result = lab_fail(err, LAB_LIMIT, "the scenario is too long");
	if (result == 0)
		result = write_dicts(s, &s->run.scenario->conf, path, err);
	if (result == 0)
		result = write_before(s, path, err);
	if (result == 0)
		result = write_scripts(s, path, err);
	if (result == 0)
		result = write_file(path, lab_buf_view(&text), err);
	lab_buf_done(&text);
	return result;
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
