/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c - reading a .scn file with the settings it includes.
 */
#include "scenarios/format/scenario-private.h"

#include "scenarios/format/script-check.h"
#include "core/cluster/cluster-command.h"
#include "sim/serve/latency-file.h"

/* Sections of a scenario; everything else at the top level is dovecot.conf's. `store` is written
 * with a label: store s3, store cql. */
static const char *const sections[] = { "scenario", "site", "user", "store", "imds", "network",
	"backend", "fault", "operator", "step", "episode", "cluster", "script", "knob" };

struct loader {
	struct scenario *scenario;
	struct lab_arena *arena;
	struct conf_problems *problems;
	const struct conf_reader *reader;
};

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

static bool is_letter_or_digit(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9');
}

/* Names end up in the names of hosts, zones and draws. */
bool scenario_has_label(const struct conf_section *section, struct conf_problems *problems)
{
	struct lab_view label = section->label;

	if (label.len == 0 || label.len > SCENARIO_NAME_MAX) {
		conf_problem_add(problems, true, section->where,
			label.len == 0 ? "%.*s needs a name" : "%.*s: the name is too long",
			LAB_VIEW_ARG(section->name));
		return false;
	}
	for (size_t i = 0; i < label.len; i++) {
		if (strchr("_-.", label.ptr[i]) == NULL && !is_letter_or_digit(label.ptr[i])) {
			conf_problem_add(problems, true, section->where,
				"%.*s: a name is made of letters, digits, '_', '-' and '.'",
				LAB_VIEW_ARG(section->name));
			return false;
		}
	}
	return true;
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

	if (!scenario_has_label(section, loader->problems))
		return;
	if (s->site_count == SCENARIO_SITES_MAX) {
		too_many(loader, section, SCENARIO_SITES_MAX);
		return;
	}
	for (size_t i = 0; i < s->site_count; i++) {
		if (!is_new_label(loader, section, s->sites[i].name))
			return;
	}
	conf_keys_defaults(&scenario_vocabulary, "site", site);
	site->name = section->label;
	conf_keys_read(&scenario_vocabulary, "site", section, site, loader->problems);
	s->site_count++;
}

static void read_group(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_group *group = &s->groups[s->group_count];

	if (!scenario_has_label(section, loader->problems))
		return;
	if (s->group_count == SCENARIO_GROUPS_MAX) {
		too_many(loader, section, SCENARIO_GROUPS_MAX);
		return;
	}
	for (size_t i = 0; i < s->group_count; i++) {
		if (!is_new_label(loader, section, s->groups[i].name))
			return;
	}
	conf_keys_defaults(&scenario_vocabulary, "user", group);
	group->name = section->label;
	conf_keys_read(&scenario_vocabulary, "user", section, group, loader->problems);
	s->group_count++;
}

static void read_fault(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_fault *fault = &s->faults[s->fault_count];

	if (!scenario_has_label(section, loader->problems))
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
	conf_keys_defaults(&scenario_vocabulary, "fault", fault);
	conf_keys_read(&scenario_vocabulary, "fault", section, fault, loader->problems);
	s->fault_count++;
}

/* Mails that a user's deletion takes away nobody here knows of (yet). */
static void check_command(struct loader *loader, const struct scenario_operator *op)
{
	struct operator_command command;
	struct lab_error err;
	struct lab_view prefix = LAB_VIEW("backend-"), cluster = LAB_VIEW("cluster ");
	uint64_t number;

	if (!lab_view_eq_cstr(op->backend, "all") &&
		(!lab_view_starts_with(op->backend, prefix) ||
			lab_view_to_u64(lab_view_skip(op->backend, prefix.len), &number) < 0 ||
			number == 0 || number > SCENARIO_BACKENDS_MAX))
		conf_problem_add(loader->problems, true, op->where,
			"backend: \"%.*s\" is neither all nor backend-1, backend-2, ...",
			LAB_VIEW_ARG(op->backend));
	if (lab_view_starts_with(op->command, cluster)) {
		struct cluster_command words;

		if (cluster_command_parse_text(
			    lab_view_skip(op->command, cluster.len), &words, &err) < 0)
			conf_problem_add(
				loader->problems, true, op->where, "command: %s", err.message);
		return;
	}
	if (operator_parse_text(op->command, &command, &err) < 0)
		conf_problem_add(loader->problems, true, op->where, "command: %s", err.message);
	else if (command.verb == OPERATOR_DELETE)
		conf_problem_add(loader->problems, true, op->where,
			"command: the clients would not know that their user was deleted");
}

static void read_operator(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_operator *op = &s->operators[s->operator_count];

	if (!scenario_has_label(section, loader->problems))
		return;
	if (s->operator_count == SCENARIO_OPERATORS_MAX) {
		too_many(loader, section, SCENARIO_OPERATORS_MAX);
		return;
	}
	for (size_t i = 0; i < s->operator_count; i++) {
		if (!is_new_label(loader, section, s->operators[i].name))
			return;
	}
	*op = (struct scenario_operator){ .name = section->label, .where = section->where };
	conf_keys_defaults(&scenario_vocabulary, "operator", op);
	conf_keys_read(&scenario_vocabulary, "operator", section, op, loader->problems);
	check_command(loader, op);
	s->operator_count++;
}

static void read_script(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	struct scenario_script *script = &s->scripts[s->script_count];

	if (!scenario_has_label(section, loader->problems))
		return;
	if (s->script_count == SCENARIO_SCRIPTS_MAX) {
		too_many(loader, section, SCENARIO_SCRIPTS_MAX);
		return;
	}
	for (size_t i = 0; i < s->script_count; i++) {
		if (!is_new_label(loader, section, s->scripts[i].name))
			return;
	}
	*script = (struct scenario_script){ .name = section->label, .where = section->where };
	conf_keys_defaults(&scenario_vocabulary, "script", script);
	conf_keys_read(&scenario_vocabulary, "script", section, script, loader->problems);
	s->script_count++;
}

static void read_store(struct loader *loader, const struct conf_section *section)
{
	static const char *const labels[] = { "s3", "scality", "cql" };
	struct scenario *s = loader->scenario;
	char hint[CONF_HINT_MAX];

	if (lab_view_eq_cstr(section->label, "s3"))
		conf_keys_read(&scenario_vocabulary, "s3", section, &s->s3, loader->problems);
	else if (lab_view_eq_cstr(section->label, "scality"))
		conf_keys_read(
			&scenario_vocabulary, "scality", section, &s->scality, loader->problems);
	else if (lab_view_eq_cstr(section->label, "cql"))
		conf_keys_read(&scenario_vocabulary, "cql", section, &s->cql, loader->problems);
	else
		conf_problem_add(loader->problems, true, section->where, "unknown store %.*s%s",
			LAB_VIEW_ARG(section->label),
			conf_hint(conf_suggest_of(section->label, labels, LAB_COUNT_OF(labels)),
				hint));
}

static void read_section(struct loader *loader, const struct conf_section *section)
{
	struct scenario *s = loader->scenario;
	const struct {
		const char *name;
		void *object;
	} single[] = { { "scenario", s }, { "imds", &s->imds }, { "network", &s->network },
		{ "backend", &s->hosts }, { "cluster", &s->cluster } };

	if (lab_view_eq_cstr(section->name, "site"))
		read_site(loader, section);
	else if (lab_view_eq_cstr(section->name, "user"))
		read_group(loader, section);
	else if (lab_view_eq_cstr(section->name, "fault"))
		read_fault(loader, section);
	else if (lab_view_eq_cstr(section->name, "operator"))
		read_operator(loader, section);
	else if (lab_view_eq_cstr(section->name, "script"))
		read_script(loader, section);
	else if (lab_view_eq_cstr(section->name, "store"))
		read_store(loader, section);
	for (size_t i = 0; i < LAB_COUNT_OF(single); i++) {
		if (!lab_view_eq_cstr(section->name, single[i].name))
			continue;
		if (section->label.ptr != NULL)
			conf_problem_add(loader->problems, true, section->where,
				"section %s takes no name", single[i].name);
		conf_keys_read(&scenario_vocabulary, single[i].name, section, single[i].object,
			loader->problems);
	}
}

/* `user = 5` would be passed over, because these names are not dovecot.conf's. */
static void check_top_setting(struct loader *loader, const struct conf_setting *setting)
{
	for (size_t i = 0; i < LAB_COUNT_OF(sections); i++) {
		if (lab_view_eq_cstr(setting->name, sections[i]))
			conf_problem_add(loader->problems, true, setting->where,
				"%s is a section, not a setting: %s { }", sections[i], sections[i]);
	}
}

bool scenario_is_section(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(sections); i++) {
		if (lab_view_eq_cstr(name, sections[i]))
			return true;
	}
	return false;
}

static void read_sections(struct loader *loader, const struct conf_section *root)
{
	for (const struct conf_setting *t = root->settings; t != NULL; t = t->next)
		check_top_setting(loader, t);
	for (const struct conf_section *c = root->children; c != NULL; c = c->next)
		read_section(loader, c);
}

static void set_defaults(struct scenario *s)
{
	conf_keys_defaults(&scenario_vocabulary, "scenario", s);
	conf_keys_defaults(&scenario_vocabulary, "s3", &s->s3);
	conf_keys_defaults(&scenario_vocabulary, "scality", &s->scality);
	conf_keys_defaults(&scenario_vocabulary, "cql", &s->cql);
	conf_keys_defaults(&scenario_vocabulary, "imds", &s->imds);
	conf_keys_defaults(&scenario_vocabulary, "network", &s->network);
	conf_keys_defaults(&scenario_vocabulary, "backend", &s->hosts);
	conf_keys_defaults(&scenario_vocabulary, "cluster", &s->cluster);
}

/* ---- --set ---- */

struct set_objects {
	const char *name;
	void *first;
	size_t count, size;
};
#define SET_SECTIONS 16

static void set_objects(struct scenario *s, struct set_objects ret[SET_SECTIONS])
{
	const struct set_objects objects[SET_SECTIONS] = {
		{ "scenario", s, 1, 0 },
		{ "site", s->sites, s->site_count, sizeof(s->sites[0]) },
		{ "user", s->groups, s->group_count, sizeof(s->groups[0]) },
		{ "s3", &s->s3, 1, 0 },
		{ "scality", &s->scality, 1, 0 },
		{ "cql", &s->cql, 1, 0 },
		{ "imds", &s->imds, 1, 0 },
		{ "network", &s->network, 1, 0 },
		{ "backend", &s->hosts, 1, 0 },
		{ "fault", s->faults, s->fault_count, sizeof(s->faults[0]) },
		{ "operator", s->operators, s->operator_count, sizeof(s->operators[0]) },
		{ "step", s->steps, s->step_count, sizeof(s->steps[0]) },
		{ "episode", s->episodes, s->episode_count, sizeof(s->episodes[0]) },
		{ "cluster", &s->cluster, 1, 0 },
		{ "script", s->scripts, s->script_count, sizeof(s->scripts[0]) },
		{ "knob", s->knobs, s->knob_count, sizeof(s->knobs[0]) },
	};

	memcpy(ret, objects, sizeof(objects));
}

/* Sections of the same name all take the value: `user.count=5` sets it for every group. */
static void set_all(struct loader *loader, struct lab_view section, struct conf_where where,
	const struct conf_setting *setting)
{
	struct set_objects objects[SET_SECTIONS];
	const char *names[SET_SECTIONS];
	char hint[CONF_HINT_MAX];

	set_objects(loader->scenario, objects);
	for (size_t i = 0; i < SET_SECTIONS; i++) {
		names[i] = objects[i].name;
		if (!lab_view_eq_cstr(section, objects[i].name))
			continue;
		if (objects[i].count == 0)
			conf_problem_add(loader->problems, true, where,
				"the scenario has no section %s", objects[i].name);
		/* One message for a wrong value, however many sections there are. */
		for (size_t n = 0, errors = loader->problems->errors;
			n < objects[i].count && loader->problems->errors == errors; n++)
			conf_keys_read_setting(&scenario_vocabulary, objects[i].name, setting,
				(char *)objects[i].first + n * objects[i].size, loader->problems);
		return;
	}
	conf_problem_add(loader->problems, true, where, "unknown section %.*s%s",
		LAB_VIEW_ARG(section),
		conf_hint(conf_suggest_of(section, names, SET_SECTIONS), hint));
}

/* The "file" of such a setting is the option itself, its columns are those of the text. */
static void apply_override(struct loader *loader, const char *text)
{
	struct lab_view value = lab_view_cstr(text), name, section;
	struct conf_where where = { lab_arena_printf(loader->arena, "--set %s", text), 1, 1 };
	struct conf_setting setting = { .where = where, .value_where = where };

	if (!lab_view_split(&value, '=', &name) || value.ptr == NULL ||
		!lab_view_split(&name, '.', &section) || name.ptr == NULL) {
		conf_problem_add(loader->problems, true, where, "this is not SECTION.KEY=VALUE");
		return;
	}
	setting.name = lab_view_trim(name);
	setting.value = lab_view_trim(value);
	setting.where.column = (unsigned)(name.ptr - (const uint8_t *)text) + 1;
	setting.value_where.column = (unsigned)(value.ptr - (const uint8_t *)text) + 1;
	set_all(loader, lab_view_trim(section), where, &setting);
}

/* ---- the operator's settings ---- */

static int load_dict(struct loader *loader, const struct scenario_overrides *overrides,
	const struct conf_dict *dict, struct lab_error *err)
{
	struct scenario *s = loader->scenario;
	struct dict_cql_config *config;

	if (!lab_view_eq_cstr(dict->driver, "cassandra"))
		return 0;
	if (s->dict_count == SCENARIO_DICTS_MAX)
		return conf_fail(err, dict->where, "more than %d dicts", SCENARIO_DICTS_MAX);
	if (dict_cql_load(dict->path, loader->reader, loader->arena, &config, err) < 0)
		/* What is wrong inside the file has its place already. */
		return err->code == LAB_INVALID
			       ? -1
			       : lab_error_wrap(err, "%s:%u:%u: dict %.*s", dict->where.file,
					 dict->where.line, dict->where.column,
					 LAB_VIEW_ARG(dict->name));
	if (overrides->cql_hosts != NULL &&
		scenario_replace_cql(s, overrides, &config->connect, err) < 0)
		return lab_error_wrap(err, "--cql");
	s->dict_names[s->dict_count] = lab_arena_cstr(loader->arena, dict->name);
	s->dicts[s->dict_count++] = (struct backend_dict){ dict->name, config };
	return 0;
}

static int load_settings(struct loader *loader, const struct conf_section *conf,
	const struct scenario_overrides *overrides, struct lab_error *err)
{
	struct scenario *s = loader->scenario;

	if (conf_settings_load(conf, loader->arena, &s->conf, err) < 0)
		return -1;
	if (overrides->s3_url != NULL &&
		scenario_replace_s3(s, overrides->s3_url, loader->arena, err) < 0)
		return lab_error_wrap(err, "--s3");
	for (size_t i = 0; i < s->conf.dict_count; i++) {
		if (load_dict(loader, overrides, &s->conf.dicts[i], err) < 0)
			return -1;
	}
	if (overrides->cql_hosts != NULL && !s->is_foreign_cql)
		return lab_fail(
			err, LAB_INVALID, "--cql: the settings have no dict with driver cassandra");
	return scenario_endpoints_find(s, loader->arena, err);
}

/* Where the setting is; the file as a whole if it came by --set. */
static struct conf_where where_of_store(
	const struct loader *loader, const struct conf_section *root, const char *key)
{
	const struct conf_setting *setting = conf_setting_of(root, "store", key);

	return setting != NULL ? setting->value_where
			       : (struct conf_where){ loader->scenario->path, 1, 1 };
}

static void load_latencies(struct loader *loader, const struct conf_section *root)
{
	static const char *const keys[] = { "latency_read_file", "latency_write_file",
		"latency_list_file" };
	struct scenario_s3 *s3 = &loader->scenario->s3;
	const struct lab_view paths[] = { s3->latency_read_file, s3->latency_write_file,
		s3->latency_list_file };

	for (size_t i = 0; i < LAB_COUNT_OF(keys); i++) {
		struct lab_error err;

		if (paths[i].len > 0 && latency_file_load(paths[i], loader->reader, loader->arena,
						&s3->measured[i], &err) < 0)
			conf_problem_add(loader->problems, true,
				where_of_store(loader, root, keys[i]), "%s: %s", keys[i],
				err.message);
	}
}

static void load_script(struct loader *loader, struct scenario_script *script)
{
	struct lab_view path = conf_resolve_path(loader->arena, script->where.file, script->file);
	struct lab_error err;

	script->path = lab_arena_cstr(loader->arena, path);
	if (script->file.len == 0)
		conf_problem_add(loader->problems, true, script->where, "script: it needs a file");
	else if (loader->reader->read_file(
			 loader->reader->ctx, path, loader->arena, &script->text, &err) < 0)
		conf_problem_add(loader->problems, true, script->where, "script: %s", err.message);
	else if (script_check(script->path, script->text, &err) < 0)
		conf_problem_add(loader->problems, true, script->where, "script: %s", err.message);
}

static void load_scripts(struct loader *loader)
{
	for (size_t i = 0; i < loader->scenario->script_count; i++)
		load_script(loader, &loader->scenario->scripts[i]);
}

static int parse(
	struct loader *loader, const char *path, struct conf_section **ret, struct lab_error *err)
{
	return conf_parse(
		lab_view_cstr(path), loader->reader, 0, loader->arena, loader->problems, ret, err);
}

static int count_errors(const struct loader *loader, struct lab_error *err)
{
	size_t errors = loader->problems->errors;

	if (errors == 0)
		return 0;
	return lab_fail(err, LAB_INVALID, "%s has %zu error%s", loader->scenario->path, errors,
		errors == 1 ? "" : "s");
}

int scenario_load(const char *path, const struct conf_reader *reader,
	const struct scenario_overrides *overrides, struct lab_arena *arena,
	struct conf_problems *problems, struct scenario **ret, struct lab_error *err)
{
	static const struct scenario_overrides none;
	struct scenario *s = lab_arena_new_of(arena, struct scenario);
	struct loader loader = { s, arena, problems, reader };
	struct conf_section *root, *conf = NULL;

	overrides = overrides == NULL ? &none : overrides;
	s->path = lab_arena_cstr(arena, lab_view_cstr(path));
	if (parse(&loader, path, &root, err) < 0 ||
		(overrides->conf != NULL && parse(&loader, overrides->conf, &conf, err) < 0))
		return -1;
	s->settings = conf == NULL ? root : conf;
	set_defaults(s);
	read_sections(&loader, root);
	scenario_read_steps(s, root, arena, problems);
	scenario_read_knobs(s, root, problems);
	for (size_t i = 0; i < overrides->set_count; i++)
		apply_override(&loader, overrides->sets[i]);
	load_latencies(&loader, root);
	scenario_resolve_episodes(s, arena, problems);
	load_scripts(&loader);
	(void)conf_check(root, CONF_FILE_DOVECOT, sections, LAB_COUNT_OF(sections), problems);
	if (conf != NULL)
		(void)conf_check(conf, CONF_FILE_DOVECOT, NULL, 0, problems);
	if (count_errors(&loader, err) < 0 ||
		load_settings(&loader, conf == NULL ? root : conf, overrides, err) < 0)
		return -1;
	if (scenario_load_before(s, conf_setting_of(root, "scenario", "migrated_from"), reader,
		    arena, problems, err) < 0 ||
		scenario_load_sites(s, root, reader, arena, problems, err) < 0)
		return -1;
	scenario_place_dicts(s, arena);
	s->root = conf == NULL ? root : conf;
	scenario_check_knobs(s, arena, problems);
	scenario_check(s, root, overrides, problems);
	if (count_errors(&loader, err) < 0)
		return -1;
	*ret = s;
	return 0;
}
