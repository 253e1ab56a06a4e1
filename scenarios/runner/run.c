/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - the phases of a simulated run.
 */
#include "scenarios/runner/run.h"

#include "scenarios/runner/disaster.h"
#include "scenarios/runner/run-record.h"
#include "scenarios/runner/judge.h"
#include "scenarios/runner/mails-before.h"
#include "scenarios/runner/migrate.h"
#include "scenarios/runner/report.h"
#include "scenarios/runner/script.h"
#include "scenarios/runner/sim-world.h"
#include "scenarios/runner/workload.h"
#include "sim/oracle/elle.h"

#include <stdio.h>

/* Longer than every retry ladder and timeout of the core together: what has not ended by then
 * hangs. */
#define PATIENCE (15 * LAB_MINUTE)

struct run {
	struct sim_world sim;
	const struct run_options *options;
	struct run_result *result;
	struct history *history;
	struct workload *workload;
	struct oracle *oracle;
	struct migration migration;
	struct disaster disaster;
	struct scripts *scripts;         /* NULL: there are none */
	struct rates_log *rates;         /* NULL: there are no proxies */
	struct coverage_watch *coverage; /* NULL: nobody asks for it */
	uint64_t healed_ns, settled_ns;
	bool is_stopped; /* --until */
};

/* ---- listening ---- */

static void on_event(void *ctx, const struct lab_event *event)
{
	struct run *run = ctx;
	const struct run_options *o = run->options;

	oracle_times_begin(o->times);
	oracle_event(run->oracle, event);
	oracle_times_lap(o->times, ORACLE_TIME_EVENTS);
	if (run->rates != NULL)
		rates_log_event(run->rates, event);
	if (run->coverage != NULL)
		coverage_event(run->coverage, event, world_host_name(run->sim.world, event->host));
	if (o->record != NULL)
		run_record_note(o->record, event, world_host_name(run->sim.world, event->host),
			world_trace_hash(run->sim.world));
	if (o->on_event != NULL && !run->is_stopped)
		o->on_event(o->on_event_ctx, event, world_host_name(run->sim.world, event->host));
	if (o->until_event != 0 && event->sequence >= o->until_event)
		run->is_stopped = true;
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct run *run = ctx;
	const struct run_options *o = run->options;

	oracle_times_begin(o->times);
	judge_access(run->oracle, access, run->result);
	oracle_times_lap(o->times, ORACLE_TIME_ACCESSES);
	if (run->rates != NULL)
		rates_log_access(run->rates, access);
	if (o->on_access != NULL && !run->is_stopped)
		o->on_access(o->on_access_ctx, access);
}

static void on_operation(void *ctx, const struct history_op *op, bool is_end)
{
	struct run *run = ctx;

	oracle_times_begin(run->options->times);
	oracle_operation(run->oracle, op, is_end);
	oracle_times_lap(run->options->times, ORACLE_TIME_OPERATIONS);
}

static uint64_t event_sequence(void *ctx)
{
	return world_event_count(((struct run *)ctx)->sim.world);
}

/* A script that failed ends the run: it proves nothing any more. */
static bool is_stopped(void *ctx)
{
	struct run *run = ctx;
	struct lab_error ignored;

	return run->is_stopped || scripts_failed(run->scripts, &ignored) > 0;
}

static bool is_idle_or_stopped(void *ctx)
{
	struct run *run = ctx;

	return is_stopped(run) ||
	       (workload_is_idle(run->workload) && scripts_are_idle(run->scripts));
}

/* ---- phases ---- */

/* Of a crowd; for a few users what is kept is worth more than what it takes. */
#define CROWD 1000u

/* What a phase has left behind would stay beside what the next one takes. */
static void give_back(const struct run *run)
{
	if (run->workload == NULL || workload_users(run->workload) <= CROWD)
		return;
	lab_fiber_pool_trim(run->options->fibers);
	lab_pool_trim(run->options->pool);
}

static void phase(struct run *run, const char *name)
{
	give_back(run);
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

static void on_migrated(void *ctx)
{
	oracle_migrated(((struct run *)ctx)->oracle);
}

static bool is_migrated_or_stopped(void *ctx)
{
	struct run *run = ctx;

	return run->is_stopped || run->migration.is_done;
}

/* Half of the warm-up is for what was before it; nothing fails meanwhile. */
static int migrate(struct run *run, struct lab_error *err)
{
	struct sim_world *sim = &run->sim;

	if (run->options->scenario->migrated_from.len == 0)
		return 0;
	if (advance(run, sim->scene.warmup_end / 2, is_stopped, err) < 0)
		return -1;
	if (run->is_stopped)
		return 0;
	phase(run, "migrate");
	run->migration = (struct migration){ .scene = &sim->scene,
		.lab = sim->lab,
		.workload = run->workload,
		.migrated = on_migrated,
		.ctx = run };
	if (migration_start(&run->migration, err) < 0 ||
		advance(run, sim->scene.warmup_end, is_migrated_or_stopped, err) < 0)
		return -1;
	if (!run->is_stopped && !run->migration.is_done)
		return lab_fail(err, LAB_LIMIT, "the migration did not end within the warm-up");
	if (run->migration.err.code == LAB_OK)
		return 0;
	*err = run->migration.err;
	return lab_error_wrap(err, "migration");
}

static bool is_repaired_or_stopped(void *ctx)
{
	struct run *run = ctx;

	return run->is_stopped || run->disaster.is_done;
}

/* Waits for what the operator has begun. */
static int await_operator(
	struct run *run, uint64_t until_ns, const char *what, struct lab_error *err)
{
	if (advance(run, until_ns, is_repaired_or_stopped, err) < 0)
		return -1;
	if (!run->is_stopped && !run->disaster.is_done)
		return lab_fail(err, LAB_LIMIT, "%s did not end in time", what);
	if (run->is_stopped || run->disaster.err.code == LAB_OK)
		return 0;
	*err = run->disaster.err;
	return lab_error_wrap(err, "%s", what);
}

static int damage(struct run *run, struct lab_error *err)
{
	struct sim_world *sim = &run->sim;
	const struct scenario *s = run->options->scenario;

	run->disaster = (struct disaster){ .scene = &sim->scene,
		.lab = sim->lab,
		.workload = run->workload,
		.oracle = run->oracle,
		.heap = world_heap(sim->world) };
	if (s->damage == 0 && s->repair == 0)
		return 0;
	if (advance(run, sim->scene.warmup_end / 4, is_stopped, err) < 0)
		return -1;
	if (run->is_stopped)
		return 0;
	phase(run, "damage");
	return disaster_begin(&run->disaster, err) < 0
		       ? -1
		       : await_operator(run, sim->scene.warmup_end, "the operator's repair", err);
}

static void tell_knobs(struct run *run)
{
	const struct scenario *s = run->options->scenario;

	for (size_t i = 0; i < s->knob_count; i++)
		WORLD_EVENT(run->sim.world, LAB_EV_knob_turned,
			LAB_F_TEXT("knob", s->knobs[i].name),
			LAB_F_TEXT("setting", s->knobs[i].setting),
			LAB_F_TEXT("value", s->knobs[i].turned));
}

/* The core does the unusual until the storm is over. */
static void begin_buggify(struct run *run)
{
	const struct run_options *o = run->options;
	uint64_t rate = scenario_pick(&o->scenario->buggify, o->seed, "buggify", 0, 0);

	if (rate == 0)
		return;
	env_buggify_plan = lab_new(world_heap(run->sim.world), struct env_buggify_plan);
	env_buggify_choose(env_buggify_plan, o->seed, (uint32_t)rate);
}

static void end_buggify(struct run *run)
{
	if (env_buggify_plan == NULL)
		return;
	memcpy(run->result->buggify, env_buggify_plan->fired, sizeof(run->result->buggify));
	env_buggify_plan = NULL;
}

static int start_scripts(struct run *run, struct lab_error *err)
{
	const struct scene *scene = &run->sim.scene;
	struct script_settings settings = { .scenario = run->options->scenario,
		.seed = run->options->seed,
		.world = &run->sim,
		.workload = run->workload,
		.history = run->history,
		.event_sequence = event_sequence,
		.event_ctx = run,
		.begin_ns = scene->warmup_end,
		.end_ns = scene->storm_end };

	return scripts_start(&settings, &run->scripts, err);
}

/* 0 when all have ended, or the run was stopped. */
static int end_scripts(struct run *run, struct lab_error *err)
{
	if (scripts_failed(run->scripts, err) > 0)
		return lab_error_wrap(err, "script");
	if (run->is_stopped || scripts_are_idle(run->scripts))
		return 0;
	return lab_fail(err, LAB_LIMIT, "a script did not end");
}

/* Behind a script that watches holds. */
static void begin_coverage(struct run *run)
{
	if (run->options->has_coverage)
		run->coverage = coverage_begin(world_heap(run->sim.world), run->options->seed,
			run->sim.scene.plan, run->result->marks, &run->result->coverage);
}

/* Who could not connect for long waits before it tries again, after heal, too. */
static bool are_backends_connected(const struct scene *scene)
{
	for (size_t i = 0; i < scene->node_count; i++) {
		const struct node *node = &scene->nodes[i];

		if (node->backend != NULL && !backend_is_connected(node->backend))
			return false;
	}
	return true;
}

static bool is_settled_or_stopped(void *ctx)
{
	struct run *run = ctx;

	return is_stopped(run) ||
	       (is_idle_or_stopped(run) && are_backends_connected(&run->sim.scene));
}

static int storm(struct run *run, struct lab_error *err)
{
	struct sim_world *sim = &run->sim;

	phase(run, "warmup");
	tell_knobs(run);
	begin_buggify(run);
	if (start_scripts(run, err) < 0)
		return -1;
	begin_coverage(run);
	if (migrate(run, err) < 0 || damage(run, err) < 0)
		return -1;
	if (advance(run, sim->scene.warmup_end, is_stopped, err) < 0)
		return -1;
	phase(run, "storm");
	if (!run->is_stopped && run->options->scenario->collect_interval.high > 0 &&
		disaster_collect_often(&run->disaster, err) < 0)
		return -1;
	if (run->is_stopped || advance(run, sim->scene.storm_end, is_stopped, err) < 0)
		return run->is_stopped ? 0 : -1;
	phase(run, "heal");
	sim_world_heal(sim);
	end_buggify(run);
	scripts_heal(run->scripts);
	run->healed_ns = world_now(sim->world);
	phase(run, "settle");
	if (run->is_stopped || advance(run, sim->scene.settle_end, is_stopped, err) < 0)
		return run->is_stopped ? 0 : -1;
	if (advance(run, sim->scene.settle_end + PATIENCE, is_settled_or_stopped, err) < 0)
		return -1;
	return end_scripts(run, err);
}

/* When the last collection of the storm has ended, another one. */
static int collect(struct run *run, struct lab_error *err)
{
	uint64_t now_ns = world_now(run->sim.world);

	if (run->options->scenario->collect_interval.high == 0 || run->is_stopped)
		return 0;
	phase(run, "collect");
	if (await_operator(run, now_ns + PATIENCE, "a garbage collection", err) < 0 ||
		disaster_collect_last(&run->disaster, err) < 0)
		return -1;
	return await_operator(run,
		world_now(run->sim.world) + run->options->scenario->collect_min_age.high + PATIENCE,
		"the last garbage collection", err);
}

static int audit(struct run *run, struct lab_error *err)
{
	struct node *auditor;

	run->settled_ns = world_now(run->sim.world);
	if (collect(run, err) < 0)
		return -1;
	phase(run, "converge");
	if (workload_converge(run->workload, err) < 0 ||
		advance(run, world_now(run->sim.world) + PATIENCE, is_idle_or_stopped, err) < 0)
		return -1;

	phase(run, "audit");
	auditor = sim_world_auditor(&run->sim);
	/* Its main() must have run before it can be asked. */
	if (advance(run, world_now(run->sim.world) + LAB_SEC, is_stopped, err) < 0 ||
		workload_audit(run->workload, auditor, err) < 0)
		return -1;
	return advance(run, world_now(run->sim.world) + 4 * PATIENCE, is_idle_or_stopped, err);
}

/* ---- the whole run ---- */

static struct judge_case case_of(struct run *run)
{
	struct world *world = run->sim.world;

	return (struct judge_case){ .options = run->options,
		.scene = &run->sim.scene,
		.oracle = run->oracle,
		.history = run->history,
		.workload = run->workload,
		.heap = world_heap(world),
		.healed_ns = run->healed_ns,
		.ended_ns = world_now(world),
		.trace_hash = world_trace_hash(world),
		.events = world_event_count(world),
		.crashes = world_counters(world).crashes };
}

static int start_clients(struct run *run, struct lab_error *err)
{
	struct workload_settings settings = { .scenario = run->options->scenario,
		.seed = run->options->seed,
		.lab = run->sim.lab,
		.nodes = run->sim.scene.nodes,
		.node_count = run->sim.scene.node_count,
		.palomar = run->sim.palomar,
		.history = run->history,
		.mails = run->options->mails,
		.begin_ns = run->sim.scene.warmup_end,
		.end_ns = run->sim.scene.storm_end,
		.event_sequence = event_sequence,
		.event_ctx = run };

	return workload_start(&settings, &run->workload, err);
}

static void tell_end(struct run *run)
{
	const struct run_options *o = run->options;
	struct run_end end = { .history = run->history,
		.plan = run->sim.scene.plan,
		.warmup_end_ns = run->sim.scene.warmup_end,
		.storm_end_ns = run->sim.scene.storm_end,
		.settle_end_ns = run->sim.scene.settle_end,
		.settled_ns = run->settled_ns,
		.ended_ns = world_now(run->sim.world) };

	end.findings = oracle_findings(run->oracle, &end.finding_count);
	for (size_t i = 0; i < o->scenario->site_count; i++)
		end.site_backends[i] = scene_site_backends(&run->sim.scene, i);
	if (o->canonical != NULL)
		history_print_canonical(run->history, o->canonical);
	if (o->elle != NULL)
		elle_print(run->history, world_heap(run->sim.world), o->elle);
	if (o->on_end != NULL)
		o->on_end(o->on_end_ctx, &end);
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

static int run_turned(
	const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	struct run run = { .options = options, .result = ret };
	int result;

	*ret = (struct run_result){ .seed = options->seed };
	lab_mark_hits = ret->marks;
	lab_always_counts = &ret->always;
	lab_defects_on = scenario_defects(options->scenario, &options->defects);
	lab_assert_context(describe_run, &run);
	result = sim_world_build(&run.sim, options, err);
	if (result == 0) {
		run.history = history_new(world_heap(run.sim.world));
		run.oracle = judge_new_oracle(&run.sim.scene, world_heap(run.sim.world));
		oracle_tell_times(run.oracle, options->times);
		judge_backends(run.oracle, &run.sim.scene);
		judge_proxies(run.oracle, run.sim.palomar);
		if (run.sim.palomar != NULL)
			run.rates = rates_log_new(world_heap(run.sim.world));
		world_add_sink(run.sim.world, on_event, &run);
		world_add_access_sink(run.sim.world, on_access, &run);
		result = start_clients(&run, err);
	}
	if (result == 0)
		result = mails_before_place(&run.sim.scene, run.workload, run.history, run.oracle,
			world_heap(run.sim.world), err);
	if (result == 0)
		history_listen(run.history, on_operation, &run);
	if (result == 0) {
		/* What fails here is the world itself: a livelock, or too many events. */
		bool is_broken = storm(&run, err) < 0 || (!run.is_stopped && audit(&run, err) < 0);
		struct judge_case c = case_of(&run);

		if (is_broken)
			judge_broken(options, err, ret);
		else if (!run.is_stopped)
			judge(&c, ret);
		if (!is_broken && !run.is_stopped)
			judge_scripts(&c, run.scripts, ret);
		judge_always(&c, ret);
		judge_collect(&c, ret);
		if (run.rates != NULL)
			rates_log_end(run.rates, run.sim.scene.storm_end, &ret->rates);
		coverage_end(&run.coverage, ret);
		ret->demotions = world_counters(run.sim.world).demotions;
		tell_end(&run);
	}
	if (run.disaster.heap != NULL)
		disaster_free(&run.disaster);
	end_buggify(&run);
	scripts_free(&run.scripts);
	oracle_free(&run.oracle);
	sim_world_free(&run.sim);
	lab_assert_context(NULL, NULL);
	lab_mark_hits = NULL;
	lab_always_counts = NULL;
	lab_defects_on = LAB_NO_DEFECTS;
	return result;
}

#define TURN_BYTES_MAX ((size_t)64 << 20)

int run_simulated(const struct run_options *options, struct run_result *ret, struct lab_error *err)
{
	struct lab_heap *heap = lab_heap_new(options->pool, TURN_BYTES_MAX);
	struct lab_arena *arena = lab_arena_new(heap, TURN_BYTES_MAX / 2);
	struct run_options turned = *options;
	int result = scenario_turn(options->scenario, options->seed, arena, &turned.scenario, err);

	if (result == 0)
		result = run_turned(&turned, ret, err);
	lab_heap_drop(&heap);
	return result;
}
