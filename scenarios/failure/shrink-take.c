/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink-take.c - what can be taken away, and in which order.
 */
#include "scenarios/failure/shrink-private.h"

/* ---- in parts ---- */

static struct scenario *without(
	struct shrink *s, const struct shrink_axis *axis, size_t count, size_t from, size_t size)
{
	struct scenario *attempt = shrink_copy(s);
	bool *keep = lab_arena_array(s->scratch, bool, count + 1);

	for (size_t i = 0; i < count; i++)
		keep[i] = i < from || i >= from + size;
	axis->take(s, attempt, keep);
	return attempt;
}

/* Parts of `size`, from the last one on: what comes late is needed least often. True if anything
 * went. */
static bool take_parts(struct shrink *s, const struct shrink_axis *axis, size_t size)
{
	size_t at = axis->count(s->best);
	bool has_taken = false;

	while (at > 0 && !shrink_is_over(s)) {
		struct scenario *attempts[SHRINK_BATCH_MAX];
		size_t starts[SHRINK_BATCH_MAX] = { 0 }, count = axis->count(s->best), n = 0,
		       end = at;
		size_t most = LAB_MIN((size_t)s->settings->workers, (size_t)SHRINK_BATCH_MAX);
		int found;

		while (end > 0 && n < most) {
			starts[n] = end > size ? end - size : 0;
			attempts[n] = without(s, axis, count, starts[n], end - starts[n]);
			end = starts[n++];
		}
		found = shrink_try(s, attempts, n);
		at = found < 0 ? end : starts[found];
		has_taken |= axis->count(s->best) < count;
	}
	return has_taken;
}

void shrink_take_away(struct shrink *s, const struct shrink_axis *axis)
{
	size_t size = axis->count(s->best);

	while (size > 0 && !shrink_is_over(s)) {
		bool has_taken = take_parts(s, axis, size);

		if (size == 1 && !has_taken)
			break;
		size = size == 1 ? 1 : LAB_MIN((size + 1) / 2, axis->count(s->best));
	}
}

/* ---- episodes ---- */

static size_t count_episodes(const struct scenario *best)
{
	return best->exact_count;
}

/* One that waits for another goes with it. */
static void take_episodes(struct shrink *s, struct scenario *attempt, const bool *keep)
{
	size_t count = attempt->exact_count;
	uint32_t *ids = lab_arena_array(s->scratch, uint32_t, count + 1);
	struct fault_episode *exact = shrink_own_exact(s, attempt);

	attempt->exact_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct fault_episode episode = exact[i];

		ids[i + 1] = 0;
		if (!keep[i] || (episode.after != 0 && ids[episode.after] == 0))
			continue;
		if (episode.after != 0)
			episode.after = ids[episode.after];
		exact[attempt->exact_count++] = episode;
		ids[i + 1] = (uint32_t)attempt->exact_count;
	}
}

const struct shrink_axis shrink_episodes = { count_episodes, take_episodes };

/* ---- operations, by what they belong to ---- */

/* Steps that are taken away together have the same key. */
static uint64_t user_key(const struct scenario_step *step)
{
	return step->user;
}

/* A session; a mail with all attempts to deliver it; any other step alone. */
static uint64_t session_key(const struct scenario_step *step)
{
	struct lab_view rest = step->mails;
	struct scenario_mail mail = { 0, 0 };

	if (step->session != 0)
		return step->session;
	if (step->what != HISTORY_DELIVER)
		return lab_hash_view(1, step->name);
	(void)scenario_next_mail(&rest, &mail);
	return lab_hash_fold(lab_hash_fold(2, step->user), mail.number);
}

static uint64_t own_key(const struct scenario_step *step)
{
	return lab_hash_view(3, step->name);
}

typedef uint64_t (*key_fn)(const struct scenario_step *step);

static bool is_first_of_key(const struct scenario *s, size_t index, key_fn key)
{
	for (size_t i = 0; i < index; i++) {
		if (key(&s->steps[i]) == key(&s->steps[index]))
			return false;
	}
	return true;
}

static size_t count_keys(const struct scenario *s, key_fn key)
{
	size_t count = 0;

	for (size_t i = 0; i < s->step_count; i++)
		count += is_first_of_key(s, i, key);
	return count;
}

/* `keep` has one for each key, in the order in which they come. */
static void take_keys(struct shrink *s, struct scenario *attempt, const bool *keep, key_fn key)
{
	size_t count = attempt->step_count, keys = 0;
	uint64_t *known = lab_arena_array(s->scratch, uint64_t, count + 1);
	struct scenario_step *steps = shrink_own_steps(s, attempt);

	attempt->step_count = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t mine = key(&steps[i]);
		size_t at = 0;

		while (at < keys && known[at] != mine)
			at++;
		if (at == keys)
			known[keys++] = mine;
		if (keep[at])
			steps[attempt->step_count++] = steps[i];
	}
}

static size_t count_users(const struct scenario *best)
{
	return count_keys(best, user_key);
}

static void take_users(struct shrink *s, struct scenario *attempt, const bool *keep)
{
	take_keys(s, attempt, keep, user_key);
}

static size_t count_sessions(const struct scenario *best)
{
	return count_keys(best, session_key);
}

static void take_sessions(struct shrink *s, struct scenario *attempt, const bool *keep)
{
	take_keys(s, attempt, keep, session_key);
}

static size_t count_steps(const struct scenario *best)
{
	return best->step_count;
}

static void take_steps(struct shrink *s, struct scenario *attempt, const bool *keep)
{
	take_keys(s, attempt, keep, own_key);
}

/* ---- mails of commands ---- */

static size_t mails_of(const struct scenario_step *step)
{
	struct lab_view rest = step->mails;
	struct scenario_mail mail;
	size_t count = 0;

	while (scenario_next_mail(&rest, &mail))
		count++;
	return count;
}

/* Of commands on several. */
static size_t count_mails(const struct scenario *best)
{
	size_t count = 0;

	for (size_t i = 0; i < best->step_count; i++) {
		size_t mails = mails_of(&best->steps[i]);

		count += mails > 1 ? mails : 0;
	}
	return count;
}

/* A command keeps its first one in any case. */
static void take_mails(struct shrink *s, struct scenario *attempt, const bool *keep)
{
	struct scenario_step *steps = shrink_own_steps(s, attempt);
	size_t at = 0;

	for (size_t i = 0; i < attempt->step_count; i++) {
		struct lab_view rest = steps[i].mails, one, first;
		const char *text = "";

		if (mails_of(&steps[i]) < 2)
			continue;
		(void)lab_view_split(&rest, ',', &first);
		for (rest = steps[i].mails; rest.len > 0 && lab_view_split(&rest, ',', &one);) {
			if (keep[at++])
				text = lab_arena_printf(s->scratch, "%s%s%.*s", text,
					text[0] == '\0' ? "" : ",", LAB_VIEW_ARG(one));
		}
		steps[i].mails = text[0] == '\0' ? first : lab_view_cstr(text);
	}
}

const struct shrink_axis shrink_mails = { count_mails, take_mails };
const struct shrink_axis shrink_users = { count_users, take_users };
const struct shrink_axis shrink_sessions = { count_sessions, take_sessions };
const struct shrink_axis shrink_steps = { count_steps, take_steps };
