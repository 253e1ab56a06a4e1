/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "core/conf/conf-value.h"
#include "core/conf/conf.h"
#include "core/base/defect.h"

#include <stdio.h>

static const char *const defect_names[] = {
#define X(name, text, source, first, doc) text,
#include "core/base/defects.def"
#undef X
};

struct option {
	const char *name;
	enum cli_option id;
	bool has_value;
	size_t text; /* offset of the field that takes the value as it is; 0: read_option() */
};
static const struct option table[] = {
	{ "--seed", OPTION_SEED, true, 0 },
	{ "--seeds", OPTION_SEEDS, true, 0 },
	{ "-t", OPTION_TIME, true, 0 },
	{ "-j", OPTION_WORKERS, true, 0 },
	{ "--defect", OPTION_DEFECT, true, 0 },
	{ "--set", OPTION_SET, true, 0 },
	{ "--inject", OPTION_INJECT, true, 0 },
	{ "--fault", OPTION_FAULT, true, 0 },
	{ "--then", OPTION_FAULT, true, offsetof(struct options, then) },
	{ "--conf", OPTION_CONF, true, offsetof(struct options, conf) },
	{ "--mbox", OPTION_MBOX, true, offsetof(struct options, mbox) },
	{ "--world", OPTION_WORLD, true, 0 },
	{ "--json", OPTION_JSON, false, 0 },
	{ "--first", OPTION_FIRST, false, 0 },
	{ "--until", OPTION_UNTIL, true, 0 },
	{ "--quiet", OPTION_QUIET, false, 0 },
	{ "--guard", OPTION_GUARD, true, 0 },
	{ "--explore", OPTION_GUARD, false, 0 },
	{ "-o", OPTION_OUTPUT, true, offsetof(struct options, output) },
	{ "--history", OPTION_HISTORY, true, offsetof(struct options, history) },
	{ "--profile-checks", OPTION_HISTORY, false, 0 },
	{ "--history-elle", OPTION_HISTORY, true, offsetof(struct options, history_elle) },
	{ "--s3", OPTION_S3, true, offsetof(struct options, s3) },
	{ "--cql", OPTION_CQL, true, offsetof(struct options, cql) },
	{ "--imds", OPTION_IMDS, true, offsetof(struct options, imds) },
	{ "--sproxyd", OPTION_SCALITY, true, offsetof(struct options, sproxyd) },
	{ "--cdmi", OPTION_SCALITY, true, offsetof(struct options, cdmi) },
	{ "--admin", OPTION_ADMIN, true, offsetof(struct options, admin) },
	{ "--data", OPTION_DATA, true, offsetof(struct options, data) },
	{ "--tls-cert", OPTION_TLS, true, offsetof(struct options, tls_cert) },
	{ "--tls-key", OPTION_TLS, true, offsetof(struct options, tls_key) },
	{ "--tls-client-ca", OPTION_TLS, true, offsetof(struct options, tls_client_ca) },
	{ "--profile", OPTION_PROFILE, true, offsetof(struct options, profile) },
	{ "--faults", OPTION_FAULTS, true, offsetof(struct options, faults) },
	{ "--server", OPTION_SERVER, true, 0 },
	{ "--cassandra", OPTION_SERVER, true, offsetof(struct options, cassandra) },
	{ "--scenarios", OPTION_HUNT, true, 0 },
	{ "--soon", OPTION_HUNT, false, 0 },
	{ "--runs", OPTION_SHRINK, true, 0 },
	{ "--filter", OPTION_FS, true, offsetof(struct options, fs.filter) },
	{ "--uri", OPTION_FS, true, offsetof(struct options, fs.uri) },
	{ "-f", OPTION_FS, true, offsetof(struct options, fs.file) },
	{ "--file", OPTION_FS, true, offsetof(struct options, fs.file) },
	{ "--user", OPTION_FS, true, offsetof(struct options, fs.user) },
	{ "--var", OPTION_FS, true, 0 },
	{ "--meta", OPTION_FS, true, 0 },
	{ "--map", OPTION_FS, true, 0 },
	{ "--root", OPTION_FS, true, offsetof(struct options, fs.root) },
	{ "--ca", OPTION_FS, true, offsetof(struct options, fs.ca_file) },
	{ "-R", OPTION_FS, false, 0 },
	{ "--null", OPTION_FS, false, 0 },
	{ "--remote", OPTION_FS, false, 0 },
	{ "-v", OPTION_FS, false, 0 },
};

static int read_seeds(const char *text, struct options *o, struct lab_error *err)
{
	struct lab_view high = lab_view_cstr(text), low;
	size_t dots = lab_view_find(high, LAB_VIEW(".."));

	low = dots == SIZE_MAX ? high : lab_view_sub(high, 0, dots);
	if (dots != SIZE_MAX)
		high = lab_view_skip(high, dots + 2);
	if (lab_view_to_u64(low, &o->first_seed) < 0 || lab_view_to_u64(high, &o->last_seed) < 0 ||
		o->first_seed > o->last_seed || o->last_seed - o->first_seed > 100000000)
		return lab_fail(err, LAB_INVALID, "--seeds: \"%s\" is not a range A..B", text);
	return 0;
}

static int read_defect(const char *text, struct options *o, struct lab_error *err)
{
	char hint[CONF_HINT_MAX];
	enum lab_defect defect;

	if (lab_defect_find(text, &defect)) {
		lab_defects_add(&o->defects, defect);
		return 0;
	}
	return lab_fail(err, LAB_INVALID, "--defect: there is no defect \"%s\"%s", text,
		conf_hint(conf_suggest_of(
				  lab_view_cstr(text), defect_names, LAB_COUNT_OF(defect_names)),
			hint));
}

static int read_world(const char *text, struct options *o, struct lab_error *err)
{
	o->is_live = strcmp(text, "live") == 0;
	if (o->is_live || strcmp(text, "sim") == 0)
		return 0;
	return lab_fail(err, LAB_INVALID, "--world: \"%s\" is neither sim nor live", text);
}

static int read_time(const char *name, const char *text, uint64_t *ret_ns, struct lab_error *err)
{
	if (conf_value_time(lab_view_cstr(text), LAB_SEC, ret_ns, err) < 0)
		return lab_error_wrap(err, "%s", name);
	return 0;
}

/* "#20418" is an event, everything else a time. */
static int read_until(const char *text, struct options *o, struct lab_error *err)
{
	if (text[0] != '#')
		return read_time("--until", text, &o->until_ns, err);
	if (lab_view_to_u64(lab_view_cstr(text + 1), &o->until_event) < 0 || o->until_event == 0)
		return lab_fail(err, LAB_INVALID, "--until: \"%s\" is not an event's number", text);
	return 0;
}

static int read_set(const char *text, struct options *o, struct lab_error *err)
{
	if (o->set_count == OPTIONS_SETS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d --set", OPTIONS_SETS_MAX);
	o->sets[o->set_count++] = text;
	return 0;
}

static int read_number(
	const char *name, const char *text, uint64_t max, uint64_t *ret, struct lab_error *err)
{
	if (lab_view_to_u64(lab_view_cstr(text), ret) < 0 || *ret > max)
		return lab_fail(err, LAB_INVALID, "%s: \"%s\" is not a number up to %" PRIu64, name,
			text, max);
	return 0;
}

static int add_text(
	const char *name, const char *text, const char **list, size_t *count, struct lab_error *err)
{
	_Static_assert(OPTIONS_FS_MAX == OPTIONS_FAULTS_MAX, "lists are equally long");
	if (*count == OPTIONS_FS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d %s", OPTIONS_FS_MAX, name);
	list[(*count)++] = text;
	return 0;
}

static int read_fs(const char *name, const char *text, struct options_fs *fs, struct lab_error *err)
{
	const struct {
		const char *name;
		bool *value;
	} flags[] = { { "-R", &fs->is_recursive }, { "--null", &fs->is_null },
		{ "--remote", &fs->is_remote }, { "-v", &fs->is_verbose } };

	for (size_t i = 0; i < LAB_COUNT_OF(flags); i++) {
		if (strcmp(flags[i].name, name) == 0) {
			*flags[i].value = true;
			return 0;
		}
	}
	if (strcmp(name, "--var") == 0)
		return add_text(name, text, fs->variables, &fs->variable_count, err);
	if (strcmp(name, "--meta") == 0)
		return add_text(name, text, fs->metadata, &fs->metadata_count, err);
	lab_assert(strcmp(name, "--map") == 0);
	return add_text(name, text, fs->maps, &fs->map_count, err);
}

static void read_flag(enum cli_option id, struct options *o)
{
	o->json |= id == OPTION_JSON;
	o->stop_at_first |= id == OPTION_FIRST;
	o->quiet |= id == OPTION_QUIET;
	o->profile_checks |= id == OPTION_HISTORY;
	o->is_soon |= id == OPTION_HUNT;
	o->is_exploring |= id == OPTION_GUARD;
}

static int read_option(
	const struct option *option, const char *text, struct options *o, struct lab_error *err)
{
	uint64_t number = 0;
	int result = 0;

	if (option->text != 0) {
		*(const char **)(void *)((char *)o + option->text) = text;
		return 0;
	}
	if (text == NULL && option->id != OPTION_FS) {
		read_flag(option->id, o);
		return 0;
	}
	switch (option->id) {
	case OPTION_FS:
		return read_fs(option->name, text, &o->fs, err);
	case OPTION_SEED:
		o->has_seed = true;
		return read_number("--seed", text, UINT64_MAX, &o->seed, err);
	case OPTION_SEEDS:
		o->has_seeds = true;
		return read_seeds(text, o, err);
	case OPTION_TIME:
		return read_time("-t", text, &o->time_limit_ns, err);
	case OPTION_WORKERS:
		result = read_number("-j", text, 64, &number, err);
		o->workers = (unsigned)number;
		return result;
	case OPTION_DEFECT:
		return read_defect(text, o, err);
	case OPTION_SHRINK:
		return read_number("--runs", text, 1000000, &o->runs, err);
	case OPTION_GUARD:
		return read_number("--guard", text, 1000000, &o->guard, err);
	case OPTION_SET:
		return read_set(text, o, err);
	case OPTION_WORLD:
		return read_world(text, o, err);
	case OPTION_UNTIL:
		return read_until(text, o, err);
	case OPTION_INJECT:
		return add_text("--inject", text, o->injects, &o->inject_count, err);
	case OPTION_FAULT:
		return add_text("--fault", text, o->patterns, &o->pattern_count, err);
	case OPTION_SERVER:
		return add_text("--server", text, o->servers, &o->server_count, err);
	case OPTION_HUNT:
		return add_text(option->name, text, o->scenarios, &o->scenario_count, err);
	case OPTION_JSON:
	case OPTION_HISTORY:
	case OPTION_FIRST:
	case OPTION_QUIET:
	case OPTION_CONF:
	case OPTION_MBOX:
	case OPTION_OUTPUT:
	case OPTION_S3:
	case OPTION_CQL:
	case OPTION_IMDS:
	case OPTION_SCALITY:
	case OPTION_ADMIN:
	case OPTION_DATA:
	case OPTION_PROFILE:
	case OPTION_FAULTS:
	case OPTION_TLS:
		break;
	}
	lab_bug("an option without a reader");
}

static const struct option *find(const char *text, uint32_t allowed, struct lab_error *err)
{
	const char *names[LAB_COUNT_OF(table)];
	char hint[CONF_HINT_MAX];
	size_t count = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(table); i++) {
		if ((allowed & table[i].id) == 0)
			continue;
		if (strcmp(table[i].name, text) == 0)
			return &table[i];
		names[count++] = table[i].name;
	}
	lab_fail(err, LAB_INVALID, "unknown option %s%s", text,
		conf_hint(conf_suggest_of(lab_view_cstr(text), names, count), hint));
	return NULL;
}

/* Of fs, "-" is standard input. */
static bool is_argument(const char *text, uint32_t allowed)
{
	return text[0] != '-' || (text[1] == '\0' && (allowed & OPTION_FS) != 0);
}

int options_parse(
	int argc, char **argv, uint32_t allowed, struct options *ret, struct lab_error *err)
{
	*ret = (struct options){
		.first_seed = 1, .last_seed = 100, .seed = 1, .guard = OPTIONS_GUARD
	};
	for (int i = 1; i < argc; i++) {
		const struct option *option;

		if (is_argument(argv[i], allowed)) {
			if (ret->argument_count == OPTIONS_SCENARIOS_MAX)
				return lab_fail(err, LAB_LIMIT, "more than %d arguments",
					OPTIONS_SCENARIOS_MAX);
			ret->arguments[ret->argument_count++] = argv[i];
			continue;
		}
		option = find(argv[i], allowed, err);
		if (option == NULL)
			return -1;
		if (option->has_value && i + 1 == argc)
			return lab_fail(err, LAB_INVALID, "%s needs a value", argv[i]);
		if (read_option(option, option->has_value ? argv[++i] : NULL, ret, err) < 0)
			return -1;
	}
	return 0;
}

const char *options_repeat(const struct options *options, struct lab_arena *arena)
{
	const char *text = "";

	for (size_t i = 0; i < options->set_count; i++)
		text = lab_arena_printf(arena, "%s --set '%s'", text, options->sets[i]);
	for (size_t i = 0; i < options->inject_count; i++)
		text = lab_arena_printf(arena, "%s --inject '%s'", text, options->injects[i]);
	if (options->conf != NULL)
		text = lab_arena_printf(arena, "%s --conf '%s'", text, options->conf);
	if (options->mbox != NULL)
		text = lab_arena_printf(arena, "%s --mbox '%s'", text, options->mbox);
	return text;
}
