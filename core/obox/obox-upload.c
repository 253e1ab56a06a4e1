/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-upload.c - a folder's index goes into a bundle: as what, when, and which UIDs must be in one
 * before anybody sees them (obox 4.8, 5.2, 5.3, HD-6, HD-7).
 */
#include "core/obox/metacache.h"
#include "core/base/mark.h"
#include "core/obox/obox-private.h"

#include "core/base/defect.h"
#include "core/env/buggify.h"

/* HD-7: a diff beyond this, or beyond half of its base, is a new base. */
#define DIFF_BYTES_MAX (256u * 1024)
#define RETRY_MIN LAB_SEC
#define SHOW_UPLOADS_MAX 16u /* one after the other, before a folder is shown */

static const struct conf_settings *conf_of(const struct obox_mailbox *mailbox)
{
	return backend_get_settings(mailbox->user->backend)->conf;
}

/* ---- UIDs that a new metacache would find again (obox 4.8) ---- */

static bool is_created_before(const struct obox_mail *a, const struct obox_mail *b)
{
	uint64_t a_ns = env_guid128_time(a->name), b_ns = env_guid128_time(b->name);

	return a_ns != b_ns ? a_ns < b_ns : memcmp(a->name, b->name, sizeof(a->name)) < 0;
}

bool obox_uids_are_reproducible(const struct obox_mailbox *mailbox)
{
	const struct obox_sync *sync = &mailbox->sync;
	const struct obox_state *state = mailbox->index.state;
	size_t first = state->count;

	if (state->next_uid == sync->floor && !sync->is_scrambled)
		return true;
	if (sync->is_scrambled || sync->has_uncertain || sync->saving > 0)
		return false;
	while (first > 0 && state->records[first - 1].mail.uid >= sync->floor)
		first--;
	/* No gaps, and none at the end. */
	if (state->next_uid - sync->floor != state->count - first)
		return false;
	for (size_t i = first + 1; i < state->count; i++) {
		if (!is_created_before(&state->records[i - 1].mail, &state->records[i].mail))
			return false;
	}
	return true;
}

/* ---- what there is to upload ---- */

static bool has_important(const struct obox_mailbox *mailbox)
{
	return mailbox->index.important_changes != mailbox->sync.uploaded_important &&
	       !lab_defect(FLAGS_NOT_IMPORTANT);
}

static bool has_many_new(const struct obox_mailbox *mailbox)
{
	return mailbox->index.state->next_uid - mailbox->sync.floor >
	       conf_of(mailbox)->obox_max_rescan_mail_count;
}

static bool is_needed(const struct obox_mailbox *mailbox, enum obox_upload_what what)
{
	/* Nobody will look for bundles of a folder that was deleted. */
	if (mailbox->is_gone || mailbox->is_reborn)
		return false;
	switch (what) {
	case OBOX_UPLOAD_CHANGES:
		return mailbox->index.changes != mailbox->sync.uploaded_changes;
	case OBOX_UPLOAD_IMPORTANT:
		return has_important(mailbox) || has_many_new(mailbox);
	case OBOX_UPLOAD_UIDS:
		return !conf_of(mailbox)->obox_allow_nonreproducible_uids &&
		       !lab_defect(SHOWN_BEFORE_UPLOAD) && !obox_uids_are_reproducible(mailbox);
	}
	return true;
}

/* ---- one upload ---- */

struct upload {
	struct obox_mailbox *mailbox;
	struct lab_buf content;
	struct obox_bundle_file file;
	struct obox_bundle_upload bundle;
	char base[OBOX_BUNDLE_NAME_MAX];
	/* As it was when the content was encoded. */
	uint64_t changes, important_changes;
	uint32_t next_uid;
};

/* The diff, if it is worth one. Of two bases it would leave one. */
static bool encode_diff(struct upload *u)
{
	struct obox_mailbox *mailbox = u->mailbox;
	struct obox_sync *sync = &mailbox->sync;
	struct obox_bundle_name any;

	if (mailbox->index.base == NULL || !obox_bundles_has(sync->bundles, &sync->base_name) ||
		obox_bundles_bases(sync->bundles, &any) > 1)
		return false;
	obox_state_encode_changes(mailbox->index.base, mailbox->index.state, &u->content);
	if (!u->content.overflow && u->content.len <= DIFF_BYTES_MAX &&
		u->content.len <= sync->base_bytes / 2) {
		obox_bundle_name_format(&sync->base_name, u->base);
		u->bundle.kind = OBOX_BUNDLE_DIFF;
		u->bundle.base = lab_view_cstr(u->base);
		u->file.name = LAB_VIEW(OBOX_CHANGES_FILE);
		return true;
	}
	lab_buf_reset(&u->content);
	return false;
}

static void mark(enum obox_bundle_kind kind)
{
	if (kind == OBOX_BUNDLE_BASE)
		LAB_MARK(base_uploaded);
	else if (kind == OBOX_BUNDLE_DIFF)
		LAB_MARK(diff_uploaded);
	else
		LAB_MARK(self_uploaded);
}

static void encode(struct upload *u)
{
	struct obox_mailbox *mailbox = u->mailbox;
	struct obox_state *state = mailbox->index.state;
	struct obox_bundle_name any;
	bool is_unusual;

	u->changes = mailbox->index.changes;
	u->important_changes = mailbox->index.important_changes;
	u->next_uid = state->next_uid;
	is_unusual = ENV_BUGGIFY(mailbox->user->env, upload_as_base);
	if (is_unusual || !encode_diff(u)) {
		obox_state_encode(state, &u->content);
		u->file.name = LAB_VIEW(OBOX_STATE_FILE);
		u->bundle.kind = is_unusual ||
						 u->content.len > backend_self_bundle_max(
									  mailbox->user->backend) ||
						 obox_bundles_bases(mailbox->sync.bundles, &any) > 0
					 ? OBOX_BUNDLE_BASE
					 : OBOX_BUNDLE_SELF;
	}
	if (u->bundle.kind == OBOX_BUNDLE_BASE)
		mailbox->index.next_base = obox_base_new(state);
	mark(u->bundle.kind);
	u->file.content = lab_buf_view(&u->content);
	u->bundle.uidvalidity = state->uidvalidity;
	u->bundle.next_uid = state->next_uid;
	u->bundle.highest_modseq = state->highest_modseq;
	u->bundle.files = &u->file;
	u->bundle.file_count = 1;
}

/* All that was encoded is in storage. */
static void uploaded(struct upload *u, const struct obox_bundle_name *name)
{
	struct obox_mailbox *mailbox = u->mailbox;
	struct obox_sync *sync = &mailbox->sync;

	sync->floor = u->next_uid;
	sync->stored_modseq = LAB_MAX(sync->stored_modseq, u->bundle.highest_modseq);
	LAB_ALWAYS(floor_is_given, sync->floor <= mailbox->index.state->next_uid);
	LAB_ALWAYS(stored_is_behind, sync->stored_modseq <= mailbox->index.state->highest_modseq);
	sync->uploaded_changes = u->changes;
	sync->uploaded_important = u->important_changes;
	sync->is_scrambled = false;
	sync->retry_ns = 0;
	if (mailbox->index.next_base == NULL)
		return;
	obox_base_free(&mailbox->index.base);
	mailbox->index.base = mailbox->index.next_base;
	mailbox->index.next_base = NULL;
	sync->base_name = *name;
	sync->base_bytes = u->content.len;
}

/* Other backends look for it only if the root says so. */
static int write_bundle(struct upload *u, struct obox_bundle_name *ret, struct lab_error *err)
{
	struct obox_mailbox *mailbox = u->mailbox;

	if (obox_root_begin_change(&mailbox->user->root_index, err) < 0)
		return -1;
	if (lab_defect(OLD_BUNDLE_FIRST))
		obox_bundles_drop_own(mailbox->sync.bundles);
	encode(u);
	if (u->content.overflow)
		return lab_fail(err, LAB_LIMIT, "index of %s is too large", mailbox->name);
	return obox_bundles_upload(mailbox->sync.bundles, &u->bundle, ret, err);
}

static int upload_now(struct obox_mailbox *mailbox, const char *reason, struct lab_error *err)
{
	struct upload u = { .mailbox = mailbox, .bundle.reason = reason };
	bool is_believed = lab_defect(UPLOAD_CLEAN_ON_FAILURE);
	struct obox_bundle_name name = { 0 };
	int result;

	lab_assert(!mailbox->sync.is_uploading);
	mailbox->sync.is_uploading = true;
	lab_buf_init(&u.content, mailbox->user->env->heap, OBOX_BUNDLE_BYTES_MAX / 2);
	result = write_bundle(&u, &name, err);
	if (result < 0)
		LAB_MARK(upload_failed);
	if (result == 0 || is_believed)
		uploaded(&u, &name);
	else
		mailbox->sync.retry_ns =
			env_now(mailbox->user->env) +
			LAB_MAX(RETRY_MIN, conf_of(mailbox)->metacache_upload_interval_ns);
	obox_base_free(&mailbox->index.next_base);
	lab_buf_done(&u.content);
	mailbox->sync.is_uploading = false;
	env_cond_broadcast(mailbox->user->env, &mailbox->sync.cond);
	return result < 0 ? lab_error_wrap(err, "upload of %s", mailbox->name) : 1;
}

/* Another fiber's upload may be all that is needed. */
static void wait_for_upload(struct obox_mailbox *mailbox)
{
	while (mailbox->sync.is_uploading)
		(void)env_cond_wait(mailbox->user->env, &mailbox->sync.cond, ENV_FOREVER);
}

int obox_upload(struct obox_mailbox *mailbox, enum obox_upload_what what, const char *reason,
	struct lab_error *err)
{
	if (!is_needed(mailbox, what))
		return 0;
	wait_for_upload(mailbox);
	return is_needed(mailbox, what) ? upload_now(mailbox, reason, err) : 0;
}

int obox_upload_below(struct obox_mailbox *mailbox, uint32_t uid, struct lab_error *err)
{
	if (conf_of(mailbox)->obox_allow_nonreproducible_uids || uid < mailbox->sync.floor ||
		lab_defect(EXPUNGED_BEFORE_UPLOAD))
		return 0;
	wait_for_upload(mailbox);
	LAB_MARK(uploaded_before_shown);
	return uid < mailbox->sync.floor
		       ? 0
		       : upload_now(mailbox, "obox:mailbox_uids_non_reproducible", err);
}

int obox_upload_ahead(struct obox_mailbox *mailbox, struct lab_error *err)
{
	const struct obox_state *state = mailbox->index.state;
	uint64_t next_ns = env_guid128_next_time(mailbox->user->env);

	uint32_t uid = 0;
	int result = 0;

	for (size_t i = state->count; i-- > 0 && uid == 0;) {
		const struct obox_mail *mail = &state->records[i].mail;

		if (mail->uid < mailbox->sync.floor)
			break;
		if (env_guid128_time(mail->name) >= next_ns)
			uid = mail->uid;
	}
	if (uid != 0 && !lab_defect(LATE_CLOCK_REORDERS))
		result = obox_upload_below(mailbox, uid, err);
	/* Nothing of the mail is anywhere. */
	if (result < 0 && err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	return result;
}

int obox_upload_uidvalidity(struct obox_mailbox *mailbox, struct lab_error *err)
{
	if (obox_bundles_count(mailbox->sync.bundles) == 0 &&
		obox_root_settle(&mailbox->user->root_index, err) < 0)
		return -1;
	/* Or its making has failed meanwhile. */
	if (mailbox->is_gone)
		return lab_fail(err, LAB_NOT_FOUND, "folder %s was deleted", mailbox->name);
	return 0;
}

int obox_mailbox_show(struct obox_mailbox *mailbox, struct lab_error *err)
{
	int result;

	if (obox_upload_uidvalidity(mailbox, err) < 0)
		return -1;
	if (!is_needed(mailbox, OBOX_UPLOAD_UIDS))
		return 0;
	obox_mailbox_begin(mailbox);
	/* While an upload was under way, others may have been given UIDs that it does not have. */
	for (unsigned n = 0;; n++) {
		result = obox_upload(
			mailbox, OBOX_UPLOAD_UIDS, "obox:mailbox_uids_non_reproducible", err);
		if (result <= 0)
			break;
		if (n == SHOW_UPLOADS_MAX) {
			result = lab_fail(err, LAB_UNAVAILABLE,
				"%s changes faster than it can be uploaded", mailbox->name);
			break;
		}
	}
	obox_mailbox_end(mailbox);
	/* Whether they are in a bundle or not: nobody was told any. */
	if (result < 0 && err != NULL && err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	return result < 0 ? -1 : 0;
}

/* ---- in time ---- */

void obox_upload_schedule(struct obox_mailbox *mailbox)
{
	struct metacache *metacache = backend_get_metacache(mailbox->user->backend);
	uint64_t when = env_now(mailbox->user->env);

	metacache_count(metacache, mailbox, obox_mailbox_bytes(mailbox));
	if (mailbox->sync.is_uploading || !is_needed(mailbox, OBOX_UPLOAD_IMPORTANT))
		return;
	if (!has_many_new(mailbox) && !ENV_BUGGIFY(mailbox->user->env, upload_at_once))
		when += conf_of(mailbox)->metacache_upload_interval_ns;
	metacache_upload_at(metacache, mailbox, LAB_MAX(when, mailbox->sync.retry_ns));
}

/* ---- flush ---- */

struct flush {
	struct obox_mailbox **mailboxes;
	enum obox_upload_what what;
	const char *reason;
	struct lab_error *errors;
};

static void flush_one(void *ctx, size_t i)
{
	struct flush *flush = ctx;
	struct obox_mailbox *mailbox = flush->mailboxes[i];

	obox_mailbox_begin(mailbox);
	if (obox_upload(mailbox, flush->what, flush->reason, &flush->errors[i]) >= 0)
		flush->errors[i].code = LAB_OK;
	obox_mailbox_end(mailbox);
	mailbox->references--;
}

int obox_user_flush(
	struct obox_user *user, bool important_only, const char *reason, struct lab_error *err)
{
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_heap *heap = user->env->heap;
	size_t count = 0, max = lab_map_count(user->folders);
	struct flush flush = { .mailboxes = lab_new_array(heap, struct obox_mailbox *, max + 1),
		.what = important_only ? OBOX_UPLOAD_IMPORTANT : OBOX_UPLOAD_CHANGES,
		.reason = reason,
		.errors = lab_new_array(heap, struct lab_error, max + 1) };
	struct lab_view name;
	void *mailbox;
	int result = 0;

	while (lab_map_next(&iter, &name, &mailbox)) {
		flush.mailboxes[count] = mailbox;
		if (mailbox != NULL && is_needed(mailbox, flush.what))
			flush.mailboxes[count++]->references++;
	}
	env_for_each(user->env, count,
		LAB_MAX(1u,
			backend_get_settings(user->backend)->conf->metacache_max_parallel_requests),
		flush_one, &flush);
	for (size_t i = count; i-- > 0;) {
		if (flush.errors[i].code == LAB_OK)
			continue;
		*err = flush.errors[i];
		result = -1;
	}
	lab_heap_free(heap, flush.errors);
	lab_heap_free(heap, flush.mailboxes);
	return result;
}
