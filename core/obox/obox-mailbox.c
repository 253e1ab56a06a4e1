/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-mailbox.c - folders: opening, closing, who may run beside whom.
 */
#include "core/obox/metacache-users.h"
#include "core/base/defect.h"
#include "core/obox/metacache.h"
#include "core/obox/obox-private.h"
#include "core/env/buggify.h"

#include <stdio.h>

#define KEPT_BYTES_MAX (512u * 1024 * 1024)

/* ---- who may run beside whom ---- */

void obox_mailbox_begin(struct obox_mailbox *mailbox)
{
	while (mailbox->is_rescanning || mailbox->rescans_waiting > 0)
		(void)env_cond_wait(mailbox->user->env, &mailbox->lock_cond, ENV_FOREVER);
	mailbox->operations++;
}

void obox_mailbox_end(struct obox_mailbox *mailbox)
{
	lab_assert(mailbox->operations > 0);
	if (--mailbox->operations == 0)
		env_cond_broadcast(mailbox->user->env, &mailbox->lock_cond);
	obox_upload_schedule(mailbox);
}

int obox_mailbox_begin_change(struct obox_mailbox *mailbox, struct lab_error *err)
{
	obox_mailbox_begin(mailbox);
	if (!mailbox->is_gone)
		return 0;
	obox_mailbox_end(mailbox);
	return lab_fail(err, LAB_NOT_FOUND, "folder %s was deleted", mailbox->name);
}

void obox_mailbox_lock(struct obox_mailbox *mailbox)
{
	mailbox->rescans_waiting++;
	while (mailbox->is_rescanning || mailbox->operations > 0)
		(void)env_cond_wait(mailbox->user->env, &mailbox->lock_cond, ENV_FOREVER);
	mailbox->rescans_waiting--;
	mailbox->is_rescanning = true;
}

void obox_mailbox_unlock(struct obox_mailbox *mailbox)
{
	mailbox->is_rescanning = false;
	env_cond_broadcast(mailbox->user->env, &mailbox->lock_cond);
	metacache_count(backend_get_metacache(mailbox->user->backend), mailbox,
		obox_mailbox_bytes(mailbox));
}

uint64_t obox_mailbox_bytes(const struct obox_mailbox *mailbox)
{
	return mailbox->index.file == NULL ? 0 : mailbox->index.file_size;
}

/* ---- opening ---- */

void obox_inbox_guid(const char *user, uint8_t ret[ENV_GUID128_SIZE])
{
	char text[USERNAME_AND_FOLDER_MAX];
	uint8_t digest[LAB_DIGEST_MAX];
	int n = snprintf(text, sizeof(text), "oboxlab folder\n%s\nINBOX", user);

	lab_assert(n > 0 && n < (int)sizeof(text));
	lab_digest(LAB_SHA1, lab_view_of(text, (size_t)n), digest);
	memcpy(ret, digest, ENV_GUID128_SIZE);
}

static void mailbox_drop(struct obox_mailbox *mailbox)
{
	struct lab_heap *heap = mailbox->user->env->heap;

	lab_heap_free(heap, mailbox->name);
	lab_heap_free(heap, mailbox);
}

static struct obox_mailbox *mailbox_new(
	struct obox_user *user, const struct obox_list_folder *folder)
{
	struct lab_heap *heap = user->env->heap;
	struct obox_mailbox *mailbox = lab_new(heap, struct obox_mailbox);

	mailbox->user = user;
	mailbox->name = lab_heap_strdup(heap, folder->name);
	mailbox->generation = user->root_index.generation;
	lab_hex(folder->guid, sizeof(folder->guid), mailbox->guid);
	return mailbox;
}

/* Before the folder is made: a path that is too long fails here, and nothing is half there. */
static int index_path(
	const struct obox_mailbox *mailbox, char path[ENV_PATH_MAX], struct lab_error *err)
{
	int n = snprintf(path, ENV_PATH_MAX, "%s/mailboxes/%s/" METACACHE_FOLDER_FILE,
		mailbox->user->home, mailbox->guid);

	if (n < ENV_PATH_MAX)
		return 0;
	return lab_fail(err, LAB_INVALID, "path of the index of %s is longer than %d",
		mailbox->name, ENV_PATH_MAX - 1);
}

/* The folder as this process knows it; made under its GUID before anything blocks, so that two
 * sessions never make two. */
static int find_or_add(struct obox_user *user, const struct obox_list_folder *folder,
	struct obox_mailbox **ret, struct lab_error *err)
{
	struct obox_mailbox *mailbox = mailbox_new(user, folder);
	void **slot = lab_map_slot(user->folders, lab_view_cstr(mailbox->guid));
	char path[ENV_PATH_MAX];
	bool trusted;

	if (slot == NULL || *slot != NULL) {
		mailbox_drop(mailbox);
		if (slot == NULL)
			return lab_fail(err, LAB_LIMIT, "more than %d folders", OBOX_FOLDERS_MAX);
		*ret = *slot;
		return 0;
	}
	if (index_path(mailbox, path, err) < 0) {
		lab_map_remove(user->folders, lab_view_cstr(mailbox->guid));
		mailbox_drop(mailbox);
		return -1;
	}
	*ret = *slot = mailbox;
	mailbox->is_rescanning = true;
	obox_index_open(&mailbox->index, user->env, path, &trusted);
	obox_sync_open(mailbox, trusted);
	obox_mailbox_unlock(mailbox);
	return 0;
}

int obox_mailbox_load(struct obox_user *user, struct lab_view guid, struct obox_mailbox **ret,
	struct lab_error *err)
{
	const struct obox_list_folder *folder = NULL;
	uint8_t bytes[ENV_GUID128_SIZE];

	if (lab_unhex(guid, bytes, sizeof(bytes)) == 0)
		folder = obox_list_find_guid(user->root_index.list, bytes);
	if (folder == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "there is no folder with GUID %.*s",
			LAB_VIEW_ARG(guid));
	return find_or_add(user, folder, ret, err);
}

/* obox_rescan_mails_once_after: it was last compared before that time, which has come. */
static bool must_rescan_once(const struct obox_mailbox *mailbox)
{
	const struct obox_user *user = mailbox->user;
	uint64_t after = backend_get_settings(user->backend)->conf->obox_rescan_mails_once_after;
	uint64_t ago = (env_now(user->env) - mailbox->compared_ns) / LAB_SEC;

	return after != 0 && (uint64_t)env_wall_seconds(user->env) >= after &&
	       (uint64_t)env_wall_seconds(user->env) - after < ago;
}

static int open_folder(struct obox_user *user, const struct obox_list_folder *folder,
	struct obox_mailbox **ret, struct lab_error *err)
{
	struct obox_mailbox *mailbox;
	bool is_synced;

	if (find_or_add(user, folder, &mailbox, err) < 0)
		return -1;
	mailbox->references++;
	metacache_touch(backend_get_metacache(user->backend), mailbox);
	/* Another session may be opening it right now. */
	obox_mailbox_begin(mailbox);
	obox_mailbox_end(mailbox);
	if (must_rescan_once(mailbox) || ENV_BUGGIFY(user->env, rescan_again))
		mailbox->is_synced = false;
	is_synced = mailbox->is_synced;
	if (!is_synced && obox_mailbox_compare(mailbox, err) < 0) {
		mailbox->references--;
		return -1;
	}
	*ret = mailbox;
	return is_synced ? 0 : 1;
}

int obox_mailbox_open(struct obox_user *user, struct lab_view name, struct obox_mailbox **ret,
	struct lab_error *err)
{
	struct lab_error own;

	if (err == NULL)
		err = &own;
	if (obox_list_check_name(&name, err) < 0)
		return -1;
	if (obox_list_find(user->root_index.list, name) == NULL &&
		obox_folder_create(user, name, LAB_VIEW(""), err) < 0 && err->code != LAB_EXISTS) {
		/* Whether the folder is there or not: it is not open. */
		if (err->code == LAB_UNCERTAIN)
			err->code = LAB_UNAVAILABLE;
		return -1;
	}
	return obox_mailbox_select(user, name, ret, err);
}

int obox_mailbox_select(struct obox_user *user, struct lab_view name, struct obox_mailbox **ret,
	struct lab_error *err)
{
	const struct obox_list_folder *folder;

	if (obox_list_check_name(&name, err) < 0)
		return -1;
	folder = obox_list_find(user->root_index.list, name);
	if (folder == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "there is no folder %.*s", LAB_VIEW_ARG(name));
	return open_folder(user, folder, ret, err);
}

void obox_user_sync_folders(struct obox_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_view guid;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		struct obox_mailbox *mailbox = value;
		uint8_t bytes[ENV_GUID128_SIZE];
		const struct obox_list_folder *folder;

		(void)lab_unhex(guid, bytes, sizeof(bytes));
		folder = obox_list_find_guid(user->root_index.list, bytes);
		/* INBOX that could not be made, and then was: under another UIDVALIDITY. */
		if (mailbox->is_gone && folder != NULL)
			mailbox->is_synced = false;
		mailbox->is_gone = folder == NULL;
		mailbox->is_left = mailbox->is_left && mailbox->is_gone;
		if (mailbox->generation != user->root_index.generation)
			mailbox->is_synced = false;
		mailbox->generation = user->root_index.generation;
		if (folder == NULL || strcmp(folder->name, mailbox->name) == 0)
			continue;
		lab_heap_free(user->env->heap, mailbox->name);
		mailbox->name = lab_heap_strdup(user->env->heap, folder->name);
	}
}

void obox_user_forget_folders(struct obox_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_view guid;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		struct obox_mailbox *mailbox = value;

		mailbox->is_reborn = !lab_defect(DELETED_USER_REMEMBERED);
		mailbox->is_synced = lab_defect(DELETED_USER_REMEMBERED);
	}
}

void obox_mailbox_close(struct obox_mailbox **mailbox)
{
	if (*mailbox == NULL)
		return;
	lab_assert((*mailbox)->references > 0);
	(*mailbox)->references--;
	*mailbox = NULL;
}

static bool is_idle(const struct obox_mailbox *mailbox)
{
	return mailbox->references == 0 && mailbox->operations == 0 && !mailbox->is_rescanning &&
	       mailbox->rescans_waiting == 0 && !mailbox->is_gone;
}

/* With its directory, if nothing else is in it. UIDVALIDITY is in bundles, or the root's list. */
static void remove_file(const struct obox_mailbox *mailbox)
{
	struct env *env = mailbox->user->env;
	struct lab_error ignored;
	char path[ENV_PATH_MAX];
	size_t len = strlen(mailbox->index.path) - strlen("/" METACACHE_FOLDER_FILE);

	(void)env_unlink(env, mailbox->index.path, &ignored);
	memcpy(path, mailbox->index.path, len);
	path[len] = '\0';
	(void)env_unlink(env, path, &ignored);
}

int obox_mailbox_clean(struct obox_mailbox *mailbox, struct lab_error *err)
{
	struct obox_user *user = mailbox->user;
	struct metacache *metacache = backend_get_metacache(user->backend);
	int result = 0;

	if (!is_idle(mailbox))
		return 0;
	/* From here on whoever comes waits. */
	obox_mailbox_lock(mailbox);
	/* Modseqs that no bundle has: of merges, and of a host that was new. */
	mailbox->index.changes += obox_sync_is_ahead(mailbox);
	if (!lab_defect(CLEANED_BEFORE_UPLOAD) && !lab_defect(PULL_LEAVES_CHANGES) &&
		obox_upload(mailbox, OBOX_UPLOAD_CHANGES, "metacache_worker:cmd_clean", err) < 0)
		result = -1;
	if (result == 0 && !mailbox->is_gone) {
		obox_sync_cleaned(mailbox);
		obox_index_reset(&mailbox->index, NULL);
		obox_sync_close(mailbox);
		obox_sync_reset(mailbox);
		mailbox->is_synced = false;
		result = 1;
	}
	obox_mailbox_unlock(mailbox);
	metacache_forget(metacache, mailbox);
	if (result <= 0 || !is_idle(mailbox))
		return result;
	metacache_count(metacache, mailbox, 0);
	metacache_closed(metacache, mailbox, false, false);
	(void)lab_map_remove(user->folders, lab_view_cstr(mailbox->guid));
	obox_index_drop(&mailbox->index);
	remove_file(mailbox);
	obox_sync_close(mailbox);
	mailbox_drop(mailbox);
	return 1;
}

void obox_mailbox_free(struct obox_mailbox **mailbox_p)
{
	struct obox_mailbox *mailbox = *mailbox_p;
	struct metacache *metacache = backend_get_metacache(mailbox->user->backend);
	const struct obox_sync *sync = &mailbox->sync;
	bool is_changed =
		mailbox->index.changes != sync->uploaded_changes || obox_sync_is_ahead(mailbox);
	bool is_important = mailbox->index.important_changes != sync->uploaded_important;
	bool is_kept = mailbox->index.file != NULL && !mailbox->is_gone;
	struct lab_buf kept;

	lab_assert(mailbox->references == 0 && mailbox->operations == 0);
	metacache_forget(metacache, mailbox);
	lab_buf_init(&kept, mailbox->user->env->heap, KEPT_BYTES_MAX);
	obox_sync_keep(mailbox, &kept);
	obox_index_close(&mailbox->index, lab_buf_view(&kept));
	lab_buf_done(&kept);
	obox_sync_close(mailbox);
	if (mailbox->is_gone)
		remove_file(mailbox);
	metacache_count(metacache, mailbox, is_kept ? mailbox->index.file_size : 0);
	metacache_closed(metacache, mailbox, is_changed, is_important);
	mailbox_drop(mailbox);
	*mailbox_p = NULL;
}

/* ---- what is in it ---- */

uint32_t obox_mailbox_uidvalidity(const struct obox_mailbox *mailbox)
{
	return mailbox->index.state->uidvalidity;
}

uint32_t obox_mailbox_uidnext(const struct obox_mailbox *mailbox)
{
	return mailbox->index.state->next_uid;
}

size_t obox_mailbox_count(const struct obox_mailbox *mailbox)
{
	return mailbox->index.state->count;
}

const char *obox_mailbox_name(const struct obox_mailbox *mailbox)
{
	return mailbox->name;
}

uint64_t obox_mailbox_compared_ns(const struct obox_mailbox *mailbox)
{
	return mailbox->compared_ns;
}

const char *obox_mailbox_guid(const struct obox_mailbox *mailbox)
{
	return mailbox->guid;
}

const struct obox_mail *obox_mailbox_mail(const struct obox_mailbox *mailbox, size_t index)
{
	lab_assert(index < mailbox->index.state->count);
	return &mailbox->index.state->records[index].mail;
}

const struct obox_mail *obox_mailbox_find(const struct obox_mailbox *mailbox, uint32_t uid)
{
	return obox_index_find(&mailbox->index, uid);
}
