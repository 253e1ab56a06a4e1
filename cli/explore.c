/* SPDX-License-Identifier: Apache-2.0
 *
 * explore.c - oboxlab test --explore: plans of runs that were kept or failed become files.
 */
#include "cli/explore.h"

#include "cli/scenario-file.h"
#include "scenarios/campaign/explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS_DEFAULT 1000
#define DIRECTORY_DEFAULT "explored"

struct exploring {
	const struct options *options;
	const struct scenario *base;
	const char *directory;
	bool has_directory;
	uint64_t runs;
};

/* Kept ones only if somebody has said where to. */
static int on_plan(
	void *ctx, enum explore_why why, const struct scenario *scenario, struct lab_error *err)
{
	struct exploring *e = ctx;
	struct lab_arena *arena;
	struct scenario_file file = { .scenario = scenario, .from = e->base };
	int result;

	if (why == EXPLORE_KEPT && e->options->output == NULL)
		return 0;
	if (!e->has_directory && mkdir(e->directory, 0777) < 0 && errno != EEXIST)
		return lab_fail(err, LAB_IO, "%s: cannot be made", e->directory);
	e->has_directory = true;
	arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	file.arena = arena;
	file.about = lab_arena_printf(arena, "A plan of %s that oboxlab test --explore %s.",
		e->base->path, why == EXPLORE_KEPT ? "kept" : "saw fail");
	result = scenario_file_write(&file, scenario->path, err);
	lab_arena_free(&arena);
	return result;
}

static void on_turn(void *ctx, uint64_t runs, uint64_t failed, uint64_t kept)
{
	const struct exploring *e = ctx;

	if (!e->options->quiet && (runs % 100 < EXPLORE_TURN || isatty(STDERR_FILENO) == 1))
		fprintf(stderr,
			"%s%" PRIu64 "/%" PRIu64 " runs, %" PRIu64 " findings, %" PRIu64
			" plans kept%s",
			isatty(STDERR_FILENO) == 1 ? "\r" : "", runs, e->runs, failed, kept,
			isatty(STDERR_FILENO) == 1 ? "   " : "\n");
}

int cli_explore(const struct options *o, const struct campaign_settings *campaign,
	struct campaign_result *ret, struct explore_result *explored, struct lab_error *err)
{
	struct exploring e = { .options = o,
		.base = campaign->scenario,
		.directory = o->output != NULL ? o->output : DIRECTORY_DEFAULT,
		.runs = o->runs != 0 ? o->runs : RUNS_DEFAULT };
	struct explore_settings settings = { .campaign = *campaign,
		.runs = e.runs,
		.directory = e.directory,
		.on_plan = on_plan,
		.on_turn = on_turn,
		.ctx = &e };

	return explore_run(&settings, ret, explored, err);
}
