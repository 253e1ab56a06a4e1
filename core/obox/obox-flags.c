/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-flags.c - system flags and keywords of mails.
 */
#include "core/obox/obox-private.h"

#define HAS_ATTACHMENT "$HasAttachment"
#define HAS_NO_ATTACHMENT "$HasNoAttachment"

static const char *const system_flags[] = {
	[OBOX_ANSWERED] = "\\Answered",
	[OBOX_FLAGGED] = "\\Flagged",
	[OBOX_DELETED] = "\\Deleted",
	[OBOX_SEEN] = "\\Seen",
	[OBOX_DRAFT] = "\\Draft",
};

/* 0 if it is not one of them. */
static uint16_t system_flag(struct lab_view name)
{
	for (uint16_t i = OBOX_ANSWERED; i < LAB_COUNT_OF(system_flags); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(system_flags[i])))
			return i;
	}
	return 0;
}

int obox_store(struct obox_mailbox *mailbox, uint32_t uid, struct lab_view name, bool is_set,
	struct lab_error *err)
{
	uint16_t flag = system_flag(name);
	int result = -1;

	if (obox_mailbox_begin_change(mailbox, err) < 0)
		return -1;
	if (obox_index_find(&mailbox->index, uid) == NULL)
		(void)lab_fail(
			err, LAB_NOT_FOUND, "%s has no mail with UID %" PRIu32, mailbox->name, uid);
	else if (flag != 0 || obox_state_keyword(mailbox->index.state, name, &flag, err) == 0)
		result = obox_index_set_flag(&mailbox->index, uid, flag, is_set);
	obox_mailbox_end(mailbox);
	return result;
}

bool obox_has_flag(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_view name)
{
	const struct obox_state *state = mailbox->index.state;
	const struct obox_record *record = obox_state_find(state, uid);
	uint16_t flag = system_flag(name);

	for (size_t i = 0; i < state->keyword_count && flag == 0; i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(state->keywords[i])))
			flag = (uint16_t)(OBOX_FIRST_KEYWORD + i);
	}
	return record != NULL && flag != 0 && obox_record_has_flag(record, flag);
}

size_t obox_flags(
	const struct obox_mailbox *mailbox, uint32_t uid, struct lab_view *ret, size_t max)
{
	const struct obox_state *state = mailbox->index.state;
	const struct obox_record *record = obox_state_find(state, uid);
	size_t count = 0;

	for (size_t i = 0; record != NULL && i < record->stamp_count && count < max; i++) {
		const struct obox_stamp *stamp = &record->stamps[i];

		if (stamp->flag == OBOX_PRESENT || !stamp->is_set)
			continue;
		ret[count++] =
			lab_view_cstr(stamp->flag < OBOX_FIRST_KEYWORD
					      ? system_flags[stamp->flag]
					      : state->keywords[stamp->flag - OBOX_FIRST_KEYWORD]);
	}
	return count;
}

/* Not for the sake of these is an index uploaded. */
static void set_derived(struct obox_mailbox *mailbox, uint32_t uid, uint16_t flag)
{
	uint64_t important = mailbox->index.important_changes;

	(void)obox_index_set_flag(&mailbox->index, uid, flag, true);
	mailbox->index.important_changes = important;
}

void obox_flags_add_attachment(struct obox_mailbox *mailbox, uint32_t uid, bool has_attachment)
{
	struct lab_view name =
		has_attachment ? LAB_VIEW(HAS_ATTACHMENT) : LAB_VIEW(HAS_NO_ATTACHMENT);
	uint16_t flag;

	if (obox_state_keyword(mailbox->index.state, name, &flag, NULL) == 0)
		set_derived(mailbox, uid, flag);
}

void obox_flags_from_id(struct obox_mailbox *mailbox, uint32_t uid)
{
	const struct obox_mail *mail = obox_index_find(&mailbox->index, uid);
	unsigned extra = mail == NULL ? 0 : fs_objectid_extra(mail->oid, mail->oid_len);

	if (extra != 0)
		obox_flags_add_attachment(mailbox, uid, extra == FS_OBJECTID_EXTRA_ATTACHMENT);
}

static bool is_derived(struct lab_view name)
{
	return lab_view_eq_cstr(name, HAS_ATTACHMENT) || lab_view_eq_cstr(name, HAS_NO_ATTACHMENT);
}

void obox_flags_add(
	struct obox_mailbox *mailbox, uint32_t uid, const struct lab_view *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint16_t flag = system_flag(names[i]);

		if (flag == 0 &&
			obox_state_keyword(mailbox->index.state, names[i], &flag, NULL) < 0)
			continue;
		if (is_derived(names[i]))
			set_derived(mailbox, uid, flag);
		else
			(void)obox_index_set_flag(&mailbox->index, uid, flag, true);
	}
}

size_t obox_flags_keep(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena,
	struct lab_view **ret)
{
	const struct obox_record *record = obox_state_find(mailbox->index.state, uid);
	size_t max = record == NULL ? 0 : record->stamp_count, count;

	*ret = lab_arena_array(arena, struct lab_view, max);
	count = obox_flags(mailbox, uid, *ret, max);
	for (size_t i = 0; i < count; i++)
		(*ret)[i] = lab_arena_copy(arena, (*ret)[i]);
	return count;
}

uint64_t obox_mailbox_highest_modseq(const struct obox_mailbox *mailbox)
{
	return mailbox->index.state->highest_modseq;
}

uint64_t obox_mailbox_modseq(const struct obox_mailbox *mailbox, uint32_t uid)
{
	const struct obox_record *record = obox_state_find(mailbox->index.state, uid);

	return record == NULL ? 0 : record->modseq;
}
