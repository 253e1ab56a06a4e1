/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-client-private.h - a client's connections, and the statements that wait on them.
 *
 *   statement fiber --frame--> connection.out --writer fiber--> stream
 *   statement fiber <--wake--- request <-------reader fiber---- stream
 *   keeper fiber: connect, handshake, start the other two, heartbeats, reconnect
 */
#ifndef LAB_CQL_CLIENT_PRIVATE_H
#define LAB_CQL_CLIENT_PRIVATE_H

#include "core/cql/cql-client.h"

enum cql_request_state {
	CQL_REQUEST_WAITING,
	CQL_REQUEST_ANSWERED,
	CQL_REQUEST_LOST /* the connection broke */
};

/* On the stack of the fiber that waits. */
struct cql_waiting {
	enum cql_request_state state;
	struct env_cond cond;
	struct lab_arena *arena; /* where the answer's body goes */
	struct cql_frame frame;
};

enum cql_connection_state {
	CQL_CONNECTION_DOWN,
	CQL_CONNECTION_TRYING,
	CQL_CONNECTION_READY
};

struct cql_connection {
	struct cql_client *client;
	unsigned host; /* index */
	unsigned index;
	enum cql_connection_state state;
	bool tried; /* one attempt has ended, well or not */
	bool was_ready;
	bool hurry;        /* the keeper is to reconnect at once (STATUS_CHANGE UP) */
	bool rests;        /* the host left: the keeper waits for it to come back */
	unsigned failures; /* attempts in a row */
	uint64_t attempts; /* ever: ordinal of the jitter's draw */
	uint8_t version;
	struct env_stream *stream;
	unsigned fibers; /* reader and writer still running */
	struct env_cond keeper;
	struct env_cond writer;
	struct lab_buf in, out;
	uint64_t read_ns; /* when the last bytes came */
	uint64_t sent_ns; /* when the last request was queued */

	/* Streams: pending[id] waits, is &orphan (nobody waits any more) or NULL. Ids are given out
	 * in order, and freed ones again first. */
	struct cql_waiting **pending;
	uint16_t *free_ids;
	size_t free_count;
	size_t next_id;
	size_t capacity;
	unsigned in_flight;
};

struct cql_prepared_statement {
	struct cql_prepared_statement *next; /* in the order of their first use */
	struct lab_view query;
	struct lab_view id;
	struct cql_metadata binds;
	struct cql_metadata columns;
	uint32_t hosts;     /* bit set: prepared there, as far as we know */
	uint32_t preparing; /* bit set: somebody is at it, and others wait */
	struct env_cond changed;
};

/* Of one host, for latency-aware routing. */
struct cql_latency {
	uint64_t average_ns; /* 0: not known yet */
	uint64_t updated_ns;
	uint64_t measured;
};

/* The hosts of one request, in the order in which they are asked. Executions of one request share
 * it, so that each host is asked by one of them only. */
struct cql_hosts {
	unsigned order[CQL_HOSTS_MAX];
	unsigned count, next;
};

struct cql_metrics;
struct cql_topology;

struct cql_client {
	struct env *env;
	struct cql_settings settings;
	uint8_t version;
	struct cql_connection *connections; /* host by host */
	unsigned connection_count;
	unsigned ready;
	uint64_t next_host;      /* round robin */
	struct env_cond changed; /* a connection came up or an attempt ended */
	struct lab_map *prepared;
	struct cql_prepared_statement *first_prepared, *last_prepared;
	struct lab_arena *prepared_arena;
	struct cql_fallback fallback[CQL_STATEMENT_TYPES];
	int64_t last_timestamp_us;
	uint64_t counters[CQL_COUNTER_COUNT];
	struct cql_connection *control; /* the one that hears of STATUS_CHANGE */
	bool closing;
	unsigned keepers;
	unsigned statements; /* running */
	struct env_cond idle;
	struct lab_error last_error; /* of the last failed connection attempt */
	uint32_t gone;               /* bit set: that host left the ring */
	struct cql_latency latencies[CQL_HOSTS_MAX];
	uint64_t fastest_ns; /* average of the fastest host, 0: none known */
	uint64_t fastest_updated_ns;
	struct cql_metrics *metrics; /* NULL: nobody wants them */
	uint64_t connection_timeouts;
	struct cql_topology *topology; /* NULL: not discovered */
	bool hung;                     /* SPECULATION_HANGS has struck */
	bool ending;                   /* cql_client_close() waits for running statements */
};

/* One execution of one statement: what its attempts learn. */
struct cql_run {
	struct cql_client *client;
	const struct cql_statement *statement;
	struct lab_arena *arena;
	enum cql_consistency consistency; /* of the current attempts */
	uint64_t deadline_ns; /* of the driver's current request, not after the caller's own */
	int64_t timestamp_us;
	struct lab_view paging_state;
	unsigned page;                /* from 1 */
	struct cql_hosts *hosts;      /* those that were not asked yet */
	unsigned retries;             /* by the retry policy */
	unsigned *sent, *answered;    /* of the statement: frames, and answers to them that count */
	struct env_cond *blocked_on;  /* what its fiber waits for, or NULL */
	bool cancelled;               /* another execution was faster */
	bool maybe_applied;           /* by any attempt so far */
	struct cql_response response; /* of the last attempt that was answered */
	const struct cql_metadata *columns; /* of its rows */
	/* The last failure: */
	enum cql_failure failure;
	struct cql_error details; /* code != 0 or failure SERVER_ERROR: what the server said */
	bool has_details;
	bool too_many; /* rows or pages: LAB_LIMIT */
	bool bare;     /* the message names the statement itself */
	char message[240];
};

/* ---- cql-prepare.c ---- */

/* The query as prepared on this connection's host, preparing it if need be.
 * 0; -1 with run->failure set, or CQL_FAILURE_NONE if the connection broke. */
int cql_prepare(struct cql_run *run, struct cql_connection *c, struct lab_view query, bool again,
	struct cql_prepared_statement **ret);

/* A host came up: what was prepared there, or anywhere, is prepared there again, without waiting
 * for the answers. */
void cql_prepare_on_up(struct cql_connection *c);

/* ---- cql-plan.c ---- */

/* Sends the statement with run->consistency to one host after the other until one of them answers
 * for good. 0 with run->response; -1 with run->failure. */
int cql_plan(struct cql_run *run);
/* One execution of it: through what is left of run->hosts. */
int cql_execution(struct cql_run *run);
/* Blocks until signalled (0); -1 at the run's deadline, or when it is cancelled. */
int cql_run_wait(struct cql_run *run, struct env_cond *cond);
void cql_run_fail(struct cql_run *run, enum cql_failure failure, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void cql_run_fail_server(struct cql_run *run, const struct cql_error *error);

/* ---- cql-race.c: speculative execution ---- */

/* cql_plan() with several executions at a time. */
int cql_race(struct cql_run *run);

/* ---- cql-hosts.c: who is asked first ---- */

void cql_hosts_order(
	struct cql_client *client, const struct cql_statement *statement, struct cql_hosts *ret);
/* An answer took this long. */
void cql_hosts_measured(struct cql_client *client, unsigned host, uint64_t took_ns);

/* ---- cql-topology.c: peers, data centres, tokens ---- */

/* Starts discovering. -1 LAB_LIMIT: no more fibers. */
int cql_topology_start(struct cql_client *client, struct lab_error *err);
/* Something may have changed, or the client is closing. */
void cql_topology_wake(struct cql_client *client);
void cql_topology_free(struct cql_client *client);
/* False for a host that is known to be in another data centre. */
bool cql_topology_is_local(const struct cql_client *client, unsigned host);
/* A node left the ring (TOPOLOGY_CHANGE REMOVED_NODE); its address has 4 bytes. */
void cql_topology_removed(struct cql_client *client, const uint8_t address[4]);
/* The replicas of a partition of the client's keyspace, in the order of the ring. */
unsigned cql_topology_replicas(
	const struct cql_client *client, int64_t token, unsigned ret[CQL_HOSTS_MAX]);

/* ---- cql-routing.c ---- */

/* The token of the partition that a statement is about. False if it is not known (yet). */
bool cql_routing_token(struct cql_client *client, const struct cql_statement *statement,
	struct lab_arena *arena, int64_t *ret);

/* ---- cql-client.c ---- */

/* One more host, with connections of its own. NULL name, or no room: nothing happens. */
int cql_client_add_host(struct cql_client *client, const char *name, struct lab_error *err);

/* ---- cql-members.c: hosts that join and leave ---- */

bool cql_host_is_gone(const struct cql_client *client, unsigned host);
/* Its connections break, and no new ones are made. */
void cql_host_drop(struct cql_client *client, unsigned host);
void cql_host_return(struct cql_client *client, unsigned host);
/* A host that was never there, in a place of its own or of one that left. -1 LAB_LIMIT. */
int cql_host_add(struct cql_client *client, const char *name, unsigned *ret, struct lab_error *err);

/* ---- cql-metrics.c ---- */

/* Starts writing metrics_path. -1 LAB_LIMIT: no more fibers. */
int cql_metrics_start(struct cql_client *client, struct lab_error *err);
/* Wakes its fiber, which ends if the client is closing. */
void cql_metrics_wake(struct cql_client *client);
void cql_metrics_free(struct cql_client *client);
/* A request was answered. */
void cql_metrics_answered(struct cql_client *client, uint64_t took_ns);

/* ---- cql-log.c ---- */

/* One of the driver's own lines, if log_level lets it pass. */
void cql_log(struct cql_client *client, enum cql_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What the logging retry policy says. */
void cql_log_retry(struct cql_run *run, const struct cql_error *error, unsigned retries);
/* debug_queries: what became of a statement. */
void cql_log_query(struct cql_run *run, bool ok, size_t rows, uint64_t took_ns);

/* ---- cql-connection.c ---- */

void cql_connection_init(struct cql_connection *c);
/* Starts its keeper. */
int cql_connection_start(struct cql_connection *c, struct lab_error *err);
/* Frees its memory. All its fibers must have ended. */
void cql_connection_done(struct cql_connection *c);
/* Ends the connection: everybody who waits on it is told. The keeper makes a new one. */
void cql_connection_break(struct cql_connection *c);
bool cql_connection_is_busy(const struct cql_connection *c);
/* A request whose answer only needs to come. False if there was no room for it. */
bool cql_connection_send_orphan(struct cql_connection *c, const struct cql_request *request);

/* Queues one request for the writer. -1 if no stream id or no room is left: nothing was sent. */
int cql_connection_send(struct cql_connection *c, const struct cql_request *request,
	struct cql_waiting *waiting, int16_t *ret_stream);
/* Blocks until answered or lost, or until the run's deadline or cancelling: then the stream id
 * stays taken until the answer comes, and -1 is returned. */
int cql_connection_wait(
	struct cql_run *run, struct cql_connection *c, struct cql_waiting *waiting, int16_t stream);

/* ---- cql-streams.c: ids of requests in flight ---- */

extern struct cql_waiting cql_orphan;
/* -1 if all are taken. */
int cql_stream_take(struct cql_connection *c, struct cql_waiting *waiting);
/* Who waited, or NULL if the id was not in use. */
struct cql_waiting *cql_stream_give(struct cql_connection *c, int16_t stream);

/* ---- cql-bind.c ---- */

/* Encodes the arguments for the columns that the server named. -1 LAB_INVALID: "Statement '...':
 * Failed to bind column N: ...". */
int cql_bind_args(const struct cql_statement *statement, const struct cql_metadata *columns,
	struct lab_arena *arena, struct cql_bind **ret, struct lab_error *err);
/* The statement's text with literals in place of its markers, for protocol 3. */
int cql_bind_literals(struct lab_heap *heap, const struct cql_statement *statement,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err);

#endif
