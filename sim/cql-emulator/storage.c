/* SPDX-License-Identifier: Apache-2.0
 *
 * storage.c - one replica of one table: partitions by key, rows in clustering order.
 *
 * Partitions hang in a hash table by their token, and in an array that is put in order when a scan
 * asks for it. A partition's rows are in short sorted runs, so that an insertion moves little.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#include <stdlib.h>

#define FIRST_BUCKETS 16
#define RUN_ROWS_MAX 128u
#define FIRST_RUN_ROWS 2u

/* ---- mutations ---- */

struct cqle_mutation *cqle_mutation_new(
	struct lab_heap *heap, struct cqle_table *table, struct lab_view key, int64_t token)
{
	struct cqle_mutation *m = lab_new(heap, struct cqle_mutation);
	m->refs = 1;
	m->table = table;
	m->key = cqle_bytes_new(heap, key);
	m->token = token;
	m->deletion = CQLE_NOT_DELETED;
	m->bytes = (uint32_t)key.len;
	return m;
}

static void ranges_free(struct lab_heap *heap, struct cqle_range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cqle_bytes_unref(heap, ranges[i].start);
		cqle_bytes_unref(heap, ranges[i].end);
	}
	lab_heap_free(heap, ranges);
}

void cqle_mutation_unref(struct lab_heap *heap, struct cqle_mutation *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	for (size_t i = 0; i < m->row_count; i++)
		cqle_row_unref(heap, m->rows[i]);
	lab_heap_free(heap, m->rows);
	ranges_free(heap, m->ranges, m->range_count);
	cqle_row_unref(heap, m->static_row);
	cqle_bytes_unref(heap, m->key);
	lab_heap_free(heap, m);
}

/* One more item at the end of an array on the heap. */
static void *grow(
	struct lab_heap *heap, void *items, uint32_t count, uint32_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity == 0 ? 1 : *capacity * 2;
	return lab_heap_realloc(heap, items, *capacity * item_size);
}

void cqle_mutation_add_row(struct lab_heap *heap, struct cqle_mutation *m, struct cqle_row *row)
{
	for (size_t i = m->row_count; i > 0 && i + 64 > m->row_count; i--) {
		if (!lab_view_eq(cqle_row_key(m->rows[i - 1]), cqle_row_key(row)))
			continue;
		struct cqle_row *both = cqle_row_merge(heap, m->rows[i - 1], row, CQLE_NOT_DELETED);
		cqle_row_unref(heap, m->rows[i - 1]);
		cqle_row_unref(heap, row);
		m->rows[i - 1] = both;
		return;
	}
	m->rows = grow(heap, m->rows, m->row_count, &m->row_capacity, sizeof(struct cqle_row *));
	m->rows[m->row_count++] = row;
}

static void range_add(struct lab_heap *heap, struct cqle_range **ranges, uint32_t *count,
	uint32_t *capacity, const struct cqle_range *range)
{
	*ranges = grow(heap, *ranges, *count, capacity, sizeof(struct cqle_range));
	(*ranges)[(*count)++] = (struct cqle_range){ cqle_bytes_ref(range->start),
		cqle_bytes_ref(range->end), range->deletion };
}

void cqle_mutation_add_range(struct lab_heap *heap, struct cqle_mutation *m, struct lab_view start,
	struct lab_view end, struct cqle_deletion deletion)
{
	struct cqle_range range = { cqle_bytes_new(heap, start),
		end.ptr == NULL ? NULL : cqle_bytes_new(heap, end), deletion };
	range_add(heap, &m->ranges, &m->range_count, &m->range_capacity, &range);
	cqle_bytes_unref(heap, range.start);
	cqle_bytes_unref(heap, range.end);
}

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
	if (p->run_count == 0)
		return cursor;
	cursor.run = find_run(p, key);
	cursor.index = find_row(p->runs[cursor.run], key);
	return cursor;
}

struct cqle_row *cqle_cursor_next(struct cqle_cursor *cursor)
{
	const struct cqle_partition *p = cursor->partition;
	if (cursor->run < p->run_count && cursor->index == p->runs[cursor->run]->count) {
		cursor->run++;
		cursor->index = 0;
	}
	return cursor->run < p->run_count ? p->runs[cursor->run]->slots[cursor->index++].row : NULL;
}

struct cqle_row *cqle_cursor_previous(struct cqle_cursor *cursor)
{
	const struct cqle_partition *p = cursor->partition;
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

static bool range_covers(const struct cqle_range *range, struct lab_view key)
{
	return lab_view_cmp(key, cqle_bytes_view(range->start)) >= 0 &&
	       (range->end == NULL || lab_view_cmp(key, cqle_bytes_view(range->end)) < 0);
}

struct cqle_deletion cqle_partition_deletion(const struct cqle_partition *p, struct lab_view key)
{
	struct cqle_deletion newest = p->deletion;
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (p->ranges[i].deletion.timestamp > newest.timestamp &&
			range_covers(&p->ranges[i], key))
			newest = p->ranges[i].deletion;
	}
	return newest;
}

static void run_insert_at(
	struct cqle_store *store, struct cqle_partition *p, uint32_t at, struct cqle_run *run)
{
	p->runs = grow(
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
		run->capacity *= 2;
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

static void apply_row(struct cqle_store *store, struct cqle_partition *p, struct cqle_row *row)
{
	struct lab_view key = cqle_row_key(row);
	struct cqle_deletion around = cqle_partition_deletion(p, key);
	struct cqle_cursor cursor = cqle_seek(p, key);
	struct cqle_cursor at = cursor;
	struct cqle_row *old = cqle_cursor_next(&cursor);
	if (old == NULL || !lab_view_eq(cqle_row_key(old), key))
		old = NULL;

	struct cqle_row *merged = cqle_row_merge(store->heap, old, row, around);
	if (old != NULL)
		row_replace(store, p, at.run, at.index, merged);
	else if (merged != NULL)
		row_insert(store, p, merged);
}

/* What `change` makes of each row in [start, end). */
typedef struct cqle_row *(*row_change_fn)(
	struct lab_heap *heap, struct cqle_row *row, const void *ctx);

static void rows_change(struct cqle_store *store, struct cqle_partition *p, struct lab_view start,
	struct lab_view end, row_change_fn change, const void *ctx)
{
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

static struct cqle_row *change_delete(struct lab_heap *heap, struct cqle_row *row, const void *ctx)
{
	const struct cqle_deletion *deletion = ctx;
	return cqle_row_merge(heap, row, NULL, *deletion);
}

static void apply_partition_deletion(
	struct cqle_store *store, struct cqle_partition *p, struct cqle_deletion deletion)
{
	uint32_t kept = 0;
	if (deletion.timestamp <= p->deletion.timestamp)
		return;
	p->deletion = deletion;
	rows_change(store, p, lab_view_of("", 0), lab_view_of(NULL, 0), change_delete, &deletion);
	struct cqle_row *row = p->static_row == NULL
				       ? NULL
				       : cqle_row_merge(store->heap, p->static_row, NULL, deletion);
	cqle_row_unref(store->heap, p->static_row);
	p->static_row = row;
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (p->ranges[i].deletion.timestamp > deletion.timestamp) {
			p->ranges[kept++] = p->ranges[i];
			continue;
		}
		cqle_bytes_unref(store->heap, p->ranges[i].start);
		cqle_bytes_unref(store->heap, p->ranges[i].end);
	}
	p->range_count = kept;
}

static bool same_range(const struct cqle_range *a, const struct cqle_range *b)
{
	return lab_view_eq(cqle_bytes_view(a->start), cqle_bytes_view(b->start)) &&
	       (a->end == NULL) == (b->end == NULL) &&
	       (a->end == NULL || lab_view_eq(cqle_bytes_view(a->end), cqle_bytes_view(b->end)));
}

static void apply_range(
	struct cqle_store *store, struct cqle_partition *p, const struct cqle_range *range)
{
	struct lab_view end =
		range->end == NULL ? lab_view_of(NULL, 0) : cqle_bytes_view(range->end);
	if (range->deletion.timestamp <= p->deletion.timestamp)
		return;
	rows_change(store, p, cqle_bytes_view(range->start), end, change_delete, &range->deletion);
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (!same_range(&p->ranges[i], range))
			continue;
		if (range->deletion.timestamp > p->ranges[i].deletion.timestamp)
			p->ranges[i].deletion = range->deletion;
		return;
	}
	range_add(store->heap, &p->ranges, &p->range_count, &p->range_capacity, range);
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
	ranges_free(store->heap, p->ranges, p->range_count);
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
	cqle_store_clear(store);
	lab_heap_free(store->heap, store->order);
	lab_heap_free(store->heap, store->buckets);
	lab_heap_free(store->heap, store);
}

struct cqle_partition *cqle_store_find(
	const struct cqle_store *store, int64_t token, struct lab_view key)
{
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

static struct cqle_partition *partition_add(
	struct cqle_store *store, int64_t token, struct cqle_bytes *key)
{
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

struct cqle_partition **cqle_store_ordered(struct cqle_store *store)
{
	if (store->sorted < store->count) /* keys differ: no ties */
		qsort(store->order, store->count, sizeof(struct cqle_partition *), partition_order);
	store->sorted = store->count;
	return store->order;
}

void cqle_store_apply(struct cqle_store *store, const struct cqle_mutation *m)
{
	struct cqle_partition *p = cqle_store_find(store, m->token, cqle_bytes_view(m->key));
	if (p == NULL)
		p = partition_add(store, m->token, m->key);
	if (m->deletion.timestamp != CQLE_NO_TIMESTAMP)
		apply_partition_deletion(store, p, m->deletion);
	for (uint32_t i = 0; i < m->range_count; i++)
		apply_range(store, p, &m->ranges[i]);
	if (m->static_row != NULL) {
		struct cqle_row *merged =
			cqle_row_merge(store->heap, p->static_row, m->static_row, p->deletion);
		cqle_row_unref(store->heap, p->static_row);
		p->static_row = merged;
	}
	for (uint32_t i = 0; i < m->row_count; i++)
		apply_row(store, p, m->rows[i]);
}

void cqle_store_copy(struct cqle_store *to, const struct cqle_store *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct cqle_partition *p = from->order[i];
		struct cqle_partition *copy = partition_add(to, p->token, p->key);
		struct cqle_cursor cursor = { p, 0, 0 };
		copy->deletion = p->deletion;
		copy->static_row = cqle_row_ref(p->static_row);
		for (uint32_t j = 0; j < p->range_count; j++)
			range_add(to->heap, &copy->ranges, &copy->range_count,
				&copy->range_capacity, &p->ranges[j]);
		for (struct cqle_row *row = cqle_cursor_next(&cursor); row != NULL;
			row = cqle_cursor_next(&cursor))
			row_insert(to, copy, cqle_row_ref(row));
	}
}

/* ---- compaction ---- */

static struct cqle_row *change_purge(struct lab_heap *heap, struct cqle_row *row, const void *ctx)
{
	return cqle_row_purge(heap, row, *(const uint32_t *)ctx);
}

static void partition_compact(
	struct cqle_store *store, struct cqle_partition *p, uint32_t gc_before_s)
{
	uint32_t kept = 0;
	if (p->deletion.local_s < gc_before_s)
		p->deletion = CQLE_NOT_DELETED;
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (p->ranges[i].deletion.local_s >= gc_before_s) {
			p->ranges[kept++] = p->ranges[i];
			continue;
		}
		cqle_bytes_unref(store->heap, p->ranges[i].start);
		cqle_bytes_unref(store->heap, p->ranges[i].end);
	}
	p->range_count = kept;
	if (p->static_row != NULL) {
		struct cqle_row *row = cqle_row_purge(store->heap, p->static_row, gc_before_s);
		cqle_row_unref(store->heap, p->static_row);
		p->static_row = row;
	}
	rows_change(store, p, lab_view_of("", 0), lab_view_of(NULL, 0), change_purge, &gc_before_s);
}

static bool partition_is_empty(const struct cqle_partition *p)
{
	return p->run_count == 0 && p->static_row == NULL && p->range_count == 0 &&
	       p->deletion.timestamp == CQLE_NO_TIMESTAMP;
}

void cqle_store_compact(struct cqle_store *store, uint32_t gc_before_s)
{
	size_t kept = 0;
	for (size_t i = 0; i < store->count; i++) {
		struct cqle_partition *p = store->order[i];
		partition_compact(store, p, gc_before_s);
		if (partition_is_empty(p))
			partition_free(store, p);
		else
			store->order[kept++] = p;
	}
	store->sorted = store->sorted == store->count ? kept : 0;
	store->count = kept;
	store_rehash(store, store->bucket_count);
}
