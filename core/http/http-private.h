/* SPDX-License-Identifier: Apache-2.0
 *
 * http-private.h - the client's parts, as its sources share them.
 */
#ifndef LAB_HTTP_PRIVATE_H
#define LAB_HTTP_PRIVATE_H

#include "core/http/http-client.h"

struct http_client {
	struct env *env;
	struct http_policy policy; /* its texts are in `texts` */
	struct lab_arena *texts;
	struct env_semaphore connections;
	uint64_t last_request; /* number for "[Req1: ...]" */
	unsigned running;
};

/* One request of a caller, from its start to its outcome. */
struct http_run {
	struct http_client *client;
	const struct http_call *call;
	struct lab_arena *scratch; /* of the current attempt: its request and its answer */
	uint64_t number;
	uint64_t started_ns, deadline_ns;
	unsigned attempts, retries, connect_retries, redirects;
	struct lab_buf location; /* where the last redirect leads: "https://host/target" */
	bool renewed;
	bool uncertain; /* an attempt that failed may have been applied */
	bool fresh;     /* the last attempt failed on its connection */
	uint64_t bytes_out, bytes_in;

	/* the last attempt */
	struct lab_http_response response; /* status 0: none */
	const struct http_class *class;    /* NULL: failed before anything was sent */
	unsigned status;                   /* what the answer amounts to */
	const char *why;                   /* inspect()'s reason, or NULL */
	uint64_t took_ns, queued_ns;
	bool connect_failed;
	struct lab_error error; /* code LAB_OK after a success */
};

/* The log line of the last attempt, as lib-http has it: "Got 503 response for request [Req1: PUT
 * https://...]: Slow Down (x-amz-request-id:...) (took 63 ms + 140 ms in queue)". The URL is cut in
 * its middle to url_max bytes. */
#define HTTP_LINE_MAX 4096
void http_line_append(struct lab_buf *out, const struct http_run *run, size_t url_max);
/* Sets *err's message to the log line, as much of it as fits, the interesting parts first. */
void http_line_error(const struct http_run *run, struct lab_error *err);

enum http_report {
	HTTP_REPORT_FINISHED,
	HTTP_REPORT_RETRIED,
	HTTP_REPORT_REDIRECTED,
	HTTP_REPORT_SLOW
};
void http_report(const struct http_run *run, enum http_report report, const struct lab_error *err);

/* Where a 3xx answer leads, as a whole URL: into `out`. 1 there is somewhere; 0 not a redirect that
 * is followed, *ret_why (a literal, or NULL) says why. `request` is the one that was answered.
 * Pure. */
#define HTTP_LOCATION_MAX 8192
int http_redirect_find(const struct lab_http_request *request,
	const struct lab_http_response *response, struct lab_buf *out, const char **ret_why);
/* Points the request to a URL that http_redirect_find() gave. */
void http_redirect_apply(struct lab_view location, struct lab_http_request *request);
/* Adds the headers of the policy and the reason. -1 LAB_LIMIT. */
int http_add_headers(const struct http_client *client, const struct http_call *call,
	struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err);
/* No control characters. */
bool http_is_header_value(struct lab_view text);

#endif
