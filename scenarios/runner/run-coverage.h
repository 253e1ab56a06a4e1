/* SPDX-License-Identifier: Apache-2.0
 *
 * run-coverage.h - where a run has been, as far as it can tell without an instrumented compiler
 * (simulation 3.8): for campaigns that look for what no run has seen (campaign/explore.h).
 *
 * Features   Bits. Each mark, hold, kind of fault, outcome of operations and place of buggify by
 *            how often (1, 2-3, 4-15, 16-63, 64-255, more); each mark before each other one; each
 *            kind of fault in warm-up and storm; each kind that was on when a hold was passed;
 *            holds passed right before their host crashed or stood still; excuses.
 * Moments    A few of the times at which holds were passed and marks hit, by draws of the seed:
 *            where a fault would meet something that seldom happens.
 */
#ifndef SCENARIOS_RUN_COVERAGE_H
#define SCENARIOS_RUN_COVERAGE_H

#include "core/base/mark.h"
#include "core/env/hold.h"
#include "sim/faults/faults.h"

#define RUN_FEATURES 12288
#define RUN_MOMENTS_EACH 3 /* of one hold or mark */
#define RUN_MOMENTS ((ENV_HOLD_COUNT + LAB_MARK_COUNT) * RUN_MOMENTS_EACH)
#define RUN_MOMENT_HOST 24

struct run_moment {
	uint64_t time_ns;
	char host[RUN_MOMENT_HOST]; /* empty: there is no such moment */
};

/* Plain data. */
struct run_coverage {
	uint64_t bits[RUN_FEATURES / 64];
	/* Of hold n, then of mark n: RUN_MOMENTS_EACH each. */
	struct run_moment moments[RUN_MOMENTS];
};

static inline bool run_covers(const struct run_coverage *coverage, size_t feature)
{
	return (coverage->bits[feature / 64] >> feature % 64 & 1) != 0;
}

struct run_result;
struct coverage_watch;

/* Looks at a run of `plan` from now on; hits is where its marks are counted. Holds are looked at
 * after whoever watches them now. */
struct coverage_watch *coverage_begin(struct lab_heap *heap, uint64_t seed,
	const struct fault_plan *plan, const uint64_t *hits, struct run_coverage *ret);
void coverage_event(struct coverage_watch *watch, const struct lab_event *event, const char *host);
/* What the result of the run says; nobody watches holds any more. */
void coverage_end(struct coverage_watch **watch, const struct run_result *result);

#endif
