/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

#define MIN 16 /* bytes of a part, in these tests */

static int setup(void **state)
{
	(void)t_setup(state);
	t.options.limits.part_bytes_min = MIN;
	t_start();
	return 0;
}
#define test(function) cmocka_unit_test_setup_teardown(function, setup, t_teardown)

static struct lab_view nothing(void)
{
	return lab_view_of(NULL, 0);
}

/* Begins an upload; its id. */
static const char *begin(const char *key)
{
	assert_int_equal(
		t_send("POST", lab_arena_printf(t.arena, "/mail/%s?uploads", key), nothing()), 200);
	assert_string_equal(t_xml("Bucket"), "mail");
	return t_xml("UploadId");
}

static const char *part_target(const char *key, const char *id, unsigned number)
{
	return lab_arena_printf(t.arena, "/mail/%s?partNumber=%u&uploadId=%s", key, number, id);
}

static const char *upload_target(const char *key, const char *id)
{
	return lab_arena_printf(t.arena, "/mail/%s?uploadId=%s", key, id);
}

/* Its ETag, without quotes. */
static const char *part(const char *key, const char *id, unsigned number, const char *body)
{
	const char *etag;

	assert_int_equal(t_put(part_target(key, id, number), body), 200);
	etag = t_reply_header("ETag");
	assert_int_equal(strlen(etag), 34);
	return lab_arena_printf(t.arena, "%.32s", etag + 1);
}

static struct lab_buf list_xml;

static void list_start(void)
{
	lab_buf_done(&list_xml);
	lab_buf_init(&list_xml, testing_heap, 1 << 21);
	lab_buf_append_cstr(&list_xml, "<CompleteMultipartUpload>");
}

static void list_add(unsigned number, const char *etag)
{
	lab_buf_printf(&list_xml, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag></Part>",
		number, etag);
}

static unsigned complete(const char *key, const char *id)
{
	unsigned status;

	lab_buf_append_cstr(&list_xml, "</CompleteMultipartUpload>");
	status = t_send("POST", upload_target(key, id), lab_buf_view(&list_xml));
	lab_buf_done(&list_xml);
	return status;
}

static unsigned complete_body(const char *key, const char *id, const char *body)
{
	return t_send("POST", upload_target(key, id), lab_view_cstr(body));
}

/* An upload of two parts; both are listed for complete(). */
static const char *two_parts(const char *key)
{
	const char *id = begin(key);
	const char *second = part(key, id, 2, "tail");
	const char *first = part(key, id, 1, "0123456789abcdef");

	list_start();
	list_add(1, first);
	list_add(2, second);
	return id;
}

static void assert_no_uploads(void)
{
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 0);
	assert_int_equal(s3emu_counters(t.s3)->upload_bytes, 0);
}

/* ---- the way through ---- */

static void parts_become_an_object(void **state)
{
	const char *id;
	(void)state;

	t_header("Content-Type", "text/plain");
	t_header("x-amz-meta-a", "1");
	id = begin("dir/big");
	assert_string_equal(t_logged()->operation, "CREATE-UPLOAD");
	assert_true(t_logged()->applied);
	assert_int_equal(strlen(id), 32);
	list_start();
	list_add(1, part("dir/big", id, 1, "0123456789abcdef"));
	assert_string_equal(t_logged()->operation, "UPLOAD-PART");
	assert_string_equal(t_logged()->subject, "mail/dir/big");
	assert_int_equal(t_logged()->bytes, 16);
	list_add(2, part("dir/big", id, 2, "ghij"));
	assert_false(t_stored("dir/big"));
	assert_int_equal(complete("dir/big", id), 200);
	assert_string_equal(t_logged()->operation, "COMPLETE-UPLOAD");
	assert_true(t_logged()->applied);
	assert_int_equal(t_logged()->bytes, 20);
	assert_string_equal(t_xml("Bucket"), "mail");
	assert_string_equal(t_xml("Key"), "dir/big");
	assert_string_equal(t_xml("Location"), "http://s3.amazonaws.com/mail/dir%2Fbig");
	/* md5(md5("0123456789abcdef") md5("ghij")) */
	assert_string_equal(t_xml("ETag"), "&quot;26598f8a7a4afdebb9975a348faaabbd-2&quot;");
	assert_int_equal(t_get("/mail/dir/big"), 200);
	assert_true(t_body_is("0123456789abcdefghij"));
	assert_string_equal(t_reply_header("ETag"), "\"26598f8a7a4afdebb9975a348faaabbd-2\"");
	assert_string_equal(t_reply_header("Content-Type"), "text/plain");
	assert_string_equal(t_reply_header("x-amz-meta-a"), "1");
	assert_null(t_reply_header(":upload-id"));
	assert_null(t_reply_header("x-amz-mp-parts-count"));
	assert_no_uploads();
	assert_int_equal(s3emu_counters(t.s3)->objects, 1);
	assert_int_equal(s3emu_counters(t.s3)->stored_bytes, 20);
	assert_int_equal(s3emu_counters(t.s3)->created, 1);
}

/* The hash in the log is of what is stored, however it came there. */
static void the_hash_is_of_the_content(void **state)
{
	uint64_t hash;
	(void)state;

	assert_int_equal(complete("k", two_parts("k")), 200);
	hash = t_logged()->body_hash;
	assert_int_equal(t_put("/mail/same", "0123456789abcdeftail"), 200);
	assert_true(t_logged()->body_hash == hash);
}

static void parts_are_replaced_and_left_out(void **state)
{
	const char *id = begin("k"), *first, *third;
	(void)state;

	third = part("k", id, 10000, "end");
	(void)part("k", id, 7, "not wanted");
	(void)part("k", id, 1, "0123456789abcdeX");
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 4);
	assert_int_equal(s3emu_counters(t.s3)->upload_bytes, 29);
	first = part("k", id, 1, "0123456789abcdef");
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 4);
	list_start();
	list_add(1, first);
	list_add(10000, third);
	assert_int_equal(complete("k", id), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("0123456789abcdefend"));
	assert_no_uploads();
}

static void one_part_gives_its_body_away(void **state)
{
	const char *id = begin("k");
	(void)state;

	list_start();
	list_add(3, part("k", id, 3, "small"));
	assert_int_equal(complete("k", id), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("small"));
	assert_string_equal(t_reply_header("ETag") + 33, "-1\"");
	id = begin("empty");
	list_start();
	list_add(1, part("empty", id, 1, ""));
	assert_int_equal(complete("empty", id), 200);
	assert_int_equal(t_get("/mail/empty"), 200);
	assert_true(t_body_is(""));
	assert_no_uploads();
}

static void the_last_part_may_be_empty(void **state)
{
	const char *id = begin("k");
	(void)state;

	list_start();
	list_add(1, part("k", id, 1, "0123456789abcdef"));
	list_add(2, part("k", id, 2, ""));
	assert_int_equal(complete("k", id), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("0123456789abcdef"));
	assert_int_equal(t_get("/mail/k?partNumber=2"), 206);
	assert_true(t_body_is(""));
	assert_null(t_reply_header("Content-Range"));
}

/* An upload does not show in the bucket, and does not change what is there, until it is complete.
 */
static void an_upload_replaces_an_object_at_once(void **state)
{
	const char *id;
	(void)state;

	assert_int_equal(t_put("/mail/k", "old"), 200);
	id = two_parts("k");
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("old"));
	assert_int_equal(t_get("/mail"), 200);
	assert_true(t_body_has("<Key>k</Key>"));
	assert_false(t_body_has("0123"));
	assert_int_equal(complete("k", id), 200);
	assert_int_equal(s3emu_counters(t.s3)->overwritten, 1);
	assert_int_equal(s3emu_counters(t.s3)->objects, 1);
}

static void two_uploads_of_a_key_do_not_mix(void **state)
{
	const char *one = begin("k"), *other = begin("k"), *deeper = begin("k/1"), *etag;
	(void)state;

	assert_string_not_equal(one, other);
	etag = part("k", one, 1, "of one");
	(void)part("k", other, 1, "of the other");
	(void)part("k/1", deeper, 1, "of another key");
	list_start();
	list_add(1, etag);
	assert_code(complete("k", other), 400, "InvalidPart");
	list_start();
	list_add(1, etag);
	assert_int_equal(complete("k", one), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("of one"));
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 4);
	assert_int_equal(t_get(upload_target("k", other)), 200);
	assert_int_equal(t_get(upload_target("k/1", deeper)), 200);
}

/* ---- what may be wrong with Complete ---- */

static void a_wrong_list_is_refused(void **state)
{
	const char *id = begin("k"), *first, *second, *small;
	(void)state;

	first = part("k", id, 1, "0123456789abcdef");
	second = part("k", id, 2, "0123456789ABCDEF");
	small = part("k", id, 3, "small");
	list_start();
	list_add(2, second);
	list_add(1, first);
	assert_code(complete("k", id), 400, "InvalidPartOrder");
	assert_string_equal(t_xml("UploadId"), id);
	list_start();
	list_add(1, first);
	list_add(1, first);
	assert_code(complete("k", id), 400, "InvalidPartOrder");
	list_start();
	list_add(1, first);
	list_add(9, second);
	assert_code(complete("k", id), 400, "InvalidPart");
	assert_string_equal(t_xml("PartNumber"), "9");
	assert_string_equal(t_xml("UploadId"), id);
	assert_string_equal(t_xml("ETag"), second);
	list_start();
	list_add(1, second);
	assert_code(complete("k", id), 400, "InvalidPart");
	list_start();
	list_add(0, first);
	assert_code(complete("k", id), 400, "InvalidArgument");
	list_start();
	list_add(10001, first);
	assert_code(complete("k", id), 400, "InvalidArgument");
	list_start();
	list_add(3, small);
	assert_string_not_equal(small, "");
	(void)part("k", id, 4, "tail");
	list_add(4, "7aea2552dfe7eb84b9443b6fc9ba6e01");
	assert_code(complete("k", id), 400, "EntityTooSmall");
	assert_string_equal(t_xml("ProposedSize"), "5");
	assert_string_equal(t_xml("MinSizeAllowed"), "16");
	assert_string_equal(t_xml("PartNumber"), "3");
	assert_string_equal(t_xml("ETag"), small);
	assert_false(t_logged()->applied);
	assert_false(t_stored("k"));
	/* Nothing of it has harmed the upload. */
	list_start();
	list_add(1, first);
	list_add(2, second);
	list_add(3, small);
	assert_int_equal(complete("k", id), 200);
}

static void the_list_must_be_the_xml_that_it_is(void **state)
{
	static const char *const malformed[] = {
		"<CompleteMultipartUpload/>",
		"<CompleteMultipartUpload>",
		"<Complete/>",
		"not XML",
		"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>"
		"</CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><ETag>00000000000000000000000000000000</ETag></"
		"Part>"
		"</CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>0</ETag></Part>"
		"</CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><PartNumber>1</"
		"PartNumber>"
		"<ETag>0</ETag></Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>0</ETag><ETag>0</"
		"ETag>"
		"</Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>0</ETag><Size>1</"
		"Size>"
		"</Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><PartNumber>1</PartNumber></CompleteMultipartUpload>",
		"<!DOCTYPE a><CompleteMultipartUpload/>",
	};
	const char *id = begin("k");
	size_t i;
	(void)state;

	(void)part("k", id, 1, "x");
	for (i = 0; i < LAB_COUNT_OF(malformed); i++) {
		assert_row(i, complete_body("k", id, malformed[i]) == 400);
		assert_row(i, strcmp(t_xml("Code"), "MalformedXML") == 0);
	}
	assert_code(complete_body("k", id, ""), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"), "You must specify at least one part");
	/* With a namespace, a prolog, quotes as entities, and none. */
	assert_int_equal(
		complete_body("k", id,
			"<?xml version=\"1.0\"?><CompleteMultipartUpload "
			"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ETag>&quot;"
			"9dd4e461268c8034f5c8564e155c67a6&quot;</ETag><PartNumber> 1 "
			"</PartNumber></Part></CompleteMultipartUpload>"),
		200);
}

static void the_list_is_checked_by_its_digest(void **state)
{
	const char *id = two_parts("k"), *list;
	(void)state;

	list = lab_arena_printf(t.arena, "%s</CompleteMultipartUpload>", lab_buf_cstr(&list_xml));
	lab_buf_done(&list_xml);
	t_header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==");
	assert_code(complete_body("k", id, list), 400, "BadDigest");
	assert_false(t_stored("k"));
	t_content_md5(lab_view_cstr(list));
	assert_int_equal(complete_body("k", id, list), 200);
}

static void too_many_parts_are_refused(void **state)
{
	const char *id = begin("k");
	unsigned i;
	(void)state;

	list_start();
	for (i = 1; i <= 10001; i++)
		list_add(i, "9dd4e461268c8034f5c8564e155c67a6");
	assert_code(complete("k", id), 400, "MalformedXML");
}

static void the_whole_size_is_checked(void **state)
{
	const char *id = two_parts("k");
	(void)state;

	t_header("x-amz-mp-object-size", "21");
	assert_code(complete("k", id), 400, "InvalidRequest");
	assert_true(t_body_has("header value 21 does not match what was computed: 20"));
	id = two_parts("k");
	t_header("x-amz-mp-object-size", "many");
	assert_code(complete("k", id), 400, "InvalidArgument");
	id = two_parts("k");
	t_header("x-amz-mp-object-size", "20");
	assert_int_equal(complete("k", id), 200);
}

static void complete_can_be_conditional(void **state)
{
	const char *id;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	id = two_parts("k");
	t_header("If-None-Match", "*");
	assert_code(complete("k", id), 412, "PreconditionFailed");
	assert_string_equal(t_xml("Condition"), "If-None-Match");
	id = two_parts("k");
	t_header("If-Match", "\"00000000000000000000000000000000\"");
	assert_code(complete("k", id), 412, "PreconditionFailed");
	id = two_parts("none");
	t_header("If-Match", "\"00000000000000000000000000000000\"");
	assert_code(complete("none", id), 404, "NoSuchKey");
	id = two_parts("k");
	t_header("If-Match", "\"9dd4e461268c8034f5c8564e155c67a6\"");
	assert_int_equal(complete("k", id), 200);
	id = two_parts("new");
	t_header("If-None-Match", "*");
	assert_int_equal(complete("new", id), 200);
	/* Only Complete makes an object: the others have no conditions. */
	t_header("If-None-Match", "*");
	assert_code(t_send("POST", "/mail/k?uploads", nothing()), 501, "NotImplemented");
	id = begin("k");
	t_header("If-Match", "*");
	assert_code(t_put(part_target("k", id, 1), "x"), 501, "NotImplemented");
}

/* Whoever lost the answer asks again and gets it, as long as the object is the one it made. */
static void complete_can_be_repeated(void **state)
{
	const char *id = two_parts("k"), *first = "4032af8d61035123906e58e067140cc5";
	const char *second = "7aea2552dfe7eb84b9443b6fc9ba6e01";
	const char *etag;
	(void)state;

	assert_int_equal(complete("k", id), 200);
	etag = t_xml("ETag");
	list_start();
	list_add(1, first);
	list_add(2, second);
	assert_int_equal(complete("k", id), 200);
	assert_string_equal(t_xml("ETag"), etag);
	assert_false(t_logged()->applied);
	assert_int_equal(s3emu_counters(t.s3)->overwritten, 0);
	list_start();
	list_add(1, first);
	assert_code(complete("k", id), 404, "NoSuchUpload");
	list_start();
	list_add(1, second);
	list_add(2, first);
	assert_code(complete("k", id), 404, "NoSuchUpload");
	list_start();
	list_add(1, first);
	list_add(2, second);
	list_add(3, second);
	assert_code(complete("k", id), 404, "NoSuchUpload");
	list_start();
	list_add(1, first);
	list_add(3, second);
	assert_code(complete("k", id), 404, "NoSuchUpload");
	assert_string_equal(t_xml("UploadId"), id);
	list_start();
	list_add(1, first);
	list_add(2, second);
	t_header("If-None-Match", "*");
	assert_code(complete("k", id), 412, "PreconditionFailed");
	assert_int_equal(t_put("/mail/k", "other"), 200);
	list_start();
	list_add(1, first);
	list_add(2, second);
	assert_code(complete("k", id), 404, "NoSuchUpload");
}

/* ---- parts ---- */

static void part_numbers_are_checked(void **state)
{
	static const char *const bad[] = { "0", "10001", "x", "-1", "", "1.5",
		"99999999999999999999" };
	const char *id = begin("k");
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(bad); i++) {
		assert_row(i, t_put(lab_arena_printf(t.arena, "/mail/k?uploadId=%s&partNumber=%s",
					    id, bad[i]),
				      "x") == 400);
		assert_row(i, strcmp(t_xml("Code"), "InvalidArgument") == 0);
		assert_row(i, strcmp(t_xml("ArgumentName"), "partNumber") == 0);
		assert_row(i, strcmp(t_xml("ArgumentValue"), bad[i]) == 0);
	}
	assert_code(t_put(upload_target("k", id), "x"), 400, "InvalidArgument");
	assert_code(t_put("/mail/k?partNumber=1", "x"), 400, "InvalidArgument");
	assert_false(t_stored("k"));
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 1);
}

static void uploads_that_are_not_there(void **state)
{
	const char *id = begin("k");
	const char *ids[] = { "", "x", "00000000000000000000000000000000", id };
	size_t i;
	(void)state;

	(void)part("k", id, 1, "x");
	assert_int_equal(t_delete(upload_target("k", id)), 204);
	assert_string_equal(t_logged()->operation, "ABORT-UPLOAD");
	assert_true(t_logged()->applied);
	assert_no_uploads();
	for (i = 0; i < LAB_COUNT_OF(ids); i++) {
		assert_row(i, t_delete(upload_target("k", ids[i])) == 404);
		assert_row(i, strcmp(t_xml("Code"), "NoSuchUpload") == 0);
		assert_row(i, strcmp(t_xml("UploadId"), ids[i]) == 0);
		assert_row(i, t_get(upload_target("k", ids[i])) == 404);
		assert_row(i, strcmp(t_xml("Code"), "NoSuchUpload") == 0);
		assert_row(i, t_put(part_target("k", ids[i], 1), "x") == 404);
		assert_row(i, strcmp(t_xml("Code"), "NoSuchUpload") == 0);
		list_start();
		list_add(1, "9dd4e461268c8034f5c8564e155c67a6");
		assert_row(i, complete("k", ids[i]) == 404);
		assert_row(i, strcmp(t_xml("Code"), "NoSuchUpload") == 0);
		assert_false(t_logged()->applied);
	}
	/* An upload belongs to its key. */
	id = begin("k");
	assert_code(t_put(part_target("other", id, 1), "x"), 404, "NoSuchUpload");
	assert_code(t_delete(upload_target("other", id)), 404, "NoSuchUpload");
	assert_code(t_send("HEAD", upload_target("k", id), nothing()), 405, "");
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 1);
}

static void a_part_is_checked_like_an_object(void **state)
{
	const char *id = begin("k");
	struct lab_view big;
	(void)state;

	t_header("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==");
	assert_code(t_put(part_target("k", id, 1), "x"), 400, "BadDigest");
	t_header("x-amz-checksum-crc32", "AAAAAA==");
	assert_code(t_put(part_target("k", id, 1), "x"), 400, "BadDigest");
	t_header("x-amz-checksum-crc32", "jNx0oQ==");
	assert_code(t_put(part_target("k", id, 1), "x"), 400, "BadDigest");
	big = lab_view_of(lab_arena_alloc(t.arena, (1 << 26) + 1), (1 << 26) + 1);
	assert_code(t_send("PUT", part_target("k", id, 1), big), 400, "EntityTooLarge");
	assert_string_equal(t_xml("MaxSizeAllowed"), "67108864");
	assert_string_equal(t_xml("ProposedSize"), "67108865");
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 1);
}

static unsigned complete_with_crc(const char *id, const char *crc)
{
	return complete_body("k", id,
		lab_arena_printf(t.arena,
			"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
			"5d41402abc4b2a76b9719d911017c592</ETag><ChecksumCRC32>%s</ChecksumCRC32>"
			"</Part></CompleteMultipartUpload>",
			crc));
}

static void checksums_of_parts_are_kept(void **state)
{
	const char *id;
	(void)state;

	t_header("x-amz-checksum-algorithm", "CRC32");
	id = begin("k");
	t_header("x-amz-checksum-crc32", "NhCmhg==");
	assert_int_equal(t_put(part_target("k", id, 1), "hello"), 200);
	assert_string_equal(t_reply_header("x-amz-checksum-crc32"), "NhCmhg==");
	assert_int_equal(t_get(upload_target("k", id)), 200);
	assert_string_equal(t_xml("ChecksumCRC32"), "NhCmhg==");
	assert_code(complete_with_crc(id, "AAAAAA=="), 400, "InvalidPart");
	assert_int_equal(complete_with_crc(id, "NhCmhg=="), 200);
}

/* ---- copies ---- */

static const char *copy_part(const char *key, const char *id, unsigned number, const char *source,
	const char *range, unsigned status)
{
	t_header("x-amz-copy-source", source);
	if (range != NULL)
		t_header("x-amz-copy-source-range", range);
	if (t_put(part_target(key, id, number), "") != status)
		fail_msg("%s %s: %u %s", source, range, t.reply.response.status, t_xml("Code"));
	return status == 200 ? lab_arena_printf(t.arena, "%.32s", t_xml("ETag") + 6) : "";
}

static void parts_are_copied(void **state)
{
	const char *id;
	(void)state;

	assert_int_equal(t_put("/mail/from", "0123456789abcdefghijklmnopqrstuvwxyz"), 200);
	id = begin("to");
	list_start();
	list_add(1, copy_part("to", id, 1, "/mail/from", "bytes=0-15", 200));
	assert_string_equal(t_logged()->operation, "UPLOAD-PART-COPY");
	assert_string_equal(t_xml("LastModified"), "2026-01-01T00:00:00.000Z");
	assert_true(t_body_has("<CopyPartResult"));
	list_add(2, copy_part("to", id, 2, "mail/from", NULL, 200));
	list_add(3, copy_part("to", id, 3, "mail/from?versionId=null", "bytes=35-35", 200));
	assert_int_equal(complete("to", id), 200);
	assert_int_equal(t_get("/mail/to"), 200);
	assert_true(t_body_is("0123456789abcdef0123456789abcdefghijklmnopqrstuvwxyzz"));
}

static void sources_and_ranges_of_copies_are_checked(void **state)
{
	static const char *const ranges[] = { "0-1", "bytes=", "bytes=1", "bytes=-1", "bytes=1-",
		"bytes=2-1", "bytes=0-1,3-4", "bytes=a-b", "bytes=0-5", "bytes=5-5", "" };
	const char *id;
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/from", "01234"), 200);
	id = begin("to");
	for (i = 0; i < LAB_COUNT_OF(ranges); i++) {
		(void)copy_part("to", id, 1, "/mail/from", ranges[i], 400);
		assert_row(i, strcmp(t_xml("Code"), "InvalidArgument") == 0);
		assert_row(i, strcmp(t_xml("ArgumentName"), "x-amz-copy-source-range") == 0);
	}
	(void)copy_part("to", id, 1, "/mail/none", NULL, 404);
	assert_string_equal(t_xml("Code"), "NoSuchKey");
	(void)copy_part("to", id, 1, "/none/from", NULL, 404);
	assert_string_equal(t_xml("Code"), "NoSuchBucket");
	(void)copy_part("to", id, 1, "from", NULL, 400);
	t_header("x-amz-copy-source-if-match", "\"00000000000000000000000000000000\"");
	(void)copy_part("to", id, 1, "/mail/from", NULL, 412);
	(void)copy_part("to", "00000000000000000000000000000000", 1, "/mail/from", NULL, 404);
	assert_string_equal(t_xml("Code"), "NoSuchUpload");
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 1);
}

/* A copy is in one piece: its ETag is the digest of its content, as S3 makes it. */
static void a_copy_of_an_object_of_parts_is_in_one_piece(void **state)
{
	(void)state;

	assert_int_equal(complete("k", two_parts("k")), 200);
	t_header("x-amz-copy-source", "/mail/k");
	assert_int_equal(t_put("/mail/copy", ""), 200);
	assert_int_equal(t_put("/mail/plain", "0123456789abcdeftail"), 200);
	assert_int_equal(t_get("/mail/copy"), 200);
	t_header("If-Match", t_reply_header("ETag"));
	assert_int_equal(t_get("/mail/plain"), 200);
	assert_int_equal(t_get("/mail/copy?partNumber=1"), 206);
	assert_null(t_reply_header("x-amz-mp-parts-count"));
	assert_int_equal(t_get("/mail/copy?partNumber=2"), 416);
}

/* ---- reading parts ---- */

static void parts_are_read_by_number(void **state)
{
	const char *id = begin("k");
	(void)state;

	list_start();
	list_add(5, part("k", id, 5, "0123456789abcdef"));
	list_add(9, part("k", id, 9, "ghi"));
	assert_int_equal(complete("k", id), 200);
	assert_int_equal(t_get("/mail/k?partNumber=1"), 206);
	assert_true(t_body_is("0123456789abcdef"));
	assert_string_equal(t_reply_header("Content-Range"), "bytes 0-15/19");
	assert_string_equal(t_reply_header("x-amz-mp-parts-count"), "2");
	assert_int_equal(t_send("HEAD", "/mail/k?partNumber=2", nothing()), 206);
	assert_string_equal(t_reply_header("Content-Range"), "bytes 16-18/19");
	assert_int_equal(t_get("/mail/k?partNumber=2"), 206);
	assert_true(t_body_is("ghi"));
	assert_code(t_get("/mail/k?partNumber=3"), 416, "InvalidPartNumber");
	assert_string_equal(t_xml("PartNumberRequested"), "3");
	assert_string_equal(t_xml("ActualPartCount"), "2");
	assert_code(t_get("/mail/k?partNumber=0"), 400, "InvalidArgument");
	t_header("Range", "bytes=0-1");
	assert_code(t_get("/mail/k?partNumber=1"), 400, "InvalidRequest");
}

static void an_object_of_one_piece_has_one_part(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "hello"), 200);
	assert_int_equal(t_put("/mail/empty", ""), 200);
	assert_int_equal(t_get("/mail/k?partNumber=1"), 206);
	assert_true(t_body_is("hello"));
	assert_string_equal(t_reply_header("Content-Range"), "bytes 0-4/5");
	assert_null(t_reply_header("x-amz-mp-parts-count"));
	assert_code(t_get("/mail/k?partNumber=2"), 416, "InvalidPartNumber");
	assert_int_equal(t_get("/mail/empty?partNumber=1"), 200);
	assert_int_equal(t_get("/mail/empty?partNumber=2"), 416);
}

/* ---- listing ---- */

/* The texts of all elements of that name, with spaces. */
static const char *all(const char *name)
{
	struct lab_view body = t.reply.response.body;
	const char *open = lab_arena_printf(t.arena, "<%s>", name);
	struct lab_buf out;
	const char *text;
	size_t at;

	lab_buf_init(&out, testing_heap, 100000);
	while ((at = lab_view_find(body, lab_view_cstr(open))) != SIZE_MAX) {
		body = lab_view_skip(body, at + strlen(open));
		if (out.len > 0)
			lab_buf_append_byte(&out, ' ');
		lab_buf_append_view(&out, lab_view_sub(body, 0, lab_view_find_byte(body, '<')));
	}
	text = lab_arena_cstr(t.arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

static unsigned list_parts(const char *key, const char *id, const char *query)
{
	return t_get(lab_arena_printf(t.arena, "%s&%s", upload_target(key, id), query));
}

static void parts_are_listed(void **state)
{
	const char *id;
	(void)state;

	t_header("x-amz-storage-class", "STANDARD_IA");
	id = begin("k");
	(void)part("k", id, 300, "c");
	(void)part("k", id, 2, "bb");
	(void)part("k", id, 10000, "d");
	(void)part("k", id, 1, "a");
	(void)begin("k");
	assert_int_equal(t_get(upload_target("k", id)), 200);
	assert_string_equal(t_logged()->operation, "LIST-PARTS");
	assert_string_equal(all("PartNumber"), "1 2 300 10000");
	assert_string_equal(all("Size"), "1 2 1 1");
	assert_true(t_body_has(
		"<Part><PartNumber>2</PartNumber><LastModified>2026-01-01T00:00:00.000Z"
		"</LastModified><ETag>&quot;21ad0bd836b90d08f4cf640b4c298e7c&quot;</ETag>"
		"<Size>2</Size>"));
	assert_string_equal(t_xml("Bucket"), "mail");
	assert_string_equal(t_xml("Key"), "k");
	assert_string_equal(t_xml("UploadId"), id);
	assert_string_equal(t_xml("Initiator"), "<ID>111111111111</ID>");
	assert_string_equal(t_xml("Owner"), "<ID>111111111111</ID>");
	assert_string_equal(t_xml("StorageClass"), "STANDARD_IA");
	assert_string_equal(t_xml("PartNumberMarker"), "0");
	assert_string_equal(t_xml("NextPartNumberMarker"), "10000");
	assert_string_equal(t_xml("MaxParts"), "1000");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_int_equal(list_parts("k", id, "max-parts=2"), 200);
	assert_string_equal(all("PartNumber"), "1 2");
	assert_string_equal(t_xml("IsTruncated"), "true");
	assert_string_equal(t_xml("NextPartNumberMarker"), "2");
	assert_int_equal(list_parts("k", id, "max-parts=2&part-number-marker=2"), 200);
	assert_string_equal(all("PartNumber"), "300 10000");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_string_equal(t_xml("PartNumberMarker"), "2");
	assert_int_equal(list_parts("k", id, "part-number-marker=299"), 200);
	assert_string_equal(all("PartNumber"), "300 10000");
	assert_int_equal(list_parts("k", id, "part-number-marker=20000"), 200);
	assert_string_equal(all("PartNumber"), "");
	assert_int_equal(list_parts("k", id, "max-parts=0"), 200);
	assert_string_equal(all("PartNumber"), "");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_code(list_parts("k", id, "max-parts=x"), 400, "InvalidArgument");
	assert_code(list_parts("k", id, "part-number-marker=-1"), 400, "InvalidArgument");
	assert_code(list_parts("k", id, "encoding-type=x"), 400, "InvalidArgument");
}

static void begin_all(const char *const *keys, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const char *id = begin(keys[i]);

		(void)part(keys[i], id, 1, "x");
		t_advance(LAB_MSEC);
	}
}

static void uploads_are_listed_by_key_and_age(void **state)
{
	static const char *const keys[] = { "b", "a/1", "a/2", "a/1", "a%01", "a%00b", "a",
		"c/x/y" };
	static const struct {
		const char *query, *keys, *prefixes;
	} rows[] = {
		{ "", "a a&#x0;b a&#x1; a/1 a/1 a/2 b c/x/y", "" },
		{ "&encoding-type=url", "a a%00b a%01 a/1 a/1 a/2 b c/x/y", "" },
		{ "&prefix=a/", "a/1 a/1 a/2", "" },
		{ "&prefix=a%00&encoding-type=url", "a%00b", "" },
		{ "&prefix=zz", "", "" },
		{ "&delimiter=/&prefix=b", "b", "" },
		{ "&delimiter=/&key-marker=a%01", "b", "a/ c/" },
		{ "&delimiter=/&key-marker=a/", "b", "c/" },
		{ "&delimiter=/&prefix=c/", "", "c/x/" },
		{ "&delimiter=%00&prefix=a&max-uploads=2&encoding-type=url", "a", "a%00" },
		{ "&delimiter=%00&key-marker=a%00&max-uploads=1&encoding-type=url", "a%01", "" },
		{ "&key-marker=a/1", "a/2 b c/x/y", "" },
		{ "&key-marker=a/0", "a/1 a/1 a/2 b c/x/y", "" },
		{ "&key-marker=a&encoding-type=url", "a%00b a%01 a/1 a/1 a/2 b c/x/y", "" },
		{ "&key-marker=z", "", "" },
		{ "&max-uploads=0", "", "" },
	};
	size_t i;
	(void)state;

	begin_all(keys, LAB_COUNT_OF(keys));
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i,
			t_get(lab_arena_printf(t.arena, "/mail?uploads%s", rows[i].query)) == 200);
		if (strcmp(all("Key"), rows[i].keys) != 0 ||
			strcmp(all("CommonPrefixes><Prefix"), rows[i].prefixes) != 0)
			fail_msg("row %zu: %s | %s", i, all("Key"), all("CommonPrefixes><Prefix"));
	}
	assert_string_equal(t_logged()->operation, "LIST-UPLOADS");
}

static void uploads_are_paged(void **state)
{
	static const char *const keys[] = { "a", "a", "a", "b/1", "b/2", "c" };
	char seen[200] = "", query[200] = "";
	unsigned pages = 0;
	(void)state;

	begin_all(keys, LAB_COUNT_OF(keys));
	do {
		assert_int_equal(t_get(lab_arena_printf(t.arena,
					 "/mail?uploads&max-uploads=2&delimiter=/%s", query)),
			200);
		assert_string_equal(t_xml("MaxUploads"), "2");
		(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s+%s|",
			all("Key"), all("CommonPrefixes><Prefix"));
		(void)snprintf(query, sizeof(query), "&key-marker=%s&upload-id-marker=%s",
			t_xml("NextKeyMarker"), t_xml("NextUploadIdMarker"));
	} while (strcmp(t_xml("IsTruncated"), "true") == 0 && ++pages < 10);
	assert_string_equal(seen, "a a+|a+b/|c+|");
	assert_string_equal(t_xml("KeyMarker"), "b/");
	assert_int_equal(t_get("/mail?uploads"), 200);
	assert_true(t_body_has("<Initiator><ID>111111111111</ID></Initiator><Owner><ID>111111111111"
			       "</ID></Owner><StorageClass>STANDARD</StorageClass><Initiated>"
			       "2026-01-01T00:00:00.000Z</Initiated></Upload>"));
	/* Without a key it is ignored. */
	assert_int_equal(t_get("/mail?uploads&upload-id-marker=x"), 200);
	assert_string_equal(all("Key"), "a a a b/1 b/2 c");
	assert_code(t_get("/mail?uploads&key-marker=a&upload-id-marker=x"), 400, "InvalidArgument");
	assert_code(t_get("/mail?uploads&max-uploads=-1"), 400, "InvalidArgument");
}

/* A marker is any text, and may be longer than every key. */
static void a_long_marker_is_behind_what_it_begins_with(void **state)
{
	char marker[1101], key[1025];
	(void)state;

	memset(marker, 'k', sizeof(marker) - 1);
	marker[sizeof(marker) - 1] = '\0';
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	(void)begin(key);
	(void)begin("l");
	assert_int_equal(
		t_get(lab_arena_printf(t.arena, "/mail?uploads&key-marker=%s", marker)), 200);
	assert_string_equal(all("Key"), "l");
	assert_int_equal(t_get(lab_arena_printf(t.arena, "/mail?uploads&prefix=%s", marker)), 200);
	assert_string_equal(all("Key"), "");
}

/* ---- bounds ---- */

static void memory_is_accounted(void **state)
{
	char *big = lab_arena_alloc(t.arena, 100001);
	const char *id, *etags[4];
	unsigned i;
	(void)state;

	if (!T_STORES_IN_MEMORY)
		skip();
	t.options.limits.stored_bytes_max = 500000;
	t_start();
	memset(big, 'x', 100000);
	for (i = 0; i < 20; i++) { /* more than fits, if anything stayed */
		id = begin("k");
		assert_row(i, strlen(part("k", id, 1, big)) == 32);
		assert_row(i, strlen(part("k", id, 1, big)) == 32);
		assert_row(i, strlen(part("k", id, 2, big)) == 32);
		assert_int_equal(t_delete(upload_target("k", id)), 204);
		assert_no_uploads();
	}
	id = begin("k");
	for (i = 0; i < 4; i++)
		etags[i] = part("k", id, i + 1, big);
	assert_code(t_put(part_target("k", id, 5), big), 503, "ServiceUnavailable");
	/* Parts and object do not fit beside each other. */
	list_start();
	for (i = 0; i < 4; i++)
		list_add(i + 1, etags[i]);
	assert_code(complete("k", id), 503, "ServiceUnavailable");
	assert_false(t_stored("k"));
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 5);
	list_start();
	list_add(1, etags[0]);
	assert_int_equal(complete("k", id), 200);
	assert_no_uploads();
	assert_int_equal(t_delete("/mail/k"), 204);
	/* All of it is free again. */
	id = begin("k");
	for (i = 0; i < 4; i++)
		(void)part("k", id, i + 1, big);
}

static void entries_are_bounded_together_with_objects(void **state)
{
	const char *id;
	(void)state;

	t.options.limits.objects_max = 3;
	t_start();
	id = begin("k");
	(void)part("k", id, 1, "x");
	assert_int_equal(t_put("/mail/o", "x"), 200);
	assert_code(t_put(part_target("k", id, 2), "x"), 503, "ServiceUnavailable");
	assert_code(t_send("POST", "/mail/l?uploads", nothing()), 503, "ServiceUnavailable");
	assert_code(t_put("/mail/p", "x"), 503, "ServiceUnavailable");
	(void)part("k", id, 1, "y");
	assert_int_equal(t_delete(upload_target("k", id)), 204);
	assert_int_equal(t_put("/mail/p", "x"), 200);
}

/* S3 asks that a bucket has no objects; uploads in progress go with it. */
static void a_bucket_goes_with_its_uploads(void **state)
{
	const char *id = begin("k");
	(void)state;

	(void)part("k", id, 1, "x");
	assert_int_equal(t_delete("/mail"), 204);
	assert_no_uploads();
	assert_int_equal(t_put("/mail", ""), 200);
	assert_code(t_get(upload_target("k", id)), 404, "NoSuchUpload");
}

/* ---- rates and faults ---- */

static void every_call_takes_its_budget(void **state)
{
	const char *id;
	(void)state;

	t.options.rates = (struct s3emu_rates){ 4, 2, LAB_SEC, false, false, false };
	t_start();
	id = begin("k");
	(void)part("k", id, 1, "x");
	(void)part("k", id, 2, "x");
	assert_int_equal(t_delete(upload_target("k", id)), 204);
	assert_code(t_send("POST", "/mail/k?uploads", nothing()), 503, "SlowDown");
	assert_code(t_put(part_target("k", id, 1), "x"), 503, "SlowDown");
	assert_code(complete_body("k", id, "x"), 503, "SlowDown");
	assert_code(t_delete(upload_target("k", id)), 503, "SlowDown");
	assert_int_equal(t_get("/mail?uploads"), 200);
	assert_code(t_get(upload_target("k", id)), 404, "NoSuchUpload");
	assert_code(t_get("/mail?uploads"), 503, "SlowDown");
	assert_code(t_get(upload_target("k", id)), 503, "SlowDown");
	assert_code(t_get("/mail?versions"), 503, "SlowDown");
}

static void faults(enum sim_fault_kind kind, const char *point, unsigned status, const char *code)
{
	t.fault = (struct sim_fault){
		.kind = kind, .id = 7, .status = status, .code = code, .delay_ns = LAB_SEC
	};
	t.fault_point = point;
}

static void assert_fired(uint64_t times)
{
	assert_int_equal(s3emu_counters(t.s3)->faults, times);
	assert_int_equal(t_logged()->fault_id, 7);
	faults(SIM_FAULT_NONE, NULL, 0, NULL);
}

static void faults_have_their_points(void **state)
{
	const char *id;
	(void)state;

	faults(SIM_FAULT_FAIL, "s3.multipart", 500, "InternalError");
	assert_code(t_send("POST", "/mail/k?uploads", nothing()), 500, "InternalError");
	assert_fired(1);
	assert_no_uploads();
	id = two_parts("k");
	faults(SIM_FAULT_FAIL, "s3.upload_part", 500, "InternalError");
	assert_code(t_put(part_target("k", id, 3), "x"), 500, "InternalError");
	assert_string_equal(t.asked_subject, "mail/k");
	assert_fired(2);
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 3);
	faults(SIM_FAULT_FAIL, "s3.upload_part", 503, "SlowDown");
	(void)copy_part("k", id, 3, "/mail/none", NULL, 404);
	assert_fired(3);
	faults(SIM_FAULT_FAIL, "s3.multipart", 409, "ConditionalRequestConflict");
	t_header("If-None-Match", "*");
	assert_code(complete("k", id), 409, "ConditionalRequestConflict");
	assert_fired(4);
	assert_false(t_stored("k"));
	faults(SIM_FAULT_FAIL, "s3.multipart", 500, "InternalError");
	assert_int_equal(t_delete(upload_target("k", id)), 500);
	assert_fired(5);
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 3);
	faults(SIM_FAULT_FAIL, "s3.list", 500, "InternalError");
	assert_int_equal(t_get(upload_target("k", id)), 500);
	assert_fired(6);
	faults(SIM_FAULT_FAIL, "s3.list", 500, "InternalError");
	assert_int_equal(t_get("/mail?uploads"), 500);
	assert_fired(7);
	assert_int_equal(t_delete(upload_target("k", id)), 204);
	assert_no_uploads();
}

/* The 200 that is an error, after the object came to be (s3 0.7). */
static void complete_can_fail_inside_a_200(void **state)
{
	const char *id = two_parts("k");
	(void)state;

	faults(SIM_FAULT_ALTER_REPLY, "s3.multipart", 200, "InternalError");
	assert_code(complete("k", id), 200, "InternalError");
	assert_fired(1);
	assert_true(t_stored("k"));
	assert_true(t_logged()->applied);
	id = two_parts("l");
	faults(SIM_FAULT_FAIL, "s3.multipart", 200, "InternalError");
	assert_code(complete("l", id), 200, "InternalError");
	assert_fired(2);
	assert_false(t_stored("l"));
}

static void a_lost_answer_is_asked_for_again(void **state)
{
	const char *id = two_parts("k"), *list;
	(void)state;

	list = lab_arena_printf(t.arena, "%s</CompleteMultipartUpload>", lab_buf_cstr(&list_xml));
	lab_buf_done(&list_xml);
	faults(SIM_FAULT_LOSE_REPLY, "s3.multipart", 0, NULL);
	(void)complete_body("k", id, list);
	assert_int_equal(t.reply.wire, SIM_WIRE_RESET);
	assert_fired(1);
	assert_true(t_stored("k"));
	assert_int_equal(complete_body("k", id, list), 200);
	assert_false(t_logged()->applied);
}

/* A part that is delayed comes after the upload has gone. */
static void a_delayed_part_comes_too_late(void **state)
{
	const char *id = begin("k");
	(void)state;

	faults(SIM_FAULT_DELAY, "s3.upload_part", 0, NULL);
	assert_int_equal(t_put(part_target("k", id, 1), "x"), 0);
	faults(SIM_FAULT_NONE, NULL, 0, NULL);
	assert_int_equal(t_delete(upload_target("k", id)), 204);
	t_advance(2 * LAB_SEC);
	assert_code(t.reply.response.status, 404, "NoSuchUpload");
	assert_int_equal(s3emu_counters(t.s3)->faults, 1);
	assert_no_uploads();
}

static void without_hashing_it_works_alike(void **state)
{
	(void)state;

	t.options.hash_bodies = false;
	t_start();
	{
		const char *id = begin("k");

		list_start();
		list_add(1, part("k", id, 1, "0123456789abcdef"));
		list_add(2, part("k", id, 2, "tail"));
		assert_int_equal(complete("k", id), 200);
	}
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("0123456789abcdeftail"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(parts_become_an_object),
		test(the_hash_is_of_the_content),
		test(parts_are_replaced_and_left_out),
		test(one_part_gives_its_body_away),
		test(the_last_part_may_be_empty),
		test(an_upload_replaces_an_object_at_once),
		test(two_uploads_of_a_key_do_not_mix),
		test(a_wrong_list_is_refused),
		test(the_list_must_be_the_xml_that_it_is),
		test(the_list_is_checked_by_its_digest),
		test(too_many_parts_are_refused),
		test(the_whole_size_is_checked),
		test(complete_can_be_conditional),
		test(complete_can_be_repeated),
		test(part_numbers_are_checked),
		test(uploads_that_are_not_there),
		test(a_part_is_checked_like_an_object),
		test(checksums_of_parts_are_kept),
		test(parts_are_copied),
		test(sources_and_ranges_of_copies_are_checked),
		test(a_copy_of_an_object_of_parts_is_in_one_piece),
		test(parts_are_read_by_number),
		test(an_object_of_one_piece_has_one_part),
		test(parts_are_listed),
		test(uploads_are_listed_by_key_and_age),
		test(uploads_are_paged),
		test(a_long_marker_is_behind_what_it_begins_with),
		test(memory_is_accounted),
		test(entries_are_bounded_together_with_objects),
		test(a_bucket_goes_with_its_uploads),
		test(every_call_takes_its_budget),
		test(faults_have_their_points),
		test(complete_can_fail_inside_a_200),
		test(a_lost_answer_is_asked_for_again),
		test(a_delayed_part_comes_too_late),
		test(without_hashing_it_works_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
