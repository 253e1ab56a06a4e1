/* SPDX-License-Identifier: Apache-2.0
 *
 * The client: opening, closing, and statements with their fallback, pages, messages and counters
 * (obox 3.8, cql-imds 3.4).
 */
#include "core/cql/cql-client-private.h"
#include "core/base/mark.h"
#include "core/base/defect.h"

#define PREPARED_ARENA_BYTES (8u << 20)

void cql_settings_defaults(struct cql_settings *ret)
{
	*ret = (struct cql_settings){
		.port = 9042,
		.connections_per_host = 1,
		.connect_timeout_ns = 5 * LAB_SEC,
		.request_timeout_ns = 60 * LAB_SEC,
		.warn_timeout_ns = 5 * LAB_SEC,
		.heartbeat_interval_ns = 30 * LAB_SEC,
		.idle_timeout_ns = 60 * LAB_SEC,
		.reconnect_base_ns = 2 * LAB_SEC,
		.reconnect_max_ns = 600 * LAB_SEC,
		.streams_per_connection = CQL_STREAM_MAX,
		.frame_max_bytes = 16u << 20,
		.queue_max_bytes = 16u << 20,
		.log_level = CQL_LOG_WARN,
	};
	for (size_t i = 0; i < CQL_STATEMENT_TYPES; i++)
		ret->consistency[i] = ret->fallback[i] = CQL_LOCAL_QUORUM;
}

static int check_settings(const struct cql_settings *s, struct lab_error *err)
{
	if (s->host_count == 0)
		return lab_fail(err, LAB_INVALID, "No hosts given in connect string");
	if (s->host_count > CQL_HOSTS_MAX)
		return lab_fail(err, LAB_INVALID, "More than %d Cassandra hosts", CQL_HOSTS_MAX);
	if (s->connections_per_host == 0 || s->connections_per_host > CQL_CONNECTIONS_PER_HOST_MAX)
		return lab_fail(err, LAB_INVALID, "connections_per_host must be 1 to %d",
			CQL_CONNECTIONS_PER_HOST_MAX);
	if (s->streams_per_connection == 0 || s->streams_per_connection > CQL_STREAM_MAX)
		return lab_fail(
			err, LAB_INVALID, "streams_per_connection must be 1 to %d", CQL_STREAM_MAX);
	if (s->protocol_version != 0 && s->protocol_version != 3 && s->protocol_version != 4)
		return lab_fail(err, LAB_INVALID, "Unsupported CQL protocol version: %u",
			s->protocol_version);
	if (s->reconnect_base_ns < LAB_MSEC || s->reconnect_max_ns < s->reconnect_base_ns)
		return lab_fail(err, LAB_INVALID, "Senseless reconnect interval");
	return 0;
}

static const char *copy(struct lab_heap *heap, const char *text)
{
	return text == NULL ? NULL : lab_heap_strdup(heap, text);
}

static void copy_settings(struct cql_client *client, const struct cql_settings *from)
{
	struct lab_heap *heap = client->env->heap;
	struct cql_settings *to = &client->settings;
	*to = *from;
	for (size_t i = 0; i < from->host_count; i++)
		to->hosts[i] = copy(heap, from->hosts[i]);
	to->keyspace = copy(heap, from->keyspace);
	to->user = copy(heap, from->user);
	to->password = copy(heap, from->password);
	to->metrics_path = copy(heap, from->metrics_path);
	to->tls.ca_file = copy(heap, from->tls.ca_file);
	to->tls.cert_file = copy(heap, from->tls.cert_file);
	to->tls.key_file = copy(heap, from->tls.key_file);
	to->tls.key_password = copy(heap, from->tls.key_password);
	for (size_t i = 0; i < CQL_STATEMENT_TYPES; i++) {
		client->fallback[i].primary = from->consistency[i];
		client->fallback[i].fallback = from->fallback[i];
	}
}

static void free_settings(struct cql_client *client)
{
	struct lab_heap *heap = client->env->heap;
	struct cql_settings *s = &client->settings;
	for (size_t i = 0; i < s->host_count; i++)
		lab_heap_free(heap, (void *)(uintptr_t)s->hosts[i]);
	lab_heap_free(heap, (void *)(uintptr_t)s->keyspace);
	lab_heap_free(heap, (void *)(uintptr_t)s->user);
	lab_heap_free(heap, (void *)(uintptr_t)s->password);
	lab_heap_free(heap, (void *)(uintptr_t)s->metrics_path);
	lab_heap_free(heap, (void *)(uintptr_t)s->tls.ca_file);
	lab_heap_free(heap, (void *)(uintptr_t)s->tls.cert_file);
	lab_heap_free(heap, (void *)(uintptr_t)s->tls.key_file);
	lab_heap_free(heap, (void *)(uintptr_t)s->tls.key_password);
}

/* Those of the first `hosts` that are not there yet. */
static void make_connections(struct cql_client *client, size_t hosts)
{
	unsigned per_host = client->settings.connections_per_host;
	for (; client->connection_count < hosts * per_host; client->connection_count++) {
		struct cql_connection *c = &client->connections[client->connection_count];
		c->client = client;
		c->host = client->connection_count / per_host;
		c->index = client->connection_count % per_host;
		c->state = CQL_CONNECTION_TRYING;
		cql_connection_init(c);
	}
}

int cql_client_add_host(struct cql_client *client, const char *name, struct lab_error *err)
{
	struct cql_settings *s = &client->settings;
	unsigned first = client->connection_count;
	if (s->host_count == CQL_HOSTS_MAX)
		return lab_fail(err, LAB_LIMIT, "More than %d Cassandra hosts", CQL_HOSTS_MAX);
	s->hosts[s->host_count++] = copy(client->env->heap, name);
	make_connections(client, s->host_count);
	for (unsigned i = first; i < client->connection_count; i++) {
		if (cql_connection_start(&client->connections[i], err) < 0)
			return -1;
	}
	return 0;
}

static int start_fibers(struct cql_client *client, struct lab_error *err)
{
	for (unsigned i = 0; i < client->connection_count; i++) {
		if (cql_connection_start(&client->connections[i], err) < 0)
			return -1;
	}
	if (cql_metrics_start(client, err) < 0)
		return -1;
	return cql_topology_start(client, err);
}

int cql_client_open(struct env *env, const struct cql_settings *settings, struct cql_client **ret,
	struct lab_error *err)
{
	if (check_settings(settings, err) < 0)
		return -1;
	struct cql_client *client = lab_new(env->heap, struct cql_client);
	client->env = env;
	copy_settings(client, settings);
	client->version =
		settings->protocol_version == 0 ? CQL_VERSION : (uint8_t)settings->protocol_version;
	client->prepared = lab_map_new(env->heap, CQL_STATEMENTS_MAX);
	client->prepared_arena = lab_arena_new(env->heap, PREPARED_ARENA_BYTES);
	(void)lab_fail(&client->last_error, LAB_UNAVAILABLE, "not tried yet");
	/* Connections do not move, so there is room for all hosts that may be discovered. */
	size_t hosts = settings->discover ? CQL_HOSTS_MAX : settings->host_count;
	client->connections = lab_new_array(
		env->heap, struct cql_connection, hosts * settings->connections_per_host);
	make_connections(client, settings->host_count);
	if (start_fibers(client, err) < 0) {
		cql_client_close(&client);
		return -1;
	}
	*ret = client;
	return 0;
}

void cql_client_close(struct cql_client **client_p)
{
	struct cql_client *client = *client_p;
	if (client == NULL)
		return;
	*client_p = NULL;
	struct env *env = client->env;
	client->ending = true;
	env_cond_broadcast(env, &client->changed);
	while (client->statements > 0)
		(void)env_cond_wait(env, &client->idle, ENV_FOREVER);
	client->closing = true;
	for (unsigned i = 0; i < client->connection_count; i++)
		env_cond_broadcast(env, &client->connections[i].keeper);
	cql_metrics_wake(client);
	cql_topology_wake(client);
	while (client->keepers > 0)
		(void)env_cond_wait(env, &client->idle, ENV_FOREVER);
	for (unsigned i = 0; i < client->connection_count; i++)
		cql_connection_done(&client->connections[i]);
	lab_heap_free(env->heap, client->connections);
	cql_metrics_free(client);
	cql_topology_free(client);
	lab_map_free(&client->prepared);
	lab_arena_free(&client->prepared_arena);
	free_settings(client);
	lab_heap_free(env->heap, client);
}

int64_t cql_client_timestamp(struct cql_client *client)
{
	int64_t now = (int64_t)env_wall_us(client->env);
	if (lab_defect(TIMESTAMPS_IN_MS))
		now /= 1000;
	if (lab_defect(TIMESTAMPS_STEP_BACK))
		client->last_timestamp_us = 0;
	client->last_timestamp_us = LAB_MAX(now, client->last_timestamp_us + 1);
	return client->last_timestamp_us;
}

uint64_t cql_client_counter(const struct cql_client *client, enum cql_counter counter)
{
	lab_assert(counter < CQL_COUNTER_COUNT);
	return client->counters[counter];
}

unsigned cql_client_connected(const struct cql_client *client)
{
	return client->ready;
}

/* ---- one statement ---- */

/* While nothing is connected yet, but somebody is still at his first attempt. */
static void wait_for_connection(struct cql_run *run)
{
	struct cql_client *client = run->client;
	for (;;) {
		bool trying = false;
		for (unsigned i = 0; i < client->connection_count; i++)
			trying |= !client->connections[i].tried;
		if (client->ready > 0 || !trying ||
			env_cond_wait(client->env, &client->changed, run->deadline_ns) != 0)
			return;
	}
}

static void warn_of_fallback(struct cql_run *run, const struct cql_fallback *fallback)
{
	static const char *const types[] = { "read", "write", "delete" };
	const char *text = lab_arena_printf(run->arena,
		"%s - retrying future %s queries with consistency %s (instead of %s)", run->message,
		types[run->statement->type], cql_consistency_name(fallback->fallback),
		cql_consistency_name(fallback->primary));
	ENV_EVENT(run->client->env, LAB_EV_cassandra_fallback, LAB_F_CSTR("message", text),
		LAB_F_CSTR("type", types[run->statement->type]), LAB_F_CSTR("error", run->message),
		LAB_F_CSTR("consistency", cql_consistency_name(fallback->fallback)));
}

/* A request of its own for the driver: with its own time-out, plan and retries. */
static void new_request(struct cql_run *run)
{
	uint64_t now = env_now(run->client->env);
	uint64_t deadline = run->statement->deadline_ns;
	run->retries = 0;
	run->deadline_ns = now + run->client->settings.request_timeout_ns;
	if (deadline != 0 && deadline < run->deadline_ns)
		run->deadline_ns = deadline;
}

/* The caller's patience ended, not the driver's. */
static bool gave_up(const struct cql_run *run)
{
	uint64_t deadline = run->statement->deadline_ns;
	return deadline != 0 && run->failure == CQL_LIB_REQUEST_TIMED_OUT &&
	       env_now(run->client->env) >= deadline;
}

/* One request of the driver's, as Dovecot counts them. */
static int plan(struct cql_run *run)
{
	struct cql_client *client = run->client;
	uint64_t started = env_now(client->env);
	client->counters[CQL_SENT]++;
	if (cql_plan(run) == 0) {
		client->counters[CQL_RECV_OK]++;
		cql_metrics_answered(client, env_now(client->env) - started);
		return 0;
	}
	if (!gave_up(run))
		client->counters[cql_failure_classes[run->failure].counter]++;
	return -1;
}

/* The first page, with the fallback if the primary level fails. */
static int run_first_page(struct cql_run *run)
{
	struct env *env = run->client->env;
	struct cql_fallback *fallback = &run->client->fallback[run->statement->type];
	bool warn = false;
	run->consistency = cql_fallback_choose(fallback, env_now(env));
	if (lab_defect(QUORUM_IS_ONE))
		run->consistency = CQL_ONE;
	new_request(run);
	wait_for_connection(run);
	if (plan(run) == 0) {
		cql_fallback_succeeded(fallback, run->consistency);
		return 0;
	}
	if (gave_up(run) ||
		!cql_fallback_failed(fallback, run->consistency, run->failure, env_now(env), &warn))
		return -1;
	if (warn)
		warn_of_fallback(run, fallback);
	LAB_MARK(fallback_used);
	run->consistency = fallback->fallback;
	if (lab_defect(FALLBACK_HIDES_UNCERTAIN))
		run->maybe_applied = false;
	new_request(run);
	return plan(run);
}

/* READ_MORE: keeps its level and never falls back. */
static int run_next_page(struct cql_run *run, struct lab_view paging_state)
{
	LAB_MARK(page_read);
	run->paging_state = paging_state;
	run->page++;
	if (lab_defect(NEXT_PAGE_AT_ANY))
		run->consistency = CQL_ANY;
	new_request(run);
	return plan(run);
}

struct page {
	struct page *next;
	struct cql_rows rows;
};

static void join_pages(struct cql_run *run, const struct page *first, struct cql_result *ret)
{
	size_t cells = ret->row_count * ret->column_count;
	if (first == NULL || first->next == NULL) {
		ret->cells = first == NULL ? NULL : first->rows.cells;
		return;
	}
	ret->cells = lab_arena_array(run->arena, struct lab_view, cells);
	size_t at = 0;
	for (const struct page *page = first; page != NULL; page = page->next) {
		size_t n = page->rows.row_count * ret->column_count;
		for (size_t i = 0; i < n; i++)
			ret->cells[at + i] = page->rows.cells[i];
		at += n;
	}
}

/* Adds one page. -1 with run->failure. */
static int add_page(struct cql_run *run, size_t max_rows, struct page *page, struct cql_result *ret)
{
	page->rows = run->response.rows;
	if (page->rows.metadata.column_count != run->columns->column_count) {
		cql_run_fail(run, CQL_FAILURE_OTHER, "%zu columns came where %zu were announced",
			page->rows.metadata.column_count, run->columns->column_count);
		return -1;
	}
	ret->columns = run->columns->columns;
	ret->column_count = run->columns->column_count;
	ret->row_count += page->rows.row_count;
	if (ret->row_count > max_rows) {
		run->too_many = true;
		cql_run_fail(run, CQL_FAILURE_OTHER, "more than %zu rows", max_rows);
		return -1;
	}
	if (page->rows.metadata.paging_state.ptr != NULL && run->page >= CQL_PAGES_MAX) {
		run->too_many = true;
		cql_run_fail(run, CQL_FAILURE_OTHER, "more than %d pages", CQL_PAGES_MAX);
		return -1;
	}
	return 0;
}

static int run_pages(struct cql_run *run, size_t max_rows, struct cql_result *ret)
{
	struct page *first = NULL;
	struct page **end = &first;
	if (run_first_page(run) < 0)
		return -1;
	while (run->response.kind == CQL_RESULT_ROWS) {
		struct page *page = lab_arena_new_of(run->arena, struct page);
		*end = page;
		end = &page->next;
		if (add_page(run, max_rows, page, ret) < 0)
			return -1;
		struct lab_view more = page->rows.metadata.paging_state;
		if (more.ptr == NULL || lab_defect(FIRST_PAGE_ONLY))
			break;
		if (run_next_page(run, more) < 0)
			return -1;
	}
	join_pages(run, first, ret);
	return 0;
}

/* ---- messages ---- */

static void put_details(struct lab_buf *out, const struct cql_run *run)
{
	const struct cql_error *e = &run->details;
	bool has_failures = run->failure == CQL_READ_FAILURE || run->failure == CQL_WRITE_FAILURE;
	bool has_data = run->failure == CQL_READ_TIMEOUT || run->failure == CQL_READ_FAILURE;
	bool has_replicas = has_failures || has_data || run->failure == CQL_WRITE_TIMEOUT ||
			    run->failure == CQL_UNAVAILABLE;
	if (!run->has_details || !has_replicas) {
		lab_buf_printf(
			out, ", %s requested consistency", cql_consistency_name(run->consistency));
		return;
	}
	lab_buf_printf(out,
		", %s consistency, %" PRId32 " of minimum %" PRId32 " responses received",
		cql_consistency_name(e->consistency), e->received, e->required);
	if (e->consistency != run->consistency)
		lab_buf_printf(
			out, ", %s requested consistency", cql_consistency_name(run->consistency));
	if (has_failures)
		lab_buf_printf(out, ", %" PRId32 " Cassandra node failures", e->failures);
	if (has_data)
		lab_buf_printf(out, ", data present=%s", e->data_present ? "yes" : "no");
}

static enum lab_code code_of(const struct cql_run *run)
{
	bool is_write = run->statement->type != CQL_STATEMENT_READ;
	if (is_write && run->maybe_applied)
		return LAB_UNCERTAIN;
	if (run->too_many)
		return LAB_LIMIT;
	if (run->has_details && (run->details.code == CQL_E_UNAUTHORIZED ||
					run->details.code == CQL_E_BAD_CREDENTIALS))
		return LAB_DENIED;
	return cql_failure_classes[run->failure].code;
}

/* "Query '...' failed: ... (in 0.004 secs, page 2, LOCAL_QUORUM requested consistency)" */
static void put_failure(struct lab_buf *out, const struct cql_run *run, uint64_t took_ns)
{
	uint64_t ms = took_ns / LAB_MSEC;
	if (run->bare) {
		lab_buf_append_cstr(out, run->message);
		return;
	}
	lab_buf_printf(out, "Query '%.*s' failed: %s (in %" PRIu64 ".%03" PRIu64 " secs",
		LAB_VIEW_ARG(run->statement->query), run->message, ms / 1000, ms % 1000);
	if (run->page > 1)
		lab_buf_printf(out, ", page %u", run->page);
	put_details(out, run);
	lab_buf_append_byte(out, ')');
}

static int report(struct cql_run *run, uint64_t took_ns, struct lab_error *err)
{
	struct lab_buf text;
	lab_buf_init(&text, run->client->env->heap, 1u << 20);
	put_failure(&text, run, took_ns);
	int result = lab_fail(err, code_of(run), "%s", lab_buf_cstr(&text));
	lab_buf_done(&text);
	if (err != NULL) {
		err->retryable = cql_failure_classes[run->failure].wants_fallback;
		err->status = run->has_details ? (uint16_t)run->details.code : 0;
	}
	return result;
}

static struct lab_view first_word(struct lab_view query)
{
	size_t space = lab_view_find_byte(query, ' ');
	return space == SIZE_MAX ? query : lab_view_sub(query, 0, space);
}

/* Dovecot's sql_query_finished, by the name that it has here. */
static void emit(struct cql_run *run, bool ok, size_t rows, uint64_t took_ns)
{
	struct lab_field fields[10];
	size_t n = 0;
	fields[n++] = LAB_F_TEXT("query_first_word", first_word(run->statement->query));
	fields[n++] = LAB_F_TEXT("query", run->statement->query);
	fields[n++] = LAB_F_CSTR("consistency", cql_consistency_name(run->consistency));
	fields[n++] = LAB_F_U64("duration", took_ns / LAB_USEC);
	fields[n++] = LAB_F_U64("rows", rows);
	/* Pages, hosts, fallback and speculation: how many requests were sent, and answered. */
	fields[n++] = LAB_F_VOLATILE_U64("attempts", *run->sent);
	fields[n++] = LAB_F_VOLATILE_U64("answers", *run->answered);
	if (!ok) {
		fields[n++] = LAB_F_CSTR("error", run->message);
		fields[n++] = LAB_F_CSTR("error_code", cql_failure_classes[run->failure].name);
		if (run->has_details)
			fields[n++] = LAB_F_CSTR("error_consistency",
				cql_consistency_name(run->details.consistency));
	}
	env_event(run->client->env, LAB_EV_cassandra_query_finished, fields, n);
}

static void warn_if_slow(struct cql_run *run, uint64_t took_ns)
{
	struct cql_client *client = run->client;
	uint64_t limit = client->settings.warn_timeout_ns;
	if (limit == 0 || took_ns < limit)
		return;
	client->counters[CQL_SLOW]++;
	const char *text = lab_arena_printf(run->arena,
		"Finished query '%.*s' (%" PRIu64 " us, %s requested consistency) "
		"(query took longer than %" PRIu64 "ms)",
		LAB_VIEW_ARG(run->statement->query), took_ns / LAB_USEC,
		cql_consistency_name(run->consistency), limit / LAB_MSEC);
	ENV_EVENT(client->env, LAB_EV_log_message, LAB_F_CSTR("message", text));
}

int cql_client_execute(struct cql_client *client, const struct cql_statement *statement,
	size_t max_rows, struct lab_arena *arena, struct cql_result *ret, struct lab_error *err)
{
	lab_assert(!client->closing && statement->arg_count <= CQL_PARAMS_MAX &&
		   statement->batch_count <= CQL_BATCH_MAX);
	uint64_t started = env_now(client->env);
	unsigned sent = 0, answered = 0;
	struct cql_run run = { .client = client,
		.statement = statement,
		.arena = arena,
		.page = 1,
		.sent = &sent,
		.answered = &answered };
	struct cql_result result = { .columns = NULL };
	if (statement->type != CQL_STATEMENT_READ) {
		run.timestamp_us = statement->timestamp_us != 0 ? statement->timestamp_us
								: cql_client_timestamp(client);
	}
	client->statements++;
	bool ok = run_pages(&run, max_rows, &result) == 0;
	uint64_t took = env_now(client->env) - started;
	if (ok)
		*ret = result;
	emit(&run, ok, result.row_count, took);
	warn_if_slow(&run, took);
	if (client->settings.debug_queries)
		cql_log_query(&run, ok, result.row_count, took);
	int status = ok ? 0 : report(&run, took, err);
	if (--client->statements == 0)
		env_cond_broadcast(client->env, &client->idle);
	return status;
}
