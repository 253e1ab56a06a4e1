/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/disaster.h"

#include "core/obox/obox-rebuild.h"
#include "scenarios/runner/errand.h"

#define POLL (50 * LAB_MSEC)

static const struct scenario *scenario_of(const struct disaster *d)
{
	return d->scene->options->scenario;
}

static void list_users(struct disaster *d)
{
	size_t count = workload_users(d->workload);

	if (d->users != NULL)
		return;
	d->users = lab_new_array(d->heap, struct lab_view, count);
	for (size_t i = 0; i < count; i++)
		d->users[i] = lab_view_cstr(workload_user_name(d->workload, i));
}

/* Longer than any ladder only if the scenario says so: its own faults are shorter, then. */
static struct backend_collect collection(struct disaster *d, int64_t min_age)
{
	list_users(d);
	return (struct backend_collect){ .users = d->users,
		.user_count = workload_users(d->workload),
		.min_age = min_age,
		.is_unsafe = true,
		.do_delete = true };
}

/* ---- repair ---- */

static enum scenario_repair pick_repair(const struct disaster *d)
{
	unsigned repairs = scenario_of(d)->repair, count = 0;

	for (unsigned k = 0; k < SCENARIO_REPAIR_COUNT; k++)
		count += repairs >> k & 1;
	count = (unsigned)lab_pick(
		lab_draw(d->scene->options->seed, "repair.kind", 0, 0), LAB_MAX(count, 1U));
	for (unsigned k = 0; k < SCENARIO_REPAIR_COUNT; k++) {
		if ((repairs >> k & 1) != 0 && count-- == 0)
			return (enum scenario_repair)k;
	}
	return SCENARIO_REPAIR_NONE;
}

static int repair_user(struct disaster *d, struct backend *backend, enum scenario_repair repair,
	struct lab_view user, struct lab_error *err)
{
	struct obox_rebuilt rebuilt = { 0 };
	unsigned lost;

	if (repair == SCENARIO_REPAIR_REBUILD)
		return d->damage.is_total ? backend_user_rebuild(backend, user, &rebuilt, err)
					  : backend_user_repair(backend, user, &rebuilt, err);
	return backend_user_resync(backend, user, &lost, err);
}

static int repair_all(struct disaster *d, struct backend *backend, struct lab_error *err)
{
	enum scenario_repair repair = pick_repair(d);
	/* Nobody is writing: nothing is too young. */
	struct backend_collect all = collection(d, 0);

	if (repair == SCENARIO_REPAIR_NONE)
		return 0;
	if (repair == SCENARIO_REPAIR_COLLECT)
		return backend_collect(backend, &all, &d->collected, err);
	for (size_t i = 0; i < all.user_count; i++) {
		int result;

		oracle_repairing(d->oracle, all.users[i], false, env_now(d->lab));
		result = repair_user(d, backend, repair, all.users[i], err);
		oracle_repairing(d->oracle, all.users[i], true, env_now(d->lab));
		if (result < 0)
			return -1;
	}
	return 0;
}

static void start_and_repair(void *arg)
{
	struct errand *errand = arg;

	if (backend_start(&errand->node->settings, &errand->backend, &errand->err) == 0 &&
		repair_all(errand->ctx, errand->backend, &errand->err) == 0)
		errand->err.code = LAB_OK;
	errand->is_done = true;
}

/* ---- in the warm-up ---- */

/* What the cure itself does to users. */
static void tell_of_repair(struct disaster *d, enum scenario_repair repair)
{
	struct oracle_damage told = { .reason = "force-resync gives folders a new UIDVALIDITY",
		.invariants = ORACLE_DAMAGES(6),
		.until_ns = d->damage.now_ns };

	if (repair == SCENARIO_REPAIR_REBUILD && !d->damage.is_total)
		return;
	if (repair == SCENARIO_REPAIR_REBUILD) {
		told.reason = "a rebuild brings back what was moved or expunged while its object "
			      "stayed (H-13)";
		told.invariants = ORACLE_DAMAGES(2) | ORACLE_DAMAGES(5) | ORACLE_DAMAGES(9);
		told.unless_stored = true;
	}
	if (repair == SCENARIO_REPAIR_REBUILD || repair == SCENARIO_REPAIR_FORCE_RESYNC)
		oracle_damaged(d->oracle, &told);
}

static int damage_now(struct disaster *d, struct lab_error *err)
{
	enum scenario_repair repair = pick_repair(d);

	d->damage.now_ns = env_now(d->lab);
	d->damage.is_rebuilt = repair == SCENARIO_REPAIR_REBUILD;
	d->damage.is_collected = repair == SCENARIO_REPAIR_COLLECT;
	if (scenario_of(d)->damage != 0 && damage_apply(&d->damage, err) < 0)
		return -1;
	tell_of_repair(d, repair);
	return 0;
}

static int stop_damage_start(struct disaster *d, struct lab_error *err)
{
	struct scene *scene = d->scene;
	struct errand errand = { .lab = d->lab, .node = &scene->nodes[0], .ctx = d };

	for (size_t i = 0; i < scene->node_count; i++) {
		if (errand_stop(d->lab, &scene->nodes[i], err) < 0)
			return -1;
	}
	if (damage_now(d, err) < 0 || errand_run(&errand, start_and_repair, err) < 0)
		return -1;
	node_has_backend(&scene->nodes[0], errand.backend);
	for (size_t i = 1; i < scene->node_count; i++) {
		if (env_spawn(scene->nodes[i].env, "main", node_main, &scene->nodes[i], err) < 0)
			return -1;
	}
	return 0;
}

static void finish(struct disaster *d, int result, const struct lab_error *err)
{
	if (result < 0)
		d->err = *err;
	d->is_done = true;
}

static void disaster_main(void *arg)
{
	struct disaster *d = arg;
	uint64_t middle_ns = d->scene->warmup_end / 2, now_ns;
	struct lab_error err = { .code = LAB_OK };
	int result = damage_backup(&d->damage, &err);

	now_ns = env_now(d->lab);
	if (now_ns < middle_ns)
		env_sleep(d->lab, middle_ns - now_ns);
	if (result == 0)
		result = stop_damage_start(d, &err);
	finish(d, result, &err);
}

static int begin(struct disaster *d, env_fiber_fn fn, struct lab_error *err)
{
	d->is_done = false;
	d->err.code = LAB_OK;
	return env_spawn(d->lab, "operator", fn, d, err);
}

int disaster_begin(struct disaster *d, struct lab_error *err)
{
	d->damage = (struct damage){ .scene = d->scene, .oracle = d->oracle, .heap = d->heap };
	return begin(d, disaster_main, err);
}

/* ---- collections ---- */

struct collection {
	struct disaster *disaster;
	struct lab_error err;
	struct storage_gc_result result;
};

static void collect_there(struct backend *backend, void *arg)
{
	struct collection *c = arg;
	struct disaster *d = c->disaster;
	uint64_t age_ns =
		scene_knob(d->scene, &scenario_of(d)->collect_min_age, "collect.min_age", 0);
	struct backend_collect all = collection(d, (int64_t)(age_ns / LAB_SEC));

	c->err.code = LAB_OK;
	if (backend_collect(backend, &all, &c->result, &c->err) == 0)
		c->err.code = LAB_OK;
}

/* By whoever is there. */
static bool collect_once(struct disaster *d, uint64_t n, struct lab_error *err)
{
	for (size_t i = 0; i < d->scene->node_count; i++) {
		struct collection c = { .disaster = d };
		struct node *node = &d->scene->nodes[(n + i) % d->scene->node_count];
		enum node_answer answer;

		lab_fail(&c.err, LAB_RESET, "the backend that collected is gone");
		answer = node_call(node, d->lab, collect_there, &c);
		if (answer == NODE_REFUSED)
			continue;
		*err = c.err;
		d->collections += answer == NODE_ANSWERED && c.err.code == LAB_OK;
		d->collected.deleted += c.result.deleted;
		d->collected.leaks += c.result.leaks;
		return answer == NODE_ANSWERED && c.err.code == LAB_OK;
	}
	lab_fail(err, LAB_UNAVAILABLE, "no backend is there");
	return false;
}

static void collect_often(void *arg)
{
	struct disaster *d = arg;
	uint64_t interval_ns =
		scene_knob(d->scene, &scenario_of(d)->collect_interval, "collect.interval", 0);
	struct lab_error ignored;

	for (uint64_t n = 0; env_now(d->lab) + interval_ns < d->scene->settle_end; n++) {
		env_sleep(d->lab, interval_ns);
		(void)collect_once(d, n, &ignored);
	}
	d->is_done = true;
}

int disaster_collect_often(struct disaster *d, struct lab_error *err)
{
	return begin(d, collect_often, err);
}

static void collect_last(void *arg)
{
	struct disaster *d = arg;
	uint64_t age_ns =
		scene_knob(d->scene, &scenario_of(d)->collect_min_age, "collect.min_age", 0);
	uint64_t began_ns = env_now(d->lab);
	struct lab_error err = { .code = LAB_OK };
	bool is_collected;

	/* What is young, or has a reverse row that is on its way to be deleted. */
	env_sleep(d->lab, age_ns + LAB_MINUTE);
	is_collected = collect_once(d, 0, &err);
	if (is_collected)
		oracle_collected(d->oracle, began_ns);
	finish(d, is_collected ? 0 : -1, &err);
}

int disaster_collect_last(struct disaster *d, struct lab_error *err)
{
	return begin(d, collect_last, err);
}

void disaster_free(struct disaster *d)
{
	damage_free(&d->damage);
	lab_heap_free(d->heap, d->users);
	d->users = NULL;
}
