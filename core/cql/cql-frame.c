/* SPDX-License-Identifier: Apache-2.0
 *
 * Frame headers and framing (cql-imds 1.1, 1.8).
 */
#include "core/cql/cql-codec-private.h"

#define DIRECTION 0x80

/* Protocols 1 and 2 had a stream id of one byte. */
static size_t header_size(uint8_t version)
{
	return version == 1 || version == 2 ? CQL_HEADER_BYTES - 1 : CQL_HEADER_BYTES;
}

int cql_header_decode(struct lab_view bytes, struct cql_header *ret, size_t *ret_bytes)
{
	if (bytes.len == 0)
		return 0;
	uint8_t version = bytes.ptr[0] & (uint8_t)~DIRECTION;
	size_t size = header_size(version);
	if (bytes.len < size)
		return 0;
	struct cql_reader r = cql_reader_of(lab_view_sub(bytes, 1, size - 1));
	*ret = (struct cql_header){ .version = version,
		.response = (bytes.ptr[0] & DIRECTION) != 0,
		.flags = cql_read_byte(&r) };
	if (size == CQL_HEADER_BYTES)
		ret->stream = (int16_t)cql_read_short(&r);
	else
		ret->stream = (int8_t)cql_read_byte(&r);
	ret->opcode = cql_read_byte(&r);
	ret->length = (uint32_t)cql_read_int(&r);
	*ret_bytes = size;
	return 1;
}

void cql_header_encode(struct lab_buf *out, const struct cql_header *header)
{
	lab_assert((header->version & DIRECTION) == 0);
	lab_buf_append_byte(out, (uint8_t)(header->version | (header->response ? DIRECTION : 0)));
	lab_buf_append_byte(out, header->flags);
	if (header_size(header->version) == CQL_HEADER_BYTES)
		lab_buf_append_u16(out, (uint16_t)header->stream);
	else
		lab_buf_append_byte(out, (uint8_t)header->stream);
	lab_buf_append_byte(out, header->opcode);
	lab_buf_append_u32(out, header->length);
}

int cql_frame_next(struct lab_view input, size_t max_body_bytes, struct cql_frame *ret,
	size_t *ret_used, struct lab_error *err)
{
	struct cql_header header;
	size_t size;
	if (cql_header_decode(input, &header, &size) == 0)
		return 0;
	if (header.length > max_body_bytes) {
		return lab_fail(err, LAB_LIMIT,
			"Request is too big: length %zu exceeds maximum allowed length %zu.",
			size + header.length, max_body_bytes);
	}
	if (input.len - size < header.length)
		return 0;
	ret->header = header;
	ret->body = lab_view_of(input.ptr + size, header.length);
	*ret_used = size + header.length;
	return 1;
}

size_t cql_frame_begin(struct lab_buf *out, const struct cql_header *header)
{
	size_t begin = out->len;
	cql_header_encode(out, header);
	return begin;
}

void cql_frame_end(struct lab_buf *out, size_t begin)
{
	if (out->overflow)
		return;
	size_t size = header_size(out->data[begin] & (uint8_t)~DIRECTION);
	uint32_t length = (uint32_t)(out->len - begin - size);
	uint8_t *p = out->data + begin + size - 4;
	p[0] = (uint8_t)(length >> 24);
	p[1] = (uint8_t)(length >> 16);
	p[2] = (uint8_t)(length >> 8);
	p[3] = (uint8_t)length;
}
