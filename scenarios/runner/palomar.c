/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar.c - the hosts of a Palomar cluster: how they start, and what GeoDB knows of them.
 */
#include "scenarios/runner/palomar-private.h"

#include "core/cluster/geodb-schema.h"
#include "core/dict/dict-sql.h"

#include <stdio.h>

#define TEXT_MAX 65536
#define HOUR_US INT64_C(3600000000)

bool palomar_is_wanted(const struct scenario *scenario)
{
	return scenario->cluster.proxies.high > 0;
}

static const struct scenario *scenario_of(const struct palomar *p)
{
	return p->settings.scene->options->scenario;
}

static uint64_t knob(const struct palomar *p, const struct conf_range *range, const char *what)
{
	return scene_knob(p->settings.scene, range, what, 0);
}

/* ---- rows ---- */

enum id_kind {
	ID_SITE = 1,
	ID_BACKEND
};

static void format_id(enum id_kind kind, size_t number, char ret[CLUSTER_ID_TEXT_SIZE])
{
	struct cluster_id id = { { 0x0b, 0x0e, 0x1a, 0xb0, 0, 0, 0x40, 0, 0x80 } };

	id.bytes[14] = (uint8_t)kind;
	id.bytes[15] = (uint8_t)(number + 1);
	cluster_id_format(id, ret);
}

/* An hour ago, by the services' clock: before whatever a host with a wrong clock may write. */
static void print_features(
	const struct palomar *p, const char *site, int64_t time_us, struct lab_buf *out)
{
	const struct {
		const char *name;
		enum cluster_feature feature;
	} features[] = { { "backend_health", p->conf->backend_health },
		{ "site_health", p->conf->site_health }, { "balance", p->conf->balance } };

	for (size_t i = 0; i < LAB_COUNT_OF(features); i++)
		lab_buf_printf(out,
			"insert into " PALOMAR_KEYSPACE ".cluster_settings (site_id, name, value) "
			"values (%s, '%s', '%s') using timestamp %" PRId64 ";\n",
			site, features[i].name, cluster_feature_names[features[i].feature],
			time_us);
}

static void print_rows(const struct palomar *p, struct lab_buf *out)
{
	const struct scenario *s = scenario_of(p);
	int64_t time_us = (int64_t)p->settings.scene->epoch_us - HOUR_US;
	char id[CLUSTER_ID_TEXT_SIZE], site[CLUSTER_ID_TEXT_SIZE];

	for (size_t i = 0; i < s->site_count; i++) {
		format_id(ID_SITE, i, site);
		lab_buf_printf(out,
			"insert into " PALOMAR_KEYSPACE ".sites (id, name, load_balancer, status) "
			"values (%s, '%.*s', '" PALOMAR_LOAD_BALANCER
			"%.*s', 'online') using timestamp %" PRId64 ";\n",
			site, LAB_VIEW_ARG(s->sites[i].name), LAB_VIEW_ARG(s->sites[i].name),
			time_us);
		print_features(p, site, time_us, out);
	}
	for (size_t i = 0; i < p->backend_count; i++) {
		const struct palomar_host *host = &p->hosts[p->proxy_count + i];

		format_id(ID_BACKEND, i, id);
		format_id(ID_SITE, host->site, site);
		lab_buf_printf(out,
			"insert into " PALOMAR_KEYSPACE
			".backends (id, site_id, host, status, load_factor) values (%s, %s, '%s', "
			"'online', 100) using timestamp %" PRId64 ";\n",
			id, site, host->name, time_us);
	}
}

static int make_geodb(const struct palomar *p, struct lab_error *err)
{
	struct scene *scene = p->settings.scene;
	struct lab_buf replication, text;
	int result;

	lab_buf_init(&replication, p->settings.lab->heap, TEXT_MAX);
	scene_replication(scene, &replication);
	lab_buf_init(&text, p->settings.lab->heap, TEXT_MAX);
	geodb_schema_print(LAB_VIEW(PALOMAR_KEYSPACE), lab_buf_cstr(&replication), &text);
	lab_buf_done(&replication);
	print_rows(p, &text);
	result = text.overflow ? lab_fail(err, LAB_LIMIT, "too many backends for GeoDB's rows")
			       : cqlemu_execute(scene->cql, lab_buf_view(&text), err);
	lab_buf_done(&text);
	return result;
}

/* ---- hosts ---- */

static size_t site_of(const struct palomar *p, const char *zone)
{
	const struct scenario *s = scenario_of(p);

	for (size_t i = 0; i < s->site_count; i++) {
		if (lab_view_eq_cstr(s->sites[i].name, zone))
			return i;
	}
	lab_bug("a backend of no site");
}

static void add_host(struct palomar *p, struct palomar_host *host, enum palomar_kind kind,
	const char *name, struct lab_view zone)
{
	host->palomar = p;
	host->kind = kind;
	(void)snprintf(host->name, sizeof(host->name), "%s", name);
	(void)snprintf(host->zone, sizeof(host->zone), "%.*s", LAB_VIEW_ARG(zone));
	host->site = site_of(p, host->zone);
}

static void add_hosts(struct palomar *p)
{
	const struct scenario *s = scenario_of(p);
	struct scene *scene = p->settings.scene;

	p->proxy_count = scene->proxy_count;
	p->backend_count = scene->node_count;
	p->controller_count = p->conf->controllers ? s->site_count : 0;
	p->hosts = lab_new_array(p->settings.lab->heap, struct palomar_host,
		p->proxy_count + p->backend_count + p->controller_count);
	for (size_t i = 0; i < p->proxy_count; i++)
		add_host(p, &p->hosts[i], PALOMAR_PROXY, scene->proxy_names[i],
			s->sites[scene->proxy_sites[i]].name);
	for (size_t i = 0; i < p->backend_count; i++) {
		struct node *node = &scene->nodes[i];

		node->palomar = &p->hosts[p->proxy_count + i];
		node->palomar->node = node;
		add_host(p, node->palomar, PALOMAR_BACKEND, node->name, lab_view_cstr(node->zone));
	}
	for (size_t i = 0; i < p->controller_count; i++)
		add_host(p, &p->hosts[p->proxy_count + p->backend_count + i], PALOMAR_CONTROLLER,
			scene->controller_names[i], s->sites[i].name);
}

int palomar_new(
	const struct palomar_settings *settings, struct palomar **ret, struct lab_error *err)
{
	struct palomar *p = lab_new(settings->lab->heap, struct palomar);

	p->settings = *settings;
	p->conf = &scenario_of(p)->cluster;
	p->user_move_timeout_ns = knob(p, &p->conf->user_move_timeout, "cluster.move_timeout");
	p->proxy_timeout_ns = knob(p, &p->conf->proxy_timeout, "cluster.proxy_timeout");
	p->disconnect_delay_ns = knob(p, &p->conf->disconnect_delay, "cluster.disconnect");
	p->recheck_ns = knob(p, &p->conf->recheck, "cluster.recheck");
	p->max_reconnects = (unsigned)knob(p, &p->conf->proxy_max_reconnects, "cluster.reconnects");
	add_hosts(p);
	*ret = p;
	return make_geodb(p, err);
}

struct palomar_host *palomar_host_at(struct palomar *p, size_t index)
{
	if (index >= p->proxy_count)
		index += p->backend_count;
	return index < p->proxy_count + p->backend_count + p->controller_count ? &p->hosts[index]
									       : NULL;
}

struct palomar_host *palomar_find(struct palomar *p, struct lab_view name)
{
	struct palomar_host *host;

	for (size_t i = 0; (host = palomar_host_at(p, i)) != NULL; i++) {
		if (lab_view_eq_cstr(name, host->name))
			return host;
	}
	return NULL;
}

void palomar_booted(struct palomar_host *host, struct env *env)
{
	host->env = env;
	host->cluster = NULL;
	host->geodb = NULL;
	host->is_up = true;
	host->boots++;
}

void palomar_crashed(struct palomar_host *host)
{
	host->is_up = false;
	host->cluster = NULL;
	host->geodb = NULL;
	/* Who logs in there learns of it; node_crashed() tells those who do other things. */
	host_calls_crashed(&host->calls, host->palomar->settings.lab);
	if (host->node != NULL)
		palomar_sessions_lost(host);
	else
		palomar_sessions_cut(host->palomar, host);
}

/* ---- what runs there ---- */

static void open_geodb(struct palomar_host *host)
{
	struct scene *scene = host->palomar->settings.scene;
	const struct scenario_cluster *conf = host->palomar->conf;
	struct dict_cql_connect connect = *scene_connect_of(scene, host->site);
	struct geodb_settings settings;
	struct cql_client *client;
	struct lab_error err;

	connect.keyspace = host->kind == PALOMAR_CONTROLLER ? conf->controller_keyspace
							    : LAB_VIEW(PALOMAR_KEYSPACE);
	if (conf->read_consistency.len > 0)
		(void)dict_cql_consistency_parse(conf->read_consistency, &connect.read_consistency);
	connect.metrics = LAB_VIEW("");
	/* The settings were checked before the run. */
	if (dict_sql_connect(host->env, &connect, 0, &client, &err) < 0)
		lab_bug("GeoDB cannot be opened with settings that were checked");
	geodb_settings_defaults(&settings);
	host->geodb = geodb_new(host->env, client, &settings);
}

static void cluster_settings_of(const struct palomar_host *host, struct cluster_settings *ret)
{
	const struct palomar *p = host->palomar;

	cluster_settings_defaults(ret, host->node != NULL);
	ret->local_site = lab_view_cstr(host->zone);
	if (host->node != NULL)
		ret->backend_name = lab_view_cstr(host->name);
	ret->policy = (struct cluster_policy){ p->conf->assign,
		(unsigned)knob(p, &p->conf->default_group_count, "cluster.groups") };
	ret->read_back = p->conf->read_back;
	if (host->node != NULL)
		ret->stale_max_ns = knob(p, &p->conf->stale, "cluster.stale");
	ret->view_ttl_ns = knob(p, &p->conf->view_ttl, "cluster.view_ttl");
	ret->localdb.user_ttl_ns = knob(p, &p->conf->user_ttl, "cluster.user_ttl");
	ret->localdb.group_ttl_ns = knob(p, &p->conf->group_ttl, "cluster.group_ttl");
	ret->user_move_timeout_ns = ret->hold_ns = p->user_move_timeout_ns;
}

/* A proxy tells now and then what it has seen; a backend asks now and then. */
static void run_proxy(struct palomar_host *host)
{
	for (;;) {
		env_sleep(host->env, CLUSTER_STATS_WINDOW);
		(void)cluster_stats_flush(host->cluster, NULL);
	}
}

static void run_backend(struct palomar_host *host)
{
	for (;;) {
		env_sleep(host->env, host->palomar->recheck_ns);
		(void)cluster_recheck(host->cluster);
		palomar_reap(host);
	}
}

static void sleep_until(struct env *env, uint64_t time_ns)
{
	uint64_t now = env_now(env);

	if (time_ns > now)
		env_sleep(env, time_ns - now);
}

/* What it knows at the start of the storm, it believes until the end. */
static void stay_stale(void *arg)
{
	struct palomar_host *host = arg;

	sleep_until(host->env, host->palomar->settings.scene->warmup_end);
	cluster_freeze(host->cluster, true);
	sleep_until(host->env, host->palomar->settings.end_ns);
	cluster_freeze(host->cluster, false);
}

void palomar_host_main(void *arg)
{
	struct palomar_host *host = arg;
	const struct cluster_ops ops = { host, palomar_kick };
	struct cluster_settings settings;
	struct lab_error err;

	open_geodb(host);
	if (host->kind == PALOMAR_CONTROLLER)
		palomar_run_controller(host);
	cluster_settings_of(host, &settings);
	host->cluster = cluster_new(host->env, host->geodb, &settings, &ops);
	if (host->node != NULL)
		run_backend(host);
	if (host->palomar->conf->frozen &&
		env_spawn(host->env, "stale", stay_stale, host, &err) < 0)
		lab_bug("a host that has just started has no room for a fiber");
	run_proxy(host);
}
