/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-metacache.h"

#define OBJECTS(...) \
	(const struct history_object[]) \
	{ \
		__VA_ARGS__ \
	}
#define TOKENS(...) \
	(const unsigned[]) \
	{ \
		__VA_ARGS__ \
	}

/* ---- 1 ---- */

static void delivered_and_audited_mail_passes(void **state)
{
	(void)state;
	t_mail(1);
	t_audit_of(0, 1);
	t_passes();
	assert_int_equal(t.verdict.mails_expected, 1);
	assert_int_equal(t.verdict.mails_seen, 1);
}

static void acknowledged_mail_that_is_not_listed_is_lost(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	t_mail(1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	f = t_finds("I1 lost mail");
	assert_string_equal(f->sentence,
		T_USER "/INBOX: mail 0000000000000001 was delivered with OK and is gone");
	assert_int_equal(f->token, 1);
	assert_int_equal(f->op, 1);
	assert_non_null(strstr(f->why[0], "backend-1: deliver INBOX ended ok"));
}

static void expunged_mail_is_not_lost(void **state)
{
	static const enum history_outcome outcomes[] = { HISTORY_OK, HISTORY_UNCERTAIN,
		HISTORY_PENDING };

	(void)state;
	for (unsigned i = 0; i < LAB_COUNT_OF(outcomes); i++)
		t_deliver(i + 1, t_object(i + 1, i + 1), HISTORY_OK);
	for (unsigned i = 0; i < LAB_COUNT_OF(outcomes); i++)
		t_expunge(0, i + 1, i + 1, i + 1, outcomes[i]);
	t_audit(0, NULL, NULL, 0);
	t_passes();
}

static void failed_expunge_does_not_excuse_a_loss(void **state)
{
	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_expunge(0, 1, 1, 1, HISTORY_FAIL);
	t_audit(0, NULL, NULL, 0);
	t_finds("I1 lost mail");
}

static void unacknowledged_mail_may_be_missing(void **state)
{
	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_deliver(2, t_object(2, 2), HISTORY_FAIL);
	t_deliver(3, t_unknown(), HISTORY_PENDING);
	t_audit(0, NULL, NULL, 0);
	t_passes();
}

static void mail_acknowledged_without_a_name_is_found_by_its_token(void **state)
{
	(void)state;
	t_put(9);
	t_rows(0, 9, 9);
	t_deliver(1, t_unknown(), HISTORY_OK);
	t_audit(0, OBJECTS(t_object(9, 9)), TOKENS(1), 1);
	t_passes();
}

static void mail_acknowledged_without_a_name_can_be_lost(void **state)
{
	(void)state;
	t_deliver(1, t_unknown(), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_finds("I1 lost mail");
}

static void listed_mail_without_body_is_lost(void **state)
{
	(void)state;
	t_mail(1);
	t_select(T_AUDITOR, 0, OBJECTS(t_object(1, 1)), 1);
	t_fetch_as(0, t_object(1, 1), 1, 0, HISTORY_FAIL, LAB_NOT_FOUND);
	assert_non_null(strstr(t_finds("I1 lost mail")->sentence, "its body is gone"));
}

static void mail_that_cannot_be_read_after_heal_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_select(T_AUDITOR, 0, OBJECTS(t_object(1, 1)), 1);
	t_fetch_as(0, t_object(1, 1), 1, 0, HISTORY_FAIL, LAB_UNAVAILABLE);
	t_finds("I1 mail cannot be read");
}

static void one_successful_audit_fetch_is_enough(void **state)
{
	(void)state;
	t_mail(1);
	t_select(T_AUDITOR, 0, OBJECTS(t_object(1, 1)), 1);
	t_fetch_as(0, t_object(1, 1), 1, 0, HISTORY_FAIL, LAB_UNAVAILABLE);
	t_fetch_as(0, t_object(1, 1), 1, t_hash(1), HISTORY_OK, LAB_OK);
	t_fetch_as(0, t_object(1, 1), 1, 0, HISTORY_FAIL, LAB_UNAVAILABLE);
	t_passes();
}

static void folder_that_cannot_be_opened_after_heal_is_a_failure(void **state)
{
	struct history_op op = { .kind = HISTORY_SELECT };

	(void)state;
	t_mail(1);
	op = t_op(HISTORY_SELECT, 0, 0);
	op.backend = LAB_VIEW(T_AUDITOR);
	op.code = LAB_UNAVAILABLE;
	t_run(op, HISTORY_FAIL);
	t_finds("I1 mail cannot be read");
}

static void folder_that_was_not_audited_is_unknown(void **state)
{
	struct oracle_case c;

	(void)state;
	t_mail(1);
	c = t_case();
	oracle_judge(t.oracle, &c, &t.verdict);
	assert_true(t.verdict.is_unknown);
	assert_int_equal(t.verdict.failures, 0);
	assert_string_equal(t.verdict.unknown, "the audit did not look at " T_USER "/INBOX");
}

static void copied_mail_must_be_in_its_target(void **state)
{
	(void)state;
	t_mail(1);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_OK);
	t_audit_of(0, 1);
	t_audit(1, NULL, NULL, 0);
	assert_non_null(strstr(t_finds("I1 lost mail")->sentence, "/Folder1: "));
}

static void moved_mail_leaves_its_source(void **state)
{
	(void)state;
	t_put(1);
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_rows(1, 2, 1);
	t_copy(HISTORY_MOVE, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, OBJECTS(t_object(2, 1)), TOKENS(1), 1);
	t_passes();
}

static void move_that_only_copied_must_keep_both(void **state)
{
	struct history_op op;

	(void)state;
	t_mail(1);
	op = t_copy_op(HISTORY_MOVE, 0, 1, 1, 1, 1);
	op.made = t_object(2, 1);
	op.copied = true;
	t_run(op, HISTORY_FAIL);
	t_audit_of(0, 1);
	t_audit(1, NULL, NULL, 0);
	t_finds("I1 lost mail");
}

static void race_of_two_hosts_is_excused(void **state)
{
	struct history_op copy;
	uint32_t id;

	(void)state;
	t_mail(1);
	copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	copy.made = t_object(2, 1);
	id = t_begin(&copy);
	t.peer = "backend-2";
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_end(id, &copy, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
	t_excuses("I1 lost mail");
}

/* A copy on backend-2 races with the expunge of what it copies; INBOX's mail is gone after that.
 */
static void copy_beside_expunge(const char *expunger)
{
	struct history_op copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	uint32_t id;

	copy.made = t_object(2, 1);
	t.peer = "backend-2";
	copy.backend = lab_view_cstr(t.peer);
	id = t_begin(&copy);
	t.peer = expunger;
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_end(id, &copy, HISTORY_OK);
	t.peer = "backend-2";
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
}

/* Whoever does not know of the expunge moves the mail, and finds that it has a reference. */
static void move_after_the_race(void)
{
	t_copy(HISTORY_MOVE, 0, 1, 1, 1, 1, t_object(3, 1), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
}

static void move_that_counts_a_raced_copy_is_excused(void **state)
{
	(void)state;
	t_mail(1);
	copy_beside_expunge("backend-1");
	t_expunge(1, 2, 1, 1, HISTORY_UNCERTAIN);
	move_after_the_race();
	t_excuses("I1 lost mail");
}

static void move_that_counts_no_raced_copy_is_not_excused(void **state)
{
	(void)state;
	t_mail(1);
	copy_beside_expunge("backend-1");
	/* That copy is gone: there was nothing to count. */
	t_expunge(1, 2, 1, 1, HISTORY_OK);
	move_after_the_race();
	t_finds("I1 lost mail");
}

static void move_after_a_race_on_one_host_is_not_excused(void **state)
{
	(void)state;
	t_mail(1);
	copy_beside_expunge("backend-2");
	t_expunge(1, 2, 1, 1, HISTORY_UNCERTAIN);
	move_after_the_race();
	t_finds("I1 lost mail");
}

/* backend-1 cleans up a delivery that failed, before or while `copier` copies the mail. */
static void clean_up_beside_copy(const char *copier, bool is_before)
{
	struct history_op deliver, copy;
	uint32_t id, copy_id;

	t.peer = "backend-1";
	deliver = t_op(HISTORY_DELIVER, 0, 1);
	deliver.made = t_object(1, 1);
	deliver.body_hash = t_hash(1);
	id = t_begin(&deliver);
	t_put(1);
	t.peer = copier;
	copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	copy.made = t_object(2, 1);
	copy_id = t_begin(&copy);
	if (is_before)
		t_end(copy_id, &copy, HISTORY_OK);
	t.peer = "backend-1";
	t_drop(1);
	t_end(id, &deliver, HISTORY_FAIL);
	if (!is_before)
		t_end(copy_id, &copy, HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
}

static void race_with_a_clean_up_is_excused(void **state)
{
	(void)state;
	clean_up_beside_copy("backend-2", false);
	t_excuses("I1 lost mail");
}

static void copy_that_was_over_before_the_clean_up_is_not_excused(void **state)
{
	(void)state;
	clean_up_beside_copy("backend-2", true);
	t_finds("I1 lost mail");
}

static void race_with_a_clean_up_on_one_host_is_not_excused(void **state)
{
	(void)state;
	clean_up_beside_copy("backend-1", false);
	t_finds("I1 lost mail");
}

static void race_on_one_host_is_not_excused(void **state)
{
	struct history_op copy;
	uint32_t id;

	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	copy.made = t_object(2, 1);
	id = t_begin(&copy);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_end(id, &copy, HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
	t_finds("I1 lost mail");
}

static void without_lockdir_a_race_on_one_host_is_excused(void **state)
{
	struct history_op copy;
	uint32_t id;

	(void)state;
	t.settings.has_lockdir = false;
	t_restart();
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	copy.made = t_object(2, 1);
	id = t_begin(&copy);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_end(id, &copy, HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
	t_excuses("I1 lost mail");
}

struct late_copy {
	bool has_lockdir, is_own, is_heard;
};

/* backend-1 expunges the mail; then backend-2, or it itself, copies it, and the body is gone. */
static void copy_after_expunge(const struct late_copy *c)
{
	struct history_op expunge = t_op_at(HISTORY_EXPUNGE, 1, 1);
	struct history_op copy = t_op_at(HISTORY_COPY, c->is_own ? 1 : 2, 1);

	t.settings.has_lockdir = c->has_lockdir;
	t_restart();
	t_start_all();
	t_deliver_at(1, 1, 0);
	t_upload(1, 0);
	t_refresh(2, 0, "created");
	expunge.source = t_object(1, 1);
	(void)t_run(expunge, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_upload(1, 0);
	if (c->is_heard)
		t_refresh(2, 0, "refreshed_changed");
	t_rows(1, 2, 1);
	copy.target = lab_view_cstr(t_folder(1));
	t_folder_guid(1, copy.target_guid);
	copy.source = t_object(1, 1);
	copy.made = t_object(2, 1);
	(void)t_run(copy, HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
}

static void without_lockdir_a_copy_of_what_was_expunged_unheard_is_excused(void **state)
{
	(void)state;
	copy_after_expunge(&(struct late_copy){ .is_own = false });
	t_excuses("I1 lost mail");
}

static void not_of_what_nobody_else_expunged(void **state)
{
	(void)state;
	copy_after_expunge(&(struct late_copy){ .is_own = true });
	t_finds("I1 lost mail");
}

static void not_of_what_it_had_heard_of(void **state)
{
	(void)state;
	copy_after_expunge(&(struct late_copy){ .is_heard = true });
	t_finds("I1 lost mail");
}

static void not_where_references_are_counted(void **state)
{
	(void)state;
	copy_after_expunge(&(struct late_copy){ .has_lockdir = true });
	t_finds("I1 lost mail");
}

static void objects_taken_away_on_purpose_excuse_the_loss(void **state)
{
	(void)state;
	t.settings.objects_were_lost = true;
	t_restart();
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_excuses("I1 lost mail");
}

/* ---- 2 ---- */

static void expunged_mail_in_a_later_listing_is_back(void **state)
{
	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_select("backend-2", 0, OBJECTS(t_object(1, 1)), 1);
	t_audit(0, NULL, NULL, 0);
	t_finds("I2 expunged mail is back");
}

static void listing_that_overlaps_the_expunge_may_have_the_mail(void **state)
{
	struct history_op op, select;
	struct history_sighting seen = { .uid = 1, .object = t_object(1, 1) };
	uint32_t expunge_id, select_id;

	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	op = t_op(HISTORY_EXPUNGE, 0, 1);
	op.source = t_object(1, 1);
	expunge_id = t_begin(&op);
	select = t_op(HISTORY_SELECT, 0, 0);
	select_id = t_begin(&select);
	t_end(expunge_id, &op, HISTORY_OK);
	history_sight(t.history, select_id, &seen, 1);
	t_end(select_id, &select, HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_passes();
}

static void uncertain_expunge_may_leave_the_mail(void **state)
{
	(void)state;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_UNCERTAIN);
	t_audit_of(0, 1);
	t_passes();
}

static void clocks_beyond_delete_timestamp_excuse_an_undone_expunge(void **state)
{
	(void)state;
	t.settings.clock_error_us = 5000001;
	t_restart();
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_audit_of(0, 1);
	t_excuses("I2 expunged mail is back");
}

/* ---- 5 ---- */

static void failed_delivery_must_not_be_there(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_deliver(1, t_object(1, 1), HISTORY_FAIL);
	t_audit_of(0, 1);
	t_finds("I5 phantom mail");
}

static void phantom_after(enum fault_kind kind, const char *backend, const char *user)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, 1);
	uint32_t id;

	t_put(1);
	t_rows(0, 1, 1);
	id = t_begin(&op);
	t_lie_as(kind, backend, user);
	op.made = t_object(1, 1);
	op.body_hash = t_hash(1);
	t_end(id, &op, HISTORY_FAIL);
	t_audit_of(0, 1);
}

static void what_a_false_server_error_leaves_is_excused(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_server_error_applied,
		FAULT_overloaded_applied };

	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		phantom_after(kinds[i], t.peer, T_USER);
		t_excuses("I5 phantom mail");
		(void)t_teardown(state);
		(void)t_setup(state);
	}
}

static void another_backends_false_answer_excuses_nothing(void **state)
{
	(void)state;
	phantom_after(FAULT_server_error_applied, "backend-9", T_USER);
	t_finds("I5 phantom mail");
}

static void another_users_false_answer_excuses_nothing(void **state)
{
	(void)state;
	phantom_after(FAULT_server_error_applied, t.peer, "user2@example.com");
	t_finds("I5 phantom mail");
}

static void uncertain_delivery_may_be_there(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_audit_of(0, 1);
	t_passes();
}

static void retry_after_a_crash_may_duplicate_the_mail(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 2; n++) {
		t_put(n);
		t_rows(0, n, n);
	}
	t_deliver(7, t_unknown(), HISTORY_UNCERTAIN);
	t_deliver(7, t_object(2, 2), HISTORY_OK);
	t_audit(0, OBJECTS(t_object(1, 1), t_object(2, 2)), TOKENS(7, 7), 2);
	t_passes();
}

static void one_more_duplicate_than_attempts_is_a_failure(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		t_put(n);
		t_rows(0, n, n);
	}
	t_deliver(7, t_unknown(), HISTORY_UNCERTAIN);
	t_deliver(7, t_object(2, 2), HISTORY_OK);
	t_audit(0, OBJECTS(t_object(1, 1), t_object(2, 2), t_object(3, 3)), TOKENS(7, 7, 7), 3);
	t_finds("I5 duplicate without cause");
}

static void mail_that_nobody_made_is_a_phantom(void **state)
{
	(void)state;
	t_mail(1);
	t_put(2);
	t_rows(0, 2, 2);
	t_audit(0, OBJECTS(t_object(1, 1), t_object(2, 2)), TOKENS(1, 1), 2);
	assert_non_null(strstr(t_finds("I5 phantom mail")->sentence, "nothing was ever asked"));
}

static void two_saves_with_one_object_name_are_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_audit_of(0, 1);
	t_finds("I5 object name used twice");
}

/* ---- 8 ---- */

static void two_mails_with_one_uid_are_a_failure(void **state)
{
	struct history_sighting seen[] = { { .uid = 4, .object = t_object(1, 1) },
		{ .uid = 4, .object = t_object(2, 2) } };
	struct history_op op;
	uint32_t id;

	(void)state;
	t_mail(1);
	t_mail(2);
	op = t_op(HISTORY_SELECT, 0, 0);
	id = t_begin(&op);
	history_sight(t.history, id, seen, 2);
	t_end(id, &op, HISTORY_OK);
	t_audit_of(0, 1, 2);
	t_finds("I8 duplicate UID");
}

static void uids_out_of_order_are_no_duplicates(void **state)
{
	struct history_sighting seen[] = { { .uid = 5, .object = t_object(1, 1) },
		{ .uid = 4, .object = t_object(2, 2) } };
	struct history_op op;
	uint32_t id;

	(void)state;
	t_mail(1);
	t_mail(2);
	op = t_op(HISTORY_SELECT, 0, 0);
	id = t_begin(&op);
	history_sight(t.history, id, seen, 2);
	t_end(id, &op, HISTORY_OK);
	t_audit_of(0, 1, 2);
	t_passes();
}

static void mail_listed_twice_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_select("backend-2", 0, OBJECTS(t_object(1, 1), t_object(1, 1)), 2);
	t_audit_of(0, 1);
	t_finds("I8 duplicate object name");
}

/* ---- 21, 30 ---- */

static void changed_body_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_select(T_AUDITOR, 0, OBJECTS(t_object(1, 1)), 1);
	t_fetch_as(0, t_object(1, 1), 1, t_hash(99), HISTORY_OK, LAB_OK);
	t_finds("I21 wrong body");
}

static void body_of_another_mail_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_mail(2);
	t_audit(0, OBJECTS(t_object(1, 1), t_object(2, 2)), TOKENS(2, 2), 2);
	t_finds("I21 wrong body");
}

static void failed_read_during_the_storm_is_no_wrong_body(void **state)
{
	struct history_op op;

	(void)state;
	t_mail(1);
	op = t_op(HISTORY_FETCH, 0, 1);
	op.source = t_object(1, 1);
	op.code = LAB_NOT_FOUND;
	t_run(op, HISTORY_FAIL);
	t_audit_of(0, 1);
	t_passes();
}

static void mail_of_another_user_is_a_failure(void **state)
{
	struct history_op op, fetch;

	(void)state;
	op = t_op(HISTORY_DELIVER, 0, 42);
	op.user = LAB_VIEW("other@example.com");
	op.made = t_object(9, 9);
	t_run(op, HISTORY_UNCERTAIN);
	t_mail(1);
	fetch = t_op(HISTORY_FETCH, 0, 42);
	fetch.body_hash = 0;
	t_run(fetch, HISTORY_OK);
	t_audit_of(0, 1);
	t_finds("I30 another user's mail");
}

/* ---- the verdict itself ---- */

static void equal_runs_give_equal_findings(void **state)
{
	struct oracle_finding first[3];

	(void)state;
	for (unsigned n = 3; n >= 1; n--)
		t_deliver(n, t_object(n, n), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_judge();
	assert_int_equal(t.verdict.count, 3);
	memcpy(first, t.verdict.findings, sizeof(first));
	t_judge();
	assert_int_equal(t.verdict.failures, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(first[i].sentence, t.verdict.findings[i].sentence);
}

static void failure_that_tells_most_comes_first(void **state)
{
	(void)state;
	t_put(5);
	t_rows(0, 5, 5);
	t_deliver(5, t_object(5, 5), HISTORY_FAIL);
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_expunge(0, 2, 2, 2, HISTORY_OK);
	t_select("backend-2", 0, OBJECTS(t_object(2, 2)), 1);
	t_audit_of(0, 5);
	t_judge();
	assert_int_equal(t.verdict.count, 3);
	assert_int_equal(t.verdict.findings[0].invariant, 1);
	assert_int_equal(t.verdict.findings[1].invariant, 2);
	assert_int_equal(t.verdict.findings[2].invariant, 5);
}

/* However many there are of the first, and without what is excused. */
static void each_signature_is_told_once(void **state)
{
	const char *found[4];

	(void)state;
	for (unsigned n = 1; n <= ORACLE_FINDINGS_MAX + 3; n++)
		t_deliver(n, t_object(n, n), HISTORY_OK);
	t_expunge(0, 9001, 9001, 9001, HISTORY_OK);
	t_select("backend-2", 0, OBJECTS(t_object(9001, 9001)), 1);
	t_audit_of(0, 5);
	t_judge();
	assert_int_equal(t.verdict.count, ORACLE_FINDINGS_MAX);
	assert_int_equal(oracle_found(t.oracle, found, 4), 3);
	assert_string_equal(found[0], t.verdict.findings[0].signature);
	assert_string_equal(found[1], "I2 expunged mail is back");
	assert_string_equal(found[2], "I5 object name used twice");
	assert_int_equal(oracle_found(t.oracle, found, 1), 1);
}

static void every_invariant_has_a_sentence(void **state)
{
	size_t count;
	const struct oracle_invariant *list = oracle_invariants(&count);

	(void)state;
	assert_true(count >= 36);
	for (size_t i = 0; i < count; i++) {
		/* Of obox 8.1, or of palomar 4.1. */
		assert_row(i, list[i].number >= 1 &&
				      (list[i].number <= 36 || list[i].number > ORACLE_R(0)));
		assert_row(i, i == 0 || list[i - 1].number < list[i].number);
		assert_row(i, list[i].doc[strlen(list[i].doc) - 1] == '.');
	}
}

/* In order, and each invariant has one. */
static void every_invariant_has_a_signature_and_a_test(void **state)
{
	size_t count, of, at = 0;
	const struct oracle_invariant *list = oracle_invariants(&count);
	const struct oracle_signature *signatures = oracle_signatures(&of);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		size_t first = at;

		for (; at < of && signatures[at].number == list[i].number; at++) {
			assert_row(at, strncmp(signatures[at].test, "test-oracle-", 12) == 0);
			assert_row(at, signatures[at].text[0] ==
					       (list[i].number > ORACLE_T(0)          ? 'T'
						       : list[i].number > ORACLE_M(0) ? 'M'
						       : list[i].number > ORACLE_R(0) ? 'R'
										      : 'I'));
		}
		assert_row(i, at > first);
	}
	assert_int_equal(at, of);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(delivered_and_audited_mail_passes),
		t_test(acknowledged_mail_that_is_not_listed_is_lost),
		t_test(expunged_mail_is_not_lost),
		t_test(failed_expunge_does_not_excuse_a_loss),
		t_test(unacknowledged_mail_may_be_missing),
		t_test(mail_acknowledged_without_a_name_is_found_by_its_token),
		t_test(mail_acknowledged_without_a_name_can_be_lost),
		t_test(listed_mail_without_body_is_lost),
		t_test(mail_that_cannot_be_read_after_heal_is_a_failure),
		t_test(one_successful_audit_fetch_is_enough),
		t_test(folder_that_cannot_be_opened_after_heal_is_a_failure),
		t_test(folder_that_was_not_audited_is_unknown),
		t_test(copied_mail_must_be_in_its_target),
		t_test(moved_mail_leaves_its_source),
		t_test(move_that_only_copied_must_keep_both),
		t_test(race_of_two_hosts_is_excused),
		t_test(race_with_a_clean_up_is_excused),
		t_test(copy_that_was_over_before_the_clean_up_is_not_excused),
		t_test(race_with_a_clean_up_on_one_host_is_not_excused),
		t_test(move_that_counts_a_raced_copy_is_excused),
		t_test(move_that_counts_no_raced_copy_is_not_excused),
		t_test(move_after_a_race_on_one_host_is_not_excused),
		t_test(race_on_one_host_is_not_excused),
		t_test(without_lockdir_a_race_on_one_host_is_excused),
		t_backends_test(without_lockdir_a_copy_of_what_was_expunged_unheard_is_excused),
		t_backends_test(not_of_what_nobody_else_expunged),
		t_backends_test(not_of_what_it_had_heard_of),
		t_backends_test(not_where_references_are_counted),
		t_test(objects_taken_away_on_purpose_excuse_the_loss),
		t_test(expunged_mail_in_a_later_listing_is_back),
		t_test(listing_that_overlaps_the_expunge_may_have_the_mail),
		t_test(uncertain_expunge_may_leave_the_mail),
		t_test(clocks_beyond_delete_timestamp_excuse_an_undone_expunge),
		t_test(failed_delivery_must_not_be_there),
		t_test(what_a_false_server_error_leaves_is_excused),
		t_test(another_backends_false_answer_excuses_nothing),
		t_test(another_users_false_answer_excuses_nothing),
		t_test(uncertain_delivery_may_be_there),
		t_test(retry_after_a_crash_may_duplicate_the_mail),
		t_test(one_more_duplicate_than_attempts_is_a_failure),
		t_test(mail_that_nobody_made_is_a_phantom),
		t_test(two_saves_with_one_object_name_are_a_failure),
		t_test(two_mails_with_one_uid_are_a_failure),
		t_test(uids_out_of_order_are_no_duplicates),
		t_test(mail_listed_twice_is_a_failure),
		t_test(changed_body_is_a_failure),
		t_test(body_of_another_mail_is_a_failure),
		t_test(failed_read_during_the_storm_is_no_wrong_body),
		t_test(mail_of_another_user_is_a_failure),
		t_test(equal_runs_give_equal_findings),
		t_test(failure_that_tells_most_comes_first),
		t_test(each_signature_is_told_once),
		t_test(every_invariant_has_a_sentence),
		cmocka_unit_test(every_invariant_has_a_signature_and_a_test),
	};

	return cmocka_run_group_tests_name("oracle-mails", tests, NULL, NULL);
}
