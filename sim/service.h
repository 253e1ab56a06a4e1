/* SPDX-License-Identifier: Apache-2.0
 *
 * service.h - what an emulator is: a state machine without sockets, clocks or threads (DESIGN 2).
 *
 * It is given requests, bytes and the time; it answers through callbacks, now or later. What it
 * must know of the world it asks through `struct sim_hooks`. Front ends adapt it: the simulated
 * link of sim/world, and HTTP and TCP servers on libuv for real sockets.
 */
#ifndef LAB_SIM_SERVICE_H
#define LAB_SIM_SERVICE_H

#include "core/base/base.h"

/* ---- faults: what the emulator asks at each of its fault points ---- */

/* A fault is (applied: yes, no, partly, late) x (what was answered). */
enum sim_fault_kind {
	SIM_FAULT_NONE,
	SIM_FAULT_REFUSE,      /* before: answer `status`/`code` without looking at the request */
	SIM_FAULT_FAIL,        /* checked, not applied, answered with an error */
	SIM_FAULT_LOSE_REPLY,  /* applied, then the connection is reset */
	SIM_FAULT_STALL_REPLY, /* applied, then silence */
	SIM_FAULT_ALTER_REPLY, /* applied, then answered with an error */
	SIM_FAULT_STALL,       /* not applied, silence */
	SIM_FAULT_RESET,       /* not applied, the connection is reset */
	SIM_FAULT_DELAY,       /* applied and answered after delay_ns */
	SIM_FAULT_PARTLY,      /* CQL: applied on `replicas` replicas only, then a timeout */
	SIM_FAULT_LATE,        /* CQL: answered with a timeout, applied after delay_ns */
	SIM_FAULT_CORRUPT,     /* applied; the reply is cut off */
	SIM_FAULT_FLIP,        /* applied; one bit of the reply's body is wrong */
	SIM_FAULT_WRONG_ETAG,  /* applied; the reply's ETag is that of something else */
	SIM_FAULT_WRONG_DATE,  /* applied; the reply's Date is off by delay_ns and 15 minutes */
	SIM_FAULT_TRICKLE,     /* applied; the reply's body takes delay_ns */
	SIM_FAULT_DROP,        /* applied and answered; then closed without notice */
	SIM_FAULT_STALE,       /* answered as things were delay_ns ago */
	SIM_FAULT_DUPLICATE,   /* applied and answered; applied once more after delay_ns */
	SIM_FAULT_KIND_COUNT
};

struct sim_fault_query {
	const char *point;        /* sorted list in sim/faults/points.def: "s3.put", "cql.write" */
	const char *service;      /* "s3", "cql", "imds" */
	struct lab_view instance; /* node or endpoint: "cassandra-1" */
	struct lab_view peer;     /* host name of the client */
	struct lab_view subject;  /* bucket/key, or table */
	uint64_t now_ns;
};

struct sim_fault {
	enum sim_fault_kind kind;
	uint32_t id;      /* of the injected fault, for reports; 0 for none */
	unsigned status;  /* HTTP status, or CQL error code */
	const char *code; /* "SlowDown", "InternalError"; literal, or NULL */
	uint64_t delay_ns;
	unsigned replicas;
};

struct sim_access; /* below */

/* Every pointer may be NULL: no faults, everything reachable, no latency, no log. */
struct sim_hooks {
	void *ctx;
	struct sim_fault (*fault)(void *ctx, const struct sim_fault_query *query);
	/* Can one node of a cluster talk to another at `now`? Names are those given at creation. */
	bool (*reachable)(void *ctx, struct lab_view from, struct lab_view to, uint64_t now_ns);
	/* One way, for the n-th message of this pair. */
	uint64_t (*latency)(void *ctx, struct lab_view from, struct lab_view to, uint64_t ordinal);
	void (*access)(void *ctx, const struct sim_access *access);
};

/* One line of a service's access log: the only thing, besides snapshots, by which an oracle knows
 * what the services did. Borrowed during the call. */
struct sim_access {
	const char *service;
	struct lab_view instance;
	struct lab_view peer;
	uint64_t received_ns, answered_ns;
	struct lab_view method;    /* HTTP: "PUT"; else empty */
	struct lab_view operation; /* "PUT", "POST-DELETE", "INSERT", "imds.token" */
	struct lab_view subject;   /* "bucket/key"; "keyspace.table" */
	struct lab_view request;   /* HTTP: the target; CQL: the statement text */
	struct lab_view user;   /* HTTP: X-Dovecot-Username; CQL: bound value of column u, if any */
	struct lab_view object; /* CQL: bound value of column i, if any and no batch */
	const struct lab_view *keys; /* bulk delete: each key */
	size_t key_count;
	unsigned status;  /* HTTP status; CQL error code, 0 for ok; what was (to be) answered */
	const char *code; /* S3: of the error, "ExpiredToken"; a literal. NULL: none */
	bool applied;     /* the write took effect somewhere */
	bool answered;    /* false: lost, stalled, reset */
	bool is_repeat;   /* something in between did it once more: the client knows of one */
	uint32_t fault_id;
	uint64_t bytes;       /* of the body, or of the value */
	uint64_t body_hash;   /* of the uncompressed... stored bytes; volatile, never traced */
	uint16_t consistency; /* CQL */
	int64_t timestamp_us; /* CQL: the client's write timestamp, INT64_MIN without one */
};

/* ---- HTTP services (S3, IMDS) ---- */

struct sim_peer {
	struct lab_view name; /* host name, or address:port */
	struct lab_view zone;
	unsigned hops;       /* IP hops to the service: IMDS's hop limit */
	uint64_t connection; /* which connection it came on, unique in the front end */
};

enum sim_wire {
	SIM_WIRE_ANSWER,       /* send the response, keep the connection */
	SIM_WIRE_ANSWER_CLOSE, /* send it, then close: what AWS does with SlowDown */
	SIM_WIRE_RESET,        /* no answer: RST */
	SIM_WIRE_TRUNCATE,     /* send `cut_at` bytes of the body, then reset */
	SIM_WIRE_SILENCE,      /* never answer; the connection stays open */
	SIM_WIRE_ANSWER_DROP,  /* send it as if the connection stayed, then close without notice */
	SIM_WIRE_TRICKLE /* send headers, then the body at `bytes_per_s`; keep the connection */
};

struct sim_http_reply {
	enum sim_wire wire;
	struct lab_http_response response; /* borrowed during the call */
	bool head;                         /* answer to HEAD: headers of the body, without it */
	uint64_t bytes_per_s;              /* SIM_WIRE_TRICKLE: 1 or more */
	size_t cut_at; /* SIM_WIRE_TRUNCATE: less than the body has; 0: half of the body */
};
typedef void (*sim_http_reply_fn)(void *ctx, const struct sim_http_reply *reply);

/* How long the server's side keeps a connection (s3 2.6): an option of the front ends (sim/world,
 * sim/front-end), which carry it out; the service does not know. */
struct sim_connection_life {
	/* Closes after so many answers, drawn for each connection. 0, 0: 100. UINT32_MAX: never. */
	uint32_t requests_low, requests_high;
	uint64_t idle_ns; /* closes when so long nothing was asked. 0: 20 s. UINT64_MAX: never */
	/* The last answer says "Connection: close". Else it is closed without notice: what is sent
	 * before the client comes to know is lost. */
	bool announced;
};
#define SIM_CONNECTION_REQUESTS 100
#define SIM_CONNECTION_IDLE_NS (20 * LAB_SEC)

/* After which answer this connection is closed. `key` names the connection. */
static inline uint32_t sim_connection_requests(
	const struct sim_connection_life *life, uint64_t seed, uint64_t key)
{
	uint32_t low = life->requests_low, high = life->requests_high;

	if (low == 0 && high == 0)
		return SIM_CONNECTION_REQUESTS;
	if (low >= high)
		return low;
	return low + (uint32_t)lab_pick(lab_draw(seed, "connection.requests", key, 0),
			     (uint64_t)high - low + 1);
}
static inline uint64_t sim_connection_idle_ns(const struct sim_connection_life *life)
{
	return life->idle_ns == 0 ? SIM_CONNECTION_IDLE_NS : life->idle_ns;
}

/* Why a front end cannot give the service a request: what came is not one, or is too much. */
enum sim_http_refusal {
	SIM_REFUSE_MALFORMED,   /* request line, header or framing that HTTP does not allow */
	SIM_REFUSE_URI,         /* a target with a space, a control character, or none */
	SIM_REFUSE_VERSION,     /* neither HTTP/1.0 nor HTTP/1.1 */
	SIM_REFUSE_HEADERS,     /* request line and headers are too large, or too many */
	SIM_REFUSE_LENGTH,      /* a Content-Length that is none, or two of them */
	SIM_REFUSE_NO_LENGTH,   /* a PUT or POST that does not say how long it is */
	SIM_REFUSE_CODING,      /* a Transfer-Encoding other than chunked */
	SIM_REFUSE_SHORT,       /* the client stopped sending before the end of the body */
	SIM_REFUSE_BODY,        /* the body is too large */
	SIM_REFUSE_TIMEOUT,     /* the request did not come in time */
	SIM_REFUSE_MEMORY,      /* too much is being received at the moment */
	SIM_REFUSE_CONNECTIONS, /* too many connections */
	SIM_REFUSE_COUNT
};

struct sim_http_ops {
	/* `request` is borrowed during the call. `reply` is called exactly once: in this call, or
	 * in a later advance(). */
	void (*submit)(void *service, const struct lab_http_request *request,
		const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply,
		void *reply_ctx);
	/* Does what is due at `now_ns`. */
	void (*advance)(void *service, uint64_t now_ns);
	/* When advance() has something to do; UINT64_MAX if nothing is pending. */
	uint64_t (*next_deadline)(void *service);
	/* Answers, in the service's own form, what is no request for submit(). `request` has what
	 * could be read of it, perhaps nothing, and no body. `reply` as for submit(); the
	 * connection is closed after it. NULL: the front end answers with a line of text. */
	void (*refuse)(void *service, enum sim_http_refusal why,
		const struct lab_http_request *request, const struct sim_peer *peer,
		uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx);
	/* A PUT or POST with neither Content-Length nor Transfer-Encoding is not submitted but
	 * refused (SIM_REFUSE_NO_LENGTH). */
	bool length_required;
};
struct sim_http_service {
	const struct sim_http_ops *ops;
	void *service;
};

/* ---- stream services (CQL) ---- */

/* What the service sends on one connection. `data` is borrowed during the call; `wire` is
 * SIM_WIRE_ANSWER for data, SIM_WIRE_ANSWER_CLOSE for data and an orderly end, SIM_WIRE_RESET. */
typedef void (*sim_stream_output_fn)(void *ctx, struct lab_view data, enum sim_wire wire);

struct sim_stream_ops {
	/* A new connection to `instance` (node name). NULL: refused (the node is down). After the
	 * service resets a connection, or the front end calls closed(), neither side uses it again.
	 */
	void *(*accept)(void *service, struct lab_view instance, const struct sim_peer *peer,
		uint64_t now_ns, sim_stream_output_fn output, void *output_ctx);
	void (*input)(void *connection, struct lab_view data, uint64_t now_ns);
	void (*closed)(void *connection, uint64_t now_ns);
	void (*advance)(void *service, uint64_t now_ns);
	uint64_t (*next_deadline)(void *service);
};
struct sim_stream_service {
	const struct sim_stream_ops *ops;
	void *service;
};

#endif
