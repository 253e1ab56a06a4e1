/* SPDX-License-Identifier: Apache-2.0
 *
 * workload-audit.c - after the storm: backends come to know of each other, and all that is there is
 * looked at.
 */
#include "scenarios/runner/workload-private.h"

#include "scenarios/format/client-words.h"

/* ---- convergence ---- */

#define ROUNDS 2
#define LOOKED_AT (150 * LAB_SEC)

/* A search indexes what is not indexed yet. */
static void look_at(struct client_session *session, struct lab_view folder)
{
	if (client_select(session, folder) && session->client->has_searches)
		(void)client_search(session, 0, 0);
}

/* Where folders come and go, those that there are. */
static void look_at_list(struct client_session *session)
{
	struct lab_view *names = lab_arena_array(session->arena, struct lab_view, CLIENT_LIST_MAX);
	size_t count;

	if (!client_list(session, names, &count))
		return;
	for (size_t i = 0; i < count; i++)
		look_at(session, names[i]);
}

static void look(struct workload *w, struct user *user, struct node *node, bool is_converged)
{
	struct client_session session = { .client = &w->client,
		.user = user,
		.node = node,
		.boots = node->boots,
		.arena = lab_arena_new(workload_lab(w)->heap, SESSION_ARENA_MAX),
		.is_converged = is_converged };

	if (scenario_changes_folders(user->group) || client_has_quota(&w->client)) {
		look_at_list(&session);
	} else {
		for (size_t i = 0; i <= user->folders; i++)
			look_at(&session, client_folder_name(i, session.arena));
	}
	if (client_has_quota(&w->client))
		(void)client_quota(&session);
	lab_arena_free(&session.arena);
}

static void converge_user(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct user *user = fiber->user;
	size_t count = LAB_MIN(workload_lane_count(w, user), w->settings.node_count);
	bool is_shared = workload_lane_count(w, user) > 1 || scenario_changes_folders(user->group);

	/* Backends look into folders that were deleted only after a while. */
	if (scenario_changes_folders(user->group))
		env_sleep(workload_lab(w), LOOKED_AT);

	for (size_t n = 0; n < (ROUNDS + 1) * count; n++) {
		struct node *node = &w->settings.nodes[(workload_home(w, user) + n % count) %
						       w->settings.node_count];

		/* What was looked at just now would be taken for current. */
		if (n % count == 0)
			env_sleep(workload_lab(w),
				w->settings.scenario->conf.metacache_close_delay_ns + LAB_SEC);
		look(w, user, node, n >= ROUNDS * count && is_shared);
		if (n < ROUNDS * count)
			(void)client_flush(&w->client, user, node);
	}
	w->busy--;
}

#define ACCESS_SHARE 1000u /* users, one after the other */

/* Everybody logs in once more, which ends what moves; then every proxy is asked. */
static void access_users(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct palomar *palomar = w->settings.palomar;
	struct palomar_session *session;
	size_t first = (size_t)(fiber->user - w->users);
	size_t end = LAB_MIN(first + ACCESS_SHARE, w->user_count);

	for (size_t i = first; i < end; i++) {
		if (palomar_login(palomar, w->users[i].name, CLUSTER_DOVEADM,
			    workload_draw(w, &w->users[i], "session.door", 0), &session, NULL) == 0)
			(void)palomar_logout(&session);
	}
	env_sleep(workload_lab(w), palomar_cache_time(palomar));
	for (size_t i = first; i < end; i++)
		palomar_access_all(palomar, w->users[i].name);
	w->busy--;
}

int workload_converge(struct workload *w, struct lab_error *err)
{
	for (size_t i = 0; w->settings.palomar != NULL && i < w->user_count; i += ACCESS_SHARE) {
		if (workload_start_fiber(w, &w->users[i], NULL, "access", access_users, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->user_count; i++) {
		if ((workload_lane_count(w, &w->users[i]) > 1 || w->client.has_searches ||
			    scenario_changes_folders(w->users[i].group)) &&
			workload_start_fiber(
				w, &w->users[i], NULL, "converge", converge_user, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- audit ---- */

#define AUDIT_TOKENS 8

/* The auditor only reads, and who only reads takes every look at the root for news of the folders:
 * so it asks for as much at a time as fits into memory. */
#define AUDIT_FETCH_MAX 100000u

static void fetch_all(struct workload *w, struct client_session *session)
{
	size_t max = LAB_MIN(session->view.count, (size_t)AUDIT_FETCH_MAX);
	size_t *mails = lab_new_array(workload_lab(w)->heap, size_t, max + 1);

	for (size_t first = 0; first < session->view.count; first += max) {
		size_t count = LAB_MIN(session->view.count - first, max);

		for (size_t i = 0; i < count; i++)
			mails[i] = first + i;
		(void)client_fetch(session, mails, count);
	}
	lab_heap_free(workload_lab(w)->heap, mails);
}

/* Every word, and some mails. */
static void search_all(struct client_session *session)
{
	for (size_t i = 0; i < CLIENT_WORDS; i++)
		(void)client_search(session, i, 0);
	for (size_t i = 0; i < session->view.count; i += 1 + session->view.count / AUDIT_TOKENS) {
		if (session->view.mails[i].token != 0)
			(void)client_search(session, 0, session->view.mails[i].token);
	}
}

static void audit_folder(struct workload *w, struct user *user, struct lab_view folder)
{
	struct client_session session = { .client = &w->client,
		.user = user,
		.node = w->auditor,
		.boots = w->auditor->boots,
		.arena = lab_arena_new(workload_lab(w)->heap, SESSION_ARENA_MAX) };

	if (client_select(&session, folder)) {
		fetch_all(w, &session);
		if (w->client.has_searches)
			search_all(&session);
	}
	lab_arena_free(&session.arena);
}

/* Every folder that there is: two backends may have made two of one name, and one of them got
 * another name then. */
static void audit_user(struct workload *w, struct user *user)
{
	struct client_session session = { .client = &w->client,
		.user = user,
		.node = w->auditor,
		.boots = w->auditor->boots,
		.arena = lab_arena_new(workload_lab(w)->heap, SESSION_ARENA_MAX) };
	struct lab_view *names = lab_arena_array(session.arena, struct lab_view, CLIENT_LIST_MAX);
	size_t count;

	if (client_list(&session, names, &count)) {
		if (w->client.has_searches)
			(void)client_fts_check(&session, false);
		/* Before any mail is read, and its size known from that. */
		if (client_has_quota(&w->client))
			(void)client_quota(&session);
		for (size_t i = 0; i < count; i++)
			audit_folder(w, user, names[i]);
		if (w->client.has_searches)
			(void)client_fts_check(&session, true);
		for (size_t i = 0; i < user->private_count; i++)
			(void)client_private_fetch(&session, &user->privates[i]);
		if (user->group->mail_virtual_percentage.high > 0)
			(void)client_virtual(&session);
	}
	lab_arena_free(&session.arena);
}

/* So many users at a time: the auditor has them all in memory. */
#define AUDITED_AT_ONCE 1000u

static void audit_users(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;

	audit_user(w, fiber->user);
	while (w->audited < w->user_count)
		audit_user(w, &w->users[w->audited++]);
	w->busy--;
}

int workload_audit(struct workload *workload, struct node *node, struct lab_error *err)
{
	workload->auditor = node;
	workload->audited = LAB_MIN(workload->user_count, (size_t)AUDITED_AT_ONCE);
	for (size_t i = 0; i < workload->audited; i++) {
		if (workload_start_fiber(
			    workload, &workload->users[i], NULL, "audit", audit_users, err) < 0)
			return -1;
	}
	return 0;
}
