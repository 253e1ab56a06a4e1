/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as what a peer sends: refused, or all of it lies inside. The hash is made right first,
 * as an accident would not.
 */
#include "core/obox/metacache-pull.h"

#define SEED UINT64_C(0x6f626f7870756c6c)

static bool is_inside(struct lab_view whole, struct lab_view part)
{
	return part.len == 0 ||
	       (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void decode(struct lab_heap *heap, struct lab_view bytes)
{
	struct lab_arena *arena = lab_arena_new(heap, 1u << 26);
	struct metacache_archive archive;
	struct lab_error err;

	if (metacache_archive_decode(bytes, arena, &archive, &err) == 0) {
		lab_assert(is_inside(bytes, archive.root) && is_inside(bytes, archive.host));
		for (size_t i = 0; i < archive.folder_count; i++) {
			lab_assert(is_inside(bytes, archive.folders[i].state));
			lab_assert(is_inside(bytes, archive.folders[i].known));
			lab_assert(strlen(archive.folders[i].guid) == METACACHE_GUID_MAX - 1);
		}
	}
	lab_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_heap *heap;
	struct lab_buf hashed;

	if (heap == NULL)
		heap = lab_heap_new(lab_pool_new((size_t)1 << 30), (size_t)1 << 30);
	decode(heap, lab_view_of(data, size));
	lab_buf_init(&hashed, heap, size + 8);
	lab_buf_append(&hashed, data, size);
	lab_buf_append_u64(&hashed, lab_hash_view(SEED, lab_buf_view(&hashed)));
	decode(heap, lab_buf_view(&hashed));
	lab_buf_done(&hashed);
	return 0;
}
