/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies in chunks: the published examples (s3 1.8) end to end, what clients send (s3 1.10), and
 * everything that may be wrong with it.
 */
#include "sim/s3-emulator/testing-s3.h"

#define V4_EPOCH INT64_C(1369353600) /* 2013-05-24T00:00:00Z */
#define SIGNED "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define SIGNED_TRAILER "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
#define UNSIGNED_TRAILER "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#define EXAMPLE_SIZE 66560

static const char *const chunk_signatures[] = {
	"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
	"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
	"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
};
static const char *const trailer_chunk_signatures[] = {
	"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
	"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
	"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"
};
#define TRAILER \
	"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" \
	"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"

static struct lab_view view_of(struct lab_buf *buf)
{
	struct lab_view view = lab_arena_copy(t.arena, lab_buf_view(buf));

	lab_buf_done(buf);
	return view;
}

/* 65536, 1024, and no times 'a', as in the examples. */
static struct lab_view example_body(const char *const *signatures, const char *trailer)
{
	static const size_t sizes[] = { 65536, 1024, 0 };
	struct lab_buf body;
	size_t i, j;

	lab_buf_init(&body, testing_heap, 1 << 20);
	for (i = 0; i < LAB_COUNT_OF(sizes); i++) {
		lab_buf_printf(&body, "%zx;chunk-signature=%s\r\n", sizes[i], signatures[i]);
		for (j = 0; j < sizes[i]; j++)
			lab_buf_append_byte(&body, 'a');
		if (sizes[i] > 0)
			lab_buf_append_cstr(&body, "\r\n");
	}
	lab_buf_append_cstr(&body, trailer);
	lab_buf_append_cstr(&body, "\r\n");
	return view_of(&body);
}

static void start_example(void)
{
	t.now = 0;
	t.options.epoch_unix_us = (uint64_t)V4_EPOCH * 1000000;
	t_start();
	t_bucket("examplebucket");
	t.sign = T_UNSIGNED;
}

#define AUTHORIZATION \
	"AWS4-HMAC-SHA256 " \
	"Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="

static unsigned put_example(const char *form, struct lab_view body)
{
	bool trailer = strcmp(form, SIGNED_TRAILER) == 0;

	t_header("x-amz-date", "20130524T000000Z");
	t_header("x-amz-storage-class", "REDUCED_REDUNDANCY");
	t_header("x-amz-content-sha256", form);
	t_header("Content-Encoding", "aws-chunked");
	t_header("x-amz-decoded-content-length", "66560");
	t_header("Content-Length", lab_arena_printf(t.arena, "%zu", body.len));
	if (trailer)
		t_header("x-amz-trailer", "x-amz-checksum-crc32c");
	t_header("Authorization",
		trailer ? AUTHORIZATION
			"content-encoding;host;x-amz-content-sha256;x-amz-date;"
			"x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,Signature="
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
			: AUTHORIZATION
			"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
			"x-amz-decoded-content-length;x-amz-storage-class,Signature="
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
	return t_send("PUT", "/examplebucket/chunkObject.txt", body);
}

static void assert_example_stored(void)
{
	struct s3emu_object_info info;
	size_t i;

	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW("examplebucket"),
				 LAB_VIEW("chunkObject.txt"), &info),
		1);
	assert_int_equal(info.size, EXAMPLE_SIZE);
	for (i = 0; i < info.body.len; i++)
		assert_row(i, info.body.ptr[i] == 'a');
	for (i = 0; i < info.header_count; i++)
		assert_false(lab_view_eq_cstr(info.headers[i].name, "content-encoding"));
}

static void published_chunks(void **state)
{
	struct lab_view body;
	(void)state;

	start_example();
	body = example_body(chunk_signatures, "");
	assert_int_equal(body.len, 66824);
	assert_int_equal(put_example(SIGNED, body), 200);
	assert_example_stored();
	assert_int_equal(t_logged()->bytes, EXAMPLE_SIZE);
}

static void published_chunks_with_a_trailer(void **state)
{
	(void)state;

	start_example();
	assert_int_equal(
		put_example(SIGNED_TRAILER, example_body(trailer_chunk_signatures, TRAILER)), 200);
	assert_example_stored();
	assert_string_equal(t_reply_header("x-amz-checksum-crc32c"), "sOO8/Q==");
}

/* One changed byte anywhere: in a signature, in the data, in the trailer. */
static void published_chunks_changed_are_refused(void **state)
{
	static const struct {
		size_t offset;
		const char *code;
	} rows[] = {
		{ 30, "SignatureDoesNotMatch" },    /* the first chunk's signature */
		{ 100, "SignatureDoesNotMatch" },   /* its data */
		{ 65660, "SignatureDoesNotMatch" }, /* the second's signature */
		{ 66700, "SignatureDoesNotMatch" }, /* its data */
		{ 66770, "SignatureDoesNotMatch" }, /* the last one's signature */
		{ 66846, "SignatureDoesNotMatch" }, /* the checksum */
		{ 66900, "SignatureDoesNotMatch" }, /* the trailer's signature */
	};
	struct lab_view body;
	uint8_t *byte;
	(void)state;

	start_example();
	body = example_body(trailer_chunk_signatures, TRAILER);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		byte = (uint8_t *)(uintptr_t)body.ptr + rows[i].offset;
		*byte = *byte == 'b' ? 'c' : 'b';
		assert_row(i, put_example(SIGNED_TRAILER, body) == 403);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		assert_string_equal(t_xml("AWSAccessKeyId"), T_KEY);
		assert_false(t_body_has(T_SECRET));
		body = example_body(trailer_chunk_signatures, TRAILER);
	}
	assert_int_equal(s3emu_counters(t.s3)->objects, 0);
}

static void a_wrong_chunk_shows_what_was_signed(void **state)
{
	const char *signatures[3];
	(void)state;

	start_example();
	memcpy(signatures, chunk_signatures, sizeof(signatures));
	signatures[1] = trailer_chunk_signatures[1];
	assert_code(
		put_example(SIGNED, example_body(signatures, "")), 403, "SignatureDoesNotMatch");
	assert_string_equal(t_xml("SignatureProvided"), trailer_chunk_signatures[1]);
	/* It follows the first chunk's. */
	assert_string_equal(t_xml("StringToSign"),
		"AWS4-HMAC-SHA256-PAYLOAD&#xA;20130524T000000Z&#xA;20130524/us-east-1/s3/"
		"aws4_request&#xA;"
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648&#xA;"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855&#xA;"
		"2edc986847e209b4016e141a6dc8716d3207350f416969382d431539bf292e4a");
}

/* ---- signed by core/aws ---- */

struct upload {
	const char *form, *trailer_header; /* NULL: none */
	const char *decoded;               /* NULL: none */
	const char *body;
};

static unsigned put_unsigned_chunks(const struct upload *upload)
{
	t.sign = T_V4;
	t_header("x-amz-content-sha256", upload->form);
	if (upload->decoded != NULL)
		t_header("x-amz-decoded-content-length", upload->decoded);
	if (upload->trailer_header != NULL)
		t_header("x-amz-trailer", upload->trailer_header);
	return t_send("PUT", "/" T_BUCKET "/k", lab_view_cstr(upload->body));
}

static bool stored_is(const char *text)
{
	struct s3emu_object_info info;

	return s3emu_object_find(t.s3, LAB_VIEW(T_BUCKET), LAB_VIEW("k"), &info) == 1 &&
	       lab_view_eq_cstr(info.body, text);
}

/* As the JavaScript SDK sends a stream: HTTP chunking, no Content-Length (s3 1.10). */
static void javascript_stream(void **state)
{
	struct upload upload = { UNSIGNED_TRAILER, "x-amz-checksum-crc32", "11",
		"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n" };
	(void)state;

	t_header("Transfer-Encoding", "chunked");
	t_header("Content-Encoding", "aws-chunked");
	assert_int_equal(put_unsigned_chunks(&upload), 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc32"), "DUoRhQ==");
	assert_true(stored_is("hello world"));
	assert_int_equal(t_get("/" T_BUCKET "/k"), 200);
	assert_true(t_body_is("hello world"));
	assert_null(t_reply_header("Content-Encoding"));
}

static void http_chunking_needs_aws_chunked(void **state)
{
	struct upload upload = { UNSIGNED_TRAILER, NULL, NULL, "1\r\na\r\n0\r\n\r\n" };
	(void)state;

	t_header("Transfer-Encoding", "chunked");
	assert_code(t_put("/" T_BUCKET "/k", "a"), 411, "MissingContentLength");
	t_header("Transfer-Encoding", "chunked");
	t_header("x-amz-decoded-content-length", "1");
	assert_code(t_put("/" T_BUCKET "/k", "a"), 411, "MissingContentLength");
	t_header("Transfer-Encoding", "chunked");
	assert_code(put_unsigned_chunks(&upload), 411, "MissingContentLength");
	upload.decoded = "1";
	t_header("Transfer-Encoding", "chunked");
	assert_int_equal(put_unsigned_chunks(&upload), 200);
}

#define CRC64 "x-amz-checksum-crc64nvme"

static const struct {
	struct upload upload;
	unsigned status;
	const char *code;
} chunk_rows[] = {
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n" CRC64 ":M3eFcAZSQlc=\r\n\r\n" },
		200, "" },
	{ { UNSIGNED_TRAILER, NULL, "5", "5\r\nhello\r\n0\r\n\r\n" }, 200, "" },
	{ { UNSIGNED_TRAILER, NULL, "0", "0\r\n\r\n" }, 200, "" },
	/* as minio-go ends its trailers */
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n" CRC64 ":M3eFcAZSQlc=\n\r\n\r\n" },
		200, "" },
	/* announced and sent must agree */
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n\r\n" }, 400,
		"MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n:M3eFcAZSQlc=\r\n\r\n" }, 400,
		"MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n" CRC64 "\r\n\r\n" }, 400,
		"MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, NULL, "5", "5\r\nhello\r\n0\r\n" CRC64 ":M3eFcAZSQlc=\r\n\r\n" }, 400,
		"MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n\r\n" }, 400,
		"MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, CRC64, "5",
		  "5\r\nhello\r\n0\r\n" CRC64 ":M3eFcAZSQlc=\r\n" CRC64 ":M3eFcAZSQlc=\r\n\r\n" },
		400, "MalformedTrailerError" },
	{ { UNSIGNED_TRAILER, "x-amz-meta-a", "5", "5\r\nhello\r\n0\r\n\r\n" }, 400,
		"InvalidRequest" },
	{ { UNSIGNED_TRAILER, CRC64 ",x-amz-checksum-crc32", "5", "5\r\nhello\r\n0\r\n\r\n" }, 400,
		"InvalidRequest" },
	{ { "UNSIGNED-PAYLOAD", NULL, "5", "5\r\nhello\r\n0\r\n\r\n" }, 200, "" },
	/* the checksum */
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n" CRC64 ":invalid\r\n\r\n" }, 400,
		"InvalidRequest" },
	{ { UNSIGNED_TRAILER, CRC64, "5", "5\r\nhello\r\n0\r\n" CRC64 ":QFRKMGE3tuw=\r\n\r\n" },
		400, "BadDigest" },
	/* the length */
	{ { UNSIGNED_TRAILER, NULL, NULL, "5\r\nhello\r\n0\r\n\r\n" }, 411,
		"MissingContentLength" },
	{ { UNSIGNED_TRAILER, NULL, "5x", "5\r\nhello\r\n0\r\n\r\n" }, 411,
		"MissingContentLength" },
	{ { UNSIGNED_TRAILER, NULL, "-5", "5\r\nhello\r\n0\r\n\r\n" }, 411,
		"MissingContentLength" },
	{ { UNSIGNED_TRAILER, NULL, "4", "5\r\nhello\r\n0\r\n\r\n" }, 400, "IncompleteBody" },
	{ { UNSIGNED_TRAILER, NULL, "6", "5\r\nhello\r\n0\r\n\r\n" }, 400, "IncompleteBody" },
	{ { UNSIGNED_TRAILER, NULL, "18446744073709551615", "5\r\nhello\r\n0\r\n\r\n" }, 400,
		"IncompleteBody" },
	/* the framing */
	{ { UNSIGNED_TRAILER, NULL, "5", "hello" }, 400, "IncompleteBody" },
	{ { UNSIGNED_TRAILER, NULL, "5", "5\r\nhello\r\n" }, 400, "IncompleteBody" },
	{ { UNSIGNED_TRAILER, NULL, "5", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n" }, 400,
		"InvalidChunkSizeError" },
	/* signed chunks, with signatures that nobody could have made */
	{ { SIGNED, NULL, "5", "5\r\nhello\r\n0\r\n\r\n" }, 400, "IncompleteBody" },
	{ { SIGNED_TRAILER, NULL, "5", "5\r\nhello\r\n0\r\n\r\n" }, 400, "MalformedTrailerError" },
	{ { SIGNED, CRC64, "5", "5\r\nhello\r\n0\r\n\r\n" }, 400, "MalformedTrailerError" },
	{ { "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", NULL, "5", "" }, 501, "NotImplemented" },
	{ { "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", NULL, "5", "" }, 501,
		"NotImplemented" },
	{ { "STREAMING-UNSIGNED-PAYLOAD", NULL, "5", "" }, 400, "InvalidArgument" },
};

static void unsigned_chunks_and_what_is_wrong_with_them(void **state)
{
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(chunk_rows); i++) {
		uint64_t puts = s3emu_counters(t.s3)->created + s3emu_counters(t.s3)->overwritten;

		assert_row(i, put_unsigned_chunks(&chunk_rows[i].upload) == chunk_rows[i].status);
		assert_row(i, strcmp(t_xml("Code"), chunk_rows[i].code) == 0);
		puts = s3emu_counters(t.s3)->created + s3emu_counters(t.s3)->overwritten - puts;
		assert_row(i, puts == (chunk_rows[i].status == 200 ? 1 : 0));
	}
	assert_string_equal(t_xml("ArgumentName"), "x-amz-content-sha256");
}

static void small_chunks_are_named(void **state)
{
	struct upload upload = { UNSIGNED_TRAILER, NULL, "5", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n" };
	(void)state;

	assert_code(put_unsigned_chunks(&upload), 400, "InvalidChunkSizeError");
	assert_string_equal(t_xml("Message"),
		"Only the last chunk is allowed to have a size less than 8192 bytes");
	assert_string_equal(t_xml("Chunk"), "2");
	assert_string_equal(t_xml("BadChunkSize"), "3");
}

/* A checksum in the header, and another behind the body. */
static void two_checksums_are_refused(void **state)
{
	struct upload upload = { UNSIGNED_TRAILER, CRC64, "5",
		"5\r\nhello\r\n0\r\n" CRC64 ":M3eFcAZSQlc=\r\n\r\n" };
	(void)state;

	t_header("x-amz-checksum-crc32", "NhCmhg==");
	assert_code(put_unsigned_chunks(&upload), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"),
		"Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
		"allowed.");
	/* In the header alone it is fine, chunks or not. */
	upload.trailer_header = NULL;
	upload.body = "5\r\nhello\r\n0\r\n\r\n";
	t_header("x-amz-checksum-crc32", "NhCmhg==");
	assert_int_equal(put_unsigned_chunks(&upload), 200);
	t_header("x-amz-checksum-crc32", "NhCmhw==");
	assert_code(put_unsigned_chunks(&upload), 400, "BadDigest");
}

/* ---- what is stored of Content-Encoding ---- */

static void aws_chunked_is_not_stored(void **state)
{
	static const struct {
		const char *sent, *stored; /* NULL: none */
	} rows[] = {
		{ "aws-chunked", NULL },
		{ "gzip, aws-chunked", "gzip" },
		{ "aws-chunked, gzip", "gzip" },
		{ "aws-chunked,gzip", "gzip" },
		{ "AWS-Chunked, aws-chunked", NULL },
		{ "aws-chunked, gzip, aws-chunked", "gzip" },
		{ "gzip, br", "gzip, br" },
		{ "gzip, aws-chunked, br", "gzip,br" },
		{ "", NULL },
	};
	const char *value;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		t_header("Content-Encoding", rows[i].sent);
		assert_row(i, t_put("/" T_BUCKET "/k", "x") == 200);
		assert_row(i, t_get("/" T_BUCKET "/k") == 200);
		value = t_reply_header("content-encoding");
		assert_row(i, rows[i].stored == NULL
				      ? value == NULL
				      : value != NULL && strcmp(value, rows[i].stored) == 0);
	}
}

/* ---- without verification, without hashing, with the other signature ---- */

static void framing_is_removed_without_verification(void **state)
{
	struct upload upload = { SIGNED, NULL, "5", NULL };
	(void)state;

	upload.body = lab_arena_printf(t.arena,
		"5;chunk-signature=%s\r\nhello\r\n0;chunk-signature=%s\r\n\r\n",
		chunk_signatures[0], chunk_signatures[1]);
	assert_code(put_unsigned_chunks(&upload), 403, "SignatureDoesNotMatch");
	t.options.hash_bodies = false;
	t_start();
	assert_int_equal(put_unsigned_chunks(&upload), 200);
	assert_true(stored_is("hello"));
	t.options.hash_bodies = true;
	t.options.verify_signatures = false;
	t_start();
	assert_int_equal(put_unsigned_chunks(&upload), 200);
	assert_true(stored_is("hello"));
}

static void sigv2_and_chunks(void **state)
{
	(void)state;

	t.sign = T_V2;
	t_header("x-amz-content-sha256", UNSIGNED_TRAILER);
	t_header("x-amz-decoded-content-length", "5");
	assert_int_equal(t_put("/" T_BUCKET "/k", "5\r\nhello\r\n0\r\n\r\n"), 200);
	assert_true(stored_is("hello"));
	t_header("x-amz-content-sha256", SIGNED);
	t_header("x-amz-decoded-content-length", "5");
	assert_code(t_put("/" T_BUCKET "/k", "5\r\nhello\r\n0\r\n\r\n"), 400, "InvalidRequest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(published_chunks),
		t_test(published_chunks_with_a_trailer),
		t_test(published_chunks_changed_are_refused),
		t_test(a_wrong_chunk_shows_what_was_signed),
		t_test(javascript_stream),
		t_test(http_chunking_needs_aws_chunked),
		t_test(unsigned_chunks_and_what_is_wrong_with_them),
		t_test(small_chunks_are_named),
		t_test(two_checksums_are_refused),
		t_test(aws_chunked_is_not_stored),
		t_test(framing_is_removed_without_verification),
		t_test(sigv2_and_chunks),
	};

	return cmocka_run_group_tests_name("s3-emulator-payload", tests, NULL, NULL);
}
