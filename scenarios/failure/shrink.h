/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink.h - from a run that fails to the least that fails in the same way (simulation 3.10).
 *
 * Purpose    What the run did becomes steps, what happened to it becomes exact episodes (record.h);
 *            then whatever is not needed is taken away: episodes, users, sessions, operations;
 *            episodes become single faults; hosts, users and mails are numbered from 1; times are
 *            moved together and rounded; knobs go back to their defaults.
 * Same way   The signature of the first finding is the same. With a defect, what is left passes
 *            without it: so it shows that defect, and not what the steps do by themselves.
 * How        Each attempt is a run in a worker process (campaign.h). The result does not depend on
 *            the number of workers: of several attempts the first one counts.
 * Fallback   A run whose steps alone do not fail (a tour's price, a tie that moved) keeps its
 *            clients; only its faults and its knobs are taken away then.
 * Ownership  The result is in the arena of the settings.
 * Limits     `runs_max` and `time_limit_ns`: what has been found by then is the result.
 */
#ifndef SCENARIOS_SHRINK_H
#define SCENARIOS_SHRINK_H

#include "scenarios/campaign/campaign.h"
#include "scenarios/failure/record.h"

struct shrink_settings {
	const struct run_options *options; /* the run that fails; pool and fibers are set */
	struct lab_arena *arena;
	unsigned workers;
	uint64_t runs_max;
	uint64_t time_limit_ns; /* of wall time; 0: none */
	/* After each part: what is left. May be NULL. */
	void (*on_progress)(
		void *ctx, const char *part, uint64_t runs, size_t steps, size_t faults);
	void *ctx;
};

struct shrink_result {
	/* Runs with the seed in it; its exact episodes are also written as `episodes`. */
	struct scenario *scenario;
	char signature[ORACLE_SIGNATURE_MAX];
	bool is_told;    /* by steps; else clients do what they do */
	bool is_used_up; /* the runs or the time */
	uint64_t runs;
	size_t steps_before, steps_after;
	size_t faults_before, faults_after; /* before: that fired */
	size_t users_before, users_after;
};

/* 0; 1 if the run does not fail, with its verdict in *ret_verdict; -1 LAB_INVALID, LAB_LIMIT. */
int shrink_run(const struct shrink_settings *settings, struct shrink_result *ret,
	enum run_verdict *ret_verdict, struct lab_error *err);

#endif
