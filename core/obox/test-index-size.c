/* SPDX-License-Identifier: Apache-2.0
 *
 * What states know of mails beside their flags: sizes and whether they were copied. Sums, merges,
 * bytes of this version and of the first, changes since a base.
 */
#include "core/base/testing.h"
#include "core/obox/index-state.h"

#include "core/obox/test-index-support.h"

static struct obox_state *of_numbers(uint64_t id, uint32_t first, uint32_t last)
{
	struct obox_state *state = obox_state_new(heap, 1000);

	for (uint32_t n = first; n <= last; n++)
		(void)add(state, id, n);
	return state;
}

static struct obox_state *merged(const struct obox_state *a, const struct obox_state *b)
{
	struct obox_merge_result result;
	struct obox_state *ret;

	assert_int_equal(obox_state_merge(a, b, MANY, &ret, &result, NULL), 0);
	return ret;
}

static void assert_sums(struct obox_state *state, uint64_t bytes, size_t sizeless)
{
	assert_true(state->bytes == bytes);
	assert_int_equal(state->sizeless, sizeless);
	obox_state_recount(state);
	assert_true(state->bytes == bytes);
	assert_int_equal(state->sizeless, sizeless);
}

static int set_size(struct obox_state *state, uint32_t n, uint64_t size)
{
	return obox_state_set_size(state, find(state, n)->mail.uid, size);
}

static bool keeps_odd(void *ctx, const struct obox_mail *mail)
{
	(void)ctx;
	return number_of(mail) % 2 == 1;
}

static void sums_follow_every_change(void **state)
{
	struct obox_state *s = of_numbers(1, 1, 5);
	struct obox_state *other;
	uint64_t modseq = s->highest_modseq;

	(void)state;
	assert_sums(s, 5015, 0);
	assert_int_equal(set_size(s, 2, UINT64_MAX), 1);
	assert_int_equal(set_size(s, 2, UINT64_MAX), 0);
	assert_sums(s, 4013, 1);
	assert_int_equal(set_size(s, 3, 0), 1);
	assert_sums(s, 3010, 1);
	assert_int_equal(obox_state_set_size(s, 99, 7), 0);
	/* Nobody can see it. */
	assert_true(s->highest_modseq == modseq);
	other = copy(s);
	assert_sums(other, 3010, 1);
	obox_state_free(&other);
	assert_int_equal(expunge(s, 5), 1);
	assert_sums(s, 2005, 1);
	assert_int_equal(obox_state_expunge_unless(s, keeps_odd, NULL), 2);
	assert_sums(s, 1001, 0);
	obox_state_free(&s);
}

static void merges_know_what_either_side_knows(void **state)
{
	struct obox_state *a = of_numbers(1, 1, 3), *b = copy(a), *ab, *ba;

	(void)state;
	(void)set_size(a, 1, UINT64_MAX);
	(void)set_size(b, 2, UINT64_MAX);
	(void)set_size(b, 3, 5000);
	assert_int_equal(obox_state_mark_copied(a, find(a, 1)->mail.uid), 1);
	assert_int_equal(obox_state_mark_copied(a, find(a, 1)->mail.uid), 0);
	assert_int_equal(obox_state_mark_copied(b, find(b, 2)->mail.uid), 1);
	assert_int_equal(obox_state_mark_copied(b, 99), 0);
	ab = merged(a, b);
	ba = merged(b, a);
	assert_true(are_equal(ab, ba));
	assert_sums(ab, 1001 + 1002 + 5000, 0);
	assert_int_equal(find(ab, 1)->mail.bits, OBOX_MAIL_COPIED);
	assert_int_equal(find(ab, 2)->mail.bits, OBOX_MAIL_COPIED);
	assert_int_equal(find(ab, 3)->mail.bits, 0);
	obox_state_free(&a);
	a = merged(ab, b);
	assert_true(are_equal(a, ab));
	obox_state_free(&a);
	obox_state_free(&b);
	obox_state_free(&ab);
	obox_state_free(&ba);
}

/* What was learned of the base's mails is in the changes, though no stamp tells of it. */
static void changes_tell_what_was_learned(void **state)
{
	struct obox_state *old = of_numbers(1, 1, 4), *now, *told;
	struct obox_base *base;
	struct lab_buf bytes;

	(void)state;
	(void)set_size(old, 2, UINT64_MAX);
	now = copy(old);
	base = obox_base_new(old);
	(void)set_size(now, 2, 77);
	obox_base_touch(base, now, find(now, 2));
	(void)obox_state_mark_copied(now, find(now, 3)->mail.uid);
	obox_base_touch(base, now, find(now, 3));
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_state_encode_changes(base, now, &bytes);
	assert_int_equal(obox_state_decode_changes(old, lab_buf_view(&bytes), &told, NULL), 0);
	assert_true(are_equal(told, now));
	assert_sums(told, 1001 + 77 + 1003 + 1004, 0);
	lab_buf_done(&bytes);
	obox_base_free(&base);
	obox_state_free(&old);
	obox_state_free(&now);
	obox_state_free(&told);
}

/* The same when a merge learned it. */
static void changes_tell_what_a_merge_learned(void **state)
{
	struct obox_state *old = of_numbers(1, 1, 4), *other = copy(old), *now, *told;
	struct obox_base *base;
	struct lab_buf bytes;

	(void)state;
	(void)set_size(old, 2, UINT64_MAX);
	(void)obox_state_mark_copied(other, find(other, 4)->mail.uid);
	base = obox_base_new(old);
	now = merged(old, other);
	obox_base_replace(base, old, now);
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_state_encode_changes(base, now, &bytes);
	assert_int_equal(obox_state_decode_changes(old, lab_buf_view(&bytes), &told, NULL), 0);
	assert_true(are_equal(told, now));
	assert_int_equal(find(told, 4)->mail.bits, OBOX_MAIL_COPIED);
	assert_sums(told, 4010, 0);
	lab_buf_done(&bytes);
	obox_base_free(&base);
	obox_state_free(&old);
	obox_state_free(&other);
	obox_state_free(&now);
	obox_state_free(&told);
}

/* ---- the first version ---- */

/* One mail as version 1 wrote it: without the byte of bits behind `saved`. */
static void put_first_version(struct lab_buf *out, const struct obox_state *state)
{
	struct lab_buf now = encoded(state);
	size_t head = 1 + 1 + 4 + 4 + 8 + (4 + 16) + 4 + 4 + 4;
	size_t bits = head + 4 + 16 + 16 + 8 + 8 + 8;

	assert_int_equal(now.data[0], 2);
	lab_buf_append_byte(out, 1);
	lab_buf_append(out, now.data + 1, bits - 1);
	lab_buf_append(out, now.data + bits + 1, now.len - bits - 1);
	lab_buf_done(&now);
}

static void the_first_version_is_read_and_not_believed_about_sizes(void **state)
{
	struct obox_state *one = of_numbers(1, 1, 1), *read;
	struct lab_buf bytes;

	(void)state;
	lab_buf_init(&bytes, heap, 4096);
	put_first_version(&bytes, one);
	assert_int_equal(obox_state_decode(heap, lab_buf_view(&bytes), &read, NULL), 0);
	assert_sums(read, 0, 1);
	assert_int_equal(find(read, 1)->mail.bits, OBOX_MAIL_COPIED);
	assert_true(find(read, 1)->mail.uid == 1 && read->next_uid == 2);
	/* Written again it is of this version. */
	(void)set_size(read, 1, 1001);
	read->records[0].mail.bits = 0;
	assert_true(are_equal(read, one));
	obox_state_free(&read);
	obox_state_free(&one);
	lab_buf_done(&bytes);
}

static void versions_and_sizes_that_cannot_be_are_refused(void **state)
{
	struct obox_state *one = of_numbers(1, 1, 1), *read;
	struct lab_buf bytes = encoded(one);
	struct lab_error err;

	(void)state;
	for (unsigned version = 0; version < 256; version++) {
		bytes.data[0] = (uint8_t)version;
		if (version == 2)
			continue;
		assert_int_equal(obox_state_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
		assert_int_equal(err.code, LAB_CORRUPT);
	}
	lab_buf_done(&bytes);
	(void)set_size(one, 1, 2 * (uint64_t)OBOX_MAIL_MAX);
	read = copy(one);
	obox_state_free(&read);
	(void)set_size(one, 1, 2 * (uint64_t)OBOX_MAIL_MAX + 1);
	bytes = encoded(one);
	assert_int_equal(obox_state_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
	lab_buf_done(&bytes);
	(void)set_size(one, 1, 5);
	one->records[0].mail.bits = 2;
	bytes = encoded(one);
	assert_int_equal(obox_state_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
	lab_buf_done(&bytes);
	obox_state_free(&one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_follow_every_change),
		TEST(merges_know_what_either_side_knows),
		TEST(changes_tell_what_was_learned),
		TEST(changes_tell_what_a_merge_learned),
		TEST(the_first_version_is_read_and_not_believed_about_sizes),
		TEST(versions_and_sizes_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
