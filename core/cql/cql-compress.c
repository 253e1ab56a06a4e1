/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed bodies of versions 3 and 4 (cql-imds 1.9), and what cql-segment.c needs of LZ4.
 */
#include "core/cql/cql-compress-private.h"

#include <lz4.h>
#include <snappy-c.h>

static const char *const names[] = { "none", "lz4", "snappy" };

const char *cql_compression_name(enum cql_compression compression)
{
	return names[compression];
}

int cql_compression_parse(struct lab_view name, enum cql_compression *ret)
{
	for (unsigned i = CQL_LZ4; i < LAB_COUNT_OF(names); i++) {
		if (!lab_view_eq_nocase(name, lab_view_cstr(names[i])))
			continue;
		*ret = (enum cql_compression)i;
		return 0;
	}
	return -1;
}

/* ---- blocks ---- */

/* The state is not put on the stack: fibers have small ones. */
struct lab_view cql_lz4_compress(struct lab_arena *arena, struct lab_view plain)
{
	int bound = LZ4_compressBound((int)plain.len);
	char *block = lab_arena_alloc(arena, (size_t)bound);
	void *state = lab_arena_alloc(arena, (size_t)LZ4_sizeofState());
	int size = LZ4_compress_fast_extState(
		state, (const char *)plain.ptr, block, (int)plain.len, bound, 1);
	lab_assert(size > 0);
	return lab_view_of(block, (size_t)size);
}

/* What is left of an error of LZ4_decompress_safe() is where it was. */
static int lz4_fail(int size, size_t header, struct lab_error *err)
{
	return lab_fail(err, LAB_CORRUPT,
		"net.jpountz.lz4.LZ4Exception: Error decoding offset %zu of input buffer",
		header + (size < 0 ? (size_t)(-(size + 1)) : 0));
}

int cql_lz4_decompress(struct lab_arena *arena, struct lab_view block, size_t plain_bytes,
	size_t header, struct lab_view *ret, struct lab_error *err)
{
	char *plain = lab_arena_alloc(arena, plain_bytes + 1);
	int size = LZ4_decompress_safe(
		(const char *)block.ptr, plain, (int)block.len, (int)plain_bytes);
	if (size < 0 || (size_t)size != plain_bytes)
		return lz4_fail(size, header, err);
	*ret = lab_view_of(plain, plain_bytes);
	return 0;
}

/* ---- LZ4 bodies: [int] length, block ---- */

#define LENGTH_BYTES 4
#define DECODER "io.netty.handler.codec.DecoderException: "

static int check_bound(uint64_t bytes, size_t max, struct lab_error *err)
{
	if (bytes <= max)
		return 0;
	return lab_fail(err, LAB_LIMIT,
		"Request is too big: length %" PRIu64 " exceeds maximum allowed length %zu.", bytes,
		max);
}

static int lz4_body(struct lab_arena *arena, struct lab_view body, size_t max, struct lab_view *ret,
	struct lab_error *err)
{
	struct cql_reader r = cql_reader_of(body);
	if (body.len < LENGTH_BYTES) {
		return lab_fail(err, LAB_CORRUPT,
			DECODER "java.lang.ArrayIndexOutOfBoundsException: Index %zu out of bounds "
				"for length %zu",
			body.len, body.len);
	}
	int32_t bytes = cql_read_int(&r);
	if (bytes < 0) {
		return lab_fail(err, LAB_CORRUPT,
			DECODER "java.lang.IllegalArgumentException: initialCapacity: %" PRId32
				" (expected: >= 0)",
			bytes);
	}
	if (check_bound((uint64_t)bytes, max, err) < 0)
		return -1;
	if (r.rest.len == 0) {
		return lab_fail(err, LAB_CORRUPT,
			DECODER "java.lang.ArrayIndexOutOfBoundsException: Array index out of "
				"range: %d",
			LENGTH_BYTES);
	}
	struct lab_error why;
	if (cql_lz4_decompress(arena, r.rest, (size_t)bytes, LENGTH_BYTES, ret, &why) == 0)
		return 0;
	return lab_fail(err, LAB_CORRUPT, DECODER "%s", why.message);
}

/* ---- Snappy bodies ---- */

static int snappy_body(struct lab_arena *arena, struct lab_view body, size_t max,
	struct lab_view *ret, struct lab_error *err)
{
	const char *block = (const char *)body.ptr;
	size_t bytes = 0;
	bool known = snappy_uncompressed_length(block, body.len, &bytes) == SNAPPY_OK;
	if (known && check_bound(bytes, max, err) < 0)
		return -1;
	char *plain = lab_arena_alloc(arena, bytes + 1);
	if (!known || snappy_uncompress(block, body.len, plain, &bytes) != SNAPPY_OK) {
		return lab_fail(
			err, LAB_CORRUPT, "Provided frame does not appear to be Snappy compressed");
	}
	*ret = lab_view_of(plain, bytes);
	return 0;
}

static struct lab_view snappy_block(struct lab_arena *arena, struct lab_view plain)
{
	size_t bytes = snappy_max_compressed_length(plain.len);
	char *block = lab_arena_alloc(arena, bytes);
	snappy_status status = snappy_compress((const char *)plain.ptr, plain.len, block, &bytes);
	lab_assert(status == SNAPPY_OK);
	return lab_view_of(block, bytes);
}

/* ---- frames ---- */

void cql_frame_compress(struct lab_buf *out, struct lab_view frame,
	enum cql_compression compression, struct lab_arena *scratch)
{
	struct cql_header header;
	size_t size;
	int complete = cql_header_decode(frame, &header, &size);
	lab_assert(complete == 1 && compression != CQL_UNCOMPRESSED);
	struct lab_view plain = lab_view_skip(frame, size);
	header.flags |= CQL_FLAG_COMPRESSED;
	size_t begin = cql_frame_begin(out, &header);
	if (compression == CQL_LZ4) {
		lab_buf_append_u32(out, (uint32_t)plain.len);
		lab_buf_append_view(out, cql_lz4_compress(scratch, plain));
	} else {
		lab_buf_append_view(out, snappy_block(scratch, plain));
	}
	cql_frame_end(out, begin);
}

int cql_frame_decompress(const struct cql_frame *frame, enum cql_compression compression,
	size_t max_body_bytes, struct lab_arena *arena, struct cql_frame *ret,
	struct lab_error *err)
{
	*ret = *frame;
	ret->header.flags &= (uint8_t)~CQL_FLAG_COMPRESSED;
	if (compression == CQL_LZ4)
		return lz4_body(arena, frame->body, max_body_bytes, &ret->body, err);
	return snappy_body(arena, frame->body, max_body_bytes, &ret->body, err);
}
