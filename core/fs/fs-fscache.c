/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-fscache.c - fscache:<size>:<dir>:<parent>: whole objects on the local disk (obox 1.10).
 *
 * A cached object is a file named after its object id, so a name never changes its contents. Files
 * are not synced: each carries its length and a hash, and one that a crash has torn counts as not
 * there. What is in a directory is known from a scan at its first use and counted from then on; the
 * one used longest ago goes first. The size is advisory, as in Dovecot: parallel writes may
 * overshoot it, and one object may be larger than the whole cache. Errors of the cache's own disk
 * are logged and never the caller's.
 */
#include "core/fs/fs-api-private.h"
#include "core/base/defect.h"
#include "core/fs/fscache.h"

#include "core/conf/fs-uri.h"
#include "core/env/buggify.h"

#include <stdio.h>

#define ENTRIES_MAX 1000000
#define HEADER_BYTES 24
#define HEADER_MAGIC "oboxfsc1"
#define HASH_SEED UINT64_C(0x6673636163686531)
#define CUT_KEY_LEN 4
#define NAME_MAX_LEN 80
#define DIR_MAX_LEN (ENV_PATH_MAX - NAME_MAX_LEN - 8)

struct cache_entry {
	struct cache_entry *newer, *older;
	uint64_t size;
	uint64_t added; /* which addition to the directory it was */
	char name[NAME_MAX_LEN];
};

struct cache_dir {
	struct env *env;
	char *path;
	struct lab_map *entries;
	struct cache_entry *newest, *oldest;
	uint64_t used_bytes, additions;
	struct env_cond scan_cond;
	enum {
		CACHE_NOT_SCANNED,
		CACHE_SCANNING,
		CACHE_SCANNED
	} state;
};

struct fscache_fs {
	struct fs fs;
	struct cache_dir *dir;
	uint64_t size_bytes;
};

/* ---- the directory ---- */

static void *cache_dir_create(struct env *env, struct lab_view key)
{
	struct cache_dir *dir = lab_new(env->heap, struct cache_dir);
	struct lab_view path = lab_view_skip(key, sizeof("fscache:") - 1);

	dir->env = env;
	dir->path = lab_heap_alloc(env->heap, path.len + 1);
	memcpy(dir->path, path.ptr, path.len);
	dir->entries = lab_map_new(env->heap, ENTRIES_MAX);
	return dir;
}

static void cache_dir_destroy(struct env *env, void *state)
{
	struct cache_dir *dir = state;

	while (dir->newest != NULL) {
		struct cache_entry *e = dir->newest;

		dir->newest = e->older;
		lab_heap_free(env->heap, e);
	}
	lab_map_free(&dir->entries);
	lab_heap_free(env->heap, dir->path);
	lab_heap_free(env->heap, dir);
}

static void entry_unlink(struct cache_dir *dir, struct cache_entry *e)
{
	*(e->newer != NULL ? &e->newer->older : &dir->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &dir->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void entry_link(struct cache_dir *dir, struct cache_entry *e)
{
	e->older = dir->newest;
	e->newer = NULL;
	*(dir->newest != NULL ? &dir->newest->newer : &dir->oldest) = e;
	dir->newest = e;
}

static void entry_add(struct cache_dir *dir, struct lab_view name, uint64_t size)
{
	void **slot = lab_map_slot(dir->entries, name);
	struct cache_entry *e;

	if (slot == NULL)
		return;
	e = *slot;
	if (e != NULL) {
		dir->used_bytes -= e->size;
		entry_unlink(dir, e);
	} else {
		e = *slot = lab_new(dir->env->heap, struct cache_entry);
		lab_assert(lab_view_to_cstr(name, e->name, sizeof(e->name)) == 0);
	}
	e->size = size;
	e->added = ++dir->additions;
	dir->used_bytes += size;
	entry_link(dir, e);
}

static void entry_forget(struct cache_dir *dir, struct lab_view name)
{
	struct cache_entry *e = lab_map_remove(dir->entries, name);

	if (e == NULL)
		return;
	dir->used_bytes -= e->size;
	entry_unlink(dir, e);
	lab_heap_free(dir->env->heap, e);
}

static void entry_path(const struct cache_dir *dir, const char *name, char out[ENV_PATH_MAX])
{
	int n = snprintf(out, ENV_PATH_MAX, "%s/%s", dir->path, name);

	lab_assert(n > 0 && n < ENV_PATH_MAX);
}

static void cache_log(struct cache_dir *dir, const char *what, const struct lab_error *err)
{
	ENV_EVENT(dir->env, LAB_EV_log_message, LAB_F_CSTR("area", "fscache"),
		LAB_F_CSTR("message", what), LAB_F_CSTR("error", err->message));
}

static void entry_remove(struct cache_dir *dir, const char *name)
{
	char path[ENV_PATH_MAX];
	struct lab_error err;

	entry_path(dir, name, path);
	if (env_unlink(dir->env, path, &err) < 0 && err.code != LAB_NOT_FOUND)
		cache_log(dir, "cannot remove", &err);
	entry_forget(dir, lab_view_cstr(name));
}

static void scan_names(struct cache_dir *dir, const struct lab_view *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[NAME_MAX_LEN], path[ENV_PATH_MAX];
		struct env_stat st;

		if (lab_view_to_cstr(names[i], name, sizeof(name)) < 0)
			continue;
		entry_path(dir, name, path);
		if (env_stat(dir->env, path, &st, NULL) < 0 || st.is_directory)
			continue;
		if (lab_view_ends_with(names[i], LAB_VIEW(".tmp")))
			(void)env_unlink(dir->env, path, NULL);
		else
			entry_add(dir, names[i], st.size);
	}
}

/* Once for a directory and process. */
static void cache_scan(struct cache_dir *dir)
{
	struct lab_arena *arena;
	struct lab_view *names;
	struct lab_error err;
	size_t count = 0;

	while (dir->state == CACHE_SCANNING)
		(void)env_cond_wait(dir->env, &dir->scan_cond, ENV_FOREVER);
	if (dir->state == CACHE_SCANNED)
		return;
	dir->state = CACHE_SCANNING;
	arena = lab_arena_new(dir->env->heap, (size_t)ENTRIES_MAX * 128);
	if (env_list(dir->env, dir->path, ENTRIES_MAX, arena, &names, &count, &err) < 0)
		cache_log(dir, "cannot scan", &err);
	else
		scan_names(dir, names, count);
	lab_arena_free(&arena);
	dir->state = CACHE_SCANNED;
	env_cond_broadcast(dir->env, &dir->scan_cond);
}

/* ---- the same again, while it is used ---- */

/* The entry if it is still the one that was looked for. */
static struct cache_entry *entry_find(
	const struct cache_dir *dir, struct lab_view name, uint64_t added)
{
	struct cache_entry *e = lab_map_get(dir->entries, name);

	return e != NULL && e->added == added ? e : NULL;
}

/* What is counted, and is not there, or of another size. */
static void rescan_entries(struct cache_dir *dir, struct lab_arena *arena)
{
	size_t count = 0, max = lab_map_count(dir->entries);
	struct lab_view *names = lab_arena_array(arena, struct lab_view, max);

	for (const struct cache_entry *e = dir->newest; e != NULL; e = e->older)
		names[count++] = lab_arena_copy(arena, lab_view_cstr(e->name));
	for (size_t i = 0; i < count; i++) {
		struct cache_entry *e = lab_map_get(dir->entries, names[i]);
		uint64_t added = e == NULL ? 0 : e->added;
		char path[ENV_PATH_MAX];
		struct env_stat st;
		struct lab_error err;
		int result;

		if (e == NULL)
			continue;
		entry_path(dir, e->name, path);
		result = env_stat(dir->env, path, &st, &err);
		e = entry_find(dir, names[i], added);
		if (e == NULL)
			continue;
		if (result == 0) {
			dir->used_bytes += st.size - e->size;
			e->size = st.size;
		} else if (err.code == LAB_NOT_FOUND) {
			entry_forget(dir, names[i]);
		}
	}
}

/* What is there, and is not counted. Temporary files are somebody's who writes just now. */
static void rescan_names(struct cache_dir *dir, const struct lab_view *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[NAME_MAX_LEN], path[ENV_PATH_MAX];
		struct env_stat st;

		if (lab_view_ends_with(names[i], LAB_VIEW(".tmp")) ||
			lab_view_to_cstr(names[i], name, sizeof(name)) < 0 ||
			lab_map_get(dir->entries, names[i]) != NULL)
			continue;
		entry_path(dir, name, path);
		if (env_stat(dir->env, path, &st, NULL) == 0 && !st.is_directory &&
			lab_map_get(dir->entries, names[i]) == NULL)
			entry_add(dir, names[i], st.size);
	}
}

/* A directory that nobody here has used is only looked at: it may be somebody else's, and the first
 * user removes what a crash left half written. */
static void look_at(const struct cache_dir *dir, const struct lab_view *names, size_t count,
	struct fscache_scan *ret)
{
	for (size_t i = 0; i < count; i++) {
		char name[NAME_MAX_LEN], path[ENV_PATH_MAX];
		struct env_stat st;

		if (lab_view_ends_with(names[i], LAB_VIEW(".tmp")) ||
			lab_view_to_cstr(names[i], name, sizeof(name)) < 0)
			continue;
		entry_path(dir, name, path);
		if (env_stat(dir->env, path, &st, NULL) < 0 || st.is_directory)
			continue;
		ret->after += st.size;
		ret->files++;
	}
}

static int cache_rescan(struct cache_dir *dir, struct fscache_scan *ret, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(dir->env->heap, (size_t)ENTRIES_MAX * 256);
	struct lab_view *names;
	size_t count = 0;
	int result = env_list(dir->env, dir->path, ENTRIES_MAX, arena, &names, &count, err);

	while (dir->state == CACHE_SCANNING)
		(void)env_cond_wait(dir->env, &dir->scan_cond, ENV_FOREVER);
	ret->is_counted = dir->state == CACHE_SCANNED;
	ret->before = dir->used_bytes;
	if (result == 0 && ret->is_counted) {
		rescan_names(dir, names, count);
		rescan_entries(dir, arena);
		ret->after = dir->used_bytes;
		ret->files = lab_map_count(dir->entries);
	} else if (result == 0) {
		look_at(dir, names, count, ret);
	}
	lab_arena_free(&arena);
	return result;
}

static void cache_make_room(struct fscache_fs *fs, uint64_t bytes)
{
	struct cache_dir *dir = fs->dir;

	if (lab_defect(CACHE_NEVER_CLEANED))
		return;
	while (dir->oldest != NULL && (dir->used_bytes + bytes > fs->size_bytes ||
					      lab_map_count(dir->entries) >= ENTRIES_MAX)) {
		char name[NAME_MAX_LEN];

		memcpy(name, dir->oldest->name, sizeof(name));
		entry_remove(dir, name);
	}
}

/* ---- one cached object ---- */

static void put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void make_header(uint8_t header[HEADER_BYTES], struct lab_view contents)
{
	memcpy(header, HEADER_MAGIC, 8);
	put_u64(header + 8, contents.len);
	put_u64(header + 16, lab_hash_view(HASH_SEED, contents));
}

static void cache_put(struct fscache_fs *fs, const char *name, struct lab_view contents)
{
	char path[ENV_PATH_MAX];
	uint8_t header[HEADER_BYTES];
	struct lab_error err;
	struct lab_buf file;

	cache_scan(fs->dir);
	cache_make_room(fs, contents.len + HEADER_BYTES);
	entry_path(fs->dir, name, path);
	make_header(header, contents);
	lab_buf_init(&file, fs->dir->env->heap, contents.len + HEADER_BYTES);
	lab_buf_append(&file, header, sizeof(header));
	lab_buf_append_view(&file, contents);
	if (env_file_replace(fs->dir->env, path, lab_buf_view(&file), false, &err) == 0)
		entry_add(fs->dir, lab_view_cstr(name), file.len);
	else
		cache_log(fs->dir, "cannot write", &err);
	lab_buf_done(&file);
}

static bool header_matches(struct lab_view file, struct lab_view *ret_contents)
{
	uint8_t header[HEADER_BYTES];

	if (file.len < HEADER_BYTES)
		return false;
	*ret_contents = lab_view_skip(file, HEADER_BYTES);
	make_header(header, *ret_contents);
	if (lab_defect(CACHE_NOT_CHECKED))
		return true;
	return memcmp(file.ptr, header, HEADER_BYTES) == 0;
}

static bool cache_get(struct fscache_fs *fs, const char *name, size_t max_bytes,
	struct lab_arena *arena, struct lab_view *ret)
{
	struct cache_entry *e;
	char path[ENV_PATH_MAX];
	struct lab_view file;

	cache_scan(fs->dir);
	e = lab_map_get(fs->dir->entries, lab_view_cstr(name));
	if (e == NULL || ENV_BUGGIFY(fs->dir->env, fscache_miss) || lab_defect(CACHE_NEVER_HIT))
		return false;
	entry_path(fs->dir, name, path);
	entry_unlink(fs->dir, e);
	entry_link(fs->dir, e);
	if (env_file_load(fs->dir->env, path, max_bytes + HEADER_BYTES, arena, &file, NULL) == 0 &&
		header_matches(file, ret))
		return true;
	entry_remove(fs->dir, name);
	return false;
}

/* ---- the driver ---- */

/* Cuts slashes at the end: "/cache" and "/cache/" are one directory. */
static int check_dir(struct lab_view *dir, struct lab_error *err)
{
	while (dir->len > 1 && dir->ptr[dir->len - 1] == '/')
		dir->len--;
	if (dir->len == 0 || dir->ptr[0] != '/')
		return lab_fail(
			err, LAB_INVALID, "%.*s is not an absolute path", LAB_VIEW_ARG(*dir));
	if (dir->len > DIR_MAX_LEN)
		return lab_fail(err, LAB_INVALID, "cache directory has %zu bytes, more than %d",
			dir->len, DIR_MAX_LEN);
	return 0;
}

static struct cache_dir *shared_dir(struct fs_shared *shared, struct env *env, struct lab_view path)
{
	struct cache_dir *dir;
	struct lab_buf key;

	lab_buf_init(&key, env->heap, ENV_PATH_MAX + 16);
	lab_buf_printf(&key, "fscache:%.*s", LAB_VIEW_ARG(path));
	dir = fs_shared_get(shared, lab_buf_view(&key), cache_dir_create, cache_dir_destroy);
	lab_buf_done(&key);
	return dir;
}

int fscache_rescan(struct fs_shared *shared, struct env *env, struct lab_view directory,
	struct fscache_scan *ret, struct lab_error *err)
{
	char path[ENV_PATH_MAX];
	struct cache_dir *dir;
	struct env_stat st;

	*ret = (struct fscache_scan){ 0 };
	if (check_dir(&directory, err) < 0)
		return -1;
	lab_assert(lab_view_to_cstr(directory, path, sizeof(path)) == 0);
	if (env_stat(env, path, &st, err) < 0)
		return lab_error_wrap(err, "fscache %s", path);
	if (!st.is_directory)
		return lab_fail(err, LAB_INVALID, "fscache %s is no directory", path);
	dir = shared_dir(shared, env, directory);
	if (cache_rescan(dir, ret, err) < 0)
		return lab_error_wrap(err, "fscache %s", path);
	return 0;
}

static int fscache_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct lab_heap *heap = settings->env->heap;
	struct fs_uri_fscache parsed;
	struct fscache_fs *fs;

	(void)driver;
	if (fs_uri_fscache(args, &parsed, err) < 0 || check_dir(&parsed.dir, err) < 0)
		return -1;
	fs = lab_new(heap, struct fscache_fs);
	fs->size_bytes = parsed.size_bytes;
	if (fs_wrapper_init(&fs->fs, parsed.parent, settings, err) < 0) {
		lab_heap_free(heap, fs);
		return -1;
	}
	fs->dir = shared_dir(settings->services->shared, settings->env, parsed.dir);
	*ret = &fs->fs;
	return 0;
}

/* The name of the cached copy: the object id. 1, 0 if the object has none, -1. */
static int cache_name(struct fs_file *file, char out[NAME_MAX_LEN], struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(file->fs->settings.env->heap, 65536);
	struct lab_view oid;
	int found = fs_get_metadata(file->parent, FS_METADATA_OBJECTID, arena, &oid, err);

	/* Temporary files are told by their end, directories would need more care. */
	if (found > 0 && (oid.len == 0 || lab_view_find_byte(oid, '/') != SIZE_MAX ||
				 lab_view_find_byte(oid, '.') != SIZE_MAX ||
				 lab_view_to_cstr(oid, out, NAME_MAX_LEN) < 0))
		found = 0;
	if (found > 0 && lab_defect(CACHE_KEY_CUT))
		out[LAB_MIN(oid.len, (size_t)CUT_KEY_LEN)] = '\0';
	lab_arena_free(&arena);
	return found;
}

static int fscache_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct fscache_fs *fs = (struct fscache_fs *)file->fs;
	char name[NAME_MAX_LEN];
	int has_name = cache_name(file, name, err);

	/* What hinders the lookup of the id would hinder the read. */
	if (has_name < 0)
		return -1;
	if (has_name > 0 && cache_get(fs, name, max_bytes, arena, ret))
		return 0;
	if (fs_read(file->parent, arena, max_bytes, ret, err) < 0)
		return -1;
	if (has_name > 0)
		cache_put(fs, name, *ret);
	return 0;
}

static int fscache_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	char name[NAME_MAX_LEN];

	if (fs_wrapper_write(file, contents, err) < 0)
		return -1;
	if (cache_name(file, name, NULL) > 0)
		cache_put((struct fscache_fs *)file->fs, name, contents);
	return 0;
}

/* Another name may still refer to the object, so the copy stays until it is the oldest: names are
 * never given to other contents. */

const struct fs_driver fs_driver_fscache = {
	.name = "fscache",
	.init = fscache_init,
	.deinit = fs_wrapper_deinit,
	.properties = fs_wrapper_properties,
	.set_reason = fs_wrapper_set_reason,
	.file_open = fs_wrapper_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = fs_wrapper_set_metadata,
	.get_metadata = fs_wrapper_get_metadata,
	.read = fscache_read,
	.write = fscache_write,
	.exists = fs_wrapper_exists,
	.stat = fs_wrapper_stat,
	.get_nlinks = fs_wrapper_get_nlinks,
	.copy = fs_wrapper_copy,
	.rename = fs_wrapper_rename,
	.delete_file = fs_wrapper_delete,
	.delete_many = fs_wrapper_delete_many,
	.iter = fs_wrapper_iter,
};
