/* SPDX-License-Identifier: Apache-2.0
 *
 * client-fts.c - SEARCH, the operator's check of the index, and what mail operations tell it.
 */
#include "core/fts/fts.h"
#include "scenarios/format/client-words.h"
#include "scenarios/runner/client-private.h"

#include <stdio.h>

/* ---- what mail operations tell it ---- */

void client_fts_saved(const struct client_request *r, struct backend *backend,
	struct obox_user *user, struct lab_view folder)
{
	(void)backend;
	if (r->fts != NULL && fts_does_autoindex(r->fts, user, folder))
		fts_autoindex(r->fts, user, folder);
}

struct fts_mail *client_fts_before(
	const struct client_request *r, struct backend *backend, const struct obox_mailbox *mailbox)
{
	struct fts_mail *mails;

	if (r->fts == NULL)
		return NULL;
	mails = lab_new_array(backend_env(backend)->heap, struct fts_mail, r->count);
	for (size_t i = 0; i < r->count; i++) {
		const struct obox_mail *mail = obox_mailbox_find(mailbox, r->uids[i]);

		if (mail == NULL)
			continue;
		mails[i].uid = mail->uid;
		memcpy(mails[i].name, mail->name, sizeof(mails[i].name));
		(void)lab_unhex(lab_view_cstr(obox_mailbox_guid(mailbox)), mails[i].mailbox,
			sizeof(mails[i].mailbox));
	}
	return mails;
}

void client_fts_after(const struct client_request *r, struct backend *backend,
	struct obox_user *user, struct fts_mail **mails)
{
	for (size_t i = 0; *mails != NULL && i < r->count; i++) {
		if (r->results[i].err.code == LAB_OK && (*mails)[i].uid != 0)
			fts_expunged(r->fts, user, &(*mails)[i]);
	}
	lab_heap_free(backend_env(backend)->heap, *mails);
	*mails = NULL;
}

/* ---- SEARCH ---- */

struct search {
	struct client_request r;
	char text[40];
	struct history_sighting *found; /* in the session's arena */
	size_t count;
};

static void take_found(
	struct search *s, const struct obox_mailbox *mailbox, const uint32_t *uids, size_t count)
{
	s->found = lab_arena_array(s->r.arena, struct history_sighting, count);
	for (size_t i = 0; i < count; i++) {
		const struct obox_mail *mail = obox_mailbox_find(mailbox, uids[i]);
		struct history_sighting *found = &s->found[s->count];

		if (mail == NULL)
			continue;
		found->uid = uids[i];
		found->object.has_name = true;
		memcpy(found->object.name, mail->name, sizeof(found->object.name));
		s->count++;
	}
}

#define RESULT_ARENA_MAX (64u << 20)

static void search_in_backend(struct backend *backend, void *arg)
{
	struct search *s = arg;
	struct client_request *r = &s->r;
	struct lab_arena *arena = lab_arena_new(backend_env(backend)->heap, RESULT_ARENA_MAX);
	struct obox_user *user = NULL;
	struct obox_mailbox *mailbox = NULL;
	uint32_t *uids;
	size_t count;

	if (r->fts == NULL) {
		lab_fail(&r->err, LAB_UNSUPPORTED, "there is no full text search");
	} else if (client_open_folder(backend, r, &user, &mailbox) >= 0 &&
		   fts_search(r->fts, user, mailbox, FTS_TEXT, lab_view_cstr(s->text), arena, &uids,
			   &count, &r->err) == 0) {
		take_found(s, mailbox, uids, count);
		r->err.code = LAB_OK;
	}
	obox_mailbox_close(&mailbox);
	backend_user_release(&user);
	lab_arena_free(&arena);
}

bool client_search(struct client_session *session, size_t word, uint64_t token)
{
	struct search s = { .r = { .client = session->client,
				    .user = session->user,
				    .folder = session->view.folder,
				    .uidvalidity = session->view.uidvalidity,
				    .view_guid = session->view.guid,
				    .arena = session->arena } };
	struct history_op op = { .kind = HISTORY_SEARCH,
		.folder = session->view.folder,
		.uidvalidity = session->view.uidvalidity,
		.token = token,
		.words = token != 0 ? 0 : UINT64_C(1) << word,
		.view = session->view.op };
	enum node_answer answer;
	uint32_t id;

	memcpy(op.mailbox_guid, session->view.guid, sizeof(op.mailbox_guid));
	if (token != 0)
		snprintf(s.text, sizeof(s.text), "%016" PRIx64, token);
	else
		snprintf(s.text, sizeof(s.text), "%.*s", LAB_VIEW_ARG(client_word(word)));
	id = client_session_begin(session, &op);
	s.r.fts = session->node->fts;
	answer = client_session_call(session, search_in_backend, &s);
	if (answer == NODE_ANSWERED && s.r.err.code == LAB_OK)
		history_sight(session->client->history, id, s.found, s.count);
	(void)client_end(session->client, id, &op, answer, &s.r, &s.r.err);
	return answer == NODE_ANSWERED && !s.r.is_stale;
}

/* ---- flush, check, user delete ---- */

int client_fts_flush(const struct client_request *r, struct lab_error *err)
{
	return r->fts == NULL ? 0 : fts_flush(r->fts, lab_view_cstr(r->user->name), err);
}

int client_fts_user_delete(
	const struct client_request *r, struct obox_user *user, struct lab_error *err)
{
	return r->fts == NULL ? 0 : fts_user_delete(r->fts, user, err);
}

struct check {
	struct client_request r;
	struct fts_check counts;
};

static void check_in_backend(struct backend *backend, void *arg)
{
	struct check *check = arg;
	struct client_request *r = &check->r;
	struct obox_user *user = NULL;

	if (r->fts == NULL)
		lab_fail(&r->err, LAB_UNSUPPORTED, "there is no full text search");
	else if (backend_user_open(backend, lab_view_cstr(r->user->name), &user, &r->err) == 0 &&
		 fts_check_full(r->fts, user, &check->counts, &r->err) == 0)
		r->err.code = LAB_OK;
	backend_user_release(&user);
}

_Static_assert((int)FTS_STATE_COUNT == (int)HISTORY_FTS_STATE_COUNT, "states of fts check");

bool client_fts_check(struct client_session *session, bool is_last)
{
	struct check check = { .r = { .client = session->client, .user = session->user } };
	struct history_op op = { .kind = HISTORY_FTS_CHECK, .is_converged = is_last };
	uint32_t id = client_session_begin(session, &op);
	enum node_answer answer;

	check.r.fts = session->node->fts;
	answer = client_session_call(session, check_in_backend, &check);
	for (unsigned i = 0; i < FTS_STATE_COUNT; i++)
		op.fts_check[i] = (uint32_t)LAB_MIN(check.counts.counts[i], (uint64_t)UINT32_MAX);
	return client_end(session->client, id, &op, answer, &check.r, &check.r.err) == HISTORY_OK;
}
