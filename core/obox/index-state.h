/* SPDX-License-Identifier: Apache-2.0
 *
 * index-state.h - what the index of a folder says, and who said it: the content of index bundles
 * (obox 5.3), and the merge of what several backends said at the same time (obox 5.5, HD-9).
 *
 * Purpose    A value without a file, a clock or a network: mails, flags, keywords, UIDs, modseqs. A
 *            backend changes its own state; obox_state_merge() makes one of two.
 * Authors    Every state that may be changed on its own has an author: a number made when a
 *            metacache directory is made anew. An author that lost changes must never write again
 *            under the same number, or two changes would look like one.
 * Stamps     Each addition of a mail and each change of a flag is stamped (modseq, author). The
 *            state remembers up to which modseq it has seen each author. So "the other side does
 *            not have this mail" is known to mean "it never saw it" or "it expunged it" without a
 *            list of what was expunged, and of two changes of one flag the later one is known.
 * Merge      Commutative and idempotent; whatever the order in which backends exchange states, they
 *            end with the same mails and flags, and after the exchange has come to rest with the
 *            same UIDs. What was expunged on one side stays expunged, whatever was done to it on
 *            the other.
 * UIDs       Within one UIDVALIDITY a UID denotes one mail for ever, for all who ever saw one of
 *            the states (invariant 7): a UID below the other side's UIDNEXT is kept only if the
 *            other side gave it to the same mail; else the mail gets a new one.
 * Blocking   Never. Limits are below.
 */
#ifndef LAB_OBOX_INDEX_STATE_H
#define LAB_OBOX_INDEX_STATE_H

#include "core/obox/obox.h"

#define OBOX_AUTHORS_MAX 4096
#define OBOX_KEYWORDS_MAX 1024
#define OBOX_KEYWORD_BYTES_MAX 50 /* mail_max_keyword_length */

/* Virtual sizes of the largest mail: nothing but line ends. */
#define OBOX_SIZE_MAX (2 * (uint64_t)OBOX_MAIL_MAX)

#define OBOX_MODSEQ_MAX ((uint64_t)INT64_MAX) /* RFC 7162 */

/* IMAP's system flags; a keyword is OBOX_FIRST_KEYWORD + its place in the table. */
enum obox_flag {
	OBOX_PRESENT, /* not a flag: the stamp of a mail's addition */
	OBOX_ANSWERED,
	OBOX_FLAGGED,
	OBOX_DELETED,
	OBOX_SEEN,
	OBOX_DRAFT,
	OBOX_FIRST_KEYWORD
};

struct obox_stamp {
	uint64_t modseq;
	uint16_t author; /* place in the table of authors */
	uint16_t flag;
	bool is_set;
};

struct obox_record {
	struct obox_mail mail;     /* first: whoever has it has the record */
	uint64_t modseq;           /* of the last change that a client can see */
	bool is_moving;            /* here, just now: it may get, or be, a second reference */
	struct obox_stamp *stamps; /* by flag: additions, then at most one for each flag */
	size_t stamp_count;
};

struct obox_author {
	uint64_t id;
	uint64_t seen; /* all that it said up to this modseq is in the state */
};

struct obox_state {
	struct lab_heap *heap;
	uint32_t uidvalidity, next_uid;
	uint64_t highest_modseq;
	struct obox_author *authors;
	size_t author_count;
	char **keywords;
	size_t keyword_count;
	struct obox_record *records; /* by UID */
	size_t count;
	/* Sum of the sizes that are known, and how many are not. */
	uint64_t bytes;
	size_t sizeless;
	struct lab_map *by_name; /* name bytes -> UID as a pointer-sized number */
	/* Mails that it has and cannot tell: changes that were read over a later state. */
	size_t untold;
};

/* An empty folder: UIDNEXT and HIGHESTMODSEQ are 1. */
struct obox_state *obox_state_new(struct lab_heap *heap, uint32_t uidvalidity);
/* NULLs the pointer; accepts NULL. */
void obox_state_free(struct obox_state **state);

/* Who is going to change the state. -1 LAB_LIMIT if the table is full. */
int obox_state_author(struct obox_state *state, uint64_t id, uint16_t *ret, struct lab_error *err);
/* The flag of a keyword, added to the table if it is new (compared without regard to case, as IMAP
 * does). -1 LAB_INVALID, LAB_LIMIT. */
int obox_state_keyword(
	struct obox_state *state, struct lab_view name, uint16_t *ret, struct lab_error *err);

/* Adds a mail under its UID, which must be free, or under the next UID if it has none; a mail whose
 * name is there stays as it is. Returns its UID. The caller keeps to
 * OBOX_MAILS_MAX. */
uint32_t obox_state_add(struct obox_state *state, uint16_t author, const struct obox_mail *mail);
/* 1 if that changed something, 0 if not or if there is no such mail. */
int obox_state_set_flag(
	struct obox_state *state, uint16_t author, uint32_t uid, uint16_t flag, bool is_set);
/* What nobody can see but the quota: no stamp, no modseq. 1 if that changed something, 0 if not or
 * if there is no such mail. */
int obox_state_set_size(struct obox_state *state, uint32_t uid, uint64_t size);
/* The same for OBOX_MAIL_COPIED. */
int obox_state_mark_copied(struct obox_state *state, uint32_t uid);
/* Makes `bytes` and `sizeless` anew. */
void obox_state_recount(struct obox_state *state);
/* 1 if it was there. Its place is free only after obox_state_sweep(); until then nothing but these
 * two, obox_state_find*(), obox_state_add() and obox_state_set_*() may be called: so many can go
 * without the others being moved for each. */
int obox_state_expunge(struct obox_state *state, uint32_t uid);
void obox_state_sweep(struct obox_state *state);

/* Removes every mail for which keep(ctx, mail) is false; returns how many. */
typedef bool (*obox_keep_fn)(void *ctx, const struct obox_mail *mail);
size_t obox_state_expunge_unless(struct obox_state *state, obox_keep_fn keep, void *ctx);

/* NULL if there is none. Borrowed until the next change. */
struct obox_record *obox_state_find(const struct obox_state *state, uint32_t uid);
struct obox_record *obox_state_find_name(
	const struct obox_state *state, const uint8_t name[ENV_GUID128_SIZE]);
bool obox_record_has_flag(const struct obox_record *record, uint16_t flag);

/* ---- as bytes (index-codec.c) ---- */

/* Equal states are equal bytes, in whatever order their tables were filled. */
void obox_state_encode(const struct obox_state *state, struct lab_buf *out);
/* -1 LAB_CORRUPT, also for what no backend would have written. *ret is the caller's, or NULL. */
int obox_state_decode(struct lab_heap *heap, struct lab_view bytes, struct obox_state **ret,
	struct lab_error *err);
/* ---- changes since a base (index-changes.c) ---- */

/* What is remembered of a base bundle: who had said what when it was made, and which of its mails
 * are gone since. The state that has it must include it: be it, or a merge of it. */
struct obox_base {
	struct lab_heap *heap;
	uint32_t uidvalidity, next_uid;
	uint64_t highest_modseq;
	struct obox_author *authors; /* by id */
	size_t author_count;
	struct lab_tree *gone; /* names of mails */
	/* Those that merges gave another modseq although nothing about them changed, and those of
	 * which more is known. */
	struct lab_tree *touched;
};

/* The state becomes a base: nothing is gone yet. */
struct obox_base *obox_base_new(const struct obox_state *state);
/* NULLs the pointer; accepts NULL. */
void obox_base_free(struct obox_base **base);
/* Before a mail is expunged from a state that includes the base. */
void obox_base_expunge(
	struct obox_base *base, const struct obox_state *state, const struct obox_record *record);
/* Something of a mail became known that no modseq tells of: the changes have it. */
void obox_base_touch(
	struct obox_base *base, const struct obox_state *state, const struct obox_record *record);
/* Another state, merged from `old`, takes its place. Also for a base that was just merged: `old` is
 * what the base said. */
void obox_base_replace(
	struct obox_base *base, const struct obox_state *old, const struct obox_state *replacement);
/* All that the base knew, the state knows, too. */
bool obox_base_is_in(const struct obox_base *base, const struct obox_state *state);
void obox_base_encode(const struct obox_base *base, struct lab_buf *out);
/* Takes it off the front. NULL if the reader has failed. */
struct obox_base *obox_base_decode(struct lab_heap *heap, struct lab_reader *reader);

/* What `state` has become since the base: the content of a diff bundle (obox 5.3). */
void obox_state_encode_changes(
	const struct obox_base *base, const struct obox_state *state, struct lab_buf *out);
/* The state that the changes were made from, told over a state that includes their base, whatever
 * was merged into it since: a base may be replaced while the diffs of other hosts still belong to
 * it. Exact over the base itself. Over a later state it has of each mail what no merge with that
 * state can tell from the truth; so it is for that merge only. -1 LAB_CORRUPT; LAB_NOT_FOUND if the
 * base is not in the state. In the heap of `over`. */
int obox_state_decode_changes(const struct obox_state *over, struct lab_view bytes,
	struct obox_state **ret, struct lab_error *err);

/* ---- merging (index-merge.c) ---- */

struct obox_merge_result {
	uint32_t renumbered; /* mails that have a new UID, within the UIDVALIDITY */
	/* Mails that one side had expunged and then found again, or heard of by another addition,
	 * with flags of before that only the other side has: nobody else would hear of them. */
	uint32_t revived;
	bool uidvalidity_changed; /* neither side had it */
	bool skipped_renumbering; /* it would have been more than the limit: a new UIDVALIDITY */
};

/* All that b's authors had said when b was made, a has seen, too: a merge of the two is a. */
bool obox_state_covers(const struct obox_state *a, const struct obox_state *b);
/* What both sides together say. max_renumbers is metacache_merge_max_uid_renumbers. -1 LAB_LIMIT:
 * together they have too many mails, authors or keywords, or no UIDVALIDITY or modseq is left. *ret
 * is the caller's, in a's heap. */
int obox_state_merge(const struct obox_state *a, const struct obox_state *b, uint32_t max_renumbers,
	struct obox_state **ret, struct obox_merge_result *ret_result, struct lab_error *err);

#endif
