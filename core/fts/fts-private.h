/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-private.h - the index of one user on one backend from the inside.
 */
#ifndef LAB_FTS_PRIVATE_H
#define LAB_FTS_PRIVATE_H

#include "core/fs/fs-api.h"
#include "core/fts/fts-triplet.h"
#include "core/fts/fts.h"

#define FTS_OBJECTS_MAX 100000
#define FTS_ENTRIES_MAX 8000000
/* Something is looked for again that often if another backend takes it away meanwhile. */
#define FTS_ATTEMPTS 4
/* An object that is nobody's, of that age, is a leak: longer than any upload takes. */
#define FTS_LEAK_AGE_US (UINT64_C(3600) * 1000000)
/* W and L of one user in memory, about. */
#define FTS_WORDS_BYTES_MAX (64u << 20)

struct fts {
	struct env *env;
	struct backend *backend;
	const struct conf_settings *conf;
	struct lab_map *users; /* name -> struct fts_user */
	unsigned indexers;     /* fibers */
	bool is_stopping;
	struct env_cond done;
};

/* An X or Y object. */
struct fts_segment {
	enum fts_kind kind;
	struct fts_guid guid;
	struct fts_expunges expunges;
};

struct fts_user {
	struct fts *fts;
	struct env *env;
	struct obox_user *user;
	struct fs *fs;
	bool is_busy;
	struct env_cond cond;

	/* What is in storage, as far as it was listed. */
	bool is_listed;
	uint64_t listed_ns;
	struct lab_map *triplets; /* GUID -> struct fts_triplet */
	struct lab_map *segments; /* GUID -> struct fts_segment */
	struct lab_map *ignored;  /* names of objects that cannot be read */
	struct lab_map *garbage;  /* names of objects to be deleted */
	struct lab_map *control;  /* names of S objects */
	bool has_stats, stats_are_current;
	struct fts_guid stats_guid;
	struct fts_stats stats;

	/* What is not. */
	struct fts_builder *newest;
	struct fts_guid newest_guid; /* its last version, if newest_is_saved */
	bool newest_is_saved;
	uint64_t newest_mails; /* since the last flush */
	struct fts_guid
		*uncertain; /* triplets that may turn up: what is written next replaces them */
	size_t uncertain_count;
	struct lab_map *pending;  /* mails to be expunged that no X has */
	struct fts_expunge *done; /* entries that no Y has */
	size_t done_count, done_capacity;

	/* Of all this. */
	struct lab_map *mails;    /* in how many triplets, as a number */
	struct lab_map *expunges; /* in X and not in Y -> struct fts_expunge, `of` its X */

	/* Indexing in the background: names of folders. */
	struct lab_map *wanted;
	bool has_indexer;
};

/* ---- fts-user.c ---- */

struct fts_user *fts_user_get(struct fts *fts, struct obox_user *user, struct lab_error *err);
void fts_user_free(struct fts_user **user);
/* All that is known of it, as if it were opened just now. Locked. */
void fts_user_forget(struct fts_user *user);
void fts_user_lock(struct fts_user *user);
void fts_user_unlock(struct fts_user *user);
static inline struct lab_view fts_guid_view(const struct fts_guid *guid)
{
	return lab_view_of(guid->bytes, sizeof(guid->bytes));
}
void fts_user_add_triplet(struct fts_user *user, struct fts_triplet *triplet);
void fts_user_drop_triplet(struct fts_user *user, struct fts_triplet *triplet);
/* In how many triplets a mail is, the newest included. */
size_t fts_user_triplets_of(const struct fts_user *user, const struct fts_mail *mail);
void fts_user_count_newest(struct fts_user *user, bool is_added);
/* Works out `expunges` anew. */
void fts_user_settle_expunges(struct fts_user *user);
bool fts_user_is_expunged(const struct fts_user *user, const struct fts_mail *mail);
/* A mail is there after all, or its expunge is done with. */
void fts_user_end_expunge(struct fts_user *user, const struct fts_mail *mail);
void fts_user_drop_segment(struct fts_user *user, struct fts_segment *segment);

/* ---- fts-store.c: objects ---- */

int fts_object_read(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err);
/* May be UNCERTAIN. */
int fts_object_write(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	bool is_newest, struct lab_view contents, struct lab_error *err);
void fts_object_throw_away(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid);
void fts_triplet_throw_away(struct fts_user *user, const struct fts_guid *guid);
/* Deletes what was thrown away; what fails is tried again the next time. */
void fts_delete_garbage(struct fts_user *user);
/* Nothing of it is used. */
void fts_object_set_aside(struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid,
	const struct lab_error *why);

/* ---- fts-refresh.c ---- */

/* Lists the directory and reads what is new: D, X, Y and S. */
int fts_refresh(struct fts_user *user, struct lab_error *err);
/* Reads W and L of a triplet. 1: the triplet is gone, or of no use, and so is the pointer: begin
 * anew. */
int fts_load_words(struct fts_user *user, struct fts_triplet *triplet, struct lab_error *err);

/* ---- fts-flush.c ---- */

/* Of a user who is locked. */
int fts_flush_user(struct fts_user *user, const char *reason, struct lab_error *err);
/* Keeps the newest triplet where fts-cache has it. */
void fts_save_newest(struct fts_user *user);
/* It has become too large, or has too many mails. */
bool fts_newest_is_full(const struct fts_user *user);

/* ---- fts-index.c ---- */

/* Indexes what is not indexed yet; *ret_unreadable mails are there and cannot be. Locked. */
int fts_index_locked(struct fts_user *user, struct obox_mailbox *mailbox, size_t *ret_unreadable,
	struct lab_error *err);
/* What the index has and the folder has not is to be expunged; what the folder has is not. */
void fts_compare_folder(struct fts_user *user, const struct obox_mailbox *mailbox);
/* So are the mails of folders that are not there any more. */
void fts_compare_list(struct fts_user *user);
struct fts_mail fts_mail_of(const struct obox_mailbox *mailbox, const struct obox_mail *mail);

#endif
