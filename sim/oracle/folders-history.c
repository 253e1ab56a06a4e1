/* SPDX-License-Identifier: Apache-2.0
 *
 * folders-history.c - which folders there were, the names that each had, who may have deleted it,
 * and the mails that went with it.
 */
#include "sim/oracle/folders-private.h"

#define BACKENDS_MAX 64

/* ---- names ---- */

bool folders_guid_is_none(const uint8_t guid[HISTORY_NAME_BYTES])
{
	static const uint8_t none[HISTORY_NAME_BYTES];

	return memcmp(guid, none, sizeof(none)) == 0;
}

bool folders_is_below(struct lab_view name, struct lab_view above)
{
	return name.len > above.len && lab_view_starts_with(name, above) &&
	       name.ptr[above.len] == '/';
}

struct lab_view folders_base_name(struct lab_view shown, const uint8_t guid[HISTORY_NAME_BYTES])
{
	char hex[2 * HISTORY_NAME_BYTES + 1];

	lab_hex(guid, HISTORY_NAME_BYTES, hex);
	for (size_t digits = 8; digits <= 2 * HISTORY_NAME_BYTES; digits += 24) {
		if (shown.len > digits + 1 && shown.ptr[shown.len - digits - 1] == '-' &&
			memcmp(shown.ptr + shown.len - digits, hex, digits) == 0)
			return lab_view_sub(shown, 0, shown.len - digits - 1);
	}
	return shown;
}

bool folders_is_name(const struct folder *folder, struct lab_view a, struct lab_view b)
{
	return lab_view_eq(a, b) ||
	       lab_view_eq(folders_base_name(a, folder->guid), folders_base_name(b, folder->guid));
}

bool folders_may_have_name(const struct folder *folder, struct lab_view name)
{
	for (const struct folder_name *n = folder->names; n != NULL; n = n->next) {
		if (folders_is_name(folder, n->text, name))
			return true;
	}
	return folder->name_count >= FOLDERS_NAMES_MAX;
}

bool folders_add_name(
	struct folders *f, struct folder *folder, struct lab_view text, const struct history_op *op)
{
	bool is_rename = op->kind == HISTORY_RENAME;
	struct folder_name *added;

	for (const struct folder_name *n = folder->names; n != NULL; n = n->next) {
		if (lab_view_eq(n->text, text) &&
			(n->op == op || (!is_rename && n->op->kind != HISTORY_RENAME)))
			return false;
	}
	if (folder->name_count >= FOLDERS_NAMES_MAX)
		return false;
	folder->name_count++;
	added = lab_arena_new_of(f->oracle->work, struct folder_name);
	*added = (struct folder_name){ .text = text, .op = op };
	*folder->last_name = added;
	folder->last_name = &added->next;
	return true;
}

uint64_t folders_op_end(const struct history_op *op)
{
	return op->outcome == HISTORY_PENDING ? UINT64_MAX : op->ended_event;
}

/* What `rename` makes of a name of the folder; false: nothing. */
static bool renamed(struct folders *f, const struct folder *folder, const struct folder_name *from,
	const struct history_op *rename, struct lab_view *ret)
{
	struct lab_view name = from->text;

	if (from->op == rename || from->op->invoked_event > folders_op_end(rename))
		return false;
	if (folders_is_below(name, rename->asked)) {
		*ret = lab_view_cstr(lab_arena_printf(f->oracle->work, "%.*s%.*s",
			LAB_VIEW_ARG(rename->asked_target),
			LAB_VIEW_ARG(lab_view_skip(name, rename->asked.len))));
		return true;
	}
	*ret = rename->asked_target;
	return folders_is_name(folder, name, rename->asked) &&
	       (folders_guid_is_none(rename->mailbox_guid) ||
		       memcmp(rename->mailbox_guid, folder->guid, sizeof(folder->guid)) == 0);
}

void folders_follow_renames(struct folders *f, struct folder *folder)
{
	bool is_new = folder->account->has_renames;

	while (is_new) {
		is_new = false;
		for (const struct oracle_touch *t = folder->account->ops; t != NULL; t = t->next) {
			if (t->op->kind != HISTORY_RENAME)
				continue;
			for (const struct folder_name *n = folder->names; n != NULL; n = n->next) {
				struct lab_view to;

				if (renamed(f, folder, n, t->op, &to))
					is_new |= folders_add_name(f, folder, to, t->op);
			}
		}
	}
}

/* ---- the history ---- */

static struct account *account_of(struct folders *f, struct lab_view user)
{
	void **slot = oracle_slot(f->accounts, user);
	struct account *account = *slot;

	if (account != NULL)
		return account;
	*slot = account = lab_arena_new_of(f->oracle->work, struct account);
	account->user = user;
	account->last_op = &account->ops;
	account->last_folder = &account->folders;
	account->asked = lab_map_new(f->oracle->settings.heap, ORACLE_NAMES_MAX);
	*f->last = account;
	f->last = &account->next;
	return account;
}

static struct folder *folder_of(struct folders *f, struct account *account,
	const uint8_t guid[HISTORY_NAME_BYTES], struct lab_view known_as)
{
	struct oracle_key key;
	void **slot = oracle_slot(
		f->by_guid, oracle_key3(&key, account->user, lab_view_of(guid, HISTORY_NAME_BYTES),
				    LAB_VIEW("")));
	struct folder *folder = *slot;

	if (folder != NULL)
		return folder;
	*slot = folder = lab_arena_new_of(f->oracle->work, struct folder);
	folder->account = account;
	memcpy(folder->guid, guid, HISTORY_NAME_BYTES);
	folder->known_as = known_as;
	folder->last_name = &folder->names;
	*account->last_folder = folder;
	account->last_folder = &folder->next;
	if (known_as.len > 0)
		*oracle_slot(f->by_known,
			oracle_key3(&key, account->user, known_as, LAB_VIEW(""))) = folder;
	return folder;
}

static void add_touch(struct folders *f, struct oracle_touch **last, const struct history_op *op)
{
	while (*last != NULL)
		last = &(*last)->next;
	*last = lab_arena_new_of(f->oracle->work, struct oracle_touch);
	(*last)->op = op;
}

static void keep_op(struct folders *f, struct account *account, const struct history_op *op)
{
	struct oracle_touch *touch = lab_arena_new_of(f->oracle->work, struct oracle_touch);

	touch->op = op;
	*account->last_op = touch;
	account->last_op = &touch->next;
	account->has_renames |= op->kind == HISTORY_RENAME;
}

static void see_folder(struct folders *f, struct account *account, const struct history_op *op,
	const uint8_t guid[HISTORY_NAME_BYTES], struct lab_view known_as, struct lab_view name)
{
	bool is_change = op->kind == HISTORY_CREATE || op->kind == HISTORY_RENAME ||
			 op->kind == HISTORY_DELIVER || op->kind == HISTORY_COPY ||
			 op->kind == HISTORY_MOVE;
	struct folder *folder;

	if (folders_guid_is_none(guid) || op->kind == HISTORY_LIST)
		return;
	folder = folder_of(f, account, guid, known_as);
	if (op->outcome != HISTORY_OK || op->kind == HISTORY_DELETE)
		return;
	(void)folders_add_name(f, folder, name, op);
	if (is_change && folder->made == NULL)
		folder->made = op;
	if (op->kind == HISTORY_CREATE)
		folder->created = op;
}

static void ask(struct account *account, struct lab_view name)
{
	if (name.len > 0)
		*oracle_slot(account->asked, name) = account;
}

static bool is_on_folders(const struct history_op *op)
{
	return op->kind == HISTORY_RENAME || op->kind == HISTORY_DELETE ||
	       op->kind == HISTORY_SUBSCRIBE || op->kind == HISTORY_USER_DELETE;
}

static void read_op(struct folders *f, const struct history_op *op)
{
	struct account *account = account_of(f, op->user);

	ask(account, op->asked);
	ask(account, op->asked_target);
	if (op->outcome == HISTORY_FAIL)
		return;
	if (is_on_folders(op))
		keep_op(f, account, op);
	if (op->kind == HISTORY_RENAME) {
		see_folder(f, account, op, op->mailbox_guid, op->folder, op->asked_target);
	} else {
		see_folder(f, account, op, op->mailbox_guid, op->folder, op->asked);
		see_folder(f, account, op, op->target_guid, op->target, op->asked_target);
	}
	if (op->kind == HISTORY_LIST && op->outcome == HISTORY_OK &&
		lab_view_eq_cstr(op->backend, f->oracle->settings.auditor)) {
		size_t count;

		(void)history_folders(f->history, op->id, &count);
		account->list = count == 0 ? NULL : op;
	}
}

static bool may_be_deleted_by(const struct folder *folder, const struct history_op *op)
{
	bool is_inbox = folders_may_have_name(folder, LAB_VIEW("INBOX"));

	/* What was first seen after it was made after it. */
	if (op->kind == HISTORY_USER_DELETE)
		return !is_inbox && (op->outcome != HISTORY_OK || folder->names == NULL ||
					    folder->names->op->invoked_event < op->ended_event);
	if (op->kind != HISTORY_DELETE)
		return false;
	if (!folders_guid_is_none(op->mailbox_guid))
		return memcmp(op->mailbox_guid, folder->guid, sizeof(folder->guid)) == 0;
	return op->outcome != HISTORY_OK && folders_may_have_name(folder, op->asked);
}

static void read_list(struct folders *f, struct account *account)
{
	size_t count;
	const struct history_folder *listed =
		history_folders(f->history, account->list->id, &count);

	for (size_t i = 0; i < count; i++) {
		if (!folders_guid_is_none(listed[i].guid))
			folder_of(f, account, listed[i].guid, LAB_VIEW(""))->listed = &listed[i];
	}
}

static void read_account(struct folders *f, struct account *account)
{
	for (struct folder *folder = account->folders; folder != NULL; folder = folder->next) {
		folders_follow_renames(f, folder);
		for (const struct oracle_touch *t = account->ops; t != NULL; t = t->next) {
			if (may_be_deleted_by(folder, t->op))
				add_touch(f, &folder->deletes, t->op);
		}
	}
	if (account->list != NULL)
		read_list(f, account);
}

/* ---- what goes with a folder, or with its user ---- */

/* A mail that came after its folder was gone, from a backend that had not heard of it, is saved
 * again into a folder of that name. */
static void delete_with(
	struct folders *f, struct oracle_instance *i, const struct history_op *deletion)
{
	const struct history_op *maker = i->maker;
	bool is_certain = deletion->outcome == HISTORY_OK && maker != NULL &&
			  i->made == ORACLE_MADE_OK && maker->outcome != HISTORY_PENDING;
	bool is_user = deletion->kind == HISTORY_USER_DELETE;

	if (is_user && is_certain && maker->invoked_ns > deletion->ended_ns)
		return;
	if (i->object != NULL)
		oracle_object_touched(f->oracle, i->object, deletion);
	if (!is_certain || maker->ended_ns >= deletion->invoked_ns ||
		oracle_had_trouble(f->oracle, deletion->invoked_ns, deletion->ended_ns)) {
		i->maybe_removed = deletion;
		i->is_orphan |= is_certain && maker->invoked_ns > deletion->ended_ns;
		i->may_be_saved_again |= !is_user;
	} else if (i->removed == NULL || i->removed->ended_ns > deletion->ended_ns) {
		i->removed = deletion;
	}
}

void folders_delete_mails(struct folders *f)
{
	struct oracle_model *model = &f->oracle->model;
	struct oracle_key key;

	for (struct oracle_instance *i = model->first_instance; i != NULL; i = i->next) {
		const struct account *account = lab_map_get(f->accounts, i->user);
		const struct folder *folder = lab_map_get(
			f->by_known, oracle_key3(&key, i->user, i->folder, LAB_VIEW("")));

		for (const struct oracle_touch *t = folder == NULL ? NULL : folder->deletes;
			t != NULL; t = t->next) {
			if (t->op->kind == HISTORY_DELETE)
				delete_with(f, i, t->op);
		}
		for (const struct oracle_touch *t = account == NULL ? NULL : account->ops;
			t != NULL; t = t->next) {
			if (t->op->kind == HISTORY_USER_DELETE)
				delete_with(f, i, t->op);
		}
	}
}

/* Each of them may have found it, at the same time as the others. */
static size_t count_backends(const struct history *history, struct lab_view user)
{
	struct lab_view seen[BACKENDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < history_count(history); i++) {
		const struct history_op *op = history_op(history, i);
		bool is_new = op->boot > 0 && lab_view_eq(op->user, user);

		for (size_t n = 0; n < count && is_new; n++)
			is_new = !lab_view_eq(seen[n], op->backend);
		if (is_new && count < BACKENDS_MAX)
			seen[count++] = op->backend;
	}
	return count;
}

void folders_count_saved_again(struct oracle *oracle)
{
	for (struct oracle_instance *i = oracle->model.first_instance; i != NULL; i = i->next) {
		struct oracle_tally *tally;

		if (!i->may_be_saved_again || i->maker == NULL || i->made == ORACLE_MADE_FAILED)
			continue;
		tally = oracle_tally(&oracle->model, i->user, i->folder, i->token);
		tally->maybe += LAB_MAX(count_backends(oracle->model.history, i->user), (size_t)1);
		if (tally->maker == NULL)
			tally->maker = i->maker;
	}
}

/* ---- all of it ---- */

void folders_read(struct folders *f, struct oracle *oracle, const struct history *history)
{
	*f = (struct folders){ .oracle = oracle,
		.history = history,
		.accounts = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX),
		.by_guid = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX),
		.by_known = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX) };
	f->last = &f->first;
	for (size_t i = 0; i < history_count(history); i++)
		read_op(f, history_op(history, i));
	for (struct account *a = f->first; a != NULL; a = a->next)
		read_account(f, a);
}

void folders_free(struct folders *f)
{
	for (struct account *a = f->first; a != NULL; a = a->next)
		lab_map_free(&a->asked);
	lab_map_free(&f->accounts);
	lab_map_free(&f->by_guid);
	lab_map_free(&f->by_known);
}
