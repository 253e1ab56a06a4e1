/* SPDX-License-Identifier: Apache-2.0
 *
 * live-http.c - env_http(): the request put together, the wait, the outcome classified.
 */
#include "core/env/live/live-http-private.h"

#define DNS_SECONDS 60L /* how long the address of a name is remembered */

#include <inttypes.h>

/* ---- the request ---- */

/* Nothing that could end a line early or split the request line. */
static bool text_is_clean(struct lab_view text, bool spaces)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == 0x7f || (c < ' ' && c != '\t') || (!spaces && (c == ' ' || c == '\t')))
			return false;
	}
	return true;
}

static bool name_is_clean(struct lab_view name)
{
	return name.len > 0 && text_is_clean(name, false) &&
	       lab_view_find_byte(name, ':') == SIZE_MAX;
}

static int request_check_headers(const struct lab_http_headers *headers, struct lab_error *err)
{
	/* libcurl writes these; twice would let two parties disagree where the request ends. */
	static const char *const ours[] = { "Host", "Content-Length", "Transfer-Encoding" };

	for (size_t i = 0; i < headers->count; i++) {
		const struct lab_http_header *header = &headers->items[i];

		if (!name_is_clean(header->name) || !text_is_clean(header->value, true))
			return lab_fail(err, LAB_INVALID, "header %zu cannot be sent", i);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(ours); i++) {
		if (lab_http_header_get(headers, ours[i]).ptr != NULL)
			return lab_fail(err, LAB_INVALID, "header %s is not the caller's", ours[i]);
	}
	return 0;
}

static int request_check(const struct lab_http_request *request, struct lab_view *ret_host,
	uint16_t *ret_port, struct lab_error *err)
{
	if (!name_is_clean(request->method) || request->method.len > 32)
		return lab_fail(err, LAB_INVALID, "HTTP method cannot be sent");
	if (request->target.len == 0 || !text_is_clean(request->target, false))
		return lab_fail(err, LAB_INVALID, "request target cannot be sent");
	if (live_authority_split(request->authority, request->tls ? 443 : 80, ret_host, ret_port) <
		0)
		return lab_fail(err, LAB_INVALID, "\"%.*s\" is not host or host:port",
			LAB_VIEW_ARG(request->authority));
	return request_check_headers(&request->headers, err);
}

/* Each string of the request ends with a NUL in exchange->text; pointers to them are taken when
 * all are there, because the buffer may move while it grows. */
static size_t text_begin(const struct live_exchange *exchange)
{
	return exchange->text.len;
}

static void text_end(struct live_exchange *exchange)
{
	lab_buf_append_byte(&exchange->text, '\0');
}

static char *text_at(const struct live_exchange *exchange, size_t offset)
{
	return (char *)exchange->text.data + offset;
}

static void request_add_line(
	struct live_exchange *exchange, struct lab_view name, struct lab_view value)
{
	exchange->line_offsets[exchange->line_count++] = text_begin(exchange);
	lab_buf_append_view(&exchange->text, name);
	if (value.len == 0) {
		/* libcurl's way of saying a header without a value. */
		lab_buf_append_byte(&exchange->text, ';');
	} else {
		lab_buf_append_cstr(&exchange->text, ": ");
		lab_buf_append_view(&exchange->text, value);
	}
	text_end(exchange);
}

static void request_add_lines(
	struct live_exchange *exchange, const struct lab_http_request *request)
{
	static const char *const not_by_default[] = { "Expect", "Accept", "Content-Type" };
	const struct lab_http_headers *headers = &request->headers;

	request_add_line(exchange, LAB_VIEW("Host"), request->authority);
	for (size_t i = 0; i < headers->count; i++)
		request_add_line(exchange, headers->items[i].name, headers->items[i].value);
	for (size_t i = 0; i < LAB_COUNT_OF(not_by_default); i++) {
		if (lab_http_header_get(headers, not_by_default[i]).ptr != NULL)
			continue;
		/* libcurl's way of saying that there is no such header. */
		exchange->line_offsets[exchange->line_count++] = text_begin(exchange);
		lab_buf_append_cstr(&exchange->text, not_by_default[i]);
		lab_buf_append_byte(&exchange->text, ':');
		text_end(exchange);
	}
}

static void request_link_lines(struct live_exchange *exchange)
{
	for (size_t i = 0; i < exchange->line_count; i++) {
		exchange->lines[i].data = text_at(exchange, exchange->line_offsets[i]);
		exchange->lines[i].next =
			i + 1 < exchange->line_count ? &exchange->lines[i + 1] : NULL;
	}
	(void)curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, exchange->lines);
}

static void request_set_method(struct live_exchange *exchange, const char *method, bool has_body)
{
	CURL *easy = exchange->easy;
	struct lab_view body = exchange->body;
	bool small = body.len <= LIVE_HTTP_SMALL_BODY_MAX;

	if (has_body) {
		(void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
			!small          ? NULL
			: body.len == 0 ? ""
					: (const char *)body.ptr);
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	} else if (strcmp(method, "HEAD") == 0) {
		(void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else {
		(void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	}
}

/* Where the connection goes, whatever the URL says. */
static void request_add_route(struct live_exchange *exchange, const struct live_route *route)
{
	char address[64];

	live_address_format(&route->address, address, sizeof(address));
	lab_buf_printf(&exchange->text, "::%s:%u", address, live_address_port(&route->address));
	text_end(exchange);
}

static void request_set_route(struct live_exchange *exchange, bool known, size_t offset)
{
	exchange->route.data = text_at(exchange, offset);
	exchange->route.next = NULL;
	(void)curl_easy_setopt(exchange->easy, CURLOPT_CONNECT_TO, known ? &exchange->route : NULL);
}

static int request_build(struct live_exchange *exchange, const struct lab_http_request *request,
	const struct live_route *route, struct lab_error *err)
{
	size_t url, target, method, address;
	bool has_body = request->body.len > 0 || lab_view_eq_cstr(request->method, "PUT") ||
			lab_view_eq_cstr(request->method, "POST");

	lab_buf_reset(&exchange->text);
	exchange->line_count = 0;
	exchange->body = request->body;
	exchange->tls = request->tls && !route->strip_tls;
	url = text_begin(exchange);
	lab_buf_printf(&exchange->text, "http%s://%.*s/", exchange->tls ? "s" : "",
		LAB_VIEW_ARG(request->authority));
	text_end(exchange);
	target = text_begin(exchange);
	lab_buf_append_view(&exchange->text, request->target);
	text_end(exchange);
	method = text_begin(exchange);
	lab_buf_append_view(&exchange->text, request->method);
	text_end(exchange);
	address = text_begin(exchange);
	request_add_route(exchange, route);
	request_add_lines(exchange, request);
	if (exchange->text.overflow)
		return lab_fail(err, LAB_LIMIT, "request headers are longer than %zu bytes",
			LIVE_HTTP_REQUEST_TEXT_MAX);
	(void)curl_easy_setopt(exchange->easy, CURLOPT_URL, text_at(exchange, url));
	(void)curl_easy_setopt(exchange->easy, CURLOPT_REQUEST_TARGET, text_at(exchange, target));
	request_set_method(exchange, text_at(exchange, method), has_body);
	request_set_route(exchange, route->known, address);
	request_link_lines(exchange);
	return 0;
}

/* ---- the wait ---- */

static void exchange_reset(struct live_exchange *exchange, const struct env_http_limits *limits)
{
	exchange->fiber = live_fiber_self();
	exchange->error[0] = '\0';
	exchange->body_taken = 0;
	exchange->connect_timeout_ns = limits->connect_timeout_ns;
	exchange->response_timeout_ns = limits->response_timeout_ns;
	exchange->deadline_ns = limits->deadline_ns == 0 ? ENV_FOREVER : limits->deadline_ns;
	exchange->started_ns = live_now(exchange->http->host->live);
	exchange->connected_ns = exchange->sent_ns = 0;
	exchange->attempts = 0;
	exchange->denied = exchange->no_socket = exchange->timed_out = false;
	exchange->finished = false;
	exchange->result = CURLE_OK;
	exchange->response_max_bytes = limits->response_max_bytes;
	lab_buf_reset(&exchange->head);
	exchange->head_complete = false;
	exchange->too_long = false;
	(void)curl_easy_setopt(
		exchange->easy, CURLOPT_FRESH_CONNECT, limits->fresh_connection ? 1L : 0L);
	/* After a failure the name is looked up anew, too (s3 2.5). */
	(void)curl_easy_setopt(exchange->easy, CURLOPT_DNS_CACHE_TIMEOUT,
		limits->fresh_connection ? 0L : DNS_SECONDS);
}

uint64_t live_exchange_deadline(const struct live_exchange *exchange)
{
	uint64_t own =
		exchange->attempts == 0
			? live_deadline_after(exchange->started_ns, exchange->connect_timeout_ns)
			: live_deadline_after(exchange->sent_ns, exchange->response_timeout_ns);

	return LAB_MIN(own, exchange->deadline_ns);
}

static void exchange_wait(struct live_exchange *exchange)
{
	while (!exchange->finished && !exchange->timed_out) {
		/* The callbacks move the deadline on while we wait. */
		if (live_fiber_park(exchange->fiber, live_exchange_deadline(exchange)) == 1 &&
			live_now(exchange->http->host->live) >= live_exchange_deadline(exchange))
			exchange->timed_out = !exchange->finished;
	}
}

/* ---- the outcome ---- */

/* True if not a byte of the request left: the kept-alive connection refused the first write. */
static bool exchange_unsent(struct live_exchange *exchange)
{
	long sent = 0;

	if (exchange->attempts == 0)
		return true;
	/* A TLS record may be on its way although it counts as unwritten. */
	if (exchange->tls || exchange->timed_out)
		return false;
	(void)curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent == 0;
}

static int outcome_unsent(struct live_exchange *exchange, struct lab_error *err)
{
	bool retryable = true;

	if (exchange->denied)
		return lab_fail(err, LAB_DENIED, "only loopback addresses may be connected to");
	if (exchange->no_socket)
		return lab_fail(err, LAB_LIMIT, "no descriptor left for a connection");
	if (exchange->timed_out || exchange->result == CURLE_OPERATION_TIMEDOUT)
		(void)lab_fail(err, LAB_TIMEOUT, "not connected within %" PRIu64 " ms",
			exchange->connect_timeout_ns / LAB_MSEC);
	else if (exchange->attempts > 0)
		(void)lab_fail(err, LAB_REFUSED,
			"the kept-alive connection was closed before the request was sent");
	else
		(void)lab_fail(err, LAB_REFUSED, "%s (curl error %d)", exchange->error,
			(int)exchange->result);
	retryable = exchange->result != CURLE_PEER_FAILED_VERIFICATION;
	if (err != NULL)
		err->retryable = retryable;
	return -1;
}

static const char *outcome_uncertain_text(const struct live_exchange *exchange)
{
	if (exchange->attempts > 1 || exchange->result == CURLE_COULDNT_CONNECT)
		return "the kept-alive connection was closed after the request was sent";
	switch ((int)exchange->result) {
	case CURLE_GOT_NOTHING:
		return "connection closed without a response";
	case CURLE_PARTIAL_FILE:
		return "connection closed in the middle of the response";
	case CURLE_SEND_ERROR:
		return "connection broke while the request was being sent";
	default:
		return exchange->response.len > 0 || exchange->head.len > 0
			       ? "connection reset in the middle of the response"
			       : "connection reset before the response";
	}
}

static int outcome_sent(struct live_exchange *exchange, struct lab_error *err)
{
	if (exchange->too_long)
		return lab_fail(err, LAB_LIMIT, "the response is longer than %zu bytes",
			exchange->response_max_bytes);
	if (exchange->result == CURLE_WEIRD_SERVER_REPLY ||
		exchange->result == CURLE_UNSUPPORTED_PROTOCOL)
		return lab_fail(
			err, LAB_CORRUPT, "the response is not HTTP/1.1: %s", exchange->error);
	if (exchange->timed_out)
		(void)lab_fail(err, LAB_UNCERTAIN, "no complete response within %" PRIu64 " ms",
			exchange->response_timeout_ns / LAB_MSEC);
	else
		(void)lab_fail(err, LAB_UNCERTAIN, "%s (curl error %d)",
			outcome_uncertain_text(exchange), (int)exchange->result);
	if (err != NULL)
		err->retryable = true;
	return -1;
}

/* "HTTP/1.1 503 Slow Down" */
static int response_parse_status(struct lab_view line, struct lab_http_response *ret)
{
	struct lab_view version, status;
	uint64_t number;

	if (!lab_view_split(&line, ' ', &version) || !lab_view_split(&line, ' ', &status) ||
		status.len != 3 || lab_view_to_u64(status, &number) < 0)
		return -1;
	ret->status = (unsigned)number;
	ret->reason = line.ptr == NULL ? LAB_VIEW("") : line;
	return 0;
}

static int response_parse_header(struct lab_view line, struct lab_http_headers *headers)
{
	size_t colon = lab_view_find_byte(line, ':');

	if (colon == SIZE_MAX || colon == 0 || line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return -1;
	return lab_http_header_add(headers, lab_view_trim(lab_view_sub(line, 0, colon)),
		lab_view_trim(lab_view_skip(line, colon + 1)));
}

static int response_parse(struct live_exchange *exchange, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct lab_view rest = lab_arena_copy(arena, lab_buf_view(&exchange->head)), line;
	bool first = true;

	ret->headers.count = 0;
	while (lab_view_split(&rest, '\n', &line)) {
		if (lab_view_ends_with(line, LAB_VIEW("\r")))
			line.len--;
		if (first && response_parse_status(line, ret) < 0)
			return lab_fail(err, LAB_CORRUPT, "the response has no status line");
		if (!first && line.len > 0 && response_parse_header(line, &ret->headers) < 0)
			return ret->headers.count == LAB_HTTP_HEADERS_MAX
				       ? lab_fail(err, LAB_LIMIT,
						 "the response has too many headers")
				       : lab_fail(
						 err, LAB_CORRUPT, "the response has a bad header");
		first = false;
	}
	ret->body = lab_arena_copy(arena, lab_buf_view(&exchange->response));
	return 0;
}

static void exchange_stats(struct live_exchange *exchange, bool sent, struct env_http_stats *stats)
{
	uint64_t end_ns = live_now(exchange->http->host->live);
	long connections = 0;

	memset(stats, 0, sizeof(*stats));
	stats->request_sent = sent;
	if (exchange->attempts == 0) {
		stats->connect_ns = end_ns - exchange->started_ns;
		return;
	}
	stats->connect_ns = exchange->connected_ns - exchange->started_ns;
	stats->send_ns = exchange->sent_ns - exchange->connected_ns;
	stats->response_ns = end_ns - exchange->sent_ns;
	(void)curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connections);
	stats->reused = connections == 0;
}

static int exchange_outcome(struct live_exchange *exchange, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *stats, struct lab_error *err)
{
	bool complete = exchange->finished && exchange->result == CURLE_OK;
	bool sent = complete || !exchange_unsent(exchange);

	exchange_stats(exchange, sent, stats);
	if (complete)
		return response_parse(exchange, arena, ret, err);
	return sent ? outcome_sent(exchange, err) : outcome_unsent(exchange, err);
}

int live_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	struct live_exchange *exchange;
	struct live_route route;
	struct lab_view name;
	uint16_t port;
	int result;

	memset(ret_stats, 0, sizeof(*ret_stats));
	if (request_check(request, &name, &port, err) < 0 ||
		live_route_find(host->live, name, port, &route, err) < 0)
		return -1;
	exchange = live_curl_take(host);
	if (exchange == NULL)
		return lab_fail(err, LAB_LIMIT, "libcurl has no memory left");
	if (request_build(exchange, request, &route, err) < 0) {
		live_curl_give(exchange);
		return -1;
	}
	exchange_reset(exchange, limits);
	live_curl_begin(exchange);
	exchange_wait(exchange);
	result = exchange_outcome(exchange, arena, ret, ret_stats, err);
	if (result < 0 && exchange->attempts == 0)
		live_route_failed(host->live, &route);
	live_curl_end(exchange);
	live_curl_give(exchange);
	return result;
}
