/* SPDX-License-Identifier: Apache-2.0
 *
 * times.h - what each checker of the oracle costs, by the machine's clock. It decides nothing and
 * is traced nowhere; without it (NULL) a lap is one branch.
 */
#ifndef SIM_ORACLE_TIMES_H
#define SIM_ORACLE_TIMES_H

#include "core/base/base.h"

/* In the order in which they are done. */
#define ORACLE_TIMES(X) \
	X(EVENTS, "events as they happen") \
	X(ACCESSES, "access logs as they are written") \
	X(OPERATIONS, "operations, for costs (36)") \
	X(REQUESTS, "requests (30, 31, 32)") \
	X(RECONCILE, "counts (34)") \
	X(ROUTING, "routing (R, T)") \
	X(COSTS, "costs (36)") \
	X(MODEL, "model of the history") \
	X(FOLDERS, "folders (6, 11)") \
	X(REQUIRED, "mails required (1, 4)") \
	X(BUNDLES, "bundles (17, 18)") \
	X(STORE, "stores (12 to 16, 19)") \
	X(SEEN, "mails seen (1, 2, 5, 8, 20, 21)") \
	X(FLAGS, "flags (3)") \
	X(IMAP, "UIDs and modseqs (6, 7, 9, 10)") \
	X(PRIVATE, "private flags and virtual folders") \
	X(FTS, "searches (28)") \
	X(CONVERGENCE, "convergence (22)") \
	X(QUOTA, "quotas (27)") \
	X(LAZY, "lazy_expunge (29)") \
	X(REST, "logs, excuses and order of findings")
enum oracle_time {
#define X(id, text) ORACLE_TIME_##id,
	ORACLE_TIMES(X)
#undef X
	ORACLE_TIME_COUNT
};

struct oracle_times {
	uint64_t (*clock_ns)(void); /* monotonic */
	uint64_t last_ns;
	uint64_t ns[ORACLE_TIME_COUNT], laps[ORACLE_TIME_COUNT];
};

static inline void oracle_times_begin(struct oracle_times *times)
{
	if (__builtin_expect(times != NULL, 0))
		times->last_ns = times->clock_ns();
}

/* What was done since the beginning or the last lap. */
static inline void oracle_times_lap(struct oracle_times *times, enum oracle_time what)
{
	uint64_t now_ns;

	if (times == NULL)
		return;
	now_ns = times->clock_ns();
	times->ns[what] += now_ns - times->last_ns;
	times->laps[what]++;
	times->last_ns = now_ns;
}

/* A line for each, as a share of a run that took so long, and their sum. */
void oracle_times_print(const struct oracle_times *times, uint64_t run_ns, struct lab_buf *out);

#endif
