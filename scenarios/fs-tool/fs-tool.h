/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-tool.h - one operation on the operator's storage, as doveadm fs does it: the same settings,
 * the same drivers, real sockets.
 *
 * Purpose    Takes obox_fs (obox_index_fs, fts_dovecot_fs) from a dovecot.conf, or an fs URI as it
 *            is, builds the stack on one host of the live world and does one thing with it.
 * Blocking   fs_tool_run() runs its own loop and returns when the operation has ended.
 * Safety     Only loopback addresses are connected to unless `allow_remote`; what the guard refused
 *            is LAB_DENIED with fs_tool_result.is_guarded. Credentials are never printed.
 * Files      The drivers see `root` as the machine's "/": fscache directories and posix prefixes
 *            are below it. NULL: a temporary directory that is removed in the end.
 * Limits     FS_TOOL_* below.
 */
#ifndef SCENARIOS_FS_TOOL_H
#define SCENARIOS_FS_TOOL_H

#include "core/conf/settings.h"
#include "core/env/env.h"
#include "scenarios/operator/operator.h"

#define FS_TOOL_OBJECT_MAX ((size_t)256 * 1024 * 1024)
#define FS_TOOL_ENTRIES_MAX ((size_t)1000000) /* of one directory, and of a tree */
#define FS_TOOL_DEPTH_MAX 64                  /* directories in directories */

#define FS_TOOL_COMMANDS(X) \
	X(get, "PATH", "the object, to standard output or --file") \
	X(put, "[INPUT] PATH", "standard input, --file or INPUT becomes the object") \
	X(copy, "SOURCE DEST", "without its contents coming here, where the storage can") \
	X(delete, "[-R] PATH...", "several at once; -R: all that is below") \
	X(iter, "[-R] PATH", "the names in a directory; -R: all paths below") \
	X(iter_dirs, "PATH", "the directories in a directory") \
	X(stat, "PATH...", "whether it is there, and its size") \
	X(metadata, "PATH...", "what the storage keeps beside it") \
	X(gc, "USER", "objects that no row names, older than an hour: a dry run") \
	X(gc_delete, "USER", "the same, and deletes them; backends may go on working") \
	X(rebuild, "USER", "all rows anew from objects and bundles; nobody else may use the user") \
	X(repair, "USER", "rows that are missing, from the other rows and objects; likewise") \
	X(force_resync, "USER", "folders and indexes anew from bundles and listings")
enum fs_tool_command {
#define X(name, arguments, doc) FS_TOOL_##name,
	FS_TOOL_COMMANDS(X)
#undef X
	FS_TOOL_COMMAND_COUNT
};

struct fs_tool_settings {
	const struct conf_settings *conf; /* NULL: `uri` alone */
	const struct conf_reader *reader; /* for the dict maps that the settings name */
	const char *filter;               /* "obox_fs"; NULL with `uri` */
	const char *uri;                  /* instead of a setting; NULL: `filter` */
	/* What doveadm is told of the backend whose "/" is `root`, with `conf`: instead of a job of
	 * the stack, of which only print is used then. NULL: the job. */
	const struct operator_command *command;
	/* "NAME=DIR": of another backend, whose "/" is there, for metacache pull. NULL: none. */
	const char *peer;
	const char *user;             /* %u, %n, %d; NULL: a stack that uses them is an error */
	const char *const *variables; /* "home=/x", "service=imap", "session=..." */
	size_t variable_count;
	const char *root;
	const char *ca_file;     /* PEM, instead of the system's certificates */
	const char *const *maps; /* "HOST:PORT=ADDRESS:PORT[,plain]" (live_map) */
	size_t map_count;
	bool allow_remote;
	/* Each event of the run, as text; NULL: none. */
	void (*on_event)(void *ctx, const char *line);
	void *on_event_ctx;
};

struct fs_tool_job {
	enum fs_tool_command command;
	const char *const *paths;
	size_t path_count;
	struct lab_view input;       /* put */
	const char *const *metadata; /* put, copy: "key=value" */
	size_t metadata_count;
	bool recursive;
	char separator; /* behind each line that is printed: '\n' or NUL */
	/* What the command prints, in parts. -1 ends the command. */
	int (*print)(void *ctx, struct lab_view text, struct lab_error *err);
	void *print_ctx;
};

struct fs_tool_result {
	bool is_usage;       /* what was asked for, or the settings, cannot be */
	bool is_guarded;     /* an address that is not loopback was asked for */
	bool is_interrupted; /* SIGINT */
	bool is_left;        /* the temporary directory could not be removed */
	size_t failed;       /* of several paths */
};

const char *fs_tool_command_name(enum fs_tool_command command);
/* -1: there is none of that name ("iter-dirs" is iter_dirs). */
int fs_tool_command_find(const char *name);

/* 0, or -1 as the drivers say, the first error of several. LAB_UNCERTAIN: it may have happened.
 * With ret->is_usage: settings, URI or arguments, and nobody was asked anything. */
int fs_tool_run(const struct fs_tool_settings *settings, const struct fs_tool_job *job,
	struct fs_tool_result *ret, struct lab_error *err);

/* Exit status of the command (DESIGN 7): 0 done; 1 the storage said no (no such object, exists
 * already, permission, damaged); 2 settings; 4 may have happened; 5 refused by the guard; 6 no
 * answer to be had. `result` is that of fs_tool_run(). */
int fs_tool_status(int result, const struct fs_tool_result *ret, const struct lab_error *err);

#endif
