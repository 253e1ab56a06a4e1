/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-root.h - a user's root on one backend: the list of folders, its file, and its bundles
 * (obox 5.3, 5.4, palomar 6.2).
 *
 * Purpose    Keeps the list as current as the metacache's settings say, changes it, and tells other
 *            backends that this one has changed something: once, until another one does.
 * Marks      A backend that reads the root of a user finds a mark of each host that has changed
 *            anything. If one is new, its folders are to be refreshed. So a host's mark is in the
 *            dict before its first change is acknowledged, and again before the first one after it
 *            has seen another host's. What it changed before it saw that one is marked at once: the
 *            other may have looked before. Who has not marked since, because it only reads, takes
 *            every refresh for news.
 * Locking    One fiber at a time changes or refreshes a root; the others wait. Whoever holds a
 *            folder (obox_mailbox_begin()) must not wait for the root.
 * File       "<home>/obox.root", written at a clean stop and marked as open until then, as a
 *            folder's index is. What is not clean is forgotten, with a new author for what is
 *            changed from then on.
 * Requests   Refresh: 2 listings, a GET for each bundle that is not known. Change: PUT, INSERT,
 *            DELETE of the object before.
 */
#ifndef LAB_OBOX_ROOT_H
#define LAB_OBOX_ROOT_H

#include "core/obox/bundle-store.h"
#include "core/obox/secondary.h"

struct obox_user;

struct obox_root {
	struct obox_user *user;
	struct env *env;
	char path[ENV_PATH_MAX];
	struct env_file *file; /* NULL: the disk failed; the root lives in memory */
	struct obox_bundles *bundles;
	struct obox_list *list;
	/* The newest base bundle, and the list that it is; NULL: there is none. */
	struct obox_list *base;
	struct obox_bundle_name base_name;
	/* Private flags and virtual folders, and those of the base (NULL: not known), and how many
	 * of their changes are in bundles (obox-secondary.c). */
	struct obox_secondary *secondary, *base_secondary;
	uint64_t uploaded_secondary;
	uint64_t author;
	/* Another one whenever folders are to be refreshed: a folder that was refreshed under this
	 * number is current. Not above or below, only different. */
	uint64_t generation;
	bool is_damaged; /* a bundle could not be read: folders may be missing from the list */
	bool is_dirty;   /* has what no bundle has */
	/* A change of the list is being uploaded, or that ended uncertain. */
	bool is_uncertain;
	bool is_marked;  /* no host has changed anything since this one's mark was uploaded */
	bool is_changed; /* something was changed since then */
	bool is_loaded;  /* the file was read, or there is none */
	bool is_known;   /* from the file, a refresh, or another host */
	bool is_refreshed;
	uint64_t accessed_ns, refreshed_ns;
	uint64_t refreshed_us, refreshed_before_us; /* by the wall clock */
	bool is_busy;
	struct env_cond cond;
	/* metacache_bg_root_uploads, and secondary indexes */
	bool has_uploader, is_stopping;
	struct env_cond uploader_cond;
};

/* -1 LAB_INVALID: the path of the file gets too long. */
int obox_root_init(struct obox_root *root, struct obox_user *user, struct lab_error *err);
/* A clean stop: uploads what is dirty, if it can, and writes the file. Blocks. */
void obox_root_done(struct obox_root *root);

/* The user is accessed: within metacache_close_delay of the last access nothing happens, else the
 * root is refreshed. 1 if folders are to be refreshed, or were renamed or deleted. -1: storage
 * failed, and the list may be old. Blocks. */
int obox_root_access(struct obox_root *root, struct lab_error *err);
/* Whether an access would do nothing. */
bool obox_root_is_current(const struct obox_root *root);
/* As if it were long ago. */
void obox_root_forget_access(struct obox_root *root);

/* Before the first step of every change of anything of the user: returns 0 once this host's mark is
 * in the dict. -1: it is not, and nothing must be changed; never UNCERTAIN. Free unless a mark is
 * due. Blocks. */
int obox_root_begin_change(struct obox_root *root, struct lab_error *err);

/* Changes the list: fn returns 1 if it did, 0 or -1 if not. Then the root is uploaded, or within
 * metacache_upload_interval (metacache_bg_root_uploads). What fn returned, or -1: the upload
 * failed, and the list is as it was; UNCERTAIN: it may have been uploaded, and will be. Blocks. */
typedef int (*obox_root_change_fn)(struct obox_root *root, void *ctx, struct lab_error *err);
int obox_root_change(
	struct obox_root *root, obox_root_change_fn fn, void *ctx, struct lab_error *err);

/* Before anybody is told what only the list says: returns 0 once no change of it is uncertain,
 * which waits for one that runs. -1: one still is; never UNCERTAIN. Free unless there is one.
 * Blocks. */
int obox_root_settle(struct obox_root *root, struct lab_error *err);

/* The time of creation, as elsewhere, but never one that a folder of this user had: a name that is
 * used again means other mails. */
uint32_t obox_root_new_uidvalidity(const struct obox_root *root);

/* Deletes its bundles, and then there is nothing. */
int obox_root_erase(struct obox_root *root, struct lab_error *err);

/* Uploads what is dirty. 1 if it did, 0 if nothing was; -1. */
int obox_root_flush(struct obox_root *root, const char *reason, struct lab_error *err);

/* Whether a flush would upload anything. */
bool obox_root_is_changed(const struct obox_root *root);
/* Within metacache_upload_interval. False: that cannot be promised. */
bool obox_root_upload_later(struct obox_root *root);

/* Removes what is local of it, once all that was changed is uploaded. 1 if it did; 0: the user, or
 * a folder of his, is in use; -1: it could not be uploaded, and stays. Blocks. */
int obox_root_clean(struct obox_root *root, struct lab_error *err);
/* The next access refreshes it, and whoever opens a folder then refreshes that. */
void obox_root_force_refresh(struct obox_root *root);

/* ---- from host to host (metacache-pull.h) ---- */

/* What is known here. -1 LAB_NOT_FOUND: nothing that can be trusted. Blocks. */
int obox_root_pack(struct obox_root *root, struct lab_buf *out, struct lab_error *err);
/* Takes that of another host if nothing is known here: 1, else 0. -1 LAB_CORRUPT; LAB_EXISTS: with
 * `latest_only`, storage has bundles that it did not know. Blocks. */
int obox_root_adopt(
	struct obox_root *root, struct lab_view bytes, bool latest_only, struct lab_error *err);

/* ---- secondary indexes (obox-secondary.c) ---- */

/* As members of a bundle. */
struct obox_secondary_members {
	struct lab_buf flags, folders;
};
void obox_secondary_members_init(
	struct obox_secondary_members *members, const struct obox_root *root, bool is_diff);
void obox_secondary_members_done(struct obox_secondary_members *members);
/* Those that there are, behind `count` others; returns how many there are now. */
size_t obox_secondary_members_add(
	const struct obox_secondary_members *members, struct obox_bundle_file *files, size_t count);
#define OBOX_SECONDARY_MEMBERS 2
/* -1: as obox_private_merge() says; a part may have been taken. */
int obox_secondary_merge(
	struct obox_root *root, const struct obox_bundle *bundle, struct lab_error *err);
/* The base has these flags. */
void obox_secondary_keep_base(struct obox_root *root, struct lab_view flags);
struct lab_view obox_secondary_flags_of(const struct obox_bundle *bundle);
/* Nothing is known. */
void obox_secondary_begin_anew(struct obox_root *root);
void obox_secondary_free_all(struct obox_root *root);
/* At the end of the root's file; nothing if there is nothing. */
void obox_secondary_put(const struct obox_root *root, struct lab_buf *out);
void obox_secondary_get(struct obox_root *root, struct lab_reader *reader);

/* ---- the file (obox-root-file.c) ---- */

/* All but what is of this run or this host. */
void obox_root_encode(const struct obox_root *root, struct lab_buf *out);
/* Into one that was begun anew; false: what it has now is of no use. */
bool obox_root_decode(struct obox_root *root, struct lab_reader *reader);

/* Fills the root from the file if a clean stop left it, and marks the file as open. False: what the
 * root has now is of no use. */
bool obox_root_load(struct obox_root *root);
/* Writes it and closes it. */
void obox_root_save(struct obox_root *root);
#define OBOX_USERNAME_MAX 255
/* Whose root is in such a file, as whoever opened it last wrote it down. */
bool obox_root_file_user(struct env *env, const char *path, char ret[OBOX_USERNAME_MAX + 1]);

#endif
