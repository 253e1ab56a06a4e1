/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz-metadata-text.c - any header value is decoded to nothing longer and without new control
 * characters; what is encoded comes back.
 */
#include "core/aws/metadata-text.h"

#include <stdlib.h>

static struct lab_heap *heap;

static bool has_control(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size), decoded, encoded;
	struct lab_arena *arena;

	if (heap == NULL)
		heap = lab_heap_new(lab_pool_new((size_t)64 << 20), (size_t)64 << 20);
	arena = lab_arena_new(heap, (size_t)32 << 20);
	decoded = metadata_text_decode(text, heap, arena);
	if (decoded.len > text.len || (!has_control(text) && has_control(decoded)))
		abort();
	encoded = metadata_text_encode(text, heap, arena);
	if (!has_control(text) && !lab_view_eq(metadata_text_decode(encoded, heap, arena), text))
		abort();
	lab_arena_free(&arena);
	return 0;
}
