/* SPDX-License-Identifier: Apache-2.0
 *
 * A row, or the head of a partition, as an engine gives it back: the first byte says which. What is
 * accepted is written as the same bytes again.
 */
#include "sim/cql-emulator/storage-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536

static void check_row(struct lab_heap *heap, struct lab_view bytes, struct lab_buf *out)
{
	struct cqle_row *row = row_bytes_get(heap, lab_view_of("key", 3), bytes);
	if (row == NULL)
		return;
	row_bytes_put(out, row);
	lab_assert(lab_view_eq(lab_buf_view(out), bytes));
	lab_assert(lab_view_eq(cqle_row_key(row), lab_view_of("key", 3)));
	cqle_row_unref(heap, row);
}

static void check_head(struct lab_heap *heap, struct lab_view bytes, struct lab_buf *out)
{
	struct cqle_partition p = { .deletion = CQLE_NOT_DELETED };
	if (head_bytes_get(heap, bytes, &p) == 0) {
		head_bytes_put(out, &p);
		lab_assert(lab_view_eq(lab_buf_view(out), bytes));
	}
	cqle_row_unref(heap, p.static_row);
	storage_ranges_free(heap, p.ranges, p.range_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_buf out;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	pool = lab_pool_new((size_t)1 << 26);
	heap = lab_heap_new(pool, (size_t)1 << 26);
	lab_buf_init(&out, heap, (size_t)1 << 20);
	if (data[0] % 2 == 0)
		check_row(heap, lab_view_of(data + 1, size - 1), &out);
	else
		check_head(heap, lab_view_of(data + 1, size - 1), &out);
	lab_buf_done(&out);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
