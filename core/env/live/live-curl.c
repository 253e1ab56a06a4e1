/* SPDX-License-Identifier: Apache-2.0
 *
 * live-curl.c - libcurl's multi interface on the world's loop: sockets, timer, callbacks. See
 * live-http-private.h and README.md ("One attempt").
 */
#include "core/env/live/live-http-private.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* S3 closes idle connections after about 20 s; we do it first (s3 6.3). */
#define IDLE_SECONDS_MAX 15L
/* Kept for the next exchange, or freed with the one that needed more. */
#define KEPT_BUFFER_BYTES ((size_t)256 << 10)
#define KEPT_EXCHANGES_MAX 256
#define SOCKETS_MAX ((size_t)1 << 20)

/* ---- sockets ---- */

/* A descriptor of libcurl's. A connection that goes idle stays registered with the loop: most are
 * used again at once, and each change costs a system call. */
struct live_socket {
	uv_poll_t poll;
	struct live_http *http;
	int fd;
	int wanted;     /* UV_READABLE | UV_WRITABLE, by libcurl */
	int registered; /* with the loop */
	bool own;       /* opened by us; others (name look-ups) close without telling us */
	bool closing;
};

static void curl_check_finished(struct live_http *http);
static void socket_ready(uv_poll_t *poll, int status, int events);

static struct live_socket **socket_slot(struct live *live, int fd)
{
	size_t size = LAB_MAX(live->sockets_size, 256);

	lab_assert(fd >= 0 && (size_t)fd < SOCKETS_MAX);
	while (size <= (size_t)fd)
		size *= 2;
	if (size > live->sockets_size) {
		live->sockets = lab_heap_realloc(
			live->heap, live->sockets, size * sizeof(struct live_socket *));
		live->sockets_size = size;
	}
	return &live->sockets[fd];
}

static struct live_socket *socket_new(struct live_http *http, int fd, bool own)
{
	struct live *live = http->host->live;
	struct live_socket **slot = socket_slot(live, fd);
	struct live_socket *socket = lab_new(live->heap, struct live_socket);

	lab_assert(*slot == NULL);
	if (uv_poll_init(&live->loop, &socket->poll, fd) != 0) {
		lab_heap_free(live->heap, socket);
		return NULL;
	}
	socket->poll.data = socket;
	socket->http = http;
	socket->fd = fd;
	socket->own = own;
	*slot = socket;
	return socket;
}

static void socket_freed(uv_handle_t *handle)
{
	struct live *live = handle->loop->data;

	lab_heap_free(live->heap, handle->data);
}

static void socket_forget(struct live *live, struct live_socket *socket)
{
	socket->closing = true;
	*socket_slot(live, socket->fd) = NULL;
	uv_close((uv_handle_t *)&socket->poll, socket_freed);
}

static void socket_register(struct live_socket *socket)
{
	if (socket->registered == socket->wanted)
		return;
	socket->registered = socket->wanted;
	if (socket->wanted == 0)
		lab_assert(uv_poll_stop(&socket->poll) == 0);
	else
		lab_assert(uv_poll_start(&socket->poll, socket->wanted, socket_ready) == 0);
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	struct live_socket *socket = poll->data;
	struct live_http *http = socket->http;
	int action = 0, running;

	/* libuv stops polling a socket that has an error pending. */
	if (status < 0)
		socket->registered = 0;
	if (socket->wanted == 0) {
		socket_register(socket);
		return;
	}
	/* With the error alone libcurl gives up without a look: what came before a reset would be
	 * lost, and which error it was. */
	if (status < 0) {
		action |= CURL_CSELECT_ERR;
		events = socket->wanted;
	}
	if ((events & UV_READABLE) != 0)
		action |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		action |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(http->multi, socket->fd, action, &running);
	if (!socket->closing)
		socket_register(socket);
	curl_check_finished(http);
}

static int curl_socket_changed(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
	struct live_http *http = ctx;
	struct live *live = http->host->live;
	struct live_socket *socket = *socket_slot(live, fd);

	(void)easy;
	(void)unused;
	if (socket == NULL) {
		if (what == CURL_POLL_REMOVE)
			return 0;
		socket = socket_new(http, fd, false);
		if (socket == NULL)
			return -1;
	}
	socket->wanted = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		socket->wanted |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		socket->wanted |= UV_WRITABLE;
	if (socket->wanted != 0)
		socket_register(socket);
	else if (!socket->own)
		socket_forget(live, socket);
	return 0;
}

/* The hard guard: whatever name or option led here, this is the address. */
static curl_socket_t curl_open_socket(
	void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct live_exchange *exchange = ctx;
	struct live_http *http = exchange->http;
	int fd;

	(void)purpose;
	if (!http->host->live->allow_remote && !live_address_is_loopback(&address->addr)) {
		exchange->denied = http->host->live->was_guarded = true;
		return CURL_SOCKET_BAD;
	}
	/* No second connection for a request that may have left on the first. */
	if (exchange->attempts > 0)
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0 || socket_new(http, fd, true) == NULL) {
		exchange->no_socket = true;
		if (fd >= 0)
			close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static int curl_close_socket(void *ctx, curl_socket_t fd)
{
	struct live_http *http = ctx;
	struct live *live = http->host->live;
	struct live_socket *socket = *socket_slot(live, fd);
	struct linger reset = { .l_onoff = 1 };

	if (socket != NULL)
		socket_forget(live, socket);
	if (http->dropping)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return close(fd);
}

void live_sockets_done(struct live *live)
{
	/* All hosts are down: only what libcurl closed behind our back can be left. */
	for (size_t fd = 0; fd < live->sockets_size; fd++) {
		if (live->sockets[fd] != NULL)
			socket_forget(live, live->sockets[fd]);
	}
}

/* ---- time ---- */

static int curl_timer_changed(CURLM *multi, long timeout_ms, void *ctx)
{
	struct live_http *http = ctx;
	struct live *live = http->host->live;
	uint64_t at_ns = ENV_FOREVER;

	(void)multi;
	if (timeout_ms >= 0)
		at_ns = live_deadline_after(live_now(live), (uint64_t)timeout_ms * LAB_MSEC);
	live_timer_set(&live->timers, &http->timer, at_ns);
	return 0;
}

static void curl_timer_due(struct live_timer *timer)
{
	struct live_http *http =
		(struct live_http *)((char *)timer - offsetof(struct live_http, timer));
	int running;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	curl_check_finished(http);
}

static void curl_check_finished(struct live_http *http)
{
	struct live_exchange *exchange;
	CURLMsg *message;
	char *private;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		private = NULL;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		exchange = (struct live_exchange *)(void *)private;
		exchange->finished = true;
		exchange->result = message->data.result;
		live_fiber_unpark(exchange->fiber);
	}
}

/* ---- one exchange ---- */

/* The request is about to be sent. A second time means that libcurl found the kept-alive connection
 * dead and tries again, although the first may have been received: that we do not allow. */
static int curl_before_request(
	void *ctx, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
	struct live_exchange *exchange = ctx;

	(void)primary_ip;
	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	if (exchange->attempts++ > 0)
		return CURL_PREREQFUNC_ABORT;
	exchange->connected_ns = exchange->sent_ns = live_now(exchange->http->host->live);
	live_fiber_set_deadline(exchange->fiber, live_exchange_deadline(exchange));
	return CURL_PREREQFUNC_OK;
}

static size_t curl_read_body(char *out, size_t size, size_t count, void *ctx)
{
	struct live_exchange *exchange = ctx;
	struct lab_view part = lab_view_sub(exchange->body, exchange->body_taken, size * count);

	if (part.len > 0)
		memcpy(out, part.ptr, part.len);
	exchange->body_taken += part.len;
	exchange->sent_ns = live_now(exchange->http->host->live);
	live_fiber_set_deadline(exchange->fiber, live_exchange_deadline(exchange));
	return part.len;
}

static size_t curl_head_line(char *data, size_t size, size_t count, void *ctx)
{
	struct live_exchange *exchange = ctx;
	struct lab_view line = lab_view_of(data, size * count);

	if (lab_view_starts_with(line, LAB_VIEW("HTTP/"))) {
		/* After a 100 Continue the real one follows. */
		lab_buf_reset(&exchange->head);
		exchange->head_complete = false;
	} else if (exchange->head_complete) {
		return line.len; /* a trailer */
	}
	if (lab_view_trim(line).len == 0)
		exchange->head_complete = true;
	lab_buf_append_view(&exchange->head, line);
	exchange->too_long |= exchange->head.overflow;
	return exchange->head.overflow ? 0 : line.len;
}

static bool curl_has_room(struct live_exchange *exchange, size_t len)
{
	struct live *live = exchange->http->host->live;

	return len <= exchange->response_max_bytes - exchange->response.len &&
	       len <= live->buffers_max_bytes - live->buffered;
}

static size_t curl_write_body(char *data, size_t size, size_t count, void *ctx)
{
	struct live_exchange *exchange = ctx;
	size_t len = size * count;
	curl_off_t total = -1;

	if (!curl_has_room(exchange, len)) {
		exchange->too_long = true;
		return 0;
	}
	if (exchange->response.len == 0) {
		(void)curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
		if (total > 0 && curl_has_room(exchange, (size_t)total))
			(void)lab_buf_reserve(&exchange->response, (size_t)total);
	}
	lab_buf_append(&exchange->response, data, len);
	exchange->http->host->live->buffered += len;
	return len;
}

static CURL *curl_easy_new(struct live_exchange *exchange)
{
	struct live_host *host = exchange->http->host;
	CURL *easy = curl_easy_init();
	char source[INET_ADDRSTRLEN];

	if (easy == NULL)
		return NULL;
	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_SECONDS_MAX);
	/* Our own deadlines come first; libcurl's must only not come before them. */
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)INT_MAX);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, curl_before_request);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, curl_read_body);
	(void)curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, curl_head_line);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_write_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, curl_open_socket);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, curl_close_socket);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, exchange->http);
	if (host->live->ca_file != NULL)
		(void)curl_easy_setopt(easy, CURLOPT_CAINFO, host->live->ca_file);
	if (host->source.sin_family == AF_INET &&
		uv_ip4_name(&host->source, source, sizeof(source)) == 0)
		(void)curl_easy_setopt(easy, CURLOPT_INTERFACE, source);
	return easy;
}

static void exchange_free(struct live_exchange *exchange)
{
	lab_buf_done(&exchange->text);
	lab_buf_done(&exchange->head);
	lab_buf_done(&exchange->response);
	curl_easy_cleanup(exchange->easy);
	lab_heap_free(exchange->http->host->live->heap, exchange);
}

static struct live_http *http_new(struct live_host *host)
{
	struct live_http *http;
	CURLM *multi = curl_multi_init();

	if (multi == NULL)
		return NULL;
	http = lab_new(host->live->heap, struct live_http);
	http->host = host;
	http->multi = multi;
	http->timer.fire = curl_timer_due;
	(void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, curl_socket_changed);
	(void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
	(void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, curl_timer_changed);
	(void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
	(void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)host->idle_connections_max);
	(void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return http;
}

struct live_exchange *live_curl_take(struct live_host *host)
{
	struct live_http *http = host->http;
	struct live_exchange *exchange;

	if (http == NULL)
		http = host->http = http_new(host);
	if (http == NULL)
		return NULL;
	if (http->idle != NULL) {
		exchange = http->idle;
		LIVE_LIST_REMOVE(http->idle, exchange);
		http->idle_count--;
		return exchange;
	}
	exchange = lab_new(host->live->heap, struct live_exchange);
	exchange->http = http;
	lab_buf_init(&exchange->text, host->live->heap, LIVE_HTTP_REQUEST_TEXT_MAX);
	lab_buf_init(&exchange->head, host->live->heap, LIVE_HTTP_RESPONSE_HEAD_MAX);
	lab_buf_init(&exchange->response, host->live->heap, host->live->buffers_max_bytes);
	exchange->easy = curl_easy_new(exchange);
	if (exchange->easy != NULL)
		return exchange;
	lab_heap_free(host->live->heap, exchange);
	return NULL;
}

void live_curl_give(struct live_exchange *exchange)
{
	struct live_http *http = exchange->http;

	if (http->idle_count >= KEPT_EXCHANGES_MAX) {
		exchange_free(exchange);
		return;
	}
	if (exchange->response.capacity > KEPT_BUFFER_BYTES)
		lab_buf_done(&exchange->response);
	lab_buf_reset(&exchange->response);
	LIVE_LIST_ADD(http->idle, exchange);
	http->idle_count++;
}

void live_curl_begin(struct live_exchange *exchange)
{
	struct live_http *http = exchange->http;

	LIVE_LIST_ADD(http->busy, exchange);
	lab_assert(curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK);
}

void live_curl_end(struct live_exchange *exchange)
{
	struct live_http *http = exchange->http;

	LIVE_LIST_REMOVE(http->busy, exchange);
	http->host->live->buffered -= exchange->response.len;
	lab_assert(curl_multi_remove_handle(http->multi, exchange->easy) == CURLM_OK);
}

void live_http_drop(struct live_host *host)
{
	struct live_http *http = host->http;
	struct live_exchange *exchange;

	if (http == NULL)
		return;
	http->dropping = true;
	while ((exchange = http->busy) != NULL) {
		live_curl_end(exchange);
		exchange_free(exchange);
	}
	while ((exchange = http->idle) != NULL) {
		LIVE_LIST_REMOVE(http->idle, exchange);
		exchange_free(exchange);
	}
	(void)curl_multi_cleanup(http->multi);
	live_timer_set(&host->live->timers, &http->timer, ENV_FOREVER);
	host->http = NULL;
	lab_heap_free(host->live->heap, http);
}
