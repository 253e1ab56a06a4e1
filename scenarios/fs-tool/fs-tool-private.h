/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCENARIOS_FS_TOOL_PRIVATE_H
#define SCENARIOS_FS_TOOL_PRIVATE_H

#include "core/fs/fs-api.h"
#include "scenarios/fs-tool/fs-tool.h"

/* The commands on a stack that stands. In a fiber. */
int fs_tool_do(struct fs *fs, struct env *env, const struct fs_tool_job *job,
	struct fs_tool_result *ret, struct lab_error *err);

#endif
