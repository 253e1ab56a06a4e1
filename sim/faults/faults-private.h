/* SPDX-License-Identifier: Apache-2.0
 *
 * faults-private.h - the plan, as its three halves see it: tables.c, plan.c, decide.c.
 */
#ifndef SIM_FAULTS_PRIVATE_H
#define SIM_FAULTS_PRIVATE_H

#include "sim/faults/faults.h"

struct fault_kind_info {
	const char *name;
	const char *doc;
	uint64_t points;
	enum sim_fault_kind answer;
	unsigned status;
	const char *code;
};
extern const struct fault_kind_info fault_kinds[FAULT_KIND_COUNT];

struct fault_plan {
	struct lab_heap *heap;
	uint64_t seed;
	unsigned replicas;
	struct fault_observer observer;

	struct fault_episode *episodes; /* episode of id n at n - 1 */
	size_t episode_count, episode_capacity;
	struct lab_map *spec_names;

	/* Episodes that cover [active_from, active_until), in order of id. */
	uint32_t *active;
	size_t active_count, active_capacity;
	uint64_t active_from, active_until;

	struct lab_map *ordinals;   /* episode, point, peer -> how many times asked */
	struct lab_map *suppressed; /* keys of decisions */

	/* A ring once it has FAULT_RECORDS_MAX; the oldest is at record_first. */
	struct fault_record *records;
	size_t record_count, record_capacity, record_first;
	uint32_t last_id;

	uint64_t fired_kind[FAULT_KIND_COUNT];
	uint64_t fired_point[FAULT_POINT_COUNT];
	uint64_t asked_point[FAULT_POINT_COUNT];
	uint64_t point_keys[FAULT_POINT_COUNT]; /* of names: a new point does not shift draws */
};

#define FAULT_SUPPRESSED_MAX 4096
#define FAULT_ORDINALS_MAX (UINT64_C(1) << 24)

uint64_t fault_range_pick(const struct fault_range *range, uint64_t draw);
/* Grows the array `items` to hold one more. */
void *fault_grow(struct lab_heap *heap, void *items, size_t item_size, size_t count,
	size_t *capacity, size_t max);

#endif
