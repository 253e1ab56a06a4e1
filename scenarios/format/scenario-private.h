/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-private.h - the vocabulary table (scenario-keys.c) and how its values are read
 * (scenario-value.c).
 */
#ifndef SCENARIOS_SCENARIO_PRIVATE_H
#define SCENARIOS_SCENARIO_PRIVATE_H

#include "core/conf/conf-keys.h"
#include "scenarios/format/scenario.h"

extern const struct conf_vocabulary scenario_vocabulary;

/* conf_key.read of keys that only scenarios have. */
int scenario_read_target(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_damage(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_repair(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_schedules(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_disks(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_marks(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_assign(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_feature(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_phases(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);

int scenario_read_defects(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_step_kind(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_mails(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int scenario_read_word(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);

/* Else it is dovecot.conf's. */
bool scenario_is_section(struct lab_view name);
/* The n-th object of a section that has knobs; NULL: there are no more. */
void *scenario_object(struct scenario *scenario, const char *section, size_t n);
/* scenario-value.c: "a | b" of a set of bits. */
void scenario_print_bits(const struct conf_key *key, unsigned bits, struct lab_buf *out);
/* A value as scenario_load() reads it (scenario-print.c). */
void scenario_print_value(const struct conf_key *key, const void *object, struct lab_buf *out);

/* scenario-steps.c: all sections `step` and `episode`, then what the episodes are. */
void scenario_read_steps(struct scenario *s, const struct conf_section *root,
	struct lab_arena *arena, struct conf_problems *problems);
void scenario_resolve_episodes(
	struct scenario *s, struct lab_arena *arena, struct conf_problems *problems);
/* What does not fit together among them. */
void scenario_check_steps(
	const struct scenario *s, size_t backends_min, struct conf_problems *problems);
/* A section's label is a name; else the problem is added. */
bool scenario_has_label(const struct conf_section *section, struct conf_problems *problems);

/* Puts another URL into obox_fs. */
int scenario_replace_s3(
	struct scenario *scenario, const char *url, struct lab_arena *arena, struct lab_error *err);
/* Other hosts into a dict's connect string, and credentials if the overrides have any. */
int scenario_replace_cql(struct scenario *scenario, const struct scenario_overrides *overrides,
	struct dict_cql_connect *connect, struct lab_error *err);
/* Finds S3 in the settings (scenario-endpoints.c), and sees whether a run can have their stacks. */
int scenario_endpoints_find(
	struct scenario *scenario, struct lab_arena *arena, struct lab_error *err);

/* Reads the settings that the users are migrated from, if there are any, and sees whether they are
 * of the same storage. `text` has the place. */
int scenario_load_before(struct scenario *scenario, const struct conf_setting *text,
	const struct conf_reader *reader, struct lab_arena *arena, struct conf_problems *problems,
	struct lab_error *err);

/* Reads the settings that only some zones have, and sees whether they go together with the others'.
 * `root` has their places. */
int scenario_load_sites(struct scenario *scenario, const struct conf_section *root,
	const struct conf_reader *reader, struct lab_arena *arena, struct conf_problems *problems,
	struct lab_error *err);

/* scenario-data-centers.c: with data_center_per_zone each site's dicts, in the arena. Node i is in
 * the zone of site i modulo their number, as in scene.h. */
void scenario_place_dicts(struct scenario *scenario, struct lab_arena *arena);

/* Knobs of that tree, which they will turn. */
void scenario_read_knobs(
	struct scenario *scenario, struct conf_section *root, struct conf_problems *problems);
/* Once the settings are loaded: whether every knob can be turned to each of its texts,
 * or to both its ends. */
void scenario_check_knobs(
	struct scenario *scenario, struct lab_arena *arena, struct conf_problems *problems);

/* Adds what is wrong with a scenario whose every value is right (scenario-check.c). `root` is what
 * it was read from. */
void scenario_check(const struct scenario *scenario, const struct conf_section *root,
	const struct scenario_overrides *overrides, struct conf_problems *problems);

#endif
