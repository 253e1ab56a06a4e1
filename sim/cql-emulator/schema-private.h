/* SPDX-License-Identifier: Apache-2.0
 *
 * schema-private.h - shared by schema.c and alter.c.
 */
#ifndef LAB_CQL_EMULATOR_SCHEMA_PRIVATE_H
#define LAB_CQL_EMULATOR_SCHEMA_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

int schema_alter_table(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err);

#endif
