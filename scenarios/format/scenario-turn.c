/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-turn.c - what a scenario is for one seed, where that is more than draws from its ranges:
 * knobs on the operator's settings, and swarms, which leave things out (simulation 3.4).
 */
#include "scenarios/format/scenario-private.h"

#define PPM 1000000

/* ---- knobs: reading ---- */

void scenario_read_knobs(
	struct scenario *s, struct conf_section *root, struct conf_problems *problems)
{
	const struct conf_section *at = NULL;

	s->root = root;
	while ((at = conf_section_next(root, "knob", at)) != NULL) {
		struct scenario_knob *knob = &s->knobs[s->knob_count];

		if (!scenario_has_label(at, problems))
			continue;
		if (s->knob_count == SCENARIO_KNOBS_MAX) {
			conf_problem_add(problems, true, at->where, "more than %d sections knob",
				SCENARIO_KNOBS_MAX);
			return;
		}
		*knob = (struct scenario_knob){ .name = at->label, .where = at->where };
		conf_keys_read(&scenario_vocabulary, "knob", at, knob, problems);
		s->knob_count++;
	}
}

/* a | b | c are texts; else it is a range of numbers, sizes or times. */
static int parse_value(struct scenario_knob *knob, struct lab_error *err)
{
	static const enum conf_unit units[] = { CONF_UNIT_COUNT, CONF_UNIT_SIZE, CONF_UNIT_TIME };

	if (lab_view_find(knob->value, LAB_VIEW("..")) == SIZE_MAX)
		return conf_value_choices(knob->value, &knob->choices, err);
	for (size_t i = 0; i < LAB_COUNT_OF(units); i++) {
		knob->unit = units[i];
		knob->is_range = true;
		if (conf_value_range(knob->value, units[i], &knob->range, err) == 0)
			return knob->range.high == UINT64_MAX
				       ? lab_fail(err, LAB_INVALID, "the range has no end")
				       : 0;
	}
	return -1;
}

/* ---- turning ---- */

/* Else the n-th of the ways in which a knob is checked: each text, or the ends of its range. */
#define TURN_BY_SEED SIZE_MAX

/* Whole seconds where that is enough: not every setting knows milliseconds. */
static struct lab_view number_text(
	const struct scenario_knob *knob, uint64_t n, struct lab_arena *arena)
{
	if (knob->unit != CONF_UNIT_TIME)
		return lab_view_cstr(lab_arena_printf(arena, "%" PRIu64, n));
	if (n >= LAB_SEC)
		return lab_view_cstr(lab_arena_printf(arena, "%" PRIu64 " secs", n / LAB_SEC));
	return lab_view_cstr(lab_arena_printf(arena, "%" PRIu64 " ms", n / LAB_MSEC));
}

static struct lab_view pick_text(
	const struct scenario_knob *knob, size_t turn, uint64_t seed, struct lab_arena *arena)
{
	uint64_t draw = lab_draw(seed, "knob", lab_hash_view(0, knob->name), 0);

	if (!knob->is_range)
		return turn == TURN_BY_SEED ? conf_choices_pick(&knob->choices, draw)
					    : knob->choices.items[turn % knob->choices.count];
	return number_text(knob,
		turn == TURN_BY_SEED ? conf_range_pick(&knob->range, draw)
		: turn % 2 == 0      ? knob->range.low
				     : knob->range.high,
		arena);
}

static bool is_border(uint8_t byte)
{
	return strchr(":?&; ", byte) != NULL;
}

/* "...:bucket-size=10:..." with another value. */
static int replace_parameter(struct lab_view text, struct lab_view name, struct lab_view value,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	for (size_t i = 0; i + name.len < text.len; i++) {
		struct lab_view rest = lab_view_skip(text, i);
		size_t end = name.len + 1;

		if ((i > 0 && !is_border(text.ptr[i - 1])) || !lab_view_starts_with(rest, name) ||
			rest.ptr[name.len] != '=')
			continue;
		while (end < rest.len && !is_border(rest.ptr[end]))
			end++;
		*ret = lab_view_cstr(lab_arena_printf(arena, "%.*s%.*s=%.*s%.*s", (int)i,
			(const char *)text.ptr, LAB_VIEW_ARG(name), LAB_VIEW_ARG(value),
			LAB_VIEW_ARG(lab_view_skip(rest, end))));
		return 0;
	}
	return lab_fail(err, LAB_INVALID, "there is no %.*s= in the setting", LAB_VIEW_ARG(name));
}

/* The setting that counts; the tree is the scenario's own. */
static struct conf_setting *find_setting(struct conf_section *root, const char *name)
{
	const struct conf_setting *found = conf_setting_of(root, "plugin", name);

	if (found == NULL)
		found = conf_setting_in(root, name);
	return (void *)(uintptr_t)found;
}

static bool is_read(struct lab_view name)
{
	size_t count;
	const struct conf_setting_def *defs = conf_setting_defs(&count);

	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(name, defs[i].name) && conf_setting_is_read(&defs[i]))
			return true;
	}
	return false;
}

/* Puts the knob's value into the tree; what it was is in *before, or it was not there. */
static int turn_knob(struct scenario *s, struct scenario_knob *knob, size_t turn, uint64_t seed,
	struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view parameter = knob->setting, name = LAB_VIEW("");
	struct conf_setting *setting;

	(void)lab_view_split(&parameter, ':', &name);
	knob->turned = pick_text(knob, turn, seed, arena);
	setting = find_setting(s->root, lab_arena_cstr(arena, name));
	if (parameter.ptr != NULL) {
		if (setting == NULL)
			return lab_fail(err, LAB_INVALID, "%.*s is not set", LAB_VIEW_ARG(name));
		knob->at = setting;
		knob->before = setting->value;
		return replace_parameter(
			setting->value, parameter, knob->turned, arena, &setting->value, err);
	}
	if (setting == NULL) {
		setting = lab_arena_new_of(arena, struct conf_setting);
		*setting = (struct conf_setting){ .name = name,
			.where = knob->where,
			.value_where = knob->where,
			.section = s->root,
			.next = s->root->settings };
		s->root->settings = setting;
		knob->is_new = true;
	}
	knob->at = setting;
	knob->before = setting->value;
	setting->value = knob->turned;
	return 0;
}

/* In the opposite order: two knobs may be on one setting. */
static void turn_back(struct scenario *s, size_t count)
{
	while (count-- > 0) {
		struct scenario_knob *knob = &s->knobs[count];

		if (knob->is_new)
			s->root->settings = knob->at->next;
		else if (knob->at != NULL)
			knob->at->value = knob->before;
		knob->at = NULL;
		knob->is_new = false;
	}
}

static int reload(struct scenario *s, struct lab_arena *arena, struct lab_error *err)
{
	if (conf_settings_load(s->root, arena, &s->conf, err) < 0)
		return -1;
	s->endpoints = (struct scenario_endpoints){ .bucket = { NULL, 0 } };
	return scenario_endpoints_find(s, arena, err);
}

/* `s` is a copy. */
static int turn_knobs(struct scenario *s, size_t turn, uint64_t seed, struct lab_arena *arena,
	struct conf_where *ret_where, struct lab_error *err)
{
	size_t n = 0;
	int result = 0;

	for (; n < s->knob_count && result == 0; n++) {
		*ret_where = s->knobs[n].where;
		result = turn_knob(s, &s->knobs[n], turn, seed, arena, err);
	}
	if (result == 0)
		result = reload(s, arena, err);
	turn_back(s, n);
	return result;
}

void scenario_check_knobs(
	struct scenario *scenario, struct lab_arena *arena, struct conf_problems *problems)
{
	struct scenario *copy = lab_arena_new_of(arena, struct scenario);
	size_t errors = problems->errors;
	struct conf_where where = { scenario->path, 1, 1 };
	size_t turns = 2;
	struct lab_error err;

	for (size_t i = 0; i < scenario->knob_count; i++) {
		struct scenario_knob *knob = &scenario->knobs[i];
		struct lab_view rest = knob->setting, name = LAB_VIEW("");

		(void)lab_view_split(&rest, ':', &name);
		if (!is_read(name))
			conf_problem_add(problems, true, knob->where,
				"knob: \"%.*s\" is no setting that changes anything here",
				LAB_VIEW_ARG(name));
		else if (parse_value(knob, &err) < 0)
			conf_problem_add(problems, true, knob->where, "knob: %s", err.message);
		turns = LAB_MAX(turns, knob->choices.count);
	}
	for (size_t turn = 0; turn < turns && problems->errors == errors; turn++) {
		*copy = *scenario;
		if (scenario->knob_count > 0 && turn_knobs(copy, turn, 0, arena, &where, &err) < 0)
			conf_problem_add(problems, true, where, "knob: %s", err.message);
	}
}

/* ---- swarms ---- */

static bool is_out(uint64_t seed, const char *what, struct lab_view name, uint64_t n, uint32_t ppm)
{
	return lab_chance(lab_draw(seed, what, lab_hash_view(0, name), n), ppm);
}

/* A fault does not happen at all, or not in all its kinds; one is left. */
static void thin_fault(struct scenario_fault *fault, uint64_t seed, uint32_t ppm)
{
	fault_kind_set kinds = fault->kinds;

	if (is_out(seed, "swarm.fault", fault->name, 0, ppm)) {
		fault->episodes = conf_range_fixed(0);
		return;
	}
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((kinds & FAULT_KIND_BIT(k)) != 0 && (kinds & ~FAULT_KIND_BIT(k)) != 0 &&
			is_out(seed, "swarm.kind", fault->name, k, ppm))
			kinds &= ~FAULT_KIND_BIT(k);
	}
	fault->kinds = kinds;
}

/* Whatever clients do by shares: some of it nobody does. */
static void thin_group(struct scenario_group *group, uint64_t seed, uint32_t ppm)
{
	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		const struct conf_key *key = &scenario_vocabulary.keys[i];
		struct conf_range *share = (void *)((char *)group + key->offset);

		if (strcmp(key->section, "user") == 0 && key->type == CONF_KEY_RANGE &&
			key->unit == CONF_UNIT_FRACTION && strcmp(key->name, "tour_expunge") != 0 &&
			is_out(seed, "swarm.share", group->name, i, ppm))
			*share = conf_range_fixed(0);
	}
}

static void thin(struct scenario *s, uint64_t seed)
{
	uint32_t ppm =
		(uint32_t)LAB_MIN(scenario_pick(&s->swarm, seed, "swarm", 0, 0), (uint64_t)PPM);

	for (size_t i = 0; i < s->fault_count; i++)
		thin_fault(&s->faults[i], seed, ppm);
	for (size_t i = 0; i < s->group_count; i++)
		thin_group(&s->groups[i], seed, ppm);
}

/* ---- both ---- */

int scenario_turn(const struct scenario *scenario, uint64_t seed, struct lab_arena *arena,
	const struct scenario **ret, struct lab_error *err)
{
	struct scenario *copy;
	struct conf_where where;

	*ret = scenario;
	if (scenario->knob_count == 0 && scenario->swarm.high == 0)
		return 0;
	copy = lab_arena_new_of(arena, struct scenario);
	*copy = *scenario;
	if (copy->swarm.high > 0)
		thin(copy, seed);
	if (copy->knob_count > 0 && turn_knobs(copy, TURN_BY_SEED, seed, arena, &where, err) < 0)
		return lab_error_wrap(err, "%s:%u: knob", where.file, where.line);
	*ret = copy;
	return 0;
}

unsigned scenario_schedule(const struct scenario *scenario, uint64_t seed)
{
	uint64_t n = lab_pick(lab_draw(seed, "schedule", 0, 0),
		(uint64_t)LAB_MAX(__builtin_popcount(scenario->schedule), 1));

	for (unsigned bit = 0; bit < SCENARIO_SCHEDULES; bit++) {
		if ((scenario->schedule >> bit & 1) != 0 && n-- == 0)
			return bit;
	}
	return 0;
}
