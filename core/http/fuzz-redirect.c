/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz-redirect.c - a Location from a server that is not trusted: what is followed is a clean URL,
 * never without TLS, and is its own redirect.
 */
#include "core/http/http-private.h"

#include <stdlib.h>

static struct lab_heap *heap;

static void check(const struct lab_http_request *request, struct lab_view location)
{
	struct lab_http_response response = { .status = 307 };
	struct lab_http_request followed = *request, again;
	struct lab_buf first, second;
	const char *why;

	lab_buf_init(&first, heap, HTTP_LOCATION_MAX);
	lab_buf_init(&second, heap, HTTP_LOCATION_MAX);
	(void)lab_http_header_add(&response.headers, LAB_VIEW("Location"), location);
	if (http_redirect_find(request, &response, &first, &why) == 1) {
		http_redirect_apply(lab_buf_view(&first), &followed);
		if (request->tls && !followed.tls)
			abort();
		if (followed.authority.len == 0 || followed.target.len == 0 ||
			followed.target.ptr[0] != '/')
			abort();
		for (size_t i = 0; i < first.len; i++) {
			if (first.data[i] <= ' ' || first.data[i] >= 0x7f)
				abort();
		}
		response.headers.items[0].value = lab_buf_view(&first);
		again = followed;
		if (http_redirect_find(&followed, &response, &second, &why) != 1)
			abort();
		http_redirect_apply(lab_buf_view(&second), &again);
		if (!lab_view_eq(again.authority, followed.authority) ||
			!lab_view_eq(again.target, followed.target))
			abort();
	}
	lab_buf_done(&second);
	lab_buf_done(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("b.example.com"),
		.target = LAB_VIEW("/k") };

	if (heap == NULL)
		heap = lab_heap_new(lab_pool_new((size_t)64 << 20), (size_t)64 << 20);
	for (unsigned tls = 0; tls < 2; tls++) {
		request.tls = tls == 1;
		check(&request, lab_view_of(data, size));
	}
	return 0;
}
