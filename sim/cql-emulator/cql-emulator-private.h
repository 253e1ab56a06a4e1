/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-emulator-private.h - the parts of the emulator and how they hold together (README.md).
 *
 *   session      bytes to requests, requests to operations, answers to bytes
 *   plan         a parsed statement resolved against the schema
 *   operation    one request in flight: coordinator, replicas asked, answers received
 *   cluster      nodes, ring, failure detector, messages, timers, hints
 *   storage      one replica's partitions, rows and cells
 */
#ifndef LAB_CQL_EMULATOR_PRIVATE_H
#define LAB_CQL_EMULATOR_PRIVATE_H

#include "sim/cql-emulator/cql-emulator.h"
#include "sim/cql-emulator/profile.h"
#include "sim/cql-emulator/syntax.h"

#define CQLE_NO_TIMESTAMP INT64_MIN
#define CQLE_TTL_MAX 630720000 /* 20 years (cql-imds 1.9) */
#define CQLE_TTL_MASK ((1u << 30) - 1)
#define CQLE_KEY_COLUMNS_MAX CQLEMU_COLUMNS_MAX
#define CQLE_DCS_MAX 16

struct cqle_table;
struct cqle_op;
struct cqle_role; /* roles.h */
struct cqle_auth;
struct cqle_ddl_result;

/* ---- type.c, validate.c, constant.c, order.c, duration.c: types and values ---- */

/* "int" to a wire type; *ret_text is its normal form, "frozen<map<text, int>>". -1 INVALID
 * "Unknown type ks.foo". *ret_multicell: a collection or user type that is not frozen. `emu` NULL:
 * there are no user types. */
int cqle_type_resolve(struct cqlemu *emu, struct lab_arena *arena, struct lab_view keyspace,
	const struct type_name *name, struct cql_type *ret, struct lab_view *ret_text,
	bool *ret_multicell, struct lab_error *err);
/* Is the type, or one inside of it, of this kind? */
bool cqle_type_has(const struct cql_type *type, uint16_t id);
/* A word that no user type is called by. */
bool cqle_type_is_native(const struct type_name *name);
/* The type's name, "map<text, int>"; inner collections and user types as "frozen<...>", in the
 * second form the type itself, too. */
struct lab_view cqle_type_text(struct lab_arena *arena, const struct cql_type *type);
struct lab_view cqle_type_text_frozen(struct lab_arena *arena, const struct cql_type *type);
/* Are these bytes a value of the type? Errors as Cassandra's marshallers word them. */
int cqle_value_validate(const struct cql_type *type, struct lab_view value, struct lab_error *err);
/* A constant's bytes. `column` and `type_text` are for the error. */
int cqle_constant(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_view type_text, struct lab_view *ret,
	struct lab_error *err);
/* A collection of so many elements, of a map keys and values alternating; sets and maps are put in
 * order, each element once. `items` changes. */
struct lab_view cqle_collection_of(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view *items, size_t count);
/* A tuple's or user type's value; ptr NULL is null. */
struct lab_view cqle_composite_of(
	struct lab_arena *arena, const struct lab_view *fields, size_t count);
/* {a: 1} for a user type, (1, 2) for a tuple: errors of its fields, their terms, what they are
 * called. */
bool cqle_is_composite_literal(const struct term *term, const struct cql_type *type);
int cqle_composite_check(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err);
const struct term *cqle_composite_term(
	const struct term *term, const struct cql_type *type, size_t i);
struct lab_view cqle_field_label(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view label, size_t i);
/* 1y2mo3w4d5h6m7s8ms9us10ns, P1Y2M3DT4H5M6S, P3W, P0001-02-03T04:05:06, all with a sign. */
int cqle_duration_parse(
	struct lab_arena *arena, struct lab_view text, struct lab_view *ret, struct lab_error *err);
int cqle_duration_validate(struct lab_view value, struct lab_error *err);
struct cqle_duration { /* all of one sign */
	int64_t months, days, nanos;
};
void cqle_duration_read(struct lab_view value, struct cqle_duration *ret);
struct lab_view cqle_duration_of(struct lab_arena *arena, const struct cqle_duration *duration);
const char *cqle_duration_text(struct lab_arena *arena, struct lab_view value);
/* A value as bytes that memcmp() orders as the type does, and of which none is a prefix of
 * another; appended to `out`. The inverse appends the value and returns how many bytes it used. */
void cqle_comparable_put(
	struct lab_buf *out, const struct cql_type *type, bool descending, struct lab_view value);
size_t cqle_comparable_take(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out);
/* How many bytes at most the inverse appends for so many comparable ones. */
size_t cqle_decoded_max(const struct cql_type *type, size_t len);
/* <0, 0, >0 as the type orders. */
int cqle_value_compare(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view a, struct lab_view b);

/* murmur3.c: token of a key. */
int64_t cqle_token(struct lab_view key);

/* ---- schema.c ---- */

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

/* ---- storage.c: one replica ---- */

/* Immutable, shared by replicas, mutations and answers. */
struct cqle_bytes {
	uint32_t refs;
	uint32_t len;
	uint8_t data[];
};
static inline struct lab_view cqle_bytes_view(const struct cqle_bytes *bytes)
{
	return (struct lab_view){ bytes->data, bytes->len };
}
struct cqle_bytes *cqle_bytes_new(struct lab_heap *heap, struct lab_view v);
static inline struct cqle_bytes *cqle_bytes_ref(struct cqle_bytes *bytes)
{
	if (bytes != NULL)
		bytes->refs++;
	return bytes;
}
void cqle_bytes_unref(struct lab_heap *heap, struct cqle_bytes *bytes);

/* Packed: a mail's row is in the next smaller block of the heap. */
struct cqle_deletion {
	int64_t timestamp; /* CQLE_NO_TIMESTAMP: none */
	uint32_t local_s;  /* wall clock of the replica: for gc_grace */
} __attribute__((packed, aligned(4)));
#define CQLE_NOT_DELETED ((struct cqle_deletion){ CQLE_NO_TIMESTAMP, 0 })

enum cqle_cell_kind {
	CQLE_CELL_SIMPLE,
	CQLE_CELL_COLLECTION, /* of a column that is not frozen */
	CQLE_CELL_COUNTER
};

struct cqle_cell {
	int64_t timestamp; /* CQLE_NO_TIMESTAMP: never written. Collection: of its deletion */
	union {
		struct cqle_bytes *value;       /* NULL: tombstone. Counter: its shards */
		struct cqle_elements *elements; /* of a collection; NULL: none */
	};
	uint32_t ttl_s : 30;
	uint32_t kind : 2; /* enum cqle_cell_kind */
	uint32_t local_s;  /* of a tombstone: when deleted; with a TTL: when it expires */
};

/* A simple cell of a collection. The path, in the order of memcmp(): of a set the element, of a map
 * the key as comparable bytes, of a list the place (bind.c). */
struct cqle_element {
	struct cqle_bytes *path;
	struct cqle_cell cell;
};
struct cqle_elements { /* does not change while it is shared */
	uint32_t refs, count;
	struct cqle_element items[];
};
struct cqle_elements *cqle_elements_new(struct lab_heap *heap, size_t count);
void cqle_elements_unref(struct lab_heap *heap, struct cqle_elements *elements);

/* One of a counter's shards: replica's host id, clock, count. */
#define CQLE_SHARD_BYTES (CQL_UUID_BYTES + 16)
#define CQLE_DELTA_BYTES 8 /* of an increment that has not reached its leader */
int64_t cqle_counter_value(const struct cqle_bytes *shards);
struct cqle_bytes *cqle_counter_delta(struct lab_heap *heap, uint64_t delta);
/* Two sets of shards, or two deltas. */
struct cqle_bytes *cqle_counter_merge(
	struct lab_heap *heap, const struct cqle_bytes *a, const struct cqle_bytes *b);

static inline bool cqle_cell_is_written(const struct cqle_cell *cell)
{
	return cell->timestamp != CQLE_NO_TIMESTAMP ||
	       (cell->kind == CQLE_CELL_COLLECTION && cell->elements != NULL);
}
bool cqle_collection_is_live(const struct cqle_cell *cell, uint32_t now_s);
static inline bool cqle_cell_is_live(const struct cqle_cell *cell, uint32_t now_s)
{
	if (cell->kind == CQLE_CELL_COLLECTION)
		return cqle_collection_is_live(cell, now_s);
	return cell->value != NULL && (cell->ttl_s == 0 || cell->local_s > now_s);
}
unsigned cqle_cell_tombstones(const struct cqle_cell *cell, uint32_t now_s);
void cqle_cell_ref(const struct cqle_cell *cell);
void cqle_cell_unref(struct lab_heap *heap, const struct cqle_cell *cell);
/* Same contents? / the same memory, too? */
bool cqle_cell_equal(const struct cqle_cell *a, const struct cqle_cell *b);
bool cqle_cell_same(const struct cqle_cell *a, const struct cqle_cell *b);
/* Of two simple ones. */
const struct cqle_cell *cqle_cell_winner(const struct cqle_cell *a, const struct cqle_cell *b);
/* Of two collections or counters, without what is not newer than `cutoff`; with a reference. Either
 * may be never written. */
struct cqle_cell cqle_cell_merge(struct lab_heap *heap, const struct cqle_cell *a,
	const struct cqle_cell *b, int64_t cutoff);
bool cqle_cell_is_purgeable(const struct cqle_cell *cell, uint32_t gc_before_s);
/* Without what can be purged; with a reference. */
struct cqle_cell cqle_cell_purge(
	struct lab_heap *heap, const struct cqle_cell *cell, uint32_t gc_before_s);

/* A row, or a change of one: the same thing, since rows only ever merge. Shared; whoever wants to
 * change one that is referenced more than once copies it first. The clustering key (comparable
 * bytes) is behind the cells. */
struct cqle_row {
	uint32_t refs;
	uint32_t key_len;
	int64_t marker; /* timestamp of the INSERT */
	uint32_t marker_ttl_s, marker_expires_s;
	struct cqle_deletion deletion;
	uint16_t cell_count;
	struct cqle_cell cells[];
};
static inline struct lab_view cqle_row_key(const struct cqle_row *row)
{
	return (struct lab_view){ (const uint8_t *)&row->cells[row->cell_count], row->key_len };
}
struct cqle_row *cqle_row_new(struct lab_heap *heap, struct lab_view key, size_t cell_count);
void cqle_row_unref(struct lab_heap *heap, struct cqle_row *row);
static inline struct cqle_row *cqle_row_ref(struct cqle_row *row)
{
	if (row != NULL)
		row->refs++;
	return row;
}
/* Would a SELECT return it? */
bool cqle_row_is_live(const struct cqle_row *row, uint32_t now_s);
/* Nothing written, nothing deleted. */
bool cqle_row_is_empty(const struct cqle_row *row);
/* Without tombstones from before `gc_before_s`. A new reference, maybe to itself; NULL if nothing
 * is left. */
struct cqle_row *cqle_row_purge(struct lab_heap *heap, struct cqle_row *row, uint32_t gc_before_s);
/* How many of its tombstones a read has to step over. */
unsigned cqle_row_tombstones(const struct cqle_row *row, uint32_t now_s);
/* Same contents? Time is not looked at. */
bool cqle_row_equal(const struct cqle_row *a, const struct cqle_row *b);
/* The union, newest wins, under a deletion of what is around it. Takes no references; returns one,
 * maybe to `a` or `b` itself. Either may be NULL. */
struct cqle_row *cqle_row_merge(
	struct lab_heap *heap, struct cqle_row *a, struct cqle_row *b, struct cqle_deletion around);

/* [start, end) in comparable bytes; end NULL: open. */
struct cqle_range {
	struct cqle_bytes *start, *end;
	struct cqle_deletion deletion;
};

/* The first bytes of the key beside the row: a search touches few rows. */
struct cqle_slot {
	uint64_t prefix;
	struct cqle_row *row;
};
struct cqle_run {
	uint32_t count, capacity;
	struct cqle_slot slots[];
};

struct cqle_disk;
struct cqle_partition {
	struct cqle_partition *next; /* same bucket */
	struct cqle_disk *disk;      /* NULL: rows are in runs */
	struct cqle_bytes *key;
	int64_t token;
	struct cqle_deletion deletion;
	struct cqle_row *static_row;
	struct cqle_range *ranges;
	uint32_t range_count, range_capacity;
	struct cqle_run **runs; /* of rows in order; never empty ones */
	uint32_t run_count, run_capacity;
};

struct cqle_store {
	struct lab_heap *heap;
	struct cqle_disk *disk; /* an engine keeps the rows; NULL: memory, and what follows */
	struct cqle_partition **buckets;
	size_t bucket_count;           /* a power of two */
	struct cqle_partition **order; /* all partitions; the first `sorted` by (token, key) */
	size_t count, sorted, capacity;
	size_t row_count;
};
struct cqle_store *cqle_store_new(struct lab_heap *heap);
/* Of an engine's. */
struct cqle_store *cqle_store_open(struct lab_heap *heap, const struct cqlemu_engine_ops *ops,
	void *engine, struct lab_view name);
/* Looks again at what the engine has; / makes it forget all of it, before cqle_store_free(). */
void cqle_store_reopen(struct cqle_store *store, struct lab_view name);
void cqle_store_drop(struct cqle_store *store);
void cqle_store_free(struct cqle_store **store);
void cqle_store_clear(struct cqle_store *store);
/* NULL: nothing is known of it. Valid until the store is asked or changed again. */
struct cqle_partition *cqle_store_find(
	struct cqle_store *store, int64_t token, struct lab_view key);
/* Partitions in the order of token and key, from these on. */
struct cqle_scan {
	struct cqle_store *store;
	size_t next;
};
struct cqle_scan cqle_store_scan(struct cqle_store *store, int64_t token, struct lab_view key);
struct cqle_partition *cqle_scan_next(struct cqle_scan *scan);
/* Copies everything of `from` into the empty `to`. */
void cqle_store_copy(struct cqle_store *to, struct cqle_store *from);
/* Puts what `convert` makes of it (a new reference) in the place of each row. */
typedef struct cqle_row *(*cqle_convert_fn)(
	struct lab_heap *heap, struct cqle_row *row, bool is_static, const void *ctx);
void cqle_store_convert(struct cqle_store *store, cqle_convert_fn convert, const void *ctx);
/* Drops tombstones and expired cells from before `gc_before_s`, and partitions left empty. */
void cqle_store_compact(struct cqle_store *store, uint32_t gc_before_s);

/* A position in a partition's rows. */
struct cqle_cursor {
	const struct cqle_partition *partition;
	uint32_t run, index;
};
/* At the first row >= key. Ends the cursor before. */
struct cqle_cursor cqle_seek(const struct cqle_partition *partition, struct lab_view key);
struct cqle_cursor cqle_seek_end(const struct cqle_partition *partition);
/* The row there, NULL behind the last; then steps forward. Borrowed until the next step. */
struct cqle_row *cqle_cursor_next(struct cqle_cursor *cursor);
/* Steps back and gives the row there; NULL before the first. */
struct cqle_row *cqle_cursor_previous(struct cqle_cursor *cursor);
struct cqle_row *cqle_row_find(const struct cqle_partition *partition, struct lab_view key);

/* A change of one partition: everything a statement does to it. Shared by messages and hints. */
struct cqle_mutation {
	uint32_t refs;
	struct cqle_table *table;
	struct cqle_bytes *key;
	int64_t token;
	struct cqle_deletion deletion; /* of the whole partition */
	struct cqle_row *static_row;
	struct cqle_row **rows;
	uint32_t row_count, row_capacity;
	struct cqle_range *ranges;
	uint32_t range_count, range_capacity;
	uint32_t bytes; /* of keys and values, about */
};
struct cqle_mutation *cqle_mutation_new(
	struct lab_heap *heap, struct cqle_table *table, struct lab_view key, int64_t token);
static inline struct cqle_mutation *cqle_mutation_ref(struct cqle_mutation *m)
{
	m->refs++;
	return m;
}
void cqle_mutation_unref(struct lab_heap *heap, struct cqle_mutation *m);
/* Takes the reference to `row`; merges with one of the same key. */
void cqle_mutation_add_row(struct lab_heap *heap, struct cqle_mutation *m, struct cqle_row *row);
void cqle_mutation_add_range(struct lab_heap *heap, struct cqle_mutation *m, struct lab_view start,
	struct lab_view end, struct cqle_deletion deletion);
void cqle_store_apply(struct cqle_store *store, const struct cqle_mutation *m);
/* Deletion that covers a row with this key: partition's or range's, the newest. */
struct cqle_deletion cqle_partition_deletion(
	const struct cqle_partition *partition, struct lab_view key);

/* ---- read.c: what a replica answers, and how answers merge ---- */

struct cqle_slice {
	struct lab_view start; /* >= start; empty: from the first */
	struct lab_view end;   /* < end; ptr NULL: to the last */
	bool point;            /* exactly start */
};

/* What to read from one partition, or from the partitions of a token range. */
struct cqle_read {
	const struct cqle_table *table;
	struct lab_view key; /* of one partition; ptr NULL: a scan */
	int64_t token;       /* of `key` */
	/* Scan: (after, upto] in tokens, from behind `resume_key` if its token is inside. */
	int64_t after, upto;
	bool from_minimum;          /* the scan's start is before the first token */
	struct lab_view resume_key; /* ptr NULL: none */
	struct lab_view
		resume_row; /* rows after this one (before, if reversed) in that partition */
	bool resume_skip;   /* nothing more of that partition */
	const struct cqle_slice *slices;
	size_t slice_count;
	bool reversed;
	bool statics;           /* static rows count for what is returned */
	size_t limit;           /* live rows wanted; SIZE_MAX */
	size_t partition_limit; /* in each partition; SIZE_MAX */
	size_t resume_limit;    /* in the one that is resumed */
	size_t rows_max;        /* rows of any kind: beyond it, `failed` */
	uint32_t tombstone_fail;
	uint32_t now_s;
	uint32_t gc_before_s;
};

struct cqle_part {
	struct cqle_bytes *key;
	int64_t token;
	struct cqle_deletion deletion;
	struct cqle_row *static_row;
	size_t row_begin, row_end;     /* in the answer's rows */
	size_t range_begin, range_end; /* in its ranges */
	bool limited; /* stopped inside: what comes behind the last row is unknown */
};

struct cqle_answer {
	uint32_t refs;
	struct cqle_part *parts;
	size_t part_count, part_capacity;
	struct cqle_row **rows;
	size_t row_count, row_capacity;
	struct cqle_range *ranges;
	size_t range_count, range_capacity;
	size_t live; /* rows */
	size_t tombstones;
	bool limited;  /* the limit ended it: there may be more behind */
	bool failed;   /* too many tombstones or rows; or: */
	bool ignorant; /* the table is unknown here */
};
struct cqle_answer *cqle_answer_new(struct lab_heap *heap);
void cqle_answer_unref(struct lab_heap *heap, struct cqle_answer *answer);
void cqle_answer_reset(struct lab_heap *heap, struct cqle_answer *answer);
void cqle_read_store(
	struct cqle_store *store, const struct cqle_read *read, struct cqle_answer *ret);
bool cqle_answer_equal(const struct cqle_answer *a, const struct cqle_answer *b);
/* Newest wins. What lies behind the end of an answer that was limited is left out, and
 * `ret->limited` set. */
void cqle_answers_merge(struct lab_heap *heap, struct cqle_answer *const *answers, size_t count,
	const struct cqle_read *read, struct cqle_answer *ret); /* count <= CQLEMU_NODES_MAX */
/* The change that brings a replica which gave `answer` to `merged`; one for each partition that
 * needs one, handed to `fn` with the reference. */
typedef void (*cqle_repair_fn)(void *ctx, struct cqle_mutation *mutation);
size_t cqle_answer_repair(struct lab_heap *heap, struct cqle_table *table,
	const struct cqle_answer *answer, const struct cqle_answer *merged, cqle_repair_fn fn,
	void *ctx);

/* ---- plan.c: a statement against the schema ---- */

/* INSERT JSON: where all values come from. */
struct cqle_value;
struct cqle_json_source {
	const struct cqle_value *document;
	const struct cqle_table *table;
	bool unset; /* what it does not name stays as it is */
};

/* A value to be: a constant, or a marker. */
struct cqle_value {
	const struct cqle_column *column; /* its type; NULL: see `type` */
	struct cql_type type;
	struct lab_view name; /* for errors and marker metadata */
	bool is_marker, is_null;
	size_t marker;
	struct lab_view bytes;        /* of a constant */
	bool is_list;                 /* "c IN ?": the marker is a list of the type */
	bool of_tuple;                /* written or bound as a part of one */
	bool of_slice;                /* of a tuple that is a bound: < > <= >= */
	const struct cql_type *tuple; /* the marker's type, if it is one: the value is a field */
	size_t field;                 /* of it */
	const struct cqle_json_source *json; /* INSERT JSON: the column's part of it; NULL */
	const struct cqle_expr *expr;        /* neither constant nor marker; NULL */
};

struct cqle_restriction {
	const struct cqle_column *column; /* NULL: none */
	struct cqle_value *key;           /* column[key]; NULL: the column itself */
	size_t field;                     /* conditions: column.field, from 1; 0: none */
	enum operator op;                 /* EQ, IN, CONTAINS or a bound */
	struct cqle_value *values;        /* EQ: 1, IN: n, or 1 that is_list */
	size_t value_count;
	size_t tuple;    /* so many columns from `column` on, values for all of them; 0: just it */
	bool tuple_rest; /* the tuple of a column before restricts this one, too */
};

struct cqle_bound {
	bool present, inclusive;
	struct cqle_value value;
	struct cqle_value *more; /* of the columns behind it */
	size_t more_count;
};

/* Of the primary key: which partitions, which rows. */
struct cqle_where {
	struct cqle_restriction *pk; /* pk_count of them, or NULL: no partition key is given */
	struct cqle_restriction *ck; /* the restricted prefix */
	size_t ck_count;
	/* A range on the column behind the prefix: */
	const struct cqle_column *range_column;
	struct cqle_bound low, high;
	/* token(pk) bounds of a scan */
	bool token_used;
	struct cqle_bound token_low, token_high;
	/* Everything that needs filtering: */
	struct cqle_restriction *filters;
	size_t filter_count;
};

enum cqle_expr_kind {
	CQLE_EXPR_VALUE,
	CQLE_EXPR_COLUMN,
	CQLE_EXPR_WRITETIME,
	CQLE_EXPR_TTL,
	CQLE_EXPR_FIELD,   /* of a user type */
	CQLE_EXPR_ELEMENT, /* of a map: its value, of a set: itself */
	CQLE_EXPR_SLICE,   /* of a map or set */
	CQLE_EXPR_TOKEN,   /* of values of the partition key */
	CQLE_EXPR_CALL,
	CQLE_EXPR_CAST,
	CQLE_EXPR_COLLECT, /* a collection of the arguments */
	CQLE_EXPR_COMPOSE, /* a tuple or user type of them */
	CQLE_EXPR_AGGREGATE
};
struct cqle_expr {
	enum cqle_expr_kind kind;
	struct cql_type type;
	struct lab_view text;             /* as results are called: "system.max(c)" */
	const struct cqle_column *column; /* COLUMN to SLICE; these are parts of args[0] */
	const struct cqle_value *value;
	struct cqle_value *bounds[2]; /* ELEMENT: the key; SLICE: NULL is open */
	size_t field;                 /* FIELD: which one */
	const struct cqle_function *function;
	struct cqle_expr *args;
	size_t arg_count;
	bool of_row;     /* has a column in it */
	bool aggregates; /* has an aggregate in it */
	size_t slot;     /* of the group's states: of aggregates, and of what has none in it */
};

enum cqle_set_kind {
	CQLE_SET_VALUE,   /* the whole column */
	CQLE_SET_ADD,     /* to a collection, at the end of a list; to a counter */
	CQLE_SET_REMOVE,  /* from a collection, a counter */
	CQLE_SET_PREPEND, /* to a list */
	CQLE_SET_ELEMENT, /* of a map by key, of a list by index, of a user type by field */
	CQLE_SET_DELETE_ELEMENT
};
struct cqle_set {
	const struct cqle_column *column;
	enum cqle_set_kind kind;
	struct cqle_value value; /* null: a tombstone */
	struct cqle_value key;   /* of an element */
	size_t field;            /* of a user type's */
};

enum cqle_condition_kind {
	CQLE_UNCONDITIONAL,
	CQLE_IF_NOT_EXISTS,
	CQLE_IF_EXISTS,
	CQLE_IF_COLUMNS
};

struct cqle_plan {
	uint32_t refs;
	struct lab_arena *arena; /* owned, if prepared */
	enum statement_kind kind;
	const struct statement *statement;
	struct lab_view text;
	struct cqle_table *table;      /* NULL: DDL, USE */
	struct lab_view keyspace_used; /* session's keyspace at PREPARE */

	struct cqle_where where;

	/* SELECT */
	struct cqle_expr *items;
	size_t item_count;
	struct cql_column *result_columns;
	size_t result_column_count;  /* of them: each item, or one of JSON */
	struct lab_view *json_names; /* SELECT JSON: of the items; NULL */
	bool distinct, reversed, filtering, wants_statics;
	bool indexed;     /* one of the filters is what an index is for */
	bool aggregating; /* rows become groups: all of them, or those of GROUP BY */
	bool grouping;
	size_t group_clustering; /* GROUP BY: partition key and so many clustering columns */
	size_t slot_count;       /* of states of a group */
	struct cqle_value limit, partition_limit; /* column NULL and no bytes: none */
	bool has_limit, has_partition_limit, ordered;
	size_t sorted; /* by so many clustering columns, after all partitions of IN */

	/* INSERT, UPDATE, DELETE */
	struct cqle_set *sets;
	size_t set_count;
	bool needs_read;  /* lists: by index, by value; the row has to be known first */
	bool marker_row;  /* INSERT: the row exists even without cells */
	bool static_only; /* only static columns, no clustering key given */
	bool has_timestamp, has_ttl;
	struct cqle_value timestamp, ttl;

	/* IF; of a batch, of its statements */
	enum cqle_condition_kind condition;
	struct cqle_restriction *conditions;
	size_t condition_count;

	/* BATCH */
	struct cqle_plan **batch;
	size_t batch_count;
	enum cql_batch_type batch_type;

	/* Markers */
	struct cql_column *markers;
	size_t marker_count;
	uint16_t *pk_indexes;
	size_t pk_index_count;
	size_t user_marker;            /* which marker column "u" is bound to; SIZE_MAX: none */
	struct lab_view user_constant; /* or its constant */
	size_t object_marker;          /* the same of column "i" */

	uint8_t result_id[16]; /* metadata-id.c */
	bool has_result_id;
};
/* replication.c: the sum of replicas that a keyspace has which is about to be altered; warnings
 * about those that it has now. */
unsigned cqle_replication_before(const struct cqlemu *emu, const struct statement *s);
void cqle_replication_warn(
	struct cqlemu *emu, struct cqle_op *op, const struct statement *s, unsigned before);
/* profile-rules.c. True if the request was answered: the server that this is does not do it. */
bool cqle_profile_refuses(struct cqlemu *emu, struct cqle_op *op, const struct cqle_plan *plan);
bool cqle_profile_refuses_batch(struct cqlemu *emu, struct cqle_op *op); /* of op->change */
/* NULL: the key is not too long for it. */
const char *cqle_profile_key_refusal(
	const struct cqlemu *emu, struct lab_arena *arena, size_t bytes, bool clustering);
/* NULL: in Cassandra's words. */
const char *cqle_profile_text(
	const struct cqlemu *emu, const struct cqle_op *op, const struct cql_error *e);
/* metadata-id.c: what version 5 knows the plan's result columns by. */
struct lab_view cqle_plan_result_id(struct cqlemu *emu, struct cqle_plan *plan);
int cqle_plan_build(struct cqlemu *emu, struct lab_arena *arena, const struct statement *statement,
	struct lab_view current_keyspace, struct cqle_plan **ret, struct lab_error *err);
void cqle_plan_unref(struct cqlemu *emu, struct cqle_plan *plan);
/* Counters go with counters only, and never into a log. `first` is the table of the batch's first
 * statement, or NULL. */
int cqle_batch_check(enum cql_batch_type type, const struct cqle_table *first,
	const struct cqle_table *table, struct lab_error *err);
bool cqle_plan_is_stale(const struct cqle_plan *plan);

const char *cqle_operator_text(enum operator op); /* "=", "CONTAINS KEY" */

/* ---- function.c: expressions computed ---- */

struct cqle_plan;

enum cqle_function_id {
	CQLE_FN_NOW,
	CQLE_FN_UUID,
	CQLE_FN_CURRENT_TIMESTAMP,
	CQLE_FN_CURRENT_DATE,
	CQLE_FN_CURRENT_TIME,
	CQLE_FN_TO_DATE,
	CQLE_FN_TO_TIMESTAMP,
	CQLE_FN_TO_UNIX,
	CQLE_FN_MIN_TIMEUUID,
	CQLE_FN_MAX_TIMEUUID,
	CQLE_FN_AS_BLOB,
	CQLE_FN_BLOB_AS,
	CQLE_FN_TO_JSON,
	CQLE_FN_FROM_JSON,
	CQLE_FN_COUNT,
	CQLE_FN_MIN,
	CQLE_FN_MAX,
	CQLE_FN_SUM,
	CQLE_FN_AVG
};
struct cqle_function {
	enum cqle_function_id id;
	const char *name;
	uint16_t ret, arg; /* type ids; CUSTOM: any type, and the same */
	uint8_t arity;
	bool overloaded, aggregate;
};
/* By its name in lower case. */
bool cqle_function_find(struct lab_arena *arena, struct lab_view name, struct cqle_function *ret);
/* Takes it an argument of the type? Chooses the signature. */
bool cqle_function_takes(struct cqle_function *f, const struct cql_type *type);
/* All signatures, for the error. */
const char *cqle_function_signatures(struct lab_arena *arena, const struct cqle_function *f);
/* Is every value of the type `have` one of `wanted`? */
bool cqle_type_takes(const struct cql_type *wanted, const struct cql_type *have);
/* Could the term be a constant of the type at all? */
bool cqle_term_fits(const struct term *term, const struct cql_type *type);

/* The columns of the row that an expression is computed for. */
struct cqle_row_source {
	struct lab_view (*value)(void *ctx, const struct cqle_column *column);
	const struct cqle_cell *(*cell)(void *ctx, const struct cqle_column *column);
	void *ctx;
	uint32_t now_s;
};
struct cqle_eval {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct cql_bind *values;
	struct lab_error *err;
	const struct cqle_row_source *row;     /* NULL: expressions without columns */
	const struct cqle_aggregate *finished; /* states of a group at its end; NULL */
};
/* ptr NULL is null. -1: err. */
int cqle_eval(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret);
enum cqle_got {
	CQLE_GOT_ERROR = -1,
	CQLE_GOT_VALUE,
	CQLE_GOT_NULL,
	CQLE_GOT_UNSET
};
enum cqle_got cqle_value_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret);

/* When a time-based one was made, in milliseconds. */
int64_t cqle_timeuuid_ms(struct lab_view value);

/* cast.c */
/* A value of a simple type as CAST writes it; NULL if it has no such form. */
const char *cqle_value_text(struct lab_arena *arena, uint16_t type, struct lab_view value);
bool cqle_cast_is_possible(const struct cql_type *from, uint16_t to);
/* Why it is not. */
const char *cqle_cast_refused(struct lab_arena *arena, const char *what, uint16_t to);
int cqle_cast(struct lab_arena *arena, uint16_t from, struct lab_view value, uint16_t to,
	struct lab_view *ret, struct lab_error *err);

/* literal.c: a date, time, timestamp or address in quotes */
int cqle_literal(struct lab_arena *arena, uint16_t type, struct lab_view text, struct lab_view *ret,
	struct lab_error *err);

/* json-input.c: a column's value of INSERT JSON; what fromJson() makes of a text for the type. */
enum cqle_got cqle_json_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret);
int cqle_from_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view arg,
	struct lab_view *ret);
/* function.c: FUNCTION_FAILURE; -1. */
int cqle_function_fail(const struct cqle_eval *e, const char *name, const struct lab_view *args,
	size_t count, const char *message);
/* json.c: a value as JSON; -1: it has no such form here. */
int cqle_to_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view value,
	struct lab_view *ret);
/* The items of a row as one document */
int cqle_json_row(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct lab_view *cells, struct lab_view *ret, struct lab_error *err);

/* number.c: numbers and text, exact in both directions. */
#define CQLE_DIGITS_MAX 1000
#define CQLE_DECIMAL_BYTES_MAX 420
double cqle_double_of(uint16_t type, struct lab_view value); /* of a float or double */
/* As Java writes it: the shortest digits that come back as the same number. */
const char *cqle_double_text(struct lab_arena *arena, uint16_t type, struct lab_view value);
struct lab_view cqle_double_value(struct lab_arena *arena, uint16_t type, double number);
/* <0, 0, >0: 1.0 and 1.00 are equal. */
int cqle_decimal_compare(struct lab_view a, struct lab_view b);
int cqle_varint_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret);
int cqle_decimal_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret);
struct lab_view cqle_varint_of(struct lab_arena *arena, int64_t value);
/* 0, or -1 if it has more than 64 bits. */
int cqle_varint_to_i64(struct lab_view value, int64_t *ret);
/* value NULL if it has more than CQLE_DIGITS_MAX digits */
const char *cqle_varint_text(struct lab_arena *arena, struct lab_view value);
const char *cqle_decimal_text(struct lab_arena *arena, struct lab_view value);
struct lab_view cqle_big_endian(struct lab_arena *arena, uint64_t value, size_t size);

/* exact.c: sums of varint, decimal, and of integers as two's complement bytes. -1: a number is
 * longer than what is counted with here. `*sum` begins as NULL, which is 0. */
struct cqle_exact;
int cqle_exact_add(
	struct lab_arena *keep, struct cqle_exact **sum, uint16_t type, struct lab_view value);
/* The average of `count` decimals, of which this is the last one, as Cassandra keeps it: each
 * difference to the last average is rounded at its own scale. */
int cqle_exact_average(
	struct lab_arena *keep, struct cqle_exact **average, struct lab_view value, uint64_t count);
/* Divided, what is behind the point cut off, by more than 1. Of a type but varint and decimal: a
 * bigint. */
int cqle_exact_result(struct lab_arena *arena, const struct cqle_exact *sum, uint16_t type,
	uint64_t divisor, struct lab_view *ret);
/* As Java narrows: the lowest 64 bits of what is in front of the point; the nearest double or
 * float. */
int cqle_exact_to_i64(uint16_t type, struct lab_view value, int64_t *ret);
int cqle_exact_to_double(
	struct lab_arena *arena, uint16_t type, struct lab_view value, bool single, double *ret);
int cqle_exact_to_decimal(struct lab_arena *arena, struct lab_view varint, struct lab_view *ret);

/* aggregate.c: rows to groups */
struct cqle_aggregate {
	bool set;
	struct lab_view value; /* min, max, the first row's */
	uint64_t count;
	uint64_t sum;             /* of integers, as they wrap around */
	struct cqle_exact *exact; /* of those that do not */
	double total, compensation, simple;
};
/* What is the row's expression worth at the group's end? Remembers it. */
int cqle_aggregate_add(const struct cqle_eval *e, struct lab_arena *keep, const struct cqle_expr *x,
	struct cqle_aggregate *states);
int cqle_aggregate_value(const struct cqle_eval *e, const struct cqle_function *f,
	const struct cqle_aggregate *state, struct lab_view *ret);

/* ---- bind.c: a plan and bound values to keys, slices and mutations ---- */

struct cqle_keys {
	struct lab_view *keys; /* serialized partition keys, in the order of the answer */
	size_t count;
};

/* What an operation reads, resolved from plan and values; lives in the operation's arena. */
struct cqle_select {
	struct cqle_keys keys; /* count 0 and scan: the whole ring */
	size_t next_key_skip;  /* keys that earlier pages have done with */
	bool scan;
	struct cqle_slice *slices;
	size_t slice_count;
	size_t limit, partition_limit;
	int64_t token_after, token_upto; /* of a scan: (after, upto] */
	bool token_from_minimum, token_empty;
	struct cqle_filter *filters;
	size_t filter_count;
	const struct cql_bind *values;
};
struct cqle_filter {
	const struct cqle_column *column;
	const struct cql_type *type; /* of what is compared: the column's, an element's */
	struct lab_view key;         /* column[key]; ptr NULL: the column */
	enum operator op;
	struct lab_view *values;
	size_t value_count;
	size_t tuple; /* so many columns from `column` on, values for all of them; 0: just it */
};

/* What a change is stamped with. */
struct cqle_stamp {
	int64_t timestamp;
	uint32_t ttl_s, now_s;
};

/* One condition of IF, bound. */
struct cqle_condition {
	const struct cqle_column *column;
	const struct cql_type *type; /* of what is compared */
	enum operator op;
	bool has_key;
	struct lab_view key;
	size_t field;            /* from 1; 0: none */
	struct lab_view *values; /* ptr NULL: null */
	size_t value_count;
};
int cqle_bind_conditions(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_condition **ret, struct lab_error *err);

int cqle_bind_select(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_select *ret, struct lab_error *err);
/* One statement of a change, and its values. */
struct cqle_change_item {
	struct cqle_plan *plan;
	const struct cql_bind *values;
	struct lab_view row; /* of a conditional statement: the row's key */
	bool has_now;        /* the client said what time it is */
	int32_t now_s;
};
struct cqle_mutations {
	struct cqle_mutation **items;
	size_t count, capacity;
};
/* Adds the statement's changes to `mutations`; one for each partition, merged with those there for
 * the same one. *timestamp is the protocol's or the server's, and becomes the one that is used.
 * `change` has the rows that a plan which needs_read wants to know; or NULL. */
struct cqle_change;
int cqle_bind_change(struct cqlemu *emu, struct lab_arena *arena,
	const struct cqle_change_item *item, const struct cqle_change *change, int64_t *timestamp,
	struct cqle_mutations *mutations, struct lab_error *err);
/* ---- collection.c ---- */

/* One change of a collection column; `value` and `key` are bound, ptr NULL for null. */
struct cqle_collect {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct cqle_set *set;
	const struct cqle_stamp *change;
	struct lab_view value, key;
	const struct cqle_cell *before; /* the column as it is, if the plan needs it; or NULL */
	struct lab_error *err;
};
/* Adds the change to what `cell` of the row-to-be has. */
int cqle_collection_change(const struct cqle_collect *c, struct cqle_cell *cell);
/* The collection of its live elements; ptr NULL if there are none. */
struct lab_view cqle_collection_value(struct lab_arena *arena, const struct cql_type *type,
	const struct cqle_cell *cell, uint32_t now_s);
/* The element of a serialized map or set at `key`; ptr NULL if there is none. */
struct lab_view cqle_collection_at(
	const struct cql_type *type, struct lab_view value, struct lab_view key);
/* The n-th field of a tuple or user type; ptr NULL if it is null, or not there. */
struct lab_view cqle_field_at(struct lab_view value, size_t index);
/* The n-th element of a serialized list; ptr NULL if there is none. */
struct lab_view cqle_list_at(struct lab_view value, int64_t index);
/* Is `item` among the elements (of a map: its values, or its keys)? */
bool cqle_collection_has(
	const struct cql_type *type, struct lab_view value, bool keys, struct lab_view item);
/* What a SELECT shows of any cell; ptr NULL is null. Borrows from the cell or the arena. */
struct lab_view cqle_cell_value(struct lab_arena *arena, const struct cqle_column *column,
	const struct cqle_cell *cell, uint32_t now_s);

/* Named values into the order of the markers. */
int cqle_bind_names(struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, size_t count, struct cql_bind **ret, struct lab_error *err);

/* ---- the cluster: cluster.c, ring.c, messages.c, hints.c, failure-detector.c, node.c ---- */

struct cqle_replicas { /* in ring order, the first is the primary */
	uint8_t nodes[CQLEMU_NODES_MAX];
	size_t count;
};

struct cqle_token {
	int64_t token;
	size_t node;
};

struct cqle_prepared {
	struct cqle_prepared *older, *newer; /* by last use */
	struct cqle_plan *plan;
	uint8_t id[16];
	bool warn_use;
};

struct cqle_view { /* what one node thinks of another */
	bool up;
	uint64_t heard_ns;      /* last time it was reachable */
	uint32_t incarnation;   /* that it has heard of */
	uint64_t down_since_ns; /* when convicted */
	uint64_t schema_digest; /* of one that is down: what it was then */
};

#define CQLE_LATENCY_SAMPLES 16
/* How long a node took to answer another one's reads (snitch.c). */
struct cqle_latency {
	uint64_t at_ns[CQLE_LATENCY_SAMPLES], took_ns[CQLE_LATENCY_SAMPLES];
	unsigned count, next;
	bool is_new; /* samples have come since the score was made */
	uint64_t score_ns, heard_ns;
	struct cqle_event *silence; /* somebody waits for it in vain */
};

/* Of one table's reads, as one coordinator saw them. */
#define CQLE_READ_BUCKETS 165
struct cqle_read_latency {
	uint32_t counts[CQLE_READ_BUCKETS]; /* 256 for each read, decaying */
	uint64_t period;                    /* number of the last update */
	uint64_t threshold_ns;
};

struct cqle_node {
	struct lab_view name, dc_name, rack_name, zone;
	char address_text[16];
	uint8_t address[4];
	unsigned dc;
	uint8_t host_id[CQL_UUID_BYTES];
	enum cqlemu_node_state state;
	uint64_t connections, requests, statements; /* counters */
	uint32_t incarnation;
	struct cqle_view views[CQLEMU_NODES_MAX];
	uint64_t *ordinals;                  /* messages sent to each node: hooks->latency */
	struct cqle_latency *latencies;      /* of each node, as this one saw them */
	uint64_t schema_digest;              /* of all changes that it knows */
	bool has_latencies;                  /* any */
	uint64_t busy_ns;                    /* what it asks of itself takes so long */
	uint64_t score_tick, score_phase_ns; /* when scores were made last, in updates */
	uint64_t reset_ns;                   /* samples forgotten */
	struct lab_map *paxos;    /* table id and partition key to struct cqle_paxos_state */
	struct lab_map *prepared; /* id to struct cqle_prepared */
	struct cqle_prepared *oldest, *newest;
	struct cqle_event *deferred, *deferred_last; /* while frozen */
	size_t deferred_count;
	/* Of the commit log: what is not yet in the durable stores. */
	struct cqle_journal *journal, *journal_last;
};

enum cqle_event_kind {
	CQLE_EV_MESSAGE,
	CQLE_EV_TIMEOUT,   /* of an operation */
	CQLE_EV_SPECULATE, /* of an operation */
	CQLE_EV_RESUME,    /* of an operation: a fault's delay is over */
	CQLE_EV_BACKOFF,   /* of an operation: Paxos tries again */
	CQLE_EV_GOSSIP,
	CQLE_EV_HINTS,   /* from -> to: send what waits */
	CQLE_EV_SILENCE, /* `to` has not answered a read of `from` in time */
	CQLE_EV_EXPIRE   /* what `from`, a counter's leader, sent is given up */
};

enum cqle_message_kind {
	CQLE_MSG_WRITE,
	CQLE_MSG_COUNTER, /* to the leader; `forward` are the replicas that it may tell */
	CQLE_MSG_COUNTER_DONE,
	CQLE_MSG_SCHEMA,        /* `ballot` is the change */
	CQLE_MSG_WRITE_REFUSED, /* the replica does not know the table */
	CQLE_MSG_WRITE_ACK,
	CQLE_MSG_READ,
	CQLE_MSG_READ_ANSWER,
	CQLE_MSG_HINT,
	CQLE_MSG_PAXOS,
	CQLE_MSG_PAXOS_ANSWER
};

enum cqle_paxos_phase {
	CQLE_PAXOS_NONE,
	CQLE_PAXOS_PREPARE,
	CQLE_PAXOS_PROPOSE,
	CQLE_PAXOS_COMMIT
};
/* What a replica says to any phase: did it agree, and what does it remember? */
struct cqle_promise {
	uint32_t refs;
	bool ok;
	uint64_t promised, accepted, committed;
	struct cqle_mutation *proposal, *commit;
};

#define CQLE_SLOT_BATCHLOG UINT32_MAX
#define CQLE_SLOT_REPAIR (UINT32_MAX - 1)

struct cqle_event {
	uint64_t at_ns, sequence;
	size_t heap_index; /* SIZE_MAX: not in the heap */
	struct cqle_event *next;
	enum cqle_event_kind kind;
	enum cqle_message_kind message;
	uint8_t from, to;
	uint8_t reply_to; /* WRITE: the coordinator, if a forwarder sent it */
	uint64_t forward; /* WRITE: nodes that `to` passes it on to */
	struct cqle_op *op;
	uint64_t op_serial;
	uint32_t slot;    /* which of the operation's writes; which round of its read */
	uint64_t sent_ns; /* READ, its answer, SILENCE: when the coordinator asked */
	struct cqle_mutation *mutation;
	struct cqle_answer *answer;
	/* Paxos; a WRITE with a ballot is a commit. */
	enum cqle_paxos_phase phase;
	uint64_t ballot;
	struct cqle_table *paxos_table;
	struct cqle_bytes *paxos_key;
	struct cqle_promise *promise;
};

void cqle_schedule(struct cqlemu *emu, struct cqle_event *event, uint64_t at_ns);
void cqle_unschedule(struct cqlemu *emu, struct cqle_event *event);
struct cqle_event *cqle_event_new(struct cqlemu *emu, enum cqle_event_kind kind);
/* With the references it holds. */
void cqle_event_free(struct cqlemu *emu, struct cqle_event *event);

int cqle_cluster_init(
	struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err);
void cqle_cluster_done(struct cqlemu *emu);
const struct cqle_replicas *cqle_replicas_of(
	struct cqlemu *emu, struct cqle_keyspace *keyspace, int64_t token);
/* Index in emu->ring of the first token >= `token`, wrapping. */
size_t cqle_ring_index(const struct cqlemu *emu, int64_t token);
/* The keyspace's nodes for a ring index. */
const struct cqle_replicas *cqle_placement(
	struct cqlemu *emu, struct cqle_keyspace *keyspace, size_t ring_index);
/* Sends a copy, which takes its own references. Delivered in this call if there is no latency.
 * False if it is certainly lost. */
bool cqle_send(struct cqlemu *emu, const struct cqle_event *message);
/* Stores a hint for `to` at `from`; takes no reference. */
void cqle_hint(struct cqlemu *emu, size_t from, size_t to, struct cqle_mutation *mutation);
/* Forgets all of them. */
void cqle_journal_drop(struct cqlemu *emu, struct cqle_node *node);
/* Those that all nodes keep; those of one. */
void cqle_hints_drop(struct cqlemu *emu);
void cqle_hints_drop_of(struct cqlemu *emu, size_t from);
void cqle_apply_at(struct cqlemu *emu, size_t node, struct cqle_mutation *mutation);
/* Does `observer` get what `node` sends, and the other way round? */
bool cqle_hears(const struct cqlemu *emu, size_t observer, size_t node);
/* Looks at the links soon. */
void cqle_gossip_wake(struct cqlemu *emu, uint64_t at_ns);
/* As a kill, inside of a call; its data are as they are. */
void cqle_node_die(struct cqlemu *emu, size_t index);
void cqle_node_prepared_drop(struct cqlemu *emu, struct cqle_node *node);
/* Does what is due. */
void cqle_events_run(struct cqlemu *emu);
struct cqle_hint_list;
struct cqle_journal;

struct cqle_paging;
struct cqle_result;

/* ---- operation.c: one request in flight ---- */

enum cqle_op_kind {
	CQLE_OP_READ,
	CQLE_OP_WRITE,
	CQLE_OP_OTHER
};

/* One mutation of a write and who has it. Masks are of node numbers. */
struct cqle_write {
	struct cqle_mutation *mutation;
	uint64_t replicas, sent, acked, refused;
	/* Of a counter: the leader has made shards of the deltas / has said that enough have them.
	 */
	bool resolved, led;
	size_t leader;
};

/* What a change was asked to do, until it has become `writes`. */
struct cqle_known {
	const struct cqle_table *table;
	struct cqle_bytes *key;
	struct cqle_row *row;
	bool is_static;
};
struct cqle_change {
	struct cqle_change_item *items;
	size_t count;
	const struct cql_bind *values; /* of a batch written as text */
	bool is_batch;
	enum cql_batch_type batch_type;
	bool reading; /* rows have to be read first */
	bool conditional;
	size_t next; /* item to read for */
	struct cqle_known *known;
	size_t known_count, known_capacity;
};

/* A conditional change, or a read at SERIAL, on its way to agreement (paxos.c). */
struct cqle_paxos {
	struct cqle_table *table;
	struct cqle_bytes *key;
	enum cql_consistency serial, commit_consistency;
	bool read_only;
	enum cqle_paxos_phase phase;
	uint64_t ballot, highest; /* ours, and the highest that we have heard of */
	uint64_t participants, replied, agreed;
	unsigned required, contentions;
	uint64_t deadline_ns; /* of contention */
	bool finishing;       /* what somebody else left accepted */
	struct cqle_mutation *mutation;
	struct cqle_promise *promises[CQLEMU_NODES_MAX];
};

#define CQLE_TRIES_MAX 24 /* of one sub-read: digest mismatch, short reads */

struct cqle_op {
	struct cqle_op *next_free;
	struct cqle_op *next, *previous; /* active ones */
	uint64_t serial;
	enum cqle_op_kind kind;
	struct cqle_session *session; /* NULL: gone, or none */
	size_t node;                  /* coordinator */
	int16_t stream;
	uint8_t version;
	bool tracing;
	bool answered; /* the client has its answer; late acks may still come */
	bool finished;
	unsigned holds; /* callers on the stack that still need it */
	struct lab_arena *arena;
	struct cqle_plan *plan;
	struct cql_params params;
	uint64_t received_ns;
	struct sim_fault fault;
	struct cqle_event *timer;       /* TIMEOUT */
	struct cqle_event *speculation; /* SPECULATE */
	struct cqle_event *resume;      /* RESUME: keeps the operation alive */
	bool prepared_to_answer;        /* RESUME answers with the fault's error, else it begins */
	struct lab_view *warnings;
	size_t warning_count;

	/* for the access log */
	struct lab_view operation, subject, user, object, text;
	int64_t timestamp_us;
	uint64_t bytes, body_hash;
	bool applied;
	struct lab_view prepared_id; /* of EXECUTE */
	struct lab_view result_id;   /* likewise, version 5 */
	uint8_t new_id[16];          /* of PREPARE */

	/* WRITE */
	struct cqle_change change;
	struct cqle_paxos *paxos; /* NULL: no agreement is needed */
	struct cqle_write *writes;
	size_t write_count;
	const char *write_type;
	bool counter;  /* a leader for each write */
	bool batchlog; /* the batch log's nodes are asked first */
	bool batchlog_done;
	unsigned batchlog_required, batchlog_acks;
	size_t batchlog_node;
	bool hint_is_enough; /* ANY */
	bool sending;
	bool placed; /* replicas were found */
	enum cql_consistency consistency;

	/* READ: one sub-read after the other, of a partition or a part of the ring */
	const struct cqle_plan *reading; /* the plan, or a change's that has to read first */
	struct cqle_select select;
	struct cqle_read read;
	size_t next_key;               /* of select.keys */
	size_t next_range;             /* of the ring: ring_count + 1 of them */
	struct cqle_paging *resume_at; /* of the page before */
	bool looping, again;           /* the next sub-read is due */
	uint32_t round; /* counts all rounds of all sub-reads: old answers are ignored */
	unsigned tries; /* rounds of this sub-read */
	bool full;      /* digests differed: everybody sends data */
	uint64_t candidates, asked, replied, failed;
	uint64_t ignorant;               /* of those that failed: the table is unknown there */
	uint8_t order[CQLEMU_NODES_MAX]; /* candidates, nearest first */
	size_t order_count;
	struct cqle_answer *answers[CQLEMU_NODES_MAX]; /* by node */
	struct cqle_answer *merged;
	unsigned required, repairs_waiting;
	uint64_t asked_ns;        /* this round */
	uint64_t extra, extra_ns; /* asked in speculation, and when */
	unsigned speculating;     /* replicas to ask at once beyond those required */
	uint64_t speculation_ns;  /* of this table; UINT64_MAX: never */
	size_t wanted;            /* rows of this page; SIZE_MAX: all */
	size_t remaining;         /* of LIMIT at the start of this page */
	struct cqle_result *result;
};

struct cqle_op *cqle_op_new(struct cqlemu *emu, struct cqle_session *session, size_t node);
void cqle_op_hold(struct cqle_op *op);
/* Gives it back to the pool once it is finished and nobody holds it. */
void cqle_op_release(struct cqlemu *emu, struct cqle_op *op);
void cqle_op_finish(struct cqlemu *emu, struct cqle_op *op);
/* Arms one of the operation's timers. */
void cqle_op_arm(struct cqlemu *emu, struct cqle_op *op, enum cqle_event_kind kind, uint64_t at_ns);
void cqle_op_disarm(struct cqlemu *emu, struct cqle_event **event);
/* After a kill: nobody is answered any more. */
void cqle_op_forget(struct cqlemu *emu, struct cqle_op *op);

/* write.c, read-path.c */
void cqle_write_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_write_ack(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from);
void cqle_write_refused(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from);
/* A counter's leader says that enough have it. */
void cqle_write_led(struct cqlemu *emu, struct cqle_op *op, size_t slot);
void cqle_write_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_answer *answer);
void cqle_read_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_speculate(struct cqlemu *emu, struct cqle_op *op);
void cqle_repair_ack(struct cqlemu *emu, struct cqle_op *op);
/* One replica's answer to the operation's present read. */
struct cqle_answer *cqle_read_at(struct cqlemu *emu, struct cqle_op *op, size_t node);
/* The applying part of a LATE write. */
void cqle_write_late(struct cqlemu *emu, struct cqle_op *op);

/* visibility.c */
/* A change that cqle_ddl() made: from its coordinator to the others, with events to their clients.
 * SIZE_MAX: in set-up, everybody knows. */
void cqle_schema_spread(
	struct cqlemu *emu, size_t coordinator, const struct cql_schema_change *change);
void cqle_schema_heard(struct cqlemu *emu, size_t node, uint64_t id);
/* Who knows tells who does not. True if more can happen by itself. */
bool cqle_schema_gossip(struct cqlemu *emu);
void cqle_schema_node_starts(struct cqlemu *emu, size_t node);
void cqle_schema_done(struct cqlemu *emu);
/* snitch.c */
void cqle_snitch_init(struct cqlemu *emu);
/* An answer to a read has come / may never come: it is waited for until it expires. */
void cqle_snitch_heard(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns);
void cqle_snitch_waits(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns);
void cqle_snitch_silence(struct cqlemu *emu, const struct cqle_event *event);
/* `order` is that of the topology; becomes that of the scores if it is much better. */
void cqle_snitch_order(struct cqlemu *emu, size_t coordinator, uint8_t *order, size_t count);
/* When a message that nobody answers is given up: after its timeout, when the reaper comes by. */
uint64_t cqle_expiry_ns(
	const struct cqlemu *emu, size_t node, uint64_t sent_ns, uint64_t timeout_ns);
/* A read of one partition is over, well or not. */
void cqle_read_took(struct cqlemu *emu, struct cqle_table *table, size_t coordinator, uint64_t ns);
/* After how long one more replica is asked: 0 at once, UINT64_MAX never. */
uint64_t cqle_speculation_ns(struct cqlemu *emu, struct cqle_table *table, size_t coordinator);
void cqle_read_latency_free(struct cqlemu *emu, struct cqle_table *table);

/* counter.c */
size_t cqle_counter_leader(
	const struct cqlemu *emu, const struct cqle_op *op, uint32_t slot, uint64_t live);
/* What a mutation of deltas comes to at a node. A new reference. */
struct cqle_mutation *cqle_counter_resolve(
	struct cqlemu *emu, size_t node, struct cqle_mutation *mutation);
/* A CQLE_MSG_COUNTER has come; `current`: its operation still waits. */
void cqle_counter_lead(struct cqlemu *emu, const struct cqle_event *message, bool current);
/* A replica has told the leader that it has the shards. */
void cqle_counter_ack(struct cqlemu *emu, const struct cqle_event *message);
/* The leader gives up those that have not. */
void cqle_counter_expire(struct cqlemu *emu, const struct cqle_event *event);
void cqle_counter_answer_failure(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_write *w, uint64_t failed);

/* paxos.c */
struct cqle_paxos *cqle_paxos_new(struct cqlemu *emu, struct cqle_op *op, struct cqle_table *table,
	struct lab_view key, enum cql_consistency serial);
/* Begins with what cqle_paxos_new() made. A change is called back with cqle_change_read() when it
 * may read, calls cqle_paxos_propose(), and is called back with cqle_change_commit(). */
void cqle_paxos_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_propose(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation);
/* What the proposal's cells are stamped with. */
int64_t cqle_paxos_timestamp(const struct cqle_op *op);
void cqle_paxos_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_promise *promise);
void cqle_paxos_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_again(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_release(struct cqlemu *emu, struct cqle_op *op);
/* A replica's part: its answer, with a reference; NULL: it has no room to remember, and is silent.
 */
struct cqle_promise *cqle_paxos_serve(struct cqlemu *emu, const struct cqle_event *message);
/* The mutation has been committed under this ballot. */
void cqle_paxos_learn(
	struct cqlemu *emu, size_t node, struct cqle_mutation *mutation, uint64_t ballot);
void cqle_paxos_clear(struct cqlemu *emu, struct cqle_node *node);
struct cqle_promise *cqle_promise_ref(struct cqle_promise *promise);
void cqle_promise_unref(struct cqlemu *emu, struct cqle_promise *promise);

/* condition.c */
/* 1: they hold, 0: not; -1. */
int cqle_conditions_hold(struct cqlemu *emu, struct cqle_op *op, struct lab_error *err);
/* Answers [applied] false with what is there, and ends the operation / answers [applied] true. */
void cqle_conditions_refuse(struct cqlemu *emu, struct cqle_op *op);
void cqle_conditions_applied(struct cqlemu *emu, struct cqle_op *op);

/* consistency.c */
unsigned cqle_block_for(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node);
/* Which replicas count. */
uint64_t cqle_eligible(
	const struct cqlemu *emu, enum cql_consistency cl, size_t node, uint64_t replicas);
/* 0, or -1 with an UNAVAILABLE in *ret. */
int cqle_assure_live(struct cqlemu *emu, const struct cqle_keyspace *ks, enum cql_consistency cl,
	size_t node, uint64_t replicas, uint64_t live, struct lab_arena *arena,
	struct cql_error *ret);
/* How many of the required answers are there: at most block_for. */
unsigned cqle_received(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node, uint64_t acked);
uint64_t cqle_live_view(const struct cqlemu *emu, size_t node);
/* "Operation failed - received 1 responses and 1 failures: REASON from /10.0.0.1:7000". */
const char *cqle_failures(struct cqlemu *emu, struct lab_arena *arena, uint64_t failed,
	uint64_t ignorant, unsigned received, const char *reason);

/* ---- session.c ---- */

enum cqle_session_state {
	CQLE_SESSION_NEW,
	CQLE_SESSION_AUTH,
	CQLE_SESSION_READY
};

#define CQLE_EVENT_TOPOLOGY 1u
#define CQLE_EVENT_STATUS 2u
#define CQLE_EVENT_SCHEMA 4u

struct cqle_session {
	struct cqlemu *emu;
	struct cqle_session *next, *previous; /* all of them */
	struct cqle_session *next_pending;
	struct cqle_session *next_dead;
	bool pending;       /* has input that came from inside of a callback */
	bool close_pending; /* likewise its end */
	bool closed, stalled;
	uint8_t *names; /* memory of peer_name */
	size_t node;
	uint64_t number;
	struct lab_view peer_name;
	sim_stream_output_fn output;
	void *output_ctx;
	enum cqle_session_state state;
	uint8_t version; /* 0 until STARTUP */
	enum cql_compression compression;
	bool segmented;            /* version 5, behind READY or AUTHENTICATE */
	struct lab_buf large;      /* a frame that comes in several segments */
	struct cqle_stuck *stuck;  /* wire.c; NULL: all is well */
	uint64_t skip, skip_bytes; /* of a frame that is too long: still to come, all */
	int16_t skip_stream;
	uint64_t rate_second; /* of the profile's rate: requests in this second */
	unsigned rate_count;
	struct lab_view keyspace; /* of USE; the schema's view */
	struct cqle_role *role;   /* who has logged in; NULL: nobody has to */
	unsigned events;
	size_t inflight;
	struct lab_buf in;
	/* Answers that wait for an engine to keep what they tell of. */
	struct cqle_session *next_holding;
	bool holding;
	struct lab_buf held;
	enum sim_wire held_wire;
};

/* wire.c: one answer; at once, whatever is in flight. */
void cqle_wire_send(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	const struct cql_response *response, enum sim_wire wire);
/* Handles the requests that `data` begins with; returns the bytes they had. */
size_t cqle_wire_take(struct cqlemu *emu, struct cqle_session *s, struct lab_view data);
/* handshake.c: a request that came whole. */
void cqle_handle_frame(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame);

/* Frees those that were closed. */
void cqle_session_bury(struct cqlemu *emu);
/* Sends an answer; applies the operation's fault; writes the access log; finishes the request's
 * part that the client sees. */
void cqle_op_answer(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response);
void cqle_op_answer_error(struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error);
void cqle_op_fail(struct cqlemu *emu, struct cqle_op *op, const struct lab_error *err);
/* As cqle_fail(), of a message that may be longer than lab_error's. */
int cqle_fail_long(struct cqlemu *emu, struct lab_error *err, unsigned code, const char *text);
void cqle_op_warn(struct cqle_op *op, const char *text);
/* The time by which things expire: the client's, if it gave one. */
uint32_t cqle_op_now_s(const struct cqlemu *emu, const struct cqle_op *op);
/* Says which nodes (a bit for each) failed, and why (those of `ignorant`: for another schema):
 * version 5 sends it. */
void cqle_error_blame(const struct cqlemu *emu, struct cqle_op *op, struct cql_error *error,
	uint64_t nodes, uint64_t ignorant, enum cql_failure_reason reason);
/* The request's work begins: after faults that delay it. */
void cqle_request_run(struct cqlemu *emu, struct cqle_op *op);
/* An answer that a fault decided: after its delay. */
void cqle_fault_answer(struct cqlemu *emu, struct cqle_op *op);
void cqle_fault_answer_later(struct cqlemu *emu, struct cqle_op *op);
/* Around everything that is called from outside. */
void cqle_enter(struct cqlemu *emu, uint64_t now_ns);
void cqle_leave(struct cqlemu *emu);
/* Asks for a fault at `point`, then runs the request, or does what the fault says. */
void cqle_request_begin(struct cqlemu *emu, struct cqle_op *op, const char *point);
void cqle_op_unprepared(struct cqlemu *emu, struct cqle_op *op, struct lab_view id);
void cqle_session_reset(struct cqlemu *emu, struct cqle_session *session);
void cqle_session_run(struct cqlemu *emu, struct cqle_session *session);
void cqle_event_status(struct cqlemu *emu, size_t observer, size_t node, bool up);
void cqle_event_schema(struct cqlemu *emu, size_t node, const struct cql_schema_change *change);

/* ---- request.c: what QUERY, PREPARE, EXECUTE and BATCH do ---- */

void cqle_do_query(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_prepare(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_execute(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_batch(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_prepared_forget(struct cqlemu *emu, struct cqle_node *node, struct lab_view id);
/* The answer to PREPARE, once faults allow. */
void cqle_prepare_run(struct cqlemu *emu, struct cqle_op *op);
/* Runs a statement that is no request: for set-up. */
int cqle_setup(struct cqlemu *emu, struct lab_view text, struct lab_error *err);

/* Answers with an error that is not the cluster's, and ends the operation. */
void cqle_op_refuse(struct cqlemu *emu, struct cqle_op *op, uint32_t code, const char *text);
/* Why this consistency level makes no sense here; NULL if it does. */
const char *cqle_refused_consistency(const struct cqle_op *op, bool write);
/* Begins to read for op->select, which is bound. */
void cqle_read_prepare(struct cqlemu *emu, struct cqle_op *op);

/* ---- change.c ---- */

void cqle_do_change(struct cqlemu *emu, struct cqle_op *op, const struct cql_bind *values);
/* Of BATCH: op->change.items has room. */
void cqle_change_add(struct cqle_op *op, struct cqle_plan *plan, const struct cql_bind *values);
void cqle_change_start(struct cqlemu *emu, struct cqle_op *op);
/* Rows that were read for a change; all of them have been. */
void cqle_change_known(struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer);
void cqle_change_read_done(struct cqlemu *emu, struct cqle_op *op);
/* The rows of a conditional change may be read; its mutation is agreed on. */
void cqle_change_read(struct cqlemu *emu, struct cqle_op *op);
void cqle_change_commit(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation);
/* The row (NULL: the static one) as it was read before; NULL if it is not there. */
const struct cqle_row *cqle_change_row(const struct cqle_change *change,
	const struct cqle_table *table, struct lab_view key, const struct lab_view *row);
void cqle_change_release(struct cqlemu *emu, struct cqle_op *op);
/* Applies a change on every replica at once. */
int cqle_change_setup(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_plan *plan, struct lab_error *err);

/* ---- result.c: rows to cells ---- */

struct cqle_result {
	struct lab_view *cells;
	size_t row_count, capacity;
	struct cqle_aggregate *states; /* of the group in hand */
	bool in_group;                 /* it has rows */
	struct lab_view *orders;       /* of plan->sorted: what each row is sorted by */
	size_t order_capacity;
	struct lab_view group_key, group_row;
	bool failed; /* a function could not be computed: `err` */
	struct lab_error err;
	/* Where the page ended: */
	bool more;
	struct lab_view last_key, last_row;
	size_t partition_remaining;
	size_t live; /* rows that go to the client */
};
/* A column of a row's primary key; `row` NULL: of a partition. Borrows, or from the arena. */
struct cqle_key_view {
	const struct cqle_table *table;
	struct lab_view key, row;
};
struct lab_view cqle_key_value(struct lab_arena *arena, const struct cqle_key_view *keys,
	const struct cqle_column *column);
bool cqle_order_matches(enum operator op, int order);
/* Adds the live rows of `answer`, at most `room` of them. */
void cqle_result_add(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer, size_t room);
void cqle_result_finish(struct cqlemu *emu, struct cqle_op *op);
/* sort.c: what the row that was added last is sorted by; puts the rows in order. */
void cqle_result_note_order(struct cqle_op *op, struct lab_view key);
void cqle_result_sort(struct cqle_op *op);
/* Cassandra's unsigned vint: the number of leading ones says how many bytes follow. */
void cqle_vint_put(struct lab_buf *out, uint64_t value);
int cqle_vint_take(struct lab_view *rest, uint64_t *ret);
/* Paging state of 4.0 (cql-imds 1.5). */
struct lab_view cqle_paging_write(struct lab_arena *arena, const struct cqle_table *table,
	struct lab_view key, struct lab_view row, size_t remaining, size_t partition_remaining);
struct cqle_paging {
	struct lab_view key; /* ptr NULL: the statement's only one */
	struct lab_view row; /* comparable bytes; ptr NULL: none of this partition yet */
	size_t remaining, partition_remaining;
};
int cqle_paging_read(struct lab_arena *arena, const struct cqle_table *table, struct lab_view state,
	struct cqle_paging *ret);

/* ---- keep.c: with an engine (storage-engine.h); without one these do nothing ---- */

/* Of each node. */
struct cqle_store **cqle_stores_new(
	struct cqlemu *emu, const struct cqle_table *table, bool durable);
void cqle_keep_statement(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	const struct cql_schema_change *change);
int cqle_keep_restore(struct cqlemu *emu, struct lab_error *err);
/* Commits, and lets answers go; or else all nodes die, once this is the end of a call. */
void cqle_keep(struct cqlemu *emu, bool at_end);
/* Sends bytes on the connection, or holds them until cqle_keep(). */
void cqle_output(
	struct cqlemu *emu, struct cqle_session *s, struct lab_view data, enum sim_wire wire);

/* ---- the emulator ---- */

#define CQLE_MESSAGE_MAX ((size_t)65535) /* a string on the wire */

#define CQLE_MAGIC 0x43514c45u

struct cqlemu {
	uint32_t magic;
	struct lab_heap *heap;
	struct cqlemu_options options;
	const struct cqlemu_profile *profile;
	struct sim_hooks hooks;
	struct lab_arena *permanent; /* names, schema */
	struct lab_arena *scratch;   /* of one call */
	uint64_t now_ns;
	bool busy; /* inside a call: input() and closed() wait */
	struct cqle_session *pending_first, *pending_last;

	struct cqle_node *nodes;
	size_t node_count;
	struct lab_view dc_names[CQLE_DCS_MAX];
	uint64_t dc_nodes[CQLE_DCS_MAX];
	size_t dc_count;
	struct cqle_token *ring;
	size_t ring_count;

	struct cqle_keyspace *keyspaces[CQLEMU_KEYSPACES_MAX];
	size_t keyspace_count;
	struct cqle_table *tables[CQLEMU_TABLES_MAX];
	size_t table_count;
	struct cqle_user_type *types[CQLEMU_TYPES_MAX]; /* of all keyspaces */
	size_t type_count;
	struct lab_map *table_names; /* "ks.t" to struct cqle_table */
	uint64_t schema_version;     /* counts DDL */
	struct cqle_news *news;      /* changes that are spreading, oldest first */
	size_t news_count;
	size_t viewer; /* node on whose behalf names are looked up; SIZE_MAX: nobody's */
	uint64_t metadata_version; /* and what system tables show besides */
	bool system_ready;         /* system keyspaces exist, and are closed to clients */
	bool filling;              /* a system table is being made */
	struct lab_view setup_keyspace;
	bool restoring; /* the schema that was kept is being made again */
	bool keeping, keep_failed;
	struct cqle_session *holding;
	size_t held_bytes;
	struct cqle_auth *auth;     /* NULL: AllowAllAuthenticator */
	struct cqle_traces *traces; /* tracing.h; NULL: none yet */

	struct cqle_event **heap_events; /* a binary heap */
	size_t event_count, event_capacity;
	uint64_t event_sequence;
	struct cqle_event *free_events;
	struct cqle_op *free_ops;
	uint64_t op_serial;
	struct cqle_event *gossip;    /* scheduled, or NULL */
	struct cqle_hint_list *hints; /* [from][to] */
	bool gossip_idle;             /* it has not ticked for a while */
	struct cqle_op *active_ops;   /* unfinished ones */
	size_t op_count;
	size_t hint_count;

	struct cqle_session *sessions, *dead_sessions;
	size_t session_count;
	uint64_t session_number;
	struct lab_buf out, packed;
	struct cqlemu_counters counters;
	int64_t last_timestamp_us; /* server-side, monotone */
	uint64_t last_ballot_us;
	uint64_t uuid_count; /* made by now() and uuid() */
	struct {
		const char *name;
		char args[2][24];
		size_t count;
	} failure;                                /* what the last FUNCTION_FAILURE was about */
	uint64_t list_place;                      /* the last one given to an element of a list */
	uint64_t read_buckets[CQLE_READ_BUCKETS]; /* upper limits */
	struct lab_buf long_error;                /* of a message that lab_error cannot hold */
};

/* Wall clock. */
static inline int64_t cqle_wall_us(const struct cqlemu *emu)
{
	return emu->options.epoch_us + (int64_t)(emu->now_ns / 1000);
}
static inline uint32_t cqle_wall_s(const struct cqlemu *emu)
{
	int64_t seconds = cqle_wall_us(emu) / 1000000;
	return seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}
static inline uint64_t cqle_bit(size_t node)
{
	return UINT64_C(1) << node;
}

/* Does the node on whose behalf something is looked up know this? */
static inline bool cqle_is_seen(const struct cqlemu *emu, uint64_t unseen)
{
	return emu->viewer == SIZE_MAX || (unseen & cqle_bit(emu->viewer)) == 0;
}
static inline bool cqle_knows(size_t node, const struct cqle_table *table)
{
	return (table->unseen & cqle_bit(node)) == 0;
}

#endif
