/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h - one run: a scenario and a seed, from boot to verdict (DESIGN 5).
 *
 * Phases     warmup -> storm -> heal -> settle -> audit. Safety is checked over all of it,
 * convergence from heal on; the audit opens everything afresh and compares the stores. Verdicts
 * pass, fail (the core broke an invariant), broken (the laboratory is at fault), inconclusive (a
 * checker could not decide).
 */
#ifndef SCENARIOS_RUN_H
#define SCENARIOS_RUN_H

#include "core/base/defect.h"
#include "core/base/fiber.h"
#include "core/base/mark.h"
#include "core/env/buggify.h"
#include "core/env/hold.h"
#include "scenarios/runner/excuses.h"
#include "scenarios/runner/rates.h"
#include "scenarios/runner/run-coverage.h"
#include "scenarios/format/mail-source.h"
#include "scenarios/format/scenario.h"
#include "sim/oracle/oracle.h"

enum run_verdict {
	RUN_PASS,
	RUN_FAIL,
	RUN_BROKEN,
	RUN_INCONCLUSIVE
};
const char *run_verdict_name(enum run_verdict verdict);

#define RUN_REPORT_MAX 16384
#define RUN_EPISODES_MAX 64
#define RUN_SIGNATURES_MAX 24

/* What a run that is over shows; all of it is borrowed. */
struct run_end {
	const struct history *history;
	const struct fault_plan *plan;
	const struct oracle_finding *findings; /* none if it was stopped */
	size_t finding_count;
	uint64_t warmup_end_ns, storm_end_ns, settle_end_ns, settled_ns, ended_ns;
	size_t site_backends[SCENARIO_SITES_MAX]; /* how many each site had */
};

struct run_options {
	const struct scenario *scenario;
	uint64_t seed;
	struct lab_defects defects; /* on while it runs */
	/* What else the command line said, for the commands at the end of a report; may be NULL. */
	const char *arguments;
	const struct mail_source *mails; /* NULL: generated */
	/* Beside the scenario's faults, from the start to the end of the storm. `after` counts them
	 * from 1. */
	const struct fault_episode *episodes;
	size_t episode_count;  /* at most RUN_EPISODES_MAX */
	struct lab_pool *pool; /* kept warm between runs */
	struct lab_fiber_pool *fibers;
	/* Every event, with the name of its host, for replay; may be NULL. */
	void (*on_event)(void *ctx, const struct lab_event *event, const char *host);
	void *on_event_ctx;
	/* Every line of the services' access logs; may be NULL. Not in the live world. */
	void (*on_access)(void *ctx, const struct sim_access *access);
	void *on_access_ctx;
	bool has_coverage;            /* the result says where the run has been */
	struct oracle_times *times;   /* what the checkers took; may be NULL */
	struct run_record *record;    /* may be NULL */
	uint64_t until_ns;            /* stop the run there without a verdict; 0: run to the end */
	uint64_t until_event;         /* or at that event; 0: none */
	uint64_t foreign_patience_ns; /* live world, see foreign-cql.h; 0: its default */
	struct lab_buf *canonical;    /* gets the canonical history (parity); may be NULL */
	unsigned explain_lines;       /* of how it happened, in the report; 0: 24 */
	struct lab_buf *elle;         /* gets the history as elle.h has it; may be NULL */
	/* When the run is over, before anything of it is freed; what began from `settled_ns` on is
	 * the laboratory's own (convergence, audit). May be NULL. */
	void (*on_end)(void *ctx, const struct run_end *end);
	void *on_end_ctx;
};

/* Plain data: it goes through a pipe from worker to parent. */
struct run_result {
	uint64_t seed;
	enum run_verdict verdict;
	uint64_t trace_hash, events;
	uint64_t virtual_ns;
	uint64_t operations[HISTORY_KIND_COUNT][HISTORY_UNCERTAIN + 1];
	uint64_t faults[FAULT_KIND_COUNT];
	/* Of the options' episodes: how often asked, how often fired. */
	uint64_t episode_asked[RUN_EPISODES_MAX], episode_fired[RUN_EPISODES_MAX];
	uint64_t storage_requests; /* that reached S3, Cassandra or IMDS */
	uint64_t s3_requests, cql_requests, imds_requests;
	uint64_t users, crashes;
	uint64_t marks[LAB_MARK_COUNT];
	struct lab_always_counts always;
	uint64_t holds[ENV_HOLD_COUNT]; /* fibers that a script was waiting for there */
	uint64_t buggify[ENV_BUGGIFY_COUNT];
	uint64_t demotions; /* of fibers, by a schedule of priorities */
	uint64_t leaked_objects, findings, excused;
	struct cost_report costs;
	struct oracle_routing routing;
	struct rates rates; /* of Palomar */
	struct excuses excuses;
	bool is_left; /* objects in a foreign bucket, a foreign keyspace: could not be deleted */
	char signature[ORACLE_SIGNATURE_MAX]; /* of the first finding */
	/* Of all that the oracle found, each once: `signature` is the first of them. None if it
	 * found nothing, whatever else failed. */
	char signatures[RUN_SIGNATURES_MAX][ORACLE_SIGNATURE_MAX];
	size_t signature_count;
	struct run_coverage coverage; /* nothing, unless the options ask for it */
	char report[RUN_REPORT_MAX];  /* the failure report (simulation 6.2); "" for a pass */
};

/* For all that can be under way at once in a run of the scenario. */
struct lab_fiber_pool *run_fibers_new(const struct scenario *scenario);

/* In the simulated world. 0 whatever the verdict; -1 LAB_INVALID if the scenario cannot run. */
int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err);

#endif
