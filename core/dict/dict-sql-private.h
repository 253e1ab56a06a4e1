/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-sql-private.h - maps and their statements.
 */
#ifndef LAB_DICT_SQL_PRIVATE_H
#define LAB_DICT_SQL_PRIVATE_H

#include "core/dict/dict-private.h"
#include "core/dict/dict-sql.h"

/* The texts of one map, made once. */
struct dict_sql_texts {
	struct lab_view lookup;
	struct lab_view set;
	struct lab_view unset;
	struct lab_view inc;
	struct lab_view iterate;
	struct lab_view iterate_no_value;
};
/* -1 LAB_LIMIT. */
int dict_sql_texts_make(const struct dict_cql_map *map, struct lab_heap *heap,
	struct lab_arena *arena, struct dict_sql_texts *ret, struct lab_error *err);

static inline bool dict_sql_expires(const struct dict_cql_map *map)
{
	return map->expire_field.len > 0;
}
/* An INSERT of these of the map's values, or of values of maps with the same table and fields. */
#define DICT_SQL_VALUES_MAX 8
struct lab_view dict_sql_set_text(const struct dict_cql_map *map,
	const struct dict_cql_value *const *values, size_t count, struct lab_heap *heap,
	struct lab_arena *arena);

/* A key taken apart: the parts that stand for variables, still escaped. */
struct dict_sql_match {
	const struct dict_cql_map *map;
	size_t index; /* of the map */
	struct lab_view parts[DICT_CQL_FIELDS_MAX];
	size_t count;
};
/* 1, or 0 if no map matches. */
int dict_sql_match_key(
	const struct dict_cql_config *config, struct lab_view key, struct dict_sql_match *ret);
/* As above, for an iteration below `path`: all variables but the last are known, or, if the path
 * goes on behind a pattern's end, all of them (count == field_count). */
int dict_sql_match_path(
	const struct dict_cql_config *config, struct lab_view path, struct dict_sql_match *ret);

/* One value in the map's text form as an argument. -1 LAB_INVALID: "<f> field's value isn't
 * hexblob: V (in pattern: P)". */
int dict_sql_arg(const struct dict_cql_map *map, struct lab_view column, enum dict_cql_type type,
	struct lab_view value, struct lab_arena *arena, struct cql_arg *ret, struct lab_error *err);
/* The arguments of a match's variables, in order. */
int dict_sql_args(const struct dict_sql_match *match, struct env *env, struct lab_arena *arena,
	struct cql_arg *ret, struct lab_error *err);
/* A cell in the map's text form; ptr is never NULL. */
struct lab_view dict_sql_text(const struct cql_column *column, enum dict_cql_type type,
	struct lab_view cell, struct lab_arena *arena);

/* ---- the dict ---- */

/* A running operation, on its fiber's stack. In the order of their starts. */
struct dict_sql_operation {
	struct dict_sql_operation *next, *prev;
	char command; /* the dict protocol's: L, I, S, U, A */
	struct lab_view key;
	uint64_t started_ns;
};

struct dict_sql {
	struct dict dict;
	const struct dict_cql_config *config;
	struct cql_client *client;
	struct lab_arena *texts_arena;
	struct dict_sql_texts *texts; /* one for each map */
	struct dict_sql_operation *first, *last;
	struct env_cond idle;
};

static inline struct dict_sql *dict_sql_of(struct dict *dict)
{
	return (struct dict_sql *)dict;
}

void dict_sql_begin(
	struct dict_sql *sql, struct dict_sql_operation *op, char command, struct lab_view key);
/* Returns how long it took. */
uint64_t dict_sql_end(struct dict_sql *sql, struct dict_sql_operation *op);
/* One statement within the dict client's limit. `context` goes before the driver's message; `err`
 * is not NULL from here on down. */
int dict_sql_execute(struct dict_sql *sql, const struct dict_sql_operation *op,
	struct cql_statement *statement, const char *context, size_t max_rows,
	struct lab_arena *arena, struct cql_result *ret, struct lab_error *err);
void dict_sql_warn_if_slow(struct dict_sql *sql, const char *what,
	const struct dict_sql_operation *op, uint64_t took_ns);

/* ---- dict-sql-change.c ---- */

int dict_sql_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err);

#endif
