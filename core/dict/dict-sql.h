/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-sql.h - the dict driver that turns keys into rows of Cassandra, by the maps of
 * dovecot-dict-cql.conf.ext.
 *
 * Purpose    Dovecot's dict-sql on driver-cassandra, with the dict client's time limits on top: a
 *            key becomes the statement that obox 3.6 lists for it, prepared, with typed values.
 * Matching   The first map whose pattern matches is taken (obox 3.4: their order matters). A
 *            '$variable' takes what is up to the next '/', the last one the rest of the key. An
 *            iteration takes a map of which exactly the last variable is missing.
 * Values     hexblob: bytes there, lower-case hex here. Of other values int, bigint, timestamp and
 *            uuid come as text, every other type as its bytes. NULL: a lookup of only NULLs finds
 *            nothing; else it is the empty string.
 * Escaping   Parts of keys are unescaped (dict.h) before they are bound, and escaped again in the
 *            keys that an iteration returns.
 * Timestamps Of every change: the client's monotonic generator, plus the caller's offset. The
 *            offset does not move the generator (obox 3.10, invariant 33).
 * Limits     A statement that is not answered within 30 s is given up, as the dict client does:
 *            "Dict server timeout: ...". Of a change that is UNCERTAIN if it had been sent. More
 *            than 5 s is worth a warning.
 * Errors     dict.h, in dict-sql's words: "sql dict lookup: Invalid/unmapped key: K", "dict sql
 *            lookup failed: ...", "sql dict: commit failed: ...".
 */
#ifndef LAB_DICT_SQL_H
#define LAB_DICT_SQL_H

#include "core/conf/dict-cql.h"
#include "core/cql/cql-client.h"
#include "core/dict/dict.h"

#define DICT_CLIENT_TIMEOUT_NS (30 * LAB_SEC)
#define DICT_CLIENT_WARN_NS (5 * LAB_SEC)

/* A client as the connect string says, with at most so many requests in flight on a connection (0:
 * CQL_STREAM_MAX). -1 as cql_client_open(). */
int dict_sql_connect(struct env *env, const struct dict_cql_connect *connect, unsigned streams,
	struct cql_client **ret, struct lab_error *err);

/* `config` and `client` are borrowed until dict_close(), which waits for running operations but
 * leaves the client open. */
int dict_sql_open(struct env *env, const struct dict_cql_config *config, struct cql_client *client,
	struct dict **ret, struct lab_error *err);

#endif
