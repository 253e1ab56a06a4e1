/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-private.h - users, folders and their local indexes from the inside.
 */
#ifndef LAB_OBOX_PRIVATE_H
#define LAB_OBOX_PRIVATE_H

#include "core/fs/fs-api.h"
#include "core/obox/backend.h"
#include "core/obox/list-state.h"
#include "core/obox/obox-root.h"
#include "core/obox/obox.h"

#define OBOX_GUID_HEX (2 * ENV_GUID128_SIZE)
#define OBOX_USERS_MAX 1000000
#define USERNAME_AND_FOLDER_MAX 1024

/* ---- the local index of a folder (obox-index.c) ---- */

struct obox_index {
	struct env *env;
	char path[ENV_PATH_MAX];
	struct env_file *file; /* NULL: could not be opened; the index lives in memory only */
	uint64_t file_size;
	struct obox_state *state;
	uint16_t author; /* of the changes that are made here */
};

/* Reads the file if the process that wrote it stopped cleanly, else begins an empty index with a
 * new UIDVALIDITY. *ret_trusted tells which. Errors of the disk cost the index, not the mails. */
void obox_index_open(
	struct obox_index *index, struct env *env, const char *path, bool *ret_trusted);
/* A clean stop: what was written is synced and marked so. */
void obox_index_close(struct obox_index *index);
/* Forgets everything; a new UIDVALIDITY, larger than the old one. Blocks. */
void obox_index_reset(struct obox_index *index);
/* Gives the mail the next UID, unless it has one (which must be free), and adds it; if the name is
 * there already, that entry stays. Returns the UID. The caller keeps to OBOX_MAILS_MAX. */
uint32_t obox_index_append(struct obox_index *index, const struct obox_mail *mail);
void obox_index_expunge(struct obox_index *index, uint32_t uid);
/* Removes every mail for which keep(ctx, mail) is false; returns how many. */
size_t obox_index_expunge_unless(struct obox_index *index, obox_keep_fn keep, void *ctx);
/* Sets or clears a flag of index-state.h. 1 if that changed something. */
int obox_index_set_flag(struct obox_index *index, uint32_t uid, uint16_t flag, bool is_set);
struct obox_mail *obox_index_find(const struct obox_index *index, uint32_t uid);
struct obox_mail *obox_index_find_name(
	const struct obox_index *index, const uint8_t name[ENV_GUID128_SIZE]);

/* ---- users and folders ---- */

struct obox_user {
	struct backend *backend;
	struct env *env;
	const char *username;
	const char *root; /* storage root: mail_location's path, expanded */
	const char *home;
	char session_id[24];
	struct fs *fs, *index_fs;
	struct obox_root root_index;
	struct lab_map *folders; /* GUID in hex -> struct obox_mailbox */
	unsigned references;
};

struct obox_mailbox {
	struct obox_user *user;
	char *name;
	char guid[OBOX_GUID_HEX + 1];
	struct obox_index index;
	bool is_synced; /* compared with the listing since the backend's start */
	/* The root's, when it was compared: another one makes it be compared again. */
	uint64_t generation;
	bool is_gone; /* deleted, here or by another backend: no operation begins any more */
	bool is_left; /* ... and nothing that was saved here is to be looked for in it */
	unsigned references;
	/* Many operations, or one rescan. */
	unsigned operations;
	bool is_rescanning;
	unsigned rescans_waiting; /* new operations let them go first */
	struct env_cond lock_cond;
};

/* Builds the user's stack from the settings. -1 LAB_INVALID. */
int obox_user_new(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err);
/* Closes its folders cleanly. */
void obox_user_free(struct obox_user **user);

/* A rescan waits for these, and they for it. Not nested: a rescan in between would wait for ever.
 */
void obox_mailbox_begin(struct obox_mailbox *mailbox);
/* -1 LAB_NOT_FOUND: the folder was deleted, and nothing is begun. */
int obox_mailbox_begin_change(struct obox_mailbox *mailbox, struct lab_error *err);
void obox_mailbox_end(struct obox_mailbox *mailbox);
/* No operation runs between these two. */
void obox_mailbox_lock(struct obox_mailbox *mailbox);
void obox_mailbox_unlock(struct obox_mailbox *mailbox);
/* Closes the index; that of a folder which was deleted goes. */
void obox_mailbox_free(struct obox_mailbox **mailbox);

/* INBOX is made from the user's name, so that two backends that see a new user make one. */
void obox_inbox_guid(const char *user, uint8_t ret[ENV_GUID128_SIZE]);
/* Folders that are open here get the names of the list; those that it has no more are gone. */
void obox_user_sync_folders(struct obox_user *user);
/* Before the user is used: the root as current as the settings say. -1: it cannot be known. */
int obox_user_access(struct obox_user *user, struct lab_error *err);
/* What was saved here into folders that another backend deleted meanwhile is saved again, into
 * folders made anew (obox-folder.c). What fails is tried again at the next access. */
void obox_user_rescue(struct obox_user *user);

/* The mail's object: "<root>/mailboxes/<folder guid>/<name>", its object id set beforehand. */
struct fs_file *obox_mail_open(
	struct obox_mailbox *mailbox, const struct obox_mail *mail, enum fs_open_mode mode);
/* A new mail of the folder: the driver makes the name. */
struct fs_file *obox_mail_create(struct obox_mailbox *mailbox);

/* Flags that a mail is saved with. */
void obox_flags_add(
	struct obox_mailbox *mailbox, uint32_t uid, const struct lab_view *names, size_t count);
/* A copy has the flags of its source (RFC 3501, COPY), except for keywords that its folder has no
 * room for. Nothing if the source is gone. */
void obox_flags_copy(
	struct obox_mailbox *from, uint32_t uid, struct obox_mailbox *to, uint32_t to_uid);

/* ---- the backend ---- */

const struct backend_settings *backend_get_settings(const struct backend *backend);
/* backend_user_open() without obox_user_access(). */
int backend_user_get(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err);

#endif
