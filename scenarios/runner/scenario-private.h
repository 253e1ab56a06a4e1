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
	size_t offset; /* in the section's struct */
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

/* Finds S3 in the settings (scenario-endpoints.c). */
int scenario_endpoints_find(
	struct scenario *scenario, struct lab_arena *arena, struct lab_error *err);

#endif
