/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-print.c - a scenario as a text that says the same again.
 */
#include "scenarios/format/scenario-private.h"

#include "sim/cql-emulator/profile.h"

#include <stdio.h>

#define VALUE_MAX 65536

/* ---- values ---- */

static void print_decimals(uint64_t value, uint64_t one, const char *unit, struct lab_buf *out)
{
	uint64_t rest = value % one;

	lab_buf_printf(out, "%" PRIu64, value / one);
	if (rest > 0)
		lab_buf_append_byte(out, '.');
	for (; rest > 0; rest = rest * 10 % one)
		lab_buf_printf(out, "%" PRIu64, rest * 10 / one);
	lab_buf_append_cstr(out, unit);
}

static void print_time(uint64_t ns, struct lab_buf *out)
{
	if (ns == 0)
		lab_buf_append_cstr(out, "0");
	else if (ns % LAB_SEC == 0 || ns > LAB_SEC)
		print_decimals(ns, LAB_SEC, "s", out);
	else if (ns >= LAB_MSEC)
		print_decimals(ns, LAB_MSEC, "ms", out);
	else
		print_decimals(ns, LAB_USEC, "us", out);
}

static void print_number(enum conf_unit unit, uint64_t value, struct lab_buf *out)
{
	if (unit == CONF_UNIT_TIME)
		print_time(value, out);
	else if (unit == CONF_UNIT_FRACTION)
		print_decimals(value, 10000, "%", out);
	else
		lab_buf_printf(out, "%" PRIu64, value);
}

static void print_range(enum conf_unit unit, const struct conf_range *range, struct lab_buf *out)
{
	if (range->kind == CONF_RANGE_QLOG)
		lab_buf_append_cstr(out, "qlog ");
	if (range->kind == CONF_RANGE_LOGNORMAL)
		lab_buf_append_cstr(out, "lognormal ");
	print_number(unit, range->low, out);
	if (range->kind == CONF_RANGE_FIXED)
		return;
	lab_buf_append_cstr(out, "..");
	print_number(unit, range->high, out);
}

static void print_defects(const struct lab_defects *set, struct lab_buf *out)
{
	const char *separator = "";

	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++) {
		if (!lab_defects_has(set, (enum lab_defect)i))
			continue;
		lab_buf_printf(out, "%s%s", separator, lab_defect_info((enum lab_defect)i)->name);
		separator = " | ";
	}
}

static void print_kind(fault_kind_set set, struct lab_buf *out)
{
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((set & FAULT_KIND_BIT(k)) != 0)
			lab_buf_append_cstr(out, fault_kind_name((enum fault_kind)k));
	}
}

static void print_points(uint64_t set, struct lab_buf *out)
{
	const char *separator = "";

	for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
		if ((set >> p & 1) == 0)
			continue;
		lab_buf_printf(out, "%s%s", separator, fault_point_name((enum fault_point)p));
		separator = " | ";
	}
}

/* What only one section has; marks are a campaign's, and left out. */
static void print_other(const struct conf_key *key, const void *field, struct lab_buf *out)
{
	if (strcmp(key->section, "cql") == 0)
		lab_buf_append_cstr(out, (*(const struct cqlemu_profile *const *)field)->name);
	else if (strcmp(key->name, "assign") == 0)
		lab_buf_append_cstr(out, *(const enum cluster_assign *)field == CLUSTER_ASSIGN_HASH
						 ? "hash"
						 : "random");
	else if (strcmp(key->section, "cluster") == 0)
		lab_buf_append_cstr(
			out, cluster_feature_names[*(const enum cluster_feature *)field]);
	else if (strcmp(key->name, "defects") == 0)
		print_defects(field, out);
	else if (strcmp(key->name, "do") == 0)
		lab_buf_append_cstr(out, history_kind_name(*(const enum history_kind *)field));
	else if (strcmp(key->name, "mails") == 0 || strcmp(key->name, "word") == 0)
		lab_buf_append_view(out, *(const struct lab_view *)field);
	else if (strcmp(key->name, "kind") == 0)
		print_kind(*(const fault_kind_set *)field, out);
	else if (strcmp(key->name, "points") == 0)
		print_points(*(const uint64_t *)field, out);
	else if (strcmp(key->name, "marks") != 0)
		scenario_print_bits(key, *(const unsigned *)field, out);
}

void scenario_print_value(const struct conf_key *key, const void *object, struct lab_buf *out)
{
	const void *field = (const char *)object + key->offset;

	switch (key->type) {
	case CONF_KEY_RANGE:
	case CONF_KEY_LATENCY:
		print_range(key->unit, field, out);
		break;
	case CONF_KEY_NUMBER:
		print_number(key->unit, *(const uint64_t *)field, out);
		break;
	case CONF_KEY_TEXT:
		lab_buf_append_view(out, *(const struct lab_view *)field);
		break;
	case CONF_KEY_BOOL:
		lab_buf_append_cstr(out, *(const bool *)field ? "yes" : "no");
		break;
	case CONF_KEY_OTHER:
		print_other(key, field, out);
		break;
	}
}

/* ---- quotes ---- */

static bool needs_quotes(struct lab_view value, bool is_inline)
{
	if (value.len == 0)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (strchr(is_inline ? "#\"'{}=" : "#", value.ptr[i]) != NULL)
			return true;
	}
	return value.ptr[0] == '"' || value.ptr[0] == '\'' || value.ptr[0] == '<' ||
	       value.ptr[0] == '$' || value.ptr[0] <= ' ' || value.ptr[value.len - 1] <= ' ' ||
	       value.ptr[value.len - 1] == '\\';
}

static void print_text(struct lab_view value, bool is_quoted, struct lab_buf *out)
{
	if (is_quoted)
		lab_buf_append_byte(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		if (is_quoted && (value.ptr[i] == '"' || value.ptr[i] == '\\'))
			lab_buf_append_byte(out, '\\');
		lab_buf_append_byte(out, value.ptr[i]);
	}
	if (is_quoted)
		lab_buf_append_byte(out, '"');
}

/* ---- the settings ---- */

struct lab_view scenario_file_name(struct lab_view path)
{
	size_t at = path.len;

	while (at > 0 && path.ptr[at - 1] != '/')
		at--;
	return lab_view_skip(path, at);
}

static void indent(size_t depth, struct lab_buf *out)
{
	for (size_t i = 0; i < 2 * depth; i++)
		lab_buf_append_byte(out, ' ');
}

/* dict { NAME = cassandra:dovecot-dict-cql.conf.ext } */
static void print_dict(struct lab_view value, struct lab_buf *out)
{
	struct lab_view path = value, driver;

	if (lab_view_split(&path, ':', &driver) && path.ptr != NULL)
		lab_buf_printf(out, "%.*s:%.*s", LAB_VIEW_ARG(driver),
			LAB_VIEW_ARG(scenario_file_name(path)));
	else
		lab_buf_append_view(out, value);
}

static int print_setting(const struct conf_setting *setting, size_t depth, struct lab_buf *out,
	struct lab_error *err)
{
	bool is_dict = lab_view_eq_cstr(setting->section->name, "dict");

	if (lab_view_find_byte(setting->value, '\n') != SIZE_MAX)
		return conf_fail(
			err, setting->where, "%.*s has several lines", LAB_VIEW_ARG(setting->name));
	indent(depth, out);
	lab_buf_printf(out, "%.*s = ", LAB_VIEW_ARG(setting->name));
	if (is_dict)
		print_dict(setting->value, out);
	else
		print_text(setting->value, setting->quoted || needs_quotes(setting->value, false),
			out);
	lab_buf_append_byte(out, '\n');
	return 0;
}

static void print_head(const struct conf_section *section, size_t depth, struct lab_buf *out)
{
	indent(depth, out);
	lab_buf_append_view(out, section->name);
	if (section->label.ptr != NULL) {
		lab_buf_append_byte(out, ' ');
		print_text(section->label,
			section->label.len == 0 || needs_quotes(section->label, true) ||
				lab_view_find_byte(section->label, ' ') != SIZE_MAX,
			out);
	}
	lab_buf_append_cstr(out, " {\n");
}

#define PRINT_DEPTH_MAX CONF_DEPTH_MAX

static int print_section(const struct conf_section *section, size_t depth, struct lab_buf *out,
	struct lab_error *err)
{
	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		if (print_setting(s, depth, out, err) < 0)
			return -1;
	}
	for (const struct conf_section *c = section->children; c != NULL; c = c->next) {
		if (depth == 0 && scenario_is_section(c->name))
			continue;
		lab_assert(depth < PRINT_DEPTH_MAX);
		print_head(c, depth, out);
		if (print_section(c, depth + 1, out, err) < 0)
			return -1;
		indent(depth, out);
		lab_buf_append_cstr(out, "}\n");
	}
	return 0;
}

int scenario_print_settings(
	const struct conf_section *settings, struct lab_buf *out, struct lab_error *err)
{
	return print_section(settings, 0, out, err);
}

/* ---- sections of the scenario ---- */

/* Room for one object of any section. */
union any_section {
	struct scenario scenario;
	struct scenario_group group;
	struct scenario_step step;
	struct scenario_episode episode;
};

struct printer {
	struct lab_heap *heap;
	struct lab_buf *out;
	union any_section *defaults;
	struct lab_buf value, initial;
};

static bool is_default(struct printer *p, const struct conf_key *key, const void *object)
{
	lab_buf_reset(&p->value);
	lab_buf_reset(&p->initial);
	scenario_print_value(key, object, &p->value);
	scenario_print_value(key, p->defaults, &p->initial);
	return lab_view_eq(lab_buf_view(&p->value), lab_buf_view(&p->initial));
}

/* `head` with what is not its default in it; nothing if nothing is, unless it is_always there. */
static void print_keys(struct printer *p, const char *section, const char *head, const void *object,
	bool is_always)
{
	bool has_begun = is_always;

	memset(p->defaults, 0, sizeof(*p->defaults));
	conf_keys_defaults(&scenario_vocabulary, section, p->defaults);
	if (is_always)
		lab_buf_printf(p->out, "%s {\n", head);
	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		const struct conf_key *key = &scenario_vocabulary.keys[i];
		struct lab_view value;

		if (strcmp(key->section, section) != 0 || is_default(p, key, object))
			continue;
		if (!has_begun)
			lab_buf_printf(p->out, "%s {\n", head);
		has_begun = true;
		value = lab_buf_view(&p->value);
		lab_buf_printf(p->out, "  %s = ", key->name);
		print_text(value, needs_quotes(value, false), p->out);
		lab_buf_append_byte(p->out, '\n');
	}
	if (has_begun)
		lab_buf_append_cstr(p->out, "}\n");
}

/* All in one line. */
static void print_line(
	struct printer *p, const char *section, struct lab_view name, const void *object)
{
	memset(p->defaults, 0, sizeof(*p->defaults));
	p->defaults->step.what = HISTORY_KIND_COUNT - 1;
	conf_keys_defaults(&scenario_vocabulary, section, p->defaults);
	lab_buf_printf(p->out, "%s %.*s {", section, LAB_VIEW_ARG(name));
	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		const struct conf_key *key = &scenario_vocabulary.keys[i];
		struct lab_view value;

		/* What it does, and to whom, is said in any case. */
		if (strcmp(key->section, section) != 0 ||
			(is_default(p, key, object) && strcmp(key->name, "do") != 0 &&
				strcmp(key->name, "user") != 0))
			continue;
		if (strcmp(key->name, "do") == 0)
			(void)is_default(p, key, object);
		value = lab_buf_view(&p->value);
		lab_buf_printf(p->out, " %s=", key->name);
		print_text(value, needs_quotes(value, true), p->out);
	}
	lab_buf_append_cstr(p->out, " }\n");
}

static const char *labelled(const char *section, struct lab_view label, char *out, size_t size)
{
	(void)snprintf(out, size, "%s %.*s", section, LAB_VIEW_ARG(label));
	return out;
}

static void print_scenario(struct printer *p, const struct scenario *s)
{
	char head[64];
	struct scenario *copy = lab_new(p->heap, struct scenario);

	*copy = *s;
	copy->migrated_from = scenario_file_name(s->migrated_from);
	print_keys(p, "scenario", "scenario", copy, true);
	lab_heap_free(p->heap, copy);
	for (size_t i = 0; i < s->site_count; i++)
		print_keys(p, "site", labelled("site", s->sites[i].name, head, sizeof(head)),
			&s->sites[i], true);
	print_keys(p, "s3", "store s3", &s->s3, false);
	print_keys(p, "scality", "store scality", &s->scality, false);
	print_keys(p, "cql", "store cql", &s->cql, false);
	print_keys(p, "imds", "imds", &s->imds, false);
	print_keys(p, "network", "network", &s->network, false);
	print_keys(p, "backend", "backend", &s->hosts, false);
	print_keys(p, "cluster", "cluster", &s->cluster, false);
	for (size_t i = 0; i < s->group_count; i++)
		print_keys(p, "user", labelled("user", s->groups[i].name, head, sizeof(head)),
			&s->groups[i], true);
	for (size_t i = 0; i < s->operator_count; i++)
		print_keys(p, "operator",
			labelled("operator", s->operators[i].name, head, sizeof(head)),
			&s->operators[i], true);
	for (size_t i = 0; i < s->script_count; i++) {
		struct scenario_script script = s->scripts[i];

		script.file = scenario_file_name(script.file);
		print_keys(p, "script", labelled("script", script.name, head, sizeof(head)),
			&script, true);
	}
	for (size_t i = 0; i < s->knob_count; i++)
		print_keys(p, "knob", labelled("knob", s->knobs[i].name, head, sizeof(head)),
			&s->knobs[i], true);
	for (size_t i = 0; i < s->episode_count; i++)
		print_line(p, "episode", s->episodes[i].name, &s->episodes[i]);
	for (size_t i = 0; i < s->step_count; i++)
		print_line(p, "step", s->steps[i].name, &s->steps[i]);
}

int scenario_print(const struct scenario *s, struct lab_buf *out, struct lab_error *err)
{
	struct printer p = { .heap = out->heap, .out = out };

	p.defaults = lab_new(p.heap, union any_section);
	lab_buf_init(&p.value, p.heap, VALUE_MAX);
	lab_buf_init(&p.initial, p.heap, VALUE_MAX);
	print_scenario(&p, s);
	lab_buf_done(&p.initial);
	lab_buf_done(&p.value);
	lab_heap_free(p.heap, p.defaults);
	lab_buf_append_byte(out, '\n');
	return scenario_print_settings(s->settings, out, err);
}
