/* SPDX-License-Identifier: Apache-2.0
 *
 * recover.h - commands about a user's rows and objects as a whole; the others are about paths.
 */
#ifndef FS_TOOL_RECOVER_H
#define FS_TOOL_RECOVER_H

#include "core/obox/backend.h"
#include "scenarios/fs-tool/fs-tool.h"

bool fs_tool_is_about_user(enum fs_tool_command command);
/* In the backend; job->paths[0] is the user. One line for each object or count. */
int fs_tool_recover(struct backend *backend, const struct fs_tool_job *job, struct lab_error *err);

#endif
