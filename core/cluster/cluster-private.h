/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-private.h - what the sources of the cluster service share.
 */
#ifndef LAB_CLUSTER_PRIVATE_H
#define LAB_CLUSTER_PRIVATE_H

#include "core/cluster/cluster.h"

#define CLUSTER_VIEW_MAX_BYTES (64u << 20)
#define CLUSTER_WORK_MAX_BYTES (16u << 20)

/* A view with its memory. Who uses it over a blocking call holds a reference. */
struct cluster_snapshot {
	unsigned references;
	struct lab_arena *arena;
	struct cluster_view view;
};

/* A user with sessions here, or one that is being moved. */
struct cluster_member {
	size_t sessions;
	bool is_being_moved;
	struct lab_view name;  /* of the map's key: its own copy */
	struct lab_view group; /* at its last login */
};

/* A group's move that runs, or waits for its turn. */
struct cluster_move {
	struct cluster_move *next;
	struct cluster *cluster;
	char *group;
};

struct cluster {
	struct env *env;
	struct geodb *geodb;
	struct cluster_settings settings;
	struct cluster_ops ops;
	struct localdb *localdb;
	struct cluster_snapshot *snapshot; /* NULL: none yet */
	uint64_t snapshot_ns;              /* when it was read, or tried to be */
	bool is_frozen, is_unknown; /* is_unknown: GeoDB does not have it under its own name */
	struct lab_map *members;
	struct env_cond changed; /* sessions and moves */
	struct cluster_move *moves;
	unsigned running;              /* fibers of moves */
	struct env_semaphore one_move; /* of groups (palomar 7) */
	bool is_closing;
	uint64_t draws;
	struct lab_map *dests; /* host -> struct cluster_dest; NULL: none yet */
};

/* ---- the view ---- */

/* Fresh, or not older than its time to live (or the old one, if it cannot be read). NULL: there is
 * none. To be released. */
struct cluster_snapshot *cluster_view_take(
	struct cluster *cluster, bool fresh, struct lab_error *err);
void cluster_view_release(struct cluster *cluster, struct cluster_snapshot **snapshot);
/* This site and, of a backend, this backend; -1 LAB_UNAVAILABLE: GeoDB does not know them. */
int cluster_self(struct cluster *cluster, const struct cluster_view *view,
	struct cluster_id *ret_site, struct cluster_id *ret_backend, struct lab_error *err);

/* ---- statistics ---- */

void cluster_stats_free(struct cluster *cluster);

/* ---- lookups ---- */

struct cluster_lookup {
	struct cluster_snapshot *snapshot; /* what question and answer borrow from */
	struct route_question question;
	struct route_answer answer;
	struct cluster_id me;
};
/* To its end, or -1. `fresh`: nothing cached. Texts are in the arena. Either way
 * cluster_lookup_done(). */
int cluster_lookup_run(struct cluster *cluster, struct lab_view username, bool fresh,
	struct lab_arena *arena, struct cluster_lookup *ret, struct lab_error *err);
void cluster_lookup_done(struct cluster *cluster, struct cluster_lookup *lookup);
/* A temporary failure. Both return -1. */
int cluster_tempfail(struct lab_error *err, const char *reason);
int cluster_is_temporary(struct lab_error *err); /* whatever it was */

/* ---- members ---- */

struct cluster_member *cluster_member_find(const struct cluster *cluster, struct lab_view name);
/* NULL: too many. */
struct cluster_member *cluster_member_get(struct cluster *cluster, struct lab_view name);
/* Forgets it if nothing is left to be known. */
void cluster_member_put(struct cluster *cluster, struct cluster_member *member);

/* ---- moves ---- */

/* The group is to leave this backend: a fiber sees to it, unless one does. */
void cluster_move_wanted(struct cluster *cluster, struct lab_view group);
/* U1 to U3 for one user; true if no session is left. `to` is for the events. */
bool cluster_move_sessions(struct cluster *cluster, struct lab_view username, struct lab_view to);
/* The user's own move (moving_group). 0 it is done or there was none, -1. */
int cluster_move_user(struct cluster *cluster, struct lab_view username, struct lab_error *err);

#endif
