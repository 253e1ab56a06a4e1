/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a stream of request frames: never out of bounds, and what decodes is encoded to
 * something that decodes to the same request.
 */
#include "core/cql/cql-codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct cql_frame *frame, const struct cql_request *request,
	struct lab_heap *heap, struct lab_arena *arena)
{
	struct lab_buf first, second;
	struct cql_frame copy;
	struct cql_request decoded;
	size_t used;
	lab_buf_init(&first, heap, 1u << 20);
	lab_buf_init(&second, heap, 1u << 20);
	cql_request_encode(&first, frame->header.version, frame->header.stream, request);
	lab_assert(!first.overflow);
	lab_assert(cql_frame_next(lab_buf_view(&first), 1u << 20, &copy, &used, NULL) == 1);
	lab_assert(used == first.len);
	lab_assert(cql_request_decode(&copy, arena, &decoded, NULL) == 0);
	cql_request_encode(&second, copy.header.version, copy.header.stream, &decoded);
	lab_assert(lab_view_eq(lab_buf_view(&first), lab_buf_view(&second)));
	lab_buf_done(&first);
	lab_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	struct lab_heap *heap = lab_heap_new(pool, 64u << 20);
	struct lab_arena *arena = lab_arena_new(heap, 32u << 20);
	struct lab_view rest = lab_view_of(data, size);
	struct cql_frame frame;
	struct lab_error err;
	size_t used;
	while (cql_frame_next(rest, 65536, &frame, &used, &err) == 1) {
		struct cql_request request;
		if (cql_request_decode(&frame, arena, &request, &err) == 0)
			again(&frame, &request, heap, arena);
		lab_arena_reset(arena);
		rest = lab_view_skip(rest, used);
	}
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	return 0;
}
