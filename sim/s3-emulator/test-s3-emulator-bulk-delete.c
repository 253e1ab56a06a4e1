/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

static unsigned post(const char *target, const char *body)
{
	t_content_md5(lab_view_cstr(body));
	return t_send("POST", target, lab_view_cstr(body));
}

static void keys_are_deleted_and_reported(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/a", "1"), 200);
	assert_int_equal(t_put("/mail/b%3C", "2"), 200);
	assert_int_equal(t_put("/mail/c", "3"), 200);
	assert_int_equal(
		post("/mail?delete", "<Delete><Object><Key>a</Key></Object><Object><Key>b&lt;</Key>"
				     "</Object><Object><Key>none</Key></Object></Delete>"),
		200);
	assert_true(t_body_has("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			       "<Deleted><Key>a</Key></Deleted><Deleted><Key>b&lt;</Key></Deleted>"
			       "<Deleted><Key>none</Key></Deleted></DeleteResult>"));
	assert_false(t_stored("a"));
	assert_false(t_stored("b<"));
	assert_true(t_stored("c"));
	assert_string_equal(t_logged()->operation, "POST-DELETE");
	assert_int_equal(t_logged()->key_count, 3);
	assert_true(t_logged()->applied);
}

static void all_ways_to_say_delete_are_alike(void **state)
{
	static const char *const targets[] = { "/mail?delete", "/mail/?delete",
		"/mail/?delete=", "/mail?x-id=DeleteObjects&delete=" };
	enum t_sign signs[] = { T_V4, T_V2 };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(targets) * 2; i++) {
		t.sign = signs[i % 2];
		assert_int_equal(t_put("/mail/a", "1"), 200);
		assert_row(i, post(targets[i / 2],
				      "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws."
				      "com/doc/2006-03-01/\"><Object><Key>a</Key></Object>"
				      "<Quiet>true</Quiet></Delete>") == 200);
		assert_row(i, !t_stored("a"));
	}
	assert_int_equal(t_put("/mail/a", "1"), 200);
	t_content_md5(LAB_VIEW("<Delete><Object><Key>a</Key></Object></Delete>"));
	assert_int_equal(t_send_to("mail." T_HOST, "POST", "/?delete",
				 LAB_VIEW("<Delete><Object><Key>a</Key></Object></Delete>")),
		200);
	assert_false(t_stored("a"));
}

static void quiet_reports_errors_only(void **state)
{
	(void)state;

	assert_int_equal(post("/mail?delete",
				 "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object><Object>"
				 "<Key>v</Key><VersionId>7</VersionId></Object></Delete>"),
		200);
	assert_false(t_body_has("<Deleted>"));
	assert_true(t_body_has("<Error><Key>v</Key><VersionId>7</VersionId><Code>NoSuchVersion"
			       "</Code>"));
}

static void each_key_can_fail_alone(void **state)
{
	char body[4000], longest[1026];
	(void)state;

	memset(longest, 'k', sizeof(longest));
	longest[1025] = '\0';
	assert_int_equal(t_put("/mail/match", "x"), 200);
	assert_int_equal(t_put("/mail/other", "x"), 200);
	assert_int_equal(t_put("/mail/v", "x"), 200);
	(void)snprintf(body, sizeof(body),
		"<Delete><Object><Key></Key></Object><Object><Key>%s</Key></Object>"
		"<Object><Key>match</Key><ETag>\"9dd4e461268c8034f5c8564e155c67a6\"</ETag></Object>"
		"<Object><Key>other</Key><ETag>\"a\"</ETag></Object>"
		"<Object><Key>gone</Key><ETag>*</ETag></Object>"
		"<Object><Key>v</Key><VersionId>null</VersionId></Object>"
		"<Object><Key>w</Key><Size>1</Size></Object></Delete>",
		longest);
	assert_int_equal(post("/mail?delete", body), 200);
	assert_true(t_body_has("<Error><Key></Key><Code>UserKeyMustBeSpecified</Code>"));
	assert_true(t_body_has("<Code>KeyTooLongError</Code>"));
	assert_true(t_body_has("<Deleted><Key>match</Key></Deleted>"));
	assert_true(t_body_has("<Error><Key>other</Key><Code>PreconditionFailed</Code>"));
	assert_true(t_body_has("<Error><Key>gone</Key><Code>NoSuchKey</Code>"));
	assert_true(t_body_has("<Deleted><Key>v</Key><VersionId>null</VersionId></Deleted>"));
	assert_true(t_body_has("<Error><Key>w</Key><Code>NotImplemented</Code>"));
	assert_true(t_stored("other"));
	assert_false(t_stored("match"));
	assert_int_equal(t_logged()->key_count, 2);
}

static void digest_is_required_and_checked(void **state)
{
	static const char body[] = "<Delete><Object><Key>a</Key></Object></Delete>";
	(void)state;

	assert_int_equal(t_put("/mail/a", "1"), 200);
	assert_code(t_send("POST", "/mail?delete", lab_view_cstr(body)), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"),
		"Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
	t_content_md5(LAB_VIEW("other"));
	assert_code(t_send("POST", "/mail?delete", lab_view_cstr(body)), 400, "BadDigest");
	t_header("x-amz-checksum-crc32", "AAAAAA==");
	assert_code(t_send("POST", "/mail?delete", lab_view_cstr(body)), 400, "BadDigest");
	assert_true(t_stored("a"));
	t_header("x-amz-checksum-crc32", "wuyGpQ==");
	assert_int_equal(post("/mail?delete", body), 400); /* two digests, one of them wrong */
	assert_true(t_stored("a"));
}

static const char *delete_of(size_t count)
{
	struct lab_buf body;
	const char *text;
	size_t i;

	lab_buf_init(&body, testing_heap, 200000);
	lab_buf_append_cstr(&body, "<Delete>");
	for (i = 0; i < count; i++)
		lab_buf_printf(&body, "<Object><Key>k%zu</Key></Object>", i);
	lab_buf_append_cstr(&body, "</Delete>");
	text = lab_arena_cstr(t.arena, lab_buf_view(&body));
	lab_buf_done(&body);
	return text;
}

static void a_thousand_keys_pass_and_one_more_does_not(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k999", "x"), 200);
	assert_code(post("/mail?delete", delete_of(1001)), 400, "MalformedXML");
	assert_true(t_stored("k999"));
	assert_int_equal(post("/mail?delete", delete_of(1000)), 200);
	assert_false(t_stored("k999"));
	assert_int_equal(t_logged()->key_count, 1000);
}

static void malformed_documents_are_refused(void **state)
{
	static const char *const bodies[] = { "<Delete></Delete>", "<Delete>",
		"<Delete><Object></Object></Delete>",
		"<Other><Object><Key>a</Key></Object></Other>",
		"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
		"<Delete><Object><Key>a</Key><Name>b</Name></Object></Delete>",
		"<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>",
		"<Delete><Object><Key>a</Key></Object></Delete>x",
		"<!DOCTYPE Delete [<!ENTITY e \"a\">]><Delete><Object><Key>&e;</Key></Object>"
		"</Delete>",
		"<Delete><Object><Key>&e;</Key></Object></Delete>", "\xff\xfe", "plain",
		"<Delete><Object><Key>a</Key><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A>"
		"<A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A><A>"
		"<A><A><A><A><A><A><A><A><A><A><A><A><A><A>" };
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/a", "x"), 200);
	for (i = 0; i < LAB_COUNT_OF(bodies); i++) {
		assert_row(i, post("/mail?delete", bodies[i]) == 400);
		assert_row(i, strcmp(t_xml("Code"), "MalformedXML") == 0);
	}
	assert_code(post("/mail?delete", ""), 400, "MissingRequestBodyError");
	assert_true(t_stored("a"));
}

static void huge_documents_are_refused(void **state)
{
	struct lab_view body = lab_view_of(lab_arena_alloc(t.arena, (8 << 20) + 1), (8 << 20) + 1);
	char *key = lab_arena_alloc(t.arena, 200000);
	(void)state;

	t_content_md5(body);
	assert_code(t_send("POST", "/mail?delete", body), 400, "MaxMessageLengthExceeded");
	memset(key, 'k', 199999);
	assert_code(post("/mail?delete",
			    lab_arena_printf(t.arena,
				    "<Delete><Object><Key>%s</Key></Object></Delete>", key)),
		400, "MalformedXML");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(keys_are_deleted_and_reported),
		t_test(all_ways_to_say_delete_are_alike),
		t_test(quiet_reports_errors_only),
		t_test(each_key_can_fail_alone),
		t_test(digest_is_required_and_checked),
		t_test(a_thousand_keys_pass_and_one_more_does_not),
		t_test(malformed_documents_are_refused),
		t_test(huge_documents_are_refused),
	};

	return cmocka_run_group_tests_name("s3-emulator bulk delete", tests, NULL, NULL);
}
