/* SPDX-License-Identifier: Apache-2.0
 *
 * live-tap.h - what the threads of the services and the main thread of a live run have in common:
 * the fault plan, and a queue of what happened.
 *
 * Purpose    Services ask for faults and write their access logs in their own threads. The plan is
 *            asked under a lock; what was logged and what was injected is copied into a queue,
 *            which the main thread empties when it comes by.
 * Order      Of one service: as it happened. A fault comes before the request that it hit.
 * Threads    live_tap_hooks() of any number of services at once; everything else is the main
 *            thread's. The lock is never held while something outside is called, but for the plan's
 *            own observer, which is in here.
 * Limits     LIVE_TAP_BYTES_MAX of what is queued and of the plan; beyond that it is an assertion.
 */
#ifndef SCENARIOS_LIVE_TAP_H
#define SCENARIOS_LIVE_TAP_H

#include "scenarios/runner/scene.h"

#define LIVE_TAP_BYTES_MAX ((size_t)1 << 30)

struct live_tap;

/* Never NULL. The scene's backends tell the zones of peers. */
struct live_tap *live_tap_new(const struct scene *scene);
/* After the services' threads have ended. NULLs the pointer; accepts NULL. The plan must have been
 * freed. */
void live_tap_free(struct live_tap **tap);

/* For the plan. */
struct lab_heap *live_tap_heap(struct live_tap *tap);
/* Binds the plan; `episode` is called for each of its episodes, now. */
void live_tap_observe(struct live_tap *tap, struct fault_plan *plan,
	void (*episode)(void *ctx, const struct fault_episode *episode), void *ctx);
/* No faults before live_tap_observe(). */
void live_tap_hooks(struct live_tap *tap, struct sim_hooks *ret);

/* fault_world_fire(). */
bool live_tap_fire(struct live_tap *tap, uint32_t episode, uint64_t now_ns);

struct live_tap_sink {
	void *ctx;
	void (*access)(void *ctx, const struct sim_access *access);
	void (*fault)(void *ctx, const struct fault_record *record);
};
/* Hands over all that is queued. Calls from inside the sink do nothing. */
void live_tap_drain(struct live_tap *tap, const struct live_tap_sink *sink);

#endif
