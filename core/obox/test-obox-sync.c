/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders and their bundles: when they are uploaded, as what, at which cost.
 */
#include "core/obox/test-sync.h"

/* ---- when ---- */

NODE_TEST(flags_are_uploaded_within_the_interval)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	pass(node, (60 * LAB_MINUTE));
	assert_int_equal(UPLOADS(node->rig), 0);
	start_counting(node->rig);
	set(box, 1, "\\Seen", true);
	pass(node, 5 * LAB_MINUTE - LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 0);
	/* A later change does not put it off. */
	set(box, 1, "\\Flagged", true);
	pass(node, 2 * LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 1);
	COSTS(1, 0, 0, 1, 0, 0);
	pass(node, (60 * LAB_MINUTE));
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&box);
}

static void change_flag(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	set(box, 1, "\\Seen", true);
	pass(node, 31 * LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&box);
}

static void the_interval_is_a_setting(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.metacache_upload_interval_ns = 30 * LAB_SEC;
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, change_flag);
	node_stop(&node);
}

NODE_TEST(the_eleventh_new_mail_uploads_them)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	for (unsigned i = 0; i < 10; i++)
		deliver(box, "x");
	pass(node, (60 * LAB_MINUTE));
	assert_int_equal(UPLOADS(node->rig), 0);
	deliver(box, "x");
	pass(node, LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 1);
	for (unsigned i = 0; i < 10; i++)
		deliver(box, "x");
	pass(node, (60 * LAB_MINUTE));
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&box);
}

/* What is due and not done would be due again at once, for ever. */
NODE_TEST(a_deleted_folder_is_not_due)
{
	struct obox_mailbox *box = box_open(node, "Work");
	struct lab_error err;

	for (unsigned i = 0; i < 10; i++)
		deliver(box, "x");
	OK(obox_folder_delete(node->user, LAB_VIEW("Work"), NULL, &err));
	start_counting(node->rig);
	node->conf.obox_max_rescan_mail_count = 5;
	assert_int_equal(obox_store(box, 1, LAB_VIEW("\\Seen"), true, &err), -1);
	pass(node, 60 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), 0);
	obox_mailbox_close(&box);
}

NODE_TEST(a_delivery_waits_for_no_upload)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	for (unsigned i = 0; i < 10; i++)
		deliver(box, "x");
	start_counting(node->rig);
	deliver(box, "x");
	/* PUT, two rows. */
	COSTS(1, 0, 0, 2, 0, 0);
	obox_mailbox_close(&box);
}

NODE_TEST(an_expunge_of_a_mail_that_no_bundle_knows_uploads_first)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	deliver(box, "two");
	start_counting(node->rig);
	expunge(box, 2);
	assert_int_equal(UPLOADS(node->rig), 1);
	expunge(box, 1);
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&box);
}

NODE_TEST(if_it_cannot_be_uploaded_it_is_not_expunged)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	deliver(box, "one");
	node->rig->only = "/idx/";
	rig_fail_at(node->rig, 1, RIG_UNCERTAIN_NOT);
	FAILS(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err), LAB_UNAVAILABLE);
	assert_true(node->rig->fired);
	assert_int_equal(obox_mailbox_count(box), 1);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	expunge(box, 1);
	obox_mailbox_close(&box);
}

static void expunge_carelessly(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	expunge(box, 1);
	show(box);
	assert_int_equal(UPLOADS(node->rig), 0);
	obox_mailbox_close(&box);
}

static void nonreproducible_uids_may_be_allowed(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.obox_allow_nonreproducible_uids = true;
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, expunge_carelessly);
	node_stop(&node);
}

NODE_TEST(uids_in_the_order_of_creation_need_no_upload_to_be_shown)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	deliver(box, "two");
	show(box);
	assert_int_equal(UPLOADS(node->rig), 0);
	obox_mailbox_close(&box);
}

struct saver {
	struct obox_mailbox *box;
	bool is_done;
};

static void save_in_fiber(void *arg)
{
	struct saver *saver = arg;

	deliver(saver->box, "x");
	saver->is_done = true;
}

/* The first to begin is the last to end. */
NODE_TEST(uids_in_another_order_are_uploaded_before_they_are_shown)
{
	struct saver saver = { .box = box_open(node, "INBOX") };
	struct lab_error err;

	node->rig->delay_ns = LAB_SEC;
	OK(env_spawn(node->user->env, "save", save_in_fiber, &saver, &err));
	pass(node, 100 * LAB_MSEC);
	node->rig->delay_ns = LAB_MSEC;
	deliver(saver.box, "second");
	assert_false(saver.is_done);
	/* Its UID is not known yet; whoever recovers would find the first mail first. */
	show(saver.box);
	assert_int_equal(UPLOADS(node->rig), 1);
	node->rig->delay_ns = LAB_MSEC;
	pass(node, 10 * LAB_SEC);
	assert_true(saver.is_done);
	show(saver.box);
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&saver.box);
}

static void show_in_fiber(void *arg)
{
	struct saver *saver = arg;

	show(saver->box);
	saver->is_done = true;
}

/* The upload that a SELECT waits for takes its time; what came meanwhile would be shown with it. */
NODE_TEST(uids_given_during_an_upload_are_uploaded_before_they_are_shown)
{
	struct saver first = { .box = box_open(node, "INBOX") }, shown = first;
	struct lab_error err;

	node->rig->delay_ns = 10 * LAB_MINUTE;
	OK(env_spawn(node->user->env, "save", save_in_fiber, &first, &err));
	pass(node, 100 * LAB_MSEC);
	node->rig->delay_ns = LAB_MSEC;
	deliver(first.box, "second");
	node->rig->delay_ns = 20 * LAB_SEC;
	OK(env_spawn(node->user->env, "show", show_in_fiber, &shown, &err));
	pass(node, 100 * LAB_MSEC);
	node->rig->delay_ns = LAB_MSEC;
	deliver(first.box, "third");
	pass(node, 2 * LAB_MINUTE);
	assert_true(shown.is_done && !first.is_done);
	assert_int_equal(UPLOADS(node->rig), 2);
	pass(node, 60 * LAB_MINUTE);
	assert_true(first.is_done);
	obox_mailbox_close(&first.box);
}

NODE_TEST(after_an_uncertain_save_uids_are_uploaded_before_they_are_shown)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_save save = { .body = LAB_VIEW("x") };
	struct obox_saved saved;
	struct lab_error err;

	deliver(box, "one");
	rig_fail_at(node->rig, 3, RIG_UNCERTAIN_LATE);
	/* Its clean-up, too. */
	node->rig->fail_from_then_on = true;
	FAILS(obox_save(box, &save, &saved, &err), LAB_UNCERTAIN);
	assert_true(node->rig->fired);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	deliver(box, "two");
	show(box);
	assert_int_equal(UPLOADS(node->rig), 1);
	/* And so the next one: it may come yet. */
	deliver(box, "three");
	show(box);
	assert_int_equal(UPLOADS(node->rig), 2);
	rig_apply_late(node->rig);
	OK(obox_mailbox_rescan(box, &err));
	/* Now it is known. */
	deliver(box, "four");
	show(box);
	assert_int_equal(UPLOADS(node->rig), 2);
	obox_mailbox_close(&box);
}

NODE_TEST(a_flush_uploads_all_or_what_is_important)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct lab_error err;

	deliver(box, "one");
	deliver(work, "two");
	set(work, 1, "$Done", true);
	OK(backend_flush(node->backend, LAB_VIEW("nobody"), false, "test", &err));
	assert_int_equal(UPLOADS(node->rig), 0);
	OK(backend_flush(node->backend, LAB_VIEW(""), true, "metacache:flush_all_important", &err));
	assert_int_equal(UPLOADS(node->rig), 1);
	OK(backend_flush(
		node->backend, LAB_VIEW(USER), false, "metacache:flush_all_changed", &err));
	assert_int_equal(UPLOADS(node->rig), 2);
	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
	assert_int_equal(UPLOADS(node->rig), 2);
	obox_mailbox_close(&box);
	obox_mailbox_close(&work);
}

NODE_TEST(an_upload_that_fails_is_tried_again)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "one");
	set(box, 1, "\\Seen", true);
	node->rig->only = "/idx/";
	for (unsigned n = 1; n <= 2; n++) {
		rig_fail_at(node->rig, n, n == 1 ? RIG_FAIL : RIG_UNCERTAIN_NOT);
		pass(node, 5 * LAB_MINUTE + LAB_SEC);
		assert_true(node->rig->fired);
		assert_int_equal(UPLOADS(node->rig), n);
		assert_int_equal(bundle_rows(node, box, false), 0);
	}
	rig_fail_at(node->rig, 1, RIG_FAIL);
	FAILS(backend_flush(node->backend, LAB_VIEW(""), true, "test", &err), LAB_UNAVAILABLE);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	pass(node, 5 * LAB_MINUTE + LAB_SEC);
	assert_int_equal(bundle_rows(node, box, false), 1);
	obox_mailbox_close(&box);
}

NODE_TEST(uploads_of_many_mails_that_fail_are_not_tried_all_the_time)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	node->rig->only = "/idx/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	node->rig->fail_from_then_on = true;
	for (unsigned i = 0; i < 20; i++)
		deliver(box, "x");
	pass(node, 11 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), 3);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	pass(node, 5 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), 4);
	assert_int_equal(bundle_rows(node, box, false), 1);
	obox_mailbox_close(&box);
}

/* It is not in what is being written. */
NODE_TEST(a_change_beside_an_upload_is_uploaded_afterwards)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	set(box, 1, "\\Seen", true);
	pass(node, 5 * LAB_MINUTE - LAB_SEC);
	node->rig->delay_ns = 4 * LAB_SEC;
	pass(node, 2 * LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 0);
	assert_int_equal(
		node->rig->counts.events[LAB_EV_metacache_mailbox_bundle_upload_started], 1);
	set(box, 1, "\\Flagged", true);
	pass(node, 60 * LAB_SEC);
	assert_int_equal(UPLOADS(node->rig), 1);
	pass(node, 5 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), 2);
	pass(node, 10 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), 2);
	obox_mailbox_close(&box);
}

/* ---- as what (HD-6, HD-7) ---- */

NODE_TEST(small_folders_have_a_self_large_ones_a_base_and_diffs)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 5);
	flush(node);
	assert_int_equal(bundle_rows(node, box, false), 1);
	assert_int_equal(bundle_rows(node, box, true), 0);
	/* 256 kB of about 110 bytes each. */
	fill(box, 2600);
	flush(node);
	assert_int_equal(bundle_rows(node, box, true), 1);
	set(box, 7, "\\Seen", true);
	flush(node);
	assert_int_equal(bundle_rows(node, box, false), 1);
	start_counting(node->rig);
	set(box, 8, "\\Seen", true);
	flush(node);
	COSTS(1, 0, 1, 1, 0, 0);
	/* More than half of it changed. */
	for (uint32_t uid = 1; uid < 2000; uid++)
		set(box, uid, "\\Answered", true);
	start_counting(node->rig);
	flush(node);
	COSTS(1, 0, 2, 1, 2, 0);
	assert_int_equal(bundle_rows(node, box, true), 1);
	assert_int_equal(bundle_rows(node, box, false), 0);
	obox_mailbox_close(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(flags_are_uploaded_within_the_interval),
		RIG_UNIT_TEST(the_interval_is_a_setting),
		RIG_UNIT_TEST(the_eleventh_new_mail_uploads_them),
		RIG_UNIT_TEST(a_deleted_folder_is_not_due),
		RIG_UNIT_TEST(a_delivery_waits_for_no_upload),
		RIG_UNIT_TEST(an_expunge_of_a_mail_that_no_bundle_knows_uploads_first),
		RIG_UNIT_TEST(if_it_cannot_be_uploaded_it_is_not_expunged),
		RIG_UNIT_TEST(nonreproducible_uids_may_be_allowed),
		RIG_UNIT_TEST(uids_in_the_order_of_creation_need_no_upload_to_be_shown),
		RIG_UNIT_TEST(uids_in_another_order_are_uploaded_before_they_are_shown),
		RIG_UNIT_TEST(uids_given_during_an_upload_are_uploaded_before_they_are_shown),
		RIG_UNIT_TEST(after_an_uncertain_save_uids_are_uploaded_before_they_are_shown),
		RIG_UNIT_TEST(a_flush_uploads_all_or_what_is_important),
		RIG_UNIT_TEST(an_upload_that_fails_is_tried_again),
		RIG_UNIT_TEST(uploads_of_many_mails_that_fail_are_not_tried_all_the_time),
		RIG_UNIT_TEST(a_change_beside_an_upload_is_uploaded_afterwards),
		RIG_UNIT_TEST(small_folders_have_a_self_large_ones_a_base_and_diffs),
	};

	return cmocka_run_group_tests_name("obox-sync", tests, NULL, NULL);
}
