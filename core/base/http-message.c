/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/http-message.h"

int lab_http_header_add(
	struct lab_http_headers *headers, struct lab_view name, struct lab_view value)
{
	if (headers->count == LAB_HTTP_HEADERS_MAX)
		return -1;
	headers->items[headers->count++] = (struct lab_http_header){ name, value };
	return 0;
}

struct lab_view lab_http_header_get(const struct lab_http_headers *headers, const char *name)
{
	struct lab_view want = lab_view_cstr(name);

	for (size_t i = 0; i < headers->count; i++) {
		if (lab_view_eq_nocase(headers->items[i].name, want))
			return headers->items[i].value;
	}
	return (struct lab_view){ NULL, 0 };
}

static void headers_copy(
	struct lab_arena *arena, const struct lab_http_headers *from, struct lab_http_headers *to)
{
	for (size_t i = 0; i < from->count; i++) {
		to->items[i].name = lab_arena_copy(arena, from->items[i].name);
		to->items[i].value = lab_arena_copy(arena, from->items[i].value);
	}
	to->count = from->count;
}

void lab_http_request_copy(
	struct lab_arena *arena, const struct lab_http_request *from, struct lab_http_request *to)
{
	to->method = lab_arena_copy(arena, from->method);
	to->tls = from->tls;
	to->authority = lab_arena_copy(arena, from->authority);
	to->target = lab_arena_copy(arena, from->target);
	headers_copy(arena, &from->headers, &to->headers);
	to->body = lab_arena_copy(arena, from->body);
}

void lab_http_response_copy(
	struct lab_arena *arena, const struct lab_http_response *from, struct lab_http_response *to)
{
	to->status = from->status;
	to->reason = lab_arena_copy(arena, from->reason);
	headers_copy(arena, &from->headers, &to->headers);
	to->body = lab_arena_copy(arena, from->body);
}
