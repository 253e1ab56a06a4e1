/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.h - is a run the same when it is run again? (simulation 3.6)
 *
 * Purpose    A failure that cannot be repeated is the laboratory's own. So a share of all runs,
 *            and each that did not pass, is done once more before it counts, in a process of its
 *            own and in other surroundings: other bytes in memory that was freed, other addresses,
 *            other environment variables, another directory. Whatever differs makes the seed
 *            BROKEN, and the first event that differs is named.
 * Compared   The trace hash after each event (the first GUARD_EVENTS_MAX of them) and at the end,
 *            verdict, signature and report.
 * Limits     Both runs are of one build on one machine. Addresses differ by what is mapped before;
 *            `ci/checks/determinism` compares whole processes, also without address randomisation.
 */
#ifndef SCENARIOS_GUARD_H
#define SCENARIOS_GUARD_H

#include "scenarios/runner/run.h"

#define GUARD_EVENTS_MAX 4000000
#define GUARD_TEXT_MAX 1000

/* What one run tells of its events. */
struct run_record {
	uint64_t *hashes; /* after each; NULL: not kept */
	size_t count;
	/* Compared with this one as it goes. */
	const struct run_record *expected;
	bool is_different;
	size_t different_at;  /* index of the first event that is */
	size_t wanted;        /* index + 1 of an event whose text is wanted; 0: none */
	uint64_t sequence;    /* of the event whose text is kept */
	struct lab_buf *line; /* for work, when texts are */
	char text[GUARD_TEXT_MAX];
};

/* A record to be used for one run after the other. -1: no memory. */
int guard_record_init(struct run_record *record, struct lab_error *err);
void guard_record_done(struct run_record *record);

/* run.c: an event, and the trace hash with it. */
void guard_note(struct run_record *record, const struct lab_event *event, const char *host,
	uint64_t trace_hash);

/* Runs it once more in a child process. `options` has the record of the first run, whose result is
 * in *result; it becomes BROKEN if the second is another one. -1: no process could be started. */
int guard_again(
	const struct run_options *options, struct run_result *result, struct lab_error *err);

#endif
