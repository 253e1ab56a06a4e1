/* SPDX-License-Identifier: Apache-2.0
 *
 * row.c - cells and rows: which of two wins. The rules are Cassandra 4.0's (golden semantics):
 * higher timestamp; at a tie what is deleted or expires before what stays, a tombstone before what
 * expires, the later expiry, and last the larger value.
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
		cqle_bytes_unref(heap, row->cells[i].value);
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
	for (size_t i = 0; i < row->cell_count; i++) {
		if (row->cells[i].timestamp != CQLE_NO_TIMESTAMP &&
			!cqle_cell_is_live(&row->cells[i], now_s))
			count++;
	}
	return count;
}

static bool bytes_equal(const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	if (a == b)
		return true;
	return a != NULL && b != NULL && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static bool cell_equal(const struct cqle_cell *a, const struct cqle_cell *b)
{
	return a->timestamp == b->timestamp && bytes_equal(a->value, b->value) &&
	       a->ttl_s == b->ttl_s && (a->ttl_s == 0 || a->local_s == b->local_s);
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
		if (!cell_equal(&a->cells[i], &b->cells[i]))
			return false;
	}
	return true;
}

/* ---- which one wins ---- */

static int compare_values(const struct cqle_bytes *a, const struct cqle_bytes *b)
{
	return a == b ? 0 : lab_view_cmp(cqle_bytes_view(a), cqle_bytes_view(b));
}

static const struct cqle_cell *cell_winner(const struct cqle_cell *a, const struct cqle_cell *b)
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
};

static const struct cqle_cell *cell_of(const struct cqle_row *row, size_t i)
{
	return row->cell_count == 0 ? &no_cell : &row->cells[i];
}

static const struct cqle_cell *verdict_cell(const struct verdict *v, size_t i)
{
	const struct cqle_cell *winner = cell_winner(cell_of(v->a, i), cell_of(v->b, i));
	return winner->timestamp <= v->cutoff ? &no_cell : winner;
}

static bool same_cell(const struct cqle_cell *a, const struct cqle_cell *b)
{
	return a == b || (a->timestamp == b->timestamp && a->value == b->value &&
				 a->ttl_s == b->ttl_s && a->local_s == b->local_s);
}

static bool same_marker(const struct cqle_row *a, const struct cqle_row *b)
{
	return a->marker == b->marker && a->marker_ttl_s == b->marker_ttl_s &&
	       a->marker_expires_s == b->marker_expires_s;
}

static void verdict_cells(struct verdict *v)
{
	for (size_t i = 0; i < v->cell_count; i++) {
		const struct cqle_cell *cell = verdict_cell(v, i);
		v->is_empty = v->is_empty && cell->timestamp == CQLE_NO_TIMESTAMP;
		v->is_a = v->is_a && same_cell(cell, cell_of(v->a, i));
		v->is_b = v->is_b && same_cell(cell, cell_of(v->b, i));
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
	verdict_cells(&v);
	return v;
}

struct cqle_row *cqle_row_merge(
	struct lab_heap *heap, struct cqle_row *a, struct cqle_row *b, struct cqle_deletion around)
{
	if (a == NULL && b == NULL)
		return NULL;
	lab_assert(a == NULL || b == NULL || a->cell_count == b->cell_count);
	struct verdict v = verdict_of(a, b, around);
	if (v.is_empty)
		return NULL;
	if (v.is_a || v.is_b)
		return cqle_row_ref(v.is_a ? a : b);

	struct cqle_row *row = cqle_row_new(heap, cqle_row_key(a == NULL ? b : a), v.cell_count);
	row->marker = v.marker->marker;
	row->marker_ttl_s = v.marker->marker_ttl_s;
	row->marker_expires_s = v.marker->marker_expires_s;
	row->deletion = v.deletion;
	for (size_t i = 0; i < v.cell_count; i++) {
		row->cells[i] = *verdict_cell(&v, i);
		(void)cqle_bytes_ref(row->cells[i].value);
	}
	return row;
}

static bool cell_is_purgeable(const struct cqle_cell *cell, uint32_t gc_before_s)
{
	return cell->timestamp != CQLE_NO_TIMESTAMP && (cell->value == NULL || cell->ttl_s != 0) &&
	       cell->local_s < gc_before_s;
}

static bool row_is_purgeable(const struct cqle_row *row, uint32_t gc_before_s)
{
	if (row->deletion.timestamp != CQLE_NO_TIMESTAMP && row->deletion.local_s < gc_before_s)
		return true;
	if (row->marker_ttl_s != 0 && row->marker_expires_s < gc_before_s)
		return true;
	for (size_t i = 0; i < row->cell_count; i++) {
		if (cell_is_purgeable(&row->cells[i], gc_before_s))
			return true;
	}
	return false;
}

static bool row_is_empty(const struct cqle_row *row)
{
	for (size_t i = 0; i < row->cell_count; i++) {
		if (row->cells[i].timestamp != CQLE_NO_TIMESTAMP)
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
	for (size_t i = 0; i < row->cell_count; i++) {
		if (cell_is_purgeable(&row->cells[i], gc_before_s))
			continue;
		kept->cells[i] = row->cells[i];
		(void)cqle_bytes_ref(kept->cells[i].value);
	}
	if (!row_is_empty(kept))
		return kept;
	cqle_row_unref(heap, kept);
	return NULL;
}
