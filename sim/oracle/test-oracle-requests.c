/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-oracle.h"

#define WALL(ns) (T_EPOCH_US + (int64_t)((ns) / 1000))

/* A statement as the CQL emulator logs it. */
static void statement_of(const char *user, const char *operation, const char *table,
	uint16_t consistency, int64_t timestamp_us)
{
	char subject[80];
	struct sim_access access = { .service = "cql",
		.peer = lab_view_cstr(t.peer),
		.received_ns = t.now,
		.operation = lab_view_cstr(operation),
		.user = lab_view_cstr(user),
		.applied = true,
		.answered = true,
		.consistency = consistency,
		.timestamp_us = timestamp_us };

	(void)snprintf(subject, sizeof(subject), "mails.%s", table);
	access.subject = lab_view_cstr(subject);
	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void statement(
	const char *operation, const char *table, uint16_t consistency, int64_t timestamp_us)
{
	statement_of(T_USER, operation, table, consistency, timestamp_us);
}

static uint64_t redirects; /* of the requests that http() tells of */

static void http(enum lab_event_id id, uint64_t time_ns, const char *target, uint64_t status,
	uint64_t attempts, enum lab_code code)
{
	const struct lab_field fields[] = { LAB_F_CSTR("method", "PUT"),
		LAB_F_U64("status_code", status), LAB_F_CSTR("target", target),
		LAB_F_U64("attempts", attempts), LAB_F_CODE("code", code),
		LAB_F_U64("redirects", redirects) };
	struct lab_event event = { .id = id,
		.time_ns = time_ns,
		.host = 2,
		.fiber = 7,
		.sequence = t.sequence++,
		.fields = fields,
		.field_count = LAB_COUNT_OF(fields) };

	oracle_event(t.oracle, &event);
}

/* Attempts that all get a 503, sent after these waits. */
static void ladder(const uint64_t *waits_ms, unsigned retries, unsigned reported)
{
	uint64_t now = LAB_SEC;

	for (unsigned i = 0; i < retries; i++) {
		http(LAB_EV_http_request_retried, now, "/k", 503, i + 1, LAB_THROTTLED);
		now += waits_ms[i] * LAB_MSEC + LAB_MSEC;
	}
	http(LAB_EV_http_request_finished, now, "/k", 503, reported, LAB_THROTTLED);
}

/* ---- 19, 20 ---- */

static void copy_that_writes_an_object_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_put(2);
	t_rows(1, 2, 2);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 2), HISTORY_UNCERTAIN);
	t_audit_of(0, 1);
	t_finds("I19 copy wrote an object");
}

static void copy_in_the_dict_is_fine(void **state)
{
	(void)state;
	t_mail(1);
	t_rows(1, 2, 1);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_UNCERTAIN);
	t_audit_of(0, 1);
	t_passes();
}

static void written_copies_have_objects_of_their_own(void **state)
{
	(void)state;
	t.settings.copies_in_dict = false;
	t.settings.copies_are_written = true;
	t_restart();
	t_mail(1);
	t_put(2);
	t_rows(1, 2, 2);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 2), HISTORY_OK);
	t_audit_of(0, 1);
	t_audit_of(1, 2);
	t_passes();
}

static void written_copy_that_shares_an_object_is_a_failure(void **state)
{
	(void)state;
	t.settings.copies_in_dict = false;
	t.settings.copies_are_written = true;
	t_restart();
	t_mail(1);
	t_rows(1, 2, 1);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_OK);
	t_audit_of(0, 1);
	t_audit_of(1, 2);
	t_finds("I19 copy wrote no object");
}

static void copy_that_deletes_an_object_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_FAIL);
	t_drop(1);
	t_put(1);
	t_audit_of(0, 1);
	t_finds("I19 copy deleted an object");
}

static void expunge_may_delete_the_object_of_a_copy(void **state)
{
	(void)state;
	t_mail(1);
	t_copy(HISTORY_COPY, 0, 1, 1, 1, 1, t_object(2, 1), HISTORY_FAIL);
	t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	t_passes();
}

static void mail_written_over_with_other_bytes_is_a_failure(void **state)
{
	(void)state;
	t_mail(1);
	t_put_as(T_USER, 1, "other bytes");
	t_audit_of(0, 1);
	t_finds("I20 mail written over");
}

static void retry_of_a_put_writes_the_same_bytes(void **state)
{
	(void)state;
	t_mail(1);
	t_put(1);
	t_audit_of(0, 1);
	t_passes();
}

static void listing_the_bucket_is_a_failure(void **state)
{
	(void)state;
	assert_int_equal(t_s3(T_USER, "GET", "/mails?list-type=2", LAB_VIEW("")), 200);
	t_finds("I20 bucket listed");
}

static void bundle_written_over_is_a_failure(void **state)
{
	const char *target = "/mails/" T_USER "/idx/bundle.1";

	(void)state;
	assert_int_equal(t_s3(T_USER, "PUT", target, LAB_VIEW("one")), 200);
	assert_int_equal(t_s3(T_USER, "PUT", target, LAB_VIEW("one")), 200);
	t_passes();
	assert_int_equal(t_s3(T_USER, "PUT", target, LAB_VIEW("two")), 200);
	t_finds("I20 bundle written over");
}

static void request_without_its_user_is_a_failure(void **state)
{
	(void)state;
	t.settings.has_trace_headers = true;
	t_restart();
	(void)t_s3("", "GET", "/mails/" T_USER "/mails/1", LAB_VIEW(""));
	t_finds("I30 request that names no user");
}

static void without_trace_headers_no_request_names_its_user(void **state)
{
	(void)state;
	(void)t_s3("", "GET", "/mails/" T_USER "/mails/1", LAB_VIEW(""));
	t_passes();
}

/* ---- 32, 33 ---- */

static void batch_has_the_consistency_of_what_is_in_it(void **state)
{
	(void)state;
	t.settings.delete_consistency = t.settings.delete_fallback = 5;
	t_restart();
	statement("BATCH", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	statement("BATCH", "user_mailbox_objects", 5, WALL(t.now));
	t_passes();
	statement("BATCH", "user_mailbox_objects", 0, WALL(t.now));
	t_finds("I32 wrong consistency");
}

static void insert_at(uint64_t minute, int64_t seconds_off)
{
	t.now = minute * LAB_MINUTE;
	statement("INSERT", "user_mailbox_objects", T_QUORUM,
		WALL(t.now) + seconds_off * INT64_C(1000000));
}

static void timestamps_of_a_client_do_not_go_back(void **state)
{
	(void)state;
	t.settings.clock_error_us = INT64_C(3600) * 1000000;
	t_restart();
	insert_at(1, 1800);
	/* These may have overtaken each other. */
	insert_at(2, 0);
	insert_at(5, 0);
	t_passes();
	insert_at(7, 0);
	t_finds("I33 timestamp went back");
}

/* The log has them when they are answered: what came meanwhile is not of minutes ago. */
static void timestamps_of_late_answers_may(void **state)
{
	(void)state;
	t.settings.clock_error_us = INT64_C(3600) * 1000000;
	t_restart();
	insert_at(5, 0);
	insert_at(6, 2);
	insert_at(5, 0);
	insert_at(6, 0);
	t_passes();
}

static void timestamps_of_another_life_may(void **state)
{
	const struct lab_field host = LAB_F_TEXT("host", lab_view_cstr(t.peer));
	struct lab_event event = { .id = LAB_EV_host_crashed, .host = 1, .sequence = 1 };

	(void)state;
	t.settings.clock_error_us = INT64_C(3600) * 1000000;
	t_restart();
	oracle_backend_started(t.oracle, 1, host.text, 1);
	insert_at(1, 1800);
	oracle_event(t.oracle, &event);
	insert_at(7, 0);
	t_passes();
}

/* ---- 30 ---- */

static void request_for_another_users_object_is_a_failure(void **state)
{
	(void)state;
	(void)t_s3("user2@example.com", "GET", "/mails/" T_USER "/mails/00", LAB_VIEW(""));
	t_finds("I30 request for another user's object");
}

static void user_name_that_is_a_prefix_is_another_user(void **state)
{
	(void)state;
	(void)t_s3("user1", "GET", "/mails/" T_USER "/mails/00", LAB_VIEW(""));
	t_finds("I30 request for another user's object");
}

static void requests_for_own_objects_are_fine(void **state)
{
	(void)state;
	(void)t_s3(T_USER, "GET", "/mails/" T_USER "/idx/00", LAB_VIEW(""));
	(void)t_s3(T_USER, "GET", "/mails/a1b2/" T_USER "/mails/00", LAB_VIEW(""));
	(void)t_s3("", "GET", "/mails/" T_USER "/mails/00", LAB_VIEW(""));
	t_passes();
}

/* ---- 31 ---- */

static void documented_ladder_is_fine(void **state)
{
	static const uint64_t waits[] = { 50, 500, 5000, 10000 };

	(void)state;
	ladder(waits, 4, 5);
	t_passes();
}

static void retry_before_its_wait_is_over_is_a_failure(void **state)
{
	static const uint64_t waits[] = { 50, 400, 5000, 10000 };

	(void)state;
	ladder(waits, 4, 5);
	t_finds("I31 retried too soon");
}

static void last_wait_counts_too(void **state)
{
	static const uint64_t waits[] = { 50, 500, 5000, 9000 };

	(void)state;
	ladder(waits, 4, 5);
	t_finds("I31 retried too soon");
}

static void one_attempt_too_many_is_a_failure(void **state)
{
	static const uint64_t waits[] = { 50, 500, 5000, 10000, 10000 };

	(void)state;
	ladder(waits, 5, 6);
	t_finds("I31 too many attempts");
}

static void giving_up_a_503_early_is_a_failure(void **state)
{
	(void)state;
	ladder(NULL, 0, 1);
	t_finds("I31 gave up too early");
}

static void request_of_a_mail_names_the_mail(void **state)
{
	char hex[48], target[128];
	const struct oracle_finding *finding;

	(void)state;
	t_deliver(7, t_object(7, 7), HISTORY_FAIL);
	(void)snprintf(
		target, sizeof(target), "/user1%%40example.com/mails/%s", t_hex(7, true, hex));
	http(LAB_EV_http_request_finished, LAB_SEC, target, 503, 1, LAB_UNAVAILABLE);
	finding = t_finds("I31 gave up too early");
	assert_int_equal(finding->token, 7);
	assert_non_null(strstr(finding->sentence, "user1@example.com: mail 0000000000000007"));
}

static void absolute_timeout_may_give_up_early(void **state)
{
	(void)state;
	t.settings.has_absolute_timeout = true;
	t_restart();
	ladder(NULL, 0, 1);
	t_passes();
}

static void connects_and_renewals_have_their_own_counts(void **state)
{
	uint64_t now = LAB_SEC;

	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		http(LAB_EV_http_request_retried, now++, "/k", 0, i, LAB_REFUSED);
	http(LAB_EV_http_request_finished, now, "/k", 200, 8, LAB_OK);
	t_passes();
	http(LAB_EV_http_request_finished, now, "/k", 200, 9, LAB_OK);
	t_finds("I31 too many attempts");
}

/* Sent elsewhere is neither a retry too many, nor one that was made. */
static void redirects_do_not_count(void **state)
{
	(void)state;
	redirects = 2;
	http(LAB_EV_http_request_finished, LAB_SEC, "/k", 200, 10, LAB_OK);
	t_passes();
	http(LAB_EV_http_request_finished, LAB_SEC, "/k", 503, 3, LAB_THROTTLED);
	redirects = 0;
	t_finds("I31 gave up too early");
}

static void ladders_of_metadata_requests_are_not_judged(void **state)
{
	(void)state;
	http(LAB_EV_http_request_finished, 1, "/latest/api/token", 503, 1, LAB_UNAVAILABLE);
	t_passes();
}

static void crashed_request_does_not_spoil_the_next(void **state)
{
	(void)state;
	http(LAB_EV_http_request_retried, LAB_SEC, "/k", 503, 1, LAB_THROTTLED);
	http(LAB_EV_http_request_retried, LAB_SEC + 1, "/other", 503, 1, LAB_THROTTLED);
	http(LAB_EV_http_request_finished, 2 * LAB_SEC, "/other", 200, 2, LAB_OK);
	t_passes();
}

static void bulk_delete(unsigned keys)
{
	char body[1024] = "<Delete>";

	for (unsigned i = 0; i < keys; i++) {
		size_t len = strlen(body);

		(void)snprintf(body + len, sizeof(body) - len,
			"<Object><Key>" T_USER "/mails/%u</Key></Object>", i);
	}
	(void)snprintf(body + strlen(body), sizeof(body) - strlen(body), "</Delete>");
	assert_int_equal(t_s3(T_USER, "POST", "/mails?delete", lab_view_cstr(body)), 200);
}

static void bulk_delete_above_the_limit_is_a_failure(void **state)
{
	(void)state;
	bulk_delete(4);
	t_finds("I31 bulk delete of too many keys");
}

static void bulk_delete_at_the_limit_is_fine(void **state)
{
	(void)state;
	bulk_delete(3);
	t_passes();
}

/* ---- 32 ---- */

static void consistency_that_nobody_configured_is_a_failure(void **state)
{
	static const char *const operations[] = { "SELECT", "INSERT", "DELETE" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(operations); i++) {
		t_restart();
		statement(operations[i], "user_fts_objects", 0, WALL(t.now));
		t_finds("I32 wrong consistency");
	}
}

static void each_kind_of_statement_has_its_own_consistency(void **state)
{
	(void)state;
	t.settings.read_consistency = t.settings.read_fallback = 4;
	t.settings.write_consistency = 5;
	t.settings.delete_consistency = 7;
	t_restart();
	statement("SELECT", "user_mailbox_objects", 4, INT64_MIN);
	statement("INSERT", "user_mailbox_objects", 5, WALL(t.now));
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	statement("DELETE", "user_mailbox_objects", 7, WALL(t.now) + 10000000);
	t_passes();
	statement("DELETE", "user_mailbox_objects", 5, WALL(t.now) + 10000000);
	t_finds("I32 wrong consistency");
}

static void tables_of_the_system_have_any_consistency(void **state)
{
	struct sim_access access = { .service = "cql",
		.operation = LAB_VIEW("SELECT"),
		.subject = LAB_VIEW("system.peers"),
		.consistency = 1,
		.answered = true };

	(void)state;
	oracle_access(t.oracle, &access);
	t_passes();
}

/* ---- 33 ---- */

static void timestamps_must_be_near_the_wall_clock(void **state)
{
	static const struct {
		const char *operation;
		int64_t off_us;
		bool wrong;
	} rows[] = {
		{ "INSERT", 0, false },
		{ "INSERT", 900000, false },
		{ "INSERT", -60000000, false },
		{ "INSERT", 1100000, true },
		{ "INSERT", -601000000, true },
		{ "INSERT", -T_EPOCH_US / 1000 * 999, true }, /* milliseconds */
		{ "DELETE", 10000000, false },
		{ "DELETE", 12000000, true },
		{ "DELETE", -592000000, true },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_restart();
		statement(rows[i].operation, "user_mailbox_objects", T_QUORUM,
			WALL(t.now) + rows[i].off_us);
		t_judge();
		assert_row(i, t.verdict.failures == rows[i].wrong);
		assert_row(i, !rows[i].wrong || t.verdict.findings[0].invariant == 33);
	}
}

static void the_most_extreme_timestamps_are_judged(void **state)
{
	(void)state;
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now) - 601000000);
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now) + 1100000);
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	t.settings.clock_error_us = 2000000;
	t_restart();
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now) - 601000000);
	t_passes();
}

static void wrong_clocks_may_be_configured_or_injected(void **state)
{
	struct fault_episode episode = {
		.kind = FAULT_clock_step, .target = "backend-1", .start_ns = 1, .clock_us = -3000000
	};
	struct lab_error err;
	uint32_t id;

	(void)state;
	t.settings.clock_error_us = 1000000;
	t_restart();
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now) + 4500000);
	t_finds("I33 wrong timestamp");
	t.faults = fault_plan_new(testing_heap, 1, 3);
	assert_int_equal(fault_plan_add_episode(t.faults, &episode, &id, &err), 0);
	t_finds("I33 wrong timestamp");
	assert_int_not_equal(fault_world_fire(t.faults, id, 1), 0);
	t_passes();
}

static void statement_without_timestamp_is_a_failure(void **state)
{
	(void)state;
	statement("INSERT", "user_mailbox_objects_reverse", T_QUORUM, INT64_MIN);
	t_finds("I33 no client timestamp");
}

static void timestamps_of_other_tables_are_their_own(void **state)
{
	(void)state;
	statement("INSERT", "user_mailbox_buckets", T_QUORUM, 17);
	t_passes();
}

/* ---- explaining ---- */

static struct lab_buf explain(unsigned lines_max)
{
	struct oracle_case c = t_case();
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, 65536);
	oracle_explain(t.oracle, &c, &t.verdict.findings[0], lines_max, &out);
	assert_false(out.overflow);
	return out;
}

static size_t line_count(struct lab_buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < out->len; i++)
		n += out->data[i] == '\n';
	return n;
}

static void lose_a_mail(void)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, 1);
	uint32_t id = t_begin(&op);

	t_put(1);
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	statement_of("other@example.com", "INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	op.made = t_object(1, 1);
	op.body_hash = t_hash(1);
	t_end(id, &op, HISTORY_OK);
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now)); /* another mail's */
	t_put_as("other@example.com", 7, "another user's");
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	t_judge();
	assert_string_equal(t.verdict.findings[0].signature, "I1 lost mail");
}

static void explanation_has_what_touched_the_mail_in_order(void **state)
{
	struct lab_buf out;

	(void)state;
	lose_a_mail();
	out = explain(24);
	assert_string_equal(lab_buf_cstr(&out),
		"    0:01.000  backend-1    deliver INBOX begins  #1\n"
		"    0:01.001  backend-1    s3  PUT object ---> 200, applied\n"
		"    0:01.002  backend-1    cql INSERT forward row ---> ok, applied\n"
		"    0:01.005  backend-1    deliver INBOX: OK  #2\n"
		"    0:01.008  backend-1    s3  DELETE object ---> 204, applied\n");
	lab_buf_done(&out);
}

static void short_explanation_keeps_operations_and_says_so(void **state)
{
	struct lab_buf out;

	(void)state;
	lose_a_mail();
	out = explain(4);
	assert_int_equal(line_count(&out), 4);
	assert_non_null(strstr(lab_buf_cstr(&out), "deliver INBOX begins"));
	assert_non_null(strstr(lab_buf_cstr(&out), "s3  DELETE"));
	assert_null(strstr(lab_buf_cstr(&out), "PUT"));
	assert_non_null(strstr(lab_buf_cstr(&out), "(2 more of 5 are not shown)"));
	lab_buf_done(&out);
	out = explain(0);
	assert_int_equal(out.len, 0);
}

static void explanation_shows_the_fault_that_hit_a_request(void **state)
{
	struct lab_buf out;

	(void)state;
	t_put(1);
	t.fault = (struct sim_fault){ .kind = SIM_FAULT_LOSE_REPLY, .id = 3 };
	(void)t_s3(T_USER, "DELETE", "/mails/" T_USER "/mails/0101010101010101010101010101010180",
		LAB_VIEW(""));
	t.fault.kind = SIM_FAULT_NONE;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	t_audit(0, NULL, NULL, 0);
	t_judge();
	out = explain(24);
	assert_non_null(strstr(
		lab_buf_cstr(&out), "s3  DELETE object ---> no answer, applied  FAULT injected"));
	lab_buf_done(&out);
}

/* Nothing is deleted by reading, unless a storage says that there is nothing to be read. */
static void explanation_has_rows_that_reading_deletes(void **state)
{
	struct history_op fetch = t_op(HISTORY_FETCH, 0, 1);
	uint32_t id;
	struct lab_buf out;

	(void)state;
	t_deliver(1, t_object(1, 1), HISTORY_OK);
	id = t_begin(&fetch);
	statement("SELECT", "user_mailbox_objects", T_QUORUM, INT64_MIN);
	statement("DELETE", "user_mailbox_objects", T_QUORUM, WALL(t.now) + 10000000);
	t_end(id, &fetch, HISTORY_FAIL);
	t_audit(0, NULL, NULL, 0);
	t_judge();
	out = explain(24);
	assert_non_null(strstr(lab_buf_cstr(&out), "cql DELETE forward row ---> ok, applied\n"));
	assert_null(strstr(lab_buf_cstr(&out), "SELECT"));
	lab_buf_done(&out);
}

/* SERVER_ERROR has the number of what went well. */
static void explanation_names_errors(void **state)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, 1);
	uint32_t id = t_begin(&op);
	struct sim_access access = { .service = "cql",
		.peer = lab_view_cstr(t.peer),
		.received_ns = t.now,
		.operation = LAB_VIEW("INSERT"),
		.subject = LAB_VIEW("mails.user_mailbox_objects"),
		.user = LAB_VIEW(T_USER),
		.status = 0x1100,
		.answered = true,
		.consistency = T_QUORUM,
		.timestamp_us = WALL(t.now) };
	struct lab_buf out;

	(void)state;
	t_put(1);
	oracle_access(t.oracle, &access);
	access.status = 0x2200;
	oracle_access(t.oracle, &access);
	t_lie_to(t.peer, T_USER);
	statement("INSERT", "user_mailbox_objects", T_QUORUM, WALL(t.now));
	op.made = t_object(1, 1);
	t_end(id, &op, HISTORY_OK);
	t_drop(1);
	t_audit(0, NULL, NULL, 0);
	t_judge();
	out = explain(24);
	assert_non_null(strstr(lab_buf_cstr(&out), "---> error WRITE_TIMEOUT, not applied\n"));
	assert_non_null(strstr(lab_buf_cstr(&out), "---> error 0x2200, not applied\n"));
	assert_non_null(strstr(lab_buf_cstr(&out),
		"---> error SERVER_ERROR, applied  FAULT server_error_applied\n"));
	assert_non_null(strstr(lab_buf_cstr(&out), "---> ok, applied\n"));
	lab_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(copy_that_writes_an_object_is_a_failure),
		t_test(copy_in_the_dict_is_fine),
		t_test(written_copies_have_objects_of_their_own),
		t_test(written_copy_that_shares_an_object_is_a_failure),
		t_test(copy_that_deletes_an_object_is_a_failure),
		t_test(expunge_may_delete_the_object_of_a_copy),
		t_test(mail_written_over_with_other_bytes_is_a_failure),
		t_test(retry_of_a_put_writes_the_same_bytes),
		t_test(listing_the_bucket_is_a_failure),
		t_test(bundle_written_over_is_a_failure),
		t_test(request_without_its_user_is_a_failure),
		t_test(without_trace_headers_no_request_names_its_user),
		t_test(batch_has_the_consistency_of_what_is_in_it),
		t_test(timestamps_of_a_client_do_not_go_back),
		t_test(timestamps_of_late_answers_may),
		t_test(timestamps_of_another_life_may),
		t_test(request_for_another_users_object_is_a_failure),
		t_test(user_name_that_is_a_prefix_is_another_user),
		t_test(requests_for_own_objects_are_fine),
		t_test(documented_ladder_is_fine),
		t_test(retry_before_its_wait_is_over_is_a_failure),
		t_test(last_wait_counts_too),
		t_test(one_attempt_too_many_is_a_failure),
		t_test(redirects_do_not_count),
		t_test(giving_up_a_503_early_is_a_failure),
		t_test(request_of_a_mail_names_the_mail),
		t_test(absolute_timeout_may_give_up_early),
		t_test(connects_and_renewals_have_their_own_counts),
		t_test(ladders_of_metadata_requests_are_not_judged),
		t_test(crashed_request_does_not_spoil_the_next),
		t_test(bulk_delete_above_the_limit_is_a_failure),
		t_test(bulk_delete_at_the_limit_is_fine),
		t_test(consistency_that_nobody_configured_is_a_failure),
		t_test(each_kind_of_statement_has_its_own_consistency),
		t_test(tables_of_the_system_have_any_consistency),
		t_test(timestamps_must_be_near_the_wall_clock),
		t_test(the_most_extreme_timestamps_are_judged),
		t_test(wrong_clocks_may_be_configured_or_injected),
		t_test(statement_without_timestamp_is_a_failure),
		t_test(timestamps_of_other_tables_are_their_own),
		t_test(explanation_has_what_touched_the_mail_in_order),
		t_test(short_explanation_keeps_operations_and_says_so),
		t_test(explanation_shows_the_fault_that_hit_a_request),
		t_test(explanation_has_rows_that_reading_deletes),
		t_test(explanation_names_errors),
	};

	return cmocka_run_group_tests_name("oracle-requests", tests, NULL, NULL);
}
