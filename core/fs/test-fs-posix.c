/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver posix on a simulated disk.
 */
#include "core/fs/testing/rig-test.h"

static struct fs *open_posix(struct rig *rig, const char *uri)
{
	struct lab_error err;
	struct fs *fs;

	if (fs_init(lab_view_cstr(uri), &rig->hosts[0].settings, &fs, &err) < 0)
		fail_msg("%s", err.message);
	return fs;
}

static bool is_file(struct rig *rig, const char *path)
{
	struct env_stat st;

	return env_stat(rig->hosts[0].env, path, &st, NULL) == 0;
}

RIG_TEST(a_prefix_is_a_string_and_no_directory)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/p-");
	struct lab_view text;

	OK(put(fs, "a/b", "hello", &err));
	assert_true(is_file(rig, "/data/p-a/b"));
	OK(get(rig, fs, "a/b", &text, &err));
	assert_view(text, "hello");
	fs_deinit(&fs);
	fs = open_posix(rig, "posix");
	OK(get(rig, fs, "/data/p-a/b", &text, &err));
	FAILS(get(rig, fs, "data/p-a/b", &text, &err), LAB_INVALID);
	fs_deinit(&fs);
}

RIG_TEST(what_would_leave_the_prefix_is_refused)
{
	static const struct lab_view bad[] = { LAB_VIEW("../x"), LAB_VIEW("a/../../x"),
		LAB_VIEW("./x"), LAB_VIEW("a\0b") };
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	char path[ENV_PATH_MAX + 1];
	struct fs_file *file;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		file = fs_file_open(fs, bad[i], FS_OPEN_REPLACE);
		FAILS(fs_write(file, LAB_VIEW("x"), &err), LAB_INVALID);
		FAILS(fs_exists(file, &err), LAB_INVALID);
		FAILS(fs_delete(file, &err), LAB_INVALID);
		fs_file_close(&file);
	}
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	FAILS(put(fs, path, "x", &err), LAB_INVALID);
	fs_deinit(&fs);
}

RIG_TEST(each_mode_does_what_it_says)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	char name[33], second[33], path[80];
	struct lab_view text;
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_CREATE);

	FAILS(get(rig, fs, "a", &text, &err), LAB_NOT_FOUND);
	OK(fs_write(file, LAB_VIEW("1"), &err));
	FAILS(fs_write(file, LAB_VIEW("2"), &err), LAB_EXISTS);
	fs_file_close(&file);
	OK(put(fs, "a", "3", &err));
	OK(get(rig, fs, "a", &text, &err));
	assert_view(text, "3");
	OK(create(fs, "dir/", "4", name, &err));
	OK(create(fs, "dir", "5", second, &err));
	assert_int_equal(strlen(name), 32);
	assert_string_not_equal(name, second);
	snprintf(path, sizeof(path), "dir/%s", name);
	OK(get(rig, fs, path, &text, &err));
	assert_view(text, "4");
	fs_deinit(&fs);
}

RIG_TEST(copy_rename_stat_and_delete_work_on_files)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	struct fs_file *a = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_REPLACE);
	struct fs_file *b = fs_file_open(fs, LAB_VIEW("b"), FS_OPEN_REPLACE);
	struct fs_file *c = fs_file_open(fs, LAB_VIEW("c"), FS_OPEN_REPLACE);
	uint64_t size;
	unsigned nlinks;

	FAILS(fs_stat(a, &size, &err), LAB_NOT_FOUND);
	FAILS(fs_copy(a, b, &err), LAB_NOT_FOUND);
	FAILS(fs_rename(a, b, &err), LAB_NOT_FOUND);
	OK(fs_write(a, LAB_VIEW("hello"), &err));
	OK(fs_copy(a, b, &err));
	OK(fs_stat(b, &size, &err));
	assert_int_equal(size, 5);
	OK(fs_rename(b, c, &err));
	assert_int_equal(fs_exists(b, &err), 0);
	assert_int_equal(fs_exists(c, &err), 1);
	FAILS(fs_get_nlinks(c, &nlinks, &err), LAB_UNSUPPORTED);
	OK(fs_delete(c, &err));
	FAILS(fs_delete(c, &err), LAB_NOT_FOUND);
	fs_file_close(&a);
	fs_file_close(&b);
	fs_file_close(&c);
	fs_deinit(&fs);
}

static void list(struct rig *rig, struct fs *fs, uint32_t flags, char out[200])
{
	struct lab_view *names;
	struct lab_error err;
	size_t count, used = 0;

	out[0] = '\0';
	OK(fs_iter(fs, LAB_VIEW("d"), flags, 100, rig->arena, &names, &count, &err));
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(out + used, 200 - used, "%.*s ", LAB_VIEW_ARG(names[i]));
}

RIG_TEST(a_listing_has_files_or_directories_and_nothing_unfinished)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	struct lab_view *names;
	char text[200];
	size_t count;

	list(rig, fs, 0, text);
	assert_string_equal(text, "");
	OK(put(fs, "d/b", "1", &err));
	OK(put(fs, "d/a", "1", &err));
	OK(put(fs, "d/sub/c", "1", &err));
	OK(env_file_replace(rig->hosts[0].env, "/data/d/left.tmp", LAB_VIEW("x"), false, &err));
	list(rig, fs, 0, text);
	assert_string_equal(text, "a b ");
	list(rig, fs, FS_ITER_DIRS, text);
	assert_string_equal(text, "sub ");
	list(rig, fs, FS_ITER_OBJECTIDS, text);
	assert_string_equal(text, "/a /b ");
	FAILS(fs_iter(fs, LAB_VIEW("d/"), 0, 1, rig->arena, &names, &count, &err), LAB_LIMIT);
	fs_deinit(&fs);
}

RIG_TEST(metadata_is_kept_for_the_open_file_only)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_REPLACE);
	struct lab_view value;

	fs_set_reason(fs, "why");
	fs_set_metadata(file, "k", LAB_VIEW("v"));
	OK(fs_write(file, LAB_VIEW("x"), &err));
	assert_int_equal(fs_get_metadata(file, "k", rig->arena, &value, &err), 1);
	fs_file_close(&file);
	file = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_READONLY);
	assert_int_equal(fs_get_metadata(file, "k", rig->arena, &value, &err), 0);
	fs_file_close(&file);
	assert_int_equal(fs_get_properties(fs) & FS_PROPERTY_METADATA, 0);
	fs_deinit(&fs);
}

/* ---- a crash of the machine ---- */

static void write_and_tell(void *arg)
{
	struct rig *rig = arg;
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");

	for (unsigned i = 0; i < 20; i++) {
		char path[20];

		snprintf(path, sizeof(path), "d%u/mail", i);
		OK(put(fs, path, "hello", &err));
	}
	fs_deinit(&fs);
}

static void assert_all_there(void *arg)
{
	struct rig *rig = arg;
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	struct lab_view text;

	for (unsigned i = 0; i < 20; i++) {
		char path[20];

		snprintf(path, sizeof(path), "d%u/mail", i);
		OK(get(rig, fs, path, &text, &err));
		assert_view(text, "hello");
	}
	fs_deinit(&fs);
}

static void what_was_written_survives_a_crash_of_the_machine(void **state)
{
	struct rig *rig = *state;

	rig_run(rig, 0, write_and_tell, rig);
	world_crash(rig->hosts[0].host, FAULT_DISK_LOSE_UNSYNCED);
	rig_run(rig, 0, assert_all_there, rig);
}

RIG_TEST(a_full_disk_is_told_and_leaves_nothing)
{
	struct lab_error err;
	struct fs *fs = open_posix(rig, "posix:prefix=/data/");
	struct lab_view *names;
	size_t count;

	world_disk_limit(rig->hosts[0].host, 3);
	FAILS(put(fs, "d/mail", "hello", &err), LAB_NO_SPACE);
	OK(env_list(rig->hosts[0].env, "/data/d", 10, rig->arena, &names, &count, &err));
	assert_int_equal(count, 0);
	fs_deinit(&fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_prefix_is_a_string_and_no_directory),
		RIG_UNIT_TEST(what_would_leave_the_prefix_is_refused),
		RIG_UNIT_TEST(each_mode_does_what_it_says),
		RIG_UNIT_TEST(copy_rename_stat_and_delete_work_on_files),
		RIG_UNIT_TEST(a_listing_has_files_or_directories_and_nothing_unfinished),
		RIG_UNIT_TEST(metadata_is_kept_for_the_open_file_only),
		RIG_UNIT_TEST(what_was_written_survives_a_crash_of_the_machine),
		RIG_UNIT_TEST(a_full_disk_is_told_and_leaves_nothing),
	};

	return cmocka_run_group_tests_name("fs-posix", tests, NULL, NULL);
}
