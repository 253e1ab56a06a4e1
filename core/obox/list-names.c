/* SPDX-License-Identifier: Apache-2.0
 *
 * list-names.c - which folders a list has, and under which names they are shown.
 */
#include "core/obox/list-private.h"
#include "core/base/defect.h"

#include <stdio.h>
#include <stdlib.h>

int obox_list_check_name(struct lab_view *name, struct lab_error *err)
{
	if (name->len == 0 || name->len > OBOX_FOLDER_NAME_MAX)
		return lab_fail(err, LAB_INVALID, "folder name has %zu bytes, not 1 to %d",
			name->len, OBOX_FOLDER_NAME_MAX);
	for (size_t i = 0; i < name->len; i++) {
		if (name->ptr[i] < 0x20 || name->ptr[i] == 0x7f)
			return lab_fail(err, LAB_INVALID,
				"folder name has the control character 0x%02x", name->ptr[i]);
	}
	if (name->ptr[0] == OBOX_SEPARATOR || name->ptr[name->len - 1] == OBOX_SEPARATOR ||
		lab_view_find(*name, LAB_VIEW("//")) != SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "folder name \"%.*s\" has an empty part",
			LAB_VIEW_ARG(*name));
	if (lab_view_eq_nocase(*name, LAB_VIEW("INBOX")))
		*name = LAB_VIEW("INBOX");
	return 0;
}

void obox_list_forget_folders(struct obox_list *list)
{
	for (size_t i = 0; i < list->folder_count; i++) {
		lab_heap_free(list->heap, list->folders[i]->name);
		lab_heap_free(list->heap, list->folders[i]);
	}
	lab_heap_free(list->heap, list->folders);
	list->folders = NULL;
	list->folder_count = 0;
}

static void show_as(struct obox_list *list, struct obox_list_folder *folder, struct lab_view name)
{
	void **slot = lab_map_slot(list->by_name, name);

	lab_assert(slot != NULL && *slot == NULL);
	*slot = folder;
	folder->name = obox_list_copy_text(list->heap, name);
}

/* In the order in which they were made. */
static int compare_making(const void *a, const void *b)
{
	const struct obox_list_folder *x = *(struct obox_list_folder *const *)a;
	const struct obox_list_folder *y = *(struct obox_list_folder *const *)b;
	int order = obox_dot_cmp(&x->made, &y->made);

	return order != 0 ? order : memcmp(x->guid, y->guid, sizeof(x->guid));
}

/* The defect clash-not-shown. */
static void show_nowhere(struct obox_list *list, struct obox_list_folder *folder)
{
	folder->name = obox_list_copy_text(list->heap, lab_view_cstr(folder->told));
}

/* "<name>-<digits of the GUID>", of 8 digits or, if that is taken, of all. Both may be taken: then
 * there is a number behind them. A long name is cut between characters. */
static void show_beside(struct obox_list *list, struct obox_list_folder *folder)
{
	struct lab_view told = lab_view_cstr(folder->told), name = told;
	char hex[2 * ENV_GUID128_SIZE + 1], text[OBOX_FOLDER_NAME_MAX + 1];
	struct lab_view taken;
	size_t suffix_len;
	int n;

	lab_hex(folder->guid, sizeof(folder->guid), hex);
	for (size_t i = 0;; i++) {
		char suffix[64];

		n = i < 2 ? snprintf(suffix, sizeof(suffix), "-%.*s", i == 0 ? 8 : 32, hex)
			  : snprintf(suffix, sizeof(suffix), "-%s-%zu", hex, i);
		suffix_len = (size_t)n;
		name.len = LAB_MIN(told.len, OBOX_FOLDER_NAME_MAX - suffix_len);
		while (name.len < told.len && name.len > 0 && (told.ptr[name.len] & 0xc0) == 0x80)
			name.len--;
		n = snprintf(text, sizeof(text), "%.*s%s", LAB_VIEW_ARG(name), suffix);
		taken = lab_view_of(text, (size_t)n);
		if (lab_map_get(list->by_name, taken) == NULL)
			break;
	}
	show_as(list, folder, taken);
}

/* Of the texts of its entries the last one holds, as in a merge. */
static bool is_later(const struct obox_list_text *x, const struct obox_list_text *y)
{
	int order = obox_dot_cmp(&x->set, &y->set);

	return order > 0 || (order == 0 && strcmp(x->value, y->value) > 0);
}

static struct obox_list_folder *folder_of(
	struct obox_list *list, struct obox_list_entry *const *entries, size_t count)
{
	struct obox_list_folder *folder = lab_new(list->heap, struct obox_list_folder);
	const struct obox_list_text *name = &entries[0]->name, *use = &entries[0]->special_use;

	memcpy(folder->guid, entries[0]->key.ptr, sizeof(folder->guid));
	folder->made = entries[0]->made;
	for (size_t i = 0; i < count; i++) {
		if (is_later(&entries[i]->name, name))
			name = &entries[i]->name;
		if (is_later(&entries[i]->special_use, use))
			use = &entries[i]->special_use;
		folder->uidvalidity = LAB_MAX(folder->uidvalidity, entries[i]->uidvalidity);
	}
	folder->told = obox_list_is_inbox(list, folder->guid) ? "INBOX" : name->value;
	folder->special_use = use->value;
	return folder;
}

static void make_folders(struct obox_list *list)
{
	const struct obox_list_entries *entries = &list->entries[OBOX_LIST_FOLDERS];

	obox_list_forget_folders(list);
	list->folders = lab_new_array(list->heap, struct obox_list_folder *, entries->count + 1);
	for (size_t i = 0, count; i < entries->count; i += count) {
		for (count = 1; obox_list_has_key(entries, i + count, entries->items[i]->key);
			count++)
			;
		list->folders[list->folder_count++] = folder_of(list, &entries->items[i], count);
	}
}

static void show_folders(struct obox_list *list, struct obox_list_folder **by_making)
{
	for (size_t i = 0; i < list->folder_count; i++) {
		struct obox_list_folder *folder = by_making[i];
		struct lab_view told = lab_view_cstr(folder->told);

		if (obox_list_is_inbox(list, folder->guid) ||
			(!lab_view_eq(told, LAB_VIEW("INBOX")) &&
				lab_map_get(list->by_name, told) == NULL))
			show_as(list, folder, told);
	}
	for (size_t i = 0; i < list->folder_count; i++) {
		if (by_making[i]->name != NULL)
			continue;
		if (lab_defect(CLASH_NOT_SHOWN)) {
			show_nowhere(list, by_making[i]);
			continue;
		}
		show_beside(list, by_making[i]);
		list->has_clashes = true;
	}
}

void obox_list_resolve(struct obox_list *list)
{
	size_t count;
	struct obox_list_folder **by_making;

	make_folders(list);
	count = list->folder_count;
	by_making = lab_new_array(list->heap, struct obox_list_folder *, count + 1);
	memcpy(by_making, list->folders, count * sizeof(struct obox_list_folder *));
	if (count > 0)
		qsort(by_making, count, sizeof(struct obox_list_folder *), compare_making);
	lab_map_clear(list->by_name);
	list->has_clashes = false;
	show_folders(list, by_making);
	lab_heap_free(list->heap, by_making);
}

size_t obox_list_place(const struct obox_list *list, struct lab_view guid)
{
	size_t low = 0, high = list->folder_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lab_view_cmp(obox_list_guid_of(list->folders[middle]), guid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void obox_list_show(struct obox_list *list, struct obox_list_entry *entry)
{
	struct obox_list_folder *folder = folder_of(list, &entry, 1);
	size_t at = obox_list_place(list, entry->key);

	list->folders = lab_heap_realloc(list->heap, list->folders,
		(list->folder_count + 1) * sizeof(struct obox_list_folder *));
	memmove(&list->folders[at + 1], &list->folders[at],
		(list->folder_count - at) * sizeof(struct obox_list_folder *));
	list->folders[at] = folder;
	list->folder_count++;
	show_as(list, folder, lab_view_cstr(folder->told));
}
