/* SPDX-License-Identifier: Apache-2.0
 *
 * list-private.h - building a list from entries: for its merge and its codec.
 */
#ifndef LAB_OBOX_LIST_PRIVATE_H
#define LAB_OBOX_LIST_PRIVATE_H

#include "core/obox/list-state.h"

static inline int obox_dot_cmp(const struct obox_dot *x, const struct obox_dot *y)
{
	if (x->clock != y->clock)
		return x->clock < y->clock ? -1 : 1;
	return (x->author > y->author) - (x->author < y->author);
}

/* 0 if the author is not known. */
uint64_t obox_list_seen(const struct obox_list *list, uint64_t author);
/* From now on at least that much of the author is seen. -1 LAB_LIMIT. */
int obox_list_see(struct obox_list *list, uint64_t author, uint64_t clock, struct lab_error *err);

/* An entry at the end of its kind, which must be above those before it; its texts are "". */
struct obox_list_entry *obox_list_push(struct obox_list *list, enum obox_list_kind kind,
	struct lab_view key, const struct obox_dot *made);
/* By key, then by dot. */
int obox_list_entry_cmp(const struct obox_list_entry *x, const struct obox_list_entry *y);
void obox_list_set_text(struct obox_list *list, struct obox_list_text *text, struct lab_view value,
	const struct obox_dot *set);
/* A mark at the end, whose host must be above those before it. */
void obox_list_push_mark(struct obox_list *list, struct lab_view host, uint64_t count);
/* Makes folders of entries: after entries were pushed. */
void obox_list_resolve(struct obox_list *list);
/* ... or of one entry more, whose name clashes with none. */
void obox_list_show(struct obox_list *list, struct obox_list_entry *entry);
void obox_list_forget_folders(struct obox_list *list);
/* The first folder whose GUID is not below. */
size_t obox_list_place(const struct obox_list *list, struct lab_view guid);

static inline bool obox_list_has_key(
	const struct obox_list_entries *entries, size_t at, struct lab_view key)
{
	return at < entries->count && lab_view_eq(entries->items[at]->key, key);
}

static inline bool obox_list_is_inbox(const struct obox_list *list, const uint8_t *guid)
{
	return memcmp(guid, list->inbox, sizeof(list->inbox)) == 0;
}

static inline struct lab_view obox_list_guid_of(const struct obox_list_folder *folder)
{
	return lab_view_of(folder->guid, sizeof(folder->guid));
}

static inline char *obox_list_copy_text(struct lab_heap *heap, struct lab_view text)
{
	char *copy = lab_heap_alloc(heap, text.len + 1);

	memcpy(copy, text.ptr, text.len);
	return copy;
}

bool obox_list_is_special_use(struct lab_view use);

#endif
