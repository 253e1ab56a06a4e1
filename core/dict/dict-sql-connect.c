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

/* ssl_verify's default is that of the C++ driver: somebody must vouch for the certificate. */
static void fill_tls(
	const struct dict_cql_connect *connect, struct lab_arena *arena, struct cql_settings *s)
{
	static const enum env_tls_verify verify[] = {
		[DICT_CQL_SSL_VERIFY_UNSET] = ENV_TLS_VERIFY_CERT,
		[DICT_CQL_SSL_VERIFY_NONE] = ENV_TLS_VERIFY_NONE,
		[DICT_CQL_SSL_VERIFY_CERT] = ENV_TLS_VERIFY_CERT,
		[DICT_CQL_SSL_VERIFY_CERT_IP] = ENV_TLS_VERIFY_IP,
		[DICT_CQL_SSL_VERIFY_CERT_DNS] = ENV_TLS_VERIFY_NAME,
	};
	s->use_tls = connect->use_tls;
	s->tls = (struct env_tls){ .verify = verify[connect->ssl_verify],
		.ca_file = text(arena, connect->ssl_ca),
		.cert_file = text(arena, connect->ssl_cert_file),
		.key_file = text(arena, connect->ssl_private_key_file),
		.key_password = text(arena, connect->ssl_private_key_password) };
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
	fill_tls(connect, arena, s);
}

int dict_sql_connect(struct env *env, const struct dict_cql_connect *connect, unsigned streams,
	struct cql_client **ret, struct lab_error *err)
{
	struct cql_settings settings;
	struct lab_arena *arena = lab_arena_new(env->heap, TEXTS_MAX_BYTES);
	fill(connect, arena, &settings);
	if (streams != 0)
		settings.streams_per_connection = streams;
	int result = cql_client_open(env, &settings, ret, err);
	lab_arena_free(&arena);
	return result;
}
