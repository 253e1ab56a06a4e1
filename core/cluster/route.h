/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - who serves a user: the decisions of proxies and backends, without I/O (palomar 2.2 to
 * 2.5).
 *
 * Purpose    route_next() is asked with what is known so far and says what to do next: read a row,
 *            write one, or the answer. cluster.h does the I/O around it. The same function runs on
 *            proxies and, for their re-check, on backends.
 * Rule       Nothing is written on the strength of something cached: before each write its rows and
 *            the view are read again from GeoDB. So a cache may be as stale as it likes and does no
 *            harm but a detour (palomar 4.1, R4).
 * Versions   What follows from rows (failing over, finishing a move) is written at their version
 *            plus one: all who see the same rows write the same cells at the same time, and lose
 *            against whoever decides anew.
 * Silence    Where palomar says [I] or [S], README.md has what was chosen.
 * Effects    None: everything here is pure.
 */
#ifndef LAB_CLUSTER_ROUTE_H
#define LAB_CLUSTER_ROUTE_H

#include "core/cluster/cluster-rows.h"

/* ---- the view: what changes seldom and is small ---- */

/* Each sorted by its key, as geodb_list() does it. */
struct cluster_view {
	const struct cluster_site *sites;
	size_t site_count;
	const struct cluster_backend *backends;
	size_t backend_count;
	const struct cluster_reachability *reachability;
	size_t reachability_count;
};
/* NULL: there is none. */
const struct cluster_site *cluster_view_site(const struct cluster_view *view, struct cluster_id id);
const struct cluster_site *cluster_view_site_named(
	const struct cluster_view *view, struct lab_view name);
const struct cluster_backend *cluster_view_backend(
	const struct cluster_view *view, struct cluster_id id);
const struct cluster_backend *cluster_view_backend_named(
	const struct cluster_view *view, struct lab_view host);
/* Nobody has said otherwise: reachable. A site reaches itself. */
bool cluster_view_reaches(
	const struct cluster_view *view, struct cluster_id from, struct cluster_id to);
/* Somebody new may be sent to it (palomar 4.1, R9): online, of this site, with a load factor. */
bool cluster_backend_is_legal(const struct cluster_backend *backend, struct cluster_id site);

/* ---- assignment (palomar 2.4) ---- */

enum cluster_assign {
	CLUSTER_ASSIGN_HASH, /* A1: a function of names and view: who sees the same says the same */
	CLUSTER_ASSIGN_RANDOM /* A2: by `draw`, as an adversary would */
};
struct cluster_policy {
	enum cluster_assign assign;
	unsigned group_count; /* cluster_default_group_count, at least 1 */
};
#define CLUSTER_GROUP_NAME_MAX 32
/* "default-N", N in [1, group_count]. */
void cluster_default_group(const struct cluster_policy *policy, struct lab_view username,
	uint64_t draw, char ret[CLUSTER_GROUP_NAME_MAX]);
/* The legal backend for a group: highest hash of both, or drawn; not `except`. NULL: none. */
const struct cluster_backend *cluster_pick_backend(const struct cluster_view *view,
	const struct cluster_policy *policy, struct cluster_id site, struct lab_view group,
	struct cluster_id except, uint64_t draw);
/* The online site of the same tag as `like`, not `like` itself; reachable from `from`. */
const struct cluster_site *cluster_pick_site(const struct cluster_view *view,
	const struct cluster_site *like, struct cluster_id from, struct lab_view username);

/* Whether a forced move (or a recovery) of this id takes this user (palomar 2.8): the first 32 bits
 * of MD5(id ":" username), modulo 100, are below pct. Who is taken at one percentage is taken at
 * every higher one. */
bool cluster_force_move_hits(struct lab_view id, struct lab_view username, int64_t pct);

/* ---- the question and the answer ---- */

enum route_known {
	ROUTE_UNREAD,
	ROUTE_CACHED,
	ROUTE_FRESH /* read from GeoDB for this very question */
};

struct route_question {
	const struct cluster_view *view;
	bool view_is_fresh;
	struct cluster_policy policy;
	struct cluster_id local_site;
	uint64_t draw;      /* of CLUSTER_ASSIGN_RANDOM */
	int64_t now_ms;     /* since 1970: moving_started */
	bool skip_optional; /* an optional write has failed: go on without */
	enum route_known user_known, group_known;
	bool has_user, has_group;   /* if known: there is such a row */
	struct cluster_user user;   /* username always */
	struct cluster_group group; /* the one that was asked for */
};

enum route_step {
	ROUTE_READ_USER,
	ROUTE_READ_GROUP, /* group.site_id, group.name */
	ROUTE_READ_VIEW,
	ROUTE_WRITE_USER,  /* user, columns, timestamp_us */
	ROUTE_WRITE_GROUP, /* group, columns, timestamp_us */
	ROUTE_BACKEND,     /* the end: `backend` */
	ROUTE_SITE,        /* the end: a proxy behind the load balancer of `site` */
	ROUTE_TEMPFAIL     /* the end, for now: `reason`, a literal */
};

struct route_answer {
	enum route_step step;
	bool must_be_fresh; /* of reads */
	bool is_optional;   /* of writes: without it the answer would be the same */
	const char *why;    /* of writes, for the log: a literal */
	const char *reason;
	const struct cluster_backend *backend;
	const struct cluster_site *site;
	struct cluster_user user;
	struct cluster_group group;
	uint32_t columns;
	int64_t timestamp_us;                    /* 0: now */
	char group_name[CLUSTER_GROUP_NAME_MAX]; /* what a new row's name borrows */
};
/* The answer borrows from the question and its view. Asked again with what was read (or written:
 * then it is FRESH), it comes to an end within ROUTE_STEPS_MAX steps while nobody else writes. */
#define ROUTE_STEPS_MAX 16
void route_next(const struct route_question *question, struct route_answer *ret);

/* ---- L10: a backend asks itself whether a user really belongs here ---- */

struct verdict_question {
	const struct route_question *route; /* as it ended */
	const struct route_answer *answer;
	struct cluster_id me;
	bool is_referred;    /* another backend has sent this login here */
	bool has_sessions;   /* of this user, here */
	bool is_being_moved; /* between U1 and U4, here */
	bool was_moved;      /* in the group's present move */
};
enum verdict {
	VERDICT_ACCEPT,
	VERDICT_ACCEPT_MOVING, /* accept; its group is to leave: see to it that the move runs */
	VERDICT_REFER,         /* to the answer's `backend`, or else `site` */
	VERDICT_REFER_MOVED,   /* refer to the group's alt; remember that this user is gone */
	VERDICT_HOLD,          /* ask again when its move has ended */
	VERDICT_MOVE_USER,     /* move it alone (moving_group), then ask again */
	VERDICT_READ,          /* not on the strength of a cache: ask again, with fresh rows */
	VERDICT_TEMPFAIL
};
enum verdict route_verdict(const struct verdict_question *question);

/* Where a group's move goes; NULL if it does not move, or its target is not legal (any more). */
const struct cluster_backend *route_move_target(
	const struct cluster_view *view, const struct cluster_group *group);
/* The row after a group failed over, or after its move ended (M5, M7): backend_id is `to`, the alt
 * is chosen anew, nothing moves. Returns the columns to write, at group->version_us + 1. */
uint32_t route_group_after(const struct cluster_view *view, const struct cluster_policy *policy,
	const struct cluster_group *group, struct cluster_id to, uint64_t draw,
	struct cluster_group *ret);
/* The row after a user's own move has ended; its home stays. Likewise at version + 1. */
uint32_t route_user_after(const struct cluster_user *user, struct cluster_user *ret);

#endif
