/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - oboxlab: which command, and what all of them share. No logic.
 */
#include "cli/help.h"

#include "core/conf/conf.h"
#include "scenarios/format/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command *const commands[] = { &command_run, &command_test, &command_replay,
	&command_trace, &command_sweep, &command_shrink, &command_explain, &command_defects,
	&command_matrix, &command_check, &command_list, &command_serve, &command_fs,
	&command_metacache, &command_fscache, &command_obox, &command_fts, &command_cluster,
	&command_bench, &command_doctor };

struct lab_heap *cli_heap(void)
{
	static struct lab_heap *heap;

	if (heap == NULL)
		heap = lab_heap_new(lab_pool_new(SIZE_MAX / 4), SIZE_MAX / 4);
	return heap;
}

struct lab_pool *cli_pool(void)
{
	struct lab_pool *pool = lab_pool_new(SIZE_MAX / 4);
	const char *fill = getenv("OBOXLAB_HEAP_FILL");
	uint64_t byte;

	if (fill != NULL && lab_view_to_u64(lab_view_cstr(fill), &byte) == 0 && byte <= UINT8_MAX)
		lab_pool_set_fill(pool, (uint8_t)byte);
	return pool;
}

int cli_usage(const struct lab_error *err)
{
	fprintf(stderr, "oboxlab: %s\n", err->message);
	return CLI_USAGE;
}

int cli_refused(const struct lab_error *err)
{
	(void)cli_usage(err);
	return CLI_REFUSED;
}

void cli_problems(const struct conf_problems *problems)
{
	struct lab_buf line;

	lab_buf_init(&line, cli_heap(), 65536);
	for (size_t i = 0; i < problems->count; i++) {
		lab_buf_reset(&line);
		conf_problem_print(&problems->items[i], &line);
		fprintf(stderr, "%s\n", lab_buf_cstr(&line));
	}
	lab_buf_done(&line);
}

int cli_scenario(const struct options *options, const char *path, struct lab_arena *arena,
	const struct scenario **ret, struct lab_error *err)
{
	struct scenario_overrides overrides = { .sets = options->sets,
		.set_count = options->set_count,
		.conf = options->conf,
		.s3_url = options->s3,
		.cql_hosts = options->cql,
		.cql_user = getenv("OBOXLAB_CQL_USER"),
		.cql_password = getenv("OBOXLAB_CQL_PASSWORD") };
	struct conf_problems problems;
	struct scenario *scenario;
	int result;

	conf_problems_init(&problems, arena);
	result = scenario_load(path, &cli_reader, &overrides, arena, &problems, &scenario, err);
	cli_problems(&problems);
	if (result == 0 && problems.errors > 0)
		result = lab_fail(err, LAB_INVALID, "%s has %zu error%s", path, problems.errors,
			problems.errors == 1 ? "" : "s");
	if (result == 0)
		*ret = scenario;
	return result;
}

static const struct command *find(const char *name, struct lab_error *err)
{
	const char *names[LAB_COUNT_OF(commands)];
	char hint[CONF_HINT_MAX];

	for (size_t i = 0; i < LAB_COUNT_OF(commands); i++) {
		if (strcmp(name, commands[i]->name) == 0)
			return commands[i];
		names[i] = commands[i]->name;
	}
	lab_fail(err, LAB_INVALID, "there is no command \"%s\"%s", name,
		conf_hint(conf_suggest_of(lab_view_cstr(name), names, LAB_COUNT_OF(names)), hint));
	return NULL;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return true;
	}
	return false;
}

/* "help", "help test": argv[0] is the command, or missing. */
static int help(int argc, char **argv)
{
	const struct command *command;
	struct lab_error err;

	if (argc == 0) {
		help_program(commands, LAB_COUNT_OF(commands), stdout);
		return CLI_PASS;
	}
	command = find(argv[0], &err);
	if (command == NULL)
		return cli_usage(&err);
	help_command(command, stdout);
	return CLI_PASS;
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct lab_error err;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		help_program(commands, LAB_COUNT_OF(commands), stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return printf("oboxlab " OBOXLAB_VERSION "\n") < 0 ? CLI_BROKEN : CLI_PASS;
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return help(argc - 2, argv + 2);
	command = find(argv[1], &err);
	if (command == NULL)
		return cli_usage(&err);
	if (wants_help(argc - 1, argv + 1))
		return help(1, argv + 1);
	return command->run(argc - 1, argv + 1);
}
