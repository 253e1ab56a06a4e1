/* SPDX-License-Identifier: Apache-2.0
 *
 * expression.c - terms that are more than a constant or a marker, resolved against the schema:
 * columns and their parts, functions, casts, type hints, collections with something of these in
 * them.
 */
#include "sim/cql-emulator/plan-private.h"

static const char *text_of(struct builder *b, const struct cqle_expr *x)
{
	(void)b;
	return (const char *)x->text.ptr;
}

static void set_text(struct cqle_expr *x, const char *text)
{
	x->text = lab_view_cstr(text);
}

static int find_column(struct builder *b, struct lab_view name, struct cqle_expr *ret)
{
	ret->column = cqle_column_find(b->table, name);
	if (ret->column == NULL)
		return plan_undefined_column(b, name);
	ret->type = ret->column->type;
	ret->of_row = true;
	return 0;
}

static int of_column(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	ret->kind = CQLE_EXPR_COLUMN;
	set_text(ret, lab_arena_printf(b->arena, "%.*s", LAB_VIEW_ARG(term->text)));
	return find_column(b, term->text, ret);
}

/* writetime(c), ttl(c) */
static int of_cell(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	bool time = term->kind == TERM_WRITETIME;
	if (find_column(b, term->text, ret) < 0)
		return -1;
	const struct cqle_column *c = ret->column;
	bool key = c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING;
	if (key || c->multicell)
		return cqle_fail(b->err, CQL_E_INVALID,
			key ? "Cannot use selection function %s on PRIMARY KEY part %.*s"
			: c->type.id == CQL_TYPE_UDT
				? "Cannot use selection function %s on non-frozen UDT %.*s"
				: "Cannot use selection function %s on non-frozen collection %.*s",
			time ? "writeTime" : "ttl", LAB_VIEW_ARG(c->name));
	ret->kind = time ? CQLE_EXPR_WRITETIME : CQLE_EXPR_TTL;
	ret->type = (struct cql_type){ .id = time ? CQL_TYPE_BIGINT : CQL_TYPE_INT };
	set_text(ret, lab_arena_printf(b->arena, "%s(%.*s)", time ? "writetime" : "ttl",
			      LAB_VIEW_ARG(c->name)));
	return 0;
}

/* What a field or element is selected of. */
static struct cqle_expr *plan_owner(
	struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	struct cqle_expr *owner = lab_arena_new_of(b->arena, struct cqle_expr);
	if (plan_expression(b, term->of, NULL, owner) < 0)
		return NULL;
	ret->args = owner;
	ret->arg_count = 1;
	ret->column = owner->column;
	ret->of_row = owner->of_row;
	ret->aggregates = owner->aggregates;
	return owner;
}

static struct lab_view owner_type_text(struct builder *b, const struct cqle_expr *owner)
{
	return owner->kind == CQLE_EXPR_COLUMN ? owner->column->type_text
					       : cqle_type_text_frozen(b->arena, &owner->type);
}

/* u.field */
static int of_field(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	const struct cqle_expr *owner = plan_owner(b, term, ret);
	if (owner == NULL)
		return -1;
	struct lab_view text = owner_type_text(b, owner);
	if (owner->type.id != CQL_TYPE_UDT)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid field selection: %s of type %.*s is not a user type",
			text_of(b, owner), LAB_VIEW_ARG(text));
	size_t field = plan_field(&owner->type, term->text);
	if (field == 0)
		return cqle_fail(b->err, CQL_E_INVALID, "%s of type %.*s has no field %.*s",
			text_of(b, owner), LAB_VIEW_ARG(text), LAB_VIEW_ARG(term->text));
	ret->kind = CQLE_EXPR_FIELD;
	ret->field = field - 1;
	ret->type = owner->type.params[ret->field];
	set_text(ret,
		lab_arena_printf(b->arena, "%s.%.*s", text_of(b, owner), LAB_VIEW_ARG(term->text)));
	return 0;
}

/* c[key], c[from..to] of sets and maps */
static int of_part(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	bool slice = term->kind == TERM_SLICE;
	const char *texts[2] = { "", "" };
	const struct cqle_expr *owner = plan_owner(b, term, ret);
	if (owner == NULL)
		return -1;
	const struct cql_type *type = &owner->type;
	struct lab_view type_text = owner_type_text(b, owner);
	bool list = type->id == CQL_TYPE_LIST;
	if (type->id != CQL_TYPE_SET && type->id != CQL_TYPE_MAP)
		return cqle_fail(b->err, CQL_E_INVALID,
			list ? "Element selection is only allowed on sets and maps, but %s is a "
			       "%.*s"
			     : "Invalid element selection: %s is of type %.*s is not a collection",
			text_of(b, owner), LAB_VIEW_ARG(list ? LAB_VIEW("list") : type_text));
	struct plan_spec key = { .type = type->params[0] };
	key.name = lab_view_cstr(lab_arena_printf(
		b->arena, "%s(%s)", type->id == CQL_TYPE_MAP ? "key" : "value", text_of(b, owner)));
	key.type_text = cqle_type_text(b->arena, &key.type);
	for (size_t i = 0; i < term->item_count; i++) {
		const struct term *item = &term->items[i];
		if (item->kind == TERM_NONE)
			continue;
		ret->bounds[i] = lab_arena_new_of(b->arena, struct cqle_value);
		if (plan_value(b, item, &key, ret->bounds[i]) < 0)
			return -1;
		struct lab_view text = cqle_term_text(b->arena, item);
		texts[i] = lab_arena_printf(b->arena, "%.*s", LAB_VIEW_ARG(text));
	}
	ret->kind = slice ? CQLE_EXPR_SLICE : CQLE_EXPR_ELEMENT;
	ret->type = slice ? *type : type->params[type->param_count - 1];
	set_text(ret, lab_arena_printf(b->arena, "%s[%s%s%s]", text_of(b, owner), texts[0],
			      slice ? ".." : "", texts[1]));
	return 0;
}

/* ---- functions ---- */

static void adopt(struct cqle_expr *ret, const struct cqle_expr *argument)
{
	ret->of_row = ret->of_row || argument->of_row;
	ret->aggregates = ret->aggregates || argument->aggregates;
}

/* "system.name(a, b)" */
static void name_call(struct builder *b, struct cqle_expr *ret, const char *name)
{
	const char *args = "";
	for (size_t i = 0; i < ret->arg_count; i++)
		args = lab_arena_printf(
			b->arena, "%s%s%s", args, i == 0 ? "" : ", ", text_of(b, &ret->args[i]));
	set_text(ret, lab_arena_printf(b->arena, "system.%s(%s)", name, args));
}

static int token_call(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	size_t count = b->table->pk_count;
	if (term->item_count != count)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid number of arguments in call to function system.token: %zu "
			"required but %zu provided",
			count, term->item_count);
	ret->kind = CQLE_EXPR_TOKEN;
	ret->type = (struct cql_type){ .id = CQL_TYPE_BIGINT };
	ret->args = lab_arena_array(b->arena, struct cqle_expr, count);
	ret->arg_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct cqle_column *c = cqle_pk(b->table, i);
		struct plan_spec spec = { c->name, c->type, c->type_text };
		if (plan_expression(b, &term->items[i], &spec, &ret->args[i]) < 0)
			return -1;
		adopt(ret, &ret->args[i]);
		if (!cqle_type_takes(&c->type, &ret->args[i].type))
			return cqle_fail(b->err, CQL_E_INVALID,
				"Type error: %s cannot be passed as argument %zu of function "
				"system.token of type %.*s",
				text_of(b, &ret->args[i]), i, LAB_VIEW_ARG(c->type_text));
	}
	name_call(b, ret, "token");
	return 0;
}

/* The one argument of a function that exists: constants take the type of the first signature. */
static int argument(struct builder *b, const struct cqle_function *f, const struct term *term,
	struct cqle_expr *ret)
{
	struct plan_spec spec = { lab_view_cstr(
					  lab_arena_printf(b->arena, "arg0(system.%s)", f->name)),
		{ .id = f->arg }, lab_view_cstr(cql_type_name(f->arg)) };
	bool constant = term->kind <= TERM_UUID;
	if (constant && !cqle_term_fits(term, &spec.type) && term->kind != TERM_NULL) {
		struct lab_view text = cqle_term_text(b->arena, term);
		return cqle_fail(b->err, CQL_E_INVALID,
			"Type error: %.*s cannot be passed as argument 0 of function system.%s of "
			"type %.*s",
			LAB_VIEW_ARG(text), f->name, LAB_VIEW_ARG(spec.type_text));
	}
	bool any = f->arg == CQL_TYPE_CUSTOM; /* of aggregates: it has to say its type itself */
	return plan_expression(b, term, any ? NULL : &spec, ret);
}

static int no_signature(struct builder *b, const struct cqle_function *f)
{
	return cqle_fail_long(b->emu, b->err, CQL_E_INVALID,
		lab_arena_printf(b->arena,
			"Invalid call to function %s, none of its type signatures match (known "
			"type signatures: %s)",
			f->name, cqle_function_signatures(b->arena, f)));
}

static int mismatched_call(
	struct builder *b, const struct cqle_function *f, const struct cqle_expr *arg)
{
	/* A timestamp could be read as a bigint, and so as a varint. */
	if ((f->id == CQLE_FN_SUM || f->id == CQLE_FN_AVG) && arg->type.id == CQL_TYPE_TIMESTAMP)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Ambiguous call to function %s (can be matched by following signatures: "
			"system.%s : (varint) -> varint, system.%s : (bigint) -> bigint): use type "
			"casts to disambiguate",
			f->name, f->name, f->name);
	if (f->overloaded)
		return no_signature(b, f);
	return cqle_fail(b->err, CQL_E_INVALID,
		"Type error: %s cannot be passed as argument 0 of function system.%s of type %s",
		text_of(b, arg), f->name, cql_type_name(f->arg));
}

static int check_count(struct builder *b, const struct cqle_function *f, size_t given)
{
	if (given == f->arity)
		return 0;
	if (f->id == CQLE_FN_TO_JSON)
		return cqle_fail(b->err, CQL_E_INVALID,
			"toJson() only accepts one argument (got %zu)", given);
	if (f->overloaded)
		return no_signature(b, f);
	return cqle_fail(b->err, CQL_E_INVALID,
		"Invalid number of arguments in call to function system.%s: %u required but %zu "
		"provided",
		f->name, f->arity, given);
}

/* One way is for what is shown, the other for what is written. */
static int check_json(struct builder *b, const struct cqle_function *f)
{
	if (f->id == CQLE_FN_TO_JSON && !b->selecting)
		return cqle_fail(b->err, CQL_E_INVALID,
			"toJson() may only be used within the selection clause of SELECT "
			"statements");
	if (f->id == CQLE_FN_FROM_JSON && b->selecting)
		return cqle_fail(b->err, CQL_E_INVALID,
			"fromJson() cannot be used in the selection clause of a SELECT statement");
	return 0;
}

static int call_argument(
	struct builder *b, struct cqle_function *f, const struct term *term, struct cqle_expr *ret)
{
	if (argument(b, f, term, &ret->args[0]) < 0)
		return -1;
	adopt(ret, &ret->args[0]);
	if (f->aggregate && ret->args[0].aggregates)
		return cqle_fail(b->err, CQL_E_INVALID,
			"aggregate functions cannot be used as arguments of aggregate functions");
	return cqle_function_takes(f, &ret->args[0].type) ? 0
							  : mismatched_call(b, f, &ret->args[0]);
}

static int call(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	struct cqle_function *f = lab_arena_new_of(b->arena, struct cqle_function);
	if (lab_view_eq_cstr(term->text, "token"))
		return token_call(b, term, ret);
	if (!cqle_function_find(b->arena, term->text, f))
		return cqle_fail(b->err, CQL_E_INVALID,
			b->selecting ? "Unknown function '%.*s'" : "Unknown function %.*s called",
			LAB_VIEW_ARG(term->text));
	if (f->aggregate && !b->selecting)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Aggregation function are not supported in the where clause");
	if (check_count(b, f, term->item_count) < 0 || check_json(b, f) < 0)
		return -1;
	ret->kind = f->aggregate ? CQLE_EXPR_AGGREGATE : CQLE_EXPR_CALL;
	ret->args = lab_arena_array(b->arena, struct cqle_expr, f->arity);
	ret->arg_count = f->arity;
	if (f->arity == 1 && call_argument(b, f, &term->items[0], ret) < 0)
		return -1;
	if (f->aggregate) {
		ret->aggregates = true;
		ret->slot = b->plan->slot_count++;
	}
	ret->function = f;
	ret->type = (struct cql_type){ .id = f->ret };
	if (f->id == CQLE_FN_FROM_JSON && spec != NULL) /* whatever is asked for */
		ret->type = spec->type;
	name_call(b, ret, f->name);
	return 0;
}

static int count_all(struct builder *b, struct cqle_expr *ret)
{
	struct cqle_function *f = lab_arena_new_of(b->arena, struct cqle_function);
	(void)cqle_function_find(b->arena, LAB_VIEW("count"), f);
	ret->kind = CQLE_EXPR_AGGREGATE;
	ret->function = f;
	ret->type = (struct cql_type){ .id = CQL_TYPE_BIGINT };
	ret->aggregates = true;
	ret->slot = b->plan->slot_count++;
	set_text(ret, "count");
	return 0;
}

static int cast(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	struct cql_type type;
	struct lab_view type_text;
	bool multicell;
	struct cqle_expr *inner = lab_arena_new_of(b->arena, struct cqle_expr);
	if (cqle_type_resolve(b->emu, b->arena, b->table->keyspace->name, term->type, &type,
		    &type_text, &multicell, b->err) < 0 ||
		plan_expression(b, &term->items[0], NULL, inner) < 0)
		return -1;
	if (type.id == inner->type.id) {
		*ret = *inner;
		return 0;
	}
	if (!cqle_cast_is_possible(&inner->type, type.id))
		return cqle_fail_long(b->emu, b->err, CQL_E_INVALID,
			cqle_cast_refused(b->arena, text_of(b, inner), type.id));
	*ret = (struct cqle_expr){
		.kind = CQLE_EXPR_CAST, .type = type, .args = inner, .arg_count = 1
	};
	adopt(ret, inner);
	set_text(ret, lab_arena_printf(b->arena, "cast(%s as %.*s)", text_of(b, inner),
			      LAB_VIEW_ARG(type_text)));
	return 0;
}

/* ---- values ---- */

/* (type)term */
static int hint(struct builder *b, const struct term *term, struct cqle_expr *ret)
{
	bool multicell;
	struct plan_spec spec = { .name = LAB_VIEW("[hint]") };
	if (cqle_type_resolve(b->emu, b->arena, b->table->keyspace->name, term->type, &spec.type,
		    &spec.type_text, &multicell, b->err) < 0 ||
		plan_expression(b, &term->items[0], &spec, ret) < 0)
		return -1;
	struct lab_view text = cqle_term_text(b->arena, term);
	set_text(ret, lab_arena_printf(b->arena, "%.*s", LAB_VIEW_ARG(text)));
	return 0;
}

/* A tuple or user type of which not all is constant. */
static int compose(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	bool user = term->kind == TERM_USER;
	if (cqle_composite_check(b->arena, term, spec->name, &spec->type, b->err) < 0)
		return -1;
	ret->kind = CQLE_EXPR_COMPOSE;
	ret->type = spec->type;
	ret->arg_count = user ? spec->type.param_count : term->item_count;
	ret->args = lab_arena_array(b->arena, struct cqle_expr, ret->arg_count);
	set_text(ret, "tuple");
	for (size_t i = 0; i < ret->arg_count; i++) {
		const struct term *item = cqle_composite_term(term, &spec->type, i);
		struct plan_spec field = { .type = spec->type.params[i] };
		field.name = cqle_field_label(b->arena, &spec->type, spec->name, i);
		field.type_text = cqle_type_text_frozen(b->arena, &field.type);
		if (item != NULL && (plan_expression(b, item, &field, &ret->args[i]) < 0 ||
					    plan_assignable(b, &ret->args[i], &field) < 0))
			return -1;
	}
	return 0;
}

/* A collection of which not all is constant. */
static int collect(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	bool map = spec->type.id == CQL_TYPE_MAP;
	ret->kind = CQLE_EXPR_COLLECT;
	ret->args = lab_arena_array(b->arena, struct cqle_expr, term->item_count);
	ret->arg_count = term->item_count;
	for (size_t i = 0; i < term->item_count; i++) {
		struct plan_spec item = { .type = spec->type.params[map ? i % 2 : 0] };
		item.name = lab_view_cstr(lab_arena_printf(b->arena, "%s(%.*s)",
			map && i % 2 == 0 ? "key" : "value", LAB_VIEW_ARG(spec->name)));
		item.type_text = cqle_type_text_frozen(b->arena, &item.type);
		if (term->items[i].kind == TERM_NULL)
			return cqle_fail(
				b->err, CQL_E_INVALID, "null is not supported inside collections");
		if (plan_expression(b, &term->items[i], &item, &ret->args[i]) < 0 ||
			plan_assignable(b, &ret->args[i], &item) < 0)
			return -1;
	}
	ret->type = spec->type;
	set_text(ret, "collection");
	return 0;
}

bool plan_is_dynamic(const struct term *term)
{
	bool collection = term->kind >= TERM_LIST && term->kind <= TERM_USER;
	for (size_t i = 0; collection && i < term->item_count; i++) {
		if (term->items[i].kind == TERM_MARKER || plan_is_dynamic(&term->items[i]))
			return true;
	}
	return term->kind == TERM_CALL || term->kind == TERM_HINT || term->kind == TERM_OPERATION;
}

static int plain(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	struct lab_view text = cqle_term_text(b->arena, term);
	if (spec == NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot infer type for term %.*s in selection clause (try using a cast to "
			"force a type)",
			LAB_VIEW_ARG(text));
	struct cqle_value *value = lab_arena_new_of(b->arena, struct cqle_value);
	ret->kind = CQLE_EXPR_VALUE;
	ret->type = spec->type;
	ret->value = value;
	set_text(ret, lab_arena_printf(b->arena, "%.*s", LAB_VIEW_ARG(text)));
	return plan_value(b, term, spec, value);
}

static bool is_collection_for(const struct term *term, const struct plan_spec *spec)
{
	return spec != NULL && plan_is_dynamic(term) && cqle_term_fits(term, &spec->type);
}

int plan_expression(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	*ret = (struct cqle_expr){ .kind = CQLE_EXPR_VALUE };
	switch (term->kind) {
	case TERM_COLUMN:
		return of_column(b, term, ret);
	case TERM_WRITETIME:
	case TERM_TTL:
		return of_cell(b, term, ret);
	case TERM_FIELD:
		return of_field(b, term, ret);
	case TERM_ELEMENT:
	case TERM_SLICE:
		return of_part(b, term, ret);
	case TERM_OPERATION:
	case TERM_PARENTHESES:
		return plan_operation(b, term, spec, ret);
	case TERM_CALL:
		return call(b, term, spec, ret);
	case TERM_COUNT_ALL:
		return count_all(b, ret);
	case TERM_CAST:
		return cast(b, term, ret);
	case TERM_HINT:
		return hint(b, term, ret);
	case TERM_LIST:
	case TERM_SET:
	case TERM_MAP:
		if (is_collection_for(term, spec))
			return collect(b, term, spec, ret);
		break;
	case TERM_USER:
	case TERM_TUPLE:
		if (spec != NULL && plan_is_dynamic(term) &&
			cqle_is_composite_literal(term, &spec->type))
			return compose(b, term, spec, ret);
		break;
	case TERM_NONE:
	case TERM_NULL:
	case TERM_STRING:
	case TERM_INTEGER:
	case TERM_FLOAT:
	case TERM_BOOLEAN:
	case TERM_HEX:
	case TERM_DURATION:
	case TERM_UUID:
	case TERM_MARKER:
		break;
	}
	return plain(b, term, spec, ret);
}

/* May what the expression gives be a value of this kind? */
int plan_assignable(struct builder *b, const struct cqle_expr *x, const struct plan_spec *spec)
{
	if (cqle_type_takes(&spec->type, &x->type))
		return 0;
	struct lab_view from = cqle_type_text(b->arena, &x->type);
	if (x->function == NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot assign value %s to %.*s of type %.*s", text_of(b, x),
			LAB_VIEW_ARG(spec->name), LAB_VIEW_ARG(spec->type_text));
	return cqle_fail(b->err, CQL_E_INVALID,
		"Type error: cannot assign result of function system.%s (type %.*s) to %.*s (type "
		"%.*s)",
		x->function->name, LAB_VIEW_ARG(from), LAB_VIEW_ARG(spec->name),
		LAB_VIEW_ARG(spec->type_text));
}

/* ---- SELECT ---- */

static int select_item(struct builder *b, const struct selector *selector, size_t index)
{
	struct cqle_expr *x = &b->plan->items[index];
	struct cql_column *column = &b->plan->result_columns[index];
	if (plan_expression(b, &selector->term, NULL, x) < 0)
		return -1;
	column->name = selector->alias.ptr != NULL ? selector->alias : x->text;
	column->type = x->type;
	b->plan->aggregating = b->plan->aggregating || x->aggregates;
	return 0;
}

/* One column of text instead of all. */
static void name_json(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	plan->json_names = lab_arena_array(b->arena, struct lab_view, plan->item_count + 1);
	for (size_t i = 0; i < plan->item_count; i++)
		plan->json_names[i] = plan->result_columns[i].name;
	plan->result_column_count = 1;
	plan->result_columns[0].name = LAB_VIEW("[json]");
	plan->result_columns[0].type = (struct cql_type){ .id = CQL_TYPE_TEXT };
}

int plan_select_items(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	b->selecting = true;
	plan->item_count = b->s->wildcard ? b->table->column_count : b->s->selector_count;
	plan->items = lab_arena_array(b->arena, struct cqle_expr, plan->item_count);
	plan->result_columns = lab_arena_array(b->arena, struct cql_column, plan->item_count);
	for (size_t i = 0; i < plan->item_count; i++) {
		struct cql_column *column = &plan->result_columns[i];
		column->keyspace = b->table->keyspace->name;
		column->table = b->table->name;
		if (!b->s->wildcard) {
			if (select_item(b, &b->s->selectors[i], i) < 0)
				return -1;
			continue;
		}
		const struct cqle_column *c = &b->table->columns[i];
		plan->items[i] = (struct cqle_expr){
			.kind = CQLE_EXPR_COLUMN, .column = c, .type = c->type, .of_row = true
		};
		column->name = c->name;
		column->type = c->type;
	}
	b->selecting = false;
	plan->result_column_count = plan->item_count;
	if (b->s->json)
		name_json(b);
	return 0;
}
