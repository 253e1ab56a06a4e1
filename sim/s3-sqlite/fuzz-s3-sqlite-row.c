/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers and parts of a stored object: the first byte says which. What is accepted is written as
 * the same bytes again.
 */
#include "sim/s3-sqlite/s3-sqlite-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536

static void check_headers(struct lab_arena *arena, struct lab_view bytes, struct lab_buf *out)
{
	struct s3emu_object *object = lab_arena_alloc(
		arena, sizeof(*object) + LAB_HTTP_HEADERS_MAX * sizeof(struct lab_http_header));
	struct lab_http_header *headers;

	if (s3sqlite_decode_headers(arena, bytes, &headers, &object->header_count) < 0)
		return;
	for (size_t i = 0; i < object->header_count; i++)
		object->headers[i] = headers[i];
	s3sqlite_encode_headers(out, object);
	lab_assert(lab_view_eq(lab_buf_view(out), bytes));
}

static void check_parts(struct lab_arena *arena, struct lab_view bytes, struct lab_buf *out)
{
	struct s3emu_object object = { .references = 1 };

	if (s3sqlite_decode_parts(arena, bytes, &object.parts, &object.part_count) < 0)
		return;
	s3sqlite_encode_parts(out, &object);
	lab_assert(lab_view_eq(lab_buf_view(out), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_buf out;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	pool = lab_pool_new((size_t)1 << 26);
	heap = lab_heap_new(pool, (size_t)1 << 26);
	arena = lab_arena_new(heap, (size_t)1 << 25);
	lab_buf_init(&out, heap, (size_t)1 << 20);
	if (data[0] % 2 == 0)
		check_headers(arena, lab_view_of(data + 1, size - 1), &out);
	else
		check_parts(arena, lab_view_of(data + 1, size - 1), &out);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
