/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/migrate.h"

#include "scenarios/runner/errand.h"

/* ---- the new ones ---- */

static void start_and_migrate(void *arg)
{
	struct errand *errand = arg;
	struct migration *m = errand->ctx;
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
	struct errand errand = { .lab = m->lab, .node = &scene->nodes[0], .ctx = m };

	for (size_t i = 0; i < scene->node_count; i++) {
		if (errand_stop(m->lab, &scene->nodes[i], err) < 0)
			return -1;
	}
	/* The auditor, too. */
	for (size_t i = 0; i <= scene->node_count; i++)
		scene->nodes[i].settings.conf = &scene->options->scenario->conf;
	if (errand_run(&errand, start_and_migrate, err) < 0)
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
