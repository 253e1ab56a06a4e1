/* SPDX-License-Identifier: Apache-2.0
 *
 * sim-world.h - a scenario's world for one seed: hosts, emulators and faults, built and taken down.
 */
#ifndef SCENARIOS_SIM_WORLD_H
#define SCENARIOS_SIM_WORLD_H

#include "scenarios/runner/scene.h"
#include "sim/world/world.h"

#define SIM_WALL_START_US UINT64_C(1767225600000000) /* 2026-01-01 00:00:00 UTC */

struct palomar;

struct sim_world {
	const struct run_options *options;
	struct scene scene;
	struct world *world;
	struct world_host *lab_host;
	struct env *lab;
	struct palomar *palomar; /* NULL: there is none */
};

/* Boots everything but the auditor. -1 LAB_INVALID, LAB_LIMIT; take it down in either case. */
int sim_world_build(struct sim_world *w, const struct run_options *options, struct lab_error *err);
void sim_world_free(struct sim_world *w);
/* Heals what is still broken: partitions, nodes, hosts. */
void sim_world_heal(struct sim_world *w);
/* A backend that has never seen anything. */
struct node *sim_world_auditor(struct sim_world *w);

#endif
