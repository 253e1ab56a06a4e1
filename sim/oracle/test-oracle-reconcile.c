/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-metacache.h"

#define HOST 1
#define KEY "/user1%40example.com/mails/0001"
#define SELECT "SELECT i FROM user_mailbox_objects WHERE u = ?"

static int setup(void **state)
{
	(void)t_setup(state);
	t.settings.has_access_log = t.settings.has_statement_log = true;
	t_restart();
	t_start(HOST);
	return 0;
}

static void http_of(enum lab_event_id id, uint64_t fiber, const char *method, const char *target,
	uint64_t status, uint64_t attempts)
{
	const struct lab_field fields[] = { LAB_F_CSTR("method", method),
		LAB_F_U64("status_code", status), LAB_F_CSTR("target", target),
		LAB_F_U64("attempts", attempts),
		LAB_F_CODE("code", status == 200 ? LAB_OK : LAB_UNAVAILABLE) };

	t_tell_fiber(id, HOST, fiber, fields, LAB_COUNT_OF(fields));
}

static void finished(const char *method, const char *target, uint64_t status, uint64_t attempts)
{
	http_of(LAB_EV_http_request_finished, 7, method, target, status, attempts);
}

static void retried(const char *method, const char *target, uint64_t status, uint64_t attempts)
{
	http_of(LAB_EV_http_request_retried, 7, method, target, status, attempts);
	t.now += 12 * LAB_SEC;
}

static struct sim_access line(const char *service, const char *operation, const char *request)
{
	return (struct sim_access){ .service = service,
		.peer = lab_view_cstr(t.peer),
		.received_ns = t.now,
		.answered_ns = t.now,
		.operation = lab_view_cstr(operation),
		.request = lab_view_cstr(request),
		.status = 200,
		.answered = true,
		.timestamp_us = INT64_MIN };
}

static void log_line(struct sim_access access)
{
	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void logged_as(const char *method, const char *target, bool answered)
{
	struct sim_access access = line("s3", method, target);

	access.method = lab_view_cstr(method);
	access.subject = LAB_VIEW("mails/user1@example.com/mails/0001");
	access.user = LAB_VIEW(T_USER);
	access.answered = answered;
	log_line(access);
}

static void logged(const char *method, const char *target)
{
	logged_as(method, target, true);
}

static void selected_as(const char *statement, bool answered)
{
	struct sim_access access = line("cql", "SELECT", statement);

	access.subject = LAB_VIEW("mails.user_mailbox_objects");
	access.status = 0;
	access.answered = answered;
	access.consistency = T_QUORUM;
	log_line(access);
}

static void selected(bool answered)
{
	selected_as(SELECT, answered);
}

static void finished_statement(const char *statement, uint64_t attempts, uint64_t answers)
{
	const struct lab_field fields[] = { LAB_F_CSTR("query_first_word", "SELECT"),
		LAB_F_CSTR("query", statement), LAB_F_VOLATILE_U64("attempts", attempts),
		LAB_F_VOLATILE_U64("answers", answers) };

	t_tell_fiber(LAB_EV_cassandra_query_finished, HOST, 8, fields, LAB_COUNT_OF(fields));
}

static void statement_finished(uint64_t attempts, uint64_t answers)
{
	finished_statement(SELECT, attempts, answers);
}

static void crash(void)
{
	t_crash(HOST);
	t.now += LAB_SEC;
	t_start(HOST);
}

/* Long enough for every answer to have been told of. */
static void wait(void)
{
	t.now += 10 * LAB_MINUTE;
}

static void passes(void)
{
	wait();
	t_passes();
}

static void finds_silent(const char *text)
{
	const struct oracle_finding *f;

	wait();
	f = t_finds("I34 request that no event tells of");
	if (strstr(f->sentence, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, f->sentence);
}

static void both_sides_tell_the_same(void **state)
{
	(void)state;
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 1);
	logged("GET", KEY);
	finished("GET", KEY, 200, 1);
	selected(true);
	selected(true);
	statement_finished(2, 2);
	finished("GET", "/latest/meta-data/iam", 200, 1);
	passes();
}

static void a_request_that_no_event_tells_of_is_found(void **state)
{
	(void)state;
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 1);
	logged("DELETE", KEY);
	finds_silent("backend-1: DELETE ..." KEY);
}

static void asked_imds(const char *operation)
{
	struct sim_access access = line("imds", operation, "/latest/api/token");

	access.method = LAB_VIEW("PUT");
	log_line(access);
}

static void looked_up(uint64_t attempts)
{
	const struct lab_field fields[] = { LAB_F_U64("status_code", 200),
		LAB_F_U64("attempts", attempts), LAB_F_CODE("code", LAB_OK) };

	t_tell_fiber(LAB_EV_fs_auth_request_finished, HOST, 7, fields, LAB_COUNT_OF(fields));
}

/* The lookup says how many they were, once, in the end. */
static void requests_to_imds_are_those_of_lookups(void **state)
{
	(void)state;
	asked_imds("imds.token");
	t.now += LAB_MINUTE;
	asked_imds("imds.role");
	looked_up(2);
	/* Lost on its way. */
	looked_up(1);
	passes();
}

static void a_request_to_imds_that_no_lookup_tells_of_is_found(void **state)
{
	(void)state;
	asked_imds("imds.token");
	asked_imds("imds.role");
	looked_up(1);
	finds_silent("backend-1: IMDS ...");
}

static void a_lookup_that_a_crash_ended_is_not_missed(void **state)
{
	(void)state;
	asked_imds("imds.token");
	t.now += LAB_MINUTE;
	crash();
	passes();
}

static void an_answer_that_nobody_gave_is_found(void **state)
{
	(void)state;
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 1);
	finished("GET", KEY, 200, 1);
	wait();
	t_finds("I34 answer that nobody gave");
}

static void of_an_unanswered_request_nobody_has_an_answer(void **state)
{
	(void)state;
	logged_as("PUT", KEY, false);
	finished("PUT", KEY, 200, 1);
	wait();
	t_finds("I34 answer that nobody gave");
}

static void each_attempt_is_one_request(void **state)
{
	(void)state;
	logged("PUT", KEY);
	retried("PUT", KEY, 503, 1);
	logged("PUT", KEY);
	retried("PUT", KEY, 503, 2);
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 3);
	passes();
}

static void one_attempt_too_few_is_found(void **state)
{
	(void)state;
	logged("PUT", KEY);
	retried("PUT", KEY, 503, 1);
	logged("PUT", KEY);
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 2);
	finds_silent("1 such");
}

/* It may have got lost on either way. */
static void an_attempt_without_an_answer_may_be_logged_or_not(void **state)
{
	(void)state;
	retried("PUT", KEY, 0, 1);
	logged_as("PUT", KEY, false);
	retried("PUT", KEY, 0, 2);
	logged("PUT", KEY);
	retried("PUT", KEY, 0, 3);
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 4);
	passes();
}

static void given_up_in_the_queue_is_no_attempt(void **state)
{
	(void)state;
	logged("PUT", KEY);
	retried("PUT", KEY, 503, 1);
	finished("PUT", KEY, 0, 1);
	logged("PUT", KEY);
	finds_silent("PUT ..." KEY);
}

static void what_is_done_once_more_on_the_way_is_nobodys(void **state)
{
	struct sim_access access = line("s3", "PUT", KEY);

	(void)state;
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 1);
	access.method = LAB_VIEW("PUT");
	access.subject = LAB_VIEW("mails/user1@example.com/mails/0001");
	access.is_repeat = true;
	log_line(access);
	passes();
}

static void a_crash_hides_what_was_under_way(void **state)
{
	(void)state;
	logged("PUT", KEY);
	selected(true);
	crash();
	passes();
}

/* Logged when it arrived; the service meant to answer later. */
static void a_crash_hides_what_was_to_be_answered_after_it(void **state)
{
	struct sim_access access = line("s3", "PUT", KEY);

	(void)state;
	access.method = LAB_VIEW("PUT");
	access.subject = LAB_VIEW("mails/user1@example.com/mails/0001");
	access.user = LAB_VIEW(T_USER);
	/* The next span of ten seconds, whenever now is. */
	access.answered_ns = t.now + 11 * LAB_SEC;
	log_line(access);
	crash();
	passes();
}

static void what_arrives_after_the_crash_may_be_of_before(void **state)
{
	(void)state;
	crash();
	logged("PUT", KEY);
	selected(true);
	passes();
}

static void tell_host(enum lab_event_id id)
{
	const struct lab_field fields[] = { LAB_F_CSTR("host", t_backend(HOST)) };

	t_tell_fiber(id, HOST, 0, fields, 1);
}

/* Its ten seconds begin when it goes on. */
static void a_host_that_stood_still_and_crashed_had_no_time_to_tell(void **state)
{
	(void)state;
	logged("PUT", KEY);
	tell_host(LAB_EV_host_hung);
	t.now += LAB_MINUTE;
	selected(true);
	t.now += LAB_MINUTE;
	tell_host(LAB_EV_host_went_on);
	crash();
	passes();
}

static void so_had_one_that_crashed_while_it_stood_still(void **state)
{
	(void)state;
	logged("PUT", KEY);
	tell_host(LAB_EV_host_hung);
	t.now += LAB_MINUTE;
	selected(true);
	t.now += 10 * LAB_MINUTE;
	crash();
	passes();
}

static void a_host_that_stood_still_hides_nothing_older(void **state)
{
	(void)state;
	logged("PUT", KEY);
	t.now += LAB_MINUTE;
	tell_host(LAB_EV_host_hung);
	t.now += LAB_MINUTE;
	tell_host(LAB_EV_host_went_on);
	crash();
	finds_silent("backend-1: PUT ..." KEY);
}

static void nor_what_it_had_time_to_tell_of(void **state)
{
	(void)state;
	logged("PUT", KEY);
	tell_host(LAB_EV_host_hung);
	t.now += LAB_MINUTE;
	tell_host(LAB_EV_host_went_on);
	t.now += 5 * LAB_MINUTE;
	crash();
	finds_silent("backend-1: PUT ..." KEY);
}

static void a_crash_hides_nothing_older(void **state)
{
	(void)state;
	logged("PUT", KEY);
	t.now += LAB_MINUTE;
	crash();
	finds_silent("PUT ..." KEY);
}

static void nor_anything_later(void **state)
{
	(void)state;
	crash();
	t.now += LAB_MINUTE;
	selected(true);
	finds_silent("SELECT ...");
}

/* Somebody may wait two minutes for it. */
static void an_unanswered_request_may_be_under_way_longer(void **state)
{
	(void)state;
	logged_as("PUT", KEY, false);
	t.now += LAB_MINUTE;
	crash();
	passes();
}

static void what_is_under_way_at_the_end_is_not_missed(void **state)
{
	(void)state;
	logged("PUT", KEY);
	selected(false);
	t_passes();
}

static void a_crash_ends_the_attempts_of_its_fibers(void **state)
{
	(void)state;
	logged("PUT", KEY);
	retried("PUT", KEY, 503, 1);
	crash();
	logged("GET", KEY);
	finished("GET", KEY, 200, 1);
	passes();
}

static void a_statement_that_no_event_tells_of_is_found(void **state)
{
	(void)state;
	selected(true);
	selected(true);
	selected(true);
	statement_finished(2, 2);
	finds_silent("SELECT ..." SELECT);
}

static void a_statement_may_get_lost(void **state)
{
	(void)state;
	selected(false);
	statement_finished(3, 1 - 1);
	selected(true);
	statement_finished(1, 1);
	passes();
}

static void an_answer_of_cassandra_must_be_in_its_log(void **state)
{
	(void)state;
	selected(true);
	statement_finished(2, 2);
	wait();
	t_finds("I34 answer that nobody gave");
}

/* Below protocol 4 nothing is prepared: what is sent has the values in it. */
static void a_statement_is_known_whatever_its_values_are(void **state)
{
	static const struct {
		const char *told, *logged;
	} same[] = {
		{ SELECT, "SELECT i FROM user_mailbox_objects WHERE u = 'it''s ? \"me\"'" },
		{ SELECT, "SELECT i FROM user_mailbox_objects WHERE u = ''" },
		{ SELECT, "SELECT i FROM user_mailbox_objects WHERE u = 'not closed" },
		{ SELECT, "SELECT i FROM user_mailbox_objects WHERE u = null" },
		{ "SELECT a1,\"b '\" FROM t2 WHERE g = ? AND b = ? AND id IN (?, ?) LIMIT 5",
			"SELECT a1,\"b '\" FROM t2 WHERE g = 0x00ff AND b = -17 AND id IN "
			"(a1b2c3d4-0000-1000-8000-0123456789ab, "
			"01b2c3d4-0000-1000-8000-0123456789ab) LIMIT 5" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(same); i++) {
		selected_as(same[i].logged, true);
		finished_statement(same[i].told, 1, 1);
	}
	passes();
}

static void names_are_not_taken_for_values(void **state)
{
	static const char *const others[] = { "SELECT i FROM user_mailbox_objects WHERE n = 'a'",
		"SELECT i FROM user_mailbox_objects WHERE u = nullable",
		"SELECT i FROM user_mailbox_objects WHERE u = \"a\"" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		t_restart();
		t_start(HOST);
		selected_as(others[i], true);
		finished_statement(others[i], 1, 1);
		finished_statement(SELECT, 1, 1);
		wait();
		t_finds("I34 answer that nobody gave");
	}
}

/* However long a statement is. */
static void of_a_long_statement_the_beginning_counts(void **state)
{
	char text[9000];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, SELECT, sizeof(SELECT) - 1);
	text[sizeof(text) - 1] = '\0';
	selected_as(text, true);
	text[sizeof(text) - 2] = 'b';
	finished_statement(text, 1, 1);
	passes();
}

static void a_library_may_ask_again_what_was_not_answered(void **state)
{
	(void)state;
	t.settings.has_library_retries = true;
	t_restart();
	t_start(HOST);
	logged_as("PUT", KEY, false);
	logged("PUT", KEY);
	finished("PUT", KEY, 200, 1);
	passes();
}

static void services_that_log_nothing_are_not_asked(void **state)
{
	(void)state;
	t.settings.has_access_log = t.settings.has_statement_log = false;
	t_restart();
	t_start(HOST);
	finished("PUT", KEY, 200, 1);
	statement_finished(1, 1);
	passes();
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(both_sides_tell_the_same),
		test(a_request_that_no_event_tells_of_is_found),
		test(requests_to_imds_are_those_of_lookups),
		test(a_request_to_imds_that_no_lookup_tells_of_is_found),
		test(a_lookup_that_a_crash_ended_is_not_missed),
		test(an_answer_that_nobody_gave_is_found),
		test(of_an_unanswered_request_nobody_has_an_answer),
		test(each_attempt_is_one_request),
		test(one_attempt_too_few_is_found),
		test(an_attempt_without_an_answer_may_be_logged_or_not),
		test(given_up_in_the_queue_is_no_attempt),
		test(what_is_done_once_more_on_the_way_is_nobodys),
		test(a_crash_hides_what_was_under_way),
		test(a_crash_hides_what_was_to_be_answered_after_it),
		test(what_arrives_after_the_crash_may_be_of_before),
		test(a_crash_hides_nothing_older),
		test(a_host_that_stood_still_and_crashed_had_no_time_to_tell),
		test(so_had_one_that_crashed_while_it_stood_still),
		test(a_host_that_stood_still_hides_nothing_older),
		test(nor_what_it_had_time_to_tell_of),
		test(nor_anything_later),
		test(an_unanswered_request_may_be_under_way_longer),
		test(what_is_under_way_at_the_end_is_not_missed),
		test(a_crash_ends_the_attempts_of_its_fibers),
		test(a_statement_that_no_event_tells_of_is_found),
		test(a_statement_may_get_lost),
		test(an_answer_of_cassandra_must_be_in_its_log),
		test(a_statement_is_known_whatever_its_values_are),
		test(names_are_not_taken_for_values),
		test(of_a_long_statement_the_beginning_counts),
		test(a_library_may_ask_again_what_was_not_answered),
		test(services_that_log_nothing_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
