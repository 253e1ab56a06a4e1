/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-lookup.c - the I/O around route_next().
 */
#include "core/cluster/cluster-private.h"

#include "core/base/defect.h"
#include "core/base/mark.h"
#include "core/env/hold.h"

/* Writes of others may send a lookup round again. */
#define STEPS_MAX (4 * ROUTE_STEPS_MAX)

static int refuse(struct lab_error *err, const char *what)
{
	LAB_MARK(lookup_refused);
	/* Whatever it was: it may be gone the next time. */
	(void)cluster_is_temporary(err);
	return lab_error_wrap(err, "%s", what);
}

/* ---- reading ---- */

static int read_user(struct cluster *c, struct cluster_lookup *l, bool fresh,
	struct lab_arena *arena, struct lab_error *err)
{
	struct route_question *q = &l->question;
	const struct lab_view name = q->user.username;
	int found;

	q->user = (struct cluster_user){ .username = name };
	q->has_user = true;
	q->user_known = ROUTE_CACHED;
	if (!fresh && localdb_get_user(c->localdb, &q->user, localdb_user_ttl(c->localdb), arena))
		return 0;
	found = geodb_get(c->geodb, CLUSTER_TABLE_USER, &q->user, arena, err);
	if (found < 0) {
		if (!fresh &&
			localdb_get_user(c->localdb, &q->user, c->settings.stale_max_ns, arena)) {
			LAB_MARK(stale_row_used);
			return 0;
		}
		return refuse(err, "the user cannot be looked up");
	}
	q->has_user = found > 0;
	q->user_known = ROUTE_FRESH;
	if (found > 0)
		localdb_put_user(c->localdb, &q->user);
	else
		localdb_drop_user(c->localdb, name);
	return 0;
}

static uint64_t group_ttl(const struct cluster *c)
{
	bool is_proxy = c->settings.backend_name.len == 0;

	return lab_defect(CACHE_NEVER_EXPIRES) || (is_proxy && lab_defect(PROXIES_NEVER_FORGET))
		       ? ENV_FOREVER
		       : localdb_group_ttl(c->localdb);
}

static int read_group(struct cluster *c, struct cluster_lookup *l, bool fresh,
	struct lab_arena *arena, struct lab_error *err)
{
	struct route_question *q = &l->question;
	struct cluster_group keys = { .site_id = l->answer.group.site_id,
		.name = lab_arena_copy(arena, l->answer.group.name) };
	int found;

	q->group = keys;
	q->has_group = true;
	q->group_known = ROUTE_CACHED;
	if (!fresh && localdb_get_group(c->localdb, &q->group, group_ttl(c), arena))
		return 0;
	q->group = keys;
	found = geodb_get(c->geodb, CLUSTER_TABLE_GROUP, &q->group, arena, err);
	if (found < 0) {
		if (!fresh &&
			localdb_get_group(c->localdb, &q->group, c->settings.stale_max_ns, arena)) {
			LAB_MARK(stale_row_used);
			return 0;
		}
		return refuse(err, "the user's group cannot be looked up");
	}
	q->has_group = found > 0;
	q->group_known = ROUTE_FRESH;
	if (found > 0)
		localdb_put_group(c->localdb, &q->group);
	return 0;
}

static int read_view(struct cluster *c, struct cluster_lookup *l, bool fresh, struct lab_error *err)
{
	struct cluster_snapshot *read = cluster_view_take(c, fresh, err);

	if (read == NULL)
		return refuse(err, "sites and backends cannot be looked up");
	cluster_view_release(c, &l->snapshot);
	l->snapshot = read;
	l->question.view = &read->view;
	l->question.view_is_fresh = fresh;
	return cluster_self(c, &read->view, &l->question.local_site, &l->me, err);
}

/* ---- writing ---- */

static void log_why(struct cluster *c, const struct route_answer *a, struct lab_view user)
{
	ENV_EVENT(c->env, LAB_EV_log_message, LAB_F_CSTR("message", a->why),
		LAB_F_TEXT("user", user),
		LAB_F_TEXT("group",
			a->step == ROUTE_WRITE_GROUP ? a->group.name : a->user.group_name));
}

/* What it was written as is what counts, or what is there now if that is wanted. */
static int write_row(
	struct cluster *c, struct cluster_lookup *l, struct lab_arena *arena, struct lab_error *err)
{
	struct route_question *q = &l->question;
	struct route_answer *a = &l->answer;
	bool is_user = a->step == ROUTE_WRITE_USER;
	enum cluster_table_id table = is_user ? CLUSTER_TABLE_USER : CLUSTER_TABLE_GROUP;
	bool is_new = a->timestamp_us == 0, is_by_clock = is_new || lab_defect(SWAP_STAMPED_NOW);
	int64_t time = is_by_clock ? geodb_timestamp(c->geodb, 0) : a->timestamp_us;

	ENV_HOLD(c->env, row_decided,
		lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(q->user.username)));
	if ((is_new || !lab_defect(FAILOVER_NOT_WRITTEN)) &&
		geodb_put(c->geodb, table, is_user ? (void *)&a->user : (void *)&a->group,
			a->columns, time, err) < 0) {
		q->skip_optional = true;
		return a->is_optional ? 0 : refuse(err, a->why);
	}
	log_why(c, a, q->user.username);
	/* What is not new. */
	if (!is_new && !a->is_optional)
		LAB_MARK(failed_over);
	if (c->settings.read_back)
		return is_user ? read_user(c, l, true, arena, err)
			       : read_group(c, l, true, arena, err);
	a->user.version_us = a->group.version_us = time;
	if (is_user) {
		cluster_row_copy(cluster_table(table), &a->user, arena, &q->user);
		q->has_user = true;
		localdb_put_user(c->localdb, &q->user);
	} else {
		cluster_row_copy(cluster_table(table), &a->group, arena, &q->group);
		q->has_group = true;
		localdb_put_group(c->localdb, &q->group);
	}
	return 0;
}

/* ---- the way through ---- */

static int carry_out(struct cluster *c, struct cluster_lookup *l, bool fresh,
	struct lab_arena *arena, struct lab_error *err)
{
	const struct route_answer *a = &l->answer;

	switch (a->step) {
	case ROUTE_READ_USER:
		return read_user(c, l, fresh || a->must_be_fresh, arena, err);
	case ROUTE_READ_GROUP:
		return read_group(c, l, fresh || a->must_be_fresh, arena, err);
	case ROUTE_READ_VIEW:
		return read_view(c, l, true, err);
	case ROUTE_WRITE_USER:
	case ROUTE_WRITE_GROUP:
		return write_row(c, l, arena, err);
	case ROUTE_BACKEND:
	case ROUTE_SITE:
	case ROUTE_TEMPFAIL:
		break;
	}
	lab_bug("not a step");
}

int cluster_lookup_run(struct cluster *c, struct lab_view username, bool fresh,
	struct lab_arena *arena, struct cluster_lookup *ret, struct lab_error *err)
{
	struct route_question *q = &ret->question;

	memset(ret, 0, sizeof(*ret));
	q->policy = c->settings.policy;
	q->draw = env_draw(c->env, "cluster.assign", c->draws++);
	q->now_ms = (int64_t)(env_wall_us(c->env) / 1000);
	if (cluster_username_normalise(username, arena, &q->user.username, err) < 0 ||
		read_view(c, ret, fresh, err) < 0)
		return -1;
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		route_next(q, &ret->answer);
		if (ret->answer.step == ROUTE_TEMPFAIL)
			return cluster_tempfail(err, ret->answer.reason);
		if (ret->answer.step >= ROUTE_BACKEND)
			return 0;
		if (carry_out(c, ret, fresh, arena, err) < 0)
			return -1;
	}
	return cluster_tempfail(err, "others keep changing where the user belongs");
}

void cluster_lookup_done(struct cluster *cluster, struct cluster_lookup *lookup)
{
	cluster_view_release(cluster, &lookup->snapshot);
}

/* ---- proxies ---- */

static void place_of(const struct cluster_lookup *l, bool is_proxied, struct lab_arena *arena,
	struct cluster_place *ret)
{
	ret->is_backend = l->answer.step == ROUTE_BACKEND;
	ret->is_referral = is_proxied && !ret->is_backend;
	ret->user = l->question.user.username;
	ret->host = lab_arena_copy(
		arena, ret->is_backend ? l->answer.backend->host : l->answer.site->load_balancer);
}

int cluster_lookup(struct cluster *cluster, struct lab_view username, bool is_proxied,
	struct lab_arena *arena, struct cluster_place *ret, struct lab_error *err)
{
	struct cluster_lookup lookup;
	int result = cluster_lookup_run(cluster, username, false, arena, &lookup, err);

	if (result == 0 && is_proxied && lookup.answer.step == ROUTE_SITE) {
		cluster_lookup_done(cluster, &lookup);
		result = cluster_lookup_run(cluster, username, true, arena, &lookup, err);
	}
	if (result == 0)
		place_of(&lookup, is_proxied, arena, ret);
	cluster_lookup_done(cluster, &lookup);
	return result;
}

/* A host that a referral may name: an online backend of this site, or another site's door. */
static bool is_known_place(const struct cluster_lookup *l, struct lab_view host)
{
	const struct cluster_view *view = l->question.view;
	const struct cluster_backend *backend = cluster_view_backend_named(view, host);

	if (backend != NULL)
		return backend->status == CLUSTER_ONLINE &&
		       cluster_id_eq(backend->site_id, l->question.local_site);
	for (size_t i = 0; i < view->site_count; i++) {
		if (view->sites[i].load_balancer.len > 0 &&
			lab_view_eq_nocase(view->sites[i].load_balancer, host) &&
			!cluster_id_eq(view->sites[i].id, l->question.local_site))
			return true;
	}
	return false;
}

static bool was_there(const struct cluster_hops *hops, struct lab_view host)
{
	for (size_t i = 0; i < hops->count; i++) {
		if (lab_view_eq_nocase(lab_view_cstr(hops->seen[i].host), host))
			return true;
	}
	return false;
}

int cluster_redirected(struct cluster *cluster, struct lab_view username, bool is_proxied,
	const struct cluster_hops *hops, const struct cluster_referral *referral,
	struct lab_arena *arena, struct cluster_place *ret, struct lab_error *err)
{
	struct cluster_lookup lookup;
	int result = cluster_lookup_run(cluster, username, true, arena, &lookup, err);

	if (result == 0) {
		place_of(&lookup, is_proxied, arena, ret);
		if (was_there(hops, ret->host)) {
			/* It refused, and knows more: the user has moved, the group has not. */
			ret->is_backend = cluster_view_backend_named(
						  lookup.question.view, referral->host) != NULL;
			ret->is_referral = is_proxied && !ret->is_backend;
			ret->host = lab_arena_copy(arena, referral->host);
			if (!is_known_place(&lookup, referral->host))
				result = cluster_tempfail(
					err, "referral to a host that serves nobody here");
		}
	}
	cluster_lookup_done(cluster, &lookup);
	return result;
}
