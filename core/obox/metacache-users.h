/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-users.h - what lies in the metacache of this host, and whose it is: the state of the
 * metacache process, kept over a stop (obox 5.1: metacache_userdb, metacache_roots).
 *
 * Purpose    For each user and directory (a folder's, or the root's): bytes, last access, priority,
 *            and whether something in it is in no bundle. Also of users that nobody has opened
 *            since the start.
 * File       Written by a clean stop, replaced as a whole, with a hash. A damaged one, or one of a
 *            later version, is set aside as "<path>.damaged"; after a crash it is stale. In either
 *            case the disk is looked at: metacache_users_scan().
 * Limits     METACACHE_USERS_MAX users, METACACHE_DIRECTORIES_MAX directories of each; what is
 *            beyond them is not counted.
 * Blocking   metacache_users_save().
 */
#ifndef LAB_OBOX_METACACHE_USERS_H
#define LAB_OBOX_METACACHE_USERS_H

#include "core/env/env.h"
#include "core/obox/metacache-weight.h"

#define METACACHE_USERS_MAX 1000000
#define METACACHE_DIRECTORIES_MAX 100000
#define METACACHE_FIELDS_MAX 16
#define METACACHE_ROOTS_MAX 32
#define METACACHE_GUID_MAX 33 /* hex, with the NUL; "" is the user's root */
#define METACACHE_ROOT_FILE "obox.root"
#define METACACHE_FOLDER_FILE "obox.index.log"
#define METACACHE_NAME_MAX 255

enum metacache_changes {
	METACACHE_UNCHANGED,
	METACACHE_UNIMPORTANT, /* what a rescan would find again */
	METACACHE_IMPORTANT,   /* flags */
	METACACHE_CHANGES_COUNT
};

struct metacache_directory {
	char guid[METACACHE_GUID_MAX];
	enum metacache_priority priority;
	enum metacache_changes changes;
	uint64_t bytes;
	int64_t accessed; /* unix seconds; 0: before anybody knows */
	bool is_seen;     /* by the scan that runs */
};

/* What the userdb says of a user, as far as commands look at it. */
struct metacache_field {
	char *name, *value;
};

struct metacache_user {
	char *name, *home;
	struct lab_tree *directories; /* GUID -> struct metacache_directory */
	uint64_t bytes;               /* of all */
	struct metacache_field fields[METACACHE_FIELDS_MAX];
	size_t field_count;
};

struct metacache_users {
	struct env *env;
	struct lab_tree *users; /* name -> struct metacache_user */
	uint64_t bytes;         /* of all */
};

void metacache_users_init(struct metacache_users *users, struct env *env);
void metacache_users_done(struct metacache_users *users);

/* Made if it is new; NULL if there are too many. `home` is that of the user's metacache. */
struct metacache_user *metacache_users_get(
	struct metacache_users *users, struct lab_view name, struct lab_view home);
struct metacache_user *metacache_users_find(
	const struct metacache_users *users, struct lab_view name);
/* Made if it is new; NULL if there are too many. */
struct metacache_directory *metacache_users_directory(
	struct metacache_users *users, struct metacache_user *user, const char *guid);
void metacache_users_count(struct metacache_users *users, struct metacache_user *user,
	struct metacache_directory *directory, uint64_t bytes);
/* Frees it. */
void metacache_users_forget_directory(
	struct metacache_users *users, struct metacache_user *user, const char *guid);
void metacache_users_forget(struct metacache_users *users, struct metacache_user *user);
/* Sets a field; an empty value removes it. -1 LAB_LIMIT. */
int metacache_users_set_field(struct metacache_users *users, struct metacache_user *user,
	struct lab_view name, struct lab_view value, struct lab_error *err);

/* ---- the file ---- */

/* `stamp` is what reboots_stamp() wrote, or will check. */
void metacache_users_encode(
	const struct metacache_users *users, struct lab_view stamp, struct lab_buf *out);
/* Into an empty one; *ret_stamp borrows from `bytes`. -1 LAB_CORRUPT, LAB_UNSUPPORTED: it is as
 * empty as before. */
int metacache_users_decode(struct metacache_users *users, struct lab_view bytes, size_t stamp_bytes,
	struct lab_view *ret_stamp, struct lab_error *err);

struct reboots;
/* 1: as the last clean stop left it. 0: there is none, or it is stale, or it was set aside: the
 * disk must be looked at. */
int metacache_users_load(
	struct metacache_users *users, const char *path, const struct reboots *reboots);
/* -1: logged, and the next start looks at the disk. */
int metacache_users_save(
	struct metacache_users *users, const char *path, const struct reboots *reboots);

/* ---- the disk ---- */

struct metacache_scan {
	uint64_t users, directories, before, after;
	/* Of files of nobody, as far as anybody knows; they are in `after`. */
	uint64_t unknown_bytes;
};
/* Looks at all that is below the roots: what is there has its size from now on, what is not there
 * is forgotten. Never blocks. */
void metacache_users_scan(struct metacache_users *users, const char *const *roots,
	size_t root_count, struct metacache_scan *ret);

#endif
