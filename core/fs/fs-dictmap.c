/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-dictmap.c - the driver `dictmap` (obox 1.4, 2, 3): Cassandra is the directory that says which
 * object is behind which name; the parent stores the objects. README.md has the table of what is
 * left behind when each step fails.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/mark.h"

#include "core/base/defect.h"
#include "core/env/buggify.h"
#include "core/env/hold.h"

#define OP_ARENA_MAX (16u * 1024 * 1024)
#define LOCK_TIMEOUT (60 * LAB_SEC)
#define PARALLEL_ROWS_MAX 32
#define METADATA_KEY_MAX 256
#define OID_HEX_MAX (2 * DICTMAP_OID_BYTES_MAX)

struct dictmap_file {
	struct fs_file file;
	uint32_t bucket; /* DICTMAP_BUCKET_UNKNOWN until a lookup or a write */
};

static struct dictmap_fs *fs_of(struct fs_file *file)
{
	return (struct dictmap_fs *)file->fs;
}

static struct env *env_of(struct dictmap_fs *fs)
{
	return fs->fs.settings.env;
}

static const char *username(struct dictmap_fs *fs)
{
	return fs->fs.settings.username;
}

static struct lab_arena *op_arena(struct dictmap_fs *fs)
{
	return lab_arena_new(env_of(fs)->heap, OP_ARENA_MAX);
}

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
	lab_heap_free(env_of(fs)->heap, (void *)(uintptr_t)fs->args.ptr);
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

/* Ids from before storage-objectid-prefix have no extra data, or not this bit of it (HD-3). */
static bool is_new_id(struct lab_view oid)
{
	uint8_t bytes[DICTMAP_OID_BYTES_MAX];

	return oid.len > DICTMAP_GUID_HEX && oid.len <= OID_HEX_MAX &&
	       lab_unhex(oid, bytes, oid.len / 2) == 0 &&
	       (bytes[ENV_GUID128_SIZE] & DICTMAP_OID_EXTRA_NEW_ID) != 0;
}

/* The path from the storage's root on: it is not divided by users in any other way (obox 4.1:
 * <user>/fts/<file>). */
static struct lab_view whole_path(
	struct dictmap_fs *fs, const struct fs_file *file, struct lab_arena *arena)
{
	if (fs->conf.dict_prefix.len == 0)
		return file->path;
	return lab_view_cstr(lab_arena_printf(
		arena, "%.*s%.*s", LAB_VIEW_ARG(fs->conf.dict_prefix), LAB_VIEW_ARG(file->path)));
}

/* Where the object of that id is stored. */
static struct lab_view storage_path(
	struct dictmap_fs *fs, struct fs_file *file, struct lab_view oid, struct lab_arena *arena)
{
	struct lab_view prefix = fs->conf.storage_objectid_prefix;

	if (dictmap_is_passthrough(fs))
		return whole_path(fs, file, arena);
	if (fs->conf.storage_objectid_migrate && !is_new_id(oid))
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

/* The bucket: what a lookup or a write has found, or what the caller was told by a listing. */
static uint32_t *known_bucket(struct fs_file *file, const struct dictmap_path *path)
{
	uint32_t *bucket = &((struct dictmap_file *)file)->bucket;
	struct lab_view version = fs_file_metadata(file, FS_METADATA_VERSION);
	uint64_t number;

	if (*bucket == DICTMAP_BUCKET_UNKNOWN && path->kind == DICTMAP_MAIL && version.len > 0 &&
		lab_view_to_u64(version, &number) == 0 && number <= DICTMAP_BUCKETS_MAX)
		*bucket = (uint32_t)number;
	return bucket;
}

/* What the row says: the object id, as the caller set it or from the dict; with passthrough paths
 * whatever is in the row. 1, 0 if there is no row, -1. */
static int object_id(struct fs_file *file, const struct dictmap_path *path, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view known = fs_file_metadata(file, FS_METADATA_OBJECTID);
	int found;

	if (known.ptr != NULL && known.len > 0 && known.len <= OID_HEX_MAX) {
		*ret = lab_arena_copy(arena, known);
		return 1;
	}
	found = dictmap_row_find(fs_of(file), path, known_bucket(file, path), arena, ret, err);
	if (dictmap_is_passthrough(fs_of(file)))
		return found;
	if (found > 0 && (ret->len == 0 || ret->len > OID_HEX_MAX))
		return lab_fail(err, LAB_CORRUPT, "dictmap: object id of %.*s has %zu digits",
			LAB_VIEW_ARG(file->path), ret->len);
	if (found > 0)
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, *ret);
	return found;
}

static int not_found(struct fs_file *file, struct lab_error *err)
{
	return lab_fail(
		err, LAB_NOT_FOUND, "dictmap: %.*s doesn't exist", LAB_VIEW_ARG(file->path));
}

/* Opens the stored object behind `file`, once. */
static int parent_open(struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct dictmap_path path;
	struct lab_view oid = LAB_VIEW("");
	int found = 1;

	if (file->parent != NULL)
		return 0;
	if (dictmap_path_parse(fs, file->path, arena, &path, err) < 0)
		return -1;
	if (!dictmap_is_passthrough(fs))
		found = object_id(file, &path, arena, &oid, err);
	if (found <= 0)
		return found < 0 ? -1 : not_found(file, err);
	file->parent =
		fs_file_open(fs->fs.parent, storage_path(fs, file, oid, arena), FS_OPEN_READONLY);
	fs_set_metadata(file->parent, FS_METADATA_ORIG_PATH, whole_path(fs, file, arena));
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
	struct dictmap_fs *fs = fs_of(file);
	struct dictmap_path path;
	struct lab_view oid = LAB_VIEW("");
	uint32_t *bucket;
	bool deleted;
	int found;

	if (dictmap_path_parse(fs, file->path, arena, &path, err) < 0)
		return -1;
	bucket = known_bucket(file, &path);
	found = dictmap_row_find(fs, &path, bucket, arena, &oid, err);
	if (found <= 0)
		return found < 0 ? -1 : not_found(file, err);
	LAB_MARK(object_lost);
	deleted = delete_dangling(fs, &path, *bucket, oid);
	ENV_EVENT(env_of(fs), LAB_EV_fs_dictmap_object_lost, LAB_F_TEXT("path", file->path),
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
	struct lab_arena *tmp = op_arena(fs_of(file));
	int result = parent_open(file, tmp, err);

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
		(file->mode != FS_OPEN_READONLY || dictmap_is_passthrough(fs_of(file))))
		return 0;
	if (known.ptr == NULL) {
		tmp = op_arena(fs_of(file));
		result = parent_open(file, tmp, err);
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

static int dictmap_exists(struct fs_file *file, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct lab_arena *tmp = op_arena(fs);
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
	struct lab_arena *tmp = op_arena(fs_of(file));
	int result = parent_open(file, tmp, err);

	if (result == 0)
		result = finish_read(file, fs_stat(file->parent, ret_size, err), tmp, err);
	lab_arena_free(&tmp);
	return result;
}

static int dictmap_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct lab_arena *tmp;
	struct dictmap_path path;
	struct lab_view oid;
	int result;

	if ((dictmap_properties(&fs->fs) & FS_PROPERTY_NLINKS) == 0)
		return lab_fail(err, LAB_UNSUPPORTED, "dictmap: nlinks needs refcounting-table");
	tmp = op_arena(fs);
	result = dictmap_path_parse(fs, file->path, tmp, &path, err);
	if (result == 0) {
		result = object_id(file, &path, tmp, &oid, err);
		if (result == 0)
			result = not_found(file, err);
		else if (result > 0)
			result = dictmap_row_nlinks(fs, oid, ret, err);
	}
	lab_arena_free(&tmp);
	return result;
}

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
	struct dictmap_fs *fs = fs_of(file);
	uint8_t guid[ENV_GUID128_SIZE];
	char name[2 * ENV_GUID128_SIZE + 1];
	int found;

	if (file->mode == FS_OPEN_CREATE_UNIQUE_128) {
		bool slash = file->path.len > 0 && file->path.ptr[file->path.len - 1] == '/';

		env_guid128_generate(env_of(fs), guid);
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
	if (path->kind == DICTMAP_MAIL)
		return lab_view_cstr(lab_arena_printf(
			arena, "%.*s%02x", LAB_VIEW_ARG(path->name), new_extra(file)));
	env_guid128_generate(env_of(fs), guid);
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
	struct dictmap_fs *fs = fs_of(file);
	const char *version = FS_VERSION_ONCE;

	if (path->kind == DICTMAP_MAIL)
		version = lab_arena_printf(arena, "%" PRIu32, bucket);
	else if (dictmap_is_diff(fs, path))
		version = lab_arena_printf(arena, "0@%s", env_of(fs)->hostname);
	fs_file_metadata_store(file, FS_METADATA_VERSION, lab_view_cstr(version));
}

/* Deletes an object that no row refers to, or ever will. What fails is a leak. */
static bool drop_object(struct fs_file *file)
{
	struct lab_error err;

	return fs_delete(file->parent, &err) == 0 || err.code == LAB_NOT_FOUND;
}

/* What is replaced may be in use under its old row: nothing of it may be cleaned up, and what
 * failed may still have changed it. */
static bool may_clean(const struct fs_file *file)
{
	return file->mode != FS_OPEN_REPLACE;
}

static int put_object(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	const char *cleanup = "disabled";

	pass_metadata(file);
	if (fs_write(file->parent, contents, err) == 0)
		return 0;
	if (err->code != LAB_UNCERTAIN)
		return -1;
	if (fs->conf.cleanup_uncertain && may_clean(file))
		cleanup = drop_object(file) ? "success" : "failed";
	ENV_EVENT(env_of(fs), LAB_EV_fs_object_write_uncertain, LAB_F_TEXT("path", file->path),
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

	if (!storage_makes_ids(fs_of(file)))
		return 0;
	found = fs_get_metadata(file->parent, FS_METADATA_OBJECTID, arena, oid, err);
	if (found > 0)
		return 0;
	(void)drop_object(file);
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

	if (storage_makes_ids(fs_of(file)) &&
		fs_get_metadata(file->parent, FS_METADATA_OBJECTID, arena, &early, &ignored) > 0) {
		*oid = early;
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, early);
	}
}

static int lock_object(struct dictmap_fs *fs, struct lab_view oid, struct lab_error *err)
{
	if (fs->conf.lockdir.ptr == NULL || lab_defect(LOCKDIR_IGNORED))
		return 0;
	return fs_lock_take(
		fs->fs.settings.services->shared, oid, env_now(env_of(fs)) + LOCK_TIMEOUT, err);
}

static void unlock_object(struct dictmap_fs *fs, struct lab_view oid)
{
	if (fs->conf.lockdir.ptr != NULL && !lab_defect(LOCKDIR_IGNORED))
		fs_lock_give(fs->fs.settings.services->shared, oid);
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
	if (lock_object(fs, oid, &ignored) < 0)
		return false;
	if (dictmap_row_nlinks(fs, oid, &nlinks, &ignored) < 0)
		nlinks = 1;
	unlock_object(fs, oid);
	return nlinks == 0;
}

static int put_and_insert(struct fs_file *file, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view contents, struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct lab_view oid = new_object_id(fs, file, path, arena);
	enum dictmap_residue residue;

	/* Known from here on, so that a failure can be told which object it is about. */
	if (!dictmap_is_passthrough(fs))
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, oid);
	fs_file_close(&file->parent);
	file->parent =
		fs_file_open(fs->fs.parent, storage_path(fs, file, oid, arena), FS_OPEN_REPLACE);
	fs_set_metadata(file->parent, FS_METADATA_ORIG_PATH, whole_path(fs, file, arena));
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
		ENV_HOLD(env_of(fs), object_stored, username(fs));
	else
		ENV_HOLD(env_of(fs), bundle_stored, username(fs));
	if (dictmap_rows_insert(fs, path, bucket, oid, may_clean(file), &residue, err) == 0)
		return 0;
	if (!may_clean(file))
		err->code = LAB_UNCERTAIN;
	else if (is_left_alone(fs, path, oid, residue))
		(void)drop_object(file);
	return -1;
}

static int dictmap_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct lab_arena *tmp = op_arena(fs);
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
	struct dictmap_fs *fs = fs_of(to);
	enum dictmap_residue residue;
	unsigned nlinks = 1;

	if (fs->conf.lockdir.ptr != NULL && !lab_defect(LOCKDIR_IGNORED) &&
		dictmap_row_nlinks(fs, oid, &nlinks, err) < 0)
		return -1;
	if (nlinks == 0 && !lab_defect(COPY_OF_DELETED))
		return lab_fail(err, LAB_NOT_FOUND, "dictmap: object %.*s was deleted meanwhile",
			LAB_VIEW_ARG(oid));
	ENV_HOLD(env_of(fs), references_counted, username(fs));
	/* A failed copy never touches the storage: the object has other references (obox 3.8). */
	return dictmap_rows_insert(fs, path, bucket, oid, may_clean(to), &residue, err);
}

static int copy_in_dict(struct fs_file *to, const struct dictmap_path *path, struct lab_view oid,
	struct lab_arena *arena, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(to);
	uint32_t bucket;
	int result;

	fs_file_metadata_store(to, FS_METADATA_OBJECTID, oid);
	if (dictmap_bucket_reserve(fs, path->guid, &bucket, err) < 0)
		return -1;
	result = lock_object(fs, oid, err);
	if (result == 0) {
		result = copy_locked(to, path, bucket, oid, err);
		unlock_object(fs, oid);
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
	struct lab_arena *arena =
		lab_arena_new(env_of(fs_of(to))->heap, (size_t)DICTMAP_COPY_MAX + OP_ARENA_MAX);
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
	       (!fs->conf.storage_objectid_migrate || is_new_id(oid));
}

static int dictmap_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(to);
	struct lab_arena *tmp = op_arena(fs);
	struct dictmap_path from_path, to_path;
	struct lab_view oid;
	int result = dictmap_path_parse(fs, from->path, tmp, &from_path, err);

	if (result == 0)
		result = object_id(from, &from_path, tmp, &oid, err);
	if (result == 0)
		result = not_found(from, err);
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
			parent_open(from, tmp, NULL) == 0)
			(void)drop_object(from);
	}
	lab_arena_free(&tmp);
	return result;
}

static int dictmap_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from;
	return lab_fail(err, LAB_UNSUPPORTED, "dictmap: %.*s cannot be renamed, only copied",
		LAB_VIEW_ARG(to->path));
}

/* ---- deleting: rows first, then the objects that nobody refers to any more ---- */

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

	if (dictmap_row_nlinks(fs_of(file), oid, &nlinks, &ignored) == 0 && nlinks <= 1)
		(void)drop_object(file);
}

/* The id and the bucket of what is to be deleted. */
static int find_rows(struct fs_file *file, const struct dictmap_path *path, struct lab_arena *arena,
	struct lab_view *oid, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	uint32_t *bucket = known_bucket(file, path);
	int found = object_id(file, path, arena, oid, err);

	/* The object of a diff whose host has written another one since. */
	if (found == 0 && dictmap_is_passthrough(fs) && dictmap_is_diff(fs, path))
		found = 1;
	if (found > 0 && *bucket == DICTMAP_BUCKET_UNKNOWN) {
		if (fs->conf.bucket_size == 0 || path->kind != DICTMAP_MAIL)
			*bucket = 0;
		else
			found = dictmap_row_find(fs, path, bucket, arena, oid, err);
	}
	return found == 0 ? not_found(file, err) : found;
}

/* The caller knows which row it is: no look. */
static int delete_version(struct fs_file *file, const struct dictmap_path *path,
	struct lab_view version, struct lab_arena *arena, bool *ret_drop, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(file);
	struct lab_view oid = fs_file_metadata(file, FS_METADATA_OBJECTID);

	*ret_drop = true;
	if (parent_open(file, arena, err) < 0)
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
	struct dictmap_fs *fs = fs_of(file);
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
	if (parent_open(file, arena, err) < 0 || lock_object(fs, oid, err) < 0)
		return -1;
	if (lab_defect(OBJECT_BEFORE_ROWS))
		drop_object_too_early(file, oid);
	if (references.len > 0)
		result = dictmap_rows_delete_known(fs, &path, dictmap_file->bucket, oid,
			lab_view_eq_cstr(references, FS_REFERENCES_LAST), ret_drop, err);
	else
		result = dictmap_rows_delete(fs, &path, dictmap_file->bucket, oid, ret_drop, err);
	unlock_object(fs, oid);
	if (result == 0 && path.kind == DICTMAP_MAIL)
		dictmap_bucket_deleted(fs, path.guid, dictmap_file->bucket);
	return result;
}

static void delete_rows_of_one(void *ctx, size_t n)
{
	struct delete_batch *batch = ctx;
	struct lab_arena *tmp = op_arena(batch->fs);
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
	struct lab_heap *heap = env_of(batch->fs)->heap;
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

static int dictmap_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct dictmap_fs *fs = fs_of(files[0]);
	struct lab_heap *heap = env_of(fs)->heap;
	struct delete_batch batch = { fs, files, results, lab_new_array(heap, bool, count), count,
		ENV_BUGGIFY(env_of(fs), deletes_backwards) };
	unsigned parallel = LAB_MAX(1u, fs->fs.settings.max_parallel_deletes);

	env_for_each(env_of(fs), count, LAB_MIN(parallel, PARALLEL_ROWS_MAX), delete_rows_of_one,
		&batch);
	ENV_HOLD(env_of(fs), rows_deleted, username(fs));
	drop_objects(&batch, count);
	lab_heap_free(heap, batch.drop);
	for (size_t i = 0; i < count; i++) {
		if (results[i].code == LAB_OK)
			continue;
		if (err != NULL)
			*err = results[i];
		return -1;
	}
	return 0;
}

static int dictmap_delete(struct fs_file *file, struct lab_error *err)
{
	struct lab_error result = { .code = LAB_OK };

	return dictmap_delete_many(&file, 1, &result, err);
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
