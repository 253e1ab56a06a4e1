/* SPDX-License-Identifier: Apache-2.0
 *
 * row.c - rows: markers, deletions and cells (cell.c), and what two of them merge to.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

struct cqle_row *cqle_row_new(struct lab_heap *heap, struct lab_view key, size_t cell_count)
{
	struct cqle_row *row = lab_heap_alloc(
		heap, sizeof(*row) + cell_count * sizeof(struct cqle_cell) + key.len);
	row->refs = 1;
	row->key_len = (uint32_t)key.len;
	row->cell_count = (uint16_t)cell_count;
	row->marker = CQLE_NO_TIMESTAMP;
	row->deletion = CQLE_NOT_DELETED;
	for (size_t i = 0; i < cell_count; i++)
		row->cells[i].timestamp = CQLE_NO_TIMESTAMP;
	if (key.len > 0)
		memcpy(&row->cells[cell_count], key.ptr, key.len);
	return row;
}

void cqle_row_unref(struct lab_heap *heap, struct cqle_row *row)
{
	if (row == NULL || --row->refs > 0)
		return;
	for (size_t i = 0; i < row->cell_count; i++)
		cqle_cell_unref(heap, &row->cells[i]);
	lab_heap_free(heap, row);
}

static bool marker_is_live(const struct cqle_row *row, uint32_t now_s)
{
	return row->marker != CQLE_NO_TIMESTAMP &&
	       (row->marker_ttl_s == 0 || row->marker_expires_s > now_s);
}

bool cqle_row_is_live(const struct cqle_row *row, uint32_t now_s)
{
	if (marker_is_live(row, now_s))
		return true;
	for (size_t i = 0; i < row->cell_count; i++) {
		if (cqle_cell_is_live(&row->cells[i], now_s))
			return true;
	}
	return false;
}

unsigned cqle_row_tombstones(const struct cqle_row *row, uint32_t now_s)
{
	unsigned count = row->deletion.timestamp != CQLE_NO_TIMESTAMP;
	for (size_t i = 0; i < row->cell_count; i++)
		count += cqle_cell_tombstones(&row->cells[i], now_s);
	return count;
}

bool cqle_row_equal(const struct cqle_row *a, const struct cqle_row *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->cell_count != b->cell_count || a->marker != b->marker ||
		a->marker_ttl_s != b->marker_ttl_s || a->marker_expires_s != b->marker_expires_s ||
		a->deletion.timestamp != b->deletion.timestamp ||
		!lab_view_eq(cqle_row_key(a), cqle_row_key(b)))
		return false;
	for (size_t i = 0; i < a->cell_count; i++) {
		if (!cqle_cell_equal(&a->cells[i], &b->cells[i]))
			return false;
	}
	return true;
}

/* ---- which one wins ---- */

static bool marker_wins(const struct cqle_row *a, const struct cqle_row *b)
{
	if (a->marker != b->marker)
		return a->marker > b->marker;
	if ((a->marker_ttl_s == 0) != (b->marker_ttl_s == 0))
		return a->marker_ttl_s != 0;
	return a->marker_expires_s >= b->marker_expires_s;
}

static bool deletion_wins(struct cqle_deletion a, struct cqle_deletion b)
{
	return a.timestamp != b.timestamp ? a.timestamp > b.timestamp : a.local_s >= b.local_s;
}

static const struct cqle_cell no_cell = { .timestamp = CQLE_NO_TIMESTAMP };
static const struct cqle_row no_row = { .marker = CQLE_NO_TIMESTAMP,
	.deletion = { .timestamp = CQLE_NO_TIMESTAMP } };

/* What a merge keeps: decided before anything is copied, because mostly one of the two rows is the
 * result and can be shared. */
struct verdict {
	const struct cqle_row *a, *b; /* no_row for NULL */
	size_t cell_count;
	const struct cqle_row *marker; /* whose; no_row: neither's */
	struct cqle_deletion deletion;
	int64_t cutoff;
	bool is_a, is_b, is_empty;
	size_t mixed_count; /* cells of collections and counters */
};

static const struct cqle_cell *cell_of(const struct cqle_row *row, size_t i)
{
	return row->cell_count == 0 ? &no_cell : &row->cells[i];
}

static bool same_marker(const struct cqle_row *a, const struct cqle_row *b)
{
	return a->marker == b->marker && a->marker_ttl_s == b->marker_ttl_s &&
	       a->marker_expires_s == b->marker_expires_s;
}

/* The merged cell: one of the two, or if they have to be mixed, one that is made in `slot`. */
static const struct cqle_cell *merged_cell(
	struct lab_heap *heap, const struct verdict *v, size_t i, struct cqle_cell *slot)
{
	const struct cqle_cell *a = cell_of(v->a, i), *b = cell_of(v->b, i);
	if (a->kind != CQLE_CELL_SIMPLE || b->kind != CQLE_CELL_SIMPLE) {
		*slot = cqle_cell_merge(heap, a, b, v->cutoff);
		return slot;
	}
	const struct cqle_cell *winner = cqle_cell_winner(a, b);
	return winner->timestamp <= v->cutoff ? &no_cell : winner;
}

static void verdict_cells(struct lab_heap *heap, struct verdict *v, struct cqle_cell *mixed)
{
	for (size_t i = 0; i < v->cell_count; i++) {
		const struct cqle_cell *cell = merged_cell(heap, v, i, &mixed[v->mixed_count]);
		v->mixed_count += cell == &mixed[v->mixed_count];
		v->is_empty = v->is_empty && !cqle_cell_is_written(cell);
		v->is_a = v->is_a && cqle_cell_same(cell, cell_of(v->a, i));
		v->is_b = v->is_b && cqle_cell_same(cell, cell_of(v->b, i));
	}
}

static struct verdict verdict_of(
	const struct cqle_row *a, const struct cqle_row *b, struct cqle_deletion around)
{
	struct verdict v = { .a = a == NULL ? &no_row : a, .b = b == NULL ? &no_row : b };
	v.cell_count = LAB_MAX(v.a->cell_count, v.b->cell_count);
	v.deletion = deletion_wins(v.a->deletion, v.b->deletion) ? v.a->deletion : v.b->deletion;
	if (v.deletion.timestamp <= around.timestamp)
		v.deletion = CQLE_NOT_DELETED;
	v.cutoff = LAB_MAX(v.deletion.timestamp, around.timestamp);
	v.marker = marker_wins(v.a, v.b) ? v.a : v.b;
	if (v.marker->marker <= v.cutoff)
		v.marker = &no_row;
	v.is_empty =
		v.marker->marker == CQLE_NO_TIMESTAMP && v.deletion.timestamp == CQLE_NO_TIMESTAMP;
	v.is_a = a != NULL && same_marker(v.marker, v.a) &&
		 v.deletion.timestamp == v.a->deletion.timestamp;
	v.is_b = b != NULL && same_marker(v.marker, v.b) &&
		 v.deletion.timestamp == v.b->deletion.timestamp;
	return v;
}

/* Takes the references of the mixed cells. */
static struct cqle_row *merged_row(struct lab_heap *heap, const struct verdict *v,
	struct lab_view key, const struct cqle_cell *mixed)
{
	struct cqle_row *row = cqle_row_new(heap, key, v->cell_count);
	row->marker = v->marker->marker;
	row->marker_ttl_s = v->marker->marker_ttl_s;
	row->marker_expires_s = v->marker->marker_expires_s;
	row->deletion = v->deletion;
	for (size_t i = 0, used = 0; i < v->cell_count; i++) {
		const struct cqle_cell *a = cell_of(v->a, i), *b = cell_of(v->b, i);
		if (a->kind != CQLE_CELL_SIMPLE || b->kind != CQLE_CELL_SIMPLE) {
			row->cells[i] = mixed[used++];
			continue;
		}
		const struct cqle_cell *winner = cqle_cell_winner(a, b);
		row->cells[i] = winner->timestamp <= v->cutoff ? no_cell : *winner;
		(void)cqle_bytes_ref(row->cells[i].value);
	}
	return row;
}

struct cqle_row *cqle_row_merge(
	struct lab_heap *heap, struct cqle_row *a, struct cqle_row *b, struct cqle_deletion around)
{
	if (a == NULL && b == NULL)
		return NULL;
	lab_assert(a == NULL || b == NULL || a->cell_count == b->cell_count);
	struct cqle_cell mixed[CQLEMU_COLUMNS_MAX];
	struct verdict v = verdict_of(a, b, around);
	verdict_cells(heap, &v, mixed);
	if (!v.is_empty && !v.is_a && !v.is_b)
		return merged_row(heap, &v, cqle_row_key(a == NULL ? b : a), mixed);
	for (size_t i = 0; i < v.mixed_count; i++)
		cqle_cell_unref(heap, &mixed[i]);
	return v.is_empty ? NULL : cqle_row_ref(v.is_a ? a : b);
}

static bool row_is_purgeable(const struct cqle_row *row, uint32_t gc_before_s)
{
	if (row->deletion.timestamp != CQLE_NO_TIMESTAMP && row->deletion.local_s < gc_before_s)
		return true;
	if (row->marker_ttl_s != 0 && row->marker_expires_s < gc_before_s)
		return true;
	for (size_t i = 0; i < row->cell_count; i++) {
		if (cqle_cell_is_purgeable(&row->cells[i], gc_before_s))
			return true;
	}
	return false;
}

bool cqle_row_is_empty(const struct cqle_row *row)
{
	for (size_t i = 0; i < row->cell_count; i++) {
		if (cqle_cell_is_written(&row->cells[i]))
			return false;
	}
	return row->marker == CQLE_NO_TIMESTAMP && row->deletion.timestamp == CQLE_NO_TIMESTAMP;
}

struct cqle_row *cqle_row_purge(struct lab_heap *heap, struct cqle_row *row, uint32_t gc_before_s)
{
	if (!row_is_purgeable(row, gc_before_s))
		return cqle_row_ref(row);
	struct cqle_row *kept = cqle_row_new(heap, cqle_row_key(row), row->cell_count);
	if (row->deletion.local_s >= gc_before_s)
		kept->deletion = row->deletion;
	if (row->marker_ttl_s == 0 || row->marker_expires_s >= gc_before_s) {
		kept->marker = row->marker;
		kept->marker_ttl_s = row->marker_ttl_s;
		kept->marker_expires_s = row->marker_expires_s;
	}
	for (size_t i = 0; i < row->cell_count; i++)
		kept->cells[i] = cqle_cell_purge(heap, &row->cells[i], gc_before_s);
	if (!cqle_row_is_empty(kept))
		return kept;
	cqle_row_unref(heap, kept);
	return NULL;
}
