/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-file.h - a scenario that a program made, as a file that runs alone.
 */
#ifndef CLI_SCENARIO_FILE_H
#define CLI_SCENARIO_FILE_H

#include "core/base/base.h"

struct scenario;

struct scenario_file {
	const struct scenario *scenario; /* its exact episodes are written as `episodes` */
	const struct scenario *from;     /* that it was made of: where its dicts are */
	const char *about;               /* a comment, at its top */
	struct lab_arena *arena;
};

/* Writes it, and beside it the files that its settings name. What is there already and says
 * something else is not written over (LAB_EXISTS), but for the scenario itself. */
int scenario_file_write(const struct scenario_file *file, const char *path, struct lab_error *err);

#endif
