/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-sqlite-private.h - the open file, its statements, and rows as bytes.
 */
#ifndef LAB_S3_SQLITE_PRIVATE_H
#define LAB_S3_SQLITE_PRIVATE_H

#include "sim/s3-emulator/s3-emulator-private.h"
#include "sim/s3-sqlite/s3-sqlite.h"
#include "sim/sqlite-file/sqlite-file.h"

#define CHUNK_BYTES ((size_t)1 << 20)
#define CHUNK_BITS 20 /* of a chunk's id that number the chunks of one body */

/* X(name, sql) */
#define S3SQLITE_STATEMENTS(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(ROLLBACK, "ROLLBACK") \
	X(BUCKET_OPEN, \
		"INSERT INTO buckets (name, owner, created_us) VALUES (?1, ?2, ?3) ON CONFLICT " \
		"(name) DO UPDATE SET owner = excluded.owner RETURNING id, created_us") \
	X(BUCKET_CLOSE, "DELETE FROM buckets WHERE id = ?1") \
	X(BUCKET_NEXT, \
		"SELECT name, owner, created_us FROM buckets WHERE name > ?1 ORDER BY name LIMIT " \
		"1") \
	X(TOTALS, \
		"SELECT space, deleted, count(*), sum(size) FROM entries WHERE bucket = ?1 GROUP " \
		"BY space, deleted") \
	X(BODIES, "SELECT body FROM entries WHERE bucket = ?1 AND body > 0") \
	X(EMPTY, "DELETE FROM entries WHERE bucket = ?1") \
	X(FIND, "SELECT deleted, creations, overwritten, size, body FROM entries WHERE bucket = " \
		"?1 AND space = ?2 AND key = ?3") \
	X(GET, "SELECT key, creations, overwritten, size, body, body_hash, modified_us, etag, " \
	       "headers, parts FROM entries WHERE bucket = ?1 AND space = ?2 AND key = ?3 AND " \
	       "deleted = 0") \
	X(NEXT, "SELECT key, creations, overwritten, size, body, body_hash, modified_us, etag, " \
		"headers, parts FROM entries WHERE bucket = ?1 AND space = ?2 AND key >= ?3 AND " \
		"deleted = 0 ORDER BY key LIMIT 1") \
	X(NEXT_AFTER, \
		"SELECT key, creations, overwritten, size, body, body_hash, modified_us, etag, " \
		"headers, parts FROM entries WHERE bucket = ?1 AND space = ?2 AND key > ?3 AND " \
		"deleted = 0 ORDER BY key LIMIT 1") \
	X(PUT, "INSERT OR REPLACE INTO entries (bucket, space, key, deleted, creations, " \
	       "overwritten, size, body, body_hash, modified_us, etag, headers, parts) VALUES " \
	       "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)") \
	X(REMOVE, "DELETE FROM entries WHERE bucket = ?1 AND space = ?2 AND key = ?3") \
	X(CHUNK_PUT, "INSERT INTO chunks (id, data) VALUES (?1, ?2)") \
	X(CHUNKS_GET, "SELECT data FROM chunks WHERE id >= ?1 AND id < ?2 ORDER BY id") \
	X(CHUNKS_REMOVE, "DELETE FROM chunks WHERE id >= ?1 AND id < ?2") \
	X(CHUNK_LAST, "SELECT ifnull(max(id), 0) FROM chunks") \
	X(KEY_PUT, \
		"INSERT OR REPLACE INTO keys (id, account, secret, token, expires) VALUES (?1, " \
		"?2, ?3, ?4, ?5)") \
	X(KEYS_EXPIRE, "DELETE FROM keys WHERE expires <= ?1") \
	X(KEYS, "SELECT id, account, secret, token, expires FROM keys ORDER BY id")

enum s3sqlite_statement {
#define X(name, sql) S3SQLITE_##name,
	S3SQLITE_STATEMENTS(X)
#undef X
	S3SQLITE_STATEMENT_COUNT
};

struct s3sqlite {
	struct lab_heap *heap;
	struct lab_arena *arena; /* keys that were handed out, until the request ends */
	struct s3emu *s3;
	sqlite3 *sql;
	sqlite3_stmt *statements[S3SQLITE_STATEMENT_COUNT];
	uint64_t next_body;
	bool in_transaction;
	int failed; /* SQLite's code; 0: not in this request */
	struct lab_buf headers, parts;
	struct s3sqlite_stats stats;
	char last_failure[128];
};

/* Of a bucket: its number in the file. */
struct s3sqlite_bucket {
	int64_t id;
	uint64_t remembered;
};

/* schema.c: tables, identity, limits; statements are prepared. */
int s3sqlite_setup(
	struct s3sqlite *db, const struct s3sqlite_settings *settings, struct lab_error *err);

/* The request fails with this code. Returns -1. */
int s3sqlite_broken(struct s3sqlite *db, int code);
/* Rewound, with `values` bound to ?1, ?2...; the caller steps, or uses s3sqlite_run(). */
sqlite3_stmt *s3sqlite_use(struct s3sqlite *db, enum s3sqlite_statement statement);
/* Steps: 1 a row, 0 none, -1 broken. */
int s3sqlite_step(struct s3sqlite *db, sqlite3_stmt *statement);
/* Steps to the end and rewinds. 0, or -1 broken. */
int s3sqlite_finish_statement(struct s3sqlite *db, sqlite3_stmt *statement);

/* row.c: headers and parts as bytes. 0, or -1 if they are not what was written. */
void s3sqlite_encode_headers(struct lab_buf *out, const struct s3emu_object *object);
void s3sqlite_encode_parts(struct lab_buf *out, const struct s3emu_object *object);
int s3sqlite_decode_headers(struct lab_arena *arena, struct lab_view bytes,
	struct lab_http_header **ret, size_t *ret_count);
int s3sqlite_decode_parts(
	struct lab_arena *arena, struct lab_view bytes, struct s3emu_part **ret, size_t *ret_count);

#endif
