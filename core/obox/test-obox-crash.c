/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders after a crash, a clean stop and damage: what is kept, what is read again, and what
 * failing steps leave.
 */
#include "core/obox/test-sync.h"

/* ---- crashes and clean stops ---- */

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
		RIG_UNIT_TEST(a_crash_costs_the_flags_of_one_interval),
		RIG_UNIT_TEST(a_crash_before_the_first_bundle_keeps_uids),
		RIG_UNIT_TEST(modseqs_grow_over_crash_after_crash),
		RIG_UNIT_TEST(a_clean_stop_uploads_what_is_important_and_keeps_the_rest),
		RIG_UNIT_TEST(what_was_not_uploaded_is_known_after_a_clean_stop),
		RIG_UNIT_TEST(after_a_crash_no_index_is_used_that_was_written_before),
		RIG_UNIT_TEST(a_damaged_bundle_costs_no_mail),
		cmocka_unit_test(whatever_fails_before_a_crash_uids_and_mails_stay),
	};

	return cmocka_run_group_tests_name("obox-crash", tests, NULL, NULL);
}
