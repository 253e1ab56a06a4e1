/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver fscache over dictmap over a storage in memory, on a simulated disk.
 */
#include "core/fs/fscache.h"
#include "core/fs/testing/rig-test.h"

#define FOLDER "user@example.com/mailboxes/00d7d12ea08a3153175e0000dfbea952/"
#define BELOW "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; storage-objectid-prefix=m/"
#define HEADER_BYTES 24

static struct fs *open_cache(struct rig *rig, const char *size)
{
	char uri[300];
	struct lab_error err;
	struct fs *fs;

	snprintf(uri, sizeof(uri), "fscache:%s:/cache/:" BELOW, size);
	fs = rig_open(rig, 0, uri, &err);
	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

struct saved {
	char path[200], cached[100], object[100];
};

/* Writes a mail; where it, its copy in the cache and its object are. */
static void save(struct fs *fs, const char *text, struct saved *ret)
{
	struct lab_error err;
	char name[33];

	OK(create(fs, FOLDER, text, name, &err));
	snprintf(ret->path, sizeof(ret->path), FOLDER "%s", name);
	snprintf(ret->cached, sizeof(ret->cached), "/cache/%s80", name);
	snprintf(ret->object, sizeof(ret->object), "m/%s80", name);
}

static bool is_cached(struct rig *rig, const struct saved *saved)
{
	struct env_stat st;

	return env_stat(rig->hosts[0].env, saved->cached, &st, NULL) == 0;
}

static void assert_reads(struct rig *rig, struct fs *fs, const struct saved *saved,
	const char *expected, unsigned gets)
{
	unsigned before = rig->counts.gets;
	struct lab_error err;
	struct lab_view text;

	OK(get(rig, fs, saved->path, &text, &err));
	assert_view(text, expected);
	assert_int_equal(rig->counts.gets - before, gets);
}

RIG_TEST(what_was_written_is_read_from_the_cache)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	save(fs, "hello", &saved);
	assert_reads(rig, fs, &saved, "hello", 0);
	fs_deinit(&fs);
}

RIG_TEST(what_was_read_once_is_read_from_the_cache)
{
	struct lab_error err;
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	save(fs, "hello", &saved);
	OK(env_unlink(rig->hosts[0].env, saved.cached, &err));
	assert_reads(rig, fs, &saved, "hello", 1);
	assert_reads(rig, fs, &saved, "hello", 0);
	fs_deinit(&fs);
}

RIG_TEST(an_empty_mail_is_cached_too)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	save(fs, "", &saved);
	assert_reads(rig, fs, &saved, "", 0);
	fs_deinit(&fs);
}

RIG_TEST(a_known_object_id_saves_every_request)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;
	struct fs_file *file;
	struct lab_view text;
	struct lab_error err;
	unsigned lookups;

	save(fs, "hello", &saved);
	lookups = rig->counts.lookups;
	file = fs_file_open(fs, lab_view_cstr(saved.path), FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_OBJECTID, lab_view_cstr(saved.object + 2));
	OK(fs_read(file, rig->arena, 100, &text, &err));
	assert_view(text, "hello");
	assert_int_equal(rig->counts.lookups, lookups);
	assert_int_equal(rig->counts.gets, 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

static void damage(struct rig *rig, const char *path, const char *how)
{
	struct env_file *file;
	struct lab_error err;

	OK(env_file_open(rig->hosts[0].env, path, ENV_OPEN_WRITE, &file, &err));
	if (strcmp(how, "cut") == 0)
		OK(env_file_truncate(file, env_file_size(file) - 1, &err));
	else if (strcmp(how, "empty") == 0)
		OK(env_file_truncate(file, 0, &err));
	else if (strcmp(how, "zeros") == 0)
		OK(env_file_write(file, HEADER_BYTES, LAB_VIEW("\0\0"), &err));
	else if (strcmp(how, "longer") == 0)
		OK(env_file_write(file, env_file_size(file), LAB_VIEW("x"), &err));
	else
		OK(env_file_write(file, 0, LAB_VIEW("O"), &err));
	env_file_close(&file);
}

RIG_TEST(a_damaged_copy_is_not_there)
{
	static const char *const damages[] = { "cut", "empty", "zeros", "longer", "magic" };
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	for (size_t i = 0; i < LAB_COUNT_OF(damages); i++) {
		save(fs, "hello", &saved);
		damage(rig, saved.cached, damages[i]);
		assert_reads(rig, fs, &saved, "hello", 1);
		assert_reads(rig, fs, &saved, "hello", 0);
	}
	fs_deinit(&fs);
}

/* ---- crashes ---- */

struct survivors {
	struct rig *rig;
	struct saved saved[40];
};

static void fill(void *arg)
{
	struct survivors *s = arg;
	struct fs *fs = open_cache(s->rig, "1M");

	for (size_t i = 0; i < LAB_COUNT_OF(s->saved); i++)
		save(fs, "contents that are long enough to be torn somewhere", &s->saved[i]);
	fs_deinit(&fs);
}

static void read_all(void *arg)
{
	struct survivors *s = arg;
	struct fs *fs = open_cache(s->rig, "1M");
	struct lab_error err;
	struct lab_view text;

	for (size_t i = 0; i < LAB_COUNT_OF(s->saved); i++) {
		OK(get(s->rig, fs, s->saved[i].path, &text, &err));
		assert_view(text, "contents that are long enough to be torn somewhere");
	}
	fs_deinit(&fs);
}

static void after_a_crash_a_copy_is_whole_or_a_miss(void **state)
{
	struct survivors s = { .rig = *state };

	rig_run(s.rig, 0, fill, &s);
	world_crash(s.rig->hosts[0].host, FAULT_DISK_LOSE_UNSYNCED);
	rig_run(s.rig, 0, read_all, &s);
	/* Some were lost, some were not. */
	assert_true(s.rig->counts.gets > 0 && s.rig->counts.gets < LAB_COUNT_OF(s.saved));
}

static void a_restart_knows_what_is_there(void **state)
{
	struct survivors s = { .rig = *state };

	rig_run(s.rig, 0, fill, &s);
	rig_run(s.rig, 0, read_all, &s);
	assert_int_equal(s.rig->counts.gets, 0);
}

static void a_machine_that_was_replaced_reads_everything_anew(void **state)
{
	struct survivors s = { .rig = *state };

	rig_run(s.rig, 0, fill, &s);
	world_crash(s.rig->hosts[0].host, FAULT_DISK_WIPE);
	rig_run(s.rig, 0, read_all, &s);
	assert_int_equal(s.rig->counts.gets, LAB_COUNT_OF(s.saved));
}

RIG_TEST(files_that_somebody_removes_are_misses)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved[3];
	struct lab_error err;

	for (size_t i = 0; i < 3; i++)
		save(fs, "hello", &saved[i]);
	for (size_t i = 0; i < 3; i++)
		OK(env_unlink(rig->hosts[0].env, saved[i].cached, &err));
	for (size_t i = 0; i < 3; i++)
		assert_reads(rig, fs, &saved[i], "hello", 1);
	fs_deinit(&fs);
}

/* ---- size ---- */

RIG_TEST(the_one_used_longest_ago_goes_first)
{
	/* Room for three of 10 + 24 bytes. */
	struct fs *fs = open_cache(rig, "110");
	struct saved saved[4];

	for (size_t i = 0; i < 3; i++)
		save(fs, "0123456789", &saved[i]);
	assert_reads(rig, fs, &saved[0], "0123456789", 0);
	save(fs, "0123456789", &saved[3]);
	assert_true(is_cached(rig, &saved[0]));
	assert_false(is_cached(rig, &saved[1]));
	assert_true(is_cached(rig, &saved[2]));
	assert_true(is_cached(rig, &saved[3]));
	fs_deinit(&fs);
}

RIG_TEST(the_size_holds_over_many_writes_and_counts_what_a_restart_finds)
{
	struct fs *fs = open_cache(rig, "2000");
	struct saved saved[60];

	for (size_t i = 0; i < 60; i++) {
		save(fs, i % 2 == 0 ? "0123456789" : "0123456789012345678901234567890123456789",
			&saved[i]);
		assert_true(world_disk_used(rig->hosts[0].host) <= 2000);
	}
	assert_true(world_disk_used(rig->hosts[0].host) > 1900);
	fs_deinit(&fs);
	fs_shared_free(&rig->hosts[0].services.shared);
	rig->hosts[0].services.shared = fs_shared_new(rig->hosts[0].env);
	fs = open_cache(rig, "2000");
	save(fs, "0123456789", &saved[0]);
	assert_true(world_disk_used(rig->hosts[0].host) <= 2000);
	fs_deinit(&fs);
}

RIG_TEST(a_mail_larger_than_the_cache_is_alone_in_it)
{
	struct fs *fs = open_cache(rig, "60");
	struct saved small, large;

	save(fs, "hello", &small);
	save(fs, "012345678901234567890123456789012345678901234567890123456789", &large);
	assert_false(is_cached(rig, &small));
	assert_true(is_cached(rig, &large));
	save(fs, "hello", &small);
	assert_false(is_cached(rig, &large));
	fs_deinit(&fs);
}

RIG_TEST(one_directory_is_one_cache_for_all_users)
{
	struct fs *a = open_cache(rig, "110"), *b = open_cache(rig, "110");
	struct saved saved[4];

	for (size_t i = 0; i < 4; i++)
		save(i % 2 == 0 ? a : b, "0123456789", &saved[i]);
	assert_false(is_cached(rig, &saved[0]));
	assert_true(world_disk_used(rig->hosts[0].host) <= 110);
	assert_reads(rig, a, &saved[3], "0123456789", 0);
	fs_deinit(&a);
	fs_deinit(&b);
}

/* ---- fscache rescan ---- */

static void rescan(struct rig *rig, uint64_t before, uint64_t after, uint64_t files)
{
	struct rig_host *host = &rig->hosts[0];
	struct fscache_scan scan;
	struct lab_error err;

	OK(fscache_rescan(host->services.shared, host->env, LAB_VIEW("/cache/"), &scan, &err));
	assert_int_equal(scan.before, before);
	assert_int_equal(scan.after, after);
	assert_int_equal(scan.files, files);
}

static void plant(struct rig *rig, const char *path, const char *text)
{
	struct lab_error err;

	OK(env_file_replace(rig->hosts[0].env, path, lab_view_cstr(text), false, &err));
}

RIG_TEST(a_rescan_counts_what_others_did)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved[3];
	struct env_stat st;
	struct lab_error err;

	for (size_t i = 0; i < 3; i++)
		save(fs, "0123456789", &saved[i]);
	rescan(rig, 102, 102, 3);
	OK(env_unlink(rig->hosts[0].env, saved[0].cached, &err));
	plant(rig, saved[1].cached, "short");
	plant(rig, "/cache/unknown", "0123456789");
	plant(rig, "/cache/half.tmp", "0123456789");
	rescan(rig, 102, 5 + 34 + 10, 3);
	rescan(rig, 49, 49, 3);
	/* Who writes just now has a temporary file, too. */
	OK(env_stat(rig->hosts[0].env, "/cache/half.tmp", &st, &err));
	assert_reads(rig, fs, &saved[0], "0123456789", 1);
	assert_reads(rig, fs, &saved[1], "0123456789", 1);
	assert_reads(rig, fs, &saved[2], "0123456789", 0);
	rescan(rig, 112, 112, 4);
	fs_deinit(&fs);
}

/* Without it nobody would make room for what is not counted. */
RIG_TEST(what_a_rescan_finds_makes_room)
{
	struct fs *fs = open_cache(rig, "110");
	struct saved saved[3];

	save(fs, "0123456789", &saved[0]);
	for (unsigned i = 0; i < 6; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/cache/unknown%u", i);
		plant(rig, path, "01234567890123456789");
	}
	save(fs, "0123456789", &saved[1]);
	assert_true(world_disk_used(rig->hosts[0].host) > 110);
	rescan(rig, 68, 188, 8);
	save(fs, "0123456789", &saved[2]);
	assert_true(world_disk_used(rig->hosts[0].host) <= 110);
	assert_true(is_cached(rig, &saved[2]));
	fs_deinit(&fs);
}

RIG_TEST(a_process_that_has_not_used_it_counts_nothing_before)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	save(fs, "0123456789", &saved);
	fs_deinit(&fs);
	fs_shared_free(&rig->hosts[0].services.shared);
	rig->hosts[0].services.shared = fs_shared_new(rig->hosts[0].env);
	plant(rig, "/cache/half.tmp", "0123456789");
	rescan(rig, 0, 34, 1);
	/* Who knows whose directory that is. */
	rescan(rig, 0, 34, 1);
	assert_int_equal(world_disk_used(rig->hosts[0].host), 34 + 10);
	/* The first use removes what was left half written. */
	fs = open_cache(rig, "1M");
	assert_reads(rig, fs, &saved, "0123456789", 0);
	assert_int_equal(world_disk_used(rig->hosts[0].host), 34);
	rescan(rig, 34, 34, 1);
	fs_deinit(&fs);
}

RIG_TEST(what_is_no_cache_is_not_rescanned)
{
	struct rig_host *host = &rig->hosts[0];
	struct fscache_scan scan;
	struct lab_error err;

	FAILS(fscache_rescan(host->services.shared, host->env, LAB_VIEW("cache"), &scan, &err),
		LAB_INVALID);
	FAILS(fscache_rescan(host->services.shared, host->env, LAB_VIEW("/none"), &scan, &err),
		LAB_NOT_FOUND);
	plant(rig, "/file", "x");
	FAILS(fscache_rescan(host->services.shared, host->env, LAB_VIEW("/file"), &scan, &err),
		LAB_INVALID);
}

/* Some write while others look, and in the end the count is what is there. */
struct busy {
	struct rig *rig;
	struct fs *fs;
	unsigned left;
};

static void write_some(void *arg)
{
	struct busy *busy = arg;
	struct saved saved;

	for (unsigned i = 0; i < 40; i++)
		save(busy->fs, i % 3 == 0 ? "x" : "0123456789", &saved);
	busy->left--;
}

static void look_often(void *arg)
{
	struct busy *busy = arg;
	struct rig_host *host = &busy->rig->hosts[0];
	struct fscache_scan scan;
	struct lab_error err;

	for (unsigned i = 0; i < 40; i++) {
		OK(fscache_rescan(
			host->services.shared, host->env, LAB_VIEW("/cache"), &scan, &err));
		env_sleep(host->env, LAB_MSEC / 3);
	}
	busy->left--;
}

RIG_TEST(a_rescan_beside_writers_counts_right)
{
	struct busy busy = { rig, open_cache(rig, "500"), 4 };
	struct fscache_scan scan;
	struct env *env = rig->hosts[0].env;
	struct saved first;
	uint64_t used;
	struct lab_error err;

	save(busy.fs, "0123456789", &first);
	for (unsigned i = 0; i < 2; i++) {
		OK(env_spawn(env, "write", write_some, &busy, &err));
		OK(env_spawn(env, "look", look_often, &busy, &err));
	}
	while (busy.left > 0)
		env_sleep(env, LAB_MSEC);
	used = world_disk_used(rig->hosts[0].host);
	assert_true(used <= 500 && used > 250);
	OK(fscache_rescan(rig->hosts[0].services.shared, env, LAB_VIEW("/cache"), &scan, &err));
	assert_int_equal(scan.before, used);
	assert_int_equal(scan.after, used);
	fs_deinit(&busy.fs);
}

/* ---- errors ---- */

RIG_TEST(a_full_disk_is_logged_and_no_error_of_the_mail)
{
	struct fs *fs = open_cache(rig, "1M");
	struct saved saved;

	world_disk_limit(rig->hosts[0].host, 10);
	save(fs, "hello", &saved);
	assert_int_equal(rig->counts.events[LAB_EV_log_message], 1);
	assert_reads(rig, fs, &saved, "hello", 1);
	assert_reads(rig, fs, &saved, "hello", 1);
	world_disk_limit(rig->hosts[0].host, 1000000);
	assert_reads(rig, fs, &saved, "hello", 1);
	assert_reads(rig, fs, &saved, "hello", 0);
	fs_deinit(&fs);
}

RIG_TEST(an_error_below_is_told_and_asked_for_once)
{
	struct lab_error err;
	struct lab_view text;
	struct fs *fs = open_cache(rig, "1M");

	FAILS(get(rig, fs, FOLDER "00000000000000000000000000000000", &text, &err), LAB_NOT_FOUND);
	assert_int_equal(rig->counts.lookups, 1);
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(get(rig, fs, FOLDER "00000000000000000000000000000000", &text, &err),
		LAB_UNAVAILABLE);
	assert_int_equal(rig->counts.lookups, 2);
	fs_deinit(&fs);
}

RIG_TEST(a_write_that_failed_is_not_cached)
{
	struct lab_error err;
	struct lab_view *names;
	struct fs *fs = open_cache(rig, "1M");
	char name[33];
	size_t count;

	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(create(fs, FOLDER, "hello", name, &err), LAB_UNAVAILABLE);
	OK(env_list(rig->hosts[0].env, "/cache", 10, rig->arena, &names, &count, &err));
	assert_int_equal(count, 0);
	fs_deinit(&fs);
}

RIG_TEST(objects_without_an_id_pass_by_the_cache)
{
	struct lab_error err;
	struct lab_view text, *names;
	struct fs *fs = rig_open(rig, 0, "fscache:1M:/cache:posix:prefix=/s/", &err);
	size_t count;

	OK(put(fs, "a", "1", &err));
	OK(put(fs, "a", "2", &err));
	OK(get(rig, fs, "a", &text, &err));
	assert_view(text, "2");
	OK(env_list(rig->hosts[0].env, "/cache", 10, rig->arena, &names, &count, &err));
	assert_int_equal(count, 0);
	fs_deinit(&fs);
}

RIG_TEST(the_directory_must_be_absolute_and_not_too_long)
{
	char uri[ENV_PATH_MAX + 100], dir[ENV_PATH_MAX];
	struct lab_error err;

	assert_null(rig_open(rig, 0, "fscache:1M:cache:posix", &err));
	SAYS("fscache: cache is not an absolute path");
	memset(dir, 'd', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	snprintf(uri, sizeof(uri), "fscache:1M:/%s:posix", dir);
	assert_null(rig_open(rig, 0, uri, &err));
	assert_int_equal(err.code, LAB_INVALID);
}

RIG_TEST(what_an_unfinished_write_left_is_removed)
{
	struct lab_error err;
	struct fs *fs = open_cache(rig, "1M");
	struct env_stat st;
	struct saved saved;

	OK(env_file_replace(rig->hosts[0].env, "/cache/x.tmp", LAB_VIEW("x"), false, &err));
	save(fs, "hello", &saved);
	FAILS(env_stat(rig->hosts[0].env, "/cache/x.tmp", &st, &err), LAB_NOT_FOUND);
	fs_deinit(&fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(what_was_written_is_read_from_the_cache),
		RIG_UNIT_TEST(what_was_read_once_is_read_from_the_cache),
		RIG_UNIT_TEST(an_empty_mail_is_cached_too),
		RIG_UNIT_TEST(a_known_object_id_saves_every_request),
		RIG_UNIT_TEST(a_damaged_copy_is_not_there),
		RIG_UNIT_TEST(after_a_crash_a_copy_is_whole_or_a_miss),
		RIG_UNIT_TEST(a_restart_knows_what_is_there),
		RIG_UNIT_TEST(a_machine_that_was_replaced_reads_everything_anew),
		RIG_UNIT_TEST(files_that_somebody_removes_are_misses),
		RIG_UNIT_TEST(the_one_used_longest_ago_goes_first),
		RIG_UNIT_TEST(the_size_holds_over_many_writes_and_counts_what_a_restart_finds),
		RIG_UNIT_TEST(a_mail_larger_than_the_cache_is_alone_in_it),
		RIG_UNIT_TEST(one_directory_is_one_cache_for_all_users),
		RIG_UNIT_TEST(a_full_disk_is_logged_and_no_error_of_the_mail),
		RIG_UNIT_TEST(an_error_below_is_told_and_asked_for_once),
		RIG_UNIT_TEST(a_write_that_failed_is_not_cached),
		RIG_UNIT_TEST(objects_without_an_id_pass_by_the_cache),
		RIG_UNIT_TEST(a_rescan_counts_what_others_did),
		RIG_UNIT_TEST(what_a_rescan_finds_makes_room),
		RIG_UNIT_TEST(a_process_that_has_not_used_it_counts_nothing_before),
		RIG_UNIT_TEST(what_is_no_cache_is_not_rescanned),
		RIG_UNIT_TEST(a_rescan_beside_writers_counts_right),
		RIG_UNIT_TEST(the_directory_must_be_absolute_and_not_too_long),
		RIG_UNIT_TEST(what_an_unfinished_write_left_is_removed),
	};

	return cmocka_run_group_tests_name("fs-fscache", tests, NULL, NULL);
}
