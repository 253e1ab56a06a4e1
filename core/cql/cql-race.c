/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant speculative execution (cql-imds 2.6): one request on several hosts at a time, each
 * execution in a fiber of its own. They share the list of hosts; the first that ends for good ends
 * the request, the others are cancelled and waited for, so that nothing of theirs outlives it.
 */
#include "core/cql/cql-client-private.h"

struct racer {
	struct race *race;
	struct cql_run run;
	int result;
};

struct race {
	struct racer racers[CQL_SPECULATIVE_MAX + 1];
	unsigned started, running;
	struct racer *winner;
	struct env_cond changed;
};

/* No host was left for this execution; another may still be waiting for one. */
static bool is_exhausted(const struct racer *racer)
{
	return racer->result < 0 && (racer->run.failure == CQL_LIB_NO_HOSTS_AVAILABLE ||
					    racer->run.failure == CQL_LIB_REQUEST_QUEUE_FULL);
}

static void racer_fiber(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;
	racer->result = cql_execution(&racer->run);
	race->running--;
	if (race->winner == NULL && (!is_exhausted(racer) || race->running == 0))
		race->winner = racer;
	env_cond_broadcast(racer->run.client->env, &race->changed);
}

/* -1 if there is no fiber for it. */
static int start(struct race *race, const struct cql_run *run)
{
	struct racer *racer = &race->racers[race->started];
	racer->race = race;
	racer->run = *run;
	if (env_spawn(run->client->env, "cql-execution", racer_fiber, racer, NULL) < 0)
		return -1;
	race->started++;
	race->running++;
	return 0;
}

static void cancel_others(struct race *race, struct env *env)
{
	for (unsigned i = 0; i < race->started; i++) {
		struct cql_run *run = &race->racers[i].run;
		run->cancelled = true;
		if (run->blocked_on != NULL)
			env_cond_broadcast(env, run->blocked_on);
	}
	while (race->running > 0)
		(void)env_cond_wait(env, &race->changed, ENV_FOREVER);
}

/* What the winner learnt is what the request learnt; and what any of them may have applied, the
 * request may have applied. */
static int take_over(const struct race *race, struct cql_run *run)
{
	struct cql_hosts *hosts = run->hosts;
	*run = race->winner->run;
	run->hosts = hosts;
	run->cancelled = false;
	for (unsigned i = 0; i < race->started; i++)
		run->maybe_applied |= race->racers[i].run.maybe_applied;
	return race->winner->result;
}

int cql_race(struct cql_run *run)
{
	struct env *env = run->client->env;
	const struct cql_settings *s = &run->client->settings;
	unsigned max = LAB_MIN(s->speculative_max, (unsigned)CQL_SPECULATIVE_MAX) + 1;
	struct race *race = lab_new(env->heap, struct race);
	int result = -1;
	if (start(race, run) < 0) {
		lab_heap_free(env->heap, race);
		return cql_execution(run);
	}
	uint64_t next = env_now(env) + s->speculative_delay_ns;
	while (race->winner == NULL) {
		bool more = race->started < max && run->hosts->next < run->hosts->count;
		if (env_cond_wait(env, &race->changed, more ? next : ENV_FOREVER) == 0)
			continue;
		next += s->speculative_delay_ns;
		if (start(race, run) < 0)
			max = race->started;
	}
	cancel_others(race, env);
	result = take_over(race, run);
	lab_heap_free(env->heap, race);
	return result;
}
