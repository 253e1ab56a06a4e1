/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c - the file: whose it is, its tables, the statements.
 */
#include "sim/s3-sqlite/s3-sqlite-private.h"

#define APPLICATION_ID 0x6f62784c /* "obxL" */
#define SCHEMA_VERSION 1
#define PAGE_BYTES 4096
/* Larger files are not read through at the start; what is wrong in them shows when it is read. */
#define CHECK_BYTES_MAX (INT64_C(256) << 20)

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
	"token BLOB NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1868724300;"
	"PRAGMA user_version = 1;";

static const char *const statement_texts[] = {
#define X(name, text) text,
	S3SQLITE_STATEMENTS(X)
#undef X
};

static int fail(struct s3sqlite *db, const char *path, struct lab_error *err)
{
	int code = sqlite3_errcode(db->sql) & 0xff;

	switch (code) {
	case SQLITE_NOTADB:
		return lab_fail(err, LAB_INVALID, "%s: this is not an SQLite database", path);
	case SQLITE_CORRUPT:
		return lab_fail(err, LAB_CORRUPT, "%s: the database is damaged", path);
	case SQLITE_BUSY:
		return lab_fail(err, LAB_EXISTS, "%s: it is in use by another program", path);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return lab_fail(err, LAB_NOT_FOUND,
			"%s: it cannot be opened for writing; is the folder there?", path);
	case SQLITE_FULL:
		return lab_fail(err, LAB_NO_SPACE, "%s: no space left", path);
	default:
		return lab_fail(err, LAB_IO, "%s: %s", path, sqlite3_errmsg(db->sql));
	}
}

/* The first column of the first row. */
static int ask(struct s3sqlite *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *statement;
	int code;

	if (sqlite3_prepare_v2(db->sql, text, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	return sqlite3_finalize(statement) == SQLITE_OK && code == SQLITE_ROW ? 0 : -1;
}

static int execute(struct s3sqlite *db, const char *text)
{
	return sqlite3_exec(db->sql, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* ---- whose it is ---- */

static int check_identity(struct s3sqlite *db, const char *path, struct lab_error *err)
{
	int64_t application, version, tables;

	if (ask(db, "PRAGMA application_id", &application) < 0 ||
		ask(db, "PRAGMA user_version", &version) < 0 ||
		ask(db, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return fail(db, path, err);
	if (tables == 0 && application == 0 && version == 0)
		return 1;
	if (application != APPLICATION_ID)
		return lab_fail(err, LAB_INVALID,
			"%s: this is another program's database, not oboxlab's", path);
	if (version > SCHEMA_VERSION)
		return lab_fail(err, LAB_UNSUPPORTED,
			"%s: it was written by a newer oboxlab (schema %d, this one knows %d)",
			path, (int)version, SCHEMA_VERSION);
	return 0;
}

/* Says "ok" if nothing is wrong. */
static int check_pages(struct s3sqlite *db, const char *path, struct lab_error *err)
{
	sqlite3_stmt *statement;
	int64_t pages;
	bool ok;

	if (ask(db, "PRAGMA page_count", &pages) < 0)
		return fail(db, path, err);
	if (pages > CHECK_BYTES_MAX / PAGE_BYTES)
		return 0;
	if (sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK)
		return fail(db, path, err);
	ok = sqlite3_step(statement) == SQLITE_ROW &&
	     lab_view_eq_cstr(s3sqlite_column(statement, 0), "ok");
	(void)sqlite3_finalize(statement);
	return ok ? 0 : lab_fail(err, LAB_CORRUPT, "%s: the database is damaged", path);
}

/* ---- settings ---- */

static int limit_size(struct s3sqlite *db, uint64_t bytes_max)
{
	char text[64];
	int64_t pages = (int64_t)LAB_MIN(bytes_max / PAGE_BYTES, (uint64_t)INT32_MAX);

	if (bytes_max == 0)
		return 0;
	(void)sqlite3_snprintf(sizeof(text), text, "PRAGMA max_page_count = %lld",
		(long long)LAB_MAX(pages, INT64_C(1)));
	return ask(db, text, &pages);
}

/* An empty transaction takes the lock now, so that a second program hears of it here. */
static int configure(struct s3sqlite *db, const struct s3sqlite_settings *settings)
{
	return execute(db, "PRAGMA journal_mode = WAL;"
			   "PRAGMA cache_size = -16384;"
			   "PRAGMA mmap_size = 0;"
			   "PRAGMA cell_size_check = ON;"
			   "PRAGMA trusted_schema = OFF;"
			   "BEGIN EXCLUSIVE; COMMIT;") < 0 ||
			       execute(db, settings->sync ? "PRAGMA synchronous = FULL"
							  : "PRAGMA synchronous = NORMAL") < 0
		       ? -1
		       : limit_size(db, settings->bytes_max);
}

static int prepare(struct s3sqlite *db)
{
	for (size_t i = 0; i < S3SQLITE_STATEMENT_COUNT; i++) {
		if (sqlite3_prepare_v3(db->sql, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &db->statements[i], NULL) != SQLITE_OK)
			return -1;
	}
	return 0;
}

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
	int is_new;

	/* Nobody else has it while we do, and the WAL needs no shared memory. */
	if (execute(db, "PRAGMA locking_mode = EXCLUSIVE") < 0)
		return fail(db, settings->path, err);
	/* Before anything is written: it may not be ours. */
	is_new = check_identity(db, settings->path, err);
	if (is_new < 0)
		return -1;
	if (configure(db, settings) < 0)
		return fail(db, settings->path, err);
	if (is_new == 0 && check_pages(db, settings->path, err) < 0)
		return -1;
	if (is_new > 0 && (execute(db, "BEGIN IMMEDIATE") < 0 || execute(db, schema) < 0 ||
				  execute(db, "COMMIT") < 0))
		return fail(db, settings->path, err);
	if (prepare(db) < 0 || find_next_body(db) < 0)
		return fail(db, settings->path, err);
	return 0;
}
