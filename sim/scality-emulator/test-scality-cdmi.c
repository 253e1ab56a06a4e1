/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/scality-emulator/testing-scality.h"

#define OBJECT "application/cdmi-object"
#define CONTAINER "application/cdmi-container"
#define HELLO \
	"{\"value\":\"aGVsbG8=\",\"valuetransferencoding\":\"base64\"," \
	"\"metadata\":{\"dovecot-guid\":\"abc\"}}"

static int setup(void **state)
{
	testing_setup(state);
	t_init(SCALEMU_CDMI);
	t.options.base = LAB_VIEW("mails");
	return 0;
}

static int teardown(void **state)
{
	t_done();
	return testing_teardown(state);
}

static unsigned ask(const char *method, const char *target, const char *type, const char *body)
{
	t_header("X-CDMI-Specification-Version", "1.0.2, 1.1");
	if (type != NULL)
		t_header(body[0] != '\0' ? "Content-Type" : "Accept", type);
	return t_ask(method, target, body);
}

static void objects_by_path_and_by_id(void **state)
{
	char target[128], id[64];
	struct scalemu_object_info info;

	(void)state;
	assert_int_equal(ask("PUT", "/mails/m", OBJECT, HELLO), 201);
	assert_true(t_body_has("\"completionStatus\":\"Complete\""));
	assert_string_equal(t.subject, "cdmi/m");
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW("m"), &info), 1);
	assert_true(lab_view_eq_cstr(info.body, "hello"));
	assert_int_equal(info.id.len, 48);
	(void)snprintf(id, sizeof(id), "%.*s", LAB_VIEW_ARG(info.id));
	assert_int_equal(ask("GET", "/mails/m", OBJECT, ""), 200);
	assert_true(t_body_has("\"value\":\"aGVsbG8=\""));
	assert_true(t_body_has("\"cdmi_size\":\"5\""));
	assert_true(t_body_has(id));
	/* written over, it is the same object */
	assert_int_equal(ask("PUT", "/mails/m", OBJECT, HELLO), 204);
	assert_int_equal(t.reply.response.body.len, 0);
	(void)snprintf(target, sizeof(target), "/cdmi_objectid/%s?metadata;objectID", id);
	assert_int_equal(ask("GET", target, OBJECT, ""), 200);
	assert_string_equal(t.operation, "HEAD");
	assert_false(t_body_has("\"value\""));
	assert_true(t_body_has("\"dovecot-guid\":\"abc\""));
	(void)snprintf(target, sizeof(target), "/cdmi_objectid/%s", id);
	assert_int_equal(ask("DELETE", target, NULL, ""), 204);
	assert_int_equal(ask("GET", "/mails/m", OBJECT, ""), 404);
	assert_int_equal(ask("GET", target, OBJECT, ""), 404);
	assert_int_equal(scalemu_counters(t.ring)->stored_bytes, 0);
}

static void containers_come_first(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT", "/mails/a/m", OBJECT, HELLO), 404);
	assert_int_equal(ask("PUT", "/mails/a/b/", CONTAINER, "{}"), 404);
	assert_int_equal(ask("PUT", "/mails/a/", CONTAINER, "{}"), 201);
	assert_int_equal(ask("PUT", "/mails/a/", CONTAINER, "{}"), 204);
	assert_int_equal(ask("PUT", "/mails/", CONTAINER, "{}"), 204);
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 409);
	assert_int_equal(ask("PUT", "/mails/a/m", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/a/m/", CONTAINER, "{}"), 409);
	assert_int_equal(ask("PUT", "/mails/a/m/x", OBJECT, HELLO), 409);
	assert_int_equal(ask("DELETE", "/mails/a/", NULL, ""), 409);
	assert_int_equal(ask("DELETE", "/mails/a/m", NULL, ""), 204);
	assert_int_equal(ask("DELETE", "/mails/a/", NULL, ""), 204);
	assert_int_equal(ask("DELETE", "/mails/a/", NULL, ""), 404);
}

static void what_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *method, *target, *type, *body;
		unsigned status;
	} rows[] = {
		{ "GET", "/other/m", OBJECT, "", 400 },
		{ "GET", "/mails/a//m", OBJECT, "", 400 },
		{ "GET", "/cdmi_objectid/00", OBJECT, "", 400 },
		{ "GET", "/mails/m", CONTAINER, "", 400 },
		{ "GET", "/mails/", CONTAINER, "", 400 },
		{ "GET", "/mails/?children:0-1000", CONTAINER, "", 400 },
		{ "GET", "/mails/?children:5-1", CONTAINER, "", 400 },
		{ "GET", "/mails/?listing:%2", CONTAINER, "", 400 },
		{ "GET", "/mails/x/?listing:", CONTAINER, "", 404 },
		{ "PATCH", "/mails/m", OBJECT, "x", 405 },
		{ "POST", "/mails/?bulk_dance", "application/json", "{}", 405 },
		{ "POST", "/mails/x?bulk_delete", "application/json", "{}", 405 },
		{ "PUT", "/mails/m?x", OBJECT, HELLO, 400 },
		{ "PUT", "/mails/m", "text/plain", HELLO, 400 },
		{ "PUT", "/mails/m", OBJECT, "x", 400 },
		{ "PUT", "/mails/m", OBJECT, "[1]", 400 },
		{ "PUT", "/mails/m", OBJECT, "{}", 400 },
		{ "PUT", "/mails/m", OBJECT, "{\"value\":\"aGVsbG8=\"}", 400 },
		{ "PUT", "/mails/m", OBJECT,
			"{\"value\":\"a\",\"valuetransferencoding\":\"base64\"}", 400 },
		{ "PUT", "/mails/m", OBJECT, "{\"value\":\"\",\"valuetransferencoding\":\"utf-8\"}",
			400 },
		{ "PUT", "/mails/m", OBJECT,
			"{\"value\":\"\",\"valuetransferencoding\":\"base64\",\"x\":\"\"}", 400 },
		{ "PUT", "/mails/m", OBJECT,
			"{\"value\":\"\",\"valuetransferencoding\":\"base64\",\"metadata\":1}",
			400 },
		{ "PUT", "/mails/m", OBJECT,
			"{\"value\":\"\",\"valuetransferencoding\":\"base64\",\"metadata\":"
			"{\"cdmi_size\":\"7\"}}",
			400 },
		{ "PUT", "/mails/m", OBJECT, "{\"value\":\"\",\"value\":\"\"}", 400 },
		{ "PUT", "/mails/m", OBJECT, "[[[[[[[[[[[[]]]]]]]]]]]]", 400 },
		{ "PUT", "/mails/m", OBJECT, "{\"copy\":\"/mails/no\"}", 404 },
		{ "PUT", "/mails/m", OBJECT, "{\"copy\":\"/elsewhere\"}", 400 },
		{ "PUT", "/mails/c/", CONTAINER, "{\"x\":1}", 400 },
		{ "POST", "/mails/?bulk_delete", "text/plain", "{\"delete\":[\"a\"]}", 400 },
		{ "POST", "/mails/?bulk_delete", "application/json", "{\"delete\":[]}", 400 },
		{ "POST", "/mails/?bulk_delete", "application/json", "{\"delete\":[\"/a\"]}", 400 },
		{ "POST", "/mails/?bulk_delete", "application/json", "{\"link\":[\"a\"]}", 400 },
		{ "POST", "/mails/?bulk_link", "application/json", "{\"link\":[\"a\"]}", 400 },
		{ "POST", "/mails/?bulk_link", "application/json",
			"{\"link\":[{\"source\":\"a\",\"target\":\"..\"}]}", 400 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		unsigned status = ask(rows[i].method, rows[i].target, rows[i].type, rows[i].body);

		if (status != rows[i].status)
			fail_msg(
				"row %zu: %u %.*s", i, status, LAB_VIEW_ARG(t.reply.response.body));
		assert_false(t.applied);
	}
	assert_int_equal(t_ask("GET", "/mails/m", ""), 400); /* no version */
	t_header("X-CDMI-Specification-Version", "2.0");
	assert_int_equal(t_ask("GET", "/mails/m", ""), 400);
	assert_int_equal(scalemu_counters(t.ring)->objects, 0);
}

static void bulk_delete_says_each_status(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/b", OBJECT, HELLO), 201);
	assert_int_equal(ask("POST", "/mails/?bulk_delete", "application/json",
				 "{\"delete\":[\"a\",\"gone\",\"b\"]}"),
		200);
	assert_true(t_body_has("{\"path\":\"a\",\"status\":204},{\"path\":\"gone\",\"status\":404},"
			       "{\"path\":\"b\",\"status\":204}"));
	assert_string_equal(t.operation, "POST-DELETE");
	assert_int_equal(t.key_count, 3);
	assert_int_equal(scalemu_counters(t.ring)->objects, 0);
	assert_int_equal(scalemu_counters(t.ring)->deletes, 2);
}

static void a_part_of_a_bulk_request_can_fail(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/b", OBJECT, HELLO), 201);
	t.fault = (struct sim_fault){
		.kind = SIM_FAULT_PARTLY, .id = 1, .status = 409, .replicas = 1
	};
	assert_int_equal(ask("POST", "/mails/?bulk_delete", "application/json",
				 "{\"delete\":[\"a\",\"b\"]}"),
		200);
	assert_true(t_body_has("{\"path\":\"b\",\"status\":409}"));
	assert_int_equal(t.key_count, 1);
	assert_int_equal(scalemu_counters(t.ring)->objects, 1);
}

static void links_are_names_of_one_object(void **state)
{
	struct scalemu_object_info info;
	static const char link[] = "{\"link\":[{\"source\":\"a\",\"target\":\"b\"}]}";

	(void)state;
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 201);
	assert_int_equal(ask("POST", "/mails/?bulk_link", "application/json", link), 200);
	assert_true(t_body_has("\"status\":201"));
	assert_int_equal(ask("POST", "/mails/?bulk_link", "application/json", link), 200);
	assert_true(t_body_has("\"status\":204"));
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW("b"), &info), 1);
	assert_int_equal(info.names, 2);
	assert_int_equal(ask("PUT", "/mails/c", OBJECT, HELLO), 201);
	assert_int_equal(ask("POST", "/mails/?bulk_link", "application/json",
				 "{\"link\":[{\"source\":\"c\",\"target\":\"b\"},"
				 "{\"source\":\"no\",\"target\":\"d\"},"
				 "{\"source\":\"c\",\"target\":\"x/d\"}]}"),
		200);
	assert_true(t_body_has("\"status\":409},{\"path\":\"d\",\"status\":404},"
			       "{\"path\":\"x/d\",\"status\":404}"));
	assert_int_equal(ask("DELETE", "/mails/a", NULL, ""), 204);
	assert_int_equal(ask("GET", "/mails/b", OBJECT, ""), 200);
	assert_int_equal(scalemu_counters(t.ring)->objects, 2);
}

static void copies_are_objects_of_their_own(void **state)
{
	struct scalemu_object_info info;

	(void)state;
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/b", OBJECT, "{\"copy\":\"/mails/a\"}"), 201);
	assert_string_equal(t.operation, "COPY");
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW("b"), &info), 1);
	assert_int_equal(info.names, 1);
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-guid"), "abc"));
	assert_int_equal(ask("PUT", "/mails/b", OBJECT,
				 "{\"copy\":\"/mails/a\",\"metadata\":{\"x\":\"1\"}}"),
		204);
	assert_int_equal(scalemu_object_find(t.ring, LAB_VIEW("b"), &info), 1);
	assert_int_equal(info.metadata_count, 1);
}

static void both_listings_go_on(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT", "/mails/a/", CONTAINER, "{}"), 201);
	assert_int_equal(ask("PUT", "/mails/a/1", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/a/2/", CONTAINER, "{}"), 201);
	assert_int_equal(ask("PUT", "/mails/a/2/x", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/a/3", OBJECT, HELLO), 201);
	assert_int_equal(ask("PUT", "/mails/b", OBJECT, HELLO), 201);
	assert_int_equal(ask("GET", "/mails/a/?children:0-9", CONTAINER, ""), 200);
	assert_true(t_body_has("[\"1\",\"2/\",\"3\"]"));
	assert_int_equal(ask("GET", "/mails/a/?children:1-1", CONTAINER, ""), 200);
	assert_true(t_body_has("[\"2/\"]"));
	assert_int_equal(ask("GET", "/mails/a/?listing:2", CONTAINER, ""), 200);
	assert_true(t_body_has("[{\"name\":\"3\",\"objectID\":\""));
	assert_true(t_body_has("\"truncated\":false"));
	assert_int_equal(ask("GET", "/mails/?children:0-9", CONTAINER, ""), 200);
	assert_true(t_body_has("[\"a/\",\"b\"]"));
	assert_string_equal(t.operation, "LIST");
}

static void what_is_held_is_a_conflict(void **state)
{
	(void)state;
	t.options.lock_ns = LAB_SEC;
	assert_int_equal(ask("PUT", "/mails/a", OBJECT, HELLO), 201);
	assert_int_equal(ask("DELETE", "/mails/a", NULL, ""), 409);
	assert_int_equal(
		ask("POST", "/mails/?bulk_delete", "application/json", "{\"delete\":[\"a\"]}"),
		200);
	assert_true(t_body_has("\"status\":409"));
	t.now += LAB_SEC;
	assert_int_equal(ask("DELETE", "/mails/a", NULL, ""), 204);
	assert_int_equal(scalemu_counters(t.ring)->locked, 2);
}

static void the_balancer_needs_its_header(void **state)
{
	(void)state;
	t.options.sticky_header = LAB_VIEW("X-Dovecot-Hash");
	assert_int_equal(ask("GET", "/mails/a", OBJECT, ""), 400);
	t_header("X-Dovecot-Hash", "b5/899");
	assert_int_equal(ask("GET", "/mails/a", OBJECT, ""), 404);
}

#define ring_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring_test(objects_by_path_and_by_id),
		ring_test(containers_come_first),
		ring_test(what_is_wrong_is_refused),
		ring_test(bulk_delete_says_each_status),
		ring_test(a_part_of_a_bulk_request_can_fail),
		ring_test(links_are_names_of_one_object),
		ring_test(copies_are_objects_of_their_own),
		ring_test(both_listings_go_on),
		ring_test(what_is_held_is_a_conflict),
		ring_test(the_balancer_needs_its_header),
	};

	return cmocka_run_group_tests_name("scality-cdmi", tests, NULL, NULL);
}
