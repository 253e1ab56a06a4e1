/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-triplet.h - an inverted index: one that is being made (builder), and one as it was read from
 * its three objects (triplet). Pure: no storage, no clock.
 *
 * Docs       A mail is two docs, its header and its body. A mail is in a builder once, whatever is
 *            added to it.
 * Limits     FTS_DOCS_MAX docs and FTS_WORDS_MAX different words of a builder, lists of
 *            FTS_FILE_MAX bytes: then nothing more goes in.
 */
#ifndef LAB_FTS_TRIPLET_H
#define LAB_FTS_TRIPLET_H

#include "core/fts/fts-format.h"

#define FTS_WORDS_MAX 20000000u

typedef void (*fts_found_fn)(void *ctx, const struct fts_doc *doc);
/* Whether a mail goes on to the next triplet. */
typedef bool (*fts_keep_fn)(void *ctx, const struct fts_mail *mail);

/* ---- triplets ---- */

struct fts_triplet {
	struct lab_heap *heap;
	struct fts_guid guid;
	struct fts_docs docs;
	uint64_t l_bytes; /* size of its L; 0: not read yet */
	uint64_t seen_ns; /* when this backend has read it; 0: it was made here */
	bool has_words;   /* W and L are here, too: */
	uint8_t *w, *l;   /* as they were read; its own */
	struct fts_wordlist words;
	struct lab_view lists;
};

struct fts_triplet *fts_triplet_new(struct lab_heap *heap, const struct fts_guid *guid);
/* NULLs the pointer; accepts NULL. */
void fts_triplet_free(struct fts_triplet **triplet);
/* What the objects say; copies. -1 LAB_CORRUPT, LAB_UNSUPPORTED. */
int fts_triplet_take_docs(struct fts_triplet *triplet, struct lab_view d, struct lab_error *err);
int fts_triplet_take_words(
	struct fts_triplet *triplet, struct lab_view w, struct lab_view l, struct lab_error *err);
/* W and L leave the memory again. */
void fts_triplet_drop_words(struct fts_triplet *triplet);
/* Bytes of W and L in memory. */
size_t fts_triplet_bytes(const struct fts_triplet *triplet);
/* Tells all docs that have the word, or a word that begins with it. -1 LAB_CORRUPT. */
int fts_triplet_find(const struct fts_triplet *triplet, struct lab_view word, bool is_prefix,
	fts_found_fn fn, void *ctx, struct lab_error *err);

/* ---- builders ---- */

struct fts_builder;

struct fts_builder *fts_builder_new(struct lab_heap *heap);
/* NULLs the pointer; accepts NULL. */
void fts_builder_free(struct fts_builder **builder);
/* 1, 0 if it is there already, -1 LAB_LIMIT. */
int fts_builder_add_mail(struct fts_builder *builder, const struct fts_mail *mail,
	struct lab_view text, struct lab_error *err);
/* The mails of a triplet with words, or of another builder, for which keep() says so. -1
 * LAB_CORRUPT: the builder is of no use then. */
int fts_builder_add_triplet(struct fts_builder *builder, const struct fts_triplet *triplet,
	fts_keep_fn keep, void *ctx, struct lab_error *err);
int fts_builder_add_builder(struct fts_builder *builder, const struct fts_builder *from,
	fts_keep_fn keep, void *ctx, struct lab_error *err);
size_t fts_builder_mails(const struct fts_builder *builder);
bool fts_builder_has(const struct fts_builder *builder, const struct fts_mail *mail);
/* About how large its L will be. */
size_t fts_builder_list_bytes(const struct fts_builder *builder);
const struct fts_doc *fts_builder_docs(const struct fts_builder *builder, size_t *ret_count);
void fts_builder_find(const struct fts_builder *builder, struct lab_view word, bool is_prefix,
	fts_found_fn fn, void *ctx);
/* Empty buffers in, its three objects out. */
void fts_builder_encode(const struct fts_builder *builder, const struct fts_guid *guid,
	struct fts_guid *replaced, size_t replaced_count, struct lab_buf *d, struct lab_buf *w,
	struct lab_buf *l);

#endif
