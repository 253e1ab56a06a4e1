/* SPDX-License-Identifier: Apache-2.0
 *
 * M1 to M5 of palomar 4.1: the ledger of what a cluster was given.
 */
#include "sim/oracle/testing-metacache.h"

static void cluster(void)
{
	t.settings.geodb_keyspace = LAB_VIEW("geodb");
	t.settings.max_uid_renumbers = 100;
	t_restart();
	t_execute("create keyspace geodb with replication = { 'class': 'SimpleStrategy', "
		  "'replication_factor': 1 }; create table geodb.user_groups (site_id uuid, name "
		  "text, moving text, primary key ((site_id, name)))");
	t_start_all();
}

static void gone(unsigned n)
{
	t_delete_forward(0, n);
	t_delete_reverse(n, n);
	t_drop(n);
}

/* Of this mail another rule has a finding, too, which comes first. */
static void finds_besides(const char *other, const char *signature)
{
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	assert_string_equal(t.verdict.findings[0].signature, other);
	assert_string_equal(t.verdict.findings[1].signature, signature);
}

static void excuses_both(const char *other, const char *signature)
{
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.excused, 2);
	assert_string_equal(t.verdict.findings[0].signature, other);
	assert_string_equal(t.verdict.findings[1].signature, signature);
	assert_string_equal(t.verdict.findings[1].excuse, t.verdict.findings[0].excuse);
}

/* ---- M1 ---- */

static void move_that_may_have_been(void)
{
	(void)t_mail(1);
	(void)t_copy(HISTORY_MOVE, 0, 1, 1, 1, 1, t_unknown(), HISTORY_UNCERTAIN);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
}

static void a_mail_is_in_one_of_two_folders(void **state)
{
	struct history_object moved = t_object(2, 1);
	unsigned token = 1;

	(void)state;
	cluster();
	move_that_may_have_been();
	t_rows(1, 2, 1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, &moved, &token, 1);
	t_passes();
}

static void and_not_in_none(void **state)
{
	(void)state;
	cluster();
	move_that_may_have_been();
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
	(void)t_finds("M1 acknowledged mail is gone");
}

static void a_move_that_has_copied_may_remove(void **state)
{
	struct history_op op = t_copy_op(HISTORY_MOVE, 0, 1, 1, 1, 1);
	struct history_object moved = t_object(2, 1);
	unsigned token = 1;

	(void)state;
	cluster();
	(void)t_mail(1);
	op.made = moved;
	op.copied = true;
	(void)t_run(op, HISTORY_UNCERTAIN);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_rows(1, 2, 1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, &moved, &token, 1);
	t_passes();
}

static void two_copies(enum history_outcome second)
{
	const struct history_object both[] = { t_object(1, 1), t_object(2, 2) };
	const unsigned tokens[] = { 1, 1 };

	cluster();
	(void)t_mail(1);
	t_put(2);
	t_rows(0, 2, 2);
	(void)t_deliver(1, second == HISTORY_FAIL ? t_unknown() : t_object(2, 2), second);
	t_audit(0, both, tokens, 2);
}

static void a_second_attempt_that_was_cut_off_makes_two(void **state)
{
	(void)state;
	two_copies(HISTORY_UNCERTAIN);
	t_passes();
}

static void one_that_had_failed_does_not(void **state)
{
	(void)state;
	two_copies(HISTORY_FAIL);
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	assert_string_equal(
		t.verdict.findings[1].signature, "M1 duplicate without an uncertain write");
}

static void what_is_not_read_is_not_missed(void **state)
{
	(void)state;
	cluster();
	(void)t_mail(1);
	t_audit(1, NULL, NULL, 0);
	t_fetch_as(0, t_object(1, 1), 1, t_hash(1), HISTORY_OK, LAB_OK);
	(void)t_select("backend-1", 0, NULL, 0);
	(void)t_copy(HISTORY_MOVE, 0, 1, 1, 1, 1, t_unknown(), HISTORY_UNCERTAIN);
	(void)t_run(t_op(HISTORY_DELETE, 2, 0), HISTORY_OK);
	gone(1);
	t_passes();
}

/* ---- M4 ---- */

static void expunge(enum history_outcome outcome)
{
	(void)t_mail(1);
	(void)t_expunge(0, 1, 1, 1, outcome);
	t_audit_of(0, 1);
}

static void an_expunge_that_may_have_failed_leaves_it(void **state)
{
	(void)state;
	cluster();
	expunge(HISTORY_UNCERTAIN);
	t_passes();
}

static void one_that_was_told_does_not(void **state)
{
	(void)state;
	cluster();
	expunge(HISTORY_OK);
	finds_besides("I2 expunged mail is back", "M4 expunged mail is back");
}

static void what_excuses_the_mail_excuses_the_ledger(void **state)
{
	(void)state;
	t.settings.clock_error_us = 20000000;
	cluster();
	expunge(HISTORY_OK);
	excuses_both("I2 expunged mail is back", "M4 expunged mail is back");
}

static void one_mail_goes_once(void **state)
{
	struct history_object moved = t_object(2, 1);
	unsigned token = 1;

	(void)state;
	cluster();
	(void)t_mail(1);
	t_rows(1, 2, 1);
	(void)t_copy(HISTORY_MOVE, 0, 1, 1, 1, 1, moved, HISTORY_OK);
	(void)t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, &moved, &token, 1);
	t_passes();
}

/* ---- M2 ---- */

static void read_as(uint32_t uidvalidity, uint32_t uid, unsigned token)
{
	struct history_op op = t_op_at(HISTORY_FETCH, 1, token);

	op.uidvalidity = uidvalidity;
	op.uid = uid;
	op.body_hash = t_hash(token);
	(void)t_run(op, HISTORY_OK);
}

static void two_mails(void)
{
	cluster();
	(void)t_mail(1);
	(void)t_mail(2);
	t_audit_of(0, 1, 2);
	read_as(100, 7, 1);
}

static void a_uid_is_a_mail(void **state)
{
	(void)state;
	two_mails();
	read_as(100, 7, 1);
	read_as(100, 8, 2);
	read_as(101, 7, 2);
	t_passes();
}

static void and_no_other(void **state)
{
	(void)state;
	two_mails();
	read_as(100, 7, 2);
	(void)t_finds("M2 UID of another mail");
}

static void renumber(uint64_t count)
{
	t_tell_fiber(LAB_EV_obox_index_merge_uids_renumbered, 1, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("mailbox", "INBOX"), LAB_F_U64("renumber_count", count) },
		3);
}

static void a_merge_may_renumber_some(void **state)
{
	(void)state;
	cluster();
	renumber(100);
	t_passes();
	renumber(101);
	(void)t_finds("M2 too many UIDs renumbered");
}

static void that_is_a_clusters_rule(void **state)
{
	(void)state;
	renumber(101);
	t_passes();
}

/* ---- M3 ---- */

static void leaves(const char *error)
{
	t_tell_fiber(LAB_EV_cluster_user_move_finished, 1, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("dest_host", "backend-2"), LAB_F_CSTR("error", error) },
		3);
}

static void pull_event(enum lab_event_id id, enum lab_code code, uint64_t taken)
{
	t_tell_fiber(id, 2, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("source_host", "backend-1"), LAB_F_CSTR("type", "client"),
			LAB_F_U64("taken", taken), LAB_F_CODE("code", code) },
		5);
}

static void opens(void)
{
	t_tell_fiber(LAB_EV_metacache_user_refresh_finished, 2, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("metacache_status", "kept"), LAB_F_CODE("code", LAB_OK) },
		3);
}

static void pulls(enum lab_code code, uint64_t taken)
{
	pull_event(LAB_EV_metacache_pull_started, LAB_OK, 0);
	opens();
	pull_event(LAB_EV_metacache_pull_finished, code, taken);
}

static void flagged(void)
{
	cluster();
	t_deliver_at(1, 1, 0);
	t_upload(1, 0);
	t_store_at(1, 1, T_SEEN, true);
}

static void a_clean_move_brings_flags(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pulls(LAB_OK, 1);
	t_see(2, T_SEEN);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void or_has_lost_them(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pulls(LAB_OK, 1);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	(void)t_finds("M3 flag lost in a clean move");
}

static void a_pull_that_failed_may_miss_them(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pulls(LAB_EXISTS, 1);
	pulls(LAB_OK, 0);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void so_may_one_that_came_too_late(void **state)
{
	(void)state;
	flagged();
	leaves("");
	opens();
	pulls(LAB_OK, 1);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void so_may_one_beside_another_session(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pull_event(LAB_EV_metacache_pull_started, LAB_OK, 0);
	opens();
	opens();
	pull_event(LAB_EV_metacache_pull_finished, LAB_OK, 1);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void so_may_one_after_a_move_that_timed_out(void **state)
{
	(void)state;
	flagged();
	t_tell_fiber(LAB_EV_fault_injected, 1, 0, NULL, 0);
	leaves("timed out: sessions are left");
	pulls(LAB_OK, 1);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void what_others_have_changed_is_theirs(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pulls(LAB_OK, 1);
	t_store_at(3, 1, T_SEEN, false);
	t_see(2, 0);
	t_audit_sees(0);
	t_passes();
}

static void a_crash_after_the_pull_may_cost_them(void **state)
{
	(void)state;
	flagged();
	leaves("");
	pulls(LAB_OK, 1);
	t_crash(2);
	t_start(2);
	t_see(2, 0);
	t_audit_sees(T_SEEN);
	t_passes();
}

static void crash_after(uint64_t after_ns)
{
	flagged();
	t.now += after_ns;
	t_crash(1);
	t_audit_sees(0);
}

static void a_crash_costs_what_is_new(void **state)
{
	(void)state;
	crash_after(4 * LAB_MINUTE);
	t_passes();
}

static void and_nothing_that_is_old(void **state)
{
	(void)state;
	crash_after(8 * LAB_MINUTE);
	finds_besides("I3 flag not uploaded in time", "M3 old flag lost in a crash");
}

/* ---- M5 ---- */

static void lose_object(unsigned n)
{
	char path[200], name[48], oid[48];

	(void)snprintf(path, sizeof(path), T_USER "/mailboxes/%032x/%s", 0, t_hex(n, false, name));
	t_tell_fiber(LAB_EV_fs_dictmap_object_lost, 1, 1,
		(const struct lab_field[]){
			LAB_F_CSTR("path", path), LAB_F_CSTR("object_id", t_hex(n, true, oid)) },
		2);
}

static void nobody_comes_upon_a_row_without_an_object(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	cluster();
	(void)t_mail(1);
	t_audit_of(0, 1);
	t_passes();
	lose_object(1);
	f = t_finds("M5 object lost");
	assert_int_equal(f->token, 1);
}

static void but_of_a_copy_that_raced_with_a_delete(void **state)
{
	struct history_op expunge = t_op_at(HISTORY_EXPUNGE, 1, 1);
	struct history_op copy = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);
	uint32_t first, second;

	(void)state;
	cluster();
	(void)t_mail(1);
	expunge.source = t_object(1, 1);
	copy.made = t_object(2, 1);
	copy.backend = LAB_VIEW("backend-2");
	first = t_begin(&expunge);
	second = t_begin(&copy);
	t_end(first, &expunge, HISTORY_OK);
	t_end(second, &copy, HISTORY_FAIL);
	gone(1);
	lose_object(1);
	t_audit(0, NULL, NULL, 0);
	t_audit(1, NULL, NULL, 0);
	t_excuses("M5 object lost");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		t_backends_test(a_mail_is_in_one_of_two_folders),
		t_backends_test(and_not_in_none),
		t_backends_test(a_move_that_has_copied_may_remove),
		t_backends_test(a_second_attempt_that_was_cut_off_makes_two),
		t_backends_test(one_that_had_failed_does_not),
		t_backends_test(what_is_not_read_is_not_missed),
		t_backends_test(an_expunge_that_may_have_failed_leaves_it),
		t_backends_test(one_that_was_told_does_not),
		t_backends_test(what_excuses_the_mail_excuses_the_ledger),
		t_backends_test(one_mail_goes_once),
		t_backends_test(a_uid_is_a_mail),
		t_backends_test(and_no_other),
		t_backends_test(a_merge_may_renumber_some),
		t_backends_test(that_is_a_clusters_rule),
		t_backends_test(a_clean_move_brings_flags),
		t_backends_test(or_has_lost_them),
		t_backends_test(a_pull_that_failed_may_miss_them),
		t_backends_test(so_may_one_that_came_too_late),
		t_backends_test(so_may_one_beside_another_session),
		t_backends_test(so_may_one_after_a_move_that_timed_out),
		t_backends_test(what_others_have_changed_is_theirs),
		t_backends_test(a_crash_after_the_pull_may_cost_them),
		t_backends_test(a_crash_costs_what_is_new),
		t_backends_test(and_nothing_that_is_old),
		t_backends_test(nobody_comes_upon_a_row_without_an_object),
		t_backends_test(but_of_a_copy_that_raced_with_a_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
