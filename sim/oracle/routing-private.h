/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-private.h - what routing.c and routing-orders.c share.
 */
#ifndef SIM_ORACLE_ROUTING_PRIVATE_H
#define SIM_ORACLE_ROUTING_PRIVATE_H

#include "sim/oracle/oracle-private.h"

#include <stdio.h>

#define ROUTING_BACKENDS_MAX 1024u /* with proxies and sites */
/* Three rounds to be taken back, and three to be taken out. */
#define ROUTING_OUT_MIN (59 * LAB_SEC)
#define ROUTING_ROUND (10 * LAB_SEC) /* of a controller */

/* A backend that a controller has out. */
struct routing_out {
	struct lab_view host, site;
};

struct presence;
struct route_user {
	struct presence *present;
	unsigned backends;     /* with sessions */
	uint64_t overlap_ns;   /* since when there are two; if backends > 1 */
	uint64_t lost_ns;      /* the last session was lost with its backend; 0: no */
	bool was_zone;         /* with its whole zone */
	uint64_t failing_ns;   /* logins fail since then; 0: they do not */
	uint64_t unsettled_ns; /* the last time that anything went wrong since a zone is back */
	bool has_finding[5];
	/* `user access` in the end: the backend, and the site that it is in. */
	uint16_t backend, site;
	bool was_accessed;
};

/* routing-losses.c */
struct routing_losses {
	uint64_t lost_ns, back_ns; /* when a zone was last lost, came back; 0: never */
	struct lab_view back;      /* which one */
	uint64_t served_ns[ROUTING_BACKENDS_MAX]; /* by each of its proxies since then */
	bool is_settling;
	unsigned zones_lost;
};

struct routing {
	struct lab_heap *heap;
	struct lab_map *users;
	struct lab_map *names; /* backends and sites -> number from 1 */
	struct lab_view shown[ROUTING_BACKENDS_MAX];
	uint16_t zones[ROUTING_BACKENDS_MAX];      /* of backends; 0: not known */
	uint64_t cleaned_ns[ROUTING_BACKENDS_MAX]; /* when they last began to clean a user */
	size_t name_count;
	struct routing_rows *rows; /* routing-rows.c */
	struct lab_map *orders;    /* routing-orders.c: what was decided last, and when */
	struct routing_out out[ROUTING_BACKENDS_MAX];
	size_t out_count;
	struct lab_view renamed; /* what had another name before the last order; empty: none */
	uint64_t first_trouble_ns, last_trouble_ns; /* of what the routing can feel */
	uint64_t last_ns;                           /* of the last event */
	bool had_trouble, had_crash, is_full;
	bool had_other_trouble;             /* than that controllers were not there */
	bool is_dead[ROUTING_BACKENDS_MAX]; /* of controllers */
	unsigned controllers_dead;
	uint64_t controllers_dead_ns; /* when one of them died or came back, last */
	uint64_t logins, slow_logins;
	struct routing_losses losses;
	struct oracle_routing measured;
};

/* One finding of each sort for a user. */
#define FOUND(oracle, user, sort, number, signature, time_ns, ...) \
	do { \
		if (!(user)->has_finding[sort]) \
			(void)oracle_found_online( \
				oracle, number, signature, time_ns, __VA_ARGS__); \
		(user)->has_finding[sort] = true; \
	} while (0)
enum {
	SORT_OVERLAP,
	SORT_LOGIN,
	SORT_ACCESS,
	SORT_TIME,
	SORT_ALONE
};

struct lab_view routing_text(const struct lab_event *event, const char *name);
uint64_t routing_number(const struct lab_event *event, const char *name);
/* A number from 1; 0: too many. */
uint16_t routing_name(struct oracle *oracle, struct lab_view name);
/* Not before the last trouble. */
uint64_t routing_since(const struct routing *r, uint64_t time_ns);
void routing_measure(struct oracle_measure *measure, uint64_t ns);

/* ---- how long until all is well after a loss ---- */

void routing_losses_event(struct oracle *oracle, const struct lab_event *event);
uint64_t routing_recovery_max(const struct oracle *oracle, bool of_zone);
/* His last session was lost with its backend; he has one again. */
void routing_lost(struct routing *r, struct route_user *user, uint64_t now_ns);
void routing_recovered(
	struct oracle *oracle, struct route_user *user, struct lab_view name, uint64_t now_ns);
/* Something went wrong for him; what that means for a zone that is back is measured at the end of
 * the run, or when the next one is lost. */
void routing_unsettled(struct routing *r, struct route_user *user, uint64_t now_ns);
void routing_settled(struct routing *r);
/* proxy_session_established */
void routing_served_again(struct oracle *oracle, const struct lab_event *event);

/* ---- routing-causes.c: what explains what would be wrong otherwise ---- */

/* A backend begins to clean its metacache: it is above metacache_max_space. */
void routing_cleans(struct oracle *oracle, const struct lab_event *event);
/* The backend says that its metacache is full, and cleans it. */
bool routing_is_full(struct oracle *oracle, const struct lab_event *event, struct lab_view why);
/* He may be on two backends for a while: two proxies gave the new user, or his new group, away at
 * once (palomar 2.4), or an operator sent his group to a third backend while it moved to a second
 * one, where some had arrived (palomar 4.2, F27: the last target wins). */
bool routing_may_be_two(const struct oracle *oracle, struct lab_view user);

/* ---- routing-controllers.c: R10 ---- */

/* What the event tells has happened to a controller. */
bool routing_is_of_controller(const struct lab_event *event);
/* A host crashes or starts. */
void routing_controller_event(struct oracle *oracle, const struct lab_event *event);
/* A login or delivery failed. */
void routing_check_alone(struct oracle *oracle, const struct lab_event *event,
	struct route_user *user, bool is_login);
/* Everybody knows his rows, and his group does not move; false if rows are not looked at. */
bool routing_is_settled_user(const struct oracle *oracle, struct lab_view user);

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
