/* SPDX-License-Identifier: Apache-2.0
 *
 * system-definitions.c - the server's own tables, with the columns, options and ids that 4.0.14's
 * have. Two differ: functions and aggregates are not clustered by their argument types, of which
 * there never are any.
 */
#include "sim/cql-emulator/describe.h"

const char *const cqle_system_definitions[] = {
	"CREATE KEYSPACE system WITH replication = {'class': 'LocalStrategy'}",
	"CREATE TABLE system.available_ranges (keyspace_name text PRIMARY KEY, ranges "
	"set<blob>) WITH comment = 'available keyspace/ranges during bootstrap/replace "
	"that are ready to be served' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"c539fcab-d65a-31d1-8133-d25605643ee3",
	"CREATE TABLE system.available_ranges_v2 (keyspace_name text PRIMARY KEY, "
	"full_ranges set<blob>, transient_ranges set<blob>) WITH comment = 'available "
	"keyspace/ranges during bootstrap/replace that are ready to be served' AND "
	"gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"4224a088-2ac9-3d0c-889d-fbb5f0facda0",
	"CREATE TABLE system.batches (id timeuuid PRIMARY KEY, version int, mutations "
	"list<blob>) WITH comment = 'batches awaiting replay' AND compaction = "
	"{'class': 'org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy', "
	"'max_threshold': '32', 'min_threshold': '2'} AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"919a4bc5-7a33-3573-b03e-13fc3f68b465",
	"CREATE TABLE system.built_views (keyspace_name text, view_name text, "
	"status_replicated boolean, PRIMARY KEY (keyspace_name, view_name)) WITH "
	"comment = 'built views' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"4b3c50a9-ea87-3d76-9101-6dbc9c38494a",
	"CREATE TABLE system.compaction_history (id uuid PRIMARY KEY, bytes_in bigint, "
	"bytes_out bigint, columnfamily_name text, compacted_at timestamp, "
	"keyspace_name text, rows_merged map<int, bigint>) WITH comment = 'week-long "
	"compaction history' AND default_time_to_live = 604800 AND gc_grace_seconds = 0 "
	"AND memtable_flush_period_in_ms = 3600000 AND id = "
	"b4dbb7b4-dc49-3fb5-b3bf-ce6e434832ca",
	"CREATE TABLE system.\"IndexInfo\" (table_name text, index_name text, value "
	"blob, PRIMARY KEY (table_name, index_name)) WITH comment = 'built column "
	"indexes' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 "
	"AND id = 9f5c6374-d485-3229-9a0a-5094af9ad1e3",
	"CREATE TABLE system.local (key text PRIMARY KEY, bootstrapped text, "
	"broadcast_address inet, broadcast_port int, cluster_name text, cql_version "
	"text, data_center text, gossip_generation int, host_id uuid, listen_address "
	"inet, listen_port int, native_protocol_version text, partitioner text, rack "
	"text, release_version text, rpc_address inet, rpc_port int, schema_version "
	"uuid, tokens set<text>, truncated_at map<uuid, blob>) WITH comment = "
	"'information about the local node' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"7ad54392-bcdd-35a6-8417-4e047860b377",
	"CREATE TABLE system.paxos (row_key blob, cf_id uuid, in_progress_ballot "
	"timeuuid, most_recent_commit blob, most_recent_commit_at timeuuid, "
	"most_recent_commit_version int, proposal blob, proposal_ballot timeuuid, "
	"proposal_version int, PRIMARY KEY (row_key, cf_id)) WITH comment = "
	"'in-progress paxos proposals' AND compaction = {'class': "
	"'org.apache.cassandra.db.compaction.LeveledCompactionStrategy', "
	"'max_threshold': '32', 'min_threshold': '4'} AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"b7b7f0c2-fd0a-3410-8c05-3ef614bb7c2d",
	"CREATE TABLE system.peer_events (peer inet PRIMARY KEY, hints_dropped "
	"map<uuid, int>) WITH comment = 'events related to peers' AND gc_grace_seconds "
	"= 0 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"59dfeaea-8db2-3341-91ef-109974d81484",
	"CREATE TABLE system.peer_events_v2 (peer inet, peer_port int, hints_dropped "
	"map<uuid, int>, PRIMARY KEY (peer, peer_port)) WITH comment = 'events related "
	"to peers' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 "
	"AND id = 0e65065f-e401-38ed-9507-b9213fae8d11",
	"CREATE TABLE system.peers (peer inet PRIMARY KEY, data_center text, host_id "
	"uuid, preferred_ip inet, rack text, release_version text, rpc_address inet, "
	"schema_version uuid, tokens set<text>) WITH comment = 'information about known "
	"peers in the cluster' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms "
	"= 3600000 AND id = 37f71aca-7dc2-383b-a706-72528af04d4f",
	"CREATE TABLE system.peers_v2 (peer inet, peer_port int, data_center text, "
	"host_id uuid, native_address inet, native_port int, preferred_ip inet, "
	"preferred_port int, rack text, release_version text, schema_version uuid, "
	"tokens set<text>, PRIMARY KEY (peer, peer_port)) WITH comment = 'information "
	"about known peers in the cluster' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"c4325fbb-8e5e-3baf-bd07-0f9250ed818e",
	"CREATE TABLE system.prepared_statements (prepared_id blob PRIMARY KEY, "
	"logged_keyspace text, query_string text) WITH comment = 'prepared statements' "
	"AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"18a9c257-6a0c-3841-ba71-8cd529849fef",
	"CREATE TABLE system.repairs (parent_id timeuuid PRIMARY KEY, coordinator inet, "
	"coordinator_port int, last_update timestamp, repaired_at timestamp, started_at "
	"timestamp, state int, cfids set<uuid>, participants set<inet>, participants_wp "
	"set<text>, ranges set<blob>) WITH comment = 'repairs' AND gc_grace_seconds = 0 "
	"AND memtable_flush_period_in_ms = 3600000 AND id = "
	"a3d277d1-cfaf-36f5-a2a7-38d5eea9ad6a",
	"CREATE TABLE system.size_estimates (keyspace_name text, table_name text, "
	"range_start text, range_end text, mean_partition_size bigint, partitions_count "
	"bigint, PRIMARY KEY (keyspace_name, table_name, range_start, range_end)) WITH "
	"comment = 'per-table primary range size estimates, table is deprecated in "
	"favor of table_estimates' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"618f817b-005f-3678-b8a4-53f3930b8e86",
	"CREATE TABLE system.sstable_activity (keyspace_name text, columnfamily_name "
	"text, generation int, rate_120m double, rate_15m double, PRIMARY KEY "
	"((keyspace_name, columnfamily_name, generation))) WITH comment = 'historic "
	"sstable read rates' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 5a1ff267-ace0-3f12-8563-cfae6103c65e",
	"CREATE TABLE system.table_estimates (keyspace_name text, table_name text, "
	"range_type text, range_start text, range_end text, mean_partition_size bigint, "
	"partitions_count bigint, PRIMARY KEY (keyspace_name, table_name, range_type, "
	"range_start, range_end)) WITH comment = 'per-table range size estimates' AND "
	"gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"176c39cd-b93d-33a5-a218-8eb06a56f66e",
	"CREATE TABLE system.transferred_ranges (operation text, keyspace_name text, "
	"peer inet, ranges set<blob>, PRIMARY KEY ((operation, keyspace_name), peer)) "
	"WITH comment = 'record of transferred ranges for streaming operation' AND "
	"gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"6cad20f7-d4f5-3af2-b6e2-0da33c6c1f83",
	"CREATE TABLE system.transferred_ranges_v2 (operation text, keyspace_name text, "
	"peer inet, peer_port int, ranges set<blob>, PRIMARY KEY ((operation, "
	"keyspace_name), peer, peer_port)) WITH comment = 'record of transferred ranges "
	"for streaming operation' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"1ff78f1a-7df1-3a2a-a998-6f4932270af5",
	"CREATE TABLE system.view_builds_in_progress (keyspace_name text, view_name "
	"text, start_token text, end_token text, keys_built bigint, last_token text, "
	"PRIMARY KEY (keyspace_name, view_name, start_token, end_token)) WITH comment = "
	"'views builds current progress' AND gc_grace_seconds = 0 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"6c22df66-c3bd-3df6-b74d-21179c6a9fe9",
	"CREATE KEYSPACE system_schema WITH replication = {'class': 'LocalStrategy'}",
	"CREATE TABLE system_schema.aggregates (keyspace_name text, aggregate_name "
	"text, argument_types frozen<list<text>>, final_func text, initcond text, "
	"return_type text, state_func text, state_type text, PRIMARY KEY "
	"(keyspace_name, aggregate_name)) WITH comment = 'user defined aggregate "
	"definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 924c5587-2e3a-345b-b10c-12f37c1ba895",
	"CREATE TABLE system_schema.columns (keyspace_name text, table_name text, "
	"column_name text, clustering_order text, column_name_bytes blob, kind text, "
	"position int, type text, PRIMARY KEY (keyspace_name, table_name, column_name)) "
	"WITH comment = 'column definitions' AND gc_grace_seconds = 604800 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"24101c25-a2ae-3af7-87c1-b40ee1aca33f",
	"CREATE TABLE system_schema.dropped_columns (keyspace_name text, table_name "
	"text, column_name text, dropped_time timestamp, kind text, type text, PRIMARY "
	"KEY (keyspace_name, table_name, column_name)) WITH comment = 'dropped column "
	"registry' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 5e7583b5-f3f4-3af1-9a39-b7e1d6f5f11f",
	"CREATE TABLE system_schema.functions (keyspace_name text, function_name text, "
	"argument_types frozen<list<text>>, argument_names frozen<list<text>>, body "
	"text, called_on_null_input boolean, language text, return_type text, PRIMARY "
	"KEY (keyspace_name, function_name)) WITH comment = 'user defined function "
	"definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 96489b79-80be-3e14-a701-66a0b9159450",
	"CREATE TABLE system_schema.indexes (keyspace_name text, table_name text, "
	"index_name text, kind text, options frozen<map<text, text>>, PRIMARY KEY "
	"(keyspace_name, table_name, index_name)) WITH comment = 'secondary index "
	"definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 0feb57ac-311f-382f-ba6d-9024d305702f",
	"CREATE TABLE system_schema.keyspaces (keyspace_name text PRIMARY KEY, "
	"durable_writes boolean, replication frozen<map<text, text>>) WITH comment = "
	"'keyspace definitions' AND gc_grace_seconds = 604800 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"abac5682-dea6-31c5-b535-b3d6cffd0fb6",
	"CREATE TABLE system_schema.tables (keyspace_name text, table_name text, "
	"additional_write_policy text, bloom_filter_fp_chance double, caching "
	"frozen<map<text, text>>, cdc boolean, comment text, compaction "
	"frozen<map<text, text>>, compression frozen<map<text, text>>, crc_check_chance "
	"double, dclocal_read_repair_chance double, default_time_to_live int, "
	"extensions frozen<map<text, blob>>, flags frozen<set<text>>, gc_grace_seconds "
	"int, id uuid, max_index_interval int, memtable_flush_period_in_ms int, "
	"min_index_interval int, read_repair text, read_repair_chance double, "
	"speculative_retry text, PRIMARY KEY (keyspace_name, table_name)) WITH comment "
	"= 'table definitions' AND gc_grace_seconds = 604800 AND "
	"memtable_flush_period_in_ms = 3600000 AND id = "
	"afddfb9d-bc1e-3068-8056-eed6c302ba09",
	"CREATE TABLE system_schema.triggers (keyspace_name text, table_name text, "
	"trigger_name text, options frozen<map<text, text>>, PRIMARY KEY "
	"(keyspace_name, table_name, trigger_name)) WITH comment = 'trigger "
	"definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = "
	"3600000 AND id = 4df70b66-6b05-3251-95a1-32b54005fd48",
	"CREATE TABLE system_schema.types (keyspace_name text, type_name text, "
	"field_names frozen<list<text>>, field_types frozen<list<text>>, PRIMARY KEY "
	"(keyspace_name, type_name)) WITH comment = 'user defined type definitions' AND "
	"gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"5a8b1ca8-6602-3f77-a045-9273d308917a",
	"CREATE TABLE system_schema.views (keyspace_name text, view_name text, "
	"additional_write_policy text, base_table_id uuid, base_table_name text, "
	"bloom_filter_fp_chance double, caching frozen<map<text, text>>, cdc boolean, "
	"comment text, compaction frozen<map<text, text>>, compression frozen<map<text, "
	"text>>, crc_check_chance double, dclocal_read_repair_chance double, "
	"default_time_to_live int, extensions frozen<map<text, blob>>, gc_grace_seconds "
	"int, id uuid, include_all_columns boolean, max_index_interval int, "
	"memtable_flush_period_in_ms int, min_index_interval int, read_repair text, "
	"read_repair_chance double, speculative_retry text, where_clause text, PRIMARY "
	"KEY (keyspace_name, view_name)) WITH comment = 'view definitions' AND "
	"gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000 AND id = "
	"9786ac1c-dd58-3201-a7cd-ad556410c985",
	"CREATE KEYSPACE system_auth WITH replication = {'class': 'SimpleStrategy', "
	"'replication_factor': '1'}",
	"CREATE TABLE system_auth.network_permissions (role text PRIMARY KEY, dcs "
	"frozen<set<text>>) WITH comment = 'user network permissions' AND "
	"gc_grace_seconds = 7776000 AND id = d46780c2-2f1c-3db9-b4c1-b8d9fbc0cc23",
	"CREATE TABLE system_auth.resource_role_permissons_index (resource text, role "
	"text, PRIMARY KEY (resource, role)) WITH comment = 'index of db roles with "
	"permissions granted on a resource' AND gc_grace_seconds = 7776000 AND id = "
	"5f2fbdad-91f1-3946-bd25-d5da3a5c35ec",
	"CREATE TABLE system_auth.role_members (role text, member text, PRIMARY KEY "
	"(role, member)) WITH comment = 'role memberships lookup table' AND "
	"gc_grace_seconds = 7776000 AND id = 0ecdaa87-f8fb-3e60-88d1-74fb36fe5c0d",
	"CREATE TABLE system_auth.role_permissions (role text, resource text, "
	"permissions set<text>, PRIMARY KEY (role, resource)) WITH comment = "
	"'permissions granted to db roles' AND gc_grace_seconds = 7776000 AND id = "
	"3afbe79f-2194-31a7-add7-f5ab90d8ec9c",
	"CREATE TABLE system_auth.roles (role text PRIMARY KEY, can_login boolean, "
	"is_superuser boolean, salted_hash text, member_of set<text>) WITH comment = "
	"'role definitions' AND gc_grace_seconds = 7776000 AND id = "
	"5bc52802-de25-35ed-aeab-188eecebb090",
	"CREATE KEYSPACE system_traces WITH replication = {'class': 'SimpleStrategy', "
	"'replication_factor': '2'}",
	"CREATE TABLE system_traces.events (session_id uuid, event_id timeuuid, "
	"activity text, source inet, source_elapsed int, source_port int, thread text, "
	"PRIMARY KEY (session_id, event_id)) WITH comment = 'tracing events' AND "
	"gc_grace_seconds = 0 AND id = 8826e8e9-e16a-3728-8753-3bc1fc713c25",
	"CREATE TABLE system_traces.sessions (session_id uuid PRIMARY KEY, client inet, "
	"command text, coordinator inet, coordinator_port int, duration int, request "
	"text, started_at timestamp, parameters map<text, text>) WITH comment = "
	"'tracing sessions' AND gc_grace_seconds = 0 AND id = "
	"c5e99f16-8677-3914-b17e-960613512345",
	"CREATE KEYSPACE system_distributed WITH replication = {'class': "
	"'SimpleStrategy', 'replication_factor': '3'}",
	"CREATE TABLE system_distributed.parent_repair_history (parent_id timeuuid "
	"PRIMARY KEY, exception_message text, exception_stacktrace text, finished_at "
	"timestamp, keyspace_name text, started_at timestamp, columnfamily_names "
	"set<text>, options map<text, text>, requested_ranges set<text>, "
	"successful_ranges set<text>) WITH comment = 'Repair history' AND compaction = "
	"{'class': 'org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy', "
	"'compaction_window_size': '1', 'compaction_window_unit': 'DAYS', "
	"'max_threshold': '32', 'min_threshold': '4'} AND default_time_to_live = "
	"2592000 AND id = deabd734-b99d-3b9c-92e5-fd92eb5abf14",
	"CREATE TABLE system_distributed.repair_history (keyspace_name text, "
	"columnfamily_name text, id timeuuid, coordinator inet, coordinator_port int, "
	"exception_message text, exception_stacktrace text, finished_at timestamp, "
	"parent_id timeuuid, range_begin text, range_end text, started_at timestamp, "
	"status text, participants set<inet>, participants_v2 set<text>, PRIMARY KEY "
	"((keyspace_name, columnfamily_name), id)) WITH comment = 'Repair history' AND "
	"compaction = {'class': "
	"'org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy', "
	"'compaction_window_size': '1', 'compaction_window_unit': 'DAYS', "
	"'max_threshold': '32', 'min_threshold': '4'} AND default_time_to_live = "
	"2592000 AND id = 759fffad-624b-3181-80ee-fa9a52d1f627",
	"CREATE TABLE system_distributed.view_build_status (keyspace_name text, "
	"view_name text, host_id uuid, status text, PRIMARY KEY ((keyspace_name, "
	"view_name), host_id)) WITH comment = 'Materialized View build status' AND id = "
	"5582b59f-8e4e-35e1-b913-3acada51eb04",
	"CREATE KEYSPACE system_views WITH replication = {'class': 'LocalStrategy'}",
	"CREATE TABLE system_views.caches (name text PRIMARY KEY, capacity_bytes "
	"bigint, entry_count int, hit_count bigint, hit_ratio double, "
	"recent_hit_rate_per_second bigint, recent_request_rate_per_second bigint, "
	"request_count bigint, size_bytes bigint) WITH comment = 'system caches'",
	"CREATE TABLE system_views.clients (address inet, port int, connection_stage "
	"text, driver_name text, driver_version text, hostname text, protocol_version "
	"int, request_count bigint, ssl_cipher_suite text, ssl_enabled boolean, "
	"ssl_protocol text, username text, PRIMARY KEY (address, port)) WITH comment = "
	"'currently connected clients'",
	"CREATE TABLE system_views.coordinator_read_latency (keyspace_name text, "
	"table_name text, count bigint, max_ms double, p50th_ms double, p99th_ms "
	"double, per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.coordinator_scan_latency (keyspace_name text, "
	"table_name text, count bigint, max_ms double, p50th_ms double, p99th_ms "
	"double, per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.coordinator_write_latency (keyspace_name text, "
	"table_name text, count bigint, max_ms double, p50th_ms double, p99th_ms "
	"double, per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.disk_usage (keyspace_name text, table_name text, "
	"mebibytes bigint, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.internode_inbound (address inet, port int, dc text, "
	"rack text, corrupt_frames_recovered bigint, corrupt_frames_unrecovered bigint, "
	"error_bytes bigint, error_count bigint, expired_bytes bigint, expired_count "
	"bigint, processed_bytes bigint, processed_count bigint, received_bytes bigint, "
	"received_count bigint, scheduled_bytes bigint, scheduled_count bigint, "
	"throttled_count bigint, throttled_nanos bigint, using_bytes bigint, "
	"using_reserve_bytes bigint, PRIMARY KEY ((address, port), dc, rack))",
	"CREATE TABLE system_views.internode_outbound (address inet, port int, dc text, "
	"rack text, active_connections bigint, connection_attempts bigint, error_bytes "
	"bigint, error_count bigint, expired_bytes bigint, expired_count bigint, "
	"overload_bytes bigint, overload_count bigint, pending_bytes bigint, "
	"pending_count bigint, sent_bytes bigint, sent_count bigint, "
	"successful_connection_attempts bigint, using_bytes bigint, using_reserve_bytes "
	"bigint, PRIMARY KEY ((address, port), dc, rack))",
	"CREATE TABLE system_views.local_read_latency (keyspace_name text, table_name "
	"text, count bigint, max_ms double, p50th_ms double, p99th_ms double, "
	"per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.local_scan_latency (keyspace_name text, table_name "
	"text, count bigint, max_ms double, p50th_ms double, p99th_ms double, "
	"per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.local_write_latency (keyspace_name text, table_name "
	"text, count bigint, max_ms double, p50th_ms double, p99th_ms double, "
	"per_second double, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.max_partition_size (keyspace_name text, table_name "
	"text, mebibytes bigint, PRIMARY KEY ((keyspace_name, table_name)))",
	"CREATE TABLE system_views.rows_per_read (keyspace_name text, table_name text, "
	"count bigint, max double, p50th double, p99th double, PRIMARY KEY "
	"((keyspace_name, table_name)))",
	"CREATE TABLE system_views.settings (name text PRIMARY KEY, value text) WITH "
	"comment = 'current settings'",
	"CREATE TABLE system_views.sstable_tasks (keyspace_name text, table_name text, "
	"task_id uuid, completion_ratio double, kind text, progress bigint, total "
	"bigint, unit text, PRIMARY KEY (keyspace_name, table_name, task_id)) WITH "
	"comment = 'current sstable tasks'",
	"CREATE TABLE system_views.system_properties (name text PRIMARY KEY, value "
	"text) WITH comment = 'Cassandra relevant system properties'",
	"CREATE TABLE system_views.thread_pools (name text PRIMARY KEY, active_tasks "
	"int, active_tasks_limit int, blocked_tasks bigint, blocked_tasks_all_time "
	"bigint, completed_tasks bigint, pending_tasks int)",
	"CREATE TABLE system_views.tombstones_per_read (keyspace_name text, table_name "
	"text, count bigint, max double, p50th double, p99th double, PRIMARY KEY "
	"((keyspace_name, table_name)))",
	"CREATE KEYSPACE system_virtual_schema WITH replication = {'class': "
	"'LocalStrategy'}",
	"CREATE TABLE system_virtual_schema.columns (keyspace_name text, table_name "
	"text, column_name text, clustering_order text, column_name_bytes blob, kind "
	"text, position int, type text, PRIMARY KEY (keyspace_name, table_name, "
	"column_name)) WITH comment = 'virtual column definitions'",
	"CREATE TABLE system_virtual_schema.keyspaces (keyspace_name text PRIMARY KEY) "
	"WITH comment = 'virtual keyspace definitions'",
	"CREATE TABLE system_virtual_schema.tables (keyspace_name text, table_name "
	"text, comment text, PRIMARY KEY (keyspace_name, table_name)) WITH comment = "
	"'virtual table definitions'",
	NULL
};
