/* SPDX-License-Identifier: Apache-2.0
 *
 * operator-private.h - commands with a file of their own.
 */
#ifndef SCENARIOS_OPERATOR_PRIVATE_H
#define SCENARIOS_OPERATOR_PRIVATE_H

#include "scenarios/operator/operator.h"

/* fts check full, fts check fast; as operator_run(). -1 LAB_INVALID: no fts is configured. */
int operator_fts_check(struct backend *backend, const struct operator_command *command,
	struct lab_buf *out, struct lab_error *err);
/* Deletes all that the user's search index has in storage; nothing if none is configured. May be
 * repeated: the next search makes it again. -1: some of it may be gone. */
int operator_fts_delete(struct backend *backend, struct lab_view username, struct lab_error *err);

#endif
