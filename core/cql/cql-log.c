/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the driver, of its logging retry policy, and of debug_queries (cql-imds 3.3, 3.4).
 */
#include "core/cql/cql-client-private.h"

#include <stdio.h>

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = { "critical", "error", "warn", "info", "debug", "trace" };

int cql_log_level_parse(struct lab_view name, enum cql_log_level *ret)
{
	for (size_t i = 0; i < LAB_COUNT_OF(level_names); i++) {
		if (lab_view_eq_cstr(name, level_names[i])) {
			*ret = (enum cql_log_level)i;
			return 0;
		}
	}
	return -1;
}

static void put(struct cql_client *client, enum cql_log_level level, const char *text)
{
	ENV_EVENT(client->env, LAB_EV_log_message, LAB_F_CSTR("message", text),
		LAB_F_CSTR("level", level_names[level]));
}

void cql_log(struct cql_client *client, enum cql_log_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;
	if (level > client->settings.log_level)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(client, level, text);
}

void cql_log_retry(struct cql_run *run, const struct cql_error *e, unsigned retries)
{
	const char *level = cql_consistency_name(run->consistency);
	const char *first = cql_consistency_name(e->consistency);
	if (!run->client->settings.log_retries)
		return;
	if (e->code == CQL_E_READ_TIMEOUT) {
		cql_log(run->client, CQL_LOG_INFO,
			"Retrying on read timeout at consistency %s (initial consistency: %s, "
			"required responses: %" PRId32 ", received responses: %" PRId32
			", data retrieved: %s, retries: %u)",
			level, first, e->required, e->received, e->data_present ? "true" : "false",
			retries);
	} else if (e->code == CQL_E_WRITE_TIMEOUT) {
		cql_log(run->client, CQL_LOG_INFO,
			"Retrying on write timeout at consistency %s (initial consistency: %s, "
			"required acknowledgments: %" PRId32 ", received acknowledgments: %" PRId32
			", write type: %.*s, retries: %u)",
			level, first, e->required, e->received, LAB_VIEW_ARG(e->write_type),
			retries);
	} else if (e->code == CQL_E_UNAVAILABLE) {
		cql_log(run->client, CQL_LOG_INFO,
			"Retrying on unavailable error at consistency %s (initial consistency: %s, "
			"required replica: %" PRId32 ", alive replica: %" PRId32 ", retries: %u)",
			level, first, e->required, e->received, retries);
	} else {
		cql_log(run->client, CQL_LOG_INFO,
			"Retrying on request error at consistency %s (error: %.*s, retries: %u)",
			level, LAB_VIEW_ARG(e->message), retries);
	}
}

void cql_log_query(struct cql_run *run, bool ok, size_t rows, uint64_t took_ns)
{
	struct lab_buf text;
	const char *kind = run->statement->batch_count > 0       ? "batch "
			   : run->client->version >= CQL_VERSION ? "prepared "
								 : "";
	lab_buf_init(&text, run->client->env->heap, 1u << 20);
	lab_buf_printf(
		&text, "Finished %squery '%.*s' (", kind, LAB_VIEW_ARG(run->statement->query));
	if (run->timestamp_us != 0)
		lab_buf_printf(&text, "timestamp=%" PRId64 ", ", run->timestamp_us);
	if (run->page > 1)
		lab_buf_printf(&text, "page %u, ", run->page);
	lab_buf_printf(&text, "%zu rows, %" PRIu64 "+0 us, %s requested consistency): %s", rows,
		took_ns / LAB_USEC, cql_consistency_name(run->consistency),
		ok ? "success" : run->message);
	put(run->client, CQL_LOG_DEBUG, lab_buf_cstr(&text));
	lab_buf_done(&text);
}
