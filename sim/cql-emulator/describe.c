/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c - DESCRIBE: which elements of the schema, in which order, in which words, on pages.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/parser-private.h"
#include "sim/cql-emulator/table-options.h"

#include <stdlib.h>

#define LOCATOR "org.apache.cassandra.locator."
#define PAGING_VERSION 1

/* ---- names ---- */

bool cqle_keyspace_is_virtual(struct lab_view keyspace)
{
	return lab_view_eq_cstr(keyspace, "system_views") ||
	       lab_view_eq_cstr(keyspace, "system_virtual_schema");
}

static bool is_plain(struct lab_view name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (i > 0 && (c == '_' || (c >= '0' && c <= '9')))))
			return false;
	}
	return name.len > 0 && !parser_is_reserved(name);
}

const char *cqle_quoted_name(struct lab_arena *arena, struct lab_view name)
{
	if (is_plain(name))
		return lab_arena_cstr(arena, name);
	char *out = lab_arena_alloc(arena, 2 * name.len + 3), *at = out;
	*at++ = '"';
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"')
			*at++ = '"';
		*at++ = (char)name.ptr[i];
	}
	*at = '"';
	return out;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Without case; what differs in case only, as it is. */
static int name_order(struct lab_view a, struct lab_view b)
{
	for (size_t i = 0; i < LAB_MIN(a.len, b.len); i++) {
		int difference = (int)lower(a.ptr[i]) - (int)lower(b.ptr[i]);
		if (difference != 0)
			return difference;
	}
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return lab_view_cmp(a, b);
}

/* ---- the answer ---- */

struct describer {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct describe_statement *d;
	struct lab_view current; /* of USE; ptr NULL: none */
	struct lab_error *err;
	bool listing; /* names alone */
	struct lab_view *cells;
	size_t column_count, row_count, capacity;
};

static struct lab_view *add_row(struct describer *r)
{
	if (r->row_count == r->capacity) {
		size_t capacity = r->capacity == 0 ? 32 : 2 * r->capacity;
		struct lab_view *cells =
			lab_arena_array(r->arena, struct lab_view, capacity * r->column_count);
		if (r->row_count > 0)
			memcpy(cells, r->cells,
				r->row_count * r->column_count * sizeof(struct lab_view));
		r->cells = cells;
		r->capacity = capacity;
	}
	return &r->cells[r->row_count++ * r->column_count];
}

static void add(struct describer *r, struct lab_view keyspace, const char *type,
	struct lab_view name, const char *text)
{
	struct lab_view *cells = add_row(r);
	cells[0] = lab_view_cstr(cqle_quoted_name(r->arena, keyspace));
	cells[1] = lab_view_cstr(type);
	cells[2] = lab_view_cstr(cqle_quoted_name(r->arena, name));
	if (!r->listing)
		cells[3] = lab_view_cstr(text);
}

/* ---- a keyspace in words ---- */

static const char *replication_text(struct describer *r, const struct cqle_keyspace *ks)
{
	struct lab_view class = ks->strategy;
	if (lab_view_starts_with(class, LAB_VIEW(LOCATOR)))
		class = lab_view_skip(class, strlen(LOCATOR));
	const char *text = lab_arena_printf(r->arena, "{'class': '%.*s'", LAB_VIEW_ARG(class));
	if (ks->simple)
		text = lab_arena_printf(
			r->arena, "%s, 'replication_factor': '%u'", text, ks->total);
	for (size_t dc = 0; !ks->simple && dc < r->emu->dc_count; dc++) {
		if (ks->per_dc[dc] > 0)
			text = lab_arena_printf(r->arena, "%s, '%.*s': '%u'", text,
				LAB_VIEW_ARG(r->emu->dc_names[dc]), ks->per_dc[dc]);
	}
	return lab_arena_printf(r->arena, "%s}", text);
}

static void add_keyspace(struct describer *r, const struct cqle_keyspace *ks)
{
	const char *name = cqle_quoted_name(r->arena, ks->name);
	const char *text;
	if (cqle_keyspace_is_virtual(ks->name))
		text = lab_arena_printf(r->arena,
			"/*\nWarning: Keyspace %s is a virtual keyspace and cannot be recreated "
			"with CQL.\nStructure, for reference:\nVIRTUAL KEYSPACE %s;\n*/",
			name, name);
	else
		text = lab_arena_printf(r->arena,
			"CREATE KEYSPACE %s WITH replication = %s  AND durable_writes = %s;", name,
			replication_text(r, ks), ks->durable_writes ? "true" : "false");
	add(r, ks->name, "keyspace", ks->name, text);
}

/* ---- a table in words ---- */

static void put_column(struct describer *r, struct lab_buf *out, const struct cqle_table *t,
	const struct cqle_column *c)
{
	bool key = c->kind == CQLE_PARTITION_KEY && t->pk_count == 1 && t->ck_count == 0;
	lab_buf_printf(out, "\n    %s %.*s%s%s", cqle_quoted_name(r->arena, c->name),
		LAB_VIEW_ARG(c->type_text), c->kind == CQLE_STATIC ? " static" : "",
		key ? " PRIMARY KEY" : "");
}

/* Those that are collections of cells come last. */
static void put_columns(struct describer *r, struct lab_buf *out, const struct cqle_table *t)
{
	bool first = true;
	for (unsigned kind = CQLE_PARTITION_KEY; kind <= CQLE_REGULAR; kind++) {
		for (unsigned multicell = 0; multicell < 2; multicell++) {
			for (size_t i = 0; i < t->column_count; i++) {
				const struct cqle_column *c = &t->columns[i];
				if (c->kind != (enum cqle_column_kind)kind ||
					c->multicell != (multicell == 1))
					continue;
				lab_buf_append_cstr(out, first ? "" : ",");
				first = false;
				put_column(r, out, t, c);
			}
		}
	}
	for (const struct cqle_dropped_column *d = t->dropped_columns; r->d->internals && d != NULL;
		d = d->next) {
		if (cqle_column_find(t, d->name) == NULL)
			lab_buf_printf(out, ",\n    %s %.*s%s", cqle_quoted_name(r->arena, d->name),
				LAB_VIEW_ARG(d->type_text), d->is_static ? " static" : "");
	}
}

static void put_primary_key(struct describer *r, struct lab_buf *out, const struct cqle_table *t)
{
	if (t->pk_count == 1 && t->ck_count == 0)
		return;
	lab_buf_append_cstr(
		out, t->pk_count > 1 ? ",\n    PRIMARY KEY ((" : ",\n    PRIMARY KEY (");
	for (size_t i = 0; i < t->pk_count; i++)
		lab_buf_printf(out, "%s%s", i > 0 ? ", " : "",
			cqle_quoted_name(r->arena, cqle_pk(t, i)->name));
	lab_buf_append_cstr(out, t->pk_count > 1 ? ")" : "");
	for (size_t i = 0; i < t->ck_count; i++)
		lab_buf_printf(out, ", %s", cqle_quoted_name(r->arena, cqle_ck(t, i)->name));
	lab_buf_append_cstr(out, ")");
}

static void put_order(struct describer *r, struct lab_buf *out, const struct cqle_table *t)
{
	if (t->ck_count == 0)
		return;
	lab_buf_append_cstr(out, "CLUSTERING ORDER BY (");
	for (size_t i = 0; i < t->ck_count; i++)
		lab_buf_printf(out, "%s%s %s", i > 0 ? ", " : "",
			cqle_quoted_name(r->arena, cqle_ck(t, i)->name),
			cqle_ck(t, i)->descending ? "DESC" : "ASC");
	lab_buf_append_cstr(out, ")\n    AND ");
}

static void put_options(struct describer *r, struct lab_buf *out, const struct cqle_table *t)
{
	const struct cqle_table_options *o = &t->options;
	struct lab_arena *a = r->arena;
	lab_buf_printf(out, "additional_write_policy = '%.*s'\n",
		LAB_VIEW_ARG(o->additional_write_policy));
	lab_buf_printf(out, "    AND bloom_filter_fp_chance = %s\n",
		cqle_option_double(a, o->bloom_filter_fp_chance));
	lab_buf_printf(out, "    AND caching = %s\n", cqle_option_map_text(a, &o->caching));
	lab_buf_printf(out, "    AND cdc = %s\n", o->cdc ? "true" : "false");
	lab_buf_printf(out, "    AND comment = '%.*s'\n",
		LAB_VIEW_ARG(cqle_quotes_doubled(a, t->comment)));
	lab_buf_printf(out, "    AND compaction = %s\n", cqle_option_map_text(a, &o->compaction));
	lab_buf_printf(out, "    AND compression = %s\n", cqle_option_map_text(a, &o->compression));
	lab_buf_printf(
		out, "    AND crc_check_chance = %s\n", cqle_option_double(a, o->crc_check_chance));
	lab_buf_printf(out, "    AND default_time_to_live = %u\n", t->default_ttl_s);
	lab_buf_append_cstr(out, "    AND extensions = {}\n");
	lab_buf_printf(out, "    AND gc_grace_seconds = %u\n", t->gc_grace_s);
	lab_buf_printf(out, "    AND max_index_interval = %d\n", o->max_index_interval);
	lab_buf_printf(
		out, "    AND memtable_flush_period_in_ms = %d\n", o->memtable_flush_period_ms);
	lab_buf_printf(out, "    AND min_index_interval = %d\n", o->min_index_interval);
	lab_buf_printf(
		out, "    AND read_repair = '%s'\n", t->repairs_nothing ? "NONE" : "BLOCKING");
	lab_buf_printf(out, "    AND speculative_retry = '%.*s'", LAB_VIEW_ARG(t->retry_text));
}

static void put_dropped(
	struct describer *r, struct lab_buf *out, const struct cqle_table *t, const char *name)
{
	for (const struct cqle_dropped_column *d = t->dropped_columns; r->d->internals && d != NULL;
		d = d->next) {
		const struct cqle_column *again = cqle_column_find(t, d->name);
		lab_buf_printf(out, "\nALTER TABLE %s DROP %s USING TIMESTAMP %" PRId64 ";", name,
			cqle_quoted_name(r->arena, d->name), d->timestamp_us);
		if (again != NULL)
			lab_buf_printf(out, "\nALTER TABLE %s ADD %s %.*s%s;", name,
				cqle_quoted_name(r->arena, d->name), LAB_VIEW_ARG(again->type_text),
				again->kind == CQLE_STATIC ? " static" : "");
	}
}

static void put_table(struct describer *r, struct lab_buf *out, const struct cqle_table *t)
{
	bool is_virtual = cqle_keyspace_is_virtual(t->keyspace->name);
	const char *name = lab_arena_printf(r->arena, "%s.%s",
		cqle_quoted_name(r->arena, t->keyspace->name), cqle_quoted_name(r->arena, t->name));
	if (is_virtual)
		lab_buf_printf(out,
			"/*\nWarning: Table %s is a virtual table and cannot be recreated with "
			"CQL.\nStructure, for reference:\nVIRTUAL",
			name);
	else
		lab_buf_append_cstr(out, "CREATE");
	lab_buf_printf(out, " TABLE %s (", name);
	put_columns(r, out, t);
	put_primary_key(r, out, t);
	lab_buf_append_cstr(out, "\n) WITH ");
	if (r->d->internals && !is_virtual) {
		char id[CQL_UUID_TEXT_MAX];
		cql_uuid_format(t->id, id);
		lab_buf_printf(out, "ID = %s\n    AND ", id);
	}
	put_order(r, out, t);
	if (is_virtual)
		lab_buf_printf(out, "comment = '%.*s'", LAB_VIEW_ARG(t->comment));
	else
		put_options(r, out, t);
	lab_buf_append_cstr(out, ";");
	put_dropped(r, out, t, name);
	lab_buf_append_cstr(out, is_virtual ? "\n*/" : "");
}

static void add_table(struct describer *r, const struct cqle_table *t)
{
	struct lab_buf out;
	const char *text = NULL;
	if (!r->listing) {
		lab_buf_init(&out, r->emu->heap, (size_t)4 << 20);
		put_table(r, &out, t);
		text = lab_arena_cstr(r->arena, lab_buf_view(&out));
		lab_buf_done(&out);
	}
	add(r, t->keyspace->name, "table", t->name, text);
}

/* ---- indexes ---- */

static void add_index(
	struct describer *r, const struct cqle_table *t, const struct cqle_index *index)
{
	add(r, t->keyspace->name, "index", index->name,
		lab_arena_printf(r->arena, "CREATE INDEX %s ON %s.%s (%s);",
			cqle_quoted_name(r->arena, index->name),
			cqle_quoted_name(r->arena, t->keyspace->name),
			cqle_quoted_name(r->arena, t->name),
			cqle_index_target_text(r->arena, t, index)));
}

static int compare_indexes(const void *a, const void *b)
{
	return name_order(
		(*(struct cqle_index *const *)a)->name, (*(struct cqle_index *const *)b)->name);
}

static void add_table_and_indexes(struct describer *r, const struct cqle_table *t)
{
	const struct cqle_index **indexes =
		lab_arena_array(r->arena, const struct cqle_index *, t->index_count + 1);
	add_table(r, t);
	for (size_t i = 0; i < t->index_count; i++)
		indexes[i] = &t->indexes[i];
	if (t->index_count > 0) /* names differ: no ties */
		qsort(indexes, t->index_count, sizeof(*indexes), compare_indexes);
	for (size_t i = 0; i < t->index_count && !r->listing; i++)
		add_index(r, t, indexes[i]);
}

static bool describe_index(struct describer *r, struct lab_view keyspace)
{
	const struct cqle_table *t = cqle_index_table(r->emu, keyspace, r->d->name);
	for (size_t i = 0; t != NULL && i < t->index_count; i++) {
		if (!lab_view_eq(t->indexes[i].name, r->d->name))
			continue;
		add_index(r, t, &t->indexes[i]);
		return true;
	}
	return false;
}

/* ---- user types ---- */

static void add_type(struct describer *r, const struct cqle_user_type *t)
{
	const char *text = lab_arena_printf(r->arena, "CREATE TYPE %s.%s (",
		cqle_quoted_name(r->arena, t->keyspace->name),
		cqle_quoted_name(r->arena, t->type.name));
	for (size_t i = 0; i < t->type.param_count; i++)
		text = lab_arena_printf(r->arena, "%s%s\n    %s %.*s", text, i > 0 ? "," : "",
			cqle_quoted_name(r->arena, t->type.field_names[i]),
			LAB_VIEW_ARG(t->field_texts[i]));
	add(r, t->keyspace->name, "type", t->type.name, lab_arena_printf(r->arena, "%s\n);", text));
}

static int compare_types(const void *a, const void *b)
{
	return name_order((*(struct cqle_user_type *const *)a)->type.name,
		(*(struct cqle_user_type *const *)b)->type.name);
}

/* In a keyspace's description as they were made, which is what they need; else by name. */
static void add_types_of(struct describer *r, const struct cqle_keyspace *ks)
{
	const struct cqle_user_type **types =
		lab_arena_array(r->arena, const struct cqle_user_type *, r->emu->type_count + 1);
	size_t count = 0;
	for (size_t i = 0; i < r->emu->type_count; i++) {
		if (r->emu->types[i]->keyspace == ks)
			types[count++] = r->emu->types[i];
	}
	if (r->listing && count > 0) /* names differ: no ties */
		qsort(types, count, sizeof(*types), compare_types);
	for (size_t i = 0; i < count; i++)
		add_type(r, types[i]);
}

/* ---- what is described ---- */

static int compare_keyspaces(const void *a, const void *b)
{
	return name_order((*(struct cqle_keyspace *const *)a)->name,
		(*(struct cqle_keyspace *const *)b)->name);
}

static int compare_tables(const void *a, const void *b)
{
	return name_order(
		(*(struct cqle_table *const *)a)->name, (*(struct cqle_table *const *)b)->name);
}

static void add_tables_of(struct describer *r, const struct cqle_keyspace *ks)
{
	const struct cqle_table **tables =
		lab_arena_array(r->arena, const struct cqle_table *, r->emu->table_count + 1);
	size_t count = 0;
	for (size_t i = 0; i < r->emu->table_count; i++) {
		if (r->emu->tables[i]->keyspace == ks &&
			cqle_is_seen(r->emu, r->emu->tables[i]->unseen))
			tables[count++] = r->emu->tables[i];
	}
	if (count > 0) /* names differ: no ties */
		qsort(tables, count, sizeof(*tables), compare_tables);
	for (size_t i = 0; i < count; i++)
		add_table_and_indexes(r, tables[i]);
}

static const struct cqle_keyspace *need_keyspace(struct describer *r, struct lab_view name)
{
	struct lab_view wanted = name.ptr != NULL ? name : r->current;
	const struct cqle_keyspace *ks;
	if (wanted.ptr == NULL) {
		(void)cqle_fail(
			r->err, CQL_E_INVALID, "No keyspace specified and no current keyspace");
		return NULL;
	}
	ks = cqle_keyspace_find(r->emu, wanted);
	if (ks == NULL)
		(void)cqle_fail(r->err, CQL_E_INVALID, "'%.*s' not found in keyspaces",
			LAB_VIEW_ARG(wanted));
	return ks;
}

/* Of each keyspace, or of the session's. */
static int each_keyspace(
	struct describer *r, void (*visit)(struct describer *r, const struct cqle_keyspace *ks))
{
	const struct cqle_keyspace **all =
		lab_arena_array(r->arena, const struct cqle_keyspace *, r->emu->keyspace_count);
	bool one = r->current.ptr != NULL && r->listing && r->d->kind != DESCRIBE_KEYSPACES;
	if (one) {
		const struct cqle_keyspace *ks = need_keyspace(r, r->current);
		if (ks == NULL)
			return -1;
		visit(r, ks);
		return 0;
	}
	size_t count = 0;
	for (size_t i = 0; i < r->emu->keyspace_count; i++) {
		if (cqle_is_seen(r->emu, r->emu->keyspaces[i]->unseen))
			all[count++] = r->emu->keyspaces[i];
	}
	qsort(all, count, sizeof(*all), compare_keyspaces); /* never none */
	for (size_t i = 0; i < count; i++)
		visit(r, all[i]);
	return 0;
}

static void nothing_of(struct describer *r, const struct cqle_keyspace *ks)
{
	(void)r;
	(void)ks;
}

static void whole_keyspace(struct describer *r, const struct cqle_keyspace *ks)
{
	if (r->d->kind == DESCRIBE_SCHEMA && ks->local)
		return;
	add_keyspace(r, ks);
	if (r->d->kind == DESCRIBE_ONLY_KEYSPACE)
		return;
	add_types_of(r, ks);
	add_tables_of(r, ks);
}

static int absent(struct describer *r, const struct cqle_keyspace *ks, const char *format)
{
	size_t at = lab_view_find(lab_view_cstr(format), LAB_VIEW("%"));
	return cqle_fail(r->err, CQL_E_INVALID, "%.*s'%.*s'%s'%.*s'", (int)at, format,
		LAB_VIEW_ARG(r->d->name), format + at + 1, LAB_VIEW_ARG(ks->name));
}

static int element(struct describer *r)
{
	static const char *const formats[] = { [DESCRIBE_TYPE] =
						       "User defined type % not found in ",
		[DESCRIBE_INDEX] = "Table for existing index % not found in ",
		[DESCRIBE_FUNCTION] = "User defined function % not found in ",
		[DESCRIBE_AGGREGATE] = "User defined aggregate % not found in ",
		[DESCRIBE_VIEW] = "Materialized view % not found in ",
		[DESCRIBE_TABLE] = "Table % not found in keyspace " };
	const struct cqle_keyspace *ks = need_keyspace(r, r->d->keyspace);
	if (ks == NULL)
		return -1;
	const struct cqle_table *t = cqle_table_find(r->emu, ks->name, r->d->name);
	const struct cqle_user_type *type = cqle_user_type_find(r->emu, ks->name, r->d->name);
	if (r->d->kind == DESCRIBE_INDEX && describe_index(r, ks->name))
		return 0;
	if (r->d->kind == DESCRIBE_TABLE && t != NULL)
		add_table_and_indexes(r, t);
	else if (r->d->kind == DESCRIBE_TYPE && type != NULL)
		add_type(r, type);
	else
		return absent(r, ks, formats[r->d->kind]);
	return 0;
}

static int any(struct describer *r)
{
	const struct cqle_keyspace *ks = NULL;
	if (r->d->keyspace.ptr == NULL) {
		ks = cqle_keyspace_find(r->emu, r->d->name);
		if (ks != NULL) {
			whole_keyspace(r, ks);
			return 0;
		}
	}
	struct lab_view in = r->d->keyspace.ptr != NULL ? r->d->keyspace : r->current;
	ks = need_keyspace(r, in.ptr != NULL ? in : r->d->name);
	if (ks == NULL)
		return -1;
	const struct cqle_table *t = cqle_table_find(r->emu, ks->name, r->d->name);
	if (t == NULL && describe_index(r, ks->name))
		return 0;
	if (t == NULL)
		return absent(r, ks, "% not found in keyspace ");
	add_table_and_indexes(r, t);
	return 0;
}

/* ---- the cluster ---- */

static const struct cql_type text_type = { .id = CQL_TYPE_TEXT };
static struct cql_type list_params[] = { { .id = CQL_TYPE_TEXT } };
static struct cql_type ownership_params[] = { { .id = CQL_TYPE_TEXT },
	{ .id = CQL_TYPE_LIST, .params = list_params, .param_count = 1 } };
static const struct cql_type ownership_type = {
	.id = CQL_TYPE_MAP, .params = ownership_params, .param_count = 2
};

/* Who has the range that ends at each token of the ring. */
static struct lab_view range_ownership(struct describer *r, struct cqle_keyspace *ks)
{
	size_t count = r->emu->ring_count;
	struct lab_view *items = lab_arena_array(r->arena, struct lab_view, 2 * count + 1);
	for (size_t i = 0; i < count; i++) {
		const struct cqle_replicas *replicas = cqle_placement(r->emu, ks, i);
		struct lab_view *nodes =
			lab_arena_array(r->arena, struct lab_view, replicas->count + 1);
		for (size_t n = 0; n < replicas->count; n++)
			nodes[n] = lab_view_cstr(lab_arena_printf(r->arena, "/%s:%u",
				r->emu->nodes[replicas->nodes[n]].address_text,
				r->emu->options.storage_port));
		items[2 * i] = lab_view_cstr(
			lab_arena_printf(r->arena, "%" PRId64, r->emu->ring[i].token));
		items[2 * i + 1] =
			cqle_collection_of(r->arena, &ownership_params[1], nodes, replicas->count);
	}
	return cqle_collection_of(r->arena, &ownership_type, items, 2 * count);
}

static int cluster(struct describer *r)
{
	struct cqle_keyspace *ks =
		r->current.ptr == NULL ? NULL : cqle_keyspace_find(r->emu, r->current);
	bool owned = r->column_count == 4;
	struct lab_view *cells = add_row(r);
	cells[0] = r->emu->options.cluster_name;
	cells[1] = LAB_VIEW("Murmur3Partitioner");
	cells[2] = LAB_VIEW("DynamicEndpointSnitch");
	if (owned)
		cells[3] = range_ownership(r, ks);
	return 0;
}

static int describe(struct describer *r)
{
	switch (r->d->kind) {
	case DESCRIBE_CLUSTER:
		return cluster(r);
	case DESCRIBE_SCHEMA:
	case DESCRIBE_FULL_SCHEMA:
		return each_keyspace(r, whole_keyspace);
	case DESCRIBE_KEYSPACES:
		return each_keyspace(r, add_keyspace);
	case DESCRIBE_TABLES:
		return each_keyspace(r, add_tables_of);
	case DESCRIBE_TYPES:
		return each_keyspace(r, add_types_of);
	case DESCRIBE_FUNCTIONS:
	case DESCRIBE_AGGREGATES:
		return each_keyspace(r, nothing_of);
	case DESCRIBE_KEYSPACE:
	case DESCRIBE_ONLY_KEYSPACE: {
		const struct cqle_keyspace *ks = need_keyspace(r, r->d->keyspace);
		if (ks == NULL)
			return -1;
		whole_keyspace(r, ks);
		return 0;
	}
	case DESCRIBE_TABLE:
	case DESCRIBE_TYPE:
	case DESCRIBE_INDEX:
	case DESCRIBE_FUNCTION:
	case DESCRIBE_AGGREGATE:
	case DESCRIBE_VIEW:
		return element(r);
	case DESCRIBE_ANY:
		break;
	}
	return any(r);
}

/* ---- columns and pages ---- */

static struct cql_column *columns(struct describer *r)
{
	static const char *const elements[] = { "keyspace_name", "type", "name",
		"create_statement" };
	static const char *const clusters[] = { "cluster", "partitioner", "snitch",
		"range_ownership" };
	bool is_cluster = r->d->kind == DESCRIBE_CLUSTER;
	const struct cqle_keyspace *ks =
		r->current.ptr == NULL ? NULL : cqle_keyspace_find(r->emu, r->current);
	r->listing = r->d->kind >= DESCRIBE_KEYSPACES && r->d->kind <= DESCRIBE_AGGREGATES;
	bool three = is_cluster ? ks == NULL || ks->local : r->listing;
	r->column_count = three ? 3 : 4;
	struct cql_column *result = lab_arena_array(r->arena, struct cql_column, r->column_count);
	for (size_t i = 0; i < r->column_count; i++) {
		result[i].keyspace = LAB_VIEW("system");
		result[i].table = LAB_VIEW("describe");
		result[i].name = lab_view_cstr(is_cluster ? clusters[i] : elements[i]);
		result[i].type = is_cluster && i == 3 ? ownership_type : text_type;
	}
	return result;
}

/* [short version][string release][uuid schema][long rows] as a partition key. */
static struct lab_view page_key(struct describer *r, size_t node, uint64_t offset)
{
	struct lab_buf out;
	uint8_t version[CQL_UUID_BYTES];
	lab_buf_init_arena(&out, r->arena, 64 + r->emu->options.release_version.len);
	lab_buf_append(&out, "\0\1", 2);
	cql_put_short_bytes(&out, r->emu->options.release_version);
	cqle_schema_version(r->emu, node, node, version);
	lab_buf_append(&out, version, sizeof(version));
	lab_buf_append_u32(&out, (uint32_t)(offset >> 32));
	lab_buf_append_u32(&out, (uint32_t)offset);
	return lab_buf_view(&out);
}

static int page_offset(struct describer *r, const struct cqle_op *op, uint64_t *ret)
{
	static const struct cqle_table no_table;
	struct cqle_paging paging;
	struct lab_view state = op->params.paging_state;
	*ret = 0;
	if ((op->params.flags & CQL_PARAM_PAGING_STATE) == 0 || state.ptr == NULL)
		return 0;
	struct lab_view wanted = page_key(r, op->node, 0);
	size_t fixed = wanted.len - 8;
	if (cqle_paging_read(r->arena, &no_table, state, &paging) < 0 ||
		paging.key.len != wanted.len)
		return cqle_fail(r->err, CQL_E_PROTOCOL, "Invalid value for the paging state");
	if (memcmp(paging.key.ptr, wanted.ptr, fixed) != 0)
		return cqle_fail(r->err, CQL_E_INVALID,
			"The schema has changed since the previous page of the DESCRIBE statement "
			"result. Please retry the DESCRIBE statement.");
	for (size_t i = fixed; i < wanted.len; i++)
		*ret = *ret << 8 | paging.key.ptr[i];
	return 0;
}

/* The rows of one page; the state if there are more. */
static void take_page(
	struct describer *r, const struct cqle_op *op, uint64_t offset, struct cql_rows *ret)
{
	bool paged = (op->params.flags & CQL_PARAM_PAGE_SIZE) != 0 && op->params.page_size > 0;
	size_t from = (size_t)LAB_MIN(offset, (uint64_t)r->row_count);
	size_t size = paged ? (size_t)op->params.page_size : SIZE_MAX;
	ret->row_count = LAB_MIN(r->row_count - from, size);
	ret->cells = r->cells + from * r->column_count;
	if (ret->row_count == size)
		ret->metadata.paging_state =
			cqle_paging_write(r->arena, NULL, page_key(r, op->node, from + size),
				lab_view_of(NULL, 0), INT32_MAX, INT32_MAX);
}

void cqle_do_describe(struct cqlemu *emu, struct cqle_op *op, struct lab_view current)
{
	struct lab_error err;
	struct describer r = { .emu = emu,
		.arena = op->arena,
		.d = op->plan->statement->describe,
		.current = current,
		.err = &err };
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	uint64_t offset;
	response.rows.metadata.columns = columns(&r);
	response.rows.metadata.column_count = r.column_count;
	if (page_offset(&r, op, &offset) < 0 || describe(&r) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	take_page(&r, op, offset, &response.rows);
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}
