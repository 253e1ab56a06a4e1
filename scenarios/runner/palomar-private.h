/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar-private.h - what the sources of the cluster around the backends share.
 */
#ifndef SCENARIOS_PALOMAR_PRIVATE_H
#define SCENARIOS_PALOMAR_PRIVATE_H

#include "scenarios/runner/palomar.h"

#define PALOMAR_LATENCY (500 * LAB_USEC) /* of a step between hosts */

struct palomar {
	struct palomar_settings settings;
	const struct scenario_cluster *conf;
	struct palomar_host *hosts; /* proxies, backends, controllers */
	size_t proxy_count, backend_count, controller_count;
	uint64_t balanced[SCENARIO_SITES_MAX]; /* connections that each load balancer had */
	uint64_t user_move_timeout_ns, proxy_timeout_ns, disconnect_delay_ns, recheck_ns;
	unsigned max_reconnects;
};

/* ---- palomar-session.c: what backends know of sessions ---- */

struct palomar_session {
	struct palomar *palomar;
	struct palomar_host *backend;
	uint32_t backend_boots;
	struct {
		const struct palomar_host *host;
		uint32_t boots;
	} proxies[CLUSTER_TTL];
	size_t proxy_count;
	enum cluster_protocol protocol;
	char user[CLUSTER_USERNAME_MAX + 1]; /* as the backend spells it */
	unsigned requests;                   /* under way */
	bool is_open;                        /* on the backend */
	bool is_kicked;
	bool is_broken;      /* for the client */
	bool is_abandoned;   /* the client is gone, and the backend does not know */
	uint64_t silent_ns;  /* since when */
	struct env_cond cut; /* the client is not connected any more */
	struct palomar_session *next, *previous; /* of the backend */
};

struct palomar_session *palomar_session_new(
	struct palomar *palomar, enum cluster_protocol protocol);
/* In a fiber of the backend, which has just accepted `user`. */
void palomar_session_open(
	struct palomar_session *session, struct palomar_host *backend, struct lab_view user);
/* On the backend; nothing if that has happened. `reason` is a literal. */
void palomar_session_close(struct palomar_session *session, const char *reason);
/* Its last proxy and its backend hear each other. */
bool palomar_session_is_heard(const struct palomar_session *session);
/* cluster_ops.kick of a backend. */
void palomar_kick(void *host, struct lab_view username, uint64_t deadline_ns);
/* Sessions whose proxies have been silent for too long end. */
void palomar_reap(struct palomar_host *backend);
/* The backend has crashed; the proxy has. */
void palomar_sessions_lost(struct palomar_host *backend);
void palomar_sessions_cut(struct palomar *palomar, const struct palomar_host *proxy);

/* ---- palomar-controller.c ---- */

/* main() of a controller, from where it has its GeoDB on: does not return. */
void palomar_run_controller(struct palomar_host *host);

/* ---- palomar-pull.c ---- */

/* In a fiber of the backend, before the first session of a user does anything there: takes his
 * metacache from the host that had him last (palomar 2.6, U5 and U6). Whatever fails: storage will
 * do. */
void palomar_pull(struct palomar_host *backend, struct lab_view user);

static inline bool palomar_host_is_ready(const struct palomar_host *host)
{
	return host->is_up && host->cluster != NULL;
}
static inline bool palomar_hears(struct palomar *palomar, const char *from, const char *to)
{
	return palomar->settings.reachable(
		       palomar->settings.ctx, lab_view_cstr(from), lab_view_cstr(to)) &&
	       palomar->settings.reachable(
		       palomar->settings.ctx, lab_view_cstr(to), lab_view_cstr(from));
}

#endif
