/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-keys.c - the vocabulary of .scn files as one table: section, key, where the value goes.
 */
#include "scenarios/format/scenario-private.h"

/* for their limits */
#include "core/cql/cql-codec.h"
#include "scenarios/format/mail-source.h"
#include "sim/serve/cql-kind.h"
#include "sim/serve/fault-text.h"

#define FIELD(type, field) offsetof(struct type, field)
#define RANGE(section, type, name, unit, min, max, initial, doc) \
	{ \
		section, #name, CONF_KEY_RANGE, unit, FIELD(type, name), min, max, initial, doc, \
			NULL \
	}
#define LATENCY(section, type, name, initial, doc) \
	{ \
		section, #name, CONF_KEY_LATENCY, CONF_UNIT_TIME, FIELD(type, name), 0, HOUR, \
			initial, doc, NULL \
	}
#define NUMBER(section, type, name, field, unit, min, max, initial, doc) \
	{ \
		section, name, CONF_KEY_NUMBER, unit, FIELD(type, field), min, max, initial, doc, \
			NULL \
	}
#define OTHER(section, type, key_type, read, name, initial, doc) \
	{ \
		section, #name, key_type, CONF_UNIT_COUNT, FIELD(type, name), 0, 0, initial, doc, \
			read \
	}

/* So that sums of times stay far from the end of 64 bits. */
#define YEAR (366 * UINT64_C(86400) * LAB_SEC)
#define HOUR (60 * LAB_MINUTE)
#define PPM_MAX 1000000
#define MEMORY_MIN (16u << 20)

static const struct conf_key keys[] = {
	OTHER("scenario", scenario, CONF_KEY_TEXT, NULL, doc, "",
		"One sentence: what the scenario is about"),
	OTHER("scenario", scenario, CONF_KEY_OTHER, scenario_read_marks, marks, "",
		"What a campaign of it must reach, a | b (`oboxlab list marks`): else it is "
		"inconclusive"),
	OTHER("scenario", scenario, CONF_KEY_TEXT, NULL, migrated_from, "",
		"Settings of the same storage without dictmap, with which the run begins; users "
		"are "
		"migrated in the middle of the warm-up"),
	OTHER("scenario", scenario, CONF_KEY_OTHER, scenario_read_damage, damage, "",
		"What is damaged in the middle of the warm-up, a | b; a seed draws one: lost_rows, "
		"lost_reverse_rows, lost_objects, resurrected_rows, restored_objects, foreign, "
		"half_bundles, bad_bundles, lost_root, lost_keyspace"),
	RANGE("scenario", scenario, damage_count, CONF_UNIT_COUNT, 1, 1000, "1..4",
		"How many of them"),
	OTHER("scenario", scenario, CONF_KEY_OTHER, scenario_read_repair, repair, "",
		"What an operator does about it, a | b: none, rebuild, collect, force_resync"),
	RANGE("scenario", scenario, collect_interval, CONF_UNIT_TIME, 0, YEAR, "0",
		"Storage garbage is collected so often, and in the end; 0: never"),
	RANGE("scenario", scenario, collect_min_age, CONF_UNIT_TIME, LAB_SEC, YEAR, "1 h",
		"What is younger is left alone; more than any request or retry ladder takes"),
	RANGE("scenario", scenario, warmup, CONF_UNIT_TIME, 0, YEAR, "30 s",
		"Before the first fault"),
	{ "scenario", "duration", CONF_KEY_RANGE, CONF_UNIT_TIME, FIELD(scenario, storm), LAB_SEC,
		YEAR, "10 min", "The storm: users work, faults come and go", NULL },
	RANGE("scenario", scenario, settle, CONF_UNIT_TIME, 0, YEAR, "3 min",
		"After the last fault is healed: what was begun may end, nothing new begins"),

	OTHER("scenario", scenario, CONF_KEY_OTHER, scenario_read_schedules, schedule, "fifo",
		"Who runs first of those that could, a | b, a seed draws one: fifo, shuffle, "
		"priority (some fibers are always late)"),
	RANGE("scenario", scenario, swarm, CONF_UNIT_FRACTION, 0, PPM_MAX, "0",
		"Chance that a seed leaves out a fault, a kind of it, or a share of what clients "
		"do"),
	RANGE("scenario", scenario, buggify, CONF_UNIT_FRACTION, 0, PPM_MAX, "0",
		"How often a place of `oboxlab list buggify` that a seed has chosen does the "
		"unusual, until the storm is over"),
	NUMBER("scenario", scenario, "seed", seed, CONF_UNIT_COUNT, 0, UINT64_MAX, "0",
		"The seed of run, and of test unless it is told others; 0: none of its own"),
	OTHER("scenario", scenario, CONF_KEY_OTHER, scenario_read_defects, defects, "",
		"Defects that are switched on, a | b (`oboxlab list defects`)"),
	{ "scenario", "clients", CONF_KEY_BOOL, CONF_UNIT_COUNT, FIELD(scenario, has_clients), 0, 0,
		"yes", "Users act and get mails by themselves; no: only steps and operators do",
		NULL },

	RANGE("site", scenario_site, backends, CONF_UNIT_COUNT, 0, SCENARIO_BACKENDS_MAX, "2",
		"Backends in this zone"),
	OTHER("site", scenario_site, CONF_KEY_TEXT, NULL, conf, "",
		"Settings of these backends instead of the scenario's, for the same rows and "
		"objects: "
		"another compression, older dict maps"),

	RANGE("user", scenario_group, count, CONF_UNIT_COUNT, 0, SCENARIO_USERS_MAX, "10",
		"Users of this group"),
	RANGE("user", scenario_group, mail_inbox_delivery_interval, CONF_UNIT_TIME, LAB_MSEC, YEAR,
		"10s..60s", "Between two deliveries to a user"),
	RANGE("user", scenario_group, mail_session_interval, CONF_UNIT_TIME, LAB_MSEC, YEAR,
		"5s..60s", "From the end of a session to the next"),
	OTHER("user", scenario_group, CONF_KEY_BOOL, NULL, imap_idle, "no",
		"Behind proxies: clients are in IDLE between actions, and hear that they are cut "
		"off"),
	RANGE("user", scenario_group, mail_session_length, CONF_UNIT_TIME, 0, YEAR, "10s..90s",
		"Length of a session"),
	RANGE("user", scenario_group, mail_action_delay, CONF_UNIT_TIME, LAB_MSEC, YEAR, "1s..10s",
		"Between two actions of a session"),
	RANGE("user", scenario_group, mail_size, CONF_UNIT_SIZE, 0, MAIL_BYTES_MAX, "qlog 1k..32k",
		"Size of generated mails"),
	RANGE("user", scenario_group, mails, CONF_UNIT_COUNT, 0, SCENARIO_MAILS_MAX, "0",
		"Mails that INBOX has before the run begins, one a minute"),
	RANGE("user", scenario_group, folders, CONF_UNIT_COUNT, 0, CLIENT_FOLDERS_MAX, "1..3",
		"Folders besides INBOX"),
	RANGE("user", scenario_group, backends_at_once, CONF_UNIT_COUNT, 1, SCENARIO_LANES_MAX, "1",
		"Backends that serve a user at the same time, each with sessions of its own"),
	RANGE("user", scenario_group, move_interval, CONF_UNIT_TIME, 0, YEAR, "0",
		"How long a backend serves a user; then, once nobody is logged in, the next one"),
	RANGE("user", scenario_group, mail_inbox_delete_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"20%", "Actions that expunge"),
	RANGE("user", scenario_group, mail_inbox_move_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"15%", "Actions that move to another folder"),
	RANGE("user", scenario_group, mail_inbox_copy_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"15%", "Actions that copy to another folder"),
	RANGE("user", scenario_group, mail_inbox_store_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that set or clear a flag or keyword"),
	RANGE("user", scenario_group, mail_search_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX, "0%",
		"Actions that search the folder for a word or a mail; needs fts = dovecot"),
	RANGE("user", scenario_group, mail_sieve_flag_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Deliveries whose Sieve script adds a flag"),
	RANGE("user", scenario_group, mail_bulk_count, CONF_UNIT_COUNT, 1, CLIENT_BULK_MAX, "1..4",
		"Mails that one move or expunge takes"),
	RANGE("user", scenario_group, mail_fetch_count, CONF_UNIT_COUNT, 1, CLIENT_BULK_MAX, "1",
		"Mails that one FETCH asks for; mail_prefetch_count of them at a time"),
	RANGE("user", scenario_group, mail_delivery_retries, CONF_UNIT_COUNT, 0, 1000, "3",
		"How often the sending MTA tries again"),
	RANGE("user", scenario_group, mail_delivery_retry_delay, CONF_UNIT_TIME, 0, YEAR, "5s..30s",
		"Before it tries again"),
	RANGE("user", scenario_group, mail_delivery_timeout, CONF_UNIT_TIME, 0, YEAR, "0",
		"After which it gives up an attempt, with which the backend goes on; 0: never"),
	OTHER("user", scenario_group, CONF_KEY_BOOL, NULL, idle, "no",
		"They have no clients of their own: only a script acts for them"),
	OTHER("user", scenario_group, CONF_KEY_BOOL, NULL, tour, "no",
		"Instead of all that each action of `oboxlab list costs`, one after the other"),
	RANGE("user", scenario_group, tour_expunge, CONF_UNIT_FRACTION, 0, PPM_MAX, "50%",
		"Part of INBOX that a tour expunges, mail_bulk_count at a time"),
	RANGE("user", scenario_group, mail_attachment_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Generated mails with an attachment; 0%: those of 6000 bytes and more"),
	RANGE("user", scenario_group, mail_quota_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX, "0%",
		"Actions that ask for the quota, if there is one"),
	RANGE("user", scenario_group, mail_private_seen_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%",
		"Actions that set, clear or look at the user's own \\Seen of a mail in "
		"another user's INBOX (INDEXPVT)"),
	RANGE("user", scenario_group, mail_virtual_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX, "0%",
		"Actions that open a virtual folder of all unseen mails"),
	RANGE("user", scenario_group, mail_sieve_fileinto_percentage, CONF_UNIT_FRACTION, 0,
		PPM_MAX, "0%", "Deliveries that a Sieve script files into another folder"),
	RANGE("user", scenario_group, mailbox_create_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that create a folder, or a folder in it"),
	RANGE("user", scenario_group, mailbox_rename_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that rename a folder with all that is in it"),
	RANGE("user", scenario_group, mailbox_delete_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that delete a folder with its mails"),
	RANGE("user", scenario_group, mailbox_subscribe_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that subscribe or unsubscribe a name"),
	RANGE("user", scenario_group, mailbox_status_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX,
		"0%", "Actions that ask for the STATUS of a folder"),
	RANGE("user", scenario_group, obox_user_delete_interval, CONF_UNIT_TIME, 0, YEAR, "0",
		"Between two `obox user delete` of a user, who is locked out meanwhile and begins "
		"anew; 0: never"),

	LATENCY("s3", scenario_s3, latency_read, "lognormal 9ms..60ms", "Of GET and HEAD"),
	LATENCY("s3", scenario_s3, latency_write, "lognormal 18ms..120ms",
		"Of PUT, DELETE and COPY"),
	LATENCY("s3", scenario_s3, latency_list, "lognormal 20ms..150ms", "Of LIST"),
	OTHER("s3", scenario_s3, CONF_KEY_TEXT, NULL, latency_read_file, "",
		"File of measured times or quantiles, instead of latency_read"),
	OTHER("s3", scenario_s3, CONF_KEY_TEXT, NULL, latency_write_file, "",
		"The same for latency_write"),
	OTHER("s3", scenario_s3, CONF_KEY_TEXT, NULL, latency_list_file, "",
		"The same for latency_list"),
	RANGE("s3", scenario_s3, slow_chance, CONF_UNIT_FRACTION, 0, PPM_MAX, "0",
		"Chance that a request takes slow_time instead"),
	RANGE("s3", scenario_s3, slow_time, CONF_UNIT_TIME, 1, HOUR, "qlog 500ms..5s",
		"Drawn for each such request, log-uniform"),
	RANGE("s3", scenario_s3, body_rate, CONF_UNIT_SIZE, 0, UINT32_MAX, "0",
		"Bytes a second of a body, either way; 0: not limited"),
	RANGE("s3", scenario_s3, partitions, CONF_UNIT_COUNT, 1, 256, "1", "1, 16 or 256 (s3 2.1)"),
	RANGE("s3", scenario_s3, write_rate, CONF_UNIT_COUNT, 0, UINT32_MAX, "3500",
		"Writes a second of one partition; 0: not limited"),
	RANGE("s3", scenario_s3, read_rate, CONF_UNIT_COUNT, 0, UINT32_MAX, "5500",
		"Reads a second of one partition; 0: not limited"),
	RANGE("s3", scenario_s3, burst, CONF_UNIT_TIME, LAB_MSEC, HOUR, "1 s",
		"How long a full budget lasts"),
	OTHER("s3", scenario_s3, CONF_KEY_BOOL, NULL, shared_budget, "no",
		"One budget for reads and writes"),
	OTHER("s3", scenario_s3, CONF_KEY_BOOL, NULL, list_is_write, "no",
		"Listings are counted as writes"),
	OTHER("s3", scenario_s3, CONF_KEY_BOOL, NULL, bulk_per_key, "no",
		"A bulk delete that is too fast fails by key, not as a whole"),
	RANGE("s3", scenario_s3, split_after, CONF_UNIT_TIME, 0, YEAR, "0",
		"Overload after which a partition is split; AWS: 30 to 60 min; 0: never"),
	RANGE("s3", scenario_s3, split_max, CONF_UNIT_COUNT, 1, S3EMU_PARTITIONS_MAX, "256",
		"Partitions beyond which none is split"),
	RANGE("s3", scenario_s3, split_ramp, CONF_UNIT_TIME, 0, YEAR, "0",
		"How long the halves take to grow from half of the rates to all"),
	RANGE("s3", scenario_s3, merge_after, CONF_UNIT_TIME, 0, YEAR, "0",
		"Calm after which what was split is merged; 0: never"),
	RANGE("s3", scenario_s3, key_write_interval, CONF_UNIT_TIME, 0, HOUR, "0",
		"Writes to one key that follow faster are SlowDown; 0: none is"),
	RANGE("s3", scenario_s3, retry_after, CONF_UNIT_TIME, 0, HOUR, "0",
		"Retry-After of a 503, whole seconds; 0: it has none, as AWS's"),
	RANGE("s3", scenario_s3, connection_requests, CONF_UNIT_COUNT, 1, UINT32_MAX, "100",
		"Answers after which a connection is closed, drawn for each (s3 2.6)"),
	RANGE("s3", scenario_s3, connection_idle, CONF_UNIT_TIME, LAB_MSEC, YEAR, "20 s",
		"Without a request a connection is closed after"),
	OTHER("s3", scenario_s3, CONF_KEY_BOOL, NULL, connection_announced, "no",
		"The last answer says so (Connection: close)"),
	OTHER("s3", scenario_s3, CONF_KEY_BOOL, NULL, refuse_sigv2, "yes",
		"As every bucket made after 2020-06-24"),

	LATENCY("scality", scenario_scality, latency_read, "lognormal 9ms..60ms",
		"Of GET and HEAD"),
	LATENCY("scality", scenario_scality, latency_write, "lognormal 18ms..120ms",
		"Of PUT, DELETE and bulk requests"),
	LATENCY("scality", scenario_scality, latency_list, "lognormal 20ms..150ms", "Of listings"),
	RANGE("scality", scenario_scality, lock, CONF_UNIT_TIME, 0, YEAR, "0",
		"How long an answered request still holds its object: 423 from sproxyd, 409 from "
		"CDMI"),

	OTHER("cql", scenario_cql, CONF_KEY_OTHER, cql_kind_read, profile, CQLEMU_PROFILE_DEFAULT,
		"Which server it passes for: cassandra-3.11, -4.0, -4.1, -5.0, keyspaces, scylla, "
		"astra"),
	RANGE("cql", scenario_cql, nodes, CONF_UNIT_COUNT, 1, SCENARIO_CQL_NODES_MAX, "3",
		"Cassandra nodes"),
	RANGE("cql", scenario_cql, replication_factor, CONF_UNIT_COUNT, 1, SCENARIO_CQL_NODES_MAX,
		"3", "Of the keyspace; at most `nodes`"),
	OTHER("cql", scenario_cql, CONF_KEY_BOOL, NULL, data_center_per_zone, "no",
		"Each zone is a data centre with `replication_factor` replicas, and hosts ask that "
		"of "
		"their zone only (palomar 5: layout B); else a rack (A)"),
	RANGE("cql", scenario_cql, conviction, CONF_UNIT_TIME, 0, HOUR, "18 s",
		"Until the other nodes notice that one is gone"),

	RANGE("imds", scenario_imds, lifetime, CONF_UNIT_TIME, LAB_SEC, YEAR, "6 h",
		"Of a set of credentials"),
	RANGE("imds", scenario_imds, rotate, CONF_UNIT_TIME, LAB_SEC, YEAR, "5 h",
		"A new set every"),

	LATENCY("network", scenario_network, same_zone, "lognormal 50us..150us",
		"One way between hosts of a zone"),
	LATENCY("network", scenario_network, other_zone, "lognormal 300us..1ms",
		"One way between zones"),
	RANGE("network", scenario_network, stream_split, CONF_UNIT_FRACTION, 0, PPM_MAX, "0",
		"Chance that a chunk of a stream arrives in two parts"),

	LATENCY("backend", scenario_hosts, disk_sync, "0", "How long an fsync takes"),
	RANGE("backend", scenario_hosts, clock_offset, CONF_UNIT_TIME, 0, YEAR, "0",
		"Skew of a backend's wall clock; the sign is drawn"),
	RANGE("backend", scenario_hosts, disk_watch, CONF_UNIT_TIME, 0, HOUR, "0",
		"How often somebody looks what its metacache and fscache take; 0: never"),
	RANGE("backend", scenario_hosts, memory, CONF_UNIT_SIZE, MEMORY_MIN, SCENARIO_MEMORY_MAX,
		"1G", "Memory of a backend; more is a crash"),
	RANGE("backend", scenario_hosts, self_bundle_max, CONF_UNIT_SIZE, 1, SCENARIO_MEMORY_MAX,
		"256k", "Largest index that is uploaded as a self bundle; above: a base and diffs"),
	RANGE("backend", scenario_hosts, dict_streams, CONF_UNIT_COUNT, 1, CQL_STREAM_MAX, "32768",
		"Requests in flight on a connection to Cassandra; those beyond fail"),

	RANGE("cluster", scenario_cluster, proxies, CONF_UNIT_COUNT, 0, SCENARIO_PROXIES_MAX, "0",
		"Proxies of each site; 0: no Palomar, each user has a backend as a director gives "
		"him one"),
	RANGE("cluster", scenario_cluster, default_group_count, CONF_UNIT_COUNT, 1, 10000, "8",
		"cluster_default_group_count: groups of a site that users are spread over"),
	OTHER("cluster", scenario_cluster, CONF_KEY_OTHER, scenario_read_assign, assign, "hash",
		"How new users and groups are assigned: hash (A1) or random (A2)"),
	OTHER("cluster", scenario_cluster, CONF_KEY_BOOL, NULL, read_back, "no",
		"New rows are read again after they were written"),
	RANGE("cluster", scenario_cluster, user_ttl, CONF_UNIT_TIME, 0, YEAR, "60 s",
		"How long proxies and backends believe what they know of a user"),
	RANGE("cluster", scenario_cluster, group_ttl, CONF_UNIT_TIME, 0, YEAR, "5 s",
		"The same of a group"),
	RANGE("cluster", scenario_cluster, view_ttl, CONF_UNIT_TIME, 0, YEAR, "5 s",
		"The same of sites and backends"),
	OTHER("cluster", scenario_cluster, CONF_KEY_BOOL, NULL, frozen, "no",
		"From the start of the storm on, proxies believe for ever what they know then"),
	RANGE("cluster", scenario_cluster, stale, CONF_UNIT_TIME, 0, YEAR, "1 h",
		"How old a row may be that a backend goes by while GeoDB does not answer; 0: no "
		"older than ever"),
	OTHER("cluster", scenario_cluster, CONF_KEY_TEXT, NULL, read_consistency, "",
		"Of reads of GeoDB: local-one and so on; none: as the dict's"),
	OTHER("cluster", scenario_cluster, CONF_KEY_TEXT, NULL, controller_keyspace, "geodb",
		"CASSANDRA_GEODB_KEYSPACE of controllers; the other hosts have geodb"),
	RANGE("cluster", scenario_cluster, recheck, CONF_UNIT_TIME, LAB_SEC, YEAR, "10 s",
		"How often a backend asks whether its users are still its own"),
	RANGE("cluster", scenario_cluster, user_move_timeout, CONF_UNIT_TIME, LAB_MSEC, YEAR,
		"30 s", "cluster_user_move_timeout"),
	RANGE("cluster", scenario_cluster, proxy_timeout, CONF_UNIT_TIME, LAB_MSEC, HOUR, "30 s",
		"login_proxy_timeout: of a backend that does not answer"),
	RANGE("cluster", scenario_cluster, proxy_max_reconnects, CONF_UNIT_COUNT, 0, 100, "3",
		"login_proxy_max_reconnects, one a second, to a backend that refuses"),
	RANGE("cluster", scenario_cluster, disconnect_delay, CONF_UNIT_TIME, 0, HOUR, "30 s",
		"login_proxy_max_disconnect_delay: clients of a lost backend are let go over this "
		"time"),
	RANGE("cluster", scenario_cluster, pop3_percentage, CONF_UNIT_FRACTION, 0, PPM_MAX, "10%",
		"Sessions that log in by POP3"),
	OTHER("cluster", scenario_cluster, CONF_KEY_BOOL, NULL, controllers, "yes",
		"Each site has a controller"),
	OTHER("cluster", scenario_cluster, CONF_KEY_OTHER, scenario_read_feature, backend_health,
		"on", "cluster_settings: controllers take backends out and back: on, dryrun, off"),
	OTHER("cluster", scenario_cluster, CONF_KEY_OTHER, scenario_read_feature, site_health, "on",
		"The same of sites that nobody reaches"),
	OTHER("cluster", scenario_cluster, CONF_KEY_OTHER, scenario_read_feature, balance, "off",
		"The same of groups, from the backend with the most load to that with the least"),
	RANGE("cluster", scenario_cluster, site_down, CONF_UNIT_TIME, LAB_SEC, YEAR, "5 min",
		"Until a site that most of the others do not reach is out"),
	RANGE("cluster", scenario_cluster, controller_round, CONF_UNIT_TIME, LAB_SEC, HOUR, "10 s",
		"How often a controller looks at its backends and at the other sites"),
	RANGE("cluster", scenario_cluster, balance_interval, CONF_UNIT_TIME, LAB_SEC, YEAR, "1 h",
		"From one group's move to the next"),
	RANGE("cluster", scenario_cluster, balance_samples, CONF_UNIT_COUNT, 1, 1000000, "3000",
		"Samples, one in ten seconds, before anything is moved"),
	OTHER("cluster", scenario_cluster, CONF_KEY_BOOL, NULL, pull, "yes",
		"metacache_last_host_dict: a backend that gets a user pulls his metacache from the "
		"one before"),

	OTHER("fault", scenario_fault, CONF_KEY_OTHER, fault_text_kinds, kinds, "",
		"Kinds of faults, a | b | c; an episode draws one (oboxlab list faults)"),
	OTHER("fault", scenario_fault, CONF_KEY_OTHER, fault_text_points, points, "",
		"Fault points, a | b | c, with * at the end; none: all that the kinds know"),
	OTHER("fault", scenario_fault, CONF_KEY_OTHER, scenario_read_target, target, "any",
		"any, backend, node, zone, s3 or imds, or `backend NAME`; an episode draws one"),
	OTHER("fault", scenario_fault, CONF_KEY_OTHER, scenario_read_target, other, "any",
		"Partitions: the other side"),
	OTHER("fault", scenario_fault, CONF_KEY_TEXT, NULL, keyspace, "",
		"Only requests to Cassandra about tables of this keyspace: geodb is the cluster's"),
	RANGE("fault", scenario_fault, episodes, CONF_UNIT_COUNT, 0, FAULT_EPISODES_MAX, "1",
		"How many"),
	RANGE("fault", scenario_fault, length, CONF_UNIT_TIME, LAB_MSEC, YEAR, "qlog 1s..60s",
		"Of an episode"),
	RANGE("fault", scenario_fault, rate, CONF_UNIT_FRACTION, 0, PPM_MAX, "qlog 1/100..1/2",
		"Of the requests in an episode that fail"),
	RANGE("fault", scenario_fault, amount, CONF_UNIT_TIME, 0, 24 * HOUR, "0",
		"Of a delay or a clock error; 0: the kind's own default"),
	{ "fault", "disk", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(scenario_fault, disks), 0, 0,
		"lose_unsynced",
		"Crashes: lose_unsynced, keep or wipe, a | b; an episode draws one",
		scenario_read_disks },
	{ "fault", "phases", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(scenario_fault, in_storm), 0, 0,
		"storm", "storm, or warmup | storm", scenario_read_phases },

	NUMBER("step", scenario_step, "at", at_ns, CONF_UNIT_TIME, 0, YEAR, "0",
		"When, from the start of the run; not before the session's step before it ended"),
	{ "step", "do", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(scenario_step, what), 0, 0, "",
		"deliver, select, fetch, store, copy, move, expunge, search, create, rename, "
		"delete, "
		"subscribe, status, quota, autoexpunge, flush, operate or user-delete",
		scenario_read_step_kind },
	NUMBER("step", scenario_step, "user", user, CONF_UNIT_COUNT, 0, SCENARIO_USERS_MAX, "1",
		"Whose, by number: the groups' users one after the other"),
	NUMBER("step", scenario_step, "session", session, CONF_UNIT_COUNT, 0, UINT32_MAX, "0",
		"Steps of one number share a connection; 0: one of its own"),
	OTHER("step", scenario_step, CONF_KEY_TEXT, NULL, backend, "",
		"Where: backend-1 and so on"),
	OTHER("step", scenario_step, CONF_KEY_TEXT, NULL, folder, "INBOX",
		"Which; it is selected first if the session has another one"),
	OTHER("step", scenario_step, CONF_KEY_TEXT, NULL, target, "",
		"The folder to copy or move to; the new name"),
	OTHER("step", scenario_step, CONF_KEY_OTHER, scenario_read_mails, mails, "",
		"Mails by number (the user's deliveries count from 1), with the UID where one "
		"is not enough: 17, 18@5, ?@6"),
	OTHER("step", scenario_step, CONF_KEY_TEXT, NULL, flag, "",
		"The flag or keyword; of a delivery: what a Sieve script adds"),
	{ "step", "set", CONF_KEY_BOOL, CONF_UNIT_COUNT, FIELD(scenario_step, is_set), 0, 0, "yes",
		"no: the flag is cleared, the folder unsubscribed", NULL },
	OTHER("step", scenario_step, CONF_KEY_OTHER, scenario_read_word, word, "",
		"What is searched for; none: the mail"),
	{ "step", "special_use", CONF_KEY_TEXT, CONF_UNIT_COUNT, FIELD(scenario_step, special), 0,
		0, "", "Of a folder that is created", NULL },
	OTHER("step", scenario_step, CONF_KEY_TEXT, NULL, command, "",
		"What doveadm is told, by operate"),

	{ "episode", "kind", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(scenario_episode, kind), 0, 0,
		"", "One kind of fault (oboxlab list faults)", fault_text_kinds },
	OTHER("episode", scenario_episode, CONF_KEY_OTHER, fault_text_points, points, "",
		"Fault points, a | b; none: all that the kind knows"),
	NUMBER("episode", scenario_episode, "at", at_ns, CONF_UNIT_TIME, 0, YEAR, "0",
		"When it begins, from the start of the run"),
	NUMBER("episode", scenario_episode, "length", length_ns, CONF_UNIT_TIME, 0, YEAR, "0",
		"How long it is; 0: to the end of the storm"),
	OTHER("episode", scenario_episode, CONF_KEY_TEXT, NULL, target, "",
		"Whose requests: backend-2, zone:az1, or answered by cassandra-1, s3, imds; none: "
		"all; the host that crashes, the first side of a partition"),
	OTHER("episode", scenario_episode, CONF_KEY_TEXT, NULL, other, "",
		"The other side of a partition; * is everybody"),
	OTHER("episode", scenario_episode, CONF_KEY_TEXT, NULL, keyspace, "",
		"Only requests to Cassandra about tables of this keyspace"),
	NUMBER("episode", scenario_episode, "rate", rate, CONF_UNIT_FRACTION, 0, PPM_MAX, "100%",
		"Of the requests that fail"),
	NUMBER("episode", scenario_episode, "nth", nth, CONF_UNIT_COUNT, 0, UINT32_MAX, "0",
		"Only the n-th request of the episode fails; 0: by rate"),
	{ "episode", "lasting", CONF_KEY_BOOL, CONF_UNIT_COUNT, FIELD(scenario_episode, is_lasting),
		0, 0, "no", "With nth: that one and all that come after it", NULL },
	NUMBER("episode", scenario_episode, "lasting_time", lasting_ns, CONF_UNIT_TIME, 0, YEAR,
		"0", "Within this time; 0: for as long as the episode"),
	RANGE("episode", scenario_episode, amount, CONF_UNIT_TIME, 0, 24 * HOUR, "0",
		"Of a delay or a clock error; 0: of a delay the kind's own default"),
	OTHER("episode", scenario_episode, CONF_KEY_BOOL, NULL, backwards, "no",
		"The clock goes back, not forward"),
	{ "episode", "disk", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(scenario_episode, disk), 0, 0,
		"lose_unsynced", "Crashes: lose_unsynced, keep or wipe", scenario_read_disks },
	NUMBER("episode", scenario_episode, "down", down_ns, CONF_UNIT_TIME, 0, YEAR, "0",
		"As it fires, the host that asked crashes for so long; 0: it does not"),
	OTHER("episode", scenario_episode, CONF_KEY_TEXT, NULL, after, "",
		"Only once the episode of this name, above, has fired"),
	OTHER("episode", scenario_episode, CONF_KEY_TEXT, NULL, draws, "",
		"FAULT N: the draws of the N-th episode of the fault of that name, also if it is "
		"not there any more"),

	OTHER("operator", scenario_operator, CONF_KEY_TEXT, NULL, command, "",
		"What doveadm is told: metacache flushall -i; with %u once for each user"),
	OTHER("operator", scenario_operator, CONF_KEY_TEXT, NULL, backend, "all",
		"Where: all that are up, or the name of one"),
	RANGE("operator", scenario_operator, at, CONF_UNIT_TIME, 0, YEAR, "0",
		"When, from the start of the storm"),
	RANGE("operator", scenario_operator, every, CONF_UNIT_TIME, 0, YEAR, "0",
		"And again after that; 0: once"),

	OTHER("knob", scenario_knob, CONF_KEY_TEXT, NULL, setting, "",
		"Of dovecot.conf: metacache_upload_interval; or a parameter in one: "
		"obox_fs:bucket-size"),
	OTHER("knob", scenario_knob, CONF_KEY_TEXT, NULL, value, "",
		"2s..60s, qlog 1..1000, or texts: yes | no; each seed draws one"),

	OTHER("script", scenario_script, CONF_KEY_TEXT, NULL, file, "",
		"Steps in Lua, beside the file that says so (scenarios/scripts/README.md)"),
	RANGE("script", scenario_script, at, CONF_UNIT_TIME, 0, YEAR, "0",
		"When they begin, from the start of the storm"),
};

size_t scenario_key_count(void)
{
	return LAB_COUNT_OF(keys);
}

struct scenario_key_doc scenario_key_doc(size_t index)
{
	const struct conf_key *key = &keys[index];

	return (struct scenario_key_doc){ key->section, key->name, key->initial, key->doc };
}

const struct conf_vocabulary scenario_vocabulary = { keys, LAB_COUNT_OF(keys) };
