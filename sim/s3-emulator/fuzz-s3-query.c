/* SPDX-License-Identifier: Apache-2.0
 *
 * The query: of a listing without signatures, and of a presigned write, which must not be let in.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

static void submit_with(const char *method, const char *path, const uint8_t *data, size_t size)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("localhost") };
	struct lab_pool *pool = lab_pool_new((size_t)1 << 24);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 22);
	struct lab_buf target;

	lab_buf_init(&target, heap, (size_t)1 << 21);
	lab_buf_append_cstr(&target, path);
	lab_buf_append(&target, data, size);
	request.target = lab_buf_view(&target);
	fuzz_submit(&request);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct s3emu *open, *closed;
	struct lab_http_request put = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail/a/b%20c/d") };

	if (size > 1 << 20)
		return 0;
	if (open == NULL) {
		fuzz_start(false);
		fuzz_submit(&put);
		put.target = LAB_VIEW("/mail/a/z");
		fuzz_submit(&put);
		open = fuzz_s3;
		fuzz_s3 = NULL;
		fuzz_start(true);
		closed = fuzz_s3;
	}
	fuzz_s3 = open;
	submit_with("GET", "/mail?", data, size);
	fuzz_s3 = closed;
	submit_with("PUT", "/mail/k?", data, size);
	lab_assert(s3emu_counters(closed)->objects == 0);
	return 0;
}
