/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant 22: backends that have told each other everything show the same.
 */
#include "sim/oracle/testing-metacache.h"

struct view {
	struct t_list list;
	struct t_mail mails[2];
	size_t count;
};

static const struct view common = { { .uidnext = 9, .highest = 5000 },
	{ { .n = 1, .uid = 3, .flags = T_SEEN, .modseq = 100 },
		{ .n = 2, .uid = 5, .modseq = 100 } },
	2 };

static void see(unsigned host, const struct view *view, bool is_converged)
{
	struct history_sighting seen[2] = { 0 };
	struct history_op op = t_list_op(host, &view->list);
	uint32_t id;

	op.is_converged = is_converged;
	id = t_begin(&op);
	for (size_t i = 0; i < view->count; i++) {
		seen[i].uid = view->mails[i].uid;
		seen[i].flags = view->mails[i].flags;
		seen[i].modseq = view->mails[i].modseq;
		seen[i].object = t_object(view->mails[i].n, view->mails[i].n);
	}
	history_sight(t.history, id, seen, view->count);
	t_end(id, &op, HISTORY_OK);
}

static void finish(void)
{
	t_start(T_AUDIT);
	t_lists(T_AUDIT, { .uidvalidity = 5000 }, { .n = 1 }, { .n = 2 });
}

static void deliver(void)
{
	t_deliver_at(1, 1, 0);
	t_deliver_at(2, 2, 0);
	(void)t_run(t_store_op(1, 1, T_SEEN, true, false), HISTORY_UNCERTAIN);
}

static void equal_views_pass(void **state)
{
	(void)state;
	deliver();
	see(1, &common, true);
	see(2, &common, true);
	finish();
	t_passes();
}

static void what_is_different_is_found(void **state)
{
	static const char *const words[] = { "UIDVALIDITYs", "numbers of mails", "mails, or UIDs",
		"flags", "UIDNEXTs" };

	for (unsigned i = 0; i < LAB_COUNT_OF(words); i++) {
		struct view other = common;

		other.list.uidvalidity = i == 0 ? 200 : 0;
		other.count = i == 1 ? 1 : 2;
		other.mails[1].uid = i == 2 ? 6 : 5;
		other.mails[0].flags = i == 3 ? 0 : T_SEEN;
		other.list.uidnext = i == 4 ? 10 : 9;
		deliver();
		see(1, &common, true);
		see(2, &other, true);
		see(3, &other, false);
		finish();
		assert_non_null(strstr(t_finds("I22 backends disagree")->sentence, words[i]));
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Which replicas have heard of it is another matter each time. */
static void an_expunge_of_which_nobody_knows_may_have_happened_for_one(void **state)
{
	struct view other = common;

	(void)state;
	other.count = 1;
	deliver();
	(void)t_expunge(0, 2, 2, 2, HISTORY_UNCERTAIN);
	see(1, &common, true);
	see(2, &other, true);
	finish();
	t_passes();
}

static void but_not_for_other_mails(void **state)
{
	static const struct {
		unsigned expunged;
		enum history_outcome outcome;
		const char *words;
	} rows[] = { { 1, HISTORY_UNCERTAIN, "numbers of mails" },
		{ 2, HISTORY_FAIL, "numbers of mails" } };

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct view other = common;

		other.count = 1;
		deliver();
		(void)t_expunge(
			0, rows[i].expunged, rows[i].expunged, rows[i].expunged, rows[i].outcome);
		see(1, &common, true);
		see(2, &other, true);
		finish();
		assert_non_null(strstr(t_finds("I22 backends disagree")->sentence, rows[i].words));
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void views_of_before_may_be_different(void **state)
{
	struct view other = common;

	(void)state;
	other.count = 1;
	deliver();
	see(1, &common, true);
	see(2, &other, false);
	finish();
	t_passes();
}

static void what_fails_after_heal_is_found(void **state)
{
	struct history_op op;

	(void)state;
	deliver();
	op = t_op_at(HISTORY_FLUSH, 1, 0);
	(void)t_run(op, HISTORY_OK);
	(void)t_run(op, HISTORY_FAIL);
	finish();
	assert_non_null(strstr(t_finds("I22 cannot converge")->sentence, "flush failed"));
	(void)t_teardown(state);
	(void)t_setup_backends(state);
	deliver();
	op = t_op_at(HISTORY_SELECT, 1, 0);
	(void)t_run(op, HISTORY_FAIL);
	op.is_converged = true;
	(void)t_run(op, HISTORY_FAIL);
	finish();
	assert_non_null(strstr(t_finds("I22 cannot converge")->sentence, "select failed"));
}

/* ---- folders ---- */

static void judge_only(void)
{
	struct oracle_case c = t_case();

	oracle_judge(t.oracle, &c, &t.verdict);
}

static struct history_op select_as(const char *name, unsigned guid)
{
	struct history_op op = t_op_at(HISTORY_SELECT, 1, 0);

	op.folder = lab_view_cstr(name);
	t_folder_guid(guid, op.mailbox_guid);
	return op;
}

static void expect_folder(struct history_op op, const char *name)
{
	uint32_t id = t_run(op, HISTORY_OK);

	assert_true(lab_view_eq_cstr(history_op(t.history, id - 1)->folder, name));
}

#define SECOND "02020202020202020202020202020202"

/* The whole of it: folders made at the same nanosecond of two seconds begin alike. */
static void a_folder_is_known_by_its_guid(void **state)
{
	struct history_op copy, lost = select_as("Work", 0);

	(void)state;
	expect_folder(select_as("Work", 0), "Work");
	expect_folder(select_as("Work", 1), "Work#" SECOND);
	expect_folder(select_as("Work-02020202", 1), "Work#" SECOND);
	expect_folder(select_as("Renamed", 0), "Work");
	expect_folder(select_as("Other", 2), "Other");
	copy = select_as("Other", 2);
	copy.kind = HISTORY_COPY;
	copy.target = LAB_VIEW("Work");
	t_folder_guid(1, copy.target_guid);
	assert_true(lab_view_eq_cstr(
		history_op(t.history, t_run(copy, HISTORY_OK) - 1)->target, "Work#" SECOND));
	memset(lost.mailbox_guid, 0, sizeof(lost.mailbox_guid));
	expect_folder(lost, "Work");
}

static void a_folder_that_is_in_no_list_is_lost(void **state)
{
	struct history_op list = t_op_at(HISTORY_LIST, 1, 0);

	(void)state;
	t_deliver_at(1, 1, 0);
	(void)t_run(list, HISTORY_OK);
	judge_only();
	assert_string_not_equal(t.verdict.unknown, "");
	t_start(T_AUDIT);
	list = t_op_at(HISTORY_LIST, T_AUDIT, 0);
	(void)t_run(list, HISTORY_FAIL);
	judge_only();
	assert_string_not_equal(t.verdict.unknown, "");
	(void)t_run(list, HISTORY_OK);
	assert_int_equal(t_finds("I11 lost folder")->invariant, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(equal_views_pass),
		t_backends_test(what_is_different_is_found),
		t_backends_test(an_expunge_of_which_nobody_knows_may_have_happened_for_one),
		t_backends_test(but_not_for_other_mails),
		t_backends_test(views_of_before_may_be_different),
		t_backends_test(a_folder_is_known_by_its_guid),
		t_backends_test(a_folder_that_is_in_no_list_is_lost),
		t_backends_test(what_fails_after_heal_is_found),
	};

	return cmocka_run_group_tests_name("oracle-convergence", tests, NULL, NULL);
}
