/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-fs.c - oboxlab fs: one operation on the operator's storage.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "scenarios/fs-tool/fs-tool.h"

#include <stdio.h>

static const struct {
	const char *arguments, *doc;
} docs[] = {
#define X(name, arguments, doc) { arguments, doc },
	FS_TOOL_COMMANDS(X)
#undef X
};

static void help(FILE *to)
{
	fprintf(to, "oboxlab fs COMMAND [options] PATH...\n\n");
	for (int i = 0; i < FS_TOOL_COMMAND_COUNT; i++)
		fprintf(to, "  %-13s %-12s %s\n", fs_tool_command_name((enum fs_tool_command)i),
			docs[i].arguments, docs[i].doc);
	fprintf(to, "\nOptions:\n");
	options_print(OPTION_CONF | OPTION_FS, to);
	fprintf(to, "\nExit status: 0 done, 1 the storage said no, 2 usage or settings,\n"
		    "4 may have happened, 5 refused by the guard, 6 unreachable\n");
}

static int load_conf(
	const char *path, struct lab_arena *arena, struct conf_settings *ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse(lab_view_cstr(path), &cli_reader, 0, arena, NULL, &root, err) < 0)
		return -1;
	return conf_settings_load(root, arena, ret, err);
}

static int print(void *ctx, struct lab_view text, struct lab_error *err)
{
	if (fwrite(text.ptr, 1, text.len, ctx) == text.len)
		return 0;
	return lab_fail(err, LAB_IO, "the output cannot be written");
}

static void print_event(void *ctx, const char *line)
{
	fprintf(ctx, "%s\n", line);
}

struct call {
	struct options options;
	struct lab_arena *arena;
	struct conf_settings conf;
	struct fs_tool_settings settings;
	struct fs_tool_job job;
	FILE *out;
};

static int read_settings(struct call *call, struct lab_error *err)
{
	const struct options *o = &call->options;
	const struct options_fs *fs = &o->fs;

	if ((o->conf == NULL) == (fs->uri == NULL) || (fs->uri != NULL && fs->filter != NULL))
		return lab_fail(err, LAB_INVALID, "fs needs --conf (and --filter), or --uri");
	call->settings = (struct fs_tool_settings){ .reader = &cli_reader,
		.filter = fs->filter != NULL ? fs->filter : "obox_fs",
		.uri = fs->uri,
		.user = fs->user,
		.variables = fs->variables,
		.variable_count = fs->variable_count,
		.root = fs->root,
		.ca_file = fs->ca_file,
		.maps = fs->maps,
		.map_count = fs->map_count,
		.allow_remote = fs->is_remote,
		.on_event = fs->is_verbose ? print_event : NULL,
		.on_event_ctx = stderr };
	if (o->conf != NULL && load_conf(o->conf, call->arena, &call->conf, err) < 0)
		return -1;
	call->settings.conf = o->conf != NULL ? &call->conf : NULL;
	return 0;
}

static int read_job(struct call *call, struct lab_error *err)
{
	const struct options *o = &call->options;
	const char *input = o->fs.file;

	call->job.paths = o->arguments + 1;
	call->job.path_count = o->argument_count - 1;
	call->job.metadata = o->fs.metadata;
	call->job.metadata_count = o->fs.metadata_count;
	call->job.recursive = o->fs.is_recursive;
	call->job.separator = o->fs.is_null ? '\0' : '\n';
	call->job.print = print;
	if (call->job.command != FS_TOOL_put)
		return 0;
	/* As doveadm has it: put INPUT PATH. */
	if (input == NULL && call->job.path_count == 2) {
		input = call->job.paths[0];
		call->job.paths++;
		call->job.path_count--;
	}
	return cli_input(input, FS_TOOL_OBJECT_MAX, call->arena, &call->job.input, err);
}

/* --file is made when there is something to put into it: a get that fails leaves it alone. */
static int print_to_file(void *ctx, struct lab_view text, struct lab_error *err)
{
	struct call *call = ctx;

	if (call->out == NULL) {
		const char *path = call->options.fs.file;

		call->out = path == NULL ? stdout : fopen(path, "we");
		if (call->out == NULL)
			return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	}
	return print(call->out, text, err);
}

static int run(struct call *call)
{
	struct fs_tool_result result;
	struct lab_error err;
	int outcome;

	call->job.print = print_to_file;
	call->job.print_ctx = call;
	outcome = fs_tool_run(&call->settings, &call->job, &result, &err);
	if (call->out != NULL && (fflush(call->out) != 0 || ferror(call->out) != 0) && outcome == 0)
		outcome = lab_fail(&err, LAB_IO, "the output cannot be written");
	if (call->out != NULL && call->out != stdout)
		(void)fclose(call->out);
	if (result.is_left)
		fprintf(stderr, "oboxlab: a temporary directory is left\n");
	if (outcome == 0)
		return CLI_PASS;
	(void)cli_usage(&err);
	if (result.is_guarded)
		fprintf(stderr, "oboxlab: --remote allows it\n");
	if (result.failed > 1)
		fprintf(stderr, "oboxlab: %zu paths failed\n", result.failed);
	return fs_tool_status(outcome, &result, &err);
}

static int cmd_fs(int argc, char **argv)
{
	struct call call = { .arena = lab_arena_new(cli_heap(), SIZE_MAX / 8) };
	struct options *o = &call.options;
	struct lab_error err;
	int command;

	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (options_parse(argc, argv, OPTION_CONF | OPTION_DEFECT | OPTION_FS, o, &err) < 0)
		return cli_usage(&err);
	lab_defects_on = o->defects;
	command = o->argument_count == 0 ? -1 : fs_tool_command_find(o->arguments[0]);
	if (command < 0) {
		lab_fail(&err, LAB_INVALID, "there is no fs command \"%s\" (see oboxlab fs --help)",
			o->argument_count == 0 ? "" : o->arguments[0]);
		return cli_usage(&err);
	}
	call.job.command = (enum fs_tool_command)command;
	if (read_settings(&call, &err) < 0 || read_job(&call, &err) < 0)
		return cli_usage(&err);
	return run(&call);
}

const struct command command_fs = { .name = "fs",
	.arguments = "COMMAND PATH...",
	.doc = "one operation on your own storage: get, put, copy, delete, ...",
	.run = cmd_fs,
	.help = help };
