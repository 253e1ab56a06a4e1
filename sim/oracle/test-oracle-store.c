/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-oracle.h"

/* ---- 12, 14 ---- */

static void row_of_a_crashed_delivery_without_body_is_dangling(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	t_rows(0, 1, 1);
	t_deliver(7, t_unknown(), HISTORY_UNCERTAIN);
	f = t_finds("I12 dangling row");
	assert_non_null(strstr(f->sentence, "a mail whose delivery was never acknowledged"));
	assert_int_equal(t.verdict.dangling_rows, 1);
}

static void dangling_row_of_a_known_mail_names_it(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	t_rows(0, 1, 1);
	t_deliver(7, t_object(1, 1), HISTORY_UNCERTAIN);
	f = t_finds("I12 dangling row");
	assert_string_equal(
		f->sentence, T_USER "/INBOX: mail 0000000000000007 has a row, but no body");
	assert_int_equal(f->token, 7);
}

static void row_with_its_body_does_not_dangle(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_deliver(7, t_object(1, 1), HISTORY_UNCERTAIN);
	t_passes();
	assert_int_equal(t.verdict.dangling_rows, 0);
}

static void deleted_row_does_not_dangle(void **state)
{
	(void)state;
	t_rows(0, 1, 1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_deliver(7, t_object(1, 1), HISTORY_UNCERTAIN);
	t_passes();
}

static void body_deleted_under_the_row_of_an_acknowledged_mail_is_a_failure(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_UNCERTAIN);
	t_drop(1);
	f = t_finds("I14 body deleted under a row");
	assert_non_null(strstr(f->why[3], "deleted it at"));
}

static void body_deleted_under_the_row_of_an_unacknowledged_mail_dangles(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_drop(1);
	t_finds("I12 dangling row");
}

static void phantom_without_body_is_a_dangling_row(void **state)
{
	const struct history_object object = t_object(1, 1);

	(void)state;
	t_rows(0, 1, 1);
	t_deliver(1, object, HISTORY_FAIL);
	t_select(T_AUDITOR, 0, &object, 1);
	t_fetch_as(0, object, 1, 0, HISTORY_FAIL, LAB_NOT_FOUND);
	t_finds("I12 dangling row");
}

static void lost_mail_with_dangling_row_is_one_finding(void **state)
{
	const struct history_object object = t_object(1, 1);

	(void)state;
	t_mail(1);
	t_drop(1);
	t_select(T_AUDITOR, 0, &object, 1);
	t_fetch_as(0, object, 1, 0, HISTORY_FAIL, LAB_NOT_FOUND);
	t_finds("I1 lost mail");
	assert_int_equal(t.verdict.dangling_rows, 1);
}

static void body_deleted_after_its_row_is_fine(void **state)
{
	(void)state;
	t_mail(1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_passes();
}

static void objects_taken_away_on_purpose_excuse_dangling_rows(void **state)
{
	(void)state;
	t.settings.objects_were_lost = true;
	t_restart();
	t_rows(0, 1, 1);
	t_excuses("I12 dangling row");
}

static void weak_consistency_excuses_dangling_rows(void **state)
{
	(void)state;
	t.settings.read_fallback = 1;
	t_restart();
	t_rows(0, 1, 1);
	t_excuses("I12 dangling row");
}

/* ---- 13 ---- */

static void forward_row_without_reverse_row_is_a_failure(void **state)
{
	(void)state;
	t_put(1);
	t_put(2);
	t_forward(T_USER, 0, 0, 1, 1);
	t_rows(0, 2, 2);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_finds("I13 reverse row missing");
}

static void without_refcounting_there_are_no_reverse_rows(void **state)
{
	(void)state;
	t_put(1);
	t_forward(T_USER, 0, 0, 1, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_passes();
}

static void reverse_row_alone_after_a_failure_is_residue(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_reverse(T_USER, 1, 2, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_unknown(), HISTORY_UNCERTAIN);
	t_passes();
	assert_int_equal(t.verdict.leaked_reverse_rows, 1);
}

static void reverse_row_alone_without_a_failure_is_one(void **state)
{
	(void)state;
	t_mail(1);
	t_reverse(T_USER, 1, 2, 1);
	t_audit_of(0, 1);
	t_finds("I13 reverse row without cause");
}

/* ---- 15 ---- */

static void object_without_row_and_without_failure_is_a_leak(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	f = t_finds("I15 leak without cause");
	assert_int_equal(f->token, 1);
	assert_int_equal(t.verdict.leaked_objects, 1);
}

static void object_without_row_after_a_fault_is_residue(void **state)
{
	struct history_op op;
	uint32_t id;

	(void)state;
	t_mail(1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	op = t_op(HISTORY_EXPUNGE, 0, 1);
	op.source = t_object(1, 1);
	id = t_begin(&op);
	t.fault = (struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .id = 5, .status = 503, .code = "SlowDown"
	};
	assert_int_equal(t_s3(T_USER, "DELETE", "/mails/" T_USER "/mails/x", LAB_VIEW("")), 503);
	t_end(id, &op, HISTORY_OK);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 1);
}

static void fault_long_before_is_no_cause(void **state)
{
	(void)state;
	t.fault = (struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .id = 5, .status = 503, .code = "SlowDown"
	};
	assert_int_equal(t_s3(T_USER, "DELETE", "/mails/" T_USER "/mails/x", LAB_VIEW("")), 503);
	t.fault.kind = SIM_FAULT_NONE;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_finds("I15 leak without cause");
}

static void fault_long_after_is_no_cause(void **state)
{
	(void)state;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t.now += 3 * LAB_MINUTE;
	t.fault = (struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .id = 5, .status = 503, .code = "SlowDown"
	};
	assert_int_equal(t_s3(T_USER, "DELETE", "/mails/" T_USER "/mails/x", LAB_VIEW("")), 503);
	t_finds("I15 leak without cause");
}

static void object_of_a_crashed_delivery_is_residue(void **state)
{
	(void)state;
	t_put(1);
	t_deliver(1, t_unknown(), HISTORY_UNCERTAIN);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 1);
}

static void crash_during_the_expunge_is_a_cause(void **state)
{
	struct lab_event crash = { .id = LAB_EV_host_crashed, .sequence = 9 };

	(void)state;
	t_mail(1);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	crash.time_ns = t.now;
	oracle_event(t.oracle, &crash);
	t_passes();
}

static void other_objects_of_the_user_are_not_judged(void **state)
{
	(void)state;
	assert_int_equal(t_s3(T_USER, "PUT", "/mails/" T_USER "/fts/abc", LAB_VIEW("fts")), 200);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 0);
}

/* ---- 16 ---- */

static void fill_bucket(unsigned rows)
{
	for (unsigned n = 1; n <= rows; n++) {
		t_put(n);
		t_rows(0, n, n);
		t_deliver(n, t_object(n, n), HISTORY_UNCERTAIN);
	}
}

static void bucket_with_more_rows_than_allowed_is_a_failure(void **state)
{
	(void)state;
	fill_bucket(5);
	t_finds("I16 bucket too full");
}

static void bucket_may_overshoot_by_what_runs_in_parallel(void **state)
{
	(void)state;
	fill_bucket(4);
	t_passes();
}

static void row_above_max_bucket_is_a_failure(void **state)
{
	(void)state;
	t_put(1);
	t_reverse(T_USER, 0, 1, 1);
	t_forward(T_USER, 0, 1, 1, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_finds("I16 row above max_bucket");
}

static void row_in_max_bucket_is_fine(void **state)
{
	char cql[200];

	(void)state;
	t_put(1);
	t_reverse(T_USER, 0, 1, 1);
	t_forward(T_USER, 0, 1, 1, 1);
	(void)snprintf(cql, sizeof(cql),
		"insert into user_mailbox_buckets (b,u,g) values (1,'" T_USER "',0x%032x)", 0u);
	t_execute(cql);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_passes();
}

/* ---- 30 ---- */

static void rows_of_two_users_with_one_object_are_a_failure(void **state)
{
	(void)state;
	t_put(1);
	t_rows(0, 1, 1);
	t_put_as("other@example.com", 1, "stored");
	t_reverse("other@example.com", 0, 2, 1);
	t_forward("other@example.com", 0, 0, 2, 1);
	t_deliver(1, t_object(1, 1), HISTORY_UNCERTAIN);
	t_finds("I30 object of two users");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(row_of_a_crashed_delivery_without_body_is_dangling),
		t_test(dangling_row_of_a_known_mail_names_it),
		t_test(row_with_its_body_does_not_dangle),
		t_test(deleted_row_does_not_dangle),
		t_test(body_deleted_under_the_row_of_an_acknowledged_mail_is_a_failure),
		t_test(lost_mail_with_dangling_row_is_one_finding),
		t_test(body_deleted_after_its_row_is_fine),
		t_test(objects_taken_away_on_purpose_excuse_dangling_rows),
		t_test(weak_consistency_excuses_dangling_rows),
		t_test(forward_row_without_reverse_row_is_a_failure),
		t_test(without_refcounting_there_are_no_reverse_rows),
		t_test(reverse_row_alone_after_a_failure_is_residue),
		t_test(reverse_row_alone_without_a_failure_is_one),
		t_test(object_without_row_and_without_failure_is_a_leak),
		t_test(object_without_row_after_a_fault_is_residue),
		t_test(fault_long_before_is_no_cause),
		t_test(fault_long_after_is_no_cause),
		t_test(phantom_without_body_is_a_dangling_row),
		t_test(body_deleted_under_the_row_of_an_unacknowledged_mail_dangles),
		t_test(object_of_a_crashed_delivery_is_residue),
		t_test(crash_during_the_expunge_is_a_cause),
		t_test(other_objects_of_the_user_are_not_judged),
		t_test(bucket_with_more_rows_than_allowed_is_a_failure),
		t_test(bucket_may_overshoot_by_what_runs_in_parallel),
		t_test(row_above_max_bucket_is_a_failure),
		t_test(row_in_max_bucket_is_fine),
		t_test(rows_of_two_users_with_one_object_are_a_failure),
	};

	return cmocka_run_group_tests_name("oracle-store", tests, NULL, NULL);
}
