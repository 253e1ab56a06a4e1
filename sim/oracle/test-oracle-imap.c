/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 6, 7, 9 and 10: UIDVALIDITY, UIDs and modseqs, as seen by clients of one backend and
 * of several.
 */
#include "sim/oracle/testing-metacache.h"

#define LIST(...) \
	{ \
		__VA_ARGS__ \
	}

/* Nothing of this is stored: rules about rows would say more. */
static void finish(const struct t_mail *mails, size_t count)
{
	t_start(T_AUDIT);
	t_merge(T_AUDIT, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_refresh(T_AUDIT, 0, "created");
	t_list(T_AUDIT, (struct t_list){ .uidvalidity = 5000, .highest = 1000000 }, mails, count);
}
#define finish_with(...) \
	finish((const struct t_mail[]){ __VA_ARGS__ }, \
		sizeof((const struct t_mail[]){ __VA_ARGS__ }) / sizeof(struct t_mail))

static void deliver(unsigned count)
{
	for (unsigned n = 1; n <= count; n++)
		t_deliver_at(1, n, 0);
}

/* ---- 6 ---- */

static void a_merge_may_change_uidvalidity(void **state)
{
	(void)state;
	deliver(1);
	t_see(1, 0);
	t_merge(1, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_lists(1, LIST(.uidvalidity = 101), { .n = 1 });
	finish_with({ .n = 1 });
	t_passes();
}

static void nothing_else_may_change_it(void **state)
{
	(void)state;
	deliver(1);
	t_merge(1, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_see(1, 0);
	t_merge(2, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_merge(1, 1, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_lists(1, LIST(.uidvalidity = 101), { .n = 1 });
	finish_with({ .n = 1 });
	assert_int_equal(t_finds("I6 UIDVALIDITY changed")->invariant, 6);
}

static void uidvalidity_never_decreases(void **state)
{
	(void)state;
	deliver(1);
	t_see(1, 0);
	t_merge(1, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_lists(1, LIST(.uidvalidity = 99), { .n = 1 });
	finish_with({ .n = 1 });
	(void)t_finds("I6 UIDVALIDITY decreased");
}

static void who_knew_it_keeps_it(void **state)
{
	(void)state;
	deliver(1);
	t_see(1, 0);
	t_upload(1, 0);
	t_refresh(2, 0, "created");
	t_lists(2, LIST(.uidvalidity = 99), { .n = 1 });
	finish_with({ .n = 1 });
	(void)t_finds("I6 UIDVALIDITY decreased");
}

static void without_bundles_each_backend_has_its_own(void **state)
{
	(void)state;
	deliver(1);
	t_see(1, 0);
	t_lists(2, LIST(.uidvalidity = 90), { .n = 1 });
	t_crash(1);
	t_start(1);
	t_lists(1, LIST(.uidvalidity = 80), { .n = 1 });
	finish_with({ .n = 1 });
	t_passes();
}

static void after_a_crash_it_is_what_it_was(void **state)
{
	(void)state;
	deliver(1);
	t_upload(3, 1);
	t_see(1, 0);
	t_crash(1);
	t.now += LAB_MINUTE;
	t_lists(2, LIST(.uidvalidity = 101), { .n = 1 });
	finish_with({ .n = 1 });
	(void)t_finds("I6 two UIDVALIDITYs");
}

static void two_backends_at_once_may_make_two(void **state)
{
	(void)state;
	deliver(1);
	t_upload(3, 1);
	t_see(1, 0);
	t_lists(2, LIST(.uidvalidity = 101), { .n = 1 });
	finish_with({ .n = 1 });
	t_excuses("I6 two UIDVALIDITYs");
}

/* Then a mail, and another backend that lists the folder with another UIDVALIDITY. */
static void delete_user_and_list(void)
{
	(void)t_run(t_op_at(HISTORY_USER_DELETE, 1, 0), HISTORY_OK);
	t.now += LAB_MINUTE;
	deliver(1);
	t_upload(3, 1);
	t_see(1, 0);
	t.now += LAB_MINUTE;
	t_lists(2, LIST(.uidvalidity = 101), { .n = 1 });
	finish_with({ .n = 1 });
}

/* obox 4.11: only the metacache of the backend that deletes the user goes. */
static void an_index_of_before_the_user_was_deleted_may_be_another(void **state)
{
	(void)state;
	(void)t_run(t_op_at(HISTORY_FLUSH, 2, 0), HISTORY_OK);
	t.now += LAB_MINUTE;
	delete_user_and_list();
	t_excuses("I6 two UIDVALIDITYs");
}

static void of_a_backend_that_had_none_it_may_not(void **state)
{
	(void)state;
	delete_user_and_list();
	(void)t_finds("I6 two UIDVALIDITYs");
}

/* ---- 7 ---- */

static void a_uid_is_never_given_again(void **state)
{
	(void)state;
	deliver(2);
	t_lists(1, LIST(.highest = 2000), { .n = 1, .uid = 5 });
	t_lists(1, LIST(.highest = 3000), { .n = 2, .uid = 5, .modseq = 2500 });
	finish_with({ .n = 1 }, { .n = 2 });
	assert_int_equal(t_finds("I7 UID of two mails")->invariant, 7);
}

/* The bundle's row was written, and its host was told that it was not. */
static void after_a_lie_others_may_not_know_it(void **state)
{
	(void)state;
	deliver(2);
	t_lists(1, LIST(.highest = 2000, .uidnext = 9), { .n = 1 }, { .n = 2, .uid = 5 });
	t_upload(1, 0);
	t_lie_to(t_backend(1), T_USER);
	t.now += LAB_MINUTE;
	t_refresh(2, 0, "created");
	t_lists(2, LIST(.highest = 3000, .uidnext = 3), { .n = 1 }, { .n = 2, .uid = 5 });
	finish_with({ .n = 1 }, { .n = 2 });
	t_excuses("I7 UIDNEXT decreased");
}

static void nor_by_who_knew_it(void **state)
{
	(void)state;
	deliver(2);
	t_lists(1, LIST(.highest = 2000), { .n = 1, .uid = 5 });
	t_upload(1, 0);
	t_refresh(2, 0, "refreshed_changed");
	t_lists(2, LIST(.highest = 3000), { .n = 2, .uid = 5, .modseq = 2500 });
	finish_with({ .n = 1 }, { .n = 2 });
	(void)t_finds("I7 UID of two mails");
}

static void nor_after_a_crash(void **state)
{
	(void)state;
	deliver(2);
	t_upload(3, 1);
	t_lists(1, LIST(.folder = 0), { .n = 1, .uid = 5 });
	t_crash(1);
	t.now += LAB_MINUTE;
	t_lists(2, LIST(.folder = 0), { .n = 2, .uid = 5 });
	finish_with({ .n = 1 }, { .n = 2 });
	(void)t_finds("I7 UID of two mails");
}

static void two_backends_at_once_may_give_it_twice(void **state)
{
	(void)state;
	deliver(2);
	t_upload(3, 1);
	t_lists(1, LIST(.folder = 0), { .n = 1, .uid = 5 });
	t_lists(2, LIST(.folder = 0), { .n = 2, .uid = 5 });
	finish_with({ .n = 1 }, { .n = 2 });
	t_excuses("I7 UID of two mails");
}

static void another_uidvalidity_has_other_uids(void **state)
{
	(void)state;
	deliver(2);
	t_lists(1, LIST(.folder = 0), { .n = 1, .uid = 5 });
	t_merge(1, 0, LAB_EV_obox_index_merge_uidvalidity_changed);
	t_lists(1, LIST(.uidvalidity = 101), { .n = 2, .uid = 5 });
	finish_with({ .n = 1 }, { .n = 2 });
	t_passes();
}

static void uidnext_never_decreases(void **state)
{
	(void)state;
	deliver(1);
	t_lists(1, LIST(.uidnext = 7), { .n = 1 });
	t_lists(1, LIST(.uidnext = 6), { .n = 1 });
	finish_with({ .n = 1 });
	(void)t_finds("I7 UIDNEXT decreased");
}

static void a_new_mail_is_not_below_it(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		deliver(2);
		t_lists(1, LIST(.uidnext = 7, .highest = 2000), { .n = 1 });
		t_lists(1, LIST(.uidnext = 8, .highest = 3000), { .n = 1 },
			{ .n = 2, .uid = 6 + i, .modseq = 2500 });
		finish_with({ .n = 1 }, { .n = 2 });
		if (i == 1) {
			t_passes();
			return;
		}
		(void)t_finds("I7 new mail below UIDNEXT");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void copyuid_is_seen_too(void **state)
{
	struct history_op copy;

	(void)state;
	deliver(1);
	t_rows(1, 7, 1);
	copy = t_op_at(HISTORY_COPY, 1, 1);
	copy.source = t_object(1, 1);
	copy.made = t_object(7, 1);
	copy.target = lab_view_cstr(t_folder(1));
	t_folder_guid(1, copy.target_guid);
	copy.target_uid = 4;
	copy.target_uidvalidity = 100;
	(void)t_run(copy, HISTORY_OK);
	t_lists(1, LIST(.folder = 1, .uidnext = 9), { .n = 7, .uid = 8, .oid = 1 });
	finish_with({ .n = 1 });
	t_lists(T_AUDIT, LIST(.folder = 1, .uidvalidity = 5000), { .n = 7, .oid = 1 });
	(void)t_finds("I9 mail has another UID");
}

/* ---- 9 ---- */

static void a_mail_keeps_its_uid(void **state)
{
	(void)state;
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	assert_int_equal(t_finds("I9 mail has another UID")->invariant, 9);
}

static void list_one_that_came_back(void)
{
	struct history_op expunge;

	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	expunge = t_op_at(HISTORY_EXPUNGE, 1, 1);
	expunge.source = t_object(1, 1);
	(void)t_run(expunge, HISTORY_OK);
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
}

/* Damage to one mail may cost UIDs of its folder, and of no other. */
static void uids_of_another_folder_are_not_excused(void **state)
{
	struct history_object mail = t_object(1, 1), unknown = t_object(9, 9);
	struct oracle_damage damage = { .reason = "put back on purpose",
		.user = LAB_VIEW(T_USER),
		.name = lab_view_of(mail.name, sizeof(mail.name)),
		.invariants = ORACLE_DAMAGES(9),
		.of_folder = true };

	(void)state;
	deliver(1);
	t_copy_at(1, 1, 7);
	t_lists(1, LIST(.folder = 1, .uidnext = 6), { .n = 7, .uid = 5, .oid = 1 });
	t_lists(1, LIST(.folder = 1, .uidnext = 7), { .n = 7, .uid = 6, .oid = 1 });
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	t_lists(T_AUDIT, LIST(.folder = 1, .uidvalidity = 5000), { .n = 7, .oid = 1 });
	oracle_damaged(t.oracle, &damage);
	t_judge();
	assert_int_equal(t.verdict.failures, 1);
	assert_null(t.verdict.findings[0].excuse);
	assert_non_null(strstr(t.verdict.findings[0].sentence, t_folder(1)));
	assert_int_equal(t.verdict.count, 2);
	assert_string_equal(t.verdict.findings[1].excuse, damage.reason);
	/* Nobody knows where that one is. */
	damage.name = lab_view_of(unknown.name, sizeof(unknown.name));
	oracle_damaged(t.oracle, &damage);
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
}

/* What is newer than the damage is claimed, and what a bundle had before it; and if the bundle of
 * one folder was damaged, what indexes say of the others. */
static void damage_is_over_some_time(void **state)
{
	static const struct {
		bool is_older, is_stored, is_elsewhere, is_excused;
	} rows[] = {
		{ .is_older = true, .is_excused = true },
		{ .is_older = false },
		{ .is_older = true, .is_stored = true },
		{ .is_older = true, .is_elsewhere = true },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct oracle_damage damage = { .reason = "taken away on purpose",
			.user = LAB_VIEW(T_USER),
			.invariants = ORACLE_DAMAGES(9),
			.unless_stored = true };

		deliver(1);
		damage.until_ns = t.now;
		t_folder_guid(rows[i].is_elsewhere ? 1 : 0, damage.mailbox_guid);
		t.now += LAB_SEC;
		t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
		if (rows[i].is_older)
			damage.until_ns = t.now;
		if (rows[i].is_stored)
			t_upload(1, 0);
		oracle_damaged(t.oracle, &damage);
		t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
		finish_with({ .n = 1 });
		if (rows[i].is_excused)
			t_excuses("I9 mail has another UID");
		else
			(void)t_finds("I9 mail has another UID");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* A mail that is back takes part in the numbers of its folder. */
static void a_mail_that_damage_brought_back_may_cost_uids(void **state)
{
	struct oracle_damage damage = { .reason = "put back on purpose",
		.user = LAB_VIEW(T_USER),
		.invariants = ORACLE_DAMAGES(9),
		.unless_stored = true };

	(void)state;
	list_one_that_came_back();
	t_upload(1, 0);
	damage.until_ns = t.now;
	oracle_damaged(t.oracle, &damage);
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	damage.invariants |= ORACLE_DAMAGES(2);
	oracle_damaged(t.oracle, &damage);
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.count, 2);
}

/* The row of the mail before it was taken away: it is numbered as if that one had never been. Not
 * what a bundle knew, nor what came later, nor in another folder. */
static void a_mail_after_one_without_a_row_may_get_its_uid(void **state)
{
	static const struct {
		bool is_stored, is_newer, is_elsewhere, is_excused;
	} rows[] = {
		{ .is_excused = true },
		{ .is_stored = true },
		{ .is_newer = true },
		{ .is_elsewhere = true },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct history_object lost = t_object(rows[i].is_elsewhere ? 7 : 1, 1);
		struct oracle_damage damage = { .reason = "taken away on purpose",
			.user = LAB_VIEW(T_USER),
			.name = lab_view_of(lost.name, sizeof(lost.name)),
			.of_folder = true,
			.invariants = ORACLE_DAMAGES(7) | ORACLE_DAMAGES(9),
			.until_ns = t.now,
			.unless_stored = true };

		deliver(2);
		t_copy_at(1, 1, 7);
		t_lists(1, LIST(.uidnext = 3), { .n = 1, .uid = 1 }, { .n = 2, .uid = 2 });
		t_upload(1, rows[i].is_stored ? 0 : 1);
		if (!rows[i].is_newer)
			damage.until_ns = t.now;
		oracle_damaged(t.oracle, &damage);
		t.now += LAB_MINUTE;
		t_lists(2, LIST(.uidnext = 2), { .n = 2, .uid = 1 });
		finish_with({ .n = 1 }, { .n = 2 });
		t_lists(T_AUDIT, LIST(.folder = 1, .uidvalidity = 5000), { .n = 7, .oid = 1 });
		if (rows[i].is_excused)
			t_excuses("I7 UID of two mails");
		else
			(void)t_finds("I7 UID of two mails");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Only what was lost, and then dropped, and only until it has been found again. */
static void a_mail_that_was_dropped_is_a_new_one(void **state)
{
	static const struct {
		unsigned lost, dropped;                 /* mails; 0: none */
		bool is_lost_later, is_dropped_earlier; /* than it is dropped; than it is seen */
		bool is_excused;
	} rows[] = {
		{ .lost = 1, .dropped = 1, .is_excused = true },
		{ .dropped = 1 },
		{ .lost = 1 },
		{ .lost = 2, .dropped = 1 },
		{ .lost = 1, .dropped = 2 },
		{ .lost = 1, .dropped = 1, .is_lost_later = true },
		{ .lost = 1, .dropped = 1, .is_dropped_earlier = true },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		deliver(2);
		if (rows[i].lost != 0 && !rows[i].is_lost_later)
			t_take_away(rows[i].lost);
		if (rows[i].dropped != 0 && rows[i].is_dropped_earlier)
			t_drop_from_index(1, rows[i].dropped);
		t_lists(1, LIST(.uidnext = 6), { .n = 2, .uid = 4 }, { .n = 1, .uid = 5 });
		if (rows[i].dropped != 0 && !rows[i].is_dropped_earlier)
			t_drop_from_index(1, rows[i].dropped);
		if (rows[i].is_lost_later)
			t_take_away(rows[i].lost);
		t_lists(1, LIST(.uidnext = 7), { .n = 2, .uid = 4 }, { .n = 1, .uid = 6 });
		finish_with({ .n = 1 }, { .n = 2 });
		if (rows[i].is_excused)
			t_excuses("I9 mail has another UID");
		else
			(void)t_finds("I9 mail has another UID");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Its row was younger than its deletion, by the clocks: rule 2's affair. */
static void a_mail_that_clocks_brought_back_is_a_new_one(void **state)
{
	(void)state;
	t_set_clock_error(5000001);
	list_one_that_came_back();
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.count, 2);
	assert_string_equal(t.verdict.findings[0].signature, "I2 expunged mail is back");
	assert_string_equal(t.verdict.findings[1].signature, "I9 mail has another UID");
}

/* Before it was removed nothing is excused by that. */
static void clocks_alone_excuse_no_uid(void **state)
{
	(void)state;
	t_set_clock_error(5000001);
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	(void)t_finds("I9 mail has another UID");
}

static void also_over_a_crash(void **state)
{
	(void)state;
	deliver(1);
	t_upload(3, 1);
	t_lists(1, LIST(.folder = 0), { .n = 1, .uid = 5 });
	t_crash(1);
	t.now += LAB_MINUTE;
	t_lists(2, LIST(.folder = 0), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	(void)t_finds("I9 mail has another UID");
}

static void a_merge_after_two_at_once_may_renumber(void **state)
{
	(void)state;
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	(void)t_run(t_op_at(HISTORY_SELECT, 2, 0), HISTORY_FAIL);
	t_merge(1, 0, LAB_EV_obox_index_merge_uids_renumbered);
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	t_passes();
}

static void one_at_a_time_is_no_cause_for_it(void **state)
{
	(void)state;
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	t_merge(1, 0, LAB_EV_obox_index_merge_uids_renumbered);
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
	finish_with({ .n = 1 });
	(void)t_finds("I9 renumbered without cause");
}

/* One backend at a time; a merge renumbers after the second of two mails was expunged. */
static void renumbered_after_an_expunge(bool is_back)
{
	t_set_clock_error(5000001);
	deliver(2);
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 5 }, { .n = 2, .uid = 6 });
	(void)t_expunge(0, 2, 2, 2, HISTORY_OK);
	t_merge(1, 0, LAB_EV_obox_index_merge_uids_renumbered);
	if (is_back)
		t_lists(1, LIST(.uidnext = 8), { .n = 1, .uid = 5 }, { .n = 2, .uid = 7 });
	else
		t_lists(1, LIST(.uidnext = 8), { .n = 1, .uid = 7 });
	finish_with({ .n = 1 });
}

static void what_clocks_bring_back_may_be_renumbered(void **state)
{
	(void)state;
	renumbered_after_an_expunge(true);
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.count, 2);
	assert_string_equal(t.verdict.findings[0].signature, "I2 expunged mail is back");
	assert_string_equal(t.verdict.findings[1].signature, "I9 renumbered without cause");
}

static void clocks_that_bring_nothing_back_renumber_nothing(void **state)
{
	(void)state;
	renumbered_after_an_expunge(false);
	(void)t_finds("I9 renumbered without cause");
}

static void expunge_from(unsigned folder, unsigned name, unsigned n)
{
	struct history_op op = t_op_at(HISTORY_EXPUNGE, 1, n);

	op.folder = lab_view_cstr(t_folder(folder));
	t_folder_guid(folder, op.mailbox_guid);
	op.source = t_object(name, n);
	(void)t_run(op, HISTORY_OK);
}

/* It is numbered anew by who had expunged it, and by nobody else; so the other's UIDs are other
 * mails' there. Not before that, not in another folder, not if the other one knew it, and not if it
 * was no clock. */
static void a_mail_that_clocks_brought_back_shifts_uids(void **state)
{
	static const struct {
		bool is_gone, is_later, is_elsewhere, is_known, is_no_clock;
		unsigned failures;
	} rows[] = {
		{ .failures = 0 },
		{ .is_gone = true, .failures = 1 },
		{ .is_later = true, .failures = 1 },
		{ .is_elsewhere = true, .failures = 1 },
		{ .is_known = true, .failures = 1 },
		/* It must not be back, either. */
		{ .is_no_clock = true, .failures = 2 },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		unsigned folder = rows[i].is_elsewhere ? 1 : 0, name = folder == 0 ? 1 : 7;

		t_set_clock_error(rows[i].is_no_clock ? 0 : 5000001);
		deliver(3);
		t_copy_at(1, 1, 7);
		t_upload(3, 1);
		if (!rows[i].is_later)
			expunge_from(folder, name, 1);
		t_lists(1, LIST(.uidnext = 5), { .n = 2, .uid = 4 });
		t_upload(1, rows[i].is_known ? 0 : 1);
		t.now += LAB_MINUTE;
		t_refresh(2, 0, "refreshed_changed");
		t_lists(2, LIST(.uidnext = 5), { .n = 3, .uid = 4 });
		if (rows[i].is_later)
			expunge_from(folder, name, 1);
		if (rows[i].is_gone)
			finish_with({ .n = 2 }, { .n = 3 });
		else
			finish_with({ .n = 1 }, { .n = 2 }, { .n = 3 });
		t_lists(T_AUDIT, LIST(.folder = 1, .uidvalidity = 5000), { .n = 7, .oid = 1 });
		t_judge();
		assert_int_equal(t.verdict.failures, rows[i].failures);
		assert_int_equal(t.verdict.count, rows[i].is_gone ? 1 : 2);
		assert_string_equal(t.verdict.findings[rows[i].failures == 1 ? 0 : 1].signature,
			"I7 UID of two mails");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* The UIDs of a copy are those of its target. */
static void not_those_of_copies_out_of_its_folder(void **state)
{
	struct history_op copy;

	(void)state;
	t_set_clock_error(5000001);
	deliver(2);
	t_copy_at(1, 1, 7);
	t_upload(3, 1);
	expunge_from(0, 2, 2);
	t_lists(1, LIST(.folder = 1, .uidnext = 5), { .n = 7, .uid = 4, .oid = 1 });
	t.now += LAB_MINUTE;
	t_rows(1, 8, 1);
	copy = t_op_at(HISTORY_COPY, 2, 1);
	copy.source = t_object(1, 1);
	copy.made = t_object(8, 1);
	copy.target = lab_view_cstr(t_folder(1));
	t_folder_guid(1, copy.target_guid);
	copy.target_uid = 4;
	copy.target_uidvalidity = 100;
	(void)t_run(copy, HISTORY_OK);
	finish_with({ .n = 1 }, { .n = 2 });
	t_lists(T_AUDIT, LIST(.folder = 1, .uidvalidity = 5000), { .n = 7, .oid = 1 },
		{ .n = 8, .oid = 1 });
	t_judge();
	assert_int_equal(t.verdict.failures, 1);
	assert_string_equal(t.verdict.findings[0].signature, "I7 UID of two mails");
}

/* A mail that was said not to be saved, and is there: then, or after the merge. */
struct denied {
	const char *backend; /* that was lied to */
	unsigned folder;     /* that it was to be saved into */
	bool is_late;        /* after the merge */
	bool is_absent;      /* it is in no listing */
};

static void deliver_denied(const struct denied *denied)
{
	struct history_op op = t_op_at(HISTORY_DELIVER, 1, denied->folder);
	uint32_t id;

	t_put(2);
	t_rows(denied->folder, 2, 2);
	op.token = 2;
	op.made = t_object(2, 2);
	op.body_hash = t_hash(2);
	id = t_begin(&op);
	t_lie_to(denied->backend, T_USER);
	t_end(id, &op, HISTORY_FAIL);
}

static void renumber_with(const struct denied *denied)
{
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	if (!denied->is_late)
		deliver_denied(denied);
	t_merge(1, 0, LAB_EV_obox_index_merge_uids_renumbered);
	if (denied->is_late)
		deliver_denied(denied);
	if (denied->is_absent || denied->folder != 0)
		t_lists(1, LIST(.uidnext = 8), { .n = 1, .uid = 7 });
	else
		t_lists(1, LIST(.uidnext = 8), { .n = 1, .uid = 7 }, { .n = 2, .uid = 6 });
	finish_with({ .n = 1 });
}

static void a_mail_that_was_denied_renumbers(void **state)
{
	(void)state;
	renumber_with(&(struct denied){ .backend = t_backend(1) });
	t_excuses("I9 renumbered without cause");
	assert_non_null(strstr(t.verdict.findings[0].excuse, "SERVER_ERROR"));
}

static void no_other_mail_does(void **state)
{
	const struct denied others[] = {
		{ .backend = t_backend(2) },
		{ .backend = t_backend(1), .folder = 1 },
		{ .backend = t_backend(1), .is_late = true },
		{ .backend = t_backend(1), .is_absent = true },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		renumber_with(&others[i]);
		(void)t_finds("I9 renumbered without cause");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- a row that comes late ---- */

/* Mail 2 is made into folder 0, and another backend numbers that without it. */
struct late {
	unsigned maker; /* host */
	enum fault_kind kind;
	const char *backend, *user; /* of the write that the fault hits */
	enum history_outcome outcome;
	bool is_before; /* that write was before the mail's */
	bool is_after;  /* it is made after the first listing */
	bool is_known;  /* the first listing has it, too */
	bool is_last;   /* where it is found it comes after those that have changed places */
	bool is_heard;  /* who finds it had heard of the first listing */
};

static const struct late usual_late = { .maker = 3,
	.kind = FAULT_write_timeout_one,
	.backend = "backend-3",
	.user = T_USER,
	.outcome = HISTORY_UNCERTAIN };

static void make_late(const struct late *late)
{
	struct history_op op = t_op_at(HISTORY_DELIVER, late->maker, 2);
	uint32_t id;

	t_put(2);
	t_rows(0, 2, 2);
	op.made = t_object(2, 2);
	op.body_hash = t_hash(2);
	if (late->is_before)
		t_lie_as(late->kind, late->backend, late->user);
	t.now += LAB_SEC;
	id = t_begin(&op);
	if (!late->is_before)
		t_lie_as(late->kind, late->backend, late->user);
	t_end(id, &op, late->outcome);
	t.now += LAB_MINUTE;
}

static void list_without(const struct late *late)
{
	t_deliver_at(1, 1, 0);
	t_deliver_at(1, 3, 0);
	if (late->is_known)
		t_lists(1, LIST(.uidnext = 4), { .n = 1 }, { .n = 3 }, { .n = 2 });
	else
		t_lists(1, LIST(.uidnext = 3), { .n = 1 }, { .n = 3 });
	t_upload(late->is_heard ? 1 : 3, late->is_heard ? 0 : 1);
	t.now += LAB_MINUTE;
}

static void list_with(const struct late *late)
{
	t_refresh(2, 0, "refreshed_changed");
	if (late->is_last)
		t_lists(2, LIST(.uidnext = 4), { .n = 3 }, { .n = 1 }, { .n = 2 });
	else
		t_lists(2, LIST(.uidnext = 4), { .n = 2 }, { .n = 1 }, { .n = 3 });
	finish_with({ .n = 1 }, { .n = 2 }, { .n = 3 });
}

static void number_late(const struct late *late)
{
	if (!late->is_after)
		make_late(late);
	list_without(late);
	if (late->is_after)
		make_late(late);
	list_with(late);
}

static void a_row_that_comes_late_shifts_uids(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_write_timeout_one,
		FAULT_write_timeout_minority, FAULT_write_timeout_late, FAULT_write_timeout_hinted,
		FAULT_write_failure, FAULT_write_failure_minority };

	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		struct late late = usual_late;

		late.kind = kinds[i];
		number_late(&late);
		t_excuses("I7 UID of two mails");
		assert_non_null(strstr(t.verdict.findings[0].excuse, "quorum"));
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void shifts_nothing_else(void **state)
{
	struct late others[12];

	for (size_t i = 0; i < LAB_COUNT_OF(others); i++)
		others[i] = usual_late;
	/* Which must know that it may be there. */
	others[0].maker = 1;
	others[0].backend = "backend-1";
	others[1].backend = "backend-1";
	others[2].user = "user2@example.com";
	others[3].kind = FAULT_write_timeout;
	others[4].kind = FAULT_write_timeout_quorum;
	others[5].kind = FAULT_write_timeout_all;
	others[6].outcome = HISTORY_OK;
	others[7].is_before = true;
	others[8].is_after = true;
	others[9].is_known = true;
	others[10].is_last = true;
	others[11].is_heard = true;
	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		number_late(&others[i]);
		(void)t_finds("I7 UID of two mails");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* The mail is in a listing, and a merge gave others new UIDs. */
static void renumber_late(const struct late *late)
{
	t_deliver_at(1, 1, 0);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	if (!late->is_after)
		make_late(late);
	t_merge(1, 0, LAB_EV_obox_index_merge_uids_renumbered);
	if (late->is_after)
		make_late(late);
	t_lists(1, LIST(.uidnext = 8), { .n = 2, .uid = 6 }, { .n = 1, .uid = 7 });
	finish_with({ .n = 1 }, { .n = 2 });
}

static void a_mail_that_nobody_was_sure_of_renumbers(void **state)
{
	struct late late = usual_late;

	(void)state;
	late.maker = 1;
	late.kind = FAULT_write_timeout_quorum;
	renumber_late(&late);
	t_excuses("I9 renumbered without cause");
	assert_non_null(strstr(t.verdict.findings[0].excuse, "could not tell"));
}

static void neither_a_sure_one_nor_a_later_one_does(void **state)
{
	struct late others[2] = { usual_late, usual_late };

	others[0].outcome = HISTORY_OK;
	others[1].is_after = true;
	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		others[i].maker = 1;
		renumber_late(&others[i]);
		(void)t_finds("I9 renumbered without cause");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Mail 4, which is in folder 0, from folder 1, under that UID. */
static void copy_told(unsigned host, uint32_t uid)
{
	struct history_op copy = t_op_at(HISTORY_COPY, host, 4);

	t_rows(0, 1, 4);
	copy.source = t_object(4, 4);
	copy.made = t_object(1, 4);
	copy.folder = lab_view_cstr(t_folder(1));
	t_folder_guid(1, copy.mailbox_guid);
	copy.target = lab_view_cstr(t_folder(0));
	t_folder_guid(0, copy.target_guid);
	copy.target_uid = uid;
	copy.target_uidvalidity = 100;
	(void)t_run(copy, HISTORY_OK);
	t.now += LAB_MINUTE;
}

/* By who does not know the mail, before and after another one lists it, and by that one. */
static void also_those_of_copies(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		t_upload(3, 1);
		make_late(&usual_late);
		(void)t_mail(4);
		if (i == 0)
			copy_told(1, 1);
		else if (i == 2)
			t_lists(1, LIST(.uidnext = 3), { .n = 4, .uid = 2 });
		t.now += LAB_MINUTE;
		t_lists(2, LIST(.uidnext = 2), { .n = 2 });
		t.now += LAB_MINUTE;
		if (i > 0)
			copy_told(i, i);
		finish_with({ .n = 1, .oid = 4 }, { .n = 2 }, { .n = 4 });
		t_excuses("I7 UID of two mails");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- without merges ---- */

static void renumber(void)
{
	deliver(1);
	t_lists(1, LIST(.uidnext = 6), { .n = 1, .uid = 5 });
	t_lists(1, LIST(.uidnext = 7), { .n = 1, .uid = 6 });
}

static void who_gives_up_an_index_numbers_anew(void **state)
{
	(void)state;
	t_merge(1, 0, LAB_EV_obox_index_merge_skipped);
	renumber();
	finish_with({ .n = 1 });
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.excused, 1);
	assert_string_equal(t.verdict.findings[0].signature, "I9 mail has another UID");
	assert_non_null(strstr(t.verdict.findings[0].excuse, "metacache_index_merging=none"));
}

static void not_before_that(void **state)
{
	(void)state;
	renumber();
	t.now += LAB_SEC;
	t_merge(1, 0, LAB_EV_obox_index_merge_skipped);
	finish_with({ .n = 1 });
	(void)t_finds("I9 mail has another UID");
}

/* ---- 10 ---- */

static void what_modseqs_must_not_do_is_found(void **state)
{
	static const struct {
		const char *signature;
		uint64_t highest;
		struct t_mail later;
	} rows[] = {
		{ "I10 HIGHESTMODSEQ decreased", 1999, { .n = 1, .modseq = 1500 } },
		{ "I10 modseq decreased", 2000, { .n = 1, .modseq = 1499 } },
		{ "I10 change below HIGHESTMODSEQ", 2000,
			{ .n = 1, .modseq = 2000, .flags = T_SEEN } },
		{ "I10 new mail below HIGHESTMODSEQ", 2000,
			{ .n = 2, .uid = 1000, .modseq = 2000, .flags = T_SEEN } },
		{ "I10 expunge without modseq", 2000, { .n = 2, .uid = 1000, .modseq = 2001 } },
		{ NULL, 2000, { .n = 1, .modseq = 1500 } },
		{ NULL, 2001, { .n = 1, .modseq = 2001, .flags = T_SEEN } },
		{ NULL, 2002, { .n = 2, .uid = 1000, .modseq = 2001 } },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct t_list later = { .highest = rows[i].highest };

		t_deliver_at(1, 1, 0);
		t_deliver_at(1, 2, T_SEEN);
		(void)t_run(t_store_op(1, 1, T_SEEN, true, false), HISTORY_UNCERTAIN);
		(void)t_run(t_store_op(1, 2, T_SEEN, false, false), HISTORY_UNCERTAIN);
		t_lists(1, LIST(.highest = 2000), { .n = 1, .modseq = 1500 });
		t_list(1, later, &rows[i].later, 1);
		finish_with({ .n = 1 }, { .n = 2 });
		if (rows[i].signature == NULL)
			t_passes();
		else
			assert_int_equal(t_finds(rows[i].signature)->invariant, 10);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void a_store_is_above_what_was_reported(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct history_op store;

		deliver(1);
		t_lists(1, LIST(.highest = 2000), { .n = 1, .modseq = 1500 });
		store = t_store_op(1, 1, T_SEEN, true, i != 1);
		store.modseq = 2000 + i / 2;
		(void)t_run(store, HISTORY_OK);
		finish_with({ .n = 1 });
		if (i == 0)
			(void)t_finds("I10 change below HIGHESTMODSEQ");
		else
			t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void modseqs_of_backends_that_do_not_know_each_other_are_not_compared(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		deliver(1);
		t_lists(1, LIST(.highest = 2000), { .n = 1, .modseq = 1500 });
		t_upload(1, 0);
		t_refresh(2, 0, i == 0 ? "kept" : "refreshed_changed");
		t_lists(2, LIST(.highest = 1800), { .n = 1, .modseq = 1400 });
		finish_with({ .n = 1 });
		if (i == 0)
			t_passes();
		else
			(void)t_finds("I10 HIGHESTMODSEQ decreased");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* A client saw 2000; the backend crashed; another one begins from what is stored, then or
 * before that, and says what `later` is. */
static void lose_and_see(
	bool begins_before, unsigned saver, struct t_list later, const struct t_mail *mails)
{
	t_deliver_at(1, 1, 0);
	if (begins_before)
		t_refresh(2, 0, "created");
	t_lists(1, LIST(.highest = 2000, .uidnext = 2), { .n = 1, .modseq = 1500 });
	t_crash(1);
	t.now += LAB_MINUTE;
	t_refresh(2, 0, begins_before ? "refreshed_unchanged" : "created");
	t_deliver_at(saver, 2, 0);
	t_list(2, later, mails, 2);
}

static void modseqs_that_a_crash_cost_are_not_given_again(void **state)
{
	static const struct {
		bool begins_before, is_found;
		uint64_t highest, modseq;
	} rows[] = {
		{ false, true, 1999, 1998 }, { false, true, 3000, 2000 },  /* the new mail */
		{ false, false, 2001, 2001 }, { true, false, 1999, 1998 }, /* it cannot know */
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const struct t_mail mails[] = { { .n = 1, .modseq = 1500 },
			{ .n = 2, .modseq = rows[i].modseq } };

		lose_and_see(rows[i].begins_before, 2,
			(struct t_list){ .highest = rows[i].highest, .uidnext = 3 }, mails);
		finish_with({ .n = 1 }, { .n = 2 });
		if (rows[i].is_found)
			assert_int_equal(t_finds("I10 lost modseqs given again")->invariant, 10);
		else
			t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* It may have an index of before the crash. */
static void a_mail_of_another_backend_need_not_be_above_them(void **state)
{
	const struct t_mail mails[] = { { .n = 1, .modseq = 1500 }, { .n = 2, .modseq = 1900 } };

	(void)state;
	lose_and_see(false, 3, (struct t_list){ .highest = 2000, .uidnext = 3 }, mails);
	finish_with({ .n = 1 }, { .n = 2 });
	t_passes();
}

static void a_store_after_a_crash_is_above_them(void **state)
{
	const struct t_mail mails[] = { { .n = 1, .modseq = 2500 }, { .n = 2, .modseq = 2500 } };

	for (unsigned i = 0; i < 3; i++) {
		struct history_op store;

		lose_and_see(false, 2, (struct t_list){ .highest = 2500, .uidnext = 3 }, mails);
		t_crash(2);
		t_refresh(3, 0, "created");
		store = t_store_op(3, 1, T_SEEN, true, i != 1);
		store.modseq = 2500 + i / 2;
		(void)t_run(store, HISTORY_OK);
		finish_with({ .n = 1, .flags = i == 1 ? 0 : T_SEEN }, { .n = 2 });
		if (i == 0)
			(void)t_finds("I10 lost modseqs given again");
		else
			t_passes();
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* Within a minute no clock may be off by half of one. */
static void clocks_that_are_far_apart_excuse_them(void **state)
{
	static const int64_t errors_us[] = { 29000000, 31000000 };
	const struct t_mail mails[] = { { .n = 1, .modseq = 1500 }, { .n = 2, .modseq = 1600 } };

	for (unsigned i = 0; i < LAB_COUNT_OF(errors_us); i++) {
		t_set_clock_error(errors_us[i]);
		lose_and_see(false, 2, (struct t_list){ .highest = 1999, .uidnext = 3 }, mails);
		finish_with({ .n = 1 }, { .n = 2 });
		if (i == 0)
			(void)t_finds("I10 lost modseqs given again");
		else
			t_excuses("I10 lost modseqs given again");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(a_merge_may_change_uidvalidity),
		t_backends_test(nothing_else_may_change_it),
		t_backends_test(uidvalidity_never_decreases),
		t_backends_test(who_knew_it_keeps_it),
		t_backends_test(without_bundles_each_backend_has_its_own),
		t_backends_test(after_a_crash_it_is_what_it_was),
		t_backends_test(two_backends_at_once_may_make_two),
		t_backends_test(an_index_of_before_the_user_was_deleted_may_be_another),
		t_backends_test(of_a_backend_that_had_none_it_may_not),
		t_backends_test(a_uid_is_never_given_again),
		t_backends_test(after_a_lie_others_may_not_know_it),
		t_backends_test(nor_by_who_knew_it),
		t_backends_test(nor_after_a_crash),
		t_backends_test(two_backends_at_once_may_give_it_twice),
		t_backends_test(another_uidvalidity_has_other_uids),
		t_backends_test(uidnext_never_decreases),
		t_backends_test(a_new_mail_is_not_below_it),
		t_backends_test(copyuid_is_seen_too),
		t_backends_test(a_mail_keeps_its_uid),
		t_backends_test(uids_of_another_folder_are_not_excused),
		t_backends_test(damage_is_over_some_time),
		t_backends_test(a_mail_that_damage_brought_back_may_cost_uids),
		t_backends_test(a_mail_after_one_without_a_row_may_get_its_uid),
		t_backends_test(a_mail_that_was_dropped_is_a_new_one),
		t_backends_test(also_over_a_crash),
		t_backends_test(a_mail_that_clocks_brought_back_is_a_new_one),
		t_backends_test(clocks_alone_excuse_no_uid),
		t_backends_test(a_merge_after_two_at_once_may_renumber),
		t_backends_test(one_at_a_time_is_no_cause_for_it),
		t_backends_test(what_clocks_bring_back_may_be_renumbered),
		t_backends_test(clocks_that_bring_nothing_back_renumber_nothing),
		t_backends_test(a_mail_that_clocks_brought_back_shifts_uids),
		t_backends_test(not_those_of_copies_out_of_its_folder),
		t_backends_test(a_mail_that_was_denied_renumbers),
		t_backends_test(no_other_mail_does),
		t_backends_test(a_row_that_comes_late_shifts_uids),
		t_backends_test(shifts_nothing_else),
		t_backends_test(a_mail_that_nobody_was_sure_of_renumbers),
		t_backends_test(neither_a_sure_one_nor_a_later_one_does),
		t_backends_test(also_those_of_copies),
		t_backends_test(who_gives_up_an_index_numbers_anew),
		t_backends_test(not_before_that),
		t_backends_test(what_modseqs_must_not_do_is_found),
		t_backends_test(a_store_is_above_what_was_reported),
		t_backends_test(modseqs_of_backends_that_do_not_know_each_other_are_not_compared),
		t_backends_test(modseqs_that_a_crash_cost_are_not_given_again),
		t_backends_test(a_mail_of_another_backend_need_not_be_above_them),
		t_backends_test(a_store_after_a_crash_is_above_them),
		t_backends_test(clocks_that_are_far_apart_excuse_them),
	};

	return cmocka_run_group_tests_name("oracle-imap", tests, NULL, NULL);
}
