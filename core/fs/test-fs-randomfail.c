/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver randomfail: measured rates against stated ones.
 */
#include "core/fs/testing/rig-test.h"

#define DRAWS 20000
#define GUID "00d7d12ea08a3153175e0000dfbea952"

static struct fs *open_failing(struct rig *rig, const char *rules, const char *username)
{
	char uri[200];
	struct lab_error err;
	struct fs *fs;

	rig->delay_ns = 0;
	rig->hosts[0].settings.username = username;
	snprintf(uri, sizeof(uri), "randomfail:%s:posix:prefix=/s/", rules);
	fs = rig_open(rig, 0, uri, &err);
	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

struct measured {
	unsigned before, after, ok;
};

/* Deletes a file that is there; what happened shows on the storage. */
static struct measured measure_deletes(struct rig *rig, struct fs *fs, unsigned draws)
{
	struct measured m = { 0 };
	struct lab_error err;
	struct fs *plain = rig_open(rig, 0, "posix:prefix=/s/", &err);

	for (unsigned i = 0; i < draws; i++) {
		bool failed;

		OK(put(plain, "a", "x", &err));
		failed = del(fs, "a", &err) < 0;
		if (failed)
			SAYS("Random failure injection");
		if (!failed)
			m.ok++;
		else if (rig_has_object(rig, "a"))
			m.before++;
		else
			m.after++;
		if (failed)
			assert_int_equal(
				err.code, rig_has_object(rig, "a") ? LAB_IO : LAB_UNCERTAIN);
		else
			assert_false(rig_has_object(rig, "a"));
	}
	fs_deinit(&plain);
	return m;
}

/* 20,000 draws: five standard deviations are less than 1.8 %. */
static void assert_near(unsigned measured, unsigned draws, unsigned percent_times_ten)
{
	unsigned expected = draws / 1000 * percent_times_ten, off = draws / 1000 * 18;

	if (measured + off < expected || measured > expected + off)
		fail_msg("%u of %u, not %u", measured, draws, expected);
}

RIG_TEST(half_of_the_failures_come_before_and_half_after)
{
	static const unsigned percents[] = { 1, 10, 50, 90 };

	for (size_t i = 0; i < LAB_COUNT_OF(percents); i++) {
		char rules[20];
		struct fs *fs;
		struct measured m;

		snprintf(rules, sizeof(rules), "delete=%u", percents[i]);
		fs = open_failing(rig, rules, "user");
		m = measure_deletes(rig, fs, DRAWS);
		assert_near(m.before, DRAWS, percents[i] * 5);
		assert_near(m.after, DRAWS, percents[i] * 5);
		assert_near(m.ok, DRAWS, 1000 - percents[i] * 10);
		fs_deinit(&fs);
	}
}

RIG_TEST(none_and_all_are_exact)
{
	struct fs *fs = open_failing(rig, "delete=0", "user");
	struct measured m = measure_deletes(rig, fs, DRAWS);

	assert_int_equal(m.ok, DRAWS);
	fs_deinit(&fs);
	fs = open_failing(rig, "all=100", "user");
	m = measure_deletes(rig, fs, DRAWS);
	assert_int_equal(m.ok, 0);
	assert_near(m.before, DRAWS, 500);
	fs_deinit(&fs);
}

RIG_TEST(users_have_dice_of_their_own)
{
	struct lab_error err;
	struct fs *a = open_failing(rig, "exists=50", "a"),
		  *again = open_failing(rig, "exists=50", "a");
	struct fs *b = open_failing(rig, "exists=50", "b");
	unsigned same = 0, repeated = 0;

	for (unsigned i = 0; i < 1000; i++) {
		struct fs_file *files[3] = { fs_file_open(a, LAB_VIEW("x"), FS_OPEN_READONLY),
			fs_file_open(again, LAB_VIEW("x"), FS_OPEN_READONLY),
			fs_file_open(b, LAB_VIEW("x"), FS_OPEN_READONLY) };
		int first = fs_exists(files[0], &err);

		repeated += first == fs_exists(files[1], &err);
		same += first == fs_exists(files[2], &err);
		for (size_t k = 0; k < 3; k++)
			fs_file_close(&files[k]);
	}
	assert_int_equal(repeated, 1000);
	assert_true(same > 300 && same < 700);
	fs_deinit(&a);
	fs_deinit(&again);
	fs_deinit(&b);
}

/* Everything else that has dice: fails when told to, and only then. */
static unsigned failures(struct rig *rig, struct fs *fs)
{
	struct lab_error err;
	struct fs_file *a = fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_READONLY);
	struct lab_view view, *names;
	uint64_t size;
	size_t count;
	unsigned failed = 0;

	failed += fs_read(a, rig->arena, 100, &view, &err) < 0;
	failed += (unsigned)(fs_get_metadata(a, "k", rig->arena, &view, &err) < 0) << 1;
	failed += (unsigned)(fs_exists(a, &err) < 0) << 2;
	failed += (unsigned)(fs_stat(a, &size, &err) < 0) << 3;
	failed += (unsigned)(fs_iter(fs, LAB_VIEW("d"), 0, 9, rig->arena, &names, &count, &err) < 0)
		  << 4;
	failed += (unsigned)(put(fs, "b", "1", &err) < 0) << 5;
	fs_file_close(&a);
	return failed;
}

RIG_TEST(each_operation_has_its_rate)
{
	static const char *const rules[] = { "read=100", "metadata=100", "exists=100", "stat=100",
		"iter=100", "write=100" };
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "posix:prefix=/s/", &err);

	OK(put(fs, "a", "hello", &err));
	fs_deinit(&fs);
	for (size_t i = 0; i < LAB_COUNT_OF(rules); i++) {
		fs = open_failing(rig, rules[i], "user");
		assert_row(i, failures(rig, fs) == 1u << i);
		fs_deinit(&fs);
	}
	fs = open_failing(rig, "all=100", "user");
	assert_int_equal(failures(rig, fs), 0x3f);
	fs_deinit(&fs);
	fs = open_failing(rig, "all=100,write=0", "user");
	assert_int_equal(failures(rig, fs), 0x1f);
	fs_deinit(&fs);
}

/* Copies through a dictmap below: 0 done, 1 certainly not, 2 uncertain and done. */
static unsigned copy_once(struct rig *rig, struct fs *fs)
{
	struct fs_file *from =
		fs_file_open(fs, LAB_VIEW("user/mailboxes/" GUID "/" GUID), FS_OPEN_READONLY);
	struct fs_file *to =
		fs_file_open(fs, LAB_VIEW("user/mailboxes/" GUID "/"), FS_OPEN_CREATE_UNIQUE_128);
	size_t rows = rig_forward_rows(rig);
	struct lab_error err;
	int result = fs_copy(from, to, &err);
	unsigned done = rig_forward_rows(rig) > rows;

	fs_file_close(&from);
	fs_file_close(&to);
	if (result == 0)
		assert_int_equal(done, 1);
	else
		assert_int_equal(err.code, done ? LAB_UNCERTAIN : LAB_IO);
	return result == 0 ? 0 : 1 + done;
}

RIG_TEST(a_copy_fails_before_or_after_it_was_done)
{
	struct lab_error err;
	unsigned outcomes[3] = { 0 };
	struct fs *fs;
	unsigned nlinks;
	struct fs_file *file;

	rig->hosts[0].settings.username = "user";
	rig->delay_ns = 0;
	fs = rig_open(rig, 0,
		"randomfail:copy=50,stat=100,rename=100:dictmap:proxy::cassandra ; posix ; "
		"refcounting-table:storage-objectid-prefix=m",
		&err);
	OK(put(fs, "user/mailboxes/" GUID "/" GUID, "x", &err));
	for (unsigned i = 0; i < 1000; i++)
		outcomes[copy_once(rig, fs)]++;
	assert_true(outcomes[0] > 400 && outcomes[0] < 600);
	assert_true(outcomes[1] > 170 && outcomes[1] < 330);
	assert_true(outcomes[2] > 170 && outcomes[2] < 330);
	file = fs_file_open(fs, LAB_VIEW("user/mailboxes/" GUID "/" GUID), FS_OPEN_REPLACE);
	assert_true(fs_get_nlinks(file, &nlinks, &err) < 0);
	SAYS("Random failure injection");
	assert_true(fs_rename(file, file, &err) < 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

static unsigned reads_that_fail(struct rig *rig, const char *rules, unsigned draws)
{
	struct lab_error err;
	struct fs *fs = open_failing(rig, rules, "user");
	struct lab_view view;
	unsigned failed = 0;

	for (unsigned i = 0; i < draws; i++)
		failed += get(rig, fs, "a", &view, &err) < 0;
	fs_deinit(&fs);
	return failed;
}

RIG_TEST(a_range_fails_what_is_long_enough)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "posix:prefix=/s/", &err);
	unsigned failed;

	OK(put(fs, "a", "0123456789", &err));
	fs_deinit(&fs);
	assert_int_equal(reads_that_fail(rig, "read-range=10", 100), 100);
	assert_int_equal(reads_that_fail(rig, "read-range=11", 100), 0);
	assert_int_equal(reads_that_fail(rig, "read-range=1-10", 100), 100);
	failed = reads_that_fail(rig, "read-range=6-15", 10000);
	assert_near(failed, 10000, 500);
	fs = open_failing(rig, "write-range=3", "user");
	FAILS(put(fs, "b", "123", &err), LAB_IO);
	OK(put(fs, "b", "12", &err));
	fs_deinit(&fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(half_of_the_failures_come_before_and_half_after),
		RIG_UNIT_TEST(none_and_all_are_exact),
		RIG_UNIT_TEST(users_have_dice_of_their_own),
		RIG_UNIT_TEST(each_operation_has_its_rate),
		RIG_UNIT_TEST(a_copy_fails_before_or_after_it_was_done),
		RIG_UNIT_TEST(a_range_fails_what_is_long_enough),
	};

	return cmocka_run_group_tests_name("fs-randomfail", tests, NULL, NULL);
}
