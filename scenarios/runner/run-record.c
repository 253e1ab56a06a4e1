/* SPDX-License-Identifier: Apache-2.0
 *
 * run-record.c - kept, or compared as it goes.
 */
#include "scenarios/runner/run-record.h"

#include "core/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

int run_record_init(struct run_record *record, struct lab_error *err)
{
	*record = (struct run_record){ .hashes = calloc(RUN_RECORD_EVENTS_MAX, sizeof(uint64_t)) };
	return record->hashes != NULL
		       ? 0
		       : lab_fail(err, LAB_LIMIT, "no memory for the record of a run");
}

void run_record_done(struct run_record *record)
{
	free(record->hashes);
	*record = (struct run_record){ .hashes = NULL };
}

static void keep_text(struct run_record *r, const struct lab_event *event, const char *host)
{
	r->sequence = event->sequence;
	if (r->line == NULL)
		return;
	lab_buf_reset(r->line);
	lab_event_format(r->line, event, host);
	(void)snprintf(r->text, sizeof(r->text), "%s", lab_buf_cstr(r->line));
}

void run_record_note(
	struct run_record *r, const struct lab_event *event, const char *host, uint64_t trace_hash)
{
	const struct run_record *expected = r->expected;
	size_t at = r->count++;

	if (r->hashes != NULL && at < RUN_RECORD_EVENTS_MAX)
		r->hashes[at] = trace_hash;
	if (r->wanted == at + 1)
		keep_text(r, event, host);
	if (expected == NULL || r->is_different || at >= RUN_RECORD_EVENTS_MAX ||
		(at < expected->count && expected->hashes[at] == trace_hash))
		return;
	r->is_different = true;
	r->different_at = at;
	if (r->wanted == 0)
		keep_text(r, event, host);
}
