/* SPDX-License-Identifier: Apache-2.0
 *
 * index.c - CREATE INDEX and DROP INDEX, and which relations an index serves.
 *
 * There is nothing to look up: what an index finds is what filtering all of the asked partitions
 * finds, from the same replicas and in the same order. It decides what needs ALLOW FILTERING.
 */
#include "sim/cql-emulator/plan-private.h"
#include "sim/cql-emulator/schema-private.h"

struct indexer {
	struct cqlemu *emu;
	const struct statement *statement;
	struct lab_view keyspace;
	struct lab_error *err;
};

static const char *const target_names[] = { [INDEX_SIMPLE] = "",
	[INDEX_VALUES] = "values",
	[INDEX_KEYS] = "keys",
	[INDEX_ENTRIES] = "entries",
	[INDEX_FULL] = "full" };

static bool is_collection(const struct cqle_column *c)
{
	return c->type.id == CQL_TYPE_LIST || c->type.id == CQL_TYPE_SET ||
	       c->type.id == CQL_TYPE_MAP;
}

/* ---- CREATE ---- */

static int check_custom(const struct indexer *x)
{
	const struct statement *s = x->statement;
	bool class = s->index_class.ptr != NULL;
	if (s->index_custom && !class)
		return cqle_fail(
			x->err, CQL_E_INVALID, "CUSTOM index requires specifiying the index class");
	if (!s->index_custom && (class || s->property_count > 0))
		return cqle_fail(x->err, CQL_E_INVALID,
			class ? "Cannot specify index class for a non-CUSTOM index"
			      : "Cannot specify options for a non-CUSTOM index");
	if (!s->index_custom)
		return 0;
	if (lab_view_eq_cstr(s->index_class, "org.apache.cassandra.index.sasi.SASIIndex"))
		return cqle_fail(x->err, CQL_E_INVALID,
			"SASI indexes are disabled. Enable in cassandra.yaml to use.");
	return cqle_fail(x->err, CQL_E_CONFIG, "Unable to find custom indexer class '%.*s'",
		LAB_VIEW_ARG(s->index_class));
}

static int check_duration(const struct indexer *x, const struct cqle_column *c)
{
	if (!cqle_type_has(&c->type, CQL_TYPE_DURATION))
		return 0;
	return cqle_fail(x->err, CQL_E_INVALID, "Secondary indexes are not supported on %s",
		is_collection(c)               ? "collections containing durations"
		: c->type.id == CQL_TYPE_TUPLE ? "tuples containing durations"
		: c->type.id == CQL_TYPE_UDT   ? "UDTs containing durations"
					       : "duration columns");
}

static int check_collection(
	const struct indexer *x, const struct cqle_column *c, enum index_target target)
{
	bool collection = is_collection(c), frozen = collection && !c->multicell;
	const char *kind = target_names[target == INDEX_SIMPLE ? INDEX_VALUES : target];
	if (frozen && target != INDEX_FULL)
		return cqle_fail(x->err, CQL_E_INVALID,
			"Cannot create %s() index on frozen column %.*s. Frozen collections are "
			"immutable and must be fully indexed by using the 'full(%.*s)' modifier",
			kind, LAB_VIEW_ARG(c->name), LAB_VIEW_ARG(c->name));
	if (!frozen && target == INDEX_FULL)
		return cqle_fail(x->err, CQL_E_INVALID,
			"full() indexes can only be created on frozen collections");
	if (!collection && target != INDEX_SIMPLE)
		return cqle_fail(x->err, CQL_E_INVALID,
			"Cannot create %s() index on %.*s. Non-collection columns only support "
			"simple indexes",
			kind, LAB_VIEW_ARG(c->name));
	if (c->type.id != CQL_TYPE_MAP && (target == INDEX_KEYS || target == INDEX_ENTRIES))
		return cqle_fail(x->err, CQL_E_INVALID,
			"Cannot create index on %s of column %.*s with non-map type", kind,
			LAB_VIEW_ARG(c->name));
	if (c->type.id == CQL_TYPE_UDT && c->multicell)
		return cqle_fail(x->err, CQL_E_INVALID,
			"Cannot create index on non-frozen UDT column %.*s", LAB_VIEW_ARG(c->name));
	return 0;
}

static int check_target(
	const struct indexer *x, const struct cqle_table *t, const struct cqle_column **ret_column)
{
	const struct statement *s = x->statement;
	if (s->name_count != 1)
		return cqle_fail(x->err, CQL_E_INVALID,
			s->name_count == 0 ? "Only CUSTOM indexes can be created without "
					     "specifying a target column"
					   : "Only CUSTOM indexes support multiple columns");
	const struct cqle_column *c = cqle_column_find(t, s->names[0]);
	if (c == NULL)
		return cqle_fail(x->err, CQL_E_INVALID, "Undefined column name %.*s in table %.*s",
			LAB_VIEW_ARG(s->names[0]), LAB_VIEW_ARG(t->full_name));
	if (check_duration(x, c) < 0)
		return -1;
	if (c->kind == CQLE_PARTITION_KEY && t->pk_count == 1)
		return cqle_fail(x->err, CQL_E_INVALID,
			"Cannot create secondary index on the only partition key column %.*s",
			LAB_VIEW_ARG(c->name));
	*ret_column = c;
	return check_collection(x, c, s->index_target);
}

static const struct cqle_index *find_index(const struct cqle_table *t, struct lab_view name)
{
	for (size_t i = 0; i < t->index_count; i++) {
		if (lab_view_eq(t->indexes[i].name, name))
			return &t->indexes[i];
	}
	return NULL;
}

/* Names of indexes are unique in their keyspace. */
static struct cqle_table *table_of_index(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (lab_view_eq(t->keyspace->name, keyspace) && find_index(t, name) != NULL)
			return t;
	}
	return NULL;
}

/* table_column_idx, with a number if that is taken. */
static struct lab_view free_name(
	const struct indexer *x, const struct cqle_table *t, const struct cqle_column *c)
{
	const char *base = lab_arena_printf(
		x->emu->permanent, "%.*s_%.*s_idx", LAB_VIEW_ARG(t->name), LAB_VIEW_ARG(c->name));
	const char *name = base;
	for (unsigned i = 1; table_of_index(x->emu, x->keyspace, lab_view_cstr(name)) != NULL; i++)
		name = lab_arena_printf(x->emu->permanent, "%s_%u", base, i);
	return lab_view_cstr(name);
}

static int add_index(const struct indexer *x, struct cqle_table *old,
	const struct cqle_index *index, struct lab_view *ret_table)
{
	struct cqle_table *table = schema_successor(x->emu, old, 0);
	if (old->index_count == CQLE_INDEXES_MAX)
		return cqle_fail(
			x->err, CQL_E_INVALID, "more than %d indexes of a table", CQLE_INDEXES_MAX);
	table->indexes =
		lab_arena_array(x->emu->permanent, struct cqle_index, old->index_count + 1);
	if (old->index_count > 0)
		memcpy(table->indexes, old->indexes, old->index_count * sizeof(*index));
	table->indexes[table->index_count++] = *index;
	schema_succeed(x->emu, old, table);
	*ret_table = table->name;
	return 0;
}

static int find_table(const struct indexer *x, struct cqle_table **ret)
{
	const struct statement *s = x->statement;
	if (cqle_keyspace_find(x->emu, x->keyspace) == NULL)
		return cqle_fail(x->err, CQL_E_INVALID, "Keyspace '%.*s' doesn't exist",
			LAB_VIEW_ARG(x->keyspace));
	*ret = cqle_table_find(x->emu, x->keyspace, s->table);
	return *ret != NULL ? 0
			    : cqle_fail(x->err, CQL_E_INVALID, "Table '%.*s' doesn't exist",
				      LAB_VIEW_ARG(s->table));
}

static int create(const struct indexer *x, struct lab_view *ret_table)
{
	const struct statement *s = x->statement;
	struct cqle_table *t;
	const struct cqle_column *c = NULL;
	if (check_custom(x) < 0 || find_table(x, &t) < 0)
		return -1;
	bool named = s->index_name.ptr != NULL;
	if (named && table_of_index(x->emu, x->keyspace, s->index_name) != NULL)
		return s->if_not_exists
			       ? 0
			       : cqle_fail(x->err, CQL_E_INVALID, "Index '%.*s' already exists",
					 LAB_VIEW_ARG(s->index_name));
	if (cqle_table_is_counter(t))
		return cqle_fail(x->err, CQL_E_INVALID,
			"Secondary indexes on counter tables aren't supported");
	if (check_target(x, t, &c) < 0)
		return -1;
	struct cqle_index index = { .target = s->index_target, .column_id = c->id };
	if (index.target == INDEX_SIMPLE && is_collection(c))
		index.target = INDEX_VALUES;
	index.name = named ? lab_arena_copy(x->emu->permanent, s->index_name) : free_name(x, t, c);
	for (size_t i = 0; i < t->index_count; i++) {
		const struct cqle_index *other = &t->indexes[i];
		if (other->column_id != c->id || other->target != index.target)
			continue;
		return s->if_not_exists
			       ? 0
			       : cqle_fail(x->err, CQL_E_INVALID,
					 "Index %.*s is a duplicate of existing index %.*s",
					 LAB_VIEW_ARG(index.name), LAB_VIEW_ARG(other->name));
	}
	return add_index(x, t, &index, ret_table);
}

/* ---- DROP ---- */

static int drop(const struct indexer *x, struct lab_view *ret_table)
{
	const struct statement *s = x->statement;
	struct cqle_table *old = table_of_index(x->emu, x->keyspace, s->index_name);
	if (old == NULL)
		return s->if_exists
			       ? 0
			       : cqle_fail(x->err, CQL_E_INVALID,
					 "Index '%.*s.%.*s' doesn't exist'",
					 LAB_VIEW_ARG(x->keyspace), LAB_VIEW_ARG(s->index_name));
	struct cqle_table *table = schema_successor(x->emu, old, 0);
	table->indexes = lab_arena_array(x->emu->permanent, struct cqle_index, old->index_count);
	table->index_count = 0;
	for (size_t i = 0; i < old->index_count; i++) {
		if (!lab_view_eq(old->indexes[i].name, s->index_name))
			table->indexes[table->index_count++] = old->indexes[i];
	}
	schema_succeed(x->emu, old, table);
	*ret_table = table->name;
	return 0;
}

int cqle_index_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct indexer x = { emu, s, keyspace, err };
	struct lab_view table = { NULL, 0 };
	int result = s->kind == STATEMENT_CREATE_INDEX ? create(&x, &table) : drop(&x, &table);
	if (result == 0 && table.ptr != NULL)
		ret->change = (struct cql_schema_change){ .change = LAB_VIEW("UPDATED"),
			.target = LAB_VIEW("TABLE"),
			.keyspace = lab_arena_copy(emu->permanent, keyspace),
			.name = table };
	return result;
}

const struct cqle_table *cqle_index_table(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name)
{
	return table_of_index(emu, keyspace, name);
}

const char *cqle_index_target_text(
	struct lab_arena *arena, const struct cqle_table *t, const struct cqle_index *index)
{
	for (size_t i = 0; i < t->column_count; i++) {
		if (t->columns[i].id != index->column_id)
			continue;
		const char *name = cqle_name_text(arena, t->columns[i].name);
		return index->target == INDEX_SIMPLE ? name
						     : lab_arena_printf(arena, "%s(%s)",
							       target_names[index->target], name);
	}
	lab_bug("an index has no column");
}

const char *schema_index_names(
	struct lab_arena *arena, const struct cqle_table *t, const struct cqle_column *c)
{
	const char *names = NULL;
	for (size_t i = 0; i < t->index_count; i++) {
		if (t->indexes[i].column_id == c->id)
			names = lab_arena_printf(arena, "%s%s%.*s", names == NULL ? "" : names,
				names == NULL ? "" : ", ", LAB_VIEW_ARG(t->indexes[i].name));
	}
	return names;
}

/* ---- WHERE ---- */

static enum index_target target_for(const struct cqle_restriction *r)
{
	if (r->op == OP_CONTAINS)
		return INDEX_VALUES;
	if (r->op == OP_CONTAINS_KEY)
		return INDEX_KEYS;
	if (r->key != NULL)
		return INDEX_ENTRIES;
	return is_collection(r->column) ? INDEX_FULL : INDEX_SIMPLE;
}

bool plan_is_indexed(const struct cqle_table *t, const struct cqle_restriction *r)
{
	bool served = r->op == OP_EQ || r->op == OP_CONTAINS || r->op == OP_CONTAINS_KEY;
	for (size_t i = 0; i < t->index_count && served; i++) {
		if (t->indexes[i].column_id == r->column->id &&
			t->indexes[i].target == target_for(r))
			return true;
	}
	return false;
}
