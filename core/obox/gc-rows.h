/* SPDX-License-Identifier: Apache-2.0
 *
 * gc-rows.h - every row that a dict can see, for storage-gc.h: read from Cassandra's tables as a
 * whole, by ranges of tokens, at consistency ALL.
 *
 * Which      All tables of the maps but that of max_bucket; of each row every value and every
 *            variable but user, folder, bucket and host. So a map that somebody adds counts, too.
 * Memory     A range of more than GC_ROWS_OF_RANGE rows is read in halves.
 * Errors     What Cassandra says: LAB_UNAVAILABLE while any replica is away. LAB_LIMIT: one token
 *            has more rows than a range may have.
 */
#ifndef LAB_OBOX_GC_ROWS_H
#define LAB_OBOX_GC_ROWS_H

#include "core/conf/dict-cql.h"
#include "core/obox/storage-gc.h"

#define GC_ROWS_OF_RANGE 100000

struct gc_rows;

/* Connects in the background. `config` is borrowed. */
int gc_rows_open(struct env *env, const struct dict_cql_config *config, struct gc_rows **ret,
	struct storage_gc_rows *ret_source, struct lab_error *err);
/* NULLs the pointer; accepts NULL. */
void gc_rows_close(struct gc_rows **rows);

#endif
