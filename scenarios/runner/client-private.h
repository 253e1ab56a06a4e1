/* SPDX-License-Identifier: Apache-2.0
 *
 * client-private.h - what the requests on mails (client.c) and on folders (client-folders.c) share.
 */
#ifndef SCENARIOS_CLIENT_PRIVATE_H
#define SCENARIOS_CLIENT_PRIVATE_H

#include "core/obox/obox.h"
#include "scenarios/runner/client.h"

/* One request inside the backend. Everything in here is the client's memory. */
struct client_request {
	struct client_context *client;
	struct user *user;
	struct lab_view folder, target;
	uint8_t guid[HISTORY_NAME_BYTES], target_guid[HISTORY_NAME_BYTES];
	/* Of the view that the request's UIDs are from; 0: it has none. */
	uint32_t uidvalidity;
	const uint8_t *view_guid;
	bool is_stale; /* and that is no longer the folder's: the session is over */
	bool is_delivery;
	struct fts *fts; /* of the backend; NULL: it has none */
	struct lab_error err;
	/* deliver */
	struct lab_view body;
	struct obox_saved saved;
	/* select */
	struct client_view *view;
	struct lab_arena *arena;
	/* store */
	uint32_t uid;
	/* fetch: one for each mail */
	struct client_fetched *fetched;
	/* store; deliver: what Sieve adds */
	struct lab_view flag;
	bool is_set, changed;
	uint64_t modseq;
	/* copy, move, expunge: one for each mail */
	uint32_t *uids;
	struct obox_result *results;
	size_t count;
	bool is_move;
	uint32_t target_uidvalidity;
};

struct client_fetched {
	uint64_t token, body_hash, body_bytes, body_vsize;
	struct lab_error err;
};

/* Writes the operation down, and what came of it. */
uint32_t client_begin(
	struct client_context *client, struct user *user, struct node *node, struct history_op *op);
/* The same for a request of a session. */
uint32_t client_session_begin(struct client_session *session, struct history_op *op);
enum history_outcome client_end(struct client_context *client, uint32_t id, struct history_op *op,
	enum node_answer answer, const struct client_request *r, const struct lab_error *err);
/* Where mails are stored under their paths, their names say which objects they are. */
struct history_object client_object_of(const struct client_context *client,
	const uint8_t name[ENV_GUID128_SIZE], const uint8_t *oid, uint8_t oid_len);
/* The backend of a session, or NULL: the connection is gone. */
struct node *client_session_node(struct client_session *session);
/* A request of the session in its backend. */
enum node_answer client_session_call(struct client_session *session, node_call_fn fn, void *arg);
/* In the backend: the request's folder. What was opened is the caller's even if this fails. */
int client_open_folder(struct backend *backend, struct client_request *r,
	struct obox_user **ret_user, struct obox_mailbox **ret);

/* ---- client-fts.c: in the backend; without full text search they do nothing ---- */

struct fts_mail;
void client_fts_saved(const struct client_request *r, struct backend *backend,
	struct obox_user *user, struct lab_view folder);
/* The mails of r->uids, before they are expunged; then those that were, are told. */
struct fts_mail *client_fts_before(const struct client_request *r, struct backend *backend,
	const struct obox_mailbox *mailbox);
void client_fts_after(const struct client_request *r, struct backend *backend,
	struct obox_user *user, struct fts_mail **mails);
int client_fts_flush(const struct client_request *r, struct lab_error *err);
int client_fts_user_delete(
	const struct client_request *r, struct obox_user *user, struct lab_error *err);

/* ---- client-plugins.c ---- */

/* Where an expunge in the folder moves mails to, as far as a client can tell; empty: nowhere. */
struct lab_view client_expunge_target(const struct client_context *client, struct lab_view folder);
void client_expunge_in_backend(struct backend *backend, void *arg);

#endif
