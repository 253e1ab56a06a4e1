/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3: signatures, roles and their credentials.
 */
#include "core/fs/testing/s3-probe.h"

/* ---- signing ---- */

static void region_chooses_version_4_of_the_signature(void **state)
{
	struct s3_probe *probe = *state;
	struct lab_view authorization;

	fake_status(probe->world, 200);
	run(probe, step_write);
	authorization = fake_header(probe->world, 0, "Authorization");
	assert_true(lab_view_starts_with(authorization,
		LAB_VIEW("AWS4-HMAC-SHA256 Credential=KEY/20130524/eu-central-1/s3/aws4_request, "
			 "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;"
			 "x-amz-date, Signature=")));
	assert_view(fake_header(probe->world, 0, "x-amz-content-sha256"),
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	assert_view(fake_header(probe->world, 0, "x-amz-date"), "20130524T000000Z");
}

static void without_region_it_is_version_2(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST;
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_true(lab_view_starts_with(
		fake_header(probe->world, 0, "Authorization"), LAB_VIEW("AWS KEY:")));
	assert_view(fake_header(probe->world, 0, "Date"), "Fri, 24 May 2013 00:00:00 GMT");
	assert_null(fake_header(probe->world, 0, "x-amz-date").ptr);
	assert_null(fake_header(probe->world, 0, "x-amz-content-sha256").ptr);
}

/* The bucket moved from the path into the host: version 2 signs both alike. */
static void redirects_are_signed_for_where_they_lead(void **state)
{
	struct s3_probe *probe = *state;
	struct lab_view there;

	probe->uri = "s3:http://KEY:SECRET@s3.example.com/?bucket=mails";
	fake_body(probe->world, 307, "Location: http://mails.s3-west.example.com/user/mails/1", "");
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 2);
	assert_view(request_at(probe, 0)->target, "/mails/user/mails/1");
	assert_view(request_at(probe, 1)->target, "/user/mails/1");
	there = fake_header(probe->world, 1, "Authorization");
	assert_true(lab_view_starts_with(there, LAB_VIEW("AWS KEY:")));
	assert_true(lab_view_eq(there, fake_header(probe->world, 0, "Authorization")));
}

static void retries_have_a_new_date(void **state)
{
	struct s3_probe *probe = *state;

	fake_reply(probe->world, (struct fake_reply){ .status = 500, .delay_ns = 3 * LAB_SEC });
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_view(fake_header(probe->world, 1, "x-amz-date"), "20130524T000003Z");
}

static void the_secret_is_in_no_event_and_no_message(void **state)
{
	struct s3_probe *probe = *state;

	for (int i = 0; i < 5; i++)
		error_body(probe, 503, "SlowDown");
	run(probe, step_write);
	assert_error(probe, LAB_THROTTLED);
	assert_null(strstr(probe->err.message, "SECRET"));
	assert_null(strstr(probe->err.message, "KEY:"));
	assert_true(probe->world->event_count > 0);
	assert_false(fake_events_mention(probe->world, "SECRET"));
	assert_false(fake_events_mention(probe->world, "Signature"));
}

/* ---- roles ---- */

static void imds_peer(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	struct s3_probe *probe = world->handler_ctx;

	ret->status = 200;
	if (lab_view_eq_cstr(request->target, "/latest/api/token")) {
		ret->body = LAB_VIEW("imds-session");
		return;
	}
	if (lab_view_starts_with(request->target, LAB_VIEW("/latest/meta-data/"))) {
		ret->body = lab_view_cstr(lab_arena_printf(world->arena,
			"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA%zu\","
			"\"SecretAccessKey\":\"SECRET\",\"Token\":\"TOKEN%zu\","
			"\"Expiration\":\"2013-05-24T06:00:00Z\"}",
			probe->count, probe->count));
		return;
	}
	/* The storage knows only the second key. */
	if (lab_view_find(lab_http_header_get(&request->headers, "Authorization"),
		    LAB_VIEW("ASIA1")) == SIZE_MAX) {
		probe->count = 1;
		ret->status = probe->key == NULL ? 403 : 400;
		if (!lab_view_eq_cstr(request->method, "HEAD"))
			ret->body =
				probe->key == NULL
					? LAB_VIEW("<Error><Code>InvalidAccessKeyId</Code></Error>")
					: LAB_VIEW("<Error><Code>ExpiredToken</Code></Error>");
	}
}

static void open_role(struct s3_probe *probe, const char *uri)
{
	probe->uri = uri;
	probe->role = aws_credentials_imds(&probe->world->env, LAB_VIEW("169.254.169.254:80"),
		LAB_VIEW("s3access"), 1, LAB_SEC);
	probe->world->handler = imds_peer;
	probe->world->handler_ctx = probe;
}

static size_t requests_to(const struct s3_probe *probe, const char *authority)
{
	size_t count = 0;

	for (size_t i = 0; i < probe->world->request_count; i++)
		count += lab_view_eq_cstr(request_at(probe, i)->authority, authority);
	return count;
}

static void aws_s3_signs_with_the_role_s_key_and_token(void **state)
{
	struct s3_probe *probe = *state;
	size_t last;

	open_role(probe, "aws-s3:https://b.s3.eu-west-1.amazonaws.com/?region=eu-west-1&"
			 "auth_role=s3access&auth_host=10.0.0.1:81");
	probe->count = 1;
	run(probe, step_write);
	assert_ok(probe);
	assert_string_equal(probe->asked_host, "10.0.0.1:81");
	assert_string_equal(probe->asked_role, "s3access");
	last = probe->world->request_count - 1;
	assert_view(fake_header(probe->world, last, "x-amz-security-token"), "TOKEN1");
	assert_true(lab_view_find(fake_header(probe->world, last, "Authorization"),
			    LAB_VIEW(";x-amz-security-token,")) != SIZE_MAX);
	assert_false(fake_events_mention(probe->world, "TOKEN1"));
	assert_false(fake_events_mention(probe->world, "imds-session"));
}

static void step_rotate(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct lab_arena *arena = lab_arena_new(probe->world->env.heap, 65536);
	struct aws_credentials credentials;

	/* The session has ASIA0 already; from then on the storage wants ASIA1. */
	probe->count = 0;
	aws_credentials_get(probe->role, arena, &credentials, NULL);
	lab_arena_free(&arena);
	env_sleep(&probe->world->env, LAB_MINUTE);
	if (probe->second != NULL)
		step_exists(probe);
	else
		step_write(probe);
}

/* PRO-01: around a rotation of the keys, sessions got 403 until they ended. */
static void a_session_survives_the_rotation_of_its_keys(void **state)
{
	struct s3_probe *probe = *state;

	for (int i = 0; i < 4; i++) {
		size_t before;

		open_role(probe, "aws-s3:https://b.s3.eu-west-1.amazonaws.com/?region=eu-west-1&"
				 "auth_role=s3access");
		probe->key = (i & 1) == 0 ? NULL : "expired";
		probe->second = (i & 2) == 0 ? NULL : "head";
		before = requests_to(probe, "b.s3.eu-west-1.amazonaws.com");
		run(probe, step_rotate);
		if (probe->result != (i & 2) >> 1)
			fail_msg("case %d: %s", i, probe->err.message);
		assert_int_equal(requests_to(probe, "b.s3.eu-west-1.amazonaws.com") - before, 2);
		fs_deinit(&probe->fs);
		aws_credentials_free(&probe->role);
	}
}

static void the_s3_scheme_sends_no_token_unless_told_to(void **state)
{
	struct s3_probe *probe = *state;

	open_role(probe, "s3:https://b.s3.example.com/?region=r&auth_role=s3access");
	probe->count = 1;
	run(probe, step_write);
	assert_ok(probe);
	assert_null(
		fake_header(probe->world, probe->world->request_count - 1, "x-amz-security-token")
			.ptr);
	fs_deinit(&probe->fs);

	probe->uri = "s3:https://b.s3.example.com/?region=r&auth_role=s3access&"
		     "addhdrvar=X-Token:<%{auth:token}>&addhdrvar=X-Plain:%{auth:token}";
	run(probe, step_write);
	assert_ok(probe);
	assert_view(
		fake_header(probe->world, probe->world->request_count - 1, "X-Token"), "<TOKEN1>");
	assert_view(
		fake_header(probe->world, probe->world->request_count - 1, "X-Plain"), "TOKEN1");
}

static void an_empty_variable_header_is_not_sent(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "aws-s3:" HOST "?region=r";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_ok(probe);
	assert_null(fake_header(probe->world, 0, "x-amz-security-token").ptr);
}

static void an_unknown_variable_is_an_error(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?addhdrvar=X-A:%{auth:other}";
	run(probe, step_read);
	assert_error(probe, LAB_INVALID);
	assert_int_equal(probe->world->request_count, 0);
}

static void a_role_that_is_not_there_is_an_error(void **state)
{
	struct s3_probe *probe = *state;
	struct fs *fs = NULL;
	struct lab_error err;

	assert_int_equal(
		fs_init(LAB_VIEW("aws-s3:https://b.s3.example.com/?region=r&auth_role=gone"),
			&probe->settings, &fs, &err),
		-1);
	assert_int_equal(err.code, LAB_DENIED);
	assert_string_equal(probe->asked_host, "169.254.169.254:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(region_chooses_version_4_of_the_signature),
		TEST(without_region_it_is_version_2),
		TEST(redirects_are_signed_for_where_they_lead),
		TEST(retries_have_a_new_date),
		TEST(the_secret_is_in_no_event_and_no_message),
		TEST(aws_s3_signs_with_the_role_s_key_and_token),
		TEST(a_session_survives_the_rotation_of_its_keys),
		TEST(the_s3_scheme_sends_no_token_unless_told_to),
		TEST(an_empty_variable_header_is_not_sent),
		TEST(an_unknown_variable_is_an_error),
		TEST(a_role_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests_name("fs-s3-auth", tests, NULL, NULL);
}
