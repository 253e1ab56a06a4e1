/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.h - is a run the same when it is run again? (simulation 3.6)
 *
 * Purpose    A failure that cannot be repeated is the laboratory's own. So a share of all runs,
 *            and each that did not pass, is done once more before it counts, in a process of its
 *            own and in other surroundings: other bytes in memory that was freed, other addresses,
 *            other environment variables, another directory. Whatever differs makes the seed
 *            BROKEN, and the first event that differs is named.
 * Compared   The trace hash after each event (the first RUN_RECORD_EVENTS_MAX of them) and at the
 *            end, verdict, signature and report.
 * Limits     Both runs are of one build on one machine. Addresses differ by what is mapped before;
 *            `ci/checks/determinism` compares whole processes, also without address randomisation.
 */
#ifndef SCENARIOS_GUARD_H
#define SCENARIOS_GUARD_H

#include "scenarios/runner/run-record.h"
#include "scenarios/runner/run.h"

/* Runs it once more in a child process. `options` has the record of the first run, whose result is
 * in *result; it becomes BROKEN if the second is another one. -1: no process could be started. */
int guard_again(
	const struct run_options *options, struct run_result *result, struct lab_error *err);

#endif
