/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.h - why a run fails, in at most EXPLAIN_LINES_MAX lines, for somebody who does not know
 * the code (simulation 6.2).
 *
 * Says       What is wrong, and why; the operations and faults that it takes, and of each fault
 *            whether the run fails without it, too; how it happened; the point of no return; and
 *            what a run that passes does differently: the first event, and the first operation with
 *            another outcome.
 * No return  The first moment from which on it makes no difference any more to heal everything and
 *            to do nothing: found by runs that end their storm there.
 * Neighbours The same seed without a fault that is needed, and without the defect, if there is one.
 * Takes      What shrink_run() has found. Runs in the calling process: what is left is small.
 */
#ifndef SCENARIOS_EXPLAIN_H
#define SCENARIOS_EXPLAIN_H

#include "scenarios/failure/shrink.h"

#define EXPLAIN_LINES_MAX 48

/* `options` as for shrink_run(). -1: it cannot run, or does not fail as the result says. */
int explain_run(const struct run_options *options, const struct shrink_result *shrunk,
	struct lab_heap *heap, struct lab_buf *out, struct lab_error *err);

#endif
