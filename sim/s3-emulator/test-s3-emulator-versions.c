/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

#define SOME_VERSION "3HL4kqtJlcpXroDTDmjVBH40Nrjfkd_." /* as S3 makes them */

static struct lab_view nothing(void)
{
	return lab_view_of(NULL, 0);
}

static void put_all(void)
{
	static const char *const keys[] = { "a", "b%20c", "d/1", "d/2", "e" };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(keys); i++)
		assert_int_equal(t_put(lab_arena_printf(t.arena, "/mail/%s", keys[i]), "x"), 200);
}

/* The keys, then the common prefixes, of the last answer. */
static const char *listed(void)
{
	static const char *const opens[] = { "<Key>", "<CommonPrefixes><Prefix>" };
	struct lab_buf out;
	const char *text;
	size_t i, at;

	lab_buf_init(&out, testing_heap, 10000);
	for (i = 0; i < 2; i++) {
		struct lab_view body = t.reply.response.body;

		lab_buf_append_byte(&out, i == 0 ? '(' : ')');
		while ((at = lab_view_find(body, lab_view_cstr(opens[i]))) != SIZE_MAX) {
			body = lab_view_skip(body, at + strlen(opens[i]));
			lab_buf_append_view(
				&out, lab_view_sub(body, 0, lab_view_find_byte(body, '<')));
			lab_buf_append_byte(&out, ' ');
		}
	}
	text = lab_arena_cstr(t.arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

static void every_object_has_the_version_null(void **state)
{
	(void)state;

	put_all();
	assert_int_equal(t_get("/mail?versions"), 200);
	assert_string_equal(t_logged()->operation, "LIST-VERSIONS");
	assert_string_equal(listed(), "(a b c d/1 d/2 e )");
	assert_true(t_body_has("<ListVersionsResult xmlns="));
	assert_true(t_body_has(
		"<Version><Key>a</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>"
		"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;"
		"9dd4e461268c8034f5c8564e155c67a6&quot;</ETag><ChecksumAlgorithm>CRC64NVME</"
		"ChecksumAlgorithm>"
		"<ChecksumType>FULL_OBJECT</ChecksumType><Size>1</Size><Owner><ID>"
		"111111111111</ID></Owner><StorageClass>STANDARD</StorageClass></Version>"));
	assert_string_equal(t_xml("Name"), "mail");
	assert_string_equal(t_xml("KeyMarker"), "");
	assert_string_equal(t_xml("VersionIdMarker"), "");
	assert_string_equal(t_xml("MaxKeys"), "1000");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_false(t_body_has("NextKeyMarker"));
	assert_false(t_body_has("DeleteMarker"));
}

static void versions_are_listed_like_objects(void **state)
{
	static const struct {
		const char *query, *listed;
	} rows[] = {
		{ "&prefix=d", "(d/1 d/2 )" },
		{ "&delimiter=/", "(a b c e )d/ " },
		{ "&encoding-type=url&prefix=b", "(b%20c )" },
		{ "&key-marker=a", "(b c d/1 d/2 e )" },
		{ "&key-marker=d/1&version-id-marker=null", "(d/2 e )" },
		{ "&key-marker=d/&delimiter=/", "(e )" },
		{ "&max-keys=2", "(a b c )" },
		{ "&max-keys=0", "()" },
	};
	size_t i;
	(void)state;

	put_all();
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i,
			t_get(lab_arena_printf(t.arena, "/mail?versions%s", rows[i].query)) == 200);
		if (strcmp(listed(), rows[i].listed) != 0)
			fail_msg("row %zu: %s", i, listed());
	}
}

static void versions_are_paged(void **state)
{
	char query[100] = "", seen[200] = "";
	unsigned pages = 0;
	(void)state;

	put_all();
	do {
		assert_int_equal(
			t_get(lab_arena_printf(t.arena,
				"/mail?versions&max-keys=1&delimiter=/&encoding-type=url%s",
				query)),
			200);
		(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s", listed());
		(void)snprintf(query, sizeof(query), "&key-marker=%s%s", t_xml("NextKeyMarker"),
			strcmp(t_xml("NextVersionIdMarker"), "null") == 0
				? "&version-id-marker=null"
				: "");
	} while (strcmp(t_xml("IsTruncated"), "true") == 0 && ++pages < 10);
	assert_string_equal(seen, "(a )(b%20c )()d/ (e )");
	/* Behind a group there is no version. */
	assert_int_equal(t_get("/mail?versions&max-keys=3&delimiter=/"), 200);
	assert_string_equal(t_xml("NextKeyMarker"), "d/");
	assert_false(t_body_has("NextVersionIdMarker"));
}

static void wrong_markers_are_refused(void **state)
{
	(void)state;

	assert_code(t_get("/mail?versions&version-id-marker=null"), 400, "InvalidArgument");
	assert_string_equal(
		t_xml("Message"), "A version-id marker cannot be specified without a key marker.");
	assert_code(
		t_get("/mail?versions&key-marker=a&version-id-marker="), 400, "InvalidArgument");
	assert_string_equal(t_xml("Message"), "A version-id marker cannot be empty.");
	assert_code(
		t_get("/mail?versions&key-marker=a&version-id-marker=x"), 400, "InvalidArgument");
	assert_code(t_get("/mail?versions&max-keys=x"), 400, "InvalidArgument");
	assert_code(t_get("/mail?versions&encoding-type=x"), 400, "InvalidArgument");
}

static void null_is_the_version_of_every_object(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_null(t_reply_header("x-amz-version-id"));
	assert_int_equal(t_get("/mail/k?versionId=null"), 200);
	assert_string_equal(t_reply_header("x-amz-version-id"), "null");
	assert_int_equal(t_send("HEAD", "/mail/k?versionId=null", nothing()), 200);
	t_header("x-amz-copy-source", "/mail/k?versionId=null");
	assert_int_equal(t_put("/mail/copy", ""), 200);
	assert_int_equal(t_get("/mail/k?tagging&versionId=null"), 200);
	assert_int_equal(t_delete("/mail/k?versionId=null"), 204);
	assert_string_equal(t_reply_header("x-amz-version-id"), "null");
	assert_false(t_stored("k"));
	assert_code(t_get("/mail/k?versionId=null"), 404, "NoSuchKey");
}

static void there_is_no_other_version(void **state)
{
	static const struct {
		const char *method, *query;
		unsigned status;
		const char *code;
	} rows[] = {
		{ "GET", "versionId=" SOME_VERSION, 404, "NoSuchVersion" },
		{ "DELETE", "versionId=" SOME_VERSION, 404, "NoSuchVersion" },
		{ "GET", "tagging&versionId=" SOME_VERSION, 404, "NoSuchVersion" },
		{ "GET", "acl&versionId=" SOME_VERSION, 404, "NoSuchVersion" },
		{ "GET", "versionId=1", 400, "InvalidArgument" },
		{ "GET", "versionId=" SOME_VERSION "0", 400, "InvalidArgument" },
		{ "GET", "versionId=3HL4kqtJlcpXroDTDmjVBH40Nrjfkd-%2b", 400, "InvalidArgument" },
		{ "GET", "versionId=", 400, "InvalidArgument" },
		{ "DELETE", "versionId=", 400, "InvalidArgument" },
		{ "PUT", "versionId=null", 400, "InvalidArgument" },
		{ "POST", "uploads&versionId=null", 400, "InvalidArgument" },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, t_send(rows[i].method,
				      lab_arena_printf(t.arena, "/mail/k?%s", rows[i].query),
				      nothing()) == rows[i].status);
		assert_row(i, strcmp(t_xml("Code"), rows[i].code) == 0);
		assert_false(t_logged()->applied);
	}
	assert_int_equal(t_send("HEAD", "/mail/k?versionId=" SOME_VERSION, nothing()), 404);
	assert_code(t_get("/mail/k?versionId=" SOME_VERSION), 404, "NoSuchVersion");
	assert_string_equal(t_xml("Key"), "k");
	assert_string_equal(t_xml("VersionId"), SOME_VERSION);
	t_header("x-amz-copy-source", "/mail/k?versionId=" SOME_VERSION);
	assert_code(t_put("/mail/copy", ""), 404, "NoSuchVersion");
	assert_true(t_stored("k"));
}

static void bulk_deletes_know_null(void **state)
{
	struct lab_view body =
		LAB_VIEW("<Delete><Object><Key>a</Key><VersionId>null</VersionId></"
			 "Object><Object><Key>e</Key>"
			 "<VersionId>" SOME_VERSION "</VersionId></Object></Delete>");
	(void)state;

	put_all();
	t_content_md5(body);
	assert_int_equal(t_send("POST", "/mail?delete", body), 200);
	assert_true(t_body_has("<Deleted><Key>a</Key><VersionId>null</VersionId></Deleted>"));
	assert_string_equal(t_xml("Code"), "NoSuchVersion");
	assert_false(t_stored("a"));
	assert_true(t_stored("e"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(every_object_has_the_version_null),
		t_test(versions_are_listed_like_objects),
		t_test(versions_are_paged),
		t_test(wrong_markers_are_refused),
		t_test(null_is_the_version_of_every_object),
		t_test(there_is_no_other_version),
		t_test(bulk_deletes_know_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
