/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/dictmap-migrate.h"

#include "core/fs/fs-dictmap-private.h"

#define FOLDERS_MAX 100000
#define BUNDLES_MAX 100000
#define LIST_ARENA_MAX ((size_t)DICTMAP_ROWS_MAX * 512)

struct migration {
	struct dictmap_fs *fs;
	struct lab_arena *arena; /* of one directory */
	struct dictmap_migrated *counts;
	struct lab_map *known; /* names that have a row */
	dictmap_host_fn host;
	void *host_ctx;
};

static struct dictmap_fs *find_dictmap(struct fs *fs)
{
	while (fs != NULL && strcmp(fs_driver_name(fs), "dictmap") != 0)
		fs = fs_parent(fs);
	return (struct dictmap_fs *)fs;
}

static struct lab_heap *heap_of(const struct migration *m)
{
	return m->fs->fs.settings.env->heap;
}

/* ---- one row ---- */

static int add_mail(struct migration *m, struct lab_view path, const struct dictmap_path *parsed,
	struct lab_error *err)
{
	enum dictmap_residue residue;
	uint32_t bucket;

	(void)path;
	if (dictmap_bucket_reserve(m->fs, parsed->guid, &bucket, err) < 0)
		return -1;
	/* What is uncertain is left alone: the object is there, so no row of it dangles. */
	if (dictmap_rows_insert(m->fs, parsed, bucket, parsed->name, false, &residue, err) == 0)
		return dictmap_bucket_confirm(m->fs, parsed->guid, bucket, err);
	if (err->code != LAB_UNCERTAIN)
		dictmap_bucket_release(m->fs, parsed->guid, bucket);
	return -1;
}

/* Two bundles never have the same GUID at their ends. */
static struct lab_view tail_of(struct lab_view name)
{
	return lab_view_skip(name, name.len - LAB_MIN(name.len, (size_t)DICTMAP_GUID_HEX));
}

static int add_bundle(struct migration *m, struct lab_view path, const struct dictmap_path *parsed,
	struct lab_error *err)
{
	enum dictmap_residue residue;
	struct lab_view value = LAB_VIEW(""), host;

	if (dictmap_is_diff(m->fs, parsed)) {
		if (m->host(m->host_ctx, path, m->arena, &host, err) < 0)
			return -1;
		return dictmap_diff_insert_as(
			m->fs, parsed, value, host.len > 0 ? host : tail_of(parsed->name), err);
	}
	if (m->fs->conf.storage_passthrough_paths == FS_URI_PASSTHROUGH_READ_ONLY)
		value = dictmap_path_in_hex(path, m->arena);
	return dictmap_rows_insert(m->fs, parsed, 0, value, false, &residue, err);
}

/* ---- one directory ---- */

static int read_known(struct migration *m, struct lab_view directory, struct lab_error *err)
{
	struct lab_view *names;
	size_t count;

	if (dictmap_iter(&m->fs->fs, directory, FS_ITER_NOCACHE, DICTMAP_ROWS_MAX, m->arena, &names,
		    &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		*lab_map_slot(m->known, names[i]) = m;
	return 0;
}

typedef int (*add_fn)(struct migration *m, struct lab_view path, const struct dictmap_path *parsed,
	struct lab_error *err);

static int add_names(
	struct migration *m, struct lab_view directory, add_fn add, struct lab_error *err)
{
	struct lab_view *names, path;
	struct dictmap_path parsed;
	size_t count;

	if (fs_iter(m->fs->fs.parent, directory, FS_ITER_NOCACHE, DICTMAP_ROWS_MAX, m->arena,
		    &names, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (add == add_mail && !dictmap_is_guid(names[i]))
			continue;
		if (lab_map_get(m->known, names[i]) != NULL) {
			m->counts->kept++;
			continue;
		}
		path = lab_view_cstr(lab_arena_printf(
			m->arena, "%.*s%.*s", LAB_VIEW_ARG(directory), LAB_VIEW_ARG(names[i])));
		if (dictmap_path_parse(m->fs, path, m->arena, &parsed, err) < 0 ||
			add(m, path, &parsed, err) < 0)
			return lab_error_wrap(err, "migrate %.*s", LAB_VIEW_ARG(path));
		m->counts->added++;
	}
	return 0;
}

/* The rows first: what another attempt leaves behind in between is found by its row. */
static int migrate_directory(
	struct migration *m, const char *directory, add_fn add, struct lab_error *err)
{
	int result;

	m->arena = lab_arena_new(heap_of(m), LIST_ARENA_MAX);
	m->known = lab_map_new(heap_of(m), DICTMAP_ROWS_MAX);
	result = read_known(m, lab_view_cstr(directory), err);
	if (result == 0)
		result = add_names(m, lab_view_cstr(directory), add, err);
	lab_map_free(&m->known);
	lab_arena_free(&m->arena);
	return result;
}

/* ---- a user ---- */

static int migrate_folders(
	struct migration *m, const char *below, add_fn add, struct lab_error *err)
{
	const char *user = m->fs->fs.settings.username;
	struct lab_arena *arena = lab_arena_new(heap_of(m), LIST_ARENA_MAX);
	struct lab_view *guids;
	size_t count = 0;
	int result = fs_iter(m->fs->fs.parent,
		lab_view_cstr(lab_arena_printf(arena, "%s/mailboxes/", user)),
		FS_ITER_DIRS | FS_ITER_NOCACHE, FOLDERS_MAX, arena, &guids, &count, err);

	for (size_t i = 0; result == 0 && i < count; i++) {
		if (!dictmap_is_guid(guids[i]))
			continue;
		m->counts->folders++;
		result = migrate_directory(m,
			lab_arena_printf(
				arena, "%s/mailboxes/%.*s/%s", user, LAB_VIEW_ARG(guids[i]), below),
			add, err);
	}
	lab_arena_free(&arena);
	return result;
}

int dictmap_migrate_mails(struct fs *stack, struct dictmap_migrated *ret, struct lab_error *err)
{
	struct migration m = { .fs = find_dictmap(stack), .counts = ret };

	if (m.fs == NULL || !m.fs->conf.storage_objectid_migrate)
		return lab_fail(err, LAB_INVALID,
			"mails are migrated with dictmap and storage-objectid-migrate");
	return migrate_folders(&m, "", add_mail, err);
}

int dictmap_migrate_bundles(struct fs *stack, dictmap_host_fn host, void *ctx,
	struct dictmap_migrated *ret, struct lab_error *err)
{
	struct migration m = {
		.fs = find_dictmap(stack), .counts = ret, .host = host, .host_ctx = ctx
	};
	struct lab_arena *arena;
	int result;

	if (m.fs == NULL || !dictmap_is_passthrough(m.fs))
		return lab_fail(err, LAB_INVALID,
			"index bundles are migrated with dictmap and storage-passthrough-paths");
	arena = lab_arena_new(heap_of(&m), LIST_ARENA_MAX);
	result = migrate_directory(&m,
		lab_arena_printf(arena, "%s/idx/", m.fs->fs.settings.username), add_bundle, err);
	lab_arena_free(&arena);
	return result < 0 ? -1 : migrate_folders(&m, "idx/", add_bundle, err);
}
