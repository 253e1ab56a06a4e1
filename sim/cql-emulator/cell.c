/* SPDX-License-Identifier: Apache-2.0
 *
 * cell.c - which of two cells wins, and what collections and counters merge to. The rules are
 * Cassandra 4.0's (golden semantics): higher timestamp; at a tie what is deleted or expires before
 * what stays, a tombstone before what expires, the later expiry, and last the larger value. A
 * collection is a deletion and elements, each a cell of its own. A counter is a sum of shards, one
 * for each replica that ever led an increment; of a shard the highest clock counts.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

struct cqle_bytes *cqle_bytes_new(struct lab_heap *heap, struct lab_view v)
{
	struct cqle_bytes *bytes = lab_heap_alloc(heap, sizeof(*bytes) + v.len);
	bytes->refs = 1;
	bytes->len = (uint32_t)v.len;
	if (v.len > 0)
		memcpy(bytes->data, v.ptr, v.len);
	return bytes;
}

void cqle_bytes_unref(struct lab_heap *heap, struct cqle_bytes *bytes)
{
	if (bytes != NULL && --bytes->refs == 0)
		lab_heap_free(heap, bytes);
}

struct cqle_elements *cqle_elements_new(struct lab_heap *heap, size_t count)
{
	struct cqle_elements *elements =
		lab_heap_alloc(heap, sizeof(*elements) + count * sizeof(elements->items[0]));
	elements->refs = 1;
	elements->count = (uint32_t)count;
	return elements;
}

void cqle_elements_unref(struct lab_heap *heap, struct cqle_elements *elements)
{
	if (elements == NULL || --elements->refs > 0)
		return;
	for (size_t i = 0; i < elements->count; i++) {
		cqle_bytes_unref(heap, elements->items[i].path);
		cqle_bytes_unref(heap, elements->items[i].cell.value);
	}
	lab_heap_free(heap, elements);
}

void cqle_cell_unref(struct lab_heap *heap, const struct cqle_cell *cell)
{
	if (cell->kind == CQLE_CELL_COLLECTION)
		cqle_elements_unref(heap, cell->elements);
	else
		cqle_bytes_unref(heap, cell->value);
}

void cqle_cell_ref(const struct cqle_cell *cell)
{
	if (cell->kind != CQLE_CELL_COLLECTION)
		(void)cqle_bytes_ref(cell->value);
	else if (cell->elements != NULL)
		cell->elements->refs++;
}

bool cqle_collection_is_live(const struct cqle_cell *cell, uint32_t now_s)
{
	for (size_t i = 0; cell->elements != NULL && i < cell->elements->count; i++) {
		if (cqle_cell_is_live(&cell->elements->items[i].cell, now_s))
			return true;
	}
	return false;
}

unsigned cqle_cell_tombstones(const struct cqle_cell *cell, uint32_t now_s)
{
	unsigned count = 0;
	if (cell->kind != CQLE_CELL_COLLECTION)
		return cqle_cell_is_written(cell) && !cqle_cell_is_live(cell, now_s);
	for (size_t i = 0; cell->elements != NULL && i < cell->elements->count; i++)
		count += !cqle_cell_is_live(&cell->elements->items[i].cell, now_s);
	return count;
}

/* ---- equality ---- */

static bool bytes_equal(const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	if (a == b)
		return true;
	return a != NULL && b != NULL && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static bool simple_equal(const struct cqle_cell *a, const struct cqle_cell *b)
{
	return a->timestamp == b->timestamp && bytes_equal(a->value, b->value) &&
	       a->ttl_s == b->ttl_s && (a->ttl_s == 0 || a->local_s == b->local_s);
}

static bool elements_equal(const struct cqle_elements *a, const struct cqle_elements *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!bytes_equal(a->items[i].path, b->items[i].path) ||
			!simple_equal(&a->items[i].cell, &b->items[i].cell))
			return false;
	}
	return true;
}

bool cqle_cell_equal(const struct cqle_cell *a, const struct cqle_cell *b)
{
	if (a->kind != b->kind)
		return !cqle_cell_is_written(a) && !cqle_cell_is_written(b);
	if (a->kind == CQLE_CELL_COLLECTION)
		return a->timestamp == b->timestamp && elements_equal(a->elements, b->elements);
	return simple_equal(a, b);
}

bool cqle_cell_same(const struct cqle_cell *a, const struct cqle_cell *b)
{
	return a == b ||
	       (a->timestamp == b->timestamp && a->value == b->value && a->kind == b->kind &&
		       a->ttl_s == b->ttl_s && a->local_s == b->local_s);
}

/* ---- which one wins ---- */

static int compare_values(const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	return a == b ? 0 : lab_view_cmp(cqle_bytes_view(a), cqle_bytes_view(b));
}

const struct cqle_cell *cqle_cell_winner(const struct cqle_cell *a, const struct cqle_cell *b)
{
	if (a->timestamp != b->timestamp)
		return a->timestamp > b->timestamp ? a : b;
	if (a->timestamp == CQLE_NO_TIMESTAMP)
		return a;
	bool a_stays = a->value != NULL && a->ttl_s == 0;
	bool b_stays = b->value != NULL && b->ttl_s == 0;
	if (a_stays != b_stays)
		return a_stays ? b : a;
	if ((a->value == NULL) != (b->value == NULL))
		return a->value == NULL ? a : b;
	if (!a_stays && a->local_s != b->local_s)
		return a->local_s > b->local_s ? a : b;
	return a->value == NULL || compare_values(a->value, b->value) >= 0 ? a : b;
}

/* ---- collections ---- */

/* Two lists of elements, walked in the order of their paths. */
struct walk {
	const struct cqle_elements *a, *b;
	size_t ia, ib;
	int64_t cutoff;
	bool only_a, only_b; /* so far the result is all of a, of b */
	size_t count;
};

static const struct cqle_element *peek(const struct cqle_elements *e, size_t i)
{
	return e != NULL && i < e->count ? &e->items[i] : NULL;
}

/* The winner of the two at hand, of which at least one is there, and a step behind both. */
static const struct cqle_element *walk_step(struct walk *w)
{
	const struct cqle_element *a = peek(w->a, w->ia), *b = peek(w->b, w->ib), *winner;
	int order = a == NULL ? 1 : b == NULL ? -1 : compare_values(a->path, b->path);
	w->ia += order <= 0;
	w->ib += order >= 0;
	if (order == 0)
		winner = cqle_cell_winner(&a->cell, &b->cell) == &a->cell ? a : b;
	else
		winner = order < 0 ? a : b;
	bool dropped = winner->cell.timestamp <= w->cutoff;
	w->only_a = w->only_a && !dropped && order <= 0 && cqle_cell_same(&winner->cell, &a->cell);
	w->only_b = w->only_b && !dropped && order >= 0 && cqle_cell_same(&winner->cell, &b->cell);
	return dropped ? NULL : winner;
}

/* The next element that survives; NULL behind the last. */
static const struct cqle_element *walk_next(struct walk *w)
{
	const struct cqle_element *element = NULL;
	while (element == NULL && (peek(w->a, w->ia) != NULL || peek(w->b, w->ib) != NULL))
		element = walk_step(w);
	w->count += element != NULL;
	return element;
}

static struct walk walk_start(
	const struct cqle_elements *a, const struct cqle_elements *b, int64_t cutoff)
{
	return (struct walk){
		.a = a, .b = b, .cutoff = cutoff, .only_a = a != NULL, .only_b = b != NULL
	};
}

static struct cqle_elements *merge_elements(
	struct lab_heap *heap, struct cqle_elements *a, struct cqle_elements *b, int64_t cutoff)
{
	const struct cqle_element *element;
	struct walk w = walk_start(a, b, cutoff);
	while (walk_next(&w) != NULL)
		continue;
	if (w.count == 0)
		return NULL;
	if (w.only_a || w.only_b) {
		struct cqle_elements *whole = w.only_a ? a : b;
		whole->refs++;
		return whole;
	}
	struct cqle_elements *merged = cqle_elements_new(heap, w.count);
	w = walk_start(a, b, cutoff);
	for (size_t i = 0; (element = walk_next(&w)) != NULL; i++) {
		merged->items[i] = *element;
		(void)cqle_bytes_ref(element->path);
		(void)cqle_bytes_ref(element->cell.value);
	}
	return merged;
}

static struct cqle_cell merge_collections(
	struct lab_heap *heap, const struct cqle_cell *a, const struct cqle_cell *b, int64_t cutoff)
{
	bool a_wins = a->timestamp != b->timestamp ? a->timestamp > b->timestamp
						   : a->local_s >= b->local_s;
	const struct cqle_cell *newer = a_wins ? a : b;
	bool deleted = newer->timestamp > cutoff && newer->timestamp != CQLE_NO_TIMESTAMP;
	struct cqle_cell merged = { .kind = CQLE_CELL_COLLECTION, .timestamp = CQLE_NO_TIMESTAMP };
	if (deleted) {
		merged.timestamp = newer->timestamp;
		merged.local_s = newer->local_s;
	}
	merged.elements = merge_elements(heap, a->kind == CQLE_CELL_COLLECTION ? a->elements : NULL,
		b->kind == CQLE_CELL_COLLECTION ? b->elements : NULL,
		LAB_MAX(cutoff, merged.timestamp));
	return merged;
}

/* ---- counters ---- */

/* A deleted counter stays deleted, whatever the timestamps (CASSANDRA-7346). */
static struct cqle_cell merge_counters(
	struct lab_heap *heap, const struct cqle_cell *a, const struct cqle_cell *b, int64_t cutoff)
{
	struct cqle_cell merged;
	bool both = cqle_cell_is_written(a) && cqle_cell_is_written(b);
	if (!both || (a->value == NULL) == (b->value == NULL))
		merged = a->timestamp >= b->timestamp ? *a : *b;
	else
		merged = a->value == NULL ? *a : *b;
	merged.kind = CQLE_CELL_COUNTER;
	if (merged.timestamp <= cutoff)
		return (struct cqle_cell){ .kind = CQLE_CELL_COUNTER,
			.timestamp = CQLE_NO_TIMESTAMP };
	bool values = both && a->value != NULL && b->value != NULL;
	bool deltas = values && a->value->len == CQLE_DELTA_BYTES; /* equal ones add up, too */
	if (deltas || (values && !bytes_equal(a->value, b->value)))
		merged.value = cqle_counter_merge(heap, a->value, b->value);
	else
		(void)cqle_bytes_ref(merged.value);
	return merged;
}

struct cqle_cell cqle_cell_merge(
	struct lab_heap *heap, const struct cqle_cell *a, const struct cqle_cell *b, int64_t cutoff)
{
	if (a->kind == CQLE_CELL_COLLECTION || b->kind == CQLE_CELL_COLLECTION)
		return merge_collections(heap, a, b, cutoff);
	return merge_counters(heap, a, b, cutoff);
}

/* ---- purge ---- */

static bool simple_is_purgeable(const struct cqle_cell *cell, uint32_t gc_before_s)
{
	return cqle_cell_is_written(cell) && (cell->value == NULL || cell->ttl_s != 0) &&
	       cell->local_s < gc_before_s;
}

bool cqle_cell_is_purgeable(const struct cqle_cell *cell, uint32_t gc_before_s)
{
	if (cell->kind != CQLE_CELL_COLLECTION)
		return simple_is_purgeable(cell, gc_before_s);
	if (cell->timestamp != CQLE_NO_TIMESTAMP && cell->local_s < gc_before_s)
		return true;
	for (size_t i = 0; cell->elements != NULL && i < cell->elements->count; i++) {
		if (simple_is_purgeable(&cell->elements->items[i].cell, gc_before_s))
			return true;
	}
	return false;
}

struct cqle_cell cqle_cell_purge(
	struct lab_heap *heap, const struct cqle_cell *cell, uint32_t gc_before_s)
{
	struct cqle_cell kept = *cell;
	if (!cqle_cell_is_purgeable(cell, gc_before_s)) {
		cqle_cell_ref(cell);
		return kept;
	}
	kept = (struct cqle_cell){ .kind = cell->kind, .timestamp = CQLE_NO_TIMESTAMP };
	if (cell->kind != CQLE_CELL_COLLECTION)
		return kept;
	if (cell->local_s >= gc_before_s) {
		kept.timestamp = cell->timestamp;
		kept.local_s = cell->local_s;
	}
	size_t count = cell->elements == NULL ? 0 : cell->elements->count, used = 0;
	struct cqle_elements *elements = cqle_elements_new(heap, count);
	for (size_t i = 0; i < count; i++) {
		const struct cqle_element *element = &cell->elements->items[i];
		if (simple_is_purgeable(&element->cell, gc_before_s))
			continue;
		elements->items[used++] = *element;
		(void)cqle_bytes_ref(element->path);
		(void)cqle_bytes_ref(element->cell.value);
	}
	elements->count = (uint32_t)used;
	if (used == 0)
		cqle_elements_unref(heap, elements);
	kept.elements = used == 0 ? NULL : elements;
	return kept;
}
