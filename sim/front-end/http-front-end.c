/* SPDX-License-Identifier: Apache-2.0
 *
 * http-front-end.c - libmicrohttpd, driven from the front end's own loop. See README.md for why not
 * by its own thread.
 */
#include "sim/front-end/http-front-end.h"

#include <microhttpd.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/front-end/front-end-private.h"

#define HEADER_DEFAULT ((size_t)16 << 10)
#define BODY_DEFAULT ((size_t)64 << 20)
#define MEMORY_DEFAULT ((size_t)1 << 30)
#define CONNECTIONS_DEFAULT 2000
#define BACKLOG_DEFAULT 1024
#define IDLE_TIMEOUT_DEFAULT 60
#define SILENCED_DEFAULT 256
/* Beside bodies: exchanges, connections, tables. */
#define OWN_BYTES ((size_t)256 << 20)
/* Of a connection, for libmicrohttpd: request line and headers twice (raw and taken apart), answer.
 */
#define CONNECTION_BYTES(header_max) (2 * (header_max) + ((size_t)16 << 10))
#define KEPT_BODY_BYTES ((size_t)64 << 10)
#define KEPT_EXCHANGES_MAX 1024
/* Waking many suspended connections one by one walks the list of all of them each time. */
#define BATCH_FROM 64
#define BATCH_NS LAB_MSEC
/* libmicrohttpd's own rounds without waiting, before others get their turn. */
#define ROUNDS_MAX 64

struct http_front_end {
	struct front_end_thread thread;
	struct sim_http_service service;
	struct http_front_end_settings settings;
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct front_end_peers peers;
	struct MHD_Daemon *daemon;
	uint16_t port;
	uv_poll_t ready; /* libmicrohttpd's epoll descriptor */
	bool stopping;

	uint64_t connection_id;
	struct http_exchange *idle;
	size_t idle_count;
	struct http_exchange *suspended; /* all of them */
	size_t suspended_count;
	struct http_exchange *silent, *silent_last; /* of those, longest first */
	bool resumed;
	uint64_t advanced_ns;
	size_t buffered; /* bodies */
	struct lab_buf scratch;
	struct http_front_end_stats stats;
};

struct http_connection {
	uint64_t id;
	struct sim_peer peer;
	char name[FRONT_END_NAME_MAX];
	unsigned requests;
};

enum http_state {
	HTTP_READING,
	HTTP_PENDING, /* the service has it */
	HTTP_REPLIED, /* and answered */
	HTTP_SILENT,  /* by saying nothing */
	HTTP_GONE     /* the connection is to be closed without a word */
};

/* Notices that the client of a silenced request gives up: libmicrohttpd does not look at suspended
 * connections. Lives until libuv has closed it. */
struct http_watch {
	uv_poll_t poll;
	struct http_exchange *exchange;
};

struct http_exchange {
	struct http_front_end *front_end;
	struct MHD_Connection *connection;
	enum http_state state;
	bool begun, suspended;
	struct http_exchange *prev, *next;               /* idle or suspended */
	struct http_exchange *silent_prev, *silent_next; /* silent */
	struct lab_http_request request;
	struct lab_buf target;
	struct lab_buf body;
	size_t header_bytes;
	bool too_many_headers;
	uint64_t discarded;
	unsigned refused; /* the status, if the service is not to see it */
	struct http_watch *watch;
	/* The reply. */
	enum sim_wire wire;
	unsigned status;
	struct MHD_Response *response;
};

/* ---- exchanges ---- */

static struct http_exchange *exchange_new(struct http_front_end *front_end)
{
	struct http_exchange *exchange = front_end->idle;

	if (exchange != NULL) {
		front_end->idle = exchange->next;
		front_end->idle_count--;
	} else {
		exchange = lab_new(front_end->heap, struct http_exchange);
		exchange->front_end = front_end;
		lab_buf_init(&exchange->target, front_end->heap,
			CONNECTION_BYTES(front_end->settings.header_max_bytes));
		lab_buf_init(&exchange->body, front_end->heap, front_end->settings.body_max_bytes);
	}
	exchange->state = HTTP_READING;
	exchange->begun = exchange->suspended = false;
	exchange->prev = exchange->next = NULL;
	exchange->silent_prev = exchange->silent_next = NULL;
	exchange->request.headers.count = 0;
	exchange->header_bytes = 0;
	exchange->too_many_headers = false;
	exchange->discarded = 0;
	exchange->refused = 0;
	exchange->watch = NULL;
	exchange->response = NULL;
	return exchange;
}

static void exchange_free(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	front_end->buffered -= exchange->body.len;
	if (exchange->response != NULL)
		MHD_destroy_response(exchange->response);
	exchange->response = NULL;
	if (exchange->body.capacity > KEPT_BODY_BYTES)
		lab_buf_done(&exchange->body);
	lab_buf_reset(&exchange->body);
	lab_buf_reset(&exchange->target);
	if (front_end->idle_count < KEPT_EXCHANGES_MAX) {
		exchange->next = front_end->idle;
		front_end->idle = exchange;
		front_end->idle_count++;
		return;
	}
	lab_buf_done(&exchange->body);
	lab_buf_done(&exchange->target);
	lab_heap_free(front_end->heap, exchange);
}

/* Only from inside libmicrohttpd's call of our handler. */
static void exchange_suspend(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	exchange->suspended = true;
	exchange->prev = NULL;
	exchange->next = front_end->suspended;
	if (exchange->next != NULL)
		exchange->next->prev = exchange;
	front_end->suspended = exchange;
	front_end->suspended_count++;
	MHD_suspend_connection(exchange->connection);
}

static void exchange_resume(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	if (!exchange->suspended)
		return;
	exchange->suspended = false;
	if (exchange->prev != NULL)
		exchange->prev->next = exchange->next;
	else
		front_end->suspended = exchange->next;
	if (exchange->next != NULL)
		exchange->next->prev = exchange->prev;
	front_end->suspended_count--;
	front_end->resumed = true;
	MHD_resume_connection(exchange->connection);
}

/* ---- silence ---- */

static void watch_closed(uv_handle_t *handle)
{
	struct http_watch *watch = handle->data;
	struct http_front_end *front_end = handle->loop->data;

	lab_heap_free(front_end->heap, watch);
}

static void silence_end(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	if (exchange->silent_prev != NULL)
		exchange->silent_prev->silent_next = exchange->silent_next;
	else
		front_end->silent = exchange->silent_next;
	if (exchange->silent_next != NULL)
		exchange->silent_next->silent_prev = exchange->silent_prev;
	else
		front_end->silent_last = exchange->silent_prev;
	front_end->stats.silenced--;
	if (exchange->watch != NULL)
		uv_close((uv_handle_t *)&exchange->watch->poll, watch_closed);
	exchange->watch = NULL;
	exchange->state = HTTP_GONE;
	exchange_resume(exchange);
}

static void silence_broken(uv_poll_t *poll, int status, int events)
{
	struct http_watch *watch = poll->data;

	(void)status;
	(void)events;
	silence_end(watch->exchange);
}

static int exchange_fd(const struct http_exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	lab_assert(info != NULL);
	return info->connect_fd;
}

static void silence_watch(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;
	struct http_watch *watch = lab_new(front_end->heap, struct http_watch);

	if (uv_poll_init(&front_end->thread.loop, &watch->poll, exchange_fd(exchange)) != 0) {
		lab_heap_free(front_end->heap, watch);
		return;
	}
	watch->poll.data = watch;
	watch->exchange = exchange;
	exchange->watch = watch;
	lab_assert(uv_poll_start(&watch->poll, UV_DISCONNECT, silence_broken) == 0);
}

static void connection_reset(int fd)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	int on = 1;

	/* What was sent is to leave before the RST, not to be dropped by it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)connect(fd, &nowhere, sizeof(nowhere));
}

static void silence_begin(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	if (front_end->stats.silenced >= front_end->settings.silenced_max) {
		connection_reset(exchange_fd(front_end->silent));
		silence_end(front_end->silent);
	}
	exchange->state = HTTP_SILENT;
	exchange->silent_prev = front_end->silent_last;
	if (front_end->silent_last == NULL)
		front_end->silent = exchange;
	else
		front_end->silent_last->silent_next = exchange;
	front_end->silent_last = exchange;
	front_end->stats.silenced++;
	silence_watch(exchange);
}

/* ---- the reply ---- */

static ssize_t reader_of_head(void *ctx, uint64_t position, char *out, size_t size)
{
	(void)ctx;
	(void)position;
	(void)out;
	(void)size;
	return MHD_CONTENT_READER_END_WITH_ERROR; /* a HEAD has no body to read */
}

/* A body that breaks off, and the connection with it. */
struct truncated_body {
	int fd;
	size_t len; /* that is sent */
	char data[];
};

static ssize_t reader_of_truncated(void *ctx, uint64_t position, char *out, size_t size)
{
	const struct truncated_body *body = ctx;
	size_t n = LAB_MIN(size, body->len - LAB_MIN(body->len, (size_t)position));

	if (n == 0) {
		connection_reset(body->fd);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	memcpy(out, body->data + position, n);
	return (ssize_t)n;
}

static struct MHD_Response *response_truncated(
	const struct http_exchange *exchange, struct lab_view body)
{
	/* libmicrohttpd frees it, on its own terms: not from our heap. */
	struct truncated_body *half = malloc(sizeof(*half) + body.len / 2);

	lab_assert(half != NULL);
	half->fd = exchange_fd(exchange);
	half->len = body.len / 2;
	if (half->len > 0)
		memcpy(half->data, body.ptr, half->len);
	/* A body of nothing cannot break off: it promises one byte. */
	return MHD_create_response_from_callback(
		LAB_MAX(body.len, 1), 32 << 10, reader_of_truncated, half, free);
}

static struct MHD_Response *response_head(const struct lab_http_response *from)
{
	uint64_t size = from->body.len;
	struct lab_view told = lab_http_header_get(&from->headers, "Content-Length");

	if (told.ptr != NULL)
		(void)lab_view_to_u64(told, &size);
	if (size == 0)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_callback(size, 1024, reader_of_head, NULL, NULL);
}

static struct MHD_Response *response_create(
	const struct http_exchange *exchange, const struct sim_http_reply *reply)
{
	struct lab_view body = reply->response.body;

	if (reply->head)
		return response_head(&reply->response);
	if (reply->wire == SIM_WIRE_TRUNCATE)
		return response_truncated(exchange, body);
	return MHD_create_response_from_buffer(
		body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
}

static bool header_is_ours(struct lab_view name)
{
	return lab_view_eq_nocase(name, LAB_VIEW("Content-Length")) ||
	       lab_view_eq_nocase(name, LAB_VIEW("Transfer-Encoding")) ||
	       lab_view_eq_nocase(name, LAB_VIEW("Connection"));
}

static void response_add_header(struct http_front_end *front_end, struct MHD_Response *response,
	const struct lab_http_header *header)
{
	struct lab_buf *text = &front_end->scratch;
	size_t value;

	if (header_is_ours(header->name))
		return;
	lab_buf_reset(text);
	lab_buf_append_view(text, header->name);
	lab_buf_append_byte(text, '\0');
	value = text->len;
	lab_buf_append_view(text, header->value);
	lab_buf_append_byte(text, '\0');
	lab_assert(!text->overflow);
	/* It refuses a header without a value, and those that would break the answer. */
	(void)MHD_add_response_header(
		response, (const char *)text->data, (const char *)text->data + value);
}

static void exchange_take_reply(struct http_exchange *exchange, const struct sim_http_reply *reply)
{
	const struct lab_http_headers *headers = &reply->response.headers;

	exchange->wire = reply->wire;
	if (reply->wire == SIM_WIRE_RESET || reply->wire == SIM_WIRE_SILENCE)
		return;
	lab_assert(reply->response.status >= 200 && reply->response.status <= 999);
	exchange->status = reply->response.status;
	exchange->response = response_create(exchange, reply);
	lab_assert(exchange->response != NULL);
	for (size_t i = 0; i < headers->count; i++)
		response_add_header(exchange->front_end, exchange->response, &headers->items[i]);
}

/* sim_http_reply_fn: inside submit(), or later inside advance(). */
static void exchange_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct http_exchange *exchange = ctx;

	lab_assert(exchange->state == HTTP_PENDING);
	exchange->front_end->stats.pending--;
	exchange_take_reply(exchange, reply);
	exchange->state = HTTP_REPLIED;
	if (!exchange->suspended)
		return;
	if (reply->wire == SIM_WIRE_SILENCE)
		silence_begin(exchange);
	else
		exchange_resume(exchange);
}

static enum MHD_Result exchange_queue(struct http_exchange *exchange)
{
	const struct http_front_end *front_end = exchange->front_end;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct http_connection *connection = info->socket_context;
	unsigned most = front_end->settings.requests_per_connection;
	enum MHD_Result result;

	if (exchange->wire != SIM_WIRE_ANSWER || (most > 0 && connection->requests >= most))
		(void)MHD_add_response_header(exchange->response, "Connection", "close");
	result = MHD_queue_response(exchange->connection, exchange->status, exchange->response);
	MHD_destroy_response(exchange->response);
	exchange->response = NULL;
	return result;
}

/* Carries the reply out, inside libmicrohttpd's call of our handler. */
static enum MHD_Result exchange_act(struct http_exchange *exchange)
{
	switch (exchange->wire) {
	case SIM_WIRE_RESET:
		connection_reset(exchange_fd(exchange));
		return MHD_NO;
	case SIM_WIRE_SILENCE:
		silence_begin(exchange);
		exchange_suspend(exchange);
		return MHD_YES;
	case SIM_WIRE_ANSWER:
	case SIM_WIRE_ANSWER_CLOSE:
	case SIM_WIRE_ANSWER_DROP:
	case SIM_WIRE_TRICKLE:
	case SIM_WIRE_TRUNCATE:
		return exchange_queue(exchange);
	}
	lab_bug("no such wire action");
}

/* ---- refusing ---- */

static void refuse_in_text(unsigned status, struct lab_http_response *ret)
{
	ret->body = status == 413   ? LAB_VIEW("The request is too large.\n")
		    : status == 431 ? LAB_VIEW("The request's headers are too large.\n")
				    : LAB_VIEW("Too much is being received.\n");
	(void)lab_http_header_add(&ret->headers, LAB_VIEW("Content-Type"), LAB_VIEW("text/plain"));
}

static enum MHD_Result exchange_refuse(struct http_exchange *exchange)
{
	const struct http_front_end *front_end = exchange->front_end;
	struct sim_http_reply reply = { .wire = SIM_WIRE_ANSWER_CLOSE };

	exchange->front_end->stats.refused++;
	reply.response.status = exchange->refused;
	reply.head = lab_view_eq_cstr(exchange->request.method, "HEAD");
	if (front_end->settings.refuse != NULL)
		front_end->settings.refuse(front_end->settings.refuse_ctx, exchange->refused,
			&exchange->request, &reply.response);
	else
		refuse_in_text(exchange->refused, &reply.response);
	exchange_take_reply(exchange, &reply);
	exchange->state = HTTP_REPLIED;
	return exchange_act(exchange);
}

/* ---- the request ---- */

static enum MHD_Result request_take_header(void *ctx, enum MHD_ValueKind kind, const char *name,
	size_t name_size, const char *value, size_t value_size)
{
	struct http_exchange *exchange = ctx;
	struct lab_view key = lab_view_of(name, name_size);
	struct lab_view text = lab_view_of(value == NULL ? "" : value, value_size);

	(void)kind;
	exchange->header_bytes += name_size + value_size + 4;
	if (lab_view_eq_nocase(key, LAB_VIEW("Host")) && exchange->request.authority.ptr == NULL)
		exchange->request.authority = text;
	else if (!lab_view_eq_nocase(key, LAB_VIEW("Content-Length")) &&
		 lab_http_header_add(&exchange->request.headers, key, text) < 0)
		exchange->too_many_headers = true;
	return MHD_YES;
}

static uint64_t request_content_length(struct MHD_Connection *connection)
{
	const char *text =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
	uint64_t length = 0;

	/* libmicrohttpd has checked that it is a number. */
	if (text != NULL)
		(void)lab_view_to_u64(lab_view_cstr(text), &length);
	return length;
}

/* The first call for a request: its headers are there. An answer now would close the connection, so
 * it waits for the second, unless a body is coming that nobody wants to read. */
static enum MHD_Result request_begin(struct http_exchange *exchange, const char *method)
{
	const struct http_front_end *front_end = exchange->front_end;
	const struct http_front_end_settings *settings = &front_end->settings;
	struct lab_http_request *request = &exchange->request;
	uint64_t length = request_content_length(exchange->connection);

	exchange->begun = true;
	request->method = lab_view_cstr(method);
	request->tls = false;
	request->authority = (struct lab_view){ 0 };
	request->target = lab_buf_view(&exchange->target);
	request->body = (struct lab_view){ 0 };
	exchange->header_bytes = request->target.len + request->method.len + 12;
	(void)MHD_get_connection_values_n(
		exchange->connection, MHD_HEADER_KIND, request_take_header, exchange);
	if (exchange->too_many_headers || exchange->header_bytes > settings->header_max_bytes)
		exchange->refused = 431;
	if (length > settings->body_max_bytes)
		exchange->refused = 413;
	else if (length > settings->memory_max_bytes - front_end->buffered)
		exchange->refused = 503;
	if (exchange->refused != 0 && length > 0)
		return exchange_refuse(exchange);
	if (length > 0 && exchange->refused == 0)
		(void)lab_buf_reserve(&exchange->body, (size_t)length);
	return MHD_YES;
}

static enum MHD_Result request_take_body(struct http_exchange *exchange, struct lab_view part)
{
	struct http_front_end *front_end = exchange->front_end;

	if (exchange->refused == 0 &&
		part.len > front_end->settings.body_max_bytes - exchange->body.len)
		exchange->refused = 413;
	else if (exchange->refused == 0 &&
		 part.len > front_end->settings.memory_max_bytes - front_end->buffered)
		exchange->refused = 503;
	if (exchange->refused == 0) {
		lab_buf_append_view(&exchange->body, part);
		front_end->buffered += part.len;
		return MHD_YES;
	}
	/* Chunked, so it said nothing before: read on for a while, for it to hear our answer. */
	exchange->discarded += part.len;
	return exchange->discarded / 4 <= front_end->settings.body_max_bytes ? MHD_YES : MHD_NO;
}

static void front_end_advance(struct http_front_end *front_end, uint64_t now_ns)
{
	if (front_end->service.ops->next_deadline(front_end->service.service) > now_ns)
		return;
	front_end->advanced_ns = now_ns;
	front_end->service.ops->advance(front_end->service.service, now_ns);
}

static enum MHD_Result request_submit(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_connection *connection = info->socket_context;
	uint64_t now_ns = front_end_now(&front_end->thread);

	if (exchange->refused != 0)
		return exchange_refuse(exchange);
	connection->requests++;
	front_end->stats.requests++;
	front_end->stats.pending++;
	exchange->request.body = lab_buf_view(&exchange->body);
	exchange->state = HTTP_PENDING;
	/* In the order of time: what was due before this request comes before it. */
	front_end_advance(front_end, now_ns);
	front_end->service.ops->submit(front_end->service.service, &exchange->request,
		&connection->peer, now_ns, exchange_reply, exchange);
	if (exchange->state == HTTP_REPLIED)
		return exchange_act(exchange);
	exchange_suspend(exchange);
	return MHD_YES;
}

/* ---- libmicrohttpd's callbacks ---- */

/* The only place where it shows the target as it came (s3 6.1). */
static void *daemon_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
	struct http_exchange *exchange = exchange_new(ctx);

	exchange->connection = connection;
	lab_buf_append_cstr(&exchange->target, target);
	return exchange;
}

static enum MHD_Result daemon_request(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *body, size_t *body_size,
	void **request_ctx)
{
	struct http_exchange *exchange = *request_ctx;

	(void)ctx;
	(void)connection;
	(void)url;
	(void)version;
	if (!exchange->begun)
		return request_begin(exchange, method);
	if (*body_size > 0) {
		struct lab_view part = lab_view_of(body, *body_size);

		*body_size = 0;
		return request_take_body(exchange, part);
	}
	switch (exchange->state) {
	case HTTP_READING:
		return request_submit(exchange);
	case HTTP_REPLIED:
		return exchange_act(exchange);
	case HTTP_GONE:
		return MHD_NO;
	case HTTP_PENDING:
	case HTTP_SILENT:
		break;
	}
	lab_bug("a suspended connection goes on");
}

static void daemon_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
	enum MHD_RequestTerminationCode why)
{
	struct http_exchange *exchange = *request_ctx;

	(void)ctx;
	(void)connection;
	(void)why;
	*request_ctx = NULL;
	if (exchange == NULL)
		return;
	/* A suspended connection is not looked at, so it cannot have ended. */
	lab_assert(!exchange->suspended && exchange->state != HTTP_PENDING &&
		   exchange->state != HTTP_SILENT);
	exchange_free(exchange);
}

static void daemon_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
	enum MHD_ConnectionNotificationCode what)
{
	struct http_front_end *front_end = ctx;
	struct http_connection *mine = *socket_ctx;
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		lab_heap_free(front_end->heap, mine);
		*socket_ctx = NULL;
		return;
	}
	mine = lab_new(front_end->heap, struct http_connection);
	mine->id = ++front_end->connection_id;
	front_end->stats.connections++;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	mine->peer =
		front_end_peers_find(&front_end->peers, info->client_addr, mine->id, mine->name);
	*socket_ctx = mine;
}

/* ---- the loop ---- */

static void front_end_ready(uv_poll_t *poll, int status, int events)
{
	/* What is ready is done before the loop waits again. */
	(void)poll;
	(void)status;
	(void)events;
}

static bool front_end_busy(struct http_front_end *front_end, uint64_t *ret_wait_ms)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	*ret_wait_ms = UINT64_MAX;
	if (MHD_get_timeout(front_end->daemon, &wait_ms) == MHD_YES)
		*ret_wait_ms = wait_ms;
	return *ret_wait_ms == 0 || front_end->resumed;
}

static uint64_t front_end_turn(void *owner)
{
	struct http_front_end *front_end = owner;
	uint64_t now_ns, wait_ms, until_ns;
	unsigned rounds = 0;
	bool busy;

	if (front_end->stopping)
		return UINT64_MAX;
	do {
		front_end->resumed = false;
		(void)MHD_run(front_end->daemon);
		front_end_advance(front_end, front_end_now(&front_end->thread));
		busy = front_end_busy(front_end, &wait_ms);
	} while (busy && ++rounds < ROUNDS_MAX);

	now_ns = front_end_now(&front_end->thread);
	if (busy)
		return now_ns;
	until_ns = front_end->service.ops->next_deadline(front_end->service.service);
	if (front_end->suspended_count >= BATCH_FROM)
		until_ns = LAB_MAX(until_ns, front_end->advanced_ns + BATCH_NS);
	if (wait_ms < UINT64_MAX / LAB_SEC)
		until_ns = LAB_MIN(until_ns, now_ns + wait_ms * LAB_MSEC);
	return until_ns;
}

/* libmicrohttpd can only be stopped when nothing is suspended. */
static void front_end_stop(void *owner)
{
	struct http_front_end *front_end = owner;

	front_end->stopping = true;
	while (front_end->silent != NULL)
		silence_end(front_end->silent);
	while (front_end->suspended != NULL) {
		struct http_exchange *exchange = front_end->suspended;

		/* Its reply will not come any more. */
		if (exchange->state == HTTP_PENDING)
			front_end->stats.pending--;
		exchange->state = HTTP_GONE;
		exchange_resume(exchange);
	}
	(void)MHD_run(front_end->daemon);
	uv_close((uv_handle_t *)&front_end->ready, NULL);
}

/* ---- life ---- */

static void settings_complete(struct http_front_end_settings *settings)
{
	settings->address = settings->address != NULL ? settings->address : "127.0.0.1";
	settings->header_max_bytes = OR_DEFAULT(settings->header_max_bytes, HEADER_DEFAULT);
	settings->body_max_bytes = OR_DEFAULT(settings->body_max_bytes, BODY_DEFAULT);
	settings->memory_max_bytes = OR_DEFAULT(settings->memory_max_bytes, MEMORY_DEFAULT);
	settings->connections_max = OR_DEFAULT(settings->connections_max, CONNECTIONS_DEFAULT);
	settings->backlog = OR_DEFAULT(settings->backlog, BACKLOG_DEFAULT);
	settings->idle_timeout_s = OR_DEFAULT(settings->idle_timeout_s, IDLE_TIMEOUT_DEFAULT);
	settings->silenced_max = OR_DEFAULT(settings->silenced_max, SILENCED_DEFAULT);
}

static int daemon_start(struct http_front_end *front_end, struct lab_error *err)
{
	const struct http_front_end_settings *settings = &front_end->settings;
	struct sockaddr_in6 address;
	int fd;

	if (front_end_address(settings->address, settings->port, &address, err) < 0 ||
		front_end_listen(&address, settings->backlog, &fd, err) < 0)
		return -1;
	if (front_end_bound_port(fd, &front_end->port, err) < 0) {
		close(fd);
		return -1;
	}
	front_end->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, daemon_request, front_end, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, settings->connections_max,
		MHD_OPTION_CONNECTION_TIMEOUT, settings->idle_timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES(settings->header_max_bytes),
		MHD_OPTION_URI_LOG_CALLBACK, daemon_target, front_end, MHD_OPTION_NOTIFY_COMPLETED,
		daemon_completed, front_end, MHD_OPTION_NOTIFY_CONNECTION, daemon_connection,
		front_end, MHD_OPTION_END);
	if (front_end->daemon == NULL) {
		close(fd);
		return lab_fail(err, LAB_IO, "libmicrohttpd does not start");
	}
	return 0;
}

static void daemon_watch(struct http_front_end *front_end)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(front_end->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	lab_assert(info != NULL);
	lab_assert(uv_poll_init(&front_end->thread.loop, &front_end->ready, info->epoll_fd) == 0);
	lab_assert(uv_poll_start(&front_end->ready, UV_READABLE, front_end_ready) == 0);
}

static void front_end_free_memory(struct http_front_end *front_end)
{
	struct lab_pool *pool = front_end->pool;
	struct lab_heap *heap = front_end->heap;

	/* The struct itself is in the heap. */
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static struct http_front_end *front_end_new(const struct http_front_end_settings *settings)
{
	size_t memory = OWN_BYTES + 2 * OR_DEFAULT(settings->memory_max_bytes, MEMORY_DEFAULT);
	struct lab_pool *pool = lab_pool_new(memory);
	struct lab_heap *heap = lab_heap_new(pool, memory);
	struct http_front_end *front_end = lab_new(heap, struct http_front_end);

	front_end->pool = pool;
	front_end->heap = heap;
	front_end->service = settings->service;
	front_end->settings = *settings;
	settings_complete(&front_end->settings);
	/* Bodies are read whole into memory; the response's headers are made here one by one. */
	lab_buf_init(&front_end->scratch, heap, (size_t)1 << 20);
	return front_end;
}

int http_front_end_new(const struct http_front_end_settings *settings, struct http_front_end **ret,
	struct lab_error *err)
{
	struct http_front_end *front_end = front_end_new(settings);

	if (front_end_peers_init(&front_end->peers, front_end->heap, settings->peers,
		    settings->peer_count, err) < 0 ||
		daemon_start(front_end, err) < 0) {
		front_end_free_memory(front_end);
		return -1;
	}
	if (front_end_thread_init(&front_end->thread, settings->start_ns, front_end, front_end_turn,
		    front_end_stop, err) < 0) {
		MHD_stop_daemon(front_end->daemon);
		front_end_free_memory(front_end);
		return -1;
	}
	front_end->thread.loop.data = front_end;
	daemon_watch(front_end);
	if (front_end_thread_start(&front_end->thread, err) < 0) {
		front_end_thread_done(&front_end->thread, false);
		MHD_stop_daemon(front_end->daemon);
		front_end_free_memory(front_end);
		return -1;
	}
	*ret = front_end;
	return 0;
}

void http_front_end_free(struct http_front_end **front_end_p)
{
	struct http_front_end *front_end = *front_end_p;

	if (front_end == NULL)
		return;
	*front_end_p = NULL;
	front_end_thread_done(&front_end->thread, true);
	MHD_stop_daemon(front_end->daemon);
	front_end_free_memory(front_end);
}

uint16_t http_front_end_port(const struct http_front_end *front_end)
{
	return front_end->port;
}

void http_front_end_call(struct http_front_end *front_end, void (*fn)(void *ctx), void *ctx)
{
	front_end_thread_call(&front_end->thread, fn, ctx);
}

struct stats_call {
	struct http_front_end *front_end;
	struct http_front_end_stats stats;
};

static void stats_take(void *ctx)
{
	struct stats_call *call = ctx;

	call->stats = call->front_end->stats;
}

struct http_front_end_stats http_front_end_stats(struct http_front_end *front_end)
{
	struct stats_call call = { .front_end = front_end };

	http_front_end_call(front_end, stats_take, &call);
	return call.stats;
}
