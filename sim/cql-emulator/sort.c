/* SPDX-License-Identifier: Apache-2.0
 *
 * sort.c - ORDER BY of several partitions: their rows are put in order when all of them are there.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#include <stdlib.h>

struct sorted {
	struct lab_view key;
	size_t index; /* no ties */
	bool reversed;
};

static int compare(const void *_a, const void *_b)
{
	const struct sorted *a = _a, *b = _b;
	int order = lab_view_cmp(a->key, b->key);
	if (order != 0)
		return a->reversed ? -order : order;
	return a->index < b->index ? -1 : 1;
}

void cqle_result_note_order(struct cqle_op *op, struct lab_view key)
{
	struct cqle_result *r = op->result;
	if (r->row_count > r->order_capacity) {
		size_t wanted = r->capacity;
		struct lab_view *orders = lab_arena_array(op->arena, struct lab_view, wanted);
		if (r->order_capacity > 0)
			memcpy(orders, r->orders, r->order_capacity * sizeof(*orders));
		r->orders = orders;
		r->order_capacity = wanted;
	}
	r->orders[r->row_count - 1] = lab_arena_copy(op->arena, key);
}

void cqle_result_sort(struct cqle_op *op)
{
	struct cqle_result *r = op->result;
	size_t width = op->plan->result_column_count;
	struct sorted *sorted = lab_arena_array(op->arena, struct sorted, r->row_count + 1);
	struct lab_view *cells =
		lab_arena_array(op->arena, struct lab_view, r->row_count * width + 1);
	for (size_t i = 0; i < r->row_count; i++)
		sorted[i] = (struct sorted){ r->orders[i], i, op->plan->reversed };
	if (r->row_count > 1)
		qsort(sorted, r->row_count, sizeof(*sorted), compare);
	for (size_t i = 0; i < r->row_count; i++)
		memcpy(&cells[i * width], &r->cells[sorted[i].index * width],
			width * sizeof(*cells));
	r->cells = cells;
	r->row_count = LAB_MIN(r->row_count, op->select.limit);
}
