/* SPDX-License-Identifier: Apache-2.0
 *
 * aggregate.c - count, min, max, sum, avg, and GROUP BY: rows become groups, and a group a row.
 */
#include "sim/cql-emulator/plan-private.h"

/* ---- the plan ---- */

/* What has no aggregate in it is worth what it was for the group's first row. */
static void give_slots(struct cqle_plan *plan, struct cqle_expr *x)
{
	if (!x->aggregates) {
		x->slot = plan->slot_count++;
		return;
	}
	for (size_t i = 0; x->kind != CQLE_EXPR_AGGREGATE && i < x->arg_count; i++)
		give_slots(plan, &x->args[i]);
}

static bool is_fixed(const struct builder *b, size_t i)
{
	const struct cqle_where *w = &b->plan->where;
	if (i < b->table->pk_count)
		return w->pk != NULL && w->pk[i].op == OP_EQ;
	size_t at = i - b->table->pk_count;
	return at < w->ck_count && w->ck[at].op == OP_EQ;
}

/* Columns behind each other from `*next`, but for those that are fixed anyway. */
static int group_column(struct builder *b, struct lab_view name, size_t *next)
{
	size_t keys = b->table->pk_count + b->table->ck_count;
	const struct cqle_column *c = cqle_column_find(b->table, name);
	if (c == NULL)
		return plan_undefined_column(b, name);
	if (c->kind != CQLE_PARTITION_KEY && c->kind != CQLE_CLUSTERING)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Group by is currently only supported on the columns of the PRIMARY KEY, "
			"got %.*s",
			LAB_VIEW_ARG(c->name));
	while (*next < keys && &b->table->columns[*next] != c && is_fixed(b, *next))
		(*next)++;
	if (*next >= keys || &b->table->columns[*next] != c)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Group by currently only support groups of columns following their "
			"declared order in the PRIMARY KEY");
	(*next)++;
	return 0;
}

int plan_select_groups(struct builder *b)
{
	size_t next = 0;
	for (size_t i = 0; i < b->s->group_count; i++) {
		if (group_column(b, b->s->groups[i], &next) < 0)
			return -1;
	}
	if (b->s->group_count > 0) {
		while (next < b->table->pk_count && is_fixed(b, next))
			next++;
		if (next < b->table->pk_count)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Group by is not supported on only a part of the partition key");
		b->plan->grouping = b->plan->aggregating = true;
		b->plan->group_clustering = next - b->table->pk_count;
	}
	for (size_t i = 0; b->plan->aggregating && i < b->plan->item_count; i++)
		give_slots(b->plan, &b->plan->items[i]);
	return 0;
}

/* ---- sums ---- */

/* As Cassandra does: Kahan's sum, beside it a plain one for infinities. */
static void add_double(struct cqle_aggregate *state, double number)
{
	double y = number - state->compensation, total = state->total + y;
	state->simple += number;
	state->compensation = (total - state->total) - y;
	state->total = total;
}

static bool is_floating(uint16_t id)
{
	return id == CQL_TYPE_DOUBLE || id == CQL_TYPE_FLOAT;
}

/* Sums of integers wrap around; what their average is of does not. */
static bool is_exact(const struct cqle_function *f)
{
	return f->arg == CQL_TYPE_DECIMAL || f->arg == CQL_TYPE_VARINT || f->id == CQLE_FN_AVG;
}

static int add_number(const struct cqle_eval *e, struct lab_arena *keep,
	const struct cqle_function *f, struct lab_view value, struct cqle_aggregate *state)
{
	int64_t number = 0;
	if (is_floating(f->arg)) {
		add_double(state, cqle_double_of(f->arg, value));
		return 0;
	}
	if (f->arg == CQL_TYPE_DECIMAL && f->id == CQLE_FN_AVG
			? cqle_exact_average(keep, &state->exact, value, state->count) < 0
		: is_exact(f) ? cqle_exact_add(keep, &state->exact, f->arg, value) < 0
			      : cql_value_to_i64(f->arg, value, &number) < 0)
		return cqle_fail(e->err, CQL_E_INVALID, "%s of so large a %s is not supported here",
			f->name, cql_type_name(f->arg));
	state->sum += (uint64_t)number;
	return 0;
}

static void keep_extreme(const struct cqle_eval *e, struct lab_arena *keep,
	const struct cqle_function *f, struct lab_view value, struct cqle_aggregate *state)
{
	struct cql_type type = { .id = f->arg };
	int order = state->set ? cqle_value_compare(e->arena, &type, value, state->value) : 0;
	if (state->set && (f->id == CQLE_FN_MIN ? order >= 0 : order <= 0))
		return;
	state->value = lab_arena_copy(keep, value);
	state->set = true;
}

static int add_argument(const struct cqle_eval *e, struct lab_arena *keep,
	const struct cqle_expr *x, struct cqle_aggregate *state)
{
	const struct cqle_function *f = x->function;
	struct lab_view value = lab_view_of("", 0);
	if (x->arg_count == 1 && cqle_eval(e, &x->args[0], &value) < 0)
		return -1;
	if (value.ptr == NULL)
		return 0;
	if (f->id == CQLE_FN_MIN || f->id == CQLE_FN_MAX) {
		keep_extreme(e, keep, f, value, state);
		return 0;
	}
	if (f->id != CQLE_FN_COUNT && value.len == 0)
		return 0;
	state->count++;
	return f->id == CQLE_FN_COUNT ? 0 : add_number(e, keep, f, value, state);
}

int cqle_aggregate_add(const struct cqle_eval *e, struct lab_arena *keep, const struct cqle_expr *x,
	struct cqle_aggregate *states)
{
	struct cqle_aggregate *state = &states[x->slot];
	if (x->kind == CQLE_EXPR_AGGREGATE)
		return add_argument(e, keep, x, state);
	if (!x->aggregates) {
		if (state->set)
			return 0;
		state->set = true;
		if (cqle_eval(e, x, &state->value) < 0)
			return -1;
		if (state->value.ptr != NULL)
			state->value = lab_arena_copy(keep, state->value);
		return 0;
	}
	for (size_t i = 0; i < x->arg_count; i++) {
		if (cqle_aggregate_add(e, keep, &x->args[i], states) < 0)
			return -1;
	}
	return 0;
}

/* ---- what a group comes to ---- */

static size_t integer_size(uint16_t id)
{
	return id == CQL_TYPE_TINYINT    ? 1
	       : id == CQL_TYPE_SMALLINT ? 2
	       : id == CQL_TYPE_INT      ? 4
					 : 8;
}

static int exact_result(const struct cqle_eval *e, const struct cqle_function *f,
	const struct cqle_aggregate *state, struct lab_view *ret)
{
	bool divide = f->id == CQLE_FN_AVG && f->arg != CQL_TYPE_DECIMAL;
	int64_t number;
	if (cqle_exact_result(e->arena, state->exact, f->ret, divide ? state->count : 1, ret) < 0)
		return cqle_fail(
			e->err, CQL_E_INVALID, "%s of so many is not supported here", f->name);
	if (f->ret != CQL_TYPE_DECIMAL && f->ret != CQL_TYPE_VARINT) {
		(void)cql_value_to_i64(CQL_TYPE_BIGINT, *ret, &number);
		*ret = cqle_big_endian(e->arena, (uint64_t)number, integer_size(f->ret));
	}
	return 0;
}

static struct lab_view floating_result(const struct cqle_eval *e, const struct cqle_function *f,
	const struct cqle_aggregate *state)
{
	double total = state->total - state->compensation;
	if (total != total && state->simple - state->simple != 0)
		total = state->simple;
	if (f->id == CQLE_FN_AVG)
		total = state->count == 0 ? 0 : total / (double)state->count;
	return cqle_double_value(e->arena, f->ret, total);
}

int cqle_aggregate_value(const struct cqle_eval *e, const struct cqle_function *f,
	const struct cqle_aggregate *state, struct lab_view *ret)
{
	if (f->id == CQLE_FN_MIN || f->id == CQLE_FN_MAX) {
		*ret = state->value;
		return 0;
	}
	if (f->id == CQLE_FN_COUNT) {
		*ret = cql_value_bigint(e->arena, (int64_t)state->count);
		return 0;
	}
	if (is_floating(f->ret))
		*ret = floating_result(e, f, state);
	else if (is_exact(f))
		return exact_result(e, f, state, ret);
	else
		*ret = cqle_big_endian(e->arena, state->sum, integer_size(f->ret));
	return 0;
}
