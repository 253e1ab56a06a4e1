/* SPDX-License-Identifier: Apache-2.0
 *
 * run-verdict.c - verdicts by name, also for tests that take the place of run.c.
 */
#include "scenarios/runner/run.h"

const char *run_verdict_name(enum run_verdict verdict)
{
	static const char *const names[] = { "pass", "fail", "broken", "inconclusive" };

	return names[verdict];
}
