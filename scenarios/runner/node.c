/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/node.h"

#include "core/fts/fts.h"
#include "scenarios/runner/peers.h"

struct node_call {
	struct node *node;
	struct env *lab;
	node_call_fn fn;
	void *arg;
	struct env_cond ended;
	bool is_done, is_lost;
	struct node_call *next, *previous;
};

void node_booted(struct node *node, struct env *env)
{
	node->env = env;
	node->backend = NULL;
	node->fts = NULL;
	node->is_up = true;
	node->boots++;
}

void node_has_backend(struct node *node, struct backend *backend)
{
	const struct conf_settings *conf = node->settings.conf;

	node->fts = fts_is_configured(conf) ? fts_start(node->env, backend, conf) : NULL;
	node->backend = backend;
}

void node_main(void *arg)
{
	struct node *node = arg;
	struct backend *backend;
	struct lab_error err;

	node->settings.env = node->env;
	/* The settings were checked before the run: what fails here is the laboratory. */
	if (backend_start(&node->settings, &backend, &err) < 0)
		lab_bug("a backend does not start with settings that were checked");
	node_has_backend(node, backend);
}

static void call_unlink(struct node_call *call)
{
	struct node *node = call->node;

	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		node->calls = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
}

static void call_link(struct node_call *call)
{
	call->next = call->node->calls;
	if (call->next != NULL)
		call->next->previous = call;
	call->node->calls = call;
}

void node_crashed(struct node *node, struct env *lab)
{
	node->is_up = false;
	node->backend = NULL;
	node->fts = NULL;
	for (struct node_call *call = node->calls; call != NULL; call = call->next) {
		call->is_lost = true;
		node->calls_lost++;
		env_cond_broadcast(lab, &call->ended);
	}
	node->calls = NULL;
	peers_crashed(node->peers, node);
}

static void call_run(void *arg)
{
	struct node_call *call = arg;

	call->fn(call->node->backend, call->arg);
	call->is_done = true;
	call_unlink(call);
	env_cond_broadcast(call->lab, &call->ended);
}

enum node_answer node_call(struct node *node, struct env *lab, node_call_fn fn, void *arg)
{
	struct node_call call = { .node = node, .lab = lab, .fn = fn, .arg = arg };
	struct lab_error err;

	if (!node->is_up || node->backend == NULL)
		return NODE_REFUSED;
	if (env_spawn(node->env, "session", call_run, &call, &err) < 0)
		return NODE_REFUSED;
	node->calls_total++;
	call_link(&call);
	while (!call.is_done && !call.is_lost)
		(void)env_cond_wait(lab, &call.ended, ENV_FOREVER);
	return call.is_lost ? NODE_LOST : NODE_ANSWERED;
}
