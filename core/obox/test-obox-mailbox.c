/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders: names, opening, rescan and rebuild, two backends on one user, users and their names.
 */
#include "core/obox/test-support.h"

/* ---- names ---- */

NODE_TEST(inbox_is_one_folder_however_it_is_written)
{
	struct obox_mailbox *a = box_open(node, "INBOX"), *b = box_open(node, "inbox");
	struct obox_mailbox *c = box_open(node, "InBoX"), *other = box_open(node, "Inbox2");
	struct obox_mailbox *lower = box_open(node, "work"), *upper = box_open(node, "Work");

	assert_ptr_equal(a, b);
	assert_ptr_equal(a, c);
	assert_ptr_not_equal(a, other);
	assert_ptr_not_equal(lower, upper);
	assert_string_not_equal(obox_mailbox_guid(lower), obox_mailbox_guid(upper));
	assert_int_equal(strlen(obox_mailbox_guid(a)), 32);
	obox_mailbox_close(&a);
	obox_mailbox_close(&b);
	obox_mailbox_close(&c);
	obox_mailbox_close(&other);
	obox_mailbox_close(&lower);
	obox_mailbox_close(&upper);
	obox_mailbox_close(&upper);
}

NODE_TEST(folder_names_that_are_none_are_refused)
{
	static const struct lab_view bad[] = { LAB_VIEW(""), LAB_VIEW("a\nb"), LAB_VIEW("a\0b"),
		LAB_VIEW("\x7f") };
	struct obox_mailbox *box;
	struct lab_error err;
	char name[257];

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++)
		FAILS(obox_mailbox_open(node->user, bad[i], &box, &err), LAB_INVALID);
	memset(name, 'a', 256);
	FAILS(obox_mailbox_open(node->user, lab_view_of(name, 256), &box, &err), LAB_INVALID);
	OK(obox_mailbox_open(node->user, lab_view_of(name, 255), &box, &err));
	obox_mailbox_close(&box);
	/* What would be a path elsewhere is only a name here. */
	OK(obox_mailbox_open(node->user, LAB_VIEW("../../etc/passwd"), &box, &err));
	obox_mailbox_close(&box);
}

NODE_TEST(user_names_that_would_mean_something_else_are_refused)
{
	static const struct lab_view bad[] = { LAB_VIEW(""), LAB_VIEW("a/b"), LAB_VIEW("../x"),
		LAB_VIEW(".hidden"), LAB_VIEW("a:b"), LAB_VIEW("a ; posix:prefix=/"),
		LAB_VIEW("a;b"), LAB_VIEW("a\\b"), LAB_VIEW("a\nb"), LAB_VIEW("a\0b"),
		LAB_VIEW("\x7f"), LAB_VIEW("a@../b"), LAB_VIEW("a@.."), LAB_VIEW("a@.b") };
	struct obox_user *user;
	struct lab_error err;
	char name[256];

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		if (backend_user_open(node->backend, bad[i], &user, &err) == 0)
			fail_msg("row %zu was accepted", i);
		assert_row(i, err.code == LAB_INVALID);
	}
	memset(name, 'a', sizeof(name));
	FAILS(backend_user_open(node->backend, lab_view_of(name, 256), &user, &err), LAB_INVALID);
}

static void use_odd_users(struct node *node)
{
	static const char *const odd[] = { "100%u@example.com", "$user", "a b@c", "a+b=c@d",
		"ümlaut@example.com", "a?b&c#d", "a|b", "x", "a,b" };
	struct lab_error err;

	node_start_backend(node);
	for (size_t i = 0; i < LAB_COUNT_OF(odd); i++) {
		struct obox_mailbox *box;
		char prefix[100];

		OK(node_open_user(node, lab_view_cstr(odd[i]), &err));
		box = box_open(node, "INBOX");
		deliver(box, odd[i]);
		snprintf(prefix, sizeof(prefix), "shared/dictmap/%s/mailboxes/", odd[i]);
		assert_row(i, rig_row_count(node->rig, prefix) == 1);
		assert_row(i, obox_mailbox_count(box) == 1);
		obox_mailbox_close(&box);
		backend_user_release(&node->user);
	}
	assert_int_equal(mail_objects(node->rig), LAB_COUNT_OF(odd));
}

static void odd_user_names_keep_to_their_own_rows(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	rig_boot(node.rig, 0);
	node_run(&node, use_odd_users);
	node_stop(&node);
}

/* ---- settings ---- */

static void expect_no_user(struct node *node)
{
	struct obox_user *user;
	struct lab_error err;

	node_start_backend(node);
	assert_true(backend_user_open(node->backend, LAB_VIEW(USER), &user, &err) < 0);
	assert_true(err.code == LAB_INVALID || err.code == LAB_UNSUPPORTED);
	assert_non_null(strstr(err.message, "user " USER ": "));
}

static void settings_that_do_not_fit_a_user_are_errors(void **state)
{
	static const struct {
		const char *location, *home, *obox_fs;
	} rows[] = { { "maildir:~/Maildir", NULL, OBOX_FS }, { "obox:%u", "relative", OBOX_FS },
		{ "obox:%x", NULL, OBOX_FS }, { "obox:%u", NULL, "fscache:1M:%{nosuch}:posix" },
		{ "obox:%u", NULL, "nosuch:" } };
	struct node node;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		node_init(&node, *state, 0);
		node.conf.mail_location.text = lab_view_cstr(rows[i].location);
		if (rows[i].home != NULL)
			node.conf.mail_home.text = lab_view_cstr(rows[i].home);
		node.conf.obox_fs.text = lab_view_cstr(rows[i].obox_fs);
		rig_boot(node.rig, 0);
		node_run(&node, expect_no_user);
		node_stop(&node);
	}
}

static void start_without_obox_fs(struct node *node)
{
	struct lab_error err;

	node->settings.env = node->rig->hosts[0].env;
	FAILS(backend_start(&node->settings, &node->backend, &err), LAB_INVALID);
	SAYS("obox_fs is not set");
}

static void a_backend_needs_obox_fs(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.obox_fs.text = LAB_VIEW("");
	rig_boot(node.rig, 0);
	node_run(&node, start_without_obox_fs);
}

static void open_in_long_home(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	for (unsigned i = 0; i < 2; i++)
		FAILS(obox_mailbox_open(node->user, LAB_VIEW("INBOX"), &box, &err), LAB_INVALID);
	SAYS("path of the index of INBOX");
}

static void a_home_that_is_too_long_for_an_index_is_told(void **state)
{
	static char home[980];
	struct node node;

	memset(home, 'h', sizeof(home));
	home[0] = '/';
	node_init(&node, *state, 0);
	node.conf.mail_home.text = lab_view_of(home, sizeof(home));
	node.conf.obox_fs.text = LAB_VIEW("compress:zstd:3:dictmap:proxy::cassandra ; posix ; "
					  "storage-objectid-prefix=%u/mails");
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, open_in_long_home);
	node_stop(&node);
}

/* ---- opening ---- */

struct opener {
	struct node *node;
	struct obox_mailbox *box;
	int result;
};

static void open_in_fiber(void *arg)
{
	struct opener *opener = arg;
	struct lab_error err;

	opener->result =
		obox_mailbox_open(opener->node->user, LAB_VIEW("INBOX"), &opener->box, &err);
}

NODE_TEST(two_sessions_that_open_a_folder_at_once_list_it_once)
{
	unsigned iterations = node->rig->counts.iterations;
	struct opener openers[5];
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(openers); i++) {
		openers[i] = (struct opener){ .node = node };
		OK(env_spawn(node->user->env, "open", open_in_fiber, &openers[i], &err));
	}
	env_sleep(node->user->env, LAB_SEC);
	/* Bundles of both tables, one bucket. */
	assert_int_equal(node->rig->counts.iterations, iterations + 3);
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_mailbox_rescan_finished], 1);
	for (size_t i = 0; i < LAB_COUNT_OF(openers); i++) {
		assert_true(openers[i].result >= 0);
		assert_ptr_equal(openers[i].box, openers[0].box);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(openers); i++)
		obox_mailbox_close(&openers[i].box);
}

NODE_TEST(a_folder_that_cannot_be_listed_is_not_opened_until_it_can)
{
	struct obox_mailbox *box;
	struct lab_error err;

	node->rig->only = "/mailboxes/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	FAILS(obox_mailbox_open(node->user, LAB_VIEW("INBOX"), &box, &err), LAB_UNAVAILABLE);
	SAYS("rescan of INBOX");
	box = box_open(node, "INBOX");
	obox_mailbox_close(&box);
}

/* ---- rescan and rebuild ---- */

static void set_mail(struct node *node, struct obox_mailbox *box, const char *name, const char *id)
{
	char key[200];

	snprintf(key, sizeof(key), "shared/dictmap/" USER "/mailboxes/%s/0/%s",
		obox_mailbox_guid(box), name);
	rig_set_row(node->rig, key, id);
}

static void remove_mail(struct node *node, struct obox_mailbox *box, uint32_t uid)
{
	char key[200], name[OBOX_GUID_HEX + 1];

	lab_hex(obox_mailbox_find(box, uid)->name, ENV_GUID128_SIZE, name);
	snprintf(key, sizeof(key), "shared/dictmap/" USER "/mailboxes/%s/0/%s",
		obox_mailbox_guid(box), name);
	rig_remove_row(node->rig, key);
}

/* Seconds 10, 20 and 30 of 1970; the first was made last by its bytes. */
#define AT_10 "ff0000000a000000000000001accfe22"
#define AT_20 "0000000014000000000000001accfe22"
#define AT_30 "000000001e000000000000001accfe22"

NODE_TEST(a_rescan_adds_in_the_order_of_creation_and_removes)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t uidvalidity = obox_mailbox_uidvalidity(box);
	struct lab_error err;

	deliver(box, "one");
	deliver(box, "two");
	remove_mail(node, box, 1);
	set_mail(node, box, AT_30, AT_30 "80");
	set_mail(node, box, AT_10, AT_10 "80");
	set_mail(node, box, AT_20, AT_20 "80");
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 4);
	assert_int_equal(obox_mailbox_mail(box, 0)->uid, 2);
	assert_int_equal(env_guid128_time(obox_mailbox_mail(box, 1)->name), 10 * LAB_SEC + 0xff);
	assert_int_equal(env_guid128_time(obox_mailbox_mail(box, 2)->name), 20 * LAB_SEC);
	assert_int_equal(env_guid128_time(obox_mailbox_mail(box, 3)->name), 30 * LAB_SEC);
	assert_int_equal(obox_mailbox_mail(box, 3)->uid, 5);
	assert_int_equal(obox_mailbox_mail(box, 3)->size, UINT64_MAX);
	assert_int_equal(obox_mailbox_uidvalidity(box), uidvalidity);
	/* They have no objects. */
	assert_non_null(strstr(node->rig->last_event,
		"mails_new=3 mails_temp_lost=3 mails_lost=1 mails_lost_during_resync=0 "
		"mails_kept=1 mails_total=4 guid_lookups=3 guid_lookups_skipped=0"));
	/* Once more: nothing changes. */
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_uidnext(box), 6);
	assert_int_equal(obox_mailbox_count(box), 4);
	obox_mailbox_close(&box);
}

NODE_TEST(a_rescan_that_fails_changes_nothing)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "one");
	remove_mail(node, box, 1);
	for (unsigned n = 1; n <= 4; n++) {
		rig_fail_at(node->rig, n, RIG_FAIL);
		FAILS(obox_mailbox_rescan(box, &err), LAB_UNAVAILABLE);
		FAILS((rig_fail_at(node->rig, n, RIG_FAIL), obox_mailbox_rebuild(box, &err)),
			LAB_UNAVAILABLE);
		assert_int_equal(obox_mailbox_count(box), 1);
	}
	rig_fail_at(node->rig, 0, RIG_FAIL);
	obox_mailbox_close(&box);
}

NODE_TEST(what_is_listed_and_no_mail_is_told_and_left_out)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned told;
	struct lab_error err;

	deliver(box, "one");
	set_mail(node, box, AT_10, "nothex");
	set_mail(node, box, "00", AT_20 "80");
	set_mail(node, box, "report.txt", AT_30 "80");
	told = node->rig->counts.events[LAB_EV_log_message];
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(node->rig->counts.events[LAB_EV_log_message], told + 1);
	assert_box(node, box, "1:one ");
	OK(obox_mailbox_rebuild(box, &err));
	assert_box(node, box, "1:one ");
	obox_mailbox_close(&box);
}

NODE_TEST(a_rebuild_has_another_uidvalidity)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint32_t uidvalidity = obox_mailbox_uidvalidity(box);
	struct obox_result result;
	struct lab_error err;

	deliver(box, "one");
	deliver(box, "two");
	deliver(box, "three");
	OK(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err));
	OK(obox_mailbox_rebuild(box, &err));
	assert_true(obox_mailbox_uidvalidity(box) > uidvalidity);
	/* The expunge of a mail that was in no bundle has uploaded one. */
	assert_box(node, box, "2:two 3:three ");
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_mailbox_rebuild_finished], 1);
	obox_mailbox_close(&box);
}

NODE_TEST(a_rebuild_finds_a_bucket_that_max_bucket_does_not_know)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;
	char key[200];

	snprintf(key, sizeof(key), "shared/dictmap/" USER "/mailboxes/%s/1/" AT_10,
		obox_mailbox_guid(box));
	rig_set_row(node->rig, key, AT_10 "80");
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 0);
	OK(obox_mailbox_rebuild(box, &err));
	assert_int_equal(obox_mailbox_count(box), 1);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 1);
	obox_mailbox_close(&box);
}

/* ---- what runs beside a rescan ---- */

struct busy {
	struct obox_mailbox *box;
	unsigned saved;
	bool stop;
};

static void save_all_the_time(void *arg)
{
	struct busy *busy = arg;

	while (!busy->stop && busy->saved < 400) {
		deliver(busy->box, "x");
		busy->saved++;
	}
}

NODE_TEST(saves_during_rescans_are_neither_lost_nor_doubled)
{
	struct busy busy = { .box = box_open(node, "INBOX") };
	struct lab_error err;
	uint64_t start;

	node->rig->listing_ns = 4 * LAB_MSEC;
	for (unsigned i = 0; i < 8; i++)
		OK(env_spawn(node->user->env, "save", save_all_the_time, &busy, &err));
	for (unsigned i = 0; i < 10; i++) {
		start = env_now(node->user->env);
		OK(obox_mailbox_rescan(busy.box, &err));
		/* The saves that come all the time do not keep it waiting. */
		assert_true(env_now(node->user->env) - start < 50 * LAB_MSEC);
		assert_int_equal(obox_mailbox_count(busy.box), busy.saved);
		env_sleep(node->user->env, 7 * LAB_MSEC);
	}
	assert_true(busy.saved < 400);
	busy.stop = true;
	env_sleep(node->user->env, LAB_SEC);
	for (size_t i = 0; i < obox_mailbox_count(busy.box); i++)
		assert_row(i, obox_mailbox_mail(busy.box, i)->uid == i + 1);
	assert_int_equal(rig_forward_rows(node->rig), busy.saved);
	assert_int_equal(obox_mailbox_count(busy.box), busy.saved);
	obox_mailbox_close(&busy.box);
}

static void rebuild_in_fiber(void *arg)
{
	struct lab_error err;

	OK(obox_mailbox_rebuild(arg, &err));
}

NODE_TEST(an_expunge_beside_a_rebuild_takes_the_mail_that_the_uid_means_then)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	deliver(box, "one");
	deliver(box, "two");
	deliver(box, "three");
	OK(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err));
	OK(env_spawn(node->user->env, "rebuild", rebuild_in_fiber, box, &err));
	env_sleep(node->user->env, LAB_MSEC / 2);
	/* Waits; the index and the rows agree on what went. */
	OK(obox_expunge(box, (uint32_t[]){ 2 }, 1, &result, &err));
	assert_box(node, box, "3:three ");
	assert_int_equal(rig_forward_rows(node->rig), 1);
	obox_mailbox_close(&box);
}

/* ---- stops and crashes ---- */

static uint32_t seen_uidvalidity;

static void fill_inbox(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result results[2];
	struct lab_error err;

	deliver(box, "one");
	deliver(box, "two");
	deliver(box, "three");
	OK(obox_expunge(box, (uint32_t[]){ 2, 3 }, 2, results, &err));
	seen_uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
}

static void expect_same_uids(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_uidvalidity(box), seen_uidvalidity);
	assert_int_equal(obox_mailbox_uidnext(box), 4);
	assert_int_equal(obox_mailbox_mail(box, 0)->size, 3);
	assert_box(node, box, "1:one ");
	obox_mailbox_close(&box);
}

static void a_clean_stop_keeps_uids(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, fill_inbox);
	node_stop(&node);
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, expect_same_uids);
	node_stop(&node);
}

static void a_crash_loses_no_mail_and_no_uid(void **state)
{
	static const enum fault_disk disks[] = { FAULT_DISK_KEEP, FAULT_DISK_LOSE_UNSYNCED };

	for (size_t i = 0; i < LAB_COUNT_OF(disks); i++) {
		struct rig *rig = i == 0 ? *state : rig_new();
		struct node node;

		node_start(&node, rig, 0);
		node_run(&node, fill_inbox);
		node_crash(&node, disks[i]);
		node_run(&node, expect_same_uids);
		node_stop(&node);
		if (i > 0)
			rig_free(&rig);
	}
}

/* ---- two backends on one user ---- */

static void first_saves(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "from first");
	obox_mailbox_close(&box);
}

static void second_sees_and_saves(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_box(node, box, "1:from first ");
	deliver(box, "from second");
	obox_mailbox_close(&box);
}

static void first_rescans_and_expunges(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	assert_int_equal(obox_mailbox_count(box), 1);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:from first 2:from second ");
	OK(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err));
	obox_mailbox_close(&box);
}

static void second_is_told_of_the_expunge(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_view body;
	struct lab_error err;

	assert_int_equal(obox_mailbox_count(box), 2);
	OK(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err));
	assert_int_equal(obox_mailbox_count(box), 1);
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "2:from second ");
	obox_mailbox_close(&box);
}

static void two_backends_agree_after_a_rescan(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_start(&second, *state, 1);
	node_run(&first, first_saves);
	node_run(&second, second_sees_and_saves);
	node_run(&first, first_rescans_and_expunges);
	node_run(&second, second_is_told_of_the_expunge);
	assert_true(rig_is_consistent(first.rig, MAILS, true));
	assert_int_equal(mail_objects(first.rig), 1);
	node_stop(&first);
	node_stop(&second);
}

static void open_twice(struct node *node)
{
	struct obox_user *again;
	struct lab_error err;

	assert_ptr_equal(backend_env(node->backend), node->settings.env);
	OK(backend_user_open(node->backend, LAB_VIEW(USER), &again, &err));
	assert_ptr_equal(again, node->user);
	backend_user_release(&again);
	assert_null(again);
	backend_user_release(&again);
}

static void a_user_is_open_once(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, open_twice);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(inbox_is_one_folder_however_it_is_written),
		RIG_UNIT_TEST(folder_names_that_are_none_are_refused),
		RIG_UNIT_TEST(user_names_that_would_mean_something_else_are_refused),
		RIG_UNIT_TEST(odd_user_names_keep_to_their_own_rows),
		RIG_UNIT_TEST(settings_that_do_not_fit_a_user_are_errors),
		RIG_UNIT_TEST(a_backend_needs_obox_fs),
		RIG_UNIT_TEST(a_home_that_is_too_long_for_an_index_is_told),
		RIG_UNIT_TEST(two_sessions_that_open_a_folder_at_once_list_it_once),
		RIG_UNIT_TEST(a_folder_that_cannot_be_listed_is_not_opened_until_it_can),
		RIG_UNIT_TEST(a_rescan_adds_in_the_order_of_creation_and_removes),
		RIG_UNIT_TEST(a_rescan_that_fails_changes_nothing),
		RIG_UNIT_TEST(what_is_listed_and_no_mail_is_told_and_left_out),
		RIG_UNIT_TEST(a_rebuild_has_another_uidvalidity),
		RIG_UNIT_TEST(a_rebuild_finds_a_bucket_that_max_bucket_does_not_know),
		RIG_UNIT_TEST(saves_during_rescans_are_neither_lost_nor_doubled),
		RIG_UNIT_TEST(an_expunge_beside_a_rebuild_takes_the_mail_that_the_uid_means_then),
		RIG_UNIT_TEST(a_clean_stop_keeps_uids),
		RIG_UNIT_TEST(a_crash_loses_no_mail_and_no_uid),
		RIG_UNIT_TEST(two_backends_agree_after_a_rescan),
		RIG_UNIT_TEST(a_user_is_open_once),
	};

	return cmocka_run_group_tests_name("obox-mailbox", tests, NULL, NULL);
}
