/* SPDX-License-Identifier: Apache-2.0
 *
 * damage.h - rows, objects and bundles that are damaged behind everybody's back, and what the
 * oracle is told of it: `scenario { damage = ... }`.
 *
 * Each thing is drawn from what there is by then; where there is nothing of the sort, nothing is
 * damaged. World: the simulated one, S3, dictmap with object ids.
 */
#ifndef SCENARIOS_DAMAGE_H
#define SCENARIOS_DAMAGE_H

#include "scenarios/runner/scene.h"
#include "sim/oracle/oracle.h"

struct damage {
	struct scene *scene;
	struct oracle *oracle;
	struct lab_heap *heap;
	uint64_t now_ns;
	bool is_rebuilt, is_collected; /* which repair follows */
	struct lab_arena *arena;       /* of the backup, and of what is drawn */
	struct damage_backup *backup;
	uint64_t done; /* how many things were damaged */
	bool is_total; /* nothing is left of the rows */
};

/* What is stored now, for `restored_objects`. */
int damage_backup(struct damage *damage, struct lab_error *err);
/* One of the kinds of the scenario, drawn by the seed. */
int damage_apply(struct damage *damage, struct lab_error *err);
void damage_free(struct damage *damage);

#endif
