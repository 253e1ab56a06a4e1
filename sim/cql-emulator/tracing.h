/* SPDX-License-Identifier: Apache-2.0
 *
 * tracing.h - what requests with the tracing flag leave in system_traces: a session each, with
 * events as the messages go from node to node, in the cluster's own time.
 *
 * Bounds     The last CQLE_TRACES_MAX sessions, CQLE_TRACE_EVENTS_MAX events of each; gone after a
 *            day, as the real ones.
 */
#ifndef LAB_CQL_EMULATOR_TRACING_H
#define LAB_CQL_EMULATOR_TRACING_H

#include "sim/cql-emulator/cql-emulator-private.h"

#define CQLE_TRACES_MAX 128
#define CQLE_TRACE_EVENTS_MAX 256
#define CQLE_TRACE_TTL_S 86400
#define CQLE_TRACE_TEXT_MAX 1024 /* of a statement; the rest is cut off */

struct cqle_trace_event {
	const char *stage; /* the thread, as Cassandra names it */
	uint64_t elapsed_us;
	uint8_t node;
	char activity[160];
};
struct cqle_trace {
	uint64_t serial; /* of its operation; 0: free */
	uint8_t id[CQL_UUID_BYTES];
	uint8_t node;
	uint64_t began_ns, duration_us;
	bool finished;
	const char *request; /* "Execute CQL3 query" */
	struct lab_view query;
	enum cql_consistency consistency, serial_consistency;
	int32_t page_size; /* 0: none */
	bool is_prepare;
	struct cqle_trace_event *events;
	size_t event_count, event_capacity;
};

struct cqle_traces {
	struct cqle_trace items[CQLE_TRACES_MAX];
	size_t next; /* the oldest, to be taken again */
	uint64_t version;
};

/* A request has come; its statement may be said later. */
void cqle_trace_begin(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
/* Something that a node does for it; ignored if the request is not traced. */
void cqle_trace(struct cqlemu *emu, const struct cqle_op *op, size_t node, const char *stage,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A message leaves, or arrives. */
void cqle_trace_message(struct cqlemu *emu, const struct cqle_event *message, bool arrives);
/* The client gets its answer. NULL: not traced. */
const uint8_t *cqle_trace_end(struct cqlemu *emu, const struct cqle_op *op);
void cqle_traces_free(struct cqlemu *emu);

#endif
