/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-check.c - oboxlab check: what is wrong with a dovecot.conf or a scenario, all at once.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "core/conf/dict-cql.h"
#include "core/conf/settings.h"

#include <stdio.h>

#define ALLOWED (OPTION_SET | OPTION_CONF)

static void print(const struct conf_problems *problems)
{
	struct lab_buf line;

	lab_buf_init(&line, cli_heap(), 65536);
	for (size_t i = 0; i < problems->count; i++) {
		lab_buf_reset(&line);
		conf_problem_print(&problems->items[i], &line);
		printf("%s\n", lab_buf_cstr(&line));
	}
	lab_buf_done(&line);
}

/* dict { name = cassandra:FILE }: the maps in the file. */
static int check_dicts(
	const struct conf_settings *settings, struct lab_arena *arena, struct lab_error *err)
{
	for (size_t i = 0; i < settings->dict_count; i++) {
		const struct conf_dict *dict = &settings->dicts[i];
		struct dict_cql_config *config;

		if (!lab_view_eq_cstr(dict->driver, "cassandra") ||
			dict_cql_load(dict->path, &cli_reader, arena, &config, err) == 0)
			continue;
		return err->code == LAB_INVALID
			       ? -1
			       : lab_error_wrap(err, "%s:%u:%u: dict %.*s", dict->where.file,
					 dict->where.line, dict->where.column,
					 LAB_VIEW_ARG(dict->name));
	}
	return 0;
}

static int check_conf(const char *path, struct lab_arena *arena, struct lab_error *err)
{
	struct conf_problems problems;
	struct conf_settings settings;
	struct conf_section *root;
	int result;

	conf_problems_init(&problems, arena);
	if (conf_parse(lab_view_cstr(path), &cli_reader, 0, arena, &problems, &root, err) < 0) {
		print(&problems);
		return -1;
	}
	result = conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &problems);
	conf_check_effects(root, &problems);
	print(&problems);
	if (result < 0)
		return lab_fail(err, LAB_INVALID, "%s has %zu error%s", path, problems.errors,
			problems.errors == 1 ? "" : "s");
	if (conf_settings_load(root, arena, &settings, err) < 0)
		return -1;
	return check_dicts(&settings, arena, err);
}

static int cmd_check(int argc, char **argv)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	const struct scenario *scenario;
	struct lab_error err;
	struct options o;
	int status = CLI_PASS;

	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0)
		return cli_usage(&err);
	if (o.argument_count == 0) {
		lab_fail(&err, LAB_INVALID, "check needs a file");
		return cli_usage(&err);
	}
	for (size_t i = 0; i < o.argument_count; i++) {
		const char *path = o.arguments[i];
		bool is_scenario = lab_view_ends_with(lab_view_cstr(path), LAB_VIEW(".scn"));
		int result = is_scenario ? cli_scenario(&o, path, arena, &scenario, &err)
					 : check_conf(path, arena, &err);

		if (result < 0)
			status = cli_usage(&err);
		else
			printf("%s: ok\n", path);
	}
	return status;
}

const struct command command_check = { .name = "check",
	.arguments = "FILE...",
	.doc = "errors and advice for a dovecot.conf or a scenario",
	.examples = "check /etc/dovecot/dovecot.conf\n",
	.options = ALLOWED,
	.run = cmd_check };
