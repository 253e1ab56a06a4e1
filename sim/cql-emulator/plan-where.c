/* SPDX-License-Identifier: Apache-2.0
 *
 * plan-where.c - the relations of WHERE and IF: their columns and values; which partitions and rows
 * a change is of.
 */
#include "sim/cql-emulator/plan-private.h"

static int resolve_in(struct builder *b, const struct relation *relation, struct plan_relation *ret)
{
	const struct cqle_column *c = ret->column;
	if (relation->value.kind == TERM_MARKER) {
		struct cqle_value *value = lab_arena_new_of(b->arena, struct cqle_value);
		const char *name = lab_arena_printf(b->arena, "in(%.*s)", LAB_VIEW_ARG(c->name));
		*value = (struct cqle_value){ .column = c,
			.type = c->type,
			.name = c->name,
			.is_marker = true,
			.marker = relation->value.marker,
			.is_list = true };
		plan_note_marker(b, value,
			relation->value.text.ptr != NULL ? relation->value.text
							 : lab_view_cstr(name));
		ret->r.values = value;
		ret->r.value_count = 1;
		return 0;
	}
	ret->r.values = lab_arena_array(b->arena, struct cqle_value, relation->item_count);
	ret->r.value_count = relation->item_count;
	for (size_t i = 0; i < relation->item_count; i++) {
		if (plan_column_value(b, &relation->items[i], c, &ret->r.values[i]) < 0)
			return -1;
	}
	return 0;
}

const char *cqle_operator_text(enum operator op)
{
	static const char *const texts[] = { [OP_EQ] = "=",
		[OP_LT] = "<",
		[OP_LE] = "<=",
		[OP_GT] = ">",
		[OP_GE] = ">=",
		[OP_NE] = "!=",
		[OP_IN] = "IN",
		[OP_LIKE] = "LIKE",
		[OP_CONTAINS] = "CONTAINS",
		[OP_CONTAINS_KEY] = "CONTAINS KEY" };
	return texts[op];
}

/* An element's type, and how messages call it. */
static struct plan_spec element_spec(
	struct builder *b, const struct cqle_column *c, const char *part, bool keys)
{
	struct plan_spec spec = { .type = c->type.params[c->type.id == CQL_TYPE_MAP && !keys] };
	spec.name =
		lab_view_cstr(lab_arena_printf(b->arena, "%s(%.*s)", part, LAB_VIEW_ARG(c->name)));
	spec.type_text = cqle_type_text(b->arena, &spec.type);
	return spec;
}

/* c CONTAINS x, c CONTAINS KEY x, c[key] = x. */
static int resolve_element(
	struct builder *b, const struct relation *relation, struct plan_relation *ret)
{
	const struct cqle_column *c = ret->column;
	bool keys = relation->op == OP_CONTAINS_KEY, map = c->type.id == CQL_TYPE_MAP;
	if (!plan_is_collection(c) || ((keys || relation->has_key) && !map))
		return cqle_fail(b->err, CQL_E_INVALID,
			relation->has_key ? "Column %.*s cannot be used as a map"
			: keys            ? "Cannot use CONTAINS KEY on non-map column %.*s"
					  : "Cannot use CONTAINS on non-collection column %.*s",
			LAB_VIEW_ARG(c->name));
	if (relation->has_key && relation->op != OP_EQ)
		return cqle_fail(
			b->err, CQL_E_INVALID, "Only EQ relations are supported on map entries");
	struct plan_spec value = element_spec(b, c, keys ? "key" : "value", keys);
	struct plan_spec key = element_spec(b, c, "key", true);
	ret->r.values = lab_arena_new_of(b->arena, struct cqle_value);
	ret->r.value_count = 1;
	if (relation->has_key) {
		ret->r.key = lab_arena_new_of(b->arena, struct cqle_value);
		if (plan_value(b, &relation->key, &key, ret->r.key) < 0)
			return -1;
	}
	return plan_value(b, &relation->value, &value, ret->r.values);
}

/* c[key], as conditions have it: of maps by key, of lists by index. */
static int condition_key(struct builder *b, const struct relation *relation,
	const struct cqle_column *c, struct plan_spec *value, struct cqle_restriction *ret)
{
	bool list = c->type.id == CQL_TYPE_LIST;
	if (!list && c->type.id != CQL_TYPE_MAP)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid element access syntax for non-collection column %.*s",
			LAB_VIEW_ARG(c->name));
	struct plan_spec key = element_spec(b, c, list ? "idx" : "key", true);
	if (list) {
		key.type = (struct cql_type){ .id = CQL_TYPE_INT };
		key.type_text = LAB_VIEW("int");
	}
	*value = element_spec(b, c, "value", false);
	ret->key = lab_arena_new_of(b->arena, struct cqle_value);
	return plan_value(b, &relation->key, &key, ret->key);
}

/* c.field, as conditions have it. */
static int condition_field(struct builder *b, const struct relation *relation,
	const struct cqle_column *c, struct plan_spec *value, struct cqle_restriction *ret)
{
	if (c->type.id != CQL_TYPE_UDT)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid field access syntax for non-UDT column %.*s",
			LAB_VIEW_ARG(c->name));
	ret->field = plan_field(&c->type, relation->field);
	if (ret->field == 0)
		return cqle_fail(b->err, CQL_E_INVALID, "Unknown field %.*s for column %.*s",
			LAB_VIEW_ARG(relation->field), LAB_VIEW_ARG(c->name));
	value->type = c->type.params[ret->field - 1];
	value->name = cqle_field_label(b->arena, &c->type, c->name, ret->field - 1);
	value->type_text = cqle_type_text_frozen(b->arena, &value->type);
	return 0;
}

static int condition_list(struct builder *b, const struct relation *relation,
	const struct plan_spec *spec, struct cqle_restriction *ret)
{
	if (relation->value.kind == TERM_MARKER)
		return cqle_fail(b->err, CQL_E_INVALID,
			"IN with a marker for a field is not supported here: %.*s",
			LAB_VIEW_ARG(spec->name));
	ret->values = lab_arena_array(b->arena, struct cqle_value, relation->item_count + 1);
	ret->value_count = relation->item_count;
	for (size_t i = 0; i < relation->item_count; i++) {
		if (plan_value(b, &relation->items[i], spec, &ret->values[i]) < 0)
			return -1;
	}
	return 0;
}

int plan_restriction(
	struct builder *b, const struct relation *relation, struct cqle_restriction *ret)
{
	const struct cqle_column *c = ret->column;
	struct plan_spec spec = { c->name, c->type, c->type_text };
	struct plan_relation resolved = { .column = c, .r = *ret };
	ret->op = relation->op;
	if (relation->has_key && condition_key(b, relation, c, &spec, ret) < 0)
		return -1;
	if (relation->field.ptr != NULL && condition_field(b, relation, c, &spec, ret) < 0)
		return -1;
	if (relation->op == OP_IN && relation->field.ptr != NULL)
		return condition_list(b, relation, &spec, ret);
	if (relation->op == OP_IN && !relation->has_key) {
		if (resolve_in(b, relation, &resolved) < 0)
			return -1;
		ret->values = resolved.r.values;
		ret->value_count = resolved.r.value_count;
		return 0;
	}
	if (relation->op > OP_NE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid operator %s in a condition on %.*s",
			cqle_operator_text(relation->op), LAB_VIEW_ARG(c->name));
	ret->values = lab_arena_new_of(b->arena, struct cqle_value);
	ret->value_count = 1;
	return plan_value(b, &relation->value, &spec, ret->values);
}

static int resolve_tuple(
	struct builder *b, const struct relation *relation, struct plan_relation *ret)
{
	if (relation->token)
		return 0;
	if (plan_tuple(b, relation, &ret->r) < 0)
		return -1;
	ret->column = ret->r.column;
	return 0;
}

static int resolve_relation(
	struct builder *b, const struct relation *relation, struct plan_relation *ret)
{
	ret->relation = relation;
	if (relation->column.ptr == NULL)
		return resolve_tuple(b, relation, ret);
	ret->column = cqle_column_find(b->table, relation->column);
	if (ret->column == NULL)
		return plan_undefined_column(b, relation->column);
	ret->r = (struct cqle_restriction){ .column = ret->column, .op = relation->op };
	if (relation->has_key || relation->op == OP_CONTAINS || relation->op == OP_CONTAINS_KEY)
		return resolve_element(b, relation, ret);
	if (ret->column->multicell && ret->column->type.id == CQL_TYPE_UDT)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Non-frozen UDT column '%.*s' (%.*s) cannot be restricted by any relation",
			LAB_VIEW_ARG(relation->column), LAB_VIEW_ARG(ret->column->type_text));
	if (ret->column->multicell && relation->op != OP_NE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Collection column '%.*s' (%.*s) cannot be restricted by a '%s' relation",
			LAB_VIEW_ARG(relation->column), LAB_VIEW_ARG(ret->column->type_text),
			cqle_operator_text(relation->op));
	if (relation->op == OP_IN)
		return resolve_in(b, relation, ret);
	ret->r.values = lab_arena_new_of(b->arena, struct cqle_value);
	ret->r.value_count = 1;
	if (relation->tuple != NULL
			? plan_tuple_part(b, relation, ret->r.values) < 0
			: plan_column_value(b, &relation->value, ret->column, ret->r.values) < 0)
		return -1;
	ret->r.values->of_tuple = relation->of_tuple;
	if (relation->op == OP_LIKE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"LIKE restriction is only supported on properly indexed columns. %.*s LIKE "
			"'%.*s' is not valid.",
			LAB_VIEW_ARG(relation->column), LAB_VIEW_ARG(relation->value.text));
	if (relation->op == OP_NE)
		return cqle_fail(b->err, CQL_E_INVALID, "Unsupported \"!=\" relation: %.*s != %.*s",
			LAB_VIEW_ARG(relation->column), LAB_VIEW_ARG(relation->value.text));
	return 0;
}

static bool is_equal(enum operator op)
{
	return op == OP_EQ || op == OP_IN;
}

static int check_twice(struct builder *b, struct plan_relation *all, size_t count, size_t at)
{
	for (size_t i = 0; i < at && i < count; i++) {
		bool element = all[i].r.key != NULL || all[i].r.op >= OP_CONTAINS ||
			       all[at].r.key != NULL || all[at].r.op >= OP_CONTAINS;
		if (all[i].column == NULL || all[i].column != all[at].column || element)
			continue;
		if (is_equal(all[i].r.op) || is_equal(all[at].r.op))
			return cqle_fail(b->err, CQL_E_INVALID,
				"%.*s cannot be restricted by more than one relation if it "
				"includes "
				"an Equal",
				LAB_VIEW_ARG(all[at].column->name));
		bool low = all[i].r.op == OP_GT || all[i].r.op == OP_GE;
		bool low_too = all[at].r.op == OP_GT || all[at].r.op == OP_GE;
		if (low == low_too)
			return cqle_fail(b->err, CQL_E_INVALID,
				"More than one restriction was found for the %s bound on %.*s",
				low ? "start" : "end", LAB_VIEW_ARG(all[at].column->name));
	}
	return 0;
}

int plan_resolve(struct builder *b, struct plan_relation **ret)
{
	if (plan_expand_tuples(b) < 0)
		return -1;
	size_t count = b->s->relation_count;
	if (count > CQLEMU_COLUMNS_MAX * 2)
		return cqle_fail(b->err, CQL_E_INVALID, "too many relations");
	struct plan_relation *all = lab_arena_array(b->arena, struct plan_relation, count + 1);
	for (size_t i = 0; i < count; i++) {
		if (resolve_relation(b, &b->s->relations[i], &all[i]) < 0 ||
			check_twice(b, all, count, i) < 0)
			return -1;
	}
	*ret = all;
	return 0;
}

struct plan_relation *plan_find_resolved(
	struct builder *b, struct plan_relation *all, const struct cqle_column *column)
{
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].column == column && !all[i].used)
			return &all[i];
	}
	return NULL;
}

size_t plan_pk_equals(struct builder *b, struct plan_relation *all)
{
	size_t count = 0;
	for (size_t i = 0; i < b->table->pk_count; i++) {
		struct plan_relation *r = plan_find_resolved(b, all, cqle_pk(b->table, i));
		count += r != NULL && is_equal(r->r.op);
	}
	return count;
}

void plan_take_pk(struct builder *b, struct plan_relation *all)
{
	struct cqle_where *w = &b->plan->where;
	w->pk = lab_arena_array(b->arena, struct cqle_restriction, b->table->pk_count);
	for (size_t i = 0; i < b->table->pk_count; i++) {
		struct plan_relation *r = plan_find_resolved(b, all, cqle_pk(b->table, i));
		w->pk[i] = r->r;
		r->used = true;
	}
}

static void take_bound(struct cqle_where *w, struct plan_relation *r)
{
	struct cqle_bound *bound = r->r.op == OP_GT || r->r.op == OP_GE ? &w->low : &w->high;
	w->range_column = r->column;
	bound->present = true;
	bound->inclusive = r->r.op == OP_GE || r->r.op == OP_LE;
	bound->value = r->r.values[0];
	bound->more = r->r.values + 1;
	bound->more_count = r->r.tuple > 1 ? r->r.tuple - 1 : 0;
	r->used = true;
}

void plan_take_ck(struct builder *b, struct plan_relation *all)
{
	struct cqle_table *t = b->table;
	struct cqle_where *w = &b->plan->where;
	w->ck = lab_arena_array(b->arena, struct cqle_restriction, t->ck_count + 1);
	for (w->ck_count = 0; w->ck_count < t->ck_count; w->ck_count++) {
		struct plan_relation *r = plan_find_resolved(b, all, cqle_ck(t, w->ck_count));
		if (r == NULL || !is_equal(r->r.op))
			break;
		w->ck[w->ck_count] = r->r;
		r->used = true;
		for (size_t i = 1; i < r->r.tuple; i++) {
			w->ck_count++;
			w->ck[w->ck_count] = (struct cqle_restriction){
				.column = cqle_ck(t, w->ck_count), .op = OP_IN, .tuple_rest = true
			};
		}
	}
	for (unsigned i = 0; i < 2 && w->ck_count < t->ck_count; i++) {
		struct plan_relation *r = plan_find_resolved(b, all, cqle_ck(t, w->ck_count));
		if (r != NULL)
			take_bound(w, r);
	}
}

static int missing_pk(struct builder *b, struct plan_relation *all)
{
	struct lab_view names = { NULL, 0 };
	for (size_t i = 0; i < b->table->pk_count; i++) {
		const struct cqle_column *c = cqle_pk(b->table, i);
		if (plan_find_resolved(b, all, c) != NULL)
			continue;
		names = lab_view_cstr(lab_arena_printf(b->arena, "%.*s%s%.*s", LAB_VIEW_ARG(names),
			names.len > 0 ? ", " : "", LAB_VIEW_ARG(c->name)));
	}
	if (names.len == 0)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Only EQ and IN relation are supported on the partition key (unless you "
			"use "
			"the token() function) for %s statements",
			b->s->kind == STATEMENT_DELETE ? "DELETE" : "UPDATE");
	return cqle_fail(b->err, CQL_E_INVALID, "Some partition key parts are missing: %.*s",
		LAB_VIEW_ARG(names));
}

int plan_missing_clustering(struct builder *b, size_t from)
{
	struct lab_view names = { NULL, 0 };
	for (size_t i = from; i < b->table->ck_count; i++)
		names = lab_view_cstr(lab_arena_printf(b->arena, "%.*s%s%.*s", LAB_VIEW_ARG(names),
			names.len > 0 ? ", " : "", LAB_VIEW_ARG(cqle_ck(b->table, i)->name)));
	return cqle_fail(b->err, CQL_E_INVALID, "Some clustering keys are missing: %.*s",
		LAB_VIEW_ARG(names));
}

/* UPDATE and DELETE: the whole partition key, nothing that would need filtering. */
int plan_where_of_change(struct builder *b)
{
	struct plan_relation *all;
	if (plan_resolve(b, &all) < 0)
		return -1;
	if (plan_pk_equals(b, all) < b->table->pk_count)
		return missing_pk(b, all);
	plan_take_pk(b, all);
	plan_take_ck(b, all);
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].used)
			continue;
		if (all[i].column == NULL)
			return cqle_fail(b->err, CQL_E_INVALID,
				"The token function cannot be used in WHERE clauses for %s "
				"statements",
				b->s->kind == STATEMENT_DELETE ? "DELETE" : "UPDATE");
		if (all[i].column->kind == CQLE_CLUSTERING)
			return cqle_fail(b->err, CQL_E_INVALID,
				"PRIMARY KEY column \"%.*s\" cannot be restricted as preceding "
				"column "
				"\"%.*s\" is not restricted",
				LAB_VIEW_ARG(all[i].column->name),
				LAB_VIEW_ARG(cqle_ck(b->table, b->plan->where.ck_count)->name));
		return cqle_fail(b->err, CQL_E_INVALID,
			"Non PRIMARY KEY columns found in where clause: %.*s",
			LAB_VIEW_ARG(all[i].column->name));
	}
	return 0;
}
