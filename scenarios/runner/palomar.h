/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar.h - a Palomar cluster around the backends of a scenario (palomar 1, 2 and 5): sites with
 * proxies behind load balancers, a GeoDB in the emulated Cassandra, and the sessions of clients.
 *
 * Purpose    A user's connections come to a load balancer, from there to a proxy, and where that
 *            proxy's cluster service says. What proxies and backends decide is core/cluster;
 *            connections, time-outs, reconnects and kicks are here.
 * Sites      Each site of the scenario, with all that is in its zone. Its load balancer is lb-SITE:
 *            any of its proxies that is up, in turn. Users have a site that they try first.
 * Sessions   A connection of a client: a fiber of the laboratory walks along the hosts. It breaks
 *            when its proxy or backend crashes, when it is kicked, or when they do not hear each
 *            other for proxy_timeout. A backend whose proxy went silent keeps the session as long.
 * Ownership  Everything lives in the laboratory's heap, which never crashes, but for what runs on
 *            the hosts.
 * Blocking   What takes a user's name, in a fiber of the laboratory's host.
 */
#ifndef SCENARIOS_PALOMAR_H
#define SCENARIOS_PALOMAR_H

#include "core/cluster/cluster.h"
#include "scenarios/runner/scene.h"

struct palomar;
struct palomar_session;

#define PALOMAR_KEYSPACE "geodb"
#define PALOMAR_LOAD_BALANCER "lb-"

enum palomar_kind {
	PALOMAR_PROXY,
	PALOMAR_BACKEND,
	PALOMAR_CONTROLLER
};

/* A proxy, the cluster service of a backend, or a site's controller. */
struct palomar_host {
	enum palomar_kind kind;
	struct palomar *palomar;
	char name[32], zone[32];
	size_t site;             /* of the scenario */
	struct node *node;       /* of a backend; NULL: a proxy */
	struct env *env;         /* NULL before the first boot */
	struct cluster *cluster; /* NULL while it is down or not ready */
	struct geodb *geodb;
	struct host_calls calls;
	struct palomar_session *sessions; /* of a backend */
	uint32_t boots;
	bool is_up;
};

struct palomar_settings {
	struct scene *scene;
	struct env *lab;
	uint64_t end_ns; /* of the storm: controllers and re-checks go on, clients do not */
	struct sim_fault (*decide)(void *ctx, const struct sim_fault_query *query);
	/* Whether each hears the other now. */
	bool (*reachable)(void *ctx, struct lab_view from, struct lab_view to);
	void *ctx;
};

/* Whether the scenario has proxies. */
bool palomar_is_wanted(const struct scenario *scenario);
/* In the laboratory's heap; backends have their cluster service from their next start on. The
 * tables and the rows of sites and backends are made. */
int palomar_new(
	const struct palomar_settings *settings, struct palomar **ret, struct lab_error *err);

/* Hosts besides the backends: proxies and controllers. NULL behind the last. */
struct palomar_host *palomar_host_at(struct palomar *palomar, size_t index);
/* main() of such a host. */
void palomar_host_main(void *arg);
/* The world tells of every host; backends, too. */
void palomar_booted(struct palomar_host *host, struct env *env);
void palomar_crashed(struct palomar_host *host);
/* NULL: none of them is called that. */
struct palomar_host *palomar_find(struct palomar *palomar, struct lab_view name);

/* ---- clients ---- */

/* Connects, logs in and follows every referral. 0 with a session; -1: a failure, after which the
 * client tries again (LAB_UNAVAILABLE, LAB_REFUSED, LAB_RESET, LAB_TIMEOUT, LAB_LIMIT). `draw` is
 * the client's own. */
int palomar_login(struct palomar *palomar, const char *user, enum cluster_protocol protocol,
	uint64_t draw, struct palomar_session **ret, struct lab_error *err);
struct node *palomar_session_node(const struct palomar_session *session);
/* The client is still connected. */
bool palomar_is_connected(const struct palomar_session *session);
/* Until then, or until the connection is closed on the other side, as a client in IDLE hears it. */
void palomar_idle(struct palomar_session *session, uint64_t until_ns);
/* Around each request of a session: false, it is not sent, or its answer does not come. */
bool palomar_request_begin(struct palomar_session *session);
bool palomar_request_end(struct palomar_session *session);
/* Ends the session if that has not happened, and frees it. True if it was the client that ended it.
 * NULLs the pointer. */
bool palomar_logout(struct palomar_session **session);
/* How long a proxy holds clients back after a backend has gone (palomar 2.2). */
uint64_t palomar_disconnect_delay(struct palomar *palomar, uint64_t draw);

/* ---- operators ---- */

/* "cluster kick USER", asked on `from`: one backend after the other ends his sessions, but for
 * LMTP's. -1 LAB_UNAVAILABLE: one did not answer, and those behind it were not asked. Blocks. */
int palomar_kick_all(const struct palomar_host *from, struct lab_view user, struct lab_error *err);

/* ---- in the end ---- */

/* What a proxy may still believe is this old at most. */
uint64_t palomar_cache_time(const struct palomar *palomar);
/* `user access` on every proxy: an event each (R3). Blocks. */
void palomar_access_all(struct palomar *palomar, const char *user);

#endif
