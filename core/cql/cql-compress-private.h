/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-compress-private.h - LZ4 blocks, for bodies and for segments.
 */
#ifndef LAB_CQL_COMPRESS_PRIVATE_H
#define LAB_CQL_COMPRESS_PRIVATE_H

#include "core/cql/cql-codec-private.h"

/* In the arena. */
struct lab_view cql_lz4_compress(struct lab_arena *arena, struct lab_view plain);
/* Of exactly `plain_bytes`. `header` bytes are counted before the block in the error's offset. */
int cql_lz4_decompress(struct lab_arena *arena, struct lab_view block, size_t plain_bytes,
	size_t header, struct lab_view *ret, struct lab_error *err);

#endif
