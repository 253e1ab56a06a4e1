/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-value.c - one value of a .scn file.
 */
#include "scenarios/runner/scenario-private.h"

#include <stdio.h>

static const char *const target_names[] = { "any", "backend", "node", "zone", "s3", "imds" };
static const char *const disk_names[] = { "lose_unsynced", "keep", "wipe" };
static const char *const phase_names[] = { "warmup", "storm" };

static const char *kind_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < FAULT_KIND_COUNT ? fault_kind_name((enum fault_kind)i) : NULL;
}

static const char *point_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < FAULT_POINT_COUNT ? fault_point_name((enum fault_point)i) : NULL;
}

static int read_kinds(const struct conf_choices *choices, uint64_t *ret, struct lab_error *err)
{
	char hint[CONF_HINT_MAX];

	*ret = 0;
	for (size_t i = 0; i < choices->count; i++) {
		enum fault_kind kind = fault_kind_find(choices->items[i]);

		if (kind == FAULT_KIND_COUNT)
			return lab_fail(err, LAB_INVALID, "unknown kind of fault %.*s%s",
				LAB_VIEW_ARG(choices->items[i]),
				conf_hint(
					conf_suggest(choices->items[i], kind_name_at, NULL), hint));
		*ret |= UINT64_C(1) << kind;
	}
	return 0;
}

static int read_points(const struct conf_choices *choices, uint64_t *ret, struct lab_error *err)
{
	char hint[CONF_HINT_MAX];

	*ret = 0;
	for (size_t i = 0; i < choices->count; i++) {
		uint64_t points = fault_points_matching(choices->items[i]);

		if (points == 0)
			return lab_fail(err, LAB_INVALID, "unknown fault point %.*s%s",
				LAB_VIEW_ARG(choices->items[i]),
				conf_hint(conf_suggest(choices->items[i], point_name_at, NULL),
					hint));
		*ret |= points;
	}
	return 0;
}

static int read_bits(const struct conf_choices *choices, const char *const *names, size_t count,
	unsigned *ret, struct lab_error *err)
{
	*ret = 0;
	for (size_t i = 0; i < choices->count; i++) {
		size_t bit;

		if (conf_value_word(choices->items[i], names, count, &bit, err) < 0)
			return -1;
		*ret |= 1u << bit;
	}
	return 0;
}

/* "backend", or "backend backend-1" where a name is understood. */
static int read_target(struct lab_view text, enum scenario_target *ret, struct lab_view *ret_only,
	struct lab_error *err)
{
	struct lab_view sort = LAB_VIEW(""), name = LAB_VIEW(""), extra;
	size_t index;

	(void)conf_value_next_word(&text, &sort);
	if (conf_value_word(sort, target_names, LAB_COUNT_OF(target_names), &index, err) < 0)
		return -1;
	if (conf_value_next_word(&text, &name) &&
		(ret_only == NULL || conf_value_next_word(&text, &extra)))
		return lab_fail(err, LAB_INVALID, "%.*s is followed by too many words",
			LAB_VIEW_ARG(ret_only == NULL ? sort : name));
	*ret = (enum scenario_target)index;
	if (ret_only != NULL)
		*ret_only = name;
	return 0;
}

static int read_phases(
	const struct conf_choices *choices, struct scenario_fault *fault, struct lab_error *err)
{
	unsigned bits;

	if (read_bits(choices, phase_names, LAB_COUNT_OF(phase_names), &bits, err) < 0)
		return -1;
	fault->in_warmup = (bits & 1) != 0;
	fault->in_storm = (bits & 2) != 0;
	return 0;
}

/* "2..5" for people is what was written, so limits are said in the key's own unit. */
static void print_limit(const struct scenario_key *key, uint64_t value, char out[32])
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

static int read_range(const struct scenario_key *key, struct lab_view text, struct conf_range *ret,
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
	if (key->type == KEY_LATENCY && range.low == 0 && range.high > 0)
		return lab_fail(err, LAB_INVALID,
			"%.*s begins at 0: only a latency that is always 0 may do so",
			LAB_VIEW_ARG(text));
	*ret = range;
	return 0;
}

int scenario_value_read(
	const struct scenario_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	void *field = (char *)object + key->offset;
	struct conf_choices choices = { .count = 0 };
	bool is_list = key->type == KEY_KINDS || key->type == KEY_POINTS ||
		       key->type == KEY_DISKS || key->type == KEY_PHASES;

	if (is_list && conf_value_choices(text, &choices, err) < 0)
		return -1;
	switch (key->type) {
	case KEY_RANGE:
	case KEY_LATENCY:
		return read_range(key, text, field, err);
	case KEY_TEXT:
		*(struct lab_view *)field = text;
		return 0;
	case KEY_BOOL:
		return conf_value_bool(text, field, err);
	case KEY_KINDS:
		return read_kinds(&choices, field, err);
	case KEY_POINTS:
		return read_points(&choices, field, err);
	case KEY_TARGET: {
		struct scenario_fault *fault = object;

		return read_target(
			text, field, field == (void *)&fault->target ? &fault->only : NULL, err);
	}
	case KEY_DISKS:
		return read_bits(&choices, disk_names, LAB_COUNT_OF(disk_names), field, err);
	case KEY_PHASES:
		return read_phases(&choices, object, err);
	}
	lab_bug("type of a key");
}

void scenario_value_defaults(const char *section, void *object)
{
	const struct scenario_key *key;
	struct lab_error err;

	for (size_t i = 0; (key = scenario_key_at(i)) != NULL; i++) {
		if (strcmp(key->section, section) != 0 || key->initial[0] == '\0')
			continue;
		lab_assert(
			scenario_value_read(key, lab_view_cstr(key->initial), object, &err) == 0);
	}
}
