/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

static void put_all(const char *const *keys, size_t count)
{
	struct lab_buf target;
	size_t i;

	for (i = 0; i < count; i++) {
		lab_buf_init(&target, testing_heap, 4000);
		lab_buf_append_cstr(&target, "/mail/");
		lab_buf_append_percent(&target, lab_view_cstr(keys[i]), true);
		assert_row(i, t_put(lab_buf_cstr(&target), "x") == 200);
		lab_buf_done(&target);
	}
}

/* What the last listing says: "key key | prefix prefix". */
static const char *listed(void)
{
	struct lab_view body = t.reply.response.body;
	struct lab_buf out;
	const char *text;
	size_t at;

	lab_buf_init(&out, testing_heap, 100000);
	while ((at = lab_view_find(body, LAB_VIEW("<Key>"))) != SIZE_MAX) {
		body = lab_view_skip(body, at + 5);
		lab_buf_append_view(&out, lab_view_sub(body, 0, lab_view_find_byte(body, '<')));
		lab_buf_append_byte(&out, ' ');
	}
	lab_buf_append_byte(&out, '|');
	while ((at = lab_view_find(body, LAB_VIEW("<CommonPrefixes><Prefix>"))) != SIZE_MAX) {
		body = lab_view_skip(body, at + 24);
		lab_buf_append_byte(&out, ' ');
		lab_buf_append_view(&out, lab_view_sub(body, 0, lab_view_find_byte(body, '<')));
	}
	text = lab_arena_cstr(t.arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

static const char *const tree[] = { "b", "a/1", "a/2", "a/b/3", "c/", "c/1", "\xe2\x82\xac", "B" };

static void lists_in_byte_order(void **state)
{
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	assert_int_equal(t_get("/mail"), 200);
	assert_string_equal(listed(), "B a/1 a/2 a/b/3 b c/ c/1 \xe2\x82\xac |");
	assert_string_equal(t_xml("Name"), "mail");
	assert_string_equal(t_xml("MaxKeys"), "1000");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_true(t_body_has("<Marker></Marker>"));
	assert_true(t_body_has("xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""));
	assert_true(t_body_has(
		"<Contents><Key>B</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
		"<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</"
		"ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
		"<ChecksumType>FULL_OBJECT</ChecksumType><Size>1</Size><Owner>"
		"<ID>111111111111</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"));
	assert_string_equal(t_logged()->operation, "LIST");
}

static void prefixes_and_delimiters(void **state)
{
	static const struct {
		const char *query, *listed;
	} rows[] = {
		{ "prefix=a/", "a/1 a/2 a/b/3 |" },
		{ "prefix=a", "a/1 a/2 a/b/3 |" },
		{ "prefix=zzz", "|" },
		{ "delimiter=/", "B b \xe2\x82\xac | a/ c/" },
		{ "delimiter=", "B a/1 a/2 a/b/3 b c/ c/1 \xe2\x82\xac |" },
		{ "prefix=a/&delimiter=/", "a/1 a/2 | a/b/" },
		{ "prefix=c/&delimiter=/", "c/ c/1 |" },
		{ "prefix=c&delimiter=/", "| c/" },
		{ "delimiter=/b/", "B a/1 a/2 b c/ c/1 \xe2\x82\xac | a/b/" },
		{ "delimiter=%82", "B a/1 a/2 a/b/3 b c/ c/1 | \xe2\x82" },
		{ "marker=a/2", "a/b/3 b c/ c/1 \xe2\x82\xac |" },
		{ "marker=a/2&prefix=a/", "a/b/3 |" },
		{ "marker=b&prefix=a/", "|" },
		{ "marker=A&prefix=a/", "a/1 a/2 a/b/3 |" },
		{ "marker=a/&delimiter=/", "b \xe2\x82\xac | c/" },
		{ "marker=a/1&delimiter=/", "b \xe2\x82\xac | a/ c/" },
		{ "marker=%ff&delimiter=%ff", "|" },
		{ "max-keys=0", "|" },
		{ "max-keys=2", "B a/1 |" },
	};
	size_t i;
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, t_get(lab_arena_printf(t.arena, "/mail?%s", rows[i].query)) == 200);
		if (strcmp(listed(), rows[i].listed) != 0)
			fail_msg("row %zu: %s", i, listed());
	}
}

static void version_one_pages_by_marker(void **state)
{
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	assert_int_equal(t_get("/mail?max-keys=3"), 200);
	assert_string_equal(t_xml("IsTruncated"), "true");
	assert_false(t_body_has("NextMarker")); /* only with a delimiter */
	assert_int_equal(t_get("/mail?max-keys=2&delimiter=/"), 200);
	assert_string_equal(listed(), "B | a/");
	assert_string_equal(t_xml("NextMarker"), "a/");
	assert_int_equal(t_get("/mail?max-keys=2&delimiter=/&marker=a/"), 200);
	assert_string_equal(listed(), "b | c/");
	assert_string_equal(t_xml("NextMarker"), "c/");
	assert_int_equal(t_get("/mail?max-keys=2&delimiter=/&marker=c/"), 200);
	assert_string_equal(listed(), "\xe2\x82\xac |");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_int_equal(t_get("/mail?max-keys=8"), 200);
	assert_string_equal(t_xml("IsTruncated"), "false");
}

static void version_two_pages_by_token(void **state)
{
	char seen[400] = "";
	const char *target = "/mail?list-type=2&max-keys=3";
	struct lab_buf token;
	size_t pages = 0;
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	do {
		assert_int_equal(t_get(target), 200);
		(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s", listed());
		lab_buf_init(&token, testing_heap, 1000);
		lab_buf_append_percent(
			&token, lab_view_cstr(t_xml("NextContinuationToken")), false);
		target = lab_arena_printf(t.arena,
			"/mail?list-type=2&max-keys=3&continuation-token=%s", lab_buf_cstr(&token));
		lab_buf_done(&token);
		pages++;
	} while (strcmp(t_xml("IsTruncated"), "true") == 0 && pages < 10);
	assert_int_equal(pages, 3);
	assert_string_equal(seen, "B a/1 a/2 |a/b/3 b c/ |c/1 \xe2\x82\xac |");
	assert_string_equal(t_xml("KeyCount"), "2");
	assert_true(t_body_has("<ContinuationToken>"));
	assert_false(t_body_has("<Owner>"));
	assert_false(t_body_has("<Marker>"));
}

static void version_two_details(void **state)
{
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	assert_int_equal(t_get("/mail?list-type=2&start-after=b&fetch-owner=true"), 200);
	assert_string_equal(listed(), "c/ c/1 \xe2\x82\xac |");
	assert_string_equal(t_xml("StartAfter"), "b");
	assert_true(t_body_has("<Owner>"));
	assert_int_equal(t_get("/mail?list-type=2&delimiter=/&max-keys=2"), 200);
	assert_string_equal(t_xml("KeyCount"), "2");
	assert_string_equal(t_xml("Delimiter"), "/");
	assert_code(t_get("/mail?list-type=3"), 400, "InvalidArgument");
	assert_code(t_get("/mail?list-type=2&continuation-token=abc"), 400, "InvalidArgument");
	assert_code(t_get("/mail?list-type=2&continuation-token="), 400, "InvalidArgument");
	assert_code(t_get("/mail?list-type=2&continuation-token=MmFh"), 400, "InvalidArgument");
}

static void bad_parameters_are_named(void **state)
{
	(void)state;

	assert_code(t_get("/mail?max-keys=a"), 400, "InvalidArgument");
	assert_string_equal(t_xml("ArgumentName"), "max-keys");
	assert_string_equal(t_xml("ArgumentValue"), "a");
	assert_code(t_get("/mail?max-keys=-1"), 400, "InvalidArgument");
	assert_code(t_get("/mail?max-keys=2147483648"), 400, "InvalidArgument");
	assert_code(t_get("/mail?encoding-type=html"), 400, "InvalidArgument");
	assert_int_equal(t_get("/mail?max-keys=2147483647"), 200);
	assert_string_equal(t_xml("MaxKeys"), "1000");
}

static void url_encoding_is_for_names(void **state)
{
	static const char *const keys[] = { "a b/<&>", "\x01" };
	(void)state;

	put_all(keys, LAB_COUNT_OF(keys));
	assert_int_equal(t_get("/mail?encoding-type=url&prefix=a%20&delimiter=%3C"), 200);
	assert_string_equal(listed(), "| a%20b/%3C");
	assert_string_equal(t_xml("Prefix"), "a%20");
	assert_string_equal(t_xml("Delimiter"), "%3C");
	assert_string_equal(t_xml("EncodingType"), "url");
	assert_int_equal(t_get("/mail?prefix=a"), 200);
	assert_string_equal(listed(), "a b/&lt;&amp;&gt; |");
	assert_int_equal(t_get("/mail"), 200);
	assert_true(t_body_has("<Key>&#x1;</Key>"));
}

static void a_page_has_1000_keys_at_most(void **state)
{
	size_t i;
	(void)state;

	t.options.verify_signatures = false;
	t.options.rates.writes_per_s = 0;
	t_start();
	t.sign = T_UNSIGNED;
	for (i = 0; i < 1001; i++)
		assert_int_equal(t_put(lab_arena_printf(t.arena, "/mail/%04zu", i), ""), 200);
	assert_int_equal(t_get("/mail?list-type=2&max-keys=5000"), 200);
	assert_string_equal(t_xml("KeyCount"), "1000");
	assert_string_equal(t_xml("IsTruncated"), "true");
	assert_int_equal(t_get("/mail?list-type=2&start-after=0999"), 200);
	assert_string_equal(listed(), "1000 |");
}

static void deleted_keys_are_not_listed(void **state)
{
	(void)state;

	t.options.remember_deleted = true;
	t_start();
	put_all(tree, LAB_COUNT_OF(tree));
	assert_int_equal(t_delete("/mail/a/1"), 204);
	assert_int_equal(t_delete("/mail/b"), 204);
	assert_int_equal(t_get("/mail?delimiter=/"), 200);
	assert_string_equal(listed(), "B \xe2\x82\xac | a/ c/");
	assert_int_equal(t_get("/mail?prefix=a"), 200);
	assert_string_equal(listed(), "a/2 a/b/3 |");
}

/* Every page size and delimiter gives the same names as one big page. */
static void pages_join_to_the_whole(void **state)
{
	static const char *const delimiters[] = { "", "/", "1" };
	char whole[400];
	const char *marker;
	size_t size, d;
	(void)state;

	put_all(tree, LAB_COUNT_OF(tree));
	for (d = 0; d < LAB_COUNT_OF(delimiters); d++) {
		for (size = 1; size < 10; size++) {
			size_t names = 0, whole_names;

			assert_int_equal(t_get(lab_arena_printf(t.arena,
						 "/mail?list-type=2&delimiter=%s", delimiters[d])),
				200);
			(void)snprintf(whole, sizeof(whole), "%s", t_xml("KeyCount"));
			whole_names = (size_t)(whole[0] - '0');
			marker = "";
			do {
				assert_int_equal(
					t_get(lab_arena_printf(t.arena,
						"/mail?list-type=2&delimiter=%s&max-keys=%zu%s%s",
						delimiters[d], size,
						marker[0] != '\0' ? "&continuation-token=" : "",
						marker)),
					200);
				names += (size_t)(t_xml("KeyCount")[0] - '0');
				marker = t_xml("NextContinuationToken");
			} while (marker[0] != '\0' && names < 50);
			assert_int_equal(names, whole_names);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(lists_in_byte_order),
		t_test(prefixes_and_delimiters),
		t_test(version_one_pages_by_marker),
		t_test(version_two_pages_by_token),
		t_test(version_two_details),
		t_test(bad_parameters_are_named),
		t_test(url_encoding_is_for_names),
		t_test(a_page_has_1000_keys_at_most),
		t_test(deleted_keys_are_not_listed),
		t_test(pages_join_to_the_whole),
	};

	return cmocka_run_group_tests_name("s3-emulator list", tests, NULL, NULL);
}
