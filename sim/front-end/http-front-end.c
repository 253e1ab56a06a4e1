/* SPDX-License-Identifier: Apache-2.0
 *
 * http-front-end.c - connections, their timers and memory, and the loop. README.md says why this is
 * not libmicrohttpd.
 */
#include "sim/front-end/http-front-end-private.h"

#include <unistd.h>

#define HEADER_DEFAULT ((size_t)16 << 10)
#define BODY_DEFAULT ((size_t)64 << 20)
#define MEMORY_DEFAULT ((size_t)1 << 30)
#define CONNECTIONS_DEFAULT 4096
#define BACKLOG_DEFAULT 1024
#define IDLE_DEFAULT_NS (60 * LAB_SEC)
#define HEAD_DEFAULT_NS (20 * LAB_SEC)
#define BODY_DEFAULT_NS (20 * LAB_SEC)
#define WRITE_NS (60 * LAB_SEC)
#define DRAIN_NS (2 * LAB_SEC)
#define SILENCED_DEFAULT 256
/* Beyond connections_max so many more hear that there are too many; others are reset. */
#define TURNED_AWAY_MAX 64
/* Beside bodies and answers: exchanges, connections, tables. */
#define OWN_BYTES ((size_t)128 << 20)
#define KEPT_BODY_BYTES ((size_t)64 << 10)
#define KEPT_EXCHANGES_MAX 64

/* ---- memory ---- */

bool http_claim(struct http_front_end *front_end, size_t bytes, size_t *claimed)
{
	if (bytes > front_end->settings.memory_max_bytes - front_end->claimed)
		return false;
	front_end->claimed += bytes;
	*claimed += bytes;
	return true;
}

void http_unclaim(struct http_front_end *front_end, size_t *claimed)
{
	lab_assert(*claimed <= front_end->claimed);
	front_end->claimed -= *claimed;
	*claimed = 0;
}

struct http_exchange *http_exchange_new(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;
	struct http_exchange *exchange = front_end->idle;

	if (exchange != NULL) {
		front_end->idle = exchange->next;
		front_end->idle_count--;
	} else {
		exchange = lab_new(front_end->heap, struct http_exchange);
		exchange->front_end = front_end;
		lab_buf_init(&exchange->head_text, front_end->heap,
			front_end->settings.header_max_bytes);
		lab_buf_init(&exchange->body, front_end->heap, front_end->settings.body_max_bytes);
		lab_buf_init(&exchange->trailers, front_end->heap, HTTP_TRAILERS_MAX);
	}
	exchange->connection = connection;
	exchange->refused = false;
	return exchange;
}

void http_exchange_free(struct http_exchange *exchange)
{
	struct http_front_end *front_end = exchange->front_end;

	http_unclaim(front_end, &exchange->claimed);
	lab_buf_reset(&exchange->head_text);
	lab_buf_reset(&exchange->trailers);
	if (exchange->body.capacity > KEPT_BODY_BYTES)
		lab_buf_done(&exchange->body);
	lab_buf_reset(&exchange->body);
	if (front_end->idle_count < KEPT_EXCHANGES_MAX) {
		exchange->next = front_end->idle;
		front_end->idle = exchange;
		front_end->idle_count++;
		return;
	}
	lab_buf_done(&exchange->head_text);
	lab_buf_done(&exchange->trailers);
	lab_buf_done(&exchange->body);
	lab_heap_free(front_end->heap, exchange);
}

/* ---- lists ---- */

void http_timer_set(struct http_connection *connection, enum http_timer timer)
{
	struct http_front_end *front_end = connection->front_end;
	struct http_timer_list *list = &front_end->timers[connection->timer];

	if (connection->timer != HTTP_TIMER_NONE) {
		if (connection->timer_prev != NULL)
			connection->timer_prev->timer_next = connection->timer_next;
		else
			list->first = connection->timer_next;
		if (connection->timer_next != NULL)
			connection->timer_next->timer_prev = connection->timer_prev;
		else
			list->last = connection->timer_prev;
	}
	connection->timer = timer;
	if (timer == HTTP_TIMER_NONE)
		return;
	list = &front_end->timers[timer];
	connection->deadline_ns = UINT64_MAX;
	if (front_end->durations_ns[timer] < UINT64_MAX - front_end->now_ns)
		connection->deadline_ns = front_end->now_ns + front_end->durations_ns[timer];
	connection->timer_prev = list->last;
	connection->timer_next = NULL;
	if (list->last != NULL)
		list->last->timer_next = connection;
	else
		list->first = connection;
	list->last = connection;
}

void http_ready(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;

	if (connection->ready)
		return;
	connection->ready = true;
	connection->ready_prev = front_end->ready_last;
	connection->ready_next = NULL;
	if (front_end->ready_last != NULL)
		front_end->ready_last->ready_next = connection;
	else
		front_end->ready = connection;
	front_end->ready_last = connection;
}

static void ready_remove(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;

	if (!connection->ready)
		return;
	connection->ready = false;
	if (connection->ready_prev != NULL)
		connection->ready_prev->ready_next = connection->ready_next;
	else
		front_end->ready = connection->ready_next;
	if (connection->ready_next != NULL)
		connection->ready_next->ready_prev = connection->ready_prev;
	else
		front_end->ready_last = connection->ready_prev;
}

/* ---- connections ---- */

static void connection_closed(uv_handle_t *handle)
{
	struct http_connection *connection = handle->data;
	struct http_front_end *front_end = connection->front_end;

	lab_buf_done(&connection->in);
	lab_buf_done(&connection->out);
	http_unclaim(front_end, &connection->out_claimed);
	lab_heap_free(front_end->heap, connection);
}

static void connection_unlink(struct http_connection *connection)
{
	if (connection->prev != NULL)
		connection->prev->next = connection->next;
	else
		connection->front_end->connections = connection->next;
	if (connection->next != NULL)
		connection->next->prev = connection->prev;
	ready_remove(connection);
	http_timer_set(connection, HTTP_TIMER_NONE);
}

void http_close(struct http_connection *connection, bool reset)
{
	struct http_front_end *front_end = connection->front_end;
	struct http_exchange *exchange = connection->exchange;

	if (connection->closing)
		return;
	connection->closing = true;
	connection_unlink(connection);
	front_end->stats.open--;
	if (connection->state == HTTP_SILENT)
		front_end->stats.silenced--;
	if (exchange != NULL && connection->state == HTTP_PENDING)
		exchange->connection = NULL;
	else if (exchange != NULL)
		http_exchange_free(exchange);
	if (!reset || uv_tcp_close_reset(&connection->tcp, connection_closed) != 0)
		uv_close((uv_handle_t *)&connection->tcp, connection_closed);
}

static struct http_connection *connection_new(struct http_front_end *front_end)
{
	struct http_connection *connection = lab_new(front_end->heap, struct http_connection);

	lab_assert(uv_tcp_init(&front_end->thread.loop, &connection->tcp) == 0);
	connection->tcp.data = connection;
	connection->front_end = front_end;
	connection->next = front_end->connections;
	if (connection->next != NULL)
		connection->next->prev = connection;
	front_end->connections = connection;
	front_end->stats.open++;
	lab_buf_init(&connection->in, front_end->heap,
		2 * (front_end->settings.header_max_bytes + HTTP_READ_BYTES));
	lab_buf_init(&connection->out, front_end->heap, front_end->settings.memory_max_bytes);
	return connection;
}

static int connection_begin(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;
	struct sockaddr_storage address;
	int size = sizeof(address);
	uint32_t most;

	if (uv_tcp_nodelay(&connection->tcp, 1) != 0 ||
		uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &size) != 0)
		return -1;
	front_end->stats.connections++;
	connection->id = ++front_end->connection_id;
	connection->peer = front_end_peers_find(
		&front_end->peers, (struct sockaddr *)&address, connection->id, connection->name);
	most = front_end->lives_on ? UINT32_MAX
				   : sim_connection_requests(&front_end->life,
					     front_end->settings.life_seed, connection->id);
	connection->answers_max = most;
	http_timer_set(connection, HTTP_TIMER_IDLE);
	return uv_read_start((uv_stream_t *)&connection->tcp, http_allocate, http_received) == 0
		       ? 0
		       : -1;
}

/* libuv takes one connection after the other until there are no more. */
static void listener_connection(uv_stream_t *listener, int status)
{
	struct http_front_end *front_end = listener->data;
	struct http_connection *connection;
	bool too_many;

	if (status < 0 || front_end->stopping)
		return; /* out of descriptors, or the client is gone already */
	front_end->now_ns = front_end_now(&front_end->thread);
	too_many = front_end->stats.open >= front_end->settings.connections_max;
	connection = connection_new(front_end);
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0)
		http_close(connection, false);
	else if (front_end->stats.open >
			 (uint64_t)front_end->settings.connections_max + TURNED_AWAY_MAX ||
		 connection_begin(connection) != 0)
		http_close(connection, true);
	else if (too_many)
		http_refuse(connection, SIM_REFUSE_CONNECTIONS);
}

/* ---- the loop ---- */

void http_advance(struct http_front_end *front_end)
{
	const struct sim_http_ops *ops = front_end->service.ops;

	if (ops->next_deadline(front_end->service.service) <= front_end->now_ns)
		ops->advance(front_end->service.service, front_end->now_ns);
}

static void timer_expired(struct http_connection *connection)
{
	switch (connection->timer) {
	case HTTP_TIMER_HEAD:
	case HTTP_TIMER_BODY:
		http_refuse(connection, SIM_REFUSE_TIMEOUT);
		break;
	case HTTP_TIMER_WRITE:
		http_write_stuck(connection);
		break;
	case HTTP_TIMER_IDLE:
	case HTTP_TIMER_DRAIN:
	case HTTP_TIMER_SILENT:
		http_close(connection, false);
		break;
	case HTTP_TIMER_TRICKLE:
	case HTTP_TIMER_NONE:
	case HTTP_TIMER_COUNT:
		lab_bug("not a deadline");
	}
}

static void run_timers(struct http_front_end *front_end)
{
	for (unsigned i = HTTP_TIMER_IDLE; i < HTTP_TIMER_TRICKLE; i++) {
		struct http_timer_list *list = &front_end->timers[i];

		while (list->first != NULL && list->first->deadline_ns <= front_end->now_ns)
			timer_expired(list->first);
	}
}

static void run_trickles(struct http_front_end *front_end)
{
	struct http_connection *connection = front_end->timers[HTTP_TIMER_TRICKLE].first;

	while (connection != NULL) {
		struct http_connection *next = connection->timer_next;

		if (connection->deadline_ns <= front_end->now_ns)
			http_trickle(connection);
		connection = next;
	}
}

static void run_ready(struct http_front_end *front_end)
{
	while (front_end->ready != NULL) {
		struct http_connection *connection = front_end->ready;

		ready_remove(connection);
		/* It may have been read on meanwhile. */
		if (connection->state == HTTP_READING || connection->state == HTTP_BODY)
			http_continue(connection);
	}
}

/* When something is due of its own accord. */
static uint64_t next_deadline(const struct http_front_end *front_end)
{
	const struct http_connection *connection = front_end->timers[HTTP_TIMER_TRICKLE].first;
	uint64_t until_ns = front_end->service.ops->next_deadline(front_end->service.service);

	for (unsigned i = HTTP_TIMER_IDLE; i < HTTP_TIMER_TRICKLE; i++) {
		if (front_end->timers[i].first != NULL)
			until_ns = LAB_MIN(until_ns, front_end->timers[i].first->deadline_ns);
	}
	for (; connection != NULL; connection = connection->timer_next)
		until_ns = LAB_MIN(until_ns, connection->deadline_ns);
	return until_ns;
}

static uint64_t front_end_turn(void *owner)
{
	struct http_front_end *front_end = owner;

	if (front_end->stopping)
		return UINT64_MAX;
	front_end->now_ns = front_end_now(&front_end->thread);
	http_advance(front_end);
	run_timers(front_end);
	run_trickles(front_end);
	run_ready(front_end);
	return next_deadline(front_end);
}

static void front_end_stop(void *owner)
{
	struct http_front_end *front_end = owner;

	front_end->stopping = true;
	while (front_end->connections != NULL) {
		struct http_connection *connection = front_end->connections;

		/* Its reply will not come any more. */
		if (connection->state == HTTP_PENDING)
			front_end->stats.pending--;
		http_close(connection, false);
	}
	uv_close((uv_handle_t *)&front_end->listener, NULL);
}

/* ---- life ---- */

static void settings_complete(struct http_front_end *front_end)
{
	struct http_front_end_settings *settings = &front_end->settings;
	uint64_t *durations = front_end->durations_ns;

	settings->address = settings->address != NULL ? settings->address : "127.0.0.1";
	settings->header_max_bytes = OR_DEFAULT(settings->header_max_bytes, HEADER_DEFAULT);
	settings->body_max_bytes = OR_DEFAULT(settings->body_max_bytes, BODY_DEFAULT);
	settings->memory_max_bytes = OR_DEFAULT(settings->memory_max_bytes, MEMORY_DEFAULT);
	settings->connections_max = OR_DEFAULT(settings->connections_max, CONNECTIONS_DEFAULT);
	settings->backlog = OR_DEFAULT(settings->backlog, BACKLOG_DEFAULT);
	settings->silenced_max = OR_DEFAULT(settings->silenced_max, SILENCED_DEFAULT);
	front_end->lives_on = settings->life == NULL;
	if (settings->life != NULL)
		front_end->life = *settings->life;
	durations[HTTP_TIMER_IDLE] =
		front_end->lives_on ? IDLE_DEFAULT_NS : sim_connection_idle_ns(&front_end->life);
	durations[HTTP_TIMER_HEAD] = OR_DEFAULT(settings->head_timeout_ns, HEAD_DEFAULT_NS);
	durations[HTTP_TIMER_BODY] = OR_DEFAULT(settings->body_timeout_ns, BODY_DEFAULT_NS);
	durations[HTTP_TIMER_WRITE] = WRITE_NS;
	durations[HTTP_TIMER_DRAIN] = DRAIN_NS;
	durations[HTTP_TIMER_SILENT] = UINT64_MAX;
}

static void front_end_free_memory(struct http_front_end *front_end)
{
	struct lab_pool *pool = front_end->pool;
	struct lab_heap *heap = front_end->heap;

	/* The struct itself is in the heap. */
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static size_t memory_needed(const struct http_front_end_settings *settings)
{
	size_t connections = OR_DEFAULT(settings->connections_max, CONNECTIONS_DEFAULT);
	size_t input = OR_DEFAULT(settings->header_max_bytes, HEADER_DEFAULT) + HTTP_READ_BYTES;

	/* Buffers double. */
	return OWN_BYTES + (connections + TURNED_AWAY_MAX) * (2 * input + (size_t)4096) +
	       2 * OR_DEFAULT(settings->memory_max_bytes, MEMORY_DEFAULT) +
	       OR_DEFAULT(settings->body_max_bytes, BODY_DEFAULT);
}

static struct http_front_end *front_end_new(const struct http_front_end_settings *settings)
{
	size_t memory = memory_needed(settings);
	struct lab_pool *pool = lab_pool_new(memory);
	struct lab_heap *heap = lab_heap_new(pool, memory);
	struct http_front_end *front_end = lab_new(heap, struct http_front_end);

	front_end->pool = pool;
	front_end->heap = heap;
	front_end->service = settings->service;
	front_end->settings = *settings;
	settings_complete(front_end);
	front_end->read_buffer = lab_heap_alloc(heap, HTTP_READ_BYTES);
	lab_buf_init(&front_end->scratch, heap, (size_t)1 << 20);
	return front_end;
}

static int front_end_listens(struct http_front_end *front_end, int fd, struct lab_error *err)
{
	int rc;

	lab_assert(uv_tcp_init(&front_end->thread.loop, &front_end->listener) == 0);
	front_end->listener.data = front_end;
	rc = uv_tcp_open(&front_end->listener, fd);
	if (rc != 0)
		close(fd);
	else
		rc = uv_listen((uv_stream_t *)&front_end->listener,
			(int)front_end->settings.backlog, listener_connection);
	return rc == 0 ? 0 : lab_fail(err, LAB_IO, "listening: %s", uv_err_name(rc));
}

/* The socket, before there is a loop. */
static int front_end_bind(struct http_front_end *front_end, int *ret_fd, struct lab_error *err)
{
	const struct http_front_end_settings *settings = &front_end->settings;
	struct sockaddr_in6 address;

	if (front_end_peers_init(&front_end->peers, front_end->heap, settings->peers,
		    settings->peer_count, err) < 0 ||
		front_end_address(settings->address, settings->port, &address, err) < 0 ||
		front_end_listen(&address, settings->backlog, ret_fd, err) < 0)
		return -1;
	if (front_end_bound_port(*ret_fd, &front_end->port, err) == 0)
		return 0;
	close(*ret_fd);
	return -1;
}

int http_front_end_new(const struct http_front_end_settings *settings, struct http_front_end **ret,
	struct lab_error *err)
{
	struct http_front_end *front_end = front_end_new(settings);
	int fd;

	if (front_end_bind(front_end, &fd, err) < 0) {
		front_end_free_memory(front_end);
		return -1;
	}
	if (front_end_thread_init(&front_end->thread, settings->start_ns, front_end, front_end_turn,
		    front_end_stop, err) < 0) {
		close(fd);
		front_end_free_memory(front_end);
		return -1;
	}
	if (front_end_listens(front_end, fd, err) < 0 ||
		front_end_thread_start(&front_end->thread, err) < 0) {
		front_end_thread_done(&front_end->thread, false);
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
	call->stats.memory_bytes = lab_heap_used(call->front_end->heap);
}

struct http_front_end_stats http_front_end_stats(struct http_front_end *front_end)
{
	struct stats_call call = { .front_end = front_end };

	http_front_end_call(front_end, stats_take, &call);
	return call.stats;
}
