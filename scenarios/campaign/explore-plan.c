/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/campaign/explore-private.h"

#include "scenarios/format/scenario-private.h"
#include "scenarios/runner/sim-world.h"

#define TURN_BYTES_MAX ((size_t)64 << 20)

static void take_plan(const struct scene *scene, struct lab_arena *arena, struct explore_plan *ret)
{
	size_t count;
	const struct fault_episode *episodes = fault_plan_episodes(scene->plan, &count);

	ret->episodes = lab_arena_array(arena, struct fault_episode, count + 1);
	ret->episode_count = LAB_MIN(count, (size_t)EXPLORE_EPISODES_MAX);
	for (size_t i = 0; i < ret->episode_count; i++)
		ret->episodes[i] = episodes[i];
	ret->warmup_end_ns = scene->warmup_end;
	ret->storm_end_ns = scene->storm_end;
}

/* The world is built as for a run, and nothing runs in it. */
int explore_draw_plan(struct explore *e, uint64_t seed, struct lab_arena *arena,
	struct explore_plan *ret, struct lab_error *err)
{
	struct lab_heap *heap = lab_heap_new(e->pool, TURN_BYTES_MAX);
	struct run_options options = {
		.scenario = e->base, .seed = seed, .pool = e->pool, .fibers = e->fibers
	};
	struct sim_world world = { 0 };
	int result = scenario_turn(
		e->base, seed, lab_arena_new(heap, TURN_BYTES_MAX / 2), &options.scenario, err);

	*ret = (struct explore_plan){ .seed = seed };
	if (result == 0) {
		result = sim_world_build(&world, &options, err);
		if (result == 0)
			take_plan(&world.scene, arena, ret);
		sim_world_free(&world);
	}
	lab_heap_drop(&heap);
	return result;
}

struct explore_plan explore_copy_plan(const struct explore_plan *plan, struct lab_arena *arena)
{
	struct explore_plan copy = *plan;

	copy.episodes = lab_arena_array(arena, struct fault_episode, EXPLORE_EPISODES_MAX);
	for (size_t i = 0; i < plan->episode_count; i++)
		copy.episodes[i] = plan->episodes[i];
	return copy;
}

static void turn_knob(struct scenario *s, const struct explore_knob *knob)
{
	const struct conf_key *key = &scenario_vocabulary.keys[knob->key];
	char *object = scenario_object(s, key->section, knob->object);

	lab_assert(object != NULL && key->type == CONF_KEY_RANGE);
	*(struct conf_range *)(void *)(object + key->offset) = conf_range_fixed(knob->value);
}

/* As its file will say it: what a kind has no use for is not said, and so not different either. */
static void name_episodes(struct explore *e, const struct explore_plan *plan, struct scenario *s,
	struct lab_arena *arena)
{
	struct fault_episode *exact =
		lab_arena_array(arena, struct fault_episode, plan->episode_count + 1);
	struct lab_error err;

	s->exact = plan->episodes;
	s->exact_count = plan->episode_count;
	scenario_name_episodes(s, e->base, arena);
	for (size_t i = 0; i < plan->episode_count; i++) {
		if (scenario_episode_exact(s->episodes, i, &exact[i], &err) < 0)
			lab_bug("an episode that was drawn cannot be said");
	}
	s->exact = exact;
}

struct scenario *explore_scenario(struct explore *e, const struct explore_plan *plan,
	uint64_t number, struct lab_arena *arena)
{
	struct scenario *s = lab_arena_new_of(arena, struct scenario);

	*s = *e->base;
	s->path = lab_arena_printf(arena, "%s/%06" PRIu64 ".scn", e->settings->directory, number);
	s->seed = plan->seed;
	s->marks = 0;
	name_episodes(e, plan, s, arena);
	s->fault_count = 0;
	for (size_t i = 0; i < plan->knob_count; i++)
		turn_knob(s, &plan->knobs[i]);
	return s;
}
