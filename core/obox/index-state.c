/* SPDX-License-Identifier: Apache-2.0
 *
 * index-state.c - one state of a folder's index, and the changes that its author makes.
 */
#include "core/obox/index-state-private.h"
#include "core/base/defect.h"

#include <stdlib.h>

/* ---- life ---- */

struct obox_state *obox_state_new(struct lab_heap *heap, uint32_t uidvalidity)
{
	struct obox_state *state = lab_new(heap, struct obox_state);

	state->heap = heap;
	state->uidvalidity = uidvalidity;
	state->next_uid = 1;
	state->highest_modseq = 1;
	state->by_name = lab_map_new(heap, OBOX_MAILS_MAX);
	return state;
}

void obox_state_free(struct obox_state **state_p)
{
	struct obox_state *state = *state_p;

	if (state == NULL)
		return;
	for (size_t i = 0; i < state->count; i++)
		lab_heap_free(state->heap, state->records[i].stamps);
	for (size_t i = 0; i < state->keyword_count; i++)
		lab_heap_free(state->heap, state->keywords[i]);
	lab_heap_free(state->heap, state->records);
	lab_heap_free(state->heap, state->keywords);
	lab_heap_free(state->heap, state->authors);
	lab_map_free(&state->by_name);
	lab_heap_free(state->heap, state);
	*state_p = NULL;
}

/* The capacity of an array is the power of two above its count, or more. */
static void *grown(struct lab_heap *heap, void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return array;
	return lab_heap_realloc(heap, array, 2 * count * size);
}

/* ---- tables ---- */

int obox_state_author(struct obox_state *state, uint64_t id, uint16_t *ret, struct lab_error *err)
{
	size_t i;

	for (i = 0; i < state->author_count; i++) {
		if (state->authors[i].id == id) {
			*ret = (uint16_t)i;
			return 0;
		}
	}
	if (i == OBOX_AUTHORS_MAX)
		return lab_fail(
			err, LAB_LIMIT, "index with more than %d authors", OBOX_AUTHORS_MAX);
	state->authors = grown(state->heap, state->authors, i + 1, sizeof(*state->authors));
	state->authors[i] = (struct obox_author){ .id = id };
	state->author_count++;
	*ret = (uint16_t)i;
	return 0;
}

static int check_keyword(struct lab_view name, struct lab_error *err)
{
	if (name.len == 0 || name.len > OBOX_KEYWORD_BYTES_MAX)
		return lab_fail(err, LAB_INVALID, "keyword has %zu bytes, not 1 to %d", name.len,
			OBOX_KEYWORD_BYTES_MAX);
	for (size_t i = 0; i < name.len; i++) {
		/* RFC 3501: an atom. */
		if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7f ||
			memchr("(){%*\"\\]", name.ptr[i], 8) != NULL)
			return lab_fail(
				err, LAB_INVALID, "keyword has the byte 0x%02x", name.ptr[i]);
	}
	return 0;
}

int obox_state_keyword(
	struct obox_state *state, struct lab_view name, uint16_t *ret, struct lab_error *err)
{
	size_t i;

	for (i = 0; i < state->keyword_count; i++) {
		if (lab_view_eq_nocase(lab_view_cstr(state->keywords[i]), name)) {
			*ret = (uint16_t)(OBOX_FIRST_KEYWORD + i);
			return 0;
		}
	}
	if (check_keyword(name, err) < 0)
		return -1;
	if (i == OBOX_KEYWORDS_MAX)
		return lab_fail(
			err, LAB_LIMIT, "index with more than %d keywords", OBOX_KEYWORDS_MAX);
	state->keywords = grown(state->heap, state->keywords, i + 1, sizeof(*state->keywords));
	state->keywords[i] = lab_heap_alloc(state->heap, name.len + 1);
	memcpy(state->keywords[i], name.ptr, name.len);
	state->keyword_count++;
	*ret = (uint16_t)(OBOX_FIRST_KEYWORD + i);
	return 0;
}

/* ---- records ---- */

/* Position of the first mail with a UID >= uid. */
static size_t position(const struct obox_state *state, uint32_t uid)
{
	size_t low = 0, high = state->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (state->records[middle].mail.uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct obox_record *obox_state_find(const struct obox_state *state, uint32_t uid)
{
	size_t at = position(state, uid);

	/* One without an addition was expunged just now. */
	return at < state->count && state->records[at].mail.uid == uid &&
			       state->records[at].stamp_count > 0
		       ? &state->records[at]
		       : NULL;
}

struct obox_record *obox_state_find_name(
	const struct obox_state *state, const uint8_t name[ENV_GUID128_SIZE])
{
	void *uid = lab_map_get(state->by_name, lab_view_of(name, ENV_GUID128_SIZE));

	return uid == NULL ? NULL : obox_state_find(state, (uint32_t)(uintptr_t)uid);
}

/* ---- stamps ---- */

static struct obox_stamp *find_stamp(const struct obox_record *record, uint16_t flag)
{
	for (size_t i = 0; i < record->stamp_count; i++) {
		if (record->stamps[i].flag == flag)
			return &record->stamps[i];
	}
	return NULL;
}

bool obox_record_has_flag(const struct obox_record *record, uint16_t flag)
{
	const struct obox_stamp *stamp = find_stamp(record, flag);

	return stamp != NULL && stamp->is_set;
}

void obox_record_add_stamp(
	struct lab_heap *heap, struct obox_record *record, const struct obox_stamp *stamp)
{
	size_t at = record->stamp_count;

	record->stamps = lab_heap_realloc(
		heap, record->stamps, (record->stamp_count + 1) * sizeof(*record->stamps));
	while (at > 0 && record->stamps[at - 1].flag > stamp->flag) {
		record->stamps[at] = record->stamps[at - 1];
		at--;
	}
	record->stamps[at] = *stamp;
	record->stamp_count++;
}

/* The author's next change. */
static struct obox_stamp new_stamp(
	struct obox_state *state, uint16_t author, uint16_t flag, bool is_set)
{
	lab_assert(author < state->author_count);
	state->authors[author].seen = ++state->highest_modseq;
	return (struct obox_stamp){ state->highest_modseq, author, flag, is_set };
}

/* ---- places ---- */

static void count_in(struct obox_state *state, const struct obox_mail *mail)
{
	if (mail->size == UINT64_MAX)
		state->sizeless++;
	else
		state->bytes += mail->size;
}

static void count_out(struct obox_state *state, const struct obox_mail *mail)
{
	if (mail->size == UINT64_MAX)
		state->sizeless--;
	else
		state->bytes -= mail->size;
}

void obox_state_push(struct obox_state *state, const struct obox_record *record)
{
	count_in(state, &record->mail);
	state->records =
		grown(state->heap, state->records, state->count + 1, sizeof(*state->records));
	state->records[state->count++] = *record;
}

static void insert(struct obox_state *state, const struct obox_record *record)
{
	size_t at = position(state, record->mail.uid);

	obox_state_push(state, record);
	memmove(&state->records[at + 1], &state->records[at],
		(state->count - 1 - at) * sizeof(*record));
	state->records[at] = *record;
}

static void remember_name(struct obox_state *state, const struct obox_mail *mail)
{
	void **slot = lab_map_slot(state->by_name, lab_view_of(mail->name, sizeof(mail->name)));

	lab_assert(slot != NULL);
	*slot = (void *)(uintptr_t)mail->uid;
}

static int compare_uids(const void *a, const void *b)
{
	const struct obox_record *x = a, *y = b;

	return (x->mail.uid > y->mail.uid) - (x->mail.uid < y->mail.uid);
}

void obox_state_reindex(struct obox_state *state)
{
	if (state->count > 0)
		qsort(state->records, state->count, sizeof(*state->records), compare_uids);
	lab_map_clear(state->by_name);
	for (size_t i = 0; i < state->count; i++)
		remember_name(state, &state->records[i].mail);
}

/* ---- changes ---- */

uint32_t obox_state_add(struct obox_state *state, uint16_t author, const struct obox_mail *mail)
{
	const struct obox_record *present = obox_state_find_name(state, mail->name);
	struct obox_record record = { .mail = *mail };
	struct obox_stamp stamp;

	if (present != NULL && !(record.mail.uid == 0 && lab_defect(RESCAN_ADDS_AGAIN)))
		return present->mail.uid;
	if (record.mail.uid == 0)
		record.mail.uid = state->next_uid;
	lab_assert(record.mail.uid < UINT32_MAX && obox_state_find(state, record.mail.uid) == NULL);
	stamp = new_stamp(state, author, OBOX_PRESENT, true);
	record.modseq = stamp.modseq;
	obox_record_add_stamp(state->heap, &record, &stamp);
	insert(state, &record);
	state->next_uid = LAB_MAX(state->next_uid, record.mail.uid + 1);
	remember_name(state, &record.mail);
	return record.mail.uid;
}

int obox_state_set_flag(
	struct obox_state *state, uint16_t author, uint32_t uid, uint16_t flag, bool is_set)
{
	struct obox_record *record = obox_state_find(state, uid);
	struct obox_stamp stamp, *present;

	lab_assert(flag > OBOX_PRESENT && flag < OBOX_FIRST_KEYWORD + state->keyword_count);
	if (record == NULL || obox_record_has_flag(record, flag) == is_set)
		return 0;
	stamp = new_stamp(state, author, flag, is_set);
	if (!lab_defect(FLAG_HAS_NO_MODSEQ))
		record->modseq = stamp.modseq;
	present = find_stamp(record, flag);
	if (present != NULL)
		*present = stamp;
	else
		obox_record_add_stamp(state->heap, record, &stamp);
	return 1;
}

int obox_state_set_size(struct obox_state *state, uint32_t uid, uint64_t size)
{
	struct obox_record *record = obox_state_find(state, uid);

	if (record == NULL || record->mail.size == size)
		return 0;
	count_out(state, &record->mail);
	record->mail.size = size;
	count_in(state, &record->mail);
	return 1;
}

int obox_state_mark_copied(struct obox_state *state, uint32_t uid)
{
	struct obox_record *record = obox_state_find(state, uid);

	if (record == NULL || (record->mail.bits & OBOX_MAIL_COPIED) != 0)
		return 0;
	record->mail.bits |= OBOX_MAIL_COPIED;
	return 1;
}

void obox_state_recount(struct obox_state *state)
{
	state->bytes = 0;
	state->sizeless = 0;
	for (size_t i = 0; i < state->count; i++)
		count_in(state, &state->records[i].mail);
}

static void forget(struct obox_state *state, struct obox_record *record)
{
	count_out(state, &record->mail);
	lab_map_remove(state->by_name, lab_view_of(record->mail.name, sizeof(record->mail.name)));
	lab_heap_free(state->heap, record->stamps);
}

int obox_state_expunge(struct obox_state *state, uint32_t uid)
{
	struct obox_record *record = obox_state_find(state, uid);

	if (record == NULL)
		return 0;
	forget(state, record);
	record->stamps = NULL;
	record->stamp_count = 0;
	if (lab_defect(EXPUNGE_HAS_NO_MODSEQ))
		return 1;
	state->highest_modseq++;
	return 1;
}

void obox_state_sweep(struct obox_state *state)
{
	size_t kept = 0;

	while (kept < state->count && state->records[kept].stamp_count > 0)
		kept++;
	for (size_t i = kept; i < state->count; i++) {
		if (state->records[i].stamp_count > 0)
			state->records[kept++] = state->records[i];
	}
	state->count = kept;
}

size_t obox_state_expunge_unless(struct obox_state *state, obox_keep_fn keep, void *ctx)
{
	size_t kept = 0, gone;

	for (size_t i = 0; i < state->count; i++) {
		struct obox_record *record = &state->records[i];

		if (keep(ctx, &record->mail))
			state->records[kept++] = *record;
		else
			forget(state, record);
	}
	gone = state->count - kept;
	state->count = kept;
	state->highest_modseq += gone > 0;
	return gone;
}
