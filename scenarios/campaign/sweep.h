/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.h - every failure of every request of one run: exhaustive, not drawn (simulation 3.9; obox
 * 8.3, S1 and S2).
 *
 * Purpose    The scenario runs once, and how often each fault point is asked is counted. Then it
 *            runs again for every point, every kind of fault that can happen there and every
 *            request that comes there: that request fails, or it and all after it; and the backend
 *            that asked crashes before or after it is done, with its disk kept or lost, back at
 *            once or after the clients went elsewhere.
 * Meaning    Up to the fault a run is the first one, so it fires in every case; where it does not,
 *            the laboratory is broken and the sweep says so.
 * Left out   Kinds that break what a service promises (stale reads, repeated writes, an OVERLOADED
 *            that was applied): only by name.
 * Limits     SWEEP_CASES_MAX cases.
 */
#ifndef SCENARIOS_SWEEP_H
#define SCENARIOS_SWEEP_H

#include "scenarios/campaign/campaign.h"

#define SWEEP_CASES_MAX 10000000
#define SWEEP_PATTERNS_MAX 32

struct sweep_settings {
	/* As for one run; first_seed is the seed, last_seed and prepare are not used. */
	struct campaign_settings campaign;
	/* "POINT", "POINT:KIND", each with "*" at its end or alone; "crash" for the crashes. A case
	 * that matches one of them is run; none: all are. */
	const char *patterns[SWEEP_PATTERNS_MAX];
	size_t pattern_count;
	/* A kind: what comes to the same point within a second after the failed request fails in
	 * this way, as the statement does that is sent to other hosts and again at a fallback
	 * consistency (obox 3.8). NULL: it does not. */
	const char *then;
};

/* The cases of one kind at one point. */
struct sweep_row {
	enum fault_point point;
	enum fault_kind kind;
	bool crashes;
	uint64_t requests; /* that come there without a fault */
	uint64_t cases, passed, failed, other;
	uint64_t followed; /* in which a second fault fired, too */
	uint64_t unfired;  /* the fault did not fire: the laboratory is broken */
};

struct sweep_result {
	struct run_result first; /* the run without the sweep's faults */
	struct sweep_row *rows;  /* in the heap that sweep_run() was given */
	size_t row_count;
	uint64_t unfired;
	struct campaign_result cases; /* `first_seed` and the like are numbers of cases from 1 */
};

/* 0 whatever was found; -1 LAB_INVALID (a pattern, the scenario, or the first run does not pass),
 * LAB_LIMIT. */
int sweep_run(const struct sweep_settings *settings, struct lab_heap *heap,
	struct sweep_result *ret, struct lab_error *err);

/* 0 pass, 1 fail, 3 broken, 4 inconclusive (DESIGN 7). */
int sweep_exit_status(const struct sweep_result *result);

void sweep_print(const struct sweep_result *result, const char *scenario, struct lab_buf *out);
void sweep_print_json(const struct sweep_result *result, const char *scenario, struct lab_buf *out);

#endif
