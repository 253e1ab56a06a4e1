/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-private.h - what routing.c and routing-orders.c share.
 */
#ifndef SIM_ORACLE_ROUTING_PRIVATE_H
#define SIM_ORACLE_ROUTING_PRIVATE_H

#include "sim/oracle/oracle-private.h"

#include <stdio.h>

#define ROUTING_BACKENDS_MAX 256u
/* Three rounds to be taken back, and three to be taken out. */
#define ROUTING_OUT_MIN (59 * LAB_SEC)
#define ROUTING_ROUND (10 * LAB_SEC) /* of a controller */

/* A backend that a controller has out. */
struct routing_out {
	struct lab_view host, site;
};

struct routing {
	struct lab_heap *heap;
	struct lab_map *users;
	struct lab_map *names; /* backends and sites -> number from 1 */
	struct lab_view shown[ROUTING_BACKENDS_MAX];
	size_t name_count;
	struct routing_rows *rows; /* routing-rows.c */
	struct lab_map *orders;    /* routing-orders.c: what was decided last, and when */
	struct routing_out out[ROUTING_BACKENDS_MAX];
	size_t out_count;
	struct lab_view renamed; /* what had another name before the last order; empty: none */
	uint64_t first_trouble_ns, last_trouble_ns; /* of what the routing can feel */
	uint64_t last_ns;                           /* of the last event */
	bool had_trouble, had_crash, is_full;
	uint64_t logins, slow_logins;
	struct oracle_routing measured;
};

struct lab_view routing_text(const struct lab_event *event, const char *name);

/* Of controllers and operators. */
void routing_order(struct oracle *oracle, const struct lab_event *event);
/* cluster_session_started: may it be there? */
void routing_placed(struct oracle *oracle, const struct lab_event *event);
void routing_check_groups(struct oracle *oracle, const struct oracle_case *c);
void routing_orders_free(struct routing *routing);

/* routing-rows.c: GeoDB's rows as they change. */
void routing_rows_new(struct oracle *oracle);
void routing_rows_free(struct routing *routing);
void routing_rows_event(struct oracle *oracle, const struct lab_event *event);
void routing_rows_finish(struct oracle *oracle, const struct oracle_case *c);

#endif
