/* SPDX-License-Identifier: Apache-2.0
 *
 * workload.c - users: who there is, where each is served, and what is started for them. What
 * clients do when is in workload-mta.c and workload-session.c, the requests themselves in client.c.
 */
#include "scenarios/runner/workload-private.h"

#include "core/fts/fts.h"
#include "scenarios/runner/disk-watch.h"
#include "scenarios/runner/steps.h"
#include "scenarios/runner/tour.h"

#include <stdio.h>

#define USERS_MAX 1000000

uint64_t workload_draw(struct workload *w, const struct user *user, const char *what, uint64_t n)
{
	return lab_draw(w->settings.seed, what, user->number, n);
}

uint64_t workload_next(struct workload *w, struct lane *lane, const char *what)
{
	return lab_draw(w->settings.seed, what, (uint64_t)lane->number << 32 | lane->user->number,
		lane->ordinal++);
}

uint64_t workload_pick(
	struct workload *w, struct lane *lane, const struct conf_range *range, const char *what)
{
	return conf_range_pick(range, workload_next(w, lane, what));
}

struct env *workload_lab(struct workload *w)
{
	return w->settings.lab;
}

bool workload_is_over(struct workload *w)
{
	return env_now(workload_lab(w)) >= w->settings.end_ns;
}

/* ---- routing ---- */

struct lane *workload_lane(struct workload *w, const struct user *user, size_t number)
{
	return &w->lanes[(size_t)(user - w->users) * SCENARIO_LANES_MAX + number];
}

size_t workload_lane_count(struct workload *w, const struct user *user)
{
	return (size_t)conf_range_pick(
		&user->group->backends_at_once, workload_draw(w, user, "user.lanes", 0));
}

size_t workload_home(struct workload *w, const struct user *user)
{
	return lab_pick(workload_draw(w, user, "user.home", 0), w->settings.node_count);
}

/* How often a user has been sent elsewhere. */
static size_t moves_of(struct workload *w, const struct user *user)
{
	uint64_t interval = conf_range_pick(
		&user->group->move_interval, workload_draw(w, user, "user.move_interval", 0));

	return interval == 0 ? 0 : (size_t)(env_now(workload_lab(w)) / interval);
}

struct node *workload_route(struct workload *w, struct lane *lane)
{
	size_t home = workload_home(w, lane->user) + moves_of(w, lane->user) + lane->number;

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

uint64_t workload_next_beat(struct workload *w, uint64_t beat_ns, uint64_t delay_ns)
{
	uint64_t now_ns = env_now(workload_lab(w)), next_ns = beat_ns + delay_ns;

	return next_ns <= now_ns ? now_ns + delay_ns : next_ns;
}

void workload_sleep_until(struct workload *w, uint64_t when_ns)
{
	env_sleep(workload_lab(w), when_ns - env_now(workload_lab(w)));
}

bool workload_await_beat(struct workload *w, uint64_t *beat_ns, uint64_t delay_ns)
{
	uint64_t next_ns = workload_next_beat(w, *beat_ns, delay_ns);

	if (next_ns >= w->settings.end_ns)
		return false;
	workload_sleep_until(w, next_ns);
	*beat_ns = next_ns;
	return !workload_is_over(w);
}

/* ---- the operator ---- */

static bool is_in_use(struct workload *w, const struct user *user)
{
	for (size_t i = 0; i < SCENARIO_LANES_MAX; i++) {
		if (workload_lane(w, user, i)->active > 0)
			return true;
	}
	return false;
}

/* Locked out and gone, as obox 4.11 wants it; and again until it is done. */
static void delete_user(struct workload *w, struct user *user)
{
	user->is_locked = true;
	while (is_in_use(w, user) && !workload_is_over(w))
		env_sleep(workload_lab(w), 100 * LAB_MSEC);
	while (!workload_is_over(w) &&
		client_user_delete(&w->client, user,
			workload_route(w, workload_lane(w, user, 0))) != HISTORY_OK)
		env_sleep(workload_lab(w), 2 * LAB_SEC);
	user->is_locked = false;
}

static void deletions(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	uint64_t n = 0;

	for (;;) {
		uint64_t beat_ns = env_now(workload_lab(w));

		if (!workload_await_beat(w, &beat_ns,
			    conf_range_pick(&fiber->user->group->obox_user_delete_interval,
				    workload_draw(w, fiber->user, "user.delete", n++))))
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
		conf_range_pick(&group->folders, workload_draw(w, user, "folders", 0)),
		CLIENT_FOLDERS_MAX);
	user->tokens = lab_map_new(workload_lab(w)->heap, HISTORY_OPS_MAX);
	for (uint32_t i = 0; i < SCENARIO_LANES_MAX; i++)
		*workload_lane(w, user, i) = (struct lane){ .user = user, .number = i };
}

int workload_start_fiber(struct workload *w, struct user *user, struct lane *lane, const char *name,
	env_fiber_fn fn, struct lab_error *err)
{
	struct user_fiber *fiber = lab_new(workload_lab(w)->heap, struct user_fiber);

	*fiber = (struct user_fiber){ w, user, lane };
	w->busy++;
	return env_spawn(workload_lab(w), name, fn, fiber, err);
}

static void tour(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct user *user = fiber->user;
	struct lane *lane = workload_lane(w, user, 0);
	size_t home = workload_home(w, user), count = w->settings.node_count;
	struct tour t = { .workload = w,
		.client = &w->client,
		.user = user,
		.nodes = { &w->settings.nodes[home], &w->settings.nodes[(home + 1) % count] },
		.action_delay_ns =
			workload_pick(w, lane, &user->group->mail_action_delay, "action.delay"),
		.close_delay_ns = w->settings.scenario->conf.metacache_close_delay_ns,
		.expunge_ppm = workload_pick(w, lane, &user->group->tour_expunge, "tour.expunge"),
		.bulk = (size_t)workload_pick(
			w, lane, &user->group->mail_bulk_count, "action.bulk") };

	env_sleep(workload_lab(w),
		workload_pick(w, lane, &user->group->mail_session_interval, "session.interval"));
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
			if (workload_start_fiber(w, user, NULL, "tour", tour, err) < 0)
				return -1;
			continue;
		}
		if (workload_start_fiber(w, user, NULL, "deliveries", workload_deliveries, err) < 0)
			return -1;
		if (user->group->obox_user_delete_interval.high > 0 &&
			workload_start_fiber(w, user, NULL, "deletions", deletions, err) < 0)
			return -1;
		for (size_t n = 0; n < workload_lane_count(w, user); n++) {
			if (workload_start_fiber(w, user, workload_lane(w, user, n), "sessions",
				    workload_sessions, err) < 0)
				return -1;
		}
	}
	return 0;
}

static struct operators_settings operators_of(struct workload *w)
{
	const char **users = lab_new_array(workload_lab(w)->heap, const char *, w->user_count + 1);

	for (size_t i = 0; i < w->user_count; i++)
		users[i] = w->users[i].name;
	return (struct operators_settings){ .scenario = w->settings.scenario,
		.seed = w->settings.seed,
		.lab = workload_lab(w),
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
	struct disk_watch_settings settings = { .lab = workload_lab(w),
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
