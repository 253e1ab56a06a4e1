/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-codec-private.h - what the codec's sources share.
 */
#ifndef LAB_CQL_CODEC_PRIVATE_H
#define LAB_CQL_CODEC_PRIVATE_H

#include "core/cql/cql-codec.h"

/* Keeps the first error, and makes every later read come back empty. */
void cql_reader_fail(struct cql_reader *r, const char *error);
/* 0 if every read succeeded, else -1 LAB_CORRUPT with the reader's text. */
int cql_reader_check(const struct cql_reader *r, struct lab_error *err);
/* A [short] count of items of at least `min_bytes` each; 0 and an error if so many cannot follow.
 */
size_t cql_read_count(struct cql_reader *r, size_t min_bytes);
/* [value], after its name if it is `named`. Version 3 has no unset: all below 0 is null. */
void cql_read_bind(struct cql_reader *r, bool named, bool may_be_unset, struct cql_bind *ret);
/* With a port / without one. */
struct cql_inet cql_read_inet(struct cql_reader *r);
struct cql_inet cql_read_address(struct cql_reader *r);
struct cql_strings cql_read_strings(struct cql_reader *r, struct lab_arena *arena);
struct cql_map cql_read_map(struct cql_reader *r, struct lab_arena *arena); /* [string map] */
struct cql_map cql_read_bytes_map(struct cql_reader *r, struct lab_arena *arena);

/* A [short] count; overflow if it is above 65,535. */
void cql_put_count(struct lab_buf *out, size_t count);
void cql_put_strings(struct lab_buf *out, const struct cql_strings *strings);
void cql_put_map(struct lab_buf *out, const struct cql_map *map);
void cql_put_bytes_map(struct lab_buf *out, const struct cql_map *map);

static inline bool cql_version_is_known(uint8_t version)
{
	return version >= CQL_VERSION_MIN && version <= CQL_VERSION_MAX;
}

/* Frames are written with a length of 0 that is filled in once the body is there. */
size_t cql_frame_begin(struct lab_buf *out, const struct cql_header *header);
void cql_frame_end(struct lab_buf *out, size_t begin);

void cql_put_type(struct lab_buf *out, const struct cql_type *type);
void cql_read_type(
	struct cql_reader *r, struct lab_arena *arena, unsigned depth, struct cql_type *ret);

#endif
