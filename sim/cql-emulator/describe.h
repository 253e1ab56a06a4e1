/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.h - DESCRIBE, as a server of 4.0 answers it, and what the server's own tables are.
 */
#ifndef LAB_CQL_EMULATOR_DESCRIBE_H
#define LAB_CQL_EMULATOR_DESCRIBE_H

#include "sim/cql-emulator/cql-emulator-private.h"

enum describe_kind {
	DESCRIBE_CLUSTER,
	DESCRIBE_SCHEMA,
	DESCRIBE_FULL_SCHEMA,
	DESCRIBE_KEYSPACES,
	DESCRIBE_TABLES,
	DESCRIBE_TYPES,
	DESCRIBE_FUNCTIONS,
	DESCRIBE_AGGREGATES,
	DESCRIBE_KEYSPACE,
	DESCRIBE_ONLY_KEYSPACE,
	DESCRIBE_TABLE,
	DESCRIBE_TYPE,
	DESCRIBE_INDEX,
	DESCRIBE_FUNCTION,
	DESCRIBE_AGGREGATE,
	DESCRIBE_VIEW,
	DESCRIBE_ANY /* a keyspace, or something in one */
};
struct describe_statement {
	enum describe_kind kind;
	struct lab_view keyspace, name; /* ptr NULL: not given */
	bool internals;
};

/* Answers and ends the operation; pages have the state that Cassandra gives them. */
void cqle_do_describe(struct cqlemu *emu, struct cqle_op *op, struct lab_view current);

/* system_views and system_virtual_schema, whose tables nobody stores. */
bool cqle_keyspace_is_virtual(struct lab_view keyspace);
/* A name as CQL writes it: in quotes if it has to be. */
const char *cqle_quoted_name(struct lab_arena *arena, struct lab_view name);

/* system-definitions.c; NULL at the end. */
extern const char *const cqle_system_definitions[];
/* system-tables.c */
void cqle_schema_version(
	const struct cqlemu *emu, size_t observer, size_t node, uint8_t ret[CQL_UUID_BYTES]);

#endif
