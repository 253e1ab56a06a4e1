/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h - one request of a client: written down, sent to a backend, and written down again with
 * what came of it.
 */
#ifndef SCENARIOS_CLIENT_H
#define SCENARIOS_CLIENT_H

#include "core/obox/obox.h"
#include "scenarios/runner/node.h"
#include "scenarios/format/scenario.h"
#include "sim/oracle/history.h"

struct palomar_session;

struct client_context {
	struct env *lab;
	struct history *history;
	uint64_t (*event_sequence)(void *ctx);
	void *event_ctx;
	bool names_are_ids;    /* mails are stored under their paths */
	bool names_may_be_ids; /* those without an object id are */
	bool has_searches;     /* words of mails are written down */
	const struct conf_settings *conf;
	bool knows_attachments; /* the mails are ours, and the backends look for attachments */
	uint32_t sessions;      /* that have asked for anything */
	uint32_t last;          /* operation of the history that ended last */
};

#define CLIENT_SHARED 8
#define CLIENT_PRIVATES 64

/* A mail of somebody's INBOX, of which others have flags of their own. */
struct client_shared {
	const struct user *owner;
	uint8_t folder[HISTORY_NAME_BYTES], name[HISTORY_NAME_BYTES];
};

struct user {
	uint32_t number; /* from 1 */
	char name[64];
	const struct scenario_group *group;
	size_t folders; /* besides INBOX */
	uint32_t tokens_given;
	bool was_over_quota;       /* the last delivery */
	bool is_locked;            /* in the user database, while an operator deletes it */
	uint64_t delivery_ordinal; /* of the draws of this user's deliveries */
	struct lab_map *tokens;    /* object id -> token, as a pointer-sized number */
	/* The last mails of its INBOX that a session saw; those of others that it has flags of. */
	struct client_shared shared[CLIENT_SHARED], privates[CLIENT_PRIVATES];
	size_t shared_count, private_count;
};

/* A mail of a selected folder, as the client knows it. */
struct client_mail {
	uint32_t uid;
	uint64_t token; /* 0: not known yet */
	uint64_t modseq, flags;
	struct history_object object;
};
struct client_view {
	struct lab_view folder;
	uint32_t uidvalidity, uidnext;
	uint64_t highest_modseq;
	uint8_t guid[HISTORY_NAME_BYTES];
	struct client_mail *mails;
	size_t count;
	uint32_t op; /* of the SELECT that showed it */
};

struct client_session {
	struct client_context *client;
	struct user *user;
	struct node *node;
	uint32_t boots;               /* of the node, when the session began */
	uint32_t number;              /* in the history; 0: it has asked for nothing */
	struct palomar_session *path; /* by way of proxies; NULL: straight to the node */
	struct lab_arena *arena;
	struct client_view view;
	bool is_converged; /* its SELECTs must show what those of all backends do */
};

/* Whoever sees that object knows which mail it is. */
void client_learn_token(struct user *user, const uint8_t *oid, size_t len, uint64_t token);

/* "INBOX" for 0, "Folder1", ... */
struct lab_view client_folder_name(size_t index, struct lab_arena *arena);

/* The flags and keywords that clients use, by number. */
#define CLIENT_FLAGS 10
struct lab_view client_flag_name(size_t index);

/* node NULL: nothing to connect to. `flag` is what a Sieve script adds; empty: nothing. */
enum history_outcome client_deliver(struct client_context *client, struct user *user,
	struct node *node, struct lab_view folder, uint64_t token, struct lab_view mail,
	struct lab_view flag);

/* metacache flush: what was changed there is uploaded. */
enum history_outcome client_flush(
	struct client_context *client, struct user *user, struct node *node);

/* These return false when the connection is gone: the session is over. Mails are given by their
 * position in the view. */
bool client_select(struct client_session *session, struct lab_view folder);
/* Bodies, in one FETCH. */
bool client_fetch(struct client_session *session, const size_t *mails, size_t count);
/* STORE +FLAGS or -FLAGS. */
bool client_store(struct client_session *session, size_t mail, struct lab_view flag, bool is_set);
bool client_copy(struct client_session *session, size_t mail, struct lab_view target);
bool client_move(
	struct client_session *session, const size_t *mails, size_t count, struct lab_view target);
bool client_expunge(struct client_session *session, const size_t *mails, size_t count);

/* ---- full text search (client-fts.c) ---- */

/* SEARCH TEXT, in the folder that is selected, for one of them, or for a mail's token. */
bool client_search(struct client_session *session, size_t word, uint64_t token);
/* doveadm fts check full; is_last: everything was searched before. */
bool client_fts_check(struct client_session *session, bool is_last);

/* ---- plugins (client-plugins.c) ---- */

/* Autoexpunge of the folders that have it, as when a mail process ends. */
void client_logout(struct client_session *session);
bool client_has_quota(const struct client_context *client);
/* GETQUOTA. */
bool client_quota(struct client_session *session);

/* ---- shared and virtual folders (client-shared.c) ---- */

/* What others may see of the INBOX that is selected. */
void client_share(struct client_session *session);
/* Sets or clears the session's user's own \Seen of a mail; or looks whether it is set. */
bool client_private_store(
	struct client_session *session, const struct client_shared *mail, bool is_seen);
bool client_private_fetch(struct client_session *session, const struct client_shared *mail);
/* Opens "virtual/unseen": what is not seen, of all folders. */
bool client_virtual(struct client_session *session);

/* ---- folders (client-folders.c) ---- */

/* Names that the sessions of a user ask for, INBOX first; those of users whose folders come and go
 * have folders in them: "Folder1", "Folder1/Sub1", "Folder1/Sub2", "Folder2", ... */
#define CLIENT_SUBFOLDERS 2
size_t client_name_count(const struct user *user);
struct lab_view client_name(const struct user *user, size_t index, struct lab_arena *arena);

#define CLIENT_LIST_MAX 1000
/* LIST: the names of all folders, in the arena. */
bool client_list(
	struct client_session *session, struct lab_view names[CLIENT_LIST_MAX], size_t *ret_count);
/* These return false when the connection is gone. */
bool client_create(
	struct client_session *session, struct lab_view name, struct lab_view special_use);
bool client_rename(struct client_session *session, struct lab_view from, struct lab_view to);
bool client_delete(struct client_session *session, struct lab_view name);
bool client_subscribe(struct client_session *session, struct lab_view name, bool is_set);
bool client_status(struct client_session *session, struct lab_view name);
/* obox user delete. */
enum history_outcome client_user_delete(
	struct client_context *client, struct user *user, struct node *node);

#endif
