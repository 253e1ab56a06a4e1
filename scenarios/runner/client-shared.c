/* SPDX-License-Identifier: Apache-2.0
 *
 * client-shared.c - requests about what is not the user's own: private flags of mails in others'
 * INBOX; and about what is in several folders: a virtual one.
 */
#include "scenarios/runner/client-private.h"

#define VIRTUAL_NAME "virtual/unseen"

void client_share(struct client_session *session)
{
	const struct client_view *view = &session->view;
	struct user *user = session->user;

	if (!lab_view_eq(view->folder, LAB_VIEW("INBOX")))
		return;
	user->shared_count = LAB_MIN(view->count, (size_t)CLIENT_SHARED);
	for (size_t i = 0; i < user->shared_count; i++) {
		struct client_shared *shared = &user->shared[i];

		shared->owner = user;
		memcpy(shared->folder, view->guid, sizeof(shared->folder));
		memcpy(shared->name, view->mails[view->count - 1 - i].object.name,
			sizeof(shared->name));
	}
}

/* ---- private flags ---- */

struct private_request {
	struct client_request r;
	const struct client_shared *mail;
};

static void store_in_backend(struct backend *backend, void *arg)
{
	struct private_request *p = arg;
	struct client_request *r = &p->r;
	struct obox_user *user = NULL;
	int result = backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err);

	if (result >= 0)
		result = obox_private_store(user, lab_view_cstr(p->mail->owner->name),
			p->mail->folder, p->mail->name, r->is_set, &r->err);
	if (result >= 0) {
		r->changed = result == 1;
		r->err.code = LAB_OK;
	}
	backend_user_release(&user);
}

static void fetch_in_backend(struct backend *backend, void *arg)
{
	struct private_request *p = arg;
	struct client_request *r = &p->r;
	struct obox_user *user = NULL;

	if (backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err) == 0) {
		r->changed = obox_private_has_seen(
			user, lab_view_cstr(p->mail->owner->name), p->mail->folder, p->mail->name);
		r->err.code = LAB_OK;
	}
	backend_user_release(&user);
}

static bool run(struct client_session *session, const struct client_shared *mail,
	enum history_kind kind, bool is_seen)
{
	struct private_request p = {
		.r = { .client = session->client, .user = session->user, .is_set = is_seen },
		.mail = mail
	};
	struct history_op op = { .kind = kind, .is_set = is_seen };
	struct node *node = client_session_node(session);
	enum node_answer answer = NODE_REFUSED;
	uint32_t id;

	op.folder = lab_view_cstr(
		lab_arena_printf(session->arena, "shared/%s/INBOX", mail->owner->name));
	op.source.has_name = true;
	memcpy(op.source.name, mail->name, sizeof(op.source.name));
	id = client_begin(session->client, session->user, session->node, &op);
	if (node != NULL)
		answer = node_call(node, session->client->lab,
			kind == HISTORY_PRIVATE_STORE ? store_in_backend : fetch_in_backend, &p);
	op.changed = p.r.changed;
	(void)client_end(session->client, id, &op, answer, &p.r, &p.r.err);
	return answer == NODE_ANSWERED;
}

bool client_private_store(
	struct client_session *session, const struct client_shared *mail, bool is_seen)
{
	return run(session, mail, HISTORY_PRIVATE_STORE, is_seen);
}

bool client_private_fetch(struct client_session *session, const struct client_shared *mail)
{
	return run(session, mail, HISTORY_PRIVATE_FETCH, false);
}

/* ---- a virtual folder ---- */

struct virtual_request {
	struct client_request r;
	struct history_sighting *seen;
	size_t count;
};

static void virtual_in_backend(struct backend *backend, void *arg)
{
	struct virtual_request *v = arg;
	struct client_request *r = &v->r;
	struct obox_virtual_item *items;
	struct obox_user *user = NULL;

	if (backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err) == 0 &&
		obox_virtual_open(
			user, LAB_VIEW(VIRTUAL_NAME), LAB_VIEW("\\Seen"), false, &r->err) >= 0) {
		v->count = obox_virtual_list(
			user, LAB_VIEW(VIRTUAL_NAME), r->arena, &items, &r->uidvalidity);
		v->seen = lab_arena_array(r->arena, struct history_sighting, v->count + 1);
		for (size_t i = 0; i < v->count; i++) {
			v->seen[i].uid = items[i].uid;
			v->seen[i].object.has_name = true;
			memcpy(v->seen[i].object.name, items[i].name, HISTORY_NAME_BYTES);
		}
		r->err.code = LAB_OK;
	}
	backend_user_release(&user);
}

bool client_virtual(struct client_session *session)
{
	struct virtual_request v = {
		.r = { .client = session->client, .user = session->user, .arena = session->arena }
	};
	struct history_op op = { .kind = HISTORY_VIRTUAL, .folder = LAB_VIEW(VIRTUAL_NAME) };
	uint32_t id = client_begin(session->client, session->user, session->node, &op);
	struct node *node = client_session_node(session);
	enum node_answer answer = NODE_REFUSED;

	if (node != NULL)
		answer = node_call(node, session->client->lab, virtual_in_backend, &v);
	if (answer == NODE_ANSWERED && v.r.err.code == LAB_OK)
		history_sight(session->client->history, id, v.seen, v.count);
	op.uidvalidity = v.r.uidvalidity;
	(void)client_end(session->client, id, &op, answer, &v.r, &v.r.err);
	return answer == NODE_ANSWERED;
}
