/* SPDX-License-Identifier: Apache-2.0
 *
 * live-run.h - one run in the live world: real time, real loopback sockets, real files.
 *
 * The emulators serve on loopback ports behind their front ends, each in its own thread; the
 * backends are hosts of core/env/live in this process (live-world.h). The scenario, its draws, its
 * clients, its faults of services, crashes and node_down, and the oracle are those of the simulated
 * world. Partitions, clock and disk faults exist there only: they are left out, and named on
 * stderr.
 *
 * Stragglers  A request to Cassandra that stalls hangs for the settings' request_timeout, a minute
 * by default. Who still waits for one LIVE_STRAGGLERS after the run has settled gets a reset
 *             instead: the same outcome, sooner.
 * SIGINT      ends the run without a verdict (inconclusive) and cleans up.
 */
#ifndef SCENARIOS_LIVE_RUN_H
#define SCENARIOS_LIVE_RUN_H

#include "scenarios/runner/run.h"

#define LIVE_STRAGGLERS (3 * LAB_SEC)

/* As run_simulated(), with the phases' lengths in real time. `pool`, `fibers`, `until_ns` and
 * `until_event` are not used. *ret_wall_ns is how long it took. -1 also LAB_IO. */
int run_live(const struct run_options *options, struct run_result *ret, uint64_t *ret_wall_ns,
	struct lab_error *err);

#endif
