/* SPDX-License-Identifier: Apache-2.0
 *
 * Each kind of fault: was it applied, what was answered, what was logged.
 */
#include "sim/s3-emulator/testing-s3.h"

static void inject(enum sim_fault_kind kind, unsigned status, const char *code)
{
	memset(&t.fault, 0, sizeof(t.fault));
	t.fault.kind = kind;
	t.fault.id = 42;
	t.fault.status = status;
	t.fault.code = code;
}

static void heal(void)
{
	memset(&t.fault, 0, sizeof(t.fault));
}

/* PUT under each kind of fault. Answer 0: none (reset, or silence). */
static void put_under_every_fault(void **state)
{
	static const struct {
		enum sim_fault_kind kind;
		bool applied;
		unsigned answer;
		enum sim_wire wire;
	} rows[] = {
		{ SIM_FAULT_REFUSE, false, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_FAIL, false, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_LOSE_REPLY, true, 0, SIM_WIRE_RESET },
		{ SIM_FAULT_STALL_REPLY, true, 0, SIM_WIRE_SILENCE },
		{ SIM_FAULT_ALTER_REPLY, true, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_STALL, false, 0, SIM_WIRE_SILENCE },
		{ SIM_FAULT_RESET, false, 0, SIM_WIRE_RESET },
		{ SIM_FAULT_PARTLY, false, 500, SIM_WIRE_ANSWER },
		/* The answer to a PUT has no body to cut. */
		{ SIM_FAULT_CORRUPT, true, 0, SIM_WIRE_RESET },
	};
	size_t i, replies;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_start();
		inject(rows[i].kind, 0, NULL);
		replies = t.replies;
		(void)t_put("/mail/k", "x");
		assert_row(i, t.replies == replies + 1);
		assert_row(i, t_stored("k") == rows[i].applied);
		assert_row(i, t.reply.wire == rows[i].wire);
		if (rows[i].answer != 0) {
			assert_row(i, t.reply.response.status == rows[i].answer);
			assert_string_equal(t_xml("Code"), "InternalError");
			assert_string_equal(t_xml("Message"),
				"We encountered an internal error. Please try again.");
		}
		assert_row(i, t_logged()->applied == rows[i].applied);
		assert_row(i, t_logged()->answered == (rows[i].answer != 0));
		assert_row(i, t_logged()->fault_id == 42);
		assert_string_equal(t_logged()->operation, "PUT");
		assert_string_equal(t.asked_point, "s3.put");
		assert_string_equal(t.asked_subject, "mail/k");
		assert_int_equal(s3emu_counters(t.s3)->faults, 1);
	}
}

static void every_operation_has_its_point(void **state)
{
	static const struct {
		const char *method, *target, *point, *operation;
	} rows[] = {
		{ "GET", "/mail/k", "s3.get", "GET" },
		{ "HEAD", "/mail/k", "s3.head", "HEAD" },
		{ "PUT", "/mail/k", "s3.put", "PUT" },
		{ "DELETE", "/mail/k", "s3.delete", "DELETE" },
		{ "POST", "/mail?delete", "s3.bulk_delete", "POST-DELETE" },
		{ "GET", "/mail?prefix=a", "s3.list", "LIST" },
		{ "COPY", "/mail/k", "s3.copy", "COPY" },
	};
	size_t i;
	(void)state;

	inject(SIM_FAULT_REFUSE, 503, "SlowDown");
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		const char *method = rows[i].method;

		if (strcmp(method, "COPY") == 0) {
			t_header("x-amz-copy-source", "/mail/k");
			method = "PUT";
		}
		assert_row(i, t_send(method, rows[i].target, lab_view_of(NULL, 0)) == 503);
		assert_string_equal(t.asked_point, rows[i].point);
		assert_string_equal(t_logged()->operation, rows[i].operation);
	}
	t.asked_point[0] = '\0';
	assert_int_equal(t_get("/mail?location"), 200);
	assert_int_equal(t_get("/"), 200);
	assert_string_equal(t.asked_point, "");
}

static void refusal_does_not_look_at_the_request(void **state)
{
	(void)state;

	inject(SIM_FAULT_REFUSE, 0, "SlowDown");
	t.sign = T_UNSIGNED;
	assert_code(t_get("/nothere/k"), 503, "SlowDown");
	inject(SIM_FAULT_FAIL, 0, "SlowDown");
	assert_code(t_get("/nothere/k"), 403, "AccessDenied");
	t.sign = T_V4;
	assert_code(t_get("/nothere/k"), 404, "NoSuchBucket");
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	heal();
	assert_int_equal(t_put("/mail/k", "x"), 200);
	inject(SIM_FAULT_FAIL, 0, "SlowDown");
	assert_code(t_get("/mail/k"), 503, "SlowDown");
	t_header("If-None-Match", "*");
	assert_int_equal(t_get("/mail/k"), 503);
	t_header("If-Match", "\"a\"");
	assert_code(t_put("/mail/k", "y"), 412, "PreconditionFailed");
	assert_code(t_put("/mail/k", "y"), 503, "SlowDown");
	assert_code(t_delete("/mail/k"), 503, "SlowDown");
	assert_code(t_get("/mail"), 503, "SlowDown");
	assert_true(t_stored("k"));
}

static void status_and_code_complete_each_other(void **state)
{
	static const struct {
		unsigned status;
		const char *code;
		unsigned want_status;
		const char *want_code;
	} rows[] = {
		{ 0, NULL, 500, "InternalError" },
		{ 503, NULL, 503, "ServiceUnavailable" },
		{ 503, "SlowDown", 503, "SlowDown" },
		{ 0, "SlowDown", 503, "SlowDown" },
		{ 0, "RequestTimeout", 400, "RequestTimeout" },
		{ 409, "ConditionalRequestConflict", 409, "ConditionalRequestConflict" },
		{ 0, "OperationAborted", 409, "OperationAborted" },
		{ 404, "NoSuchKey", 404, "NoSuchKey" },
		{ 301, NULL, 301, "PermanentRedirect" },
		{ 599, "MadeUp", 599, "MadeUp" },
		{ 0, "MadeUp", 500, "MadeUp" },
		{ 429, NULL, 429, "InternalError" },
	};
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		inject(SIM_FAULT_REFUSE, rows[i].status, rows[i].code);
		assert_row(i, t_get("/mail/k") == rows[i].want_status);
		assert_string_equal(t_xml("Code"), rows[i].want_code);
	}
	assert_true(s3emu_counters(t.s3)->by_status[S3EMU_GET][599] == 1);
}

static void slow_down_looks_as_on_the_wire(void **state)
{
	static const char *const names[] = { "connection", "content-type", "date", "server",
		"transfer-encoding", "x-amz-id-2", "x-amz-request-id" };
	size_t i;
	(void)state;

	inject(SIM_FAULT_REFUSE, 0, "SlowDown");
	assert_code(t_get("/mail/k"), 503, "SlowDown");
	assert_string_equal(t_xml("Message"), "Please reduce your request rate.");
	assert_true(lab_view_eq_cstr(t.reply.response.reason, "Slow Down"));
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_CLOSE);
	assert_int_equal(t.reply.response.headers.count, 7);
	for (i = 0; i < LAB_COUNT_OF(names); i++)
		assert_row(i, t_reply_header(names[i]) != NULL);
	assert_string_equal(t_reply_header("connection"), "close");
	assert_string_equal(t_reply_header("transfer-encoding"), "chunked");
}

static void a_read_can_be_stale(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	inject(SIM_FAULT_ALTER_REPLY, 404, "NoSuchKey");
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	assert_int_equal(t_send("HEAD", "/mail/k", lab_view_of(NULL, 0)), 404);
	assert_int_equal(t.reply.response.body.len, 0);
	heal();
	assert_int_equal(t_get("/mail/k"), 200);
}

static void a_body_can_be_cut(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "0123456789"), 200);
	inject(SIM_FAULT_CORRUPT, 0, NULL);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_TRUNCATE);
	assert_int_equal(t.reply.response.body.len, 10);
	assert_true(t_logged()->answered);
	(void)t_send("HEAD", "/mail/k", lab_view_of(NULL, 0));
	assert_int_equal(t.reply.wire, SIM_WIRE_RESET);
}

static void a_copy_can_fail_inside_a_200(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	inject(SIM_FAULT_ALTER_REPLY, 200, "InternalError");
	t_header("x-amz-copy-source", "/mail/k");
	assert_code(t_put("/mail/applied", ""), 200, "InternalError");
	assert_true(t_body_has("<Error>"));
	assert_true(t_stored("applied"));
	inject(SIM_FAULT_FAIL, 200, "InternalError");
	t_header("x-amz-copy-source", "/mail/k");
	assert_code(t_put("/mail/unapplied", ""), 200, "InternalError");
	assert_false(t_stored("unapplied"));
	assert_false(t_logged()->applied);
}

static void keys_of_a_bulk_delete_can_fail(void **state)
{
	static const char body[] = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key>"
				   "</Object><Object><Key>c</Key></Object></Delete>";
	(void)state;

	assert_int_equal(t_put("/mail/a", "x"), 200);
	assert_int_equal(t_put("/mail/b", "x"), 200);
	assert_int_equal(t_put("/mail/c", "x"), 200);
	inject(SIM_FAULT_PARTLY, 0, "SlowDown");
	t.fault.replicas = 1;
	t_content_md5(lab_view_cstr(body));
	assert_int_equal(t_send("POST", "/mail?delete", lab_view_cstr(body)), 200);
	assert_true(t_body_has("<Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>SlowDown"
			       "</Code><Message>Please reduce your request rate.</Message></Error>"
			       "<Error><Key>c</Key>"));
	assert_false(t_stored("a"));
	assert_true(t_stored("b"));
	assert_int_equal(t_logged()->key_count, 1);
	assert_true(t_logged()->applied);
	inject(SIM_FAULT_PARTLY, 0, NULL);
	t_content_md5(lab_view_cstr(body));
	assert_int_equal(t_send("POST", "/mail?delete", lab_view_cstr(body)), 200);
	assert_true(t_body_has("<Error><Key>a</Key><Code>InternalError</Code>"));
	assert_false(t_logged()->applied);
	inject(SIM_FAULT_ALTER_REPLY, 0, NULL);
	t_content_md5(lab_view_cstr(body));
	assert_code(t_send("POST", "/mail?delete", lab_view_cstr(body)), 500, "InternalError");
	assert_false(t_stored("b"));
	assert_int_equal(t_logged()->key_count, 3);
}

static void delay_applies_and_answers_late(void **state)
{
	(void)state;

	inject(SIM_FAULT_DELAY, 0, NULL);
	t.fault.delay_ns = 1000 * LAB_SEC; /* beyond the signature's 15 minutes */
	assert_int_equal(t_put("/mail/k", "late"), 0);
	assert_false(t_stored("k"));
	assert_int_equal(t.log_count, 0);
	assert_true(t.service.ops->next_deadline(t.service.service) == 1000 * LAB_SEC);
	heal();
	assert_int_equal(t_put("/mail/k", "early"), 200);
	t_advance(1000 * LAB_SEC - 1);
	assert_int_equal(t.replies, 1);
	t_advance(1);
	assert_int_equal(t.replies, 2);
	assert_int_equal(t.reply.response.status, 200);
	assert_true(t_logged()->applied);
	assert_int_equal(t_logged()->received_ns, 0);
	assert_int_equal(t_logged()->answered_ns, 1000 * LAB_SEC);
	assert_int_equal(t_logged()->fault_id, 42);
	assert_true(t.service.ops->next_deadline(t.service.service) == UINT64_MAX);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("late"));
	assert_string_equal(t_reply_header("Last-Modified"), "Thu, 01 Jan 2026 00:16:40 GMT");
}

static void late_answers_an_error_and_applies_later(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	inject(SIM_FAULT_LATE, 0, NULL);
	t.fault.delay_ns = 5 * LAB_SEC;
	assert_code(t_delete("/mail/k"), 500, "InternalError");
	assert_true(t_stored("k"));
	heal();
	assert_int_equal(t_get("/mail/k"), 200);
	t_advance(5 * LAB_SEC);
	assert_false(t_stored("k"));
	assert_int_equal(t.replies, 3); /* nothing more was answered */
	assert_string_equal(t_logged()->operation, "DELETE");
	assert_true(t_logged()->applied);
	assert_int_equal(t_logged()->status, 500);
	assert_int_equal(t_logged()->answered_ns, 0);
}

static void late_requests_are_whole_copies(void **state)
{
	char target[] = "/mail/a%20b", body[] = "the body", host[] = T_HOST;
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = lab_view_cstr(host),
		.target = lab_view_cstr(target),
		.body = lab_view_cstr(body) };
	struct s3emu_object_info info;
	(void)state;

	t_sign_request(&request);
	inject(SIM_FAULT_DELAY, 0, NULL);
	t.fault.delay_ns = 10;
	t_submit(&request, "backend-1");
	memset(target, 'x', sizeof(target));
	memset(body, 'x', sizeof(body));
	memset(host, 'x', sizeof(host));
	memset(&request, 0xaa, sizeof(request));
	t_advance(10);
	assert_int_equal(t.reply.response.status, 200);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("a b"), &info), 1);
	assert_true(lab_view_eq_cstr(info.body, "the body"));
	assert_string_equal(t_logged()->subject, "mail/a b");
}

static void held_requests_are_bounded(void **state)
{
	struct lab_view body;
	(void)state;

	t.options.limits.stored_bytes_max = 10000;
	t_start();
	body = lab_view_of(lab_arena_alloc(t.arena, 6000), 6000);
	inject(SIM_FAULT_DELAY, 0, NULL);
	t.fault.delay_ns = 10;
	assert_int_equal(t_send("PUT", "/mail/1", body), 0);
	assert_code(t_send("PUT", "/mail/2", body), 503, "ServiceUnavailable");
	t_advance(10);
	assert_true(t_stored("1"));
	assert_false(t_stored("2"));
	assert_int_equal(t_send("PUT", "/mail/2", lab_view_of(NULL, 0)), 0);
}

static void waiting_answers_are_bounded(void **state)
{
	(void)state;

	t.options.limits.pending_max = 2;
	t_start();
	inject(SIM_FAULT_DELAY, 0, NULL);
	t.fault.delay_ns = 10;
	assert_int_equal(t_get("/mail/1"), 0);
	assert_int_equal(t_get("/mail/2"), 0);
	assert_code(t_get("/mail/3"), 503, "ServiceUnavailable");
	assert_int_equal(s3emu_counters(t.s3)->pending, 2);
	t_advance(10);
	assert_int_equal(s3emu_counters(t.s3)->pending, 0);
	assert_int_equal(s3emu_counters(t.s3)->pending_high, 2);
	assert_int_equal(t.replies, 3);
}

static void resubmit(void *ctx, const struct sim_http_reply *reply)
{
	size_t *left = ctx;

	(void)reply;
	t.replies++;
	if ((*left)-- == 0)
		return;
	{
		struct lab_http_request request = { .method = LAB_VIEW("GET"),
			.authority = LAB_VIEW(T_HOST),
			.target = LAB_VIEW("/mail/k") };

		t_sign_request(&request);
		t.service.ops->submit(t.service.service, &request, NULL, t.now, resubmit, ctx);
		/* What this answer borrows is still there. */
		if (reply->response.status == 200)
			assert_true(lab_view_eq_cstr(reply->response.body, "x"));
	}
}

static void a_reply_may_submit_again(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };
	size_t left = 5;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	t_sign_request(&request);
	t.replies = 0;
	t.service.ops->submit(t.service.service, &request, NULL, t.now, resubmit, &left);
	assert_int_equal(t.replies, 6);
}

static void overwrite_in_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct lab_http_request request = { .method = LAB_VIEW("DELETE"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };

	(void)ctx;
	t_sign_request(&request);
	t.service.ops->submit(t.service.service, &request, NULL, t.now, t_on_reply, NULL);
	assert_true(lab_view_eq_cstr(reply->response.body, "still here"));
}

static void a_body_outlives_its_object_while_it_is_sent(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };
	(void)state;

	assert_int_equal(t_put("/mail/k", "still here"), 200);
	t_sign_request(&request);
	t.service.ops->submit(t.service.service, &request, NULL, t.now, overwrite_in_reply, NULL);
	assert_false(t_stored("k"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(put_under_every_fault),
		t_test(every_operation_has_its_point),
		t_test(refusal_does_not_look_at_the_request),
		t_test(status_and_code_complete_each_other),
		t_test(slow_down_looks_as_on_the_wire),
		t_test(a_read_can_be_stale),
		t_test(a_body_can_be_cut),
		t_test(a_copy_can_fail_inside_a_200),
		t_test(keys_of_a_bulk_delete_can_fail),
		t_test(delay_applies_and_answers_late),
		t_test(late_answers_an_error_and_applies_later),
		t_test(late_requests_are_whole_copies),
		t_test(held_requests_are_bounded),
		t_test(waiting_answers_are_bounded),
		t_test(a_reply_may_submit_again),
		t_test(a_body_outlives_its_object_while_it_is_sent),
	};

	return cmocka_run_group_tests_name("s3-emulator faults", tests, NULL, NULL);
}
