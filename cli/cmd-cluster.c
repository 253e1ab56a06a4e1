/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-cluster.c - oboxlab cluster: doveadm cluster on a GeoDB (palomar 3.1).
 */
#include "cli/options.h"

#include "scenarios/fs-tool/cluster-tool.h"

#include <stdio.h>
#include <stdlib.h>

#define OUTPUT_MAX ((size_t)1 << 28)

static void help(FILE *to)
{
	fprintf(to, "oboxlab cluster COMMAND --cql HOST[,HOST...]:PORT [options]\n\n");
	for (unsigned i = 0; i < CLUSTER_COMMAND_COUNT; i++)
		fprintf(to, "  cluster %s %s\n      %s\n",
			cluster_command_words((enum cluster_command_verb)i),
			cluster_command_arguments((enum cluster_command_verb)i),
			cluster_command_doc((enum cluster_command_verb)i));
	fprintf(to,
		"\nOptions:\n"
		"  --keyspace NAME    %s; core/cluster/geodb.cql makes it\n"
		"  --groups N         cluster_default_group_count, 100\n"
		"  --remote           hosts that are not loopback\n"
		"User and password: OBOXLAB_CQL_USER, OBOXLAB_CQL_PASSWORD\n"
		"\nExit status: 0 done, 1 it could not, 2 usage, 5 refused by the guard, 6 "
		"unreachable\n",
		CLUSTER_TOOL_KEYSPACE);
}

struct call {
	struct lab_view words[CLUSTER_COMMAND_WORDS_MAX];
	size_t word_count;
	struct cluster_tool tool;
	struct cluster_command command;
};

static int read_groups(const char *text, struct call *call, struct lab_error *err)
{
	uint64_t number;

	if (lab_view_to_u64(lab_view_cstr(text), &number) < 0 || number == 0 || number > 10000)
		return lab_fail(
			err, LAB_INVALID, "--groups: \"%s\" is not a number from 1 to 10000", text);
	call->tool.group_count = (unsigned)number;
	return 0;
}

/* 1 it was one of ours, 0 it is the command's, -1. */
static int take_own(struct call *call, const char *name, const char *value, struct lab_error *err)
{
	bool is_cql = strcmp(name, "--cql") == 0, is_groups = strcmp(name, "--groups") == 0;

	if (!is_cql && !is_groups && strcmp(name, "--keyspace") != 0)
		return 0;
	if (value == NULL)
		return lab_fail(err, LAB_INVALID, "%s needs a value", name);
	if (is_groups)
		return read_groups(value, call, err) < 0 ? -1 : 1;
	*(is_cql ? &call->tool.hosts : &call->tool.keyspace) = value;
	return 1;
}

static int read_arguments(struct call *call, int argc, char **argv, struct lab_error *err)
{
	for (int i = 1; i < argc; i++) {
		int own = take_own(call, argv[i], argv[i + 1], err);

		if (own < 0)
			return -1;
		if (own > 0)
			i++;
		else if (strcmp(argv[i], "--remote") == 0)
			call->tool.allow_remote = true;
		else if (call->word_count == CLUSTER_COMMAND_WORDS_MAX)
			return lab_fail(err, LAB_INVALID, "too many arguments");
		else
			call->words[call->word_count++] = lab_view_cstr(argv[i]);
	}
	if (cluster_command_parse(call->words, call->word_count, &call->command, err) < 0)
		return -1;
	if (call->tool.hosts == NULL)
		return lab_fail(err, LAB_INVALID, "cluster needs --cql HOST[,HOST...]:PORT");
	return 0;
}

static int status_of(const struct lab_error *err, bool is_guarded)
{
	if (is_guarded)
		return CLI_REFUSED;
	if (err->code == LAB_INVALID)
		return CLI_USAGE;
	return err->code == LAB_UNAVAILABLE || err->code == LAB_TIMEOUT ? CLI_UNREACHABLE
									: CLI_FAIL;
}

static int cmd_cluster(int argc, char **argv)
{
	struct call call = { .tool = { .keyspace = CLUSTER_TOOL_KEYSPACE,
				     .user = getenv("OBOXLAB_CQL_USER"),
				     .password = getenv("OBOXLAB_CQL_PASSWORD"),
				     .group_count = 100,
				     .command = &call.command } };
	struct lab_error err;
	struct lab_buf out;
	bool is_guarded;

	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (read_arguments(&call, argc, argv, &err) < 0)
		return cli_usage(&err);
	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	if (cluster_tool_run(&call.tool, cli_heap(), &out, &is_guarded, &err) < 0) {
		(void)cli_usage(&err);
		return status_of(&err, is_guarded);
	}
	return fwrite(out.data, 1, out.len, stdout) == out.len ? CLI_PASS : CLI_FAIL;
}

const struct command command_cluster = { .name = "cluster",
	.arguments = "COMMAND --cql HOST[,HOST...]:PORT",
	.doc = "doveadm cluster on a GeoDB: site, backend, group, user, tag",
	.run = cmd_cluster,
	.help = help };
