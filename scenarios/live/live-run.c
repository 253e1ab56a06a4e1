/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-run.h"

#include "scenarios/runner/judge.h"
#include "scenarios/live/live-world.h"
#include "scenarios/runner/report.h"
#include "sim/oracle/elle.h"

#include <stdio.h>
#include <uv.h> /* for uv_hrtime() */

/* As in the simulated world: longer than every retry ladder and timeout of the core together. */
#define PATIENCE (15 * LAB_MINUTE)
#define RUN_BYTES_MAX ((size_t)16 << 20) /* struct live_run: too large for a stack */
#define BOOT_PATIENCE (10 * LAB_SEC)

struct live_run {
	struct live_world world;
	const struct run_options *options;
	struct run_result *result;
	struct history *history;
	struct workload *workload;
	struct oracle *oracle;
	struct node *auditor;
	uint64_t healed_ns;
	bool is_interrupted;
};

/* ---- listening ---- */

/* Foreign servers have no access log: their requests are counted where they were made. */
static void count_foreign(struct live_run *run, enum lab_event_id id)
{
	const struct scenario *s = run->options->scenario;
	bool is_s3 = s->is_foreign_s3 && id == LAB_EV_http_request_finished;
	bool is_cql = s->is_foreign_cql && id == LAB_EV_cassandra_query_finished;

	run->result->s3_requests += is_s3;
	run->result->cql_requests += is_cql;
	run->result->storage_requests += is_s3 || is_cql;
}

/* What a service did is told before what came of it. */
static void on_event(void *ctx, const struct lab_event *event)
{
	struct live_run *run = ctx;
	const struct run_options *o = run->options;
	struct lab_event told = *event;

	if (run->world.is_closing)
		return;
	live_world_drain(&run->world);
	if (run->world.told_ns != 0)
		told.time_ns = run->world.told_ns;
	oracle_event(run->oracle, &told);
	count_foreign(run, event->id);
	if (o->on_event != NULL)
		o->on_event(o->on_event_ctx, &told, live_hostname(run->world.live, event->host));
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct live_run *run = ctx;

	judge_access(run->oracle, access, run->result);
}

static void on_interrupt(void *ctx)
{
	((struct live_run *)ctx)->is_interrupted = true;
}

static uint64_t event_sequence(void *ctx)
{
	return live_event_count(((struct live_run *)ctx)->world.live);
}

/* ---- phases ---- */

static void phase(struct live_run *run, const char *name)
{
	LIVE_WORLD_EVENT(&run->world, LAB_EV_phase_started, LAB_F_CSTR("phase", name));
}

/* Asked after each turn of the loop. */
static bool is_over(void *ctx)
{
	struct live_run *run = ctx;

	live_world_drain(&run->world);
	return run->is_interrupted;
}

static bool is_idle(void *ctx)
{
	struct live_run *run = ctx;

	return is_over(run) || workload_is_idle(run->workload);
}

static bool is_auditor_ready(void *ctx)
{
	struct live_run *run = ctx;

	return is_over(run) || run->auditor->backend != NULL;
}

/* True when it is done, false at the time given. */
static bool advance(struct live_run *run, uint64_t until_ns, bool (*done)(void *ctx))
{
	return live_run(run->world.live, until_ns, done, run) == 0;
}

static void wait_for_stragglers(struct live_run *run)
{
	uint64_t settled_ns = run->world.scene.settle_end;

	if (advance(run, settled_ns + LIVE_STRAGGLERS, is_idle))
		return;
	if (run->world.cql != NULL)
		stream_front_end_reset(run->world.cql);
	(void)advance(run, settled_ns + PATIENCE, is_idle);
}

static void storm(struct live_run *run)
{
	const struct scene *scene = &run->world.scene;

	phase(run, "warmup");
	(void)advance(run, scene->warmup_end, is_over);
	phase(run, "storm");
	(void)advance(run, scene->storm_end, is_over);
	phase(run, "heal");
	live_world_heal(&run->world);
	run->healed_ns = live_now(run->world.live);
	phase(run, "settle");
	(void)advance(run, scene->settle_end, is_over);
	wait_for_stragglers(run);
}

static int audit(struct live_run *run, struct lab_error *err)
{
	struct live *live = run->world.live;

	phase(run, "converge");
	if (workload_converge(run->workload, err) < 0)
		return -1;
	(void)advance(run, live_now(live) + PATIENCE, is_idle);
	phase(run, "audit");
	run->auditor = live_world_auditor(&run->world);
	if (!advance(run, live_now(live) + BOOT_PATIENCE, is_auditor_ready))
		return lab_fail(err, LAB_TIMEOUT, "the auditor does not start");
	if (workload_audit(run->workload, run->auditor, err) < 0)
		return -1;
	(void)advance(run, live_now(live) + 4 * PATIENCE, is_idle);
	return 0;
}

/* ---- the whole run ---- */

static struct judge_case case_of(struct live_run *run)
{
	struct live *live = run->world.live;

	return (struct judge_case){ .options = run->options,
		.scene = &run->world.scene,
		.oracle = run->oracle,
		.history = run->history,
		.workload = run->workload,
		.heap = run->world.heap,
		.healed_ns = run->healed_ns,
		.ended_ns = live_now(live),
		.trace_hash = live_trace_hash(live),
		.events = live_event_count(live),
		.crashes = run->world.crashes };
}

static int start(struct live_run *run, struct lab_error *err)
{
	struct live_world *w = &run->world;
	struct workload_settings settings = { .scenario = run->options->scenario,
		.seed = run->options->seed,
		.lab = w->lab,
		.nodes = w->scene.nodes,
		.node_count = w->scene.node_count,
		.palomar = w->palomar,
		.mails = run->options->mails,
		.begin_ns = w->scene.warmup_end,
		.end_ns = w->scene.storm_end,
		.event_sequence = event_sequence,
		.event_ctx = run };

	run->history = settings.history = history_new(w->heap);
	run->oracle = judge_new_oracle(&w->scene, w->heap);
	judge_backends(run->oracle, &w->scene);
	judge_proxies(run->oracle, w->palomar);
	live_add_sink(w->live, on_event, run);
	if (live_on_interrupt(w->live, on_interrupt, run, err) < 0)
		return -1;
	return workload_start(&settings, &run->workload, err);
}

static void interrupted(struct live_run *run)
{
	struct run_result *r = run->result;

	r->verdict = RUN_INCONCLUSIVE;
	snprintf(r->report, sizeof(r->report), "INCONCLUSIVE  %s  seed %" PRIu64 "  interrupted\n",
		run->options->scenario->path, r->seed);
}

/* Nothing is known of what the storage holds: no verdict. */
static void unread(struct live_run *run, const struct lab_error *err)
{
	struct run_result *r = run->result;

	r->verdict = RUN_INCONCLUSIVE;
	snprintf(r->report, sizeof(r->report), "INCONCLUSIVE  %s  seed %" PRIu64 "  %s\n",
		run->options->scenario->path, r->seed, err->message);
}

static void clean(struct live_run *run)
{
	struct lab_error err;

	run->result->is_left = live_world_clean(&run->world, &err) < 0;
	if (run->result->is_left)
		fprintf(stderr, "live: not everything is removed again: %s\n", err.message);
}

static void finish(struct live_run *run, bool is_broken, const struct lab_error *err)
{
	struct lab_error unreadable = { .code = LAB_OK };
	struct judge_case c;

	if (!run->is_interrupted && !is_broken)
		(void)live_world_mirror(&run->world, &unreadable);
	clean(run);

	live_world_stop(&run->world);
	c = case_of(run);
	if (run->is_interrupted)
		interrupted(run);
	else if (is_broken)
		judge_broken(run->options, err, run->result);
	else if (unreadable.code != LAB_OK)
		unread(run, &unreadable);
	else
		judge(&c, run->result);
	judge_always(&c, run->result);
	judge_collect(&c, run->result);
	if (run->options->canonical != NULL)
		history_print_canonical(run->history, run->options->canonical);
	if (run->options->elle != NULL)
		elle_print(run->history, run->world.heap, run->options->elle);
}

static void describe_run(void *ctx, int fd)
{
	const struct live_run *run = ctx;
	char text[256];
	int n = snprintf(text, sizeof(text),
		"  in %s, seed %" PRIu64 ", in the live world, at %" PRIu64 " ms\n",
		run->options->scenario->path, run->options->seed,
		run->world.live == NULL ? 0 : live_now(run->world.live) / LAB_MSEC);

	report_write(fd, text, (size_t)LAB_MIN(n, (int)sizeof(text) - 1));
}

/* Here the services have begun before there is a user. */
static int check_scenario(const struct scenario *s, struct lab_error *err)
{
	if (s->migrated_from.len > 0)
		return lab_fail(
			err, LAB_UNSUPPORTED, "users are migrated in the simulated world only");
	if (s->knob_count > 0 || s->swarm.high > 0 || s->buggify.high > 0)
		return lab_fail(err, LAB_UNSUPPORTED,
			"knobs, swarm and buggify are of the simulated world only");
	if (s->script_count > 0)
		return lab_fail(
			err, LAB_UNSUPPORTED, "scripts are run in the simulated world only");
	if (scenario_has_operator(s))
		return lab_fail(err, LAB_UNSUPPORTED,
			"damage, repair and collect_interval are of the simulated world only");
	for (size_t i = 0; i < s->group_count; i++) {
		if (s->groups[i].mails.high > 0)
			return lab_fail(err, LAB_UNSUPPORTED,
				"users have mails of before in the simulated world only");
	}
	return 0;
}

int run_live(const struct run_options *options, struct run_result *ret, uint64_t *ret_wall_ns,
	struct lab_error *err)
{
	uint64_t start_ns = uv_hrtime();
	struct lab_pool *pool = lab_pool_new(RUN_BYTES_MAX);
	struct lab_heap *heap = lab_heap_new(pool, RUN_BYTES_MAX);
	struct live_run *run = lab_new(heap, struct live_run);
	int result;

	*ret = (struct run_result){ .seed = options->seed };
	run->options = options;
	run->result = ret;
	lab_mark_hits = ret->marks;
	lab_always_counts = &ret->always;
	lab_defects_on = scenario_defects(options->scenario, &options->defects);
	lab_assert_context(describe_run, run);
	result = check_scenario(options->scenario, err);
	if (result == 0)
		result = live_world_build(&run->world, options, run, on_access, err);
	if (result == 0) {
		result = start(run, err);
		if (result < 0)
			clean(run);
	}
	if (result == 0) {
		storm(run);
		finish(run, !run->is_interrupted && audit(run, err) < 0, err);
	}
	oracle_free(&run->oracle);
	live_world_free(&run->world);
	lab_assert_context(NULL, NULL);
	lab_mark_hits = NULL;
	lab_always_counts = NULL;
	lab_defects_on = LAB_NO_DEFECTS;
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	*ret_wall_ns = uv_hrtime() - start_ns;
	return result;
}
