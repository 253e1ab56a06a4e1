/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar.h - for tests: a small Palomar cluster on the hosts of geo.h, and clients that log in
 * through its proxies as real ones do.
 *
 *   site az1: lb-1 (proxy-1, proxy-2), backends b1, b2, b3    site az2: lb-2 (proxy-3), backend b9
 */
#ifndef LAB_CLUSTER_TESTING_PALOMAR_H
#define LAB_CLUSTER_TESTING_PALOMAR_H

#include "core/cluster/cluster.h"
#include "core/cluster/testing/geo.h"

enum {
	PROXY_1,
	PROXY_2,
	PROXY_3,
	B1,
	B2,
	B3,
	B9,
	NODES
};
#define SITE_1 1
#define SITE_2 2
#define BACKEND_ID(node) ((uint8_t)(100 + (node)))

struct palomar;
struct node {
	struct palomar *palomar;
	struct geo_host *geo;
	const char *name;
	struct cluster *cluster;
	unsigned number;
	uint32_t boots; /* of the host, when its service was opened */
	unsigned kicks;
	bool is_stubborn; /* its sessions do not end when they are kicked */
};

struct palomar {
	struct geo *geo;
	struct geo_host *here; /* where the test's body runs */
	struct node nodes[NODES];
	struct lab_error err;
	bool read_back;
	struct cluster_policy policy;
	const char *localdb_path;
	void (*adjust)(struct cluster_settings *settings); /* or NULL */
	unsigned overlaps; /* logins that made a second backend serve a user */
	unsigned hops;     /* of the last login */
};

/* Runs the body with everything online; groups and users come by themselves. */
void palomar_run(void (*body)(struct palomar *p));
#define PALOMAR(name) \
	static void name##_body(struct palomar *p); \
	static void name(void **state) \
	{ \
		(void)state; \
		palomar_run(name##_body); \
	} \
	static void name##_body(struct palomar *p)

/* (Re)starts the cluster service of a node with the settings in *p. */
void palomar_open(struct palomar *p, unsigned node);
/* Its host has not crashed since then. */
bool palomar_is_open(const struct node *node);
/* Ends it in an orderly way. */
void palomar_close(struct palomar *p, unsigned node);
/* The host crashes and comes back; its file of LocalDB stays, or goes (a reboot). */
void palomar_crash(struct palomar *p, unsigned node, bool is_reboot);

/* One login through a proxy, over as many hops as it takes. Returns the node that accepted it; -1:
 * a temporary failure (p->err), which is the only failure there may be. */
int palomar_login(struct palomar *p, unsigned proxy, const char *user, enum cluster_protocol how);
/* Straight to a backend, as a client of a proxy with a very old cache. */
int palomar_login_at(struct palomar *p, unsigned backend, const char *user);
void palomar_logout(struct palomar *p, unsigned backend, const char *user);
/* Sessions of a user on a backend; backends that have some. */
size_t palomar_sessions(struct palomar *p, unsigned backend, const char *user);
unsigned palomar_backends_of(struct palomar *p, const char *user);
size_t palomar_recheck(struct palomar *p, unsigned backend);
void palomar_freeze(struct palomar *p, unsigned node, bool frozen);

/* Operators. */
void palomar_backend_status(struct palomar *p, unsigned backend, enum cluster_status status);
void palomar_site_status(struct palomar *p, uint8_t site, enum cluster_status status);
int palomar_group_move(struct palomar *p, const char *group, unsigned to, bool direct);
int palomar_user_move(struct palomar *p, const char *user, const char *site, const char *group);
/* Rows as they are now. False: there is none. */
bool palomar_group(struct palomar *p, uint8_t site, const char *name, struct cluster_group *ret);
bool palomar_user(struct palomar *p, const char *user, struct cluster_user *ret);
/* The node of a backend's id; -1: none. */
int palomar_node_of(struct cluster_id id);
void palomar_sleep(struct palomar *p, uint64_t ns);

#endif
