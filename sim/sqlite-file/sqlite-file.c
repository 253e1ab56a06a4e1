/* SPDX-License-Identifier: Apache-2.0
 *
 * sqlite-file.c - whose a file is, and how it is used.
 */
#include "sim/sqlite-file/sqlite-file.h"

#define PAGE_BYTES 4096
#define BUSY_MS 0 /* locked by somebody else: said at once */
/* Larger files are not read through at the start; what is wrong in them shows when it is read. */
#define CHECK_BYTES_MAX (INT64_C(256) << 20)

int sqlite_file_fail(sqlite3 *sql, const char *path, struct lab_error *err)
{
	int code = sqlite3_errcode(sql) & 0xff;

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
		return lab_fail(err, LAB_IO, "%s: %s", path, sqlite3_errmsg(sql));
	}
}

/* The first column of the first row. */
static int ask(sqlite3 *sql, const char *text, int64_t *ret)
{
	sqlite3_stmt *statement;
	int code;

	if (sqlite3_prepare_v2(sql, text, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	return sqlite3_finalize(statement) == SQLITE_OK && code == SQLITE_ROW ? 0 : -1;
}

static int execute(sqlite3 *sql, const char *text)
{
	return sqlite3_exec(sql, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* ---- whose it is ---- */

static int check_identity(
	sqlite3 *sql, const struct sqlite_file_settings *settings, struct lab_error *err)
{
	int64_t application, version, tables;
	const char *path = settings->path;

	if (ask(sql, "PRAGMA application_id", &application) < 0 ||
		ask(sql, "PRAGMA user_version", &version) < 0 ||
		ask(sql, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return sqlite_file_fail(sql, path, err);
	if (tables == 0 && application == 0 && version == 0)
		return 1;
	if (application != (int64_t)settings->application)
		return lab_fail(err, LAB_INVALID,
			"%s: this is another program's database, not oboxlab's", path);
	if (version == (int64_t)settings->version)
		return 0;
	return lab_fail(err, LAB_UNSUPPORTED,
		"%s: it was written by %s oboxlab (schema %d, this one knows %u)", path,
		version > (int64_t)settings->version ? "a newer" : "an older", (int)version,
		settings->version);
}

/* Says "ok" if nothing is wrong. */
static int check_pages(sqlite3 *sql, const char *path, struct lab_error *err)
{
	sqlite3_stmt *statement;
	int64_t pages;
	bool ok;

	if (ask(sql, "PRAGMA page_count", &pages) < 0)
		return sqlite_file_fail(sql, path, err);
	if (pages > CHECK_BYTES_MAX / PAGE_BYTES)
		return 0;
	if (sqlite3_prepare_v2(sql, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK)
		return sqlite_file_fail(sql, path, err);
	ok = sqlite3_step(statement) == SQLITE_ROW &&
	     lab_view_eq_cstr(sqlite_file_column(statement, 0), "ok");
	(void)sqlite3_finalize(statement);
	return ok ? 0 : lab_fail(err, LAB_CORRUPT, "%s: the database is damaged", path);
}

/* ---- settings ---- */

static int limit_size(sqlite3 *sql, uint64_t bytes_max)
{
	char text[64];
	int64_t pages = (int64_t)LAB_MIN(bytes_max / PAGE_BYTES, (uint64_t)INT32_MAX);

	if (bytes_max == 0)
		return 0;
	(void)sqlite3_snprintf(sizeof(text), text, "PRAGMA max_page_count = %lld",
		(long long)LAB_MAX(pages, INT64_C(1)));
	return ask(sql, text, &pages);
}

static int set_number(sqlite3 *sql, const char *pragma, int64_t number)
{
	char text[96];

	(void)sqlite3_snprintf(sizeof(text), text, "PRAGMA %s = %lld", pragma, (long long)number);
	return execute(sql, text);
}

/* An empty transaction takes the lock now, so that a second program hears of it here. */
static int configure(sqlite3 *sql, const struct sqlite_file_settings *settings)
{
	if (execute(sql, "PRAGMA journal_mode = WAL;"
			 "PRAGMA mmap_size = 0;"
			 "PRAGMA cell_size_check = ON;"
			 "PRAGMA trusted_schema = OFF;"
			 "BEGIN EXCLUSIVE; COMMIT;") < 0 ||
		set_number(sql, "cache_size", -(int64_t)settings->cache_kib) < 0)
		return -1;
	if (settings->wal_pages_max > 0 &&
		set_number(sql, "wal_autocheckpoint", settings->wal_pages_max) < 0)
		return -1;
	if (execute(sql, settings->sync ? "PRAGMA synchronous = FULL"
					: "PRAGMA synchronous = NORMAL") < 0)
		return -1;
	return limit_size(sql, settings->bytes_max);
}

static int create(sqlite3 *sql, const struct sqlite_file_settings *settings)
{
	if (execute(sql, "BEGIN IMMEDIATE") < 0 || execute(sql, settings->tables) < 0 ||
		set_number(sql, "application_id", settings->application) < 0 ||
		set_number(sql, "user_version", settings->version) < 0)
		return -1;
	return execute(sql, "COMMIT");
}

static int setup(sqlite3 *sql, const struct sqlite_file_settings *settings, struct lab_error *err)
{
	int is_new;

	/* Nobody else has it while we do, and the WAL needs no shared memory. */
	if (execute(sql, "PRAGMA locking_mode = EXCLUSIVE") < 0)
		return sqlite_file_fail(sql, settings->path, err);
	/* Before anything is written: it may not be ours. */
	is_new = check_identity(sql, settings, err);
	if (is_new < 0)
		return -1;
	if (configure(sql, settings) < 0)
		return sqlite_file_fail(sql, settings->path, err);
	if (is_new == 0)
		return check_pages(sql, settings->path, err);
	return create(sql, settings) < 0 ? sqlite_file_fail(sql, settings->path, err) : 0;
}

int sqlite_file_open(
	const struct sqlite_file_settings *settings, sqlite3 **ret, struct lab_error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_EXRESCODE;
	sqlite3 *sql = NULL;

	if (sqlite3_open_v2(settings->path, &sql, flags, NULL) != SQLITE_OK) {
		lab_fail(err, LAB_NOT_FOUND,
			"%s: it cannot be opened for writing; is the folder there?",
			settings->path);
		(void)sqlite3_close(sql);
		return -1;
	}
	(void)sqlite3_busy_timeout(sql, BUSY_MS);
	if (setup(sql, settings, err) < 0) {
		(void)sqlite3_close(sql);
		return -1;
	}
	*ret = sql;
	return 0;
}

/* ---- statements ---- */

int sqlite_file_prepare(sqlite3 *sql, const char *const *texts, size_t count, sqlite3_stmt **ret)
{
	for (size_t i = 0; i < count; i++) {
		if (sqlite3_prepare_v3(sql, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret[i],
			    NULL) != SQLITE_OK)
			return -1;
	}
	return 0;
}

void sqlite_file_bind(sqlite3_stmt *statement, int index, struct lab_view bytes)
{
	/* A NULL pointer would be NULL, not an empty blob. */
	(void)sqlite3_bind_blob64(statement, index, bytes.len == 0 ? (const void *)"" : bytes.ptr,
		bytes.len, SQLITE_STATIC);
}

struct lab_view sqlite_file_column(sqlite3_stmt *statement, int column)
{
	const void *bytes = sqlite3_column_blob(statement, column);

	return lab_view_of(bytes, (size_t)sqlite3_column_bytes(statement, column));
}
