/* SPDX-License-Identifier: Apache-2.0
 *
 * live-directory.h - the temporary directory of a live run: one folder for each host's files.
 */
#ifndef SCENARIOS_LIVE_DIRECTORY_H
#define SCENARIOS_LIVE_DIRECTORY_H

#include "core/base/base.h"

#define LIVE_DIRECTORY_MAX 256

/* A new directory under $TMPDIR, or /tmp. -1 LAB_IO. */
int live_directory_new(char ret_path[LIVE_DIRECTORY_MAX], struct lab_error *err);
/* `name` in it. -1 LAB_IO, LAB_LIMIT. */
int live_directory_add(const char *path, const char *name, char ret_path[LIVE_DIRECTORY_MAX],
	struct lab_error *err);
/* Removes what is in it; never follows a symbolic link. 0, or -1 if something is left. */
int live_directory_empty(const char *path);
/* And the directory itself. */
int live_directory_remove(const char *path);

#endif
