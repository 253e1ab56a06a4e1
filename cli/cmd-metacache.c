/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-metacache.c - oboxlab metacache, fscache, obox and fts: what doveadm does with a backend's
 * metacache and with users (obox 4.11, 5.9).
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "core/obox/bundle.h"
#include "scenarios/fs-tool/fs-tool.h"
#include "scenarios/operator/unpack.h"

#include <stdio.h>

#define ARGUMENTS_MAX 64
#define OUTPUT_MAX ((size_t)1 << 30)

/* The verbs of one of the three commands. */
static void print_help(const char *command, FILE *to)
{
	size_t len = strlen(command);

	fprintf(to, "oboxlab %s COMMAND --conf FILE --root DIR [options]\n\n", command);
	for (int i = 0; i < OPERATOR_VERB_COUNT; i++) {
		const char *words = operator_verb_words((enum operator_verb)i);

		if (strncmp(words, command, len) == 0 && words[len] == ' ')
			fprintf(to, "  %s %s\n      %s\n", words,
				operator_verb_arguments((enum operator_verb)i),
				operator_verb_doc((enum operator_verb)i));
	}
	if (strcmp(command, "metacache") == 0)
		fprintf(to,
			"  metacache unpack BUNDLE [DIR]\n"
			"      what is in an index bundle, as `oboxlab fs get` brought it; into "
			"DIR\n");
	fprintf(to, "\nOptions:\n"
		    "  --conf FILE        the operator's dovecot.conf, unchanged\n"
		    "  --root DIR         the backend's \"/\": homes and the metacache's state are "
		    "below\n"
		    "  --var hostname=N   the backend's name: bundles are written under it\n"
		    "  --map, --ca, --remote, -v  as for oboxlab fs\n");
	if (strcmp(command, "metacache") == 0)
		fprintf(to, "  --peer NAME=DIR    pull: the other backend, HOST, and its \"/\"\n");
	fprintf(to, "\nNobody else may use the directory meanwhile.\n"
		    "\nExit status: 0 done, 1 it could not, 2 usage or settings, 5 refused by the "
		    "guard,\n"
		    "6 unreachable, 65 the user is open in a session\n");
}

static void help_metacache(FILE *to)
{
	print_help("metacache", to);
}

static void help_fscache(FILE *to)
{
	print_help("fscache", to);
}

static void help_obox(FILE *to)
{
	print_help("obox", to);
}

static void help_fts(FILE *to)
{
	print_help("fts", to);
}

/* ---- unpack ---- */

static int write_file(
	const char *directory, const struct obox_bundle_file *file, struct lab_error *err)
{
	char path[4096];
	FILE *out;
	bool is_written;

	if ((size_t)snprintf(path, sizeof(path), "%s/%.*s", directory, LAB_VIEW_ARG(file->name)) >=
		sizeof(path))
		return lab_fail(err, LAB_INVALID, "%s: the name is too long", directory);
	out = fopen(path, "we");
	if (out == NULL)
		return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	is_written = file->content.len == 0 ||
		     fwrite(file->content.ptr, 1, file->content.len, out) == file->content.len;
	if (fclose(out) != 0 || !is_written)
		return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	return 0;
}

static int unpack(const char *path, const char *directory)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	struct obox_bundle *bundle = lab_arena_new_of(arena, struct obox_bundle);
	struct lab_view bytes;
	struct lab_error err;
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	if (cli_input(path, OBOX_BUNDLE_BYTES_MAX, arena, &bytes, &err) < 0)
		return cli_usage(&err);
	if (operator_unpack(bytes, bundle, &out, &err) < 0) {
		(void)lab_error_wrap(&err, "%s", path);
		(void)cli_usage(&err);
		return CLI_FAIL;
	}
	for (size_t i = 0; directory != NULL && i < bundle->file_count; i++) {
		if (write_file(directory, &bundle->files[i], &err) < 0) {
			(void)cli_usage(&err);
			return CLI_FAIL;
		}
	}
	return fwrite(out.data, 1, out.len, stdout) == out.len ? CLI_PASS : CLI_FAIL;
}

/* ---- on a backend ---- */

/* Options of this program; the rest are the command's words. */
static bool is_own(const char *argument, bool *ret_has_value)
{
	static const char *const with_value[] = { "--conf", "--root", "--var", "--map", "--ca",
		"--defect", "--peer" };

	*ret_has_value = false;
	for (size_t i = 0; i < LAB_COUNT_OF(with_value); i++) {
		if (strcmp(argument, with_value[i]) == 0) {
			*ret_has_value = true;
			return true;
		}
	}
	return strcmp(argument, "--remote") == 0 || strcmp(argument, "-v") == 0;
}

struct call {
	char *own[ARGUMENTS_MAX + 1];
	int own_count;
	struct lab_view words[OPERATOR_WORDS_MAX];
	size_t word_count;
	struct options options;
	struct operator_command command;
	struct conf_settings conf;
};

static int read_arguments(struct call *call, int argc, char **argv, struct lab_error *err)
{
	call->own[call->own_count++] = argv[0];
	call->words[call->word_count++] = lab_view_cstr(argv[0]);
	for (int i = 1; i < argc; i++) {
		bool has_value, is_mine = is_own(argv[i], &has_value);

		if (is_mine && call->own_count + 1 < ARGUMENTS_MAX) {
			call->own[call->own_count++] = argv[i];
			if (has_value && i + 1 < argc)
				call->own[call->own_count++] = argv[++i];
		} else if (call->word_count < OPERATOR_WORDS_MAX) {
			call->words[call->word_count++] = lab_view_cstr(argv[i]);
		} else {
			return lab_fail(err, LAB_INVALID, "too many arguments");
		}
	}
	if (operator_parse(call->words, call->word_count, &call->command, err) < 0)
		return -1;
	if (options_parse(call->own_count, call->own,
		    OPTION_CONF | OPTION_DEFECT | OPTION_FS | OPTION_PEER, &call->options, err) < 0)
		return -1;
	lab_defects_on = call->options.defects;
	if (call->options.conf == NULL || call->options.fs.root == NULL)
		return lab_fail(err, LAB_INVALID, "%s needs --conf FILE and --root DIR",
			operator_verb_words(call->command.verb));
	return 0;
}

static int load_conf(struct call *call, struct lab_arena *arena, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse(lab_view_cstr(call->options.conf), &cli_reader, 0, arena, NULL, &root, err) <
		0)
		return -1;
	return conf_settings_load(root, arena, &call->conf, err);
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

static int run(struct call *call)
{
	const struct options_fs *fs = &call->options.fs;
	struct fs_tool_settings settings = { .reader = &cli_reader,
		.conf = &call->conf,
		.filter = "obox_fs",
		.command = &call->command,
		.variables = fs->variables,
		.variable_count = fs->variable_count,
		.root = fs->root,
		.peer = fs->peer,
		.ca_file = fs->ca_file,
		.maps = fs->maps,
		.map_count = fs->map_count,
		.allow_remote = fs->is_remote,
		.on_event = fs->is_verbose ? print_event : NULL,
		.on_event_ctx = stderr };
	struct fs_tool_job job = { .print = print, .print_ctx = stdout };
	struct fs_tool_result result;
	struct lab_error err;
	int outcome = fs_tool_run(&settings, &job, &result, &err), status;

	if (outcome == 0)
		return CLI_PASS;
	(void)cli_usage(&err);
	status = operator_exit_in_use(&call->command, outcome, &err);
	return status != 0 ? status : fs_tool_status(outcome, &result, &err);
}

static int cmd_metacache(int argc, char **argv)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	struct call *call = lab_arena_new_of(arena, struct call);
	struct lab_error err;

	if (argc < 2) {
		print_help(argv[0], stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[0], "metacache") == 0 && strcmp(argv[1], "unpack") == 0 &&
		(argc == 3 || argc == 4))
		return unpack(argv[2], argc == 4 ? argv[3] : NULL);
	if (read_arguments(call, argc, argv, &err) < 0 || load_conf(call, arena, &err) < 0)
		return cli_usage(&err);
	return run(call);
}

const struct command command_metacache = { .name = "metacache",
	.arguments = "COMMAND --conf FILE --root DIR",
	.doc = "a backend's metacache: list, flush, clean, refresh, rescan, ...",
	.run = cmd_metacache,
	.help = help_metacache };

const struct command command_fscache = { .name = "fscache",
	.arguments = "rescan PATH --conf FILE --root DIR",
	.doc = "what is in a directory of fscache, counted again",
	.run = cmd_metacache,
	.help = help_fscache };

const struct command command_obox = { .name = "obox",
	.arguments = "user delete|wait -u USER --conf FILE --root DIR",
	.doc = "a user as a whole: deleted, waited for",
	.run = cmd_metacache,
	.help = help_obox };

const struct command command_fts = { .name = "fts",
	.arguments = "check full|fast -u USER [FOLDER] --conf FILE --root DIR",
	.doc = "is the search index what the folders are?",
	.run = cmd_metacache,
	.help = help_fts };
