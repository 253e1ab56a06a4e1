/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/admin-private.h"

/* ---- what they are ---- */

static const char *state_name(enum cqlemu_node_state state)
{
	switch (state) {
	case CQLEMU_NODE_UP:
		return "up";
	case CQLEMU_NODE_DOWN:
		return "down";
	case CQLEMU_NODE_FROZEN:
		return "frozen";
	}
	lab_bug("a node is in no state");
}

static void put_text(struct lab_json *json, const char *key, struct lab_view text)
{
	lab_json_key(json, key);
	lab_json_view(json, text);
}

/* Names of the nodes that believe it alive. */
static void put_seen_by(struct serve *serve, size_t node, struct lab_json *json)
{
	lab_json_key(json, "seen_up_by");
	lab_json_array(json);
	for (size_t i = 0; i < cqlemu_node_count(serve->cql); i++) {
		if (i != node && cqlemu_node_state(serve->cql, i) == CQLEMU_NODE_UP &&
			cqlemu_node_seen_up(serve->cql, i, node))
			lab_json_view(json, lab_view_cstr(serve->cql_names[i]));
	}
	lab_json_end(json);
}

static void put_node(struct serve *serve, size_t node, struct lab_json *json)
{
	struct cqlemu_node_info info;

	cqlemu_node_info(serve->cql, node, &info);
	lab_json_object(json);
	put_text(json, "name", info.name);
	put_text(json, "address", info.address);
	put_text(json, "datacenter", info.dc);
	put_text(json, "rack", info.rack);
	lab_json_put_cstr(json, "state", state_name(info.state));
	put_seen_by(serve, node, json);
	lab_json_put_u64(json, "connections", info.connections);
	lab_json_put_u64(json, "connections_open", info.connections_open);
	lab_json_put_u64(json, "requests", info.requests);
	lab_json_put_u64(json, "statements", info.statements);
	lab_json_put_u64(json, "prepared", info.prepared);
	lab_json_put_u64(json, "rows", info.rows);
	lab_json_end(json);
}

/* On Cassandra's thread. */
static void put_nodes(void *ctx)
{
	struct call *c = ctx;

	serve_admin_begin(c);
	lab_json_key(&c->json, "nodes");
	lab_json_array(&c->json);
	for (size_t i = 0; i < cqlemu_node_count(c->serve->cql); i++)
		put_node(c->serve, i, &c->json);
	lab_json_end(&c->json);
	lab_json_end(&c->json);
}

unsigned serve_admin_get_nodes(struct call *c)
{
	if (!c->serve->has_cql)
		return serve_admin_fail(c, 404, "Cassandra is not served");
	stream_front_end_call(c->serve->cql_front, put_nodes, c);
	return 200;
}

/* ---- what is done to them ---- */

static void lose_and_start(struct cqlemu *cql, size_t node, uint64_t now_ns)
{
	cqlemu_node_lose_data(cql, node);
	cqlemu_node_start(cql, node, now_ns);
}

static void forget(struct cqlemu *cql, size_t node, uint64_t now_ns)
{
	(void)now_ns;
	cqlemu_node_forget_prepared(cql, node);
}

#define STATE(state) (1u << CQLEMU_NODE_##state)

static const struct node_action {
	const char *name;
	void (*act)(struct cqlemu *cql, size_t node, uint64_t now_ns);
	unsigned from; /* STATE()s in which it can be done */
} actions[] = {
	{ "stop", cqlemu_node_stop, STATE(UP) },
	{ "kill", cqlemu_node_kill, STATE(UP) | STATE(FROZEN) },
	{ "start", cqlemu_node_start, STATE(DOWN) },
	{ "start-empty", lose_and_start, STATE(DOWN) },
	{ "freeze", cqlemu_node_freeze, STATE(UP) },
	{ "thaw", cqlemu_node_thaw, STATE(FROZEN) },
	{ "compact", cqlemu_node_compact, STATE(UP) },
	{ "forget-prepared", forget, STATE(UP) },
};

struct node_call {
	struct call *call;
	const struct node_action *action;
	size_t node;
	struct lab_error err;
	unsigned status;
};

static bool listens(enum cqlemu_node_state state)
{
	return state != CQLEMU_NODE_DOWN;
}

/* On Cassandra's thread. Before a node says that it is up, clients can reach it; before it is
 * gone, they cannot any more. */
static void act(void *ctx)
{
	struct node_call *n = ctx;
	struct serve *serve = n->call->serve;
	enum cqlemu_node_state state = cqlemu_node_state(serve->cql, n->node);
	bool will_listen = n->action->act != cqlemu_node_stop && n->action->act != cqlemu_node_kill;

	n->status = 409;
	if ((n->action->from & 1u << state) == 0) {
		(void)lab_fail(&n->err, LAB_INVALID, "it is %s", state_name(state));
		return;
	}
	if (listens(state) != will_listen &&
		stream_front_end_listen(
			serve->cql_front, serve->cql_names[n->node], will_listen, &n->err) < 0)
		return;
	n->action->act(serve->cql, n->node, n->call->now_ns);
	n->status = 200;
}

static const struct node_action *action_of(const struct call *c)
{
	const struct param *param = serve_admin_param(c, "do");

	for (size_t i = 0; param != NULL && i < LAB_COUNT_OF(actions); i++) {
		if (lab_view_eq_cstr(param->value, actions[i].name))
			return &actions[i];
	}
	return NULL;
}

unsigned serve_admin_post_nodes(struct call *c)
{
	const struct param *name = serve_admin_param(c, "name");
	struct node_call n = { .call = c, .action = action_of(c) };
	int node;

	if (!c->serve->has_cql)
		return serve_admin_fail(c, 404, "Cassandra is not served");
	if (n.action == NULL)
		return serve_admin_fail(c, 400,
			"do is stop, kill, start, start-empty, freeze, thaw, compact or "
			"forget-prepared");
	/* Names do not change, whatever its thread does meanwhile. */
	node = name == NULL ? -1 : cqlemu_node_find(c->serve->cql, name->value);
	if (node < 0)
		return serve_admin_fail(c, 404, "there is no such node: GET /nodes has them");
	n.node = (size_t)node;
	stream_front_end_call(c->serve->cql_front, act, &n);
	return n.status == 200 ? serve_admin_get_nodes(c)
			       : serve_admin_fail(c, n.status, n.err.message);
}
