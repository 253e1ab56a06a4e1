/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-path.c - the virtual filesystem over the dict (obox 3.5): paths to keys.
 */
#include "core/fs/fs-dictmap-private.h"

#define PATH_MAX_BYTES 1024
/* Escaping makes it twice as long at most. */
#define KEY_MAX 8192

static int bad_path(struct lab_view path, struct lab_error *err)
{
	return lab_fail(err, LAB_INVALID, "dictmap: Invalid path: %.*s", LAB_VIEW_ARG(path));
}

static bool take_prefix(struct lab_view *rest, struct lab_view prefix)
{
	if (!lab_view_starts_with(*rest, prefix))
		return false;
	*rest = lab_view_skip(*rest, prefix.len);
	return true;
}

struct lab_view dictmap_directory_of(struct lab_view path)
{
	while (path.len > 0 && path.ptr[path.len - 1] != '/')
		path.len--;
	return path;
}

/* GUIDs and mail names go into the dict as blobs: anything but hex would not come back. */
bool dictmap_is_guid(struct lab_view text)
{
	uint8_t guid[DICTMAP_GUID_HEX / 2];

	return text.len == DICTMAP_GUID_HEX && lab_unhex(text, guid, sizeof(guid)) == 0;
}

struct lab_view dictmap_path_in_hex(struct lab_view path, struct lab_arena *arena)
{
	char *hex = lab_arena_alloc(arena, 2 * path.len + 1);

	lab_hex(path.ptr, path.len, hex);
	return lab_view_cstr(hex);
}

static int parse_mailbox(struct lab_view rest, struct dictmap_path *ret)
{
	size_t slash = lab_view_find_byte(rest, '/');

	if (slash == SIZE_MAX)
		return -1;
	ret->guid = lab_view_sub(rest, 0, slash);
	ret->name = lab_view_skip(rest, slash + 1);
	ret->kind = DICTMAP_MAIL;
	if (!dictmap_is_guid(ret->guid))
		return -1;
	if (take_prefix(&ret->name, LAB_VIEW("idx/"))) {
		ret->kind = DICTMAP_FOLDER_INDEX;
		return 0;
	}
	return ret->name.len == 0 || dictmap_is_guid(ret->name) ? 0 : -1;
}

int dictmap_path_parse(struct dictmap_fs *fs, struct lab_view path, struct lab_arena *arena,
	struct dictmap_path *ret, struct lab_error *err)
{
	struct lab_view rest = path;

	if (path.len > PATH_MAX_BYTES)
		return lab_fail(err, LAB_INVALID, "dictmap: path has %zu bytes, more than %d",
			path.len, PATH_MAX_BYTES);
	if (fs->conf.dict_prefix.len > 0)
		rest = lab_view_cstr(lab_arena_printf(
			arena, "%.*s%.*s", LAB_VIEW_ARG(fs->conf.dict_prefix), LAB_VIEW_ARG(path)));
	*ret = (struct dictmap_path){ 0 };
	if (!take_prefix(&rest, lab_view_cstr(fs->fs.settings.username)) ||
		!take_prefix(&rest, LAB_VIEW("/")))
		return bad_path(path, err);
	if (take_prefix(&rest, LAB_VIEW("mailboxes/")))
		return parse_mailbox(rest, ret) == 0 ? 0 : bad_path(path, err);
	if (take_prefix(&rest, LAB_VIEW("idx/")))
		ret->kind = DICTMAP_USER_INDEX;
	else if (take_prefix(&rest, LAB_VIEW("fts/")))
		ret->kind = DICTMAP_FTS;
	else
		return bad_path(path, err);
	ret->name = rest;
	return 0;
}

/* ---- keys ---- */

static struct lab_view user_key(
	struct dictmap_fs *fs, const char *map, const char *rest, struct lab_arena *arena)
{
	struct lab_buf key;
	struct lab_view copy;

	lab_buf_init(&key, fs->fs.settings.env->heap, KEY_MAX);
	lab_buf_printf(&key, "shared/%s/", map);
	dict_escape(&key, lab_view_cstr(fs->fs.settings.username));
	lab_buf_append_cstr(&key, rest);
	lab_assert(!key.overflow);
	copy = lab_arena_copy(arena, lab_buf_view(&key));
	lab_buf_done(&key);
	return copy;
}

/* Names of bundles and FTS files are texts; those of mails and folders are hex digits. */
static struct lab_view escaped(struct dictmap_fs *fs, struct lab_view name, struct lab_arena *arena)
{
	struct lab_buf out;
	struct lab_view copy;

	lab_buf_init(&out, fs->fs.settings.env->heap, KEY_MAX);
	dict_escape(&out, name);
	copy = lab_arena_copy(arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return copy;
}

struct lab_view dictmap_key_forward(struct dictmap_fs *fs, const struct dictmap_path *path,
	uint32_t bucket, struct lab_arena *arena)
{
	struct lab_view name = escaped(fs, path->name, arena);
	const char *rest = NULL;

	switch (path->kind) {
	case DICTMAP_MAIL:
		rest = lab_arena_printf(arena, "/mailboxes/%.*s/%" PRIu32 "/%.*s",
			LAB_VIEW_ARG(path->guid), bucket, LAB_VIEW_ARG(name));
		break;
	case DICTMAP_FOLDER_INDEX:
		rest = lab_arena_printf(arena, "/mailboxes/%.*s/idx/%.*s", LAB_VIEW_ARG(path->guid),
			LAB_VIEW_ARG(name));
		break;
	case DICTMAP_USER_INDEX:
		rest = lab_arena_printf(arena, "/idx/%.*s", LAB_VIEW_ARG(name));
		break;
	case DICTMAP_FTS:
		rest = lab_arena_printf(arena, "/fts/%.*s", LAB_VIEW_ARG(name));
		break;
	}
	return user_key(fs, "dictmap", rest, arena);
}

struct lab_view dictmap_key_diff(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view host, struct lab_arena *arena)
{
	const char *folder = "";

	if (path->kind == DICTMAP_FOLDER_INDEX)
		folder = lab_arena_printf(arena, "/mailboxes/%.*s", LAB_VIEW_ARG(path->guid));
	return user_key(fs, "dictdiffmap",
		lab_arena_printf(
			arena, "%s/idx/%.*s", folder, LAB_VIEW_ARG(escaped(fs, host, arena))),
		arena);
}

struct lab_view dictmap_key_max_bucket(
	struct dictmap_fs *fs, struct lab_view guid, struct lab_arena *arena)
{
	return user_key(fs, "dictmap",
		lab_arena_printf(arena, "/mailboxes/%.*s/max_bucket", LAB_VIEW_ARG(guid)), arena);
}

struct lab_view dictmap_key_folders(struct dictmap_fs *fs, struct lab_arena *arena)
{
	return user_key(fs, "dictmap", "/mailboxes/", arena);
}

struct lab_view dictmap_key_reverse_set(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, struct lab_arena *arena)
{
	return user_key(fs, "dictrevmap",
		lab_arena_printf(
			arena, "/mailboxes/%.*s/%.*s", LAB_VIEW_ARG(path->guid), LAB_VIEW_ARG(oid)),
		arena);
}

struct lab_view dictmap_key_reverse_row(
	struct lab_view oid, struct lab_view name, struct lab_arena *arena)
{
	return lab_view_cstr(lab_arena_printf(
		arena, "shared/dictrevmap/%.*s/%.*s", LAB_VIEW_ARG(oid), LAB_VIEW_ARG(name)));
}
