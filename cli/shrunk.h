/* SPDX-License-Identifier: Apache-2.0
 *
 * shrunk.h - what shrink and explain have in common: SEED SCN, or a FILE that says its seed, made
 * small; and the file that is made of it.
 */
#ifndef CLI_SHRUNK_H
#define CLI_SHRUNK_H

#include "cli/options.h"

#include "scenarios/failure/shrink.h"

struct shrunk {
	struct options options; /* parsed by the caller */
	struct run_options run;
	struct fault_episode episodes[OPTIONS_FAULTS_MAX];
	struct lab_arena *arena;
	struct shrink_result result;
	enum run_verdict verdict; /* of the run itself */
};

/* Loads and shrinks. 1: the run does not fail. -1 with a sentence. */
int shrunk_begin(struct shrunk *shrunk, struct lab_error *err);
void shrunk_end(struct shrunk *shrunk);

/* Writes the scenario, and beside it the files that its settings name. What is there already and
 * says something else is not written over (LAB_EXISTS), but for the scenario itself. */
int shrunk_write(const struct shrunk *shrunk, const char *path, struct lab_error *err);
/* The file fails in the same way, twice with the same trace. */
int shrunk_verify(struct shrunk *shrunk, const char *path, struct lab_error *err);

/* The exact faults of --inject (cmd-run.c). */
int cli_injects(const struct options *options, struct fault_episode episodes[OPTIONS_FAULTS_MAX],
	struct lab_error *err);

#endif
