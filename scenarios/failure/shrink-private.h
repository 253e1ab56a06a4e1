/* SPDX-License-Identifier: Apache-2.0
 *
 * shrink-private.h - what the parts of shrinking share: attempts (shrink.c), taking away
 * (shrink-take.c), making simpler (shrink-simplify.c).
 */
#ifndef SCENARIOS_SHRINK_PRIVATE_H
#define SCENARIOS_SHRINK_PRIVATE_H

#include "scenarios/format/scenario-private.h"
#include "scenarios/failure/shrink.h"

#define SHRINK_BATCH_MAX 8

struct shrink {
	const struct shrink_settings *settings;
	struct shrink_result *result;
	struct scenario *best;     /* what fails, so far */
	struct lab_arena *scratch; /* of attempts */
	uint64_t end_ns;           /* of wall time */
	uint64_t accepted;         /* attempts that became the best */
};

/* An empty copy of the best, to be changed; in the scratch arena. */
struct scenario *shrink_copy(struct shrink *shrink);
/* The first of them that fails in the same way becomes the best; its index, or -1. Empties the
 * scratch arena. */
int shrink_try(struct shrink *shrink, struct scenario *const *attempts, size_t count);
bool shrink_try_one(struct shrink *shrink, struct scenario *attempt);
bool shrink_is_over(struct shrink *shrink);
void shrink_tell(struct shrink *shrink, const char *part);

/* Things that can be taken away, `count` of them now; `keep` has one for each. */
struct shrink_axis {
	size_t (*count)(const struct scenario *best);
	void (*take)(struct shrink *shrink, struct scenario *attempt, const bool *keep);
};
extern const struct shrink_axis shrink_episodes, shrink_users, shrink_sessions, shrink_steps,
	shrink_mails;
/* Takes away whatever can be: halves, quarters, ... single ones, until none of them can. */
void shrink_take_away(struct shrink *shrink, const struct shrink_axis *axis);

/* Each makes attempts of its own. */
void shrink_to_single_faults(struct shrink *shrink);
void shrink_merge_faults(struct shrink *shrink);
void shrink_faults_to_steps(struct shrink *shrink);
void shrink_hosts(struct shrink *shrink);
void shrink_numbers(struct shrink *shrink);
void shrink_name_steps(struct shrink *shrink);
/* For runs that keep their clients. */
void shrink_clients(struct shrink *shrink);
void shrink_times(struct shrink *shrink);
void shrink_knobs(struct shrink *shrink);

/* Copies that may be written to, in the scratch arena. */
struct scenario_step *shrink_own_steps(struct shrink *shrink, struct scenario *attempt);
struct fault_episode *shrink_own_exact(struct shrink *shrink, struct scenario *attempt);

#endif
