/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-login.c - a backend asks itself whether a user is really its own.
 */
#include "core/cluster/cluster-private.h"

#include "core/base/defect.h"
#include "core/env/hold.h"

#define ROUNDS_MAX 8

/* ---- the verdict on one lookup ---- */

/* Something has been learnt of the group since it was read for this lookup. */
static bool is_overtaken(struct cluster *c, const struct cluster_lookup *l, struct lab_arena *arena)
{
	struct cluster_group now = l->question.group;

	return l->question.group_known != ROUTE_UNREAD &&
	       localdb_get_group(c->localdb, &now, ENV_FOREVER, arena) == 1 &&
	       now.version_us > l->question.group.version_us;
}

static enum verdict verdict_of(struct cluster *c, const struct cluster_lookup *l, bool is_referred)
{
	const struct route_question *q = &l->question;
	const struct cluster_member *member = cluster_member_find(c, q->user.username);
	const struct verdict_question v = { .route = q,
		.answer = &l->answer,
		.me = l->me,
		.is_referred = is_referred,
		.has_sessions = member != NULL && member->sessions > 0,
		.is_being_moved = member != NULL && member->is_being_moved,
		.was_moved = q->group_known != ROUTE_UNREAD &&
			     localdb_was_moved(c->localdb, q->group.name, q->group.moving,
				     q->user.username) };

	/* Palomar 2.2, L10: nobody is believed who says that the user belongs here. */
	if (lab_defect(LOGIN_NOT_RECHECKED) && l->answer.step == ROUTE_BACKEND)
		return VERDICT_ACCEPT;
	return route_verdict(&v);
}

static int accept(struct cluster *c, const struct cluster_lookup *l, struct lab_error *err)
{
	struct cluster_member *member = cluster_member_get(c, l->question.user.username);
	const struct lab_view group = l->question.group.name;

	if (member == NULL)
		return cluster_tempfail(err, "too many users on this backend");
	member->sessions++;
	if (!lab_view_eq(member->group, group)) {
		uint8_t *copy = lab_heap_alloc(c->env->heap, group.len + 1);

		memcpy(copy, group.ptr, group.len);
		lab_heap_free(c->env->heap, (void *)(uintptr_t)member->group.ptr);
		member->group = lab_view_of(copy, group.len);
	}
	return 0;
}

/* Until the user's move has ended. */
static int hold(struct cluster *c, struct lab_view username, struct lab_error *err)
{
	uint64_t deadline = env_now(c->env) + c->settings.hold_ns;
	const struct cluster_member *member;

	while ((member = cluster_member_find(c, username)) != NULL && member->is_being_moved) {
		if (env_cond_wait(c->env, &c->changed, deadline) != 0)
			return cluster_tempfail(err, "the user is being moved");
	}
	return 0;
}

/* ---- referring ---- */

struct kick {
	struct cluster *cluster;
	struct lab_view user;
	uint8_t text[CLUSTER_USERNAME_MAX];
};

static void kick_main(void *arg)
{
	struct kick *kick = arg;
	struct cluster *c = kick->cluster;

	(void)cluster_move_sessions(c, kick->user, LAB_VIEW(""));
	lab_heap_free(c->env->heap, kick);
	c->running--;
	env_cond_broadcast(c->env, &c->changed);
}

/* Who belongs elsewhere has nothing to do here (palomar 4.4, 5). */
static void kick_others(struct cluster *c, struct lab_view username)
{
	const struct cluster_member *member = cluster_member_find(c, username);
	struct kick *kick;

	if (member == NULL || member->sessions == 0 || member->is_being_moved || c->is_closing ||
		lab_defect(LOSERS_SESSIONS_STAY))
		return;
	kick = lab_new(c->env->heap, struct kick);
	kick->cluster = c;
	memcpy(kick->text, username.ptr, username.len);
	kick->user = lab_view_of(kick->text, username.len);
	c->running++;
	if (env_spawn(c->env, "cluster-kick", kick_main, kick, NULL) < 0) {
		c->running--;
		lab_heap_free(c->env->heap, kick);
	}
}

static void refer(const struct cluster_lookup *l, struct lab_arena *arena, bool to_alt,
	struct cluster_place *ret)
{
	const struct cluster_backend *backend =
		to_alt ? route_move_target(l->question.view, &l->question.group)
		       : l->answer.backend;

	ret->user = l->question.user.username;
	ret->is_backend = backend != NULL;
	ret->host = lab_arena_copy(
		arena, backend != NULL ? backend->host : l->answer.site->load_balancer);
}

/* GeoDB cannot be read, but the group is known to have left: for an hour that is good enough
 * (palomar 2.5, M6). The user's last known group counts. 1, or 0. */
static int refer_from_memory(struct cluster *c, struct lab_view username, struct lab_arena *arena,
	struct cluster_place *ret)
{
	struct cluster_user user = { .username = { NULL, 0 } };
	struct cluster_snapshot *snapshot = cluster_view_take(c, false, NULL);
	const struct cluster_backend *backend = NULL;
	struct cluster_id to;

	if (snapshot != NULL &&
		cluster_username_normalise(username, arena, &user.username, NULL) == 0 &&
		localdb_get_user(c->localdb, &user, c->settings.localdb.moved_ttl_ns, arena) == 1 &&
		localdb_group_went(c->localdb, user.group_name, &to) == 1)
		backend = cluster_view_backend(&snapshot->view, to);
	if (backend != NULL)
		*ret = (struct cluster_place){ .user = user.username,
			.host = lab_arena_copy(arena, backend->host),
			.is_backend = true };
	cluster_view_release(c, &snapshot);
	return backend != NULL;
}

/* ---- logins ---- */

/* 1 it is decided, 0 look again (with *fresh), -1 */
static int act(struct cluster *c, struct cluster_lookup *l, bool is_referred,
	struct lab_arena *arena, bool *fresh, enum cluster_login_result *ret_result,
	struct cluster_place *ret, struct lab_error *err)
{
	const struct lab_view user = l->question.user.username;
	const struct cluster_group *group = &l->question.group;
	enum verdict verdict = verdict_of(c, l, is_referred);

	*ret_result = CLUSTER_REFERRED;
	switch (verdict) {
	case VERDICT_ACCEPT:
	case VERDICT_ACCEPT_MOVING:
		*ret_result = CLUSTER_ACCEPTED;
		*ret = (struct cluster_place){
			.user = user, .host = c->settings.backend_name, .is_backend = true
		};
		if (accept(c, l, err) < 0)
			return -1;
		if (verdict == VERDICT_ACCEPT_MOVING)
			cluster_move_wanted(c, group->name);
		return 1;
	case VERDICT_REFER:
		kick_others(c, user);
		refer(l, arena, false, ret);
		return 1;
	case VERDICT_REFER_MOVED:
		/* Not to be marked is no harm: nobody without sessions is accepted. */
		(void)localdb_mark_moved(c->localdb, group->name, group->moving, user, NULL);
		kick_others(c, user);
		cluster_move_wanted(c, group->name);
		refer(l, arena, true, ret);
		return 1;
	case VERDICT_HOLD:
		return hold(c, user, err);
	case VERDICT_MOVE_USER:
		*fresh = true;
		return cluster_move_user(c, user, err);
	case VERDICT_READ:
		*fresh = true;
		return 0;
	case VERDICT_TEMPFAIL:
		break;
	}
	return cluster_tempfail(err, l->answer.reason);
}

int cluster_login(struct cluster *c, struct lab_view username, bool is_referred,
	struct lab_arena *arena, enum cluster_login_result *ret_result, struct cluster_place *ret,
	struct lab_error *err)
{
	bool fresh = false;

	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		struct cluster_lookup lookup;
		int result = cluster_lookup_run(c, username, fresh, arena, &lookup, err);
		bool by_memory = result < 0 || lab_defect(MEMORY_BEFORE_GEODB);

		*ret_result = CLUSTER_REFERRED;
		ENV_HOLD(c->env, login_decided,
			lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(username)));
		if (by_memory && refer_from_memory(c, username, arena, ret) == 1) {
			result = 1;
		} else if (result == 0 && !is_overtaken(c, &lookup, arena)) {
			result = act(c, &lookup, is_referred, arena, &fresh, ret_result, ret, err);
		}
		cluster_lookup_done(c, &lookup);
		if (result != 0)
			return result < 0 ? -1 : 0;
	}
	return cluster_tempfail(err, "where the user belongs keeps changing");
}

/* ---- who does not belong here any more ---- */

/* True if the user was kicked. */
static bool recheck_user(struct cluster *c, struct lab_view username, struct lab_arena *arena)
{
	struct cluster_lookup lookup;
	enum verdict verdict = VERDICT_READ;
	bool is_kicked = false;

	for (int fresh = 0; fresh < 2 && verdict == VERDICT_READ; fresh++) {
		if (cluster_lookup_run(c, username, fresh == 1, arena, &lookup, NULL) < 0)
			verdict = VERDICT_TEMPFAIL;
		else
			verdict = is_overtaken(c, &lookup, arena) ? VERDICT_READ
								  : verdict_of(c, &lookup, false);
		if (verdict == VERDICT_REFER || verdict == VERDICT_REFER_MOVED) {
			kick_others(c, username);
			is_kicked = true;
		}
		if (verdict == VERDICT_ACCEPT_MOVING || verdict == VERDICT_REFER_MOVED)
			cluster_move_wanted(c, lookup.question.group.name);
		cluster_lookup_done(c, &lookup);
	}
	if (verdict == VERDICT_MOVE_USER)
		(void)cluster_move_user(c, username, NULL);
	return is_kicked;
}

size_t cluster_recheck(struct cluster *c)
{
	struct lab_arena *names = lab_arena_new(c->env->heap, CLUSTER_VIEW_MAX_BYTES);
	struct lab_arena *work = lab_arena_new(c->env->heap, CLUSTER_WORK_MAX_BYTES);
	size_t count = 0, kicked = 0, all = lab_map_count(c->members);
	struct lab_view *users = lab_arena_array(names, struct lab_view, all);
	struct lab_map_iter iter = lab_map_iterate(c->members);
	struct lab_view name;
	void *member;

	/* The map changes while somebody is asked. */
	while (lab_map_next(&iter, &name, &member))
		users[count++] = lab_arena_copy(names, name);
	for (size_t i = 0; i < count && !c->is_closing && !lab_defect(SESSIONS_NOT_RECHECKED);
		i++) {
		if (cluster_sessions(c, users[i]) > 0)
			kicked += recheck_user(c, users[i], work);
		lab_arena_reset(work);
	}
	lab_arena_free(&work);
	lab_arena_free(&names);
	return kicked;
}
