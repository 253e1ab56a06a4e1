/* SPDX-License-Identifier: Apache-2.0
 *
 * index-changes.c - what a state has become since a base, readable over any state that includes the
 * base.
 *
 *   head as of a whole state (index-codec.c)
 *   the base: UIDVALIDITY u32 | UIDNEXT u32 | HIGHESTMODSEQ u64
 *             authors u32, each: id u64 | seen u64                    by id
 *             mails gone u32, each: name 16                           by bytes
 *   mails of the state u32 | those that are not as in the base, as in a whole state
 *
 * A mail was in the base if its addition was known to the base, and it is as it was there if no
 * stamp is newer and its modseq is not above the base's: whatever changes a mail, a merge, too,
 * gives it a modseq above all that the state knew. (A merge may also prefer the other side's modseq
 * of a mail that is the same on both: those are remembered.)
 */
#include "core/obox/index-codec-private.h"

#include <stdlib.h>

/* ---- bases ---- */

static int compare_authors(const void *a, const void *b)
{
	const struct obox_author *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

struct obox_base *obox_base_new(const struct obox_state *state)
{
	struct obox_base *base = lab_new(state->heap, struct obox_base);

	base->heap = state->heap;
	base->uidvalidity = state->uidvalidity;
	base->next_uid = state->next_uid;
	base->highest_modseq = state->highest_modseq;
	base->authors = lab_new_array(state->heap, struct obox_author, state->author_count + 1);
	base->author_count = state->author_count;
	if (state->author_count > 0) {
		memcpy(base->authors, state->authors, state->author_count * sizeof(*base->authors));
		qsort(base->authors, base->author_count, sizeof(*base->authors), compare_authors);
	}
	base->gone = lab_tree_new(state->heap, OBOX_MAILS_MAX);
	base->touched = lab_tree_new(state->heap, OBOX_MAILS_MAX);
	return base;
}

void obox_base_free(struct obox_base **base_p)
{
	struct obox_base *base = *base_p;

	if (base == NULL)
		return;
	lab_heap_free(base->heap, base->authors);
	lab_tree_free(&base->gone);
	lab_tree_free(&base->touched);
	lab_heap_free(base->heap, base);
	*base_p = NULL;
}

/* Up to which modseq the base had seen the author. */
static uint64_t base_seen(const struct obox_base *base, uint64_t id)
{
	const struct obox_author key = { .id = id }, *found = NULL;

	if (base->author_count > 0)
		found = bsearch(
			&key, base->authors, base->author_count, sizeof(key), compare_authors);
	return found == NULL ? 0 : found->seen;
}

static bool knows(const struct obox_base *base, const struct obox_state *state,
	const struct obox_stamp *stamp)
{
	return stamp->modseq <= base_seen(base, state->authors[stamp->author].id);
}

static bool was_in(const struct obox_base *base, const struct obox_state *state,
	const struct obox_record *record)
{
	for (size_t i = 0; i < record->stamp_count; i++) {
		if (record->stamps[i].flag == OBOX_PRESENT &&
			knows(base, state, &record->stamps[i]))
			return true;
	}
	return false;
}

static struct lab_view name_of(const struct obox_record *record)
{
	return lab_view_of(record->mail.name, sizeof(record->mail.name));
}

static void remember(struct lab_tree *names, struct lab_view name)
{
	void **slot = lab_tree_slot(names, name);

	/* All of them were in the base. */
	lab_assert(slot != NULL);
	*slot = names;
}

void obox_base_expunge(
	struct obox_base *base, const struct obox_state *state, const struct obox_record *record)
{
	if (!was_in(base, state, record))
		return;
	remember(base->gone, name_of(record));
	(void)lab_tree_remove(base->touched, name_of(record));
}

void obox_base_touch(
	struct obox_base *base, const struct obox_state *state, const struct obox_record *record)
{
	if (was_in(base, state, record))
		remember(base->touched, name_of(record));
}

/* Although nothing about it changed that has a stamp. */
static bool is_other(const struct obox_record *now, const struct obox_record *before)
{
	return now->modseq != before->modseq || now->mail.size != before->mail.size ||
	       now->mail.bits != before->mail.bits;
}

void obox_base_replace(
	struct obox_base *base, const struct obox_state *old, const struct obox_state *replacement)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct obox_record *record = &old->records[i];
		const struct obox_record *now =
			obox_state_find_name(replacement, record->mail.name);

		if (now == NULL)
			obox_base_expunge(base, old, record);
		else if (is_other(now, record) && now->modseq <= base->highest_modseq &&
			 was_in(base, old, record))
			remember(base->touched, name_of(record));
	}
}

static uint64_t state_seen(const struct obox_state *state, uint64_t id)
{
	for (size_t i = 0; i < state->author_count; i++) {
		if (state->authors[i].id == id)
			return state->authors[i].seen;
	}
	return 0;
}

bool obox_state_covers(const struct obox_state *a, const struct obox_state *b)
{
	for (size_t i = 0; i < b->author_count; i++) {
		if (state_seen(a, b->authors[i].id) < b->authors[i].seen)
			return false;
	}
	return true;
}

bool obox_base_is_in(const struct obox_base *base, const struct obox_state *state)
{
	for (size_t i = 0; i < base->author_count; i++) {
		if (state_seen(state, base->authors[i].id) < base->authors[i].seen)
			return false;
	}
	return base->highest_modseq <= state->highest_modseq &&
	       base->uidvalidity <= state->uidvalidity &&
	       (base->uidvalidity < state->uidvalidity || base->next_uid <= state->next_uid);
}

static void put_names(const struct lab_tree *names, struct lab_buf *out)
{
	struct lab_tree_iter iter = lab_tree_iterate(names, LAB_VIEW(""));
	struct lab_view name;
	void *value;

	lab_buf_append_u32(out, (uint32_t)lab_tree_count(names));
	while (lab_tree_next(&iter, &name, &value))
		lab_buf_append_view(out, name);
}

static void put_base(const struct obox_base *base, struct lab_buf *out)
{
	lab_buf_append_u32(out, base->uidvalidity);
	lab_buf_append_u32(out, base->next_uid);
	lab_buf_append_u64(out, base->highest_modseq);
	lab_buf_append_u32(out, (uint32_t)base->author_count);
	for (size_t i = 0; i < base->author_count; i++) {
		lab_buf_append_u64(out, base->authors[i].id);
		lab_buf_append_u64(out, base->authors[i].seen);
	}
	put_names(base->gone, out);
}

void obox_base_encode(const struct obox_base *base, struct lab_buf *out)
{
	put_base(base, out);
	put_names(base->touched, out);
}

static void get_base_authors(struct lab_reader *reader, struct obox_base *base)
{
	uint32_t count = lab_read_count(reader, 16);

	if (count > OBOX_AUTHORS_MAX)
		reader->failed = true;
	base->authors = lab_new_array(
		base->heap, struct obox_author, (reader->failed ? 0 : (size_t)count) + 1);
	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct obox_author *author = &base->authors[base->author_count++];

		author->id = lab_read_u64(reader);
		author->seen = lab_read_u64(reader);
		if ((i > 0 && author->id <= author[-1].id) || author->seen > base->highest_modseq)
			reader->failed = true;
	}
}

static void get_names(struct lab_reader *reader, struct lab_tree *names)
{
	uint32_t count = lab_read_count(reader, ENV_GUID128_SIZE);
	struct lab_view last = LAB_VIEW("");

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct lab_view name = lab_read_view(reader, ENV_GUID128_SIZE);
		void **slot = NULL;

		if (!reader->failed && lab_view_cmp(last, name) < 0)
			slot = lab_tree_slot(names, name);
		if (slot == NULL)
			reader->failed = true;
		else
			*slot = names;
		last = name;
	}
}

static struct obox_base *get_base(struct lab_heap *heap, struct lab_reader *reader)
{
	struct obox_base *base = lab_new(heap, struct obox_base);

	base->heap = heap;
	base->gone = lab_tree_new(heap, OBOX_MAILS_MAX);
	base->touched = lab_tree_new(heap, OBOX_MAILS_MAX);
	base->uidvalidity = lab_read_u32(reader);
	base->next_uid = lab_read_u32(reader);
	base->highest_modseq = lab_read_u64(reader);
	if (base->next_uid == 0 || base->highest_modseq > OBOX_MODSEQ_MAX)
		reader->failed = true;
	get_base_authors(reader, base);
	get_names(reader, base->gone);
	return base;
}

struct obox_base *obox_base_decode(struct lab_heap *heap, struct lab_reader *reader)
{
	struct obox_base *base = get_base(heap, reader);

	get_names(reader, base->touched);
	if (reader->failed)
		obox_base_free(&base);
	return base;
}

/* ---- encoding ---- */

static bool is_changed(const struct obox_base *base, const struct obox_state *state,
	const struct obox_record *record)
{
	if (state->uidvalidity != base->uidvalidity || record->modseq > base->highest_modseq ||
		lab_tree_get(base->touched, name_of(record)) != NULL)
		return true;
	for (size_t i = 0; i < record->stamp_count; i++) {
		if (!knows(base, state, &record->stamps[i]))
			return true;
	}
	return false;
}

void obox_state_encode_changes(
	const struct obox_base *base, const struct obox_state *state, struct lab_buf *out)
{
	struct codec_tables *tables = codec_sort_tables(state);
	uint32_t changed = 0;

	lab_assert(obox_base_is_in(base, state));
	codec_put_head(state, tables, CODEC_CHANGES, out);
	put_base(base, out);
	lab_buf_append_u32(out, (uint32_t)state->count);
	for (size_t i = 0; i < state->count; i++)
		changed += is_changed(base, state, &state->records[i]);
	lab_buf_append_u32(out, changed);
	for (size_t i = 0; i < state->count; i++) {
		if (is_changed(base, state, &state->records[i]))
			codec_put_record(state, tables, &state->records[i], out);
	}
	lab_heap_free(state->heap, tables);
}

/* ---- decoding ---- */

struct patch {
	const struct obox_state *over;
	const struct obox_base *base;
	struct obox_state *out;
	size_t told;                  /* mails in the changes: the first ones of `out` */
	uint16_t *authors, *keywords; /* of `over`, in `out`, or ABSENT */
	uint32_t hole;                /* the next one to try */
	bool failed;
};

#define ABSENT UINT16_MAX

static uint16_t author_in(const struct obox_state *state, uint64_t id)
{
	for (size_t i = 0; i < state->author_count; i++) {
		if (state->authors[i].id == id)
			return (uint16_t)i;
	}
	return ABSENT;
}

static uint16_t keyword_in(const struct obox_state *state, const char *name)
{
	for (size_t i = 0; i < state->keyword_count; i++) {
		if (lab_view_eq_nocase(lab_view_cstr(state->keywords[i]), lab_view_cstr(name)))
			return (uint16_t)(OBOX_FIRST_KEYWORD + i);
	}
	return ABSENT;
}

static void map_tables(struct patch *patch)
{
	const struct obox_state *over = patch->over;

	patch->authors = lab_new_array(over->heap, uint16_t, over->author_count + 1);
	patch->keywords = lab_new_array(over->heap, uint16_t, over->keyword_count + 1);
	for (size_t i = 0; i < over->author_count; i++)
		patch->authors[i] = author_in(patch->out, over->authors[i].id);
	for (size_t i = 0; i < over->keyword_count; i++)
		patch->keywords[i] = keyword_in(patch->out, over->keywords[i]);
}

static struct obox_stamp mapped(struct patch *patch, const struct obox_stamp *stamp)
{
	struct obox_stamp ret = *stamp;

	ret.author = patch->authors[stamp->author];
	if (stamp->flag >= OBOX_FIRST_KEYWORD)
		ret.flag = patch->keywords[stamp->flag - OBOX_FIRST_KEYWORD];
	return ret;
}

static bool is_told_uid(const struct patch *patch, uint32_t uid)
{
	size_t low = 0, high = patch->told;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t found = patch->out->records[middle].mail.uid;

		if (found == uid)
			return true;
		if (found < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* A UID for a mail that has another one by now. It had one below the base's UIDNEXT that no other
 * mail of the changes has, and so stands for nothing in the later state: any such will do. */
static uint32_t dead_uid(struct patch *patch)
{
	while (patch->hole < patch->base->next_uid) {
		uint32_t uid = patch->hole++;
		const struct obox_record *there = obox_state_find(patch->over, uid);

		if (!is_told_uid(patch, uid) &&
			(there == NULL || !was_in(patch->base, patch->over, there)))
			return uid;
	}
	patch->failed = true;
	return UINT32_MAX;
}

/* The UID that it had in the base: all that were given since are above. Under a later UIDVALIDITY
 * nobody asks for it. */
static uint32_t old_uid(struct patch *patch, const struct obox_record *record)
{
	const struct obox_state *out = patch->out;

	if (patch->over->uidvalidity != out->uidvalidity) {
		patch->failed |= out->next_uid > UINT32_MAX - OBOX_MAILS_MAX;
		return out->next_uid + (uint32_t)out->count;
	}
	if (record->mail.uid >= patch->base->next_uid)
		return dead_uid(patch);
	patch->failed |= is_told_uid(patch, record->mail.uid);
	return record->mail.uid;
}

/* A flag that was changed since: set where it is not now, so that it counts as changed. If it was
 * not set in the base either, its mail gets a later modseq than it need have. */
static void keep_old_flag(
	struct patch *patch, const struct obox_stamp *stamp, struct obox_record *kept)
{
	struct obox_stamp old = mapped(patch, stamp);

	if (stamp->is_set || stamp->flag == OBOX_PRESENT || old.flag == ABSENT)
		return;
	old = (struct obox_stamp){ .flag = old.flag, .author = kept->stamps[0].author };
	old.is_set = true;
	obox_record_add_stamp(patch->out->heap, kept, &old);
}

/* A mail of the base that the changes do not tell: as it was, as far as it can still be known. */
static void keep_record(struct patch *patch, const struct obox_record *record)
{
	struct obox_record kept = { .mail = record->mail };

	for (size_t i = 0; i < record->stamp_count; i++) {
		struct obox_stamp stamp = mapped(patch, &record->stamps[i]);

		if (!knows(patch->base, patch->over, &record->stamps[i]))
			continue;
		/* What the base knew, its changes know. */
		if (stamp.author == ABSENT || stamp.flag == ABSENT)
			patch->failed = true;
		else
			obox_record_add_stamp(patch->out->heap, &kept, &stamp);
	}
	for (size_t i = 0; i < record->stamp_count && kept.stamp_count > 0; i++) {
		if (!knows(patch->base, patch->over, &record->stamps[i]))
			keep_old_flag(patch, &record->stamps[i], &kept);
	}
	kept.mail.uid = old_uid(patch, record);
	kept.modseq = LAB_MIN(record->modseq, patch->base->highest_modseq);
	obox_state_push(patch->out, &kept);
}

static void keep_records(struct patch *patch)
{
	const struct obox_state *over = patch->over;

	for (size_t i = 0; i < over->count && !patch->failed; i++) {
		const struct obox_record *record = &over->records[i];

		if (was_in(patch->base, over, record) &&
			lab_tree_get(patch->base->gone, name_of(record)) == NULL &&
			lab_map_get(patch->out->by_name, name_of(record)) == NULL)
			keep_record(patch, record);
	}
}

/* The rest of what the changes are made from. */
static void apply(struct patch *patch, uint32_t count)
{
	struct obox_state *out = patch->out;

	obox_state_reindex(out);
	patch->told = out->count;
	if (lab_map_count(out->by_name) != out->count || !obox_base_is_in(patch->base, out))
		patch->failed = true;
	if (!patch->failed && out->uidvalidity == patch->base->uidvalidity) {
		map_tables(patch);
		keep_records(patch);
	}
	if (out->count > count)
		patch->failed = true;
	out->untold = count - out->count;
	lab_heap_free(out->heap, patch->authors);
	lab_heap_free(out->heap, patch->keywords);
}

int obox_state_decode_changes(const struct obox_state *over, struct lab_view bytes,
	struct obox_state **ret, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	struct obox_base *base;
	struct patch patch = { .over = over, .hole = 1 };
	bool is_in = true;
	uint8_t version;
	uint32_t count;

	patch.out = *ret = obox_state_new(over->heap, 0);
	version = codec_get_head(&reader, *ret, CODEC_CHANGES);
	patch.base = base = get_base(over->heap, &reader);
	count = lab_read_u32(&reader);
	codec_get_records(&reader, *ret, version);
	if (!reader.failed) {
		is_in = obox_base_is_in(base, over);
		if (is_in)
			apply(&patch, count);
	}
	obox_base_free(&base);
	reader.failed = reader.failed || patch.failed;
	if (codec_finish(&reader, ret, err) < 0)
		return -1;
	if (is_in)
		return 0;
	obox_state_free(ret);
	return lab_fail(err, LAB_NOT_FOUND, "changes of a base that is not in this index");
}
