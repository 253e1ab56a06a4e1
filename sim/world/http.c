/* SPDX-License-Identifier: Apache-2.0
 *
 * http.c - one HTTP exchange over the simulated network.
 *
 *   connect   attempts until connected or timed out; nothing has been sent yet
 *   request   copied into the world's memory and put on its way: from here on it happens whatever
 *             becomes of the client
 *   service   submit() ... reply()
 *   reply     on its way back; dropped on arrival if nobody waits any more
 *
 * Kept-alive connections are values in the host's pool for that authority. The server's side
 * of one is two times: when the server closes it, and when the client comes to know. A request that
 * is sent in between is lost, as it is in reality.
 */
#include "sim/world/world-private.h"

#include <stdio.h>

#define KEPT_BYTES_MAX ((size_t)256 << 10) /* larger buffers are not kept for the next exchange */

struct http_connection {
	uint64_t id;
	uint32_t requests, requests_max;
	uint64_t server_closes_ns, client_knows_ns;
};

/* What a host knows of one authority. */
struct http_pool {
	struct world_host *host;
	struct world_endpoint *endpoint;
	uint32_t boots; /* idle connections of a former incarnation are gone */
	struct http_connection *idle;
	unsigned idle_count;
	uint64_t messages; /* ordinal for latencies */
};

struct http_bytes {
	uint8_t *data;
	size_t used, capacity;
};

enum reply_kind {
	REPLY_COMPLETE,
	REPLY_CUT,  /* truncated body, then reset */
	REPLY_RESET /* nothing */
};

struct http_exchange {
	struct http_exchange *next; /* of the free ones */
	struct http_pool *pool;
	struct world_fiber *waiter; /* NULL: gave up */
	uint32_t boots;             /* of the waiter's host */
	struct http_connection connection;
	bool is_kept;    /* the connection is usable after this, as far as the client knows */
	bool is_dropped; /* ... but the server closed it */
	enum reply_kind kind;
	size_t missing; /* of a cut reply */
	struct lab_http_request request;
	struct lab_http_response response;
	struct http_bytes request_bytes, response_bytes;
};

/* ---- memory ---- */

static struct http_exchange *take_exchange(struct world *world)
{
	struct http_exchange *exchange = world->free_exchanges;

	if (exchange == NULL)
		return lab_new(world->heap, struct http_exchange);
	world->free_exchanges = exchange->next;
	return exchange;
}

static void trim_bytes(struct world *world, struct http_bytes *bytes)
{
	if (bytes->capacity > KEPT_BYTES_MAX) {
		lab_heap_free(world->heap, bytes->data);
		*bytes = (struct http_bytes){ 0 };
	}
}

static void free_exchange(struct http_exchange *exchange)
{
	struct world *world = exchange->pool->host->world;

	trim_bytes(world, &exchange->request_bytes);
	trim_bytes(world, &exchange->response_bytes);
	exchange->next = world->free_exchanges;
	world->free_exchanges = exchange;
}

static void bytes_reserve(struct world *world, struct http_bytes *bytes, size_t size)
{
	bytes->used = 0;
	if (size <= bytes->capacity)
		return;
	lab_heap_free(world->heap, bytes->data);
	bytes->capacity = LAB_MAX(size, (size_t)1024);
	bytes->data = lab_heap_alloc(world->heap, bytes->capacity);
}

static struct lab_view bytes_add(struct http_bytes *bytes, struct lab_view v)
{
	uint8_t *copy = bytes->data + bytes->used;

	if (v.len > 0)
		memcpy(copy, v.ptr, v.len);
	bytes->used += v.len;
	return lab_view_of(copy, v.len);
}

static size_t headers_size(const struct lab_http_headers *headers)
{
	size_t size = 0;

	for (size_t i = 0; i < headers->count; i++)
		size += headers->items[i].name.len + headers->items[i].value.len;
	return size;
}

static void copy_headers(
	struct http_bytes *bytes, const struct lab_http_headers *from, struct lab_http_headers *to)
{
	for (size_t i = 0; i < from->count; i++) {
		to->items[i].name = bytes_add(bytes, from->items[i].name);
		to->items[i].value = bytes_add(bytes, from->items[i].value);
	}
	to->count = from->count;
}

/* Returns how many bytes there are, for the time that they take on the wire. */
static size_t copy_request(struct http_exchange *exchange, const struct lab_http_request *from)
{
	struct lab_http_request *to = &exchange->request;
	struct http_bytes *bytes = &exchange->request_bytes;

	bytes_reserve(exchange->pool->host->world, bytes,
		from->method.len + from->authority.len + from->target.len + from->body.len +
			headers_size(&from->headers));
	to->method = bytes_add(bytes, from->method);
	to->tls = from->tls;
	to->authority = bytes_add(bytes, from->authority);
	to->target = bytes_add(bytes, from->target);
	copy_headers(bytes, &from->headers, &to->headers);
	to->body = bytes_add(bytes, from->body);
	return bytes->used;
}

#define LENGTH_DIGITS 24

/* Services leave the length to who puts the response on the wire; a HEAD's is that of the body
 * which is not sent. */
static void add_length(struct http_bytes *bytes, struct lab_http_response *to, size_t len)
{
	char digits[LENGTH_DIGITS];
	int n;

	if (lab_http_header_get(&to->headers, "Content-Length").ptr != NULL ||
		lab_http_header_get(&to->headers, "Transfer-Encoding").ptr != NULL)
		return;
	n = snprintf(digits, sizeof(digits), "%zu", len);
	(void)lab_http_header_add(&to->headers, LAB_VIEW("Content-Length"),
		bytes_add(bytes, lab_view_of(digits, (size_t)n)));
}

static size_t copy_response(
	struct http_exchange *exchange, const struct lab_http_response *from, struct lab_view body)
{
	struct lab_http_response *to = &exchange->response;
	struct http_bytes *bytes = &exchange->response_bytes;
	size_t on_wire;

	bytes_reserve(exchange->pool->host->world, bytes,
		from->reason.len + body.len + headers_size(&from->headers) + LENGTH_DIGITS);
	to->status = from->status;
	to->reason = bytes_add(bytes, from->reason);
	copy_headers(bytes, &from->headers, &to->headers);
	to->body = bytes_add(bytes, body);
	on_wire = bytes->used;
	add_length(bytes, to, from->body.len);
	return on_wire;
}

/* ---- pools of kept-alive connections ---- */

static struct http_pool *make_pool(struct world_host *host, void **slot)
{
	struct world *world = host->world;
	struct http_pool *pool;

	pool = lab_new(world->heap, struct http_pool);
	pool->host = host;
	pool->idle =
		lab_new_array(world->heap, struct http_connection, host->settings.http_idle_max);
	*slot = pool;
	return pool;
}

/* NULL if nobody answers to that authority. */
static struct http_pool *find_pool(struct world_host *host, const struct lab_http_request *request)
{
	char key[1 + 256];
	struct http_pool *pool;
	void **slot;

	if (request->authority.len == 0 || request->authority.len >= sizeof(key))
		return NULL;
	key[0] = request->tls ? 's' : 'p';
	memcpy(key + 1, request->authority.ptr, request->authority.len);
	slot = lab_map_slot(host->http_pools, lab_view_of(key, 1 + request->authority.len));
	lab_assert(slot != NULL);
	pool = *slot != NULL ? *slot : make_pool(host, slot);
	if (pool->boots != host->boots) {
		pool->boots = host->boots;
		pool->idle_count = 0;
	}
	if (pool->endpoint == NULL)
		pool->endpoint = world_http_endpoint(host->world, request->authority, request->tls);
	return pool->endpoint == NULL ? NULL : pool;
}

/* The one that was used last; those that the server is known to have closed are dropped. */
static bool take_idle(struct http_pool *pool, struct http_connection *ret)
{
	uint64_t now = pool->host->world->now_ns;

	while (pool->idle_count > 0) {
		*ret = pool->idle[--pool->idle_count];
		if (ret->client_knows_ns > now)
			return true;
	}
	return false;
}

static void keep_idle(struct http_pool *pool, const struct http_connection *connection)
{
	if (pool->idle_count < pool->host->settings.http_idle_max)
		pool->idle[pool->idle_count++] = *connection;
}

/* ---- connecting ---- */

/* When this step, which may take `ns`, and the whole exchange must be over. */
static uint64_t deadline_after(
	const struct world *world, uint64_t ns, const struct env_http_limits *limits)
{
	uint64_t deadline = ns > ENV_FOREVER - world->now_ns ? ENV_FOREVER : world->now_ns + ns;

	return limits->deadline_ns == 0 ? deadline : LAB_MIN(deadline, limits->deadline_ns);
}

static uint64_t delay_to_server(struct http_pool *pool, size_t bytes)
{
	return world_delay(pool->host->world, &pool->host->node, &pool->endpoint->node,
		pool->messages++, bytes);
}

static uint64_t delay_to_client(struct http_pool *pool, size_t bytes)
{
	return world_delay(pool->host->world, &pool->endpoint->node, &pool->host->node,
		pool->messages++, bytes);
}

static bool is_path_cut(struct http_pool *pool)
{
	struct world *world = pool->host->world;

	return world_is_cut(world, &pool->host->node, &pool->endpoint->node) ||
	       world_is_cut(world, &pool->endpoint->node, &pool->host->node);
}

/* 1 connected, 0 lost on the way (try again), -1 error. */
static int connect_once(struct http_pool *pool, bool tls, struct world_fiber *self,
	uint64_t deadline_ns, struct lab_error *err)
{
	struct world *world = pool->host->world;
	uint64_t arrival, trips = tls ? 4 : 2; /* TLS 1.3 adds a round trip */

	if (is_path_cut(pool))
		return 0;
	arrival = world->now_ns;
	for (uint64_t i = 0; i < trips; i += 2)
		arrival += delay_to_server(pool, 0) + delay_to_client(pool, 0);
	(void)world_park(self, LAB_MIN(arrival, deadline_ns));
	if (arrival > deadline_ns || is_path_cut(pool))
		return 0;
	if (pool->endpoint->node.down_count > 0) {
		(void)lab_fail(err, LAB_REFUSED, "connect(%.*s) failed: Connection refused",
			LAB_VIEW_ARG(pool->endpoint->node.name));
		if (err != NULL)
			err->retryable = true;
		return -1;
	}
	return 1;
}

static int connect_timed_out(struct http_pool *pool, uint64_t started_ns, struct lab_error *err)
{
	(void)lab_fail(err, LAB_TIMEOUT, "connect(%.*s) failed: Timed out after %" PRIu64 " ms",
		LAB_VIEW_ARG(pool->endpoint->node.name),
		(pool->host->world->now_ns - started_ns) / LAB_MSEC);
	if (err != NULL)
		err->retryable = true;
	return -1;
}

/* As TCP does: a lost SYN is sent again after 1, 2, 4... seconds. */
static int connect_http(struct http_pool *pool, bool tls, const struct env_http_limits *limits,
	struct world_fiber *self, struct http_connection *ret, struct lab_error *err)
{
	struct world *world = pool->host->world;
	uint64_t deadline = deadline_after(world, limits->connect_timeout_ns, limits);
	uint64_t started = world->now_ns;
	int result;

	world->counters.http_connects++;
	for (unsigned attempt = 0;; attempt++) {
		uint64_t retry_ns = world->now_ns + (LAB_SEC << LAB_MIN(attempt, 6U));

		result = connect_once(pool, tls, self, deadline, err);
		if (result < 0)
			return -1;
		if (result > 0)
			break;
		/* Six retries are Linux's default; after that it gives up by itself. */
		if (world->now_ns >= deadline || attempt == 6)
			return connect_timed_out(pool, started, err);
		(void)world_park(self, LAB_MIN(LAB_MAX(retry_ns, world->now_ns), deadline));
		if (world->now_ns >= deadline)
			return connect_timed_out(pool, started, err);
	}
	*ret = (struct http_connection){ .id = ++world->last_connection };
	ret->requests_max = sim_connection_requests(&pool->endpoint->settings.life,
		world->settings.seed, lab_hash_fold(pool->host->node.key, pool->messages));
	return 0;
}

/* ---- the way back ---- */

static bool is_heard(const struct http_exchange *exchange)
{
	return exchange->waiter != NULL && exchange->pool->host->is_up &&
	       exchange->boots == exchange->pool->host->boots;
}

/* Nothing more will come of it: the client, if it still waits, waits in vain. */
static void lose_exchange(struct http_exchange *exchange)
{
	if (is_heard(exchange))
		exchange->waiter->exchange = NULL;
	free_exchange(exchange);
}

static void on_reply_arrived(void *ctx)
{
	struct http_exchange *exchange = ctx;
	struct http_pool *pool = exchange->pool;

	if (!is_heard(exchange) ||
		world_is_cut(pool->host->world, &pool->endpoint->node, &pool->host->node)) {
		lose_exchange(exchange);
		return;
	}
	world_wake(exchange->waiter);
}

static uint64_t after(uint64_t time_ns, uint64_t ns)
{
	return ns > UINT64_MAX - time_ns ? UINT64_MAX : time_ns + ns;
}

/* The server's side of the connection, once the answer is sent which arrives at `arrival`. */
static void age_connection(struct http_exchange *exchange, uint64_t arrival)
{
	struct http_pool *pool = exchange->pool;
	const struct world *world = pool->host->world;
	const struct world_service_settings *settings = &pool->endpoint->settings;
	struct http_connection *connection = &exchange->connection;
	uint64_t idle_ns = sim_connection_idle_ns(&settings->life), draw;

	if (++connection->requests >= connection->requests_max) {
		exchange->is_dropped = true;
		if (settings->life.announced)
			exchange->is_kept = false;
	}
	connection->server_closes_ns = after(world->now_ns, idle_ns);
	connection->client_knows_ns = after(arrival, idle_ns);
	if (!exchange->is_dropped)
		return;
	draw = lab_draw(world->settings.seed, "http.close",
		lab_hash_fold(pool->host->node.key, pool->endpoint->node.key), pool->messages);
	connection->server_closes_ns = world->now_ns;
	connection->client_knows_ns = arrival + lab_pick(draw, settings->close_race_ns + 1);
}

/* `slow_ns`: what the service takes for the body, beside the network. */
static void send_back(
	struct http_exchange *exchange, enum reply_kind kind, size_t bytes, uint64_t slow_ns)
{
	struct http_pool *pool = exchange->pool;
	struct world *world = pool->host->world;
	uint64_t arrival;

	exchange->kind = kind;
	if (world_is_cut(world, &pool->endpoint->node, &pool->host->node)) {
		lose_exchange(exchange);
		return;
	}
	arrival = after(world->now_ns + delay_to_client(pool, bytes), slow_ns);
	age_connection(exchange, arrival);
	(void)world_post(world, NULL, arrival, on_reply_arrived, exchange);
}

/* Bytes at a rate; a century at most. */
static uint64_t trickle_ns(size_t bytes, uint64_t bytes_per_s)
{
	const uint64_t most = UINT64_C(100) * 366 * 86400;
	uint64_t rate = LAB_MAX(bytes_per_s, UINT64_C(1)), seconds = bytes / rate;

	if (seconds > most)
		return most * LAB_SEC;
	/* Remainder and rate below 2^32 would be exact; above it a nanosecond is lost. */
	if (rate > UINT64_MAX / LAB_SEC)
		return seconds * LAB_SEC;
	return seconds * LAB_SEC + bytes % rate * LAB_SEC / rate;
}

static void on_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct http_exchange *exchange = ctx;
	struct lab_view body = reply->response.body;
	size_t cut = reply->cut_at > 0 ? reply->cut_at : body.len / 2;
	uint64_t slow_ns = 0;

	if (reply->wire == SIM_WIRE_TRICKLE && !reply->head)
		slow_ns = trickle_ns(body.len, reply->bytes_per_s);
	exchange->is_dropped = reply->wire == SIM_WIRE_ANSWER_DROP;
	exchange->is_kept = reply->wire == SIM_WIRE_ANSWER || reply->wire == SIM_WIRE_TRICKLE ||
			    exchange->is_dropped;
	if (reply->head)
		body.len = 0;
	switch (reply->wire) {
	case SIM_WIRE_TRICKLE:
	case SIM_WIRE_ANSWER:
	case SIM_WIRE_ANSWER_CLOSE:
	case SIM_WIRE_ANSWER_DROP:
		send_back(exchange, REPLY_COMPLETE, copy_response(exchange, &reply->response, body),
			slow_ns);
		return;
	case SIM_WIRE_TRUNCATE:
		cut = LAB_MIN(cut, body.len);
		exchange->missing = body.len - cut;
		send_back(exchange, REPLY_CUT, cut, 0);
		return;
	case SIM_WIRE_RESET:
		send_back(exchange, REPLY_RESET, 0, 0);
		return;
	case SIM_WIRE_SILENCE:
		lose_exchange(exchange);
		return;
	}
	lab_bug("a reply goes over the wire in one of seven ways");
}

/* ---- the way there ---- */

static void on_request_arrived(void *ctx)
{
	struct http_exchange *exchange = ctx;
	struct http_pool *pool = exchange->pool;
	struct world_endpoint *endpoint = pool->endpoint;
	struct world *world = pool->host->world;
	struct sim_peer peer = {
		.name = pool->host->node.name,
		.zone = lab_view_cstr(pool->host->env.zone),
		.hops = pool->host->settings.hops,
		.connection = exchange->connection.id,
	};

	if (world_is_cut(world, &pool->host->node, &endpoint->node)) {
		lose_exchange(exchange);
		return;
	}
	if (endpoint->node.down_count > 0 ||
		(exchange->connection.requests > 0 &&
			exchange->connection.server_closes_ns <= world->now_ns)) {
		exchange->is_kept = exchange->is_dropped = false;
		send_back(exchange, REPLY_RESET, 0, 0);
		return;
	}
	world->counters.http_requests++;
	endpoint->http_ops->submit(endpoint->backend->service, &exchange->request, &peer,
		world->now_ns, on_reply, exchange);
	world_rearm(endpoint->backend);
}

/* ---- the client's side ---- */

static int uncertain(struct world_host *host, struct lab_error *err)
{
	host->world->counters.http_uncertain++;
	if (err != NULL)
		err->retryable = true;
	return -1;
}

/* What the fiber makes of the reply that woke it. The connection goes back to the pool. */
static int finish_exchange(struct http_exchange *exchange, const struct env_http_limits *limits,
	struct lab_arena *arena, struct lab_http_response *ret, struct lab_error *err)
{
	struct world_host *host = exchange->pool->host;
	const struct lab_http_response *response = &exchange->response;

	if (exchange->kind == REPLY_RESET) {
		(void)lab_fail(err, LAB_UNCERTAIN,
			"Connection lost: reset by peer after the request was sent");
		return uncertain(host, err);
	}
	if (exchange->kind == REPLY_CUT) {
		(void)lab_fail(err, LAB_UNCERTAIN,
			"Connection lost: closed with %zu bytes of the response missing",
			exchange->missing);
		return uncertain(host, err);
	}
	if (response->body.len > limits->response_max_bytes)
		return lab_fail(err, LAB_LIMIT, "response has %zu bytes, more than %zu",
			response->body.len, limits->response_max_bytes);
	if (response->status < 100 || response->status > 999)
		return lab_fail(err, LAB_CORRUPT, "response has status %u", response->status);
	lab_http_response_copy(arena, response, ret);
	if (exchange->is_kept)
		keep_idle(exchange->pool, &exchange->connection);
	return 0;
}

static struct http_exchange *send_request(struct http_pool *pool, struct world_fiber *self,
	const struct http_connection *connection, const struct lab_http_request *request)
{
	struct world *world = pool->host->world;
	struct http_exchange *exchange = take_exchange(world);
	size_t bytes;

	exchange->pool = pool;
	exchange->waiter = self;
	exchange->boots = pool->host->boots;
	exchange->connection = *connection;
	bytes = copy_request(exchange, request);
	if (world_is_cut(world, &pool->host->node, &pool->endpoint->node)) {
		free_exchange(exchange);
		return NULL;
	}
	(void)world_post(world, NULL, world->now_ns + delay_to_server(pool, bytes),
		on_request_arrived, exchange);
	return exchange;
}

/* Sends, and waits for the reply. */
static int do_exchange(struct http_pool *pool, struct world_fiber *self,
	const struct http_connection *connection, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct world *world = pool->host->world;
	uint64_t started = world->now_ns;
	struct http_exchange *exchange;
	int result;

	self->exchange = send_request(pool, self, connection, request);
	if (world_park(self, deadline_after(world, limits->response_timeout_ns, limits)) != 0) {
		if (self->exchange != NULL)
			self->exchange->waiter = NULL;
		self->exchange = NULL;
		(void)lab_fail(err, LAB_UNCERTAIN,
			"Request timed out: no response in %" PRIu64 " ms",
			(world->now_ns - started) / LAB_MSEC);
		return uncertain(pool->host, err);
	}
	exchange = self->exchange;
	self->exchange = NULL;
	result = finish_exchange(exchange, limits, arena, ret, err);
	free_exchange(exchange);
	return result;
}

int world_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *stats, struct lab_error *err)
{
	struct world_host *host = world_host_of(env);
	struct world_fiber *self = world_self(host);
	struct http_pool *pool = find_pool(host, request);
	struct http_connection connection;
	uint64_t started = host->world->now_ns;
	int result;

	*stats = (struct env_http_stats){ 0 };
	if (pool == NULL)
		return lab_fail(err, LAB_REFUSED, "Couldn't resolve host: %.*s: Name not known",
			LAB_VIEW_ARG(lab_view_sub(request->authority, 0, 100)));
	stats->reused = !limits->fresh_connection && take_idle(pool, &connection);
	if (!stats->reused &&
		connect_http(pool, request->tls, limits, self, &connection, err) < 0) {
		stats->connect_ns = host->world->now_ns - started;
		return -1;
	}
	stats->connect_ns = host->world->now_ns - started;
	stats->request_sent = true;
	started = host->world->now_ns;
	result = do_exchange(pool, self, &connection, request, limits, arena, ret, err);
	stats->response_ns = host->world->now_ns - started;
	return result;
}
