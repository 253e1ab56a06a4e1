/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.h - taking big-endian numbers and bytes off the front of a view: what
 * lab_buf_append_u16(), _u32(), _u64() wrote.
 *
 * The error is sticky: what is not there reads as 0 or as an empty view, and `failed` says so once,
 * at the end. A decoder may set it, too, for what it finds wrong.
 */
#ifndef LAB_BASE_READER_H
#define LAB_BASE_READER_H

#include "core/base/view.h"

struct lab_reader {
	struct lab_view rest;
	bool failed;
};

/* The next len bytes, borrowed; empty if there are fewer. */
struct lab_view lab_read_view(struct lab_reader *reader, size_t len);
/* The next len bytes into `out`, which stays as it is if there are fewer. */
void lab_read_bytes(struct lab_reader *reader, void *out, size_t len);
uint8_t lab_read_u8(struct lab_reader *reader);
uint16_t lab_read_u16(struct lab_reader *reader);
uint32_t lab_read_u32(struct lab_reader *reader);
uint64_t lab_read_u64(struct lab_reader *reader);
/* A 32-bit count of things that take at least `bytes` each: 0 and failed if they cannot be there,
 * so that nobody allocates for them. */
uint32_t lab_read_count(struct lab_reader *reader, size_t bytes);

#endif
