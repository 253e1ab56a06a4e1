/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/fault-file.h"

#include "sim/cql-emulator/cql-emulator.h"

#include <stdio.h>

#define FIELD(field) offsetof(struct fault_file_section, field)
#define YEAR (366 * UINT64_C(86400) * LAB_SEC)
#define NAME_BYTES_MAX 31

static int read_target(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);

static const struct conf_key keys[] = {
	{ "fault", "kinds", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(kinds), 0, 0, "",
		"Kinds of faults, a | b | c; an episode draws one (oboxlab list faults)",
		fault_text_kinds },
	{ "fault", "points", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(points), 0, 0, "",
		"Fault points, a | b | c, with * at the end; none: all that the kinds know",
		fault_text_points },
	{ "fault", "target", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(target), 0, 0, "any",
		"any, s3, imds, node [NAME], client ADDRESS or NAME, zone NAME", read_target },
	{ "fault", "episodes", CONF_KEY_RANGE, CONF_UNIT_COUNT, FIELD(episodes), 0,
		FAULT_EPISODES_MAX, "1", "How many; more than one need a window", NULL },
	{ "fault", "length", CONF_KEY_RANGE, CONF_UNIT_TIME, FIELD(length), LAB_MSEC, YEAR,
		"qlog 1s..60s", "Of an episode", NULL },
	{ "fault", "rate", CONF_KEY_RANGE, CONF_UNIT_FRACTION, FIELD(rate), 0, 1000000,
		"qlog 1/100..1/2", "Of the requests in an episode that fail", NULL },
	{ "fault", "amount", CONF_KEY_RANGE, CONF_UNIT_TIME, FIELD(amount), 0, 86400 * LAB_SEC, "0",
		"Of a delay; 0: the kind's own default", NULL },
	{ "fault", "start", CONF_KEY_NUMBER, CONF_UNIT_TIME, FIELD(start), 0, YEAR, "0",
		"From when the file was read, or the request came", NULL },
	{ "fault", "window", CONF_KEY_NUMBER, CONF_UNIT_TIME, FIELD(window), 0, YEAR, "0",
		"In which the episodes begin and end; 0: one episode, at once", NULL },
};

const struct conf_vocabulary fault_file_vocabulary = { keys, LAB_COUNT_OF(keys) };

static int read_target(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	static const char *const names[] = { "any", "s3", "imds", "node", "client", "zone" };
	struct fault_file_section *section = object;
	struct lab_view sort = LAB_VIEW(""), name = LAB_VIEW(""), extra;
	size_t index;

	(void)key;
	(void)conf_value_next_word(&text, &sort);
	if (conf_value_word(sort, names, LAB_COUNT_OF(names), &index, err) < 0)
		return -1;
	if (conf_value_next_word(&text, &name) &&
		(index < FAULT_FILE_NODE || conf_value_next_word(&text, &extra)))
		return lab_fail(err, LAB_INVALID, "%.*s is followed by too many words",
			LAB_VIEW_ARG(index < FAULT_FILE_NODE ? sort : name));
	if (index > FAULT_FILE_NODE && name.len == 0)
		return lab_fail(err, LAB_INVALID, "%.*s needs a name", LAB_VIEW_ARG(sort));
	if (name.len >= FAULT_NAME_MAX)
		return lab_fail(err, LAB_INVALID, "the name is too long");
	section->target = (enum fault_file_target)index;
	section->only = name;
	return 0;
}

/* ---- checks ---- */

static uint64_t points_of(enum fault_file_target target)
{
	switch (target) {
	case FAULT_FILE_S3:
		return FAULT_S3;
	case FAULT_FILE_IMDS:
		return FAULT_IMDS;
	case FAULT_FILE_NODE:
		return FAULT_CQL | FAULT_BIT(cql_connect) | FAULT_BIT(cql_prepare) |
		       FAULT_BIT(cql_schema);
	case FAULT_FILE_ANY:
	case FAULT_FILE_CLIENT:
	case FAULT_FILE_ZONE:
		break;
	}
	return FAULT_SERVICES | FAULT_BIT(cql_schema);
}

static struct conf_where where_of(const struct conf_section *from, const char *key)
{
	const struct conf_setting *setting = conf_setting_in(from, key);

	return setting == NULL ? from->where : setting->value_where;
}

static void check_kind(const struct fault_file_section *s, enum fault_kind kind,
	const struct conf_section *from, struct conf_problems *problems)
{
	uint64_t points = fault_kind_points(kind);
	const char *name = fault_kind_name(kind);

	if (fault_kind_is_world(kind) || (points & FAULT_SERVICES) == 0)
		conf_problem_add(problems, true, where_of(from, "kinds"),
			"kinds: %s happens to the hosts of a scenario, which are not here", name);
	else if (s->points != 0 && (points & s->points) == 0)
		conf_problem_add(problems, true, where_of(from, "points"),
			"points: %s never happens at any of them", name);
	else if ((points & (s->points == 0 ? UINT64_MAX : s->points) & points_of(s->target)) == 0)
		conf_problem_add(problems, true, where_of(from, "target"),
			"target: %s never happens there", name);
}

static void check_section(const struct fault_file_section *s, const struct conf_section *from,
	struct conf_problems *problems)
{
	if (s->kinds == 0 && conf_setting_in(from, "kinds") == NULL)
		conf_problem_add(problems, true, from->where, "fault %.*s has no kinds",
			LAB_VIEW_ARG(s->name));
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((s->kinds >> k & 1) != 0)
			check_kind(s, (enum fault_kind)k, from, problems);
	}
	if (s->window == 0 && s->episodes.high > 1)
		conf_problem_add(problems, true, where_of(from, "episodes"),
			"episodes: more than one need a window");
	if (s->window > 0 && s->length.high > s->window)
		conf_problem_add(problems, true, where_of(from, "window"),
			"window: an episode may be longer");
}

/* ---- the file ---- */

static bool is_name(struct lab_view label)
{
	for (size_t i = 0; i < label.len; i++) {
		uint8_t c = label.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '_' && c != '-' && c != '.')
			return false;
	}
	return label.len > 0 && label.len <= NAME_BYTES_MAX;
}

static void read_section(
	struct fault_file *file, const struct conf_section *from, struct conf_problems *problems)
{
	struct fault_file_section *s = &file->sections[file->count];

	if (!lab_view_eq_cstr(from->name, "fault")) {
		conf_problem_add(problems, true, from->where,
			"unknown section %.*s: a file of faults has sections fault NAME { }",
			LAB_VIEW_ARG(from->name));
		return;
	}
	if (!is_name(from->label)) {
		conf_problem_add(problems, true, from->where,
			"fault needs a name of up to %d letters, digits, '_', '-' and '.'",
			NAME_BYTES_MAX);
		return;
	}
	if (file->count == FAULT_FILE_MAX) {
		conf_problem_add(
			problems, true, from->where, "more than %d faults", FAULT_FILE_MAX);
		return;
	}
	*s = (struct fault_file_section){ .name = from->label, .where = from->where };
	conf_keys_defaults(&fault_file_vocabulary, "fault", s);
	conf_keys_read(&fault_file_vocabulary, "fault", from, s, problems);
	check_section(s, from, problems);
	file->count++;
}

static int read_root(const char *name, const struct conf_section *root, struct lab_arena *arena,
	struct conf_problems *problems, struct fault_file *ret, struct lab_error *err)
{
	struct fault_file file = { .sections = lab_arena_array(
					   arena, struct fault_file_section, FAULT_FILE_MAX + 1) };

	for (const struct conf_setting *t = root->settings; t != NULL; t = t->next)
		conf_problem_add(problems, true, t->where, "%.*s stands in no section",
			LAB_VIEW_ARG(t->name));
	for (const struct conf_section *c = root->children; c != NULL; c = c->next)
		read_section(&file, c, problems);
	if (problems->errors > 0)
		return lab_fail(err, LAB_INVALID, "%s has %zu error%s", name, problems->errors,
			problems->errors == 1 ? "" : "s");
	*ret = file;
	return 0;
}

int fault_file_load(const char *path, const struct conf_reader *reader, struct lab_arena *arena,
	struct conf_problems *problems, struct fault_file *ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse(lab_view_cstr(path), reader, 0, arena, problems, &root, err) < 0)
		return -1;
	return read_root(path, root, arena, problems, ret, err);
}

int fault_file_load_text(const char *name, struct lab_view text, struct lab_arena *arena,
	struct conf_problems *problems, struct fault_file *ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse_text(name, text, NULL, CONF_PARSE_LITERAL, arena, problems, &root, err) < 0)
		return -1;
	return read_root(name, root, arena, problems, ret, err);
}

/* ---- into the plan ---- */

struct targets {
	const char *names[CQLEMU_NODES_MAX];
	size_t count;
	char only[FAULT_NAME_MAX];
};

static int node_targets(const struct fault_file_section *s, const struct fault_file_nodes *nodes,
	struct targets *ret, struct lab_error *err)
{
	for (size_t i = 0; i < nodes->count; i++) {
		if (s->only.len == 0 || lab_view_eq_cstr(s->only, nodes->names[i]))
			ret->names[ret->count++] = nodes->names[i];
	}
	if (ret->count > 0)
		return 0;
	return lab_fail(err, LAB_INVALID, "%s:%u: fault %.*s: target: there is no such node",
		s->where.file, s->where.line, LAB_VIEW_ARG(s->name));
}

static int find_targets(const struct fault_file_section *s, const struct fault_file_nodes *nodes,
	struct targets *ret, struct lab_error *err)
{
	ret->count = 0;
	if (s->target == FAULT_FILE_NODE)
		return node_targets(s, nodes, ret, err);
	snprintf(ret->only, sizeof(ret->only), "%.*s", LAB_VIEW_ARG(s->only));
	if (s->target == FAULT_FILE_S3)
		ret->names[ret->count++] = "s3";
	else if (s->target == FAULT_FILE_IMDS)
		ret->names[ret->count++] = "imds";
	else if (s->target != FAULT_FILE_ANY)
		ret->names[ret->count++] = ret->only;
	return 0;
}

static enum fault_scope scope_of(enum fault_file_target target)
{
	switch (target) {
	case FAULT_FILE_CLIENT:
		return FAULT_PEER;
	case FAULT_FILE_ZONE:
		return FAULT_PEER_ZONE;
	case FAULT_FILE_S3:
	case FAULT_FILE_IMDS:
	case FAULT_FILE_NODE:
		return FAULT_INSTANCE;
	case FAULT_FILE_ANY:
		break;
	}
	return FAULT_EVERYWHERE;
}

int fault_file_add(struct fault_plan *plan, const struct fault_file_section *s,
	const struct fault_file_nodes *nodes, uint64_t now_ns, uint64_t seed, uint64_t number,
	struct lab_error *err)
{
	char name[64];
	struct targets targets;
	struct fault_spec spec = { .name = name,
		.kinds = s->kinds,
		.points = s->points,
		.scope = scope_of(s->target),
		.targets = targets.names,
		.episodes = fault_text_range(&s->episodes),
		.window_start_ns = now_ns + s->start,
		.window_end_ns = now_ns + s->start + s->window,
		.length_ns = fault_text_range(&s->length),
		.rate_ppm = fault_text_range(&s->rate),
		.amount = fault_text_range(&s->amount) };

	snprintf(name, sizeof(name), "%.*s.%" PRIu64, LAB_VIEW_ARG(s->name), number);
	if (find_targets(s, nodes, &targets, err) < 0)
		return -1;
	spec.target_count = targets.count;
	/* A window that is as long as the episode leaves no choice of its begin. */
	if (s->window == 0) {
		uint64_t draw = lab_draw(seed, "serve.fault.length", number, 0);
		uint64_t length = conf_range_pick(&s->length, draw);

		spec.length_ns = (struct fault_range){ FAULT_UNIFORM, length, length };
		spec.window_end_ns = spec.window_start_ns + length;
	}
	if (fault_plan_add(plan, &spec, err) < 0)
		return lab_error_wrap(err, "%s:%u: fault %.*s", s->where.file, s->where.line,
			LAB_VIEW_ARG(s->name));
	return 0;
}
