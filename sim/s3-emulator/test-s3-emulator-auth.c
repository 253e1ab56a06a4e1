/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what. The published examples (s3 1.7, 1.8) run end to end: at their date, in their
 * bucket, with their key, until the emulator's own answer.
 */
#include "sim/s3-emulator/testing-s3.h"

/* 2013-05-24T00:00:00Z: the date of the SigV4 examples. */
#define V4_EPOCH INT64_C(1369353600)
#define V4_HOST "examplebucket.s3.amazonaws.com"
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define V4_SCOPE "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

static void start_at(int64_t unix_time)
{
	t.now = 0;
	t.options.epoch_unix_us = (uint64_t)unix_time * 1000000;
	t_start();
	t_bucket("examplebucket");
	t.sign = T_UNSIGNED;
}

/* The signature stood, whatever came of the request itself. */
static bool was_let_in(void)
{
	static const char *const refusals[] = { "SignatureDoesNotMatch", "AccessDenied",
		"InvalidAccessKeyId", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed",
		"AuthorizationQueryParametersError", "InvalidArgument", "InvalidRequest",
		"XAmzContentSHA256Mismatch" };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(refusals); i++) {
		if (strcmp(t_xml("Code"), refusals[i]) == 0)
			return false;
	}
	return true;
}

static void v4_headers(const char *signed_headers, const char *signature, const char *hash)
{
	t_header("x-amz-content-sha256", hash);
	t_header("x-amz-date", "20130524T000000Z");
	t_header("Authorization",
		lab_arena_printf(t.arena,
			"AWS4-HMAC-SHA256 Credential=" V4_SCOPE ",SignedHeaders=%s,Signature=%s",
			signed_headers, signature));
}

#define GET_RANGE "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"

static void published_v4_get_with_range(void **state)
{
	(void)state;

	start_at(V4_EPOCH);
	t_header("Range", "bytes=0-9");
	v4_headers("host;range;x-amz-content-sha256;x-amz-date", GET_RANGE, EMPTY_HASH);
	assert_code(t_send_to(V4_HOST, "GET", "/test.txt", lab_view_of(NULL, 0)), 404, "NoSuchKey");
	assert_string_equal(t_logged()->subject, "examplebucket/test.txt");
}

static void published_v4_put(void **state)
{
	struct s3emu_object_info info;
	(void)state;

	start_at(V4_EPOCH);
	t_header("Date", "Fri, 24 May 2013 00:00:00 GMT");
	t_header("x-amz-storage-class", "REDUCED_REDUNDANCY");
	v4_headers("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	assert_int_equal(
		t_send_to(V4_HOST, "PUT", "/test%24file.text", LAB_VIEW("Welcome to Amazon S3.")),
		200);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW("examplebucket"),
				 LAB_VIEW("test$file.text"), &info),
		1);
	assert_int_equal(info.modified_unix_us, V4_EPOCH * 1000000);
}

static void published_v4_sub_resource_and_listing(void **state)
{
	(void)state;

	start_at(V4_EPOCH);
	v4_headers("host;x-amz-content-sha256;x-amz-date",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", EMPTY_HASH);
	assert_code(t_send_to(V4_HOST, "GET", "/?lifecycle", lab_view_of(NULL, 0)), 404,
		"NoSuchLifecycleConfiguration");
	v4_headers("host;x-amz-content-sha256;x-amz-date",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", EMPTY_HASH);
	assert_int_equal(
		t_send_to(V4_HOST, "GET", "/?max-keys=2&prefix=J", lab_view_of(NULL, 0)), 200);
	assert_string_equal(t_xml("Prefix"), "J");
}

#define PRESIGNED \
	"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F" \
	"20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=" \
	"86400&X-Amz-SignedHeaders=host&X-Amz-Signature=" \
	"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

static void published_v4_presigned_get_until_it_expires(void **state)
{
	(void)state;

	start_at(V4_EPOCH + 86400);
	assert_code(t_send_to(V4_HOST, "GET", PRESIGNED, lab_view_of(NULL, 0)), 404, "NoSuchKey");
	t_advance(LAB_SEC);
	assert_code(
		t_send_to(V4_HOST, "GET", PRESIGNED, lab_view_of(NULL, 0)), 403, "AccessDenied");
	assert_string_equal(t_xml("Message"), "Request has expired");
	assert_string_equal(t_xml("X-Amz-Expires"), "86400");
	assert_string_equal(t_xml("Expires"), "2013-05-25T00:00:00.000Z");
	assert_string_equal(t_xml("ServerTime"), "2013-05-25T00:00:01.000Z");
	start_at(V4_EPOCH - 901);
	assert_code(
		t_send_to(V4_HOST, "GET", PRESIGNED, lab_view_of(NULL, 0)), 403, "AccessDenied");
	assert_string_equal(t_xml("Message"), "Request is not yet valid");
	start_at(V4_EPOCH - 900);
	assert_code(t_send_to(V4_HOST, "GET", PRESIGNED, lab_view_of(NULL, 0)), 404, "NoSuchKey");
}

/* Changing any bit of what was signed, or of the signature, is refused. */
static void published_v4_request_changed_is_refused(void **state)
{
	static const struct {
		const char *host, *method, *target, *range, *signature;
	} rows[] = {
		{ V4_HOST, "GET", "/test.tx", "bytes=0-9", GET_RANGE },
		{ V4_HOST, "GET", "/test.txt?a", "bytes=0-9", GET_RANGE },
		{ V4_HOST, "HEAD", "/test.txt", "bytes=0-9", GET_RANGE },
		{ V4_HOST, "GET", "/test.txt", "bytes=0-8", GET_RANGE },
		{ V4_HOST ":80", "GET", "/test.txt", "bytes=0-9", GET_RANGE },
		{ V4_HOST, "GET", "/test.txt", "bytes=0-9",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb42" },
	};
	size_t i;
	(void)state;

	start_at(V4_EPOCH);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("Range", rows[i].range);
		v4_headers("host;range;x-amz-content-sha256;x-amz-date", rows[i].signature,
			EMPTY_HASH);
		assert_row(i, t_send_to(rows[i].host, rows[i].method, rows[i].target,
				      lab_view_of(NULL, 0)) == 403);
		assert_row(i, t.reply.head || strcmp(t_xml("Code"), "SignatureDoesNotMatch") == 0);
	}
}

static void mismatch_shows_what_was_signed(void **state)
{
	(void)state;

	start_at(V4_EPOCH);
	v4_headers("host;x-amz-content-sha256;x-amz-date", GET_RANGE, EMPTY_HASH);
	assert_code(t_send_to(V4_HOST, "GET", "/test.txt", lab_view_of(NULL, 0)), 403,
		"SignatureDoesNotMatch");
	assert_string_equal(t_xml("AWSAccessKeyId"), T_KEY);
	assert_string_equal(t_xml("SignatureProvided"), GET_RANGE);
	assert_string_equal(t_xml("CanonicalRequest"),
		"GET&#xA;/test.txt&#xA;&#xA;host:" V4_HOST "&#xA;x-amz-content-sha256:" EMPTY_HASH
		"&#xA;x-amz-date:20130524T000000Z&#xA;&#xA;host;x-amz-content-sha256;x-amz-date"
		"&#xA;" EMPTY_HASH);
	assert_true(lab_view_starts_with(
		lab_view_cstr(t_xml("CanonicalRequestBytes")), LAB_VIEW("47 45 54 0a 2f")));
	assert_true(lab_view_starts_with(lab_view_cstr(t_xml("StringToSign")),
		LAB_VIEW("AWS4-HMAC-SHA256&#xA;20130524T000000Z&#xA;20130524/us-east-1/")));
	assert_true(t_body_has("<StringToSignBytes>41 57 53 34"));
	assert_false(t_body_has(T_SECRET));
}

/* ---- SigV2's published examples ---- */

static const struct v2_row {
	const char *host, *method, *target, *date, *amz_date, *type, *signature;
	int64_t unix_time;
	unsigned status;
} v2_rows[] = {
	{ "awsexamplebucket1.us-west-1.s3.amazonaws.com", "GET", "/photos/puppy.jpg",
		"Tue, 27 Mar 2007 19:36:42 +0000", NULL, NULL,
		"qgk2+6Sv9/oM7G3qLEjTH1a1l1g=", 1175024202, 404 },
	{ "awsexamplebucket1.s3.us-west-1.amazonaws.com", "PUT", "/photos/puppy.jpg",
		"Tue, 27 Mar 2007 21:15:45 +0000", NULL, "image/jpeg",
		"iqRzw+ileNPu1fhspnRs8nOjjIA=", 1175030145, 200 },
	{ "awsexamplebucket1.s3.us-west-1.amazonaws.com", "GET",
		"/?prefix=photos&max-keys=50&marker=puppy", "Tue, 27 Mar 2007 19:42:41 +0000", NULL,
		NULL, "m0WP8eCtspQl5Ahe6L1SozdX9YA=", 1175024561, 200 },
	{ "awsexamplebucket1.s3.us-west-1.amazonaws.com", "GET", "/?acl",
		"Tue, 27 Mar 2007 19:44:46 +0000", NULL, NULL,
		"82ZHiFIjc+WbcwFKGUVEQspPn+0=", 1175024686, 200 },
	{ "s3.us-west-1.amazonaws.com", "GET", "/", "Wed, 28 Mar 2007 01:29:59 +0000", NULL, NULL,
		"qGdzdERIC03wnaRNKh6OqZehG9s=", 1175045399, 200 },
	{ "s3.us-west-1.amazonaws.com", "GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
		"Wed, 28 Mar 2007 01:49:49 +0000", NULL, NULL,
		"DNEZGsoieTZ92F3bUfSPQcbGmlM=", 1175046589, 404 },
	/* By the page's own rule; its printed value is not (s3 1.7). */
	{ "s3.us-west-1.amazonaws.com", "DELETE", "/awsexamplebucket1/photos/puppy.jpg",
		"Tue, 27 Mar 2007 21:20:27 +0000", "Tue, 27 Mar 2007 21:20:26 +0000", NULL,
		"Ri1hpB1zpS9pGqR7y8kuNFCl4sE=", 1175030426, 204 },
	/* Not published: a bucket without a slash behind it, signed with one, and as sent. */
	{ "s3.us-west-1.amazonaws.com", "GET", "/dictionary?location",
		"Wed, 28 Mar 2007 01:49:49 +0000", NULL, NULL,
		"H4foxqIaLTnCEASjAGDYfoz1sds=", 1175046589, 200 },
	{ "s3.us-west-1.amazonaws.com", "GET", "/dictionary?location",
		"Wed, 28 Mar 2007 01:49:49 +0000", NULL, NULL,
		"PTJqhhUUsawLkqkNw/0khVqS4po=", 1175046589, 200 },
};

static void start_v2(int64_t unix_time)
{
	static const struct lab_view endpoints[] = {
		{ (const uint8_t *)"s3.us-west-1.amazonaws.com", 26 },
		{ (const uint8_t *)"us-west-1.s3.amazonaws.com", 26 }
	};

	t.options.endpoints = endpoints;
	t.options.endpoint_count = 2;
	start_at(unix_time);
	t_bucket("awsexamplebucket1");
	t_bucket("dictionary");
}

static unsigned send_v2(const struct v2_row *row, const char *signature)
{
	struct lab_view body = lab_view_of(NULL, 0);

	if (strcmp(row->method, "PUT") == 0)
		body = lab_view_of(lab_arena_alloc(t.arena, 94328), 94328);
	t_header("Date", row->date);
	if (row->amz_date != NULL)
		t_header("x-amz-date", row->amz_date);
	if (row->type != NULL)
		t_header("Content-Type", row->type);
	t_header("Authorization", lab_arena_printf(t.arena, "AWS " T_KEY ":%s", signature));
	return t_send_to(row->host, row->method, row->target, body);
}

static void published_v2_requests_pass(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(v2_rows); i++) {
		start_v2(v2_rows[i].unix_time);
		assert_row(i, send_v2(&v2_rows[i], v2_rows[i].signature) == v2_rows[i].status);
		assert_row(i, send_v2(&v2_rows[i], "Ri1hpB1zpS9pGqR7y8kuNFCl4sA=") == 403);
		assert_string_equal(t_xml("Code"), "SignatureDoesNotMatch");
	}
}

#define V2_QUERY \
	"/photos/puppy.jpg?AWSAccessKeyId=" T_KEY "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&" \
	"Expires=1175139620"

static void published_v2_query_until_it_expires(void **state)
{
	(void)state;

	start_v2(1175139620);
	t_bucket("johnsmith");
	assert_code(t_send_to("johnsmith.s3.us-west-1.amazonaws.com", "GET", V2_QUERY,
			    lab_view_of(NULL, 0)),
		404, "NoSuchKey");
	t_advance(LAB_SEC);
	assert_code(t_send_to("johnsmith.s3.us-west-1.amazonaws.com", "GET", V2_QUERY,
			    lab_view_of(NULL, 0)),
		403, "AccessDenied");
	assert_string_equal(t_xml("Message"), "Request has expired");
	assert_string_equal(t_xml("Expires"), "1175139620");
}

/* With a CNAME for a bucket, repeated metadata, and the port in Host (s3 1.7: by the page's rule,
 * and with the names of its older text by what it printed). */
static void published_v2_uploads_pass(void **state)
{
	static const struct {
		const char *domain, *signature;
	} rows[] = { { "example.com", "jtBQa0Aq+DkULFI8qrpwIjGEx0E=" },
		{ "johnsmith.net", "ilyl83RwaSoYIEdixDQcA4OnAnc=" } };
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const char *host = lab_arena_printf(t.arena, "static.%s", rows[i].domain);

		t.options.cname = true;
		start_v2(1175029568);
		t_bucket(host);
		t_header("Date", "Tue, 27 Mar 2007 21:06:08 +0000");
		t_header("x-amz-acl", "public-read");
		t_header("content-type", "application/x-download");
		t_header("Content-MD5", "4gJE4saaMU4BqNR0kLY+lw==");
		t_header("X-Amz-Meta-ReviewedBy",
			lab_arena_printf(t.arena, "joe@%s", rows[i].domain));
		t_header("X-Amz-Meta-ReviewedBy",
			lab_arena_printf(t.arena, "jane@%s", rows[i].domain));
		t_header("X-Amz-Meta-FileChecksum", "0x02661779");
		t_header("X-Amz-Meta-ChecksumAlgorithm", "crc32");
		t_header("Authorization",
			lab_arena_printf(t.arena, "AWS " T_KEY ":%s", rows[i].signature));
		/* The signature stands: what is refused is the ACL. */
		assert_row(i, t_send_to(lab_arena_printf(t.arena, "%s:8080", host), "PUT",
				      "/db-backup.dat.gz", LAB_VIEW("x")) == 400);
		assert_string_equal(t_xml("Code"), "AccessControlListNotSupported");
	}
}

static void published_v2_query_of_the_bucket_in_the_text(void **state)
{
	(void)state;

	start_v2(1175139620);
	assert_code(t_send_to("awsexamplebucket1.s3.us-west-1.amazonaws.com", "GET",
			    "/photos/puppy.jpg?AWSAccessKeyId=" T_KEY
			    "&Signature=1No4mq5ETf02z8aet9voy6gui6E%3D&Expires=1175139620",
			    lab_view_of(NULL, 0)),
		404, "NoSuchKey");
}

static void v2_dates_far_away_are_skewed(void **state)
{
	static const struct {
		const char *date, *code;
	} rows[] = { { "Tue, 07 Jul 2010 21:53:04 GMT", "RequestTimeTooSkewed" },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", "RequestTimeTooSkewed" },
		{ "Bad Date", "AccessDenied" }, { "", "AccessDenied" } };
	(void)state;

	t.sign = T_UNSIGNED;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("Date", rows[i].date);
		t_header("Authorization", "AWS " T_KEY ":AAAA");
		assert_row(i, t_get("/mail/k") == 403);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		if (rows[i].date[0] != '\0' && rows[i].date[0] != 'B')
			assert_string_equal(t_xml("RequestTime"), rows[i].date);
	}
}

static void v2_query_parameters_are_checked(void **state)
{
	static const char *const targets[] = { "/mail/k?AWSAccessKeyId=" T_KEY "&Signature=a",
		"/mail/k?Signature=a&Expires=1",
		"/mail/k?AWSAccessKeyId=" T_KEY "&Signature=a&Expires=soon",
		"/mail/k?AWSAccessKeyId=" T_KEY "&Signature=a&Expires=-1" };
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(targets); i++) {
		assert_row(i, t_get(targets[i]) == 403);
		assert_string_equal(t_xml("Code"), "AccessDenied");
	}
	assert_code(t_get("/mail/k?AWSAccessKeyId=AKIAWRONG&Signature=a&Expires=9999999999"), 403,
		"InvalidAccessKeyId");
	assert_code(t_get("/mail/k?AWSAccessKeyId=" T_KEY "&Signature=a&Expires=9999999999"), 403,
		"SignatureDoesNotMatch");
}

/* ---- both signatures, by a signer of our own ---- */

static void both_signatures_cover_odd_requests(void **state)
{
	static const char *const targets[] = { "/mail/plain", "/mail/a%20b", "/mail/a+b",
		"/mail/%E2%82%AC", "/mail/../x", "/mail//x//", "/mail/x?response-expires=0",
		"/mail/x?x-id=PutObject", "/mail/x?b=2&a=1&a=0&c", "/mail/x?k=%2F%20%7E&k2=a=b",
		"/mail/%21%27%28%29%2a", "/mail/x?select=1&select-type=2" };
	enum t_sign signs[] = { T_V4, T_V2 };
	size_t i, j;
	(void)state;

	for (j = 0; j < LAB_COUNT_OF(signs); j++) {
		t.sign = signs[j];
		for (i = 0; i < LAB_COUNT_OF(targets); i++) {
			t_header("x-amz-meta-b", "  two   spaces  ");
			t_header("x-amz-meta-a", "1");
			t_header("x-amz-meta-a-b", "2");
			t_header("Content-Type", "text/plain");
			t_content_md5(LAB_VIEW("x"));
			(void)t_put(targets[i], "x");
			if (!was_let_in())
				fail_msg("signature %zu, row %zu: %s", j, i, t_xml("Code"));
		}
	}
}

static void virtual_host_style_is_signed_too(void **state)
{
	(void)state;

	t.sign = T_V2;
	assert_int_equal(t_send_to("mail." T_HOST, "PUT", "/k", LAB_VIEW("x")), 200);
	t.sign = T_V4;
	assert_int_equal(t_send_to("mail." T_HOST, "GET", "/k", lab_view_of(NULL, 0)), 200);
	assert_int_equal(t_send_to("MAIL." T_HOST ":443", "GET", "/k", lab_view_of(NULL, 0)), 200);
}

static void presigned_by_our_signer_passes(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/a%20b?versionId=null") };
	struct sigv4_signer signer = { .credentials = &t.credentials,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = T_EPOCH,
		.heap = testing_heap };
	struct lab_error err;
	(void)state;

	assert_int_equal(sigv4_presign(&request, &signer, 60, LAB_VIEW(SIGV4_UNSIGNED_PAYLOAD),
				 t.arena, &err),
		0);
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 404, "NoSuchKey");
	(void)lab_http_header_add(&request.headers, LAB_VIEW("x-amz-meta-a"), LAB_VIEW("unsigned"));
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 403, "AccessDenied");
	assert_string_equal(t_xml("HeadersNotSigned"), "x-amz-meta-a");
}

/* ---- refusals ---- */

static void nobody_is_refused(void **state)
{
	static const struct {
		const char *authorization;
		unsigned status;
		const char *code;
	} rows[] = {
		{ NULL, 403, "AccessDenied" },
		{ "", 403, "AccessDenied" },
		{ "Basic dTpw", 400, "InvalidArgument" },
		{ "AWS HAHAHA", 400, "InvalidArgument" },
		{ "AWS :", 400, "InvalidArgument" },
		{ "AWS a:", 400, "InvalidArgument" },
		{ "AWS a:b", 403, "AccessDenied" },
		{ "AWS4-HMAC-SHA256", 400, "AuthorizationHeaderMalformed" },
		{ "AWS4-HMAC-SHA512 Credential=a", 400, "InvalidRequest" },
		{ "AWS4-ECDSA-P256-SHA256 Credential=a", 400, "InvalidRequest" },
		{ "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host", 400,
			"AuthorizationHeaderMalformed" },
		/* no date */
		{ "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b", 403,
			"AccessDenied" },
		{ "AWS4-HMAC-SHA256 Credential=a,Credential=a,SignedHeaders=host,"
		  "Signature=" GET_RANGE,
			400, "AuthorizationHeaderMalformed" },
		{ "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Extra=1,Signature=" GET_RANGE,
			400, "AuthorizationHeaderMalformed" },
		{ "AWS4-HMAC-SHA256 ,", 400, "AuthorizationHeaderMalformed" },
	};
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (rows[i].authorization != NULL)
			t_header("Authorization", rows[i].authorization);
		assert_row(i, t_get("/mail/k") == rows[i].status);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
	}
}

static void v4_scope_is_checked(void **state)
{
	static const struct {
		const char *credential, *date, *code, *message;
	} rows[] = {
		{ T_KEY "/20260101/eu-central-1/s3/aws4_request", "20260101T000000Z",
			"AuthorizationHeaderMalformed",
			"The authorization header is malformed; the region "
			"&apos;eu-central-1&apos; "
			"is wrong; expecting &apos;us-east-1&apos;" },
		{ T_KEY "/20260101/us-east-1/iam/aws4_request", "20260101T000000Z",
			"AuthorizationHeaderMalformed", NULL },
		{ T_KEY "/20260101/us-east-1/s3/aws5_request", "20260101T000000Z",
			"AuthorizationHeaderMalformed", NULL },
		{ T_KEY "/20251231/us-east-1/s3/aws4_request", "20260101T000000Z",
			"AuthorizationHeaderMalformed", NULL },
		{ T_KEY "/us-east-1/s3/aws4_request", "20260101T000000Z",
			"AuthorizationHeaderMalformed", NULL },
		{ T_KEY, "20260101T000000Z", "AuthorizationHeaderMalformed", NULL },
		{ T_KEY "/20260101/us-east-1/s3/aws4_request", "yesterday", "AccessDenied", NULL },
		{ T_KEY "/20260101/us-east-1/s3/aws4_request", "Thu, 01 Jan 2026 00:00:00 GMT",
			"AccessDenied", NULL },
		{ T_KEY "/20260101/us-east-1/s3/aws4_request", NULL, "AccessDenied", NULL },
		{ "AKIAWRONG/20260101/us-east-1/s3/aws4_request", "20260101T000000Z",
			"InvalidAccessKeyId", NULL },
	};
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("Authorization",
			lab_arena_printf(t.arena,
				"AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host, "
				"Signature=" GET_RANGE,
				rows[i].credential));
		if (rows[i].date != NULL)
			t_header("x-amz-date", rows[i].date);
		t_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
		(void)t_get("/mail/k");
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		if (rows[i].message != NULL)
			assert_row(i, strcmp(t_xml("Message"), rows[i].message) == 0 ||
					      strstr(t_xml("Message"), "expecting") != NULL);
	}
	t.sign = T_V4;
	t.region = "eu-central-1";
	assert_code(t_get("/mail/k"), 400, "AuthorizationHeaderMalformed");
	assert_string_equal(t_xml("Region"), "us-east-1");
}

static void date_header_serves_v4_without_amz_date(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGV4_HEX_SIZE];
	struct lab_buf canonical, to_sign;
	struct lab_error err;
	(void)state;

	lab_buf_init(&canonical, testing_heap, 4096);
	lab_buf_init(&to_sign, testing_heap, 4096);
	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("Date"), LAB_VIEW("Thu, 01 Jan 2026 00:00:00 GMT"));
	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("x-amz-content-sha256"), LAB_VIEW("UNSIGNED-PAYLOAD"));
	assert_int_equal(
		sigv4_canonical_request(&request, LAB_VIEW("date;host;x-amz-content-sha256"),
			LAB_VIEW("UNSIGNED-PAYLOAD"), &canonical, &err),
		0);
	sigv4_string_to_sign(LAB_VIEW("20260101T000000Z"),
		LAB_VIEW("20260101/us-east-1/s3/aws4_request"), lab_buf_view(&canonical), &to_sign);
	sigv4_signing_key(LAB_VIEW(T_SECRET), LAB_VIEW("20260101"), LAB_VIEW("us-east-1"),
		LAB_VIEW("s3"), key);
	sigv4_signature(key, lab_buf_view(&to_sign), signature);
	(void)lab_http_header_add(&request.headers, LAB_VIEW("Authorization"),
		lab_view_cstr(lab_arena_printf(t.arena,
			"AWS4-HMAC-SHA256 Credential=" T_KEY
			"/20260101/us-east-1/s3/aws4_request, SignedHeaders=date;host;x-amz-"
			"content-sha256, Signature=%s",
			signature)));
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 404, "NoSuchKey");
}

static void unsigned_headers_are_refused(void **state)
{
	static const struct {
		const char *name, *signed_headers, *missing;
	} rows[] = {
		{ "x-amz-meta-a", "host;x-amz-content-sha256;x-amz-date", "x-amz-meta-a" },
		{ "Range", "x-amz-content-sha256;x-amz-date", "host" },
		{ "Range", "host;x-amz-content-sha256", "x-amz-date" },
		{ "x-amz-meta-a", "host;x-amz-date", "x-amz-meta-a, x-amz-content-sha256" },
	};
	size_t i;
	(void)state;

	start_at(V4_EPOCH);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].name, "1");
		v4_headers(rows[i].signed_headers, GET_RANGE, EMPTY_HASH);
		assert_row(i, t_get("/mail/k") == 403);
		assert_row(i, strcmp(t_xml("HeadersNotSigned"), rows[i].missing) == 0);
	}
}

/* The JavaScript SDK v2 never signs it. */
static void content_type_need_not_be_signed(void **state)
{
	(void)state;

	start_at(V4_EPOCH);
	t_header("Content-Type", "text/plain");
	t_header("Range", "bytes=0-9");
	v4_headers("host;range;x-amz-content-sha256;x-amz-date", GET_RANGE, EMPTY_HASH);
	assert_code(t_send_to(V4_HOST, "GET", "/test.txt", lab_view_of(NULL, 0)), 404, "NoSuchKey");
}

static void malformed_authorization_says_what_is_wrong(void **state)
{
	static const struct {
		const char *components, *message;
	} rows[] = {
		{ "", "the authorization header requires three components: Credential, "
		      "SignedHeaders, and Signature." },
		{ " Credential=" V4_SCOPE ",SignedHeaders=host", "missing Signature." },
		{ " SignedHeaders=host,Signature=" GET_RANGE, "missing Credential." },
		{ " Credential=" V4_SCOPE ",Signature=" GET_RANGE, "missing SignedHeaders." },
		{ " Credential=" V4_SCOPE ",SignedHeaders=host,Signature", "Signature" },
		{ " Credential=a/b/c,SignedHeaders=host,Signature=" GET_RANGE,
			"the Credential is mal-formed" },
		{ " Credential=a/2013-05-24/us-east-1/s3/aws4_request,SignedHeaders=host,"
		  "Signature=" GET_RANGE,
			"incorrect date format" },
		{ " Credential=a/20130525/us-east-1/s3/aws4_request,SignedHeaders=host,"
		  "Signature=" GET_RANGE,
			"Invalid credential date" },
	};
	(void)state;

	start_at(V4_EPOCH);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("x-amz-date", "20130524T000000Z");
		t_header("x-amz-content-sha256", EMPTY_HASH);
		t_header("Authorization",
			lab_arena_printf(t.arena, "AWS4-HMAC-SHA256%s", rows[i].components));
		assert_row(i, t_get("/mail/k") == 400);
		assert_row(i, strcmp(t_xml("Code"), "AuthorizationHeaderMalformed") == 0);
		assert_row(i, strstr(t_xml("Message"), rows[i].message) != NULL);
	}
}

/* Each of these means one thing; twice, it means nothing. */
static void repeated_headers_of_the_signature_are_refused(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "x-amz-date", "20130524T000000Z", 403, "AccessDenied" },
		{ "x-amz-content-sha256", EMPTY_HASH, 400, "InvalidArgument" },
		{ "x-amz-security-token", "t", 400, "InvalidToken" },
		{ "Authorization", "AWS4-HMAC-SHA256 Credential=" V4_SCOPE, 400,
			"AuthorizationHeaderMalformed" },
	};
	(void)state;

	start_at(V4_EPOCH);
	t_credentials(T_KEY, "1", "t", 0);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].name, rows[i].value);
		if (strcmp(rows[i].name, "x-amz-security-token") != 0)
			t_header("x-amz-security-token", "t");
		else
			t_header(rows[i].name, rows[i].value);
		v4_headers("host;x-amz-content-sha256;x-amz-date;x-amz-security-token", GET_RANGE,
			EMPTY_HASH);
		assert_row(i, t_get("/mail/k") == rows[i].status);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
	}
}

static void signed_header_list_must_be_canonical_and_present(void **state)
{
	static const char *const lists[] = { "x-amz-date;x-amz-content-sha256;host",
		"Host;x-amz-content-sha256;x-amz-date", "host;host;x-amz-content-sha256;x-amz-date",
		"host;;x-amz-content-sha256;x-amz-date",
		"expect;host;x-amz-content-sha256;x-amz-date" };
	size_t i;
	(void)state;

	start_at(V4_EPOCH);
	for (i = 0; i < LAB_COUNT_OF(lists); i++) {
		v4_headers(lists[i], GET_RANGE, EMPTY_HASH);
		assert_row(i, t_get("/mail/k") == 403);
		assert_row(i, strcmp(t_xml("Code"), "SignatureDoesNotMatch") == 0);
	}
}

static void payload_hash_is_required_and_checked(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k"),
		.body = LAB_VIEW("hello") };
	(void)state;

	t_sign_request(&request);
	request.body = LAB_VIEW("hellO");
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 400, "XAmzContentSHA256Mismatch");
	assert_string_equal(t_xml("ClientComputedContentSHA256"),
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	assert_int_equal(strlen(t_xml("S3ComputedContentSHA256")), 64);
	assert_false(t_stored("k"));
	request.body = lab_view_of(NULL, 0);
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 400, "XAmzContentSHA256Mismatch");
	assert_string_equal(t_xml("S3ComputedContentSHA256"), EMPTY_HASH);
	start_at(V4_EPOCH);
	t_header("x-amz-date", "20130524T000000Z");
	t_header("Authorization", "AWS4-HMAC-SHA256 Credential=" V4_SCOPE
				  ",SignedHeaders=host;x-amz-date,Signature=" GET_RANGE);
	assert_code(t_get("/mail/k"), 400, "InvalidRequest");
	assert_string_equal(
		t_xml("Message"), "Missing required header for this request: x-amz-content-sha256");
	v4_headers("host", GET_RANGE, "abc");
	assert_code(t_get("/mail/k"), 400, "InvalidArgument");
	v4_headers("host", GET_RANGE, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD");
	assert_code(t_get("/mail/k"), 501, "NotImplemented");
}

static void clocks_may_differ_by_fifteen_minutes(void **state)
{
	enum t_sign signs[] = { T_V4, T_V2 };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(signs); i++) {
		t.sign = signs[i];
		t.client_skew = 900;
		assert_code(t_get("/mail/k"), 404, "NoSuchKey");
		t.client_skew = 901;
		assert_code(t_get("/mail/k"), 403, "RequestTimeTooSkewed");
		assert_string_equal(t_xml("MaxAllowedSkewMilliseconds"), "900000");
		assert_string_equal(t_xml("ServerTime"), "2026-01-01T00:00:00.000Z");
		t.client_skew = -900;
		assert_code(t_get("/mail/k"), 404, "NoSuchKey");
		t.client_skew = -901;
		assert_code(t_get("/mail/k"), 403, "RequestTimeTooSkewed");
		s3emu_set_skew(t.s3, -901 * INT64_C(1000000));
		assert_code(t_get("/mail/k"), 404, "NoSuchKey");
		s3emu_set_skew(t.s3, 0);
	}
}

static void buckets_can_refuse_sigv2(void **state)
{
	struct s3emu_bucket_options options = { .name = LAB_VIEW("new"), .refuse_sigv2 = true };
	struct lab_error err;
	(void)state;

	assert_int_equal(s3emu_bucket_add(t.s3, &options, &err), 0);
	t.sign = T_V2;
	assert_code(t_put("/new/k", "x"), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"),
		"The authorization mechanism you have provided is not supported. Please use "
		"AWS4-HMAC-SHA256.");
	assert_code(t_get("/new/k?AWSAccessKeyId=a&Signature=b&Expires=1"), 400, "InvalidArgument");
	t.sign = T_UNSIGNED;
	assert_code(t_get("/new/k?AWSAccessKeyId=a&Signature=b&Expires=1"), 400, "InvalidRequest");
	t.sign = T_V4;
	assert_int_equal(t_put("/new/k", "x"), 200);
}

/* ---- session tokens and accounts ---- */

static void session_tokens_must_match_and_live(void **state)
{
	enum t_sign signs[] = { T_V4, T_V2 };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(signs); i++) {
		t_start();
		t.now = 0;
		t.sign = signs[i];
		t_credentials("ASIATEMP", "111111111111", "the-token", T_EPOCH + 60);
		t.credentials.access_key_id = LAB_VIEW("ASIATEMP");
		t.credentials.token = LAB_VIEW("the-token");
		assert_int_equal(t_put("/mail/k", "x"), 200);
		t.credentials.token = LAB_VIEW("the-tokem");
		assert_code(t_get("/mail/k"), 400, "InvalidToken");
		t.credentials.token = lab_view_of(NULL, 0);
		assert_code(t_get("/mail/k"), 403, "InvalidAccessKeyId");
		t.credentials.token = LAB_VIEW("the-token");
		t_advance(60 * LAB_SEC - 1);
		assert_int_equal(t_get("/mail/k"), 200);
		t_advance(1);
		assert_code(t_get("/mail/k"), 400, "ExpiredToken");
		t.credentials.access_key_id = LAB_VIEW(T_KEY);
		assert_code(t_get("/mail/k"), 400, "InvalidToken");
		t.credentials.token = lab_view_of(NULL, 0);
		assert_int_equal(t_get("/mail/k"), 200);
	}
}

static void a_new_secret_replaces_the_old_one(void **state)
{
	struct sim_credentials credentials = { .account = LAB_VIEW("1"),
		.access_key_id = LAB_VIEW(T_KEY),
		.secret_access_key = LAB_VIEW("other") };
	(void)state;

	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	s3emu_credentials_sink(t.s3, &credentials);
	assert_code(t_get("/mail/k"), 403, "SignatureDoesNotMatch");
	t.credentials.secret_access_key = LAB_VIEW("other");
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	s3emu_credentials_remove(t.s3, LAB_VIEW(T_KEY));
	s3emu_credentials_remove(t.s3, LAB_VIEW(T_KEY));
	assert_code(t_get("/mail/k"), 403, "InvalidAccessKeyId");
}

static void the_signing_key_follows_the_date(void **state)
{
	(void)state;

	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	t_advance(86400 * LAB_SEC);
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	t.client_skew = -1;
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
}

static void full_registry_forgets_only_expired_keys(void **state)
{
	struct sim_credentials credentials = { .account = LAB_VIEW("1"),
		.access_key_id = LAB_VIEW("THIRD"),
		.secret_access_key = LAB_VIEW("s") };
	struct lab_error err;
	(void)state;

	t.options.limits.credentials_max = 2;
	t_start();
	t_credentials("SECOND", "1", "token", T_EPOCH + 10);
	assert_int_equal(s3emu_credentials_add(t.s3, &credentials, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	t_advance((10 + 3600) * LAB_SEC);
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	assert_int_equal(s3emu_credentials_add(t.s3, &credentials, &err), 0);
	credentials.access_key_id = lab_view_of(NULL, 0);
	assert_int_equal(s3emu_credentials_add(t.s3, &credentials, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
}

static void buckets_belong_to_their_owner(void **state)
{
	struct s3emu_bucket_options options = { .name = LAB_VIEW("theirs"),
		.owner = LAB_VIEW("222222222222") };
	struct lab_error err;
	(void)state;

	assert_int_equal(s3emu_bucket_add(t.s3, &options, &err), 0);
	t_credentials("AKIAOTHER", "222222222222", NULL, 0);
	assert_code(t_put("/theirs/k", "x"), 403, "AccessDenied");
	assert_int_equal(t_send("HEAD", "/theirs", lab_view_of(NULL, 0)), 403);
	t_header("x-amz-copy-source", "/theirs/k");
	assert_code(t_put("/mail/k", ""), 403, "AccessDenied");
	t.credentials.access_key_id = LAB_VIEW("AKIAOTHER");
	assert_int_equal(t_put("/theirs/k", "x"), 200);
}

/* ---- presigned by botocore 1.43 for a temporary key at 2026-01-01 ---- */

#define TOKEN_V2 "x-amz-security-token=the%2Ftoken%2Bwith%3Dsigns&Expires=1767229200"
#define BOTO_V2_GET \
	"/mail/k?AWSAccessKeyId=ASIATEMP&Signature=Wd51As0gnz4EQxTcE5HKFhWNXlc%3D&" TOKEN_V2
#define BOTO_V2_PUT \
	"/mail/k?AWSAccessKeyId=ASIATEMP&Signature=S5%2FqVwfBYgtW0eW22VAQMbIOSY8%3D&" \
	"x-amz-meta-a=b%20c&content-type=text%2Fplain&" TOKEN_V2
#define BOTO_V4 \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIATEMP%2F20260101%2F" \
	"us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&" \
	"X-Amz-SignedHeaders=host"
#define TOKEN_V4 "&X-Amz-Security-Token=the%2Ftoken%2Bwith%3Dsigns"
#define BOTO_V4_GET \
	"/mail/k?response-content-type=text%2Fplain&" BOTO_V4 TOKEN_V4 \
	"&X-Amz-Signature=795aaa239208748ebaf9554b7a2ccf33eb14631aea155dd7989e93509acba336"
#define BOTO_V4_PUT \
	"/mail/k?" BOTO_V4 "%3Bx-amz-meta-a" TOKEN_V4 \
	"&X-Amz-Signature=ee1647a686bddcc9d22dfaf3153a4f5e4b8ee18a25d686fd60428404d0d23b04"

static void start_boto(void)
{
	t.now = 0;
	t_start();
	t_credentials("ASIATEMP", "1", "the/token+with=signs", T_EPOCH + 1000);
	t.sign = T_UNSIGNED;
}

static void botocore_s_presigned_urls_pass_until_they_or_their_token_expire(void **state)
{
	static const struct {
		const char *put, *get;
	} rows[] = { { BOTO_V2_PUT, BOTO_V2_GET }, { BOTO_V4_PUT, BOTO_V4_GET } };
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		start_boto();
		t_header("Content-Type", "text/plain");
		if (i == 1)
			t_header("x-amz-meta-a", "b c");
		assert_row(i, t_put(rows[i].put, "x") == 200);
		assert_row(i, t_get(rows[i].get) == 200);
		/* SigV2: the metadata was in the query only. */
		assert_string_equal(t_reply_header("x-amz-meta-a"), "b c");
		t_advance(1000 * LAB_SEC);
		assert_row(i, t_get(rows[i].get) == 400);
		assert_string_equal(t_xml("Code"), "ExpiredToken");
		t_credentials("ASIATEMP", "1", "the/token+with=signs", 0);
		t_advance(2600 * LAB_SEC);
		assert_row(i, t_get(rows[i].get) == 200);
		t_advance(LAB_SEC);
		assert_row(i, t_get(rows[i].get) == 403);
		assert_string_equal(t_xml("Message"), "Request has expired");
		t_credentials("ASIATEMP", "1", "another", 0);
		assert_row(i, t_get(rows[i].get) == 400);
		assert_string_equal(t_xml("Code"), "InvalidToken");
	}
}

/* Some SDKs write headers into a presigned URL: they count, unless the header is sent as well. */
static void parameters_of_a_presigned_url_are_headers(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k?x-amz-meta-a=1&x-amz-checksum-crc32=NhCmhg%3D%3D&"
				   "x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject&"
				   "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"),
		.body = LAB_VIEW("hello") };
	struct sigv4_signer signer = { .credentials = &t.credentials,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = T_EPOCH,
		.heap = testing_heap };
	struct lab_error err;
	(void)state;

	assert_int_equal(sigv4_presign(&request, &signer, 60, LAB_VIEW(SIGV4_UNSIGNED_PAYLOAD),
				 t.arena, &err),
		0);
	t_submit(&request, "x");
	assert_int_equal(t.reply.response.status, 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc32"), "NhCmhg==");
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-meta-a"), "1");
	request.body = LAB_VIEW("hellO");
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 400, "BadDigest");
}

/* As core/aws signs: a hash in the URL is the payload's. */
static void a_hash_in_a_presigned_url_binds_the_body(void **state)
{
	struct lab_http_request request = {
		.method = LAB_VIEW("PUT"), .authority = LAB_VIEW(T_HOST), .body = LAB_VIEW("hello")
	};
	struct sigv4_signer signer = { .credentials = &t.credentials,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = T_EPOCH,
		.heap = testing_heap };
	char hash[SIGV4_HEX_SIZE];
	struct lab_error err;
	(void)state;

	sigv4_payload_hash(request.body, hash);
	request.target =
		lab_view_cstr(lab_arena_printf(t.arena, "/mail/k?X-Amz-Content-Sha256=%s", hash));
	assert_int_equal(
		sigv4_presign(&request, &signer, 60, lab_view_cstr(hash), t.arena, &err), 0);
	t_submit(&request, "x");
	assert_int_equal(t.reply.response.status, 200);
	request.body = LAB_VIEW("hellO");
	t_submit(&request, "x");
	assert_code(t.reply.response.status, 400, "XAmzContentSHA256Mismatch");
}

/* ---- presigned requests gone wrong ---- */

static void v4_query_parameters_are_checked(void **state)
{
#define Q_ALGORITHM "X-Amz-Algorithm=AWS4-HMAC-SHA256&"
#define Q_CREDENTIAL "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request&"
#define Q_DATE "X-Amz-Date=20260101T000000Z&"
#define Q_REST "X-Amz-SignedHeaders=host&X-Amz-Signature=" GET_RANGE
	static const struct {
		const char *query;
		const char *code, *message;
	} rows[] = {
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE Q_REST, "AuthorizationQueryParametersError",
			"requires" },
		{ "X-Amz-Signature=a", "AuthorizationQueryParametersError", "requires" },
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE "X-Amz-Expires=no&" Q_REST,
			"AuthorizationQueryParametersError", "should be a number" },
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE "X-Amz-Expires=-1&" Q_REST,
			"AuthorizationQueryParametersError", "non-negative" },
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE "X-Amz-Expires=604801&" Q_REST,
			"AuthorizationQueryParametersError", "less than a week" },
		{ "X-Amz-Algorithm=SHA1&" Q_CREDENTIAL Q_DATE "X-Amz-Expires=1&" Q_REST,
			"AuthorizationQueryParametersError", "only supports" },
		{ Q_ALGORITHM Q_CREDENTIAL "X-Amz-Date=20260101&X-Amz-Expires=1&" Q_REST,
			"AuthorizationQueryParametersError", "ISO8601" },
		{ Q_ALGORITHM "X-Amz-Credential=a/b&" Q_DATE "X-Amz-Expires=1&" Q_REST,
			"AuthorizationQueryParametersError", "mal-formed" },
		{ Q_ALGORITHM "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20260101/eu-west-1/s3/"
			      "aws4_request&" Q_DATE "X-Amz-Expires=1&" Q_REST,
			"AuthorizationQueryParametersError", "region" },
		{ Q_ALGORITHM "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20260102/us-east-1/s3/"
			      "aws4_request&" Q_DATE "X-Amz-Expires=1&" Q_REST,
			"AuthorizationQueryParametersError", "Invalid credential date" },
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE "X-Amz-Expires=604800&" Q_REST,
			"SignatureDoesNotMatch", "signature" },
		{ Q_ALGORITHM Q_CREDENTIAL Q_DATE
			"X-Amz-Expires=1&X-Amz-SignedHeaders=Host&X-Amz-Signature=a",
			"SignatureDoesNotMatch", "signature" },
	};
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		(void)t_get(lab_arena_printf(t.arena, "/mail/k?%s", rows[i].query));
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		assert_row(i, strstr(t_xml("Message"), rows[i].message) != NULL);
	}
}

static void two_ways_of_signing_at_once_are_refused(void **state)
{
	(void)state;

	assert_code(t_get("/mail/k?X-Amz-Algorithm=AWS4-HMAC-SHA256"), 400, "InvalidArgument");
	t.sign = T_UNSIGNED;
	assert_code(t_get("/mail/k?X-Amz-Signature=a&Signature=b"), 400, "InvalidArgument");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(published_v4_get_with_range),
		t_test(published_v4_put),
		t_test(published_v4_sub_resource_and_listing),
		t_test(published_v4_presigned_get_until_it_expires),
		t_test(published_v4_request_changed_is_refused),
		t_test(mismatch_shows_what_was_signed),
		t_test(published_v2_requests_pass),
		t_test(published_v2_query_until_it_expires),
		t_test(published_v2_uploads_pass),
		t_test(published_v2_query_of_the_bucket_in_the_text),
		t_test(v2_dates_far_away_are_skewed),
		t_test(v2_query_parameters_are_checked),
		t_test(both_signatures_cover_odd_requests),
		t_test(virtual_host_style_is_signed_too),
		t_test(presigned_by_our_signer_passes),
		t_test(nobody_is_refused),
		t_test(v4_scope_is_checked),
		t_test(date_header_serves_v4_without_amz_date),
		t_test(unsigned_headers_are_refused),
		t_test(signed_header_list_must_be_canonical_and_present),
		t_test(payload_hash_is_required_and_checked),
		t_test(clocks_may_differ_by_fifteen_minutes),
		t_test(buckets_can_refuse_sigv2),
		t_test(session_tokens_must_match_and_live),
		t_test(a_new_secret_replaces_the_old_one),
		t_test(the_signing_key_follows_the_date),
		t_test(full_registry_forgets_only_expired_keys),
		t_test(buckets_belong_to_their_owner),
		t_test(parameters_of_a_presigned_url_are_headers),
		t_test(a_hash_in_a_presigned_url_binds_the_body),
		t_test(botocore_s_presigned_urls_pass_until_they_or_their_token_expire),
		t_test(content_type_need_not_be_signed),
		t_test(malformed_authorization_says_what_is_wrong),
		t_test(repeated_headers_of_the_signature_are_refused),
		t_test(v4_query_parameters_are_checked),
		t_test(two_ways_of_signing_at_once_are_refused),
	};

	return cmocka_run_group_tests_name("s3-emulator auth", tests, NULL, NULL);
}
