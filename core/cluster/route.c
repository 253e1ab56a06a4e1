/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - who serves a user.
 */
#include "core/cluster/route.h"
#include "core/cluster/director.h"

#include "core/base/defect.h"

#include <stdio.h>

/* ---- the view ---- */

const struct cluster_site *cluster_view_site(const struct cluster_view *view, struct cluster_id id)
{
	for (size_t i = 0; i < view->site_count; i++) {
		if (cluster_id_eq(view->sites[i].id, id))
			return &view->sites[i];
	}
	return NULL;
}

const struct cluster_site *cluster_view_site_named(
	const struct cluster_view *view, struct lab_view name)
{
	for (size_t i = 0; i < view->site_count; i++) {
		if (lab_view_eq(view->sites[i].name, name))
			return &view->sites[i];
	}
	return NULL;
}

const struct cluster_backend *cluster_view_backend(
	const struct cluster_view *view, struct cluster_id id)
{
	for (size_t i = 0; i < view->backend_count; i++) {
		if (cluster_id_eq(view->backends[i].id, id))
			return &view->backends[i];
	}
	return NULL;
}

const struct cluster_backend *cluster_view_backend_named(
	const struct cluster_view *view, struct lab_view host)
{
	for (size_t i = 0; i < view->backend_count; i++) {
		if (lab_view_eq_nocase(view->backends[i].host, host))
			return &view->backends[i];
	}
	return NULL;
}

bool cluster_view_reaches(
	const struct cluster_view *view, struct cluster_id from, struct cluster_id to)
{
	if (cluster_id_eq(from, to))
		return true;
	for (size_t i = 0; i < view->reachability_count; i++) {
		const struct cluster_reachability *row = &view->reachability[i];

		if (cluster_id_eq(row->src_site_id, from) && cluster_id_eq(row->dest_site_id, to))
			return row->reachable != 0;
	}
	return true;
}

static bool is_online(const struct cluster_backend *backend, struct cluster_id site)
{
	return backend != NULL && backend->status == CLUSTER_ONLINE &&
	       cluster_id_eq(backend->site_id, site);
}

bool cluster_backend_is_legal(const struct cluster_backend *backend, struct cluster_id site)
{
	bool is_in = lab_defect(STATUS_IGNORED)
			     ? backend != NULL && cluster_id_eq(backend->site_id, site)
			     : is_online(backend, site);

	return is_in && (backend->load_factor > 0 || lab_defect(LOAD_FACTOR_IGNORED));
}

/* ---- assignment ---- */

void cluster_default_group(const struct cluster_policy *policy, struct lab_view username,
	uint64_t draw, char ret[CLUSTER_GROUP_NAME_MAX])
{
	uint64_t count = LAB_MAX(policy->group_count, 1u);
	uint64_t n = policy->assign == CLUSTER_ASSIGN_RANDOM ? lab_pick(draw, count)
							     : director_user_hash(username) % count;

	(void)snprintf(ret, CLUSTER_GROUP_NAME_MAX, "default-%" PRIu64, n + 1);
}

static uint64_t weight(struct cluster_id id, struct lab_view name)
{
	return lab_mix64(lab_hash_view(lab_hash_bytes(0, id.bytes, CLUSTER_ID_SIZE), name));
}

const struct cluster_backend *cluster_pick_backend(const struct cluster_view *view,
	const struct cluster_policy *policy, struct cluster_id site, struct lab_view group,
	struct cluster_id except, uint64_t draw)
{
	const struct cluster_backend *best = NULL;
	uint64_t best_weight = 0;

	for (size_t i = 0; i < view->backend_count; i++) {
		const struct cluster_backend *backend = &view->backends[i];
		uint64_t w = policy->assign == CLUSTER_ASSIGN_RANDOM
				     ? lab_mix64(draw ^ weight(backend->id, LAB_VIEW("")))
				     : weight(backend->id, group);

		if (!cluster_backend_is_legal(backend, site) || cluster_id_eq(backend->id, except))
			continue;
		if (best == NULL || w > best_weight) {
			best = backend;
			best_weight = w;
		}
	}
	return best;
}

const struct cluster_site *cluster_pick_site(const struct cluster_view *view,
	const struct cluster_site *like, struct cluster_id from, struct lab_view username)
{
	const struct cluster_site *best = NULL;
	uint64_t best_weight = 0;

	for (size_t i = 0; i < view->site_count; i++) {
		const struct cluster_site *site = &view->sites[i];
		uint64_t w = weight(site->id, username);

		if (cluster_id_eq(site->id, like->id) || !cluster_id_eq(site->tag, like->tag) ||
			site->status != CLUSTER_ONLINE ||
			!cluster_view_reaches(view, from, site->id))
			continue;
		if (best == NULL || w > best_weight) {
			best = site;
			best_weight = w;
		}
	}
	return best;
}

/* ---- answers ---- */

typedef const struct route_question question_t;
typedef struct route_answer answer_t;

/* Both return true: that is the answer. */
static bool tempfail(answer_t *a, const char *reason)
{
	a->step = ROUTE_TEMPFAIL;
	a->reason = reason;
	return true;
}

static bool read_first(answer_t *a, enum route_step step, bool must_be_fresh)
{
	a->step = step;
	a->must_be_fresh = must_be_fresh;
	return true;
}

/* Before a write: is all that it is based on fresh? */
static bool is_stale_user(question_t *q, answer_t *a)
{
	if (q->user_known != ROUTE_FRESH)
		return read_first(a, ROUTE_READ_USER, true);
	return !q->view_is_fresh && read_first(a, ROUTE_READ_VIEW, true);
}

static bool is_stale_group(question_t *q, answer_t *a)
{
	if (q->group_known != ROUTE_FRESH)
		return read_first(a, ROUTE_READ_GROUP, true);
	return !q->view_is_fresh && read_first(a, ROUTE_READ_VIEW, true);
}

static bool write_user(question_t *q, answer_t *a, uint32_t columns, const char *why)
{
	a->step = ROUTE_WRITE_USER;
	a->columns = columns;
	a->why = why;
	a->timestamp_us = q->has_user ? q->user.version_us + 1 : 0;
	return true;
}

/* ---- users ---- */

#define FAILOVER_COLUMNS (USER_COLUMN(failover_site_id) | USER_COLUMN(failover_group))
#define PLACE_COLUMNS (USER_COLUMN(site_id) | USER_COLUMN(group_name))

static bool is_moving_user(const struct cluster_user *user)
{
	return user->moving_group.len > 0 && cluster_id_is_set(user->moving_site_id);
}

/* L3. The failover site is chosen now, while all is well (palomar 2.2). */
static bool create_user(question_t *q, answer_t *a)
{
	const struct cluster_site *local = cluster_view_site(q->view, q->local_site), *site = local;
	const struct cluster_site *failover;

	if (is_stale_user(q, a))
		return true;
	if (local == NULL)
		return tempfail(a, "the local site is not in GeoDB");
	if (local->status != CLUSTER_ONLINE)
		site = cluster_pick_site(q->view, local, local->id, q->user.username);
	if (site == NULL)
		return tempfail(a, "no site is online for a new user");
	cluster_default_group(&q->policy, q->user.username, q->draw, a->group_name);
	a->user = (struct cluster_user){ .username = q->user.username,
		.site_id = site->id,
		.home_site_id = site->id,
		.group_name = lab_view_cstr(a->group_name) };
	failover = cluster_pick_site(q->view, site, site->id, q->user.username);
	if (failover != NULL) {
		a->user.failover_site_id = failover->id;
		a->user.failover_group = a->user.group_name;
	}
	return write_user(q, a,
		PLACE_COLUMNS | USER_COLUMN(home_site_id) |
			(failover == NULL ? 0 : FAILOVER_COLUMNS),
		"a new user is assigned to a group");
}

uint32_t route_user_after(const struct cluster_user *user, struct cluster_user *ret)
{
	*ret = *user;
	ret->site_id = user->moving_site_id;
	ret->group_name = user->moving_group;
	if (cluster_id_eq(user->failover_site_id, user->moving_site_id)) {
		ret->failover_site_id = user->site_id;
		ret->failover_group = user->group_name;
	}
	ret->moving_site_id = (struct cluster_id){ { 0 } };
	ret->moving_group = LAB_VIEW("");
	ret->moving_started = 0;
	return PLACE_COLUMNS | FAILOVER_COLUMNS | USER_COLUMN(moving_site_id) |
	       USER_COLUMN(moving_group) | USER_COLUMN(moving_started);
}

/* Who should move the user is gone: it has moved. */
static bool finish_user(question_t *q, answer_t *a)
{
	if (is_stale_user(q, a))
		return true;
	return write_user(q, a, route_user_after(&q->user, &a->user),
		"a user's move is finished: its source is not online");
}

static bool is_usable(question_t *q, const struct cluster_site *site)
{
	return site != NULL && site->status == CLUSTER_ONLINE &&
	       cluster_view_reaches(q->view, q->local_site, site->id);
}

/* The user's site is not online, by somebody's decision: the user's places are swapped, so that it
 * does not fall back by itself when that site returns (palomar 2.8). */
static bool fail_over_user(
	question_t *q, answer_t *a, const struct cluster_site *to, struct lab_view group)
{
	if (is_stale_user(q, a))
		return true;
	a->user = q->user;
	a->user.site_id = to->id;
	a->user.group_name = group;
	a->user.failover_site_id = q->user.site_id;
	a->user.failover_group = q->user.group_name;
	return write_user(
		q, a, PLACE_COLUMNS | FAILOVER_COLUMNS, "a user fails over to its other site");
}

/* The source will carry it out, in this very login. */
static bool start_user_move(
	question_t *q, answer_t *a, const struct cluster_site *to, const char *why)
{
	if (is_stale_user(q, a))
		return true;
	a->user = q->user;
	a->user.moving_site_id = to->id;
	a->user.moving_group = q->user.group_name;
	if (cluster_id_eq(to->id, q->user.failover_site_id) && q->user.failover_group.len > 0)
		a->user.moving_group = q->user.failover_group;
	a->user.moving_started = q->now_ms;
	a->is_optional = true;
	return write_user(q, a,
		USER_COLUMN(moving_site_id) | USER_COLUMN(moving_group) |
			USER_COLUMN(moving_started),
		why);
}

/* A site that is being evacuated: its users are to move at their next access. */
static bool evacuate_user(question_t *q, answer_t *a, const struct cluster_site *site)
{
	const struct cluster_site *to = cluster_view_site(q->view, q->user.failover_site_id);

	if (is_moving_user(&q->user) || q->skip_optional)
		return false;
	if (!is_usable(q, to))
		to = cluster_pick_site(q->view, site, q->local_site, q->user.username);
	return to != NULL &&
	       start_user_move(q, a, to, "a user leaves a site that is being evacuated");
}

bool cluster_force_move_hits(struct lab_view id, struct lab_view username, int64_t pct)
{
	uint8_t text[2 * CLUSTER_TEXT_MAX + 1], digest[LAB_DIGEST_MAX];
	struct lab_reader reader = { .rest = { digest, 4 } };

	if (pct <= 0 || id.len == 0 || id.len > CLUSTER_TEXT_MAX || username.len > CLUSTER_TEXT_MAX)
		return false;
	memcpy(text, id.ptr, id.len);
	text[id.len] = ':';
	memcpy(text + id.len + 1, username.ptr, username.len);
	lab_digest(LAB_MD5, lab_view_of(text, id.len + 1 + username.len), digest);
	return lab_read_u32(&reader) % 100 < (lab_defect(SHARE_IS_EVERYBODY) ? 100 : (uint64_t)pct);
}

/* One of the sites that the forced move is to; NULL: none of them is usable. */
static const struct cluster_site *force_move_dest(question_t *q, const struct cluster_site *from)
{
	const struct cluster_site *best = NULL;
	struct lab_view rest = from->force_move_dest, part;
	struct cluster_id id;

	while (rest.len > 0 && lab_view_split(&rest, ',', &part)) {
		const struct cluster_site *site;

		if (cluster_id_parse(part, &id) < 0)
			continue;
		site = cluster_view_site(q->view, id);
		if (site == from || !is_usable(q, site) || !cluster_id_eq(site->tag, from->tag))
			continue;
		if (best == NULL ||
			weight(site->id, q->user.username) > weight(best->id, q->user.username))
			best = site;
	}
	return best;
}

/* A share of a site's users is sent away, or is called home (palomar 2.8). */
static bool force_move_user(question_t *q, answer_t *a, const struct cluster_site *site)
{
	const struct cluster_site *home = cluster_view_site(q->view, q->user.home_site_id);
	const struct cluster_site *to;

	if (is_moving_user(&q->user) || q->skip_optional || !cluster_id_eq(site->id, q->local_site))
		return false;
	if (home != NULL && home != site && is_usable(q, home) &&
		cluster_force_move_hits(home->recover_id, q->user.username, home->recover_pct))
		return start_user_move(q, a, home, "a user is called home");
	if (!cluster_force_move_hits(site->force_move_id, q->user.username, site->force_move_pct))
		return false;
	to = force_move_dest(q, site);
	return to != NULL && start_user_move(q, a, to, "a user is sent to another site");
}

/* Users from a time when there was only one site get their failover site while all is well. */
static bool complete_user(question_t *q, answer_t *a, const struct cluster_site *site)
{
	const struct cluster_site *failover;

	if (cluster_id_is_set(q->user.failover_site_id) || q->skip_optional ||
		!cluster_id_eq(site->id, q->local_site))
		return false;
	failover = cluster_pick_site(q->view, site, site->id, q->user.username);
	if (failover == NULL)
		return false;
	if (is_stale_user(q, a))
		return true;
	a->user = q->user;
	a->user.failover_site_id = failover->id;
	a->user.failover_group = q->user.group_name;
	a->is_optional = true;
	return write_user(q, a, FAILOVER_COLUMNS, "a user gets a failover site");
}

/* Where else a user may be served: what was agreed on while all was well; only if that is not
 * usable either, what is chosen now. NULL: nowhere. */
static const struct cluster_site *other_site(
	question_t *q, const struct cluster_site *site, struct lab_view *ret_group)
{
	const struct cluster_site *other = cluster_view_site(q->view, q->user.failover_site_id);

	*ret_group = q->user.group_name;
	if (!is_usable(q, other))
		return site == NULL
			       ? NULL
			       : cluster_pick_site(q->view, site, q->local_site, q->user.username);
	if (q->user.failover_group.len > 0)
		*ret_group = q->user.failover_group;
	return other;
}

/* L4: true if that is the answer; else the site and the group to go on with. */
static bool choose_site(question_t *q, answer_t *a, const struct cluster_site **ret_site,
	struct lab_view *ret_group)
{
	const struct cluster_site *site = cluster_view_site(q->view, q->user.site_id);
	bool is_evacuated = site != NULL && site->status == CLUSTER_EVACUATE;
	bool is_reached = cluster_view_reaches(q->view, q->local_site, q->user.site_id);

	*ret_site = site;
	*ret_group = q->user.group_name;
	if (is_evacuated && is_reached)
		return evacuate_user(q, a, site);
	if (is_usable(q, site))
		return force_move_user(q, a, site) || complete_user(q, a, site);
	if (is_moving_user(&q->user) &&
		is_usable(q, cluster_view_site(q->view, q->user.moving_site_id)))
		return finish_user(q, a);
	*ret_site = other_site(q, site, ret_group);
	/* What is stale must not turn anybody away. */
	if (*ret_site == NULL)
		return is_stale_user(q, a) || tempfail(a, "no site of the user is usable");
	if (site == NULL || (site->status != CLUSTER_ONLINE && !is_evacuated))
		return fail_over_user(q, a, *ret_site, *ret_group);
	/* Not reached from here, which passes: nothing is written. */
	if (lab_defect(UNREACHED_SITE_IS_LOST))
		return fail_over_user(q, a, *ret_site, *ret_group);
	return false;
}

/* ---- groups ---- */

uint32_t route_group_after(const struct cluster_view *view, const struct cluster_policy *policy,
	const struct cluster_group *group, struct cluster_id to, uint64_t draw,
	struct cluster_group *ret)
{
	const struct cluster_backend *alt = cluster_pick_backend(
		view, policy, group->site_id, group->name, to, lab_mix64(draw + 1));

	*ret = *group;
	ret->backend_id = to;
	memset(&ret->alt_backend_id, 0, sizeof(ret->alt_backend_id));
	if (alt != NULL)
		ret->alt_backend_id = alt->id;
	if (!lab_defect(MOVING_NEVER_CLEARED))
		ret->moving = LAB_VIEW("");
	return GROUP_COLUMN(backend_id) | GROUP_COLUMN(alt_backend_id) | GROUP_COLUMN(moving);
}

/* L7 */
static bool create_group(question_t *q, answer_t *a)
{
	const struct cluster_backend *backend;

	if (is_stale_group(q, a))
		return true;
	backend = cluster_pick_backend(q->view, &q->policy, q->group.site_id, q->group.name,
		(struct cluster_id){ { 0 } }, q->draw);
	if (backend == NULL)
		return tempfail(a, "no backend is online for a new group");
	a->columns =
		route_group_after(q->view, &q->policy, &q->group, backend->id, q->draw, &a->group);
	a->step = ROUTE_WRITE_GROUP;
	a->timestamp_us = 0;
	a->why = "a new group is assigned to a backend";
	return true;
}

/* L8 and M7: the target was agreed on while all was well; only if that one is gone, too, it is
 * chosen now. */
static bool fail_over_group(question_t *q, answer_t *a)
{
	const struct cluster_backend *to = cluster_view_backend(q->view, q->group.alt_backend_id);

	if (is_stale_group(q, a))
		return true;
	if (!cluster_backend_is_legal(to, q->group.site_id) || lab_defect(ALT_CHOSEN_AT_FAILURE))
		to = cluster_pick_backend(q->view, &q->policy, q->group.site_id, q->group.name,
			q->group.backend_id, q->draw);
	if (to == NULL)
		return tempfail(a, "no backend of the site is online");
	a->columns = route_group_after(q->view, &q->policy, &q->group, to->id, q->draw, &a->group);
	a->step = ROUTE_WRITE_GROUP;
	a->timestamp_us = q->group.version_us + 1;
	a->why = q->group.moving.len > 0 ? "a group's move is finished: its source is not online"
					 : "a group fails over to its other backend";
	return true;
}

static bool choose_backend(question_t *q, answer_t *a)
{
	if (!q->has_group)
		return create_group(q, a);
	a->backend = cluster_view_backend(q->view, q->group.backend_id);
	if (is_online(a->backend, q->group.site_id)) {
		a->step = ROUTE_BACKEND;
		return true;
	}
	if (is_moving_user(&q->user) && !cluster_id_eq(q->user.moving_site_id, q->user.site_id) &&
		is_usable(q, cluster_view_site(q->view, q->user.moving_site_id)))
		return finish_user(q, a);
	if (q->group.moving.len > 0 && lab_defect(MOVE_WAITS_FOR_SOURCE))
		return tempfail(a, "the source of the group's move is not online");
	return fail_over_group(q, a);
}

/* ---- the way through ---- */

static bool is_group(question_t *q, struct cluster_id site, struct lab_view name)
{
	return q->group_known != ROUTE_UNREAD && cluster_id_eq(q->group.site_id, site) &&
	       lab_view_eq(q->group.name, name);
}

void route_next(const struct route_question *q, struct route_answer *ret)
{
	const struct cluster_site *site;
	struct lab_view group;

	memset(ret, 0, sizeof(*ret));
	if (q->user_known == ROUTE_UNREAD) {
		read_first(ret, ROUTE_READ_USER, false);
	} else if (!q->has_user) {
		create_user(q, ret);
	} else if (choose_site(q, ret, &site, &group)) {
		return;
	} else if (!cluster_id_eq(site->id, q->local_site)) {
		ret->step = ROUTE_SITE;
		ret->site = site;
		if (site->load_balancer.len == 0 && !is_stale_user(q, ret))
			tempfail(ret, "the user's site has no load balancer");
	} else if (!is_group(q, site->id, group)) {
		ret->group = (struct cluster_group){ .site_id = site->id, .name = group };
		read_first(ret, ROUTE_READ_GROUP, false);
	} else {
		if (q->group_known != ROUTE_FRESH)
			ret->group = (struct cluster_group){ .site_id = site->id, .name = group };
		choose_backend(q, ret);
	}
}

/* ---- backends ---- */

const struct cluster_backend *route_move_target(
	const struct cluster_view *view, const struct cluster_group *group)
{
	const struct cluster_backend *to = cluster_view_backend(view, group->alt_backend_id);

	if (group->moving.len == 0 || cluster_id_eq(group->alt_backend_id, group->backend_id) ||
		!cluster_backend_is_legal(to, group->site_id))
		return NULL;
	return to;
}

static bool is_all_fresh(const struct route_question *q)
{
	return q->user_known == ROUTE_FRESH && q->view_is_fresh &&
	       (q->group_known == ROUTE_FRESH || q->group_known == ROUTE_UNREAD);
}

/* It is this backend's group, and it moves. */
static enum verdict verdict_of_source(const struct verdict_question *v)
{
	if (v->is_being_moved && !lab_defect(LOGIN_NOT_HELD))
		return VERDICT_HOLD;
	if (route_move_target(v->route->view, &v->route->group) == NULL)
		return VERDICT_ACCEPT_MOVING; /* the move will be taken back */
	/* Who has no session here has nothing to hand over. So nobody who has moved comes back,
	 * even if this host has forgotten who has (palomar 4.2, F9). */
	if ((!v->was_moved && v->has_sessions) || lab_defect(MOVED_COME_BACK))
		return VERDICT_ACCEPT_MOVING;
	return is_all_fresh(v->route) || lab_defect(REFERRED_BY_CACHE) ? VERDICT_REFER_MOVED
								       : VERDICT_READ;
}

/* The target of a move: its members are sent here by the source. Who comes by himself comes from a
 * proxy that knows nothing of this move, and may still have sessions at the source. If it is a move
 * that was called off, and comes back, those who had not gone may be leaving yet. */
static bool is_target(const struct verdict_question *v)
{
	const struct cluster_group *group = &v->route->group;

	return v->answer->step == ROUTE_BACKEND && group->moving.len > 0 &&
	       cluster_id_eq(group->alt_backend_id, v->me) &&
	       (v->is_referred || v->has_sessions || lab_defect(TARGET_TAKES_ANYBODY));
}

enum verdict route_verdict(const struct verdict_question *v)
{
	const struct route_answer *answer = v->answer;
	const struct cluster_group *group = &v->route->group;

	if (answer->step == ROUTE_TEMPFAIL)
		return VERDICT_TEMPFAIL;
	if (answer->step == ROUTE_BACKEND && cluster_id_eq(answer->backend->id, v->me)) {
		if (is_moving_user(&v->route->user))
			return v->is_being_moved ? VERDICT_HOLD : VERDICT_MOVE_USER;
		return group->moving.len > 0 ? verdict_of_source(v) : VERDICT_ACCEPT;
	}
	if (is_target(v))
		return v->is_being_moved ? VERDICT_HOLD : VERDICT_ACCEPT;
	return is_all_fresh(v->route) || lab_defect(REFERRED_BY_CACHE) ? VERDICT_REFER
								       : VERDICT_READ;
}
