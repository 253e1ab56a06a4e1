/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators' commands on users who are open and on users who are not.
 */
#include "core/obox/test-support.h"

#include "core/obox/metacache-commands.h"
#include "core/obox/metacache-private.h"

#define UPLOADS(node) ((node)->rig->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished])

static const struct metacache_mask everybody;

static struct metacache *metacache_of(const struct node *node)
{
	return backend_get_metacache(node->backend);
}

static void fill(struct node *node, const char *name, unsigned count)
{
	struct obox_mailbox *box = box_open(node, name);

	for (unsigned i = 0; i < count; i++)
		deliver(box, "x");
	obox_mailbox_close(&box);
}

static struct metacache_entry list_one(struct node *node)
{
	struct metacache_entry *entries;
	size_t count;

	metacache_list(node->backend, &everybody, node->rig->arena, &entries, &count);
	assert_int_equal(count, 1);
	assert_string_equal(entries[0].username, USER);
	return entries[0];
}

static void run_one(struct rig *rig, node_fn fn)
{
	struct node node;

	node_start(&node, rig, 0);
	node_run(&node, fn);
	node_stop(&node);
}

/* ---- what is open ---- */

static void flag(struct node *node, const char *name)
{
	struct obox_mailbox *box = box_open(node, name);
	struct lab_error err;

	OK(obox_store(box, 1, LAB_VIEW("Work"), true, &err));
	obox_mailbox_close(&box);
}

static void list_and_flush(struct node *node)
{
	struct metacache_mask inbox = { .min_priority = METACACHE_SPECIAL };
	struct metacache_entry entry;
	struct lab_error err;

	fill(node, "INBOX", 3);
	fill(node, "Work", 2);
	entry = list_one(node);
	assert_int_equal(entry.changes, METACACHE_UNIMPORTANT);
	assert_true(entry.upload_within_ns == UINT64_MAX);
	assert_true(entry.bytes[METACACHE_SPECIAL] > entry.bytes[METACACHE_OTHER]);
	assert_true(entry.bytes[METACACHE_OTHER] > 100);
	assert_true(entry.bytes[METACACHE_ROOT] > 0);
	assert_int_equal(metacache_flush(node->backend, &inbox, true, &err), 0);
	assert_int_equal(UPLOADS(node), 0);
	flag(node, "Work");
	entry = list_one(node);
	assert_int_equal(entry.changes, METACACHE_IMPORTANT);
	assert_true(entry.upload_within_ns > 4 * LAB_MINUTE &&
		    entry.upload_within_ns <= 5 * LAB_MINUTE);
	assert_int_equal(metacache_flush(node->backend, &inbox, true, &err), 1);
	assert_int_equal(UPLOADS(node), 1);
	assert_int_equal(metacache_flush(node->backend, &everybody, false, &err), 1);
	assert_int_equal(UPLOADS(node), 2);
	assert_int_equal(metacache_flush(node->backend, &everybody, false, &err), 0);
	assert_int_equal(list_one(node).changes, METACACHE_UNCHANGED);
}

static void a_flush_uploads_what_was_changed(void **state)
{
	run_one(*state, list_and_flush);
}

static void flush_in_vain(struct node *node)
{
	struct lab_error err;

	fill(node, "INBOX", 3);
	node->rig->only = "/idx/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	assert_int_equal(metacache_flush(node->backend, &everybody, false, &err), -1);
	assert_true(node->rig->fired);
	assert_non_null(strstr(err.message, "flush of " USER));
	assert_int_equal(list_one(node).changes, METACACHE_UNIMPORTANT);
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_int_equal(metacache_flush(node->backend, &everybody, false, &err), 1);
}

static void a_flush_that_fails_can_be_done_again(void **state)
{
	run_one(*state, flush_in_vain);
}

static void clean_what_is_in_use(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	fill(node, "INBOX", 3);
	box = box_open(node, "INBOX");
	FAILS(metacache_clean_users(node->backend, &everybody, 0, &err), LAB_EXISTS);
	obox_mailbox_close(&box);
	/* The session still has the user open. */
	FAILS(metacache_clean_users(node->backend, &everybody, 0, &err), LAB_EXISTS);
	assert_int_equal(lab_map_count(node->user->folders), 0);
	assert_int_equal(list_one(node).bytes[METACACHE_SPECIAL], 0);
	backend_user_release(&node->user);
	OK(metacache_clean_users(node->backend, &everybody, 0, &err));
	assert_int_equal(metacache_used(metacache_of(node)), 0);
	OK(node_open_user(node, LAB_VIEW(USER), &err));
	box = box_open(node, "INBOX");
	assert_int_equal(obox_mailbox_count(box), 3);
	obox_mailbox_close(&box);
}

static void a_clean_leaves_what_is_in_use(void **state)
{
	run_one(*state, clean_what_is_in_use);
}

static void clean_by_age(struct node *node)
{
	struct lab_error err;

	fill(node, "Old", 2);
	env_sleep(node->user->env, 50 * 60 * LAB_MINUTE);
	fill(node, "INBOX", 2);
	OK(metacache_clean_users(node->backend, &everybody, 86400, &err));
	assert_int_equal(lab_map_count(node->user->folders), 1);
	assert_int_equal(list_one(node).bytes[METACACHE_OTHER], 0);
	assert_true(list_one(node).bytes[METACACHE_SPECIAL] > 0);
}

static void a_clean_may_be_of_old_ones_only(void **state)
{
	run_one(*state, clean_by_age);
}

static unsigned refreshes(struct node *node)
{
	return node->rig->counts.events[LAB_EV_metacache_mailbox_refresh_finished];
}

static void refresh_it(struct node *node)
{
	struct lab_error err;
	unsigned before;

	fill(node, "INBOX", 1);
	before = refreshes(node);
	OK(obox_user_access(node->user, &err));
	fill(node, "INBOX", 1);
	assert_int_equal(refreshes(node), before);
	assert_int_equal(metacache_refresh(node->backend, &everybody), 1);
	OK(obox_user_access(node->user, &err));
	fill(node, "INBOX", 1);
	assert_int_equal(refreshes(node), before + 1);
}

static void a_refresh_asks_for_root_and_folders(void **state)
{
	run_one(*state, refresh_it);
}

/* ---- the list itself ---- */

static void forget_it(struct node *node)
{
	struct metacache_mask some = { .mask = LAB_VIEW("other*") };
	struct metacache_scan scan;
	struct lab_error err;

	fill(node, "INBOX", 3);
	FAILS(metacache_remove(node->backend, &some, &err), LAB_NOT_FOUND);
	some.mask = LAB_VIEW("us?r@*");
	assert_int_equal(metacache_remove(node->backend, &some, &err), 1);
	assert_int_equal(metacache_used(metacache_of(node)), 0);
	OK(metacache_rescan_all(node->backend, &scan, &err));
	assert_int_equal(scan.before, 0);
	assert_int_equal(metacache_used(metacache_of(node)), scan.after);
	assert_true(scan.after > 300);
	fill(node, "INBOX", 1);
	OK(metacache_rescan_all(node->backend, &scan, &err));
	assert_int_equal(scan.before, scan.after);
}

static void what_is_removed_a_rescan_finds_again(void **state)
{
	run_one(*state, forget_it);
}

static void set_fields(struct node *node)
{
	struct metacache_mask group = { .mask = LAB_VIEW("g*"), .field = LAB_VIEW("group") };
	struct metacache_entry *entries;
	struct lab_error err;
	size_t count;

	metacache_list(node->backend, &group, node->rig->arena, &entries, &count);
	assert_int_equal(count, 0);
	FAILS(metacache_update_userdb(
		      node->backend, LAB_VIEW("nobody"), LAB_VIEW("group"), LAB_VIEW("g1"), &err),
		LAB_NOT_FOUND);
	OK(metacache_update_userdb(
		node->backend, LAB_VIEW(USER), LAB_VIEW("group"), LAB_VIEW("g1"), &err));
	metacache_list(node->backend, &group, node->rig->arena, &entries, &count);
	assert_int_equal(count, 1);
	assert_string_equal(entries[0].fields[0].value, "g1");
}

static void has_fields(struct node *node)
{
	node_start_user(node);
	assert_string_equal(list_one(node).fields[0].value, "g1");
}

static void fields_outlive_a_stop(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, set_fields);
	node_stop(&node);
	node_run(&node, has_fields);
	node_stop(&node);
}

/* ---- users who are not open ---- */

static void flush_closed(struct node *node)
{
	struct lab_error err;

	node_start_backend(node);
	assert_int_equal(list_one(node).changes, METACACHE_UNIMPORTANT);
	OK(backend_user_get(node->backend, LAB_VIEW(USER), &node->user, &err));
	rig_take_storage(node->user->fs);
	rig_take_storage(node->user->index_fs);
	backend_user_release(&node->user);
	assert_int_equal(metacache_flush(node->backend, &everybody, true, &err), 0);
	assert_int_equal(metacache_flush(node->backend, &everybody, false, &err), 1);
	assert_int_equal(list_one(node).changes, METACACHE_UNCHANGED);
}

static void fill_inbox(struct node *node)
{
	fill(node, "INBOX", 3);
}

static void stop_backend(struct node *node)
{
	backend_stop(&node->backend);
}

static void what_a_stop_did_not_upload_a_flush_does(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, fill_inbox);
	node_stop(&node);
	node_run(&node, flush_closed);
	node_run(&node, stop_backend);
}

static void delete_and_wait(struct node *node)
{
	struct lab_error err;

	fill(node, "INBOX", 3);
	FAILS(metacache_user_wait(node->backend, LAB_VIEW(USER), LAB_SEC, &err), LAB_TIMEOUT);
	FAILS(metacache_user_delete(node->backend, LAB_VIEW(USER), &err), LAB_EXISTS);
	assert_int_equal(mail_objects(node->rig), 3);
	OK(metacache_user_wait(node->backend, LAB_VIEW("nobody"), LAB_SEC, &err));
	backend_user_release(&node->user);
	OK(metacache_user_wait(node->backend, LAB_VIEW(USER), LAB_SEC, &err));
	OK(metacache_user_delete(node->backend, LAB_VIEW(USER), &err));
	assert_int_equal(mail_objects(node->rig), 0);
	OK(node_open_user(node, LAB_VIEW(USER), &err));
}

static void a_user_is_deleted_when_nobody_has_it_open(void **state)
{
	run_one(*state, delete_and_wait);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_flush_uploads_what_was_changed),
		RIG_UNIT_TEST(a_flush_that_fails_can_be_done_again),
		RIG_UNIT_TEST(a_clean_leaves_what_is_in_use),
		RIG_UNIT_TEST(a_clean_may_be_of_old_ones_only),
		RIG_UNIT_TEST(a_refresh_asks_for_root_and_folders),
		RIG_UNIT_TEST(what_is_removed_a_rescan_finds_again),
		RIG_UNIT_TEST(fields_outlive_a_stop),
		RIG_UNIT_TEST(what_a_stop_did_not_upload_a_flush_does),
		RIG_UNIT_TEST(a_user_is_deleted_when_nobody_has_it_open),
	};

	return cmocka_run_group_tests_name("metacache-commands", tests, NULL, NULL);
}
