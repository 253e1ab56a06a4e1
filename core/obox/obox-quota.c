/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-quota.c - quota=count: what the folders of a user have together (obox 6.3), and where the
 * sizes of mails come from that a listing brought (obox 4.5).
 */
#include "core/obox/obox-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include "core/conf/conf-value.h"

#define METADATA_ARENA_MAX 65536

static const struct conf_settings *conf_of(const struct obox_user *user)
{
	return backend_get_settings(user->backend)->conf;
}

/* ---- the size of one mail ---- */

void obox_size_read(struct obox_mailbox *mailbox, uint32_t uid, struct lab_view body)
{
	const struct obox_mail *mail = obox_index_find(&mailbox->index, uid);
	uint64_t size = quota_virtual_size(body);

	if (mail == NULL || mail->size == size)
		return;
	if (mail->size != UINT64_MAX && !conf_of(mailbox->user)->obox_avoid_cached_vsize)
		ENV_EVENT(mailbox->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
			LAB_F_CSTR("message", mail->size < size
						      ? "cached message size smaller than expected"
						      : "cached message size larger than expected"),
			LAB_F_CSTR("user", mailbox->user->username),
			LAB_F_CSTR("mailbox", mailbox->name), LAB_F_U64("uid", uid));
	(void)obox_index_set_size(&mailbox->index, uid, size);
}

static int read_size(
	struct obox_mailbox *mailbox, struct fs_file *file, uint64_t *ret, struct lab_error *err)
{
	struct lab_arena *arena =
		lab_arena_new(mailbox->user->env->heap, 2 * (size_t)OBOX_MAIL_MAX);
	struct lab_view body;
	int result = fs_read(file, arena, OBOX_MAIL_MAX, &body, err);

	if (result == 0)
		*ret = quota_virtual_size(body);
	lab_arena_free(&arena);
	return result;
}

/* stat counts bytes as they are, not line ends; of what is packed nobody knows without reading. */
static int missing_size(
	struct obox_mailbox *mailbox, struct fs_file *file, uint64_t *ret, struct lab_error *err)
{
	enum conf_size_missing_action action = conf_of(mailbox->user)->obox_size_missing_action;

	if (action == CONF_SIZE_STAT) {
		if (fs_stat(file, ret, err) == 0)
			return 0;
		if (err->code != LAB_UNSUPPORTED)
			return -1;
	}
	if (action == CONF_SIZE_WARN_READ)
		ENV_EVENT(mailbox->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
			LAB_F_CSTR("message", "object has no size metadata: reading it"),
			LAB_F_CSTR("user", mailbox->user->username),
			LAB_F_CSTR("mailbox", mailbox->name));
	return read_size(mailbox, file, ret, err);
}

static int size_of(
	struct obox_mailbox *mailbox, struct fs_file *file, uint64_t *ret, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(mailbox->user->env->heap, METADATA_ARENA_MAX);
	struct lab_view text;
	struct lab_error ignored;
	int found = fs_get_metadata(file, "size", arena, &text, err);
	bool is_number = found > 0 && conf_value_uint(text, OBOX_SIZE_MAX, ret, &ignored) == 0;

	lab_arena_free(&arena);
	if (found < 0)
		return -1;
	return is_number ? 0 : missing_size(mailbox, file, ret, err);
}

/* ---- those that are not known ---- */

struct sizes {
	struct obox_mailbox *mailbox;
	struct obox_mail *mails;
	struct lab_error *errors;
};

static void learn_one(void *ctx, size_t i)
{
	struct sizes *sizes = ctx;
	const struct obox_mail *mail = &sizes->mails[i], *present;
	struct fs_file *file = obox_mail_open(sizes->mailbox, mail, FS_OPEN_READONLY);
	uint64_t size;

	if (size_of(sizes->mailbox, file, &size, &sizes->errors[i]) == 0) {
		sizes->errors[i].code = LAB_OK;
		present = obox_index_find_name(&sizes->mailbox->index, mail->name);
		if (present != NULL)
			(void)obox_index_set_size(
				&sizes->mailbox->index, present->uid, LAB_MIN(size, OBOX_SIZE_MAX));
	}
	fs_file_close(&file);
}

/* The next ones from *at on, which goes behind them. */
static size_t take_unknown(
	const struct obox_state *state, size_t *at, struct obox_mail *mails, size_t max)
{
	size_t count = 0;

	for (; *at < state->count && count < max; (*at)++) {
		if (state->records[*at].mail.size == UINT64_MAX)
			mails[count++] = state->records[*at].mail;
	}
	return count;
}

static int learn_batch(struct sizes *sizes, size_t count, struct lab_error *err)
{
	struct obox_user *user = sizes->mailbox->user;

	fs_set_reason(user->fs, "obox:mail_metadata_size");
	env_for_each(user->env, count, LAB_MAX(1u, conf_of(user)->mail_prefetch_count), learn_one,
		sizes);
	for (size_t i = 0; i < count; i++) {
		if (sizes->errors[i].code == LAB_OK || sizes->errors[i].code == LAB_NOT_FOUND)
			continue;
		*err = sizes->errors[i];
		return -1;
	}
	return 0;
}

int obox_sizes_learn(struct obox_mailbox *mailbox, struct lab_error *err)
{
	struct obox_state *state = mailbox->index.state;
	struct lab_heap *heap = mailbox->user->env->heap;
	struct sizes sizes = { .mailbox = mailbox };
	size_t at = 0, count;
	int result = 0;

	if (state->sizeless == 0)
		return 0;
	sizes.mails = lab_new_array(heap, struct obox_mail, OBOX_BATCH);
	sizes.errors = lab_new_array(heap, struct lab_error, OBOX_BATCH);
	while (result == 0 && (count = take_unknown(state, &at, sizes.mails, OBOX_BATCH)) > 0)
		result = learn_batch(&sizes, count, err);
	lab_heap_free(heap, sizes.errors);
	lab_heap_free(heap, sizes.mails);
	return result < 0 ? lab_error_wrap(err, "sizes of %s", mailbox->name) : 0;
}

/* ---- what a user has ---- */

/* obox_mailbox_list_quick_lookups: what this host's index of the folder says, however old that is.
 * False if there is none, or one that lacks sizes. Blocks. */
static bool add_as_it_was(
	struct obox_user *user, const struct obox_folder *folder, struct obox_usage *usage)
{
	struct obox_mailbox *mailbox;
	const struct obox_state *state;
	bool is_known;

	if (!conf_of(user)->obox_mailbox_list_quick_lookups ||
		obox_mailbox_load(user, lab_view_cstr(folder->guid), &mailbox, NULL) < 0)
		return false;
	/* Another session may be opening it right now. */
	obox_mailbox_begin(mailbox);
	state = mailbox->index.state;
	is_known = !mailbox->is_gone && !mailbox->is_reborn && state->uidvalidity != 0 &&
		   state->sizeless == 0;
	if (is_known) {
		usage->bytes += state->bytes;
		usage->messages += state->count;
	}
	obox_mailbox_end(mailbox);
	return is_known;
}

/* Adds what a folder has. Nothing if it is gone by now. */
static int add_folder(struct obox_user *user, struct lab_view name, bool is_anew,
	struct obox_usage *usage, struct lab_error *err)
{
	struct obox_mailbox *mailbox = NULL;
	int result = obox_mailbox_select(user, name, &mailbox, err);

	if (result >= 0 && is_anew) {
		result = obox_mailbox_rescan(mailbox, err);
		if (result == 0)
			obox_state_recount(mailbox->index.state);
	}
	if (result >= 0)
		result = obox_mailbox_begin_change(mailbox, err);
	if (result >= 0) {
		result = obox_sizes_learn(mailbox, err);
		usage->bytes += mailbox->index.state->bytes;
		usage->messages += mailbox->index.state->count;
		obox_mailbox_end(mailbox);
	}
	obox_mailbox_close(&mailbox);
	return result < 0 && err->code != LAB_NOT_FOUND ? -1 : 0;
}

static int add_folders(
	struct obox_user *user, bool is_anew, struct obox_usage *usage, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, (size_t)64 << 20);
	struct obox_folder *folders;
	size_t count;
	int result = 0;

	obox_folder_list(user, arena, &folders, &count);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct lab_view name = lab_view_cstr(folders[i].name);

		if (!quota_is_ignored(&user->quota, name) &&
			(is_anew || !add_as_it_was(user, &folders[i], usage)))
			result = add_folder(user, name, is_anew, usage, err);
	}
	lab_arena_free(&arena);
	return result;
}

static int sum(struct obox_user *user, bool is_anew, struct obox_usage *ret, struct lab_error *err)
{
	struct quota_amount limits;
	struct lab_error own;

	*ret = (struct obox_usage){ .has_quota = user->quota.is_set };
	if (!ret->has_quota)
		return 0;
	if (err == NULL)
		err = &own;
	limits = quota_limits(&user->quota, LAB_VIEW("INBOX"));
	ret->bytes_limit = limits.bytes;
	ret->messages_limit = limits.messages;
	return add_folders(user, is_anew, ret, err);
}

int obox_quota_usage(struct obox_user *user, struct obox_usage *ret, struct lab_error *err)
{
	return sum(user, false, ret, err);
}

int obox_quota_recalculate(struct obox_user *user, struct obox_usage *ret, struct lab_error *err)
{
	return sum(user, true, ret, err);
}

/* ---- may it come in? ---- */

/* Nothing was tried yet, whatever the look at the folders says. */
static int certainly_not(struct lab_error *err)
{
	if (err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	return -1;
}

int obox_quota_admit(struct obox_mailbox *mailbox, const struct quota_amount *added,
	uint64_t largest, bool is_delivery, struct lab_error *err)
{
	struct obox_user *user = mailbox->user;
	struct lab_view name = lab_view_cstr(mailbox->name);
	struct quota_amount used = { 0, 0 };
	struct obox_usage usage;

	if (!user->quota.is_set)
		return 0;
	if (user->quota.is_enforced && !quota_is_ignored(&user->quota, name)) {
		if (obox_quota_usage(user, &usage, err) < 0)
			return certainly_not(err);
		if (!lab_defect(QUOTA_OF_NOTHING))
			used = (struct quota_amount){ usage.bytes, usage.messages };
		ENV_HOLD(user->env, quota_summed, user->username);
	}
	/* It may have another name by now. */
	return quota_check(&user->quota, lab_view_cstr(mailbox->name), &used, added, largest,
		is_delivery, err);
}

int obox_quota_admit_copies(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, bool is_move, struct lab_error *err)
{
	const struct quota_root *quota = &from->user->quota;
	struct quota_amount added = { 0, 0 };
	uint64_t largest = 0;

	if (!quota->is_set || quota_is_ignored(quota, lab_view_cstr(to->name)) ||
		(is_move && !quota_is_ignored(quota, lab_view_cstr(from->name))))
		return 0;
	if (obox_mailbox_begin_change(from, err) < 0)
		return -1;
	if (obox_sizes_learn(from, err) < 0) {
		obox_mailbox_end(from);
		return certainly_not(err);
	}
	for (size_t i = 0; i < count; i++) {
		const struct obox_mail *mail = obox_index_find(&from->index, uids[i]);

		if (mail == NULL || mail->size == UINT64_MAX)
			continue;
		added.bytes += mail->size;
		added.messages++;
		largest = LAB_MAX(largest, mail->size);
	}
	obox_mailbox_end(from);
	return obox_quota_admit(to, &added, largest, false, err);
}
