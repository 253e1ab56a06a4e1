/* SPDX-License-Identifier: Apache-2.0
 *
 * run-record.h - what a run tells of its events, so that another one can be compared with it
 * (campaign/guard.h).
 */
#ifndef SCENARIOS_RUN_RECORD_H
#define SCENARIOS_RUN_RECORD_H

#include "core/base/event.h"

#define RUN_RECORD_EVENTS_MAX 4000000
#define RUN_RECORD_TEXT_MAX 1000

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
	char text[RUN_RECORD_TEXT_MAX];
};

/* A record to be used for one run after the other. -1: no memory. */
int run_record_init(struct run_record *record, struct lab_error *err);
void run_record_done(struct run_record *record);

/* An event, and the trace hash with it. */
void run_record_note(struct run_record *record, const struct lab_event *event, const char *host,
	uint64_t trace_hash);

#endif
