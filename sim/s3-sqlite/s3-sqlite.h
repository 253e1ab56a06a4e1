/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-sqlite.h - a storage engine of the S3 emulator that keeps everything in one SQLite file.
 *
 * Purpose    `oboxlab serve --data DIR`: buckets, objects with all that belongs to them, uploads in
 *            progress with their parts, and temporary keys outlive the program. Nothing is computed
 *            anew when it is read: an ETag is what it was.
 * Use        s3sqlite_open(), then s3emu_options.engine_ops and .engine; s3emu_buckets_restore()
 *            after the buckets of the configuration were added. Close it after s3emu_free().
 * Durable    A request is one transaction: all of it was committed before its answer leaves, or
 *            none of it and the answer is 500 InternalError (input/output error, corruption) or 503
 *            ServiceUnavailable (disk full, bytes_max). With `sync` (the default of serve) the
 *            commit is on the disk (WAL, synchronous=FULL, one fsync for each writing request);
 *            without, it survives the end of the program, also by kill -9, but not of the machine.
 * Memory     Bodies are read and written in pieces of 1 MiB, but a body that is being sent or
 *            received is in memory as a whole, within s3emu_limits.stored_bytes_max for all of
 *            them together. SQLite's own cache is 16 MiB.
 * Threads    One at a time: s3sqlite_open() may be another one than the emulator's.
 * Errors     s3sqlite_open(): LAB_NOT_FOUND (no such folder, no permission), LAB_EXISTS (in use by
 *            another program), LAB_CORRUPT, LAB_INVALID (somebody else's file),
 *            LAB_UNSUPPORTED (of a newer oboxlab). One sentence each, with the path.
 */
#ifndef LAB_S3_SQLITE_H
#define LAB_S3_SQLITE_H

#include "sim/s3-emulator/s3-emulator.h"

struct s3sqlite;

struct s3sqlite_settings {
	const char *path;   /* of the file, made if it is not there; its folder must be */
	bool sync;          /* see above */
	uint64_t bytes_max; /* of the file; 0: not limited */
};

int s3sqlite_open(struct lab_heap *heap, const struct s3sqlite_settings *settings,
	struct s3sqlite **ret, struct lab_error *err);
/* NULLs the pointer; accepts NULL. */
void s3sqlite_close(struct s3sqlite **db);

extern const struct s3emu_engine_ops s3sqlite_ops;

/* Temporary keys: kept until they expire, given to the emulator again by restore. A long-term key
 * is the configuration's, and is not kept. */
void s3sqlite_credentials_keep(struct s3sqlite *db, const struct sim_credentials *credentials);
int s3sqlite_credentials_restore(
	struct s3sqlite *db, struct s3emu *s3, int64_t now_unix, struct lab_error *err);

struct s3sqlite_stats {
	uint64_t commits;
	uint64_t failures;        /* requests of which nothing was kept */
	const char *last_failure; /* SQLite's words; "" if there was none */
};
void s3sqlite_stats(const struct s3sqlite *db, struct s3sqlite_stats *ret);

#endif
