/* SPDX-License-Identifier: Apache-2.0
 *
 * http-front-end.h - an HTTP service (sim/service.h) on a real socket, by libmicrohttpd.
 *
 * Purpose    Lets curl, a mail server or core/env/live talk to the S3 and IMDS emulators.
 * Threads    Each front end has one thread. The service, and the hooks it calls, run on that thread
 *            only, from http_front_end_new() until http_front_end_free() has returned. Whoever
 * needs to touch the service meanwhile uses http_front_end_call(). The other functions here may be
 * called from any thread but the front end's own. Ownership  The service is borrowed. After
 * http_front_end_free() replies that it still owes have nowhere to go: it may be inspected and
 * freed, but not advanced. Wire       HTTP/1.1 keep-alive, no TLS. The request's target is passed
 * as on the wire, header duplicates in their order, chunked bodies joined. Date, Content-Length and
 * Connection of an answer are written by libmicrohttpd where the service has not set Date; a
 *            Content-Length that the service sets counts for answers to HEAD only. The
 *            reason phrase on the wire is the standard one of the status.
 *              ANSWER_CLOSE  answered with Connection: close
 *              RESET         RST without a byte (a connect(AF_UNSPEC) on the socket: Linux)
 *              TRUNCATE      headers and the first half of the body, then RST
 *              SILENCE       nothing, until the client gives up; beyond silenced_max the
 *                            longest waiting one is reset
 * Limits     Taken in the settings; 0 chooses the default that stands beside each. A request beyond
 *            them is answered without asking the service: 431 (headers), 413 (body), 503
 *            (memory_max_bytes), in the shape that `refuse` gives it. Requests that are not HTTP
 *            get libmicrohttpd's own 400.
 * See also   s3 6.1, 6.2.
 */
#ifndef SIM_FRONT_END_HTTP_H
#define SIM_FRONT_END_HTTP_H

#include "sim/front-end/front-end.h"

struct http_front_end;

/* Writes the answer to a request that is refused with `status`, in the service's own shape (S3's
 * XML). `request` has what was read: target and headers always (of too many headers the first
 * LAB_HTTP_HEADERS_MAX), no body. *ret starts with the status and an empty body; what it is made
 * to borrow must live until the next call. Called on the front end's thread. */
typedef void (*http_front_end_refuse_fn)(void *ctx, unsigned status,
	const struct lab_http_request *request, struct lab_http_response *ret);

struct http_front_end_settings {
	struct sim_http_service service;
	const char *address; /* to listen on; NULL: "127.0.0.1" */
	uint16_t port;       /* 0: any */
	uint64_t
		start_ns; /* CLOCK_MONOTONIC that is 0 for the service; 0: the moment of the call */
	size_t header_max_bytes;            /* request line and headers; 16 KiB */
	size_t body_max_bytes;              /* 64 MiB */
	size_t memory_max_bytes;            /* all bodies being received; 1 GiB */
	unsigned connections_max;           /* more wait in the backlog; 2000 */
	unsigned backlog;                   /* 1024 */
	unsigned idle_timeout_s;            /* of a connection on which nothing moves; 60 */
	unsigned requests_per_connection;   /* then it is closed, as AWS does; 0: never */
	unsigned silenced_max;              /* 256 */
	const struct front_end_peer *peers; /* borrowed during the call */
	size_t peer_count;
	http_front_end_refuse_fn refuse; /* NULL: a line of text */
	void *refuse_ctx;
};

/* Listens, and serves from now on. -1 LAB_EXISTS (address in use), LAB_INVALID, LAB_IO. */
int http_front_end_new(const struct http_front_end_settings *settings, struct http_front_end **ret,
	struct lab_error *err);
/* Closes all connections, waits for the thread's end. NULLs the pointer; accepts NULL. */
void http_front_end_free(struct http_front_end **front_end);

uint16_t http_front_end_port(const struct http_front_end *front_end);
/* Runs fn(ctx) on the service's thread, between two requests, and returns when it is done. On that
 * thread itself (from a hook) it is an ordinary call. */
void http_front_end_call(struct http_front_end *front_end, void (*fn)(void *ctx), void *ctx);

struct http_front_end_stats {
	uint64_t connections; /* accepted */
	uint64_t requests;    /* given to the service */
	uint64_t refused;     /* answered without it */
	uint64_t silenced;    /* connections that are now being kept waiting for ever */
	uint64_t pending;     /* requests that the service has not answered yet */
};
struct http_front_end_stats http_front_end_stats(struct http_front_end *front_end);

#endif
