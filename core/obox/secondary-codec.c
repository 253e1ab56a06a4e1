/* SPDX-License-Identifier: Apache-2.0
 *
 * secondary-codec.c - secondary indexes as members of a root bundle.
 *
 *   private   version u8 | flags u32, each: length u8 | owner | folder's GUID 16 | mail 16 |
 *             seen u8 | clock u64 | author u64                    by owner's length, owner, ...
 *   virtual   version u8 | folders u32, each: length u8 | name | UIDVALIDITY u32 | UIDNEXT u32 |
 *             writer u64 | authors u32, each: id u64 | seen u64   by id
 *             mails u32, each: UID u32 | folder's GUID 16 | mail 16   by UID
 *             folders by name
 *
 * Numbers are big-endian.
 */
#include "core/obox/secondary.h"

#define VERSION 1
#define FLAG_BYTES_MIN (1 + 1 + 2 * ENV_GUID128_SIZE + 1 + 16)
#define FOLDER_BYTES_MIN (1 + 1 + 4 + 4 + 8 + 4 + 4)
#define MAIL_BYTES (4 + 2 * ENV_GUID128_SIZE)

/* ---- encoding ---- */

static void begin(struct lab_buf *out, size_t count)
{
	lab_buf_append_byte(out, VERSION);
	lab_buf_append_u32(out, (uint32_t)count);
}

static bool is_same(const struct obox_private_flag *flag, const struct obox_private_flag *other)
{
	return other != NULL && other->is_seen == flag->is_seen &&
	       other->set.clock == flag->set.clock && other->set.author == flag->set.author;
}

void obox_private_encode(const struct obox_secondary *secondary, const struct obox_secondary *base,
	struct lab_buf *out)
{
	struct lab_tree_iter iter = lab_tree_iterate(secondary->flags, LAB_VIEW(""));
	size_t begin_at = out->len;
	uint32_t count = 0;
	struct lab_view key;
	void *value;

	begin(out, 0);
	while (lab_tree_next(&iter, &key, &value)) {
		const struct obox_private_flag *flag = value;

		if (base != NULL && is_same(flag, lab_tree_get(base->flags, key)))
			continue;
		count++;
		lab_buf_append_view(out, key);
		lab_buf_append_byte(out, flag->is_seen);
		lab_buf_append_u64(out, flag->set.clock);
		lab_buf_append_u64(out, flag->set.author);
	}
	if (out->overflow)
		return;
	if (count == 0)
		out->len = begin_at;
	for (size_t i = 0; i < 4 && count > 0; i++)
		out->data[begin_at + 1 + i] = (uint8_t)(count >> (8 * (3 - i)));
}

static void put_virtual(
	struct lab_buf *out, struct lab_view name, const struct obox_virtual *folder)
{
	lab_buf_append_byte(out, (uint8_t)name.len);
	lab_buf_append_view(out, name);
	lab_buf_append_u32(out, folder->uidvalidity);
	lab_buf_append_u32(out, folder->next_uid);
	lab_buf_append_u64(out, folder->writer);
	lab_buf_append_u32(out, (uint32_t)folder->author_count);
	for (size_t i = 0; i < folder->author_count; i++) {
		lab_buf_append_u64(out, folder->authors[i].id);
		lab_buf_append_u64(out, folder->authors[i].seen);
	}
	lab_buf_append_u32(out, (uint32_t)folder->count);
	for (size_t i = 0; i < folder->count; i++) {
		lab_buf_append_u32(out, folder->mails[i].uid);
		lab_buf_append(out, folder->mails[i].folder, ENV_GUID128_SIZE);
		lab_buf_append(out, folder->mails[i].name, ENV_GUID128_SIZE);
	}
}

void obox_virtual_encode(const struct obox_secondary *secondary, struct lab_buf *out)
{
	struct lab_tree_iter iter = lab_tree_iterate(secondary->folders, LAB_VIEW(""));
	struct lab_view name;
	void *value;

	if (lab_tree_count(secondary->folders) == 0)
		return;
	begin(out, lab_tree_count(secondary->folders));
	while (lab_tree_next(&iter, &name, &value))
		put_virtual(out, name, value);
}

/* ---- decoding ---- */

static int open_member(
	struct lab_reader *reader, size_t bytes, uint32_t *ret_count, struct lab_error *err)
{
	uint8_t version = lab_read_u8(reader);

	if (!reader->failed && version > VERSION)
		return lab_fail(
			err, LAB_UNSUPPORTED, "secondary index of the later version %u", version);
	*ret_count = lab_read_count(reader, bytes);
	/* Who has nothing to say has no member. */
	if (version == 0 || *ret_count == 0)
		reader->failed = true;
	return 0;
}

static int end_member(const struct lab_reader *reader, struct lab_error *err)
{
	return reader->failed || reader->rest.len > 0
		       ? lab_fail(err, LAB_CORRUPT, "not a secondary index")
		       : 0;
}

/* Keys ascend. */
static void check_order(struct lab_reader *reader, struct lab_view *last, struct lab_view key)
{
	if (last->len > 0 && lab_view_cmp(*last, key) >= 0)
		reader->failed = true;
	*last = key;
}

static struct lab_view get_key(struct lab_reader *reader)
{
	struct lab_view rest = reader->rest;
	uint8_t owner = lab_read_u8(reader);

	(void)lab_read_view(reader, (size_t)owner + 2 * ENV_GUID128_SIZE);
	if (owner == 0)
		reader->failed = true;
	return reader->failed ? LAB_VIEW("") : lab_view_sub(rest, 0, rest.len - reader->rest.len);
}

int obox_private_merge(struct obox_secondary *secondary, struct lab_view bytes, uint64_t now_ns,
	struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	struct lab_view last = LAB_VIEW("");
	uint32_t count = 0;

	if (open_member(&reader, FLAG_BYTES_MIN, &count, err) < 0)
		return -1;
	for (uint32_t i = 0; i < count && !reader.failed; i++) {
		struct lab_view key = get_key(&reader);
		uint8_t seen = lab_read_u8(&reader);
		struct obox_private_flag flag = { .is_seen = seen == 1, .known_ns = now_ns };

		flag.set.clock = lab_read_u64(&reader);
		flag.set.author = lab_read_u64(&reader);
		check_order(&reader, &last, key);
		if (seen > 1 || flag.set.clock == 0 || flag.set.clock > OBOX_MODSEQ_MAX)
			reader.failed = true;
		if (!reader.failed && obox_private_take(secondary, key, &flag, err) < 0)
			return -1;
	}
	return end_member(&reader, err);
}

static void get_authors(struct lab_reader *reader, struct obox_virtual *folder)
{
	uint32_t count = lab_read_count(reader, 16);

	if (count > OBOX_VIRTUAL_AUTHORS_MAX)
		reader->failed = true;
	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct obox_author *author = &folder->authors[folder->author_count++];

		author->id = lab_read_u64(reader);
		author->seen = lab_read_u64(reader);
		if (author->seen == 0 || author->seen > OBOX_MODSEQ_MAX ||
			(i > 0 && folder->authors[i - 1].id >= author->id))
			reader->failed = true;
	}
}

static void get_mails(struct lab_reader *reader, struct lab_heap *heap, struct obox_virtual *folder)
{
	uint32_t count = lab_read_count(reader, MAIL_BYTES);

	if (reader->failed || count > OBOX_VIRTUAL_MAILS_MAX) {
		reader->failed = true;
		return;
	}
	folder->mails = lab_new_array(heap, struct obox_virtual_mail, (size_t)count + 1);
	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct obox_virtual_mail *mail = &folder->mails[folder->count++];

		mail->uid = lab_read_u32(reader);
		lab_read_bytes(reader, mail->folder, ENV_GUID128_SIZE);
		lab_read_bytes(reader, mail->name, ENV_GUID128_SIZE);
		if (mail->uid == 0 || mail->uid >= folder->next_uid ||
			(i > 0 && folder->mails[i - 1].uid >= mail->uid))
			reader->failed = true;
	}
}

static struct lab_view get_virtual(
	struct lab_reader *reader, struct lab_heap *heap, struct obox_virtual *folder)
{
	struct lab_view name = lab_read_view(reader, lab_read_u8(reader)), checked = name;

	folder->uidvalidity = lab_read_u32(reader);
	folder->next_uid = lab_read_u32(reader);
	folder->writer = lab_read_u64(reader);
	if (reader->failed || folder->uidvalidity == 0 ||
		obox_list_check_name(&checked, NULL) < 0 || !lab_view_eq(name, checked)) {
		reader->failed = true;
		return name;
	}
	get_authors(reader, folder);
	get_mails(reader, heap, folder);
	return name;
}

int obox_virtual_merge(
	struct obox_secondary *secondary, struct lab_view bytes, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	struct lab_view last = LAB_VIEW("");
	uint32_t count = 0;

	if (open_member(&reader, FOLDER_BYTES_MIN, &count, err) < 0)
		return -1;
	for (uint32_t i = 0; i < count && !reader.failed; i++) {
		struct obox_virtual folder = { 0 };
		struct lab_view name = get_virtual(&reader, secondary->heap, &folder);

		check_order(&reader, &last, name);
		if (reader.failed)
			lab_heap_free(secondary->heap, folder.mails);
		else if (obox_virtual_take(secondary, name, &folder, err) < 0)
			return -1;
	}
	return end_member(&reader, err);
}
