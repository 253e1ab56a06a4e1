/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-value.c - one value of a .scn file.
 */
#include "scenarios/format/scenario-private.h"
#include "core/base/mark.h"

static const char *const target_names[] = { "any", "backend", "node", "zone", "s3", "imds", "proxy",
	"controller" };
static const char *const disk_names[] = { "lose_unsynced", "keep", "wipe" };
static const char *const damage_names[] = { "lost_rows", "lost_reverse_rows", "lost_objects",
	"resurrected_rows", "restored_objects", "foreign", "half_bundles", "bad_bundles",
	"lost_root", "lost_keyspace" };
static const char *const repair_names[] = { "none", "rebuild", "collect", "force_resync" };
_Static_assert(LAB_COUNT_OF(damage_names) == SCENARIO_DAMAGE_COUNT, "one name for each");
_Static_assert(LAB_COUNT_OF(repair_names) == SCENARIO_REPAIR_COUNT, "one name for each");
static const char *const schedule_names[SCENARIO_SCHEDULES] = { "fifo", "shuffle", "priority" };
static const char *const phase_names[] = { "warmup", "storm" };

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

/* a | b, or nothing. */
int scenario_read_marks(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	uint64_t *field = (void *)((char *)object + key->offset);
	const char *names[LAB_MARK_COUNT];
	struct conf_choices choices;
	size_t mark;

	*field = 0;
	if (lab_view_trim(text).len == 0)
		return 0;
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++)
		names[m] = lab_mark_name((enum lab_mark)m);
	if (conf_value_choices(text, &choices, err) < 0)
		return -1;
	for (size_t i = 0; i < choices.count; i++) {
		if (conf_value_word(choices.items[i], names, LAB_MARK_COUNT, &mark, err) < 0)
			return -1;
		*field |= UINT64_C(1) << mark;
	}
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

int scenario_read_target(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	enum scenario_target *field = (void *)((char *)object + key->offset);
	struct scenario_fault *fault = object;

	return read_target(text, field, field == &fault->target ? &fault->only : NULL, err);
}

int scenario_read_disks(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	unsigned *field = (void *)((char *)object + key->offset);
	struct conf_choices choices;

	return conf_value_choices(text, &choices, err) < 0
		       ? -1
		       : read_bits(&choices, disk_names, LAB_COUNT_OF(disk_names), field, err);
}

int scenario_read_schedules(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	unsigned *field = (void *)((char *)object + key->offset);
	struct conf_choices choices;

	return conf_value_choices(text, &choices, err) < 0
		       ? -1
		       : read_bits(&choices, schedule_names, SCENARIO_SCHEDULES, field, err);
}

int scenario_read_phases(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	struct conf_choices choices;

	(void)key;
	return conf_value_choices(text, &choices, err) < 0 ? -1
							   : read_phases(&choices, object, err);
}

/* Empty: nothing. */
static int read_set(const struct conf_key *key, struct lab_view text, void *object,
	const char *const *names, size_t count, struct lab_error *err)
{
	unsigned *field = (void *)((char *)object + key->offset);
	struct conf_choices choices;

	*field = 0;
	if (text.len == 0)
		return 0;
	return conf_value_choices(text, &choices, err) < 0
		       ? -1
		       : read_bits(&choices, names, count, field, err);
}

int scenario_read_damage(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	return read_set(key, text, object, damage_names, LAB_COUNT_OF(damage_names), err);
}

int scenario_read_repair(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	return read_set(key, text, object, repair_names, LAB_COUNT_OF(repair_names), err);
}

int scenario_read_assign(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	static const char *const names[] = {
		[CLUSTER_ASSIGN_HASH] = "hash", [CLUSTER_ASSIGN_RANDOM] = "random"
	};
	enum cluster_assign *field = (void *)((char *)object + key->offset);
	size_t index;

	if (conf_value_word(text, names, LAB_COUNT_OF(names), &index, err) < 0)
		return -1;
	*field = (enum cluster_assign)index;
	return 0;
}

void scenario_print_bits(const struct conf_key *key, unsigned bits, struct lab_buf *out)
{
	const struct {
		const char *key;
		const char *const *names;
		size_t count;
	} sets[] = { { "damage", damage_names, LAB_COUNT_OF(damage_names) },
		{ "repair", repair_names, LAB_COUNT_OF(repair_names) },
		{ "disk", disk_names, LAB_COUNT_OF(disk_names) },
		{ "schedule", schedule_names, SCENARIO_SCHEDULES } };
	const char *separator = "";

	for (size_t i = 0; i < LAB_COUNT_OF(sets); i++) {
		for (size_t n = 0; strcmp(sets[i].key, key->name) == 0 && n < sets[i].count; n++) {
			if ((bits >> n & 1) == 0)
				continue;
			lab_buf_printf(out, "%s%s", separator, sets[i].names[n]);
			separator = " | ";
		}
	}
}

int scenario_read_feature(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	enum cluster_feature *field = (void *)((char *)object + key->offset);
	size_t index;

	if (conf_value_word(text, cluster_feature_names, CLUSTER_FEATURES, &index, err) < 0)
		return -1;
	*field = (enum cluster_feature)index;
	return 0;
}

void *scenario_object(struct scenario *s, const char *section, size_t n)
{
	const struct {
		const char *name;
		void *first;
		size_t count, size;
	} objects[] = { { "scenario", s, 1, 0 },
		{ "user", s->groups, s->group_count, sizeof(s->groups[0]) }, { "s3", &s->s3, 1, 0 },
		{ "scality", &s->scality, 1, 0 }, { "cql", &s->cql, 1, 0 },
		{ "imds", &s->imds, 1, 0 }, { "network", &s->network, 1, 0 },
		{ "backend", &s->hosts, 1, 0 } };

	for (size_t i = 0; i < LAB_COUNT_OF(objects); i++) {
		if (strcmp(objects[i].name, section) == 0 && n < objects[i].count)
			return (char *)objects[i].first + n * objects[i].size;
	}
	return NULL;
}
