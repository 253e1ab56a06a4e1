/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-store.c - the objects of a user's fts/ directory: read, written, deleted.
 */
#include "core/fts/fts-private.h"

static struct fs_file *open_object(struct fts_user *user, enum fts_kind kind,
	const struct fts_guid *guid, enum fs_open_mode mode)
{
	char name[FTS_NAME_MAX];

	fts_name_format(kind, guid, name);
	return fs_file_open(user->fs, lab_view_cstr(name), mode);
}

int fts_object_read(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct fs_file *file = open_object(user, kind, guid, FS_OPEN_READONLY);
	int result = fs_read_content(file, arena, FTS_FILE_MAX, ret, err);

	fs_file_close(&file);
	return result;
}

int fts_object_write(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	bool is_newest, struct lab_view contents, struct lab_error *err)
{
	struct fs_file *file = open_object(user, kind, guid, FS_OPEN_CREATE);
	int result;

	fs_set_metadata(file, "username", lab_view_cstr(obox_user_name(user->user)));
	if (is_newest)
		fs_set_metadata(file, FS_METADATA_NEWEST, LAB_VIEW("yes"));
	result = fs_write(file, contents, err);
	fs_file_close(&file);
	return result;
}

void fts_object_throw_away(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid)
{
	char name[FTS_NAME_MAX];
	void **slot;

	fts_name_format(kind, guid, name);
	slot = lab_map_slot(user->garbage, lab_view_cstr(name));
	if (slot != NULL)
		*slot = user;
}

/* Without its D a triplet is none: so that goes first. */
void fts_triplet_throw_away(struct fts_user *user, const struct fts_guid *guid)
{
	fts_object_throw_away(user, FTS_D, guid);
	fts_object_throw_away(user, FTS_W, guid);
	fts_object_throw_away(user, FTS_L, guid);
}

#define DELETE_BATCH 1000

static size_t open_garbage(struct fts_user *user, struct fs_file **files)
{
	struct lab_map_iter iter = lab_map_iterate(user->garbage);
	struct lab_view name;
	size_t count = 0;
	void *value;

	while (count < DELETE_BATCH && lab_map_next(&iter, &name, &value))
		files[count++] = fs_file_open(user->fs, name, FS_OPEN_READONLY);
	return count;
}

void fts_delete_garbage(struct fts_user *user)
{
	struct lab_heap *heap = user->env->heap;
	struct fs_file **files = lab_new_array(heap, struct fs_file *, DELETE_BATCH);
	struct lab_error *results = lab_new_array(heap, struct lab_error, DELETE_BATCH), ignored;
	size_t count = open_garbage(user, files);

	fs_set_reason(user->fs, "fts:index");
	if (count > 0)
		(void)fs_delete_many(files, count, results, &ignored);
	for (size_t i = 0; i < count; i++) {
		if (results[i].code == LAB_OK || results[i].code == LAB_NOT_FOUND)
			(void)lab_map_remove(user->garbage, fs_file_path(files[i]));
		fs_file_close(&files[i]);
	}
	lab_heap_free(heap, results);
	lab_heap_free(heap, files);
}

void fts_object_set_aside(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	const struct lab_error *why)
{
	char name[FTS_NAME_MAX];
	void **slot;

	fts_name_format(kind, guid, name);
	ENV_EVENT(user->env, LAB_EV_fts_object_set_aside,
		LAB_F_CSTR("user", obox_user_name(user->user)), LAB_F_CSTR("filename", name),
		LAB_F_CODE("code", why->code), LAB_F_CSTR("error", why->message));
	slot = lab_map_slot(user->ignored, lab_view_cstr(name));
	if (slot != NULL)
		*slot = user;
	/* It may be of use to whoever wrote it. */
	if (why->code == LAB_UNSUPPORTED)
		return;
	if (kind == FTS_D || kind == FTS_W || kind == FTS_L)
		fts_triplet_throw_away(user, guid);
	else
		fts_object_throw_away(user, kind, guid);
}
