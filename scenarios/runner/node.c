/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/node.h"

#include "core/fts/fts.h"
#include "scenarios/runner/palomar.h"
#include "scenarios/runner/peers.h"

void node_booted(struct node *node, struct env *env)
{
	node->env = env;
	node->backend = NULL;
	node->fts = NULL;
	node->is_up = true;
	node->boots++;
	if (node->palomar != NULL)
		palomar_booted(node->palomar, env);
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
	if (node->palomar != NULL)
		palomar_host_main(node->palomar);
}

void node_crashed(struct node *node, struct env *lab)
{
	node->is_up = false;
	node->backend = NULL;
	node->fts = NULL;
	host_calls_crashed(&node->calls, lab);
	peers_crashed(node->peers, node);
	if (node->palomar != NULL)
		palomar_crashed(node->palomar);
}

struct node_call {
	struct node *node;
	node_call_fn fn;
	void *arg;
};

static void call_backend(void *arg)
{
	struct node_call *call = arg;

	call->fn(call->node->backend, call->arg);
}

enum node_answer node_call(struct node *node, struct env *lab, node_call_fn fn, void *arg)
{
	struct node_call call = { node, fn, arg };

	if (!node->is_up || node->backend == NULL)
		return NODE_REFUSED;
	switch (host_call(&node->calls, node->env, lab, call_backend, &call)) {
	case HOST_ANSWERED:
		return NODE_ANSWERED;
	case HOST_REFUSED:
		return NODE_REFUSED;
	case HOST_LOST:
		break;
	}
	return NODE_LOST;
}
