/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-directory.h"

#include "core/base/testing.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct lab_error err;

static void make(char path[LIVE_DIRECTORY_MAX])
{
	if (live_directory_new(path, &err) < 0)
		fail_msg("%s", err.message);
}

static void add(const char *path, const char *name, char ret_path[LIVE_DIRECTORY_MAX])
{
	if (live_directory_add(path, name, ret_path, &err) < 0)
		fail_msg("%s", err.message);
}

static void write_file(const char *directory, const char *name)
{
	char path[LIVE_DIRECTORY_MAX + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void it_is_made_where_TMPDIR_says(void **state)
{
	char parent[LIVE_DIRECTORY_MAX], path[LIVE_DIRECTORY_MAX];
	(void)state;

	make(parent);
	assert_int_equal(setenv("TMPDIR", parent, 1), 0);

	make(path);

	assert_memory_equal(path, parent, strlen(parent));
	assert_true(exists(path));
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_int_equal(live_directory_remove(parent), 0);
	assert_false(exists(parent));
}

static void a_parent_that_is_missing_is_an_error(void **state)
{
	char path[LIVE_DIRECTORY_MAX];
	(void)state;

	assert_int_equal(setenv("TMPDIR", "/nonexistent/oboxlab", 1), 0);

	assert_int_equal(live_directory_new(path, &err), -1);

	assert_int_equal(err.code, LAB_IO);
	assert_string_equal(path, "");
	assert_int_equal(unsetenv("TMPDIR"), 0);
}

static void emptying_keeps_the_directory_itself(void **state)
{
	char path[LIVE_DIRECTORY_MAX], folder[LIVE_DIRECTORY_MAX], deeper[LIVE_DIRECTORY_MAX];
	(void)state;
	make(path);
	add(path, "folder", folder);
	add(folder, "deeper", deeper);
	write_file(path, "a");
	write_file(deeper, "b");

	assert_int_equal(live_directory_empty(path), 0);

	assert_true(exists(path));
	assert_false(exists(folder));
	/* So it is empty. */
	assert_int_equal(rmdir(path), 0);
}

static void symbolic_links_are_removed_not_followed(void **state)
{
	char path[LIVE_DIRECTORY_MAX], other[LIVE_DIRECTORY_MAX];
	char link[LIVE_DIRECTORY_MAX + 16], kept[LIVE_DIRECTORY_MAX + 16];
	(void)state;
	make(path);
	make(other);
	write_file(other, "kept");
	snprintf(link, sizeof(link), "%s/link", path);
	snprintf(kept, sizeof(kept), "%s/kept", other);
	assert_int_equal(symlink(other, link), 0);

	assert_int_equal(live_directory_remove(path), 0);

	assert_false(exists(path));
	assert_true(exists(kept));
	assert_int_equal(live_directory_remove(other), 0);
}

static void a_name_that_is_taken_or_too_long_is_an_error(void **state)
{
	char path[LIVE_DIRECTORY_MAX], folder[LIVE_DIRECTORY_MAX];
	char name[LIVE_DIRECTORY_MAX];
	(void)state;
	make(path);
	add(path, "folder", folder);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';

	assert_int_equal(live_directory_add(path, "folder", folder, &err), -1);
	assert_int_equal(err.code, LAB_IO);
	assert_int_equal(live_directory_add(path, name, folder, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(live_directory_remove(path), 0);
	assert_int_equal(live_directory_remove(path), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_made_where_TMPDIR_says),
		cmocka_unit_test(a_parent_that_is_missing_is_an_error),
		cmocka_unit_test(emptying_keeps_the_directory_itself),
		cmocka_unit_test(symbolic_links_are_removed_not_followed),
		cmocka_unit_test(a_name_that_is_taken_or_too_long_is_an_error),
	};

	return cmocka_run_group_tests_name("live-directory", tests, NULL, NULL);
}
