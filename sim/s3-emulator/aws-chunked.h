/* SPDX-License-Identifier: Apache-2.0
 *
 * aws-chunked.h - takes bodies in aws-chunked framing apart (s3 1.8, 1.10).
 *
 * Purpose    The framing only: which bytes are a chunk's, which signature comes with it, which
 *            trailers follow. What they mean is payload.c's business.
 * Form       size[;chunk-signature=<64 hex digits>] CRLF data CRLF, ..., a chunk of size 0 without
 *            data, then each trailer "name:value" and at the very end an empty line. Lines end with
 *            CRLF; one LF before that belongs to the line's end too (minio-go sends it).
 * Strict     Sizes are 1 to 16 hex digits; nothing else stands in a line; nothing follows the end.
 *            Every chunk but the last that has data is at least S3EMU_CHUNK_MIN bytes long.
 * Effects    None: pure, no allocation; what it returns borrows from the body. Its work is bounded
 *            by the body's length.
 */
#ifndef LAB_S3_AWS_CHUNKED_H
#define LAB_S3_AWS_CHUNKED_H

#include "core/base/view.h"

#define S3EMU_CHUNK_MIN 8192
#define S3EMU_CHUNK_SIGNATURE_LEN 64
#define S3EMU_TRAILER_LINE_MAX 1024 /* bytes */

struct s3emu_chunks {
	struct lab_view rest;  /* what was not read yet */
	bool is_signed;        /* every chunk carries a signature */
	uint64_t count;        /* chunks returned so far, the empty one included */
	uint64_t last_size;    /* of the chunk before */
	uint64_t decoded_left; /* bytes of data that may still come */
};

struct s3emu_chunk {
	struct lab_view data;      /* empty: the last one */
	struct lab_view signature; /* ptr NULL if unsigned */
};

enum s3emu_chunk_result {
	S3EMU_CHUNK_DATA,
	S3EMU_CHUNK_LAST,      /* size 0; trailers are next */
	S3EMU_CHUNK_TOO_SMALL, /* the one before was; `count` + 1 is this one's number */
	S3EMU_CHUNK_BROKEN     /* no framing, cut off, or not decoded_size bytes in all */
};

/* `decoded_size` is what all chunks together must have. */
void s3emu_chunks_start(
	struct s3emu_chunks *chunks, struct lab_view body, bool is_signed, uint64_t decoded_size);
enum s3emu_chunk_result s3emu_chunks_next(struct s3emu_chunks *chunks, struct s3emu_chunk *ret);

struct s3emu_trailer {
	struct lab_view name, value; /* value without blanks at its ends */
};
/* After S3EMU_CHUNK_LAST. 1 a trailer; 0 the end of the body; -1 cut off, too long, or something
 * follows the end. A line without ':' is a name without a value (ptr NULL). */
int s3emu_chunks_trailer(struct s3emu_chunks *chunks, struct s3emu_trailer *ret);

#endif
