/* SPDX-License-Identifier: Apache-2.0
 *
 * http-message.h - an HTTP request and response as plain data. The core's client, the worlds and
 * the emulators hand these to each other; none of them shares more than the shape.
 *
 * Everything is borrowed; whoever passes a message says until when.
 */
#ifndef LAB_BASE_HTTP_MESSAGE_H
#define LAB_BASE_HTTP_MESSAGE_H

#include "core/base/arena.h"

#define LAB_HTTP_HEADERS_MAX 64

struct lab_http_header {
	struct lab_view name; /* as sent; compare without case */
	struct lab_view value;
};

struct lab_http_headers {
	struct lab_http_header items[LAB_HTTP_HEADERS_MAX];
	size_t count;
};

struct lab_http_request {
	struct lab_view method;          /* "PUT" */
	bool tls;                        /* the URL said https */
	struct lab_view authority;       /* host or host:port, as for the Host header */
	struct lab_view target;          /* path and query exactly as on the wire: "/a%20b?x=1" */
	struct lab_http_headers headers; /* without Host and Content-Length */
	struct lab_view body;
};

struct lab_http_response {
	unsigned status; /* 200 */
	struct lab_view reason;
	struct lab_http_headers headers;
	struct lab_view body;
};

/* -1 when LAB_HTTP_HEADERS_MAX are there already. */
int lab_http_header_add(
	struct lab_http_headers *headers, struct lab_view name, struct lab_view value);
/* The first of that name (ASCII case ignored); ptr NULL if absent. */
struct lab_view lab_http_header_get(const struct lab_http_headers *headers, const char *name);

/* Deep copies; the result borrows from the arena only. */
void lab_http_request_copy(
	struct lab_arena *arena, const struct lab_http_request *from, struct lab_http_request *to);
void lab_http_response_copy(struct lab_arena *arena, const struct lab_http_response *from,
	struct lab_http_response *to);

#endif
