/* SPDX-License-Identifier: Apache-2.0
 *
 * sim-world.h - a scenario's world for one seed: hosts, emulators and faults, built and taken down.
 */
#ifndef SCENARIOS_SIM_WORLD_H
#define SCENARIOS_SIM_WORLD_H

#include "scenarios/runner/node.h"
#include "scenarios/runner/run.h"
#include "sim/cql-emulator/cql-emulator.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/world/world.h"

#define SIM_NODES_MAX 256
#define SIM_CQL_NODES_MAX 32
#define SIM_WALL_START_US UINT64_C(1767225600000000) /* 2026-01-01 00:00:00 UTC */
#define SIM_AUDITOR "auditor"
#define SIM_MEMORY_MAX (6ull << 30)

struct sim_world {
	const struct run_options *options;
	struct world *world;
	struct lab_heap *cql_heap;
	struct s3emu *s3;
	struct imdsemu *imds; /* NULL if the settings have no auth_role */
	struct cqlemu *cql;
	struct fault_plan *plan;
	struct world_host *lab_host;
	struct env *lab;
	struct node nodes[SIM_NODES_MAX]; /* the auditor is behind the last */
	size_t node_count;
	char cql_names[SIM_CQL_NODES_MAX][32];
	size_t cql_count;
	/* Phases. */
	uint64_t warmup_end, storm_end, settle_end;
};

/* Boots everything but the auditor. -1 LAB_INVALID, LAB_LIMIT; take it down in either case. */
int sim_world_build(struct sim_world *w, const struct run_options *options, struct lab_error *err);
void sim_world_free(struct sim_world *w);
/* Heals what is still broken: partitions, nodes, hosts. */
void sim_world_heal(struct sim_world *w);
/* A backend that has never seen anything. */
struct node *sim_world_auditor(struct sim_world *w);

#endif
