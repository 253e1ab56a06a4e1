/* SPDX-License-Identifier: Apache-2.0
 *
 * One statement's way through the hosts (cql-imds 2.6): which connection, what is sent, and what an
 * answer means for the next step.
 */
#include "core/cql/cql-client-private.h"
#include "core/base/mark.h"
#include "core/base/defect.h"
#include "core/env/buggify.h"

#include <stdio.h>

#define SMALL_PAGE 2 /* buggify */

/* A server that forgets a statement at once again is not asked forever. */
#define UNPREPARED_MAX 3

enum step {
	STEP_DONE,
	STEP_FAILED,
	STEP_SAME_HOST,
	STEP_NEXT_HOST,
	STEP_PREPARE_AGAIN
};

void cql_run_fail(struct cql_run *run, enum cql_failure failure, const char *format, ...)
{
	va_list args;
	run->failure = failure;
	run->has_details = false;
	run->bare = false;
	va_start(args, format);
	(void)vsnprintf(run->message, sizeof(run->message), format, args);
	va_end(args);
}

void cql_run_fail_server(struct cql_run *run, const struct cql_error *error)
{
	cql_run_fail(run, cql_failure_of(error->code), "%.*s", LAB_VIEW_ARG(error->message));
	run->details = *error;
	run->has_details = true;
}

/* ---- choosing a connection ---- */

/* The ready connection of a host with the fewest requests in flight. */
static struct cql_connection *pick(struct cql_client *client, unsigned host, bool *ret_busy)
{
	unsigned per_host = client->settings.connections_per_host;
	struct cql_connection *best = NULL;
	for (unsigned i = 0; i < per_host; i++) {
		struct cql_connection *c = &client->connections[host * per_host + i];
		if (c->state != CQL_CONNECTION_READY)
			continue;
		if (cql_connection_is_busy(c))
			*ret_busy = true;
		else if (best == NULL || c->in_flight < best->in_flight)
			best = c;
	}
	return best;
}

/* ---- one attempt ---- */

static void fill_params(const struct cql_run *run, struct cql_params *params)
{
	const struct cql_client *client = run->client;
	unsigned flags = params->flags;
	int32_t page_size = (int32_t)client->settings.page_size;
	params->consistency = run->consistency;
	if (ENV_BUGGIFY(client->env, cql_small_pages))
		page_size = SMALL_PAGE;
	if (run->statement->type == CQL_STATEMENT_READ && page_size > 0) {
		flags |= CQL_PARAM_PAGE_SIZE;
		params->page_size = page_size;
	}
	if (run->paging_state.ptr != NULL) {
		flags |= CQL_PARAM_PAGING_STATE;
		params->paging_state = run->paging_state;
	}
	if (run->statement->type != CQL_STATEMENT_READ && !lab_defect(SERVER_TIMESTAMPS)) {
		flags |= CQL_PARAM_TIMESTAMP;
		params->timestamp_us = run->timestamp_us;
	}
	params->flags = (uint8_t)flags;
}

/* The arguments do not fit, which no server needs to tell. */
static int fail_bind(struct cql_run *run, const struct lab_error *err)
{
	cql_run_fail(run, CQL_FAILURE_OTHER, "%s", err->message);
	run->bare = true;
	return -1;
}

static int fill_execute(
	struct cql_run *run, const struct cql_prepared_statement *p, struct cql_request *request)
{
	struct lab_error err;
	request->opcode = CQL_EXECUTE;
	request->query = p->id;
	request->params.flags = CQL_PARAM_SKIP_METADATA;
	if (run->statement->arg_count > 0) {
		request->params.flags |= CQL_PARAM_VALUES;
		request->params.value_count = run->statement->arg_count;
	}
	if (cql_bind_args(run->statement, &p->binds, run->arena, &request->params.values, &err) < 0)
		return fail_bind(run, &err);
	fill_params(run, &request->params);
	return 0;
}

static int fill_query(struct cql_run *run, struct cql_request *request)
{
	struct lab_error err;
	request->opcode = CQL_QUERY;
	if (cql_bind_literals(
		    run->client->env->heap, run->statement, run->arena, &request->query, &err) < 0)
		return fail_bind(run, &err);
	fill_params(run, &request->params);
	return 0;
}

/* The next step after a server's ERROR. */
static enum step on_error(struct cql_run *run, struct cql_connection *c, const struct cql_error *e)
{
	if (e->code == CQL_E_UNPREPARED) {
		LAB_MARK(statement_prepared_again);
		return STEP_PREPARE_AGAIN;
	}
	cql_run_fail_server(run, e);
	if (cql_failure_classes[run->failure].write_uncertain &&
		!(lab_defect(WRITE_FAILURE_IS_CERTAIN) && run->failure == CQL_WRITE_FAILURE))
		run->maybe_applied = true;
	enum cql_retry retry = cql_retry_decide(e, run->retries);
	const char *host = run->client->settings.hosts[c->host];
	if (e->code == CQL_E_OVERLOADED)
		cql_log(run->client, CQL_LOG_WARN, "Host %s is overloaded.", host);
	if (e->code == CQL_E_SERVER_ERROR) {
		cql_log(run->client, CQL_LOG_WARN,
			"Received server error '%.*s' from host %s. Defuncting the connection...",
			LAB_VIEW_ARG(e->message), host);
		cql_connection_break(c);
	}
	if (retry == CQL_RETRY_NO)
		return STEP_FAILED;
	cql_log_retry(run, e, run->retries);
	run->retries++;
	return retry == CQL_RETRY_SAME_HOST ? STEP_SAME_HOST : STEP_NEXT_HOST;
}

static enum step on_answer(
	struct cql_run *run, struct cql_connection *c, const struct cql_waiting *waiting)
{
	struct lab_error err;
	if (cql_response_decode(&waiting->frame, run->arena, &run->response, &err) < 0) {
		/* Applied or not: the answer cannot tell. */
		run->maybe_applied = true;
		cql_run_fail(run, CQL_FAILURE_OTHER, "Invalid answer: %s", err.message);
		cql_connection_break(c);
		return STEP_FAILED;
	}
	/* A server that forgot the statement did not look at it. */
	if (run->response.opcode != CQL_ERROR || run->response.error.code != CQL_E_UNPREPARED)
		++*run->answered;
	if (run->response.opcode == CQL_ERROR)
		return on_error(run, c, &run->response.error);
	if (run->response.opcode == CQL_RESULT)
		return STEP_DONE;
	run->maybe_applied = true;
	cql_run_fail(run, CQL_FAILURE_OTHER, "Unexpected answer %s",
		cql_opcode_name((uint8_t)run->response.opcode));
	return STEP_FAILED;
}

static enum step send_and_wait(
	struct cql_run *run, struct cql_connection *c, const struct cql_request *request)
{
	struct cql_waiting waiting = { .arena = run->arena };
	int16_t stream;
	if (cql_connection_send(c, request, &waiting, &stream) < 0) {
		LAB_MARK(statement_queue_full);
		cql_run_fail(run, CQL_LIB_REQUEST_QUEUE_FULL,
			"All connections on all I/O threads are busy");
		return STEP_NEXT_HOST;
	}
	uint64_t sent_ns = env_now(run->client->env);
	++*run->sent;
	if (cql_connection_wait(run, c, &waiting, stream) < 0) {
		LAB_MARK(statement_timed_out);
		if (!lab_defect(SILENCE_IS_CERTAIN))
			run->maybe_applied = true;
		cql_run_fail(run, CQL_LIB_REQUEST_TIMED_OUT, "Request timed out");
		return STEP_FAILED;
	}
	if (waiting.state == CQL_REQUEST_LOST) {
		if (!lab_defect(LOST_REPLY_IS_CERTAIN))
			run->maybe_applied = true;
		return STEP_NEXT_HOST;
	}
	cql_hosts_measured(run->client, c->host, env_now(run->client->env) - sent_ns);
	return on_answer(run, c, &waiting);
}

/* PREPARE failed: nothing of this attempt was applied. */
static enum step on_unprepared(struct cql_run *run)
{
	struct lab_view query = run->statement->query;
	if (run->failure == CQL_FAILURE_NONE || run->failure == CQL_LIB_REQUEST_QUEUE_FULL)
		return STEP_NEXT_HOST;
	if (run->has_details && cql_retry_decide(&run->details, 1) == CQL_RETRY_NEXT_HOST)
		return STEP_NEXT_HOST;
	if (run->has_details) {
		struct cql_error details = run->details;
		cql_run_fail(run, CQL_FAILURE_OTHER, "Failed to prepare statement '%.*s': %.*s",
			LAB_VIEW_ARG(query), LAB_VIEW_ARG(details.message));
		run->details = details;
		run->has_details = true;
		run->bare = true;
	}
	return STEP_FAILED;
}

/* One statement of a batch, as this connection takes it. */
static enum step fill_item(struct cql_run *run, struct cql_connection *c,
	const struct cql_statement *statement, bool prepare_again, struct cql_batch_item *ret)
{
	struct cql_prepared_statement *p;
	struct lab_error err;
	*ret = (struct cql_batch_item){ .prepared = c->version >= CQL_VERSION,
		.value_count = statement->arg_count };
	if (!ret->prepared) {
		ret->value_count = 0;
		if (cql_bind_literals(
			    run->client->env->heap, statement, run->arena, &ret->query, &err) == 0)
			return STEP_DONE;
		(void)fail_bind(run, &err);
		return STEP_FAILED;
	}
	if (cql_prepare(run, c, statement->query, prepare_again, &p) < 0)
		return on_unprepared(run);
	ret->query = p->id;
	if (cql_bind_args(statement, &p->binds, run->arena, &ret->values, &err) == 0)
		return STEP_DONE;
	(void)fail_bind(run, &err);
	return STEP_FAILED;
}

static enum step attempt_batch(struct cql_run *run, struct cql_connection *c, bool prepare_again)
{
	const struct cql_statement *statement = run->statement;
	struct cql_request request = { .opcode = CQL_BATCH,
		.batch_type = statement->batch_type,
		.batch_count = statement->batch_count };
	request.batch = lab_arena_array(run->arena, struct cql_batch_item, request.batch_count);
	for (size_t i = 0; i < request.batch_count; i++) {
		enum step step =
			fill_item(run, c, &statement->batch[i], prepare_again, &request.batch[i]);
		if (step != STEP_DONE)
			return step;
	}
	/* The connection may have gone while PREPARE's answers were on their way to us. */
	if (c->state != CQL_CONNECTION_READY)
		return STEP_NEXT_HOST;
	fill_params(run, &request.params);
	run->columns = &run->response.rows.metadata;
	return send_and_wait(run, c, &request);
}

static enum step attempt(struct cql_run *run, struct cql_connection *c, bool prepare_again)
{
	struct cql_request request = { .opcode = CQL_OPTIONS };
	if (run->statement->batch_count > 0)
		return attempt_batch(run, c, prepare_again);
	if (c->version < CQL_VERSION) {
		if (fill_query(run, &request) < 0)
			return STEP_FAILED;
		enum step step = send_and_wait(run, c, &request);
		run->columns = &run->response.rows.metadata;
		return step;
	}
	struct cql_prepared_statement *p;
	if (cql_prepare(run, c, run->statement->query, prepare_again, &p) < 0)
		return on_unprepared(run);
	/* The connection may have gone while PREPARE's answer was on its way to us. */
	if (c->state != CQL_CONNECTION_READY)
		return STEP_NEXT_HOST;
	if (fill_execute(run, p, &request) < 0)
		return STEP_FAILED;
	run->columns = &p->columns;
	return send_and_wait(run, c, &request);
}

/* ---- the plan ---- */

static enum step try_host(struct cql_run *run, struct cql_connection *c)
{
	unsigned unprepared = 0;
	enum step step = attempt(run, c, false);
	while (step == STEP_SAME_HOST || step == STEP_PREPARE_AGAIN) {
		if (c->state != CQL_CONNECTION_READY)
			return STEP_NEXT_HOST;
		bool again = step == STEP_PREPARE_AGAIN;
		if (again && ++unprepared > UNPREPARED_MAX) {
			cql_run_fail_server(run, &run->response.error);
			return STEP_FAILED;
		}
		step = attempt(run, c, again);
	}
	return step;
}

static void fail_no_hosts(struct cql_run *run, bool busy)
{
	const struct cql_client *client = run->client;
	bool was_connected = false;
	for (unsigned i = 0; i < client->connection_count; i++)
		was_connected |= client->connections[i].was_ready;
	if (busy) {
		cql_run_fail(run, CQL_LIB_REQUEST_QUEUE_FULL,
			"All connections on all I/O threads are busy");
	} else if (was_connected) {
		cql_run_fail(run, CQL_LIB_NO_HOSTS_AVAILABLE,
			"All hosts in current policy attempted and were either unavailable or "
			"failed");
	} else {
		cql_run_fail(run, CQL_LIB_NO_HOSTS_AVAILABLE, "Couldn't connect to Cassandra: %s",
			client->last_error.message);
	}
}

int cql_execution(struct cql_run *run)
{
	struct cql_client *client = run->client;
	bool busy = false;
	bool attempted = false;
	bool before = run->maybe_applied;
	while (run->hosts->next < run->hosts->count) {
		struct cql_connection *c =
			pick(client, run->hosts->order[run->hosts->next++], &busy);
		if (c == NULL)
			continue;
		enum step step = try_host(run, c);
		if (step == STEP_DONE)
			return 0;
		if (step == STEP_FAILED)
			return -1;
		LAB_MARK(next_host_asked);
		if (lab_defect(NO_HOSTS_CERTAIN))
			run->maybe_applied = before;
		/* Only a queue that is full leaves the other reason alone. */
		attempted |= run->failure != CQL_LIB_REQUEST_QUEUE_FULL;
		busy |= run->failure == CQL_LIB_REQUEST_QUEUE_FULL;
		run->failure = CQL_FAILURE_NONE;
	}
	fail_no_hosts(run, busy && !attempted);
	return -1;
}

int cql_run_wait(struct cql_run *run, struct env_cond *cond)
{
	if (run->cancelled)
		return -1;
	run->blocked_on = cond;
	int result = env_cond_wait(run->client->env, cond, run->deadline_ns);
	run->blocked_on = NULL;
	return result != 0 || run->cancelled ? -1 : 0;
}

/* The documented bug (obox 3.7): once nothing of Cassandra was left while executions were
 * speculative, no query is ever answered again. True after such a wait. */
static bool hang(struct cql_run *run)
{
	struct cql_client *client = run->client;
	uint64_t until = run->statement->deadline_ns;
	if (!lab_defect(SPECULATION_HANGS))
		return false;
	for (unsigned i = 0; i < client->connection_count && client->ready == 0; i++)
		client->hung |= client->connections[i].was_ready;
	if (!client->hung)
		return false;
	while (!client->ending &&
		env_cond_wait(client->env, &client->changed, until == 0 ? ENV_FOREVER : until) == 0)
		continue;
	cql_run_fail(run, CQL_LIB_REQUEST_TIMED_OUT, "Request timed out");
	return true;
}

int cql_plan(struct cql_run *run)
{
	const struct cql_settings *s = &run->client->settings;
	bool speculative = s->speculative_delay_ns > 0 && s->speculative_max > 0;
	struct cql_hosts hosts;
	if (speculative && hang(run))
		return -1;
	cql_hosts_order(run->client, run->statement, &hosts);
	run->hosts = &hosts;
	int result = speculative ? cql_race(run) : cql_execution(run);
	run->hosts = NULL;
	return result;
}
