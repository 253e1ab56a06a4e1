/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/fs-uri.h"
#include "core/conf/test-support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DICT "proxy:dict-async:cassandra"
#define S3_URL "https://b.s3.eu-central-1.amazonaws.com/"

static void assert_view(struct lab_view view, const char *text)
{
	if (!lab_view_eq_cstr(view, text))
		fail_msg("'%.*s' is not '%s'", LAB_VIEW_ARG(view), text);
}

static void only_the_outermost_driver_ends_at_a_space(void **state)
{
	struct lab_view driver, args;
	(void)state;

	fs_uri_split(LAB_VIEW("fscache 100G:/dir:s3:x"), true, &driver, &args);
	assert_view(driver, "fscache");
	assert_view(args, "100G:/dir:s3:x");
	fs_uri_split(LAB_VIEW("s3: https://x"), true, &driver, &args);
	assert_view(driver, "s3");
	assert_view(args, " https://x");
	fs_uri_split(LAB_VIEW("s3 x"), false, &driver, &args);
	assert_view(driver, "s3 x");
	assert_null(args.ptr);
}

static void wrappers_leave_their_parent(void **state)
{
	struct fs_uri_fscache fscache;
	struct fs_uri_compress compress;
	struct lab_view parent;
	(void)state;

	assert_int_equal(fs_uri_fscache(LAB_VIEW("512M:/var/cache/mails/3:compress:zstd:3:posix"),
				 &fscache, NULL),
		0);
	assert_int_equal(fscache.size_bytes, 512u << 20);
	assert_view(fscache.dir, "/var/cache/mails/3");
	assert_view(fscache.parent, "compress:zstd:3:posix");
	assert_int_equal(fs_uri_compress(LAB_VIEW("maybe-zstd:22:posix:x"), &compress, NULL), 0);
	assert_true(compress.maybe);
	assert_int_equal(compress.algorithm, FS_URI_ZSTD);
	assert_int_equal(compress.level, 22);
	assert_view(compress.parent, "posix:x");
	assert_int_equal(fs_uri_compress(LAB_VIEW("gz:6:posix"), &compress, NULL), 0);
	assert_false(compress.maybe);
	assert_string_equal(fs_uri_compression_name(compress.algorithm), "gz");
	assert_int_equal(fs_uri_plain_wrapper(LAB_VIEW("posix"), &parent, NULL), 0);
	assert_view(parent, "posix");
}

static void randomfail_has_a_probability_for_each_operation(void **state)
{
	struct fs_uri_randomfail made;
	struct lab_error err;
	(void)state;

	assert_int_equal(fs_uri_randomfail(LAB_VIEW("all=5,write=50,iter=0,read-range=10-20,"
						    "iter-range=3:posix"),
				 &made, &err),
		0);
	assert_int_equal(made.ppm[FS_URI_FAIL_read], 50000);
	assert_int_equal(made.ppm[FS_URI_FAIL_write], 500000);
	assert_int_equal(made.ppm[FS_URI_FAIL_iter], 0);
	assert_int_equal(made.read_range.first, 10);
	assert_int_equal(made.read_range.last, 20);
	assert_int_equal(made.iter_range.last, 3);
	assert_int_equal(made.write_range.last, 0);
	assert_string_equal(fs_uri_fail_op_name(FS_URI_FAIL_rename), "rename");
	assert_view(made.parent, "posix");
}

static void posix_has_arguments(void **state)
{
	struct fs_uri_posix made;
	(void)state;

	assert_int_equal(fs_uri_posix(lab_view_of(NULL, 0), &made, NULL), 0);
	assert_int_equal(made.mode, 0600);
	assert_int_equal(fs_uri_posix(LAB_VIEW("lock=dotlock:prefix=/x/y_:mode=0777:dirs:no-fsync:"
					       "accurate-mtime"),
				 &made, NULL),
		0);
	assert_true(made.lock_dotlock && made.dirs && made.no_fsync && made.accurate_mtime);
	assert_int_equal(made.mode, 0666);
	assert_view(made.prefix, "/x/y_");
	assert_int_equal(fs_uri_posix(LAB_VIEW("mode=auto:lock=flock"), &made, NULL), 0);
	assert_true(made.mode_auto && !made.lock_dotlock);
}

static void dictmap_knows_every_setting(void **state)
{
	struct fs_uri_dictmap made;
	struct lab_error err;
	(void)state;

	assert_int_equal(fs_uri_dictmap(LAB_VIEW(DICT " ; aws-s3:" S3_URL
						      " ; refcounting-table:lockdir=/tmp:"
						      "bucket-size=10000:bucket-cache=/h/b.cache:"
						      "nlinks-limit=3:delete-timestamp=+10s:"
						      "bucket-deleted-days=11:"
						      "storage-objectid-prefix=u/mails/:"
						      "storage-objectid-migrate:"
						      "delete-dangling-links:"
						      "max-parallel-iter=4:no-cleanup-uncertain:"
						      "dict-prefix=u/x/"),
				 &made, &err),
		0);
	assert_true(made.proxy);
	assert_view(made.dict_socket, "dict-async");
	assert_view(made.dict_name, "cassandra");
	assert_view(made.parent, "aws-s3:" S3_URL);
	assert_true(made.refcounting_table && made.delete_dangling_links);
	assert_true(made.storage_objectid_migrate);
	assert_false(made.diff_table || made.cleanup_uncertain);
	assert_view(made.lockdir, "/tmp");
	assert_int_equal(made.bucket_size, 10000);
	assert_view(made.bucket_cache, "/h/b.cache");
	assert_int_equal(made.bucket_deleted_days, 11);
	assert_int_equal(made.nlinks_limit, 3);
	assert_true(made.delete_timestamp_ns == 10 * LAB_SEC);
	assert_view(made.storage_objectid_prefix, "u/mails/");
	assert_int_equal(made.max_parallel_iter, 4);
	assert_view(made.dict_prefix, "u/x/");
}

static void dictmap_defaults_are_those_of_3_0(void **state)
{
	struct fs_uri_dictmap made;
	(void)state;

	assert_int_equal(fs_uri_dictmap(LAB_VIEW(DICT " ; posix"), &made, NULL), 0);
	assert_true(made.cleanup_uncertain);
	assert_int_equal(made.max_parallel_iter, 10);
	assert_int_equal(made.bucket_size + made.nlinks_limit + made.bucket_deleted_days, 0);
	assert_null(made.lockdir.ptr);
	assert_null(made.storage_objectid_prefix.ptr);
	assert_int_equal(made.dict_prefix.len, 0);
	assert_int_equal(made.storage_passthrough_paths, FS_URI_PASSTHROUGH_NONE);
	assert_int_equal(fs_uri_dictmap(LAB_VIEW("proxy::x ; posix ; diff-table:cleanup-uncertain:"
						 "storage-passthrough-paths=read-only"),
				 &made, NULL),
		0);
	assert_view(made.dict_socket, "dict");
	assert_true(made.diff_table);
	assert_int_equal(made.storage_passthrough_paths, FS_URI_PASSTHROUGH_READ_ONLY);
	assert_int_equal(fs_uri_dictmap(LAB_VIEW("redis:host=x ; posix"), &made, NULL), 0);
	assert_false(made.proxy);
	assert_view(made.dict_args, "host=x");
}

static void url_parameters_have_documented_defaults(void **state)
{
	struct test_world world;
	struct conf_http_url url;
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(fs_uri_http(LAB_VIEW(" " S3_URL "?region=eu-central-1&auth_role=s3access"
					      "&reason_header_max_length=200"),
				 FS_URI_HTTP_AWS_S3, world.arena, &url, &world.err),
		0);
	assert_true(url.tls);
	assert_int_equal(url.port, 443);
	assert_view(url.host, "b.s3.eu-central-1.amazonaws.com");
	assert_view(url.region, "eu-central-1");
	assert_view(url.auth_role, "s3access");
	assert_view(url.auth_host, "169.254.169.254:80");
	assert_int_equal(url.reason_header_max_length, 200);
	assert_int_equal(url.addhdrvar_count, 1);
	assert_view(url.addhdrvar[0].name, "x-amz-security-token");
	assert_view(url.addhdrvar[0].value, "%{auth:token}");
	assert_int_equal(url.loghdr_count, 2);
	assert_view(url.loghdr[0], "x-amz-request-id");
	assert_view(url.loghdr[1], "x-amz-id-2");
	assert_true(url.timeout_ns == 10 * LAB_SEC && url.connect_timeout_ns == 10 * LAB_SEC);
	assert_true(url.slow_warn_ns == 5 * LAB_SEC && url.absolute_timeout_ns == 0);
	assert_int_equal(url.max_retries, 4);
	assert_int_equal(url.delete_max_retries, 4);
	assert_int_equal(url.max_connect_retries, 2);
	assert_int_equal(url.bulk_delete_limit, 1000);
	assert_null(url.user.ptr);
	assert_int_equal(url.path.len, 0);
	assert_view(fs_uri_http_authority(&url, world.arena), "b.s3.eu-central-1.amazonaws.com");
	test_world_done(&world);
}

static void url_parameters_are_read(void **state)
{
	static const char text[] =
		"http://KEY:foo%3Abar%2f@[::1]:9000/pre%20fix/x?bucket=b&absolute_timeout=1min"
		"&timeout=250&read_timeout=2s&max_retries=7&write_max_retries=1&connect_timeout=3s"
		"&addhdr=X-A:b%20c&addhdr=X-B:&loghdr=x-y&no_trace_headers=1&slow_warn=1s"
		"&bulk_delete_limit=0&max_connect_retries=0&auth_host=127.0.0.1:81"
		"&addhdrvar=X-V:%{user}&delete_timeout=4s&write_timeout=5s&delete_max_retries=2";
	struct test_world world;
	struct conf_http_url url;
	(void)state;

	test_world_init(&world, NULL);
	if (fs_uri_http(lab_view_cstr(text), FS_URI_HTTP_S3, world.arena, &url, &world.err) < 0)
		fail_msg("%s", world.err.message);
	assert_false(url.tls);
	assert_view(url.user, "KEY");
	assert_view(url.password, "foo:bar/");
	assert_view(url.host, "[::1]");
	assert_int_equal(url.port, 9000);
	assert_view(fs_uri_http_authority(&url, world.arena), "[::1]:9000");
	assert_view(url.path, "pre fix/x");
	assert_view(url.bucket, "b");
	assert_true(url.absolute_timeout_ns == LAB_MINUTE);
	assert_true(url.timeout_ns == 250 * LAB_MSEC);
	assert_true(url.read_timeout_ns == 2 * LAB_SEC && url.write_timeout_ns == 5 * LAB_SEC);
	assert_true(url.delete_timeout_ns == 4 * LAB_SEC);
	assert_int_equal(url.read_max_retries, 7);
	assert_int_equal(url.write_max_retries, 1);
	assert_int_equal(url.addhdr_count, 2);
	assert_view(url.addhdr[0].value, "b c");
	assert_view(url.addhdrvar[0].value, "%{user}");
	assert_int_equal(url.loghdr_count, 1);
	assert_true(url.no_trace_headers);
	assert_int_equal(url.bulk_delete_limit, 0);
	assert_int_equal(url.max_connect_retries, 0);
	assert_view(url.auth_host, "127.0.0.1:81");
	test_world_done(&world);
}

static void other_storages_have_their_own_parameters(void **state)
{
	struct test_world world;
	struct conf_http_url url;
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(fs_uri_http(LAB_VIEW("http://x/?class=3&by-path&avoid_423=60s"),
				 FS_URI_HTTP_SPROXYD, world.arena, &url, NULL),
		0);
	assert_int_equal(url.object_class, 3);
	assert_int_equal(fs_uri_http(LAB_VIEW("http://x/?class=16"), FS_URI_HTTP_SPROXYD,
				 world.arena, &url, &world.err),
		-1);
	assert_non_null(strstr(world.err.message, "class is 16"));
	assert_int_equal(fs_uri_http(LAB_VIEW("http://x/?preserve_objectid_prefix=rest/cdmi"),
				 FS_URI_HTTP_SCALITY, world.arena, &url, &world.err),
		0);
	assert_true(lab_view_eq_cstr(url.preserve_objectid_prefix, "rest/cdmi"));
	assert_int_equal(fs_uri_http(LAB_VIEW("http://x/?class=3&by-path&avoid_423=60s"),
				 FS_URI_HTTP_SPROXYD, world.arena, &url, &world.err),
		0);
	assert_true(url.by_path && url.avoid_423_ns == LAB_MINUTE);
	assert_int_equal(fs_uri_http(LAB_VIEW("http://x/mails/?addhdr=X-Dovecot-Hash:5d/9c6"
					      "&bulk_delete=1&bulk_link=0&connect_timeout_msecs=9"),
				 FS_URI_HTTP_SCALITY, world.arena, &url, NULL),
		0);
	assert_int_equal(url.bulk_delete_limit, 1000);
	assert_int_equal(url.bulk_link_limit, 0);
	assert_true(url.connect_timeout_ns == 9 * LAB_MSEC);
	assert_int_equal(
		fs_uri_http(LAB_VIEW("http://x/?class=3"), FS_URI_HTTP_S3, world.arena, &url, NULL),
		-1);
	test_world_done(&world);
}

static void whole_stacks_are_checked(void **state)
{
	static const char *const good[] = {
		"fscache:512M:/c:compress:zstd:3:dictmap:" DICT " ; aws-s3:" S3_URL
		"?region=x ; refcounting-table",
		"fts-cache:fscache:2G:/c:compress:maybe-gz:1:dictmap:" DICT " ; s3:" S3_URL
		" ; dict-prefix=u/fts/:storage-passthrough-paths=full",
		"fscache 100G:/var/lib/dovecot/cache:s3:https://Accesskey:Secret@b.example.com/",
		"randomfail:all=10:metawrap:posix:prefix=/x",
		"posix",
	};
	struct test_world world;
	struct lab_view known_only;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(good); i++) {
		if (fs_uri_check(lab_view_cstr(good[i]), world.arena, &known_only, &world.err) < 0)
			fail_msg("%s: %s", good[i], world.err.message);
		assert_null(known_only.ptr);
	}
	assert_int_equal(fs_uri_check(LAB_VIEW("compress:gz:6:azure:http://x/"), world.arena,
				 &known_only, NULL),
		0);
	assert_view(known_only, "azure");
	assert_int_equal(
		fs_uri_check(LAB_VIEW("crypt:anything"), world.arena, &known_only, NULL), 0);
	assert_view(known_only, "crypt");
	test_world_done(&world);
}

#define SEPARATED \
	"dictmap: the dict URI, the parent filesystem and the settings must be separated by " \
	"exactly ' ; ' (space, semicolon, space)"

static const struct {
	const char *uri, *message;
} wrong_uris[] = {
	{ "fscahce:1G:/c:posix", "Unknown fs driver: fscahce (did you mean fscache?)" },
	{ "fscache:1G:/c:zzz:x", "fscache: Unknown fs driver: zzz" },
	{ "", "Unknown fs driver: " },
	{ "fscache", "fscache: Cache size not given as parameter" },
	{ "fscache:1G", "fscache: Cache directory not given as parameter" },
	{ "fscache:1G:", "fscache: Cache directory not given as parameter" },
	{ "fscache:1G:/c", "fscache: Parent filesystem not given as parameter" },
	{ "fscache:1G::posix", "fscache: Cache directory not given as parameter" },
	{ "fscache:lots:/c:posix",
		"fscache: Invalid cache size parameter: 'lots' is not a size such as 512M" },
	{ "compress", "compress: Compression method not given as parameter" },
	{ "compress:zstd:3", "compress: Parent filesystem not given as parameter" },
	{ "compress:zst:3:posix",
		"compress: Compression method 'zst' not supported (did you mean zstd?)" },
	{ "compress:gz:10:posix",
		"compress: Invalid compression level parameter '10': gz takes 1 to 9" },
	{ "fts-cache", "fts-cache: Parent filesystem not given as parameter" },
	{ "posix:dir", "posix: Unknown arg 'dir' (did you mean dirs?)" },
	{ "posix:lock=lockf", "posix: lock: 'lockf' is not one of flock, dotlock" },
	{ "posix:mode=rw", "posix: mode: 'rw' is not a file mode such as 0600" },
	{ "randomfail", "randomfail: Operations not given as parameter" },
	{ "randomfail:write=1", "randomfail: Parent filesystem not given as parameter" },
	{ "randomfail:wirte=1:posix",
		"randomfail: Unknown operation 'wirte' (did you mean write?)" },
	{ "randomfail:write=101:posix",
		"randomfail: Invalid probability of write: '101' is above the maximum of 100" },
	{ "randomfail:write:posix", "randomfail: '=' is missing in 'write'" },
	{ "randomfail:read-range=5-2:posix", "randomfail: Invalid range '5-2'" },
	{ "randomfail:read-range=0:posix", "randomfail: Invalid range '0'" },
	{ "dictmap:" DICT "; posix", SEPARATED },
	{ "dictmap:" DICT " ;posix", SEPARATED },
	{ "dictmap:" DICT "  ; posix", SEPARATED },
	{ "dictmap:" DICT " ; posix ;diff-table", SEPARATED },
	{ "dictmap:" DICT " ; posix ; diff-table ; x", SEPARATED },
	{ "dictmap:" DICT " ;  ; x", SEPARATED },
	{ "dictmap:", SEPARATED },
	{ "dictmap:" DICT,
		"dictmap: there is no parent filesystem: ' ; ' (space, semicolon, space) is "
		"missing behind the dict URI" },
	{ "dictmap:proxy:x ; posix", "dictmap: 'proxy:x' is not proxy:<socket>:<dict name>" },
	{ "dictmap:cassandra ; posix", "dictmap: 'cassandra' is not a dict URI" },
	{ "dictmap:" DICT " ; posix ; refcount-table",
		"dictmap: Unknown setting 'refcount-table' (did you mean refcounting-table?)" },
	{ "dictmap:" DICT " ; posix ; no-store-orig-path",
		"dictmap: Unknown setting 'no-store-orig-path'" },
	{ "dictmap:" DICT " ; posix ; diff-table=1", "dictmap: Setting diff-table takes no value" },
	{ "dictmap:" DICT " ; posix ; lockdir", "dictmap: Setting lockdir has no value" },
	{ "dictmap:" DICT " ; posix ; delete-timestamp=10s",
		"dictmap: Setting delete-timestamp: '10s' does not begin with '+'" },
	{ "dictmap:" DICT " ; posix ; delete-timestamp=+9999w",
		"dictmap: Setting delete-timestamp: '+9999w' is longer than a year" },
	{ "dictmap:" DICT " ; posix ; bucket-size=many",
		"dictmap: Setting bucket-size: 'many' is not a number" },
	{ "dictmap:" DICT " ; posix ; max-parallel-iter=0",
		"dictmap: Setting max-parallel-iter: '0' is below the minimum of 1" },
	{ "dictmap:" DICT " ; posix ; storage-passthrough-paths=yes",
		"dictmap: Setting storage-passthrough-paths: 'yes' is not one of none, full, "
		"read-only" },
	{ "dictmap:" DICT " ; posix ; bucket-size=10", "dictmap: bucket-size needs bucket-cache" },
	{ "dictmap:" DICT " ; posix ; storage-objectid-migrate",
		"dictmap: storage-objectid-migrate needs storage-objectid-prefix" },
	{ "dictmap:" DICT " ; posix ; storage-passthrough-paths=full:storage-objectid-prefix=x",
		"dictmap: storage-objectid-prefix and storage-passthrough-paths exclude each "
		"other" },
	{ "dictmap:" DICT " ; s3:" S3_URL "?regoin=x ; diff-table",
		"dictmap: s3: Unknown URL parameter 'regoin' (did you mean region?)" },
};

static void errors_name_driver_and_part(void **state)
{
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(wrong_uris); i++) {
		if (fs_uri_check(lab_view_cstr(wrong_uris[i].uri), world.arena, NULL, &world.err) ==
			0)
			fail_msg("row %zu: '%s' is taken", i, wrong_uris[i].uri);
		if (strcmp(world.err.message, wrong_uris[i].message) != 0)
			fail_msg("row %zu: %s", i, world.err.message);
	}
	test_world_done(&world);
}

static void url_errors_never_show_secrets(void **state)
{
	static const struct {
		const char *url, *message;
	} rows[] = {
		{ "ftp://x/", "the URL does not begin with http:// or https://" },
		{ "https://", "the host is missing in the URL" },
		{ "https://KEY:SECRET@/", "the host is missing in the URL" },
		{ "https://KEY:SECRET:b.example.com/",
			"the port in the URL is not a number from 1 to 65535" },
		{ "https://KEY:SEC:RET@b.example.com/", "a ':' in the secret of the URL must be "
							"written %3A (%%3A in dovecot.conf)" },
		{ "https://KEY@b.example.com/",
			"what stands before the '@' in the URL must be <access key>:<secret>" },
		{ "https://KEY:SEC%XX@b/",
			"the credentials in the URL: a '%' is not followed by two hex digits" },
		{ "https://b/%zz", "the path in the URL: a '%' is not followed by two hex digits" },
		{ "https://b/%00", "the path in the URL: there is a control character" },
		{ "https://b!c/", "'b!c' is not a host name" },
		{ "https://b:99999/", "the port in the URL is not a number from 1 to 65535" },
		{ "https://b/ x", "there is white space, a control character or a '#' in the URL" },
		{ "https://b/?timeout", "URL parameter timeout has no value" },
		{ "https://b/?timeout=soon", "URL parameter timeout: 'soon' is not a time such as "
					     "250ms, 3s, 10 min or 2 "
					     "days" },
		{ "https://b/?timeout=0", "URL parameter timeout must be above 0" },
		{ "https://b/?region=", "URL parameter region: it has no value" },
		{ "https://b/?max_retries=x", "URL parameter max_retries: 'x' is not a number" },
		{ "https://b/?no_trace_headers=x",
			"URL parameter no_trace_headers: 'x' is not a boolean (yes or no)" },
		{ "https://b/?addhdr=x", "URL parameter addhdr: 'x' is not <name>:<value>" },
		{ "https://b/?addhdr=x%20y:z", "URL parameter addhdr: 'x y' is not a header name" },
		{ "https://b/?addhdrvar=x", "URL parameter addhdrvar: 'x' is not <name>:<value>" },
		{ "https://b/?loghdr=", "URL parameter loghdr: a header name is missing" },
		{ "https://b/?bucket=%g0",
			"URL parameter bucket: a '%' is not followed by two hex digits" },
		{ "https://K:S@b/?auth_role=r",
			"the URL has both credentials and auth_role: one of them must go" },
		{ "https://b/?loghdr=1&loghdr=2&loghdr=3&loghdr=4&loghdr=5&loghdr=6&loghdr=7"
		  "&loghdr=8&loghdr=9",
			"URL parameter loghdr: it is given more than 8 times" },
	};
	struct test_world world;
	struct conf_http_url url;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (fs_uri_http(lab_view_cstr(rows[i].url), FS_URI_HTTP_S3, world.arena, &url,
			    &world.err) == 0)
			fail_msg("row %zu: '%s' is taken", i, rows[i].url);
		if (strcmp(world.err.message, rows[i].message) != 0)
			fail_msg("row %zu: %s", i, world.err.message);
	}
	test_world_done(&world);
}

static void stacks_and_urls_are_bounded(void **state)
{
	struct test_world world;
	struct conf_http_url url;
	struct lab_buf text;
	(void)state;

	test_world_init(&world, NULL);
	lab_buf_init(&text, world.heap, 20000);
	for (size_t i = 0; i < 20; i++)
		lab_buf_append_cstr(&text, "metawrap:");
	assert_int_equal(fs_uri_check(lab_buf_view(&text), world.arena, NULL, &world.err), -1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	lab_buf_reset(&text);
	lab_buf_append_cstr(&text, "https://");
	for (size_t i = 0; i < 300; i++)
		lab_buf_append_byte(&text, 'a');
	assert_int_equal(
		fs_uri_http(lab_buf_view(&text), FS_URI_HTTP_S3, world.arena, &url, &world.err),
		-1);
	assert_string_equal(world.err.message, "the host in the URL is too long");
	for (size_t i = 0; i < 9000; i++)
		lab_buf_append_byte(&text, 'a');
	assert_int_equal(
		fs_uri_http(lab_buf_view(&text), FS_URI_HTTP_S3, world.arena, &url, &world.err),
		-1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	assert_int_equal(fs_uri_driver_fail(LAB_VIEW("crypt"), &world.err), -1);
	assert_int_equal(world.err.code, LAB_UNSUPPORTED);
	assert_string_equal(world.err.message, "fs driver crypt is not part of oboxlab");
	assert_int_equal(fs_uri_http_flavour(LAB_VIEW("aws-s3")), FS_URI_HTTP_AWS_S3);
	assert_int_equal(fs_uri_http_flavour(LAB_VIEW("nope")), -1);
	lab_buf_done(&text);
	test_world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_outermost_driver_ends_at_a_space),
		cmocka_unit_test(wrappers_leave_their_parent),
		cmocka_unit_test(randomfail_has_a_probability_for_each_operation),
		cmocka_unit_test(posix_has_arguments),
		cmocka_unit_test(dictmap_knows_every_setting),
		cmocka_unit_test(dictmap_defaults_are_those_of_3_0),
		cmocka_unit_test(url_parameters_have_documented_defaults),
		cmocka_unit_test(url_parameters_are_read),
		cmocka_unit_test(other_storages_have_their_own_parameters),
		cmocka_unit_test(whole_stacks_are_checked),
		cmocka_unit_test(errors_name_driver_and_part),
		cmocka_unit_test(url_errors_never_show_secrets),
		cmocka_unit_test(stacks_and_urls_are_bounded),
	};
	return cmocka_run_group_tests_name("fs-uri", tests, NULL, NULL);
}
