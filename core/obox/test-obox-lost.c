/* SPDX-License-Identifier: Apache-2.0
 *
 * Mails whose objects are not there: lost and temporarily lost, obox_autofix_storage,
 * obox_fetch_lost_mails_as_empty, and the look-ups of a rescan with their limit.
 */
#include "core/obox/test-support.h"

#define LOST "Object exists in dict, but not in storage"

static void object_path(const struct obox_mailbox *box, uint32_t uid, char path[200])
{
	const struct obox_mail *mail = obox_mailbox_find(box, uid);
	char oid[2 * OBOX_OID_BYTES_MAX + 1];

	lab_hex(mail->oid, mail->oid_len, oid);
	snprintf(path, 200, MAILS "/%s", oid);
}

static void row_key(const struct obox_mailbox *box, uint32_t uid, char key[200])
{
	char name[OBOX_GUID_HEX + 1];

	lab_hex(obox_mailbox_find(box, uid)->name, ENV_GUID128_SIZE, name);
	snprintf(key, 200, "shared/dictmap/" USER "/mailboxes/%s/0/%s", obox_mailbox_guid(box),
		name);
}

/* Its copy in fscache, too. */
static void lose_object(struct node *node, const struct obox_mailbox *box, uint32_t uid)
{
	struct lab_view *names;
	struct lab_error err;
	char path[200], cached[300];
	size_t count;

	object_path(box, uid, path);
	assert_true(rig_has_object(node->rig, path));
	rig_remove_object(node->rig, path);
	OK(env_list(node->user->env, "/cache", 1000, node->rig->arena, &names, &count, &err));
	for (size_t i = 0; i < count; i++) {
		snprintf(cached, sizeof(cached), "/cache/%.*s", LAB_VIEW_ARG(names[i]));
		(void)env_unlink(node->user->env, cached, &err);
	}
}

static void set_conf(struct node *node, bool autofix, bool as_empty)
{
	node->conf.obox_autofix_storage = autofix;
	node->conf.obox_fetch_lost_mails_as_empty = as_empty;
}

NODE_TEST(a_lost_mail_is_an_error_and_stays)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_view body;
	struct lab_error err;

	deliver(box, "one");
	lose_object(node, box, 1);
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	SAYS(LOST);
	assert_int_equal(node->rig->counts.events[LAB_EV_fs_dictmap_object_lost], 1);
	assert_int_equal(obox_mailbox_count(box), 1);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 1);
	FAILS(obox_fetch(box, 1, node->rig->arena, &body, NULL), err.code);
	obox_mailbox_close(&box);
}

NODE_TEST(a_lost_mail_is_empty_if_the_settings_say_so)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_view body = LAB_VIEW("?");
	struct lab_error err;
	char key[200];

	deliver(box, "one");
	deliver(box, "two");
	lose_object(node, box, 1);
	lose_object(node, box, 2);
	set_conf(node, false, true);
	OK(fetch(node, box, 1, &body, &err));
	assert_int_equal(body.len, 0);
	/* Its size is still that of the mail. */
	assert_int_equal(obox_mailbox_find(box, 1)->size, 3);
	/* What was expunged elsewhere is not lost, and what cannot be asked is not empty. */
	row_key(box, 2, key);
	rig_remove_row(node->rig, key);
	FAILS(fetch(node, box, 2, &body, &err), LAB_NOT_FOUND);
	rig_fail_at(node->rig, 1, RIG_FAIL);
	FAILS(fetch(node, box, 1, &body, &err), LAB_UNAVAILABLE);
	obox_mailbox_close(&box);
}

NODE_TEST(autofix_drops_from_the_index_and_nowhere_else)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_view body;
	struct lab_error err;
	uint64_t modseq;
	char key[200];

	deliver(box, "one");
	deliver(box, "two");
	lose_object(node, box, 1);
	row_key(box, 1, key);
	modseq = obox_mailbox_highest_modseq(box);
	set_conf(node, true, false);
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	SAYS(LOST);
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_mail_dropped], 1);
	assert_null(obox_mailbox_find(box, 1));
	assert_non_null(rig_row(node->rig, key).ptr);
	assert_true(obox_mailbox_highest_modseq(box) > modseq);
	/* It stays away, although its row is listed, and nobody gets its UID. */
	OK(obox_mailbox_rescan(box, &err));
	assert_non_null(strstr(node->rig->last_event, "mails_new=0 mails_temp_lost=1"));
	assert_box(node, box, "2:two ");
	assert_int_equal(deliver(box, "three"), 3);
	obox_mailbox_close(&box);
}

NODE_TEST(autofix_and_empty_give_the_mail_once)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_view body = LAB_VIEW("?");
	struct lab_error err;

	deliver(box, "one");
	lose_object(node, box, 1);
	set_conf(node, true, true);
	OK(fetch(node, box, 1, &body, &err));
	assert_int_equal(body.len, 0);
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	assert_int_equal(obox_mailbox_count(box), 0);
	obox_mailbox_close(&box);
}

/* Each step of it fails, in each way: the mail stays, or it goes, and the other one is not hurt. */
static bool fail_step(struct node *node, unsigned step, enum rig_fault fault)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t lost = deliver(box, "lost"), kept = deliver(box, "kept");
	struct obox_result result;
	struct lab_view body;
	struct lab_error err;
	bool fired;

	lose_object(node, box, lost);
	rig_fail_at(node->rig, step, fault);
	if (fetch(node, box, lost, &body, &err) == 0)
		fail_msg("step %u, %s: a lost mail was read", step, rig_fault_name(fault));
	fired = node->rig->fired;
	rig_fail_at(node->rig, 0, RIG_FAIL);
	rig_apply_late(node->rig);
	OK(fetch(node, box, kept, &body, &err));
	assert_view(body, "kept");
	FAILS(fetch(node, box, lost, &body, &err), LAB_NOT_FOUND);
	assert_null(obox_mailbox_find(box, lost));
	OK(obox_expunge(box, &kept, 1, &result, &err));
	obox_mailbox_close(&box);
	return fired;
}

NODE_TEST(autofix_survives_the_failure_of_each_step)
{
	unsigned fired = 0;

	set_conf(node, true, false);
	for (unsigned step = 1; step <= 12; step++) {
		for (unsigned fault = RIG_FAIL; fault <= RIG_UNCERTAIN_LATE; fault++)
			fired += fail_step(node, step, (enum rig_fault)fault);
	}
	assert_true(fired > 20);
}

NODE_TEST(what_was_dropped_is_listed_again_without_the_setting)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;
	struct lab_view body;

	deliver(box, "one");
	lose_object(node, box, 1);
	set_conf(node, true, false);
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	assert_null(obox_mailbox_find(box, 1));
	set_conf(node, false, false);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 1);
	assert_int_equal(obox_mailbox_mail(box, 0)->uid, 2);
	obox_mailbox_close(&box);
}

/* ---- look-ups of a rescan ---- */

static void forget_index(struct node *node, struct obox_mailbox *box)
{
	struct lab_error err;

	/* Nothing of it was uploaded: the listing is all that is left. */
	obox_index_reset(&box->index, NULL);
	OK(obox_mailbox_rescan(box, &err));
	(void)node;
}

NODE_TEST(a_rescan_learns_what_storage_says_of_new_mails)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_save save = { .body = LAB_VIEW("hello"), .received = 1234 };
	struct obox_saved saved;
	const struct obox_mail *mail;
	struct lab_error err;

	OK(obox_save(box, &save, &saved, &err));
	forget_index(node, box);
	mail = obox_mailbox_mail(box, 0);
	assert_memory_equal(mail->guid, saved.guid, sizeof(saved.guid));
	assert_int_equal(mail->size, 5);
	assert_int_equal(mail->received, 1234);
	assert_int_equal(mail->saved, env_wall_seconds(node->user->env));
	assert_non_null(strstr(node->rig->last_event, "guid_lookups=1 guid_lookups_skipped=0"));
	obox_mailbox_close(&box);
}

static void look_up_two(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned heads;

	for (int i = 0; i < 5; i++)
		deliver(box, "mail");
	heads = node->rig->counts.heads;
	forget_index(node, box);
	assert_int_equal(node->rig->counts.heads, heads + 2);
	assert_int_equal(obox_mailbox_count(box), 5);
	assert_non_null(strstr(node->rig->last_event, "guid_lookups=2 guid_lookups_skipped=3"));
	/* The oldest first. */
	assert_int_equal(obox_mailbox_mail(box, 1)->size, 4);
	assert_int_equal(obox_mailbox_mail(box, 2)->size, UINT64_MAX);
	obox_mailbox_close(&box);
}

static void look_ups_have_a_limit(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.settings.guid_lookups_max = 2;
	rig_boot(*state, 0);
	node_run(&node, node_start_user);
	node_run(&node, look_up_two);
	node_stop(&node);
}

NODE_TEST(a_look_up_that_fails_fails_nothing_else)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	for (int i = 0; i < 25; i++)
		deliver(box, "mail");
	node->rig->only = MAILS;
	rig_fail_at(node->rig, 1, RIG_FAIL);
	node->rig->fail_from_then_on = true;
	forget_index(node, box);
	assert_true(node->rig->fired);
	node->rig->fail_from_then_on = false;
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_int_equal(obox_mailbox_count(box), 25);
	/* Nobody waits for a storage that does not answer more often than once beside others. */
	assert_non_null(strstr(node->rig->last_event, "guid_lookups=10 guid_lookups_skipped=15"));
	obox_mailbox_close(&box);
}

NODE_TEST(new_mails_without_objects_are_temporarily_lost)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "one");
	deliver(box, "two");
	lose_object(node, box, 1);
	forget_index(node, box);
	assert_int_equal(obox_mailbox_count(box), 2);
	assert_non_null(strstr(node->rig->last_event,
		"mails_new=2 mails_temp_lost=1 mails_lost=0 mails_lost_during_resync=0 "
		"mails_kept=0 mails_total=2"));
	obox_mailbox_close(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_lost_mail_is_an_error_and_stays),
		RIG_UNIT_TEST(a_lost_mail_is_empty_if_the_settings_say_so),
		RIG_UNIT_TEST(autofix_drops_from_the_index_and_nowhere_else),
		RIG_UNIT_TEST(autofix_and_empty_give_the_mail_once),
		RIG_UNIT_TEST(autofix_survives_the_failure_of_each_step),
		RIG_UNIT_TEST(what_was_dropped_is_listed_again_without_the_setting),
		RIG_UNIT_TEST(a_rescan_learns_what_storage_says_of_new_mails),
		RIG_UNIT_TEST(look_ups_have_a_limit),
		RIG_UNIT_TEST(a_look_up_that_fails_fails_nothing_else),
		RIG_UNIT_TEST(new_mails_without_objects_are_temporarily_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
