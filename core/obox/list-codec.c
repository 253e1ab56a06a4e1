/* SPDX-License-Identifier: Apache-2.0
 *
 * list-codec.c - a list of folders as bytes, whole or as changes of another one.
 *
 *   version u8 | whole or changes u8 | INBOX's GUID 16 | last UIDVALIDITY u32
 *   authors u32, each: id u64 | seen u64                          by id
 *   the base's authors, likewise                                  only in changes
 *   marks u32, each: length u8 | host | count u64                 by host
 *   for folders, then for subscriptions, then, since version 2, for deleted folders:
 *     gone u32, each: key | made                                  by key and dot; only in changes
 *     entries u32, each: key | made                               by key and dot, and for a folder
 *                        | length u8 | name | set | length u8 | special use | set | UIDVALIDITY u32
 *
 * Deleted folders are written as folders are, with the time in place of the UIDVALIDITY and whoever
 * did it in place of the special use; a list without any is of version 1. The key of a folder is
 * its GUID, that of a subscription length u8 and name. "made" and "set" are dots: clock u64 |
 * author u64. Numbers are big-endian.
 */
#include "core/obox/list-private.h"

#define VERSION 2
#define VERSION_WITHOUT_DELETED 1
#define WHOLE 0
#define CHANGES 1

/* ---- encoding ---- */

static void put_text(struct lab_buf *out, struct lab_view text)
{
	lab_buf_append_byte(out, (uint8_t)text.len);
	lab_buf_append_view(out, text);
}

static void put_dot(struct lab_buf *out, const struct obox_dot *dot)
{
	lab_buf_append_u64(out, dot->clock);
	lab_buf_append_u64(out, dot->author);
}

static void put_authors(struct lab_buf *out, const struct obox_list *list)
{
	lab_buf_append_u32(out, (uint32_t)list->author_count);
	for (size_t i = 0; i < list->author_count; i++) {
		lab_buf_append_u64(out, list->authors[i].id);
		lab_buf_append_u64(out, list->authors[i].seen);
	}
}

static void put_key(
	struct lab_buf *out, enum obox_list_kind kind, const struct obox_list_entry *entry)
{
	if (kind != OBOX_LIST_SUBSCRIPTIONS)
		lab_buf_append_view(out, entry->key);
	else
		put_text(out, entry->key);
	put_dot(out, &entry->made);
}

static void put_entry(
	struct lab_buf *out, enum obox_list_kind kind, const struct obox_list_entry *entry)
{
	put_key(out, kind, entry);
	if (kind == OBOX_LIST_SUBSCRIPTIONS)
		return;
	put_text(out, lab_view_cstr(entry->name.value));
	put_dot(out, &entry->name.set);
	put_text(out, lab_view_cstr(entry->special_use.value));
	put_dot(out, &entry->special_use.set);
	lab_buf_append_u32(out, entry->uidvalidity);
}

static int kinds_of(uint8_t version)
{
	return version == VERSION_WITHOUT_DELETED ? OBOX_LIST_DELETED : OBOX_LIST_KINDS;
}

static uint8_t version_of(const struct obox_list *list)
{
	return list->entries[OBOX_LIST_DELETED].count == 0 ? VERSION_WITHOUT_DELETED : VERSION;
}

static void put_header(
	struct lab_buf *out, uint8_t version, uint8_t form, const struct obox_list *list)
{
	lab_buf_append_byte(out, version);
	lab_buf_append_byte(out, form);
	lab_buf_append(out, list->inbox, sizeof(list->inbox));
	lab_buf_append_u32(out, list->last_uidvalidity);
	put_authors(out, list);
}

static void put_marks(struct lab_buf *out, const struct obox_list *list)
{
	lab_buf_append_u32(out, (uint32_t)list->mark_count);
	for (size_t i = 0; i < list->mark_count; i++) {
		put_text(out, lab_view_cstr(list->marks[i].host));
		lab_buf_append_u64(out, list->marks[i].count);
	}
}

void obox_list_encode(const struct obox_list *list, struct lab_buf *out)
{
	uint8_t version = version_of(list);

	put_header(out, version, WHOLE, list);
	put_marks(out, list);
	for (int kind = 0; kind < kinds_of(version); kind++) {
		const struct obox_list_entries *entries = &list->entries[kind];

		lab_buf_append_u32(out, (uint32_t)entries->count);
		for (size_t i = 0; i < entries->count; i++)
			put_entry(out, (enum obox_list_kind)kind, entries->items[i]);
	}
}

/* ---- changes ---- */

static bool is_same_text(const struct obox_list_text *x, const struct obox_list_text *y)
{
	return obox_dot_cmp(&x->set, &y->set) == 0 && strcmp(x->value, y->value) == 0;
}

/* Keys and dots are equal. */
static bool is_same(const struct obox_list_entry *x, const struct obox_list_entry *y)
{
	return is_same_text(&x->name, &y->name) && is_same_text(&x->special_use, &y->special_use) &&
	       x->uidvalidity == y->uidvalidity;
}

/* Those of `mine` that `other` has not: of that key and dot, or, if `exactly`, just like that. */
static void put_difference(struct lab_buf *out, enum obox_list_kind kind,
	const struct obox_list *mine, const struct obox_list *other, bool exactly)
{
	const struct obox_list_entries *x = &mine->entries[kind], *y = &other->entries[kind];
	size_t count_at = out->len, at = 0;
	uint32_t count = 0;

	lab_buf_append_u32(out, 0);
	for (size_t i = 0; i < x->count; i++) {
		while (at < y->count && obox_list_entry_cmp(y->items[at], x->items[i]) < 0)
			at++;
		if (at < y->count && obox_list_entry_cmp(y->items[at], x->items[i]) == 0 &&
			(!exactly || is_same(y->items[at], x->items[i])))
			continue;
		count++;
		if (exactly)
			put_entry(out, kind, x->items[i]);
		else
			put_key(out, kind, x->items[i]);
	}
	for (size_t i = 0; i < 4 && !out->overflow; i++)
		out->data[count_at + i] = (uint8_t)(count >> (8 * (3 - i)));
}

void obox_list_encode_changes(
	const struct obox_list *base, const struct obox_list *list, struct lab_buf *out)
{
	uint8_t version = LAB_MAX(version_of(base), version_of(list));

	put_header(out, version, CHANGES, list);
	put_authors(out, base);
	put_marks(out, list);
	for (int kind = 0; kind < kinds_of(version); kind++) {
		put_difference(out, (enum obox_list_kind)kind, base, list, false);
		put_difference(out, (enum obox_list_kind)kind, list, base, true);
	}
}

/* ---- decoding ---- */

static struct lab_view get_text(struct lab_reader *reader)
{
	return lab_read_view(reader, lab_read_u8(reader));
}

static struct obox_dot get_dot(struct lab_reader *reader)
{
	uint64_t clock = lab_read_u64(reader);

	return (struct obox_dot){ clock, lab_read_u64(reader) };
}

/* Into a list that has none. */
static void get_authors(struct lab_reader *reader, struct obox_list *list)
{
	uint32_t count = lab_read_count(reader, 16);
	uint64_t last = 0;

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		uint64_t id = lab_read_u64(reader), seen = lab_read_u64(reader);

		if ((i > 0 && id <= last) || seen > OBOX_MODSEQ_MAX ||
			obox_list_see(list, id, seen, NULL) < 0)
			reader->failed = true;
		last = id;
	}
}

static bool is_seen(const struct obox_list *list, const struct obox_dot *dot)
{
	return dot->clock > 0 && dot->clock <= obox_list_seen(list, dot->author);
}

static void get_marks(struct lab_reader *reader, struct obox_list *list)
{
	uint32_t count = lab_read_count(reader, 1 + 8);

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct lab_view host = get_text(reader);
		uint64_t n = lab_read_u64(reader);

		if (reader->failed || host.len == 0 || n == 0 || i >= OBOX_AUTHORS_MAX ||
			lab_view_find_byte(host, 0) != SIZE_MAX ||
			(i > 0 && lab_view_cmp(lab_view_cstr(list->marks[i - 1].host), host) >= 0))
			reader->failed = true;
		else
			obox_list_push_mark(list, host, n);
	}
}

static bool is_name(struct lab_view text)
{
	struct lab_view checked = text;

	/* "inbox" would have been written as "INBOX". */
	return obox_list_check_name(&checked, NULL) == 0 && lab_view_eq(checked, text);
}

static struct lab_view get_key(
	struct lab_reader *reader, enum obox_list_kind kind, struct obox_dot *ret)
{
	struct lab_view key = kind == OBOX_LIST_SUBSCRIPTIONS
				      ? get_text(reader)
				      : lab_read_view(reader, ENV_GUID128_SIZE);

	*ret = get_dot(reader);
	if (!reader->failed && kind == OBOX_LIST_SUBSCRIPTIONS && !is_name(key))
		reader->failed = true;
	return key;
}

static void get_texts(struct lab_reader *reader, struct obox_list *list, enum obox_list_kind kind,
	struct obox_list_entry *entry)
{
	struct lab_view name = get_text(reader);
	struct obox_dot named = get_dot(reader);
	struct lab_view use = get_text(reader);
	struct obox_dot used = get_dot(reader);

	entry->uidvalidity = lab_read_u32(reader);
	if (reader->failed || !is_name(name) || !is_seen(list, &named) ||
		!obox_list_is_special_use(use) || entry->uidvalidity == 0 ||
		(kind == OBOX_LIST_FOLDERS && entry->uidvalidity > list->last_uidvalidity) ||
		(used.clock == 0 ? use.len > 0 || used.author != 0 : !is_seen(list, &used))) {
		reader->failed = true;
		return;
	}
	obox_list_set_text(list, &entry->name, name, &named);
	obox_list_set_text(list, &entry->special_use, use, &used);
}

static void get_entry(struct lab_reader *reader, struct obox_list *list, enum obox_list_kind kind)
{
	const struct obox_list_entries *entries = &list->entries[kind];
	struct obox_dot made;
	struct lab_view key = get_key(reader, kind, &made);
	struct obox_list_entry *entry;

	if (reader->failed || !is_seen(list, &made) || entries->count == OBOX_FOLDERS_MAX) {
		reader->failed = true;
		return;
	}
	entry = obox_list_push(list, kind, key, &made);
	if (entries->count > 1 &&
		obox_list_entry_cmp(entries->items[entries->count - 2], entry) >= 0)
		reader->failed = true;
	if (kind != OBOX_LIST_SUBSCRIPTIONS && !reader->failed)
		get_texts(reader, list, kind, entry);
}

static size_t entry_bytes_min(enum obox_list_kind kind)
{
	return kind == OBOX_LIST_SUBSCRIPTIONS ? 1 + 16
					       : ENV_GUID128_SIZE + 16 + 1 + 16 + 1 + 16 + 4;
}

static void get_entries(struct lab_reader *reader, struct obox_list *list, enum obox_list_kind kind)
{
	uint32_t count = lab_read_count(reader, entry_bytes_min(kind));

	for (uint32_t i = 0; i < count && !reader->failed; i++)
		get_entry(reader, list, kind);
}

/* 0; -1 if it is of a later version or not a list at all. */
static int get_header(struct lab_reader *reader, uint8_t form, struct lab_heap *heap,
	struct obox_list **ret, int *ret_kinds, struct lab_error *err)
{
	uint8_t inbox[ENV_GUID128_SIZE] = { 0 };
	uint8_t version = lab_read_u8(reader);

	*ret = NULL;
	if (!reader->failed && version > VERSION)
		return lab_fail(
			err, LAB_UNSUPPORTED, "folder list of the later version %u", version);
	if (version < VERSION_WITHOUT_DELETED || lab_read_u8(reader) != form)
		reader->failed = true;
	*ret_kinds = kinds_of(version);
	lab_read_bytes(reader, inbox, sizeof(inbox));
	*ret = obox_list_new(heap, inbox);
	(*ret)->last_uidvalidity = lab_read_u32(reader);
	get_authors(reader, *ret);
	return 0;
}

static int corrupt(struct obox_list **list, struct lab_error *err)
{
	obox_list_free(list);
	return lab_fail(err, LAB_CORRUPT, "not a list of folders");
}

int obox_list_decode(
	struct lab_heap *heap, struct lab_view bytes, struct obox_list **ret, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	int kinds = 0;

	if (get_header(&reader, WHOLE, heap, ret, &kinds, err) < 0)
		return -1;
	get_marks(&reader, *ret);
	for (int kind = 0; kind < kinds; kind++)
		get_entries(&reader, *ret, (enum obox_list_kind)kind);
	/* Equal lists are equal bytes. */
	if (kinds == OBOX_LIST_KINDS && (*ret)->entries[OBOX_LIST_DELETED].count == 0)
		reader.failed = true;
	if (reader.failed || reader.rest.len > 0)
		return corrupt(ret, err);
	obox_list_resolve(*ret);
	return 0;
}

/* ---- changes over what the reader has in place of their base ---- */

struct list_patch {
	const struct obox_list *mine;
	struct obox_list *base; /* its authors, and nothing else */
	struct obox_list *said; /* what the changes say themselves */
	struct obox_list *gone; /* entries that are, without texts */
	struct obox_list *out;
	int kinds; /* of which the changes speak */
};

static void get_gone(struct lab_reader *reader, struct list_patch *patch, enum obox_list_kind kind)
{
	uint32_t count = lab_read_count(reader, kind == OBOX_LIST_SUBSCRIPTIONS ? 17 : 32);
	const struct obox_list_entries *gone = &patch->gone->entries[kind];

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct obox_dot made;
		struct lab_view key = get_key(reader, kind, &made);

		if (reader->failed || !is_seen(patch->base, &made)) {
			reader->failed = true;
			return;
		}
		(void)obox_list_push(patch->gone, kind, key, &made);
		if (i > 0 && obox_list_entry_cmp(gone->items[i - 1], gone->items[i]) >= 0)
			reader->failed = true;
	}
}

static bool is_among(
	const struct obox_list_entries *entries, size_t *at, const struct obox_list_entry *entry)
{
	while (*at < entries->count && obox_list_entry_cmp(entries->items[*at], entry) < 0)
		(*at)++;
	return *at < entries->count && obox_list_entry_cmp(entries->items[*at], entry) == 0;
}

static void push_copy(
	struct obox_list *out, enum obox_list_kind kind, const struct obox_list_entry *entry)
{
	struct obox_list_entry *copy = obox_list_push(out, kind, entry->key, &entry->made);

	obox_list_set_text(out, &copy->name, lab_view_cstr(entry->name.value), &entry->name.set);
	obox_list_set_text(out, &copy->special_use, lab_view_cstr(entry->special_use.value),
		&entry->special_use.set);
	copy->uidvalidity = entry->uidvalidity;
}

/* What the changes do not speak of is as it was in their base; the reader has seen all of that, so
 * what he has of it is what is left of it, perhaps with later texts, which hold in the merge. */
static void fill(struct list_patch *patch, enum obox_list_kind kind)
{
	const struct obox_list_entries *mine = &patch->mine->entries[kind];
	const struct obox_list_entries *said = &patch->said->entries[kind];
	size_t said_at = 0, gone_at = 0, next = 0;

	for (size_t i = 0; i < mine->count; i++) {
		const struct obox_list_entry *entry = mine->items[i];
		bool is_said = is_among(said, &said_at, entry);

		for (; next < said_at; next++)
			push_copy(patch->out, kind, said->items[next]);
		if (!is_said && !is_among(&patch->gone->entries[kind], &gone_at, entry) &&
			is_seen(patch->base, &entry->made))
			push_copy(patch->out, kind, entry);
	}
	for (; next < said->count; next++)
		push_copy(patch->out, kind, said->items[next]);
}

static int get_changes(struct lab_reader *reader, struct list_patch *patch)
{
	get_authors(reader, patch->base);
	get_marks(reader, patch->said);
	for (int kind = 0; kind < patch->kinds; kind++) {
		get_gone(reader, patch, (enum obox_list_kind)kind);
		get_entries(reader, patch->said, (enum obox_list_kind)kind);
	}
	for (size_t i = 0; i < patch->base->author_count; i++) {
		const struct obox_author *author = &patch->base->authors[i];

		if (obox_list_seen(patch->said, author->id) < author->seen)
			reader->failed = true;
	}
	return reader->failed || reader->rest.len > 0 ? -1 : 0;
}

static int check_base(const struct list_patch *patch, struct lab_error *err)
{
	for (size_t i = 0; i < patch->base->author_count; i++) {
		const struct obox_author *author = &patch->base->authors[i];

		if (obox_list_seen(patch->mine, author->id) < author->seen)
			return lab_fail(err, LAB_NOT_FOUND,
				"changes of a folder list of which not all was seen");
	}
	return 0;
}

static int merge_patch(struct list_patch *patch, struct obox_list **ret, struct lab_error *err)
{
	const struct obox_list *said = patch->said;

	if (check_base(patch, err) < 0)
		return -1;
	patch->out = obox_list_new(patch->mine->heap, said->inbox);
	patch->out->last_uidvalidity = said->last_uidvalidity;
	for (size_t i = 0; i < said->author_count; i++)
		(void)obox_list_see(patch->out, said->authors[i].id, said->authors[i].seen, NULL);
	for (size_t i = 0; i < said->mark_count; i++)
		obox_list_push_mark(
			patch->out, lab_view_cstr(said->marks[i].host), said->marks[i].count);
	for (int kind = 0; kind < OBOX_LIST_KINDS; kind++)
		fill(patch, (enum obox_list_kind)kind);
	return obox_list_merge(patch->mine, patch->out, ret, err);
}

int obox_list_merge_changes(const struct obox_list *mine, struct lab_view bytes,
	struct obox_list **ret, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	struct list_patch patch = { .mine = mine };
	int result;

	*ret = NULL;
	if (get_header(&reader, CHANGES, mine->heap, &patch.said, &patch.kinds, err) < 0)
		return -1;
	patch.base = obox_list_new(mine->heap, mine->inbox);
	patch.gone = obox_list_new(mine->heap, mine->inbox);
	if (get_changes(&reader, &patch) < 0)
		result = corrupt(&patch.said, err);
	else
		result = merge_patch(&patch, ret, err);
	obox_list_free(&patch.base);
	obox_list_free(&patch.gone);
	obox_list_free(&patch.said);
	obox_list_free(&patch.out);
	return result;
}
