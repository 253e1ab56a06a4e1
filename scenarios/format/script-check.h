/* SPDX-License-Identifier: Apache-2.0
 *
 * script-check.h - whether a text is Lua, for who reads scenarios and runs none.
 */
#ifndef SCENARIOS_SCRIPT_CHECK_H
#define SCENARIOS_SCRIPT_CHECK_H

#include "core/base/base.h"

/* Compiles it, runs nothing. -1 LAB_INVALID with FILE:LINE. */
int script_check(const char *path, struct lab_view text, struct lab_error *err);

#endif
