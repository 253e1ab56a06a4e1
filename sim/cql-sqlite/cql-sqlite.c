/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-sqlite.c - the engine: stores, partitions and rows as ordered bytes in SQLite; a transaction
 * begins with the first change and ends with commit().
 */
#include "sim/cql-sqlite/cql-sqlite.h"

#include "sim/sqlite-file/sqlite-file.h"

#define APPLICATION_ID 0x6f626358 /* "obcX" */
#define SCHEMA_VERSION 1
#define CACHE_KIB (64 * 1024)
#define WAL_PAGES_MAX 8192 /* 32 MiB */
/* A partition's id is its store's, shifted, and a number: a store is one range in both tables. */
#define STORE_SHIFT 40

/* Blobs are compared byte by byte: that is the order of comparable bytes. */
static const char tables[] =
	"CREATE TABLE cluster (id INTEGER PRIMARY KEY CHECK (id = 1), description BLOB NOT NULL) "
	"STRICT;"
	"CREATE TABLE statements (number INTEGER PRIMARY KEY AUTOINCREMENT, schema_version INTEGER "
	"NOT NULL, keyspace BLOB NOT NULL, of_table BLOB NOT NULL, current BLOB NOT NULL, text "
	"BLOB NOT NULL) STRICT;"
	"CREATE TABLE stores (id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE) "
	"STRICT;"
	"CREATE TABLE partitions (id INTEGER PRIMARY KEY, store INTEGER NOT NULL, token INTEGER "
	"NOT NULL, key BLOB NOT NULL, head BLOB NOT NULL, UNIQUE (store, token, key)) STRICT;"
	"CREATE TABLE rows (partition INTEGER NOT NULL, key BLOB NOT NULL, data BLOB NOT NULL, "
	"PRIMARY KEY (partition, key)) STRICT, WITHOUT ROWID;";

#define PARTITION "SELECT id, token, key, head FROM partitions WHERE store = ?1 AND "
#define ROW "SELECT key, data FROM rows WHERE partition = ?1 "

/* X(name, sql) */
#define STATEMENTS(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(ROLLBACK, "ROLLBACK") \
	X(CLUSTER_GET, "SELECT description FROM cluster") \
	X(CLUSTER_PUT, "INSERT INTO cluster (id, description) VALUES (1, ?1)") \
	X(STATEMENT_ADD, "INSERT INTO statements (schema_version, keyspace, of_table, current, " \
			 "text) VALUES " \
			 "(?1, ?2, ?3, ?4, ?5)") \
	X(STATEMENTS_DROP, \
		"DELETE FROM statements WHERE keyspace = ?1 AND (of_table = ?2 OR ?2 = x'')") \
	X(STATEMENT_NEXT, "SELECT number, schema_version, keyspace, of_table, current, text FROM " \
			  "statements " \
			  "WHERE number > ?1 ORDER BY number LIMIT 1") \
	X(STORE_FIND, "SELECT id FROM stores WHERE name = ?1") \
	X(STORE_ADD, "INSERT INTO stores (name) VALUES (?1)") \
	X(STORE_REMOVE, "DELETE FROM stores WHERE id = ?1") \
	X(COUNT_PARTITIONS, "SELECT count(*) FROM partitions WHERE id >= ?1 AND id < ?2") \
	X(COUNT_ROWS, "SELECT count(*) FROM rows WHERE partition >= ?1 AND partition < ?2") \
	X(CLEAR_PARTITIONS, "DELETE FROM partitions WHERE id >= ?1 AND id < ?2") \
	X(CLEAR_ROWS, "DELETE FROM rows WHERE partition >= ?1 AND partition < ?2") \
	X(PARTITION_LAST, "SELECT max(id) FROM partitions WHERE id >= ?1 AND id < ?2") \
	X(PARTITION_FIND, PARTITION "token = ?2 AND key = ?3") \
	X(PARTITION_FROM, PARTITION "(token, key) >= (?2, ?3) ORDER BY token, key LIMIT 1") \
	X(PARTITION_AFTER, PARTITION "(token, key) > (?2, ?3) ORDER BY token, key LIMIT 1") \
	X(PARTITION_ADD, "INSERT INTO partitions (id, store, token, key, head) VALUES (?1, ?2, " \
			 "?3, ?4, ?5)") \
	X(PARTITION_PUT, "UPDATE partitions SET head = ?2 WHERE id = ?1") \
	X(PARTITION_REMOVE, "DELETE FROM partitions WHERE id = ?1") \
	X(ROW_FROM, ROW "AND key >= ?2 ORDER BY key LIMIT 1") \
	X(ROW_AFTER, ROW "AND key > ?2 ORDER BY key LIMIT 1") \
	X(ROW_UPTO, ROW "AND key <= ?2 ORDER BY key DESC LIMIT 1") \
	X(ROW_BEFORE, ROW "AND key < ?2 ORDER BY key DESC LIMIT 1") \
	X(ROW_LAST, ROW "ORDER BY key DESC LIMIT 1") \
	X(ROW_PUT, "INSERT OR REPLACE INTO rows (partition, key, data) VALUES (?1, ?2, ?3)") \
	X(ROW_REMOVE, "DELETE FROM rows WHERE partition = ?1 AND key = ?2")

enum statement {
#define X(name, sql) STATEMENT_##name,
	STATEMENTS(X)
#undef X
	STATEMENT_COUNT
};

static const char *const statement_texts[] = {
#define X(name, text) text,
	STATEMENTS(X)
#undef X
};

struct cqlsqlite {
	struct lab_heap *heap;
	sqlite3 *sql;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	sqlite3_stmt *row; /* stands on a row that was given out; NULL */
	bool in_transaction, failed;
	struct cqlsqlite_stats stats;
	char last_failure[128];
	char path[256];
};

/* ---- statements ---- */

static void fail(struct cqlsqlite *db, const char *words)
{
	if (!db->failed)
		(void)sqlite3_snprintf(sizeof(db->last_failure), db->last_failure, "%s", words);
	db->failed = true;
}

/* What the one before gave out is no longer valid. */
static sqlite3_stmt *use(struct cqlsqlite *db, enum statement name)
{
	(void)sqlite3_reset(db->row);
	db->row = NULL;
	return db->statements[name];
}

/* Is there a row? */
static bool step(struct cqlsqlite *db, sqlite3_stmt *statement)
{
	int code = db->failed ? SQLITE_DONE : sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		db->row = statement;
		return true;
	}
	if (code != SQLITE_DONE)
		fail(db, sqlite3_errmsg(db->sql));
	(void)sqlite3_reset(statement);
	return false;
}

/* One that gives no rows. */
static void run(struct cqlsqlite *db, sqlite3_stmt *statement)
{
	(void)step(db, statement);
}

static sqlite3_stmt *use_for_change(struct cqlsqlite *db, enum statement name)
{
	if (!db->in_transaction && !db->failed) {
		run(db, use(db, STATEMENT_BEGIN));
		db->in_transaction = !db->failed;
	}
	return use(db, name);
}

static void bind_number(sqlite3_stmt *statement, int index, int64_t number)
{
	(void)sqlite3_bind_int64(statement, index, number);
}

static void bind_store_range(sqlite3_stmt *statement, uint64_t store)
{
	bind_number(statement, 1, (int64_t)(store << STORE_SHIFT));
	bind_number(statement, 2, (int64_t)((store + 1) << STORE_SHIFT));
}

/* ---- the whole ---- */

static int keep_all(void *engine)
{
	struct cqlsqlite *db = engine;
	if (!db->failed && !db->in_transaction)
		return 0;
	run(db, use(db, STATEMENT_COMMIT));
	db->in_transaction = false;
	if (!db->failed) {
		db->stats.commits++;
		return 0;
	}
	db->failed = false;
	/* SQLite may have rolled back by itself. */
	if (!sqlite3_get_autocommit(db->sql))
		run(db, use(db, STATEMENT_ROLLBACK));
	db->failed = false;
	db->stats.failures++;
	return -1;
}

static void broken(void *engine)
{
	fail(engine, "the database is damaged");
}

static int identify(void *engine, struct lab_view cluster, struct lab_error *err)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *get = use(db, STATEMENT_CLUSTER_GET);
	if (step(db, get)) {
		if (lab_view_eq(sqlite_file_column(get, 0), cluster))
			return 0;
		return lab_fail(err, LAB_INVALID,
			"%s: these are another cluster's data (its name, seed, nodes or tokens "
			"differ)",
			db->path);
	}
	sqlite3_stmt *put = use_for_change(db, STATEMENT_CLUSTER_PUT);
	sqlite_file_bind(put, 1, cluster);
	run(db, put);
	if (keep_all(db) == 0)
		return 0;
	return lab_fail(err, LAB_IO, "%s: %s", db->path, db->last_failure);
}

/* ---- stores ---- */

static uint64_t count(struct cqlsqlite *db, enum statement name, uint64_t store)
{
	sqlite3_stmt *statement = use(db, name);
	uint64_t result = 0;
	bind_store_range(statement, store);
	if (step(db, statement))
		result = (uint64_t)sqlite3_column_int64(statement, 0);
	return result;
}

static uint64_t store_add(struct cqlsqlite *db, struct lab_view name)
{
	sqlite3_stmt *add = use_for_change(db, STATEMENT_STORE_ADD);
	sqlite_file_bind(add, 1, name);
	run(db, add);
	return db->failed ? 0 : (uint64_t)sqlite3_last_insert_rowid(db->sql);
}

static uint64_t store_open(
	void *engine, struct lab_view name, uint64_t *ret_partitions, uint64_t *ret_rows)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *find = use(db, STATEMENT_STORE_FIND);
	*ret_partitions = *ret_rows = 0;
	sqlite_file_bind(find, 1, name);
	if (!step(db, find))
		return store_add(db, name);
	uint64_t store = (uint64_t)sqlite3_column_int64(find, 0);
	*ret_partitions = count(db, STATEMENT_COUNT_PARTITIONS, store);
	*ret_rows = count(db, STATEMENT_COUNT_ROWS, store);
	return store;
}

static void store_clear(void *engine, uint64_t store)
{
	static const enum statement both[] = { STATEMENT_CLEAR_ROWS, STATEMENT_CLEAR_PARTITIONS };
	struct cqlsqlite *db = engine;
	for (size_t i = 0; i < LAB_COUNT_OF(both); i++) {
		sqlite3_stmt *clear = use_for_change(db, both[i]);
		bind_store_range(clear, store);
		run(db, clear);
	}
}

static void store_drop(void *engine, uint64_t store)
{
	struct cqlsqlite *db = engine;
	store_clear(db, store);
	sqlite3_stmt *remove = use_for_change(db, STATEMENT_STORE_REMOVE);
	bind_number(remove, 1, (int64_t)store);
	run(db, remove);
}

/* ---- partitions ---- */

static bool partition_get(struct cqlsqlite *db, enum statement name, uint64_t store, int64_t token,
	struct lab_view key, struct cqlemu_engine_partition *ret)
{
	sqlite3_stmt *statement = use(db, name);
	bind_number(statement, 1, (int64_t)store);
	bind_number(statement, 2, token);
	sqlite_file_bind(statement, 3, key);
	if (!step(db, statement))
		return false;
	*ret = (struct cqlemu_engine_partition){ .id = (uint64_t)sqlite3_column_int64(statement, 0),
		.token = sqlite3_column_int64(statement, 1),
		.key = sqlite_file_column(statement, 2),
		.head = sqlite_file_column(statement, 3) };
	return true;
}

static bool partition_find(void *engine, uint64_t store, int64_t token, struct lab_view key,
	struct cqlemu_engine_partition *ret)
{
	return partition_get(engine, STATEMENT_PARTITION_FIND, store, token, key, ret);
}

static bool partition_seek(void *engine, uint64_t store, int64_t token, struct lab_view key,
	bool after, struct cqlemu_engine_partition *ret)
{
	return partition_get(engine, after ? STATEMENT_PARTITION_AFTER : STATEMENT_PARTITION_FROM,
		store, token, key, ret);
}

static uint64_t partition_add(
	void *engine, uint64_t store, int64_t token, struct lab_view key, struct lab_view head)
{
	struct cqlsqlite *db = engine;
	uint64_t last = count(db, STATEMENT_PARTITION_LAST, store);
	uint64_t id = (last == 0 ? store << STORE_SHIFT : last) + 1;
	sqlite3_stmt *add = use_for_change(db, STATEMENT_PARTITION_ADD);
	bind_number(add, 1, (int64_t)id);
	bind_number(add, 2, (int64_t)store);
	bind_number(add, 3, token);
	sqlite_file_bind(add, 4, key);
	sqlite_file_bind(add, 5, head);
	run(db, add);
	return db->failed ? 0 : id;
}

static void partition_put(void *engine, uint64_t partition, struct lab_view head)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *put = use_for_change(db, STATEMENT_PARTITION_PUT);
	bind_number(put, 1, (int64_t)partition);
	sqlite_file_bind(put, 2, head);
	run(db, put);
}

static void partition_remove(void *engine, uint64_t partition)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *remove = use_for_change(db, STATEMENT_PARTITION_REMOVE);
	bind_number(remove, 1, (int64_t)partition);
	run(db, remove);
}

/* ---- rows ---- */

static bool row_seek(void *engine, uint64_t partition, struct lab_view key,
	enum cqlemu_engine_seek how, struct cqlemu_engine_row *ret)
{
	static const enum statement names[] = { [CQLEMU_SEEK_FROM] = STATEMENT_ROW_FROM,
		[CQLEMU_SEEK_AFTER] = STATEMENT_ROW_AFTER,
		[CQLEMU_SEEK_UPTO] = STATEMENT_ROW_UPTO,
		[CQLEMU_SEEK_BEFORE] = STATEMENT_ROW_BEFORE,
		[CQLEMU_SEEK_LAST] = STATEMENT_ROW_LAST };
	struct cqlsqlite *db = engine;
	sqlite3_stmt *seek = use(db, names[how]);
	bind_number(seek, 1, (int64_t)partition);
	if (how != CQLEMU_SEEK_LAST)
		sqlite_file_bind(seek, 2, key);
	if (!step(db, seek))
		return false;
	ret->key = sqlite_file_column(seek, 0);
	ret->bytes = sqlite_file_column(seek, 1);
	return true;
}

static void row_put(void *engine, uint64_t partition, struct lab_view key, struct lab_view row)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *put = use_for_change(db, STATEMENT_ROW_PUT);
	bind_number(put, 1, (int64_t)partition);
	sqlite_file_bind(put, 2, key);
	sqlite_file_bind(put, 3, row);
	run(db, put);
}

static void row_remove(void *engine, uint64_t partition, struct lab_view key)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *remove = use_for_change(db, STATEMENT_ROW_REMOVE);
	bind_number(remove, 1, (int64_t)partition);
	sqlite_file_bind(remove, 2, key);
	run(db, remove);
}

/* ---- the schema ---- */

static void statement_add(void *engine, const struct cqlemu_engine_statement *statement)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *add = use_for_change(db, STATEMENT_STATEMENT_ADD);
	bind_number(add, 1, (int64_t)statement->schema_version);
	sqlite_file_bind(add, 2, statement->keyspace);
	sqlite_file_bind(add, 3, statement->table);
	sqlite_file_bind(add, 4, statement->current);
	sqlite_file_bind(add, 5, statement->text);
	run(db, add);
}

static void statements_drop(void *engine, struct lab_view keyspace, struct lab_view table)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *drop = use_for_change(db, STATEMENT_STATEMENTS_DROP);
	sqlite_file_bind(drop, 1, keyspace);
	sqlite_file_bind(drop, 2, table);
	run(db, drop);
}

static bool statement_next(void *engine, int64_t after, struct cqlemu_engine_statement *ret)
{
	struct cqlsqlite *db = engine;
	sqlite3_stmt *next = use(db, STATEMENT_STATEMENT_NEXT);
	bind_number(next, 1, after);
	if (!step(db, next))
		return false;
	*ret = (struct cqlemu_engine_statement){ .number = sqlite3_column_int64(next, 0),
		.schema_version = (uint64_t)sqlite3_column_int64(next, 1),
		.keyspace = sqlite_file_column(next, 2),
		.table = sqlite_file_column(next, 3),
		.current = sqlite_file_column(next, 4),
		.text = sqlite_file_column(next, 5) };
	return true;
}

const struct cqlemu_engine_ops cqlsqlite_ops = { .identify = identify,
	.store_open = store_open,
	.store_clear = store_clear,
	.store_drop = store_drop,
	.partition_find = partition_find,
	.partition_seek = partition_seek,
	.partition_add = partition_add,
	.partition_put = partition_put,
	.partition_remove = partition_remove,
	.row_seek = row_seek,
	.row_put = row_put,
	.row_remove = row_remove,
	.statement_add = statement_add,
	.statements_drop = statements_drop,
	.statement_next = statement_next,
	.broken = broken,
	.commit = keep_all };

/* ---- life ---- */

int cqlsqlite_open(struct lab_heap *heap, const struct cqlsqlite_settings *settings,
	struct cqlsqlite **ret, struct lab_error *err)
{
	struct cqlsqlite *db = lab_new(heap, struct cqlsqlite);
	struct sqlite_file_settings file = { .path = settings->path,
		.sync = settings->sync,
		.bytes_max = settings->bytes_max,
		.application = APPLICATION_ID,
		.version = SCHEMA_VERSION,
		.tables = tables,
		.cache_kib = CACHE_KIB,
		.wal_pages_max = WAL_PAGES_MAX };
	db->heap = heap;
	db->stats.last_failure = db->last_failure;
	(void)sqlite3_snprintf(sizeof(db->path), db->path, "%s", settings->path);
	if (sqlite_file_open(&file, &db->sql, err) < 0) {
		cqlsqlite_close(&db);
		return -1;
	}
	if (sqlite_file_prepare(db->sql, statement_texts, STATEMENT_COUNT, db->statements) < 0) {
		(void)sqlite_file_fail(db->sql, settings->path, err);
		cqlsqlite_close(&db);
		return -1;
	}
	*ret = db;
	return 0;
}

void cqlsqlite_close(struct cqlsqlite **_db)
{
	struct cqlsqlite *db = *_db;
	if (db == NULL)
		return;
	*_db = NULL;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(db->statements[i]);
	lab_assert(sqlite3_close(db->sql) == SQLITE_OK);
	lab_heap_free(db->heap, db);
}

void cqlsqlite_stats(const struct cqlsqlite *db, struct cqlsqlite_stats *ret)
{
	*ret = db->stats;
}
