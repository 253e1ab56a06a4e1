/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-sites.c - settings that only the backends of one zone have: `site NAME { conf = FILE }`.
 */
#include "scenarios/format/scenario-private.h"

struct site_loader {
	const struct scenario *scenario;
	struct scenario_site *site;
	const struct conf_reader *reader;
	struct lab_arena *arena;
	struct conf_problems *problems;
};

static bool is_same_text(const struct conf_text *a, const struct conf_text *b)
{
	return lab_view_eq(a->text, b->text);
}

/* What decides which rows and objects there are, and what is claimed of them. */
static bool is_same_dictmap(const struct fs_uri_dictmap *a, const struct fs_uri_dictmap *b)
{
	return a->refcounting_table == b->refcounting_table && a->diff_table == b->diff_table &&
	       (a->lockdir.ptr == NULL) == (b->lockdir.ptr == NULL) &&
	       a->bucket_size == b->bucket_size &&
	       a->delete_timestamp_ns == b->delete_timestamp_ns &&
	       lab_view_eq(a->storage_objectid_prefix, b->storage_objectid_prefix) &&
	       a->storage_passthrough_paths == b->storage_passthrough_paths &&
	       a->storage_objectid_migrate == b->storage_objectid_migrate &&
	       a->cleanup_uncertain == b->cleanup_uncertain &&
	       lab_view_eq(a->dict_prefix, b->dict_prefix);
}

static bool is_same_cluster(const struct dict_cql_connect *a, const struct dict_cql_connect *b)
{
	if (a->host_count != b->host_count)
		return false;
	for (size_t i = 0; i < a->host_count; i++) {
		if (!lab_view_eq(a->hosts[i], b->hosts[i]))
			return false;
	}
	return a->port == b->port && lab_view_eq(a->keyspace, b->keyspace) &&
	       a->use_tls == b->use_tls && a->read_consistency == b->read_consistency &&
	       a->write_consistency == b->write_consistency &&
	       a->delete_consistency == b->delete_consistency &&
	       a->read_fallback_consistency == b->read_fallback_consistency &&
	       a->write_fallback_consistency == b->write_fallback_consistency &&
	       a->delete_fallback_consistency == b->delete_fallback_consistency;
}

/* What is claimed of a run is one for all. */
static bool is_claimed_alike(const struct conf_settings *a, const struct conf_settings *b)
{
	return is_same_text(&a->mail_location, &b->mail_location) &&
	       is_same_text(&a->mail_home, &b->mail_home) && is_same_text(&a->fts, &b->fts) &&
	       is_same_text(&a->lazy_expunge_mailbox, &b->lazy_expunge_mailbox) &&
	       is_same_text(&a->quota, &b->quota) && a->lazy_expunge == b->lazy_expunge &&
	       a->obox_track_copy_flags == b->obox_track_copy_flags &&
	       a->metacache_upload_interval_ns == b->metacache_upload_interval_ns &&
	       a->metacache_close_delay_ns == b->metacache_close_delay_ns &&
	       a->metacache_max_space == b->metacache_max_space &&
	       a->obox_max_parallel_deletes == b->obox_max_parallel_deletes;
}

static int check_same(
	const struct scenario *all, const struct scenario *here, struct lab_error *err)
{
	const struct scenario_endpoints *a = &all->endpoints, *b = &here->endpoints;

	if (all->migrated_from.len > 0 || all->is_foreign_s3 || all->is_foreign_cql)
		return lab_fail(err, LAB_INVALID, "not together with migrated_from, --s3 or --cql");
	if (a->flavour != b->flavour || !lab_view_eq(a->s3_authority, b->s3_authority) ||
		!lab_view_eq(a->bucket, b->bucket))
		return lab_fail(err, LAB_INVALID, "it is not the same storage: %.*s, then %.*s",
			LAB_VIEW_ARG(a->s3_authority), LAB_VIEW_ARG(b->s3_authority));
	if (!is_same_dictmap(&a->dictmap, &b->dictmap))
		return lab_fail(err, LAB_INVALID, "its dictmap keeps other rows and objects");
	for (size_t i = 0; i < here->dict_count; i++) {
		if (all->dict_count == 0 || !is_same_cluster(&all->dicts[0].config->connect,
						    &here->dicts[i].config->connect))
			return lab_fail(err, LAB_INVALID,
				"its dict is another cluster, or has other consistencies");
	}
	if (!is_claimed_alike(&all->conf, &here->conf))
		return lab_fail(err, LAB_INVALID,
			"mail_location, plugins and what says how long and how much must be as in "
			"the other zones");
	return 0;
}

static int load_dicts(const struct site_loader *l, struct scenario *here, struct lab_error *err)
{
	here->dict_count = 0;
	for (size_t i = 0; i < here->conf.dict_count; i++) {
		const struct conf_dict *dict = &here->conf.dicts[i];
		struct dict_cql_config *config;

		if (!lab_view_eq_cstr(dict->driver, "cassandra"))
			continue;
		if (here->dict_count == SCENARIO_DICTS_MAX)
			return lab_fail(err, LAB_LIMIT, "more than %d dicts", SCENARIO_DICTS_MAX);
		if (dict_cql_load(dict->path, l->reader, l->arena, &config, err) < 0)
			return -1;
		here->dict_names[here->dict_count] = lab_arena_cstr(l->arena, dict->name);
		here->dicts[here->dict_count++] = (struct backend_dict){ dict->name, config };
	}
	return 0;
}

static int load_site(const struct site_loader *l, struct lab_view path, struct lab_error *err)
{
	struct scenario *here = lab_arena_new_of(l->arena, struct scenario);
	struct conf_section *root;

	*here = *l->scenario;
	here->path = lab_arena_cstr(l->arena, path);
	here->endpoints = (struct scenario_endpoints){ .bucket = { NULL, 0 } };
	if (conf_parse(path, l->reader, 0, l->arena, l->problems, &root, err) < 0)
		return -1;
	(void)conf_check(root, CONF_FILE_DOVECOT, NULL, 0, l->problems);
	if (conf_settings_load(root, l->arena, &here->conf, err) < 0 ||
		load_dicts(l, here, err) < 0 || scenario_endpoints_find(here, l->arena, err) < 0)
		return -1;
	l->site->own = here;
	return check_same(l->scenario, here, err);
}

static struct conf_where where_of(
	const struct scenario *s, const struct conf_section *root, const struct scenario_site *site)
{
	for (const struct conf_section *c = root->children; c != NULL; c = c->next) {
		if (!lab_view_eq_cstr(c->name, "site") || !lab_view_eq(c->label, site->name))
			continue;
		for (const struct conf_setting *t = c->settings; t != NULL; t = t->next) {
			if (lab_view_eq_cstr(t->name, "conf"))
				return t->value_where;
		}
	}
	return (struct conf_where){ s->path, 1, 1 };
}

int scenario_load_sites(struct scenario *scenario, const struct conf_section *root,
	const struct conf_reader *reader, struct lab_arena *arena, struct conf_problems *problems,
	struct lab_error *err)
{
	for (size_t i = 0; i < scenario->site_count; i++) {
		struct scenario_site *site = &scenario->sites[i];
		struct site_loader loader = { scenario, site, reader, arena, problems };
		struct conf_where where = where_of(scenario, root, site);
		struct lab_error why;

		if (site->conf.len == 0)
			continue;
		if (load_site(&loader, conf_resolve_path(arena, where.file, site->conf), &why) < 0)
			return conf_fail(err, where, "conf: %s", why.message);
	}
	return 0;
}
