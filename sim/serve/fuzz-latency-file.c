/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of latencies: whatever is in it, either a sentence says what is wrong, or the emulator
 * takes it.
 */
#include "sim/serve/latency-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 28);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 27);
	struct lab_arena *arena = lab_arena_new(heap, (size_t)1 << 26);
	struct lab_error err = { .message = "" };
	struct s3emu_options options;
	struct s3emu *s3 = NULL;

	s3emu_options_init(&options);
	options.limits.stored_bytes_max = options.limits.object_bytes_max = 1 << 20;
	if (latency_file_parse("fuzz", lab_view_of(data, size), arena, &options.latency[S3EMU_GET],
		    &err) < 0) {
		lab_assert(strncmp(err.message, "fuzz", 4) == 0);
		lab_assert(options.latency[S3EMU_GET].table_count == 0);
		lab_assert(options.latency[S3EMU_GET].trace_count == 0);
	} else if (s3emu_new(pool, &options, &s3, &err) < 0) {
		lab_bug("the emulator refuses what the file's reader took");
	}
	s3emu_free(&s3);
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
