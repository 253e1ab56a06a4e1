/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/front-end/stream-front-end.h"

#include <stdio.h>
#include <unistd.h>

#include "sim/front-end/front-end-private.h"

#define OUTPUT_DEFAULT ((size_t)16 << 20)
#define CONNECTIONS_DEFAULT 2000
#define BACKLOG_DEFAULT 1024
#define OWN_BYTES ((size_t)256 << 20)
/* Of all connections' outputs together, when each uses little of what it may. */
#define OUTPUTS_BYTES ((size_t)4 << 30)
/* One read; a service sees messages in parts of at most this. */
#define INPUT_BYTES ((size_t)64 << 10)
#define KEPT_OUTPUT_BYTES ((size_t)256 << 10)
/* Tries to find one port that is free on all addresses. */
#define PORT_TRIES 16

struct stream_node {
	struct stream_front_end *front_end;
	struct lab_view instance;
	struct sockaddr_in6 address;
	uv_tcp_t *listener; /* NULL: does not listen */
};

enum stream_end {
	STREAM_OPEN,
	STREAM_CLOSE, /* orderly, when all is sent */
	STREAM_RESET
};

struct stream_connection {
	uv_tcp_t tcp;
	struct stream_front_end *front_end;
	struct stream_connection *prev, *next;
	struct stream_connection *next_dirty;
	bool dirty, closing, closed;
	bool overflowed;
	void *service; /* the service's side; NULL once it must not be used */
	enum stream_end end;
	struct lab_buf output;  /* of this turn */
	struct lab_buf sending; /* what the socket did not take at once */
	bool is_sending;
	uv_write_t write;
	char name[FRONT_END_NAME_MAX];
};

struct stream_front_end {
	struct front_end_thread thread;
	struct sim_stream_service service;
	size_t output_max_bytes;
	unsigned connections_max, backlog;
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct front_end_peers peers;
	struct stream_node nodes[STREAM_FRONT_END_NODES_MAX];
	size_t node_count;
	uint16_t port;
	uint64_t connection_id;
	struct stream_connection *connections;
	struct stream_connection *dirty, *dirty_last; /* have something to send, or to end */
	bool stopping;
	struct stream_front_end_stats stats;
	char input[INPUT_BYTES];
};

/* ---- the end of a connection ---- */

static void connection_free(struct stream_connection *connection)
{
	struct stream_front_end *front_end = connection->front_end;

	lab_buf_done(&connection->output);
	lab_buf_done(&connection->sending);
	lab_heap_free(front_end->heap, connection);
}

static void connection_closed(uv_handle_t *handle)
{
	struct stream_connection *connection = handle->data;

	connection->closed = true;
	/* Otherwise it is still in that list. */
	if (!connection->dirty)
		connection_free(connection);
}

static void connection_close(struct stream_connection *connection, bool reset)
{
	struct stream_front_end *front_end = connection->front_end;
	void *service = connection->service;

	if (connection->closing)
		return;
	connection->closing = true;
	connection->service = NULL;
	if (connection->prev != NULL)
		connection->prev->next = connection->next;
	else
		front_end->connections = connection->next;
	if (connection->next != NULL)
		connection->next->prev = connection->prev;
	front_end->stats.open--;
	if (!reset || uv_tcp_close_reset(&connection->tcp, connection_closed) != 0)
		uv_close((uv_handle_t *)&connection->tcp, connection_closed);
	if (service != NULL)
		front_end->service.ops->closed(service, front_end_now(&front_end->thread));
}

/* ---- output ---- */

static void connection_mark(struct stream_connection *connection)
{
	struct stream_front_end *front_end = connection->front_end;

	if (connection->dirty)
		return;
	connection->dirty = true;
	connection->next_dirty = NULL;
	if (front_end->dirty_last == NULL)
		front_end->dirty = connection;
	else
		front_end->dirty_last->next_dirty = connection;
	front_end->dirty_last = connection;
}

/* sim_stream_output_fn. Nothing is sent before the loop waits: answers of one turn go together. */
static void connection_output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct stream_connection *connection = ctx;
	struct stream_front_end *front_end = connection->front_end;

	if (connection->overflowed)
		return; /* the service does not know yet */
	lab_assert(connection->end == STREAM_OPEN && !connection->closing);
	if (data.len >
		front_end->output_max_bytes - connection->output.len - connection->sending.len) {
		front_end->stats.overflowed++;
		connection->overflowed = true;
		connection->end = STREAM_RESET;
	} else {
		lab_buf_append_view(&connection->output, data);
	}
	if (wire == SIM_WIRE_ANSWER_CLOSE && connection->end == STREAM_OPEN)
		connection->end = STREAM_CLOSE;
	if (wire == SIM_WIRE_RESET) {
		/* Its own word that it does not use the connection any more. */
		connection->end = STREAM_RESET;
		connection->service = NULL;
	}
	connection_mark(connection);
}

static void connection_written(uv_write_t *write, int status)
{
	struct stream_connection *connection = write->data;

	connection->is_sending = false;
	if (connection->closing)
		return;
	connection->front_end->stats.bytes_out += connection->sending.len;
	if (connection->sending.capacity > KEPT_OUTPUT_BYTES)
		lab_buf_done(&connection->sending);
	lab_buf_reset(&connection->sending);
	if (status < 0)
		connection->end = STREAM_RESET;
	connection_mark(connection);
}

/* The rest waits for the socket in a buffer of its own, while new outputs gather in the other. */
static int connection_send_rest(struct stream_connection *connection, size_t sent)
{
	struct lab_buf swap = connection->sending;
	uv_buf_t rest;

	connection->sending = connection->output;
	connection->output = swap;
	lab_buf_consume(&connection->sending, sent);
	rest = uv_buf_init((char *)connection->sending.data, (unsigned)connection->sending.len);
	connection->is_sending = true;
	connection->write.data = connection;
	connection->front_end->stats.writes++;
	return uv_write(
		&connection->write, (uv_stream_t *)&connection->tcp, &rest, 1, connection_written);
}

static int connection_send(struct stream_connection *connection)
{
	struct stream_front_end *front_end = connection->front_end;
	uv_buf_t all =
		uv_buf_init((char *)connection->output.data, (unsigned)connection->output.len);
	int n;

	if (connection->output.len == 0 || connection->is_sending)
		return 0;
	n = uv_try_write((uv_stream_t *)&connection->tcp, &all, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0)
		return n;
	front_end->stats.writes++;
	front_end->stats.bytes_out += (uint64_t)n;
	if ((size_t)n < connection->output.len)
		return connection_send_rest(connection, (size_t)n);
	if (connection->output.capacity > KEPT_OUTPUT_BYTES)
		lab_buf_done(&connection->output);
	lab_buf_reset(&connection->output);
	return 0;
}

static void connection_flush(struct stream_connection *connection)
{
	/* What was said before a reset may leave, too. */
	if (connection_send(connection) < 0)
		connection->end = STREAM_RESET;
	if (connection->end == STREAM_RESET)
		connection_close(connection, true);
	else if (connection->end == STREAM_CLOSE && !connection->is_sending)
		connection_close(connection, false);
}

static void front_end_flush(struct stream_front_end *front_end)
{
	/* closed() may make the service say more on others. */
	while (front_end->dirty != NULL) {
		struct stream_connection *connection = front_end->dirty;

		front_end->dirty = connection->next_dirty;
		if (front_end->dirty == NULL)
			front_end->dirty_last = NULL;
		connection->dirty = false;
		if (connection->closed)
			connection_free(connection);
		else if (!connection->closing)
			connection_flush(connection);
	}
}

/* ---- input ---- */

static void connection_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct stream_connection *connection = handle->data;

	/* One for all: it is used up before the next read. */
	(void)suggested;
	*buffer = uv_buf_init(connection->front_end->input, INPUT_BYTES);
}

static void front_end_advance(struct stream_front_end *front_end, uint64_t now_ns)
{
	if (front_end->service.ops->next_deadline(front_end->service.service) <= now_ns)
		front_end->service.ops->advance(front_end->service.service, now_ns);
}

static void connection_received(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
	struct stream_connection *connection = handle->data;
	struct stream_front_end *front_end = connection->front_end;
	uint64_t now_ns = front_end_now(&front_end->thread);

	if (count == 0)
		return;
	if (count < 0) {
		connection_close(connection, count != UV_EOF);
		return;
	}
	front_end->stats.bytes_in += (uint64_t)count;
	/* In the order of time: what was due before these bytes comes before them. */
	front_end_advance(front_end, now_ns);
	if (connection->end == STREAM_OPEN)
		front_end->service.ops->input(
			connection->service, lab_view_of(buffer->base, (size_t)count), now_ns);
	if (connection->end != STREAM_OPEN)
		(void)uv_read_stop(handle);
}

/* ---- new connections ---- */

static struct stream_connection *connection_new(struct stream_front_end *front_end)
{
	struct stream_connection *connection = lab_new(front_end->heap, struct stream_connection);

	lab_assert(uv_tcp_init(&front_end->thread.loop, &connection->tcp) == 0);
	connection->tcp.data = connection;
	connection->front_end = front_end;
	lab_buf_init(&connection->output, front_end->heap, front_end->output_max_bytes);
	lab_buf_init(&connection->sending, front_end->heap, front_end->output_max_bytes);
	connection->next = front_end->connections;
	if (connection->next != NULL)
		connection->next->prev = connection;
	front_end->connections = connection;
	front_end->stats.connections++;
	front_end->stats.open++;
	return connection;
}

static int connection_begin(struct stream_connection *connection, const struct stream_node *node)
{
	struct stream_front_end *front_end = connection->front_end;
	struct sockaddr_in6 address = { 0 };
	int size = sizeof(address);
	struct sim_peer peer;
	void *service;

	if (front_end->stats.open > front_end->connections_max ||
		uv_tcp_nodelay(&connection->tcp, 1) != 0 ||
		uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &size) != 0)
		return -1;
	peer = front_end_peers_find(&front_end->peers, (struct sockaddr *)&address,
		++front_end->connection_id, connection->name);
	service = front_end->service.ops->accept(front_end->service.service, node->instance, &peer,
		front_end_now(&front_end->thread), connection_output, connection);
	if (service == NULL)
		return -1;
	if (connection->end == STREAM_RESET && !connection->overflowed)
		return 0; /* accepted, and reset at once: done before the loop waits */
	connection->service = service;
	return uv_read_start(
		(uv_stream_t *)&connection->tcp, connection_allocate, connection_received);
}

static void node_connection(uv_stream_t *listener, int status)
{
	struct stream_node *node = listener->data;
	struct stream_connection *connection;

	if (status < 0)
		return; /* the client was gone already, or no descriptor is left: it may try again
			 */
	connection = connection_new(node->front_end);
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0)
		connection_close(connection, false);
	else if (connection_begin(connection, node) != 0)
		connection_close(connection, true);
}

/* ---- nodes ---- */

static void listener_closed(uv_handle_t *handle)
{
	struct stream_front_end *front_end = handle->loop->data;

	lab_heap_free(front_end->heap, handle);
}

static void node_stop(struct stream_node *node)
{
	if (node->listener != NULL)
		uv_close((uv_handle_t *)node->listener, listener_closed);
	node->listener = NULL;
}

static int node_listen(struct stream_node *node, struct lab_error *err)
{
	struct stream_front_end *front_end = node->front_end;
	int fd, rc;

	if (node->listener != NULL)
		return 0;
	node->address.sin6_port = htons(front_end->port);
	if (front_end_listen(&node->address, front_end->backlog, &fd, err) < 0)
		return -1;
	if (front_end->port == 0 && front_end_bound_port(fd, &front_end->port, err) < 0) {
		close(fd);
		return -1;
	}
	node->listener = lab_new(front_end->heap, uv_tcp_t);
	lab_assert(uv_tcp_init(&front_end->thread.loop, node->listener) == 0);
	node->listener->data = node;
	rc = uv_tcp_open(node->listener, fd);
	if (rc == 0)
		rc = uv_listen(
			(uv_stream_t *)node->listener, (int)front_end->backlog, node_connection);
	if (rc == 0)
		return 0;
	node_stop(node);
	return lab_fail(err, LAB_IO, "listening: %s", uv_err_name(rc));
}

static int nodes_listen(struct stream_front_end *front_end, struct lab_error *err)
{
	for (size_t i = 0; i < front_end->node_count; i++) {
		if (node_listen(&front_end->nodes[i], err) < 0) {
			for (size_t j = 0; j < i; j++)
				node_stop(&front_end->nodes[j]);
			return lab_error_wrap(
				err, "node %.*s", LAB_VIEW_ARG(front_end->nodes[i].instance));
		}
	}
	return 0;
}

/* The first node gets any free port; the others may find it taken on their address. */
static int nodes_listen_any(struct stream_front_end *front_end, struct lab_error *err)
{
	struct lab_error last = { 0 };

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		front_end->port = 0;
		if (nodes_listen(front_end, &last) == 0)
			return 0;
		if (last.code != LAB_EXISTS)
			break;
	}
	if (err != NULL)
		*err = last;
	return -1;
}

static int nodes_init(struct stream_front_end *front_end,
	const struct stream_front_end_settings *settings, struct lab_error *err)
{
	if (settings->node_count == 0 || settings->node_count > STREAM_FRONT_END_NODES_MAX)
		return lab_fail(err, LAB_INVALID, "%zu nodes, not 1 to %d", settings->node_count,
			STREAM_FRONT_END_NODES_MAX);
	for (size_t i = 0; i < settings->node_count; i++) {
		struct stream_node *node = &front_end->nodes[i];
		const char *name = lab_heap_strdup(front_end->heap, settings->nodes[i].instance);

		node->front_end = front_end;
		node->instance = lab_view_cstr(name);
		if (front_end_address(settings->nodes[i].address, 0, &node->address, err) < 0)
			return -1;
	}
	front_end->node_count = settings->node_count;
	front_end->port = settings->port;
	return 0;
}

/* ---- the loop ---- */

static uint64_t front_end_turn(void *owner)
{
	struct stream_front_end *front_end = owner;

	if (front_end->stopping)
		return UINT64_MAX;
	front_end_advance(front_end, front_end_now(&front_end->thread));
	front_end_flush(front_end);
	return front_end->service.ops->next_deadline(front_end->service.service);
}

static void front_end_stop(void *owner)
{
	struct stream_front_end *front_end = owner;

	front_end->stopping = true;
	for (size_t i = 0; i < front_end->node_count; i++)
		node_stop(&front_end->nodes[i]);
	while (front_end->connections != NULL)
		connection_close(front_end->connections, false);
}

/* ---- life ---- */

static struct stream_front_end *front_end_new(const struct stream_front_end_settings *settings)
{
	struct lab_pool *pool = lab_pool_new(OWN_BYTES + OUTPUTS_BYTES);
	struct lab_heap *heap = lab_heap_new(pool, OWN_BYTES + OUTPUTS_BYTES);
	struct stream_front_end *front_end = lab_new(heap, struct stream_front_end);

	front_end->pool = pool;
	front_end->heap = heap;
	front_end->service = settings->service;
	front_end->output_max_bytes = OR_DEFAULT(settings->output_max_bytes, OUTPUT_DEFAULT);
	front_end->connections_max = OR_DEFAULT(settings->connections_max, CONNECTIONS_DEFAULT);
	front_end->backlog = OR_DEFAULT(settings->backlog, BACKLOG_DEFAULT);
	return front_end;
}

static void front_end_free_memory(struct stream_front_end *front_end)
{
	struct lab_pool *pool = front_end->pool;
	struct lab_heap *heap = front_end->heap;

	/* The struct itself is in the heap. */
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static int front_end_start(struct stream_front_end *front_end, struct lab_error *err)
{
	int result = front_end->port == 0 ? nodes_listen_any(front_end, err)
					  : nodes_listen(front_end, err);

	if (result == 0)
		result = front_end_thread_start(&front_end->thread, err);
	if (result < 0)
		front_end_thread_done(&front_end->thread, false);
	return result;
}

int stream_front_end_new(const struct stream_front_end_settings *settings,
	struct stream_front_end **ret, struct lab_error *err)
{
	struct stream_front_end *front_end = front_end_new(settings);
	int result = -1;

	if (nodes_init(front_end, settings, err) == 0 &&
		front_end_peers_init(&front_end->peers, front_end->heap, settings->peers,
			settings->peer_count, err) == 0)
		result = front_end_thread_init(&front_end->thread, settings->start_ns, front_end,
			front_end_turn, front_end_stop, err);
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

void stream_front_end_free(struct stream_front_end **front_end_p)
{
	struct stream_front_end *front_end = *front_end_p;

	if (front_end == NULL)
		return;
	*front_end_p = NULL;
	front_end_thread_done(&front_end->thread, true);
	front_end_free_memory(front_end);
}

uint16_t stream_front_end_port(const struct stream_front_end *front_end)
{
	return front_end->port;
}

void stream_front_end_call(struct stream_front_end *front_end, void (*fn)(void *ctx), void *ctx)
{
	front_end_thread_call(&front_end->thread, fn, ctx);
}

struct listen_call {
	struct stream_front_end *front_end;
	const char *instance;
	bool listen;
	struct lab_error *err;
	int result;
};

static void listen_change(void *ctx)
{
	struct listen_call *call = ctx;
	struct stream_front_end *front_end = call->front_end;

	for (size_t i = 0; i < front_end->node_count; i++) {
		struct stream_node *node = &front_end->nodes[i];

		if (!lab_view_eq_cstr(node->instance, call->instance))
			continue;
		if (call->listen)
			call->result = node_listen(node, call->err);
		else
			node_stop(node);
		return;
	}
	call->result = lab_fail(call->err, LAB_NOT_FOUND, "no node %.64s", call->instance);
}

int stream_front_end_listen(struct stream_front_end *front_end, const char *instance, bool listen,
	struct lab_error *err)
{
	struct listen_call call = {
		.front_end = front_end, .instance = instance, .listen = listen, .err = err
	};

	stream_front_end_call(front_end, listen_change, &call);
	return call.result;
}

static void reset_all(void *ctx)
{
	struct stream_front_end *front_end = ctx;

	while (front_end->connections != NULL)
		connection_close(front_end->connections, true);
}

void stream_front_end_reset(struct stream_front_end *front_end)
{
	stream_front_end_call(front_end, reset_all, front_end);
}

struct stats_call {
	struct stream_front_end *front_end;
	struct stream_front_end_stats stats;
};

static void stats_take(void *ctx)
{
	struct stats_call *call = ctx;

	call->stats = call->front_end->stats;
}

struct stream_front_end_stats stream_front_end_stats(struct stream_front_end *front_end)
{
	struct stats_call call = { .front_end = front_end };

	stream_front_end_call(front_end, stats_take, &call);
	return call.stats;
}
