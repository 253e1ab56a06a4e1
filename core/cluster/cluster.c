/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - the cluster service of one host: its life, its view, its sessions.
 */
#include "core/cluster/cluster-private.h"

#include "core/base/defect.h"
#include "core/base/mark.h"

void cluster_settings_defaults(struct cluster_settings *ret, bool is_backend)
{
	*ret = (struct cluster_settings){ .policy = { CLUSTER_ASSIGN_HASH, 100 },
		.view_ttl_ns = 5 * LAB_SEC,
		.stale_max_ns = is_backend ? 60 * LAB_MINUTE : 0,
		.user_move_timeout_ns = 30 * LAB_SEC,
		.hold_ns = 30 * LAB_SEC,
		.moves_parallel = 100,
		.members_max = 1000000 };
	localdb_settings_defaults(&ret->localdb);
}

struct cluster *cluster_new(struct env *env, struct geodb *geodb,
	const struct cluster_settings *settings, const struct cluster_ops *ops)
{
	struct cluster *cluster = lab_new(env->heap, struct cluster);

	lab_assert(settings->backend_name.len == 0 || ops != NULL);
	cluster->env = env;
	cluster->geodb = geodb;
	cluster->settings = *settings;
	if (ops != NULL)
		cluster->ops = *ops;
	cluster->localdb = localdb_new(env, &settings->localdb);
	cluster->members = lab_map_new(env->heap, settings->members_max);
	cluster->one_move.free = 1;
	return cluster;
}

void cluster_free(struct cluster **cluster)
{
	struct cluster *c = *cluster;
	struct lab_map_iter iter;
	struct lab_view key;
	void *member;

	if (c == NULL)
		return;
	c->is_closing = true;
	while (c->running > 0)
		env_cond_wait(c->env, &c->changed, ENV_FOREVER);
	iter = lab_map_iterate(c->members);
	while (lab_map_next(&iter, &key, &member))
		lab_heap_free(c->env->heap, member);
	lab_map_free(&c->members);
	cluster_stats_free(c);
	localdb_free(&c->localdb);
	cluster_view_release(c, &c->snapshot);
	lab_heap_free(c->env->heap, c);
	*cluster = NULL;
}

int cluster_is_temporary(struct lab_error *err)
{
	if (err != NULL) {
		err->code = lab_defect(TEMPFAIL_IS_FINAL) ? LAB_NOT_FOUND : LAB_UNAVAILABLE;
		err->retryable = true;
	}
	return -1;
}

int cluster_tempfail(struct lab_error *err, const char *reason)
{
	lab_fail(err, LAB_UNAVAILABLE, "%s", reason);
	return cluster_is_temporary(err);
}

/* ---- the view ---- */

void cluster_view_release(struct cluster *cluster, struct cluster_snapshot **snapshot)
{
	struct cluster_snapshot *s = *snapshot;

	*snapshot = NULL;
	if (s == NULL || --s->references > 0)
		return;
	lab_arena_free(&s->arena);
	lab_heap_free(cluster->env->heap, s);
}

static struct cluster_snapshot *read_view(struct cluster *cluster, struct lab_error *err)
{
	struct cluster_snapshot *s = lab_new(cluster->env->heap, struct cluster_snapshot);
	struct cluster_view *view = &s->view;

	s->references = 1;
	s->arena = lab_arena_new(cluster->env->heap, CLUSTER_VIEW_MAX_BYTES);
	if (geodb_list(cluster->geodb, CLUSTER_TABLE_SITE, NULL, 0, s->arena, &view->sites,
		    &view->site_count, err) < 0 ||
		geodb_list(cluster->geodb, CLUSTER_TABLE_BACKEND, NULL, 0, s->arena,
			&view->backends, &view->backend_count, err) < 0 ||
		geodb_list(cluster->geodb, CLUSTER_TABLE_REACHABILITY, NULL, 0, s->arena,
			&view->reachability, &view->reachability_count, err) < 0)
		cluster_view_release(cluster, &s);
	return s;
}

struct cluster_snapshot *cluster_view_take(
	struct cluster *cluster, bool fresh, struct lab_error *err)
{
	uint64_t now = env_now(cluster->env);
	bool is_due =
		cluster->snapshot == NULL ||
		(!cluster->is_frozen && !lab_defect(VIEW_NEVER_READ_AGAIN) &&
			now - cluster->snapshot_ns >=
				(lab_defect(VIEW_SELDOM_READ) ? 6 * LAB_MINUTE
							      : cluster->settings.view_ttl_ns));

	if (fresh || is_due) {
		struct cluster_snapshot *read;

		/* The others go on with the old one meanwhile. */
		cluster->snapshot_ns = now;
		read = read_view(cluster, err);
		if (read != NULL && (!cluster->is_frozen || cluster->snapshot == NULL)) {
			cluster_view_release(cluster, &cluster->snapshot);
			cluster->snapshot = read;
		} else if (read != NULL) {
			return read;
		} else if (fresh) {
			return NULL;
		}
	}
	if (cluster->snapshot != NULL)
		cluster->snapshot->references++;
	return cluster->snapshot;
}

/* Whoever has a wrong name serves nobody, and says so, once. */
static int unknown(struct cluster *cluster, const char *why, struct lab_error *err)
{
	LAB_MARK(name_unknown);
	if (!cluster->is_unknown)
		ENV_EVENT(cluster->env, LAB_EV_log_message, LAB_F_CSTR("message", why),
			LAB_F_TEXT("site", cluster->settings.local_site),
			LAB_F_TEXT("backend", cluster->settings.backend_name));
	cluster->is_unknown = true;
	return cluster_tempfail(err, why);
}

int cluster_self(struct cluster *cluster, const struct cluster_view *view,
	struct cluster_id *ret_site, struct cluster_id *ret_backend, struct lab_error *err)
{
	const struct lab_view name = cluster->settings.backend_name;
	const struct cluster_site *site =
		cluster_view_site_named(view, cluster->settings.local_site);
	const struct cluster_backend *backend = cluster_view_backend_named(view, name);

	if (site == NULL)
		return unknown(cluster, "cluster_local_site is not a site in GeoDB", err);
	*ret_site = site->id;
	*ret_backend = (struct cluster_id){ { 0 } };
	if (name.len > 0 && backend == NULL)
		return unknown(cluster, "cluster_backend_name is not a backend in GeoDB", err);
	if (name.len > 0 && !cluster_id_eq(backend->site_id, site->id))
		return unknown(cluster, "this backend is of another site in GeoDB", err);
	if (name.len > 0)
		*ret_backend = backend->id;
	cluster->is_unknown = false;
	return 0;
}

/* ---- switches ---- */

void cluster_refresh(struct cluster *cluster)
{
	localdb_clear(cluster->localdb);
	cluster_view_release(cluster, &cluster->snapshot);
}

void cluster_freeze(struct cluster *cluster, bool frozen)
{
	cluster->is_frozen = frozen;
	localdb_freeze(cluster->localdb, frozen);
}

/* ---- sessions ---- */

struct cluster_member *cluster_member_find(const struct cluster *cluster, struct lab_view name)
{
	return lab_map_get(cluster->members, name);
}

struct cluster_member *cluster_member_get(struct cluster *cluster, struct lab_view name)
{
	void **slot = lab_map_slot(cluster->members, name);
	struct cluster_member *member;
	uint8_t *text;

	if (slot == NULL)
		return NULL;
	if (*slot != NULL)
		return *slot;
	member = lab_heap_alloc(cluster->env->heap, sizeof(*member) + name.len);
	text = (uint8_t *)(member + 1);
	memcpy(text, name.ptr, name.len);
	member->name = lab_view_of(text, name.len);
	*slot = member;
	return member;
}

void cluster_member_put(struct cluster *cluster, struct cluster_member *member)
{
	if (member->sessions > 0 || member->is_being_moved)
		return;
	(void)lab_map_remove(cluster->members, member->name);
	lab_heap_free(cluster->env->heap, (void *)(uintptr_t)member->group.ptr);
	lab_heap_free(cluster->env->heap, member);
}

void cluster_session_end(struct cluster *cluster, struct lab_view username)
{
	struct cluster_member *member = cluster_member_find(cluster, username);

	lab_assert(member != NULL && member->sessions > 0);
	member->sessions--;
	cluster_member_put(cluster, member);
	env_cond_broadcast(cluster->env, &cluster->changed);
}

size_t cluster_sessions(const struct cluster *cluster, struct lab_view username)
{
	struct lab_map_iter iter = lab_map_iterate(cluster->members);
	const struct cluster_member *member;
	struct lab_view key;
	size_t count = 0;
	void *value;

	if (username.len > 0) {
		member = cluster_member_find(cluster, username);
		return member == NULL ? 0 : member->sessions;
	}
	while (lab_map_next(&iter, &key, &value))
		count += ((const struct cluster_member *)value)->sessions;
	return count;
}
