/* SPDX-License-Identifier: Apache-2.0
 *
 * event.h - what happened, once, typed: the source of the trace hash, the log, the counters and
 * the failure report.
 *
 * Names and fields are Dovecot's where the concept is the same (obox 7.3), so that a real log can
 * be laid beside a simulated one. The list is events.def; `oboxlab list events` prints it.
 *
 * Trace hash: time, host, fiber, event and every field are folded, except fields made with
 * LAB_F_VOLATILE_*: compressed sizes and anything else that another library version may change.
 * Secrets are not passed to events at all.
 */
#ifndef LAB_BASE_EVENT_H
#define LAB_BASE_EVENT_H

#include "core/base/error.h"
#include "core/base/view.h"

enum lab_level {
	LAB_DEBUG,
	LAB_INFO,
	LAB_WARNING,
	LAB_ERROR
};

enum lab_event_id {
#define X(name, level, doc) LAB_EV_##name,
#include "core/base/events.def"
#undef X
	LAB_EV_COUNT
};

enum lab_field_kind {
	LAB_FIELD_TEXT,
	LAB_FIELD_U64,
	LAB_FIELD_CODE
};

struct lab_field {
	const char *name; /* literal */
	enum lab_field_kind kind;
	bool is_volatile; /* kept out of the trace hash */
	struct lab_view text;
	uint64_t number; /* also enum lab_code */
};

#define LAB_F_TEXT(name, view) ((struct lab_field){ (name), LAB_FIELD_TEXT, false, (view), 0 })
#define LAB_F_CSTR(name, cstr) \
	((struct lab_field){ (name), LAB_FIELD_TEXT, false, lab_view_cstr(cstr), 0 })
#define LAB_F_U64(name, n) ((struct lab_field){ (name), LAB_FIELD_U64, false, { 0 }, (n) })
#define LAB_F_CODE(name, c) ((struct lab_field){ (name), LAB_FIELD_CODE, false, { 0 }, (c) })
#define LAB_F_VOLATILE_U64(name, n) ((struct lab_field){ (name), LAB_FIELD_U64, true, { 0 }, (n) })
#define LAB_F_VOLATILE_TEXT(name, view) \
	((struct lab_field){ (name), LAB_FIELD_TEXT, true, (view), 0 })

struct lab_event {
	enum lab_event_id id;
	uint64_t time_ns;               /* since the run's start; virtual in the simulated world */
	uint32_t host;                  /* 0 is the laboratory itself */
	uint64_t fiber;                 /* 0 outside of fibers */
	uint64_t sequence;              /* 1, 2, 3... in this run: "event #20418" of a report */
	const struct lab_field *fields; /* borrowed during the call */
	size_t field_count;
};

const char *lab_event_name(enum lab_event_id id);
enum lab_level lab_event_level(enum lab_event_id id);
const char *lab_event_doc(enum lab_event_id id);

/* Folds one event into a trace hash. */
uint64_t lab_event_fold(uint64_t hash, const struct lab_event *event);

/* A sink sees each event as it happens and copies what it keeps. */
typedef void (*lab_event_sink_fn)(void *ctx, const struct lab_event *event);

/* "11.293s b1 http_request_finished method=PUT status_code=503 ..." without a newline;
 * host_name may be NULL. */
struct lab_buf;
void lab_event_format(struct lab_buf *out, const struct lab_event *event, const char *host_name);

#endif
