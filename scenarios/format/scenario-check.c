/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-check.c - what is wrong with a scenario although each of its values is right: what does
 * not fit together, for any seed. Nothing may be left that only a run would find.
 */
#include "scenarios/format/scenario-private.h"

#include "core/fts/fts.h"

#include <stdio.h>

#define PPM 1000000
#define CLOCK_KINDS (FAULT_KIND(clock_skew) | FAULT_KIND(clock_step))
#define HOST_KINDS (FAULT_KIND(crash) | FAULT_KIND(hang) | CLOCK_KINDS)
/* Points that nobody comes by without a dict. */
#define DICT_POINTS \
	(FAULT_CQL | FAULT_BIT(cql_connect) | FAULT_BIT(cql_prepare) | FAULT_BIT(cql_tls) | \
		FAULT_BIT(dict_hop))
#define PARTITION_KINDS (FAULT_KIND(partition) | FAULT_KIND(partition_one_way))

struct check {
	const struct scenario *scenario;
	const struct conf_section *root;
	const struct scenario_overrides *overrides;
	struct conf_problems *problems;
	size_t backends_min;
};

#define complain(check, where, ...) conf_problem_add((check)->problems, true, (where), __VA_ARGS__)

/* ---- where something was said ---- */

static bool is_override_of(const char *text, const char *vocabulary, const char *key)
{
	char start[64];

	snprintf(start, sizeof(start), "%s.%s=", vocabulary, key);
	return lab_view_starts_with(lab_view_cstr(text), lab_view_cstr(start));
}

/* The place of a key, else of its section, else of the file. `label` "" fits every section. */
static struct conf_where where_of(
	const struct check *check, const char *section, struct lab_view label, const char *key)
{
	struct conf_where where = { check->scenario->path, 1, 1 };
	const struct conf_section *at = NULL;
	const struct conf_setting *setting;
	/* store s3 { } and store cql { } are s3.KEY and cql.KEY on the command line. */
	bool is_store = strcmp(section, "store") == 0;
	char vocabulary[16];

	while ((at = conf_section_next(check->root, section, at)) != NULL) {
		if (label.len > 0 && !lab_view_eq(at->label, label))
			continue;
		setting = key == NULL ? NULL : conf_setting_in(at, key);
		where = setting == NULL ? at->where : setting->value_where;
	}
	snprintf(vocabulary, sizeof(vocabulary), "%.*s",
		is_store ? (int)label.len : (int)strlen(section),
		is_store ? (const char *)label.ptr : section);
	for (size_t i = 0; key != NULL && i < check->overrides->set_count; i++) {
		const char *text = check->overrides->sets[i];

		if (is_override_of(text, vocabulary, key))
			where = (struct conf_where){
				lab_arena_printf(check->problems->arena, "--set %s", text), 1, 1
			};
	}
	return where;
}

/* ---- users, sites, stores ---- */

static void check_sites(struct check *check)
{
	const struct scenario *s = check->scenario;
	uint64_t high = 0;

	for (size_t i = 0; i < s->site_count; i++) {
		check->backends_min += (size_t)s->sites[i].backends.low;
		high += s->sites[i].backends.high;
	}
	if (s->site_count == 0)
		complain(check, where_of(check, "site", LAB_VIEW(""), NULL),
			"there is no site with backends");
	else if (check->backends_min == 0)
		complain(check, where_of(check, "site", LAB_VIEW(""), "backends"),
			"there may be a run without backends");
	if (high > SCENARIO_BACKENDS_MAX)
		complain(check, where_of(check, "site", LAB_VIEW(""), "backends"),
			"more than %d backends", SCENARIO_BACKENDS_MAX);
}

static void check_group(struct check *check, const struct scenario_group *g)
{
	uint64_t moved = g->mail_inbox_move_percentage.high + g->mail_inbox_copy_percentage.high;

	if (g->mail_inbox_delete_percentage.high + moved + g->mail_inbox_store_percentage.high >
		PPM)
		complain(check, where_of(check, "user", g->name, "mail_inbox_delete_percentage"),
			"user %.*s: the percentages of delete, move, copy and store are more than "
			"100%% together",
			LAB_VIEW_ARG(g->name));
	if (g->folders.low == 0 && moved > 0)
		complain(check, where_of(check, "user", g->name, "folders"),
			"user %.*s: without folders, mails cannot be moved or copied to others: "
			"set those percentages to 0",
			LAB_VIEW_ARG(g->name));
}

/* Mails of the past need somebody who knows what they look like (mails-before.c). */
static void check_mails(struct check *check, const struct scenario_group *g)
{
	const struct scenario *s = check->scenario;
	const struct scenario_endpoints *e = &s->endpoints;
	struct conf_mail_location location;
	struct lab_error err;
	bool is_known = scenario_has_dictmap(e) && !scenario_stores_paths(e) &&
			!scenario_is_scality(e) && !scenario_has_migrated_mails(e) &&
			e->dictmap.storage_objectid_prefix.len > 0 && s->migrated_from.len == 0 &&
			!s->is_foreign_s3 && !s->is_foreign_cql;

	if (g->mails.high == 0)
		return;
	if (!is_known ||
		conf_mail_location_parse(s->conf.mail_location.text, &location, &err) < 0 ||
		!lab_view_eq_cstr(location.path, "%u"))
		complain(check, where_of(check, "user", g->name, "mails"),
			"user %.*s: mails of before need mail_location = obox:%%u and dictmap with "
			"storage-objectid-prefix over emulators",
			LAB_VIEW_ARG(g->name));
}

static void check_groups(struct check *check)
{
	const struct scenario *s = check->scenario;
	uint64_t users = 0;

	for (size_t i = 0; i < s->group_count; i++) {
		users += s->groups[i].count.high;
		check_group(check, &s->groups[i]);
		check_mails(check, &s->groups[i]);
		if (s->groups[i].mail_search_percentage.high > 0 && !fts_is_configured(&s->conf))
			complain(check,
				where_of(
					check, "user", s->groups[i].name, "mail_search_percentage"),
				"mail_search_percentage: there is nothing to search by: it needs "
				"fts = dovecot and fts_dovecot_fs");
	}
	if (s->group_count == 0)
		complain(check, where_of(check, "user", LAB_VIEW(""), NULL),
			"there is no user group");
	if (users > SCENARIO_USERS_MAX)
		complain(check, where_of(check, "user", LAB_VIEW(""), "count"),
			"more than %d users", SCENARIO_USERS_MAX);
}

static void check_stores(struct check *check)
{
	const struct scenario *s = check->scenario;
	const struct conf_range *partitions = &s->s3.partitions;
	struct conf_where top = { s->path, 1, 1 };
	uint64_t p = partitions->low;

	if (partitions->high != p || (p != 1 && p != 16 && p != 256))
		complain(check, where_of(check, "store", LAB_VIEW("s3"), "partitions"),
			"partitions: it is none of 1, 16 and 256");
	if (s->imds.rotate.high > s->imds.lifetime.low)
		complain(check, where_of(check, "imds", LAB_VIEW(""), "rotate"),
			"imds rotate must not be longer than lifetime");
	if (s->dict_count > 1 || (s->dict_count == 0 && scenario_has_dictmap(&s->endpoints))) {
		complain(check, top,
			"the settings need exactly one dict with driver cassandra, not %zu",
			s->dict_count);
	} else if (s->dict_count == 1 &&
		   s->cql.nodes.high > s->dicts[0].config->connect.host_count) {
		complain(check, where_of(check, "store", LAB_VIEW("cql"), "nodes"),
			"store cql has %" PRIu64
			" nodes, but the connect string of dict %.*s names only %zu hosts",
			s->cql.nodes.high, LAB_VIEW_ARG(s->dicts[0].name),
			s->dicts[0].config->connect.host_count);
	}
}

static void check_data_centers(const struct check *check)
{
	const struct scenario *s = check->scenario;
	struct conf_where where = where_of(check, "store", LAB_VIEW("cql"), "data_center_per_zone");

	if (!s->cql.data_center_per_zone)
		return;
	if (s->cql.nodes.low < s->site_count)
		complain(check, where,
			"data_center_per_zone: %zu zones need as many nodes, not %" PRIu64,
			s->site_count, s->cql.nodes.low);
	if (s->is_foreign_cql || s->dict_count == 0)
		complain(check, where, "data_center_per_zone needs an emulated Cassandra");
}

/* ---- faults ---- */

static bool has_name(struct lab_view name, const char *prefix, uint64_t count)
{
	char one[SCENARIO_NAME_MAX + 1];

	for (uint64_t i = 1; i <= count; i++) {
		snprintf(one, sizeof(one), "%s-%" PRIu64, prefix, i);
		if (lab_view_eq_cstr(name, one))
			return true;
	}
	return false;
}

static bool has_site(const struct scenario *s, struct lab_view name)
{
	for (size_t i = 0; i < s->site_count; i++) {
		if (lab_view_eq(s->sites[i].name, name))
			return true;
	}
	return false;
}

/* A name must be there for every seed. */
static void check_name(
	const struct check *check, const struct scenario_fault *f, struct conf_where where)
{
	if (f->only.len == 0)
		return;
	if (f->target == SCENARIO_TARGET_BACKEND) {
		if (!has_name(f->only, "backend", check->backends_min))
			complain(check, where,
				"target: there is no backend %.*s; they are backend-1 to "
				"backend-%zu",
				LAB_VIEW_ARG(f->only), check->backends_min);
	} else if (f->target == SCENARIO_TARGET_NODE) {
		uint64_t nodes = check->scenario->cql.nodes.low;

		if (!has_name(f->only, "cassandra", nodes))
			complain(check, where,
				"target: there is no node %.*s; they are cassandra-1 to "
				"cassandra-%" PRIu64,
				LAB_VIEW_ARG(f->only), nodes);
	} else if (f->target == SCENARIO_TARGET_ZONE) {
		if (!has_site(check->scenario, f->only))
			complain(check, where, "target: there is no site %.*s",
				LAB_VIEW_ARG(f->only));
	} else if (f->target == SCENARIO_TARGET_PROXY) {
		uint64_t proxies =
			check->scenario->cluster.proxies.low * check->scenario->site_count;

		if (!has_name(f->only, "proxy", proxies))
			complain(check, where,
				"target: there is no proxy %.*s; they are proxy-1 to "
				"proxy-%" PRIu64,
				LAB_VIEW_ARG(f->only), proxies);
	} else {
		complain(check, where,
			"target: only a backend, a proxy, a node or a zone can be named");
	}
}

/* Where the faults of the target's requests are; empty: the target is not asked for faults. */
static uint64_t points_of(const struct scenario *s, enum scenario_target target)
{
	uint64_t all = FAULT_SERVICES | FAULT_DISK | FAULT_BIT(dict_hop) | FAULT_BIT(cql_tls) |
		       FAULT_BIT(metacache_pull) | FAULT_BIT(cluster_kick);

	switch (target) {
	case SCENARIO_TARGET_S3:
		return FAULT_STORAGE;
	case SCENARIO_TARGET_IMDS:
		return FAULT_IMDS;
	case SCENARIO_TARGET_NODE:
		return DICT_POINTS & ~FAULT_BIT(dict_hop);
	case SCENARIO_TARGET_ANY:
	case SCENARIO_TARGET_BACKEND:
	case SCENARIO_TARGET_ZONE:
	case SCENARIO_TARGET_PROXY:
	case SCENARIO_TARGET_CONTROLLER:
		break;
	}
	return s->dict_count > 0 ? all : all & ~DICT_POINTS;
}

static void check_world_kind(const struct check *check, const struct scenario_fault *f,
	enum fault_kind kind, struct conf_where where)
{
	fault_kind_set bit = FAULT_KIND_BIT(kind);
	bool is_service = f->target == SCENARIO_TARGET_NODE || f->target == SCENARIO_TARGET_S3 ||
			  f->target == SCENARIO_TARGET_IMDS;

	if ((bit & HOST_KINDS) != 0 && f->target != SCENARIO_TARGET_BACKEND &&
		f->target != SCENARIO_TARGET_PROXY && f->target != SCENARIO_TARGET_CONTROLLER)
		complain(check, where, "target: %s happens to a backend, a proxy or a controller",
			fault_kind_name(kind));
	if (kind == FAULT_node_down && !is_service)
		complain(check, where, "target: node_down happens to a node, to s3 or to imds");
	if (kind == FAULT_zone_lost && f->target != SCENARIO_TARGET_ZONE)
		complain(check, where, "target: zone_lost happens to a zone");
	if ((bit & PARTITION_KINDS) != 0 && f->only.len > 0)
		complain(check, where, "target: the sides of a partition cannot be named");
}

static void check_kind(const struct check *check, const struct scenario_fault *f,
	enum fault_kind kind, struct conf_where where)
{
	uint64_t points = fault_kind_points(kind);

	if (f->points != 0)
		points &= f->points;
	if (points == 0)
		complain(check, where_of(check, "fault", f->name, "points"),
			"points: %s never happens at any of them", fault_kind_name(kind));
	else if (fault_kind_is_world(kind))
		check_world_kind(check, f, kind, where);
	else if ((points & points_of(check->scenario, f->target)) == 0)
		complain(check, where, "target: %s never happens there", fault_kind_name(kind));
}

/* World-level kinds and the rest mean different things by their targets. */
static bool is_mixed(const struct scenario_fault *f)
{
	bool world = false, service = false;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((f->kinds >> k & 1) == 0)
			continue;
		world = world || fault_kind_is_world((enum fault_kind)k);
		service = service || !fault_kind_is_world((enum fault_kind)k);
	}
	return world && service;
}

static void check_keyspace(const struct check *check, const struct scenario_fault *f)
{
	struct conf_where where = where_of(check, "fault", f->name, "keyspace");

	if (f->keyspace.len == 0)
		return;
	if (f->keyspace.len >= FAULT_NAME_MAX)
		complain(check, where, "keyspace: it is longer than %d bytes", FAULT_NAME_MAX - 1);
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		uint64_t points = fault_kind_points((enum fault_kind)k);

		if ((f->kinds >> k & 1) != 0 && (points & FAULT_CQL) == 0)
			complain(check, where,
				"keyspace: %s does not happen to requests about tables",
				fault_kind_name((enum fault_kind)k));
	}
}

static void check_fault(const struct check *check, const struct scenario_fault *f)
{
	struct conf_where where = where_of(check, "fault", f->name, "target");
	bool has_imds = check->scenario->endpoints.s3.auth_role.ptr != NULL;
	bool has_cql = check->scenario->dict_count > 0;

	if (f->kinds == 0) {
		complain(check, f->where, "fault %.*s has no kinds", LAB_VIEW_ARG(f->name));
		return;
	}
	if (is_mixed(f)) {
		complain(check, where_of(check, "fault", f->name, "kinds"),
			"kinds: crash, hang, node_down, partition and clock_ kinds need a fault "
			"section "
			"of their own");
		return;
	}
	check_name(check, f, where);
	check_keyspace(check, f);
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((f->kinds >> k & 1) != 0)
			check_kind(check, f, (enum fault_kind)k, where);
	}
	if (!has_cql && f->target == SCENARIO_TARGET_NODE)
		complain(check, where, "target: there is no Cassandra without a dict");
	if (!has_cql && f->other == SCENARIO_TARGET_NODE)
		complain(check, where_of(check, "fault", f->name, "other"),
			"other: there is no Cassandra without a dict");
	if (!has_imds && f->target == SCENARIO_TARGET_IMDS)
		complain(check, where, "target: there is no IMDS without auth_role in obox_fs");
	if (!has_imds && f->other == SCENARIO_TARGET_IMDS)
		complain(check, where_of(check, "fault", f->name, "other"),
			"other: there is no IMDS without auth_role in obox_fs");
}

static void check_faults(const struct check *check)
{
	const struct scenario *s = check->scenario;
	uint64_t episodes = 0;

	for (size_t i = 0; i < s->fault_count; i++) {
		episodes += s->faults[i].episodes.high;
		check_fault(check, &s->faults[i]);
	}
	if (episodes > FAULT_EPISODES_MAX)
		complain(check, where_of(check, "fault", LAB_VIEW(""), "episodes"),
			"more than %d episodes of faults", FAULT_EPISODES_MAX);
}

/* What is damaged must be known by its key, and what is told of it must be S3's and Cassandra's. */
static void check_operator(const struct check *check)
{
	const struct scenario *s = check->scenario;
	const struct scenario_endpoints *e = &s->endpoints;
	const unsigned keyspace = 1u << SCENARIO_DAMAGE_LOST_KEYSPACE;
	const char *key = s->damage != 0   ? "damage"
			  : s->repair != 0 ? "repair"
					   : "collect_interval";

	if (!scenario_has_operator(s))
		return;
	if (!scenario_has_dictmap(e) || scenario_stores_paths(e) || scenario_is_scality(e) ||
		scenario_has_migrated_mails(e) || e->dictmap.storage_objectid_prefix.len == 0 ||
		s->migrated_from.len > 0 || s->is_foreign_s3 || s->is_foreign_cql)
		complain(check, where_of(check, "scenario", LAB_VIEW(""), key),
			"%s: needs dictmap with storage-objectid-prefix over emulators of S3 and "
			"Cassandra",
			key);
	if ((s->damage & keyspace) != 0 && s->repair != 1u << SCENARIO_REPAIR_REBUILD)
		complain(check, where_of(check, "scenario", LAB_VIEW(""), "repair"),
			"repair: a lost keyspace is there again only after a rebuild");
}

static bool is_of_palomar(enum scenario_target target)
{
	return target == SCENARIO_TARGET_PROXY || target == SCENARIO_TARGET_CONTROLLER;
}

static void check_cluster(const struct check *check)
{
	const struct scenario *s = check->scenario;
	const struct conf_range *proxies = &s->cluster.proxies;
	struct conf_where where = where_of(check, "cluster", LAB_VIEW(""), "proxies");
	enum dict_cql_consistency level;

	for (size_t i = 0; i < s->fault_count; i++) {
		if (proxies->low == 0 &&
			(is_of_palomar(s->faults[i].target) || is_of_palomar(s->faults[i].other)))
			complain(check, s->faults[i].where,
				"fault %.*s: there are no proxies and no controllers without "
				"cluster { proxies }",
				LAB_VIEW_ARG(s->faults[i].name));
	}
	if (s->cluster.read_consistency.len > 0 &&
		dict_cql_consistency_parse(s->cluster.read_consistency, &level) < 0)
		complain(check, where_of(check, "cluster", LAB_VIEW(""), "read_consistency"),
			"read_consistency: there is no level %.*s",
			LAB_VIEW_ARG(s->cluster.read_consistency));
	if (proxies->high == 0)
		return;
	if (proxies->low == 0)
		complain(check, where, "proxies: there may be a run without any");
	if (s->dict_count == 0 || s->is_foreign_cql)
		complain(check, where, "proxies: GeoDB needs an emulated Cassandra");
	for (size_t i = 0; i < s->group_count; i++) {
		if (s->groups[i].backends_at_once.high > 1 || s->groups[i].tour)
			complain(check, where_of(check, "user", s->groups[i].name, NULL),
				"user %.*s: behind proxies a user has one backend, and makes no "
				"tour",
				LAB_VIEW_ARG(s->groups[i].name));
	}
}

bool scenario_has_operator(const struct scenario *s)
{
	return s->damage != 0 || s->repair != 0 || s->collect_interval.high > 0;
}

void scenario_check(const struct scenario *scenario, const struct conf_section *root,
	const struct scenario_overrides *overrides, struct conf_problems *problems)
{
	struct check check = {
		.scenario = scenario, .root = root, .overrides = overrides, .problems = problems
	};

	check_sites(&check);
	check_groups(&check);
	check_stores(&check);
	check_data_centers(&check);
	check_faults(&check);
	check_operator(&check);
	scenario_check_steps(scenario, check.backends_min, problems);
	check_cluster(&check);
}
