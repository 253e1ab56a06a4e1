/* SPDX-License-Identifier: Apache-2.0
 *
 * sigv2.h - AWS signature version 2 as S3 has it: what Dovecot uses when no region is given.
 *
 * Rules      s3 1.7. Pure functions over a request, for clients and for verifiers.
 * Effects    None; allocates in the buffers and arenas that it is given.
 */
#ifndef LAB_AWS_SIGV2_H
#define LAB_AWS_SIGV2_H

#include "core/aws/credentials.h"

#define SIGV2_SIGNATURE_SIZE 29 /* base64 of a SHA-1, and a NUL */

/* Appends the string to sign. `bucket` is the bucket that the host names, empty with path style.
 * `expires` is the Expires parameter of query authentication: it stands in the place of the date;
 * ptr NULL with header authentication. -1 LAB_LIMIT: `out` is full, or too many headers or
 * sub-resources. */
int sigv2_string_to_sign(const struct lab_http_request *request, struct lab_view bucket,
	struct lab_view expires, struct lab_buf *out, struct lab_error *err);
void sigv2_signature(
	struct lab_view secret, struct lab_view string_to_sign, char out[SIGV2_SIGNATURE_SIZE]);

/* Adds Date and Authorization. New text is in the arena, scratch is on the heap meanwhile. */
int sigv2_sign_headers(struct lab_http_request *request, struct lab_view bucket,
	const struct aws_credentials *credentials, int64_t now_unix, struct lab_heap *heap,
	struct lab_arena *arena, struct lab_error *err);

#endif
