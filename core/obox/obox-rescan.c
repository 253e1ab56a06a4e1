/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-rescan.c - folders are compared with their listing, or made anew from it (obox 4.10).
 */
#include "core/obox/obox-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include <stdlib.h>

#define PARALLEL_LOOKUPS_MAX 32
#define LOOKUP_BYTES_MAX (1024 * 1024)

struct listed {
	uint64_t created_ns;
	bool is_left_out; /* looked up, and not to be added */
	struct obox_mail mail;
};

struct listing {
	struct listed *mails;
	size_t count;
	struct lab_map *by_name;
};

enum rescan_why {
	RESCAN_FIRST, /* only if nobody else did it meanwhile */
	RESCAN_AGAIN,
	RESCAN_REBUILD
};

struct rescan_result {
	enum rescan_why why;
	uint64_t mails_new, mails_temp_lost, mails_lost, mails_lost_during_resync;
	uint64_t mails_kept, mails_total, guid_lookups, guid_lookups_skipped;
};

/* ---- the listing ---- */

/* "<object id>/<name>", or "<object id>/<bucket>/<name>". */
static bool parse_listed(struct lab_view text, struct listed *ret)
{
	struct lab_view name = text, oid, version = LAB_VIEW("");
	bool has_oid = lab_view_split(&name, '/', &oid);

	*ret = (struct listed){ .mail = { .size = UINT64_MAX, .bits = OBOX_MAIL_COPIED } };
	if (has_oid && lab_view_find_byte(name, '/') != SIZE_MAX &&
		lab_view_split(&name, '/', &version))
		ret->mail.bucket1 = obox_mail_bucket1(version);
	if (!has_oid || oid.len % 2 != 0 || oid.len / 2 > sizeof(ret->mail.oid) ||
		lab_unhex(oid, ret->mail.oid, oid.len / 2) < 0 ||
		lab_unhex(name, ret->mail.name, sizeof(ret->mail.name)) < 0)
		return false;
	ret->mail.oid_len = (uint8_t)(oid.len / 2);
	ret->created_ns = env_guid128_time(ret->mail.name);
	return true;
}

/* Somebody else's object, or row: no mail of ours, and no reason to keep the others away. */
static void report_foreign(struct obox_mailbox *mailbox, struct lab_view name, size_t count)
{
	ENV_EVENT(mailbox->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", "what is listed and no mail is left out"),
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid), LAB_F_TEXT("first", name),
		LAB_F_U64("count", count));
}

static void take_listed(struct obox_mailbox *mailbox, const struct lab_view *names, size_t count,
	struct listing *ret)
{
	struct lab_view foreign = LAB_VIEW("");

	for (size_t i = 0; i < count; i++) {
		struct listed *listed = &ret->mails[ret->count];

		if (!parse_listed(names[i], listed)) {
			foreign = foreign.len > 0 ? foreign : names[i];
			continue;
		}
		*lab_map_slot(ret->by_name, lab_view_of(listed->mail.name, ENV_GUID128_SIZE)) =
			listed;
		ret->count++;
	}
	if (ret->count < count)
		report_foreign(mailbox, foreign, count - ret->count);
}

static int list_folder(struct obox_mailbox *mailbox, uint32_t flags, struct lab_arena *arena,
	struct listing *ret, struct lab_error *err)
{
	struct obox_user *user = mailbox->user;
	struct lab_view path = lab_view_cstr(
		lab_arena_printf(arena, "%s/mailboxes/%s/", user->root, mailbox->guid));
	struct lab_view *names;
	size_t count;

	fs_set_reason(
		user->fs, flags & FS_ITER_NOCACHE ? "obox:mailbox_rebuild" : "obox:mailbox_rescan");
	if (fs_iter(user->fs, path, FS_ITER_OBJECTIDS | FS_ITER_VERSIONS | flags, OBOX_MAILS_MAX,
		    arena, &names, &count, err) < 0)
		return -1;
	ret->mails = lab_arena_array(arena, struct listed, count);
	ret->by_name = lab_map_new(user->env->heap, OBOX_MAILS_MAX);
	take_listed(mailbox, names, count, ret);
	return 0;
}

/* The defect unlisted-is-empty: what cannot be listed is taken for empty. */
static int list_nothing(struct obox_mailbox *mailbox, struct listing *ret)
{
	if (ret->by_name == NULL)
		ret->by_name = lab_map_new(mailbox->user->env->heap, OBOX_MAILS_MAX);
	return 0;
}

/* Order of creation; names of one instant by their bytes, so that every backend agrees. */
static int compare_listed(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->created_ns != y->created_ns && !lab_defect(RESCAN_IN_LISTED_ORDER))
		return x->created_ns < y->created_ns ? -1 : 1;
	return memcmp(x->mail.name, y->mail.name, sizeof(x->mail.name));
}

static bool is_listed(void *ctx, const struct obox_mail *mail)
{
	return lab_map_get(ctx, lab_view_of(mail->name, sizeof(mail->name))) != NULL;
}

/* ---- what storage says of mails that no index knows (obox 4.3) ---- */

struct lookups {
	struct obox_mailbox *mailbox;
	struct listed **mails;
	size_t count;
	bool has_failed; /* the storage does not answer: the rest would only wait for it */
	struct rescan_result *result;
};

static void take_number(
	struct fs_file *file, const char *key, struct lab_arena *arena, uint64_t *ret)
{
	struct lab_view text;
	uint64_t number;

	if (fs_get_metadata(file, key, arena, &text, NULL) > 0 &&
		lab_view_to_u64(text, &number) == 0)
		*ret = number;
}

static void take_metadata(struct fs_file *file, struct lab_arena *arena, struct obox_mail *mail)
{
	uint64_t size = UINT64_MAX, received = 0, saved = 0;

	take_number(file, "size", arena, &size);
	take_number(file, "received", arena, &received);
	take_number(file, "saved", arena, &saved);
	if (size <= OBOX_SIZE_MAX)
		mail->size = size;
	mail->received = (int64_t)LAB_MIN(received, (uint64_t)INT64_MAX);
	mail->saved = (int64_t)LAB_MIN(saved, (uint64_t)INT64_MAX);
}

/* The object is not there. With its row it is lost for now, and perhaps comes back; without, it was
 * expunged since it was listed. */
static void object_missing(struct lookups *l, struct fs_file *file, struct listed *listed)
{
	const struct backend_settings *settings = backend_get_settings(l->mailbox->user->backend);
	struct lab_error ignored;

	if (fs_exists(file, &ignored) == 0) {
		l->result->mails_lost_during_resync++;
		listed->is_left_out = true;
		return;
	}
	l->result->mails_temp_lost++;
	if (!settings->conf->obox_autofix_storage)
		return;
	/* It would be dropped at the first read, and get another UID each time. A host that finds
	 * it gives the others' UIDs. */
	listed->is_left_out = true;
	l->mailbox->sync.is_scrambled = true;
}

static void look_up(void *ctx, size_t i)
{
	struct lookups *l = ctx;
	struct obox_mail *mail = &l->mails[i]->mail;
	struct lab_arena *arena;
	struct fs_file *file;
	struct lab_view guid;
	struct lab_error err;
	int found;

	if (l->has_failed) {
		l->result->guid_lookups_skipped++;
		return;
	}
	l->result->guid_lookups++;
	arena = lab_arena_new(l->mailbox->user->env->heap, LOOKUP_BYTES_MAX);
	file = obox_mail_open(l->mailbox, mail, FS_OPEN_READONLY);
	found = fs_get_metadata(file, "guid", arena, &guid, &err);
	if (found >= 0) {
		if (found > 0 && guid.len == OBOX_GUID_HEX)
			(void)lab_unhex(guid, mail->guid, sizeof(mail->guid));
		take_metadata(file, arena, mail);
	} else if (err.code == LAB_NOT_FOUND) {
		object_missing(l, file, l->mails[i]);
	} else {
		l->has_failed = true;
	}
	fs_file_close(&file);
	lab_arena_free(&arena);
}

/* At most as many as HD-16 has it; what is not looked up is known by its name only. A look-up that
 * fails fails nothing else. Whoever opens the folder for the first time, which may be a delivery,
 * does not wait for any (palomar 6.2). */
static void look_up_new(
	struct obox_mailbox *mailbox, struct listing *listing, struct rescan_result *result)
{
	struct env *env = mailbox->user->env;
	const struct backend_settings *settings = backend_get_settings(mailbox->user->backend);
	size_t max = settings->guid_lookups_max != 0 ? settings->guid_lookups_max
						     : OBOX_GUID_LOOKUPS_MAX;
	unsigned parallel = settings->conf->metacache_max_parallel_requests;
	struct lookups l = { .mailbox = mailbox, .result = result };

	if (result->why == RESCAN_FIRST)
		max = 0;
	l.mails = lab_new_array(env->heap, struct listed *, LAB_MIN(listing->count, max));
	for (size_t i = 0; i < listing->count; i++) {
		if (obox_index_find_name(&mailbox->index, listing->mails[i].mail.name) != NULL)
			continue;
		if (l.count < max)
			l.mails[l.count++] = &listing->mails[i];
		else
			result->guid_lookups_skipped++;
	}
	env_for_each(
		env, l.count, LAB_MIN(LAB_MAX(1u, parallel), PARALLEL_LOOKUPS_MAX), look_up, &l);
	lab_heap_free(env->heap, l.mails);
}

/* ---- comparing ---- */

/* The mails that are listed and were not known; and where each is. */
static void append_listed(
	struct obox_mailbox *mailbox, struct listing *listing, struct rescan_result *result)
{
	qsort(listing->mails, listing->count, sizeof(*listing->mails), compare_listed);
	look_up_new(mailbox, listing, result);
	for (size_t i = 0; i < listing->count; i++) {
		const struct obox_mail *mail = &listing->mails[i].mail;
		size_t before = mailbox->index.state->count;
		uint32_t uid;

		if (listing->mails[i].is_left_out)
			continue;
		uid = obox_index_append(&mailbox->index, mail);
		obox_index_find(&mailbox->index, uid)->bucket1 = mail->bucket1;
		if (mailbox->index.state->count > before && !lab_defect(ATTACHMENT_FLAGS_NOT_FOUND))
			obox_flags_from_id(mailbox, uid);
	}
	mailbox->sync.single_floor = mailbox->index.state->next_uid;
}

static void report_finished(struct obox_mailbox *mailbox, bool is_rebuild,
	const struct rescan_result *r, const struct lab_error *err)
{
	const struct lab_field fields[] = { LAB_F_CSTR("user", mailbox->user->username),
		LAB_F_CSTR("mailbox", mailbox->name), LAB_F_CSTR("mailbox_guid", mailbox->guid),
		LAB_F_U64("mails_new", r->mails_new),
		LAB_F_U64("mails_temp_lost", r->mails_temp_lost),
		LAB_F_U64("mails_lost", r->mails_lost),
		LAB_F_U64("mails_lost_during_resync", r->mails_lost_during_resync),
		LAB_F_U64("mails_kept", r->mails_kept), LAB_F_U64("mails_total", r->mails_total),
		LAB_F_U64("guid_lookups", r->guid_lookups),
		LAB_F_U64("guid_lookups_skipped", r->guid_lookups_skipped),
		LAB_F_CODE("code", err->code),
		LAB_F_CSTR("error", err->code == LAB_OK ? "" : err->message) };

	env_event(mailbox->user->env,
		is_rebuild ? LAB_EV_obox_mailbox_rebuild_finished
			   : LAB_EV_obox_mailbox_rescan_finished,
		fields, LAB_COUNT_OF(fields));
}

/* That of the user's root: what a crash before the first bundle must not change. */
static uint32_t listed_uidvalidity(const struct obox_mailbox *mailbox)
{
	const struct obox_list_folder *folder;
	uint8_t guid[ENV_GUID128_SIZE];

	(void)lab_unhex(lab_view_cstr(mailbox->guid), guid, sizeof(guid));
	folder = obox_list_find_guid(mailbox->user->root_index.list, guid);
	return folder == NULL || lab_defect(UIDVALIDITY_NOT_LISTED) ? 0 : folder->uidvalidity;
}

/* What the listing has no more was expunged, whatever bundles say; mails that no bundle knows get
 * their UIDs last. */
static void apply(struct obox_refresh *refresh, struct listing *listing, struct rescan_result *ret)
{
	struct obox_mailbox *mailbox = refresh->mailbox;
	struct obox_index *index = &mailbox->index;
	uint64_t important = index->important_changes;

	if (!lab_defect(RESCAN_KEEPS_EXPUNGED))
		ret->mails_lost = obox_index_expunge_unless(index, is_listed, listing->by_name);
	obox_refresh_merge(refresh, is_listed, listing->by_name);
	obox_refresh_settle(refresh, listed_uidvalidity(mailbox));
	if (listing->count > 0)
		obox_refresh_found_mails(refresh);
	ret->mails_kept = index->state->count;
	append_listed(mailbox, listing, ret);
	ret->mails_total = index->state->count;
	/* mails_total = mails_kept + mails_new - those that were lost meanwhile (obox 4.10). */
	ret->mails_new = ret->mails_total - ret->mails_kept + ret->mails_lost_during_resync;
	mailbox->sync.has_uncertain = false;
	mailbox->is_synced = true;
	/* What is in no bundle, unless the host that it came from has uploaded it since. */
	index->changes += mailbox->pulled_changes > 0;
	index->important_changes += mailbox->pulled_changes > 1;
	mailbox->pulled_changes = 0;
	/* Nobody may do anything here after that. */
	if (index->important_changes != important)
		obox_upload_schedule(mailbox);
}

/* Bundles first: what they tell is in a listing that is younger, or it is gone. */
static int compare_locked(struct obox_mailbox *mailbox, bool is_rebuild, struct rescan_result *ret,
	struct lab_error *err)
{
	struct lab_heap *heap = mailbox->user->env->heap;
	struct lab_arena *arena = lab_arena_new(heap, (size_t)OBOX_MAILS_MAX * 512);
	struct listing listing = { 0 };
	struct obox_refresh refresh;
	int result = obox_refresh_begin(&refresh, mailbox, err);
	uint64_t asked_ns = env_now(mailbox->user->env);

	refresh.is_rebuild = is_rebuild;
	if (result == 0) {
		ENV_HOLD(mailbox->user->env, rescan_refreshed, mailbox->user->username);
		result = list_folder(
			mailbox, is_rebuild ? FS_ITER_NOCACHE : 0, arena, &listing, err);
	}
	if (lab_defect(UNLISTED_IS_EMPTY) && result < 0)
		result = list_nothing(mailbox, &listing);
	if (result == 0) {
		ENV_HOLD(mailbox->user->env, merge_before, mailbox->user->username);
		apply(&refresh, &listing, ret);
		mailbox->compared_ns = asked_ns;
	}
	obox_refresh_end(&refresh, result < 0 ? err : NULL);
	lab_map_free(&listing.by_name);
	lab_arena_free(&arena);
	return result;
}

/* Nobody may take a UID for what it was. */
static void renew_uidvalidity(struct obox_mailbox *mailbox, uint32_t old)
{
	struct obox_index *index = &mailbox->index;

	if (index->state->uidvalidity > old)
		return;
	index->lost_uidvalidity = LAB_MAX(index->lost_uidvalidity, old);
	index->state->uidvalidity = 0;
	obox_index_settle(index, 0);
	index->changes++;
	mailbox->sync.is_scrambled = true;
}

/* Forgets what is known here only; if that is of no use, it comes back. */
static int rebuild_locked(
	struct obox_mailbox *mailbox, struct rescan_result *counts, struct lab_error *err)
{
	uint32_t old = mailbox->index.state->uidvalidity;
	struct obox_sync before = mailbox->sync;
	struct obox_index_content content;
	int result;

	obox_index_reset(&mailbox->index, &content);
	obox_sync_reset(mailbox);
	result = compare_locked(mailbox, true, counts, err);
	if (result == 0) {
		renew_uidvalidity(mailbox, old);
		obox_bundles_free(&before.bundles);
		obox_index_content_free(&content);
	} else {
		obox_sync_close(mailbox);
		mailbox->sync = before;
		obox_index_restore(&mailbox->index, &content);
	}
	return result;
}

/* What the index says is of mails of another user, under his UIDs. */
static void forget_locked(struct obox_mailbox *mailbox)
{
	mailbox->is_reborn = false;
	obox_index_reset(&mailbox->index, NULL);
	obox_sync_close(mailbox);
	obox_sync_reset(mailbox);
}

static int rescan_locked(struct obox_mailbox *mailbox, enum rescan_why why, struct lab_error *err)
{
	struct rescan_result counts = { .why = why };
	bool is_rebuild = why == RESCAN_REBUILD;
	int result;

	if (mailbox->is_reborn)
		forget_locked(mailbox);
	result = is_rebuild ? rebuild_locked(mailbox, &counts, err)
			    : compare_locked(mailbox, false, &counts, err);
	if (result == 0)
		err->code = LAB_OK;
	report_finished(mailbox, is_rebuild, &counts, err);
	return result;
}

static int rescan(struct obox_mailbox *mailbox, enum rescan_why why, struct lab_error *err)
{
	bool is_rebuild = why == RESCAN_REBUILD;
	struct lab_error own;
	int result = 0;

	if (err == NULL)
		err = &own;
	obox_mailbox_lock(mailbox);
	if (mailbox->is_gone) {
		obox_mailbox_unlock(mailbox);
		return lab_fail(err, LAB_NOT_FOUND, "folder %s was deleted", mailbox->name);
	}
	if (why != RESCAN_FIRST || !mailbox->is_synced) {
		ENV_EVENT(mailbox->user->env,
			is_rebuild ? LAB_EV_obox_mailbox_rebuild_started
				   : LAB_EV_obox_mailbox_rescan_started,
			LAB_F_CSTR("user", mailbox->user->username),
			LAB_F_CSTR("mailbox", mailbox->name),
			LAB_F_CSTR("mailbox_guid", mailbox->guid));
		result = rescan_locked(mailbox, why, err);
	}
	obox_mailbox_unlock(mailbox);
	if (result < 0)
		return lab_error_wrap(
			err, "%s of %s", is_rebuild ? "rebuild" : "rescan", mailbox->name);
	return 0;
}

int obox_mailbox_rescan(struct obox_mailbox *mailbox, struct lab_error *err)
{
	return rescan(mailbox, RESCAN_AGAIN, err);
}

int obox_mailbox_rebuild(struct obox_mailbox *mailbox, struct lab_error *err)
{
	return rescan(mailbox, RESCAN_REBUILD, err);
}

int obox_mailbox_compare(struct obox_mailbox *mailbox, struct lab_error *err)
{
	return rescan(mailbox, RESCAN_FIRST, err);
}
