/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-emulator.h - a Cassandra cluster in one process, as drivers and the facts know it.
 *
 * Purpose    Nodes in racks and data centres, a ring of tokens, replicas with cells, timestamps and
 *            tombstones, coordinators with their own view of who is alive, hints and read repair,
 *            behind the CQL native protocol, v3 to v5 with LZ4 and Snappy. Behaviour follows Apache
 *            Cassandra 4.0.14 (cql-imds 0 to 4); where the real one is lenient, this one may be
 *            stricter, never the other way round. What is missing answers with an error, never with
 *            a wrong result; README.md has the list.
 * Shape      A pure state machine (service.h): no sockets, clocks, threads or randomness of its
 *            own. Everything with a cause outside comes through `struct sim_hooks`; every internal
 *            decision is keyed by `seed`.
 * Ownership  The emulator allocates from `heap`, which the caller owns and which bounds all of its
 *            memory. Views in the options are copied. Callbacks borrow what they are given.
 * Time       now_ns of the stream operations and of the node control, in the caller's time; it
 *            never goes back. `epoch_us` says which wall-clock time that is (server-side
 *            timestamps, TTL, gc_grace).
 * Threads    One at a time. Calls from inside a callback: input() and closed() are allowed and take
 *            effect when the outer call is about to return; others are not.
 * Outcomes   A WRITE_TIMEOUT or WRITE_FAILURE says nothing about what happened: replicas that got
 *            the mutation keep it, hints and read repair may spread it later. The access log
 *            (sim_hooks.access) tells the truth.
 */
#ifndef LAB_CQL_EMULATOR_H
#define LAB_CQL_EMULATOR_H

#include "sim/cql-emulator/storage-engine.h"
#include "sim/service.h"

struct cqlemu;

/* ---- limits (all of them Cassandra's, or smaller and said so) ---- */

#define CQLEMU_NODES_MAX 64
#define CQLEMU_TOKENS_MAX 64 /* per node */
#define CQLEMU_KEYSPACES_MAX 64
#define CQLEMU_TABLES_MAX 512
#define CQLEMU_TYPES_MAX 512       /* user types */
#define CQLEMU_COLUMNS_MAX 64      /* per table */
#define CQLEMU_KEY_BYTES_MAX 65535 /* partition key, each clustering key (cql-imds 1.9) */
#define CQLEMU_STATEMENT_MAX (1024 * 1024)
#define CQLEMU_MARKERS_MAX 65535
#define CQLEMU_BATCH_MAX 65535

/* ---- profiles: which server this is (cql-imds 4.4; README.md has the table) ---- */

struct cqlemu_profile;
#define CQLEMU_PROFILE_DEFAULT "cassandra-4.0"
/* NULL: unknown. */
const struct cqlemu_profile *cqlemu_profile_find(struct lab_view name);
/* -1 LAB_INVALID, with the names that are known. */
int cqlemu_profile_parse(
	struct lab_view name, const struct cqlemu_profile **ret, struct lab_error *err);
/* The i-th; NULL behind the last. */
const char *cqlemu_profile_name(size_t i);

/* ---- creation ---- */

struct cqlemu_node_options {
	struct lab_view name;    /* "cassandra-1": instance in service.h, and in hooks->reachable */
	struct lab_view address; /* dotted IPv4: what drivers learn from system.local and peers */
	struct lab_view dc;      /* empty: "dc1" */
	struct lab_view rack;    /* empty: "r1" */
	struct lab_view zone;    /* of the laboratory; only reported */
	/* Explicit tokens (decimal order is not needed); NULL: `tokens_per_node` of them, keyed by
	 * seed and name and spread evenly. */
	const int64_t *tokens;
	size_t token_count;
};

enum cqlemu_speculation {
	/* As each table's speculative_retry says: 99p of what this coordinator's reads of the table
	 * took, and half of the read timeout before there are any (cql-imds 4.3). */
	CQLEMU_SPECULATE_TABLE,
	/* The rest for every table, whatever it says. */
	CQLEMU_SPECULATE_NONE,
	/* One more replica is asked once a read has waited for speculation_ns. */
	CQLEMU_SPECULATE_FIXED,
	/* One more replica is asked at once. */
	CQLEMU_SPECULATE_ALWAYS
};

struct cqlemu_options {
	struct lab_heap *heap;
	uint64_t seed;
	const struct sim_hooks *hooks; /* copied; NULL: no faults, no latency, no log */

	const struct cqlemu_node_options *nodes;
	size_t node_count;
	unsigned tokens_per_node;             /* 4 */
	uint16_t native_port;                 /* 9042 */
	uint16_t storage_port;                /* 7000, in "UNKNOWN from /10.0.0.1:7000" */
	struct lab_view cluster_name;         /* "Test Cluster" */
	const struct cqlemu_profile *profile; /* CQLEMU_PROFILE_DEFAULT */
	struct lab_view release_version;      /* empty: the profile's */
	int64_t epoch_us;                     /* unix time, in microseconds, of now_ns 0 */

	/* Server-side timeouts (cql-imds 4.2): 5 s, 10 s, 2 s, 60 s. */
	uint64_t read_timeout_ns, range_timeout_ns, write_timeout_ns, truncate_timeout_ns;
	uint64_t counter_timeout_ns, cas_contention_ns;

	/* Failure detector. A node that is not heard any more is convicted by each other node
	 * conviction_ns plus up to conviction_jitter_ns later (18 s and 1.5 s: phi 8 as measured);
	 * one that is back is seen after recognition_ns (200 ms). Links are looked at every
	 * gossip_ns (1 s) while hooks->reachable is set and somebody could notice. */
	uint64_t conviction_ns, conviction_jitter_ns, recognition_ns, gossip_ns;

	/* Hints: kept for a replica that was down or did not answer, unless it has been down longer
	 * than the window (3 h). Replayed hint_replay_ns (300 ms) after the node is seen again, and
	 * hint_retry_ns (10 s) after a timeout. hints_max of them in the cluster, later ones are
	 * dropped and counted. */
	bool hinted_handoff;
	uint64_t hint_window_ns, hint_replay_ns, hint_retry_ns;
	size_t hints_max;

	enum cqlemu_speculation speculation; /* TABLE */
	uint64_t speculation_ns;             /* of FIXED: 50 ms */

	/* What a kill loses: nothing (the commit log is replayed; what periodic sync loses only
	 * with the machine), or everything since the last multiple of commitlog_sync_ns (0: nothing
	 * is ever lost). A value doubles the memory for data. */
	uint64_t commitlog_sync_ns;

	/* Where rows and the schema are kept (storage-engine.h); NULL: in memory. The schema that
	 * was kept is made again by cqlemu_new(). Hints, prepared statements and the promises of
	 * Paxos are in memory in either case. */
	const struct cqlemu_engine_ops *engine_ops;
	void *engine;

	/* "" and "": AllowAllAuthenticator, and everybody may do everything. Else
	 * PasswordAuthenticator and CassandraAuthorizer with this one superuser; CREATE ROLE and
	 * GRANT by it, or by cqlemu_execute(), make the others. */
	struct lab_view user, password;

	size_t frame_bytes_max;   /* 16 MiB: stricter than 4.0's 256 MiB, equal to 4.1's */
	size_t connections_max;   /* 4096, in the cluster */
	size_t inflight_max;      /* requests waiting, per connection: 32768 */
	size_t prepared_max;      /* per node, least recently used goes: 1024 */
	size_t deferred_max;      /* messages kept for a frozen node: 65536 */
	size_t rows_per_read_max; /* 1,000,000: beyond it a read fails */
	uint32_t tombstone_warn, tombstone_fail;     /* 1,000 and 100,000 */
	uint32_t batch_warn_bytes, batch_fail_bytes; /* 5 KiB and 50 KiB */
};

/* Everything above as in the comments; heap, nodes are the caller's. */
void cqlemu_options_init(struct cqlemu_options *options);

/* Puts the profile into the options, with the limits that go with it. */
void cqlemu_options_profile(struct cqlemu_options *options, const struct cqlemu_profile *profile);

/* -1: LAB_INVALID (no nodes, names or addresses twice, an address that is none; the engine keeps
 * the data of another cluster), LAB_LIMIT, LAB_CORRUPT or LAB_IO (of what the engine kept). */
int cqlemu_new(const struct cqlemu_options *options, struct cqlemu **ret, struct lab_error *err);
/* Connections are forgotten without a word. NULLs the pointer; accepts NULL. */
void cqlemu_free(struct cqlemu **emulator);

/* The port that drivers are told, when it is known only after somebody listens. */
void cqlemu_native_port_set(struct cqlemu *emulator, uint16_t port);

/* accept() takes the node's name as `instance`. NULL from it: no such node, the node is down, too
 * many connections, or a fault at "cql.connect". */
struct sim_stream_service cqlemu_service(struct cqlemu *emulator);

/* Runs CQL on the side of the cluster, for set-up: one or more statements separated by ';', each
 * applied at once on every replica whatever its state, without faults, access log or latency. USE
 * stays in force for later calls. Bind markers are refused. The rows of a SELECT are thrown away.
 * -1: LAB_INVALID with Cassandra's error text (status has its code), LAB_EXISTS. */
int cqlemu_execute(struct cqlemu *emulator, struct lab_view cql, struct lab_error *err);

/* ---- fault points (sim_hooks.fault) ----
 *
 * "cql.connect", "cql.prepare", "cql.read" (SELECT), "cql.write" (INSERT, UPDATE, BATCH),
 * "cql.delete" (DELETE). Asked once for each connection, and for each request of a client on an
 * ordinary table after it was parsed and bound; subject is "keyspace.table" (of a batch: its first
 * statement's). instance is the coordinator.
 *
 *   REFUSE       answers `status` at once, nothing is done: 0x1001 OVERLOADED (default), 0x1000
 *                UNAVAILABLE, 0x1002 IS_BOOTSTRAPPING, 0x2500 UNPREPARED (the node then really
 *                forgets the statement; of an unprepared one: OVERLOADED), 0x0000 SERVER_ERROR.
 *   FAIL         nothing is done; a write answers 0x1100 WRITE_TIMEOUT (default) or 0x1500
 *                WRITE_FAILURE, a read 0x1200 (default) or 0x1300, prepare 0x0000.
 *   PARTLY       a write reaches the first `replicas` replicas of each partition, then it is
 *                answered like FAIL with received = what is possible below required; the others get
 *                a hint only if `code` is "hint". A read: as FAIL.
 *   LATE         WRITE_TIMEOUT; applied everywhere delay_ns after the request came, whatever
 *                becomes of the coordinator. A read: as FAIL.
 *   ALTER_REPLY  done as asked, but answered like FAIL with received = required - 1.
 *   LOSE_REPLY   done, then the connection is reset.   STALL_REPLY  done, then silence.
 *   RESET, STALL not done.                             DELAY        done after delay_ns.
 *   CORRUPT      done; the answer is cut in the middle, then the connection is reset.
 *
 * "cql.schema": asked for each node that the coordinator of a schema change tells of it; instance
 * is that node, peer the coordinator's. DELAY: it hears of it after delay_ns and not before; any
 * other: not at all, until gossip_ns later it asks around.
 *
 * Code 0x0000 SERVER_ERROR is meant by `code` "SERVER_ERROR" or `status` 0xffff; a plain status 0
 * is the default. Timeouts are answered when the real ones would come, after write_timeout_ns or
 * read_timeout_ns, or after delay_ns if that is given (except with LATE); all else at once. If the
 * request fails by itself (Unavailable, say), that is what is answered. A fault of a BATCH takes
 * the whole batch. At cql.connect REFUSE, FAIL, RESET and LOSE_REPLY refuse the connection, STALL
 * and STALL_REPLY accept it and never say a word; the others do nothing.
 *
 * ---- access log (sim_hooks.access) ----
 *
 * Once for each QUERY, PREPARE, EXECUTE and BATCH that could be parsed, when it is answered or when
 * it is certain that it never will be. `applied`: at least one replica has it, will get it (a
 * message on its way, a hint, LATE), or DDL took place. `user` is what column u is bound to or
 * compared with; `bytes` those of keys and values, about; `body_hash` of the first value written. A
 * request that is lost with its coordinator is not logged: its replicas may have applied it. */

/* Every row of every table is gone, on every node and in hints; the schema stays. What is on its
 * way (messages, requests) goes on. */
void cqlemu_empty(struct cqlemu *emulator);

/* ---- nodes ---- */

/* Index in options.nodes, or -1. */
int cqlemu_node_find(const struct cqlemu *emulator, struct lab_view name);
size_t cqlemu_node_count(const struct cqlemu *emulator);

enum cqlemu_node_state {
	CQLEMU_NODE_UP,
	CQLEMU_NODE_DOWN,
	CQLEMU_NODE_FROZEN
};
enum cqlemu_node_state cqlemu_node_state(const struct cqlemu *emulator, size_t node);

/* SIGKILL: connections are reset, requests it coordinates are forgotten, messages to it are lost;
 * the others find out by their failure detectors. Data as commitlog_sync_ns says; hints and the
 * schema stay, prepared statements go. Nothing happens if it is down. */
void cqlemu_node_kill(struct cqlemu *emulator, size_t node, uint64_t now_ns);
/* Drain and stop: it tells the others, who see it down at once. */
void cqlemu_node_stop(struct cqlemu *emulator, size_t node, uint64_t now_ns);
void cqlemu_node_start(struct cqlemu *emulator, size_t node, uint64_t now_ns);
/* SIGSTOP, SIGCONT: it keeps connections and what is sent to it, does nothing, and works off the
 * backlog when it goes on. */
void cqlemu_node_freeze(struct cqlemu *emulator, size_t node, uint64_t now_ns);
/* From now on what the node, as a coordinator, reads and writes itself takes so long (0, the
 * default: no time). Its snitch may prefer others then. */
void cqlemu_node_busy(struct cqlemu *emulator, size_t node, uint64_t ns);
void cqlemu_node_thaw(struct cqlemu *emulator, size_t node, uint64_t now_ns);

/* Everything that a node which is down has on its disks is gone: tables, hints for others, promises
 * of Paxos. Its name, tokens and the schema stay, as for one that is replaced under its address
 * without a bootstrap. */
void cqlemu_node_lose_data(struct cqlemu *emulator, size_t node);

struct cqlemu_node_info {
	struct lab_view name, address, dc, rack; /* for the emulator's life */
	enum cqlemu_node_state state;
	/* Since the beginning, through restarts. Statements: QUERY, EXECUTE and BATCH. */
	uint64_t connections, requests, statements;
	size_t connections_open, prepared;
	size_t rows; /* of all tables but those of a node's own */
};
void cqlemu_node_info(const struct cqlemu *emulator, size_t node, struct cqlemu_node_info *ret);

/* Does `observer` believe that `node` is alive? */
bool cqlemu_node_seen_up(const struct cqlemu *emulator, size_t observer, size_t node);

/* Major compaction of one node: tombstones older than the table's gc_grace_seconds go. A replica
 * that missed the delete may then bring the row back. */
void cqlemu_node_compact(struct cqlemu *emulator, size_t node, uint64_t now_ns);
/* nodetool repair of everything: each replica gets what any of them has. Whatever their state. */
void cqlemu_repair(struct cqlemu *emulator, uint64_t now_ns);
/* Forgets all prepared statements of the node: clients get UNPREPARED. */
void cqlemu_node_forget_prepared(struct cqlemu *emulator, size_t node);

/* ---- what is stored: for an oracle ---- */

enum cqlemu_entry_kind {
	CQLEMU_ROW, /* live, or the tombstone of a row */
	CQLEMU_STATIC_ROW,
	CQLEMU_PARTITION_TOMBSTONE,
	CQLEMU_RANGE_TOMBSTONE
};

struct cqlemu_cell {
	struct lab_view column;
	struct lab_view value; /* serialized (cql-imds 1.6); ptr NULL: none, see tombstone */
	bool tombstone;        /* written null or deleted, or expired */
	int64_t timestamp_us;  /* INT64_MIN: never written */
	uint32_t ttl_s;        /* 0: none */
	int64_t expires_s;     /* unix time, with a TTL */
};

struct cqlemu_entry {
	enum cqlemu_entry_kind kind;
	struct lab_view keyspace, table;
	/* Primary key columns in their order (of tombstones wider than a row: as many as are
	 * restricted), and the others, statics in a static row. */
	const struct cqlemu_cell *keys;
	size_t key_count;
	const struct cqlemu_cell *cells;
	size_t cell_count;
	bool live;           /* a SELECT would return it */
	int64_t marker_us;   /* INSERT's row marker; INT64_MIN: none */
	int64_t deletion_us; /* of this row, range or partition; INT64_MIN: none */
	unsigned replicas;   /* how many replicas have something of this row (merged view) */
};
typedef void (*cqlemu_entry_fn)(void *ctx, const struct cqlemu_entry *entry);

#define CQLEMU_MERGED SIZE_MAX

/* Calls `fn` for each entry of the table as `node` has it, or with CQLEMU_MERGED as all replicas
 * together have it (newest wins); partitions in token order, rows in clustering order. Nothing is
 * repaired by looking. `table` is "keyspace.table". -1: LAB_NOT_FOUND. */
int cqlemu_snapshot(struct cqlemu *emulator, struct lab_view table, size_t node, cqlemu_entry_fn fn,
	void *ctx, struct lab_error *err);
/* Value of a column of the entry (key or cell), or the empty view. */
struct lab_view cqlemu_entry_value(const struct cqlemu_entry *entry, const char *column);
/* Indexes of the nodes that are replicas of a partition, in ring order; returns how many. `key` is
 * the serialized partition key: the value, or of several columns each [short length][bytes][0]. */
int cqlemu_replicas(struct cqlemu *emulator, struct lab_view table, struct lab_view key,
	size_t ret_nodes[CQLEMU_NODES_MAX], struct lab_error *err);
/* Token of a serialized partition key by Murmur3Partitioner. */
int64_t cqlemu_token(struct lab_view key);

struct cqlemu_counters {
	uint64_t connections, requests, selects, writes, deletes, batches, prepares, unprepared;
	uint64_t errors, unavailable, read_timeouts, write_timeouts;
	uint64_t messages, messages_lost;
	uint64_t digest_mismatches, read_repairs;
	uint64_t hints_stored, hints_replayed, hints_dropped;
	uint64_t speculations;
	uint64_t faults[SIM_FAULT_KIND_COUNT];
	size_t hints_waiting, rows, partitions, connections_open;
};
void cqlemu_counters(const struct cqlemu *emulator, struct cqlemu_counters *ret);

#endif
