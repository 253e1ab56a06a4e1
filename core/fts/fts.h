/* SPDX-License-Identifier: Apache-2.0
 *
 * fts.h - full text search over the mails of one backend's users (obox 6.1).
 *
 * Purpose    Finds exactly the mails of a folder that contain given words. Whatever of a folder is
 *            not indexed yet is indexed first, so a search that succeeds misses no mail that its
 *            backend knows.
 * Objects    A user's fts/ directory, through the stack of fts_dovecot_fs: triplets, and S, X and Y
 *            (fts-format.h). The newest triplet stays with fts-cache until it is flushed: by
 *            fts_dovecot_mail_flush_interval, fts_dovecot_min_merge_l_file_size, fts_flush() or a
 *            clean stop. A crash loses it, and its mails are indexed again.
 * Backends   Nothing is ever written over, and what an object replaces stands in it, so any number
 *            of backends may index a user at once: at worst a mail is indexed twice, until the next
 *            flush of whoever sees both.
 * Order      X, L, W, D, then what they replace is deleted: D first. What fails leaves leaks only;
 *            they are deleted by a later flush.
 * UIDs       FTS goes by UID and object name. A mail that gets another UID is indexed again.
 * Corrupt    An object that is damaged or lost is set aside, and its mails are indexed again. One
 *            of a later version is set aside and left alone.
 * Locking    One fiber at a time works on a user's index; the others wait. Blocks.
 * Lifetime   After backend_start(), and before backend_stop(). Gone with the host's heap.
 */
#ifndef LAB_FTS_H
#define LAB_FTS_H

#include "core/conf/settings.h"
#include "core/fts/fts-format.h"
#include "core/obox/backend.h"
#include "core/obox/obox.h"

struct fts;

/* fts = dovecot, and fts_dovecot_fs is set. */
bool fts_is_configured(const struct conf_settings *conf);
/* All are borrowed. */
struct fts *fts_start(struct env *env, struct backend *backend, const struct conf_settings *conf);
/* A clean stop: flushes every user. NULLs the pointer; accepts NULL. */
void fts_stop(struct fts **fts);

/* ---- indexing ---- */

/* Of the folder: fts_autoindex, and not fts_autoindex_exclude*. */
bool fts_does_autoindex(const struct fts *fts, struct obox_user *user, struct lab_view folder);
/* fts_autoindex: the folder is indexed in the background. Never blocks, never fails. */
void fts_autoindex(struct fts *fts, struct obox_user *user, struct lab_view folder);
/* Indexes what of the folder is not indexed yet. 0, or -1: what was indexed until then stays. */
int fts_index(struct fts *fts, struct obox_user *user, struct obox_mailbox *mailbox,
	struct lab_error *err);
/* A mail was expunged here. Never blocks, never fails. */
void fts_expunged(struct fts *fts, struct obox_user *user, const struct fts_mail *mail);
/* Uploads what is not yet in storage, and merges; of one user, or of all (name empty). -1 with the
 * first error: the rest was tried, too. */
int fts_flush(struct fts *fts, struct lab_view name, struct lab_error *err);
/* Deletes all that the user has. May be repeated. */
int fts_user_delete(struct fts *fts, struct obox_user *user, struct lab_error *err);

/* ---- searching ---- */

enum fts_where {
	FTS_TEXT, /* anywhere */
	FTS_HEADER,
	FTS_BODY
};
/* UIDs, ascending, in the arena, of the mails that have all words of the text (with
 * fts_dovecot_prefix: words that begin with them). -1: LAB_INVALID (no words), LAB_LIMIT
 * (fts_dovecot_max_triplets), or what kept it from indexing or reading. */
int fts_search(struct fts *fts, struct obox_user *user, struct obox_mailbox *mailbox,
	enum fts_where where, struct lab_view text, struct lab_arena *arena, uint32_t **ret_uids,
	size_t *ret_count, struct lab_error *err);

/* ---- doveadm fts check ---- */

#define FTS_STATES(X) \
	X(SYNCED, "synced") \
	X(SYNCED_EXPUNGED, "synced_expunged") \
	X(MISSING, "missing") \
	X(UNEXPUNGED, "unexpunged") \
	X(MISSING_UNEXPUNGED, "missing_unexpunged") \
	X(LEAKED, "leaked") \
	X(EXPUNGE_LEAKED, "expunge_leaked") \
	X(DUPLICATE, "duplicate")
/*                       in its folder   in a triplet   to be expunged (X without Y)
 *   synced              yes             yes            no
 *   synced_expunged     no              yes            yes
 *   missing             yes             no             no
 *   unexpunged          no              yes            no
 *   missing_unexpunged  yes             either         yes
 *   leaked              (no such folder) yes           no
 *   expunge_leaked      no              no             yes
 *   duplicate           any             more than one  any; counted beside the others */
enum fts_state {
#define X(name, text) FTS_STATE_##name,
	FTS_STATES(X)
#undef X
	FTS_STATE_COUNT
};
const char *fts_state_name(enum fts_state state);

struct fts_check {
	uint64_t counts[FTS_STATE_COUNT];
	uint64_t triplets;
};
/* Compares all folders of the user with the index, after a look at the storage. Indexes nothing. */
int fts_check_full(
	struct fts *fts, struct obox_user *user, struct fts_check *ret, struct lab_error *err);

/* A number that may not be known: "?", or "123?" if it may be more. */
struct fts_number {
	uint64_t value;
	enum {
		FTS_UNKNOWN,
		FTS_AT_LEAST,
		FTS_KNOWN
	} knowledge;
};
#define FTS_NUMBER_TEXT_MAX 24
void fts_number_text(const struct fts_number *number, char out[FTS_NUMBER_TEXT_MAX]);
struct fts_fast_check {
	bool autoindex;
	struct fts_number uidnext, fts_highest_uid, mailbox_count, expected_fts_count, fts_count,
		fts_expunges;
};
/* What is known of the folder without a look at the storage, unless `refresh`. -1 only then. */
int fts_check_fast(struct fts *fts, struct obox_user *user, struct obox_mailbox *mailbox,
	bool refresh, struct fts_fast_check *ret, struct lab_error *err);

#endif
