/* SPDX-License-Identifier: Apache-2.0
 *
 * workload.c - users, and what their clients do when. The requests themselves are in client.c.
 */
#include "core/fts/fts.h"
#include "core/base/mark.h"
#include "scenarios/format/client-words.h"
#include "scenarios/runner/client.h"
#include "scenarios/runner/delivery.h"
#include "scenarios/runner/disk-watch.h"
#include "scenarios/runner/palomar.h"
#include "scenarios/runner/steps.h"
#include "scenarios/runner/tour.h"
#include "scenarios/runner/workload.h"

#include <stdio.h>

#define USERS_MAX 1000000
#define FIRST_MAIL_DATE INT64_C(1767225600) /* 2026-01-01 00:00:00 UTC */
#define SESSION_ARENA_MAX ((size_t)1 << 30)

/* Where a user is served: one, or several at once, as when nothing sees to it that all of a user's
 * connections go to one backend. */
struct lane {
	struct user *user;
	uint32_t number; /* from 0 */
	struct node *node;
	unsigned active;  /* sessions and deliveries under way on `node` */
	uint64_t ordinal; /* of the draws of its sessions */
};

struct workload {
	struct workload_settings settings;
	struct client_context client;
	struct user *users;
	struct lane *lanes; /* SCENARIO_LANES_MAX for each user */
	size_t user_count;
	size_t busy;    /* fibers that have not ended */
	size_t audited; /* users whose audit has begun */
	struct node *auditor;
};

static uint64_t draw(struct workload *w, const struct user *user, const char *what, uint64_t n)
{
	return lab_draw(w->settings.seed, what, user->number, n);
}

/* What the sessions of a lane do next. Deliveries count for themselves, so that a retry of theirs
 * changes nothing here. */
static uint64_t next(struct workload *w, struct lane *lane, const char *what)
{
	return lab_draw(w->settings.seed, what, (uint64_t)lane->number << 32 | lane->user->number,
		lane->ordinal++);
}

static uint64_t pick(
	struct workload *w, struct lane *lane, const struct conf_range *range, const char *what)
{
	return conf_range_pick(range, next(w, lane, what));
}

static uint64_t pick_delivery(
	struct workload *w, struct user *user, const struct conf_range *range, const char *what)
{
	return conf_range_pick(range, draw(w, user, what, user->delivery_ordinal++));
}

static struct env *lab(struct workload *w)
{
	return w->settings.lab;
}

static bool is_over(struct workload *w)
{
	return env_now(lab(w)) >= w->settings.end_ns;
}

/* ---- routing ---- */

static struct lane *lane_of(struct workload *w, const struct user *user, size_t number)
{
	return &w->lanes[(size_t)(user - w->users) * SCENARIO_LANES_MAX + number];
}

static size_t lane_count(struct workload *w, const struct user *user)
{
	return (size_t)conf_range_pick(
		&user->group->backends_at_once, draw(w, user, "user.lanes", 0));
}

static size_t home_of(struct workload *w, const struct user *user)
{
	return lab_pick(draw(w, user, "user.home", 0), w->settings.node_count);
}

/* How often a user has been sent elsewhere. */
static size_t moves_of(struct workload *w, const struct user *user)
{
	uint64_t interval = conf_range_pick(
		&user->group->move_interval, draw(w, user, "user.move_interval", 0));

	return interval == 0 ? 0 : (size_t)(env_now(lab(w)) / interval);
}

static struct node *route(struct workload *w, struct lane *lane)
{
	size_t home = home_of(w, lane->user) + moves_of(w, lane->user) + lane->number;

	if (lane->active > 0 && lane->node->is_up)
		return lane->node;
	for (size_t i = 0; i < w->settings.node_count; i++) {
		struct node *node = &w->settings.nodes[(home + i) % w->settings.node_count];

		if (node->is_up && node->backend != NULL) {
			lane->node = node;
			return node;
		}
	}
	return NULL;
}

/* `delay_ns` after the beat before: so what is done takes from the pause after it, and a fast world
 * and a slow one do the same at the same time. Who is late takes the whole pause. */
static uint64_t next_beat(struct workload *w, uint64_t beat_ns, uint64_t delay_ns)
{
	uint64_t now_ns = env_now(lab(w)), next_ns = beat_ns + delay_ns;

	return next_ns <= now_ns ? now_ns + delay_ns : next_ns;
}

static void sleep_until(struct workload *w, uint64_t when_ns)
{
	env_sleep(lab(w), when_ns - env_now(lab(w)));
}

/* Sleeps until the next beat, unless it comes when all is over: nobody waits for that. */
static bool await_beat(struct workload *w, uint64_t *beat_ns, uint64_t delay_ns)
{
	uint64_t next_ns = next_beat(w, *beat_ns, delay_ns);

	if (next_ns >= w->settings.end_ns)
		return false;
	sleep_until(w, next_ns);
	*beat_ns = next_ns;
	return !is_over(w);
}

/* ---- deliveries ---- */

/* Of its mails so many have attachments, whatever their size, if that is said. */
static enum mail_attachment attachment_of(
	struct workload *w, const struct user *user, uint64_t token)
{
	const struct conf_range *share = &user->group->mail_attachment_percentage;

	if (share->high == 0)
		return MAIL_ATTACHMENT_IF_LARGE;
	return lab_pick(draw(w, user, "mail.attachment", token), 1000000) <
			       conf_range_pick(share, draw(w, user, "mail.attachment.share", token))
		       ? MAIL_ATTACHMENT
		       : MAIL_NO_ATTACHMENT;
}

/* The date of a generated mail says how many its user got before, not when it was made: so the
 * mails of a seed are the same in both worlds. */
struct lab_view workload_mail(
	struct workload *w, const struct user *user, uint64_t token, struct lab_arena *arena)
{
	struct mail_order order = { .seed = w->settings.seed,
		.token = token,
		.size = conf_range_pick(&user->group->mail_size, draw(w, user, "mail.size", token)),
		.to = lab_view_cstr(user->name),
		.date = FIRST_MAIL_DATE + (int64_t)(uint32_t)token * 60,
		.attachment = attachment_of(w, user, token) };

	return mail_make(w->settings.mails, &order, lab(w)->heap, arena);
}

uint64_t workload_next_token(struct user *user)
{
	return ((uint64_t)user->number << 32) | ++user->tokens_given;
}

/* What the user's Sieve script adds: a function of the mail. */
static struct lab_view sieve_flag(struct workload *w, const struct user *user, uint64_t token)
{
	uint64_t share = conf_range_pick(
		&user->group->mail_sieve_flag_percentage, draw(w, user, "sieve.share", token));

	if (lab_pick(draw(w, user, "sieve", token), 1000000) >= share)
		return LAB_VIEW("");
	return client_flag_name(lab_pick(draw(w, user, "sieve.flag", token), CLIENT_FLAGS));
}

static struct lab_view fileinto(
	struct workload *w, const struct user *user, uint64_t token, struct lab_arena *arena)
{
	uint64_t share = conf_range_pick(&user->group->mail_sieve_fileinto_percentage,
		draw(w, user, "fileinto.share", token));

	if (lab_pick(draw(w, user, "fileinto", token), 1000000) >= share)
		return LAB_VIEW("INBOX");
	return client_name(user,
		lab_pick(draw(w, user, "fileinto.folder", token), client_name_count(user)), arena);
}

/* The MTA is told to come again later. */
static void wait_until_unlocked(struct workload *w, const struct user *user)
{
	while (user->is_locked && !is_over(w))
		env_sleep(lab(w), LAB_SEC);
}

uint64_t workload_patience(struct workload *w, const struct user *user, uint64_t token)
{
	return conf_range_pick(
		&user->group->mail_delivery_timeout, draw(w, user, "delivery.timeout", token));
}

/* The MTA keeps the mail until somebody takes it, or gives up. What was uncertain is sent again:
 * that is how duplicates come about (obox 8.1, 5). */
static void deliver_with_retries(struct workload *w, struct user *user, uint64_t token)
{
	struct lab_arena *arena = lab_arena_new(lab(w)->heap, 2 * (size_t)MAIL_BYTES_MAX);
	struct delivery delivery = { .client = &w->client,
		.user = user,
		.token = token,
		.mail = workload_mail(w, user, token, arena),
		.flag = sieve_flag(w, user, token),
		.folder = fileinto(w, user, token, arena),
		.arena = arena,
		.palomar = w->settings.palomar,
		.timeout_ns = workload_patience(w, user, token) };
	uint64_t retries =
		pick_delivery(w, user, &user->group->mail_delivery_retries, "delivery.retries");
	bool was_uncertain = false;

	for (uint64_t attempt = 0; attempt <= retries; attempt++) {
		struct lane *lane = lane_of(w, user,
			lab_pick(draw(w, user, "delivery.lane", token + attempt),
				lane_count(w, user)));
		enum history_outcome outcome;

		if (attempt > 0) {
			LAB_MARK(delivery_retried);
			env_sleep(lab(w),
				pick_delivery(w, user, &user->group->mail_delivery_retry_delay,
					"delivery.delay"));
		}
		wait_until_unlocked(w, user);
		delivery.draw = draw(w, user, "delivery.door", token + attempt);
		outcome = delivery_attempt(&delivery,
			w->settings.palomar != NULL ? NULL : route(w, lane), &lane->active);
		was_uncertain |= outcome == HISTORY_UNCERTAIN;
		if (outcome == HISTORY_OK && was_uncertain)
			LAB_MARK(delivered_twice);
		/* 552 5.2.2 is final, 452 is not. */
		if (outcome == HISTORY_OK || is_over(w) ||
			(user->was_over_quota && !w->client.conf->quota_full_tempfail))
			break;
	}
	delivery_wait(&delivery);
	lab_arena_free(&arena);
}

struct user_fiber {
	struct workload *w;
	struct user *user;
	struct lane *lane; /* of sessions */
};

static void deliveries(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct user *user = fiber->user;
	uint64_t beat_ns = 0;

	while (await_beat(w, &beat_ns,
		pick_delivery(
			w, user, &user->group->mail_inbox_delivery_interval, "delivery.interval")))
		deliver_with_retries(w, user, workload_next_token(user));
	w->busy--;
}

/* ---- sessions ---- */

static struct lab_view other_folder(
	struct workload *w, struct lane *lane, struct lab_view folder, struct lab_arena *arena)
{
	const struct user *user = lane->user;
	size_t count = client_name_count(user), at = lab_pick(next(w, lane, "folder"), count);
	struct lab_view name = client_name(user, at, arena);

	return lab_view_eq(name, folder) ? client_name(user, (at + 1) % count, arena) : name;
}

/* Different mails of the view, at most `count`. */
static size_t choose_mails(struct workload *w, struct lane *lane, const struct client_view *view,
	size_t count, size_t *chosen)
{
	size_t first = lab_pick(next(w, lane, "mail"), view->count);

	count = LAB_MIN(count, view->count);
	for (size_t i = 0; i < count; i++)
		chosen[i] = (first + i) % view->count;
	return count;
}

/* Sets what is not set; clears every other time what is. */
static bool act_store(
	struct workload *w, struct lane *lane, struct client_session *session, size_t mail)
{
	uint64_t which = next(w, lane, "flag");
	struct lab_view flag = client_flag_name(lab_pick(which, CLIENT_FLAGS));
	uint64_t bit = history_flag(w->settings.history, flag);
	bool has = (session->view.mails[mail].flags & bit) != 0;

	return client_store(session, mail, flag, !has || which % 2 == 0);
}

/* For a mail, if it was ever read, or for a word. */
static bool act_search(
	struct workload *w, struct lane *lane, struct client_session *session, size_t mail)
{
	uint64_t which = next(w, lane, "search");

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
	return choose_mails(
		w, lane, &session->view, (size_t)pick(w, lane, count, "action.fetch"), chosen);
}

/* ---- what a session does to folders ---- */

/* Some folder besides INBOX. */
static struct lab_view pick_name(struct workload *w, struct lane *lane, struct lab_arena *arena)
{
	size_t count = client_name_count(lane->user) - 1;

	return client_name(lane->user,
		count == 0 ? 0 : 1 + (size_t)lab_pick(next(w, lane, "folder.name"), count), arena);
}

static bool act_on_folder(struct workload *w, struct lane *lane, struct client_session *session,
	enum history_kind kind)
{
	struct lab_view name = pick_name(w, lane, session->arena);
	uint64_t which = next(w, lane, "folder.which");
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
	action = lab_pick(next(w, lane, "folder.action"), 1000000);
	for (size_t i = 0; i < LAB_COUNT_OF(actions); i++) {
		sum += pick(w, lane, actions[i].share, "folder.share");
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
	uint64_t action = lab_pick(next(w, lane, "action"), 1000000);
	uint64_t del = pick(w, lane, &g->mail_inbox_delete_percentage, "action.delete");
	uint64_t move = pick(w, lane, &g->mail_inbox_move_percentage, "action.move");
	uint64_t copy = pick(w, lane, &g->mail_inbox_copy_percentage, "action.copy");
	uint64_t store = g->mail_inbox_store_percentage.high == 0
				 ? 0
				 : pick(w, lane, &g->mail_inbox_store_percentage, "action.store");
	uint64_t search = g->mail_search_percentage.high == 0
				  ? 0
				  : pick(w, lane, &g->mail_search_percentage, "action.search");
	size_t bulk =
		(size_t)LAB_MIN(pick(w, lane, &g->mail_bulk_count, "action.bulk"), CLIENT_BULK_MAX);
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
	       lab_pick(next(w, lane, "quota"), 1000000) < pick(w, lane, share, "quota.share");
}

static bool is_drawn(
	struct workload *w, struct lane *lane, const struct conf_range *share, const char *what)
{
	return share->high > 0 &&
	       lab_pick(next(w, lane, what), 1000000) < pick(w, lane, share, "secondary.share");
}

/* A mail of somebody's INBOX of which the user has no flag yet, or one of those that it has. */
static const struct client_shared *pick_shared(struct workload *w, struct lane *lane)
{
	struct user *user = lane->user;
	const struct user *owner =
		&w->users[lab_pick(next(w, lane, "private.owner"), w->user_count)];
	uint64_t which = next(w, lane, "private.mail");

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
	uint64_t what = next(w, lane, "private.what");

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
		.arena = lab_arena_new(lab(w)->heap, SESSION_ARENA_MAX) };
	uint64_t beat_ns = env_now(lab(w));
	uint64_t end = beat_ns + pick(w, lane, &user->group->mail_session_length, "session");
	struct lab_view folder = LAB_VIEW("INBOX");
	bool is_idle = path != NULL && user->group->imap_idle;

	if (lab_pick(next(w, lane, "session.folder"), 10) < 3)
		folder = other_folder(w, lane, folder, session.arena);
	if (client_select(&session, folder) ||
		(scenario_changes_folders(user->group) &&
			client_select(&session, LAB_VIEW("INBOX")))) {
		client_share(&session);
		do {
			uint64_t delay_ns =
				pick(w, lane, &user->group->mail_action_delay, "action.delay");

			beat_ns = next_beat(w, beat_ns, delay_ns);
			if (is_idle)
				palomar_idle(path, beat_ns);
			else
				sleep_until(w, beat_ns);
		} while (!is_over(w) && env_now(lab(w)) < end &&
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
	bool is_pop3 = lab_pick(next(w, lane, "session.protocol"), 1000000) <
		       pick(w, lane, pop3, "session.pop3");
	struct palomar_session *path;
	bool is_over_by_client = false;

	while (!is_over_by_client && !is_over(w) && !lane->user->is_locked &&
		palomar_login(w->settings.palomar, lane->user->name,
			is_pop3 ? CLUSTER_POP3 : CLUSTER_IMAP,
			draw(w, lane->user, "session.door", 0), &path, NULL) == 0) {
		session_run(w, lane, palomar_session_node(path), path);
		is_over_by_client = palomar_logout(&path);
		if (!is_over_by_client)
			env_sleep(lab(w), palomar_disconnect_delay(w->settings.palomar,
						  next(w, lane, "session.lost")));
	}
}

static void sessions(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct lane *lane = fiber->lane;
	uint64_t ended_ns = 0;

	for (;;) {
		uint64_t beat_ns = ended_ns;
		struct node *node;

		if (!await_beat(w, &beat_ns,
			    pick(w, lane, &lane->user->group->mail_session_interval,
				    "session.interval")))
			break;
		node = w->settings.palomar != NULL ? NULL : route(w, lane);
		if ((node == NULL && w->settings.palomar == NULL) || lane->user->is_locked)
			continue;
		lane->active++;
		if (node != NULL)
			session_run(w, lane, node, NULL);
		else
			session_by_proxy(w, lane);
		lane->active--;
		ended_ns = env_now(lab(w));
	}
	w->busy--;
}

/* ---- the operator ---- */

static bool is_in_use(struct workload *w, const struct user *user)
{
	for (size_t i = 0; i < SCENARIO_LANES_MAX; i++) {
		if (lane_of(w, user, i)->active > 0)
			return true;
	}
	return false;
}

/* Locked out and gone, as obox 4.11 wants it; and again until it is done. */
static void delete_user(struct workload *w, struct user *user)
{
	user->is_locked = true;
	while (is_in_use(w, user) && !is_over(w))
		env_sleep(lab(w), 100 * LAB_MSEC);
	while (!is_over(w) &&
		client_user_delete(&w->client, user, route(w, lane_of(w, user, 0))) != HISTORY_OK)
		env_sleep(lab(w), 2 * LAB_SEC);
	user->is_locked = false;
}

static void deletions(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	uint64_t n = 0;

	for (;;) {
		uint64_t beat_ns = env_now(lab(w));

		if (!await_beat(w, &beat_ns,
			    conf_range_pick(&fiber->user->group->obox_user_delete_interval,
				    draw(w, fiber->user, "user.delete", n++))))
			break;
		delete_user(w, fiber->user);
	}
	w->busy--;
}

/* ---- start ---- */

static void user_init(struct workload *w, const struct scenario_group *group, struct user *user)
{
	user->number = (uint32_t)(user - w->users) + 1;
	user->group = group;
	snprintf(user->name, sizeof(user->name), "user%04u@example.com", user->number);
	user->folders = (size_t)LAB_MIN(
		conf_range_pick(&group->folders, draw(w, user, "folders", 0)), CLIENT_FOLDERS_MAX);
	user->tokens = lab_map_new(lab(w)->heap, HISTORY_OPS_MAX);
	for (uint32_t i = 0; i < SCENARIO_LANES_MAX; i++)
		*lane_of(w, user, i) = (struct lane){ .user = user, .number = i };
}

static int start_fiber(struct workload *w, struct user *user, struct lane *lane, const char *name,
	env_fiber_fn fn, struct lab_error *err)
{
	struct user_fiber *fiber = lab_new(lab(w)->heap, struct user_fiber);

	*fiber = (struct user_fiber){ w, user, lane };
	w->busy++;
	return env_spawn(lab(w), name, fn, fiber, err);
}

static void tour(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct user *user = fiber->user;
	struct lane *lane = lane_of(w, user, 0);
	size_t home = home_of(w, user), count = w->settings.node_count;
	struct tour t = { .workload = w,
		.client = &w->client,
		.user = user,
		.nodes = { &w->settings.nodes[home], &w->settings.nodes[(home + 1) % count] },
		.action_delay_ns = pick(w, lane, &user->group->mail_action_delay, "action.delay"),
		.close_delay_ns = w->settings.scenario->conf.metacache_close_delay_ns,
		.expunge_ppm = pick(w, lane, &user->group->tour_expunge, "tour.expunge"),
		.bulk = (size_t)pick(w, lane, &user->group->mail_bulk_count, "action.bulk") };

	env_sleep(lab(w), pick(w, lane, &user->group->mail_session_interval, "session.interval"));
	tour_run(&t);
	w->busy--;
}

static int start_users(struct workload *w, struct lab_error *err)
{
	for (size_t i = 0; i < w->user_count && w->settings.scenario->has_clients; i++) {
		struct user *user = &w->users[i];

		if (user->group->idle)
			continue;
		if (user->group->tour) {
			if (start_fiber(w, user, NULL, "tour", tour, err) < 0)
				return -1;
			continue;
		}
		if (start_fiber(w, user, NULL, "deliveries", deliveries, err) < 0)
			return -1;
		if (user->group->obox_user_delete_interval.high > 0 &&
			start_fiber(w, user, NULL, "deletions", deletions, err) < 0)
			return -1;
		for (size_t n = 0; n < lane_count(w, user); n++) {
			if (start_fiber(w, user, lane_of(w, user, n), "sessions", sessions, err) <
				0)
				return -1;
		}
	}
	return 0;
}

static struct operators_settings operators_of(struct workload *w)
{
	const char **users = lab_new_array(lab(w)->heap, const char *, w->user_count + 1);

	for (size_t i = 0; i < w->user_count; i++)
		users[i] = w->users[i].name;
	return (struct operators_settings){ .scenario = w->settings.scenario,
		.seed = w->settings.seed,
		.lab = lab(w),
		.nodes = w->settings.nodes,
		.node_count = w->settings.node_count,
		.history = w->settings.history,
		.event_sequence = w->settings.event_sequence,
		.event_ctx = w->settings.event_ctx,
		.begin_ns = w->settings.begin_ns,
		.end_ns = w->settings.end_ns,
		.busy = &w->busy,
		.users = users,
		.user_count = w->user_count };
}

/* What a scenario tells to be done: its operators, and its steps. */
static int start_told(struct workload *w, struct lab_error *err)
{
	struct steps_settings steps = { .scenario = w->settings.scenario,
		.workload = w,
		.client = &w->client,
		.nodes = w->settings.nodes,
		.node_count = w->settings.node_count,
		.operators = operators_of(w),
		.busy = &w->busy };

	return operators_start(&steps.operators, err) < 0 ? -1 : steps_start(&steps, err);
}

static int start_disk_watch(struct workload *w, struct lab_error *err)
{
	const struct scenario *scenario = w->settings.scenario;
	struct disk_watch_settings settings = { .lab = lab(w),
		.nodes = w->settings.nodes,
		.node_count = w->settings.node_count,
		.conf = &scenario->conf,
		.interval_ns = scenario_pick(
			&scenario->hosts.disk_watch, w->settings.seed, "host.watch", 0, 0),
		.end_ns = w->settings.end_ns,
		.busy = &w->busy };

	return settings.interval_ns == 0 ? 0 : disk_watch_start(&settings, err);
}

static bool has_attachment_flags(const struct conf_settings *conf)
{
	return lab_view_find(conf->mail_attachment_detection_options.text, LAB_VIEW("add-flags")) !=
	       SIZE_MAX;
}

int workload_start(
	const struct workload_settings *settings, struct workload **ret, struct lab_error *err)
{
	const struct scenario *scenario = settings->scenario;
	struct lab_heap *heap = settings->lab->heap;
	struct workload *w = lab_new(heap, struct workload);
	size_t counts[SCENARIO_GROUPS_MAX], n = 0;

	w->settings = *settings;
	w->client =
		(struct client_context){ settings->lab, settings->history, settings->event_sequence,
			settings->event_ctx, scenario_stores_paths(&scenario->endpoints),
			scenario_has_migrated_mails(&scenario->endpoints),
			fts_is_configured(&scenario->conf), &scenario->conf,
			settings->mails == NULL && has_attachment_flags(&scenario->conf), 0, 0 };
	for (size_t g = 0; g < scenario->group_count; g++) {
		counts[g] = (size_t)scenario_pick(
			&scenario->groups[g].count, settings->seed, "user.count", g, 0);
		w->user_count += counts[g];
	}
	if (w->user_count > USERS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d users", USERS_MAX);
	w->users = lab_new_array(heap, struct user, w->user_count);
	w->lanes = lab_new_array(heap, struct lane, w->user_count * SCENARIO_LANES_MAX);
	for (size_t g = 0; g < scenario->group_count; g++) {
		for (size_t i = 0; i < counts[g]; i++)
			user_init(w, &scenario->groups[g], &w->users[n++]);
	}
	*ret = w;
	return start_users(w, err) < 0 || start_told(w, err) < 0 ? -1 : start_disk_watch(w, err);
}

bool workload_is_idle(const struct workload *workload)
{
	return workload->busy == 0;
}

size_t workload_users(const struct workload *workload)
{
	return workload->user_count;
}

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
		.arena = lab_arena_new(lab(w)->heap, SESSION_ARENA_MAX),
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
	size_t count = LAB_MIN(lane_count(w, user), w->settings.node_count);
	bool is_shared = lane_count(w, user) > 1 || scenario_changes_folders(user->group);

	/* Backends look into folders that were deleted only after a while. */
	if (scenario_changes_folders(user->group))
		env_sleep(lab(w), LOOKED_AT);

	for (size_t n = 0; n < (ROUNDS + 1) * count; n++) {
		struct node *node =
			&w->settings.nodes[(home_of(w, user) + n % count) % w->settings.node_count];

		/* What was looked at just now would be taken for current. */
		if (n % count == 0)
			env_sleep(lab(w),
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
			    draw(w, &w->users[i], "session.door", 0), &session, NULL) == 0)
			(void)palomar_logout(&session);
	}
	env_sleep(lab(w), palomar_cache_time(palomar));
	for (size_t i = first; i < end; i++)
		palomar_access_all(palomar, w->users[i].name);
	w->busy--;
}

int workload_converge(struct workload *w, struct lab_error *err)
{
	for (size_t i = 0; w->settings.palomar != NULL && i < w->user_count; i += ACCESS_SHARE) {
		if (start_fiber(w, &w->users[i], NULL, "access", access_users, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->user_count; i++) {
		if ((lane_count(w, &w->users[i]) > 1 || w->client.has_searches ||
			    scenario_changes_folders(w->users[i].group)) &&
			start_fiber(w, &w->users[i], NULL, "converge", converge_user, err) < 0)
			return -1;
	}
	return 0;
}

struct client_context *workload_client(struct workload *workload)
{
	return &workload->client;
}

struct user *workload_user(struct workload *workload, size_t index)
{
	lab_assert(index < workload->user_count);
	return &workload->users[index];
}

uint64_t workload_mails_before(const struct workload *workload, const struct user *user)
{
	return scenario_pick(
		&user->group->mails, workload->settings.seed, "user.mails", user->number, 0);
}

const char *workload_user_name(const struct workload *workload, size_t index)
{
	lab_assert(index < workload->user_count);
	return workload->users[index].name;
}

/* ---- audit ---- */

#define AUDIT_TOKENS 8

/* The auditor only reads, and who only reads takes every look at the root for news of the folders:
 * so it asks for as much at a time as fits into memory. */
#define AUDIT_FETCH_MAX 100000u

static void fetch_all(struct workload *w, struct client_session *session)
{
	size_t max = LAB_MIN(session->view.count, (size_t)AUDIT_FETCH_MAX);
	size_t *mails = lab_new_array(lab(w)->heap, size_t, max + 1);

	for (size_t first = 0; first < session->view.count; first += max) {
		size_t count = LAB_MIN(session->view.count - first, max);

		for (size_t i = 0; i < count; i++)
			mails[i] = first + i;
		(void)client_fetch(session, mails, count);
	}
	lab_heap_free(lab(w)->heap, mails);
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
		.arena = lab_arena_new(lab(w)->heap, SESSION_ARENA_MAX) };

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
		.arena = lab_arena_new(lab(w)->heap, SESSION_ARENA_MAX) };
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
		if (start_fiber(workload, &workload->users[i], NULL, "audit", audit_users, err) < 0)
			return -1;
	}
	return 0;
}
