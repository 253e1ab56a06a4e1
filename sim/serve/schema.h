/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h - the keyspace and tables of fs-dictmap, object-id flavour (obox 3.1), and those of
 * metacache_last_host_dict and fs_auth_cache_dict.
 */
#ifndef SIM_SERVE_SCHEMA_H
#define SIM_SERVE_SCHEMA_H

#include "core/base/base.h"

/* CREATE KEYSPACE with SimpleStrategy, USE, and the tables. */
void schema_print(struct lab_view keyspace, unsigned replication_factor, struct lab_buf *out);

/* The same with the replication given: the map's inside, "'class': 'NetworkTopologyStrategy',
 * 'dc1': 3". */
void schema_print_replicated(
	struct lab_view keyspace, const char *replication, struct lab_buf *out);

/* As the first without USE: each statement may go to another connection. */
void schema_print_qualified(
	struct lab_view keyspace, unsigned replication_factor, struct lab_buf *out);

/* "user_mailbox_objects", ...; NULL at the end. */
const char *schema_table(size_t index);

#endif
