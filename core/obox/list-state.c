/* SPDX-License-Identifier: Apache-2.0
 *
 * list-state.c - one list of folders, and the changes that its author makes.
 */
#include "core/obox/list-private.h"
#include "core/base/defect.h"

/* ---- life ---- */

struct obox_list *obox_list_new(struct lab_heap *heap, const uint8_t inbox[ENV_GUID128_SIZE])
{
	struct obox_list *list = lab_new(heap, struct obox_list);

	list->heap = heap;
	memcpy(list->inbox, inbox, sizeof(list->inbox));
	list->by_name = lab_map_new(heap, OBOX_FOLDERS_MAX);
	return list;
}

static void entry_free(struct lab_heap *heap, struct obox_list_entry *entry)
{
	lab_heap_free(heap, (void *)(uintptr_t)entry->key.ptr);
	lab_heap_free(heap, entry->name.value);
	lab_heap_free(heap, entry->special_use.value);
	lab_heap_free(heap, entry);
}

void obox_list_free(struct obox_list **list_p)
{
	struct obox_list *list = *list_p;

	if (list == NULL)
		return;
	obox_list_forget_folders(list);
	for (int kind = 0; kind < OBOX_LIST_KINDS; kind++) {
		for (size_t i = 0; i < list->entries[kind].count; i++)
			entry_free(list->heap, list->entries[kind].items[i]);
		lab_heap_free(list->heap, list->entries[kind].items);
	}
	for (size_t i = 0; i < list->mark_count; i++)
		lab_heap_free(list->heap, list->marks[i].host);
	lab_heap_free(list->heap, list->marks);
	lab_heap_free(list->heap, list->authors);
	lab_map_free(&list->by_name);
	lab_heap_free(list->heap, list);
	*list_p = NULL;
}

/* Room for one more at `at`; its bytes are whatever was there. */
static void *make_room(struct lab_heap *heap, void *array, size_t count, size_t at, size_t size)
{
	uint8_t *grown = array;

	if ((count & (count - 1)) == 0)
		grown = lab_heap_realloc(heap, array, LAB_MAX((size_t)1, 2 * count) * size);
	memmove(grown + (at + 1) * size, grown + at * size, (count - at) * size);
	return grown;
}

/* ---- authors ---- */

static size_t author_place(const struct obox_list *list, uint64_t id)
{
	size_t at = list->author_count;

	while (at > 0 && list->authors[at - 1].id >= id)
		at--;
	return at;
}

static struct obox_author *find_author(const struct obox_list *list, uint64_t id)
{
	size_t at = author_place(list, id);

	return at < list->author_count && list->authors[at].id == id ? &list->authors[at] : NULL;
}

uint64_t obox_list_seen(const struct obox_list *list, uint64_t author)
{
	const struct obox_author *found = find_author(list, author);

	return found == NULL ? 0 : found->seen;
}

int obox_list_see(struct obox_list *list, uint64_t author, uint64_t clock, struct lab_error *err)
{
	struct obox_author *found = find_author(list, author);
	size_t at = author_place(list, author);

	list->clock = LAB_MAX(list->clock, clock);
	if (found != NULL) {
		found->seen = LAB_MAX(found->seen, clock);
		return 0;
	}
	if (list->author_count == OBOX_AUTHORS_MAX)
		return lab_fail(
			err, LAB_LIMIT, "folder list with more than %d authors", OBOX_AUTHORS_MAX);
	list->authors = make_room(
		list->heap, list->authors, list->author_count, at, sizeof(*list->authors));
	list->authors[at] = (struct obox_author){ author, clock };
	list->author_count++;
	return 0;
}

/* The author's next change. -1 LAB_LIMIT: the author is new, and there are too many. */
static int new_dot(
	struct obox_list *list, uint64_t author, struct obox_dot *ret, struct lab_error *err)
{
	if (list->clock >= OBOX_MODSEQ_MAX)
		return lab_fail(err, LAB_LIMIT, "folder list with too many changes");
	*ret = (struct obox_dot){ list->clock + 1, author };
	return obox_list_see(list, author, ret->clock, err);
}

/* ---- entries ---- */

int obox_list_entry_cmp(const struct obox_list_entry *x, const struct obox_list_entry *y)
{
	int order = lab_view_cmp(x->key, y->key);

	return order != 0 ? order : obox_dot_cmp(&x->made, &y->made);
}

/* The first entry that is not below this key. */
static size_t place(const struct obox_list_entries *entries, struct lab_view key)
{
	size_t low = 0, high = entries->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lab_view_cmp(entries->items[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct obox_list_entry *insert(struct obox_list *list, enum obox_list_kind kind, size_t at,
	struct lab_view key, const struct obox_dot *made)
{
	struct obox_list_entries *entries = &list->entries[kind];
	struct obox_list_entry *entry = lab_new(list->heap, struct obox_list_entry);

	entry->key = lab_view_of(obox_list_copy_text(list->heap, key), key.len);
	entry->made = *made;
	entry->name.value = obox_list_copy_text(list->heap, LAB_VIEW(""));
	entry->special_use.value = obox_list_copy_text(list->heap, LAB_VIEW(""));
	entries->items = make_room(
		list->heap, entries->items, entries->count, at, sizeof(struct obox_list_entry *));
	entries->items[at] = entry;
	entries->count++;
	return entry;
}

struct obox_list_entry *obox_list_push(struct obox_list *list, enum obox_list_kind kind,
	struct lab_view key, const struct obox_dot *made)
{
	return insert(list, kind, list->entries[kind].count, key, made);
}

static void remove_entries(struct obox_list *list, enum obox_list_kind kind, struct lab_view key)
{
	struct obox_list_entries *entries = &list->entries[kind];
	size_t at = place(entries, key), end = at;

	while (obox_list_has_key(entries, end, key))
		end++;
	/* The key may be that of one of them. */
	for (size_t i = at; i < end; i++)
		entry_free(list->heap, entries->items[i]);
	memmove(&entries->items[at], &entries->items[end],
		(entries->count - end) * sizeof(struct obox_list_entry *));
	entries->count -= end - at;
}

void obox_list_set_text(struct obox_list *list, struct obox_list_text *text, struct lab_view value,
	const struct obox_dot *set)
{
	char *copy = obox_list_copy_text(list->heap, value);

	lab_heap_free(list->heap, text->value);
	*text = (struct obox_list_text){ copy, *set };
}

/* ---- changing texts ---- */

typedef struct obox_list_text *(*text_fn)(struct obox_list_entry *entry);

static struct obox_list_text *name_text(struct obox_list_entry *entry)
{
	return &entry->name;
}

static struct obox_list_text *special_use_text(struct obox_list_entry *entry)
{
	return &entry->special_use;
}

/* In all entries of the folder. What the folders borrow is stale then, until obox_list_resolve().
 */
static void tell(struct obox_list *list, const struct obox_list_folder *folder, text_fn text,
	struct lab_view value, const struct obox_dot *dot)
{
	struct obox_list_entries *entries = &list->entries[OBOX_LIST_FOLDERS];

	for (size_t i = place(entries, obox_list_guid_of(folder));
		obox_list_has_key(entries, i, obox_list_guid_of(folder)); i++)
		obox_list_set_text(list, text(entries->items[i]), value, dot);
}

/* What is shown becomes what was told. */
static int settle(struct obox_list *list, uint64_t author, struct lab_error *err)
{
	struct obox_dot dot;

	if (!list->has_clashes)
		return 0;
	if (new_dot(list, author, &dot, err) < 0)
		return -1;
	for (size_t i = 0; i < list->folder_count; i++) {
		const struct obox_list_folder *folder = list->folders[i];

		if (strcmp(folder->name, folder->told) != 0)
			tell(list, folder, name_text, lab_view_cstr(folder->name), &dot);
	}
	obox_list_resolve(list);
	return 0;
}

/* ---- looking ---- */

const struct obox_list_folder *obox_list_find(const struct obox_list *list, struct lab_view name)
{
	return lab_map_get(list->by_name, name);
}

const struct obox_list_folder *obox_list_find_guid(
	const struct obox_list *list, const uint8_t guid[ENV_GUID128_SIZE])
{
	struct lab_view key = lab_view_of(guid, ENV_GUID128_SIZE);
	size_t at = obox_list_place(list, key);

	return at < list->folder_count && lab_view_eq(obox_list_guid_of(list->folders[at]), key)
		       ? list->folders[at]
		       : NULL;
}

bool obox_list_is_subscribed(const struct obox_list *list, struct lab_view name)
{
	const struct obox_list_entries *entries = &list->entries[OBOX_LIST_SUBSCRIPTIONS];

	return obox_list_has_key(entries, place(entries, name), name);
}

/* The first mark whose host is not below. */
static size_t mark_place(const struct obox_list *list, struct lab_view host)
{
	size_t at = list->mark_count;

	while (at > 0 && lab_view_cmp(lab_view_cstr(list->marks[at - 1].host), host) >= 0)
		at--;
	return at;
}

static struct obox_list_mark *find_mark(const struct obox_list *list, struct lab_view host)
{
	size_t at = mark_place(list, host);

	return at < list->mark_count && lab_view_eq_cstr(host, list->marks[at].host)
		       ? &list->marks[at]
		       : NULL;
}

uint64_t obox_list_mark_of(const struct obox_list *list, struct lab_view host)
{
	const struct obox_list_mark *mark = find_mark(list, host);

	return mark == NULL ? 0 : mark->count;
}

/* ---- changing ---- */

static int no_such_folder(struct lab_view name, struct lab_error *err)
{
	return lab_fail(err, LAB_NOT_FOUND, "there is no folder %.*s", LAB_VIEW_ARG(name));
}

/* The names of clashes are given for good first, so that no change renames another folder. */
static int begin(
	struct obox_list *list, uint64_t author, struct obox_dot *ret, struct lab_error *err)
{
	if (settle(list, author, err) < 0)
		return -1;
	return new_dot(list, author, ret, err);
}

/* A name may be the list's own, and each change makes those anew. */
static int take_name(struct lab_view *name, char copy[OBOX_FOLDER_NAME_MAX], struct lab_error *err)
{
	if (obox_list_check_name(name, err) < 0)
		return -1;
	memcpy(copy, name->ptr, name->len);
	name->ptr = (const uint8_t *)copy;
	return 0;
}

static int check_new(const struct obox_list *list, const uint8_t *guid, struct lab_view name,
	struct lab_error *err)
{
	if (obox_list_is_inbox(list, guid) != lab_view_eq(name, LAB_VIEW("INBOX")))
		return lab_fail(err, LAB_INVALID, "INBOX and its GUID belong together");
	if (obox_list_find(list, name) != NULL || obox_list_find_guid(list, guid) != NULL)
		return lab_fail(
			err, LAB_EXISTS, "folder %.*s is there already", LAB_VIEW_ARG(name));
	if (list->entries[OBOX_LIST_FOLDERS].count >= OBOX_FOLDERS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d folders", OBOX_FOLDERS_MAX);
	return 0;
}

int obox_list_create(struct obox_list *list, uint64_t author, const uint8_t guid[ENV_GUID128_SIZE],
	struct lab_view name, uint32_t uidvalidity, struct lab_error *err)
{
	struct lab_view key = lab_view_of(guid, ENV_GUID128_SIZE);
	struct obox_list_entry *entry;
	char copy[OBOX_FOLDER_NAME_MAX];
	struct obox_dot dot;

	lab_assert(uidvalidity > 0);
	if (take_name(&name, copy, err) < 0 || check_new(list, guid, name, err) < 0 ||
		begin(list, author, &dot, err) < 0)
		return -1;
	entry = insert(
		list, OBOX_LIST_FOLDERS, place(&list->entries[OBOX_LIST_FOLDERS], key), key, &dot);
	obox_list_set_text(list, &entry->name, name, &dot);
	entry->uidvalidity = uidvalidity;
	list->last_uidvalidity = LAB_MAX(list->last_uidvalidity, uidvalidity);
	obox_list_show(list, entry);
	return 0;
}

/* Whether it is `parent`, or below it. *ret_rest is what its name has behind the parent's. */
static bool is_within(
	const struct obox_list_folder *folder, struct lab_view parent, struct lab_view *ret_rest)
{
	struct lab_view name = lab_view_cstr(folder->name);

	*ret_rest = lab_view_skip(name, parent.len);
	return lab_view_starts_with(name, parent) &&
	       (ret_rest->len == 0 ||
		       (ret_rest->ptr[0] == OBOX_SEPARATOR && !lab_defect(RENAME_LEAVES_CHILDREN)));
}

static void new_name(struct lab_buf *out, struct lab_view to, struct lab_view rest)
{
	lab_buf_reset(out);
	lab_buf_append_view(out, to);
	lab_buf_append_view(out, rest);
}

static int check_places(const struct obox_list *list, struct lab_view from, struct lab_view to,
	struct lab_error *err)
{
	struct lab_view rest = lab_view_skip(to, from.len);

	if (lab_view_eq(from, LAB_VIEW("INBOX")) || lab_view_eq(to, LAB_VIEW("INBOX")))
		return lab_fail(err, LAB_INVALID, "INBOX is not renamed, nor anything to it");
	if (obox_list_find(list, from) == NULL)
		return no_such_folder(from, err);
	if (lab_view_starts_with(to, from) && rest.len > 0 && rest.ptr[0] == OBOX_SEPARATOR)
		return lab_fail(err, LAB_INVALID, "folder %.*s cannot be moved below itself",
			LAB_VIEW_ARG(from));
	return 0;
}

/* Nothing may be where one of them is going. */
static int check_names(const struct obox_list *list, struct lab_view from, struct lab_view to,
	struct lab_buf *name, struct lab_error *err)
{
	struct lab_view rest;

	for (size_t i = 0; i < list->folder_count; i++) {
		if (!is_within(list->folders[i], from, &rest))
			continue;
		new_name(name, to, rest);
		if (name->overflow)
			return lab_fail(err, LAB_INVALID, "a name below %.*s gets too long",
				LAB_VIEW_ARG(to));
		if (obox_list_find(list, lab_buf_view(name)) != NULL)
			return lab_fail(err, LAB_EXISTS, "folder %.*s is there already",
				LAB_VIEW_ARG(lab_buf_view(name)));
	}
	return 0;
}

static void rename_all(struct obox_list *list, const struct obox_dot *dot, struct lab_view from,
	struct lab_view to, struct lab_buf *name)
{
	struct lab_view rest;

	for (size_t i = 0; i < list->folder_count; i++) {
		if (!is_within(list->folders[i], from, &rest))
			continue;
		new_name(name, to, rest);
		tell(list, list->folders[i], name_text, lab_buf_view(name), dot);
	}
	obox_list_resolve(list);
}

int obox_list_rename(struct obox_list *list, uint64_t author, struct lab_view from,
	struct lab_view to, struct lab_error *err)
{
	char copies[2][OBOX_FOLDER_NAME_MAX];
	struct obox_dot dot;
	struct lab_buf name;
	int result = -1;

	if (take_name(&from, copies[0], err) < 0 || take_name(&to, copies[1], err) < 0 ||
		check_places(list, from, to, err) < 0)
		return -1;
	lab_buf_init(&name, list->heap, OBOX_FOLDER_NAME_MAX);
	if (check_names(list, from, to, &name, err) == 0 && begin(list, author, &dot, err) == 0) {
		rename_all(list, &dot, from, to, &name);
		result = 0;
	}
	lab_buf_done(&name);
	return result;
}

int obox_list_delete(
	struct obox_list *list, uint64_t author, struct lab_view name, struct lab_error *err)
{
	char copy[OBOX_FOLDER_NAME_MAX];
	struct obox_dot dot;

	if (take_name(&name, copy, err) < 0)
		return -1;
	if (lab_view_eq(name, LAB_VIEW("INBOX")))
		return lab_fail(err, LAB_INVALID, "INBOX is never deleted");
	if (obox_list_find(list, name) == NULL)
		return no_such_folder(name, err);
	if (begin(list, author, &dot, err) < 0)
		return -1;
	remove_entries(list, OBOX_LIST_FOLDERS, obox_list_guid_of(obox_list_find(list, name)));
	obox_list_resolve(list);
	return 0;
}

/* The oldest goes. */
static void make_room_for_deleted(struct obox_list *list)
{
	const struct obox_list_entries *entries = &list->entries[OBOX_LIST_DELETED];
	size_t oldest = 0;

	if (entries->count < OBOX_LIST_DELETED_MAX)
		return;
	for (size_t i = 1; i < entries->count; i++) {
		if (entries->items[i]->uidvalidity < entries->items[oldest]->uidvalidity)
			oldest = i;
	}
	remove_entries(list, OBOX_LIST_DELETED, entries->items[oldest]->key);
}

int obox_list_remember_deleted(struct obox_list *list, uint64_t author,
	const uint8_t guid[ENV_GUID128_SIZE], struct lab_view name, uint32_t unix_seconds,
	struct lab_view by, struct lab_error *err)
{
	struct lab_view key = lab_view_of(guid, ENV_GUID128_SIZE);
	struct obox_list_entry *entry;
	char copy[OBOX_FOLDER_NAME_MAX];
	struct obox_dot dot;

	if (take_name(&name, copy, err) < 0 || new_dot(list, author, &dot, err) < 0)
		return -1;
	make_room_for_deleted(list);
	entry = insert(
		list, OBOX_LIST_DELETED, place(&list->entries[OBOX_LIST_DELETED], key), key, &dot);
	obox_list_set_text(list, &entry->name, name, &dot);
	obox_list_set_text(list, &entry->special_use, by, &dot);
	entry->uidvalidity = LAB_MAX(unix_seconds, 1u);
	return 0;
}

void obox_list_forget_deleted(struct obox_list *list, uint32_t unix_seconds)
{
	const struct obox_list_entries *entries = &list->entries[OBOX_LIST_DELETED];

	for (size_t i = entries->count; i-- > 0;) {
		if (i < entries->count && entries->items[i]->uidvalidity < unix_seconds)
			remove_entries(list, OBOX_LIST_DELETED, entries->items[i]->key);
	}
}

bool obox_list_is_special_use(struct lab_view use)
{
	if (use.len == 0)
		return true;
	if (use.len == 1 || use.len > OBOX_SPECIAL_USE_MAX || use.ptr[0] != '\\')
		return false;
	for (size_t i = 1; i < use.len; i++) {
		/* RFC 6154: "\" and an atom. */
		if (use.ptr[i] <= ' ' || use.ptr[i] >= 0x7f ||
			memchr("(){%*\"\\]", use.ptr[i], 8) != NULL)
			return false;
	}
	return true;
}

int obox_list_set_special_use(struct obox_list *list, uint64_t author, struct lab_view name,
	struct lab_view use, struct lab_error *err)
{
	char copy[OBOX_FOLDER_NAME_MAX], use_copy[OBOX_SPECIAL_USE_MAX];
	const struct obox_list_folder *folder;
	struct obox_dot dot;

	if (take_name(&name, copy, err) < 0)
		return -1;
	if (!obox_list_is_special_use(use))
		return lab_fail(err, LAB_INVALID, "special use \"%.*s\" is not \\ and an atom",
			LAB_VIEW_ARG(use));
	if (use.len > 0)
		memcpy(use_copy, use.ptr, use.len);
	use.ptr = (const uint8_t *)use_copy;
	folder = obox_list_find(list, name);
	if (folder == NULL)
		return no_such_folder(name, err);
	if (lab_view_eq_cstr(use, folder->special_use))
		return 0;
	if (begin(list, author, &dot, err) < 0)
		return -1;
	tell(list, obox_list_find(list, name), special_use_text, use, &dot);
	obox_list_resolve(list);
	return 1;
}

int obox_list_subscribe(struct obox_list *list, uint64_t author, struct lab_view name,
	bool is_subscribed, struct lab_error *err)
{
	struct obox_list_entries *entries = &list->entries[OBOX_LIST_SUBSCRIPTIONS];
	char copy[OBOX_FOLDER_NAME_MAX];
	struct obox_dot dot;

	if (take_name(&name, copy, err) < 0)
		return -1;
	if (obox_list_is_subscribed(list, name) == is_subscribed)
		return 0;
	if (is_subscribed && entries->count >= OBOX_FOLDERS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d subscriptions", OBOX_FOLDERS_MAX);
	if (begin(list, author, &dot, err) < 0)
		return -1;
	if (is_subscribed)
		(void)insert(list, OBOX_LIST_SUBSCRIPTIONS, place(entries, name), name, &dot);
	else
		remove_entries(list, OBOX_LIST_SUBSCRIPTIONS, name);
	return 1;
}

static void insert_mark(struct obox_list *list, size_t at, struct lab_view host, uint64_t count)
{
	list->marks =
		make_room(list->heap, list->marks, list->mark_count, at, sizeof(*list->marks));
	list->marks[at] = (struct obox_list_mark){ obox_list_copy_text(list->heap, host), count };
	list->mark_count++;
}

void obox_list_push_mark(struct obox_list *list, struct lab_view host, uint64_t count)
{
	insert_mark(list, list->mark_count, host, count);
}

int obox_list_mark(
	struct obox_list *list, struct lab_view host, uint64_t first, struct lab_error *err)
{
	struct obox_list_mark *mark = find_mark(list, host);

	lab_assert(host.len > 0 && host.len <= UINT8_MAX);
	if (mark != NULL) {
		mark->count++;
		return 0;
	}
	if (list->mark_count == OBOX_AUTHORS_MAX)
		return lab_fail(
			err, LAB_LIMIT, "folder list with more than %d hosts", OBOX_AUTHORS_MAX);
	insert_mark(list, mark_place(list, host), host, first);
	return 0;
}
