/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets of a folder: where mails go, what is counted, and what is known after a crash (obox 3.11,
 * HD-2).
 */
#include "core/fs/testing/rig-test.h"

#define USER "user@example.com"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/"
#define ROWS "shared/dictmap/" USER "/mailboxes/" GUID "/"
#define CACHE "/home/user/buckets.cache"
#define DICTMAP(size, more) \
	"dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; refcounting-table:" \
	"storage-objectid-prefix=m/:bucket-size=" size ":bucket-cache=" CACHE more
#define DAY (86400 * LAB_SEC)

static struct fs *open_on(struct rig *rig, unsigned host, const char *uri)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, host, uri, &err);

	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

static size_t bucket_rows(const struct rig *rig, unsigned bucket)
{
	char prefix[200];

	snprintf(prefix, sizeof(prefix), ROWS "%u/", bucket);
	return rig_row_count(rig, prefix);
}

static void assert_max_bucket(const struct rig *rig, const char *expected)
{
	struct lab_view value = rig_row(rig, ROWS "max_bucket");

	if (expected == NULL)
		assert_null(value.ptr);
	else
		assert_view(value, expected);
}

static void save(struct fs *fs, char name[33])
{
	struct lab_error err;

	OK(create(fs, FOLDER, "x", name, &err));
}

static void save_many(struct fs *fs, unsigned count)
{
	char name[33];

	for (unsigned i = 0; i < count; i++)
		save(fs, name);
}

static size_t list(struct rig *rig, struct fs *fs, uint32_t flags)
{
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, LAB_VIEW(FOLDER), flags, 1000, rig->arena, &names, &count, &err));
	return count;
}

static void delete_mail(struct fs *fs, const char *name)
{
	char path[200];
	struct lab_error err;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	OK(del(fs, path, &err));
}

/* ---- rolling over ---- */

RIG_TEST(a_full_bucket_is_followed_by_the_next)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_view text;
	struct lab_error err;
	char name[33], path[200];

	save_many(fs, 3);
	assert_max_bucket(rig, NULL);
	save(fs, name);
	assert_max_bucket(rig, "1");
	assert_int_equal(bucket_rows(rig, 0), 3);
	assert_int_equal(bucket_rows(rig, 1), 1);
	save_many(fs, 3);
	assert_max_bucket(rig, "2");
	assert_int_equal(list(rig, fs, 0), 7);
	assert_int_equal(rig->counts.events[LAB_EV_fs_dictmap_max_bucket_changed], 2);
	/* Found and deleted wherever it is. */
	snprintf(path, sizeof(path), FOLDER "%s", name);
	OK(get(rig, fs, path, &text, &err));
	delete_mail(fs, name);
	assert_int_equal(bucket_rows(rig, 1), 2);
	fs_deinit(&fs);
}

/* Without a look for the row in one bucket after the other (palomar 6.2). */
RIG_TEST(a_listing_says_which_bucket_a_delete_need_not_look_for)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_view *names, rest, oid, bucket = LAB_VIEW("");
	struct fs_file *file;
	struct lab_error err;
	size_t count;

	save_many(fs, 7);
	OK(fs_iter(fs, LAB_VIEW(FOLDER), FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, 1000, rig->arena,
		&names, &count, &err));
	assert_int_equal(count, 7);
	rest = names[0];
	assert_true(lab_view_split(&rest, '/', &oid) && lab_view_split(&rest, '/', &bucket));
	assert_view(bucket, "0");
	file = fs_file_open(fs,
		lab_view_cstr(lab_arena_printf(rig->arena, FOLDER "%.*s", LAB_VIEW_ARG(rest))),
		FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_OBJECTID, oid);
	fs_set_metadata(file, FS_METADATA_VERSION, bucket);
	rig->counts.lookups = rig->counts.iterations = rig->counts.unsets = 0;
	OK(fs_delete(file, &err));
	fs_file_close(&file);
	assert_int_equal(rig->counts.lookups, 0);
	assert_int_equal(rig->counts.iterations, 1);
	assert_int_equal(rig->counts.unsets, 2);
	assert_int_equal(bucket_rows(rig, 0), 2);
	/* Who made it knows, too. */
	file = fs_file_open(fs, LAB_VIEW(FOLDER), FS_OPEN_CREATE_UNIQUE_128);
	OK(fs_write(file, LAB_VIEW("x"), &err));
	assert_int_equal(fs_get_metadata(file, FS_METADATA_VERSION, rig->arena, &bucket, &err), 1);
	assert_view(bucket, "2");
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(without_bucket_size_everything_is_in_bucket_0)
{
	struct fs *fs = open_on(
		rig, 0, "dictmap:proxy::cassandra ; posix:prefix=/s/ ; storage-objectid-prefix=m/");

	save_many(fs, 20);
	assert_int_equal(bucket_rows(rig, 0), 20);
	assert_int_equal(list(rig, fs, FS_ITER_NOCACHE), 20);
	assert_max_bucket(rig, NULL);
	assert_int_equal(rig->counts.iterations, 1);
	assert_int_equal(rig->counts.lookups, 0);
	fs_deinit(&fs);
}

struct saver {
	struct rig *rig;
	struct fs *fs;
	unsigned done;
};

static void save_in_fiber(void *arg)
{
	struct saver *saver = arg;

	save_many(saver->fs, 5);
	saver->done++;
}

RIG_TEST(parallel_saves_share_buckets_and_raise_each_once)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("10", ""));
	struct saver saver = { rig, fs, 0 };
	struct lab_error err;

	for (unsigned i = 0; i < 20; i++)
		OK(env_spawn(rig->hosts[0].env, "save", save_in_fiber, &saver, &err));
	env_sleep(rig->hosts[0].env, 10 * LAB_SEC);
	assert_int_equal(saver.done, 20);
	for (unsigned b = 0; b < 10; b++)
		assert_row(b, bucket_rows(rig, b) == 10);
	assert_max_bucket(rig, "9");
	assert_int_equal(rig->counts.events[LAB_EV_fs_dictmap_max_bucket_changed], 9);
	fs_deinit(&fs);
}

/* ---- max_bucket that cannot be raised ---- */

RIG_TEST(when_max_bucket_cannot_be_raised_nothing_is_saved)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_NOT,
		RIG_UNCERTAIN_APPLIED };
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_error err;
	unsigned puts;
	char name[33];

	save_many(fs, 3);
	puts = rig->counts.puts;
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		rig->only = "max_bucket";
		rig_fail_at(rig, 2, faults[i]); /* lookup, INSERT */
		FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
		SAYS("raise max_bucket to 1");
		assert_int_equal(rig->counts.puts, puts);
	}
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	rig_fail_at(rig, 0, RIG_FAIL);
	save(fs, name);
	assert_int_equal(bucket_rows(rig, 0), 3);
	assert_int_equal(bucket_rows(rig, 1), 1);
	fs_deinit(&fs);
}

RIG_TEST(a_save_that_failed_gives_its_place_back)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_error err;
	char name[33];

	save_many(fs, 2);
	for (unsigned i = 0; i < 5; i++) {
		rig_fail_at(rig, 1, RIG_FAIL);
		FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	}
	rig_fail_at(rig, 0, RIG_FAIL);
	save(fs, name);
	assert_int_equal(bucket_rows(rig, 0), 3);
	assert_max_bucket(rig, NULL);
	/* Index files of the folder have no place in a bucket. */
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(put(fs, FOLDER "idx/bundle", "x", &err), LAB_UNAVAILABLE);
	rig_fail_at(rig, 0, RIG_FAIL);
	save(fs, name);
	assert_int_equal(bucket_rows(rig, 0), 3);
	fs_deinit(&fs);
}

RIG_TEST(counting_that_fails_saves_nothing)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_error err;
	char name[33];

	for (unsigned n = 1; n <= 2; n++) {
		rig_fail_at(rig, n, RIG_FAIL);
		FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	}
	assert_int_equal(rig->counts.puts, 0);
	rig_set_row(rig, ROWS "max_bucket", "many");
	rig_fail_at(rig, 0, RIG_FAIL);
	FAILS(create(fs, FOLDER, "x", name, &err), LAB_CORRUPT);
	rig_set_row(rig, ROWS "max_bucket", "100001");
	FAILS(create(fs, FOLDER, "x", name, &err), LAB_CORRUPT);
	fs_deinit(&fs);
}

/* ---- two hosts ---- */

static void save_ten_on_second(void *arg)
{
	struct rig *rig = arg;
	struct fs *fs = open_on(rig, 1, DICTMAP("3", ""));

	save_many(fs, 10);
	fs_deinit(&fs);
}

static void save_more_on_first(void *arg)
{
	struct rig *rig = arg;
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	unsigned counted = rig->counts.iterations;

	/* By its cache bucket 0 has room for two more; then it is told of the others. */
	save_many(fs, 6);
	assert_int_equal(rig->counts.iterations - counted, 1);
	fs_deinit(&fs);
}

static void save_one_on_first(void *arg)
{
	struct rig *rig = arg;
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));

	save_many(fs, 1);
	fs_deinit(&fs);
}

static void a_host_that_was_away_never_lowers_max_bucket(void **state)
{
	struct rig *rig = *state;

	rig_run(rig, 0, save_one_on_first, rig);
	rig_run(rig, 1, save_ten_on_second, rig);
	assert_max_bucket(rig, "3");
	rig_run(rig, 0, save_more_on_first, rig);
	assert_max_bucket(rig, "4");
	assert_int_equal(bucket_rows(rig, 3), 3);
	assert_int_equal(bucket_rows(rig, 0), 5);
	assert_int_equal(rig_forward_rows(rig), 17);
}

/* ---- tombstones ---- */

static void save_and_delete(struct fs *fs, unsigned count)
{
	char name[33];

	for (unsigned i = 0; i < count; i++) {
		save(fs, name);
		delete_mail(fs, name);
	}
}

RIG_TEST(young_tombstones_fill_a_bucket)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ":bucket-deleted-days=11"));
	char name[33];

	save_and_delete(fs, 3);
	assert_max_bucket(rig, NULL);
	save(fs, name);
	assert_max_bucket(rig, "1");
	assert_int_equal(bucket_rows(rig, 0), 0);
	fs_deinit(&fs);
}

RIG_TEST(without_bucket_deleted_days_tombstones_do_not_count)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));

	save_and_delete(fs, 20);
	assert_max_bucket(rig, NULL);
	fs_deinit(&fs);
}

RIG_TEST(tombstones_are_forgotten_when_they_are_old_enough)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ":bucket-deleted-days=11"));
	struct env *env = rig->hosts[0].env;
	char name[33];

	save_and_delete(fs, 2);
	env_sleep(env, 11 * DAY);
	save_and_delete(fs, 1);
	save(fs, name);
	assert_max_bucket(rig, "1");
	delete_mail(fs, name);
	/* Bucket 1 has one tombstone; a day more, and it is alone. */
	save_and_delete(fs, 1);
	env_sleep(env, 12 * DAY);
	save_and_delete(fs, 2);
	assert_max_bucket(rig, "1");
	save_and_delete(fs, 2);
	assert_max_bucket(rig, "2");
	fs_deinit(&fs);
}

/* ---- the cache file ---- */

struct cache_test {
	struct rig *rig;
	const char *uri;
	unsigned count;
	bool leave_open;
	enum fault_disk disk;
};

static void delete_then_stop(void *arg)
{
	struct cache_test *t = arg;
	struct fs *fs = open_on(t->rig, 0, t->uri);

	save_and_delete(fs, t->count);
	if (t->leave_open)
		world_crash(t->rig->hosts[0].host, t->disk);
	fs_deinit(&fs);
}

static void save_some(void *arg)
{
	struct cache_test *t = arg;
	struct fs *fs = open_on(t->rig, 0, t->uri);

	save_many(fs, t->count);
	fs_deinit(&fs);
}

static void tombstones_survive_a_clean_stop(void **state)
{
	struct cache_test t = { *state, DICTMAP("3", ":bucket-deleted-days=11"), 2, false, 0 };

	rig_run(t.rig, 0, delete_then_stop, &t);
	assert_int_equal(t.rig->counts.iterations, 1 + 2);
	rig_run(t.rig, 0, save_some, &t);
	/* Not counted again: one live row beside two tombstones, and the second did not fit. */
	assert_int_equal(t.rig->counts.iterations, 1 + 2);
	assert_int_equal(bucket_rows(t.rig, 0), 1);
	assert_int_equal(bucket_rows(t.rig, 1), 1);
}

static void assert_counted_anew(struct rig *rig, enum fault_disk disk)
{
	struct cache_test t = { rig, DICTMAP("3", ":bucket-deleted-days=11"), 2, false, disk };

	rig_run(t.rig, 0, delete_then_stop, &t);
	t.leave_open = true;
	t.count = 1;
	rig_run(t.rig, 0, delete_then_stop, &t);
	t.rig->counts.iterations = 0;
	t.count = 3;
	rig_run(t.rig, 0, save_some, &t);
	/* Tombstones are unknown now (HD-2), and "clean" is not believed. */
	assert_int_equal(t.rig->counts.iterations, 1);
	assert_int_equal(bucket_rows(t.rig, 0), 3);
	assert_max_bucket(t.rig, NULL);
}

static void after_a_crash_live_rows_are_counted_anew(void **state)
{
	struct rig *rig = rig_new();

	assert_counted_anew(*state, FAULT_DISK_KEEP);
	assert_counted_anew(rig, FAULT_DISK_LOSE_UNSYNCED);
	rig_free(&rig);
}

static void a_lost_cache_is_counted_from_the_last_bucket(void **state)
{
	struct cache_test t = { *state, DICTMAP("3", ""), 5, false, 0 };

	rig_run(t.rig, 0, save_some, &t);
	assert_int_equal(bucket_rows(t.rig, 1), 2);
	world_crash(t.rig->hosts[0].host, FAULT_DISK_WIPE);
	t.count = 2;
	rig_run(t.rig, 0, save_some, &t);
	assert_int_equal(bucket_rows(t.rig, 1), 3);
	assert_int_equal(bucket_rows(t.rig, 2), 1);
}

struct file_test {
	struct rig *rig;
	const char *file;
	bool is_believed;
};

static void save_beside_file(void *arg)
{
	struct file_test *t = arg;
	struct fs *fs;
	struct lab_error err;
	unsigned counted = t->rig->counts.iterations;

	OK(env_file_replace(t->rig->hosts[0].env, CACHE, lab_view_cstr(t->file), true, &err));
	fs = open_on(t->rig, 0, DICTMAP("3", ":bucket-deleted-days=11"));
	save_many(fs, 1);
	assert_int_equal(t->rig->counts.iterations - counted, t->is_believed ? 0 : 1);
	fs_deinit(&fs);
}

#define CLEAN "oboxlab-buckets 1 clean\n"

static void a_file_that_is_not_as_written_is_not_believed(void **state)
{
	static const struct file_test rows[] = {
		{ .file = CLEAN GUID " 0 1\nend\n", .is_believed = true },
		{ .file = CLEAN GUID " 0 1 1:5 19723:0\nend\n", .is_believed = true },
		{ .file = "" },
		{ .file = "oboxlab-buckets 1 open \n" GUID " 0 1\nend\n" },
		{ .file = "oboxlab-buckets 2 clean\n" GUID " 0 1\nend\n" },
		{ .file = CLEAN GUID " 0 1\n" },
		{ .file = CLEAN GUID " 0\nend\n" },
		{ .file = CLEAN GUID " 0 1 5\nend\n" },
		{ .file = CLEAN GUID " 0 1 5:\nend\n" },
		{ .file = CLEAN GUID " 0 1 0:1\nend\n" },
		{ .file = CLEAN GUID " 0 1 1:99999999999\nend\n" },
		{ .file = CLEAN GUID " 100001 1\nend\n" },
		{ .file = CLEAN GUID " -1 1\nend\n" },
		{ .file = CLEAN GUID " 0 4000001\nend\n" },
		{ .file = CLEAN GUID " 0 1\n" GUID " 0 2\nend\n" },
		{ .file = CLEAN "00d7d12ea08a3153175e0000dfbea95g 0 1\n" GUID " 0 1\nend\n" },
		{ .file = CLEAN "short 0 1\n" GUID " 0 1\nend\n" },
		{ .file = CLEAN "\n" GUID " 0 1\nend\n" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct file_test t = rows[i];

		t.rig = rig_new();
		rig_run(t.rig, 0, save_beside_file, &t);
		rig_free(&t.rig);
	}
}

RIG_TEST(a_cache_that_cannot_be_written_costs_nothing_but_a_listing)
{
	struct fs *fs;

	world_disk_limit(rig->hosts[0].host, 5);
	fs = open_on(rig, 0, DICTMAP("3", ""));
	save_many(fs, 4);
	fs_deinit(&fs);
	fs = open_on(rig, 0, DICTMAP("3", ""));
	save_many(fs, 1);
	fs_deinit(&fs);
	assert_int_equal(rig->counts.iterations, 2);
	assert_int_equal(bucket_rows(rig, 1), 2);
}

/* ---- listings ---- */

RIG_TEST(a_listing_counts_the_last_bucket)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	unsigned iterations;

	save_many(fs, 2);
	rig_set_row(rig, ROWS "0/" GUID, GUID "80");
	assert_int_equal(list(rig, fs, 0), 3);
	iterations = rig->counts.iterations;
	save_many(fs, 1);
	assert_int_equal(bucket_rows(rig, 1), 1);
	assert_int_equal(rig->counts.iterations, iterations);
	fs_deinit(&fs);
}

RIG_TEST(a_bucket_above_the_last_one_is_found_without_caches)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));

	rig_set_row(rig, ROWS "0/" GUID, GUID "80");
	rig_set_row(rig, ROWS "1/" GUID, GUID "80");
	rig_set_row(rig, ROWS "2/" GUID, GUID "80");
	rig_set_row(rig, ROWS "4/" GUID, GUID "80");
	assert_int_equal(list(rig, fs, 0), 1);
	assert_max_bucket(rig, NULL);
	assert_int_equal(list(rig, fs, FS_ITER_NOCACHE), 3);
	assert_max_bucket(rig, "2");
	assert_non_null(strstr(rig->last_event, "reason=iter"));
	assert_int_equal(list(rig, fs, 0), 3);
	fs_deinit(&fs);
}

RIG_TEST(a_listing_that_cannot_raise_max_bucket_fails)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	rig_set_row(rig, ROWS "1/" GUID, GUID "80");
	rig->only = "max_bucket";
	rig_fail_at(rig, 2, RIG_UNCERTAIN_NOT);
	FAILS(fs_iter(fs, LAB_VIEW(FOLDER), FS_ITER_NOCACHE, 9, rig->arena, &names, &count, &err),
		LAB_UNAVAILABLE);
	rig->only = "/1/";
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(fs_iter(fs, LAB_VIEW(FOLDER), FS_ITER_NOCACHE, 9, rig->arena, &names, &count, &err),
		LAB_UNAVAILABLE);
	SAYS("list bucket 1");
	fs_deinit(&fs);
}

RIG_TEST(empty_buckets_below_the_last_are_reported)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("3", ""));

	rig_set_row(rig, ROWS "max_bucket", "3");
	rig_set_row(rig, ROWS "2/" GUID, GUID "80");
	assert_int_equal(list(rig, fs, 0), 1);
	assert_int_equal(rig->counts.events[LAB_EV_fs_dictmap_empty_bucket_iterated], 2);
	fs_deinit(&fs);
}

/* ---- max_bucket is lowered (HD-2) ---- */

#define CACHED(size, name) \
	"dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; refcounting-table:" \
	"storage-objectid-prefix=m/:bucket-size=" size ":bucket-cache=/home/user/" name
#define OTHER_CACHE(size) CACHED(size, "other.cache")
#define NEW_CACHE(size) CACHED(size, "new.cache")

static void wait_minutes(struct rig *rig, unsigned minutes)
{
	env_sleep(rig->hosts[0].env, minutes * LAB_MINUTE);
}

static void delete_bucket(struct rig *rig, struct fs *fs, unsigned bucket)
{
	char prefix[200];
	struct lab_tree_iter iter;
	struct lab_view key;
	void *row;

	snprintf(prefix, sizeof(prefix), ROWS "%u/", bucket);
	while (bucket_rows(rig, bucket) > 0) {
		iter = lab_tree_iterate(rig->rows, lab_view_cstr(prefix));
		while (lab_tree_next(&iter, &key, &row) &&
			lab_view_starts_with(key, lab_view_cstr(prefix))) {
			char text[300];

			assert_int_equal(lab_view_to_cstr(key, text, sizeof(text)), 0);
			if (rig_row(rig, text).ptr != NULL) {
				delete_mail(fs, text + strlen(prefix));
				break;
			}
		}
	}
}

RIG_TEST(empty_buckets_at_the_end_are_forgotten_in_time)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("2", ""));

	save_many(fs, 8);
	assert_max_bucket(rig, "3");
	delete_bucket(rig, fs, 1);
	delete_bucket(rig, fs, 2);
	delete_bucket(rig, fs, 3);
	assert_int_equal(list(rig, fs, 0), 2);
	wait_minutes(rig, 29);
	assert_int_equal(list(rig, fs, 0), 2);
	assert_max_bucket(rig, "3");
	wait_minutes(rig, 1);
	assert_int_equal(list(rig, fs, 0), 2);
	assert_max_bucket(rig, "0");
	assert_non_null(strstr(rig->last_event, "old_max_bucket=3 max_bucket=0 reason=iter"));
	/* What it was about: one SELECT less for each of them (PRO-02). */
	rig->counts.iterations = 0;
	assert_int_equal(list(rig, fs, 0), 2);
	assert_int_equal(rig->counts.iterations, 1);
	save_many(fs, 1);
	assert_max_bucket(rig, "1");
	assert_int_equal(list(rig, fs, 0), 3);
	fs_deinit(&fs);
}

RIG_TEST(a_bucket_that_is_not_empty_stays_with_all_below)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("2", ""));

	save_many(fs, 8);
	delete_bucket(rig, fs, 0);
	delete_bucket(rig, fs, 1);
	delete_bucket(rig, fs, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(list(rig, fs, 0), 2);
		wait_minutes(rig, 31);
	}
	assert_max_bucket(rig, "2");
	fs_deinit(&fs);
}

RIG_TEST(without_its_write_time_max_bucket_is_never_lowered)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("2", ""));

	rig->has_old_map = true;
	save_many(fs, 4);
	delete_bucket(rig, fs, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(list(rig, fs, 0), 2);
		wait_minutes(rig, 31);
		save_many(fs, 1);
		delete_bucket(rig, fs, 1);
	}
	assert_max_bucket(rig, "1");
	fs_deinit(&fs);
}

/* A host that has room in the bucket says so now and then, by writing what is there. */
RIG_TEST(a_bucket_in_which_another_host_has_room_stays)
{
	struct fs *a = open_on(rig, 0, DICTMAP("4", "")), *b = open_on(rig, 0, OTHER_CACHE("4"));
	unsigned sets;

	save_many(b, 5);
	assert_int_equal(list(rig, a, 0), 5);
	for (int i = 0; i < 6; i++) {
		delete_bucket(rig, b, 1);
		assert_int_equal(list(rig, a, 0), 4);
		wait_minutes(rig, 9);
		save_many(b, 1);
		assert_int_equal(bucket_rows(rig, 1), 1);
	}
	assert_max_bucket(rig, "1");
	/* Once in ten minutes, not with each mail: PUT, two rows. */
	delete_bucket(rig, b, 1);
	wait_minutes(rig, 11);
	sets = rig->counts.sets;
	save_many(b, 2);
	assert_int_equal(rig->counts.sets, sets + 2 * 2 + 1);
	fs_deinit(&b);
	fs_deinit(&a);
}

RIG_TEST(a_host_that_was_away_looks_before_it_uses_its_room)
{
	struct fs *a = open_on(rig, 0, DICTMAP("2", "")), *b = open_on(rig, 0, OTHER_CACHE("2"));

	save_many(b, 5);
	delete_bucket(rig, a, 1);
	delete_bucket(rig, a, 2);
	(void)list(rig, a, 0);
	wait_minutes(rig, 31);
	(void)list(rig, a, 0);
	assert_max_bucket(rig, "0");
	/* It knew bucket 2, with room for one. */
	save_many(b, 3);
	assert_int_equal(list(rig, a, 0), 5);
	assert_max_bucket(rig, "2");
	assert_int_equal(bucket_rows(rig, 1), 2);
	fs_deinit(&b);
	fs_deinit(&a);
}

/* It cannot say that it has room, as it does not know when max_bucket was written. */
RIG_TEST(what_older_maps_put_into_a_bucket_that_was_given_up_is_seen)
{
	struct fs *a = open_on(rig, 0, DICTMAP("4", "")), *b = open_on(rig, 0, OTHER_CACHE("4"));
	unsigned lookups;

	rig->has_old_map = true;
	save_many(b, 9);
	delete_bucket(rig, b, 2);
	rig->has_old_map = false;
	(void)list(rig, a, 0);
	wait_minutes(rig, 25);
	rig->has_old_map = true;
	save_many(b, 1);
	delete_bucket(rig, b, 2);
	rig->has_old_map = false;
	wait_minutes(rig, 6);
	(void)list(rig, a, 0);
	assert_max_bucket(rig, "1");
	rig->has_old_map = true;
	save_many(b, 1);
	assert_int_equal(bucket_rows(rig, 2), 1);
	assert_max_bucket(rig, "2");
	rig->has_old_map = false;
	assert_int_equal(list(rig, a, 0), 9);
	/* One look for each, as long as it cannot know. */
	rig->has_old_map = true;
	save_many(b, 1);
	lookups = rig->counts.lookups;
	save_many(b, 1);
	assert_int_equal(rig->counts.lookups, lookups + 1);
	fs_deinit(&b);
	fs_deinit(&a);
}

struct crossing {
	struct rig *rig;
	struct fs *fs;
	uint64_t after_ns;
	bool is_over;
};

static void save_across(void *arg)
{
	struct crossing *c = arg;

	env_sleep(c->rig->hosts[0].env, c->after_ns);
	c->rig->has_old_map = true;
	save_many(c->fs, 1);
	c->is_over = true;
}

/* Listed for the second time, the last bucket is given up; meanwhile a mail is put into it. */
static void cross(struct rig *rig, struct fs *a, struct crossing *c)
{
	struct lab_error err;

	rig->has_old_map = true;
	delete_bucket(rig, c->fs, 1);
	rig->has_old_map = false;
	(void)list(rig, a, 0);
	wait_minutes(rig, 31);
	OK(env_spawn(rig->hosts[0].env, "save", save_across, c, &err));
	(void)list(rig, a, 0);
	while (!c->is_over)
		env_sleep(rig->hosts[0].env, LAB_MSEC);
	rig->has_old_map = false;
	if (list(rig, a, 0) != 5)
		fail_msg("hidden if saved after %" PRIu64 " ms", c->after_ns / LAB_MSEC);
}

RIG_TEST(a_save_by_older_maps_may_cross_a_lowering)
{
	struct fs *a = open_on(rig, 0, DICTMAP("4", "")), *b = open_on(rig, 0, OTHER_CACHE("4"));
	unsigned lowered = 0;

	save_many(b, 5);
	rig->listing_ns = 20 * LAB_MSEC;
	for (uint64_t ms = 2; ms < 60; ms++) {
		struct crossing c = { .rig = rig, .fs = b, .after_ns = ms * LAB_MSEC };
		unsigned before = rig->counts.events[LAB_EV_fs_dictmap_max_bucket_changed];

		cross(rig, a, &c);
		assert_max_bucket(rig, "1");
		lowered += rig->counts.events[LAB_EV_fs_dictmap_max_bucket_changed] == before + 2;
	}
	/* And raised again. */
	assert_int_equal(lowered, 58);
	fs_deinit(&b);
	fs_deinit(&a);
}

/* By when the look is over, it has not arrived. */
RIG_TEST(a_late_lowering_hides_nothing_of_older_maps)
{
	struct fs *a = open_on(rig, 0, DICTMAP("4", "")), *b = open_on(rig, 0, OTHER_CACHE("4"));

	save_many(b, 5);
	rig->has_old_map = true;
	wait_minutes(rig, 11);
	save_many(b, 1);
	delete_bucket(rig, b, 1);
	rig->has_old_map = false;
	(void)list(rig, a, 0);
	wait_minutes(rig, 31);
	rig->only = "max_bucket";
	rig_fail_at(rig, 2, RIG_UNCERTAIN_LATE);
	assert_int_equal(list(rig, a, 0), 4);
	assert_true(rig->fired);
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->has_old_map = true;
	save_many(b, 1);
	rig->has_old_map = false;
	rig_apply_late(rig);
	assert_int_equal(list(rig, a, 0), 5);
	fs_deinit(&b);
	fs_deinit(&a);
}

/* What it cannot find out nobody can rely on. */
RIG_TEST(a_save_by_older_maps_whose_look_fails_is_uncertain)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("4", ""));
	struct lab_error err;
	char name[33];

	rig->has_old_map = true;
	save_many(fs, 5);
	wait_minutes(rig, 11);
	save_many(fs, 1);
	rig->only = "max_bucket";
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNCERTAIN);
	assert_true(rig->fired);
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->only = NULL;
	assert_int_equal(list(rig, fs, 0), 7);
	fs_deinit(&fs);
}

/* A host whose older maps do not tell the write time raises by the clock. */
RIG_TEST(a_late_raise_by_older_maps_lowers_nothing)
{
	struct fs *a = open_on(rig, 0, DICTMAP("2", "")), *b = open_on(rig, 0, OTHER_CACHE("2"));
	struct lab_error err;
	char name[33];

	save_many(a, 4);
	wait_minutes(rig, 60);
	rig->has_old_map = true;
	rig->only = "max_bucket";
	rig_fail_at(rig, 2, RIG_UNCERTAIN_LATE);
	FAILS(create(b, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	assert_true(rig->fired);
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->only = NULL;
	rig->has_old_map = false;
	save_many(a, 3);
	rig_apply_late(rig);
	assert_max_bucket(rig, "3");
	assert_int_equal(list(rig, b, 0), 7);
	fs_deinit(&b);
	fs_deinit(&a);
}

/* Buckets are filled faster than clocks may be apart. */
RIG_TEST(what_older_maps_cannot_raise_saves_nothing)
{
	struct fs *a = open_on(rig, 0, DICTMAP("2", "")), *b = open_on(rig, 0, OTHER_CACHE("2"));
	struct lab_error err;
	char name[33];
	unsigned puts;

	save_many(a, 8);
	assert_max_bucket(rig, "3");
	rig->has_old_map = true;
	puts = rig->counts.puts;
	FAILS(create(b, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	SAYS("max_bucket stays 3");
	assert_true(err.retryable);
	assert_int_equal(rig->counts.puts, puts);
	wait_minutes(rig, 1);
	save_many(b, 1);
	rig->has_old_map = false;
	assert_max_bucket(rig, "4");
	assert_int_equal(list(rig, a, 0), 9);
	fs_deinit(&b);
	fs_deinit(&a);
}

/* The lowering is on its way while others write; whenever it arrives, it hides nothing. */
static void lower_late(struct rig *rig, unsigned saves_before, unsigned saves_after)
{
	struct fs *a = open_on(rig, 0, DICTMAP("2", "")), *b = open_on(rig, 0, OTHER_CACHE("2"));
	struct fs *c;

	save_many(b, 3);
	delete_bucket(rig, a, 1);
	(void)list(rig, a, 0);
	wait_minutes(rig, 31);
	rig->only = "max_bucket";
	rig_fail_at(rig, 2, RIG_UNCERTAIN_LATE);
	assert_int_equal(list(rig, a, 0), 2);
	assert_true(rig->fired);
	assert_non_null(strstr(rig->last_event, "max_bucket=0 reason=iter error="));
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->only = NULL;
	save_many(b, saves_before);
	rig_apply_late(rig);
	save_many(a, saves_after);
	save_many(b, saves_after);
	c = open_on(rig, 0, NEW_CACHE("2"));
	assert_int_equal(list(rig, c, 0), 2 + saves_before + 2 * saves_after);
	fs_deinit(&c);
	fs_deinit(&b);
	fs_deinit(&a);
}

#define LATE_TEST(before, after) \
	RIG_TEST(a_lowering_that_comes_behind_##before##_saves_and_before_##after) \
	{ \
		lower_late(rig, before, after); \
	}
LATE_TEST(0, 1)
LATE_TEST(1, 0)
LATE_TEST(1, 3)
LATE_TEST(2, 1)
LATE_TEST(5, 2)

RIG_TEST(a_lowering_that_fails_fails_no_listing)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_NOT,
		RIG_UNCERTAIN_APPLIED };
	struct fs *fs = open_on(rig, 0, DICTMAP("2", ""));

	save_many(fs, 3);
	delete_bucket(rig, fs, 1);
	(void)list(rig, fs, 0);
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		wait_minutes(rig, 31);
		rig->only = "max_bucket";
		rig_fail_at(rig, 2, faults[i]);
		assert_int_equal(list(rig, fs, 0), 2);
		assert_true(rig->fired);
		rig_fail_at(rig, 0, RIG_FAIL);
		rig->only = NULL;
		(void)list(rig, fs, 0);
	}
	save_many(fs, 3);
	assert_int_equal(list(rig, fs, 0), 5);
	fs_deinit(&fs);
}

/* max_bucket is lost: what is above it may be full already. */
RIG_TEST(a_bucket_that_is_met_again_is_counted)
{
	struct fs *fs = open_on(rig, 0, DICTMAP("2", ""));

	save_many(fs, 5);
	rig_remove_row(rig, ROWS "max_bucket");
	wait_minutes(rig, 11);
	save_many(fs, 2);
	for (unsigned b = 0; b < 4; b++)
		assert_true(bucket_rows(rig, b) <= 2);
	assert_int_equal(list(rig, fs, FS_ITER_NOCACHE), 7);
	fs_deinit(&fs);
}

/* Three hosts that save, expunge, list and wait in any order, while a step may fail in any way:
 * what was acknowledged is listed by who has never looked before. */
struct play {
	unsigned older;
	struct rig *rig;
	struct fs *hosts[3];
	char names[400][33];
	unsigned count, raised_late;
};

static unsigned play_draw(struct play *play, uint64_t seed, unsigned n, unsigned below)
{
	(void)play;
	return (unsigned)lab_pick(lab_draw(seed, "buckets.play", below, n), below);
}

static void play_save(struct play *play, struct fs *fs)
{
	struct lab_error err;
	char name[33];

	if (play->count < LAB_COUNT_OF(play->names) && create(fs, FOLDER, "x", name, &err) == 0)
		memcpy(play->names[play->count++], name, sizeof(name));
}

static void play_delete(struct play *play, struct fs *fs, unsigned victim)
{
	char path[200];
	struct lab_error err;

	snprintf(path, sizeof(path), FOLDER "%s", play->names[victim]);
	if (del(fs, path, &err) < 0 && err.code != LAB_NOT_FOUND)
		return;
	memcpy(play->names[victim], play->names[--play->count], sizeof(play->names[victim]));
}

static void play_step(struct play *play, uint64_t seed, unsigned n)
{
	unsigned host = play_draw(play, seed, n, 3);
	struct fs *fs = play->hosts[host];
	unsigned what = play_draw(play, seed, n, 16);
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	play->rig->has_old_map = host < play->older;
	if (play_draw(play, seed, n, 5) == 0) {
		play->rig->only = play_draw(play, seed, n, 2) == 0 ? "max_bucket" : NULL;
		rig_fail_at(play->rig, 1 + play_draw(play, seed, n, 4),
			(enum rig_fault)play_draw(play, seed, n, RIG_UNCERTAIN_LATE + 1));
	}
	if (what < 4)
		play_save(play, fs);
	else if (what < 10)
		while (play->count > 1 && play_draw(play, seed, n + play->count * 1000, 8) > 0)
			play_delete(play, fs, play_draw(play, seed, n, play->count));
	else if (what < 14)
		(void)fs_iter(
			fs, LAB_VIEW(FOLDER), 0, 1000, play->rig->arena, &names, &count, &err);
	else
		wait_minutes(play->rig, play_draw(play, seed, n, 25));
	play->raised_late += play->rig->late_count > 0;
	rig_fail_at(play->rig, 0, RIG_FAIL);
	play->rig->only = NULL;
	play->rig->has_old_map = false;
	if (play_draw(play, seed, n, 3) == 0)
		rig_apply_late(play->rig);
}

static void assert_all_listed(struct play *play, uint64_t seed, unsigned n)
{
	struct fs *fs = open_on(play->rig, 0, NEW_CACHE("2"));
	struct lab_map *listed = lab_map_new(play->rig->hosts[0].env->heap, 1000);
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, LAB_VIEW(FOLDER), 0, 1000, play->rig->arena, &names, &count, &err));
	for (size_t i = 0; i < count; i++)
		*lab_map_slot(listed, names[i]) = play;
	for (unsigned i = 0; i < play->count; i++) {
		if (lab_map_get(listed, lab_view_cstr(play->names[i])) == NULL)
			fail_msg("seed %" PRIu64 ", step %u: %s is not listed", seed, n,
				play->names[i]);
	}
	lab_map_free(&listed);
	fs_deinit(&fs);
}

/* The first so many hosts have older maps. */
static unsigned play(struct rig *rig, uint64_t seed, unsigned older)
{
	struct play play = { .rig = rig, .older = older };
	unsigned lowered;
	char uri[300];

	for (int i = 0; i < 3; i++) {
		snprintf(uri, sizeof(uri),
			"dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; "
			"refcounting-table:cleanup-uncertain:storage-objectid-prefix=m/"
			":bucket-size="
			"2:bucket-cache=/home/user/%d-%" PRIu64,
			i, seed);
		play.hosts[i] = open_on(rig, 0, uri);
	}
	for (unsigned n = 0; n < 150; n++) {
		play_step(&play, seed, n);
		assert_all_listed(&play, seed, n);
	}
	rig_apply_late(rig);
	assert_all_listed(&play, seed, 150);
	lowered = rig->counts.events[LAB_EV_fs_dictmap_max_bucket_changed];
	for (int i = 0; i < 3; i++)
		fs_deinit(&play.hosts[i]);
	return lowered;
}

#define PLAY_TEST(n) \
	RIG_TEST(nothing_is_hidden_whoever_raises_and_lowers_##n) \
	{ \
		assert_true(play(rig, n, 0) > 0); \
	} \
	RIG_TEST(nothing_is_hidden_also_with_older_maps_##n) \
	{ \
		assert_true(play(rig, n, 1 + n % 2) > 0); \
	}
PLAY_TEST(1)
PLAY_TEST(2)
PLAY_TEST(3)
PLAY_TEST(4)
PLAY_TEST(5)
PLAY_TEST(6)
PLAY_TEST(7)
PLAY_TEST(8)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_full_bucket_is_followed_by_the_next),
		RIG_UNIT_TEST(a_listing_says_which_bucket_a_delete_need_not_look_for),
		RIG_UNIT_TEST(without_bucket_size_everything_is_in_bucket_0),
		RIG_UNIT_TEST(parallel_saves_share_buckets_and_raise_each_once),
		RIG_UNIT_TEST(when_max_bucket_cannot_be_raised_nothing_is_saved),
		RIG_UNIT_TEST(a_save_that_failed_gives_its_place_back),
		RIG_UNIT_TEST(counting_that_fails_saves_nothing),
		RIG_UNIT_TEST(a_host_that_was_away_never_lowers_max_bucket),
		RIG_UNIT_TEST(young_tombstones_fill_a_bucket),
		RIG_UNIT_TEST(without_bucket_deleted_days_tombstones_do_not_count),
		RIG_UNIT_TEST(tombstones_are_forgotten_when_they_are_old_enough),
		RIG_UNIT_TEST(tombstones_survive_a_clean_stop),
		RIG_UNIT_TEST(after_a_crash_live_rows_are_counted_anew),
		RIG_UNIT_TEST(a_lost_cache_is_counted_from_the_last_bucket),
		cmocka_unit_test(a_file_that_is_not_as_written_is_not_believed),
		RIG_UNIT_TEST(a_cache_that_cannot_be_written_costs_nothing_but_a_listing),
		RIG_UNIT_TEST(a_listing_counts_the_last_bucket),
		RIG_UNIT_TEST(a_bucket_above_the_last_one_is_found_without_caches),
		RIG_UNIT_TEST(a_listing_that_cannot_raise_max_bucket_fails),
		RIG_UNIT_TEST(empty_buckets_below_the_last_are_reported),
		RIG_UNIT_TEST(empty_buckets_at_the_end_are_forgotten_in_time),
		RIG_UNIT_TEST(a_bucket_that_is_not_empty_stays_with_all_below),
		RIG_UNIT_TEST(without_its_write_time_max_bucket_is_never_lowered),
		RIG_UNIT_TEST(what_older_maps_put_into_a_bucket_that_was_given_up_is_seen),
		RIG_UNIT_TEST(a_save_by_older_maps_may_cross_a_lowering),
		RIG_UNIT_TEST(a_late_lowering_hides_nothing_of_older_maps),
		RIG_UNIT_TEST(a_save_by_older_maps_whose_look_fails_is_uncertain),
		RIG_UNIT_TEST(a_late_raise_by_older_maps_lowers_nothing),
		RIG_UNIT_TEST(what_older_maps_cannot_raise_saves_nothing),
		RIG_UNIT_TEST(a_bucket_in_which_another_host_has_room_stays),
		RIG_UNIT_TEST(a_host_that_was_away_looks_before_it_uses_its_room),
		RIG_UNIT_TEST(a_lowering_that_fails_fails_no_listing),
		RIG_UNIT_TEST(a_bucket_that_is_met_again_is_counted),
		RIG_UNIT_TEST(a_lowering_that_comes_behind_0_saves_and_before_1),
		RIG_UNIT_TEST(a_lowering_that_comes_behind_1_saves_and_before_0),
		RIG_UNIT_TEST(a_lowering_that_comes_behind_1_saves_and_before_3),
		RIG_UNIT_TEST(a_lowering_that_comes_behind_2_saves_and_before_1),
		RIG_UNIT_TEST(a_lowering_that_comes_behind_5_saves_and_before_2),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_1),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_1),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_2),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_2),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_3),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_3),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_4),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_4),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_5),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_5),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_6),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_6),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_7),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_7),
		RIG_UNIT_TEST(nothing_is_hidden_whoever_raises_and_lowers_8),
		RIG_UNIT_TEST(nothing_is_hidden_also_with_older_maps_8),
	};

	return cmocka_run_group_tests_name("dictmap-buckets", tests, NULL, NULL);
}
