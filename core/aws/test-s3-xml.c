/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/test-support.h"

#include "core/aws/s3-xml.h"

#define PROLOG "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS " xmlns=\"" S3_XML_NAMESPACE "\""

/* ---- <Error> ---- */

static void errors_are_read(void **state)
{
	struct fixture *fixture = *state;
	struct s3_error error;

	assert_int_equal(
		s3_error_parse(LAB_VIEW(PROLOG "<Error><Code>SlowDown</Code><Message>Please "
					       "reduce &amp; wait</Message><X><Code>no"
					       "</Code></X></Error>"),
			fixture->arena, &error),
		1);
	assert_view(error.code, "SlowDown");
	assert_view(error.message, "Please reduce & wait");
}

static void what_is_no_error_document_is_no_error(void **state)
{
	static const char *const bodies[] = { "", "hello", "<html><Code>x</Code></html>",
		"<Error><Code>SlowDown</Code>", "<Error></Error>", "<Error><Code> </Code></Error>",
		"<!DOCTYPE Error><Error><Code>x</Code></Error>",
		"<CopyObjectResult><Error><Code>x</Code></Error></CopyObjectResult>" };
	struct fixture *fixture = *state;
	struct s3_error error;

	for (size_t i = 0; i < LAB_COUNT_OF(bodies); i++) {
		if (s3_error_parse(lab_view_cstr(bodies[i]), fixture->arena, &error) != 0)
			fail_msg("%s", bodies[i]);
	}
}

/* ---- DeleteResult ---- */

static int delete_parse(struct fixture *fixture, const char *body, size_t max,
	struct s3_deleted **ret, size_t *count, struct lab_error *err)
{
	return s3_delete_result_parse(lab_view_cstr(body), max, fixture->arena, ret, count, err);
}

static void delete_results_are_read_in_order(void **state)
{
	struct s3_deleted *items;
	struct lab_error err;
	size_t count;

	assert_int_equal(delete_parse(*state,
				 PROLOG "<DeleteResult" NS "><Deleted><Key>a&lt;b</Key></Deleted>"
					"<Error><Key>c</Key><Code>AccessDenied</Code>"
					"<Message>no</Message></Error>"
					"<Deleted><Key>d</Key><VersionId>1</VersionId></Deleted>"
					"</DeleteResult>",
				 3, &items, &count, &err),
		0);
	assert_int_equal(count, 3);
	assert_view(items[0].key, "a<b");
	assert_null(items[0].code.ptr);
	assert_view(items[1].key, "c");
	assert_view(items[1].code, "AccessDenied");
	assert_view(items[1].message, "no");
	assert_view(items[2].key, "d");
	assert_null(items[2].code.ptr);
}

static void an_empty_delete_result_has_no_keys(void **state)
{
	struct s3_deleted *items;
	struct lab_error err;
	size_t count;

	assert_int_equal(delete_parse(*state, "<DeleteResult/>", 1, &items, &count, &err), 0);
	assert_int_equal(count, 0);
}

static void bad_delete_results_are_refused(void **state)
{
	static const struct {
		const char *body;
		enum lab_code code;
	} cases[] = {
		{ "", LAB_CORRUPT },
		{ "<DeleteResult>", LAB_CORRUPT },
		{ "<DeleteResult><Deleted><Key>a</Key></Deleted>", LAB_CORRUPT },
		{ "<DeleteResult><Deleted></Deleted></DeleteResult>", LAB_CORRUPT },
		{ "<DeleteResult><Deleted/></DeleteResult>", LAB_CORRUPT },
		{ "<DeleteResult><Error><Key>a</Key></Error></DeleteResult>", LAB_CORRUPT },
		{ "<DeleteResult><Error><Code>a</Code></Error></DeleteResult>", LAB_CORRUPT },
		{ "<Error><Code>InternalError</Code></Error>", LAB_CORRUPT },
		{ "<!DOCTYPE x [<!ENTITY a \"b\">]><DeleteResult>&a;</DeleteResult>", LAB_CORRUPT },
		{ "<DeleteResult><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a>"
		  "</DeleteResult>",
			LAB_CORRUPT },
		{ "<DeleteResult><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>"
		  "</DeleteResult>",
			LAB_CORRUPT },
		{ "<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted>"
		  "<Deleted><Key>c</Key></Deleted></DeleteResult>",
			LAB_LIMIT },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct s3_deleted *items;
		struct lab_error err;
		size_t count;

		if (delete_parse(*state, cases[i].body, 2, &items, &count, &err) == 0)
			fail_msg("%s", cases[i].body);
		assert_int_equal(err.code, cases[i].code);
	}
}

static void a_key_that_is_too_long_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct s3_deleted *items;
	struct lab_error err;
	struct lab_buf body;
	size_t count;

	lab_buf_init(&body, fixture->heap, 65536);
	lab_buf_append_cstr(&body, "<DeleteResult><Deleted><Key>");
	for (int i = 0; i <= S3_XML_TEXT_MAX; i++)
		lab_buf_append_byte(&body, 'k');
	lab_buf_append_cstr(&body, "</Key></Deleted></DeleteResult>");
	assert_int_equal(delete_parse(fixture, lab_buf_cstr(&body), 2, &items, &count, &err), -1);
	assert_non_null(strstr(err.message, "too long"));
	lab_buf_done(&body);
}

/* ---- ListBucketResult ---- */

static int list_parse(struct fixture *fixture, const char *body, size_t max,
	struct s3_list_page *ret, struct lab_error *err)
{
	return s3_list_page_parse(lab_view_cstr(body), max, fixture->arena, ret, err);
}

static void list_pages_are_read(void **state)
{
	struct s3_list_page page;
	struct lab_error err;

	assert_int_equal(
		list_parse(*state,
			PROLOG
			"<ListBucketResult" NS "><Name>b</Name><Prefix>p/</Prefix>"
			"<Marker></Marker><MaxKeys>3</MaxKeys><IsTruncated> true </IsTruncated>"
			"<NextMarker>p/c+1</NextMarker><Contents><Key>p/a%20b</Key>"
			"<LastModified>2013-05-24T00:00:00.000Z</LastModified>"
			"<Owner><ID>x</ID><DisplayName>y</DisplayName></Owner></Contents>"
			"<Contents><Key>p/c+1</Key></Contents>"
			"<CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes>"
			"</ListBucketResult>",
			10, &page, &err),
		0);
	assert_true(page.truncated);
	assert_view(page.next_marker, "p/c+1");
	assert_int_equal(page.key_count, 2);
	/* Only what says that it is encoded is decoded. */
	assert_view(page.keys[0], "p/a%20b");
	assert_view(page.keys[1], "p/c+1");
	assert_int_equal(page.prefix_count, 1);
	assert_view(page.prefixes[0], "p/d/");
}

static void encoded_list_pages_are_decoded(void **state)
{
	struct s3_list_page page;
	struct lab_error err;

	assert_int_equal(list_parse(*state,
				 "<ListBucketResult><Contents><Key>a%2Bb+c%01</Key></Contents>"
				 "<CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes>"
				 "<NextMarker>%e9</NextMarker><EncodingType>url</EncodingType>"
				 "</ListBucketResult>",
				 10, &page, &err),
		0);
	assert_false(page.truncated);
	assert_view(page.keys[0], "a+b c\x01");
	assert_view(page.prefixes[0], "d/");
	assert_view(page.next_marker, "\xe9");
}

static void long_list_pages_are_read_up_to_the_maximum(void **state)
{
	struct fixture *fixture = *state;
	struct s3_list_page page;
	struct lab_error err;
	struct lab_buf body;

	lab_buf_init(&body, fixture->heap, (size_t)1 << 20);
	lab_buf_append_cstr(&body, "<ListBucketResult>");
	for (int i = 0; i < 1000; i++)
		lab_buf_printf(&body, "<Contents><Key>k%03d</Key></Contents>", i);
	lab_buf_append_cstr(&body, "</ListBucketResult>");
	assert_int_equal(list_parse(fixture, lab_buf_cstr(&body), 1000, &page, &err), 0);
	assert_int_equal(page.key_count, 1000);
	assert_view(page.keys[0], "k000");
	assert_view(page.keys[999], "k999");
	assert_int_equal(list_parse(fixture, lab_buf_cstr(&body), 999, &page, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	lab_buf_done(&body);
}

static void bad_list_pages_are_refused(void **state)
{
	static const char *const bodies[] = {
		"",
		"<ListBucketResult><Contents>",
		"<ListAllMyBucketsResult/>",
		"<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
		"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%</Key>"
		"</Contents></ListBucketResult>",
		"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key>"
		"</Contents></ListBucketResult>",
		"<ListBucketResult><EncodingType>url</EncodingType><NextMarker>%zz</NextMarker>"
		"</ListBucketResult>",
		"<ListBucketResult><Contents><Key>&#1;</Key></Contents></ListBucketResult>",
		"<ListBucketResult/><ListBucketResult/>",
	};

	for (size_t i = 0; i < LAB_COUNT_OF(bodies); i++) {
		struct s3_list_page page;
		struct lab_error err;

		if (list_parse(*state, bodies[i], 10, &page, &err) == 0)
			fail_msg("%s", bodies[i]);
		assert_int_equal(err.code, LAB_CORRUPT);
	}
}

/* ---- <Delete> ---- */

static void delete_bodies_escape_their_keys(void **state)
{
	struct fixture *fixture = *state;
	const struct lab_view keys[] = { LAB_VIEW("a&b"), LAB_VIEW("<c>") };
	struct lab_buf out;

	lab_buf_init(&out, fixture->heap, 65536);
	s3_delete_append(&out, keys, 2);
	assert_view(lab_buf_view(&out), PROLOG "<Delete" NS "><Object><Key>a&amp;b</Key></Object>"
					       "<Object><Key>&lt;c&gt;</Key></Object></Delete>");
	lab_buf_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_are_read),
		TEST(what_is_no_error_document_is_no_error),
		TEST(delete_results_are_read_in_order),
		TEST(an_empty_delete_result_has_no_keys),
		TEST(bad_delete_results_are_refused),
		TEST(a_key_that_is_too_long_is_refused),
		TEST(list_pages_are_read),
		TEST(encoded_list_pages_are_decoded),
		TEST(long_list_pages_are_read_up_to_the_maximum),
		TEST(bad_list_pages_are_refused),
		TEST(delete_bodies_escape_their_keys),
	};

	return cmocka_run_group_tests_name("s3-xml", tests, NULL, NULL);
}
