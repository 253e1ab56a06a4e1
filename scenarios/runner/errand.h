/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.h - what an operator does on the host of a backend: it runs there, in a fiber of its own,
 * while the operator (a fiber of the laboratory's host) waits for it.
 */
#ifndef SCENARIOS_ERRAND_H
#define SCENARIOS_ERRAND_H

#include "scenarios/runner/node.h"

struct fts;

struct errand {
	struct env *lab;
	struct node *node;
	struct backend *backend; /* fn()'s business */
	struct fts *fts;         /* of the backend that is stopped */
	void *ctx;               /* likewise */
	bool is_done;            /* fn() sets it at its end */
	struct lab_error err;    /* LAB_OK, or why it failed */
};

/* fn(errand) on the node's host. -1 as errand->err says. */
int errand_run(struct errand *errand, env_fiber_fn fn, struct lab_error *err);
/* The backend answers what it was asked, is asked nothing more, and stops cleanly. -1
 * LAB_UNAVAILABLE: it is not there. */
int errand_stop(struct env *lab, struct node *node, struct lab_error *err);

#endif
