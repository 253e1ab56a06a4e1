/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-metacache.h"

#define KEY "mails/" T_USER "/mailboxes/0123/idx/bundle.1.2.3"
#define MB UINT64_C(1000000)

static void t_bundle(const char *operation, unsigned host, const char *key)
{
	struct sim_access access = { .service = "s3",
		.instance = LAB_VIEW("s3"),
		.operation = lab_view_cstr(operation),
		.subject = lab_view_cstr(key),
		.user = LAB_VIEW(T_USER),
		.peer = lab_view_cstr(t_backend(host)),
		.received_ns = t.now,
		.answered_ns = t.now,
		.status = 200,
		.applied = true,
		.answered = true };

	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

/* ---- 23 ---- */

static void who_has_written_or_read_a_bundle_may_delete_it(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_bundle("GET", 2, KEY);
	t_bundle("DELETE", 2, KEY);
	t_bundle("DELETE", 1, KEY);
	t_passes();
}

static void who_has_not_may_not(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_bundle("DELETE", 2, KEY);
	(void)t_finds("I23 unknown bundle deleted");
}

static void a_crash_forgets_what_was_known(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_crash(1);
	t_start(1);
	t.now += 10 * LAB_MINUTE;
	t_bundle("DELETE", 1, KEY);
	(void)t_finds("I23 unknown bundle deleted");
}

static void what_arrives_late_was_sent_before(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_crash(1);
	t_bundle("DELETE", 1, KEY);
	t_passes();
}

static void t_set_aside(unsigned host)
{
	t_tell_fiber(LAB_EV_metacache_bundle_set_aside, host, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("filename", "bundle.1.2.3"),
			LAB_F_CSTR("mailbox_guid", "0123") },
		3);
}

static void what_makes_no_sense_is_left_alone(void **state)
{
	(void)state;
	t_bundle("GET", 1, KEY);
	t_set_aside(1);
	t_bundle("GET", 2, KEY);
	t_bundle("DELETE", 2, KEY);
	t_passes();
	t_bundle("DELETE", 1, KEY);
	assert_int_equal(t_finds("I23 bundle set aside was deleted")->invariant, 23);
}

static void unless_it_made_sense_of_it_later(void **state)
{
	(void)state;
	t_bundle("GET", 1, KEY);
	t_set_aside(1);
	t_tell_fiber(LAB_EV_metacache_mailbox_bundle_download_finished, 1, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("filename", "bundle.1.2.3"), LAB_F_CODE("code", LAB_OK) },
		3);
	t_bundle("DELETE", 1, KEY);
	t_passes();
}

static void unless_it_goes_with_its_folder(void **state)
{
	struct history_op op = t_op_at(HISTORY_DELETE, 1, 0);

	(void)state;
	t_bundle("GET", 1, KEY);
	t_set_aside(1);
	(void)t_begin(&op);
	t_tell_fiber(LAB_EV_operation_invoked, 0, 1,
		(const struct lab_field[]){
			LAB_F_CSTR("kind", "delete"), LAB_F_CSTR("user", T_USER) },
		2);
	t_bundle("DELETE", 1, KEY);
	t_passes();
}

static void t_pull(
	enum lab_event_id id, unsigned host, unsigned source, const char *type, uint64_t taken)
{
	t_tell_fiber(id, host, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("source_host", t_backend(source)), LAB_F_CSTR("type", type),
			LAB_F_U64("taken", taken) },
		4);
}

static void t_pulled(unsigned host, unsigned source, const char *type, uint64_t taken)
{
	t_pull(LAB_EV_metacache_pull_finished, host, source, type, taken);
}

static void a_pull_brings_what_the_source_knew(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pulled(2, 1, "client", 2);
	t_bundle("DELETE", 2, KEY);
	t_passes();
}

static void and_what_that_had_pulled(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pulled(2, 1, "client", 2);
	t_pulled(3, 2, "client", 2);
	t_bundle("DELETE", 3, KEY);
	t_passes();
}

static void a_pull_that_took_nothing_brings_nothing(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pulled(2, 1, "client", 0);
	t_bundle("DELETE", 2, KEY);
	(void)t_finds("I23 unknown bundle deleted");
}

/* It has taken over, and its source is still at work: it ends when that has cleaned. */
static void a_pull_is_known_when_it_is_over(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pull(LAB_EV_metacache_pull_started, 2, 1, "client", 0);
	t_bundle("DELETE", 2, KEY);
	t_pulled(1, 1, "server", 0);
	t_pulled(2, 1, "client", 2);
	t_passes();
}

static void a_pull_that_is_over_has_taken_nothing(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pull(LAB_EV_metacache_pull_started, 2, 1, "client", 0);
	t_bundle("DELETE", 2, KEY);
	t_pulled(2, 1, "client", 0);
	(void)t_finds("I23 unknown bundle deleted");
}

static void a_pull_does_not_bring_what_nobody_there_knew(void **state)
{
	(void)state;
	t_bundle("PUT", 1, KEY);
	t_pull(LAB_EV_metacache_pull_started, 2, 3, "client", 0);
	t_bundle("DELETE", 2, KEY);
	t_pulled(2, 3, "client", 2);
	(void)t_finds("I23 unknown bundle deleted");
}

static void a_mail_is_no_bundle(void **state)
{
	(void)state;
	t_bundle("DELETE", 2, "mails/" T_USER "/mails/0123");
	t_passes();
}

/* ---- 26 ---- */

static void t_measured(
	const char *reason, uint64_t local, uint64_t counted, uint64_t cached, uint64_t files)
{
	t_tell_fiber(LAB_EV_disk_measured, 1, 1,
		(const struct lab_field[]){ LAB_F_CSTR("host", "backend-1"),
			LAB_F_CSTR("reason", reason), LAB_F_U64("metacache_bytes", local),
			LAB_F_U64("counted_bytes", counted), LAB_F_U64("fscache_bytes", cached),
			LAB_F_U64("fscache_files", files) },
		6);
}

static void within_its_limits(void **state)
{
	(void)state;
	t_measured("watch", 3 * MB, 2 * MB, 9 * MB, 9);
	t_measured("rescan", 2 * MB, 2 * MB, 9 * MB, 9);
	t_measured("end", 3 * MB, 2 * MB, 1 * MB, 9);
	t_measured("end", 3 * MB, 2 * MB, 9 * MB, 1);
	t_passes();
}

static void beyond_the_grace(void **state)
{
	(void)state;
	t_measured("watch", 3 * MB + 1, 2 * MB, 0, 0);
	(void)t_finds("I26 metacache beyond its grace");
}

static void fscache_must_come_back(void **state)
{
	(void)state;
	t_measured("end", 0, 0, 1 * MB + 1, 2);
	(void)t_finds("I26 fscache stays above its limit");
}

static void a_rescan_must_find_it_all(void **state)
{
	(void)state;
	t_measured("rescan", 2 * MB, 2 * MB + 1, 0, 0);
	(void)t_finds("I26 rescan left a drift");
}

static int setup_limits(void **state)
{
	int result = t_setup_backends(state);

	t.settings.metacache_max_bytes = 3 * MB;
	t.settings.fscache_max_bytes = 1 * MB;
	t_restart();
	return result;
}

#define limit_test(function) cmocka_unit_test_setup_teardown(function, setup_limits, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(who_has_written_or_read_a_bundle_may_delete_it),
		t_backends_test(who_has_not_may_not),
		t_backends_test(a_crash_forgets_what_was_known),
		t_backends_test(what_arrives_late_was_sent_before),
		t_backends_test(what_makes_no_sense_is_left_alone),
		t_backends_test(unless_it_goes_with_its_folder),
		t_backends_test(unless_it_made_sense_of_it_later),
		t_backends_test(a_pull_brings_what_the_source_knew),
		t_backends_test(and_what_that_had_pulled),
		t_backends_test(a_pull_that_took_nothing_brings_nothing),
		t_backends_test(a_pull_is_known_when_it_is_over),
		t_backends_test(a_pull_that_is_over_has_taken_nothing),
		t_backends_test(a_pull_does_not_bring_what_nobody_there_knew),
		t_backends_test(a_mail_is_no_bundle),
		limit_test(within_its_limits),
		limit_test(beyond_the_grace),
		limit_test(fscache_must_come_back),
		limit_test(a_rescan_must_find_it_all),
	};

	return cmocka_run_group_tests_name("oracle-metacache", tests, NULL, NULL);
}
