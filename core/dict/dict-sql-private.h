/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-sql-private.h - maps and their statements.
 */
#ifndef LAB_DICT_SQL_PRIVATE_H
#define LAB_DICT_SQL_PRIVATE_H

#include "core/dict/dict-sql.h"

/* The texts of one map, made once. */
struct dict_sql_texts {
	struct lab_view lookup;
	struct lab_view set;
	struct lab_view unset;
	struct lab_view iterate;
	struct lab_view iterate_no_value;
};
/* -1 LAB_LIMIT. */
int dict_sql_texts_make(const struct dict_cql_map *map, struct lab_heap *heap,
	struct lab_arena *arena, struct dict_sql_texts *ret, struct lab_error *err);

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

#endif
