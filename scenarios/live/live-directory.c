/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* for nftw() */
#include "scenarios/live/live-directory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 16 /* that nftw() holds; deeper trees are walked all the same */

int live_directory_new(char ret_path[LIVE_DIRECTORY_MAX], struct lab_error *err)
{
	/* Nothing here ever sets the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *parent = getenv("TMPDIR");
	int n;

	if (parent == NULL || parent[0] == '\0')
		parent = "/tmp";
	n = snprintf(ret_path, LIVE_DIRECTORY_MAX, "%s/oboxlab-XXXXXX", parent);
	if (n < 0 || n >= LIVE_DIRECTORY_MAX || mkdtemp(ret_path) == NULL) {
		ret_path[0] = '\0';
		return lab_fail(err, LAB_IO, "%.100s: no temporary directory can be made", parent);
	}
	return 0;
}

int live_directory_add(const char *path, const char *name, char ret_path[LIVE_DIRECTORY_MAX],
	struct lab_error *err)
{
	int n = snprintf(ret_path, LIVE_DIRECTORY_MAX, "%s/%s", path, name);

	if (n < 0 || n >= LIVE_DIRECTORY_MAX)
		return lab_fail(err, LAB_LIMIT, "%.100s/%.60s: the name is too long", path, name);
	return mkdir(ret_path, 0700) == 0
		       ? 0
		       : lab_fail(err, LAB_IO, "%.180s: cannot be made", ret_path);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	if (at->level == 0)
		return 0;
	return type == FTW_DP || type == FTW_D || type == FTW_DNR ? rmdir(path) : unlink(path);
}

int live_directory_empty(const char *path)
{
	/* Only FTW_CHDIR touches other threads. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	return nftw(path, remove_entry, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

int live_directory_remove(const char *path)
{
	return live_directory_empty(path) == 0 && rmdir(path) == 0 ? 0 : -1;
}
