/* SPDX-License-Identifier: Apache-2.0
 *
 * Checksums (s3 1.9): every algorithm in the header and behind the body, what is answered and when
 * it is shown again, and what S3 computes by itself.
 */
#include "sim/s3-emulator/testing-s3.h"

/* Of "123456789", big-endian, by other programs. */
static const struct row {
	const char *name, *header, *value;
} rows[] = {
	{ "CRC32", "x-amz-checksum-crc32", "y/Q5Jg==" },
	{ "CRC32C", "x-amz-checksum-crc32c", "4waSgw==" },
	{ "CRC64NVME", "x-amz-checksum-crc64nvme", "rosUhgp5mIg=" },
	{ "SHA1", "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=" },
	{ "SHA256", "x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=" },
	{ "SHA512", "x-amz-checksum-sha512",
		"2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1"
		"dPuo/+hQ==" },
	{ "MD5", "x-amz-checksum-md5", "JfnnlDI7RTiF9RgfG2JNCw==" },
	{ "XXHASH64", "x-amz-checksum-xxhash64", "jLhB20DmroM=" },
	{ "XXHASH3", "x-amz-checksum-xxhash3", "ctyxi2ehff8=" },
	{ "XXHASH128", "x-amz-checksum-xxhash128", "MxGUd+3l3NXpcWQnaB1YYA==" },
};

static void assert_shown(size_t i, const struct row *row)
{
	assert_row(i, t_reply_header(row->header) != NULL);
	assert_string_equal(t_reply_header(row->header), row->value);
	assert_string_equal(t_reply_header("x-amz-checksum-type"), "FULL_OBJECT");
}

static void assert_not_shown(const struct row *row)
{
	assert_null(t_reply_header(row->header));
	assert_null(t_reply_header("x-amz-checksum-type"));
}

/* Shown on GET and HEAD, if asked for, of the whole object only. */
static void assert_shown_when_asked(size_t i, const struct row *row)
{
	assert_int_equal(t_get("/mail/k"), 200);
	assert_not_shown(row);
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_get("/mail/k"), 200);
	assert_shown(i, row);
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_send("HEAD", "/mail/k", lab_view_of(NULL, 0)), 200);
	assert_shown(i, row);
	t_header("x-amz-checksum-mode", "ENABLED");
	t_header("Range", "bytes=0-3");
	assert_int_equal(t_get("/mail/k"), 206);
	assert_not_shown(row);
}

static void header_checksums_are_checked_and_shown(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("x-amz-sdk-checksum-algorithm", rows[i].name);
		t_header(rows[i].header, rows[i].value);
		assert_row(i, t_put("/mail/k", "123456789") == 200);
		assert_shown(i, &rows[i]);
		assert_shown_when_asked(i, &rows[i]);
	}
	t_header("x-amz-checksum-mode", "enabled?");
	assert_code(t_get("/mail/k"), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"), "Value for x-amz-checksum-mode header is invalid.");
}

static const char *with_last_byte_changed(const char *base64)
{
	struct lab_buf buf;
	const char *changed;

	lab_buf_init(&buf, testing_heap, 200);
	assert_int_equal(lab_buf_append_unbase64(&buf, lab_view_cstr(base64)), 0);
	buf.data[buf.len - 1] ^= 1;
	lab_buf_append_base64(&buf, lab_arena_copy(t.arena, lab_buf_view(&buf)));
	changed = lab_arena_cstr(
		t.arena, lab_view_skip(lab_buf_view(&buf), buf.len - strlen(base64)));
	lab_buf_done(&buf);
	return changed;
}

static void wrong_checksums_are_refused(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].header, rows[i].value);
		assert_row(i, t_put("/mail/k", "12345678") == 400);
		assert_string_equal(t_xml("Code"), "BadDigest");
		assert_string_equal(t_xml("Message"),
			lab_arena_printf(t.arena,
				"The %s you specified did not match the calculated checksum.",
				rows[i].name));
		/* wrong in its last byte only */
		t_header(rows[i].header, with_last_byte_changed(rows[i].value));
		assert_row(i, t_put("/mail/k", "123456789") == 400);
		assert_string_equal(t_xml("Code"), "BadDigest");
		/* base64 of another length, and no base64 */
		t_header(rows[i].header, "AAAA");
		assert_row(i, t_put("/mail/k", "123456789") == 400);
		assert_string_equal(t_xml("Code"), "InvalidRequest");
		assert_string_equal(t_xml("Message"),
			lab_arena_printf(
				t.arena, "Value for %s header is invalid.", rows[i].header));
		t_header(rows[i].header, rows[i].name);
		assert_row(i, t_put("/mail/k", "123456789") == 400);
		assert_string_equal(t_xml("Code"), "InvalidRequest");
	}
	assert_false(t_stored("k"));
}

static unsigned put_trailer(const char *header, const char *value)
{
	t_header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	t_header("x-amz-decoded-content-length", "9");
	t_header("x-amz-trailer", header);
	return t_put("/mail/k",
		lab_arena_printf(t.arena, "9\r\n123456789\r\n0\r\n%s:%s\r\n\r\n", header, value));
}

static void trailing_checksums_are_checked_and_shown(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("x-amz-sdk-checksum-algorithm", rows[i].name);
		assert_row(i, put_trailer(rows[i].header, rows[i].value) == 200);
		assert_shown(i, &rows[i]);
		assert_shown_when_asked(i, &rows[i]);
		assert_int_equal(t_delete("/mail/k"), 204);
		assert_row(i, put_trailer(rows[i].header, "AAAA") == 400);
		assert_string_equal(t_xml("Message"),
			lab_arena_printf(t.arena, "Value for %s trailing header is invalid.",
				rows[i].header));
		/* the value of another, where it has the right length */
		assert_row(i, put_trailer(rows[i].header, rows[(i + 1) % 2].value) == 400);
		assert_row(i, i < 2 ? strcmp(t_xml("Code"), "BadDigest") == 0
				    : strcmp(t_xml("Code"), "InvalidRequest") == 0);
		assert_false(t_stored("k"));
	}
}

static void one_checksum_and_the_one_that_was_said(void **state)
{
	static const struct {
		const char *sdk, *first, *second, *message;
	} wrong[] = {
		{ NULL, "x-amz-checksum-crc32", "x-amz-checksum-sha1",
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are "
			"not "
			"allowed." },
		{ NULL, "x-amz-checksum-md4", NULL,
			"The algorithm type you specified in x-amz-checksum- header is invalid." },
		{ "CRC32", NULL, NULL,
			"x-amz-sdk-checksum-algorithm specified, but no corresponding "
			"x-amz-checksum-* or x-amz-trailer headers were found." },
		{ "SHA1", "x-amz-checksum-crc32", NULL,
			"Value for x-amz-sdk-checksum-algorithm header is invalid." },
		{ "MD4", "x-amz-checksum-crc32", NULL,
			"Value for x-amz-sdk-checksum-algorithm header is invalid." },
	};
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(wrong); i++) {
		if (wrong[i].sdk != NULL)
			t_header("x-amz-sdk-checksum-algorithm", wrong[i].sdk);
		if (wrong[i].first != NULL)
			t_header(wrong[i].first, "y/Q5Jg==");
		if (wrong[i].second != NULL)
			t_header(wrong[i].second, "y/Q5Jg==");
		assert_row(i, t_put("/mail/k", "123456789") == 400);
		assert_string_equal(t_xml("Code"), "InvalidRequest");
		assert_string_equal(t_xml("Message"), wrong[i].message);
	}
	assert_false(t_stored("k"));
	/* botocore writes it in lower case */
	t_header("x-amz-sdk-checksum-algorithm", "crc32");
	t_header("x-amz-checksum-crc32", "y/Q5Jg==");
	assert_int_equal(t_put("/mail/k", "123456789"), 200);
}

static void crc64nvme_is_computed_for_who_sent_none(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "123456789"), 200);
	assert_shown(0, &rows[2]);
	assert_shown_when_asked(0, &rows[2]);
	t_content_md5(LAB_VIEW("hello"));
	assert_int_equal(t_put("/mail/k", "hello"), 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc64nvme"), "M3eFcAZSQlc=");
	assert_int_equal(t_put("/mail/k", ""), 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc64nvme"), "AAAAAAAAAAA=");
}

static void capacity_runs_compute_nothing(void **state)
{
	(void)state;

	t.options.hash_bodies = false;
	t_start();
	assert_int_equal(t_put("/mail/k", "123456789"), 200);
	assert_not_shown(&rows[2]);
	/* What the client says is believed, as long as it can be true. */
	t_header("x-amz-checksum-crc32", "AAAAAA==");
	assert_int_equal(t_put("/mail/k", "123456789"), 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc32"), "AAAAAA==");
	t_header("x-amz-checksum-crc32", "AAAA");
	assert_code(t_put("/mail/k", "123456789"), 400, "InvalidRequest");
}

static unsigned copy(const char *algorithm, const char *directive)
{
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-metadata-directive", directive);
	if (algorithm != NULL)
		t_header("x-amz-checksum-algorithm", algorithm);
	return t_put("/mail/copy", "");
}

static void copies_keep_or_get_checksums(void **state)
{
	static const char *const directives[] = { "COPY", "REPLACE" };
	size_t i, j;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].header, rows[i].value);
		assert_row(i, t_put("/mail/k", "123456789") == 200);
		for (j = 0; j < LAB_COUNT_OF(directives); j++) {
			assert_row(i, copy(NULL, directives[j]) == 200);
			assert_row(i, t_body_has(rows[i].value));
			assert_string_equal(t_xml("ChecksumType"), "FULL_OBJECT");
			t_header("x-amz-checksum-mode", "ENABLED");
			assert_int_equal(t_get("/mail/copy"), 200);
			assert_shown(i, &rows[i]);
			/* another one */
			assert_row(i, copy(rows[(i + 1) % LAB_COUNT_OF(rows)].name,
					      directives[j]) == 200);
			t_header("x-amz-checksum-mode", "ENABLED");
			assert_int_equal(t_get("/mail/copy"), 200);
			assert_shown(i, &rows[(i + 1) % LAB_COUNT_OF(rows)]);
			assert_null(t_reply_header(rows[i].header));
		}
	}
	assert_row(i, copy("MD4", "COPY") == 400);
}

static void copies_of_parts_get_a_checksum_of_the_whole(void **state)
{
	const char *id, *etag;
	(void)state;

	t_header("x-amz-checksum-algorithm", "CRC32");
	assert_int_equal(t_send("POST", "/mail/k?uploads", lab_view_of(NULL, 0)), 200);
	id = t_xml("UploadId");
	t_header(rows[0].header, rows[0].value);
	assert_int_equal(t_put(lab_arena_printf(t.arena, "/mail/k?partNumber=1&uploadId=%s", id),
				 "123456789"),
		200);
	etag = t_reply_header("ETag");
	assert_int_equal(t_send("POST", lab_arena_printf(t.arena, "/mail/k?uploadId=%s", id),
				 lab_view_cstr(lab_arena_printf(t.arena,
					 "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
					 "<ETag>%s</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>"
					 "</CompleteMultipartUpload>",
					 etag, rows[0].value))),
		200);
	assert_string_equal(t_xml("ChecksumType"), "COMPOSITE");
	assert_int_equal(copy(NULL, "COPY"), 200);
	assert_string_equal(t_xml("ChecksumCRC32"), rows[0].value);
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_get("/mail/copy"), 200);
	assert_shown(0, &rows[0]);
}

static void listings_name_the_algorithm(void **state)
{
	static const char *const queries[] = { "/mail", "/mail?list-type=2", "/mail?versions" };
	size_t i, j;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header(rows[i].header, rows[i].value);
		assert_row(i, t_put("/mail/k", "123456789") == 200);
		for (j = 0; j < LAB_COUNT_OF(queries); j++) {
			assert_int_equal(t_get(queries[j]), 200);
			assert_string_equal(t_xml("ChecksumAlgorithm"), rows[i].name);
			assert_string_equal(t_xml("ChecksumType"), "FULL_OBJECT");
		}
	}
}

/* A hash that was compared with the payload's is not computed again: it must be the same one. */
static void payload_hash_and_sha256_are_one(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < 2; i++) {
		if (i == 1)
			t_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
		t_header(rows[4].header, rows[4].value);
		assert_row(i, t_put("/mail/k", "123456789") == 200);
		if (i == 1)
			t_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
		t_header(rows[4].header, rows[4].value);
		assert_row(i, t_put("/mail/k", "12345678") == 400);
		assert_string_equal(t_xml("Code"), "BadDigest");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(header_checksums_are_checked_and_shown),
		t_test(wrong_checksums_are_refused),
		t_test(trailing_checksums_are_checked_and_shown),
		t_test(one_checksum_and_the_one_that_was_said),
		t_test(crc64nvme_is_computed_for_who_sent_none),
		t_test(capacity_runs_compute_nothing),
		t_test(listings_name_the_algorithm),
		t_test(copies_keep_or_get_checksums),
		t_test(copies_of_parts_get_a_checksum_of_the_whole),
		t_test(payload_hash_and_sha256_are_one),
	};

	return cmocka_run_group_tests_name("s3-emulator-checksums", tests, NULL, NULL);
}
