/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/dictmap-rebuild.h"

#include "core/fs/fs-dictmap-private.h"

#define ARENA_MAX (16u * 1024 * 1024)
#define OID_HEX_MAX (2 * DICTMAP_OID_BYTES_MAX)

static struct dictmap_fs *find_dictmap(struct fs *fs)
{
	while (fs != NULL && strcmp(fs_driver_name(fs), "dictmap") != 0)
		fs = fs_parent(fs);
	return (struct dictmap_fs *)fs;
}

static bool is_object_id(struct lab_view text)
{
	uint8_t bytes[DICTMAP_OID_BYTES_MAX];

	return text.len >= DICTMAP_GUID_HEX && text.len <= OID_HEX_MAX && text.len % 2 == 0 &&
	       lab_unhex(text, bytes, text.len / 2) == 0;
}

/* "<prefix>/<object id>", with one slash (HD-17). */
static bool is_below(struct lab_view key, struct lab_view prefix, struct lab_view *ret)
{
	while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
		prefix.len--;
	if (!lab_view_starts_with(key, prefix) || key.len <= prefix.len ||
		key.ptr[prefix.len] != '/')
		return false;
	*ret = lab_view_skip(key, prefix.len + 1);
	return true;
}

/* What the row says of the object that is stored there. */
static int value_of(struct dictmap_fs *fs, const struct dictmap_lost_row *lost,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct lab_view prefix = fs->conf.storage_objectid_prefix;

	if (dictmap_is_passthrough(fs)) {
		*ret = fs->conf.storage_passthrough_paths == FS_URI_PASSTHROUGH_FULL
			       ? LAB_VIEW("")
			       : dictmap_path_in_hex(lost->path, arena);
		if (lab_view_eq(lost->key, lost->path))
			return 0;
	} else if (prefix.ptr != NULL && is_below(lost->key, prefix, ret) && is_object_id(*ret)) {
		return 0;
	} else if (fs->conf.storage_objectid_migrate &&
		   is_below(lost->key, dictmap_directory_of(lost->path), ret) &&
		   dictmap_is_guid(*ret)) {
		return 0;
	} else if (prefix.ptr == NULL && is_object_id(lost->key)) {
		*ret = lost->key;
		return 0;
	}
	return lab_fail(err, LAB_INVALID, "dictmap: the object of %.*s would not be %.*s",
		LAB_VIEW_ARG(lost->path), LAB_VIEW_ARG(lost->key));
}

static int add_rows(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view value, struct lab_error *err)
{
	enum dictmap_residue residue;

	/* What is uncertain is left alone: the object is there, so no row of it dangles. */
	return dictmap_rows_insert(fs, path, bucket, value, false, &residue, err);
}

static int add_mail(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view value,
	struct lab_arena *arena, struct lab_error *err)
{
	uint32_t bucket = DICTMAP_BUCKET_UNKNOWN;
	struct lab_view present;
	int found;

	if (!dictmap_is_guid(path->name))
		return lab_fail(err, LAB_INVALID, "dictmap: %.*s is no name of a mail",
			LAB_VIEW_ARG(path->name));
	found = dictmap_row_find(fs, path, &bucket, arena, &present, err);
	if (found > 0 && lab_view_eq(present, value))
		return add_rows(fs, path, bucket, value, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	if (dictmap_bucket_reserve(fs, path->guid, &bucket, err) < 0)
		return -1;
	if (add_rows(fs, path, bucket, value, err) == 0)
		return dictmap_bucket_confirm(fs, path->guid, bucket, err) < 0 ? -1 : 1;
	if (err->code != LAB_UNCERTAIN)
		dictmap_bucket_release(fs, path->guid, bucket);
	return -1;
}

/* ---- some rows are left ---- */

/* "<anything>/<name>" */
static struct lab_view last_part(struct lab_view key)
{
	return lab_view_skip(key, dictmap_directory_of(key).len);
}

/* The forward rows of all reverse rows. *ret_has: one of them is the path's; *ret_count: how many
 * there are. Returns how many were made. */
static int add_referenced(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, bool *ret_has, size_t *ret_count, struct lab_error *err)
{
	struct dict_iterate_options options = { .max_rows = DICTMAP_ROWS_MAX };
	struct lab_arena *arena =
		lab_arena_new(fs->fs.settings.env->heap, (size_t)DICTMAP_ROWS_MAX * 512);
	struct dict_row *rows;
	int made = 0;

	*ret_has = false;
	if (dict_iterate(fs->dict, dictmap_key_reverse_row(oid, LAB_VIEW(""), arena), &options,
		    arena, &rows, ret_count, err) < 0)
		made = -1;
	for (size_t i = 0; made >= 0 && i < *ret_count; i++) {
		struct dictmap_path row = { DICTMAP_MAIL, rows[i].values.items[0],
			last_part(rows[i].key) };
		int result;

		if (!dictmap_is_guid(row.guid) || !dictmap_is_guid(row.name))
			continue;
		*ret_has |= lab_view_eq(row.name, path->name);
		result = add_mail(fs, &row, oid, arena, err);
		made = result < 0 ? -1 : made + result;
	}
	lab_arena_free(&arena);
	return made;
}

/* Where the mail was first saved it is not any more, if reverse rows know other places only; but
 * perhaps it is that reverse row which was lost. */
static int add_partly(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid,
	struct lab_arena *arena, struct lab_error *err)
{
	uint32_t bucket = DICTMAP_BUCKET_UNKNOWN;
	struct lab_view present;
	size_t count;
	bool has;
	int made = add_referenced(fs, path, oid, &has, &count, err), found;

	if (made < 0 || has)
		return made < 0 ? -1 : made > 0;
	if (count == 0)
		return add_mail(fs, path, oid, arena, err);
	found = dictmap_row_find(fs, path, &bucket, arena, &present, err);
	if (found > 0 && lab_view_eq(present, oid))
		found = add_rows(fs, path, bucket, oid, err);
	return found < 0 ? -1 : made > 0;
}

static int add_row(struct dictmap_fs *fs, const struct dictmap_path *path,
	const struct dictmap_lost_row *lost, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view value, present;
	uint32_t bucket = 0;
	int found;

	if (path->name.len == 0)
		return lab_fail(
			err, LAB_INVALID, "dictmap: %.*s is a directory", LAB_VIEW_ARG(lost->path));
	if (value_of(fs, lost, arena, &value, err) < 0)
		return -1;
	if (path->kind == DICTMAP_MAIL && lost->is_partial && fs->conf.refcounting_table &&
		!dictmap_is_passthrough(fs))
		return add_partly(fs, path, value, arena, err);
	if (path->kind == DICTMAP_MAIL)
		return add_mail(fs, path, value, arena, err);
	if (dictmap_is_diff(fs, path))
		return dictmap_diff_insert_as(fs, path, value, lost->host, err) < 0 ? -1 : 1;
	found = dictmap_row_find(fs, path, &bucket, arena, &present, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return add_rows(fs, path, 0, value, err) < 0 ? -1 : 1;
}

int dictmap_rebuild_row(
	struct fs *stack, const struct dictmap_lost_row *lost, struct lab_error *err)
{
	struct dictmap_fs *fs = find_dictmap(stack);
	struct lab_arena *arena;
	struct dictmap_path path;
	int result;

	if (fs == NULL)
		return lab_fail(err, LAB_INVALID, "there is no dictmap whose rows could be lost");
	arena = lab_arena_new(fs->fs.settings.env->heap, ARENA_MAX);
	result = dictmap_path_parse(fs, lost->path, arena, &path, err);
	if (result == 0)
		result = add_row(fs, &path, lost, arena, err);
	lab_arena_free(&arena);
	return result;
}
