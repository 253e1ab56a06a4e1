/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

static int finished;

static int setup(void **state)
{
	finished = 0;
	return test_setup(state);
}

static void put(struct test_world *test, const char *path, const char *text, bool sync)
{
	struct env_file *file;

	assert_int_equal(env_file_open(test->env, path, ENV_OPEN_TRUNCATE, &file, NULL), 0);
	assert_int_equal(env_file_write(file, 0, lab_view_cstr(text), NULL), 0);
	if (sync)
		assert_int_equal(env_file_sync(file, NULL), 0);
	env_file_close(&file);
}

/* The file's contents, or "-" if it is not there. */
static const char *get(struct test_world *test, const char *path)
{
	struct lab_arena *arena = test_arena(test);
	struct lab_view data;
	struct lab_error err;

	if (env_file_load(test->env, path, 1 << 20, arena, &data, &err) < 0) {
		assert_int_equal(err.code, LAB_NOT_FOUND);
		return "-";
	}
	return lab_arena_cstr(arena, data);
}

static void expect_list(struct test_world *test, const char *path, const char *expected)
{
	struct lab_arena *arena = test_arena(test);
	struct lab_buf text;
	struct lab_view *names;
	size_t count;

	lab_buf_init(&text, test->env->heap, 1000);
	assert_int_equal(env_list(test->env, path, 100, arena, &names, &count, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		lab_buf_append_view(&text, names[i]);
		lab_buf_append_byte(&text, ' ');
	}
	assert_string_equal(lab_buf_cstr(&text), expected);
	lab_buf_done(&text);
	lab_arena_free(&arena);
}

static void expect_error(enum lab_code expected, int result, const struct lab_error *err)
{
	assert_int_equal(result, -1);
	if (err->code != expected)
		fail_msg("%s instead of %s: %s", lab_code_name(err->code), lab_code_name(expected),
			err->message);
}

static void remake(struct test_world *test, uint64_t seed, const struct world_host_settings *more)
{
	struct world_settings settings = test_settings(test);
	struct world_host_settings host = *more;

	world_free(&test->world);
	settings.seed = seed;
	test->world = world_new(&settings);
	host.name = "b1";
	test->b1 = world_host_new(test->world, &host);
	test->env = world_env(test->b1);
}

/* ---- files ---- */

static void use_files(void *arg)
{
	struct test_world *test = arg;
	struct env *env = test->env;
	struct env_file *file;
	struct env_stat stat;
	struct lab_error err;
	char bytes[16];
	size_t n;

	expect_error(LAB_NOT_FOUND, env_file_open(env, "/a/b", ENV_OPEN_READ, &file, &err), &err);
	put(test, "/a/b", "hello world", false);
	expect_error(LAB_EXISTS, env_file_open(env, "/a/b", ENV_OPEN_CREATE, &file, &err), &err);
	assert_int_equal(env_file_open(env, "/a/b", ENV_OPEN_WRITE, &file, NULL), 0);
	assert_int_equal(env_file_read(file, 6, bytes, 16, &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(bytes, "world", 5);
	assert_int_equal(env_file_read(file, 11, bytes, 16, &n, NULL), 0);
	assert_int_equal(n, 0);
	/* A hole is zero. */
	assert_int_equal(env_file_write(file, 13, LAB_VIEW("!"), NULL), 0);
	assert_int_equal(env_file_size(file), 14);
	assert_int_equal(env_file_read(file, 10, bytes, 4, &n, NULL), 0);
	assert_memory_equal(bytes, "d\0\0!", 4);
	/* So is what comes back after a truncation. */
	assert_int_equal(env_file_truncate(file, 1, NULL), 0);
	assert_int_equal(env_file_truncate(file, 3, NULL), 0);
	assert_int_equal(env_file_read(file, 0, bytes, 4, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(bytes, "h\0\0", 3);
	env_file_close(&file);
	assert_int_equal(world_disk_used(test->b1), 3);

	assert_int_equal(env_stat(env, "/a/b", &stat, NULL), 0);
	assert_int_equal(stat.size, 3);
	assert_int_equal(stat.mtime, 1704067200);
	assert_false(stat.is_directory);
	assert_int_equal(env_stat(env, "/a", &stat, NULL), 0);
	assert_true(stat.is_directory);
	assert_int_equal(env_stat(env, "/", &stat, NULL), 0);
	assert_true(stat.is_directory);
	expect_error(LAB_NOT_FOUND, env_stat(env, "/b", &stat, &err), &err);

	assert_int_equal(env_file_open(env, "/a/b", ENV_OPEN_READ, &file, NULL), 0);
	expect_error(LAB_INVALID, env_file_write(file, 0, LAB_VIEW("x"), &err), &err);
	expect_error(LAB_INVALID, env_file_truncate(file, 0, &err), &err);
	env_file_close(&file);
	expect_error(LAB_IO, env_file_open(env, "/a", ENV_OPEN_READ, &file, &err), &err);
	expect_error(LAB_IO, env_file_open(env, "/", ENV_OPEN_WRITE, &file, &err), &err);
	expect_error(LAB_EXISTS, env_file_open(env, "/a/b/c", ENV_OPEN_WRITE, &file, &err), &err);
	finished++;
}

static void files_are_read_written_and_truncated(void **state)
{
	test_on_b1(*state, use_files);

	assert_int_equal(finished, 1);
}

static void use_names(void *arg)
{
	struct test_world *test = arg;
	struct env *env = test->env;
	struct lab_arena *arena = test_arena(test);
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	put(test, "/d/a/x", "1", false);
	put(test, "/d/a/y/z", "2", false);
	put(test, "/d/a!", "3", false);
	put(test, "/d/a0", "4", false);
	put(test, "/d/b", "5", false);
	put(test, "/e", "6", false);
	expect_list(test, "/", "d e ");
	expect_list(test, "/d", "a a! a0 b ");
	expect_list(test, "/d/a", "x y ");
	expect_list(test, "/nothing", "");
	expect_error(LAB_LIMIT, env_list(env, "/d", 3, arena, &names, &count, &err), &err);

	expect_error(LAB_EXISTS, env_unlink(env, "/d/a", &err), &err);
	expect_error(LAB_NOT_FOUND, env_unlink(env, "/d/c", &err), &err);
	/* A directory moves with everything in it. */
	assert_int_equal(env_rename(env, "/d/a", "/m/n", NULL), 0);
	assert_string_equal(get(test, "/m/n/y/z"), "2");
	expect_list(test, "/m/n", "x y ");
	expect_list(test, "/d", "a! a0 b ");
	/* A file replaces a file. */
	assert_int_equal(env_rename(env, "/d/b", "/e", NULL), 0);
	assert_string_equal(get(test, "/e"), "5");
	assert_int_equal(world_disk_used(test->b1), 5);
	assert_int_equal(env_rename(env, "/e", "/e", NULL), 0);
	expect_error(LAB_NOT_FOUND, env_rename(env, "/no", "/e", &err), &err);
	expect_error(LAB_EXISTS, env_rename(env, "/e", "/d", &err), &err);
	expect_error(LAB_EXISTS, env_rename(env, "/d", "/e", &err), &err);
	expect_error(LAB_EXISTS, env_rename(env, "/d", "/m", &err), &err);
	expect_error(LAB_INVALID, env_rename(env, "/m", "/m/n/q", &err), &err);
	expect_error(LAB_INVALID, env_rename(env, "/m", "/", &err), &err);

	assert_int_equal(env_unlink(env, "/m/n/y/z", NULL), 0);
	assert_int_equal(env_unlink(env, "/m/n/y", NULL), 0);
	expect_list(test, "/m/n", "x ");
	finished++;
}

static void names_are_listed_moved_and_removed(void **state)
{
	test_on_b1(*state, use_names);

	assert_int_equal(finished, 1);
}

static void use_unlinked(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;
	char bytes[4];
	size_t n;

	put(test, "/f", "open", true);
	assert_int_equal(env_file_open(test->env, "/f", ENV_OPEN_WRITE, &file, NULL), 0);
	assert_int_equal(env_unlink(test->env, "/f", NULL), 0);
	assert_int_equal(env_file_read(file, 0, bytes, 4, &n, NULL), 0);
	assert_memory_equal(bytes, "open", 4);
	assert_int_equal(env_file_write(file, 4, LAB_VIEW("ed"), NULL), 0);
	env_file_close(&file);
	finished++;
}

static void an_open_file_outlives_its_name(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, use_unlinked);

	assert_int_equal(finished, 1);
}

/* Without a journal nothing but the handles holds them. */
static void use_many_unlinked(void *arg)
{
	static const char *const paths[] = { "/a", "/b", "/c", "/d" };
	struct test_world *test = arg;
	struct env_file *files[4];

	for (size_t i = 0; i < 4; i++) {
		put(test, paths[i], "contents", false);
		assert_int_equal(
			env_file_open(test->env, paths[i], ENV_OPEN_WRITE, &files[i], NULL), 0);
		assert_int_equal(env_unlink(test->env, paths[i], NULL), 0);
	}
	assert_int_equal(world_disk_used(test->b1), 0);
	env_file_close(&files[1]);
	env_file_close(&files[0]);
	assert_int_equal(env_file_size(files[2]), 8);
	put(test, "/old", "old", false);
	put(test, "/new", "new", false);
	assert_int_equal(env_rename(test->env, "/new", "/old", NULL), 0);
	finished++;
	/* The other two are open in the crash. */
	world_crash(test->b1, FAULT_DISK_KEEP);
}

static void look_for_old(void *arg)
{
	assert_string_equal(get(arg, "/old"), "new");
	expect_list(arg, "/", "old ");
	finished++;
}

static void unlinked_files_end_with_their_handles_or_the_host(void **state)
{
	struct test_world *test = *state;

	remake(test, 1, &(struct world_host_settings){ .disk_unsynced_is_kept = true });
	test_on_b1(test, use_many_unlinked);
	world_start(test->b1, look_for_old, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(finished, 2);
}

static void sync_often(void *arg)
{
	struct test_world *test = arg;
	uint64_t started = env_now(test->env);

	for (int i = 0; i < 100; i++)
		put(test, "/f", "x", true);
	assert_in_range(env_now(test->env) - started, 150 * LAB_MSEC, 800 * LAB_MSEC);
	finished++;
}

static void syncs_take_a_drawn_time(void **state)
{
	struct test_world *test = *state;

	remake(test, 1, &(struct world_host_settings){ .disk_sync = { LAB_MSEC, 10 * LAB_MSEC } });
	test_on_b1(test, sync_often);

	assert_int_equal(finished, 1);
}

static void use_up_space(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;
	struct lab_error err;

	world_disk_limit(test->b1, 10);
	put(test, "/f", "123456", false);
	assert_int_equal(env_file_open(test->env, "/f", ENV_OPEN_WRITE, &file, NULL), 0);
	assert_int_equal(env_file_write(file, 0, LAB_VIEW("overwriting"), &err), -1);
	assert_int_equal(err.code, LAB_NO_SPACE);
	/* What fitted is there. */
	assert_string_equal(get(test, "/f"), "overwritin");
	expect_error(LAB_NO_SPACE, env_file_truncate(file, 11, &err), &err);
	expect_error(LAB_NO_SPACE, env_file_write(file, UINT64_MAX, LAB_VIEW("x"), &err), &err);
	/* It can be changed in place. */
	assert_int_equal(env_file_write(file, 8, LAB_VIEW("te"), NULL), 0);
	env_file_close(&file);
	assert_int_equal(env_file_replace(test->env, "/f", LAB_VIEW("0123456789"), true, &err), -1);
	assert_int_equal(err.code, LAB_NO_SPACE);
	expect_list(test, "/", "f ");
	assert_string_equal(get(test, "/f"), "overwritte");
	finished++;
}

static void a_disk_fills_up(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, use_up_space);

	assert_int_equal(finished, 1);
	assert_int_equal(world_disk_used(test->b1), 10);
}

/* ---- crashes ---- */

static enum fault_disk crash_mode;

static void reboot_with(struct test_world *test, env_fiber_fn before, env_fiber_fn after)
{
	world_start(test->b1, before, test);
	test_run(test, ENV_FOREVER);
	world_crash(test->b1, crash_mode);
	world_start(test->b1, after, test);
	test_run(test, ENV_FOREVER);
}

static void write_three(void *arg)
{
	struct test_world *test = arg;

	put(test, "/synced", "synced", true);
	put(test, "/dir/unsynced", "unsynced", false);
	assert_int_equal(env_file_replace(test->env, "/replaced", LAB_VIEW("new"), true, NULL), 0);
}

static void find_all(void *arg)
{
	struct test_world *test = arg;

	assert_string_equal(get(test, "/synced"), "synced");
	assert_string_equal(get(test, "/dir/unsynced"), "unsynced");
	assert_string_equal(get(test, "/replaced"), "new");
	finished++;
}

static void find_nothing(void *arg)
{
	expect_list(arg, "/", "");
	assert_int_equal(world_disk_used(((struct test_world *)arg)->b1), 0);
	finished++;
}

static void a_process_crash_keeps_the_disk_and_a_wipe_empties_it(void **state)
{
	struct test_world *test = *state;

	crash_mode = FAULT_DISK_KEEP;
	reboot_with(test, write_three, find_all);
	crash_mode = FAULT_DISK_WIPE;
	world_crash(test->b1, crash_mode);
	world_start(test->b1, find_nothing, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(finished, 2);
}

/* What was synced is there after every crash; what was not is there, gone, or torn. */
static unsigned kept, gone, torn;

static void look_after_crash(void *arg)
{
	struct test_world *test = arg;
	const char *unsynced = get(test, "/dir/unsynced");

	assert_string_equal(get(test, "/synced"), "synced");
	if (strcmp(unsynced, "unsynced") == 0)
		kept++;
	else if (strcmp(unsynced, "-") == 0 || *unsynced == '\0')
		gone++;
	else if (strncmp(unsynced, "unsynced", strlen(unsynced)) == 0)
		torn++;
	else
		fail_msg("neither kept nor torn: %s", unsynced);
	finished++;
}

static void unsynced_writes_are_kept_dropped_or_torn(void **state)
{
	struct test_world *test = *state;

	kept = gone = torn = 0;
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		remake(test, seed, &(struct world_host_settings){ 0 });
		reboot_with(test, write_three, look_after_crash);
	}

	assert_int_equal(finished, 300);
	assert_true(kept > 50 && gone > 50 && torn > 20);
}

/* A replacement that was synced shows the old or the new contents, whole. */
static void replace_again(void *arg)
{
	struct test_world *test = arg;

	assert_int_equal(env_file_replace(test->env, "/r", LAB_VIEW("old"), true, NULL), 0);
	put(test, "/later", "", true);
	assert_int_equal(env_file_replace(test->env, "/r", LAB_VIEW("newer"), true, NULL), 0);
}

static void look_at_replaced(void *arg)
{
	struct test_world *test = arg;
	const char *text = get(test, "/r");

	if (strcmp(text, "newer") == 0)
		kept++;
	else if (strcmp(text, "old") == 0)
		gone++;
	else
		fail_msg("torn: %s", text);
	finished++;
}

static void a_synced_replacement_is_old_or_new_and_never_torn(void **state)
{
	struct test_world *test = *state;

	kept = gone = 0;
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		remake(test, seed, &(struct world_host_settings){ 0 });
		reboot_with(test, replace_again, look_at_replaced);
	}

	assert_int_equal(finished, 200);
	assert_true(kept > 30 && gone > 30);
}

/* Names change in order: if a later change is there, so are all earlier ones. */
static void change_names(void *arg)
{
	struct test_world *test = arg;

	put(test, "/0", "", true);
	put(test, "/1", "", false);
	assert_int_equal(env_rename(test->env, "/0", "/2", NULL), 0);
	assert_int_equal(env_unlink(test->env, "/1", NULL), 0);
	put(test, "/d/3", "", false);
	assert_int_equal(env_rename(test->env, "/2", "/d/3", NULL), 0);
}

static void look_at_names(void *arg)
{
	static const char *const allowed[] = { "0 ", "0 1 ", "1 2 ", "2 ", "2 d ", "d " };
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct lab_buf text;
	struct lab_view *names;
	size_t count, i;

	assert_int_equal(env_list(test->env, "/", 100, arena, &names, &count, NULL), 0);
	lab_buf_init(&text, test->env->heap, 1000);
	for (i = 0; i < count; i++)
		lab_buf_printf(&text, "%.*s ", LAB_VIEW_ARG(names[i]));
	for (i = 0; i < LAB_COUNT_OF(allowed); i++) {
		if (strcmp(lab_buf_cstr(&text), allowed[i]) == 0)
			break;
	}
	if (i == LAB_COUNT_OF(allowed))
		fail_msg("not a prefix of what was done: %s", lab_buf_cstr(&text));
	kept |= 1U << i;
	finished++;
}

static void names_survive_in_order(void **state)
{
	struct test_world *test = *state;

	kept = 0;
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		remake(test, seed, &(struct world_host_settings){ 0 });
		reboot_with(test, change_names, look_at_names);
	}

	assert_int_equal(finished, 200);
	/* Each prefix was seen. */
	assert_int_equal(kept, (1 << 6) - 1);
}

/* Random operations, random syncs: after the crash every byte of the file was written there once,
 * or is a hole; and what was synced last is there if nothing was written later. */
static void scribble(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;

	put(test, "/s", "aaaaaaaaaaaaaaaaaaaa", true);
	assert_int_equal(env_file_open(test->env, "/s", ENV_OPEN_WRITE, &file, NULL), 0);
	for (uint64_t i = 0; i < 30; i++) {
		uint64_t draw = env_draw(test->env, "scribble", i);
		size_t len = (size_t)lab_pick(draw, 8) + 1;

		if (lab_chance(lab_mix64(draw), 150000))
			assert_int_equal(env_file_truncate(file, lab_pick(draw, 30), NULL), 0);
		assert_int_equal(env_file_write(file, lab_pick(lab_mix64(draw + 1), 20),
					 lab_view_of("bcdefghi", len), NULL),
			0);
	}
	if (finished % 2 == 0)
		assert_int_equal(env_file_sync(file, NULL), 0);
	memset(test->err.message, 0, 40);
	memcpy(test->err.message, get(test, "/s"), (size_t)env_file_size(file));
	test->err.status = (uint16_t)env_file_size(file);
	env_file_close(&file);
}

static void look_at_scribble(void *arg)
{
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct lab_view data;

	assert_int_equal(env_file_load(test->env, "/s", 100, arena, &data, NULL), 0);
	if (finished % 2 == 0) {
		assert_int_equal(data.len, test->err.status);
		assert_memory_equal(data.ptr, test->err.message, data.len);
	} else if (data.len != test->err.status ||
		   memcmp(data.ptr, test->err.message, data.len) != 0) {
		kept++;
	}
	for (size_t i = 0; i < data.len; i++)
		assert_true(data.ptr[i] == 0 || (data.ptr[i] >= 'a' && data.ptr[i] <= 'i'));
	finished++;
}

static void a_sync_protects_every_earlier_write(void **state)
{
	struct test_world *test = *state;

	kept = 0;
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		remake(test, seed, &(struct world_host_settings){ 0 });
		reboot_with(test, scribble, look_at_scribble);
	}

	assert_int_equal(finished, 200);
	assert_true(kept > 90);
}

static void write_and_wait(void *arg)
{
	write_three(arg);
	env_sleep(((struct test_world *)arg)->env, 31 * LAB_SEC);
}

static void what_is_old_enough_was_written_back(void **state)
{
	struct test_world *test = *state;

	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		remake(test, seed, &(struct world_host_settings){ 0 });
		reboot_with(test, write_and_wait, find_all);
	}

	assert_int_equal(finished, 20);
}

static void without_tracking_everything_is_kept(void **state)
{
	struct test_world *test = *state;

	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		remake(test, seed, &(struct world_host_settings){ .disk_unsynced_is_kept = true });
		reboot_with(test, write_three, find_all);
	}

	assert_int_equal(finished, 20);
}

static void crash_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_crash(test->b1, FAULT_DISK_LOSE_UNSYNCED);
}

static void sync_slowly(void *arg)
{
	struct test_world *test = arg;
	uint64_t started = env_now(test->env);

	put(test, "/slow", "slow", true);
	assert_int_equal(env_now(test->env) - started, 20 * LAB_MSEC);
	finished++;
}

static void a_crash_during_a_sync_is_before_it(void **state)
{
	struct test_world *test = *state;
	struct world_host_settings slow = { .disk_sync = { 20 * LAB_MSEC, 20 * LAB_MSEC } };
	unsigned lost = 0;

	remake(test, 1, &slow);
	test_on_b1(test, sync_slowly);
	assert_int_equal(finished, 1);
	for (uint64_t seed = 1; seed <= 50; seed++) {
		remake(test, seed, &slow);
		world_at(test->world, 19 * LAB_MSEC, crash_b1, test);
		world_start(test->b1, sync_slowly, test);
		test_run(test, ENV_FOREVER);
		world_start(test->b1, sync_slowly, test);
		lost += world_counters(test->world).lost_writes > 0;
	}

	assert_int_equal(finished, 1);
	assert_true(lost > 10);
}

/* A write while the disk works is not covered by that sync. */
static struct env_file *syncing;

static void write_meanwhile(void *arg)
{
	struct test_world *test = arg;

	env_sleep(test->env, 10 * LAB_MSEC);
	assert_int_equal(env_file_write(syncing, 5, LAB_VIEW("late"), NULL), 0);
}

static void sync_meanwhile(void *arg)
{
	struct test_world *test = arg;

	assert_int_equal(env_file_open(test->env, "/f", ENV_OPEN_WRITE, &syncing, NULL), 0);
	assert_int_equal(env_spawn(test->env, "write", write_meanwhile, test, NULL), 0);
	assert_int_equal(env_file_write(syncing, 0, LAB_VIEW("early"), NULL), 0);
	assert_int_equal(env_file_sync(syncing, NULL), 0);
	assert_int_equal(env_file_size(syncing), 9);
}

static void look_for_early(void *arg)
{
	const char *text = get(arg, "/f");

	assert_int_equal(strncmp(text, "early", 5), 0);
	kept += strcmp(text, "earlylate") == 0;
	gone += strcmp(text, "early") == 0;
	finished++;
}

static void a_write_during_a_sync_is_not_covered(void **state)
{
	struct test_world *test = *state;

	kept = gone = 0;
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		remake(test, seed,
			&(struct world_host_settings){
				.disk_sync = { 20 * LAB_MSEC, 20 * LAB_MSEC } });
		reboot_with(test, sync_meanwhile, look_for_early);
	}

	assert_int_equal(finished, 100);
	assert_true(kept > 10 && gone > 10);
}

/* Many more changes than the disk remembers, with files left open in a crash. */
static void write_endlessly(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;

	assert_int_equal(env_file_open(test->env, "/long", ENV_OPEN_WRITE, &file, NULL), 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(env_file_write(file, i, LAB_VIEW("x"), NULL), 0);
	for (int i = 0; i < 6000; i++) {
		put(test, "/name", "", false);
		assert_int_equal(env_unlink(test->env, "/name", NULL), 0);
	}
	assert_int_equal(env_unlink(test->env, "/long", NULL), 0);
	put(test, "/last", "", true);
}

static void look_at_long(void *arg)
{
	struct test_world *test = arg;

	assert_string_equal(get(test, "/long"), "-");
	assert_string_equal(get(test, "/last"), "");
	assert_int_equal(world_disk_used(test->b1), 0);
	finished++;
}

static void what_a_disk_remembers_is_bounded(void **state)
{
	crash_mode = FAULT_DISK_LOSE_UNSYNCED;
	reboot_with(*state, write_endlessly, look_at_long);

	assert_int_equal(finished, 1);
}

/* ---- injected faults ---- */

static void meet_faults(void *arg)
{
	struct test_world *test = arg;
	struct env_file *file;
	struct lab_error err;
	uint64_t started;

	assert_int_equal(env_file_open(test->env, "/f", ENV_OPEN_WRITE, &file, NULL), 0);
	expect_error(LAB_IO, env_file_write(file, 0, LAB_VIEW("x"), &err), &err);
	assert_int_equal(err.fault_id, 1);
	assert_non_null(strstr(err.message, "/f"));
	expect_error(LAB_NO_SPACE, env_file_write(file, 0, LAB_VIEW("x"), &err), &err);
	assert_int_equal(env_file_write(file, 0, LAB_VIEW("x"), NULL), 0);
	expect_error(LAB_IO, env_file_sync(file, &err), &err);
	started = env_now(test->env);
	assert_int_equal(env_file_sync(file, NULL), 0);
	assert_int_equal(env_now(test->env) - started, 7 * LAB_SEC);
	assert_int_equal(env_file_sync(file, NULL), 0);
	env_file_close(&file);
	finished++;
}

static void the_plan_injects_disk_faults(void **state)
{
	struct test_world *test = *state;
	struct fault_plan *plan = fault_plan_new(world_heap(test->world), 1, 3);
	static const struct {
		enum fault_kind kind;
		uint64_t points, nth;
	} episodes[] = { { FAULT_disk_error, FAULT_BIT(disk_write), 1 }, { FAULT_disk_full, 0, 2 },
		{ FAULT_disk_error, FAULT_BIT(disk_sync), 1 }, { FAULT_disk_slow, 0, 2 } };

	for (size_t i = 0; i < LAB_COUNT_OF(episodes); i++) {
		struct fault_episode episode = { .kind = episodes[i].kind,
			.points = episodes[i].points,
			.nth = episodes[i].nth,
			.length_ns = LAB_MINUTE,
			.amount = { FAULT_UNIFORM, 7 * LAB_SEC, 7 * LAB_SEC } };

		assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
	}
	world_set_faults(test->world, plan);
	test_on_b1(test, meet_faults);

	assert_int_equal(finished, 1);
	assert_int_equal(fault_fired_total(plan), 4);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(files_are_read_written_and_truncated),
		T(names_are_listed_moved_and_removed),
		T(an_open_file_outlives_its_name),
		T(unlinked_files_end_with_their_handles_or_the_host),
		T(syncs_take_a_drawn_time),
		T(a_disk_fills_up),
		T(a_process_crash_keeps_the_disk_and_a_wipe_empties_it),
		T(unsynced_writes_are_kept_dropped_or_torn),
		T(a_synced_replacement_is_old_or_new_and_never_torn),
		T(names_survive_in_order),
		T(a_sync_protects_every_earlier_write),
		T(what_is_old_enough_was_written_back),
		T(without_tracking_everything_is_kept),
		T(a_crash_during_a_sync_is_before_it),
		T(a_write_during_a_sync_is_not_covered),
		T(what_a_disk_remembers_is_bounded),
		T(the_plan_injects_disk_faults),
	};

	return cmocka_run_group_tests_name("world-disk", tests, NULL, NULL);
}
