/* SPDX-License-Identifier: Apache-2.0
 *
 * migrate.h - in the middle of the warm-up an operator takes all users from a storage without
 * dictmap into the dict, in place: `scenario { migrated_from = FILE }`.
 *
 * Steps      Each backend is told no more, answers what it was asked, and stops cleanly. One is
 *            started with the new settings and migrates user by user. Then all others are started.
 * World      The simulated one.
 */
#ifndef SCENARIOS_MIGRATE_H
#define SCENARIOS_MIGRATE_H

#include "scenarios/runner/scene.h"
#include "scenarios/runner/workload.h"

struct migration {
	struct scene *scene;
	struct env *lab;
	const struct workload *workload;
	void (*migrated)(void *ctx); /* the dict is the directory from now on */
	void *ctx;
	/* Of migration_start(). */
	bool is_done;
	struct lab_error err; /* LAB_OK, or why it ended */
	size_t users;
};

/* In a fiber of the laboratory's host; fills what is "of migration_start()". The struct must stay.
 * -1: no fiber. */
int migration_start(struct migration *migration, struct lab_error *err);

#endif
