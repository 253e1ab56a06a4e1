/* SPDX-License-Identifier: Apache-2.0
 *
 * row-bytes.c - rows and heads of partitions as bytes, for engines that keep them elsewhere.
 *
 * Big-endian. A row: flags, what they announce, the number of cells, the cells. A cell: flags with
 * its kind; if it was ever written timestamp, TTL and local time, and a value or elements.
 */
#include "sim/cql-emulator/storage-private.h"

#define ROW_MARKER 1u
#define ROW_EXPIRES 2u
#define ROW_DELETED 4u
#define CELL_KIND 3u
#define CELL_WRITTEN 4u /* a timestamp follows; never absent with a value */
#define CELL_VALUE 8u   /* a value, or elements */
#define CELL_EXPIRES 16u
#define CELL_LOCAL 32u
#define HEAD_DELETED 1u
#define HEAD_STATIC 2u
#define RANGE_END 1u
#define ELEMENT_BYTES_MIN 6

/* ---- writing ---- */

static void put_bytes(struct lab_buf *out, const struct cqle_bytes *bytes)
{
	lab_buf_append_u32(out, bytes->len);
	lab_buf_append(out, bytes->data, bytes->len);
}

static void put_deletion(struct lab_buf *out, struct cqle_deletion deletion)
{
	lab_buf_append_u64(out, (uint64_t)deletion.timestamp);
	lab_buf_append_u32(out, deletion.local_s);
}

static unsigned cell_flags(const struct cqle_cell *cell, bool has_value)
{
	unsigned flags = cell->kind;
	if (cell->timestamp != CQLE_NO_TIMESTAMP)
		flags |= CELL_WRITTEN;
	if (has_value)
		flags |= CELL_VALUE;
	if (cell->ttl_s != 0)
		flags |= CELL_EXPIRES;
	if (cell->local_s != 0)
		flags |= CELL_LOCAL;
	return flags;
}

static void put_times(struct lab_buf *out, const struct cqle_cell *cell, unsigned flags)
{
	lab_buf_append_byte(out, (uint8_t)flags);
	if ((flags & CELL_WRITTEN) != 0)
		lab_buf_append_u64(out, (uint64_t)cell->timestamp);
	if ((flags & CELL_EXPIRES) != 0)
		lab_buf_append_u32(out, cell->ttl_s);
	if ((flags & CELL_LOCAL) != 0)
		lab_buf_append_u32(out, cell->local_s);
}

static void put_simple(struct lab_buf *out, const struct cqle_cell *cell)
{
	put_times(out, cell, cell_flags(cell, cell->value != NULL));
	if (cell->value != NULL)
		put_bytes(out, cell->value);
}

static void put_cell(struct lab_buf *out, const struct cqle_cell *cell)
{
	if (cell->kind != CQLE_CELL_COLLECTION) {
		put_simple(out, cell);
		return;
	}
	put_times(out, cell, cell_flags(cell, cell->elements != NULL));
	if (cell->elements == NULL)
		return;
	lab_buf_append_u32(out, cell->elements->count);
	for (uint32_t i = 0; i < cell->elements->count; i++) {
		put_bytes(out, cell->elements->items[i].path);
		put_simple(out, &cell->elements->items[i].cell);
	}
}

void row_bytes_put(struct lab_buf *out, const struct cqle_row *row)
{
	unsigned flags = 0;
	if (row->marker != CQLE_NO_TIMESTAMP)
		flags |= ROW_MARKER;
	if (row->marker_ttl_s != 0 || row->marker_expires_s != 0)
		flags |= ROW_EXPIRES;
	if (row->deletion.timestamp != CQLE_NO_TIMESTAMP)
		flags |= ROW_DELETED;
	lab_buf_append_byte(out, (uint8_t)flags);
	if ((flags & ROW_MARKER) != 0)
		lab_buf_append_u64(out, (uint64_t)row->marker);
	if ((flags & ROW_EXPIRES) != 0) {
		lab_buf_append_u32(out, row->marker_ttl_s);
		lab_buf_append_u32(out, row->marker_expires_s);
	}
	if ((flags & ROW_DELETED) != 0)
		put_deletion(out, row->deletion);
	lab_buf_append_byte(out, (uint8_t)row->cell_count);
	for (size_t i = 0; i < row->cell_count; i++)
		put_cell(out, &row->cells[i]);
}

/* ---- reading ---- */

static bool take(struct lab_view *rest, size_t len, struct lab_view *ret)
{
	if (rest->len < len)
		return false;
	*ret = lab_view_sub(*rest, 0, len);
	*rest = lab_view_skip(*rest, len);
	return true;
}

static bool take_number(struct lab_view *rest, size_t len, uint64_t *ret)
{
	struct lab_view bytes;
	if (!take(rest, len, &bytes))
		return false;
	*ret = 0;
	for (size_t i = 0; i < len; i++)
		*ret = *ret << 8 | bytes.ptr[i];
	return true;
}

static bool take_u32(struct lab_view *rest, uint32_t *ret)
{
	uint64_t number;
	if (!take_number(rest, 4, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* One that is there. */
static bool take_timestamp(struct lab_view *rest, int64_t *ret)
{
	uint64_t number;
	if (!take_number(rest, 8, &number))
		return false;
	*ret = (int64_t)number;
	return *ret != CQLE_NO_TIMESTAMP;
}

static bool take_deletion(struct lab_view *rest, struct cqle_deletion *ret)
{
	int64_t timestamp;
	uint32_t local_s;
	if (!take_timestamp(rest, &timestamp) || !take_u32(rest, &local_s))
		return false;
	*ret = (struct cqle_deletion){ timestamp, local_s };
	return true;
}

static struct cqle_bytes *take_bytes(struct lab_heap *heap, struct lab_view *rest)
{
	struct lab_view bytes;
	uint32_t len;
	if (!take_u32(rest, &len) || !take(rest, len, &bytes))
		return NULL;
	return cqle_bytes_new(heap, bytes);
}

/* Flags and times. */
static bool take_times(struct lab_view *rest, struct cqle_cell *cell, unsigned *ret_flags)
{
	uint64_t flags;
	uint32_t ttl_s = 0;
	*cell = (struct cqle_cell){ .timestamp = CQLE_NO_TIMESTAMP };
	if (!take_number(rest, 1, &flags) || flags >= 2 * CELL_LOCAL ||
		(flags & CELL_KIND) > CQLE_CELL_COUNTER)
		return false;
	cell->kind = flags & CELL_KIND;
	if ((flags & CELL_WRITTEN) != 0 && !take_timestamp(rest, &cell->timestamp))
		return false;
	if ((flags & CELL_EXPIRES) != 0 &&
		(!take_u32(rest, &ttl_s) || ttl_s == 0 || ttl_s > CQLE_TTL_MASK))
		return false;
	cell->ttl_s = ttl_s & CQLE_TTL_MASK;
	if ((flags & CELL_LOCAL) != 0 && (!take_u32(rest, &cell->local_s) || cell->local_s == 0))
		return false;
	*ret_flags = (unsigned)flags;
	return true;
}

/* Of a cell without elements; a value only of one that was written. */
static bool take_value(
	struct lab_heap *heap, struct lab_view *rest, unsigned flags, struct cqle_cell *cell)
{
	if ((flags & CELL_VALUE) == 0)
		return true;
	if ((flags & CELL_WRITTEN) == 0)
		return false;
	cell->value = take_bytes(heap, rest);
	return cell->value != NULL;
}

static bool take_element(struct lab_heap *heap, struct lab_view *rest, struct cqle_element *element)
{
	unsigned flags;
	element->path = take_bytes(heap, rest);
	return element->path != NULL && take_times(rest, &element->cell, &flags) &&
	       element->cell.kind == CQLE_CELL_SIMPLE && (flags & CELL_WRITTEN) != 0 &&
	       take_value(heap, rest, flags, &element->cell);
}

static bool in_order(const struct cqle_elements *elements, uint32_t i)
{
	return i == 0 || lab_view_cmp(cqle_bytes_view(elements->items[i - 1].path),
				 cqle_bytes_view(elements->items[i].path)) < 0;
}

static bool take_elements(struct lab_heap *heap, struct lab_view *rest, struct cqle_elements **ret)
{
	uint32_t count;
	if (!take_u32(rest, &count) || count == 0 || count > rest->len / ELEMENT_BYTES_MIN)
		return false;
	*ret = cqle_elements_new(heap, count);
	memset((*ret)->items, 0, count * sizeof((*ret)->items[0]));
	for (uint32_t i = 0; i < count; i++) {
		if (!take_element(heap, rest, &(*ret)->items[i]) || !in_order(*ret, i))
			return false;
	}
	return true;
}

static bool take_cell(struct lab_heap *heap, struct lab_view *rest, struct cqle_cell *cell)
{
	unsigned flags;
	if (!take_times(rest, cell, &flags))
		return false;
	if (cell->kind != CQLE_CELL_COLLECTION)
		return take_value(heap, rest, flags, cell);
	return (flags & CELL_VALUE) == 0 || take_elements(heap, rest, &cell->elements);
}

static bool take_row_head(struct lab_view *rest, struct cqle_row *row)
{
	uint64_t flags;
	if (!take_number(rest, 1, &flags) || flags >= 2 * ROW_DELETED)
		return false;
	if ((flags & ROW_MARKER) != 0 && !take_timestamp(rest, &row->marker))
		return false;
	if ((flags & ROW_EXPIRES) != 0 &&
		(!take_u32(rest, &row->marker_ttl_s) || !take_u32(rest, &row->marker_expires_s) ||
			(row->marker_ttl_s == 0 && row->marker_expires_s == 0)))
		return false;
	return (flags & ROW_DELETED) == 0 || take_deletion(rest, &row->deletion);
}

struct cqle_row *row_bytes_get(struct lab_heap *heap, struct lab_view key, struct lab_view bytes)
{
	struct cqle_row head = { .marker = CQLE_NO_TIMESTAMP, .deletion = CQLE_NOT_DELETED };
	uint64_t count;
	if (!take_row_head(&bytes, &head) || !take_number(&bytes, 1, &count) ||
		count > CQLEMU_COLUMNS_MAX)
		return NULL;
	struct cqle_row *row = cqle_row_new(heap, key, (size_t)count);
	row->marker = head.marker;
	row->marker_ttl_s = head.marker_ttl_s;
	row->marker_expires_s = head.marker_expires_s;
	row->deletion = head.deletion;
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++)
		ok = take_cell(heap, &bytes, &row->cells[i]);
	if (ok && bytes.len == 0)
		return row;
	cqle_row_unref(heap, row);
	return NULL;
}

/* ---- heads ---- */

void head_bytes_put(struct lab_buf *out, const struct cqle_partition *p)
{
	unsigned flags = (p->deletion.timestamp != CQLE_NO_TIMESTAMP ? HEAD_DELETED : 0) |
			 (p->static_row != NULL ? HEAD_STATIC : 0);
	lab_buf_append_byte(out, (uint8_t)flags);
	if ((flags & HEAD_DELETED) != 0)
		put_deletion(out, p->deletion);
	lab_buf_append_u32(out, p->range_count);
	for (uint32_t i = 0; i < p->range_count; i++) {
		const struct cqle_range *range = &p->ranges[i];
		lab_buf_append_byte(out, range->end != NULL ? RANGE_END : 0);
		put_bytes(out, range->start);
		if (range->end != NULL)
			put_bytes(out, range->end);
		put_deletion(out, range->deletion);
	}
	if ((flags & HEAD_STATIC) != 0)
		row_bytes_put(out, p->static_row);
}

static bool take_range(struct lab_heap *heap, struct lab_view *rest, struct cqle_range *range)
{
	uint64_t flags;
	if (!take_number(rest, 1, &flags) || flags > RANGE_END)
		return false;
	range->start = take_bytes(heap, rest);
	if (range->start == NULL)
		return false;
	if ((flags & RANGE_END) != 0) {
		range->end = take_bytes(heap, rest);
		if (range->end == NULL)
			return false;
	}
	return take_deletion(rest, &range->deletion);
}

/* Each has 17 bytes at least. */
static bool take_ranges(struct lab_heap *heap, struct lab_view *rest, struct cqle_partition *p)
{
	uint32_t count;
	if (!take_u32(rest, &count) || count > rest->len / 17)
		return false;
	if (count == 0)
		return true;
	p->ranges = lab_new_array(heap, struct cqle_range, count);
	p->range_capacity = count;
	for (uint32_t i = 0; i < count; i++) {
		p->range_count++; /* what was taken is freed, too, if the rest is wrong */
		if (!take_range(heap, rest, &p->ranges[i]))
			return false;
	}
	return true;
}

int head_bytes_get(struct lab_heap *heap, struct lab_view bytes, struct cqle_partition *p)
{
	uint64_t flags;
	if (!take_number(&bytes, 1, &flags) || flags >= 2 * HEAD_STATIC)
		return -1;
	if ((flags & HEAD_DELETED) != 0 && !take_deletion(&bytes, &p->deletion))
		return -1;
	if (!take_ranges(heap, &bytes, p))
		return -1;
	if ((flags & HEAD_STATIC) == 0)
		return bytes.len == 0 ? 0 : -1;
	p->static_row = row_bytes_get(heap, lab_view_of("", 0), bytes);
	return p->static_row != NULL ? 0 : -1;
}
