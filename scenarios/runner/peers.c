/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/peers.h"

#include "scenarios/runner/node.h"

#define LATENCY (500 * LAB_USEC)
#define ANSWER_MAX (1024u * 1024 * 1024)
#define REQUEST_MAX 65536

struct peer_call {
	struct peers *peers;
	struct node *client, *server;
	struct lab_buf request, answer;
	bool is_lost; /* nobody will answer */
	bool is_done;
	bool is_abandoned; /* nobody waits any more */
	bool is_served;    /* a fiber of the server has it */
	struct env_cond ended;
	struct peer_call *next;
};

struct peers {
	struct peers_settings settings;
	struct peer_call *calls;
};

struct peers *peers_new(const struct peers_settings *settings)
{
	struct peers *peers = lab_new(settings->lab->heap, struct peers);

	peers->settings = *settings;
	for (size_t i = 0; i < settings->node_count; i++) {
		settings->nodes[i].settings.peer = peers_ask;
		settings->nodes[i].settings.peer_ctx = peers;
		settings->nodes[i].peers = peers;
	}
	return peers;
}

static struct node *find_node(struct peers *peers, struct lab_view name)
{
	for (size_t i = 0; i < peers->settings.node_count; i++) {
		if (lab_view_eq_cstr(name, peers->settings.nodes[i].name))
			return &peers->settings.nodes[i];
	}
	return NULL;
}

static enum sim_fault_kind decide(
	struct peers *peers, struct env *env, const struct node *who, const struct node *server)
{
	struct sim_fault_query query = { .point = "metacache.pull",
		.service = "metacache",
		.instance = lab_view_cstr(server->name),
		.peer = lab_view_cstr(who->name),
		.subject = lab_view_cstr(server->name),
		.now_ns = env_now(env) };

	if (peers->settings.decide == NULL)
		return SIM_FAULT_NONE;
	return peers->settings.decide(peers->settings.ctx, &query).kind;
}

/* ---- calls ---- */

static void call_free(struct peer_call *call)
{
	struct peer_call **at = &call->peers->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	lab_buf_done(&call->request);
	lab_buf_done(&call->answer);
	lab_heap_free(call->peers->settings.lab->heap, call);
}

static void end_call(struct peer_call *call)
{
	call->is_served = false;
	if (call->is_abandoned)
		call_free(call);
	else
		env_cond_broadcast(call->client->env, &call->ended);
}

static void serve(void *arg)
{
	struct peer_call *call = arg;
	struct env *env = call->server->env;
	enum sim_fault_kind fault = decide(call->peers, env, call->server, call->server);

	if (fault == SIM_FAULT_NONE || fault == SIM_FAULT_LOSE_REPLY ||
		fault == SIM_FAULT_STALL_REPLY)
		metacache_serve(call->server->backend, lab_buf_view(&call->request), &call->answer);
	call->is_done = fault == SIM_FAULT_NONE && !call->answer.overflow;
	call->is_lost = !call->is_done;
	end_call(call);
}

void peers_crashed(struct peers *peers, const struct node *node)
{
	struct peer_call *next;

	if (peers == NULL)
		return;
	for (struct peer_call *call = peers->calls; call != NULL; call = next) {
		next = call->next;
		if (call->client == node)
			call->is_abandoned = true;
		if (call->server == node && call->is_served) {
			call->is_lost = true;
			end_call(call);
		} else if (call->is_abandoned && !call->is_served) {
			call_free(call);
		}
	}
}

/* ---- asking ---- */

/* 0: the request is on its way. */
static int leave(struct peers *peers, struct env *env, const struct node *client,
	const struct node *server, enum sim_fault_kind fault, struct lab_error *err)
{
	bool is_heard = peers->settings.reachable == NULL ||
			peers->settings.reachable(peers->settings.ctx, lab_view_cstr(client->name),
				lab_view_cstr(server->name));

	if (!is_heard || fault == SIM_FAULT_STALL) {
		env_sleep(env, METACACHE_PEER_TIMEOUT);
		return lab_fail(err, LAB_TIMEOUT, "no answer");
	}
	env_sleep(env, LATENCY);
	if (fault == SIM_FAULT_RESET)
		return lab_fail(err, LAB_RESET, "the connection broke");
	if (!server->is_up || server->backend == NULL)
		return lab_fail(err, LAB_REFUSED, "nobody is listening");
	return 0;
}

static int wait_for(struct peer_call *call, struct env *env, enum sim_fault_kind fault,
	struct lab_buf *answer, struct lab_error *err)
{
	uint64_t deadline = env_now(env) + METACACHE_PEER_TIMEOUT;
	bool is_late = false;
	int result = 0;

	while (!is_late && (fault == SIM_FAULT_STALL_REPLY || (!call->is_done && !call->is_lost)))
		is_late = env_cond_wait(env, &call->ended, deadline) > 0;
	if (is_late)
		result = lab_fail(err, LAB_TIMEOUT, "no answer");
	else if (call->is_lost || fault == SIM_FAULT_LOSE_REPLY)
		result = lab_fail(err, LAB_RESET, "the connection broke");
	else
		lab_buf_append_view(answer, lab_buf_view(&call->answer));
	call->is_abandoned = true;
	if (!call->is_served)
		call_free(call);
	return result;
}

int peers_ask(void *ctx, struct env *env, struct lab_view host, struct lab_view request,
	struct lab_buf *answer, struct lab_error *err)
{
	struct peers *peers = ctx;
	struct lab_heap *heap = peers->settings.lab->heap;
	struct node *client = find_node(peers, lab_view_cstr(env->hostname));
	struct node *server = find_node(peers, host);
	enum sim_fault_kind fault;
	struct peer_call *call;

	if (client == NULL || server == NULL || client == server)
		return lab_fail(err, LAB_INVALID, "there is no other backend of that name");
	fault = decide(peers, env, client, server);
	if (leave(peers, env, client, server, fault, err) < 0)
		return -1;
	call = lab_new(heap, struct peer_call);
	*call = (struct peer_call){ .peers = peers,
		.client = client,
		.server = server,
		.is_served = true,
		.next = peers->calls };
	peers->calls = call;
	lab_buf_init(&call->request, heap, REQUEST_MAX);
	lab_buf_init(&call->answer, heap, ANSWER_MAX);
	lab_buf_append_view(&call->request, request);
	if (env_spawn(server->env, "doveadm", serve, call, err) < 0) {
		call_free(call);
		return -1;
	}
	return wait_for(call, env, fault, answer, err);
}
