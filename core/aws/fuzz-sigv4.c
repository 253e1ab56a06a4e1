/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a target: both canonical forms take them or refuse them, and a canonical target is
 * its own canonical form.
 */
#include "core/aws/sigv2.h"
#include "core/aws/sigv4.h"

static int canonical(struct lab_view target, struct lab_heap *heap, struct lab_buf *out)
{
	struct lab_http_request request = {
		.method = LAB_VIEW("GET"), .authority = LAB_VIEW("h"), .target = target
	};
	struct lab_error err;

	lab_buf_init(out, heap, 65536);
	return sigv4_canonical_request(&request, LAB_VIEW("host"), LAB_VIEW("x"), out, &err);
}

/* The second and third line, put together as a target again. */
static struct lab_view target_of(struct lab_view canonical_request, struct lab_buf *out)
{
	struct lab_view rest = canonical_request, path, query, line;

	lab_view_split(&rest, '\n', &line);
	lab_view_split(&rest, '\n', &path);
	lab_view_split(&rest, '\n', &query);
	lab_buf_append_view(out, path);
	if (query.len > 0) {
		lab_buf_append_byte(out, '?');
		lab_buf_append_view(out, query);
	}
	return lab_buf_view(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct lab_heap *heap;
	struct lab_http_request request = { .method = LAB_VIEW("GET"), .authority = LAB_VIEW("h") };
	struct lab_buf first, second, target, text;
	struct lab_error err;

	if (pool == NULL) {
		pool = lab_pool_new((size_t)64 << 20);
		heap = lab_heap_new(pool, (size_t)64 << 20);
	}
	if (size > 8192)
		return 0;
	lab_buf_init(&target, heap, 65536);
	if (canonical(lab_view_of(data, size), heap, &first) == 0) {
		lab_assert(canonical(target_of(lab_buf_view(&first), &target), heap, &second) == 0);
		lab_assert(lab_view_eq(lab_buf_view(&first), lab_buf_view(&second)));
		lab_buf_done(&second);
	}
	lab_buf_done(&first);
	lab_buf_done(&target);

	request.target = lab_view_of(data, size);
	lab_buf_init(&text, heap, 65536);
	(void)sigv2_string_to_sign(
		&request, LAB_VIEW("b"), (struct lab_view){ NULL, 0 }, &text, &err);
	lab_buf_done(&text);
	return 0;
}
