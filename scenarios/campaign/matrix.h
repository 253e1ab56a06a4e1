/* SPDX-License-Identifier: Apache-2.0
 *
 * matrix.h - what campaigns and hunts have proved about the laboratory itself: each kind of fault
 * fired, each hold was used, each mark was hit, each invariant fired under some defect.
 *
 * Input      What `test --json` and `defects hunt --json` print, any number of each, one after the
 *            other. The rows are those of this build: a name that it does not know is an error, as
 *            the input is of another one.
 * Gap        A row that is zero in all of them. No campaign with a verdict is needed: a failure
 *            shows that something fired, too.
 */
#ifndef SCENARIOS_MATRIX_H
#define SCENARIOS_MATRIX_H

#include "core/base/base.h"

struct matrix;

/* Never NULL; lives in the heap. */
struct matrix *matrix_new(struct lab_heap *heap);
/* NULLs the pointer; accepts NULL. */
void matrix_free(struct matrix **matrix);
/* `name` is for messages. -1 LAB_INVALID: not JSON, or of no command or build that is known. */
int matrix_add(
	struct matrix *matrix, const char *name, struct lab_view json, struct lab_error *err);
/* Rows by group, and a verdict. Returns how many gaps there are. */
size_t matrix_print(const struct matrix *matrix, struct lab_buf *out);

#endif
