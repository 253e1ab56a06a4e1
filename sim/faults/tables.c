/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.c - the vocabulary: points.def and kinds.def, and how names are found in them.
 */
#include "sim/faults/faults-private.h"

static const char *const point_names[FAULT_POINT_COUNT] = {
#define X(id, name, doc) [FAULT_POINT_##id] = name,
#include "sim/faults/points.def"
#undef X
};

static const char *const point_docs[FAULT_POINT_COUNT] = {
#define X(id, name, doc) [FAULT_POINT_##id] = doc,
#include "sim/faults/points.def"
#undef X
};

const struct fault_kind_info fault_kinds[FAULT_KIND_COUNT] = {
#define X(id, points, answer, status, code, doc) \
	[FAULT_##id] = { #id, doc, points, SIM_FAULT_##answer, status, code },
#include "sim/faults/kinds.def"
#undef X
};

_Static_assert(FAULT_POINT_COUNT <= 64, "a set of points is 64 bits");
_Static_assert(FAULT_KIND_COUNT <= 128, "a set of kinds is 128 bits");

#define WORLD_POINTS \
	(FAULT_BIT(world_clock) | FAULT_BIT(world_crash) | FAULT_BIT(world_hang) | \
		FAULT_BIT(world_partition) | FAULT_BIT(world_zone) | FAULT_BIT(cql_node_down))

const char *fault_point_name(enum fault_point point)
{
	lab_assert((unsigned)point < FAULT_POINT_COUNT);
	return point_names[point];
}

const char *fault_point_doc(enum fault_point point)
{
	lab_assert((unsigned)point < FAULT_POINT_COUNT);
	return point_docs[point];
}

enum fault_point fault_point_find(struct lab_view name)
{
	size_t low = 0, high = FAULT_POINT_COUNT;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = lab_view_cmp(name, lab_view_cstr(point_names[middle]));

		if (order == 0)
			return (enum fault_point)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return FAULT_POINT_COUNT;
}

uint64_t fault_points_matching(struct lab_view pattern)
{
	uint64_t points = 0;
	bool is_prefix = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
	struct lab_view prefix = lab_view_sub(pattern, 0, pattern.len - (is_prefix ? 1 : 0));

	for (size_t i = 0; i < FAULT_POINT_COUNT; i++) {
		struct lab_view name = lab_view_cstr(point_names[i]);

		if (is_prefix ? lab_view_starts_with(name, prefix) : lab_view_eq(name, prefix))
			points |= UINT64_C(1) << i;
	}
	return points;
}

const char *fault_kind_name(enum fault_kind kind)
{
	lab_assert((unsigned)kind < FAULT_KIND_COUNT);
	return fault_kinds[kind].name;
}

const char *fault_kind_doc(enum fault_kind kind)
{
	lab_assert((unsigned)kind < FAULT_KIND_COUNT);
	return fault_kinds[kind].doc;
}

uint64_t fault_kind_points(enum fault_kind kind)
{
	lab_assert((unsigned)kind < FAULT_KIND_COUNT);
	return fault_kinds[kind].points;
}

enum fault_kind fault_kind_find(struct lab_view name)
{
	for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
		if (lab_view_eq_cstr(name, fault_kinds[i].name))
			return (enum fault_kind)i;
	}
	return FAULT_KIND_COUNT;
}

bool fault_kind_has_amount(enum fault_kind kind)
{
	enum sim_fault_kind answer;

	lab_assert((unsigned)kind < FAULT_KIND_COUNT);
	answer = fault_kinds[kind].answer;
	return answer == SIM_FAULT_DELAY || answer == SIM_FAULT_LATE ||
	       answer == SIM_FAULT_TRICKLE || answer == SIM_FAULT_WRONG_DATE ||
	       answer == SIM_FAULT_STALE || answer == SIM_FAULT_DUPLICATE;
}

bool fault_kind_is_world(enum fault_kind kind)
{
	return (fault_kind_points(kind) & WORLD_POINTS) != 0;
}
