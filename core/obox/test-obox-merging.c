/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders on two backends: what each has of the other's changes, with and without
 * metacache_index_merging.
 */
#include "core/obox/test-sync.h"

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

static uint32_t uidvalidity;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("obox-merging", tests, NULL, NULL);
}
