/* SPDX-License-Identifier: Apache-2.0
 *
 * storage-private.h - what a store is made of, below cqle_store_apply() and cqle_read_store().
 *
 * Everything here is there twice: in memory (storage.c), and on an engine that keeps bytes
 * (store-disk.c). A store says which by `disk`. On disk one partition at a time is at hand, and one
 * cursor and one scan; finding, seeking or starting another ends the one before.
 */
#ifndef LAB_CQL_EMULATOR_STORAGE_PRIVATE_H
#define LAB_CQL_EMULATOR_STORAGE_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

/* mutation.c */
void *storage_grow(
	struct lab_heap *heap, void *items, uint32_t count, uint32_t *capacity, size_t item_size);
void storage_ranges_free(struct lab_heap *heap, struct cqle_range *ranges, size_t count);
void storage_range_add(struct lab_heap *heap, struct cqle_range **ranges, uint32_t *count,
	uint32_t *capacity, const struct cqle_range *range);

/* storage.c: of either kind of store */
struct cqle_partition *storage_add(struct cqle_store *store, int64_t token, struct cqle_bytes *key);
/* Its deletion, ranges or static row have changed; or it is new. */
void storage_head_changed(struct cqle_store *store, struct cqle_partition *p);
/* Puts `row` in the place of `old` with the same key, which may be NULL, as `row` may to remove it.
 * `at` is what cqle_seek() said of the key. Takes the reference to `row`. */
void storage_put(struct cqle_store *store, struct cqle_partition *p, struct cqle_cursor at,
	struct cqle_row *old, struct cqle_row *row);
/* What `change` makes (a new reference, NULL: nothing) of each row in [start, end). */
typedef struct cqle_row *(*storage_change_fn)(
	struct lab_heap *heap, struct cqle_row *row, const void *ctx);
void storage_change(struct cqle_store *store, struct cqle_partition *p, struct lab_view start,
	struct lab_view end, storage_change_fn change, const void *ctx);
/* Calls `fn` for each partition, in any order, and drops those of which nothing is left. */
typedef void (*storage_each_fn)(struct cqle_store *store, struct cqle_partition *p, void *ctx);
void storage_each(struct cqle_store *store, storage_each_fn fn, void *ctx);

/* store-disk.c */
void cqle_disk_free(struct cqle_store *store);
void cqle_disk_clear(struct cqle_store *store);
struct cqle_partition *cqle_disk_find(struct cqle_store *store, int64_t token, struct lab_view key);
struct cqle_partition *cqle_disk_add(
	struct cqle_store *store, int64_t token, struct cqle_bytes *key);
void cqle_disk_head_changed(struct cqle_store *store);
void cqle_disk_seek(struct cqle_disk *disk, struct lab_view key);
void cqle_disk_seek_end(struct cqle_disk *disk);
struct cqle_row *cqle_disk_next(struct cqle_disk *disk);
struct cqle_row *cqle_disk_previous(struct cqle_disk *disk);
void cqle_disk_put(struct cqle_store *store, struct cqle_row *old, struct cqle_row *row);
void cqle_disk_change(struct cqle_store *store, struct lab_view start, struct lab_view end,
	storage_change_fn change, const void *ctx);
void cqle_disk_each(struct cqle_store *store, storage_each_fn fn, void *ctx);
void cqle_disk_scan(struct cqle_store *store, int64_t token, struct lab_view key);
struct cqle_partition *cqle_disk_scan_next(struct cqle_store *store);

/* row-bytes.c: rows and heads of partitions as bytes. Reading is strict: what is accepted is
 * written as the same bytes. NULL, -1: not what was written. */
void row_bytes_put(struct lab_buf *out, const struct cqle_row *row);
struct cqle_row *row_bytes_get(struct lab_heap *heap, struct lab_view key, struct lab_view bytes);
void head_bytes_put(struct lab_buf *out, const struct cqle_partition *p);
int head_bytes_get(struct lab_heap *heap, struct lab_view bytes, struct cqle_partition *p);

#endif
