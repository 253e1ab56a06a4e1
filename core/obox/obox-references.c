/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-references.c - which mails share an object: counted (REFCOUNT), or known
 * (obox_track_copy_flags, obox 4.9).
 *
 * A mail is single if it was added here since its folder was last compared with a listing, and
 * nobody copied it here. Other hosts leave a mark before they change anything, so a folder is
 * compared before it is used behind them; what they do meanwhile is why it takes lazy_expunge: the
 * object of a single mail goes only days later.
 */
#include "core/obox/obox-private.h"

#define PARALLEL_COUNTS_MAX 32

static const struct conf_settings *conf_of(const struct obox_mailbox *mailbox)
{
	return backend_get_settings(mailbox->user->backend)->conf;
}

static bool is_tracked(const struct obox_mailbox *mailbox)
{
	return conf_of(mailbox)->obox_track_copy_flags && conf_of(mailbox)->lazy_expunge;
}

uint8_t obox_reference_bits(const struct obox_mailbox *mailbox)
{
	return is_tracked(mailbox) ? 0 : OBOX_MAIL_COPIED;
}

static bool is_single(const struct obox_mailbox *mailbox, const struct obox_record *record)
{
	return is_tracked(mailbox) && record != NULL && !record->is_moving &&
	       (record->mail.bits & OBOX_MAIL_COPIED) == 0 &&
	       record->mail.uid >= mailbox->sync.single_floor;
}

/* ---- copying ---- */

bool obox_reference_begin(struct obox_mailbox *from, uint32_t uid, bool is_move)
{
	struct obox_record *record = obox_state_find(from->index.state, uid);
	bool is_sole = is_move && is_single(from, record);

	if (is_sole)
		record->is_moving = true;
	else if (is_tracked(from))
		obox_index_mark_copied(&from->index, uid);
	return is_sole;
}

void obox_reference_added(
	struct obox_mailbox *to, const struct obox_result *result, struct obox_mail *added)
{
	struct obox_record *record;

	added->bits = result->is_sole ? 0 : OBOX_MAIL_COPIED;
	added->uid = obox_index_append(&to->index, added);
	record = obox_state_find(to->index.state, added->uid);
	if (result->is_sole)
		record->is_moving = true;
}

bool obox_reference_is_sole(const struct obox_mailbox *from, const struct obox_result *result)
{
	const struct obox_record *record = obox_state_find(from->index.state, result->uid);

	return result->is_sole && record != NULL && record->is_moving &&
	       (record->mail.bits & OBOX_MAIL_COPIED) == 0 &&
	       record->mail.uid >= from->sync.single_floor;
}

/* What is left of a mail that was single when its move began. */
static void settle(struct obox_mailbox *mailbox, struct obox_record *record, bool is_single)
{
	if (record == NULL)
		return;
	record->is_moving = false;
	if (!is_single)
		obox_index_mark_copied(&mailbox->index, record->mail.uid);
}

void obox_reference_end(
	struct obox_mailbox *from, struct obox_mailbox *to, const struct obox_result *result)
{
	struct obox_record *source = obox_state_find(from->index.state, result->uid);
	bool is_gone = result->err.code == LAB_OK;
	bool may_be_there = result->copied || result->err.code == LAB_UNCERTAIN;

	/* Of a mail that is not, somebody else may be the mover. */
	if (!is_gone && result->is_sole)
		settle(from, source, !may_be_there);
	if (result->copied)
		settle(to, obox_state_find_name(to->index.state, result->saved.name),
			is_gone && result->is_sole);
}

/* ---- expunging ---- */

void obox_reference_tell(const struct obox_mailbox *mailbox, const struct obox_result *result,
	const struct obox_mail *mail, struct fs_file *file)
{
	bool is_shared = result->saved.oid_len == mail->oid_len &&
			 memcmp(result->saved.oid, mail->oid, mail->oid_len) == 0;

	if (result->copied) {
		if (is_shared && obox_reference_is_sole(mailbox, result))
			fs_set_metadata(file, FS_METADATA_REFERENCES, LAB_VIEW(FS_REFERENCES_MORE));
	} else if (is_single(mailbox, obox_state_find(mailbox->index.state, mail->uid))) {
		fs_set_metadata(file, FS_METADATA_REFERENCES, LAB_VIEW(FS_REFERENCES_LAST));
	}
}

/* ---- counting ---- */

struct counts {
	struct obox_mailbox *mailbox;
	const uint32_t *uids;
	const struct obox_references *const *expunged;
	size_t expunged_count;
	struct obox_references *ret;
};

static void leave_out_expunged(
	const struct counts *counts, const struct obox_references *of, struct fs_file *file)
{
	struct lab_buf names;
	char hex[OBOX_GUID_HEX + 1];

	lab_buf_init(
		&names, counts->mailbox->user->env->heap, counts->expunged_count * sizeof(hex) + 1);
	for (size_t i = 0; i < counts->expunged_count; i++) {
		const struct obox_references *expunged = counts->expunged[i];

		if (!lab_view_eq(lab_view_of(expunged->oid, expunged->oid_len),
			    lab_view_of(of->oid, of->oid_len)))
			continue;
		lab_hex(expunged->name, sizeof(expunged->name), hex);
		lab_buf_printf(&names, "%s ", hex);
	}
	if (names.len > 0)
		fs_set_metadata(file, FS_METADATA_DELETED, lab_buf_view(&names));
	lab_buf_done(&names);
}

static void count_one(void *ctx, size_t i)
{
	struct counts *counts = ctx;
	struct obox_mailbox *mailbox = counts->mailbox;
	const struct obox_record *record = obox_state_find(mailbox->index.state, counts->uids[i]);
	struct obox_references *ret = &counts->ret[i];
	struct fs_file *file;

	*ret = (struct obox_references){ .count = 1 };
	if (record == NULL) {
		(void)lab_fail(&ret->err, LAB_NOT_FOUND, "%s has no mail with UID %" PRIu32,
			mailbox->name, counts->uids[i]);
		return;
	}
	memcpy(ret->name, record->mail.name, sizeof(ret->name));
	ret->oid_len = record->mail.oid_len;
	memcpy(ret->oid, record->mail.oid, sizeof(ret->oid));
	if (is_single(mailbox, record))
		return;
	file = obox_mail_open(mailbox, &record->mail, FS_OPEN_READONLY);
	leave_out_expunged(counts, ret, file);
	if (fs_get_nlinks(file, &ret->count, &ret->err) == 0) {
		ret->err.code = LAB_OK;
	} else if (ret->err.code == LAB_UNSUPPORTED) {
		/* Nothing is ever shared. */
		ret->err.code = LAB_OK;
		ret->count = 1;
	}
	fs_file_close(&file);
}

void obox_count_references(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	const struct obox_references *const *expunged, size_t expunged_count,
	struct obox_references *ret)
{
	struct counts counts = { mailbox, uids, expunged, expunged_count, ret };
	unsigned parallel = LAB_MAX(1u, conf_of(mailbox)->obox_max_parallel_deletes);

	obox_mailbox_begin(mailbox);
	fs_set_reason(mailbox->user->fs, "obox:mail_refcount");
	env_for_each(mailbox->user->env, count, LAB_MIN(parallel, PARALLEL_COUNTS_MAX), count_one,
		&counts);
	obox_mailbox_end(mailbox);
}
