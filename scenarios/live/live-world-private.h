/* SPDX-License-Identifier: Apache-2.0
 *
 * live-world-private.h - what the sources of a live world share.
 */
#ifndef SCENARIOS_LIVE_WORLD_PRIVATE_H
#define SCENARIOS_LIVE_WORLD_PRIVATE_H

#include "scenarios/live/live-world.h"

/* live-world.c */

/* Starts the host's main(); it is down. */
void live_world_boot(struct live_host_place *place);

/* live-faults.c */

/* A dead node refuses connections, and those it had are reset. */
void live_switch_node(struct live_world *w, size_t node, bool is_up);
/* Where nothing of ours is asked for faults. */
uint64_t live_missing_points(const struct live_world *w);
/* For scene_new_faults(), live_tap_observe() and live_tap_drain(); `ctx` is the world. */
void live_on_skipped(void *ctx, const struct scenario_fault *fault);
void live_on_episode(void *ctx, const struct fault_episode *episode);
void live_on_fault(void *ctx, const struct fault_record *record);

#endif
