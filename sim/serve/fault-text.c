/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/fault-text.h"

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

int fault_text_kinds(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	fault_kind_set *ret = (fault_kind_set *)(void *)((char *)object + key->offset);
	struct conf_choices choices;
	char hint[CONF_HINT_MAX];

	if (conf_value_choices(text, &choices, err) < 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < choices.count; i++) {
		enum fault_kind kind = fault_kind_find(choices.items[i]);

		if (kind == FAULT_KIND_COUNT)
			return lab_fail(err, LAB_INVALID, "unknown kind of fault %.*s%s",
				LAB_VIEW_ARG(choices.items[i]),
				conf_hint(
					conf_suggest(choices.items[i], kind_name_at, NULL), hint));
		*ret |= FAULT_KIND_BIT(kind);
	}
	return 0;
}

int fault_text_points(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	uint64_t *ret = (uint64_t *)(void *)((char *)object + key->offset);
	struct conf_choices choices;
	char hint[CONF_HINT_MAX];

	if (conf_value_choices(text, &choices, err) < 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < choices.count; i++) {
		uint64_t points = fault_points_matching(choices.items[i]);

		if (points == 0)
			return lab_fail(err, LAB_INVALID, "unknown fault point %.*s%s",
				LAB_VIEW_ARG(choices.items[i]),
				conf_hint(
					conf_suggest(choices.items[i], point_name_at, NULL), hint));
		*ret |= points;
	}
	return 0;
}

struct fault_range fault_text_range(const struct conf_range *range)
{
	static const enum fault_shape shapes[] = { [CONF_RANGE_FIXED] = FAULT_UNIFORM,
		[CONF_RANGE_UNIFORM] = FAULT_UNIFORM,
		[CONF_RANGE_QLOG] = FAULT_QLOG,
		[CONF_RANGE_LOGNORMAL] = FAULT_LOGNORMAL };

	return (struct fault_range){ shapes[range->kind], range->low, range->high };
}
