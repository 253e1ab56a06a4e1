/* SPDX-License-Identifier: Apache-2.0
 *
 * explore-private.h - plans: how they are drawn and become scenarios (explore-plan.c), how they are
 * changed (explore-mutate.c), which are kept (explore.c).
 */
#ifndef SCENARIOS_EXPLORE_PRIVATE_H
#define SCENARIOS_EXPLORE_PRIVATE_H

#include "scenarios/campaign/explore.h"

#define EXPLORE_KNOBS_MAX 4

/* A range of the scenario that has one value. */
struct explore_knob {
	size_t key, object; /* of the vocabulary; the n-th object of its section */
	uint64_t value;
};

struct explore_plan {
	uint64_t seed;
	bool is_drawn; /* as the seed draws it: its episodes are not known yet */
	struct fault_episode *episodes;
	size_t episode_count;
	struct explore_knob knobs[EXPLORE_KNOBS_MAX];
	size_t knob_count;
	uint64_t warmup_end_ns, storm_end_ns;
	const struct run_moment *moments; /* RUN_MOMENTS of its run; NULL: it has not run */
};

struct explore {
	const struct explore_settings *settings;
	const struct scenario *base;
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct lab_arena *kept_arena, *turn_arena;
	struct explore_plan kept[EXPLORE_PLANS_MAX];
	size_t kept_count;
	uint64_t seen[RUN_FEATURES];  /* runs with that feature */
	uint32_t owner[RUN_FEATURES]; /* the last plan that was kept and has it, from 1 */
	/* Seeds of the last turn that passed, whether or not they were kept, and their moments. */
	struct {
		uint64_t seed;
		struct run_moment moments[RUN_MOMENTS];
	} recent[EXPLORE_TURN];
	size_t recent_count;
	uint64_t drawn_first;
	uint64_t drawn; /* seeds, so far */
	struct explore_result *result;
	/* This turn. */
	uint64_t first; /* number of its first run */
	size_t count;
	struct explore_plan plans[EXPLORE_TURN];
	struct scenario *scenarios[EXPLORE_TURN];
	struct run_coverage coverage[EXPLORE_TURN];
	enum run_verdict verdicts[EXPLORE_TURN];
	uint64_t marks[EXPLORE_TURN];
	bool has_run[EXPLORE_TURN];
};

/* What the seed draws, in the arena. */
int explore_draw_plan(struct explore *explore, uint64_t seed, struct lab_arena *arena,
	struct explore_plan *ret, struct lab_error *err);
struct explore_plan explore_copy_plan(const struct explore_plan *plan, struct lab_arena *arena);
/* The plan as a scenario of its own, in the arena; `number` is that of its run. */
struct scenario *explore_scenario(struct explore *explore, const struct explore_plan *plan,
	uint64_t number, struct lab_arena *arena);

/* Draws for one run. */
struct explore_draws {
	uint64_t seed, number, count;
};
/* Below n. */
uint64_t explore_pick(struct explore_draws *draws, uint64_t n);

/* Changes the plan, which is in turn_arena with room for EXPLORE_EPISODES_MAX episodes. */
void explore_mutate(
	struct explore *explore, struct explore_draws *draws, struct explore_plan *plan);
/* Puts its faults where its run passed holds and hit marks. False if that changes nothing. */
bool explore_aim(struct explore *explore, struct explore_draws *draws, struct explore_plan *plan);

#endif
