/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-xml.h - the XML bodies of S3 that a client reads and writes (s3 1.3, 1.5, 1.6).
 *
 * Purpose    Bounded readers over expat, with or without the S3 namespace; one writer.
 * Ownership  Results are copies in the arena. Expat's own memory is gone when a function returns.
 * Limits     Documents with a DOCTYPE, deeper than S3_XML_DEPTH_MAX, or with a key longer than
 *            S3_XML_TEXT_MAX are refused; lists take their maximum as an argument.
 * Errors     LAB_CORRUPT: not well-formed, cut off, or another document; LAB_LIMIT: too many
 * entries.
 */
#ifndef LAB_AWS_S3_XML_H
#define LAB_AWS_S3_XML_H

#include "core/base/base.h"

#define S3_XML_DEPTH_MAX 8
#define S3_XML_TEXT_MAX 4096
#define S3_XML_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

struct s3_error {
	struct lab_view code;    /* "NoSuchKey"; never empty */
	struct lab_view message; /* as S3 wrote it, maybe empty */
};
/* 1 if the body is an <Error> document with a code, 0 if it is anything else. */
int s3_error_parse(struct lab_view body, struct lab_arena *arena, struct s3_error *ret);

/* One key of a DeleteResult. */
struct s3_deleted {
	struct lab_view key;
	struct lab_view code; /* ptr NULL: deleted */
	struct lab_view message;
};
int s3_delete_result_parse(struct lab_view body, size_t max_entries, struct lab_arena *arena,
	struct s3_deleted **ret, size_t *ret_count, struct lab_error *err);

/* One page of ListObjects (version 1). With encoding-type=url everything is decoded already. */
struct s3_list_page {
	bool truncated;
	struct lab_view next_marker; /* ptr NULL if there is none */
	struct lab_view *keys;
	size_t key_count;
	int64_t *modified;         /* unix seconds, of each key; INT64_MAX: not told */
	struct lab_view *prefixes; /* CommonPrefixes */
	size_t prefix_count;
};
int s3_list_page_parse(struct lab_view body, size_t max_entries, struct lab_arena *arena,
	struct s3_list_page *ret, struct lab_error *err);

/* Appends the body of POST ?delete. Not quiet: the answer confirms each key. */
void s3_delete_append(struct lab_buf *out, const struct lab_view *keys, size_t count);

#endif
