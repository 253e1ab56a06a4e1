/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-fts-cache.c - fts-cache:<parent>: keeps the newest FTS triplet in the metacache until it is
 * flushed (obox 1.3, 6.1).
 *
 * What is written with FS_METADATA_NEWEST goes to "<home>/fts/", and is read, listed and deleted
 * there, until it is written again without; everything else is the parent's. Files are not synced.
 * A stack that ends cleanly leaves a marker; where there is none, what was there may be torn, and
 * is removed. If that disk fails, objects go to the parent at once.
 */
#include "core/fs/fs-api-private.h"

#include "core/conf/fs-uri.h"

#include <stdio.h>

#define LOCAL_FILES_MAX 10000
#define LOCAL_NAME_MAX 64
#define MARKER ".clean"
#define DIR_MAX (ENV_PATH_MAX - LOCAL_NAME_MAX - 8)

struct fts_cache_fs {
	struct fs fs;
	char dir[DIR_MAX]; /* empty: there is no metacache */
	bool is_ready;
};

static struct fts_cache_fs *cache_of(struct fs *fs)
{
	return (struct fts_cache_fs *)fs;
}

/* ---- the directory ---- */

static bool local_path(struct fts_cache_fs *cache, struct lab_view name, char path[ENV_PATH_MAX])
{
	int n;

	if (cache->dir[0] == '\0' || name.len == 0 || name.len > LOCAL_NAME_MAX ||
		name.ptr[0] == '.' || lab_view_find_byte(name, '/') != SIZE_MAX)
		return false;
	n = snprintf(path, ENV_PATH_MAX, "%s/%.*s", cache->dir, LAB_VIEW_ARG(name));
	return n > 0 && n < ENV_PATH_MAX;
}

static void remove_all(struct fts_cache_fs *cache)
{
	struct env *env = cache->fs.settings.env;
	struct lab_arena *arena = lab_arena_new(env->heap, 16u << 20);
	struct lab_view *names;
	struct lab_error ignored;
	size_t count = 0;

	if (env_list(env, cache->dir, LOCAL_FILES_MAX, arena, &names, &count, &ignored) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++)
		(void)env_unlink(env,
			lab_arena_printf(arena, "%s/%.*s", cache->dir, LAB_VIEW_ARG(names[i])),
			&ignored);
	lab_arena_free(&arena);
}

/* At the first use: what a crash may have left is not believed. */
static void get_ready(struct fts_cache_fs *cache)
{
	char marker[ENV_PATH_MAX];
	struct lab_error err;
	int n;

	if (cache->is_ready || cache->dir[0] == '\0')
		return;
	cache->is_ready = true;
	n = snprintf(marker, sizeof(marker), "%s/" MARKER, cache->dir);
	lab_assert(n > 0 && n < (int)sizeof(marker));
	if (env_unlink(cache->fs.settings.env, marker, &err) < 0)
		remove_all(cache);
}

static void fts_cache_deinit(struct fs *fs)
{
	struct fts_cache_fs *cache = cache_of(fs);
	char marker[ENV_PATH_MAX];
	struct lab_error ignored;

	if (cache->is_ready &&
		snprintf(marker, sizeof(marker), "%s/" MARKER, cache->dir) < ENV_PATH_MAX)
		(void)env_file_replace(
			fs->settings.env, marker, LAB_VIEW("clean\n"), true, &ignored);
	fs_wrapper_deinit(fs);
}

static int fts_cache_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct fts_cache_fs *cache;
	struct lab_view parent;
	int n = 0;

	(void)driver;
	if (fs_uri_plain_wrapper(args, &parent, err) < 0)
		return -1;
	cache = lab_new(settings->env->heap, struct fts_cache_fs);
	if (settings->root_path != NULL && settings->root_path[0] == '/')
		n = snprintf(cache->dir, sizeof(cache->dir), "%s/fts", settings->root_path);
	if (n >= (int)sizeof(cache->dir))
		cache->dir[0] = '\0';
	if (fs_wrapper_init(&cache->fs, parent, settings, err) < 0) {
		lab_heap_free(settings->env->heap, cache);
		return -1;
	}
	*ret = &cache->fs;
	return 0;
}

/* ---- files ---- */

static void fts_cache_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	if (strcmp(key, FS_METADATA_NEWEST) == 0)
		fs_file_metadata_store(file, key, value);
	else
		fs_wrapper_set_metadata(file, key, value);
}

/* Where the file is, if it is here. */
static bool is_local(struct fs_file *file, char path[ENV_PATH_MAX])
{
	struct fts_cache_fs *cache = cache_of(file->fs);
	struct env_stat stat;

	get_ready(cache);
	return local_path(cache, file->path, path) &&
	       env_stat(file->fs->settings.env, path, &stat, NULL) == 0;
}

static int fts_cache_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	if (is_local(file, path) &&
		env_file_load(file->fs->settings.env, path, max_bytes, arena, ret, err) == 0)
		return 0;
	return fs_wrapper_read(file, arena, max_bytes, ret, err);
}

static int fts_cache_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct fts_cache_fs *cache = cache_of(file->fs);
	struct env *env = file->fs->settings.env;
	char path[ENV_PATH_MAX];
	struct lab_error own;
	bool has_path;

	get_ready(cache);
	has_path = local_path(cache, file->path, path);
	if (has_path && fs_file_metadata(file, FS_METADATA_NEWEST).ptr != NULL &&
		env_file_replace(env, path, contents, false, &own) == 0)
		return 0;
	if (fs_wrapper_write(file, contents, err) < 0)
		return -1;
	if (has_path)
		(void)env_unlink(env, path, &own);
	return 0;
}

static int fts_cache_exists(struct fs_file *file, struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	return is_local(file, path) ? 1 : fs_wrapper_exists(file, err);
}

static int fts_cache_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct fts_cache_fs *cache = cache_of(file->fs);
	char path[ENV_PATH_MAX];
	struct env_stat stat;

	get_ready(cache);
	if (!local_path(cache, file->path, path) ||
		env_stat(file->fs->settings.env, path, &stat, NULL) < 0)
		return fs_wrapper_stat(file, ret_size, err);
	*ret_size = stat.size;
	return 0;
}

static int fts_cache_delete(struct fs_file *file, struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	if (is_local(file, path))
		return env_unlink(file->fs->settings.env, path, err);
	return fs_wrapper_delete(file, err);
}

static void delete_local(struct fs_file **files, size_t count, struct lab_error *results,
	struct fs_file **ret_rest, size_t *ret_rest_count)
{
	for (size_t i = 0; i < count; i++) {
		char path[ENV_PATH_MAX];

		results[i].code = LAB_OK;
		if (!is_local(files[i], path))
			ret_rest[(*ret_rest_count)++] = files[i];
		else if (env_unlink(files[i]->fs->settings.env, path, &results[i]) == 0)
			results[i].code = LAB_OK;
	}
}

static int fts_cache_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct lab_heap *heap = files[0]->fs->settings.env->heap;
	struct fs_file **rest = lab_new_array(heap, struct fs_file *, count);
	struct lab_error *rest_results = lab_new_array(heap, struct lab_error, count), ignored;
	size_t rest_count = 0, n = 0;

	delete_local(files, count, results, rest, &rest_count);
	if (rest_count > 0)
		(void)fs_wrapper_delete_many(rest, rest_count, rest_results, &ignored);
	for (size_t i = 0; i < count && n < rest_count; i++) {
		if (files[i] == rest[n])
			results[i] = rest_results[n++];
	}
	lab_heap_free(heap, rest_results);
	lab_heap_free(heap, rest);
	return fs_first_failure(results, count, err);
}

/* ---- listing ---- */

static int list_local(struct fts_cache_fs *cache, uint32_t flags, struct lab_arena *arena,
	struct lab_view **ret, size_t *ret_count, struct lab_error *err)
{
	size_t kept = 0;

	*ret_count = 0;
	get_ready(cache);
	if (cache->dir[0] == '\0' || (flags & FS_ITER_DIRS) != 0)
		return 0;
	if (env_list(cache->fs.settings.env, cache->dir, LOCAL_FILES_MAX, arena, ret, ret_count,
		    err) < 0)
		return -1;
	for (size_t i = 0; i < *ret_count; i++) {
		struct lab_view name = (*ret)[i];

		if (name.ptr[0] == '.' || lab_view_ends_with(name, LAB_VIEW(".tmp")))
			continue;
		if ((flags & FS_ITER_OBJECTIDS) != 0)
			name = lab_view_cstr(lab_arena_printf(arena, "/%.*s", LAB_VIEW_ARG(name)));
		(*ret)[kept++] = name;
	}
	*ret_count = kept;
	return 0;
}

static int fts_cache_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct lab_view *local = NULL, *stored, *all;
	size_t local_count = 0, stored_count;

	if (fs_wrapper_iter(fs, path, flags, max_entries, arena, &stored, &stored_count, err) < 0)
		return -1;
	if (path.len == 0 && list_local(cache_of(fs), flags, arena, &local, &local_count, err) < 0)
		return -1;
	if (local_count == 0) {
		*ret_names = stored;
		*ret_count = stored_count;
		return 0;
	}
	if (local_count + stored_count > max_entries)
		return lab_fail(err, LAB_LIMIT, "more than %zu names", max_entries);
	all = lab_arena_array(arena, struct lab_view, local_count + stored_count);
	memcpy(all, local, local_count * sizeof(*all));
	if (stored_count > 0)
		memcpy(all + local_count, stored, stored_count * sizeof(*all));
	*ret_names = all;
	*ret_count = local_count + stored_count;
	return 0;
}

const struct fs_driver fs_driver_fts_cache = {
	.name = "fts-cache",
	.init = fts_cache_init,
	.deinit = fts_cache_deinit,
	.properties = fs_wrapper_properties,
	.set_reason = fs_wrapper_set_reason,
	.file_open = fs_wrapper_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = fts_cache_set_metadata,
	.get_metadata = fs_wrapper_get_metadata,
	.read = fts_cache_read,
	.write = fts_cache_write,
	.exists = fts_cache_exists,
	.stat = fts_cache_stat,
	.get_nlinks = fs_wrapper_get_nlinks,
	.copy = fs_wrapper_copy,
	.rename = fs_wrapper_rename,
	.delete_file = fts_cache_delete,
	.delete_many = fts_cache_delete_many,
	.iter = fts_cache_iter,
};
