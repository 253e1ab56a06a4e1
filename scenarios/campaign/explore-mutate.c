/* SPDX-License-Identifier: Apache-2.0
 *
 * explore-mutate.c - plans that are a little different. Whatever comes into a plan is what some
 * seed of the scenario draws: kinds, targets, lengths and rates are not invented.
 */
#include "scenarios/campaign/explore-private.h"

#include "scenarios/format/scenario-private.h"

#define CHANGES_MAX 3
#define MORE_MAX 2
#define TRIES 8
#define KNOB_KEYS_MAX 512

uint64_t explore_pick(struct explore_draws *draws, uint64_t n)
{
	return lab_pick(lab_draw(draws->seed, "explore", draws->number, draws->count++), n);
}

/* From 1 to n, the small ones as likely as the large ones. */
static uint64_t pick_qlog(struct explore_draws *draws, uint64_t n)
{
	return lab_pick_qlog(
		lab_draw(draws->seed, "explore", draws->number, draws->count++), 1, LAB_MAX(n, 1));
}

struct mutation {
	struct explore *explore;
	struct explore_draws *draws;
	struct explore_plan *plan;
};

/* ---- episodes ---- */

/* The fault section that it is drawn from; NULL: it is the scenario's own, and stays. */
static const struct scenario_fault *fault_of(
	const struct scenario *base, const struct fault_episode *e)
{
	for (size_t i = 0; i < base->fault_count; i++) {
		for (uint64_t n = 1; n <= base->faults[i].episodes.high; n++) {
			if (scenario_episode_key(base->faults[i].name, n) == e->key)
				return &base->faults[i];
		}
	}
	return NULL;
}

/* Some other seed's: of the same section if one is given; NULL if there is none. */
static const struct fault_episode *donor(const struct mutation *m, const struct scenario_fault *of)
{
	struct explore_plan other;
	struct lab_error err;

	for (int i = 0; i < TRIES; i++) {
		uint64_t seed = lab_mix64(explore_pick(m->draws, UINT64_MAX));
		const struct fault_episode *episodes;
		size_t first;

		if (explore_draw_plan(m->explore, seed, m->explore->turn_arena, &other, &err) < 0 ||
			other.episode_count == 0)
			continue;
		/* In the arena of this turn. */
		episodes = other.episodes;
		first = (size_t)explore_pick(m->draws, other.episode_count);
		for (size_t n = 0; n < other.episode_count; n++) {
			const struct fault_episode *e =
				&episodes[(first + n) % other.episode_count];
			const struct scenario_fault *from = fault_of(m->explore->base, e);

			if (from != NULL && (of == NULL || of == from))
				return e;
		}
	}
	return NULL;
}

/* Episodes that come after others know them by their place. */
static bool has_order(const struct explore_plan *plan)
{
	for (size_t i = 0; i < plan->episode_count; i++) {
		if (plan->episodes[i].after != 0)
			return true;
	}
	return false;
}

/* One that may be changed; NULL if there is none. */
static struct fault_episode *pick_episode(const struct mutation *m)
{
	struct explore_plan *plan = m->plan;
	size_t first;

	if (plan->episode_count == 0)
		return NULL;
	first = (size_t)explore_pick(m->draws, plan->episode_count);
	for (size_t n = 0; n < plan->episode_count; n++) {
		struct fault_episode *e = &plan->episodes[(first + n) % plan->episode_count];

		if (fault_of(m->explore->base, e) != NULL)
			return e;
	}
	return NULL;
}

/* In its phase, and over when that is. */
static void place(const struct explore_plan *plan, struct fault_episode *e, uint64_t start_ns)
{
	bool in_warmup = e->start_ns < plan->warmup_end_ns;
	uint64_t from = in_warmup ? 0 : plan->warmup_end_ns;
	uint64_t until = in_warmup ? plan->warmup_end_ns : plan->storm_end_ns;

	e->start_ns = LAB_MIN(LAB_MAX(start_ns, from), until - 1);
	e->length_ns = LAB_MAX(LAB_MIN(e->length_ns, until - e->start_ns), (uint64_t)1);
}

static struct fault_episode *add_episode(const struct mutation *m)
{
	const struct fault_episode *new = donor(m, NULL);
	struct explore_plan *plan = m->plan;

	if (new == NULL || plan->episode_count == EXPLORE_EPISODES_MAX)
		return NULL;
	plan->episodes[plan->episode_count] = *new;
	return &plan->episodes[plan->episode_count++];
}

/* ---- changes ---- */

static void other_seed(const struct mutation *m)
{
	m->plan->seed = lab_mix64(explore_pick(m->draws, UINT64_MAX));
}

static void shift(const struct mutation *m)
{
	struct fault_episode *e = pick_episode(m);
	uint64_t by;

	if (e == NULL)
		return;
	by = pick_qlog(m->draws, m->plan->storm_end_ns);
	place(m->plan, e,
		explore_pick(m->draws, 2) == 0 ? e->start_ns + by
					       : e->start_ns - LAB_MIN(by, e->start_ns));
}

/* Length, target, or all but the time of another episode of its section. */
static void other_of_section(const struct mutation *m)
{
	struct fault_episode *e = pick_episode(m);
	const struct fault_episode *from =
		e == NULL ? NULL : donor(m, fault_of(m->explore->base, e));
	uint64_t start_ns;

	if (from == NULL)
		return;
	start_ns = e->start_ns;
	switch (explore_pick(m->draws, 3)) {
	case 0:
		e->length_ns = from->length_ns;
		break;
	case 1:
		memcpy(e->target, from->target, sizeof(e->target));
		memcpy(e->other, from->other, sizeof(e->other));
		break;
	default:
		*e = *from;
		break;
	}
	place(m->plan, e, start_ns);
}

static void add(const struct mutation *m)
{
	(void)add_episode(m);
}

static void take_away(const struct mutation *m)
{
	struct fault_episode *e = pick_episode(m);

	if (e == NULL || has_order(m->plan))
		return;
	*e = m->plan->episodes[--m->plan->episode_count];
}

/* From some time on what happens in another plan. */
static void splice(const struct mutation *m)
{
	const struct explore *explore = m->explore;
	struct explore_plan *plan = m->plan;
	const struct explore_plan *other =
		&explore->kept[explore_pick(m->draws, explore->kept_count)];
	uint64_t cut = explore_pick(m->draws, plan->storm_end_ns);
	size_t count = 0;

	if (has_order(plan) || has_order(other))
		return;
	for (size_t i = 0; i < plan->episode_count; i++) {
		if (plan->episodes[i].start_ns < cut)
			plan->episodes[count++] = plan->episodes[i];
	}
	for (size_t i = 0; i < other->episode_count && count < EXPLORE_EPISODES_MAX; i++) {
		if (other->episodes[i].start_ns < cut)
			continue;
		plan->episodes[count] = other->episodes[i];
		place(plan, &plan->episodes[count], plan->episodes[count].start_ns);
		count++;
	}
	plan->episode_count = count;
}

/* Phases and users are the run itself, and not how it goes. */
static bool is_knob(struct scenario *base, const struct conf_key *key, size_t n)
{
	static const char *const sections[] = { "user", "s3", "cql", "imds", "network", "backend" };
	const char *object = scenario_object(base, key->section, n);
	const struct conf_range *range;
	bool is_ours = false;

	for (size_t i = 0; i < LAB_COUNT_OF(sections); i++)
		is_ours = is_ours || strcmp(key->section, sections[i]) == 0;
	if (!is_ours || object == NULL || key->type != CONF_KEY_RANGE ||
		strcmp(key->name, "count") == 0)
		return false;
	range = (const void *)(object + key->offset);
	return range->low != range->high;
}

static size_t find_knobs(struct scenario *base, struct explore_knob knobs[KNOB_KEYS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		const struct conf_key *key = &scenario_vocabulary.keys[i];

		for (size_t n = 0; scenario_object(base, key->section, n) != NULL; n++) {
			if (count < KNOB_KEYS_MAX && is_knob(base, key, n))
				knobs[count++] = (struct explore_knob){ .key = i, .object = n };
		}
	}
	return count;
}

static void other_knob(const struct mutation *m)
{
	struct scenario *base = lab_arena_new_of(m->explore->turn_arena, struct scenario);
	struct explore_knob knobs[KNOB_KEYS_MAX], *knob;
	const struct conf_key *key;
	const char *object;
	size_t count;

	*base = *m->explore->base;
	count = find_knobs(base, knobs);
	if (count == 0)
		return;
	knob = &m->plan->knobs[m->plan->knob_count < EXPLORE_KNOBS_MAX
				       ? m->plan->knob_count++
				       : (size_t)explore_pick(m->draws, EXPLORE_KNOBS_MAX)];
	*knob = knobs[explore_pick(m->draws, count)];
	key = &scenario_vocabulary.keys[knob->key];
	object = scenario_object(base, key->section, knob->object);
	knob->value = conf_range_pick((const void *)(object + key->offset),
		lab_mix64(explore_pick(m->draws, UINT64_MAX)));
}

/* ---- a fault at a moment ---- */

/* "backend-3" and "backend-1". */
static bool is_alike(const char *a, const char *b)
{
	size_t len = strcspn(a, "0123456789");

	return len == strcspn(b, "0123456789") && memcmp(a, b, len) == 0;
}

static void put_on_host(
	const struct mutation *m, struct fault_episode *e, const struct run_moment *moment)
{
	const struct scenario_fault *f = fault_of(m->explore->base, e);

	if (f != NULL && f->only.len == 0 && is_alike(e->target, moment->host))
		(void)lab_view_to_cstr(lab_view_cstr(moment->host), e->target, sizeof(e->target));
}

/* A host goes right before or after; of requests those that come next fail, some of them or all;
 * what takes longer to matter begins earlier. */
static void put_at(
	const struct mutation *m, struct fault_episode *e, const struct run_moment *moment)
{
	bool is_host = scenario_is_host(lab_view_cstr(e->target));
	uint64_t at = moment->time_ns;

	put_on_host(m, e, moment);
	if (fault_kind_is_world(e->kind) && is_host) {
		if (explore_pick(m->draws, 2) == 0)
			at += pick_qlog(m->draws, 50 * LAB_MSEC);
	} else if (fault_kind_is_world(e->kind)) {
		at -= LAB_MIN(at, pick_qlog(m->draws, LAB_MAX(e->length_ns, (uint64_t)1)));
	} else {
		e->length_ns = LAB_MIN(e->length_ns, LAB_MSEC + pick_qlog(m->draws, 5 * LAB_SEC));
		if (explore_pick(m->draws, 2) == 0)
			e->rate_ppm = 1000000;
	}
	place(m->plan, e, at);
}

static const struct run_moment *pick_moment(const struct mutation *m)
{
	const struct run_moment *moments = m->plan->moments;

	for (int i = 0; moments != NULL && i < TRIES * TRIES; i++) {
		const struct run_moment *moment = &moments[explore_pick(m->draws, RUN_MOMENTS)];

		if (moment->host[0] != '\0' && moment->time_ns >= m->plan->warmup_end_ns &&
			moment->time_ns < m->plan->storm_end_ns)
			return moment;
	}
	return NULL;
}

/* Not one of them only: what came through with these faults comes through with most of them. */
static bool at_moments(const struct mutation *m)
{
	struct explore_plan *plan = m->plan;
	uint64_t more = explore_pick(m->draws, MORE_MAX + 1);
	bool is_changed = false;

	while (more-- > 0)
		(void)add_episode(m);
	for (size_t i = 0; i < plan->episode_count; i++) {
		struct fault_episode *e = &plan->episodes[i];
		const struct run_moment *moment = pick_moment(m);

		if (moment == NULL || e->start_ns < plan->warmup_end_ns ||
			fault_of(m->explore->base, e) == NULL || explore_pick(m->draws, 4) == 0)
			continue;
		put_at(m, e, moment);
		is_changed = true;
	}
	return is_changed;
}

/* ---- all of it ---- */

bool explore_aim(struct explore *explore, struct explore_draws *draws, struct explore_plan *plan)
{
	return at_moments(&(struct mutation){ explore, draws, plan });
}

void explore_mutate(struct explore *explore, struct explore_draws *draws, struct explore_plan *plan)
{
	static void (*const changes[])(const struct mutation *m) = { other_seed, shift, shift,
		other_of_section, other_of_section, add, take_away, splice, other_knob };
	struct mutation m = { explore, draws, plan };
	uint64_t count;

	/* Another seed has other moments. */
	if (explore_pick(draws, 2) == 0 && at_moments(&m))
		return;
	count = 1 + explore_pick(draws, CHANGES_MAX);
	while (count-- > 0)
		changes[explore_pick(draws, LAB_COUNT_OF(changes))](&m);
}
