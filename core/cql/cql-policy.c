/* SPDX-License-Identifier: Apache-2.0
 *
 * Failures, retries and fallback (obox 3.8; cql-imds 2.6, 3.4).
 */
#include "core/cql/cql-policy.h"

/*	name				counter		fallback	uncertain	code */
const struct cql_failure_class cql_failure_classes[CQL_FAILURE_COUNT] = {
	[CQL_FAILURE_NONE] = { "NONE", CQL_RECV_OK, false, false, LAB_OK },
	[CQL_LIB_WRITE_ERROR] = { "LIB_WRITE_ERROR", CQL_RECV_ERR_OTHER, true, true, LAB_RESET },
	[CQL_LIB_REQUEST_TIMED_OUT] = { "LIB_REQUEST_TIMED_OUT", CQL_RECV_ERR_CLIENT_TIMEOUT, true,
		true, LAB_TIMEOUT },
	[CQL_LIB_NO_HOSTS_AVAILABLE] = { "LIB_NO_HOSTS_AVAILABLE", CQL_RECV_ERR_NO_HOSTS, true,
		false, LAB_UNAVAILABLE },
	[CQL_LIB_REQUEST_QUEUE_FULL] = { "LIB_REQUEST_QUEUE_FULL", CQL_RECV_ERR_QUEUE_FULL, false,
		false, LAB_UNAVAILABLE },
	[CQL_SERVER_ERROR] = { "SERVER_ERROR", CQL_RECV_ERR_OTHER, true, false, LAB_UNAVAILABLE },
	[CQL_OVERLOADED] = { "OVERLOADED", CQL_RECV_ERR_OTHER, true, false, LAB_UNAVAILABLE },
	[CQL_IS_BOOTSTRAPPING] = { "IS_BOOTSTRAPPING", CQL_RECV_ERR_OTHER, true, false,
		LAB_UNAVAILABLE },
	[CQL_READ_TIMEOUT] = { "READ_TIMEOUT", CQL_RECV_ERR_OTHER, true, false, LAB_TIMEOUT },
	[CQL_READ_FAILURE] = { "READ_FAILURE", CQL_RECV_ERR_OTHER, true, false, LAB_UNAVAILABLE },
	[CQL_WRITE_TIMEOUT] = { "WRITE_TIMEOUT", CQL_RECV_ERR_SERVER_TIMEOUT, true, true,
		LAB_TIMEOUT },
	[CQL_WRITE_FAILURE] = { "WRITE_FAILURE", CQL_RECV_ERR_OTHER, true, true, LAB_UNAVAILABLE },
	[CQL_UNAVAILABLE] = { "UNAVAILABLE", CQL_RECV_ERR_SERVER_UNAVAILABLE, true, true,
		LAB_UNAVAILABLE },
	[CQL_FAILURE_OTHER] = { "OTHER", CQL_RECV_ERR_OTHER, false, false, LAB_INVALID },
};

static const char *const counter_names[CQL_COUNTER_COUNT] = {
	[CQL_RECV_OK] = "recv_ok",
	[CQL_RECV_ERR_NO_HOSTS] = "recv_err_no_hosts",
	[CQL_RECV_ERR_QUEUE_FULL] = "recv_err_queue_full",
	[CQL_RECV_ERR_CLIENT_TIMEOUT] = "recv_err_client_timeout",
	[CQL_RECV_ERR_SERVER_TIMEOUT] = "recv_err_server_timeout",
	[CQL_RECV_ERR_SERVER_UNAVAILABLE] = "recv_err_server_unavailable",
	[CQL_RECV_ERR_OTHER] = "recv_err_other",
	[CQL_SENT] = "sent",
	[CQL_SLOW] = "slow",
};

const char *cql_counter_name(enum cql_counter counter)
{
	lab_assert(counter < CQL_COUNTER_COUNT);
	return counter_names[counter];
}

enum cql_failure cql_failure_of(uint32_t error_code)
{
	static const struct {
		uint32_t code;
		enum cql_failure failure;
	} rows[] = {
		{ CQL_E_SERVER_ERROR, CQL_SERVER_ERROR },
		{ CQL_E_OVERLOADED, CQL_OVERLOADED },
		{ CQL_E_IS_BOOTSTRAPPING, CQL_IS_BOOTSTRAPPING },
		{ CQL_E_READ_TIMEOUT, CQL_READ_TIMEOUT },
		{ CQL_E_READ_FAILURE, CQL_READ_FAILURE },
		{ CQL_E_WRITE_TIMEOUT, CQL_WRITE_TIMEOUT },
		{ CQL_E_WRITE_FAILURE, CQL_WRITE_FAILURE },
		{ CQL_E_UNAVAILABLE, CQL_UNAVAILABLE },
	};
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (rows[i].code == error_code)
			return rows[i].failure;
	}
	return CQL_FAILURE_OTHER;
}

enum cql_retry cql_retry_decide(const struct cql_error *error, unsigned retries)
{
	bool first = retries == 0;
	switch (error->code) {
	case CQL_E_READ_TIMEOUT:
		return first && error->received >= error->required && !error->data_present
			       ? CQL_RETRY_SAME_HOST
			       : CQL_RETRY_NO;
	case CQL_E_WRITE_TIMEOUT:
		return first && lab_view_eq_cstr(error->write_type, "BATCH_LOG")
			       ? CQL_RETRY_SAME_HOST
			       : CQL_RETRY_NO;
	case CQL_E_UNAVAILABLE:
		return first ? CQL_RETRY_NEXT_HOST : CQL_RETRY_NO;
	case CQL_E_OVERLOADED:
	case CQL_E_SERVER_ERROR:
	case CQL_E_IS_BOOTSTRAPPING:
		return CQL_RETRY_NEXT_HOST;
	default:
		return CQL_RETRY_NO;
	}
}

/* How long after the last primary attempt the next one is due. */
static uint64_t probe_after(unsigned failures)
{
	uint64_t ns = CQL_FALLBACK_FIRST_RETRY_NS;
	for (unsigned i = 1; i < failures && ns < CQL_FALLBACK_MAX_RETRY_NS; i++)
		ns *= 2;
	return LAB_MIN(ns, CQL_FALLBACK_MAX_RETRY_NS);
}

enum cql_consistency cql_fallback_choose(struct cql_fallback *fallback, uint64_t now_ns)
{
	if (fallback->failures > 0 &&
		now_ns < fallback->primary_sent_ns + probe_after(fallback->failures))
		return fallback->fallback;
	/* Updated at once, so that only one statement probes. */
	fallback->primary_sent_ns = now_ns;
	return fallback->primary;
}

bool cql_fallback_failed(struct cql_fallback *fallback, enum cql_consistency level,
	enum cql_failure failure, uint64_t now_ns, bool *ret_warn)
{
	if (level != fallback->primary || fallback->primary == fallback->fallback ||
		!cql_failure_classes[failure].wants_fallback)
		return false;
	fallback->failures++;
	*ret_warn =
		!fallback->warned || now_ns - fallback->warned_ns >= CQL_FALLBACK_WARN_INTERVAL_NS;
	if (*ret_warn) {
		fallback->warned = true;
		fallback->warned_ns = now_ns;
	}
	return true;
}

void cql_fallback_succeeded(struct cql_fallback *fallback, enum cql_consistency level)
{
	if (level == fallback->primary)
		fallback->failures = 0;
}
