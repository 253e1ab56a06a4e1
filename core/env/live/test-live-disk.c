/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct lab_error err;

static struct env_file *open_ok(struct bed *bed, const char *path, enum env_open_mode mode)
{
	struct env_file *file;

	if (env_file_open(bed->env, path, mode, &file, &err) < 0)
		fail_msg("%s", err.message);
	return file;
}

static void open_fails(
	struct bed *bed, const char *path, enum env_open_mode mode, enum lab_code code)
{
	struct env_file *file;

	if (env_file_open(bed->env, path, mode, &file, &err) != -1 || err.code != code)
		fail_msg("%s: %s", path, err.message);
}

static void read_write_body(struct bed *bed)
{
	struct env_file *file = open_ok(bed, "/a/b/c", ENV_OPEN_CREATE);
	char text[32] = "";
	size_t n;

	assert_int_equal(env_file_size(file), 0);
	assert_int_equal(env_file_write(file, 0, LAB_VIEW("hello"), &err), 0);
	assert_int_equal(env_file_write(file, 10, LAB_VIEW("world"), &err), 0);
	assert_int_equal(env_file_size(file), 15);
	assert_int_equal(env_file_read(file, 0, text, sizeof(text), &n, &err), 0);
	assert_int_equal(n, 15);
	assert_memory_equal(text, "hello\0\0\0\0\0world", 15);
	assert_int_equal(env_file_read(file, 15, text, sizeof(text), &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(env_file_truncate(file, 3, &err), 0);
	assert_int_equal(env_file_size(file), 3);
	assert_int_equal(env_file_sync(file, &err), 0);
	assert_int_equal(env_file_sync(file, &err), 0);
	env_file_close(&file);
	assert_null(file);
	env_file_close(&file);

	open_fails(bed, "/a/b/c", ENV_OPEN_CREATE, LAB_EXISTS);
	open_fails(bed, "/a/b/d", ENV_OPEN_READ, LAB_NOT_FOUND);
	open_fails(bed, "/x/b/d", ENV_OPEN_READ, LAB_NOT_FOUND);
	open_fails(bed, "/a/b", ENV_OPEN_READ, LAB_IO);
	file = open_ok(bed, "/a/b/c", ENV_OPEN_READ);
	assert_int_equal(env_file_write(file, 0, LAB_VIEW("x"), &err), -1);
	assert_int_equal(err.code, LAB_IO);
	assert_int_equal(env_file_truncate(file, 0, &err), -1);
	env_file_close(&file);
	file = open_ok(bed, "/a/b/c", ENV_OPEN_WRITE);
	assert_int_equal(env_file_size(file), 3);
	env_file_close(&file);
	file = open_ok(bed, "/a/b/c", ENV_OPEN_TRUNCATE);
	assert_int_equal(env_file_size(file), 0);
	env_file_close(&file);
	file = open_ok(bed, "/new", ENV_OPEN_WRITE);
	env_file_close(&file);
}

static void files_are_written_and_read_at_offsets(void **state)
{
	(void)state;
	bed_run_once(read_write_body);
}

static void names_body(struct bed *bed)
{
	struct env_file *file = open_ok(bed, "/d/one", ENV_OPEN_WRITE);
	struct env_stat st;

	assert_int_equal(env_file_write(file, 0, LAB_VIEW("abc"), &err), 0);
	env_file_close(&file);
	assert_int_equal(env_stat(bed->env, "/d/one", &st, &err), 0);
	assert_int_equal(st.size, 3);
	assert_false(st.is_directory);
	assert_in_range(env_wall_seconds(bed->env) - st.mtime, 0, 60);
	assert_int_equal(env_stat(bed->env, "/d", &st, &err), 0);
	assert_true(st.is_directory);
	assert_int_equal(env_stat(bed->env, "/", &st, &err), 0);
	assert_true(st.is_directory);
	assert_int_equal(env_stat(bed->env, "/no", &st, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);

	file = open_ok(bed, "/e/f/two", ENV_OPEN_WRITE);
	env_file_close(&file);
	assert_int_equal(env_rename(bed->env, "/d/one", "/e/f/two", &err), 0);
	assert_int_equal(env_stat(bed->env, "/e/f/two", &st, &err), 0);
	assert_int_equal(st.size, 3);
	assert_int_equal(env_rename(bed->env, "/e/f/two", "/g/h/three", &err), 0);
	assert_int_equal(env_rename(bed->env, "/g/h/three", "/g/h/four", &err), 0);
	assert_int_equal(env_rename(bed->env, "/nothing", "/i/j", &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_int_equal(env_stat(bed->env, "/i", &st, &err), -1);

	assert_int_equal(env_unlink(bed->env, "/g/h", &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	assert_int_equal(env_unlink(bed->env, "/g/h/four", &err), 0);
	assert_int_equal(env_unlink(bed->env, "/g/h/four", &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_int_equal(env_unlink(bed->env, "/g/h", &err), 0);
	assert_int_equal(env_stat(bed->env, "/g/h", &st, &err), -1);
}

static void names_are_renamed_and_removed(void **state)
{
	(void)state;
	bed_run_once(names_body);
}

static void list_body(struct bed *bed)
{
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct lab_view *names;
	char path[64];
	size_t count;

	for (unsigned i = 0; i < 150; i++) {
		struct env_file *file;

		(void)snprintf(path, sizeof(path), "/dir/n%u", i * 7919 % 1000);
		file = open_ok(bed, path, ENV_OPEN_CREATE);
		env_file_close(&file);
	}
	assert_int_equal(env_list(bed->env, "/dir", 150, arena, &names, &count, &err), 0);
	assert_int_equal(count, 150);
	for (size_t i = 1; i < count; i++)
		assert_true(lab_view_cmp(names[i - 1], names[i]) < 0);
	assert_int_equal(env_list(bed->env, "/dir", 149, arena, &names, &count, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(env_list(bed->env, "/none", 9, arena, &names, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(env_list(bed->env, "/none/deeper", 9, arena, &names, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(env_list(bed->env, "/", 9, arena, &names, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_true(lab_view_eq_cstr(names[0], "dir"));
	assert_int_equal(env_list(bed->env, "/dir/n0", 9, arena, &names, &count, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
}

static void listings_are_sorted_and_limited(void **state)
{
	(void)state;
	bed_run_once(list_body);
}

static void replace_body(struct bed *bed)
{
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct lab_view data;
	struct env_stat st;

	assert_int_equal(env_file_replace(bed->env, "/p/q", LAB_VIEW("one"), true, &err), 0);
	assert_int_equal(env_file_replace(bed->env, "/p/q", LAB_VIEW("two!"), false, &err), 0);
	assert_int_equal(env_file_load(bed->env, "/p/q", 100, arena, &data, &err), 0);
	assert_true(lab_view_eq_cstr(data, "two!"));
	assert_int_equal(env_stat(bed->env, "/p/q.tmp", &st, &err), -1);
}

static void files_are_replaced_whole(void **state)
{
	(void)state;
	bed_run_once(replace_body);
}

static void escape_body(struct bed *bed)
{
	char outside[128];
	struct env_stat st;
	struct lab_view *names;
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	size_t count;

	/* Links in the root, to a directory and to a file outside of it. */
	(void)snprintf(outside, sizeof(outside), "%s/link", bed->root);
	assert_int_equal(symlink("/etc", outside), 0);
	(void)snprintf(outside, sizeof(outside), "%s/file", bed->root);
	assert_int_equal(symlink("/etc/passwd", outside), 0);

	open_fails(bed, "/link/passwd", ENV_OPEN_READ, LAB_NOT_FOUND);
	open_fails(bed, "/link/new-file", ENV_OPEN_CREATE, LAB_NOT_FOUND);
	open_fails(bed, "/file", ENV_OPEN_READ, LAB_DENIED);
	open_fails(bed, "/file", ENV_OPEN_WRITE, LAB_DENIED);
	open_fails(bed, "/../../etc/passwd", ENV_OPEN_READ, LAB_INVALID);
	open_fails(bed, "relative", ENV_OPEN_READ, LAB_INVALID);
	assert_int_equal(env_stat(bed->env, "/link/passwd", &st, &err), -1);
	assert_int_equal(env_unlink(bed->env, "/link/passwd", &err), -1);
	assert_int_equal(env_rename(bed->env, "/link/passwd", "/x", &err), -1);
	assert_int_equal(env_list(bed->env, "/link", 1000, arena, &names, &count, &err), -1);
	/* The link itself is a name like others. */
	assert_int_equal(env_unlink(bed->env, "/link", &err), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void no_path_leads_out_of_the_root(void **state)
{
	(void)state;
	bed_run_once(escape_body);
}

static void special_body(struct bed *bed)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/pipe", bed->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	open_fails(bed, "/pipe", ENV_OPEN_READ, LAB_IO);
	open_fails(bed, "/pipe", ENV_OPEN_WRITE, LAB_IO);
}

static void what_is_not_a_file_is_not_opened(void **state)
{
	(void)state;
	bed_run_once(special_body);
}

struct beside {
	struct bed *bed;
	bool synced, ran;
};

static void sync_beside(void *arg)
{
	struct beside *beside = arg;
	struct env_file *file = open_ok(beside->bed, "/synced", ENV_OPEN_CREATE);

	assert_int_equal(env_file_write(file, 0, LAB_VIEW("x"), &err), 0);
	assert_int_equal(env_file_sync(file, &err), 0);
	env_file_close(&file);
	beside->synced = true;
}

static void sync_body(struct bed *bed)
{
	struct beside beside = { .bed = bed };

	assert_int_equal(env_spawn(bed->env, "sync", sync_beside, &beside, NULL), 0);
	env_sleep(bed->env, 0);
	/* The other is in its sync, and we are not. */
	assert_false(beside.synced);
	while (!beside.synced)
		env_sleep(bed->env, LAB_MSEC);
}

static void a_sync_blocks_only_its_fiber(void **state)
{
	(void)state;
	bed_run_once(sync_body);
}

static void crash_main(struct env *env, void *arg)
{
	struct beside *beside = arg;
	struct env_file *file = open_ok(beside->bed, "/kept", ENV_OPEN_CREATE);

	assert_int_equal(env_file_write(file, 0, LAB_VIEW("kept"), &err), 0);
	assert_int_equal(env_spawn(env, "sync", sync_beside, beside, NULL), 0);
	env_sleep(env, 0);
	live_crash(beside->bed->host);
}

static void after_body(struct bed *bed)
{
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct lab_view data;

	assert_int_equal(env_file_load(bed->env, "/kept", 100, arena, &data, &err), 0);
	assert_true(lab_view_eq_cstr(data, "kept"));
}

static void a_crash_keeps_the_files(void **state)
{
	struct beside beside = { 0 };
	struct bed bed;

	(void)state;
	bed_open(&bed);
	beside.bed = &bed;
	assert_int_equal(live_start(bed.host, "main", crash_main, &beside, NULL), 0);
	assert_int_equal(live_run(bed.live, 20 * LAB_SEC, NULL, NULL), 0);
	assert_false(beside.synced);
	bed_run(&bed, after_body);
	bed_close(&bed);
}

static void syncs_can_be_switched_off(void **state)
{
	const struct live_settings settings = { .no_sync = true };
	const struct live_host_settings host = { .hostname = "b1" };
	struct bed bed;

	(void)state;
	bed_open_with(&bed, &settings, &host);
	bed_run(&bed, replace_body);
	bed_close(&bed);
}

static void full_body(struct bed *bed)
{
	struct env_file *file = open_ok(bed, "/full", ENV_OPEN_CREATE);

	/* Beyond what any file may have: refused by the system at once. */
	assert_int_equal(env_file_write(file, INT64_MAX - 1, LAB_VIEW("xyz"), &err), -1);
	assert_true(err.code == LAB_NO_SPACE || err.code == LAB_IO);
	env_file_close(&file);
}

static void a_write_that_does_not_fit_fails(void **state)
{
	(void)state;
	bed_run_once(full_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_written_and_read_at_offsets),
		cmocka_unit_test(names_are_renamed_and_removed),
		cmocka_unit_test(listings_are_sorted_and_limited),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(no_path_leads_out_of_the_root),
		cmocka_unit_test(what_is_not_a_file_is_not_opened),
		cmocka_unit_test(a_sync_blocks_only_its_fiber),
		cmocka_unit_test(a_crash_keeps_the_files),
		cmocka_unit_test(syncs_can_be_switched_off),
		cmocka_unit_test(a_write_that_does_not_fit_fails),
	};

	return cmocka_run_group_tests_name("live-disk", tests, NULL, NULL);
}
