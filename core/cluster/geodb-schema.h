/* SPDX-License-Identifier: Apache-2.0
 *
 * geodb-schema.h - the tables of geodb.cql as text, for a keyspace of any name and layout.
 */
#ifndef LAB_CLUSTER_GEODB_SCHEMA_H
#define LAB_CLUSTER_GEODB_SCHEMA_H

#include "core/base/base.h"

/* CREATE KEYSPACE and CREATE TABLE, each IF NOT EXISTS and ended by ";\n". `replication` is the
 * map's inside: "'class': 'NetworkTopologyStrategy', 'dc1': 3". */
void geodb_schema_print(struct lab_view keyspace, const char *replication, struct lab_buf *out);

#endif
