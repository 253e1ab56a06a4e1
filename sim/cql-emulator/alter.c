/* SPDX-License-Identifier: Apache-2.0
 *
 * alter.c - ALTER TABLE and ALTER KEYSPACE.
 *
 * An altered table is a new one that takes the old one's rows, in its own layout; the old struct
 * stays, says that it is dropped, and knows its successor. Prepared statements are made again, and
 * what is still on its way in the old layout (mutations, hints, answers) is converted when it
 * arrives. Columns are told apart by number: one that was dropped and added again is another.
 */
#include "sim/cql-emulator/schema-private.h"
#include "sim/cql-emulator/table-options.h"

/* ---- rows in another layout ---- */

static const struct cqle_column *same_column(
	const struct cqle_table *table, const struct cqle_column *column)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].id == column->id && table->columns[i].kind == column->kind)
			return &table->columns[i];
	}
	return NULL;
}

/* A new reference. */
static struct cqle_row *convert_row(struct lab_heap *heap, const struct cqle_row *row,
	bool is_static, const struct cqle_table *from, const struct cqle_table *to)
{
	size_t count = is_static ? to->static_count : to->regular_count;
	struct cqle_row *copy = cqle_row_new(heap, cqle_row_key(row), count);
	copy->marker = row->marker;
	copy->marker_ttl_s = row->marker_ttl_s;
	copy->marker_expires_s = row->marker_expires_s;
	copy->deletion = row->deletion;
	for (size_t i = 0; i < count; i++) {
		const struct cqle_column *c = is_static ? cqle_static(to, i) : cqle_regular(to, i);
		const struct cqle_column *before = same_column(from, c);
		if (before == NULL || before->position >= row->cell_count)
			continue;
		copy->cells[i] = row->cells[before->position];
		cqle_cell_ref(&copy->cells[i]);
	}
	return copy;
}

static void replace_row(struct lab_heap *heap, struct cqle_row **row, bool is_static,
	const struct cqle_table *from, const struct cqle_table *to)
{
	struct cqle_row *old = *row;
	if (old == NULL)
		return;
	*row = convert_row(heap, old, is_static, from, to);
	cqle_row_unref(heap, old);
}

struct layouts {
	const struct cqle_table *from, *to;
};

static struct cqle_row *convert_stored(
	struct lab_heap *heap, struct cqle_row *row, bool is_static, const void *ctx)
{
	const struct layouts *layouts = ctx;
	return convert_row(heap, row, is_static, layouts->from, layouts->to);
}

static struct cqle_table *newest(struct cqle_table *table)
{
	while (table->dropped && table->successor != NULL)
		table = table->successor;
	return table;
}

struct cqle_mutation *cqle_mutation_current(struct lab_heap *heap, struct cqle_mutation *m)
{
	struct cqle_table *to = newest(m->table);
	if (to == m->table)
		return to->dropped ? NULL : cqle_mutation_ref(m);
	if (to->dropped)
		return NULL;
	struct cqle_mutation *copy = cqle_mutation_new(heap, to, cqle_bytes_view(m->key), m->token);
	copy->deletion = m->deletion;
	copy->bytes = m->bytes;
	if (m->static_row != NULL)
		copy->static_row = convert_row(heap, m->static_row, true, m->table, to);
	for (uint32_t i = 0; i < m->row_count; i++)
		cqle_mutation_add_row(
			heap, copy, convert_row(heap, m->rows[i], false, m->table, to));
	for (uint32_t i = 0; i < m->range_count; i++)
		cqle_mutation_add_range(heap, copy, cqle_bytes_view(m->ranges[i].start),
			m->ranges[i].end == NULL ? lab_view_of(NULL, 0)
						 : cqle_bytes_view(m->ranges[i].end),
			m->ranges[i].deletion);
	return copy;
}

void cqle_read_current(struct lab_heap *heap, const struct cqle_read *read, size_t node,
	struct cqle_answer *answer)
{
	struct cqle_table *asked = (struct cqle_table *)(uintptr_t)read->table;
	struct cqle_table *table = newest(asked);
	if (table->dropped)
		return;
	cqle_read_store(table->stores[node], read, answer);
	if (table == asked)
		return;
	for (size_t i = 0; i < answer->part_count; i++)
		replace_row(heap, &answer->parts[i].static_row, true, table, asked);
	for (size_t i = 0; i < answer->row_count; i++)
		replace_row(heap, &answer->rows[i], false, table, asked);
}

/* ---- ALTER TABLE ---- */

struct alter {
	struct cqlemu *emu;
	const struct statement *statement;
	const struct cqle_table *old;
	struct cqle_table *table; /* the new one; its columns are a copy with room */
	struct lab_error *err;
};

static struct cqle_column *column_of(struct alter *a, struct lab_view name)
{
	const struct cqle_column *c = cqle_column_find(a->table, name);
	return c == NULL ? NULL : &a->table->columns[c - a->table->columns];
}

/* Where a column of its kind and name belongs: statics and others are in alphabetical order. */
static size_t place_of(const struct cqle_table *t, enum cqle_column_kind kind, struct lab_view name)
{
	size_t at = t->pk_count + t->ck_count;
	while (at < t->column_count &&
		(t->columns[at].kind < kind ||
			(t->columns[at].kind == kind &&
				lab_view_cmp(t->columns[at].name, name) < 0)))
		at++;
	return at;
}

static void renumber(struct cqle_table *t)
{
	t->static_count = t->regular_count = 0;
	for (size_t i = t->pk_count + t->ck_count; i < t->column_count; i++) {
		size_t *count =
			t->columns[i].kind == CQLE_STATIC ? &t->static_count : &t->regular_count;
		t->columns[i].position = (*count)++;
	}
}

static int add_column(struct alter *a, const struct column_definition *d)
{
	struct cqle_table *t = a->table;
	struct cqle_column c = { .kind = d->is_static ? CQLE_STATIC : CQLE_REGULAR };
	bool counters = cqle_table_is_counter(a->old);
	if (column_of(a, d->name) != NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "Column with name '%.*s' already exists",
			LAB_VIEW_ARG(d->name));
	if (t->column_count == CQLEMU_COLUMNS_MAX)
		return cqle_fail(a->err, CQL_E_INVALID, "more than %d columns", CQLEMU_COLUMNS_MAX);
	if (d->is_static && t->ck_count == 0)
		return cqle_fail(a->err, CQL_E_INVALID,
			"Static columns are only useful (and thus allowed) if the table has at "
			"least one clustering column");
	if (schema_column_type(a->emu, t, d, &c, a->err) < 0)
		return -1;
	if ((c.type.id == CQL_TYPE_COUNTER) != counters &&
		(counters || t->static_count + t->regular_count > 0))
		return cqle_fail(a->err, CQL_E_CONFIG,
			counters ? "%.*s: Cannot have a non counter column (\"%.*s\") in a counter "
				   "table"
				 : "%.*s: Cannot have a counter column (\"%.*s\") in a non counter "
				   "table",
			LAB_VIEW_ARG(t->full_name), LAB_VIEW_ARG(d->name));
	c.name = lab_arena_copy(a->emu->permanent, d->name);
	c.id = t->next_column_id++;
	size_t at = place_of(t, c.kind, c.name);
	memmove(&t->columns[at + 1], &t->columns[at], (t->column_count - at) * sizeof(c));
	t->columns[at] = c;
	t->column_count++;
	renumber(t);
	return 0;
}

/* In the order of their names. */
static void note_dropped(struct alter *a, const struct cqle_column *c)
{
	struct cqle_dropped_column *d =
		lab_arena_new_of(a->emu->permanent, struct cqle_dropped_column);
	const struct cqle_dropped_column *old = a->table->dropped_columns;
	struct cqle_dropped_column **link = &a->table->dropped_columns;
	bool is_placed = false;
	*d = (struct cqle_dropped_column){ .name = c->name,
		.type_text = c->type_text,
		.is_static = c->kind == CQLE_STATIC,
		.timestamp_us = cqle_wall_us(a->emu) };
	*link = NULL; /* the old table keeps its own list */
	for (; old != NULL; old = old->next) {
		if (lab_view_eq(old->name, c->name))
			continue;
		if (!is_placed && lab_view_cmp(c->name, old->name) < 0) {
			*link = d;
			link = &d->next;
			is_placed = true;
		}
		*link = lab_arena_new_of(a->emu->permanent, struct cqle_dropped_column);
		**link = *old;
		(*link)->next = NULL;
		link = &(*link)->next;
	}
	if (!is_placed)
		*link = d;
}

static int drop_column(struct alter *a, struct lab_view name)
{
	struct cqle_table *t = a->table;
	struct cqle_column *c = column_of(a, name);
	if (c == NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "Column %.*s was not found in table '%.*s'",
			LAB_VIEW_ARG(name), LAB_VIEW_ARG(t->full_name));
	if (c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING)
		return cqle_fail(a->err, CQL_E_INVALID, "Cannot drop PRIMARY KEY column %.*s",
			LAB_VIEW_ARG(name));
	if (c->multicell && c->type.id == CQL_TYPE_UDT)
		return cqle_fail(a->err, CQL_E_INVALID,
			"Cannot drop non-frozen column %.*s of user type %.*s", LAB_VIEW_ARG(name),
			LAB_VIEW_ARG(c->type_text));
	const char *indexes = schema_index_names(a->emu->scratch, t, c);
	if (indexes != NULL)
		return cqle_fail(a->err, CQL_E_INVALID,
			"Cannot drop column %.*s because it has dependent secondary indexes (%s)",
			LAB_VIEW_ARG(name), indexes);
	note_dropped(a, c);
	size_t at = (size_t)(c - t->columns);
	t->column_count--;
	memmove(c, c + 1, (t->column_count - at) * sizeof(*c));
	renumber(t);
	return 0;
}

static int rename_column(struct alter *a, struct lab_view from, struct lab_view to)
{
	struct cqle_column *c = column_of(a, from);
	if (c == NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "Undefined column name %.*s in table %.*s",
			LAB_VIEW_ARG(from), LAB_VIEW_ARG(a->table->full_name));
	if (c->kind != CQLE_PARTITION_KEY && c->kind != CQLE_CLUSTERING)
		return cqle_fail(a->err, CQL_E_INVALID, "Cannot rename non PRIMARY KEY column %.*s",
			LAB_VIEW_ARG(from));
	if (column_of(a, to) != NULL)
		return cqle_fail(a->err, CQL_E_INVALID,
			"Cannot rename column %.*s to %.*s in table '%.*s'; another column with "
			"that name already exists",
			LAB_VIEW_ARG(from), LAB_VIEW_ARG(to), LAB_VIEW_ARG(a->table->full_name));
	const char *indexes = schema_index_names(a->emu->scratch, a->table, c);
	if (indexes != NULL)
		return cqle_fail(a->err, CQL_E_INVALID,
			"Can't rename column %.*s because it has dependent secondary indexes (%s)",
			LAB_VIEW_ARG(from), indexes);
	c->name = lab_arena_copy(a->emu->permanent, to);
	return 0;
}

static int apply(struct alter *a)
{
	const struct statement *s = a->statement;
	for (size_t i = 0; i < s->column_count; i++) {
		if (add_column(a, &s->columns[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->name_count; i += s->alter == ALTER_RENAME ? 2 : 1) {
		if (s->alter == ALTER_RENAME ? rename_column(a, s->names[i], s->names[i + 1]) < 0
					     : drop_column(a, s->names[i]) < 0)
			return -1;
	}
	return cqle_options_set(a->emu, s, a->table, a->err);
}

struct cqle_table *schema_successor(
	struct cqlemu *emu, const struct cqle_table *old, size_t more_columns)
{
	struct cqle_table *table = lab_arena_new_of(emu->permanent, struct cqle_table);
	*table = *old;
	table->columns = lab_arena_array(
		emu->permanent, struct cqle_column, old->column_count + more_columns);
	memcpy(table->columns, old->columns, old->column_count * sizeof(*old->columns));
	return table;
}

void schema_succeed(struct cqlemu *emu, struct cqle_table *old, struct cqle_table *table)
{
	struct layouts layouts = { old, table };
	/* What was kept is in the layout of the last ALTER already. */
	for (size_t i = 0; i < emu->node_count && !emu->restoring; i++) {
		cqle_store_convert(table->stores[i], convert_stored, &layouts);
		if (table->durable != NULL)
			cqle_store_convert(table->durable[i], convert_stored, &layouts);
	}
	for (size_t i = 0; i < emu->table_count; i++) {
		if (emu->tables[i] == old)
			emu->tables[i] = table;
	}
	old->dropped = true;
	old->successor = table;
	old->stores = old->durable = NULL;
	old->filled = NULL;
	old->read_latency = NULL;
}

int schema_alter_table(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct cqle_table *old = cqle_table_find(emu, keyspace, s->table);
	if (old == NULL)
		return cqle_fail(err, CQL_E_INVALID, "Table '%.*s.%.*s' doesn't exist",
			LAB_VIEW_ARG(keyspace), LAB_VIEW_ARG(s->table));
	if (s->alter == ALTER_TYPE)
		return cqle_fail(
			err, CQL_E_INVALID, "Altering column types is no longer supported");
	struct cqle_table *table = schema_successor(emu, old, s->column_count);
	struct alter a = { emu, s, old, table, err };
	if (apply(&a) < 0)
		return -1;
	if (s->alter == ALTER_WITH && cqle_options_equal(old, table))
		return 0;
	schema_succeed(emu, old, table);
	ret->change = (struct cql_schema_change){ .change = LAB_VIEW("UPDATED"),
		.target = LAB_VIEW("TABLE"),
		.keyspace = table->keyspace->name,
		.name = table->name };
	return 0;
}
