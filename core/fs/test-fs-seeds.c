/* SPDX-License-Identifier: Apache-2.0
 *
 * Every storage line of the published examples runs: its stack is built, and stores, reads, copies
 * and deletes one object against the emulators. Placeholders are filled in, nothing else is
 * changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/aws/credentials.h"
#include "core/conf/fs-uri.h"
#include "core/conf/settings.h"
#include "core/conf/testing-seeds.h"
#include "core/conf/var-expand.h"
#include "core/fs/testing/rig-test.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/scality-emulator/scality-emulator.h"

#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define TO "11d7d12ea08a3153175e0000dfbea952"
#define BUNDLE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"

/* Not in the examples of test-seeds: the first line of a listing that ends in the middle of its
 * URL, completed with a bucket; and two Ceph gateways behind a balancer, by one name. */
static const char ceph_line[] = "fscache 100G:/var/lib/dovecot/cache:s3:https://Accesskey:Secret@"
				"bucketname.s3.amazonaws.com/";
static const char gateways_line[] =
	"fscache:1G:/var/cache/mails:s3:http://ACCESSKEY:SECRET@radosgw.example.com/"
	"?bucket=BUCKETNAME";
/* The present pages of the product. */
static const char sproxyd_line[] =
	"fscache:512M:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-async:cassandra ; "
	"sproxyd:http://scality.example.com/?class=2&reason_header_max_length=200 ; "
	"refcounting-table:lockdir=/tmp:bucket-size=10000:bucket-cache=%h/buckets.cache:"
	"nlinks-limit=3:delete-timestamp=+10s:bucket-deleted-days=11";
static const char sproxyd_by_path_line[] = "compress:zstd:3:dictmap:proxy:dict-async:cassandra ; "
					   "sproxyd:http://scality.example.com/?by-path&class=2 ; "
					   "refcounting-table:storage-objectid-prefix=%u/mails/";
static const char cdmi_line[] =
	"fscache:512M:/var/cache/mails/%4Nu:compress:zstd:3:scality:http://scality.example.com/"
	"?addhdr=X-Dovecot-Hash:%2Mu/%2.3Mu&use_listing&timeout_msecs=65000";
static const char cdmi_fts_line[] =
	"fts-cache:fscache:512M:/var/cache/fts/%4Nu:compress:zstd:3:scality:http://"
	"scality.example.com/%2Mu/%2.3Mu/%u/fts/"
	"?addhdr=X-Dovecot-Hash:%2Mu/%2.3Mu&use_listing&timeout_msecs=65000";
/* Object ids of the storage itself, below dictmap. */
static const char cdmi_ids_line[] = "dictmap:proxy:dict-async:cassandra ; "
				    "scality:http://scality.example.com/mails/ ; refcounting-table";

enum use {
	USE_MAIL,
	USE_INDEX,
	USE_FTS
};

struct run {
	struct rig *rig;
	const char *name;
	enum use use;
	struct lab_view uri; /* expanded */
	struct conf_http_url url;
	struct s3emu *s3;
	struct imdsemu *imds;
	struct scalemu *ring;
	struct fs_services services;
	struct aws_credentials_source *role;
	/* The balancer: each request to the other gateway; one that is down resets. */
	uint64_t balanced, resets;
	bool is_second_down;
};

static unsigned lines_run, lines_cut_off;
static size_t requests;

/* ---- filling in ---- */

static const struct {
	const char *name, *value;
} placeholders[] = {
	{ "{{BUCKET_NAME}}", "oboxlab-mails" },
	{ "{{BUCKETNAME}}", "oboxlab-mails" },
	{ "{{REGION}}", "eu-central-1" },
	{ "{{S3ACCESS}}", "s3access" },
	{ "{{ACCESSKEY}}", "AKID" },
	{ "{{SECRET}}", "secret" },
	{ "BUCKETNAME", "oboxlab-mails" },
	{ "ACCESSKEY", "AKID" },
	{ "SECRET", "secret" },
};

static struct lab_view filled_in(struct lab_arena *arena, struct lab_view text)
{
	char *out = lab_arena_alloc(arena, 2 * text.len + 64);
	size_t len = 0;

	while (text.len > 0) {
		size_t i = 0;

		while (i < LAB_COUNT_OF(placeholders) &&
			!lab_view_starts_with(text, lab_view_cstr(placeholders[i].name)))
			i++;
		if (i == LAB_COUNT_OF(placeholders)) {
			out[len++] = (char)text.ptr[0];
			text = lab_view_skip(text, 1);
			continue;
		}
		memcpy(out + len, placeholders[i].value, strlen(placeholders[i].value));
		len += strlen(placeholders[i].value);
		text = lab_view_skip(text, strlen(placeholders[i].name));
	}
	return lab_view_of(out, len);
}

static struct lab_view expanded(struct lab_arena *arena, struct lab_view text)
{
	struct var_user user = { .user = LAB_VIEW("user@example.com"),
		.home = LAB_VIEW("/home/user"),
		.service = LAB_VIEW("imap") };
	struct var_user_table table;
	struct lab_view result;
	struct lab_error err;

	var_user_table_init(&table, &user);
	if (var_expand_arena(arena, filled_in(arena, text), &table.table, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

/* ---- the services ---- */

static void on_access(void *ctx, const struct sim_access *access)
{
	(void)ctx;
	requests += strcmp(access->service, "imds") != 0;
}

/* The bucket is in bucket=, or the first label of the host. */
static void new_s3(struct run *r)
{
	struct s3emu_options o;
	struct s3emu_bucket_options bucket = { .name = r->url.bucket };
	struct lab_view endpoint = r->url.host, first;
	struct sim_credentials key = { .access_key_id = r->url.user,
		.secret_access_key = r->url.password };
	struct lab_error err;

	if (bucket.name.len == 0) {
		lab_view_split(&endpoint, '.', &first);
		bucket.name = first;
	}
	s3emu_options_init(&o);
	o.endpoints = &endpoint;
	o.endpoint_count = 1;
	if (r->url.region.len > 0)
		o.region = r->url.region;
	o.epoch_unix_us = UINT64_C(1704067200000000);
	o.hooks.access = on_access;
	assert_int_equal(s3emu_new(r->rig->pool, &o, &r->s3, &err), 0);
	OK(s3emu_bucket_add(r->s3, &bucket, &err));
	if (key.access_key_id.len > 0)
		OK(s3emu_credentials_add(r->s3, &key, &err));
}

static void new_imds(struct run *r)
{
	struct world_service_settings settings = { .name = "imds",
		.authority = "169.254.169.254:80" };
	struct imdsemu_options o;
	struct sim_http_service service;
	struct lab_error err;

	imdsemu_options_init(&o);
	o.epoch_unix_us = UINT64_C(1704067200000000);
	o.publish = s3emu_credentials_sink;
	o.publish_ctx = r->s3;
	OK(imdsemu_new(r->rig->pool, &o, &r->imds, &err));
	OK(imdsemu_role_attach(r->imds, r->url.auth_role, IMDSEMU_ROLE_OK, &err));
	service = imdsemu_service(r->imds);
	world_http_service(r->rig->world, &settings, &service);
}

static void new_ring(struct run *r, enum scalemu_protocol protocol)
{
	struct scalemu_options o;
	struct lab_error err;

	scalemu_options_init(&o, protocol);
	o.base = r->url.path;
	while (o.base.len > 0 && o.base.ptr[o.base.len - 1] == '/')
		o.base.len--;
	o.by_path = r->url.by_path;
	if (r->url.addhdr_count > 0)
		o.sticky_header = r->url.addhdr[0].name;
	o.hooks.access = on_access;
	OK(scalemu_new(r->rig->pool, &o, &r->ring, &err));
}

/* Two gateways of one store; the balancer gives each request to the other one. */
static void balance(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct run *r = service;
	struct sim_http_service gateway = s3emu_service(r->s3);

	if (r->balanced++ % 2 == 1 && r->is_second_down) {
		r->resets++;
		reply(reply_ctx, &(struct sim_http_reply){ .wire = SIM_WIRE_RESET });
		return;
	}
	gateway.ops->submit(gateway.service, request, peer, now_ns, reply, reply_ctx);
}

static void balancer_advance(void *service, uint64_t now_ns)
{
	struct sim_http_service gateway = s3emu_service(((struct run *)service)->s3);

	gateway.ops->advance(gateway.service, now_ns);
}

static uint64_t balancer_deadline(void *service)
{
	struct sim_http_service gateway = s3emu_service(((struct run *)service)->s3);

	return gateway.ops->next_deadline(gateway.service);
}

static const struct sim_http_ops balancer_ops = {
	.submit = balance, .advance = balancer_advance, .next_deadline = balancer_deadline
};

static void serve(struct run *r, enum fs_uri_http_flavour flavour)
{
	char authority[300];
	struct world_service_settings settings = { .name = "storage", .authority = authority };
	struct sim_http_service service = { &balancer_ops, r };

	(void)snprintf(
		authority, sizeof(authority), "%.*s:%u", LAB_VIEW_ARG(r->url.host), r->url.port);
	if (flavour == FS_URI_HTTP_SPROXYD || flavour == FS_URI_HTTP_SCALITY) {
		new_ring(r, flavour == FS_URI_HTTP_SPROXYD ? SCALEMU_SPROXYD : SCALEMU_CDMI);
		service = scalemu_service(r->ring);
	} else {
		new_s3(r);
		if (r->url.auth_role.ptr != NULL)
			new_imds(r);
	}
	world_http_service(r->rig->world, &settings, &service);
}

/* What the line ends in. False: the page has cut it off. */
static bool find_storage(struct run *r, enum fs_uri_http_flavour *ret)
{
	struct lab_view uri = r->uri, driver, args;
	struct fs_uri_fscache fscache;
	struct fs_uri_compress compress;
	struct fs_uri_dictmap dictmap;
	struct lab_error err;

	for (bool first = true;; first = false) {
		fs_uri_split(uri, first, &driver, &args);
		if (fs_uri_http_flavour(driver) >= 0)
			break;
		if (lab_view_eq_cstr(driver, "fscache")) {
			OK(fs_uri_fscache(args, &fscache, &err));
			uri = fscache.parent;
		} else if (lab_view_eq_cstr(driver, "compress")) {
			OK(fs_uri_compress(args, &compress, &err));
			uri = compress.parent;
		} else if (lab_view_eq_cstr(driver, "dictmap")) {
			OK(fs_uri_dictmap(args, &dictmap, &err));
			uri = dictmap.parent;
		} else if (lab_view_eq_cstr(driver, "fts-cache")) {
			uri = args;
		} else {
			assert_true(lab_view_eq_cstr(driver, "\xe2\x80\xa6"));
			return false;
		}
	}
	*ret = (enum fs_uri_http_flavour)fs_uri_http_flavour(driver);
	OK(fs_uri_http(args, *ret, r->rig->arena, &r->url, &err));
	return true;
}

/* ---- one object's life ---- */

static struct aws_credentials_source *auth_open(
	void *ctx, struct lab_view auth_host, struct lab_view role, struct lab_error *err)
{
	struct run *r = ctx;

	(void)err;
	r->role = aws_credentials_imds(r->rig->hosts[0].env, auth_host, role, 1, 10 * LAB_SEC);
	return r->role;
}

static struct dict *dict_open(
	void *ctx, struct lab_view socket, struct lab_view name, struct lab_error *err)
{
	struct run *r = ctx;

	assert_true(lab_view_eq_cstr(socket, "dict-async"));
	assert_true(lab_view_eq_cstr(name, "cassandra"));
	(void)err;
	return &r->rig->hosts[0].dict.dict;
}

static const char *const paths[][2] = {
	[USE_MAIL] = { "user@example.com/mailboxes/" GUID "/",
		"user@example.com/mailboxes/" TO "/" },
	[USE_INDEX] = { "user@example.com/mailboxes/" GUID "/idx/" BUNDLE,
		"user@example.com/mailboxes/" TO "/idx/" BUNDLE },
	[USE_FTS] = { "S_1_2", "S_3_4" },
};

static struct lab_view life_of(struct run *r, struct fs *fs, struct fs_file *file, size_t i)
{
	struct lab_view contents;
	struct lab_error err;
	struct fs_file *again;
	struct lab_view path = lab_arena_copy(r->rig->arena, fs_file_path(file));

	again = fs_file_open(fs, path, FS_OPEN_READONLY);
	if (fs_read(again, r->rig->arena, 1 << 20, &contents, &err) < 0)
		fail_msg("%s: read %zu: %s", r->name, i, err.message);
	assert_true(lab_view_eq_cstr(contents, "From: somebody\n\nhello\n"));
	fs_file_close(&again);
	return path;
}

static void delete_path(struct run *r, struct fs *fs, struct lab_view path)
{
	struct fs_file *file = fs_file_open(fs, path, FS_OPEN_READONLY);
	struct lab_error err;

	if (fs_delete(file, &err) < 0)
		fail_msg("%s: delete %.*s: %s", r->name, LAB_VIEW_ARG(path), err.message);
	fs_file_close(&file);
	file = fs_file_open(fs, path, FS_OPEN_READONLY);
	assert_int_not_equal(fs_exists(file, &err), 1);
	fs_file_close(&file);
}

static void live(struct run *r, struct fs *fs)
{
	enum fs_open_mode mode = r->use == USE_MAIL ? FS_OPEN_CREATE_UNIQUE_128 : FS_OPEN_REPLACE;
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(paths[r->use][0]), mode);
	struct fs_file *copy = fs_file_open(fs, lab_view_cstr(paths[r->use][1]), mode), *from;
	struct lab_view path, copied;
	struct lab_error err;

	fs_set_metadata(file, "username", LAB_VIEW("user@example.com"));
	if (fs_write(file, LAB_VIEW("From: somebody\n\nhello\n"), &err) < 0)
		fail_msg("%s: write: %s", r->name, err.message);
	path = life_of(r, fs, file, 1);
	from = fs_file_open(fs, path, FS_OPEN_READONLY);
	if (fs_copy(from, copy, &err) < 0)
		fail_msg("%s: copy: %s", r->name, err.message);
	copied = life_of(r, fs, copy, 2);
	fs_file_close(&from);
	fs_file_close(&file);
	fs_file_close(&copy);
	delete_path(r, fs, path);
	file = fs_file_open(fs, copied, FS_OPEN_READONLY);
	assert_int_equal(fs_exists(file, &err), 1);
	fs_file_close(&file);
	delete_path(r, fs, copied);
}

static void run_fiber(void *arg)
{
	struct run *r = arg;
	struct rig_host *host = &r->rig->hosts[0];
	struct lab_error err;
	struct fs *fs;

	r->services = host->services;
	r->services.auth_open = auth_open;
	r->services.dict_open = dict_open;
	r->services.ctx = r;
	host->settings.services = &r->services;
	if (fs_init(r->uri, &host->settings, &fs, &err) < 0)
		fail_msg("%s: %s", r->name, err.message);
	live(r, fs);
	fs_deinit(&fs);
	aws_credentials_free(&r->role);
}

static uint64_t stored(const struct run *r)
{
	return r->ring != NULL ? scalemu_counters(r->ring)->objects
			       : s3emu_counters(r->s3)->objects;
}

static struct run run_line(
	const char *name, struct lab_view text, enum use use, bool is_second_down)
{
	struct run r = { .name = name, .use = use, .is_second_down = is_second_down };
	enum fs_uri_http_flavour flavour;
	size_t before = requests;

	r.rig = rig_new();
	r.uri = expanded(r.rig->arena, text);
	if (find_storage(&r, &flavour)) {
		serve(&r, flavour);
		rig_run(r.rig, 0, run_fiber, &r);
		/* at least a PUT and a DELETE: copies may be rows, reads may be cached */
		assert_true(requests >= before + 2);
		assert_int_equal(stored(&r), 0);
		assert_int_equal(rig_row_count(r.rig, "shared/dictmap/"), 0);
		lines_run++;
	} else {
		lines_cut_off++;
	}
	imdsemu_free(&r.imds);
	s3emu_free(&r.s3);
	scalemu_free(&r.ring);
	rig_free(&r.rig);
	return r;
}

/* ---- the examples ---- */

static void run_example(const char *name, const char *text)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 28);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 27);
	struct lab_arena *arena = lab_arena_new(heap, (size_t)1 << 26);
	struct conf_problems problems;
	struct conf_settings settings;
	struct conf_section *root;
	struct lab_error err;

	conf_problems_init(&problems, arena);
	if (conf_parse_text("t.conf", lab_view_cstr(text), NULL, 0, arena, &problems, &root, &err) <
			0 ||
		conf_settings_load(root, arena, &settings, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	if (settings.obox_fs.text.len > 0)
		run_line(name, settings.obox_fs.text, USE_MAIL, false);
	if (settings.obox_index_fs.text.len > 0 &&
		settings.obox_index_fs.text.ptr != settings.obox_fs.text.ptr)
		run_line(name, settings.obox_index_fs.text, USE_INDEX, false);
	if (settings.fts_dovecot_fs.text.len > 0)
		run_line(name, settings.fts_dovecot_fs.text, USE_FTS, false);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static void every_published_line_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(seeds_examples); i++)
		run_example(seeds_examples[i].name, seeds_examples[i].text);
	/* "fscache:1G:/var/cache/mails:..." and "compress:gz:6:..." */
	assert_int_equal(lines_cut_off, 2);
	assert_int_equal(lines_run, 11);
}

/* "Without lazy_expunge" is the line above; this one is behind its '#'. */
static void the_line_in_a_comment_runs(void **state)
{
	const char *text = NULL;
	struct lab_view line, rest;

	(void)state;
	for (size_t i = 0; text == NULL && i < LAB_COUNT_OF(seeds_examples); i++)
		text = strstr(seeds_examples[i].text, "#obox_fs = fscache:2G");
	assert_non_null(text);
	rest = lab_view_cstr(text + strlen("#obox_fs = "));
	lab_view_split(&rest, '\n', &line);
	run_line("lazy_expunge", line, USE_MAIL, false);
}

static void the_mended_cdmi_example_runs(void **state)
{
	char joined[sizeof(seeds_wrapped)];
	unsigned before = lines_run;

	(void)state;
	seeds_join_wrapped(joined);
	run_example("backend: Scality CDMI", joined);
	assert_int_equal(lines_run, before + 2);
}

static void lines_of_the_product_pages_run(void **state)
{
	(void)state;
	run_line("Ceph", lab_view_cstr(ceph_line), USE_MAIL, false);
	run_line("sproxyd", lab_view_cstr(sproxyd_line), USE_MAIL, false);
	run_line("sproxyd, index", lab_view_cstr(sproxyd_line), USE_INDEX, false);
	run_line("sproxyd by-path", lab_view_cstr(sproxyd_by_path_line), USE_MAIL, false);
	run_line("CDMI", lab_view_cstr(cdmi_line), USE_MAIL, false);
	run_line("CDMI, FTS", lab_view_cstr(cdmi_fts_line), USE_FTS, false);
	run_line("CDMI, its own ids", lab_view_cstr(cdmi_ids_line), USE_MAIL, false);
	run_line("CDMI, its own ids, index", lab_view_cstr(cdmi_ids_line), USE_INDEX, false);
}

/* A reset is tried again, and the balancer gives it to the other gateway. */
static void two_gateways_behind_a_balancer_survive_one(void **state)
{
	struct run r;

	(void)state;
	r = run_line("two gateways", lab_view_cstr(gateways_line), USE_MAIL, false);
	assert_true(r.balanced >= 4);
	assert_int_equal(r.resets, 0);
	r = run_line("one of two gateways", lab_view_cstr(gateways_line), USE_MAIL, true);
	assert_true(r.resets >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_published_line_runs),
		cmocka_unit_test(the_line_in_a_comment_runs),
		cmocka_unit_test(the_mended_cdmi_example_runs),
		cmocka_unit_test(lines_of_the_product_pages_run),
		cmocka_unit_test(two_gateways_behind_a_balancer_survive_one),
	};

	return cmocka_run_group_tests_name("fs-seeds", tests, NULL, NULL);
}
