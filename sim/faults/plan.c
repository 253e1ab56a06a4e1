/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - the plan and how its episodes come to be: drawn from specs, or given.
 */
#include "sim/faults/faults-private.h"

#define SPECS_MAX 1024
#define DELAY_DEFAULT ((struct fault_range){ FAULT_QLOG, 10 * LAB_MSEC, 10 * LAB_SEC })
#define CLOCK_DEFAULT ((struct fault_range){ FAULT_QLOG, 100000, 600000000 })
#define CLOCK_KINDS (FAULT_KIND(clock_skew) | FAULT_KIND(clock_step))
#define PARTITION_KINDS (FAULT_KIND(partition) | FAULT_KIND(partition_one_way))

struct fault_plan *fault_plan_new(struct lab_heap *heap, uint64_t seed, unsigned replicas)
{
	struct fault_plan *plan = lab_new(heap, struct fault_plan);

	lab_assert(replicas > 0);
	plan->heap = heap;
	plan->seed = seed;
	plan->replicas = replicas;
	plan->spec_names = lab_map_new(heap, SPECS_MAX);
	plan->ordinals = lab_map_new(heap, FAULT_ORDINALS_MAX);
	plan->suppressed = lab_map_new(heap, FAULT_SUPPRESSED_MAX);
	for (size_t i = 0; i < FAULT_POINT_COUNT; i++) {
		struct lab_view name = lab_view_cstr(fault_point_name((enum fault_point)i));

		plan->point_keys[i] = lab_hash_view(0, name);
	}
	return plan;
}

void fault_plan_free(struct fault_plan **plan)
{
	struct fault_plan *freed = *plan;

	if (freed == NULL)
		return;
	*plan = NULL;
	lab_map_free(&freed->spec_names);
	lab_map_free(&freed->ordinals);
	lab_map_free(&freed->suppressed);
	lab_heap_free(freed->heap, freed->episodes);
	lab_heap_free(freed->heap, freed->active);
	lab_heap_free(freed->heap, freed->records);
	lab_heap_free(freed->heap, freed);
}

void *fault_grow(struct lab_heap *heap, void *items, size_t item_size, size_t count,
	size_t *capacity, size_t max)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity == 0 ? 16 : *capacity * 2;
	*capacity = LAB_MIN(*capacity, max);
	lab_assert(count < *capacity);
	return lab_heap_realloc(heap, items, *capacity * item_size);
}

uint64_t fault_range_pick(const struct fault_range *range, uint64_t draw)
{
	if (range->low == range->high)
		return range->low;
	switch (range->shape) {
	case FAULT_UNIFORM:
		return lab_pick_range(draw, range->low, range->high);
	case FAULT_QLOG:
		return lab_pick_qlog(draw, range->low, range->high);
	case FAULT_LOGNORMAL:
		return lab_pick_lognormal(draw, range->low, range->high);
	}
	lab_bug("a range has no such shape");
}

/* ---- checks ---- */

static int range_check(const struct fault_range *range, const char *what, struct lab_error *err)
{
	if (range->low > range->high)
		return lab_fail(err, LAB_INVALID, "%s: the range ends before it begins", what);
	if (range->shape != FAULT_UNIFORM && range->low == 0 && range->high != 0)
		return lab_fail(err, LAB_INVALID, "%s: such a range begins at 1 or more", what);
	return 0;
}

static int names_check(const char *const *names, size_t count, struct lab_error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) >= FAULT_NAME_MAX)
			return lab_fail(err, LAB_INVALID, "name %.40s... is too long", names[i]);
	}
	return 0;
}

/* Both for specs and for single episodes. */
static int kind_check(enum fault_kind kind, uint64_t points, bool has_target, bool has_other,
	struct lab_error *err)
{
	const char *name = fault_kind_name(kind);

	if ((points & fault_kind_points(kind)) == 0)
		return lab_fail(err, LAB_INVALID, "%s makes no sense at these points", name);
	if (fault_kind_is_world(kind) && !has_target)
		return lab_fail(err, LAB_INVALID, "%s needs a target", name);
	if ((PARTITION_KINDS >> kind & 1) != 0 && !has_other)
		return lab_fail(err, LAB_INVALID, "%s needs two sides", name);
	return 0;
}

static int spec_ranges_check(const struct fault_spec *spec, struct lab_error *err)
{
	if (range_check(&spec->episodes, "episodes", err) < 0 ||
		range_check(&spec->length_ns, "length", err) < 0 ||
		range_check(&spec->rate_ppm, "rate", err) < 0 ||
		range_check(&spec->amount, "amount", err) < 0)
		return -1;
	if (spec->rate_ppm.high > 1000000)
		return lab_fail(err, LAB_INVALID, "rate: more than always");
	if (spec->episodes.high > FAULT_EPISODES_MAX)
		return lab_fail(err, LAB_LIMIT, "episodes: more than %d", FAULT_EPISODES_MAX);
	if (spec->window_start_ns > spec->window_end_ns)
		return lab_fail(err, LAB_INVALID, "the window ends before it begins");
	return 0;
}

static int spec_check(const struct fault_spec *spec, struct lab_error *err)
{
	uint64_t points = spec->points == 0 ? UINT64_MAX : spec->points;

	if (spec->kinds == 0 || spec->kinds >> (FAULT_KIND_COUNT - 1) > 1)
		return lab_fail(err, LAB_INVALID, "no kinds");
	for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
		if ((spec->kinds >> kind & 1) != 0 &&
			kind_check((enum fault_kind)kind, points, spec->target_count > 0,
				spec->other_count > 0, err) < 0)
			return -1;
	}
	if (spec->scope != FAULT_EVERYWHERE && spec->target_count == 0)
		return lab_fail(err, LAB_INVALID, "a scope without targets");
	if (names_check(spec->targets, spec->target_count, err) < 0 ||
		names_check(spec->others, spec->other_count, err) < 0)
		return -1;
	return spec_ranges_check(spec, err);
}

/* ---- adding ---- */

static struct fault_episode *append_episode(
	struct fault_plan *plan, const struct fault_episode *from)
{
	struct fault_episode *episode;

	plan->episodes = fault_grow(plan->heap, plan->episodes, sizeof(*plan->episodes),
		plan->episode_count, &plan->episode_capacity, FAULT_EPISODES_MAX);
	episode = &plan->episodes[plan->episode_count++];
	*episode = *from;
	episode->id = (uint32_t)plan->episode_count;
	episode->asked = episode->fired = 0;
	if (episode->key == 0)
		episode->key = lab_hash_fold(lab_hash_bytes(0, "episode", 7), episode->id);
	/* What is active has changed. */
	plan->active_from = plan->active_until = 0;
	if (plan->observer.episode != NULL)
		plan->observer.episode(plan->observer.ctx, episode);
	return episode;
}

static unsigned pick_bit(uint64_t set, uint64_t draw)
{
	uint64_t n = lab_pick(draw, (uint64_t)__builtin_popcountll(set));

	for (; n > 0; n--)
		set &= set - 1;
	return (unsigned)__builtin_ctzll(set);
}

static enum fault_kind pick_kind(fault_kind_set kinds, uint64_t draw)
{
	uint64_t low = (uint64_t)kinds, high = (uint64_t)(kinds >> 64);
	uint64_t n =
		lab_pick(draw, (uint64_t)(__builtin_popcountll(low) + __builtin_popcountll(high)));

	for (; n > 0; n--)
		kinds &= kinds - 1;
	low = (uint64_t)kinds;
	return (enum fault_kind)(
		low != 0 ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)(kinds >> 64)));
}

static void pick_name(
	char out[FAULT_NAME_MAX], const char *const *names, size_t count, uint64_t draw)
{
	if (count == 0)
		return;
	(void)lab_view_to_cstr(lab_view_cstr(names[lab_pick(draw, count)]), out, FAULT_NAME_MAX);
}

/* Nobody is parted from himself while there is somebody else. */
static void draw_other(
	const struct fault_plan *plan, const struct fault_spec *spec, struct fault_episode *episode)
{
	size_t count = spec->other_count, place;

	if (count == 0)
		return;
	place = (size_t)lab_pick(lab_draw(plan->seed, "fault.other", episode->key, 0), count);
	if (strcmp(spec->others[place], episode->target) == 0)
		place = (place + 1) % count;
	pick_name(episode->other, &spec->others[place], 1, 0);
}

static void draw_amount(
	const struct fault_plan *plan, const struct fault_spec *spec, struct fault_episode *episode)
{
	fault_kind_set kind = FAULT_KIND_BIT(episode->kind);
	bool is_default = spec->amount.high == 0;
	uint64_t draw = lab_draw(plan->seed, "fault.amount", episode->key, 0);
	struct fault_range range = spec->amount;

	if (fault_kind_has_amount(episode->kind))
		episode->amount = is_default ? DELAY_DEFAULT : spec->amount;
	if ((kind & CLOCK_KINDS) != 0) {
		if (is_default)
			range = CLOCK_DEFAULT;
		episode->clock_us =
			(int64_t)LAB_MIN(fault_range_pick(&range, draw), (uint64_t)INT64_MAX);
		if (lab_chance(lab_draw(plan->seed, "fault.sign", episode->key, 0), 500000))
			episode->clock_us = -episode->clock_us;
	}
}

static void draw_window(
	const struct fault_plan *plan, const struct fault_spec *spec, struct fault_episode *episode)
{
	uint64_t window = spec->window_end_ns - spec->window_start_ns;
	uint64_t length = fault_range_pick(
		&spec->length_ns, lab_draw(plan->seed, "fault.length", episode->key, 0));

	episode->length_ns = LAB_MIN(length, window);
	episode->start_ns = spec->window_start_ns +
			    lab_pick_range(lab_draw(plan->seed, "fault.start", episode->key, 0), 0,
				    window - episode->length_ns);
}

static void draw_episode(struct fault_plan *plan, const struct fault_spec *spec, uint64_t key)
{
	struct fault_episode episode = { .key = key, .scope = spec->scope };
	uint64_t seed = plan->seed;

	episode.kind = pick_kind(spec->kinds, lab_draw(seed, "fault.kind", key, 0));
	episode.points = fault_kind_points(episode.kind);
	if (spec->points != 0)
		episode.points &= spec->points;
	pick_name(episode.target, spec->targets, spec->target_count,
		lab_draw(seed, "fault.target", key, 0));
	draw_other(plan, spec, &episode);
	if (spec->keyspace != NULL)
		pick_name(episode.keyspace, &spec->keyspace, 1, 0);
	draw_window(plan, spec, &episode);
	episode.rate_ppm = (uint32_t)LAB_MIN(
		fault_range_pick(&spec->rate_ppm, lab_draw(seed, "fault.rate", key, 0)),
		(uint64_t)1000000);
	draw_amount(plan, spec, &episode);
	if (spec->disks != 0)
		episode.disk = (enum fault_disk)pick_bit(
			spec->disks, lab_draw(seed, "fault.disk", key, 0));
	(void)append_episode(plan, &episode);
}

int fault_plan_add(struct fault_plan *plan, const struct fault_spec *spec, struct lab_error *err)
{
	uint64_t name_key, count;
	void **known;

	if (spec_check(spec, err) < 0)
		return lab_error_wrap(err, "fault %.60s", spec->name);
	known = lab_map_slot(plan->spec_names, lab_view_cstr(spec->name));
	if (known == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d fault specs", SPECS_MAX);
	if (*known != NULL)
		return lab_fail(err, LAB_INVALID, "there are two faults %.60s", spec->name);
	*known = plan;

	name_key = lab_hash_view(0, lab_view_cstr(spec->name));
	count = fault_range_pick(
		&spec->episodes, lab_draw(plan->seed, "fault.episodes", name_key, 0));
	if (count > FAULT_EPISODES_MAX - plan->episode_count)
		return lab_fail(err, LAB_LIMIT, "more than %d fault episodes", FAULT_EPISODES_MAX);
	for (uint64_t i = 0; i < count; i++)
		draw_episode(plan, spec, lab_hash_fold(name_key, i + 1));
	return 0;
}

static int episode_check(const struct fault_episode *episode, struct lab_error *err)
{
	if ((unsigned)episode->kind >= FAULT_KIND_COUNT)
		return lab_fail(err, LAB_INVALID, "no such kind of fault");
	if (memchr(episode->target, '\0', FAULT_NAME_MAX) == NULL ||
		memchr(episode->other, '\0', FAULT_NAME_MAX) == NULL ||
		memchr(episode->keyspace, '\0', FAULT_NAME_MAX) == NULL)
		return lab_fail(err, LAB_INVALID, "a target's name is too long");
	if (kind_check(episode->kind, episode->points == 0 ? UINT64_MAX : episode->points,
		    episode->target[0] != '\0', episode->other[0] != '\0', err) < 0)
		return -1;
	if (episode->scope != FAULT_EVERYWHERE && episode->target[0] == '\0')
		return lab_fail(err, LAB_INVALID, "a scope without a target");
	if (episode->rate_ppm > 1000000)
		return lab_fail(err, LAB_INVALID, "rate: more than always");
	return range_check(&episode->amount, "amount", err);
}

int fault_plan_add_episode(struct fault_plan *plan, const struct fault_episode *episode,
	uint32_t *ret_id, struct lab_error *err)
{
	struct fault_episode added = *episode;

	if (episode_check(episode, err) < 0)
		return lab_error_wrap(err, "fault episode");
	if (episode->after > plan->episode_count)
		return lab_fail(err, LAB_INVALID, "fault episode: it comes after a later one");
	if (plan->episode_count == FAULT_EPISODES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d fault episodes", FAULT_EPISODES_MAX);
	added.points = fault_kind_points(episode->kind);
	if (episode->points != 0)
		added.points &= episode->points;
	if (fault_kind_has_amount(added.kind) && added.amount.high == 0)
		added.amount = DELAY_DEFAULT;
	if (added.length_ns > UINT64_MAX - added.start_ns)
		added.length_ns = UINT64_MAX - added.start_ns;
	added.id = append_episode(plan, &added)->id;
	if (ret_id != NULL)
		*ret_id = added.id;
	return 0;
}

/* ---- the whole plan ---- */

const struct fault_episode *fault_plan_episodes(const struct fault_plan *plan, size_t *ret_count)
{
	*ret_count = plan->episode_count;
	return plan->episodes;
}

int fault_plan_disable_episode(struct fault_plan *plan, uint32_t id, struct lab_error *err)
{
	if (id == 0 || id > plan->episode_count)
		return lab_fail(err, LAB_NOT_FOUND, "no fault episode %" PRIu32, id);
	plan->episodes[id - 1].is_disabled = true;
	return 0;
}

int fault_plan_suppress(struct fault_plan *plan, uint64_t key, struct lab_error *err)
{
	void **slot = lab_map_slot(plan->suppressed, lab_view_of(&key, sizeof(key)));

	if (slot == NULL)
		return lab_fail(
			err, LAB_LIMIT, "more than %d suppressed faults", FAULT_SUPPRESSED_MAX);
	*slot = plan;
	return 0;
}

void fault_plan_observe(struct fault_plan *plan, const struct fault_observer *observer)
{
	lab_assert(plan->observer.ctx == NULL);
	plan->observer = *observer;
	if (observer->episode == NULL)
		return;
	for (size_t i = 0; i < plan->episode_count; i++)
		observer->episode(observer->ctx, &plan->episodes[i]);
}

static void print_seconds(struct lab_buf *out, const char *name, uint64_t ns)
{
	lab_buf_printf(
		out, " %s=%" PRIu64 ".%03" PRIu64 "s", name, ns / LAB_SEC, ns % LAB_SEC / LAB_MSEC);
}

static void print_points(struct lab_buf *out, const struct fault_episode *episode)
{
	const char *separator = " points=";

	if (episode->points == fault_kind_points(episode->kind))
		return;
	for (unsigned i = 0; i < FAULT_POINT_COUNT; i++) {
		if ((episode->points >> i & 1) == 0)
			continue;
		lab_buf_printf(out, "%s%s", separator, fault_point_name((enum fault_point)i));
		separator = ",";
	}
}

static void print_episode(struct lab_buf *out, const struct fault_episode *episode)
{
	lab_buf_printf(out, "#%" PRIu32 " %s", episode->id, fault_kind_name(episode->kind));
	print_seconds(out, "start", episode->start_ns);
	print_seconds(out, "length", episode->length_ns);
	if (episode->target[0] != '\0')
		lab_buf_printf(out, " target=%s", episode->target);
	if (episode->other[0] != '\0')
		lab_buf_printf(out, " other=%s", episode->other);
	if (episode->keyspace[0] != '\0')
		lab_buf_printf(out, " keyspace=%s", episode->keyspace);
	print_points(out, episode);
	if (episode->nth != 0)
		lab_buf_printf(out, " nth=%" PRIu64, episode->nth);
	else if (!fault_kind_is_world(episode->kind))
		lab_buf_printf(out, " rate=%" PRIu32 "ppm", episode->rate_ppm);
	if (episode->clock_us != 0)
		lab_buf_printf(out, " clock=%" PRId64 "us", episode->clock_us);
	lab_buf_printf(out, " asked=%" PRIu64 " fired=%" PRIu64 "%s\n", episode->asked,
		episode->fired, episode->is_disabled ? " disabled" : "");
}

void fault_plan_print(const struct fault_plan *plan, struct lab_buf *out)
{
	for (size_t i = 0; i < plan->episode_count; i++)
		print_episode(out, &plan->episodes[i]);
}
