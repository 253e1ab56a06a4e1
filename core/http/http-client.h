/* SPDX-License-Identifier: Apache-2.0
 *
 * http-client.h - the HTTP policy of object storage: retries, timeouts, headers, log lines.
 *
 * Purpose    One request in the caller's sense, which may be several exchanges of env_http(): each
 *            is signed anew, and their outcomes add up to one of ok, fail, uncertain.
 * Blocking   http_client_request() blocks; at most max_parallel_connections exchanges of one client
 *            run at a time, the others queue. Any number of fibers may use a client.
 * Ownership  The client copies its settings to its heap. Responses are copied into the caller's
 *            arena.
 * Retries    obox 1.6: after 50 ms, 500 ms, 5 s, 10 s, 10 s... up to max_retries of the action's
 *            class, on every 5xx, on 408, on retry_statuses, after a reset or a timeout, and when
 *            inspect() says so. Failed connects have their own count, with waits of 100, 200,
 *            400... ms up to 1 s. absolute_timeout covers all of it, the time in the queue too; a
 *            retry whose wait would pass it is not begun. Retry-After is not heeded, as the ladder
 *            is what is documented.
 * Redirects  301, 302, 307 and 308 with a Location are followed at once, signed anew, with the same
 *            method and body, up to max_redirects; never from https to http. They count as no
 *            retry.
 * Outcome    One table, http_classes in http-classify.c (simulation 5.2). A write or delete that
 *            fails after any attempt which may have been applied is LAB_UNCERTAIN, whatever the
 *            last attempt said. A 404 for a delete after such an attempt is ok: it was our own.
 * Secrets    Only header values named by log_headers get into messages and events.
 */
#ifndef LAB_HTTP_CLIENT_H
#define LAB_HTTP_CLIENT_H

#include "core/env/env.h"

#define HTTP_POLICY_HEADERS_MAX 8
#define HTTP_RETRY_STATUSES_MAX 4
#define HTTP_RESPONSE_MAX ((size_t)1 << 30)
#define HTTP_RETRY_WAIT_FIRST_NS (50 * LAB_MSEC)
#define HTTP_RETRY_WAIT_MAX_NS (10 * LAB_SEC)
#define HTTP_CONNECT_WAIT_FIRST_NS (100 * LAB_MSEC)
#define HTTP_CONNECT_WAIT_MAX_NS LAB_SEC

/* What a request does decides its timeout, its retries, and what a lost answer means. */
enum http_action {
	HTTP_READ,
	HTTP_WRITE,
	HTTP_DELETE,
	HTTP_ACTION_COUNT
};

/* Field by field the URL parameters of obox 1.6. */
struct http_policy {
	uint64_t absolute_timeout_ns; /* 0: none */
	uint64_t connect_timeout_ns;
	uint64_t timeout_ns[HTTP_ACTION_COUNT]; /* for one response */
	unsigned max_connect_retries;
	unsigned max_retries[HTTP_ACTION_COUNT];
	unsigned retry_statuses[HTTP_RETRY_STATUSES_MAX]; /* beside 5xx: 423, 409; ends with 0 */
	uint64_t slow_warn_ns;                            /* 0: never */
	unsigned max_parallel_connections;
	unsigned max_redirects; /* 2, as lib-http has it for these drivers */
	struct lab_http_header add_headers[HTTP_POLICY_HEADERS_MAX];
	size_t add_header_count;
	struct lab_view log_headers[HTTP_POLICY_HEADERS_MAX];
	size_t log_header_count;
	bool trace_headers;              /* X-Dovecot-Username, X-Dovecot-Session-Id */
	size_t reason_header_max_length; /* 0: no X-Dovecot-Reason */
	struct lab_view user_agent;
	struct lab_view username, session_id; /* for the trace headers; ptr NULL: not sent */
};
/* The documented defaults: 10 s, 4 retries, 2 connect retries, 10 connections, slow after 5 s. */
void http_policy_init(struct http_policy *policy);

/* ---- classification: one answer to one attempt ---- */

enum http_retry {
	HTTP_RETRY_NEVER,
	HTTP_RETRY_LISTED, /* if policy.retry_statuses has it */
	HTTP_RETRY_LADDER
};
struct http_class {
	uint16_t status_from, status_to; /* 0, 0: no answer at all after bytes were sent */
	const char *code;                /* the storage's error code, or NULL for any */
	enum lab_code error;             /* what a certain failure is called; LAB_OK: success */
	enum http_retry retry;
	bool maybe_applied; /* a write or delete may have happened all the same */
	bool retryable;     /* worth trying again later */
	bool renew;         /* new credentials may help, once */
};
/* The row of the table; there is one for each status. `code` may be empty. Pure. */
const struct http_class *http_classify(unsigned status, struct lab_view code);

/* ---- the client ---- */

struct http_client;

/* Copies the policy and its texts. -1 LAB_INVALID: a header that must not go on the wire. */
int http_client_new(struct env *env, const struct http_policy *policy, struct http_client **ret,
	struct lab_error *err);
/* No request may be running. NULLs the pointer; accepts NULL. */
void http_client_free(struct http_client **client);

struct http_call {
	enum http_action action;
	/* Method, authority, target, body and the headers that are the same in each attempt.
	 * Borrowed until the end of the request. */
	const struct lab_http_request *request;
	size_t response_max_bytes; /* at most HTTP_RESPONSE_MAX counts */
	const char *reason;        /* why: X-Dovecot-Reason; NULL: none */
	void *ctx;
	/* Called before each attempt with a copy of the request (after a redirect with another
	 * authority and target): adds date, token, signature. May
	 * block (credentials). -1 ends the request with this error, certainly or not as the
	 * attempts before it say. NULL: nothing to add. */
	int (*sign)(void *ctx, struct lab_http_request *request, struct lab_arena *arena,
		struct lab_error *err);
	/* The storage refused the credentials: the next sign() shall use others. NULL: there are no
	 * others. */
	void (*renew)(void *ctx);
	/* The storage's error code in an answer ("SlowDown"), empty if there is none. NULL: none.
	 */
	struct lab_view (*error_code)(
		void *ctx, const struct lab_http_response *response, struct lab_arena *arena);
	/* Looks into a 2xx answer before it counts. The status that it amounts to: its own, or
	 * another one (500 and 503 as such; HTTP_STATUS_ALTERED), with its reason in `why`. */
	unsigned (*inspect)(void *ctx, const struct lab_http_response *response,
		struct lab_arena *arena, const char **why);
	/* Set: an attempt of a write or delete may have been applied, also where the last one was
	 * answered with 2xx. For answers that say of a part of what was asked that it failed: that
	 * is then said of the last attempt only. NULL: nobody asks. */
	bool *ret_uncertain;
};
/* For inspect(): a 2xx answer that is not what it says. For a read it is LAB_CORRUPT, for a write
 * it may have been applied; both are retried. */
#define HTTP_STATUS_ALTERED 9001

/* Blocks. 0: an answer of 2xx (or 404 after our own delete). -1: err->status is the last status, if
 * any; *ret is then the last answer, with status 0 if there was none. May be LAB_UNCERTAIN, for
 * writes and deletes. Else LAB_NOT_FOUND, LAB_DENIED, LAB_INVALID, LAB_UNSUPPORTED, LAB_LIMIT,
 * LAB_THROTTLED, LAB_UNAVAILABLE, LAB_CORRUPT, LAB_REFUSED, LAB_TIMEOUT, LAB_IO. */
int http_client_request(struct http_client *client, const struct http_call *call,
	struct lab_arena *arena, struct lab_http_response *ret, struct lab_error *err);

/* The wait before retry number `retry` (from 0). */
uint64_t http_retry_wait_ns(unsigned retry);

#endif
