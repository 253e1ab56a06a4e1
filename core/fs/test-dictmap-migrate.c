/* SPDX-License-Identifier: Apache-2.0
 *
 * Users of a storage without dictmap, taken into the dict in place.
 */
#include "core/fs/dictmap-migrate.h"
#include "core/fs/testing/rig-test.h"

#define USER "user@example.com"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define GUID2 "11d7d12ea08a3153175e0000dfbea952"
#define NAME "22d7d12ea08a3153175e0000dfbea952"
#define NAME2 "33d7d12ea08a3153175e0000dfbea952"
#define NAME3 "44d7d12ea08a3153175e0000dfbea952"
#define NAME4 "55d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/"
#define FOLDER2 USER "/mailboxes/" GUID2 "/"
#define ROWS "shared/dictmap/" USER "/mailboxes/"
#define BASE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF BASE "-" NAME3
#define OF(settings) "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " settings
#define MIGRATE \
	"fscache:1M:/cache:compress:gz:6:" OF( \
		"refcounting-table:storage-objectid-prefix=m/:storage-objectid-migrate:" \
		"bucket-size=2:bucket-cache=/home/user/buckets.cache")

static struct fs *opened(struct rig *rig, const char *uri)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, uri, &err);

	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

/* Three mails in two folders, and what is no mail. */
static void fill(struct rig *rig)
{
	struct fs *fs = opened(rig, "compress:gz:6:posix:prefix=/s/");
	struct lab_error err;

	OK(put(fs, FOLDER NAME, "one", &err));
	OK(put(fs, FOLDER NAME2, "two", &err));
	OK(put(fs, FOLDER NAME3, "three", &err));
	OK(put(fs, FOLDER2 NAME4, "other", &err));
	OK(put(fs, FOLDER "README.txt", "not a mail", &err));
	OK(put(fs, FOLDER "idx/" BASE, "base", &err));
	OK(put(fs, FOLDER "idx/" DIFF, "diff", &err));
	OK(put(fs, USER "/idx/" BASE, "root", &err));
	fs_deinit(&fs);
}

static struct lab_view contents(struct rig *rig, struct fs *fs, const char *path)
{
	struct lab_view text;
	struct lab_error err;

	OK(get(rig, fs, path, &text, &err));
	return text;
}

static size_t count_in(struct rig *rig, struct fs *fs, const char *path)
{
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, lab_view_cstr(path), 0, 1000, rig->arena, &names, &count, &err));
	return count;
}

static void check_mails(struct rig *rig, struct fs *fs)
{
	assert_int_equal(count_in(rig, fs, FOLDER), 3);
	assert_int_equal(count_in(rig, fs, FOLDER2), 1);
	assert_view(contents(rig, fs, FOLDER NAME), "one");
	assert_view(contents(rig, fs, FOLDER NAME2), "two");
	assert_view(contents(rig, fs, FOLDER NAME3), "three");
	assert_view(contents(rig, fs, FOLDER2 NAME4), "other");
	assert_int_equal(rig_row_count(rig, "shared/dictrevmap/"), 4);
}

RIG_TEST(mails_get_rows_and_stay_where_they_are)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs;
	unsigned puts;

	fill(rig);
	puts = rig->counts.puts;
	fs = opened(rig, MIGRATE);
	OK(dictmap_migrate_mails(fs, &counts, &err));
	assert_int_equal(counts.folders, 2);
	assert_int_equal(counts.added, 4);
	assert_int_equal(rig->counts.puts, puts);
	check_mails(rig, fs);
	/* two buckets of two */
	assert_int_equal(rig_row_count(rig, ROWS GUID "/0/"), 2);
	assert_int_equal(rig_row_count(rig, ROWS GUID "/1/"), 1);
	assert_view(rig_row(rig, ROWS GUID "/max_bucket"), "1");
	fs_deinit(&fs);
}

RIG_TEST(a_second_time_changes_nothing)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs;
	unsigned sets;

	fill(rig);
	fs = opened(rig, MIGRATE);
	OK(dictmap_migrate_mails(fs, &counts, &err));
	sets = rig->counts.sets;
	OK(dictmap_migrate_mails(fs, &counts, &err));
	assert_int_equal(rig->counts.sets, sets);
	assert_int_equal(counts.added, 4);
	assert_int_equal(counts.kept, 4);
	fs_deinit(&fs);
}

RIG_TEST(a_migrated_mail_is_copied_to_a_new_id_and_deleted_where_it_was)
{
	struct dictmap_migrated counts = { 0 };
	struct fs_file *from, *to;
	struct lab_error err;
	struct fs *fs;
	size_t objects;

	fill(rig);
	objects = rig_object_count(rig);
	fs = opened(rig, MIGRATE);
	OK(dictmap_migrate_mails(fs, &counts, &err));
	from = fs_file_open(fs, LAB_VIEW(FOLDER NAME), FS_OPEN_READONLY);
	to = fs_file_open(fs, LAB_VIEW(FOLDER2), FS_OPEN_CREATE_UNIQUE_128);
	OK(fs_copy(from, to, &err));
	fs_file_close(&from);
	OK(del(fs, FOLDER NAME, &err));
	assert_false(rig_has_object(rig, FOLDER NAME));
	assert_int_equal(rig_object_count(rig), objects);
	assert_view(contents(rig, fs, (const char *)lab_arena_cstr(rig->arena, fs_file_path(to))),
		"one");
	fs_file_close(&to);
	fs_deinit(&fs);
}

/* Whatever step fails, and however: repeated, it ends. */
struct step_run {
	struct rig *rig;
	unsigned step;
	enum rig_fault fault;
	bool fired;
};

static void fail_at_step(void *arg)
{
	struct step_run *run = arg;
	struct rig *rig = run->rig;
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs;
	int result;

	fill(rig);
	fs = opened(rig, MIGRATE);
	rig_fail_at(rig, run->step, run->fault);
	result = dictmap_migrate_mails(fs, &counts, &err);
	run->fired = rig->fired;
	assert_true(result == 0 || run->fired);
	rig_fail_at(rig, 0, run->fault);
	rig_apply_late(rig);
	OK(dictmap_migrate_mails(fs, &counts, &err));
	check_mails(rig, fs);
	fs_deinit(&fs);
}

static void every_failed_step_is_made_good_by_the_next_attempt(void **state)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_APPLIED, RIG_UNCERTAIN_NOT,
		RIG_UNCERTAIN_LATE };
	unsigned fired_count = 0;

	(void)state;
	for (size_t f = 0; f < LAB_COUNT_OF(faults); f++) {
		bool fired = true;

		for (unsigned step = 1; fired; step++) {
			struct step_run run = { rig_new(), step, faults[f], false };

			rig_run(run.rig, 0, fail_at_step, &run);
			fired = run.fired;
			fired_count += fired;
			rig_free(&run.rig);
		}
	}
	assert_true(fired_count > 40);
}

/* Diffs say "diff"; whoever asks for anything else asks too much. */
static int host_of(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	struct rig *rig = ctx;

	(void)arena;
	if (rig->only != NULL)
		return lab_fail(err, LAB_UNAVAILABLE, "not now");
	assert_view(path, FOLDER "idx/" DIFF);
	*ret = rig->delay_ns == 0 ? LAB_VIEW("") : LAB_VIEW("b7");
	return 0;
}

RIG_TEST(bundles_get_rows_and_diffs_one_of_a_host)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs;

	fill(rig);
	fs = opened(rig, "compress:gz:6:" OF("diff-table:storage-passthrough-paths=full"));
	OK(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err));
	assert_int_equal(counts.added, 3);
	assert_int_equal(count_in(rig, fs, FOLDER "idx/"), 2);
	assert_int_equal(count_in(rig, fs, USER "/idx/"), 1);
	assert_view(contents(rig, fs, FOLDER "idx/" BASE), "base");
	assert_view(contents(rig, fs, FOLDER "idx/" DIFF), "diff");
	assert_view(contents(rig, fs, USER "/idx/" BASE), "root");
	assert_view(rig_row(rig, "shared/dictdiffmap/" USER "/mailboxes/" GUID "/idx/b7"), DIFF);
	OK(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err));
	assert_int_equal(counts.added, 3);
	assert_int_equal(counts.kept, 3);
	/* It goes as other hosts' bundles do. */
	OK(del(fs, FOLDER "idx/" DIFF, &err));
	assert_int_equal(count_in(rig, fs, FOLDER "idx/"), 1);
	assert_false(rig_has_object(rig, FOLDER "idx/" DIFF));
	fs_deinit(&fs);
}

RIG_TEST(a_diff_of_which_nobody_knows_the_host_has_its_own)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs;

	fill(rig);
	fs = opened(rig, "compress:gz:6:" OF("diff-table:storage-passthrough-paths=full"));
	rig->only = "host";
	FAILS(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err), LAB_UNAVAILABLE);
	SAYS("not now");
	rig->only = NULL;
	rig->delay_ns = 0;
	OK(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err));
	assert_view(
		rig_row(rig, "shared/dictdiffmap/" USER "/mailboxes/" GUID "/idx/" NAME3), DIFF);
	assert_view(contents(rig, fs, FOLDER "idx/" DIFF), "diff");
	fs_deinit(&fs);
}

RIG_TEST(read_only_rows_have_the_path)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_view path = LAB_VIEW(USER "/idx/" BASE);
	char hex[2 * sizeof(USER "/idx/" BASE)];
	struct lab_error err;
	struct fs *fs;

	fill(rig);
	fs = opened(rig, "compress:gz:6:" OF("diff-table:storage-passthrough-paths=read-only"));
	OK(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err));
	lab_hex(path.ptr, path.len, hex);
	assert_view(rig_row(rig, "shared/dictmap/" USER "/idx/" BASE), hex);
	fs_deinit(&fs);
}

RIG_TEST(settings_without_migration_are_refused)
{
	struct dictmap_migrated counts = { 0 };
	struct lab_error err;
	struct fs *fs = opened(rig, OF("refcounting-table:storage-objectid-prefix=m/"));

	FAILS(dictmap_migrate_mails(fs, &counts, &err), LAB_INVALID);
	SAYS("storage-objectid-migrate");
	FAILS(dictmap_migrate_bundles(fs, host_of, rig, &counts, &err), LAB_INVALID);
	SAYS("storage-passthrough-paths");
	fs_deinit(&fs);
	fs = opened(rig, "posix:prefix=/s/");
	FAILS(dictmap_migrate_mails(fs, &counts, &err), LAB_INVALID);
	fs_deinit(&fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(mails_get_rows_and_stay_where_they_are),
		RIG_UNIT_TEST(a_second_time_changes_nothing),
		RIG_UNIT_TEST(a_migrated_mail_is_copied_to_a_new_id_and_deleted_where_it_was),
		cmocka_unit_test(every_failed_step_is_made_good_by_the_next_attempt),
		RIG_UNIT_TEST(bundles_get_rows_and_diffs_one_of_a_host),
		RIG_UNIT_TEST(a_diff_of_which_nobody_knows_the_host_has_its_own),
		RIG_UNIT_TEST(read_only_rows_have_the_path),
		RIG_UNIT_TEST(settings_without_migration_are_refused),
	};

	return cmocka_run_group_tests_name("dictmap-migrate", tests, NULL, NULL);
}
