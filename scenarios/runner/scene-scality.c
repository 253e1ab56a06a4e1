/* SPDX-License-Identifier: Apache-2.0
 *
 * scene-scality.c - the storage of a scenario whose obox_fs ends in sproxyd or scality.
 */
#include "scenarios/runner/scene.h"

static struct scalemu_latency ring_latency(const struct conf_range *range)
{
	return (struct scalemu_latency){ range->low, range->high };
}

static struct lab_view without_slashes(struct lab_view path)
{
	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	return path;
}

int scene_new_ring(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err)
{
	const struct scenario *s = scene->options->scenario;
	const struct conf_http_url *url = &s->endpoints.s3;
	struct scalemu_options o;

	scalemu_options_init(
		&o, s->endpoints.flavour == FS_URI_HTTP_SPROXYD ? SCALEMU_SPROXYD : SCALEMU_CDMI);
	o.seed = scene->options->seed;
	o.epoch_unix_us = scene->epoch_us;
	o.base = without_slashes(url->path);
	o.by_path = url->by_path;
	o.objectid_base = without_slashes(url->preserve_objectid_prefix);
	o.user = url->user;
	o.password = url->password;
	if (url->addhdr_count > 0)
		o.sticky_header = url->addhdr[0].name;
	o.read_latency = ring_latency(&s->scality.latency_read);
	o.write_latency = ring_latency(&s->scality.latency_write);
	o.list_latency = ring_latency(&s->scality.latency_list);
	o.lock_ns = scene_knob(scene, &s->scality.lock, "scality.lock", 0);
	o.hooks = *hooks;
	return scalemu_new(pool, &o, &scene->ring, err);
}
