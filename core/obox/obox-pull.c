/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-pull.c - a folder's index comes from another host (metacache-pull.h).
 */
#include "core/obox/metacache-pull.h"
#include "core/obox/obox-private.h"

static int damaged(const struct obox_mailbox *mailbox, struct lab_error *err)
{
	return lab_fail(err, LAB_CORRUPT, "index of %s: what came is damaged", mailbox->name);
}

/* The state, and what of it is in which bundle. Whatever is changed here has another author. */
static int decode(struct obox_mailbox *mailbox, const struct metacache_archive_folder *folder,
	struct lab_error *err)
{
	struct lab_reader reader = { .rest = folder->known };
	struct obox_state *state;

	if (obox_state_decode(mailbox->user->env->heap, folder->state, &state, NULL) < 0)
		return damaged(mailbox, err);
	if (state->uidvalidity == 0 || state->author_count >= OBOX_AUTHORS_MAX) {
		obox_state_free(&state);
		return damaged(mailbox, err);
	}
	obox_index_replace(&mailbox->index, state);
	if (!obox_sync_decode(mailbox, &reader))
		return damaged(mailbox, err);
	obox_bundles_adopted(mailbox->sync.bundles);
	/* It has yet to be compared with what is stored. */
	mailbox->sync.uploaded_changes = mailbox->index.changes;
	mailbox->sync.uploaded_important = mailbox->index.important_changes;
	mailbox->pulled_changes = (unsigned)folder->changes;
	mailbox->is_pulled = true;
	return 0;
}

static int check_latest(struct obox_mailbox *mailbox, struct lab_error *err)
{
	ENV_EVENT(mailbox->user->env, LAB_EV_metacache_mailbox_refresh_started,
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid));
	return obox_bundles_check_latest(mailbox->sync.bundles, "metacache:refresh_mailbox", err);
}

static void report(const struct obox_mailbox *mailbox, const struct lab_error *failed)
{
	ENV_EVENT(mailbox->user->env, LAB_EV_metacache_mailbox_refresh_finished,
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid),
		LAB_F_CSTR("metacache_status", failed == NULL ? "created" : ""),
		LAB_F_CSTR("rescan", "no"),
		LAB_F_CODE("code", failed == NULL ? LAB_OK : failed->code),
		LAB_F_CSTR("error", failed == NULL ? "" : failed->message));
}

static void begin_anew(struct obox_mailbox *mailbox)
{
	obox_index_reset(&mailbox->index, NULL);
	obox_sync_close(mailbox);
	obox_sync_reset(mailbox);
	mailbox->pulled_changes = 0;
	mailbox->is_pulled = false;
}

/* What a refresh that failed has listed is listed again. */
static int adopt(struct obox_mailbox *mailbox, const struct metacache_archive_folder *folder,
	bool latest_only, struct lab_error *err)
{
	int result;

	obox_sync_close(mailbox);
	obox_sync_reset(mailbox);
	result = decode(mailbox, folder, err);

	if (result == 0 && latest_only)
		result = check_latest(mailbox, err);
	if (result == 0)
		obox_index_rewrite(&mailbox->index);
	else
		begin_anew(mailbox);
	report(mailbox, result < 0 ? err : NULL);
	return result;
}

int obox_mailbox_adopt(struct obox_user *user, const struct metacache_archive_folder *folder,
	bool latest_only, struct lab_error *err)
{
	struct obox_mailbox *mailbox;
	int result = 0;

	/* One that was made or deleted since: nothing to take. */
	if (obox_mailbox_load(user, lab_view_cstr(folder->guid), &mailbox, err) < 0)
		return err->code == LAB_NOT_FOUND ? 0 : -1;
	mailbox->references++;
	obox_mailbox_lock(mailbox);
	if (mailbox->index.state->uidvalidity == 0 && !mailbox->is_gone)
		result = adopt(mailbox, folder, latest_only, err) < 0 ? -1 : 1;
	obox_mailbox_unlock(mailbox);
	mailbox->references--;
	return result;
}
