/* SPDX-License-Identifier: Apache-2.0
 *
 * trace-private.h - shared by trace.c (what is told), trace-fibers.c (how slices of a fiber nest)
 * and trace-write.c (lines).
 */
#ifndef SCENARIOS_TRACE_PRIVATE_H
#define SCENARIOS_TRACE_PRIVATE_H

#include "scenarios/failure/trace.h"

#define TRACE_SPANS 32 /* that a fiber is known for */
#define TRACE_NODES_MAX 1024

/* Processes of the viewer. */
enum trace_pid {
	TRACE_LAB = 1,
	TRACE_CLIENTS = 2,
	TRACE_HOSTS = 1000, /* and the host's number */
	TRACE_NODES = 100000
};

struct trace_span {
	uint64_t start_ns, end_ns; /* UINT64_MAX: not over */
	enum lab_event_id what;    /* that began it, if it is not over */
};

struct trace_fiber {
	uint64_t number; /* 0: the slot is free */
	uint32_t host;
	uint64_t track;
	struct trace_span spans[TRACE_SPANS]; /* in order; what is not over holds what follows */
	size_t count;
};

struct trace {
	struct lab_heap *heap;
	trace_write_fn write;
	void *ctx;
	struct lab_buf line;
	struct lab_json json;
	struct lab_error err; /* the first one */
	bool has_lines;
	struct trace_fiber *fibers;                /* TRACE_FIBERS, by number */
	struct lab_map *nodes;                     /* of services, by name: their pids */
	bool is_named[TRACE_NODES_MAX];            /* hosts, by number */
	enum lab_event_id starts_of[LAB_EV_COUNT]; /* X_finished: X_started, or LAB_EV_COUNT */
	uint64_t last_track, last_access, now_ns;
	char phase[64];
};

/* trace-write.c */

struct trace_line {
	char phase; /* b, e, i, M */
	const char *category;
	struct lab_view name;
	uint64_t pid, time_ns;
	char track[32]; /* of b and e */
	char scope;     /* of i */
};

/* Between the two, members of args are written to trace->json. */
void trace_begin(struct trace *trace, const struct trace_line *line);
void trace_end(struct trace *trace);
void trace_process(struct trace *trace, uint64_t pid, struct lab_view name);
/* The fields of an event, with its number. */
void trace_fields(struct trace *trace, const struct lab_event *event);

/* trace-fibers.c */

/* An event of a fiber, or of none, of a host. */
void trace_fiber_event(struct trace *trace, const struct lab_event *event);
/* What its fibers were doing ends here; UINT32_MAX: all hosts. */
void trace_fibers_end(struct trace *trace, uint32_t host, const char *why);

#endif
