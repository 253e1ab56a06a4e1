/* SPDX-License-Identifier: Apache-2.0
 *
 * explore.h - a campaign that goes on from where runs have been that no run had been before
 * (simulation 3.8).
 *
 * Purpose    A plan is what happens to a run: its seed, its faults as exact episodes, and knobs
 *            that are turned to one value. The first runs are seeds as they are drawn, then half of
 *            them are. Of the others one half are seeds of the turn before with their faults aimed
 *            at moments of their runs (run-coverage.h), the other half plans that were kept, aimed
 *            or changed a little (explore-mutate.c). A run that passes and has a feature that none
 *            had before is kept.
 * Within     what the scenario allows: an episode is one that some seed draws, at another time
 *            or on another target; of a shorter length, if it is placed at a moment.
 * Same       for the same scenario, first seed and number of runs, however many workers there are:
 *            runs go in turns of EXPLORE_TURN, and what is changed next is decided between them.
 * Files      A plan as a scenario runs alone, in the same way (`path`, seed in it): what on_plan()
 *            is given can be printed.
 * Limits     EXPLORE_PLANS_MAX are kept, of EXPLORE_EPISODES_MAX episodes at most; faults that
 *            scripts make are not in a plan: the script makes them again.
 */
#ifndef SCENARIOS_EXPLORE_H
#define SCENARIOS_EXPLORE_H

#include "scenarios/campaign/campaign.h"

#define EXPLORE_TURN 16
#define EXPLORE_DRAWN_FIRST 64
#define EXPLORE_PLANS_MAX 1024
#define EXPLORE_EPISODES_MAX 256

enum explore_why {
	EXPLORE_KEPT,
	EXPLORE_FAILED
};

struct explore_settings {
	/* Runs of `scenario` from `first_seed` on; last_seed, prepare, on_result and on_progress
	 * are explore_run()'s. stop_at_first: after the turn of the first failure. */
	struct campaign_settings campaign;
	uint64_t runs;
	uint64_t drawn_first;  /* so many runs are seeds; 0: EXPLORE_DRAWN_FIRST */
	const char *directory; /* where plans' scenarios say that they are */
	/* A plan that was kept, or failed; `scenario` lives until the next call. May be NULL. */
	int (*on_plan)(void *ctx, enum explore_why why, const struct scenario *scenario,
		struct lab_error *err);
	/* After each turn; may be NULL. */
	void (*on_turn)(void *ctx, uint64_t runs, uint64_t failed, uint64_t kept);
	void *ctx;
};

struct explore_result {
	uint64_t drawn, changed; /* runs of seeds as they are drawn; of changed plans */
	uint64_t failed_drawn, failed_changed;
	uint64_t kept_drawn, kept_changed;   /* plans */
	uint64_t features, features_changed; /* seen; seen first by a changed plan */
	uint64_t marks, marks_changed;       /* bits: hit by drawn ones; by changed plans */
};

/* 0 whatever was found; -1 LAB_INVALID, LAB_IO. Numbers of runs, from 1, take the place of seeds in
 * *ret: where a run is named, its file is, and the seed in it. */
int explore_run(const struct explore_settings *settings, struct campaign_result *ret,
	struct explore_result *explored, struct lab_error *err);

/* Lines of a summary; the member "explored" of the object that *json is in. */
void explore_print(const struct explore_result *explored, struct lab_buf *out);
void explore_json(const struct explore_result *explored, struct lab_json *json);

#endif
