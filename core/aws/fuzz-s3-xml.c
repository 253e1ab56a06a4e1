/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an answer of S3. The first byte chooses the reader.
 */
#include "core/aws/s3-xml.h"

#define ENTRIES_MAX 64

static void read_delete_result(struct lab_view body, struct lab_arena *arena)
{
	struct s3_deleted *items = NULL;
	struct lab_error err;
	size_t count = 0;

	if (s3_delete_result_parse(body, ENTRIES_MAX, arena, &items, &count, &err) < 0)
		return;
	lab_assert(count <= ENTRIES_MAX);
	for (size_t i = 0; i < count; i++)
		lab_assert(items[i].key.ptr != NULL && items[i].key.len <= S3_XML_TEXT_MAX);
}

static void read_list(struct lab_view body, struct lab_arena *arena)
{
	struct s3_list_page page;
	struct lab_error err;

	if (s3_list_page_parse(body, ENTRIES_MAX, arena, &page, &err) < 0)
		return;
	lab_assert(page.key_count <= ENTRIES_MAX && page.prefix_count <= ENTRIES_MAX);
	for (size_t i = 0; i < page.key_count; i++)
		lab_assert(page.keys[i].len <= S3_XML_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct lab_heap *heap;
	static struct lab_arena *arena;
	struct s3_error error;
	struct lab_view body;

	if (pool == NULL) {
		pool = lab_pool_new((size_t)64 << 20);
		heap = lab_heap_new(pool, (size_t)64 << 20);
		arena = lab_arena_new(heap, (size_t)32 << 20);
	}
	if (size == 0)
		return 0;
	lab_arena_reset(arena);
	body = lab_view_of(data + 1, size - 1);
	if (data[0] % 3 == 0)
		read_delete_result(body, arena);
	else if (data[0] % 3 == 1)
		read_list(body, arena);
	else if (s3_error_parse(body, arena, &error) == 1)
		lab_assert(error.code.len > 0);
	return 0;
}
