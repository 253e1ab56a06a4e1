/* SPDX-License-Identifier: Apache-2.0
 *
 * dict.h - Dovecot's dict API as fs-dictmap uses it: keys that look like paths, mapped to rows.
 *
 * Purpose    lib-dict in the shape that obox needs: lookup, iterate, and transactions, most of them
 *            of exactly one row (obox 3.6: in 2.3 a Cassandra transaction holds one statement).
 * Blocking   Every operation blocks the calling fiber (env.h).
 * Ownership  Results borrow from the arena that the caller passes.
 * Errors     Changes may end LAB_UNCERTAIN (obox 3.8): the row may or may not have changed, now or
 *            later. Every other -1 of a change is certain: it did not happen.
 *            Reads: LAB_UNAVAILABLE, LAB_TIMEOUT, LAB_INVALID (unmapped key), LAB_CORRUPT.
 */
#ifndef LAB_DICT_H
#define LAB_DICT_H

#include "core/env/env.h"

struct dict;

#define DICT_VALUES_MAX 4

/* The value fields of one row in the order of the map's value_field ("b,writetime(b)" has two),
 * in the map's text form: hexblob values as lower-case hex, numbers in decimal. */
struct dict_values {
	struct lab_view items[DICT_VALUES_MAX];
	size_t count;
};

/* Key paths are built with dict_escape() for every part that comes from outside. They begin with
 * "shared/". */

/* 1 found, 0 not found (also when every value is NULL), -1. */
int dict_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err);

struct dict_row {
	struct lab_view key; /* the full key path */
	struct dict_values values;
};

struct dict_iterate_options {
	uint64_t limit;     /* LIMIT n; 0 is none */
	bool no_value;      /* only keys are wanted */
	bool sort_by_key;   /* ORDER BY the map's fields, which Cassandra refuses unless they are
			       clustering columns */
	bool sort_by_value; /* ORDER BY its value_field; likewise */
	size_t max_rows;    /* bound on what is collected; LAB_LIMIT beyond */
};

/* All rows whose key is `path` plus one more part (path ends in '/'), in the database's order.
 * 0, or -1. */
int dict_iterate(struct dict *dict, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err);

/* The write timestamp is now + timestamp_offset_us by the host's wall clock, monotone per dict
 * (obox 3.6); or exactly timestamp_us if that is not 0. */
struct dict_change_options {
	uint64_t timestamp_offset_us;
	uint64_t timestamp_us;
	uint64_t expire_secs; /* of sets in maps with an expire_field; 0: never */
	bool non_atomic;      /* an UNLOGGED batch will do */
};

/* One transaction is a list of changes. */
#define DICT_CHANGES_MAX 64
enum dict_change_kind {
	DICT_CHANGE_SET,
	DICT_CHANGE_UNSET,
	DICT_CHANGE_INC
};
struct dict_change {
	enum dict_change_kind kind;
	struct lab_view key;
	struct lab_view value; /* of a set */
	int64_t diff;          /* of an increment */
};
/* 1 to DICT_CHANGES_MAX changes at once. Sets of other values of one row are one INSERT. What
 * are several statements even so is a batch, or, in 2.3, LAB_INVALID (obox 3.6). May be UNCERTAIN:
 * then each of them may have happened, or not. */
int dict_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err);

/* INSERT of one row; the value is the map's first value field in text form. May be UNCERTAIN. */
int dict_set(struct dict *dict, struct lab_view key, struct lab_view value,
	const struct dict_change_options *options, struct lab_error *err);
/* DELETE of one row, whether or not it exists. May be UNCERTAIN. */
int dict_unset(struct dict *dict, struct lab_view key, const struct dict_change_options *options,
	struct lab_error *err);

/* `diff` is added to a counter column. May be UNCERTAIN, and then must not be repeated blindly; but
 * the client itself does repeat it, as it takes every statement for idempotent (obox 3.8). */
int dict_atomic_inc(struct dict *dict, struct lab_view key, int64_t diff,
	const struct dict_change_options *options, struct lab_error *err);

/* Waits for running operations, closes connections. NULLs the pointer; accepts NULL. */
void dict_close(struct dict **dict);

/* '/' to "\|" and '\' to "\\" (dict_escape_string of lib-dict). */
void dict_escape(struct lab_buf *out, struct lab_view part);
/* 0, or -1 on a lone '\'. */
int dict_unescape(struct lab_buf *out, struct lab_view part);

#endif
