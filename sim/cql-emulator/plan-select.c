/* SPDX-License-Identifier: Apache-2.0
 *
 * plan-select.c - a SELECT against the schema: where it looks, what it filters, its order
 * and limits.
 */
#include "sim/cql-emulator/plan-private.h"

#define FILTERING_TEXT \
	"Cannot execute this query as it might involve data filtering and thus may have " \
	"unpredictable performance. If you want to execute this query despite the performance " \
	"unpredictability, use ALLOW FILTERING"

static int token_relation(struct builder *b, struct plan_relation *r)
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
	if (plan_number(b, &rel->value, "partition key token", CQL_TYPE_BIGINT, &bound->value) < 0)
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
static int take_filters(struct builder *b, struct plan_relation *all)
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
	struct plan_relation *all;
	struct cqle_where *w = &b->plan->where;
	if (plan_resolve(b, &all) < 0)
		return -1;
	for (size_t i = 0; i < b->s->relation_count; i++) {
		if (all[i].column == NULL && token_relation(b, &all[i]) < 0)
			return -1;
	}
	if (!w->token_used && plan_pk_equals(b, all) == b->table->pk_count) {
		plan_take_pk(b, all);
		plan_take_ck(b, all);
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
		plan_number(b, &b->s->partition_limit, "[per_partition_limit]", CQL_TYPE_INT,
			&b->plan->partition_limit) < 0)
		return -1;
	return b->plan->has_limit
		       ? plan_number(b, &b->s->limit, "[limit]", CQL_TYPE_INT, &b->plan->limit)
		       : 0;
}

/* A partition of which only statics are left is a row of its own where no clustering is asked
 * for. */
static bool wants_statics(const struct builder *b)
{
	const struct cqle_where *w = &b->plan->where;
	return b->table->static_count > 0 && w->ck_count == 0 && w->range_column == NULL;
}

int plan_select(struct builder *b)
{
	if (plan_select_items(b) < 0 || check_distinct(b) < 0 || where_of_select(b) < 0 ||
		plan_select_groups(b) < 0 || select_order(b) < 0 || check_distinct(b) < 0 ||
		select_limits(b) < 0)
		return -1;
	b->plan->wants_statics = wants_statics(b);
	return 0;
}
