/* SPDX-License-Identifier: Apache-2.0
 *
 * A user's root on one and on two backends: requests, refreshes, marks, stops and crashes.
 */
#include "core/obox/test-root.h"

/* ---- requests (palomar 6.2) ---- */

static void requests_are_those_of_the_table(void **state)
{
	struct two t;

	two_start(&t, *state);
	/* Refresh, INBOX made and marked (PUT, INSERT), max_bucket, bucket, the mail. */
	REQUESTS(&t.a, deliver_fn, "INBOX", "one", .iterations = 5, .lookups = 1, .puts = 2,
		.sets = 3);
	/* Nothing of the root but its refresh; buckets are known. */
	REQUESTS(&t.a, deliver_fn, "INBOX", "two", .iterations = 2, .puts = 1, .sets = 2);
	/* INSERT overwrites the host's row; the object before goes. */
	REQUESTS(&t.a, create_fn, "Work", "", .puts = 1, .sets = 1, .deletes = 1);
	REQUESTS(&t.a, rename_fn, "Work", "Job", .puts = 1, .sets = 1, .deletes = 1);
	REQUESTS(&t.a, subscribe_fn, "Job", "", .puts = 1, .sets = 1, .deletes = 1);
	REQUESTS(&t.a, subscribe_fn, "Job", "", .puts = 0);
	/* Another backend: the bundle, the folder's listing, its own mark. */
	REQUESTS(&t.b, access_fn, "", "", .iterations = 2, .gets = 1);
	REQUESTS(&t.b, access_fn, "", "", .iterations = 2);
	REQUESTS(&t.b, deliver_fn, "INBOX", "three", .iterations = 5, .lookups = 1, .puts = 2,
		.sets = 3);
	/* Back: what the other one wrote, and the mark for what was changed since the last. */
	REQUESTS(&t.a, access_fn, "", "", .iterations = 2, .gets = 1, .puts = 1, .sets = 1,
		.deletes = 1);
	assert_int_equal(t.rig->counts.events[LAB_EV_metacache_bundle_set_aside], 0);
	two_stop(&t);
}

static void within_close_delay_nothing_is_asked(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_init(&node, rig, 0);
	node.conf.metacache_close_delay_ns = 2 * LAB_SEC;
	node.conf.metacache_forced_refresh_interval_ns = 5 * LAB_SEC;
	rig_boot(rig, 0);
	node_run(&node, node_start_user);
	done(&node, deliver_fn, "INBOX", "one");
	REQUESTS(&node, access_fn, "", "", .puts = 0);
	assert_non_null(strstr(rig->last_event, "metacache_status=kept"));
	REQUESTS(&node, deliver_fn, "INBOX", "two", .puts = 1, .sets = 2);
	node_stop(&node);
}

static void sleep_fn(struct node *node)
{
	env_sleep(node->user->env, 3 * LAB_SEC / 2);
	end_task(0);
}

static void close_delay_counts_from_the_last_access_until_a_refresh_is_forced(void **state)
{
	struct rig *rig = *state;
	unsigned refreshed = 0;
	struct node node;

	node_init(&node, rig, 0);
	node.conf.metacache_close_delay_ns = 2 * LAB_SEC;
	node.conf.metacache_forced_refresh_interval_ns = 5 * LAB_SEC;
	rig_boot(rig, 0);
	node_run(&node, node_start_user);
	/* Every 1.5 s: within 12 s there is a refresh every 6. */
	for (unsigned i = 0; i < 8; i++) {
		done(&node, sleep_fn, "", "");
		refreshed += requests_of(&node, access_fn, "", "").iterations / 2;
	}
	assert_int_equal(refreshed, 2);
	for (unsigned i = 0; i < 2; i++)
		done(&node, sleep_fn, "", "");
	assert_int_equal(requests_of(&node, access_fn, "", "").iterations, 2);
	node_stop(&node);
}

/* ---- two backends ---- */

static void folders_are_the_same_on_every_backend(void **state)
{
	char guid[OBOX_GUID_HEX + 1];
	struct two t;

	two_start(&t, *state);
	done(&t.a, create_fn, "Sent", "\\Sent");
	done(&t.a, create_fn, "a/b", "");
	done(&t.a, subscribe_fn, "a/b", "");
	done(&t.a, deliver_fn, "a/b", "one");
	assert_list(&t.b, "Sent\\Sent a/b+ +a/b");
	assert_bodies(&t.b, "a/b", "one ");
	fails(&t.b, rename_fn, "a", "z", LAB_NOT_FOUND);
	fails(&t.b, create_fn, "a/b", "", LAB_EXISTS);
	fails(&t.b, create_fn, "c", "Sent", LAB_INVALID);
	done(&t.b, rename_fn, "a/b", "z");
	lab_hex(obox_list_find(t.b.user->root_index.list, LAB_VIEW("z"))->guid, ENV_GUID128_SIZE,
		guid);
	assert_list(&t.a, "Sent\\Sent z +a/b");
	assert_bodies(&t.a, "z", "one ");
	fails(&t.a, status_fn, "a/b", "", LAB_NOT_FOUND);
	done(&t.a, status_fn, "z", "");
	assert_int_equal(task.status.messages, 1);
	assert_int_equal(task.status.unseen, 1);
	assert_int_equal(task.status.uidnext, 2);
	assert_true(task.status.uidvalidity > 0 && task.status.highest_modseq > 1);
	two_stop(&t);
}

static void a_name_that_is_used_again_has_another_uidvalidity(void **state)
{
	uint32_t first, second;
	struct two t;

	two_start(&t, *state);
	done(&t.a, create_fn, "a", "");
	first = obox_list_find(t.a.user->root_index.list, LAB_VIEW("a"))->uidvalidity;
	done(&t.a, delete_fn, "a", "");
	done(&t.b, access_fn, "", "");
	done(&t.b, create_fn, "a", "");
	second = obox_list_find(t.b.user->root_index.list, LAB_VIEW("a"))->uidvalidity;
	assert_true(second > first);
	two_stop(&t);
}

static void what_another_backend_saved_is_found_again_and_again(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "1");
	assert_bodies(&t.b, "INBOX", "1 ");
	done(&t.b, deliver_fn, "INBOX", "2");
	assert_bodies(&t.a, "INBOX", "1 2 ");
	done(&t.a, deliver_fn, "INBOX", "3");
	assert_bodies(&t.b, "INBOX", "1 2 3 ");
	done(&t.b, deliver_fn, "INBOX", "4");
	done(&t.b, deliver_fn, "Work", "5");
	assert_bodies(&t.a, "INBOX", "1 2 3 4 ");
	assert_bodies(&t.a, "Work", "5 ");
	two_stop(&t);
}

/* The mark of the one who writes is there already, and nobody's new change asks for another. */
static void who_only_reads_sees_what_comes_later(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "1");
	assert_bodies(&t.b, "INBOX", "1 ");
	REQUESTS(&t.a, deliver_fn, "INBOX", "2", .iterations = 2, .puts = 1, .sets = 2);
	assert_bodies(&t.b, "INBOX", "1 2 ");
	done(&t.a, deliver_fn, "INBOX", "3");
	assert_bodies(&t.b, "INBOX", "1 2 3 ");
	two_stop(&t);
}

/* Nothing was begun, whatever came of the mark. */
static void without_a_mark_nothing_is_changed(void **state)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_NOT, RIG_UNCERTAIN_LATE };
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "1");
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		done(&t.b, deliver_fn, "INBOX", i == 0 ? "2" : i == 1 ? "3" : "4");
		done(&t.a, access_fn, "", "");
		t.a.user->root_index.is_marked = false;
		t.rig->only = "dictdiffmap";
		rig_fail_at(t.rig, 2, faults[i]); /* behind the listing: the INSERT */
		t.rig->fail_from_then_on = true;
		fails(&t.a, deliver_fn, "INBOX", "never", LAB_UNAVAILABLE);
		t.rig->only = NULL;
		rig_fail_at(t.rig, 0, RIG_FAIL);
		rig_apply_late(t.rig);
	}
	assert_int_equal(mail_objects(t.rig), 4);
	done(&t.a, deliver_fn, "INBOX", "5");
	assert_bodies(&t.b, "INBOX", "1 2 3 4 5 ");
	two_stop(&t);
}

/* The one that is within its close_delay saves without knowing the other: both views come together
 * within two refreshes, without any other change. */
static void who_saved_without_knowing_the_other_says_so_when_it_does(void **state)
{
	struct two t;

	t.rig = *state;
	node_start(&t.b, t.rig, 1);
	node_init(&t.a, t.rig, 0);
	t.a.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	rig_boot(t.rig, 0);
	node_run(&t.a, node_start_user);
	done(&t.a, deliver_fn, "INBOX", "1");
	assert_bodies(&t.b, "INBOX", "1 ");
	done(&t.b, deliver_fn, "INBOX", "2");
	done(&t.a, deliver_fn, "INBOX", "3");
	t.a.conf.metacache_close_delay_ns = 0;
	assert_bodies(&t.b, "INBOX", "1 2 ");
	assert_bodies(&t.a, "INBOX", "1 2 3 ");
	assert_bodies(&t.b, "INBOX", "1 2 3 ");
	two_stop(&t);
}

static void two_folders_of_one_name_are_both_kept(void **state)
{
	char expected[100], hex[9];
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "new", "1");
	/* As if both had been at the same time. */
	t.b.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t.b, deliver_fn, "new", "2");
	t.b.conf.metacache_close_delay_ns = 0;
	lab_hex(obox_list_find(t.b.user->root_index.list, LAB_VIEW("new"))->guid, 4, hex);
	done(&t.b, access_fn, "", "");
	snprintf(expected, sizeof(expected), "new-%s", hex);
	if (obox_list_find(t.b.user->root_index.list, lab_view_cstr(expected)) == NULL) {
		lab_hex(obox_list_find(t.a.user->root_index.list, LAB_VIEW("new"))->guid, 4, hex);
		snprintf(expected, sizeof(expected), "new-%s", hex);
		assert_bodies(&t.a, expected, "1 ");
		assert_bodies(&t.a, "new", "2 ");
	} else {
		assert_bodies(&t.a, expected, "2 ");
		assert_bodies(&t.a, "new", "1 ");
	}
	assert_string_equal(t.a.user->root_index.list->folders[0]->name,
		t.b.user->root_index.list->folders[0]->name);
	two_stop(&t);
}

/* ---- stop and crash ---- */

static void a_clean_stop_keeps_the_root(void **state)
{
	struct rig *rig = *state;
	uint64_t author, generation;
	struct node node;

	node_start(&node, rig, 0);
	done(&node, deliver_fn, "INBOX", "one");
	done(&node, create_fn, "a", "");
	author = node.user->root_index.author;
	generation = node.user->root_index.generation;
	node_stop(&node);
	node_start(&node, rig, 0);
	assert_int_equal(node.user->root_index.author, author);
	assert_int_equal(node.user->root_index.generation, generation);
	/* No GET, and no mark: nobody else was here. */
	REQUESTS(&node, access_fn, "", "", .iterations = 2);
	assert_true(node.user->root_index.is_marked);
	assert_list(&node, "INBOX a");
	REQUESTS(
		&node, deliver_fn, "a", "two", .iterations = 5, .lookups = 1, .puts = 1, .sets = 2);
	node_stop(&node);
}

static void after_a_crash_the_root_is_downloaded_by_a_new_author(void **state)
{
	struct rig *rig = *state;
	uint64_t author;
	struct node node;

	node_start(&node, rig, 0);
	done(&node, deliver_fn, "INBOX", "one");
	author = node.user->root_index.author;
	rig->counts.gets = 0;
	node_crash(&node, FAULT_DISK_KEEP);
	assert_int_equal(rig->counts.gets, 1);
	assert_true(node.user->root_index.author != author);
	assert_list(&node, "INBOX");
	assert_bodies(&node, "INBOX", "one ");
	node_stop(&node);
}

/* ---- what nobody may be told yet ---- */

static void select_at_once_fn(struct node *node)
{
	struct obox_mailbox *box = NULL;
	int result = obox_mailbox_open(node->user, lab_view_cstr(task.name), &box, &task.err);

	if (result >= 0)
		result = obox_mailbox_show(box, &task.err);
	if (result >= 0)
		task.status.uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
	end_task(result);
}

static void select_fn(struct node *node)
{
	OK(obox_user_access(node->user, &task.err));
	select_at_once_fn(node);
}

static void assert_uidvalidity_survives(struct node *node)
{
	uint32_t seen;

	done(node, select_fn, "INBOX", "");
	seen = task.status.uidvalidity;
	node_crash(node, FAULT_DISK_LOSE_UNSYNCED);
	done(node, sleep_fn, "", "");
	done(node, select_fn, "INBOX", "");
	assert_int_equal(task.status.uidvalidity, seen);
}

static void start_within_close_delay(struct node *node, struct rig *rig)
{
	node_init(node, rig, 0);
	node->conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	rig_boot(rig, 0);
	node_run(node, node_start_user);
	rig->only = "dictdiffmap/" USER "/idx";
}

static void a_uidvalidity_is_stored_before_it_is_shown(void **state)
{
	struct rig *rig = *state;
	struct node node;

	start_within_close_delay(&node, rig);
	rig_fail_at(rig, 1, RIG_UNCERTAIN_NOT);
	rig->fail_from_then_on = true;
	fails(&node, select_fn, "INBOX", "", LAB_UNAVAILABLE);
	/* It is in the list now. */
	fails(&node, select_fn, "INBOX", "", LAB_UNAVAILABLE);
	fails(&node, status_fn, "INBOX", "", LAB_UNAVAILABLE);
	rig_fail_at(rig, 0, RIG_FAIL);
	assert_uidvalidity_survives(&node);
	node_stop(&node);
}

static void make_fn(void *arg)
{
	struct node *node = arg;
	struct lab_error ignored;

	(void)obox_folder_create(node->user, LAB_VIEW("INBOX"), LAB_VIEW(""), &ignored);
}

static void select_while_made_fn(struct node *node)
{
	struct lab_error err;

	OK(obox_user_access(node->user, &task.err));
	OK(env_spawn(node->user->env, "make", make_fn, node, &err));
	env_sleep(node->user->env, LAB_MSEC / 10);
	select_at_once_fn(node);
	env_sleep(node->user->env, 2 * LAB_SEC);
}

static void nobody_sees_an_inbox_that_could_not_be_made(void **state)
{
	struct rig *rig = *state;
	struct node node;

	start_within_close_delay(&node, rig);
	rig_fail_at(rig, 1, RIG_FAIL);
	fails(&node, select_while_made_fn, "INBOX", "", LAB_NOT_FOUND);
	assert_uidvalidity_survives(&node);
	node_stop(&node);
}

static void damage_fn(struct node *node)
{
	static const uint8_t zeros[8];
	char path[ENV_PATH_MAX];
	struct env_file *file;

	memcpy(path, "/var/vmail/example.com/user/obox.root", 38);
	OK(env_file_open(node->rig->hosts[0].env, path, ENV_OPEN_WRITE, &file, &task.err));
	OK(env_file_write(file, env_file_size(file) - 8, lab_view_of(zeros, 8), &task.err));
	env_file_close(&file);
}

static void a_damaged_file_is_not_believed(void **state)
{
	struct rig *rig = *state;
	uint64_t author;
	struct node node;

	node_start(&node, rig, 0);
	done(&node, deliver_fn, "INBOX", "one");
	author = node.user->root_index.author;
	node_stop(&node);
	node_run(&node, damage_fn);
	node_start(&node, rig, 0);
	assert_true(node.user->root_index.author != author);
	assert_list(&node, "INBOX");
	node_stop(&node);
}

static void without_a_disk_the_root_lives_in_memory(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_init(&node, rig, 0);
	/* A file where a directory should be. */
	node.conf.mail_home.text = LAB_VIEW("/file/home");
	rig_boot(rig, 0);
	{
		struct env_file *file;

		OK(env_file_open(rig->hosts[0].env, "/file", ENV_OPEN_WRITE, &file, &task.err));
		env_file_close(&file);
	}
	node_run(&node, node_start_user);
	done(&node, deliver_fn, "INBOX", "one");
	assert_bodies(&node, "INBOX", "one ");
	assert_null(node.user->root_index.file);
	node_stop(&node);
}

/* ---- uploads in the background ---- */

static void background_start(struct node *node, struct rig *rig)
{
	node_init(node, rig, 0);
	node->conf.metacache_bg_root_uploads = true;
	node->conf.metacache_upload_interval_ns = 300 * LAB_SEC;
	rig_boot(rig, 0);
	node_run(node, node_start_user);
}

/* Right after the change; the fiber's end lets the time pass. */
static void create_in_background_fn(struct node *node)
{
	unsigned puts = node->rig->counts.puts;

	OK(obox_folder_create(node->user, LAB_VIEW("a"), LAB_VIEW(""), &task.err));
	OK(obox_folder_create(node->user, LAB_VIEW("b"), LAB_VIEW(""), &task.err));
	assert_int_equal(node->rig->counts.puts, puts);
	env_sleep(node->user->env, 299 * LAB_SEC);
	assert_int_equal(node->rig->counts.puts, puts);
	env_sleep(node->user->env, 2 * LAB_SEC);
	assert_int_equal(node->rig->counts.puts, puts + 1);
	end_task(0);
}

static void folders_may_be_uploaded_in_the_background(void **state)
{
	struct node node, other;

	background_start(&node, *state);
	done(&node, create_in_background_fn, "", "");
	node_start(&other, *state, 1);
	assert_list(&other, "a b");
	node_stop(&other);
	node_stop(&node);
}

static void create_and_stop_fn(struct node *node)
{
	OK(obox_folder_create(node->user, LAB_VIEW("a"), LAB_VIEW(""), &task.err));
	node_stop_backend(node);
}

static void a_clean_stop_uploads_what_waits(void **state)
{
	struct node node, other;

	background_start(&node, *state);
	node_run(&node, create_and_stop_fn);
	node_start(&other, *state, 1);
	assert_list(&other, "a");
	node_stop(&other);
}

/* A delivery is not acknowledged before its folder can be found. */
static void a_delivery_does_not_wait_for_the_background(void **state)
{
	struct node node, other;

	background_start(&node, *state);
	done(&node, deliver_fn, "a", "one");
	node_start(&other, *state, 1);
	assert_bodies(&other, "a", "one ");
	node_stop(&other);
	node_stop(&node);
}

/* ---- bases and diffs ---- */

static void many_folders_fn(struct node *node)
{
	char name[40];

	for (unsigned i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "a folder with a long name %u", i);
		OK(obox_folder_create(node->user, lab_view_cstr(name), LAB_VIEW(""), &task.err));
	}
	end_task(0);
}

static void a_large_root_has_a_base_and_diffs(void **state)
{
	uint64_t author;
	struct two t;

	two_start(&t, *state);
	done(&t.a, many_folders_fn, "", "");
	assert_true(rig_row_count(t.rig, "shared/dictmap/" USER "/idx/") == 1);
	assert_int_equal(rig_row_count(t.rig, "shared/dictdiffmap/" USER "/idx/"), 1);
	done(&t.b, access_fn, "", "");
	assert_int_equal(t.b.user->root_index.list->folder_count, 900);
	done(&t.b, rename_fn, "a folder with a long name 7", "seven");
	assert_int_equal(rig_row_count(t.rig, "shared/dictdiffmap/" USER "/idx/"), 2);
	done(&t.a, access_fn, "", "");
	assert_non_null(obox_list_find(t.a.user->root_index.list, LAB_VIEW("seven")));
	/* After a crash the base and both diffs are read. */
	t.rig->counts.gets = 0;
	node_crash(&t.a, FAULT_DISK_KEEP);
	assert_int_equal(t.rig->counts.gets, 3);
	assert_int_equal(t.a.user->root_index.list->folder_count, 900);
	/* Over a clean stop the base is known. */
	author = t.a.user->root_index.author;
	node_stop(&t.a);
	node_start(&t.a, t.rig, 0);
	assert_int_equal(t.a.user->root_index.author, author);
	REQUESTS(&t.a, create_fn, "new", "", .puts = 1, .sets = 1, .deletes = 1);
	assert_true(rig_row_count(t.rig, "shared/dictmap/" USER "/idx/") == 1);
	two_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(requests_are_those_of_the_table),
		RIG_UNIT_TEST(within_close_delay_nothing_is_asked),
		RIG_UNIT_TEST(close_delay_counts_from_the_last_access_until_a_refresh_is_forced),
		RIG_UNIT_TEST(folders_are_the_same_on_every_backend),
		RIG_UNIT_TEST(a_name_that_is_used_again_has_another_uidvalidity),
		RIG_UNIT_TEST(what_another_backend_saved_is_found_again_and_again),
		RIG_UNIT_TEST(who_only_reads_sees_what_comes_later),
		RIG_UNIT_TEST(without_a_mark_nothing_is_changed),
		RIG_UNIT_TEST(who_saved_without_knowing_the_other_says_so_when_it_does),
		RIG_UNIT_TEST(two_folders_of_one_name_are_both_kept),
		RIG_UNIT_TEST(a_clean_stop_keeps_the_root),
		RIG_UNIT_TEST(after_a_crash_the_root_is_downloaded_by_a_new_author),
		RIG_UNIT_TEST(a_uidvalidity_is_stored_before_it_is_shown),
		RIG_UNIT_TEST(nobody_sees_an_inbox_that_could_not_be_made),
		RIG_UNIT_TEST(a_damaged_file_is_not_believed),
		RIG_UNIT_TEST(without_a_disk_the_root_lives_in_memory),
		RIG_UNIT_TEST(folders_may_be_uploaded_in_the_background),
		RIG_UNIT_TEST(a_clean_stop_uploads_what_waits),
		RIG_UNIT_TEST(a_delivery_does_not_wait_for_the_background),
		RIG_UNIT_TEST(a_large_root_has_a_base_and_diffs),
	};

	return cmocka_run_group_tests_name("obox-root", tests, NULL, NULL);
}
