/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink-simplify.c - single faults for episodes; fewer hosts; users, mails and sessions counted
 * from 1.
 */
#include "scenarios/failure/shrink-private.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBERS_MAX 4096

/* ---- single faults ---- */

static struct fault_episode single_of(
	const struct fault_record *record, const struct fault_episode *episode)
{
	struct fault_episode single = { .kind = record->kind,
		.points = UINT64_C(1) << record->point,
		.scope = record->peer[0] != '\0' ? FAULT_PEER : FAULT_EVERYWHERE,
		.start_ns = record->time_ns,
		.rate_ppm = 1000000,
		.nth = 1,
		.crashes_peer = episode->crashes_peer,
		.down_ns = episode->down_ns,
		.disk = episode->disk };

	if (fault_kind_has_amount(record->kind))
		single.amount =
			(struct fault_range){ FAULT_UNIFORM, record->delay_ns, record->delay_ns };
	if (scenario_is_host(lab_view_cstr(record->peer)))
		memcpy(single.target, record->peer, sizeof(single.target));
	else
		single.scope = FAULT_EVERYWHERE;
	return single;
}

/* Everything that fired, each by itself, and the world's episodes. */
static void set_singles(struct shrink *s, struct scenario *attempt, const struct recorded *recorded)
{
	size_t max = recorded->episode_count + recorded->record_count;
	struct fault_episode *exact = lab_arena_array(s->scratch, struct fault_episode, max + 1);

	attempt->exact = exact;
	attempt->exact_count = 0;
	for (size_t i = 0; i < recorded->episode_count; i++) {
		if (fault_kind_is_world(recorded->episodes[i].kind) &&
			recorded->episodes[i].fired > 0)
			exact[attempt->exact_count++] = recorded->episodes[i];
	}
	for (size_t i = 0; i < recorded->record_count; i++) {
		const struct fault_record *r = &recorded->records[i];

		if (!fault_kind_is_world(r->kind))
			exact[attempt->exact_count++] =
				single_of(r, &recorded->episodes[r->episode - 1]);
	}
}

static int record_best(struct shrink *s, struct recorded *ret)
{
	struct run_options options = *s->settings->options;
	struct run_result *result = calloc(1, sizeof(*result));
	struct lab_error err;
	int status;

	lab_assert(result != NULL);
	options.scenario = s->best;
	options.episode_count = 0;
	s->result->runs++;
	status = record_run(&options, s->settings->arena, ret, result, &err);
	free(result);
	return status;
}

static bool is_by_rate(const struct fault_episode *e)
{
	return !fault_kind_is_world(e->kind) && e->nth == 0;
}

/* What has to go on for a while: always, not at a rate. */
static void raise_rates(struct shrink *s)
{
	for (size_t i = 0; i < s->best->exact_count; i++) {
		struct scenario *attempt = shrink_copy(s);
		struct fault_episode *exact = shrink_own_exact(s, attempt);

		if (!is_by_rate(&exact[i]) || exact[i].rate_ppm == 1000000)
			continue;
		exact[i].rate_ppm = 1000000;
		exact[i].key = 0;
		(void)shrink_try_one(s, attempt);
	}
}

void shrink_to_single_faults(struct shrink *s)
{
	struct recorded recorded;
	struct scenario *attempt;

	if (s->best->exact_count == 0 || record_best(s, &recorded) < 0 ||
		recorded.record_count == FAULT_RECORDS_MAX)
		return;
	attempt = shrink_copy(s);
	set_singles(s, attempt, &recorded);
	if (!shrink_try_one(s, attempt))
		raise_rates(s);
}

static bool is_alike(const struct fault_episode *a, const struct fault_episode *b)
{
	return a->kind == b->kind && a->points == b->points && a->scope == b->scope &&
	       a->nth != 0 && b->nth != 0 && a->after == 0 && b->after == 0 &&
	       strcmp(a->target, b->target) == 0;
}

/* One that goes on, from the first of those that are like `index` to the last. */
static struct scenario *with_merged(struct shrink *s, size_t index)
{
	struct scenario *attempt = shrink_copy(s);
	struct fault_episode *exact = shrink_own_exact(s, attempt);
	struct fault_episode first = exact[index];
	size_t merged = 0;

	for (size_t i = 0; i < attempt->exact_count; i++) {
		if (exact[i].after != 0)
			return NULL;
		merged += i > index && is_alike(&first, &exact[i]);
		if (i <= index || !is_alike(&first, &exact[i]))
			exact[i - merged] = exact[i];
	}
	attempt->exact_count -= merged;
	exact[index].is_lasting = true;
	return merged == 0 ? NULL : attempt;
}

/* Three timeouts in a row are one trouble. */
void shrink_merge_faults(struct shrink *s)
{
	for (size_t i = 0; i < s->best->exact_count && !shrink_is_over(s); i++) {
		struct scenario *attempt = with_merged(s, i);

		if (attempt != NULL)
			(void)shrink_try_one(s, attempt);
	}
}

static uint64_t step_before(const struct scenario *s, uint64_t time_ns)
{
	uint64_t before = 0;

	for (size_t i = 0; i < s->step_count; i++) {
		if (s->steps[i].at_ns <= time_ns)
			before = LAB_MAX(before, s->steps[i].at_ns);
	}
	return before;
}

/* "The second cql.write since that step" instead of a time to the nanosecond: so a fault stays
 * where it is when everything becomes a little faster or slower. */
void shrink_faults_to_steps(struct shrink *s)
{
	for (size_t i = 0; i < s->best->exact_count; i++) {
		struct scenario *attempts[SHRINK_BATCH_MAX];
		const struct fault_episode *e = &s->best->exact[i];
		uint64_t before = step_before(s->best, e->start_ns);

		if (fault_kind_is_world(e->kind) || e->nth == 0 || e->after != 0 ||
			before == e->start_ns)
			continue;
		for (size_t n = 0; n < SHRINK_BATCH_MAX; n++) {
			struct fault_episode *exact;

			attempts[n] = shrink_copy(s);
			exact = shrink_own_exact(s, attempts[n]);
			exact[i].start_ns = before;
			exact[i].nth = e->nth + n;
		}
		(void)shrink_try(s, attempts, SHRINK_BATCH_MAX);
	}
}

/* ---- hosts ---- */

static uint64_t backend_number(struct lab_view name)
{
	struct lab_view prefix = LAB_VIEW("backend-");
	uint64_t number;

	return lab_view_starts_with(name, prefix) &&
			       lab_view_to_u64(lab_view_skip(name, prefix.len), &number) == 0
		       ? number
		       : 0;
}

struct used {
	bool is_used[SCENARIO_BACKENDS_MAX + 1];
	uint64_t renamed[SCENARIO_BACKENDS_MAX + 1];
	uint64_t count, highest;
	bool has_zones;
};

static void use(struct used *used, struct lab_view name)
{
	uint64_t n = backend_number(name);

	if (lab_view_starts_with(name, LAB_VIEW("zone:")))
		used->has_zones = true;
	if (n > 0 && n <= SCENARIO_BACKENDS_MAX)
		used->is_used[n] = true;
}

static void find_used(const struct scenario *s, struct used *ret)
{
	*ret = (struct used){ .count = 0 };
	for (size_t i = 0; i < s->step_count; i++)
		use(ret, s->steps[i].backend);
	for (size_t i = 0; i < s->exact_count; i++) {
		use(ret, lab_view_cstr(s->exact[i].target));
		use(ret, lab_view_cstr(s->exact[i].other));
		ret->has_zones |= s->exact[i].scope == FAULT_PEER_ZONE;
	}
	for (uint64_t n = 1; n <= SCENARIO_BACKENDS_MAX; n++) {
		if (!ret->is_used[n])
			continue;
		ret->renamed[n] = ++ret->count;
		ret->highest = n;
	}
}

static void rename_target(const struct used *used, char target[FAULT_NAME_MAX])
{
	uint64_t n = backend_number(lab_view_cstr(target));

	if (n > 0 && n <= SCENARIO_BACKENDS_MAX)
		(void)snprintf(target, FAULT_NAME_MAX, "backend-%" PRIu64, used->renamed[n]);
}

/* Those that are used, as backend-1, backend-2...: so many in the first of `sites` sites. */
static struct scenario *with_few_backends(struct shrink *s, const struct used *used, size_t sites)
{
	struct scenario *attempt = shrink_copy(s);
	struct scenario_step *steps = shrink_own_steps(s, attempt);
	struct fault_episode *exact = shrink_own_exact(s, attempt);

	attempt->site_count = sites;
	for (size_t i = 0; i < sites; i++)
		attempt->sites[i].backends = conf_range_fixed(i == 0 ? used->count : 0);
	for (size_t i = 0; i < attempt->step_count; i++)
		steps[i].backend = lab_view_cstr(lab_arena_printf(s->scratch, "backend-%" PRIu64,
			used->renamed[backend_number(steps[i].backend)]));
	for (size_t i = 0; i < attempt->exact_count; i++) {
		rename_target(used, exact[i].target);
		rename_target(used, exact[i].other);
	}
	return attempt;
}

/* None above the last one that is used. */
static struct scenario *with_fewer_backends(struct shrink *s, const struct used *used)
{
	struct scenario *attempt = shrink_copy(s);
	uint64_t left = used->highest;

	for (size_t i = 0; i < attempt->site_count; i++) {
		uint64_t count = LAB_MIN(attempt->sites[i].backends.low, left);

		attempt->sites[i].backends = conf_range_fixed(count);
		left -= count;
	}
	return attempt;
}

void shrink_hosts(struct shrink *s)
{
	struct scenario *attempts[3];
	struct used used;
	size_t count = 0;

	find_used(s->best, &used);
	if (used.count == 0 || (s->best->site_count == 1 && used.count == used.highest &&
				       s->best->sites[0].backends.low == used.count))
		return;
	if (!used.has_zones)
		attempts[count++] = with_few_backends(s, &used, 1);
	attempts[count++] = with_few_backends(s, &used, s->best->site_count);
	attempts[count++] = with_fewer_backends(s, &used);
	(void)shrink_try(s, attempts, count);
}

/* ---- numbers ---- */

/* Which stay, in their order. */
struct numbers {
	uint64_t items[NUMBERS_MAX];
	size_t count;
};

static void numbers_add(struct numbers *set, uint64_t number)
{
	size_t at = set->count;

	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i] == number)
			return;
	}
	if (set->count == NUMBERS_MAX)
		return;
	while (at > 0 && set->items[at - 1] > number) {
		set->items[at] = set->items[at - 1];
		at--;
	}
	set->items[at] = number;
	set->count++;
}

/* From 1; 0 if it is not there. */
static uint64_t numbers_find(const struct numbers *set, uint64_t number)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i] == number)
			return i + 1;
	}
	return 0;
}

/* Groups of users that are used, and so many of each. */
static void renumber_users(struct shrink *s, struct scenario *attempt)
{
	struct numbers *users = lab_arena_new_of(s->scratch, struct numbers);
	struct scenario_step *steps = shrink_own_steps(s, attempt);
	uint64_t first = 1;
	size_t groups = 0;

	users->count = 0;
	for (size_t i = 0; i < attempt->step_count; i++)
		numbers_add(users, steps[i].user);
	for (size_t g = 0; g < attempt->group_count; g++) {
		uint64_t count = attempt->groups[g].count.low, used = 0;

		for (size_t i = 0; i < users->count; i++)
			used += users->items[i] >= first && users->items[i] < first + count;
		first += count;
		if (used == 0)
			continue;
		attempt->groups[groups] = attempt->groups[g];
		attempt->groups[groups++].count = conf_range_fixed(used);
	}
	attempt->group_count = groups;
	for (size_t i = 0; i < attempt->step_count; i++)
		steps[i].user = numbers_find(users, steps[i].user);
}

/* None behind the last one that is used. */
static void cut_users(struct scenario *attempt)
{
	uint64_t left = 1;

	for (size_t i = 0; i < attempt->step_count; i++)
		left = LAB_MAX(left, attempt->steps[i].user);
	for (size_t g = 0; g < attempt->group_count; g++) {
		uint64_t count = LAB_MIN(attempt->groups[g].count.low, left);

		attempt->groups[g].count = conf_range_fixed(count);
		left -= count;
	}
}

static struct lab_view mails_text(
	struct shrink *s, struct lab_view mails, const struct numbers *numbers, bool has_uids)
{
	struct lab_view rest = mails;
	struct scenario_mail mail;
	const char *text = "";

	while (scenario_next_mail(&rest, &mail)) {
		const char *separator = text[0] == '\0' ? "" : ",";
		uint64_t number =
			numbers == NULL ? mail.number : numbers_find(numbers, mail.number);

		if (mail.number == 0)
			text = lab_arena_printf(s->scratch, "%s%s?@%u", text, separator, mail.uid);
		else if (has_uids && mail.uid != 0)
			text = lab_arena_printf(s->scratch, "%s%s%" PRIu64 "@%u", text, separator,
				number, mail.uid);
		else
			text = lab_arena_printf(
				s->scratch, "%s%s%" PRIu64, text, separator, number);
	}
	return lab_view_cstr(text);
}

static void renumber_mails_of(struct shrink *s, struct scenario *attempt, uint64_t user)
{
	struct numbers *numbers = lab_arena_new_of(s->scratch, struct numbers);
	struct scenario_step *steps = shrink_own_steps(s, attempt);

	numbers->count = 0;
	for (size_t i = 0; i < attempt->step_count; i++) {
		struct lab_view rest = steps[i].mails;
		struct scenario_mail mail;

		while (steps[i].user == user && scenario_next_mail(&rest, &mail)) {
			if (mail.number != 0)
				numbers_add(numbers, mail.number);
		}
	}
	for (size_t i = 0; i < attempt->step_count; i++) {
		if (steps[i].user == user)
			steps[i].mails = mails_text(s, steps[i].mails, numbers, true);
	}
}

static const struct scenario_group *group_of(const struct scenario *s, uint64_t user)
{
	uint64_t last = 0;

	for (size_t g = 0; g < s->group_count; g++) {
		last += s->groups[g].count.low;
		if (user <= last)
			return &s->groups[g];
	}
	return &s->groups[0];
}

/* Mails of before the run have their numbers. */
static void renumber_mails(struct shrink *s, struct scenario *attempt)
{
	for (size_t i = 0; i < attempt->step_count; i++) {
		uint64_t user = attempt->steps[i].user;
		bool is_done = false;

		for (size_t n = 0; n < i && !is_done; n++)
			is_done = attempt->steps[n].user == user;
		if (!is_done && group_of(attempt, user)->mails.high == 0)
			renumber_mails_of(s, attempt, user);
	}
}

static void forget_uids(struct shrink *s, struct scenario *attempt)
{
	struct scenario_step *steps = shrink_own_steps(s, attempt);

	for (size_t i = 0; i < attempt->step_count; i++)
		steps[i].mails = mails_text(s, steps[i].mails, NULL, false);
}

/* Names of steps and numbers of sessions: nothing depends on them. */
void shrink_name_steps(struct shrink *s)
{
	struct scenario *attempt = shrink_copy(s);
	struct numbers *sessions = lab_arena_new_of(s->scratch, struct numbers);
	struct scenario_step *steps = shrink_own_steps(s, attempt);

	if (attempt->step_count > NUMBERS_MAX)
		return;
	sessions->count = 0;
	/* Who is alone in a session needs no number. */
	for (size_t i = 0; i < attempt->step_count; i++) {
		for (size_t n = 0; n < i && steps[i].session != 0; n++) {
			if (steps[n].session == steps[i].session)
				numbers_add(sessions, steps[i].session);
		}
	}
	for (size_t i = 0; i < attempt->step_count; i++) {
		steps[i].name = lab_view_cstr(lab_arena_printf(s->settings->arena, "%zu", i + 1));
		steps[i].session = numbers_find(sessions, steps[i].session);
	}
	(void)shrink_try_one(s, attempt);
}

static bool is_used(const struct scenario *s, uint64_t user)
{
	for (size_t i = 0; i < s->step_count; i++) {
		if (s->steps[i].user == user)
			return true;
	}
	return false;
}

static bool has_idle_users(const struct scenario *s)
{
	uint64_t users = 0;

	for (size_t g = 0; g < s->group_count; g++)
		users += s->groups[g].count.low;
	for (uint64_t user = 1; user <= users; user++) {
		if (!is_used(s, user))
			return true;
	}
	return false;
}

/* Mails have their UIDs, or higher numbers than there are mails. */
static bool has_odd_mails(const struct scenario *s)
{
	uint64_t highest = 0, mails = 0;

	for (size_t i = 0; i < s->step_count; i++) {
		struct lab_view rest = s->steps[i].mails;
		struct scenario_mail mail;

		for (; scenario_next_mail(&rest, &mail); mails++) {
			if (mail.uid != 0)
				return true;
			highest = LAB_MAX(highest, (uint64_t)mail.number);
		}
	}
	return highest > mails;
}

void shrink_numbers(struct shrink *s)
{
	struct scenario *attempts[3];

	if (s->best->step_count > NUMBERS_MAX ||
		(!has_idle_users(s->best) && !has_odd_mails(s->best)))
		return;
	/* All at once, then one after the other. */
	for (size_t i = 0; i < LAB_COUNT_OF(attempts); i++)
		attempts[i] = shrink_copy(s);
	renumber_users(s, attempts[0]);
	renumber_mails(s, attempts[0]);
	forget_uids(s, attempts[0]);
	renumber_users(s, attempts[1]);
	cut_users(attempts[2]);
	if (shrink_try(s, attempts, LAB_COUNT_OF(attempts)) != 0) {
		attempts[0] = shrink_copy(s);
		renumber_mails(s, attempts[0]);
		(void)shrink_try_one(s, attempts[0]);
		attempts[0] = shrink_copy(s);
		forget_uids(s, attempts[0]);
		(void)shrink_try_one(s, attempts[0]);
	}
}
