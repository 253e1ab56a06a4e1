/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements: one entry for each text, made on a host when it is first needed there, made
 * again when the host has forgotten it (UNPREPARED).
 */
#include "core/cql/cql-client-private.h"

/* Keeps what a PREPARED answer says, in the client's memory. */
static int keep(
	struct cql_run *run, struct cql_prepared_statement *p, const struct cql_frame *frame)
{
	struct cql_response response;
	struct lab_arena *arena = run->client->prepared_arena;
	struct cql_frame copy = { frame->header, lab_arena_copy(arena, frame->body) };
	if (cql_response_decode(&copy, arena, &response, NULL) < 0 ||
		response.opcode != CQL_RESULT || response.kind != CQL_RESULT_PREPARED)
		return -1;
	p->id = response.prepared.id;
	p->binds = response.prepared.binds;
	p->columns = response.prepared.columns;
	return 0;
}

static int on_answer(
	struct cql_run *run, struct cql_prepared_statement *p, const struct cql_waiting *waiting)
{
	struct cql_response response;
	struct lab_error err;
	if (cql_response_decode(&waiting->frame, run->arena, &response, &err) < 0) {
		cql_run_fail(run, CQL_FAILURE_OTHER, "%s", err.message);
		return -1;
	}
	if (response.opcode == CQL_ERROR) {
		cql_run_fail_server(run, &response.error);
		return -1;
	}
	if (response.opcode != CQL_RESULT || response.kind != CQL_RESULT_PREPARED) {
		cql_run_fail(run, CQL_FAILURE_OTHER, "Unexpected answer to PREPARE");
		return -1;
	}
	/* Known already, from another host: nothing new is kept, or a cluster that forgets often
	 * would fill the memory. */
	if (p->id.ptr != NULL && lab_view_eq(p->id, response.prepared.id))
		return 0;
	if (keep(run, p, &waiting->frame) < 0)
		lab_bug("decoded a moment ago");
	p->hosts = 0;
	return 0;
}

static int exchange(struct cql_run *run, struct cql_connection *c, struct cql_prepared_statement *p)
{
	struct cql_request request = { .opcode = CQL_PREPARE, .query = p->query };
	struct cql_waiting waiting = { .arena = run->arena };
	int16_t stream;
	if (cql_connection_send(c, &request, &waiting, &stream) < 0) {
		cql_run_fail(run, CQL_LIB_REQUEST_QUEUE_FULL,
			"All connections on all I/O threads are busy");
		return -1;
	}
	if (cql_connection_wait(run, c, &waiting, stream) < 0) {
		cql_run_fail(run, CQL_LIB_REQUEST_TIMED_OUT, "Request timed out");
		return -1;
	}
	if (waiting.state == CQL_REQUEST_LOST) {
		run->failure = CQL_FAILURE_NONE;
		return -1;
	}
	return on_answer(run, p, &waiting);
}

static struct cql_prepared_statement *entry(struct cql_run *run, struct lab_view query)
{
	struct cql_client *client = run->client;
	void **slot = lab_map_slot(client->prepared, query);
	if (slot == NULL) {
		cql_run_fail(run, CQL_FAILURE_OTHER, "Too many prepared statements");
		return NULL;
	}
	if (*slot == NULL) {
		struct cql_prepared_statement *p =
			lab_arena_new_of(client->prepared_arena, struct cql_prepared_statement);
		p->query = lab_arena_copy(client->prepared_arena, query);
		*slot = p;
		if (client->last_prepared == NULL)
			client->first_prepared = p;
		else
			client->last_prepared->next = p;
		client->last_prepared = p;
	}
	return *slot;
}

/* ---- on other hosts: prepare_on_all_hosts, prepare_on_up_or_add_host ---- */

/* Taken for prepared at once: should it fail, or come too late, the host says UNPREPARED. */
static void prepare_there(struct cql_connection *c, struct cql_prepared_statement *p)
{
	struct cql_request request = { .opcode = CQL_PREPARE, .query = p->query };
	uint32_t bit = UINT32_C(1) << c->host;
	if ((p->preparing & bit) == 0 && cql_connection_send_orphan(c, &request))
		p->hosts |= bit;
}

static struct cql_connection *ready_connection(struct cql_client *client, unsigned host)
{
	unsigned per_host = client->settings.connections_per_host;
	for (unsigned i = host * per_host; i < (host + 1) * per_host; i++) {
		if (client->connections[i].state == CQL_CONNECTION_READY)
			return &client->connections[i];
	}
	return NULL;
}

static void prepare_elsewhere(struct cql_client *client, struct cql_prepared_statement *p)
{
	for (unsigned host = 0; host < client->settings.host_count; host++) {
		struct cql_connection *c = ready_connection(client, host);
		if (c != NULL && (p->hosts & UINT32_C(1) << host) == 0)
			prepare_there(c, p);
	}
}

void cql_prepare_on_up(struct cql_connection *c)
{
	if (ready_connection(c->client, c->host) != c || c->version < CQL_VERSION)
		return;
	for (struct cql_prepared_statement *p = c->client->first_prepared; p != NULL; p = p->next) {
		if (p->id.ptr != NULL)
			prepare_there(c, p);
	}
}

/* One PREPARE at a time for each host: a crowd that starts at once would send the same text often.
 * 0 when it is our turn, or somebody else has done it. */
static int wait_turn(struct cql_run *run, struct cql_prepared_statement *p, uint32_t bit)
{
	while ((p->preparing & bit) != 0) {
		if (cql_run_wait(run, &p->changed) < 0) {
			cql_run_fail(run, CQL_LIB_REQUEST_TIMED_OUT, "Request timed out");
			return -1;
		}
	}
	return 0;
}

int cql_prepare(struct cql_run *run, struct cql_connection *c, struct lab_view query, bool again,
	struct cql_prepared_statement **ret)
{
	uint32_t bit = UINT32_C(1) << c->host;
	struct cql_prepared_statement *p = entry(run, query);
	if (p == NULL || wait_turn(run, p, bit) < 0)
		return -1;
	*ret = p;
	if ((p->hosts & bit) != 0 && !again)
		return 0;
	if (c->state != CQL_CONNECTION_READY) {
		run->failure = CQL_FAILURE_NONE;
		return -1;
	}
	p->preparing |= bit;
	int result = exchange(run, c, p);
	p->preparing &= ~bit;
	env_cond_broadcast(run->client->env, &p->changed);
	if (result == 0) {
		p->hosts |= bit;
		prepare_elsewhere(run->client, p);
	}
	return result;
}
