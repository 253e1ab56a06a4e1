/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3: listing.
 */
#include "core/fs/testing/s3-probe.h"

static void step_iter(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	fs_file_close(&file);
	probe->result =
		fs_iter(probe->fs, lab_view_cstr(probe->path), probe->flags, probe->max_entries,
			probe->world->arena, &probe->names, &probe->name_count, &probe->err);
}

static void list_page(struct s3_probe *probe, const char *entries)
{
	fake_body(probe->world, 200, NULL,
		lab_arena_printf(probe->world->arena,
			"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			"<EncodingType>url</EncodingType>%s</ListBucketResult>",
			entries));
}

#define CONTENTS(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"
#define PREFIX(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

static void listing_gives_the_names_of_a_directory(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "pre?region=r";
	probe->path = "dir";
	list_page(probe, "<Prefix>pre/dir/</Prefix>" CONTENTS("pre/dir/") CONTENTS("pre/dir/a+b")
				 CONTENTS("pre/dir/c%2B%C3%A9") PREFIX("pre/dir/sub/"));
	run(probe, step_iter);
	assert_ok(probe);
	assert_request(probe, 0, "GET", "/?delimiter=%2F&encoding-type=url&prefix=pre%2Fdir%2F");
	assert_int_equal(probe->name_count, 2);
	assert_view(probe->names[0], "a b");
	assert_view(probe->names[1], "c+\xc3\xa9");

	probe->flags = FS_ITER_DIRS;
	list_page(probe, CONTENTS("pre/dir/a") PREFIX("pre/dir/sub/"));
	run(probe, step_iter);
	assert_int_equal(probe->name_count, 1);
	assert_view(probe->names[0], "sub");

	probe->flags = FS_ITER_OBJECTIDS;
	list_page(probe, CONTENTS("pre/dir/a"));
	run(probe, step_iter);
	assert_view(probe->names[0], "/a");
}

static void listing_goes_through_all_pages(void **state)
{
	struct s3_probe *probe = *state;

	probe->path = "";
	list_page(probe, "<IsTruncated>true</IsTruncated><NextMarker>b</NextMarker>" CONTENTS("a")
				 CONTENTS("b"));
	list_page(probe, "<IsTruncated>true</IsTruncated>" CONTENTS("c+1") PREFIX("cc/"));
	list_page(probe, "<IsTruncated>true</IsTruncated>" CONTENTS("d"));
	list_page(probe, "<IsTruncated>false</IsTruncated>" CONTENTS("e"));
	run(probe, step_iter);
	assert_ok(probe);
	assert_int_equal(probe->name_count, 5);
	assert_view(probe->names[4], "e");
	assert_request(probe, 1, "GET", "/?delimiter=%2F&encoding-type=url&marker=b&prefix=");
	assert_request(probe, 2, "GET", "/?delimiter=%2F&encoding-type=url&marker=cc%2F&prefix=");
	assert_request(probe, 3, "GET", "/?delimiter=%2F&encoding-type=url&marker=d&prefix=");
}

static void listing_has_its_limits(void **state)
{
	struct s3_probe *probe = *state;

	probe->path = "";
	probe->max_entries = 1;
	list_page(probe, CONTENTS("a") CONTENTS("b"));
	run(probe, step_iter);
	assert_error(probe, LAB_LIMIT);
	probe->max_entries = 1000;

	/* A page that does not move on would never end. */
	list_page(probe, "<IsTruncated>true</IsTruncated>" CONTENTS("b"));
	list_page(probe, "<IsTruncated>true</IsTruncated>" CONTENTS("b"));
	run(probe, step_iter);
	assert_error(probe, LAB_CORRUPT);
	list_page(probe, "<IsTruncated>true</IsTruncated>");
	run(probe, step_iter);
	assert_error(probe, LAB_CORRUPT);

	probe->path = "dir";
	list_page(probe, CONTENTS("other/a"));
	run(probe, step_iter);
	assert_error(probe, LAB_CORRUPT);
}

static void a_cut_off_listing_is_asked_for_again(void **state)
{
	struct s3_probe *probe = *state;

	probe->path = "";
	fake_body(probe->world, 200, NULL, "<ListBucketResult>" CONTENTS("a"));
	list_page(probe, CONTENTS("a") CONTENTS("b"));
	run(probe, step_iter);
	assert_ok(probe);
	assert_int_equal(probe->name_count, 2);
	error_body(probe, 404, "NoSuchBucket");
	run(probe, step_iter);
	assert_error(probe, LAB_UNAVAILABLE);
}

static void listing_nothing_gives_none(void **state)
{
	struct s3_probe *probe = *state;

	probe->name_count = 7;
	list_page(probe, "<IsTruncated>false</IsTruncated>");
	run(probe, step_iter);
	assert_ok(probe);
	assert_int_equal(probe->name_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(listing_gives_the_names_of_a_directory),
		TEST(listing_goes_through_all_pages),
		TEST(listing_has_its_limits),
		TEST(a_cut_off_listing_is_asked_for_again),
		TEST(listing_nothing_gives_none),
	};

	return cmocka_run_group_tests_name("fs-s3-list", tests, NULL, NULL);
}
