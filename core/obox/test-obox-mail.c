/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliver, fetch, copy, move, expunge: outcomes, batches, and what a failure at any step leaves.
 */
#include "core/base/defect.h"
#include "core/obox/test-support.h"

NODE_TEST(a_delivered_mail_is_fetched)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_save save = { .body = LAB_VIEW("hello"), .received = 1234 };
	struct obox_saved saved;
	const struct obox_mail *mail;
	struct lab_error err;
	char oid[2 * OBOX_OID_BYTES_MAX + 1], name[OBOX_GUID_HEX + 1];

	OK(obox_save(box, &save, &saved, &err));
	assert_int_equal(saved.uid, 1);
	assert_int_equal(saved.oid_len, 17);
	lab_hex(saved.oid, saved.oid_len, oid);
	lab_hex(saved.name, sizeof(saved.name), name);
	assert_memory_equal(oid, name, OBOX_GUID_HEX);
	assert_string_equal(oid + OBOX_GUID_HEX, "80");
	assert_memory_not_equal(saved.guid, saved.name, sizeof(saved.guid));
	mail = obox_mailbox_find(box, 1);
	assert_int_equal(mail->size, 5);
	assert_int_equal(mail->received, 1234);
	assert_int_equal(mail->saved, env_wall_seconds(node->user->env));
	assert_memory_equal(mail->guid, saved.guid, sizeof(saved.guid));
	assert_box(node, box, "1:hello ");
	assert_int_equal(deliver(box, ""), 2);
	assert_box(node, box, "1:hello 2: ");
	assert_int_equal(obox_mailbox_uidnext(box), 3);
	obox_mailbox_close(&box);
}

NODE_TEST(the_object_has_the_metadata_of_the_mail)
{
	static const char *const keys[] = { "username", "guid", "size", "received", "saved",
		"origbox", "fname" };
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;
	struct lab_view values[LAB_COUNT_OF(keys)];
	struct fs_file *file;

	deliver(box, "hello");
	file = obox_mail_open(box, obox_mailbox_find(box, 1), FS_OPEN_READONLY);
	for (size_t i = 0; i < LAB_COUNT_OF(keys); i++)
		assert_row(
			i, fs_get_metadata(file, keys[i], node->rig->arena, &values[i], &err) == 1);
	assert_view(values[0], USER);
	assert_int_equal(values[1].len, 32);
	assert_view(values[2], "5");
	assert_true(lab_view_eq(values[3], values[4]));
	assert_view(values[5], obox_mailbox_guid(box));
	assert_true(lab_view_starts_with(values[6], LAB_VIEW(USER "/mailboxes/")));
	fs_file_close(&file);
	obox_mailbox_close(&box);
}

NODE_TEST(a_mail_that_is_too_large_is_refused)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_save save = { .body = { (const uint8_t *)"x", OBOX_MAIL_MAX + 1u } };
	struct obox_saved saved;
	unsigned puts = node->rig->counts.puts;
	struct lab_error err;

	FAILS(obox_save(box, &save, &saved, &err), LAB_LIMIT);
	assert_int_equal(saved.uid, 0);
	assert_int_equal(node->rig->counts.puts, puts);
	obox_mailbox_close(&box);
}

NODE_TEST(a_failed_save_says_which_object_it_was_about_and_asks_nothing_more)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_NOT };
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_save save = { .body = LAB_VIEW("hello") };
	struct obox_saved saved;
	struct lab_error err;

	deliver(box, "first");
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		unsigned gets = node->rig->counts.gets + node->rig->counts.heads;
		unsigned lookups = node->rig->counts.lookups;

		rig_fail_at(node->rig, 1, faults[i]);
		FAILS(obox_save(box, &save, &saved, &err), LAB_UNAVAILABLE);
		SAYS("save to INBOX");
		assert_int_equal(saved.uid, 0);
		assert_int_equal(saved.oid_len, 17);
		assert_memory_equal(saved.oid, saved.name, sizeof(saved.name));
		assert_int_equal(node->rig->counts.gets + node->rig->counts.heads, gets);
		assert_int_equal(node->rig->counts.lookups, lookups);
	}
	assert_int_equal(node->rig->counts.events[LAB_EV_fs_dictmap_object_lost], 0);
	assert_int_equal(obox_mailbox_count(box), 1);
	obox_mailbox_close(&box);
}

static void use_without_ids(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned lookups = node->rig->counts.lookups;
	struct obox_result result;
	struct lab_error err;

	deliver(box, "hello");
	assert_box(node, box, "1:hello ");
	assert_true(node->rig->counts.lookups > lookups);
	/* The source's id is looked up; when that fails, nothing is asked about the copy. */
	lookups = node->rig->counts.lookups;
	rig_fail_at(node->rig, 1, RIG_FAIL);
	FAILS(obox_copy(box, (uint32_t[]){ 1 }, 1, box, &result, &err), LAB_UNAVAILABLE);
	assert_int_equal(node->rig->counts.lookups, lookups + 1);
	assert_int_equal(result.saved.oid_len, 0);
	obox_mailbox_close(&box);
}

static void object_ids_are_looked_up_if_they_are_not_to_be_used(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.obox_dont_use_object_ids = true;
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, use_without_ids);
	node_stop(&node);
}

NODE_TEST(what_is_not_there_is_not_fetched)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;
	struct lab_view body;

	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	SAYS("INBOX has no mail with UID 1");
	obox_mailbox_close(&box);
}

/* ---- copy and move ---- */

NODE_TEST(copies_are_mails_of_their_own_that_share_the_object)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result results[3];
	static const uint32_t uids[] = { 2, 1, 3 };
	unsigned puts = node->rig->counts.puts;
	struct lab_error err;

	deliver(inbox, "one");
	deliver(inbox, "two");
	deliver(inbox, "three");
	OK(obox_copy(inbox, uids, 3, work, results, &err));
	/* In the order they were asked for. */
	assert_box(node, work, "1:two 2:one 3:three ");
	assert_int_equal(node->rig->counts.puts, puts + 3);
	for (size_t i = 0; i < 3; i++) {
		const struct obox_mail *from = obox_mailbox_find(inbox, uids[i]);
		const struct obox_mail *to = obox_mailbox_find(work, results[i].saved.uid);

		assert_int_equal(results[i].err.code, LAB_OK);
		assert_true(results[i].copied);
		assert_memory_equal(from->guid, to->guid, sizeof(from->guid));
		assert_memory_equal(from->oid, to->oid, sizeof(from->oid));
		assert_memory_not_equal(from->name, to->name, sizeof(from->name));
		assert_int_equal(from->size, to->size);
	}
	/* Copying within a folder, and one UID twice. */
	OK(obox_copy(work, (uint32_t[]){ 1, 1 }, 2, work, results, &err));
	assert_box(node, work, "1:two 2:one 3:three 4:two 5:two ");
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

NODE_TEST(the_last_of_the_references_takes_the_object_with_it)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result results[2];
	struct lab_error err;

	deliver(inbox, "one");
	OK(obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, results, &err));
	OK(obox_expunge(inbox, (uint32_t[]){ 1 }, 1, results, &err));
	assert_box(node, inbox, "");
	assert_box(node, work, "1:one ");
	assert_int_equal(mail_objects(node->rig), 1);
	OK(obox_expunge(work, (uint32_t[]){ 1 }, 1, results, &err));
	assert_int_equal(mail_objects(node->rig), 0);
	assert_int_equal(rig_row_count(node->rig, "shared/dictrevmap/"), 0);
	assert_int_equal(rig_forward_rows(node->rig), 0);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

NODE_TEST(a_move_expunges_what_it_copied)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result results[3];
	struct lab_error err;

	deliver(inbox, "one");
	deliver(inbox, "two");
	FAILS(obox_move(inbox, (uint32_t[]){ 1, 7, 2 }, 3, work, results, &err), LAB_NOT_FOUND);
	assert_int_equal(results[0].err.code, LAB_OK);
	assert_int_equal(results[1].err.code, LAB_NOT_FOUND);
	assert_int_equal(results[2].err.code, LAB_OK);
	assert_box(node, inbox, "");
	assert_box(node, work, "1:one 2:two ");
	assert_int_equal(mail_objects(node->rig), 2);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

NODE_TEST(a_move_whose_delete_fails_has_both)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result result;
	struct lab_error err;

	deliver(inbox, "one");
	deliver(work, "other");
	/* The copy's forward row, then the DELETE of the old one: no look for it precedes it. */
	node->rig->only = "shared/dictmap/";
	rig_fail_at(node->rig, 2, RIG_FAIL);
	FAILS(obox_move(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err), LAB_UNAVAILABLE);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_true(result.copied);
	assert_int_equal(result.saved.uid, 2);
	assert_box(node, inbox, "1:one ");
	assert_box(node, work, "1:other 2:one ");
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

/* ---- batches ---- */

NODE_TEST(more_than_a_batch_is_refused_and_every_result_says_so)
{
	static uint32_t uids[OBOX_BATCH + 1];
	static struct obox_result results[OBOX_BATCH + 1];
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct lab_error err;

	uids[0] = deliver(inbox, "one");
	memset(results, 0, sizeof(results));
	FAILS(obox_move(inbox, uids, OBOX_BATCH + 1, work, results, &err), LAB_LIMIT);
	assert_int_equal(results[0].err.code, LAB_LIMIT);
	assert_int_equal(results[OBOX_BATCH].err.code, LAB_LIMIT);
	FAILS(obox_copy(inbox, uids, OBOX_BATCH + 1, work, results, &err), LAB_LIMIT);
	FAILS(obox_expunge(inbox, uids, OBOX_BATCH + 1, results, &err), LAB_LIMIT);
	assert_box(node, inbox, "1:one ");
	assert_int_equal(obox_mailbox_count(work), 0);
	OK(obox_expunge(inbox, uids, 0, results, &err));
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

NODE_TEST(each_result_of_an_expunge_tells_of_its_mail)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	static const uint32_t uids[] = { 1, 9, 3, 3, 2 };
	struct obox_result results[5];
	struct lab_error err;

	deliver(inbox, "one");
	deliver(inbox, "two");
	deliver(inbox, "three");
	deliver(inbox, "four");
	FAILS(obox_expunge(inbox, uids, 5, results, &err), LAB_NOT_FOUND);
	for (size_t i = 0; i < 5; i++) {
		assert_row(i, results[i].uid == uids[i]);
		assert_row(i, results[i].err.code == (i == 1 ? LAB_NOT_FOUND : LAB_OK));
	}
	assert_box(node, inbox, "4:four ");
	assert_int_equal(mail_objects(node->rig), 1);
	obox_mailbox_close(&inbox);
}

NODE_TEST(an_expunge_that_is_uncertain_keeps_the_mail_until_it_is_known)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	deliver(inbox, "one");
	node->rig->only = "shared/dictmap/" USER "/mailboxes/";
	rig_fail_at(node->rig, 1, RIG_UNCERTAIN_APPLIED);
	FAILS(obox_expunge(inbox, (uint32_t[]){ 1 }, 1, &result, &err), LAB_UNCERTAIN);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_int_equal(obox_mailbox_count(inbox), 1);
	assert_int_equal(mail_objects(node->rig), 1);
	/* Again: it is gone already, which is what was asked for; what it left goes, too. */
	OK(obox_expunge(inbox, (uint32_t[]){ 1 }, 1, &result, &err));
	assert_int_equal(obox_mailbox_count(inbox), 0);
	assert_int_equal(mail_objects(node->rig), 0);
	obox_mailbox_close(&inbox);
}

/* ---- parallel ---- */

struct saver {
	struct obox_mailbox *box;
	unsigned done;
};

static void save_some(void *arg)
{
	struct saver *saver = arg;

	for (unsigned i = 0; i < 10; i++)
		deliver(saver->box, "x");
	saver->done++;
}

NODE_TEST(parallel_saves_have_different_uids)
{
	struct saver saver = { box_open(node, "INBOX"), 0 };
	struct lab_error err;

	for (unsigned i = 0; i < 10; i++)
		OK(env_spawn(node->user->env, "save", save_some, &saver, &err));
	env_sleep(node->user->env, 10 * LAB_SEC);
	assert_int_equal(saver.done, 10);
	assert_int_equal(obox_mailbox_count(saver.box), 100);
	for (size_t i = 0; i < 100; i++)
		assert_row(i, obox_mailbox_mail(saver.box, i)->uid == i + 1);
	obox_mailbox_close(&saver.box);
}

#define PREFETCHED 20

struct taken {
	unsigned count[PREFETCHED + 1];
	struct lab_error err[PREFETCHED + 1];
};

static void take(void *ctx, size_t index, struct lab_view body, const struct lab_error *err)
{
	struct taken *taken = ctx;
	char expected[16];

	taken->count[index]++;
	taken->err[index] = *err;
	snprintf(expected, sizeof(expected), "mail %zu", index);
	assert_true(err->code != LAB_OK ? body.len == 0 : lab_view_eq_cstr(body, expected));
}

static void prefetch_into(struct node *node, unsigned parallel, struct taken *ret)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t uids[PREFETCHED + 1];

	for (unsigned i = 0; i <= PREFETCHED; i++)
		uids[i] = i + 1;
	node->conf.mail_prefetch_count = parallel;
	*ret = (struct taken){ .count = { 0 } };
	obox_fetch_many(box, uids, PREFETCHED + 1, take, ret);
	for (unsigned i = 0; i <= PREFETCHED; i++)
		assert_row(i, ret->count[i] == 1);
	/* There is no such mail. */
	assert_int_equal(ret->err[PREFETCHED].code, LAB_NOT_FOUND);
	obox_mailbox_close(&box);
}

static uint64_t time_of_prefetch(struct node *node, unsigned parallel)
{
	uint64_t start = env_now(node->user->env);
	struct taken taken;

	prefetch_into(node, parallel, &taken);
	for (unsigned i = 0; i < PREFETCHED; i++)
		assert_row(i, taken.err[i].code == LAB_OK);
	return env_now(node->user->env) - start;
}

static void prefetch_without_cache(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint64_t one, ten, hundred;
	struct taken taken;
	char body[16];

	for (unsigned i = 0; i < PREFETCHED; i++) {
		snprintf(body, sizeof(body), "mail %u", i);
		deliver(box, body);
	}
	one = time_of_prefetch(node, 0);
	ten = time_of_prefetch(node, 10);
	hundred = time_of_prefetch(node, 100);
	/* Each read takes as long as the others. */
	assert_int_equal(one, PREFETCHED * hundred);
	assert_int_equal(ten, 2 * hundred);
	/* One that fails is none of the others' business. */
	rig_fail_at(node->rig, 3, RIG_FAIL);
	prefetch_into(node, 1, &taken);
	for (unsigned i = 0; i < PREFETCHED; i++)
		assert_row(i, (taken.err[i].code == LAB_OK) == (i != 2));
	obox_mailbox_close(&box);
}

static void so_many_bodies_are_on_their_way_at_a_time(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.obox_fs.text = lab_view_skip(LAB_VIEW(OBOX_FS), strlen("fscache:1M:/cache:"));
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, prefetch_without_cache);
	node_stop(&node);
}

/* ---- the defect ---- */

static void deliver_early(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned puts = node->rig->counts.puts;

	deliver(box, "promised");
	assert_int_equal(node->rig->counts.puts, puts);
	env_sleep(node->user->env, LAB_SEC);
	assert_box(node, box, "1:promised ");
	obox_mailbox_close(&box);
}

static void deliver_and_crash(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "promised");
	world_crash(node->rig->hosts[0].host, FAULT_DISK_KEEP);
}

static void expect_empty(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_count(box), 0);
	obox_mailbox_close(&box);
}

static void ack_before_put_loses_what_was_promised(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	lab_defects_on = LAB_DEFECT(ACK_BEFORE_PUT);
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, deliver_early);
	node_stop(&node);
	rig_free(&node.rig);
	*state = rig_new();
	node_init(&node, *state, 0);
	lab_defects_on = LAB_DEFECT(ACK_BEFORE_PUT);
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, deliver_and_crash);
	node_crash(&node, FAULT_DISK_KEEP);
	node_run(&node, expect_empty);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_delivered_mail_is_fetched),
		RIG_UNIT_TEST(the_object_has_the_metadata_of_the_mail),
		RIG_UNIT_TEST(a_mail_that_is_too_large_is_refused),
		RIG_UNIT_TEST(a_failed_save_says_which_object_it_was_about_and_asks_nothing_more),
		RIG_UNIT_TEST(object_ids_are_looked_up_if_they_are_not_to_be_used),
		RIG_UNIT_TEST(what_is_not_there_is_not_fetched),
		RIG_UNIT_TEST(copies_are_mails_of_their_own_that_share_the_object),
		RIG_UNIT_TEST(the_last_of_the_references_takes_the_object_with_it),
		RIG_UNIT_TEST(a_move_expunges_what_it_copied),
		RIG_UNIT_TEST(a_move_whose_delete_fails_has_both),
		RIG_UNIT_TEST(more_than_a_batch_is_refused_and_every_result_says_so),
		RIG_UNIT_TEST(each_result_of_an_expunge_tells_of_its_mail),
		RIG_UNIT_TEST(an_expunge_that_is_uncertain_keeps_the_mail_until_it_is_known),
		RIG_UNIT_TEST(parallel_saves_have_different_uids),
		RIG_UNIT_TEST(so_many_bodies_are_on_their_way_at_a_time),
		RIG_UNIT_TEST(ack_before_put_loses_what_was_promised),
	};

	return cmocka_run_group_tests_name("obox-mail", tests, NULL, NULL);
}
