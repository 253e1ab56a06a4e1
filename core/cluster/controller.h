/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.h - the controller of one site (palomar 2.7, 2.8).
 *
 * Purpose    Takes backends of its site out and back, says which other sites it reaches and takes
 *            out those that nobody reaches, and moves a group now and then from the backend with
 *            the most load to the one with the least. Nothing else depends on it: while it is away
 *            nothing of that happens, and everything else does (palomar 4.1, R10).
 * Switches   backend_health, site_health and balance in cluster_settings, on, dryrun (says what it
 *            would do) or off, which is the default.
 * Sight      Of backends what proxies wrote into proxy_dest_stats; it talks to no mail protocol.
 *            Whether somebody answers at all it asks by `ops`.
 * Memory     What it has seen, and whom it took out, is lost with it: what another one took out
 *            stays out until an operator takes it back.
 * Blocking   controller_round().
 */
#ifndef LAB_CLUSTER_CONTROLLER_H
#define LAB_CLUSTER_CONTROLLER_H

#include "core/cluster/cluster.h"
#include "core/cluster/health.h"

#define CONTROLLER_ROUND CLUSTER_STATS_WINDOW
#define CONTROLLER_LOADS 3
#define CONTROLLER_BACKENDS_MAX 256 /* of a site that are balanced */

struct controller_settings {
	struct lab_view site; /* CLUSTER_SITE: its name */
	struct cluster_policy policy;
	struct health_settings health;
	uint64_t site_down_ns;     /* a site that nobody reached for so long is out: 300 s */
	uint64_t balance_every_ns; /* one group in that time: 1 h */
	unsigned balance_samples;  /* HOST_LOAD_BALANCE_MIN_SAMPLES: 3000, one a round */
	unsigned balance_milli;    /* gap of the scores, in thousandths, that is worth it: 1000 */
};
void controller_settings_defaults(struct controller_settings *ret);

struct controller_ops {
	void *ctx;
	/* The doveadm HTTP API of a backend. May block. */
	bool (*backend_answers)(void *ctx, struct lab_view host);
	/* Anybody behind another site's load balancer. May block. */
	bool (*site_answers)(void *ctx, struct lab_view load_balancer);
	/* Memory, CPU and metacache, in any units >= 0; false: not known. */
	bool (*backend_load)(void *ctx, struct lab_view host, int64_t ret[CONTROLLER_LOADS]);
};

struct controller;
/* `geodb` and texts are borrowed. Lives in env->heap. */
struct controller *controller_new(struct env *env, struct geodb *geodb,
	const struct controller_settings *settings, const struct controller_ops *ops);
/* NULLs the pointer; accepts NULL. */
void controller_free(struct controller **controller);
/* To be called once every CONTROLLER_ROUND. -1: GeoDB could not be asked, or not be told; the next
 * round tries again. */
int controller_round(struct controller *controller, struct lab_error *err);

/* How far above the average of all a backend is, in thousandths: the Euclidean length of its
 * Z-scores over the loads that differ (palomar 2.8). Pure; `ret` has `count` scores. */
void controller_scores(const int64_t (*loads)[CONTROLLER_LOADS], size_t count, int64_t *ret);

#endif
