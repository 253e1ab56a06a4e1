/* SPDX-License-Identifier: Apache-2.0
 *
 * http-front-end-private.h - a connection's way from bytes to a request (http-read.c) and from a
 * reply to bytes (http-write.c), and what keeps them (http-front-end.c).
 */
#ifndef SIM_HTTP_FRONT_END_PRIVATE_H
#define SIM_HTTP_FRONT_END_PRIVATE_H

#include "sim/front-end/front-end-private.h"
#include "sim/front-end/http-front-end.h"
#include "sim/front-end/http-parse.h"

/* What one read takes at most, into memory that all connections share. */
#define HTTP_READ_BYTES ((size_t)64 << 10)
/* A connection keeps so much memory from one request to the next. */
#define HTTP_KEPT_BYTES ((size_t)4 << 10)
/* The deadline of a body moves when so much of it has come. */
#define HTTP_PROGRESS_BYTES 4096

/* What a connection waits for, and for how long at most. One list for each: a list has one
 * duration, so it is in order of deadlines. */
enum http_timer {
	HTTP_TIMER_NONE,
	HTTP_TIMER_IDLE,    /* the next request */
	HTTP_TIMER_HEAD,    /* the rest of a head */
	HTTP_TIMER_BODY,    /* more of a body */
	HTTP_TIMER_WRITE,   /* the client to take more of an answer */
	HTTP_TIMER_DRAIN,   /* the client to close as well */
	HTTP_TIMER_SILENT,  /* for ever; the client to give up */
	HTTP_TIMER_TRICKLE, /* the moment for more bytes; in no order */
	HTTP_TIMER_COUNT
};

enum http_state {
	HTTP_READING, /* a head, or nothing */
	HTTP_BODY,
	HTTP_PENDING, /* the service has the request */
	HTTP_WRITING,
	HTTP_TRICKLING,
	HTTP_SILENT,
	HTTP_DRAINING /* all is said: what still comes is thrown away */
};

/* What becomes of the connection when the answer has left. */
enum http_end {
	HTTP_KEEP,
	HTTP_CLOSE,
	HTTP_DROP,
	HTTP_RESET
};

/* From the head of a request to its reply. */
struct http_exchange {
	struct http_front_end *front_end;
	struct http_connection *connection; /* NULL: gone meanwhile */
	struct http_exchange *next;         /* idle */
	bool refused;                       /* the answer is the last one */
	struct http_head head;
	struct lab_buf head_text; /* only if the body came later than the head */
	struct http_chunks chunks;
	struct lab_buf body, trailers;
	size_t claimed; /* of the memory for bodies */
};

struct http_connection {
	uv_tcp_t tcp;
	struct http_front_end *front_end;
	struct http_connection *prev, *next; /* all */
	uint64_t id;
	struct sim_peer peer;
	char name[FRONT_END_NAME_MAX];
	uint32_t answers, answers_max;
	enum http_state state;
	bool eof;    /* the client will send no more */
	bool paused; /* reading is */
	bool closing;
	struct http_exchange *exchange;
	struct lab_buf in; /* came too early, or is not complete */
	size_t scanned;    /* of it, by http_head_find() */
	size_t progress;   /* of the body, when its deadline was set */

	enum http_timer timer;
	uint64_t deadline_ns;
	struct http_connection *timer_prev, *timer_next;
	bool ready; /* to go on with `in` */
	struct http_connection *ready_prev, *ready_next;

	enum http_end end;
	uv_write_t write;
	struct lab_buf out; /* what the socket did not take, or a trickle */
	size_t out_at, out_claimed;
	uint64_t bytes_per_s, moved_ns;
};

struct http_timer_list {
	struct http_connection *first, *last;
};

struct http_front_end {
	struct front_end_thread thread;
	struct sim_http_service service;
	struct http_front_end_settings settings;
	struct sim_connection_life life;
	bool lives_on; /* no `life` was given */
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct front_end_peers peers;
	uv_tcp_t listener;
	uint16_t port;
	bool stopping;
	uint64_t now_ns; /* of the service's clock, when something last happened */

	uint64_t connection_id;
	struct http_connection *connections; /* all */
	struct http_timer_list timers[HTTP_TIMER_COUNT];
	uint64_t durations_ns[HTTP_TIMER_COUNT];
	struct http_connection *ready, *ready_last;
	struct http_exchange *idle;
	size_t idle_count;
	size_t claimed; /* by bodies and answers */
	uint8_t *read_buffer;
	struct lab_buf scratch; /* the head of an answer */
	int64_t date_second;
	char date[LAB_DATE_TEXT_MAX];
	struct http_front_end_stats stats;
};

/* ---- http-front-end.c ---- */

/* Takes part of the memory that bodies and answers share. False: there is not so much. */
bool http_claim(struct http_front_end *front_end, size_t bytes, size_t *claimed);
void http_unclaim(struct http_front_end *front_end, size_t *claimed);

struct http_exchange *http_exchange_new(struct http_connection *connection);
void http_exchange_free(struct http_exchange *exchange);

void http_timer_set(struct http_connection *connection, enum http_timer timer);
/* Goes on with the connection's input before the loop waits. */
void http_ready(struct http_connection *connection);
/* At once; with an RST if `reset`. A request that the service has is answered to nobody. */
void http_close(struct http_connection *connection, bool reset);
/* Does what is due. */
void http_advance(struct http_front_end *front_end);

/* ---- http-read.c ---- */

void http_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret);
void http_received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
/* Reads on in what came before. */
void http_continue(struct http_connection *connection);
void http_refuse(struct http_connection *connection, enum sim_http_refusal why);

/* ---- http-write.c ---- */

/* sim_http_reply_fn of an exchange. */
void http_reply(void *exchange, const struct sim_http_reply *reply);
/* A line of text for services that refuse nothing themselves. */
void http_reply_refusal(struct http_exchange *exchange, enum sim_http_refusal why);
void http_say_continue(struct http_connection *connection);
/* The socket has not taken anything for long. */
void http_write_stuck(struct http_connection *connection);
void http_trickle(struct http_connection *connection);

#endif
