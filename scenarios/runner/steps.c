/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/steps.h"

#include "scenarios/format/client-words.h"

#include <stdio.h>
#include <stdlib.h>

#define SESSION_ARENA_MAX ((size_t)1 << 30)
#define DELIVERIES_MAX (1u << 24)

/* A mail on its way: its attempts follow each other. */
struct parcel {
	bool is_under_way, is_delivered;
	struct env_cond ended;
};

struct player {
	struct steps_settings settings;
	struct lab_heap *heap;
	const struct scenario_step **order; /* of time; equal ones as in the file */
	size_t count;
	struct lab_map *parcels;  /* token -> parcel */
	struct lab_map *sessions; /* those that have begun */
	size_t *active;           /* of each user: sessions and deliveries under way */
};

/* What a fiber has to do: one step, or all of a session from `first` in the order on. */
struct task {
	struct player *player;
	const struct scenario_step *step;
	size_t first;
};

static struct env *lab(const struct player *p)
{
	return p->settings.client->lab;
}

static struct user *user_of(struct player *p, const struct scenario_step *step)
{
	return workload_user(p->settings.workload, (size_t)step->user - 1);
}

static size_t *active_of(struct player *p, const struct scenario_step *step)
{
	return &p->active[step->user - 1];
}

static struct node *node_of(struct player *p, const struct scenario_step *step)
{
	for (size_t i = 0; i < p->settings.node_count; i++) {
		if (lab_view_eq_cstr(step->backend, p->settings.nodes[i].name))
			return &p->settings.nodes[i];
	}
	return NULL;
}

static void sleep_until(struct player *p, uint64_t at_ns)
{
	uint64_t now_ns = env_now(lab(p));

	if (at_ns > now_ns)
		env_sleep(lab(p), at_ns - now_ns);
}

static uint64_t token_of(const struct scenario_step *step, uint32_t number)
{
	return number == 0 ? 0 : step->user << 32 | number;
}

/* ---- deliveries ---- */

static struct parcel *parcel_of(struct player *p, uint64_t token)
{
	void **slot = lab_map_slot(p->parcels, lab_view_of(&token, sizeof(token)));

	lab_assert(slot != NULL);
	if (*slot == NULL)
		*slot = lab_new(p->heap, struct parcel);
	return *slot;
}

static void wait_until_unlocked(struct player *p, const struct user *user)
{
	while (user->is_locked)
		env_sleep(lab(p), LAB_SEC);
}

static void attempt(struct player *p, const struct scenario_step *step, uint64_t token,
	struct parcel *parcel, uint64_t patience_ns)
{
	struct user *user = user_of(p, step);
	struct lab_arena *arena = lab_arena_new(lab(p)->heap, 2 * (size_t)MAIL_BYTES_MAX);
	struct lab_view mail = workload_mail(p->settings.workload, user, token, arena);
	uint64_t began_ns = env_now(lab(p));
	enum history_outcome outcome;

	parcel->is_under_way = true;
	++*active_of(p, step);
	outcome = client_deliver(
		p->settings.client, user, node_of(p, step), step->folder, token, mail, step->flag);
	--*active_of(p, step);
	parcel->is_under_way = false;
	/* Else the MTA has hung up before it was told. */
	if (outcome == HISTORY_OK &&
		(patience_ns == 0 || env_now(lab(p)) - began_ns <= patience_ns))
		parcel->is_delivered = true;
	env_cond_broadcast(lab(p), &parcel->ended);
	lab_arena_free(&arena);
}

static void deliver(void *arg)
{
	struct task *task = arg;
	struct player *p = task->player;
	const struct scenario_step *step = task->step;
	struct lab_view rest = step->mails;
	struct scenario_mail mail = { 0, 0 };
	struct parcel *parcel;
	uint64_t token, patience_ns;

	(void)scenario_next_mail(&rest, &mail);
	token = token_of(step, mail.number);
	parcel = parcel_of(p, token);
	patience_ns = workload_patience(p->settings.workload, user_of(p, step), token);
	while (patience_ns == 0 && parcel->is_under_way)
		(void)env_cond_wait(lab(p), &parcel->ended, ENV_FOREVER);
	wait_until_unlocked(p, user_of(p, step));
	if (!parcel->is_delivered)
		attempt(p, step, token, parcel, patience_ns);
	--*p->settings.busy;
}

/* ---- which mails ---- */

struct choice {
	size_t *mails;
	size_t count;
	bool *taken; /* of the view */
};

static size_t find_mail(
	const struct client_view *view, const bool *taken, uint64_t token, uint32_t uid)
{
	for (size_t i = 0; i < view->count; i++) {
		if (!taken[i] && view->mails[i].token == token &&
			(uid == 0 || view->mails[i].uid == uid))
			return i;
	}
	return SIZE_MAX;
}

/* By number and UID; by number; among those whose numbers are not known by UID. */
static size_t find_wanted(const struct client_view *view, const bool *taken, uint64_t token,
	const struct scenario_mail *wanted)
{
	size_t at = token == 0 ? SIZE_MAX : find_mail(view, taken, token, wanted->uid);

	if (at == SIZE_MAX && token != 0)
		at = find_mail(view, taken, token, 0);
	if (at == SIZE_MAX && wanted->uid != 0)
		at = find_mail(view, taken, 0, wanted->uid);
	return at;
}

/* Reads the bodies of all mails whose numbers nobody knows. */
static bool read_unknown(struct client_session *session)
{
	size_t unknown[CLIENT_BULK_MAX], count = 0;

	for (size_t i = 0; i < session->view.count && count < CLIENT_BULK_MAX; i++) {
		if (session->view.mails[i].token == 0)
			unknown[count++] = i;
	}
	return count == 0 || client_fetch(session, unknown, count);
}

static bool is_there(const struct client_view *view, uint64_t token)
{
	for (size_t i = 0; i < view->count; i++) {
		if (view->mails[i].token == token)
			return true;
	}
	return false;
}

/* The mails of the step that the session sees. A mail that is not there by its number, and has no
 * UID by which it could be, may be one that was never read. False: the connection is gone. */
static bool choose(
	struct client_session *session, const struct scenario_step *step, struct choice *ret)
{
	struct client_view *view = &session->view;
	struct lab_view rest = step->mails;
	struct scenario_mail wanted;
	bool has_read = false;

	ret->taken = lab_arena_array(session->arena, bool, view->count + 1);
	ret->mails = lab_arena_array(session->arena, size_t, CLIENT_BULK_MAX);
	memset(ret->taken, 0, (view->count + 1) * sizeof(bool));
	ret->count = 0;
	while (ret->count < CLIENT_BULK_MAX && scenario_next_mail(&rest, &wanted)) {
		uint64_t token = token_of(step, wanted.number);
		size_t at = find_wanted(view, ret->taken, token, &wanted);

		if (at == SIZE_MAX && token != 0 && !has_read && !is_there(view, token)) {
			if (!read_unknown(session))
				return false;
			has_read = true;
			at = find_wanted(view, ret->taken, token, &wanted);
		}
		if (at == SIZE_MAX)
			continue;
		ret->taken[at] = true;
		ret->mails[ret->count++] = at;
	}
	return true;
}

/* ---- one step of a session ---- */

static bool on_mails(struct client_session *session, const struct scenario_step *step)
{
	struct choice c;

	if (!choose(session, step, &c))
		return false;
	if (c.count == 0)
		return true;
	switch ((int)step->what) {
	case HISTORY_FETCH:
		return client_fetch(session, c.mails, c.count);
	case HISTORY_STORE:
		return client_store(session, c.mails[0], step->flag, step->is_set);
	case HISTORY_COPY:
		return client_copy(session, c.mails[0], step->target);
	case HISTORY_MOVE:
		return client_move(session, c.mails, c.count, step->target);
	case HISTORY_EXPUNGE:
		return client_expunge(session, c.mails, c.count);
	default:
		lab_bug("an operation on mails");
	}
}

static bool search(struct client_session *session, const struct scenario_step *step)
{
	struct lab_view rest = step->mails;
	struct scenario_mail mail = { 0, 0 };

	for (size_t i = 0; i < CLIENT_WORDS; i++) {
		if (lab_view_eq(step->word, client_word(i)))
			return client_search(session, i, 0);
	}
	(void)scenario_next_mail(&rest, &mail);
	return mail.number == 0 || client_search(session, 0, token_of(step, mail.number));
}

static bool on_folders(struct client_session *session, const struct scenario_step *step)
{
	switch ((int)step->what) {
	case HISTORY_CREATE:
		return client_create(session, step->folder, step->special);
	case HISTORY_RENAME:
		return client_rename(session, step->folder, step->target);
	case HISTORY_DELETE:
		return client_delete(session, step->folder);
	case HISTORY_SUBSCRIBE:
		return client_subscribe(session, step->folder, step->is_set);
	case HISTORY_STATUS:
		return client_status(session, step->folder);
	case HISTORY_QUOTA:
		return client_quota(session);
	case HISTORY_AUTOEXPUNGE:
		client_logout(session);
		return false;
	default:
		lab_bug("an operation on folders");
	}
}

#define KIND(name) (UINT64_C(1) << HISTORY_##name)
#define ON_MAILS (KIND(FETCH) | KIND(STORE) | KIND(COPY) | KIND(MOVE) | KIND(EXPUNGE))
#define IN_FOLDER (ON_MAILS | KIND(SEARCH))

/* False: the session is over. */
static bool do_step(struct client_session *session, const struct scenario_step *step)
{
	uint64_t kind = UINT64_C(1) << step->what;

	/* One that fails leaves the connection as it was. */
	if (step->what == HISTORY_SELECT) {
		(void)client_select(session, step->folder);
		return true;
	}
	if ((kind & IN_FOLDER) == 0)
		return on_folders(session, step);
	if (!lab_view_eq(session->view.folder, step->folder) &&
		!client_select(session, step->folder))
		return session->node->is_up && session->node->boots == session->boots;
	return step->what == HISTORY_SEARCH ? search(session, step) : on_mails(session, step);
}

static bool is_of_session(const struct scenario_step *step, const struct scenario_step *first)
{
	return step == first || (step->session != 0 && step->session == first->session);
}

static void run_session(void *arg)
{
	struct task *task = arg;
	struct player *p = task->player;
	const struct scenario_step *first = task->step;
	struct user *user = user_of(p, first);
	struct node *node = node_of(p, first);
	struct client_session session = { .client = p->settings.client,
		.user = user,
		.node = node,
		.boots = node->boots,
		.arena = lab_arena_new(lab(p)->heap, SESSION_ARENA_MAX) };
	bool is_let_in = !user->is_locked, goes_on = is_let_in;

	*active_of(p, first) += is_let_in;
	for (size_t i = task->first; goes_on && i < p->count; i++) {
		if (!is_of_session(p->order[i], first))
			continue;
		sleep_until(p, p->order[i]->at_ns);
		goes_on = do_step(&session, p->order[i]);
		if (first->session == 0)
			break;
	}
	*active_of(p, first) -= is_let_in;
	lab_arena_free(&session.arena);
	--*p->settings.busy;
}

/* ---- operators ---- */

static void flush(void *arg)
{
	struct task *task = arg;
	struct player *p = task->player;

	(void)client_flush(p->settings.client, user_of(p, task->step), node_of(p, task->step));
	--*p->settings.busy;
}

static void operate(void *arg)
{
	struct task *task = arg;
	struct player *p = task->player;
	const struct scenario_step *step = task->step;
	const char *user = user_of(p, step)->name;
	bool is_named = lab_view_find(step->command, lab_view_cstr(user)) != SIZE_MAX;

	(void)operators_do(
		&p->settings.operators, node_of(p, step), is_named ? user : "", step->command);
	--*p->settings.busy;
}

static bool is_deleted_again(const struct player *p, const struct task *task)
{
	for (size_t i = task->first + 1; i < p->count; i++) {
		if (p->order[i]->what == HISTORY_USER_DELETE &&
			p->order[i]->user == task->step->user)
			return true;
	}
	return false;
}

/* Locked out and gone; the operator tries again until it is done. */
static void user_delete(void *arg)
{
	struct task *task = arg;
	struct player *p = task->player;
	struct user *user = user_of(p, task->step);
	enum history_outcome outcome;

	user->is_locked = true;
	while (*active_of(p, task->step) > 0)
		env_sleep(lab(p), 100 * LAB_MSEC);
	outcome = client_user_delete(p->settings.client, user, node_of(p, task->step));
	if (outcome == HISTORY_OK || !is_deleted_again(p, task))
		user->is_locked = false;
	--*p->settings.busy;
}

/* ---- everything in time ---- */

static env_fiber_fn fiber_of(enum history_kind kind)
{
	switch ((int)kind) {
	case HISTORY_DELIVER:
		return deliver;
	case HISTORY_FLUSH:
		return flush;
	case HISTORY_OPERATE:
		return operate;
	case HISTORY_USER_DELETE:
		return user_delete;
	default:
		return run_session;
	}
}

static bool has_begun(struct player *p, const struct scenario_step *step)
{
	void **slot;
	bool result;

	if (step->session == 0 || fiber_of(step->what) != run_session)
		return false;
	slot = lab_map_slot(p->sessions, lab_view_of(&step->session, sizeof(step->session)));
	lab_assert(slot != NULL);
	result = *slot != NULL;
	*slot = p;
	return result;
}

static void play(void *arg)
{
	struct player *p = arg;
	struct lab_error err;

	for (size_t i = 0; i < p->count; i++) {
		const struct scenario_step *step = p->order[i];
		struct task *task;

		if (has_begun(p, step))
			continue;
		sleep_until(p, step->at_ns);
		task = lab_new(p->heap, struct task);
		*task = (struct task){ p, step, i };
		++*p->settings.busy;
		if (env_spawn(lab(p), "step", fiber_of(step->what), task, &err) < 0)
			lab_bug("no fiber for a step");
	}
	--*p->settings.busy;
}

static int compare_steps(const void *a, const void *b)
{
	const struct scenario_step *x = *(const struct scenario_step *const *)a;
	const struct scenario_step *y = *(const struct scenario_step *const *)b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x < y ? -1 : x > y;
}

int steps_start(const struct steps_settings *settings, struct lab_error *err)
{
	const struct scenario *s = settings->scenario;
	struct lab_heap *heap = settings->client->lab->heap;
	struct player *p;

	if (s->step_count == 0)
		return 0;
	p = lab_new(heap, struct player);
	*p = (struct player){ .settings = *settings, .heap = heap, .count = s->step_count };
	p->order = lab_new_array(heap, const struct scenario_step *, p->count);
	for (size_t i = 0; i < p->count; i++)
		p->order[i] = &s->steps[i];
	qsort(p->order, p->count, sizeof(*p->order), compare_steps);
	p->parcels = lab_map_new(heap, DELIVERIES_MAX);
	p->sessions = lab_map_new(heap, DELIVERIES_MAX);
	p->active = lab_new_array(heap, size_t, workload_users(settings->workload));
	++*settings->busy;
	return env_spawn(settings->client->lab, "steps", play, p, err);
}
