/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes since a base, told over the base and over later states: by example, and by backends that
 * exchange nothing but bundles, with bases that replace each other meanwhile. Whatever is told of a
 * state must merge as the state itself does.
 */
#include <inttypes.h>

#include "core/base/base.h"
#include "core/base/testing.h"
#include "core/obox/index-state.h"
#include "core/obox/test-index-support.h"

static struct lab_buf changes_of(const struct obox_base *base, const struct obox_state *state)
{
	struct lab_buf bytes;

	lab_buf_init(&bytes, heap, 1u << 20);
	obox_state_encode_changes(base, state, &bytes);
	assert_false(bytes.overflow);
	return bytes;
}

static struct obox_state *told(const struct obox_state *over, struct lab_buf *bytes)
{
	struct obox_state *ret;
	struct lab_error err;

	if (obox_state_decode_changes(over, lab_buf_view(bytes), &ret, &err) < 0)
		fail_msg("%s", err.message);
	return ret;
}

static struct obox_state *merged(const struct obox_state *a, const struct obox_state *b)
{
	struct obox_merge_result result;
	struct obox_state *ret;

	assert_int_equal(obox_state_merge(a, b, MANY, &ret, &result, NULL), 0);
	return ret;
}

static void take(struct obox_state **state, struct obox_state *replacement)
{
	obox_state_free(state);
	*state = replacement;
}

/* Three mails by author 100, which became a base; x has changed since. */
static struct {
	struct obox_state *b, *x, *s, *t;
	struct obox_base *base;
	struct lab_buf bytes;
} p;

static void begin(void)
{
	p.b = obox_state_new(heap, 1000);
	for (uint32_t n = 1; n <= 3; n++)
		(void)add(p.b, 100, n);
	p.base = obox_base_new(p.b);
	p.x = copy(p.b);
	p.s = copy(p.b);
}

static void x_expunges(uint32_t n)
{
	obox_base_expunge(p.base, p.x, find(p.x, n));
	assert_int_equal(expunge(p.x, n), 1);
}

static void tell(void)
{
	p.bytes = changes_of(p.base, p.x);
	p.t = told(p.s, &p.bytes);
}

static void end(void)
{
	obox_state_free(&p.b);
	obox_state_free(&p.x);
	obox_state_free(&p.s);
	obox_state_free(&p.t);
	obox_base_free(&p.base);
	lab_buf_done(&p.bytes);
}

/* As if it were the state itself, for those who merge it with s. */
static void assert_merges_as_the_truth(void)
{
	struct obox_state *truth = merged(p.s, p.x), *mine = merged(p.s, p.t);

	assert_true(are_equal(truth, mine));
	obox_state_free(&truth);
	obox_state_free(&mine);
}

static void over_the_base_they_are_the_state(void **state)
{
	(void)state;
	begin();
	(void)add(p.x, 1, 4);
	(void)flag(p.x, 1, 1, OBOX_SEEN, true);
	(void)flag(p.x, 1, 3, keyword(p.x, "Work"), true);
	x_expunges(2);
	tell();
	assert_true(are_equal(p.t, p.x));
	assert_int_equal(p.t->untold, 0);
	end();
}

static void changes_are_small(void **state)
{
	struct lab_buf whole;
	(void)state;

	begin();
	for (uint32_t n = 4; n < 200; n++)
		(void)add(p.x, 1, n);
	obox_base_free(&p.base);
	p.base = obox_base_new(p.x);
	(void)flag(p.x, 1, 100, OBOX_SEEN, true);
	p.bytes = changes_of(p.base, p.x);
	whole = encoded(p.x);
	assert_true(10 * p.bytes.len < whole.len);
	lab_buf_done(&whole);
	end();
}

static void the_base_must_be_known(void **state)
{
	struct obox_state *fresh = obox_state_new(heap, 1000), *ret;
	struct lab_error err;
	(void)state;

	begin();
	p.bytes = changes_of(p.base, p.x);
	assert_int_equal(obox_state_decode_changes(fresh, lab_buf_view(&p.bytes), &ret, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_null(ret);
	obox_state_free(&fresh);
	end();
}

static void damaged_changes_are_refused(void **state)
{
	struct obox_state *ret;
	struct lab_error err;
	(void)state;

	begin();
	(void)add(p.x, 1, 4);
	x_expunges(2);
	p.bytes = changes_of(p.base, p.x);
	for (size_t len = 0; len < p.bytes.len; len++) {
		assert_int_equal(
			obox_state_decode_changes(p.s, lab_view_of(p.bytes.data, len), &ret, &err),
			-1);
		assert_int_equal(err.code, LAB_CORRUPT);
		assert_null(ret);
	}
	end();
}

static void over_a_later_state_they_merge_as_the_truth(void **state)
{
	(void)state;
	begin();
	(void)add(p.x, 1, 11);
	x_expunges(3);
	(void)add(p.s, 2, 12);
	(void)flag(p.s, 2, 1, OBOX_SEEN, true);
	tell();
	assert_merges_as_the_truth();
	end();
}

static void what_the_later_state_expunged_is_a_change_for_the_other(void **state)
{
	struct obox_state *both;
	(void)state;

	begin();
	/* x is far ahead by its modseq. */
	for (int i = 0; i < 9; i++)
		(void)flag(p.x, 1, 1, OBOX_SEEN, i % 2 == 0);
	assert_int_equal(expunge(p.s, 2), 1);
	tell();
	assert_int_equal(p.t->untold, 1);
	both = merged(p.s, p.t);
	assert_true(both->highest_modseq > p.x->highest_modseq);
	obox_state_free(&both);
	assert_merges_as_the_truth();
	end();
}

static void a_flag_cleared_later_is_newer_than_all_that_the_other_knew(void **state)
{
	struct obox_state *both;
	(void)state;

	begin();
	(void)flag(p.b, 100, 2, OBOX_FLAGGED, true);
	obox_base_free(&p.base);
	p.base = obox_base_new(p.b);
	take(&p.x, copy(p.b));
	take(&p.s, copy(p.b));
	for (int i = 0; i < 9; i++)
		(void)flag(p.x, 1, 1, OBOX_SEEN, i % 2 == 0);
	(void)flag(p.s, 2, 2, OBOX_FLAGGED, false);
	tell();
	both = merged(p.s, p.t);
	assert_false(obox_record_has_flag(find(both, 2), OBOX_FLAGGED));
	assert_true(find(both, 2)->modseq > p.x->highest_modseq);
	obox_state_free(&both);
	assert_merges_as_the_truth();
	end();
}

/* Two had given UID 4, and the base, made before they met, has one of the mails. */
static void a_mail_renumbered_later_is_not_where_it_was(void **state)
{
	struct obox_state *y;
	(void)state;

	begin();
	(void)add(p.b, 100, 4);
	obox_base_free(&p.base);
	p.base = obox_base_new(p.b);
	take(&p.x, copy(p.b));
	for (uint32_t n = 20; n < 26; n++)
		(void)add(p.x, 1, n);
	y = copy(p.s); /* without mail 4 */
	(void)add(y, 3, 30);
	take(&p.s, merged(p.b, y));
	assert_true(find(p.s, 4)->mail.uid > 4);
	(void)add(p.s, 2, 31);
	tell();
	assert_int_equal(find(p.t, 4)->mail.uid, 4);
	assert_merges_as_the_truth();
	obox_state_free(&y);
	end();
}

static void another_uidvalidity_tells_all(void **state)
{
	(void)state;
	begin();
	p.x->uidvalidity = 2000;
	(void)flag(p.s, 2, 1, OBOX_SEEN, true);
	tell();
	assert_true(are_equal(p.t, p.x));
	assert_merges_as_the_truth();
	obox_state_free(&p.t);
	lab_buf_done(&p.bytes);
	/* And the later state may have one of which the changes know nothing. */
	p.x->uidvalidity = 1000;
	p.s->uidvalidity = 3000;
	(void)add(p.x, 1, 9);
	tell();
	assert_merges_as_the_truth();
	end();
}

static void a_base_outlives_a_clean_stop(void **state)
{
	struct lab_buf one, two;
	struct lab_reader reader;
	struct obox_base *again;
	(void)state;

	begin();
	x_expunges(3);
	x_expunges(1);
	lab_buf_init(&one, heap, 4096);
	lab_buf_init(&two, heap, 4096);
	obox_base_encode(p.base, &one);
	reader = (struct lab_reader){ .rest = lab_buf_view(&one) };
	again = obox_base_decode(heap, &reader);
	assert_non_null(again);
	assert_int_equal(reader.rest.len, 0);
	assert_true(obox_base_is_in(again, p.x));
	obox_base_encode(again, &two);
	assert_true(lab_view_eq(lab_buf_view(&one), lab_buf_view(&two)));
	obox_base_free(&again);
	for (size_t len = 0; len < one.len; len++) {
		reader = (struct lab_reader){ .rest = lab_view_of(one.data, len) };
		assert_null(obox_base_decode(heap, &reader));
	}
	lab_buf_done(&one);
	lab_buf_done(&two);
	end();
}

/* ---- backends that exchange bundles ---- */

#define BACKENDS 3
#define STEPS 80
#define BUNDLES 64

/* A bundle in storage; who has it in his state. */
struct stored {
	bool is_there, is_base;
	size_t host;
	struct lab_buf bytes;
	struct obox_state *truth; /* of a diff: what its host had */
	bool known[BACKENDS];
};

static struct {
	uint64_t seed, draws;
	uint32_t next_mail;
	struct obox_state *states[BACKENDS];
	struct obox_base *bases[BACKENDS];
	struct stored bundles[BUNDLES];
	size_t bundle_count;
	unsigned over_later, renumbered;
} h;

static uint64_t draw(uint64_t n)
{
	return lab_pick(lab_draw(h.seed, "changes", 0, h.draws++), n);
}

static void drop(struct stored *bundle)
{
	if (!bundle->is_there)
		return;
	bundle->is_there = false;
	lab_buf_done(&bundle->bytes);
	obox_state_free(&bundle->truth);
}

static struct stored *store(size_t who, bool is_base)
{
	struct stored *bundle = &h.bundles[h.bundle_count++];

	assert_true(h.bundle_count <= BUNDLES);
	*bundle = (struct stored){ .is_there = true, .is_base = is_base, .host = who };
	bundle->known[who] = true;
	return bundle;
}

static void upload_base(size_t who)
{
	for (size_t i = 0; i < h.bundle_count; i++) {
		if (h.bundles[i].known[who])
			drop(&h.bundles[i]);
	}
	obox_base_free(&h.bases[who]);
	h.bases[who] = obox_base_new(h.states[who]);
	store(who, true)->bytes = encoded(h.states[who]);
}

static void upload_diff(size_t who)
{
	struct stored *bundle;

	for (size_t i = 0; i < h.bundle_count; i++) {
		if (h.bundles[i].host == who && !h.bundles[i].is_base)
			drop(&h.bundles[i]);
	}
	bundle = store(who, false);
	bundle->bytes = changes_of(h.bases[who], h.states[who]);
	bundle->truth = copy(h.states[who]);
}

static void replace_state(size_t who, struct obox_state *replacement)
{
	if (h.bases[who] != NULL)
		obox_base_replace(h.bases[who], h.states[who], replacement);
	take(&h.states[who], replacement);
}

static void read_base(size_t who, struct stored *bundle)
{
	struct obox_state *base;

	assert_int_equal(obox_state_decode(heap, lab_buf_view(&bundle->bytes), &base, NULL), 0);
	replace_state(who, merged(h.states[who], base));
	obox_base_free(&h.bases[who]);
	h.bases[who] = obox_base_new(base);
	obox_base_replace(h.bases[who], base, h.states[who]);
	obox_state_free(&base);
}

/* The same mails, UIDs and flags; and where a modseq is not that of the truth, a later one. */
static void assert_as_good(const struct obox_state *mine, const struct obox_state *truth)
{
	assert_int_equal(mine->count, truth->count);
	assert_int_equal(mine->next_uid, truth->next_uid);
	assert_true(mine->highest_modseq >= truth->highest_modseq);
	assert_true(mine->highest_modseq <= truth->highest_modseq + 1);
	for (size_t i = 0; i < mine->count; i++) {
		const struct obox_record *x = &mine->records[i], *y = &truth->records[i];

		assert_int_equal(x->mail.uid, y->mail.uid);
		assert_memory_equal(x->mail.name, y->mail.name, sizeof(x->mail.name));
		assert_int_equal(x->stamp_count, y->stamp_count);
		for (uint16_t f = OBOX_ANSWERED; f < OBOX_FIRST_KEYWORD; f++)
			assert_int_equal(obox_record_has_flag(x, f), obox_record_has_flag(y, f));
		assert_true(x->modseq >= y->modseq);
	}
}

static void read_diff(size_t who, struct stored *bundle)
{
	struct obox_state *changes = told(h.states[who], &bundle->bytes), *mine, *truth, *again;
	struct obox_merge_result result;

	assert_int_equal(obox_state_merge(h.states[who], changes, MANY, &mine, &result, NULL), 0);
	h.renumbered += result.renumbered;
	truth = merged(h.states[who], bundle->truth);
	assert_as_good(mine, truth);
	h.over_later += !are_equal(changes, bundle->truth);
	obox_state_free(&truth);
	obox_state_free(&changes);
	replace_state(who, mine);
	/* Once more changes nothing. */
	changes = told(h.states[who], &bundle->bytes);
	again = merged(h.states[who], changes);
	assert_true(are_equal(again, h.states[who]));
	obox_state_free(&again);
	obox_state_free(&changes);
}

static void refresh(size_t who)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < h.bundle_count; i++) {
			struct stored *bundle = &h.bundles[i];

			if (!bundle->is_there || bundle->known[who] ||
				bundle->is_base != (pass == 0))
				continue;
			if (bundle->is_base)
				read_base(who, bundle);
			else
				read_diff(who, bundle);
			bundle->known[who] = true;
		}
	}
}

static uint32_t any_mail(const struct obox_state *state)
{
	return state->count == 0 ? 0 : number_of(&state->records[draw(state->count)].mail);
}

static void act(size_t who)
{
	struct obox_state *state = h.states[who];
	uint32_t n = any_mail(state);

	switch (n == 0 ? 0 : draw(5)) {
	case 0:
	case 1:
		(void)add(state, who + 1, h.next_mail++);
		break;
	case 2:
		obox_base_expunge(h.bases[who], state, find(state, n));
		assert_int_equal(expunge(state, n), 1);
		break;
	default:
		(void)flag(state, who + 1, n, (uint16_t)(OBOX_ANSWERED + draw(2)), draw(2) == 0);
	}
}

static void upload(size_t who)
{
	if (draw(4) == 0)
		upload_base(who);
	else
		upload_diff(who);
}

static void finish_history(void)
{
	for (int round = 0; round < 2; round++) {
		for (size_t who = 0; who < BACKENDS; who++) {
			refresh(who);
			upload_diff(who);
		}
	}
	for (size_t who = 0; who < BACKENDS; who++)
		refresh(who);
	for (size_t who = 1; who < BACKENDS; who++)
		assert_true(are_equal(h.states[who], h.states[0]));
}

static void run_history(uint64_t seed)
{
	h.seed = seed;
	h.draws = 0;
	h.next_mail = 1;
	h.bundle_count = 0;
	for (size_t i = 0; i < BACKENDS; i++)
		h.states[i] = obox_state_new(heap, 1000);
	(void)add(h.states[0], 1, h.next_mail++);
	upload_base(0);
	for (size_t i = 1; i < BACKENDS; i++)
		refresh(i);
	for (int step = 0; step < STEPS; step++) {
		size_t who = draw(BACKENDS);
		uint64_t dice = draw(8);

		if (dice == 0 && h.bundle_count < BUNDLES - 3 * BACKENDS)
			upload(who);
		else if (dice == 1)
			refresh(who);
		else
			act(who);
	}
	finish_history();
	for (size_t i = 0; i < h.bundle_count; i++)
		drop(&h.bundles[i]);
	for (size_t i = 0; i < BACKENDS; i++) {
		obox_state_free(&h.states[i]);
		obox_base_free(&h.bases[i]);
	}
}

static void bundles_tell_what_states_would(void **state)
{
	(void)state;
	h.over_later = h.renumbered = 0;
	for (uint64_t seed = 1; seed <= 300; seed++)
		run_history(seed);
	assert_true(h.over_later > 300);
	assert_true(h.renumbered > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(over_the_base_they_are_the_state),
		T(changes_are_small),
		T(the_base_must_be_known),
		T(damaged_changes_are_refused),
		T(over_a_later_state_they_merge_as_the_truth),
		T(what_the_later_state_expunged_is_a_change_for_the_other),
		T(a_flag_cleared_later_is_newer_than_all_that_the_other_knew),
		T(a_mail_renumbered_later_is_not_where_it_was),
		T(another_uidvalidity_tells_all),
		T(a_base_outlives_a_clean_stop),
		T(bundles_tell_what_states_would),
	};

	return cmocka_run_group_tests_name("index-changes", tests, NULL, NULL);
}
