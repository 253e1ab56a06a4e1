/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-policy.h - what a failed statement means: data and pure functions, without a connection.
 *
 * Purpose    1. The one table of failures: which counter, whether the fallback consistency is
 *               tried, whether the write is uncertain (obox 3.8, cql-imds 3.4).
 *            2. The C++ driver's default retry policy, as Dovecot inherits it (cql-imds 2.6).
 *            3. Dovecot's fallback schedule (obox 3.8).
 */
#ifndef LAB_CQL_POLICY_H
#define LAB_CQL_POLICY_H

#include "core/cql/cql-codec.h"

/* ---- failures ---- */

/* The C++ driver's errors, as far as Dovecot tells them apart. */
enum cql_failure {
	CQL_FAILURE_NONE,
	CQL_LIB_WRITE_ERROR,        /* a connection broke while the request was being written */
	CQL_LIB_REQUEST_TIMED_OUT,  /* no answer within request_timeout, all retries included */
	CQL_LIB_NO_HOSTS_AVAILABLE, /* every host was down, or failed */
	CQL_LIB_REQUEST_QUEUE_FULL, /* every stream id of every connection is taken */
	CQL_SERVER_ERROR,
	CQL_OVERLOADED,
	CQL_IS_BOOTSTRAPPING,
	CQL_READ_TIMEOUT,
	CQL_READ_FAILURE,
	CQL_WRITE_TIMEOUT,
	CQL_WRITE_FAILURE,
	CQL_UNAVAILABLE,
	CQL_FAILURE_OTHER, /* syntax, invalid, unauthorized...: certain, and the same next time */
	CQL_FAILURE_COUNT
};

/* Dovecot's counters (cql-imds 3.3, metrics). */
enum cql_counter {
	CQL_RECV_OK,
	CQL_RECV_ERR_NO_HOSTS,
	CQL_RECV_ERR_QUEUE_FULL,
	CQL_RECV_ERR_CLIENT_TIMEOUT,
	CQL_RECV_ERR_SERVER_TIMEOUT,
	CQL_RECV_ERR_SERVER_UNAVAILABLE,
	CQL_RECV_ERR_OTHER,
	CQL_SENT,
	CQL_SLOW,
	CQL_COUNTER_COUNT
};
const char *cql_counter_name(enum cql_counter counter); /* "recv_err_no_hosts" */

struct cql_failure_class {
	const char *name;         /* "LIB_WRITE_ERROR", "WRITE_TIMEOUT" */
	enum cql_counter counter; /* READ_TIMEOUT counts as recv_err_other, as in Dovecot */
	bool wants_fallback;
	bool write_uncertain; /* of writes and deletes */
	enum lab_code code;   /* when it is not uncertain */
};
/* Indexed by enum cql_failure. */
extern const struct cql_failure_class cql_failure_classes[CQL_FAILURE_COUNT];

/* Which failure a server's ERROR is. */
enum cql_failure cql_failure_of(uint32_t error_code);

/* ---- retries ---- */

enum cql_retry {
	CQL_RETRY_NO,
	CQL_RETRY_SAME_HOST,
	CQL_RETRY_NEXT_HOST
};
/* Every statement is idempotent (obox 3.7). `retries` is how often this function has already asked
 * for a retry of this statement. UNPREPARED and lost connections are not its business. */
enum cql_retry cql_retry_decide(const struct cql_error *error, unsigned retries);

/* ---- fallback ---- */

#define CQL_FALLBACK_FIRST_RETRY_NS (50 * LAB_MSEC)
#define CQL_FALLBACK_MAX_RETRY_NS (60 * LAB_SEC)
#define CQL_FALLBACK_WARN_INTERVAL_NS (60 * LAB_SEC)

/* Of one type of statement (read, write, delete). Zero plus the two levels is its start. */
struct cql_fallback {
	enum cql_consistency primary;
	enum cql_consistency fallback; /* the same: there is no fallback */
	unsigned failures;             /* of the primary, since its last success */
	uint64_t primary_sent_ns;
	bool warned;
	uint64_t warned_ns;
};

/* With which level the next statement starts. While failures > 0 that is the fallback until
 * 50 ms * 2^(failures - 1), at most 60 s, have passed since a statement was last sent with the
 * primary level; then one goes out with the primary again. */
enum cql_consistency cql_fallback_choose(struct cql_fallback *fallback, uint64_t now_ns);
/* A statement that was sent with `level` failed. True if it is to be sent again with the fallback
 * level; *ret_warn then says whether the warning is due (once in 60 s). */
bool cql_fallback_failed(struct cql_fallback *fallback, enum cql_consistency level,
	enum cql_failure failure, uint64_t now_ns, bool *ret_warn);
void cql_fallback_succeeded(struct cql_fallback *fallback, enum cql_consistency level);

#endif
