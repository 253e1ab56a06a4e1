/* SPDX-License-Identifier: Apache-2.0
 *
 * Making stacks from URIs, files and their metadata, counters: what all drivers share.
 */
#include "core/fs/testing/rig-test.h"

#define DICTMAP "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; storage-objectid-prefix=m/"

static int init(struct rig *rig, const char *uri, struct lab_error *err)
{
	struct fs *fs = NULL;
	int result = fs_init(lab_view_cstr(uri), &rig->hosts[0].settings, &fs, err);

	fs_deinit(&fs);
	return result;
}

RIG_TEST(a_driver_that_does_not_exist_is_named_with_a_suggestion)
{
	struct lab_error err;

	FAILS(init(rig, "dictmapp:x", &err), LAB_INVALID);
	SAYS("Unknown fs driver: dictmapp");
	SAYS("did you mean dictmap?");
	FAILS(init(rig, "azure:http://x/", &err), LAB_UNSUPPORTED);
	SAYS("fs driver azure is not part of oboxlab");
	FAILS(init(rig, "", &err), LAB_INVALID);
}

RIG_TEST(an_error_is_prefixed_with_the_drivers_above)
{
	struct lab_error err;

	FAILS(init(rig, "fscache:1M:/c:compress:zstd:3:nosuch:", &err), LAB_INVALID);
	SAYS("fscache: compress: Unknown fs driver: nosuch");
	FAILS(init(rig, "fscache:1M:/c:compress:zstd:23:posix", &err), LAB_INVALID);
	SAYS("fscache: compress: Invalid compression level");
	FAILS(init(rig, "compress:bz2:3:posix", &err), LAB_UNSUPPORTED);
	SAYS("compress: bz2 is not part of oboxlab");
	FAILS(init(rig, "fts-cache:", &err), LAB_INVALID);
	SAYS("fts-cache: Parent filesystem not given as parameter");
	FAILS(init(rig, "randomfail:read=1", &err), LAB_INVALID);
	FAILS(init(rig, "posix:prefix", &err), LAB_INVALID);
	FAILS(init(rig, "compress:zstd:3:dictmap:proxy::cassandra;posix", &err), LAB_INVALID);
	SAYS("compress: dictmap: ");
}

RIG_TEST(only_the_outermost_driver_may_end_at_a_space)
{
	struct lab_error err;

	OK(init(rig, "fscache 1M:/cache:compress:zstd:3:posix:prefix=/x/", &err));
	FAILS(init(rig, "fscache 1M:/cache:compress zstd:3:posix:prefix=/x/", &err), LAB_INVALID);
	SAYS("Unknown fs driver: compress zstd");
}

RIG_TEST(a_stack_is_built_in_the_order_of_its_uri)
{
	static const char *const names[] = { "fts-cache", "fscache", "compress", "randomfail",
		"dictmap", "posix" };
	struct lab_error err;
	struct fs *fs, *at;
	size_t n = 0;

	OK(fs_init(LAB_VIEW("fts-cache:fscache:1M:/c:compress:gz:6:randomfail:read=0:" DICTMAP),
		&rig->hosts[0].settings, &fs, &err));
	for (at = fs; at != NULL; at = fs_parent(at), n++)
		assert_string_equal(fs_driver_name(at), names[n]);
	assert_int_equal(n, LAB_COUNT_OF(names));
	fs_deinit(&fs);
	assert_null(fs);
	fs_deinit(&fs);
}

RIG_TEST(an_open_file_outlives_no_fs)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "posix:prefix=/x/", &err);
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_READONLY);

	assert_asserts(fs_deinit(&fs));
	fs_file_close(&file);
	assert_null(file);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(a_file_that_is_read_only_is_not_written)
{
	static const struct lab_view nothing;
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "posix:prefix=/x/", &err);
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_READONLY);

	assert_asserts(fs_write(file, nothing, &err));
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(metadata_goes_through_the_stack_and_later_values_win)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "fts-cache:compress:zstd:1:" DICTMAP, &err);
	struct fs_file *file;
	struct lab_view value;

	file = fs_file_open(fs,
		LAB_VIEW("user@example.com/mailboxes/00d7d12ea08a3153175e0000dfbea952/"),
		FS_OPEN_CREATE_UNIQUE_128);
	fs_set_metadata(file, "guid", LAB_VIEW("1"));
	fs_set_metadata(file, "guid", LAB_VIEW("2"));
	fs_set_metadata(file, "empty", LAB_VIEW(""));
	OK(fs_write(file, LAB_VIEW("x"), &err));
	assert_int_equal(fs_get_metadata(file, "guid", rig->arena, &value, &err), 1);
	assert_view(value, "2");
	assert_int_equal(fs_get_metadata(file, "empty", rig->arena, &value, &err), 1);
	assert_int_equal(value.len, 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(operations_are_counted_by_every_driver)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "compress:zstd:3:posix:prefix=/x/", &err);
	const struct fs_stats *stats = fs_get_stats(fs), *below = fs_get_stats(fs_parent(fs));
	struct lab_view text;

	OK(put(fs, "a", "hello", &err));
	OK(get(rig, fs, "a", &text, &err));
	FAILS(get(rig, fs, "b", &text, &err), LAB_NOT_FOUND);
	OK(del(fs, "a", &err));
	assert_int_equal(stats->count[FS_OP_write], 1);
	assert_int_equal(stats->count[FS_OP_read], 2);
	assert_int_equal(stats->count[FS_OP_delete], 1);
	assert_int_equal(stats->write_bytes, 5);
	assert_int_equal(stats->read_bytes, 5);
	assert_int_equal(below->count[FS_OP_write], 1);
	assert_true(below->write_bytes != 5);
	assert_int_equal(rig->counts.events[LAB_EV_fs_file_finished], 4);
	assert_string_equal(fs_op_name(FS_OP_metadata), "metadata");
	assert_string_equal(fs_op_name(FS_OP_iter), "iter");
	fs_deinit(&fs);
}

RIG_TEST(many_deletes_tell_of_each)
{
	static const char *const paths[] = { "a", "missing", "b" };
	struct lab_error err, results[3];
	struct fs *fs = rig_open(rig, 0, "compress:zstd:3:posix:prefix=/x/", &err);
	struct fs_file *files[3];

	OK(put(fs, "a", "1", &err));
	OK(put(fs, "b", "2", &err));
	for (size_t i = 0; i < 3; i++)
		files[i] = fs_file_open(fs, lab_view_cstr(paths[i]), FS_OPEN_READONLY);
	FAILS(fs_delete_many(files, 3, results, &err), LAB_NOT_FOUND);
	assert_int_equal(results[0].code, LAB_OK);
	assert_int_equal(results[1].code, LAB_NOT_FOUND);
	assert_int_equal(results[2].code, LAB_OK);
	assert_int_equal(fs_delete_many(files, 0, results, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		fs_file_close(&files[i]);
	assert_int_equal(rig_object_count(rig), 0);
	fs_deinit(&fs);
}

/* ---- locks ---- */

struct taker {
	struct rig *rig;
	uint64_t deadline_ns, got_ns;
	int result;
	struct lab_error err;
};

static void take(void *arg)
{
	struct taker *taker = arg;
	struct env *env = taker->rig->hosts[0].env;

	taker->result = fs_lock_take(taker->rig->hosts[0].services.shared, LAB_VIEW("x"),
		taker->deadline_ns, &taker->err);
	taker->got_ns = env_now(env);
	if (taker->result == 0) {
		env_sleep(env, LAB_SEC);
		fs_lock_give(taker->rig->hosts[0].services.shared, LAB_VIEW("x"));
	}
}

RIG_TEST(a_lock_has_one_holder_and_waiting_for_it_has_an_end)
{
	struct env *env = rig->hosts[0].env;
	uint64_t start = env_now(env);
	struct taker takers[4];
	struct lab_error err;

	for (size_t i = 0; i < 4; i++) {
		takers[i] = (struct taker){ .rig = rig, .deadline_ns = ENV_FOREVER };
		if (i == 2)
			takers[i].deadline_ns = start + 1500 * LAB_MSEC;
		OK(env_spawn(env, "taker", take, &takers[i], &err));
	}
	env_sleep(env, 10 * LAB_SEC);
	assert_int_equal(takers[0].got_ns, start);
	assert_int_equal(takers[1].got_ns, start + LAB_SEC);
	assert_int_equal(takers[2].result, -1);
	assert_int_equal(takers[2].err.code, LAB_TIMEOUT);
	assert_int_equal(takers[3].got_ns, start + 2 * LAB_SEC);
	/* Gone with its last holder: taken anew at once. */
	OK(fs_lock_take(rig->hosts[0].services.shared, LAB_VIEW("x"), 0, &err));
	fs_lock_give(rig->hosts[0].services.shared, LAB_VIEW("x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_driver_that_does_not_exist_is_named_with_a_suggestion),
		RIG_UNIT_TEST(an_error_is_prefixed_with_the_drivers_above),
		RIG_UNIT_TEST(only_the_outermost_driver_may_end_at_a_space),
		RIG_UNIT_TEST(a_stack_is_built_in_the_order_of_its_uri),
		RIG_UNIT_TEST(an_open_file_outlives_no_fs),
		RIG_UNIT_TEST(a_file_that_is_read_only_is_not_written),
		RIG_UNIT_TEST(metadata_goes_through_the_stack_and_later_values_win),
		RIG_UNIT_TEST(operations_are_counted_by_every_driver),
		RIG_UNIT_TEST(many_deletes_tell_of_each),
		RIG_UNIT_TEST(a_lock_has_one_holder_and_waiting_for_it_has_an_end),
	};

	return cmocka_run_group_tests_name("fs-api", tests, NULL, NULL);
}
