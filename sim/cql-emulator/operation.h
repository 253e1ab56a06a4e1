/* SPDX-License-Identifier: Apache-2.0
 *
 * operation.h - one request in flight: operation.c, write.c, read-path.c, paxos.c, counter.c.
 */
#ifndef LAB_CQL_EMULATOR_OPERATION_H
#define LAB_CQL_EMULATOR_OPERATION_H

#include "sim/cql-emulator/cluster.h"

enum cqle_op_kind {
	CQLE_OP_READ,
	CQLE_OP_WRITE,
	CQLE_OP_OTHER
};

/* One mutation of a write and who has it. Masks are of node numbers. */
struct cqle_write {
	struct cqle_mutation *mutation;
	uint64_t replicas, sent, acked, refused;
	/* Of a counter: the leader has made shards of the deltas / has said that enough have them.
	 */
	bool resolved, led;
	size_t leader;
};

/* What a change was asked to do, until it has become `writes`. */
struct cqle_known {
	const struct cqle_table *table;
	struct cqle_bytes *key;
	struct cqle_row *row;
	bool is_static;
};
struct cqle_change {
	struct cqle_change_item *items;
	size_t count;
	const struct cql_bind *values; /* of a batch written as text */
	bool is_batch;
	enum cql_batch_type batch_type;
	bool reading; /* rows have to be read first */
	bool conditional;
	size_t next; /* item to read for */
	struct cqle_known *known;
	size_t known_count, known_capacity;
};

/* A conditional change, or a read at SERIAL, on its way to agreement (paxos.c). */
struct cqle_paxos {
	struct cqle_table *table;
	struct cqle_bytes *key;
	enum cql_consistency serial, commit_consistency;
	bool read_only;
	enum cqle_paxos_phase phase;
	uint64_t ballot, highest; /* ours, and the highest that we have heard of */
	uint64_t participants, replied, agreed;
	unsigned required, contentions;
	uint64_t deadline_ns; /* of contention */
	bool finishing;       /* what somebody else left accepted */
	struct cqle_mutation *mutation;
	struct cqle_promise *promises[CQLEMU_NODES_MAX];
};

#define CQLE_TRIES_MAX 24 /* of one sub-read: digest mismatch, short reads */

struct cqle_op {
	struct cqle_op *next_free;
	struct cqle_op *next, *previous; /* active ones */
	uint64_t serial;
	enum cqle_op_kind kind;
	struct cqle_session *session; /* NULL: gone, or none */
	size_t node;                  /* coordinator */
	int16_t stream;
	uint8_t version;
	bool tracing;
	bool answered; /* the client has its answer; late acks may still come */
	bool finished;
	unsigned holds; /* callers on the stack that still need it */
	struct lab_arena *arena;
	struct cqle_plan *plan;
	struct cql_params params;
	uint64_t received_ns;
	struct sim_fault fault;
	struct cqle_event *timer;       /* TIMEOUT */
	struct cqle_event *speculation; /* SPECULATE */
	struct cqle_event *resume;      /* RESUME: keeps the operation alive */
	bool prepared_to_answer;        /* RESUME answers with the fault's error, else it begins */
	struct lab_view *warnings;
	size_t warning_count;

	/* for the access log */
	struct lab_view operation, subject, user, object, text;
	int64_t timestamp_us;
	uint64_t bytes, body_hash;
	bool applied;
	struct lab_view prepared_id; /* of EXECUTE */
	struct lab_view result_id;   /* likewise, version 5 */
	uint8_t new_id[16];          /* of PREPARE */

	/* WRITE */
	struct cqle_change change;
	struct cqle_paxos *paxos; /* NULL: no agreement is needed */
	struct cqle_write *writes;
	size_t write_count;
	const char *write_type;
	bool counter;  /* a leader for each write */
	bool batchlog; /* the batch log's nodes are asked first */
	bool batchlog_done;
	unsigned batchlog_required, batchlog_acks;
	size_t batchlog_node;
	bool hint_is_enough; /* ANY */
	bool sending;
	bool placed; /* replicas were found */
	enum cql_consistency consistency;

	/* READ: one sub-read after the other, of a partition or a part of the ring */
	const struct cqle_plan *reading; /* the plan, or a change's that has to read first */
	struct cqle_select select;
	struct cqle_read read;
	size_t next_key;               /* of select.keys */
	size_t next_range;             /* of the ring: ring_count + 1 of them */
	struct cqle_paging *resume_at; /* of the page before */
	bool looping, again;           /* the next sub-read is due */
	uint32_t round; /* counts all rounds of all sub-reads: old answers are ignored */
	unsigned tries; /* rounds of this sub-read */
	bool full;      /* digests differed: everybody sends data */
	uint64_t candidates, asked, replied, failed;
	uint64_t ignorant;               /* of those that failed: the table is unknown there */
	uint8_t order[CQLEMU_NODES_MAX]; /* candidates, nearest first */
	size_t order_count;
	struct cqle_answer *answers[CQLEMU_NODES_MAX]; /* by node */
	struct cqle_answer *merged;
	unsigned required, repairs_waiting;
	uint64_t asked_ns;        /* this round */
	uint64_t extra, extra_ns; /* asked in speculation, and when */
	unsigned speculating;     /* replicas to ask at once beyond those required */
	uint64_t speculation_ns;  /* of this table; UINT64_MAX: never */
	size_t wanted;            /* rows of this page; SIZE_MAX: all */
	size_t remaining;         /* of LIMIT at the start of this page */
	struct cqle_result *result;
};

struct cqle_op *cqle_op_new(struct cqlemu *emu, struct cqle_session *session, size_t node);
void cqle_op_hold(struct cqle_op *op);
/* Gives it back to the pool once it is finished and nobody holds it. */
void cqle_op_release(struct cqlemu *emu, struct cqle_op *op);
void cqle_op_finish(struct cqlemu *emu, struct cqle_op *op);
/* Arms one of the operation's timers. */
void cqle_op_arm(struct cqlemu *emu, struct cqle_op *op, enum cqle_event_kind kind, uint64_t at_ns);
void cqle_op_disarm(struct cqlemu *emu, struct cqle_event **event);
/* After a kill: nobody is answered any more. */
void cqle_op_forget(struct cqlemu *emu, struct cqle_op *op);

/* write.c, read-path.c */
void cqle_write_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_write_ack(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from);
void cqle_write_refused(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from);
/* A counter's leader says that enough have it. */
void cqle_write_led(struct cqlemu *emu, struct cqle_op *op, size_t slot);
void cqle_write_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_answer *answer);
void cqle_read_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_read_speculate(struct cqlemu *emu, struct cqle_op *op);
void cqle_repair_ack(struct cqlemu *emu, struct cqle_op *op);
/* One replica's answer to the operation's present read. */
struct cqle_answer *cqle_read_at(struct cqlemu *emu, struct cqle_op *op, size_t node);
/* The applying part of a LATE write. */
void cqle_write_late(struct cqlemu *emu, struct cqle_op *op);

/* visibility.c */
/* A change that cqle_ddl() made: from its coordinator to the others, with events to their clients.
 * SIZE_MAX: in set-up, everybody knows. */
void cqle_schema_spread(
	struct cqlemu *emu, size_t coordinator, const struct cql_schema_change *change);
void cqle_schema_heard(struct cqlemu *emu, size_t node, uint64_t id);
/* Who knows tells who does not. True if more can happen by itself. */
bool cqle_schema_gossip(struct cqlemu *emu);
void cqle_schema_node_starts(struct cqlemu *emu, size_t node);
void cqle_schema_done(struct cqlemu *emu);
/* snitch.c */
void cqle_snitch_init(struct cqlemu *emu);
/* An answer to a read has come / may never come: it is waited for until it expires. */
void cqle_snitch_heard(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns);
void cqle_snitch_waits(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns);
void cqle_snitch_silence(struct cqlemu *emu, const struct cqle_event *event);
/* `order` is that of the topology; becomes that of the scores if it is much better. */
void cqle_snitch_order(struct cqlemu *emu, size_t coordinator, uint8_t *order, size_t count);
/* When a message that nobody answers is given up: after its timeout, when the reaper comes by. */
uint64_t cqle_expiry_ns(
	const struct cqlemu *emu, size_t node, uint64_t sent_ns, uint64_t timeout_ns);
/* A read of one partition is over, well or not. */
void cqle_read_took(struct cqlemu *emu, struct cqle_table *table, size_t coordinator, uint64_t ns);
/* After how long one more replica is asked: 0 at once, UINT64_MAX never. */
uint64_t cqle_speculation_ns(struct cqlemu *emu, struct cqle_table *table, size_t coordinator);
void cqle_read_latency_free(struct cqlemu *emu, struct cqle_table *table);

/* counter.c */
size_t cqle_counter_leader(
	const struct cqlemu *emu, const struct cqle_op *op, uint32_t slot, uint64_t live);
/* What a mutation of deltas comes to at a node. A new reference. */
struct cqle_mutation *cqle_counter_resolve(
	struct cqlemu *emu, size_t node, struct cqle_mutation *mutation);
/* A CQLE_MSG_COUNTER has come; `current`: its operation still waits. */
void cqle_counter_lead(struct cqlemu *emu, const struct cqle_event *message, bool current);
/* A replica has told the leader that it has the shards. */
void cqle_counter_ack(struct cqlemu *emu, const struct cqle_event *message);
/* The leader gives up those that have not. */
void cqle_counter_expire(struct cqlemu *emu, const struct cqle_event *event);
void cqle_counter_answer_failure(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_write *w, uint64_t failed);

/* paxos.c */
struct cqle_paxos *cqle_paxos_new(struct cqlemu *emu, struct cqle_op *op, struct cqle_table *table,
	struct lab_view key, enum cql_consistency serial);
/* Begins with what cqle_paxos_new() made. A change is called back with cqle_change_read() when it
 * may read, calls cqle_paxos_propose(), and is called back with cqle_change_commit(). */
void cqle_paxos_start(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_propose(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation);
/* What the proposal's cells are stamped with. */
int64_t cqle_paxos_timestamp(const struct cqle_op *op);
void cqle_paxos_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_promise *promise);
void cqle_paxos_timeout(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_again(struct cqlemu *emu, struct cqle_op *op);
void cqle_paxos_release(struct cqlemu *emu, struct cqle_op *op);
/* A replica's part: its answer, with a reference; NULL: it has no room to remember, and is silent.
 */
struct cqle_promise *cqle_paxos_serve(struct cqlemu *emu, const struct cqle_event *message);
/* The mutation has been committed under this ballot. */
void cqle_paxos_learn(
	struct cqlemu *emu, size_t node, struct cqle_mutation *mutation, uint64_t ballot);
void cqle_paxos_clear(struct cqlemu *emu, struct cqle_node *node);
struct cqle_promise *cqle_promise_ref(struct cqle_promise *promise);
void cqle_promise_unref(struct cqlemu *emu, struct cqle_promise *promise);

/* condition.c */
/* 1: they hold, 0: not; -1. */
int cqle_conditions_hold(struct cqlemu *emu, struct cqle_op *op, struct lab_error *err);
/* Answers [applied] false with what is there, and ends the operation / answers [applied] true. */
void cqle_conditions_refuse(struct cqlemu *emu, struct cqle_op *op);
void cqle_conditions_applied(struct cqlemu *emu, struct cqle_op *op);

/* consistency.c */
unsigned cqle_block_for(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node);
/* Which replicas count. */
uint64_t cqle_eligible(
	const struct cqlemu *emu, enum cql_consistency cl, size_t node, uint64_t replicas);
/* 0, or -1 with an UNAVAILABLE in *ret. */
int cqle_assure_live(struct cqlemu *emu, const struct cqle_keyspace *ks, enum cql_consistency cl,
	size_t node, uint64_t replicas, uint64_t live, struct lab_arena *arena,
	struct cql_error *ret);
/* How many of the required answers are there: at most block_for. */
unsigned cqle_received(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node, uint64_t acked);
uint64_t cqle_live_view(const struct cqlemu *emu, size_t node);
/* "Operation failed - received 1 responses and 1 failures: REASON from /10.0.0.1:7000". */
const char *cqle_failures(struct cqlemu *emu, struct lab_arena *arena, uint64_t failed,
	uint64_t ignorant, unsigned received, const char *reason);

#endif
