/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-format.h - the objects of a user's fts/ directory as bytes, and their names (obox 6.1). Pure:
 * no storage, no clock.
 *
 * Triplet    D  doc index: which part of which mail each doc is
 *            W  its words in byte order, and where their lists are in L
 *            L  lists of docs
 *            A word is in a mail if its list in L has a doc of that mail.
 * Control    S  statistics of all triplets; X  mails to be expunged; Y  mails already expunged
 * Names      "<kind>.<32 hex digits>": unique for ever, so nothing is ever written over. The three
 *            objects of a triplet have one GUID. X and Y are append-only: what is added is an
 *            object of its own.
 * Replaces   An object says which GUIDs it was made of. Whoever has read it does not count those
 *            any more, whether or not they are deleted yet.
 * Errors     LAB_CORRUPT for whatever no oboxlab has written; LAB_UNSUPPORTED for another version.
 */
#ifndef LAB_FTS_FORMAT_H
#define LAB_FTS_FORMAT_H

#include "core/env/env.h"
#include "core/fts/fts-words.h"

#define FTS_NAME_MAX 36 /* with the NUL */
#define FTS_DOCS_MAX 8000000u
#define FTS_REPLACED_MAX 100000u
/* Planning assumption of the product: no file above 500 MB. */
#define FTS_FILE_MAX (500u * 1024 * 1024)
/* Of S files; 2 has message counts (fts_dovecot_message_count_stats). */
#define FTS_STATS_PLAIN 1
#define FTS_STATS_COUNTS 2

struct fts_guid {
	uint8_t bytes[ENV_GUID128_SIZE];
};

/* ---- names ---- */

enum fts_kind {
	FTS_S,
	FTS_X,
	FTS_Y,
	FTS_D,
	FTS_W,
	FTS_L,
	FTS_KIND_COUNT
};
void fts_name_format(enum fts_kind kind, const struct fts_guid *guid, char out[FTS_NAME_MAX]);
/* -1 if it is none. */
int fts_name_parse(struct lab_view text, enum fts_kind *ret_kind, struct fts_guid *ret_guid);

/* ---- mails and docs ---- */

/* A mail under a UID. The UID is what FTS goes by; the name of its object (which never means
 * another mail) keeps a UID that was given anew from finding the wrong one. */
struct fts_mail {
	uint8_t mailbox[ENV_GUID128_SIZE];
	uint8_t name[ENV_GUID128_SIZE];
	uint32_t uid;
};
#define FTS_MAIL_BYTES (2 * ENV_GUID128_SIZE + 4)
/* As bytes, for maps. */
struct lab_view fts_mail_key(const struct fts_mail *mail, uint8_t out[FTS_MAIL_BYTES]);
struct fts_mail fts_mail_of_key(struct lab_view key);

enum fts_part {
	FTS_PART_HEADER,
	FTS_PART_BODY
};
struct fts_doc {
	struct fts_mail mail;
	uint8_t part;
};

/* ---- what they are when they are read: in a heap of the caller's ---- */

/* D */
struct fts_docs {
	struct fts_guid *replaced;
	size_t replaced_count;
	struct fts_doc *docs;
	size_t count;
};
void fts_docs_encode(const struct fts_guid *guid, const struct fts_docs *docs, struct lab_buf *out);
/* Of every decoder here: `guid` is that of the object's name, which must be in it. What it gives is
 * to be freed with the function below it, unless it fails. */
int fts_docs_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_docs *ret, struct lab_error *err);
void fts_docs_free(struct lab_heap *heap, struct fts_docs *docs);

/* W: the words in byte order. Views are borrowed from the bytes. */
struct fts_word {
	struct lab_view text;
	uint32_t offset, bytes, count; /* in L's lists: where, how long, how many docs */
};
struct fts_wordlist {
	struct fts_word *words;
	size_t count;
};
void fts_wordlist_encode(
	const struct fts_guid *guid, const struct fts_wordlist *words, struct lab_buf *out);
int fts_wordlist_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_wordlist *ret, struct lab_error *err);
void fts_wordlist_free(struct lab_heap *heap, struct fts_wordlist *words);

/* L: begin, then a list for each word in its order, then end. */
void fts_lists_begin(const struct fts_guid *guid, struct lab_buf *out);
/* Ascending doc numbers. Fills in where the list is. */
void fts_lists_add(
	struct lab_buf *out, const uint32_t *docs, uint32_t count, struct fts_word *ret_where);
void fts_lists_end(struct lab_buf *out);
/* The lists alone, borrowed from the bytes. */
int fts_lists_decode(const struct fts_guid *guid, struct lab_view bytes, struct lab_view *ret,
	struct lab_error *err);
/* One list, into docs[where->count]; all below doc_count. -1 LAB_CORRUPT. */
int fts_list_read(struct lab_view lists, const struct fts_word *where, size_t doc_count,
	uint32_t *docs, struct lab_error *err);

/* X and Y. An entry of Y says of which X object the entry is that is done with: a mail that is
 * expunged again is another entry. In X `of` is not used. */
struct fts_expunge {
	struct fts_mail mail;
	struct fts_guid of;
};
struct fts_expunges {
	struct fts_guid *replaced; /* X only: X and Y objects that were put together in it */
	size_t replaced_count;
	struct fts_expunge *entries;
	size_t count;
};
void fts_expunges_encode(enum fts_kind kind, const struct fts_guid *guid,
	const struct fts_expunges *expunges, struct lab_buf *out);
int fts_expunges_decode(struct lab_heap *heap, enum fts_kind kind, const struct fts_guid *guid,
	struct lab_view bytes, struct fts_expunges *ret, struct lab_error *err);
void fts_expunges_free(struct lab_heap *heap, struct fts_expunges *expunges);

/* S */
struct fts_folder_stats {
	uint8_t mailbox[ENV_GUID128_SIZE];
	uint32_t highest_uid;
	uint32_t mails; /* FTS_STATS_COUNTS only */
};
struct fts_triplet_stats {
	struct fts_guid guid;
	uint64_t l_bytes;
	uint32_t docs;
	struct fts_folder_stats *folders;
	size_t folder_count;
};
struct fts_stats {
	uint8_t version;
	struct fts_triplet_stats *triplets;
	size_t count;
	uint32_t expunges; /* FTS_STATS_COUNTS only */
};
void fts_stats_encode(
	const struct fts_guid *guid, const struct fts_stats *stats, struct lab_buf *out);
int fts_stats_decode(struct lab_heap *heap, const struct fts_guid *guid, struct lab_view bytes,
	struct fts_stats *ret, struct lab_error *err);
void fts_stats_free(struct lab_heap *heap, struct fts_stats *stats);

#endif
