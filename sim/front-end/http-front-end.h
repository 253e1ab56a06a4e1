/* SPDX-License-Identifier: Apache-2.0
 *
 * http-front-end.h - an HTTP service (sim/service.h) on a real socket.
 *
 * Purpose    Lets curl, SDKs, a mail server or core/env/live talk to the S3 and IMDS emulators.
 * Threads    Each front end has one thread. The service, and the hooks it calls, run on that thread
 *            only, from http_front_end_new() until http_front_end_free() has returned. Whoever
 *            needs to touch the service meanwhile uses http_front_end_call(). The other functions
 *            here may be called from any thread but the front end's own.
 * Ownership  The service is borrowed. After http_front_end_free() replies that it still owes have
 *            nowhere to go: it may be inspected and freed, but not advanced.
 * Wire       HTTP/1.1 and 1.0, keep-alive, pipelining, no TLS. The request's target is passed as
 *            on the wire, header duplicates in their order, chunked bodies joined, trailers behind
 *            the headers; 100 (Continue) is said where it is asked for and the head is acceptable.
 *            An answer has the service's headers as they are, also empty ones, and its reason
 *            phrase if it gives one. Content-Length is the body's, for HEAD the service's own if it
 *            has one; with "Transfer-Encoding: chunked" the body is one chunk instead. Connection
 *            and Date are added where the service has none.
 *              ANSWER_CLOSE  says Connection: close, sends FIN and waits for the client's (2 s)
 *              ANSWER_DROP   says nothing, then FIN at once
 *              RESET         RST without a byte
 *              TRUNCATE      headers and the first cut_at bytes of the body, then RST
 *              TRICKLE       headers, then 20 pieces a second, or a byte at a time
 *              SILENCE       nothing, until the client gives up; beyond silenced_max the
 *                            longest waiting one is reset
 * Refusals   What is no request (sim_http_refusal) is answered by the service's refuse(), then the
 *            connection is closed as by ANSWER_CLOSE. Nobody is closed without an answer who has
 *            begun to ask; only beyond connections_max + 64 new ones are reset.
 * Limits     Taken in the settings; 0 chooses the default that stands beside each. A connection
 *            that idles costs about 1 KiB, one whose request is under way header_max_bytes and
 *            128 KiB at most; bodies and answers that wait for slow clients share memory_max_bytes.
 * See also   s3 2.6, 6.1, 6.2; RFC 9110, 9112.
 */
#ifndef SIM_FRONT_END_HTTP_H
#define SIM_FRONT_END_HTTP_H

#include "sim/front-end/front-end.h"

struct http_front_end;

struct http_front_end_settings {
	struct sim_http_service service;
	const char *address; /* to listen on; NULL: "127.0.0.1" */
	uint16_t port;       /* 0: any */
	uint64_t
		start_ns; /* CLOCK_MONOTONIC that is 0 for the service; 0: the moment of the call */
	size_t header_max_bytes;  /* request line and headers; 16 KiB */
	size_t body_max_bytes;    /* 64 MiB */
	size_t memory_max_bytes;  /* all bodies being received, answers being sent; 1 GiB */
	unsigned connections_max; /* more are refused; 4096 */
	unsigned backlog;         /* 1024 */
	uint64_t head_timeout_ns; /* from a request's first byte to the end of its head; 20 s */
	uint64_t body_timeout_ns; /* for each 4 KiB of a body; 20 s */
	/* When connections end by themselves; borrowed during the call. NULL: after a minute
	 * without a request. `life_seed` draws for each one. */
	const struct sim_connection_life *life;
	uint64_t life_seed;
	unsigned silenced_max;              /* 256 */
	const struct front_end_peer *peers; /* borrowed during the call */
	size_t peer_count;
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
	uint64_t connections;  /* accepted */
	uint64_t requests;     /* given to the service */
	uint64_t refused;      /* by refuse(), or without it */
	uint64_t open;         /* connections that there are now */
	uint64_t silenced;     /* connections that are now being kept waiting for ever */
	uint64_t memory_bytes; /* all that the front end has allocated */
	uint64_t pending;      /* requests that the service has not answered yet */
};
struct http_front_end_stats http_front_end_stats(struct http_front_end *front_end);

#endif
