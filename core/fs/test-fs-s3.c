/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3: what is asked, and what is made of the answers.
 */
#include "core/fs/testing/s3-probe.h"

/* ---- writing ---- */

static void put_has_md5_type_and_metadata(void **state)
{
	struct s3_probe *probe = *state;
	const char *set[] = { "guid", "abc", ":/X-Dovecot-fs-api-ObjectID", "00ff", "Fname",
		"a b" };

	memcpy(probe->set, set, sizeof(set));
	fake_body(probe->world, 200, "ETag: \"" HELLO_MD5 "\"", "");
	run(probe, step_write);

	assert_ok(probe);
	assert_request(probe, 0, "PUT", "/user/mails/1");
	assert_view(request_at(probe, 0)->authority, "bucket.s3.example.com");
	assert_false(request_at(probe, 0)->tls);
	assert_view(request_at(probe, 0)->body, "hello");
	assert_view(fake_header(probe->world, 0, "Content-MD5"), "XUFAKrxLKna5cZ2REBfFkg==");
	assert_view(fake_header(probe->world, 0, "Content-Type"), "application/octet-stream");
	assert_view(fake_header(probe->world, 0, META "guid"), "abc");
	assert_view(fake_header(probe->world, 0, META "fname"), "a b");
	assert_false(fake_events_mention(probe->world, "00ff"));
	for (size_t i = 0; i < request_at(probe, 0)->headers.count; i++)
		assert_false(
			lab_view_eq_cstr(request_at(probe, 0)->headers.items[i].value, "00ff"));
}

static void an_etag_that_is_not_our_md5_makes_a_put_uncertain(void **state)
{
	struct s3_probe *probe = *state;

	for (int i = 0; i < 5; i++)
		fake_body(probe->world, 200, "ETag: \"00000000000000000000000000000000\"", "");
	run(probe, step_write);
	assert_error(probe, LAB_UNCERTAIN);
	assert_int_equal(probe->world->request_count, 5);
}

static void etags_that_are_no_md5_are_not_compared(void **state)
{
	static const char *const headers[] = {
		"ETag: \"00000000000000000000000000000000-2\"",
		"ETag: \"0000000000000000000000000000000x\"",
		"ETag: \"00000000000000000000000000000000\"\n"
		"x-amz-server-side-encryption: aws:kms",
		"ETag: \"00000000000000000000000000000000\"\n"
		"x-amz-server-side-encryption: aws:kms:dsse",
		"ETag: \"00000000000000000000000000000000\"\n"
		"x-amz-server-side-encryption-customer-algorithm: AES256",
		NULL,
	};
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(headers); i++) {
		fake_body(probe->world, 200, headers[i], "hello");
		run(probe, step_write);
		assert_ok(probe);
		fake_body(probe->world, 200, headers[i], "hello");
		run(probe, step_read);
		assert_ok(probe);
	}
}

static void a_lost_put_is_uncertain_and_a_refused_one_is_not(void **state)
{
	struct s3_probe *probe = *state;

	for (int i = 0; i < 5; i++)
		fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe, step_write);
	assert_error(probe, LAB_UNCERTAIN);

	for (int i = 0; i < 5; i++)
		error_body(probe, 503, "SlowDown");
	run(probe, step_write);
	assert_error(probe, LAB_THROTTLED);

	error_body(probe, 403, "AccessDenied");
	run(probe, step_write);
	assert_error(probe, LAB_DENIED);
	assert_int_equal(probe->err.status, 403);
}

static void metadata_that_cannot_be_a_header_is_refused(void **state)
{
	static const char *const bad[][2] = { { "a b", "x" }, { "a:b", "x" }, { "", "x" },
		{ "ok", "x\r\nEvil: 1" } };
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		probe->set[0] = bad[i][0];
		probe->set[1] = bad[i][1];
		run(probe, step_write);
		assert_error(probe, LAB_INVALID);
	}
	assert_int_equal(probe->world->request_count, 0);
}

static void keys_have_at_most_1024_bytes(void **state)
{
	struct s3_probe *probe = *state;
	char path[1026];

	memset(path, 'k', sizeof(path));
	path[1025] = '\0';
	probe->path = path;
	run(probe, step_write);
	assert_error(probe, LAB_INVALID);
	path[1024] = '\0';
	fake_status(probe->world, 200);
	run(probe, step_write);
	assert_ok(probe);
}

static void create_looks_first(void **state)
{
	struct s3_probe *probe = *state;

	probe->mode = FS_OPEN_CREATE;
	fake_status(probe->world, 200);
	run(probe, step_write);
	assert_error(probe, LAB_EXISTS);
	assert_request(probe, 0, "HEAD", "/user/mails/1");

	fake_status(probe->world, 404);
	fake_status(probe->world, 200);
	run(probe, step_write);
	assert_ok(probe);
	assert_request(probe, 2, "PUT", "/user/mails/1");

	error_body(probe, 403, "AccessDenied");
	run(probe, step_write);
	assert_error(probe, LAB_DENIED);
}

static void unique_files_get_a_guid_for_a_name(void **state)
{
	struct s3_probe *probe = *state;
	char first[256];

	probe->mode = FS_OPEN_CREATE_UNIQUE_128;
	probe->path = "user/mails";
	for (int i = 0; i < 2; i++) {
		fake_status(probe->world, 200);
		memcpy(first, probe->final_path, sizeof(first));
		run(probe, step_write);
		assert_ok(probe);
		assert_int_equal(strlen(probe->final_path), strlen("user/mails/") + 32);
		assert_memory_equal(probe->final_path, "user/mails/", strlen("user/mails/"));
		assert_string_not_equal(probe->final_path, first);
	}
	assert_view(lab_view_skip(request_at(probe, 1)->target, 1), probe->final_path);
}

/* ---- reading ---- */

static void step_metadata(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	for (size_t i = 0; i < probe->count; i++)
		probe->result = fs_get_metadata(
			file, probe->key, probe->world->arena, &probe->view, &probe->err);
	fs_file_close(&file);
}

static void step_stat(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_stat(file, &probe->size, &probe->err);
	fs_file_close(&file);
}

static void get_returns_body_and_metadata(void **state)
{
	struct s3_probe *probe = *state;

	fake_body(probe->world, 200,
		"ETag: \"" HELLO_MD5 "\"\nContent-Length: 5\nX-Amz-Meta-Dovecot-GUID: g1", "hello");
	run(probe, step_read);
	assert_ok(probe);
	assert_view(probe->view, "hello");
	assert_request(probe, 0, "GET", "/user/mails/1");

	probe->key = "guid";
	fake_body(probe->world, 200, META "guid: g1", "hello");
	run(probe, step_read);
	assert_int_equal(probe->result, 1);
	assert_view(probe->view, "g1");
	assert_int_equal(probe->world->request_count, 2);
}

/* S3 joins what comes several times, others may not; words of RFC 2047 are decoded. */
static void odd_metadata_is_understood(void **state)
{
	struct s3_probe *probe = *state;

	probe->key = "fname";
	fake_body(probe->world, 200,
		META "Fname: a\nx-amz-meta-dovecot-fname: =?UTF-8?Q?b=C3=B6?=\nX-Other: c",
		"hello");
	run(probe, step_read);
	assert_int_equal(probe->result, 1);
	assert_view(probe->view, "a,b\xc3\xb6");
	assert_int_equal(probe->world->request_count, 1);
}

static void truncated_and_altered_bodies_are_never_returned(void **state)
{
	static const char *const headers[] = { "Content-Length: 6", "Content-Length: x",
		"ETag: \"00000000000000000000000000000000\"" };
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(headers); i++) {
		probe->view = (struct lab_view){ NULL, 0 };
		for (int j = 0; j < 5; j++)
			fake_body(probe->world, 200, headers[i], "hello");
		run(probe, step_read);
		assert_error(probe, LAB_CORRUPT);
		assert_null(probe->view.ptr);
	}
	/* A good answer to a retry is as good as any. */
	fake_body(probe->world, 200, "ETag: \"" HELLO_MD5 "\"", "hell");
	fake_body(probe->world, 200, "ETag: \"" HELLO_MD5 "\"", "hello");
	run(probe, step_read);
	assert_ok(probe);
}

static void bodies_longer_than_asked_for_are_refused(void **state)
{
	struct s3_probe *probe = *state;

	probe->max_bytes = 4;
	fake_body(probe->world, 200, NULL, "hello");
	run(probe, step_read);
	assert_error(probe, LAB_LIMIT);
}

static void errors_are_mapped(void **state)
{
	static const struct {
		unsigned status;
		const char *code;
		enum lab_code error;
	} cases[] = { { 404, "NoSuchKey", LAB_NOT_FOUND }, { 403, "AccessDenied", LAB_DENIED },
		{ 404, "NoSuchBucket", LAB_UNAVAILABLE }, { 400, "InvalidArgument", LAB_INVALID },
		{ 403, "RequestTimeTooSkewed", LAB_DENIED } };
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		error_body(probe, cases[i].status, cases[i].code);
		run(probe, step_read);
		assert_error(probe, cases[i].error);
		assert_int_equal(probe->err.status, cases[i].status);
		assert_int_equal(probe->world->request_count, i + 1);
	}
}

static void head_tells_metadata_once(void **state)
{
	struct s3_probe *probe = *state;

	probe->key = "received";
	probe->count = 3;
	fake_body(probe->world, 200, META "received: 123\n" META "saved: 4", "");
	run(probe, step_metadata);
	assert_int_equal(probe->result, 1);
	assert_view(probe->view, "123");
	assert_int_equal(probe->world->request_count, 1);
	assert_request(probe, 0, "HEAD", "/user/mails/1");

	probe->key = "absent";
	fake_body(probe->world, 200, META "received: 123", "");
	run(probe, step_metadata);
	assert_int_equal(probe->result, 0);
	assert_int_equal(probe->world->request_count, 2);

	/* Internal keys are not asked for. */
	probe->key = FS_METADATA_OBJECTID;
	run(probe, step_metadata);
	assert_int_equal(probe->result, 0);
	assert_int_equal(probe->world->request_count, 2);
	probe->key = "received";
	probe->count = 1;
	fake_status(probe->world, 404);
	run(probe, step_metadata);
	assert_error(probe, LAB_NOT_FOUND);
}

static void exists_and_stat_ask_with_head(void **state)
{
	struct s3_probe *probe = *state;

	fake_body(probe->world, 200, "Content-Length: 77", "");
	run(probe, step_exists);
	assert_int_equal(probe->result, 1);
	fake_status(probe->world, 404);
	run(probe, step_exists);
	assert_int_equal(probe->result, 0);
	fake_status(probe->world, 403);
	run(probe, step_exists);
	assert_error(probe, LAB_DENIED);

	fake_body(probe->world, 200, "Content-Length: 77", "");
	run(probe, step_stat);
	assert_ok(probe);
	assert_int_equal(probe->size, 77);
	fake_status(probe->world, 200);
	run(probe, step_stat);
	assert_error(probe, LAB_CORRUPT);
	fake_status(probe->world, 404);
	run(probe, step_stat);
	assert_error(probe, LAB_NOT_FOUND);
}

/* ---- where things are ---- */

static void paths_are_encoded_and_never_normalised(void **state)
{
	static const char *const cases[][2] = {
		{ "a b+c%d", "/a%20b%2Bc%25d" },
		{ "/lead", "//lead" },
		{ "a/../b/./c//d", "/a/../b/./c//d" },
		{ "\xc3\xa9?x=#", "/%C3%A9%3Fx%3D%23" },
		{ "user@example.com/-._~", "/user%40example.com/-._~" },
	};
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		probe->path = cases[i][0];
		fake_status(probe->world, 200);
		run(probe, step_read);
		assert_request(probe, i, "GET", cases[i][1]);
	}
}

static void the_url_says_where_the_bucket_is(void **state)
{
	static const struct {
		const char *uri, *authority, *target, *bulk;
		bool tls;
	} cases[] = {
		{ "s3:https://s3.example.com/?bucket=b", "s3.example.com", "/b/k0", "/b/?delete",
			true },
		{ "s3:http://gate.example.com/pre/fix/?bucket=b", "gate.example.com",
			"/pre/fix/b/k0", "/pre/fix/b/?delete", false },
		{ "s3:http://b.s3.example.com:8080/", "b.s3.example.com:8080", "/k0", "/?delete",
			false },
		{ "s3:http://b.s3.example.com/a%20b", "b.s3.example.com", "/a%20b/k0", "/?delete",
			false },
		{ "s3:http://127.0.0.1:9000/b", "127.0.0.1:9000", "/b/k0", "/b/?delete", false },
		{ "s3:http://127.0.0.1:9000/b/pre/", "127.0.0.1:9000", "/b/pre/k0", "/b/?delete",
			false },
		{ "s3:http://[::1]:9000/b", "[::1]:9000", "/b/k0", "/b/?delete", false },
		{ "s3:http://minio/b", "minio", "/b/k0", "/b/?delete", false },
		{ "s3:http://s3.eu-west-1.amazonaws.com/b", "s3.eu-west-1.amazonaws.com", "/b/k0",
			"/b/?delete", false },
	};
	struct s3_probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		probe->uri = cases[i].uri;
		probe->path = "k0";
		fake_status(probe->world, 200);
		run(probe, step_read);
		assert_request(probe, 2 * i, "GET", cases[i].target);
		assert_view(request_at(probe, 2 * i)->authority, cases[i].authority);
		assert_int_equal(request_at(probe, 2 * i)->tls, cases[i].tls);
		/* Without credentials, requests are not signed. */
		assert_null(fake_header(probe->world, 2 * i, "Authorization").ptr);

		probe->count = 2;
		error_body(probe, 403, "AccessDenied");
		run(probe, step_delete_many);
		assert_request(probe, 2 * i + 1, "POST", cases[i].bulk);
		fs_deinit(&probe->fs);
	}
}

static void assert_refused(struct s3_probe *probe, const char *uri, const char *message)
{
	struct fs *fs = NULL;
	struct lab_error err;

	assert_int_equal(fs_init(lab_view_cstr(uri), &probe->settings, &fs, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	if (strstr(err.message, message) == NULL)
		fail_msg("%s", err.message);
	assert_null(fs);
}

static void bad_urls_are_refused(void **state)
{
	struct s3_probe *probe = *state;

	assert_refused(probe, "s3:http://127.0.0.1:9000/", "names no bucket");
	assert_refused(probe, "s3:http://minio/", "names no bucket");
	assert_refused(probe, "s3:ftp://b.s3.example.com/", "http");
	assert_refused(probe, "s3:http://b.s3.example.com/?timeot=1", "timeot");
	assert_refused(probe, "s3:http://b.s3.example.com/?addhdr=X:a%0d%0aY:b", "control");
	probe->settings.username = "u\nX-Evil: 1";
	assert_refused(probe, V4, "control character");
	probe->settings.username = NULL;
	probe->settings.services = NULL;
	assert_refused(probe, "s3:http://b.s3.example.com/?auth_role=r", "fs-auth");
}

/* ---- copying ---- */

static void step_copy(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *to = open_file(probe), *from = open_path(probe, probe->second);

	probe->result = fs_copy(from, to, &probe->err);
	fs_file_close(&from);
	fs_file_close(&to);
}

static void step_unsupported(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *to = open_file(probe), *from = open_path(probe, "other");
	unsigned links;

	probe->result = fs_rename(from, to, &probe->results[0]) +
			fs_get_nlinks(from, &links, &probe->results[1]);
	fs_file_close(&from);
	fs_file_close(&to);
}

#define COPIED "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>"

static void copy_names_its_source_and_keeps_metadata(void **state)
{
	struct s3_probe *probe = *state;

	probe->second = "from/a b";
	fake_body(probe->world, 200, NULL, COPIED);
	run(probe, step_copy);
	assert_ok(probe);
	assert_request(probe, 0, "PUT", "/user/mails/1");
	assert_view(fake_header(probe->world, 0, "x-amz-copy-source"), "/bucket/from/a%20b");
	assert_view(fake_header(probe->world, 0, "x-amz-metadata-directive"), "COPY");
	assert_int_equal(request_at(probe, 0)->body.len, 0);
}

static void copy_with_new_metadata_replaces_all_of_it(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:http://KEY:SECRET@gate.example.com/?bucket=b";
	probe->second = "from";
	probe->set[0] = "guid";
	probe->set[1] = "new";
	fake_body(probe->world, 200, META "guid: old\n" META "saved: 1", "");
	fake_body(probe->world, 200, NULL, COPIED);
	run(probe, step_copy);
	assert_ok(probe);
	assert_request(probe, 0, "HEAD", "/b/from");
	assert_request(probe, 1, "PUT", "/b/user/mails/1");
	assert_view(fake_header(probe->world, 1, "x-amz-copy-source"), "/b/from");
	assert_view(fake_header(probe->world, 1, "x-amz-metadata-directive"), "REPLACE");
	assert_view(fake_header(probe->world, 1, META "guid"), "new");
	assert_view(fake_header(probe->world, 1, META "saved"), "1");
}

static void an_error_inside_a_200_is_an_error_of_the_copy(void **state)
{
	struct s3_probe *probe = *state;

	probe->second = "from";
	error_body(probe, 200, "AccessDenied");
	run(probe, step_copy);
	assert_error(probe, LAB_DENIED);

	for (int i = 0; i < 5; i++)
		error_body(probe, 200, "InternalError");
	run(probe, step_copy);
	assert_error(probe, LAB_UNCERTAIN);
	assert_int_equal(probe->world->request_count, 6);

	error_body(probe, 200, "SlowDown");
	fake_body(probe->world, 200, NULL, "");
	fake_body(probe->world, 200, NULL, COPIED);
	run(probe, step_copy);
	assert_ok(probe);

	error_body(probe, 404, "NoSuchKey");
	run(probe, step_copy);
	assert_error(probe, LAB_NOT_FOUND);
	probe->set[0] = "guid";
	probe->set[1] = "new";
	fake_status(probe->world, 404);
	run(probe, step_copy);
	assert_error(probe, LAB_NOT_FOUND);
}

static void what_s3_cannot_do_is_unsupported(void **state)
{
	struct s3_probe *probe = *state;

	run(probe, step_unsupported);
	assert_int_equal(probe->result, -2);
	assert_int_equal(probe->results[0].code, LAB_UNSUPPORTED);
	assert_int_equal(probe->results[1].code, LAB_UNSUPPORTED);
	assert_int_equal(fs_get_properties(probe->fs) & FS_PROPERTY_RENAME, 0);
	assert_int_equal(fs_get_properties(probe->fs) & FS_PROPERTY_NLINKS, 0);
	assert_int_not_equal(fs_get_properties(probe->fs) & FS_PROPERTY_METADATA, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(put_has_md5_type_and_metadata),
		TEST(an_etag_that_is_not_our_md5_makes_a_put_uncertain),
		TEST(etags_that_are_no_md5_are_not_compared),
		TEST(a_lost_put_is_uncertain_and_a_refused_one_is_not),
		TEST(metadata_that_cannot_be_a_header_is_refused),
		TEST(keys_have_at_most_1024_bytes),
		TEST(create_looks_first),
		TEST(unique_files_get_a_guid_for_a_name),
		TEST(get_returns_body_and_metadata),
		TEST(odd_metadata_is_understood),
		TEST(truncated_and_altered_bodies_are_never_returned),
		TEST(bodies_longer_than_asked_for_are_refused),
		TEST(errors_are_mapped),
		TEST(head_tells_metadata_once),
		TEST(exists_and_stat_ask_with_head),
		TEST(paths_are_encoded_and_never_normalised),
		TEST(the_url_says_where_the_bucket_is),
		TEST(bad_urls_are_refused),
		TEST(copy_names_its_source_and_keeps_metadata),
		TEST(copy_with_new_metadata_replaces_all_of_it),
		TEST(an_error_inside_a_200_is_an_error_of_the_copy),
		TEST(what_s3_cannot_do_is_unsupported),
	};

	return cmocka_run_group_tests_name("fs-s3", tests, NULL, NULL);
}
