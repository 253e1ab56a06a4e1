/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-write.c - PUT, then rows (HD-1); and copies, which are rows alone.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#define METADATA_KEY_MAX 256

/* ---- names ---- */

/* Bundles and FTS objects have names with a new GUID-128: no look is needed (obox lists one INSERT
 * and one PUT). */
static bool is_unique(const struct dictmap_path *path)
{
	return path->kind != DICTMAP_MAIL && path->name.len > DICTMAP_GUID_HEX &&
	       dictmap_is_guid(lab_view_skip(path->name, path->name.len - DICTMAP_GUID_HEX));
}

/* Gives a CREATE_UNIQUE_128 file its name; for CREATE checks that it is free. */
static int prepare_name(struct fs_file *file, struct lab_arena *arena, struct dictmap_path *path,
	struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	uint8_t guid[ENV_GUID128_SIZE];
	char name[2 * ENV_GUID128_SIZE + 1];
	int found;

	if (file->mode == FS_OPEN_CREATE_UNIQUE_128) {
		bool slash = file->path.len > 0 && file->path.ptr[file->path.len - 1] == '/';

		env_guid128_generate(dictmap_env(fs), guid);
		lab_hex(guid, sizeof(guid), name);
		fs_file_set_path(file, lab_view_cstr(lab_arena_printf(arena, "%.*s%s%s",
					       LAB_VIEW_ARG(file->path), slash ? "" : "/", name)));
	}
	if (dictmap_path_parse(fs, file->path, arena, path, err) < 0)
		return -1;
	if (path->name.len == 0)
		return lab_fail(
			err, LAB_INVALID, "dictmap: %.*s is a directory", LAB_VIEW_ARG(file->path));
	if (file->mode != FS_OPEN_CREATE || is_unique(path))
		return 0;
	found = dictmap_exists(file, err);
	if (found > 0)
		return lab_fail(
			err, LAB_EXISTS, "dictmap: %.*s exists already", LAB_VIEW_ARG(file->path));
	return found;
}

static unsigned new_extra(struct fs_file *file)
{
	struct lab_view hex = fs_file_metadata(file, FS_METADATA_OBJECTID_EXTRA);
	uint8_t extra = 0;

	if (hex.len == 2)
		(void)lab_unhex(hex, &extra, 1);
	return DICTMAP_OID_EXTRA_NEW_ID |
	       (extra & (FS_OBJECTID_EXTRA_ATTACHMENT | FS_OBJECTID_EXTRA_NO_ATTACHMENT));
}

/* What the row of a new object says: its id, which is the GUID of its first name with the mark of
 * new ids (HD-3); or, with passthrough paths, nothing or the path. */
static struct lab_view new_object_id(struct dictmap_fs *fs, struct fs_file *file,
	const struct dictmap_path *path, struct lab_arena *arena)
{
	uint8_t guid[ENV_GUID128_SIZE];
	char hex[2 * ENV_GUID128_SIZE + 1];

	if (fs->conf.storage_passthrough_paths == FS_URI_PASSTHROUGH_FULL)
		return LAB_VIEW("");
	if (fs->conf.storage_passthrough_paths == FS_URI_PASSTHROUGH_READ_ONLY)
		return dictmap_path_in_hex(file->path, arena);
	if (path->kind == DICTMAP_MAIL && lab_defect(OBJECT_ID_OF_SECONDS))
		return lab_view_cstr(lab_arena_printf(arena, "00000000%.*s%02x",
			LAB_VIEW_ARG(lab_view_skip(path->name, 8)), new_extra(file)));
	if (path->kind == DICTMAP_MAIL)
		return lab_view_cstr(lab_arena_printf(
			arena, "%.*s%02x", LAB_VIEW_ARG(path->name), new_extra(file)));
	env_guid128_generate(dictmap_env(fs), guid);
	lab_hex(guid, sizeof(guid), hex);
	return lab_view_cstr(lab_arena_printf(arena, "%s%02x", hex, DICTMAP_OID_EXTRA_NEW_ID));
}

/* ---- writing: PUT, then rows (HD-1) ---- */

static void pass_metadata(struct fs_file *file)
{
	const struct fs_metadata_item *item = file->metadata;
	struct lab_view key, value;

	while (fs_file_metadata_next(&item, &key, &value)) {
		char name[METADATA_KEY_MAX];

		if (!lab_view_eq_cstr(key, FS_METADATA_OBJECTID) &&
			!lab_view_eq_cstr(key, FS_METADATA_VERSION) &&
			lab_view_to_cstr(key, name, sizeof(name)) == 0)
			fs_set_metadata(file->parent, name, value);
	}
	fs_set_metadata(file->parent, "fname", file->path);
	fs_set_metadata(file->parent, FS_METADATA_ORIG_PATH, file->path);
}

/* What deletes the rows of this write without a look. */
static void tell_version(struct fs_file *file, const struct dictmap_path *path, uint32_t bucket,
	struct lab_arena *arena)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	const char *version = FS_VERSION_ONCE;

	if (path->kind == DICTMAP_MAIL)
		version = lab_arena_printf(arena, "%" PRIu32, bucket);
	else if (dictmap_is_diff(fs, path))
		version = lab_arena_printf(arena, "0@%s", dictmap_env(fs)->hostname);
	fs_file_metadata_store(file, FS_METADATA_VERSION, lab_view_cstr(version));
}

/* What is replaced may be in use under its old row: nothing of it may be cleaned up, and what
 * failed may still have changed it. */
static bool may_clean(const struct fs_file *file)
{
	return file->mode != FS_OPEN_REPLACE;
}

static int put_object(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	const char *cleanup = "disabled";

	pass_metadata(file);
	if (fs_write(file->parent, contents, err) == 0)
		return 0;
	if (err->code != LAB_UNCERTAIN)
		return -1;
	if (fs->conf.cleanup_uncertain && may_clean(file))
		cleanup = dictmap_drop_object(file) ? "success" : "failed";
	ENV_EVENT(dictmap_env(fs), LAB_EV_fs_object_write_uncertain, LAB_F_TEXT("path", file->path),
		LAB_F_CSTR("cleanup", cleanup), LAB_F_CSTR("error", err->message));
	if (!may_clean(file))
		return -1;
	/* The object may be there, but nothing refers to it: the mail was certainly not saved. */
	err->code = LAB_UNAVAILABLE;
	err->retryable = true;
	return -1;
}

static bool storage_makes_ids(struct dictmap_fs *fs)
{
	return fs->conf.storage_objectid_prefix.ptr == NULL && !dictmap_is_passthrough(fs);
}

/* The storage's own id, if it makes them. */
static int stored_id(
	struct fs_file *file, struct lab_arena *arena, struct lab_view *oid, struct lab_error *err)
{
	int found;

	if (!storage_makes_ids(dictmap_fs_of(file)))
		return 0;
	found = fs_get_metadata(file->parent, FS_METADATA_OBJECTID, arena, oid, err);
	if (found > 0)
		return 0;
	(void)dictmap_drop_object(file);
	if (found < 0)
		return -1;
	return lab_fail(err, LAB_UNSUPPORTED, "dictmap: %s gave no object id",
		fs_driver_name(file->parent->fs));
}

/* A storage that knows the id before the object is there: it is the one to tell of if this fails.
 */
static void take_early_id(struct fs_file *file, struct lab_arena *arena, struct lab_view *oid)
{
	struct lab_view early;
	struct lab_error ignored;

	if (storage_makes_ids(dictmap_fs_of(file)) &&
		fs_get_metadata(file->parent, FS_METADATA_OBJECTID, arena, &early, &ignored) > 0) {
		*oid = early;
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, early);
	}
}

/* The rows of a write are cleaned up. Another host may have seen the mail until then, and copied or
 * moved it: the object is that one's, too. The lock keeps copies of this host out of the count. */
static bool is_left_alone(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, enum dictmap_residue residue)
{
	struct lab_error ignored;
	unsigned nlinks = 1;

	if (residue == DICTMAP_RESIDUE_NONE || lab_defect(CLEANUP_UNCOUNTED))
		return residue <= DICTMAP_RESIDUE_COPIES;
	if (residue != DICTMAP_RESIDUE_COPIES)
		return false;
	if (!dictmap_has_reverse(fs, path))
		return true;
	if (dictmap_lock_object(fs, oid, &ignored) < 0)
		return false;
	if (dictmap_row_nlinks(fs, oid, LAB_VIEW(""), &nlinks, &ignored) < 0)
		nlinks = 1;
	dictmap_unlock_object(fs, oid);
	return nlinks == 0;
}

static int put_and_insert(struct fs_file *file, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view contents, struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct lab_view oid = new_object_id(fs, file, path, arena);
	enum dictmap_residue residue;

	/* Known from here on, so that a failure can be told which object it is about. */
	if (!dictmap_is_passthrough(fs))
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, oid);
	fs_file_close(&file->parent);
	file->parent = fs_file_open(
		fs->fs.parent, dictmap_storage_path(fs, file, oid, arena), FS_OPEN_REPLACE);
	fs_set_metadata(file->parent, FS_METADATA_ORIG_PATH, dictmap_whole_path(fs, file, arena));
	take_early_id(file, arena, &oid);
	tell_version(file, path, bucket, arena);
	if (lab_defect(ROWS_BEFORE_OBJECT) &&
		dictmap_rows_insert(fs, path, bucket, oid, true, &residue, err) < 0)
		return -1;
	if (put_object(file, contents, err) < 0 || stored_id(file, arena, &oid, err) < 0)
		return -1;
	if (!dictmap_is_passthrough(fs))
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, oid);
	if (path->kind == DICTMAP_MAIL)
		ENV_HOLD(dictmap_env(fs), object_stored, dictmap_username(fs));
	else
		ENV_HOLD(dictmap_env(fs), bundle_stored, dictmap_username(fs));
	if (dictmap_rows_insert(fs, path, bucket, oid, may_clean(file), &residue, err) == 0)
		return 0;
	if (!may_clean(file))
		err->code = LAB_UNCERTAIN;
	else if (is_left_alone(fs, path, oid, residue))
		(void)dictmap_drop_object(file);
	return -1;
}

int dictmap_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct lab_arena *tmp = dictmap_arena(fs);
	struct dictmap_path path;
	uint32_t bucket = 0;
	int result = prepare_name(file, tmp, &path, err);

	if (result == 0 && path.kind == DICTMAP_MAIL)
		result = dictmap_bucket_reserve(fs, path.guid, &bucket, err);
	if (result == 0) {
		result = put_and_insert(file, &path, bucket, contents, tmp, err);
		if (result < 0 && err->code != LAB_UNCERTAIN && path.kind == DICTMAP_MAIL)
			dictmap_bucket_release(fs, path.guid, bucket);
		if (result == 0 && path.kind == DICTMAP_MAIL)
			result = dictmap_bucket_confirm(fs, path.guid, bucket, err);
		((struct dictmap_file *)file)->bucket = bucket;
	}
	lab_arena_free(&tmp);
	return result;
}

/* ---- copying ---- */

/* Under the lock: is there still a reference to copy? Without lockdir nobody asks (obox 2). */
static int copy_locked(struct fs_file *to, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(to);
	enum dictmap_residue residue;
	unsigned nlinks = 1;

	if (fs->conf.lockdir.ptr != NULL && !lab_defect(LOCKDIR_IGNORED) &&
		dictmap_row_nlinks(fs, oid, LAB_VIEW(""), &nlinks, err) < 0)
		return -1;
	if (nlinks == 0 && !lab_defect(COPY_OF_DELETED))
		return lab_fail(err, LAB_NOT_FOUND, "dictmap: object %.*s was deleted meanwhile",
			LAB_VIEW_ARG(oid));
	ENV_HOLD(dictmap_env(fs), references_counted, dictmap_username(fs));
	/* A failed copy never touches the storage: the object has other references (obox 3.8). */
	return dictmap_rows_insert(fs, path, bucket, oid, may_clean(to), &residue, err);
}

static int copy_in_dict(struct fs_file *to, const struct dictmap_path *path, struct lab_view oid,
	struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(to);
	uint32_t bucket;
	int result;

	fs_file_metadata_store(to, FS_METADATA_OBJECTID, oid);
	if (dictmap_bucket_reserve(fs, path->guid, &bucket, err) < 0)
		return -1;
	result = dictmap_lock_object(fs, oid, err);
	if (result == 0) {
		result = copy_locked(to, path, bucket, oid, err);
		dictmap_unlock_object(fs, oid);
	}
	if (result == 0)
		result = dictmap_bucket_confirm(fs, path->guid, bucket, err);
	if (result == 0)
		tell_version(to, path, bucket, arena);
	if (result < 0 && err->code != LAB_UNCERTAIN)
		dictmap_bucket_release(fs, path->guid, bucket);
	((struct dictmap_file *)to)->bucket = bucket;
	return result;
}

/* What the storage told of the object while it was read: the copy is the same mail (HD-4). */
static void copy_metadata(struct fs_file *from, struct fs_file *to)
{
	const struct fs_metadata_item *item;
	struct lab_view key, value;

	while (from->parent != NULL)
		from = from->parent;
	item = from->metadata;
	while (fs_file_metadata_next(&item, &key, &value)) {
		char name[METADATA_KEY_MAX];

		if (!lab_view_starts_with(key, LAB_VIEW(FS_METADATA_INTERNAL_PREFIX)) &&
			lab_view_to_cstr(key, name, sizeof(name)) == 0 &&
			fs_file_metadata(to, name).ptr == NULL)
			fs_file_metadata_store(to, name, value);
	}
}

static int copy_by_contents(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(
		dictmap_env(dictmap_fs_of(to))->heap, (size_t)DICTMAP_COPY_MAX + DICTMAP_ARENA_MAX);
	struct lab_view contents;
	int result = fs_read(from, arena, DICTMAP_COPY_MAX, &contents, err);

	if (result == 0) {
		copy_metadata(from, to);
		result = fs_write(to, contents, err);
	}
	lab_arena_free(&arena);
	return result;
}

/* Ids from before the migration, and paths, cannot be shared (obox 4.7). */
static bool can_copy_in_dict(
	struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid)
{
	return fs->conf.refcounting_table && path->kind == DICTMAP_MAIL &&
	       !dictmap_is_passthrough(fs) &&
	       (!fs->conf.storage_objectid_migrate || dictmap_is_new_id(oid));
}

int dictmap_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(to);
	struct lab_arena *tmp = dictmap_arena(fs);
	struct dictmap_path from_path, to_path;
	struct lab_view oid = LAB_VIEW("");
	int result = dictmap_path_parse(fs, from->path, tmp, &from_path, err);

	if (result == 0)
		result = dictmap_object_id(from, &from_path, tmp, &oid, err);
	if (result == 0)
		result = dictmap_not_found(from, err);
	if (result > 0 &&
		(!can_copy_in_dict(fs, &from_path, oid) || lab_defect(COPIED_BY_CONTENTS))) {
		result = copy_by_contents(from, to, err);
	} else if (result > 0) {
		result = prepare_name(to, tmp, &to_path, err);
		if (result == 0 && to_path.kind != DICTMAP_MAIL)
			result = lab_fail(err, LAB_INVALID, "dictmap: %.*s is not a mail's path",
				LAB_VIEW_ARG(to->path));
		if (result == 0)
			result = copy_in_dict(to, &to_path, oid, tmp, err);
		if (result < 0 && lab_defect(FAILED_COPY_DROPS_OBJECT) &&
			dictmap_parent_open(from, tmp, NULL) == 0)
			(void)dictmap_drop_object(from);
	}
	lab_arena_free(&tmp);
	return result;
}

int dictmap_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from;
	return lab_fail(err, LAB_UNSUPPORTED, "dictmap: %.*s cannot be renamed, only copied",
		LAB_VIEW_ARG(to->path));
}
