/* SPDX-License-Identifier: Apache-2.0
 *
 * http-report.c - what a request says about itself: log lines, error messages, events
 * (obox 7.2, 7.3).
 */
#include "core/http/http-private.h"

#include "core/base/defect.h"

/* An error's message is bounded (error.h), and callers put their context before it. */
#define ERROR_LINE_MAX 200
#define URL_MIN 40

static void append_url(struct lab_buf *out, const struct lab_http_request *request, size_t url_max)
{
	size_t start = out->len, len, cut;
	uint8_t *url;

	lab_buf_append_cstr(out, request->tls ? "https://" : "http://");
	lab_buf_append_view(out, request->authority);
	lab_buf_append_view(out, request->target);
	len = out->len - start;
	if (len <= url_max || url_max < URL_MIN)
		return;
	/* The host at its front and the object's name at its end say most. */
	url = out->data + start;
	cut = url_max / 2 - 3;
	memcpy(url + cut, "...", 3);
	memmove(url + cut + 3, url + len - (url_max - cut - 3), url_max - cut - 3);
	out->len = start + url_max;
}

static void append_label(struct lab_buf *out, const struct http_run *run, size_t url_max)
{
	const struct lab_http_request *request = run->call->request;

	lab_buf_printf(out, "[Req%" PRIu64 ": %.*s ", run->number, LAB_VIEW_ARG(request->method));
	append_url(out, request, url_max);
	lab_buf_append_byte(out, ']');
}

static void append_log_headers(struct lab_buf *out, const struct http_run *run)
{
	const struct http_policy *policy = &run->client->policy;
	bool first = true;

	for (size_t i = 0; i < policy->log_header_count; i++) {
		struct lab_view name = policy->log_headers[i];
		struct lab_view value =
			lab_http_header_get(&run->response.headers, (const char *)name.ptr);

		if (value.ptr == NULL)
			continue;
		lab_buf_append_cstr(out, first ? " (" : ", ");
		lab_buf_append_view(out, name);
		lab_buf_append_byte(out, ':');
		lab_buf_append_view(out, value);
		first = false;
	}
	if (!first)
		lab_buf_append_byte(out, ')');
}

static void append_times(struct lab_buf *out, const struct http_run *run)
{
	lab_buf_printf(out, " (took %" PRIu64 " ms + %" PRIu64 " ms in queue)",
		run->took_ns / LAB_MSEC, run->queued_ns / LAB_MSEC);
	if (run->attempts > 1)
		lab_buf_printf(out, " (attempts=%u)", run->attempts);
}

void http_line_append(struct lab_buf *out, const struct http_run *run, size_t url_max)
{
	const struct lab_http_response *response = &run->response;

	if (response->status == 0) {
		lab_buf_append_cstr(out, "Request ");
		append_label(out, run, url_max);
		lab_buf_printf(out, ": %s", run->error.message);
		append_times(out, run);
		return;
	}
	lab_buf_printf(out, "Got %u response for request ", response->status);
	append_label(out, run, url_max);
	lab_buf_append_cstr(out, ": ");
	lab_buf_append_view(out, response->reason);
	if (run->why != NULL)
		lab_buf_printf(out, ": %s", run->why);
	append_log_headers(out, run);
	append_times(out, run);
}

void http_line_error(const struct http_run *run, struct lab_error *err)
{
	struct lab_heap *heap = run->client->env->heap;
	size_t url_max = HTTP_LINE_MAX;
	struct lab_buf line;

	lab_buf_init(&line, heap, HTTP_LINE_MAX);
	http_line_append(&line, run, url_max);
	if (line.len > ERROR_LINE_MAX) {
		const struct lab_http_request *request = run->call->request;
		size_t url_len = request->authority.len + request->target.len + 8;
		size_t excess = line.len - ERROR_LINE_MAX;

		url_max = url_len > excess + URL_MIN ? url_len - excess : URL_MIN;
		lab_buf_reset(&line);
		http_line_append(&line, run, url_max);
	}
	lab_error_set(err, err->code, err->file, err->line, "%s", lab_buf_cstr(&line));
	lab_buf_done(&line);
}

/* ---- events ---- */

#define FIELDS_MAX (19 + HTTP_POLICY_HEADERS_MAX)

struct fields {
	struct lab_field items[FIELDS_MAX];
	size_t count;
};

static void add(struct fields *fields, struct lab_field field)
{
	lab_assert(fields->count < FIELDS_MAX);
	fields->items[fields->count++] = field;
}

/* Names of fields are literals: sinks keep them longer than a host lives. Headers that are not in
 * this list share one field, which then holds "name:value". */
static const struct {
	const char *header, *field;
} header_fields[] = {
	{ "date", "http_hdr_date" },
	{ "etag", "http_hdr_etag" },
	{ "server", "http_hdr_server" },
	{ "via", "http_hdr_via" },
	{ "x-amz-id-2", "http_hdr_x-amz-id-2" },
	{ "x-amz-request-id", "http_hdr_x-amz-request-id" },
	{ "x-amz-version-id", "http_hdr_x-amz-version-id" },
	{ "x-request-id", "http_hdr_x-request-id" },
	{ "x-trans-id", "http_hdr_x-trans-id" },
};

static struct lab_field header_field(
	const struct http_run *run, struct lab_view name, struct lab_view value)
{
	for (size_t i = 0; i < LAB_COUNT_OF(header_fields); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(header_fields[i].header)))
			return LAB_F_TEXT(header_fields[i].field, value);
	}
	return LAB_F_CSTR("http_hdr", lab_arena_printf(run->scratch, "%.*s:%.*s",
					      LAB_VIEW_ARG(name), LAB_VIEW_ARG(value)));
}

static void add_log_headers(struct fields *fields, const struct http_run *run)
{
	const struct http_policy *policy = &run->client->policy;

	for (size_t i = 0; i < policy->log_header_count; i++) {
		struct lab_view name = policy->log_headers[i];
		struct lab_view value =
			lab_http_header_get(&run->response.headers, (const char *)name.ptr);

		if (value.ptr != NULL)
			add(fields, header_field(run, name, value));
	}
}

static void add_request(struct fields *fields, const struct http_run *run)
{
	const struct http_policy *policy = &run->client->policy;
	const struct lab_http_request *request = run->call->request;

	add(fields, LAB_F_TEXT("method", request->method));
	add(fields, LAB_F_U64("status_code", run->response.status));
	add(fields, LAB_F_TEXT("target", request->target));
	add(fields, LAB_F_TEXT("dest_host", request->authority));
	add(fields, LAB_F_U64("attempts", lab_defect(RETRIES_UNTOLD) ? 1 : run->attempts));
	if (run->redirects > 0)
		add(fields, LAB_F_U64("redirects", run->redirects));
	if (policy->username.ptr != NULL)
		add(fields, LAB_F_TEXT("user", policy->username));
	if (policy->session_id.ptr != NULL)
		add(fields, LAB_F_TEXT("session", policy->session_id));
}

/* Level and text only where there is something to say: a success costs no formatting. */
void http_report(const struct http_run *run, enum http_report report, const struct lab_error *err)
{
	static const enum lab_event_id ids[] = {
		[HTTP_REPORT_FINISHED] = LAB_EV_http_request_finished,
		[HTTP_REPORT_RETRIED] = LAB_EV_http_request_retried,
		[HTTP_REPORT_REDIRECTED] = LAB_EV_http_request_redirected,
		[HTTP_REPORT_SLOW] = LAB_EV_http_request_slow,
	};
	struct env *env = run->client->env;
	struct fields fields = { .count = 0 };
	struct lab_buf line;

	lab_buf_init(&line, env->heap, HTTP_LINE_MAX);
	add_request(&fields, run);
	add(&fields, LAB_F_U64("duration", (env_now(env) - run->started_ns) / LAB_USEC));
	/* Bodies are compressed: their sizes may change with a library's version. */
	add(&fields, LAB_F_VOLATILE_U64("net_in_bytes", run->bytes_in));
	add(&fields, LAB_F_VOLATILE_U64("net_out_bytes", run->bytes_out));
	add(&fields, LAB_F_CODE("code", err->code));
	add_log_headers(&fields, run);
	if (err->code != LAB_OK || report != HTTP_REPORT_FINISHED) {
		http_line_append(&line, run, HTTP_LINE_MAX);
		add(&fields,
			LAB_F_TEXT(err->code == LAB_OK ? "message" : "error", lab_buf_view(&line)));
	}
	env_event(env, ids[report], fields.items, fields.count);
	lab_buf_done(&line);
}
