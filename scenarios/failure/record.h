/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - what a run did and what happened to it, as the steps and episodes of a scenario that
 * does the same again.
 *
 * Same       A run of record_scenario() with the same seed asks for the same at the same time and
 *            has the same faults: it finds the same, though its trace hash is its own. What no step
 *            can be (tours are priced, rule 36) is not judged there.
 * Ownership  Everything recorded is in the arena.
 */
#ifndef SCENARIOS_RECORD_H
#define SCENARIOS_RECORD_H

#include "scenarios/runner/run.h"

struct recorded {
	uint64_t seed;
	struct scenario_step *steps; /* in the order in which they were asked for */
	size_t step_count;
	struct fault_episode *episodes; /* all of the plan; `asked` and `fired` say what became */
	size_t episode_count;
	struct fault_record *records; /* injected faults: the last FAULT_RECORDS_MAX */
	size_t record_count;
	size_t operations; /* of the history, with those of the laboratory itself */
	uint64_t warmup_ns, storm_ns, settle_ns;
	/* Steps and episodes name backends, so as many as there were there must be. */
	size_t site_backends[SCENARIO_SITES_MAX];
};

/* Everything that clients, MTAs and operators began before `until_ns`. */
void record_steps(const struct history *history, uint64_t until_ns, struct lab_arena *arena,
	struct scenario_step **ret, size_t *ret_count);

/* run_simulated(), and what it did. The options' own on_end is not called. */
int record_run(const struct run_options *options, struct lab_arena *arena, struct recorded *ret,
	struct run_result *result, struct lab_error *err);

/* The scenario without clients, operators and drawn faults, with what was recorded instead. It
 * borrows from both. */
void record_scenario(
	const struct scenario *base, const struct recorded *recorded, struct scenario *ret);

#endif
