/* SPDX-License-Identifier: Apache-2.0
 *
 * explore.c - turns: which plans run next, and which of those that ran are kept.
 */
#include "scenarios/campaign/explore-private.h"

#include <stdio.h>
#include <stdlib.h>

#define FIBER_STACK_BYTES (64 * 1024)
#define FIBERS_MAX 16384
#define RARE 8 /* so many features are looked at for one that few runs have */

/* ---- which plans run next ---- */

/* Half of the time one that has been where few runs were. */
static const struct explore_plan *pick_kept(struct explore *e, struct explore_draws *draws)
{
	size_t rarest = RUN_FEATURES;

	if (explore_pick(draws, 2) == 0)
		return &e->kept[explore_pick(draws, e->kept_count)];
	for (int i = 0; i < RARE; i++) {
		size_t first = (size_t)explore_pick(draws, RUN_FEATURES), f = first;

		while (e->owner[f] == 0 && (f + 1) % RUN_FEATURES != first)
			f = (f + 1) % RUN_FEATURES;
		if (e->owner[f] != 0 && (rarest == RUN_FEATURES || e->seen[f] < e->seen[rarest]))
			rarest = f;
	}
	return &e->kept[e->owner[rarest] - 1];
}

/* What a seed draws, but its faults where they meet something. */
static bool aim_recent(struct explore *e, struct explore_draws *draws, struct explore_plan *ret)
{
	size_t i = (size_t)explore_pick(draws, LAB_MAX(e->recent_count, (size_t)1));
	struct explore_plan drawn;
	struct lab_error err;

	if (e->recent_count == 0 ||
		explore_draw_plan(e, e->recent[i].seed, e->turn_arena, &drawn, &err) < 0)
		return false;
	*ret = explore_copy_plan(&drawn, e->turn_arena);
	ret->moments = e->recent[i].moments;
	return explore_aim(e, draws, ret);
}

static void change_run(struct explore *e, struct explore_draws *draws, struct explore_plan *plan)
{
	if (explore_pick(draws, 2) == 0 && aim_recent(e, draws, plan))
		return;
	*plan = explore_copy_plan(pick_kept(e, draws), e->turn_arena);
	explore_mutate(e, draws, plan);
}

static void plan_run(struct explore *e, size_t i)
{
	struct explore_draws draws = { e->settings->campaign.first_seed, e->first + i, 0 };
	struct explore_plan *plan = &e->plans[i];

	if (e->kept_count == 0 || e->first + i <= e->drawn_first || explore_pick(&draws, 2) == 0) {
		*plan = (struct explore_plan){
			.seed = e->settings->campaign.first_seed + e->drawn++, .is_drawn = true
		};
		e->scenarios[i] = NULL;
		return;
	}
	change_run(e, &draws, plan);
	e->scenarios[i] = explore_scenario(e, plan, e->first + i, e->turn_arena);
}

static void plan_turn(struct explore *e, uint64_t first)
{
	lab_arena_reset(e->turn_arena);
	e->first = first;
	e->count = (size_t)LAB_MIN(e->settings->runs - first + 1, (uint64_t)EXPLORE_TURN);
	for (size_t i = 0; i < e->count; i++) {
		e->has_run[i] = false;
		plan_run(e, i);
	}
	e->recent_count = 0;
}

/* ---- what came of them ---- */

static void prepare(void *ctx, uint64_t number, struct run_options *run)
{
	const struct explore *e = ctx;
	size_t i = (size_t)(number - e->first);

	run->seed = e->plans[i].seed;
	if (e->scenarios[i] != NULL)
		run->scenario = e->scenarios[i];
	run->has_coverage = true;
}

static void on_result(void *ctx, const struct run_result *run)
{
	struct explore *e = ctx;
	size_t i = (size_t)(run->seed - e->first);

	e->has_run[i] = true;
	e->verdicts[i] = run->verdict;
	e->coverage[i] = run->coverage;
	e->marks[i] = 0;
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++)
		e->marks[i] |= (uint64_t)(run->marks[m] != 0) << m;
}

/* True if there is one that none had before. */
static bool count_features(struct explore *e, size_t i)
{
	struct explore_result *r = e->result;
	bool is_new = false;

	for (size_t f = 0; f < RUN_FEATURES; f++) {
		if (!run_covers(&e->coverage[i], f))
			continue;
		if (e->seen[f]++ > 0)
			continue;
		is_new = true;
		r->features++;
		r->features_changed += !e->plans[i].is_drawn;
	}
	return is_new;
}

static int tell(struct explore *e, enum explore_why why, const struct explore_plan *plan,
	uint64_t number, struct lab_error *err)
{
	struct scenario *s;

	if (e->settings->on_plan == NULL)
		return 0;
	s = explore_scenario(e, plan, number, e->turn_arena);
	s->defects = scenario_defects(e->base, &e->settings->campaign.defects);
	return e->settings->on_plan(e->settings->ctx, why, s, err);
}

static int keep(struct explore *e, size_t i, struct lab_error *err)
{
	struct explore_plan *kept = &e->kept[e->kept_count], *plan = &e->plans[i];
	struct run_moment *moments;

	if (e->kept_count == EXPLORE_PLANS_MAX)
		return 0;
	e->result->kept_drawn += plan->is_drawn;
	e->result->kept_changed += !plan->is_drawn;
	if (plan->is_drawn) {
		if (explore_draw_plan(e, plan->seed, e->kept_arena, kept, err) < 0)
			return -1;
	} else {
		*kept = *plan;
		kept->episodes = lab_arena_array(
			e->kept_arena, struct fault_episode, plan->episode_count + 1);
		for (size_t n = 0; n < plan->episode_count; n++)
			kept->episodes[n] = plan->episodes[n];
	}
	moments = lab_arena_array(e->kept_arena, struct run_moment, RUN_MOMENTS);
	memcpy(moments, e->coverage[i].moments, sizeof(e->coverage[i].moments));
	kept->moments = moments;
	e->kept_count++;
	for (size_t f = 0; f < RUN_FEATURES; f++) {
		if (run_covers(&e->coverage[i], f))
			e->owner[f] = (uint32_t)e->kept_count;
	}
	return tell(e, EXPLORE_KEPT, kept, e->first + i, err);
}

/* In order of numbers, whoever was the first to end. What fails is not kept: what is near it fails
 * in the same way, and hides the rest. */
static int look_at(struct explore *e, size_t i, struct lab_error *err)
{
	const struct explore_plan *plan = &e->plans[i];
	struct explore_result *r = e->result;

	r->drawn += plan->is_drawn;
	r->changed += !plan->is_drawn;
	*(plan->is_drawn ? &r->marks : &r->marks_changed) |= e->marks[i];
	if (e->verdicts[i] == RUN_FAIL)
		++*(plan->is_drawn ? &r->failed_drawn : &r->failed_changed);
	if (e->verdicts[i] == RUN_PASS && plan->is_drawn) {
		e->recent[e->recent_count].seed = plan->seed;
		memcpy(e->recent[e->recent_count++].moments, e->coverage[i].moments,
			sizeof(e->coverage[i].moments));
	}
	if (e->verdicts[i] == RUN_PASS)
		return count_features(e, i) ? keep(e, i, err) : 0;
	return plan->is_drawn ? 0 : tell(e, EXPLORE_FAILED, plan, e->first + i, err);
}

static int run_turn(struct explore *e, struct campaign_result *turn, struct lab_error *err)
{
	struct campaign_settings campaign = e->settings->campaign;

	campaign.first_seed = e->first;
	campaign.last_seed = e->first + e->count - 1;
	campaign.workers = (unsigned)LAB_MIN((size_t)campaign.workers, e->count);
	/* How far the others have come when one fails depends on the workers. */
	campaign.until_failure = campaign.stop_at_first;
	campaign.stop_at_first = false;
	campaign.time_limit_ns = 0;
	campaign.prepare = prepare;
	campaign.on_result = on_result;
	campaign.on_progress = NULL;
	campaign.ctx = e;
	if (campaign_run(&campaign, turn, err) < 0)
		return -1;
	for (size_t i = 0; i < e->count; i++) {
		bool is_behind = campaign.until_failure && turn->first_failed_seed != 0 &&
				 e->first + i > turn->first_failed_seed;

		if (e->has_run[i] && !is_behind && look_at(e, i, err) < 0)
			return -1;
	}
	return 0;
}

static int run_turns(struct explore *e, struct campaign_result *sum, struct lab_error *err)
{
	const struct explore_settings *s = e->settings;
	struct campaign_result *turn = calloc(1, sizeof(*turn));
	int result = 0;

	lab_assert(turn != NULL);
	for (uint64_t first = 1; first <= s->runs && result == 0; first += EXPLORE_TURN) {
		plan_turn(e, first);
		result = run_turn(e, turn, err);
		campaign_add(sum, turn);
		if (s->on_turn != NULL)
			s->on_turn(s->ctx, sum->seeds, sum->failed + sum->broken, e->kept_count);
		if (s->campaign.stop_at_first && sum->failed + sum->broken > 0)
			break;
	}
	free(turn);
	return result;
}

int explore_run(const struct explore_settings *settings, struct campaign_result *ret,
	struct explore_result *explored, struct lab_error *err)
{
	struct explore *e = calloc(1, sizeof(*e));
	struct lab_pool *pool = lab_pool_new(SIZE_MAX / 2);
	struct lab_heap *heap = lab_heap_new(pool, SIZE_MAX / 8);
	int result;

	lab_assert(e != NULL && settings->runs > 0);
	memset(ret, 0, sizeof(*ret));
	*explored = (struct explore_result){ 0 };
	e->settings = settings;
	e->base = settings->campaign.scenario;
	e->result = explored;
	e->drawn_first = settings->drawn_first != 0 ? settings->drawn_first : EXPLORE_DRAWN_FIRST;
	e->pool = pool;
	e->fibers = lab_fiber_pool_new(FIBER_STACK_BYTES, FIBERS_MAX, NULL);
	e->kept_arena = lab_arena_new(heap, SIZE_MAX / 16);
	e->turn_arena = lab_arena_new(heap, SIZE_MAX / 16);
	result = run_turns(e, ret, err);
	ret->explored = explored;
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if (ret->total.marks[m] == 0)
			ret->missed_marks |= e->base->marks & UINT64_C(1) << m;
	}
	lab_arena_free(&e->turn_arena);
	lab_arena_free(&e->kept_arena);
	lab_fiber_pool_free(&e->fibers);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	free(e);
	return result;
}

/* ---- in words ---- */

void explore_print(const struct explore_result *r, struct lab_buf *out)
{
	uint64_t only = r->marks_changed & ~r->marks;

	lab_buf_printf(out,
		"  explored          %" PRIu64 " seeds as they are drawn, %" PRIu64
		" changed plans; kept %" PRIu64 " and %" PRIu64 ", failed %" PRIu64 " and %" PRIu64
		"\n",
		r->drawn, r->changed, r->kept_drawn, r->kept_changed, r->failed_drawn,
		r->failed_changed);
	lab_buf_printf(out,
		"  features          %" PRIu64 ", %" PRIu64
		" of them first seen in changed plans\n",
		r->features, r->features_changed);
	lab_buf_append_cstr(out, "  marks             hit only by changed plans:");
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if ((only >> m & 1) != 0)
			lab_buf_printf(out, " %s", lab_mark_name((enum lab_mark)m));
	}
	lab_buf_append_cstr(out, only == 0 ? " none\n" : "\n");
}

void explore_json(const struct explore_result *r, struct lab_json *json)
{
	uint64_t only = r->marks_changed & ~r->marks;

	lab_json_key(json, "explored");
	lab_json_object(json);
	lab_json_put_u64(json, "drawn", r->drawn);
	lab_json_put_u64(json, "changed", r->changed);
	lab_json_put_u64(json, "failed_drawn", r->failed_drawn);
	lab_json_put_u64(json, "failed_changed", r->failed_changed);
	lab_json_put_u64(json, "kept_drawn", r->kept_drawn);
	lab_json_put_u64(json, "kept_changed", r->kept_changed);
	lab_json_put_u64(json, "features", r->features);
	lab_json_put_u64(json, "features_changed", r->features_changed);
	lab_json_key(json, "marks_changed");
	lab_json_array(json);
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if ((only >> m & 1) != 0)
			lab_json_cstr(json, lab_mark_name((enum lab_mark)m));
	}
	lab_json_end(json);
	lab_json_end(json);
}
