/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-private.h - users, folders and their local indexes from the inside.
 */
#ifndef LAB_OBOX_PRIVATE_H
#define LAB_OBOX_PRIVATE_H

#include "core/fs/fs-api.h"
#include "core/obox/backend.h"
#include "core/obox/bundle-store.h"
#include "core/obox/list-state.h"
#include "core/obox/obox-root.h"
#include "core/obox/obox.h"
#include "core/obox/reboots.h"
#include "core/quota/quota.h"

#define OBOX_GUID_HEX (2 * ENV_GUID128_SIZE)
#define OBOX_USERS_MAX 1000000
#define USERNAME_AND_FOLDER_MAX 1024
#define OBOX_GUID_LOOKUPS_MAX 1000

/* ---- the local index of a folder (obox-index.c) ---- */

struct obox_index {
	struct env *env;
	char path[ENV_PATH_MAX];
	struct env_file *file; /* NULL: could not be opened; the index lives in memory only */
	uint64_t file_size;
	struct obox_state *state;
	uint16_t author; /* of the changes that are made here */
	/* What the last base bundle was, and the one that is being uploaded; NULL: none. */
	struct obox_base *base, *next_base;
	uint32_t lost_uidvalidity; /* of an index that is not trusted; 0: none */
	uint8_t *kept;             /* what obox_index_close() was given, if the index is trusted */
	size_t kept_len;
	/* How many changes were made here since it was opened; of flags only. */
	uint64_t changes, important_changes;
};

/* Reads the file if the process that wrote it stopped cleanly, else begins an empty index by a new
 * author, without a UIDVALIDITY: there may be bundles that know it. *ret_trusted tells which.
 * Errors of the disk cost the index, not the mails. */
void obox_index_open(
	struct obox_index *index, struct env *env, const char *path, bool *ret_trusted);
/* Without a UIDVALIDITY it gets the one that is told, or, if that is 0, a new one that is larger
 * than any that the disk remembers. Blocks. */
void obox_index_settle(struct obox_index *index, uint32_t uidvalidity);
/* A clean stop: what was written, and `kept`, is synced and marked so. */
void obox_index_close(struct obox_index *index, struct lab_view kept);
/* What an index says. */
struct obox_index_content {
	struct obox_state *state;
	uint16_t author;
	struct obox_base *base;
};
/* Begins anew, as if there were no file. What was there becomes the caller's, for
 * obox_index_restore(); NULL: it is gone. Blocks. */
void obox_index_reset(struct obox_index *index, struct obox_index_content *ret);
void obox_index_restore(struct obox_index *index, struct obox_index_content *content);
void obox_index_content_free(struct obox_index_content *content);
/* Closes it as a crash would leave it. */
void obox_index_drop(struct obox_index *index);
/* The state becomes one that was merged of it and of others. Takes it. The caller has the file
 * written when there are no more: obox_index_rewrite(), which blocks. */
void obox_index_replace(struct obox_index *index, struct obox_state *state);
/* The same for one that has not all that the state had: it goes on with another author, and without
 * a base. */
void obox_index_give_up(struct obox_index *index, struct obox_state *state);
void obox_index_rewrite(struct obox_index *index);
/* Gives the mail the next UID, unless it has one (which must be free), and adds it; if the name is
 * there already, that entry stays. Returns the UID. The caller keeps to OBOX_MAILS_MAX. */
uint32_t obox_index_append(struct obox_index *index, const struct obox_mail *mail);
/* Those that are there. */
void obox_index_expunge(struct obox_index *index, const uint32_t *uids, size_t count);
/* Removes every mail for which keep(ctx, mail) is false; returns how many. */
size_t obox_index_expunge_unless(struct obox_index *index, obox_keep_fn keep, void *ctx);
/* Sets or clears a flag of index-state.h. 1 if that changed something. */
int obox_index_set_flag(struct obox_index *index, uint32_t uid, uint16_t flag, bool is_set);
/* OBOX_MAIL_COPIED, if it has not got it. */
void obox_index_mark_copied(struct obox_index *index, uint32_t uid);
/* What a mail counts for the quota became known. 1 if that changed something. */
int obox_index_set_size(struct obox_index *index, uint32_t uid, uint64_t size);
struct obox_mail *obox_index_find(const struct obox_index *index, uint32_t uid);
struct obox_mail *obox_index_find_name(
	const struct obox_index *index, const uint8_t name[ENV_GUID128_SIZE]);

/* ---- users and folders ---- */

struct obox_bundles;
struct metacache;
struct metacache_directory;
struct metacache_user;

struct obox_user {
	struct backend *backend;
	struct env *env;
	const char *username;
	const char *root; /* storage root: mail_location's path, expanded */
	const char *home;
	struct quota_root quota;
	char session_id[24];
	struct fs *fs, *index_fs;
	struct obox_root root_index;
	struct lab_map *folders; /* GUID in hex -> struct obox_mailbox */
	struct lab_map *cleaned; /* GUID in hex -> struct obox_cleaned */
	/* What the metacache has of it; NULL: not opened yet, or not counted. */
	struct metacache_user *known;
	unsigned references;
	struct env_cond release_cond;
	/* Folders that were deleted, which are looked into again (obox-deleted.c): GUID -> when
	 * next, in ns. */
	struct lab_map *looks;
	uint64_t looks_refreshed_ns; /* the refresh of the root after which that was considered */
	bool is_looking, must_not_look;
	struct env_cond looked_cond;
	struct dict *last_host_dict; /* metacache_last_host_dict; NULL: nobody is asked */
	bool is_following;           /* some fiber asks it, and takes what is to be taken */
	struct env_cond followed_cond;
	uint64_t handovers; /* how often another host turned out to have, or to have had, it */
};

/* What is in storage of a folder's index, and what is not (obox-refresh.c, obox-upload.c). */
struct obox_sync {
	struct obox_bundles *bundles;
	struct obox_bundle_name base_name; /* of index.base */
	uint64_t base_bytes;               /* the base's size */
	/* The highest of bundles that were seen or written: what is above it no bundle has. */
	uint64_t stored_modseq;
	uint32_t floor; /* an uploaded bundle knows the mails below this UID */
	/* index.changes and index.important_changes of the last upload */
	uint64_t uploaded_changes, uploaded_important;
	/* Mails below may have been copied by others, as a listing was compared since. */
	uint32_t single_floor;
	unsigned saving;    /* saves and copies that run: their mails have names, and no UIDs yet */
	bool is_scrambled;  /* UIDs at or above `floor` are not those that a recovery would give */
	bool has_uncertain; /* a mail may be there, or come, that has no UID here */
	bool is_uploading;
	struct env_cond cond;
	uint64_t retry_ns; /* the last upload failed: none in the background before */
	/* In the metacache's sum; NULL: not yet. */
	struct metacache_directory *directory;
	/* In the metacache's list of uploads. */
	uint64_t due_ns; /* 0: in none */
	uint64_t ticket;
};

struct obox_mailbox {
	struct obox_user *user;
	char *name;
	char guid[OBOX_GUID_HEX + 1];
	struct obox_index index;
	struct obox_sync sync;
	bool is_synced;       /* compared with bundles and listing since the backend's start */
	uint64_t compared_ns; /* with the listing that was asked for then; 0: never */
	/* The root's, when it was compared: another one makes it be compared again. */
	uint64_t generation;
	uint64_t handovers; /* the user's, then */
	bool is_reborn;     /* its user was deleted: the index is of the one before */
	bool is_gone;       /* deleted, here or by another backend: no operation begins any more */
	bool is_rescuing;   /* some session saves again what was saved here */
	bool is_left;       /* ... and nothing that was saved here is to be looked for in it */
	/* Came from another host, which had it in no bundle: 0, 1, or 2 with flags. */
	unsigned pulled_changes;
	bool is_pulled; /* came from another host, and was not compared yet */
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
/* Another host may have shown more of its folders than is known here: they are compared anew, and
 * what comes is above all that. */
void obox_user_was_elsewhere(struct obox_user *user);
/* All its folders that are open here. -1 with the first error. */
int obox_user_flush(
	struct obox_user *user, bool important_only, const char *reason, struct lab_error *err);
/* Closes its folders cleanly. */
void obox_user_free(struct obox_user **user);

#define OBOX_STATE_FILE "dovecot.index"
#define OBOX_CHANGES_FILE "dovecot.index.log"

/* A rescan waits for these, and they for it. Not nested: a rescan in between would wait for ever.
 */
void obox_mailbox_begin(struct obox_mailbox *mailbox);
/* -1 LAB_NOT_FOUND: the folder was deleted, and nothing is begun. */
int obox_mailbox_begin_change(struct obox_mailbox *mailbox, struct lab_error *err);
void obox_mailbox_end(struct obox_mailbox *mailbox);
/* No operation runs between these two. */
void obox_mailbox_lock(struct obox_mailbox *mailbox);
void obox_mailbox_unlock(struct obox_mailbox *mailbox);
/* Removes the local index, once all that was changed is uploaded. 1 if it did; 0: it is in use; -1:
 * it could not be uploaded, and stays. The mailbox is gone if nobody has come meanwhile. Blocks. */
int obox_mailbox_clean(struct obox_mailbox *mailbox, struct lab_error *err);
/* Opens the local index of a folder of the list, without a look at storage. -1 LAB_NOT_FOUND: there
 * is no such folder. */
int obox_mailbox_load(struct obox_user *user, struct lab_view guid, struct obox_mailbox **ret,
	struct lab_error *err);
/* Takes a folder's index from another host if nothing is known of it here: 1, else 0. -1: as
 * obox_root_adopt(). Blocks. */
struct metacache_archive_folder;
int obox_mailbox_adopt(struct obox_user *user, const struct metacache_archive_folder *folder,
	bool latest_only, struct lab_error *err);
/* What there is of it on the disk. */
uint64_t obox_mailbox_bytes(const struct obox_mailbox *mailbox);
/* Closes the index; that of a folder which was deleted goes. */
void obox_mailbox_free(struct obox_mailbox **mailbox);

/* The first comparison with bundles and listing, unless another session has made it meanwhile. */
int obox_mailbox_compare(struct obox_mailbox *mailbox, struct lab_error *err);
/* A read said that the object is not there. 1: read the mail as empty; 0: the error stands. Drops
 * the mail from the index if it is lost for good and the settings say so (obox-lost.c). Blocks. */
int obox_mail_lost(struct obox_mailbox *mailbox, const uint8_t name[ENV_GUID128_SIZE]);

/* INBOX is made from the user's name, so that two backends that see a new user make one. */
void obox_inbox_guid(const char *user, uint8_t ret[ENV_GUID128_SIZE]);
/* Folders that are open here get the names of the list; those that it has no more are gone. */
void obox_user_sync_folders(struct obox_user *user);
/* metacache_last_host_dict (obox-last-host.c). -1 LAB_INVALID: no such dict. */
int obox_last_host_open(struct obox_user *user, struct lab_error *err);
/* Before the root is refreshed, unless it is current: takes the metacache of the backend that had
 * the user last. Never fails: storage will do. Blocks. */
void obox_last_host_follow(struct obox_user *user);
/* Before the user is used: the root as current as the settings say. -1: it cannot be known. */
int obox_user_access(struct obox_user *user, struct lab_error *err);
/* What was saved here into folders that another backend deleted meanwhile is saved again, into
 * folders made anew (obox-folder.c). What fails is tried again at the next access. */
void obox_user_rescue(struct obox_user *user);
/* Deletes all that a folder has in dict and storage: its mails, then its bundles. */
int obox_folder_erase(struct obox_user *user, const char *guid, struct lab_error *err);
/* The user was deleted, and what comes now is another one of that name. */
void obox_user_forget_folders(struct obox_user *user);
/* ---- what comes into folders that were deleted (obox-deleted.c) ---- */

/* In the list of folders, beside the deletion. */
int obox_deleted_remember(struct obox_root *root, const uint8_t guid[ENV_GUID128_SIZE],
	struct lab_view name, struct lab_error *err);
/* This host has just emptied it. */
void obox_deleted_looked(struct obox_user *user, const uint8_t guid[ENV_GUID128_SIZE]);
/* After the user was accessed: has the folders looked into that are due, in the background. */
void obox_deleted_look(struct obox_user *user);
/* Whoever saved a mail again and came second expunges it. */
void obox_deleted_undo(struct obox_mailbox *to, uint32_t uid);
/* No look runs when this returns; none begins until it is called with false. Blocks. */
void obox_deleted_hold(struct obox_user *user, bool is_held);

/* Nothing that was saved here into folders that are gone is saved again. */
void obox_user_leave_folders(struct obox_user *user);

/* The mail's object: "<root>/mailboxes/<folder guid>/<name>", its object id set beforehand. */
struct fs_file *obox_mail_open(
	struct obox_mailbox *mailbox, const struct obox_mail *mail, enum fs_open_mode mode);
/* Of FS_METADATA_VERSION, for obox_mail.bucket1. */
uint16_t obox_mail_bucket1(struct lab_view version);
uint16_t obox_mail_bucket1_of(struct fs_file *file, struct lab_heap *heap);
/* A new mail of the folder: the driver makes the name. */
struct fs_file *obox_mail_create(struct obox_mailbox *mailbox);
/* Before it is written: what disaster recovery needs (obox 4.3). fs-dictmap adds fname. */
void obox_mail_set_metadata(struct fs_file *file, struct obox_mailbox *mailbox,
	const struct obox_save *mail, const uint8_t guid[ENV_GUID128_SIZE], int64_t now);
/* After a write or copy, also one that failed: its name, and its object id. */
void obox_mail_take(struct fs_file *file, struct lab_heap *heap, struct obox_saved *saved);
/* obox_disable_fast_copy: `to` of the folder `mailbox` gets an object of its own, of what is read
 * from `from`, which is `mail`; fills in what is not known of that. May be UNCERTAIN. Blocks. */
int obox_mail_copy_contents(struct fs_file *from, struct fs_file *to, struct obox_mailbox *mailbox,
	struct obox_mail *mail, struct lab_error *err);

/* Keywords that the object id says (HD-3): $HasAttachment or $HasNoAttachment. They survive without
 * an upload, and need none. */
void obox_flags_from_id(struct obox_mailbox *mailbox, uint32_t uid);
/* What was found when it was saved. */
void obox_flags_add_attachment(struct obox_mailbox *mailbox, uint32_t uid, bool has_attachment);
/* Flags that a mail is saved with, or that its source had (RFC 3501, COPY), except for keywords
 * that the folder has no room for. */
void obox_flags_add(
	struct obox_mailbox *mailbox, uint32_t uid, const struct lab_view *names, size_t count);
/* Those of a mail, in the arena: how many. None if there is no such mail. */
size_t obox_flags_keep(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena,
	struct lab_view **ret);

/* ---- references (obox-references.c) ---- */

/* Of a mail that is saved now. */
uint8_t obox_reference_bits(const struct obox_mailbox *mailbox);
/* Before a mail is copied. True if it is moved and single: the copy may be that, too. */
bool obox_reference_begin(struct obox_mailbox *from, uint32_t uid, bool is_move);
/* The copy is there: into the index with it. */
void obox_reference_added(
	struct obox_mailbox *to, const struct obox_result *result, struct obox_mail *added);
/* Still, before it goes from the index? */
bool obox_reference_is_sole(const struct obox_mailbox *from, const struct obox_result *result);
/* Before a delete: what nobody need count. */
void obox_reference_tell(const struct obox_mailbox *mailbox, const struct obox_result *result,
	const struct obox_mail *mail, struct fs_file *file);
/* After the copy and what became of the mail itself. */
void obox_reference_end(
	struct obox_mailbox *from, struct obox_mailbox *to, const struct obox_result *result);

/* ---- sizes and the quota (obox-quota.c) ---- */

/* The body was read: that is its size, whatever the index had. */
void obox_size_read(struct obox_mailbox *mailbox, uint32_t uid, struct lab_view body);
/* Sizes that the index does not know, from the storage's metadata, or as obox_size_missing_action
 * says. What is gone has none. May be called in an operation. Blocks. */
int obox_sizes_learn(struct obox_mailbox *mailbox, struct lab_error *err);
/* May so many mails come into the folder? Not in an operation of any folder: others are opened. -1
 * LAB_OVER_QUOTA, or what the storage says, never UNCERTAIN. Blocks. */
int obox_quota_admit(struct obox_mailbox *mailbox, const struct quota_amount *added,
	uint64_t largest, bool is_delivery, struct lab_error *err);
/* The same for what is copied, or moved from a folder. */
int obox_quota_admit_copies(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, bool is_move, struct lab_error *err);

/* ---- bundles of a folder ---- */

/* What the local index knows of storage. */
void obox_sync_open(struct obox_mailbox *mailbox, bool is_trusted);
/* For the next clean start, and for another host. */
void obox_sync_encode(const struct obox_mailbox *mailbox, struct lab_buf *out);
bool obox_sync_decode(struct obox_mailbox *mailbox, struct lab_reader *reader);
void obox_sync_keep(const struct obox_mailbox *mailbox, struct lab_buf *out);
void obox_sync_close(struct obox_mailbox *mailbox);
/* Whether modseqs were shown here that no bundle knows. An index that was downloaded again would
 * show what others did meanwhile with modseqs below. */
bool obox_sync_is_ahead(const struct obox_mailbox *mailbox);
/* What an index last showed that was removed since, when all of it was in bundles. */
struct obox_cleaned {
	uint64_t highest_modseq, handovers;
	uint32_t uidvalidity;
};
/* Before that. */
void obox_sync_cleaned(struct obox_mailbox *mailbox);
/* Nothing is known of storage any more. The caller has freed or taken the bundles. */
void obox_sync_reset(struct obox_mailbox *mailbox);
/* A look at the bundles of a folder (obox 5.4). No operation may run until it ends. */
struct obox_refresh {
	struct obox_mailbox *mailbox;
	struct lab_arena *arena;
	struct obox_bundles_news news;
	bool was_empty; /* nothing was known: a new metacache */
	bool had_unknown_mails, is_renumbered, uidvalidity_changed;
	bool is_rebuild;
	unsigned merged;
	obox_keep_fn keep;
	void *ctx;
};
/* Lists the bundles and downloads those that are new. In any case to be ended. Blocks. */
int obox_refresh_begin(
	struct obox_refresh *refresh, struct obox_mailbox *mailbox, struct lab_error *err);
/* Merges them, but for mails that keep(ctx, mail) does not know: a listing that is younger than the
 * bundles. Mails that are gone would get new UIDs, and those of others would be higher. Never
 * fails: what cannot be merged is set aside. */
void obox_refresh_merge(struct obox_refresh *refresh, obox_keep_fn keep, void *ctx);
/* Gives the folder a UIDVALIDITY if it has none: that of the list of folders, or 0 if it is not in
 * it. Two hosts that have made a folder without hearing of each other have two, until either list
 * has heard of the other; as long as it is empty and in no bundle, the higher one is taken from
 * there. */
void obox_refresh_settle(struct obox_refresh *refresh, uint32_t listed);
/* The folder has mails, and its UIDVALIDITY is settled: without a bundle their flags and modseqs
 * may have been shown, and are lost. */
void obox_refresh_found_mails(struct obox_refresh *refresh);
/* `failed` is NULL if all went well. */
void obox_refresh_end(struct obox_refresh *refresh, const struct lab_error *failed);

enum obox_upload_what {
	OBOX_UPLOAD_CHANGES,   /* whatever was changed */
	OBOX_UPLOAD_IMPORTANT, /* only if there are important changes, or many new mails */
	OBOX_UPLOAD_UIDS       /* only if UIDs could not be given again as they were */
};
/* Uploads a self, a diff or a base (HD-6, HD-7), if `what` is the case. 1 if it did, 0 if that was
 * not necessary. -1: as obox_bundles_upload() says. May be called in an operation. Blocks. */
int obox_upload(struct obox_mailbox *mailbox, enum obox_upload_what what, const char *reason,
	struct lab_error *err);
/* Uploads until no UID up to this one is known here only. */
int obox_upload_below(struct obox_mailbox *mailbox, uint32_t uid, struct lab_error *err);
/* Before a mail is saved: what has its UID already, and would be listed after a mail of this host's
 * clock, goes into a bundle (obox 4.8, H-04). 1 if that was necessary, 0 if not. -1: the mail must
 * not be saved; it is certain that it was not. */
int obox_upload_ahead(struct obox_mailbox *mailbox, struct lab_error *err);
/* Before anybody is told the UIDVALIDITY: until the folder has a bundle only the root's list has
 * it, and a crash before that is stored would change it. -1: it must not be told. Blocks. */
int obox_upload_uidvalidity(struct obox_mailbox *mailbox, struct lab_error *err);
/* What all bundles of a folder say together, whatever its listing says; nothing is kept of it. *ret
 * is NULL if there are none. */
int obox_bundles_state(
	struct obox_user *user, const char *guid, struct obox_state **ret, struct lab_error *err);
/* Which host wrote the bundle of that path (ctx: the user); empty: nobody can tell. */
int obox_bundle_host(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err);
/* Whether a new metacache would find the same UIDs: that of the bundles, then those of the listing
 * in the order of creation (obox 4.8). */
bool obox_uids_are_reproducible(const struct obox_mailbox *mailbox);
/* After each operation: has the metacache upload it in time. */
void obox_upload_schedule(struct obox_mailbox *mailbox);

/* ---- the backend ---- */

const struct reboots *backend_get_reboots(const struct backend *backend);
/* Its users: name -> struct obox_user. */
const struct lab_map *backend_get_users(const struct backend *backend);
struct metacache *backend_get_metacache(const struct backend *backend);

const struct backend_settings *backend_get_settings(const struct backend *backend);
/* Bytes of an index above which it is not uploaded as a self bundle any more. */
size_t backend_self_bundle_max(const struct backend *backend);
/* backend_user_open() without obox_user_access(). */
int backend_user_get(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err);

#endif
