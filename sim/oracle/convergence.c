/* SPDX-License-Identifier: Apache-2.0
 *
 * convergence.c - invariant 22: when nothing fails any more and every backend that serves a user
 * has refreshed and uploaded it twice around, all of them show the same folders.
 */
#include "sim/oracle/oracle-private.h"

#include <stdio.h>

static bool is_same_mail(const struct history_sighting *a, const struct history_sighting *b)
{
	return a->uid == b->uid &&
	       memcmp(a->object.name, b->object.name, sizeof(a->object.name)) == 0;
}

/* A removal that was not acknowledged may have happened on some replicas only, and each listing
 * asks others (obox 3.8). */
static bool may_be_gone(
	struct oracle *oracle, const struct history_op *op, const struct history_sighting *seen)
{
	const struct oracle_instance *instance =
		oracle_instance_find(&oracle->model, op->user, op->folder, seen->object.name);

	return instance != NULL && instance->maybe_removed != NULL;
}

/* A listing, from its first mail to its last, in the order of UIDs. */
struct view {
	const struct history_op *op;
	const struct history_sighting *next, *end;
};

static struct view view_of(const struct history *history, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(history, op->id, &count);

	return (struct view){ op, seen, seen + count };
}

/* Steps over a mail that only one of them has. False: it must be in both. */
static bool step_over(struct oracle *oracle, struct view *a, struct view *b)
{
	struct view *first = a->next == a->end              ? b
			     : b->next == b->end            ? a
			     : a->next->uid <= b->next->uid ? a
							    : b;

	return may_be_gone(oracle, first->op, first->next++);
}

/* What is different; NULL: nothing. */
static const char *difference(struct oracle *oracle, const struct history *history,
	const struct history_op *a_op, const struct history_op *b_op)
{
	struct view a = view_of(history, a_op), b = view_of(history, b_op);
	bool is_as_long = a.end - a.next == b.end - b.next, has_other_flags = false;

	if (memcmp(a_op->mailbox_guid, b_op->mailbox_guid, sizeof(a_op->mailbox_guid)) != 0)
		return "are two folders of one name";
	if (a_op->uidvalidity != b_op->uidvalidity)
		return "have different UIDVALIDITYs";
	while (a.next < a.end || b.next < b.end) {
		if (a.next < a.end && b.next < b.end && is_same_mail(a.next, b.next))
			has_other_flags |= (a.next++)->flags != (b.next++)->flags;
		else if (!step_over(oracle, &a, &b))
			return is_as_long ? "have different mails, or UIDs"
					  : "have different numbers of mails";
	}
	if (has_other_flags)
		return "have different flags";
	return a_op->uidnext != b_op->uidnext ? "have different UIDNEXTs" : NULL;
}

static void check_view(struct oracle *oracle, const struct oracle_case *c, struct lab_map *views,
	const struct history_op *op)
{
	struct oracle_key key;
	void **slot = lab_map_slot(views, oracle_key3(&key, op->user, op->folder, LAB_VIEW("")));
	const struct history_op *first;
	struct oracle_finding *f;
	const char *what;

	if (slot == NULL)
		return;
	if (*slot == NULL) {
		*slot = (void *)(uintptr_t)op;
		return;
	}
	first = *slot;
	what = difference(oracle, c->history, first, op);
	if (what == NULL)
		return;
	f = oracle_find(oracle, 22, "I22 backends disagree",
		"%.*s/%.*s: %.*s and %.*s %s, after both had refreshed and uploaded twice",
		LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), LAB_VIEW_ARG(first->backend),
		LAB_VIEW_ARG(op->backend), what);
	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, first);
	oracle_why_op(f, op);
}

/* Folders that are in one list and not, or not as they are there, in the other. */
static const struct history_folder *unlike(const struct history_folder *a, size_t a_count,
	const struct history_folder *b, size_t b_count)
{
	for (size_t i = 0; i < a_count; i++) {
		bool has = false;

		for (size_t n = 0; n < b_count; n++)
			has |= lab_view_eq(a[i].name, b[n].name) &&
			       memcmp(a[i].guid, b[n].guid, sizeof(a[i].guid)) == 0 &&
			       lab_view_eq(a[i].special_use, b[n].special_use) &&
			       a[i].is_subscribed == b[n].is_subscribed;
		if (!has)
			return &a[i];
	}
	return NULL;
}

static void check_list(struct oracle *oracle, const struct oracle_case *c, struct lab_map *lists,
	const struct history_op *op)
{
	void **slot = lab_map_slot(lists, op->user);
	const struct history_folder *a, *b, *folder;
	const struct history_op *first;
	struct oracle_finding *f;
	size_t a_count, b_count;

	if (slot == NULL)
		return;
	if (*slot == NULL) {
		*slot = (void *)(uintptr_t)op;
		return;
	}
	first = *slot;
	a = history_folders(c->history, first->id, &a_count);
	b = history_folders(c->history, op->id, &b_count);
	folder = unlike(a, a_count, b, b_count);
	if (folder == NULL)
		folder = unlike(b, b_count, a, a_count);
	if (folder == NULL)
		return;
	f = oracle_find(oracle, 22, "I22 backends list different folders",
		"%.*s: %.*s and %.*s do not agree on %.*s, after both had refreshed and uploaded "
		"twice",
		LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(first->backend), LAB_VIEW_ARG(op->backend),
		LAB_VIEW_ARG(folder->name));
	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, first);
	oracle_why_op(f, op);
}

/* Nothing fails any more: why should this? */
static void check_failed(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_finding *f = oracle_find(oracle, 22, "I22 cannot converge",
		"%.*s: %s failed after heal", LAB_VIEW_ARG(op->user), history_kind_name(op->kind));

	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, op);
}

void oracle_check_convergence(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_map *views = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);
	struct lab_map *lists = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);

	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);
		/* Others are a script's, in the middle of it all. */
		bool is_last_flush = op->kind == HISTORY_FLUSH && op->invoked_ns >= c->healed_ns;

		if (op->outcome == HISTORY_PENDING || (!is_last_flush && !op->is_converged))
			continue;
		if (op->outcome != HISTORY_OK)
			check_failed(oracle, op);
		else if (op->kind == HISTORY_SELECT)
			check_view(oracle, c, views, op);
		else if (op->kind == HISTORY_LIST)
			check_list(oracle, c, lists, op);
	}
	lab_map_free(&views);
	lab_map_free(&lists);
}
