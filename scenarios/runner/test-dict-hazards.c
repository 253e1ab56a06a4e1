/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap on the emulated Cassandra: what operators have met with the real one
 * (scenarios/CATALOGUE.md). Objects are files of the simulated host.
 */
#include "scenarios/runner/testing-cassandra.h"

#include "core/dict/test-maps.h"
#include "core/fs/fs-api.h"
#include "core/fs/fs-shared.h"

#define USER "bob"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/"
#define STACK(settings) "dictmap:proxy::cassandra ; posix:prefix=/s/ ; " settings
#define MAILS "refcounting-table:storage-objectid-prefix=m/:delete-timestamp=+10s:nlinks-limit=3"

#define CONNECT(more) \
	"connect = host=127.0.0.21 host=127.0.0.22 host=127.0.0.23 keyspace=mails " \
	"request_timeout=500ms log_level=critical " more "\n"
#define USUAL CONNECT("") TEST_MAPS

/* Maps from before 2.3.14 and 2.2.27.2: max_bucket without its write time, and one type for all
 * columns of the last one. */
#define OLD_MAPS \
	TEST_MAP("dictmap/$user/idx/$object_name", "user_index_objects", "i", "hexblob", U N) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/idx/$object_name", \
		"user_mailbox_index_objects", "i", "hexblob", U G N) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/$bucket/$object_name", \
		"user_mailbox_objects", "i", "hexblob", U G "  b = ${uint:bucket}\n" NX) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/max_bucket", "user_mailbox_buckets", "b", \
		"uint", U G) \
	TEST_MAP("dictrevmap/$user/mailboxes/$mailbox_guid/$object_id", \
		"user_mailbox_objects_reverse", "n", "hexblob", U G IX) \
	TEST_MAP("dictrevmap/$object_id/$object_name", "user_mailbox_objects_reverse", "g", \
		"hexblob", IX NX) \
	"map {\n pattern = shared/dictrevmap/$object_id\n table = " \
	"user_mailbox_objects_reverse\n value_field = u,g,n\n value_hexblob = yes\n fields {\n" IX \
	" }\n}\n"

#define SIM(name, config) \
	static void name##_body(struct c_bed *bed); \
	static void name(void **state) \
	{ \
		(void)state; \
		c_run(false, config, LAB_NO_DEFECTS, name##_body); \
	} \
	static void name##_body(struct c_bed *bed)

#define OK(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, bed->err.message); \
	} while (0)

/* ---- the stack ---- */

static struct fs_services services;

static struct dict *open_dict(
	void *ctx, struct lab_view socket, struct lab_view name, struct lab_error *err)
{
	(void)socket;
	(void)name;
	(void)err;
	return ((struct c_bed *)ctx)->dict;
}

static void make_tables(void *arg)
{
	struct c_bed *bed = arg;

	OK(cqlemu_execute(bed->emu,
		LAB_VIEW(
			"USE mails;"
			"CREATE TABLE user_index_objects (u text, n text, i blob, PRIMARY KEY (u, "
			"n));"
			"CREATE TABLE user_mailbox_index_objects (u text, g blob, n text, i blob, "
			"PRIMARY KEY ((u, g), n));"
			"CREATE TABLE user_mailbox_objects (u text, g blob, b int, n blob, i blob, "
			"PRIMARY KEY ((u, g, b), n)) WITH gc_grace_seconds = 10;"
			"CREATE TABLE user_mailbox_buckets (u text, g blob, b int, PRIMARY KEY "
			"((u, g)));"
			"CREATE TABLE user_fts_objects (u text, n text, i blob, PRIMARY KEY (u, "
			"n));"
			"CREATE TABLE user_index_diff_objects (u text, h text, m text, PRIMARY KEY "
			"(u, h));"
			"CREATE TABLE user_mailbox_index_diff_objects (u text, g blob, h text, m "
			"text, PRIMARY KEY (u, g, h));"
			"CREATE TABLE user_mailbox_objects_reverse (u text, g blob, n blob, i "
			"blob, PRIMARY KEY (i, n)) WITH gc_grace_seconds = 10"),
		&bed->err));
}

static struct fs *open_stack(struct c_bed *bed, const char *uri)
{
	const struct fs_settings settings = { .env = bed->env,
		.username = USER,
		.session_id = "s",
		.temp_dir = "/tmp",
		.root_path = "/home",
		.max_parallel_deletes = 8,
		.services = &services };
	struct fs *fs;

	services = (struct fs_services){ .dict_open = open_dict, .ctx = bed };
	services.shared = fs_shared_new(bed->env);
	OK(fs_init(lab_view_cstr(uri), &settings, &fs, &bed->err));
	return fs;
}

static void close_stack(struct fs **fs)
{
	fs_deinit(fs);
	fs_shared_free(&services.shared);
}

static const char *save(struct c_bed *bed, struct fs *fs, const char *text)
{
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER), FS_OPEN_CREATE_UNIQUE_128);
	const char *path;

	OK(fs_write(file, lab_view_cstr(text), &bed->err));
	path = lab_arena_printf(bed->arena, "%.*s", LAB_VIEW_ARG(fs_file_path(file)));
	fs_file_close(&file);
	return path;
}

static void delete (struct c_bed *bed, struct fs *fs, const char *path)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);

	OK(fs_delete(file, &bed->err));
	fs_file_close(&file);
}

static int read_mail(struct c_bed *bed, struct fs *fs, const char *path, struct lab_view *ret)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);
	int result = fs_read(file, bed->arena, 1024, ret, &bed->err);

	fs_file_close(&file);
	return result;
}

static int list_of(struct c_bed *bed, struct fs *fs, const char *path, size_t *ret_count)
{
	struct lab_view *names;

	return fs_iter(fs, lab_view_cstr(path), 0, 10000, bed->arena, &names, ret_count, &bed->err);
}

static size_t list(struct c_bed *bed, struct fs *fs)
{
	size_t count;

	OK(list_of(bed, fs, FOLDER, &count));
	return count;
}

static uint64_t now_of(struct c_bed *bed)
{
	return world_now(bed->world);
}

/* ---- an empty value (C-12) ---- */

SIM(an_empty_object_id_is_a_row_and_not_nothing, USUAL)
{
	struct fs *fs;
	struct fs_file *file;
	struct lab_view text;
	size_t count;

	make_tables(bed);
	fs = open_stack(bed, STACK("storage-passthrough-paths=full"));
	file = fs_file_open(fs, LAB_VIEW(USER "/idx/bundle.1"), FS_OPEN_CREATE);
	OK(fs_write(file, LAB_VIEW("index"), &bed->err));
	fs_file_close(&file);
	assert_int_equal(c_rows(bed, "mails.user_index_objects", "i"), 1);
	assert_int_equal(c_look.value_len, 0);
	assert_int_equal(c_look.replicas, 4);
	OK(list_of(bed, fs, USER "/idx/", &count));
	assert_int_equal(count, 1);
	OK(read_mail(bed, fs, USER "/idx/bundle.1", &text));
	assert_true(lab_view_eq_cstr(text, "index"));
	delete (bed, fs, USER "/idx/bundle.1");
	assert_int_equal(c_rows(bed, "mails.user_index_objects", NULL), 0);
	close_stack(&fs);
}

/* ---- repair that comes too late (PRO-20) ---- */

static void no_hints(struct cqlemu_options *options)
{
	options->hinted_handoff = false;
}

/* Saves two mails, and expunges one while a node is down that nobody tells of it. */
static const char *expunge_without_node_3(struct c_bed *bed, struct fs *fs)
{
	const char *path;

	(void)save(bed, fs, "stays");
	path = save(bed, fs, "goes");
	c_node(bed, 3, cqlemu_node_stop);
	env_sleep(bed->env, LAB_SEC);
	delete (bed, fs, path);
	assert_int_equal(list(bed, fs), 1);
	c_node(bed, 3, cqlemu_node_start);
	env_sleep(bed->env, 2 * LAB_SEC);
	return path;
}

static void forget_tombstones(struct c_bed *bed)
{
	env_sleep(bed->env, 12 * LAB_SEC);
	for (unsigned node = 1; node <= 4; node++)
		c_node(bed, node, cqlemu_node_compact);
}

SIM(a_repair_within_gc_grace_keeps_expunged_mails_away, USUAL)
{
	struct lab_view text;
	struct fs *fs;
	const char *path;

	make_tables(bed);
	fs = open_stack(bed, STACK(MAILS));
	path = expunge_without_node_3(bed, fs);
	cqlemu_repair(bed->emu, now_of(bed));
	forget_tombstones(bed);
	cqlemu_repair(bed->emu, now_of(bed));
	assert_int_equal(list(bed, fs), 1);
	assert_int_equal(read_mail(bed, fs, path, &text), -1);
	assert_null(strstr(bed->err.message, "but not in storage"));
	close_stack(&fs);
}

SIM(a_repair_after_gc_grace_brings_rows_back_that_have_no_object, USUAL)
{
	struct lab_view text;
	struct fs *fs;
	const char *path;

	make_tables(bed);
	fs = open_stack(bed, STACK(MAILS));
	path = expunge_without_node_3(bed, fs);
	forget_tombstones(bed);
	cqlemu_repair(bed->emu, now_of(bed));
	/* An undelete, and a dangling row; nothing that a client of Cassandra could know. */
	assert_int_equal(list(bed, fs), 2);
	assert_int_equal(read_mail(bed, fs, path, &text), -1);
	assert_int_equal(bed->err.code, LAB_NOT_FOUND);
	assert_non_null(strstr(bed->err.message, "Object exists in dict, but not in storage"));
	/* The operator's cure, and the user's. */
	delete (bed, fs, path);
	assert_int_equal(list(bed, fs), 1);
	assert_int_equal(c_rows(bed, "mails.user_mailbox_objects_reverse", NULL), 1);
	close_stack(&fs);
}

/* ---- partitions full of tombstones (PRO-08) ---- */

static void few_tombstones(struct cqlemu_options *options)
{
	options->tombstone_warn = 20;
	options->tombstone_fail = 40;
}

static void save_and_delete(struct c_bed *bed, struct fs *fs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		delete (bed, fs, save(bed, fs, "x"));
}

#define BUCKETS(more) STACK(MAILS ":bucket-size=20:bucket-cache=/b" more)

SIM(tombstones_that_are_counted_never_fill_a_partition, USUAL)
{
	struct fs *fs;

	make_tables(bed);
	fs = open_stack(bed, BUCKETS(":bucket-deleted-days=11"));
	save_and_delete(bed, fs, 100);
	assert_int_equal(list(bed, fs), 0);
	(void)save(bed, fs, "x");
	assert_int_equal(list(bed, fs), 1);
	close_stack(&fs);
}

SIM(tombstones_that_nobody_counts_make_a_folder_unreadable_and_never_empty, USUAL)
{
	struct fs *fs;
	size_t count;

	make_tables(bed);
	fs = open_stack(bed, BUCKETS(""));
	(void)save(bed, fs, "stays");
	save_and_delete(bed, fs, 41);
	assert_int_equal(list_of(bed, fs, FOLDER, &count), -1);
	assert_int_equal(bed->err.code, LAB_UNAVAILABLE);
	close_stack(&fs);
	/* The same with the setting, if the cache is lost: so is what it knew. */
	env_sleep(bed->env, 12 * LAB_SEC);
	for (unsigned node = 1; node <= 4; node++)
		c_node(bed, node, cqlemu_node_compact);
	for (unsigned i = 0; i < 3; i++) {
		fs = open_stack(bed, lab_arena_printf(bed->arena,
					     STACK(MAILS ":bucket-size=20:bucket-deleted-days=11:"
							 "bucket-cache=/lost%u"),
					     i));
		save_and_delete(bed, fs, 15);
		assert_int_equal(list_of(bed, fs, FOLDER, &count), i < 2 ? 0 : -1);
		close_stack(&fs);
	}
}

/* ---- the data centre that acknowledged is lost (PRO-38) ---- */

#define BOTH_DCS \
	"cassandra_hosts = 127.0.0.21 127.0.0.22 127.0.0.23\ncassandra_keyspace = mails\n" \
	"cassandra_request_timeout = 500ms\ncassandra_log_level = critical\n" \
	"cassandra_write_consistency = each-quorum\n"
#define LIST TEST_MAP("list/$user/$name", "list", "v", "string", "  u = $user\n  n = $name\n")

static int set(struct c_bed *bed, const char *key)
{
	struct dict_change_options options = { 0 };

	return dict_set(bed->dict, lab_view_cstr(key), LAB_VIEW("v"), &options, &bed->err);
}

/* What dc2 has, and dc1 has not any more. */
static size_t rows_of_dc2(struct c_bed *bed)
{
	for (unsigned node = 1; node <= 3; node++) {
		c_node(bed, node, cqlemu_node_kill);
		cqlemu_node_lose_data(bed->emu, node - 1);
	}
	c_node(bed, 4, cqlemu_node_start);
	env_sleep(bed->env, 20 * LAB_SEC);
	return c_rows(bed, "mails.list", NULL);
}

static void lose_dc1(struct c_bed *bed, bool has_fallback)
{
	OK(set(bed, "shared/list/bob/1"));
	c_node(bed, 4, cqlemu_node_stop);
	env_sleep(bed->env, LAB_SEC);
	if (has_fallback) {
		OK(set(bed, "shared/list/bob/2"));
	} else {
		assert_int_equal(set(bed, "shared/list/bob/2"), -1);
		assert_int_equal(bed->err.code, LAB_UNCERTAIN);
	}
	/* All that is acknowledged is there, as long as dc1 is. */
	assert_int_equal(c_rows(bed, "mails.list", NULL), has_fallback ? 2 : 1);
	assert_int_equal(rows_of_dc2(bed), 1);
}

SIM(without_fallback_what_one_data_centre_alone_has_was_not_acknowledged, BOTH_DCS LIST)
{
	lose_dc1(bed, false);
}

SIM(with_fallback_what_was_acknowledged_dies_with_its_data_centre,
	BOTH_DCS "cassandra_write_fallback_consistency = local-quorum\n" LIST)
{
	lose_dc1(bed, true);
}

/* ---- maps of older versions (PRO-33) ---- */

SIM(maps_of_older_versions_do_all_that_mails_need, CONNECT("") OLD_MAPS)
{
	struct dict_values values;
	struct lab_view text;
	const char *path = NULL;
	struct fs *fs;
	size_t count;

	make_tables(bed);
	fs = open_stack(bed, STACK(MAILS ":bucket-size=3:bucket-cache=/b"));
	for (unsigned i = 0; i < 10; i++)
		path = save(bed, fs, "x");
	assert_int_equal(c_rows(bed, "mails.user_mailbox_buckets", NULL), 1);
	/* Stamped with the time of the raise. */
	assert_true(c_look.timestamp_us[0] > INT64_C(1000000000000000));
	OK(list_of(bed, fs, FOLDER, &count));
	assert_int_equal(count, 10);
	OK(read_mail(bed, fs, path, &text));
	/* The user's name comes as what the map says that it is; nothing here believes it. */
	assert_int_equal(dict_lookup(bed->dict,
				 lab_view_cstr(lab_arena_printf(bed->arena,
					 "shared/dictrevmap/%s80", path + strlen(FOLDER))),
				 bed->arena, &values, &bed->err),
		1);
	assert_true(lab_view_eq_cstr(values.items[0], "626f62"));
	assert_true(lab_view_eq_cstr(values.items[1], GUID));
	delete (bed, fs, path);
	assert_int_equal(c_rows(bed, "mails.user_mailbox_objects_reverse", NULL), 9);
	assert_int_equal(list(bed, fs), 9);
	close_stack(&fs);
}

/* ---- */

static int hintless(void **state)
{
	(void)state;
	c_adjust = no_hints;
	return 0;
}

static int with_few_tombstones(void **state)
{
	(void)state;
	c_adjust = few_tombstones;
	return 0;
}

static int as_usual(void **state)
{
	(void)state;
	c_adjust = NULL;
	return 0;
}

#define ADJUSTED(name, setup) cmocka_unit_test_setup_teardown(name, setup, as_usual)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_object_id_is_a_row_and_not_nothing),
		ADJUSTED(a_repair_within_gc_grace_keeps_expunged_mails_away, hintless),
		ADJUSTED(a_repair_after_gc_grace_brings_rows_back_that_have_no_object, hintless),
		ADJUSTED(tombstones_that_are_counted_never_fill_a_partition, with_few_tombstones),
		ADJUSTED(tombstones_that_nobody_counts_make_a_folder_unreadable_and_never_empty,
			with_few_tombstones),
		ADJUSTED(without_fallback_what_one_data_centre_alone_has_was_not_acknowledged,
			hintless),
		ADJUSTED(with_fallback_what_was_acknowledged_dies_with_its_data_centre, hintless),
		cmocka_unit_test(maps_of_older_versions_do_all_that_mails_need),
	};

	return cmocka_run_group_tests_name("dict-hazards", tests, NULL, NULL);
}
