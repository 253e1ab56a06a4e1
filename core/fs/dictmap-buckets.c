/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-buckets.c - which bucket (Cassandra partition) of a folder takes the next mail.
 *
 * What is counted: live rows and tombstones younger than bucket-deleted-days, as far as this host
 * knows (obox 3.11). The counters are kept in bucket-cache; while they are in use the file says
 * "open", so that after a crash they are counted anew from a listing (HD-2).
 *
 *   oboxlab-buckets 1 clean|open
 *   <folder guid> <max_bucket> <live rows> [<day>:<deleted> ...]
 */
#include "core/fs/fs-dictmap-private.h"

#include <stdio.h>

#define CACHE_FILE_MAX (16u * 1024 * 1024)
#define FOLDERS_MAX 1000000
#define DELETED_DAYS_KEPT 32
#define US_PER_DAY (UINT64_C(86400) * 1000000)

struct folder {
	uint32_t max_bucket;
	uint64_t live;
	struct {
		uint32_t day;
		uint32_t count;
	} deleted[DELETED_DAYS_KEPT]; /* of the last bucket, day 0 is unused */
};

struct dictmap_buckets {
	struct lab_map *folders; /* guid hex -> struct folder */
	char *cache_path;	 /* NULL: no cache */
	bool marked_open;
};

static struct lab_heap *heap_of(struct dictmap_fs *fs)
{
	return fs->fs.settings.env->heap;
}

static uint32_t today(struct dictmap_fs *fs)
{
	return (uint32_t)(env_wall_us(fs->fs.settings.env) / US_PER_DAY);
}

static struct folder *folder_add(struct dictmap_fs *fs, struct lab_view guid)
{
	void **slot = lab_map_slot(fs->buckets->folders, guid);

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_new(heap_of(fs), struct folder);
	return *slot;
}

/* ---- the cache file ---- */

static bool parse_number(struct lab_view *rest, uint64_t max, uint64_t *ret)
{
	struct lab_view word;

	return lab_view_split(rest, ' ', &word) && lab_view_to_u64(word, ret) == 0 && *ret <= max;
}

static bool parse_deleted(struct folder *folder, struct lab_view rest)
{
	struct lab_view pair, day_text;
	size_t n = 0;

	while (lab_view_split(&rest, ' ', &pair)) {
		uint64_t day, count;

		if (n == DELETED_DAYS_KEPT || !lab_view_split(&pair, ':', &day_text) ||
			lab_view_to_u64(day_text, &day) < 0 || lab_view_to_u64(pair, &count) < 0 ||
			day > UINT32_MAX || count > UINT32_MAX)
			return false;
		folder->deleted[n].day = (uint32_t)day;
		folder->deleted[n].count = (uint32_t)count;
		n++;
	}
	return true;
}

static bool parse_folder(struct dictmap_fs *fs, struct lab_view line)
{
	struct lab_view guid;
	struct folder *folder;
	uint64_t max_bucket, live;

	if (!lab_view_split(&line, ' ', &guid) || guid.len != DICTMAP_GUID_HEX ||
		!parse_number(&line, DICTMAP_BUCKETS_MAX, &max_bucket) ||
		!parse_number(&line, UINT64_MAX, &live))
		return false;
	folder = folder_add(fs, guid);
	if (folder == NULL)
		return false;
	folder->max_bucket = (uint32_t)max_bucket;
	folder->live = live;
	return parse_deleted(folder, line);
}

static void forget_all(struct dictmap_fs *fs)
{
	struct lab_map_iter iter = lab_map_iterate(fs->buckets->folders);
	struct lab_view guid;
	void *folder;

	while (lab_map_next(&iter, &guid, &folder))
		lab_heap_free(heap_of(fs), folder);
	lab_map_clear(fs->buckets->folders);
}

/* Anything unexpected means that the counters are not known; they are only a cache. */
static void cache_load(struct dictmap_fs *fs)
{
	struct env *env = fs->fs.settings.env;
	struct lab_arena *arena = lab_arena_new(env->heap, CACHE_FILE_MAX + 65536);
	struct lab_view rest, line;

	if (env_file_load(env, fs->buckets->cache_path, CACHE_FILE_MAX, arena, &rest, NULL) == 0 &&
		lab_view_split(&rest, '\n', &line) &&
		lab_view_eq(line, LAB_VIEW("oboxlab-buckets 1 clean"))) {
		while (lab_view_split(&rest, '\n', &line) && line.len > 0) {
			if (!parse_folder(fs, line)) {
				forget_all(fs);
				break;
			}
		}
	}
	lab_arena_free(&arena);
}

static void cache_print_folder(struct lab_buf *out, struct lab_view guid, const struct folder *folder)
{
	lab_buf_printf(out, "%.*s %" PRIu32 " %" PRIu64, LAB_VIEW_ARG(guid), folder->max_bucket,
		folder->live);
	for (size_t i = 0; i < DELETED_DAYS_KEPT; i++) {
		if (folder->deleted[i].day != 0)
			lab_buf_printf(out, " %" PRIu32 ":%" PRIu32, folder->deleted[i].day,
				folder->deleted[i].count);
	}
	lab_buf_append_byte(out, '\n');
}

/* Losing the file costs a listing, so errors are not the caller's. */
static void cache_store(struct dictmap_fs *fs, bool clean)
{
	struct env *env = fs->fs.settings.env;
	struct lab_map_iter iter = lab_map_iterate(fs->buckets->folders);
	struct lab_view guid;
	void *folder;
	struct lab_buf out;

	lab_buf_init(&out, env->heap, CACHE_FILE_MAX);
	lab_buf_printf(&out, "oboxlab-buckets 1 %s\n", clean ? "clean" : "open");
	while (clean && lab_map_next(&iter, &guid, &folder))
		cache_print_folder(&out, guid, folder);
	if (!out.overflow)
		(void)env_file_replace(
			env, fs->buckets->cache_path, lab_buf_view(&out), clean, NULL);
	lab_buf_done(&out);
}

static void mark_open(struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = fs->buckets;

	if (buckets->cache_path == NULL || buckets->marked_open)
		return;
	buckets->marked_open = true;
	cache_store(fs, false);
}

struct dictmap_buckets *dictmap_buckets_new(struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = lab_new(heap_of(fs), struct dictmap_buckets);
	struct lab_view path = fs->conf.bucket_cache;

	fs->buckets = buckets;
	buckets->folders = lab_map_new(heap_of(fs), FOLDERS_MAX);
	if (fs->conf.bucket_size > 0 && path.len > 0) {
		buckets->cache_path = lab_heap_alloc(heap_of(fs), path.len + 1);
		memcpy(buckets->cache_path, path.ptr, path.len);
	}
	return buckets;
}

void dictmap_buckets_free(struct dictmap_buckets **buckets_p, struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = *buckets_p;

	if (buckets == NULL)
		return;
	if (buckets->marked_open)
		cache_store(fs, true);
	forget_all(fs);
	lab_map_free(&buckets->folders);
	lab_heap_free(heap_of(fs), buckets->cache_path);
	lab_heap_free(heap_of(fs), buckets);
	*buckets_p = NULL;
}

/* ---- max_bucket ---- */

/* *ret_written_us is the value's write time, 0 if there is none (older map files). */
static int max_bucket_lookup(struct dictmap_fs *fs, struct lab_view guid, uint32_t *ret,
	uint64_t *ret_written_us, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(heap_of(fs), 65536);
	struct dict_values values;
	uint64_t max_bucket = 0;
	int found;

	*ret_written_us = 0;
	found = dict_lookup(
		fs->dict, dictmap_key_max_bucket(fs, guid, arena), arena, &values, err);
	if (found > 0 && (lab_view_to_u64(values.items[0], &max_bucket) < 0 ||
				 max_bucket > DICTMAP_BUCKETS_MAX))
		found = lab_fail(err, LAB_CORRUPT, "max_bucket of folder %.*s is %.*s",
			LAB_VIEW_ARG(guid), LAB_VIEW_ARG(values.items[0]));
	if (found > 0 && values.count > 1)
		(void)lab_view_to_u64(values.items[1], ret_written_us);
	lab_arena_free(&arena);
	*ret = (uint32_t)max_bucket;
	return found < 0 ? -1 : 0;
}

int dictmap_bucket_max(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t *ret, struct lab_error *err)
{
	uint64_t written_us;

	if (fs->conf.bucket_size == 0) {
		*ret = 0;
		return 0;
	}
	return max_bucket_lookup(fs, guid, ret, &written_us, err);
}

int dictmap_bucket_raise(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket,
	const char *reason, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(heap_of(fs), 65536);
	struct dict_change_options options = { 0 };
	char text[16];
	int result;

	snprintf(text, sizeof(text), "%" PRIu32, bucket);
	result = dict_set(fs->dict, dictmap_key_max_bucket(fs, guid, arena), lab_view_cstr(text),
		&options, err);
	lab_arena_free(&arena);
	if (result < 0)
		return lab_error_wrap(err, "raise max_bucket to %" PRIu32, bucket);
	ENV_EVENT(fs->fs.settings.env, LAB_EV_fs_dictmap_max_bucket_changed,
		LAB_F_TEXT("mailbox_guid", guid), LAB_F_U64("max_bucket", bucket),
		LAB_F_CSTR("reason", reason));
	return 0;
}

/* ---- counters ---- */

static uint64_t young_tombstones(struct dictmap_fs *fs, const struct folder *folder)
{
	uint32_t oldest = today(fs) - LAB_MIN(today(fs), fs->conf.bucket_deleted_days);
	uint64_t sum = 0;

	if (fs->conf.bucket_deleted_days == 0)
		return 0;
	for (size_t i = 0; i < DELETED_DAYS_KEPT; i++) {
		if (folder->deleted[i].day != 0 && folder->deleted[i].day >= oldest)
			sum += folder->deleted[i].count;
	}
	return sum;
}

/* The counters of a folder; from a listing of its last bucket if this host does not know them. */
static int folder_get(
	struct dictmap_fs *fs, struct lab_view guid, struct folder **ret, struct lab_error *err)
{
	struct folder *folder = lab_map_get(fs->buckets->folders, guid);
	struct dict_iterate_options options = { .no_value = true, .max_rows = DICTMAP_ROWS_MAX };
	struct dictmap_path path = { .kind = DICTMAP_MAIL, .guid = guid };
	struct lab_arena *arena;
	struct dict_row *rows;
	uint32_t max_bucket;
	size_t count = 0;
	int result;

	*ret = folder;
	if (folder != NULL)
		return 0;
	if (dictmap_bucket_max(fs, guid, &max_bucket, err) < 0)
		return -1;
	arena = lab_arena_new(heap_of(fs), (size_t)DICTMAP_ROWS_MAX * 256);
	result = dict_iterate(fs->dict, dictmap_key_forward(fs, &path, max_bucket, arena), &options,
		arena, &rows, &count, err);
	lab_arena_free(&arena);
	if (result < 0)
		return lab_error_wrap(err, "count bucket %" PRIu32, max_bucket);
	dictmap_bucket_counted(fs, guid, max_bucket, count);
	*ret = lab_map_get(fs->buckets->folders, guid);
	return *ret != NULL ? 0 : lab_fail(err, LAB_LIMIT, "more than %d folders", FOLDERS_MAX);
}

void dictmap_bucket_counted(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t max_bucket, uint64_t rows)
{
	struct folder *folder;

	if (fs->conf.bucket_size == 0)
		return;
	folder = folder_add(fs, guid);
	if (folder == NULL)
		return;
	if (folder->max_bucket != max_bucket)
		memset(folder->deleted, 0, sizeof(folder->deleted));
	folder->max_bucket = max_bucket;
	folder->live = rows;
	mark_open(fs);
}

int dictmap_bucket_reserve(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t *ret, struct lab_error *err)
{
	struct folder *folder;
	uint32_t next;

	*ret = 0;
	if (fs->conf.bucket_size == 0)
		return 0;
	if (folder_get(fs, guid, &folder, err) < 0)
		return -1;
	while (folder->live + young_tombstones(fs, folder) >= fs->conf.bucket_size) {
		next = folder->max_bucket + 1;
		if (dictmap_bucket_raise(fs, guid, next, "file", err) < 0)
			return -1;
		/* Another save of this host may have raised it while we waited. */
		if (folder->max_bucket < next)
			dictmap_bucket_counted(fs, guid, next, 0);
	}
	folder->live++;
	mark_open(fs);
	*ret = folder->max_bucket;
	return 0;
}

void dictmap_bucket_release(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket)
{
	struct folder *folder = lab_map_get(fs->buckets->folders, guid);

	if (folder != NULL && folder->max_bucket == bucket && folder->live > 0)
		folder->live--;
}

void dictmap_bucket_deleted(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket)
{
	struct folder *folder = lab_map_get(fs->buckets->folders, guid);
	uint32_t day = today(fs);
	size_t slot = day % DELETED_DAYS_KEPT;

	if (folder == NULL || folder->max_bucket != bucket)
		return;
	if (folder->live > 0)
		folder->live--;
	if (folder->deleted[slot].day != day) {
		folder->deleted[slot].day = day;
		folder->deleted[slot].count = 0;
	}
	folder->deleted[slot].count++;
}
