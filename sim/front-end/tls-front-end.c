/* SPDX-License-Identifier: Apache-2.0
 *
 * tls-front-end.c - a connection here is a pair of sockets and one end of TLS between them.
 *
 *   client --records--> outer | live_tls | inner --clear text--> server
 */
#include "sim/front-end/tls-front-end.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/env/live/tls.h"
#include "sim/front-end/front-end-private.h"

#define HANDSHAKE_DEFAULT (10 * LAB_SEC)
#define DRAIN_NS (2 * LAB_SEC)
#define CONNECTIONS_DEFAULT 4096
#define BACKLOG_DEFAULT 1024
#define READ_BYTES ((size_t)64 << 10)
/* What may wait for one socket before the other is read no more. */
#define QUEUE_BYTES ((size_t)256 << 10)
#define HEAP_BYTES ((size_t)4 << 30)
#define PORT_TRIES 16

struct tls_route {
	struct tls_front_end *front_end;
	struct sockaddr_in6 address, to;
	uv_tcp_t *listener;
};

enum tls_state {
	TLS_SHAKING,    /* hands */
	TLS_CONNECTING, /* to the server */
	TLS_OPEN,
	TLS_DRAINING /* all is said: what still comes is thrown away */
};

struct tls_pair;

struct tls_side {
	uv_tcp_t tcp;
	struct tls_pair *pair;
	bool is_there; /* libuv has it */
	bool reading;
	bool ended;    /* by its peer */
	bool finished; /* nothing more is to be said to its peer */
	bool shut;     /* and that was said */
	size_t queued; /* bytes that libuv still has to write */
};

struct tls_pair {
	struct tls_front_end *front_end;
	struct tls_pair *prev, *next;
	const struct tls_route *route;
	struct live_tls *tls;
	enum tls_state state;
	uint64_t deadline_ns; /* of the handshake, or of draining */
	struct tls_side outer, inner;
	uv_connect_t connect;
	bool closing;
	unsigned handles; /* that libuv has not closed yet */
};

struct tls_front_end {
	struct front_end_thread thread;
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct live_tls_context *context;
	struct tls_route routes[TLS_FRONT_END_ROUTES_MAX];
	size_t route_count;
	uint16_t port;
	uint64_t handshake_timeout_ns;
	unsigned connections_max, backlog;
	struct tls_pair *pairs;
	size_t timed; /* pairs with a deadline */
	bool stopping;
	struct tls_front_end_stats stats;
	char input[READ_BYTES]; /* one for all: used up before the next read */
	uint8_t plain[READ_BYTES];
};

static bool has_deadline(enum tls_state state)
{
	return state == TLS_SHAKING || state == TLS_DRAINING;
}

static void pair_set_state(struct tls_pair *pair, enum tls_state state)
{
	struct tls_front_end *front_end = pair->front_end;

	front_end->timed += has_deadline(state);
	front_end->timed -= has_deadline(pair->state);
	pair->state = state;
}

/* ---- the end ---- */

static void side_closed(uv_handle_t *handle)
{
	struct tls_side *side = handle->data;
	struct tls_pair *pair = side->pair;

	if (--pair->handles > 0)
		return;
	live_tls_free(&pair->tls);
	lab_heap_free(pair->front_end->heap, pair);
}

static void side_close(struct tls_side *side, bool reset)
{
	if (!side->is_there)
		return;
	side->is_there = false;
	if (!reset || uv_tcp_close_reset(&side->tcp, side_closed) != 0)
		uv_close((uv_handle_t *)&side->tcp, side_closed);
}

static void pair_close(struct tls_pair *pair, bool reset)
{
	if (pair->closing)
		return;
	pair->closing = true;
	if (pair->prev != NULL)
		pair->prev->next = pair->next;
	else
		pair->front_end->pairs = pair->next;
	if (pair->next != NULL)
		pair->next->prev = pair->prev;
	pair->front_end->stats.open--;
	pair_set_state(pair, TLS_OPEN);
	/* libuv does not reset what is being shut down. */
	side_close(&pair->outer, reset && !pair->outer.shut);
	side_close(&pair->inner, reset && !pair->inner.shut);
}

/* ---- writing ---- */

struct tls_write {
	uv_write_t write;
	struct tls_side *side;
	size_t size; /* of what follows */
};

static void pair_progress(struct tls_pair *pair);

static void side_written(uv_write_t *write, int status)
{
	struct tls_write *rest = (struct tls_write *)write;
	struct tls_side *side = rest->side;
	struct tls_pair *pair = side->pair;

	side->queued -= rest->size;
	lab_heap_free(pair->front_end->heap, rest);
	if (pair->closing)
		return;
	if (status < 0)
		pair_close(pair, true);
	else
		pair_progress(pair);
}

static int side_queue(struct tls_side *side, struct lab_view data)
{
	struct tls_write *rest =
		lab_heap_alloc(side->pair->front_end->heap, sizeof(*rest) + data.len);
	uv_buf_t buffer = uv_buf_init((char *)(rest + 1), (unsigned)data.len);
	int rc;

	memcpy(rest + 1, data.ptr, data.len);
	rest->side = side;
	rest->size = data.len;
	side->queued += data.len;
	rc = uv_write(&rest->write, (uv_stream_t *)&side->tcp, &buffer, 1, side_written);
	if (rc < 0) {
		side->queued -= data.len;
		lab_heap_free(side->pair->front_end->heap, rest);
	}
	return rc;
}

/* 0, or -1: the connection is broken. */
static int side_write(struct tls_side *side, struct lab_view data)
{
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data.ptr, (unsigned)data.len);
	int n = data.len == 0 || side->queued > 0
			? 0
			: uv_try_write((uv_stream_t *)&side->tcp, &buffer, 1);

	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0)
		return -1;
	data = lab_view_skip(data, (size_t)n);
	return data.len == 0 || side_queue(side, data) == 0 ? 0 : -1;
}

static int send_records(struct tls_pair *pair)
{
	struct lab_view output = live_tls_output(pair->tls);
	int result = output.len == 0 ? 0 : side_write(&pair->outer, output);

	live_tls_output_taken(pair->tls);
	return result;
}

/* ---- reading ---- */

static void side_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct tls_side *side = handle->data;

	(void)suggested;
	*buffer = uv_buf_init(side->pair->front_end->input, READ_BYTES);
}

static void side_received(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer);

static void side_read(struct tls_side *side, bool wanted)
{
	wanted &= side->is_there && !side->ended;
	if (wanted == side->reading)
		return;
	side->reading = wanted;
	if (wanted)
		(void)uv_read_start((uv_stream_t *)&side->tcp, side_allocate, side_received);
	else
		(void)uv_read_stop((uv_stream_t *)&side->tcp);
}

/* libuv calls it the end when a reset follows data closely; the socket knows. */
static bool side_was_reset(const struct tls_side *side)
{
	socklen_t size = sizeof(int);
	uv_os_fd_t fd;
	int error = 0;

	return uv_fileno((const uv_handle_t *)&side->tcp, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0;
}

/* ---- what goes through ---- */

/* Everything that the client has said so far. -1: broken. */
static int pass_inwards(struct tls_pair *pair)
{
	uint8_t *plain = pair->front_end->plain;
	int rc = 1;
	size_t n;

	while (!pair->inner.finished && pair->inner.queued < QUEUE_BYTES &&
		(rc = live_tls_read(pair->tls, plain, READ_BYTES, &n, NULL)) == 0) {
		pair->inner.finished = n == 0; /* it says goodbye */
		if (n > 0 && side_write(&pair->inner, lab_view_of(plain, n)) < 0)
			return -1;
	}
	/* A FIN without a goodbye may have been cut. */
	if (rc > 0 && pair->outer.ended && !pair->inner.finished)
		return -1;
	return send_records(pair) < 0 || rc < 0 ? -1 : 0;
}

static int pass_outwards(struct tls_pair *pair, struct lab_view data)
{
	while (data.len > 0) {
		struct lab_view part = lab_view_sub(data, 0, LIVE_TLS_WRITE_MAX);

		if (live_tls_write(pair->tls, part, NULL) < 0 || send_records(pair) < 0)
			return -1;
		data = lab_view_skip(data, part.len);
	}
	return 0;
}

static void side_shut(struct tls_side *side)
{
	uv_os_fd_t fd;

	if (!side->finished || side->shut || side->queued > 0)
		return;
	side->shut = true;
	if (uv_fileno((const uv_handle_t *)&side->tcp, &fd) == 0)
		(void)shutdown(fd, SHUT_WR);
}

/* Something has moved: go on with what can go on. */
static void pair_progress(struct tls_pair *pair)
{
	if (pair->state == TLS_OPEN && pass_inwards(pair) < 0) {
		pair_close(pair, true);
		return;
	}
	side_shut(&pair->outer);
	side_shut(&pair->inner);
	if (pair->outer.shut && pair->outer.ended) {
		pair_close(pair, false);
		return;
	}
	/* Closing now could reset the connection, and the client would lose the last answer. */
	if (pair->outer.shut && pair->state == TLS_OPEN) {
		pair->deadline_ns = front_end_now(&pair->front_end->thread) + DRAIN_NS;
		pair_set_state(pair, TLS_DRAINING);
	}
	side_read(&pair->outer,
		has_deadline(pair->state) ||
			(pair->state == TLS_OPEN && pair->inner.queued < QUEUE_BYTES));
	side_read(&pair->inner, pair->state == TLS_OPEN && pair->outer.queued < QUEUE_BYTES);
}

/* ---- the server's side ---- */

static void inner_connected(uv_connect_t *connect, int status)
{
	struct tls_pair *pair = connect->data;

	if (pair->closing)
		return;
	if (status < 0) {
		pair_close(pair, true);
		return;
	}
	(void)uv_tcp_nodelay(&pair->inner.tcp, 1);
	pair_set_state(pair, TLS_OPEN);
	pair_progress(pair);
}

/* From the client's own address, if that is this machine's. */
static void bind_to_client(struct tls_pair *pair)
{
	struct sockaddr_in6 address = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	int size = sizeof(address);

	if (uv_tcp_getpeername(&pair->outer.tcp, (struct sockaddr *)&address, &size) != 0 ||
		address.sin6_family != AF_INET || pair->route->to.sin6_family != AF_INET ||
		ntohl(v4->sin_addr.s_addr) >> 24 != 127)
		return;
	v4->sin_port = 0;
	(void)uv_tcp_bind(&pair->inner.tcp, (const struct sockaddr *)v4, 0);
}

static int inner_begin(struct tls_pair *pair)
{
	pair->front_end->stats.handshakes++;
	pair_set_state(pair, TLS_CONNECTING);
	if (uv_tcp_init(&pair->front_end->thread.loop, &pair->inner.tcp) != 0)
		return -1;
	pair->inner.is_there = true;
	pair->handles++;
	pair->inner.tcp.data = &pair->inner;
	pair->connect.data = pair;
	bind_to_client(pair);
	return uv_tcp_connect(&pair->connect, &pair->inner.tcp,
		(const struct sockaddr *)&pair->route->to, inner_connected);
}

static void inner_received(struct tls_pair *pair, ssize_t count, const char *data)
{
	if (count == UV_EOF && !side_was_reset(&pair->inner)) {
		pair->inner.ended = true;
		live_tls_end(pair->tls);
		if (send_records(pair) < 0)
			count = UV_EIO;
		pair->outer.finished = true;
	} else if (count < 0 || pass_outwards(pair, lab_view_of(data, (size_t)count)) < 0) {
		count = UV_EIO;
	}
	if (count == UV_EIO)
		pair_close(pair, true);
	else
		pair_progress(pair);
}

/* ---- the client's side ---- */

static int shake_hands(struct tls_pair *pair)
{
	int rc = live_tls_handshake(pair->tls, NULL);

	/* Also the alert that says why not. */
	if (send_records(pair) < 0)
		return -1;
	if (rc > 0)
		return pair->outer.ended ? -1 : 0;
	return rc == 0 ? inner_begin(pair) : -1;
}

static void outer_received(struct tls_pair *pair, ssize_t count, const char *data)
{
	if (count < 0 && (count != UV_EOF || side_was_reset(&pair->outer))) {
		pair_close(pair, true);
		return;
	}
	pair->outer.ended |= count == UV_EOF;
	if (count > 0 && pair->state != TLS_DRAINING)
		live_tls_put(pair->tls, lab_view_of(data, (size_t)count));
	/* A refusal has been said: the client reads it before the FIN. */
	if (pair->state == TLS_SHAKING && shake_hands(pair) < 0)
		pair_close(pair, false);
	else
		pair_progress(pair);
}

static void side_received(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
	struct tls_side *side = handle->data;
	struct tls_pair *pair = side->pair;

	if (count == 0)
		return;
	if (count < 0)
		side->reading = false;
	if (side == &pair->outer)
		outer_received(pair, count, buffer->base);
	else
		inner_received(pair, count, buffer->base);
}

static void accept_pair(uv_stream_t *listener, int status)
{
	struct tls_route *route = listener->data;
	struct tls_front_end *front_end = route->front_end;
	struct tls_pair *pair;

	if (status < 0)
		return;
	pair = lab_new(front_end->heap, struct tls_pair);
	pair->front_end = front_end;
	pair->route = route;
	pair->outer.pair = pair->inner.pair = pair;
	pair->deadline_ns = front_end_now(&front_end->thread) + front_end->handshake_timeout_ns;
	lab_assert(uv_tcp_init(&front_end->thread.loop, &pair->outer.tcp) == 0);
	pair->outer.tcp.data = &pair->outer;
	pair->outer.is_there = true;
	pair->handles = 1;
	pair->next = front_end->pairs;
	if (pair->next != NULL)
		pair->next->prev = pair;
	front_end->pairs = pair;
	front_end->stats.connections++;
	front_end->stats.open++;
	front_end->timed++;
	if (uv_accept(listener, (uv_stream_t *)&pair->outer.tcp) != 0 ||
		front_end->stats.open > front_end->connections_max ||
		uv_tcp_nodelay(&pair->outer.tcp, 1) != 0 ||
		live_tls_new(front_end->context, ENV_TLS_VERIFY_NONE, NULL, NULL, &pair->tls,
			NULL) < 0) {
		pair_close(pair, true);
		return;
	}
	side_read(&pair->outer, true);
}

/* ---- listening ---- */

static void listener_closed(uv_handle_t *handle)
{
	struct tls_front_end *front_end = handle->loop->data;

	lab_heap_free(front_end->heap, handle);
}

static void route_stop(struct tls_route *route)
{
	if (route->listener != NULL)
		uv_close((uv_handle_t *)route->listener, listener_closed);
	route->listener = NULL;
}

static int route_listen(struct tls_route *route, struct lab_error *err)
{
	struct tls_front_end *front_end = route->front_end;
	int fd, rc;

	route->address.sin6_port = htons(front_end->port);
	if (front_end_listen(&route->address, front_end->backlog, &fd, err) < 0)
		return -1;
	if (front_end->port == 0 && front_end_bound_port(fd, &front_end->port, err) < 0) {
		close(fd);
		return -1;
	}
	route->listener = lab_new(front_end->heap, uv_tcp_t);
	lab_assert(uv_tcp_init(&front_end->thread.loop, route->listener) == 0);
	route->listener->data = route;
	rc = uv_tcp_open(route->listener, fd);
	if (rc == 0)
		rc = uv_listen(
			(uv_stream_t *)route->listener, (int)front_end->backlog, accept_pair);
	return rc == 0 ? 0 : lab_fail(err, LAB_IO, "listening: %s", uv_err_name(rc));
}

static int routes_listen(struct tls_front_end *front_end, struct lab_error *err)
{
	for (size_t i = 0; i < front_end->route_count; i++) {
		if (route_listen(&front_end->routes[i], err) == 0)
			continue;
		for (size_t j = 0; j <= i; j++)
			route_stop(&front_end->routes[j]);
		return -1;
	}
	return 0;
}

/* The first route gets any free port; the others may find it taken on their address. */
static int routes_listen_any(struct tls_front_end *front_end, struct lab_error *err)
{
	struct lab_error last = { 0 };

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		front_end->port = 0;
		if (routes_listen(front_end, &last) == 0)
			return 0;
		if (last.code != LAB_EXISTS)
			break;
	}
	if (err != NULL)
		*err = last;
	return -1;
}

static int routes_init(struct tls_front_end *front_end,
	const struct tls_front_end_settings *settings, struct lab_error *err)
{
	if (settings->route_count == 0 || settings->route_count > TLS_FRONT_END_ROUTES_MAX)
		return lab_fail(err, LAB_INVALID, "%zu addresses for TLS, not 1 to %d",
			settings->route_count, TLS_FRONT_END_ROUTES_MAX);
	for (size_t i = 0; i < settings->route_count; i++) {
		const struct tls_front_end_route *from = &settings->routes[i];
		struct tls_route *route = &front_end->routes[i];

		route->front_end = front_end;
		if (front_end_address(from->address, 0, &route->address, err) < 0 ||
			front_end_address(from->to_address, from->to_port, &route->to, err) < 0)
			return -1;
	}
	front_end->route_count = settings->route_count;
	front_end->port = settings->port;
	return 0;
}

/* ---- the loop ---- */

/* Handshakes that take too long end, and so does draining. */
static uint64_t front_end_turn(void *owner)
{
	struct tls_front_end *front_end = owner;
	uint64_t now_ns = front_end_now(&front_end->thread), next_ns = UINT64_MAX;
	struct tls_pair *pair = front_end->pairs;

	while (pair != NULL && front_end->timed > 0 && !front_end->stopping) {
		struct tls_pair *next = pair->next;

		if (has_deadline(pair->state) && pair->deadline_ns <= now_ns)
			pair_close(pair, pair->state == TLS_SHAKING);
		else if (has_deadline(pair->state))
			next_ns = LAB_MIN(next_ns, pair->deadline_ns);
		pair = next;
	}
	return next_ns;
}

static void front_end_stop(void *owner)
{
	struct tls_front_end *front_end = owner;

	front_end->stopping = true;
	for (size_t i = 0; i < front_end->route_count; i++)
		route_stop(&front_end->routes[i]);
	while (front_end->pairs != NULL)
		pair_close(front_end->pairs, true);
}

/* ---- life ---- */

static void front_end_free_memory(struct tls_front_end *front_end)
{
	struct lab_pool *pool = front_end->pool;
	struct lab_heap *heap = front_end->heap;

	live_tls_context_free(&front_end->context);
	/* The struct itself is in the heap. */
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static int front_end_start(struct tls_front_end *front_end, struct lab_error *err)
{
	int result = front_end->port == 0 ? routes_listen_any(front_end, err)
					  : routes_listen(front_end, err);

	if (result == 0)
		result = front_end_thread_start(&front_end->thread, err);
	if (result < 0)
		front_end_thread_done(&front_end->thread, false);
	return result;
}

static struct tls_front_end *front_end_make(const struct tls_front_end_settings *settings)
{
	struct lab_pool *pool = lab_pool_new(HEAP_BYTES);
	struct lab_heap *heap = lab_heap_new(pool, HEAP_BYTES);
	struct tls_front_end *front_end = lab_new(heap, struct tls_front_end);

	front_end->pool = pool;
	front_end->heap = heap;
	front_end->handshake_timeout_ns =
		OR_DEFAULT(settings->handshake_timeout_ns, HANDSHAKE_DEFAULT);
	front_end->connections_max = OR_DEFAULT(settings->connections_max, CONNECTIONS_DEFAULT);
	front_end->backlog = OR_DEFAULT(settings->backlog, BACKLOG_DEFAULT);
	return front_end;
}

int tls_front_end_new(const struct tls_front_end_settings *settings, struct tls_front_end **ret,
	struct lab_error *err)
{
	const struct live_tls_settings tls = { .server = true,
		.ca_file = settings->client_ca_file,
		.require_certificate = true,
		.cert_file = settings->cert_file,
		.key_file = settings->key_file,
		.key_password = settings->key_password };
	struct tls_front_end *front_end = front_end_make(settings);
	int result = -1;

	if (routes_init(front_end, settings, err) == 0 &&
		live_tls_context_new(&tls, &front_end->context, err) == 0)
		result = front_end_thread_init(
			&front_end->thread, 0, front_end, front_end_turn, front_end_stop, err);
	if (result == 0) {
		front_end->thread.loop.data = front_end;
		result = front_end_start(front_end, err);
	}
	if (result < 0) {
		front_end_free_memory(front_end);
		return -1;
	}
	*ret = front_end;
	return 0;
}

void tls_front_end_free(struct tls_front_end **front_end_p)
{
	struct tls_front_end *front_end = *front_end_p;

	if (front_end == NULL)
		return;
	*front_end_p = NULL;
	front_end_thread_done(&front_end->thread, true);
	front_end_free_memory(front_end);
}

uint16_t tls_front_end_port(const struct tls_front_end *front_end)
{
	return front_end->port;
}

struct stats_call {
	struct tls_front_end *front_end;
	struct tls_front_end_stats stats;
};

static void stats_take(void *ctx)
{
	struct stats_call *call = ctx;

	call->stats = call->front_end->stats;
}

struct tls_front_end_stats tls_front_end_stats(struct tls_front_end *front_end)
{
	struct stats_call call = { .front_end = front_end };

	front_end_thread_call(&front_end->thread, stats_take, &call);
	return call.stats;
}
