/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-wrapper.c - the default of a wrapping driver for each operation: pass it to the parent.
 */
#include "core/fs/fs-api-private.h"

int fs_wrapper_init(struct fs *fs, struct lab_view parent_uri, const struct fs_settings *settings,
	struct lab_error *err)
{
	if (parent_uri.len == 0)
		return lab_fail(err, LAB_INVALID, "Parent filesystem not given as parameter");
	return fs_init_parent(parent_uri, settings, &fs->parent, err);
}

void fs_wrapper_deinit(struct fs *fs)
{
	fs_deinit(&fs->parent);
	lab_heap_free(fs->settings.env->heap, fs);
}

uint32_t fs_wrapper_properties(struct fs *fs)
{
	return fs_get_properties(fs->parent);
}

void fs_wrapper_set_reason(struct fs *fs, const char *reason)
{
	fs_set_reason(fs->parent, reason);
}

struct fs_file *fs_wrapper_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	struct fs_file *file = lab_new(fs->settings.env->heap, struct fs_file);

	file->fs = fs;
	file->parent = fs_file_open(fs->parent, path, mode);
	return file;
}

void fs_wrapper_file_close(struct fs_file *file)
{
	lab_heap_free(file->fs->settings.env->heap, file);
}

void fs_wrapper_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	fs_set_metadata(file->parent, key, value);
}

int fs_wrapper_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	return fs_get_metadata(file->parent, key, arena, ret, err);
}

int fs_wrapper_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	return fs_read(file->parent, arena, max_bytes, ret, err);
}

int fs_wrapper_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	int result = fs_write(file->parent, contents, err);

	fs_file_set_path(file, file->parent->path);
	return result;
}

int fs_wrapper_exists(struct fs_file *file, struct lab_error *err)
{
	return fs_exists(file->parent, err);
}

int fs_wrapper_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	return fs_stat(file->parent, ret_size, err);
}

int fs_wrapper_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	return fs_get_nlinks(file->parent, ret, err);
}

int fs_wrapper_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	int result = fs_copy(from->parent, to->parent, err);

	fs_file_set_path(to, to->parent->path);
	return result;
}

int fs_wrapper_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	return fs_rename(from->parent, to->parent, err);
}

int fs_wrapper_delete(struct fs_file *file, struct lab_error *err)
{
	return fs_delete(file->parent, err);
}

int fs_wrapper_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct lab_heap *heap = files[0]->fs->settings.env->heap;
	struct fs_file **parents = lab_new_array(heap, struct fs_file *, count);
	int result;

	for (size_t i = 0; i < count; i++)
		parents[i] = files[i]->parent;
	result = fs_delete_many(parents, count, results, err);
	lab_heap_free(heap, parents);
	return result;
}

int fs_wrapper_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	return fs_iter(fs->parent, path, flags, max_entries, arena, ret_names, ret_count, err);
}

int fs_delete_one_by_one(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		if (files[i]->fs->driver->delete_file(files[i], &results[i]) == 0) {
			results[i].code = LAB_OK;
			continue;
		}
		if (result == 0 && err != NULL)
			*err = results[i];
		result = -1;
	}
	return result;
}

int fs_first_failure(const struct lab_error *results, size_t count, struct lab_error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (results[i].code == LAB_OK)
			continue;
		if (err != NULL)
			*err = results[i];
		return -1;
	}
	return 0;
}

struct side_by_side {
	struct fs_file **files;
	struct lab_error *results;
};

static void delete_at(void *ctx, size_t index)
{
	struct side_by_side *all = ctx;
	struct lab_error err = { .code = LAB_OK };

	all->files[index]->fs->driver->delete_file(all->files[index], &err);
	all->results[index] = err;
}

int fs_delete_side_by_side(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	const struct fs_settings *settings = &files[0]->fs->settings;
	struct side_by_side all = { files, results };

	env_for_each(
		settings->env, count, LAB_MAX(settings->max_parallel_deletes, 1U), delete_at, &all);
	return fs_first_failure(results, count, err);
}
