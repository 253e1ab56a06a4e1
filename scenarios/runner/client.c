/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/client-private.h"

#include "core/base/mark.h"
#include "scenarios/format/mail-source.h"
#include "scenarios/format/client-words.h"
#include "scenarios/runner/palomar.h"

#include <stdio.h>

#define BULK_ARENA_MAX (16u * 1024 * 1024)
#define FETCH_ARENA_MAX (2 * (size_t)OBOX_MAIL_MAX)

struct lab_view client_folder_name(size_t index, struct lab_arena *arena)
{
	if (index == 0)
		return LAB_VIEW("INBOX");
	return lab_view_cstr(lab_arena_printf(arena, "Folder%zu", index));
}

struct lab_view client_flag_name(size_t index)
{
	static const char *const names[CLIENT_FLAGS] = { "\\Seen", "\\Flagged", "\\Answered",
		"\\Draft", "\\Deleted", "$Forwarded", "$Junk", "NonJunk", "$MDNSent", "Work" };

	return lab_view_cstr(names[index]);
}

/* ---- tokens of objects ---- */

void client_learn_token(struct user *user, const uint8_t *oid, size_t len, uint64_t token)
{
	void **slot;

	if (len == 0 || token == 0)
		return;
	slot = lab_map_slot(user->tokens, lab_view_of(oid, len));
	if (slot != NULL)
		*slot = (void *)(uintptr_t)token;
}

static uint64_t known_token(const struct user *user, const struct history_object *object)
{
	return (uintptr_t)lab_map_get(user->tokens, lab_view_of(object->oid, object->oid_len));
}

struct history_object client_object_of(const struct client_context *client,
	const uint8_t name[ENV_GUID128_SIZE], const uint8_t *oid, uint8_t oid_len)
{
	static const uint8_t no_name[ENV_GUID128_SIZE];
	struct history_object object = { .oid_len = oid_len };

	memcpy(object.name, name, sizeof(object.name));
	object.has_name = memcmp(name, no_name, sizeof(no_name)) != 0;
	memcpy(object.oid, oid, oid_len);
	if (object.has_name &&
		(client->names_are_ids || (client->names_may_be_ids && oid_len == 0))) {
		memcpy(object.oid, name, sizeof(object.name));
		object.oid_len = sizeof(object.name);
	}
	return object;
}

/* ---- writing down ---- */

uint32_t client_begin(
	struct client_context *client, struct user *user, struct node *node, struct history_op *op)
{
	op->user = lab_view_cstr(user->name);
	op->backend = node == NULL ? LAB_VIEW("") : lab_view_cstr(node->name);
	op->boot = node == NULL || !node->is_up ? 0 : node->boots;
	op->invoked_ns = env_now(client->lab);
	op->invoked_event = client->event_sequence(client->event_ctx);
	ENV_EVENT(client->lab, LAB_EV_operation_invoked,
		LAB_F_CSTR("kind", history_kind_name(op->kind)), LAB_F_TEXT("user", op->user),
		LAB_F_TEXT("mailbox", op->folder), LAB_F_U64("token", op->token));
	return history_invoke(client->history, op);
}

uint32_t client_session_begin(struct client_session *session, struct history_op *op)
{
	if (session->number == 0)
		session->number = ++session->client->sessions;
	op->session = session->number;
	return client_begin(session->client, session->user, session->node, op);
}

static bool is_read_only(enum history_kind kind)
{
	return kind == HISTORY_FETCH || kind == HISTORY_SELECT || kind == HISTORY_REBUILD ||
	       kind == HISTORY_LIST || kind == HISTORY_STATUS || kind == HISTORY_SEARCH ||
	       kind == HISTORY_FTS_CHECK || kind == HISTORY_QUOTA ||
	       kind == HISTORY_PRIVATE_FETCH || kind == HISTORY_VIRTUAL;
}

/* What the client knows after `answer`; a broken connection says nothing about a write. */
static enum history_outcome outcome_of(
	enum history_kind kind, enum node_answer answer, enum lab_code code)
{
	bool is_read = is_read_only(kind);

	if (answer == NODE_REFUSED)
		return HISTORY_FAIL;
	if (answer == NODE_LOST)
		return is_read ? HISTORY_FAIL : HISTORY_UNCERTAIN;
	if (code == LAB_OK)
		return HISTORY_OK;
	/* Whatever it stopped at, what came before it is done. */
	if (kind == HISTORY_USER_DELETE && code != LAB_EXISTS)
		return HISTORY_UNCERTAIN;
	return code == LAB_UNCERTAIN && !is_read ? HISTORY_UNCERTAIN : HISTORY_FAIL;
}

enum history_outcome client_end(struct client_context *client, uint32_t id, struct history_op *op,
	enum node_answer answer, const struct client_request *r, const struct lab_error *err)
{
	static const uint8_t unknown[HISTORY_NAME_BYTES];
	static const char *const broken[] = {
		[NODE_REFUSED] = "connection refused", [NODE_LOST] = "connection broke"
	};

	/* Of a request that did not get that far it is what the session had selected. */
	if (memcmp(r->guid, unknown, sizeof(unknown)) != 0)
		memcpy(op->mailbox_guid, r->guid, sizeof(op->mailbox_guid));
	memcpy(op->target_guid, r->target_guid, sizeof(op->target_guid));

	op->outcome = outcome_of(op->kind, answer, err->code);
	op->code = err->code;
	if (answer != NODE_ANSWERED)
		op->code = answer == NODE_LOST ? LAB_RESET : LAB_REFUSED;
	if (op->outcome != HISTORY_OK)
		snprintf(op->message, sizeof(op->message), "%.*s", (int)sizeof(op->message) - 1,
			answer == NODE_ANSWERED ? err->message : broken[answer]);
	op->ended_ns = env_now(client->lab);
	op->ended_event = client->event_sequence(client->event_ctx);
	ENV_EVENT(client->lab, LAB_EV_operation_finished,
		LAB_F_CSTR("kind", history_kind_name(op->kind)), LAB_F_TEXT("user", op->user),
		LAB_F_U64("token", op->token),
		LAB_F_CSTR("outcome", history_outcome_name(op->outcome)),
		LAB_F_CODE("code", op->code));
	history_end(client->history, id, op);
	client->last = id;
	return op->outcome;
}

/* ---- inside the backend ---- */

static int open_one(struct client_request *r, struct obox_user *user, struct lab_view name,
	bool may_create, struct obox_mailbox **ret, uint8_t guid[HISTORY_NAME_BYTES])
{
	int result =
		(may_create ? obox_mailbox_open : obox_mailbox_select)(user, name, ret, &r->err);

	if (result >= 0)
		(void)lab_unhex(lab_view_cstr(obox_mailbox_guid(*ret)), guid, HISTORY_NAME_BYTES);
	return result;
}

/* A session whose folder has another UIDVALIDITY is cut off: its UIDs mean other mails. So is one
 * whose folder has another name now, because another folder of its name came: what is opened by
 * that name is not what it had selected. */
static int check_view(struct client_request *r, const struct obox_mailbox *mailbox)
{
	if (r->uidvalidity == 0 || (obox_mailbox_uidvalidity(mailbox) == r->uidvalidity &&
					   memcmp(r->guid, r->view_guid, sizeof(r->guid)) == 0))
		return 0;
	LAB_MARK(session_cut_off);
	r->is_stale = true;
	memcpy(r->guid, r->view_guid, sizeof(r->guid));
	return lab_fail(
		&r->err, LAB_NOT_FOUND, "UIDVALIDITY of %.*s changed", LAB_VIEW_ARG(r->folder));
}

int client_open_folder(struct backend *backend, struct client_request *r,
	struct obox_user **ret_user, struct obox_mailbox **ret)
{
	/* Where folders come and go, a session does not bring back what it has selected. */
	bool may_create = r->is_delivery || lab_view_eq(r->folder, LAB_VIEW("INBOX")) ||
			  !scenario_changes_folders(r->user->group);
	int result;

	if (backend_user_open(backend, lab_view_cstr(r->user->name), ret_user, &r->err) < 0)
		return -1;
	result = open_one(r, *ret_user, r->folder, may_create, ret, r->guid);
	return result < 0 || check_view(r, *ret) < 0 ? -1 : result;
}

/* Opening the second may have taken a while. */
static int open_both(struct backend *backend, struct client_request *r, struct obox_user **ret_user,
	struct obox_mailbox **from, struct obox_mailbox **to)
{
	if (client_open_folder(backend, r, ret_user, from) < 0 ||
		open_one(r, *ret_user, r->target, true, to, r->target_guid) < 0)
		return -1;
	return check_view(r, *from);
}

static void deliver_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;
	struct obox_save save = { .body = r->body,
		.flags = &r->flag,
		.flag_count = r->flag.len > 0,
		.is_delivery = true };

	if (client_open_folder(backend, r, &user, &mailbox) >= 0 &&
		obox_save(mailbox, &save, &r->saved, &r->err) == 0) {
		r->modseq = obox_mailbox_modseq(mailbox, r->saved.uid);
		client_fts_saved(r, backend, user, r->folder);
		r->err.code = LAB_OK;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

static bool is_attachment_flag(struct lab_view name)
{
	return lab_view_eq(name, LAB_VIEW("$HasAttachment")) ||
	       lab_view_eq(name, LAB_VIEW("$HasNoAttachment"));
}

static uint64_t flags_of(
	struct client_request *r, const struct obox_mailbox *mailbox, const struct obox_mail *mail)
{
	struct lab_view names[HISTORY_FLAGS_MAX];
	size_t count = obox_flags(mailbox, mail->uid, names, LAB_COUNT_OF(names));
	uint64_t flags = 0;

	for (size_t i = 0; i < count; i++) {
		/* Of real mails nobody here knows which they should have. */
		if (r->client->knows_attachments || !is_attachment_flag(names[i]))
			flags |= history_flag(r->client->history, names[i]);
	}
	return flags;
}

static void copy_view(struct client_request *r, struct obox_mailbox *mailbox)
{
	struct client_view *view = r->view;

	view->uidvalidity = obox_mailbox_uidvalidity(mailbox);
	view->uidnext = obox_mailbox_uidnext(mailbox);
	view->highest_modseq = obox_mailbox_highest_modseq(mailbox);
	memcpy(view->guid, r->guid, sizeof(view->guid));
	view->count = obox_mailbox_count(mailbox);
	view->mails = lab_arena_array(r->arena, struct client_mail, view->count);
	for (size_t i = 0; i < view->count; i++) {
		const struct obox_mail *mail = obox_mailbox_mail(mailbox, i);

		view->mails[i].uid = mail->uid;
		view->mails[i].object =
			client_object_of(r->client, mail->name, mail->oid, mail->oid_len);
		view->mails[i].token = known_token(r->user, &view->mails[i].object);
		view->mails[i].modseq = obox_mailbox_modseq(mailbox, mail->uid);
		view->mails[i].flags = flags_of(r, mailbox, mail);
	}
}

static void select_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;
	int result = client_open_folder(backend, r, &user, &mailbox);

	/* A folder that was opened just now has been compared with its listing already. Of a user
	 * who is served by several hosts at a time the others are heard of too late. */
	if (result == 0 && r->user->group->backends_at_once.high > 1)
		result = obox_mailbox_rescan(mailbox, &r->err);
	if (result >= 0 && obox_mailbox_show(mailbox, &r->err) == 0) {
		copy_view(r, mailbox);
		r->err.code = LAB_OK;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

static void take_body(void *ctx, size_t index, struct lab_view body, const struct lab_error *err)
{
	struct client_request *r = ctx;
	struct client_fetched *fetched = &r->fetched[index];

	fetched->err = *err;
	if (err->code != LAB_OK)
		return;
	fetched->token = mail_token(body);
	fetched->body_bytes = body.len;
	fetched->body_hash = lab_hash_view(0, body);
	fetched->body_vsize = mail_virtual_size(body);
}

static void fetch_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;

	if (client_open_folder(backend, r, &user, &mailbox) >= 0) {
		obox_fetch_many(mailbox, r->uids, r->count, take_body, r);
	} else {
		for (size_t i = 0; i < r->count; i++)
			r->fetched[i].err = r->err;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

static void store_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;

	int result = client_open_folder(backend, r, &user, &mailbox);

	if (result >= 0)
		result = obox_store(mailbox, r->uid, r->flag, r->is_set, &r->err);
	if (result >= 0) {
		r->changed = result == 1;
		r->modseq = obox_mailbox_modseq(mailbox, r->uid);
		r->err.code = LAB_OK;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

static void all_failed(struct client_request *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->results[i].uid == 0)
			r->results[i].err = r->err;
	}
}

static void copy_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *from = NULL, *to = NULL;

	if (open_both(backend, r, &user, &from, &to) == 0) {
		uint32_t uidvalidity = obox_mailbox_uidvalidity(to);
		struct fts_mail *moved = r->is_move ? client_fts_before(r, backend, from) : NULL;

		(void)(r->is_move ? obox_move : obox_copy)(
			from, r->uids, r->count, to, r->results, &r->err);
		client_fts_after(r, backend, user, &moved);
		client_fts_saved(r, backend, user, r->target);
		/* Else nobody knows under which one the UIDs were given. */
		if (uidvalidity == obox_mailbox_uidvalidity(to))
			r->target_uidvalidity = uidvalidity;
	}
	all_failed(r);
	obox_mailbox_close(&to);
	obox_mailbox_close(&from);
	backend_user_release(&user);
}

/* ---- the requests ---- */

static enum node_answer call(
	struct client_context *client, struct node *node, node_call_fn fn, struct client_request *r)
{
	r->err.code = LAB_OK;
	r->fts = node == NULL ? NULL : node->fts;
	return node == NULL ? NODE_REFUSED : node_call(node, client->lab, fn, r);
}

/* Of a mail that mail-source.c made. */
static uint64_t attachment_flag(struct client_context *client, struct lab_view mail)
{
	struct lab_view sign = LAB_VIEW("Content-Disposition: attachment");

	if (!client->knows_attachments)
		return 0;
	return history_flag(client->history, lab_view_find(mail, sign) != SIZE_MAX
						     ? LAB_VIEW("$HasAttachment")
						     : LAB_VIEW("$HasNoAttachment"));
}

enum history_outcome client_deliver(struct client_context *client, struct user *user,
	struct node *node, struct lab_view folder, uint64_t token, struct lab_view mail,
	struct lab_view flag)
{
	struct client_request r = { .client = client,
		.user = user,
		.folder = folder,
		.is_delivery = true,
		.body = mail,
		.flag = flag };
	struct history_op op = { .kind = HISTORY_DELIVER,
		.folder = r.folder,
		.token = token,
		.flags = flag.len == 0 ? 0 : history_flag(client->history, flag) };
	enum node_answer answer;
	uint32_t id;

	op.flags |= attachment_flag(client, mail);
	id = client_begin(client, user, node, &op);
	answer = call(client, node, deliver_in_backend, &r);

	op.body_hash = lab_hash_view(0, mail);
	op.body_bytes = mail.len;
	op.words = client->has_searches ? client_words(mail) : 0;
	op.body_vsize = mail_virtual_size(mail);
	user->was_over_quota = answer == NODE_ANSWERED && r.err.code == LAB_OVER_QUOTA;
	op.uid = r.saved.uid;
	op.modseq = r.modseq;
	op.made = client_object_of(client, r.saved.name, r.saved.oid, r.saved.oid_len);
	client_learn_token(user, r.saved.oid, r.saved.oid_len, token);
	return client_end(client, id, &op, answer, &r, &r.err);
}

static void flush_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;

	if (backend_flush(backend, lab_view_cstr(r->user->name), false,
		    "metacache:flush_all_changed", &r->err) == 0 &&
		client_fts_flush(r, &r->err) == 0)
		r->err.code = LAB_OK;
}

enum history_outcome client_flush(
	struct client_context *client, struct user *user, struct node *node)
{
	struct client_request r = { .client = client, .user = user };
	struct history_op op = { .kind = HISTORY_FLUSH };
	uint32_t id = client_begin(client, user, node, &op);
	enum node_answer answer = call(client, node, flush_in_backend, &r);

	return client_end(client, id, &op, answer, &r, &r.err);
}

/* The backend was restarted since: the connection of this session is gone. */
static bool is_connected(const struct client_session *session)
{
	return session->node->is_up && session->node->boots == session->boots &&
	       (session->path == NULL || palomar_is_connected(session->path));
}

struct node *client_session_node(struct client_session *session)
{
	return is_connected(session) ? session->node : NULL;
}

enum node_answer client_session_call(struct client_session *session, node_call_fn fn, void *arg)
{
	struct node *node = client_session_node(session);
	enum node_answer answer;

	if (node == NULL || (session->path != NULL && !palomar_request_begin(session->path)))
		return NODE_REFUSED;
	answer = node_call(node, session->client->lab, fn, arg);
	if (session->path != NULL && !palomar_request_end(session->path) && answer == NODE_ANSWERED)
		return NODE_LOST;
	return answer;
}

static enum node_answer session_call(
	struct client_session *session, node_call_fn fn, struct client_request *r)
{
	r->err.code = LAB_OK;
	r->fts = session->node->fts;
	return client_session_call(session, fn, r);
}

static void sight_all(struct client_session *session, uint32_t id)
{
	struct history_sighting *sightings =
		lab_arena_array(session->arena, struct history_sighting, session->view.count);

	for (size_t i = 0; i < session->view.count; i++) {
		sightings[i].uid = session->view.mails[i].uid;
		sightings[i].object = session->view.mails[i].object;
		sightings[i].modseq = session->view.mails[i].modseq;
		sightings[i].flags = session->view.mails[i].flags;
	}
	history_sight(session->client->history, id, sightings, session->view.count);
}

bool client_select(struct client_session *session, struct lab_view folder)
{
	struct client_view view = { .folder = folder };
	struct client_request r = { .client = session->client,
		.user = session->user,
		.folder = folder,
		.view = &view,
		.arena = session->arena };
	struct history_op op = {
		.kind = HISTORY_SELECT, .folder = folder, .is_converged = session->is_converged
	};
	uint32_t id = client_session_begin(session, &op);
	enum node_answer answer = session_call(session, select_in_backend, &r);
	bool is_selected = answer == NODE_ANSWERED && r.err.code == LAB_OK;

	if (is_selected) {
		session->view = view;
		session->view.op = id;
		op.uidvalidity = view.uidvalidity;
		op.uidnext = view.uidnext;
		op.highest_modseq = view.highest_modseq;
		sight_all(session, id);
	}
	(void)client_end(session->client, id, &op, answer, &r, &r.err);
	return is_selected;
}

static struct history_op op_on_mail(
	struct client_session *session, enum history_kind kind, const struct client_mail *mail)
{
	struct history_op op = { .kind = kind,
		.folder = session->view.folder,
		.token = mail->token,
		.uidvalidity = session->view.uidvalidity,
		.uid = mail->uid,
		.source = mail->object };

	memcpy(op.mailbox_guid, session->view.guid, sizeof(op.mailbox_guid));
	return op;
}

/* One FETCH; for the oracle each mail is an operation of its own. */
struct fetch_batch {
	struct client_fetched *fetched;
	struct history_op *ops;
	uint32_t *ids, *uids;
};

static void new_batch(struct lab_heap *heap, size_t count, struct fetch_batch *ret)
{
	ret->fetched = lab_new_array(heap, struct client_fetched, count);
	ret->ops = lab_new_array(heap, struct history_op, count);
	ret->ids = lab_new_array(heap, uint32_t, count);
	ret->uids = lab_new_array(heap, uint32_t, count);
}

static void free_batch(struct lab_heap *heap, struct fetch_batch *batch)
{
	lab_heap_free(heap, batch->fetched);
	lab_heap_free(heap, batch->ops);
	lab_heap_free(heap, batch->ids);
	lab_heap_free(heap, batch->uids);
}

static void begin_fetch(struct client_session *session, struct fetch_batch *batch,
	const size_t *mails, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		batch->ops[i] = op_on_mail(session, HISTORY_FETCH, &session->view.mails[mails[i]]);
		batch->uids[i] = batch->ops[i].uid;
		batch->ids[i] = client_session_begin(session, &batch->ops[i]);
	}
}

static void end_fetch(struct client_session *session, struct fetch_batch *batch,
	struct client_mail *mail, size_t i, enum node_answer answer, const struct client_request *r)
{
	const struct client_fetched *fetched = &batch->fetched[i];
	struct history_op *op = &batch->ops[i];

	if (answer == NODE_ANSWERED && fetched->err.code == LAB_OK) {
		op->body_hash = fetched->body_hash;
		op->body_bytes = fetched->body_bytes;
		op->body_vsize = fetched->body_vsize;
		op->token = mail->token = fetched->token;
		client_learn_token(
			session->user, mail->object.oid, mail->object.oid_len, fetched->token);
	}
	(void)client_end(session->client, batch->ids[i], op, answer, r, &fetched->err);
}

bool client_fetch(struct client_session *session, const size_t *mails, size_t count)
{
	struct lab_heap *heap = session->client->lab->heap;
	struct client_request r = { .client = session->client,
		.user = session->user,
		.folder = session->view.folder,
		.uidvalidity = session->view.uidvalidity,
		.view_guid = session->view.guid,
		.count = count };
	struct fetch_batch batch;
	enum node_answer answer;

	new_batch(heap, count, &batch);
	r.uids = batch.uids;
	r.fetched = batch.fetched;
	begin_fetch(session, &batch, mails, count);
	answer = session_call(session, fetch_in_backend, &r);
	for (size_t i = 0; i < count; i++)
		end_fetch(session, &batch, &session->view.mails[mails[i]], i, answer, &r);
	free_batch(heap, &batch);
	return answer == NODE_ANSWERED && !r.is_stale;
}

/* What is done to a mail must say to which: so a mail that was never read is read first. */
static bool learn_tokens(struct client_session *session, const size_t *mails, size_t count)
{
	size_t unread[CLIENT_BULK_MAX], n = 0;

	for (size_t i = 0; i < count; i++) {
		if (session->view.mails[mails[i]].token == 0)
			unread[n++] = mails[i];
	}
	return n == 0 || client_fetch(session, unread, n);
}

bool client_store(struct client_session *session, size_t index, struct lab_view flag, bool is_set)
{
	struct client_mail *mail = &session->view.mails[index];
	struct client_request r = { .client = session->client,
		.user = session->user,
		.folder = session->view.folder,
		.uidvalidity = session->view.uidvalidity,
		.view_guid = session->view.guid,
		.uid = mail->uid,
		.flag = flag,
		.is_set = is_set };
	struct history_op op;
	enum node_answer answer;
	uint32_t id;

	if (!learn_tokens(session, &index, 1))
		return false;
	if (mail->token == 0)
		return true;
	op = op_on_mail(session, HISTORY_STORE, mail);
	op.flags = history_flag(session->client->history, flag);
	op.is_set = is_set;
	id = client_session_begin(session, &op);
	answer = session_call(session, store_in_backend, &r);
	op.modseq = r.modseq;
	op.changed = r.changed;
	if (client_end(session->client, id, &op, answer, &r, &r.err) == HISTORY_OK)
		mail->flags = is_set ? mail->flags | op.flags : mail->flags & ~op.flags;
	return answer == NODE_ANSWERED && !r.is_stale;
}

/* Those whose token is known now. */
static size_t keep_known(
	struct client_session *session, const size_t *mails, size_t count, size_t *kept)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (session->view.mails[mails[i]].token != 0)
			kept[n++] = mails[i];
	}
	return n;
}

/* What is written down of each mail of a request. */
struct bulk {
	struct history_op *ops;
	uint32_t *ids;
};

static void begin_bulk(struct client_session *session, enum history_kind kind, const size_t *mails,
	struct client_request *r, struct bulk *bulk)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct client_mail *mail = &session->view.mails[mails[i]];

		bulk->ops[i] = op_on_mail(session, kind, mail);
		bulk->ops[i].target = r->target;
		r->uids[i] = mail->uid;
		bulk->ids[i] = client_session_begin(session, &bulk->ops[i]);
	}
}

static void end_bulk(struct client_session *session, struct client_request *r, struct bulk *bulk,
	enum node_answer answer)
{
	for (size_t i = 0; i < r->count; i++) {
		struct history_op *op = &bulk->ops[i];
		const struct obox_saved *saved = &r->results[i].saved;

		op->target_uid = saved->uid;
		op->target_uidvalidity = r->target_uidvalidity;
		op->made =
			client_object_of(session->client, saved->name, saved->oid, saved->oid_len);
		op->copied = r->results[i].copied;
		op->call = bulk->ids[0];
		(void)client_end(session->client, bulk->ids[i], op, answer, r, &r->results[i].err);
	}
}

/* Mails that are gone from the folder leave the view; `mails` are their places. */
static void drop_from_view(
	struct client_view *view, const size_t *mails, const struct client_request *r)
{
	size_t kept = view->count;

	for (size_t n = 0; n < r->count; n++) {
		if (r->results[n].err.code != LAB_OK)
			continue;
		view->mails[mails[n]].uid = 0;
		kept = LAB_MIN(kept, mails[n]);
	}
	for (size_t i = kept; i < view->count; i++) {
		if (view->mails[i].uid != 0)
			view->mails[kept++] = view->mails[i];
	}
	view->count = kept;
}

static bool bulk_run(struct client_session *session, enum history_kind kind, const size_t *mails,
	size_t count, struct lab_view target)
{
	struct lab_arena *arena;
	struct client_request *r;
	struct bulk bulk;
	size_t known[CLIENT_BULK_MAX];
	enum node_answer answer;
	bool is_stale;

	lab_assert(count <= CLIENT_BULK_MAX);
	if (!learn_tokens(session, mails, count))
		return false;
	arena = lab_arena_new(session->client->lab->heap, BULK_ARENA_MAX);
	r = lab_arena_new_of(arena, struct client_request);
	*r = (struct client_request){ .client = session->client,
		.user = session->user,
		.folder = session->view.folder,
		.uidvalidity = session->view.uidvalidity,
		.view_guid = session->view.guid,
		.target = target,
		.count = keep_known(session, mails, count, known),
		.is_move = kind == HISTORY_MOVE };
	if (r->count == 0) {
		lab_arena_free(&arena);
		return true;
	}
	r->uids = lab_arena_array(arena, uint32_t, r->count);
	r->results = lab_arena_array(arena, struct obox_result, r->count);
	bulk.ops = lab_arena_array(arena, struct history_op, r->count);
	bulk.ids = lab_arena_array(arena, uint32_t, r->count);
	begin_bulk(session, kind, known, r, &bulk);
	answer = session_call(
		session, kind == HISTORY_EXPUNGE ? client_expunge_in_backend : copy_in_backend, r);
	end_bulk(session, r, &bulk, answer);
	if (answer == NODE_ANSWERED && kind != HISTORY_COPY)
		drop_from_view(&session->view, known, r);
	is_stale = r->is_stale;
	lab_arena_free(&arena);
	return answer == NODE_ANSWERED && !is_stale;
}

bool client_copy(struct client_session *session, size_t mail, struct lab_view target)
{
	return bulk_run(session, HISTORY_COPY, &mail, 1, target);
}

bool client_move(
	struct client_session *session, const size_t *mails, size_t count, struct lab_view target)
{
	return bulk_run(session, HISTORY_MOVE, mails, count, target);
}

bool client_expunge(struct client_session *session, const size_t *mails, size_t count)
{
	return bulk_run(session, HISTORY_EXPUNGE, mails, count,
		client_expunge_target(session->client, session->view.folder));
}
