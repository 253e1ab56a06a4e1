/* SPDX-License-Identifier: Apache-2.0
 *
 * storage-gc.h - objects that nothing refers to any more: found, reported, deleted (HD-21).
 *
 * Purpose    What is left behind when steps fail (leaks, obox 3.9) has no cure in the product. This
 *            compares everything that is stored with everything that rows name.
 * Safety     Rows are read first, all of them, at consistency ALL, so that a row that any replica
 *            has counts; then objects are listed. An object is a leak only if no row names it, it
 *            was older than `min_age` when the rows began to be read (what is being written has an
 *            object before it has a row), it has Dovecot's metadata, and, when it comes to its
 *            deletion, it still has no reverse row (a copy has one before the row that it was
 *            copied from is gone). What is not sure is kept. Backends may go on working; users that
 *            are being migrated or rebuilt may not.
 * Names      Rows and objects are compared by the last part of an object's path, as a hash: two
 *            that are equal keep an object that could go, never the other way round.
 * Memory     Does not depend on the number of rows or objects (hash-runs.h).
 * Errors     LAB_UNSUPPORTED: the storage cannot be listed, or there is no dict. Else what dict or
 *            storage say; nothing is deleted after an error.
 */
#ifndef LAB_OBOX_STORAGE_GC_H
#define LAB_OBOX_STORAGE_GC_H

#include "core/fs/fs-api.h"

/* The longest write ladder ends sooner. */
#define STORAGE_GC_MIN_AGE 3600

typedef int (*storage_gc_add_fn)(void *ctx, struct lab_view name, struct lab_error *err);

/* Where references come from; see gc-rows.h. */
struct storage_gc_rows {
	/* Calls add() with every name that any row mentions. */
	int (*each)(void *ctx, storage_gc_add_fn add, void *add_ctx, struct lab_error *err);
	/* 1: a row refers to the object of that name right now; 0; -1. */
	int (*is_referenced)(void *ctx, struct lab_view name, struct lab_error *err);
	void *ctx;
};

enum storage_gc_state {
	STORAGE_GC_LEAK,
	STORAGE_GC_FOREIGN /* no row, and nothing says that it is Dovecot's: kept */
};

struct storage_gc_settings {
	struct env *env;
	const struct storage_gc_rows *rows;
	const char *directory; /* for what does not fit into memory */
	size_t hashes_in_memory;
	int64_t min_age; /* seconds; STORAGE_GC_MIN_AGE at least, unless is_unsafe */
	bool is_unsafe;  /* of tests and simulated worlds, whose ladders are short */
	bool do_delete;  /* else a dry run */
	/* Each leak and each foreign object; may be NULL. */
	void (*report)(void *ctx, struct lab_view path, enum storage_gc_state state, int64_t age);
	void *report_ctx;
};

struct storage_gc_result {
	uint64_t rows, objects, referenced, young, foreign;
	uint64_t leaks;   /* of them */
	uint64_t deleted; /* not in a dry run */
	uint64_t failed;  /* that could not be deleted */
	uint64_t saved;   /* got a row since */
};

struct storage_gc;

/* Reads the rows. Blocks. */
int storage_gc_begin(
	const struct storage_gc_settings *settings, struct storage_gc **ret, struct lab_error *err);
/* Everything whose path begins with `prefix`, through the storage of the stack. Adds to the result.
 * Blocks. */
int storage_gc_run(
	struct storage_gc *gc, struct fs *stack, struct lab_view prefix, struct lab_error *err);
const struct storage_gc_result *storage_gc_result(const struct storage_gc *gc);
/* NULLs the pointer; accepts NULL. */
void storage_gc_end(struct storage_gc **gc);

#endif
