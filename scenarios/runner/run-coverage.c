/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/run-coverage.h"

#include "scenarios/runner/run.h"

#define HOSTS 64   /* others share a place */
#define BUCKETS 6  /* of counts */
#define NEARNESS 3 /* of a hold before a crash: 1 ms, 10 ms, 100 ms */
#define EXCUSES 64 /* kinds of them, by a hash */
#define STOPS 2    /* crashed, stood still */
#define PHASES 2   /* warm-up, storm */
#define PLACES (ENV_HOLD_COUNT + LAB_MARK_COUNT)

/* Where which features begin. */
enum {
	AT_MARKS = 0,
	AT_MARK_PAIRS = AT_MARKS + LAB_MARK_COUNT * BUCKETS,
	AT_HOLDS = AT_MARK_PAIRS + LAB_MARK_COUNT * LAB_MARK_COUNT,
	AT_HOLDS_UNDER = AT_HOLDS + ENV_HOLD_COUNT * BUCKETS,
	AT_STOPS = AT_HOLDS_UNDER + ENV_HOLD_COUNT * FAULT_KIND_COUNT,
	AT_OPERATIONS = AT_STOPS + STOPS * ENV_HOLD_COUNT * NEARNESS,
	AT_KINDS = AT_OPERATIONS + HISTORY_KIND_COUNT * (HISTORY_UNCERTAIN + 1) * BUCKETS,
	AT_PHASES = AT_KINDS + FAULT_KIND_COUNT * BUCKETS,
	AT_BUGGIFY = AT_PHASES + PHASES * FAULT_KIND_COUNT,
	AT_EXCUSES = AT_BUGGIFY + ENV_BUGGIFY_COUNT * BUCKETS,
	FEATURES = AT_EXCUSES + EXCUSES
};
_Static_assert(FEATURES <= RUN_FEATURES, "there are more features than bits");

struct coverage_watch {
	struct env_hold_watcher watcher;
	const struct env_hold_watcher *next; /* who watched before */
	struct lab_heap *heap;
	uint64_t seed;
	const struct fault_plan *plan;
	const uint64_t *hits;
	struct run_coverage *ret;
	uint64_t seen[LAB_MARK_COUNT], holds[ENV_HOLD_COUNT], moments[PLACES];
	uint64_t passed_ns[HOSTS][ENV_HOLD_COUNT];
	bool is_storm;
};

static void cover(struct coverage_watch *w, size_t feature)
{
	w->ret->bits[feature / 64] |= UINT64_C(1) << feature % 64;
}

/* Those of a count: 1, 2..3, 4..15, 16..63, 64..255, more. All that it came by. */
static void cover_count(struct coverage_watch *w, size_t first, uint64_t count)
{
	static const uint64_t from[BUCKETS] = { 1, 2, 4, 16, 64, 256 };

	for (size_t i = 0; i < BUCKETS && count >= from[i]; i++)
		cover(w, first + i);
}

/* Each has the same chance to be kept, however many come. */
static void add_moment(struct coverage_watch *w, size_t place, uint64_t now_ns, const char *host)
{
	uint64_t n = w->moments[place]++;
	uint64_t at = n < RUN_MOMENTS_EACH
			      ? n
			      : lab_pick(lab_draw(w->seed, "explore.moment", place, n), n + 1);
	struct run_moment *moment;

	if (at >= RUN_MOMENTS_EACH)
		return;
	moment = &w->ret->moments[place * RUN_MOMENTS_EACH + at];
	*moment = (struct run_moment){ .time_ns = now_ns };
	if (lab_view_to_cstr(lab_view_cstr(host), moment->host, sizeof(moment->host)) < 0)
		moment->host[0] = '\0';
}

/* ---- holds ---- */

/* Nearly all faults are those of a host or of everybody. */
static bool is_about(const struct fault_episode *e, uint64_t now_ns, const char *host)
{
	return !e->is_disabled && now_ns >= e->start_ns && now_ns - e->start_ns < e->length_ns &&
	       (e->scope != FAULT_PEER || strcmp(e->target, host) == 0);
}

static void reached(void *ctx, struct env *env, enum env_hold hold, const char *user)
{
	struct coverage_watch *w = ctx;
	uint64_t now_ns = env_now(env);
	size_t count;
	const struct fault_episode *episodes = fault_plan_episodes(w->plan, &count);

	w->holds[hold]++;
	w->passed_ns[env->host % HOSTS][hold] = now_ns + 1;
	add_moment(w, hold, now_ns, env->hostname);
	for (size_t i = 0; i < count; i++) {
		if (is_about(&episodes[i], now_ns, env->hostname))
			cover(w, AT_HOLDS_UNDER + hold * FAULT_KIND_COUNT + episodes[i].kind);
	}
	if (w->next != NULL)
		w->next->reached(w->next->ctx, env, hold, user);
}

/* What its fibers had just come to. */
static void cover_stop(struct coverage_watch *w, const struct lab_event *event, size_t stop)
{
	static const uint64_t near_ns[NEARNESS] = { LAB_MSEC, 10 * LAB_MSEC, 100 * LAB_MSEC };

	for (size_t h = 0; h < ENV_HOLD_COUNT; h++) {
		uint64_t passed_ns = w->passed_ns[event->host % HOSTS][h];

		for (size_t i = 0; passed_ns != 0 && i < NEARNESS; i++) {
			if (event->time_ns + 1 - passed_ns <= near_ns[i])
				cover(w, AT_STOPS + (stop * ENV_HOLD_COUNT + h) * NEARNESS + i);
		}
	}
}

/* ---- events ---- */

/* They were hit since the last event, near enough. */
static void look_at_marks(struct coverage_watch *w, uint64_t now_ns, const char *host)
{
	for (size_t m = 0; m < LAB_MARK_COUNT; m++) {
		if (w->hits[m] == w->seen[m])
			continue;
		for (size_t before = 0; w->seen[m] == 0 && before < LAB_MARK_COUNT; before++) {
			if (w->seen[before] != 0)
				cover(w, AT_MARK_PAIRS + before * LAB_MARK_COUNT + m);
		}
		w->seen[m] = w->hits[m];
		add_moment(w, ENV_HOLD_COUNT + m, now_ns, host);
	}
}

static void look_at_fault(struct coverage_watch *w, const struct lab_event *event)
{
	for (size_t i = 0; i < event->field_count; i++) {
		enum fault_kind kind;

		if (strcmp(event->fields[i].name, "kind") != 0)
			continue;
		kind = fault_kind_find(event->fields[i].text);
		if (kind != FAULT_KIND_COUNT)
			cover(w, AT_PHASES + kind * PHASES + w->is_storm);
	}
}

void coverage_event(struct coverage_watch *w, const struct lab_event *event, const char *host)
{
	if (memcmp(w->seen, w->hits, sizeof(w->seen)) != 0)
		look_at_marks(w, event->time_ns, host);
	switch ((int)event->id) {
	case LAB_EV_phase_started:
		w->is_storm =
			w->is_storm || (event->field_count > 0 &&
					       lab_view_eq_cstr(event->fields[0].text, "storm"));
		break;
	case LAB_EV_fault_injected:
		look_at_fault(w, event);
		break;
	case LAB_EV_host_crashed:
	case LAB_EV_host_hung:
		cover_stop(w, event, event->id == LAB_EV_host_hung);
		break;
	default:
		break;
	}
}

/* ---- beginning and end ---- */

struct coverage_watch *coverage_begin(struct lab_heap *heap, uint64_t seed,
	const struct fault_plan *plan, const uint64_t *hits, struct run_coverage *ret)
{
	struct coverage_watch *w = lab_new(heap, struct coverage_watch);

	*w = (struct coverage_watch){ .watcher = { reached, w },
		.next = env_hold_watcher,
		.heap = heap,
		.seed = seed,
		.plan = plan,
		.hits = hits,
		.ret = ret };
	env_hold_watcher = &w->watcher;
	return w;
}

void coverage_end(struct coverage_watch **watch, const struct run_result *result)
{
	struct coverage_watch *w = *watch;

	if (w == NULL)
		return;
	*watch = NULL;
	env_hold_watcher = NULL;
	for (size_t m = 0; m < LAB_MARK_COUNT; m++)
		cover_count(w, AT_MARKS + m * BUCKETS, result->marks[m]);
	for (size_t h = 0; h < ENV_HOLD_COUNT; h++)
		cover_count(w, AT_HOLDS + h * BUCKETS, w->holds[h]);
	for (size_t k = 0; k < HISTORY_KIND_COUNT; k++) {
		for (size_t o = 0; o <= HISTORY_UNCERTAIN; o++)
			cover_count(w, AT_OPERATIONS + (k * (HISTORY_UNCERTAIN + 1) + o) * BUCKETS,
				result->operations[k][o]);
	}
	for (size_t k = 0; k < FAULT_KIND_COUNT; k++)
		cover_count(w, AT_KINDS + k * BUCKETS, result->faults[k]);
	for (size_t i = 0; i < ENV_BUGGIFY_COUNT; i++)
		cover_count(w, AT_BUGGIFY + i * BUCKETS, result->buggify[i]);
	for (size_t i = 0; i < result->excuses.count; i++) {
		const char *text = result->excuses.items[i].text;

		cover(w, AT_EXCUSES + lab_hash_bytes(0, text, strlen(text)) % EXCUSES);
	}
	lab_heap_free(w->heap, w);
}
