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
	if (value->kind == TERM_TUPLE && value->item_count != r->column_count)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Expected %zu elements in value tuple, but got %zu: %.*s", r->column_count,
			value->item_count, LAB_VIEW_ARG(text));
	return 0;
}

/* Equality is that of each column. */
static void expand(const struct relation *r, struct statement *s)
{
	bool marker = r->value.kind == TERM_MARKER;
	for (size_t i = 0; i < r->column_count; i++)
		s->relations[s->relation_count++] = (struct relation){ .column = r->columns[i],
			.op = OP_EQ,
			.of_tuple = true,
			.position = i,
			.tuple = marker ? r : NULL,
			.value = marker ? r->value : r->value.items[i] };
}

/* "(a,b)" */
static struct lab_view columns_text(struct builder *b, const struct relation *r, const char *before)
{
	const char *text = lab_arena_printf(b->arena, "%s(", before);
	for (size_t i = 0; i < r->column_count; i++)
		text = lab_arena_printf(
			b->arena, "%s%s%.*s", text, i == 0 ? "" : ",", LAB_VIEW_ARG(r->columns[i]));
	return lab_view_cstr(lab_arena_printf(b->arena, "%s)", text));
}

/* tuple<int, text> of the columns */
static const struct cql_type *tuple_type(struct builder *b, const struct relation *r)
{
	struct cql_type *type = lab_arena_new_of(b->arena, struct cql_type);
	struct cql_type *params = lab_arena_array(b->arena, struct cql_type, r->column_count);
	for (size_t i = 0; i < r->column_count; i++)
		params[i] = cqle_column_find(b->table, r->columns[i])->type;
	*type = (struct cql_type){
		.id = CQL_TYPE_TUPLE, .params = params, .param_count = r->column_count
	};
	return type;
}

/* What a marker for all columns is to them. */
static void tuple_marker(struct builder *b, const struct relation *r, const struct term *term,
	bool list, struct cqle_value *ret)
{
	struct cqle_value whole = { .type = *tuple_type(b, r),
		.name = columns_text(b, r, list ? "in" : ""),
		.is_marker = true,
		.marker = term->marker,
		.is_list = list,
		.of_tuple = true,
		.of_slice = r->op != OP_EQ && r->op != OP_IN };
	plan_note_marker(b, &whole, term->text.ptr != NULL ? term->text : whole.name);
	if (list) {
		*ret = whole;
		return;
	}
	whole.tuple = tuple_type(b, r);
	for (size_t i = 0; i < r->column_count; i++) {
		ret[i] = whole;
		ret[i].column = cqle_column_find(b->table, r->columns[i]);
		ret[i].type = ret[i].column->type;
		ret[i].field = i;
	}
}

int plan_tuple_part(struct builder *b, const struct relation *r, struct cqle_value *ret)
{
	struct cqle_value *all =
		lab_arena_array(b->arena, struct cqle_value, r->tuple->column_count);
	tuple_marker(b, r->tuple, &r->value, false, all);
	*ret = all[r->position];
	return 0;
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
	if (value->kind == TERM_MARKER)
		tuple_marker(b, r, value, false, ret);
	for (size_t i = 0; value->kind == TERM_TUPLE && i < r->column_count; i++) {
		const struct cqle_column *c = cqle_column_find(b->table, r->columns[i]);
		if (plan_column_value(b, &value->items[i], c, &ret[i]) < 0)
			return -1;
	}
	return 0;
}

int plan_tuple(struct builder *b, const struct relation *r, struct cqle_restriction *ret)
{
	bool list = r->op == OP_IN && r->value.kind == TERM_MARKER;
	size_t tuples = r->op == OP_IN ? r->item_count : 1;
	if (r->op == OP_NE)
		return cqle_fail(b->err, CQL_E_INVALID, "Unsupported \"!=\" relation: %s",
			relation_text(b, r));
	*ret = (struct cqle_restriction){ .column = cqle_column_find(b->table, r->columns[0]),
		.op = r->op,
		.tuple = r->column_count,
		.value_count = tuples * r->column_count };
	ret->values = lab_arena_array(b->arena, struct cqle_value, ret->value_count + 1);
	if (list) {
		ret->value_count = 1;
		tuple_marker(b, r, &r->value, true, ret->values);
		return 0;
	}
	for (size_t i = 0; i < tuples; i++) {
		if (tuple_values(b, r, r->op == OP_IN ? &r->items[i] : &r->value,
			    &ret->values[i * r->column_count]) < 0)
			return -1;
	}
	return 0;
}
