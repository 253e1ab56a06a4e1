/* SPDX-License-Identifier: Apache-2.0
 *
 * judge.h - from the end of a run to its result, in either world: the oracle with what the settings
 * promise, the verdict, the sums.
 */
#ifndef SCENARIOS_JUDGE_H
#define SCENARIOS_JUDGE_H

#include "scenarios/runner/scene.h"
#include "scenarios/runner/workload.h"

struct judge_case {
	const struct run_options *options;
	struct scene *scene;
	struct oracle *oracle;
	struct history *history;
	const struct workload *workload;
	struct lab_heap *heap; /* for work */
	uint64_t healed_ns, ended_ns;
	uint64_t trace_hash, events, crashes;
};

struct oracle *judge_new_oracle(const struct scene *scene, struct lab_heap *heap);
/* Those that are up before it listens. */
void judge_backends(struct oracle *oracle, const struct scene *scene);
/* And controllers; NULL: there are none. */
struct palomar;
void judge_proxies(struct oracle *oracle, struct palomar *palomar);
/* Tells the oracle, and counts. */
void judge_access(
	struct oracle *oracle, const struct sim_access *access, struct run_result *result);
/* The services must not be used by another thread any more. */
void judge(const struct judge_case *c, struct run_result *ret);
/* Expectations of scripts that failed; after judge(). */
struct scripts;
void judge_scripts(
	const struct judge_case *c, const struct scripts *scripts, struct run_result *ret);
/* What the core counted of itself (mark.h); after those. */
void judge_always(const struct judge_case *c, struct run_result *ret);
void judge_collect(const struct judge_case *c, struct run_result *ret);
/* The laboratory itself failed. */
void judge_broken(
	const struct run_options *options, const struct lab_error *err, struct run_result *ret);

#endif
