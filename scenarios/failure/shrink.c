/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink.c - attempts, and the order of the parts.
 */
#include "scenarios/failure/shrink-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ATTEMPT_TIMEOUT_S 120
#define SCRATCH_MAX ((size_t)1 << 32)
#define ROUNDS_MAX 5

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LAB_SEC + (uint64_t)ts.tv_nsec;
}

bool shrink_is_over(struct shrink *s)
{
	if (s->result->runs >= s->settings->runs_max || (s->end_ns != 0 && wall_ns() >= s->end_ns))
		s->result->is_used_up = true;
	return s->result->is_used_up;
}

void shrink_tell(struct shrink *s, const char *part)
{
	if (s->settings->on_progress != NULL)
		s->settings->on_progress(s->settings->ctx, part, s->result->runs,
			s->best->step_count, s->best->exact_count);
}

/* ---- attempts ---- */

struct batch {
	struct shrink *shrink;
	struct scenario *const *attempts;
	bool has_defects;
	bool fails[SHRINK_BATCH_MAX + 1];
	bool is_same[SHRINK_BATCH_MAX + 1];
};

static void prepare(void *ctx, uint64_t number, struct run_options *run)
{
	const struct batch *batch = ctx;

	run->scenario = batch->attempts[number - 1];
	run->seed = batch->shrink->settings->options->seed;
}

static void on_result(void *ctx, const struct run_result *result)
{
	struct batch *batch = ctx;

	batch->fails[result->seed] = result->verdict == RUN_FAIL;
	batch->is_same[result->seed] =
		result->verdict == RUN_FAIL &&
		strcmp(result->signature, batch->shrink->result->signature) == 0;
}

/* Runs them all. An attempt that cannot run has not failed in any way that counts. */
static void run_batch(struct batch *batch, size_t count)
{
	struct shrink *s = batch->shrink;
	const struct run_options *o = s->settings->options;
	struct campaign_settings settings = { .scenario = batch->attempts[0],
		.mails = o->mails,
		.first_seed = 1,
		.last_seed = count,
		.workers = (unsigned)LAB_MIN((size_t)s->settings->workers, count),
		.seed_timeout_s = ATTEMPT_TIMEOUT_S,
		.prepare = prepare,
		.on_result = on_result,
		.ctx = batch };
	struct campaign_result *result = calloc(1, sizeof(*result));
	struct lab_error err;

	lab_assert(result != NULL);
	if (batch->has_defects)
		settings.defects = o->defects;
	s->result->runs += count;
	(void)campaign_run(&settings, result, &err);
	free(result);
}

/* The scenario's own defects are not switched off: it is for those of the command line. */
static bool passes_without_defects(struct shrink *s, struct scenario *attempt)
{
	struct batch batch = { .shrink = s, .attempts = &attempt };

	if (memcmp(&s->settings->options->defects, &LAB_NO_DEFECTS, sizeof(LAB_NO_DEFECTS)) == 0)
		return true;
	run_batch(&batch, 1);
	return !batch.fails[1];
}

/* Out of the scratch arena. */
static void accept(struct shrink *s, const struct scenario *attempt)
{
	struct lab_arena *arena = s->settings->arena;
	struct scenario *best = lab_arena_new_of(arena, struct scenario);
	struct scenario_step *steps =
		lab_arena_array(arena, struct scenario_step, attempt->step_count + 1);
	struct fault_episode *exact =
		lab_arena_array(arena, struct fault_episode, attempt->exact_count + 1);

	*best = *attempt;
	for (size_t i = 0; i < attempt->step_count; i++) {
		steps[i] = attempt->steps[i];
		steps[i].mails = lab_arena_copy(arena, steps[i].mails);
		steps[i].backend = lab_arena_copy(arena, steps[i].backend);
	}
	for (size_t i = 0; i < attempt->exact_count; i++)
		exact[i] = attempt->exact[i];
	best->steps = steps;
	best->exact = exact;
	s->best = best;
	s->accepted++;
}

int shrink_try(struct shrink *s, struct scenario *const *attempts, size_t count)
{
	struct batch batch = { .shrink = s, .attempts = attempts, .has_defects = true };
	int found = -1;

	lab_assert(count <= SHRINK_BATCH_MAX);
	if (count > 0 && !shrink_is_over(s)) {
		run_batch(&batch, count);
		for (size_t i = 0; i < count && found < 0; i++) {
			if (batch.is_same[i + 1] && passes_without_defects(s, attempts[i]))
				found = (int)i;
		}
	}
	if (found >= 0)
		accept(s, attempts[found]);
	lab_arena_reset(s->scratch);
	return found;
}

bool shrink_try_one(struct shrink *s, struct scenario *attempt)
{
	return shrink_try(s, &attempt, 1) == 0;
}

struct scenario *shrink_copy(struct shrink *s)
{
	struct scenario *copy = lab_arena_new_of(s->scratch, struct scenario);

	*copy = *s->best;
	return copy;
}

struct scenario_step *shrink_own_steps(struct shrink *s, struct scenario *attempt)
{
	struct scenario_step *steps =
		lab_arena_array(s->scratch, struct scenario_step, attempt->step_count + 1);

	for (size_t i = 0; i < attempt->step_count; i++)
		steps[i] = attempt->steps[i];
	attempt->steps = steps;
	return steps;
}

struct fault_episode *shrink_own_exact(struct shrink *s, struct scenario *attempt)
{
	struct fault_episode *exact =
		lab_arena_array(s->scratch, struct fault_episode, attempt->exact_count + 1);

	for (size_t i = 0; i < attempt->exact_count; i++)
		exact[i] = attempt->exact[i];
	attempt->exact = exact;
	return exact;
}

/* ---- the whole ---- */

static size_t count_users(const struct scenario *s)
{
	size_t count = 0;

	for (size_t g = 0; g < s->group_count; g++)
		count += (size_t)s->groups[g].count.low;
	return count;
}

/* What is to be taken away from. */
static int begin(struct shrink *s, const struct recorded *recorded, struct lab_error *err)
{
	const struct scenario *base = s->settings->options->scenario;
	struct scenario *attempt = lab_arena_new_of(s->scratch, struct scenario);

	record_scenario(base, recorded, attempt);
	/* A script would do its part once more. */
	s->result->is_told = base->script_count == 0;
	if (s->result->is_told && shrink_try_one(s, attempt))
		return 0;
	/* With its clients, and the same faults. */
	attempt = lab_arena_new_of(s->scratch, struct scenario);
	record_scenario(base, recorded, attempt);
	attempt->has_clients = base->has_clients;
	attempt->steps = base->steps;
	attempt->step_count = base->step_count;
	attempt->operator_count = base->operator_count;
	s->result->is_told = false;
	return shrink_try_one(s, attempt)
		       ? 0
		       : lab_fail(err, LAB_INVALID,
				 "the run fails, but not with its faults as exact episodes%s",
				 s->result->is_used_up ? ": it has used up its runs" : "");
}

static void take_away(struct shrink *s)
{
	shrink_take_away(s, &shrink_episodes);
	shrink_tell(s, "episodes");
	if (s->result->is_told) {
		shrink_take_away(s, &shrink_users);
		shrink_tell(s, "users");
		shrink_take_away(s, &shrink_sessions);
		shrink_tell(s, "sessions");
		shrink_take_away(s, &shrink_steps);
		shrink_tell(s, "operations");
	}
	shrink_to_single_faults(s);
	shrink_take_away(s, &shrink_episodes);
	shrink_tell(s, "faults");
}

static void simplify(struct shrink *s)
{
	if (s->result->is_told) {
		shrink_take_away(s, &shrink_sessions);
		shrink_take_away(s, &shrink_steps);
		shrink_take_away(s, &shrink_mails);
		shrink_hosts(s);
		shrink_numbers(s);
		shrink_times(s);
		shrink_faults_to_steps(s);
	} else {
		shrink_clients(s);
	}
	shrink_knobs(s);
	shrink_take_away(s, &shrink_episodes);
	shrink_merge_faults(s);
	shrink_tell(s, "simpler");
}

/* What one part makes possible, another one does: until none of them finds anything. */
static void simplify_all(struct shrink *s)
{
	uint64_t before;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		before = s->accepted;
		simplify(s);
		if (s->accepted == before || shrink_is_over(s))
			break;
	}
	if (s->result->is_told)
		shrink_name_steps(s);
}

static void count(const struct shrink *s, const struct recorded *recorded)
{
	struct shrink_result *r = s->result;

	r->steps_before = recorded->step_count;
	r->faults_before = recorded->record_count;
	r->steps_after = s->best->step_count;
	r->faults_after = s->best->exact_count;
	r->users_after = count_users(s->best);
}

static void finish(struct shrink *s)
{
	struct lab_arena *arena = s->settings->arena;

	scenario_name_episodes(s->best, s->settings->options->scenario, arena);
	s->best->defects =
		scenario_defects(s->settings->options->scenario, &s->settings->options->defects);
	s->best->doc = lab_view_cstr(
		lab_arena_printf(arena, "%s, from seed %" PRIu64 " of %s", s->result->signature,
			s->settings->options->seed, s->settings->options->scenario->path));
	s->result->scenario = s->best;
}

int shrink_run(const struct shrink_settings *settings, struct shrink_result *ret,
	enum run_verdict *ret_verdict, struct lab_error *err)
{
	struct lab_heap *heap = lab_heap_new(settings->options->pool, SIZE_MAX / 8);
	struct shrink s = { .settings = settings, .result = ret };
	struct run_result *first = calloc(1, sizeof(*first));
	struct recorded recorded;
	int result;

	lab_assert(first != NULL);
	*ret = (struct shrink_result){ .runs = 1 };
	s.end_ns = settings->time_limit_ns == 0 ? 0 : wall_ns() + settings->time_limit_ns;
	s.scratch = lab_arena_new(heap, SCRATCH_MAX);
	result = record_run(settings->options, settings->arena, &recorded, first, err);
	*ret_verdict = first->verdict;
	if (result == 0 && first->verdict != RUN_FAIL)
		result = 1;
	if (result == 0) {
		memcpy(ret->signature, first->signature, sizeof(ret->signature));
		ret->users_before = (size_t)first->users;
		result = begin(&s, &recorded, err);
	}
	free(first);
	if (result == 0) {
		shrink_tell(&s, "recorded");
		take_away(&s);
		simplify_all(&s);
		shrink_tell(&s, "done");
		count(&s, &recorded);
		finish(&s);
	}
	lab_arena_free(&s.scratch);
	lab_heap_drop(&heap);
	return result;
}
