/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c - reading a .scn file with the settings it includes.
 */
#include "scenarios/runner/scenario-private.h"

/* Sections of a scenario; everything else at the top level is dovecot.conf's. `store` is written
 * with a label: store s3, store cql. */
static const char *const sections[] = { "scenario", "site", "user", "store", "imds", "network",
	"backend", "fault" };

struct loader {
	struct scenario *scenario;
	struct lab_arena *arena;
	struct conf_problems *problems;
	const struct conf_reader *reader;
};

/* ---- keys ---- */

struct section_keys {
	const char *section;
	const char *names[32];
	size_t count;
};

static void keys_of(const char *section, struct section_keys *ret)
{
	const struct scenario_key *key;

	*ret = (struct section_keys){ .section = section };
	for (size_t i = 0; (key = scenario_key_at(i)) != NULL; i++) {
		if (strcmp(key->section, section) == 0)
			ret->names[ret->count++] = key->name;
	}
}

static void read_setting(struct loader *loader, const char *vocabulary,
	const struct conf_setting *setting, void *object)
{
	const struct scenario_key *key = scenario_key_find(vocabulary, setting->name);
	struct section_keys known;
	char hint[CONF_HINT_MAX];
	struct lab_error err;

	if (key == NULL) {
		keys_of(vocabulary, &known);
		conf_problem_add(loader->problems, true, setting->where, "unknown setting %.*s%s",
			LAB_VIEW_ARG(setting->name),
			conf_hint(conf_suggest_of(setting->name, known.names, known.count), hint));
	} else if (scenario_value_read(key, setting->value, object, &err) < 0) {
		conf_problem_add(loader->problems, true, setting->value_where, "%s: %s", key->name,
			err.message);
	}
}

static void read_settings(struct loader *loader, const char *vocabulary,
	const struct conf_section *section, void *object)
{
	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next)
		read_setting(loader, vocabulary, s, object);
	for (const struct conf_section *c = section->children; c != NULL; c = c->next)
		conf_problem_add(loader->problems, true, c->where, "unknown section %.*s",
			LAB_VIEW_ARG(c->name));
}

/* ---- sections ---- */

static bool is_new_label(
	struct loader *loader, const struct conf_section *section, struct lab_view previous)
{
	if (!lab_view_eq(section->label, previous))
		return true;
	conf_problem_add(loader->problems, true, section->where, "%.*s %.*s is there twice",
		LAB_VIEW_ARG(section->name), LAB_VIEW_ARG(section->label));
	return false;
}

static bool has_label(struct loader *loader, const struct conf_section *section)
{
	if (section->label.len > 0)
		return true;
	conf_problem_add(loader->problems, true, section->where, "%.*s needs a name",
		LAB_VIEW_ARG(section->name));
	return false;
}

static void too_many(struct loader *loader, const struct conf_section *section, size_t max)
{
	conf_problem_add(loader->problems, true, section->where, "more than %zu sections %.*s", max,
		LAB_VIEW_ARG(section->name));
}

static void read_site(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_site *site = &s->sites[s->site_count];

	if (!has_label(loader, section))
		return;
	if (s->site_count == SCENARIO_SITES_MAX) {
		too_many(loader, section, SCENARIO_SITES_MAX);
		return;
	}
	for (size_t i = 0; i < s->site_count; i++) {
		if (!is_new_label(loader, section, s->sites[i].name))
			return;
	}
	scenario_value_defaults("site", site);
	site->name = section->label;
	read_settings(loader, "site", section, site);
	s->site_count++;
}

static void read_group(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_group *group = &s->groups[s->group_count];

	if (!has_label(loader, section))
		return;
	if (s->group_count == SCENARIO_GROUPS_MAX) {
		too_many(loader, section, SCENARIO_GROUPS_MAX);
		return;
	}
	for (size_t i = 0; i < s->group_count; i++) {
		if (!is_new_label(loader, section, s->groups[i].name))
			return;
	}
	scenario_value_defaults("user", group);
	group->name = section->label;
	read_settings(loader, "user", section, group);
	s->group_count++;
}

static void read_fault(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_fault *fault = &s->faults[s->fault_count];

	if (!has_label(loader, section))
		return;
	if (s->fault_count == SCENARIO_FAULTS_MAX) {
		too_many(loader, section, SCENARIO_FAULTS_MAX);
		return;
	}
	for (size_t i = 0; i < s->fault_count; i++) {
		if (!is_new_label(loader, section, s->faults[i].name))
			return;
	}
	*fault = (struct scenario_fault){ .name = section->label, .where = section->where };
	scenario_value_defaults("fault", fault);
	read_settings(loader, "fault", section, fault);
	if (fault->kinds == 0)
		conf_problem_add(loader->problems, true, section->where, "fault %.*s has no kinds",
			LAB_VIEW_ARG(section->label));
	s->fault_count++;
}

static void read_store(struct loader *loader, const struct conf_section *section)
{
	static const char *const labels[] = { "s3", "cql" };
	struct scenario *s = loader->scenario;
	char hint[CONF_HINT_MAX];

	if (lab_view_eq_cstr(section->label, "s3"))
		read_settings(loader, "s3", section, &s->s3);
	else if (lab_view_eq_cstr(section->label, "cql"))
		read_settings(loader, "cql", section, &s->cql);
	else
		conf_problem_add(loader->problems, true, section->where, "unknown store %.*s%s",
			LAB_VIEW_ARG(section->label),
			conf_hint(conf_suggest_of(section->label, labels, 2), hint));
}

static void read_section(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	const struct {
		const char *name;
		void *object;
	} single[] = { { "scenario", s }, { "imds", &s->imds }, { "network", &s->network },
		{ "backend", &s->hosts } };

	if (lab_view_eq_cstr(section->name, "site"))
		read_site(loader, section);
	else if (lab_view_eq_cstr(section->name, "user"))
		read_group(loader, section);
	else if (lab_view_eq_cstr(section->name, "fault"))
		read_fault(loader, section);
	else if (lab_view_eq_cstr(section->name, "store"))
		read_store(loader, section);
	for (size_t i = 0; i < LAB_COUNT_OF(single); i++) {
		if (lab_view_eq_cstr(section->name, single[i].name))
			read_settings(loader, single[i].name, section, single[i].object);
	}
}

static void set_defaults(struct scenario *s)
{
	scenario_value_defaults("scenario", s);
	scenario_value_defaults("s3", &s->s3);
	scenario_value_defaults("cql", &s->cql);
	scenario_value_defaults("imds", &s->imds);
	scenario_value_defaults("network", &s->network);
	scenario_value_defaults("backend", &s->hosts);
}

/* ---- --set ---- */

/* Groups of the same section all take the value: `user.count=5` sets it for every group. */
static void set_all(struct loader *loader, const char *section, const struct conf_setting *setting)
{
	struct scenario *s = loader->scenario;
	const struct {
		const char *name;
		void *first;
		size_t count, size;
	} objects[] = {
		{ "scenario", s, 1, 0 },
		{ "site", s->sites, s->site_count, sizeof(s->sites[0]) },
		{ "user", s->groups, s->group_count, sizeof(s->groups[0]) },
		{ "s3", &s->s3, 1, 0 },
		{ "cql", &s->cql, 1, 0 },
		{ "imds", &s->imds, 1, 0 },
		{ "network", &s->network, 1, 0 },
		{ "backend", &s->hosts, 1, 0 },
		{ "fault", s->faults, s->fault_count, sizeof(s->faults[0]) },
	};
	bool found = false;

	for (size_t i = 0; i < LAB_COUNT_OF(objects); i++) {
		if (strcmp(objects[i].name, section) != 0)
			continue;
		found = true;
		for (size_t n = 0; n < objects[i].count; n++)
			read_setting(loader, section, setting,
				(char *)objects[i].first + n * objects[i].size);
	}
	if (!found)
		conf_problem_add(
			loader->problems, true, setting->where, "unknown section %s", section);
}

static void apply_override(struct loader *loader, const char *text)
{
	struct lab_view value = lab_view_cstr(text), name, section;
	struct conf_setting setting = { .where = { "--set", 1, 1 } };
	char section_name[32];

	if (!lab_view_split(&value, '=', &name) || value.ptr == NULL ||
		!lab_view_split(&name, '.', &section) || name.ptr == NULL ||
		lab_view_to_cstr(section, section_name, sizeof(section_name)) < 0) {
		conf_problem_add(loader->problems, true, setting.where,
			"\"%s\" is not SECTION.KEY=VALUE", text);
		return;
	}
	setting.name = name;
	setting.value = lab_view_trim(value);
	setting.value_where = setting.where;
	set_all(loader, section_name, &setting);
}

/* ---- the operator's settings ---- */

static int load_dicts(struct loader *loader, struct lab_error *err)
{
	struct scenario *s = loader->scenario;

	for (size_t i = 0; i < s->conf.dict_count; i++) {
		const struct conf_dict *dict = &s->conf.dicts[i];
		struct dict_cql_config *config;

		if (!lab_view_eq(dict->driver, LAB_VIEW("cassandra")))
			continue;
		if (s->dict_count == SCENARIO_DICTS_MAX)
			return conf_fail(
				err, dict->where, "more than %d dicts", SCENARIO_DICTS_MAX);
		if (dict_cql_load(dict->path, loader->reader, loader->arena, &config, err) < 0)
			return -1;
		s->dicts[s->dict_count++] = (struct backend_dict){ dict->name, config };
	}
	return 0;
}

static int check_whole(const struct scenario *s, struct lab_error *err)
{
	if (s->site_count == 0)
		return lab_fail(err, LAB_INVALID, "%s: there is no site with backends", s->path);
	if (s->group_count == 0)
		return lab_fail(err, LAB_INVALID, "%s: there is no user group", s->path);
	if (s->dict_count != 1)
		return lab_fail(err, LAB_INVALID,
			"%s: the settings need exactly one dict with driver cassandra, not %zu",
			s->path, s->dict_count);
	if (s->cql.replication_factor.low < 1 || s->cql.nodes.low < 1)
		return lab_fail(err, LAB_INVALID,
			"%s: store cql needs at least one node and replication_factor 1", s->path);
	if (s->imds.rotate.high > s->imds.lifetime.low)
		return lab_fail(err, LAB_INVALID,
			"%s: imds rotate must not be longer than lifetime", s->path);
	return 0;
}

static int load_settings(
	struct loader *loader, const struct conf_section *root, struct lab_error *err)
{
	(void)conf_check(
		root, CONF_FILE_DOVECOT, sections, LAB_COUNT_OF(sections), loader->problems);
	if (loader->problems->errors > 0)
		return lab_fail(
			err, LAB_INVALID, "%s: the settings have errors", loader->scenario->path);
	if (conf_settings_load(root, loader->arena, &loader->scenario->conf, err) < 0 ||
		load_dicts(loader, err) < 0)
		return -1;
	return scenario_endpoints_find(loader->scenario, loader->arena, err);
}

static int parse(
	struct loader *loader, const char *path, struct conf_section **ret, struct lab_error *err)
{
	return conf_parse(
		lab_view_cstr(path), loader->reader, 0, loader->arena, loader->problems, ret, err);
}

int scenario_load(const char *path, const struct conf_reader *reader,
	const struct scenario_overrides *overrides, struct lab_arena *arena,
	struct conf_problems *problems, struct scenario **ret, struct lab_error *err)
{
	struct scenario *s = lab_arena_new_of(arena, struct scenario);
	struct loader loader = { s, arena, problems, reader };
	struct conf_section *root, *conf;

	s->path = lab_arena_cstr(arena, lab_view_cstr(path));
	if (parse(&loader, path, &root, err) < 0)
		return -1;
	set_defaults(s);
	for (const struct conf_section *c = root->children; c != NULL; c = c->next)
		read_section(&loader, c);
	for (size_t i = 0; overrides != NULL && i < overrides->set_count; i++)
		apply_override(&loader, overrides->sets[i]);
	conf = root;
	if (overrides != NULL && overrides->conf != NULL &&
		parse(&loader, overrides->conf, &conf, err) < 0)
		return -1;
	if (load_settings(&loader, conf, err) < 0 || check_whole(s, err) < 0)
		return -1;
	*ret = s;
	return 0;
}
