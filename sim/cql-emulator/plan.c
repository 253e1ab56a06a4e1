/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - a parsed statement resolved against the schema: which columns, which keys, which
 * markers. Done once for a prepared statement. Errors as in the golden semantics.
 */
#include "sim/cql-emulator/plan-private.h"

#define FILTERING_TEXT \
	"Cannot execute this query as it might involve data filtering and thus may have " \
	"unpredictable performance. If you want to execute this query despite the performance " \
	"unpredictability, use ALLOW FILTERING"

/* ---- values ---- */

void plan_note_marker(struct builder *b, const struct cqle_value *value, struct lab_view name)
{
	struct cql_column *m = &b->outer->markers[value->marker];
	m->keyspace = b->table->keyspace->name;
	m->table = b->table->name;
	m->name = name;
	m->type = value->type;
	if (value->is_list) {
		struct cql_type *param = lab_arena_new_of(b->arena, struct cql_type);
		*param = value->type;
		m->type =
			(struct cql_type){ .id = CQL_TYPE_LIST, .params = param, .param_count = 1 };
	}
}

size_t plan_field(const struct cql_type *type, struct lab_view name)
{
	for (size_t i = 0; type->id == CQL_TYPE_UDT && i < type->param_count; i++) {
		if (lab_view_eq(type->field_names[i], name))
			return i + 1;
	}
	return 0;
}

static bool is_user_column(const struct cqle_column *column)
{
	return lab_view_eq_cstr(column->name, "u");
}

int plan_value(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_value *ret)
{
	*ret = (struct cqle_value){ .type = spec->type, .name = spec->name };
	if (term->kind == TERM_MARKER) {
		ret->is_marker = true;
		ret->marker = term->marker;
		plan_note_marker(b, ret, term->text.ptr != NULL ? term->text : spec->name);
		return 0;
	}
	ret->is_null = term->kind == TERM_NULL;
	if (ret->is_null)
		return 0;
	if (plan_is_dynamic(term) &&
		(term->kind >= TERM_CALL || cqle_term_fits(term, &spec->type) ||
			cqle_is_composite_literal(term, &spec->type))) {
		struct cqle_expr *x = lab_arena_new_of(b->arena, struct cqle_expr);
		ret->expr = x;
		return plan_expression(b, term, spec, x) < 0 ? -1 : plan_assignable(b, x, spec);
	}
	return cqle_constant(
		b->arena, term, spec->name, &spec->type, spec->type_text, &ret->bytes, b->err);
}

int plan_column_value(struct builder *b, const struct term *term, const struct cqle_column *column,
	struct cqle_value *ret)
{
	struct plan_spec spec = { column->name, column->type, column->type_text };
	if (plan_value(b, term, &spec, ret) < 0)
		return -1;
	ret->column = column;
	if (lab_view_eq_cstr(column->name, "i") && ret->is_marker &&
		b->outer->object_marker == SIZE_MAX)
		b->outer->object_marker = term->marker;
	if (!is_user_column(column) || ret->is_null)
		return 0;
	if (!ret->is_marker)
		b->outer->user_constant = ret->bytes;
	else if (b->outer->user_marker == SIZE_MAX)
		b->outer->user_marker = term->marker;
	return 0;
}

/* LIMIT, TIMESTAMP, TTL. */
static int number_value(struct builder *b, const struct term *term, const char *name,
	enum cql_type_id type, struct cqle_value *ret)
{
	struct plan_spec spec = { lab_view_cstr(name), { .id = (uint16_t)type },
		lab_view_cstr(cql_type_name((uint16_t)type)) };
	return plan_value(b, term, &spec, ret);
}

int plan_using(struct builder *b)
{
	b->plan->has_timestamp = b->s->timestamp.kind != TERM_NONE;
	b->plan->has_ttl = b->s->ttl.kind != TERM_NONE;
	if (b->plan->has_timestamp && number_value(b, &b->s->timestamp, "[timestamp]",
					      CQL_TYPE_BIGINT, &b->plan->timestamp) < 0)
		return -1;
	return b->plan->has_ttl ? number_value(b, &b->s->ttl, "[ttl]", CQL_TYPE_INT, &b->plan->ttl)
				: 0;
}

bool plan_is_collection(const struct cqle_column *c)
{
	uint16_t id = c->type.id;
	return id == CQL_TYPE_LIST || id == CQL_TYPE_SET || id == CQL_TYPE_MAP;
}

int plan_undefined_column(const struct builder *b, struct lab_view name)
{
	return cqle_fail(b->err, CQL_E_INVALID, "Undefined column name %.*s in table %.*s",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(b->table->full_name));
}

/* ---- WHERE ---- */

/* A relation with its column and values. */
struct resolved {
	const struct relation *relation;
	const struct cqle_column *column;
	struct cqle_restriction r;
	bool used;
};

static int resolve_in(struct builder *b, const struct relation *relation, struct resolved *ret)
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
static int resolve_element(struct builder *b, const struct relation *relation, struct resolved *ret)
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
	struct resolved resolved = { .column = c, .r = *ret };
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

static int resolve_tuple(struct builder *b, const struct relation *relation, struct resolved *ret)
{
	if (relation->token)
		return 0;
	if (plan_tuple(b, relation, &ret->r) < 0)
		return -1;
	ret->column = ret->r.column;
	return 0;
}

static int resolve_relation(
	struct builder *b, const struct relation *relation, struct resolved *ret)
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

static int check_twice(struct builder *b, struct resolved *all, size_t count, size_t at)
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

static int resolve_relations(struct builder *b, struct resolved **ret)
{
	if (plan_expand_tuples(b) < 0)
		return -1;
	size_t count = b->s->relation_count;
	if (count > CQLEMU_COLUMNS_MAX * 2)
		return cqle_fail(b->err, CQL_E_INVALID, "too many relations");
	struct resolved *all = lab_arena_array(b->arena, struct resolved, count + 1);
	for (size_t i = 0; i < count; i++) {
		if (resolve_relation(b, &b->s->relations[i], &all[i]) < 0 ||
			check_twice(b, all, count, i) < 0)
			return -1;
	}
	*ret = all;
	return 0;
}

static struct resolved *find_resolved(
	struct builder *b, struct resolved *all, const struct cqle_column *column)
{
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].column == column && !all[i].used)
			return &all[i];
	}
	return NULL;
}

/* How many partition key columns have = or IN. */
static size_t pk_equals(struct builder *b, struct resolved *all)
{
	size_t count = 0;
	for (size_t i = 0; i < b->table->pk_count; i++) {
		struct resolved *r = find_resolved(b, all, cqle_pk(b->table, i));
		count += r != NULL && is_equal(r->r.op);
	}
	return count;
}

static void take_pk(struct builder *b, struct resolved *all)
{
	struct cqle_where *w = &b->plan->where;
	w->pk = lab_arena_array(b->arena, struct cqle_restriction, b->table->pk_count);
	for (size_t i = 0; i < b->table->pk_count; i++) {
		struct resolved *r = find_resolved(b, all, cqle_pk(b->table, i));
		w->pk[i] = r->r;
		r->used = true;
	}
}

static void take_bound(struct cqle_where *w, struct resolved *r)
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

/* The prefix of clustering columns with = or IN, and a range behind it. */
static void take_ck(struct builder *b, struct resolved *all)
{
	struct cqle_table *t = b->table;
	struct cqle_where *w = &b->plan->where;
	w->ck = lab_arena_array(b->arena, struct cqle_restriction, t->ck_count + 1);
	for (w->ck_count = 0; w->ck_count < t->ck_count; w->ck_count++) {
		struct resolved *r = find_resolved(b, all, cqle_ck(t, w->ck_count));
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
		struct resolved *r = find_resolved(b, all, cqle_ck(t, w->ck_count));
		if (r != NULL)
			take_bound(w, r);
	}
}

static int missing_pk(struct builder *b, struct resolved *all)
{
	struct lab_view names = { NULL, 0 };
	for (size_t i = 0; i < b->table->pk_count; i++) {
		const struct cqle_column *c = cqle_pk(b->table, i);
		if (find_resolved(b, all, c) != NULL)
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
	struct resolved *all;
	if (resolve_relations(b, &all) < 0)
		return -1;
	if (pk_equals(b, all) < b->table->pk_count)
		return missing_pk(b, all);
	take_pk(b, all);
	take_ck(b, all);
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

/* ---- SELECT ---- */

static int token_relation(struct builder *b, struct resolved *r)
{
	const struct relation *rel = r->relation;
	struct cqle_where *w = &b->plan->where;
	if (rel->column_count != b->table->pk_count)
		return cqle_fail(b->err, CQL_E_INVALID,
			"The token() function must be applied to all partition key components or "
			"none of them");
	for (size_t i = 0; i < rel->column_count; i++) {
		if (!lab_view_eq(rel->columns[i], cqle_pk(b->table, i)->name))
			return cqle_fail(b->err, CQL_E_INVALID,
				"The token function arguments must be in the partition key order");
	}
	bool low = rel->op == OP_GT || rel->op == OP_GE || rel->op == OP_EQ;
	if (rel->op > OP_GE)
		return cqle_fail(
			b->err, CQL_E_INVALID, "token() with this operator is not supported here");
	struct cqle_bound *bound = low ? &w->token_low : &w->token_high;
	if (bound->present)
		return cqle_fail(b->err, CQL_E_INVALID,
			"More than one restriction was found for the %s bound on token",
			low ? "start" : "end");
	bound->present = w->token_used = r->used = true;
	bound->inclusive = rel->op == OP_GE || rel->op == OP_LE || rel->op == OP_EQ;
	if (number_value(b, &rel->value, "partition key token", CQL_TYPE_BIGINT, &bound->value) < 0)
		return -1;
	if (rel->op == OP_EQ)
		w->token_high = *bound;
	return 0;
}

static bool is_key(const struct cqle_column *c)
{
	return c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING;
}

/* What no filter can be. */
static int check_filter(struct builder *b, const struct cqle_restriction *r)
{
	const struct cqle_column *c = r->column;
	bool slice = r->op == OP_LT || r->op == OP_LE || r->op == OP_GT || r->op == OP_GE;
	if (r->op == OP_IN && !is_key(c) && (r->value_count != 1 || r->values[0].is_list))
		return cqle_fail(b->err, CQL_E_INVALID,
			"IN predicates on non-primary-key columns (%.*s) is not yet supported",
			LAB_VIEW_ARG(c->name));
	if (slice && cqle_type_has(&c->type, CQL_TYPE_DURATION))
		return cqle_fail(b->err, CQL_E_INVALID,
			"Slice restrictions are not supported on %s",
			c->type.id == CQL_TYPE_DURATION ? "duration columns"
			: c->type.id == CQL_TYPE_TUPLE  ? "tuples containing durations"
			: c->type.id == CQL_TYPE_UDT    ? "UDTs containing durations"
							: "collections containing durations");
	if (r->key != NULL && !c->multicell)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Map-entry equality predicates on frozen map column %.*s are not supported",
			LAB_VIEW_ARG(c->name));
	return 0;
}

/* An index finds what is equal, in one partition or all of them. */
static int check_index(struct builder *b)
{
	const struct cqle_where *w = &b->plan->where;
	for (size_t i = 0; w->pk != NULL && i < b->table->pk_count; i++) {
		if (w->pk[i].op == OP_IN)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Select on indexed columns and with IN clause for the PRIMARY KEY "
				"are not supported");
	}
	if (b->s->ordering_count > 0)
		return cqle_fail(
			b->err, CQL_E_INVALID, "ORDER BY with 2ndary indexes is not supported.");
	return 0;
}

static int refuse_filtering(struct builder *b, const struct cqle_column *c)
{
	const struct cqle_where *w = &b->plan->where;
	if (c->kind == CQLE_CLUSTERING && w->pk != NULL && w->ck_count == 0 &&
		w->range_column == NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"PRIMARY KEY column \"%.*s\" cannot be restricted as preceding column "
			"\"%.*s\" is not restricted",
			LAB_VIEW_ARG(c->name), LAB_VIEW_ARG(cqle_ck(b->table, 0)->name));
	return cqle_fail(b->err, CQL_E_INVALID, FILTERING_TEXT);
}

/* What is left over has to be filtered, if that is allowed, or is one relation with an index. */
static int take_filters(struct builder *b, struct resolved *all)
{
	struct cqle_where *w = &b->plan->where;
	w->filters = lab_arena_array(b->arena, struct cqle_restriction, b->s->relation_count + 1);
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].used)
			continue;
		if (check_filter(b, &all[i].r) < 0)
			return -1;
		b->plan->indexed = b->plan->indexed || plan_is_indexed(b->table, &all[i].r);
		w->filters[w->filter_count++] = all[i].r;
	}
	if (b->plan->indexed && check_index(b) < 0)
		return -1;
	bool allowed = b->s->allow_filtering || (b->plan->indexed && w->filter_count == 1);
	for (size_t i = 0; i < w->filter_count; i++) {
		const struct cqle_restriction *r = &w->filters[i];
		if (!allowed)
			return refuse_filtering(b, r->column);
		if (r->tuple > 0 && r->op != OP_IN && r->column->position > 0)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Multi-column slice restrictions cannot be used for filtering.");
	}
	return 0;
}

static int where_of_select(struct builder *b)
{
	struct resolved *all;
	struct cqle_where *w = &b->plan->where;
	if (resolve_relations(b, &all) < 0)
		return -1;
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].column == NULL && token_relation(b, &all[i]) < 0)
			return -1;
	}
	if (!w->token_used && pk_equals(b, all) == b->table->pk_count) {
		take_pk(b, all);
		take_ck(b, all);
	}
	if (take_filters(b, all) < 0)
		return -1;
	b->plan->filtering = w->filter_count > 0;
	return 0;
}

static int check_distinct(struct builder *b)
{
	if (!b->s->distinct)
		return 0;
	for (size_t i = 0; i < b->plan->item_count; i++) {
		const struct cqle_column *c = b->plan->items[i].column;
		if (c != NULL && c->kind != CQLE_PARTITION_KEY && c->kind != CQLE_STATIC)
			return cqle_fail(b->err, CQL_E_INVALID,
				"SELECT DISTINCT queries must only request partition key columns "
				"and/or "
				"static columns (not %.*s)",
				LAB_VIEW_ARG(c->name));
	}
	if (b->plan->where.ck_count > 0 || b->plan->where.range_column != NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"SELECT DISTINCT with WHERE clause only supports restriction by partition "
			"key "
			"and/or static columns.");
	for (size_t i = 0; i < b->plan->where.filter_count; i++) {
		enum cqle_column_kind kind = b->plan->where.filters[i].column->kind;
		if (kind == CQLE_CLUSTERING || kind == CQLE_REGULAR)
			return cqle_fail(b->err, CQL_E_INVALID,
				"SELECT DISTINCT with WHERE clause only supports restriction by "
				"partition key and/or static columns.");
	}
	b->plan->distinct = true;
	return 0;
}

static int select_order(struct builder *b)
{
	const struct cqle_where *w = &b->plan->where;
	for (size_t i = 0; i < b->s->ordering_count; i++) {
		const struct ordering *o = &b->s->orderings[i];
		if (w->pk == NULL)
			return cqle_fail(b->err, CQL_E_INVALID,
				"ORDER BY is only supported when the partition key is restricted "
				"by an "
				"EQ or an IN.");
		const struct cqle_column *c = cqle_column_find(b->table, o->column);
		if (c == NULL)
			return plan_undefined_column(b, o->column);
		if (c->kind != CQLE_CLUSTERING)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Order by is currently only supported on the clustered columns of "
				"the "
				"PRIMARY KEY, got %.*s",
				LAB_VIEW_ARG(o->column));
		bool reversed = o->descending != c->descending;
		if (c->position != i || (i > 0 && reversed != b->plan->reversed))
			return cqle_fail(b->err, CQL_E_INVALID,
				"Order by currently only supports the ordering of columns "
				"following "
				"their declared order in the PRIMARY KEY");
		b->plan->reversed = reversed;
	}
	b->plan->ordered = b->s->ordering_count > 0;
	for (size_t i = 0; b->plan->ordered && i < b->table->pk_count; i++) {
		if (w->pk[i].op != OP_IN)
			continue;
		b->plan->sorted = b->s->ordering_count;
		if (b->plan->aggregating)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Aggregation with ORDER BY and IN on the partition key is not "
				"supported here");
	}
	return 0;
}

static int select_limits(struct builder *b)
{
	b->plan->has_limit = b->s->limit.kind != TERM_NONE;
	b->plan->has_partition_limit = b->s->partition_limit.kind != TERM_NONE;
	if (b->plan->has_partition_limit &&
		number_value(b, &b->s->partition_limit, "[per_partition_limit]", CQL_TYPE_INT,
			&b->plan->partition_limit) < 0)
		return -1;
	return b->plan->has_limit
		       ? number_value(b, &b->s->limit, "[limit]", CQL_TYPE_INT, &b->plan->limit)
		       : 0;
}

/* A partition of which only statics are left is a row of its own where no clustering is asked
 * for. */
static bool wants_statics(const struct builder *b)
{
	const struct cqle_where *w = &b->plan->where;
	return b->table->static_count > 0 && w->ck_count == 0 && w->range_column == NULL;
}

static int build_select(struct builder *b)
{
	if (plan_select_items(b) < 0 || check_distinct(b) < 0 || where_of_select(b) < 0 ||
		plan_select_groups(b) < 0 || select_order(b) < 0 || check_distinct(b) < 0 ||
		select_limits(b) < 0)
		return -1;
	b->plan->wants_statics = wants_statics(b);
	return 0;
}

/* ---- top ---- */

static int build_statement(struct builder *b);

int cqle_batch_check(enum cql_batch_type type, const struct cqle_table *first,
	const struct cqle_table *table, struct lab_error *err)
{
	bool counter = cqle_table_is_counter(table);
	if (counter && type == CQL_BATCH_LOGGED)
		return cqle_fail(
			err, CQL_E_INVALID, "Cannot include a counter statement in a logged batch");
	if (!counter && type == CQL_BATCH_COUNTER)
		return cqle_fail(err, CQL_E_INVALID,
			"Cannot include non-counter statement in a counter batch");
	if (first != NULL && counter != cqle_table_is_counter(first))
		return cqle_fail(err, CQL_E_INVALID,
			"Counter and non-counter mutations cannot exist in the same batch");
	return 0;
}

static int batch_item(struct builder *outer, size_t i)
{
	struct builder b = *outer;
	b.s = outer->s->batch[i];
	b.plan = lab_arena_new_of(outer->arena, struct cqle_plan);
	outer->plan->batch[i] = b.plan;
	if (outer->s->timestamp.kind != TERM_NONE && b.s->timestamp.kind != TERM_NONE)
		return cqle_fail(outer->err, CQL_E_INVALID,
			"Timestamp must be set either on BATCH or individual statements");
	if (cqle_table_resolve(outer->emu, outer->plan->keyspace_used, b.s->keyspace, b.s->table,
		    &b.table, outer->err) < 0 ||
		cqle_batch_check(outer->s->batch_type, outer->plan->table, b.table, outer->err) < 0)
		return -1;
	if (outer->plan->table == NULL)
		outer->plan->table = b.table;
	if (build_statement(&b) < 0)
		return -1;
	if (b.plan->condition != CQLE_UNCONDITIONAL)
		outer->plan->condition = b.plan->condition;
	return 0;
}

static int build_batch(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	plan->batch_type = b->s->batch_type;
	plan->batch_count = b->s->batch_count;
	plan->batch = lab_arena_array(b->arena, struct cqle_plan *, b->s->batch_count);
	for (size_t i = 0; i < b->s->batch_count; i++) {
		if (batch_item(b, i) < 0)
			return -1;
	}
	b->table = plan->table;
	if (plan->condition != CQLE_UNCONDITIONAL && b->s->timestamp.kind != TERM_NONE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot provide custom timestamp for conditional BATCH");
	return b->table == NULL ? 0 : plan_using(b);
}

/* Cassandra's own refusal, where it would refuse as well. */
static int unsupported(const struct builder *b)
{
	struct lab_view words = b->s->table;
	if (lab_view_eq_nocase(words, LAB_VIEW("create function")) ||
		lab_view_eq_nocase(words, LAB_VIEW("create aggregate")))
		return cqle_fail(b->err, CQL_E_INVALID,
			"User-defined functions are disabled in cassandra.yaml - set "
			"enable_user_defined_functions=true to enable");
	if (lab_view_eq_nocase(words, LAB_VIEW("create materialized")))
		return cqle_fail(b->err, CQL_E_INVALID,
			"Materialized views are disabled. Enable in cassandra.yaml to use.");
	return cqle_fail(b->err, CQL_E_INVALID, "%.*s is not supported here", LAB_VIEW_ARG(words));
}

/* Empty would be a wrong answer. */
static int check_contents(const struct builder *b)
{
	if (!cqle_table_is_hollow(b->table))
		return 0;
	return cqle_fail(b->err, CQL_E_INVALID, "Contents of %.*s.%.*s are not supported here",
		LAB_VIEW_ARG(b->table->keyspace->name), LAB_VIEW_ARG(b->table->name));
}

static int build_statement(struct builder *b)
{
	b->plan->kind = b->s->kind;
	b->plan->statement = b->s;
	b->plan->text = b->s->text;
	switch (b->s->kind) {
	case STATEMENT_SELECT:
	case STATEMENT_INSERT:
	case STATEMENT_UPDATE:
	case STATEMENT_DELETE:
	case STATEMENT_TRUNCATE:
		if (cqle_table_resolve(b->emu, b->outer->keyspace_used, b->s->keyspace, b->s->table,
			    &b->table, b->err) < 0 ||
			check_contents(b) < 0)
			return -1;
		b->plan->table = b->table;
		break;
	case STATEMENT_BATCH:
		return build_batch(b);
	case STATEMENT_UNSUPPORTED:
		return unsupported(b);
	case STATEMENT_USE:
	case STATEMENT_CREATE_KEYSPACE:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_DROP_KEYSPACE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_ALTER_KEYSPACE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_ROLE:
	case STATEMENT_CREATE_TYPE:
	case STATEMENT_DROP_TYPE:
	case STATEMENT_ALTER_TYPE:
	case STATEMENT_CREATE_INDEX:
	case STATEMENT_DROP_INDEX:
	case STATEMENT_DESCRIBE:
		return 0;
	}
	if (b->s->kind == STATEMENT_SELECT)
		return build_select(b);
	if (b->s->kind == STATEMENT_TRUNCATE)
		return b->table->keyspace->local && b->emu->auth == NULL
			       ? cqle_fail(b->err, CQL_E_UNAUTHORIZED,
					 "system keyspace is not user-modifiable.")
			       : 0;
	return plan_change(b);
}

/* The markers of one statement's partition key, if each of its columns is = one marker. */
static bool note_pk_markers(const struct cqle_plan *plan, uint16_t *indexes)
{
	const struct cqle_restriction *pk = plan->where.pk;
	for (size_t i = 0; pk != NULL && i < plan->table->pk_count; i++) {
		if (pk[i].op != OP_EQ || !pk[i].values[0].is_marker)
			return false;
		indexes[i] = (uint16_t)pk[i].values[0].marker;
	}
	return pk != NULL;
}

/* Of a batch on one table, the last statement's: so does Cassandra. */
static void find_pk_markers(struct builder *b, struct cqle_plan *plan)
{
	if (plan->table == NULL)
		return;
	uint16_t *indexes = lab_arena_array(b->arena, uint16_t, plan->table->pk_count);
	bool found = plan->kind != STATEMENT_BATCH && note_pk_markers(plan, indexes);
	for (size_t i = 0; i < plan->batch_count; i++) {
		if (plan->batch[i]->table != plan->table)
			return;
		found = note_pk_markers(plan->batch[i], indexes) || found;
	}
	plan->pk_indexes = indexes;
	plan->pk_index_count = found ? plan->table->pk_count : 0;
}

int cqle_plan_build(struct cqlemu *emu, struct lab_arena *arena, const struct statement *statement,
	struct lab_view current_keyspace, struct cqle_plan **ret, struct lab_error *err)
{
	struct cqle_plan *plan = lab_arena_new_of(arena, struct cqle_plan);
	struct builder b = {
		.emu = emu, .arena = arena, .s = statement, .plan = plan, .outer = plan, .err = err
	};

	plan->refs = 1;
	plan->keyspace_used = current_keyspace;
	plan->user_marker = SIZE_MAX;
	plan->object_marker = SIZE_MAX;
	plan->marker_count = statement->marker_count;
	plan->markers = lab_arena_array(arena, struct cql_column, statement->marker_count);
	if (build_statement(&b) < 0)
		return -1;
	find_pk_markers(&b, plan);
	*ret = plan;
	return 0;
}

bool cqle_plan_is_stale(const struct cqle_plan *plan)
{
	if (plan->table != NULL && plan->table->dropped)
		return true;
	for (size_t i = 0; i < plan->batch_count; i++) {
		if (plan->batch[i]->table->dropped)
			return true;
	}
	return false;
}

void cqle_plan_unref(struct cqlemu *emu, struct cqle_plan *plan)
{
	(void)emu;
	if (plan == NULL || plan->arena == NULL || --plan->refs > 0)
		return;
	struct lab_arena *arena = plan->arena;
	lab_arena_free(&arena);
}
