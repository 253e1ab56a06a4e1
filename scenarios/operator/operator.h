/* SPDX-License-Identifier: Apache-2.0
 *
 * operator.h - doveadm metacache, fscache, obox user and fts check as words: read, checked, done
 * on a backend, and told (obox 1.10, 4.11, 5.7, 5.9, 6.1).
 *
 * Purpose    One vocabulary for the command line (scenarios/metacache-tool) and for an operator in
 *            a scenario (scenarios/runner).
 * Output     Text: a line of tab-separated names, then a line each, as doveadm -f tab has it.
 * Blocking   operator_run(), in a fiber of the backend's host.
 */
#ifndef SCENARIOS_OPERATOR_H
#define SCENARIOS_OPERATOR_H

#include "core/obox/metacache-commands.h"
#include "core/obox/metacache-pull.h"

#define OPERATOR_WORDS_MAX 16

/* id, words, arguments, what it does */
#define OPERATOR_COMMANDS(X) \
	X(LIST, "metacache list", "[-f FIELD] [MASK]", "users, and what of theirs lies here") \
	X(STATUS, "metacache status", "[--roots] [-b]", "how much lies here; -b: bytes") \
	X(FLUSH, "metacache flush", "[-i] [-p PRIORITY] -u USER", \
		"uploads what was changed; -i: important changes only") \
	X(FLUSHALL, "metacache flushall", "[-i] [-f FIELD] [MASK]", \
		"uploads what was changed by any user") \
	X(CLEAN, "metacache clean", "-A | -u USER [-d DAYS] [-p PRIORITY]", \
		"removes local indexes; what cannot be uploaded stays") \
	X(REFRESH, "metacache refresh", "-A | -u USER", \
		"the next open asks the storage for root and folders") \
	X(REMOVE, "metacache remove", "MASK", "drops users from the process's list") \
	X(RESCAN, "metacache rescan", "", "counts again what is on the disk") \
	X(UPDATE_USERDB, "metacache update userdb", "USER FIELD VALUE", \
		"sets a field that masks can be of") \
	X(PULL, "metacache pull", "[--latest-only] [--clean] -u USER HOST", \
		"takes a user's metacache from another backend") \
	X(FSCACHE_RESCAN, "fscache rescan", "PATH", \
		"counts again what is in a directory of fscache, and says whether it was right") \
	X(DELETE, "obox user delete", "-u USER", \
		"all mails, bundles, rows and the search index; 65: open in a session") \
	X(WAIT, "obox user wait", "[-t SECS] -u USER", \
		"until no session has the user open; 65: one still has") \
	X(FTS_CHECK_FULL, "fts check full", "-u USER", \
		"how many mails are in which state in the search index") \
	X(FTS_CHECK_FAST, "fts check fast", "[--refresh] -u USER FOLDER", \
		"what is known of a folder; --refresh: after a look at the storage")
enum operator_verb {
#define X(id, words, arguments, doc) OPERATOR_##id,
	OPERATOR_COMMANDS(X)
#undef X
	OPERATOR_VERB_COUNT
};

struct operator_command {
	enum operator_verb verb;
	struct metacache_mask mask;   /* -u, -A, -f, -p, MASK */
	struct lab_view field, value; /* fts check fast: field is FOLDER */
	uint64_t unused_seconds;      /* -d */
	uint64_t timeout_ns;          /* -t; ENV_FOREVER */
	bool is_important_only, has_roots, has_bytes, has_refresh;
	struct metacache_pull pull;
};

const char *operator_verb_words(enum operator_verb verb);
const char *operator_verb_arguments(enum operator_verb verb);
const char *operator_verb_doc(enum operator_verb verb);

/* Views are borrowed. -1 LAB_INVALID. */
int operator_parse(const struct lab_view *words, size_t count, struct operator_command *ret,
	struct lab_error *err);
/* The same of a text whose words have spaces between them. */
int operator_parse_text(struct lab_view text, struct operator_command *ret, struct lab_error *err);

/* Does it; what there is to tell is appended to *out. 0, or -1 as metacache-commands.h says. */
int operator_run(struct backend *backend, const struct operator_command *command,
	struct lab_buf *out, struct lab_error *err);

#define OPERATOR_EXIT_IN_USE 65
/* OPERATOR_EXIT_IN_USE for a session that is there, where doveadm says so; else 0. */
int operator_exit_in_use(
	const struct operator_command *command, int result, const struct lab_error *err);

#endif
