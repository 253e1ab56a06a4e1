/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-private.h - the metacache from the inside: uploads in time (metacache.c), and space
 * (metacache-clean.c).
 */
#ifndef LAB_OBOX_METACACHE_PRIVATE_H
#define LAB_OBOX_METACACHE_PRIVATE_H

#include "core/obox/metacache-users.h"
#include "core/obox/metacache.h"
#include "core/obox/obox-private.h"

struct metacache {
	struct env *env;
	const struct conf_settings *conf;
	struct metacache_weights weights;
	struct backend *backend;
	struct env_semaphore requests, uploads;
	/* (when, ticket), big-endian -> struct obox_mailbox */
	struct lab_tree *due;
	uint64_t next_ticket;
	bool is_running; /* the fiber that waits for what is due */
	bool is_stopping;
	unsigned uploading;
	struct env_cond wake, done;
	const struct reboots *reboots;
	struct metacache_users users;
	uint64_t unknown_bytes; /* of files of nobody, when the disk was last looked at */
	const char *roots[METACACHE_ROOTS_MAX];
	size_t root_count;
	char userdb[ENV_PATH_MAX];
	uint64_t scanned_ns;
	bool is_cleaning, is_rescanning;
};

/* Reads the settings of metacache_roots and metacache_userdb, and what the disk says
 * (metacache-space.c). */
void metacache_open_users(struct metacache *metacache, const char *home);
void metacache_close_users(struct metacache *metacache);

/* Nothing is known of the user any more; what is open is counted again when it changes. */
void metacache_forget_user(struct metacache *metacache, struct lab_view name);
/* Nothing of what he has not open. */
void metacache_forget_closed(struct metacache *metacache, const struct obox_user *user);

/* ---- whose directories a command is about (metacache-clean.c) ---- */

struct metacache_filter {
	struct lab_view mask;  /* with * and ?; empty: all users */
	struct lab_view field; /* of which the mask is; empty: the user's name */
	enum metacache_priority min_priority;
	int64_t accessed_until; /* unix seconds */
};
bool metacache_matches(const struct metacache_filter *filter, const struct metacache_user *user);
/* Removes what matches, the lightest first, until so few bytes are used. 1: nothing is left above
 * that; 0: what is left is in use; -1: something could not be uploaded, and stays. Blocks. */
int metacache_clean_matching(struct metacache *metacache, const struct metacache_filter *filter,
	uint64_t max_bytes, struct lab_error *err);
int64_t metacache_weight_of(const struct metacache *metacache, const struct metacache_user *user,
	enum metacache_priority priority);

#endif
