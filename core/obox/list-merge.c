/* SPDX-License-Identifier: Apache-2.0
 *
 * list-merge.c - one list of folders of two.
 *
 * Entries are what their dots say, texts what their last dot says, numbers the larger one; so a
 * merge is the least list above both, and it does not matter who merges what first. Under which
 * names folders are shown is a function of the result.
 */
#include "core/obox/list-private.h"
#include "core/base/defect.h"

struct list_merge {
	const struct obox_list *sides[2];
	struct obox_list *out;
	struct lab_error *err;
};

static int merge_authors(struct list_merge *merge)
{
	for (size_t side = 0; side < 2; side++) {
		const struct obox_list *list = merge->sides[side];

		for (size_t i = 0; i < list->author_count; i++) {
			if (obox_list_see(merge->out, list->authors[i].id, list->authors[i].seen,
				    merge->err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Two ascending arrays side by side: the next thing, and which sides have it. */
struct pair {
	size_t at[2], count[2];
	bool has[2];
};

static bool next_pair(struct pair *pair, int (*compare)(void *ctx, size_t a, size_t b), void *ctx)
{
	int order;

	for (size_t side = 0; side < 2; side++) {
		pair->at[side] += pair->has[side];
		pair->has[side] = pair->at[side] < pair->count[side];
	}
	if (pair->has[0] && pair->has[1]) {
		order = compare(ctx, pair->at[0], pair->at[1]);
		pair->has[0] = order <= 0;
		pair->has[1] = order >= 0;
	}
	return pair->has[0] || pair->has[1];
}

/* ---- entries ---- */

struct merge_kind {
	struct list_merge *merge;
	enum obox_list_kind kind;
};

static const struct obox_list_entry *entry_of(const struct merge_kind *kind, size_t side, size_t at)
{
	return kind->merge->sides[side]->entries[kind->kind].items[at];
}

static int compare_entries(void *ctx, size_t a, size_t b)
{
	return obox_list_entry_cmp(entry_of(ctx, 0, a), entry_of(ctx, 1, b));
}

/* Two values under one dot cannot be; should they, all take the larger one. */
static void take_text(
	struct list_merge *merge, struct obox_list_text *ret, const struct obox_list_text *text)
{
	int order = obox_dot_cmp(&text->set, &ret->set);

	if (lab_defect(EARLIER_NAME_HOLDS))
		order = -order;
	if (order > 0 || (order == 0 && strcmp(text->value, ret->value) > 0))
		obox_list_set_text(merge->out, ret, lab_view_cstr(text->value), &text->set);
}

static void take(
	struct list_merge *merge, const struct obox_list_entry *from, struct obox_list_entry *ret)
{
	take_text(merge, &ret->name, &from->name);
	take_text(merge, &ret->special_use, &from->special_use);
	ret->uidvalidity = LAB_MAX(ret->uidvalidity, from->uidvalidity);
}

/* What the other side saw being made and does not have any more was taken away there. */
static bool is_gone(
	const struct list_merge *merge, const struct merge_kind *kind, const struct pair *pair)
{
	size_t side = pair->has[0] ? 0 : 1;
	const struct obox_dot *made = &entry_of(kind, side, pair->at[side])->made;

	if (lab_defect(DELETED_FOLDER_BACK) && kind->kind == OBOX_LIST_FOLDERS)
		return false;
	if (lab_defect(SUBSCRIPTION_BACK) && kind->kind == OBOX_LIST_SUBSCRIPTIONS)
		return false;
	return pair->has[0] != pair->has[1] &&
	       made->clock <= obox_list_seen(merge->sides[1 - side], made->author);
}

static int merge_entries(struct list_merge *merge, enum obox_list_kind which)
{
	struct merge_kind kind = { merge, which };
	struct pair pair = { .count = { merge->sides[0]->entries[which].count,
				     merge->sides[1]->entries[which].count } };

	while (next_pair(&pair, compare_entries, &kind)) {
		struct obox_list_entry *entry = NULL;

		if (is_gone(merge, &kind, &pair))
			continue;
		if (merge->out->entries[which].count == OBOX_FOLDERS_MAX)
			return lab_fail(merge->err, LAB_LIMIT,
				"folder list with more than %d folders or subscriptions",
				OBOX_FOLDERS_MAX);
		for (size_t side = 0; side < 2; side++) {
			const struct obox_list_entry *from;

			if (!pair.has[side])
				continue;
			from = entry_of(&kind, side, pair.at[side]);
			if (entry == NULL)
				entry = obox_list_push(merge->out, which, from->key, &from->made);
			take(merge, from, entry);
		}
	}
	return 0;
}

/* ---- marks ---- */

static struct lab_view host_of(const struct list_merge *merge, size_t side, size_t at)
{
	return lab_view_cstr(merge->sides[side]->marks[at].host);
}

static int compare_marks(void *ctx, size_t a, size_t b)
{
	return lab_view_cmp(host_of(ctx, 0, a), host_of(ctx, 1, b));
}

static int merge_marks(struct list_merge *merge)
{
	struct pair pair = { .count = {
				     merge->sides[0]->mark_count, merge->sides[1]->mark_count } };

	while (next_pair(&pair, compare_marks, merge)) {
		size_t any = pair.has[0] ? 0 : 1;
		uint64_t count = 0;

		if (merge->out->mark_count == OBOX_AUTHORS_MAX)
			return lab_fail(merge->err, LAB_LIMIT,
				"folder list with more than %d hosts", OBOX_AUTHORS_MAX);
		for (size_t side = 0; side < 2; side++) {
			if (pair.has[side])
				count = LAB_MAX(
					count, merge->sides[side]->marks[pair.at[side]].count);
		}
		obox_list_push_mark(merge->out, host_of(merge, any, pair.at[any]), count);
	}
	return 0;
}

int obox_list_merge(const struct obox_list *a, const struct obox_list *b, struct obox_list **ret,
	struct lab_error *err)
{
	struct list_merge merge = { { a, b }, NULL, err };

	*ret = NULL;
	if (memcmp(a->inbox, b->inbox, sizeof(a->inbox)) != 0)
		return lab_fail(err, LAB_INVALID, "folder lists of different users");
	merge.out = obox_list_new(a->heap, a->inbox);
	merge.out->last_uidvalidity = LAB_MAX(a->last_uidvalidity, b->last_uidvalidity);
	if (merge_authors(&merge) < 0 || merge_entries(&merge, OBOX_LIST_FOLDERS) < 0 ||
		merge_entries(&merge, OBOX_LIST_SUBSCRIPTIONS) < 0 ||
		merge_entries(&merge, OBOX_LIST_DELETED) < 0 || merge_marks(&merge) < 0) {
		obox_list_free(&merge.out);
		return -1;
	}
	obox_list_resolve(merge.out);
	*ret = merge.out;
	return 0;
}
