/* SPDX-License-Identifier: Apache-2.0
 *
 * Two states of one folder merged: by example, by every pair of short changes of one state, and by
 * backends that change, exchange and lose states at random, with what is known of the history as
 * the judge.
 */
#include <inttypes.h>

#include "core/base/base.h"
#include "core/base/testing.h"
#include "core/obox/index-state.h"
#include "core/obox/test-index-support.h"

static struct obox_merge_result last;

static struct obox_state *merged_within(
	const struct obox_state *a, const struct obox_state *b, uint32_t max)
{
	struct obox_merge_result mirrored;
	struct obox_state *ret, *other;

	assert_int_equal(obox_state_merge(b, a, max, &other, &mirrored, NULL), 0);
	assert_int_equal(obox_state_merge(a, b, max, &ret, &last, NULL), 0);
	assert_true(are_equal(ret, other));
	assert_int_equal(last.renumbered, mirrored.renumbered);
	assert_int_equal(last.uidvalidity_changed, mirrored.uidvalidity_changed);
	assert_int_equal(last.revived, mirrored.revived);
	obox_state_free(&other);
	return ret;
}

static struct obox_state *merged(const struct obox_state *a, const struct obox_state *b)
{
	return merged_within(a, b, MANY);
}

/* "UID:mail[flags] ..." */
static const char *text_of(const struct obox_state *state)
{
	static char text[4000];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < state->count; i++) {
		const struct obox_record *record = &state->records[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu32 ":%" PRIu32,
			i == 0 ? "" : " ", record->mail.uid, number_of(&record->mail));
		for (uint16_t f = OBOX_ANSWERED; f < OBOX_FIRST_KEYWORD + state->keyword_count;
			f++) {
			if (!obox_record_has_flag(record, f))
				continue;
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s",
				f < OBOX_FIRST_KEYWORD
					? (const char *[]){ "", "A", "F", "D", "S", "T" }[f]
					: state->keywords[f - OBOX_FIRST_KEYWORD]);
		}
	}
	return text;
}

/* Mails 1 to count, by author 100; two states of it, and what they become together. */
static struct pair {
	struct obox_state *base, *a, *b, *m;
} p;

static void begin(uint32_t count)
{
	p = (struct pair){ .base = obox_state_new(heap, 1000) };
	for (uint32_t n = 1; n <= count; n++)
		(void)add(p.base, 100, n);
	p.a = copy(p.base);
	p.b = copy(p.base);
}

static void merge_pair(void)
{
	obox_state_free(&p.m);
	p.m = merged(p.a, p.b);
}

static void end(void)
{
	obox_state_free(&p.base);
	obox_state_free(&p.a);
	obox_state_free(&p.b);
	obox_state_free(&p.m);
}

#define A 1
#define B 2

/* ---- examples ---- */

static void saves_on_both_sides_get_uids_that_nobody_saw(void **state)
{
	(void)state;
	begin(2);
	(void)add(p.a, A, 11);
	(void)add(p.b, B, 10);
	(void)add(p.b, B, 12);
	merge_pair();
	/* 3 was two mails; 4 was one, and A had not come that far. */
	assert_string_equal(text_of(p.m), "1:1 2:2 4:12 5:10 6:11");
	assert_int_equal(last.renumbered, 2);
	assert_int_equal(p.m->next_uid, 7);
	assert_int_equal(p.m->uidvalidity, 1000);
	end();
}

static void saves_on_one_side_keep_their_uids(void **state)
{
	(void)state;
	begin(2);
	(void)add(p.a, A, 3);
	assert_int_equal(flag(p.b, B, 1, OBOX_SEEN, true), 1);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1S 2:2 3:3");
	assert_int_equal(last.renumbered, 0);
	end();
}

static void an_expunge_wins(void **state)
{
	(void)state;
	begin(3);
	assert_int_equal(expunge(p.a, 2), 1);
	assert_int_equal(flag(p.b, B, 2, OBOX_FLAGGED, true), 1);
	assert_int_equal(expunge(p.b, 3), 1);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1");
	assert_true(p.m->highest_modseq > p.a->highest_modseq);
	assert_true(p.m->highest_modseq > p.b->highest_modseq);
	end();
}

/* Where the storage did not forget it (clocks), whoever expunged it finds it again. */
static void flags_of_before_an_expunge_that_was_undone_are_told_of(void **state)
{
	(void)state;
	begin(2);
	assert_int_equal(flag(p.a, A, 2, OBOX_FLAGGED, true), 1);
	assert_int_equal(expunge(p.b, 2), 1);
	(void)add(p.b, B, 2);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1 3:2F");
	assert_int_equal(last.revived, 1);
	end();
	begin(2);
	assert_int_equal(expunge(p.b, 2), 1);
	(void)add(p.b, B, 2);
	merge_pair();
	assert_int_equal(last.revived, 0);
	end();
}

/* It was added on either side, expunged on one that had not seen the other's addition, and so came
 * back there without the flags of before; who has them still does tell of them. */
static void flags_of_before_an_expunge_of_one_addition_are_told_of(void **state)
{
	struct obox_state *earlier, *known;

	(void)state;
	begin(1);
	(void)add(p.a, A, 2);
	(void)add(p.b, B, 2);
	assert_int_equal(flag(p.a, A, 2, OBOX_FLAGGED, true), 1);
	earlier = p.b;
	p.b = merged(p.a, earlier);
	assert_int_equal(expunge(p.a, 2), 1);
	known = p.a;
	p.a = merged(known, earlier);
	assert_string_equal(text_of(p.a), "1:1 3:2");
	assert_int_equal(last.revived, 0);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1 3:2F");
	assert_int_equal(last.revived, 1);
	obox_state_free(&earlier);
	obox_state_free(&known);
	end();
}

static void flags_merge_one_by_one(void **state)
{
	(void)state;
	begin(2);
	(void)flag(p.base, 100, 1, OBOX_SEEN, true);
	obox_state_free(&p.a);
	obox_state_free(&p.b);
	p.a = copy(p.base);
	p.b = copy(p.base);
	(void)flag(p.a, A, 1, OBOX_SEEN, false);
	(void)flag(p.b, B, 1, OBOX_FLAGGED, true);
	(void)flag(p.a, A, 2, keyword(p.a, "Work"), true);
	(void)flag(p.b, B, 2, keyword(p.b, "WORK"), true);
	(void)flag(p.b, B, 2, keyword(p.b, "Home"), true);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1F 2:2WORKHome");
	end();
}

static void of_two_changes_of_one_flag_the_later_holds(void **state)
{
	(void)state;
	begin(1);
	(void)flag(p.a, A, 1, OBOX_SEEN, true);
	(void)flag(p.b, B, 1, OBOX_SEEN, true);
	(void)flag(p.b, B, 1, OBOX_SEEN, false);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1");
	/* A's change was made knowing B's: its number of changes does not matter. */
	obox_state_free(&p.a);
	p.a = copy(p.m);
	(void)flag(p.a, A, 1, OBOX_SEEN, true);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1S");
	end();
}

static void a_change_undone_on_one_side_is_undone(void **state)
{
	(void)state;
	begin(1);
	(void)flag(p.b, B, 1, OBOX_FLAGGED, true);
	p.m = merged(p.a, p.b);
	obox_state_free(&p.a);
	p.a = p.m;
	p.m = NULL;
	(void)flag(p.a, A, 1, OBOX_FLAGGED, false);
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1");
	end();
}

static void the_higher_uidvalidity_stays(void **state)
{
	(void)state;
	begin(0);
	p.b->uidvalidity = 2000;
	for (uint32_t n = 1; n <= 3; n++)
		(void)add(p.a, A, n);
	(void)add(p.b, B, 3);
	(void)add(p.b, B, 2);
	merge_pair();
	assert_int_equal(p.m->uidvalidity, 2000);
	assert_string_equal(text_of(p.m), "1:3 2:2 3:1");
	assert_int_equal(last.renumbered, 0);
	assert_false(last.uidvalidity_changed);
	end();
}

static void too_many_renumberings_make_a_new_uidvalidity(void **state)
{
	(void)state;
	begin(1);
	for (uint32_t n = 2; n <= 4; n++)
		(void)add(n % 2 == 0 ? p.a : p.b, n % 2 == 0 ? A : B, n);
	p.m = merged_within(p.a, p.b, 3);
	assert_int_equal(last.renumbered, 2);
	assert_int_equal(p.m->uidvalidity, 1000);
	obox_state_free(&p.m);
	p.m = merged_within(p.a, p.b, 1);
	assert_true(last.skipped_renumbering && last.uidvalidity_changed);
	assert_true(p.m->uidvalidity > 1000 && p.m->uidvalidity <= 1000 + 65536);
	assert_string_equal(text_of(p.m), "1:1 2:2 3:3 4:4");
	end();
}

static void both_may_find_the_same_mail(void **state)
{
	struct obox_record *record;
	(void)state;

	begin(1);
	(void)add(p.a, A, 2);
	(void)add(p.a, A, 3);
	(void)add(p.b, B, 3);
	memset(find(p.a, 3)->mail.guid, 0, ENV_GUID128_SIZE);
	find(p.a, 3)->mail.size = UINT64_MAX;
	merge_pair();
	record = find(p.m, 3);
	assert_memory_equal(record->mail.guid, mail_of(3).guid, ENV_GUID128_SIZE);
	assert_int_equal(record->mail.size, 1003);
	/* 2 was mail 2 here and mail 3 there; 3 was mail 3, where anybody saw it. */
	assert_string_equal(text_of(p.m), "1:1 3:3 4:2");
	/* Who takes it away having seen both findings takes it away for good. */
	(void)expunge(p.m, 3);
	obox_state_free(&p.a);
	p.a = p.m;
	p.m = NULL;
	merge_pair();
	assert_string_equal(text_of(p.m), "1:1 4:2");
	end();
}

static void limits_are_kept(void **state)
{
	struct obox_merge_result result;
	struct obox_state *ret;
	struct lab_error err;
	char name[20];
	(void)state;

	begin(0);
	for (unsigned i = 0; i < OBOX_KEYWORDS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "k%u", i);
		(void)keyword(p.a, name);
	}
	(void)keyword(p.b, "another");
	assert_int_equal(obox_state_merge(p.a, p.b, MANY, &ret, &result, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_null(ret);
	p.b->uidvalidity = UINT32_MAX;
	p.b->keyword_count--;
	lab_heap_free(heap, p.b->keywords[0]);
	(void)add(p.a, A, 1);
	(void)add(p.b, B, 2);
	p.a->uidvalidity = UINT32_MAX;
	assert_int_equal(obox_state_merge(p.a, p.b, 0, &ret, &result, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	end();
}

/* ---- every pair of short changes ---- */

#define CHANGES 9
#define LENGTH 3

/* The n-th change; mails that sides make are their own. */
static void change(struct obox_state *state, uint64_t id, unsigned which, unsigned step)
{
	switch (which) {
	case 0:
		break;
	case 1:
		(void)add(state, id, (uint32_t)(10 * id + step));
		break;
	case 2:
	case 3:
		(void)expunge(state, which - 1);
		break;
	case 4:
	case 5:
		(void)flag(state, id, which - 3, OBOX_SEEN, true);
		break;
	case 6:
		(void)flag(state, id, 1, OBOX_SEEN, false);
		break;
	case 7:
		(void)flag(state, id, 1, keyword(state, id == A ? "x" : "X"), true);
		break;
	case 8:
		(void)expunge(state, (uint32_t)(10 * id + step - 1));
		break;
	}
}

static struct obox_state *changed(uint64_t id, unsigned code)
{
	struct obox_state *state = copy(p.base);

	for (unsigned i = 0; i < LENGTH; i++) {
		change(state, id, code % CHANGES, i);
		code /= CHANGES;
	}
	return state;
}

static bool did(unsigned code, unsigned which)
{
	for (; code > 0; code /= CHANGES) {
		if (code % CHANGES == which)
			return true;
	}
	return which == 0;
}

/* What a mail of the base must have become, told from the changes alone. */
static void judge_pair(unsigned a, unsigned b)
{
	assert_int_equal(find(p.m, 1) == NULL, did(a, 2) || did(b, 2));
	assert_int_equal(find(p.m, 2) == NULL, did(a, 3) || did(b, 3));
	for (uint32_t n = 10; n < 30; n++) {
		bool expected = find(p.a, n) != NULL || find(p.b, n) != NULL;

		assert_int_equal(find(p.m, n) != NULL, expected);
	}
	if (find(p.m, 2) != NULL)
		assert_int_equal(
			obox_record_has_flag(find(p.m, 2), OBOX_SEEN), did(a, 5) || did(b, 5));
}

static void assert_idempotent(void)
{
	const struct obox_state *const again[] = { p.m, p.a, p.b, p.base };

	for (size_t i = 0; i < LAB_COUNT_OF(again); i++) {
		struct obox_state *same = merged(p.m, again[i]);

		assert_true(are_equal(same, p.m));
		assert_int_equal(last.renumbered, 0);
		obox_state_free(&same);
	}
}

static void assert_changes_round_trip(void)
{
	struct obox_base *base = obox_base_new(p.base);
	struct obox_state *again;
	struct lab_buf bytes;

	obox_base_replace(base, p.base, p.m);
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_state_encode_changes(base, p.m, &bytes);
	obox_base_free(&base);
	assert_int_equal(obox_state_decode_changes(p.base, lab_buf_view(&bytes), &again, NULL), 0);
	assert_true(are_equal(again, p.m));
	obox_state_free(&again);
	lab_buf_done(&bytes);
}

static void try_pair(unsigned a, unsigned b)
{
	begin(2);
	obox_state_free(&p.a);
	obox_state_free(&p.b);
	p.a = changed(A, a);
	p.b = changed(B, b);
	merge_pair();
	judge_pair(a, b);
	assert_idempotent();
	assert_changes_round_trip();
	end();
}

static void every_pair_of_short_changes_merges(void **state)
{
	unsigned codes = 1, tried = 0;
	(void)state;

	for (unsigned i = 0; i < LENGTH; i++)
		codes *= CHANGES;
	for (unsigned a = 0; a < codes; a++) {
		/* All pairs of two changes; a sample of three. */
		bool is_short = a < CHANGES * CHANGES;

		for (unsigned b = is_short ? 0 : a % 61; b < codes;
			b += is_short && b + 1 < CHANGES * CHANGES ? 1 : 61) {
			try_pair(a, b);
			tried++;
		}
	}
	assert_true(tried > CHANGES * CHANGES * CHANGES * CHANGES + 8000);
}

/* ---- backends that exchange states ---- */

#define BACKENDS 4
#define MAILS 200
#define STEPS 60
#define UIDS 4000
#define SEVERAL UINT32_MAX

static struct history {
	uint64_t seed, draws;
	struct obox_state *states[BACKENDS];
	uint32_t next_mail;
	bool expunged[MAILS];
	/* What a UID was to anybody who saw this backend's state, or one that went into it. */
	uint32_t mail_of_uid[BACKENDS][UIDS];
	/* Changes of \Seen: who knows which, and what each knew. */
	uint64_t known[BACKENDS];
	struct {
		uint32_t mail;
		bool is_set;
		uint64_t knew;
	} changes[64];
	size_t change_count;
	bool renumbers;
} h;

static uint64_t draw(uint64_t n)
{
	return lab_pick(lab_draw(h.seed, "merge", 0, h.draws++), n);
}

/* What a client of the backend may not see. */
static void judge_step(size_t who, const struct obox_state *before, const struct obox_state *after)
{
	assert_int_equal(after->uidvalidity, before->uidvalidity);
	assert_true(after->next_uid >= before->next_uid);
	assert_true(after->highest_modseq >= before->highest_modseq);
	for (size_t i = 0; i < after->count; i++) {
		const struct obox_record *record = &after->records[i];
		uint32_t n = number_of(&record->mail), uid = record->mail.uid;
		const struct obox_record *old = find(before, n);

		assert_true(uid < UIDS);
		assert_true(h.mail_of_uid[who][uid] == 0 || h.mail_of_uid[who][uid] == n);
		h.mail_of_uid[who][uid] = n;
		assert_true(record->modseq <= after->highest_modseq);
		if (old == NULL || old->mail.uid != uid ||
			obox_record_has_flag(old, OBOX_SEEN) !=
				obox_record_has_flag(record, OBOX_SEEN))
			assert_true(record->modseq > before->highest_modseq);
		else
			assert_true(record->modseq >= old->modseq);
	}
	for (size_t i = 0; i < before->count; i++) {
		if (find(after, number_of(&before->records[i].mail)) == NULL)
			assert_true(after->highest_modseq > before->highest_modseq);
	}
}

static uint32_t any_mail(const struct obox_state *state)
{
	return state->count == 0 ? 0 : number_of(&state->records[draw(state->count)].mail);
}

static void change_seen(size_t who, struct obox_state *state)
{
	uint32_t n = any_mail(state);
	bool is_set;

	if (n == 0 || h.change_count == 64)
		return;
	is_set = !obox_record_has_flag(find(state, n), OBOX_SEEN);
	assert_int_equal(flag(state, who + 1, n, OBOX_SEEN, is_set), 1);
	h.changes[h.change_count].mail = n;
	h.changes[h.change_count].is_set = is_set;
	h.changes[h.change_count].knew = h.known[who];
	h.known[who] |= UINT64_C(1) << h.change_count++;
}

static void learn_uids(uint32_t *known, const uint32_t *others)
{
	for (size_t uid = 0; uid < UIDS; uid++) {
		if (others[uid] != 0 && others[uid] != known[uid])
			known[uid] = known[uid] == 0 ? others[uid] : SEVERAL;
	}
}

static void exchange(size_t who, size_t with)
{
	struct obox_state *both = merged(h.states[who], h.states[with]);

	h.renumbers = h.renumbers || last.renumbered > 0;
	h.known[who] |= h.known[with];
	learn_uids(h.mail_of_uid[who], h.mail_of_uid[with]);
	judge_step(who, h.states[who], both);
	judge_step(who, h.states[with], both);
	obox_state_free(&h.states[who]);
	h.states[who] = both;
}

static void act(size_t who)
{
	struct obox_state *state = h.states[who], *before = copy(state);
	uint32_t n;

	switch (draw(4)) {
	case 0:
		(void)add(state, who + 1, h.next_mail++);
		break;
	case 1:
		n = any_mail(state);
		h.expunged[n] = expunge(state, n) == 1 || h.expunged[n];
		break;
	default:
		change_seen(who, state);
	}
	judge_step(who, before, state);
	obox_state_free(&before);
}

/* Until nobody learns anything. */
static void exchange_all(void)
{
	for (int round = 0; round < 8; round++) {
		bool is_same = true;

		for (size_t who = 0; who < BACKENDS; who++) {
			for (size_t with = 0; with < BACKENDS; with++)
				exchange(who, with);
			is_same = is_same && are_equal(h.states[who], h.states[0]);
		}
		if (is_same)
			return;
	}
	fail_msg("seed %" PRIu64 ": states do not come to rest", h.seed);
}

/* The value of a flag is that of a change that no other change of it knew. */
static void judge_flag(uint32_t n, bool is_set)
{
	bool found = false, may_be = !is_set;

	for (size_t i = 0; i < h.change_count; i++) {
		bool is_last = h.changes[i].mail == n;

		for (size_t j = 0; j < h.change_count && is_last; j++) {
			if (h.changes[j].mail == n && (h.changes[j].knew >> i & 1) != 0)
				is_last = false;
		}
		if (!is_last)
			continue;
		may_be = (found && may_be) || h.changes[i].is_set == is_set;
		found = true;
	}
	assert_true(may_be);
}

static void judge_end(void)
{
	for (uint32_t n = 1; n < h.next_mail; n++) {
		const struct obox_record *record = find(h.states[0], n);

		assert_int_equal(record == NULL, h.expunged[n]);
		if (record != NULL)
			judge_flag(n, obox_record_has_flag(record, OBOX_SEEN));
	}
}

static bool run_history(uint64_t seed)
{
	h = (struct history){ .seed = seed, .next_mail = 1 };
	for (size_t i = 0; i < BACKENDS; i++)
		h.states[i] = obox_state_new(heap, 1000);
	for (int step = 0; step < STEPS; step++) {
		size_t who = draw(BACKENDS);

		if (draw(5) == 0)
			exchange(who, draw(BACKENDS));
		else
			act(who);
	}
	exchange_all();
	judge_end();
	for (size_t i = 0; i < BACKENDS; i++)
		obox_state_free(&h.states[i]);
	return h.renumbers;
}

static void backends_converge_and_clients_see_nothing_wrong(void **state)
{
	unsigned renumbered = 0;
	(void)state;

	for (uint64_t seed = 1; seed <= 100; seed++)
		renumbered += run_history(seed);
	assert_true(renumbered > 75);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(saves_on_both_sides_get_uids_that_nobody_saw),
		T(saves_on_one_side_keep_their_uids),
		T(an_expunge_wins),
		T(flags_of_before_an_expunge_that_was_undone_are_told_of),
		T(flags_of_before_an_expunge_of_one_addition_are_told_of),
		T(flags_merge_one_by_one),
		T(of_two_changes_of_one_flag_the_later_holds),
		T(a_change_undone_on_one_side_is_undone),
		T(the_higher_uidvalidity_stays),
		T(too_many_renumberings_make_a_new_uidvalidity),
		T(both_may_find_the_same_mail),
		T(limits_are_kept),
		T(every_pair_of_short_changes_merges),
		T(backends_converge_and_clients_see_nothing_wrong),
	};

	return cmocka_run_group_tests_name("index-merge", tests, NULL, NULL);
}
