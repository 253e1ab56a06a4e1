/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-client.h - a CQL session: several hosts, several connections to each, statements that are
 * prepared, retried and sent with a fallback consistency as Dovecot's driver-cassandra on the
 * C++ driver does it.
 *
 * Purpose    dict-sql's road to Cassandra (obox 3.7, 3.8; cql-imds 2.6, 3.3, 3.4).
 * Blocking   cql_client_execute() and cql_client_close() block. Connections live in fibers of their
 *            own: one that keeps (connects, reconnects, sends heartbeats), one that reads, one that
 *            writes.
 * Ownership  A client and everything of it lives in env->heap. Results borrow from the caller's
 *            arena.
 * Limits     hosts, connections, stream ids, frame size, prepared statements, rows of a result: see
 *            the settings and macros below.
 * Errors     Reads: LAB_UNAVAILABLE, LAB_TIMEOUT, LAB_RESET, LAB_INVALID, LAB_DENIED, LAB_CORRUPT,
 *            LAB_LIMIT (more rows than max_rows). Writes and deletes may also end LAB_UNCERTAIN.
 *            err->status is Cassandra's error code, if it had one; err->retryable says that the
 *            class of failure passes by itself.
 *
 * Named policies, where the real stack has hazards (obox 3.8, hazards 1, 2 and 4):
 *
 * uncertain-sticks   Once an attempt of a write may have been applied (its own failure is of an
 *                    uncertain class, or the connection broke with the request in flight), the
 *                    final failure is UNCERTAIN, whatever class the last attempt has. Dovecot
 *                    reports the last attempt only, and so takes some writes for certainly failed
 *                    that surface later.
 * certain-if-unsent  A time-out while nothing but a PREPARE was sent is LAB_TIMEOUT: certain.
 * speculation-ends   When no host is left, a request that is being executed speculatively fails as
 * any other. The C++ driver then hangs all queries, until it is restarted. one-timestamp      A
 * statement keeps its timestamp through retries and fallback, so that a late attempt cannot
 * overwrite something written in between. The C++ driver takes a new one for each encoding.
 */
#ifndef LAB_CQL_CLIENT_H
#define LAB_CQL_CLIENT_H

#include "core/cql/cql-policy.h"
#include "core/env/env.h"

#define CQL_HOSTS_MAX 32
#define CQL_CONNECTIONS_PER_HOST_MAX 16
#define CQL_STATEMENTS_MAX 1024 /* prepared statements of a client */
#define CQL_PARAMS_MAX 32       /* bound values of one statement */
#define CQL_BATCH_MAX 64        /* statements of one batch */
#define CQL_PAGES_MAX 100000    /* of one result */
#define CQL_SPECULATIVE_MAX 16  /* executions of one request beside the first */

enum cql_statement_type {
	CQL_STATEMENT_READ,
	CQL_STATEMENT_WRITE,
	CQL_STATEMENT_DELETE,
	CQL_STATEMENT_TYPES
};

/* The C++ driver's levels, as log_level names them. */
enum cql_log_level {
	CQL_LOG_CRITICAL,
	CQL_LOG_ERROR,
	CQL_LOG_WARN,
	CQL_LOG_INFO,
	CQL_LOG_DEBUG,
	CQL_LOG_TRACE
};
/* "warn". 0, or -1 if there is no such level. */
int cql_log_level_parse(struct lab_view name, enum cql_log_level *ret);

struct cql_settings {
	const char *hosts[CQL_HOSTS_MAX]; /* copied */
	size_t host_count;
	uint16_t port;
	const char *keyspace; /* copied. USEd on every connection; NULL: statements name theirs */
	const char *user;     /* copied; NULL or "": no authentication */
	const char *password;
	unsigned protocol_version; /* 3 or 4; 0: 4, or 3 if a server speaks no 4. With 3 nothing is
				      prepared: values are written into the statement's text */
	unsigned connections_per_host;
	enum cql_consistency consistency[CQL_STATEMENT_TYPES];
	enum cql_consistency fallback[CQL_STATEMENT_TYPES];
	uint64_t connect_timeout_ns;
	uint64_t request_timeout_ns;
	uint64_t warn_timeout_ns;       /* 0: never */
	uint64_t heartbeat_interval_ns; /* 0: none */
	uint64_t idle_timeout_ns;       /* without a byte from the server; 0: never */
	uint64_t reconnect_base_ns;     /* doubles with each failure in a row */
	uint64_t reconnect_max_ns;
	unsigned page_size;              /* rows; 0: no paging */
	unsigned streams_per_connection; /* requests in flight, at most CQL_STREAM_MAX */
	size_t frame_max_bytes;          /* of what servers send */
	size_t queue_max_bytes;          /* of what waits to be written, for each connection */
	/* Constant speculative execution, if both are > 0: a request that is not answered within
	 * the delay is sent to the next host as well, up to `max` times; the first answer counts.
	 * More than CQL_SPECULATIVE_MAX, or than there are other hosts, changes nothing. */
	uint64_t speculative_delay_ns;
	unsigned speculative_max;
	bool latency_aware;           /* hosts that are twice as slow as the fastest come last */
	enum cql_log_level log_level; /* of the driver's own lines */
	bool debug_queries;           /* one line for each statement */
	bool log_retries;             /* one line (info) for each retry of the retry policy */
	const char *metrics_path;     /* copied; rewritten every second. NULL or "": none */
	/* Peers are read from the system tables and become hosts; only hosts of the data centre of
	 * the first contacted one are asked, replicas of the statement's partition first. Who
	 * leaves the ring (REMOVED_NODE, or the peers list it no more) is a host no longer: the C++
	 * driver's default policy. Otherwise the configured hosts are the ring. */
	bool discover;
	/* TLS below each connection (cql-imds 3.3: ssl_*): with what env_connect_tls() needs; its
	 * texts are copied. The password is in no message. */
	bool use_tls;
	struct env_tls tls;
};

/* Dovecot's and the C++ driver's defaults: port 9042, local-quorum everywhere, connect 5 s, request
 * 60 s, warn 5 s, heartbeat 30 s, idle 60 s, reconnect 2 s to 600 s, 1 connection. */
void cql_settings_defaults(struct cql_settings *ret);

/* A value for a '?'. The column's type, learnt by preparing, decides the encoding. */
enum cql_arg_kind {
	CQL_ARG_NULL,
	CQL_ARG_TEXT, /* text, varchar, ascii */
	CQL_ARG_BLOB, /* blob, varint, custom */
	CQL_ARG_INT,  /* int, bigint, smallint, tinyint, timestamp, counter: must fit */
	CQL_ARG_UUID  /* uuid, timeuuid: 16 bytes */
};
struct cql_arg {
	enum cql_arg_kind kind;
	struct lab_view bytes;
	int64_t number;
};

struct cql_statement {
	enum cql_statement_type type;
	struct lab_view query; /* with '?' markers; of a batch, its name in messages */
	const struct cql_arg *args;
	size_t arg_count;
	int64_t timestamp_us; /* 0: the client's generator, for writes and deletes */
	uint64_t deadline_ns; /* when the caller gives up, 0: never. Not a failure of the cluster:
				 it neither counts nor falls back. What was sent goes on there */
	/* A BATCH of these, if batch_count > 0, at most CQL_BATCH_MAX: only their query and args
	 * count. All of them have one timestamp. It is never paged. */
	const struct cql_statement *batch;
	size_t batch_count;
	enum cql_batch_type batch_type;
};

/* Rows of all pages. */
struct cql_result {
	const struct cql_column *columns; /* NULL if there was no row set */
	size_t column_count;
	struct lab_view *cells; /* row by row; ptr NULL is null */
	size_t row_count;
};

struct cql_client;

/* Starts connecting in the background. 0; -1 LAB_INVALID for senseless settings, LAB_LIMIT if the
 * world has no more fibers. */
int cql_client_open(struct env *env, const struct cql_settings *settings, struct cql_client **ret,
	struct lab_error *err);
/* Waits for running statements, then for the connections' fibers. NULLs the pointer; accepts
 * NULL. */
void cql_client_close(struct cql_client **client);

/* The arena must take every page of the answer as it came.
 * Executes one statement: waits for a first connection if none has been tried to its end yet, goes
 * through the hosts in turn, retries, falls back, reads all pages. 0, or -1. */
int cql_client_execute(struct cql_client *client, const struct cql_statement *statement,
	size_t max_rows, struct lab_arena *arena, struct cql_result *ret, struct lab_error *err);

/* The next write timestamp: the host's wall clock in microseconds, but larger than every one
 * before (obox 3.6, invariant 33). */
int64_t cql_client_timestamp(struct cql_client *client);

uint64_t cql_client_counter(const struct cql_client *client, enum cql_counter counter);
/* Connections that are ready. */
unsigned cql_client_connected(const struct cql_client *client);

#endif
