/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-delete.c - rows first, then the objects that nobody refers to any more.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/defect.h"
#include "core/env/buggify.h"
#include "core/env/hold.h"

#define LOCK_TIMEOUT (60 * LAB_SEC)
#define PARALLEL_ROWS_MAX 32

int dictmap_lock_object(struct dictmap_fs *fs, struct lab_view oid, struct lab_error *err)
{
	if (fs->conf.lockdir.ptr == NULL || lab_defect(LOCKDIR_IGNORED))
		return 0;
	return fs_lock_take(fs->fs.settings.services->shared, oid,
		env_now(dictmap_env(fs)) + LOCK_TIMEOUT, err);
}

void dictmap_unlock_object(struct dictmap_fs *fs, struct lab_view oid)
{
	if (fs->conf.lockdir.ptr != NULL && !lab_defect(LOCKDIR_IGNORED))
		fs_lock_give(fs->fs.settings.services->shared, oid);
}

bool dictmap_drop_object(struct fs_file *file)
{
	struct lab_error err;

	return fs_delete(file->parent, &err) == 0 || err.code == LAB_NOT_FOUND;
}

struct delete_batch {
	struct dictmap_fs *fs;
	struct fs_file **files;
	struct lab_error *results;
	bool *drop; /* files[i]'s object has no reference left */
	size_t count;
	bool is_backwards;
};

/* The defect object-before-rows: a crash after this leaves rows without their object. */
static void drop_object_too_early(struct fs_file *file, struct lab_view oid)
{
	struct lab_error ignored;
	unsigned nlinks = 0;

	if (dictmap_row_nlinks(dictmap_fs_of(file), oid, LAB_VIEW(""), &nlinks, &ignored) == 0 &&
		nlinks <= 1)
		(void)dictmap_drop_object(file);
}

/* The id and the bucket of what is to be deleted. */
static int find_rows(struct fs_file *file, const struct dictmap_path *path, struct lab_arena *arena,
	struct lab_view *oid, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	uint32_t *bucket = dictmap_known_bucket(file, path);
	int found = dictmap_object_id(file, path, arena, oid, err);

	/* The object of a diff whose host has written another one since. */
	if (found == 0 && dictmap_is_passthrough(fs) && dictmap_is_diff(fs, path))
		found = 1;
	if (found > 0 && *bucket == DICTMAP_BUCKET_UNKNOWN) {
		if (fs->conf.bucket_size == 0 || path->kind != DICTMAP_MAIL)
			*bucket = 0;
		else
			found = dictmap_row_find(fs, path, bucket, arena, oid, err);
	}
	return found == 0 ? dictmap_not_found(file, err) : found;
}

/* The caller knows which row it is: no look. */
static int delete_version(struct fs_file *file, const struct dictmap_path *path,
	struct lab_view version, struct lab_arena *arena, bool *ret_drop, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct lab_view oid = fs_file_metadata(file, FS_METADATA_OBJECTID);

	*ret_drop = true;
	if (dictmap_parent_open(file, arena, err) < 0)
		return -1;
	if (lab_view_eq_cstr(version, FS_VERSION_GONE))
		return 0;
	if (lab_view_eq_cstr(version, FS_VERSION_ONCE))
		return dictmap_rows_delete(fs, path, 0, oid, ret_drop, err);
	return dictmap_diff_delete_version(fs, path, version, err);
}

static int delete_rows(
	struct fs_file *file, struct lab_arena *arena, bool *ret_drop, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct dictmap_file *dictmap_file = (struct dictmap_file *)file;
	struct dictmap_path path;
	struct lab_view oid = LAB_VIEW(""), version = fs_file_metadata(file, FS_METADATA_VERSION);
	struct lab_view references = fs_file_metadata(file, FS_METADATA_REFERENCES);
	int result;

	if (dictmap_path_parse(fs, file->path, arena, &path, err) < 0)
		return -1;
	if (version.len > 0 && path.kind != DICTMAP_MAIL)
		return delete_version(file, &path, version, arena, ret_drop, err);
	if (find_rows(file, &path, arena, &oid, err) < 0)
		return -1;
	if (dictmap_parent_open(file, arena, err) < 0 || dictmap_lock_object(fs, oid, err) < 0)
		return -1;
	if (lab_defect(OBJECT_BEFORE_ROWS))
		drop_object_too_early(file, oid);
	if (references.len > 0)
		result = dictmap_rows_delete_known(fs, &path, dictmap_file->bucket, oid,
			lab_view_eq_cstr(references, FS_REFERENCES_LAST), ret_drop, err);
	else
		result = dictmap_rows_delete(fs, &path, dictmap_file->bucket, oid, ret_drop, err);
	dictmap_unlock_object(fs, oid);
	if (result == 0 && path.kind == DICTMAP_MAIL)
		dictmap_bucket_deleted(fs, path.guid, dictmap_file->bucket);
	return result;
}

static void delete_rows_of_one(void *ctx, size_t n)
{
	struct delete_batch *batch = ctx;
	struct lab_arena *tmp = dictmap_arena(batch->fs);
	size_t i = batch->is_backwards ? batch->count - 1 - n : n;

	if (delete_rows(batch->files[i], tmp, &batch->drop[i], &batch->results[i]) == 0) {
		batch->results[i].code = LAB_OK;
	} else {
		lab_assert(batch->results[i].code != LAB_OK);
		/* A row that may be there must not outlive its object (HD-14). */
		batch->drop[i] = false;
	}
	lab_arena_free(&tmp);
}

/* The mails are gone for their user (HD-13). */
static void report_leak(struct fs_file *object, const struct lab_error *err)
{
	ENV_EVENT(object->fs->settings.env, LAB_EV_log_message, LAB_F_CSTR("area", "fs-dictmap"),
		LAB_F_CSTR("message", "object is left without a reference"),
		LAB_F_TEXT("path", fs_file_path(object)), LAB_F_CSTR("error", err->message));
}

static void drop_objects(struct delete_batch *batch, size_t count)
{
	struct lab_heap *heap = dictmap_env(batch->fs)->heap;
	struct fs_file **objects = lab_new_array(heap, struct fs_file *, count);
	struct lab_error *results = lab_new_array(heap, struct lab_error, count);
	struct lab_error err;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (batch->drop[i])
			objects[n++] = batch->files[i]->parent;
	}
	if (fs_delete_many(objects, n, results, &err) < 0) {
		for (size_t i = 0; i < n; i++) {
			if (results[i].code != LAB_OK && results[i].code != LAB_NOT_FOUND)
				report_leak(objects[i], &results[i]);
		}
	}
	lab_heap_free(heap, results);
	lab_heap_free(heap, objects);
}

int dictmap_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(files[0]);
	struct lab_heap *heap = dictmap_env(fs)->heap;
	struct delete_batch batch = { fs, files, results, lab_new_array(heap, bool, count), count,
		ENV_BUGGIFY(dictmap_env(fs), deletes_backwards) };
	unsigned parallel = LAB_MAX(1u, fs->fs.settings.max_parallel_deletes);

	env_for_each(dictmap_env(fs), count, LAB_MIN(parallel, PARALLEL_ROWS_MAX),
		delete_rows_of_one, &batch);
	ENV_HOLD(dictmap_env(fs), rows_deleted, dictmap_username(fs));
	drop_objects(&batch, count);
	lab_heap_free(heap, batch.drop);
	return fs_first_failure(results, count, err);
}

int dictmap_delete(struct fs_file *file, struct lab_error *err)
{
	struct lab_error result = { .code = LAB_OK };

	return dictmap_delete_many(&file, 1, &result, err);
}
