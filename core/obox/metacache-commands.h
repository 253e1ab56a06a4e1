/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-commands.h - what an operator does with the metacache of a backend, and with a user as
 * a whole: doveadm metacache and doveadm obox user (obox 4.11, 5.7, 5.9).
 *
 * Purpose    The same functions for the command line and for an operator inside a scenario. Users
 *            are those of metacache_userdb, open or not: whoever is needed is opened for it.
 * Masks      "*" and "?" in user names, or in values of a field of `metacache update userdb`; an
 *            empty mask is every user.
 * Outcomes   Nothing here changes a mail. What fails can be done again; -1 with the first error,
 *            and the others were tried, too.
 * Blocking   All that take an error.
 */
#ifndef LAB_OBOX_METACACHE_COMMANDS_H
#define LAB_OBOX_METACACHE_COMMANDS_H

#include "core/obox/backend.h"
#include "core/obox/metacache-users.h"

struct metacache_mask {
	struct lab_view mask;
	struct lab_view field; /* empty: the user's name */
	enum metacache_priority min_priority;
};

/* ---- list, status ---- */

struct metacache_entry {
	const char *username;
	struct metacache_field *fields;
	size_t field_count;
	/* Until something of his is uploaded in the background; UINT64_MAX: nothing is due. */
	uint64_t upload_within_ns;
	uint64_t bytes[METACACHE_PRIORITIES];
	int64_t accessed[METACACHE_PRIORITIES], weight[METACACHE_PRIORITIES];
	enum metacache_changes changes;
};
/* By name; in the arena. */
void metacache_list(struct backend *backend, const struct metacache_mask *mask,
	struct lab_arena *arena, struct metacache_entry **ret, size_t *ret_count);

struct metacache_status {
	uint64_t users, directories, bytes, unknown_bytes, max_space, max_grace;
	uint64_t priority_bytes[METACACHE_PRIORITIES];
	const char *const *roots;
	size_t root_count;
};
void metacache_get_status(struct backend *backend, struct metacache_status *ret);

/* ---- uploads and space ---- */

/* flush, flushall: uploads what was changed, or only what is important. Returns how many
 * directories it uploaded. */
int metacache_flush(struct backend *backend, const struct metacache_mask *mask, bool important_only,
	struct lab_error *err);
/* Removes indexes that nobody has accessed for so many seconds (0: all), once they are uploaded.
 * -1 also with LAB_EXISTS: something of it is in use, and stays. */
int metacache_clean_users(struct backend *backend, const struct metacache_mask *mask,
	uint64_t unused_seconds, struct lab_error *err);
/* The next open of these users refreshes root and folders. Returns how many there are. */
int metacache_refresh(struct backend *backend, const struct metacache_mask *mask);
/* Drops them from the process's list, not from the disk: a rescan finds them again. -1
 * LAB_NOT_FOUND if there are none. */
int metacache_remove(
	struct backend *backend, const struct metacache_mask *mask, struct lab_error *err);
/* metacache rescan. */
int metacache_rescan_all(
	struct backend *backend, struct metacache_scan *ret, struct lab_error *err);
/* -1 LAB_NOT_FOUND: no such user. */
int metacache_update_userdb(struct backend *backend, struct lab_view username,
	struct lab_view field, struct lab_view value, struct lab_error *err);

/* ---- doveadm obox user ---- */

/* -1 LAB_EXISTS: it is open in another session of this backend (exit status 65). */
int metacache_user_delete(struct backend *backend, struct lab_view username, struct lab_error *err);
/* -1 LAB_TIMEOUT: it still is (exit status 65). */
int metacache_user_wait(struct backend *backend, struct lab_view username, uint64_t timeout_ns,
	struct lab_error *err);

#endif
