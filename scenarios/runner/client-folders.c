/* SPDX-License-Identifier: Apache-2.0
 *
 * client-folders.c - requests about folders, and about a user as a whole.
 */
#include "scenarios/runner/client-private.h"

size_t client_name_count(const struct user *user)
{
	size_t each = scenario_changes_folders(user->group) ? CLIENT_SUBFOLDERS + 1 : 1;

	return 1 + user->folders * each;
}

struct lab_view client_name(const struct user *user, size_t index, struct lab_arena *arena)
{
	size_t folder = (index - 1) / (CLIENT_SUBFOLDERS + 1) + 1;
	size_t sub = (index - 1) % (CLIENT_SUBFOLDERS + 1);

	if (index == 0 || !scenario_changes_folders(user->group))
		return client_folder_name(index, arena);
	if (sub == 0)
		return client_folder_name(folder, arena);
	return lab_view_cstr(lab_arena_printf(arena, "Folder%zu/Sub%zu", folder, sub));
}

/* ---- inside the backend ---- */

struct folder_request {
	struct client_request r;
	struct lab_view special_use;
	bool is_set, changed;
	struct obox_status status;
	/* LIST */
	struct history_folder *folders;
	size_t count;
};

static struct folder_request request_of(
	struct client_session *session, struct lab_view folder, struct lab_view target)
{
	return (struct folder_request){ .r = { .client = session->client,
						.user = session->user,
						.folder = folder,
						.target = target,
						.arena = session->arena } };
}

/* The folder that has the name now. */
static void take_guid(struct client_request *r, struct obox_user *user, struct lab_view name)
{
	struct obox_folder *folders;
	size_t count;

	obox_folder_list(user, r->arena, &folders, &count);
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(name, folders[i].name))
			(void)lab_unhex(
				lab_view_cstr(folders[i].guid), r->guid, HISTORY_NAME_BYTES);
	}
}

typedef int (*folder_fn)(struct folder_request *f, struct obox_user *user);

static void run_in_backend(struct backend *backend, struct folder_request *f, folder_fn fn)
{
	struct client_request *r = &f->r;
	struct obox_user *user = NULL;

	if (backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err) == 0 &&
		fn(f, user) >= 0)
		r->err.code = LAB_OK;
	backend_user_release(&user);
}

static int create_fn(struct folder_request *f, struct obox_user *user)
{
	struct client_request *r = &f->r;
	int result = obox_folder_create(user, r->folder, f->special_use, &r->err);

	if (result == 0)
		take_guid(r, user, r->folder);
	return result;
}

static void create_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, create_fn);
}

static int rename_fn(struct folder_request *f, struct obox_user *user)
{
	struct client_request *r = &f->r;
	int result = obox_folder_rename(user, r->folder, r->target, &r->err);

	if (result == 0)
		take_guid(r, user, r->target);
	return result;
}

static void rename_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, rename_fn);
}

static int delete_fn(struct folder_request *f, struct obox_user *user)
{
	return obox_folder_delete(user, f->r.folder, f->r.guid, &f->r.err);
}

static void delete_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, delete_fn);
}

static int subscribe_fn(struct folder_request *f, struct obox_user *user)
{
	int result = obox_subscribe(user, f->r.folder, f->is_set, &f->r.err);

	f->changed = result == 1;
	return result;
}

static void subscribe_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, subscribe_fn);
}

static int status_fn(struct folder_request *f, struct obox_user *user)
{
	int result = obox_folder_status(user, f->r.folder, &f->status, &f->r.err);

	if (result == 0)
		take_guid(&f->r, user, f->r.folder);
	return result;
}

static void status_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, status_fn);
}

static int user_delete_fn(struct folder_request *f, struct obox_user *user)
{
	return client_fts_user_delete(&f->r, user, &f->r.err) < 0
		       ? -1
		       : obox_user_delete(user, &f->r.err);
}

static void user_delete_in_backend(struct backend *backend, void *arg)
{
	run_in_backend(backend, arg, user_delete_fn);
}

static void add_folders(struct folder_request *f, const struct obox_folder *folders, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct history_folder *out = &f->folders[f->count++];

		out->name = lab_arena_copy(f->r.arena, lab_view_cstr(folders[i].name));
		out->special_use =
			lab_arena_copy(f->r.arena, lab_view_cstr(folders[i].special_use));
		out->is_subscribed = folders[i].is_subscribed;
		(void)lab_unhex(lab_view_cstr(folders[i].guid), out->guid, HISTORY_NAME_BYTES);
	}
}

/* What is subscribed and no folder. */
static void add_subscriptions(struct folder_request *f, struct obox_user *user)
{
	struct lab_view *names;
	size_t count, folders = f->count;

	obox_subscription_list(user, f->r.arena, &names, &count);
	for (size_t i = 0; i < count && f->count < CLIENT_LIST_MAX; i++) {
		bool is_folder = false;

		for (size_t n = 0; n < folders; n++)
			is_folder |= lab_view_eq(f->folders[n].name, names[i]);
		if (!is_folder)
			f->folders[f->count++] =
				(struct history_folder){ .name = names[i], .is_subscribed = true };
	}
}

static void list_in_backend(struct backend *backend, void *arg)
{
	struct folder_request *f = arg;
	struct client_request *r = &f->r;
	struct obox_user *user = NULL;
	struct obox_mailbox *inbox = NULL;
	struct obox_folder *folders;
	size_t count;

	/* Opening INBOX refreshes the user. */
	if (client_open_folder(backend, r, &user, &inbox) >= 0) {
		obox_folder_list(user, r->arena, &folders, &count);
		f->folders = lab_arena_array(r->arena, struct history_folder, CLIENT_LIST_MAX);
		add_folders(f, folders, LAB_MIN(count, (size_t)CLIENT_LIST_MAX));
		add_subscriptions(f, user);
		r->err.code = LAB_OK;
	}
	obox_mailbox_close(&inbox);
	backend_user_release(&user);
}

/* ---- the requests ---- */

static enum history_outcome run(struct client_session *session, struct history_op *op,
	node_call_fn fn, struct folder_request *f, bool *ret_answered)
{
	uint32_t id = client_session_begin(session, op);
	enum node_answer answer;

	f->r.err.code = LAB_OK;
	answer = client_session_call(session, fn, f);
	*ret_answered = answer == NODE_ANSWERED;
	if (answer == NODE_ANSWERED && f->r.err.code == LAB_OK) {
		op->changed = f->changed;
		op->uidvalidity = f->status.uidvalidity;
		op->uidnext = f->status.uidnext;
		op->highest_modseq = f->status.highest_modseq;
		if (op->kind == HISTORY_LIST)
			history_sight_folders(session->client->history, id, f->folders, f->count);
	}
	return client_end(session->client, id, op, answer, &f->r, &f->r.err);
}

bool client_list(
	struct client_session *session, struct lab_view names[CLIENT_LIST_MAX], size_t *ret_count)
{
	struct folder_request f = request_of(session, LAB_VIEW("INBOX"), LAB_VIEW(""));
	struct history_op op = { .kind = HISTORY_LIST, .is_converged = session->is_converged };
	static const uint8_t none[HISTORY_NAME_BYTES];
	bool answered;
	enum history_outcome outcome = run(session, &op, list_in_backend, &f, &answered);

	*ret_count = 0;
	for (size_t i = 0; i < f.count; i++) {
		if (memcmp(f.folders[i].guid, none, sizeof(none)) != 0)
			names[(*ret_count)++] = f.folders[i].name;
	}
	return outcome == HISTORY_OK;
}

bool client_create(
	struct client_session *session, struct lab_view name, struct lab_view special_use)
{
	struct folder_request f = request_of(session, name, LAB_VIEW(""));
	struct history_op op = {
		.kind = HISTORY_CREATE, .folder = name, .special_use = special_use
	};
	bool answered;

	f.special_use = special_use;
	(void)run(session, &op, create_in_backend, &f, &answered);
	return answered;
}

bool client_rename(struct client_session *session, struct lab_view from, struct lab_view to)
{
	struct folder_request f = request_of(session, from, to);
	struct history_op op = { .kind = HISTORY_RENAME, .folder = from, .target = to };
	bool answered;

	(void)run(session, &op, rename_in_backend, &f, &answered);
	return answered;
}

bool client_delete(struct client_session *session, struct lab_view name)
{
	struct folder_request f = request_of(session, name, LAB_VIEW(""));
	struct history_op op = { .kind = HISTORY_DELETE, .folder = name };
	bool answered;

	(void)run(session, &op, delete_in_backend, &f, &answered);
	return answered;
}

bool client_subscribe(struct client_session *session, struct lab_view name, bool is_set)
{
	struct folder_request f = request_of(session, name, LAB_VIEW(""));
	struct history_op op = { .kind = HISTORY_SUBSCRIBE, .folder = name, .is_set = is_set };
	bool answered;

	f.is_set = is_set;
	(void)run(session, &op, subscribe_in_backend, &f, &answered);
	return answered;
}

bool client_status(struct client_session *session, struct lab_view name)
{
	struct folder_request f = request_of(session, name, LAB_VIEW(""));
	struct history_op op = { .kind = HISTORY_STATUS, .folder = name };
	bool answered;

	(void)run(session, &op, status_in_backend, &f, &answered);
	return answered;
}

enum history_outcome client_user_delete(
	struct client_context *client, struct user *user, struct node *node)
{
	struct folder_request f = { .r = { .client = client, .user = user } };
	struct history_op op = { .kind = HISTORY_USER_DELETE };
	uint32_t id = client_begin(client, user, node, &op);
	enum node_answer answer = NODE_REFUSED;

	if (node != NULL) {
		f.r.fts = node->fts;
		answer = node_call(node, client->lab, user_delete_in_backend, &f);
	}
	return client_end(client, id, &op, answer, &f.r, &f.r.err);
}
