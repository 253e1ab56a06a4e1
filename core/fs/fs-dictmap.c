/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-dictmap.c - the driver `dictmap` (obox 1.4, 2, 3): Cassandra is the directory that says which
 * object is behind which name; the parent stores the objects. README.md has the table of what is
 * left behind when each step fails.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/defect.h"
#include "core/base/mark.h"

/* ---- the stack ---- */

static int check_settings(const struct fs_uri_dictmap *conf, struct lab_error *err)
{
	if (conf->bucket_size > 0 && conf->bucket_cache.ptr[0] != '/')
		return lab_fail(err, LAB_INVALID, "bucket-cache=%.*s is not an absolute path",
			LAB_VIEW_ARG(conf->bucket_cache));
	if (conf->lockdir.ptr != NULL && !conf->refcounting_table)
		return lab_fail(err, LAB_INVALID, "lockdir is only for refcounting-table");
	if (conf->lockdir.ptr != NULL && conf->lockdir.ptr[0] != '/')
		return lab_fail(err, LAB_INVALID, "lockdir=%.*s is not an absolute path",
			LAB_VIEW_ARG(conf->lockdir));
	if (!conf->proxy)
		return lab_fail(err, LAB_UNSUPPORTED, "dict %.*s: only proxy: is part of oboxlab",
			LAB_VIEW_ARG(conf->dict_driver));
	return 0;
}

/* Somebody must make the object ids. */
static int check_ids(struct dictmap_fs *fs, struct lab_error *err)
{
	uint32_t properties = fs_get_properties(fs->fs.parent);
	bool names = fs->conf.storage_objectid_prefix.ptr != NULL || dictmap_is_passthrough(fs);

	/* sproxyd: the id is all there is to name an object by. */
	if (names && (properties & FS_PROPERTY_OBJECTIDS) != 0 &&
		(properties & FS_PROPERTY_ITER) == 0)
		return lab_fail(err, LAB_INVALID,
			"%s stores by object id: storage-objectid-prefix and "
			"storage-passthrough-paths need by-path",
			fs_driver_name(fs->fs.parent));
	if (names || (properties & FS_PROPERTY_OBJECTIDS) != 0)
		return 0;
	return lab_fail(err, LAB_INVALID,
		"%s gives no object ids: storage-objectid-prefix or storage-passthrough-paths is "
		"needed",
		fs_driver_name(fs->fs.parent));
}

static int open_parts(
	struct dictmap_fs *fs, const struct fs_settings *settings, struct lab_error *err)
{
	if (fs_uri_dictmap(fs->args, &fs->conf, err) < 0 || check_settings(&fs->conf, err) < 0)
		return -1;
	fs->dict = settings->services->dict_open(
		settings->services->ctx, fs->conf.dict_socket, fs->conf.dict_name, err);
	if (fs->dict == NULL || fs_wrapper_init(&fs->fs, fs->conf.parent, settings, err) < 0)
		return -1;
	if (check_ids(fs, err) == 0)
		return 0;
	fs_deinit(&fs->fs.parent);
	return -1;
}

static int dictmap_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct lab_heap *heap = settings->env->heap;
	struct dictmap_fs *fs = lab_new(heap, struct dictmap_fs);
	uint8_t *copy = lab_heap_alloc(heap, args.len + 1);

	(void)driver;
	if (args.len > 0)
		memcpy(copy, args.ptr, args.len);
	fs->args = lab_view_of(copy, args.len);
	fs->fs.settings = *settings;
	if (open_parts(fs, settings, err) < 0) {
		lab_heap_free(heap, copy);
		lab_heap_free(heap, fs);
		return -1;
	}
	dictmap_buckets_new(fs);
	*ret = &fs->fs;
	return 0;
}

static void dictmap_deinit(struct fs *base)
{
	struct dictmap_fs *fs = (struct dictmap_fs *)base;

	dictmap_buckets_free(fs);
	lab_heap_free(dictmap_env(fs)->heap, (void *)(uintptr_t)fs->args.ptr);
	fs_wrapper_deinit(base);
}

static uint32_t dictmap_properties(struct fs *base)
{
	struct dictmap_fs *fs = (struct dictmap_fs *)base;
	uint32_t properties = fs_get_properties(base->parent);

	properties &= FS_PROPERTY_METADATA | FS_PROPERTY_STAT | FS_PROPERTY_COPY_METADATA;
	properties |= FS_PROPERTY_ITER | FS_PROPERTY_RELIABLEITER;
	if (!dictmap_is_passthrough(fs))
		properties |= FS_PROPERTY_OBJECTIDS;
	if (fs->conf.refcounting_table && !dictmap_is_passthrough(fs))
		properties |= FS_PROPERTY_FASTCOPY | FS_PROPERTY_NLINKS;
	return properties;
}

static struct fs_file *dictmap_file_open(
	struct fs *base, struct lab_view path, enum fs_open_mode mode)
{
	struct dictmap_file *file = lab_new(base->settings.env->heap, struct dictmap_file);

	(void)path;
	(void)mode;
	file->bucket = DICTMAP_BUCKET_UNKNOWN;
	return &file->file;
}

static void dictmap_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	fs_file_metadata_store(file, key, value);
}

/* ---- object ids ---- */

bool dictmap_is_new_id(struct lab_view oid)
{
	uint8_t bytes[DICTMAP_OID_BYTES_MAX];

	return oid.len > DICTMAP_GUID_HEX && oid.len <= OID_HEX_MAX &&
	       lab_unhex(oid, bytes, oid.len / 2) == 0 &&
	       (bytes[ENV_GUID128_SIZE] & DICTMAP_OID_EXTRA_NEW_ID) != 0;
}

struct lab_view dictmap_whole_path(
	struct dictmap_fs *fs, const struct fs_file *file, struct lab_arena *arena)
{
	if (fs->conf.dict_prefix.len == 0)
		return file->path;
	return lab_view_cstr(lab_arena_printf(
		arena, "%.*s%.*s", LAB_VIEW_ARG(fs->conf.dict_prefix), LAB_VIEW_ARG(file->path)));
}

struct lab_view dictmap_storage_path(
	struct dictmap_fs *fs, struct fs_file *file, struct lab_view oid, struct lab_arena *arena)
{
	struct lab_view prefix = fs->conf.storage_objectid_prefix;

	if (dictmap_is_passthrough(fs))
		return dictmap_whole_path(fs, file, arena);
	if (fs->conf.storage_objectid_migrate && !dictmap_is_new_id(oid))
		return lab_view_cstr(lab_arena_printf(arena, "%.*s%.*s",
			LAB_VIEW_ARG(dictmap_directory_of(file->path)), LAB_VIEW_ARG(oid)));
	if (prefix.ptr == NULL)
		return oid;
	/* HD-17: one slash, whether or not the setting has it. */
	while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
		prefix.len--;
	return lab_view_cstr(
		lab_arena_printf(arena, "%.*s/%.*s", LAB_VIEW_ARG(prefix), LAB_VIEW_ARG(oid)));
}

uint32_t *dictmap_known_bucket(struct fs_file *file, const struct dictmap_path *path)
{
	uint32_t *bucket = &((struct dictmap_file *)file)->bucket;
	struct lab_view version = fs_file_metadata(file, FS_METADATA_VERSION);
	uint64_t number;

	if (*bucket == DICTMAP_BUCKET_UNKNOWN && path->kind == DICTMAP_MAIL && version.len > 0 &&
		lab_view_to_u64(version, &number) == 0 && number <= DICTMAP_BUCKETS_MAX)
		*bucket = (uint32_t)number;
	return bucket;
}

int dictmap_object_id(struct fs_file *file, const struct dictmap_path *path,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct lab_view known = fs_file_metadata(file, FS_METADATA_OBJECTID);
	int found;

	if (known.ptr != NULL && known.len > 0 && known.len <= OID_HEX_MAX) {
		*ret = lab_arena_copy(arena, known);
		return 1;
	}
	found = dictmap_row_find(
		dictmap_fs_of(file), path, dictmap_known_bucket(file, path), arena, ret, err);
	if (dictmap_is_passthrough(dictmap_fs_of(file)))
		return found;
	if (found > 0 && (ret->len == 0 || ret->len > OID_HEX_MAX))
		return lab_fail(err, LAB_CORRUPT, "dictmap: object id of %.*s has %zu digits",
			LAB_VIEW_ARG(file->path), ret->len);
	if (found > 0)
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, *ret);
	return found;
}

int dictmap_not_found(struct fs_file *file, struct lab_error *err)
{
	return lab_fail(
		err, LAB_NOT_FOUND, "dictmap: %.*s doesn't exist", LAB_VIEW_ARG(file->path));
}

int dictmap_parent_open(struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct dictmap_path path;
	struct lab_view oid = LAB_VIEW("");
	int found = 1;

	if (file->parent != NULL)
		return 0;
	if (dictmap_path_parse(fs, file->path, arena, &path, err) < 0)
		return -1;
	if (!dictmap_is_passthrough(fs))
		found = dictmap_object_id(file, &path, arena, &oid, err);
	if (found <= 0)
		return found < 0 ? -1 : dictmap_not_found(file, err);
	file->parent = fs_file_open(
		fs->fs.parent, dictmap_storage_path(fs, file, oid, arena), FS_OPEN_READONLY);
	fs_set_metadata(file->parent, FS_METADATA_ORIG_PATH, dictmap_whole_path(fs, file, arena));
	return 0;
}

/* ---- reading ---- */

static bool delete_dangling(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid)
{
	struct lab_error ignored;
	bool unreferenced;

	if ((!fs->conf.delete_dangling_links && !lab_defect(ROW_DELETED_AT_404)) ||
		dictmap_rows_delete(fs, path, bucket, oid, &unreferenced, &ignored) < 0)
		return false;
	if (path->kind == DICTMAP_MAIL)
		dictmap_bucket_deleted(fs, path->guid, bucket);
	return true;
}

/* The storage says 404. If the row is still there, it dangles (obox 3.9); if not, the mail was
 * expunged elsewhere. */
static int object_missing(struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct dictmap_path path;
	struct lab_view oid = LAB_VIEW("");
	uint32_t *bucket;
	bool deleted;
	int found;

	if (dictmap_path_parse(fs, file->path, arena, &path, err) < 0)
		return -1;
	bucket = dictmap_known_bucket(file, &path);
	found = dictmap_row_find(fs, &path, bucket, arena, &oid, err);
	if (found <= 0)
		return found < 0 ? -1 : dictmap_not_found(file, err);
	LAB_MARK(object_lost);
	deleted = delete_dangling(fs, &path, *bucket, oid);
	ENV_EVENT(dictmap_env(fs), LAB_EV_fs_dictmap_object_lost, LAB_F_TEXT("path", file->path),
		LAB_F_TEXT("object_id", oid), LAB_F_CSTR("deleted", deleted ? "yes" : "no"));
	return lab_fail(err, LAB_NOT_FOUND,
		"dictmap: %.*s: Object exists in dict, but not in storage",
		LAB_VIEW_ARG(file->path));
}

static int finish_read(
	struct fs_file *file, int result, struct lab_arena *arena, struct lab_error *err)
{
	return result < 0 && err->code == LAB_NOT_FOUND ? object_missing(file, arena, err) : result;
}

static int dictmap_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_arena *tmp = dictmap_arena(dictmap_fs_of(file));
	int result = dictmap_parent_open(file, tmp, err);

	if (result == 0)
		result = finish_read(
			file, fs_read(file->parent, arena, max_bytes, ret, err), tmp, err);
	lab_arena_free(&tmp);
	return result;
}

static int dictmap_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view known = fs_file_metadata(file, key);
	struct lab_arena *tmp;
	int result;

	/* A file that is being written has its id as soon as there is one. */
	if (known.ptr == NULL && strcmp(key, FS_METADATA_VERSION) == 0)
		return 0;
	if (known.ptr == NULL && strcmp(key, FS_METADATA_OBJECTID) == 0 &&
		(file->mode != FS_OPEN_READONLY || dictmap_is_passthrough(dictmap_fs_of(file))))
		return 0;
	if (known.ptr == NULL) {
		tmp = dictmap_arena(dictmap_fs_of(file));
		result = dictmap_parent_open(file, tmp, err);
		known = fs_file_metadata(file, key);
		if (result == 0 && known.ptr == NULL)
			result = finish_read(file,
				fs_get_metadata(file->parent, key, arena, ret, err), tmp, err);
		lab_arena_free(&tmp);
		if (known.ptr == NULL || result < 0)
			return result;
	}
	*ret = lab_arena_copy(arena, known);
	return 1;
}

int dictmap_exists(struct fs_file *file, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct lab_arena *tmp = dictmap_arena(fs);
	struct dictmap_path path;
	struct lab_view oid;
	int result = dictmap_path_parse(fs, file->path, tmp, &path, err);

	if (result == 0)
		result = dictmap_row_find(
			fs, &path, &((struct dictmap_file *)file)->bucket, tmp, &oid, err);
	lab_arena_free(&tmp);
	return result;
}

static int dictmap_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct lab_arena *tmp = dictmap_arena(dictmap_fs_of(file));
	int result = dictmap_parent_open(file, tmp, err);

	if (result == 0)
		result = finish_read(file, fs_stat(file->parent, ret_size, err), tmp, err);
	lab_arena_free(&tmp);
	return result;
}

static int dictmap_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	struct dictmap_fs *fs = dictmap_fs_of(file);
	struct lab_arena *tmp;
	struct dictmap_path path;
	struct lab_view oid;
	int result;

	if ((dictmap_properties(&fs->fs) & FS_PROPERTY_NLINKS) == 0)
		return lab_fail(err, LAB_UNSUPPORTED, "dictmap: nlinks needs refcounting-table");
	tmp = dictmap_arena(fs);
	result = dictmap_path_parse(fs, file->path, tmp, &path, err);
	if (result == 0) {
		result = dictmap_object_id(file, &path, tmp, &oid, err);
		if (result == 0)
			result = dictmap_not_found(file, err);
		else if (result > 0)
			result = dictmap_row_nlinks(
				fs, oid, fs_file_metadata(file, FS_METADATA_DELETED), ret, err);
	}
	lab_arena_free(&tmp);
	return result;
}

const struct fs_driver fs_driver_dictmap = {
	.name = "dictmap",
	.init = dictmap_init,
	.deinit = dictmap_deinit,
	.properties = dictmap_properties,
	.set_reason = fs_wrapper_set_reason,
	.file_open = dictmap_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = dictmap_set_metadata,
	.get_metadata = dictmap_get_metadata,
	.read = dictmap_read,
	.write = dictmap_write,
	.exists = dictmap_exists,
	.stat = dictmap_stat,
	.get_nlinks = dictmap_get_nlinks,
	.copy = dictmap_copy,
	.rename = dictmap_rename,
	.delete_file = dictmap_delete,
	.delete_many = dictmap_delete_many,
	.iter = dictmap_iter,
};
