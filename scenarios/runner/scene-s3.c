/* SPDX-License-Identifier: Apache-2.0
 *
 * scene-s3.c - store s3 { } of a scenario as options of the emulator and of its connections.
 */
#include "scenarios/runner/scene.h"

#define STALE_CHANGES 4096

struct lab_view scene_region(const struct scene *scene)
{
	const struct scenario_endpoints *endpoints = &scene->options->scenario->endpoints;

	return endpoints->s3.region.len > 0 ? endpoints->s3.region : LAB_VIEW("us-east-1");
}

static void set_rates(
	const struct scene *scene, const struct scenario_s3 *s3, struct s3emu_options *o)
{
	o->rates.writes_per_s = (uint32_t)scene_knob(scene, &s3->write_rate, "s3.write_rate", 0);
	o->rates.reads_per_s = (uint32_t)scene_knob(scene, &s3->read_rate, "s3.read_rate", 0);
	o->rates.burst_ns = scene_knob(scene, &s3->burst, "s3.burst", 0);
	o->rates.shared_budget = s3->shared_budget;
	o->rates.list_is_write = s3->list_is_write;
	o->rates.bulk_per_key = s3->bulk_per_key;
	o->scaling.split_after_ns = scene_knob(scene, &s3->split_after, "s3.split_after", 0);
	o->scaling.partitions_max = (uint32_t)scene_knob(scene, &s3->split_max, "s3.split_max", 0);
	o->scaling.ramp_ns = scene_knob(scene, &s3->split_ramp, "s3.split_ramp", 0);
	o->scaling.merge_after_ns = scene_knob(scene, &s3->merge_after, "s3.merge_after", 0);
	o->scaling.key_write_interval_ns =
		scene_knob(scene, &s3->key_write_interval, "s3.key_write_interval", 0);
	o->retry_after_s =
		(unsigned)(scene_knob(scene, &s3->retry_after, "s3.retry_after", 0) / LAB_SEC);
}

static struct s3emu_latency latency_of(
	const struct scene *scene, const struct scenario_s3 *s3, enum s3emu_class class)
{
	const struct conf_range *ranges[] = { &s3->latency_read, &s3->latency_write,
		&s3->latency_list };
	size_t which = class == S3EMU_LIST ? 2 : class == S3EMU_GET || class == S3EMU_HEAD ? 0 : 1;
	struct s3emu_latency latency = s3->measured[which];

	if (latency.table_count == 0 && latency.trace_count == 0) {
		latency.low_ns = ranges[which]->low;
		latency.high_ns = ranges[which]->high;
	}
	latency.tail_ppm = (uint32_t)scene_knob(scene, &s3->slow_chance, "s3.slow_chance", 0);
	latency.tail_low_ns = s3->slow_time.low;
	latency.tail_high_ns = s3->slow_time.high;
	latency.bytes_per_s = scene_knob(scene, &s3->body_rate, "s3.body_rate", 0);
	return latency;
}

static bool has_stale_faults(const struct scenario *s)
{
	for (size_t i = 0; i < s->fault_count; i++) {
		if ((s->faults[i].kinds & FAULT_KIND(stale)) != 0)
			return true;
	}
	return false;
}

void scene_s3_options(
	const struct scene *scene, const struct sim_hooks *hooks, struct s3emu_options *o)
{
	const struct scenario *s = scene->options->scenario;

	s3emu_options_init(o);
	o->seed = scene->options->seed;
	o->instance = LAB_VIEW("s3");
	o->epoch_unix_us = scene->epoch_us;
	o->region = scene_region(scene);
	o->endpoints = &s->endpoints.s3_endpoint;
	o->endpoint_count = 1;
	o->remember_deleted = true;
	o->stale_changes_max = has_stale_faults(s) ? STALE_CHANGES : 0;
	set_rates(scene, &s->s3, o);
	for (unsigned c = 0; c < S3EMU_CLASS_COUNT; c++)
		o->latency[c] = latency_of(scene, &s->s3, (enum s3emu_class)c);
	o->hooks = *hooks;
	if (!s->is_foreign_s3)
		return;
	/* A mirror of what somebody else's holds. */
	o->verify_signatures = false;
	o->rates.writes_per_s = o->rates.reads_per_s = 0;
	memset(&o->scaling, 0, sizeof(o->scaling));
	memset(o->latency, 0, sizeof(o->latency));
}

struct sim_connection_life scene_s3_life(const struct scene *scene)
{
	const struct scenario_s3 *s3 = &scene->options->scenario->s3;

	return (struct sim_connection_life){
		.requests_low = (uint32_t)s3->connection_requests.low,
		.requests_high = (uint32_t)s3->connection_requests.high,
		.idle_ns = scene_knob(scene, &s3->connection_idle, "s3.connection_idle", 0),
		.announced = s3->connection_announced,
	};
}
