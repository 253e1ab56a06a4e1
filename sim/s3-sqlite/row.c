/* SPDX-License-Identifier: Apache-2.0
 *
 * row.c - headers and parts of an object as bytes: lengths, big-endian, before texts.
 */
#include "sim/s3-sqlite/s3-sqlite-private.h"

void s3sqlite_encode_headers(struct lab_buf *out, const struct s3emu_object *object)
{
	lab_buf_reset(out);
	for (size_t i = 0; i < object->header_count; i++) {
		const struct lab_http_header *header = &object->headers[i];

		lab_buf_append_u32(out, (uint32_t)header->name.len);
		lab_buf_append_view(out, header->name);
		lab_buf_append_u32(out, (uint32_t)header->value.len);
		lab_buf_append_view(out, header->value);
	}
}

void s3sqlite_encode_parts(struct lab_buf *out, const struct s3emu_object *object)
{
	lab_buf_reset(out);
	for (size_t i = 0; i < object->part_count; i++) {
		const struct s3emu_part *part = &object->parts[i];

		lab_buf_append_u64(out, part->size);
		lab_buf_append_u32(out, part->number);
		lab_buf_append_u32(out, part->checksum_len);
		lab_buf_append(out, part->checksum, part->checksum_len);
	}
}

/* ---- back ---- */

static bool take_u32(struct lab_view *rest, uint32_t *ret)
{
	if (rest->len < 4)
		return false;
	*ret = (uint32_t)rest->ptr[0] << 24 | (uint32_t)rest->ptr[1] << 16 |
	       (uint32_t)rest->ptr[2] << 8 | rest->ptr[3];
	*rest = lab_view_skip(*rest, 4);
	return true;
}

static bool take_bytes(struct lab_view *rest, size_t len, struct lab_view *ret)
{
	if (rest->len < len)
		return false;
	*ret = lab_view_sub(*rest, 0, len);
	*rest = lab_view_skip(*rest, len);
	return true;
}

static bool take_text(struct lab_view *rest, struct lab_view *ret)
{
	uint32_t len;

	return take_u32(rest, &len) && take_bytes(rest, len, ret);
}

int s3sqlite_decode_headers(struct lab_arena *arena, struct lab_view bytes,
	struct lab_http_header **ret, size_t *ret_count)
{
	struct lab_http_header *headers =
		lab_arena_array(arena, struct lab_http_header, LAB_HTTP_HEADERS_MAX);
	size_t count = 0;

	while (bytes.len > 0) {
		if (count == LAB_HTTP_HEADERS_MAX || !take_text(&bytes, &headers[count].name) ||
			!take_text(&bytes, &headers[count].value))
			return -1;
		count++;
	}
	*ret = headers;
	*ret_count = count;
	return 0;
}

static bool take_part(struct lab_view *rest, struct s3emu_part *part)
{
	struct lab_view checksum;
	uint32_t high, low;

	if (!take_u32(rest, &high) || !take_u32(rest, &low) || !take_u32(rest, &part->number) ||
		!take_u32(rest, &part->checksum_len) || part->checksum_len > S3EMU_CHECKSUM_MAX ||
		!take_bytes(rest, part->checksum_len, &checksum))
		return false;
	part->size = (uint64_t)high << 32 | low;
	memcpy(part->checksum, checksum.ptr, checksum.len);
	return true;
}

int s3sqlite_decode_parts(
	struct lab_arena *arena, struct lab_view bytes, struct s3emu_part **ret, size_t *ret_count)
{
	/* Each has 16 bytes at least. */
	struct s3emu_part *parts = lab_arena_array(arena, struct s3emu_part, bytes.len / 16);
	size_t count = 0;

	while (bytes.len > 0) {
		if (bytes.len < 16 || !take_part(&bytes, &parts[count]))
			return -1;
		count++;
	}
	*ret = parts;
	*ret_count = count;
	return 0;
}
