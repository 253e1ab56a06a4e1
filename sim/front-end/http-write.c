/* SPDX-License-Identifier: Apache-2.0
 *
 * http-write.c - replies to bytes: the answer's head, what the wire action makes of it, and the end
 * of the connection.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "sim/front-end/http-front-end-private.h"

/* A slow body leaves in so many pieces a second, or a byte at a time. */
#define TRICKLE_PIECES 20

/* ---- the end ---- */

/* Says that nothing follows, and waits for the client to close, too: closing now would reset the
 * connection if there is input that nobody has read, and the answer would be lost on its way. */
static void drain(struct http_connection *connection)
{
	uv_os_fd_t fd;

	if (connection->eof || uv_fileno((uv_handle_t *)&connection->tcp, &fd) != 0) {
		http_close(connection, false);
		return;
	}
	(void)shutdown(fd, SHUT_WR);
	connection->state = HTTP_DRAINING;
	if (connection->paused) {
		connection->paused = false;
		(void)uv_read_start((uv_stream_t *)&connection->tcp, http_allocate, http_received);
	}
	http_timer_set(connection, HTTP_TIMER_DRAIN);
}

/* The whole answer has left. */
static void written(struct http_connection *connection)
{
	lab_buf_done(&connection->out);
	http_unclaim(connection->front_end, &connection->out_claimed);
	switch (connection->end) {
	case HTTP_KEEP:
		connection->state = HTTP_READING;
		http_timer_set(connection, HTTP_TIMER_IDLE);
		if (connection->in.len > 0 || connection->eof || connection->paused)
			http_ready(connection);
		break;
	case HTTP_CLOSE:
		drain(connection);
		break;
	case HTTP_DROP:
		http_close(connection, false);
		break;
	case HTTP_RESET:
		http_close(connection, true);
		break;
	}
}

/* ---- writing ---- */

static void write_done(uv_write_t *write, int status)
{
	struct http_connection *connection = write->data;

	if (connection->closing)
		return;
	if (status < 0)
		http_close(connection, false);
	else
		written(connection);
}

void http_write_stuck(struct http_connection *connection)
{
	size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp);

	if (left == connection->out_at) {
		http_close(connection, true);
		return;
	}
	connection->out_at = left;
	http_timer_set(connection, HTTP_TIMER_WRITE);
}

/* Keeps the bytes from `skip` on, as far as `count` parts have them. False: no memory for it. */
static bool out_keep(
	struct http_connection *connection, const uv_buf_t *parts, unsigned count, size_t skip)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += parts[i].len;
	if (!http_claim(connection->front_end, total - skip, &connection->out_claimed))
		return false;
	(void)lab_buf_reserve(&connection->out, total - skip);
	for (unsigned i = 0; i < count; i++) {
		size_t from = LAB_MIN(skip, parts[i].len);

		lab_buf_append(&connection->out, parts[i].base + from, parts[i].len - from);
		skip -= from;
	}
	lab_assert(!connection->out.overflow);
	return true;
}

static void out_send(struct http_connection *connection, const uv_buf_t *parts, unsigned count)
{
	uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
	int sent = uv_try_write(stream, parts, count);
	size_t total = 0;
	uv_buf_t rest;

	for (unsigned i = 0; i < count; i++)
		total += parts[i].len;
	if (sent >= 0 && (size_t)sent == total) {
		written(connection);
		return;
	}
	if ((sent < 0 && sent != UV_EAGAIN) ||
		!out_keep(connection, parts, count, (size_t)LAB_MAX(sent, 0))) {
		http_close(connection, true);
		return;
	}
	rest = uv_buf_init((char *)connection->out.data, (unsigned)connection->out.len);
	connection->state = HTTP_WRITING;
	connection->write.data = connection;
	connection->out_at = SIZE_MAX;
	http_timer_set(connection, HTTP_TIMER_WRITE);
	if (uv_write(&connection->write, stream, &rest, 1, write_done) != 0)
		http_close(connection, true);
}

void http_say_continue(struct http_connection *connection)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uv_buf_t buffer = uv_buf_init(text, sizeof(text) - 1);

	/* Nothing is under way, so there is room for it; without it a client goes on as well. */
	(void)uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
}

/* ---- trickling ---- */

static size_t trickle_piece(const struct http_connection *connection)
{
	return (size_t)LAB_MAX(connection->bytes_per_s / TRICKLE_PIECES, 1);
}

static void trickle_wait(struct http_connection *connection)
{
	connection->deadline_ns = connection->front_end->now_ns +
				  trickle_piece(connection) * LAB_SEC / connection->bytes_per_s;
}

void http_trickle(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;
	size_t left = connection->out.len - connection->out_at;
	uv_buf_t part = uv_buf_init((char *)connection->out.data + connection->out_at,
		(unsigned)LAB_MIN(left, trickle_piece(connection)));
	int sent = uv_try_write((uv_stream_t *)&connection->tcp, &part, 1);

	if (sent > 0) {
		connection->out_at += (size_t)sent;
		connection->moved_ns = front_end->now_ns;
	} else if ((sent < 0 && sent != UV_EAGAIN) ||
		   front_end->now_ns - connection->moved_ns >
			   front_end->durations_ns[HTTP_TIMER_WRITE]) {
		http_close(connection, true);
		return;
	}
	if (connection->out_at == connection->out.len)
		written(connection);
	else
		trickle_wait(connection);
}

static void trickle_begin(struct http_connection *connection, const uv_buf_t *head,
	const uv_buf_t *rest, unsigned count, uint64_t bytes_per_s)
{
	int sent = uv_try_write((uv_stream_t *)&connection->tcp, head, 1);

	/* A head fits into an empty socket, or something is wrong with it. */
	if (sent < 0 || (size_t)sent < head->len || !out_keep(connection, rest, count, 0)) {
		http_close(connection, true);
		return;
	}
	connection->state = HTTP_TRICKLING;
	connection->bytes_per_s = LAB_MAX(bytes_per_s, 1);
	connection->out_at = 0;
	connection->moved_ns = connection->front_end->now_ns;
	http_timer_set(connection, HTTP_TIMER_TRICKLE);
	trickle_wait(connection);
}

/* ---- the head of an answer ---- */

/* Of the statuses that services answer without a phrase of their own. */
static const char *usual_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 204, "No Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 411, "Length Required" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" },
		{ 416, "Range Not Satisfiable" }, { 423, "Locked" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" } };

	for (size_t i = 0; i < LAB_COUNT_OF(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}

static void append_number(struct lab_buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	lab_buf_append(buf, digits + at, sizeof(digits) - at);
}

static void append_header(struct lab_buf *buf, struct lab_view name, struct lab_view value)
{
	lab_buf_append_view(buf, name);
	lab_buf_append(buf, ": ", 2);
	lab_buf_append_view(buf, value);
	lab_buf_append(buf, "\r\n", 2);
}

/* One that would break the answer is left out. */
static bool header_is_safe(const struct lab_http_header *header)
{
	bool safe = header->name.len > 0;

	for (size_t i = 0; i < header->name.len; i++)
		safe &= header->name.ptr[i] > ' ' && header->name.ptr[i] != ':';
	for (size_t i = 0; i < header->value.len; i++)
		safe &= header->value.ptr[i] >= ' ' || header->value.ptr[i] == '\t';
	return safe;
}

/* How the answer is laid out. */
struct layout {
	bool has_date, says_connection, chunked;
	struct lab_view told_length; /* for HEAD */
};

static bool is_named(const struct lab_http_header *header, size_t len, const char *name)
{
	return header->name.len == len && lab_view_eq_nocase(header->name, lab_view_of(name, len));
}

/* False: it is ours to say. */
static bool look_at_header(const struct lab_http_header *header, struct layout *layout)
{
	if (is_named(header, 14, "Content-Length")) {
		layout->told_length = header->value;
		return false;
	}
	if (is_named(header, 17, "Transfer-Encoding"))
		layout->chunked |= lab_view_eq_nocase(header->value, LAB_VIEW("chunked"));
	else if (is_named(header, 10, "Connection"))
		layout->says_connection = true;
	else if (is_named(header, 4, "Date"))
		layout->has_date = true;
	return header_is_safe(header);
}

static void append_date(struct http_front_end *front_end)
{
	struct timespec now;

	lab_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
	if (front_end->date_second != (int64_t)now.tv_sec) {
		front_end->date_second = (int64_t)now.tv_sec;
		lab_date_http(front_end->date_second, front_end->date);
	}
	append_header(&front_end->scratch, LAB_VIEW("Date"), lab_view_cstr(front_end->date));
}

static void append_length(
	struct lab_buf *out, const struct sim_http_reply *reply, const struct layout *layout)
{
	unsigned status = reply->response.status;
	uint64_t length = reply->response.body.len;

	/* These have no body, whatever their length would say. */
	if (layout->chunked || status == 204 || status == 304)
		return;
	if (reply->head && layout->told_length.ptr != NULL)
		(void)lab_view_to_u64(layout->told_length, &length);
	/* A body of nothing cannot break off: it promises one byte. */
	if (reply->wire == SIM_WIRE_TRUNCATE && length == 0)
		length = 1;
	lab_buf_append_cstr(out, "Content-Length: ");
	append_number(out, length);
	lab_buf_append(out, "\r\n", 2);
}

static void append_head(struct http_connection *connection, const struct http_head *request,
	const struct sim_http_reply *reply, struct layout *layout)
{
	const struct lab_http_response *response = &reply->response;
	struct lab_buf *out = &connection->front_end->scratch;

	lab_buf_reset(out);
	lab_buf_append_cstr(out, "HTTP/1.1 ");
	append_number(out, response->status);
	lab_buf_append_byte(out, ' ');
	if (response->reason.len > 0)
		lab_buf_append_view(out, response->reason);
	else
		lab_buf_append_cstr(out, usual_reason(response->status));
	lab_buf_append(out, "\r\n", 2);
	for (size_t i = 0; i < response->headers.count; i++) {
		const struct lab_http_header *header = &response->headers.items[i];

		if (look_at_header(header, layout))
			append_header(out, header->name, header->value);
	}
	if (!layout->has_date)
		append_date(connection->front_end);
	append_length(out, reply, layout);
	if (connection->end == HTTP_CLOSE && !layout->says_connection)
		lab_buf_append_cstr(out, "Connection: close\r\n");
	else if (request->version_1_0 && connection->end == HTTP_KEEP)
		lab_buf_append_cstr(out, "Connection: keep-alive\r\n");
	lab_buf_append(out, "\r\n", 2);
	lab_assert(!out->overflow);
}

/* ---- the reply ---- */

static bool life_is_over(struct http_connection *connection)
{
	return ++connection->answers >= connection->answers_max;
}

static enum http_end end_of(struct http_connection *connection, const struct http_head *request,
	bool refused, enum sim_wire wire)
{
	bool over = life_is_over(connection);

	if (wire == SIM_WIRE_TRUNCATE)
		return HTTP_RESET;
	if (wire == SIM_WIRE_ANSWER_DROP)
		return HTTP_DROP;
	if (refused || wire == SIM_WIRE_ANSWER_CLOSE || request->close ||
		(request->version_1_0 && !request->keep_alive))
		return HTTP_CLOSE;
	if (!over)
		return HTTP_KEEP;
	return connection->front_end->life.announced ? HTTP_CLOSE : HTTP_DROP;
}

/* What of the body is sent at all. */
static struct lab_view body_sent(const struct sim_http_reply *reply)
{
	struct lab_view body = reply->response.body;

	if (reply->head || reply->response.status == 204 || reply->response.status == 304)
		return lab_view_of(NULL, 0);
	if (reply->wire != SIM_WIRE_TRUNCATE)
		return body;
	return lab_view_sub(body, 0, reply->cut_at > 0 ? reply->cut_at : body.len / 2);
}

#define PARTS_MAX 4

static uv_buf_t part_of(struct lab_view text)
{
	return uv_buf_init((char *)(uintptr_t)text.ptr, (unsigned)text.len);
}

static void send_answer(struct http_connection *connection, const struct http_head *request,
	const struct sim_http_reply *reply)
{
	struct lab_view body = body_sent(reply);
	struct lab_buf *out = &connection->front_end->scratch;
	struct layout layout = { 0 };
	uv_buf_t parts[PARTS_MAX];
	unsigned count = 1;
	char size[24];

	append_head(connection, request, reply, &layout);
	parts[0] = part_of(lab_buf_view(out));
	if (layout.chunked && !reply->head) {
		int len = snprintf(size, sizeof(size), "%zx\r\n", reply->response.body.len);

		if (body.len > 0)
			parts[count++] = uv_buf_init(size, (unsigned)len);
	}
	if (body.len > 0)
		parts[count++] = part_of(body);
	if (layout.chunked && !reply->head && reply->wire != SIM_WIRE_TRUNCATE)
		parts[count++] =
			part_of(body.len > 0 ? LAB_VIEW("\r\n0\r\n\r\n") : LAB_VIEW("0\r\n\r\n"));
	if (reply->wire == SIM_WIRE_TRICKLE && count > 1)
		trickle_begin(connection, parts, parts + 1, count - 1, reply->bytes_per_s);
	else
		out_send(connection, parts, count);
}

static void silence(struct http_connection *connection)
{
	struct http_front_end *front_end = connection->front_end;

	if (connection->eof) {
		http_close(connection, false);
		return;
	}
	if (front_end->stats.silenced >= front_end->settings.silenced_max)
		http_close(front_end->timers[HTTP_TIMER_SILENT].first, true);
	front_end->stats.silenced++;
	connection->state = HTTP_SILENT;
	if (connection->paused)
		(void)uv_read_start((uv_stream_t *)&connection->tcp, http_allocate, http_received);
	connection->paused = false;
	http_timer_set(connection, HTTP_TIMER_SILENT);
}

void http_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct http_exchange *exchange = ctx;
	struct http_connection *connection = exchange->connection;

	exchange->front_end->stats.pending--;
	if (connection == NULL) {
		http_exchange_free(exchange);
		return;
	}
	lab_assert(connection->state == HTTP_PENDING);
	if (reply->wire == SIM_WIRE_RESET) {
		http_close(connection, true);
	} else if (reply->wire == SIM_WIRE_SILENCE) {
		silence(connection);
	} else {
		lab_assert(reply->response.status >= 200 && reply->response.status <= 999);
		connection->end =
			end_of(connection, &exchange->head, exchange->refused, reply->wire);
		send_answer(connection, &exchange->head, reply);
	}
	connection->exchange = NULL;
	http_exchange_free(exchange);
}

/* ---- refusing ---- */

void http_reply_refusal(struct http_exchange *exchange, enum sim_http_refusal why)
{
	static const struct {
		unsigned status;
		const char *text;
	} words[SIM_REFUSE_COUNT] = {
		[SIM_REFUSE_MALFORMED] = { 400, "The request is malformed.\n" },
		[SIM_REFUSE_URI] = { 400, "The request's target is malformed.\n" },
		[SIM_REFUSE_VERSION] = { 505, "The version of HTTP is not supported.\n" },
		[SIM_REFUSE_HEADERS] = { 431, "The request's headers are too large.\n" },
		[SIM_REFUSE_LENGTH] = { 400, "The Content-Length is wrong.\n" },
		[SIM_REFUSE_NO_LENGTH] = { 411, "A Content-Length is required.\n" },
		[SIM_REFUSE_CODING] = { 501, "The Transfer-Encoding is not supported.\n" },
		[SIM_REFUSE_SHORT] = { 400, "The body ended too early.\n" },
		[SIM_REFUSE_BODY] = { 413, "The request is too large.\n" },
		[SIM_REFUSE_TIMEOUT] = { 408, "The request did not come in time.\n" },
		[SIM_REFUSE_MEMORY] = { 503, "Too much is being received.\n" },
		[SIM_REFUSE_CONNECTIONS] = { 503, "There are too many connections.\n" },
	};
	struct sim_http_reply reply = { .wire = SIM_WIRE_ANSWER_CLOSE };

	reply.response.status = words[why].status;
	reply.response.body = lab_view_cstr(words[why].text);
	reply.head = lab_view_eq_cstr(exchange->head.request.method, "HEAD");
	(void)lab_http_header_add(
		&reply.response.headers, LAB_VIEW("Content-Type"), LAB_VIEW("text/plain"));
	http_reply(exchange, &reply);
}
