/* SPDX-License-Identifier: Apache-2.0
 *
 * script-clients.c - users, deliveries and sessions of scripts: the requests are those of client.h.
 */
#include "scenarios/runner/script-private.h"

#include "scenarios/runner/client-private.h"
#include "scenarios/format/mail-source.h"

#define USER_TYPE "user"
#define SESSION_TYPE "session"
#define SESSION_ARENA_MAX ((size_t)1 << 30)
#define NAME_MAX_BYTES 1024

struct script_session {
	struct client_session session;
	struct script *script;
	bool is_closed;
};

/* ---- users ---- */

struct user *script_user(lua_State *L, int index)
{
	return *(struct user **)luaL_checkudata(L, index, USER_TYPE);
}

static struct client_context *client_of(lua_State *L)
{
	return workload_client(scripts_of(L)->settings.workload);
}

/* user(n): the n-th of the run. */
static int lib_user(lua_State *L)
{
	struct workload *workload = scripts_of(L)->settings.workload;
	lua_Integer n = luaL_checkinteger(L, 1);

	if (n < 1 || (lua_Unsigned)n > workload_users(workload))
		return luaL_error(L, "there is no user %I", (LUAI_UACINT)n);
	*(struct user **)script_new_object(L, USER_TYPE, sizeof(struct user *)) =
		workload_user(workload, (size_t)n - 1);
	return 1;
}

static int user_name(lua_State *L)
{
	lua_pushstring(L, script_user(L, 1)->name);
	return 1;
}

/* The option `on`: a backend. It must be said. */
static struct node *read_on(lua_State *L, int index)
{
	struct node *node = script_option_backend(L, index, "on");

	if (node == NULL)
		luaL_error(L, "on which backend? {on = backend(1)}");
	return node;
}

/* The last operation of the history, or of the call that it belongs to: the worst of them. */
static int push_last(lua_State *L)
{
	const struct history *history = scripts_of(L)->settings.history;
	uint32_t id = client_of(L)->last;
	const struct history_op *op = id == 0 ? NULL : history_op(history, id - 1), *worst = op;

	if (op == NULL)
		return script_push_outcome(L, HISTORY_FAIL, "nothing was asked for");
	while (--id > 0 && op->call != 0 && history_op(history, id - 1)->call == op->call) {
		const struct history_op *other = history_op(history, id - 1);

		if (worst->outcome == HISTORY_OK || other->outcome == HISTORY_UNCERTAIN)
			worst = other;
	}
	return script_push_outcome(L, worst->outcome, worst->message);
}

/* user:deliver{on=, folder=, token=}: one attempt of an MTA. The outcome, what was said, and the
 * mail's token: with it the same mail is delivered again. */
static int user_deliver(lua_State *L)
{
	static const char *const names[] = { "on", "folder", "token" };
	struct scripts *scripts = scripts_of(L);
	struct user *user = script_user(L, 1);
	struct lab_arena *arena;
	const char *folder;
	struct node *node;
	uint64_t token;

	script_options(L, 2, names, LAB_COUNT_OF(names));
	node = read_on(L, 2);
	folder = script_option_text(L, 2, "folder", "INBOX");
	token = script_option_integer(L, 2, "token", 1, INT64_MAX, 0);
	if (token == 0)
		token = workload_next_token(user);
	arena = lab_arena_new(scripts->lab->heap, 2 * (size_t)MAIL_BYTES_MAX);
	(void)client_deliver(client_of(L), user, node, lab_view_cstr(folder), token,
		workload_mail(scripts->settings.workload, user, token, arena), LAB_VIEW(""));
	lab_arena_free(&arena);
	(void)push_last(L);
	lua_pushinteger(L, (lua_Integer)token);
	return 3;
}

static int user_flush(lua_State *L)
{
	static const char *const names[] = { "on" };
	struct user *user = script_user(L, 1);

	script_options(L, 2, names, LAB_COUNT_OF(names));
	(void)client_flush(client_of(L), user, read_on(L, 2));
	return push_last(L);
}

/* user:delete{on=}: locked out meanwhile, as obox 4.11 wants it. */
static int user_delete(lua_State *L)
{
	static const char *const names[] = { "on" };
	struct user *user = script_user(L, 1);
	struct node *node;

	script_options(L, 2, names, LAB_COUNT_OF(names));
	node = read_on(L, 2);
	user->is_locked = true;
	(void)client_user_delete(client_of(L), user, node);
	user->is_locked = false;
	return push_last(L);
}

static int user_session(lua_State *L)
{
	static const char *const names[] = { "on" };
	struct user *user = script_user(L, 1);
	struct script_session *s;
	struct node *node;

	script_options(L, 2, names, LAB_COUNT_OF(names));
	node = read_on(L, 2);
	s = script_new_object(L, SESSION_TYPE, sizeof(*s));
	s->script = script_of(L);
	s->session = (struct client_session){ .client = client_of(L),
		.user = user,
		.node = node,
		.boots = node->boots,
		.arena = lab_arena_new(scripts_of(L)->lab->heap, SESSION_ARENA_MAX) };
	return 1;
}

/* ---- sessions ---- */

static struct client_session *session_at(lua_State *L)
{
	struct script_session *s = luaL_checkudata(L, 1, SESSION_TYPE);

	if (s->is_closed)
		luaL_error(L, "the session is closed");
	return &s->session;
}

static struct client_session *selected_at(lua_State *L)
{
	struct client_session *session = session_at(L);

	if (session->view.op == 0)
		luaL_error(L, "no folder is selected");
	return session;
}

/* A folder's name, for as long as the session lives. */
static struct lab_view name_at(lua_State *L, const struct client_session *session, int index)
{
	struct lab_view name = sandbox_text(L, index);

	luaL_argcheck(L, name.len > 0 && name.len <= NAME_MAX_BYTES, index, "no name of a folder");
	return lab_arena_copy(session->arena, name);
}

static size_t position_of(lua_State *L, const struct client_session *session, int index)
{
	lua_Integer uid = luaL_checkinteger(L, index);

	for (size_t i = 0; i < session->view.count; i++) {
		if ((lua_Integer)session->view.mails[i].uid == uid)
			return i;
	}
	return (size_t)luaL_error(L, "there is no UID %I in the selected folder", (LUAI_UACINT)uid);
}

/* A UID or an array of them. */
static size_t positions_at(lua_State *L, const struct client_session *session, int index,
	size_t positions[CLIENT_BULK_MAX])
{
	size_t count;

	if (lua_type(L, index) != LUA_TTABLE) {
		positions[0] = position_of(L, session, index);
		return 1;
	}
	count = (size_t)luaL_len(L, index);
	luaL_argcheck(L, count > 0 && count <= CLIENT_BULK_MAX, index, "too few or too many UIDs");
	for (size_t i = 0; i < count; i++) {
		(void)lua_geti(L, index, (lua_Integer)i + 1);
		positions[i] = position_of(L, session, -1);
		lua_pop(L, 1);
	}
	return count;
}

static int session_select(lua_State *L)
{
	struct client_session *session = session_at(L);

	(void)client_select(session, name_at(L, session, 2));
	return push_last(L);
}

/* session:mails(): an array of {uid, token} of the selected folder; a token of 0: not known yet. */
static int session_mails(lua_State *L)
{
	const struct client_session *session = selected_at(L);

	lua_createtable(L, (int)session->view.count, 0);
	for (size_t i = 0; i < session->view.count; i++) {
		const struct client_mail *mail = &session->view.mails[i];

		lua_createtable(L, 0, 2);
		lua_pushinteger(L, (lua_Integer)mail->uid);
		lua_setfield(L, -2, "uid");
		lua_pushinteger(L, (lua_Integer)mail->token);
		lua_setfield(L, -2, "token");
		lua_seti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* session:uid(token): of the selected folder; nil if it is not there. */
static int session_uid(lua_State *L)
{
	const struct client_session *session = selected_at(L);
	lua_Integer token = luaL_checkinteger(L, 2);

	for (size_t i = 0; i < session->view.count; i++) {
		if ((lua_Integer)session->view.mails[i].token != token)
			continue;
		lua_pushinteger(L, (lua_Integer)session->view.mails[i].uid);
		return 1;
	}
	lua_pushnil(L);
	return 1;
}

static int session_fetch(lua_State *L)
{
	struct client_session *session = selected_at(L);
	size_t mails[CLIENT_BULK_MAX], count = positions_at(L, session, 2, mails);

	(void)client_fetch(session, mails, count);
	return push_last(L);
}

/* session:search(token): in the selected folder, for the word that each mail has of its own. */
static int session_search(lua_State *L)
{
	struct client_session *session = selected_at(L);
	lua_Integer token = luaL_checkinteger(L, 2);

	luaL_argcheck(L, token > 0, 2, "no token of a mail");
	(void)client_search(session, 0, (uint64_t)token);
	return push_last(L);
}

static int session_store(lua_State *L)
{
	struct client_session *session = selected_at(L);
	size_t mail = position_of(L, session, 2);
	struct lab_view flag = sandbox_text(L, 3);

	(void)client_store(session, mail, lab_arena_copy(session->arena, flag),
		lua_isnoneornil(L, 4) || lua_toboolean(L, 4));
	return push_last(L);
}

static int session_copy(lua_State *L)
{
	struct client_session *session = selected_at(L);
	size_t mail = position_of(L, session, 2);

	(void)client_copy(session, mail, name_at(L, session, 3));
	return push_last(L);
}

static int session_move(lua_State *L)
{
	struct client_session *session = selected_at(L);
	size_t mails[CLIENT_BULK_MAX], count = positions_at(L, session, 2, mails);

	(void)client_move(session, mails, count, name_at(L, session, 3));
	return push_last(L);
}

static int session_expunge(lua_State *L)
{
	struct client_session *session = selected_at(L);
	size_t mails[CLIENT_BULK_MAX], count = positions_at(L, session, 2, mails);

	(void)client_expunge(session, mails, count);
	return push_last(L);
}

/* ---- folders ---- */

/* session:list(): an array of names, or nil and what was said. */
static int session_list(lua_State *L)
{
	struct client_session *session = session_at(L);
	struct lab_view *names = lab_arena_array(session->arena, struct lab_view, CLIENT_LIST_MAX);
	size_t count;

	if (!client_list(session, names, &count)) {
		lua_pushnil(L);
		(void)push_last(L);
		lua_remove(L, -2);
		return 2;
	}
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_pushlstring(L, (const char *)names[i].ptr, names[i].len);
		lua_seti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

static int session_create(lua_State *L)
{
	struct client_session *session = session_at(L);
	struct lab_view use = lua_isnoneornil(L, 3) ? LAB_VIEW("") : sandbox_text(L, 3);

	(void)client_create(session, name_at(L, session, 2), lab_arena_copy(session->arena, use));
	return push_last(L);
}

static int session_rename(lua_State *L)
{
	struct client_session *session = session_at(L);

	(void)client_rename(session, name_at(L, session, 2), name_at(L, session, 3));
	return push_last(L);
}

static int session_delete(lua_State *L)
{
	struct client_session *session = session_at(L);

	(void)client_delete(session, name_at(L, session, 2));
	return push_last(L);
}

static int session_subscribe(lua_State *L)
{
	struct client_session *session = session_at(L);

	(void)client_subscribe(
		session, name_at(L, session, 2), lua_isnoneornil(L, 3) || lua_toboolean(L, 3));
	return push_last(L);
}

static int session_status(lua_State *L)
{
	struct client_session *session = session_at(L);

	(void)client_status(session, name_at(L, session, 2));
	return push_last(L);
}

/* ---- the connection ---- */

static int session_is_open(lua_State *L)
{
	struct script_session *s = luaL_checkudata(L, 1, SESSION_TYPE);

	lua_pushboolean(L, !s->is_closed && client_session_node(&s->session) != NULL);
	return 1;
}

static int session_close(lua_State *L)
{
	struct script_session *s = luaL_checkudata(L, 1, SESSION_TYPE);

	if (s->is_closed)
		return 0;
	client_logout(&s->session);
	s->is_closed = true;
	lab_arena_free(&s->session.arena);
	return 0;
}

void script_open_clients(lua_State *L)
{
	static const luaL_Reg user[] = { { "name", user_name }, { "deliver", user_deliver },
		{ "flush", user_flush }, { "delete", user_delete }, { "session", user_session },
		{ "__tostring", user_name }, { NULL, NULL } };
	static const luaL_Reg session[] = { { "select", session_select },
		{ "mails", session_mails }, { "uid", session_uid }, { "fetch", session_fetch },
		{ "search", session_search }, { "store", session_store }, { "copy", session_copy },
		{ "move", session_move }, { "expunge", session_expunge }, { "list", session_list },
		{ "create", session_create }, { "rename", session_rename },
		{ "delete", session_delete }, { "subscribe", session_subscribe },
		{ "status", session_status }, { "is_open", session_is_open },
		{ "close", session_close }, { NULL, NULL } };

	script_class(L, USER_TYPE, user);
	script_class(L, SESSION_TYPE, session);
	lua_register(L, "user", lib_user);
}
