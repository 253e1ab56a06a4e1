/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-sqlite.h - a storage engine of the Cassandra emulator that keeps everything in one SQLite
 * file.
 *
 * Purpose    `oboxlab serve --data DIR`: the schema and every replica's partitions, rows, cells and
 *            tombstones outlive the program. What is there is read when it is asked for: data may
 *            be larger than memory.
 * Use        cqlsqlite_open(), then cqlemu_options.engine_ops and .engine. Close it after
 *            cqlemu_free().
 * Durable    What one call into the emulator did is one transaction, committed before its answers
 *            leave: it survives the end of the program, also by kill -9. With `sync` it is on the
 *            disk, too (one fsync for all requests that were read at once), as with Cassandra's
 *            commitlog_sync batch; without, as with its default, periodic.
 * Memory     SQLite's own cache is 64 MiB; the emulator has one partition's head and one row of
 *            each store at hand, and what a read returns.
 * Threads    One at a time: cqlsqlite_open() may be another one than the emulator's.
 * Errors     As sqlite_file_open()'s; and of cqlemu_new() LAB_INVALID if the file is of another
 *            cluster.
 */
#ifndef LAB_CQL_SQLITE_H
#define LAB_CQL_SQLITE_H

#include "sim/cql-emulator/storage-engine.h"

struct cqlsqlite;

struct cqlsqlite_settings {
	const char *path;   /* of the file, made if it is not there; its folder must be */
	bool sync;          /* see above */
	uint64_t bytes_max; /* of the file; 0: not limited */
};

int cqlsqlite_open(struct lab_heap *heap, const struct cqlsqlite_settings *settings,
	struct cqlsqlite **ret, struct lab_error *err);
/* NULLs the pointer; accepts NULL. */
void cqlsqlite_close(struct cqlsqlite **db);

extern const struct cqlemu_engine_ops cqlsqlite_ops;

struct cqlsqlite_stats {
	uint64_t commits;
	uint64_t failures;        /* commits of which nothing was kept */
	const char *last_failure; /* SQLite's words; "" if there was none */
};
void cqlsqlite_stats(const struct cqlsqlite *db, struct cqlsqlite_stats *ret);

#endif
