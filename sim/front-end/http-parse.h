/* SPDX-License-Identifier: Apache-2.0
 *
 * http-parse.h - HTTP/1.1 requests from bytes (RFC 9112): the head, and chunked bodies.
 *
 * Pure functions: no sockets, no memory of their own. Results borrow from the bytes that were
 * given. Strict, since what is let through here is what one server reads in one way and the next
 * one in another: a bare LF, a space before a colon, a folded line, two lengths, a length beside a
 * Transfer-Encoding are all refused.
 */
#ifndef SIM_FRONT_END_HTTP_PARSE_H
#define SIM_FRONT_END_HTTP_PARSE_H

#include "sim/service.h"

#define HTTP_METHOD_MAX 32
/* One line of chunk framing, extensions included; and all trailers together. */
#define HTTP_CHUNK_LINE_MAX 1024
#define HTTP_TRAILERS_MAX 8192

struct http_head {
	struct lab_http_request request; /* without Host and Content-Length; no body */
	bool version_1_0;
	bool close, keep_alive; /* asked for in Connection */
	bool expects;           /* 100-continue */
	bool chunked;
	bool has_length;
	uint64_t length;
};

/* Looks for the end of a head. *at: how far earlier calls with fewer bytes have looked, 0 at first.
 * 0 with the head's size, its empty line included, in *at; 1 if more bytes are needed; -1 if what
 * is there cannot become a head (SIM_REFUSE_MALFORMED). */
int http_head_find(struct lab_view data, size_t *at);
/* Takes a whole head apart. -1 with the reason; *ret then holds what was read before. */
int http_head_parse(struct lab_view head, struct http_head *ret, enum sim_http_refusal *ret_why);
/* Adds trailer lines ("name: value\r\n"...) to the headers. Those that would change the meaning of
 * the request are refused. */
int http_trailers_parse(
	struct lab_view trailers, struct lab_http_headers *headers, enum sim_http_refusal *ret_why);

enum http_chunk_state {
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_END,
	HTTP_CHUNK_TRAILERS,
	HTTP_CHUNK_DONE
};

/* A chunked body; starts as all zero. */
struct http_chunks {
	enum http_chunk_state state;
	uint64_t left; /* of the chunk */
};

/* Takes from the front of *data. 0: *ret_piece is data of the body (or, in the state
 * HTTP_CHUNK_TRAILERS, one trailer line with its end); it may be empty; 1: the rest of *data is
 * incomplete, come again with more behind it; -1: broken framing. At HTTP_CHUNK_DONE *data begins
 * with what follows the body. */
int http_chunks_next(struct http_chunks *chunks, struct lab_view *data, struct lab_view *ret_piece);

#endif
