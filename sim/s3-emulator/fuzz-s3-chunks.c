/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies in aws-chunked framing. The first byte chooses the form and how long the data is said to
 * be. The decoder alone must stay inside the body and within what was said; the emulator must store
 * exactly that much without verification, and nothing at all from somebody without a key.
 */
#include "core/aws/sigv4.h"
#include "sim/s3-emulator/fuzzing-s3.h"
#include "sim/s3-emulator/aws-chunked.h"

static const char *const forms[] = { "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	"UNSIGNED-PAYLOAD" };

static void decode(struct lab_view body, bool is_signed, uint64_t size)
{
	struct s3emu_chunks chunks;
	struct s3emu_chunk chunk;
	struct s3emu_trailer trailer;
	enum s3emu_chunk_result result;
	uint64_t total = 0;

	s3emu_chunks_start(&chunks, body, is_signed, size);
	while ((result = s3emu_chunks_next(&chunks, &chunk)) == S3EMU_CHUNK_DATA) {
		lab_assert(chunk.data.len > 0 && chunk.data.ptr >= body.ptr);
		lab_assert(chunk.data.ptr + chunk.data.len <= body.ptr + body.len);
		lab_assert(chunk.signature.len == (is_signed ? S3EMU_CHUNK_SIGNATURE_LEN : 0));
		total += chunk.data.len;
	}
	lab_assert(total <= size);
	if (result != S3EMU_CHUNK_LAST)
		return;
	lab_assert(total == size);
	while (s3emu_chunks_trailer(&chunks, &trailer) > 0)
		lab_assert(trailer.name.len + trailer.value.len <= S3EMU_TRAILER_LINE_MAX);
}

/* A PUT whose header is signed properly: the chunks are what the fuzzer has to sign. */
static void sign(struct lab_http_request *request, struct lab_arena *arena, struct lab_heap *heap)
{
	struct aws_credentials credentials = { .access_key_id = LAB_VIEW("AKID"),
		.secret_access_key = LAB_VIEW("secret") };
	struct sigv4_signer signer = { .credentials = &credentials,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = 1767225600,
		.heap = heap };
	struct lab_error err;

	lab_assert(sigv4_sign_headers(request, &signer, arena, &err) == 0);
}

static void submit(struct lab_view body, const char *form, uint64_t size, bool is_signed)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 24);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 22);
	struct lab_arena *arena = lab_arena_new(heap, (size_t)1 << 21);
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail/k"),
		.body = body };

	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("x-amz-content-sha256"), lab_view_cstr(form));
	(void)lab_http_header_add(&request.headers, LAB_VIEW("x-amz-decoded-content-length"),
		lab_view_cstr(lab_arena_printf(arena, "%" PRIu64, size)));
	if (lab_view_find(body, LAB_VIEW("crc32:")) != SIZE_MAX)
		(void)lab_http_header_add(&request.headers, LAB_VIEW("x-amz-trailer"),
			LAB_VIEW("x-amz-checksum-crc32"));
	if (is_signed)
		sign(&request, arena, heap);
	fuzz_submit(&request);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static uint64_t put_count(const struct s3emu *s3)
{
	return s3emu_counters(s3)->created + s3emu_counters(s3)->overwritten;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct s3emu *open, *closed;
	struct s3emu_object_info info;
	struct lab_view body;
	const char *form;
	uint64_t decoded, puts;

	if (size == 0 || size > 1 << 20)
		return 0;
	if (open == NULL) {
		fuzz_start(false);
		open = fuzz_s3;
		fuzz_s3 = NULL;
		fuzz_start(true);
		closed = fuzz_s3;
	}
	body = lab_view_of(data + 1, size - 1);
	form = forms[data[0] & 3];
	decoded = data[0] >> 2;
	decode(body, (data[0] & 1) != 0, decoded);
	fuzz_s3 = open;
	puts = put_count(open);
	submit(body, form, decoded, false);
	if (put_count(open) > puts) {
		lab_assert(s3emu_object_find(open, LAB_VIEW("mail"), LAB_VIEW("k"), &info) == 1);
		lab_assert(info.size == ((data[0] & 3) == 3 ? body.len : decoded));
	}
	fuzz_s3 = closed;
	if ((data[0] & 3) == 1 || (data[0] & 3) == 2) {
		submit(body, form, decoded, true);
		lab_assert(s3emu_counters(closed)->objects == 0);
	}
	return 0;
}
