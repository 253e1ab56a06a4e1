/* SPDX-License-Identifier: Apache-2.0
 *
 * controller-private.h - what the sources of the controller share.
 */
#ifndef LAB_CLUSTER_CONTROLLER_PRIVATE_H
#define LAB_CLUSTER_CONTROLLER_PRIVATE_H

#include "core/cluster/cluster-private.h"
#include "core/cluster/controller.h"

/* A backend, or another site's load balancer. */
struct controller_host {
	struct health health;
	int64_t success, failure;       /* of connections, since the last round */
	uint64_t lost_ns;               /* since when nobody reaches the site; 0: somebody does */
	int64_t load[CONTROLLER_LOADS]; /* sums of all samples */
	unsigned samples;
};

struct controller {
	struct env *env;
	struct geodb *geodb;
	struct controller_settings settings;
	struct controller_ops ops;
	struct lab_map *hosts;
	struct lab_arena *work; /* of a round */
	struct cluster_view view;
	struct cluster_id self;
	int64_t read_ms;      /* windows before it were read */
	uint64_t balanced_ns; /* when a group was last moved; 0: never */
	uint64_t draws;
	bool is_stopped; /* GeoDB is not the one that it knows itself in */
};

/* NULL: too many. */
struct controller_host *controller_host(struct controller *c, struct lab_view name);
void controller_tell(struct controller *c, enum lab_event_id event, struct lab_view host,
	const char *status, const char *reason);
/* Takes a sample, and moves a group if it is time. */
int controller_balance(struct controller *c, bool is_dry, struct lab_error *err);

#endif
