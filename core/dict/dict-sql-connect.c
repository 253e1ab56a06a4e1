/* SPDX-License-Identifier: Apache-2.0
 *
 * From the connect string to a client's settings (obox 3.7).
 */
#include "core/dict/dict-sql-private.h"

#define TEXTS_MAX_BYTES (64u << 10)

static enum cql_consistency level(enum dict_cql_consistency consistency)
{
	/* Both have the protocol's numbers. */
	return (enum cql_consistency)consistency;
}

static const char *text(struct lab_arena *arena, struct lab_view v)
{
	return v.ptr == NULL ? NULL : lab_arena_cstr(arena, v);
}

static enum cql_log_level log_level(struct lab_view name)
{
	enum cql_log_level level = CQL_LOG_WARN;
	if (cql_log_level_parse(name, &level) < 0)
		lab_bug("core/conf let an unknown log_level pass");
	return level;
}

static void fill(
	const struct dict_cql_connect *connect, struct lab_arena *arena, struct cql_settings *s)
{
	cql_settings_defaults(s);
	s->host_count = connect->host_count;
	for (size_t i = 0; i < connect->host_count; i++)
		s->hosts[i] = text(arena, connect->hosts[i]);
	s->port = connect->port;
	s->keyspace = text(arena, connect->keyspace);
	s->user = text(arena, connect->user);
	s->password = text(arena, connect->password);
	s->protocol_version = connect->protocol_version;
	if (connect->num_threads > 0)
		s->connections_per_host = connect->num_threads;
	s->consistency[CQL_STATEMENT_READ] = level(connect->read_consistency);
	s->consistency[CQL_STATEMENT_WRITE] = level(connect->write_consistency);
	s->consistency[CQL_STATEMENT_DELETE] = level(connect->delete_consistency);
	s->fallback[CQL_STATEMENT_READ] = level(connect->read_fallback_consistency);
	s->fallback[CQL_STATEMENT_WRITE] = level(connect->write_fallback_consistency);
	s->fallback[CQL_STATEMENT_DELETE] = level(connect->delete_fallback_consistency);
	s->connect_timeout_ns = connect->connect_timeout_ns;
	s->request_timeout_ns = connect->request_timeout_ns;
	s->warn_timeout_ns = connect->warn_timeout_ns;
	s->heartbeat_interval_ns = connect->heartbeat_interval_ns;
	s->idle_timeout_ns = connect->idle_timeout_ns;
	s->page_size = connect->page_size;
	s->speculative_delay_ns = connect->execution_retry_interval_ns;
	s->speculative_max = connect->execution_retry_times;
	s->latency_aware = connect->latency_aware_routing;
	s->log_level = log_level(connect->log_level);
	s->debug_queries = connect->debug_queries;
	s->log_retries = connect->log_retries;
	s->discover = connect->discover_peers;
	s->metrics_path = text(arena, connect->metrics);
}

int dict_sql_connect(struct env *env, const struct dict_cql_connect *connect, uint32_t defects,
	struct cql_client **ret, struct lab_error *err)
{
	struct cql_settings settings;
	if (connect->use_tls)
		return lab_fail(err, LAB_UNSUPPORTED, "TLS to Cassandra is not supported");
	struct lab_arena *arena = lab_arena_new(env->heap, TEXTS_MAX_BYTES);
	fill(connect, arena, &settings);
	settings.defects = defects;
	int result = cql_client_open(env, &settings, ret, err);
	lab_arena_free(&arena);
	return result;
}
