/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-move.c - the source of a move: groups and users that leave this backend (palomar 2.5,
 * 2.6).
 *
 * Each round begins with what GeoDB says, so it does not matter where the last one ended, or on
 * which run of this host: who has no session here has moved, whoever says otherwise.
 */
#include "core/cluster/cluster-private.h"

#include "core/base/defect.h"
#include "core/base/mark.h"
#include "core/env/hold.h"

#define ROUNDS_MAX 20 /* of one group, those included that GeoDB failed */
#define ROUND_WAIT_NS LAB_SEC
#define PASSES_MAX 5 /* over the members of one round: who came meanwhile */

/* ---- sessions of one user ---- */

static void wait_while_moved(struct cluster *c, struct lab_view username, uint64_t deadline)
{
	const struct cluster_member *member;

	while ((member = cluster_member_find(c, username)) != NULL && member->is_being_moved) {
		if (env_cond_wait(c->env, &c->changed, deadline) != 0)
			return;
	}
}

static void hold_kicked(struct cluster *c, struct lab_view username)
{
	char name[CLUSTER_USERNAME_MAX + 1];

	if (lab_view_to_cstr(username, name, sizeof(name)) == 0)
		ENV_HOLD(c->env, sessions_kicked, name);
}

bool cluster_move_sessions(struct cluster *c, struct lab_view username, struct lab_view to)
{
	uint64_t deadline = env_now(c->env) + c->settings.user_move_timeout_ns;
	struct cluster_member *member;
	bool is_gone;

	wait_while_moved(c, username, deadline);
	member = cluster_member_find(c, username);
	if (member == NULL || member->is_being_moved)
		return member == NULL;
	ENV_EVENT(c->env, LAB_EV_cluster_user_move_started, LAB_F_TEXT("user", username),
		LAB_F_TEXT("dest_host", to));
	member->is_being_moved = true;
	if (!lab_defect(KICK_NEVER_SENT))
		c->ops.kick(c->ops.ctx, username, deadline);
	hold_kicked(c, username);
	while (member->sessions > 0 && !lab_defect(KICK_TAKEN_FOR_GONE) &&
		env_cond_wait(c->env, &c->changed, deadline) == 0) {
	}
	/* After the time-out it counts as moved: sessions may be left (palomar 2.6). */
	is_gone = member->sessions == 0 || lab_defect(KICK_TAKEN_FOR_GONE);
	if (!is_gone)
		LAB_MARK(user_move_timed_out);
	member->is_being_moved = false;
	ENV_EVENT(c->env, LAB_EV_cluster_user_move_finished, LAB_F_TEXT("user", username),
		LAB_F_TEXT("dest_host", to),
		LAB_F_CSTR("error", is_gone ? "" : "timed out: sessions are left"));
	cluster_member_put(c, member);
	env_cond_broadcast(c->env, &c->changed);
	return is_gone;
}

/* ---- a group ---- */

struct round {
	struct cluster *cluster;
	struct lab_arena *arena;
	struct cluster_snapshot *snapshot;
	struct cluster_id site, me;
	struct cluster_group row;
	const struct cluster_backend *to; /* NULL: nowhere, it is to be taken back */
	struct lab_view *users;
	size_t user_count;
	unsigned moved, failed;
};

/* What GeoDB says now. 1 it is to move away from here, 0 it is not (any more), -1. */
static int look(struct round *r, struct lab_view group, struct lab_error *err)
{
	struct cluster *c = r->cluster;
	int found;

	cluster_view_release(c, &r->snapshot);
	r->snapshot = cluster_view_take(c, true, err);
	if (r->snapshot == NULL || cluster_self(c, &r->snapshot->view, &r->site, &r->me, err) < 0)
		return -1;
	r->row = (struct cluster_group){ .site_id = r->site, .name = group };
	found = geodb_get(c->geodb, CLUSTER_TABLE_GROUP, &r->row, r->arena, err);
	if (found <= 0)
		return found;
	localdb_put_group(c->localdb, &r->row);
	r->to = route_move_target(&r->snapshot->view, &r->row);
	return cluster_id_eq(r->row.backend_id, r->me) && r->row.moving.len > 0;
}

static bool is_to_move(const struct round *r, const struct cluster_member *member)
{
	return member->sessions > 0 && lab_view_eq(member->group, r->row.name) &&
	       !localdb_was_moved(r->cluster->localdb, r->row.name, r->row.moving, member->name);
}

static void collect_users(struct round *r)
{
	struct lab_map_iter iter = lab_map_iterate(r->cluster->members);
	struct lab_view key;
	void *member;

	r->user_count = 0;
	r->users = lab_arena_array(r->arena, struct lab_view, lab_map_count(r->cluster->members));
	while (lab_map_next(&iter, &key, &member)) {
		if (is_to_move(r, member))
			r->users[r->user_count++] = lab_arena_copy(r->arena, key);
	}
}

static void move_one(void *ctx, size_t index)
{
	struct round *r = ctx;
	struct lab_view user = r->users[index];

	if (cluster_move_sessions(r->cluster, user, r->to->host))
		r->moved++;
	else
		r->failed++;
	/* Not to be marked is no harm: nobody without sessions is accepted here. */
	(void)localdb_mark_moved(r->cluster->localdb, r->row.name, r->row.moving, user, NULL);
}

/* M3 */
static void move_users(struct round *r)
{
	for (unsigned i = 0; i < PASSES_MAX; i++) {
		collect_users(r);
		if (r->user_count == 0)
			return;
		env_for_each(r->cluster->env, r->user_count, r->cluster->settings.moves_parallel,
			move_one, r);
	}
}

/* M5, or back. 0 or -1. */
static int finish(struct round *r, struct lab_error *err)
{
	struct cluster *c = r->cluster;
	struct cluster_id to = r->to == NULL ? r->me : r->to->id;
	struct cluster_group after;
	uint32_t columns = route_group_after(&r->snapshot->view, &c->settings.policy, &r->row, to,
		env_draw(c->env, "cluster.alt", c->draws++), &after);

	after.version_us = lab_defect(MOVE_FINISHED_TWICE) ? geodb_timestamp(c->geodb, 0)
							   : r->row.version_us + 1;
	if (geodb_put(c->geodb, CLUSTER_TABLE_GROUP, &after, columns, after.version_us, err) < 0)
		return -1;
	localdb_put_group(c->localdb, &after);
	r->row = after;
	return 0;
}

/* M6: what has become of it. */
static void remember(struct round *r, bool is_known)
{
	struct cluster *c = r->cluster;

	if (!is_known)
		return;
	if (cluster_id_eq(r->row.backend_id, r->me))
		localdb_forget_group(c->localdb, r->row.name);
	else
		(void)localdb_mark_group(c->localdb, r->row.name, r->row.backend_id, NULL);
}

/* 1 the move is over, 0 look again, -1 */
static int run_round(struct round *r, struct lab_view group, struct lab_error *err)
{
	struct lab_view move;
	struct cluster_id alt;
	int result = look(r, group, err);

	if (result <= 0) {
		remember(r, result == 0 && cluster_id_is_set(r->row.backend_id));
		return result < 0 ? -1 : 1;
	}
	if (r->to != NULL) {
		move = r->row.moving;
		alt = r->row.alt_backend_id;
		move_users(r);
		/* Meanwhile somebody may have decided otherwise, or the target may be gone. */
		if (!lab_defect(MOVE_FINISHED_TWICE))
			result = look(r, group, err);
		if (result <= 0 || r->to == NULL || !lab_view_eq(r->row.moving, move) ||
			!cluster_id_eq(r->row.alt_backend_id, alt))
			return result < 0 ? -1 : 0;
	}
	ENV_HOLD(r->cluster->env, group_left, "");
	if (finish(r, err) < 0)
		return -1;
	LAB_MARK(group_moved);
	remember(r, true);
	return 1;
}

static void move_group(struct cluster *c, struct lab_view group)
{
	struct round r = { .cluster = c,
		.arena = lab_arena_new(c->env->heap, CLUSTER_VIEW_MAX_BYTES) };
	struct lab_error err = { .code = LAB_OK };
	int result = 0;

	ENV_EVENT(c->env, LAB_EV_cluster_user_group_move_started, LAB_F_TEXT("group", group));
	for (unsigned i = 0; i < ROUNDS_MAX && result <= 0 && !c->is_closing; i++) {
		result = run_round(&r, group, &err);
		if (result < 0)
			env_sleep(c->env, ROUND_WAIT_NS);
		lab_arena_reset(r.arena);
	}
	/* What is left undone is done at the next access. */
	ENV_EVENT(c->env, LAB_EV_cluster_user_group_move_finished, LAB_F_TEXT("group", group),
		LAB_F_U64("moved_users", r.moved), LAB_F_U64("failed_users", r.failed),
		LAB_F_CSTR("error", result > 0   ? ""
				    : result < 0 ? err.message
						 : "not finished"));
	cluster_view_release(c, &r.snapshot);
	lab_arena_free(&r.arena);
}

static void forget_move(struct cluster *c, struct cluster_move *move)
{
	struct cluster_move **at = &c->moves;

	while (*at != move)
		at = &(*at)->next;
	*at = move->next;
	lab_heap_free(c->env->heap, move->group);
	lab_heap_free(c->env->heap, move);
	c->running--;
	env_cond_broadcast(c->env, &c->changed);
}

static void move_main(void *arg)
{
	struct cluster_move *move = arg;
	struct cluster *c = move->cluster;

	if (env_semaphore_take(c->env, &c->one_move, ENV_FOREVER, NULL) == 0) {
		if (!c->is_closing)
			move_group(c, lab_view_cstr(move->group));
		env_semaphore_give(c->env, &c->one_move);
	}
	forget_move(c, move);
}

void cluster_move_wanted(struct cluster *c, struct lab_view group)
{
	struct cluster_move *move;

	for (move = c->moves; move != NULL; move = move->next) {
		if (lab_view_eq_cstr(group, move->group))
			return;
	}
	if (c->is_closing)
		return;
	move = lab_new(c->env->heap, struct cluster_move);
	move->cluster = c;
	move->group = lab_heap_alloc(c->env->heap, group.len + 1);
	memcpy(move->group, group.ptr, group.len);
	move->next = c->moves;
	c->moves = move;
	c->running++;
	/* Without a fiber the next access tries again. */
	if (env_spawn(c->env, "cluster-move", move_main, move, NULL) < 0)
		forget_move(c, move);
}

void cluster_group_access(struct cluster *c, struct lab_view group)
{
	cluster_move_wanted(c, group);
}

/* ---- a user alone ---- */

/* Its new group is served by this very backend: nobody has to leave. */
static bool stays_here(struct cluster *c, const struct cluster_lookup *l, struct lab_arena *arena)
{
	struct cluster_group group = { .site_id = l->question.user.moving_site_id,
		.name = l->question.user.moving_group };

	return cluster_id_eq(group.site_id, l->question.local_site) &&
	       geodb_get(c->geodb, CLUSTER_TABLE_GROUP, &group, arena, NULL) == 1 &&
	       cluster_id_eq(group.backend_id, l->me);
}

/* Where to does not exist or is not online: the move is taken back. */
static bool is_possible(const struct cluster_lookup *l)
{
	const struct cluster_site *site =
		cluster_view_site(l->question.view, l->question.user.moving_site_id);

	return site != NULL &&
	       (site->status == CLUSTER_ONLINE || cluster_id_eq(site->id, l->question.local_site));
}

static bool is_same_move(const struct cluster_user *a, const struct cluster_user *b)
{
	return cluster_id_eq(a->moving_site_id, b->moving_site_id) &&
	       lab_view_eq(a->moving_group, b->moving_group) &&
	       cluster_id_eq(a->site_id, b->site_id) && lab_view_eq(a->group_name, b->group_name);
}

#define MOVING_COLUMNS \
	(USER_COLUMN(moving_site_id) | USER_COLUMN(moving_group) | USER_COLUMN(moving_started))

static int finish_user(struct cluster *c, const struct cluster_lookup *l, struct lab_arena *arena,
	struct lab_error *err)
{
	struct cluster_user now = { .username = l->question.user.username }, after;
	uint32_t columns;
	int found = geodb_get(c->geodb, CLUSTER_TABLE_USER, &now, arena, err);

	if (found < 0)
		return -1;
	if (found == 0 || !is_same_move(&now, &l->question.user)) {
		localdb_drop_user(c->localdb, now.username);
		return 0;
	}
	columns = route_user_after(&now, &after);
	if (!is_possible(l)) {
		columns = MOVING_COLUMNS;
		after.site_id = now.site_id;
		after.group_name = now.group_name;
		after.failover_site_id = now.failover_site_id;
		after.failover_group = now.failover_group;
	}
	after.version_us = now.version_us + 1;
	if (geodb_put(c->geodb, CLUSTER_TABLE_USER, &after, columns, after.version_us, err) < 0)
		return -1;
	localdb_put_user(c->localdb, &after);
	return 0;
}

int cluster_move_user(struct cluster *c, struct lab_view username, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(c->env->heap, CLUSTER_WORK_MAX_BYTES);
	struct cluster_lookup l;
	int result = cluster_lookup_run(c, username, true, arena, &l, err);
	bool is_here = result == 0 && l.answer.step == ROUTE_BACKEND &&
		       cluster_id_eq(l.answer.backend->id, l.me);

	if (is_here && l.question.user.moving_group.len > 0) {
		if (is_possible(&l) && !stays_here(c, &l, arena))
			(void)cluster_move_sessions(
				c, l.question.user.username, l.question.user.moving_group);
		result = finish_user(c, &l, arena, err);
	}
	cluster_lookup_done(c, &l);
	lab_arena_free(&arena);
	return result < 0 ? cluster_is_temporary(err) : result;
}
