/* SPDX-License-Identifier: Apache-2.0
 *
 * geodb.h - the database of a Palomar cluster: sites, backends, groups, users (palomar 1).
 *
 * Purpose    Typed reads and writes of the tables in geodb.cql over a CQL client. Nothing here
 *            knows what a row means.
 * Writes     Upserts of the columns that are named and of no others, so that two writers of
 *            different columns of one row both survive; of one column the newest timestamp wins.
 *            Nothing is conditional: Dovecot's driver has no IF (palomar 1.4).
 * Levels     Those of the client's settings for reads, writes and deletes, with its fallbacks; the
 *            driver's default is local-quorum for all (palomar 1.4).
 * Blocking   Everything but geodb_new() and geodb_free() blocks the calling fiber.
 * Errors     Reads: as cql_client_execute(). Changes: LAB_UNCERTAIN if it may have happened, now or
 *            later; every other -1 is certain. A change that is uncertain or that failed for
 *            something that passes is sent again, with the timestamp that it had, as often as the
 *            settings say (palomar 4.2, F11): repeating an upsert under its own timestamp changes
 *            nothing that was decided since. Once one attempt was uncertain the change stays so,
 *            unless a later attempt succeeds.
 */
#ifndef LAB_CLUSTER_GEODB_H
#define LAB_CLUSTER_GEODB_H

#include "core/cluster/cluster-rows.h"
#include "core/cql/cql-client.h"

struct geodb;

struct geodb_settings {
	uint64_t request_ns; /* of one statement; the dict client's 30 s (obox 3.8) */
	unsigned attempts;   /* of one change: 3 */
	uint64_t retry_ns;   /* before the second attempt, doubling: 50 ms */
	size_t rows_max;     /* of one list: 1,000,000; LAB_LIMIT beyond */
};
void geodb_settings_defaults(struct geodb_settings *ret);

/* `client` is borrowed; its keyspace is the one with the tables. Lives in env->heap. */
struct geodb *geodb_new(
	struct env *env, struct cql_client *client, const struct geodb_settings *settings);
/* NULLs the pointer; accepts NULL. Nobody may be inside. */
void geodb_free(struct geodb **geodb);

struct env *geodb_env(const struct geodb *geodb);

/* `row` is a struct of that table with its keys; the rest is filled in, borrowing from the arena.
 * 1, 0 there is no such row (or no MAIN column: what is left of one), -1; then only keys count. */
int geodb_get(struct geodb *geodb, enum cluster_table_id table, void *row, struct lab_arena *arena,
	struct lab_error *err);

/* All rows, or those with the first `key_count` keys of `prefix` (the partition key at least).
 * Sorted by their keys, whatever the database's order. 0 or -1. */
int geodb_list(struct geodb *geodb, enum cluster_table_id table, const void *prefix,
	size_t key_count, struct lab_arena *arena, void *ret_rows, size_t *ret_count,
	struct lab_error *err);

/* Writes `columns` of the row (its keys come along by themselves). What is absent is written as
 * NULL. timestamp_us 0: now, by this host's clock. */
int geodb_put(struct geodb *geodb, enum cluster_table_id table, const void *row, uint32_t columns,
	int64_t timestamp_us, struct lab_error *err);
int geodb_delete(struct geodb *geodb, enum cluster_table_id table, const void *row,
	int64_t timestamp_us, struct lab_error *err);

/* When somebody decides something new about a row of this version: now, but after it. A clock that
 * is behind the last writer's does not lose what an operator asked for (palomar 4.2, F20). */
int64_t geodb_timestamp(struct geodb *geodb, int64_t version_us);

/* ---- feature switches (palomar 1.2) ---- */

enum cluster_feature {
	CLUSTER_FEATURE_OFF,
	CLUSTER_FEATURE_DRYRUN,
	CLUSTER_FEATURE_ON
};
#define CLUSTER_FEATURES 3
extern const char *const cluster_feature_names[CLUSTER_FEATURES];
/* Absent, or not a word that is known: off. No such table: on, as before there was one. 0 or -1. */
int geodb_feature(struct geodb *geodb, struct cluster_id site, struct lab_view name,
	enum cluster_feature *ret, struct lab_error *err);

#endif
