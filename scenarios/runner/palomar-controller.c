/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar-controller.c - what a site's controller can ask of the hosts around it.
 */
#include "scenarios/runner/palomar-private.h"

#include "core/cluster/controller.h"

#define PATIENCE LAB_SEC /* with a host that does not answer */

static bool answers(struct palomar_host *self, const struct palomar_host *other)
{
	if (!palomar_hears(self->palomar, self->name, other->name)) {
		env_sleep(self->env, PATIENCE);
		return false;
	}
	env_sleep(self->env, PALOMAR_LATENCY);
	return palomar_host_is_ready(other);
}

static struct palomar_host *backend_named(const struct palomar *p, struct lab_view host)
{
	for (size_t i = 0; i < p->backend_count; i++) {
		struct palomar_host *backend = &p->hosts[p->proxy_count + i];

		if (lab_view_eq_cstr(host, backend->name))
			return backend;
	}
	return NULL;
}

static bool backend_answers(void *ctx, struct lab_view host)
{
	struct palomar_host *self = ctx;
	struct palomar_host *backend = backend_named(self->palomar, host);

	return backend != NULL && answers(self, backend);
}

static bool site_answers(void *ctx, struct lab_view load_balancer)
{
	struct palomar_host *self = ctx;
	struct palomar *p = self->palomar;
	struct lab_view prefix = LAB_VIEW(PALOMAR_LOAD_BALANCER);

	for (size_t i = 0; i < p->proxy_count; i++) {
		if (lab_view_starts_with(load_balancer, prefix) &&
			lab_view_eq_cstr(
				lab_view_skip(load_balancer, prefix.len), p->hosts[i].zone) &&
			answers(self, &p->hosts[i]))
			return true;
	}
	return false;
}

/* Sessions, and what they ask for. */
static bool backend_load(void *ctx, struct lab_view host, int64_t ret[CONTROLLER_LOADS])
{
	struct palomar_host *self = ctx;
	struct palomar_host *backend = backend_named(self->palomar, host);

	if (backend == NULL || !answers(self, backend))
		return false;
	ret[0] = (int64_t)cluster_sessions(backend->cluster, LAB_VIEW(""));
	ret[1] = backend->node->calls.first != NULL;
	ret[2] = 0;
	return true;
}

void palomar_run_controller(struct palomar_host *host)
{
	const struct palomar *p = host->palomar;
	const struct scene *scene = p->settings.scene;
	const struct controller_ops ops = { host, backend_answers, site_answers, backend_load };
	struct controller_settings settings;
	uint64_t round_ns =
		scene_knob(scene, &p->conf->controller_round, "cluster.controller_round", 0);
	struct controller *controller;

	controller_settings_defaults(&settings);
	settings.site = lab_view_cstr(host->zone);
	settings.policy.group_count =
		(unsigned)scene_knob(scene, &p->conf->default_group_count, "cluster.groups", 0);
	settings.site_down_ns = scene_knob(scene, &p->conf->site_down, "cluster.site_down", 0);
	settings.balance_every_ns =
		scene_knob(scene, &p->conf->balance_interval, "cluster.balance", 0);
	settings.balance_samples =
		(unsigned)scene_knob(scene, &p->conf->balance_samples, "cluster.samples", 0);
	controller = controller_new(host->env, host->geodb, &settings, &ops);
	for (;;) {
		env_sleep(host->env, round_ns);
		(void)controller_round(controller, NULL);
	}
}
