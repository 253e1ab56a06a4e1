/* SPDX-License-Identifier: Apache-2.0
 *
 * workload-private.h - what the parts of the workload share: users' lanes, draws, and when they
 * act.
 */
#ifndef SCENARIOS_WORKLOAD_PRIVATE_H
#define SCENARIOS_WORKLOAD_PRIVATE_H

#include "scenarios/runner/client.h"
#include "scenarios/runner/palomar.h"
#include "scenarios/runner/workload.h"

#define SESSION_ARENA_MAX ((size_t)1 << 30)

/* Where a user is served: one, or several at once, as when nothing sees to it that all of a user's
 * connections go to one backend. */
struct lane {
	struct user *user;
	uint32_t number; /* from 0 */
	struct node *node;
	unsigned active;  /* sessions and deliveries under way on `node` */
	uint64_t ordinal; /* of the draws of its sessions */
};

struct workload {
	struct workload_settings settings;
	struct client_context client;
	struct user *users;
	struct lane *lanes; /* SCENARIO_LANES_MAX for each user */
	size_t user_count;
	size_t busy;    /* fibers that have not ended */
	size_t audited; /* users whose audit has begun */
	struct node *auditor;
};

/* What a fiber of a user is told. */
struct user_fiber {
	struct workload *w;
	struct user *user;
	struct lane *lane; /* of sessions */
};

/* ---- draws ---- */

uint64_t workload_draw(struct workload *w, const struct user *user, const char *what, uint64_t n);
/* What the sessions of a lane do next. Deliveries count for themselves, so that a retry of theirs
 * changes nothing here. */
uint64_t workload_next(struct workload *w, struct lane *lane, const char *what);
uint64_t workload_pick(
	struct workload *w, struct lane *lane, const struct conf_range *range, const char *what);

/* ---- where ---- */

struct lane *workload_lane(struct workload *w, const struct user *user, size_t number);
size_t workload_lane_count(struct workload *w, const struct user *user);
/* The backend that serves the user while all are up. */
size_t workload_home(struct workload *w, const struct user *user);
/* The backend that serves the lane now; NULL: all are down. */
struct node *workload_route(struct workload *w, struct lane *lane);

/* ---- when ---- */

struct env *workload_lab(struct workload *w);
/* Nothing new begins. */
bool workload_is_over(struct workload *w);
/* `delay_ns` after the beat before: so what is done takes from the pause after it, and a fast world
 * and a slow one do the same at the same time. Who is late takes the whole pause. */
uint64_t workload_next_beat(struct workload *w, uint64_t beat_ns, uint64_t delay_ns);
void workload_sleep_until(struct workload *w, uint64_t when_ns);
/* Sleeps until the next beat, unless it comes when all is over: nobody waits for that. */
bool workload_await_beat(struct workload *w, uint64_t *beat_ns, uint64_t delay_ns);

/* ---- fibers; each takes a struct user_fiber, and tells by w->busy that it has ended ---- */

/* `lane` may be NULL. */
int workload_start_fiber(struct workload *w, struct user *user, struct lane *lane, const char *name,
	env_fiber_fn fn, struct lab_error *err);
void workload_deliveries(void *arg);
void workload_sessions(void *arg);

#endif
