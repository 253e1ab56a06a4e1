/* SPDX-License-Identifier: Apache-2.0
 *
 * Checksums of uploads in parts (s3 1.9): what was agreed at the beginning binds the parts and the
 * end. The values are those of other programs.
 */
#include "sim/s3-emulator/testing-s3.h"

#define FIRST "0123456789abcdef"
#define SECOND "ghij"

static const struct row {
	const char *algorithm, *type; /* NULL: not said */
	const char *lower, *element;  /* "crc32" */
	const char *first, *second, *whole, *shown_type;
} rows[] = {
	{ "CRC32", NULL, "crc32", "ChecksumCRC32", "aMTwMw==", "2CnSlg==", "03N5RQ==-2",
		"COMPOSITE" },
	{ "CRC32", "COMPOSITE", "crc32", "ChecksumCRC32", "aMTwMw==", "2CnSlg==", "03N5RQ==-2",
		"COMPOSITE" },
	{ "CRC32", "FULL_OBJECT", "crc32", "ChecksumCRC32",
		"aMTwMw==", "2CnSlg==", "Y4wNKQ==", "FULL_OBJECT" },
	{ "CRC32C", "COMPOSITE", "crc32c", "ChecksumCRC32C", "QtMRng==", "N5o4+g==", "2kdtXA==-2",
		"COMPOSITE" },
	{ "CRC32C", "FULL_OBJECT", "crc32c", "ChecksumCRC32C",
		"QtMRng==", "N5o4+g==", "xArWNg==", "FULL_OBJECT" },
	{ "CRC64NVME", NULL, "crc64nvme", "ChecksumCRC64NVME",
		"CRSFynAYcw4=", "DE1assKuvRw=", "BURQ4FJ52Hk=", "FULL_OBJECT" },
	{ NULL, NULL, "crc64nvme", "ChecksumCRC64NVME",
		"CRSFynAYcw4=", "DE1assKuvRw=", "BURQ4FJ52Hk=", "FULL_OBJECT" },
	{ "SHA256", NULL, "sha256", "ChecksumSHA256",
		"n59REfeyengfHx3d5evC3St5a/xzZcnCi1SOVkF2kp8=",
		"l1ynK2vfDpOLzCFHJ8k59/xkEJ7o8UrdRVojZOjRRR8=",
		"1+DXwfmxcX0NpCbkQO8Y16CSBOSX50/1ahTg13n3VxI=-2", "COMPOSITE" },
};

static int setup(void **state)
{
	(void)t_setup(state);
	t.options.limits.part_bytes_min = 1;
	t_start();
	return 0;
}
#define test(function) cmocka_unit_test_setup_teardown(function, setup, t_teardown)

static unsigned create(const char *algorithm, const char *type)
{
	if (algorithm != NULL)
		t_header("x-amz-checksum-algorithm", algorithm);
	if (type != NULL)
		t_header("x-amz-checksum-type", type);
	return t_send("POST", "/mail/k?uploads", lab_view_of(NULL, 0));
}

static const char *begin(const struct row *row)
{
	assert_int_equal(create(row->algorithm, row->type), 200);
	if (row->algorithm == NULL) {
		assert_null(t_reply_header("x-amz-checksum-algorithm"));
	} else {
		assert_string_equal(t_reply_header("x-amz-checksum-algorithm"), row->algorithm);
		assert_string_equal(t_reply_header("x-amz-checksum-type"), row->shown_type);
	}
	return t_xml("UploadId");
}

static const char *header_of(const struct row *row)
{
	return lab_arena_printf(t.arena, "x-amz-checksum-%s", row->lower);
}

/* The part's ETag; checksum NULL: none is sent. */
static const char *put_part(
	const char *id, unsigned number, const char *body, const char *header, const char *checksum)
{
	if (checksum != NULL)
		t_header(header, checksum);
	if (t_put(lab_arena_printf(t.arena, "/mail/k?partNumber=%u&uploadId=%s", number, id),
		    body) != 200)
		return NULL;
	return t_reply_header("ETag");
}

static const char *part_xml(
	unsigned number, const char *etag, const char *element, const char *checksum)
{
	const char *sum = checksum == NULL ? ""
					   : lab_arena_printf(t.arena, "<%s>%s</%s>", element,
						     checksum, element);

	return lab_arena_printf(t.arena,
		"<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>%s</Part>", number, etag, sum);
}

static unsigned complete(const char *id, const char *first, const char *second)
{
	return t_send("POST", lab_arena_printf(t.arena, "/mail/k?uploadId=%s", id),
		lab_view_cstr(lab_arena_printf(t.arena,
			"<CompleteMultipartUpload>%s%s</CompleteMultipartUpload>", first, second)));
}

struct parts {
	const char *id, *first, *second; /* the two as Complete lists them */
};

/* Uploads both parts, with checksums or without. */
static struct parts upload(const struct row *row, bool sent)
{
	struct parts parts = { .id = begin(row) };
	const char *header = header_of(row);

	parts.first = put_part(parts.id, 1, FIRST, header, sent ? row->first : NULL);
	assert_non_null(parts.first);
	assert_string_equal(t_reply_header(header), row->first);
	parts.second = put_part(parts.id, 2, SECOND, header, sent ? row->second : NULL);
	assert_non_null(parts.second);
	assert_string_equal(t_reply_header(header), row->second);
	parts.first = part_xml(1, parts.first, row->element, sent ? row->first : NULL);
	parts.second = part_xml(2, parts.second, row->element, sent ? row->second : NULL);
	return parts;
}

static void assert_completed(size_t i, const struct row *row)
{
	assert_row(i, strcmp(t_xml(row->element), row->whole) == 0);
	assert_row(i, strcmp(t_xml("ChecksumType"), row->shown_type) == 0);
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is(FIRST SECOND));
	assert_string_equal(t_reply_header(header_of(row)), row->whole);
	assert_string_equal(t_reply_header("x-amz-checksum-type"), row->shown_type);
	/* A part has its own, a range has none. */
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_get("/mail/k?partNumber=2"), 206);
	assert_true(t_body_is(SECOND));
	assert_string_equal(t_reply_header(header_of(row)), row->second);
	t_header("x-amz-checksum-mode", "ENABLED");
	t_header("Range", "bytes=16-19");
	assert_int_equal(t_get("/mail/k"), 206);
	assert_null(t_reply_header(header_of(row)));
	assert_int_equal(t_delete("/mail/k"), 204);
}

static void parts_checksums_become_the_object_s(void **state)
{
	struct parts parts;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		parts = upload(&rows[i], true);
		if (rows[i].algorithm != NULL)
			t_header("x-amz-checksum-type", rows[i].shown_type);
		t_header(header_of(&rows[i]), rows[i].whole);
		assert_row(i, complete(parts.id, parts.first, parts.second) == 200);
		assert_completed(i, &rows[i]);
		/* who asks again gets the same answer, as long as the object is there */
		assert_row(i, complete(parts.id, parts.first, parts.second) == 404);
	}
}

static void a_lost_answer_is_given_again(void **state)
{
	struct parts parts;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		parts = upload(&rows[i], true);
		assert_row(i, complete(parts.id, parts.first, parts.second) == 200);
		assert_row(i, complete(parts.id, parts.first, parts.second) == 200);
		assert_completed(i, &rows[i]);
	}
}

static void full_object_checksums_need_none_of_the_parts(void **state)
{
	struct parts parts;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (strcmp(rows[i].shown_type, "FULL_OBJECT") != 0)
			continue;
		parts = upload(&rows[i], false);
		assert_row(i, complete(parts.id, parts.first, parts.second) == 200);
		assert_completed(i, &rows[i]);
	}
}

static void wrong_agreements_are_refused(void **state)
{
	static const struct {
		const char *algorithm, *type, *message;
	} wrong[] = {
		{ NULL, "COMPOSITE",
			"The x-amz-checksum-type header can only be used with the "
			"x-amz-checksum-algorithm header." },
		{ "MD4", NULL,
			"Checksum algorithm provided is unsupported. Please try again with any of "
			"the "
			"valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, "
			"XXHASH128, "
			"XXHASH3, XXHASH64]" },
		{ "CRC32", "WHOLE", "Value for x-amz-checksum-type header is invalid." },
		{ "CRC64NVME", "COMPOSITE",
			"The COMPOSITE checksum type cannot be used with the crc64nvme checksum "
			"algorithm." },
		{ "SHA256", "FULL_OBJECT",
			"The FULL_OBJECT checksum type cannot be used with the sha256 checksum "
			"algorithm." },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_row(i, create(wrong[i].algorithm, wrong[i].type) == 400);
		assert_string_equal(t_xml("Code"), "InvalidRequest");
		assert_string_equal(t_xml("Message"), wrong[i].message);
	}
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 0);
}

static void parts_must_bring_what_was_agreed(void **state)
{
	static const struct {
		size_t row;
		const char *header, *value, *message;
	} wrong[] = {
		{ 1, NULL, NULL,
			"Checksum Type mismatch occurred, expected checksum Type: crc32, actual "
			"checksum Type: null" },
		{ 1, "x-amz-checksum-crc32c", "QtMRng==",
			"Checksum Type mismatch occurred, expected checksum Type: crc32, actual "
			"checksum Type: crc32c" },
		{ 2, "x-amz-checksum-crc32c", "QtMRng==",
			"Checksum Type mismatch occurred, expected checksum Type: crc32, actual "
			"checksum Type: crc32c" },
		{ 6, "x-amz-checksum-crc32c", "QtMRng==",
			"Checksum Type mismatch occurred, expected checksum Type: null, actual "
			"checksum Type: crc32c" },
		{ 6, "x-amz-checksum-crc32", "2CnSlg==",
			"The CRC32 you specified did not match the calculated checksum." },
		{ 1, "x-amz-checksum-crc32", "2CnSlg==",
			"The CRC32 you specified did not match the calculated checksum." },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		const char *id = begin(&rows[wrong[i].row]);

		assert_row(i, put_part(id, 1, FIRST, wrong[i].header, wrong[i].value) == NULL);
		assert_int_equal(t.reply.response.status, 400);
		assert_string_equal(t_xml("Message"), wrong[i].message);
	}
}

static void complete_must_say_what_is_there(void **state)
{
	const struct row *composite = &rows[1], *full = &rows[2];
	struct parts parts = upload(composite, true);
	const char *etag = "\"4032af8d61035123906e58e067140cc5\"";
	(void)state;

	assert_code(complete(parts.id, part_xml(1, etag, "", NULL), parts.second), 400,
		"InvalidRequest");
	assert_string_equal(t_xml("Message"),
		"The upload was created using a crc32 checksum. The complete request must include "
		"the checksum for each part. It was missing for part 1 in the request.");
	assert_code(
		complete(parts.id, part_xml(1, etag, "ChecksumCRC32", "2CnSlg=="), parts.second),
		400, "InvalidPart");
	assert_code(
		complete(parts.id, part_xml(1, etag, "ChecksumCRC32C", "QtMRng=="), parts.second),
		400, "InvalidPart");
	t_header("x-amz-checksum-type", "FULL_OBJECT");
	assert_code(complete(parts.id, parts.first, parts.second), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"),
		"The upload was created using the COMPOSITE checksum mode. The complete request "
		"must use the same checksum mode.");
	t_header("x-amz-checksum-crc32", "Y4wNKQ==");
	assert_code(complete(parts.id, parts.first, parts.second), 400, "BadDigest");
	t_header("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=");
	assert_code(complete(parts.id, parts.first, parts.second), 400, "InvalidRequest");
	t_header("x-amz-checksum-crc32", "03N5RQ==-2");
	t_header("x-amz-checksum-crc32c", "03N5RQ==");
	assert_code(complete(parts.id, parts.first, parts.second), 400, "InvalidRequest");
	/* without the number of parts, too */
	t_header("x-amz-checksum-crc32", "03N5RQ==");
	assert_int_equal(complete(parts.id, parts.first, parts.second), 200);
	parts = upload(full, false);
	t_header("x-amz-checksum-crc32", "03N5RQ==-2");
	assert_code(complete(parts.id, parts.first, parts.second), 400, "BadDigest");
	t_header("x-amz-checksum-crc32", full->whole);
	assert_int_equal(complete(parts.id, parts.first, parts.second), 200);
}

static void copied_parts_get_checksums(void **state)
{
	struct parts parts;
	const char *first, *second;
	(void)state;

	assert_int_equal(t_put("/mail/from", FIRST SECOND), 200);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		parts.id = begin(&rows[i]);
		t_header("x-amz-copy-source", "/mail/from");
		t_header("x-amz-copy-source-range", "bytes=0-15");
		first = put_part(parts.id, 1, "", NULL, NULL);
		assert_row(i, strcmp(t_xml(rows[i].element), rows[i].first) == 0);
		second = put_part(parts.id, 2, SECOND, header_of(&rows[i]), rows[i].second);
		assert_null(first); /* a copy's ETag is in its body */
		first = part_xml(
			1, "4032af8d61035123906e58e067140cc5", rows[i].element, rows[i].first);
		second = part_xml(2, second, rows[i].element, rows[i].second);
		assert_row(i, complete(parts.id, first, second) == 200);
		assert_completed(i, &rows[i]);
	}
}

/* Without hashing, what clients say is combined, and nothing else. */
static void capacity_runs_combine_what_they_are_told(void **state)
{
	struct parts parts;
	(void)state;

	t.options.hash_bodies = false;
	t_start();
	parts = upload(&rows[2], true);
	assert_int_equal(complete(parts.id, parts.first, parts.second), 200);
	assert_string_equal(t_xml("ChecksumCRC32"), rows[2].whole);
	parts.id = begin(&rows[6]);
	parts.first = part_xml(1, put_part(parts.id, 1, FIRST, NULL, NULL), "", NULL);
	assert_int_equal(complete(parts.id, parts.first, ""), 200);
	assert_string_equal(t_xml("ChecksumCRC64NVME"), "");
}

static void parts_may_bring_the_default_of_sdks(void **state)
{
	const char *id = begin(&rows[6]);
	const char *first =
		part_xml(1, put_part(id, 1, FIRST, "x-amz-checksum-crc32", "aMTwMw=="), "", NULL);
	const char *second =
		part_xml(2, put_part(id, 2, SECOND, "x-amz-checksum-crc32", "2CnSlg=="), "", NULL);
	(void)state;

	assert_int_equal(complete(id, first, second), 200);
	assert_string_equal(t_xml("ChecksumCRC64NVME"), rows[6].whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(parts_checksums_become_the_object_s),
		test(a_lost_answer_is_given_again),
		test(full_object_checksums_need_none_of_the_parts),
		test(wrong_agreements_are_refused),
		test(parts_must_bring_what_was_agreed),
		test(parts_may_bring_the_default_of_sdks),
		test(complete_must_say_what_is_there),
		test(copied_parts_get_checksums),
		test(capacity_runs_combine_what_they_are_told),
	};

	return cmocka_run_group_tests_name("s3-emulator-multipart-checksum", tests, NULL, NULL);
}
