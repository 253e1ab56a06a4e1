/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-test.h - for the tests of dictmap: a user's two folders on the rig, and what is done to
 * them on its first host.
 */
#ifndef LAB_FS_TESTING_DICTMAP_TEST_H
#define LAB_FS_TESTING_DICTMAP_TEST_H

#include "core/fs/testing/rig-test.h"

#define USER "user@example.com"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define GUID2 "11d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/"
#define FOLDER2 USER "/mailboxes/" GUID2 "/"
#define ROWS "shared/dictmap/" USER "/mailboxes/"
#define DICTMAP(settings) "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " settings
#define REFCOUNTED "refcounting-table:storage-objectid-prefix=m/"
#define USUAL \
	REFCOUNTED ":lockdir=/tmp:nlinks-limit=3:delete-timestamp=+10s:bucket-size=10000:" \
		   "bucket-deleted-days=11:bucket-cache=/home/user/buckets.cache"

__attribute__((unused)) static struct fs *open_dictmap(struct rig *rig, const char *uri)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, uri, &err);

	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

__attribute__((unused)) static int copy(
	struct fs *fs, const char *from_path, const char *dir, char name[33], struct lab_error *err)
{
	struct fs_file *from = fs_file_open(fs, lab_view_cstr(from_path), FS_OPEN_READONLY);
	struct fs_file *to = fs_file_open(fs, lab_view_cstr(dir), FS_OPEN_CREATE_UNIQUE_128);
	int result = fs_copy(from, to, err);
	struct lab_view path = fs_file_path(to);

	snprintf(name, 33, "%.*s", LAB_VIEW_ARG(lab_view_skip(path, path.len - 32)));
	fs_file_close(&from);
	fs_file_close(&to);
	return result;
}

__attribute__((unused)) static char *path_of(struct rig *rig, const char *dir, const char *name)
{
	return lab_arena_printf(rig->arena, "%s%s", dir, name);
}

__attribute__((unused)) static size_t list(
	struct rig *rig, struct fs *fs, const char *path, uint32_t flags, struct lab_view **names)
{
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, lab_view_cstr(path), flags, 1000, rig->arena, names, &count, &err));
	return count;
}

#endif
