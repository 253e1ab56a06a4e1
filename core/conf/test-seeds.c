/* SPDX-License-Identifier: Apache-2.0
 *
 * test-seeds.c - the configuration examples that this project started from, as they were published:
 * each must pass the check unchanged. And our own files under scenarios/configs.
 */
#include "core/conf/dict-cql.h"
#include "core/conf/fs-uri.h"
#include "core/conf/settings.h"
#include "core/conf/test-support.h"
#include "core/conf/testing-seeds.h"
#include "core/conf/var-expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char ldap_example[] = "hosts = ldap.example.com\n"
				   "dn = cn=admin,dc=example,dc=com\n"
				   "dnpass = secret\n"
				   "base = dc=example,dc=com\n"
				   "auth_bind = yes\n"
				   "blocking = yes\n"
				   "'pass_attrs = \\\n"
				   "=user=%{ldap:mailRoutingAddress}, \\\n"
				   "=password=%{ldap:userPassword}, \\\n"
				   "=userdb_quota_rule=*:storage=%{ldap:messageQuotaHard}k\n"
				   "user_attrs = \\\n"
				   "=user=%{ldap:mailRoutingAddress}, \\\n"
				   "=quota_rule=*:storage=%{ldap:messageQuotaHard}\n"
				   "pass_filter = (mailRoutingAddress=%u)\n"
				   "user_filter = (mailRoutingAddress=%u)\n"
				   "iterate_attrs = mailRoutingAddress=user\n"
				   "iterate_filter = (objectClass= smiMessageRecipient)\n";

/* The example "AWS S3: dictmap" with BUCKET_NAME=oboxlab-mails, REGION=eu-central-1 and
 * S3ACCESS=s3access. */
static const char storm_block[] =
	"mail_location = obox:%u:INDEX=~/:CONTROL=~/\n"
	"plugin {\n"
	"# BUCKET_NAME: Storage bucket name to use.\n"
	"# REGION: AWS region to use for storage.\n"
	"# S3ACCESS: IAM role to use for storage access.\n"
	"# Examples use data compression with zstd (level 3)\n"
	"# Without lazy_expunge plugin:\n"
	"obox_fs = fscache:512M:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-asyn"
	"c:cassandra ; aws-s3:https://oboxlab-mails.s3.eu-central-1.amazonaws.com/?region=eu-"
	"central-1&auth_role=s3access&reason_header_max_length=200 ; refcounting-table:lockdi"
	"r=/tmp:bucket-size=10000:bucket-cache=%h/buckets.cache:nlinks-limit=3:delete-timesta"
	"mp=+10s:bucket-deleted-days=11:storage-objectid-prefix=%u/mails/\n"
	"# With lazy_expunge plugin:\n"
	"#obox_fs = fscache:2G:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-async"
	":cassandra ; aws-s3:https://oboxlab-mails.s3.eu-central-1.amazonaws.com/?region=eu-c"
	"entral-1&auth_role=s3access&reason_header_max_length=200 ; refcounting-table:bucket-"
	"size=10000:bucket-cache=%h/buckets.cache:nlinks-limit=3:delete-timestamp=+10s:bucket"
	"-deleted-days=11:storage-objectid-prefix=%u/mails/\n"
	"obox_index_fs = compress:zstd:3:dictmap:proxy:dict-async:cassandra ; aws-s3:https://"
	"oboxlab-mails.s3.eu-central-1.amazonaws.com/?region=eu-central-1&auth_role=s3access&"
	"reason_header_max_length=200 ; diff-table:storage-passthrough-paths=full\n"
	"fts_dovecot_fs = fts-cache:fscache:2G:/var/cache/fts/%4Nu:compress:zstd:3:dictmap:pr"
	"oxy:dict-async:cassandra ; aws-s3:https://oboxlab-mails.s3.eu-central-1.amazonaws.co"
	"m/?region=eu-central-1&auth_role=s3access&reason_header_max_length=200 ; dict-prefix"
	"=%u/fts/:storage-passthrough-paths=full\n"
	"obox_max_parallel_deletes = 1000\n"
	"}\n";

#define CONFIGS "scenarios/configs/"

static int read_disk(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	FILE *file = fopen(lab_arena_cstr(arena, path), "rb");
	char *text = lab_arena_alloc(arena, 100000);
	size_t len;
	(void)ctx;

	if (file == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "%.*s: no such file", LAB_VIEW_ARG(path));
	len = fread(text, 1, 100000, file);
	fclose(file);
	*ret = lab_view_of(text, len);
	return 0;
}

static struct conf_section *parse(struct test_world *world, const char *text)
{
	struct conf_section *root;

	test_world_init(world, NULL);
	if (conf_parse_text("t.conf", lab_view_cstr(text), NULL, 0, world->arena, &world->problems,
		    &root, &world->err) < 0)
		fail_msg("%s", world->err.message);
	return root;
}

static void published_examples_pass_unchanged(void **state)
{
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(seeds_examples); i++) {
		struct test_world world;
		struct conf_section *root = parse(&world, seeds_examples[i].text);
		conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems);
		for (size_t j = 0; j < world.problems.count; j++) {
			if (world.problems.items[j].is_error)
				fail_msg("%s: line %u: %s", seeds_examples[i].name,
					world.problems.items[j].where.line,
					world.problems.items[j].message);
		}
		test_world_done(&world);
	}
}

static void the_ldap_example_passes_as_ldap_file(void **state)
{
	struct test_world world;
	struct conf_section *root = parse(&world, ldap_example);
	const struct conf_setting *attrs = conf_setting_in(root, "user_attrs");
	(void)state;

	assert_int_equal(conf_check(root, CONF_FILE_LDAP, NULL, 0, &world.problems), 0);
	assert_true(
		lab_view_eq_cstr(attrs->value, "=user=%{ldap:mailRoutingAddress}, "
					       "=quota_rule=*:storage=%{ldap:messageQuotaHard}"));
	assert_int_equal(conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems), -1);
	test_world_done(&world);
}

static void a_line_broken_by_its_page_is_an_error_with_a_place(void **state)
{
	char joined[sizeof(seeds_wrapped)];
	struct test_world world;
	struct conf_section *root = parse(&world, seeds_wrapped);
	(void)state;

	assert_int_equal(conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems), -1);
	assert_int_equal(world.problems.errors, 4);
	assert_int_equal(world.problems.items[0].where.line, 3);
	assert_int_equal(world.problems.items[0].where.column, 11);
	assert_non_null(strstr(world.problems.items[0].message,
		"URL parameter addhdr: 'X-Dovecot-' is not <name>:<value> (was the line broken "
		"there?)"));
	test_world_done(&world);

	seeds_join_wrapped(joined);
	root = parse(&world, joined);
	assert_int_equal(conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems), 0);
	test_world_done(&world);
}

static void the_storm_has_the_published_block(void **state)
{
	struct test_world world;
	struct lab_view text;
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(read_disk(NULL, LAB_VIEW(CONFIGS "aws-s3-dictmap.conf"), world.arena,
				 &text, &world.err),
		0);
	assert_true(lab_view_find(text, lab_view_cstr(storm_block)) != SIZE_MAX);
	test_world_done(&world);
}

static const struct placeholder {
	const char *name, *value;
} placeholders[] = {
	{ "{{BUCKET_NAME}}", "oboxlab-mails" },
	{ "{{BUCKETNAME}}", "oboxlab-mails" },
	{ "{{REGION}}", "eu-central-1" },
	{ "{{S3ACCESS}}", "s3access" },
	{ "{{ACCESSKEY}}", "AKIAOBOXLAB" },
	{ "{{SECRET}}", "sEcReT" },
	{ "BUCKETNAME", "oboxlab-mails" },
	{ "ACCESSKEY", "AKIAOBOXLAB" },
	{ "SECRET", "sEcReT" },
};

static void append_filled_in(struct lab_buf *out, struct lab_view rest)
{
	while (rest.len > 0) {
		size_t i = 0;
		while (i < LAB_COUNT_OF(placeholders) &&
			!lab_view_starts_with(rest, lab_view_cstr(placeholders[i].name)))
			i++;
		if (i < LAB_COUNT_OF(placeholders)) {
			lab_buf_append_cstr(out, placeholders[i].value);
			rest = lab_view_skip(rest, strlen(placeholders[i].name));
			continue;
		}
		lab_buf_append_byte(out, rest.ptr[0]);
		rest = lab_view_skip(rest, 1);
	}
}

/* Puts the values into the published example and compares with the literal block. */
static void the_block_is_the_example_filled_in(void **state)
{
	struct test_world world;
	struct lab_buf filled;
	(void)state;

	test_world_init(&world, NULL);
	lab_buf_init(&filled, world.heap, 10000);
	append_filled_in(&filled, lab_view_cstr(seeds_examples[3].text));
	assert_true(lab_view_starts_with(lab_buf_view(&filled), lab_view_cstr(storm_block)));
	lab_buf_done(&filled);
	test_world_done(&world);
}

/* ---- the configurations of the short storms ---- */

#define BLOCK_BEGIN "# ---- 8< ----\n"
#define BLOCK_END "# ---- >8 ----\n"
#define WRAPPED "backend: Scality CDMI" /* seeds_wrapped, mended */
#define LAZY_EXPUNGE "AWS S3: dictmap, placeholders not filled in"

static const struct published {
	const char *file, *examples[4];
} published[] = {
	{ "s3.conf", { "S3 without dictmap: dispersion prefix",
			     "S3 without dictmap: URL behind a space" } },
	{ "s3-backend.conf", { "backend: mail location", "backend: obox", "backend: Amazon S3" } },
	{ "s3-path-style.conf", { "S3 without dictmap: path style bucket" } },
	{ "s3-escaped.conf", { "AWS S3: URL escaping" } },
	{ "aws-s3.conf", { "AWS S3: signature version 4" } },
	{ "scality-cdmi.conf", { WRAPPED } },
	{ "aws-s3-dictmap-lazy-expunge.conf", { LAZY_EXPUNGE } },
	{ "aws-s3-dictmap-keys.conf", { "AWS S3: without IAM" } },
};

/* Of the two lines for obox_fs the other one is in force, and nothing else is changed: up to the
 * end of plugin { }. */
static struct lab_view other_line(struct lab_arena *arena, struct lab_view text)
{
	struct lab_view first = LAB_VIEW("\nobox_fs = "), second = LAB_VIEW("\n#obox_fs = ");
	size_t a = lab_view_find(text, first), b = lab_view_find(text, second);
	size_t end = lab_view_find(text, LAB_VIEW("\n}\n"));

	assert_true(a < b && b < end && end != SIZE_MAX);
	return lab_view_cstr(lab_arena_printf(arena, "%.*s\n#%.*s\n%.*s", (int)a,
		(const char *)text.ptr, (int)(b - a - 1), (const char *)text.ptr + a + 1,
		(int)(end + 3 - b - 2), (const char *)text.ptr + b + 2));
}

static struct lab_view example_text(struct lab_arena *arena, const char *name)
{
	char *joined = lab_arena_alloc(arena, sizeof(seeds_wrapped));

	if (strcmp(name, WRAPPED) == 0) {
		seeds_join_wrapped(joined);
		return lab_view_cstr(joined);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(seeds_examples); i++) {
		struct lab_view text = lab_view_cstr(seeds_examples[i].text);

		if (strcmp(seeds_examples[i].name, name) == 0)
			return strcmp(name, LAZY_EXPUNGE) == 0 ? other_line(arena, text) : text;
	}
	fail_msg("there is no example \"%s\"", name);
	return LAB_VIEW("");
}

/* What is in the file between the two lines is the examples, filled in, and nothing else. */
static void check_published(struct test_world *world, const struct published *p)
{
	struct lab_view text, path;
	struct lab_buf expected;
	size_t begin, end;

	path = lab_view_cstr(lab_arena_printf(world->arena, CONFIGS "%s", p->file));
	assert_int_equal(read_disk(NULL, path, world->arena, &text, &world->err), 0);
	begin = lab_view_find(text, LAB_VIEW(BLOCK_BEGIN));
	end = lab_view_find(text, LAB_VIEW(BLOCK_END));
	assert_true(begin < end && end != SIZE_MAX);
	begin += strlen(BLOCK_BEGIN);
	lab_buf_init(&expected, world->heap, 20000);
	for (size_t i = 0; p->examples[i] != NULL; i++)
		append_filled_in(&expected, example_text(world->arena, p->examples[i]));
	if (!lab_view_eq(lab_view_sub(text, begin, end - begin), lab_buf_view(&expected)))
		fail_msg("%s is not:\n%s", p->file, lab_buf_cstr(&expected));
	lab_buf_done(&expected);
}

static void the_short_storms_have_published_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(published); i++) {
		struct test_world world;

		test_world_init(&world, NULL);
		check_published(&world, &published[i]);
		test_world_done(&world);
	}
}

static void check_stack(struct test_world *world, struct conf_text uri)
{
	struct var_user user = { .user = LAB_VIEW("user@example.com"), .home = LAB_VIEW("/h") };
	struct var_user_table table;
	struct lab_view expanded, known_only;

	var_user_table_init(&table, &user);
	if (var_expand_arena(world->arena, uri.text, &table.table, &expanded, &world->err) < 0 ||
		fs_uri_check(expanded, world->arena, &known_only, &world->err) < 0)
		fail_msg("%s", world->err.message);
	assert_null(known_only.ptr);
}

static void the_storm_configuration_is_complete(void **state)
{
	struct test_world world;
	struct conf_section *root;
	struct conf_settings settings;
	const struct conf_dict *dict;
	struct dict_cql_config *config;
	(void)state;

	test_world_init(&world, NULL);
	world.reader.read_file = read_disk;
	assert_int_equal(conf_parse(LAB_VIEW(CONFIGS "aws-s3-dictmap.conf"), &world.reader, 0,
				 world.arena, &world.problems, &root, &world.err),
		0);
	conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems);
	assert_int_equal(world.problems.count, 0);
	assert_int_equal(conf_settings_load(root, world.arena, &settings, &world.err), 0);
	assert_true(lab_view_eq_cstr(settings.mail_location.text, "obox:%u:INDEX=~/:CONTROL=~/"));
	assert_int_equal(settings.obox_max_parallel_deletes, 1000);
	check_stack(&world, settings.obox_fs);
	check_stack(&world, settings.obox_index_fs);
	check_stack(&world, settings.fts_dovecot_fs);
	dict = conf_settings_dict(&settings, LAB_VIEW("cassandra"));
	assert_non_null(dict);
	assert_true(lab_view_eq_cstr(dict->path, CONFIGS "dovecot-dict-cql.conf.ext"));
	if (dict_cql_load(dict->path, &world.reader, world.arena, &config, &world.err) < 0)
		fail_msg("%s", world.err.message);
	assert_int_equal(config->map_count, 11);
	assert_int_equal(config->connect.host_count, 3);
	assert_true(lab_view_eq_cstr(config->connect.keyspace, "mails"));
	test_world_done(&world);
}

/* obox 3.4: pattern, table, value fields, columns with their types in pattern order. */
static void the_standard_maps_are_in_the_mandatory_order(void **state)
{
	static const char *const maps[] = {
		"dictmap/$user/idx/$object_name user_index_objects i:hexblob u:string n:string",
		"dictmap/$user/mailboxes/$mailbox_guid/idx/$object_name user_mailbox_index_objects "
		"i:hexblob u:string g:hexblob n:string",
		"dictmap/$user/mailboxes/$mailbox_guid/$bucket/$object_name user_mailbox_objects "
		"i:hexblob u:string g:hexblob b:uint n:hexblob",
		"dictmap/$user/mailboxes/$mailbox_guid/max_bucket user_mailbox_buckets "
		"b:uint writetime(b):uint u:string g:hexblob",
		"dictmap/$user/fts/$object_name user_fts_objects i:hexblob u:string n:string",
		"dictdiffmap/$user/idx/$host user_index_diff_objects "
		"m:string writetime(m):string u:string h:string",
		"dictdiffmap/$user/mailboxes/$mailbox_guid/idx/$host "
		"user_mailbox_index_diff_objects "
		"m:string writetime(m):string u:string g:hexblob h:string",
		"dictmap/$user/mailboxes/$mailbox_guid user_mailbox_index_diff_objects "
		"m:string u:string g:hexblob",
		"dictrevmap/$user/mailboxes/$mailbox_guid/$object_id user_mailbox_objects_reverse "
		"n:hexblob u:string g:hexblob i:hexblob",
		"dictrevmap/$object_id/$object_name user_mailbox_objects_reverse "
		"g:hexblob i:hexblob n:hexblob",
		"dictrevmap/$object_id user_mailbox_objects_reverse "
		"u:string g:hexblob n:hexblob i:hexblob",
	};
	struct test_world world;
	struct dict_cql_config *config;
	struct lab_buf text;
	(void)state;

	test_world_init(&world, NULL);
	world.reader.read_file = read_disk;
	lab_buf_init(&text, world.heap, 1000);
	assert_int_equal(dict_cql_load(LAB_VIEW(CONFIGS "dovecot-dict-cql.conf.ext"), &world.reader,
				 world.arena, &config, &world.err),
		0);
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++) {
		const struct dict_cql_map *map = &config->maps[i];
		lab_buf_reset(&text);
		lab_buf_printf(&text, "%.*s %.*s", LAB_VIEW_ARG(lab_view_skip(map->pattern, 7)),
			LAB_VIEW_ARG(map->table));
		for (size_t j = 0; j < map->value_count; j++)
			lab_buf_printf(&text, " %.*s:%s", LAB_VIEW_ARG(map->values[j].expression),
				dict_cql_type_name(map->values[j].type));
		for (size_t j = 0; j < map->field_count; j++)
			lab_buf_printf(&text, " %.*s:%s", LAB_VIEW_ARG(map->fields[j].column),
				dict_cql_type_name(map->fields[j].type));
		assert_true(lab_view_starts_with(map->pattern, LAB_VIEW("shared/")));
		assert_string_equal(lab_buf_cstr(&text), maps[i]);
	}
	lab_buf_done(&text);
	test_world_done(&world);
}

static void the_block_syntax_of_3_1_passes(void **state)
{
	static const char text[] =
		"mail_driver = obox\n"
		"obox       { fs fscache { size=512M path=/var/cache/mails/%4Nu }\n"
		"             fs compress { }\n"
		"             fs dictmap { dict proxy { name = cassandra\n"
		"                                       socket_path = dict-async }\n"
		"                          storage_objectid_prefix = %u/mails/ }\n"
		"             fs aws-s3 { url=https://b.example.com/ region=eu-central-1 } }\n"
		"metacache  { fs compress { } fs dictmap { dict proxy { name = cassandra } "
		"storage_passthrough_paths = full } fs aws-s3 { } }\n"
		"fts dovecot{ fs fts-cache { } fs fscache { size=2G path=/c }\n"
		"             fs dictmap { dict_prefix = %u/fts/ } fs aws-s3 { } }\n";
	struct test_world world;
	struct conf_section *root = parse(&world, text);
	(void)state;

	if (conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems) < 0)
		fail_msg("%u: %s", world.problems.items[0].where.line,
			world.problems.items[0].message);
	test_world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_examples_pass_unchanged),
		cmocka_unit_test(the_ldap_example_passes_as_ldap_file),
		cmocka_unit_test(a_line_broken_by_its_page_is_an_error_with_a_place),
		cmocka_unit_test(the_storm_has_the_published_block),
		cmocka_unit_test(the_block_is_the_example_filled_in),
		cmocka_unit_test(the_short_storms_have_published_blocks),
		cmocka_unit_test(the_storm_configuration_is_complete),
		cmocka_unit_test(the_standard_maps_are_in_the_mandatory_order),
		cmocka_unit_test(the_block_syntax_of_3_1_passes),
	};
	return cmocka_run_group_tests_name("seeds", tests, NULL, NULL);
}
