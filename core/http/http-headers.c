/* SPDX-License-Identifier: Apache-2.0
 *
 * http-headers.c - the headers that the policy adds to each request (obox 1.6).
 */
#include "core/http/http-private.h"

bool http_is_header_value(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((text.ptr[i] < ' ' && text.ptr[i] != '\t') || text.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

static struct lab_view reason_value(const char *reason, size_t max_bytes, struct lab_arena *arena)
{
	struct lab_view text = lab_view_sub(lab_view_cstr(reason), 0, max_bytes);
	uint8_t *copy = lab_arena_alloc(arena, text.len + 1);

	for (size_t i = 0; i < text.len; i++)
		copy[i] = text.ptr[i] < ' ' || text.ptr[i] >= 0x7f ? '?' : text.ptr[i];
	return lab_view_of(copy, text.len);
}

static int add_value(struct lab_http_headers *headers, const char *name, struct lab_view value)
{
	if (value.ptr == NULL)
		return 0;
	return lab_http_header_add(headers, lab_view_cstr(name), value);
}

int http_add_headers(const struct http_client *client, const struct http_call *call,
	struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err)
{
	const struct http_policy *policy = &client->policy;
	struct lab_http_headers *headers = &request->headers;
	int result = add_value(headers, "User-Agent", policy->user_agent);

	if (policy->trace_headers) {
		result |= add_value(headers, "X-Dovecot-Username", policy->username);
		result |= add_value(headers, "X-Dovecot-Session-Id", policy->session_id);
	}
	if (call->reason != NULL && policy->reason_header_max_length > 0)
		result |= add_value(headers, "X-Dovecot-Reason",
			reason_value(call->reason, policy->reason_header_max_length, arena));
	for (size_t i = 0; i < policy->add_header_count; i++)
		result |= lab_http_header_add(
			headers, policy->add_headers[i].name, policy->add_headers[i].value);
	return result == 0 ? 0 : lab_fail(err, LAB_LIMIT, "too many headers in one request");
}
