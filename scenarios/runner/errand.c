/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/errand.h"

#include "core/fts/fts.h"

#define POLL (50 * LAB_MSEC)

int errand_run(struct errand *errand, env_fiber_fn fn, struct lab_error *err)
{
	errand->is_done = false;
	errand->err.code = LAB_OK;
	if (env_spawn(errand->node->env, "operator", fn, errand, err) < 0)
		return -1;
	while (!errand->is_done)
		env_sleep(errand->lab, POLL);
	if (errand->err.code == LAB_OK)
		return 0;
	*err = errand->err;
	return -1;
}

static void stop_backend(void *arg)
{
	struct errand *errand = arg;

	fts_stop(&errand->fts);
	backend_stop(&errand->backend);
	errand->is_done = true;
}

int errand_stop(struct env *lab, struct node *node, struct lab_error *err)
{
	struct errand errand = {
		.lab = lab, .node = node, .backend = node->backend, .fts = node->fts
	};

	/* Its clients are refused. */
	node->backend = NULL;
	node->fts = NULL;
	if (errand.backend == NULL)
		return lab_fail(err, LAB_UNAVAILABLE, "%s is not there", node->name);
	while (node->calls.first != NULL)
		env_sleep(lab, POLL);
	return errand_run(&errand, stop_backend, err);
}
