/* SPDX-License-Identifier: Apache-2.0
 *
 * obox.h - the obox mailbox format: folders whose mails are immutable objects (obox 4).
 *
 * Purpose    Deliver, fetch, copy, move and expunge mails of one user on one backend; keep the
 *            folder's local index; compare it with the listing (rescan), or make it anew (rebuild).
 * Blocking   Everything that takes an error blocks the calling fiber. Operations on one folder may
 *            run in parallel in several fibers; a rescan waits for them and they for it.
 * Outcomes   0: it happened and is durable (the rows are acknowledged). -1 LAB_UNCERTAIN: it may or
 *            may not have happened, or may still (obox 3.8). Every other -1: it certainly did not
 *            happen, and a retry is safe.
 * UIDs       Given by the local index at the end of a save. Another backend, or this one after a
 *            crash, takes them from the index bundles, and gives mails that no bundle knows theirs
 *            in the order of creation (obox 4.8).
 * Indexes    Flags are uploaded within metacache_upload_interval, new mails when there are more
 *            than obox_max_rescan_mail_count, everything by a flush (backend.h). A folder is
 *            refreshed when it is opened for the first time, or when other backends were here.
 * Quota      What does not fit is refused with LAB_OVER_QUOTA before anything is stored; what is
 *            on its way at the same time is not counted. A move within what counts always fits.
 * Limits     OBOX_MAIL_MAX bytes a mail, OBOX_MAILS_MAX mails a folder, OBOX_BATCH mails a call.
 */
#ifndef LAB_OBOX_H
#define LAB_OBOX_H

#include "core/env/env.h"

#define OBOX_MAIL_MAX (100u * 1024 * 1024)
#define OBOX_MAILS_MAX 4000000
/* IMAP MOVE and EXPUNGE commit every 1000 mails (NEWS 2.3.10). */
#define OBOX_BATCH 1000
#define OBOX_OID_BYTES_MAX 32

struct obox_user;
struct obox_mailbox;

/* The object may have other references: somebody copied the mail, or nobody kept track
 * (obox_track_copy_flags, obox 4.9). */
#define OBOX_MAIL_COPIED 0x01

/* A mail of a folder, as its index knows it. */
struct obox_mail {
	uint32_t uid;
	uint8_t name[ENV_GUID128_SIZE];  /* of the object in this folder: unique for ever */
	uint8_t guid[ENV_GUID128_SIZE];  /* message GUID, the same for copies (HD-4); zero: unknown
					  */
	uint8_t oid[OBOX_OID_BYTES_MAX]; /* object id */
	uint8_t oid_len;
	uint8_t bits; /* OBOX_MAIL_* */
	/* Where its row is, as the listing or the save told this process; 0: unknown, else 1 + the
	 * bucket. Never stored: another process lists the folder before it uses it. */
	uint16_t bucket1;
	/* Virtual: every line end counts two bytes. UINT64_MAX: unknown, as of what a listing
	 * brought, until it is read or a quota is asked for. */
	uint64_t size;
	int64_t received, saved; /* unix seconds; 0: unknown */
};

/* ---- folders ---- */

/* Opens a folder of the user, creating it if it is not there yet. At the first open since the
 * backend's start it is compared with its listing: 1 if that was done now, 0 if not, -1. Counts a
 * reference. */
int obox_mailbox_open(struct obox_user *user, struct lab_view name, struct obox_mailbox **ret,
	struct lab_error *err);
/* NULLs the pointer; accepts NULL. */
void obox_mailbox_close(struct obox_mailbox **mailbox);

/* As obox_mailbox_open(), but never makes a folder: -1 LAB_NOT_FOUND. */
int obox_mailbox_select(struct obox_user *user, struct lab_view name, struct obox_mailbox **ret,
	struct lab_error *err);

/* Merges what other backends have uploaded, and compares the index with the listing: mails that
 * they saved appear, mails that they expunged go (obox 4.10, 5.4). */
int obox_mailbox_rescan(struct obox_mailbox *mailbox, struct lab_error *err);
/* force-resync: forgets the index and makes it from bundles and listing, bypassing every cache,
 * under a new UIDVALIDITY. Flags that were not uploaded are lost. */
int obox_mailbox_rebuild(struct obox_mailbox *mailbox, struct lab_error *err);

/* Before a session is told UIDs: uploads the index if a recovery after a crash would give others
 * (obox 4.8), unless obox_allow_nonreproducible_uids, and the root if it is uncertain whether that
 * has the folder's UIDVALIDITY. -1: they must not be told. */
int obox_mailbox_show(struct obox_mailbox *mailbox, struct lab_error *err);

uint32_t obox_mailbox_uidvalidity(const struct obox_mailbox *mailbox);
uint32_t obox_mailbox_uidnext(const struct obox_mailbox *mailbox);
size_t obox_mailbox_count(const struct obox_mailbox *mailbox);
/* As it is shown now. Borrowed until the next blocking call. */
const char *obox_mailbox_name(const struct obox_mailbox *mailbox);
/* When the listing that it was last compared with was asked for, env_now(); 0: never. What was
 * saved before and is not in the folder was expunged. */
uint64_t obox_mailbox_compared_ns(const struct obox_mailbox *mailbox);
/* 32 hex digits. */
const char *obox_mailbox_guid(const struct obox_mailbox *mailbox);
/* The mail with the index-th smallest UID. Borrowed until the next blocking call. */
const struct obox_mail *obox_mailbox_mail(const struct obox_mailbox *mailbox, size_t index);
/* NULL if there is none. */
const struct obox_mail *obox_mailbox_find(const struct obox_mailbox *mailbox, uint32_t uid);

/* Every change of the folder that a client can see is above those before it (RFC 7162). */
uint64_t obox_mailbox_highest_modseq(const struct obox_mailbox *mailbox);
/* Of the last change of a mail; 0 if there is none with that UID. */
uint64_t obox_mailbox_modseq(const struct obox_mailbox *mailbox, uint32_t uid);

/* ---- the list of folders (obox-folder.c) ---- */

/* Names are full paths with '/' between their parts, of 1 to 255 bytes; "INBOX" is one folder in
 * any case, is always there once it was opened, and is neither renamed nor deleted. Each change is
 * in the user's root bundle before it is acknowledged, unless metacache_bg_root_uploads. -1
 * LAB_INVALID (a name that is none), LAB_EXISTS, LAB_NOT_FOUND, LAB_LIMIT, or what the storage
 * says; UNCERTAIN as everywhere. `special_use` is "\Sent" and so on, or empty. */
int obox_folder_create(struct obox_user *user, struct lab_view name, struct lab_view special_use,
	struct lab_error *err);
/* With all that is below it. Sessions that have it open go on under the new name. */
int obox_folder_rename(
	struct obox_user *user, struct lab_view from, struct lab_view to, struct lab_error *err);
/* The folder, then its mails: what fails or is interrupted after the folder is gone is a leak. What
 * is below it stays. Sessions that have it open get LAB_NOT_FOUND from then on. `ret_guid` may be
 * NULL; else it says which folder that is, or may be, gone (zero: none had that name). */
int obox_folder_delete(struct obox_user *user, struct lab_view name,
	uint8_t ret_guid[ENV_GUID128_SIZE], struct lab_error *err);
int obox_folder_set_special_use(struct obox_user *user, struct lab_view name,
	struct lab_view special_use, struct lab_error *err);
/* Of a name, whether there is such a folder or not (RFC 3501). 1 if that changed something. */
int obox_subscribe(
	struct obox_user *user, struct lab_view name, bool is_subscribed, struct lab_error *err);

struct obox_folder {
	const char *name;
	char guid[2 * ENV_GUID128_SIZE + 1];
	uint32_t uidvalidity; /* at least */
	const char *special_use;
	bool is_subscribed;
};
/* By name, as this backend knows them; in the arena. */
void obox_folder_list(struct obox_user *user, struct lab_arena *arena, struct obox_folder **ret,
	size_t *ret_count);
/* Is the folder one of these: names, masks (quota.h), and \Special-use of its own? What is not in
 * the list has only a name. */
struct conf_text;
bool obox_folder_is_among(
	struct obox_user *user, struct lab_view name, const struct conf_text *masks, size_t count);
/* The names that are subscribed, in their order. */
void obox_subscription_list(
	struct obox_user *user, struct lab_arena *arena, struct lab_view **ret, size_t *ret_count);

struct obox_status {
	uint32_t messages, unseen, uidnext, uidvalidity;
	uint64_t highest_modseq;
};
/* STATUS: from the local index, which is compared with the listing first if it was not yet. -1
 * LAB_NOT_FOUND. */
int obox_folder_status(struct obox_user *user, struct lab_view name, struct obox_status *ret,
	struct lab_error *err);

/* ---- the user as a whole (obox-account.c) ---- */

/* force-resync of the list: folders that have index bundles and are not in it come back, INBOX
 * under its name, the others as obox_fetch_lost_mailbox_prefix and their GUID. Done by itself when
 * a root bundle cannot be read. Returns how many. */
int obox_user_recover(struct obox_user *user, struct lab_error *err);
/* Deletes all mails, bundles and rows of the user, and this host's metacache; caches and other
 * hosts' metacaches stay (obox 4.11). What fails or is interrupted can be done again. -1
 * LAB_EXISTS: another session has the user open. */
int obox_user_delete(struct obox_user *user, struct lab_error *err);
/* Until nobody but the caller has the user open here. -1 LAB_TIMEOUT. */
int obox_user_wait(struct obox_user *user, uint64_t deadline_ns, struct lab_error *err);

/* ---- shared and virtual folders (obox-secondary.c, obox 5.9) ---- */

/* \\Seen of a mail of another user's folder, for this user alone (INDEXPVT=~/shared-pvt), in the
 * user's root: uploaded within metacache_upload_interval, which a crash can forestall. By owner,
 * GUID of the folder and name of the mail. 1 if that changed something, 0 if not; -1 LAB_INVALID,
 * LAB_LIMIT. Never blocks. */
int obox_private_store(struct obox_user *user, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], const uint8_t name[ENV_GUID128_SIZE], bool is_seen,
	struct lab_error *err);
bool obox_private_has_seen(const struct obox_user *user, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], const uint8_t name[ENV_GUID128_SIZE]);
/* The same of a mail of a folder that is open here, of whichever user. -1 LAB_NOT_FOUND. */
int obox_shared_store(struct obox_user *user, const struct obox_mailbox *shared, uint32_t uid,
	bool is_seen, struct lab_error *err);
bool obox_shared_has_seen(
	const struct obox_user *user, const struct obox_mailbox *shared, uint32_t uid);
/* Forgets the flags of mails that are gone from the folder: not in a listing of it that was asked
 * for after they became known here. Returns how many. Never blocks. */
size_t obox_shared_sync(struct obox_user *user, struct obox_mailbox *shared);

/* Searches all folders of the user for mails with the flag, or without it, and gives those that are
 * new in the virtual folder of that name UIDs (INDEX=~/virtual). Makes no folder, whatever is
 * deleted meanwhile. Who takes over from another metacache uploads the root before it returns. 1 if
 * that changed something, 0 if not; -1 if any folder cannot be opened, or LAB_LIMIT: it stays as it
 * was. Blocks. */
int obox_virtual_open(struct obox_user *user, struct lab_view name, struct lab_view flag,
	bool is_set, struct lab_error *err);
struct obox_virtual_item {
	uint32_t uid;
	char folder_guid[2 * ENV_GUID128_SIZE + 1];
	uint8_t name[ENV_GUID128_SIZE];
};
/* What it has, by UID, in the arena; UIDVALIDITY 0: it must be opened first. Never blocks. */
size_t obox_virtual_list(struct obox_user *user, struct lab_view name, struct lab_arena *arena,
	struct obox_virtual_item **ret, uint32_t *ret_uidvalidity);

/* ---- quota (obox-quota.c; core/quota/quota.h has the rules) ---- */

struct obox_usage {
	bool has_quota; /* else the rest is 0 */
	uint64_t bytes, messages;
	uint64_t bytes_limit, messages_limit; /* everybody's; 0: none */
};
/* GETQUOTA: the sums over all folders that are not ignored. Folders that are not current in this
 * metacache are opened (with obox_mailbox_list_quick_lookups only those that it has no index of),
 * and sizes that no index knows are looked up; when all is known that costs nothing. -1 as
 * obox_mailbox_select(). */
int obox_quota_usage(struct obox_user *user, struct obox_usage *ret, struct lab_error *err);
/* The same after a new look at the listing of every folder that counts, all sums made anew
 * (`doveadm quota recalc`). */
int obox_quota_recalculate(struct obox_user *user, struct obox_usage *ret, struct lab_error *err);

/* ---- flags ---- */

/* STORE: sets or clears a system flag ("\\Seen") or a keyword, either in any case. 1 if that
 * changed something, 0 if not; -1 LAB_NOT_FOUND, LAB_INVALID for what is no keyword, LAB_LIMIT.
 * Local until the next upload (metacache_upload_interval), which a crash can forestall. Waits for a
 * rescan that runs. */
int obox_store(struct obox_mailbox *mailbox, uint32_t uid, struct lab_view flag, bool is_set,
	struct lab_error *err);
bool obox_has_flag(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_view flag);
/* FETCH FLAGS: names of at most `max` flags of a mail, borrowed until the next change. */
size_t obox_flags(
	const struct obox_mailbox *mailbox, uint32_t uid, struct lab_view *ret, size_t max);

/* ---- mails ---- */

struct obox_save {
	struct lab_view body;
	int64_t received; /* INTERNALDATE; 0: now */
	/* Of Sieve's addflag, or APPEND: set with the mail's addition. What is no keyword is left
	 * out. */
	const struct lab_view *flags;
	size_t flag_count;
	bool is_delivery;   /* LMTP: quota_grace counts */
	bool ignores_quota; /* it was there before */
};
/* What is known of a save or copy, also when it failed: which object a failure is about. */
struct obox_saved {
	uint32_t uid; /* 0 unless it happened */
	uint8_t guid[ENV_GUID128_SIZE];
	uint8_t name[ENV_GUID128_SIZE]; /* zero if it did not get that far */
	uint8_t oid[OBOX_OID_BYTES_MAX];
	uint8_t oid_len;
};

/* LMTP delivery, or IMAP APPEND: PUT, rows, index, in this order (HD-1). *ret is always filled.
 * May be UNCERTAIN. */
int obox_save(struct obox_mailbox *mailbox, const struct obox_save *mail, struct obox_saved *ret,
	struct lab_error *err);

/* The body. -1 LAB_NOT_FOUND: no such UID here, or it was expunged elsewhere, or it is lost
 * ("Object exists in dict, but not in storage"). */
int obox_fetch(struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);

/* FETCH of many bodies: mail_prefetch_count of them are on their way or in memory at a time (0:
 * one). take(ctx, i, ...) is called once for each uids[i], in the order in which they arrive;
 * `body` is valid during the call only, and empty if err->code is not LAB_OK (the errors of
 * obox_fetch()). `take` must not block. Blocks. */
typedef void (*obox_take_fn)(
	void *ctx, size_t index, struct lab_view body, const struct lab_error *err);
void obox_fetch_many(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	obox_take_fn take, void *ctx);

/* One for each UID of a call. */
struct obox_result {
	uint32_t uid;
	struct lab_error err;    /* LAB_OK: it happened */
	bool copied;             /* move: the copy is there (its deletion may have failed) */
	bool is_sole;            /* move: nobody else can have the object (obox 4.9) */
	struct obox_saved saved; /* copy and move */
};

/* How many mails of the user share a mail's object, counted no further than nlinks-limit; 1 where
 * objects cannot be shared (REFCOUNT, REFCOUNT_ID). */
struct obox_references {
	struct lab_error err; /* LAB_OK: it was counted */
	unsigned count;
	uint8_t name[ENV_GUID128_SIZE]; /* of the mail */
	uint8_t oid[OBOX_OID_BYTES_MAX];
	uint8_t oid_len;
};
/* Of each UID, at most OBOX_BATCH. What the caller has expunged itself since it counted is not
 * counted although a row of it may be left. */
void obox_count_references(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	const struct obox_references *const *expunged, size_t expunged_count,
	struct obox_references *ret);

/* Copies to a folder of the same user, in the dict only (obox 4.7), or with obox_disable_fast_copy
 * by reading and writing each mail, obox_max_parallel_writes at a time (32 at most). uids[] of
 * `from`, at most OBOX_BATCH. Fills results[count]. 0 if all happened, else -1 with the first
 * error. */
int obox_copy(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, struct obox_result *results, struct lab_error *err);
/* Copy, then expunge of what was copied. */
int obox_move(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, struct obox_result *results, struct lab_error *err);
/* Rows, then the objects that nothing refers to any more, in bulk. */
int obox_expunge(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	struct obox_result *results, struct lab_error *err);

#endif
