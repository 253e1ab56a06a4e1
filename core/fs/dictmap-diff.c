/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-diff.c - diff and self bundles with `diff-table`: one row for each host, which says the
 * name of its bundle, so that a new bundle overwrites a row and leaves no tombstone (obox 2, maps 6
 * and 7 of 3.4, HD-10 to HD-12).
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/base/defect.h"

#define ROW_ARENA_MAX (4u * 1024 * 1024)
/* One for each host that ever served the user. */
#define DIFF_ROWS_MAX 10000
/* From the name of a bundle to its row: its object is written in between. */
#define BUNDLE_WRITE_US UINT64_C(60000000)

/* A base is "bundle." and a time and a GUID; a diff has a second GUID; all else is of one host. */
static bool is_base(struct lab_view name)
{
	return lab_view_starts_with(name, LAB_VIEW("bundle.")) &&
	       lab_view_find_byte(name, '-') == SIZE_MAX;
}

bool dictmap_is_diff(const struct dictmap_fs *fs, const struct dictmap_path *path)
{
	return fs->conf.diff_table && path->name.len > 0 && !is_base(path->name) &&
	       (path->kind == DICTMAP_FOLDER_INDEX || path->kind == DICTMAP_USER_INDEX);
}

/* When a bundle was made, by the clock of the host that made it, to the second: its name begins
 * with that. 0: it is no bundle. */
static uint64_t made_us(const struct dictmap_path *path)
{
	struct lab_view rest = path->name, word, seconds;
	uint8_t bytes[4];

	if ((path->kind != DICTMAP_FOLDER_INDEX && path->kind != DICTMAP_USER_INDEX) ||
		!lab_view_split(&rest, '.', &word) || !lab_view_split(&rest, '.', &seconds) ||
		seconds.len != 2 * sizeof(bytes) || lab_unhex(seconds, bytes, sizeof(bytes)) < 0)
		return 0;
	return ((uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 |
		       bytes[3]) *
	       1000000;
}

/* The row is not much later and, as no name is used twice, nothing that comes later is hidden. */
uint64_t dictmap_bundle_delete_us(const struct dictmap_fs *fs, const struct dictmap_path *path)
{
	uint64_t now_us = env_wall_us(fs->fs.settings.env) + fs->conf.delete_timestamp_ns / 1000;
	uint64_t made = made_us(path), after_us = made + BUNDLE_WRITE_US;

	return made > 0 && after_us > now_us ? after_us : 0;
}

/* The driver's own times do not go back with the clock, and those of the names do: a row that is
 * later than its name by an hour is there after it was deleted. What is written again long after it
 * was made (a rebuild) must be later than its deletion. */
uint64_t dictmap_bundle_insert_us(const struct dictmap_fs *fs, const struct dictmap_path *path)
{
	uint64_t now_us = env_wall_us(fs->fs.settings.env), made = made_us(path);

	return made > 0 && made <= now_us && now_us < made + BUNDLE_WRITE_US ? made : 0;
}

/* ---- the times of this host's rows ---- */

static void *new_time(struct env *env, struct lab_view key)
{
	(void)key;
	return lab_new(env->heap, uint64_t);
}

/* The latest that this process has given a row of a diff, or seen of its user's. */
static uint64_t *last_time(struct dictmap_fs *fs)
{
	struct fs_shared *shared = fs->fs.settings.services->shared;

	if (shared == NULL)
		return &fs->own_diff_us;
	return fs_shared_get(shared, LAB_VIEW("dictmap diff rows"), new_time, NULL);
}

/* A row is written again and again, and must count although the clock was set back. Who gives some
 * of them the times of a clock of its own, which does not go back, must do that with all: what one
 * of them had, the other does not know. */
static uint64_t next_time(struct dictmap_fs *fs)
{
	uint64_t *last = last_time(fs);

	*last = LAB_MAX(*last + 1, env_wall_us(fs->fs.settings.env));
	return *last;
}

/* ---- reading ---- */

static int parse_row(struct dictmap_fs *fs, const struct dict_row *row, struct dictmap_diff *ret,
	struct lab_error *err)
{
	*ret = (struct dictmap_diff){ .key = row->key, .name = row->values.items[0] };
	if (row->values.count > 1 && lab_view_to_u64(row->values.items[1], &ret->written_us) < 0)
		return lab_fail(err, LAB_CORRUPT, "dictmap: write time of %.*s is %.*s",
			LAB_VIEW_ARG(row->key), LAB_VIEW_ARG(row->values.items[1]));
	if (!dictmap_is_passthrough(fs) && !lab_view_split(&ret->name, '/', &ret->oid))
		return lab_fail(err, LAB_CORRUPT,
			"dictmap: %.*s is %.*s, not an object id and a name",
			LAB_VIEW_ARG(row->key), LAB_VIEW_ARG(row->values.items[0]));
	return 0;
}

int dictmap_diff_list(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_arena *arena, struct dictmap_diff **ret, size_t *ret_count,
	struct lab_error *err)
{
	struct dict_iterate_options options = { .max_rows = DIFF_ROWS_MAX };
	struct lab_view own =
		dictmap_key_diff(fs, path, lab_view_cstr(fs->fs.settings.env->hostname), arena);
	struct dict_row *rows;

	if (dict_iterate(fs->dict, dictmap_key_diff(fs, path, LAB_VIEW(""), arena), &options, arena,
		    &rows, ret_count, err) < 0)
		return -1;
	*ret = lab_arena_array(arena, struct dictmap_diff, *ret_count);
	for (size_t i = 0; i < *ret_count; i++) {
		if (parse_row(fs, &rows[i], &(*ret)[i], err) < 0)
			return -1;
		if (lab_view_eq(rows[i].key, own))
			*last_time(fs) = LAB_MAX(*last_time(fs), (*ret)[i].written_us);
	}
	return 0;
}

int dictmap_diff_find(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_arena *arena, struct dictmap_diff *ret, struct lab_error *err)
{
	struct dictmap_diff *diffs;
	size_t count;

	if (dictmap_diff_list(fs, path, arena, &diffs, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq(diffs[i].name, path->name)) {
			*ret = diffs[i];
			return 1;
		}
	}
	return 0;
}

/* ---- changing ---- */

/* At timestamp_us; 0: now. */
static int insert_row(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid,
	struct lab_view host, uint64_t timestamp_us, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(fs->fs.settings.env->heap, ROW_ARENA_MAX);
	struct dict_change_options options = { .timestamp_us = timestamp_us };
	struct lab_view value = path->name;
	int result;

	if (!dictmap_is_passthrough(fs))
		value = lab_view_cstr(lab_arena_printf(
			arena, "%.*s/%.*s", LAB_VIEW_ARG(oid), LAB_VIEW_ARG(path->name)));
	result = dict_set(fs->dict, dictmap_key_diff(fs, path, host, arena), value, &options, err);
	lab_arena_free(&arena);
	return result;
}

int dictmap_diff_insert(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid,
	struct lab_error *err)
{
	return insert_row(
		fs, path, oid, lab_view_cstr(fs->fs.settings.env->hostname), next_time(fs), err);
}

int dictmap_diff_insert_as(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, struct lab_view host, struct lab_error *err)
{
	return insert_row(fs, path, oid, host, 0, err);
}

int dictmap_diff_delete(
	struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(fs->fs.settings.env->heap, ROW_ARENA_MAX);
	struct dict_change_options options = { 0 };
	struct dictmap_diff diff;
	int result = dictmap_diff_find(fs, path, arena, &diff, err);

	if (result > 0) {
		options.timestamp_us = diff.written_us;
		result = dict_unset(fs->dict, diff.key, &options, err);
	}
	lab_arena_free(&arena);
	return result;
}

int dictmap_diff_delete_version(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view version, struct lab_error *err)
{
	struct lab_arena *arena;
	struct dict_change_options options = { 0 };
	struct lab_view host = version, written;
	int result;

	if (!lab_view_split(&host, '@', &written) || host.len == 0 ||
		lab_view_to_u64(written, &options.timestamp_us) < 0)
		return lab_fail(err, LAB_INVALID, "dictmap: %.*s is not the version of a row",
			LAB_VIEW_ARG(version));
	/* What was told of a write of another host, which may have written its row again. */
	if (options.timestamp_us == 0 && !lab_view_eq_cstr(host, fs->fs.settings.env->hostname) &&
		!lab_defect(OTHERS_ROW_DELETED_NOW))
		return dictmap_diff_delete(fs, path, err);
	arena = lab_arena_new(fs->fs.settings.env->heap, ROW_ARENA_MAX);
	if (lab_defect(DIFF_ROW_DELETED_AHEAD))
		options =
			(struct dict_change_options){ .timestamp_offset_us =
							      fs->conf.delete_timestamp_ns / 1000 };
	result = dict_unset(fs->dict, dictmap_key_diff(fs, path, host, arena), &options, err);
	lab_arena_free(&arena);
	return result;
}
