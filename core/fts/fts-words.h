/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-words.h - the words of a text, as fts_tokenizers "generic email-address" gives them.
 *
 * Words      Runs of ASCII letters, digits and bytes from 0x80 on, in lower case (ASCII only), cut
 *            after FTS_WORD_MAX bytes. Everything else is between words.
 * Addresses  What looks like local@domain is a word, too, beside the words that it is made of.
 * Decoding   None: base64 and quoted-printable are words as they stand.
 */
#ifndef LAB_FTS_WORDS_H
#define LAB_FTS_WORDS_H

#include "core/base/base.h"

#define FTS_WORD_MAX 250

typedef void (*fts_word_fn)(void *ctx, struct lab_view word);
/* `word` is borrowed during the call. A word that is there twice is told twice. */
void fts_words(struct lab_view text, fts_word_fn fn, void *ctx);

/* Where the header of a mail ends: behind its empty line. */
size_t fts_header_bytes(struct lab_view mail);

#endif
