/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.c - a mutation merged into what a replica has; compaction and copies. The same for all
 * engines.
 */
#include "sim/cql-emulator/storage-private.h"

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
	storage_put(store, p, at, old, merged);
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
	storage_change(
		store, p, lab_view_of("", 0), lab_view_of(NULL, 0), change_delete, &deletion);
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
	storage_change(
		store, p, cqle_bytes_view(range->start), end, change_delete, &range->deletion);
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (!same_range(&p->ranges[i], range))
			continue;
		if (range->deletion.timestamp > p->ranges[i].deletion.timestamp)
			p->ranges[i].deletion = range->deletion;
		return;
	}
	storage_range_add(store->heap, &p->ranges, &p->range_count, &p->range_capacity, range);
}

static void apply_static(struct cqle_store *store, struct cqle_partition *p, struct cqle_row *row)
{
	struct cqle_row *merged = cqle_row_merge(store->heap, p->static_row, row, p->deletion);
	cqle_row_unref(store->heap, p->static_row);
	p->static_row = merged;
}

void cqle_store_apply(struct cqle_store *store, const struct cqle_mutation *m)
{
	struct cqle_partition *p = cqle_store_find(store, m->token, cqle_bytes_view(m->key));
	if (p == NULL)
		p = storage_add(store, m->token, m->key);
	if (m->deletion.timestamp != CQLE_NO_TIMESTAMP)
		apply_partition_deletion(store, p, m->deletion);
	for (uint32_t i = 0; i < m->range_count; i++)
		apply_range(store, p, &m->ranges[i]);
	if (m->static_row != NULL)
		apply_static(store, p, m->static_row);
	if (m->deletion.timestamp != CQLE_NO_TIMESTAMP || m->range_count > 0 ||
		m->static_row != NULL)
		storage_head_changed(store, p);
	for (uint32_t i = 0; i < m->row_count; i++)
		apply_row(store, p, m->rows[i]);
}

/* ---- copies ---- */

static void copy_partition(struct cqle_store *from, struct cqle_partition *p, void *_ctx)
{
	struct cqle_store *to = _ctx;
	struct cqle_partition *copy = storage_add(to, p->token, p->key);
	struct cqle_cursor cursor = cqle_seek(p, lab_view_of("", 0));
	(void)from;
	copy->deletion = p->deletion;
	copy->static_row = cqle_row_ref(p->static_row);
	for (uint32_t j = 0; j < p->range_count; j++)
		storage_range_add(to->heap, &copy->ranges, &copy->range_count,
			&copy->range_capacity, &p->ranges[j]);
	storage_head_changed(to, copy);
	for (struct cqle_row *row = cqle_cursor_next(&cursor); row != NULL;
		row = cqle_cursor_next(&cursor)) {
		struct cqle_cursor at = cqle_seek(copy, cqle_row_key(row));
		storage_put(to, copy, at, NULL, cqle_row_ref(row));
	}
}

void cqle_store_copy(struct cqle_store *to, struct cqle_store *from)
{
	storage_each(from, copy_partition, to);
}

/* ---- every row changed ---- */

struct converter {
	cqle_convert_fn convert;
	const void *ctx;
	bool is_static;
};

static struct cqle_row *change_convert(
	struct lab_heap *heap, struct cqle_row *row, const void *_ctx)
{
	const struct converter *c = _ctx;
	return c->convert(heap, row, c->is_static, c->ctx);
}

static void convert_partition(struct cqle_store *store, struct cqle_partition *p, void *_ctx)
{
	struct converter *c = _ctx;
	c->is_static = false;
	storage_change(store, p, lab_view_of("", 0), lab_view_of(NULL, 0), change_convert, c);
	if (p->static_row == NULL)
		return;
	struct cqle_row *row = c->convert(store->heap, p->static_row, true, c->ctx);
	cqle_row_unref(store->heap, p->static_row);
	p->static_row = row;
	storage_head_changed(store, p);
}

void cqle_store_convert(struct cqle_store *store, cqle_convert_fn convert, const void *ctx)
{
	struct converter c = { convert, ctx, false };
	storage_each(store, convert_partition, &c);
}

/* ---- compaction ---- */

static struct cqle_row *change_purge(struct lab_heap *heap, struct cqle_row *row, const void *ctx)
{
	return cqle_row_purge(heap, row, *(const uint32_t *)ctx);
}

static void partition_compact(struct cqle_store *store, struct cqle_partition *p, void *ctx)
{
	const uint32_t gc_before_s = *(const uint32_t *)ctx;
	bool head = p->range_count > 0 || p->static_row != NULL ||
		    p->deletion.timestamp != CQLE_NO_TIMESTAMP;
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
	if (head)
		storage_head_changed(store, p);
	storage_change(
		store, p, lab_view_of("", 0), lab_view_of(NULL, 0), change_purge, &gc_before_s);
}

void cqle_store_compact(struct cqle_store *store, uint32_t gc_before_s)
{
	storage_each(store, partition_compact, &gc_before_s);
}
