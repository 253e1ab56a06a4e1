/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - the phases of a simulated run.
 */
#include "scenarios/runner/run.h"

#include "scenarios/runner/report.h"
#include "scenarios/runner/sim-world.h"
#include "scenarios/runner/workload.h"

#include <stdio.h>

/* Longer than every retry ladder and timeout of the core together: what has not ended by then
 * hangs. */
#define PATIENCE (15 * LAB_MINUTE)

const char *run_verdict_name(enum run_verdict verdict)
{
	static const char *const names[] = { "pass", "fail", "broken", "inconclusive" };

	return names[verdict];
}

struct run {
	struct sim_world sim;
	const struct run_options *options;
	struct run_result *result;
	struct history *history;
	struct workload *workload;
	struct oracle *oracle;
	uint64_t healed_ns;
	bool is_stopped; /* --until */
};

/* ---- listening ---- */

static void on_event(void *ctx, const struct lab_event *event)
{
	struct run *run = ctx;
	const struct run_options *o = run->options;

	oracle_event(run->oracle, event);
	if (o->on_event != NULL && !run->is_stopped)
		o->on_event(o->on_event_ctx, event, world_host_name(run->sim.world, event->host));
	if (o->until_event != 0 && event->sequence >= o->until_event)
		run->is_stopped = true;
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct run *run = ctx;
	struct run_result *r = run->result;

	oracle_access(run->oracle, access);
	r->storage_requests++;
	r->s3_requests += strcmp(access->service, "s3") == 0;
	r->cql_requests += strcmp(access->service, "cql") == 0;
	r->imds_requests += strcmp(access->service, "imds") == 0;
}

static uint64_t event_sequence(void *ctx)
{
	return world_event_count(((struct run *)ctx)->sim.world);
}

static bool is_idle_or_stopped(void *ctx)
{
	struct run *run = ctx;

	return run->is_stopped || workload_is_idle(run->workload);
}

static bool is_stopped(void *ctx)
{
	return ((struct run *)ctx)->is_stopped;
}

/* ---- phases ---- */

static void phase(struct run *run, const char *name)
{
	WORLD_EVENT(run->sim.world, LAB_EV_phase_started, LAB_F_CSTR("phase", name));
}

static int advance(struct run *run, uint64_t until_ns, world_done_fn done, struct lab_error *err)
{
	const struct run_options *o = run->options;

	if (o->until_ns != 0 && until_ns > o->until_ns) {
		until_ns = o->until_ns;
		if (world_run_until(run->sim.world, until_ns, done, run, err) < 0)
			return -1;
		run->is_stopped = true;
		return 0;
	}
	return world_run_until(run->sim.world, until_ns, done, run, err) < 0 ? -1 : 0;
}

static int storm(struct run *run, struct lab_error *err)
{
	struct sim_world *sim = &run->sim;

	phase(run, "warmup");
	if (advance(run, sim->warmup_end, is_stopped, err) < 0)
		return -1;
	phase(run, "storm");
	if (run->is_stopped || advance(run, sim->storm_end, is_stopped, err) < 0)
		return run->is_stopped ? 0 : -1;
	phase(run, "heal");
	sim_world_heal(sim);
	run->healed_ns = world_now(sim->world);
	phase(run, "settle");
	if (run->is_stopped || advance(run, sim->settle_end, is_stopped, err) < 0)
		return run->is_stopped ? 0 : -1;
	return advance(run, sim->settle_end + PATIENCE, is_idle_or_stopped, err);
}

static int audit(struct run *run, struct lab_error *err)
{
	struct node *auditor;

	phase(run, "audit");
	auditor = sim_world_auditor(&run->sim);
	/* Its main() must have run before it can be asked. */
	if (advance(run, world_now(run->sim.world) + LAB_SEC, is_stopped, err) < 0 ||
		workload_audit(run->workload, auditor, err) < 0)
		return -1;
	return advance(run, world_now(run->sim.world) + 4 * PATIENCE, is_idle_or_stopped, err);
}

/* ---- judging ---- */

static void new_oracle(struct run *run)
{
	const struct scenario *s = run->options->scenario;
	const struct dict_cql_connect *c = &s->dicts[0].config->connect;
	struct oracle_settings settings = { .heap = world_heap(run->sim.world),
		.auditor = SIM_AUDITOR,
		.bucket = s->endpoints.bucket,
		.keyspace = c->keyspace,
		.max_retries = s->endpoints.s3.max_retries,
		.bulk_delete_limit = s->endpoints.s3.bulk_delete_limit,
		.read_consistency = (uint16_t)c->read_consistency,
		.write_consistency = (uint16_t)c->write_consistency,
		.delete_consistency = (uint16_t)c->delete_consistency,
		.read_fallback = (uint16_t)c->read_fallback_consistency,
		.write_fallback = (uint16_t)c->write_fallback_consistency,
		.delete_fallback = (uint16_t)c->delete_fallback_consistency,
		.clock_error_us = (int64_t)(s->hosts.clock_offset.high / 1000),
		.object_prefix = lab_view_skip(s->endpoints.dictmap.storage_objectid_prefix,
			sizeof(SCENARIO_PROBE_USER) - 1),
		.bucket_size = s->endpoints.dictmap.bucket_size,
		.bucket_parallelism = run->sim.node_count * 8,
		.delete_timestamp_us = (int64_t)(s->endpoints.dictmap.delete_timestamp_ns / 1000),
		.epoch_us = (int64_t)SIM_WALL_START_US };

	run->oracle = oracle_new(&settings);
}

static void judge(struct run *run)
{
	struct oracle_case c = { .history = run->history,
		.s3 = run->sim.s3,
		.cql = run->sim.cql,
		.faults = run->sim.plan,
		.healed_ns = run->healed_ns,
		.ended_ns = world_now(run->sim.world) };
	struct oracle_verdict verdict;
	struct run_result *r = run->result;

	oracle_judge(run->oracle, &c, &verdict);
	r->findings = verdict.failures;
	r->excused = verdict.excused;
	r->leaked_objects = verdict.leaked_objects;
	if (verdict.failures > 0)
		r->verdict = RUN_FAIL;
	else if (verdict.is_unknown || !workload_is_idle(run->workload))
		r->verdict = RUN_INCONCLUSIVE;
	if (verdict.failures > 0)
		report_failure(run->options, run->oracle, &c, &verdict, run->sim.world, r);
	else if (r->verdict == RUN_INCONCLUSIVE)
		snprintf(r->report, sizeof(r->report), "INCONCLUSIVE  %s  seed %" PRIu64 "  %s\n",
			run->options->scenario->path, r->seed,
			verdict.is_unknown ? verdict.unknown : "operations never ended");
}

static void collect(struct run *run)
{
	struct run_result *r = run->result;

	r->trace_hash = world_trace_hash(run->sim.world);
	r->events = world_event_count(run->sim.world);
	r->virtual_ns = world_now(run->sim.world);
	r->users = workload_users(run->workload);
	r->crashes = world_counters(run->sim.world).crashes;
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		for (unsigned o = 0; o <= HISTORY_UNCERTAIN; o++)
			r->operations[k][o] = history_total(
				run->history, (enum history_kind)k, (enum history_outcome)o);
	}
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		r->faults[k] = fault_fired_kind(run->sim.plan, (enum fault_kind)k);
}

/* The world itself failed: a livelock, or too many events. */
static void broken(struct run *run, const struct lab_error *err)
{
	struct run_result *r = run->result;

	r->verdict = RUN_BROKEN;
	snprintf(r->signature, sizeof(r->signature), "laboratory");
	snprintf(r->report, sizeof(r->report), "BROKEN  %s  seed %" PRIu64 "  %s\n",
		run->options->scenario->path, r->seed, err->message);
}

static int start_clients(struct run *run, struct lab_error *err)
{
	struct workload_settings settings = { .scenario = run->options->scenario,
		.seed = run->options->seed,
		.lab = run->sim.lab,
		.nodes = run->sim.nodes,
		.node_count = run->sim.node_count,
		.history = run->history,
		.mails = run->options->mails,
		.end_ns = run->sim.storm_end,
		.event_sequence = event_sequence,
		.event_ctx = run };

	return workload_start(&settings, &run->workload, err);
}

static void describe_run(void *ctx, int fd)
{
	struct run *run = ctx;
	char text[256];
	int n = snprintf(text, sizeof(text),
		"  in %s, seed %" PRIu64 ", at %" PRIu64 " ms of virtual time\n"
		"  replay: oboxlab replay %" PRIu64 " %s\n",
		run->options->scenario->path, run->options->seed,
		run->sim.world == NULL ? 0 : world_now(run->sim.world) / LAB_MSEC,
		run->options->seed, run->options->scenario->path);

	report_write(fd, text, (size_t)n);
}

int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	struct run run = { .options = options, .result = ret };
	int result;

	*ret = (struct run_result){ .seed = options->seed };
	lab_assert_context(describe_run, &run);
	result = sim_world_build(&run.sim, options, err);
	if (result == 0) {
		run.history = history_new(world_heap(run.sim.world));
		new_oracle(&run);
		world_add_sink(run.sim.world, on_event, &run);
		world_add_access_sink(run.sim.world, on_access, &run);
		result = start_clients(&run, err);
	}
	if (result == 0) {
		if (storm(&run, err) < 0 || (!run.is_stopped && audit(&run, err) < 0))
			broken(&run, err);
		else if (!run.is_stopped)
			judge(&run);
		collect(&run);
		if (options->canonical != NULL)
			history_print_canonical(run.history, options->canonical);
	}
	oracle_free(&run.oracle);
	sim_world_free(&run.sim);
	lab_assert_context(NULL, NULL);
	return result;
}
