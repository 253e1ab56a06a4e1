/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-format.c - all of them are
 *
 *   "oboxfts" | kind u8 | version u8 | GUID | body | hash u64 of all that
 *
 *   D  replaced GUIDs: count u32, each | folders: count u32, each a GUID |
 *      docs: count u32, each: folder u32, UID u32, part u8, name
 *   W  words: count u32, each: length u8, bytes, offset u32, bytes u32, count u32
 *   L  lists: doc numbers as differences, 7 bits a byte, the last byte without the high bit
 *   X  replaced GUIDs | mails: count u32, each: folder GUID, name, UID u32
 *   Y  the same, and behind each mail the GUID of its X
 *   S  triplets: count u32, each: GUID, bytes of L u64, docs u32, folders: count u32, each: GUID,
 *      highest UID u32 (version 2: mails u32) | (version 2: expunges u32)
 */
#include "core/fts/fts-format.h"

#include <stdio.h>

#define MAGIC "oboxfts"
#define HEAD_BYTES (7 + 1 + 1 + ENV_GUID128_SIZE)
#define HASH_BYTES 8
#define HASH_SEED UINT64_C(0x6f626f7866747321)
#define VERSION 1

static const char kind_letters[FTS_KIND_COUNT] = { 'S', 'X', 'Y', 'D', 'W', 'L' };

/* ---- names ---- */

void fts_name_format(enum fts_kind kind, const struct fts_guid *guid, char out[FTS_NAME_MAX])
{
	out[0] = kind_letters[kind];
	out[1] = '.';
	lab_hex(guid->bytes, sizeof(guid->bytes), out + 2);
}

int fts_name_parse(struct lab_view text, enum fts_kind *ret_kind, struct fts_guid *ret_guid)
{
	if (text.len != 2 + 2 * sizeof(ret_guid->bytes) || text.ptr[1] != '.')
		return -1;
	for (size_t i = 2; i < text.len; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return -1;
	}
	for (unsigned kind = 0; kind < FTS_KIND_COUNT; kind++) {
		if (text.ptr[0] != (uint8_t)kind_letters[kind])
			continue;
		*ret_kind = (enum fts_kind)kind;
		return lab_unhex(lab_view_skip(text, 2), ret_guid->bytes, sizeof(ret_guid->bytes));
	}
	return -1;
}

/* ---- mails ---- */

struct lab_view fts_mail_key(const struct fts_mail *mail, uint8_t out[FTS_MAIL_BYTES])
{
	memcpy(out, mail->mailbox, ENV_GUID128_SIZE);
	memcpy(out + ENV_GUID128_SIZE, mail->name, ENV_GUID128_SIZE);
	for (unsigned i = 0; i < 4; i++)
		out[2 * ENV_GUID128_SIZE + i] = (uint8_t)(mail->uid >> (24 - 8 * i));
	return lab_view_of(out, FTS_MAIL_BYTES);
}

static void get_mail(struct lab_reader *reader, struct fts_mail *ret)
{
	lab_read_bytes(reader, ret->mailbox, sizeof(ret->mailbox));
	lab_read_bytes(reader, ret->name, sizeof(ret->name));
	ret->uid = lab_read_u32(reader);
}

struct fts_mail fts_mail_of_key(struct lab_view key)
{
	struct lab_reader reader = { .rest = key };
	struct fts_mail mail = { .uid = 0 };

	get_mail(&reader, &mail);
	return mail;
}

static void put_mail(struct lab_buf *out, const struct fts_mail *mail)
{
	uint8_t key[FTS_MAIL_BYTES];

	lab_buf_append_view(out, fts_mail_key(mail, key));
}

/* ---- head and hash ---- */

static void begin(
	enum fts_kind kind, uint8_t version, const struct fts_guid *guid, struct lab_buf *out)
{
	lab_assert(out->len == 0);
	lab_buf_append_cstr(out, MAGIC);
	lab_buf_append_byte(out, (uint8_t)kind_letters[kind]);
	lab_buf_append_byte(out, version);
	lab_buf_append(out, guid->bytes, sizeof(guid->bytes));
}

static void end(struct lab_buf *out)
{
	uint64_t hash = lab_hash_view(HASH_SEED, lab_buf_view(out));

	lab_buf_append_u64(out, hash);
}

/* The body between them. */
static int open_body(enum fts_kind kind, const struct fts_guid *guid, struct lab_view bytes,
	uint8_t max_version, struct lab_reader *ret, uint8_t *ret_version, struct lab_error *err)
{
	char letter = kind_letters[kind];
	struct lab_reader head = { .rest = bytes }, tail;

	if (bytes.len < HEAD_BYTES + HASH_BYTES ||
		!lab_view_eq_cstr(lab_read_view(&head, strlen(MAGIC)), MAGIC) ||
		lab_read_u8(&head) != (uint8_t)letter)
		return lab_fail(err, LAB_CORRUPT, "not an fts.%c", letter);
	*ret_version = lab_read_u8(&head);
	if (*ret_version == 0 || *ret_version > max_version)
		return lab_fail(err, LAB_UNSUPPORTED, "fts.%c has version %u, not 1 to %u", letter,
			*ret_version, max_version);
	tail.rest = lab_view_skip(bytes, bytes.len - HASH_BYTES);
	tail.failed = false;
	if (lab_read_u64(&tail) !=
		lab_hash_view(HASH_SEED, lab_view_sub(bytes, 0, bytes.len - HASH_BYTES)))
		return lab_fail(err, LAB_CORRUPT, "fts.%c has another checksum", letter);
	if (!lab_view_eq(lab_read_view(&head, sizeof(guid->bytes)),
		    lab_view_of(guid->bytes, sizeof(guid->bytes))))
		return lab_fail(err, LAB_CORRUPT, "fts.%c is another than its name says", letter);
	*ret = (struct lab_reader){ .rest = lab_view_sub(
					    head.rest, 0, head.rest.len - HASH_BYTES) };
	return 0;
}

static int close_body(enum fts_kind kind, const struct lab_reader *reader, struct lab_error *err)
{
	if (!reader->failed && reader->rest.len == 0)
		return 0;
	return lab_fail(err, LAB_CORRUPT, "fts.%c makes no sense", kind_letters[kind]);
}

static void put_guids(struct lab_buf *out, const struct fts_guid *guids, size_t count)
{
	lab_assert(count <= FTS_REPLACED_MAX);
	lab_buf_append_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		lab_buf_append(out, guids[i].bytes, sizeof(guids[i].bytes));
}

static struct fts_guid *get_guids(
	struct lab_heap *heap, struct lab_reader *reader, size_t *ret_count)
{
	size_t count = lab_read_count(reader, ENV_GUID128_SIZE);
	struct fts_guid *guids;

	if (count > FTS_REPLACED_MAX)
		reader->failed = true;
	count = reader->failed ? 0 : count;
	guids = lab_new_array(heap, struct fts_guid, count);
	for (size_t i = 0; i < count; i++)
		lab_read_bytes(reader, guids[i].bytes, sizeof(guids[i].bytes));
	*ret_count = count;
	return guids;
}

/* ---- D ---- */

/* Number of the doc's folder in the order of their first docs. */
static uint32_t folder_number(
	struct lab_map *folders, struct lab_buf *table, const uint8_t mailbox[ENV_GUID128_SIZE])
{
	void **slot = lab_map_slot(folders, lab_view_of(mailbox, ENV_GUID128_SIZE));

	lab_assert(slot != NULL);
	if (*slot == NULL) {
		*slot = (void *)(uintptr_t)lab_map_count(folders);
		lab_buf_append(table, mailbox, ENV_GUID128_SIZE);
	}
	return (uint32_t)(uintptr_t)*slot - 1;
}

void fts_docs_encode(const struct fts_guid *guid, const struct fts_docs *docs, struct lab_buf *out)
{
	struct lab_map *folders = lab_map_new(out->heap, FTS_DOCS_MAX);
	struct lab_buf table;

	begin(FTS_D, VERSION, guid, out);
	put_guids(out, docs->replaced, docs->replaced_count);
	lab_buf_init(&table, out->heap, FTS_FILE_MAX);
	for (size_t i = 0; i < docs->count; i++)
		(void)folder_number(folders, &table, docs->docs[i].mail.mailbox);
	lab_buf_append_u32(out, (uint32_t)lab_map_count(folders));
	lab_buf_append_view(out, lab_buf_view(&table));
	lab_buf_append_u32(out, (uint32_t)docs->count);
	for (size_t i = 0; i < docs->count; i++) {
		const struct fts_doc *doc = &docs->docs[i];

		lab_buf_append_u32(out, folder_number(folders, &table, doc->mail.mailbox));
		lab_buf_append_u32(out, doc->mail.uid);
		lab_buf_append_byte(out, doc->part);
		lab_buf_append(out, doc->mail.name, sizeof(doc->mail.name));
	}
	lab_buf_done(&table);
	lab_map_free(&folders);
	end(out);
}

static void get_docs(struct lab_reader *reader, struct lab_view folders, struct fts_docs *ret)
{
	for (size_t i = 0; i < ret->count; i++) {
		struct fts_doc *doc = &ret->docs[i];
		uint64_t folder = lab_read_u32(reader);

		doc->mail.uid = lab_read_u32(reader);
		doc->part = lab_read_u8(reader);
		lab_read_bytes(reader, doc->mail.name, sizeof(doc->mail.name));
		if (folder >= folders.len / ENV_GUID128_SIZE || doc->part > FTS_PART_BODY ||
			doc->mail.uid == 0) {
			reader->failed = true;
			return;
		}
		memcpy(doc->mail.mailbox, folders.ptr + folder * ENV_GUID128_SIZE,
			ENV_GUID128_SIZE);
	}
}

int fts_docs_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_docs *ret, struct lab_error *err)
{
	struct lab_reader reader;
	struct lab_view folders;
	uint8_t version;

	*ret = (struct fts_docs){ .count = 0 };
	if (open_body(FTS_D, guid, bytes, VERSION, &reader, &version, err) < 0)
		return -1;
	ret->replaced = get_guids(heap, &reader, &ret->replaced_count);
	folders = lab_read_view(
		&reader, (size_t)lab_read_count(&reader, ENV_GUID128_SIZE) * ENV_GUID128_SIZE);
	ret->count = lab_read_count(&reader, 4 + 4 + 1 + ENV_GUID128_SIZE);
	if (ret->count > FTS_DOCS_MAX)
		reader.failed = true;
	ret->count = reader.failed ? 0 : ret->count;
	ret->docs = lab_new_array(heap, struct fts_doc, ret->count);
	get_docs(&reader, folders, ret);
	if (close_body(FTS_D, &reader, err) == 0)
		return 0;
	fts_docs_free(heap, ret);
	return -1;
}

void fts_docs_free(struct lab_heap *heap, struct fts_docs *docs)
{
	lab_heap_free(heap, docs->replaced);
	lab_heap_free(heap, docs->docs);
	*docs = (struct fts_docs){ .count = 0 };
}

/* ---- W ---- */

void fts_wordlist_encode(
	const struct fts_guid *guid, const struct fts_wordlist *words, struct lab_buf *out)
{
	begin(FTS_W, VERSION, guid, out);
	lab_buf_append_u32(out, (uint32_t)words->count);
	for (size_t i = 0; i < words->count; i++) {
		const struct fts_word *word = &words->words[i];

		lab_assert(word->text.len <= FTS_WORD_MAX);
		lab_buf_append_byte(out, (uint8_t)word->text.len);
		lab_buf_append_view(out, word->text);
		lab_buf_append_u32(out, word->offset);
		lab_buf_append_u32(out, word->bytes);
		lab_buf_append_u32(out, word->count);
	}
	end(out);
}

/* Lists follow each other without gaps, and words in their order. */
static bool follows(const struct fts_word *word, const struct fts_word *before)
{
	if (word->text.len == 0 || word->text.len > FTS_WORD_MAX || word->count == 0 ||
		word->bytes < word->count)
		return false;
	if (before == NULL)
		return word->offset == 0;
	return lab_view_cmp(before->text, word->text) < 0 &&
	       word->offset == (uint64_t)before->offset + before->bytes;
}

int fts_wordlist_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_wordlist *ret, struct lab_error *err)
{
	struct lab_reader reader;
	uint8_t version;

	*ret = (struct fts_wordlist){ .count = 0 };
	if (open_body(FTS_W, guid, bytes, VERSION, &reader, &version, err) < 0)
		return -1;
	ret->count = lab_read_count(&reader, 1 + 3 * 4);
	ret->words = lab_new_array(heap, struct fts_word, ret->count);
	for (size_t i = 0; i < ret->count && !reader.failed; i++) {
		struct fts_word *word = &ret->words[i];

		word->text = lab_read_view(&reader, lab_read_u8(&reader));
		word->offset = lab_read_u32(&reader);
		word->bytes = lab_read_u32(&reader);
		word->count = lab_read_u32(&reader);
		if (!follows(word, i > 0 ? word - 1 : NULL))
			reader.failed = true;
	}
	if (close_body(FTS_W, &reader, err) == 0)
		return 0;
	fts_wordlist_free(heap, ret);
	return -1;
}

void fts_wordlist_free(struct lab_heap *heap, struct fts_wordlist *words)
{
	lab_heap_free(heap, words->words);
	*words = (struct fts_wordlist){ .count = 0 };
}

/* ---- L ---- */

void fts_lists_begin(const struct fts_guid *guid, struct lab_buf *out)
{
	begin(FTS_L, VERSION, guid, out);
}

void fts_lists_add(
	struct lab_buf *out, const uint32_t *docs, uint32_t count, struct fts_word *ret_where)
{
	size_t start = out->len;
	uint32_t before = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t difference = docs[i] - before;

		lab_assert(i == 0 || docs[i] > before);
		before = docs[i];
		while (difference >= 0x80) {
			lab_buf_append_byte(out, (uint8_t)(difference | 0x80));
			difference >>= 7;
		}
		lab_buf_append_byte(out, (uint8_t)difference);
	}
	ret_where->offset = (uint32_t)(start - HEAD_BYTES);
	ret_where->bytes = (uint32_t)(out->len - start);
	ret_where->count = count;
}

void fts_lists_end(struct lab_buf *out)
{
	end(out);
}

int fts_lists_decode(const struct fts_guid *guid, struct lab_view bytes, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_reader reader;
	uint8_t version;

	if (open_body(FTS_L, guid, bytes, VERSION, &reader, &version, err) < 0)
		return -1;
	*ret = reader.rest;
	return 0;
}

/* At most five bytes, the last of which fills up 32 bits. */
static uint32_t get_number(struct lab_reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte = lab_read_u8(reader);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0)
			continue;
		if (value > UINT32_MAX)
			reader->failed = true;
		return (uint32_t)value;
	}
	reader->failed = true;
	return 0;
}

int fts_list_read(struct lab_view lists, const struct fts_word *where, size_t doc_count,
	uint32_t *docs, struct lab_error *err)
{
	struct lab_reader reader = { .rest = lab_view_sub(lists, where->offset, where->bytes) };
	uint64_t doc = 0;

	if (reader.rest.len != where->bytes)
		reader.failed = true;
	for (uint32_t i = 0; i < where->count && !reader.failed; i++) {
		uint32_t difference = get_number(&reader);

		doc += difference;
		if ((i > 0 && difference == 0) || doc >= doc_count)
			reader.failed = true;
		docs[i] = (uint32_t)doc;
	}
	return close_body(FTS_L, &reader, err);
}

/* ---- X, Y ---- */

void fts_expunges_encode(enum fts_kind kind, const struct fts_guid *guid,
	const struct fts_expunges *expunges, struct lab_buf *out)
{
	begin(kind, VERSION, guid, out);
	put_guids(out, expunges->replaced, expunges->replaced_count);
	lab_buf_append_u32(out, (uint32_t)expunges->count);
	for (size_t i = 0; i < expunges->count; i++) {
		put_mail(out, &expunges->entries[i].mail);
		if (kind == FTS_Y)
			lab_buf_append(out, expunges->entries[i].of.bytes, ENV_GUID128_SIZE);
	}
	end(out);
}

int fts_expunges_decode(struct lab_heap *heap, enum fts_kind kind, const struct fts_guid *guid,
	struct lab_view bytes, struct fts_expunges *ret, struct lab_error *err)
{
	size_t entry_bytes = FTS_MAIL_BYTES + (kind == FTS_Y ? ENV_GUID128_SIZE : 0);
	struct lab_reader reader;
	uint8_t version;

	*ret = (struct fts_expunges){ .count = 0 };
	if (open_body(kind, guid, bytes, VERSION, &reader, &version, err) < 0)
		return -1;
	ret->replaced = get_guids(heap, &reader, &ret->replaced_count);
	ret->count = lab_read_count(&reader, entry_bytes);
	ret->entries = lab_new_array(heap, struct fts_expunge, ret->count);
	for (size_t i = 0; i < ret->count; i++) {
		get_mail(&reader, &ret->entries[i].mail);
		if (kind == FTS_Y)
			lab_read_bytes(&reader, ret->entries[i].of.bytes, ENV_GUID128_SIZE);
	}
	if (close_body(kind, &reader, err) == 0)
		return 0;
	fts_expunges_free(heap, ret);
	return -1;
}

void fts_expunges_free(struct lab_heap *heap, struct fts_expunges *expunges)
{
	lab_heap_free(heap, expunges->replaced);
	lab_heap_free(heap, expunges->entries);
	*expunges = (struct fts_expunges){ .count = 0 };
}

/* ---- S ---- */

void fts_stats_encode(
	const struct fts_guid *guid, const struct fts_stats *stats, struct lab_buf *out)
{
	bool has_counts = stats->version == FTS_STATS_COUNTS;

	begin(FTS_S, stats->version, guid, out);
	lab_buf_append_u32(out, (uint32_t)stats->count);
	for (size_t i = 0; i < stats->count; i++) {
		const struct fts_triplet_stats *triplet = &stats->triplets[i];

		lab_buf_append(out, triplet->guid.bytes, ENV_GUID128_SIZE);
		lab_buf_append_u64(out, triplet->l_bytes);
		lab_buf_append_u32(out, triplet->docs);
		lab_buf_append_u32(out, (uint32_t)triplet->folder_count);
		for (size_t n = 0; n < triplet->folder_count; n++) {
			const struct fts_folder_stats *folder = &triplet->folders[n];

			lab_buf_append(out, folder->mailbox, ENV_GUID128_SIZE);
			lab_buf_append_u32(out, folder->highest_uid);
			if (has_counts)
				lab_buf_append_u32(out, folder->mails);
		}
	}
	if (has_counts)
		lab_buf_append_u32(out, stats->expunges);
	end(out);
}

static void get_triplet_stats(struct lab_heap *heap, struct lab_reader *reader, bool has_counts,
	struct fts_triplet_stats *ret)
{
	lab_read_bytes(reader, ret->guid.bytes, ENV_GUID128_SIZE);
	ret->l_bytes = lab_read_u64(reader);
	ret->docs = lab_read_u32(reader);
	ret->folder_count = lab_read_count(reader, ENV_GUID128_SIZE + (has_counts ? 8 : 4));
	ret->folders = lab_new_array(heap, struct fts_folder_stats, ret->folder_count);
	for (size_t i = 0; i < ret->folder_count; i++) {
		lab_read_bytes(reader, ret->folders[i].mailbox, ENV_GUID128_SIZE);
		ret->folders[i].highest_uid = lab_read_u32(reader);
		ret->folders[i].mails = has_counts ? lab_read_u32(reader) : 0;
	}
}

int fts_stats_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_stats *ret, struct lab_error *err)
{
	struct lab_reader reader;

	*ret = (struct fts_stats){ .count = 0 };
	if (open_body(FTS_S, guid, bytes, FTS_STATS_COUNTS, &reader, &ret->version, err) < 0)
		return -1;
	ret->count = lab_read_count(&reader, ENV_GUID128_SIZE + 8 + 4 + 4);
	ret->triplets = lab_new_array(heap, struct fts_triplet_stats, ret->count);
	for (size_t i = 0; i < ret->count; i++)
		get_triplet_stats(
			heap, &reader, ret->version == FTS_STATS_COUNTS, &ret->triplets[i]);
	if (ret->version == FTS_STATS_COUNTS)
		ret->expunges = lab_read_u32(&reader);
	if (close_body(FTS_S, &reader, err) == 0)
		return 0;
	fts_stats_free(heap, ret);
	return -1;
}

void fts_stats_free(struct lab_heap *heap, struct fts_stats *stats)
{
	for (size_t i = 0; i < stats->count; i++)
		lab_heap_free(heap, stats->triplets[i].folders);
	lab_heap_free(heap, stats->triplets);
	*stats = (struct fts_stats){ .count = 0 };
}
