/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection and its three fibers.
 *
 * The keeper owns the life of the connection: it connects, does the handshake with blocking reads
 * of its own, starts the reader and the writer, sends heartbeats, and when the connection broke and
 * both have ended, waits (2 s, doubling, +-15 %: the C++ driver's exponential policy) and connects
 * again.
 */
#include "core/cql/cql-client-private.h"

#define READ_BYTES 16384
#define HANDSHAKE_ARENA_BYTES (1u << 20)

static struct env *env_of(struct cql_connection *c)
{
	return c->client->env;
}

static const char *host_of(const struct cql_connection *c)
{
	return c->client->settings.hosts[c->host];
}

/* ---- breaking ---- */

/* One connection of a client hears of nodes that come up. */
static void elect_control(struct cql_client *client)
{
	struct lab_view events[] = { LAB_VIEW("STATUS_CHANGE"), LAB_VIEW("TOPOLOGY_CHANGE"),
		LAB_VIEW("SCHEMA_CHANGE") };
	struct cql_request request = { .opcode = CQL_REGISTER,
		.events = { .items = events,
			.count = client->settings.discover ? LAB_COUNT_OF(events) : 1 } };
	for (unsigned i = 0; i < client->connection_count && client->control == NULL; i++) {
		if (client->connections[i].state != CQL_CONNECTION_READY)
			continue;
		client->control = &client->connections[i];
		(void)cql_connection_send_orphan(client->control, &request);
	}
}

static void tell_lost(struct cql_connection *c)
{
	for (size_t id = 0; id < c->next_id; id++) {
		struct cql_waiting *waiting = c->pending[id];
		c->pending[id] = NULL;
		if (waiting == NULL || waiting == &cql_orphan)
			continue;
		waiting->state = CQL_REQUEST_LOST;
		env_cond_signal(env_of(c), &waiting->cond);
	}
	c->free_count = 0;
	c->next_id = 0;
	c->in_flight = 0;
}

void cql_connection_break(struct cql_connection *c)
{
	if (c->state != CQL_CONNECTION_READY)
		return;
	c->state = CQL_CONNECTION_DOWN;
	c->client->ready--;
	env_stream_close(&c->stream);
	tell_lost(c);
	if (c->client->control == c) {
		c->client->control = NULL;
		elect_control(c->client);
	}
	env_cond_broadcast(env_of(c), &c->writer);
	env_cond_broadcast(env_of(c), &c->keeper);
	env_cond_broadcast(env_of(c), &c->client->changed);
}

/* ---- sending ---- */

bool cql_connection_is_busy(const struct cql_connection *c)
{
	return c->in_flight >= c->client->settings.streams_per_connection;
}

int cql_connection_send(struct cql_connection *c, const struct cql_request *request,
	struct cql_waiting *waiting, int16_t *ret_stream)
{
	int stream = cql_stream_take(c, waiting);
	if (stream < 0)
		return -1;
	size_t before = c->out.len;
	cql_request_encode(&c->out, c->version, (int16_t)stream, request);
	if (c->out.overflow) {
		/* What fitted of this frame is taken back; the frames before it stay. */
		c->out.len = before;
		c->out.overflow = false;
		(void)cql_stream_give(c, (int16_t)stream);
		return -1;
	}
	waiting->state = CQL_REQUEST_WAITING;
	c->sent_ns = env_now(env_of(c));
	*ret_stream = (int16_t)stream;
	env_cond_signal(env_of(c), &c->writer);
	return 0;
}

int cql_connection_wait(
	struct cql_run *run, struct cql_connection *c, struct cql_waiting *waiting, int16_t stream)
{
	while (waiting->state == CQL_REQUEST_WAITING) {
		if (cql_run_wait(run, &waiting->cond) == 0 || waiting->state != CQL_REQUEST_WAITING)
			continue;
		c->pending[stream] = &cql_orphan;
		return -1;
	}
	return 0;
}

bool cql_connection_send_orphan(struct cql_connection *c, const struct cql_request *request)
{
	int16_t stream;
	struct cql_waiting unused = { .state = CQL_REQUEST_WAITING };
	if (cql_connection_send(c, request, &unused, &stream) < 0)
		return false;
	c->pending[stream] = &cql_orphan;
	return true;
}

static void writer_fiber(void *arg)
{
	struct cql_connection *c = arg;
	struct lab_buf batch;
	lab_buf_init(&batch, env_of(c)->heap, c->client->settings.queue_max_bytes);
	while (c->state == CQL_CONNECTION_READY) {
		if (c->out.len == 0) {
			(void)env_cond_wait(env_of(c), &c->writer, ENV_FOREVER);
			continue;
		}
		/* Swapped, so that others can queue while this blocks. */
		struct lab_buf swap = batch;
		batch = c->out;
		c->out = swap;
		lab_buf_reset(&c->out);
		if (env_stream_write(c->stream, lab_buf_view(&batch), NULL) < 0)
			cql_connection_break(c);
	}
	lab_buf_done(&batch);
	c->fibers--;
	env_cond_broadcast(env_of(c), &c->keeper);
}

/* ---- receiving ---- */

/* A node came up: everybody who waits to reconnect to it does so now, as the C++ driver does. Hosts
 * that are configured by name cannot be told apart by address, so they all do. */
static void on_status_change(struct cql_client *client, const struct cql_event *event)
{
	if (!lab_view_eq_cstr(event->change, "UP"))
		return;
	for (unsigned i = 0; i < client->connection_count; i++) {
		struct cql_connection *c = &client->connections[i];
		uint8_t address[4];
		bool is_address = cql_inet_parse(lab_view_cstr(host_of(c)), address) == 0;
		if (is_address && event->node.size == 4 &&
			memcmp(address, event->node.address, 4) != 0)
			continue;
		if (c->state == CQL_CONNECTION_DOWN) {
			c->hurry = true;
			env_cond_signal(client->env, &c->keeper);
		}
	}
}

/* The ring or the schema changed. A node that left is dropped without asking. */
static void on_change(struct cql_client *client, const struct cql_event *event)
{
	if (lab_view_eq_cstr(event->type, "TOPOLOGY_CHANGE") &&
		lab_view_eq_cstr(event->change, "REMOVED_NODE") && event->node.size == 4)
		cql_topology_removed(client, event->node.address);
	cql_topology_wake(client);
}

static int on_event(struct cql_connection *c, const struct cql_frame *frame)
{
	struct cql_response response;
	struct lab_arena *arena = lab_arena_new(env_of(c)->heap, HANDSHAKE_ARENA_BYTES);
	int result = cql_response_decode(frame, arena, &response, NULL);
	if (result == 0 && response.opcode == CQL_EVENT &&
		lab_view_eq_cstr(response.event.type, "STATUS_CHANGE"))
		on_status_change(c->client, &response.event);
	else if (result == 0)
		on_change(c->client, &response.event);
	lab_arena_free(&arena);
	return result;
}

static int on_frame(struct cql_connection *c, const struct cql_frame *frame)
{
	if (!frame->header.response)
		return -1;
	if (frame->header.stream == CQL_EVENT_STREAM)
		return on_event(c, frame);
	struct cql_waiting *waiting = cql_stream_give(c, frame->header.stream);
	if (waiting == NULL)
		return -1;
	if (waiting == &cql_orphan)
		return 0;
	waiting->frame.header = frame->header;
	waiting->frame.body = lab_arena_copy(waiting->arena, frame->body);
	waiting->state = CQL_REQUEST_ANSWERED;
	env_cond_signal(env_of(c), &waiting->cond);
	return 0;
}

/* All complete frames of what has arrived. */
static int take_frames(struct cql_connection *c)
{
	struct lab_view rest = lab_buf_view(&c->in);
	struct cql_frame frame;
	size_t used;
	int more;
	while ((more = cql_frame_next(
			rest, c->client->settings.frame_max_bytes, &frame, &used, NULL)) == 1) {
		if (on_frame(c, &frame) < 0)
			return -1;
		rest = lab_view_skip(rest, used);
	}
	lab_buf_consume(&c->in, c->in.len - rest.len);
	return more;
}

static int read_some(struct cql_connection *c, uint64_t deadline_ns, struct lab_error *err)
{
	size_t n;
	void *space = lab_buf_reserve(&c->in, READ_BYTES);
	if (space == NULL)
		return lab_fail(err, LAB_LIMIT, "too long a frame");
	if (env_stream_read(c->stream, space, READ_BYTES, deadline_ns, &n, err) < 0)
		return -1;
	if (n == 0)
		return lab_fail(err, LAB_RESET, "Connection closed by the server");
	lab_buf_commit(&c->in, n);
	c->read_ns = env_now(env_of(c));
	return 0;
}

static void reader_fiber(void *arg)
{
	struct cql_connection *c = arg;
	while (c->state == CQL_CONNECTION_READY) {
		bool is_broken = take_frames(c) < 0;
		/* An event may have said that this very host left. */
		if (is_broken ||
			(c->state == CQL_CONNECTION_READY && read_some(c, ENV_FOREVER, NULL) < 0))
			cql_connection_break(c);
	}
	c->fibers--;
	env_cond_broadcast(env_of(c), &c->keeper);
}

/* ---- handshake ---- */

struct handshake {
	struct cql_connection *c;
	struct lab_arena *arena;
	uint64_t deadline_ns;
	struct cql_response response;
	struct lab_error *err;
};

static int exchange(struct handshake *h, const struct cql_request *request)
{
	struct cql_connection *c = h->c;
	struct cql_frame frame;
	size_t used;
	lab_buf_reset(&c->out);
	cql_request_encode(&c->out, c->version, 0, request);
	int result = env_stream_write(c->stream, lab_buf_view(&c->out), h->err);
	lab_buf_reset(&c->out);
	if (result < 0)
		return -1;
	while ((result = cql_frame_next(lab_buf_view(&c->in), c->client->settings.frame_max_bytes,
			&frame, &used, h->err)) == 0) {
		if (read_some(c, h->deadline_ns, h->err) < 0)
			return -1;
	}
	if (result < 0)
		return -1;
	frame.body = lab_arena_copy(h->arena, frame.body);
	lab_buf_consume(&c->in, used);
	return cql_response_decode(&frame, h->arena, &h->response, h->err);
}

/* What is wrong with an answer that is not the wanted one. */
static int unexpected(struct handshake *h, const char *request)
{
	if (h->response.opcode != CQL_ERROR) {
		return lab_fail(h->err, LAB_CORRUPT, "Unexpected answer %s to %s",
			cql_opcode_name((uint8_t)h->response.opcode), request);
	}
	const struct cql_error *e = &h->response.error;
	enum lab_code code = e->code == CQL_E_BAD_CREDENTIALS ? LAB_DENIED : LAB_UNAVAILABLE;
	int result = lab_fail(h->err, code, "%.*s", LAB_VIEW_ARG(e->message));
	if (h->err != NULL)
		h->err->status = (uint16_t)e->code;
	return result;
}

static int authenticate(struct handshake *h)
{
	const struct cql_settings *s = &h->c->client->settings;
	if (s->user == NULL || s->user[0] == '\0') {
		return lab_fail(
			h->err, LAB_DENIED, "Authentication required but no auth provider set");
	}
	struct lab_buf token;
	lab_buf_init(&token, env_of(h->c)->heap, 4096);
	lab_buf_append_byte(&token, 0);
	lab_buf_append_cstr(&token, s->user);
	lab_buf_append_byte(&token, 0);
	lab_buf_append_cstr(&token, s->password == NULL ? "" : s->password);
	struct cql_request request = { .opcode = CQL_AUTH_RESPONSE, .token = lab_buf_view(&token) };
	int result = token.overflow ? lab_fail(h->err, LAB_LIMIT, "The password is too long")
				    : exchange(h, &request);
	lab_buf_done(&token);
	if (result < 0)
		return -1;
	return h->response.opcode == CQL_AUTH_SUCCESS ? 0 : unexpected(h, "AUTH_RESPONSE");
}

static int start_up(struct handshake *h)
{
	struct cql_pair options[] = {
		{ LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") },
		{ LAB_VIEW("DRIVER_NAME"), LAB_VIEW("oboxlab") },
	};
	struct cql_request request = { .opcode = CQL_STARTUP,
		.options = { .items = options, .count = LAB_COUNT_OF(options) } };
	if (exchange(h, &request) < 0)
		return -1;
	if (h->response.opcode == CQL_AUTHENTICATE)
		return authenticate(h);
	return h->response.opcode == CQL_READY ? 0 : unexpected(h, "STARTUP");
}

static int use_keyspace(struct handshake *h)
{
	const char *keyspace = h->c->client->settings.keyspace;
	if (keyspace == NULL)
		return 0;
	struct cql_request request = { .opcode = CQL_QUERY,
		.query = lab_view_cstr(lab_arena_printf(h->arena, "USE %s", keyspace)),
		.params = { .consistency = CQL_LOCAL_ONE } };
	if (exchange(h, &request) < 0)
		return -1;
	return h->response.opcode == CQL_RESULT && h->response.kind == CQL_RESULT_SET_KEYSPACE
		       ? 0
		       : unexpected(h, "USE");
}

static int handshake(struct handshake *h)
{
	struct cql_request options = { .opcode = CQL_OPTIONS };
	if (exchange(h, &options) < 0)
		return -1;
	if (h->response.opcode != CQL_SUPPORTED)
		return unexpected(h, "OPTIONS");
	if (start_up(h) < 0)
		return -1;
	return use_keyspace(h);
}

/* Servers that do not speak a version say so in words that every driver looks for
 * (cql-imds 0, finding 1). */
static bool is_version_refused(const struct lab_error *err)
{
	return err->status == CQL_E_PROTOCOL &&
	       lab_view_find(lab_view_cstr(err->message),
		       LAB_VIEW("Invalid or unsupported protocol version")) != SIZE_MAX;
}

static bool may_step_down(const struct cql_client *client)
{
	return client->settings.protocol_version == 0 && client->version > CQL_VERSION_MIN;
}

static int connect_stream(struct cql_connection *c, uint64_t deadline_ns, struct lab_error *err)
{
	const struct cql_settings *s = &c->client->settings;
	return s->use_tls
		       ? env_connect_tls(env_of(c), host_of(c), s->port, &s->tls, deadline_ns,
				 &c->stream, err)
		       : env_connect(env_of(c), host_of(c), s->port, deadline_ns, &c->stream, err);
}

static int connect_once(struct cql_connection *c, struct lab_error *err)
{
	struct cql_client *client = c->client;
	uint64_t deadline = env_now(env_of(c)) + client->settings.connect_timeout_ns;
	struct handshake h = { .c = c, .deadline_ns = deadline, .err = err };
	c->version = client->version;
	lab_buf_reset(&c->in);
	lab_buf_reset(&c->out);
	if (connect_stream(c, deadline, err) < 0)
		return -1;
	h.arena = lab_arena_new(env_of(c)->heap, HANDSHAKE_ARENA_BYTES);
	int result = handshake(&h);
	lab_arena_free(&h.arena);
	if (result < 0)
		env_stream_close(&c->stream);
	return result;
}

static int connect_any_version(struct cql_connection *c, struct lab_error *err)
{
	if (connect_once(c, err) == 0)
		return 0;
	if (may_step_down(c->client) && is_version_refused(err)) {
		c->client->version = CQL_VERSION_MIN;
		return connect_once(c, err);
	}
	return -1;
}

/* ---- keeping ---- */

static void came_up(struct cql_connection *c)
{
	struct cql_client *client = c->client;
	c->state = CQL_CONNECTION_READY;
	c->failures = 0;
	c->read_ns = c->sent_ns = env_now(env_of(c));
	client->ready++;
	if (client->control == NULL)
		elect_control(client);
	cql_topology_wake(client);
	cql_prepare_on_up(c);
	if (c->was_ready) {
		ENV_EVENT(env_of(c), LAB_EV_cassandra_reconnected,
			LAB_F_CSTR("dest_host", host_of(c)), LAB_F_U64("connection", c->index));
	}
	c->was_ready = true;
}

static int start_fibers(struct cql_connection *c, struct lab_error *err)
{
	came_up(c);
	if (env_spawn(env_of(c), "cql-reader", reader_fiber, c, err) == 0) {
		c->fibers++;
		if (env_spawn(env_of(c), "cql-writer", writer_fiber, c, err) == 0) {
			c->fibers++;
			return 0;
		}
	}
	cql_connection_break(c);
	return -1;
}

static uint64_t after(uint64_t since_ns, uint64_t interval_ns)
{
	return interval_ns > ENV_FOREVER - since_ns ? ENV_FOREVER : since_ns + interval_ns;
}

/* OPTIONS when nothing was written for a while; the end when nothing came for longer. Without
 * heartbeats there is no end, or an idle client would lose its connections. */
static void heartbeat(struct cql_connection *c)
{
	const struct cql_settings *s = &c->client->settings;
	uint64_t now = env_now(env_of(c));
	uint64_t due = after(c->sent_ns, s->heartbeat_interval_ns);
	uint64_t end =
		s->idle_timeout_ns == 0 ? ENV_FOREVER : after(c->read_ns, s->idle_timeout_ns);
	if (s->heartbeat_interval_ns == 0)
		due = end = ENV_FOREVER;
	if (now >= end) {
		(void)lab_fail(&c->client->last_error, LAB_TIMEOUT,
			"Failed to send a heartbeat within connection idle interval. "
			"Terminating connection...");
		cql_connection_break(c);
	} else if (now >= due) {
		struct cql_request options = { .opcode = CQL_OPTIONS };
		c->sent_ns = now; /* also if there was no room: not again at once */
		(void)cql_connection_send_orphan(c, &options);
	} else {
		(void)env_cond_wait(env_of(c), &c->keeper, LAB_MIN(due, end));
	}
}

static void live(struct cql_connection *c)
{
	while (c->state == CQL_CONNECTION_READY && !c->client->closing)
		heartbeat(c);
	cql_connection_break(c);
	while (c->fibers > 0)
		(void)env_cond_wait(env_of(c), &c->keeper, ENV_FOREVER);
	c->failures++;
}

/* 2 s, 4 s, 8 s... within 15 %. */
static uint64_t reconnect_delay(struct cql_connection *c)
{
	const struct cql_settings *s = &c->client->settings;
	uint64_t ns = s->reconnect_base_ns;
	for (unsigned i = 1; i < c->failures && ns < s->reconnect_max_ns; i++)
		ns *= 2;
	uint64_t ordinal = (uint64_t)c->host << 40 | (uint64_t)c->index << 32 | c->attempts++;
	uint64_t percent = lab_pick_range(env_draw(env_of(c), "cql.reconnect", ordinal), 85, 115);
	return LAB_MIN(ns, s->reconnect_max_ns) / 100 * percent;
}

static void wait_to_reconnect(struct cql_connection *c)
{
	uint64_t deadline = after(env_now(env_of(c)), reconnect_delay(c));
	c->hurry = false;
	while (!c->client->closing && !c->hurry && !cql_host_is_gone(c->client, c->host) &&
		env_cond_wait(env_of(c), &c->keeper, deadline) == 0)
		continue;
}

static void attempt_failed(struct cql_connection *c, const struct lab_error *err)
{
	c->client->last_error = *err;
	c->failures++;
	c->client->connection_timeouts += err->code == LAB_TIMEOUT ? 1 : 0;
	cql_log(c->client, CQL_LOG_WARN,
		"Connection pool was unable to %s to host %s because of the following error: %s",
		c->was_ready ? "reconnect" : "connect", host_of(c), err->message);
}

/* The host left the ring. */
static void rest(struct cql_connection *c)
{
	c->rests = true;
	while (cql_host_is_gone(c->client, c->host) && !c->client->closing)
		(void)env_cond_wait(env_of(c), &c->keeper, ENV_FOREVER);
	c->rests = false;
}

static void keeper_fiber(void *arg)
{
	struct cql_connection *c = arg;
	struct cql_client *client = c->client;
	while (!client->closing) {
		struct lab_error err = { .code = LAB_OK };
		if (cql_host_is_gone(client, c->host)) {
			rest(c);
			continue;
		}
		c->state = CQL_CONNECTION_TRYING;
		int result = connect_any_version(c, &err);
		c->tried = true;
		c->state = CQL_CONNECTION_DOWN;
		if (cql_host_is_gone(client, c->host)) {
			env_stream_close(&c->stream);
			continue;
		}
		if (result == 0)
			result = start_fibers(c, &err);
		env_cond_broadcast(client->env, &client->changed);
		if (result < 0)
			attempt_failed(c, &err);
		if (c->stream != NULL || c->fibers > 0)
			live(c);
		wait_to_reconnect(c);
	}
	client->keepers--;
	env_cond_broadcast(client->env, &client->idle);
}

void cql_connection_init(struct cql_connection *c)
{
	struct lab_heap *heap = env_of(c)->heap;
	const struct cql_settings *s = &c->client->settings;
	lab_buf_init(&c->in, heap, s->frame_max_bytes + CQL_HEADER_BYTES + READ_BYTES);
	lab_buf_init(&c->out, heap, s->queue_max_bytes);
}

int cql_connection_start(struct cql_connection *c, struct lab_error *err)
{
	if (env_spawn(env_of(c), "cql-keeper", keeper_fiber, c, err) < 0)
		return -1;
	c->client->keepers++;
	return 0;
}

void cql_connection_done(struct cql_connection *c)
{
	struct lab_heap *heap = env_of(c)->heap;
	lab_buf_done(&c->in);
	lab_buf_done(&c->out);
	lab_heap_free(heap, c->pending);
	lab_heap_free(heap, c->free_ids);
}
