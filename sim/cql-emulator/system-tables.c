/* SPDX-License-Identifier: Apache-2.0
 *
 * system-tables.c - the system keyspaces that drivers read at connect (cql-imds 2.2). They are
 * ordinary tables, one copy on each node, whose contents are made anew when somebody reads one and
 * something has changed since.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/roles.h"
#include "sim/cql-emulator/table-options.h"
#include "sim/cql-emulator/tracing.h"

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

static const char *boolean_text(bool value)
{
	return value ? "true" : "false";
}

static const char *uuid(const struct filler *f, const uint8_t *bytes)
{
	char *text = lab_arena_alloc(f->arena, CQL_UUID_TEXT_MAX);
	cql_uuid_format(bytes, text);
	return text;
}

/* Of all changes that `node` knows, as `observer` sees it: of one that is down, what it said last.
 */
void cqle_schema_version(
	const struct cqlemu *emu, size_t observer, size_t node, uint8_t ret[CQL_UUID_BYTES])
{
	const struct cqle_view *view = &emu->nodes[observer].views[node];
	uint64_t digest =
		node == observer || view->up ? emu->nodes[node].schema_digest : view->schema_digest;
	uint64_t id[2] = { lab_draw(emu->options.seed, "cql.schema", digest, 1),
		lab_draw(emu->options.seed, "cql.schema", digest, 2) };
	memcpy(ret, id, sizeof(id));
	ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x30);
	ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

static const char *schema_version(const struct filler *f, size_t node)
{
	uint8_t bytes[CQL_UUID_BYTES];
	cqle_schema_version(f->emu, f->node, node, bytes);
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
		if ((ks->unseen & cqle_bit(f->node)) != 0 || cqle_keyspace_is_virtual(ks->name))
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
	for (size_t i = 0; i < f->emu->table_count; i++) {
		if (cqle_knows(f->node, f->emu->tables[i]) &&
			!cqle_keyspace_is_virtual(f->emu->tables[i]->keyspace->name))
			fill_table(f, f->emu->tables[i]);
	}
}

static void fill_columns_of(const struct filler *f, const char *into, const struct cqle_table *t)
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
				  "INSERT INTO %s.columns (keyspace_name, table_name, "
				  "column_name, clustering_order, column_name_bytes, kind, "
				  "position, type) "
				  "VALUES (%s, %s, %s, '%s', 0x%s, '%s', %d, %s)",
				  into, quote(f, t->keyspace->name), quote(f, t->name),
				  quote(f, c->name), order, hex, kinds[c->kind],
				  key ? (int)c->position : -1, quote(f, c->type_text)));
	}
}

static void fill_columns(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++) {
		if (cqle_knows(f->node, f->emu->tables[i]) &&
			!cqle_keyspace_is_virtual(f->emu->tables[i]->keyspace->name))
			fill_columns_of(f, "system_schema", f->emu->tables[i]);
	}
}

static void fill_dropped_columns(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++) {
		const struct cqle_table *t = f->emu->tables[i];
		for (const struct cqle_dropped_column *d =
				cqle_knows(f->node, t) ? t->dropped_columns : NULL;
			d != NULL; d = d->next)
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_schema.dropped_columns "
					  "(keyspace_name, table_name, column_name, dropped_time, "
					  "kind, type) VALUES (%s, %s, %s, %" PRId64 ", '%s', %s)",
					  quote(f, t->keyspace->name), quote(f, t->name),
					  quote(f, d->name), d->timestamp_us / 1000,
					  d->is_static ? "static" : "regular",
					  quote(f, d->type_text)));
	}
}

/* ---- system_virtual_schema, system_views ---- */

static void fill_virtual_keyspaces(const struct filler *f)
{
	insert(f, "INSERT INTO system_virtual_schema.keyspaces (keyspace_name) VALUES "
		  "('system_views')");
	insert(f, "INSERT INTO system_virtual_schema.keyspaces (keyspace_name) VALUES "
		  "('system_virtual_schema')");
}

static void fill_virtual_tables(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++) {
		const struct cqle_table *t = f->emu->tables[i];
		if (cqle_keyspace_is_virtual(t->keyspace->name))
			insert(f, lab_arena_printf(f->arena,
					  "INSERT INTO system_virtual_schema.tables "
					  "(keyspace_name, table_name, comment) VALUES "
					  "(%s, %s, %s)",
					  quote(f, t->keyspace->name), quote(f, t->name),
					  quote(f, t->comment)));
	}
}

static void fill_virtual_columns(const struct filler *f)
{
	for (size_t i = 0; i < f->emu->table_count; i++) {
		if (cqle_keyspace_is_virtual(f->emu->tables[i]->keyspace->name))
			fill_columns_of(f, "system_virtual_schema", f->emu->tables[i]);
	}
}

static void setting(const struct filler *f, const char *name, const char *value)
{
	insert(f, lab_arena_printf(f->arena,
			  "INSERT INTO system_views.settings (name, value) VALUES ('%s', %s)", name,
			  quote(f, lab_view_cstr(value))));
}

static void number_setting(const struct filler *f, const char *name, uint64_t value)
{
	setting(f, name, lab_arena_printf(f->arena, "%" PRIu64, value));
}

/* Those that mean something here. */
static void fill_settings(const struct filler *f)
{
	const struct cqlemu_options *o = &f->emu->options;
	setting(f, "cluster_name", lab_arena_cstr(f->arena, o->cluster_name));
	setting(f, "partitioner", "org.apache.cassandra.dht.Murmur3Partitioner");
	setting(f, "hinted_handoff_enabled", boolean_text(o->hinted_handoff));
	number_setting(f, "native_transport_port", o->native_port);
	number_setting(f, "storage_port", o->storage_port);
	number_setting(f, "num_tokens", o->tokens_per_node);
	number_setting(f, "max_hint_window_in_ms", o->hint_window_ns / LAB_MSEC);
	number_setting(f, "read_request_timeout_in_ms", o->read_timeout_ns / LAB_MSEC);
	number_setting(f, "range_request_timeout_in_ms", o->range_timeout_ns / LAB_MSEC);
	number_setting(f, "write_request_timeout_in_ms", o->write_timeout_ns / LAB_MSEC);
	number_setting(f, "counter_write_request_timeout_in_ms", o->counter_timeout_ns / LAB_MSEC);
	number_setting(f, "cas_contention_timeout_in_ms", o->cas_contention_ns / LAB_MSEC);
	number_setting(f, "truncate_request_timeout_in_ms", o->truncate_timeout_ns / LAB_MSEC);
	number_setting(f, "tombstone_warn_threshold", o->tombstone_warn);
	number_setting(f, "tombstone_failure_threshold", o->tombstone_fail);
	number_setting(f, "batch_size_warn_threshold_in_kb", o->batch_warn_bytes / 1024);
	number_setting(f, "batch_size_fail_threshold_in_kb", o->batch_fail_bytes / 1024);
	number_setting(f, "native_transport_max_frame_size_in_mb", o->frame_bytes_max >> 20);
	setting(f, "enable_user_defined_functions", "false");
	setting(f, "enable_materialized_views", "false");
}

/* ---- system_auth; nobody is shown a password's hash ---- */

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

/* ---- system_traces ---- */

/* Seconds until a session's rows are gone; 0: they are. */
static unsigned trace_life(const struct cqlemu *emu, const struct cqle_trace *t)
{
	uint64_t age_s = (emu->now_ns - t->began_ns) / LAB_SEC;
	return t->serial == 0 || age_s >= CQLE_TRACE_TTL_S ? 0
							   : (unsigned)(CQLE_TRACE_TTL_S - age_s);
}

static const char *trace_parameters(const struct filler *f, const struct cqle_trace *t)
{
	const char *text = lab_arena_printf(f->arena, "{'query': %s", quote(f, t->query));
	if (t->page_size > 0)
		text = lab_arena_printf(f->arena, "%s, 'page_size': '%d'", text, t->page_size);
	if (!t->is_prepare)
		text = lab_arena_printf(f->arena,
			"%s, 'consistency_level': '%s', 'serial_consistency_level': '%s'", text,
			cql_consistency_name(t->consistency),
			cql_consistency_name(t->serial_consistency));
	return lab_arena_printf(f->arena, "%s}", text);
}

static void fill_session(const struct filler *f, const struct cqle_trace *t, unsigned life)
{
	int64_t began_ms = (f->emu->options.epoch_us + (int64_t)(t->began_ns / 1000)) / 1000;
	const char *duration =
		t->finished ? lab_arena_printf(f->arena, "%" PRIu64, t->duration_us) : "null";
	insert(f, lab_arena_printf(f->arena,
			  "INSERT INTO system_traces.sessions (session_id, command, coordinator, "
			  "coordinator_port, duration, parameters, request, started_at) VALUES "
			  "(%s, 'QUERY', '%s', %u, %s, %s, %s, %" PRId64 ") USING TTL %u",
			  uuid(f, t->id), f->emu->nodes[t->node].address_text,
			  f->emu->options.storage_port, duration, trace_parameters(f, t),
			  quote(f, lab_view_cstr(t->request)), began_ms, life));
}

static void fill_sessions(const struct filler *f)
{
	for (size_t i = 0; f->emu->traces != NULL && i < CQLE_TRACES_MAX; i++) {
		const struct cqle_trace *t = &f->emu->traces->items[i];
		unsigned life = trace_life(f->emu, t);
		if (life > 0)
			fill_session(f, t, life);
	}
}

/* Their ids follow the session's, in the order in which they happened. */
static void fill_events_of(const struct filler *f, const struct cqle_trace *t, unsigned life)
{
	for (size_t i = 0; i < t->event_count; i++) {
		const struct cqle_trace_event *e = &t->events[i];
		uint8_t id[CQL_UUID_BYTES];
		memcpy(id, t->id, sizeof(id));
		uint32_t low = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 |
			       (uint32_t)id[2] << 8 | id[3];
		low += (uint32_t)LAB_MIN(i + 1, (size_t)(UINT32_MAX - low));
		for (unsigned b = 0; b < 4; b++)
			id[b] = (uint8_t)(low >> (24 - 8 * b));
		insert(f, lab_arena_printf(f->arena,
				  "INSERT INTO system_traces.events (session_id, event_id, "
				  "activity, source, source_elapsed, source_port, thread) VALUES "
				  "(%s, %s, %s, '%s', %" PRIu64 ", %u, '%s') USING TTL %u",
				  uuid(f, t->id), uuid(f, id), quote(f, lab_view_cstr(e->activity)),
				  f->emu->nodes[e->node].address_text,
				  LAB_MIN(e->elapsed_us, (uint64_t)INT32_MAX),
				  f->emu->options.storage_port, e->stage, life));
	}
}

static void fill_events(const struct filler *f)
{
	for (size_t i = 0; f->emu->traces != NULL && i < CQLE_TRACES_MAX; i++) {
		const struct cqle_trace *t = &f->emu->traces->items[i];
		unsigned life = trace_life(f->emu, t);
		if (life > 0)
			fill_events_of(f, t, life);
	}
}

static const struct {
	const char *keyspace, *table;
	void (*fill)(const struct filler *f);
} contents[] = { { "system", "local", fill_local }, { "system", "peers", fill_peers },
	{ "system", "peers_v2", fill_peers_v2 }, { "system_schema", "keyspaces", fill_keyspaces },
	{ "system_schema", "tables", fill_tables }, { "system_schema", "columns", fill_columns },
	{ "system_schema", "dropped_columns", fill_dropped_columns },
	{ "system_virtual_schema", "keyspaces", fill_virtual_keyspaces },
	{ "system_virtual_schema", "tables", fill_virtual_tables },
	{ "system_virtual_schema", "columns", fill_virtual_columns },
	{ "system_views", "settings", fill_settings },
	{ "system_traces", "sessions", fill_sessions }, { "system_traces", "events", fill_events },
	{ "system_auth", "roles", fill_roles },
	{ "system_auth", "role_members", fill_role_members },
	{ "system_auth", "role_permissions", fill_role_permissions },
	{ "system_auth", "resource_role_permissons_index", fill_permission_index },
	{ "system_schema", "types", fill_types }, { "system_schema", "indexes", fill_indexes } };

static bool is_content_of(size_t i, const struct cqle_table *table)
{
	return lab_view_eq_cstr(table->keyspace->name, contents[i].keyspace) &&
	       lab_view_eq_cstr(table->name, contents[i].table);
}

static bool is_filled(const struct cqle_table *table)
{
	for (size_t i = 0; i < LAB_COUNT_OF(contents); i++) {
		if (is_content_of(i, table))
			return true;
	}
	return false;
}

bool cqle_table_is_hollow(const struct cqle_table *table)
{
	return cqle_keyspace_is_virtual(table->keyspace->name) && !is_filled(table);
}

void cqle_system_table_refresh(struct cqlemu *emu, size_t node, struct cqle_table *table)
{
	/* 0 is never filled; the version begins at 1 with the first keyspace. */
	uint64_t version = emu->metadata_version;
	if (lab_view_eq_cstr(table->keyspace->name, "system_traces"))
		version = emu->traces == NULL ? 1 : emu->traces->version + 2;
	if (table->filled[node] == version)
		return;
	table->filled[node] = version;
	cqle_store_clear(table->stores[node]);
	for (size_t i = 0; i < LAB_COUNT_OF(contents); i++) {
		if (!is_content_of(i, table))
			continue;
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		struct filler filler = { emu, emu->scratch, node, table };
		emu->filling = true;
		contents[i].fill(&filler);
		emu->filling = false;
		lab_arena_rewind(emu->scratch, mark);
	}
}

static bool is_of_v4(const char *definition)
{
	return strstr(definition, " system_virtual_schema") != NULL ||
	       strstr(definition, " system.peers_v2 ") != NULL;
}

void cqle_system_tables_create(struct cqlemu *emu)
{
	struct lab_error err;
	for (const char *const *d = cqle_system_definitions; *d != NULL; d++) {
		if (!emu->profile->v4_tables && is_of_v4(*d))
			continue;
		if (cqle_setup(emu, lab_view_cstr(*d), &err) < 0)
			lab_bug("a system table's definition is not good CQL");
	}
	emu->system_ready = true;
}
