/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-defects.c - oboxlab defects: the known mistakes, and how many seeds find each.
 */
#include "cli/options.h"

#include "scenarios/campaign/hunt.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS_DEFAULT 1000
#define SEED_TIMEOUT_S 300
#define ALLOWED \
	(OPTION_SEEDS | OPTION_WORKERS | OPTION_SET | OPTION_CONF | OPTION_MBOX | OPTION_JSON | \
		OPTION_QUIET | OPTION_HUNT)

/* Those with a storm in them, and those for sweeps; not the slow ones, nor those without chance.
 * How users are routed is a matter of those behind proxies only. */
static const char *const scenarios_default[] = { "scenarios/0*.scn", "scenarios/1[0-2]*.scn" };
#define ROUTING_FOLDER "palomar/"
static const char scenarios_routing[] = "scenarios/" ROUTING_FOLDER "*.scn";

struct hunting {
	struct options options;
	struct lab_arena *arena;
	struct hunt_settings settings;
	const struct scenario *scenarios[HUNT_SCENARIOS_MAX];
	struct hunt_result results[LAB_DEFECT_COUNT];
	size_t count;
	size_t routing_first, routing_count; /* of the scenarios; 0: all are for all */
};

/* ---- list ---- */

void cli_list_defects(void)
{
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++) {
		const struct lab_defect_info *info = lab_defect_info((enum lab_defect)i);

		printf("  %-30s %-14s %s\n", info->name, info->source, info->doc);
	}
}

/* ---- hunt ---- */

static int add_scenario(struct hunting *h, const char *path, struct lab_error *err)
{
	size_t *count = &h->settings.scenario_count;

	if (*count == HUNT_SCENARIOS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d scenarios", HUNT_SCENARIOS_MAX);
	if (cli_scenario(&h->options, path, h->arena, &h->scenarios[*count], err) < 0)
		return -1;
	(*count)++;
	return 0;
}

static int add_scenarios(struct hunting *h, const char *pattern, struct lab_error *err)
{
	glob_t found = { 0 };
	int result = 0;

	if (glob(pattern, 0, NULL, &found) != 0)
		result = lab_fail(err, LAB_INVALID, "--scenarios: nothing is named %s", pattern);
	for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
		const char *path = lab_arena_printf(h->arena, "%s", found.gl_pathv[i]);

		result = add_scenario(h, path, err);
	}
	globfree(&found);
	return result;
}

/* Behind the others. */
static int add_routing(struct hunting *h, struct lab_error *err)
{
	h->routing_first = h->settings.scenario_count;
	if (add_scenarios(h, scenarios_routing, err) < 0)
		return -1;
	h->routing_count = h->settings.scenario_count - h->routing_first;
	return 0;
}

static int add_defect(struct hunting *h, const char *name, struct lab_error *err)
{
	enum lab_defect defect;

	if (!lab_defect_find(name, &defect))
		return lab_fail(err, LAB_INVALID,
			"there is no defect \"%s\" (see oboxlab defects list)", name);
	for (size_t i = 0; i < h->count; i++) {
		if (h->results[i].defect == defect)
			return 0;
	}
	h->results[h->count++].defect = defect;
	return 0;
}

/* Words are defects, unless they are files: what a shell makes of a pattern. */
static int read_words(struct hunting *h, struct lab_error *err)
{
	const struct options *o = &h->options;
	bool uses_default;

	for (size_t i = 1; i < o->argument_count; i++) {
		const char *word = o->arguments[i];
		bool is_file = lab_view_ends_with(lab_view_cstr(word), LAB_VIEW(".scn"));

		if ((is_file ? add_scenario(h, word, err) : add_defect(h, word, err)) < 0)
			return -1;
	}
	for (size_t i = 0; i < o->scenario_count; i++) {
		if (add_scenarios(h, o->scenarios[i], err) < 0)
			return -1;
	}
	for (unsigned i = 0; h->count == i && i < LAB_DEFECT_COUNT; i++)
		h->results[h->count++].defect = (enum lab_defect)i;
	uses_default = h->settings.scenario_count == 0 && !o->is_soon;
	for (size_t i = 0; i < LAB_COUNT_OF(scenarios_default) && uses_default; i++) {
		if (add_scenarios(h, scenarios_default[i], err) < 0)
			return -1;
	}
	return uses_default ? add_routing(h, err) : 0;
}

static int prepare(struct hunting *h, struct lab_error *err)
{
	const struct options *o = &h->options;
	struct mail_source *mails;

	if (read_words(h, err) < 0 || cli_mails(o, h->arena, &mails, err) < 0)
		return -1;
	h->settings.scenarios = h->scenarios;
	h->settings.mails = mails;
	h->settings.arguments = options_repeat(o, h->arena);
	h->settings.seeds = o->has_seeds ? o->last_seed : SEEDS_DEFAULT;
	h->settings.workers = o->workers != 0 ? o->workers : cli_cores();
	h->settings.seed_timeout_s = SEED_TIMEOUT_S;
	h->settings.is_confined = true;
	if (h->settings.seeds == 0)
		return lab_fail(err, LAB_INVALID, "--seeds: 0 seeds find nothing");
	return 0;
}

static void print_buf(struct lab_buf *out)
{
	fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
	lab_buf_reset(out);
}

/* The default campaign of the defect; with --soon the one scenario that the table names. */
static int use_own_scenarios(struct hunting *h, enum lab_defect defect, struct lab_error *err)
{
	const char *first = lab_defect_info(defect)->first;
	const char *path = lab_arena_printf(h->arena, "scenarios/%s.scn", first);
	bool is_routing = lab_view_starts_with(lab_view_cstr(first), LAB_VIEW(ROUTING_FOLDER));

	if (h->routing_count > 0) {
		h->settings.scenarios = h->scenarios + (is_routing ? h->routing_first : 0);
		h->settings.scenario_count = is_routing ? h->routing_count : h->routing_first;
	}
	if (!h->options.is_soon)
		return 0;
	h->settings.scenario_count = 0;
	return add_scenario(h, path, err);
}

static int hunt_all(struct hunting *h, struct lab_buf *out, struct lab_error *err)
{
	if (!h->options.json)
		hunt_print_head(out);
	for (size_t i = 0; i < h->count; i++) {
		struct hunt_result *result = &h->results[i];

		if (use_own_scenarios(h, result->defect, err) < 0 ||
			hunt_one(&h->settings, result->defect, result, err) < 0)
			return -1;
		if (h->options.json)
			continue;
		hunt_print(result, out);
		print_buf(out);
	}
	if (h->options.json)
		hunt_print_json(h->results, h->count, cli_heap(), out);
	else
		hunt_print_sum(h->results, h->count, cli_heap(), out);
	print_buf(out);
	return 0;
}

static bool all_found(const struct hunting *h)
{
	for (size_t i = 0; i < h->count; i++) {
		if (!h->results[i].found)
			return false;
	}
	return true;
}

static int hunt(struct hunting *h)
{
	struct lab_error err;
	struct lab_buf out;
	int status;

	if (prepare(h, &err) < 0)
		return cli_usage(&err);
	lab_buf_init(&out, cli_heap(), 16u * 1024 * 1024);
	status = hunt_all(h, &out, &err) < 0 ? cli_usage(&err) : all_found(h) ? CLI_PASS : CLI_FAIL;
	lab_buf_done(&out);
	return status;
}

static int cmd_defects(int argc, char **argv)
{
	struct hunting *h = calloc(1, sizeof(*h));
	const char *verb;
	struct lab_error err;
	int status = CLI_PASS;

	lab_assert(h != NULL);
	h->arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	if (options_parse(argc, argv, ALLOWED, &h->options, &err) < 0)
		return cli_usage(&err);
	verb = h->options.argument_count == 0 ? "" : h->options.arguments[0];
	if (strcmp(verb, "hunt") == 0) {
		status = hunt(h);
	} else if (strcmp(verb, "list") == 0 && h->options.argument_count == 1) {
		cli_list_defects();
	} else {
		lab_fail(&err, LAB_INVALID, "defects needs one of list, hunt");
		status = cli_usage(&err);
	}
	free(h);
	return status;
}

const struct command command_defects = { .name = "defects",
	.arguments = "list | hunt [NAME...]",
	.doc = "how many seeds find each known mistake",
	.examples = "defects list\n"
		    "defects hunt ack-before-put --soon\n",
	.options = ALLOWED,
	.run = cmd_defects };
