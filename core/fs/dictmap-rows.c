/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-rows.c - inserting and deleting the rows of a mail, in the order of HD-1 (obox 3.10):
 * what is left when a step fails is a leak, never a row without its object.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/mark.h"

#include "core/base/defect.h"
#include "core/env/hold.h"

#define ROW_ARENA_MAX (1024 * 1024)

static struct lab_arena *row_arena(struct dictmap_fs *fs)
{
	return lab_arena_new(dictmap_env(fs)->heap, ROW_ARENA_MAX);
}

bool dictmap_has_reverse(struct dictmap_fs *fs, const struct dictmap_path *path)
{
	return fs->conf.refcounting_table && path->kind == DICTMAP_MAIL &&
	       !dictmap_is_passthrough(fs);
}

/* ---- lookups ---- */

static int row_lookup(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_arena *arena, struct lab_view *ret_oid, struct lab_error *err)
{
	struct dict_values values;
	int found = dict_lookup(
		fs->dict, dictmap_key_forward(fs, path, bucket, arena), arena, &values, err);

	if (found > 0)
		*ret_oid = values.items[0];
	return found;
}

int dictmap_row_find(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t *bucket,
	struct lab_arena *arena, struct lab_view *ret_oid, struct lab_error *err)
{
	struct dictmap_diff diff;
	struct dictmap_max_bucket max_bucket = { .bucket = 0 };
	int found;

	if (dictmap_is_diff(fs, path)) {
		found = dictmap_diff_find(fs, path, arena, &diff, err);
		*bucket = 0;
		if (found > 0)
			*ret_oid = diff.oid;
		return found;
	}
	if (*bucket != DICTMAP_BUCKET_UNKNOWN)
		return row_lookup(fs, path, *bucket, arena, ret_oid, err);
	if (path->kind == DICTMAP_MAIL && dictmap_bucket_max(fs, path->guid, &max_bucket, err) < 0)
		return -1;
	/* The newest mails are asked for most. */
	for (uint32_t b = max_bucket.bucket;; b--) {
		found = row_lookup(fs, path, b, arena, ret_oid, err);
		if (found > 0)
			*bucket = b;
		if (found != 0 || b == 0)
			return found;
	}
}

static bool is_deleted(const struct dict_row *row, struct lab_view deleted)
{
	struct lab_view name = lab_view_skip(row->key, dictmap_directory_of(row->key).len);

	return deleted.len > 0 && lab_view_find(deleted, name) != SIZE_MAX;
}

int dictmap_row_nlinks(struct dictmap_fs *fs, struct lab_view oid, struct lab_view deleted,
	unsigned *ret, struct lab_error *err)
{
	struct dict_iterate_options options = { .limit = fs->conf.nlinks_limit,
		.max_rows = DICTMAP_ROWS_MAX };
	struct lab_arena *arena =
		lab_arena_new(dictmap_env(fs)->heap, (size_t)DICTMAP_ROWS_MAX * 512);
	struct dict_row *rows;
	size_t count = 0;
	int result = dict_iterate(fs->dict, dictmap_key_reverse_row(oid, LAB_VIEW(""), arena),
		&options, arena, &rows, &count, err);

	*ret = 0;
	for (size_t i = 0; result == 0 && i < count; i++)
		*ret += !is_deleted(&rows[i], deleted);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "count references of %.*s", LAB_VIEW_ARG(oid)) : 0;
}

/* ---- single rows ---- */

enum row_kind {
	ROW_FORWARD,
	ROW_REVERSE
};

static int row_insert(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, enum row_kind kind, struct lab_error *err)
{
	struct lab_arena *arena = row_arena(fs);
	struct dict_change_options options = { .timestamp_us = dictmap_bundle_insert_us(fs, path) };
	struct lab_view key, value;
	int result;

	if (kind == ROW_REVERSE) {
		key = dictmap_key_reverse_set(fs, path, oid, arena);
		value = path->name;
	} else {
		key = dictmap_key_forward(fs, path, bucket, arena);
		value = oid;
	}
	result = dict_set(fs->dict, key, value, &options, err);
	lab_arena_free(&arena);
	return result;
}

static int row_delete(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, enum row_kind kind, struct lab_error *err)
{
	struct lab_arena *arena = row_arena(fs);
	uint64_t ahead_ns = lab_defect(DELETE_NOT_AHEAD) ? 0 : fs->conf.delete_timestamp_ns;
	struct dict_change_options options = { .timestamp_offset_us = ahead_ns / 1000,
		.timestamp_us = dictmap_bundle_delete_us(fs, path) };
	struct lab_view key = kind == ROW_REVERSE ? dictmap_key_reverse_row(oid, path->name, arena)
						  : dictmap_key_forward(fs, path, bucket, arena);
	int result = dict_unset(fs->dict, key, &options, err);

	lab_arena_free(&arena);
	return result;
}

/* ---- insert ---- */

static void report_uncertain(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, const char *cleanup, const struct lab_error *err)
{
	ENV_EVENT(dictmap_env(fs), LAB_EV_fs_dictmap_dict_write_uncertain,
		LAB_F_TEXT("path", path->name), LAB_F_TEXT("object_id", oid),
		LAB_F_CSTR("cleanup", cleanup), LAB_F_CSTR("error", err->message));
}

/* A row that may have been written is deleted with a later timestamp: the tombstone also hides what
 * is applied only afterwards. Nothing less than a certain delete counts. */
static bool row_cleanup(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, enum row_kind kind)
{
	struct lab_error ignored;

	return row_delete(fs, path, bucket, oid, kind, &ignored) == 0;
}

static void mark_uncertain(bool cleaned)
{
	if (cleaned)
		LAB_MARK(row_cleaned_up);
	else
		LAB_MARK(row_left_uncertain);
}

static enum dictmap_residue residue_of(enum row_kind kind, bool cleaned)
{
	if (kind == ROW_FORWARD)
		return cleaned ? DICTMAP_RESIDUE_COPIES : DICTMAP_RESIDUE_FORWARD;
	return cleaned ? DICTMAP_RESIDUE_NONE : DICTMAP_RESIDUE_REVERSE;
}

/* `failed` is the row whose INSERT ended with *err; those before it are there. A reverse row goes
 * only when the forward row certainly is not there. */
static enum dictmap_residue insert_failed(struct dictmap_fs *fs, const struct dictmap_path *path,
	uint32_t bucket, struct lab_view oid, const enum row_kind *order, unsigned failed,
	bool may_clean, const struct lab_error *err)
{
	bool uncertain = err->code == LAB_UNCERTAIN && !lab_defect(CERTAIN_AFTER_UNCERTAIN);
	bool clean = may_clean && (!uncertain || fs->conf.cleanup_uncertain), disabled = !clean;
	enum dictmap_residue residue = DICTMAP_RESIDUE_NONE;

	for (unsigned n = failed + (uncertain ? 1 : 0); n-- > 0;) {
		clean = clean && (row_cleanup(fs, path, bucket, oid, order[n]) ||
					 lab_defect(CLEANUP_BELIEVED));
		residue = LAB_MAX(residue, residue_of(order[n], clean));
	}
	if (uncertain)
		mark_uncertain(clean);
	if (uncertain)
		report_uncertain(fs, path, oid,
			disabled ? "disabled"
			: clean  ? "success"
				 : "failed",
			err);
	return residue;
}

/* Nothing can be cleaned up: without the new row there would be the old one, or none. */
static int insert_diff(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid,
	enum dictmap_residue *ret_residue, struct lab_error *err)
{
	if (dictmap_diff_insert(fs, path, oid, err) == 0)
		return 0;
	*ret_residue = DICTMAP_RESIDUE_NONE;
	if (err->code == LAB_UNCERTAIN) {
		*ret_residue = DICTMAP_RESIDUE_FORWARD;
		report_uncertain(fs, path, oid, "disabled", err);
	}
	return -1;
}

int dictmap_rows_insert(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, bool may_clean, enum dictmap_residue *ret_residue,
	struct lab_error *err)
{
	enum row_kind order[2] = { ROW_REVERSE, ROW_FORWARD };
	unsigned count = 2, i = 0;

	if (dictmap_is_diff(fs, path))
		return insert_diff(fs, path, oid, ret_residue, err);
	if (lab_defect(FORWARD_BEFORE_REVERSE)) {
		order[0] = ROW_FORWARD;
		order[1] = ROW_REVERSE;
	}
	if (!dictmap_has_reverse(fs, path)) {
		order[0] = ROW_FORWARD;
		count = 1;
	}
	while (i < count && row_insert(fs, path, bucket, oid, order[i], err) == 0) {
		if (++i == 1 && count == 2)
			ENV_HOLD(dictmap_env(fs), reverse_row_inserted, fs->fs.settings.username);
	}
	if (i == count)
		return 0;
	*ret_residue = insert_failed(fs, path, bucket, oid, order, i, may_clean, err);
	if (*ret_residue == DICTMAP_RESIDUE_FORWARD) {
		err->code = LAB_UNCERTAIN;
	} else if (err->code == LAB_UNCERTAIN) {
		err->code = LAB_UNAVAILABLE;
		err->retryable = true;
	}
	return -1;
}

/* ---- delete ---- */

/* The mail is gone for its user as soon as the forward row is; whatever fails after that leaves a
 * leak, which is logged and not the user's business (HD-13). */
static bool reverse_delete(
	struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid)
{
	struct lab_error err;

	ENV_HOLD(dictmap_env(fs), forward_row_deleted, fs->fs.settings.username);
	if (row_delete(fs, path, 0, oid, ROW_REVERSE, &err) == 0)
		return true;
	report_uncertain(fs, path, oid, "failed", &err);
	return false;
}

static bool reverse_delete_and_count(
	struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid)
{
	struct lab_error err;
	unsigned nlinks;

	if (!reverse_delete(fs, path, oid))
		return false;
	if (dictmap_row_nlinks(fs, oid, LAB_VIEW(""), &nlinks, &err) < 0)
		return false;
	if (nlinks == 0)
		LAB_MARK(last_reference);
	else
		LAB_MARK(reference_left);
	return nlinks == 0 || (lab_defect(ONE_REFERENCE_TOO_FEW) && nlinks == 1);
}

int dictmap_rows_delete(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, bool *ret_unreferenced, struct lab_error *err)
{
	*ret_unreferenced = dictmap_is_diff(fs, path);
	if (*ret_unreferenced)
		return dictmap_diff_delete(fs, path, err) < 0 ? -1 : 0;
	if (lab_defect(REVERSE_ROW_FIRST) && dictmap_has_reverse(fs, path))
		(void)reverse_delete(fs, path, oid);
	if (row_delete(fs, path, bucket, oid, ROW_FORWARD, err) < 0 &&
		!(lab_defect(UNCERTAIN_DELETE_IS_DONE) && err->code == LAB_UNCERTAIN))
		return -1;
	*ret_unreferenced =
		!dictmap_has_reverse(fs, path) || reverse_delete_and_count(fs, path, oid);
	return 0;
}

int dictmap_rows_delete_known(struct dictmap_fs *fs, const struct dictmap_path *path,
	uint32_t bucket, struct lab_view oid, bool is_last, bool *ret_unreferenced,
	struct lab_error *err)
{
	if (!dictmap_has_reverse(fs, path))
		return dictmap_rows_delete(fs, path, bucket, oid, ret_unreferenced, err);
	*ret_unreferenced = false;
	if (row_delete(fs, path, bucket, oid, ROW_FORWARD, err) < 0 &&
		!(lab_defect(UNCERTAIN_DELETE_IS_DONE) && err->code == LAB_UNCERTAIN))
		return -1;
	*ret_unreferenced = reverse_delete(fs, path, oid) && is_last;
	return 0;
}
