/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are not what they seem: wrong bytes, wrong headers, slow, old, or twice.
 */
#include "sim/s3-emulator/testing-s3.h"

#define BODY "0123456789abcdef0123456789abcdef"

static void inject(enum sim_fault_kind kind, uint64_t delay_ns)
{
	static uint32_t id;

	t.fault = (struct sim_fault){ .kind = kind, .id = ++id, .delay_ns = delay_ns };
}

static void inject_code(enum sim_fault_kind kind, unsigned status, const char *code)
{
	inject(kind, 0);
	t.fault.status = status;
	t.fault.code = code;
}

static void heal(void)
{
	inject(SIM_FAULT_NONE, 0);
}

static unsigned head(const char *target)
{
	return t_send("HEAD", target, lab_view_of(NULL, 0));
}

static unsigned different_bits(struct lab_view a, const char *b)
{
	unsigned count = 0;

	assert_int_equal(a.len, strlen(b));
	for (size_t i = 0; i < a.len; i++)
		count += (unsigned)__builtin_popcount((unsigned)(a.ptr[i] ^ (uint8_t)b[i]));
	return count;
}

/* ---- wrong bytes ---- */

static void one_bit_of_a_body_is_wrong(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", BODY), 200);
	inject(SIM_FAULT_FLIP, 0);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(different_bits(t.reply.response.body, BODY), 1);
	assert_int_equal(s3emu_counters(t.s3)->faults, 1);
	/* What is stored is not touched; another request loses another bit. */
	heal();
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is(BODY));
	inject(SIM_FAULT_FLIP, 0);
	assert_int_equal(head("/mail/k"), 200);
	assert_int_equal(t.reply.response.body.len, strlen(BODY));
}

static void a_body_is_cut_anywhere(void **state)
{
	size_t lowest = SIZE_MAX, highest = 0;
	(void)state;

	assert_int_equal(t_put("/mail/k", BODY), 200);
	for (int i = 0; i < 300; i++) {
		inject(SIM_FAULT_CORRUPT, 0);
		assert_int_equal(t_get("/mail/k"), 200);
		assert_int_equal(t.reply.wire, SIM_WIRE_TRUNCATE);
		lowest = LAB_MIN(lowest, t.reply.cut_at);
		highest = LAB_MAX(highest, t.reply.cut_at);
	}
	assert_int_equal(lowest, 1);
	assert_int_equal(highest, strlen(BODY) - 1);
}

static void headers_are_wrong(void **state)
{
	char etag[64];
	(void)state;

	assert_int_equal(t_put("/mail/k", BODY), 200);
	(void)snprintf(etag, sizeof(etag), "%s", t_reply_header("ETag"));
	inject(SIM_FAULT_WRONG_ETAG, 0);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is(BODY));
	assert_string_not_equal(t_reply_header("ETag"), etag);
	assert_int_equal(strlen(t_reply_header("ETag")), strlen(etag));
	assert_int_equal(t_put("/mail/k", BODY), 200);
	assert_string_not_equal(t_reply_header("ETag"), etag);
	assert_int_equal(head("/mail/k"), 200);
	assert_string_not_equal(t_reply_header("ETag"), etag);
	heal();
	assert_int_equal(head("/mail/k"), 200);
	assert_string_equal(t_reply_header("ETag"), etag);
	/* Nothing to get wrong. */
	inject(SIM_FAULT_WRONG_ETAG, 0);
	assert_int_equal(t_delete("/mail/k"), 204);
}

static void the_date_is_wrong(void **state)
{
	bool early = false, late = false;
	(void)state;

	for (int i = 0; i < 40; i++) {
		const char *date;

		inject(SIM_FAULT_WRONG_DATE, 60 * LAB_SEC);
		assert_code(t_get("/mail/k"), 404, "NoSuchKey");
		date = t_reply_header("Date");
		early = early || strcmp(date, "Wed, 31 Dec 2025 23:44:00 GMT") == 0;
		late = late || strcmp(date, "Thu, 01 Jan 2026 00:16:00 GMT") == 0;
	}
	assert_true(early && late);
	heal();
	(void)t_get("/mail/k");
	assert_string_equal(t_reply_header("Date"), "Thu, 01 Jan 2026 00:00:00 GMT");
}

/* ---- the connection ---- */

static void a_body_trickles(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", BODY), 200);
	inject(SIM_FAULT_TRICKLE, 8 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_TRICKLE);
	assert_int_equal(t.reply.bytes_per_s, strlen(BODY) / 8);
	inject(SIM_FAULT_TRICKLE, 100 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.bytes_per_s, 1); /* not slower than that */
	/* Without a body there is nothing to be slow with. */
	assert_int_equal(head("/mail/k"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER);
	heal();
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER);
}

static void a_connection_is_closed_behind_the_answer(void **state)
{
	(void)state;

	inject(SIM_FAULT_DROP, 0);
	assert_int_equal(t_put("/mail/k", BODY), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_DROP);
	assert_true(t_logged()->applied);
	assert_true(t_logged()->answered);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_DROP);
}

/* ---- redirects, 200 with an error, Retry-After ---- */

static void redirects_say_where_to(void **state)
{
	(void)state;

	inject_code(SIM_FAULT_REFUSE, 0, "TemporaryRedirect");
	assert_code(t_get("/mail/a%20b?x=1"), 307, "TemporaryRedirect");
	assert_string_equal(t_reply_header("Location"), "http://" T_HOST "/mail/a%20b?x=1");
	assert_string_equal(t_xml("Endpoint"), T_HOST);
	assert_string_equal(t_xml("Bucket"), "mail");
	inject_code(SIM_FAULT_REFUSE, 301, NULL);
	assert_code(t_get("/mail/k"), 301, "PermanentRedirect");
	assert_null(t_reply_header("Location"));
	assert_string_equal(t_xml("Endpoint"), T_HOST);
	assert_int_equal(head("/mail/k"), 301);
	assert_int_equal(t.reply.response.body.len, 0);
}

static void an_error_inside_a_200_comes_after_spaces(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", BODY), 200);
	inject_code(SIM_FAULT_FAIL, 200, "InternalError");
	t_header("x-amz-copy-source", "/mail/k");
	assert_code(t_put("/mail/copy", ""), 200, "InternalError");
	assert_true(t_body_has("?>\n     \n     \n<Error>"));
	assert_false(t_stored("copy"));
	inject_code(SIM_FAULT_FAIL, 500, "InternalError");
	assert_code(t_get("/mail/k"), 500, "InternalError");
	assert_true(t_body_has("?>\n<Error>"));
}

static void retry_after_is_said_where_asked_for(void **state)
{
	(void)state;

	t.options.retry_after_s = 120;
	t_start();
	inject_code(SIM_FAULT_REFUSE, 0, "SlowDown");
	assert_code(t_get("/mail/k"), 503, "SlowDown");
	assert_string_equal(t_reply_header("Retry-After"), "120");
	inject_code(SIM_FAULT_REFUSE, 0, "ServiceUnavailable");
	assert_code(t_get("/mail/k"), 503, "ServiceUnavailable");
	assert_string_equal(t_reply_header("Retry-After"), "120");
	inject_code(SIM_FAULT_REFUSE, 0, "InternalError");
	assert_int_equal(t_get("/mail/k"), 500);
	assert_null(t_reply_header("Retry-After"));
}

/* ---- old answers ---- */

static void start_with_history(uint32_t changes)
{
	t.options.stale_changes_max = changes;
	t_start();
	heal();
	t_advance(100 * LAB_SEC);
}

static void a_read_returns_what_was_there(void **state)
{
	(void)state;

	start_with_history(16);
	assert_int_equal(t_put("/mail/k", "first"), 200);
	t_advance(10 * LAB_SEC);
	assert_int_equal(t_put("/mail/k", "second"), 200);
	t_advance(10 * LAB_SEC);
	assert_int_equal(t_delete("/mail/k"), 204);
	t_advance(10 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 404);
	inject(SIM_FAULT_STALE, 5 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 404);
	/* Just when it was deleted, and just before. */
	inject(SIM_FAULT_STALE, 10 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 404);
	inject(SIM_FAULT_STALE, 10 * LAB_SEC + 1);
	assert_int_equal(t_get("/mail/k"), 200);
	inject(SIM_FAULT_STALE, 15 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("second"));
	assert_int_equal(head("/mail/k"), 200);
	inject(SIM_FAULT_STALE, 25 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("first"));
	inject(SIM_FAULT_STALE, 35 * LAB_SEC);
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	/* Longer ago than the run. */
	inject(SIM_FAULT_STALE, 1000 * LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 404);
}

static void list_is(const char *expected)
{
	char keys[200] = "";
	struct lab_view body;
	size_t at;

	assert_int_equal(t_get("/mail"), 200);
	body = t.reply.response.body;
	while ((at = lab_view_find(body, LAB_VIEW("<Key>"))) != SIZE_MAX) {
		struct lab_view key = lab_view_skip(body, at + 5);
		size_t used = strlen(keys);

		key = lab_view_sub(key, 0, lab_view_find_byte(key, '<'));
		(void)snprintf(keys + used, sizeof(keys) - used, "%.*s ", LAB_VIEW_ARG(key));
		body = lab_view_skip(body, at + 5);
	}
	assert_string_equal(keys, expected);
}

static void a_listing_is_an_old_one(void **state)
{
	(void)state;

	start_with_history(16);
	assert_int_equal(t_put("/mail/b", "x"), 200);
	assert_int_equal(t_put("/mail/d", "x"), 200);
	assert_int_equal(t_put("/mail/f", "x"), 200);
	t_advance(10 * LAB_SEC);
	assert_int_equal(t_put("/mail/a", "x"), 200);
	assert_int_equal(t_put("/mail/c", "x"), 200);
	assert_int_equal(t_delete("/mail/b"), 204);
	assert_int_equal(t_delete("/mail/f"), 204);
	assert_int_equal(t_put("/mail/d", "xx"), 200);
	list_is("a c d ");
	inject(SIM_FAULT_STALE, 5 * LAB_SEC);
	list_is("b d f ");
	assert_true(t_body_has("<Size>1</Size>"));
	assert_false(t_body_has("<Size>2</Size>"));
	inject(SIM_FAULT_STALE, 60 * LAB_SEC);
	list_is("");
	heal();
	list_is("a c d ");
}

static void what_is_forgotten_is_answered_truly(void **state)
{
	(void)state;

	start_with_history(2);
	assert_int_equal(t_put("/mail/k", "first"), 200);
	assert_int_equal(t_put("/mail/k", "second"), 200);
	assert_int_equal(t_put("/mail/x", "x"), 200);
	assert_int_equal(t_put("/mail/y", "x"), 200);
	inject(SIM_FAULT_STALE, LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("second"));
	assert_int_equal(t_get("/mail/x"), 404);
	/* A bucket's history ends with it. */
	heal();
	assert_int_equal(t_delete("/mail/k"), 204);
	assert_int_equal(t_delete("/mail/x"), 204);
	assert_int_equal(t_delete("/mail/y"), 204);
	assert_int_equal(t_delete("/mail"), 204);
	t_bucket("mail");
	inject(SIM_FAULT_STALE, LAB_SEC);
	assert_code(t_get("/mail/y"), 404, "NoSuchKey");
	list_is("");
}

static void without_a_history_nothing_is_stale(void **state)
{
	(void)state;

	start_with_history(0);
	assert_int_equal(t_put("/mail/k", "x"), 200);
	inject(SIM_FAULT_STALE, LAB_SEC);
	assert_int_equal(t_get("/mail/k"), 200);
	list_is("k ");
	assert_int_equal(t_logged()->fault_id, t.fault.id);
}

/* ---- twice ---- */

static void a_request_is_delivered_twice(void **state)
{
	struct s3emu_object_info info;
	(void)state;

	inject(SIM_FAULT_DUPLICATE, 5 * LAB_SEC);
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t.log_count, 1);
	heal();
	assert_int_equal(t_delete("/mail/k"), 204);
	t_advance(5 * LAB_SEC - 1);
	assert_false(t_stored("k"));
	t_advance(1);
	/* Nobody hears of it, but it is logged. */
	assert_int_equal(t.replies, 2);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("k"), &info), 1);
	assert_true(lab_view_eq_cstr(info.body, "x"));
	assert_int_equal(t.log_count, 3);
	assert_true(t_logged()->applied);
	assert_string_equal(t_logged()->operation, "PUT");
	assert_int_equal(s3emu_counters(t.s3)->faults, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(one_bit_of_a_body_is_wrong),
		t_test(a_body_is_cut_anywhere),
		t_test(headers_are_wrong),
		t_test(the_date_is_wrong),
		t_test(a_body_trickles),
		t_test(a_connection_is_closed_behind_the_answer),
		t_test(redirects_say_where_to),
		t_test(an_error_inside_a_200_comes_after_spaces),
		t_test(retry_after_is_said_where_asked_for),
		t_test(a_read_returns_what_was_there),
		t_test(a_listing_is_an_old_one),
		t_test(what_is_forgotten_is_answered_truly),
		t_test(without_a_history_nothing_is_stale),
		t_test(a_request_is_delivered_twice),
	};

	return cmocka_run_group_tests_name("s3-emulator wire", tests, NULL, NULL);
}
