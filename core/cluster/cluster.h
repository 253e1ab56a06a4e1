/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h - the cluster service of one proxy or backend (palomar 2.1 to 2.6).
 *
 * Purpose    Proxies ask it where a user is to be connected, and again after a referral. Backends
 *            ask it whether a user who comes is really theirs, tell it when sessions end, and let
 *            it carry out the moves of their groups and users.
 * Sessions   A backend's accepted logins, deliveries and doveadm commands are sessions here. The
 *            service counts them and asks for them to be kicked; what they are is the caller's
 *            business.
 * Caches     Users and groups in LocalDB (localdb.h), sites and backends in a view that is read
 *            again after view_ttl_ns; if that fails the old one goes on. While GeoDB cannot be read
 *            a row may serve until it is stale_max_ns old (palomar 4.2, F5 and F12).
 * Blocking   Everything but cluster_new(), cluster_session_end() and the switches blocks.
 * Errors     What passes by itself is LAB_UNAVAILABLE and retryable: a temporary failure, to be
 *            queued or tried again, never "no such user" (palomar 4.1, R5). LAB_INVALID: no user
 *            can have this name. Nothing here is uncertain to the caller: a change of GeoDB that
 *            may have happened is found again by the next lookup.
 */
#ifndef LAB_CLUSTER_H
#define LAB_CLUSTER_H

#include "core/cluster/geodb.h"
#include "core/cluster/localdb.h"
#include "core/cluster/referral.h"
#include "core/cluster/route.h"

struct cluster;

struct cluster_settings {
	struct lab_view local_site;   /* cluster_local_site: a site's name */
	struct lab_view backend_name; /* cluster_backend_name: empty on a proxy */
	struct cluster_policy policy;
	bool read_back; /* new rows are read again after they were written (palomar 2.4, A2) */
	struct localdb_settings localdb;
	uint64_t view_ttl_ns;          /* 5 s */
	uint64_t stale_max_ns;         /* proxies 0: not beyond the time to live; backends 1 h */
	uint64_t user_move_timeout_ns; /* cluster_user_move_timeout: 30 s */
	uint64_t hold_ns;              /* a login waits so long for its user's move: 30 s */
	unsigned moves_parallel;       /* users of one group's move: 100 */
	unsigned members_max;          /* users with sessions here: 1,000,000 */
};
/* Texts are empty; the rest as said, for a backend or a proxy. */
void cluster_settings_defaults(struct cluster_settings *ret, bool is_backend);

struct cluster_ops {
	void *ctx;
	/* Ends the user's sessions, as far as they can be ended (LMTP cannot: palomar 2.6, U2);
	 * each calls cluster_session_end(). May block; returns by the deadline. */
	void (*kick)(void *ctx, struct lab_view username, uint64_t deadline_ns);
};

/* `geodb` and texts are borrowed; ops may be NULL on a proxy. Lives in env->heap. */
struct cluster *cluster_new(struct env *env, struct geodb *geodb,
	const struct cluster_settings *settings, const struct cluster_ops *ops);
/* Waits for moves that run. NULLs the pointer; accepts NULL. */
void cluster_free(struct cluster **cluster);

/* ---- proxies ---- */

struct cluster_place {
	struct lab_view user; /* as it is to be spelled */
	struct lab_view host; /* of a backend, or of a site's load balancer */
	bool is_backend;
	bool is_referral; /* do not connect there: answer with a referral to it */
};
/* L2 to L9. 0 or -1. Texts are in the arena. `is_proxied`: the connection comes from a proxy of
 * another site. Such a one is never sent on to a third site, but told so (palomar 2.3), and not on
 * the strength of a cache: else two proxies of which one is stale would send it to and fro. */
int cluster_lookup(struct cluster *cluster, struct lab_view username, bool is_proxied,
	struct lab_arena *arena, struct cluster_place *ret, struct lab_error *err);
/* L11: the place where `hops` last went has referred to `referral`. What GeoDB says now is taken if
 * it has not been tried; else the referral, if it is to an online backend of this site or a site's
 * load balancer. */
int cluster_redirected(struct cluster *cluster, struct lab_view username, bool is_proxied,
	const struct cluster_hops *hops, const struct cluster_referral *referral,
	struct lab_arena *arena, struct cluster_place *ret, struct lab_error *err);

/* What came of a connection to a backend or to another site's load balancer. Neither redirects nor
 * temporary failures of the lookup are to be told (palomar 2.1). Never blocks. */
void cluster_dest_count(struct cluster *cluster, struct lab_view dest, bool is_success);
/* Writes what was counted since the last time into proxy_dest_stats, as of the present window: to
 * be called once in each. -1: what could not be written is forgotten. */
#define CLUSTER_STATS_WINDOW (10 * LAB_SEC)
int cluster_stats_flush(struct cluster *cluster, struct lab_error *err);

/* ---- backends ---- */

enum cluster_login_result {
	CLUSTER_ACCEPTED, /* a session of ret->user: cluster_session_end() when it ends */
	CLUSTER_REFERRED  /* to ret->host */
};
/* L10: 0 with *ret_result, or -1. `is_referred`: the proxy comes here because another backend said
 * so; the target of a move accepts nobody else. A login of a user that is just being moved waits.
 * Whoever is referred because the user belongs elsewhere has its other sessions here kicked, too.
 */
int cluster_login(struct cluster *cluster, struct lab_view username, bool is_referred,
	struct lab_arena *arena, enum cluster_login_result *ret_result, struct cluster_place *ret,
	struct lab_error *err);
/* Never blocks. */
void cluster_session_end(struct cluster *cluster, struct lab_view username);
/* Sessions here, of one user or (empty) of all. */
size_t cluster_sessions(const struct cluster *cluster, struct lab_view username);
/* Asks again for every user with sessions here, and kicks who belongs elsewhere; moves that nobody
 * drives are driven. To be called once in a while: it bounds how long a user is on two backends
 * (palomar 4.1, R2). Returns how many users were kicked. */
size_t cluster_recheck(struct cluster *cluster);

/* group access GROUP, on a backend: if the group is to leave it, that begins (palomar 2.5, M1). */
void cluster_group_access(struct cluster *cluster, struct lab_view group);

/* ---- switches ---- */

/* "geodb refresh" */
void cluster_refresh(struct cluster *cluster);
void cluster_freeze(struct cluster *cluster, bool frozen);

/* ---- commands (palomar 3.1), anywhere ----
 *
 * 0, or -1: LAB_NOT_FOUND for names that are not there, LAB_INVALID for what makes no sense,
 * LAB_UNCERTAIN if it may have happened: to be repeated. */

/* group move [--direct] SITE GROUP HOST. 0; 1 if it is there already, or its move was called off
 * for that: it moves back from its target, if that takes groups, as some may have gone. */
int cluster_group_move(struct geodb *geodb, const struct cluster_policy *policy,
	struct lab_view site, struct lab_view group, struct lab_view host, bool direct,
	struct lab_error *err);
/* backend update --status online|offline|standby, and --load-factor 0..100. */
int cluster_backend_status(struct geodb *geodb, struct lab_view host, enum cluster_status status,
	struct lab_error *err);
int cluster_backend_load_factor(
	struct geodb *geodb, struct lab_view host, unsigned load_factor, struct lab_error *err);
/* backend evacuate HOST: load factor 0, and all its groups are to move elsewhere in its site, which
 * goes on when this returns; *ret_groups of them. May be repeated. It stays online: groups of a
 * source that is not are not moved, but taken over at once (palomar 2.5, M7). */
int cluster_backend_evacuate(struct geodb *geodb, const struct cluster_policy *policy,
	struct lab_view host, size_t *ret_groups, struct lab_error *err);
/* site update --status: any change of it ends a forced move and a recovery. */
int cluster_site_status(struct geodb *geodb, struct lab_view site, enum cluster_status status,
	struct lab_error *err);
/* site force-move start|update SITE PCT DEST..., and site recover SITE PCT: of all its users, or of
 * all users whose home it is, a share of PCT moves at the next access. `dest` (with none: recover)
 * are names of sites; `id` names the move, so that another one takes other users. PCT 0 stops. */
int cluster_site_force_move(struct geodb *geodb, struct lab_view site, struct lab_view id,
	unsigned pct, const struct lab_view *dest, size_t dest_count, struct lab_error *err);
/* user move [--site SITE] USER GROUP: carried out at the next access. `site` empty: stays. */
int cluster_user_move(struct geodb *geodb, struct lab_view username, struct lab_view site,
	struct lab_view group, int64_t now_ms, struct lab_error *err);

#endif
