/* SPDX-License-Identifier: Apache-2.0
 *
 * mutation.c - a change of one partition, as messages and hints carry it.
 */
#include "sim/cql-emulator/storage-private.h"

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

void storage_ranges_free(struct lab_heap *heap, struct cqle_range *ranges, size_t count)
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
	storage_ranges_free(heap, m->ranges, m->range_count);
	cqle_row_unref(heap, m->static_row);
	cqle_bytes_unref(heap, m->key);
	lab_heap_free(heap, m);
}

void *storage_grow(
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
	m->rows = storage_grow(
		heap, m->rows, m->row_count, &m->row_capacity, sizeof(struct cqle_row *));
	m->rows[m->row_count++] = row;
}

void storage_range_add(struct lab_heap *heap, struct cqle_range **ranges, uint32_t *count,
	uint32_t *capacity, const struct cqle_range *range)
{
	*ranges = storage_grow(heap, *ranges, *count, capacity, sizeof(struct cqle_range));
	(*ranges)[(*count)++] = (struct cqle_range){ cqle_bytes_ref(range->start),
		cqle_bytes_ref(range->end), range->deletion };
}

void cqle_mutation_add_range(struct lab_heap *heap, struct cqle_mutation *m, struct lab_view start,
	struct lab_view end, struct cqle_deletion deletion)
{
	struct cqle_range range = { cqle_bytes_new(heap, start),
		end.ptr == NULL ? NULL : cqle_bytes_new(heap, end), deletion };
	storage_range_add(heap, &m->ranges, &m->range_count, &m->range_capacity, &range);
	cqle_bytes_unref(heap, range.start);
	cqle_bytes_unref(heap, range.end);
}
