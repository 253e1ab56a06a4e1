/* SPDX-License-Identifier: Apache-2.0
 *
 * store-disk.c - a store whose rows an engine keeps (storage-engine.h). At hand are one partition's
 * head, one row, and where the cursor and the scan stand, as keys.
 */
#include "sim/cql-emulator/storage-private.h"

#define BYTES_MAX ((size_t)1 << 30)

struct cqle_disk {
	struct lab_heap *heap;
	const struct cqlemu_engine_ops *ops;
	void *engine;
	uint64_t store;
	struct cqle_partition head; /* key NULL: none */
	uint64_t partition;         /* its id */
	struct cqle_row *row;       /* the last one given out */
	struct lab_buf at;          /* the cursor: a key, and on which side of it */
	bool at_end, behind;
	struct lab_buf scan_key; /* the scan: the next partition is >= this one, or > */
	int64_t scan_token;
	bool scan_after;
	struct lab_buf bytes;
};

/* ---- life ---- */

struct cqle_store *cqle_store_open(struct lab_heap *heap, const struct cqlemu_engine_ops *ops,
	void *engine, struct lab_view name)
{
	struct cqle_store *store = lab_new(heap, struct cqle_store);
	struct cqle_disk *disk = lab_new(heap, struct cqle_disk);
	uint64_t partitions = 0, rows = 0;
	store->heap = disk->heap = heap;
	store->disk = disk;
	disk->ops = ops;
	disk->engine = engine;
	disk->store = ops->store_open(engine, name, &partitions, &rows);
	store->count = (size_t)partitions;
	store->row_count = (size_t)rows;
	lab_buf_init(&disk->at, heap, BYTES_MAX);
	lab_buf_init(&disk->scan_key, heap, BYTES_MAX);
	lab_buf_init(&disk->bytes, heap, BYTES_MAX);
	return store;
}

static void forget_head(struct cqle_disk *disk)
{
	struct cqle_partition *p = &disk->head;
	cqle_bytes_unref(disk->heap, p->key);
	cqle_row_unref(disk->heap, p->static_row);
	storage_ranges_free(disk->heap, p->ranges, p->range_count);
	*p = (struct cqle_partition){ .disk = disk, .deletion = CQLE_NOT_DELETED };
}

static void forget_row(struct cqle_disk *disk)
{
	cqle_row_unref(disk->heap, disk->row);
	disk->row = NULL;
}

void cqle_disk_free(struct cqle_store *store)
{
	struct cqle_disk *disk = store->disk;
	forget_head(disk);
	forget_row(disk);
	lab_buf_done(&disk->at);
	lab_buf_done(&disk->scan_key);
	lab_buf_done(&disk->bytes);
	lab_heap_free(store->heap, disk);
}

void cqle_disk_clear(struct cqle_store *store)
{
	struct cqle_disk *disk = store->disk;
	forget_head(disk);
	forget_row(disk);
	store->count = store->row_count = 0;
	disk->ops->store_clear(disk->engine, disk->store);
}

void cqle_store_drop(struct cqle_store *store)
{
	if (store->disk != NULL)
		store->disk->ops->store_drop(store->disk->engine, store->disk->store);
}

void cqle_store_reopen(struct cqle_store *store, struct lab_view name)
{
	struct cqle_disk *disk = store->disk;
	uint64_t partitions = 0, rows = 0;
	forget_head(disk);
	forget_row(disk);
	disk->store = disk->ops->store_open(disk->engine, name, &partitions, &rows);
	store->count = (size_t)partitions;
	store->row_count = (size_t)rows;
}

/* ---- partitions ---- */

/* What the engine gave becomes the one at hand; NULL if it makes no sense. */
static struct cqle_partition *take_head(
	struct cqle_disk *disk, const struct cqlemu_engine_partition *found)
{
	struct cqle_partition *p = &disk->head;
	forget_head(disk);
	if (head_bytes_get(disk->heap, found->head, p) < 0) {
		disk->ops->broken(disk->engine);
		forget_head(disk);
		return NULL;
	}
	p->key = cqle_bytes_new(disk->heap, found->key);
	p->token = found->token;
	disk->partition = found->id;
	return p;
}

struct cqle_partition *cqle_disk_find(struct cqle_store *store, int64_t token, struct lab_view key)
{
	struct cqle_disk *disk = store->disk;
	struct cqlemu_engine_partition found;
	if (disk->head.key != NULL && disk->head.token == token &&
		lab_view_eq(cqle_bytes_view(disk->head.key), key))
		return &disk->head;
	if (!disk->ops->partition_find(disk->engine, disk->store, token, key, &found))
		return NULL;
	return take_head(disk, &found);
}

static struct lab_view head_bytes(struct cqle_disk *disk)
{
	lab_buf_reset(&disk->bytes);
	head_bytes_put(&disk->bytes, &disk->head);
	return lab_buf_view(&disk->bytes);
}

struct cqle_partition *cqle_disk_add(
	struct cqle_store *store, int64_t token, struct cqle_bytes *key)
{
	struct cqle_disk *disk = store->disk;
	forget_head(disk);
	disk->head.key = cqle_bytes_ref(key);
	disk->head.token = token;
	disk->partition = disk->ops->partition_add(
		disk->engine, disk->store, token, cqle_bytes_view(key), head_bytes(disk));
	store->count++;
	return &disk->head;
}

void cqle_disk_head_changed(struct cqle_store *store)
{
	struct cqle_disk *disk = store->disk;
	disk->ops->partition_put(disk->engine, disk->partition, head_bytes(disk));
}

void cqle_disk_scan(struct cqle_store *store, int64_t token, struct lab_view key)
{
	struct cqle_disk *disk = store->disk;
	lab_buf_reset(&disk->scan_key);
	lab_buf_append_view(&disk->scan_key, key);
	disk->scan_token = token;
	disk->scan_after = false;
}

struct cqle_partition *cqle_disk_scan_next(struct cqle_store *store)
{
	struct cqle_disk *disk = store->disk;
	struct cqlemu_engine_partition found;
	if (!disk->ops->partition_seek(disk->engine, disk->store, disk->scan_token,
		    lab_buf_view(&disk->scan_key), disk->scan_after, &found))
		return NULL;
	cqle_disk_scan(store, found.token, found.key);
	disk->scan_after = true;
	return take_head(disk, &found);
}

/* ---- rows ---- */

void cqle_disk_seek(struct cqle_disk *disk, struct lab_view key)
{
	lab_buf_reset(&disk->at);
	lab_buf_append_view(&disk->at, key);
	disk->at_end = disk->behind = false;
}

void cqle_disk_seek_end(struct cqle_disk *disk)
{
	disk->at_end = true;
}

static struct cqle_row *step(struct cqle_disk *disk, enum cqlemu_engine_seek how, bool behind)
{
	struct cqlemu_engine_row found;
	forget_row(disk);
	if (!disk->ops->row_seek(
		    disk->engine, disk->partition, lab_buf_view(&disk->at), how, &found))
		return NULL;
	cqle_disk_seek(disk, found.key);
	disk->behind = behind;
	disk->row = row_bytes_get(disk->heap, found.key, found.bytes);
	if (disk->row == NULL)
		disk->ops->broken(disk->engine);
	return disk->row;
}

struct cqle_row *cqle_disk_next(struct cqle_disk *disk)
{
	if (disk->at_end)
		return NULL;
	return step(disk, disk->behind ? CQLEMU_SEEK_AFTER : CQLEMU_SEEK_FROM, true);
}

struct cqle_row *cqle_disk_previous(struct cqle_disk *disk)
{
	if (disk->at_end)
		return step(disk, CQLEMU_SEEK_LAST, false);
	return step(disk, disk->behind ? CQLEMU_SEEK_UPTO : CQLEMU_SEEK_BEFORE, false);
}

void cqle_disk_put(struct cqle_store *store, struct cqle_row *old, struct cqle_row *row)
{
	struct cqle_disk *disk = store->disk;
	if (row != NULL && row != old) {
		lab_buf_reset(&disk->bytes);
		row_bytes_put(&disk->bytes, row);
		disk->ops->row_put(disk->engine, disk->partition, cqle_row_key(row),
			lab_buf_view(&disk->bytes));
	} else if (row == NULL && old != NULL) {
		disk->ops->row_remove(disk->engine, disk->partition, cqle_row_key(old));
	}
	store->row_count += (row != NULL) - (size_t)(old != NULL);
	cqle_row_unref(disk->heap, row);
}

void cqle_disk_change(struct cqle_store *store, struct lab_view start, struct lab_view end,
	storage_change_fn change, const void *ctx)
{
	struct cqle_disk *disk = store->disk;
	cqle_disk_seek(disk, start);
	for (struct cqle_row *row = cqle_disk_next(disk); row != NULL; row = cqle_disk_next(disk)) {
		if (end.ptr != NULL && lab_view_cmp(cqle_row_key(row), end) >= 0)
			return;
		cqle_disk_put(store, row, change(disk->heap, row, ctx));
	}
}

static bool is_empty(struct cqle_disk *disk)
{
	struct cqlemu_engine_row row;
	const struct cqle_partition *p = &disk->head;
	return p->static_row == NULL && p->range_count == 0 &&
	       p->deletion.timestamp == CQLE_NO_TIMESTAMP &&
	       !disk->ops->row_seek(
		       disk->engine, disk->partition, lab_view_of("", 0), CQLEMU_SEEK_FROM, &row);
}

void cqle_disk_each(struct cqle_store *store, storage_each_fn fn, void *ctx)
{
	struct cqle_disk *disk = store->disk;
	struct cqle_partition *p;
	cqle_disk_scan(store, INT64_MIN, lab_view_of("", 0));
	while ((p = cqle_disk_scan_next(store)) != NULL) {
		fn(store, p, ctx);
		if (!is_empty(disk))
			continue;
		disk->ops->partition_remove(disk->engine, disk->partition);
		forget_head(disk);
		store->count--;
	}
}
