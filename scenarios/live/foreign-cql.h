/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign-cql.h - the keyspace of a Cassandra cluster that is not ours, seen with a client of its
 * own (cql-plain.h): made before a live run, read for the audit, dropped in the end.
 *
 * Purpose    The oracle judges what the replicas together hold. Of a foreign cluster that is what a
 *            SELECT of everything at consistency ALL returns: every replica answers, and the newest
 *            cell wins. These rows are put into an emulator that stands in for it (the mirror). So
 *            the oracle stays as it is, and nothing that the core understood is taken for a fact.
 * Ours       The keyspace must not exist: foreign_cql_claim() makes it with the tables of obox 3.1.
 * Blocking   Everything blocks the calling fiber. A node that is not back yet is waited for, except
 *            at the very beginning.
 * Limits     FOREIGN_ROWS_MAX of a table. -1 LAB_LIMIT beyond it.
 */
#ifndef SCENARIOS_FOREIGN_CQL_H
#define SCENARIOS_FOREIGN_CQL_H

#include "core/conf/dict-cql.h"
#include "core/env/env.h"
#include "sim/cql-emulator/cql-emulator.h"

#define FOREIGN_ROWS_MAX ((size_t)2000000)
#define FOREIGN_CQL_PATIENCE (4 * LAB_MINUTE)

struct foreign_cql {
	struct env *env;
	const struct dict_cql_connect *connect; /* hosts, port, credentials, keyspace */
	uint64_t patience_ns;                   /* how long nodes may refuse */
};

/* -1 LAB_EXISTS: the keyspace is there already; LAB_INVALID: fewer nodes than replicas, or wrong
 * credentials; LAB_TIMEOUT: the nodes do not agree on the schema; else as cql-plain.h. Nothing of
 * ours is left then, if the cluster can be reached. */
int foreign_cql_claim(
	const struct foreign_cql *cql, unsigned replication_factor, struct lab_error *err);
/* Every live row of our tables into the emulator, which must have them, empty. */
int foreign_cql_mirror(const struct foreign_cql *cql, struct cqlemu *mirror, struct lab_error *err);
int foreign_cql_clean(const struct foreign_cql *cql, struct lab_error *err);

#endif
