/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c - keyspaces and tables, and the DDL that makes them. One schema for the whole cluster;
 * which node knows of what is in visibility.c.
 */
#include "sim/cql-emulator/schema-private.h"
#include "sim/cql-emulator/table-options.h"

#include <stdlib.h>

struct cqle_keyspace *cqle_keyspace_find(const struct cqlemu *emu, struct lab_view name)
{
	for (size_t i = 0; i < emu->keyspace_count; i++) {
		if (lab_view_eq(emu->keyspaces[i]->name, name) &&
			cqle_is_seen(emu, emu->keyspaces[i]->unseen))
			return emu->keyspaces[i];
	}
	return NULL;
}

struct cqle_table *cqle_table_find(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		if (lab_view_eq(emu->tables[i]->name, name) &&
			lab_view_eq(emu->tables[i]->keyspace->name, keyspace) &&
			cqle_is_seen(emu, emu->tables[i]->unseen))
			return emu->tables[i];
	}
	return NULL;
}

const struct cqle_column *cqle_column_find(const struct cqle_table *table, struct lab_view name)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (lab_view_eq(table->columns[i].name, name))
			return &table->columns[i];
	}
	return NULL;
}

static int require_keyspace(
	struct lab_view current, struct lab_view given, struct lab_view *ret, struct lab_error *err)
{
	*ret = given.ptr != NULL ? given : current;
	if (ret->ptr == NULL)
		return cqle_fail(err, CQL_E_INVALID,
			"No keyspace has been specified. USE a keyspace, or explicitly specify "
			"keyspace.tablename");
	return 0;
}

int cqle_table_resolve(struct cqlemu *emu, struct lab_view current, struct lab_view keyspace,
	struct lab_view name, struct cqle_table **ret, struct lab_error *err)
{
	struct lab_view ks;
	if (require_keyspace(current, keyspace, &ks, err) < 0)
		return -1;
	if (cqle_keyspace_find(emu, ks) == NULL)
		return cqle_fail(
			err, CQL_E_INVALID, "keyspace %.*s does not exist", LAB_VIEW_ARG(ks));
	*ret = cqle_table_find(emu, ks, name);
	if (*ret == NULL)
		return cqle_fail(err, CQL_E_INVALID,
			emu->profile->unconfigured ? "unconfigured table %.*s"
						   : "table %.*s does not exist",
			LAB_VIEW_ARG(name));
	return 0;
}

/* ---- CREATE KEYSPACE ---- */

#define STRATEGY_PREFIX "org.apache.cassandra.locator."

static const struct term *map_get(const struct term *map, const char *key)
{
	for (size_t i = 0; i + 1 < map->item_count; i += 2) {
		if (lab_view_eq_cstr(map->items[i].text, key))
			return &map->items[i + 1];
	}
	return NULL;
}

static int replication_factor(const struct term *value, unsigned *ret, struct lab_error *err)
{
	uint64_t factor;
	int64_t number;
	if (lab_view_to_i64(value->text, &number) < 0)
		return cqle_fail(
			err, CQL_E_CONFIG, "For input string: \"%.*s\"", LAB_VIEW_ARG(value->text));
	if (number < 0)
		return cqle_fail(err, CQL_E_CONFIG,
			"Replication factor must be non-negative, found %" PRId64, number);
	if (lab_view_to_u64(value->text, &factor) < 0 || factor > CQLEMU_NODES_MAX)
		return cqle_fail(err, CQL_E_CONFIG,
			"Replication factor must be numeric and at most %d; found %.*s",
			CQLEMU_NODES_MAX, LAB_VIEW_ARG(value->text));
	*ret = (unsigned)factor;
	return 0;
}

static int unknown_option(struct lab_view option, const char *strategy, struct lab_view keyspace,
	struct lab_error *err)
{
	return cqle_fail(err, CQL_E_CONFIG,
		"Unrecognized strategy option {%.*s} passed to %s for keyspace %.*s",
		LAB_VIEW_ARG(option), strategy, LAB_VIEW_ARG(keyspace));
}

static int simple_strategy(const struct term *map, struct cqle_keyspace *ks, struct lab_error *err)
{
	const struct term *factor = map_get(map, "replication_factor");
	ks->simple = true;
	if (factor == NULL)
		return cqle_fail(err, CQL_E_CONFIG,
			"SimpleStrategy requires a replication_factor strategy option.");
	for (size_t i = 0; i + 1 < map->item_count; i += 2) {
		if (!lab_view_eq_cstr(map->items[i].text, "class") &&
			!lab_view_eq_cstr(map->items[i].text, "replication_factor"))
			return unknown_option(map->items[i].text, "SimpleStrategy", ks->name, err);
	}
	return replication_factor(factor, &ks->total, err);
}

static int topology_option(const struct cqlemu *emu, const struct term *map, size_t i,
	struct cqle_keyspace *ks, struct lab_error *err)
{
	for (size_t dc = 0; dc < emu->dc_count; dc++) {
		if (lab_view_eq(map->items[i].text, emu->dc_names[dc]))
			return replication_factor(&map->items[i + 1], &ks->per_dc[dc], err);
	}
	return unknown_option(map->items[i].text, "NetworkTopologyStrategy", ks->name, err);
}

static int topology_strategy(const struct cqlemu *emu, const struct term *map,
	struct cqle_keyspace *ks, struct lab_error *err)
{
	const struct term *factor = map_get(map, "replication_factor");
	unsigned everywhere = 0;
	if (factor != NULL && replication_factor(factor, &everywhere, err) < 0)
		return -1;
	for (size_t dc = 0; dc < emu->dc_count; dc++)
		ks->per_dc[dc] = everywhere;
	for (size_t i = 0; i + 1 < map->item_count; i += 2) {
		if (lab_view_eq_cstr(map->items[i].text, "class") ||
			lab_view_eq_cstr(map->items[i].text, "replication_factor"))
			continue;
		if (topology_option(emu, map, i, ks, err) < 0)
			return -1;
	}
	if (factor == NULL && map->item_count <= 2)
		return cqle_fail(err, CQL_E_CONFIG,
			"Configuration for at least one datacenter must be present");
	for (size_t dc = 0; dc < emu->dc_count; dc++)
		ks->total += ks->per_dc[dc];
	return 0;
}

static int replication(const struct cqlemu *emu, const struct term *map, struct cqle_keyspace *ks,
	struct lab_error *err)
{
	const struct term *class = map_get(map, "class");
	if (map->kind != TERM_MAP || class == NULL)
		return cqle_fail(err, CQL_E_CONFIG, "Missing replication strategy class");
	struct lab_view name = class->text;
	if (lab_view_starts_with(name, LAB_VIEW(STRATEGY_PREFIX)))
		name = lab_view_skip(name, sizeof(STRATEGY_PREFIX) - 1);
	ks->strategy = lab_view_cstr(
		lab_arena_printf(emu->permanent, STRATEGY_PREFIX "%.*s", LAB_VIEW_ARG(name)));
	if (lab_view_eq_cstr(name, "SimpleStrategy"))
		return simple_strategy(map, ks, err);
	if (lab_view_eq_cstr(name, "NetworkTopologyStrategy"))
		return topology_strategy(emu, map, ks, err);
	if (lab_view_eq_cstr(name, "LocalStrategy")) {
		if (emu->system_ready)
			return cqle_fail(err, CQL_E_INVALID,
				"Unable to use given strategy class: LocalStrategy is reserved for "
				"internal use.");
		ks->local = true;
		return 0;
	}
	return cqle_fail(err, CQL_E_CONFIG, "Unable to find replication strategy class '%.*s'",
		LAB_VIEW_ARG(ks->strategy));
}

static int keyspace_properties(const struct cqlemu *emu, const struct statement *s,
	struct cqle_keyspace *ks, struct lab_error *err)
{
	bool replicated = false;
	for (size_t i = 0; i < s->property_count; i++) {
		const struct property *p = &s->properties[i];
		if (lab_view_eq_cstr(p->name, "replication")) {
			replicated = true;
			if (replication(emu, &p->value, ks, err) < 0)
				return -1;
		} else if (lab_view_eq_cstr(p->name, "durable_writes")) {
			if (cqle_option_boolean(p, &ks->durable_writes, err) < 0)
				return -1;
		} else {
			return cqle_fail(err, CQL_E_SYNTAX, "Unknown property '%.*s'",
				LAB_VIEW_ARG(p->name));
		}
	}
	if (!replicated && s->kind == STATEMENT_CREATE_KEYSPACE)
		return cqle_fail(err, CQL_E_INVALID, "Missing mandatory option 'replication'");
	return 0;
}

static int change_keyspace(struct cqlemu *emu, const struct statement *s, struct cqle_keyspace *ks,
	struct lab_error *err)
{
	struct cqle_keyspace altered = *ks;
	bool replicated = false;
	for (size_t i = 0; i < s->property_count; i++)
		replicated = replicated || lab_view_eq_cstr(s->properties[i].name, "replication");
	if (replicated) {
		altered.simple = altered.local = false;
		altered.total = 0;
		memset(altered.per_dc, 0, sizeof(altered.per_dc));
	}
	if (keyspace_properties(emu, s, &altered, err) < 0)
		return -1;
	altered.placed = altered.placed && !replicated;
	*ks = altered;
	return 0;
}

/* Another side of a partition has made it, too: the newer definition wins. */
static int adopt_keyspace(struct cqlemu *emu, const struct statement *s, struct cqle_keyspace *ks,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	if (change_keyspace(emu, s, ks, err) < 0)
		return -1;
	ks->adopted = true;
	ret->change = (struct cql_schema_change){
		.change = LAB_VIEW("CREATED"), .target = LAB_VIEW("KEYSPACE"), .keyspace = ks->name
	};
	return 0;
}

#define NAME_MAX_BYTES 48

static int check_name(
	struct lab_view name, const char *what, const char *prefix, struct lab_error *err)
{
	bool good = name.len > 0 && name.len <= NAME_MAX_BYTES;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		good = good && (c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				       (c >= 'A' && c <= 'Z'));
	}
	if (good)
		return 0;
	bool table = prefix[0] != '\0';
	return cqle_fail(err, table ? CQL_E_CONFIG : CQL_E_INVALID,
		"%s%s name must not be empty, more than %d characters long, or contain "
		"non-alphanumeric-underscore characters (got %c%.*s%c)",
		prefix, what, NAME_MAX_BYTES, table ? '"' : '\'', LAB_VIEW_ARG(name),
		table ? '"' : '\'');
}

static int create_keyspace(struct cqlemu *emu, const struct statement *s,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	if (cqle_keyspace_find(emu, s->keyspace) != NULL) {
		if (s->if_not_exists)
			return 0;
		ret->exists_keyspace = s->keyspace;
		return cqle_fail(err, CQL_E_ALREADY_EXISTS, "Cannot add existing keyspace \"%.*s\"",
			LAB_VIEW_ARG(s->keyspace));
	}
	for (size_t i = 0; i < emu->keyspace_count; i++) {
		if (lab_view_eq(emu->keyspaces[i]->name, s->keyspace))
			return adopt_keyspace(emu, s, emu->keyspaces[i], ret, err);
	}
	if (emu->keyspace_count == CQLEMU_KEYSPACES_MAX)
		return cqle_fail(
			err, CQL_E_INVALID, "more than %d keyspaces", CQLEMU_KEYSPACES_MAX);
	struct cqle_keyspace *ks = lab_arena_new_of(emu->permanent, struct cqle_keyspace);
	ks->name = lab_arena_copy(emu->permanent, s->keyspace);
	ks->durable_writes = true;
	if (check_name(ks->name, "Keyspace", "", err) < 0)
		return -1;
	if (keyspace_properties(emu, s, ks, err) < 0)
		return -1;
	ks->local = ks->local || !emu->system_ready; /* each node shows its own */
	emu->keyspaces[emu->keyspace_count++] = ks;
	ret->change = (struct cql_schema_change){
		.change = LAB_VIEW("CREATED"), .target = LAB_VIEW("KEYSPACE"), .keyspace = ks->name
	};
	return 0;
}

/* Where replicas are changes at once; their rows do not move: that is what repair is for. */
static int alter_keyspace(struct cqlemu *emu, const struct statement *s,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct cqle_keyspace *ks = cqle_keyspace_find(emu, s->keyspace);
	if (ks == NULL)
		return cqle_fail(err, CQL_E_INVALID, "Keyspace '%.*s' doesn't exist",
			LAB_VIEW_ARG(s->keyspace));
	if (change_keyspace(emu, s, ks, err) < 0)
		return -1;
	ret->change = (struct cql_schema_change){
		.change = LAB_VIEW("UPDATED"), .target = LAB_VIEW("KEYSPACE"), .keyspace = ks->name
	};
	return 0;
}

/* ---- CREATE TABLE ---- */

struct table_builder {
	struct cqlemu *emu;
	const struct statement *statement;
	struct cqle_table *table;
	struct lab_error *err;
};

/* `format` has one %.*s, for the name. */
static int builder_fail(const struct table_builder *b, const char *format, struct lab_view name)
{
	size_t at = lab_view_find(lab_view_cstr(format), LAB_VIEW("%.*s"));
	return cqle_fail(b->err, CQL_E_INVALID, "%.*s%.*s%s for table '%.*s'", (int)at, format,
		LAB_VIEW_ARG(name), format + at + strlen("%.*s"),
		LAB_VIEW_ARG(b->table->full_name));
}

static const struct column_definition *definition(
	const struct table_builder *b, struct lab_view name)
{
	for (size_t i = 0; i < b->statement->column_count; i++) {
		if (lab_view_eq(b->statement->columns[i].name, name))
			return &b->statement->columns[i];
	}
	return NULL;
}

static bool is_named(const struct lab_view *names, size_t count, struct lab_view name)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq(names[i], name))
			return true;
	}
	return false;
}

int schema_column_type(struct cqlemu *emu, const struct cqle_table *table,
	const struct column_definition *d, struct cqle_column *ret, struct lab_error *err)
{
	struct lab_view keyspace = table->keyspace->name;
	if (cqle_type_resolve(emu, emu->permanent, keyspace, &d->type, &ret->type, &ret->type_text,
		    &ret->multicell, err) < 0)
		return -1;
	const struct cqle_user_type *user =
		ret->type.id == CQL_TYPE_UDT && ret->multicell
			? cqle_user_type_find(emu, keyspace, ret->type.name)
			: NULL;
	for (size_t i = 0; user != NULL && i < user->type.param_count; i++) {
		if (user->field_multicell[i])
			return cqle_fail(err, CQL_E_INVALID,
				"Non-frozen UDTs with nested non-frozen collections are not "
				"supported");
	}
	return 0;
}

static int add_column(struct table_builder *b, const struct column_definition *d,
	enum cqle_column_kind kind, size_t position)
{
	struct cqle_column *c = &b->table->columns[b->table->column_count];
	c->name = lab_arena_copy(b->emu->permanent, d->name);
	c->kind = kind;
	c->position = position;
	c->id = b->table->next_column_id++;
	if (schema_column_type(b->emu, b->table, d, c, b->err) < 0)
		return -1;
	b->table->column_count++;
	return 0;
}

static int check_key_type(
	const struct table_builder *b, const struct cqle_column *c, enum cqle_column_kind kind)
{
	if (c->multicell && c->type.id == CQL_TYPE_UDT)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid non-frozen user-defined type \"%.*s.%.*s\" for PRIMARY KEY column "
			"'%.*s'",
			LAB_VIEW_ARG(c->type.keyspace), LAB_VIEW_ARG(c->type.name),
			LAB_VIEW_ARG(c->name));
	if (c->multicell)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid non-frozen collection type %.*s for PRIMARY KEY column '%.*s'",
			LAB_VIEW_ARG(c->type_text), LAB_VIEW_ARG(c->name));
	bool duration = cqle_type_has(&c->type, CQL_TYPE_DURATION);
	if (c->type.id == CQL_TYPE_COUNTER || duration)
		return cqle_fail(b->err, CQL_E_INVALID,
			"%s type is not supported for PRIMARY KEY column '%.*s'",
			duration ? "duration" : "counter", LAB_VIEW_ARG(c->name));
	if (kind == CQLE_CLUSTERING && cqle_type_has(&c->type, CQL_TYPE_DECIMAL))
		return builder_fail(
			b, "The type of clustering column '%.*s' is not supported here", c->name);
	return 0;
}

static int add_key_columns(struct table_builder *b, const struct lab_view *names, size_t count,
	enum cqle_column_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		const struct column_definition *d = definition(b, names[i]);
		if (d == NULL)
			return builder_fail(
				b, "Unknown column '%.*s' referenced in PRIMARY KEY", names[i]);
		if (is_named(names, i, names[i]) ||
			(kind == CQLE_CLUSTERING && b->table->pk_count > 0 &&
				cqle_column_find(b->table, names[i]) != NULL))
			return builder_fail(
				b, "Duplicate column '%.*s' in PRIMARY KEY clause", names[i]);
		if (d->is_static)
			return builder_fail(b,
				"Static column '%.*s' cannot be part of the PRIMARY KEY", names[i]);
		if (add_column(b, d, kind, i) < 0)
			return -1;
		if (check_key_type(b, &b->table->columns[b->table->column_count - 1], kind) < 0)
			return -1;
	}
	return 0;
}

static int compare_definitions(const void *a, const void *b)
{
	const struct column_definition *x = *(const struct column_definition *const *)a;
	const struct column_definition *y = *(const struct column_definition *const *)b;
	return lab_view_cmp(x->name, y->name);
}

/* Statics, then the others, each in alphabetical order. */
static int add_other_columns(
	struct table_builder *b, const struct column_definition **others, size_t count)
{
	struct cqle_table *t = b->table;
	if (count > 0) /* names differ: no ties */
		qsort(others, count, sizeof(*others), compare_definitions);
	for (unsigned pass = 0; pass < 2; pass++) {
		bool statics = pass == 0;
		for (size_t i = 0; i < count; i++) {
			size_t *position = statics ? &t->static_count : &t->regular_count;
			if (others[i]->is_static != statics)
				continue;
			if (add_column(b, others[i], statics ? CQLE_STATIC : CQLE_REGULAR,
				    (*position)++) < 0)
				return -1;
		}
	}
	return 0;
}

static int check_counters(const struct table_builder *b)
{
	const struct cqle_table *t = b->table;
	size_t counters = 0, others = t->column_count - t->pk_count - t->ck_count;
	for (size_t i = t->pk_count + t->ck_count; i < t->column_count; i++)
		counters += t->columns[i].type.id == CQL_TYPE_COUNTER;
	if (counters > 0 && counters < others)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Cannot mix counter and non counter columns in the same table");
	return 0;
}

static int table_key(struct table_builder *b)
{
	const struct statement *s = b->statement;
	struct cqle_table *t = b->table;
	struct lab_view single = { NULL, 0 };
	for (size_t i = 0; i < s->column_count; i++) {
		if (!s->columns[i].is_key)
			continue;
		if (single.ptr != NULL || s->primary_key)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Multiple PRIMARY KEYs specifed for table '%.*s' (exactly one "
				"required)",
				LAB_VIEW_ARG(t->full_name));
		single = s->columns[i].name;
	}
	if (single.ptr == NULL && !s->primary_key)
		return cqle_fail(b->err, CQL_E_INVALID,
			"No PRIMARY KEY specifed for table '%.*s' (exactly one required)",
			LAB_VIEW_ARG(t->full_name));
	const struct lab_view *pk = s->primary_key ? s->partition_key : &single;
	size_t pk_count = s->primary_key ? s->partition_key_count : 1;
	if (add_key_columns(b, pk, pk_count, CQLE_PARTITION_KEY) < 0)
		return -1;
	t->pk_count = pk_count;
	if (add_key_columns(b, s->clustering, s->clustering_count, CQLE_CLUSTERING) < 0)
		return -1;
	t->ck_count = s->clustering_count;
	return 0;
}

static int table_columns(struct table_builder *b)
{
	const struct statement *s = b->statement;
	const struct column_definition **others =
		lab_arena_array(b->emu->scratch, const struct column_definition *, s->column_count);
	size_t count = 0;
	if (s->column_count > CQLEMU_COLUMNS_MAX)
		return cqle_fail(b->err, CQL_E_INVALID, "more than %d columns", CQLEMU_COLUMNS_MAX);
	b->table->columns = lab_arena_array(b->emu->permanent, struct cqle_column, s->column_count);
	for (size_t i = 0; i < s->column_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (lab_view_eq(s->columns[i].name, s->columns[j].name))
				return builder_fail(b, "Duplicate column '%.*s' declaration",
					s->columns[i].name);
		}
	}
	if (table_key(b) < 0)
		return -1;
	for (size_t i = 0; i < s->column_count; i++) {
		if (cqle_column_find(b->table, s->columns[i].name) == NULL)
			others[count++] = &s->columns[i];
	}
	if (add_other_columns(b, others, count) < 0 || check_counters(b) < 0)
		return -1;
	if (b->table->static_count > 0 && b->table->ck_count == 0)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Static columns are only useful (and thus allowed) if the table has at "
			"least "
			"one clustering column");
	return 0;
}

static int table_order(struct table_builder *b, const struct property *p)
{
	struct cqle_table *t = b->table;
	for (size_t i = 0; i < p->ordering_count; i++) {
		if (i >= t->ck_count)
			return builder_fail(b,
				"Only clustering columns can be defined in CLUSTERING ORDER "
				"directive: %.*s",
				p->orderings[i].column);
		if (!lab_view_eq(cqle_ck(t, i)->name, p->orderings[i].column))
			return builder_fail(b,
				"Clustering column order must match the CLUSTERING ORDER "
				"directive: "
				"%.*s",
				p->orderings[i].column);
		t->columns[t->pk_count + i].descending = p->orderings[i].descending;
	}
	if (p->ordering_count < t->ck_count)
		return builder_fail(b, "Missing CLUSTERING ORDER for column %.*s",
			cqle_ck(t, p->ordering_count)->name);
	return 0;
}

static int table_properties(struct table_builder *b)
{
	const struct statement *s = b->statement;
	for (size_t i = 0; i < s->property_count; i++) {
		if (s->properties[i].kind == PROPERTY_COMPACT_STORAGE)
			return cqle_fail(b->err, CQL_E_INVALID,
				"COMPACT STORAGE tables are not allowed starting with Cassandra "
				"version 4.0");
	}
	if (cqle_options_set(b->emu, s, b->table, b->err) < 0)
		return -1;
	for (size_t i = 0; i < s->property_count; i++) {
		if (s->properties[i].kind == PROPERTY_CLUSTERING_ORDER &&
			table_order(b, &s->properties[i]) < 0)
			return -1;
	}
	return 0;
}

static void table_register(struct cqlemu *emu, struct cqle_table *t)
{
	uint64_t id[2] = { lab_draw(emu->options.seed, "cql.table.id", emu->schema_version, 0),
		lab_draw(emu->options.seed, "cql.table.id", emu->schema_version, 1) };
	if (!t->options.has_id) {
		memcpy(t->id, id, sizeof(t->id));
		t->id[6] = (uint8_t)((t->id[6] & 0x0f) | 0x10);
		t->id[8] = (uint8_t)((t->id[8] & 0x3f) | 0x80);
	}
	t->stores = cqle_stores_new(emu, t, false);
	if (emu->options.commitlog_sync_ns > 0 && !t->keyspace->local)
		t->durable = cqle_stores_new(emu, t, true);
	t->filled = lab_new_array(emu->heap, uint64_t, emu->node_count);
	emu->tables[emu->table_count++] = t;
}

static int table_build(struct table_builder *b)
{
	struct cqle_table *t = b->table;
	t->created_ns = b->emu->now_ns;
	if (table_columns(b) < 0)
		return -1;
	return table_properties(b);
}

static int create_table(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct lab_view ks_name;
	if (require_keyspace(current, s->keyspace, &ks_name, err) < 0)
		return -1;
	struct cqle_keyspace *ks = cqle_keyspace_find(emu, ks_name);
	if (ks == NULL)
		return cqle_fail(
			err, CQL_E_INVALID, "Keyspace '%.*s' doesn't exist", LAB_VIEW_ARG(ks_name));
	if (cqle_table_find(emu, ks_name, s->table) != NULL) {
		if (s->if_not_exists)
			return 0;
		ret->exists_keyspace = ks->name;
		ret->exists_table = s->table;
		return cqle_fail(err, CQL_E_ALREADY_EXISTS,
			"Cannot add already existing table \"%.*s\" to keyspace \"%.*s\"",
			LAB_VIEW_ARG(s->table), LAB_VIEW_ARG(ks_name));
	}
	if (emu->table_count == CQLEMU_TABLES_MAX)
		return cqle_fail(err, CQL_E_INVALID, "more than %d tables", CQLEMU_TABLES_MAX);

	struct cqle_table *t = lab_arena_new_of(emu->permanent, struct cqle_table);
	t->keyspace = ks;
	t->name = lab_arena_copy(emu->permanent, s->table);
	t->full_name = lab_view_cstr(lab_arena_printf(
		emu->permanent, "%.*s.%.*s", LAB_VIEW_ARG(ks->name), LAB_VIEW_ARG(t->name)));
	struct table_builder builder = { emu, s, t, err };
	if (check_name(t->name, "Table",
		    lab_arena_printf(emu->scratch, "%.*s: ", LAB_VIEW_ARG(t->full_name)),
		    err) < 0 ||
		table_build(&builder) < 0)
		return -1;
	table_register(emu, t);
	ret->change = (struct cql_schema_change){ .change = LAB_VIEW("CREATED"),
		.target = LAB_VIEW("TABLE"),
		.keyspace = ks->name,
		.name = t->name };
	return 0;
}

/* ---- DROP ---- */

void cqle_table_free(struct cqlemu *emu, struct cqle_table *t)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		cqle_store_free(&t->stores[i]);
		if (t->durable != NULL)
			cqle_store_free(&t->durable[i]);
	}
	lab_heap_free(emu->heap, t->stores);
	lab_heap_free(emu->heap, t->durable);
	lab_heap_free(emu->heap, t->filled);
	cqle_read_latency_free(emu, t);
}

/* The struct stays: plans and messages may still point to it, and look at `dropped`. */
void cqle_table_forget(struct cqlemu *emu, size_t index)
{
	struct cqle_table *t = emu->tables[index];
	t->dropped = true;
	for (size_t i = 0; i < emu->node_count; i++) {
		cqle_store_drop(t->stores[i]);
		if (t->durable != NULL)
			cqle_store_drop(t->durable[i]);
	}
	cqle_table_free(emu, t);
	emu->table_count--;
	memmove(&emu->tables[index], &emu->tables[index + 1],
		(emu->table_count - index) * sizeof(struct cqle_table *));
}

static int drop_table(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct lab_view ks_name;
	if (require_keyspace(current, s->keyspace, &ks_name, err) < 0)
		return -1;
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (!lab_view_eq(t->keyspace->name, ks_name) || !lab_view_eq(t->name, s->table) ||
			!cqle_is_seen(emu, t->unseen))
			continue;
		cqle_table_forget(emu, i);
		ret->change = (struct cql_schema_change){ .change = LAB_VIEW("DROPPED"),
			.target = LAB_VIEW("TABLE"),
			.keyspace = t->keyspace->name,
			.name = t->name };
		return 0;
	}
	if (s->if_exists)
		return 0;
	return cqle_fail(err, CQL_E_INVALID, "Table '%.*s.%.*s' doesn't exist",
		LAB_VIEW_ARG(ks_name), LAB_VIEW_ARG(s->table));
}

static int drop_keyspace(struct cqlemu *emu, const struct statement *s, struct cqle_ddl_result *ret,
	struct lab_error *err)
{
	for (size_t i = 0; i < emu->keyspace_count; i++) {
		struct cqle_keyspace *ks = emu->keyspaces[i];
		if (!lab_view_eq(ks->name, s->keyspace) || !cqle_is_seen(emu, ks->unseen))
			continue;
		for (size_t j = emu->table_count; j > 0; j--) {
			if (emu->tables[j - 1]->keyspace == ks)
				cqle_table_forget(emu, j - 1);
		}
		cqle_user_types_drop(emu, ks);
		ks->dropped = true;
		emu->keyspace_count--;
		memmove(&emu->keyspaces[i], &emu->keyspaces[i + 1],
			(emu->keyspace_count - i) * sizeof(struct cqle_keyspace *));
		ret->change = (struct cql_schema_change){ .change = LAB_VIEW("DROPPED"),
			.target = LAB_VIEW("KEYSPACE"),
			.keyspace = ks->name };
		return 0;
	}
	if (s->if_exists)
		return 0;
	return cqle_fail(
		err, CQL_E_INVALID, "Keyspace '%.*s' doesn't exist", LAB_VIEW_ARG(s->keyspace));
}

static bool is_system(const struct cqlemu *emu, const struct statement *s, struct lab_view current)
{
	struct lab_view name = s->keyspace.ptr != NULL ? s->keyspace : current;
	const struct cqle_keyspace *ks = name.ptr == NULL ? NULL : cqle_keyspace_find(emu, name);
	return ks != NULL && ks->local;
}

static int ddl_change(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	if (s->kind == STATEMENT_CREATE_KEYSPACE)
		return create_keyspace(emu, s, ret, err);
	if (s->kind == STATEMENT_CREATE_TABLE)
		return create_table(emu, s, current, ret, err);
	if (s->kind == STATEMENT_DROP_KEYSPACE)
		return drop_keyspace(emu, s, ret, err);
	if (s->kind == STATEMENT_ALTER_KEYSPACE)
		return alter_keyspace(emu, s, ret, err);
	struct lab_view keyspace;
	if (s->kind == STATEMENT_DROP_TABLE)
		return drop_table(emu, s, current, ret, err);
	if (require_keyspace(current, s->keyspace, &keyspace, err) < 0)
		return -1;
	if (s->kind == STATEMENT_CREATE_INDEX || s->kind == STATEMENT_DROP_INDEX)
		return cqle_index_ddl(emu, s, keyspace, ret, err);
	return s->kind == STATEMENT_ALTER_TABLE ? schema_alter_table(emu, s, keyspace, ret, err)
						: cqle_user_type_ddl(emu, s, keyspace, ret, err);
}

int cqle_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view current,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	*ret = (struct cqle_ddl_result){ .exists_table = lab_view_of("", 0) };
	if (emu->system_ready && is_system(emu, s, current) && !s->if_not_exists)
		return cqle_fail(
			err, CQL_E_UNAUTHORIZED, "system keyspace is not user-modifiable.");
	struct lab_arena_mark mark = lab_arena_mark(emu->permanent);
	if (ddl_change(emu, s, current, ret, err) < 0) {
		lab_arena_rewind(emu->permanent, mark);
		return -1;
	}
	if (ret->change.change.len == 0)
		lab_arena_rewind(emu->permanent, mark);
	else {
		cqle_keep_statement(emu, s, current, &ret->change);
		emu->schema_version++;
		emu->metadata_version++;
	}
	return 0;
}
