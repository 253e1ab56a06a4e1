/* SPDX-License-Identifier: Apache-2.0
 *
 * index-merge.c - one state of two (obox 5.5, HD-9).
 *
 * What is there is decided by stamps: a mail that one side lacks was expunged there if that side
 * had seen its addition; of two stamps of one flag the later one holds. UIDs and modseqs are for
 * those who saw one of the sides: nothing that they saw may come to mean something else, and
 * whatever is not as they saw it must be newer than all that they know.
 */
#include "core/obox/index-state-private.h"
#include "core/base/defect.h"

#include <stdlib.h>

struct side {
	const struct obox_state *state;
	uint16_t *authors;  /* places in the result's table */
	uint16_t *keywords; /* flags of the result */
	uint64_t *seen;     /* by the result's authors */
	bool holds;         /* its UIDVALIDITY is the result's */
	size_t kept;        /* of its mails */
};

struct merge {
	struct side sides[2];
	struct obox_state *out;
	uint32_t max_renumbers;
	struct obox_merge_result *result;
	struct lab_error *err;
};

/* ---- tables ---- */

/* Both sides may write it in different cases: all take the same. */
static int map_keyword(struct merge *merge, const char *name, uint16_t *ret)
{
	char *present;

	if (obox_state_keyword(merge->out, lab_view_cstr(name), ret, merge->err) < 0)
		return -1;
	present = merge->out->keywords[*ret - OBOX_FIRST_KEYWORD];
	if (strcmp(name, present) < 0)
		memcpy(present, name, strlen(name));
	return 0;
}

static int map_tables(struct merge *merge, struct side *side)
{
	const struct obox_state *state = side->state;
	struct lab_heap *heap = merge->out->heap;

	side->authors = lab_new_array(heap, uint16_t, state->author_count + 1);
	side->keywords = lab_new_array(heap, uint16_t, state->keyword_count + 1);
	for (size_t i = 0; i < state->author_count; i++) {
		if (obox_state_author(
			    merge->out, state->authors[i].id, &side->authors[i], merge->err) < 0)
			return -1;
	}
	for (size_t i = 0; i < state->keyword_count; i++) {
		if (map_keyword(merge, state->keywords[i], &side->keywords[i]) < 0)
			return -1;
	}
	return 0;
}

static void map_seen(struct merge *merge, struct side *side)
{
	struct obox_state *out = merge->out;

	side->seen = lab_new_array(out->heap, uint64_t, out->author_count + 1);
	for (size_t i = 0; i < side->state->author_count; i++) {
		struct obox_author *author = &out->authors[side->authors[i]];

		side->seen[side->authors[i]] = side->state->authors[i].seen;
		author->seen = LAB_MAX(author->seen, side->state->authors[i].seen);
	}
}

static uint16_t flag_of(const struct side *side, uint16_t flag)
{
	return flag < OBOX_FIRST_KEYWORD ? flag : side->keywords[flag - OBOX_FIRST_KEYWORD];
}

static struct obox_stamp stamp_of(const struct side *side, const struct obox_stamp *stamp)
{
	return (struct obox_stamp){ stamp->modseq, side->authors[stamp->author],
		flag_of(side, stamp->flag), stamp->is_set };
}

/* ---- one mail ---- */

static struct obox_stamp *find_stamp(struct obox_record *record, const struct obox_stamp *wanted)
{
	for (size_t i = 0; i < record->stamp_count; i++) {
		struct obox_stamp *stamp = &record->stamps[i];

		if (stamp->flag == wanted->flag &&
			(wanted->flag != OBOX_PRESENT || (stamp->modseq == wanted->modseq &&
								 stamp->author == wanted->author)))
			return stamp;
	}
	return NULL;
}

static bool is_later(
	const struct merge *merge, const struct obox_stamp *x, const struct obox_stamp *y)
{
	if (x->modseq != y->modseq)
		return (x->modseq > y->modseq) != lab_defect(EARLIER_FLAG_HOLDS);
	return merge->out->authors[x->author].id > merge->out->authors[y->author].id;
}

/* A later stamp of a flag takes the place of the earlier one. */
static void put_stamp(
	struct merge *merge, struct obox_record *record, const struct obox_stamp *stamp)
{
	struct obox_stamp *present = find_stamp(record, stamp);

	if (present == NULL)
		obox_record_add_stamp(merge->out->heap, record, stamp);
	else if (is_later(merge, stamp, present))
		*present = *stamp;
}

static bool has_stamp(
	const struct side *side, const struct obox_record *record, const struct obox_stamp *wanted)
{
	for (size_t i = 0; record != NULL && i < record->stamp_count; i++) {
		struct obox_stamp stamp = stamp_of(side, &record->stamps[i]);

		if (stamp.flag == wanted->flag && stamp.modseq == wanted->modseq &&
			stamp.author == wanted->author)
			return true;
	}
	return false;
}

/* The stamps of one side. An addition that the other side saw and does not have any more was taken
 * back there, which *ret_expunged tells. True if another was not. */
static bool take_stamps(struct merge *merge, size_t which, const struct obox_record *const from[2],
	struct obox_record *ret, bool *ret_expunged)
{
	const struct side *side = &merge->sides[which], *other = &merge->sides[1 - which];
	bool is_present = false;

	*ret_expunged = false;
	for (size_t i = 0; from[which] != NULL && i < from[which]->stamp_count; i++) {
		struct obox_stamp stamp = stamp_of(side, &from[which]->stamps[i]);

		if (stamp.flag == OBOX_PRESENT) {
			if (stamp.modseq <= other->seen[stamp.author] &&
				!has_stamp(other, from[1 - which], &stamp)) {
				*ret_expunged = true;
				continue;
			}
			is_present = true;
		}
		put_stamp(merge, ret, &stamp);
	}
	return is_present;
}

/* What one side does not know the other may: a rescan lists names and object ids only. Two answers
 * to one question cannot be right both; the larger one is taken, so that all take the same. */
static void merge_mail(struct obox_mail *mail, const struct obox_mail *other)
{
	if (memcmp(other->guid, mail->guid, sizeof(mail->guid)) > 0)
		memcpy(mail->guid, other->guid, sizeof(mail->guid));
	if (other->oid_len > mail->oid_len ||
		(other->oid_len == mail->oid_len &&
			memcmp(other->oid, mail->oid, mail->oid_len) > 0)) {
		memcpy(mail->oid, other->oid, sizeof(mail->oid));
		mail->oid_len = other->oid_len;
	}
	if (mail->size == UINT64_MAX || (other->size != UINT64_MAX && other->size > mail->size))
		mail->size = other->size;
	mail->bits |= other->bits;
	mail->received = LAB_MAX(mail->received, other->received);
	mail->saved = LAB_MAX(mail->saved, other->saved);
}

/* 0 if none of its UIDs can stay. Never are there two that can: one that the other side did not
 * give yet is not below the other's UIDNEXT, and both cannot be above each other's. */
static uint32_t choose_uid(const struct merge *merge, const struct obox_record *const from[2])
{
	for (size_t i = 0; i < 2; i++) {
		const struct side *other = &merge->sides[1 - i];
		const struct obox_record *same;
		uint32_t uid;

		if (from[i] == NULL || !merge->sides[i].holds || lab_defect(MERGE_RENUMBERS_ALL))
			continue;
		uid = from[i]->mail.uid;
		if (!other->holds || uid >= other->state->next_uid)
			return uid;
		same = obox_state_find(other->state, uid);
		if (same != NULL && same == from[1 - i])
			return uid;
	}
	return 0;
}

/* An addition of one side is gone on the other, which has the mail again: by itself, or by another
 * addition that it had not seen when it expunged the mail. */
static bool has_flags_of_before(
	const struct merge *merge, size_t gone, const struct obox_record *const from[2])
{
	for (size_t i = 0; i < from[gone]->stamp_count; i++) {
		struct obox_stamp stamp = stamp_of(&merge->sides[gone], &from[gone]->stamps[i]);

		if (stamp.flag != OBOX_PRESENT &&
			!has_stamp(&merge->sides[1 - gone], from[1 - gone], &stamp))
			return true;
	}
	return false;
}

/* Adds a mail that at least one side has, unless it is known to be expunged. */
static void merge_record(struct merge *merge, const struct obox_record *const from[2])
{
	struct obox_record record = { .mail = from[0] != NULL ? from[0]->mail : from[1]->mail };
	bool expunged[2], had_uid = false;
	bool a = take_stamps(merge, 0, from, &record, &expunged[0]);
	bool b = take_stamps(merge, 1, from, &record, &expunged[1]);

	if (!a && !b) {
		lab_heap_free(merge->out->heap, record.stamps);
		return;
	}
	if (from[0] != NULL && from[1] != NULL) {
		merge_mail(&record.mail, &from[1]->mail);
		for (size_t i = 0; i < 2; i++)
			merge->result->revived +=
				expunged[i] && has_flags_of_before(merge, i, from);
	}
	record.mail.uid = choose_uid(merge, from);
	for (size_t i = 0; i < 2; i++) {
		had_uid = had_uid || (from[i] != NULL && merge->sides[i].holds);
		merge->sides[i].kept += from[i] != NULL;
	}
	merge->result->renumbered += had_uid && record.mail.uid == 0;
	obox_state_push(merge->out, &record);
}

static void merge_records(struct merge *merge)
{
	const struct obox_state *a = merge->sides[0].state, *b = merge->sides[1].state;

	for (size_t i = 0; i < a->count; i++) {
		const struct obox_record *record = &a->records[i];

		merge_record(merge, (const struct obox_record *[2]){
					    record, obox_state_find_name(b, record->mail.name) });
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct obox_record *record = &b->records[i];

		if (obox_state_find_name(a, record->mail.name) == NULL)
			merge_record(merge, (const struct obox_record *[2]){ NULL, record });
	}
}

/* ---- UIDs ---- */

/* Those that need a UID last, in the order of creation (HD-20); the others by UID. */
static int compare_for_uids(const void *a, const void *b)
{
	const struct obox_mail *x = &((const struct obox_record *)a)->mail;
	const struct obox_mail *y = &((const struct obox_record *)b)->mail;
	uint64_t x_ns, y_ns;

	if (x->uid != y->uid)
		return x->uid - 1 < y->uid - 1 ? -1 : 1;
	x_ns = env_guid128_time(x->name);
	y_ns = env_guid128_time(y->name);
	if (x_ns != y_ns)
		return x_ns < y_ns ? -1 : 1;
	return memcmp(x->name, y->name, sizeof(x->name));
}

static void sort_for_uids(struct obox_state *out)
{
	if (out->count > 0)
		qsort(out->records, out->count, sizeof(*out->records), compare_for_uids);
}

/* Too many would get a new UID: all get one, under a UIDVALIDITY that no other merge of other
 * states chooses (but for one chance in 65,536, and then the next merge renumbers again). */
static int new_uidvalidity(struct merge *merge)
{
	struct obox_state *out = merge->out;
	uint64_t hash = 0, uidvalidity;

	for (size_t i = 0; i < out->count; i++)
		out->records[i].mail.uid = 0;
	sort_for_uids(out);
	for (size_t i = 0; i < out->count; i++)
		hash = lab_hash_bytes(hash, out->records[i].mail.name, ENV_GUID128_SIZE);
	uidvalidity = (uint64_t)out->uidvalidity + 1 + (hash & 0xffff);
	if (uidvalidity > UINT32_MAX)
		return lab_fail(merge->err, LAB_LIMIT, "no UIDVALIDITY is left above %" PRIu32,
			out->uidvalidity);
	out->uidvalidity = (uint32_t)uidvalidity;
	out->next_uid = 1;
	merge->sides[0].holds = merge->sides[1].holds = false;
	merge->result->uidvalidity_changed = merge->result->skipped_renumbering = true;
	return 0;
}

static int assign_uids(struct merge *merge)
{
	struct obox_state *out = merge->out;
	struct obox_merge_result *result = merge->result;

	sort_for_uids(out);
	if (result->renumbered > merge->max_renumbers || out->count >= UINT32_MAX - out->next_uid) {
		if (new_uidvalidity(merge) < 0)
			return -1;
	}
	for (size_t i = 0; i < out->count; i++) {
		struct obox_mail *mail = &out->records[i].mail;

		if (mail->uid == 0)
			mail->uid = out->next_uid++;
	}
	obox_state_reindex(out);
	return 0;
}

/* ---- modseqs ---- */

static bool is_seen_as(
	const struct side *side, const struct obox_record *from, const struct obox_record *record)
{
	size_t set = 0, from_set = 0;

	if (from->mail.uid != record->mail.uid)
		return false;
	for (size_t i = 0; i < record->stamp_count; i++)
		set += record->stamps[i].is_set && record->stamps[i].flag != OBOX_PRESENT;
	for (size_t i = 0; i < from->stamp_count; i++) {
		const struct obox_stamp *stamp = &from->stamps[i];

		if (!stamp->is_set || stamp->flag == OBOX_PRESENT)
			continue;
		if (!obox_record_has_flag(record, flag_of(side, stamp->flag)))
			return false;
		from_set++;
	}
	return set == from_set;
}

static void set_modseq(struct merge *merge, struct obox_record *record, uint64_t next)
{
	uint64_t unchanged = 0, newer_than = 0;

	for (size_t i = 0; i < 2; i++) {
		const struct side *side = &merge->sides[i];
		const struct obox_record *from =
			obox_state_find_name(side->state, record->mail.name);

		if (!side->holds)
			continue;
		if (from != NULL && is_seen_as(side, from, record))
			unchanged = LAB_MAX(unchanged, from->modseq);
		else
			newer_than = LAB_MAX(newer_than, side->state->highest_modseq);
	}
	if (lab_defect(MERGE_KEEPS_MODSEQS) && unchanged > 0)
		newer_than = 0;
	record->modseq = unchanged > newer_than ? unchanged : next;
	merge->out->highest_modseq = LAB_MAX(merge->out->highest_modseq, record->modseq);
}

static void set_modseqs(struct merge *merge)
{
	struct obox_state *out = merge->out;
	uint64_t next;

	out->highest_modseq = LAB_MAX(
		merge->sides[0].state->highest_modseq, merge->sides[1].state->highest_modseq);
	next = out->highest_modseq + 1;
	for (size_t i = 0; i < out->count; i++)
		set_modseq(merge, &out->records[i], next);
	for (size_t i = 0; i < 2; i++) {
		const struct side *side = &merge->sides[i];

		/* An expunge is a change, too. */
		if (side->holds && side->kept < side->state->count + side->state->untold &&
			side->state->highest_modseq == out->highest_modseq)
			out->highest_modseq = next;
	}
}

/* ---- together ---- */

/* The defect uidvalidity-of-most-mails: as dsync has it. */
static const struct obox_state *most_mails(const struct merge *merge)
{
	const struct obox_state *a = merge->sides[0].state, *b = merge->sides[1].state;

	return b->uidvalidity == 0 || (a->uidvalidity != 0 && a->count >= b->count) ? a : b;
}

/* The higher UIDVALIDITY, as it must never decrease (invariant 6, RFC 3501); dsync takes that of
 * the folder with more mails. */
static void choose_uidvalidity(struct merge *merge)
{
	struct obox_state *out = merge->out;

	for (size_t i = 0; i < 2; i++)
		out->uidvalidity = LAB_MAX(out->uidvalidity, merge->sides[i].state->uidvalidity);
	if (lab_defect(UIDVALIDITY_OF_MOST_MAILS))
		out->uidvalidity = most_mails(merge)->uidvalidity;
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &merge->sides[i];

		side->holds = side->state->uidvalidity == out->uidvalidity;
		if (side->holds)
			out->next_uid = LAB_MAX(out->next_uid, side->state->next_uid);
	}
}

static int run(struct merge *merge)
{
	for (size_t i = 0; i < 2; i++) {
		if (map_tables(merge, &merge->sides[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < 2; i++)
		map_seen(merge, &merge->sides[i]);
	choose_uidvalidity(merge);
	merge_records(merge);
	if (merge->out->count > OBOX_MAILS_MAX)
		return lab_fail(
			merge->err, LAB_LIMIT, "index with more than %d mails", OBOX_MAILS_MAX);
	if (assign_uids(merge) < 0)
		return -1;
	set_modseqs(merge);
	if (merge->out->highest_modseq > OBOX_MODSEQ_MAX)
		return lab_fail(merge->err, LAB_LIMIT, "no modseq is left");
	return 0;
}

int obox_state_merge(const struct obox_state *a, const struct obox_state *b, uint32_t max_renumbers,
	struct obox_state **ret, struct obox_merge_result *ret_result, struct lab_error *err)
{
	struct obox_state *out = obox_state_new(a->heap, 0);
	struct merge merge = { .sides = { { .state = a }, { .state = b } },
		.out = out,
		.max_renumbers = max_renumbers,
		.result = ret_result,
		.err = err };
	int result;

	*ret_result = (struct obox_merge_result){ 0 };
	result = run(&merge);
	for (size_t i = 0; i < 2; i++) {
		lab_heap_free(a->heap, merge.sides[i].authors);
		lab_heap_free(a->heap, merge.sides[i].keywords);
		lab_heap_free(a->heap, merge.sides[i].seen);
	}
	if (result < 0)
		obox_state_free(&out);
	*ret = out;
	return result;
}
