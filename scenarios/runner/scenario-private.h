/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-private.h - the vocabulary table (scenario-keys.c) and how its values are read
 * (scenario-value.c).
 */
#ifndef SCENARIOS_SCENARIO_PRIVATE_H
#define SCENARIOS_SCENARIO_PRIVATE_H

#include "scenarios/runner/scenario.h"

enum scenario_key_type {
	KEY_RANGE,
	KEY_LATENCY, /* a range that is drawn from for each message: 0, or from 1 ns on */
	KEY_TEXT,
	KEY_BOOL,
	KEY_KINDS,
	KEY_POINTS,
	KEY_TARGET,
	KEY_DISKS,
	KEY_PHASES
};

struct scenario_key {
	const char *section, *name;
	enum scenario_key_type type;
	enum conf_unit unit;
	size_t offset;     /* in the section's struct */
	uint64_t min, max; /* of a range: both ends are in here */
	const char *initial, *doc;
};

/* NULL at the end. */
const struct scenario_key *scenario_key_at(size_t index);
const struct scenario_key *scenario_key_find(const char *section, struct lab_view name);

/* Reads a value into `object`, which is the struct of the key's section. */
int scenario_value_read(
	const struct scenario_key *key, struct lab_view text, void *object, struct lab_error *err);
/* Sets every key of a section to its default. */
void scenario_value_defaults(const char *section, void *object);

/* Finds S3 in the settings (scenario-endpoints.c), and sees whether a run can have their stacks. */
int scenario_endpoints_find(
	struct scenario *scenario, struct lab_arena *arena, struct lab_error *err);

/* Adds what is wrong with a scenario whose every value is right (scenario-check.c). `root` is what
 * it was read from. */
void scenario_check(const struct scenario *scenario, const struct conf_section *root,
	const struct scenario_overrides *overrides, struct conf_problems *problems);

#endif
