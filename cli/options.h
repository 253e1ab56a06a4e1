/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h - the command line: one table of options for all commands, each command says which it
 * takes. What is wrong gets one sentence and exit status 2.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "core/base/defect.h"

#include <stdio.h>

#define OPTIONS_SCENARIOS_MAX 256
#define OPTIONS_SETS_MAX 64
#define OPTIONS_FS_MAX 32
#define OPTIONS_FAULTS_MAX 32
#define OPTIONS_GUARD 64 /* unless told, one of so many seeds is run twice */

/* Exit statuses of every command (DESIGN 7). */
enum cli_status {
	CLI_PASS = 0,
	CLI_FAIL = 1,
	CLI_USAGE = 2,
	CLI_BROKEN = 3,
	CLI_INCONCLUSIVE = 4,
	CLI_REFUSED = 5,
	CLI_UNREACHABLE = 6,
	CLI_LEFT = 7
};

enum cli_option {
	OPTION_SEED = 1 << 0,
	OPTION_SEEDS = 1 << 1,
	OPTION_TIME = 1 << 2,
	OPTION_WORKERS = 1 << 3,
	OPTION_DEFECT = 1 << 4,
	OPTION_SET = 1 << 5,
	OPTION_CONF = 1 << 6,
	OPTION_MBOX = 1 << 7,
	OPTION_WORLD = 1 << 8,
	OPTION_JSON = 1 << 9,
	OPTION_FIRST = 1 << 10,
	OPTION_UNTIL = 1 << 11,
	OPTION_QUIET = 1 << 12,
	OPTION_HISTORY = 1 << 13, /* and --history-elle, --profile-checks */
	OPTION_S3 = 1 << 14,      /* somebody else's, as CQL */
	OPTION_CQL = 1 << 15,
	OPTION_LISTEN = 1 << 16, /* addresses of serve */
	OPTION_SERVE = 1 << 17,  /* the rest of serve */
	OPTION_FS = 1 << 18,     /* those of fs */
	OPTION_SERVER = 1 << 19, /* and --cassandra: others that bench measures */
	OPTION_INJECT = 1 << 20,
	OPTION_FAULT = 1 << 21,  /* and --then */
	OPTION_HUNT = 1 << 22,   /* --scenarios, --soon */
	OPTION_SHRINK = 1 << 23, /* --runs */
	OPTION_OUTPUT = 1 << 24, /* -o */
	OPTION_GUARD = 1 << 25,  /* and --explore: what campaigns do with runs */
	OPTION_PEER = 1 << 26
};

struct options {
	const char *arguments[OPTIONS_SCENARIOS_MAX]; /* what is not an option */
	size_t argument_count;
	uint64_t seed, first_seed, last_seed;
	bool has_seed, has_seeds;
	uint64_t time_limit_ns;
	unsigned workers; /* 0: one for each core */
	struct lab_defects defects;
	const char *sets[OPTIONS_SETS_MAX];
	size_t set_count;
	const char *injects[OPTIONS_FAULTS_MAX];  /* inject.h */
	const char *patterns[OPTIONS_FAULTS_MAX]; /* of sweep */
	const char *then;
	size_t inject_count, pattern_count;
	const char *conf, *mbox, *history, *history_elle;
	uint64_t guard;                                       /* one of so many; 0: none */
	const char *output;                                   /* -o */
	const char *s3, *cql, *imds, *sproxyd, *cdmi, *admin; /* "A:P" */
	const char *data, *profile, *faults;
	const char *tls_cert, *tls_key, *tls_client_ca;
	const char *servers[OPTIONS_FS_MAX]; /* of bench s3 */
	const char *cassandra;               /* of bench cql: "A:P" */
	size_t server_count;
	const char *scenarios[OPTIONS_FS_MAX]; /* patterns; of defects hunt */
	size_t scenario_count;
	bool is_exploring;
	bool is_live, json, stop_at_first, quiet, is_soon, profile_checks;
	uint64_t until_ns, until_event;
	uint64_t runs; /* of shrink, explain and --explore; 0: not told */
	struct options_fs {
		const char *filter, *uri, *file, *user, *root, *ca_file, *peer;
		const char *variables[OPTIONS_FS_MAX], *metadata[OPTIONS_FS_MAX],
			*maps[OPTIONS_FS_MAX];
		size_t variable_count, metadata_count, map_count;
		bool is_recursive, is_null, is_remote, is_verbose;
	} fs;
};

/* 0, or -1 LAB_INVALID. `allowed` is a set of enum cli_option. */
int options_parse(
	int argc, char **argv, uint32_t allowed, struct options *ret, struct lab_error *err);

/* A line or more for each option, for --help. */
void options_print(uint32_t allowed, FILE *to);

/* " --set 'k=v' --conf FILE ...": what must be said again to get the same run. */
const char *options_repeat(const struct options *options, struct lab_arena *arena);

/* The files of this machine, for the parsers of the core. */
struct conf_reader;
extern const struct conf_reader cli_reader;

/* A whole file, or standard input for NULL and "-". */
int cli_input(const char *path, size_t max_bytes, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err);

/* Prints the sentence to standard error and returns CLI_USAGE. */
int cli_usage(const struct lab_error *err);
/* The same with CLI_REFUSED. */
int cli_refused(const struct lab_error *err);

/* Prints what is wrong with files to standard error. */
struct conf_problems;
void cli_problems(const struct conf_problems *problems);

/* One process-wide heap for what lives as long as the command. */
struct lab_heap *cli_heap(void);

/* The mails of --mbox: an mbox file, or a folder of .eml files. *ret NULL without one. */
struct mail_source;
int cli_mails(const struct options *options, struct lab_arena *arena, struct mail_source **ret,
	struct lab_error *err);

/* Loads and checks one scenario; prints every problem. */
struct scenario;
int cli_scenario(const struct options *options, const char *path, struct lab_arena *arena,
	const struct scenario **ret, struct lab_error *err);

/* The table of known mistakes. */
void cli_list_defects(void);

/* How many workers a campaign has unless told: one for each core. */
unsigned cli_cores(void);

/* A pool whose recycled memory is filled with $OBOXLAB_HEAP_FILL (0 to 255), so that a check can
 * vary what uninitialised memory would hold. */
struct lab_pool *cli_pool(void);

/* A command, as the file that has it describes it. */
struct command {
	const char *name, *arguments, *doc;
	const char *examples; /* command lines that work, each with a newline; NULL: none */
	uint32_t options;     /* a set of enum cli_option */
	int (*run)(int argc, char **argv);
	void (*help)(FILE *to); /* what --help says instead of all this; NULL */
};
extern const struct command command_run, command_test, command_replay, command_trace, command_sweep,
	command_defects, command_shrink, command_explain, command_matrix, command_check,
	command_list, command_serve, command_fs, command_metacache, command_fscache, command_obox,
	command_fts, command_cluster, command_bench, command_doctor;

#endif
