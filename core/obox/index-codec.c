/* SPDX-License-Identifier: Apache-2.0
 *
 * index-codec.c - a state as bytes. What index-changes.c writes has the same head and records.
 *
 *   version u8 (1 or 2) | whole or changes u8 | UIDVALIDITY u32 | UIDNEXT u32 | HIGHESTMODSEQ u64
 *   authors u32, each: id u64 | seen u64                              by id
 *   keywords u32, each: length u8 | bytes                             by bytes
 *   0 u32
 *   mails u32, each: UID u32 | name 16 | GUID 16 | size u64 | received u64 | saved u64 |
 *                    bits u8 (not in version 1) | modseq u64 | object id's length u8 |
 *                    object id | stamps u16, each: flag u16 | author u16 | modseq u64 | set u8
 *
 * Version 1 counted sizes as they are stored, which says nothing of line ends, and did not know
 * which mails were copied: what it says of the first is not taken, and of the second the worst.
 *
 * Numbers are big-endian. Tables are sorted, so that equal states are equal bytes.
 */
#include "core/obox/index-codec-private.h"

#include <stdlib.h>

#define VERSION 2
#define VERSION_WITHOUT_BITS 1

/* ---- tables in canonical order ---- */

struct entry {
	struct lab_view key;
	uint64_t id;
	uint16_t at;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return lab_view_cmp(x->key, y->key);
}

static void rank(struct entry *entries, size_t count, uint16_t *at, uint16_t *ranks)
{
	if (count > 0)
		qsort(entries, count, sizeof(*entries), compare_entries);
	for (size_t i = 0; i < count; i++) {
		at[i] = entries[i].at;
		ranks[entries[i].at] = (uint16_t)i;
	}
}

struct codec_tables *codec_sort_tables(const struct obox_state *state)
{
	size_t most = LAB_MAX(state->author_count, state->keyword_count);
	struct codec_tables *tables = lab_new(state->heap, struct codec_tables);
	struct entry *entries = lab_new_array(state->heap, struct entry, most + 1);

	for (size_t i = 0; i < state->author_count; i++)
		entries[i] = (struct entry){ .id = state->authors[i].id, .at = (uint16_t)i };
	rank(entries, state->author_count, tables->author_at, tables->author_rank);
	for (size_t i = 0; i < state->keyword_count; i++)
		entries[i] = (struct entry){ .key = lab_view_cstr(state->keywords[i]),
			.at = (uint16_t)i };
	rank(entries, state->keyword_count, tables->keyword_at, tables->keyword_rank);
	lab_heap_free(state->heap, entries);
	return tables;
}

/* ---- encoding ---- */

static void put_tables(
	const struct obox_state *state, const struct codec_tables *tables, struct lab_buf *out)
{
	lab_buf_append_u32(out, (uint32_t)state->author_count);
	for (size_t i = 0; i < state->author_count; i++) {
		const struct obox_author *author = &state->authors[tables->author_at[i]];

		lab_buf_append_u64(out, author->id);
		lab_buf_append_u64(out, author->seen);
	}
	lab_buf_append_u32(out, (uint32_t)state->keyword_count);
	for (size_t i = 0; i < state->keyword_count; i++) {
		struct lab_view name = lab_view_cstr(state->keywords[tables->keyword_at[i]]);

		lab_buf_append_byte(out, (uint8_t)name.len);
		lab_buf_append_view(out, name);
	}
}

static uint16_t ranked_flag(const struct codec_tables *tables, uint16_t flag)
{
	if (flag < OBOX_FIRST_KEYWORD)
		return flag;
	return (uint16_t)(OBOX_FIRST_KEYWORD + tables->keyword_rank[flag - OBOX_FIRST_KEYWORD]);
}

static void rank_stamp(const struct codec_tables *tables, struct obox_stamp *stamp)
{
	stamp->flag = ranked_flag(tables, stamp->flag);
	stamp->author = tables->author_rank[stamp->author];
}

static int compare_stamps(const void *a, const void *b)
{
	const struct obox_stamp *x = a, *y = b;

	if (x->flag != y->flag)
		return x->flag < y->flag ? -1 : 1;
	if (x->modseq != y->modseq)
		return x->modseq < y->modseq ? -1 : 1;
	return (x->author > y->author) - (x->author < y->author);
}

static void put_stamps(const struct obox_state *state, const struct codec_tables *tables,
	const struct obox_record *record, struct lab_buf *out)
{
	struct obox_stamp *stamps =
		lab_new_array(state->heap, struct obox_stamp, record->stamp_count + 1);

	for (size_t i = 0; i < record->stamp_count; i++) {
		stamps[i] = record->stamps[i];
		rank_stamp(tables, &stamps[i]);
	}
	qsort(stamps, record->stamp_count, sizeof(*stamps), compare_stamps);
	lab_buf_append_u16(out, (uint16_t)record->stamp_count);
	for (size_t i = 0; i < record->stamp_count; i++) {
		lab_buf_append_u16(out, stamps[i].flag);
		lab_buf_append_u16(out, stamps[i].author);
		lab_buf_append_u64(out, stamps[i].modseq);
		lab_buf_append_byte(out, stamps[i].is_set);
	}
	lab_heap_free(state->heap, stamps);
}

void codec_put_record(const struct obox_state *state, const struct codec_tables *tables,
	const struct obox_record *record, struct lab_buf *out)
{
	const struct obox_mail *mail = &record->mail;

	lab_buf_append_u32(out, mail->uid);
	lab_buf_append(out, mail->name, sizeof(mail->name));
	lab_buf_append(out, mail->guid, sizeof(mail->guid));
	lab_buf_append_u64(out, mail->size);
	lab_buf_append_u64(out, (uint64_t)mail->received);
	lab_buf_append_u64(out, (uint64_t)mail->saved);
	lab_buf_append_byte(out, mail->bits);
	lab_buf_append_u64(out, record->modseq);
	lab_buf_append_byte(out, mail->oid_len);
	lab_buf_append(out, mail->oid, mail->oid_len);
	put_stamps(state, tables, record, out);
}

void codec_put_head(const struct obox_state *state, const struct codec_tables *tables,
	enum codec_form form, struct lab_buf *out)
{
	lab_buf_append_byte(out, VERSION);
	lab_buf_append_byte(out, (uint8_t)form);
	lab_buf_append_u32(out, state->uidvalidity);
	lab_buf_append_u32(out, state->next_uid);
	lab_buf_append_u64(out, state->highest_modseq);
	put_tables(state, tables, out);
}

void obox_state_encode(const struct obox_state *state, struct lab_buf *out)
{
	struct codec_tables *tables = codec_sort_tables(state);

	codec_put_head(state, tables, CODEC_WHOLE, out);
	lab_buf_append_u32(out, 0);
	lab_buf_append_u32(out, (uint32_t)state->count);
	for (size_t i = 0; i < state->count; i++)
		codec_put_record(state, tables, &state->records[i], out);
	lab_heap_free(state->heap, tables);
}

/* ---- decoding ---- */

static void get_authors(struct lab_reader *reader, struct obox_state *state)
{
	uint32_t count = lab_read_count(reader, 16);

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		uint64_t id = lab_read_u64(reader), seen = lab_read_u64(reader);
		uint16_t at;

		if ((i > 0 && id <= state->authors[i - 1].id) || seen > state->highest_modseq ||
			obox_state_author(state, id, &at, NULL) < 0)
			reader->failed = true;
		else
			state->authors[at].seen = seen;
	}
}

static void get_keywords(struct lab_reader *reader, struct obox_state *state)
{
	uint32_t count = lab_read_count(reader, 2);

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct lab_view name = lab_read_view(reader, lab_read_u8(reader));
		uint16_t flag;

		if (reader->failed || obox_state_keyword(state, name, &flag, NULL) < 0 ||
			flag != OBOX_FIRST_KEYWORD + i)
			reader->failed = true;
	}
}

static bool is_possible(const struct obox_state *state, const struct obox_stamp *stamp)
{
	return stamp->author < state->author_count &&
	       stamp->modseq <= state->authors[stamp->author].seen &&
	       stamp->flag < OBOX_FIRST_KEYWORD + state->keyword_count;
}

/* As they were written: sorted, one for each flag. */
static bool is_next(const struct obox_record *record, const struct obox_stamp *stamp)
{
	const struct obox_stamp *last;

	if (stamp->flag == OBOX_PRESENT && !stamp->is_set)
		return false;
	if (record->stamp_count == 0)
		return stamp->flag == OBOX_PRESENT;
	last = &record->stamps[record->stamp_count - 1];
	return compare_stamps(last, stamp) < 0 &&
	       (stamp->flag == OBOX_PRESENT || stamp->flag != last->flag);
}

static void get_stamp(
	struct lab_reader *reader, const struct obox_state *state, struct obox_record *record)
{
	struct obox_stamp stamp;
	uint64_t is_set;

	stamp.flag = lab_read_u16(reader);
	stamp.author = lab_read_u16(reader);
	stamp.modseq = lab_read_u64(reader);
	is_set = lab_read_u8(reader);
	stamp.is_set = is_set == 1;
	if (reader->failed || is_set > 1 || !is_possible(state, &stamp) || !is_next(record, &stamp))
		reader->failed = true;
	else
		obox_record_add_stamp(state->heap, record, &stamp);
}

static void get_stamps(
	struct lab_reader *reader, const struct obox_state *state, struct obox_record *record)
{
	size_t count = lab_read_u16(reader);

	if (count == 0)
		reader->failed = true;
	for (size_t i = 0; i < count && !reader->failed; i++)
		get_stamp(reader, state, record);
}

bool codec_size_is_possible(uint64_t size)
{
	return size == UINT64_MAX || size <= OBOX_SIZE_MAX;
}

static void get_bits(struct lab_reader *reader, uint8_t version, struct obox_mail *mail)
{
	if (version == VERSION_WITHOUT_BITS) {
		mail->size = UINT64_MAX;
		mail->bits = OBOX_MAIL_COPIED;
		return;
	}
	mail->bits = lab_read_u8(reader);
	if ((mail->bits & ~OBOX_MAIL_COPIED) != 0)
		reader->failed = true;
}

static void get_record(struct lab_reader *reader, struct obox_state *state, uint8_t version)
{
	struct obox_record record = { .mail.uid = lab_read_u32(reader) };
	struct obox_mail *mail = &record.mail;

	lab_read_bytes(reader, mail->name, sizeof(mail->name));
	lab_read_bytes(reader, mail->guid, sizeof(mail->guid));
	mail->size = lab_read_u64(reader);
	mail->received = (int64_t)lab_read_u64(reader);
	mail->saved = (int64_t)lab_read_u64(reader);
	get_bits(reader, version, mail);
	record.modseq = lab_read_u64(reader);
	mail->oid_len = lab_read_u8(reader);
	if (mail->oid_len > sizeof(mail->oid) || !codec_size_is_possible(mail->size) ||
		mail->uid == 0 || mail->uid >= state->next_uid ||
		record.modseq > state->highest_modseq ||
		(state->count > 0 && mail->uid <= state->records[state->count - 1].mail.uid))
		reader->failed = true;
	else
		lab_read_bytes(reader, mail->oid, mail->oid_len);
	if (!reader->failed)
		get_stamps(reader, state, &record);
	if (reader->failed)
		lab_heap_free(state->heap, record.stamps);
	else
		obox_state_push(state, &record);
}

uint8_t codec_get_head(struct lab_reader *reader, struct obox_state *state, enum codec_form form)
{
	uint8_t version = lab_read_u8(reader);

	if (version == 0 || version > VERSION || lab_read_u8(reader) != form)
		reader->failed = true;
	state->uidvalidity = lab_read_u32(reader);
	state->next_uid = lab_read_u32(reader);
	state->highest_modseq = lab_read_u64(reader);
	if (state->next_uid == 0 || state->highest_modseq > OBOX_MODSEQ_MAX)
		reader->failed = true;
	get_authors(reader, state);
	get_keywords(reader, state);
	return version;
}

#define RECORD_BYTES_MIN (4 + 16 + 16 + 8 + 8 + 8 + 8 + 1 + 2)

void codec_get_records(struct lab_reader *reader, struct obox_state *state, uint8_t version)
{
	uint32_t count = lab_read_count(reader, RECORD_BYTES_MIN);

	if (count > OBOX_MAILS_MAX)
		reader->failed = true;
	for (uint32_t i = 0; i < count && !reader->failed; i++)
		get_record(reader, state, version);
	if (reader->rest.len > 0)
		reader->failed = true;
}

int codec_finish(struct lab_reader *reader, struct obox_state **state, struct lab_error *err)
{
	if (!reader->failed && (*state)->count <= OBOX_MAILS_MAX) {
		obox_state_reindex(*state);
		if (lab_map_count((*state)->by_name) == (*state)->count)
			return 0;
	}
	obox_state_free(state);
	return lab_fail(err, LAB_CORRUPT, "not the index of a folder");
}

int obox_state_decode(struct lab_heap *heap, struct lab_view bytes, struct obox_state **ret,
	struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	uint8_t version;

	*ret = obox_state_new(heap, 0);
	version = codec_get_head(&reader, *ret, CODEC_WHOLE);
	if (lab_read_u32(&reader) != 0)
		reader.failed = true;
	codec_get_records(&reader, *ret, version);
	return codec_finish(&reader, ret, err);
}
