/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders and their bundles: when they are uploaded, as what, at which cost; what a crash and a
 * move to another backend keep; and what failing steps leave.
 */
#include "core/obox/test-support.h"

#include "core/obox/metacache.h"

#define UPLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished])
#define DOWNLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_download_finished])

static void set(struct obox_mailbox *box, uint32_t uid, const char *flag, bool is_set)
{
	struct lab_error err;

	if (obox_store(box, uid, lab_view_cstr(flag), is_set, &err) < 0)
		fail_msg("%s", err.message);
}

static void expunge(struct obox_mailbox *box, uint32_t uid)
{
	struct obox_result result;
	struct lab_error err;

	OK(obox_expunge(box, &uid, 1, &result, &err));
}

static void show(struct obox_mailbox *box)
{
	struct lab_error err;

	OK(obox_mailbox_show(box, &err));
}

static void pass(struct node *node, uint64_t ns)
{
	env_sleep(node->user->env, ns);
}

/* Bundles of the folder that have a row. */
static size_t bundle_rows(struct node *node, struct obox_mailbox *box, bool is_base)
{
	char prefix[200];

	snprintf(prefix, sizeof(prefix), "shared/%s/" USER "/mailboxes/%s/idx/",
		is_base ? "dictmap" : "dictdiffmap", obox_mailbox_guid(box));
	return rig_row_count(node->rig, prefix);
}

static void start_counting(struct rig *rig)
{
	rig->counts = (struct rig_counts){ 0 };
}

#define COSTS(puts_, gets_, deletes_, sets_, unsets_, iterations_) \
	do { \
		assert_int_equal(node->rig->counts.puts, puts_); \
		assert_int_equal(node->rig->counts.gets, gets_); \
		assert_int_equal(node->rig->counts.deletes, deletes_); \
		assert_int_equal(node->rig->counts.sets, sets_); \
		assert_int_equal(node->rig->counts.unsets, unsets_); \
		assert_int_equal(node->rig->counts.iterations, iterations_); \
	} while (0)

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

static void fill(struct obox_mailbox *box, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		deliver(box, "x");
}

static void flush(struct node *node)
{
	struct lab_error err;

	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
}

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

/* ---- crashes and other backends ---- */

static uint32_t uidvalidity;
static uint64_t highest_modseq;
static enum fault_disk crash_disk;

/* Before anything else happens: what is due is not uploaded. */
static void crash(struct node *node)
{
	world_crash(node->rig->hosts[node->host].host, crash_disk);
}

static void reboot(struct node *node)
{
	rig_boot(node->rig, node->host);
	node_run(node, node_start_user);
}

static void work_and_crash(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 3);
	set(box, 2, "\\Seen", true);
	set(box, 3, "$Work", true);
	pass(node, 6 * LAB_MINUTE);
	deliver(box, "four");
	expunge(box, 1);
	deliver(box, "five");
	deliver(box, "six");
	set(box, 2, "\\Deleted", true);
	show(box);
	uidvalidity = obox_mailbox_uidvalidity(box);
	highest_modseq = obox_mailbox_highest_modseq(box);
	crash(node);
}

static void find_it_again(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_uidvalidity(box), uidvalidity);
	assert_box(node, box, "2:x 3:x 4:four 5:five 6:six ");
	assert_int_equal(obox_mailbox_uidnext(box), 7);
	assert_true(obox_mailbox_highest_modseq(box) > highest_modseq);
	assert_true(obox_has_flag(box, 2, LAB_VIEW("\\Seen")));
	assert_true(obox_has_flag(box, 3, LAB_VIEW("$work")));
	/* Not uploaded yet: that is what a crash costs. */
	assert_false(obox_has_flag(box, 2, LAB_VIEW("\\Deleted")));
	obox_mailbox_close(&box);
}

static void a_crash_costs_the_flags_of_one_interval(void **state)
{
	static const enum fault_disk disks[] = { FAULT_DISK_KEEP, FAULT_DISK_LOSE_UNSYNCED,
		FAULT_DISK_WIPE };

	for (size_t i = 0; i < LAB_COUNT_OF(disks); i++) {
		struct rig *rig = i == 0 ? *state : rig_new();
		struct node node;

		node_start(&node, rig, 0);
		crash_disk = disks[i];
		node_run(&node, work_and_crash);
		reboot(&node);
		node_run(&node, find_it_again);
		node_stop(&node);
		if (i > 0)
			rig_free(&rig);
	}
}

static void crash_before_the_first_bundle(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 4);
	set(box, 2, "\\Seen", true);
	show(box);
	uidvalidity = obox_mailbox_uidvalidity(box);
	highest_modseq = obox_mailbox_highest_modseq(box);
	assert_int_equal(UPLOADS(node->rig), 0);
	obox_mailbox_close(&box);
}

static void same_without_bundles(struct node *node)
{
	struct obox_mailbox *box;

	pass(node, (60 * LAB_MINUTE));
	box = box_open(node, "INBOX");
	assert_int_equal(obox_mailbox_uidvalidity(box), uidvalidity);
	assert_box(node, box, "1:x 2:x 3:x 4:x ");
	assert_true(obox_mailbox_highest_modseq(box) > highest_modseq);
	obox_mailbox_close(&box);
}

/* Nobody has uploaded anything, and nobody knows what the one before has shown. */
static void lose_a_flag(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_true(obox_mailbox_highest_modseq(box) > highest_modseq);
	set(box, 2, "\\Seen", true);
	highest_modseq = obox_mailbox_highest_modseq(box);
	obox_mailbox_close(&box);
}

static void modseqs_grow_over_crash_after_crash(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, crash_before_the_first_bundle);
	for (unsigned i = 0; i < 3; i++) {
		node_crash(&node, FAULT_DISK_KEEP);
		node_run(&node, lose_a_flag);
	}
	node_stop(&node);
}

static void a_crash_before_the_first_bundle_keeps_uids(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, crash_before_the_first_bundle);
	node_crash(&node, FAULT_DISK_WIPE);
	node_run(&node, same_without_bundles);
	node_stop(&node);
}

static void open_and_change(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	deliver(box, "two");
	set(box, 1, "\\Seen", true);
	obox_mailbox_close(&box);
}

static void nothing_was_lost(struct node *node)
{
	struct obox_mailbox *box;

	start_counting(node->rig);
	box = box_open(node, "INBOX");
	assert_int_equal(DOWNLOADS(node->rig), 0);
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	assert_box(node, box, "1:one 2:two ");
	/* Unimportant changes are there still, and known to be. */
	flush(node);
	assert_int_equal(UPLOADS(node->rig), 0);
	deliver(box, "three");
	flush(node);
	assert_int_equal(UPLOADS(node->rig), 1);
	assert_int_equal(bundle_rows(node, box, false), 1);
	obox_mailbox_close(&box);
}

static void a_clean_stop_uploads_what_is_important_and_keeps_the_rest(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, open_and_change);
	node_stop(&node);
	assert_int_equal(UPLOADS(node.rig), 1);
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, nothing_was_lost);
	node_stop(&node);
}

static void deliver_only(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	obox_mailbox_close(&box);
}

static void still_to_be_uploaded(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	flush(node);
	assert_int_equal(UPLOADS(node->rig), 1);
	obox_mailbox_close(&box);
}

static void what_was_not_uploaded_is_known_after_a_clean_stop(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, deliver_only);
	node_stop(&node);
	assert_int_equal(UPLOADS(node.rig), 0);
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, still_to_be_uploaded);
	node_stop(&node);
}

static void use_two_folders(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *work = box_open(node, "Work");

	deliver(box, "one");
	deliver(work, "two");
	set(work, 1, "\\Seen", true);
	obox_mailbox_close(&box);
	obox_mailbox_close(&work);
}

static void use_one_and_crash(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "three");
	crash(node);
}

static void expect_download_of_the_other(struct node *node)
{
	struct obox_mailbox *work;

	start_counting(node->rig);
	work = box_open(node, "Work");
	assert_int_equal(DOWNLOADS(node->rig), 1);
	assert_true(obox_has_flag(work, 1, LAB_VIEW("\\Seen")));
	assert_box(node, work, "1:two ");
	obox_mailbox_close(&work);
}

/* Invariant 25: its file says "clean", and was written before the crash. */
static void after_a_crash_no_index_is_used_that_was_written_before(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, use_two_folders);
	node_stop(&node);
	crash_disk = FAULT_DISK_KEEP;
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, use_one_and_crash);
	reboot(&node);
	node_run(&node, expect_download_of_the_other);
	node_stop(&node);
}

/* Two backends, one user, flags and expunges on both. */
static void second_changes(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	set(box, 1, "\\Flagged", true);
	set(box, 2, "$Two", true);
	expunge(box, 3);
	flush(node);
	obox_mailbox_close(&box);
}

static void first_changes(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	set(box, 1, "\\Seen", true);
	set(box, 3, "\\Answered", true);
	obox_mailbox_close(&box);
}

static void first_prepares(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 4);
	flush(node);
	obox_mailbox_close(&box);
}

static void expect_both(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:x 2:x 4:x ");
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Flagged")));
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("$Two")));
	flush(node);
	obox_mailbox_close(&box);
}

static void two_backends_have_the_changes_of_both(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_start(&second, *state, 1);
	node_run(&first, first_prepares);
	node_run(&second, second_changes);
	node_run(&first, first_changes);
	node_run(&first, expect_both);
	node_run(&second, expect_both);
	node_stop(&first);
	node_stop(&second);
	assert_true(first.rig->counts.events[LAB_EV_obox_index_merge_finished] >= 3);
}

/* UID 5 was shown here, of a mail whose row is gone before any bundle has it: as one of another
 * host that failed, and was cleaned up. */
static void has_had_another_fifth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;
	char key[300], name[2 * ENV_GUID128_SIZE + 1];

	assert_int_equal(deliver(box, "gone"), 5);
	lab_hex(obox_mailbox_find(box, 5)->name, ENV_GUID128_SIZE, name);
	snprintf(key, sizeof(key), "shared/dictmap/" USER "/mailboxes/%s/0/%s",
		obox_mailbox_guid(box), name);
	rig_remove_row(node->rig, key);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 4);
	assert_int_equal(deliver(box, "mine"), 6);
	obox_mailbox_close(&box);
}

static void shows_it_as_the_fifth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	show(box);
	assert_box(node, box, "1:x 2:x 3:x 4:x 5:mine ");
	flush(node);
	obox_mailbox_close(&box);
}

static void shows_it_as_the_sixth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	show(box);
	assert_box(node, box, "1:x 2:x 3:x 4:x 6:mine ");
	obox_mailbox_close(&box);
}

/* Its clients see the sixth mail before the other host hears of it. */
static void whoever_keeps_its_own_uid_says_that_the_other_changes(void **state)
{
	struct node first, second;
	unsigned *said;

	node_start(&first, *state, 0);
	node_start(&second, *state, 1);
	said = &first.rig->counts.events[LAB_EV_obox_index_merge_uids_renumbered];
	node_run(&first, first_prepares);
	node_run(&first, has_had_another_fifth);
	node_run(&second, shows_it_as_the_fifth);
	assert_int_equal(*said, 0);
	node_run(&first, shows_it_as_the_sixth);
	assert_int_equal(*said, 1);
	node_run(&second, shows_it_as_the_sixth);
	assert_int_equal(*said, 2);
	node_run(&first, shows_it_as_the_sixth);
	assert_int_equal(*said, 2);
	node_stop(&first);
	node_stop(&second);
}

/* ---- metacache_index_merging ---- */

static void start_with_merging(struct node *node, struct rig *rig, unsigned host,
	enum conf_index_merging merging, unsigned max_renumbers)
{
	node_init(node, rig, host);
	node->conf.metacache_index_merging = merging;
	node->conf.metacache_merge_max_uid_renumbers = max_renumbers;
	rig_boot(rig, host);
	node_run(node, node_start_user);
}

/* Not uploaded: a flag, and a mail with a UID that nobody else knows. */
static void first_saves_and_changes(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "mine");
	set(box, 5, "\\Answered", true);
	first_changes(node);
	obox_mailbox_close(&box);
}

static void has_what_the_second_did(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint64_t before = box->index.state->highest_modseq;
	uint64_t author = box->index.state->authors[box->index.author].id;
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_index_merge_skipped], 1);
	/* UID 5 was told already, of that mail. */
	assert_box(node, box, "1:x 2:x 4:x 5:mine ");
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Flagged")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("$Two")));
	assert_false(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	assert_false(obox_has_flag(box, 5, LAB_VIEW("\\Answered")));
	assert_true(box->index.state->highest_modseq > before);
	assert_true(box->index.state->authors[box->index.author].id != author);
	set(box, 1, "\\Draft", true);
	flush(node);
	obox_mailbox_close(&box);
}

/* It has all that this one had: nothing is given up any more. */
static void follows_the_first(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_index_merge_skipped], 1);
	assert_box(node, box, "1:x 2:x 4:x 5:mine ");
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Draft")));
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Flagged")));
	obox_mailbox_close(&box);
}

static void without_merging_the_storage_has_the_last_word(void **state)
{
	struct node first, second;

	start_with_merging(&first, *state, 0, CONF_MERGING_NONE, 100);
	start_with_merging(&second, *state, 1, CONF_MERGING_V2, 100);
	second.conf.metacache_disable_merging = true;
	node_run(&first, first_prepares);
	node_run(&second, second_changes);
	assert_int_equal(first.rig->counts.events[LAB_EV_obox_index_merge_skipped], 0);
	node_run(&first, first_saves_and_changes);
	node_run(&first, has_what_the_second_did);
	node_run(&second, follows_the_first);
	/* What a stop leaves is the new author's. */
	node_stop(&first);
	rig_boot(first.rig, 0);
	node_run(&first, node_start_user);
	node_run(&first, follows_the_first);
	node_stop(&first);
	node_stop(&second);
}

/* By the listing alone: nothing that has to be uploaded. */
static void numbers_one(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(deliver(box, "mine"), 5);
	obox_mailbox_close(&box);
}

static void numbers_another(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:x 2:x 4:x 5:mine ");
	assert_int_equal(deliver(box, "theirs"), 6);
	obox_mailbox_close(&box);
}

static void numbers_them_alike(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t before = obox_mailbox_uidvalidity(box);
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_index_merge_skipped], 1);
	assert_box(node, box, "1:x 2:x 4:x 5:mine 6:theirs ");
	assert_int_equal(obox_mailbox_uidvalidity(box), before);
	assert_int_equal(deliver(box, "next"), 7);
	obox_mailbox_close(&box);
}

static void without_merging_new_mails_are_numbered_alike(void **state)
{
	struct node first, second;

	start_with_merging(&first, *state, 0, CONF_MERGING_NONE, 100);
	start_with_merging(&second, *state, 1, CONF_MERGING_NONE, 100);
	node_run(&first, first_prepares);
	node_run(&second, second_changes);
	node_run(&first, numbers_one);
	node_run(&second, numbers_another);
	node_run(&first, numbers_them_alike);
	node_stop(&first);
	node_stop(&second);
}

static void takes_it_from_the_list(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t first = obox_mailbox_uidvalidity(box);
	const unsigned *told =
		&node->rig->counts.events[LAB_EV_obox_index_merge_uidvalidity_changed];
	struct lab_error err;

	list_hears(node, box, first + 5);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_uidvalidity(box), first + 5);
	assert_int_equal(*told, 1);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(*told, 1);
	/* A client may have a mail by this one. */
	assert_int_equal(deliver(box, "one"), 1);
	list_hears(node, box, first + 9);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_uidvalidity(box), first + 5);
	assert_int_equal(*told, 1);
	obox_mailbox_close(&box);
}

static void an_empty_folder_has_the_highest_uidvalidity_of_its_hosts(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, takes_it_from_the_list);
	node_stop(&node);
}

static void second_opens(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_count(box), 4);
	obox_mailbox_close(&box);
}

static void saves_one(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 1);
	set(box, 5, "\\Seen", true);
	flush(node);
	obox_mailbox_close(&box);
}

static void rescans(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 6);
	obox_mailbox_close(&box);
}

/* UID 5 was given twice, and the limit is 0: v2 numbers all anew, v1 those two. */
static void merges_with_limit(void **state, enum conf_index_merging merging, unsigned changed)
{
	struct node first, second;
	struct rig_counts *counts;

	start_with_merging(&first, *state, 0, merging, 0);
	start_with_merging(&second, *state, 1, merging, 0);
	counts = &first.rig->counts;
	node_run(&first, first_prepares);
	node_run(&second, second_opens);
	node_run(&first, saves_one);
	node_run(&second, saves_one);
	node_run(&second, rescans);
	node_stop(&first);
	node_stop(&second);
	assert_int_equal(counts->events[LAB_EV_obox_index_merge_uidvalidity_changed], changed);
	assert_int_equal(counts->events[LAB_EV_obox_index_merge_uids_renumbered],
		merging == CONF_MERGING_V1);
}

static void v2_has_a_limit_of_renumbers(void **state)
{
	merges_with_limit(state, CONF_MERGING_V2, 1);
}

/* Or a client of the one would expunge a mail of the other. */
static void without_merging_no_uid_is_two_mails(void **state)
{
	merges_with_limit(state, CONF_MERGING_NONE, 1);
}

static void v1_has_none(void **state)
{
	merges_with_limit(state, CONF_MERGING_V1, 0);
}

static void start_with_bases(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	node->settings.self_bundle_max = 1;
	node->conf.obox_max_rescan_mail_count = 1000;
	rig_boot(node->rig, node->host);
	node_run(node, node_start_user);
}

static void saves_forty(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	fill(box, 40);
	flush(node);
	obox_mailbox_close(&box);
}

static void sees_forty(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_count(box), 40);
	obox_mailbox_close(&box);
}

/* Too much for a diff. What the second host says of each mail is the later. */
static void writes_a_base(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	for (unsigned i = 0; i < 40 * (1 + 2 * node->host); i++)
		set(box, i % 40 + 1, "\\Seen", i / 40 % 2 == 0);
	flush(node);
	obox_mailbox_close(&box);
}

static void makes_one_of_two(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	assert_int_equal(bundle_rows(node, box, true), 2);
	OK(obox_mailbox_rescan(box, &err));
	set(box, 4, "\\Flagged", true);
	flush(node);
	assert_int_equal(bundle_rows(node, box, true), 1);
	assert_int_equal(bundle_rows(node, box, false), 0);
	obox_mailbox_close(&box);
}

static void has_all_flags(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	for (uint32_t uid = 1; uid <= 40; uid++)
		assert_true(obox_has_flag(box, uid, LAB_VIEW("\\Seen")));
	assert_true(obox_has_flag(box, 4, LAB_VIEW("\\Flagged")));
	obox_mailbox_close(&box);
}

/* Invariant 18: neither knew of the other's. Small changes would stay diffs for long, and the older
 * base beside them. */
static void two_bases_become_one_with_the_next_upload(void **state)
{
	struct node first, second;

	start_with_bases(&first, *state, 0);
	start_with_bases(&second, *state, 1);
	node_run(&first, saves_forty);
	node_run(&second, sees_forty);
	node_run(&first, writes_a_base);
	node_run(&second, writes_a_base);
	node_run(&first, makes_one_of_two);
	node_run(&second, has_all_flags);
	node_stop(&first);
	node_stop(&second);
}

static void rescan_inbox(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
}

/* Both have made it: the higher UIDVALIDITY stays, so the host that had it sees no change. But
 * clients of the other one may come to it before theirs has heard of that (invariant 6). */
static void a_merge_says_that_the_others_uidvalidity_changes(void **state)
{
	struct node lower, higher;
	unsigned *said;
	uint32_t stays;

	node_start(&lower, *state, 0);
	node_start(&higher, *state, 1);
	world_clock_offset(higher.rig->hosts[1].host, 100 * 1000 * 1000);
	said = &lower.rig->counts.events[LAB_EV_obox_index_merge_uidvalidity_changed];
	node_run(&higher, rescan_inbox);
	stays = uidvalidity;
	node_run(&lower, first_prepares);
	node_run(&lower, rescan_inbox);
	assert_true(uidvalidity < stays);
	assert_int_equal(*said, 0);
	node_run(&higher, rescan_inbox);
	assert_int_equal(uidvalidity, stays);
	assert_int_equal(*said, 1);
	node_stop(&higher);
	node_stop(&lower);
}

/* By a clock that is an hour behind: the row stays. */
static void expunges_in_vain(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	expunge(box, 2);
	flush(node);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 4);
	flush(node);
	obox_mailbox_close(&box);
}

static void flags_what_it_has(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	set(box, 2, "\\Flagged", true);
	flush(node);
	obox_mailbox_close(&box);
}

static void uploads_what_it_heard(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned uploads = UPLOADS(node->rig);
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 4);
	assert_true(obox_has_flag(box, 5, LAB_VIEW("\\Flagged")));
	pass(node, 4 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), uploads);
	pass(node, 2 * LAB_MINUTE);
	assert_int_equal(UPLOADS(node->rig), uploads + 1);
	obox_mailbox_close(&box);
}

/* Also if nobody does anything else. */
static void flags_of_a_mail_that_came_back_are_uploaded(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	world_clock_offset(first.rig->hosts[1].host, INT64_C(-3600) * 1000 * 1000);
	node_start(&second, *state, 1);
	node_run(&first, first_prepares);
	node_run(&second, rescan_inbox);
	node_run(&second, expunges_in_vain);
	node_run(&first, flags_what_it_has);
	node_run(&second, uploads_what_it_heard);
	node_stop(&second);
	node_stop(&first);
}

static void look_once(struct node *node)
{
	struct obox_mailbox *box;

	start_counting(node->rig);
	box = box_open(node, "INBOX");
	obox_mailbox_close(&box);
	assert_int_equal(node->rig->counts.iterations, 3);
	assert_int_equal(node->rig->counts.gets, 1);
	start_counting(node->rig);
	box = box_open(node, "INBOX");
	obox_mailbox_close(&box);
	/* Kept. */
	COSTS(0, 0, 0, 0, 0, 0);
}

static void a_folder_is_refreshed_once(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_run(&first, first_prepares);
	node_start(&second, *state, 1);
	node_run(&second, look_once);
	node_stop(&first);
	node_stop(&second);
}

/* ---- bundles that cannot be used ---- */

static void damage_bundles(struct rig *rig)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(USER "/mailboxes/"));
	struct lab_view path;
	void *object;

	while (lab_tree_next(&iter, &path, &object)) {
		struct lab_view bytes = rig_object(rig, lab_arena_cstr(rig->arena, path));

		if (lab_view_find(path, LAB_VIEW("/idx/")) != SIZE_MAX)
			((uint8_t *)(uintptr_t)bytes.ptr)[bytes.len / 2] ^= 0x40;
	}
}

static void mails_are_there(struct node *node)
{
	struct obox_mailbox *box;

	damage_bundles(node->rig);
	start_counting(node->rig);
	box = box_open(node, "INBOX");
	assert_int_equal(node->rig->counts.events[LAB_EV_metacache_bundle_set_aside], 1);
	assert_int_equal(obox_mailbox_uidvalidity(box), uidvalidity);
	assert_box(node, box, "1:x 2:x 3:x 4:x ");
	obox_mailbox_close(&box);
}

static void a_damaged_bundle_costs_no_mail(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, crash_before_the_first_bundle);
	node_run(&node, flush);
	node_crash(&node, FAULT_DISK_WIPE);
	node_run(&node, mails_are_there);
	node_stop(&node);
}

/* ---- each step of each upload fails, and the host crashes (S1) ---- */

struct sweep {
	enum rig_fault fault;
	unsigned n;
	bool fired, acked;
};
static struct sweep sweep;

static void changes_that_fail(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	fill(box, 3);
	set(box, 1, "\\Seen", true);
	flush(node);
	crash_disk = FAULT_DISK_WIPE;
	set(box, 2, "\\Flagged", true);
	uidvalidity = obox_mailbox_uidvalidity(box);
	deliver(box, "four");
	deliver(box, "five");
	show(box);
	rig_fail_at(node->rig, sweep.n, sweep.fault);
	/* An upload, then rows and object. */
	sweep.acked = obox_expunge(box, (uint32_t[]){ 4 }, 1, &result, &err) == 0;
	crash(node);
}

static void nothing_acknowledged_is_lost(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_uidvalidity(box), uidvalidity);
	for (uint32_t uid = 1; uid <= 5; uid++) {
		if (uid != 4)
			assert_non_null(obox_mailbox_find(box, uid));
	}
	if (sweep.acked)
		assert_null(obox_mailbox_find(box, 4));
	assert_int_equal(obox_mailbox_find(box, 5)->size == 4 ||
				 obox_mailbox_find(box, 5)->size == UINT64_MAX,
		true);
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	if (sweep.acked)
		assert_true(obox_has_flag(box, 2, LAB_VIEW("\\Flagged")));
	obox_mailbox_close(&box);
}

static bool sweep_once(void)
{
	struct rig *rig = rig_new();
	struct node node;

	node_start(&node, rig, 0);
	sweep.fired = sweep.acked = false;
	node_run(&node, changes_that_fail);
	sweep.fired = rig->fired;
	rig_fail_at(rig, 0, RIG_FAIL);
	rig_apply_late(rig);
	reboot(&node);
	node_run(&node, nothing_acknowledged_is_lost);
	node_stop(&node);
	rig_free(&rig);
	return sweep.fired;
}

static void whatever_fails_before_a_crash_uids_and_mails_stay(void **state)
{
	unsigned fired = 0;
	(void)state;

	for (unsigned fault = 0; fault < RIG_FAULT_COUNT; fault++) {
		sweep.fault = (enum rig_fault)fault;
		for (sweep.n = 1; sweep_once(); sweep.n++)
			fired++;
	}
	/* PUT, INSERT, DELETE of the old bundle; two rows, a count, the object. */
	assert_true(fired >= 7 * RIG_FAULT_COUNT);
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
		RIG_UNIT_TEST(a_crash_costs_the_flags_of_one_interval),
		RIG_UNIT_TEST(a_crash_before_the_first_bundle_keeps_uids),
		RIG_UNIT_TEST(modseqs_grow_over_crash_after_crash),
		RIG_UNIT_TEST(a_clean_stop_uploads_what_is_important_and_keeps_the_rest),
		RIG_UNIT_TEST(what_was_not_uploaded_is_known_after_a_clean_stop),
		RIG_UNIT_TEST(after_a_crash_no_index_is_used_that_was_written_before),
		RIG_UNIT_TEST(two_backends_have_the_changes_of_both),
		RIG_UNIT_TEST(without_merging_the_storage_has_the_last_word),
		RIG_UNIT_TEST(whoever_keeps_its_own_uid_says_that_the_other_changes),
		RIG_UNIT_TEST(v2_has_a_limit_of_renumbers),
		RIG_UNIT_TEST(v1_has_none),
		RIG_UNIT_TEST(without_merging_no_uid_is_two_mails),
		RIG_UNIT_TEST(without_merging_new_mails_are_numbered_alike),
		RIG_UNIT_TEST(an_empty_folder_has_the_highest_uidvalidity_of_its_hosts),
		RIG_UNIT_TEST(two_bases_become_one_with_the_next_upload),
		RIG_UNIT_TEST(a_merge_says_that_the_others_uidvalidity_changes),
		RIG_UNIT_TEST(flags_of_a_mail_that_came_back_are_uploaded),
		RIG_UNIT_TEST(a_folder_is_refreshed_once),
		RIG_UNIT_TEST(a_damaged_bundle_costs_no_mail),
		cmocka_unit_test(whatever_fails_before_a_crash_uids_and_mails_stay),
	};

	return cmocka_run_group_tests_name("obox-sync", tests, NULL, NULL);
}
