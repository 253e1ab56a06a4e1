/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-iter.c - listing what the dict knows: a folder's mails bucket by bucket, bundles, folders
 * (obox 3.5, 3.11).
 */
#include "core/fs/fs-dictmap-private.h"

#define PARALLEL_BUCKETS_MAX 64

struct listing {
	struct dictmap_fs *fs;
	const struct dictmap_path *path;
	struct lab_arena *arena;
	size_t max_entries;
	struct dictmap_max_bucket max_bucket;
	uint64_t asked_ns; /* before it was read */
	size_t bucket_count;
	struct bucket_listing {
		struct dict_row *rows;
		size_t count;
		int result;
		struct lab_error err;
	} * buckets;
};

static void list_bucket(void *ctx, size_t bucket)
{
	struct listing *l = ctx;
	struct bucket_listing *b = &l->buckets[bucket];
	struct dict_iterate_options options = { .max_rows = l->max_entries };

	b->result = dict_iterate(l->fs->dict,
		dictmap_key_forward(l->fs, l->path, (uint32_t)bucket, l->arena), &options, l->arena,
		&b->rows, &b->count, &b->err);
}

/* The last part of a key, as it was before it was escaped. */
static struct lab_view last_part(struct listing *l, struct lab_view key)
{
	struct lab_buf plain;
	struct lab_view name;

	name = lab_view_skip(key, dictmap_directory_of(key).len);
	if (lab_view_find_byte(name, '\\') == SIZE_MAX)
		return name;
	lab_buf_init(&plain, l->fs->fs.settings.env->heap, name.len);
	if (dict_unescape(&plain, name) == 0)
		name = lab_arena_copy(l->arena, lab_buf_view(&plain));
	lab_buf_done(&plain);
	return name;
}

/* What deletes such a row without a look for it. */
static const char *version_of(struct listing *l, size_t bucket)
{
	return l->path->kind == DICTMAP_MAIL ? lab_arena_printf(l->arena, "%zu/", bucket)
					     : FS_VERSION_ONCE "/";
}

static struct lab_view listed_name(
	struct listing *l, const struct dict_row *row, size_t bucket, uint32_t flags)
{
	struct lab_view name = last_part(l, row->key);

	if ((flags & FS_ITER_OBJECTIDS) == 0)
		return name;
	return lab_view_cstr(lab_arena_printf(l->arena, "%.*s/%s%.*s",
		LAB_VIEW_ARG(dictmap_is_passthrough(l->fs) ? LAB_VIEW("") : row->values.items[0]),
		(flags & FS_ITER_VERSIONS) != 0 ? version_of(l, bucket) : "", LAB_VIEW_ARG(name)));
}

/* All buckets into one list of names. */
static int collect_names(struct listing *l, uint32_t flags, struct lab_view **ret_names,
	size_t *ret_count, struct lab_error *err)
{
	size_t total = 0, n = 0;

	for (size_t b = 0; b < l->bucket_count; b++)
		total += l->buckets[b].count;
	if (total > l->max_entries)
		return lab_fail(err, LAB_LIMIT, "dictmap: more than %zu names", l->max_entries);
	*ret_names = lab_arena_array(l->arena, struct lab_view, total);
	for (size_t b = 0; b < l->bucket_count; b++) {
		for (size_t i = 0; i < l->buckets[b].count; i++)
			(*ret_names)[n++] = listed_name(l, &l->buckets[b].rows[i], b, flags);
	}
	*ret_count = total;
	return 0;
}

static int check_buckets(const struct listing *l, struct lab_error *err)
{
	for (size_t b = 0; b < l->bucket_count; b++) {
		if (l->buckets[b].result < 0) {
			*err = l->buckets[b].err;
			return lab_error_wrap(err, "list bucket %zu", b);
		}
	}
	return 0;
}

/* A crash between the first row of a new bucket and max_bucket, or a max_bucket that was lost, is
 * repaired here (HD-2): with NOCACHE the buckets above the last one are looked at, too, up to the
 * first empty one. */
static int probe_above(struct listing *l, struct lab_error *err)
{
	for (;;) {
		size_t next = l->bucket_count;
		struct bucket_listing *more =
			lab_arena_array(l->arena, struct bucket_listing, next + 1);

		memcpy(more, l->buckets, next * sizeof(*more));
		l->buckets = more;
		list_bucket(l, next);
		l->bucket_count = next + 1;
		if (check_buckets(l, err) < 0)
			return -1;
		if (more[next].count == 0) {
			l->bucket_count = next;
			return 0;
		}
		if (dictmap_bucket_raise(
			    l->fs, l->path->guid, (uint32_t)next, &l->max_bucket, "iter", err) < 0)
			return -1;
	}
}

static void report_empty_buckets(const struct listing *l)
{
	for (size_t b = 0; b + 1 < l->bucket_count; b++) {
		if (l->buckets[b].count == 0)
			ENV_EVENT(l->fs->fs.settings.env, LAB_EV_fs_dictmap_empty_bucket_iterated,
				LAB_F_U64("empty_bucket", b),
				LAB_F_U64("max_bucket", l->bucket_count - 1));
	}
}

/* A host with old map files may have put a row into one of them since they were listed; it looks at
 * max_bucket after that. What cannot be listed may have one. */
static void look_into_given_up(struct listing *l, size_t count)
{
	size_t used = l->bucket_count;
	struct lab_error err;

	for (size_t b = l->bucket_count; b < count; b++) {
		list_bucket(l, b);
		if (l->buckets[b].result < 0)
			l->buckets[b].count = 0;
		if (l->buckets[b].result < 0 || l->buckets[b].count > 0)
			used = b + 1;
	}
	if (used > l->bucket_count &&
		dictmap_bucket_give_back(l->fs, l->path->guid, (uint32_t)used - 1, &err) == 0)
		l->bucket_count = used;
}

/* Since 2.3.14: each first access to the folder would list them (PRO-02). */
static void lower_max_bucket(struct listing *l)
{
	size_t used = l->bucket_count, before = used;
	struct dictmap_bucket_listing listing = { .max_bucket = (uint32_t)l->bucket_count - 1,
		.written_us = l->max_bucket.written_us,
		.asked_ns = l->asked_ns };

	while (used > 1 && l->buckets[used - 1].count == 0)
		used--;
	listing.last_used = (uint32_t)used - 1;
	if (used < l->bucket_count)
		l->bucket_count = (size_t)dictmap_bucket_lower(l->fs, l->path->guid, &listing) + 1;
	if (l->bucket_count < before)
		look_into_given_up(l, before);
}

static int iter_mails(struct listing *l, uint32_t flags, struct lab_view **ret_names,
	size_t *ret_count, struct lab_error *err)
{
	unsigned parallel = LAB_MIN(l->fs->conf.max_parallel_iter, PARALLEL_BUCKETS_MAX);
	uint32_t top;

	l->asked_ns = env_now(l->fs->fs.settings.env);
	if (dictmap_bucket_max(l->fs, l->path->guid, &l->max_bucket, err) < 0)
		return -1;
	l->bucket_count = (size_t)l->max_bucket.bucket + 1;
	l->buckets = lab_arena_array(l->arena, struct bucket_listing, l->bucket_count);
	env_for_each(
		l->fs->fs.settings.env, l->bucket_count, LAB_MAX(1u, parallel), list_bucket, l);
	if (check_buckets(l, err) < 0)
		return -1;
	if ((flags & FS_ITER_NOCACHE) != 0 && l->fs->conf.bucket_size > 0 &&
		probe_above(l, err) < 0)
		return -1;
	report_empty_buckets(l);
	lower_max_bucket(l);
	top = (uint32_t)l->bucket_count - 1;
	dictmap_bucket_counted(l->fs, l->path->guid, top, l->buckets[top].count);
	return collect_names(l, flags, ret_names, ret_count, err);
}

static struct lab_view listed_diff(
	struct listing *l, const struct dictmap_diff *diff, uint32_t flags)
{
	struct lab_view oid = diff->oid;

	if ((flags & FS_ITER_OBJECTIDS) == 0)
		return diff->name;
	if ((flags & FS_ITER_VERSIONS) == 0)
		return lab_view_cstr(lab_arena_printf(
			l->arena, "%.*s/%.*s", LAB_VIEW_ARG(oid), LAB_VIEW_ARG(diff->name)));
	return lab_view_cstr(lab_arena_printf(l->arena, "%.*s/%" PRIu64 "@%.*s/%.*s",
		LAB_VIEW_ARG(oid), diff->written_us, LAB_VIEW_ARG(last_part(l, diff->key)),
		LAB_VIEW_ARG(diff->name)));
}

/* Bundles of all hosts, behind the bases. */
static int add_diffs(struct listing *l, uint32_t flags, struct lab_view **names, size_t *count,
	struct lab_error *err)
{
	struct lab_view *all;
	struct dictmap_diff *diffs;
	size_t diff_count;

	if (dictmap_diff_list(l->fs, l->path, l->arena, &diffs, &diff_count, err) < 0)
		return -1;
	if (*count + diff_count > l->max_entries)
		return lab_fail(err, LAB_LIMIT, "dictmap: more than %zu names", l->max_entries);
	all = lab_arena_array(l->arena, struct lab_view, *count + diff_count);
	memcpy(all, *names, *count * sizeof(*all));
	for (size_t i = 0; i < diff_count; i++)
		all[*count + i] = listed_diff(l, &diffs[i], flags);
	*names = all;
	*count += diff_count;
	return 0;
}

static int iter_rows(struct listing *l, struct lab_view key, uint32_t flags,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err)
{
	struct dict_iterate_options options = { .max_rows = l->max_entries };
	struct dict_row *rows;
	size_t count = 0;

	if (dict_iterate(l->fs->dict, key, &options, l->arena, &rows, &count, err) < 0)
		return -1;
	*ret_names = lab_arena_array(l->arena, struct lab_view, count);
	for (size_t i = 0; i < count; i++)
		(*ret_names)[i] = listed_name(l, &rows[i], 0, flags);
	*ret_count = count;
	return 0;
}

/* <user>/ and <user>/mailboxes/ exist in the dict only as parts of other names (obox 3.5). */
static int iter_directories(struct listing *l, struct lab_view path, struct lab_view **ret_names,
	size_t *ret_count, struct lab_error *err)
{
	const char *user = l->fs->fs.settings.username;
	struct lab_view root = lab_view_cstr(lab_arena_printf(l->arena, "%s/", user));

	if (lab_view_eq(path, root)) {
		*ret_names = lab_arena_array(l->arena, struct lab_view, 2);
		(*ret_names)[0] = LAB_VIEW("idx");
		(*ret_names)[1] = LAB_VIEW("mailboxes");
		*ret_count = 2;
		return 0;
	}
	if (lab_view_eq(lab_view_skip(path, root.len), LAB_VIEW("mailboxes/")))
		return iter_rows(
			l, dictmap_key_folders(l->fs, l->arena), 0, ret_names, ret_count, err);
	*ret_count = 0;
	return 0;
}

int dictmap_iter(struct fs *base, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct dictmap_path parsed;
	struct listing l = { .fs = (struct dictmap_fs *)base,
		.path = &parsed,
		.arena = arena,
		.max_entries = LAB_MIN(max_entries, (size_t)DICTMAP_ROWS_MAX) };

	if (path.len > 0 && !lab_view_ends_with(path, LAB_VIEW("/")))
		path = lab_view_cstr(lab_arena_printf(arena, "%.*s/", LAB_VIEW_ARG(path)));
	if ((flags & FS_ITER_DIRS) != 0)
		return iter_directories(&l, path, ret_names, ret_count, err);
	if (dictmap_path_parse(l.fs, path, arena, &parsed, err) < 0)
		return -1;
	if (parsed.kind == DICTMAP_MAIL)
		return iter_mails(&l, flags, ret_names, ret_count, err);
	if (iter_rows(&l, dictmap_key_forward(l.fs, &parsed, 0, arena), flags, ret_names, ret_count,
		    err) < 0)
		return -1;
	if (!l.fs->conf.diff_table || parsed.kind == DICTMAP_FTS)
		return 0;
	return add_diffs(&l, flags, ret_names, ret_count, err);
}
