/* SPDX-License-Identifier: Apache-2.0
 *
 * plan-change.c - INSERT, UPDATE and DELETE resolved against the schema.
 */
#include "sim/cql-emulator/plan-private.h"

static int plan_conditions(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	plan->condition = CQLE_IF_COLUMNS;
	plan->conditions =
		lab_arena_array(b->arena, struct cqle_restriction, b->s->condition_count);
	for (size_t i = 0; i < b->s->condition_count; i++) {
		const struct relation *r = &b->s->conditions[i];
		const struct cqle_column *c =
			r->column.ptr == NULL ? NULL : cqle_column_find(b->table, r->column);
		if (c == NULL)
			return plan_undefined_column(b, r->column);
		if (c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING)
			return cqle_fail(b->err, CQL_E_INVALID,
				"PRIMARY KEY column '%.*s' cannot have IF conditions",
				LAB_VIEW_ARG(c->name));
		if (c->type.id == CQL_TYPE_COUNTER)
			return cqle_fail(
				b->err, CQL_E_INVALID, "Conditions on counters are not supported");
		struct cqle_restriction *target = &plan->conditions[plan->condition_count++];
		target->column = c;
		if (plan_restriction(b, r, target) < 0)
			return -1;
	}
	return 0;
}

static int check_no_lists(struct builder *b)
{
	const struct cqle_where *w = &b->plan->where;
	for (size_t i = 0; i < b->table->pk_count; i++) {
		if (w->pk[i].op == OP_IN)
			return cqle_fail(b->err, CQL_E_INVALID,
				"IN on the partition key is not supported with conditional %s",
				b->s->kind == STATEMENT_DELETE ? "deletions" : "updates");
	}
	for (size_t i = 0; i < w->ck_count; i++) {
		if (w->ck[i].op == OP_IN)
			return cqle_fail(b->err, CQL_E_INVALID,
				"IN on the clustering key columns is not supported with "
				"conditional %s",
				b->s->kind == STATEMENT_DELETE ? "deletions" : "updates");
	}
	return 0;
}

static bool conditions_are_static(const struct cqle_plan *plan)
{
	for (size_t i = 0; i < plan->condition_count; i++) {
		if (plan->conditions[i].column->kind != CQLE_STATIC)
			return false;
	}
	return plan->condition_count > 0;
}

/* A DELETE with IF names one row, or statics only. */
static int check_whole_key(struct builder *b)
{
	const struct cqle_plan *plan = b->plan;
	bool whole = plan->where.ck_count == b->table->ck_count;
	bool statics = plan->static_only &&
		       (plan->condition != CQLE_IF_COLUMNS || conditions_are_static(plan));
	if (b->s->kind != STATEMENT_DELETE || whole || statics)
		return 0;
	return cqle_fail(b->err, CQL_E_INVALID,
		"DELETE statements must restrict all PRIMARY KEY columns with equality relations "
		"in "
		"order to delete non static columns");
}

static int check_condition(struct builder *b)
{
	if (!b->s->conditional)
		return 0;
	if (b->s->timestamp.kind != TERM_NONE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot provide custom timestamp for conditional updates");
	b->plan->condition = b->s->kind == STATEMENT_INSERT ? CQLE_IF_NOT_EXISTS : CQLE_IF_EXISTS;
	if (b->s->condition_count > 0 && plan_conditions(b) < 0)
		return -1;
	if (cqle_table_is_counter(b->table))
		return cqle_fail(b->err, CQL_E_INVALID,
			"Conditional updates are not supported on counter tables");
	return check_no_lists(b) < 0 ? -1 : check_whole_key(b);
}

static int insert_column(struct builder *b, const struct assignment *a)
{
	struct cqle_plan *plan = b->plan;
	const struct cqle_column *c = cqle_column_find(b->table, a->column);
	struct cqle_value value;
	if (c == NULL)
		return plan_undefined_column(b, a->column);
	if (plan_column_value(b, &a->value, c, &value) < 0)
		return -1;
	if (c->kind == CQLE_STATIC || c->kind == CQLE_REGULAR) {
		for (size_t i = 0; i < plan->set_count; i++) {
			if (plan->sets[i].column == c)
				return cqle_fail(b->err, CQL_E_INVALID,
					"Multiple definitions found for column %.*s",
					LAB_VIEW_ARG(c->name));
		}
		plan->sets[plan->set_count++] = (struct cqle_set){ .column = c, .value = value };
		return 0;
	}
	struct cqle_restriction *r = c->kind == CQLE_PARTITION_KEY ? &plan->where.pk[c->position]
								   : &plan->where.ck[c->position];
	if (r->column != NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"The column names contains duplicates: %.*s", LAB_VIEW_ARG(c->name));
	*r = (struct cqle_restriction){ .column = c, .op = OP_EQ, .value_count = 1 };
	r->values = lab_arena_new_of(b->arena, struct cqle_value);
	r->values[0] = value;
	return 0;
}

static bool sets_statics_only(const struct cqle_plan *plan)
{
	for (size_t i = 0; i < plan->set_count; i++) {
		if (plan->sets[i].column->kind != CQLE_STATIC)
			return false;
	}
	return plan->set_count > 0;
}

/* No clustering key is needed, or even allowed to be half there, if only statics change. */
static int check_clustering(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	size_t given = 0;
	for (size_t i = 0; i < b->table->ck_count; i++)
		given += plan->where.ck[i].column != NULL;
	if (given == b->table->ck_count) {
		plan->where.ck_count = given;
		return 0;
	}
	if (given == 0 && sets_statics_only(plan)) {
		plan->static_only = true;
		plan->where.ck_count = 0;
		return 0;
	}
	for (size_t i = 0; i < b->table->ck_count; i++) {
		if (plan->where.ck[i].column == NULL)
			return plan_missing_clustering(b, i);
	}
	return 0;
}

/* Every column has a value, which only the document knows. */
static int build_insert_json(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	const struct cqle_table *t = b->table;
	size_t keys = t->pk_count + t->ck_count;
	struct plan_spec spec = { LAB_VIEW("[json]"), { .id = CQL_TYPE_TEXT }, LAB_VIEW("text") };
	struct cqle_json_source *source = lab_arena_new_of(b->arena, struct cqle_json_source);
	struct cqle_value *document = lab_arena_new_of(b->arena, struct cqle_value);
	struct cqle_value *values = lab_arena_array(b->arena, struct cqle_value, t->column_count);
	if (plan_value(b, &b->s->json_document, &spec, document) < 0)
		return -1;
	*source = (struct cqle_json_source){ document, t, b->s->json_unset };
	plan->sets = lab_arena_array(b->arena, struct cqle_set, t->column_count);
	plan->where.pk = lab_arena_array(b->arena, struct cqle_restriction, t->pk_count);
	plan->where.ck = lab_arena_array(b->arena, struct cqle_restriction, t->ck_count + 1);
	plan->where.ck_count = t->ck_count;
	for (size_t i = 0; i < t->column_count; i++) {
		const struct cqle_column *c = &t->columns[i];
		values[i] = (struct cqle_value){
			.column = c, .type = c->type, .name = c->name, .json = source
		};
		struct cqle_restriction r = {
			.column = c, .op = OP_EQ, .values = &values[i], .value_count = 1
		};
		if (i < t->pk_count)
			plan->where.pk[i] = r;
		else if (i < keys)
			plan->where.ck[i - t->pk_count] = r;
		else
			plan->sets[plan->set_count++] =
				(struct cqle_set){ .column = c, .value = values[i] };
	}
	plan->marker_row = true;
	return check_condition(b);
}

static int build_insert(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	if (cqle_table_is_counter(b->table))
		return cqle_fail(b->err, CQL_E_INVALID,
			"INSERT statements are not allowed on counter tables, use UPDATE instead");
	if (b->s->json_insert)
		return build_insert_json(b);
	if (b->s->value_count != b->s->assignment_count)
		return cqle_fail(b->err, CQL_E_INVALID, "Unmatched column names/values");
	plan->sets = lab_arena_array(b->arena, struct cqle_set, b->s->assignment_count);
	plan->where.pk = lab_arena_array(b->arena, struct cqle_restriction, b->table->pk_count);
	plan->where.ck = lab_arena_array(b->arena, struct cqle_restriction, b->table->ck_count + 1);
	for (size_t i = 0; i < b->s->assignment_count; i++) {
		if (insert_column(b, &b->s->assignments[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < b->table->pk_count; i++) {
		if (plan->where.pk[i].column == NULL)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Some partition key parts are missing: %.*s",
				LAB_VIEW_ARG(cqle_pk(b->table, i)->name));
	}
	if (check_clustering(b) < 0)
		return -1;
	plan->marker_row = !plan->static_only;
	return check_condition(b);
}

/* ---- SET ---- */

/* "l = l + [3]", as Cassandra repeats it (what is put in front, too, with its minus). */
static struct lab_view operation_text(struct builder *b, const struct assignment *a)
{
	struct lab_view left = a->column, right = cqle_term_text(b->arena, &a->value);
	if (a->kind == ASSIGN_FIELD)
		return lab_view_cstr(lab_arena_printf(b->arena, "%.*s.%.*s = %.*s",
			LAB_VIEW_ARG(a->column), LAB_VIEW_ARG(a->key.text), LAB_VIEW_ARG(right)));
	if (a->kind == ASSIGN_ELEMENT) {
		struct lab_view key = cqle_term_text(b->arena, &a->key);
		return lab_view_cstr(lab_arena_printf(b->arena, "%.*s[%.*s] = %.*s",
			LAB_VIEW_ARG(a->column), LAB_VIEW_ARG(key), LAB_VIEW_ARG(right)));
	}
	if (a->kind == ASSIGN_PREPEND) {
		left = right;
		right = a->column;
	}
	return lab_view_cstr(lab_arena_printf(b->arena, "%.*s = %.*s %c %.*s",
		LAB_VIEW_ARG(a->column), LAB_VIEW_ARG(left), a->kind == ASSIGN_ADD ? '+' : '-',
		LAB_VIEW_ARG(right)));
}

static int invalid_operation(struct builder *b, const struct assignment *a,
	const struct cqle_column *c, const char *kind)
{
	struct lab_view text = operation_text(b, a);
	return cqle_fail(b->err, CQL_E_INVALID, "Invalid operation (%.*s) for %s column %.*s",
		LAB_VIEW_ARG(text), kind, LAB_VIEW_ARG(c->name));
}

/* Of a tuple or user type as a whole. */
static const char *const composite_refusals[] = { [ASSIGN_ADD] = "tuple",
	[ASSIGN_REMOVE] = "non counter",
	[ASSIGN_PREPEND] = "non list",
	[ASSIGN_ELEMENT] = "non collection" };

/* What is not a plain value needs a collection that is not frozen, or a counter. */
static int check_operation(
	struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	if (a->kind == ASSIGN_FIELD)
		return c->type.id != CQL_TYPE_UDT ? invalid_operation(b, a, c, "non-UDT")
		       : !c->multicell            ? invalid_operation(b, a, c, "frozen UDT")
						  : 0;
	if (c->type.id == CQL_TYPE_UDT || c->type.id == CQL_TYPE_TUPLE)
		return invalid_operation(b, a, c, composite_refusals[a->kind]);
	if (plan_is_collection(c) && !c->multicell)
		return invalid_operation(b, a, c, "frozen collection");
	if (a->kind == ASSIGN_ELEMENT)
		return !c->multicell                ? invalid_operation(b, a, c, "non collection")
		       : c->type.id == CQL_TYPE_SET ? invalid_operation(b, a, c, "set")
						    : 0;
	if (a->kind == ASSIGN_PREPEND)
		return c->type.id != CQL_TYPE_LIST ? invalid_operation(b, a, c, "non list") : 0;
	return c->multicell ? 0 : invalid_operation(b, a, c, "non counter");
}

static struct plan_spec part_spec(
	struct builder *b, const struct cqle_column *c, const char *part, size_t param)
{
	struct plan_spec spec = { .type = c->type.params[param] };
	spec.name =
		lab_view_cstr(lab_arena_printf(b->arena, "%s(%.*s)", part, LAB_VIEW_ARG(c->name)));
	spec.type_text = cqle_type_text(b->arena, &spec.type);
	return spec;
}

static struct plan_spec index_spec(struct builder *b, const struct cqle_column *c)
{
	return (struct plan_spec){ lab_view_cstr(lab_arena_printf(
					   b->arena, "idx(%.*s)", LAB_VIEW_ARG(c->name))),
		{ .id = CQL_TYPE_INT }, LAB_VIEW("int") };
}

/* What is removed from a map is a set of its keys. */
static struct plan_spec removal_spec(struct builder *b, const struct cqle_column *c)
{
	struct plan_spec spec = { c->name, c->type, c->type_text };
	if (c->type.id == CQL_TYPE_MAP) {
		spec.type.id = CQL_TYPE_SET;
		spec.type.param_count = 1;
		spec.type_text = cqle_type_text(b->arena, &spec.type);
	}
	return spec;
}

static int update_counter(
	struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	if (b->s->timestamp.kind != TERM_NONE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot provide custom timestamp for counter updates");
	if (b->s->ttl.kind != TERM_NONE)
		return cqle_fail(
			b->err, CQL_E_INVALID, "Cannot provide custom TTL for counter updates");
	if (a->kind != ASSIGN_ADD && a->kind != ASSIGN_REMOVE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot set the value of counter column %.*s (counters can only be "
			"incremented/decremented, not set)",
			LAB_VIEW_ARG(a->column));
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	*set = (struct cqle_set){ .column = c,
		.kind = a->kind == ASSIGN_ADD ? CQLE_SET_ADD : CQLE_SET_REMOVE };
	if (plan_column_value(b, &a->value, c, &set->value) < 0)
		return -1;
	if (set->value.is_null)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid null value for counter increment/decrement");
	return 0;
}

static int update_element(
	struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	bool list = c->type.id == CQL_TYPE_LIST;
	struct plan_spec key = list ? index_spec(b, c) : part_spec(b, c, "key", 0);
	struct plan_spec value = part_spec(b, c, "value", list ? 0 : 1);
	*set = (struct cqle_set){ .column = c, .kind = CQLE_SET_ELEMENT };
	b->plan->needs_read = b->plan->needs_read || list;
	return plan_value(b, &a->key, &key, &set->key) < 0
		       ? -1
		       : plan_value(b, &a->value, &value, &set->value);
}

static int unknown_field(struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	return cqle_fail(b->err, CQL_E_INVALID, "UDT column %.*s does not have a field named %.*s",
		LAB_VIEW_ARG(c->name), LAB_VIEW_ARG(a->key.text));
}

static int update_field(struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	size_t field = plan_field(&c->type, a->key.text);
	if (field == 0)
		return unknown_field(b, a, c);
	struct plan_spec spec = { .type = c->type.params[field - 1] };
	spec.name = cqle_field_label(b->arena, &c->type, c->name, field - 1);
	spec.type_text = cqle_type_text_frozen(b->arena, &spec.type);
	*set = (struct cqle_set){ .column = c, .kind = CQLE_SET_ELEMENT, .field = field - 1 };
	return plan_value(b, &a->value, &spec, &set->value);
}

static int update_collection(
	struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	static const enum cqle_set_kind kinds[] = { [ASSIGN_ADD] = CQLE_SET_ADD,
		[ASSIGN_REMOVE] = CQLE_SET_REMOVE,
		[ASSIGN_PREPEND] = CQLE_SET_PREPEND };
	if (a->kind == ASSIGN_ELEMENT)
		return update_element(b, a, c);
	if (a->kind == ASSIGN_FIELD)
		return update_field(b, a, c);
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	struct plan_spec spec = { c->name, c->type, c->type_text };
	*set = (struct cqle_set){ .column = c, .kind = kinds[a->kind] };
	if (a->kind == ASSIGN_REMOVE) {
		spec = removal_spec(b, c);
		b->plan->needs_read = b->plan->needs_read || c->type.id == CQL_TYPE_LIST;
	}
	return plan_value(b, &a->value, &spec, &set->value);
}

/* A column is set once, or changed in parts as often as one likes. */
static int check_set_twice(
	struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	for (size_t i = 0; i < b->plan->set_count; i++) {
		const struct cqle_set *other = &b->plan->sets[i];
		if (other->column == c &&
			(a->kind == ASSIGN_VALUE || other->kind == CQLE_SET_VALUE))
			return cqle_fail(b->err, CQL_E_SYNTAX,
				"Multiple incompatible setting of column %.*s",
				LAB_VIEW_ARG(c->name));
	}
	return 0;
}

static int update_column(struct builder *b, const struct assignment *a)
{
	const struct cqle_column *c = cqle_column_find(b->table, a->column);
	if (c == NULL)
		return plan_undefined_column(b, a->column);
	if (c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING)
		return cqle_fail(b->err, CQL_E_INVALID, "PRIMARY KEY part %.*s found in SET part",
			LAB_VIEW_ARG(c->name));
	if (check_set_twice(b, a, c) < 0)
		return -1;
	if (c->type.id == CQL_TYPE_COUNTER)
		return update_counter(b, a, c);
	if (a->kind != ASSIGN_VALUE)
		return check_operation(b, a, c) < 0 ? -1 : update_collection(b, a, c);
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	*set = (struct cqle_set){ .column = c };
	return plan_column_value(b, &a->value, c, &set->value);
}

static int build_update(struct builder *b)
{
	b->plan->sets = lab_arena_array(b->arena, struct cqle_set, b->s->assignment_count);
	for (size_t i = 0; i < b->s->assignment_count; i++) {
		if (update_column(b, &b->s->assignments[i]) < 0)
			return -1;
	}
	if (plan_where_of_change(b) < 0)
		return -1;
	if (b->plan->where.range_column != NULL)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Slice restrictions are not supported on the clustering columns in UPDATE "
			"statements");
	return check_clustering(b) < 0 ? -1 : check_condition(b);
}

static int delete_element(struct builder *b, const struct assignment *a,
	const struct cqle_column *c, struct cqle_set *set)
{
	bool list = c->type.id == CQL_TYPE_LIST;
	struct plan_spec key = list                         ? index_spec(b, c)
			       : c->type.id == CQL_TYPE_SET ? part_spec(b, c, "value", 0)
							    : part_spec(b, c, "key", 0);
	set->kind = CQLE_SET_DELETE_ELEMENT;
	b->plan->needs_read = b->plan->needs_read || list;
	return plan_value(b, &a->key, &key, &set->key);
}

static int delete_field(struct builder *b, const struct assignment *a, const struct cqle_column *c)
{
	size_t field = plan_field(&c->type, a->key.text);
	if (c->type.id != CQL_TYPE_UDT)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid field deletion operation for non-UDT column %.*s",
			LAB_VIEW_ARG(c->name));
	if (!c->multicell)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Frozen UDT column %.*s does not support field deletions",
			LAB_VIEW_ARG(c->name));
	if (field == 0)
		return unknown_field(b, a, c);
	b->plan->sets[b->plan->set_count++] = (struct cqle_set){ .column = c,
		.kind = CQLE_SET_DELETE_ELEMENT,
		.value = { .column = c, .type = c->type, .is_null = true },
		.field = field - 1 };
	return 0;
}

static int delete_column(struct builder *b, const struct assignment *a)
{
	const struct cqle_column *c = cqle_column_find(b->table, a->column);
	if (c == NULL)
		return plan_undefined_column(b, a->column);
	if (c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid identifier %.*s for deletion (should not be a PRIMARY KEY part)",
			LAB_VIEW_ARG(c->name));
	if (a->kind == ASSIGN_FIELD)
		return delete_field(b, a, c);
	if (a->kind != ASSIGN_VALUE && (!c->multicell || c->type.id == CQL_TYPE_UDT))
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid deletion operation for %s column %.*s",
			plan_is_collection(c) ? "frozen collection" : "non collection",
			LAB_VIEW_ARG(c->name));
	struct cqle_set *set = &b->plan->sets[b->plan->set_count++];
	*set = (struct cqle_set){ .column = c,
		.value = { .column = c, .type = c->type, .is_null = true } };
	return a->kind == ASSIGN_ELEMENT ? delete_element(b, a, c, set) : 0;
}

static int build_delete(struct builder *b)
{
	struct cqle_plan *plan = b->plan;
	plan->sets = lab_arena_array(b->arena, struct cqle_set, b->s->assignment_count);
	for (size_t i = 0; i < b->s->assignment_count; i++) {
		if (delete_column(b, &b->s->assignments[i]) < 0)
			return -1;
	}
	if (plan_where_of_change(b) < 0)
		return -1;
	if (plan->set_count > 0) {
		if (plan->where.range_column != NULL)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Range deletions are not supported for specific columns");
		if (check_clustering(b) < 0)
			return -1;
	}
	return check_condition(b);
}

int plan_change(struct builder *b)
{
	if (b->table->keyspace->local && b->emu->auth == NULL && b->emu->system_ready &&
		!b->emu->filling)
		return cqle_fail(
			b->err, CQL_E_UNAUTHORIZED, "system keyspace is not user-modifiable.");
	if (plan_using(b) < 0)
		return -1;
	return b->s->kind == STATEMENT_INSERT   ? build_insert(b)
	       : b->s->kind == STATEMENT_UPDATE ? build_update(b)
						: build_delete(b);
}
