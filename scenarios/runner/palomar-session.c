/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar-session.c - sessions as backends have them: opened, kicked, lost.
 */
#include "scenarios/runner/palomar-private.h"

#define KICK_TIME (5 * LAB_MSEC)
#define KICK_ARENA_MAX 4096

struct palomar_session *palomar_session_new(struct palomar *palomar, enum cluster_protocol protocol)
{
	struct palomar_session *session =
		lab_new(palomar->settings.lab->heap, struct palomar_session);

	session->palomar = palomar;
	session->protocol = protocol;
	return session;
}

static void tell(const struct palomar_session *session, enum lab_event_id event, const char *reason)
{
	ENV_EVENT(session->palomar->settings.lab, event, LAB_F_CSTR("user", session->user),
		LAB_F_CSTR("backend", session->backend->name),
		LAB_F_CSTR("site", session->backend->zone),
		LAB_F_CSTR("protocol", cluster_protocol_name(session->protocol)),
		LAB_F_CSTR("reason", reason));
}

void palomar_session_open(
	struct palomar_session *session, struct palomar_host *backend, struct lab_view user)
{
	lab_assert(!session->is_open && user.len <= CLUSTER_USERNAME_MAX);
	memcpy(session->user, user.ptr, user.len);
	session->user[user.len] = '\0';
	session->backend = backend;
	session->backend_boots = backend->boots;
	session->is_open = true;
	session->previous = NULL;
	session->next = backend->sessions;
	if (session->next != NULL)
		session->next->previous = session;
	backend->sessions = session;
	tell(session, LAB_EV_cluster_session_started, "");
}

static void tell_client(struct palomar_session *session)
{
	env_cond_broadcast(session->palomar->settings.lab, &session->cut);
}

void palomar_session_close(struct palomar_session *session, const char *reason)
{
	struct palomar_host *backend = session->backend;

	if (!session->is_open)
		return;
	session->is_open = false;
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		backend->sessions = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
	tell(session, LAB_EV_cluster_session_ended, reason);
	tell_client(session);
	if (palomar_host_is_ready(backend) && backend->boots == session->backend_boots)
		cluster_session_end(backend->cluster, lab_view_cstr(session->user));
}

bool palomar_session_is_heard(const struct palomar_session *session)
{
	return session->proxy_count == 0 ||
	       palomar_hears(session->palomar,
		       session->proxies[session->proxy_count - 1].host->name,
		       session->backend->name);
}

/* ---- kicks ---- */

static void free_abandoned(struct palomar_session *session)
{
	if (session->is_abandoned)
		lab_heap_free(session->palomar->settings.lab->heap, session);
}

static bool is_kick_lost(const struct palomar_session *session)
{
	const struct palomar_settings *s = &session->palomar->settings;
	struct sim_fault_query query = { .point = "cluster.kick",
		.service = "cluster",
		.instance = lab_view_cstr(session->backend->name),
		.peer = lab_view_cstr(session->backend->name),
		.subject = lab_view_cstr(session->user),
		.now_ns = env_now(s->lab) };

	return s->decide(s->ctx, &query).kind != SIM_FAULT_NONE;
}

void palomar_kick(void *arg, struct lab_view username, uint64_t deadline_ns)
{
	struct palomar_host *backend = arg;
	struct palomar_session *next;

	(void)deadline_ns;
	env_sleep(backend->env, KICK_TIME);
	for (struct palomar_session *s = backend->sessions; s != NULL; s = next) {
		next = s->next;
		/* LMTP cannot be kicked, it is waited for (palomar 2.6, U2). */
		if (!lab_view_eq_cstr(username, s->user) || s->protocol == CLUSTER_LMTP ||
			s->is_kicked || is_kick_lost(s))
			continue;
		s->is_kicked = true;
		tell_client(s);
		if (s->requests > 0)
			continue;
		palomar_session_close(s, "kicked");
		free_abandoned(s);
	}
}

struct kick {
	struct palomar_host *backend;
	struct lab_view user;
};

static void kick_there(void *arg)
{
	const struct kick *kick = arg;

	palomar_kick(kick->backend, kick->user, ENV_FOREVER);
}

int palomar_kick_all(const struct palomar_host *from, struct lab_view user, struct lab_error *err)
{
	struct palomar *p = from->palomar;
	struct env *lab = p->settings.lab;
	struct lab_arena *arena = lab_arena_new(lab->heap, KICK_ARENA_MAX);
	struct kick kick;
	int result = cluster_username_normalise(user, arena, &kick.user, err);

	for (size_t i = 0; result == 0 && i < p->backend_count; i++) {
		kick.backend = &p->hosts[p->proxy_count + i];
		if (!palomar_host_is_ready(kick.backend) ||
			!palomar_hears(p, from->name, kick.backend->name) ||
			host_call(&kick.backend->calls, kick.backend->env, lab, kick_there,
				&kick) != HOST_ANSWERED)
			result = lab_fail(
				err, LAB_UNAVAILABLE, "%s does not answer", kick.backend->name);
	}
	lab_arena_free(&arena);
	return result;
}

/* ---- losses ---- */

void palomar_reap(struct palomar_host *backend)
{
	const struct palomar *p = backend->palomar;
	struct palomar_session *next;

	for (struct palomar_session *s = backend->sessions; s != NULL; s = next) {
		next = s->next;
		if (!s->is_abandoned ||
			(!palomar_session_is_heard(s) &&
				env_now(backend->env) - s->silent_ns < p->proxy_timeout_ns))
			continue;
		palomar_session_close(s, "silent");
		free_abandoned(s);
	}
}

void palomar_sessions_lost(struct palomar_host *backend)
{
	while (backend->sessions != NULL) {
		struct palomar_session *session = backend->sessions;

		palomar_session_close(session, "crash");
		free_abandoned(session);
	}
}

static bool goes_through(const struct palomar_session *session, const struct palomar_host *proxy)
{
	for (size_t i = 0; i < session->proxy_count; i++) {
		if (session->proxies[i].host == proxy)
			return true;
	}
	return false;
}

void palomar_sessions_cut(struct palomar *p, const struct palomar_host *proxy)
{
	for (size_t i = 0; i < p->backend_count; i++) {
		struct palomar_session *next;

		for (struct palomar_session *s = p->hosts[p->proxy_count + i].sessions; s != NULL;
			s = next) {
			next = s->next;
			if (!goes_through(s, proxy))
				continue;
			s->is_broken = true;
			tell_client(s);
			if (s->requests > 0)
				continue;
			palomar_session_close(s, "proxy lost");
			free_abandoned(s);
		}
	}
}

/* ---- clients ---- */

struct node *palomar_session_node(const struct palomar_session *session)
{
	return session->backend->node;
}

bool palomar_is_connected(const struct palomar_session *session)
{
	return session->is_open && !session->is_kicked && !session->is_broken;
}

void palomar_idle(struct palomar_session *session, uint64_t until_ns)
{
	struct env *lab = session->palomar->settings.lab;

	while (palomar_is_connected(session)) {
		if (env_cond_wait(lab, &session->cut, until_ns) != 0)
			return;
	}
}

bool palomar_request_begin(struct palomar_session *session)
{
	const struct palomar *p = session->palomar;

	if (!palomar_is_connected(session))
		return false;
	if (!palomar_session_is_heard(session)) {
		env_sleep(p->settings.lab, p->proxy_timeout_ns);
		session->is_broken = true;
		return false;
	}
	session->requests++;
	return true;
}

bool palomar_request_end(struct palomar_session *session)
{
	const struct palomar *p = session->palomar;

	session->requests--;
	if (palomar_is_connected(session) && !palomar_session_is_heard(session)) {
		env_sleep(p->settings.lab, p->proxy_timeout_ns);
		session->is_broken = true;
	}
	/* Who was kicked meanwhile got this answer and no other. */
	if (session->is_kicked && session->requests == 0)
		palomar_session_close(session, "kicked");
	return !session->is_broken && (session->is_open || session->is_kicked);
}

bool palomar_logout(struct palomar_session **session)
{
	struct palomar_session *s = *session;
	bool is_own = palomar_is_connected(s);

	*session = NULL;
	lab_assert(s->requests == 0);
	if (s->is_open && !palomar_session_is_heard(s)) {
		s->is_abandoned = true;
		s->silent_ns = env_now(s->palomar->settings.lab);
		return is_own;
	}
	palomar_session_close(s, is_own ? "logout" : "connection lost");
	lab_heap_free(s->palomar->settings.lab->heap, s);
	return is_own;
}
