/* SPDX-License-Identifier: Apache-2.0
 *
 * http-read.c - bytes to requests. What arrives in one piece is parsed where it was read and given
 * to the service from there; only what is incomplete is kept.
 */
#include "sim/front-end/http-front-end-private.h"

/* ---- refusing ---- */

void http_refuse(struct http_connection *connection, enum sim_http_refusal why)
{
	struct http_front_end *front_end = connection->front_end;
	const struct sim_http_ops *ops = front_end->service.ops;
	struct http_exchange *exchange = connection->exchange;

	if (exchange == NULL) {
		struct http_head *head;

		exchange = connection->exchange = http_exchange_new(connection);
		head = &exchange->head;
		/* Nothing is known about it but that it is not empty. */
		head->request = (struct lab_http_request){ .headers.count = 0 };
		head->version_1_0 = head->keep_alive = head->close = false;
	}
	exchange->refused = true;
	connection->state = HTTP_PENDING;
	http_timer_set(connection, HTTP_TIMER_NONE);
	front_end->stats.refused++;
	front_end->stats.pending++;
	exchange->head.request.body = lab_view_of(NULL, 0);
	if (ops->refuse == NULL) {
		http_reply_refusal(exchange, why);
		return;
	}
	http_advance(front_end);
	ops->refuse(front_end->service.service, why, &exchange->head.request, &connection->peer,
		front_end->now_ns, http_reply, exchange);
}

/* ---- submitting ---- */

static void submit(struct http_connection *connection, struct lab_view body)
{
	struct http_front_end *front_end = connection->front_end;
	struct http_exchange *exchange = connection->exchange;

	exchange->head.request.body = body;
	connection->state = HTTP_PENDING;
	http_timer_set(connection, HTTP_TIMER_NONE);
	front_end->stats.requests++;
	front_end->stats.pending++;
	/* In the order of time: what was due before this request comes before it. */
	http_advance(front_end);
	front_end->service.ops->submit(front_end->service.service, &exchange->head.request,
		&connection->peer, front_end->now_ns, http_reply, exchange);
}

/* ---- bodies ---- */

/* Why this head's body is not wanted; SIM_REFUSE_COUNT if it is. */
static enum sim_http_refusal judge_body(
	struct http_connection *connection, const struct http_head *head)
{
	const struct http_front_end *front_end = connection->front_end;
	struct lab_view method = head->request.method;

	if (head->length > front_end->settings.body_max_bytes)
		return SIM_REFUSE_BODY;
	if (front_end->service.ops->length_required && !head->has_length && !head->chunked &&
		(lab_view_eq_cstr(method, "PUT") || lab_view_eq_cstr(method, "POST")))
		return SIM_REFUSE_NO_LENGTH;
	return SIM_REFUSE_COUNT;
}

static void body_wait(struct http_connection *connection)
{
	connection->progress = connection->exchange->body.len;
	http_timer_set(connection, HTTP_TIMER_BODY);
}

/* The body comes later: what the head says must outlive the bytes that it was read from. */
static void body_begin(struct http_connection *connection, struct lab_view text, bool any_came)
{
	struct http_exchange *exchange = connection->exchange;
	struct http_head *head = &exchange->head;
	enum sim_http_refusal why;

	lab_buf_append_view(&exchange->head_text, text);
	lab_assert(!exchange->head_text.overflow);
	lab_assert(http_head_parse(lab_buf_view(&exchange->head_text), head, &why) == 0);
	if (!http_claim(connection->front_end, (size_t)head->length, &exchange->claimed)) {
		http_refuse(connection, SIM_REFUSE_MEMORY);
		return;
	}
	if (head->length > 0)
		(void)lab_buf_reserve(&exchange->body, (size_t)head->length);
	exchange->chunks = (struct http_chunks){ HTTP_CHUNK_SIZE, 0 };
	connection->state = HTTP_BODY;
	body_wait(connection);
	if (head->expects && !any_came && !head->version_1_0)
		http_say_continue(connection);
}

static void body_came(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->exchange;

	if (exchange->body.len == exchange->head.length)
		submit(connection, lab_buf_view(&exchange->body));
	else if (exchange->body.len - connection->progress >= HTTP_PROGRESS_BYTES)
		body_wait(connection);
}

/* Keeps a piece of a chunked body or its trailers. -1: refused. */
static int chunk_keep(struct http_connection *connection, struct lab_view piece, bool trailer)
{
	struct http_exchange *exchange = connection->exchange;
	struct http_front_end *front_end = connection->front_end;

	if (trailer) {
		lab_buf_append_view(&exchange->trailers, piece);
		if (!exchange->trailers.overflow)
			return 0;
		http_refuse(connection, SIM_REFUSE_HEADERS);
		return -1;
	}
	if (piece.len > front_end->settings.body_max_bytes - exchange->body.len) {
		http_refuse(connection, SIM_REFUSE_BODY);
		return -1;
	}
	if (!http_claim(front_end, piece.len, &exchange->claimed)) {
		http_refuse(connection, SIM_REFUSE_MEMORY);
		return -1;
	}
	lab_buf_append_view(&exchange->body, piece);
	return 0;
}

static void chunks_end(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->exchange;
	enum sim_http_refusal why;

	if (http_trailers_parse(
		    lab_buf_view(&exchange->trailers), &exchange->head.request.headers, &why) < 0)
		http_refuse(connection, why);
	else
		submit(connection, lab_buf_view(&exchange->body));
}

/* How many of the bytes it took. */
static size_t take_chunks(struct http_connection *connection, struct lab_view data)
{
	struct http_exchange *exchange = connection->exchange;
	struct http_chunks *chunks = &exchange->chunks;
	struct lab_view rest = data, piece;
	int rc = 0;

	while (chunks->state != HTTP_CHUNK_DONE) {
		bool trailer = chunks->state == HTTP_CHUNK_TRAILERS;

		rc = http_chunks_next(chunks, &rest, &piece);
		if (rc != 0)
			break;
		if (chunk_keep(connection, piece, trailer) < 0)
			return data.len;
	}
	if (rc < 0) {
		http_refuse(connection, SIM_REFUSE_MALFORMED);
		return data.len;
	}
	if (rc == 0)
		chunks_end(connection);
	else if (exchange->body.len - connection->progress >= HTTP_PROGRESS_BYTES)
		body_wait(connection);
	return data.len - rest.len;
}

static size_t take_body(struct http_connection *connection, struct lab_view data)
{
	struct http_exchange *exchange = connection->exchange;
	size_t count;

	if (exchange->head.chunked)
		return take_chunks(connection, data);
	count = LAB_MIN(data.len, (size_t)exchange->head.length - exchange->body.len);
	lab_buf_append(&exchange->body, data.ptr, count);
	body_came(connection);
	return count;
}

/* ---- heads ---- */

static void take_whole_head(struct http_connection *connection, struct lab_view head_text,
	struct lab_view behind, size_t *ret_body)
{
	struct http_exchange *exchange = connection->exchange = http_exchange_new(connection);
	struct http_head *head = &exchange->head;
	enum sim_http_refusal why;

	*ret_body = 0;
	if (http_head_parse(head_text, head, &why) == 0)
		why = judge_body(connection, head);
	if (why != SIM_REFUSE_COUNT) {
		http_refuse(connection, why);
	} else if (head->chunked || head->length > behind.len) {
		body_begin(connection, head_text, behind.len > 0);
	} else {
		*ret_body = (size_t)head->length;
		submit(connection, lab_view_sub(behind, 0, *ret_body));
	}
}

/* How many of the bytes it took: 0 if it needs more. */
static size_t take_head(struct http_connection *connection, struct lab_view data)
{
	size_t max = connection->front_end->settings.header_max_bytes, size, body;
	int rc;

	/* An empty line may precede a request (RFC 9112 2.2). */
	if (connection->scanned == 0 && lab_view_starts_with(data, LAB_VIEW("\r\n")))
		return 2;
	rc = http_head_find(data, &connection->scanned);
	size = rc == 0 ? connection->scanned : data.len;
	if (rc < 0 || size > max) {
		http_refuse(connection, rc < 0 ? SIM_REFUSE_MALFORMED : SIM_REFUSE_HEADERS);
		return data.len;
	}
	if (rc > 0) {
		if (connection->timer != HTTP_TIMER_HEAD)
			http_timer_set(connection, HTTP_TIMER_HEAD);
		return 0;
	}
	connection->scanned = 0;
	take_whole_head(connection, lab_view_sub(data, 0, size), lab_view_skip(data, size), &body);
	return size + body;
}

/* ---- input ---- */

/* As many requests as there are. How many of the bytes were taken. */
static size_t process(struct http_connection *connection, struct lab_view data)
{
	size_t done = 0, count = 1;

	while (done < data.len && count > 0 && !connection->closing) {
		struct lab_view rest = lab_view_skip(data, done);

		if (connection->state == HTTP_READING)
			count = take_head(connection, rest);
		else if (connection->state == HTTP_BODY)
			count = take_body(connection, rest);
		else
			break;
		done += LAB_MIN(count, rest.len);
	}
	return done;
}

static bool listens(const struct http_connection *connection)
{
	return connection->state != HTTP_SILENT && connection->state != HTTP_DRAINING;
}

/* Of what was kept so much is used up. A connection that idles keeps little. */
static void input_consume(struct http_connection *connection, size_t done)
{
	struct lab_buf *in = &connection->in;

	lab_buf_consume(in, listens(connection) ? done : in->len);
	if (in->len == 0 && in->capacity > HTTP_KEPT_BYTES)
		lab_buf_done(in);
}

static void input_keep(struct http_connection *connection, struct lab_view data)
{
	const struct http_front_end *front_end = connection->front_end;

	lab_buf_append_view(&connection->in, data);
	lab_assert(!connection->in.overflow);
	if (connection->state != HTTP_READING && connection->state != HTTP_BODY &&
		connection->in.len > front_end->settings.header_max_bytes && !connection->paused) {
		/* It asks faster than it is answered. */
		connection->paused = true;
		(void)uv_read_stop((uv_stream_t *)&connection->tcp);
	}
}

static void input(struct http_connection *connection, struct lab_view data)
{
	bool kept = connection->in.len > 0;
	size_t done;

	if (!listens(connection))
		return;
	if (connection->state != HTTP_READING && connection->state != HTTP_BODY) {
		input_keep(connection, data);
		return;
	}
	if (kept) {
		input_keep(connection, data);
		data = lab_buf_view(&connection->in);
	}
	done = process(connection, data);
	if (connection->closing)
		return;
	if (kept)
		input_consume(connection, done);
	else if (done < data.len && listens(connection))
		input_keep(connection, lab_view_skip(data, done));
}

static void ended(struct http_connection *connection)
{
	connection->eof = true;
	switch (connection->state) {
	case HTTP_READING:
		if (connection->in.len == 0)
			http_close(connection, false);
		else if (!connection->ready)
			http_refuse(connection, SIM_REFUSE_MALFORMED);
		break;
	case HTTP_BODY:
		http_refuse(connection, SIM_REFUSE_SHORT);
		break;
	case HTTP_PENDING:
	case HTTP_WRITING:
		/* It may only have said that it will ask nothing more. */
		break;
	case HTTP_TRICKLING:
	case HTTP_SILENT:
	case HTTP_DRAINING:
		http_close(connection, false);
		break;
	}
}

static void input_resume(struct http_connection *connection)
{
	if (!connection->paused ||
		connection->in.len > connection->front_end->settings.header_max_bytes / 2)
		return;
	connection->paused = false;
	(void)uv_read_start((uv_stream_t *)&connection->tcp, http_allocate, http_received);
}

void http_continue(struct http_connection *connection)
{
	size_t done = process(connection, lab_buf_view(&connection->in));

	if (connection->closing)
		return;
	input_consume(connection, done);
	input_resume(connection);
	if (connection->eof &&
		(connection->state == HTTP_READING || connection->state == HTTP_BODY))
		ended(connection);
}

/* ---- the socket ---- */

/* The rest of a body goes where it belongs, anything else into what all share. */
static bool reads_body(const struct http_connection *connection)
{
	return connection->state == HTTP_BODY && !connection->exchange->head.chunked;
}

void http_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct http_connection *connection = handle->data;

	(void)suggested;
	if (reads_body(connection)) {
		struct http_exchange *exchange = connection->exchange;
		size_t left = (size_t)exchange->head.length - exchange->body.len;

		ret->base = lab_buf_reserve(&exchange->body, left);
		ret->len = left;
		return;
	}
	ret->base = (char *)connection->front_end->read_buffer;
	ret->len = HTTP_READ_BYTES;
}

void http_received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct http_connection *connection = stream->data;
	struct http_front_end *front_end = connection->front_end;

	if (count == 0)
		return;
	front_end->now_ns = front_end_now(&front_end->thread);
	if (count == UV_EOF) {
		ended(connection);
	} else if (count < 0) {
		http_close(connection, false);
	} else if (reads_body(connection)) {
		lab_buf_commit(&connection->exchange->body, (size_t)count);
		body_came(connection);
	} else {
		input(connection, lab_view_of(buffer->base, (size_t)count));
	}
}
