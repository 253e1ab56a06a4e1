/* SPDX-License-Identifier: Apache-2.0
 *
 * sqlite-file.h - opening an SQLite file that is ours, or nobody's yet.
 *
 * Purpose    What the emulators' stores on disk have in common (sim/s3-sqlite, sim/cql-sqlite): a
 *            file that is another program's, of another version, damaged or in use is refused in
 *            one sentence before anything is written to it.
 * Use        sqlite_file_open(), then the caller prepares its statements on the connection, and
 *            ends with sqlite3_close(). The file belongs to one program (locking_mode EXCLUSIVE).
 * Durable    WAL. With `sync` a commit is on the disk (synchronous FULL, one fsync); without, it
 *            survives the end of the program, also by kill -9, but not of the machine.
 * Errors     LAB_NOT_FOUND (no such folder, no permission), LAB_EXISTS (in use by another program),
 *            LAB_CORRUPT, LAB_INVALID (somebody else's file), LAB_UNSUPPORTED (another version),
 *            LAB_NO_SPACE, LAB_IO. One sentence each, with the path.
 */
#ifndef SIM_SQLITE_FILE_H
#define SIM_SQLITE_FILE_H

#include <sqlite3.h>

#include "core/base/base.h"

struct sqlite_file_settings {
	const char *path; /* made if it is not there; its folder must be */
	bool sync;
	uint64_t bytes_max;     /* of the file; 0: not limited */
	uint32_t application;   /* application_id: whose it is */
	unsigned version;       /* user_version: of the tables */
	const char *tables;     /* SQL that makes them, in a new file */
	unsigned cache_kib;     /* SQLite's own */
	unsigned wal_pages_max; /* 4 KiB each; then they go into the file. 0: SQLite's 1,000 */
};
int sqlite_file_open(
	const struct sqlite_file_settings *settings, sqlite3 **ret, struct lab_error *err);
/* The last failure in a sentence with the path. Returns -1. */
int sqlite_file_fail(sqlite3 *sql, const char *path, struct lab_error *err);

/* Prepares `count` statements that stay. 0, -1. */
int sqlite_file_prepare(sqlite3 *sql, const char *const *texts, size_t count, sqlite3_stmt **ret);
/* Of a statement: blobs; empty ones are no NULL. Borrowed until it has been stepped. */
void sqlite_file_bind(sqlite3_stmt *statement, int index, struct lab_view bytes);
/* Borrowed until the next step. */
struct lab_view sqlite_file_column(sqlite3_stmt *statement, int column);

#endif
