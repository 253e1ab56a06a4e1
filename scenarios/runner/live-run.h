/* SPDX-License-Identifier: Apache-2.0
 *
 * live-run.h - one run in the live world: real time, real loopback sockets, real files.
 *
 * The emulators serve on loopback ports behind their front ends, each in its own thread; the backends
 * are hosts of core/env/live in this process. Faults of services and crashes of backends come from the
 * same plan; partitions and clock faults exist in the simulated world only, and a scenario that has
 * them says so in an error.
 */
#ifndef SCENARIOS_LIVE_RUN_H
#define SCENARIOS_LIVE_RUN_H

#include "scenarios/runner/run.h"

/* As run_simulated(), with the phases' lengths in real time. *ret_wall_ns is how long it took. */
int run_live(const struct run_options *options, struct run_result *ret, uint64_t *ret_wall_ns,
	struct lab_error *err);

#endif
