/* SPDX-License-Identifier: Apache-2.0
 *
 * hooks.h - what the services of a serve have in common: the fault plan and the last lines of their
 * access logs.
 *
 * Threads    All of it may be called from any thread; a lock keeps them apart, and nothing outside
 *            is called while it is held.
 * Limits     The plan's (faults.h), and `log_lines` lines with their texts cut.
 */
#ifndef SIM_SERVE_HOOKS_H
#define SIM_SERVE_HOOKS_H

#include "sim/serve/fault-file.h"
#include "sim/serve/profile.h"

struct serve_hooks;

struct serve_hooks_settings {
	const struct profile *profile; /* seed, log lines, zones of peers; borrowed */
	struct fault_file_nodes nodes; /* Cassandra's; borrowed */
	unsigned replicas;             /* of its keyspaces */
	bool logs;                     /* else no access log is kept */
};
/* Never NULL. */
struct serve_hooks *serve_hooks_new(const struct serve_hooks_settings *settings);
/* After the services' threads have ended. NULLs the pointer; accepts NULL. */
void serve_hooks_free(struct serve_hooks **hooks);
/* For the emulators. */
void serve_hooks_get(struct serve_hooks *hooks, struct sim_hooks *ret);

/* Adds the episodes of a file, of which the time begins now. -1: those before the wrong one were
 * added. */
int serve_hooks_add(struct serve_hooks *hooks, const struct fault_file *file, uint64_t now_ns,
	struct lab_error *err);
/* No faults any more; their counts begin anew. */
void serve_hooks_clear(struct serve_hooks *hooks);

/* Arrays of JSON: every episode; the last `max` requests, newest last. */
void serve_hooks_print_faults(struct serve_hooks *hooks, uint64_t now_ns, struct lab_json *json);
void serve_hooks_print_log(struct serve_hooks *hooks, size_t max, struct lab_json *json);
/* Faults that were injected since the start or the last clear. */
uint64_t serve_hooks_fired(struct serve_hooks *hooks);

#endif
