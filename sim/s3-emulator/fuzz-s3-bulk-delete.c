/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of POST ?delete, with its digest right.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_http_request put = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail/k"),
		.body = LAB_VIEW("x") };
	struct lab_http_request post = { .method = LAB_VIEW("POST"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail?delete"),
		.body = lab_view_of(data, size) };
	uint8_t md5[16];
	struct lab_pool *pool = lab_pool_new((size_t)1 << 24);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 20);
	struct lab_buf text;

	fuzz_start(false);
	fuzz_submit(&put);
	lab_digest(LAB_MD5, post.body, md5);
	lab_buf_init(&text, heap, 100);
	lab_buf_append_base64(&text, lab_view_of(md5, 16));
	(void)lab_http_header_add(&post.headers, LAB_VIEW("Content-MD5"), lab_buf_view(&text));
	fuzz_submit(&post);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
