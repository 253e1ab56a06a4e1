/* SPDX-License-Identifier: Apache-2.0
 *
 * Addressing, buckets, and all that is not there.
 */
#include "sim/s3-emulator/testing-s3.h"

static const char *listed_location(void)
{
	static const char open[] =
		"<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
	size_t at = lab_view_find(t.reply.response.body, lab_view_cstr(open));
	struct lab_view rest;

	assert_true(at != SIZE_MAX);
	rest = lab_view_skip(t.reply.response.body, at + strlen(open));
	return lab_arena_cstr(t.arena, lab_view_sub(rest, 0, lab_view_find_byte(rest, '<')));
}

static void hosts_name_buckets(void **state)
{
	static const struct {
		const char *host, *target, *subject;
	} rows[] = {
		{ "s3.amazonaws.com", "/mail/k", "mail/k" },
		{ "s3.us-east-1.amazonaws.com", "/mail/k", "mail/k" },
		{ "localhost:9000", "/mail/k", "mail/k" },
		{ "127.0.0.1:9000", "/mail/k", "mail/k" },
		{ "[::1]:9000", "/mail/k", "mail/k" },
		{ "", "/mail/k", "mail/k" },
		{ "mail.s3.amazonaws.com", "/k", "mail/k" },
		{ "Mail.S3.amazonaws.com:80", "/k", "mail/k" },
		{ "mail.localhost", "/mail/k", "mail/mail/k" },
		{ "a.b.s3.us-east-1.amazonaws.com", "/k%20l", "a.b/k l" },
		{ "storage.example.com", "/mail/k", "mail/k" },
		{ "s3.amazonaws.com", "http://s3.amazonaws.com/mail/k", "mail/k" },
		{ "s3.amazonaws.com", "https://x/mail/%6b", "mail/k" },
	};
	size_t i;
	(void)state;

	t.options.verify_signatures = false;
	t_start();
	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		(void)t_send_to(rows[i].host, "GET", rows[i].target, lab_view_of(NULL, 0));
		if (strcmp(t_logged()->subject, rows[i].subject) != 0)
			fail_msg("row %zu: %s", i, t_logged()->subject);
	}
	t.options.cname = true;
	t_start();
	(void)t_send_to("Storage.example.com", "GET", "/k", lab_view_of(NULL, 0));
	assert_string_equal(t_logged()->subject, "storage.example.com/k");
	(void)t_send_to("10.0.0.1", "GET", "/mail/k", lab_view_of(NULL, 0));
	assert_string_equal(t_logged()->subject, "mail/k");
}

static void bucket_names_follow_the_rules(void **state)
{
	static const char *const good[] = { "abc", "a.b-c", "0ab",
		"a23456789012345678901234567890"
		"123456789012345678901234567890"
		"123" };
	static const char *const bad[] = { "ab", "Abc", "a_b", ".abc", "abc.", "-abc", "abc-",
		"a..b", "192.168.5.4", "xn--abc", "abc-s3alias", "abc--ol-s3",
		"a234567890123456789012345678901234567890123456789012345678901234", "a%20b",
		"a%2fb" };
	size_t i;
	(void)state;

	t.options.verify_signatures = false;
	t_start();
	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(good); i++) {
		const char *target = lab_arena_printf(t.arena, "/%s", good[i]);

		assert_row(i, t_put(target, "") == 200);
		assert_string_equal(t_reply_header("Location"), target);
	}
	for (i = 0; i < LAB_COUNT_OF(bad); i++) {
		assert_row(i, t_put(lab_arena_printf(t.arena, "/%s", bad[i]), "") == 400);
		assert_row(i, strcmp(t_xml("Code"), "InvalidBucketName") == 0);
	}
	assert_code(t_get("//k"), 400, "InvalidBucketName");
}

static void a_bucket_is_made_used_and_removed(void **state)
{
	(void)state;

	assert_int_equal(t_send("HEAD", "/new-one", lab_view_of(NULL, 0)), 404);
	assert_int_equal(t_put("/new-one", ""), 200);
	assert_string_equal(t_logged()->operation, "PUT-BUCKET");
	assert_true(t_logged()->applied);
	assert_int_equal(t_put("/new-one", ""), 200); /* us-east-1: no conflict for its owner */
	assert_false(t_logged()->applied);
	assert_int_equal(t_send("HEAD", "/new-one", lab_view_of(NULL, 0)), 200);
	assert_string_equal(t_reply_header("x-amz-bucket-region"), "us-east-1");
	assert_int_equal(t_put("/new-one/k", "x"), 200);
	assert_code(t_delete("/new-one"), 409, "BucketNotEmpty");
	assert_int_equal(t_delete("/new-one/k"), 204);
	assert_int_equal(t_delete("/new-one"), 204);
	assert_code(t_delete("/new-one"), 404, "NoSuchBucket");
	assert_code(t_get("/new-one/k"), 404, "NoSuchBucket");
}

static void deleting_a_bucket_forgets_what_was_remembered(void **state)
{
	(void)state;

	t.options.remember_deleted = true;
	t.options.limits.objects_max = 2;
	t_start();
	assert_int_equal(t_put("/new-one", ""), 200);
	assert_int_equal(t_put("/new-one/1", ""), 200);
	assert_int_equal(t_put("/new-one/2", ""), 200);
	assert_int_equal(t_delete("/new-one/1"), 204);
	assert_int_equal(t_delete("/new-one/2"), 204);
	assert_code(t_put("/mail/1", ""), 503, "ServiceUnavailable");
	assert_int_equal(t_delete("/new-one"), 204);
	assert_int_equal(t_put("/mail/1", ""), 200);
	assert_int_equal(t_put("/mail/2", ""), 200);
}

static void regions_ask_for_their_constraint(void **state)
{
	static const char right[] =
		"<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
	(void)state;

	assert_code(t_put("/new-one", right), 400, "InvalidLocationConstraint");
	t.options.region = LAB_VIEW("eu-central-1");
	t.region = "eu-central-1";
	t_start();
	assert_code(t_put("/new-one", ""), 400, "IllegalLocationConstraintException");
	assert_string_equal(t_xml("Message"),
		"The unspecified location constraint is incompatible for the region specific "
		"endpoint this request was sent to.");
	assert_code(t_put("/new-one", "<CreateBucketConfiguration><LocationConstraint>eu-west-1"
				      "</LocationConstraint></CreateBucketConfiguration>"),
		400, "IllegalLocationConstraintException");
	assert_code(t_put("/new-one", "<CreateBucketConfiguration><Tags/>"
				      "</CreateBucketConfiguration>"),
		400, "MalformedXML");
	assert_int_equal(t_put("/new-one", right), 200);
	assert_code(t_put("/new-one", right), 409, "BucketAlreadyOwnedByYou");
	t_credentials("AKIAOTHER", "222222222222", NULL, 0);
	t.credentials.access_key_id = LAB_VIEW("AKIAOTHER");
	assert_code(t_put("/new-one", right), 409, "BucketAlreadyExists");
	assert_int_equal(t_get("/mail?location"), 200);
	assert_string_equal(listed_location(), "eu-central-1");
}

static void location_of_the_first_region_is_empty(void **state)
{
	(void)state;

	assert_int_equal(t_get("/mail?location"), 200);
	assert_string_equal(listed_location(), "");
	assert_string_equal(t_logged()->operation, "LOCATION");
}

static void buckets_are_listed_for_their_account(void **state)
{
	(void)state;

	t_credentials("AKIAOTHER", "222222222222", NULL, 0);
	assert_int_equal(t_put("/mine", ""), 200);
	assert_int_equal(t_get("/"), 200);
	assert_true(t_body_has("<Owner><ID>111111111111</ID></Owner><Buckets><Bucket><Name>mail"
			       "</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate>"
			       "</Bucket><Bucket><Name>mine</Name>"));
	assert_string_equal(t_logged()->operation, "LIST-BUCKETS");
	t.credentials.access_key_id = LAB_VIEW("AKIAOTHER");
	assert_int_equal(t_get("/"), 200);
	assert_false(t_body_has("<Name>mine</Name>"));
	assert_code(t_put("/", ""), 405, "MethodNotAllowed");
}

static void buckets_are_bounded(void **state)
{
	(void)state;

	t.options.limits.buckets_max = 2;
	t_start();
	assert_int_equal(t_put("/two", ""), 200);
	assert_code(t_put("/three", ""), 400, "TooManyBuckets");
}

static void what_is_not_there_never_answers_200(void **state)
{
	static const struct {
		const char *method, *target;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "PUT", "/mail?versioning", 501, "NotImplemented" },
		{ "PUT", "/mail?policy", 501, "NotImplemented" },
		{ "DELETE", "/mail?lifecycle", 501, "NotImplemented" },
		{ "POST", "/mail/k?select&select-type=2", 501, "NotImplemented" },
		{ "POST", "/mail", 501, "NotImplemented" },
		{ "POST", "/mail/k", 405, "MethodNotAllowed" },
		{ "POST", "/mail/k?delete", 405, "MethodNotAllowed" },
		{ "PATCH", "/mail/k", 405, "MethodNotAllowed" },
		{ "TRACE", "/mail", 405, "MethodNotAllowed" },
		{ "get", "/mail/k", 405, "MethodNotAllowed" },
		{ "OPTIONS", "/mail/k", 403, "AccessForbidden" },
		{ "OPTIONS", "/mail", 403, "AccessForbidden" },
		{ "DELETE", "/", 405, "MethodNotAllowed" },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, t_send(rows[i].method, rows[i].target, lab_view_of(NULL, 0)) ==
				      rows[i].status);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		assert_string_equal(t_logged()->operation, "OTHER");
		assert_false(t_logged()->applied);
	}
	assert_true(t_stored("k"));
}

static void too_many_parameters_and_long_targets(void **state)
{
	struct lab_buf target;
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	lab_buf_init(&target, testing_heap, 40000);
	lab_buf_append_cstr(&target, "/mail?");
	for (i = 0; i < 65; i++)
		lab_buf_append_cstr(&target, "a&&");
	assert_code(t_get(lab_buf_cstr(&target)), 400, "InvalidURI");
	for (i = 0; i < 16384; i++)
		lab_buf_append_cstr(&target, "a");
	assert_code(t_get(lab_buf_cstr(&target)), 400, "InvalidURI");
	lab_buf_done(&target);
}

static void what_is_no_request_gets_its_error(void **state)
{
	static const struct {
		enum sim_http_refusal why;
		unsigned status;
		const char *code;
	} rows[] = {
		{ SIM_REFUSE_MALFORMED, 400, "BadRequest" },
		{ SIM_REFUSE_URI, 400, "InvalidURI" },
		{ SIM_REFUSE_VERSION, 400, "BadRequest" },
		{ SIM_REFUSE_HEADERS, 400, "RequestHeaderSectionTooLarge" },
		{ SIM_REFUSE_LENGTH, 400, "BadRequest" },
		{ SIM_REFUSE_NO_LENGTH, 411, "MissingContentLength" },
		{ SIM_REFUSE_CODING, 501, "NotImplemented" },
		{ SIM_REFUSE_SHORT, 400, "IncompleteBody" },
		{ SIM_REFUSE_BODY, 400, "MaxMessageLengthExceeded" },
		{ SIM_REFUSE_TIMEOUT, 400, "RequestTimeout" },
		{ SIM_REFUSE_MEMORY, 503, "ServiceUnavailable" },
		{ SIM_REFUSE_CONNECTIONS, 503, "ServiceUnavailable" },
	};
	const struct sim_peer peer = { .name = LAB_VIEW("b1"), .hops = 1 };
	struct lab_http_request request = { .headers.count = 0 };
	char first[32] = "";
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		/* Nothing, or only the target, could be read. */
		request.target = i % 2 == 0 ? lab_view_of(NULL, 0) : LAB_VIEW("/mail/k");
		t.service.ops->refuse(
			t.service.service, rows[i].why, &request, &peer, t.now, t_on_reply, NULL);
		assert_int_equal(t.replies, i + 1);
		assert_code(t.reply.response.status, rows[i].status, rows[i].code);
		assert_string_equal(t_xml("RequestId"), t_reply_header("x-amz-request-id"));
		assert_string_not_equal(first, t_xml("RequestId"));
		(void)snprintf(first, sizeof(first), "%s", t_xml("RequestId"));
		assert_string_equal(t_reply_header("Server"), "AmazonS3");
		assert_int_equal(t_logged()->status, rows[i].status);
		assert_false(t_logged()->applied);
	}
	request.method = LAB_VIEW("PUT");
	t.service.ops->refuse(
		t.service.service, SIM_REFUSE_BODY, &request, &peer, t.now, t_on_reply, NULL);
	assert_code(t.reply.response.status, 400, "EntityTooLarge");
	request.method = LAB_VIEW("HEAD");
	t.service.ops->refuse(
		t.service.service, SIM_REFUSE_LENGTH, &request, &peer, t.now, t_on_reply, NULL);
	assert_int_equal(t.reply.response.status, 400);
	assert_int_equal(t.reply.response.body.len, 0);
	assert_true(t.service.ops->length_required);
}

static void wrong_options_are_refused(void **state)
{
	struct s3emu_options options = t.options;
	struct s3emu *s3 = NULL;
	struct lab_error err;
	(void)state;

	options.limits.pending_max = 0;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.rates.burst_ns = 0;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.rates.burst_ns = 1000;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.rates.shared_budget = true;
	options.rates.reads_per_s = 0;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.rates.reads_per_s = 100000000;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.region = lab_view_of(NULL, 0);
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.latency[S3EMU_GET].low_ns = 2;
	options.latency[S3EMU_GET].high_ns = 1;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.refused_latency.tail_ppm = 1;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	options = t.options;
	options.limits.stored_bytes_max = UINT64_MAX;
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_null(s3);
	s3emu_free(&s3);
}

static void wrong_buckets_are_refused(void **state)
{
	const struct lab_view starts[] = { LAB_VIEW("b"), LAB_VIEW("b") };
	struct s3emu_rates rates = t.options.rates;
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mail") };
	struct lab_error err;
	(void)state;

	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	bucket.name = LAB_VIEW("No");
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	bucket.name = LAB_VIEW("other");
	bucket.partitions.hex_layers = 3;
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	bucket.partitions.hex_layers = 0;
	bucket.partitions.starts = starts;
	bucket.partitions.start_count = 2;
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	bucket.partitions.start_count = 1;
	bucket.partitions.hex_layers = 1;
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	bucket.partitions.hex_layers = 0;
	rates.burst_ns = 0;
	bucket.rates = &rates;
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), -1);
	bucket.rates = NULL;
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), 0);
	assert_int_equal(
		s3emu_bucket_partition(t.s3, LAB_VIEW("none"), &bucket.partitions, NULL, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	bucket.partitions.start_count = S3EMU_PARTITIONS_MAX;
	assert_int_equal(
		s3emu_bucket_partition(t.s3, LAB_VIEW("mail"), &bucket.partitions, NULL, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(hosts_name_buckets),
		t_test(bucket_names_follow_the_rules),
		t_test(a_bucket_is_made_used_and_removed),
		t_test(deleting_a_bucket_forgets_what_was_remembered),
		t_test(regions_ask_for_their_constraint),
		t_test(location_of_the_first_region_is_empty),
		t_test(buckets_are_listed_for_their_account),
		t_test(buckets_are_bounded),
		t_test(what_is_not_there_never_answers_200),
		t_test(too_many_parameters_and_long_targets),
		t_test(what_is_no_request_gets_its_error),
		t_test(wrong_options_are_refused),
		t_test(wrong_buckets_are_refused),
	};

	return cmocka_run_group_tests_name("s3-emulator requests", tests, NULL, NULL);
}
