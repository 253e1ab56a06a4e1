/* SPDX-License-Identifier: Apache-2.0
 *
 * live-http-private.h - the two halves of HTTP: live-http.c is what a fiber does for one exchange,
 * live-curl.c is how libcurl is driven by the loop.
 */
#ifndef LAB_ENV_LIVE_HTTP_PRIVATE_H
#define LAB_ENV_LIVE_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "core/env/live/live-private.h"

/* Our own lines beside the caller's: Host, Expect, Accept, Content-Type. */
#define LIVE_HTTP_LINES_MAX (LAB_HTTP_HEADERS_MAX + 4)
#define LIVE_HTTP_REQUEST_TEXT_MAX ((size_t)256 << 10)
#define LIVE_HTTP_RESPONSE_HEAD_MAX ((size_t)64 << 10)
/* libcurl sends a body up to this size in one system call with its headers; longer ones are read
 * part by part, so that we see how far it is. */
#define LIVE_HTTP_SMALL_BODY_MAX ((size_t)64 << 10)

/* One request on its way. Its easy handle outlives it, for the next. */
struct live_exchange {
	struct live_http *http;
	struct live_exchange *prev, *next;
	struct live_fiber *fiber;
	CURL *easy;
	char error[CURL_ERROR_SIZE];

	struct lab_buf text; /* the request's strings, each with its NUL */
	struct curl_slist lines[LIVE_HTTP_LINES_MAX];
	size_t line_offsets[LIVE_HTTP_LINES_MAX];
	size_t line_count;
	struct curl_slist route;
	struct lab_view body;
	size_t body_taken;
	bool tls;

	uint64_t connect_timeout_ns, response_timeout_ns, deadline_ns;
	uint64_t started_ns, connected_ns, sent_ns;
	unsigned attempts; /* times that libcurl was about to send it: at most once for real */
	bool denied;       /* not loopback */
	bool no_socket;
	bool timed_out;
	bool finished;
	CURLcode result;

	size_t response_max_bytes;
	struct lab_buf head; /* status line and headers, as received */
	bool head_complete;
	struct lab_buf response;
	bool too_long;
};

/* One host's connections. A multi handle of its own: no host may use another's connection. */
struct live_http {
	struct live_host *host;
	CURLM *multi;
	struct live_timer timer;
	struct live_exchange *busy, *idle;
	unsigned idle_count;
	bool dropping; /* connections are reset, not closed */
};

/* A free exchange, its easy handle set up as far as all requests are alike. NULL if libcurl
 * has no memory. */
struct live_exchange *live_curl_take(struct live_host *host);
void live_curl_give(struct live_exchange *exchange);
/* The exchange is on its way; its fiber is made runnable when it has finished. */
void live_curl_begin(struct live_exchange *exchange);
void live_curl_end(struct live_exchange *exchange);
/* When it has taken too long, as far as it is now. */
uint64_t live_exchange_deadline(const struct live_exchange *exchange);

#endif
