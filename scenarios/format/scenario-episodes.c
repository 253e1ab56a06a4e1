/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-episodes.c - exact episodes as sections of a scenario.
 */
#include "scenarios/format/scenario-private.h"

static struct conf_range range_of(const struct fault_range *range)
{
	struct conf_range ret = { CONF_RANGE_UNIFORM, range->low, range->high };

	if (range->low == range->high)
		ret.kind = CONF_RANGE_FIXED;
	else if (range->shape == FAULT_QLOG)
		ret.kind = CONF_RANGE_QLOG;
	else if (range->shape == FAULT_LOGNORMAL)
		ret.kind = CONF_RANGE_LOGNORMAL;
	return ret;
}

/* The fault whose n-th episode has that key; "": it is none of them. */
static struct lab_view draws_of(
	const struct scenario *drawn_from, uint64_t key, struct lab_arena *arena)
{
	for (size_t i = 0; i < drawn_from->fault_count; i++) {
		const struct scenario_fault *f = &drawn_from->faults[i];

		for (uint64_t n = 1; n <= f->episodes.high; n++) {
			if (scenario_episode_key(f->name, n) == key)
				return lab_view_cstr(lab_arena_printf(
					arena, "%.*s %" PRIu64, LAB_VIEW_ARG(f->name), n));
		}
	}
	return LAB_VIEW("");
}

static struct lab_view target_of(const struct fault_episode *e, struct lab_arena *arena)
{
	if (e->scope == FAULT_PEER_ZONE && !fault_kind_is_world(e->kind))
		return lab_view_cstr(lab_arena_printf(arena, "zone:%s", e->target));
	return lab_arena_copy(arena, lab_view_cstr(e->target));
}

static struct scenario_episode section_of(
	const struct fault_episode *e, const struct scenario *drawn_from, struct lab_arena *arena)
{
	bool is_clock = e->clock_us != 0;
	uint64_t clock_us =
		is_clock && e->clock_us < 0 ? -(uint64_t)e->clock_us : (uint64_t)e->clock_us;
	struct scenario_episode ret = { .kind = FAULT_KIND_BIT(e->kind),
		.points = e->points == fault_kind_points(e->kind) ? 0 : e->points,
		.at_ns = e->start_ns,
		.length_ns = e->length_ns,
		.target = target_of(e, arena),
		.other = LAB_VIEW(""),
		.keyspace = lab_arena_copy(arena, lab_view_cstr(e->keyspace)),
		.rate = fault_kind_is_world(e->kind) || e->nth != 0 ? 1000000 : e->rate_ppm,
		.nth = e->nth,
		.is_lasting = e->is_lasting,
		.lasting_ns = e->lasting_ns,
		.amount = is_clock ? conf_range_fixed(clock_us * 1000) : range_of(&e->amount),
		.backwards = e->clock_us < 0,
		.disk = 1u << e->disk,
		.down_ns = e->crashes_peer ? e->down_ns : 0,
		.after = LAB_VIEW(""),
		.draws = LAB_VIEW("") };

	if (e->kind == FAULT_partition || e->kind == FAULT_partition_one_way)
		ret.other = lab_arena_copy(arena, lab_view_cstr(e->other));
	if (!fault_kind_is_world(e->kind) &&
		((e->nth == 0 && e->rate_ppm < 1000000) || e->amount.low != e->amount.high))
		ret.draws = draws_of(drawn_from, e->key, arena);
	return ret;
}

void scenario_name_episodes(
	struct scenario *s, const struct scenario *drawn_from, struct lab_arena *arena)
{
	s->episodes = lab_arena_array(arena, struct scenario_episode, s->exact_count + 1);
	s->episode_count = s->exact_count;
	for (size_t i = 0; i < s->exact_count; i++) {
		struct scenario_episode *episode = &s->episodes[i];

		*episode = section_of(&s->exact[i], drawn_from, arena);
		episode->name = lab_view_cstr(lab_arena_printf(arena, "%zu", i + 1));
		if (s->exact[i].after != 0)
			episode->after = s->episodes[s->exact[i].after - 1].name;
	}
}
