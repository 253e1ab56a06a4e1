/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache.h - the metacache process of a backend: which folders have what to upload, and when
 * (obox 5.1, 5.2).
 *
 * Purpose    Important changes are uploaded within metacache_upload_interval, many new mails at
 *            once, in the background; what fails is tried again an interval later.
 * Space      An index that is removed is uploaded first, and downloaded when it is used again.
 * Blocking   metacache_stop() and metacache_clean(). At most metacache_max_parallel_requests
 *            uploads run at a time.
 */
#ifndef LAB_OBOX_METACACHE_H
#define LAB_OBOX_METACACHE_H

#include "core/conf/settings.h"
#include "core/env/env.h"
#include "core/obox/metacache-weight.h"

struct backend;
struct metacache;
struct obox_mailbox;

/* -1 LAB_INVALID. What is not set is as the defaults say. */
int metacache_read_weights(
	const struct conf_settings *conf, struct metacache_weights *ret, struct lab_error *err);
struct reboots;
struct metacache_settings {
	struct env *env;
	const struct conf_settings *conf;
	struct metacache_weights weights;
	struct backend *backend;
	const struct reboots *reboots; /* NULL: nothing of it lies on the disk */
	const char *home;              /* mail_home, or what stands for it: "/var/vmail/%d/%n" */
};
/* All but the weights are borrowed. Reads metacache_userdb, or looks at the disk if that does not
 * say what is there. */
struct metacache *metacache_start(const struct metacache_settings *settings);
/* No upload begins in the background any more; waits for those that run. */
void metacache_stop(struct metacache *metacache);
/* After that, when users and folders are closed: writes metacache_userdb. NULLs the pointer;
 * accepts NULL. Blocks. */
void metacache_free(struct metacache **metacache);

/* Shared by all that reads and writes bundles. */
struct env_semaphore *metacache_requests(struct metacache *metacache);
/* The folder is uploaded at that time (env_now()), or earlier if it was to be already. It must not
 * be freed before metacache_stop(). */
void metacache_upload_at(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t when);
/* It is uploaded by somebody else, or freed. */
void metacache_forget(struct metacache *metacache, struct obox_mailbox *mailbox);

/* ---- space (obox 5.8) ---- */

struct obox_user;
struct metacache_user;
struct metacache_directory;

/* The user was opened; once a warning if that is outside of metacache_roots. */
struct metacache_user *metacache_known(struct metacache *metacache, const struct obox_user *user);
/* The folder was opened by somebody. */
void metacache_touch(struct metacache *metacache, struct obox_mailbox *mailbox);
/* Counts the bytes of the folder's file anew. Above metacache_max_space indexes are removed in the
 * background, those with the lowest weight first. Once in metacache_rescan_interval it looks at the
 * whole disk. */
void metacache_count(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t bytes);
/* The folder is closed, and its file stays as large as it was last counted; with no bytes, it is
 * gone. */
void metacache_closed(struct metacache *metacache, struct obox_mailbox *mailbox, bool is_changed,
	bool is_important);
void metacache_count_root(
	struct metacache *metacache, const struct obox_user *user, uint64_t bytes, bool is_changed);
uint64_t metacache_used(const struct metacache *metacache);
/* Above metacache_max_space and metacache_max_grace no user may be opened. */
bool metacache_is_full(const struct metacache *metacache);
/* Removes indexes of at least that priority, but not those in use, until no more than so many bytes
 * are used. 1 if that is so, 0 if the rest is in use or could not be uploaded. Blocks. */
int metacache_clean(
	struct metacache *metacache, enum metacache_priority min_priority, uint64_t max_bytes);

/* Counts again what is on the disk (metacache rescan). 0, or -1 LAB_INVALID: metacache_roots says
 * that there is nothing to look at. `reason` is a literal. */
struct metacache_scan;
int metacache_rescan(struct metacache *metacache, const char *reason, struct metacache_scan *ret,
	struct lab_error *err);

#endif
