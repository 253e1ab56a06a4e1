/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - what one replica keeps: cells, rows, partitions, and changes of them.
 */
#ifndef LAB_CQL_EMULATOR_STORE_H
#define LAB_CQL_EMULATOR_STORE_H

#include "sim/cql-emulator/schema.h"

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

#endif
