/* SPDX-License-Identifier: Apache-2.0
 *
 * campaign.h - many seeds of one scenario on all cores.
 *
 * Purpose    Worker processes take batches of seeds and run them one after the other with warm
 *            memory. A worker that crashes or hangs names its seed: the seed counts as broken, and
 *            a new worker goes on behind it.
 * Limits     CAMPAIGN_WORKERS_MAX; a seed may take `seed_timeout_s` of wall time.
 */
#ifndef SCENARIOS_CAMPAIGN_H
#define SCENARIOS_CAMPAIGN_H

#include "scenarios/runner/run.h"

#define CAMPAIGN_WORKERS_MAX 64
#define CAMPAIGN_SIGNATURES_MAX 64

struct campaign_settings {
	const struct scenario *scenario;
	const struct mail_source *mails;
	struct lab_defects defects;
	const char *arguments;          /* run.h */
	uint64_t first_seed, last_seed; /* inclusive */
	unsigned workers;
	unsigned seed_timeout_s;
	uint64_t time_limit_ns; /* of wall time; 0: until the last seed */
	/* One of so many seeds, the first one included, is run twice, and so is each that does not
	 * pass (guard.h); 0: none is. */
	uint64_t guard;
	bool is_confined;   /* runs can do nothing but compute (confine.h) */
	bool stop_at_first; /* begin nothing new after a failure */
	/* Ends with the failure of the lowest number, however many workers there are; what is
	 * broken or inconclusive does not end it. */
	bool until_failure;
	/* What else is special about a run than its seed; the number then is that of a case, and
	 * run->seed may be set. What it points to must live until the next call. May be NULL. */
	void (*prepare)(void *ctx, uint64_t number, struct run_options *run);
	/* After each seed; may be NULL. */
	void (*on_result)(void *ctx, const struct run_result *result);
	/* About once a second. */
	void (*on_progress)(void *ctx, uint64_t seeds_done, uint64_t findings, uint64_t wall_ns);
	void *ctx;
};

/* Failures of one signature. */
struct campaign_signature {
	char text[ORACLE_SIGNATURE_MAX];
	uint64_t count, first_seed;
	char report[RUN_REPORT_MAX]; /* of the first seed */
};

struct campaign_result {
	uint64_t seeds, passed, failed, broken, inconclusive;
	uint64_t excused, guarded;                       /* guarded: run twice */
	uint64_t first_failed_seed, seeds_until_failure; /* 0: none failed */
	struct run_result total; /* sums; trace_hash is the fold of all, in order of seeds */
	uint64_t missed_marks;   /* bits: the scenario demands them, and no seed reached them */
	uint64_t wall_ns;
	unsigned workers;
	struct campaign_signature signatures[CAMPAIGN_SIGNATURES_MAX];
	size_t signature_count;
	const struct explore_result *explored; /* explore.h; NULL: it did not */
};

/* 0 whatever was found; -1 if no worker could be started. */
int campaign_run(const struct campaign_settings *settings, struct campaign_result *ret,
	struct lab_error *err);

/* Adds what a further campaign found, whose seeds are behind those so far. */
void campaign_add(struct campaign_result *sum, const struct campaign_result *further);

/* 0 pass, 1 fail, 3 broken, 4 inconclusive (DESIGN 7). */
int campaign_exit_status(const struct campaign_result *result);

/* The campaigns of several scenarios, as one. */
struct campaign_total {
	struct campaign_result sum;
	size_t scenarios;
	int status;                /* the worst: fail before broken before inconclusive */
	struct lab_buf not_passed; /* which, and why; the caller's to begin and to release */
};

void campaign_total_add(
	struct campaign_total *total, const struct campaign_result *result, const char *scenario);
/* What is told once for all of them, and last: which did not pass, what was excused and why, which
 * marks no scenario hit. */
void campaign_total_print(const struct campaign_total *total, struct lab_buf *out);

/* The summary in words, and the summary object of `test --json`. */
void campaign_print(
	const struct campaign_result *result, const char *scenario, struct lab_buf *out);
void campaign_print_json(
	const struct campaign_result *result, const char *scenario, struct lab_buf *out);
/* What was found, as a member "signatures" of the object that *json is in; `unit` is what a run is
 * called: "seeds". */
void campaign_json_signatures(
	struct lab_json *json, const struct campaign_result *result, const char *unit);

#endif
