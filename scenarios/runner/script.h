/* SPDX-License-Identifier: Apache-2.0
 *
 * script.h - the steps of a scenario that need logic: Lua in fibers of the laboratory's host
 * (simulation 4.2; scenarios/scripts/README.md is the manual).
 *
 * Purpose    A script acts for users, through the same client as the workload, so that the oracle
 *            hears of it; breaks things through the fault plan; and holds fibers of backends at
 *            named places (core/env/hold.h).
 * Verdict    An expectation that fails is a FAIL. A script that ends by an error, or that waits for
 *            a hold that nobody comes to, is BROKEN: it does not do what it is there for.
 * World      The simulated one.
 * Ownership  Everything lives in the heap of the laboratory's host.
 */
#ifndef SCENARIOS_SCRIPT_H
#define SCENARIOS_SCRIPT_H

#include "core/env/hold.h"
#include "scenarios/format/scenario.h"

struct history;
struct scripts;
struct sim_world;
struct workload;

struct script_settings {
	const struct scenario *scenario;
	uint64_t seed;
	struct sim_world *world;
	struct workload *workload;
	struct history *history;
	uint64_t (*event_sequence)(void *ctx);
	void *event_ctx;
	uint64_t begin_ns, end_ns; /* of the storm */
};

struct script_report {
	uint64_t failed;    /* expectations */
	char sentence[400]; /* the first of them, with its place */
	char signature[96];
	uint64_t time_ns, event;         /* when it failed, and after which event */
	uint64_t caught[ENV_HOLD_COUNT]; /* fibers that a script was waiting for there */
};

/* Starts every script of the scenario, if there are any; *ret is NULL if not. -1 LAB_INVALID,
 * LAB_LIMIT. Watches all holds of the process until scripts_free(). */
int scripts_start(
	const struct script_settings *settings, struct scripts **ret, struct lab_error *err);
/* All have ended. The following accept NULL. */
bool scripts_are_idle(const struct scripts *scripts);
/* 1: one has ended by an error, which is *err. */
int scripts_failed(const struct scripts *scripts, struct lab_error *err);
/* The storm is over: whoever is held goes on, and nobody is held from here on. */
void scripts_heal(struct scripts *scripts);
void scripts_report(const struct scripts *scripts, struct script_report *ret);
void scripts_free(struct scripts **scripts);

#endif
