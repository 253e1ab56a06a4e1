/* SPDX-License-Identifier: Apache-2.0
 *
 * plan-private.h - a statement on its way to a plan: shared by plan.c, plan-where.c,
 * plan-select.c and plan-change.c.
 */
#ifndef LAB_CQL_EMULATOR_PLAN_PRIVATE_H
#define LAB_CQL_EMULATOR_PLAN_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

struct builder {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct statement *s;
	struct cqle_plan *plan;  /* of this statement */
	struct cqle_plan *outer; /* has the markers */
	struct cqle_table *table;
	struct lab_error *err;
	bool selecting; /* what SELECT asks for: aggregates make sense */
};

/* What a value must be, and how messages and marker metadata call it. */
struct plan_spec {
	struct lab_view name; /* "m", "key(m)" */
	struct cql_type type;
	struct lab_view type_text;
};
/* A term as a value of that kind; notes the marker. */
int plan_value(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_value *ret);
/* A term as a value of a column. */
int plan_column_value(struct builder *b, const struct term *term, const struct cqle_column *column,
	struct cqle_value *ret);
/* LIMIT, TIMESTAMP, TTL: an integer that is no column's. `name` is "[limit]", ... */
int plan_number(struct builder *b, const struct term *term, const char *name, enum cql_type_id type,
	struct cqle_value *ret);
/* expression.c. `spec` NULL: the term has to know its type itself. */
int plan_expression(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret);
/* arithmetic.c */
int plan_operation(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret);
int plan_assignable(struct builder *b, const struct cqle_expr *x, const struct plan_spec *spec);
/* Is it more than a constant or a marker? */
bool plan_is_dynamic(const struct term *term);
int plan_select_items(struct builder *b);
/* relation.c: checks the relations of several columns; = becomes one for each. */
int plan_expand_tuples(struct builder *b);
/* One column of (a, b) = ?: a field of the marker's tuple. */
int plan_tuple_part(struct builder *b, const struct relation *r, struct cqle_value *ret);
/* The marker of the value. */
void plan_note_marker(struct builder *b, const struct cqle_value *value, struct lab_view name);
/* A slice or IN of several columns. */
int plan_tuple(struct builder *b, const struct relation *r, struct cqle_restriction *ret);
/* aggregate.c: GROUP BY, and where the plan's aggregates keep what they have seen. */
int plan_select_groups(struct builder *b);
/* USING TIMESTAMP and TTL. */
int plan_using(struct builder *b);
/* A relation resolved: = and the like on a column or an element, IN, CONTAINS. */
int plan_restriction(
	struct builder *b, const struct relation *relation, struct cqle_restriction *ret);
int plan_undefined_column(const struct builder *b, struct lab_view name);
int plan_missing_clustering(struct builder *b, size_t from);
/* A relation with its column and values. */
struct plan_relation {
	const struct relation *relation;
	const struct cqle_column *column;
	struct cqle_restriction r;
	bool used;
};
/* All relations of WHERE, in the order in which they are written. */
int plan_resolve(struct builder *b, struct plan_relation **ret);
/* The next one of the column that nothing has used; NULL: there is none. */
struct plan_relation *plan_find_resolved(
	struct builder *b, struct plan_relation *all, const struct cqle_column *column);
/* How many columns of the partition key have = or IN. */
size_t plan_pk_equals(struct builder *b, struct plan_relation *all);
/* The partition key; the prefix of clustering columns with = or IN, and a range behind it. */
void plan_take_pk(struct builder *b, struct plan_relation *all);
void plan_take_ck(struct builder *b, struct plan_relation *all);
/* WHERE of UPDATE and DELETE: the whole partition key, nothing that would need filtering. */
int plan_where_of_change(struct builder *b);
/* Which field of a user type it is, from 1; 0: none. */
size_t plan_field(const struct cql_type *type, struct lab_view name);
/* index.c: is it what one of the table's indexes is for? */
bool plan_is_indexed(const struct cqle_table *table, const struct cqle_restriction *r);
bool plan_is_collection(const struct cqle_column *c); /* frozen or not */
/* SELECT; INSERT, UPDATE and DELETE. The table is known. */
int plan_select(struct builder *b);
int plan_change(struct builder *b);

#endif
