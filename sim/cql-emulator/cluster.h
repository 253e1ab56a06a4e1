/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h - nodes, ring, messages, timers, hints: cluster.c, ring.c, messages.c, hints.c, node.c.
 */
#ifndef LAB_CQL_EMULATOR_CLUSTER_H
#define LAB_CQL_EMULATOR_CLUSTER_H

#include "sim/cql-emulator/bind.h"

struct cqle_replicas { /* in ring order, the first is the primary */
	uint8_t nodes[CQLEMU_NODES_MAX];
	size_t count;
};

struct cqle_token {
	int64_t token;
	size_t node;
};

struct cqle_prepared {
	struct cqle_prepared *older, *newer; /* by last use */
	struct cqle_plan *plan;
	uint8_t id[16];
	bool warn_use;
};

struct cqle_view { /* what one node thinks of another */
	bool up;
	uint64_t heard_ns;      /* last time it was reachable */
	uint32_t incarnation;   /* that it has heard of */
	uint64_t down_since_ns; /* when convicted */
	uint64_t schema_digest; /* of one that is down: what it was then */
};

#define CQLE_LATENCY_SAMPLES 16
/* How long a node took to answer another one's reads (snitch.c). */
struct cqle_latency {
	uint64_t at_ns[CQLE_LATENCY_SAMPLES], took_ns[CQLE_LATENCY_SAMPLES];
	unsigned count, next;
	bool is_new; /* samples have come since the score was made */
	uint64_t score_ns, heard_ns;
	struct cqle_event *silence; /* somebody waits for it in vain */
};

/* Of one table's reads, as one coordinator saw them. */
#define CQLE_READ_BUCKETS 165
struct cqle_read_latency {
	uint32_t counts[CQLE_READ_BUCKETS]; /* 256 for each read, decaying */
	uint64_t period;                    /* number of the last update */
	uint64_t threshold_ns;
};

struct cqle_node {
	struct lab_view name, dc_name, rack_name, zone;
	char address_text[16];
	uint8_t address[4];
	unsigned dc;
	uint8_t host_id[CQL_UUID_BYTES];
	enum cqlemu_node_state state;
	uint64_t connections, requests, statements; /* counters */
	uint32_t incarnation;
	struct cqle_view views[CQLEMU_NODES_MAX];
	uint64_t *ordinals;                  /* messages sent to each node: hooks->latency */
	struct cqle_latency *latencies;      /* of each node, as this one saw them */
	uint64_t schema_digest;              /* of all changes that it knows */
	bool has_latencies;                  /* any */
	uint64_t busy_ns;                    /* what it asks of itself takes so long */
	uint64_t score_tick, score_phase_ns; /* when scores were made last, in updates */
	uint64_t reset_ns;                   /* samples forgotten */
	struct lab_map *paxos;    /* table id and partition key to struct cqle_paxos_state */
	struct lab_map *prepared; /* id to struct cqle_prepared */
	struct cqle_prepared *oldest, *newest;
	struct cqle_event *deferred, *deferred_last; /* while frozen */
	size_t deferred_count;
	/* Of the commit log: what is not yet in the durable stores. */
	struct cqle_journal *journal, *journal_last;
};

enum cqle_event_kind {
	CQLE_EV_MESSAGE,
	CQLE_EV_TIMEOUT,   /* of an operation */
	CQLE_EV_SPECULATE, /* of an operation */
	CQLE_EV_RESUME,    /* of an operation: a fault's delay is over */
	CQLE_EV_BACKOFF,   /* of an operation: Paxos tries again */
	CQLE_EV_GOSSIP,
	CQLE_EV_HINTS,   /* from -> to: send what waits */
	CQLE_EV_SILENCE, /* `to` has not answered a read of `from` in time */
	CQLE_EV_EXPIRE   /* what `from`, a counter's leader, sent is given up */
};

enum cqle_message_kind {
	CQLE_MSG_WRITE,
	CQLE_MSG_COUNTER, /* to the leader; `forward` are the replicas that it may tell */
	CQLE_MSG_COUNTER_DONE,
	CQLE_MSG_SCHEMA,        /* `ballot` is the change */
	CQLE_MSG_WRITE_REFUSED, /* the replica does not know the table */
	CQLE_MSG_WRITE_ACK,
	CQLE_MSG_READ,
	CQLE_MSG_READ_ANSWER,
	CQLE_MSG_HINT,
	CQLE_MSG_PAXOS,
	CQLE_MSG_PAXOS_ANSWER
};

enum cqle_paxos_phase {
	CQLE_PAXOS_NONE,
	CQLE_PAXOS_PREPARE,
	CQLE_PAXOS_PROPOSE,
	CQLE_PAXOS_COMMIT
};
/* What a replica says to any phase: did it agree, and what does it remember? */
struct cqle_promise {
	uint32_t refs;
	bool ok;
	uint64_t promised, accepted, committed;
	struct cqle_mutation *proposal, *commit;
};

#define CQLE_SLOT_BATCHLOG UINT32_MAX
#define CQLE_SLOT_REPAIR (UINT32_MAX - 1)

struct cqle_event {
	uint64_t at_ns, sequence;
	size_t heap_index; /* SIZE_MAX: not in the heap */
	struct cqle_event *next;
	enum cqle_event_kind kind;
	enum cqle_message_kind message;
	uint8_t from, to;
	uint8_t reply_to; /* WRITE: the coordinator, if a forwarder sent it */
	uint64_t forward; /* WRITE: nodes that `to` passes it on to */
	struct cqle_op *op;
	uint64_t op_serial;
	uint32_t slot;    /* which of the operation's writes; which round of its read */
	uint64_t sent_ns; /* READ, its answer, SILENCE: when the coordinator asked */
	struct cqle_mutation *mutation;
	struct cqle_answer *answer;
	/* Paxos; a WRITE with a ballot is a commit. */
	enum cqle_paxos_phase phase;
	uint64_t ballot;
	struct cqle_table *paxos_table;
	struct cqle_bytes *paxos_key;
	struct cqle_promise *promise;
};

void cqle_schedule(struct cqlemu *emu, struct cqle_event *event, uint64_t at_ns);
void cqle_unschedule(struct cqlemu *emu, struct cqle_event *event);
struct cqle_event *cqle_event_new(struct cqlemu *emu, enum cqle_event_kind kind);
/* With the references it holds. */
void cqle_event_free(struct cqlemu *emu, struct cqle_event *event);

int cqle_cluster_init(
	struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err);
void cqle_cluster_done(struct cqlemu *emu);
const struct cqle_replicas *cqle_replicas_of(
	struct cqlemu *emu, struct cqle_keyspace *keyspace, int64_t token);
/* Index in emu->ring of the first token >= `token`, wrapping. */
size_t cqle_ring_index(const struct cqlemu *emu, int64_t token);
/* The keyspace's nodes for a ring index. */
const struct cqle_replicas *cqle_placement(
	struct cqlemu *emu, struct cqle_keyspace *keyspace, size_t ring_index);
/* Sends a copy, which takes its own references. Delivered in this call if there is no latency.
 * False if it is certainly lost. */
bool cqle_send(struct cqlemu *emu, const struct cqle_event *message);
/* Stores a hint for `to` at `from`; takes no reference. */
void cqle_hint(struct cqlemu *emu, size_t from, size_t to, struct cqle_mutation *mutation);
/* Forgets all of them. */
void cqle_journal_drop(struct cqlemu *emu, struct cqle_node *node);
/* Those that all nodes keep; those of one. */
void cqle_hints_drop(struct cqlemu *emu);
void cqle_hints_drop_of(struct cqlemu *emu, size_t from);
void cqle_apply_at(struct cqlemu *emu, size_t node, struct cqle_mutation *mutation);
/* Does `observer` get what `node` sends, and the other way round? */
bool cqle_hears(const struct cqlemu *emu, size_t observer, size_t node);
/* Looks at the links soon. */
void cqle_gossip_wake(struct cqlemu *emu, uint64_t at_ns);
/* As a kill, inside of a call; its data are as they are. */
void cqle_node_die(struct cqlemu *emu, size_t index);
void cqle_node_prepared_drop(struct cqlemu *emu, struct cqle_node *node);
/* Does what is due. */
void cqle_events_run(struct cqlemu *emu);
struct cqle_hint_list;
struct cqle_journal;

struct cqle_paging;
struct cqle_result;

#endif
