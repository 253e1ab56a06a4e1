/* SPDX-License-Identifier: Apache-2.0
 *
 * disaster.h - what an operator does about rows and objects: `scenario { damage, repair,
 * collect_interval }`.
 *
 * Damage     In the middle of the warm-up every backend stops cleanly; something is damaged
 *            (damage.h); one backend is started and repairs it; then all others are started.
 *            Objects that may be restored are copied at a quarter of the warm-up.
 * Collection Garbage of all users is collected while they are worked on, every collect_interval, by
 *            a backend that happens to be there; and once after everything has ended, when all that
 *            was written is old enough: then nothing may be left of it.
 * World      The simulated one.
 */
#ifndef SCENARIOS_DISASTER_H
#define SCENARIOS_DISASTER_H

#include "core/obox/obox-collect.h"
#include "scenarios/runner/damage.h"
#include "scenarios/runner/workload.h"

struct disaster {
	struct scene *scene;
	struct env *lab;
	const struct workload *workload;
	struct oracle *oracle;
	struct lab_heap *heap;
	/* Filled by what is begun. */
	bool is_done;
	struct lab_error err; /* LAB_OK, or why it ended */
	struct damage damage;
	struct storage_gc_result collected;
	uint64_t collections;
	struct lab_view *users;
};

/* Each in a fiber of the laboratory's host; the struct must stay. -1: no fiber. At a quarter of the
 * warm-up: */
int disaster_begin(struct disaster *disaster, struct lab_error *err);
/* At the beginning of the storm, until the end of settling: */
int disaster_collect_often(struct disaster *disaster, struct lab_error *err);
/* After everything: */
int disaster_collect_last(struct disaster *disaster, struct lab_error *err);
void disaster_free(struct disaster *disaster);

#endif
