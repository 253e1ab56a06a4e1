/* SPDX-License-Identifier: Apache-2.0
 *
 * storage-engine.h - what keeps the emulator's data outside of its memory.
 *
 * Purpose    The emulator decides which write wins, what a row is and how it is written as bytes;
 *            an engine keeps these bytes in order and gives them back. It knows stores (one table
 *            on one node), their partitions by token and key, each with a head (deletions and the
 *            static row) and rows by clustering key, all of them compared byte by byte; and the
 *            statements that made the schema. Rows are read one at a time: data need not fit into
 *            memory.
 * Ownership  cqlemu_options.engine borrows the engine until cqlemu_free(). Views given to it are
 *            borrowed during the call; those it gives are valid until the next call.
 * Durable    commit() keeps everything that was changed since the one before, or nothing. The
 *            emulator calls it before any answer leaves that could tell of these changes.
 * Errors     Once something fails, an engine says "not there", changes nothing, and fails the next
 *            commit(), after which it works again on what was kept. The emulator then takes all
 *            its nodes down, as commit_failure_policy and disk_failure_policy "stop" do (cql-imds
 *            4.2): clients lose their connections instead of being told what is not true.
 */
#ifndef LAB_CQL_EMULATOR_STORAGE_ENGINE_H
#define LAB_CQL_EMULATOR_STORAGE_ENGINE_H

#include "core/base/base.h"

struct cqlemu_engine_partition {
	uint64_t id;
	int64_t token;
	struct lab_view key, head;
};

struct cqlemu_engine_row {
	struct lab_view key, bytes;
};

enum cqlemu_engine_seek {
	CQLEMU_SEEK_FROM,   /* the first row >= key */
	CQLEMU_SEEK_AFTER,  /* the first > key */
	CQLEMU_SEEK_UPTO,   /* the last <= key */
	CQLEMU_SEEK_BEFORE, /* the last < key */
	CQLEMU_SEEK_LAST    /* the last of all; key is not looked at */
};

struct cqlemu_engine_statement {
	int64_t number;                  /* ascending; where statement_next() goes on */
	uint64_t schema_version;         /* when it was executed */
	struct lab_view keyspace, table; /* what it is about; table empty: the keyspace */
	struct lab_view current;         /* the session's keyspace; empty: none */
	struct lab_view text;
};

/* bool: whether there is one. */
struct cqlemu_engine_ops {
	/* -1: the file belongs to another cluster than this (LAB_INVALID), or cannot be read. */
	int (*identify)(void *engine, struct lab_view cluster, struct lab_error *err);

	/* Found or made; never 0 unless it failed. */
	uint64_t (*store_open)(
		void *engine, struct lab_view name, uint64_t *ret_partitions, uint64_t *ret_rows);
	void (*store_clear)(void *engine, uint64_t store);
	void (*store_drop)(void *engine, uint64_t store);

	bool (*partition_find)(void *engine, uint64_t store, int64_t token, struct lab_view key,
		struct cqlemu_engine_partition *ret);
	/* The first one >= (token, key), or > it. */
	bool (*partition_seek)(void *engine, uint64_t store, int64_t token, struct lab_view key,
		bool after, struct cqlemu_engine_partition *ret);
	/* Its id; 0: failed. */
	uint64_t (*partition_add)(void *engine, uint64_t store, int64_t token, struct lab_view key,
		struct lab_view head);
	void (*partition_put)(void *engine, uint64_t partition, struct lab_view head);
	void (*partition_remove)(void *engine, uint64_t partition); /* it has no rows */

	bool (*row_seek)(void *engine, uint64_t partition, struct lab_view key,
		enum cqlemu_engine_seek how, struct cqlemu_engine_row *ret);
	void (*row_put)(void *engine, uint64_t partition, struct lab_view key, struct lab_view row);
	void (*row_remove)(void *engine, uint64_t partition, struct lab_view key);

	void (*statement_add)(void *engine, const struct cqlemu_engine_statement *statement);
	/* Forgets those about a table, or with table empty about a keyspace and all in it. */
	void (*statements_drop)(void *engine, struct lab_view keyspace, struct lab_view table);
	bool (*statement_next)(void *engine, int64_t after, struct cqlemu_engine_statement *ret);

	/* What it gave back is not what the emulator once wrote. */
	void (*broken)(void *engine);
	int (*commit)(void *engine);
};

#endif
