/* SPDX-License-Identifier: Apache-2.0
 *
 * folders.c - invariant 11: folders, their names and GUIDs, and subscriptions are what was
 * acknowledged; and no mail is lost with the folder that it was in.
 */
#include "sim/oracle/folders-private.h"

#define RECOVERED "recovered-lost-folder-"

/* ---- findings ---- */

/* With the bundle of the root goes what only that host knew of folders. */
static const char *excuse_of(const struct folders *f, const struct oracle_case *c,
	const struct history_op *op, const struct history_op *seen)
{
	const char *excuse = oracle_excuse_weak(f->oracle);

	if (f->oracle->settings.objects_were_lost)
		return "objects were taken away on purpose";
	if (f->oracle->settings.rows_were_resurrected)
		return "rows were put back on purpose";
	if (excuse == NULL)
		excuse = oracle_excuse_clock(f->oracle, c);
	if (excuse == NULL)
		excuse = oracle_excuse_denied_bundle(f->oracle, c, ORACLE_TABLE_ROOT_DIFFS,
			seen->user, op == NULL ? 0 : op->invoked_ns, seen->ended_ns);
	return excuse;
}

static void report(struct folders *f, const struct oracle_case *c, struct oracle_finding *finding,
	const struct history_op *op, const struct history_op *seen)
{
	finding->op = op == NULL ? seen->id : op->id;
	finding->time_ns = seen->ended_ns;
	if (op != NULL)
		oracle_why_op(finding, op);
	oracle_why_op(finding, seen);
	finding->excuse = excuse_of(f, c, op, seen);
}

#define WHERE "%.*s/%.*s"

static struct lab_view any_name(const struct folder *folder)
{
	return folder->listed != NULL  ? folder->listed->name
	       : folder->names != NULL ? folder->names->text
				       : folder->known_as;
}
#define WHERE_ARG(folder) LAB_VIEW_ARG((folder)->account->user), LAB_VIEW_ARG(any_name(folder))

static void check_lost(struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	const struct account *account = folder->account;

	struct oracle_key key;

	if (folder->listed != NULL || folder->made == NULL || folder->deletes != NULL)
		return;
	*oracle_slot(f->oracle->model.lost_folders,
		oracle_key3(&key, account->user, folder->known_as, LAB_VIEW(""))) = f->oracle;
	report(f, c,
		oracle_find(f->oracle, 11, "I11 lost folder",
			WHERE " was there, nobody deleted it, and it is in no list",
			WHERE_ARG(folder)),
		folder->made, account->list);
}

/* Deleted for certain: every sight of it before, and no backend that had not heard of it could make
 * it anew, since GUIDs are never used twice. */
static const struct history_op *deleted_by(const struct folder *folder)
{
	for (const struct oracle_touch *t = folder->deletes; t != NULL; t = t->next) {
		if (t->op->outcome == HISTORY_OK &&
			t->op->ended_event < folder->account->list->invoked_event &&
			(t->op->kind == HISTORY_DELETE ||
				(folder->names != NULL &&
					folder->names->op->ended_event < t->op->invoked_event)))
			return t->op;
	}
	return NULL;
}

/* After a crash no index is believed; but requests may arrive later than their host crashed. */
static bool had_crashed_before(
	const struct folders *f, const struct history_op *op, const struct history_op *deletion)
{
	const struct knowledge *k = f->oracle->knowledge;
	uint32_t life = knowledge_life(k, op);
	uint64_t crashed_ns = UINT64_MAX;

	return life != KNOWLEDGE_NOBODY && knowledge_crash(k, life, &crashed_ns) != UINT64_MAX &&
	       crashed_ns < deletion->invoked_ns && deletion->invoked_ns - crashed_ns > LAB_MINUTE;
}

/* Another backend that had served the user before: its metacache is not removed (obox 4.11). */
static bool has_stale_host(const struct folders *f, const struct history_op *deletion)
{
	for (size_t i = 0; i < history_count(f->history); i++) {
		const struct history_op *op = history_op(f->history, i);

		if (op->boot > 0 && lab_view_eq(op->user, deletion->user) &&
			!lab_view_eq(op->backend, deletion->backend) &&
			op->invoked_event < deletion->ended_event &&
			!had_crashed_before(f, op, deletion))
			return true;
	}
	return false;
}

static void check_deleted(
	struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	const struct history_op *deletion = deleted_by(folder);
	bool is_user = deletion != NULL && deletion->kind == HISTORY_USER_DELETE;
	struct oracle_finding *finding;

	if (deletion == NULL)
		return;
	finding = is_user ? oracle_find(f->oracle, 11, "I11 folder of a deleted user",
				    WHERE " is listed, and its user was deleted since it was made",
				    WHERE_ARG(folder))
			  : oracle_find(f->oracle, 11, "I11 deleted folder is back",
				    WHERE " was deleted with OK, and is listed again",
				    WHERE_ARG(folder));
	report(f, c, finding, deletion, folder->account->list);
	if (is_user && finding->excuse == NULL && has_stale_host(f, deletion))
		finding->excuse = "another backend had the user's metacache, which is not removed "
				  "(obox 4.11)";
}

/* A rename that was made knowing the folder by this name, and took it away. */
static const struct history_op *ended_by(
	const struct folders *f, const struct folder *folder, const struct folder_name *name)
{
	for (const struct oracle_touch *t = folder->account->ops; t != NULL; t = t->next) {
		const struct history_op *op = t->op;
		bool is_this = memcmp(op->mailbox_guid, folder->guid, sizeof(folder->guid)) == 0;

		if (op->kind != HISTORY_RENAME || op->outcome != HISTORY_OK || op == name->op ||
			!oracle_root_knew(f->oracle, op, name->op))
			continue;
		if (is_this && folders_is_name(folder, name->text, op->asked))
			return op;
		if (folders_is_below(name->text, op->asked) &&
			lab_view_eq(op->backend, name->op->backend))
			return op;
	}
	return NULL;
}

static bool is_asked(const struct account *account, struct lab_view name)
{
	/* Whoever opens a user has one. */
	if (lab_view_eq(name, LAB_VIEW("INBOX")) || lab_map_get(account->asked, name) != NULL)
		return true;
	for (const struct oracle_touch *t = account->ops; t != NULL; t = t->next) {
		if (t->op->kind == HISTORY_RENAME && folders_is_below(name, t->op->asked_target))
			return true;
	}
	return false;
}

static void check_name(struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	const struct history_op *list = folder->account->list, *end = NULL;
	struct lab_view shown = folder->listed->name;

	if (folder->names == NULL || folder->name_count >= FOLDERS_NAMES_MAX)
		return;
	if (!folders_may_have_name(folder, shown)) {
		report(f, c,
			oracle_find(f->oracle, 11, "I11 folder has another name",
				WHERE ": nobody ever gave this name to the folder that was %.*s",
				WHERE_ARG(folder), LAB_VIEW_ARG(folder->names->text)),
			folder->names->op, list);
		return;
	}
	for (const struct folder_name *n = folder->names; n != NULL; n = n->next) {
		if (!folders_is_name(folder, n->text, shown))
			continue;
		end = ended_by(f, folder, n);
		if (end == NULL)
			return;
	}
	report(f, c,
		oracle_find(f->oracle, 11, "I11 rename undone",
			WHERE ": a rename to %.*s had ended with OK", WHERE_ARG(folder),
			LAB_VIEW_ARG(end->asked_target)),
		end, list);
}

/* `op` was in another folder, which may have the name. It may have failed there, or deleted it. */
static bool saw_another(struct folders *f, const struct folder *folder, const struct history_op *op,
	const uint8_t guid[HISTORY_NAME_BYTES], struct lab_view by, struct lab_view name)
{
	struct folder another = { .account = folder->account, .last_name = &another.names };

	if (folders_guid_is_none(guid) || memcmp(guid, folder->guid, sizeof(folder->guid)) == 0)
		return false;
	memcpy(another.guid, guid, sizeof(another.guid));
	(void)folders_add_name(f, &another, by, op);
	folders_follow_renames(f, &another);
	return folders_may_have_name(&another, name);
}

static bool had_another(struct folders *f, const struct folder *folder, struct lab_view name)
{
	for (const struct folder *other = folder->account->folders; other != NULL;
		other = other->next) {
		if (other != folder &&
			(folders_may_have_name(other, name) ||
				(other->listed != NULL && lab_view_eq(other->listed->name, name))))
			return true;
	}
	for (size_t i = 0; i < history_count(f->history); i++) {
		const struct history_op *op = history_op(f->history, i);

		if (lab_view_eq(op->user, folder->account->user) &&
			(saw_another(f, folder, op, op->mailbox_guid, op->asked, name) ||
				saw_another(
					f, folder, op, op->target_guid, op->asked_target, name)))
			return true;
	}
	return false;
}

/* The suffix is there because another folder has, or had, the name. */
static void check_suffix(
	struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	struct lab_view shown = folder->listed->name;
	struct lab_view base = folders_base_name(shown, folder->guid);

	if (base.len == shown.len || lab_view_eq(base, LAB_VIEW("INBOX")) ||
		had_another(f, folder, base))
		return;
	report(f, c,
		oracle_find(f->oracle, 11, "I11 clash without cause",
			WHERE ": no other folder was ever called %.*s", WHERE_ARG(folder),
			LAB_VIEW_ARG(base)),
		NULL, folder->account->list);
}

static void check_origin(
	struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	struct lab_view shown = folder->listed->name;
	struct lab_view base = folders_base_name(shown, folder->guid);

	if (lab_view_starts_with(shown, LAB_VIEW(RECOVERED)))
		report(f, c,
			oracle_find(f->oracle, 11, "I11 recovered without cause",
				WHERE ": nobody took away root bundles", WHERE_ARG(folder)),
			NULL, folder->account->list);
	else if (!is_asked(folder->account, shown) && !is_asked(folder->account, base))
		report(f, c,
			oracle_find(f->oracle, 11, "I11 folder out of nowhere",
				WHERE ": nobody ever asked for such a folder", WHERE_ARG(folder)),
			NULL, folder->account->list);
}

static void check_special_use(
	struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	const struct history_op *created = folder->created;

	if (created == NULL || created->special_use.len == 0 ||
		lab_view_eq(created->special_use, folder->listed->special_use))
		return;
	report(f, c,
		oracle_find(f->oracle, 11, "I11 special use lost",
			WHERE " was made as %.*s and is \"%.*s\"", WHERE_ARG(folder),
			LAB_VIEW_ARG(created->special_use),
			LAB_VIEW_ARG(folder->listed->special_use)),
		created, folder->account->list);
}

static void check_folder(
	struct folders *f, const struct oracle_case *c, const struct folder *folder)
{
	check_lost(f, c, folder);
	if (folder->listed == NULL)
		return;
	check_deleted(f, c, folder);
	check_origin(f, c, folder);
	check_name(f, c, folder);
	check_suffix(f, c, folder);
	check_special_use(f, c, folder);
}

/* ---- subscriptions ---- */

/* The last word on a name: whoever said it knew all that had said otherwise. */
static const struct history_op *last_word(
	const struct folders *f, const struct account *account, const struct history_op *op)
{
	for (const struct oracle_touch *t = account->ops; t != NULL; t = t->next) {
		const struct history_op *other = t->op;
		bool is_contrary =
			other->kind == HISTORY_USER_DELETE ||
			(other->kind == HISTORY_SUBSCRIBE && lab_view_eq(other->asked, op->asked) &&
				other->is_set != op->is_set);

		if (is_contrary && !oracle_root_knew(f->oracle, op, other))
			return NULL;
	}
	return op;
}

static void check_subscription(struct folders *f, const struct oracle_case *c,
	const struct account *account, const struct history_op *op)
{
	size_t count;
	const struct history_folder *listed =
		history_folders(f->history, account->list->id, &count);
	bool is_subscribed = false;

	for (size_t i = 0; i < count; i++)
		is_subscribed |= listed[i].is_subscribed && lab_view_eq(listed[i].name, op->asked);
	if (is_subscribed == op->is_set)
		return;
	report(f, c,
		op->is_set ? oracle_find(f->oracle, 11, "I11 subscription lost",
				     WHERE " was subscribed with OK, and is not subscribed",
				     LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->asked))
			   : oracle_find(f->oracle, 11, "I11 subscription is back",
				     WHERE " was unsubscribed with OK, and is subscribed",
				     LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->asked)),
		op, account->list);
}

static void check_subscriptions(
	struct folders *f, const struct oracle_case *c, const struct account *account)
{
	struct lab_map *done = lab_map_new(f->oracle->settings.heap, ORACLE_NAMES_MAX);

	for (const struct oracle_touch *t = account->ops; t != NULL; t = t->next) {
		const struct history_op *op = t->op;

		if (op->kind != HISTORY_SUBSCRIBE || op->outcome != HISTORY_OK ||
			lab_map_get(done, op->asked) != NULL || last_word(f, account, op) == NULL)
			continue;
		*oracle_slot(done, op->asked) = done;
		check_subscription(f, c, account, op);
	}
	lab_map_free(&done);
}

/* ---- every LIST ---- */

static void check_twice(struct folders *f, const struct oracle_case *c, const struct history_op *op,
	const struct history_folder *a, const struct history_folder *b)
{
	bool is_same_guid = memcmp(a->guid, b->guid, sizeof(a->guid)) == 0;

	if (folders_guid_is_none(b->guid) || (!is_same_guid && !lab_view_eq(a->name, b->name)))
		return;
	report(f, c,
		oracle_find(f->oracle, 11, "I11 folder listed twice", WHERE " is twice in one list",
			LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(b->name)),
		NULL, op);
}

static void check_inbox(struct folders *f, const struct oracle_case *c, struct lab_map *inboxes,
	const struct history_op *op, const struct history_folder *folder)
{
	const struct history_folder *first;
	void **slot;

	if (!lab_view_eq_nocase(folders_base_name(folder->name, folder->guid), LAB_VIEW("INBOX")))
		return;
	slot = oracle_slot(inboxes, op->user);
	if (*slot == NULL)
		*slot = (void *)(uintptr_t)folder;
	first = *slot;
	if (memcmp(first->guid, folder->guid, sizeof(folder->guid)) == 0 &&
		lab_view_eq(folder->name, LAB_VIEW("INBOX")))
		return;
	report(f, c,
		oracle_find(f->oracle, 11, "I11 second INBOX", WHERE " is not the INBOX there was",
			LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(folder->name)),
		NULL, op);
}

static void check_lists(struct folders *f, const struct oracle_case *c)
{
	struct lab_map *inboxes = lab_map_new(f->oracle->settings.heap, ORACLE_NAMES_MAX);

	for (size_t n = 0; n < history_count(f->history); n++) {
		const struct history_op *op = history_op(f->history, n);
		size_t count;
		const struct history_folder *listed = history_folders(f->history, op->id, &count);

		for (size_t i = 0; i < count; i++) {
			if (folders_guid_is_none(listed[i].guid))
				continue;
			check_inbox(f, c, inboxes, op, &listed[i]);
			for (size_t before = 0; before < i; before++)
				check_twice(f, c, op, &listed[before], &listed[i]);
		}
	}
	lab_map_free(&inboxes);
}

/* ---- mails that were saved into a folder that was gone ---- */

/* Whoever saves it again takes a name that its folder had, and that folder may be renamed then; or
 * another backend that had not heard of the deletion deletes the folder once more. */
static bool may_take_along(struct folders *f, const struct account *account,
	const struct oracle_instance *orphan, const struct history_op *deletion)
{
	struct oracle_key key;
	const struct folder *from = lab_map_get(
		f->by_known, oracle_key3(&key, account->user, orphan->folder, LAB_VIEW("")));
	const struct folder *other = lab_map_get(f->by_guid,
		oracle_key3(&key, account->user,
			lab_view_of(deletion->mailbox_guid, HISTORY_NAME_BYTES), LAB_VIEW("")));
	struct folder again;

	if (deletion->kind != HISTORY_DELETE)
		return deletion->kind == HISTORY_USER_DELETE;
	if (from == NULL || other == NULL || other == from || other->names == NULL)
		return true;
	again = (struct folder){ .account = other->account, .last_name = &again.names };
	memcpy(again.guid, other->guid, sizeof(again.guid));
	for (const struct folder_name *n = from->names; n != NULL; n = n->next)
		(void)folders_add_name(
			f, &again, folders_base_name(n->text, from->guid), orphan->maker);
	folders_follow_renames(f, &again);
	for (const struct folder_name *n = again.names; n != NULL; n = n->next) {
		if (folders_may_have_name(other, n->text) ||
			folders_is_name(other, n->text, deletion->asked))
			return true;
	}
	return false;
}

/* It is somewhere, or it may have been removed from somewhere, also with the folder that it was
 * saved into again. */
static bool is_anywhere(
	struct folders *f, const struct account *account, const struct oracle_instance *orphan)
{
	const struct oracle_instance *i = f->oracle->model.first_instance;

	for (const struct oracle_touch *t = account->ops; t != NULL; t = t->next) {
		if (folders_op_end(t->op) >= orphan->maker->ended_event &&
			may_take_along(f, account, orphan, t->op))
			return true;
	}
	for (; i != NULL; i = i->next) {
		if (i != orphan && i->token == orphan->token &&
			lab_view_eq(i->user, orphan->user) &&
			(i->listed != NULL ||
				(i->maker == NULL &&
					(i->removed != NULL || i->maybe_removed != NULL))))
			return true;
	}
	return orphan->listed != NULL;
}

static void check_orphans(struct folders *f, const struct oracle_case *c)
{
	struct oracle_model *model = &f->oracle->model;

	for (struct oracle_instance *i = model->first_instance; i != NULL; i = i->next) {
		const struct account *account = lab_map_get(f->accounts, i->user);
		struct oracle_finding *finding;

		if (!i->is_orphan || i->removed != NULL || i->is_blamed || account->list == NULL ||
			is_anywhere(f, account, i))
			continue;
		finding = oracle_find(f->oracle, 11, "I11 mail lost with its folder",
			WHERE ": mail %016" PRIx64
			      " was saved with OK after the folder had been deleted, and is "
			      "nowhere",
			LAB_VIEW_ARG(i->user), LAB_VIEW_ARG(i->folder), i->token);
		finding->token = i->token;
		report(f, c, finding, i->maybe_removed, account->list);
		oracle_why_op(finding, i->maker);
		finding->op = i->maker->id;
		i->is_blamed = true;
	}
}

/* ---- all of it ---- */

void oracle_check_folders(struct oracle *oracle, const struct oracle_case *c)
{
	struct folders f;

	folders_read(&f, oracle, c->history);
	folders_delete_mails(&f);
	folders_count_saved_again(oracle);
	check_lists(&f, c);
	check_orphans(&f, c);
	for (struct account *a = f.first; a != NULL; a = a->next) {
		for (const struct folder *folder = a->list == NULL ? NULL : a->folders;
			folder != NULL; folder = folder->next)
			check_folder(&f, c, folder);
		if (a->list != NULL)
			check_subscriptions(&f, c, a);
	}
	folders_free(&f);
}
