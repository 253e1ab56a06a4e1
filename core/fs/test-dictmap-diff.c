/* SPDX-License-Identifier: Apache-2.0
 *
 * diff-table: a row for each host, that no other host takes away.
 */
#include "core/fs/testing/dictmap-test.h"

#define BUNDLE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF1 BUNDLE "-d88ff1001d4bf753a1b800001accfe22"
#define DIFF2 BUNDLE "-d88ff1001d4bf753a1b800001accfe23"
#define SELF "self.53f74dc2.0fbcf.d88ff1001d4bf753a1b800001accfe24"
#define PASSED_THROUGH DICTMAP("diff-table:storage-passthrough-paths=full")

static const char *diff_key(struct rig *rig, size_t host, const char *folder)
{
	return lab_arena_printf(rig->arena, "shared/dictdiffmap/" USER "%s/idx/%s", folder,
		rig->hosts[host].env->hostname);
}

/* As obox writes a bundle: its name was never given before. */
static int put_bundle(struct fs *fs, const char *path, const char *content, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_CREATE);
	int result = fs_write(file, lab_view_cstr(content), err);

	fs_file_close(&file);
	return result;
}

/* One operation on one host: a write, a deletion (content NULL), or a listing ("" of a directory).
 */
struct diff_operation {
	struct rig *rig;
	unsigned host;
	const char *path, *content;
	size_t listed;
	struct lab_view *names;
};

static void diff_operation_run(void *arg)
{
	struct diff_operation *o = arg;
	struct lab_error err;
	struct fs *fs = rig_open(o->rig, o->host, PASSED_THROUGH, &err);

	if (o->path[strlen(o->path) - 1] == '/')
		o->listed = list(o->rig, fs, o->path, FS_ITER_OBJECTIDS, &o->names);
	else if (o->content != NULL)
		OK(put_bundle(fs, o->path, o->content, &err));
	else
		OK(del(fs, o->path, &err));
	fs_deinit(&fs);
}

static struct diff_operation on_host(
	struct rig *rig, unsigned host, const char *path, const char *content)
{
	struct diff_operation o = { .rig = rig, .host = host, .path = path, .content = content };

	rig_run(rig, host, diff_operation_run, &o);
	return o;
}

static void diffs_have_one_row_for_each_host(void **state)
{
	struct rig *rig = *state;
	struct diff_operation o;

	(void)on_host(rig, 0, FOLDER "idx/" BUNDLE, "base");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "2");
	(void)on_host(rig, 1, FOLDER "idx/" SELF, "3");
	(void)on_host(rig, 1, USER "/idx/" SELF, "4");
	/* One INSERT and one PUT each, and nothing else. */
	assert_int_equal(rig->counts.sets, 5);
	assert_int_equal(rig->counts.lookups + rig->counts.iterations + rig->counts.unsets, 0);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_view(rig_row(rig, diff_key(rig, 1, "/mailboxes/" GUID)), SELF);
	assert_view(rig_row(rig, diff_key(rig, 1, "")), SELF);
	/* The base's row is where it always was. */
	assert_int_equal(rig_row_count(rig, "shared/dictmap/"), 1);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 3);
	o = on_host(rig, 0, FOLDER "idx/", NULL);
	assert_int_equal(o.listed, 3);
	assert_view(o.names[0], "/" BUNDLE);
	o = on_host(rig, 1, USER "/idx/", NULL);
	assert_int_equal(o.listed, 1);
	assert_view(o.names[0], "/" SELF);
}

static void deleting_a_diff_deletes_its_row_only_while_the_row_says_it(void **state)
{
	struct rig *rig = *state;

	world_clock_offset(rig->hosts[1].host, 5 * 1000 * 1000);
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "2");
	/* Another host cleans up: the old object has no row any more. */
	(void)on_host(rig, 1, FOLDER "idx/" DIFF1, NULL);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_int_equal(rig_object_count(rig), 1);
	(void)on_host(rig, 1, FOLDER "idx/" DIFF2, NULL);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 0);
	assert_int_equal(rig_object_count(rig), 0);
	/* The tombstone hides nothing that comes after it, whatever the other clock says (H-16). */
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "3");
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
}

static void write_after_a_look(void *arg)
{
	struct rig *rig = arg;
	static const char *const bundles[] = { DIFF2, SELF, DIFF1 };
	struct lab_view *names;
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, PASSED_THROUGH, &err);

	assert_int_equal(list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS, &names), 1);
	for (size_t i = 0; i < LAB_COUNT_OF(bundles); i++) {
		char path[300];

		snprintf(path, sizeof(path), FOLDER "idx/%s", bundles[i]);
		OK(put_bundle(fs, path, "later", &err));
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), bundles[i]);
	}
	fs_deinit(&fs);
}

/* It was an hour ahead when the row was written; no bundle is written without a listing. */
static void a_diff_row_counts_although_the_clock_was_set_back(void **state)
{
	struct rig *rig = *state;

	world_clock_offset(rig->hosts[0].host, INT64_C(3600) * 1000 * 1000);
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	world_clock_offset(rig->hosts[0].host, 0);
	/* The row of the hour to come hides it. */
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "unseen");
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
	rig_run(rig, 0, write_after_a_look, rig);
}

/* The times of a process's rows only grow, whichever of them it has listed in between. */
RIG_TEST(a_look_at_one_diff_row_makes_no_other_older)
{
	static const char *const bundles[] = { DIFF2, SELF, DIFF1 };
	struct lab_view *names;
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, PASSED_THROUGH, &err);

	world_clock_offset(rig->hosts[0].host, INT64_C(3600) * 1000 * 1000);
	OK(put_bundle(fs, FOLDER2 "idx/" DIFF1, "an hour ahead", &err));
	world_clock_offset(rig->hosts[0].host, 0);
	for (size_t i = 0; i < LAB_COUNT_OF(bundles); i++) {
		char path[300];

		snprintf(path, sizeof(path), FOLDER "idx/%s", bundles[i]);
		OK(put_bundle(fs, path, "now", &err));
		if (i == 1)
			assert_int_equal(
				list(rig, fs, FOLDER2 "idx/", FS_ITER_OBJECTIDS, &names), 1);
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), bundles[i]);
	}
	fs_deinit(&fs);
}

RIG_TEST(diff_rows_say_the_object_id_where_there_is_one)
{
	struct lab_error err;
	struct fs *fs =
		open_dictmap(rig, DICTMAP("diff-table:storage-objectid-prefix=" USER "/ids/"));
	struct fs_file *file;
	struct lab_view *names, text, id;

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	text = rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID));
	assert_true(lab_view_split(&text, '/', &id));
	assert_int_equal(id.len, 34);
	assert_view(text, DIFF1);
	assert_int_equal(list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS, &names), 1);
	assert_true(lab_view_starts_with(names[0], id));
	file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
	OK(fs_read(file, rig->arena, 100, &text, &err));
	assert_view(text, "1");
	fs_file_close(&file);
	/* The row names another bundle: without its id nobody knows where the old one is. */
	OK(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err));
	FAILS(del(fs, FOLDER "idx/" DIFF1, &err), LAB_NOT_FOUND);
	file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_OBJECTID, id);
	OK(fs_delete(file, &err));
	fs_file_close(&file);
	assert_int_equal(rig_object_count(rig), 1);
	fs_deinit(&fs);
}

RIG_TEST(an_uncertain_diff_row_is_left_and_told)
{
	static const enum rig_fault faults[] = { RIG_UNCERTAIN_APPLIED, RIG_UNCERTAIN_NOT };
	struct lab_error err;
	struct fs *fs = open_dictmap(
		rig, DICTMAP("diff-table:storage-passthrough-paths=full:cleanup-uncertain"));

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		rig_fail_at(rig, 2, faults[i]);
		FAILS(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err), LAB_UNCERTAIN);
		assert_view(
			rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), i == 0 ? DIFF2 : DIFF1);
		/* Whichever it says, its object is there. */
		assert_int_equal(rig_object_count(rig), 2);
		OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	}
	rig_fail_at(rig, 2, RIG_FAIL);
	FAILS(put_bundle(fs, FOLDER "idx/" SELF, "3", &err), LAB_UNAVAILABLE);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
	assert_int_equal(rig_object_count(rig), 2);
	fs_deinit(&fs);
}

/* The row would dangle, whether it is looked for or given by its version. */
RIG_TEST(a_bundle_stays_while_its_row_may_be_there)
{
	static const enum rig_fault faults[] = { RIG_UNCERTAIN_NOT, RIG_FAIL };
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("diff-table:storage-passthrough-paths=full"));
	struct lab_view *names, version, oid;
	struct fs_file *file;

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	assert_int_equal(
		list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, &names), 1);
	assert_true(
		lab_view_split(&names[0], '/', &oid) && lab_view_split(&names[0], '/', &version));
	for (size_t i = 0; i < 2 * LAB_COUNT_OF(faults); i++) {
		file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
		if (i % 2 == 0)
			fs_set_metadata(file, FS_METADATA_VERSION, version);
		/* Without the version the first request is a look. */
		rig_fail_at(rig, 1 + (unsigned)i % 2, faults[i / 2]);
		assert_true(fs_delete(file, &err) < 0);
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
		assert_int_equal(rig_object_count(rig), 1);
		fs_file_close(&file);
	}
	OK(del(fs, FOLDER "idx/" DIFF1, &err));
	assert_int_equal(rig_object_count(rig), 0);
	fs_deinit(&fs);
}

static void delete_as_told_elsewhere(struct fs *fs, const char *path, struct lab_view version,
	int expected, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);

	fs_set_metadata(file, FS_METADATA_VERSION, version);
	assert_int_equal(fs_delete(file, err), expected);
	fs_file_close(&file);
}

/* Its metacache was pulled: who has it now knows what its writer knew of its own row then. */
RIG_TEST(others_delete_no_row_that_its_host_has_written_again)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("diff-table:storage-passthrough-paths=full"));
	struct env *env = rig->hosts[0].settings.env;
	const char *writer = env->hostname;
	struct lab_view version = lab_view_cstr(lab_arena_printf(rig->arena, "0@%s", writer));

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	OK(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err));
	env_sleep(env, LAB_SEC);
	env->hostname = "elsewhere";
	delete_as_told_elsewhere(fs, FOLDER "idx/" DIFF1, version, 0, &err);
	env->hostname = writer;
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_int_equal(rig_object_count(rig), 1);
	env->hostname = "elsewhere";
	delete_as_told_elsewhere(fs, FOLDER "idx/" DIFF2, version, 0, &err);
	env->hostname = writer;
	assert_null(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)).ptr);
	assert_int_equal(rig_object_count(rig), 0);
	fs_deinit(&fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(diffs_have_one_row_for_each_host),
		RIG_UNIT_TEST(deleting_a_diff_deletes_its_row_only_while_the_row_says_it),
		RIG_UNIT_TEST(diff_rows_say_the_object_id_where_there_is_one),
		RIG_UNIT_TEST(an_uncertain_diff_row_is_left_and_told),
		RIG_UNIT_TEST(a_diff_row_counts_although_the_clock_was_set_back),
		RIG_UNIT_TEST(a_look_at_one_diff_row_makes_no_other_older),
		RIG_UNIT_TEST(a_bundle_stays_while_its_row_may_be_there),
		RIG_UNIT_TEST(others_delete_no_row_that_its_host_has_written_again),
	};

	return cmocka_run_group_tests_name("dictmap-diff", tests, NULL, NULL);
}
