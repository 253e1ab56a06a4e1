/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant 11: folders, names, GUIDs and subscriptions are what was acknowledged; and what becomes
 * of the mails of folders and users that are deleted. Folder n of a test has the GUID of
 * t_folder_guid(n).
 */
#include "sim/oracle/testing-metacache.h"

#define NOBODY 99

/* A LIST: what a test lists. */
struct shown {
	const char *name;
	unsigned guid; /* NOBODY: a name that is subscribed, and no folder */
	const char *special_use;
	bool is_subscribed;
};

static void list_as(unsigned host, bool is_converged, const struct shown *shown, size_t count)
{
	struct history_folder folders[8] = { 0 };
	struct history_op op = t_op_at(HISTORY_LIST, host, 0);
	uint32_t id;

	op.folder = LAB_VIEW("");
	op.is_converged = is_converged;
	id = t_begin(&op);
	for (size_t i = 0; i < count; i++) {
		folders[i].name = lab_view_cstr(shown[i].name);
		folders[i].is_subscribed = shown[i].is_subscribed;
		folders[i].special_use =
			lab_view_cstr(shown[i].special_use == NULL ? "" : shown[i].special_use);
		if (shown[i].guid != NOBODY)
			t_folder_guid(shown[i].guid, folders[i].guid);
	}
	history_sight_folders(t.history, id, folders, count);
	t_end(id, &op, HISTORY_OK);
}
#define lists(host, is_converged, ...) \
	list_as(host, is_converged, (const struct shown[]){ __VA_ARGS__ }, \
		sizeof((const struct shown[]){ __VA_ARGS__ }) / sizeof(struct shown))
/* The auditor's. */
#define finally(...) (t_start(T_AUDIT), lists(T_AUDIT, false, __VA_ARGS__))

static struct history_op folder_op(
	enum history_kind kind, unsigned host, const char *name, unsigned guid)
{
	struct history_op op = t_op_at(kind, host, 0);

	op.folder = lab_view_cstr(name);
	memset(op.mailbox_guid, 0, sizeof(op.mailbox_guid));
	if (guid != NOBODY)
		t_folder_guid(guid, op.mailbox_guid);
	return op;
}

static void create(unsigned host, const char *name, unsigned guid)
{
	(void)t_run(folder_op(HISTORY_CREATE, host, name, guid), HISTORY_OK);
}

static void rename_to(unsigned host, const char *from, const char *to, unsigned guid,
	enum history_outcome outcome)
{
	struct history_op op = folder_op(HISTORY_RENAME, host, from, guid);

	op.target = lab_view_cstr(to);
	(void)t_run(op, outcome);
}

static void delete_folder(
	unsigned host, const char *name, unsigned guid, enum history_outcome outcome)
{
	(void)t_run(folder_op(HISTORY_DELETE, host, name, guid), outcome);
}

static void delete_user(unsigned host, enum history_outcome outcome)
{
	(void)t_run(folder_op(HISTORY_USER_DELETE, host, "", NOBODY), outcome);
}

static void subscribe(unsigned host, const char *name, bool is_set, enum history_outcome outcome)
{
	struct history_op op = folder_op(HISTORY_SUBSCRIBE, host, name, NOBODY);

	op.is_set = is_set;
	(void)t_run(op, outcome);
}

/* The host looks at the root. */
static void refresh_root(unsigned host)
{
	const struct lab_field fields[] = { LAB_F_CSTR("user", T_USER),
		LAB_F_CSTR("metacache_status", "refreshed_changed"), LAB_F_CODE("code", LAB_OK) };

	t_tell_fiber(LAB_EV_metacache_user_refresh_started, host, 1, fields, 1);
	t_tell_fiber(LAB_EV_metacache_user_refresh_finished, host, 1, fields, 3);
}

#define INBOX \
	{ \
		.name = "INBOX", .guid = 0 \
	}

/* ---- folders ---- */

static void what_was_made_and_not_deleted_is_lost(void **state)
{
	(void)state;
	create(1, "Work", 1);
	finally(INBOX);
	assert_non_null(strstr(t_finds("I11 lost folder")->sentence, "/Work was there"));
}

static void a_folder_that_may_have_been_deleted_is_not_lost(void **state)
{
	(void)state;
	create(1, "Work", 1);
	create(1, "Play", 2);
	create(1, "Rest", 3);
	delete_folder(1, "Work", 1, HISTORY_UNCERTAIN);
	delete_folder(2, "Play", NOBODY, HISTORY_UNCERTAIN);
	rename_to(2, "Rest", "Rust", NOBODY, HISTORY_PENDING);
	delete_folder(2, "Rust", NOBODY, HISTORY_PENDING);
	finally(INBOX);
	t_passes();
}

static void a_failed_or_another_delete_does_not_excuse_it(void **state)
{
	(void)state;
	create(1, "Work", 1);
	delete_folder(1, "Work", 1, HISTORY_FAIL);
	delete_folder(1, "Play", NOBODY, HISTORY_UNCERTAIN);
	delete_folder(1, "Work", 2, HISTORY_OK);
	finally(INBOX);
	(void)t_finds("I11 lost folder");
}

static void what_was_only_seen_need_not_have_been_stored(void **state)
{
	(void)state;
	(void)t_run(folder_op(HISTORY_SELECT, 1, "Work", 1), HISTORY_OK);
	finally(INBOX);
	t_passes();
}

static void what_was_deleted_is_back(void **state)
{
	(void)state;
	create(1, "Work", 1);
	delete_folder(2, "Work", 1, HISTORY_OK);
	lists(1, false, INBOX, { .name = "Work", .guid = 1 });
	finally(INBOX, { .name = "Work", .guid = 1 });
	(void)t_finds("I11 deleted folder is back");
}

static void a_folder_of_that_name_may_be_made_again(void **state)
{
	(void)state;
	create(1, "Work", 1);
	delete_folder(2, "Work", 1, HISTORY_OK);
	create(2, "Work", 2);
	finally(INBOX, { .name = "Work", .guid = 2 });
	t_passes();
}

static void a_name_that_nobody_gave_is_found(void **state)
{
	(void)state;
	create(1, "Work", 1);
	create(1, "Play", 2);
	finally(INBOX, { .name = "Play", .guid = 1 }, { .name = "Work", .guid = 2 });
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	assert_string_equal(t.verdict.findings[0].signature, "I11 folder has another name");
	assert_string_equal(t.verdict.findings[1].signature, "I11 folder has another name");
}

static void an_acknowledged_rename_holds(void **state)
{
	(void)state;
	create(1, "Work", 1);
	rename_to(1, "Work", "Play", 1, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = 1 });
	assert_non_null(strstr(t_finds("I11 rename undone")->sentence, "a rename to Play"));
}

static void a_rename_takes_along_what_is_below(void **state)
{
	(void)state;
	create(1, "Work", 1);
	create(1, "Work/Old", 2);
	rename_to(1, "Work", "Play", 1, HISTORY_OK);
	finally(INBOX, { .name = "Play", .guid = 1 }, { .name = "Work/Old", .guid = 2 });
	(void)t_finds("I11 rename undone");
	(void)t_teardown(state);
	(void)t_setup_backends(state);
	create(1, "Work", 1);
	create(1, "Work/Old", 2);
	rename_to(1, "Work", "Play", 1, HISTORY_OK);
	finally(INBOX, { .name = "Play", .guid = 1 }, { .name = "Play/Old", .guid = 2 });
	t_passes();
}

/* Either may hold: neither knew the other. */
static void of_two_renames_at_once_either_holds(void **state)
{
	static const char *const names[] = { "Play", "Rest" };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		create(1, "Work", 1);
		refresh_root(2);
		rename_to(1, "Work", "Play", 1, HISTORY_OK);
		rename_to(2, "Work", "Rest", 1, HISTORY_OK);
		finally(INBOX, { .name = names[i], .guid = 1 });
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
	create(1, "Work", 1);
	rename_to(1, "Work", "Play", 1, HISTORY_OK);
	refresh_root(2);
	rename_to(2, "Play", "Rest", 1, HISTORY_OK);
	finally(INBOX, { .name = "Play", .guid = 1 });
	(void)t_finds("I11 rename undone");
}

static void an_uncertain_rename_may_hold(void **state)
{
	static const char *const names[] = { "Work", "Play" };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		create(1, "Work", 1);
		rename_to(1, "Work", "Play", NOBODY, HISTORY_UNCERTAIN);
		finally(INBOX, { .name = names[i], .guid = 1 });
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void of_two_of_one_name_one_has_a_suffix(void **state)
{
	(void)state;
	create(1, "Work", 1);
	create(2, "Work", 2);
	finally(INBOX, { .name = "Work", .guid = 1 }, { .name = "Work-03030303", .guid = 2 });
	t_passes();
}

static void a_suffix_without_another_folder_is_found(void **state)
{
	(void)state;
	create(1, "Work", 1);
	finally(INBOX, { .name = "Work-02020202", .guid = 1 });
	(void)t_finds("I11 clash without cause");
}

static void fail_in(const char *name, unsigned guid)
{
	struct history_op op = t_op_at(HISTORY_COPY, 2, 1);

	op.target = lab_view_cstr(name);
	if (guid != NOBODY)
		t_folder_guid(guid, op.target_guid);
	(void)t_run(op, HISTORY_FAIL);
}

/* A copy makes the folder, and then it fails; nobody else need ever have been in that one. */
static void a_suffix_is_due_to_another_folder_that_somebody_failed_in(void **state)
{
	(void)state;
	fail_in("Work", 2);
	create(1, "Work", 1);
	finally(INBOX, { .name = "Work-02020202", .guid = 1 });
	t_passes();
}

static void a_suffix_is_due_to_another_folder_that_was_deleted(void **state)
{
	(void)state;
	create(1, "Work", 1);
	delete_folder(2, "Work", 2, HISTORY_OK);
	finally(INBOX, { .name = "Work-02020202", .guid = 1 });
	t_passes();
}

static void a_suffix_stays_in_renames_from_above(void **state)
{
	(void)state;
	fail_in("Work/Now", 2);
	create(1, "Work/Now", 1);
	create(1, "Work", 3);
	rename_to(1, "Work", "Play", 3, HISTORY_OK);
	finally(INBOX, { .name = "Play", .guid = 3 }, { .name = "Play/Now-02020202", .guid = 1 });
	t_passes();
}

static void who_was_in_no_other_folder_of_that_name_is_no_cause_of_a_suffix(void **state)
{
	(void)state;
	create(1, "Work", 1);
	fail_in("Work", 1);
	fail_in("Work", NOBODY);
	fail_in("Play", 2);
	delete_folder(2, "Rest", 3, HISTORY_OK);
	delete_folder(2, "Work", NOBODY, HISTORY_FAIL);
	finally(INBOX, { .name = "Work-02020202", .guid = 1 });
	(void)t_finds("I11 clash without cause");
}

static void the_suffix_is_that_of_its_guid(void **state)
{
	(void)state;
	create(1, "Work", 1);
	create(2, "Work", 2);
	finally(INBOX, { .name = "Work", .guid = 1 }, { .name = "Work-02020202", .guid = 2 });
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	assert_string_equal(t.verdict.findings[0].signature, "I11 folder has another name");
	assert_string_equal(t.verdict.findings[1].signature, "I11 folder out of nowhere");
}

static void what_nobody_asked_for_is_found(void **state)
{
	(void)state;
	finally(INBOX, { .name = "Work", .guid = 1 });
	(void)t_finds("I11 folder out of nowhere");
}

static void nothing_is_recovered_that_was_not_lost(void **state)
{
	(void)state;
	finally(INBOX, { .name = "recovered-lost-folder-0202020202020202", .guid = 1 });
	(void)t_finds("I11 recovered without cause");
	t.settings.objects_were_lost = true;
	(void)t_teardown(state);
	(void)t_setup_backends(state);
	t.settings.objects_were_lost = true;
	t_restart();
	finally(INBOX, { .name = "recovered-lost-folder-0202020202020202", .guid = 1 });
	t_excuses("I11 recovered without cause");
}

/* Whose bundle of the root was said not to be there has deleted it. */
static void a_root_that_was_denied_takes_folders_with_it(void **state)
{
	static const struct {
		const char *table, *user;
		bool is_before, is_excused;
	} rows[] = {
		{ "mails.user_index_diff_objects", T_USER, .is_excused = true },
		{ "mails.user_index_diff_objects", T_USER, .is_before = true },
		{ "mails.user_index_diff_objects", "user2@example.com", .is_excused = false },
		{ "mails.user_mailbox_index_diff_objects", T_USER, .is_excused = false },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (rows[i].is_before)
			t_lie_about(rows[i].table, FAULT_overloaded_minority, t_backend(1),
				rows[i].user);
		t.now += LAB_SEC;
		create(1, "Work", 1);
		if (!rows[i].is_before)
			t_lie_about(rows[i].table, FAULT_overloaded_minority, t_backend(1),
				rows[i].user);
		finally(INBOX);
		if (rows[i].is_excused)
			t_excuses("I11 lost folder");
		else
			(void)t_finds("I11 lost folder");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void there_is_one_inbox(void **state)
{
	(void)state;
	lists(1, false, INBOX);
	finally({ .name = "INBOX", .guid = 1 });
	(void)t_finds("I11 second INBOX");
	(void)t_teardown(state);
	(void)t_setup_backends(state);
	finally(INBOX, { .name = "INBOX-02020202", .guid = 1 });
	(void)t_finds("I11 second INBOX");
}

static void no_list_has_a_folder_twice(void **state)
{
	(void)state;
	create(1, "Work", 1);
	finally(INBOX, { .name = "Work", .guid = 1 }, { .name = "Work", .guid = 1 });
	(void)t_finds("I11 folder listed twice");
}

static void what_a_folder_is_for_stays(void **state)
{
	struct history_op op = folder_op(HISTORY_CREATE, 1, "Sent", 1);

	(void)state;
	op.special_use = LAB_VIEW("\\Sent");
	(void)t_run(op, HISTORY_OK);
	finally(INBOX, { .name = "Sent", .guid = 1, .special_use = "\\Archive" });
	(void)t_finds("I11 special use lost");
}

static void backends_must_list_the_same(void **state)
{
	(void)state;
	create(1, "Work", 1);
	lists(1, true, INBOX, { .name = "Work", .guid = 1 });
	lists(2, true, INBOX, { .name = "Work", .guid = 1, .is_subscribed = true });
	finally(INBOX, { .name = "Work", .guid = 1 });
	(void)t_finds("I22 backends list different folders");
}

/* ---- subscriptions ---- */

static void a_subscription_holds(void **state)
{
	(void)state;
	subscribe(1, "Work", false, HISTORY_OK);
	subscribe(1, "Work", true, HISTORY_OK);
	finally(INBOX);
	(void)t_finds("I11 subscription lost");
}

static void so_does_its_end(void **state)
{
	(void)state;
	subscribe(1, "Work", true, HISTORY_OK);
	refresh_root(2);
	subscribe(2, "Work", false, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = NOBODY, .is_subscribed = true });
	(void)t_finds("I11 subscription is back");
}

/* Who had not heard of it took away another one; what is uncertain may have been done. */
static void of_two_at_once_either_holds(void **state)
{
	(void)state;
	subscribe(1, "Work", true, HISTORY_OK);
	subscribe(2, "Work", false, HISTORY_OK);
	subscribe(1, "Play", true, HISTORY_OK);
	subscribe(1, "Play", false, HISTORY_PENDING);
	subscribe(1, "Rest", true, HISTORY_OK);
	delete_user(1, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = NOBODY, .is_subscribed = true });
	t_passes();
}

/* ---- mails ---- */

static void save_into(unsigned host, unsigned n, unsigned folder, enum history_outcome outcome)
{
	struct history_op op = t_op_at(HISTORY_DELIVER, host, n);

	op.folder = lab_view_cstr(t_folder(folder));
	t_folder_guid(folder, op.mailbox_guid);
	op.made = t_object(n, n);
	op.body_hash = t_hash(n);
	(void)t_run(op, outcome);
}

static void mails_go_with_their_folder(void **state)
{
	(void)state;
	save_into(1, 1, 1, HISTORY_OK);
	delete_folder(1, "Folder1", 1, HISTORY_OK);
	finally(INBOX);
	t_passes();
}

static void and_do_not_come_back(void **state)
{
	const struct t_mail mail = { .n = 1 };

	(void)state;
	t_put(1);
	save_into(1, 1, 1, HISTORY_OK);
	delete_folder(1, "Folder1", 1, HISTORY_OK);
	t_list(1, (struct t_list){ .folder = 1 }, &mail, 1);
	finally(INBOX);
	t_drop(1);
	assert_non_null(strstr(
		t_finds("I2 expunged mail is back")->sentence, "deleted with its folder with OK"));
}

/* Something failed in the delete: what it left may be seen by who has not heard of it. */
static void unless_the_delete_met_a_failure(void **state)
{
	const struct t_mail mail = { .n = 1 };
	struct history_op op = folder_op(HISTORY_DELETE, 1, "Folder1", 1);
	uint32_t id;

	(void)state;
	save_into(1, 1, 1, HISTORY_OK);
	id = t_begin(&op);
	t_tell_fiber(LAB_EV_fault_injected, 1, 0, NULL, 0);
	t_end(id, &op, HISTORY_OK);
	t_list(1, (struct t_list){ .folder = 1 }, &mail, 1);
	finally(INBOX);
	t_passes();
}

static void what_came_after_the_delete_must_be_somewhere(void **state)
{
	(void)state;
	create(1, "Folder1", 1);
	delete_folder(1, "Folder1", 1, HISTORY_OK);
	save_into(2, 1, 1, HISTORY_OK);
	finally(INBOX);
	(void)t_finds("I11 mail lost with its folder");
}

static void what_came_meanwhile_may_be_gone(void **state)
{
	struct history_op op = folder_op(HISTORY_DELETE, 1, "Folder1", 1);
	uint32_t id;

	(void)state;
	id = t_begin(&op);
	save_into(2, 1, 1, HISTORY_OK);
	t_end(id, &op, HISTORY_OK);
	finally(INBOX);
	t_passes();
}

/* Into Folder1, which was made again for it with GUID 2, and of which nobody was told. */
static void it_may_go_with_the_folder_that_it_was_saved_into_again(void **state)
{
	(void)state;
	create(1, "Folder1", 1);
	delete_folder(1, "Folder1", 1, HISTORY_OK);
	save_into(2, 1, 1, HISTORY_OK);
	rename_to(1, "Folder1", "Work", 2, HISTORY_OK);
	rename_to(1, "Work", "Play", 2, HISTORY_OK);
	delete_folder(1, "Play", 2, HISTORY_OK);
	finally(INBOX);
	t_passes();
}

static void but_not_with_one_that_never_had_its_name(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		create(1, "Folder1", 1);
		delete_folder(1, "Folder1", 1, HISTORY_OK);
		if (i == 0)
			rename_to(1, "Folder1", "Work", 2, HISTORY_OK);
		save_into(2, 1, 1, HISTORY_OK);
		if (i == 1)
			rename_to(1, "Rest", "Work", 2, HISTORY_OK);
		if (i == 2) {
			create(1, "Work", 2);
			rename_to(1, "Folder1", "Work", 3, HISTORY_OK);
		}
		delete_folder(1, "Work", 2, HISTORY_OK);
		if (i == 2)
			finally(INBOX, { .name = "Work", .guid = 3 });
		else
			finally(INBOX);
		(void)t_finds("I11 mail lost with its folder");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Object 7 was stored when backend 2 crashed, for all that it saves mail 1 again. */
static void leaves_a_body(bool is_deleted, bool has_crashed, uint64_t late)
{
	create(1, "Folder1", 1);
	if (is_deleted)
		delete_folder(1, "Folder1", 1, HISTORY_OK);
	save_into(2, 1, 1, HISTORY_OK);
	if (has_crashed)
		t_crash(2);
	t.now += late;
	t_put(7);
	t.now += 10 * LAB_MINUTE;
	t_put(5), t_rows(2, 5, 5);
	finally(INBOX, { .name = "Folder1", .guid = is_deleted ? 2 : 1 });
	t_audit(2, (const struct history_object[]){ t_object(5, 5) }, (const unsigned[]){ 1 }, 1);
}

static void what_was_being_saved_again_may_be_left(void **state)
{
	(void)state;
	leaves_a_body(true, true, 100 * LAB_MSEC);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 1);
}

static void but_not_without_a_crash_or_a_deletion(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		bool found = false;

		leaves_a_body(i != 0, i != 1, i == 2 ? LAB_SEC : 100 * LAB_MSEC);
		t_judge();
		for (size_t n = 0; n < t.verdict.count; n++)
			found |= strcmp(t.verdict.findings[n].signature,
					 "I15 leak without cause") == 0;
		assert_true(found);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* It has another name then, which nobody was told: once by each backend, and not more often. */
static void it_may_be_saved_again_once_by_each(void **state)
{
	const struct history_object saved[] = { t_object(5, 5), t_object(6, 6), t_object(7, 7),
		t_object(8, 8) };
	const unsigned tokens[] = { 1, 1, 1, 1 };

	/* Two backends and the auditor may have found it at the same time. */
	for (unsigned count = 3; count <= 4; count++) {
		create(1, "Folder1", 1);
		delete_folder(1, "Folder1", 1, HISTORY_OK);
		save_into(2, 1, 1, HISTORY_OK);
		for (unsigned i = 0; i < count; i++)
			t_put(5 + i), t_rows(2, 5 + i, 5 + i);
		finally(INBOX, { .name = "Folder1", .guid = 2 });
		t_audit(2, saved, tokens, count);
		if (count == 3)
			t_passes();
		else
			(void)t_finds("I5 duplicate without cause");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- users ---- */

static void all_goes_with_the_user(void **state)
{
	(void)state;
	create(1, "Folder1", 1);
	save_into(1, 1, 1, HISTORY_OK);
	save_into(1, 2, 0, HISTORY_OK);
	delete_user(1, HISTORY_OK);
	finally(INBOX);
	t_passes();
}

static void what_came_after_it_must_be_there(void **state)
{
	(void)state;
	delete_user(1, HISTORY_OK);
	create(1, "Folder1", 1);
	finally(INBOX);
	(void)t_finds("I11 lost folder");
}

static void its_folders_do_not_come_back(void **state)
{
	(void)state;
	create(1, "Work", 1);
	delete_user(1, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = 1 });
	(void)t_finds("I11 folder of a deleted user");
}

static void unless_another_backend_had_them(void **state)
{
	(void)state;
	create(2, "Work", 1);
	delete_user(1, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = 1 });
	t_excuses("I11 folder of a deleted user");
}

/* What a crash left behind is not believed. */
static void but_not_one_that_had_crashed_before(void **state)
{
	(void)state;
	create(2, "Work", 1);
	t_crash(2);
	t.now += 2 * LAB_MINUTE;
	delete_user(1, HISTORY_OK);
	finally(INBOX, { .name = "Work", .guid = 1 });
	(void)t_finds("I11 folder of a deleted user");
}

/* UIDs of the user before mean nothing to the next one. */
static void numbers_begin_anew_with_the_user(void **state)
{
	static const enum history_outcome outcomes[] = { HISTORY_OK, HISTORY_FAIL };

	for (size_t i = 0; i < LAB_COUNT_OF(outcomes); i++) {
		(void)t_list(1, (struct t_list){ .uidnext = 50 }, NULL, 0);
		delete_user(1, outcomes[i]);
		(void)t_list(1, (struct t_list){ .uidnext = 1 }, NULL, 0);
		if (i == 0)
			t_passes();
		else
			(void)t_finds("I7 UIDNEXT decreased");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void status_tells_numbers_too(void **state)
{
	struct history_op op;

	for (unsigned i = 0; i < 4; i++) {
		static const char *const signatures[] = { "I6 UIDVALIDITY decreased",
			"I7 UIDNEXT decreased", "I10 HIGHESTMODSEQ decreased" };

		(void)t_list(1, (struct t_list){ .uidnext = 50, .highest = 70 }, NULL, 0);
		op = t_op_at(HISTORY_STATUS, 1, 0);
		op.uidvalidity = i == 0 ? 99 : 100;
		op.uidnext = i == 1 ? 49 : 50;
		op.highest_modseq = i == 2 ? 69 : 70;
		(void)t_run(op, HISTORY_OK);
		if (i < 3)
			(void)t_finds(signatures[i]);
		else
			t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(what_was_made_and_not_deleted_is_lost),
		t_backends_test(a_folder_that_may_have_been_deleted_is_not_lost),
		t_backends_test(a_failed_or_another_delete_does_not_excuse_it),
		t_backends_test(what_was_only_seen_need_not_have_been_stored),
		t_backends_test(what_was_deleted_is_back),
		t_backends_test(a_folder_of_that_name_may_be_made_again),
		t_backends_test(a_name_that_nobody_gave_is_found),
		t_backends_test(an_acknowledged_rename_holds),
		t_backends_test(a_rename_takes_along_what_is_below),
		t_backends_test(of_two_renames_at_once_either_holds),
		t_backends_test(an_uncertain_rename_may_hold),
		t_backends_test(of_two_of_one_name_one_has_a_suffix),
		t_backends_test(a_suffix_without_another_folder_is_found),
		t_backends_test(a_suffix_is_due_to_another_folder_that_somebody_failed_in),
		t_backends_test(a_suffix_is_due_to_another_folder_that_was_deleted),
		t_backends_test(a_suffix_stays_in_renames_from_above),
		t_backends_test(who_was_in_no_other_folder_of_that_name_is_no_cause_of_a_suffix),
		t_backends_test(the_suffix_is_that_of_its_guid),
		t_backends_test(what_nobody_asked_for_is_found),
		t_backends_test(nothing_is_recovered_that_was_not_lost),
		t_backends_test(a_root_that_was_denied_takes_folders_with_it),
		t_backends_test(there_is_one_inbox),
		t_backends_test(no_list_has_a_folder_twice),
		t_backends_test(what_a_folder_is_for_stays),
		t_backends_test(backends_must_list_the_same),
		t_backends_test(a_subscription_holds),
		t_backends_test(so_does_its_end),
		t_backends_test(of_two_at_once_either_holds),
		t_backends_test(mails_go_with_their_folder),
		t_backends_test(and_do_not_come_back),
		t_backends_test(unless_the_delete_met_a_failure),
		t_backends_test(what_came_after_the_delete_must_be_somewhere),
		t_backends_test(what_came_meanwhile_may_be_gone),
		t_backends_test(it_may_go_with_the_folder_that_it_was_saved_into_again),
		t_backends_test(but_not_with_one_that_never_had_its_name),
		t_backends_test(what_was_being_saved_again_may_be_left),
		t_backends_test(but_not_without_a_crash_or_a_deletion),
		t_backends_test(it_may_be_saved_again_once_by_each),
		t_backends_test(all_goes_with_the_user),
		t_backends_test(what_came_after_it_must_be_there),
		t_backends_test(its_folders_do_not_come_back),
		t_backends_test(unless_another_backend_had_them),
		t_backends_test(but_not_one_that_had_crashed_before),
		t_backends_test(numbers_begin_anew_with_the_user),
		t_backends_test(status_tells_numbers_too),
	};

	return cmocka_run_group_tests_name("oracle-folders", tests, NULL, NULL);
}
