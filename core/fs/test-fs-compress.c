/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver compress over a storage in memory.
 */
#include "core/fs/testing/rig-test.h"

/* Stores under one setting what is then read under another. */
static void assert_readable(struct rig *rig, const char *written, const char *read)
{
	char uri[100];
	struct lab_error err;
	struct lab_view text;
	struct fs *fs;

	snprintf(uri, sizeof(uri), "compress:%s:posix:prefix=/s/", written);
	fs = rig_open(rig, 0, uri, &err);
	OK(put(fs, "mail", "From: a\n\nhello hello hello", &err));
	fs_deinit(&fs);
	snprintf(uri, sizeof(uri), "compress:%s:posix:prefix=/s/", read);
	fs = rig_open(rig, 0, uri, &err);
	OK(get(rig, fs, "mail", &text, &err));
	assert_view(text, "From: a\n\nhello hello hello");
	fs_deinit(&fs);
}

RIG_TEST(a_change_of_the_algorithm_leaves_old_mails_readable)
{
	static const char *const settings[] = { "zstd:3", "gz:6", "deflate:9", "lz4:1", "zstd:22",
		"maybe-gz:1" };

	for (size_t i = 0; i < LAB_COUNT_OF(settings); i++) {
		for (size_t k = 0; k < LAB_COUNT_OF(settings); k++)
			assert_readable(rig, settings[i], settings[k]);
	}
}

static struct fs *open_with_plain(
	struct rig *rig, const char *uri, const char *stored, struct lab_error *err)
{
	struct fs *fs = rig_open(rig, 0, "posix:prefix=/s/", err);

	assert_int_equal(put(fs, "mail", stored, err), 0);
	fs_deinit(&fs);
	return rig_open(rig, 0, uri, err);
}

RIG_TEST(plain_contents_need_maybe)
{
	static const char *const plain[] = { "From: a", "", "x", "x^ is how a zlib header looks" };
	struct lab_error err;
	struct lab_view text;
	struct fs *fs;

	for (size_t i = 0; i < LAB_COUNT_OF(plain); i++) {
		fs = open_with_plain(rig, "compress:maybe-zstd:3:posix:prefix=/s/", plain[i], &err);
		OK(get(rig, fs, "mail", &text, &err));
		assert_view(text, plain[i]);
		fs_deinit(&fs);
		fs = open_with_plain(rig, "compress:zstd:3:posix:prefix=/s/", plain[i], &err);
		FAILS(get(rig, fs, "mail", &text, &err), LAB_CORRUPT);
		fs_deinit(&fs);
	}
}

RIG_TEST(a_stored_object_that_is_cut_is_corrupt_even_with_maybe)
{
	struct lab_error err;
	struct lab_view text, stored;
	char cut[40];
	struct fs *fs = rig_open(rig, 0, "compress:gz:6:posix:prefix=/s/", &err);

	OK(put(fs, "mail", "hello hello hello hello", &err));
	fs_deinit(&fs);
	stored = rig_object(rig, "mail");
	fs = rig_open(rig, 0, "posix:prefix=/s/", &err);
	assert_true(stored.len < sizeof(cut));
	memcpy(cut, stored.ptr, stored.len);
	{
		struct fs_file *file = fs_file_open(fs, LAB_VIEW("mail"), FS_OPEN_REPLACE);

		OK(fs_write(file, lab_view_of(cut, stored.len - 1), &err));
		fs_file_close(&file);
	}
	fs_deinit(&fs);
	fs = rig_open(rig, 0, "compress:maybe-gz:6:posix:prefix=/s/", &err);
	FAILS(get(rig, fs, "mail", &text, &err), LAB_CORRUPT);
	fs_deinit(&fs);
}

RIG_TEST(the_limit_is_of_the_plain_contents)
{
	struct lab_error err;
	struct lab_view text;
	struct fs *fs = rig_open(rig, 0, "compress:maybe-zstd:3:posix:prefix=/s/", &err);
	struct fs_file *file;

	OK(put(fs, "mail", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		&err));
	file = fs_file_open(fs, LAB_VIEW("mail"), FS_OPEN_READONLY);
	FAILS(fs_read(file, rig->arena, 63, &text, &err), LAB_LIMIT);
	OK(fs_read(file, rig->arena, 64, &text, &err));
	OK(fs_read(file, rig->arena, SIZE_MAX / 2, &text, &err));
	fs_file_close(&file);
	fs_deinit(&fs);
	fs = open_with_plain(rig, "compress:maybe-zstd:3:posix:prefix=/s/", "hello", &err);
	file = fs_file_open(fs, LAB_VIEW("mail"), FS_OPEN_READONLY);
	FAILS(fs_read(file, rig->arena, 4, &text, &err), LAB_LIMIT);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(the_plain_size_is_not_known_without_reading)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "compress:zstd:3:posix:prefix=/s/", &err);
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("mail"), FS_OPEN_READONLY);
	uint64_t size;

	assert_int_equal(fs_get_properties(fs) & FS_PROPERTY_STAT, 0);
	assert_true((fs_get_properties(fs_parent(fs)) & FS_PROPERTY_STAT) != 0);
	FAILS(fs_stat(file, &size, &err), LAB_UNSUPPORTED);
	assert_int_equal(fs_exists(file, &err), 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(an_uncertain_write_stays_uncertain)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, "compress:zstd:3:posix:prefix=/s/", &err);

	rig_fail_at(rig, 1, RIG_UNCERTAIN_APPLIED);
	FAILS(put(fs, "mail", "x", &err), LAB_UNCERTAIN);
	fs_deinit(&fs);
}

/* ---- a disk that is full at the last bytes (C-39) ---- */

#define TEXT "a body with a trailer behind it, which must not get lost without anybody noticing"

RIG_TEST(a_disk_that_gets_full_anywhere_is_told_and_leaves_no_half_of_a_stream)
{
	static const char *const uris[] = { "compress:gz:6:posix:prefix=/data/",
		"compress:zstd:3:posix:prefix=/data/", "compress:lz4:1:posix:prefix=/data/" };
	struct lab_error err;
	struct lab_view text;
	struct fs *fs;

	for (size_t i = 0; i < LAB_COUNT_OF(uris); i++) {
		unsigned refused = 0, limit;

		/* The disk of the host itself, not what the rig puts in the place of posix. */
		OK(fs_init(lab_view_cstr(uris[i]), &rig->hosts[0].settings, &fs, &err));
		for (limit = 0; limit < 200; limit++) {
			int result;

			world_disk_limit(rig->hosts[0].host, limit);
			result = put(fs, "mail", TEXT, &err);
			world_disk_limit(rig->hosts[0].host, 1 << 20);
			if (result == 0)
				break;
			refused++;
			assert_int_equal(err.code, LAB_NO_SPACE);
			FAILS(get(rig, fs, "mail", &text, &err), LAB_NOT_FOUND);
		}
		/* As many bytes as the stream has, to the last one. */
		assert_row(i, refused > 20 && limit < 200);
		OK(get(rig, fs, "mail", &text, &err));
		assert_view(text, TEXT);
		OK(del(fs, "mail", &err));
		fs_deinit(&fs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_change_of_the_algorithm_leaves_old_mails_readable),
		RIG_UNIT_TEST(plain_contents_need_maybe),
		RIG_UNIT_TEST(a_stored_object_that_is_cut_is_corrupt_even_with_maybe),
		RIG_UNIT_TEST(the_limit_is_of_the_plain_contents),
		RIG_UNIT_TEST(the_plain_size_is_not_known_without_reading),
		RIG_UNIT_TEST(an_uncertain_write_stays_uncertain),
		RIG_UNIT_TEST(
			a_disk_that_gets_full_anywhere_is_told_and_leaves_no_half_of_a_stream),
	};

	return cmocka_run_group_tests_name("fs-compress", tests, NULL, NULL);
}
