/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf-keys.h"

#include <stdio.h>

/* ---- one value ---- */

/* "2..5" for people is what was written, so limits are said in the key's own unit. */
static void print_limit(const struct conf_key *key, uint64_t value, char out[32])
{
	static const struct {
		enum conf_unit unit;
		uint64_t value;
		const char *name;
	} units[] = { { CONF_UNIT_TIME, 86400 * LAB_SEC, " days" },
		{ CONF_UNIT_TIME, LAB_SEC, " s" }, { CONF_UNIT_TIME, LAB_MSEC, " ms" },
		{ CONF_UNIT_TIME, 1, " ns" }, { CONF_UNIT_SIZE, 1 << 20, "M" },
		{ CONF_UNIT_SIZE, 1, "" }, { CONF_UNIT_FRACTION, 10000, "%" },
		{ CONF_UNIT_COUNT, 1, "" } };

	for (size_t i = 0; i < LAB_COUNT_OF(units); i++) {
		if (units[i].unit != key->unit || value % units[i].value != 0)
			continue;
		snprintf(out, 32, "%" PRIu64 "%s", value / units[i].value, units[i].name);
		return;
	}
	lab_bug("a limit that is not in its unit");
}

static int read_range(const struct conf_key *key, struct lab_view text, struct conf_range *ret,
	struct lab_error *err)
{
	struct conf_range range;
	char limit[32];

	if (conf_value_range(text, key->unit, &range, err) < 0)
		return -1;
	if (range.low < key->min || range.high > key->max) {
		bool is_below = range.low < key->min;

		print_limit(key, is_below ? key->min : key->max, limit);
		return lab_fail(err, LAB_INVALID, "%.*s is %s the %s of %s", LAB_VIEW_ARG(text),
			is_below ? "below" : "above", is_below ? "minimum" : "maximum", limit);
	}
	if (key->type == CONF_KEY_LATENCY && range.low == 0 && range.high > 0)
		return lab_fail(err, LAB_INVALID,
			"%.*s begins at 0: only a latency that is always 0 may do so",
			LAB_VIEW_ARG(text));
	*ret = range;
	return 0;
}

static int read_number(
	const struct conf_key *key, struct lab_view text, uint64_t *ret, struct lab_error *err)
{
	struct conf_range range;

	if (read_range(key, text, &range, err) < 0)
		return -1;
	if (range.kind != CONF_RANGE_FIXED)
		return lab_fail(err, LAB_INVALID, "%.*s is a range; this takes one value",
			LAB_VIEW_ARG(text));
	*ret = range.low;
	return 0;
}

int conf_key_read(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	void *field = (char *)object + key->offset;

	switch (key->type) {
	case CONF_KEY_RANGE:
	case CONF_KEY_LATENCY:
		return read_range(key, text, field, err);
	case CONF_KEY_NUMBER:
		return read_number(key, text, field, err);
	case CONF_KEY_TEXT:
		*(struct lab_view *)field = text;
		return 0;
	case CONF_KEY_BOOL:
		return conf_value_bool(text, field, err);
	case CONF_KEY_OTHER:
		return key->read(key, text, object, err);
	}
	lab_bug("type of a key");
}

/* ---- the table ---- */

const struct conf_key *conf_key_find(
	const struct conf_vocabulary *vocabulary, const char *section, struct lab_view name)
{
	for (size_t i = 0; i < vocabulary->count; i++) {
		const struct conf_key *key = &vocabulary->keys[i];

		if (strcmp(key->section, section) == 0 && lab_view_eq_cstr(name, key->name))
			return key;
	}
	return NULL;
}

void conf_keys_defaults(const struct conf_vocabulary *vocabulary, const char *section, void *object)
{
	struct lab_error err;

	for (size_t i = 0; i < vocabulary->count; i++) {
		const struct conf_key *key = &vocabulary->keys[i];

		if (strcmp(key->section, section) != 0 || key->initial[0] == '\0')
			continue;
		lab_assert(conf_key_read(key, lab_view_cstr(key->initial), object, &err) == 0);
	}
}

/* ---- sections ---- */

static const char *suggest(
	const struct conf_vocabulary *vocabulary, const char *section, struct lab_view wrong)
{
	const char *names[CONF_KEYS_OF_SECTION_MAX];
	size_t count = 0;

	for (size_t i = 0; i < vocabulary->count; i++) {
		if (strcmp(vocabulary->keys[i].section, section) != 0)
			continue;
		lab_assert(count < CONF_KEYS_OF_SECTION_MAX);
		names[count++] = vocabulary->keys[i].name;
	}
	return conf_suggest_of(wrong, names, count);
}

void conf_keys_read_setting(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_setting *setting, void *object, struct conf_problems *problems)
{
	const struct conf_key *key = conf_key_find(vocabulary, section, setting->name);
	char hint[CONF_HINT_MAX];
	struct lab_error err;

	if (key == NULL)
		conf_problem_add(problems, true, setting->where, "unknown setting %.*s%s",
			LAB_VIEW_ARG(setting->name),
			conf_hint(suggest(vocabulary, section, setting->name), hint));
	else if (conf_key_read(key, setting->value, object, &err) < 0)
		conf_problem_add(
			problems, true, setting->value_where, "%s: %s", key->name, err.message);
}

void conf_keys_read_settings(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_section *from, void *object, struct conf_problems *problems)
{
	for (const struct conf_setting *s = from->settings; s != NULL; s = s->next)
		conf_keys_read_setting(vocabulary, section, s, object, problems);
}

void conf_keys_read(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_section *from, void *object, struct conf_problems *problems)
{
	conf_keys_read_settings(vocabulary, section, from, object, problems);
	for (const struct conf_section *c = from->children; c != NULL; c = c->next)
		conf_problem_add(
			problems, true, c->where, "unknown section %.*s", LAB_VIEW_ARG(c->name));
}
