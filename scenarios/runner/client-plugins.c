/* SPDX-License-Identifier: Apache-2.0
 *
 * client-plugins.c - requests that plugins answer: EXPUNGE with lazy_expunge, autoexpunge when a
 * session ends, GETQUOTA.
 */
#include "scenarios/runner/client-private.h"

#include "core/lazy-expunge/lazy-expunge.h"

/* ---- lazy_expunge ---- */

struct lab_view client_expunge_target(const struct client_context *client, struct lab_view folder)
{
	const struct conf_settings *conf = client->conf;

	if (!conf->lazy_expunge || lab_view_eq(folder, conf->lazy_expunge_mailbox.text))
		return LAB_VIEW("");
	return conf->lazy_expunge_mailbox.text;
}

void client_expunge_in_backend(struct backend *backend, void *arg)
{
	struct client_request *r = arg;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;
	char target[2 * ENV_GUID128_SIZE + 1];
	struct fts_mail *expunged;

	if (client_open_folder(backend, r, &user, &mailbox) >= 0) {
		expunged = client_fts_before(r, backend, mailbox);
		(void)lazy_expunge(user, mailbox, r->uids, r->count, r->results, target, &r->err);
		client_fts_after(r, backend, user, &expunged);
		if (target[0] != '\0')
			client_fts_saved(r, backend, user, r->target);
		(void)lab_unhex(lab_view_cstr(target), r->target_guid, HISTORY_NAME_BYTES);
		/* No COPYUID tells the client. */
		for (size_t i = 0; i < r->count; i++)
			r->results[i].saved.uid = 0;
	}
	for (size_t i = 0; i < r->count; i++) {
		if (r->results[i].uid == 0)
			r->results[i].err = r->err;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

/* ---- autoexpunge ---- */

#define GONE_MAX 4000

struct autoexpunge {
	struct client_request r;
	struct history_sighting *gone;
	size_t count;
};

static void take_gone(void *ctx, const struct obox_mail *mail, const struct obox_result *result)
{
	struct autoexpunge *a = ctx;
	struct history_sighting *gone;

	if ((result->err.code != LAB_OK && result->err.code != LAB_UNCERTAIN) ||
		a->count == GONE_MAX)
		return;
	gone = &a->gone[a->count++];
	*gone = (struct history_sighting){ .uid = mail->uid };
	gone->object = client_object_of(a->r.client, mail->name, mail->oid, mail->oid_len);
	gone->is_uncertain = result->err.code == LAB_UNCERTAIN;
}

static void autoexpunge_in_backend(struct backend *backend, void *arg)
{
	struct autoexpunge *a = arg;
	struct client_request *r = &a->r;
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;

	if (backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err) == 0 &&
		lazy_expunge_auto(user, r->folder, take_gone, a, &r->err) == 0)
		r->err.code = LAB_OK;
	if (user != NULL && obox_mailbox_select(user, r->folder, &mailbox, NULL) >= 0)
		(void)lab_unhex(
			lab_view_cstr(obox_mailbox_guid(mailbox)), r->guid, HISTORY_NAME_BYTES);
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
}

static void autoexpunge(struct client_session *session, struct lab_view folder)
{
	struct autoexpunge a = {
		.r = { .client = session->client, .user = session->user, .folder = folder },
		.gone = lab_arena_array(session->arena, struct history_sighting, GONE_MAX)
	};
	struct history_op op = { .kind = HISTORY_AUTOEXPUNGE, .folder = folder };
	uint32_t id = client_session_begin(session, &op);
	enum node_answer answer = client_session_call(session, autoexpunge_in_backend, &a);

	if (answer == NODE_ANSWERED)
		history_sight(session->client->history, id, a.gone, a.count);
	op.has_told_all = answer == NODE_ANSWERED && a.count < GONE_MAX;
	(void)client_end(session->client, id, &op, answer, &a.r, &a.r.err);
}

void client_logout(struct client_session *session)
{
	const struct conf_settings *conf = session->client->conf;

	for (size_t i = 0; i < conf->mailbox_count; i++) {
		if (conf->mailboxes[i].autoexpunge_ns > 0 && client_session_node(session) != NULL)
			autoexpunge(session, conf->mailboxes[i].name);
	}
}

/* ---- quota ---- */

struct quota_request {
	struct client_request r;
	struct obox_usage usage;
};

static void quota_in_backend(struct backend *backend, void *arg)
{
	struct quota_request *q = arg;
	struct obox_user *user = NULL;

	if (backend_user_open(backend, lab_view_cstr(q->r.user->name), &user, &q->r.err) == 0 &&
		obox_quota_usage(user, &q->usage, &q->r.err) == 0)
		q->r.err.code = LAB_OK;
	backend_user_release(&user);
}

bool client_has_quota(const struct client_context *client)
{
	return client->conf->quota.text.len > 0;
}

bool client_quota(struct client_session *session)
{
	struct quota_request q = { .r = { .client = session->client, .user = session->user } };
	struct history_op op = { .kind = HISTORY_QUOTA, .is_converged = session->is_converged };
	uint32_t id = client_session_begin(session, &op);
	enum node_answer answer = client_session_call(session, quota_in_backend, &q);

	op.body_vsize = q.usage.bytes;
	op.messages = q.usage.messages;
	(void)client_end(session->client, id, &op, answer, &q.r, &q.r.err);
	return answer == NODE_ANSWERED;
}
