/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - a parsed statement resolved against the schema: which columns, which keys, which
 * markers. Done once for a prepared statement. Errors as in the golden semantics.
 */
#include "sim/cql-emulator/plan-private.h"

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

int plan_number(struct builder *b, const struct term *term, const char *name, enum cql_type_id type,
	struct cqle_value *ret)
{
	struct plan_spec spec = { lab_view_cstr(name), { .id = (uint16_t)type },
		lab_view_cstr(cql_type_name((uint16_t)type)) };
	return plan_value(b, term, &spec, ret);
}

int plan_using(struct builder *b)
{
	b->plan->has_timestamp = b->s->timestamp.kind != TERM_NONE;
	b->plan->has_ttl = b->s->ttl.kind != TERM_NONE;
	if (b->plan->has_timestamp && plan_number(b, &b->s->timestamp, "[timestamp]",
					      CQL_TYPE_BIGINT, &b->plan->timestamp) < 0)
		return -1;
	return b->plan->has_ttl ? plan_number(b, &b->s->ttl, "[ttl]", CQL_TYPE_INT, &b->plan->ttl)
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

/* ---- statements ---- */

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
		return plan_select(b);
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
