/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c - the tables, and the statements.
 */
#include "sim/s3-sqlite/s3-sqlite-private.h"

#define APPLICATION_ID 0x6f62784c /* "obxL" */
#define SCHEMA_VERSION 1
#define CACHE_KIB 16384

/* Keys are compared byte by byte: that is S3's order. A body's chunks have ids next to each other,
 * body << CHUNK_BITS | n. `body` is NULL without one, 0 for an empty one. */
static const char schema[] =
	"CREATE TABLE buckets (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, owner BLOB NOT "
	"NULL, created_us INTEGER NOT NULL) STRICT;"
	"CREATE TABLE entries (bucket INTEGER NOT NULL, space INTEGER NOT NULL, key BLOB NOT NULL, "
	"deleted INTEGER NOT NULL, creations INTEGER NOT NULL, overwritten INTEGER NOT NULL, "
	"size INTEGER NOT NULL, body INTEGER, body_hash INTEGER NOT NULL, modified_us INTEGER NOT "
	"NULL, etag BLOB NOT NULL, headers BLOB NOT NULL, parts BLOB NOT NULL, "
	"PRIMARY KEY (bucket, space, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE chunks (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE keys (id BLOB PRIMARY KEY, account BLOB NOT NULL, secret BLOB NOT NULL, "
	"token BLOB NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

static const char *const statement_texts[] = {
#define X(name, text) text,
	S3SQLITE_STATEMENTS(X)
#undef X
};

static int find_next_body(struct s3sqlite *db)
{
	sqlite3_stmt *statement = s3sqlite_use(db, S3SQLITE_CHUNK_LAST);

	if (sqlite3_step(statement) != SQLITE_ROW)
		return -1;
	db->next_body = ((uint64_t)sqlite3_column_int64(statement, 0) >> CHUNK_BITS) + 1;
	return sqlite3_reset(statement) == SQLITE_OK ? 0 : -1;
}

int s3sqlite_setup(
	struct s3sqlite *db, const struct s3sqlite_settings *settings, struct lab_error *err)
{
	struct sqlite_file_settings file = { .path = settings->path,
		.sync = settings->sync,
		.bytes_max = settings->bytes_max,
		.application = APPLICATION_ID,
		.version = SCHEMA_VERSION,
		.tables = schema,
		.cache_kib = CACHE_KIB };

	if (sqlite_file_open(&file, &db->sql, err) < 0)
		return -1;
	if (sqlite_file_prepare(
		    db->sql, statement_texts, S3SQLITE_STATEMENT_COUNT, db->statements) < 0 ||
		find_next_body(db) < 0)
		return sqlite_file_fail(db->sql, settings->path, err);
	return 0;
}
