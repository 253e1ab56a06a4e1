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
 *   end
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/defect.h"
#include "core/base/mark.h"
#include "core/env/hold.h"

#include <stdio.h>

#define CACHE_FILE_MAX (16u * 1024 * 1024)
#define FOLDERS_MAX 1000000
#define DAYS_KEPT_MAX 366
#define US_PER_DAY (UINT64_C(86400) * 1000000)
/* See "max_bucket is lowered" below. */
#define LEASE (10 * LAB_MINUTE)
#define SETTLED (30 * LAB_MINUTE)
#define CONFIRMS_MAX 3
/* How far clocks may be apart; as much as delete-timestamp allows for. */
#define CLOCKS_APART_US (UINT64_C(10) * 1000000)

/* As long as each other: "open" is written over "clean". */
#define MARK_CLEAN "oboxlab-buckets 1 clean"
#define MARK_OPEN "oboxlab-buckets 1 open "

struct deleted_day {
	uint32_t day; /* since 1970; 0: unused */
	uint32_t count;
};

struct folder {
	bool is_known;
	bool is_busy;     /* somebody counts it, or raises its max_bucket */
	bool was_lowered; /* a raise may come back to a bucket that has rows */
	bool is_unleased; /* old map files: each save is followed by a look */
	uint32_t max_bucket;
	uint64_t live;
	uint64_t leased_until_ns; /* rows may be put into max_bucket, unless that is 0 */
	/* What the last listing with empty buckets at the end found: max_bucket's write time, and
	 * when. */
	uint64_t empty_us, empty_at_ns;
	struct deleted_day *deleted; /* of the last bucket, by day % days_kept(); NULL: none */
	struct env_cond idle;
};

struct dictmap_buckets {
	struct lab_map *folders; /* guid hex -> struct folder */
	char *cache_path;        /* NULL: no cache */
	enum {
		CACHE_NOT_READ,
		CACHE_READING,
		CACHE_READ
	} cache;
	struct env_cond cache_read;
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

static struct folder *folder_find(struct dictmap_fs *fs, struct lab_view guid)
{
	struct folder *folder = lab_map_get(fs->buckets->folders, guid);

	return folder != NULL && folder->is_known ? folder : NULL;
}

/* ---- tombstones ---- */

/* A tombstone of the day before the last of them may still be younger than so many days. */
static uint32_t days_kept(const struct dictmap_fs *fs)
{
	return LAB_MIN(fs->conf.bucket_deleted_days + 1, (uint32_t)DAYS_KEPT_MAX);
}

static void deleted_add(struct dictmap_fs *fs, struct folder *folder, uint32_t day, uint32_t count)
{
	struct deleted_day *slot;

	if (fs->conf.bucket_deleted_days == 0)
		return;
	if (folder->deleted == NULL)
		folder->deleted = lab_new_array(heap_of(fs), struct deleted_day, days_kept(fs));
	slot = &folder->deleted[day % days_kept(fs)];
	if (slot->day != day)
		*slot = (struct deleted_day){ .day = day };
	slot->count += count;
}

static void deleted_clear(struct dictmap_fs *fs, struct folder *folder)
{
	lab_heap_free(heap_of(fs), folder->deleted);
	folder->deleted = NULL;
}

static uint64_t young_tombstones(struct dictmap_fs *fs, const struct folder *folder)
{
	uint32_t now = today(fs), oldest = now - LAB_MIN(now, fs->conf.bucket_deleted_days);
	uint64_t sum = 0;

	for (uint32_t i = 0; folder->deleted != NULL && i < days_kept(fs); i++) {
		if (folder->deleted[i].day >= oldest)
			sum += folder->deleted[i].count;
	}
	return sum;
}

/* ---- the cache file ---- */

static bool parse_number(struct lab_view *rest, uint64_t max, uint64_t *ret)
{
	struct lab_view word;

	return lab_view_split(rest, ' ', &word) && lab_view_to_u64(word, ret) == 0 && *ret <= max;
}

static bool parse_deleted(struct dictmap_fs *fs, struct folder *folder, struct lab_view rest)
{
	struct lab_view pair, day_text;

	while (lab_view_split(&rest, ' ', &pair)) {
		uint64_t day, count;

		if (!lab_view_split(&pair, ':', &day_text) || lab_view_to_u64(day_text, &day) < 0 ||
			lab_view_to_u64(pair, &count) < 0 || day == 0 || day > UINT32_MAX ||
			count > UINT32_MAX)
			return false;
		/* Older ones do not matter, and newer ones are a clock that went back. */
		if (day <= today(fs) && today(fs) - day < days_kept(fs))
			deleted_add(fs, folder, (uint32_t)day, (uint32_t)count);
	}
	return true;
}

static bool parse_folder(struct dictmap_fs *fs, struct lab_view line)
{
	struct lab_view guid;
	struct folder *folder;
	uint64_t max_bucket, live;

	if (!lab_view_split(&line, ' ', &guid) || !dictmap_is_guid(guid) ||
		!parse_number(&line, DICTMAP_BUCKETS_MAX, &max_bucket) ||
		!parse_number(&line, DICTMAP_ROWS_MAX, &live))
		return false;
	folder = folder_add(fs, guid);
	if (folder == NULL || folder->is_known)
		return false;
	folder->is_known = true;
	folder->max_bucket = (uint32_t)max_bucket;
	folder->live = live;
	return parse_deleted(fs, folder, line);
}

static void forget_all(struct dictmap_fs *fs)
{
	struct lab_map_iter iter = lab_map_iterate(fs->buckets->folders);
	struct lab_view guid;
	void *folder;

	while (lab_map_next(&iter, &guid, &folder)) {
		deleted_clear(fs, folder);
		lab_heap_free(heap_of(fs), folder);
	}
	lab_map_clear(fs->buckets->folders);
}

static bool parse_file(struct dictmap_fs *fs, struct lab_view rest)
{
	struct lab_view line;

	if (!lab_view_split(&rest, '\n', &line) || !lab_view_eq_cstr(line, MARK_CLEAN))
		return false;
	while (lab_view_split(&rest, '\n', &line)) {
		if (lab_view_eq_cstr(line, "end"))
			return true;
		if (!parse_folder(fs, line))
			return false;
	}
	return false;
}

/* Anything unexpected means that the counters are not known; they are only a cache. */
static bool cache_load(struct dictmap_fs *fs)
{
	struct env *env = fs->fs.settings.env;
	struct lab_arena *arena = lab_arena_new(env->heap, CACHE_FILE_MAX + 65536);
	struct lab_view file;
	bool ok = env_file_load(env, fs->buckets->cache_path, CACHE_FILE_MAX, arena, &file, NULL) ==
			  0 &&
		  parse_file(fs, file);

	if (!ok)
		forget_all(fs);
	lab_arena_free(&arena);
	return ok;
}

/* From now on the file is older than what is in memory. */
static void cache_mark_open(struct dictmap_fs *fs)
{
	struct env *env = fs->fs.settings.env;
	struct env_file *file = NULL;

	if (env_file_open(env, fs->buckets->cache_path, ENV_OPEN_WRITE, &file, NULL) < 0 ||
		env_file_write(file, 0, lab_view_cstr(MARK_OPEN), NULL) < 0 ||
		env_file_sync(file, NULL) < 0)
		(void)env_unlink(env, fs->buckets->cache_path, NULL);
	env_file_close(&file);
}

/* Reads the file at the first use of a counter. Blocks. */
static void cache_open(struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = fs->buckets;

	if (buckets->cache_path == NULL)
		return;
	while (buckets->cache == CACHE_READING)
		(void)env_cond_wait(fs->fs.settings.env, &buckets->cache_read, ENV_FOREVER);
	if (buckets->cache == CACHE_READ)
		return;
	buckets->cache = CACHE_READING;
	if (cache_load(fs))
		cache_mark_open(fs);
	buckets->cache = CACHE_READ;
	env_cond_broadcast(fs->fs.settings.env, &buckets->cache_read);
}

static void cache_print_folder(struct dictmap_fs *fs, struct lab_buf *out, struct lab_view guid,
	const struct folder *folder)
{
	lab_buf_printf(out, "%.*s %" PRIu32 " %" PRIu64, LAB_VIEW_ARG(guid), folder->max_bucket,
		folder->live);
	for (uint32_t i = 0; folder->deleted != NULL && i < days_kept(fs); i++) {
		if (folder->deleted[i].day != 0)
			lab_buf_printf(out, " %" PRIu32 ":%" PRIu32, folder->deleted[i].day,
				folder->deleted[i].count);
	}
	lab_buf_append_byte(out, '\n');
}

/* Losing the file costs a listing, so errors are not the caller's. */
static void cache_store(struct dictmap_fs *fs)
{
	struct env *env = fs->fs.settings.env;
	struct lab_map_iter iter = lab_map_iterate(fs->buckets->folders);
	struct lab_view guid;
	void *value;
	struct lab_buf out;

	lab_buf_init(&out, env->heap, CACHE_FILE_MAX);
	lab_buf_append_cstr(&out, MARK_CLEAN "\n");
	while (lab_map_next(&iter, &guid, &value)) {
		if (((struct folder *)value)->is_known)
			cache_print_folder(fs, &out, guid, value);
	}
	lab_buf_append_cstr(&out, "end\n");
	if (!out.overflow)
		(void)env_file_replace(
			env, fs->buckets->cache_path, lab_buf_view(&out), true, NULL);
	lab_buf_done(&out);
}

void dictmap_buckets_new(struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = lab_new(heap_of(fs), struct dictmap_buckets);
	struct lab_view path = fs->conf.bucket_cache;

	fs->buckets = buckets;
	buckets->folders = lab_map_new(heap_of(fs), FOLDERS_MAX);
	if (fs->conf.bucket_size > 0 && path.len > 0) {
		buckets->cache_path = lab_heap_alloc(heap_of(fs), path.len + 1);
		memcpy(buckets->cache_path, path.ptr, path.len);
	}
}

void dictmap_buckets_free(struct dictmap_fs *fs)
{
	struct dictmap_buckets *buckets = fs->buckets;

	if (buckets->cache == CACHE_READ)
		cache_store(fs);
	forget_all(fs);
	lab_map_free(&buckets->folders);
	lab_heap_free(heap_of(fs), buckets->cache_path);
	lab_heap_free(heap_of(fs), buckets);
	fs->buckets = NULL;
}

/* ---- max_bucket ---- */

/* A raise is stamped behind the value that was looked at, so it counts although the host's clock
 * is behind. Another host that looked at the same value may have raised it unseen: late, or on
 * one replica only. Whoever raises further must be behind that, too. It has looked later, so the
 * time of its look is; and as clocks differ, each raise leaves as much as they may be apart.
 * Without a write time (older map files, or nothing raised yet) the time of the look is all that
 * there is. */

static int max_bucket_lookup(struct dictmap_fs *fs, struct lab_view guid,
	struct dictmap_max_bucket *ret, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(heap_of(fs), 65536);
	struct dict_values values;
	uint64_t max_bucket = 0;
	int found;

	ret->asked_us = env_wall_us(fs->fs.settings.env);
	found = dict_lookup(fs->dict, dictmap_key_max_bucket(fs, guid, arena), arena, &values, err);
	if (found > 0 && (lab_view_to_u64(values.items[0], &max_bucket) < 0 ||
				 max_bucket > DICTMAP_BUCKETS_MAX))
		found = lab_fail(err, LAB_CORRUPT, "max_bucket of folder %.*s is %.*s",
			LAB_VIEW_ARG(guid), LAB_VIEW_ARG(values.items[0]));
	if (found > 0 && values.count > 1)
		(void)lab_view_to_u64(values.items[1], &ret->written_us);
	lab_arena_free(&arena);
	ret->bucket = (uint32_t)max_bucket;
	return found < 0 ? -1 : 0;
}

int dictmap_bucket_max(struct dictmap_fs *fs, struct lab_view guid, struct dictmap_max_bucket *ret,
	struct lab_error *err)
{
	*ret = (struct dictmap_max_bucket){ .bucket = 0 };
	return fs->conf.bucket_size == 0 ? 0 : max_bucket_lookup(fs, guid, ret, err);
}

static int max_bucket_write(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket,
	uint64_t timestamp_us, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(heap_of(fs), 65536);
	struct dict_change_options options = { .timestamp_us = timestamp_us };
	char text[16];
	int result;

	snprintf(text, sizeof(text), "%" PRIu32, bucket);
	result = dict_set(fs->dict, dictmap_key_max_bucket(fs, guid, arena), lab_view_cstr(text),
		&options, err);
	lab_arena_free(&arena);
	return result;
}

int dictmap_bucket_raise(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket,
	struct dictmap_max_bucket *found, const char *reason, struct lab_error *err)
{
	uint64_t stamp_us = LAB_MAX(found->asked_us, found->written_us + CLOCKS_APART_US);

	if (bucket > DICTMAP_BUCKETS_MAX)
		return lab_fail(err, LAB_LIMIT, "folder %.*s has more than %d buckets",
			LAB_VIEW_ARG(guid), DICTMAP_BUCKETS_MAX);
	ENV_HOLD(fs->fs.settings.env, bucket_raised, fs->fs.settings.username);
	if (lab_defect(RAISE_STAMPED_NOW))
		stamp_us = 0;
	if (!lab_defect(BUCKET_NOT_RAISED) &&
		max_bucket_write(fs, guid, bucket, stamp_us, err) < 0) {
		/* Raised or not: no row depends on it yet, and raising it again does no harm. */
		if (err->code == LAB_UNCERTAIN) {
			err->code = LAB_UNAVAILABLE;
			err->retryable = true;
		}
		return lab_error_wrap(err, "raise max_bucket to %" PRIu32, bucket);
	}
	found->written_us = stamp_us;
	LAB_MARK(max_bucket_raised);
	ENV_EVENT(fs->fs.settings.env, LAB_EV_fs_dictmap_max_bucket_changed,
		LAB_F_TEXT("mailbox_guid", guid), LAB_F_U64("max_bucket", bucket),
		LAB_F_CSTR("reason", reason));
	return 0;
}

/* ---- max_bucket is lowered (HD-2) ----
 *
 * A host that still has room in the bucket that it knows must not put a mail where nobody looks any
 * more. So rows are put into a bucket above 0 only under a lease: the host has looked at max_bucket
 * within LEASE, and has written the same value again, one microsecond behind what it found. Whoever
 * lowers has seen the same write time SETTLED ago: no lease is left then, nor a save that began
 * under one, and what its listing shows empty stays empty until somebody writes the row again. Such
 * a write and the lowering have the same timestamp, and of equal ones the larger value counts. No
 * clock is compared with another host's.
 *
 * Old map files do not tell the write time. A host that has such cannot lower, nor say that it has
 * room. So after a row is there it looks at max_bucket, and raises it again if it was lowered; and
 * whoever lowers looks into the buckets after it has given them up. Of the two the later one sees
 * what the other has done. */

/* The max_bucket that was found is this host's. */
static int folder_lease(struct dictmap_fs *fs, struct lab_view guid, struct folder *folder,
	uint64_t written_us, uint64_t asked_ns, struct lab_error *err)
{
	if (folder->max_bucket > 0 && written_us != 0 &&
		max_bucket_write(fs, guid, folder->max_bucket, written_us + 1, err) < 0) {
		/* Written or not, it says what was there. */
		if (err->code == LAB_UNCERTAIN)
			err->code = LAB_UNAVAILABLE;
		return lab_error_wrap(err, "keep max_bucket %" PRIu32, folder->max_bucket);
	}
	folder->is_unleased = folder->max_bucket > 0 && written_us == 0;
	folder->leased_until_ns = asked_ns + LEASE;
	return 0;
}

static bool is_leased(struct dictmap_fs *fs, const struct folder *folder)
{
	return folder->max_bucket == 0 || folder->is_unleased ||
	       env_now(fs->fs.settings.env) < folder->leased_until_ns;
}

int dictmap_bucket_confirm(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket, struct lab_error *err)
{
	struct folder *folder = lab_map_get(fs->buckets->folders, guid);
	struct dictmap_max_bucket found;

	if (bucket == 0 || folder == NULL || !folder->is_unleased)
		return 0;
	for (unsigned i = 0; i < CONFIRMS_MAX; i++) {
		if (dictmap_bucket_max(fs, guid, &found, err) < 0)
			break;
		/* The next save counts what another host has raised or lowered. */
		folder->is_known = folder->is_known && found.bucket == folder->max_bucket;
		if (found.bucket >= bucket)
			return 0;
		folder->was_lowered = true;
		if (dictmap_bucket_raise(fs, guid, bucket, &found, "file", err) < 0)
			break;
		(void)lab_fail(err, LAB_UNCERTAIN, "max_bucket stays %" PRIu32, found.bucket);
	}
	/* The row is there, and may be above max_bucket. */
	err->code = LAB_UNCERTAIN;
	return lab_error_wrap(err, "keep max_bucket at %" PRIu32, bucket);
}

static bool may_lower(
	struct folder *folder, const struct dictmap_bucket_listing *listing, uint64_t now_ns)
{
	if (folder->is_busy || listing->written_us == 0)
		return false;
	if (lab_defect(BUCKETS_LOWERED_AT_ONCE))
		return true;
	if (folder->empty_us == listing->written_us &&
		listing->asked_ns >= folder->empty_at_ns + SETTLED)
		return true;
	if (folder->empty_us != listing->written_us) {
		folder->empty_us = listing->written_us;
		folder->empty_at_ns = now_ns;
	}
	return false;
}

uint32_t dictmap_bucket_lower(
	struct dictmap_fs *fs, struct lab_view guid, const struct dictmap_bucket_listing *listing)
{
	struct env *env = fs->fs.settings.env;
	struct lab_error err = { .code = LAB_OK };
	struct folder *folder;
	int result;

	/* Before anything is kept of the folder: a file that is no good clears all. */
	cache_open(fs);
	folder = folder_add(fs, guid);
	if (folder == NULL || !may_lower(folder, listing, env_now(env)))
		return listing->max_bucket;
	folder->is_busy = true;
	result = max_bucket_write(fs, guid, listing->last_used, listing->written_us + 1, &err);
	/* If it comes late, nobody looks after it: with the same timestamp it then loses. */
	if (result < 0 && err.code == LAB_UNCERTAIN)
		(void)max_bucket_write(
			fs, guid, listing->max_bucket, listing->written_us + 1, NULL);
	folder->is_busy = false;
	folder->empty_us = 0;
	/* Lowered or not: the next save looks first. */
	folder->is_known = false;
	folder->leased_until_ns = 0;
	env_cond_broadcast(env, &folder->idle);
	ENV_EVENT(env, LAB_EV_fs_dictmap_max_bucket_changed, LAB_F_TEXT("mailbox_guid", guid),
		LAB_F_U64("old_max_bucket", listing->max_bucket),
		LAB_F_U64("max_bucket", listing->last_used), LAB_F_CSTR("reason", "iter"),
		LAB_F_CSTR("error", result < 0 ? err.message : ""));
	if (result < 0)
		return listing->max_bucket;
	LAB_MARK(max_bucket_lowered);
	return listing->last_used;
}

int dictmap_bucket_give_back(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket, struct lab_error *err)
{
	struct dictmap_max_bucket found;

	if (dictmap_bucket_max(fs, guid, &found, err) < 0)
		return -1;
	return found.bucket >= bucket ? 0
				      : dictmap_bucket_raise(fs, guid, bucket, &found, "iter", err);
}

/* ---- counters ---- */

static void folder_set(
	struct dictmap_fs *fs, struct folder *folder, uint32_t max_bucket, uint64_t live)
{
	if (folder->max_bucket != max_bucket) {
		deleted_clear(fs, folder);
		folder->leased_until_ns = 0;
	}
	folder->is_known = true;
	folder->max_bucket = max_bucket;
	folder->live = live;
}

static bool is_full(struct dictmap_fs *fs, const struct folder *folder)
{
	if (lab_defect(BUCKET_NEVER_FULL))
		return false;
	return folder->live + young_tombstones(fs, folder) >= fs->conf.bucket_size;
}

/* Counts a bucket by listing it. */
static int folder_count(struct dictmap_fs *fs, struct lab_view guid, struct folder *folder,
	uint32_t bucket, struct lab_error *err)
{
	struct dict_iterate_options options = { .no_value = true, .max_rows = DICTMAP_ROWS_MAX };
	struct dictmap_path path = { .kind = DICTMAP_MAIL, .guid = guid };
	struct lab_arena *arena = lab_arena_new(heap_of(fs), (size_t)DICTMAP_ROWS_MAX * 512);
	struct dict_row *rows;
	size_t count = 0;
	int result = dict_iterate(fs->dict, dictmap_key_forward(fs, &path, bucket, arena), &options,
		arena, &rows, &count, err);

	lab_arena_free(&arena);
	if (result < 0)
		return lab_error_wrap(err, "count bucket %" PRIu32, bucket);
	folder_set(fs, folder, bucket, count);
	return 0;
}

/* Another host may have raised max_bucket, or lowered it: then its last bucket is ours, too. To
 * write less than what is there would hide buckets, and rows above it are not seen. */
static int folder_adopt(struct dictmap_fs *fs, struct lab_view guid, struct folder *folder,
	uint32_t max_bucket, struct lab_error *err)
{
	folder->was_lowered |= folder->is_known && max_bucket < folder->max_bucket;
	return folder_count(fs, guid, folder, max_bucket, err);
}

/* Stamped by the clock alone it counts for nothing if what is there is ahead of that. */
static int check_raised(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket, struct lab_error *err)
{
	struct dictmap_max_bucket found;

	if (dictmap_bucket_max(fs, guid, &found, err) < 0)
		return -1;
	if (found.bucket >= bucket)
		return 0;
	(void)lab_fail(err, LAB_UNAVAILABLE, "max_bucket stays %" PRIu32, found.bucket);
	err->retryable = true;
	return -1;
}

/* The last bucket is full. */
static int folder_raise(struct dictmap_fs *fs, struct lab_view guid, struct folder *folder,
	struct dictmap_max_bucket *found, uint64_t asked_ns, struct lab_error *err)
{
	uint32_t next = folder->max_bucket + 1;
	bool is_blind = found->written_us == 0 && folder->max_bucket > 0;

	if (dictmap_bucket_raise(fs, guid, next, found, "file", err) < 0 ||
		(is_blind && check_raised(fs, guid, next, err) < 0))
		return -1;
	if (folder->was_lowered && folder_count(fs, guid, folder, next, err) < 0)
		return -1;
	if (!folder->was_lowered)
		folder_set(fs, folder, next, 0);
	/* Written just now, so also without its time nobody lowers it before that. */
	folder->is_unleased = false;
	folder->leased_until_ns = asked_ns + LEASE;
	return 0;
}

/* The last bucket is full, or not known, or not known to be the last one any more. */
static int folder_advance(
	struct dictmap_fs *fs, struct lab_view guid, struct folder *folder, struct lab_error *err)
{
	uint64_t asked_ns = env_now(fs->fs.settings.env);
	struct dictmap_max_bucket found;

	if (dictmap_bucket_max(fs, guid, &found, err) < 0)
		return -1;
	if ((!folder->is_known || found.bucket != folder->max_bucket) &&
		folder_adopt(fs, guid, folder, found.bucket, err) < 0)
		return -1;
	return is_full(fs, folder)
		       ? folder_raise(fs, guid, folder, &found, asked_ns, err)
		       : folder_lease(fs, guid, folder, found.written_us, asked_ns, err);
}

void dictmap_bucket_counted(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t max_bucket, uint64_t rows)
{
	struct folder *folder;

	if (fs->conf.bucket_size == 0)
		return;
	cache_open(fs);
	folder = folder_add(fs, guid);
	if (folder != NULL && !folder->is_busy)
		folder_set(fs, folder, max_bucket, rows);
}

int dictmap_bucket_reserve(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t *ret, struct lab_error *err)
{
	struct env *env = fs->fs.settings.env;
	struct folder *folder;
	int result = 0;

	*ret = 0;
	if (fs->conf.bucket_size == 0)
		return 0;
	cache_open(fs);
	folder = folder_add(fs, guid);
	if (folder == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d folders", FOLDERS_MAX);
	while (folder->is_busy || !folder->is_known || is_full(fs, folder) ||
		!is_leased(fs, folder)) {
		if (folder->is_busy) {
			(void)env_cond_wait(env, &folder->idle, ENV_FOREVER);
			continue;
		}
		folder->is_busy = true;
		result = folder_advance(fs, guid, folder, err);
		folder->is_busy = false;
		env_cond_broadcast(env, &folder->idle);
		if (result < 0)
			return -1;
	}
	folder->live++;
	*ret = folder->max_bucket;
	return 0;
}

void dictmap_bucket_release(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket)
{
	struct folder *folder = folder_find(fs, guid);

	if (folder != NULL && folder->max_bucket == bucket && folder->live > 0)
		folder->live--;
}

void dictmap_bucket_deleted(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket)
{
	struct folder *folder;

	if (fs->conf.bucket_size == 0)
		return;
	cache_open(fs);
	folder = folder_find(fs, guid);
	if (folder == NULL || folder->max_bucket != bucket)
		return;
	if (folder->live > 0)
		folder->live--;
	deleted_add(fs, folder, today(fs), 1);
}
