/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3 against a scripted peer in virtual time: what is asked, and what is
 * made of the answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/aws/credentials.h"
#include "core/base/defect.h"
#include "core/fs/fs-api-private.h"
#include "core/http/testing/fake-world.h"

#define HOST "http://KEY:SECRET@bucket.s3.example.com/"
#define V4 "s3:" HOST "?region=eu-central-1"
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"
#define META "x-amz-meta-dovecot-"

struct probe {
	struct fake_world *world;
	struct fs_services services;
	struct fs_settings settings;
	struct fs *fs;
	const char *uri;
	struct aws_credentials_source *role; /* what auth_open() gives */
	const char *asked_host, *asked_role;

	/* What a step does and finds; each test sets what its step uses. */
	const char *path, *second, *contents, *key;
	enum fs_open_mode mode;
	const char *set[6]; /* key, value, key, value... */
	size_t max_bytes, max_entries, count;
	uint32_t flags;
	int result;
	struct lab_error err;
	struct lab_view view;
	uint64_t size;
	struct lab_view *names;
	size_t name_count;
	struct lab_error results[8];
	char final_path[256];
};

static struct aws_credentials_source *auth_open(
	void *ctx, struct lab_view auth_host, struct lab_view role, struct lab_error *err)
{
	struct probe *probe = ctx;

	probe->asked_host = lab_arena_cstr(probe->world->arena, auth_host);
	probe->asked_role = lab_arena_cstr(probe->world->arena, role);
	if (probe->role == NULL)
		lab_fail(err, LAB_DENIED, "no such role");
	return probe->role;
}

static int setup(void **state)
{
	static struct probe probe;

	memset(&probe, 0, sizeof(probe));
	lab_defects_on = LAB_NO_DEFECTS;
	probe.world = fake_world_new();
	probe.services.auth_open = auth_open;
	probe.services.ctx = &probe;
	probe.settings = (struct fs_settings){ .env = &probe.world->env,
		.username = "user@example.com",
		.session_id = "session1",
		.max_parallel_deletes = 1000,
		.services = &probe.services };
	probe.uri = V4;
	probe.path = "user/mails/1";
	probe.contents = "hello";
	probe.mode = FS_OPEN_REPLACE;
	probe.max_bytes = probe.max_entries = 1000;
	*state = &probe;
	return 0;
}

static int teardown(void **state)
{
	struct probe *probe = *state;

	fs_deinit(&probe->fs);
	aws_credentials_free(&probe->role);
	fake_world_free(&probe->world);
	return 0;
}

/* ---- steps: each runs in a fiber ---- */

static struct fs_file *open_path(struct probe *probe, const char *path)
{
	struct lab_error err;
	struct fs_file *file;

	if (probe->fs == NULL &&
		fs_init(lab_view_cstr(probe->uri), &probe->settings, &probe->fs, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		lab_bug("a test's URI is refused");
	}
	file = fs_file_open(probe->fs, lab_view_cstr(path), probe->mode);
	return file;
}

static struct fs_file *open_file(struct probe *probe)
{
	struct fs_file *file = open_path(probe, probe->path);

	for (size_t i = 0; i + 1 < LAB_COUNT_OF(probe->set) && probe->set[i] != NULL; i += 2)
		fs_set_metadata(file, probe->set[i], lab_view_cstr(probe->set[i + 1]));
	return file;
}

static void step_write(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);
	struct lab_view path;

	probe->result = fs_write(file, lab_view_cstr(probe->contents), &probe->err);
	path = fs_file_path(file);
	snprintf(probe->final_path, sizeof(probe->final_path), "%.*s", LAB_VIEW_ARG(path));
	fs_file_close(&file);
}

static void step_read(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result =
		fs_read(file, probe->world->arena, probe->max_bytes, &probe->view, &probe->err);
	/* Metadata that came with the body costs no request. */
	if (probe->result == 0 && probe->key != NULL)
		probe->result = fs_get_metadata(
			file, probe->key, probe->world->arena, &probe->view, &probe->err);
	fs_file_close(&file);
}

static void step_metadata(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	for (size_t i = 0; i < probe->count; i++)
		probe->result = fs_get_metadata(
			file, probe->key, probe->world->arena, &probe->view, &probe->err);
	fs_file_close(&file);
}

static void step_exists(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_exists(file, &probe->err);
	fs_file_close(&file);
}

static void step_stat(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_stat(file, &probe->size, &probe->err);
	fs_file_close(&file);
}

static void step_delete(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_delete(file, &probe->err);
	fs_file_close(&file);
}

static void step_copy(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *to = open_file(probe), *from = open_path(probe, probe->second);

	probe->result = fs_copy(from, to, &probe->err);
	fs_file_close(&from);
	fs_file_close(&to);
}

static void step_unsupported(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *to = open_file(probe), *from = open_path(probe, "other");
	unsigned links;

	probe->result = fs_rename(from, to, &probe->results[0]) +
			fs_get_nlinks(from, &links, &probe->results[1]);
	fs_file_close(&from);
	fs_file_close(&to);
}

/* Files "k0", "k1"...; "k<n>" is the last one's name if `second` says "twice". */
static void step_delete_many(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *files[8];

	for (size_t i = 0; i < probe->count; i++)
		files[i] = open_path(
			probe, lab_arena_printf(probe->world->arena, "k%zu",
				       probe->second != NULL && i + 1 == probe->count ? 0 : i));
	probe->result = fs_delete_many(files, probe->count, probe->results, &probe->err);
	for (size_t i = 0; i < probe->count; i++)
		fs_file_close(&files[i]);
}

static void step_iter(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	fs_file_close(&file);
	probe->result =
		fs_iter(probe->fs, lab_view_cstr(probe->path), probe->flags, probe->max_entries,
			probe->world->arena, &probe->names, &probe->name_count, &probe->err);
}

static void run(struct probe *probe, env_fiber_fn step)
{
	memset(&probe->err, 0, sizeof(probe->err));
	fake_run(probe->world, step, probe);
}

/* ---- expectations ---- */

static void assert_view(struct lab_view got, const char *expected)
{
	if (!lab_view_eq_cstr(got, expected))
		fail_msg("got \"%.*s\", expected \"%s\"", LAB_VIEW_ARG(got), expected);
}

static const struct lab_http_request *request_at(const struct probe *probe, size_t index)
{
	assert_true(index < probe->world->request_count);
	return &probe->world->requests[index].request;
}

static void assert_request(
	const struct probe *probe, size_t index, const char *method, const char *target)
{
	assert_view(request_at(probe, index)->method, method);
	assert_view(request_at(probe, index)->target, target);
}

static void assert_error(const struct probe *probe, enum lab_code code)
{
	assert_int_equal(probe->result, -1);
	if (probe->err.code != code)
		fail_msg("%s: %s", lab_code_name(probe->err.code), probe->err.message);
}

static void assert_ok(const struct probe *probe)
{
	if (probe->result != 0)
		fail_msg("%s", probe->err.message);
}

static void error_body(struct probe *probe, unsigned status, const char *code)
{
	fake_body(probe->world, status, NULL,
		lab_arena_printf(probe->world->arena,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
			"<Message>m</Message><RequestId>r</RequestId></Error>",
			code));
}

/* ---- writing ---- */

static void put_has_md5_type_and_metadata(void **state)
{
	struct probe *probe = *state;
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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;
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
	struct probe *probe = *state;

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
	struct probe *probe = *state;
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

static void get_returns_body_and_metadata(void **state)
{
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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

static void assert_refused(struct probe *probe, const char *uri, const char *message)
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
	struct probe *probe = *state;

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

/* ---- signing ---- */

static void region_chooses_version_4_of_the_signature(void **state)
{
	struct probe *probe = *state;
	struct lab_view authorization;

	fake_status(probe->world, 200);
	run(probe, step_write);
	authorization = fake_header(probe->world, 0, "Authorization");
	assert_true(lab_view_starts_with(authorization,
		LAB_VIEW("AWS4-HMAC-SHA256 Credential=KEY/20130524/eu-central-1/s3/aws4_request, "
			 "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;"
			 "x-amz-date, Signature=")));
	assert_view(fake_header(probe->world, 0, "x-amz-content-sha256"),
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	assert_view(fake_header(probe->world, 0, "x-amz-date"), "20130524T000000Z");
}

static void without_region_it_is_version_2(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST;
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_true(lab_view_starts_with(
		fake_header(probe->world, 0, "Authorization"), LAB_VIEW("AWS KEY:")));
	assert_view(fake_header(probe->world, 0, "Date"), "Fri, 24 May 2013 00:00:00 GMT");
	assert_null(fake_header(probe->world, 0, "x-amz-date").ptr);
	assert_null(fake_header(probe->world, 0, "x-amz-content-sha256").ptr);
}

/* The bucket moved from the path into the host: version 2 signs both alike. */
static void redirects_are_signed_for_where_they_lead(void **state)
{
	struct probe *probe = *state;
	struct lab_view there;

	probe->uri = "s3:http://KEY:SECRET@s3.example.com/?bucket=mails";
	fake_body(probe->world, 307, "Location: http://mails.s3-west.example.com/user/mails/1", "");
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 2);
	assert_view(request_at(probe, 0)->target, "/mails/user/mails/1");
	assert_view(request_at(probe, 1)->target, "/user/mails/1");
	there = fake_header(probe->world, 1, "Authorization");
	assert_true(lab_view_starts_with(there, LAB_VIEW("AWS KEY:")));
	assert_true(lab_view_eq(there, fake_header(probe->world, 0, "Authorization")));
}

static void retries_have_a_new_date(void **state)
{
	struct probe *probe = *state;

	fake_reply(probe->world, (struct fake_reply){ .status = 500, .delay_ns = 3 * LAB_SEC });
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_view(fake_header(probe->world, 1, "x-amz-date"), "20130524T000003Z");
}

static void the_secret_is_in_no_event_and_no_message(void **state)
{
	struct probe *probe = *state;

	for (int i = 0; i < 5; i++)
		error_body(probe, 503, "SlowDown");
	run(probe, step_write);
	assert_error(probe, LAB_THROTTLED);
	assert_null(strstr(probe->err.message, "SECRET"));
	assert_null(strstr(probe->err.message, "KEY:"));
	assert_true(probe->world->event_count > 0);
	assert_false(fake_events_mention(probe->world, "SECRET"));
	assert_false(fake_events_mention(probe->world, "Signature"));
}

/* ---- roles ---- */

static void imds_peer(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	struct probe *probe = world->handler_ctx;

	ret->status = 200;
	if (lab_view_eq_cstr(request->target, "/latest/api/token")) {
		ret->body = LAB_VIEW("imds-session");
		return;
	}
	if (lab_view_starts_with(request->target, LAB_VIEW("/latest/meta-data/"))) {
		ret->body = lab_view_cstr(lab_arena_printf(world->arena,
			"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA%zu\","
			"\"SecretAccessKey\":\"SECRET\",\"Token\":\"TOKEN%zu\","
			"\"Expiration\":\"2013-05-24T06:00:00Z\"}",
			probe->count, probe->count));
		return;
	}
	/* The storage knows only the second key. */
	if (lab_view_find(lab_http_header_get(&request->headers, "Authorization"),
		    LAB_VIEW("ASIA1")) == SIZE_MAX) {
		probe->count = 1;
		ret->status = probe->key == NULL ? 403 : 400;
		if (!lab_view_eq_cstr(request->method, "HEAD"))
			ret->body =
				probe->key == NULL
					? LAB_VIEW("<Error><Code>InvalidAccessKeyId</Code></Error>")
					: LAB_VIEW("<Error><Code>ExpiredToken</Code></Error>");
	}
}

static void open_role(struct probe *probe, const char *uri)
{
	probe->uri = uri;
	probe->role = aws_credentials_imds(&probe->world->env, LAB_VIEW("169.254.169.254:80"),
		LAB_VIEW("s3access"), 1, LAB_SEC);
	probe->world->handler = imds_peer;
	probe->world->handler_ctx = probe;
}

static size_t requests_to(const struct probe *probe, const char *authority)
{
	size_t count = 0;

	for (size_t i = 0; i < probe->world->request_count; i++)
		count += lab_view_eq_cstr(request_at(probe, i)->authority, authority);
	return count;
}

static void aws_s3_signs_with_the_role_s_key_and_token(void **state)
{
	struct probe *probe = *state;
	size_t last;

	open_role(probe, "aws-s3:https://b.s3.eu-west-1.amazonaws.com/?region=eu-west-1&"
			 "auth_role=s3access&auth_host=10.0.0.1:81");
	probe->count = 1;
	run(probe, step_write);
	assert_ok(probe);
	assert_string_equal(probe->asked_host, "10.0.0.1:81");
	assert_string_equal(probe->asked_role, "s3access");
	last = probe->world->request_count - 1;
	assert_view(fake_header(probe->world, last, "x-amz-security-token"), "TOKEN1");
	assert_true(lab_view_find(fake_header(probe->world, last, "Authorization"),
			    LAB_VIEW(";x-amz-security-token,")) != SIZE_MAX);
	assert_false(fake_events_mention(probe->world, "TOKEN1"));
	assert_false(fake_events_mention(probe->world, "imds-session"));
}

static void step_rotate(void *ctx)
{
	struct probe *probe = ctx;
	struct lab_arena *arena = lab_arena_new(probe->world->env.heap, 65536);
	struct aws_credentials credentials;

	/* The session has ASIA0 already; from then on the storage wants ASIA1. */
	probe->count = 0;
	aws_credentials_get(probe->role, arena, &credentials, NULL);
	lab_arena_free(&arena);
	env_sleep(&probe->world->env, LAB_MINUTE);
	if (probe->second != NULL)
		step_exists(probe);
	else
		step_write(probe);
}

/* PRO-01: around a rotation of the keys, sessions got 403 until they ended. */
static void a_session_survives_the_rotation_of_its_keys(void **state)
{
	struct probe *probe = *state;

	for (int i = 0; i < 4; i++) {
		size_t before;

		open_role(probe, "aws-s3:https://b.s3.eu-west-1.amazonaws.com/?region=eu-west-1&"
				 "auth_role=s3access");
		probe->key = (i & 1) == 0 ? NULL : "expired";
		probe->second = (i & 2) == 0 ? NULL : "head";
		before = requests_to(probe, "b.s3.eu-west-1.amazonaws.com");
		run(probe, step_rotate);
		if (probe->result != (i & 2) >> 1)
			fail_msg("case %d: %s", i, probe->err.message);
		assert_int_equal(requests_to(probe, "b.s3.eu-west-1.amazonaws.com") - before, 2);
		fs_deinit(&probe->fs);
		aws_credentials_free(&probe->role);
	}
}

static void the_s3_scheme_sends_no_token_unless_told_to(void **state)
{
	struct probe *probe = *state;

	open_role(probe, "s3:https://b.s3.example.com/?region=r&auth_role=s3access");
	probe->count = 1;
	run(probe, step_write);
	assert_ok(probe);
	assert_null(
		fake_header(probe->world, probe->world->request_count - 1, "x-amz-security-token")
			.ptr);
	fs_deinit(&probe->fs);

	probe->uri = "s3:https://b.s3.example.com/?region=r&auth_role=s3access&"
		     "addhdrvar=X-Token:<%{auth:token}>&addhdrvar=X-Plain:%{auth:token}";
	run(probe, step_write);
	assert_ok(probe);
	assert_view(
		fake_header(probe->world, probe->world->request_count - 1, "X-Token"), "<TOKEN1>");
	assert_view(
		fake_header(probe->world, probe->world->request_count - 1, "X-Plain"), "TOKEN1");
}

static void an_empty_variable_header_is_not_sent(void **state)
{
	struct probe *probe = *state;

	probe->uri = "aws-s3:" HOST "?region=r";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_ok(probe);
	assert_null(fake_header(probe->world, 0, "x-amz-security-token").ptr);
}

static void an_unknown_variable_is_an_error(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?addhdrvar=X-A:%{auth:other}";
	run(probe, step_read);
	assert_error(probe, LAB_INVALID);
	assert_int_equal(probe->world->request_count, 0);
}

static void a_role_that_is_not_there_is_an_error(void **state)
{
	struct probe *probe = *state;
	struct fs *fs = NULL;
	struct lab_error err;

	assert_int_equal(
		fs_init(LAB_VIEW("aws-s3:https://b.s3.example.com/?region=r&auth_role=gone"),
			&probe->settings, &fs, &err),
		-1);
	assert_int_equal(err.code, LAB_DENIED);
	assert_string_equal(probe->asked_host, "169.254.169.254:80");
}

/* ---- URL parameters ---- */

static void timeouts_of_the_url_are_used(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?timeout=4000";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_int_equal(probe->world->requests[0].limits.connect_timeout_ns, 4 * LAB_SEC);
	assert_int_equal(probe->world->requests[0].limits.response_timeout_ns, 4 * LAB_SEC);
	fs_deinit(&probe->fs);

	probe->uri =
		"s3:" HOST
		"?connect_timeout=1000&read_timeout=2000&write_timeout=3000&delete_timeout=5000";
	for (int i = 0; i < 3; i++)
		fake_status(probe->world, 200);
	run(probe, step_read);
	run(probe, step_write);
	run(probe, step_delete);
	assert_int_equal(probe->world->requests[1].limits.connect_timeout_ns, LAB_SEC);
	assert_int_equal(probe->world->requests[1].limits.response_timeout_ns, 2 * LAB_SEC);
	assert_int_equal(probe->world->requests[2].limits.response_timeout_ns, 3 * LAB_SEC);
	assert_int_equal(probe->world->requests[3].limits.response_timeout_ns, 5 * LAB_SEC);
}

static size_t attempts(
	struct probe *probe, const char *uri, env_fiber_fn step, enum lab_code failure)
{
	size_t before = probe->world->request_count;

	fs_deinit(&probe->fs);
	probe->uri = uri;
	probe->world->script_count = probe->world->script_next = 0;
	for (int i = 0; i < 10; i++)
		fake_fail(probe->world, failure, 0);
	run(probe, step);
	assert_int_equal(probe->result, -1);
	return probe->world->request_count - before;
}

static void retries_of_the_url_are_used(void **state)
{
	static const char each[] =
		"s3:" HOST "?read_max_retries=0&write_max_retries=1&delete_max_retries=3";
	struct probe *probe = *state;

	assert_int_equal(attempts(probe, "s3:" HOST, step_read, LAB_UNCERTAIN), 5);
	assert_int_equal(attempts(probe, "s3:" HOST "?max_retries=2", step_read, LAB_UNCERTAIN), 3);
	assert_int_equal(attempts(probe, each, step_read, LAB_UNCERTAIN), 1);
	assert_int_equal(attempts(probe, each, step_write, LAB_UNCERTAIN), 2);
	assert_int_equal(attempts(probe, each, step_delete, LAB_UNCERTAIN), 4);
	assert_int_equal(attempts(probe, "s3:" HOST, step_read, LAB_REFUSED), 3);
	assert_int_equal(
		attempts(probe, "s3:" HOST "?max_connect_retries=0", step_read, LAB_REFUSED), 1);
	assert_int_equal(
		attempts(probe, "s3:" HOST "?absolute_timeout=100", step_read, LAB_UNCERTAIN), 2);
}

static void headers_of_the_url_are_used(void **state)
{
	struct probe *probe = *state;
	const char *text;

	probe->uri = "s3:" HOST "?addhdr=X-One:1&addhdr=X-Two:2&loghdr=x-amz-request-id";
	fake_body(probe->world, 200, "x-amz-request-id: R1", "");
	run(probe, step_read);
	assert_view(fake_header(probe->world, 0, "X-One"), "1");
	assert_view(fake_header(probe->world, 0, "X-Two"), "2");
	fake_events(probe->world, LAB_EV_http_request_finished, &text);
	assert_non_null(strstr(text, "http_hdr_x-amz-request-id=R1"));
}

static void aws_s3_logs_both_ids_of_aws(void **state)
{
	struct probe *probe = *state;

	probe->uri = "aws-s3:" HOST "?region=r";
	fake_reply(probe->world, (struct fake_reply){ .status = 404,
					 .reason = "Not Found",
					 .headers = "x-amz-request-id: R1\nx-amz-id-2: I2=" });
	run(probe, step_read);
	assert_error(probe, LAB_NOT_FOUND);
	assert_non_null(strstr(probe->err.message, "(x-amz-request-id:R1, x-amz-id-2:I2=)"));
}

static void trace_headers_follow_the_url(void **state)
{
	struct probe *probe = *state;

	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Username"), "user@example.com");
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Session-Id"), "session1");
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST "?no_trace_headers=1";
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Username").ptr);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Session-Id").ptr);
}

static void step_reason(void *ctx)
{
	struct probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	fs_set_reason(probe->fs, "mailbox rescan");
	fs_file_close(&file);
	step_read(probe);
	fs_set_reason(probe->fs, NULL);
}

static void the_reason_is_sent_up_to_its_length(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?reason_header_max_length=7";
	fake_status(probe->world, 200);
	run(probe, step_reason);
	assert_view(fake_header(probe->world, 0, "X-Dovecot-Reason"), "mailbox");
	fake_status(probe->world, 200);
	run(probe, step_read);
	assert_null(fake_header(probe->world, 1, "X-Dovecot-Reason").ptr);
	fs_deinit(&probe->fs);

	probe->uri = V4;
	fake_status(probe->world, 200);
	run(probe, step_reason);
	assert_null(fake_header(probe->world, 2, "X-Dovecot-Reason").ptr);
}

static void slow_requests_are_warned_about_as_the_url_says(void **state)
{
	struct probe *probe = *state;
	const char *text;

	probe->uri = "s3:" HOST "?slow_warn=100";
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 101 * LAB_MSEC });
	run(probe, step_read);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 1);
}

static void the_defect_reaches_the_client(void **state)
{
	struct probe *probe = *state;

	lab_defects_on = LAB_DEFECT(NO_RETRY_503);
	error_body(probe, 503, "SlowDown");
	run(probe, step_write);
	assert_error(probe, LAB_THROTTLED);
	assert_int_equal(probe->world->request_count, 1);
}

/* ---- copying ---- */

#define COPIED "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>"

static void copy_names_its_source_and_keeps_metadata(void **state)
{
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

	run(probe, step_unsupported);
	assert_int_equal(probe->result, -2);
	assert_int_equal(probe->results[0].code, LAB_UNSUPPORTED);
	assert_int_equal(probe->results[1].code, LAB_UNSUPPORTED);
	assert_int_equal(fs_get_properties(probe->fs) & FS_PROPERTY_RENAME, 0);
	assert_int_equal(fs_get_properties(probe->fs) & FS_PROPERTY_NLINKS, 0);
	assert_int_not_equal(fs_get_properties(probe->fs) & FS_PROPERTY_METADATA, 0);
}

/* ---- deleting ---- */

static void delete_is_a_delete(void **state)
{
	struct probe *probe = *state;

	fake_status(probe->world, 204);
	run(probe, step_delete);
	assert_ok(probe);
	assert_request(probe, 0, "DELETE", "/user/mails/1");

	error_body(probe, 404, "NoSuchKey");
	run(probe, step_delete);
	assert_error(probe, LAB_NOT_FOUND);
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	error_body(probe, 404, "NoSuchKey");
	run(probe, step_delete);
	assert_ok(probe);
}

#define DELETED(key) "<Deleted><Key>" key "</Key></Deleted>"
#define FAILED(key, code) \
	"<Error><Key>" key "</Key><Code>" code "</Code><Message>m</Message></Error>"

static void deleted(struct probe *probe, const char *entries)
{
	fake_body(probe->world, 200, NULL,
		lab_arena_printf(probe->world->arena,
			"<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			"%s</DeleteResult>",
			entries));
}

static void bulk_delete_posts_its_keys(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "pre%20fix?region=r";
	probe->count = 3;
	deleted(probe, DELETED("pre fix/k2") DELETED("pre fix/k0") DELETED("pre fix/k1"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_request(probe, 0, "POST", "/?delete");
	assert_view(request_at(probe, 0)->body,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Object><Key>pre fix/k0</Key></Object><Object><Key>pre fix/k1</Key></Object>"
		"<Object><Key>pre fix/k2</Key></Object></Delete>");
	assert_true(fake_header(probe->world, 0, "Content-MD5").len == 24);
	assert_view(fake_header(probe->world, 0, "Content-Type"), "application/xml");
}

static void bulk_deletes_are_split_by_both_limits(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?bulk_delete_limit=2";
	probe->count = 3;
	deleted(probe, DELETED("k0") DELETED("k1"));
	deleted(probe, DELETED("k2"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 2);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST;
	probe->settings.max_parallel_deletes = 2;
	deleted(probe, DELETED("k0") DELETED("k1"));
	deleted(probe, DELETED("k2"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 4);
}

static void deletes_are_parallel(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	(void)world;
	*ret = (struct fake_reply){ .status = 204, .delay_ns = LAB_SEC };
	if (lab_view_eq_cstr(request->target, "/k1"))
		*ret = (struct fake_reply){ .status = 403, .delay_ns = LAB_SEC };
}

static void without_bulk_deletes_there_are_deletes_side_by_side(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?bulk_delete_limit=0";
	probe->settings.max_parallel_deletes = 3;
	probe->count = 6;
	probe->world->handler = deletes_are_parallel;
	run(probe, step_delete_many);
	assert_error(probe, LAB_DENIED);
	assert_int_equal(probe->world->in_flight_max, 3);
	assert_int_equal(probe->world->now_ns, 2 * LAB_SEC);
	for (size_t i = 0; i < 6; i++) {
		assert_view(request_at(probe, i)->method, "DELETE");
		assert_int_equal(probe->results[i].code, i == 1 ? LAB_DENIED : LAB_OK);
	}
	fs_deinit(&probe->fs);

	/* obox_max_parallel_deletes 0 or 1: one after the other, and no POST for a single key. */
	probe->uri = "s3:" HOST;
	probe->settings.max_parallel_deletes = 0;
	probe->world->in_flight_max = 0;
	run(probe, step_delete_many);
	assert_int_equal(probe->world->in_flight_max, 1);
	assert_view(request_at(probe, 6)->method, "DELETE");
}

static void each_key_of_a_bulk_delete_has_its_own_result(void **state)
{
	struct probe *probe = *state;

	probe->count = 6;
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey")
			       DELETED("k4") DELETED("stranger"));
	run(probe, step_delete_many);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_DENIED);
	assert_int_equal(probe->results[2].code, LAB_NOT_FOUND);
	/* What the answer does not mention may be gone or not. */
	assert_int_equal(probe->results[3].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[4].code, LAB_OK);
	assert_int_equal(probe->results[5].code, LAB_UNCERTAIN);
	assert_int_equal(probe->err.code, LAB_DENIED);
	assert_int_equal(probe->world->request_count, 1);
}

static void refused_keys_go_out_again_after_the_ladder_s_waits(void **state)
{
	struct probe *probe = *state;

	probe->count = 4;
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown") FAILED("k2", "InternalError")
			       FAILED("k3", "InternalError"));
	deleted(probe, DELETED("k1") FAILED("k2", "NoSuchKey") FAILED("k3", "AccessDenied"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 2);
	assert_int_equal(probe->world->requests[1].at_ns, 50 * LAB_MSEC);
	assert_true(lab_view_find(request_at(probe, 1)->body, LAB_VIEW("k0")) == SIZE_MAX);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_OK);
	/* Gone after an attempt that may have deleted it: ours. */
	assert_int_equal(probe->results[2].code, LAB_OK);
	assert_int_equal(probe->results[3].code, LAB_UNCERTAIN);
}

static void refused_keys_are_given_up_after_max_retries(void **state)
{
	struct probe *probe = *state;

	probe->uri = "s3:" HOST "?delete_max_retries=2";
	probe->count = 2;
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	deleted(probe, FAILED("k1", "SlowDown"));
	deleted(probe, FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
	assert_true(probe->err.retryable);
	assert_int_equal(probe->world->now_ns, 550 * LAB_MSEC);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST "?absolute_timeout=40";
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST;
	lab_defects_on = LAB_DEFECT(NO_RETRY_503);
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
}

static void a_failed_post_is_the_result_of_each_key(void **state)
{
	struct probe *probe = *state;

	probe->count = 2;
	for (int i = 0; i < 5; i++)
		fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe, step_delete_many);
	assert_error(probe, LAB_UNCERTAIN);
	assert_int_equal(probe->results[0].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[1].code, LAB_UNCERTAIN);

	/* A cut-off answer is no answer; it is asked for again. */
	fake_body(probe->world, 200, NULL, "<DeleteResult>" DELETED("k0"));
	deleted(probe, DELETED("k0") DELETED("k1"));
	run(probe, step_delete_many);
	assert_ok(probe);

	error_body(probe, 200, "AccessDenied");
	run(probe, step_delete_many);
	assert_error(probe, LAB_DENIED);

	/* Sticky: k1 may be gone since the first round. */
	deleted(probe, DELETED("k0") FAILED("k1", "InternalError"));
	error_body(probe, 403, "AccessDenied");
	run(probe, step_delete_many);
	assert_error(probe, LAB_UNCERTAIN);
}

/* What a key is told by the last attempt says nothing of those before it. */
static void a_refused_key_behind_a_failed_post_is_uncertain(void **state)
{
	struct probe *probe = *state;

	probe->count = 3;
	fake_status(probe->world, 500);
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 2);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[2].code, LAB_OK);

	/* Refused before it was read, or never sent. */
	error_body(probe, 503, "SlowDown");
	fake_fail(probe->world, LAB_REFUSED, 0);
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 5);
	assert_int_equal(probe->results[1].code, LAB_DENIED);
	assert_int_equal(probe->results[2].code, LAB_NOT_FOUND);
}

static void the_same_key_twice_is_sent_once(void **state)
{
	struct probe *probe = *state;

	probe->count = 3;
	probe->second = "twice";
	deleted(probe, FAILED("k0", "AccessDenied") DELETED("k1"));
	run(probe, step_delete_many);
	assert_int_equal(probe->results[0].code, LAB_DENIED);
	assert_int_equal(probe->results[1].code, LAB_OK);
	assert_int_equal(probe->results[2].code, LAB_DENIED);
}

/* ---- listing ---- */

static void list_page(struct probe *probe, const char *entries)
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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

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
	struct probe *probe = *state;

	probe->name_count = 7;
	list_page(probe, "<IsTruncated>false</IsTruncated>");
	run(probe, step_iter);
	assert_ok(probe);
	assert_int_equal(probe->name_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(region_chooses_version_4_of_the_signature),
		TEST(without_region_it_is_version_2),
		TEST(redirects_are_signed_for_where_they_lead),
		TEST(retries_have_a_new_date),
		TEST(the_secret_is_in_no_event_and_no_message),
		TEST(aws_s3_signs_with_the_role_s_key_and_token),
		TEST(a_session_survives_the_rotation_of_its_keys),
		TEST(the_s3_scheme_sends_no_token_unless_told_to),
		TEST(an_empty_variable_header_is_not_sent),
		TEST(an_unknown_variable_is_an_error),
		TEST(a_role_that_is_not_there_is_an_error),
		TEST(timeouts_of_the_url_are_used),
		TEST(retries_of_the_url_are_used),
		TEST(headers_of_the_url_are_used),
		TEST(aws_s3_logs_both_ids_of_aws),
		TEST(trace_headers_follow_the_url),
		TEST(the_reason_is_sent_up_to_its_length),
		TEST(slow_requests_are_warned_about_as_the_url_says),
		TEST(the_defect_reaches_the_client),
		TEST(copy_names_its_source_and_keeps_metadata),
		TEST(copy_with_new_metadata_replaces_all_of_it),
		TEST(an_error_inside_a_200_is_an_error_of_the_copy),
		TEST(what_s3_cannot_do_is_unsupported),
		TEST(delete_is_a_delete),
		TEST(bulk_delete_posts_its_keys),
		TEST(bulk_deletes_are_split_by_both_limits),
		TEST(without_bulk_deletes_there_are_deletes_side_by_side),
		TEST(each_key_of_a_bulk_delete_has_its_own_result),
		TEST(refused_keys_go_out_again_after_the_ladder_s_waits),
		TEST(refused_keys_are_given_up_after_max_retries),
		TEST(a_failed_post_is_the_result_of_each_key),
		TEST(a_refused_key_behind_a_failed_post_is_uncertain),
		TEST(the_same_key_twice_is_sent_once),
		TEST(listing_gives_the_names_of_a_directory),
		TEST(listing_goes_through_all_pages),
		TEST(listing_has_its_limits),
		TEST(a_cut_off_listing_is_asked_for_again),
		TEST(listing_nothing_gives_none),
	};

	return cmocka_run_group_tests_name("fs-s3", tests, NULL, NULL);
}
