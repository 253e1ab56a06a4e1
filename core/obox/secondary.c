/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/list-private.h"
#include "core/obox/secondary.h"

struct obox_secondary *obox_secondary_new(struct lab_heap *heap)
{
	struct obox_secondary *secondary = lab_new(heap, struct obox_secondary);

	secondary->heap = heap;
	secondary->flags = lab_tree_new(heap, OBOX_PRIVATE_MAX);
	secondary->folders = lab_tree_new(heap, OBOX_VIRTUALS_MAX);
	return secondary;
}

static void free_values(struct obox_secondary *secondary)
{
	struct lab_tree_iter iter = lab_tree_iterate(secondary->flags, LAB_VIEW(""));
	struct lab_view key;
	void *value;

	while (lab_tree_next(&iter, &key, &value))
		lab_heap_free(secondary->heap, value);
	iter = lab_tree_iterate(secondary->folders, LAB_VIEW(""));
	while (lab_tree_next(&iter, &key, &value)) {
		lab_heap_free(secondary->heap, ((struct obox_virtual *)value)->mails);
		lab_heap_free(secondary->heap, value);
	}
}

void obox_secondary_free(struct obox_secondary **secondary_p)
{
	struct obox_secondary *secondary = *secondary_p;

	if (secondary == NULL)
		return;
	free_values(secondary);
	lab_tree_free(&secondary->flags);
	lab_tree_free(&secondary->folders);
	lab_heap_free(secondary->heap, secondary);
	*secondary_p = NULL;
}

/* ---- private flags ---- */

/* Length of the owner's name, the name, GUID, object name: all mails of a folder side by side. */
static struct lab_view key_bytes(
	const struct obox_private_key *key, uint8_t bytes[OBOX_PRIVATE_KEY_MAX])
{
	uint8_t *at = bytes;

	lab_assert(key->owner.len <= UINT8_MAX);
	*at++ = (uint8_t)key->owner.len;
	memcpy(at, key->owner.ptr, key->owner.len);
	at += key->owner.len;
	memcpy(at, key->folder, ENV_GUID128_SIZE);
	memcpy(at + ENV_GUID128_SIZE, key->name, ENV_GUID128_SIZE);
	return lab_view_of(bytes, 1 + key->owner.len + 2 * ENV_GUID128_SIZE);
}

int obox_private_take(struct obox_secondary *secondary, struct lab_view key,
	const struct obox_private_flag *flag, struct lab_error *err)
{
	void **slot = lab_tree_slot(secondary->flags, key);
	struct obox_private_flag *known;

	if (slot == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d private flags", OBOX_PRIVATE_MAX);
	if (*slot == NULL)
		*slot = lab_new(secondary->heap, struct obox_private_flag);
	known = *slot;
	secondary->clock = LAB_MAX(secondary->clock, flag->set.clock);
	/* Two values under one dot cannot be; should they, all take the same one. */
	if (obox_dot_cmp(&flag->set, &known->set) < 0 ||
		(obox_dot_cmp(&flag->set, &known->set) == 0 && flag->is_seen <= known->is_seen))
		return 0;
	*known = *flag;
	secondary->changes++;
	return 1;
}

int obox_private_set(struct obox_secondary *secondary, uint64_t author,
	const struct obox_private_key *key, bool is_seen, uint64_t now_ns, struct lab_error *err)
{
	struct obox_private_flag flag = { is_seen, { secondary->clock + 1, author }, now_ns };
	uint8_t bytes[OBOX_PRIVATE_KEY_MAX];

	if (key->owner.len == 0 || key->owner.len > UINT8_MAX)
		return lab_fail(err, LAB_INVALID, "name of a folder's owner is empty or too long");
	if (obox_private_is_seen(secondary, key) == is_seen)
		return 0;
	return obox_private_take(secondary, key_bytes(key, bytes), &flag, err);
}

bool obox_private_is_seen(
	const struct obox_secondary *secondary, const struct obox_private_key *key)
{
	uint8_t bytes[OBOX_PRIVATE_KEY_MAX];
	const struct obox_private_flag *flag =
		lab_tree_get(secondary->flags, key_bytes(key, bytes));

	return flag != NULL && flag->is_seen;
}

size_t obox_private_forget(struct obox_secondary *secondary, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], uint64_t before_ns, obox_private_has_fn has,
	void *ctx)
{
	struct obox_private_key first = { .owner = owner };
	uint8_t bytes[OBOX_PRIVATE_KEY_MAX];
	struct lab_view from, prefix, key;
	struct lab_tree_iter iter;
	size_t forgotten = 0;
	void *value;

	memcpy(first.folder, folder, sizeof(first.folder));
	from = key_bytes(&first, bytes);
	prefix = lab_view_sub(from, 0, from.len - ENV_GUID128_SIZE);
	iter = lab_tree_iterate(secondary->flags, from);
	while (lab_tree_next(&iter, &key, &value) && lab_view_starts_with(key, prefix)) {
		const struct obox_private_flag *flag = value;

		if (flag->known_ns >= before_ns || has(ctx, key.ptr + prefix.len))
			continue;
		lab_heap_free(secondary->heap, lab_tree_remove(secondary->flags, key));
		forgotten++;
	}
	return forgotten;
}

/* ---- virtual folders ---- */

const struct obox_virtual *obox_virtual_find(
	const struct obox_secondary *secondary, struct lab_view name)
{
	return lab_tree_get(secondary->folders, name);
}

static uint64_t seen_of(const struct obox_virtual *folder, uint64_t author)
{
	for (size_t i = 0; i < folder->author_count; i++) {
		if (folder->authors[i].id == author)
			return folder->authors[i].seen;
	}
	return 0;
}

static bool includes(const struct obox_virtual *folder, const struct obox_virtual *other)
{
	for (size_t i = 0; i < other->author_count; i++) {
		if (seen_of(folder, other->authors[i].id) < other->authors[i].seen)
			return false;
	}
	return true;
}

/* Who does not fit is forgotten: then nothing includes what he made, and it is made anew. */
static void see(struct obox_virtual *folder, uint64_t author, uint64_t seen)
{
	size_t at = 0;

	while (at < folder->author_count && folder->authors[at].id < author)
		at++;
	if (at < folder->author_count && folder->authors[at].id == author) {
		folder->authors[at].seen = LAB_MAX(folder->authors[at].seen, seen);
		return;
	}
	if (folder->author_count == OBOX_VIRTUAL_AUTHORS_MAX) {
		if (at == folder->author_count)
			return;
		folder->author_count--;
	}
	memmove(&folder->authors[at + 1], &folder->authors[at],
		(folder->author_count - at) * sizeof(folder->authors[0]));
	folder->authors[at] = (struct obox_author){ author, seen };
	folder->author_count++;
}

/* Neither side knew the other: no UID of either is good. */
static void give_up(
	struct lab_heap *heap, struct obox_virtual *folder, const struct obox_virtual *b)
{
	uint32_t highest = LAB_MAX(folder->uidvalidity, b->uidvalidity);

	folder->uidvalidity = highest == UINT32_MAX ? highest : highest + 1;
	folder->next_uid = folder->given = 0;
	folder->writer = 0;
	lab_heap_free(heap, folder->mails);
	folder->mails = NULL;
	folder->count = 0;
	for (size_t i = 0; i < b->author_count; i++)
		see(folder, b->authors[i].id, b->authors[i].seen);
}

/* Of two that know each other, so that they were given up by two hosts, or whose authors do not
 * fit. */
static bool is_later(const struct obox_virtual *a, const struct obox_virtual *b)
{
	if (a->uidvalidity != b->uidvalidity)
		return a->uidvalidity > b->uidvalidity;
	if (a->next_uid != b->next_uid)
		return a->next_uid > b->next_uid;
	if (a->writer != b->writer)
		return a->writer > b->writer;
	return a->count < b->count;
}

static struct obox_virtual *get(
	struct obox_secondary *secondary, struct lab_view name, bool *ret_is_new)
{
	void **slot = lab_tree_slot(secondary->folders, name);

	if (slot == NULL)
		return NULL;
	*ret_is_new = *slot == NULL;
	if (*slot == NULL)
		*slot = lab_new(secondary->heap, struct obox_virtual);
	return *slot;
}

int obox_virtual_take(struct obox_secondary *secondary, struct lab_view name,
	struct obox_virtual *other, struct lab_error *err)
{
	bool is_new = false, has_all, knows_all;
	struct obox_virtual *folder = get(secondary, name, &is_new);

	if (folder == NULL) {
		lab_heap_free(secondary->heap, other->mails);
		return lab_fail(err, LAB_LIMIT, "more than %d virtual folders", OBOX_VIRTUALS_MAX);
	}
	has_all = !is_new && includes(folder, other);
	knows_all = is_new || includes(other, folder);
	if (knows_all && (!has_all || is_later(other, folder))) {
		lab_heap_free(secondary->heap, folder->mails);
		*folder = *other;
		secondary->changes++;
		return 1;
	}
	if (!has_all) {
		give_up(secondary->heap, folder, other);
		secondary->changes++;
	}
	lab_heap_free(secondary->heap, other->mails);
	return !has_all;
}

static struct lab_view mail_key(const struct obox_virtual_mail *mail)
{
	return lab_view_of(mail->folder, 2 * ENV_GUID128_SIZE);
}

_Static_assert(offsetof(struct obox_virtual_mail, name) ==
		       offsetof(struct obox_virtual_mail, folder) + ENV_GUID128_SIZE,
	"folder and name of a mail are one key");

/* Those that are found and had a UID, in their order; returns how many were found that had none. */
static size_t keep(struct lab_map *found, const struct obox_virtual *folder,
	struct obox_virtual_mail *out, size_t *ret_kept)
{
	size_t kept = 0;

	for (size_t i = 0; i < folder->count; i++) {
		if (lab_map_get(found, mail_key(&folder->mails[i])) == NULL)
			continue;
		out[kept++] = folder->mails[i];
		(void)lab_map_remove(found, mail_key(&folder->mails[i]));
	}
	*ret_kept = kept;
	return lab_map_count(found);
}

/* The first UID of an author's own, above all that nobody remembers. 0: there are no more. */
static uint32_t first_uid(const struct obox_virtual *folder, uint64_t author, size_t count)
{
	uint64_t first = folder->next_uid;

	if (folder->writer != author)
		first += OBOX_VIRTUAL_UID_JUMP;
	return first + count > UINT32_MAX ? 0 : (uint32_t)first;
}

static void append(struct lab_map *found, uint32_t first, struct obox_virtual_mail *out)
{
	struct lab_map_iter iter = lab_map_iterate(found);
	struct lab_view key;
	void *value;

	for (uint32_t uid = first; lab_map_next(&iter, &key, &value); uid++, out++) {
		*out = *(const struct obox_virtual_mail *)value;
		out->uid = uid;
	}
}

static struct lab_map *map_of(
	struct lab_heap *heap, const struct obox_virtual_mail *mails, size_t count)
{
	struct lab_map *map = lab_map_new(heap, OBOX_VIRTUAL_MAILS_MAX);

	for (size_t i = 0; i < count; i++)
		*lab_map_slot(map, mail_key(&mails[i])) = (void *)(uintptr_t)&mails[i];
	return map;
}

/* Clocks may be wrong, and who began anew may have crashed before anybody heard of it: so each
 * author takes another UIDVALIDITY, whatever the time. */
static void begin_numbers(struct obox_virtual *folder, uint64_t author, uint32_t uidvalidity)
{
	uint64_t least = LAB_MAX(folder->uidvalidity, uidvalidity);

	folder->uidvalidity = (uint32_t)LAB_MIN(least + author % 65536, (uint64_t)UINT32_MAX);
	folder->next_uid = 1;
	folder->writer = author;
	folder->count = 0;
}

static int update(struct obox_secondary *secondary, struct obox_virtual *folder, uint64_t author,
	struct lab_map *found, struct lab_error *err)
{
	size_t all = lab_map_count(found), kept, added;
	struct obox_virtual_mail *mails =
		lab_new_array(secondary->heap, struct obox_virtual_mail, all + 1);
	uint32_t first;

	added = keep(found, folder, mails, &kept);
	first = first_uid(folder, author, added);
	if (first == 0 || folder->given + added > OBOX_VIRTUAL_UID_JUMP) {
		lab_heap_free(secondary->heap, mails);
		return lab_fail(err, LAB_LIMIT,
			"too many UIDs of a virtual folder were given out since its last upload");
	}
	append(found, first, mails + kept);
	if (added > 0) {
		folder->next_uid = first + (uint32_t)added;
		folder->given += (uint32_t)added;
		folder->is_taken_over = folder->is_taken_over || folder->writer != author;
		folder->writer = author;
	}
	added += folder->count - kept;
	lab_heap_free(secondary->heap, folder->mails);
	folder->mails = mails;
	folder->count = all;
	return added > 0;
}

int obox_virtual_update(struct obox_secondary *secondary, uint64_t author, struct lab_view name,
	uint32_t uidvalidity, const struct obox_virtual_mail *mails, size_t count,
	struct lab_error *err)
{
	struct obox_virtual *folder;
	struct lab_map *found;
	bool is_new = false;
	int result;

	if (obox_list_check_name(&name, err) < 0)
		return -1;
	if (count > OBOX_VIRTUAL_MAILS_MAX)
		return lab_fail(err, LAB_LIMIT, "virtual folder of more than %d mails",
			OBOX_VIRTUAL_MAILS_MAX);
	folder = get(secondary, name, &is_new);
	if (folder == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d virtual folders", OBOX_VIRTUALS_MAX);
	is_new = folder->next_uid == 0;
	if (is_new)
		begin_numbers(folder, author, uidvalidity);
	found = map_of(secondary->heap, mails, count);
	result = update(secondary, folder, author, found, err);
	lab_map_free(&found);
	if (result > 0 || (result == 0 && is_new)) {
		see(folder, author, seen_of(folder, author) + 1);
		secondary->changes++;
		return 1;
	}
	return result;
}

void obox_virtual_uploaded(struct obox_secondary *secondary, bool is_uploaded)
{
	struct lab_tree_iter iter = lab_tree_iterate(secondary->folders, LAB_VIEW(""));
	struct lab_view name;
	void *value;

	while (lab_tree_next(&iter, &name, &value)) {
		struct obox_virtual *folder = value;

		folder->given = 0;
		folder->is_taken_over = !is_uploaded;
	}
}
