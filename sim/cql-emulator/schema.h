/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h - keyspaces, tables, types and indexes: schema.c, alter.c, index.c, user-type.c.
 */
#ifndef LAB_CQL_EMULATOR_SCHEMA_H
#define LAB_CQL_EMULATOR_SCHEMA_H

#include "sim/cql-emulator/value.h"

enum cqle_column_kind {
	CQLE_PARTITION_KEY,
	CQLE_CLUSTERING,
	CQLE_STATIC,
	CQLE_REGULAR
};

struct cqle_column {
	struct lab_view name;
	struct cql_type type;
	struct lab_view type_text;
	enum cqle_column_kind kind;
	size_t position; /* among its kind */
	bool descending; /* clustering */
	bool multicell;  /* a collection that is not frozen: a cell for each element */
	uint32_t id;     /* of the table's, for ALTER */
};

struct cqle_keyspace {
	struct lab_view name;
	struct lab_view strategy; /* full class name */
	bool simple;              /* SimpleStrategy: `total` replicas; else per_dc */
	bool local;               /* system keyspaces: every node for itself */
	bool durable_writes;
	unsigned total;
	unsigned per_dc[CQLE_DCS_MAX]; /* by the emulator's number of the DC */
	/* Replicas of each ring position, by index of the token; NULL until asked for. */
	struct cqle_replicas *placement;
	bool placed; /* `placement` is what the strategy says */
	bool dropped;
	uint64_t unseen; /* nodes that do not know it */
	bool adopted;    /* just now: another side of a partition had made it, too */
};

/* user-type.c. The struct stays where it is until it is dropped; its `type` is replaced by ALTER.
 */
struct cqle_user_type {
	struct cqle_keyspace *keyspace;
	struct cql_type type; /* CQL_TYPE_UDT with its fields */
	struct lab_view *field_texts;
	bool *field_multicell; /* a collection that is not frozen: the type must be */
};
struct cqle_user_type *cqle_user_type_find(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name);
int cqle_user_type_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err);
/* Of a keyspace that is dropped. */
void cqle_user_types_drop(struct cqlemu *emu, const struct cqle_keyspace *keyspace);

typedef void (*cqle_fill_fn)(struct cqlemu *emu, size_t node, struct cqle_table *table);

/* A table's speculative_retry (snitch.c). */
enum cqle_retry_kind {
	CQLE_RETRY_NEVER,
	CQLE_RETRY_ALWAYS,
	CQLE_RETRY_AT, /* parts[0] */
	CQLE_RETRY_MIN,
	CQLE_RETRY_MAX
};
struct cqle_retry_part {
	uint32_t percentile_ppm; /* 0: fixed_ns */
	uint64_t fixed_ns;
};
struct cqle_retry {
	enum cqle_retry_kind kind;
	struct cqle_retry_part parts[2];
};
/* "99p", "MIN(99.9p,50ms)"...; -1: not a policy. */
int cqle_retry_parse(struct lab_view text, struct cqle_retry *ret);
/* "99p" or "50ms" */
int cqle_retry_part_parse(struct lab_view text, struct cqle_retry_part *ret);

/* table-options.h */
struct cqle_option_pair {
	struct lab_view key, value;
};
struct cqle_option_map {
	struct cqle_option_pair *pairs;
	size_t count;
};
struct cqle_table_options { /* those that have no effect here */
	double bloom_filter_fp_chance, crc_check_chance;
	struct cqle_option_map caching, compaction, compression;
	struct lab_view additional_write_policy;
	int32_t min_index_interval, max_index_interval, memtable_flush_period_ms;
	bool cdc, has_id;
};

/* index.c */
#define CQLE_INDEXES_MAX 256
struct cqle_index {
	struct lab_view name;
	enum index_target target; /* of a collection never INDEX_SIMPLE */
	uint32_t column_id;
};
int cqle_index_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err);
/* The table that the index is of; NULL: there is no such index. */
const struct cqle_table *cqle_index_table(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name);
/* "values(m)" */
const char *cqle_index_target_text(
	struct lab_arena *arena, const struct cqle_table *table, const struct cqle_index *index);

struct cqle_dropped_column {
	struct cqle_dropped_column *next;
	struct lab_view name, type_text;
	bool is_static;
	int64_t timestamp_us;
};

struct cqle_table {
	struct cqle_keyspace *keyspace;
	struct lab_view name;
	struct lab_view full_name; /* "ks.t" */
	uint8_t id[CQL_UUID_BYTES];
	struct cqle_column *columns; /* as SELECT * gives them: key, clustering, statics, others */
	size_t column_count;
	size_t pk_count, ck_count, static_count, regular_count;
	uint32_t gc_grace_s;
	uint32_t default_ttl_s;
	struct lab_view comment;
	cqle_fill_fn fill;           /* of a system table: makes its contents */
	uint64_t *filled;            /* per node: emu->metadata_version of the contents */
	struct cqle_store **stores;  /* per node */
	struct cqle_store **durable; /* per node, with commitlog_sync_ns: what is synced */
	bool dropped;
	struct cqle_table *successor; /* dropped because it was altered; NULL */
	uint32_t next_column_id;
	/* Nodes that do not know it / have heard of it, by which change (visibility.c). */
	uint64_t unseen, told, made_by;
	struct cqle_index *indexes;
	size_t index_count;
	struct cqle_retry retry;    /* speculative_retry */
	struct lab_view retry_text; /* as Cassandra writes it */
	bool repairs_nothing;       /* read_repair is NONE */
	struct cqle_table_options options;
	struct cqle_dropped_column *dropped_columns; /* the last time of each name */
	uint64_t created_ns;
	struct cqle_read_latency **read_latency; /* per coordinator; NULL: none yet */
};

static inline const struct cqle_column *cqle_pk(const struct cqle_table *t, size_t i)
{
	return &t->columns[i];
}
static inline const struct cqle_column *cqle_ck(const struct cqle_table *t, size_t i)
{
	return &t->columns[t->pk_count + i];
}
static inline const struct cqle_column *cqle_static(const struct cqle_table *t, size_t i)
{
	return &t->columns[t->pk_count + t->ck_count + i];
}
static inline const struct cqle_column *cqle_regular(const struct cqle_table *t, size_t i)
{
	return &t->columns[t->pk_count + t->ck_count + t->static_count + i];
}

/* All of its columns outside of the key are counters, or none is. */
static inline bool cqle_table_is_counter(const struct cqle_table *t)
{
	return (t->regular_count > 0 && cqle_regular(t, 0)->type.id == CQL_TYPE_COUNTER) ||
	       (t->static_count > 0 && cqle_static(t, 0)->type.id == CQL_TYPE_COUNTER);
}

/* As emu->viewer sees them. */
struct cqle_keyspace *cqle_keyspace_find(const struct cqlemu *emu, struct lab_view name);
struct cqle_table *cqle_table_find(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name);
const struct cqle_column *cqle_column_find(const struct cqle_table *table, struct lab_view name);
/* The table of a statement; `current` is the session's keyspace. Error texts of 4.0. */
int cqle_table_resolve(struct cqlemu *emu, struct lab_view current, struct lab_view keyspace,
	struct lab_view name, struct cqle_table **ret, struct lab_error *err);

/* What a DDL statement did: `change` empty if nothing. Views live as long as the emulator. */
struct cqle_ddl_result {
	struct cql_schema_change change;
	/* Of CQL_E_ALREADY_EXISTS: */
	struct lab_view exists_keyspace, exists_table;
};
int cqle_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	struct cqle_ddl_result *ret, struct lab_error *err);
/* alter.c: a mutation in the layout that its table has now. A new reference; NULL: the table is
 * gone.
 */
struct cqle_mutation;
struct cqle_read;
struct cqle_answer;
struct cqle_mutation *cqle_mutation_current(struct lab_heap *heap, struct cqle_mutation *m);
/* A replica's answer in the layout of read->table, which may have been altered meanwhile. */
void cqle_read_current(struct lab_heap *heap, const struct cqle_read *read, size_t node,
	struct cqle_answer *answer);
/* Its contents; the struct stays. */
void cqle_table_free(struct cqlemu *emu, struct cqle_table *table);
/* Drops emu->tables[index]. */
void cqle_table_forget(struct cqlemu *emu, size_t index);
/* The system keyspaces; called once. */
void cqle_system_tables_create(struct cqlemu *emu);
/* Makes the contents of a system table current. */
void cqle_system_table_refresh(struct cqlemu *emu, size_t node, struct cqle_table *table);
/* A virtual table that nothing fills: reading it is refused. */
bool cqle_table_is_hollow(const struct cqle_table *table);

#endif
