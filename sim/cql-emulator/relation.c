/* SPDX-License-Identifier: Apache-2.0
 *
 * relation.c - relations of several clustering columns: (a, b) = (1, 2), (a, b) > (1, 2),
 * (a, b) IN ((1, 2), (3, 4)).
 */
#include "sim/cql-emulator/plan-private.h"

static bool is_tuple(const struct relation *r)
{
	return r->column.ptr == NULL && !r->token;
}

/* "(a, b) > (1, 1)" */
static const char *relation_text(struct builder *b, const struct relation *r)
{
	const char *names = "";
	struct term list = { .kind = TERM_TUPLE, .items = r->items, .item_count = r->item_count };
	struct lab_view value = cqle_term_text(b->arena, r->op == OP_IN ? &list : &r->value);
	for (size_t i = 0; i < r->column_count; i++)
		names = lab_arena_printf(b->arena, "%s%s%.*s", names, i == 0 ? "" : ", ",
			LAB_VIEW_ARG(r->columns[i]));
	return lab_arena_printf(
		b->arena, "(%s) %s %.*s", names, cqle_operator_text(r->op), LAB_VIEW_ARG(value));
}

static int check_columns(struct builder *b, const struct relation *r)
{
	size_t next = 0;
	for (size_t i = 0; i < r->column_count; i++) {
		const struct cqle_column *c = cqle_column_find(b->table, r->columns[i]);
		if (c == NULL)
			return plan_undefined_column(b, r->columns[i]);
		if (c->kind != CQLE_CLUSTERING)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Multi-column relations can only be applied to clustering columns "
				"but was applied to: %.*s",
				LAB_VIEW_ARG(c->name));
		if (i > 0 && c->position + 1 == next)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Column \"%.*s\" appeared twice in a relation: %s",
				LAB_VIEW_ARG(c->name), relation_text(b, r));
		if (i > 0 && c->position != next)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Clustering columns must appear in the PRIMARY KEY order in "
				"multi-column relations: %s",
				relation_text(b, r));
		next = c->position + 1;
	}
	return 0;
}

static int check_value(struct builder *b, const struct relation *r, const struct term *value)
{
	struct lab_view text = cqle_term_text(b->arena, value);
	if (value->kind != TERM_TUPLE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"A tuple that is not written out is not supported here: %.*s",
			LAB_VIEW_ARG(text));
	if (value->item_count != r->column_count)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Expected %zu elements in value tuple, but got %zu: %.*s", r->column_count,
			value->item_count, LAB_VIEW_ARG(text));
	return 0;
}

/* Equality is that of each column. */
static void expand(const struct relation *r, struct statement *s)
{
	for (size_t i = 0; i < r->column_count; i++)
		s->relations[s->relation_count++] = (struct relation){
			.column = r->columns[i], .op = OP_EQ, .value = r->value.items[i]
		};
}

int plan_expand_tuples(struct builder *b)
{
	size_t count = 0;
	bool any = false;
	for (size_t i = 0; i < b->s->relation_count; i++) {
		const struct relation *r = &b->s->relations[i];
		any = any || (is_tuple(r) && r->op == OP_EQ);
		count += 1 + r->column_count;
		if (!is_tuple(r))
			continue;
		if (check_columns(b, r) < 0 || (r->op != OP_IN && check_value(b, r, &r->value) < 0))
			return -1;
	}
	if (!any)
		return 0;
	struct statement *s = lab_arena_new_of(b->arena, struct statement);
	*s = *b->s;
	s->relations = lab_arena_array(b->arena, struct relation, count);
	s->relation_count = 0;
	for (size_t i = 0; i < b->s->relation_count; i++) {
		const struct relation *r = &b->s->relations[i];
		if (is_tuple(r) && r->op == OP_EQ)
			expand(r, s);
		else
			s->relations[s->relation_count++] = *r;
	}
	b->s = s;
	return 0;
}

static int tuple_values(struct builder *b, const struct relation *r, const struct term *value,
	struct cqle_value *ret)
{
	if (check_value(b, r, value) < 0)
		return -1;
	for (size_t i = 0; i < r->column_count; i++) {
		const struct cqle_column *c = cqle_column_find(b->table, r->columns[i]);
		if (plan_column_value(b, &value->items[i], c, &ret[i]) < 0)
			return -1;
	}
	return 0;
}

/* Slices of columns that are not all in the same order are no interval. */
static int check_order(struct builder *b, const struct relation *r)
{
	bool descending = cqle_column_find(b->table, r->columns[0])->descending;
	for (size_t i = 1; i < r->column_count; i++) {
		if (cqle_column_find(b->table, r->columns[i])->descending != descending)
			return cqle_fail(b->err, CQL_E_INVALID,
				"A slice of columns in different orders is not supported here: %s",
				relation_text(b, r));
	}
	return 0;
}

int plan_tuple(struct builder *b, const struct relation *r, struct cqle_restriction *ret)
{
	size_t tuples = r->op == OP_IN ? r->item_count : 1;
	if (r->op == OP_NE || r->op > OP_IN || (r->op == OP_IN && r->value.kind != TERM_NONE))
		return cqle_fail(b->err, CQL_E_INVALID,
			"This multi-column relation is not supported here: %s",
			relation_text(b, r));
	if (r->op != OP_IN && check_order(b, r) < 0)
		return -1;
	*ret = (struct cqle_restriction){ .column = cqle_column_find(b->table, r->columns[0]),
		.op = r->op,
		.tuple = r->column_count,
		.value_count = tuples * r->column_count };
	ret->values = lab_arena_array(b->arena, struct cqle_value, ret->value_count + 1);
	for (size_t i = 0; i < tuples; i++) {
		if (tuple_values(b, r, r->op == OP_IN ? &r->items[i] : &r->value,
			    &ret->values[i * r->column_count]) < 0)
			return -1;
	}
	return 0;
}
