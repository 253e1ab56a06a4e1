/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags and keywords of mails: set and cleared, kept by a clean stop, a rescan and a copy.
 */
#include "core/obox/test-support.h"

#define SEEN LAB_VIEW("\\Seen")
#define WORK LAB_VIEW("$Work")

static int store(struct obox_mailbox *box, uint32_t uid, struct lab_view flag, bool is_set)
{
	struct lab_error err;
	int result = obox_store(box, uid, flag, is_set, &err);

	if (result < 0)
		fail_msg("%s", err.message);
	return result;
}

static void store_and_ask(struct node *node)
{
	static const char *const flags[] = { "\\Answered", "\\Flagged", "\\Deleted", "\\Seen",
		"\\Draft", "$Work", "nonjunk" };
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t one = deliver(box, "1"), two = deliver(box, "2");

	for (size_t i = 0; i < LAB_COUNT_OF(flags); i++) {
		struct lab_view flag = lab_view_cstr(flags[i]);
		uint64_t before = obox_mailbox_highest_modseq(box);

		assert_false(obox_has_flag(box, one, flag));
		assert_int_equal(store(box, one, flag, false), 0);
		assert_true(obox_mailbox_highest_modseq(box) == before);
		assert_int_equal(store(box, one, flag, true), 1);
		assert_int_equal(store(box, one, flag, true), 0);
		assert_true(obox_has_flag(box, one, flag));
		assert_false(obox_has_flag(box, two, flag));
		assert_true(obox_mailbox_highest_modseq(box) > before);
		assert_true(obox_mailbox_modseq(box, one) == obox_mailbox_highest_modseq(box));
		assert_true(obox_mailbox_modseq(box, two) <= before);
	}
	assert_true(obox_has_flag(box, one, LAB_VIEW("\\SEEN")));
	assert_true(obox_has_flag(box, one, LAB_VIEW("NonJunk")));
	assert_int_equal(store(box, one, LAB_VIEW("NONJUNK"), false), 1);
	assert_false(obox_has_flag(box, one, LAB_VIEW("nonjunk")));
	assert_int_equal(obox_mailbox_modseq(box, 99), 0);
	obox_mailbox_close(&box);
}

static void flags_are_set_and_cleared(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, store_and_ask);
	node_stop(&node);
}

static void store_nonsense(struct node *node)
{
	static const struct lab_view bad[] = { LAB_VIEW(""), LAB_VIEW("\\Recent"), LAB_VIEW("a b"),
		LAB_VIEW("a(b"), LAB_VIEW("\xc3\xa4"), LAB_VIEW("a\0b"),
		LAB_VIEW("012345678901234567890123456789012345678901234567890") };
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t uid = deliver(box, "1");
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		FAILS(obox_store(box, uid, bad[i], true, &err), LAB_INVALID);
		assert_false(obox_has_flag(box, uid, bad[i]));
	}
	FAILS(obox_store(box, uid + 1, SEEN, true, &err), LAB_NOT_FOUND);
	assert_false(obox_has_flag(box, uid + 1, SEEN));
	obox_mailbox_close(&box);
}

static void what_is_no_flag_is_refused(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, store_nonsense);
	node_stop(&node);
}

static void store_two(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	(void)store(box, deliver(box, "1"), SEEN, true);
	(void)store(box, deliver(box, "2"), WORK, true);
	obox_mailbox_close(&box);
}

static void find_two(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:1 2:2 ");
	assert_true(obox_has_flag(box, 1, SEEN) && !obox_has_flag(box, 1, WORK));
	assert_true(obox_has_flag(box, 2, WORK) && !obox_has_flag(box, 2, SEEN));
	obox_mailbox_close(&box);
}

static void a_clean_stop_and_a_rescan_keep_flags(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, store_two);
	node_run(&node, find_two);
	node_stop(&node);
	node_run(&node, node_start_user);
	node_run(&node, find_two);
	node_stop(&node);
}

static void copy_two(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *other = box_open(node, "Other");
	uint32_t uids[] = { deliver(box, "1"), deliver(box, "2") };
	struct obox_result results[2];
	struct lab_error err;

	(void)store(other, deliver(other, "0"), LAB_VIEW("first"), true);
	(void)store(box, 1, SEEN, true);
	(void)store(box, 1, LAB_VIEW("\\Flagged"), true);
	(void)store(box, 1, LAB_VIEW("\\Flagged"), false);
	(void)store(box, 2, WORK, true);
	OK(obox_copy(box, uids, 2, other, results, &err));
	OK(obox_copy(box, uids, 2, box, results, &err));
	assert_box(node, other, "1:0 2:1 3:2 ");
	assert_true(obox_has_flag(other, 2, SEEN) && !obox_has_flag(other, 3, SEEN));
	assert_true(obox_has_flag(other, 3, WORK) && !obox_has_flag(other, 2, WORK));
	assert_false(obox_has_flag(other, 2, LAB_VIEW("\\Flagged")));
	assert_false(obox_has_flag(other, 2, LAB_VIEW("first")));
	assert_true(obox_has_flag(box, 3, SEEN) && obox_has_flag(box, 4, WORK));
	obox_mailbox_close(&box);
	obox_mailbox_close(&other);
}

static void copies_have_the_flags_of_their_source(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, copy_two);
	node_stop(&node);
}

struct mover {
	struct obox_mailbox *box, *to;
	uint32_t uid;
};

static void move_in_fiber(void *arg)
{
	struct mover *m = arg;
	struct obox_result result;
	struct lab_error err;

	OK(obox_move(m->box, &m->uid, 1, m->to, &result, &err));
}

/* Whether the source was gone when its copy came to be. */
static bool copy_beside(
	struct node *node, struct mover *mover, struct obox_mailbox *to, uint64_t after_ns)
{
	struct obox_result result;
	struct lab_error err;
	bool is_copied, is_gone;

	mover->uid = deliver(mover->box, "1");
	(void)store(mover->box, mover->uid, SEEN, true);
	(void)store(mover->box, mover->uid, WORK, true);
	OK(env_spawn(node->user->env, "move", move_in_fiber, mover, &err));
	env_sleep(node->user->env, after_ns);
	is_copied = obox_copy(mover->box, &mover->uid, 1, to, &result, &err) == 0;
	is_gone = obox_mailbox_find(mover->box, mover->uid) == NULL;
	assert_true(!is_copied || (obox_has_flag(to, result.saved.uid, SEEN) &&
					  obox_has_flag(to, result.saved.uid, WORK)));
	env_sleep(node->user->env, 20 * LAB_SEC);
	return is_copied && is_gone;
}

static void copy_sources_that_move(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *to = box_open(node, "Other");
	struct mover mover = { .box = box, .to = to };
	unsigned late = 0;

	for (unsigned i = 0; i < 50; i++)
		late += copy_beside(node, &mover, to, i * node->rig->delay_ns / 4);
	assert_true(late > 0);
	obox_mailbox_close(&box);
	obox_mailbox_close(&to);
}

static void copies_have_the_flags_of_a_source_that_is_moved_meanwhile(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, copy_sources_that_move);
	node_stop(&node);
}

static void save_with_flags(struct node *node)
{
	const struct lab_view flags[] = { SEEN, LAB_VIEW("no keyword"), WORK };
	struct obox_save save = { .body = LAB_VIEW("1"), .flags = flags, .flag_count = 3 };
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t other = deliver(box, "2");
	struct lab_view names[4];
	struct obox_saved saved;
	struct lab_error err;

	OK(obox_save(box, &save, &saved, &err));
	assert_int_equal(obox_flags(box, saved.uid, names, 4), 2);
	assert_true(lab_view_eq_cstr(names[0], "\\Seen"));
	assert_true(lab_view_eq_cstr(names[1], "$Work"));
	assert_int_equal(obox_flags(box, saved.uid, names, 1), 1);
	assert_int_equal(obox_flags(box, other, names, 4), 0);
	assert_int_equal(obox_flags(box, 99, names, 4), 0);
	(void)store(box, saved.uid, SEEN, false);
	assert_int_equal(obox_flags(box, saved.uid, names, 4), 1);
	assert_true(lab_view_eq_cstr(names[0], "$Work"));
	assert_true(obox_mailbox_modseq(box, saved.uid) > obox_mailbox_modseq(box, other));
	obox_mailbox_close(&box);
}

static void a_mail_is_saved_with_its_flags(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, save_with_flags);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(flags_are_set_and_cleared),
		RIG_UNIT_TEST(what_is_no_flag_is_refused),
		RIG_UNIT_TEST(a_clean_stop_and_a_rescan_keep_flags),
		RIG_UNIT_TEST(a_mail_is_saved_with_its_flags),
		RIG_UNIT_TEST(copies_have_the_flags_of_their_source),
		RIG_UNIT_TEST(copies_have_the_flags_of_a_source_that_is_moved_meanwhile),
	};

	return cmocka_run_group_tests_name("obox-flags", tests, NULL, NULL);
}
