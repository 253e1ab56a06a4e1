/* SPDX-License-Identifier: Apache-2.0
 *
 * system-tables.c - the system keyspaces that drivers read at connect (cql-imds 2.2). They are
 * ordinary tables, one copy on each node, whose contents are made anew when somebody reads one and
 * something has changed since.
 */
#include "sim/cql-emulator/roles.h"
#include "sim/cql-emulator/table-options.h"

static const char *const definitions[] = {
	"CREATE KEYSPACE system WITH replication = {'class': 'LocalStrategy'}",
	"CREATE KEYSPACE system_schema WITH replication = {'class': 'LocalStrategy'}",
	"CREATE KEYSPACE system_virtual_schema WITH replication = {'class': 'LocalStrategy'}",
	"CREATE KEYSPACE system_traces WITH replication = {'class': 'LocalStrategy'}",
	"CREATE KEYSPACE system_auth WITH replication = {'class': 'LocalStrategy'}",
	"CREATE TABLE system.local (key text PRIMARY KEY, bootstrapped text, broadcast_address "
	"inet, "
	"broadcast_port int, cluster_name text, cql_version text, data_center text, "
	"gossip_generation int, host_id uuid, listen_address inet, listen_port int, "
	"native_protocol_version text, partitioner text, rack text, release_version text, "
	"rpc_address inet, rpc_port int, schema_version uuid, tokens frozen<set<text>>, "
	"truncated_at frozen<map<uuid, blob>>)",
	"CREATE TABLE system.peers (peer inet PRIMARY KEY, data_center text, host_id uuid, "
	"preferred_ip inet, rack text, release_version text, rpc_address inet, schema_version "
	"uuid, "
	"tokens frozen<set<text>>)",
	"CREATE TABLE system.peers_v2 (peer inet, peer_port int, data_center text, host_id uuid, "
	"native_address inet, native_port int, preferred_ip inet, preferred_port int, rack text, "
	"release_version text, schema_version uuid, tokens frozen<set<text>>, "
	"PRIMARY KEY (peer, peer_port))",
	"CREATE TABLE system.prepared_statements (prepared_id blob PRIMARY KEY, "
	"logged_keyspace text, query_string text)",
	"CREATE TABLE system.size_estimates (keyspace_name text, table_name text, range_start "
	"text, "
	"range_end text, mean_partition_size bigint, partitions_count bigint, "
	"PRIMARY KEY (keyspace_name, table_name, range_start, range_end))",
	"CREATE TABLE system.built_views (keyspace_name text, view_name text, "
	"status_replicated boolean, PRIMARY KEY (keyspace_name, view_name))",
	"CREATE TABLE system_schema.keyspaces (keyspace_name text PRIMARY KEY, "
	"durable_writes boolean, replication frozen<map<text, text>>)",
	"CREATE TABLE system_schema.tables (keyspace_name text, table_name text, "
	"additional_write_policy text, bloom_filter_fp_chance double, "
	"caching frozen<map<text, text>>, cdc boolean, comment text, "
	"compaction frozen<map<text, text>>, compression frozen<map<text, text>>, "
	"crc_check_chance double, dclocal_read_repair_chance double, default_time_to_live int, "
	"extensions frozen<map<text, blob>>, flags frozen<set<text>>, gc_grace_seconds int, id "
	"uuid, "
	"max_index_interval int, memtable_flush_period_in_ms int, min_index_interval int, "
	"read_repair text, read_repair_chance double, speculative_retry text, "
	"PRIMARY KEY (keyspace_name, table_name))",
	"CREATE TABLE system_schema.columns (keyspace_name text, table_name text, column_name "
	"text, "
	"clustering_order text, column_name_bytes blob, kind text, position int, type text, "
	"PRIMARY KEY (keyspace_name, table_name, column_name))",
	"CREATE TABLE system_schema.views (keyspace_name text, view_name text, base_table_id uuid, "
	"base_table_name text, include_all_columns boolean, where_clause text, id uuid, "
	"PRIMARY KEY (keyspace_name, view_name))",
	"CREATE TABLE system_schema.indexes (keyspace_name text, table_name text, index_name text, "
	"kind text, options frozen<map<text, text>>, "
	"PRIMARY KEY (keyspace_name, table_name, index_name))",
	"CREATE TABLE system_schema.types (keyspace_name text, type_name text, "
	"field_names frozen<list<text>>, field_types frozen<list<text>>, "
	"PRIMARY KEY (keyspace_name, type_name))",
	"CREATE TABLE system_schema.functions (keyspace_name text, function_name text, "
	"argument_names frozen<list<text>>, argument_types frozen<list<text>>, body text, "
	"called_on_null_input boolean, language text, return_type text, "
	"PRIMARY KEY (keyspace_name, function_name))",
	"CREATE TABLE system_schema.aggregates (keyspace_name text, aggregate_name text, "
	"argument_types frozen<list<text>>, final_func text, initcond text, return_type text, "
	"state_func text, state_type text, PRIMARY KEY (keyspace_name, aggregate_name))",
	"CREATE TABLE system_schema.triggers (keyspace_name text, table_name text, "
	"trigger_name text, options frozen<map<text, text>>, "
	"PRIMARY KEY (keyspace_name, table_name, trigger_name))",
	"CREATE TABLE system_schema.dropped_columns (keyspace_name text, table_name text, "
	"column_name text, dropped_time timestamp, kind text, type text, "
	"PRIMARY KEY (keyspace_name, table_name, column_name))",
	"CREATE TABLE system_virtual_schema.keyspaces (keyspace_name text PRIMARY KEY)",
	"CREATE TABLE system_virtual_schema.tables (keyspace_name text, table_name text, "
	"comment text, PRIMARY KEY (keyspace_name, table_name))",
	"CREATE TABLE system_virtual_schema.columns (keyspace_name text, table_name text, "
	"column_name text, clustering_order text, column_name_bytes blob, kind text, position int, "
	"type text, PRIMARY KEY (keyspace_name, table_name, column_name))",
	"CREATE TABLE system_traces.sessions (session_id uuid PRIMARY KEY, client inet, command "
	"text, "
	"coordinator inet, coordinator_port int, duration int, "
	"parameters frozen<map<text, text>>, request text, started_at timestamp)",
	"CREATE TABLE system_traces.events (session_id uuid, event_id timeuuid, activity text, "
	"source inet, source_port int, source_elapsed int, thread text, "
	"PRIMARY KEY (session_id, event_id))",
	"CREATE TABLE system_auth.roles (role text PRIMARY KEY, can_login boolean, "
	"is_superuser boolean, member_of set<text>, salted_hash text)",
	"CREATE TABLE system_auth.role_members (role text, member text, "
	"PRIMARY KEY (role, member))",
	"CREATE TABLE system_auth.role_permissions (role text, resource text, "
	"permissions set<text>, PRIMARY KEY (role, resource))",
	"CREATE TABLE system_auth.resource_role_permissons_index (resource text, role text, "
	"PRIMARY KEY (resource, role))",
	"CREATE TABLE system_auth.network_permissions (role text PRIMARY KEY, "
	"dcs frozen<set<text>>)"
};

/* ---- rows as CQL text ---- */

struct filler {
	struct cqlemu *emu;
	struct lab_arena *arena;
	size_t node;
	struct cqle_table *table;
};

static void insert(const struct filler *f, const char *cql)
{
	struct statement *statement;
	struct cqle_change_item item = { .plan = NULL };
	struct cqle_mutations m = { NULL, 0, 0 };
	int64_t timestamp = 1;
	struct lab_error err;
	if (cqle_parse(f->arena, lab_view_cstr(cql), &statement, &err) < 0 ||
		cqle_plan_build(
			f->emu, f->arena, statement, lab_view_of(NULL, 0), &item.plan, &err) < 0 ||
		cqle_bind_change(f->emu, f->arena, &item, NULL, &timestamp, &m, &err) < 0)
		lab_bug("a row of a system table is not good CQL");
	for (size_t i = 0; i < m.count; i++) {
		cqle_store_apply(f->table->stores[f->node], m.items[i]);
		cqle_mutation_unref(f->emu->heap, m.items[i]);
	}
}

/* With each quote doubled, in quotes. */
static const char *quote(const struct filler *f, struct lab_view text)
{
	char *out = lab_arena_alloc(f->arena, 2 * text.len + 3), *at = out;
	*at++ = '\'';
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'')
			*at++ = '\'';
		*at++ = (char)text.ptr[i];
	}
	*at++ = '\'';
	return out;
}

static const char *uuid(const struct filler *f, const uint8_t *bytes)
{
	char *text = lab_arena_alloc(f->arena, CQL_UUID_TEXT_MAX);
	cql_uuid_format(bytes, text);
	return text;
}

/* Of all changes that `node` knows, as this one sees it: of one that is down, what it said last. */
static const char *schema_version(const struct filler *f, size_t node)
{
	const struct cqle_view *view = &f->emu->nodes[f->node].views[node];
	uint64_t digest = node == f->node || view->up ? f->emu->nodes[node].schema_digest
						      : view->schema_digest;
	uint64_t id[2] = { lab_draw(f->emu->options.seed, "cql.schema", digest, 1),
		lab_draw(f->emu->options.seed, "cql.schema", digest, 2) };
	uint8_t bytes[CQL_UUID_BYTES];
	memcpy(bytes, id, sizeof(bytes));
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x30);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	return uuid(f, bytes);
}

static const char *tokens(const struct filler *f, size_t node)
{
	const char *text = "{";
	for (size_t i = 0; i < f->emu->ring_count; i++) {
		if (f->emu->ring[i].node == node)
			text = lab_arena_printf(f->arena, "%s%s'%" PRId64 "'", text,
				text[1] == '\0' ? "" : ", ", f->emu->ring[i].token);
	}
	return lab_arena_printf(f->arena, "%s}", text);
}

/* ---- system ---- */

static void fill_local(const struct filler *f)
{
	const struct cqlemu *emu = f->emu;
	const struct cqle_node *n = &emu->nodes[f->node];
	const char *a = n->address_text;
	insert(f,
		lab_arena_printf(f->arena,
			"INSERT INTO system.local (key, bootstrapped, broadcast_address, "
			"broadcast_port, cluster_name, cql_version, data_center, "
			"gossip_generation, "
			"host_id, listen_address, listen_port, native_protocol_version, "
			"partitioner, "
			"rack, release_version, rpc_address, rpc_port, schema_version, tokens) "
			"VALUES "
			"('local', 'COMPLETED', '%s', %u, %s, '%s', %s, %u, %s, '%s', %u, '%u', "
			"'org.apache.cassandra.dht.Murmur3Partitioner', %s, %s, '%s', %u, %s, %s)",
			a, emu->options.storage_port, quote(f, emu->options.cluster_name),
			emu->profile->cql_version, quote(f, n->dc_name), n->incarnation,
			uuid(f, n->host_id), a, emu->options.storage_port,
			emu->profile->version_max, quote(f, n->rack_name),
			quote(f, emu->options.release_version), a, emu->options.native_port,
			schema_version(f, f->node), tokens(f, f->node)));
}

static void fill_peers(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->node_count; i++) {
		const struct cqle_node *n = &f->emu->nodes[i];
		if (i == f->node)
			continue;
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system.peers (peer, data_center, host_id, rack, "
				  "release_version, rpc_address, schema_version, tokens) VALUES "
				  "('%s', %s, "
				  "%s, %s, %s, '%s', %s, %s)",
				  n->address_text, quote(f, n->dc_name), uuid(f, n->host_id),
				  quote(f, n->rack_name), quote(f, f->emu->options.release_version),
				  n->address_text, schema_version(f, i), tokens(f, i)));
	}
}

static void fill_peers_v2(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->node_count; i++) {
		const struct cqle_node *n = &f->emu->nodes[i];
		if (i == f->node)
			continue;
		insert(f,
			lab_arena_printf(f->arena,
				"INSERT INTO system.peers_v2 (peer, peer_port, data_center, "
				"host_id, "
				"native_address, native_port, rack, release_version, "
				"schema_version, "
				"tokens) VALUES ('%s', %u, %s, %s, '%s', %u, %s, %s, %s, %s)",
				n->address_text, f->emu->options.storage_port, quote(f, n->dc_name),
				uuid(f, n->host_id), n->address_text, f->emu->options.native_port,
				quote(f, n->rack_name), quote(f, f->emu->options.release_version),
				schema_version(f, i), tokens(f, i)));
	}
}

/* ---- system_schema ---- */

static const char *replication(const struct filler *f, const struct cqle_keyspace *ks)
{
	const char *text = lab_arena_printf(f->arena, "{'class': %s", quote(f, ks->strategy));
	if (ks->simple)
		text = lab_arena_printf(
			f->arena, "%s, 'replication_factor': '%u'", text, ks->total);
	for (size_t dc = 0; !ks->simple && dc < f->emu->dc_count; dc++) {
		if (ks->per_dc[dc] > 0)
			text = lab_arena_printf(f->arena, "%s, %s: '%u'", text,
				quote(f, f->emu->dc_names[dc]), ks->per_dc[dc]);
	}
	return lab_arena_printf(f->arena, "%s}", text);
}

static void fill_keyspaces(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->keyspace_count; i++) {
		const struct cqle_keyspace *ks = f->emu->keyspaces[i];
		if ((ks->unseen & cqle_bit(f->node)) != 0)
			continue;
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system_schema.keyspaces (keyspace_name, "
				  "durable_writes, "
				  "replication) VALUES (%s, %s, %s)",
				  quote(f, ks->name), ks->durable_writes ? "true" : "false",
				  replication(f, ks)));
	}
}

static void fill_table(const struct filler *f, const struct cqle_table *t)
{
	const struct cqle_table_options *o = &t->options;
	insert(f,
		lab_arena_printf(f->arena,
			"INSERT INTO system_schema.tables (keyspace_name, table_name, "
			"additional_write_policy, bloom_filter_fp_chance, caching, comment, "
			"compaction, compression, crc_check_chance, dclocal_read_repair_chance, "
			"default_time_to_live, extensions, flags, gc_grace_seconds, id, "
			"max_index_interval, memtable_flush_period_in_ms, min_index_interval, "
			"read_repair, read_repair_chance, speculative_retry) VALUES (%s, %s, %s, "
			"%s, %s, %s, %s, %s, %s, 0.0, %u, {}, {%s}, %u, %s, %d, %d, %d, '%s', 0.0, "
			"%s)",
			quote(f, t->keyspace->name), quote(f, t->name),
			quote(f, o->additional_write_policy),
			cqle_option_double(f->arena, o->bloom_filter_fp_chance),
			cqle_option_map_text(f->arena, &o->caching), quote(f, t->comment),
			cqle_option_map_text(f->arena, &o->compaction),
			cqle_option_map_text(f->arena, &o->compression),
			cqle_option_double(f->arena, o->crc_check_chance), t->default_ttl_s,
			cqle_table_is_counter(t) ? "'compound', 'counter'" : "'compound'",
			t->gc_grace_s, uuid(f, t->id), o->max_index_interval,
			o->memtable_flush_period_ms, o->min_index_interval,
			t->repairs_nothing ? "NONE" : "BLOCKING", quote(f, t->retry_text)));
}

static void fill_tables(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++)
		if (cqle_knows(f->node, f->emu->tables[i]))
			fill_table(f, f->emu->tables[i]);
}

static void fill_columns_of(const struct filler *f, const struct cqle_table *t)
{
	static const char *const kinds[] = { [CQLE_PARTITION_KEY] = "partition_key",
		[CQLE_CLUSTERING] = "clustering",
		[CQLE_STATIC] = "static",
		[CQLE_REGULAR] = "regular" };
	for (size_t i = 0; i < t->column_count; i++) {
		const struct cqle_column *c = &t->columns[i];
		bool key = c->kind == CQLE_PARTITION_KEY || c->kind == CQLE_CLUSTERING;
		const char *order = c->kind != CQLE_CLUSTERING ? "none"
				    : c->descending            ? "desc"
							       : "asc";
		char *hex = lab_arena_alloc(f->arena, 2 * c->name.len + 1);
		lab_hex(c->name.ptr, c->name.len, hex);
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system_schema.columns (keyspace_name, table_name, "
				  "column_name, clustering_order, column_name_bytes, kind, "
				  "position, type) "
				  "VALUES (%s, %s, %s, '%s', 0x%s, '%s', %d, %s)",
				  quote(f, t->keyspace->name), quote(f, t->name), quote(f, c->name),
				  order, hex, kinds[c->kind], key ? (int)c->position : -1,
				  quote(f, c->type_text)));
	}
}

static void fill_columns(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++)
		if (cqle_knows(f->node, f->emu->tables[i]))
			fill_columns_of(f, f->emu->tables[i]);
}

/* ---- system_auth; nobody is shown a password's hash ---- */

static const char *boolean_text(bool value)
{
	return value ? "true" : "false";
}

/* Without authentication there still is the superuser that every cluster begins with. */
static void fill_roles(const struct filler *f)
{
	const struct cqle_auth *auth = f->emu->auth;
	if (auth == NULL) {
		insert(f, "INSERT INTO system_auth.roles (role, can_login, is_superuser) VALUES "
			  "('cassandra', true, true)");
		return;
	}
	for (size_t i = 0; i < auth->role_count; i++) {
		const struct cqle_role *r = auth->roles[i];
		const char *members = "";
		for (size_t j = 0; j < r->member_count; j++)
			members = lab_arena_printf(f->arena, "%s%s%s", members, j > 0 ? ", " : "",
				quote(f, r->member_of[j]->name));
		if (r->exists)
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_auth.roles (role, can_login, "
					  "is_superuser, member_of) VALUES (%s, %s, %s, {%s})",
					  quote(f, r->name), boolean_text(r->can_login),
					  boolean_text(r->superuser), members));
	}
}

static void fill_role_members(const struct filler *f)
{
	const struct cqle_auth *auth = f->emu->auth;
	for (size_t i = 0; auth != NULL && i < auth->role_count; i++) {
		for (size_t j = 0; j < auth->roles[i]->member_count; j++)
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_auth.role_members (role, member) "
					  "VALUES (%s, %s)",
					  quote(f, auth->roles[i]->member_of[j]->name),
					  quote(f, auth->roles[i]->name)));
	}
}

static void fill_role_permissions(const struct filler *f)
{
	const struct cqle_auth *auth = f->emu->auth;
	for (size_t i = 0; auth != NULL && i < auth->grant_count; i++) {
		const struct cqle_grant *g = &auth->grants[i];
		const char *names = "";
		for (unsigned p = 0; p < CQLE_PERMISSION_COUNT; p++) {
			if ((g->permissions & (1u << p)) != 0)
				names = lab_arena_printf(f->arena, "%s%s'%s'", names,
					names[0] == '\0' ? "" : ", ", cqle_permission_names[p]);
		}
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system_auth.role_permissions (role, resource, "
				  "permissions) VALUES (%s, %s, {%s})",
				  quote(f, g->role->name), quote(f, g->name), names));
	}
}

static void fill_permission_index(const struct filler *f)
{
	const struct cqle_auth *auth = f->emu->auth;
	for (size_t i = 0; auth != NULL && i < auth->grant_count; i++) {
		const struct cqle_grant *g = &auth->grants[i];
		if (g->indexed)
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_auth.resource_role_permissons_index "
					  "(resource, role) VALUES (%s, %s)",
					  quote(f, g->name), quote(f, g->role->name)));
	}
}

static const char *list_of(const struct filler *f, const struct lab_view *texts, size_t count)
{
	const char *text = "[";
	for (size_t i = 0; i < count; i++)
		text = lab_arena_printf(
			f->arena, "%s%s%s", text, i == 0 ? "" : ", ", quote(f, texts[i]));
	return lab_arena_printf(f->arena, "%s]", text);
}

static void fill_indexes(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++) {
		const struct cqle_table *t = f->emu->tables[i];
		for (size_t j = 0; j < t->index_count; j++)
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_schema.indexes (keyspace_name, "
					  "table_name, index_name, kind, options) VALUES (%s, %s, "
					  "%s, 'COMPOSITES', {'target': %s})",
					  quote(f, t->keyspace->name), quote(f, t->name),
					  quote(f, t->indexes[j].name),
					  quote(f, lab_view_cstr(cqle_index_target_text(
							   f->arena, t, &t->indexes[j])))));
	}
}

static void fill_types(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->type_count; i++) {
		const struct cqle_user_type *t = f->emu->types[i];
		size_t count = t->type.param_count;
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system_schema.types (keyspace_name, type_name, "
				  "field_names, field_types) VALUES (%s, %s, %s, %s)",
				  quote(f, t->type.keyspace), quote(f, t->type.name),
				  list_of(f, t->type.field_names, count),
				  list_of(f, t->field_texts, count)));
	}
}

static const struct {
	const char *keyspace, *table;
	void (*fill)(const struct filler *f);
} contents[] = { { "system", "local", fill_local }, { "system", "peers", fill_peers },
	{ "system", "peers_v2", fill_peers_v2 }, { "system_schema", "keyspaces", fill_keyspaces },
	{ "system_schema", "tables", fill_tables }, { "system_schema", "columns", fill_columns },
	{ "system_auth", "roles", fill_roles },
	{ "system_auth", "role_members", fill_role_members },
	{ "system_auth", "role_permissions", fill_role_permissions },
	{ "system_auth", "resource_role_permissons_index", fill_permission_index },
	{ "system_schema", "types", fill_types }, { "system_schema", "indexes", fill_indexes } };

void cqle_system_table_refresh(struct cqlemu *emu, size_t node, struct cqle_table *table)
{
	/* 0 is never filled; the version begins at 1 with the first keyspace. */
	if (table->filled[node] == emu->metadata_version)
		return;
	table->filled[node] = emu->metadata_version;
	cqle_store_clear(table->stores[node]);
	for (size_t i = 0; i < LAB_COUNT_OF(contents); i++) {
		if (!lab_view_eq_cstr(table->keyspace->name, contents[i].keyspace) ||
			!lab_view_eq_cstr(table->name, contents[i].table))
			continue;
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		struct filler filler = { emu, emu->scratch, node, table };
		emu->filling = true;
		contents[i].fill(&filler);
		emu->filling = false;
		lab_arena_rewind(emu->scratch, mark);
	}
}

void cqle_system_tables_create(struct cqlemu *emu)
{
	struct lab_error err;
	for (size_t i = 0; i < LAB_COUNT_OF(definitions); i++) {
		if (cqle_setup(emu, lab_view_cstr(definitions[i]), &err) < 0)
			lab_bug("a system table's definition is not good CQL");
	}
	emu->system_ready = true;
}
