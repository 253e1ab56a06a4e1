/* SPDX-License-Identifier: Apache-2.0
 *
 * Damage on purpose excuses what follows from it and nothing else; garbage collection leaves
 * nothing behind.
 */
#include "sim/oracle/testing-oracle.h"

static const char reason[] = "taken away on purpose";

/* Of mail n: by its object. */
static void damaged_object(unsigned n, uint64_t invariants)
{
	struct history_object object = t_object(n, n);
	struct oracle_damage damage = { .reason = reason,
		.user = LAB_VIEW(T_USER),
		.oid = lab_view_of(object.oid, object.oid_len),
		.invariants = invariants };

	oracle_damaged(t.oracle, &damage);
}

static void damaged_user(const char *user, uint64_t invariants, bool copies_only)
{
	struct oracle_damage damage = { .reason = reason,
		.user = lab_view_cstr(user),
		.invariants = invariants,
		.copies_only = copies_only };

	oracle_damaged(t.oracle, &damage);
}

static void leaked(unsigned n)
{
	t_mail(n);
	t_expunge(0, n, n, n, HISTORY_OK);
	t_delete_forward(0, n);
	t_delete_reverse(n, n);
}

static void another_mail_is_not_excused(void **state)
{
	(void)state;
	leaked(1);
	damaged_object(2, ORACLE_DAMAGES(15));
	t_finds("I15 leak without cause");
	damaged_object(1, ORACLE_DAMAGES(15));
	t_excuses("I15 leak without cause");
	assert_string_equal(t.verdict.findings[0].excuse, reason);
}

static void another_rule_is_not_excused(void **state)
{
	(void)state;
	leaked(1);
	damaged_object(1, ORACLE_DAMAGES(1) | ORACLE_DAMAGES(12) | ORACLE_DAMAGES(14));
	t_finds("I15 leak without cause");
}

static void another_user_is_not_excused(void **state)
{
	(void)state;
	leaked(1);
	damaged_user("user2@example.com", ORACLE_DAMAGES(15), false);
	damaged_user("user1@example.co", ORACLE_DAMAGES(15), false);
	t_finds("I15 leak without cause");
	damaged_user(T_USER, ORACLE_DAMAGES(15), false);
	t_excuses("I15 leak without cause");
}

static void a_delivered_mail_is_no_copy(void **state)
{
	(void)state;
	t_mail(1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	(void)t_select(T_AUDITOR, 0, NULL, 0);
	damaged_user("", ORACLE_DAMAGES(1), true);
	t_finds("I1 lost mail");
	damaged_user("", ORACLE_DAMAGES(1), false);
	t_excuses("I1 lost mail");
}

static void what_was_delivered_after_it_is_claimed(void **state)
{
	struct oracle_damage damage = { .reason = reason,
		.user = LAB_VIEW(T_USER),
		.invariants = ORACLE_DAMAGES(1),
		.until_ns = t.now };

	(void)state;
	t.now += LAB_SEC;
	t_mail(1);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	(void)t_select(T_AUDITOR, 0, NULL, 0);
	oracle_damaged(t.oracle, &damage);
	t_finds("I1 lost mail");
	damage.until_ns = t.now;
	oracle_damaged(t.oracle, &damage);
	t_excuses("I1 lost mail");
}

static void what_was_planted_is_not_looked_at(void **state)
{
	struct oracle_damage damage = { .reason = reason, .user = LAB_VIEW(T_USER) };

	(void)state;
	assert_int_equal(
		t_s3(T_USER, "PUT", "/mails/" T_USER "/mails/README", LAB_VIEW("theirs")), 200);
	t_execute("insert into user_mailbox_objects (u,g,b,n,i) values ('" T_USER
		  "',0x00000000000000000000000000000000,0,0x666f726569676e,0x00)");
	t.now += 10 * LAB_MINUTE;
	t_judge();
	assert_true(t.verdict.failures > 0);
	damage.planted = LAB_VIEW(T_USER "/mails/README");
	oracle_damaged(t.oracle, &damage);
	damage.planted = LAB_VIEW("foreign");
	oracle_damaged(t.oracle, &damage);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 0);
}

static void what_was_not_collected_is_a_failure_whatever_had_failed(void **state)
{
	(void)state;
	leaked(1);
	t.fault = (struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .id = 5, .status = 503, .code = "SlowDown"
	};
	assert_int_equal(t_s3(T_USER, "DELETE", "/mails/" T_USER "/mails/x", LAB_VIEW("")), 503);
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 1);
	oracle_collected(t.oracle, t.now);
	t_finds("I15 leak was not collected");
	/* A reverse row keeps its object (HD-21). */
	t_reverse(T_USER, 0, 1, 1);
	t_passes();
}

static void operators_list_and_read_all(void **state)
{
	(void)state;
	t.settings.has_operators = true;
	t_restart();
	assert_int_equal(t_s3(T_USER, "GET", "/mails?prefix=" T_USER "%2F", LAB_VIEW("")), 200);
	t_passes();
	assert_int_equal(
		t_s3(T_USER, "GET", "/mails?prefix=user2%40example.com%2F", LAB_VIEW("")), 200);
	t_finds("I30 request for another user's object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(another_mail_is_not_excused),
		t_test(another_rule_is_not_excused),
		t_test(another_user_is_not_excused),
		t_test(a_delivered_mail_is_no_copy),
		t_test(what_was_delivered_after_it_is_claimed),
		t_test(what_was_planted_is_not_looked_at),
		t_test(what_was_not_collected_is_a_failure_whatever_had_failed),
		t_test(operators_list_and_read_all),
	};

	return cmocka_run_group_tests_name("oracle-damage", tests, NULL, NULL);
}
