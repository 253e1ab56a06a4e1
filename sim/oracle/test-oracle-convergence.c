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

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(equal_views_pass),
		t_backends_test(what_is_different_is_found),
		t_backends_test(views_of_before_may_be_different),
		t_backends_test(what_fails_after_heal_is_found),
	};

	return cmocka_run_group_tests_name("oracle-convergence", tests, NULL, NULL);
}
