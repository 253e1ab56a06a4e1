/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as segments, and as compressed bodies: never out of bounds, never more memory than the
 * limit allows; what comes out is packed again to something that gives the same. The first byte
 * chooses: 0 plain segments, 1 LZ4 ones, 2 an LZ4 body, 3 a Snappy body.
 */
#include "core/cql/cql-codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX (1u << 20)

struct fuzz {
	struct lab_heap *heap;
	struct lab_arena *arena;
};

/* Headers and checksums of as many segments as it takes. */
static size_t payload_room(struct lab_view payload)
{
	return payload.len + 1024;
}

static void repack_segment(
	struct fuzz *f, const struct cql_segment *segment, enum cql_compression compression)
{
	struct lab_buf out;
	struct cql_segment again;
	size_t used;
	lab_buf_init(&out, f->heap, payload_room(segment->payload));
	cql_segments_put(&out, segment->payload, compression, f->arena);
	struct lab_view rest = lab_buf_view(&out), wanted = segment->payload;
	while (rest.len > 0) {
		lab_assert(cql_segment_next(rest, compression, f->arena, &again, &used, NULL) == 1);
		lab_assert(lab_view_starts_with(wanted, again.payload));
		wanted = lab_view_skip(wanted, again.payload.len);
		rest = lab_view_skip(rest, used);
	}
	lab_assert(wanted.len == 0);
	lab_buf_done(&out);
}

static void segments(struct fuzz *f, struct lab_view rest, enum cql_compression compression)
{
	struct cql_segment segment;
	struct lab_error err;
	size_t used;
	for (;;) {
		int result = cql_segment_next(rest, compression, f->arena, &segment, &used, &err);
		if (result == 0 || (result < 0 && err.code != LAB_INVALID))
			return;
		lab_assert(used <= rest.len);
		if (result == 1) {
			lab_assert(segment.payload.len <= CQL_SEGMENT_PAYLOAD_MAX);
			repack_segment(f, &segment, compression);
		}
		rest = lab_view_skip(rest, used);
	}
}

/* The fuzzer cannot guess checksums: its bytes are a payload, too. */
static void as_payload(struct fuzz *f, struct lab_view bytes, enum cql_compression compression)
{
	struct cql_segment segment = { .self_contained = true, .payload = bytes };
	repack_segment(f, &segment, compression);
}

static void body(struct fuzz *f, struct lab_view bytes, enum cql_compression compression)
{
	struct cql_frame frame = { .header = { .version = 4,
					   .flags = CQL_FLAG_COMPRESSED,
					   .opcode = CQL_QUERY,
					   .length = (uint32_t)bytes.len },
		.body = bytes };
	struct cql_frame plain, again;
	struct lab_buf first, second;
	struct lab_error err;
	size_t used;
	if (cql_frame_decompress(&frame, compression, BODY_MAX, f->arena, &plain, &err) < 0)
		return;
	lab_assert(plain.body.len <= BODY_MAX);
	lab_buf_init(&first, f->heap, 2 * BODY_MAX);
	lab_buf_init(&second, f->heap, 4 * BODY_MAX);
	plain.header.length = (uint32_t)plain.body.len;
	cql_header_encode(&first, &plain.header);
	lab_buf_append_view(&first, plain.body);
	cql_frame_compress(&second, lab_buf_view(&first), compression, f->arena);
	lab_assert(cql_frame_next(lab_buf_view(&second), 4 * BODY_MAX, &again, &used, NULL) == 1);
	lab_assert(
		cql_frame_decompress(&again, compression, BODY_MAX, f->arena, &frame, &err) == 0);
	lab_assert(lab_view_eq(frame.body, plain.body));
	lab_buf_done(&first);
	lab_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	if (size == 0)
		return 0;
	if (pool == NULL)
		pool = lab_pool_new(512u << 20);
	struct fuzz f = { .heap = lab_heap_new(pool, 256u << 20) };
	f.arena = lab_arena_new(f.heap, 128u << 20);
	struct lab_view rest = lab_view_of(data + 1, size - 1);
	enum cql_compression compression = (data[0] & 1) == 0 ? CQL_UNCOMPRESSED : CQL_LZ4;
	if ((data[0] & 2) != 0) {
		body(&f, rest, (data[0] & 1) == 0 ? CQL_LZ4 : CQL_SNAPPY);
	} else {
		segments(&f, rest, compression);
		as_payload(&f, rest, compression);
	}
	lab_arena_free(&f.arena);
	lab_heap_drop(&f.heap);
	return 0;
}
