/* SPDX-License-Identifier: Apache-2.0
 *
 * storage.c - one replica of one table: partitions by key, rows in clustering order; and where each
 * question goes, if an engine keeps them (store-disk.c).
 *
 * In memory partitions hang in a hash table by their token, and in an array that is put in order
 * when a scan asks for it. A partition's rows are in short sorted runs, so that an insertion moves
 * little.
 */
#include "sim/cql-emulator/storage-private.h"

#include <stdlib.h>

#define FIRST_BUCKETS 16
/* A run of 2^n - 1 slots fills a block of the heap to the end. */
#define RUN_ROWS_MAX 127u
#define FIRST_RUN_ROWS 1u

/* ---- partitions ---- */

static uint64_t key_prefix(struct lab_view key)
{
	uint64_t prefix = 0;
	if (key.len >= sizeof(prefix)) {
		memcpy(&prefix, key.ptr, sizeof(prefix));
		return __builtin_bswap64(prefix);
	}
	for (size_t i = 0; i < key.len; i++)
		prefix |= (uint64_t)key.ptr[i] << (56 - 8 * i);
	return prefix;
}

static int slot_order(const struct cqle_slot *slot, uint64_t prefix, struct lab_view key)
{
	if (slot->prefix != prefix)
		return slot->prefix < prefix ? -1 : 1;
	return lab_view_cmp(cqle_row_key(slot->row), key);
}

/* The run that holds `key` or would: the last whose first row is <= key, or the first. */
static uint32_t find_run(const struct cqle_partition *p, struct lab_view key)
{
	uint64_t prefix = key_prefix(key);
	uint32_t low = 0, high = p->run_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (slot_order(&p->runs[middle]->slots[0], prefix, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 0 : low - 1;
}

/* Index of the first row of the run >= key. */
static uint32_t find_row(const struct cqle_run *run, struct lab_view key)
{
	uint64_t prefix = key_prefix(key);
	uint32_t low = 0, high = run->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (slot_order(&run->slots[middle], prefix, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cqle_cursor cqle_seek(const struct cqle_partition *p, struct lab_view key)
{
	struct cqle_cursor cursor = { p, 0, 0 };
	if (p->disk != NULL)
		cqle_disk_seek(p->disk, key);
	if (p->run_count == 0)
		return cursor;
	cursor.run = find_run(p, key);
	cursor.index = find_row(p->runs[cursor.run], key);
	return cursor;
}

struct cqle_cursor cqle_seek_end(const struct cqle_partition *p)
{
	if (p->disk != NULL)
		cqle_disk_seek_end(p->disk);
	return (struct cqle_cursor){ p, p->run_count, 0 };
}

struct cqle_row *cqle_cursor_next(struct cqle_cursor *cursor)
{
	const struct cqle_partition *p = cursor->partition;
	if (p->disk != NULL)
		return cqle_disk_next(p->disk);
	if (cursor->run < p->run_count && cursor->index == p->runs[cursor->run]->count) {
		cursor->run++;
		cursor->index = 0;
	}
	return cursor->run < p->run_count ? p->runs[cursor->run]->slots[cursor->index++].row : NULL;
}

struct cqle_row *cqle_cursor_previous(struct cqle_cursor *cursor)
{
	const struct cqle_partition *p = cursor->partition;
	if (p->disk != NULL)
		return cqle_disk_previous(p->disk);
	if (cursor->index == 0) {
		if (cursor->run == 0)
			return NULL;
		cursor->run--;
		cursor->index = p->runs[cursor->run]->count;
	}
	return p->runs[cursor->run]->slots[--cursor->index].row;
}

struct cqle_row *cqle_row_find(const struct cqle_partition *p, struct lab_view key)
{
	struct cqle_cursor cursor = cqle_seek(p, key);
	struct cqle_row *row = cqle_cursor_next(&cursor);
	return row != NULL && lab_view_eq(cqle_row_key(row), key) ? row : NULL;
}

static void run_insert_at(
	struct cqle_store *store, struct cqle_partition *p, uint32_t at, struct cqle_run *run)
{
	p->runs = storage_grow(
		store->heap, p->runs, p->run_count, &p->run_capacity, sizeof(struct cqle_run *));
	memmove(&p->runs[at + 1], &p->runs[at], (p->run_count - at) * sizeof(struct cqle_run *));
	p->runs[at] = run;
	p->run_count++;
}

static struct cqle_run *run_new(struct cqle_store *store, uint32_t capacity)
{
	struct cqle_run *run =
		lab_heap_alloc(store->heap, sizeof(*run) + capacity * sizeof(struct cqle_slot));
	run->capacity = capacity;
	return run;
}

/* Makes room for one more row in run `at`, splitting it if it is full; where the row goes then. */
static struct cqle_run *run_make_room(
	struct cqle_store *store, struct cqle_partition *p, uint32_t at, uint32_t *index)
{
	struct cqle_run *run = p->runs[at];
	if (run->count < run->capacity)
		return run;
	if (run->capacity < RUN_ROWS_MAX) {
		run->capacity = 2 * run->capacity + 1;
		run = lab_heap_realloc(
			store->heap, run, sizeof(*run) + run->capacity * sizeof(struct cqle_slot));
		p->runs[at] = run;
		return run;
	}
	/* Rows that come in order fill each run to the end. */
	uint32_t keep = *index == run->count ? run->count : run->count / 2;
	struct cqle_run *upper = run_new(store, keep == run->count ? FIRST_RUN_ROWS : RUN_ROWS_MAX);
	upper->count = run->count - keep;
	memcpy(upper->slots, &run->slots[keep], upper->count * sizeof(struct cqle_slot));
	run->count = keep;
	run_insert_at(store, p, at + 1, upper);
	if (*index < keep || (*index == keep && upper->count > 0))
		return run;
	*index -= keep;
	return upper;
}

static void row_insert(struct cqle_store *store, struct cqle_partition *p, struct cqle_row *row)
{
	uint32_t at = 0, index = 0;
	if (p->run_count == 0) {
		run_insert_at(store, p, 0, run_new(store, FIRST_RUN_ROWS));
	} else {
		at = find_run(p, cqle_row_key(row));
		index = find_row(p->runs[at], cqle_row_key(row));
	}
	struct cqle_run *run = run_make_room(store, p, at, &index);
	memmove(&run->slots[index + 1], &run->slots[index],
		(run->count - index) * sizeof(struct cqle_slot));
	run->slots[index] = (struct cqle_slot){ key_prefix(cqle_row_key(row)), row };
	run->count++;
	store->row_count++;
}

static void run_drop_if_empty(struct cqle_store *store, struct cqle_partition *p, uint32_t at)
{
	if (p->runs[at]->count > 0)
		return;
	lab_heap_free(store->heap, p->runs[at]);
	p->run_count--;
	memmove(&p->runs[at], &p->runs[at + 1], (p->run_count - at) * sizeof(struct cqle_run *));
}

/* Puts `row` (or nothing, if NULL) in the place of the row at run/index. */
static void row_replace(struct cqle_store *store, struct cqle_partition *p, uint32_t at,
	uint32_t index, struct cqle_row *row)
{
	struct cqle_run *run = p->runs[at];
	cqle_row_unref(store->heap, run->slots[index].row);
	run->slots[index].row = row;
	if (row != NULL)
		return;
	run->count--;
	memmove(&run->slots[index], &run->slots[index + 1],
		(run->count - index) * sizeof(struct cqle_slot));
	store->row_count--;
	run_drop_if_empty(store, p, at);
}

void storage_put(struct cqle_store *store, struct cqle_partition *p, struct cqle_cursor at,
	struct cqle_row *old, struct cqle_row *row)
{
	if (p->disk != NULL)
		cqle_disk_put(store, old, row);
	else if (old != NULL)
		row_replace(store, p, at.run, at.index, row);
	else if (row != NULL)
		row_insert(store, p, row);
}

void storage_change(struct cqle_store *store, struct cqle_partition *p, struct lab_view start,
	struct lab_view end, storage_change_fn change, const void *ctx)
{
	if (p->disk != NULL) {
		cqle_disk_change(store, start, end, change, ctx);
		return;
	}
	struct cqle_cursor at = cqle_seek(p, start);
	while (at.run < p->run_count) {
		if (at.index >= p->runs[at.run]->count) {
			at.run++;
			at.index = 0;
			continue;
		}
		struct cqle_row *row = p->runs[at.run]->slots[at.index].row;
		if (end.ptr != NULL && lab_view_cmp(cqle_row_key(row), end) >= 0)
			return;
		uint32_t runs = p->run_count;
		struct cqle_row *changed = change(store->heap, row, ctx);
		row_replace(store, p, at.run, at.index, changed);
		if (changed != NULL)
			at.index++;
		else if (p->run_count < runs)
			at.index = 0;
	}
}

static void partition_free(struct cqle_store *store, struct cqle_partition *p)
{
	for (uint32_t i = 0; i < p->run_count; i++) {
		for (uint32_t j = 0; j < p->runs[i]->count; j++)
			cqle_row_unref(store->heap, p->runs[i]->slots[j].row);
		store->row_count -= p->runs[i]->count;
		lab_heap_free(store->heap, p->runs[i]);
	}
	lab_heap_free(store->heap, p->runs);
	storage_ranges_free(store->heap, p->ranges, p->range_count);
	cqle_row_unref(store->heap, p->static_row);
	cqle_bytes_unref(store->heap, p->key);
	lab_heap_free(store->heap, p);
}

/* ---- the store ---- */

struct cqle_store *cqle_store_new(struct lab_heap *heap)
{
	struct cqle_store *store = lab_new(heap, struct cqle_store);
	store->heap = heap;
	store->bucket_count = FIRST_BUCKETS;
	store->buckets = lab_new_array(heap, struct cqle_partition *, FIRST_BUCKETS);
	return store;
}

void cqle_store_clear(struct cqle_store *store)
{
	if (store->disk != NULL) {
		cqle_disk_clear(store);
		return;
	}
	for (size_t i = 0; i < store->count; i++)
		partition_free(store, store->order[i]);
	memset(store->buckets, 0, store->bucket_count * sizeof(struct cqle_partition *));
	store->count = store->sorted = 0;
}

void cqle_store_free(struct cqle_store **_store)
{
	struct cqle_store *store = *_store;
	if (store == NULL)
		return;
	*_store = NULL;
	if (store->disk != NULL)
		cqle_disk_free(store);
	else
		cqle_store_clear(store);
	lab_heap_free(store->heap, store->order);
	lab_heap_free(store->heap, store->buckets);
	lab_heap_free(store->heap, store);
}

struct cqle_partition *cqle_store_find(struct cqle_store *store, int64_t token, struct lab_view key)
{
	if (store->disk != NULL)
		return cqle_disk_find(store, token, key);
	struct cqle_partition *p = store->buckets[(uint64_t)token & (store->bucket_count - 1)];
	while (p != NULL && (p->token != token || !lab_view_eq(cqle_bytes_view(p->key), key)))
		p = p->next;
	return p;
}

static void store_rehash(struct cqle_store *store, size_t bucket_count)
{
	lab_heap_free(store->heap, store->buckets);
	store->buckets = lab_new_array(store->heap, struct cqle_partition *, bucket_count);
	store->bucket_count = bucket_count;
	for (size_t i = 0; i < store->count; i++) {
		struct cqle_partition *p = store->order[i];
		struct cqle_partition **bucket =
			&store->buckets[(uint64_t)p->token & (bucket_count - 1)];
		p->next = *bucket;
		*bucket = p;
	}
}

struct cqle_partition *storage_add(struct cqle_store *store, int64_t token, struct cqle_bytes *key)
{
	if (store->disk != NULL)
		return cqle_disk_add(store, token, key);
	struct cqle_partition *p = lab_new(store->heap, struct cqle_partition);
	p->key = cqle_bytes_ref(key);
	p->token = token;
	p->deletion = CQLE_NOT_DELETED;
	if (store->count == store->capacity) {
		store->capacity = store->capacity == 0 ? FIRST_BUCKETS : store->capacity * 2;
		store->order = lab_heap_realloc(store->heap, store->order,
			store->capacity * sizeof(struct cqle_partition *));
	}
	store->order[store->count++] = p;
	if (store->count > store->bucket_count) {
		store_rehash(store, store->bucket_count * 2);
	} else {
		struct cqle_partition **bucket =
			&store->buckets[(uint64_t)token & (store->bucket_count - 1)];
		p->next = *bucket;
		*bucket = p;
	}
	return p;
}

static int partition_order(const void *a, const void *b)
{
	const struct cqle_partition *p = *(struct cqle_partition *const *)a;
	const struct cqle_partition *q = *(struct cqle_partition *const *)b;
	if (p->token != q->token)
		return p->token < q->token ? -1 : 1;
	return lab_view_cmp(cqle_bytes_view(p->key), cqle_bytes_view(q->key));
}

static void put_in_order(struct cqle_store *store)
{
	if (store->sorted < store->count) /* keys differ: no ties */
		qsort(store->order, store->count, sizeof(struct cqle_partition *), partition_order);
	store->sorted = store->count;
}

void storage_head_changed(struct cqle_store *store, struct cqle_partition *p)
{
	if (p->disk != NULL)
		cqle_disk_head_changed(store);
}

static bool before(const struct cqle_partition *p, int64_t token, struct lab_view key)
{
	if (p->token != token)
		return p->token < token;
	return lab_view_cmp(cqle_bytes_view(p->key), key) < 0;
}

struct cqle_scan cqle_store_scan(struct cqle_store *store, int64_t token, struct lab_view key)
{
	struct cqle_scan scan = { .store = store };
	if (store->disk != NULL) {
		cqle_disk_scan(store, token, key);
		return scan;
	}
	put_in_order(store);
	size_t high = store->count;
	while (scan.next < high) {
		size_t middle = scan.next + (high - scan.next) / 2;
		if (before(store->order[middle], token, key))
			scan.next = middle + 1;
		else
			high = middle;
	}
	return scan;
}

struct cqle_partition *cqle_scan_next(struct cqle_scan *scan)
{
	if (scan->store->disk != NULL)
		return cqle_disk_scan_next(scan->store);
	return scan->next < scan->store->count ? scan->store->order[scan->next++] : NULL;
}

static bool partition_is_empty(const struct cqle_partition *p)
{
	return p->run_count == 0 && p->static_row == NULL && p->range_count == 0 &&
	       p->deletion.timestamp == CQLE_NO_TIMESTAMP;
}

void storage_each(struct cqle_store *store, storage_each_fn fn, void *ctx)
{
	size_t kept = 0;
	if (store->disk != NULL) {
		cqle_disk_each(store, fn, ctx);
		return;
	}
	for (size_t i = 0; i < store->count; i++) {
		struct cqle_partition *p = store->order[i];
		fn(store, p, ctx);
		if (partition_is_empty(p))
			partition_free(store, p);
		else
			store->order[kept++] = p;
	}
	if (kept == store->count)
		return;
	store->sorted = store->sorted == store->count ? kept : 0;
	store->count = kept;
	store_rehash(store, store->bucket_count);
}
