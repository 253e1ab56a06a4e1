/* SPDX-License-Identifier: Apache-2.0
 *
 * session.h - a connection, its requests, and their answers: session.c, request.c,
 * change.c, result.c.
 */
#ifndef LAB_CQL_EMULATOR_SESSION_H
#define LAB_CQL_EMULATOR_SESSION_H

#include "sim/cql-emulator/operation.h"

enum cqle_session_state {
	CQLE_SESSION_NEW,
	CQLE_SESSION_AUTH,
	CQLE_SESSION_READY
};

#define CQLE_EVENT_TOPOLOGY 1u
#define CQLE_EVENT_STATUS 2u
#define CQLE_EVENT_SCHEMA 4u

struct cqle_session {
	struct cqlemu *emu;
	struct cqle_session *next, *previous; /* all of them */
	struct cqle_session *next_pending;
	struct cqle_session *next_dead;
	bool pending;       /* has input that came from inside of a callback */
	bool close_pending; /* likewise its end */
	bool closed, stalled;
	uint8_t *names; /* memory of peer_name */
	size_t node;
	uint64_t number;
	struct lab_view peer_name;
	sim_stream_output_fn output;
	void *output_ctx;
	enum cqle_session_state state;
	uint8_t version; /* 0 until STARTUP */
	enum cql_compression compression;
	bool segmented;            /* version 5, behind READY or AUTHENTICATE */
	struct lab_buf large;      /* a frame that comes in several segments */
	struct cqle_stuck *stuck;  /* wire.c; NULL: all is well */
	uint64_t skip, skip_bytes; /* of a frame that is too long: still to come, all */
	int16_t skip_stream;
	uint64_t rate_second; /* of the profile's rate: requests in this second */
	unsigned rate_count;
	struct lab_view keyspace; /* of USE; the schema's view */
	struct cqle_role *role;   /* who has logged in; NULL: nobody has to */
	unsigned events;
	size_t inflight;
	struct lab_buf in;
	/* Answers that wait for an engine to keep what they tell of. */
	struct cqle_session *next_holding;
	bool holding;
	struct lab_buf held;
	enum sim_wire held_wire;
};

/* wire.c: one answer; at once, whatever is in flight. */
void cqle_wire_send(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	const struct cql_response *response, enum sim_wire wire);
/* Handles the requests that `data` begins with; returns the bytes they had. */
size_t cqle_wire_take(struct cqlemu *emu, struct cqle_session *s, struct lab_view data);
/* handshake.c: a request that came whole. */
void cqle_handle_frame(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame);

/* Frees those that were closed. */
void cqle_session_bury(struct cqlemu *emu);
/* Sends an answer; applies the operation's fault; writes the access log; finishes the request's
 * part that the client sees. */
void cqle_op_answer(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response);
void cqle_op_answer_error(struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error);
void cqle_op_fail(struct cqlemu *emu, struct cqle_op *op, const struct lab_error *err);
/* As cqle_fail(), of a message that may be longer than lab_error's. */
int cqle_fail_long(struct cqlemu *emu, struct lab_error *err, unsigned code, const char *text);
void cqle_op_warn(struct cqle_op *op, const char *text);
/* The time by which things expire: the client's, if it gave one. */
uint32_t cqle_op_now_s(const struct cqlemu *emu, const struct cqle_op *op);
/* Says which nodes (a bit for each) failed, and why (those of `ignorant`: for another schema):
 * version 5 sends it. */
void cqle_error_blame(const struct cqlemu *emu, struct cqle_op *op, struct cql_error *error,
	uint64_t nodes, uint64_t ignorant, enum cql_failure_reason reason);
/* The request's work begins: after faults that delay it. */
void cqle_request_run(struct cqlemu *emu, struct cqle_op *op);
/* An answer that a fault decided: after its delay. */
void cqle_fault_answer(struct cqlemu *emu, struct cqle_op *op);
void cqle_fault_answer_later(struct cqlemu *emu, struct cqle_op *op);
/* Around everything that is called from outside. */
void cqle_enter(struct cqlemu *emu, uint64_t now_ns);
void cqle_leave(struct cqlemu *emu);
/* Asks for a fault at `point`, then runs the request, or does what the fault says. */
void cqle_request_begin(struct cqlemu *emu, struct cqle_op *op, const char *point);
void cqle_op_unprepared(struct cqlemu *emu, struct cqle_op *op, struct lab_view id);
void cqle_session_reset(struct cqlemu *emu, struct cqle_session *session);
void cqle_session_run(struct cqlemu *emu, struct cqle_session *session);
void cqle_event_status(struct cqlemu *emu, size_t observer, size_t node, bool up);
void cqle_event_schema(struct cqlemu *emu, size_t node, const struct cql_schema_change *change);

/* ---- request.c: what QUERY, PREPARE, EXECUTE and BATCH do ---- */

void cqle_do_query(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_prepare(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_execute(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_do_batch(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request);
void cqle_prepared_forget(struct cqlemu *emu, struct cqle_node *node, struct lab_view id);
/* The answer to PREPARE, once faults allow. */
void cqle_prepare_run(struct cqlemu *emu, struct cqle_op *op);
/* Runs a statement that is no request: for set-up. */
int cqle_setup(struct cqlemu *emu, struct lab_view text, struct lab_error *err);

/* Answers with an error that is not the cluster's, and ends the operation. */
void cqle_op_refuse(struct cqlemu *emu, struct cqle_op *op, uint32_t code, const char *text);
/* Why this consistency level makes no sense here; NULL if it does. */
const char *cqle_refused_consistency(const struct cqle_op *op, bool write);
/* Begins to read for op->select, which is bound. */
void cqle_read_prepare(struct cqlemu *emu, struct cqle_op *op);

/* ---- change.c ---- */

void cqle_do_change(struct cqlemu *emu, struct cqle_op *op, const struct cql_bind *values);
/* Of BATCH: op->change.items has room. */
void cqle_change_add(struct cqle_op *op, struct cqle_plan *plan, const struct cql_bind *values);
void cqle_change_start(struct cqlemu *emu, struct cqle_op *op);
/* Rows that were read for a change; all of them have been. */
void cqle_change_known(struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer);
void cqle_change_read_done(struct cqlemu *emu, struct cqle_op *op);
/* The rows of a conditional change may be read; its mutation is agreed on. */
void cqle_change_read(struct cqlemu *emu, struct cqle_op *op);
void cqle_change_commit(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation);
/* The row (NULL: the static one) as it was read before; NULL if it is not there. */
const struct cqle_row *cqle_change_row(const struct cqle_change *change,
	const struct cqle_table *table, struct lab_view key, const struct lab_view *row);
void cqle_change_release(struct cqlemu *emu, struct cqle_op *op);
/* Applies a change on every replica at once. */
int cqle_change_setup(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_plan *plan, struct lab_error *err);

/* ---- result.c: rows to cells ---- */

struct cqle_result {
	struct lab_view *cells;
	size_t row_count, capacity;
	struct cqle_aggregate *states; /* of the group in hand */
	bool in_group;                 /* it has rows */
	struct lab_view *orders;       /* of plan->sorted: what each row is sorted by */
	size_t order_capacity;
	struct lab_view group_key, group_row;
	bool failed; /* a function could not be computed: `err` */
	struct lab_error err;
	/* Where the page ended: */
	bool more;
	struct lab_view last_key, last_row;
	size_t partition_remaining;
	size_t live; /* rows that go to the client */
};
/* A column of a row's primary key; `row` NULL: of a partition. Borrows, or from the arena. */
struct cqle_key_view {
	const struct cqle_table *table;
	struct lab_view key, row;
};
struct lab_view cqle_key_value(struct lab_arena *arena, const struct cqle_key_view *keys,
	const struct cqle_column *column);
bool cqle_order_matches(enum operator op, int order);
/* Adds the live rows of `answer`, at most `room` of them. */
void cqle_result_add(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer, size_t room);
void cqle_result_finish(struct cqlemu *emu, struct cqle_op *op);
/* sort.c: what the row that was added last is sorted by; puts the rows in order. */
void cqle_result_note_order(struct cqle_op *op, struct lab_view key);
void cqle_result_sort(struct cqle_op *op);
/* Cassandra's unsigned vint: the number of leading ones says how many bytes follow. */
void cqle_vint_put(struct lab_buf *out, uint64_t value);
int cqle_vint_take(struct lab_view *rest, uint64_t *ret);
/* Paging state of 4.0 (cql-imds 1.5). */
struct lab_view cqle_paging_write(struct lab_arena *arena, const struct cqle_table *table,
	struct lab_view key, struct lab_view row, size_t remaining, size_t partition_remaining);
struct cqle_paging {
	struct lab_view key; /* ptr NULL: the statement's only one */
	struct lab_view row; /* comparable bytes; ptr NULL: none of this partition yet */
	size_t remaining, partition_remaining;
};
int cqle_paging_read(struct lab_arena *arena, const struct cqle_table *table, struct lab_view state,
	struct cqle_paging *ret);

/* ---- keep.c: with an engine (storage-engine.h); without one these do nothing ---- */

/* Of each node. */
struct cqle_store **cqle_stores_new(
	struct cqlemu *emu, const struct cqle_table *table, bool durable);
void cqle_keep_statement(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	const struct cql_schema_change *change);
int cqle_keep_restore(struct cqlemu *emu, struct lab_error *err);
/* Commits, and lets answers go; or else all nodes die, once this is the end of a call. */
void cqle_keep(struct cqlemu *emu, bool at_end);
/* Sends bytes on the connection, or holds them until cqle_keep(). */
void cqle_output(
	struct cqlemu *emu, struct cqle_session *s, struct lab_view data, enum sim_wire wire);

#endif
