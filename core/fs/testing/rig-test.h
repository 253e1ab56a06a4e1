/* SPDX-License-Identifier: Apache-2.0
 *
 * rig-test.h - for test-*.c with cmocka: tests whose body runs in a fiber of the rig's first host.
 */
#ifndef LAB_FS_TESTING_RIG_TEST_H
#define LAB_FS_TESTING_RIG_TEST_H

#include "core/base/testing.h"
#include "core/fs/testing/rig.h"

#define OK(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, err.message); \
	} while (0)
#define FAILS(call, expected) \
	do { \
		if ((call) >= 0) \
			fail_msg("%s: succeeded", #call); \
		if (err.code != (expected)) \
			fail_msg("%s: %s: %s", #call, lab_code_name(err.code), err.message); \
	} while (0)
/* The message of the last error. */
#define SAYS(text) \
	do { \
		if (strstr(err.message, (text)) == NULL) \
			fail_msg("\"%s\" has no \"%s\"", err.message, (text)); \
	} while (0)
#define assert_view(view, text) assert_true(lab_view_eq_cstr((view), (text)))

/* RIG_TEST(name) { body, with `rig` } */
#define RIG_TEST(name) \
	static void name##_body(struct rig *rig); \
	static void name##_fiber(void *arg) \
	{ \
		name##_body(arg); \
	} \
	static void name(void **state) \
	{ \
		rig_run(*state, 0, name##_fiber, *state); \
	} \
	static void name##_body(struct rig *rig)

#define RIG_UNIT_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

__attribute__((unused)) static int rig_setup(void **state)
{
	*state = rig_new();
	return 0;
}

__attribute__((unused)) static int rig_teardown(void **state)
{
	struct rig *rig = *state;

	rig_free(&rig);
	return 0;
}

__attribute__((unused)) static int put(
	struct fs *fs, const char *path, const char *text, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_REPLACE);
	int result = fs_write(file, lab_view_cstr(text), err);

	fs_file_close(&file);
	return result;
}

/* *ret lives as long as the rig. */
__attribute__((unused)) static int get(struct rig *rig, struct fs *fs, const char *path,
	struct lab_view *ret, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);
	int result = fs_read(file, rig->arena, 1 << 20, ret, err);

	fs_file_close(&file);
	return result;
}

__attribute__((unused)) static int del(struct fs *fs, const char *path, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);
	int result = fs_delete(file, err);

	fs_file_close(&file);
	return result;
}

/* Writes with CREATE_UNIQUE_128; the name it got, in `name` if it got that far. */
__attribute__((unused)) static int create(
	struct fs *fs, const char *dir, const char *text, char name[33], struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(dir), FS_OPEN_CREATE_UNIQUE_128);
	int result = fs_write(file, lab_view_cstr(text), err);
	struct lab_view path = fs_file_path(file);

	name[0] = '\0';
	if (path.len >= strlen(dir) + 32)
		snprintf(name, 33, "%.*s", LAB_VIEW_ARG(lab_view_skip(path, path.len - 32)));
	fs_file_close(&file);
	return result;
}

#endif
