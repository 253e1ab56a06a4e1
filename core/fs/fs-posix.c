/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-posix.c - posix:[lock=..:prefix=..:mode=..:dirs:no-fsync:accurate-mtime] (obox 1.3): objects
 * as files below a prefix. No metadata and no object ids, as in Dovecot. mode and lock are checked
 * and have no effect: a host's disk has one owner.
 */
#include "core/fs/fs-api-private.h"

#include "core/conf/fs-uri.h"

#include <stdio.h>

struct posix_fs {
	struct fs fs;
	struct lab_view args; /* own copy; `conf` borrows from it */
	struct fs_uri_posix conf;
};

static int posix_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct posix_fs *fs = lab_new(settings->env->heap, struct posix_fs);
	uint8_t *copy = lab_heap_alloc(settings->env->heap, args.len + 1);

	(void)driver;
	if (args.len > 0)
		memcpy(copy, args.ptr, args.len);
	fs->args = lab_view_of(copy, args.len);
	if (fs_uri_posix(fs->args, &fs->conf, err) < 0) {
		lab_heap_free(settings->env->heap, copy);
		lab_heap_free(settings->env->heap, fs);
		return -1;
	}
	*ret = &fs->fs;
	return 0;
}

static void posix_deinit(struct fs *fs)
{
	struct lab_heap *heap = fs->settings.env->heap;

	lab_heap_free(heap, (void *)(uintptr_t)((struct posix_fs *)fs)->args.ptr);
	lab_heap_free(heap, fs);
}

static uint32_t posix_properties(struct fs *fs)
{
	(void)fs;
	return FS_PROPERTY_RENAME | FS_PROPERTY_STAT | FS_PROPERTY_ITER | FS_PROPERTY_RELIABLEITER |
	       FS_PROPERTY_DIRECTORIES;
}

static void posix_set_reason(struct fs *fs, const char *reason)
{
	(void)fs;
	(void)reason;
}

static struct fs_file *posix_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	(void)path;
	(void)mode;
	return lab_new(fs->settings.env->heap, struct fs_file);
}

/* The path on disk, in `out`; env.h refuses what is not absolute or has ".." in it. */
static int real_path(
	struct fs *base, struct lab_view path, char out[ENV_PATH_MAX], struct lab_error *err)
{
	struct posix_fs *fs = (struct posix_fs *)base;
	int n = snprintf(
		out, ENV_PATH_MAX, "%.*s%.*s", LAB_VIEW_ARG(fs->conf.prefix), LAB_VIEW_ARG(path));

	if (lab_view_find_byte(path, '\0') != SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "posix: path has a NUL byte");
	if (n >= ENV_PATH_MAX)
		return lab_fail(
			err, LAB_INVALID, "posix: path is longer than %d", ENV_PATH_MAX - 1);
	while (n > 1 && out[n - 1] == '/')
		out[--n] = '\0';
	return 0;
}

static int posix_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view known = fs_file_metadata(file, key);

	(void)err;
	if (known.ptr == NULL)
		return 0;
	*ret = lab_arena_copy(arena, known);
	return 1;
}

static int posix_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	if (real_path(file->fs, file->path, path, err) < 0)
		return -1;
	return env_file_load(file->fs->settings.env, path, max_bytes, arena, ret, err);
}

static int unique_name(struct fs_file *file, struct lab_error *err)
{
	struct env *env = file->fs->settings.env;
	uint8_t guid[ENV_GUID128_SIZE];
	char name[2 * ENV_GUID128_SIZE + 1], path[ENV_PATH_MAX];
	int n;

	env_guid128_generate(env, guid);
	lab_hex(guid, sizeof(guid), name);
	n = snprintf(path, sizeof(path), "%.*s%s%s", LAB_VIEW_ARG(file->path),
		lab_view_ends_with(file->path, LAB_VIEW("/")) ? "" : "/", name);
	if (n >= (int)sizeof(path))
		return lab_fail(
			err, LAB_INVALID, "posix: path is longer than %d", ENV_PATH_MAX - 1);
	fs_file_set_path(file, lab_view_cstr(path));
	return 0;
}

static int posix_exists(struct fs_file *file, struct lab_error *err)
{
	char path[ENV_PATH_MAX];
	struct env_stat st;

	if (real_path(file->fs, file->path, path, err) < 0)
		return -1;
	if (env_stat(file->fs->settings.env, path, &st, err) == 0)
		return 1;
	return err->code == LAB_NOT_FOUND ? 0 : -1;
}

/* Its name is journalled by now, and durable once the file is synced again. */
static int sync_name(struct env *env, const char *path, struct lab_error *err)
{
	struct env_file *file;
	int result = env_file_open(env, path, ENV_OPEN_READ, &file, err);

	if (result == 0) {
		result = env_file_sync(file, err);
		env_file_close(&file);
	}
	if (result < 0)
		err->code = LAB_UNCERTAIN;
	return result;
}

static int posix_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct posix_fs *fs = (struct posix_fs *)file->fs;
	char path[ENV_PATH_MAX];
	int found = 0;

	if (file->mode == FS_OPEN_CREATE_UNIQUE_128 && unique_name(file, err) < 0)
		return -1;
	if (real_path(file->fs, file->path, path, err) < 0)
		return -1;
	if (file->mode == FS_OPEN_CREATE)
		found = posix_exists(file, err);
	if (found > 0)
		return lab_fail(err, LAB_EXISTS, "posix: %s exists already", path);
	if (found < 0)
		return -1;
	if (env_file_replace(file->fs->settings.env, path, contents, !fs->conf.no_fsync, err) < 0)
		return -1;
	return fs->conf.no_fsync ? 0 : sync_name(file->fs->settings.env, path, err);
}

static int posix_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	char path[ENV_PATH_MAX];
	struct env_stat st;

	if (real_path(file->fs, file->path, path, err) < 0 ||
		env_stat(file->fs->settings.env, path, &st, err) < 0)
		return -1;
	*ret_size = st.size;
	return 0;
}

static int posix_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	(void)file;
	(void)ret;
	return lab_fail(err, LAB_UNSUPPORTED, "posix: there are no reference counts");
}

static int posix_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	size_t max_bytes = 256u * 1024 * 1024;
	struct lab_arena *arena = lab_arena_new(from->fs->settings.env->heap, max_bytes + 65536);
	struct lab_view contents;
	int result = posix_read(from, arena, max_bytes, &contents, err);

	if (result == 0)
		result = posix_write(to, contents, err);
	lab_arena_free(&arena);
	return result;
}

static int posix_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	char from_path[ENV_PATH_MAX], to_path[ENV_PATH_MAX];

	if (real_path(from->fs, from->path, from_path, err) < 0 ||
		real_path(to->fs, to->path, to_path, err) < 0)
		return -1;
	return env_rename(to->fs->settings.env, from_path, to_path, err);
}

static int posix_delete(struct fs_file *file, struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	if (real_path(file->fs, file->path, path, err) < 0)
		return -1;
	return env_unlink(file->fs->settings.env, path, err);
}

static int posix_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	char dir[ENV_PATH_MAX], entry[ENV_PATH_MAX];
	struct lab_view *names;
	size_t count, n = 0;

	if (real_path(fs, path, dir, err) < 0 ||
		env_list(fs->settings.env, dir, max_entries, arena, &names, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct env_stat st;

		/* What a write left behind that did not come to its end. */
		if (lab_view_ends_with(names[i], LAB_VIEW(".tmp")))
			continue;
		if (snprintf(entry, sizeof(entry), "%s/%.*s", dir, LAB_VIEW_ARG(names[i])) >=
				(int)sizeof(entry) ||
			env_stat(fs->settings.env, entry, &st, NULL) < 0)
			continue;
		if (st.is_directory != ((flags & FS_ITER_DIRS) != 0))
			continue;
		/* The object id is not known. */
		names[n++] = (flags & FS_ITER_OBJECTIDS) == 0
				     ? names[i]
				     : lab_view_cstr(lab_arena_printf(
					       arena, "/%.*s", LAB_VIEW_ARG(names[i])));
	}
	*ret_names = names;
	*ret_count = n;
	return 0;
}

const struct fs_driver fs_driver_posix = {
	.name = "posix",
	.init = posix_init,
	.deinit = posix_deinit,
	.properties = posix_properties,
	.set_reason = posix_set_reason,
	.file_open = posix_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = fs_file_metadata_store,
	.get_metadata = posix_get_metadata,
	.read = posix_read,
	.write = posix_write,
	.exists = posix_exists,
	.stat = posix_stat,
	.get_nlinks = posix_get_nlinks,
	.copy = posix_copy,
	.rename = posix_rename,
	.delete_file = posix_delete,
	.delete_many = fs_delete_one_by_one,
	.iter = posix_iter,
};
