/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/reader.h"

#include "core/base/base.h"

struct lab_view lab_read_view(struct lab_reader *reader, size_t len)
{
	struct lab_view taken = lab_view_sub(reader->rest, 0, len);

	if (taken.len < len) {
		reader->failed = true;
		reader->rest = lab_view_skip(reader->rest, reader->rest.len);
		return lab_view_of(NULL, 0);
	}
	reader->rest = lab_view_skip(reader->rest, len);
	return taken;
}

void lab_read_bytes(struct lab_reader *reader, void *out, size_t len)
{
	struct lab_view taken = lab_read_view(reader, len);

	if (taken.len > 0)
		memcpy(out, taken.ptr, taken.len);
}

static uint64_t read_number(struct lab_reader *reader, size_t bytes)
{
	struct lab_view taken = lab_read_view(reader, bytes);
	uint64_t value = 0;

	for (size_t i = 0; i < taken.len; i++)
		value = value << 8 | taken.ptr[i];
	return value;
}

uint8_t lab_read_u8(struct lab_reader *reader)
{
	return (uint8_t)read_number(reader, 1);
}

uint16_t lab_read_u16(struct lab_reader *reader)
{
	return (uint16_t)read_number(reader, 2);
}

uint32_t lab_read_u32(struct lab_reader *reader)
{
	return (uint32_t)read_number(reader, 4);
}

uint64_t lab_read_u64(struct lab_reader *reader)
{
	return read_number(reader, 8);
}

uint32_t lab_read_count(struct lab_reader *reader, size_t bytes)
{
	uint32_t count = lab_read_u32(reader);

	lab_assert(bytes > 0);
	if (count > reader->rest.len / bytes)
		reader->failed = true;
	return reader->failed ? 0 : count;
}
