/* SPDX-License-Identifier: Apache-2.0
 *
 * operators.h - operators of a run: what doveadm is told on the backends, and when.
 *
 * Purpose    One fiber of the laboratory's host for each operator NAME { }; each command on each
 *            backend is an operation of the history (kind "operate").
 * Draws      Keyed by (seed, what, operator, ordinal).
 */
#ifndef SCENARIOS_OPERATORS_H
#define SCENARIOS_OPERATORS_H

#include "scenarios/runner/node.h"
#include "scenarios/format/scenario.h"
#include "sim/oracle/history.h"

/* Borrowed; lives in the heap of the laboratory's host. */
struct operators_settings {
	const struct scenario *scenario;
	uint64_t seed;
	struct env *lab;
	struct node *nodes;
	size_t node_count;
	struct history *history;
	uint64_t (*event_sequence)(void *ctx);
	void *event_ctx;
	const char *const *users;
	size_t user_count;
	uint64_t begin_ns, end_ns;
	size_t *busy; /* fibers that have not ended */
};

/* -1 LAB_LIMIT. */
int operators_start(const struct operators_settings *settings, struct lab_error *err);
/* One command on one backend, now, in the calling fiber; `user`, for %u, is "" if it is of nobody.
 * Returns the operation's id in the history. Of the settings those above `users` are looked at. */
uint32_t operators_do(const struct operators_settings *settings, struct node *node,
	const char *user, struct lab_view command);

#endif
