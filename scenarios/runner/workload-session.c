/* SPDX-License-Identifier: Apache-2.0
 *
 * workload-session.c - mail programs: what is done in a session, to which mails, and when.
 */
#include "scenarios/runner/workload-private.h"

#include "scenarios/format/client-words.h"

static struct lab_view other_folder(
	struct workload *w, struct lane *lane, struct lab_view folder, struct lab_arena *arena)
{
	const struct user *user = lane->user;
	size_t count = client_name_count(user),
	       at = lab_pick(workload_next(w, lane, "folder"), count);
	struct lab_view name = client_name(user, at, arena);

	return lab_view_eq(name, folder) ? client_name(user, (at + 1) % count, arena) : name;
}

/* Different mails of the view, at most `count`. */
static size_t choose_mails(struct workload *w, struct lane *lane, const struct client_view *view,
	size_t count, size_t *chosen)
{
	size_t first = lab_pick(workload_next(w, lane, "mail"), view->count);

	count = LAB_MIN(count, view->count);
	for (size_t i = 0; i < count; i++)
		chosen[i] = (first + i) % view->count;
	return count;
}

/* Sets what is not set; clears every other time what is. */
static bool act_store(
	struct workload *w, struct lane *lane, struct client_session *session, size_t mail)
{
	uint64_t which = workload_next(w, lane, "flag");
	struct lab_view flag = client_flag_name(lab_pick(which, CLIENT_FLAGS));
	uint64_t bit = history_flag(w->settings.history, flag);
	bool has = (session->view.mails[mail].flags & bit) != 0;

	return client_store(session, mail, flag, !has || which % 2 == 0);
}

/* For a mail, if it was ever read, or for a word. */
static bool act_search(
	struct workload *w, struct lane *lane, struct client_session *session, size_t mail)
{
	uint64_t which = workload_next(w, lane, "search");

	return client_search(session, (size_t)lab_pick(which, CLIENT_WORDS),
		which % 3 == 0 ? session->view.mails[mail].token : 0);
}

/* chosen[0] is chosen already. */
static size_t choose_fetch(
	struct workload *w, struct lane *lane, struct client_session *session, size_t *chosen)
{
	const struct conf_range *count = &lane->user->group->mail_fetch_count;

	if (count->high == 1)
		return 1;
	return choose_mails(w, lane, &session->view,
		(size_t)workload_pick(w, lane, count, "action.fetch"), chosen);
}

/* ---- what a session does to folders ---- */

/* Some folder besides INBOX. */
static struct lab_view pick_name(struct workload *w, struct lane *lane, struct lab_arena *arena)
{
	size_t count = client_name_count(lane->user) - 1;

	return client_name(lane->user,
		count == 0 ? 0 : 1 + (size_t)lab_pick(workload_next(w, lane, "folder.name"), count),
		arena);
}

static bool act_on_folder(struct workload *w, struct lane *lane, struct client_session *session,
	enum history_kind kind)
{
	struct lab_view name = pick_name(w, lane, session->arena);
	uint64_t which = workload_next(w, lane, "folder.which");
	bool is_own = lab_view_eq(name, session->view.folder);

	if (kind == HISTORY_CREATE)
		return client_create(
			session, name, which % 4 == 0 ? LAB_VIEW("\\Archive") : LAB_VIEW(""));
	if (kind == HISTORY_RENAME)
		return client_rename(session, name, other_folder(w, lane, name, session->arena)) &&
		       !is_own;
	if (kind == HISTORY_DELETE)
		return client_delete(session, name) && !is_own;
	if (kind == HISTORY_SUBSCRIBE)
		return client_subscribe(session, name, which % 2 == 0);
	return client_status(session, name);
}

/* HISTORY_KIND_COUNT: it is something to do with a mail. */
static enum history_kind pick_folder_action(struct workload *w, struct lane *lane)
{
	const struct scenario_group *g = lane->user->group;
	const struct {
		const struct conf_range *share;
		enum history_kind kind;
	} actions[] = { { &g->mailbox_create_percentage, HISTORY_CREATE },
		{ &g->mailbox_rename_percentage, HISTORY_RENAME },
		{ &g->mailbox_delete_percentage, HISTORY_DELETE },
		{ &g->mailbox_subscribe_percentage, HISTORY_SUBSCRIBE },
		{ &g->mailbox_status_percentage, HISTORY_STATUS } };
	uint64_t action, sum = 0;

	if (!scenario_changes_folders(g))
		return HISTORY_KIND_COUNT;
	action = lab_pick(workload_next(w, lane, "folder.action"), 1000000);
	for (size_t i = 0; i < LAB_COUNT_OF(actions); i++) {
		sum += workload_pick(w, lane, actions[i].share, "folder.share");
		if (action < sum)
			return actions[i].kind;
	}
	return HISTORY_KIND_COUNT;
}

/* ---- and to mails ---- */

static bool act_on_mail(struct workload *w, struct lane *lane, struct client_session *session)
{
	const struct scenario_group *g = lane->user->group;
	size_t chosen[CLIENT_BULK_MAX];
	uint64_t action = lab_pick(workload_next(w, lane, "action"), 1000000);
	uint64_t del = workload_pick(w, lane, &g->mail_inbox_delete_percentage, "action.delete");
	uint64_t move = workload_pick(w, lane, &g->mail_inbox_move_percentage, "action.move");
	uint64_t copy = workload_pick(w, lane, &g->mail_inbox_copy_percentage, "action.copy");
	uint64_t store =
		g->mail_inbox_store_percentage.high == 0
			? 0
			: workload_pick(w, lane, &g->mail_inbox_store_percentage, "action.store");
	uint64_t search =
		g->mail_search_percentage.high == 0
			? 0
			: workload_pick(w, lane, &g->mail_search_percentage, "action.search");
	size_t bulk = (size_t)LAB_MIN(
		workload_pick(w, lane, &g->mail_bulk_count, "action.bulk"), CLIENT_BULK_MAX);
	struct lab_view target;

	if (session->view.count == 0)
		return true;
	if (action < del)
		return client_expunge(
			session, chosen, choose_mails(w, lane, &session->view, bulk, chosen));
	target = other_folder(w, lane, session->view.folder, session->arena);
	if (action < del + move)
		return client_move(session, chosen,
			choose_mails(w, lane, &session->view, bulk, chosen), target);
	(void)choose_mails(w, lane, &session->view, 1, chosen);
	if (action < del + move + copy)
		return client_copy(session, chosen[0], target);
	if (action < del + move + copy + store)
		return act_store(w, lane, session, chosen[0]);
	if (action < del + move + copy + store + search)
		return act_search(w, lane, session, chosen[0]);
	return client_fetch(session, chosen, choose_fetch(w, lane, session, chosen));
}

static bool asks_for_quota(struct workload *w, struct lane *lane)
{
	const struct conf_range *share = &lane->user->group->mail_quota_percentage;

	return share->high > 0 && client_has_quota(&w->client) &&
	       lab_pick(workload_next(w, lane, "quota"), 1000000) <
		       workload_pick(w, lane, share, "quota.share");
}

static bool is_drawn(
	struct workload *w, struct lane *lane, const struct conf_range *share, const char *what)
{
	return share->high > 0 && lab_pick(workload_next(w, lane, what), 1000000) <
					  workload_pick(w, lane, share, "secondary.share");
}

/* A mail of somebody's INBOX of which the user has no flag yet, or one of those that it has. */
static const struct client_shared *pick_shared(struct workload *w, struct lane *lane)
{
	struct user *user = lane->user;
	const struct user *owner =
		&w->users[lab_pick(workload_next(w, lane, "private.owner"), w->user_count)];
	uint64_t which = workload_next(w, lane, "private.mail");

	if (owner->shared_count > 0 && user->private_count < CLIENT_PRIVATES && which % 2 == 0) {
		user->privates[user->private_count] =
			owner->shared[lab_pick(which, owner->shared_count)];
		return &user->privates[user->private_count++];
	}
	return user->private_count == 0 ? NULL
					: &user->privates[lab_pick(which, user->private_count)];
}

static bool act_on_shared(struct workload *w, struct lane *lane, struct client_session *session)
{
	const struct client_shared *mail = pick_shared(w, lane);
	uint64_t what = workload_next(w, lane, "private.what");

	if (mail == NULL)
		return true;
	return what % 3 == 0 ? client_private_fetch(session, mail)
			     : client_private_store(session, mail, what % 3 == 1);
}

static bool act(struct workload *w, struct lane *lane, struct client_session *session)
{
	const struct scenario_group *g = lane->user->group;
	enum history_kind on_folder = pick_folder_action(w, lane);

	if (asks_for_quota(w, lane))
		return client_quota(session);
	if (is_drawn(w, lane, &g->mail_private_seen_percentage, "private"))
		return act_on_shared(w, lane, session);
	if (is_drawn(w, lane, &g->mail_virtual_percentage, "virtual"))
		return client_virtual(session);
	if (on_folder != HISTORY_KIND_COUNT)
		return act_on_folder(w, lane, session, on_folder);
	return act_on_mail(w, lane, session);
}

/* Returns when the session is over: its time is up, or the connection broke. */
static void session_run(
	struct workload *w, struct lane *lane, struct node *node, struct palomar_session *path)
{
	struct user *user = lane->user;
	struct client_session session = { .client = &w->client,
		.user = user,
		.node = node,
		.boots = node->boots,
		.path = path,
		.arena = lab_arena_new(workload_lab(w)->heap, SESSION_ARENA_MAX) };
	uint64_t beat_ns = env_now(workload_lab(w));
	uint64_t end =
		beat_ns + workload_pick(w, lane, &user->group->mail_session_length, "session");
	struct lab_view folder = LAB_VIEW("INBOX");
	bool is_idle = path != NULL && user->group->imap_idle;

	if (lab_pick(workload_next(w, lane, "session.folder"), 10) < 3)
		folder = other_folder(w, lane, folder, session.arena);
	if (client_select(&session, folder) ||
		(scenario_changes_folders(user->group) &&
			client_select(&session, LAB_VIEW("INBOX")))) {
		client_share(&session);
		do {
			uint64_t delay_ns = workload_pick(
				w, lane, &user->group->mail_action_delay, "action.delay");

			beat_ns = workload_next_beat(w, beat_ns, delay_ns);
			if (is_idle)
				palomar_idle(path, beat_ns);
			else
				workload_sleep_until(w, beat_ns);
		} while (!workload_is_over(w) && env_now(workload_lab(w)) < end &&
			 (!is_idle || palomar_is_connected(path)) && act(w, lane, &session));
		client_logout(&session);
	}
	lab_arena_free(&session.arena);
}

/* By way of proxies: a client whose backend has gone is let go after a while, and comes again at
 * once; one that is refused waits as long as it would between two sessions. */
static void session_by_proxy(struct workload *w, struct lane *lane)
{
	const struct conf_range *pop3 = &w->settings.scenario->cluster.pop3_percentage;
	bool is_pop3 = lab_pick(workload_next(w, lane, "session.protocol"), 1000000) <
		       workload_pick(w, lane, pop3, "session.pop3");
	struct palomar_session *path;
	bool is_over_by_client = false;

	while (!is_over_by_client && !workload_is_over(w) && !lane->user->is_locked &&
		palomar_login(w->settings.palomar, lane->user->name,
			is_pop3 ? CLUSTER_POP3 : CLUSTER_IMAP,
			workload_draw(w, lane->user, "session.door", 0), &path, NULL) == 0) {
		session_run(w, lane, palomar_session_node(path), path);
		is_over_by_client = palomar_logout(&path);
		if (!is_over_by_client)
			env_sleep(workload_lab(w), palomar_disconnect_delay(w->settings.palomar,
							   workload_next(w, lane, "session.lost")));
	}
}

void workload_sessions(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct lane *lane = fiber->lane;
	uint64_t ended_ns = 0;

	for (;;) {
		uint64_t beat_ns = ended_ns;
		struct node *node;

		if (!workload_await_beat(w, &beat_ns,
			    workload_pick(w, lane, &lane->user->group->mail_session_interval,
				    "session.interval")))
			break;
		node = w->settings.palomar != NULL ? NULL : workload_route(w, lane);
		if ((node == NULL && w->settings.palomar == NULL) || lane->user->is_locked)
			continue;
		lane->active++;
		if (node != NULL)
			session_run(w, lane, node, NULL);
		else
			session_by_proxy(w, lane);
		lane->active--;
		ended_ns = env_now(workload_lab(w));
	}
	w->busy--;
}
