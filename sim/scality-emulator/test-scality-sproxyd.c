/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/scality-emulator/testing-scality.h"

#define KEY "/chord/00112233445566778899AABBCCDDEE83FF010020"
#define LOWER "00112233445566778899aabbccddee83ff010020"

static int setup(void **state)
{
	testing_setup(state);
	t_init(SCALEMU_SPROXYD);
	t.options.base = LAB_VIEW("chord");
	return 0;
}

static int teardown(void **state)
{
	t_done();
	return testing_teardown(state);
}

static void put_get_head_delete(void **state)
{
	struct scalemu_object_info info;

	(void)state;
	t_header("X-Object-Meta-Dovecot-Guid", "abc");
	t_header("X-Scal-Usermd", "YWJj");
	assert_int_equal(t_ask("PUT", KEY, "hello"), 200);
	assert_true(t.applied);
	assert_string_equal(t.operation, "PUT");
	assert_string_equal(t.subject, "sproxyd/" LOWER);
	assert_string_equal(t.point, "sproxyd.put");
	assert_int_equal(t_ask("GET", KEY, ""), 200);
	assert_true(lab_view_eq_cstr(t.reply.response.body, "hello"));
	assert_true(lab_view_eq_cstr(
		lab_http_header_get(&t.reply.response.headers, "x-object-meta-dovecot-guid"),
		"abc"));
	assert_true(lab_view_eq_cstr(
		lab_http_header_get(&t.reply.response.headers, "x-scal-usermd"), "YWJj"));
	assert_int_equal(t_ask("HEAD", KEY, ""), 200);
	assert_true(t.reply.head);
	assert_int_equal(t.reply.response.body.len, 5);
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW(LOWER), &info), 1);
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-guid"), "abc"));
	assert_null(scalemu_metadata(&info, "other").ptr);
	assert_int_equal(t_ask("PUT", KEY, "other"), 200);
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW(LOWER), &info), 1);
	assert_int_equal(info.overwritten, 1);
	assert_int_equal(info.metadata_count, 0);
	assert_int_equal(t_ask("DELETE", KEY, ""), 200);
	assert_int_equal(t_ask("DELETE", KEY, ""), 404);
	assert_int_equal(t_ask("GET", KEY, ""), 404);
	assert_int_equal(scalemu_counters(t.ring)->stored_bytes, 0);
}

static void what_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *method, *target, *header, *value;
		unsigned status;
	} rows[] = {
		{ "GET", "/other/" LOWER, "", "", 400 },
		{ "GET", "/chord", "", "", 400 },
		{ "GET", "", "", "", 400 },
		{ "GET", KEY "?x", "", "", 400 },
		{ "GET", KEY "0", "", "", 400 },
		{ "GET", "/chord/zz112233445566778899AABBCCDDEE83FF010020", "", "", 400 },
		{ "GET", "/chord/00112233445566778899AABBCCDDEE83FF010021", "", "", 400 },
		{ "POST", KEY, "", "", 405 },
		{ "GET", KEY, "Range", "bytes=0-1", 501 },
		{ "GET", KEY, "x-scal-replica-policy", "maybe", 400 },
		{ "GET", KEY, "x-scal-replica-policy", "immutable", 404 },
		{ "PUT", KEY, "x-scal-usermd", "not base64!", 400 },
		{ "PUT", KEY, "x-scal-cmd", "dance", 400 },
		{ "PUT", KEY, "x-scal-cmd", "update-usermd", 404 },
		{ "PUT", KEY, "If-Match", "*", 412 },
		{ "PUT", KEY, "If-Match", "\"x\"", 400 },
		{ "PUT", KEY, "Content-Length", "7", 400 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		unsigned status;

		if (rows[i].header[0] != '\0')
			t_header(rows[i].header, rows[i].value);
		status = t_ask(rows[i].method, rows[i].target, "");
		if (status != rows[i].status)
			fail_msg("row %zu: %u", i, status);
		assert_false(t.applied);
	}
	assert_int_equal(scalemu_counters(t.ring)->objects, 0);
}

static void too_much_is_refused(void **state)
{
	(void)state;
	t.options.limits.object_bytes_max = 4;
	t.options.limits.stored_bytes_max = 6;
	assert_int_equal(t_ask("PUT", KEY, "hello"), 413);
	assert_int_equal(t_ask("PUT", KEY, "hell"), 200);
	assert_int_equal(
		t_ask("PUT", "/chord/00112233445566778899AABBCCDDEE83FF010010", "hell"), 507);
}

static void metadata_alone_can_be_changed(void **state)
{
	(void)state;
	assert_int_equal(t_ask("PUT", KEY, "hello"), 200);
	t_header("x-scal-cmd", "update-usermd");
	t_header("x-scal-usermd", "YQ==");
	assert_int_equal(t_ask("PUT", KEY, ""), 200);
	assert_int_equal(t_ask("GET", KEY, ""), 200);
	assert_true(lab_view_eq_cstr(t.reply.response.body, "hello"));
	assert_true(lab_view_eq_cstr(
		lab_http_header_get(&t.reply.response.headers, "x-scal-usermd"), "YQ=="));
	t_header("If-None-Match", "*");
	assert_int_equal(t_ask("PUT", KEY, "new"), 412);
}

static void what_is_held_is_locked(void **state)
{
	struct sim_http_service service;

	(void)state;
	t.options.write_latency = (struct scalemu_latency){ LAB_MSEC, LAB_MSEC };
	t.options.lock_ns = 10 * LAB_MSEC;
	assert_int_equal(t_ask("PUT", KEY, "hello"), 0);
	service = scalemu_service(t.ring);
	assert_true(service.ops->next_deadline(service.service) > 0);
	t.now = service.ops->next_deadline(service.service);
	service.ops->advance(service.service, t.now);
	assert_int_equal(t.reply.response.status, 200);
	/* reads are not refused */
	assert_int_equal(t_ask("GET", KEY, ""), 200);
	t_ask("DELETE", KEY, "");
	assert_int_equal(t.logged_status, 423);
	assert_false(t.applied);
	t.now += 11 * LAB_MSEC;
	t_ask("DELETE", KEY, "");
	assert_int_equal(t.logged_status, 200);
	assert_int_equal(scalemu_counters(t.ring)->locked, 1);
}

static void faults_do_what_they_say(void **state)
{
	static const struct {
		enum sim_fault_kind kind;
		unsigned status;
		bool applied;
		enum sim_wire wire;
	} rows[] = {
		{ SIM_FAULT_REFUSE, 503, false, SIM_WIRE_ANSWER },
		{ SIM_FAULT_FAIL, 503, false, SIM_WIRE_ANSWER },
		{ SIM_FAULT_LATE, 503, false, SIM_WIRE_ANSWER },
		{ SIM_FAULT_PARTLY, 503, false, SIM_WIRE_ANSWER },
		{ SIM_FAULT_ALTER_REPLY, 503, true, SIM_WIRE_ANSWER },
		{ SIM_FAULT_LOSE_REPLY, 200, true, SIM_WIRE_RESET },
		{ SIM_FAULT_STALL_REPLY, 200, true, SIM_WIRE_SILENCE },
		{ SIM_FAULT_STALL, 503, false, SIM_WIRE_SILENCE },
		{ SIM_FAULT_RESET, 503, false, SIM_WIRE_RESET },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t.fault = (struct sim_fault){ .kind = rows[i].kind, .id = 1, .status = 503 };
		assert_int_equal(t_ask("PUT", KEY, "hello"), rows[i].status);
		assert_int_equal(t.applied, rows[i].applied);
		assert_int_equal(t.reply.wire, rows[i].wire);
		assert_int_equal(scalemu_counters(t.ring)->objects, rows[i].applied ? 1 : 0);
		t.fault.kind = SIM_FAULT_NONE;
		t_ask("DELETE", KEY, "");
	}
	assert_int_equal(scalemu_counters(t.ring)->faults, LAB_COUNT_OF(rows));
	assert_int_equal(t_ask("PUT", KEY, "hello"), 200);
	t.fault = (struct sim_fault){ .kind = SIM_FAULT_CORRUPT, .id = 1 };
	assert_int_equal(t_ask("GET", KEY, ""), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_TRUNCATE);
	t.fault = (struct sim_fault){ .kind = SIM_FAULT_DELAY, .id = 1, .delay_ns = 5 };
	assert_int_equal(t_ask("GET", KEY, ""), 0);
}

static void only_who_is_known_may_ask(void **state)
{
	(void)state;
	t.options.user = LAB_VIEW("u");
	t.options.password = LAB_VIEW("p");
	assert_int_equal(t_ask("GET", KEY, ""), 401);
	t_header("Authorization", "Basic dTpx");
	assert_int_equal(t_ask("GET", KEY, ""), 401);
	t_header("Authorization", "Bearer dTpw");
	assert_int_equal(t_ask("GET", KEY, ""), 401);
	t_header("Authorization", "Basic dTpw");
	assert_int_equal(t_ask("GET", KEY, ""), 404);
	assert_int_equal(scalemu_counters(t.ring)->unauthorized, 3);
}

static void health_checks_are_answered(void **state)
{
	(void)state;
	assert_int_equal(t_ask("GET", "/chord/.conf", ""), 200);
	assert_true(t_body_has("by_path_enabled=0"));
}

static void by_path_takes_paths(void **state)
{
	struct scalemu_object_info info;

	(void)state;
	t.options.by_path = true;
	assert_int_equal(t_ask("PUT", "/chord/a%20b/c", "x"), 200);
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW("a b/c"), &info), 1);
	assert_int_equal(t_ask("PUT", "/chord/a//b", "x"), 400);
	assert_int_equal(t_ask("PUT", "/chord/a/../b", "x"), 400);
	assert_int_equal(t_ask("PUT", "/chord/a%00b", "x"), 400);
	assert_int_equal(t_ask("PUT", "/chord/a%2", "x"), 400);
	assert_int_equal(t_ask("PUT", "/chord/", "x"), 400);
}

static void options_must_make_sense(void **state)
{
	struct scalemu_options o;
	struct scalemu *ring = NULL;
	struct lab_error err;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		scalemu_options_init(&o, SCALEMU_SPROXYD);
		if (i == 0)
			o.base = LAB_VIEW("/x");
		if (i == 1)
			o.limits.pending_max = 0;
		if (i == 2)
			o.read_latency.low_ns = 1;
		if (i == 3)
			o.limits.object_bytes_max = o.limits.stored_bytes_max + 1;
		if (i == 4)
			o.objectid_base = LAB_VIEW("x/");
		if (i == 5)
			o.bulk_max = 0;
		assert_int_equal(scalemu_new(testing_pool, &o, &ring, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
	}
	scalemu_free(&ring);
}

static void too_many_that_wait_are_refused(void **state)
{
	(void)state;
	t.options.limits.pending_max = 1;
	t.options.read_latency = (struct scalemu_latency){ LAB_SEC, LAB_SEC };
	assert_int_equal(t_ask("GET", KEY, ""), 0);
	assert_int_equal(t_ask("GET", KEY, ""), 503);
}

#define ring_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring_test(put_get_head_delete),
		ring_test(what_is_wrong_is_refused),
		ring_test(too_much_is_refused),
		ring_test(metadata_alone_can_be_changed),
		ring_test(what_is_held_is_locked),
		ring_test(faults_do_what_they_say),
		ring_test(only_who_is_known_may_ask),
		ring_test(health_checks_are_answered),
		ring_test(by_path_takes_paths),
		ring_test(options_must_make_sense),
		ring_test(too_many_that_wait_are_refused),
	};

	return cmocka_run_group_tests_name("scality-sproxyd", tests, NULL, NULL);
}
