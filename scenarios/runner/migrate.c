/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/migrate.h"

#include "core/fts/fts.h"

#define POLL (50 * LAB_MSEC)

/* Something that runs on a backend's host. */
struct errand {
	struct migration *migration;
	struct node *node;
	struct backend *backend;
	struct fts *fts;
	bool is_done;
	struct lab_error err;
};

static int run_errand(struct errand *errand, env_fiber_fn fn, struct lab_error *err)
{
	errand->is_done = false;
	errand->err.code = LAB_OK;
	if (env_spawn(errand->node->env, "operator", fn, errand, err) < 0)
		return -1;
	while (!errand->is_done)
		env_sleep(errand->migration->lab, POLL);
	if (errand->err.code == LAB_OK)
		return 0;
	*err = errand->err;
	return -1;
}

/* ---- the old backends ---- */

static void stop_backend(void *arg)
{
	struct errand *errand = arg;

	fts_stop(&errand->fts);
	backend_stop(&errand->backend);
	errand->is_done = true;
}

static int stop_node(struct migration *m, struct node *node, struct lab_error *err)
{
	struct errand errand = {
		.migration = m, .node = node, .backend = node->backend, .fts = node->fts
	};

	/* Its clients are refused. */
	node->backend = NULL;
	node->fts = NULL;
	if (errand.backend == NULL)
		return lab_fail(err, LAB_UNAVAILABLE, "%s is not there", node->name);
	while (node->calls != NULL)
		env_sleep(m->lab, POLL);
	return run_errand(&errand, stop_backend, err);
}

/* ---- the new ones ---- */

static void start_and_migrate(void *arg)
{
	struct errand *errand = arg;
	struct migration *m = errand->migration;
	struct lab_error *err = &errand->err;
	int result = backend_start(&errand->node->settings, &errand->backend, err);

	for (size_t i = 0; result == 0 && i < workload_users(m->workload); i++) {
		result = backend_user_migrate(
			errand->backend, lab_view_cstr(workload_user_name(m->workload, i)), err);
		m->users += result == 0;
	}
	if (result == 0)
		err->code = LAB_OK;
	errand->is_done = true;
}

static int migrate(struct migration *m, struct lab_error *err)
{
	struct scene *scene = m->scene;
	struct errand errand = { .migration = m, .node = &scene->nodes[0] };

	for (size_t i = 0; i < scene->node_count; i++) {
		if (stop_node(m, &scene->nodes[i], err) < 0)
			return -1;
	}
	/* The auditor, too. */
	for (size_t i = 0; i <= scene->node_count; i++)
		scene->nodes[i].settings.conf = &scene->options->scenario->conf;
	if (run_errand(&errand, start_and_migrate, err) < 0)
		return -1;
	m->migrated(m->ctx);
	node_has_backend(&scene->nodes[0], errand.backend);
	for (size_t i = 1; i < scene->node_count; i++) {
		if (env_spawn(scene->nodes[i].env, "main", node_main, &scene->nodes[i], err) < 0)
			return -1;
	}
	return 0;
}

static void operator_main(void *arg)
{
	struct migration *m = arg;
	struct lab_error err = { .code = LAB_OK };

	if (migrate(m, &err) < 0)
		m->err = err;
	m->is_done = true;
}

int migration_start(struct migration *migration, struct lab_error *err)
{
	migration->is_done = false;
	migration->err.code = LAB_OK;
	migration->users = 0;
	return env_spawn(migration->lab, "operator", operator_main, migration, err);
}
