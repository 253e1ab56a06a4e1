/* SPDX-License-Identifier: Apache-2.0
 *
 * compress-codec.h - the algorithms of the compress driver: zstd, gz, deflate, lz4, each in one
 * call.
 *
 * Contexts of the libraries are kept for the thread and never across a blocking call. Compressed
 * bytes may differ between versions of a library: nothing may hash or trace them (simulation 3.5).
 */
#ifndef LAB_FS_COMPRESS_CODEC_H
#define LAB_FS_COMPRESS_CODEC_H

#include "core/base/base.h"

enum compress_algorithm {
	COMPRESS_NONE, /* what compress_detect() says of plain contents */
	COMPRESS_ZSTD,
	COMPRESS_GZ,
	COMPRESS_DEFLATE, /* zlib's own framing */
	COMPRESS_LZ4
};

/* COMPRESS_NONE if there is no such algorithm here. */
enum compress_algorithm compress_by_name(struct lab_view name);
/* By the magic number at the front. */
enum compress_algorithm compress_detect(struct lab_view contents);

/* Appends to `out`, which must have room by its own maximum: -1 LAB_LIMIT, LAB_INTERNAL. An empty
 * input gives a valid stream of nothing. */
int compress_encode(enum compress_algorithm algorithm, int level, struct lab_view plain,
	struct lab_buf *out, struct lab_error *err);
/* -1 LAB_CORRUPT (not such a stream, cut short, or bytes behind it), LAB_LIMIT. */
int compress_decode(enum compress_algorithm algorithm, struct lab_view compressed,
	struct lab_buf *out, struct lab_error *err);

#endif
