/* SPDX-License-Identifier: Apache-2.0
 *
 * hunt.h - how many seeds it takes to find a known mistake.
 *
 * Purpose    The core's defects (core/base/defects.def) are switched on one at a time, and the
 *            default campaign runs against each: the scenarios in turn, each with seed 1, then each
 *            with seed 2, and so on, until a run fails. What is counted are runs. In a turn
 *            scenarios with neighbouring numbers do not follow each other, as they are alike.
 * Limits     HUNT_SCENARIOS_MAX. A run that is broken or inconclusive has found nothing.
 */
#ifndef SCENARIOS_HUNT_H
#define SCENARIOS_HUNT_H

#include "scenarios/campaign/campaign.h"

#define HUNT_SCENARIOS_MAX 256

struct hunt_settings {
	const struct scenario *const *scenarios;
	size_t scenario_count;
	const struct mail_source *mails;
	const char *arguments; /* run.h */
	uint64_t seeds;        /* at most so many runs for each defect */
	unsigned workers;
	unsigned seed_timeout_s;
	bool is_confined; /* confine.h */
};

struct hunt_result {
	enum lab_defect defect;
	bool found;
	uint64_t seeds;                  /* runs up to and with the one that failed */
	const struct scenario *scenario; /* of that one; NULL: none */
	uint64_t seed;                   /* that scenario's */
	char signature[ORACLE_SIGNATURE_MAX];
	/* All that the oracle found in that run, each once (run.h). */
	char signatures[RUN_SIGNATURES_MAX][ORACLE_SIGNATURE_MAX];
	size_t signature_count;
	uint64_t broken, inconclusive; /* runs on the way */
	uint64_t wall_ns;
};

/* 0 whether or not it was found; -1 if no worker could be started, or a scenario cannot run. */
int hunt_one(const struct hunt_settings *settings, enum lab_defect defect, struct hunt_result *ret,
	struct lab_error *err);

/* The middle of the seeds to detection of those that were found, the higher of two; 0: of none. */
uint64_t hunt_median(const struct hunt_result *results, size_t count, struct lab_heap *heap);

/* One line of the table; its head is hunt_print_head(). */
void hunt_print_head(struct lab_buf *out);
void hunt_print(const struct hunt_result *result, struct lab_buf *out);
/* How many were found, and the median. */
void hunt_print_sum(const struct hunt_result *results, size_t count, struct lab_heap *heap,
	struct lab_buf *out);
/* All of it as one JSON object. */
void hunt_print_json(const struct hunt_result *results, size_t count, struct lab_heap *heap,
	struct lab_buf *out);

#endif
