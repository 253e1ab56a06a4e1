/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a role document: what is accepted can go into headers.
 */
#include "core/aws/imds-document.h"

static bool is_header_text(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct lab_heap *heap;
	static struct lab_arena *arena;
	struct aws_credentials credentials;
	struct lab_error err;

	if (pool == NULL) {
		pool = lab_pool_new((size_t)64 << 20);
		heap = lab_heap_new(pool, (size_t)64 << 20);
		arena = lab_arena_new(heap, (size_t)32 << 20);
	}
	lab_arena_reset(arena);
	if (imds_document_parse(lab_view_of(data, size), arena, &credentials, &err) < 0) {
		lab_assert(err.code == LAB_CORRUPT || err.code == LAB_DENIED);
		return 0;
	}
	lab_assert(credentials.access_key_id.len > 0 && credentials.secret_access_key.len > 0);
	lab_assert(is_header_text(credentials.access_key_id) && is_header_text(credentials.token));
	lab_assert(credentials.expires_unix > 0);
	return 0;
}
