/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-plain.h - the plainest client of Cassandra: one connection, one statement at a time.
 *
 * Purpose    What the laboratory itself asks of a cluster that is not ours (foreign-cql.h).
 *            Messages are core/cql's codec; connections, paging and retries share nothing with the
 *            client that is under test.
 * Blocking   Everything blocks the calling fiber, for CQL_PLAIN_TIMEOUT_NS at most.
 * Ownership  Answers live in the arena that they were asked with.
 * Errors     -1 LAB_REFUSED, LAB_TIMEOUT, LAB_DENIED (no loopback address) as env_connect();
 *            LAB_RESET; LAB_CORRUPT; LAB_INVALID: credentials that are missing or wrong. An ERROR
 *            is LAB_UNAVAILABLE with the server's words, its code in err->status, and
 *            err->retryable if the same may succeed later. Whether a change took effect is never
 *            known then.
 * Secrets    The password is in no message.
 */
#ifndef SCENARIOS_CQL_PLAIN_H
#define SCENARIOS_CQL_PLAIN_H

#include "core/cql/cql-codec.h"
#include "core/env/env.h"

#define CQL_PLAIN_TIMEOUT_NS (30 * LAB_SEC)
#define CQL_PLAIN_ANSWER_MAX ((size_t)16 * 1024 * 1024)

struct cql_plain {
	struct env *env;
	struct env_stream *stream; /* NULL: not connected */
	struct lab_buf input;
};

/* Connects and introduces itself, with credentials if the server wants some. Close it in either
 * case. */
int cql_plain_open(struct cql_plain *plain, struct env *env, const char *host, uint16_t port,
	struct lab_view user, struct lab_view password, struct lab_error *err);
void cql_plain_close(struct cql_plain *plain);

/* `params` as in a QUERY, without values. After -1 without err->status the connection is of no use
 * any more. */
int cql_plain_query(struct cql_plain *plain, struct lab_view text, const struct cql_params *params,
	struct lab_arena *arena, struct cql_response *ret, struct lab_error *err);

#endif
