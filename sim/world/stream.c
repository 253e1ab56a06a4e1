/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c - byte streams between a host's fibers and a service.
 *
 * Each direction is a queue of bytes and of segments: each segment arrives at its time, never
 * before the one in front of it. Over a broken path the first segment is sent again and again, as
 * TCP does, until the path is whole or `stream_dead_ns` is over.
 *
 * A stream is freed when the client's side is over (closed, or crashed), the service's side is over
 * (it reset, or got its closed()), no segment is pending and no fiber is inside.
 */
#include "sim/world/world-private.h"

#define WINDOW_BYTES ((size_t)256 << 10) /* sent and not yet delivered, client to service */
#define SEGMENT_BYTES ((size_t)64 << 10)
#define UNREAD_MAX ((size_t)64 << 20) /* more from the service, unread: the stream is reset */

enum segment_kind {
	SEGMENT_DATA,
	SEGMENT_END, /* orderly */
	SEGMENT_RESET
};
struct segment {
	uint64_t arrival_ns; /* or when the one before it arrived, if that is later */
	size_t bytes;
	enum segment_kind kind;
};

struct direction {
	struct world_stream *stream;
	struct world_node *from, *to;
	void (*deliver)(struct world_stream *stream, const struct segment *segment);
	uint8_t *data; /* a ring would save moves; these queues are short */
	size_t head, len, capacity;
	struct segment *segments; /* ring */
	uint32_t segment_head, segment_count, segment_capacity;
	uint64_t messages; /* ordinal for latencies and cuts */
	uint64_t blocked_since_ns;
	unsigned attempts;
	world_timer timer;
};

struct world_stream {
	struct env_stream base;
	struct world_stream *next, *prev;
	struct world *world;
	struct world_host *host;
	uint32_t boots;
	struct world_endpoint *endpoint;
	uint64_t id;
	/* The client's side. */
	struct world_fiber *connector, *reader, *writer;
	size_t arrived; /* of down.data: readable */
	bool is_connected, is_refused;
	bool peer_ended, peer_reset;
	bool client_gone;
	bool is_tls;
	unsigned users; /* fibers inside read or write */
	/* The service's side. */
	void *connection; /* NULL: over */
	bool service_ended, service_reset, is_overrun;
	world_timer handshake; /* or the event of an overrun */
	unsigned attempts;
	uint64_t reads;
	struct direction up, down;
};

/* ---- life ---- */

static void unlink_stream(struct world_stream *stream)
{
	if (stream->prev == NULL)
		stream->world->streams = stream->next;
	else
		stream->prev->next = stream->next;
	if (stream->next != NULL)
		stream->next->prev = stream->prev;
}

static void maybe_free(struct world_stream *stream)
{
	struct lab_heap *heap = stream->world->heap;

	if (!stream->client_gone || stream->connection != NULL || stream->users > 0 ||
		stream->handshake != 0 || stream->connector != NULL ||
		stream->up.segment_count > 0 || stream->down.segment_count > 0)
		return;
	unlink_stream(stream);
	lab_heap_free(heap, stream->up.data);
	lab_heap_free(heap, stream->up.segments);
	lab_heap_free(heap, stream->down.data);
	lab_heap_free(heap, stream->down.segments);
	lab_heap_free(heap, stream);
}

static void wake_fiber(struct world_fiber **fiber)
{
	struct world_fiber *woken = *fiber;

	if (woken == NULL)
		return;
	*fiber = NULL;
	world_unpark(woken);
}

static void wake_users(struct world_stream *stream)
{
	wake_fiber(&stream->reader);
	wake_fiber(&stream->writer);
}

/* Tells the service that the connection is over, if it does not know. */
static void close_service_side(struct world_stream *stream)
{
	void *connection = stream->connection;

	if (connection == NULL)
		return;
	stream->connection = NULL;
	stream->endpoint->stream_ops->closed(connection, stream->world->now_ns);
	world_rearm(stream->endpoint->backend);
}

/* ---- directions ---- */

static void append_bytes(struct direction *direction, struct lab_view data)
{
	struct lab_heap *heap = direction->stream->world->heap;

	if (direction->head > 0 && direction->head >= direction->len) {
		memmove(direction->data, direction->data + direction->head, direction->len);
		direction->head = 0;
	}
	if (direction->head + direction->len + data.len > direction->capacity) {
		direction->capacity =
			LAB_MAX((size_t)4096, 2 * (direction->head + direction->len + data.len));
		direction->data = lab_heap_realloc(heap, direction->data, direction->capacity);
	}
	memcpy(direction->data + direction->head + direction->len, data.ptr, data.len);
	direction->len += data.len;
}

static void consume_bytes(struct direction *direction, size_t n)
{
	direction->len -= n;
	direction->head = direction->len == 0 ? 0 : direction->head + n;
}

static void segments_grow(struct direction *direction)
{
	struct lab_heap *heap = direction->stream->world->heap;
	uint32_t capacity = direction->segment_capacity == 0 ? 8 : direction->segment_capacity * 2;
	struct segment *ring = lab_new_array(heap, struct segment, capacity);

	for (uint32_t i = 0; i < direction->segment_count; i++)
		ring[i] = direction->segments[(direction->segment_head + i) &
					      (direction->segment_capacity - 1)];
	lab_heap_free(heap, direction->segments);
	direction->segments = ring;
	direction->segment_head = 0;
	direction->segment_capacity = capacity;
}

static void on_arrival(void *ctx);

static void arm(struct direction *direction)
{
	struct world *world = direction->stream->world;

	if (direction->timer == 0 && direction->segment_count > 0)
		direction->timer = world_post(world, NULL,
			direction->segments[direction->segment_head].arrival_ns, on_arrival,
			direction);
}

static void send_segment(struct direction *direction, enum segment_kind kind, struct lab_view data)
{
	struct world *world = direction->stream->world;
	uint64_t arrival = world->now_ns + world_delay(world, direction->from, direction->to,
						   direction->messages++, data.len);

	if (data.len > 0)
		append_bytes(direction, data);
	if (direction->segment_count == direction->segment_capacity)
		segments_grow(direction);
	direction->segments[(direction->segment_head + direction->segment_count++) &
			    (direction->segment_capacity - 1)] =
		(struct segment){ .arrival_ns = arrival, .bytes = data.len, .kind = kind };
	arm(direction);
}

/* Both ends notice that the path is dead. */
static void give_up(struct world_stream *stream)
{
	world_cancel(stream->world, &stream->up.timer);
	world_cancel(stream->world, &stream->down.timer);
	stream->up.segment_count = stream->down.segment_count = 0;
	stream->up.len = 0;
	stream->down.len = stream->arrived;
	stream->peer_reset = true;
	wake_users(stream);
	close_service_side(stream);
	maybe_free(stream);
}

static void retry_later(struct direction *direction)
{
	struct world *world = direction->stream->world;

	if (direction->attempts == 0)
		direction->blocked_since_ns = world->now_ns;
	if (world->now_ns - direction->blocked_since_ns >= world->settings.stream_dead_ns) {
		give_up(direction->stream);
		return;
	}
	direction->timer = world_post(world, NULL,
		world->now_ns + world_resend_after(direction->attempts++), on_arrival, direction);
}

static void on_arrival(void *ctx)
{
	struct direction *direction = ctx;
	struct world_stream *stream = direction->stream;
	struct segment segment = direction->segments[direction->segment_head];

	direction->timer = 0;
	if (world_is_cut(stream->world, direction->from, direction->to)) {
		retry_later(direction);
		return;
	}
	direction->attempts = 0;
	direction->segment_head = (direction->segment_head + 1) & (direction->segment_capacity - 1);
	direction->segment_count--;
	arm(direction);
	stream->world->counters.stream_chunks++;
	direction->deliver(stream, &segment);
}

/* ---- from the service to the client ---- */

static void deliver_down(struct world_stream *stream, const struct segment *segment)
{
	stream->arrived += segment->bytes;
	if (stream->client_gone) {
		consume_bytes(&stream->down, segment->bytes);
		stream->arrived = 0;
	}
	if (segment->kind == SEGMENT_END)
		stream->peer_ended = true;
	if (segment->kind == SEGMENT_RESET)
		stream->peer_reset = true;
	if (stream->peer_reset)
		wake_fiber(&stream->writer);
	wake_fiber(&stream->reader);
	/* It said goodbye, and everything was sent: now its side is over, too. */
	if (segment->kind == SEGMENT_END)
		close_service_side(stream);
	maybe_free(stream);
}

static void on_overrun(void *ctx)
{
	struct world_stream *stream = ctx;

	stream->handshake = 0;
	give_up(stream);
}

/* The client does not read what it asked for. In an event of its own: the service is running. */
static void check_overrun(struct world_stream *stream)
{
	if (stream->down.len <= UNREAD_MAX || stream->is_overrun || !stream->is_connected)
		return;
	stream->is_overrun = true;
	stream->handshake =
		world_post(stream->world, NULL, stream->world->now_ns, on_overrun, stream);
}

static void on_output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct world_stream *stream = ctx;

	lab_assert(!stream->service_ended);
	while (data.len > 0) {
		struct lab_view part = lab_view_sub(data, 0, SEGMENT_BYTES);

		send_segment(&stream->down, SEGMENT_DATA, part);
		data = lab_view_skip(data, part.len);
	}
	check_overrun(stream);
	if (wire == SIM_WIRE_ANSWER)
		return;
	stream->service_ended = true;
	if (wire == SIM_WIRE_RESET) {
		stream->service_reset = true;
		stream->connection = NULL;
		send_segment(&stream->down, SEGMENT_RESET, (struct lab_view){ 0 });
	} else {
		lab_assert(wire == SIM_WIRE_ANSWER_CLOSE);
		send_segment(&stream->down, SEGMENT_END, (struct lab_view){ 0 });
	}
}

/* ---- from the client to the service ---- */

/* Its bytes are no TLS, but should be. */
static bool is_garbage(const struct world_stream *stream)
{
	return stream->endpoint->settings.tls.on && !stream->is_tls;
}

static void input_part(struct world_stream *stream, const uint8_t *data, size_t n)
{
	if (stream->connection == NULL || stream->service_ended || n == 0)
		return;
	stream->endpoint->stream_ops->input(
		stream->connection, lab_view_of(data, n), stream->world->now_ns);
}

/* Where to cut `n` bytes in two; n: nowhere. */
static size_t draw_cut(struct world_stream *stream, const char *purpose, uint64_t ordinal, size_t n)
{
	struct world *world = stream->world;
	uint64_t draw;

	if (n < 2 || world->settings.stream_split_ppm == 0)
		return n;
	draw = lab_draw(world->settings.seed, purpose,
		lab_hash_fold(stream->host->node.key, stream->id), ordinal);
	if (!lab_chance(draw, world->settings.stream_split_ppm))
		return n;
	return (size_t)lab_pick_range(lab_mix64(draw), 1, n - 1);
}

static void deliver_data_up(struct world_stream *stream, size_t n)
{
	struct direction *up = &stream->up;
	size_t cut;

	if (is_garbage(stream))
		close_service_side(stream);
	cut = draw_cut(stream, "stream.input", up->messages, n);

	/* Nothing appends while the service runs: only the client writes, and it is not running. */
	input_part(stream, up->data + up->head, cut);
	input_part(stream, up->data + up->head + cut, n - cut);
	consume_bytes(up, n);
	if (stream->connection == NULL && !stream->peer_reset)
		send_segment(&stream->down, SEGMENT_RESET, (struct lab_view){ 0 });
	if (up->len < WINDOW_BYTES)
		wake_fiber(&stream->writer);
	world_rearm(stream->endpoint->backend);
}

static void deliver_up(struct world_stream *stream, const struct segment *segment)
{
	if (segment->kind == SEGMENT_DATA)
		deliver_data_up(stream, segment->bytes);
	else
		close_service_side(stream);
	maybe_free(stream);
}

/* ---- handshake ---- */

static void on_syn(void *ctx);

/* Nobody waits for the connection any more. */
static bool is_abandoned(const struct world_stream *stream)
{
	return stream->client_gone || !stream->host->is_up || stream->host->boots != stream->boots;
}

static void abandon(struct world_stream *stream)
{
	stream->client_gone = true;
	stream->connector = NULL;
	if (stream->connection != NULL)
		send_segment(&stream->up, SEGMENT_RESET, (struct lab_view){ 0 });
	maybe_free(stream);
}

static bool handshake_lost(struct world_stream *stream, const struct world_node *from,
	const struct world_node *to, world_action_fn again)
{
	struct world *world = stream->world;

	if (!world_is_cut(world, from, to))
		return false;
	stream->handshake = world_post(world, NULL,
		world->now_ns + (LAB_SEC << LAB_MIN(stream->attempts, 6U)), again, stream);
	stream->attempts++;
	return true;
}

static void on_synack(void *ctx)
{
	struct world_stream *stream = ctx;

	stream->handshake = 0;
	if (is_abandoned(stream)) {
		abandon(stream);
		return;
	}
	if (handshake_lost(stream, &stream->endpoint->node, &stream->host->node, on_synack))
		return;
	stream->is_connected = true;
	wake_fiber(&stream->connector);
}

static void accept_stream(struct world_stream *stream)
{
	struct world_endpoint *endpoint = stream->endpoint;
	struct sim_peer peer = {
		.name = stream->host->node.name,
		.zone = lab_view_cstr(stream->host->env.zone),
		.hops = stream->host->settings.hops,
		.connection = stream->id,
	};
	void *connection;

	if (endpoint->node.down_count > 0) {
		stream->is_refused = true;
		return;
	}
	connection = endpoint->stream_ops->accept(endpoint->backend->service, endpoint->node.name,
		&peer, stream->world->now_ns, on_output, stream);
	stream->is_refused = connection == NULL;
	/* It may have reset the connection while it accepted it. */
	stream->connection = stream->service_reset ? NULL : connection;
	world_rearm(endpoint->backend);
}

static void on_syn(void *ctx)
{
	struct world_stream *stream = ctx;
	struct world *world = stream->world;
	const struct world_node *client = &stream->host->node, *server = &stream->endpoint->node;

	stream->handshake = 0;
	if (is_abandoned(stream)) {
		abandon(stream);
		return;
	}
	if (handshake_lost(stream, client, server, on_syn))
		return;
	accept_stream(stream);
	stream->attempts = 0;
	stream->handshake = world_post(world, NULL,
		world->now_ns + world_delay(world, server, client, stream->down.messages++, 0),
		on_synack, stream);
}

static const struct env_stream_ops stream_ops;

static struct world_stream *make_stream(struct world_host *host, struct world_endpoint *endpoint)
{
	struct world *world = host->world;
	struct world_stream *stream = lab_new(world->heap, struct world_stream);

	stream->base = (struct env_stream){ .ops = &stream_ops, .env = &host->env };
	stream->world = world;
	stream->host = host;
	stream->boots = host->boots;
	stream->endpoint = endpoint;
	stream->id = ++world->last_connection;
	stream->up = (struct direction){
		.stream = stream, .from = &host->node, .to = &endpoint->node, .deliver = deliver_up
	};
	stream->down = (struct direction){ .stream = stream,
		.from = &endpoint->node,
		.to = &host->node,
		.deliver = deliver_down };
	/* Another connection of the same pair draws other latencies. */
	stream->up.messages = stream->down.messages = host->stream_ordinal++ << 32;
	stream->next = world->streams;
	if (world->streams != NULL)
		world->streams->prev = stream;
	world->streams = stream;
	return stream;
}

static int connect_failed(
	struct world_stream *stream, const char *host, uint16_t port, struct lab_error *err)
{
	bool is_refused = stream->is_connected;

	abandon(stream);
	(void)lab_fail(err, is_refused ? LAB_REFUSED : LAB_TIMEOUT, "connect(%.100s:%u) failed: %s",
		host, port, is_refused ? "Connection refused" : "Timed out");
	if (err != NULL)
		err->retryable = true;
	return -1;
}

int world_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err)
{
	struct world_host *self_host = world_host_of(env);
	struct world *world = self_host->world;
	struct world_fiber *self = world_self(self_host);
	struct world_stream *stream;
	struct world_endpoint *endpoint;
	bool is_known;

	endpoint = world_stream_endpoint(world, host, port, &is_known);
	if (endpoint == NULL)
		return lab_fail(err, is_known ? LAB_REFUSED : LAB_NOT_FOUND,
			"connect(%.100s:%u) failed: %s", host, port,
			is_known ? "Connection refused" : "Name not known");
	world->counters.stream_connects++;
	stream = make_stream(self_host, endpoint);
	stream->connector = self;
	stream->handshake = world_post(world, NULL,
		world->now_ns + world_delay(world, &self_host->node, &endpoint->node,
					stream->up.messages++, 0),
		on_syn, stream);
	(void)world_park(self, deadline_ns);
	stream->connector = NULL;
	if (!stream->is_connected || stream->is_refused)
		return connect_failed(stream, host, port, err);
	*ret = &stream->base;
	return 0;
}

/* ---- reading, writing, closing ---- */

static struct world_stream *stream_of(struct env_stream *stream)
{
	return (struct world_stream *)(void *)stream;
}

static int leave(struct world_stream *stream, int result)
{
	stream->users--;
	maybe_free(stream);
	return result;
}

static size_t take_arrived(struct world_stream *stream, void *data, size_t size)
{
	size_t n = LAB_MIN(size, stream->arrived);

	n = draw_cut(stream, "stream.read", stream->reads++, n);
	memcpy(data, stream->down.data + stream->down.head, n);
	consume_bytes(&stream->down, n);
	stream->arrived -= n;
	return n;
}

/* 1: something to say, in *ret_n or as an error; 0: nothing yet. */
static int try_read(struct world_stream *stream, void *data, size_t size, size_t *ret_n)
{
	if (stream->client_gone)
		return -1;
	if (stream->arrived > 0) {
		*ret_n = take_arrived(stream, data, size);
		return 1;
	}
	if (stream->peer_reset)
		return -1;
	if (stream->peer_ended) {
		*ret_n = 0;
		return 1;
	}
	return 0;
}

static int stream_read(struct env_stream *base, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	struct world_stream *stream = stream_of(base);
	struct world_fiber *self = world_self(stream->host);
	int result;

	lab_assert(stream->reader == NULL);
	stream->users++;
	while ((result = try_read(stream, data, size, ret_n)) == 0) {
		stream->reader = self;
		if (world_park(self, deadline_ns) == 0)
			continue;
		stream->reader = NULL;
		return leave(stream, lab_fail(err, LAB_TIMEOUT, "read() timed out"));
	}
	if (result < 0)
		result = lab_fail(err, LAB_RESET, "read() failed: Connection reset by peer");
	return leave(stream, result < 0 ? -1 : 0);
}

static bool is_writable(const struct world_stream *stream)
{
	return !stream->client_gone && !stream->peer_reset;
}

static int stream_write(struct env_stream *base, struct lab_view data, struct lab_error *err)
{
	struct world_stream *stream = stream_of(base);
	struct world_fiber *self = world_self(stream->host);

	lab_assert(stream->writer == NULL);
	stream->users++;
	while (data.len > 0 && is_writable(stream)) {
		size_t room = WINDOW_BYTES - LAB_MIN(stream->up.len, WINDOW_BYTES);
		struct lab_view part = lab_view_sub(data, 0, LAB_MIN(room, SEGMENT_BYTES));

		if (part.len > 0) {
			send_segment(&stream->up, SEGMENT_DATA, part);
			data = lab_view_skip(data, part.len);
			continue;
		}
		stream->writer = self;
		(void)world_park(self, ENV_FOREVER);
	}
	if (!is_writable(stream))
		return leave(stream,
			lab_fail(err, LAB_RESET, "write() failed: Connection reset by peer"));
	return leave(stream, 0);
}

static void stream_close(struct env_stream *base)
{
	struct world_stream *stream = stream_of(base);

	stream->client_gone = true;
	wake_users(stream);
	consume_bytes(&stream->down, stream->arrived);
	stream->arrived = 0;
	if (stream->connection != NULL)
		send_segment(&stream->up, SEGMENT_END, (struct lab_view){ 0 });
	maybe_free(stream);
}

static const struct env_stream_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.close = stream_close,
};

/* ---- TLS ---- */

uint64_t world_stream_round_trip(struct env_stream *base, size_t up_bytes, size_t down_bytes)
{
	struct world_stream *stream = stream_of(base);
	struct world_node *client = &stream->host->node, *server = &stream->endpoint->node;
	unsigned attempts = 0;
	uint64_t waited_ns = 0;

	/* Resent while the path is broken now: as long as TCP would try. */
	while (waited_ns < stream->world->settings.stream_dead_ns &&
		(world_is_cut(stream->world, client, server) ||
			world_is_cut(stream->world, server, client)))
		waited_ns += world_resend_after(attempts++);
	return waited_ns +
	       world_delay(stream->world, client, server, stream->up.messages++, up_bytes) +
	       world_delay(stream->world, server, client, stream->down.messages++, down_bytes);
}

bool world_stream_is_reset(const struct env_stream *base)
{
	return ((const struct world_stream *)(const void *)base)->peer_reset;
}

void world_stream_begin_tls(struct env_stream *stream)
{
	stream_of(stream)->is_tls = true;
}

/* ---- crashes ---- */

void world_streams_crashed(struct world *world, struct world_host *host, uint32_t boots)
{
	struct world_stream *next;

	for (struct world_stream *stream = world->streams; stream != NULL; stream = next) {
		next = stream->next;
		if (stream->host != host || stream->boots != boots)
			continue;
		stream->users = 0;
		stream->reader = stream->writer = NULL;
		stream->arrived = 0;
		abandon(stream);
	}
}

void world_streams_node_down(struct world *world, struct world_endpoint *endpoint)
{
	struct world_stream *next;

	for (struct world_stream *stream = world->streams; stream != NULL; stream = next) {
		next = stream->next;
		if (stream->endpoint != endpoint || stream->connection == NULL)
			continue;
		close_service_side(stream);
		send_segment(&stream->down, SEGMENT_RESET, (struct lab_view){ 0 });
	}
}
