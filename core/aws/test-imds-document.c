/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/test-support.h"

#include "core/aws/imds-document.h"

#define KEYS "\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"HIDDEN\""
#define UNTIL "\"Expiration\":\"2026-11-21T18:00:00Z\""

static int parse(struct fixture *fixture, const char *text, struct aws_credentials *ret,
	struct lab_error *err)
{
	return imds_document_parse(lab_view_cstr(text), fixture->arena, ret, err);
}

static void the_form_of_aws_is_read(void **state)
{
	struct aws_credentials credentials;
	struct lab_error err;

	assert_int_equal(parse(*state,
				 "{\r\n  \"Code\" : \"Success\",\r\n"
				 "  \"LastUpdated\" : \"2026-11-21T12:00:00Z\",\r\n"
				 "  \"Type\" : \"AWS-HMAC\",\r\n  \"AccessKeyId\" : \"ASIA1\",\r\n"
				 "  \"SecretAccessKey\" : \"a/b+c\",\r\n  \"Token\" : \"t==\",\r\n"
				 "  \"Expiration\" : \"2026-11-21T18:00:00Z\"\r\n}\n",
				 &credentials, &err),
		0);
	assert_view(credentials.access_key_id, "ASIA1");
	assert_view(credentials.secret_access_key, "a/b+c");
	assert_view(credentials.token, "t==");
	assert_int_equal(credentials.expires_unix, 1795284000);
}

static void a_document_may_have_no_token(void **state)
{
	struct aws_credentials credentials;
	struct lab_error err;

	assert_int_equal(
		parse(*state, "{\"Code\":\"Success\"," KEYS "," UNTIL "}", &credentials, &err), 0);
	assert_null(credentials.token.ptr);
}

static void bad_documents_are_refused_and_their_secrets_not_shown(void **state)
{
	static const char *const documents[] = {
		"",
		"{",
		"[]",
		"\"Success\"",
		"{\"Code\":\"Success\"," KEYS "," UNTIL "} x",
		"{\"Code\":\"Success\"," KEYS "," UNTIL ",}",
		"{\"Code\":\"Success\",\"Code\":\"Success\"," KEYS "," UNTIL "}",
		"{" KEYS "," UNTIL "}",
		"{\"Code\":1," KEYS "," UNTIL "}",
		"{\"Code\":\"Success\"," KEYS "}",
		"{\"Code\":\"Success\"," KEYS ",\"Expiration\":\"tomorrow HIDDEN\"}",
		"{\"Code\":\"Success\"," KEYS ",\"Expiration\":1795284000}",
		"{\"Code\":\"Success\"," UNTIL ",\"SecretAccessKey\":\"HIDDEN\"}",
		"{\"Code\":\"Success\"," UNTIL ",\"AccessKeyId\":\"HIDDEN\"}",
		"{\"Code\":\"Success\"," UNTIL ",\"AccessKeyId\":\"\",\"SecretAccessKey\":\"x\"}",
		"{\"Code\":\"Success\"," UNTIL ",\"AccessKeyId\":\"a\\r\\nb\","
		"\"SecretAccessKey\":\"HIDDEN\"}",
		"{\"Code\":\"Success\"," UNTIL ",\"AccessKeyId\":\"a\","
		"\"SecretAccessKey\":\"HIDDEN \"}",
		"{\"Code\":\"Success\"," KEYS "," UNTIL ",\"Token\":null}",
		"{\"Code\":\"Success\"," KEYS "," UNTIL ",\"Token\":\"HIDDEN\\u00e9\"}",
	};

	for (size_t i = 0; i < LAB_COUNT_OF(documents); i++) {
		struct aws_credentials credentials;
		struct lab_error err;

		if (parse(*state, documents[i], &credentials, &err) == 0)
			fail_msg("%s", documents[i]);
		assert_int_equal(err.code, LAB_CORRUPT);
		assert_null(strstr(err.message, "HIDDEN"));
	}
}

static void a_role_that_cannot_be_assumed_is_denied(void **state)
{
	struct aws_credentials credentials;
	struct lab_error err;

	assert_int_equal(parse(*state,
				 "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"m\","
				 "\"LastUpdated\":\"2026-11-21T12:00:00Z\"}",
				 &credentials, &err),
		-1);
	assert_int_equal(err.code, LAB_DENIED);
	assert_non_null(strstr(err.message, "AssumeRoleUnauthorizedAccess"));
}

static void long_documents_are_refused(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *text = lab_arena_alloc(fixture->arena, IMDS_DOCUMENT_MAX + 1);
	struct aws_credentials credentials;
	struct lab_error err;

	memset(text, ' ', IMDS_DOCUMENT_MAX + 1);
	assert_int_equal(imds_document_parse(lab_view_of(text, IMDS_DOCUMENT_MAX + 1),
				 fixture->arena, &credentials, &err),
		-1);
	assert_non_null(strstr(err.message, "too long"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_form_of_aws_is_read),
		TEST(a_document_may_have_no_token),
		TEST(bad_documents_are_refused_and_their_secrets_not_shown),
		TEST(a_role_that_cannot_be_assumed_is_denied),
		TEST(long_documents_are_refused),
	};

	return cmocka_run_group_tests_name("imds-document", tests, NULL, NULL);
}
