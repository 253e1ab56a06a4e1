/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments of version 5 (native_protocol_v5.spec 2): little-endian headers of 3 bytes, or 5 with
 * LZ4, and a CRC24 of them; payload; a CRC32 of it.
 */
#include "core/cql/cql-compress-private.h"

#include "core/base/crc.h"

#define CRC24_INIT 0x875060u
#define CRC24_POLYNOMIAL 0x1974f0bu
#define CRC_BYTES 3
#define TRAILER_BYTES 4
#define LENGTH_BITS 17
#define LENGTH_MASK ((1u << LENGTH_BITS) - 1)

/* How much of a long frame Cassandra puts into a segment, without compression and with it. */
#define PIECE_BYTES 131054
#define LZ4_PIECE_BYTES 131060

struct layout {
	size_t header_bytes; /* without its CRC */
	unsigned self_contained_bit;
};
static const struct layout plain_layout = { 3, LENGTH_BITS };
static const struct layout lz4_layout = { 5, 2 * LENGTH_BITS };

static const struct layout *layout_of(enum cql_compression compression)
{
	lab_assert(compression != CQL_SNAPPY);
	return compression == CQL_LZ4 ? &lz4_layout : &plain_layout;
}

static uint32_t crc24(struct lab_view bytes)
{
	uint32_t crc = CRC24_INIT;
	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (uint32_t)bytes.ptr[i] << 16;
		for (unsigned bit = 0; bit < 8; bit++) {
			crc <<= 1;
			if ((crc & 0x1000000u) != 0)
				crc ^= CRC24_POLYNOMIAL;
		}
	}
	return crc;
}

/* Begins with four bytes that are not sent, so that zeros have a checksum, too. */
static uint32_t crc32_of(struct lab_view payload)
{
	static const uint8_t first[] = { 0xfa, 0x2d, 0x55, 0xca };
	uint64_t crc = lab_crc(LAB_CRC32, 0, lab_view_of(first, sizeof(first)));
	return (uint32_t)lab_crc(LAB_CRC32, crc, payload);
}

static uint64_t little_endian(const uint8_t *p, size_t count)
{
	uint64_t value = 0;
	for (size_t i = 0; i < count; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

static void put_little_endian(struct lab_buf *out, uint64_t value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lab_buf_append_byte(out, (uint8_t)(value >> (8 * i)));
}

/* ---- decode ---- */

/* As Cassandra prints them, the body's as a Java int. */
static int wrong_checksum(const char *where, int64_t read, int64_t computed, struct lab_error *err)
{
	return lab_fail(err, LAB_CORRUPT,
		"unrecoverable CRC mismatch detected in frame %s. Read %" PRId64
		", Computed %" PRId64,
		where, read, computed);
}

static int check_payload(struct lab_view payload, const uint8_t *trailer, struct lab_error *err)
{
	uint32_t read = (uint32_t)little_endian(trailer, TRAILER_BYTES);
	uint32_t computed = crc32_of(payload);
	if (read == computed)
		return 0;
	return wrong_checksum("body", (int32_t)read, (int32_t)computed, err);
}

/* 1; 0 if more bytes are needed; -1. */
static int read_header(
	const struct layout *layout, struct lab_view input, uint64_t *ret, struct lab_error *err)
{
	size_t bytes = layout->header_bytes;
	if (input.len < bytes + CRC_BYTES)
		return 0;
	uint32_t read = (uint32_t)little_endian(input.ptr + bytes, CRC_BYTES);
	uint32_t computed = crc24(lab_view_sub(input, 0, bytes));
	if (read != computed)
		return wrong_checksum("header", read, computed, err);
	*ret = little_endian(input.ptr, bytes);
	return 1;
}

int cql_segment_next(struct lab_view input, enum cql_compression compression,
	struct lab_arena *arena, struct cql_segment *ret, size_t *ret_used, struct lab_error *err)
{
	const struct layout *layout = layout_of(compression);
	uint64_t header = 0;
	int result = read_header(layout, input, &header, err);
	if (result != 1)
		return result;
	size_t begin = layout->header_bytes + CRC_BYTES;
	size_t length = header & LENGTH_MASK;
	if (input.len < begin + length + TRAILER_BYTES)
		return 0;
	ret->payload = lab_view_sub(input, begin, length);
	ret->self_contained = (header >> layout->self_contained_bit & 1) != 0;
	*ret_used = begin + length + TRAILER_BYTES;
	if (check_payload(ret->payload, input.ptr + begin + length, err) < 0)
		return -1;
	size_t plain = compression == CQL_LZ4 ? header >> LENGTH_BITS & LENGTH_MASK : 0;
	if (plain == 0) /* not worth it, or not agreed on */
		return 1;
	if (cql_lz4_decompress(arena, ret->payload, plain, 0, &ret->payload, err) == 0)
		return 1;
	if (err != NULL)
		err->code = LAB_INVALID;
	return -1;
}

/* ---- encode ---- */

static void put_segment(struct lab_buf *out, struct lab_view payload, bool self_contained,
	enum cql_compression compression, struct lab_arena *scratch)
{
	const struct layout *layout = layout_of(compression);
	struct lab_view sent = payload;
	uint64_t header = 0;
	if (compression == CQL_LZ4 && payload.len > 0) {
		struct lab_view block = cql_lz4_compress(scratch, payload);
		if (block.len < payload.len) {
			sent = block;
			header = (uint64_t)payload.len << LENGTH_BITS;
		}
	}
	header |= sent.len;
	header |= (uint64_t)self_contained << layout->self_contained_bit;
	size_t begin = out->len;
	put_little_endian(out, header, layout->header_bytes);
	if (out->overflow)
		return;
	struct lab_view bytes = lab_view_of(out->data + begin, layout->header_bytes);
	put_little_endian(out, crc24(bytes), CRC_BYTES);
	lab_buf_append_view(out, sent);
	put_little_endian(out, crc32_of(sent), TRAILER_BYTES);
}

void cql_segments_put(struct lab_buf *out, struct lab_view frame, enum cql_compression compression,
	struct lab_arena *scratch)
{
	size_t piece = compression == CQL_LZ4 ? LZ4_PIECE_BYTES : PIECE_BYTES;
	bool fits = frame.len <= piece;
	for (size_t at = 0; at < frame.len; at += piece) {
		size_t len = LAB_MIN(piece, frame.len - at);
		put_segment(out, lab_view_sub(frame, at, len), fits, compression, scratch);
	}
}
