/* SPDX-License-Identifier: Apache-2.0
 *
 * schema-private.h - shared by schema.c and alter.c.
 */
#ifndef LAB_CQL_EMULATOR_SCHEMA_PRIVATE_H
#define LAB_CQL_EMULATOR_SCHEMA_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

/* A copy of a table with room for more columns, to be altered; then it takes the old one's place
 * and rows. */
struct cqle_table *schema_successor(
	struct cqlemu *emu, const struct cqle_table *old, size_t more_columns);
void schema_succeed(struct cqlemu *emu, struct cqle_table *old, struct cqle_table *table);
/* Of the indexes of a column; NULL: it has none. */
const char *schema_index_names(
	struct lab_arena *arena, const struct cqle_table *table, const struct cqle_column *column);
/* A column's type; errors of what no column can be. */
int schema_column_type(struct cqlemu *emu, const struct cqle_table *table,
	const struct column_definition *d, struct cqle_column *ret, struct lab_error *err);
int schema_alter_table(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err);

#endif
