/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.c - rounds of a site's controller: backends and sites. Balancing is in
 * controller-balance.c.
 */
#include "core/cluster/controller-private.h"

#include "core/base/defect.h"
#include "core/base/mark.h"
#include "core/env/hold.h"

#define WORK_MAX_BYTES (64u << 20)
#define BACKENDS_MAX 4096

void controller_settings_defaults(struct controller_settings *ret)
{
	*ret = (struct controller_settings){ .policy = { CLUSTER_ASSIGN_HASH, 100 },
		.site_down_ns = 300 * LAB_SEC,
		.balance_every_ns = 60 * LAB_MINUTE,
		.balance_samples = 3000,
		.balance_milli = 1000 };
	health_settings_defaults(&ret->health);
}

struct controller *controller_new(struct env *env, struct geodb *geodb,
	const struct controller_settings *settings, const struct controller_ops *ops)
{
	struct controller *c = lab_new(env->heap, struct controller);

	c->env = env;
	c->geodb = geodb;
	c->settings = *settings;
	c->ops = *ops;
	c->hosts = lab_map_new(env->heap, BACKENDS_MAX);
	c->work = lab_arena_new(env->heap, WORK_MAX_BYTES);
	return c;
}

void controller_free(struct controller **controller)
{
	struct controller *c = *controller;
	struct lab_map_iter iter;
	struct lab_view key;
	void *host;

	if (c == NULL)
		return;
	iter = lab_map_iterate(c->hosts);
	while (lab_map_next(&iter, &key, &host))
		lab_heap_free(c->env->heap, host);
	lab_map_free(&c->hosts);
	lab_arena_free(&c->work);
	lab_heap_free(c->env->heap, c);
	*controller = NULL;
}

struct controller_host *controller_host(struct controller *c, struct lab_view name)
{
	void **slot = lab_map_slot(c->hosts, name);

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_new(c->env->heap, struct controller_host);
	return *slot;
}

void controller_tell(struct controller *c, enum lab_event_id event, struct lab_view host,
	const char *status, const char *reason)
{
	ENV_EVENT(c->env, event, LAB_F_TEXT("site", c->settings.site), LAB_F_TEXT("host", host),
		LAB_F_CSTR("status", status), LAB_F_CSTR("reason", reason));
}

/* ---- what there is ---- */

/* Nothing is done until it is mended, which is said once. */
static int stop(struct controller *c, const char *why, struct lab_error *err)
{
	LAB_MARK(name_unknown);
	if (!c->is_stopped)
		ENV_EVENT(c->env, LAB_EV_log_message, LAB_F_CSTR("message", why),
			LAB_F_TEXT("site", c->settings.site));
	c->is_stopped = true;
	return cluster_tempfail(err, why);
}

static int read_all(struct controller *c, struct lab_error *err)
{
	struct cluster_view *view = &c->view;
	const struct cluster_site *self;

	if (geodb_list(c->geodb, CLUSTER_TABLE_SITE, NULL, 0, c->work, &view->sites,
		    &view->site_count, err) < 0 ||
		geodb_list(c->geodb, CLUSTER_TABLE_BACKEND, NULL, 0, c->work, &view->backends,
			&view->backend_count, err) < 0 ||
		geodb_list(c->geodb, CLUSTER_TABLE_REACHABILITY, NULL, 0, c->work,
			&view->reachability, &view->reachability_count, err) < 0)
		return -1;
	self = cluster_view_site_named(view, c->settings.site);
	if (self == NULL)
		return stop(c, "CLUSTER_SITE is not a site in GeoDB", err);
	c->is_stopped = false;
	c->self = self->id;
	return 0;
}

static int feature(struct controller *c, struct lab_view name, enum cluster_feature *ret,
	struct lab_error *err)
{
	return geodb_feature(c->geodb, c->self, name, ret, err);
}

/* ---- backends ---- */

/* What proxies saw in windows that are over and were not read yet. */
static int read_stats(struct controller *c, struct lab_error *err)
{
	const struct cluster_stats keys = { .site_id = c->self };
	int64_t now_ms = (int64_t)(env_wall_us(c->env) / 1000);
	int64_t window_ms = now_ms - now_ms % (int64_t)(CLUSTER_STATS_WINDOW / LAB_MSEC);
	struct cluster_stats *rows;
	size_t count;

	if (geodb_list(c->geodb, CLUSTER_TABLE_STATS, &keys, 1, c->work, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct controller_host *host = controller_host(c, rows[i].dest);

		if (host == NULL || rows[i].window_start >= window_ms ||
			rows[i].window_start < c->read_ms)
			continue;
		host->success += rows[i].success;
		host->failure += rows[i].failure;
	}
	c->read_ms = window_ms;
	return 0;
}

static bool is_ours(const struct controller *c, const struct cluster_backend *backend)
{
	return cluster_id_eq(backend->site_id, c->self);
}

static void count_backends(const struct controller *c, size_t *ret_all, size_t *ret_out)
{
	*ret_all = *ret_out = 0;
	for (size_t i = 0; i < c->view.backend_count; i++) {
		if (!is_ours(c, &c->view.backends[i]))
			continue;
		++*ret_all;
		*ret_out += c->view.backends[i].status != CLUSTER_ONLINE;
	}
}

static int switch_backend(struct controller *c, const struct cluster_backend *backend,
	struct controller_host *host, bool is_up, bool is_dry, struct lab_error *err)
{
	enum cluster_status status = is_up ? CLUSTER_ONLINE : CLUSTER_OFFLINE;

	controller_tell(c, LAB_EV_cluster_backend_check_finished, backend->host,
		cluster_status_name(status), is_dry ? "dryrun" : "");
	if (is_dry)
		return 0;
	ENV_HOLD(c->env, backend_judged, "");
	if (cluster_backend_status(c->geodb, backend->host, status, err) < 0)
		return -1;
	if (is_up)
		LAB_MARK(backend_taken_back);
	else
		LAB_MARK(backend_taken_out);
	host->health = (struct health){ .is_mine = !is_up };
	return 0;
}

static int check_backend(struct controller *c, const struct cluster_backend *backend, size_t all,
	size_t *out, bool is_dry, struct lab_error *err)
{
	struct controller_host *host = controller_host(c, backend->host);
	bool is_online = backend->status == CLUSTER_ONLINE;
	enum health_verdict verdict;

	if (host == NULL)
		return 0;
	verdict = health_round(&c->settings.health, &host->health, is_online, host->success,
		host->failure, !is_online && c->ops.backend_answers(c->ops.ctx, backend->host));
	host->success = host->failure = 0;
	if (verdict == HEALTH_KEEP ||
		(verdict == HEALTH_DOWN && !health_may_take_out(&c->settings.health, *out, all)))
		return 0;
	*out += verdict == HEALTH_DOWN;
	return switch_backend(c, backend, host, verdict == HEALTH_UP, is_dry, err);
}

static int check_backends(struct controller *c, struct lab_error *err)
{
	enum cluster_feature health;
	size_t all, out;
	int result = 0;

	if (feature(c, LAB_VIEW("backend_health"), &health, err) < 0 || read_stats(c, err) < 0)
		return -1;
	if (health == CLUSTER_FEATURE_OFF)
		return 0;
	count_backends(c, &all, &out);
	for (size_t i = 0; i < c->view.backend_count; i++) {
		if (is_ours(c, &c->view.backends[i]) &&
			check_backend(c, &c->view.backends[i], all, &out,
				health == CLUSTER_FEATURE_DRYRUN, err) < 0)
			result = -1;
	}
	return result;
}

/* ---- sites ---- */

static int put_reachability(
	struct controller *c, const struct cluster_site *site, bool reaches, struct lab_error *err)
{
	const struct cluster_reachability row = {
		.src_site_id = c->self, .dest_site_id = site->id, .reachable = reaches
	};

	if (cluster_view_reaches(&c->view, c->self, site->id) == reaches)
		return 0;
	return geodb_put(c->geodb, CLUSTER_TABLE_REACHABILITY, &row, CLUSTER_ALL_COLUMNS, 0, err);
}

/* Most of the other sites that are online say so, and this one does. */
static bool is_lost_to_most(const struct controller *c, const struct cluster_site *site)
{
	const struct cluster_view *view = &c->view;
	size_t others = 0, without = 0;

	for (size_t i = 0; i < view->site_count; i++) {
		const struct cluster_site *other = &view->sites[i];

		if (cluster_id_eq(other->id, site->id) || other->status != CLUSTER_ONLINE)
			continue;
		others++;
		without += cluster_id_eq(other->id, c->self) ||
			   !cluster_view_reaches(view, other->id, site->id);
	}
	return without * 2 > others;
}

static int take_site_out(
	struct controller *c, const struct cluster_site *site, bool is_dry, struct lab_error *err)
{
	controller_tell(c, LAB_EV_cluster_site_check_finished, site->name,
		cluster_status_name(CLUSTER_OFFLINE), is_dry ? "dryrun" : "");
	if (is_dry)
		return 0;
	LAB_MARK(site_taken_out);
	return cluster_site_status(c->geodb, site->name, CLUSTER_OFFLINE, err);
}

/* A site never comes back by itself (palomar 2.8). */
static int check_site(
	struct controller *c, const struct cluster_site *site, bool is_dry, struct lab_error *err)
{
	struct controller_host *known = controller_host(c, site->load_balancer);
	bool reaches = c->ops.site_answers(c->ops.ctx, site->load_balancer);
	uint64_t now = env_now(c->env);

	if (known == NULL)
		return 0;
	if (reaches || !is_lost_to_most(c, site))
		known->lost_ns = 0;
	else if (known->lost_ns == 0)
		known->lost_ns = now;
	if (!is_dry && put_reachability(c, site, reaches, err) < 0)
		return -1;
	if (known->lost_ns == 0 ||
		(now - known->lost_ns < c->settings.site_down_ns &&
			!lab_defect(SITE_OUT_AT_ONCE)) ||
		site->status != CLUSTER_ONLINE)
		return 0;
	return take_site_out(c, site, is_dry, err);
}

static int check_sites(struct controller *c, struct lab_error *err)
{
	enum cluster_feature health;
	int result = 0;

	if (feature(c, LAB_VIEW("site_health"), &health, err) < 0)
		return -1;
	if (health == CLUSTER_FEATURE_OFF)
		return 0;
	for (size_t i = 0; i < c->view.site_count; i++) {
		const struct cluster_site *site = &c->view.sites[i];

		if (!cluster_id_eq(site->id, c->self) &&
			check_site(c, site, health == CLUSTER_FEATURE_DRYRUN, err) < 0)
			result = -1;
	}
	return result;
}

/* ---- rounds ---- */

int controller_round(struct controller *c, struct lab_error *err)
{
	enum cluster_feature balance;
	int result;

	lab_arena_reset(c->work);
	if (read_all(c, err) < 0) {
		LAB_MARK(controller_blind);
		return -1;
	}
	result = check_backends(c, err);
	if (check_sites(c, err) < 0)
		result = -1;
	if (feature(c, LAB_VIEW("balance"), &balance, err) < 0)
		return -1;
	if (balance != CLUSTER_FEATURE_OFF &&
		controller_balance(c, balance == CLUSTER_FEATURE_DRYRUN, err) < 0)
		result = -1;
	return result;
}
