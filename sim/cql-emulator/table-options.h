/* SPDX-License-Identifier: Apache-2.0
 *
 * table-options.h - what WITH says about a table, checked as Cassandra 4.0.14 checks it
 * (golden/options.txt), kept, and shown again in system_schema.tables and by DESCRIBE.
 *
 * Quirks     are kept: ALTER that changes nothing, or only additional_write_policy, is void;
 *            options are checked beside the defaults before they are beside the table's own;
 *            `extensions` are taken and forgotten.
 */
#ifndef LAB_CQL_EMULATOR_TABLE_OPTIONS_H
#define LAB_CQL_EMULATOR_TABLE_OPTIONS_H

#include "sim/cql-emulator/cql-emulator-private.h"

void cqle_options_default(struct cqle_table_options *o);
/* Sets what `s` says, on top of table->options; -1: the error. `s` is CREATE or ALTER. */
int cqle_options_set(struct cqlemu *emu, const struct statement *s, struct cqle_table *table,
	struct lab_error *err);
/* Would ALTER say that nothing has changed? */
bool cqle_options_equal(const struct cqle_table *a, const struct cqle_table *b);
/* "{'keys': 'ALL', ...}" */
const char *cqle_option_map_text(struct lab_arena *arena, const struct cqle_option_map *map);
/* speculative_retry in Cassandra's own form: "MAX(99.9p,50ms)". */
const char *cqle_retry_text(struct lab_arena *arena, const struct cqle_retry *retry);
struct lab_view cqle_quotes_doubled(struct lab_arena *arena, struct lab_view text);
/* yes or no, in each of Cassandra's words */
int cqle_option_boolean(const struct property *p, bool *ret, struct lab_error *err);
const char *cqle_option_double(struct lab_arena *arena, double value);

/* compaction-options.c */
int cqle_compaction_set(struct lab_arena *arena, const struct cqle_option_map *given,
	struct cqle_option_map *ret, struct lab_error *err);
/* `crc` is set if the map has the old place of crc_check_chance. */
int cqle_compression_set(struct lab_arena *arena, const struct cqle_option_map *given,
	struct cqle_option_map *ret, double *crc, struct lab_error *err);

/* Maps of options: small, sorted by key. */
const struct lab_view *cqle_option_get(const struct cqle_option_map *map, const char *key);
void cqle_option_put(struct lab_arena *arena, struct cqle_option_map *map, struct lab_view key,
	struct lab_view value);

#endif
