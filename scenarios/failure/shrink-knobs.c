/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink-knobs.c - times that are closer together and rounder; knobs that are at their defaults.
 */
#include "scenarios/failure/shrink-private.h"

/* ---- times ---- */

static uint64_t last_of(const struct scenario *s)
{
	uint64_t last = 0;

	for (size_t i = 0; i < s->step_count; i++)
		last = LAB_MAX(last, s->steps[i].at_ns);
	for (size_t i = 0; i < s->exact_count; i++)
		last = LAB_MAX(last, s->exact[i].start_ns);
	return last;
}

static uint64_t first_of(const struct scenario *s)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < s->step_count; i++)
		first = LAB_MIN(first, s->steps[i].at_ns);
	for (size_t i = 0; i < s->exact_count; i++)
		first = LAB_MIN(first, s->exact[i].start_ns);
	return first;
}

static uint64_t storm_end(const struct scenario *s)
{
	return s->warmup.low + s->storm.low;
}

/* What is in the middle of the warm-up is where it is. */
static bool has_warmup(const struct scenario *s)
{
	return s->damage != 0 || s->repair != 0 || s->migrated_from.len > 0;
}

/* Whole seconds. */
static uint64_t round_up(uint64_t ns)
{
	return (ns + LAB_SEC - 1) / LAB_SEC * LAB_SEC;
}

/* The storm is over soon after the last thing that happens. */
static void cut_storm(struct shrink *s)
{
	static const uint64_t afters[] = { LAB_SEC, 5 * LAB_SEC, 30 * LAB_SEC, 2 * LAB_MINUTE };
	struct scenario *attempts[LAB_COUNT_OF(afters)];
	size_t count = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(afters); i++) {
		uint64_t end = round_up(last_of(s->best) + afters[i]);

		if (end >= storm_end(s->best) || end < s->best->warmup.low + LAB_SEC)
			continue;
		attempts[count] = shrink_copy(s);
		attempts[count++]->storm = conf_range_fixed(end - s->best->warmup.low);
	}
	(void)shrink_try(s, attempts, count);
}

static void cut_settle(struct shrink *s)
{
	static const uint64_t lengths[] = { LAB_SEC, 10 * LAB_SEC, LAB_MINUTE };
	struct scenario *attempts[LAB_COUNT_OF(lengths)];
	size_t count = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(lengths); i++) {
		if (lengths[i] >= s->best->settle.low)
			continue;
		attempts[count] = shrink_copy(s);
		attempts[count++]->settle = conf_range_fixed(lengths[i]);
	}
	(void)shrink_try(s, attempts, count);
}

/* Everything from `from_ns` on happens that much earlier. */
static void shift(struct shrink *s, struct scenario *attempt, uint64_t from_ns, uint64_t by_ns)
{
	struct scenario_step *steps = shrink_own_steps(s, attempt);
	struct fault_episode *exact = shrink_own_exact(s, attempt);

	for (size_t i = 0; i < attempt->step_count; i++)
		steps[i].at_ns -= steps[i].at_ns >= from_ns ? by_ns : 0;
	for (size_t i = 0; i < attempt->exact_count; i++)
		exact[i].start_ns -= exact[i].start_ns >= from_ns ? by_ns : 0;
	attempt->storm = conf_range_fixed(LAB_MAX(attempt->storm.low - by_ns, LAB_SEC));
}

static void drop_warmup(struct scenario *attempt)
{
	attempt->storm = conf_range_fixed(storm_end(attempt));
	attempt->warmup = conf_range_fixed(0);
}

/* It begins after a second. */
static void begin_at_once(struct shrink *s)
{
	uint64_t first = first_of(s->best);
	struct scenario *attempts[2] = { shrink_copy(s), shrink_copy(s) };
	size_t count = 1;

	if (has_warmup(s->best))
		return;
	drop_warmup(attempts[0]);
	if (first > LAB_SEC && first != UINT64_MAX) {
		drop_warmup(attempts[1]);
		shift(s, attempts[0], 0, (first - 1) / LAB_SEC * LAB_SEC);
		count = 2;
	}
	(void)shrink_try(s, attempts, count);
}

/* The next time that is later than that; UINT64_MAX: none. */
static uint64_t next_time(const struct scenario *s, uint64_t after)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < s->step_count; i++) {
		if (s->steps[i].at_ns > after)
			next = LAB_MIN(next, s->steps[i].at_ns);
	}
	for (size_t i = 0; i < s->exact_count; i++) {
		if (s->exact[i].start_ns > after)
			next = LAB_MIN(next, s->exact[i].start_ns);
	}
	return next;
}

#define GAP (2 * LAB_SEC)

static uint64_t gap_cut(uint64_t gap)
{
	return (gap - LAB_SEC) / LAB_SEC * LAB_SEC;
}

static struct scenario *without_gaps(struct shrink *s)
{
	struct scenario *attempt = shrink_copy(s);
	uint64_t at = first_of(attempt), next;

	while ((next = next_time(attempt, at)) != UINT64_MAX) {
		if (next - at > GAP) {
			uint64_t cut = gap_cut(next - at);

			shift(s, attempt, next, cut);
			next -= cut;
		}
		at = next;
	}
	return attempt;
}

static void close_gaps(struct shrink *s)
{
	uint64_t at, next;

	if (has_warmup(s->best) || shrink_try_one(s, without_gaps(s)))
		return;
	at = first_of(s->best);
	while ((next = next_time(s->best, at)) != UINT64_MAX && !shrink_is_over(s)) {
		for (unsigned part = 1; part <= 4 && next - at > GAP; part *= 2) {
			uint64_t cut = gap_cut((next - at) / part);
			struct scenario *attempt = shrink_copy(s);

			if (cut == 0)
				break;
			shift(s, attempt, next, cut);
			if (shrink_try_one(s, attempt)) {
				next -= cut;
				break;
			}
		}
		at = next;
	}
}

static struct scenario *rounded(struct shrink *s, uint64_t unit, size_t only)
{
	struct scenario *attempt = shrink_copy(s);
	struct scenario_step *steps = shrink_own_steps(s, attempt);

	for (size_t i = 0; i < attempt->step_count; i++) {
		if (only == SIZE_MAX || i == only)
			steps[i].at_ns = (steps[i].at_ns + unit - 1) / unit * unit;
	}
	return attempt;
}

/* All as round as can be; else each. */
static void round_times(struct shrink *s)
{
	static const uint64_t units[] = { LAB_SEC, 100 * LAB_MSEC, 10 * LAB_MSEC, LAB_MSEC };
	struct scenario *attempts[LAB_COUNT_OF(units)];

	for (size_t i = 0; i < LAB_COUNT_OF(units); i++)
		attempts[i] = rounded(s, units[i], SIZE_MAX);
	if (shrink_try(s, attempts, LAB_COUNT_OF(units)) >= 0)
		return;
	for (size_t n = 0; n < s->best->step_count && !shrink_is_over(s); n++) {
		for (size_t i = 0; i < LAB_COUNT_OF(units); i++)
			attempts[i] = rounded(s, units[i], n);
		(void)shrink_try(s, attempts, LAB_COUNT_OF(units));
	}
}

static struct scenario *with_episode(struct shrink *s, size_t index, uint64_t unit)
{
	struct scenario *attempt = shrink_copy(s);
	struct fault_episode *e = &shrink_own_exact(s, attempt)[index];

	e->start_ns = e->start_ns / unit * unit;
	if (e->length_ns != 0)
		e->length_ns = LAB_MAX((e->length_ns + unit - 1) / unit * unit, unit);
	e->lasting_ns = (e->lasting_ns + unit - 1) / unit * unit;
	return attempt;
}

static void round_episodes(struct shrink *s)
{
	static const uint64_t units[] = { LAB_SEC, 100 * LAB_MSEC, 10 * LAB_MSEC, LAB_MSEC,
		LAB_USEC };
	struct scenario *attempts[LAB_COUNT_OF(units)];

	for (size_t n = 0; n < s->best->exact_count && !shrink_is_over(s); n++) {
		const struct fault_episode *e = &s->best->exact[n];

		if (e->start_ns % LAB_SEC == 0 && e->length_ns % LAB_SEC == 0)
			continue;
		for (size_t i = 0; i < LAB_COUNT_OF(units); i++)
			attempts[i] = with_episode(s, n, units[i]);
		(void)shrink_try(s, attempts, LAB_COUNT_OF(units));
	}
}

/* What is longer than it must be: an episode of a few seconds is easier to read. */
static void shorten_episodes(struct shrink *s)
{
	for (size_t n = 0; n < s->best->exact_count && !shrink_is_over(s); n++) {
		const struct fault_episode *e = &s->best->exact[n];
		struct scenario *attempts[3];
		size_t count = 0;

		for (uint64_t length = LAB_SEC; length < e->length_ns && count < 3; length *= 10) {
			attempts[count] = shrink_copy(s);
			shrink_own_exact(s, attempts[count])[n].length_ns = length;
			count++;
		}
		(void)shrink_try(s, attempts, count);
	}
}

void shrink_times(struct shrink *s)
{
	cut_storm(s);
	begin_at_once(s);
	close_gaps(s);
	cut_settle(s);
	round_times(s);
	shorten_episodes(s);
	round_episodes(s);
	cut_storm(s);
}

/* ---- clients that do what they do ---- */

static void fewer_users(struct shrink *s, size_t group)
{
	struct scenario *attempts[SHRINK_BATCH_MAX];
	size_t count = 0;

	for (uint64_t users = 1; users < s->best->groups[group].count.low; users *= 2) {
		if (count == SHRINK_BATCH_MAX)
			break;
		attempts[count] = shrink_copy(s);
		attempts[count++]->groups[group].count = conf_range_fixed(users);
	}
	(void)shrink_try(s, attempts, count);
}

static void shorter_storm(struct shrink *s)
{
	struct scenario *attempts[4];
	size_t count = 0;

	for (uint64_t part = 8; part > 1 && count < LAB_COUNT_OF(attempts); part /= 2) {
		uint64_t storm = round_up(s->best->storm.low / part);

		attempts[count] = shrink_copy(s);
		attempts[count++]->storm = conf_range_fixed(storm);
	}
	(void)shrink_try(s, attempts, count);
}

/* What a user does is a function of its number: so those behind the last that matters can go. */
void shrink_clients(struct shrink *s)
{
	for (size_t g = 0; g < s->best->group_count && !shrink_is_over(s); g++)
		fewer_users(s, g);
	shorter_storm(s);
	cut_settle(s);
}

/* ---- knobs ---- */

/* What is not a knob. */
static bool is_fixed(const struct conf_key *key)
{
	static const char *const names[][2] = { { "scenario", "doc" }, { "scenario", "seed" },
		{ "scenario", "defects" }, { "scenario", "clients" }, { "scenario", "marks" },
		{ "scenario", "warmup" }, { "scenario", "duration" }, { "scenario", "settle" },
		{ "scenario", "migrated_from" }, { "user", "count" }, { "site", "backends" },
		{ "s3", "latency_read_file" }, { "s3", "latency_write_file" },
		{ "s3", "latency_list_file" } };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		if (strcmp(names[i][0], key->section) == 0 && strcmp(names[i][1], key->name) == 0)
			return true;
	}
	return strcmp(key->section, "fault") == 0 || strcmp(key->section, "operator") == 0 ||
	       strcmp(key->section, "step") == 0 || strcmp(key->section, "script") == 0 ||
	       strcmp(key->section, "episode") == 0;
}

/* False if it is so already. */
static bool set_default(
	const struct conf_key *key, struct scenario *s, size_t n, struct lab_buf *text)
{
	void *object = scenario_object(s, key->section, n);
	struct lab_view before;
	struct lab_error err;
	size_t at;

	if (object == NULL || is_fixed(key))
		return false;
	lab_buf_reset(text);
	scenario_print_value(key, object, text);
	at = text->len;
	if (key->type == CONF_KEY_TEXT || key->type == CONF_KEY_OTHER || key->initial[0] != '\0')
		(void)conf_key_read(key, lab_view_cstr(key->initial), object, &err);
	scenario_print_value(key, object, text);
	before = lab_view_of(text->data, at);
	return !lab_view_eq(before, lab_view_skip(lab_buf_view(text), at));
}

/* A range that a seed draws from, once for a run or a host. */
static bool set_low(const struct conf_key *key, struct scenario *s, size_t n, struct lab_buf *text)
{
	struct conf_range *range, initial;
	struct lab_error err;
	void *object = scenario_object(s, key->section, n);

	(void)text;
	if (object == NULL || is_fixed(key) || key->type != CONF_KEY_RANGE ||
		strcmp(key->section, "user") == 0)
		return false;
	range = (struct conf_range *)(void *)((char *)object + key->offset);
	if (range->kind == CONF_RANGE_FIXED ||
		conf_value_range(lab_view_cstr(key->initial), key->unit, &initial, &err) < 0 ||
		memcmp(range, &initial, sizeof(initial)) == 0)
		return false;
	*range = conf_range_fixed(range->low);
	return true;
}

typedef bool (*change_fn)(
	const struct conf_key *key, struct scenario *s, size_t n, struct lab_buf *text);

static void change_all(struct shrink *s, change_fn change, struct lab_buf *text)
{
	struct scenario *all = shrink_copy(s);
	bool has_changed = false;

	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		for (size_t n = 0; n < SCENARIO_GROUPS_MAX; n++)
			has_changed |= change(&scenario_vocabulary.keys[i], all, n, text);
	}
	if (!has_changed || shrink_try_one(s, all))
		return;
	for (size_t i = 0; i < scenario_vocabulary.count && !shrink_is_over(s); i++) {
		for (size_t n = 0; n < SCENARIO_GROUPS_MAX; n++) {
			struct scenario *attempt;

			if (scenario_object(s->best, scenario_vocabulary.keys[i].section, n) ==
				NULL)
				break;
			attempt = shrink_copy(s);
			if (change(&scenario_vocabulary.keys[i], attempt, n, text))
				(void)shrink_try_one(s, attempt);
		}
	}
}

void shrink_knobs(struct shrink *s)
{
	struct lab_heap *heap = lab_heap_new(s->settings->options->pool, (size_t)1 << 24);
	struct lab_buf text;

	lab_buf_init(&text, heap, 1 << 20);
	change_all(s, set_default, &text);
	/* With the default's own draws it would be another run: only what is not the default. */
	change_all(s, set_low, &text);
	lab_buf_done(&text);
	lab_heap_drop(&heap);
}
