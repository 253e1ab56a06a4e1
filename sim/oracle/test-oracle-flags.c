/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 3 and 4: changes of flags hold until another that knew them, and what was not uploaded
 * may be lost by a crash only.
 */
#include "sim/oracle/testing-metacache.h"

#include "sim/oracle/knowledge.h"

/* ---- one backend ---- */

static void a_flag_that_was_set_is_seen_by_its_own_backend(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_see(1, T_SEEN);
	t_store_at(1, 1, T_SEEN, false);
	t_see(1, 0);
	t_audit_sees(0);
	t_passes();
}

static void a_flag_that_its_own_backend_forgets_is_lost(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_see(1, 0);
	t_audit_sees(0);
	assert_non_null(strstr(t_finds("I3 flag lost")->sentence, "\\Seen was set with OK"));
}

static void a_flag_that_was_cleared_stays_so(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_WORK, true);
	t_store_at(1, 1, T_WORK, false);
	t_see(1, T_WORK);
	t_audit_sees(0);
	assert_non_null(strstr(t_finds("I3 flag is back")->sentence, "Work was cleared"));
}

static void what_nobody_set_is_found(void **state)
{
	(void)state;
	t_deliver_at(1, 1, T_WORK);
	t_see(2, T_WORK | T_SEEN);
	t_audit_sees(0);
	assert_non_null(strstr(t_finds("I3 flag out of nowhere")->sentence, "has \\Seen"));
}

static void one_flag_says_nothing_of_another(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_store_at(1, 1, T_WORK, false);
	t_see(1, T_SEEN);
	t_audit_sees(0);
	t_passes();
}

static void what_failed_or_was_uncertain_may_be_either(void **state)
{
	static const enum history_outcome outcomes[] = { HISTORY_UNCERTAIN, HISTORY_PENDING };

	for (size_t i = 0; i < 2 * LAB_COUNT_OF(outcomes); i++) {
		t_deliver_at(1, 1, 0);
		(void)t_run(t_store_op(1, 1, T_SEEN, true, false), outcomes[i / 2]);
		t_see(1, i % 2 == 0 ? T_SEEN : 0);
		t_audit_sees(0);
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
	t_deliver_at(1, 1, 0);
	(void)t_run(t_store_op(1, 1, T_SEEN, true, false), HISTORY_FAIL);
	t_see(1, T_SEEN);
	t_audit_sees(0);
	(void)t_finds("I3 flag out of nowhere");
}

/* What was set before; not what was set when it was back, nor what was cleared. */
static void a_mail_that_was_dropped_has_lost_its_flags(void **state)
{
	static const struct {
		bool is_lost, is_set_later, is_cleared;
		const char *signature;
		bool is_excused;
	} rows[] = {
		{ .is_lost = true, .signature = "I3 flag lost", .is_excused = true },
		{ .signature = "I3 flag lost" },
		{ .is_lost = true, .is_set_later = true, .signature = "I3 flag lost" },
		{ .is_lost = true, .is_cleared = true, .signature = "I3 flag is back" },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_deliver_at(1, 1, 0);
		t_store_at(1, 1, T_SEEN, true);
		if (rows[i].is_cleared)
			t_store_at(1, 1, T_SEEN, false);
		if (rows[i].is_lost)
			t_take_away(1);
		t_drop_from_index(1, 1);
		if (rows[i].is_set_later)
			t_store_at(1, 1, T_SEEN, true);
		t_see(1, rows[i].is_cleared ? T_SEEN : 0);
		t_audit_sees(0);
		if (rows[i].is_excused)
			t_excuses(rows[i].signature);
		else
			(void)t_finds(rows[i].signature);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- two backends ---- */

static void another_backend_must_see_it_once_it_has_refreshed(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_see(2, 0);
	t_upload(1, 0);
	t_see(2, 0);
	t_refresh(2, 0, "kept");
	t_see(2, 0);
	t_refresh(2, 0, "refreshed_changed");
	t_see(2, T_SEEN);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void another_backend_that_refreshed_and_does_not_see_it_lost_it(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_refresh(2, 0, "refreshed_changed");
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	assert_int_equal(t_finds("I3 flag lost")->invariant, 3);
}

static void a_refresh_that_began_before_the_upload_ended_knows_nothing(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_started, 1, 0, "", LAB_OK);
	t_folder_event(LAB_EV_metacache_mailbox_refresh_started, 2, 0, "", LAB_OK);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, 1, 0, "", LAB_OK);
	t_folder_event(
		LAB_EV_metacache_mailbox_refresh_finished, 2, 0, "refreshed_changed", LAB_OK);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void what_was_set_while_the_upload_was_under_way_is_not_in_it(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_started, 1, 0, "", LAB_OK);
	t_store_at(1, 1, T_SEEN, true);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, 1, 0, "", LAB_OK);
	t_audit_sees(0);
	t_passes();
}

/* No event came between the two. */
static void what_was_set_as_the_upload_began_is_not_in_it(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_started, 1, 0, "", LAB_OK);
	t.sequence -= 2;
	t_store_at(1, 1, T_SEEN, true);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, 1, 0, "", LAB_OK);
	t_crash(1);
	t_audit_sees(0);
	t_passes();
}

static void an_upload_or_a_refresh_that_failed_proves_nothing(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_started, 1, 0, "", LAB_OK);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, 1, 0, "", LAB_UNCERTAIN);
	t_refresh(2, 0, "refreshed_changed");
	t_see(2, 0);
	t_upload(1, 0);
	t_folder_event(LAB_EV_metacache_mailbox_refresh_started, 2, 0, "", LAB_OK);
	t_folder_event(
		LAB_EV_metacache_mailbox_refresh_finished, 2, 0, "refreshed_changed", LAB_TIMEOUT);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void what_is_stored_the_audit_must_see(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_crash(1);
	t_audit_sees(0);
	(void)t_finds("I3 flag lost");
}

/* It had listed the bundles before. */
static void what_is_stored_while_the_audit_runs_it_need_not_see(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_start(T_AUDIT);
	t_upload(1, 0);
	t_see(T_AUDIT, 0);
	t_passes();
}

static void a_crash_costs_what_was_not_uploaded(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_store_at(1, 1, T_WORK, true);
	t_crash(1);
	t_start(1);
	t_refresh(1, 0, "created");
	t_see(1, T_SEEN);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void a_restarted_backend_must_know_what_it_uploaded_before(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_crash(1);
	t_start(1);
	t_refresh(1, 0, "created");
	t_see(1, 0);
	t_audit_sees(T_SEEN);
	(void)t_finds("I3 flag lost");
}

static void changes_at_the_same_time_may_come_in_either_order(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		t_deliver_at(1, 1, T_SEEN);
		t_upload(1, 0);
		t_refresh(2, 0, "created");
		t_store_at(1, 1, T_SEEN, false);
		t_store_at(2, 1, T_SEEN, true);
		t_upload(1, 0);
		t_upload(2, 0);
		t_audit_sees(i == 0 ? 0 : T_SEEN);
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void who_knew_the_other_change_is_later(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_refresh(2, 0, "created");
	t_store_at(2, 1, T_SEEN, false);
	t_upload(2, 0);
	t_audit_sees(T_SEEN);
	(void)t_finds("I3 flag is back");
}

/* Backend 3 has it from 2, which has it from 1. */
static void what_is_known_is_handed_on(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_upload(1, 0);
	t_refresh(2, 0, "created");
	t_store_at(2, 1, T_WORK, true);
	t_upload(2, 0);
	t_refresh(3, 0, "created");
	t_store_at(3, 1, T_SEEN, false);
	t_see(3, T_WORK);
	t_upload(3, 0);
	t_audit_sees(T_WORK | T_SEEN);
	(void)t_finds("I3 flag is back");
}

/* ---- deliveries and copies ---- */

/* Whose bundle was said not to be there has deleted it; the row of the one before is gone, too. */
static void a_bundle_that_was_denied_takes_flags_with_it(void **state)
{
	static const char diffs[] = "mails.user_mailbox_index_diff_objects";
	static const struct {
		const char *table, *user;
		bool is_before, is_cleared, is_excused;
	} rows[] = {
		{ diffs, T_USER, .is_excused = true },
		{ diffs, T_USER, .is_cleared = true, .is_excused = true },
		{ diffs, T_USER, .is_before = true },
		{ diffs, "user2@example.com", .is_excused = false },
		{ "mails.user_mailbox_objects", T_USER, .is_excused = false },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const char *signature = rows[i].is_cleared ? "I3 flag is back" : "I3 flag lost";

		t_deliver_at(1, 1, 0);
		if (rows[i].is_before)
			t_lie_about(rows[i].table, FAULT_server_error_applied, t_backend(1),
				rows[i].user);
		t.now += LAB_SEC;
		t_store_at(1, 1, T_SEEN, true);
		if (rows[i].is_cleared)
			t_store_at(1, 1, T_SEEN, false);
		if (!rows[i].is_before)
			t_lie_about(rows[i].table, FAULT_server_error_applied, t_backend(1),
				rows[i].user);
		t_see(1, rows[i].is_cleared ? T_SEEN : 0);
		t_audit_sees(0);
		if (rows[i].is_excused)
			t_excuses(signature);
		else
			(void)t_finds(signature);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void a_flag_of_a_delivery_is_as_good_as_a_change(void **state)
{
	(void)state;
	t_deliver_at(1, 1, T_WORK);
	t_see(1, 0);
	t_audit_sees(0);
	assert_int_equal(t_finds("I4 flag of the delivery lost")->invariant, 4);
}

static void who_finds_a_mail_by_its_name_sees_no_flags(void **state)
{
	(void)state;
	t_deliver_at(1, 1, T_WORK);
	t_see(2, 0);
	t_audit_sees(0);
	t_passes();
}

static void a_copy_has_the_flags_that_its_backend_knew(void **state)
{
	const struct t_mail inbox = { .n = 1, .flags = T_SEEN };
	const struct t_mail copy = { .n = 2, .oid = 1 };

	(void)state;
	t_deliver_at(1, 1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_copy_at(1, 1, 2);
	t_list(1, (struct t_list){ .folder = 1 }, &copy, 1);
	t_upload(1, 0);
	t_start(T_AUDIT);
	t_list(T_AUDIT, (struct t_list){ 0 }, &inbox, 1);
	t_list(T_AUDIT, (struct t_list){ .folder = 1 }, &copy, 1);
	(void)t_finds("I4 flag of the delivery lost");
}

static void copy_what_was_removed(void)
{
	const struct t_mail copy = { .n = 2, .oid = 1 };
	struct history_op expunge;

	t_deliver_at(1, 1, T_SEEN);
	expunge = t_op_at(HISTORY_EXPUNGE, 1, 1);
	expunge.source = t_object(1, 1);
	(void)t_run(expunge, HISTORY_OK);
	t_copy_at(1, 1, 2);
	t_list(1, (struct t_list){ .folder = 1 }, &copy, 1);
	t_upload(1, 0);
	t_start(T_AUDIT);
	t_list(T_AUDIT, (struct t_list){ 0 }, NULL, 0);
	t_list(T_AUDIT, (struct t_list){ .folder = 1 }, &copy, 1);
}

static void a_copy_of_what_clocks_brought_back_may_have_lost_flags(void **state)
{
	(void)state;
	t_set_clock_error(5000001);
	copy_what_was_removed();
	t_excuses("I4 flag of the delivery lost");
}

static void other_copies_keep_them(void **state)
{
	(void)state;
	copy_what_was_removed();
	(void)t_finds("I4 flag of the delivery lost");
}

static void a_copy_of_what_is_not_known_may_have_either(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct t_mail inbox = { .n = 1, .flags = T_SEEN };
		const struct t_mail copy = { .n = 2, .oid = 1, .flags = i == 0 ? 0 : T_SEEN };

		t_deliver_at(1, 1, 0);
		t_store_at(1, 1, T_SEEN, true);
		t_copy_at(2, 1, 2);
		t_upload(1, 0);
		t_upload(2, 1);
		t_start(T_AUDIT);
		t_list(T_AUDIT, (struct t_list){ 0 }, &inbox, 1);
		t_list(T_AUDIT, (struct t_list){ .folder = 1 }, &copy, 1);
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- in time ---- */

static void upload_begins(uint64_t highest_modseq)
{
	uint8_t guid[HISTORY_NAME_BYTES];
	char hex[2 * HISTORY_NAME_BYTES + 1];

	t_folder_guid(0, guid);
	lab_hex(guid, sizeof(guid), hex);
	t_tell_fiber(LAB_EV_metacache_mailbox_bundle_upload_started, 1, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("mailbox_guid", hex),
			LAB_F_VOLATILE_U64("highest_modseq", highest_modseq) },
		3);
}

/* An upload that begins before the client hears of the change has it, or does not. */
static void what_is_uploaded_at_once_is_in_time(void **state)
{
	static const struct {
		uint64_t modseq, uploaded;
		bool is_before; /* it was asked for */
		bool is_in_time;
	} rows[] = {
		{ .modseq = 1500, .uploaded = 1500, .is_in_time = true },
		{ .modseq = 1500, .uploaded = 1499 },
		{ .modseq = 1500, .uploaded = 1500, .is_before = true },
		{ .modseq = 0, .uploaded = 1500 },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct history_op op = t_store_op(1, 1, T_SEEN, true, true);
		uint32_t id = 0;

		op.modseq = rows[i].modseq;
		t_deliver_at(1, 1, 0);
		if (!rows[i].is_before)
			id = t_begin(&op);
		upload_begins(rows[i].uploaded);
		if (rows[i].is_before)
			id = t_begin(&op);
		t_end(id, &op, HISTORY_OK);
		t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, 1, 0, "", LAB_OK);
		/* Nor does it matter what others upload then. */
		t_upload(2, 0);
		t.now += 8 * LAB_MINUTE;
		t_audit_sees(rows[i].is_in_time ? T_SEEN : 0);
		if (rows[i].is_in_time)
			t_passes();
		else
			(void)t_finds("I3 flag not uploaded in time");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void what_is_not_uploaded_in_time_is_found(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_upload(1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t.now += 8 * LAB_MINUTE;
	t_audit_sees(0);
	(void)t_finds("I3 flag not uploaded in time");
}

static void the_interval_and_the_upload_may_pass(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_upload(1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t.now += 6 * LAB_MINUTE;
	t_upload(1, 0);
	t.now += 8 * LAB_MINUTE;
	t_audit_sees(T_SEEN);
	t_passes();
}

static void a_crash_a_failure_or_no_change_excuses_a_late_upload(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		t_deliver_at(1, 1, 0);
		t_upload(1, 0);
		(void)t_run(t_store_op(1, 1, T_SEEN, true, i != 0), HISTORY_OK);
		t.now += LAB_MINUTE;
		if (i == 1)
			t_crash(1);
		if (i == 2)
			t_tell_fiber(LAB_EV_fault_injected, 1, 0, NULL, 0);
		t.now += i == 3 ? LAB_MINUTE : 8 * LAB_MINUTE;
		t_audit_sees(0);
		t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void a_mail_that_is_gone_needs_no_flags(void **state)
{
	(void)state;
	t_deliver_at(1, 1, 0);
	t_upload(1, 0);
	t_store_at(1, 1, T_SEEN, true);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t.now += LAB_MINUTE;
	(void)t_expunge(0, 1, 1, 1, HISTORY_OK);
	t.now += 8 * LAB_MINUTE;
	t_start(T_AUDIT);
	t_list(T_AUDIT, (struct t_list){ 0 }, NULL, 0);
	t_passes();
}

static void a_core_without_bundles_keeps_its_flags_to_itself(void **state)
{
	(void)state;
	t_deliver_at(1, 1, T_WORK);
	t_store_at(1, 1, T_SEEN, true);
	t.now += 60 * LAB_MINUTE;
	t_audit_sees(0);
	t_passes();
}

/* What it keeps is bounded; what is not about indexes takes none of that. */
static void other_events_fill_nothing(void **state)
{
	struct knowledge *k = knowledge_new(testing_heap);
	struct lab_event event = { .id = LAB_EV_http_request_finished, .host = 1 };

	(void)state;
	for (unsigned i = 0; i < 3000000; i++)
		knowledge_event(k, &event);
	assert_false(knowledge_is_full(k));
	event.id = LAB_EV_metacache_mailbox_refresh_started;
	for (unsigned i = 0; i < 3000000; i++)
		knowledge_event(k, &event);
	assert_true(knowledge_is_full(k));
	knowledge_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(other_events_fill_nothing),
		t_backends_test(a_flag_that_was_set_is_seen_by_its_own_backend),
		t_backends_test(a_flag_that_its_own_backend_forgets_is_lost),
		t_backends_test(a_flag_that_was_cleared_stays_so),
		t_backends_test(what_nobody_set_is_found),
		t_backends_test(one_flag_says_nothing_of_another),
		t_backends_test(a_mail_that_was_dropped_has_lost_its_flags),
		t_backends_test(what_failed_or_was_uncertain_may_be_either),
		t_backends_test(another_backend_must_see_it_once_it_has_refreshed),
		t_backends_test(another_backend_that_refreshed_and_does_not_see_it_lost_it),
		t_backends_test(a_refresh_that_began_before_the_upload_ended_knows_nothing),
		t_backends_test(what_was_set_while_the_upload_was_under_way_is_not_in_it),
		t_backends_test(what_was_set_as_the_upload_began_is_not_in_it),
		t_backends_test(an_upload_or_a_refresh_that_failed_proves_nothing),
		t_backends_test(what_is_stored_the_audit_must_see),
		t_backends_test(what_is_stored_while_the_audit_runs_it_need_not_see),
		t_backends_test(a_crash_costs_what_was_not_uploaded),
		t_backends_test(a_restarted_backend_must_know_what_it_uploaded_before),
		t_backends_test(changes_at_the_same_time_may_come_in_either_order),
		t_backends_test(who_knew_the_other_change_is_later),
		t_backends_test(what_is_known_is_handed_on),
		t_backends_test(a_bundle_that_was_denied_takes_flags_with_it),
		t_backends_test(a_flag_of_a_delivery_is_as_good_as_a_change),
		t_backends_test(who_finds_a_mail_by_its_name_sees_no_flags),
		t_backends_test(a_copy_has_the_flags_that_its_backend_knew),
		t_backends_test(a_copy_of_what_is_not_known_may_have_either),
		t_backends_test(a_copy_of_what_clocks_brought_back_may_have_lost_flags),
		t_backends_test(other_copies_keep_them),
		t_backends_test(what_is_uploaded_at_once_is_in_time),
		t_backends_test(what_is_not_uploaded_in_time_is_found),
		t_backends_test(the_interval_and_the_upload_may_pass),
		t_backends_test(a_crash_a_failure_or_no_change_excuses_a_late_upload),
		t_backends_test(a_mail_that_is_gone_needs_no_flags),
		t_backends_test(a_core_without_bundles_keeps_its_flags_to_itself),
	};

	return cmocka_run_group_tests_name("oracle-flags", tests, NULL, NULL);
}
