/* SPDX-License-Identifier: Apache-2.0
 *
 * help.h - what the program and each of its commands say of themselves, for people.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/options.h"

/* All commands, a line each. */
void help_program(const struct command *const *commands, size_t count, FILE *to);
/* One of them: its arguments, options and examples. */
void help_command(const struct command *command, FILE *to);

#endif
