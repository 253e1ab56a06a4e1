/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

#define HUNDRED \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789"

static void put_then_get_returns_the_bytes(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/a/b", "hello"), 200);
	assert_string_equal(t_reply_header("ETag"), "\"5d41402abc4b2a76b9719d911017c592\"");
	assert_int_equal(t.reply.response.body.len, 0);
	assert_int_equal(t_get("/mail/a/b"), 200);
	assert_true(t_body_is("hello"));
	assert_string_equal(t_reply_header("ETag"), "\"5d41402abc4b2a76b9719d911017c592\"");
	assert_string_equal(t_reply_header("Content-Type"), "binary/octet-stream");
	assert_string_equal(t_reply_header("Accept-Ranges"), "bytes");
	assert_string_equal(t_reply_header("x-amz-server-side-encryption"), "AES256");
	assert_string_equal(t_reply_header("Last-Modified"), "Thu, 01 Jan 2026 00:00:00 GMT");
	assert_string_equal(t_reply_header("Server"), "AmazonS3");
	assert_string_equal(t_reply_header("Date"), "Thu, 01 Jan 2026 00:00:00 GMT");
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER);
}

static void empty_body_is_an_object(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/empty", ""), 200);
	assert_int_equal(t_get("/mail/empty"), 200);
	assert_int_equal(t.reply.response.body.len, 0);
	assert_string_equal(t_reply_header("ETag"), "\"d41d8cd98f00b204e9800998ecf8427e\"");
}

static void head_has_the_headers_of_get(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "hello"), 200);
	assert_int_equal(t_send("HEAD", "/mail/k", lab_view_of(NULL, 0)), 200);
	assert_true(t.reply.head);
	assert_int_equal(t.reply.response.body.len, 5);
	assert_string_equal(t_logged()->operation, "HEAD");
	assert_int_equal(t_send("HEAD", "/mail/none", lab_view_of(NULL, 0)), 404);
	assert_true(t.reply.head);
	assert_int_equal(t.reply.response.body.len, 0);
}

static void missing_key_is_named(void **state)
{
	(void)state;

	assert_code(t_get("/mail/not%20there"), 404, "NoSuchKey");
	assert_string_equal(t_xml("Key"), "not there");
	assert_string_equal(t_xml("RequestId"), t_reply_header("x-amz-request-id"));
	assert_string_equal(t_xml("HostId"), t_reply_header("x-amz-id-2"));
	assert_string_equal(t_reply_header("Content-Type"), "application/xml");
	assert_code(t_get("/nothere/x"), 404, "NoSuchBucket");
	assert_string_equal(t_xml("BucketName"), "nothere");
}

static void request_ids_are_unique_and_from_the_seed(void **state)
{
	char first[100][17];
	size_t i, j, round;
	(void)state;

	for (round = 0; round < 2; round++) {
		t_start();
		for (i = 0; i < 100; i++) {
			(void)t_get("/mail/x");
			assert_int_equal(strlen(t_reply_header("x-amz-request-id")), 16);
			assert_int_equal(strlen(t_reply_header("x-amz-id-2")), 76);
			if (round == 1)
				assert_string_equal(first[i], t_reply_header("x-amz-request-id"));
			memcpy(first[i], t_reply_header("x-amz-request-id"), 17);
			for (j = 0; j < i; j++)
				assert_string_not_equal(first[i], first[j]);
		}
	}
	t.options.seed = 8;
	t_start();
	(void)t_get("/mail/x");
	assert_string_not_equal(first[0], t_reply_header("x-amz-request-id"));
}

static void delete_is_204_also_when_missing(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_delete("/mail/k"), 204);
	assert_int_equal(t.reply.response.body.len, 0);
	assert_false(t_stored("k"));
	assert_int_equal(t_delete("/mail/k"), 204);
	assert_true(t_logged()->applied);
	assert_int_equal(s3emu_counters(t.s3)->deleted, 1);
	assert_int_equal(s3emu_counters(t.s3)->deleted_missing, 1);
}

static void keys_are_never_normalised(void **state)
{
	static const char *const targets[] = { "/mail/../key", "/mail/foo/../key", "/mail//",
		"/mail//key", "/mail/./key", "/mail/key/", "/mail/key", "/mail/KEY", "/mail/k%2Fey",
		"/mail/%E2%82%AC" };
	static const char *const keys[] = { "../key", "foo/../key", "/", "/key", "./key", "key/",
		"key", "KEY", "k/ey", "\xe2\x82\xac" };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(targets); i++)
		assert_row(i, t_put(targets[i], keys[i]) == 200);
	assert_int_equal(s3emu_counters(t.s3)->objects, LAB_COUNT_OF(targets));
	for (i = 0; i < LAB_COUNT_OF(targets); i++) {
		assert_row(i, t_stored(keys[i]));
		assert_row(i, t_get(targets[i]) == 200 && t_body_is(keys[i]));
	}
}

static void key_of_1024_bytes_is_the_longest(void **state)
{
	char target[1100];
	(void)state;

	memset(target, 'k', sizeof(target));
	memcpy(target, "/mail/", 6);
	target[6 + 1024] = '\0';
	assert_int_equal(t_put(target, "x"), 200);
	target[6 + 1024] = 'k';
	target[6 + 1025] = '\0';
	assert_code(t_put(target, "x"), 400, "KeyTooLongError");
	assert_string_equal(t_xml("Size"), "1025");
}

static void bad_uris_are_refused(void **state)
{
	static const char *const targets[] = { "/mail/%", "/mail/%4", "/mail/%zz", "/mail/%ff",
		"/mail/%ed%a0%80", "/mail/%c0%80", "/mail/%e0%80%80", "/mail/%f0%80%80%80",
		"/mail/%f4%90%80%80", "/mail/%e2%82", "/mail/k?a=%", "/mail/%e2%28%a1", "mail/k",
		"", "*" };
	size_t i;
	(void)state;

	t.sign = T_UNSIGNED;
	for (i = 0; i < LAB_COUNT_OF(targets); i++) {
		assert_row(i, t_get(targets[i]) == 400);
		assert_row(i, strcmp(t_xml("Code"), "InvalidURI") == 0);
	}
}

static void ranges_follow_the_table(void **state)
{
	static const struct {
		const char *range;
		unsigned status;
		const char *content_range;
		size_t length;
	} rows[] = {
		{ "bytes=0-0", 206, "bytes 0-0/100", 1 },
		{ "bytes=50-", 206, "bytes 50-99/100", 50 },
		{ "bytes=-10", 206, "bytes 90-99/100", 10 },
		{ "bytes=90-200", 206, "bytes 90-99/100", 10 },
		{ "bytes=-101", 206, "bytes 0-99/100", 100 },
		{ "bytes=-0", 416, NULL, 0 },
		{ "bytes=100-100", 416, NULL, 0 },
		{ "bytes=100-110", 416, NULL, 0 },
		{ "bytes=10-5", 200, NULL, 100 },
		{ "bytes=a-b", 200, NULL, 100 },
		{ "bytes=-", 200, NULL, 100 },
		{ "bytes=5", 200, NULL, 100 },
		{ "bytes=0-1,3-4", 200, NULL, 100 },
		{ "lines=0-1", 200, NULL, 100 },
		{ "bytes=0-18446744073709551616", 200, NULL, 100 },
		{ "bytes=0-18446744073709551615", 206, "bytes 0-99/100", 100 },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", HUNDRED), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("Range", rows[i].range);
		assert_row(i, t_get("/mail/k") == rows[i].status);
		if (rows[i].status == 416) {
			assert_row(i, strcmp(t_xml("Code"), "InvalidRange") == 0);
			assert_row(i, strcmp(t_xml("RangeRequested"), rows[i].range) == 0);
			assert_row(i, strcmp(t_xml("ActualObjectSize"), "100") == 0);
			continue;
		}
		assert_row(i, t.reply.response.body.len == rows[i].length);
		if (rows[i].content_range != NULL)
			assert_string_equal(t_reply_header("Content-Range"), rows[i].content_range);
		else
			assert_row(i, t_reply_header("Content-Range") == NULL);
	}
	t_header("Range", "bytes=13-15");
	assert_int_equal(t_get("/mail/k"), 206);
	assert_true(t_body_is("345"));
}

static void range_of_an_empty_object_is_not_satisfiable(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", ""), 200);
	t_header("Range", "bytes=0-");
	assert_code(t_get("/mail/k"), 416, "InvalidRange");
	t_header("Range", "bytes=-1");
	assert_code(t_get("/mail/k"), 416, "InvalidRange");
}

static void if_range_guards_the_range(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", HUNDRED), 200);
	t_header("Range", "bytes=0-1");
	t_header("If-Range", "\"other\"");
	assert_int_equal(t_get("/mail/k"), 200);
	t_header("Range", "bytes=0-1");
	t_header("If-Range", "Thu, 01 Jan 2026 00:00:00 GMT");
	assert_int_equal(t_get("/mail/k"), 206);
}

static void read_conditions_follow_rfc_7232(void **state)
{
	static const char etag[] = "\"5d41402abc4b2a76b9719d911017c592\"";
	static const char before[] = "Wed, 31 Dec 2025 23:59:59 GMT";
	static const char at[] = "Thu, 01 Jan 2026 00:00:00 GMT";
	static const struct {
		const char *name, *value, *name2, *value2;
		unsigned status;
	} rows[] = {
		{ "If-Match", etag, NULL, NULL, 200 },
		{ "If-Match", "5d41402abc4b2a76b9719d911017c592", NULL, NULL, 200 },
		{ "If-Match", "\"a\", \"b\"", NULL, NULL, 412 },
		{ "If-Match", "*", NULL, NULL, 200 },
		{ "If-None-Match", etag, NULL, NULL, 304 },
		{ "If-None-Match", "\"a\", W/\"5d41402abc4b2a76b9719d911017c592\"", NULL, NULL,
			304 },
		{ "If-None-Match", "\"a\"", NULL, NULL, 200 },
		{ "If-Modified-Since", at, NULL, NULL, 304 },
		{ "If-Modified-Since", before, NULL, NULL, 200 },
		{ "If-Modified-Since", "rubbish", NULL, NULL, 200 },
		{ "If-Unmodified-Since", before, NULL, NULL, 412 },
		{ "If-Unmodified-Since", at, NULL, NULL, 200 },
		{ "If-Match", etag, "If-Unmodified-Since", before, 200 },
		{ "If-None-Match", "\"a\"", "If-Modified-Since", at, 200 },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "hello"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].name, rows[i].value);
		if (rows[i].name2 != NULL)
			t_header(rows[i].name2, rows[i].value2);
		assert_row(i, t_get("/mail/k") == rows[i].status);
		if (rows[i].status == 304) {
			assert_row(i, t.reply.response.body.len == 0);
			assert_string_equal(t_reply_header("ETag"), etag);
		}
		if (rows[i].status == 412)
			assert_string_equal(t_xml("Condition"), rows[i].name);
	}
}

static void conditional_put_creates_only_once(void **state)
{
	(void)state;

	t_header("If-None-Match", "*");
	assert_int_equal(t_put("/mail/k", "first"), 200);
	t_header("If-None-Match", "*");
	assert_code(t_put("/mail/k", "second"), 412, "PreconditionFailed");
	assert_false(t_logged()->applied);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("first"));
	t_header("If-None-Match", "\"etag\"");
	assert_code(t_put("/mail/k", "third"), 501, "NotImplemented");
	assert_string_equal(t_xml("Header"), "If-None-Match");
}

static void conditional_put_and_delete_by_etag(void **state)
{
	char etag[40];
	(void)state;

	assert_int_equal(t_put("/mail/k", "first"), 200);
	(void)snprintf(etag, sizeof(etag), "%s", t_reply_header("ETag"));
	t_header("If-Match", "\"wrong\"");
	assert_code(t_put("/mail/k", "second"), 412, "PreconditionFailed");
	t_header("If-Match", etag);
	assert_int_equal(t_put("/mail/k", "second"), 200);
	t_header("If-Match", etag);
	assert_code(t_delete("/mail/k"), 412, "PreconditionFailed");
	t_header("If-Match", etag);
	assert_code(t_put("/mail/none", "x"), 404, "NoSuchKey");
	t_header("If-Match", "*");
	assert_int_equal(t_delete("/mail/k"), 204);
	t_header("If-None-Match", "*");
	assert_code(t_delete("/mail/k"), 501, "NotImplemented");
}

static void metadata_comes_back_in_lower_case(void **state)
{
	(void)state;

	t_header("X-Amz-Meta-Dovecot-Fname", "u/x/mail.1");
	t_header("x-amz-meta-dovecot-guid", " abc ");
	t_header("Content-Type", "message/rfc822");
	t_header("Cache-Control", "no-cache");
	t_header("X-Dovecot-Username", "u@example.com");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_string_equal(t_logged()->user, "u@example.com");
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-meta-dovecot-fname"), "u/x/mail.1");
	assert_string_equal(t_reply_header("x-amz-meta-dovecot-guid"), "abc");
	assert_string_equal(t_reply_header("Content-Type"), "message/rfc822");
	assert_string_equal(t_reply_header("Cache-Control"), "no-cache");
	assert_null(t_reply_header("X-Dovecot-Username"));
}

static void repeated_and_foreign_metadata(void **state)
{
	(void)state;

	t_header("x-amz-meta-a", "1");
	t_header("x-amz-meta-A", "2");
	t_header("x-amz-meta-u", "gr\xc3\xbc\xc3\x9f");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-meta-a"), "1,2");
	assert_string_equal(t_reply_header("x-amz-meta-u"), "=?UTF-8?B?Z3LDvMOf?=");
}

static void metadata_is_limited(void **state)
{
	char value[9000];
	size_t i;
	(void)state;

	memset(value, 'v', sizeof(value));
	value[2047] = '\0';
	t_header("x-amz-meta-k", value);
	assert_int_equal(t_put("/mail/k", "x"), 200);
	value[2047] = 'v';
	value[2048] = '\0';
	t_header("x-amz-meta-k", value);
	assert_code(t_put("/mail/k", "x"), 400, "MetadataTooLarge");
	assert_string_equal(t_xml("Size"), "2049");
	value[2048] = 'v';
	value[8192] = '\0';
	t_header("x-other", value);
	assert_code(t_put("/mail/k", "x"), 400, "RequestHeaderSectionTooLarge");
	for (i = 0; i < 47; i++)
		t_header(lab_arena_printf(t.arena, "x-amz-meta-%zu", i), "1");
	assert_code(t_put("/mail/k", "x"), 400, "MetadataTooLarge");
	for (i = 0; i < 46; i++)
		t_header(lab_arena_printf(t.arena, "x-amz-meta-%zu", i), "1");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k?response-content-type=a&response-expires=b&response-"
			       "cache-control=c&response-content-disposition=d&response-content-"
			       "encoding=e&response-content-language=f"),
		200);
}

static void content_md5_is_checked(void **state)
{
	(void)state;

	t_content_md5(LAB_VIEW("hello"));
	assert_int_equal(t_put("/mail/k", "hello"), 200);
	t_content_md5(LAB_VIEW("other"));
	assert_code(t_put("/mail/k2", "hello"), 400, "BadDigest");
	assert_string_equal(t_xml("CalculatedDigest"), "XUFAKrxLKna5cZ2REBfFkg==");
	t_header("Content-MD5", "aGVsbG8=");
	assert_code(t_put("/mail/k2", "hello"), 400, "InvalidDigest");
	t_header("Content-MD5", "***");
	assert_code(t_put("/mail/k2", "hello"), 400, "InvalidDigest");
	assert_false(t_stored("k2"));
}

static void what_we_do_not_have_is_never_ignored(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "x-amz-server-side-encryption", "aws:kms", 501, "NotImplemented" },
		{ "x-amz-server-side-encryption-customer-algorithm", "AES256", 501,
			"NotImplemented" },
		{ "x-amz-tagging", "a*=b", 400, "InvalidTag" },
		{ "x-amz-object-lock-mode", "GOVERNANCE", 501, "NotImplemented" },
		{ "x-amz-acl", "public-read", 400, "AccessControlListNotSupported" },
		{ "x-amz-grant-read", "id=1", 400, "AccessControlListNotSupported" },
		{ "x-amz-storage-class", "TAPE", 400, "InvalidStorageClass" },
	};
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].name, rows[i].value);
		assert_row(i, t_put("/mail/k", "x") == rows[i].status);
		assert_string_equal(t_xml("Code"), rows[i].code);
		assert_row(i, !t_stored("k"));
	}
	t_header("x-amz-server-side-encryption", "AES256");
	t_header("x-amz-acl", "private");
	t_header("x-amz-storage-class", "STANDARD_IA");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-storage-class"), "STANDARD_IA");
}

static void response_overrides_replace_headers(void **state)
{
	(void)state;

	t_header("Content-Type", "text/plain");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k?response-content-type=a%2Fb&response-expires=never"), 200);
	assert_string_equal(t_reply_header("Content-Type"), "a/b");
	assert_string_equal(t_reply_header("Expires"), "never");
	assert_code(t_get("/mail/k?response-expires=a%0D%0Ab"), 400, "InvalidArgument");
}

static void only_the_null_version_is_there(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k?versionId=null"), 200);
	assert_code(t_get("/mail/k?versionId=abc"), 400, "InvalidArgument");
	assert_code(t_delete("/mail/k?versionId=abc"), 400, "InvalidArgument");
	assert_true(t_stored("k"));
}

static void length_headers_are_checked(void **state)
{
	(void)state;

	t_header("Transfer-Encoding", "chunked");
	assert_code(t_put("/mail/k", "x"), 411, "MissingContentLength");
	t_header("Content-Length", "-1");
	assert_code(t_put("/mail/k", "x"), 400, "BadRequest");
	t_header("Content-Length", "5");
	assert_code(t_put("/mail/k", "abc"), 400, "IncompleteBody");
	t_header("Content-Length", "1");
	assert_code(t_put("/mail/k", "abc"), 400, "BadRequest");
	t_header("Content-Length", "3");
	assert_int_equal(t_put("/mail/k", "abc"), 200);
	assert_string_equal(t_logged()->operation, "PUT");
}

static void object_size_and_store_are_bounded(void **state)
{
	struct lab_view big;
	(void)state;

	if (!T_STORES_IN_MEMORY)
		skip();
	t.options.limits.object_bytes_max = 1000;
	t.options.limits.stored_bytes_max = 3400;
	t.options.limits.objects_max = 3;
	t_start();
	big = lab_view_of(lab_arena_alloc(t.arena, 1001), 1001);
	assert_code(t_send("PUT", "/mail/k", big), 400, "EntityTooLarge");
	assert_string_equal(t_xml("MaxSizeAllowed"), "1000");
	big.len = 1000;
	assert_int_equal(t_send("PUT", "/mail/1", big), 200);
	assert_int_equal(t_send("PUT", "/mail/2", big), 200);
	assert_code(t_send("PUT", "/mail/3", big), 503, "ServiceUnavailable");
	assert_false(t_stored("3"));
	assert_int_equal(t_delete("/mail/1"), 204);
	assert_int_equal(t_send("PUT", "/mail/3", big), 200);
	assert_int_equal(t_put("/mail/2", ""), 200);
	assert_int_equal(t_put("/mail/4", ""), 200);
	assert_code(t_put("/mail/5", ""), 503, "ServiceUnavailable");
	assert_int_equal(t_put("/mail/4", "x"), 200);
	assert_int_equal(s3emu_counters(t.s3)->objects, 3);
	assert_int_equal(s3emu_counters(t.s3)->stored_bytes, 1001);
}

/* ---- copy ---- */

static void copy_keeps_or_replaces_metadata(void **state)
{
	(void)state;

	t_header("x-amz-meta-a", "1");
	t_header("Content-Type", "text/plain");
	assert_int_equal(t_put("/mail/from", "hello"), 200);
	t_header("x-amz-copy-source", "/mail/from");
	assert_int_equal(t_put("/mail/to", ""), 200);
	assert_string_equal(t_xml("LastModified"), "2026-01-01T00:00:00.000Z");
	assert_string_equal(t_xml("ETag"), "&quot;5d41402abc4b2a76b9719d911017c592&quot;");
	assert_string_equal(t_logged()->operation, "COPY");
	assert_int_equal(t_get("/mail/to"), 200);
	assert_true(t_body_is("hello"));
	assert_string_equal(t_reply_header("x-amz-meta-a"), "1");
	t_header("x-amz-copy-source", "mail/from?versionId=null");
	t_header("x-amz-metadata-directive", "REPLACE");
	t_header("x-amz-meta-b", "2");
	assert_int_equal(t_put("/mail/to", ""), 200);
	assert_int_equal(t_get("/mail/to"), 200);
	assert_true(t_body_is("hello"));
	assert_null(t_reply_header("x-amz-meta-a"));
	assert_string_equal(t_reply_header("x-amz-meta-b"), "2");
	assert_int_equal(t_delete("/mail/from"), 204);
	assert_int_equal(t_get("/mail/to"), 200);
	assert_true(t_body_is("hello"));
}

static void copy_decodes_its_source(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/a%20b%2Bc", "x"), 200);
	t_header("x-amz-copy-source", "/mail/a%20b%2Bc");
	assert_int_equal(t_put("/mail/to", ""), 200);
	assert_true(t_stored("to"));
}

static void copy_to_itself_needs_a_change(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	t_header("x-amz-copy-source", "/mail/k");
	assert_code(t_put("/mail/k", ""), 400, "InvalidRequest");
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-metadata-directive", "REPLACE");
	t_header("x-amz-meta-mtime", "1");
	assert_int_equal(t_put("/mail/k", ""), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("x"));
	assert_string_equal(t_reply_header("x-amz-meta-mtime"), "1");
}

static void wrong_copies_are_refused(void **state)
{
	static const struct {
		const char *source, *name, *value;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "/mail/none", NULL, NULL, 404, "NoSuchKey" },
		{ "/nothere/k", NULL, NULL, 404, "NoSuchBucket" },
		{ "mail", NULL, NULL, 400, "InvalidArgument" },
		{ "/mail/", NULL, NULL, 400, "InvalidArgument" },
		{ "/mail/%zz", NULL, NULL, 400, "InvalidArgument" },
		{ "/mail/k?versionId=1", NULL, NULL, 400, "InvalidArgument" },
		{ "/mail/k", "x-amz-metadata-directive", "MERGE", 400, "InvalidArgument" },
		{ "/mail/k", "x-amz-tagging-directive", "MERGE", 400, "InvalidArgument" },
		{ "/mail/k", "x-amz-copy-source-if-match", "\"a\"", 412, "PreconditionFailed" },
		{ "/mail/k", "x-amz-copy-source-if-none-match", "*", 412, "PreconditionFailed" },
		{ "/mail/k", "x-amz-copy-source-if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT",
			412, "PreconditionFailed" },
		{ "/mail/k", "x-amz-copy-source-if-unmodified-since",
			"Wed, 31 Dec 2025 00:00:00 GMT", 412, "PreconditionFailed" },
		{ "/mail/k", "If-None-Match", "*", 412, "PreconditionFailed" },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_put("/mail/to", "old"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("x-amz-copy-source", rows[i].source);
		if (rows[i].name != NULL)
			t_header(rows[i].name, rows[i].value);
		assert_row(i, t_put("/mail/to", "") == rows[i].status);
		assert_string_equal(t_xml("Code"), rows[i].code);
		assert_row(i, !t_logged()->applied);
	}
	assert_int_equal(t_get("/mail/to"), 200);
	assert_true(t_body_is("old"));
}

/* ---- what the oracle sees ---- */

static void snapshot_counts_creations_and_overwrites(void **state)
{
	struct s3emu_object_info info;
	(void)state;

	t.options.remember_deleted = true;
	t_start();
	assert_int_equal(t_put("/mail/k", "1"), 200);
	assert_int_equal(t_put("/mail/k", "2"), 200);
	assert_int_equal(t_delete("/mail/k"), 204);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("k"), &info), 0);
	assert_code(t_get("/mail/k"), 404, "NoSuchKey");
	assert_int_equal(t_delete("/mail/k"), 204);
	t_header("x-amz-meta-dovecot-guid", "g");
	assert_int_equal(t_put("/mail/k", "333"), 200);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("k"), &info), 1);
	assert_int_equal(info.creations, 2);
	assert_int_equal(info.overwritten, 1);
	assert_int_equal(info.size, 3);
	assert_true(lab_view_eq_cstr(info.body, "333"));
	assert_true(lab_view_eq_cstr(info.etag, "310dcbbf4cce62f762a2aaa148d556bd"));
	assert_int_equal(info.header_count, 2);
	assert_true(lab_view_eq_cstr(info.headers[0].name, "x-amz-meta-dovecot-guid"));
	assert_true(lab_view_eq_cstr(info.headers[1].name, "x-amz-checksum-crc64nvme"));
	assert_int_equal(info.body_hash, t_logged()->body_hash);
	assert_int_equal(info.modified_unix_us, T_EPOCH * 1000000);
	assert_int_equal(s3emu_counters(t.s3)->created, 2);
	assert_int_equal(s3emu_counters(t.s3)->overwritten, 1);
}

static void snapshot_iterates_in_key_order(void **state)
{
	struct s3emu_object_info info;
	struct s3emu_iter iter;
	struct lab_error err;
	struct lab_view name;
	(void)state;

	assert_int_equal(t_put("/mail/b", "2"), 200);
	assert_int_equal(t_put("/mail/a", "1"), 200);
	assert_int_equal(t_put("/mail/c", "3"), 200);
	assert_int_equal(s3emu_objects(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("aa"), &iter, &err), 0);
	assert_true(s3emu_objects_next(&iter, &info));
	assert_true(lab_view_eq_cstr(info.key, "b"));
	assert_true(s3emu_objects_next(&iter, &info));
	assert_true(lab_view_eq_cstr(info.key, "c"));
	assert_false(s3emu_objects_next(&iter, &info));
	assert_int_equal(
		s3emu_objects(t.s3, LAB_VIEW("nothere"), lab_view_of(NULL, 0), &iter, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	t_bucket("another");
	assert_true(s3emu_bucket_next(t.s3, lab_view_of(NULL, 0), &name));
	assert_true(lab_view_eq_cstr(name, "another"));
	assert_true(s3emu_bucket_next(t.s3, name, &name));
	assert_true(lab_view_eq_cstr(name, "mail"));
	assert_false(s3emu_bucket_next(t.s3, name, &name));
}

static void counters_know_class_and_status(void **state)
{
	const struct s3emu_counters *counters = s3emu_counters(t.s3);
	(void)state;

	(void)t_put("/mail/k", "hello");
	(void)t_get("/mail/k");
	(void)t_get("/mail/none");
	(void)t_send("HEAD", "/mail/k", lab_view_of(NULL, 0));
	assert_int_equal(counters->requests, 4);
	assert_int_equal(counters->by_status[S3EMU_PUT][200], 1);
	assert_int_equal(counters->by_status[S3EMU_GET][200], 1);
	assert_int_equal(counters->by_status[S3EMU_GET][404], 1);
	assert_int_equal(counters->by_status[S3EMU_HEAD][200], 1);
	assert_int_equal(counters->bytes_in, 5);
	assert_int_equal(counters->bytes_out, 5);
	assert_int_equal(counters->objects, 1);
	assert_string_equal(s3emu_class_name(S3EMU_BULK_DELETE), "POST-DELETE");
}

static void capacity_runs_need_no_signature_and_no_md5(void **state)
{
	(void)state;

	t.options.verify_signatures = false;
	t.options.hash_bodies = false;
	t_start();
	t.sign = T_UNSIGNED;
	t_header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==");
	t_header("x-amz-checksum-crc32", "AAAAAA==");
	assert_int_equal(t_put("/mail/k", "hello"), 200);
	assert_int_equal(strlen(t_reply_header("ETag")), 34);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("hello"));
	t_header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	assert_code(t_put("/mail/k", "hello"), 411, "MissingContentLength");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(put_then_get_returns_the_bytes),
		t_test(empty_body_is_an_object),
		t_test(head_has_the_headers_of_get),
		t_test(missing_key_is_named),
		t_test(request_ids_are_unique_and_from_the_seed),
		t_test(delete_is_204_also_when_missing),
		t_test(keys_are_never_normalised),
		t_test(key_of_1024_bytes_is_the_longest),
		t_test(bad_uris_are_refused),
		t_test(ranges_follow_the_table),
		t_test(range_of_an_empty_object_is_not_satisfiable),
		t_test(if_range_guards_the_range),
		t_test(read_conditions_follow_rfc_7232),
		t_test(conditional_put_creates_only_once),
		t_test(conditional_put_and_delete_by_etag),
		t_test(metadata_comes_back_in_lower_case),
		t_test(repeated_and_foreign_metadata),
		t_test(metadata_is_limited),
		t_test(content_md5_is_checked),
		t_test(what_we_do_not_have_is_never_ignored),
		t_test(response_overrides_replace_headers),
		t_test(only_the_null_version_is_there),
		t_test(length_headers_are_checked),
		t_test(object_size_and_store_are_bounded),
		t_test(copy_keeps_or_replaces_metadata),
		t_test(copy_decodes_its_source),
		t_test(copy_to_itself_needs_a_change),
		t_test(wrong_copies_are_refused),
		t_test(snapshot_counts_creations_and_overwrites),
		t_test(snapshot_iterates_in_key_order),
		t_test(counters_know_class_and_status),
		t_test(capacity_runs_need_no_signature_and_no_md5),
	};

	return cmocka_run_group_tests_name("s3-emulator objects", tests, NULL, NULL);
}
