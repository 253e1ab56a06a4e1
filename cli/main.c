/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - oboxlab: which command, and what all of them share. No logic.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "scenarios/format/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command {
	const char *name, *arguments, *doc;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", "SCN [--seed S] [--world sim|live] [...]", "one run, with its report", cmd_run },
	{ "test", "SCN... [--seeds A..B | -t TIME] [-j N] [...]", "many seeds, and a verdict",
		cmd_test },
	{ "replay", "SEED SCN [--until TIME|#EVENT]", "one run again, event by event", cmd_replay },
	{ "trace", "SEED SCN -o FILE.json [--until TIME|#EVENT]",
		"one run for ui.perfetto.dev, on its own time line", cmd_trace },
	{ "sweep", "SCN [--seed S] [--fault POINT[:KIND]] [-j N]",
		"every request of a run fails in every way", cmd_sweep },
	{ "defects", "list | hunt [NAME...] [--seeds N] [...]",
		"how many seeds find each known mistake", cmd_defects },
	{ "shrink", "SEED SCN [-o FILE] [--runs N] [-t TIME] [-j N]",
		"the least that still fails in the same way, as a scenario", cmd_shrink },
	{ "explain", "SEED SCN | FILE [-o FILE] [--runs N] [-j N]",
		"what it takes to fail, and why", cmd_explain },
	{ "matrix", "FILE.json...", "what no campaign and no hunt has reached", cmd_matrix },
	{ "check", "FILE...", "errors and advice for a dovecot.conf or .scn", cmd_check },
	{ "list", "faults|invariants|settings|events|defects|costs", "what there is", cmd_list },
	{ "serve", "[--s3 A:P] [--cql A:P] [--imds A:P] [--admin A:P] [...]",
		"the emulators on sockets, until SIGTERM", cmd_serve },
	{ "fs", "COMMAND [--conf FILE] [--filter NAME] PATH...",
		"get, put, copy, delete, iter, stat, metadata", cmd_fs },
	{ "metacache", "COMMAND --conf FILE --root DIR",
		"list, flush, clean, refresh, remove, rescan, status, unpack", cmd_metacache },
	{ "obox", "user delete|wait -u USER --conf FILE --root DIR",
		"a user as a whole: deleted, waited for", cmd_metacache },
	{ "fts", "check full|fast -u USER [FOLDER] --conf FILE --root DIR",
		"is the search index what the folders are?", cmd_metacache },
	{ "cluster", "COMMAND --cql HOST[,HOST...]:PORT",
		"doveadm cluster on a GeoDB: site, backend, group, user", cmd_cluster },
	{ "bench", "[NAME...] [--json] | s3 --server ... | cql --cassandra",
		"speed, beside the raw limits of this machine", cmd_bench },
	{ "doctor", "", "is this machine fit to run the laboratory?", cmd_doctor },
};

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

static int usage(FILE *to)
{
	fprintf(to, "oboxlab: a laboratory for the Dovecot Pro mail storage stack\n\n");
	for (size_t i = 0; i < LAB_COUNT_OF(commands); i++)
		fprintf(to, "  oboxlab %-7s %-48s %s\n", commands[i].name, commands[i].arguments,
			commands[i].doc);
	fprintf(to,
		"\nOptions of run, test and replay:\n"
		"  --conf FILE            settings instead of those that the scenario includes\n"
		"  --set SECTION.KEY=V    a scenario's key, for all sections of that name\n"
		"  --mbox FILE|DIR        real mails: an mbox, or a folder of .eml files\n"
		"  --defect NAME          a known mistake, switched on: the oracle must find it\n"
		"  --json                 machine-readable summary\n"
		"  --guard N              test: one of N seeds is run twice, and each that fails; "
		"0: none\n"
		"  --first                stop at the first failure\n"
		"  --inject [>]POINT:KIND:N[+[TIME]][:DISK,DOWN]\n"
		"                         run, replay: the N-th request there fails; + and all "
		"later\n"
		"                         ones; DISK,DOWN: and its backend crashes "
		"(keep,2s)\n"
		"  --fault POINT[:KIND]   sweep: only these; * at the end; crash: crashes\n"
		"  --then KIND            sweep: and all there in the next second by this one\n"
		"  --scenarios PATTERN    defects hunt: against these, instead of "
		"the directory's storms\n"
		"  --soon                 defects hunt: each against the one in the table only\n"
		"  --history FILE         run: what clients asked for and were told\n"
		"  --history-elle FILE    run: the same for the checker Elle (list-append, EDN)\n"
		"  --profile-checks       run: what share of the time each checker takes\n"
		"  --s3 URL               run --world live: an S3 server that is not ours, with a "
		"key\n"
		"                         and an empty bucket: "
		"http://KEY:SECRET@HOST:PORT/?bucket=B\n"
		"  --cql HOST[,HOST...]:PORT\n"
		"                         run --world live: a Cassandra that is not ours; its "
		"keyspace\n"
		"                         is made, and dropped. User and password:\n"
		"                         OBOXLAB_CQL_USER, OBOXLAB_CQL_PASSWORD, or the settings\n"
		"\nOptions of serve (port 0: any; without addresses all three on loopback):\n"
		"  --s3, --cql, --imds A:P  where a service listens; only those named are started\n"
		"  --sproxyd, --cdmi A:P  the same for Scality's two connectors\n"
		"  --admin A:P            health, counters, log, faults; loopback only\n"
		"  --profile FILE         buckets, keys, rates, latencies, nodes\n"
		"  --faults FILE          what goes wrong\n"
		"  --data DIR             S3's and Cassandra's data outlive the program (SQLite)\n"
		"  --tls-cert F, --tls-key F   S3 and Cassandra speak TLS (PEM files)\n"
		"  --tls-client-ca F      and want a certificate that it signed from each client\n"
		"\nExit status: 0 pass, 1 an invariant was broken, 2 usage or configuration,\n"
		"3 the laboratory itself is broken, 4 inconclusive, 5 refused by a guard,\n"
		"6 target unreachable, 7 something is left behind\n");
	return to == stdout ? CLI_PASS : CLI_USAGE;
}

int main(int argc, char **argv)
{
	const char *names[LAB_COUNT_OF(commands)];
	struct lab_error err;
	char hint[CONF_HINT_MAX];

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout);
	for (size_t i = 0; i < LAB_COUNT_OF(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
		names[i] = commands[i].name;
	}
	lab_fail(&err, LAB_INVALID, "there is no command \"%s\"%s", argv[1],
		conf_hint(
			conf_suggest_of(lab_view_cstr(argv[1]), names, LAB_COUNT_OF(names)), hint));
	return cli_usage(&err);
}
