/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata-text.h - values of x-amz-meta-*: what is not plain ASCII comes back from S3 as words of
 * RFC 2047, "=?UTF-8?B?...?=" or "=?UTF-8?Q?...?=" (s3 1.4).
 *
 * Writing    Values go out as they are, as Dovecot sends them, except those that would come back as
 *            something else: with a space at an end (HTTP drops it), or with "=?" in them
 *            (they would be decoded). Those go out as a word.
 * Reading    Words in UTF-8 and US-ASCII are decoded, white space between two of them is dropped;
 *            everything else stays as it is, also words that are damaged, that are in another
 *            charset, or that hide control characters.
 * Effects    Pure functions.
 */
#ifndef LAB_AWS_METADATA_TEXT_H
#define LAB_AWS_METADATA_TEXT_H

#include "core/base/base.h"

/* The text as it goes into a header: itself, or a copy in the arena. `heap` for scratch. */
struct lab_view metadata_text_encode(
	struct lab_view text, struct lab_heap *heap, struct lab_arena *arena);
/* The other way; never longer than what came. */
struct lab_view metadata_text_decode(
	struct lab_view text, struct lab_heap *heap, struct lab_arena *arena);

#endif
