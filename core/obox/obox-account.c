/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-account.c - a user as a whole: finding the folders of a root that was lost, deleting all of
 * it, waiting for its sessions (obox 4.10, 4.11).
 */
#include "core/obox/obox-private.h"
#include "core/env/hold.h"

#include <stdio.h>

#define DEFAULT_PREFIX "recovered-lost-folder-"
#define LISTING_ARENA_MAX ((size_t)1 << 30)
#define LOCAL_FILES_MAX 100000

static const struct conf_settings *conf_of(const struct obox_user *user)
{
	return backend_get_settings(user->backend)->conf;
}

/* ---- folders that a root does not name ---- */

struct lost {
	struct obox_user *user;
	struct lab_view *names; /* GUIDs in hex, sorted by nobody, some of them more than once */
	size_t count;
	unsigned found;
};

/* The GUIDs of all folders that ever had a bundle (map 8). One that had none, and whose root is
 * lost, is not found by anybody (obox 3.5). */
static int list_guids(struct obox_user *user, struct lab_arena *arena, struct lab_view **ret,
	size_t *ret_count, struct lab_error *err)
{
	const char *path = lab_arena_printf(arena, "%s/mailboxes/", user->root);

	fs_set_reason(user->index_fs, "storage:mailbox_list_rebuild");
	return fs_iter(user->index_fs, lab_view_cstr(path), FS_ITER_DIRS | FS_ITER_NOCACHE,
		OBOX_FOLDERS_MAX, arena, ret, ret_count, err);
}

static struct lab_view lost_name(
	const struct obox_root *root, const uint8_t *guid, char name[OBOX_FOLDER_NAME_MAX + 1])
{
	struct lab_view prefix = conf_of(root->user)->obox_fetch_lost_mailbox_prefix.text;
	char hex[OBOX_GUID_HEX + 1];
	int n;

	if (memcmp(guid, root->list->inbox, ENV_GUID128_SIZE) == 0)
		return LAB_VIEW("INBOX");
	if (prefix.len == 0)
		prefix = LAB_VIEW(DEFAULT_PREFIX);
	lab_hex(guid, ENV_GUID128_SIZE, hex);
	n = snprintf(name, OBOX_FOLDER_NAME_MAX + 1, "%.*s%s",
		(int)LAB_MIN(prefix.len, (size_t)(OBOX_FOLDER_NAME_MAX - OBOX_GUID_HEX)),
		(const char *)prefix.ptr, hex);
	return lab_view_of(name, (size_t)n);
}

/* Names that cannot be given (the prefix may be none) do not keep the other folders away. */
static void recover_one(struct obox_root *root, const uint8_t *guid, unsigned *found)
{
	char text[OBOX_FOLDER_NAME_MAX + 1];
	struct lab_view name = lost_name(root, guid, text);
	struct lab_error err;

	if (obox_list_create(root->list, root->author, guid, name, obox_root_new_uidvalidity(root),
		    &err) < 0) {
		ENV_EVENT(root->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
			LAB_F_CSTR("message", "a lost folder cannot be named"),
			LAB_F_CSTR("user", root->user->username), LAB_F_TEXT("mailbox", name),
			LAB_F_CSTR("error", err.message));
		return;
	}
	(*found)++;
}

static int recover_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct lost *lost = ctx;
	uint8_t guid[ENV_GUID128_SIZE];

	(void)err;
	for (size_t i = 0; i < lost->count; i++) {
		struct lab_view name = lost->names[i];

		if (lab_view_ends_with(name, LAB_VIEW("/")))
			name.len--;
		if (lab_unhex(name, guid, sizeof(guid)) == 0 &&
			obox_list_find_guid(root->list, guid) == NULL)
			recover_one(root, guid, &lost->found);
	}
	return lost->found > 0;
}

int obox_user_recover(struct obox_user *user, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, LISTING_ARENA_MAX);
	struct lost lost = { .user = user };
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	result = list_guids(user, arena, &lost.names, &lost.count, err);
	if (result == 0)
		result = obox_root_change(&user->root_index, recover_fn, &lost, err);
	lab_arena_free(&arena);
	if (result < 0)
		return lab_error_wrap(err, "lost folders of %s", user->username);
	user->root_index.is_damaged = false;
	return (int)lost.found;
}

/* ---- deleting a user ---- */

static int check_unused(struct obox_user *user, struct lab_error *err)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_view guid;
	void *value;

	if (user->references > 1)
		return lab_fail(err, LAB_EXISTS, "user %s is open in %u sessions", user->username,
			user->references - 1);
	while (lab_map_next(&iter, &guid, &value)) {
		const struct obox_mailbox *mailbox = value;

		if (mailbox->references > 0)
			return lab_fail(err, LAB_EXISTS, "folder %s of user %s is open",
				mailbox->name, user->username);
	}
	return 0;
}

/* All that the root names, and all that it does not. */
static int delete_folders(struct obox_user *user, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, LISTING_ARENA_MAX);
	const struct obox_list *list = user->root_index.list;
	const struct obox_list_entries *deleted = &list->entries[OBOX_LIST_DELETED];
	size_t count = 0, folders = list->folder_count;
	char(*guids)[OBOX_GUID_HEX + 1];
	struct lab_view *names;
	int result = list_guids(user, arena, &names, &count, err);

	guids = lab_arena_alloc(arena, (folders + deleted->count + count + 1) * sizeof(*guids));
	for (size_t i = 0; i < folders; i++)
		lab_hex(list->folders[i]->guid, ENV_GUID128_SIZE, guids[i]);
	/* What others may have saved into them since. */
	for (size_t i = 0; i < deleted->count; i++)
		lab_hex(deleted->items[i]->key.ptr, ENV_GUID128_SIZE, guids[folders++]);
	for (size_t i = 0; i < count; i++) {
		(void)lab_view_to_cstr(lab_view_sub(names[i], 0, OBOX_GUID_HEX), guids[folders++],
			OBOX_GUID_HEX + 1);
	}
	for (size_t i = 0; i < folders && result == 0; i++)
		result = obox_folder_erase(user, guids[i], err);
	lab_arena_free(&arena);
	return result;
}

static void unlink_below(struct obox_user *user, const char *directory, struct lab_arena *arena)
{
	struct lab_view *names;
	struct lab_error ignored;
	size_t count = 0;

	if (env_list(user->env, directory, LOCAL_FILES_MAX, arena, &names, &count, &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		(void)env_unlink(user->env,
			lab_arena_printf(arena, "%s/%.*s", directory, LAB_VIEW_ARG(names[i])),
			&ignored);
}

/* The metacache of this host. What is open goes with the user's stop. */
static void delete_local(struct obox_user *user)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, LISTING_ARENA_MAX);
	const char *mailboxes = lab_arena_printf(arena, "%s/mailboxes", user->home);
	struct lab_error ignored;
	struct lab_view *names;
	size_t count = 0;

	if (env_list(user->env, mailboxes, OBOX_FOLDERS_MAX, arena, &names, &count, &ignored) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		const char *folder =
			lab_arena_printf(arena, "%s/%.*s", mailboxes, LAB_VIEW_ARG(names[i]));

		unlink_below(user, folder, arena);
		(void)env_unlink(user->env, folder, &ignored);
	}
	lab_arena_free(&arena);
}

/* Folders before the root: what is interrupted can be done again. */
int obox_user_delete(struct obox_user *user, struct lab_error *err)
{
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	obox_deleted_hold(user, true);
	result = check_unused(user, err);
	if (result == 0) {
		obox_root_forget_access(&user->root_index);
		if (obox_user_access(user, err) < 0 || delete_folders(user, err) < 0)
			result = -1;
		if (result == 0)
			ENV_HOLD(user->env, user_folders_deleted, user->username);
		if (result < 0 || obox_root_erase(&user->root_index, err) < 0)
			result = lab_error_wrap(err, "deletion of user %s", user->username);
	}
	obox_deleted_hold(user, false);
	if (result < 0)
		return -1;
	obox_user_leave_folders(user);
	delete_local(user);
	return 0;
}

/* ---- waiting ---- */

int obox_user_wait(struct obox_user *user, uint64_t deadline_ns, struct lab_error *err)
{
	while (user->references > 1) {
		if (env_cond_wait(user->env, &user->release_cond, deadline_ns) > 0)
			return lab_fail(err, LAB_TIMEOUT, "user %s is still open in %u sessions",
				user->username, user->references - 1);
	}
	return 0;
}
