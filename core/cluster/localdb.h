/* SPDX-License-Identifier: Apache-2.0
 *
 * localdb.h - what one host remembers of GeoDB, and of the moves that it carries out (palomar 1.1,
 * 1.5).
 *
 * Purpose    Cached rows of users and groups with a time to live; on the source of a move, who of a
 *            group has gone and where to, for an hour after the move.
 * Disk       A file, recommended to be in a file system that a reboot empties (palomar 1.1). It is
 *            appended to with each change and written anew when more than half of it is of no use.
 *            Never synced: whatever is lost of it is asked of GeoDB again, and who has moved is
 *            found out by having no sessions here (route.h). A disk that fails makes it live in
 *            memory only, from then on.
 * Clock      Times to live are counted by the host's wall clock, as the file outlives the process.
 *            What seems to be from the future has expired.
 * Limits     entries_max rows and marks together; the oldest cached row goes first. Marks never go
 *            before their time: when there are only marks, LAB_LIMIT.
 * Ownership  Results are copied to the caller's arena.
 */
#ifndef LAB_CLUSTER_LOCALDB_H
#define LAB_CLUSTER_LOCALDB_H

#include "core/cluster/cluster-rows.h"
#include "core/env/env.h"

struct localdb;

struct localdb_settings {
	const char *path;      /* copied; NULL: memory only */
	uint64_t group_ttl_ns; /* 5 s; 0: nothing is ever taken from it; ENV_FOREVER */
	uint64_t user_ttl_ns;  /* 60 s; likewise */
	uint64_t moved_ttl_ns; /* an hour (palomar 2.5, M6) */
	size_t entries_max;    /* 2,000,000 */
	size_t file_max_bytes; /* 1 GiB: beyond it the file is no longer written */
};
void localdb_settings_defaults(struct localdb_settings *ret);

/* Reads what is there; damage ends the reading, what was before it counts. Never fails. */
struct localdb *localdb_new(struct env *env, const struct localdb_settings *settings);
/* NULLs the pointer; accepts NULL. */
void localdb_free(struct localdb **localdb);

/* What is cached stays as it is, for ever: neither expires nor is it replaced (the stale cache of
 * tests). Marks go on. */
void localdb_freeze(struct localdb *localdb, bool frozen);
/* "geodb refresh": forgets all cached rows. Marks stay. */
void localdb_clear(struct localdb *localdb);

/* Keys of *row are given. 1 found, 0 not: there is none, or none that was put less than max_age_ns
 * ago (if frozen: whenever). */
int localdb_get_user(struct localdb *localdb, struct cluster_user *row, uint64_t max_age_ns,
	struct lab_arena *arena);
int localdb_get_group(struct localdb *localdb, struct cluster_group *row, uint64_t max_age_ns,
	struct lab_arena *arena);
void localdb_put_user(struct localdb *localdb, const struct cluster_user *row);
void localdb_put_group(struct localdb *localdb, const struct cluster_group *row);
/* A row that GeoDB has no more. */
void localdb_drop_user(struct localdb *localdb, struct lab_view username);
void localdb_drop_group(struct localdb *localdb, const struct cluster_group *row);
/* Each row of that table (users or groups) that is cached, the oldest first, also if it has
 * expired. The row's texts are borrowed; `visit` may drop the row. ENV_FOREVER: of unknown age. */
typedef void (*localdb_row_fn)(void *ctx, const void *row, uint64_t age_ns);
void localdb_each(
	struct localdb *localdb, enum cluster_table_id table, localdb_row_fn visit, void *ctx);
uint64_t localdb_group_ttl(const struct localdb *localdb);
uint64_t localdb_user_ttl(const struct localdb *localdb);

/* A user has left this host in a group's move; `move` is the move's own id (the group's `moving`),
 * so that a later move of the same group begins anew. */
int localdb_mark_moved(struct localdb *localdb, struct lab_view group, struct lab_view move,
	struct lab_view username, struct lab_error *err);
bool localdb_was_moved(struct localdb *localdb, struct lab_view group, struct lab_view move,
	struct lab_view username);
/* A group has left this host for `to`. */
int localdb_mark_group(struct localdb *localdb, struct lab_view group, struct cluster_id to,
	struct lab_error *err);
/* 1, or 0: it has not, or that was too long ago. */
int localdb_group_went(struct localdb *localdb, struct lab_view group, struct cluster_id *ret);
void localdb_forget_group(struct localdb *localdb, struct lab_view group);

size_t localdb_count(const struct localdb *localdb);

#endif
