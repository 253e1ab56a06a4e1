/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-folder.c - making, renaming, deleting and listing folders (obox 4.10, 5.3, 8.2).
 */
#include "core/obox/obox-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"
#include "core/quota/quota.h"

#include <stdio.h>

/* More than this at a time would only fill memory; the rest is left behind and said so. */
#define LEFT_MAX OBOX_MAILS_MAX
#define RESCUED_MAX OBOX_BATCH
#define FLAGS_MAX 64
/* Clocks of one host are its own, but they step (env.h). */
#define RESCUE_MARGIN_NS (5 * LAB_SEC)

/* ---- changes of the list ---- */

struct folder_change {
	struct lab_view name, other;
	uint8_t guid[ENV_GUID128_SIZE];
	bool is_subscribed;
};

static int create_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct folder_change *change = ctx;

	if (obox_list_create(root->list, root->author, change->guid, change->name,
		    obox_root_new_uidvalidity(root), err) < 0)
		return -1;
	if (change->other.len > 0 && obox_list_set_special_use(root->list, root->author,
					     change->name, change->other, err) < 0)
		return -1;
	return 1;
}

int obox_folder_create(struct obox_user *user, struct lab_view name, struct lab_view special_use,
	struct lab_error *err)
{
	struct folder_change change = { .name = name, .other = special_use };

	if (obox_list_check_name(&change.name, err) < 0)
		return -1;
	if (lab_view_eq(change.name, LAB_VIEW("INBOX")))
		memcpy(change.guid, user->root_index.list->inbox, sizeof(change.guid));
	else
		env_guid128_generate(user->env, change.guid);
	return obox_root_change(&user->root_index, create_fn, &change, err) < 0 ? -1 : 0;
}

static int rename_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct folder_change *change = ctx;

	return obox_list_rename(root->list, root->author, change->name, change->other, err) < 0 ? -1
												: 1;
}

int obox_folder_rename(
	struct obox_user *user, struct lab_view from, struct lab_view to, struct lab_error *err)
{
	struct folder_change change = { .name = from, .other = to };

	return obox_root_change(&user->root_index, rename_fn, &change, err) < 0 ? -1 : 0;
}

static int special_use_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct folder_change *change = ctx;

	return obox_list_set_special_use(
		root->list, root->author, change->name, change->other, err);
}

int obox_folder_set_special_use(struct obox_user *user, struct lab_view name,
	struct lab_view special_use, struct lab_error *err)
{
	struct folder_change change = { .name = name, .other = special_use };

	return obox_root_change(&user->root_index, special_use_fn, &change, err);
}

static int subscribe_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct folder_change *change = ctx;

	return obox_list_subscribe(
		root->list, root->author, change->name, change->is_subscribed, err);
}

int obox_subscribe(
	struct obox_user *user, struct lab_view name, bool is_subscribed, struct lab_error *err)
{
	struct folder_change change = { .name = name, .is_subscribed = is_subscribed };

	return obox_root_change(&user->root_index, subscribe_fn, &change, err);
}

/* ---- deleting ---- */

static int delete_fn(struct obox_root *root, void *ctx, struct lab_error *err)
{
	struct folder_change *change = ctx;
	const struct obox_list_folder *folder;

	if (obox_list_check_name(&change->name, err) < 0)
		return -1;
	folder = obox_list_find(root->list, change->name);
	if (folder != NULL)
		memcpy(change->guid, folder->guid, sizeof(change->guid));
	if (obox_list_delete(root->list, root->author, change->name, err) < 0)
		return -1;
	return obox_deleted_remember(root, change->guid, change->name, err) < 0 ? -1 : 1;
}

static void report_left(const struct obox_user *user, const char *guid, const char *what,
	const struct lab_error *err)
{
	ENV_EVENT(user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", "a deleted folder left something behind"),
		LAB_F_CSTR("user", user->username), LAB_F_CSTR("mailbox_guid", guid),
		LAB_F_CSTR("what", what), LAB_F_CSTR("error", err->message));
}

static int delete_batch(struct obox_user *user, const char *directory, struct lab_view *names,
	size_t count, struct lab_arena *arena, struct lab_error *err)
{
	struct fs_file **files = lab_arena_array(arena, struct fs_file *, count);
	struct lab_error *errors = lab_arena_array(arena, struct lab_error, count);
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		struct lab_view name = names[i], oid = LAB_VIEW(""), version = LAB_VIEW("");

		(void)lab_view_split(&name, '/', &oid);
		if (lab_view_find_byte(name, '/') != SIZE_MAX)
			(void)lab_view_split(&name, '/', &version);
		files[i] = fs_file_open(user->fs,
			lab_view_cstr(
				lab_arena_printf(arena, "%s%.*s", directory, LAB_VIEW_ARG(name))),
			FS_OPEN_READONLY);
		if (oid.len > 0)
			fs_set_metadata(files[i], FS_METADATA_OBJECTID, oid);
		if (version.len > 0)
			fs_set_metadata(files[i], FS_METADATA_VERSION, version);
	}
	fs_set_reason(user->fs, "obox:mailbox_delete");
	(void)fs_delete_many(files, count, errors, err);
	for (size_t i = 0; i < count; i++) {
		fs_file_close(&files[i]);
		if (errors[i].code != LAB_OK && errors[i].code != LAB_NOT_FOUND) {
			*err = errors[i];
			result = -1;
		}
	}
	return result;
}

static int delete_mails(struct obox_user *user, const char *guid, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, (size_t)LEFT_MAX * 1024);
	const char *directory = lab_arena_printf(arena, "%s/mailboxes/%s/", user->root, guid);
	struct lab_view *names;
	size_t count = 0;
	int result;

	fs_set_reason(user->fs, "obox:mailbox_delete");
	result = fs_iter(user->fs, lab_view_cstr(directory),
		FS_ITER_OBJECTIDS | FS_ITER_VERSIONS | FS_ITER_NOCACHE, LEFT_MAX, arena, &names,
		&count, err);
	for (size_t i = 0; i < count && result == 0; i += OBOX_BATCH) {
		if (delete_batch(user, directory, &names[i], LAB_MIN(count - i, OBOX_BATCH), arena,
			    err) < 0)
			result = -1;
	}
	lab_arena_free(&arena);
	return result;
}

static int delete_bundles(struct obox_user *user, const char *guid, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, (size_t)1 << 30);
	struct obox_bundles_settings settings = {
		.env = user->env,
		.fs = user->index_fs,
		.path = lab_arena_printf(arena, "%s/mailboxes/%s/idx/", user->root, guid),
		.username = user->username,
		.mailbox_guid = guid,
		.max_parallel_requests =
			backend_get_settings(user->backend)->conf->metacache_max_parallel_requests
	};
	struct obox_bundles *bundles = obox_bundles_new(&settings);
	struct obox_bundles_news news;
	int result = obox_bundles_refresh(bundles, "obox:mailbox_delete", arena, &news, err);

	for (size_t i = 0; i < news.count && result == 0; i++)
		obox_bundles_merged(bundles, &news.downloads[i]);
	if (result == 0)
		result = obox_bundles_delete_all(bundles, "obox:mailbox_delete", err);
	obox_bundles_free(&bundles);
	lab_arena_free(&arena);
	return result;
}

int obox_folder_erase(struct obox_user *user, const char *guid, struct lab_error *err)
{
	if (delete_mails(user, guid, err) < 0)
		return -1;
	ENV_HOLD(user->env, folder_mails_deleted, user->username);
	return delete_bundles(user, guid, err);
}

/* What was saved here into a folder that was deleted here is not saved again. */
static struct obox_mailbox *leave_folder(struct obox_user *user, const char *guid)
{
	struct obox_mailbox *mailbox = lab_map_get(user->folders, lab_view_cstr(guid));

	if (mailbox != NULL)
		mailbox->is_left = mailbox->is_gone;
	return mailbox;
}

/* Nobody adds to it here any more. Elsewhere somebody may, until he hears of it: that is why the
 * folder goes first, and whoever did saves it again (obox_user_rescue()). */
static void empty_folder(struct obox_user *user, const char *guid)
{
	struct obox_mailbox *mailbox = leave_folder(user, guid);
	struct lab_error err;

	if (mailbox != NULL)
		obox_mailbox_lock(mailbox);
	ENV_HOLD(user->env, folder_deleted, user->username);
	if (obox_folder_erase(user, guid, &err) < 0)
		report_left(user, guid, "mails or index bundles", &err);
	if (mailbox != NULL)
		obox_mailbox_unlock(mailbox);
}

/* The defect emptied-before-deleted. */
static void empty_named(struct obox_user *user, struct lab_view name)
{
	const struct obox_list_folder *folder = obox_list_find(user->root_index.list, name);
	char guid[OBOX_GUID_HEX + 1];

	if (folder == NULL)
		return;
	lab_hex(folder->guid, sizeof(folder->guid), guid);
	empty_folder(user, guid);
}

int obox_folder_delete(struct obox_user *user, struct lab_view name,
	uint8_t ret_guid[ENV_GUID128_SIZE], struct lab_error *err)
{
	struct folder_change change = { .name = name };
	char guid[OBOX_GUID_HEX + 1];

	int result;

	if (lab_defect(EMPTIED_BEFORE_DELETED))
		empty_named(user, name);
	result = obox_root_change(&user->root_index, delete_fn, &change, err);
	lab_hex(change.guid, sizeof(change.guid), guid);
	if (ret_guid != NULL)
		memcpy(ret_guid, change.guid, sizeof(change.guid));
	/* If it is not certain that the folder is gone its mails must stay. */
	if (result < 0) {
		(void)leave_folder(user, guid);
		return -1;
	}
	empty_folder(user, guid);
	obox_deleted_looked(user, change.guid);
	return 0;
}

/* ---- what was saved into a folder that another backend deleted ---- */

/* Saved by this host since it last saw that the folder was there: whoever deleted it may not have
 * seen these mails. */
static bool is_unseen(const struct obox_mailbox *mailbox, const struct obox_mail *mail,
	const uint8_t own[ENV_GUID128_SIZE])
{
	uint64_t since_ns = mailbox->user->root_index.refreshed_before_us * 1000;

	return memcmp(own + 12, mail->name + 12, 4) == 0 &&
	       env_guid128_time(mail->name) + RESCUE_MARGIN_NS >= since_ns;
}

static size_t copy_flags(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena,
	struct lab_view flags[FLAGS_MAX])
{
	size_t count = LAB_MIN(obox_flags(mailbox, uid, flags, FLAGS_MAX), (size_t)FLAGS_MAX);

	for (size_t i = 0; i < count; i++)
		flags[i] = lab_arena_copy(arena, flags[i]);
	return count;
}

/* Its row goes last. 0 also if there is nothing to be saved. */
static int rescue_mail(
	struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena, struct lab_error *err)
{
	const struct obox_mail *mail = obox_index_find(&mailbox->index, uid);
	struct obox_mail found = *mail;
	struct lab_view flags[FLAGS_MAX];
	struct obox_save save = {
		.received = mail->received, .flags = flags, .ignores_quota = true
	};
	struct fs_file *file = obox_mail_open(mailbox, &found, FS_OPEN_READONLY);
	struct obox_mailbox *to = NULL;
	struct lab_error ignored;
	struct obox_saved saved = { 0 };
	int result = fs_exists(file, err);

	if (result > 0 && obox_fetch(mailbox, uid, arena, &save.body, err) < 0)
		result = err->code == LAB_NOT_FOUND ? 0 : -1;
	if (result > 0) {
		save.flag_count = copy_flags(mailbox, uid, arena, flags);
		result = obox_mailbox_open(mailbox->user, lab_view_cstr(mailbox->name), &to, err);
		if (result >= 0)
			result = obox_save(to, &save, &saved, err);
		ENV_HOLD(mailbox->user->env, mail_rescued, mailbox->user->username);
		/* A look into the folder was faster. */
		if (result == 0 && fs_delete(file, &ignored) < 0 && ignored.code == LAB_NOT_FOUND)
			obox_deleted_undo(to, saved.uid);
		obox_mailbox_close(&to);
	}
	fs_file_close(&file);
	return result < 0 ? -1 : 0;
}

static bool needs_rescue(const struct obox_mailbox *mailbox)
{
	return mailbox->is_gone && !mailbox->is_left && !mailbox->is_rescuing;
}

static void rescue_folder(struct obox_mailbox *mailbox)
{
	struct obox_user *user = mailbox->user;
	uint32_t uids[RESCUED_MAX];
	uint8_t own[ENV_GUID128_SIZE];
	size_t count = 0;
	struct lab_error err;

	if (!needs_rescue(mailbox))
		return;
	mailbox->is_rescuing = true;
	/* Whatever had begun before the folder was gone has come to its end. */
	obox_mailbox_lock(mailbox);
	obox_mailbox_unlock(mailbox);
	env_guid128_generate(user->env, own);
	for (size_t i = 0; i < obox_mailbox_count(mailbox) && count < RESCUED_MAX; i++) {
		if (is_unseen(mailbox, obox_mailbox_mail(mailbox, i), own))
			uids[count++] = obox_mailbox_mail(mailbox, i)->uid;
	}
	/* The rest at the next access. */
	mailbox->is_left = count < RESCUED_MAX;
	for (size_t i = 0; i < count && mailbox->is_gone; i++) {
		struct lab_arena *arena = lab_arena_new(user->env->heap, 2 * OBOX_MAIL_MAX);

		if (rescue_mail(mailbox, uids[i], arena, &err) < 0) {
			mailbox->is_left = false;
			report_left(user, mailbox->guid, "mails saved here meanwhile", &err);
		} else {
			obox_index_expunge(&mailbox->index, &uids[i], 1);
		}
		lab_arena_free(&arena);
	}
	mailbox->is_rescuing = false;
}

void obox_user_rescue(struct obox_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct obox_mailbox **gone;
	struct lab_view guid;
	size_t count = 0;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		count += needs_rescue(value);
	}
	if (count == 0)
		return;
	/* Saving again opens folders: the map changes. */
	gone = lab_new_array(user->env->heap, struct obox_mailbox *, count);
	iter = lab_map_iterate(user->folders);
	count = 0;
	while (lab_map_next(&iter, &guid, &value)) {
		if (needs_rescue(value))
			gone[count++] = value;
	}
	for (size_t i = 0; i < count; i++)
		rescue_folder(gone[i]);
	lab_heap_free(user->env->heap, gone);
}

void obox_user_leave_folders(struct obox_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_view guid;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		struct obox_mailbox *mailbox = value;

		mailbox->is_left = mailbox->is_gone;
	}
}

/* ---- looking ---- */

void obox_folder_list(struct obox_user *user, struct lab_arena *arena, struct obox_folder **ret,
	size_t *ret_count)
{
	const struct obox_list *list = user->root_index.list;
	struct lab_tree *by_name = lab_tree_new(user->env->heap, OBOX_FOLDERS_MAX);
	struct lab_tree_iter iter;
	struct lab_view name;
	size_t count = 0;
	void *value;

	for (size_t i = 0; i < list->folder_count; i++)
		*lab_tree_slot(by_name, lab_view_cstr(list->folders[i]->name)) = list->folders[i];
	*ret = lab_arena_array(arena, struct obox_folder, list->folder_count);
	iter = lab_tree_iterate(by_name, LAB_VIEW(""));
	while (lab_tree_next(&iter, &name, &value)) {
		const struct obox_list_folder *folder = value;
		struct obox_folder *out = &(*ret)[count++];

		out->name = lab_arena_printf(arena, "%s", folder->name);
		lab_hex(folder->guid, sizeof(folder->guid), out->guid);
		out->uidvalidity = folder->uidvalidity;
		out->special_use = lab_arena_printf(arena, "%s", folder->special_use);
		out->is_subscribed = obox_list_is_subscribed(list, name);
	}
	*ret_count = count;
	lab_tree_free(&by_name);
}

static bool has_special_use(struct obox_user *user, struct lab_view name, struct lab_view wanted)
{
	const struct obox_list_folder *folder = obox_list_find(user->root_index.list, name);

	return folder != NULL && lab_view_eq_nocase(lab_view_cstr(folder->special_use), wanted);
}

bool obox_folder_is_among(
	struct obox_user *user, struct lab_view name, const struct conf_text *masks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lab_view mask = masks[i].text;
		bool is_use = lab_view_starts_with(mask, LAB_VIEW("\\"));

		if (is_use ? has_special_use(user, name, mask) : quota_mask_fits(mask, name))
			return true;
	}
	return false;
}

void obox_subscription_list(
	struct obox_user *user, struct lab_arena *arena, struct lab_view **ret, size_t *ret_count)
{
	const struct obox_list_entries *entries =
		&user->root_index.list->entries[OBOX_LIST_SUBSCRIPTIONS];
	size_t count = 0;

	*ret = lab_arena_array(arena, struct lab_view, entries->count);
	for (size_t i = 0; i < entries->count; i++) {
		/* Made by two hosts: the same name twice, one behind the other. */
		if (count == 0 || !lab_view_eq((*ret)[count - 1], entries->items[i]->key))
			(*ret)[count++] = lab_arena_copy(arena, entries->items[i]->key);
	}
	*ret_count = count;
}

int obox_folder_status(struct obox_user *user, struct lab_view name, struct obox_status *ret,
	struct lab_error *err)
{
	struct obox_mailbox *mailbox;
	const struct obox_state *state;

	if (obox_mailbox_select(user, name, &mailbox, err) < 0)
		return -1;
	if (obox_upload_uidvalidity(mailbox, err) < 0) {
		obox_mailbox_close(&mailbox);
		return -1;
	}
	state = mailbox->index.state;
	*ret = (struct obox_status){ .messages = (uint32_t)state->count,
		.uidnext = state->next_uid,
		.uidvalidity = state->uidvalidity,
		.highest_modseq = state->highest_modseq };
	for (size_t i = 0; i < state->count; i++)
		ret->unseen += !obox_record_has_flag(&state->records[i], OBOX_SEEN);
	obox_mailbox_close(&mailbox);
	return 0;
}
