/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/aws-chunked.h"

#define SIZE_DIGITS_MAX 16
#define SIGNATURE_NAME ";chunk-signature="

void s3emu_chunks_start(
	struct s3emu_chunks *chunks, struct lab_view body, bool is_signed, uint64_t decoded_size)
{
	chunks->rest = body;
	chunks->is_signed = is_signed;
	chunks->count = chunks->last_size = 0;
	chunks->decoded_left = decoded_size;
}

/* Takes exactly this text off the front, or -1. */
static int take(struct lab_view *rest, struct lab_view text)
{
	if (!lab_view_starts_with(*rest, text))
		return -1;
	*rest = lab_view_skip(*rest, text.len);
	return 0;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int take_size(struct lab_view *rest, uint64_t *ret)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < rest->len && hex_value(rest->ptr[i]) >= 0; i++) {
		if (i == SIZE_DIGITS_MAX)
			return -1;
		size = size << 4 | (uint64_t)hex_value(rest->ptr[i]);
	}
	if (i == 0)
		return -1;
	*rest = lab_view_skip(*rest, i);
	*ret = size;
	return 0;
}

static int take_signature(struct lab_view *rest, struct lab_view *ret)
{
	struct lab_view digits;
	size_t i;

	if (take(rest, LAB_VIEW(SIGNATURE_NAME)) < 0)
		return -1;
	digits = lab_view_sub(*rest, 0, S3EMU_CHUNK_SIGNATURE_LEN);
	for (i = 0; i < digits.len && hex_value(digits.ptr[i]) >= 0; i++)
		;
	if (i < S3EMU_CHUNK_SIGNATURE_LEN)
		return -1;
	*rest = lab_view_skip(*rest, digits.len);
	*ret = digits;
	return 0;
}

static int take_line_end(struct lab_view *rest)
{
	return take(rest, LAB_VIEW("\r\n"));
}

static enum s3emu_chunk_result last_chunk(const struct s3emu_chunks *chunks)
{
	return chunks->decoded_left == 0 ? S3EMU_CHUNK_LAST : S3EMU_CHUNK_BROKEN;
}

enum s3emu_chunk_result s3emu_chunks_next(struct s3emu_chunks *chunks, struct s3emu_chunk *ret)
{
	struct lab_view *rest = &chunks->rest;
	uint64_t size;

	ret->data = ret->signature = lab_view_of(NULL, 0);
	if (take_size(rest, &size) < 0)
		return S3EMU_CHUNK_BROKEN;
	/* Before the rest of the line is looked at: this is known first. */
	if (size > 0 && chunks->count > 0 && chunks->last_size < S3EMU_CHUNK_MIN)
		return S3EMU_CHUNK_TOO_SMALL;
	if (chunks->is_signed && take_signature(rest, &ret->signature) < 0)
		return S3EMU_CHUNK_BROKEN;
	if (take_line_end(rest) < 0)
		return S3EMU_CHUNK_BROKEN;
	chunks->count++;
	chunks->last_size = size;
	if (size == 0)
		return last_chunk(chunks);
	if (size > chunks->decoded_left || size > rest->len)
		return S3EMU_CHUNK_BROKEN;
	chunks->decoded_left -= size;
	ret->data = lab_view_sub(*rest, 0, (size_t)size);
	*rest = lab_view_skip(*rest, (size_t)size);
	return take_line_end(rest) < 0 ? S3EMU_CHUNK_BROKEN : S3EMU_CHUNK_DATA;
}

int s3emu_chunks_trailer(struct s3emu_chunks *chunks, struct s3emu_trailer *ret)
{
	struct lab_view head = lab_view_sub(chunks->rest, 0, S3EMU_TRAILER_LINE_MAX);
	size_t end = lab_view_find(head, LAB_VIEW("\r\n")), colon;
	struct lab_view line;

	if (end == SIZE_MAX)
		return -1;
	line = lab_view_sub(head, 0, end);
	chunks->rest = lab_view_skip(chunks->rest, end + 2);
	if (line.len == 0)
		return chunks->rest.len == 0 ? 0 : -1;
	if (line.ptr[line.len - 1] == '\n')
		line.len--;
	colon = lab_view_find_byte(line, ':');
	ret->name = lab_view_sub(line, 0, colon);
	ret->value = colon == SIZE_MAX ? lab_view_of(NULL, 0)
				       : lab_view_trim(lab_view_skip(line, colon + 1));
	return 1;
}
