/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/host-call.h"

struct host_call {
	struct host_calls *calls;
	struct env *lab;
	host_call_fn fn;
	void *arg;
	struct env_cond ended;
	bool is_done, is_lost;
	struct host_call *next, *previous;
};

static void call_unlink(struct host_call *call)
{
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		call->calls->first = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
}

static void call_link(struct host_call *call)
{
	call->next = call->calls->first;
	if (call->next != NULL)
		call->next->previous = call;
	call->calls->first = call;
}

void host_calls_crashed(struct host_calls *calls, struct env *lab)
{
	for (struct host_call *call = calls->first; call != NULL; call = call->next) {
		call->is_lost = true;
		calls->lost++;
		env_cond_broadcast(lab, &call->ended);
	}
	calls->first = NULL;
}

static void call_run(void *arg)
{
	struct host_call *call = arg;

	call->fn(call->arg);
	call->is_done = true;
	call_unlink(call);
	env_cond_broadcast(call->lab, &call->ended);
}

enum host_answer host_call(
	struct host_calls *calls, struct env *host, struct env *lab, host_call_fn fn, void *arg)
{
	struct host_call call = { .calls = calls, .lab = lab, .fn = fn, .arg = arg };
	struct lab_error err;

	if (env_spawn(host, "session", call_run, &call, &err) < 0)
		return HOST_REFUSED;
	calls->total++;
	call_link(&call);
	while (!call.is_done && !call.is_lost)
		(void)env_cond_wait(lab, &call.ended, ENV_FOREVER);
	return call.is_lost ? HOST_LOST : HOST_ANSWERED;
}
