/* SPDX-License-Identifier: Apache-2.0
 *
 * imds-document.h - the role document of IMDS (cql-imds 6.2). Private to core/aws.
 *
 * Strict: one JSON object, no repeated names, Code "Success", the key, the secret and the
 * expiration there and of a sane form. Everything in it ends up in headers, so it is printable
 * ASCII without blanks. No part of it is ever in a message.
 */
#ifndef LAB_AWS_IMDS_DOCUMENT_H
#define LAB_AWS_IMDS_DOCUMENT_H

#include "core/aws/credentials.h"

#define IMDS_DOCUMENT_MAX 16384

/* Copies into the arena. -1 LAB_DENIED: IMDS says that the role cannot be assumed; LAB_CORRUPT:
 * anything else. */
int imds_document_parse(struct lab_view body, struct lab_arena *arena, struct aws_credentials *ret,
	struct lab_error *err);

#endif
