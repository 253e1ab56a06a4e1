/* SPDX-License-Identifier: Apache-2.0
 *
 * plan-private.h - a statement on its way to a plan: shared by plan.c and plan-change.c.
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
/* WHERE of UPDATE and DELETE: the whole partition key, nothing that would need filtering. */
int plan_where_of_change(struct builder *b);
/* Which field of a user type it is, from 1; 0: none. */
size_t plan_field(const struct cql_type *type, struct lab_view name);
/* index.c: is it what one of the table's indexes is for? */
bool plan_is_indexed(const struct cqle_table *table, const struct cqle_restriction *r);
bool plan_is_collection(const struct cqle_column *c); /* frozen or not */
/* INSERT, UPDATE and DELETE; the table is known. */
int plan_change(struct builder *b);

#endif
