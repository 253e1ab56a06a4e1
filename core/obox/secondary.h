/* SPDX-License-Identifier: Apache-2.0
 *
 * secondary.h - secondary indexes of a user: private flags of others' mails, and the mails of
 * virtual folders (obox 5.9, "Secondary indexes"). Values without a file, a clock or a network.
 *
 * Private    \Seen of a mail in a shared folder, which every reader has for itself: by the folder's
 *            owner, its GUID, and the mail's object name, which no renumbering changes.
 *            Each is stamped with a dot as the folders of a list are: of two changes the later
 *            holds, and an author's next one is above all that it has seen. A mail that was once
 *            seen and is no longer keeps its entry, so any part of a state can be merged into any
 *            other: that is what a diff bundle has.
 * Virtual    The result of a search, with the UIDs that its mails were given. It says what each
 *            author had added when it was last changed; of two results of which one includes the
 *            other that one holds. Two that were made at the same time are both given up, and a
 *            search makes a new one under a new UIDVALIDITY: both may have given out one UID.
 * Limits     OBOX_PRIVATE_MAX private flags; OBOX_VIRTUALS_MAX folders of OBOX_VIRTUAL_MAILS_MAX
 *            mails.
 * Blocking   Never.
 */
#ifndef LAB_OBOX_SECONDARY_H
#define LAB_OBOX_SECONDARY_H

#include "core/obox/list-state.h"

#define OBOX_PRIVATE_MAX 1000000
#define OBOX_VIRTUALS_MAX 1000
#define OBOX_VIRTUAL_MAILS_MAX 60000
#define OBOX_VIRTUAL_AUTHORS_MAX 64
/* UIDs that a new author leaves out: more than were given out since any upload, so what a crash
 * made nobody remember is not given again. */
#define OBOX_VIRTUAL_UID_JUMP 65536

/* Which mail of whose folder. */
struct obox_private_key {
	struct lab_view owner; /* the user's name, 1 to 255 bytes */
	uint8_t folder[ENV_GUID128_SIZE], name[ENV_GUID128_SIZE];
};

struct obox_private_flag {
	bool is_seen;
	struct obox_dot set;
	uint64_t known_ns; /* since when it is known here, env_now(); in no bundle */
};

struct obox_virtual_mail {
	uint32_t uid;
	uint8_t folder[ENV_GUID128_SIZE], name[ENV_GUID128_SIZE];
};

struct obox_virtual {
	/* next_uid 0: it has no UIDs, and the next UIDVALIDITY is not below this one. */
	uint32_t uidvalidity, next_uid;
	uint64_t writer;                                      /* who gave the last UIDs */
	struct obox_author authors[OBOX_VIRTUAL_AUTHORS_MAX]; /* by id */
	size_t author_count;
	struct obox_virtual_mail *mails; /* by UID */
	size_t count;
	/* In no bundle: UIDs since the last upload; another author's were taken over since, so that
	 * it must be uploaded before it is shown, or the next one would leave out the same. */
	uint32_t given;
	bool is_taken_over;
};

struct obox_secondary {
	struct lab_heap *heap;
	struct lab_tree *flags;   /* key as bytes -> struct obox_private_flag */
	uint64_t clock;           /* above all their dots */
	struct lab_tree *folders; /* name -> struct obox_virtual */
	uint64_t changes;         /* made here or merged; in no bundle */
};

struct obox_secondary *obox_secondary_new(struct lab_heap *heap);
/* NULLs the pointer; accepts NULL. */
void obox_secondary_free(struct obox_secondary **secondary);

/* ---- private flags ---- */

/* 1 if that changed something; -1 LAB_LIMIT, LAB_INVALID (the owner's name). */
int obox_private_set(struct obox_secondary *secondary, uint64_t author,
	const struct obox_private_key *key, bool is_seen, uint64_t now_ns, struct lab_error *err);
bool obox_private_is_seen(
	const struct obox_secondary *secondary, const struct obox_private_key *key);
/* Forgets those of a folder whose mails has(ctx, name) does not know, if they were known before
 * `before_ns`: when a listing without them was asked for. Returns how many. */
typedef bool (*obox_private_has_fn)(void *ctx, const uint8_t name[ENV_GUID128_SIZE]);
size_t obox_private_forget(struct obox_secondary *secondary, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], uint64_t before_ns, obox_private_has_fn has,
	void *ctx);

/* ---- virtual folders ---- */

/* NULL if there is none. Borrowed until the next change. */
const struct obox_virtual *obox_virtual_find(
	const struct obox_secondary *secondary, struct lab_view name);
/* The search has found these mails (their UIDs do not count): those that had a UID keep it, the
 * others get new ones in this order. A folder that has none gets a UIDVALIDITY from `uidvalidity`
 * up. 1 if that changed something; -1 LAB_LIMIT, and nothing is changed. */
int obox_virtual_update(struct obox_secondary *secondary, uint64_t author, struct lab_view name,
	uint32_t uidvalidity, const struct obox_virtual_mail *mails, size_t count,
	struct lab_error *err);
/* All that was given out is uploaded, or (after a stop) perhaps not. */
void obox_virtual_uploaded(struct obox_secondary *secondary, bool is_uploaded);

/* ---- merging, and as bytes (secondary-codec.c) ---- */

/* Takes what a bundle's members say. -1 LAB_CORRUPT, LAB_UNSUPPORTED, LAB_LIMIT: nothing, or part
 * of it, was taken, and that part is true. */
int obox_private_merge(struct obox_secondary *secondary, struct lab_view bytes, uint64_t now_ns,
	struct lab_error *err);
int obox_virtual_merge(
	struct obox_secondary *secondary, struct lab_view bytes, struct lab_error *err);
/* Equal states are equal bytes. Only flags that `base` has otherwise, unless it is NULL. Appends
 * nothing if there are none. */
void obox_private_encode(const struct obox_secondary *secondary, const struct obox_secondary *base,
	struct lab_buf *out);
void obox_virtual_encode(const struct obox_secondary *secondary, struct lab_buf *out);

/* ---- for these files only ---- */

#define OBOX_PRIVATE_KEY_MAX (1 + UINT8_MAX + 2 * ENV_GUID128_SIZE)
/* The later one holds. -1 LAB_LIMIT. */
int obox_private_take(struct obox_secondary *secondary, struct lab_view key,
	const struct obox_private_flag *flag, struct lab_error *err);
/* Takes ownership of its mails. -1 LAB_LIMIT. */
int obox_virtual_take(struct obox_secondary *secondary, struct lab_view name,
	struct obox_virtual *other, struct lab_error *err);

#endif
